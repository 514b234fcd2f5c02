// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs over tables of SQLite files: one connection that reads, writes and keeps the journal.
//!
//! Owns the transaction, which excludes every other writer of the file. Never changes the settings of the user's file.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use amanat::error::{Error, Result};
use amanat::schema::TableSchema;
use rusqlite::{Connection, OpenFlags, params_from_iter};

use super::fault::{failed, recovery};
use super::key_counts::key_counts;
use super::position::from_position;
use super::rows::{Pool, Seen, SqliteBatch};
use super::table::{self, SqlTable};
use super::write::{Change, Compare, STATEMENTS, Writer};
use super::{Cleaning, clean, journal, open};
use crate::engine::Rows;
use crate::migration::Work;
use crate::run::{
    KeyCount, KeyRange, Lane, Parameter, Position, Recovery, SealedBatch, Sql, SqlCell, Store, Written,
};

/// A batch is full when it holds this many bytes, however few rows these are.
const BATCH_BYTES: usize = 1 << 24;
/// Connections of this process, counted.
static CONNECTIONS: AtomicU64 = AtomicU64::new(0);

/// A table in a SQLite file. SQLite has one writer at a time, so a run has one lane.
#[derive(Clone, Debug)]
pub struct SqliteStore {
    pub(super) file: PathBuf,
    pub(super) sql_table: String,
    pub(super) schema: TableSchema,
    pub(super) work: Arc<Work>,
}

impl SqliteStore {
    /// Names a table of a file; nothing is opened yet. `sql_table` is its name in the file, in the letters of its definition.
    #[must_use]
    pub fn new(file: &Path, sql_table: &str, schema: &TableSchema) -> Self {
        Self {
            file: file.to_path_buf(),
            sql_table: sql_table.to_owned(),
            schema: schema.clone(),
            work: Arc::default(),
        }
    }

    /// Says what a run takes from elsewhere: that of its session.
    #[must_use]
    pub fn with_work(mut self, work: &Arc<Work>) -> Self {
        self.work = Arc::clone(work);
        self
    }

    /// Opens a connection that writes nothing.
    ///
    /// # Errors
    /// As [`Store::connect`].
    pub fn connect_read_only(&self) -> Result<SqliteLane> {
        self.lane(OpenFlags::SQLITE_OPEN_READ_ONLY)
    }

    /// Removes what remains of old values in the file, once a run is over; `changed` says whether the run replaced any. Gives what the
    /// user should know: what could not be removed, and why.
    ///
    /// # Errors
    /// `Store` if the file cannot be opened.
    pub fn clean(&self, cleaning: Cleaning, changed: bool) -> Result<Vec<String>> {
        let mut warnings = Vec::new();
        if cleaning == Cleaning::Vacuum {
            let connection = open(&self.file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
            clean::clean(&connection, changed, &mut warnings);
        }
        Ok(warnings)
    }

    fn lane(&self, flags: OpenFlags) -> Result<SqliteLane> {
        let connection = open(&self.file, flags)?;
        connection.set_prepared_statement_cache_capacity(2 * STATEMENTS);
        let version = schema_version(&connection)?;
        let table = SqlTable::of_work(&connection, &self.sql_table, &self.schema, &self.work)?;
        table::check_surrogates(&connection, &self.sql_table, &self.schema, &table)?;
        if !flags.contains(OpenFlags::SQLITE_OPEN_READ_ONLY) {
            connection.pragma_update(None, "secure_delete", true).map_err(failed)?;
        }
        let (number, pool) = (CONNECTIONS.fetch_add(1, Ordering::Relaxed), Pool::default());
        Ok(SqliteLane { connection, number, store: self.clone(), table: Arc::new(table), version, pool })
    }
}

impl Store for SqliteStore {
    type Lane = SqliteLane;

    fn connect(&self) -> Result<SqliteLane> {
        self.lane(OpenFlags::SQLITE_OPEN_READ_WRITE)
    }

    fn table_name(&self) -> &str {
        &self.sql_table
    }

    fn most_lanes(&self) -> usize {
        1
    }

    fn recovery(&self, error: &Error) -> Recovery {
        recovery(error)
    }
}

/// A connection to a SQLite file.
pub struct SqliteLane {
    connection: Connection,
    number: u64,
    store: SqliteStore,
    table: Arc<SqlTable>,
    /// Changes when anybody changes a table, an index or a trigger of the file.
    version: i64,
    /// Memory of batches.
    pool: Pool,
}

impl SqliteLane {
    /// What the user should know of a table; `changed` says whether anything of it was written.
    pub(super) fn hints(&self, changed: bool) -> Result<Vec<String>> {
        let mut hints = table::missing_indexes(&self.connection, &self.table, &self.store.schema)?;
        let triggers = self.table.triggers;
        if changed && triggers > 0 {
            hints.push(format!(
                "{triggers} triggers of the table saw the old values; look for copies they made"
            ));
        }
        Ok(hints)
    }

    /// What this connection sees of the file now.
    ///
    /// `PRAGMA data_version` is another number as soon as another connection has committed anything, and the same for what this one commits.
    fn seen(&self) -> Result<Seen> {
        let mut statement = self.connection.prepare_cached("PRAGMA data_version").map_err(failed)?;
        let version = statement.query_row([], |row| row.get(0)).map_err(failed)?;
        Ok(Seen { connection: self.number, version })
    }

    /// Looks at the table again if anything in the file was defined otherwise meanwhile.
    fn look_again(&mut self) -> Result<()> {
        let version = schema_version(&self.connection)?;
        if version == self.version {
            return Ok(());
        }
        let SqliteStore { sql_table, schema, work, .. } = &self.store;
        let table = SqlTable::of_work(&self.connection, sql_table, schema, work)?;
        if !self.table.fits(&table) {
            return Err(Error::schema(
                "the table was changed while the run went on; nothing of this batch was kept; run again to go on with the table as it is",
            ));
        }
        (self.table, self.version) = (Arc::new(table), version);
        Ok(())
    }
}

impl Lane for SqliteLane {
    type Batch = SqliteBatch;

    fn split(&mut self, _parts: usize) -> Result<Vec<KeyRange>> {
        Ok(vec![KeyRange::default()])
    }

    fn count(&mut self) -> Result<u64> {
        table::number(&self.connection, &self.table.count(), &[])
    }

    fn read(
        &mut self,
        range: &KeyRange,
        after: Option<&Position>,
        rows: usize,
        number: u64,
    ) -> Result<SqliteBatch> {
        self.look_again()?;
        let ends = (after.or(range.after.as_ref()), range.upto.as_ref());
        // Before the rows: what is committed between the two then counts as behind them.
        let seen = self.seen()?;
        let mut batch = read_batch(&self.connection, &self.table, ends, (rows, &self.pool), number)?;
        batch.seen = Some(seen);
        Ok(batch)
    }

    fn read_locked(&mut self, rows: &[Position], number: u64) -> Result<SqliteBatch> {
        if self.connection.is_autocommit() {
            return Err(Error::misuse("rows are locked inside a transaction only"));
        }
        self.look_again()?;
        let mut batch = SqliteBatch::new(&self.table, &self.pool);
        let mut statement = self.connection.prepare_cached(&self.table.select_one()).map_err(failed)?;
        for position in rows {
            let key = from_position(position, self.table.key.len())?;
            let mut found = statement.query(params_from_iter(&key)).map_err(failed)?;
            // A row that was deleted meanwhile needs nothing.
            if let Some(row) = found.next().map_err(failed)? {
                batch.push(row, number + u64::try_from(batch.count()).unwrap_or_default())?;
            }
        }
        Ok(batch)
    }

    fn write(&mut self, batch: &SqliteBatch, sealed: &SealedBatch) -> Result<Written> {
        self.look_again()?;
        if !self.table.fits(&batch.table) {
            return Err(Error::misuse("the batch is of another table"));
        }
        let (mut written, mut change) = (Written::default(), Change::default());
        // Inside the transaction nobody else writes, and triggers may change any row.
        let excludes = !self.connection.is_autocommit() && !self.table.watched;
        let compare =
            if excludes && batch.seen == Some(self.seen()?) { Compare::Version } else { Compare::Cells };
        let mut writer = Writer::new(&self.connection, batch, compare);
        for row in 0..batch.count() {
            change.fill(batch, sealed, row)?;
            if change.places.is_empty() {
                continue;
            }
            if writer.write(row, &change)? {
                written.masked += change.masked;
            } else {
                written.lost.push(row);
            }
        }
        // Only now: a trigger may change rows that were written before its own.
        let mut lost = written.lost.iter().peekable();
        for row in (0..batch.count()).filter(|_| self.table.watched) {
            change.fill(batch, sealed, row)?;
            if lost.next_if_eq(&&row).is_none() && !change.places.is_empty() {
                writer.check(row, &change)?;
            }
        }
        Ok(written)
    }

    fn key_counts(&mut self) -> Result<Vec<KeyCount>> {
        self.look_again()?;
        key_counts(&self.connection, &self.table, &self.store.schema)
    }

    fn advice(&mut self) -> Result<Vec<String>> {
        self.hints(true)
    }
}

impl Sql for SqliteLane {
    fn execute(&mut self, sql: &str, parameters: &[Parameter<'_>]) -> Result<u64> {
        journal::execute(&self.connection, sql, parameters)
    }

    fn query(&mut self, sql: &str, parameters: &[Parameter<'_>]) -> Result<Vec<Vec<SqlCell>>> {
        journal::query(&self.connection, sql, parameters)
    }

    fn begin(&mut self) -> Result<()> {
        journal::begin(&self.connection)
    }

    fn commit(&mut self) -> Result<()> {
        journal::commit(&self.connection)
    }

    fn rollback(&mut self) -> Result<()> {
        journal::rollback(&self.connection)
    }

    fn now(&mut self) -> Result<i64> {
        journal::now(&self.connection)
    }

    fn prefix(&self) -> &str {
        ""
    }
}

impl fmt::Debug for SqliteLane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SqliteLane({})", self.store.sql_table)
    }
}

/// Reads rows between two positions: up to so many, or up to a batch's bytes.
pub(super) fn read_batch(
    connection: &Connection,
    table: &Arc<SqlTable>,
    (after, upto): (Option<&Position>, Option<&Position>),
    (most, pool): (usize, &Pool),
    first: u64,
) -> Result<SqliteBatch> {
    let mut batch = SqliteBatch::new(table, pool);
    let sql = table.select(after.is_some(), upto.is_some());
    let mut statement = connection.prepare_cached(&sql).map_err(failed)?;
    let ends = after.into_iter().chain(upto).map(|position| from_position(position, table.key.len()));
    let ends = ends.collect::<Result<Vec<_>>>()?;
    let mut found = statement.query(params_from_iter(ends.iter().flatten())).map_err(failed)?;
    let mut number = first;
    while batch.count() < most && batch.held_bytes() < BATCH_BYTES {
        let Some(row) = found.next().map_err(failed)? else { break };
        batch.push(row, number)?;
        number += 1;
    }
    Ok(batch)
}

fn schema_version(connection: &Connection) -> Result<i64> {
    let mut statement = connection.prepare_cached("PRAGMA schema_version").map_err(failed)?;
    statement.query_row([], |row| row.get(0)).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_sees_what_others_commit_and_nothing_of_it_holds_for_another() -> Result<()> {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("people.db");
        let other = Connection::open(&file).map_err(failed)?;
        let table = "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT); CREATE TABLE more (id INTEGER)";
        other.execute_batch(table).map_err(failed)?;
        let schema = amanat::schema::Schema::from_toml(
            "format = \"amanat-schema\"\nversion = 1\n[[table]]\nname = \"people\"\nrecord_id = [\"id\"]\nfield = [{ name = \"name\", mode = \"sealed\" }]",
        )?;
        let [table] = schema.tables() else { return Err(Error::misuse("one table")) };
        let store = SqliteStore::new(&file, "people", table);
        let (mut lane, second) = (store.connect()?, store.connect()?);
        let seen = lane.seen()?;
        assert_ne!(seen, second.seen()?, "numbers of two connections are not compared");
        lane.begin()?;
        lane.execute("INSERT INTO more VALUES (1)", &[])?;
        assert_eq!(seen, lane.seen()?, "what it writes itself changes nothing");
        lane.commit()?;
        assert_eq!(seen, lane.seen()?);
        other.execute_batch("INSERT INTO people VALUES (1, 'synthetic')").map_err(failed)?;
        lane.begin()?;
        assert_ne!(seen, lane.seen()?, "another has committed");
        lane.rollback()
    }
}
