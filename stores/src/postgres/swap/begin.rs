// SPDX-License-Identifier: MIT OR Apache-2.0
//! How a swap begins: planned after a rehearsal, then the copy and its trigger.
//!
//! Owns the first steps of SPEC 11.9, up to the first row. Never leaves anything of a rehearsal behind.

use std::thread;

use amanat::error::Result;
use amanat::rotate::RunPlan;

use super::state::{State, Step as Stand};
use super::{Swap, exchange, names_of, replaced};
use crate::postgres::error::recovery;
use crate::postgres::lane::PostgresLane;
use crate::postgres::table::PgTable;
use crate::postgres::{PostgresStore, session};
use crate::run::journal::Journal;
use crate::run::{Lane as _, Recovery, RunObserver, Sql as _, Step};

/// Rows of a range, about: what is lost when a copy is interrupted.
const RANGE_ROWS: u64 = 250_000;
/// Most ranges.
const MOST_RANGES: u64 = 4_096;

impl Swap<'_> {
    /// Puts a run into the journal, after the whole exchange was rehearsed with an empty copy and taken back: for this the table is locked
    /// for a moment. No row is touched.
    ///
    /// # Errors
    /// `Schema` if something hangs on the table that cannot be moved to a copy, by its name; `Misuse` if the table has a run that is not
    /// over; `Store`, among others if the table is locked by others for too long.
    pub fn plan(&self, plan: &RunPlan, observer: &dyn RunObserver) -> Result<()> {
        let (mut lane, table) = self.lane_of(&self.store.name)?;
        let names = names_of(lane.client(), &table, &plan.id.to_string())?;
        let mut attempt = 1;
        loop {
            lane.begin()?;
            let rehearsed = exchange::rehearse(lane.client(), &names, &table);
            lane.rollback()?;
            match rehearsed {
                Ok(()) => break,
                Err(error) if recovery(&error) == Recovery::Retry && attempt < self.lock.attempts => {
                    observer.step(&Step::Again(&error))?;
                    thread::sleep(self.lock.pause);
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        }
        let rows = lane.count()?;
        let lanes = u64::try_from(self.lanes()).unwrap_or(1);
        let parts = rows.div_ceil(RANGE_ROWS).max(if lanes > 1 { lanes * 4 } else { 1 }).min(MOST_RANGES);
        let ranges = lane.split(usize::try_from(parts).unwrap_or(1))?;
        Journal::new(&mut lane).create()?;
        State::create(&mut lane)?;
        // From here on the run is one of this mode.
        let (run, after) = (plan.id.to_string(), Vec::new());
        State { run, old: table.oid, copy: 0, step: Stand::Copying, after }.write(&mut lane)?;
        Journal::new(&mut lane).plan(plan, &ranges)?;
        observer.step(&Step::Planned)
    }

    /// Whether a run was planned by this mode: it must be driven and cancelled by it.
    ///
    /// # Errors
    /// `Store`.
    pub fn is_swap(store: &PostgresStore, run: &str) -> Result<bool> {
        let mut client = session(&store.url)?;
        let table = PgTable::read(&mut client, &store.name, &store.schema, &store.work)?;
        let mut lane = PostgresLane::new(client, table, None);
        let sql = format!(
            "SELECT count(*) FROM pg_class WHERE oid = to_regclass('{}amanat_swap')",
            lane.prefix().replace('\'', "''")
        );
        let found = lane.query(&sql, &[])?.into_iter().flatten().next().and_then(|cell| cell.as_integer());
        Ok(found == Some(1) && State::read(&mut lane, run)?.is_some())
    }

    /// Makes copy and trigger, unless they are there.
    pub(super) fn prepare(&self, run: &str) -> Result<()> {
        let (mut lane, table) = self.lane_of(&self.store.name)?;
        let names = names_of(lane.client(), &table, run)?;
        let mut state = self.state(&mut lane, run)?;
        if state.copy != 0 {
            return Ok(());
        }
        if state.old != table.oid {
            return Err(replaced(&table.told));
        }
        let mut attempt = 1;
        loop {
            lane.begin()?;
            let made = exchange::prepare(lane.client(), &names, &table).and_then(|copy| {
                state.copy = copy;
                state.write(&mut lane)?;
                lane.commit()
            });
            let Err(error) = made else { return Ok(()) };
            lane.rollback()?;
            if recovery(&error) != Recovery::Retry || attempt >= self.lock.attempts {
                return Err(error);
            }
            attempt += 1;
            thread::sleep(self.lock.pause);
        }
    }
}
