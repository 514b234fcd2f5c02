// SPDX-License-Identifier: MIT OR Apache-2.0
//! Looks up the rows of index terms.
//!
//! Owns the prepared query and what it cannot find. Never reads a column that was not asked for.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use amanat::error::{Error, Result};
use amanat::index::IndexTerm;
use amanat::schema::{Encoding, IndexPolicy, TableSchema};
use rusqlite::types::ValueRef as SqlRef;
use rusqlite::{Connection, OpenFlags, params_from_iter};

use super::fault::failed;
use super::open;
use super::rows::{self, Pool, SqliteBatch};
use super::table::{self, QueryPlan, SqlTable};
use crate::engine::Rows;

/// A table open for looking up rows by one of its indexes.
pub(crate) struct Lookup {
    connection: Connection,
    table: Arc<SqlTable>,
    /// Quoted column of the index.
    cell: String,
    /// Name of the index's column.
    column: String,
    sql: String,
}

impl Lookup {
    /// `fields` are the places in the schema of what is read; `terms` is how many terms a lookup has.
    pub(crate) fn open(
        (schema, index): (&TableSchema, &IndexPolicy),
        file: &Path,
        sql_table: &str,
        fields: &[usize],
        terms: usize,
    ) -> Result<Self> {
        let connection = open(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let position = schema.surrogate_columns().position(|column| column == index.column());
        let table = SqlTable::with_cells(&connection, sql_table, schema, |columns| {
            let surrogate = position.and_then(|position| columns.surrogates.get(position).copied().flatten());
            let fields = fields.iter().filter_map(|field| columns.fields.get(*field).copied());
            // A field may be searched by and shown.
            let mut places: Vec<usize> = Vec::new();
            fields.for_each(|place| {
                if !places.contains(&place) {
                    places.push(place)
                }
            });
            places.extend(surrogate);
            places
        })?;
        let place = position.and_then(|position| table.surrogates.get(position).copied().flatten());
        let cell = place.and_then(|place| table.cells.get(place)).cloned();
        let cell = cell.ok_or_else(|| {
            Error::schema(format!(
                "the table has no column `{}` for index `{}` yet; protect it",
                index.column(),
                index.spec().name()
            ))
        })?;
        let sql = table.select_terms(&cell, terms);
        Ok(Self { connection, table: Arc::new(table), cell, column: index.column().to_owned(), sql })
    }

    /// The rows of any of the terms.
    pub(crate) fn rows(&self, terms: &[IndexTerm]) -> Result<SqliteBatch> {
        let mut statement = self.connection.prepare_cached(&self.sql).map_err(failed)?;
        let terms = terms.iter().map(|term| rows::term(term, self.table.encoding));
        let mut found = statement.query(params_from_iter(terms)).map_err(failed)?;
        let mut batch = SqliteBatch::new(&self.table, &Pool::default());
        while let Some(row) = found.next().map_err(failed)? {
            batch.push(row, 1 + u64::try_from(batch.count()).unwrap_or_default())?;
            let rowid = match batch.key(batch.count() - 1).collect::<Vec<_>>().as_slice() {
                [SqlRef::Integer(rowid)] => u64::try_from(*rowid).ok(),
                _ => None,
            };
            rowid.into_iter().for_each(|rowid| batch.number_last(rowid));
        }
        Ok(batch)
    }

    /// Number of rows that have values and no term, or one that no lookup finds: of another length, of a key that does not open, or in
    /// another form.
    pub(crate) fn not_searchable(&self, index: &IndexPolicy, tags: impl Iterator<Item = u8>) -> Result<u64> {
        let (cell, from) = (&self.cell, self.table.from());
        let position = self
            .table
            .surrogates
            .iter()
            .position(|place| place.and_then(|place| self.table.cells.get(place)) == Some(cell));
        let parts = position.and_then(|position| self.table.parts.get(position));
        let values = parts.into_iter().flatten().filter_map(|place| self.table.cells.get(*place));
        let values: Vec<String> = values.map(|value| format!(" AND {value} IS NOT NULL")).collect();
        let without = format!("SELECT count(*){from} WHERE {cell} IS NULL{}", values.concat());
        let bytes = 1 + usize::from(index.spec().bits().get()).div_ceil(8);
        let (kind, length, tag, tags) = match self.table.encoding {
            Encoding::Binary => {
                ("blob", bytes, 1, tags.map(|tag| format!("x'{tag:02x}'")).collect::<Vec<_>>())
            }
            _ => ("text", 2 * bytes, 2, tags.map(|tag| format!("'{tag:02x}'")).collect()),
        };
        let other = format!(
            "SELECT count(*){from} WHERE {cell} IS NOT NULL AND (typeof({cell}) <> '{kind}' OR length({cell}) <> {length} \
             OR substr({cell}, 1, {tag}) NOT IN ({}))",
            tags.join(", ")
        );
        Ok(table::number(&self.connection, &without, &[])? + table::number(&self.connection, &other, &[])?)
    }

    /// What to tell if SQLite would read every row.
    pub(crate) fn hint(&self) -> Result<Option<String>> {
        if QueryPlan::of(&self.connection, &self.sql)?.searches {
            return Ok(None);
        }
        let statement = self.table.create_index(&self.column, &self.cell);
        Ok(Some(format!("SQLite reads every row to find one; give the column an index: {statement}")))
    }
}

impl fmt::Debug for Lookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lookup({})", self.column)
    }
}
