// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tables in SQLite files: protected in place, revealed into a copy.
//!
//! Owns connections to files. Never changes the settings of the user's file, never overwrites a value before its envelope was opened again and
//! found equal.

mod alter;
mod clean;
mod copy;
mod fault;
mod journal;
mod key_counts;
mod lane;
mod lookup;
mod position;
mod protect;
mod rows;
mod table;
mod write;

pub use copy::reveal;
pub use journal::{SqliteJournal, journal};
pub use lane::{SqliteLane, SqliteStore};
pub(crate) use lookup::Lookup;
pub use protect::protect;
pub use rows::SqliteBatch;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use amanat::error::{Error, Result};
use amanat::schema::TableSchema;
use rusqlite::{Connection, OpenFlags};

use self::fault::{failed, is_interrupted};
use self::lane::read_batch;
use self::rows::Pool;
use self::table::SqlTable;
use crate::engine::Rows;
use crate::run::Batch;
use crate::stream::Plan;
use crate::tally::Tally;

/// Rows that are read at once where nothing else bounds them.
const BATCH_ROWS: usize = 10_000;
/// How long another process's transaction is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// What remains of plaintext in the file after its cells were overwritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cleaning {
    /// Old pages stay as they are; `PRAGMA secure_delete` has zeroed what was freed.
    Keep,
    /// The file is rebuilt and its write-ahead log emptied, also after a run that had nothing to change, if free pages or a log are there:
    /// an earlier run may have been stopped. A file with a table that has neither an INTEGER PRIMARY KEY nor WITHOUT ROWID is not
    /// rebuilt, because rows of such a table may get other rowids, and whatever stores those would point at other rows; the user is told.
    Vacuum,
}

/// What a run over a table has done.
#[derive(Debug)]
#[non_exhaustive]
pub struct SqliteReport {
    /// Counts.
    pub tally: Tally,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// Number of rows of a table.
///
/// # Errors
/// `Store` if the file cannot be read; `Schema` if table and schema do not fit.
pub fn count(plan: Plan<'_>, file: &Path, sql_table: &str) -> Result<u64> {
    let connection = open(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let table = SqlTable::read(&connection, sql_table, plan.table)?;
    table::number(&connection, &table.count(), &[])
}

/// Reads some fields of a table, by their places in the schema, and hands over the batches.
pub(crate) fn scan(
    schema: &TableSchema,
    file: &Path,
    sql_table: &str,
    fields: &[usize],
    mut take: impl FnMut(&SqliteBatch) -> Result<()>,
) -> Result<()> {
    let connection = open(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let table = SqlTable::with_cells(&connection, sql_table, schema, |columns| {
        fields.iter().filter_map(|field| columns.fields.get(*field).copied()).collect()
    })?;
    batches(&connection, &Arc::new(table), |batch| take(batch))
}

/// Reads a whole table, batch by batch.
fn batches(
    connection: &Connection,
    table: &Arc<SqlTable>,
    mut take: impl FnMut(&SqliteBatch) -> Result<()>,
) -> Result<()> {
    let (mut after, mut next, pool) = (None, 1, Pool::default());
    loop {
        let batch = read_batch(connection, table, (after.as_ref(), None), (BATCH_ROWS, &pool), next)?;
        let Some(last) = batch.count().checked_sub(1) else { return Ok(()) };
        take(&batch)?;
        (after, next) = (batch.position(last), batch.number(last) + 1);
    }
}

fn open(file: &Path, flags: OpenFlags) -> Result<Connection> {
    let open = |flags| -> Result<Connection> {
        let connection =
            Connection::open_with_flags(file, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX).map_err(|error| {
                Error::store(format!("{}: cannot be opened as a SQLite file", file.display()), error)
            })?;
        connection.busy_timeout(PATIENCE).map_err(failed)?;
        Ok(connection)
    };
    let connection = open(flags)?;
    if flags.contains(OpenFlags::SQLITE_OPEN_READ_ONLY)
        && looked_at(&connection).is_err_and(|error| is_interrupted(&error))
    {
        // A process was killed while it wrote. What it left is taken back by whoever opens the file for writing.
        looked_at(&open(OpenFlags::SQLITE_OPEN_READ_WRITE)?).map_err(failed)?;
    }
    Ok(connection)
}

/// Reads from the file as little as makes SQLite look at it.
fn looked_at(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
}
