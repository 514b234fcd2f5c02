// SPDX-License-Identifier: MIT OR Apache-2.0
//! What verbs that only read have in common: the store, its schema and table, and how it is read row by row.
//!
//! Owns the formats of tables. Never writes.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use amanat::error::{Error, Kind};
use amanat::{Name, Schema, TableSchema};
use amanat_stores::scan::{scan_csv, scan_json_lines, scan_sqlite};
use amanat_stores::{ScanPlan, ScanSource, Tally, Visitor, parquet_file};
use clap::ValueEnum;

use crate::fault::{Fault, Result};
use crate::schema;

/// A format of tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Comma-separated values (RFC 4180) with a header.
    Csv,
    /// One JSON object a line.
    Jsonl,
    /// Apache Parquet.
    Parquet,
    /// A SQLite file: protected in place, revealed into a copy.
    Sqlite,
}

/// A store that is read.
#[derive(clap::Args)]
pub(crate) struct StoreArgs {
    /// CSV, JSON Lines, Parquet or SQLite file; `-` is standard input.
    #[arg(value_name = "STORE")]
    pub(crate) store: PathBuf,
    #[command(flatten)]
    pub(crate) table: TableArgs,
}

/// Which table of which schema, and how it is stored.
#[derive(clap::Args)]
pub(crate) struct TableArgs {
    /// The schema file.
    #[arg(long, value_name = "FILE")]
    pub(crate) schema: PathBuf,
    /// Table of the schema; may be left out if it has only one.
    #[arg(long, value_name = "NAME")]
    table: Option<String>,
    /// Format of the store, if the ending of the file's name does not say it.
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<Format>,
    /// Table of the SQLite file, if it has another name than that of the schema.
    #[arg(long, value_name = "NAME")]
    pub(crate) sql_table: Option<String>,
}

impl Format {
    /// The format that was named, or that of a file's ending.
    pub(crate) fn of(
        named: Option<Self>,
        input: &Path,
        otherwise: impl FnOnce() -> Option<Self>,
    ) -> Result<Self> {
        let format = named.or_else(|| Self::by_ending(input)).or_else(otherwise);
        let format = format.ok_or_else(|| {
            Fault::new("the names of the files do not say their format")
                .help("name it: --format csv, jsonl, parquet or sqlite")
        })?;
        let whole = match format {
            Self::Parquet => "Parquet",
            Self::Sqlite => "SQLite",
            Self::Csv | Self::Jsonl => return Ok(format),
        };
        if is_dash(input) {
            return Err(Fault::new(format!("a {whole} file is not a stream; name the file")));
        }
        Ok(format)
    }

    pub(crate) fn by_ending(path: &Path) -> Option<Self> {
        let ending = path.extension()?.to_str()?.to_ascii_lowercase();
        match ending.as_str() {
            "csv" => Some(Self::Csv),
            "jsonl" | "ndjson" => Some(Self::Jsonl),
            "parquet" => Some(Self::Parquet),
            "db" | "sqlite" | "sqlite3" => Some(Self::Sqlite),
            _ => None,
        }
    }
}

impl TableArgs {
    /// The schema file, read.
    pub(crate) fn read(&self) -> Result<Schema> {
        schema::read(&self.schema)
    }

    /// The table that was named, or the only one.
    pub(crate) fn table<'s>(&self, schema: &'s Schema) -> Result<&'s TableSchema> {
        table(schema, self.table.as_deref(), &self.schema)
    }
}

impl StoreArgs {
    pub(crate) fn format(&self) -> Result<Format> {
        Format::of(self.table.format, &self.store, || None)
    }

    /// Reads every row.
    pub(crate) fn scan(
        &self,
        table: &TableSchema,
        fields: &[Name],
        source: ScanSource<'_>,
        visitor: &mut dyn Visitor,
    ) -> Result<Tally> {
        let plan = ScanPlan { table, fields, source };
        let scanned = match self.format()? {
            Format::Sqlite => scan_sqlite(plan, &self.store, self.table.sql_table.as_deref(), visitor),
            Format::Jsonl => scan_json_lines(plan, open(&self.store)?, visitor),
            Format::Parquet => parquet_file::scan(plan, open_file(&self.store)?, visitor),
            Format::Csv => scan_csv(plan, open(&self.store)?, visitor),
        };
        scanned.map_err(|error| self.fault(error))
    }

    /// An error of the store: one of the data names it.
    pub(crate) fn fault(&self, error: Error) -> Fault {
        let of_data = matches!(error.kind(), Kind::Schema | Kind::Malformed | Kind::Store);
        let named = of_data && !is_dash(&self.store);
        let fault = Fault::from(error);
        if named { fault.about(self.store.display()) } else { fault }
    }
}

/// The table of that name, or the only one.
pub(crate) fn table<'s>(schema: &'s Schema, name: Option<&str>, file: &Path) -> Result<&'s TableSchema> {
    let about = |fault: Fault| fault.about(file.display());
    match (name, schema.tables()) {
        (Some(name), _) => schema.table(name).map_err(|error| about(error.into())),
        (None, [table]) => Ok(table),
        (None, tables) => {
            let names: Vec<&str> = tables.iter().map(|table| table.name().as_str()).collect();
            let several = format!("the schema has {} tables: {}", names.len(), names.join(", "));
            Err(about(Fault::new(several).help("name one: --table NAME")))
        }
    }
}

fn open(path: &Path) -> Result<Box<dyn Read>> {
    if is_dash(path) {
        return Ok(Box::new(io::stdin()));
    }
    Ok(Box::new(open_file(path)?))
}

/// A file that is read, and not from its beginning to its end.
pub(crate) fn open_file(path: &Path) -> Result<File> {
    File::open(path).map_err(|error| Fault::file("read", path, &error))
}

/// Whether a path stands for standard input or output.
pub(crate) fn is_dash(path: &Path) -> bool {
    path.as_os_str() == "-"
}
