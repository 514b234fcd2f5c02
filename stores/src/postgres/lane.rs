// SPDX-License-Identifier: MIT OR Apache-2.0
//! One connection that works on a table while applications go on changing it.
//!
//! Owns transactions and what is read in one go. Never keeps a lock longer than one batch.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use amanat::error::{Error, Result};
use postgres::types::{ToSql, Type};
use postgres::{Client, Row, Statement};

use super::error::failed;
use super::rows::{PgBatch, Source};
use super::statements::Ends;
use super::table::PgTable;
use super::write::{Changes, not_held};
use super::{counts, journal, split};
use crate::engine::Rows as _;
use crate::run::{KeyCount, KeyRange, Lane, Parameter, Position, SealedBatch, Sql, SqlCell, Written};

/// A batch is full when it holds about this many bytes, however few rows these are.
const BATCH_BYTES: usize = 1 << 22;
/// Rows of the first read: nothing is known yet of their size.
const FIRST_ROWS: usize = 1_000;
/// Statements that are kept ready; a batch needs three.
const MOST_STATEMENTS: usize = 64;

/// How sessions are set.
///
/// Rows are met by the index of their key alone: whatever the statistics say, a plan that sorts or hashes the whole table for one batch is worse,
/// and compiling plans is wasted on such statements. `row_security = off` makes the server refuse where it would hide rows. A lock is waited for
/// less than the second after which other sessions look for deadlocks, so that it is the run that gives way and not the application.
/// What is committed is on the disk, also where the server is set to say so earlier: the run goes on from there.
pub(super) const SETTINGS: &str = "SET enable_sort = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET jit = off; \
     SET plan_cache_mode = force_generic_plan; SET row_security = off; SET lock_timeout = '800ms'; SET datestyle = 'ISO'; \
     SET intervalstyle = 'iso_8601'; SET bytea_output = 'hex'; SET extra_float_digits = 1; \
     SELECT set_config('synchronous_commit', 'local', false) WHERE current_setting('synchronous_commit') = 'off'";

/// A connection at work on a table.
pub struct PostgresLane {
    client: Client,
    source: Arc<Source>,
    /// What stands before the names of the journal's tables.
    prefix: String,
    /// What a person should know of the connection.
    advice: Option<String>,
    statements: HashMap<String, Statement>,
    is_open: bool,
    /// Rows that fit into a batch, by the size of those read last.
    fitting: usize,
}

impl PostgresLane {
    pub(super) fn new(client: Client, table: PgTable, advice: Option<String>) -> Self {
        let prefix = format!("{}.", table.namespace);
        let layout = table.selection().1;
        let source = Arc::new(Source { table, layout });
        Self {
            client,
            source,
            prefix,
            advice,
            statements: HashMap::new(),
            is_open: false,
            fitting: FIRST_ROWS,
        }
    }

    /// The connection, for statements that are none of a batch.
    pub(super) const fn client(&mut self) -> &mut Client {
        &mut self.client
    }

    fn table(&self) -> &PgTable {
        &self.source.table
    }

    /// The parts of a key.
    fn parts(&self, position: &Position) -> Result<Vec<String>> {
        let parts: Option<Vec<String>> = serde_json::from_str(&position.0).ok();
        parts.filter(|parts| parts.len() == self.table().key.len()).ok_or_else(|| {
            Error::malformed(
                "the journal holds a position that is none of this table: the journal was edited, or the table has another key now; cancel the run \
                 and start a new one",
            )
        })
    }

    fn statement(&mut self, sql: String) -> Result<Statement> {
        if let Some(statement) = self.statements.get(&sql) {
            return Ok(statement.clone());
        }
        if self.statements.len() >= MOST_STATEMENTS {
            self.statements.clear();
        }
        let statement = self.client.prepare(&sql).map_err(failed)?;
        self.statements.insert(sql, statement.clone());
        Ok(statement)
    }

    /// Makes sure that the rows that were hit hold what was written, when all triggers have run.
    fn check_held(&mut self, batch: &PgBatch, changes: &Changes<'_>) -> Result<()> {
        let sql = self.table().holds(&changes.places, &changes.unchanged);
        let statement = self.statement(sql)?;
        let rows = self.client.query(&statement, &changes.parameters()).map_err(failed)?;
        for row in &rows {
            let held = (1..row.len()).map(|place| row.try_get::<_, bool>(place).map_err(failed));
            let held = held.collect::<Result<Vec<bool>>>()?;
            if let Some(wrong) = held.iter().position(|held| !held) {
                let number = batch.number(changed_row(changes, row)?);
                return Err(not_held(self.table(), number, changes.places.get(wrong).copied()));
            }
        }
        Ok(())
    }
}

impl Sql for PostgresLane {
    fn execute(&mut self, sql: &str, parameters: &[Parameter<'_>]) -> Result<u64> {
        journal::execute(&mut self.client, sql, parameters)
    }

    fn query(&mut self, sql: &str, parameters: &[Parameter<'_>]) -> Result<Vec<Vec<SqlCell>>> {
        journal::query(&mut self.client, sql, parameters)
    }

    fn begin(&mut self) -> Result<()> {
        journal::begin(&mut self.client, &mut self.is_open)
    }

    fn commit(&mut self) -> Result<()> {
        journal::commit(&mut self.client, &mut self.is_open)
    }

    fn rollback(&mut self) -> Result<()> {
        journal::rollback(&mut self.client, &mut self.is_open)
    }

    fn now(&mut self) -> Result<i64> {
        journal::now(&mut self.client)
    }

    fn prefix(&self) -> &str {
        &self.prefix
    }
}

impl Lane for PostgresLane {
    type Batch = PgBatch;

    fn split(&mut self, parts: usize) -> Result<Vec<KeyRange>> {
        split::ranges(&mut self.client, &self.source.table, parts)
    }

    fn count(&mut self) -> Result<u64> {
        let sql = format!("SELECT count(*) FROM {}", self.table().name);
        let count: i64 =
            self.client.query_typed_one(&sql, &[]).map_err(failed)?.try_get(0).map_err(failed)?;
        Ok(u64::try_from(count).unwrap_or_default())
    }

    fn read(
        &mut self,
        range: &KeyRange,
        after: Option<&Position>,
        rows: usize,
        number: u64,
    ) -> Result<Self::Batch> {
        let after = after.or(range.after.as_ref()).map(|position| self.parts(position)).transpose()?;
        let upto = range.upto.as_ref().map(|position| self.parts(position)).transpose()?;
        let ends = Ends { after: after.is_some(), upto: upto.is_some() };
        let sql = self.table().select(ends, rows.min(self.fitting).max(1));
        let key: Vec<String> = after.into_iter().chain(upto).flatten().collect();
        let typed: Vec<(&(dyn ToSql + Sync), Type)> =
            key.iter().map(|part| (part as &(dyn ToSql + Sync), Type::TEXT)).collect();
        let found = self.client.query_typed(&sql, &typed).map_err(failed)?;
        let batch = PgBatch::new(&self.source, found, number);
        if batch.count() > 0 {
            let row_bytes = (batch.bytes() / batch.count()).max(1);
            // A few small rows promise nothing of the next ones.
            self.fitting =
                (BATCH_BYTES / row_bytes).clamp(1, batch.count().max(FIRST_ROWS / 4).saturating_mul(4));
        }
        Ok(batch)
    }

    fn read_locked(&mut self, rows: &[Position], number: u64) -> Result<Self::Batch> {
        let keys = rows.iter().map(|position| self.parts(position)).collect::<Result<Vec<_>>>()?;
        let width = self.table().key.len();
        let array = |part: usize| keys.iter().map(|key| key.get(part).map(String::as_str)).collect();
        let arrays: Vec<Vec<Option<&str>>> = (0..width).map(array).collect();
        let statement = self.statement(self.table().select_locked())?;
        let parameters: Vec<&(dyn ToSql + Sync)> =
            arrays.iter().map(|array| array as &(dyn ToSql + Sync)).collect();
        let found = self.client.query(&statement, &parameters).map_err(failed)?;
        Ok(PgBatch::new(&self.source, found, number))
    }

    fn write(&mut self, batch: &Self::Batch, sealed: &SealedBatch) -> Result<Written> {
        let changes = Changes::of(batch, sealed)?;
        if changes.rows.is_empty() {
            return Ok(Written::default());
        }
        let statement = self.statement(self.table().update(&changes.places, &changes.unchanged))?;
        let hit = self.client.query(&statement, &changes.parameters()).map_err(failed)?;
        let mut was_hit = vec![false; changes.rows.len()];
        let mut all_hold = true;
        for row in &hit {
            all_hold &= row.try_get::<_, bool>(1).map_err(failed)?;
            was_hit.get_mut(place(row)?).into_iter().for_each(|hit| *hit = true);
        }
        let lost = changes.rows.iter().zip(&was_hit).filter(|(_, hit)| !**hit).map(|(row, _)| *row).collect();
        let written = Written { lost, masked: changes.masked };
        if !all_hold || self.table().triggers.run_after {
            self.check_held(batch, &changes)?;
            if !all_hold {
                return Err(not_held(self.table(), batch.number(0), None));
            }
        }
        Ok(written)
    }

    fn key_counts(&mut self) -> Result<Vec<KeyCount>> {
        counts::key_counts(&mut self.client, &self.source.table)
    }

    fn advice(&mut self) -> Result<Vec<String>> {
        let mut advice: Vec<String> = self.advice.iter().cloned().collect();
        advice.extend(super::advice::of_table(&mut self.client, &self.source.table)?);
        Ok(advice)
    }
}

/// The row of the batch that a row of an answer is about.
fn changed_row(changes: &Changes<'_>, row: &Row) -> Result<usize> {
    changes
        .rows
        .get(place(row)?)
        .copied()
        .ok_or_else(|| Error::misuse("the server names a row that was not written"))
}

/// The place of a row among those written, from 0.
fn place(row: &Row) -> Result<usize> {
    let place: i64 = row.try_get(0).map_err(failed)?;
    Ok(usize::try_from(place.saturating_sub(1)).unwrap_or(usize::MAX))
}

impl fmt::Debug for PostgresLane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresLane({})", self.table().told)
    }
}
