// SPDX-License-Identifier: MIT OR Apache-2.0
//! Plain statements over a SQLite file: all that the journal of runs needs.
//!
//! Owns the connection that knows no table, for whoever asks what a run is at. Never reads a row of a protected table.

use std::fmt;
use std::path::Path;

use amanat::error::{Error, Result};
use rusqlite::types::ValueRef as SqlRef;
use rusqlite::{Connection, OpenFlags, ToSql, params_from_iter};

use super::fault::failed;
use super::open;
use crate::run::{Parameter, Sql, SqlCell};

/// Milliseconds since 1970.
const NOW: &str = "SELECT CAST(round(unixepoch('subsec') * 1000) AS INTEGER)";

/// A connection to the journal of runs in a SQLite file, without a table and its schema.
pub struct SqliteJournal(Connection);

/// Opens a connection to the journal of runs in a file, which must be there. It can also change what a run is asked for.
///
/// # Errors
/// `Store` if the file cannot be opened.
pub fn journal(file: &Path) -> Result<SqliteJournal> {
    open(file, OpenFlags::SQLITE_OPEN_READ_WRITE).map(SqliteJournal)
}

impl Sql for SqliteJournal {
    fn execute(&mut self, sql: &str, parameters: &[Parameter<'_>]) -> Result<u64> {
        execute(&self.0, sql, parameters)
    }

    fn query(&mut self, sql: &str, parameters: &[Parameter<'_>]) -> Result<Vec<Vec<SqlCell>>> {
        query(&self.0, sql, parameters)
    }

    fn begin(&mut self) -> Result<()> {
        begin(&self.0)
    }

    fn commit(&mut self) -> Result<()> {
        commit(&self.0)
    }

    fn rollback(&mut self) -> Result<()> {
        rollback(&self.0)
    }

    fn now(&mut self) -> Result<i64> {
        now(&self.0)
    }

    fn prefix(&self) -> &str {
        ""
    }
}

impl fmt::Debug for SqliteJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SqliteJournal")
    }
}

pub(super) fn execute(connection: &Connection, sql: &str, parameters: &[Parameter<'_>]) -> Result<u64> {
    let mut statement = connection.prepare_cached(sql).map_err(failed)?;
    let changed = statement.execute(params_from_iter(parameters.iter().map(bound))).map_err(failed)?;
    Ok(u64::try_from(changed).unwrap_or(u64::MAX))
}

pub(super) fn query(
    connection: &Connection,
    sql: &str,
    parameters: &[Parameter<'_>],
) -> Result<Vec<Vec<SqlCell>>> {
    let mut statement = connection.prepare_cached(sql).map_err(failed)?;
    let columns = statement.column_count();
    let mut found = statement.query(params_from_iter(parameters.iter().map(bound))).map_err(failed)?;
    let mut rows = Vec::new();
    while let Some(row) = found.next().map_err(failed)? {
        let cell = |place| cell(row.get_ref(place).map_err(failed)?);
        rows.push((0..columns).map(cell).collect::<Result<_>>()?);
    }
    Ok(rows)
}

pub(super) fn begin(connection: &Connection) -> Result<()> {
    execute(connection, "BEGIN IMMEDIATE", &[]).map(drop)
}

pub(super) fn commit(connection: &Connection) -> Result<()> {
    execute(connection, "COMMIT", &[]).map(drop)
}

pub(super) fn rollback(connection: &Connection) -> Result<()> {
    if connection.is_autocommit() {
        return Ok(());
    }
    execute(connection, "ROLLBACK", &[]).map(drop)
}

pub(super) fn now(connection: &Connection) -> Result<i64> {
    let mut statement = connection.prepare_cached(NOW).map_err(failed)?;
    statement.query_row([], |row| row.get(0)).map_err(failed)
}

fn bound<'p>(parameter: &'p Parameter<'_>) -> &'p dyn ToSql {
    const NULL: Option<i64> = None;
    match parameter {
        Parameter::Integer(number) => number,
        Parameter::Null => &NULL,
        Parameter::Text(text) => text,
    }
}

fn cell(value: SqlRef<'_>) -> Result<SqlCell> {
    let edited = || {
        Error::malformed(
            "the journal of runs holds a value of a kind that is never written to it; was it edited?",
        )
    };
    Ok(match value {
        SqlRef::Null => SqlCell::Null,
        SqlRef::Integer(number) => SqlCell::Integer(number),
        SqlRef::Text(text) => SqlCell::Text(core::str::from_utf8(text).map_err(|_| edited())?.to_owned()),
        SqlRef::Blob(_) | SqlRef::Real(_) => return Err(edited()),
    })
}
