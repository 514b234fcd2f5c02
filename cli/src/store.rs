// SPDX-License-Identifier: MIT OR Apache-2.0
//! What verbs that only read have in common: the store, its schema and table, and how it is read row by row.
//!
//! Owns the formats of tables. Never writes.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use amanat::error::{Error, Kind};
use amanat::{Schema, TableSchema};
use amanat_stores::find::{find_csv, find_json_lines, find_sqlite};
use amanat_stores::scan::{scan_csv, scan_json_lines, scan_sqlite};
use amanat_stores::{FindPlan, FindReport, ScanPlan, Tally, Visitor, parquet_file};
use clap::ValueEnum;

use crate::fault::{Fault, Result};
use crate::run::{DoorArgs, Place, postgres_address};
use crate::schema;
use crate::text::count;
use crate::ui::Ui;

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
    /// CSV, JSON Lines, Parquet or SQLite file; `-` is standard input. Or the address of a PostgreSQL database: `postgres://user@host/database`.
    #[arg(value_name = "STORE")]
    pub(crate) store: PathBuf,
    #[command(flatten)]
    door: DoorArgs,
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
    /// Table of the database, if it has another name than that of the schema.
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

/// A store that was named, to be read.
pub(crate) struct Reading<'a> {
    args: &'a StoreArgs,
    from: From,
}

enum From {
    File(Format),
    Server(Box<Place>),
}

impl StoreArgs {
    /// What was named: a database that can be reached, or a file whose format is known.
    pub(crate) fn open(&self, ui: &Ui) -> Result<Reading<'_>> {
        let address = self.store.to_str().filter(|store| postgres_address(store).is_some());
        self.door.is_of_server(address.is_some())?;
        let from = match address {
            Some(_) if self.table.format.is_some() => {
                return Err(Fault::new("--format is for files; leave it out"));
            }
            Some(address) => From::Server(Box::new(self.door.place(address, ui)?)),
            None => From::File(Format::of(self.table.format, &self.store, || None)?),
        };
        Ok(Reading { args: self, from })
    }
}

impl Reading<'_> {
    /// Reads every row.
    pub(crate) fn scan(&self, plan: ScanPlan<'_>, visitor: &mut dyn Visitor) -> Result<Tally> {
        let (store, sql_table) = (&self.args.store, self.args.table.sql_table.as_deref());
        let scanned = match &self.from {
            From::Server(place) => return place.scan(plan, sql_table, visitor),
            From::File(Format::Sqlite) => scan_sqlite(plan, store, sql_table, visitor),
            From::File(Format::Jsonl) => scan_json_lines(plan, open(store)?, visitor),
            From::File(Format::Parquet) => parquet_file::scan(plan, open_file(store)?, visitor),
            From::File(Format::Csv) => scan_csv(plan, open(store)?, visitor),
        };
        scanned.map_err(|error| self.fault(error))
    }

    /// Finds rows by an index; with what is worth knowing of the search.
    pub(crate) fn find(&self, plan: FindPlan<'_>, values: &[&str]) -> Result<(FindReport, Vec<String>)> {
        let (store, sql_table) = (&self.args.store, self.args.table.sql_table.as_deref());
        let found = match &self.from {
            From::Server(place) => return place.find(plan, sql_table, values),
            From::File(Format::Sqlite) => find_sqlite(plan, values, store, sql_table),
            From::File(Format::Jsonl) => find_json_lines(plan, values, open(store)?).map(without_warnings),
            From::File(Format::Parquet) => {
                parquet_file::find(plan, values, open_file(store)?).map(without_warnings)
            }
            From::File(Format::Csv) => find_csv(plan, values, open(store)?).map(without_warnings),
        };
        found.map_err(|error| self.fault(error))
    }

    /// An error of the store: one of the data names it.
    fn fault(&self, error: Error) -> Fault {
        let of_data = matches!(error.kind(), Kind::Schema | Kind::Malformed | Kind::Store);
        let named = of_data && !is_dash(&self.args.store);
        let fault = Fault::from(error);
        if named { fault.about(self.args.store.display()) } else { fault }
    }
}

/// Rows in a file that are not searchable are told here; a finder of a database tells of its own.
fn without_warnings(report: FindReport) -> (FindReport, Vec<String>) {
    let warning = format!(
        "{} with a value cannot be found by this index; protect the store with this schema",
        count(report.not_searchable, "row")
    );
    let warnings = if report.not_searchable > 0 { vec![warning] } else { Vec::new() };
    (report, warnings)
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
