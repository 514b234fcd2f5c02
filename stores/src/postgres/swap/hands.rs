// SPDX-License-Identifier: MIT OR Apache-2.0
//! What copies ranges, works off changes and checks: two connections and the threads' protectors.
//!
//! Owns the transaction of each of these pieces of work, each with its checkpoint. Never counts a range twice.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use amanat::error::{Error, Result};
use amanat::rotate::Stage;
use postgres::Client;

use super::changes::{self, Noted};
use super::copy::{Columns, Copied, refused};
use super::names::Names;
use super::{Site, Swap};
use crate::engine::{Effort, Protector, Rows as _};
use crate::postgres::error::{failed, recovery};
use crate::postgres::lane::PostgresLane;
use crate::run::journal::{Journal, Owner, RangeState};
use crate::run::{Batch as _, Lane as _, Recovery, RunObserver, SealedBatch, Sql as _, Step};
use crate::tally::Tally;

/// How often a piece of work is tried.
const ATTEMPTS: u32 = 8;
/// How long is waited before the second attempt; twice as long before each further one.
const FIRST_WAIT: Duration = Duration::from_millis(50);

/// Two connections at work on a swap.
pub(super) struct Hands<'a> {
    pub(super) swap: &'a Swap<'a>,
    pub(super) site: &'a Site,
    pub(super) owner: &'a Owner,
    pub(super) observer: &'a dyn RunObserver,
    /// Reads the table.
    out: Client,
    /// Writes the copy and the journal.
    pub(super) lane: PostgresLane,
    protectors: Vec<Protector<'a>>,
    checkers: Vec<Protector<'a>>,
    stops: &'a AtomicBool,
}

impl<'a> Hands<'a> {
    pub(super) fn new(
        swap: &'a Swap<'a>,
        (site, owner): (&'a Site, &'a Owner),
        observer: &'a dyn RunObserver,
        stops: &'a AtomicBool,
    ) -> Result<Self> {
        let protectors = |effort| -> Result<Vec<Protector<'a>>> {
            let protector = || Protector::new(swap.session, swap.table, effort, swap.source);
            (0..swap.options.threads.get()).map(|_| protector()).collect()
        };
        let (out, lane) = swap.connections(site)?;
        Ok(Self {
            swap,
            site,
            owner,
            observer,
            out,
            lane,
            protectors: protectors(Effort::SealAndVerify)?,
            checkers: protectors(Effort::Check)?,
            stops,
        })
    }

    fn names(&self) -> &'a Names {
        &self.site.names
    }

    fn columns(&self) -> &'a Columns {
        &self.site.columns
    }

    /// Whether the run shall stop.
    pub(super) fn stops(&self) -> bool {
        self.stops.load(Ordering::Relaxed) || self.swap.options.stop.load(Ordering::Relaxed)
    }

    /// Does something that may be tried again, over new connections if need be. It must find out itself whether it was done before.
    pub(super) fn attempt<T>(&mut self, mut work: impl FnMut(&mut Self) -> Result<T>) -> Result<T> {
        let mut wait = FIRST_WAIT;
        for attempt in 1.. {
            let error = match work(self) {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            // The connections may be gone with their transactions.
            drop(self.lane.rollback());
            drop(self.out.batch_execute("ROLLBACK"));
            let recovery = recovery(&error);
            if recovery == Recovery::Stop || attempt == ATTEMPTS || self.stops() {
                return Err(error);
            }
            self.observer.step(&Step::Again(&error))?;
            thread::sleep(wait);
            wait *= 2;
            if recovery == Recovery::Reconnect
                && let Ok((out, lane)) = self.swap.connections(self.site)
            {
                (self.out, self.lane) = (out, lane);
            }
        }
        Err(Error::misuse("no attempt was made"))
    }

    /// Copies a range; false if the run shall stop.
    pub(super) fn copy_range(&mut self, number: i64) -> Result<bool> {
        let done = self.attempt(|this| {
            let state = Journal::new(&mut this.lane).range(this.owner, number)?;
            if state.stage != Stage::Rows {
                return Ok(Some((Tally::default(), state, Vec::new())));
            }
            let from = this.columns().range(&mut this.out, &state.range)?;
            this.lane.begin()?;
            let Some(copied) = this.transfer(&from)? else {
                this.lane.rollback()?;
                return Ok(None);
            };
            let mut next = state;
            next.tally.add(&copied.tally);
            next.stage = Stage::Check;
            let faults = this.close(&next, copied)?;
            Ok(Some((next.tally.clone(), next, faults)))
        })?;
        let Some((counts, state, faults)) = done else { return Ok(false) };
        for fault in &faults {
            self.observer.step(&Step::Refused(fault))?;
        }
        self.observer.step(&Step::Batch(&counts, &state))?;
        self.observer.step(&Step::Range(&state))?;
        Ok(true)
    }

    /// Copies rows in the transaction that is open; none if the run shall stop.
    fn transfer(&mut self, from: &str) -> Result<Option<Copied>> {
        let copy = self.names().qualified(&self.names().copy());
        let (columns, rows, begun) = (self.columns(), self.swap.options.batch_rows.1.max(1), Instant::now());
        let (stop, stops) = (self.swap.options.stop, self.stops);
        let cap = self.swap.cap();
        let (mut written, mut stopped) = (0.0, false);
        let mut told = |rows: usize| {
            written += f64::from(u32::try_from(rows).unwrap_or(u32::MAX));
            let due = cap.map(|cap| Duration::from_secs_f64(written / cap));
            loop {
                stopped = stops.load(Ordering::Relaxed) || stop.load(Ordering::Relaxed);
                let left = due.and_then(|due| due.checked_sub(begun.elapsed()));
                match left {
                    _ if stopped => return Err(Error::misuse("the run shall stop")),
                    None => return Ok(()),
                    Some(left) => thread::sleep(left.min(Duration::from_millis(100))),
                }
            }
        };
        let hands = (self.protectors.as_mut_slice(), rows);
        let copied = columns.pump((&mut self.out, from), (self.lane.client(), &copy), hands, &mut told);
        if stopped { Ok(None) } else { copied.map(Some) }
    }

    /// Stores a checkpoint with the refused rows, and commits; gives why rows were refused.
    fn close(&mut self, next: &RangeState, copied: Copied) -> Result<Vec<Error>> {
        let mut journal = Journal::new(&mut self.lane);
        for row in &copied.refused {
            let faults: Vec<&Error> = row.faults.iter().collect();
            journal.refuse(self.owner.run(), &row.position, &faults)?;
        }
        journal.checkpoint(self.owner, next)?;
        self.lane.commit()?;
        Ok(copied.refused.into_iter().flat_map(|row| row.faults).collect())
    }

    /// Brings the copy to what the table holds now; gives how many keys had changed.
    pub(super) fn round(&mut self) -> Result<u64> {
        let (names, columns) = (self.names(), self.columns());
        self.attempt(|this| {
            this.lane.begin()?;
            let client = this.lane.client();
            client.batch_execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ").map_err(failed)?;
            let noted = changes::noted(client, names, columns.table())?;
            if noted.keys == 0 {
                this.lane.rollback()?;
                return Ok(0);
            }
            // Held from here on, so that no sign of life is written to it meanwhile, which this transaction could not follow.
            let mut journal = Journal::new(&mut this.lane);
            let first = journal.range(this.owner, 0)?;
            journal.checkpoint(this.owner, &first)?;
            let client = this.lane.client();
            // Both see the same: the copy then is what the table was at one moment, so that no unique index is broken on the way.
            let row = client.query_one("SELECT pg_export_snapshot()", &[]).map_err(failed)?;
            let snapshot: String = row.try_get(0).map_err(failed)?;
            let same = format!(
                "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT '{snapshot}'"
            );
            this.out.batch_execute(&same).map_err(failed)?;
            changes::clear(client, names, columns.table(), noted)?;
            let copied = this.transfer(&changes::from(names, columns.table(), noted))?;
            this.out.batch_execute("COMMIT").map_err(failed)?;
            let Some(copied) = copied else {
                this.lane.rollback()?;
                return Ok(0);
            };
            changes::forget(this.lane.client(), names)?;
            let next = this.again(noted, &copied.tally)?;
            this.close(&next, copied)?;
            Ok(noted.keys)
        })
    }

    /// The last changes, in the transaction that is open and holds the lock.
    pub(super) fn last_round(&mut self, noted: Noted) -> Result<()> {
        let (names, columns) = (self.names(), self.columns());
        let copy = names.qualified(&names.copy());
        let from = changes::from(names, columns.table(), noted);
        let client = self.lane.client();
        changes::clear(client, names, columns.table(), noted)?;
        let copied = columns.carry(client, (&from, &copy), &mut self.protectors)?;
        let next = self.again(noted, &copied.tally)?;
        let mut journal = Journal::new(&mut self.lane);
        for row in &copied.refused {
            let faults: Vec<&Error> = row.faults.iter().collect();
            journal.refuse(self.owner.run(), &row.position, &faults)?;
        }
        journal.checkpoint(self.owner, &next)
    }

    /// The counts of the first range with those of rows that were copied again.
    fn again(&mut self, noted: Noted, made: &Tally) -> Result<RangeState> {
        let mut next = Journal::new(&mut self.lane).range(self.owner, 0)?;
        let mut made = made.clone();
        let rows = made.rows;
        made.keep_changes();
        (made.late, made.read_again, made.refused_rows) = (0, rows, 0);
        made.gone = if noted.whole { 0 } else { noted.keys.saturating_sub(rows) };
        next.tally.add(&made);
        Ok(next)
    }

    /// Opens and compares every row of a range of the copy; false if the run shall stop. Rows that are not as the schema says now, because the
    /// keyring has another primary than when they were copied, are noted and copied again.
    pub(super) fn check_range(&mut self, number: i64) -> Result<bool> {
        let (names, columns) = (self.names(), self.columns());
        let state = self.attempt(|this| {
            let state = Journal::new(&mut this.lane).range(this.owner, number)?;
            if state.stage != Stage::Check {
                return Ok(Some(state));
            }
            let mut reader = this.swap.reader_of_copy(this.site)?;
            let mut next = state.clone();
            let (mut undone, mut found) = (Vec::new(), Copied::default());
            let mut batch = reader.read(&state.range, None, this.swap.options.batch_rows.1.max(1), 1)?;
            while batch.count() > 0 {
                if this.stops() {
                    return Ok(None);
                }
                let last = batch.position(batch.count() - 1);
                let ahead = batch.number(batch.count());
                let mut sealed = SealedBatch::default();
                let checkers = this.checkers.as_mut_slice();
                let (checked, read) = thread::scope(|scope| {
                    let checking = scope.spawn(|| sealed.protect(&batch, checkers));
                    let read = reader.read(
                        &state.range,
                        last.as_ref(),
                        this.swap.options.batch_rows.1.max(1),
                        ahead,
                    );
                    let checked = checking.join();
                    (
                        checked.unwrap_or_else(|_| Err(Error::misuse("a thread that checks has panicked"))),
                        read,
                    )
                });
                checked?;
                next.checked.add(&sealed.tally());
                let late =
                    (0..batch.count()).filter(|row| !sealed.is_refused(*row) && sealed.needs_work(*row));
                undone.extend(late.filter_map(|row| batch.position(row)));
                found.refused.extend(refused(&batch, sealed));
                batch = read?;
            }
            next.stage = Stage::Done;
            next.tally.late += u64::try_from(undone.len()).unwrap_or_default();
            this.lane.begin()?;
            if !undone.is_empty() {
                changes::note(this.lane.client(), names, columns.table(), &undone)?;
            }
            this.close(&next, found)?;
            Ok(Some(next))
        })?;
        let Some(state) = state else { return Ok(false) };
        self.observer.step(&Step::Batch(&state.checked, &state))?;
        self.observer.step(&Step::Range(&state))?;
        Ok(true)
    }
}
