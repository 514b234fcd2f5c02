// SPDX-License-Identifier: MIT OR Apache-2.0
//! Looks up the rows of index terms.
//!
//! Owns the prepared query and what it cannot find. Never reads a column that was not asked for.

use std::fmt;
use std::sync::Arc;

use amanat::error::{Error, Result};
use amanat::index::IndexTerm;
use amanat::schema::{IndexPolicy, TableSchema};
use postgres::types::ToSql;
use postgres::{Client, Statement};

use super::advice::has_index;
use super::error::failed;
use super::rows::{PgBatch, Source};
use super::table::{self, Form, PgColumn, PgTable};
use super::{PostgresUrl, session};

/// A table open for looking up rows by one of its indexes.
pub(crate) struct Lookup {
    client: Client,
    source: Arc<Source>,
    statement: Statement,
    /// Column of the index.
    cell: PgColumn,
    /// Place of the index among the table's surrogates.
    position: usize,
}

impl Lookup {
    /// `fields` are the places in the schema of what is read.
    pub(crate) fn open(
        (schema, index): (&TableSchema, &IndexPolicy),
        url: &PostgresUrl,
        sql_table: Option<&str>,
        fields: &[usize],
    ) -> Result<Self> {
        let mut client = session(url)?;
        let name = sql_table.map_or_else(|| table::quote(schema.name().as_str()), str::to_owned);
        let missing = || {
            let (column, index) = (index.column(), index.spec().name());
            Error::schema(format!("the table has no column `{column}` for index `{index}` yet; protect it"))
        };
        let position =
            schema.surrogate_columns().position(|column| column == index.column()).ok_or_else(missing)?;
        let table = PgTable::with_cells(&mut client, &name, schema, |columns| {
            let fields = fields.iter().filter_map(|field| columns.fields.get(*field).copied());
            let mut places: Vec<usize> =
                fields.chain(columns.surrogates.get(position).copied().flatten()).collect();
            // A field may be searched by and shown.
            places.sort_unstable();
            places.dedup();
            places
        })?;
        let place = table.surrogates.get(position).copied().flatten();
        let cell = place.and_then(|place| table.cells.get(place)).cloned().ok_or_else(missing)?;
        let statement = client.prepare(&table.select_terms(&cell)).map_err(failed)?;
        let layout = table.selection().1;
        Ok(Self { client, source: Arc::new(Source { table, layout }), statement, cell, position })
    }

    /// The rows of any of the terms.
    pub(crate) fn rows(&mut self, terms: &[IndexTerm]) -> Result<PgBatch> {
        let texts: Vec<String>;
        let bytes: Vec<&[u8]>;
        let wanted: &(dyn ToSql + Sync) = if self.cell.form == Form::Bytes {
            bytes = terms.iter().map(IndexTerm::as_bytes).collect();
            &bytes
        } else {
            texts = terms.iter().map(IndexTerm::to_text).collect();
            &texts
        };
        let found = self.client.query(&self.statement, &[wanted]).map_err(failed)?;
        Ok(PgBatch::new(&self.source, found, 1))
    }

    /// Number of rows that have values and no term, or one that no lookup finds: of another length or of a key that does not open.
    pub(crate) fn not_searchable(
        &mut self,
        index: &IndexPolicy,
        tags: impl Iterator<Item = u8>,
    ) -> Result<u64> {
        let table = &self.source.table;
        let parts = table.parts.get(self.position).into_iter().flatten();
        let values = parts.filter_map(|place| table.cells.get(*place));
        let values: Vec<String> =
            values.map(|column| format!(" AND t.{} IS NOT NULL", column.name)).collect();
        let bytes = 1 + usize::from(index.spec().bits().get()).div_ceil(8);
        let cell = format!("t.{}", self.cell.name);
        let (length, beginning) = if self.cell.form == Form::Bytes {
            (bytes, format!("encode(substring({cell} FROM 1 FOR 1), 'hex')"))
        } else {
            (2 * bytes, format!("(left({cell}, 2) COLLATE \"C\")"))
        };
        let tags: Vec<String> = tags.map(|tag| format!("{tag:02x}")).collect();
        let sql = format!(
            "SELECT count(*) FROM {} AS t WHERE ({cell} IS NULL{}) OR octet_length({cell}) <> {length} OR {beginning} <> ALL ($1::text[])",
            table.name,
            values.concat()
        );
        let count: i64 = self.client.query_one(&sql, &[&tags]).map_err(failed)?.try_get(0).map_err(failed)?;
        Ok(u64::try_from(count).unwrap_or_default())
    }

    /// What to tell if PostgreSQL would read every row.
    pub(crate) fn hint(&mut self) -> Result<Option<String>> {
        let table = &self.source.table;
        if has_index(&mut self.client, table, &self.cell.name)? {
            return Ok(None);
        }
        let statement = table.create_index(&self.cell);
        Ok(Some(format!("PostgreSQL reads every row to find one; give the column an index: {statement}")))
    }
}

impl fmt::Debug for Lookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lookup({})", self.cell.name)
    }
}
