// SPDX-License-Identifier: MIT OR Apache-2.0
//! Columns of a SQLite table that a change of its schema needs or leaves behind.
//!
//! Owns the adding of columns. Never drops one.

use amanat::error::{Error, Result};
use rusqlite::OpenFlags;

use super::fault::failed;
use super::table::quote;
use super::{SqliteStore, open};
use crate::new_columns::{ColumnStatements, Dialect, FoundColumn};

const FOUND: &str =
    "SELECT name, \"notnull\" OR pk > 0 FROM pragma_table_xinfo(?1) WHERE hidden <> 1 ORDER BY cid";

impl SqliteStore {
    /// The statements that add the columns which the schema has and the table lacks, and those that drop what the work leaves empty.
    ///
    /// # Errors
    /// `Store` if the file cannot be read; `Schema` if it has no such table, or if a column that is to be emptied must hold something.
    pub fn column_statements(&self) -> Result<ColumnStatements> {
        let connection = open(&self.file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let mut statement = connection.prepare(FOUND).map_err(failed)?;
        let found = statement.query_map([&self.sql_table], |row| Ok((row.get(0)?, row.get(1)?)));
        let found: Vec<FoundColumn> =
            found.and_then(Iterator::collect::<rusqlite::Result<_>>).map_err(failed)?;
        if found.is_empty() {
            return Err(Error::schema("the SQLite file has no table of this name; name it with --sql-table"));
        }
        let table = quote(&self.sql_table);
        let dialect = Dialect { table: &table, quote, bytes: "BLOB", integer: "INTEGER", boolean: "INTEGER" };
        ColumnStatements::new(&self.schema, &self.work, &found, &dialect)
    }

    /// Adds the columns that the table lacks, all or none. Gives the statements that did it.
    ///
    /// # Errors
    /// As [`column_statements`](Self::column_statements).
    pub fn add_columns(&self) -> Result<Vec<String>> {
        let ColumnStatements { add, .. } = self.column_statements()?;
        if !add.is_empty() {
            let connection = open(&self.file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
            connection
                .execute_batch(&format!("BEGIN IMMEDIATE; {} COMMIT;", add.join(" ")))
                .map_err(failed)?;
        }
        Ok(add)
    }
}
