// SPDX-License-Identifier: MIT OR Apache-2.0
//! Copy and swap: a new table is filled beside the old one and takes its place in one short lock (SPEC 11.9).
//!
//! Owns the order of steps. For maintenance windows: it is faster than the live mode and needs room for a second table. Never changes the old
//! table before the swap commits, and never drops it unasked: until then one statement goes back.

mod build;
mod changes;
mod copy;
mod exchange;
mod hands;
mod names;
mod portrait;
mod raw;
mod script;
mod state;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use amanat::error::{Error, Result};
use amanat::rotate::{Phase, Request, RunPlan, Stage};
use amanat::schema::TableSchema;
use postgres::Client;

use self::build::{Built, oid_of};
use self::copy::Columns;
use self::hands::Hands;
use self::names::Names;
pub(in crate::postgres) use self::raw::RawRows;
use self::state::{State, Step as Stand};
use super::error::{failed, recovery};
use super::lane::PostgresLane;
use super::table::PgTable;
use super::{PostgresStore, session};
use crate::engine::Source;
use crate::run::journal::{Journal, Owner};
use crate::run::{
    Ended, Lane as _, Recovery, RunObserver, RunOptions, RunReport, Sql as _, Step, Store as _, SwapStep,
};
use crate::session::KeyringSession;

/// Rows of a range, about: what is lost when a copy is interrupted.
const RANGE_ROWS: u64 = 250_000;
/// Most ranges.
const MOST_RANGES: u64 = 4_096;
/// Keys that may be left when the table is locked for the swap; more are worked off before.
const FEW_KEYS: u64 = 1_000;
/// Rounds before the swap is tried whatever is left to do, and before it is given up.
const ROUNDS: u32 = 100;

/// How the lock of the swap is waited for. While it is waited for, others wait behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SwapLock {
    /// How long at a time.
    pub timeout: Duration,
    /// How often.
    pub attempts: u32,
    /// How long between two attempts, in which everybody goes on.
    pub pause: Duration,
}

/// 30 times 800 milliseconds, a second apart: nobody waits longer than a second, and a backup or a long report of half a minute is outwaited.
impl Default for SwapLock {
    fn default() -> Self {
        Self { timeout: Duration::from_millis(800), attempts: 30, pause: Duration::from_secs(1) }
    }
}

impl SwapLock {
    /// A lock that is waited for so long, so often.
    #[must_use]
    pub const fn new(timeout: Duration, attempts: u32, pause: Duration) -> Self {
        Self { timeout, attempts, pause }
    }
}

/// Drives runs that copy a table and put the copy in its place. As a [`Runner`](crate::run::Runner), with the same journal, options and report.
///
/// Rows that are refused are copied as they are and listed: the copy has every row that the table has.
pub struct Swap<'a> {
    store: &'a PostgresStore,
    session: &'a KeyringSession<'a>,
    table: &'a TableSchema,
    source: Source,
    options: RunOptions<'a>,
    lock: SwapLock,
}

/// The tables of a swap.
struct Site {
    names: Names,
    /// The table of before.
    old: u32,
    columns: Columns,
}

impl<'a> Swap<'a> {
    /// Drives swaps of a table with an unlocked keyring.
    #[must_use]
    pub fn new(
        store: &'a PostgresStore,
        session: &'a KeyringSession<'a>,
        table: &'a TableSchema,
        source: Source,
        options: RunOptions<'a>,
    ) -> Self {
        Self { store, session, table, source, options, lock: SwapLock::default() }
    }

    /// Has the lock of the swap waited for otherwise.
    #[must_use]
    pub const fn with_lock(mut self, lock: SwapLock) -> Self {
        self.lock = lock;
        self
    }

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

    /// Drives a run to its end, or until it is paused. Whatever stops it, the table is whole, the old one until the swap and the new one
    /// after it, and calling this again goes on.
    ///
    /// # Errors
    /// As [`Runner::go`](crate::run::Runner::go); `Schema` if the table was altered since it was copied, or if table and copy differ.
    pub fn go(&self, run: &str, observer: &dyn RunObserver) -> Result<Ended> {
        let (mut control, _) = self.lane_of(&self.store.name)?;
        let claimed = Journal::new(&mut control).claim(run, self.options.lease, self.options.take_over);
        let (owner, state) = claimed?;
        let stops = AtomicBool::new(false);
        let asked = Mutex::new((Request::None, None));
        let ended = thread::scope(|scope| {
            let (over, waiting) = sync_channel::<()>(0);
            let beating = scope.spawn(|| self.beat(&owner, waiting, &stops, &asked));
            let ended = observer
                .step(&Step::Claimed(&state))
                .and_then(|()| self.phases(&owner, state.phase, (observer, &stops)));
            drop(over);
            drop(beating.join());
            ended
        });
        let (request, lost) = asked.into_inner().unwrap_or_else(PoisonError::into_inner);
        let ended = match (ended, lost) {
            (Ok(None), Some(error)) => Err(error),
            (Ok(None), None) if request == Request::Cancel => self.cancel(&owner, observer),
            (Ok(None), None) => Ok(Ended::Paused),
            (Ok(Some(ended)), _) => Ok(ended),
            (Err(error), _) => Err(error),
        };
        if let Ok(Ended::Done(_) | Ended::Cancelled(_)) = ended {
            return ended;
        }
        // A run whose owner has gone is free at once; if this fails, its lease runs out.
        let released = Journal::new(&mut control).release(&owner);
        ended.and_then(|ended| released.map(|()| ended))
    }

    /// The phases of a run; none if it shall stop.
    fn phases(
        &self,
        owner: &Owner,
        mut phase: Phase,
        (observer, stops): (&dyn RunObserver, &AtomicBool),
    ) -> Result<Option<Ended>> {
        if phase == Phase::Planned {
            self.prepare(owner.run())?;
            observer.step(&Step::Swap(SwapStep::Prepared))?;
            let (mut lane, _) = self.lane_of(&self.store.name)?;
            phase = Phase::Running;
            Self::advance(&mut lane, owner, phase)?;
            observer.step(&Step::Phase(phase))?;
        }
        let site = self.site(owner.run())?;
        let mut hands = Hands::new(self, (&site, owner), observer, stops)?;
        if phase == Phase::Running {
            if !self.ranges(&mut hands, Stage::Rows, stops)? || !self.build(&mut hands)? {
                return Ok(None);
            }
            hands.attempt(|hands| Self::advance(&mut hands.lane, owner, Phase::Verifying))?;
            observer.step(&Step::Phase(Phase::Verifying))?;
        }
        if !self.exchange(&mut hands, stops)? {
            return Ok(None);
        }
        hands.attempt(|hands| {
            let mut state = self.state(&mut hands.lane, owner.run())?;
            state
                .after
                .iter()
                .try_for_each(|statement| hands.lane.client().batch_execute(statement).map_err(failed))?;
            state.after.clear();
            state.write(&mut hands.lane)
        })?;
        let report = hands.attempt(|hands| Self::advance(&mut hands.lane, owner, Phase::Done))?;
        observer.step(&Step::Phase(Phase::Done))?;
        Ok(Some(Ended::Done(Box::new(report))))
    }

    /// Makes copy and trigger, unless they are there.
    fn prepare(&self, run: &str) -> Result<()> {
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

    /// Works on the ranges of a stage, in several lanes; false if the run shall stop.
    fn ranges(&self, hands: &mut Hands<'_>, stage: Stage, stops: &AtomicBool) -> Result<bool> {
        let run = Journal::new(&mut hands.lane).run(hands.owner.run())?;
        let mut waiting: Vec<i64> =
            run.ranges.iter().filter(|range| range.stage == stage).map(|range| range.number).collect();
        waiting.reverse();
        let lanes = self.lanes().min(waiting.len());
        let waiting = Mutex::new(waiting);
        let failed = AtomicBool::new(false);
        let work = |hands: &mut Hands<'_>| -> Result<bool> {
            loop {
                if failed.load(Ordering::Relaxed) || hands.stops() {
                    return Ok(false);
                }
                let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).pop();
                let Some(number) = next else { return Ok(true) };
                let done =
                    if stage == Stage::Rows { hands.copy_range(number) } else { hands.check_range(number) };
                if !done.inspect_err(|_| failed.store(true, Ordering::Relaxed))? {
                    return Ok(false);
                }
            }
        };
        let (site, owner, observer) = (hands.site, hands.owner, hands.observer);
        thread::scope(|scope| {
            let other =
                || Hands::new(self, (site, owner), observer, stops).and_then(|mut hands| work(&mut hands));
            let others: Vec<_> = (1..lanes).map(|_| scope.spawn(other)).collect();
            let mut all = work(hands);
            for other in others {
                let done =
                    other.join().unwrap_or_else(|_| Err(Error::misuse("a lane of the run has panicked")));
                all = match (all, done) {
                    (Ok(one), Ok(other)) => Ok(one && other),
                    (Err(error), _) | (_, Err(error)) => Err(error),
                };
            }
            all
        })
    }

    /// Builds the key, works off what has changed, builds the other indexes; false if the run shall stop.
    fn build(&self, hands: &mut Hands<'_>) -> Result<bool> {
        for (built, stand, step) in
            [(Built::Key, Stand::Keyed, SwapStep::Keyed), (Built::Others, Stand::Indexed, SwapStep::Indexed)]
        {
            if hands.stops() {
                return Ok(false);
            }
            hands.attempt(|hands| {
                let (site, run) = (hands.site, hands.owner.run());
                let mut state = self.state(&mut hands.lane, run)?;
                if state.step >= stand {
                    return Ok(());
                }
                hands.lane.begin()?;
                let key = exchange::key_index(hands.lane.client(), site.columns.table())?;
                build::indexes(hands.lane.client(), &site.names, site.old, &key, built)?;
                state.step = stand;
                state.write(&mut hands.lane)?;
                hands.lane.commit()
            })?;
            hands.observer.step(&Step::Swap(step))?;
            // With the key alone there is no other unique index yet, which a copy of several moments might break.
            let keys = hands.round()?;
            hands.observer.step(&Step::Swap(SwapStep::CaughtUp(keys)))?;
        }
        let analyze = format!("ANALYZE {}", hands.site.names.qualified(&hands.site.names.copy()));
        hands.attempt(|hands| hands.lane.client().batch_execute(&analyze).map_err(failed))?;
        Ok(!hands.stops())
    }

    /// Checks the copy, compares it with the table and puts it in its place; false if the run shall stop.
    fn exchange(&self, hands: &mut Hands<'_>, stops: &AtomicBool) -> Result<bool> {
        if self.state(&mut hands.lane, hands.owner.run())?.step == Stand::Swapped {
            return Ok(true);
        }
        if !self.ranges(hands, Stage::Check, stops)? || !self.catch_up(hands)? {
            return Ok(false);
        }
        self.compare(hands)?;
        let mut attempt = 1;
        loop {
            if !self.catch_up(hands)? {
                return Ok(false);
            }
            match self.try_swap(hands) {
                Ok(true) => break,
                Ok(false) => {}
                Err(error) => {
                    drop(hands.lane.rollback());
                    if recovery(&error) != Recovery::Retry {
                        return Err(error);
                    }
                    if attempt >= self.lock.attempts {
                        return Err(error);
                    }
                    hands.observer.step(&Step::Again(&error))?;
                    thread::sleep(self.lock.pause);
                }
            }
            if attempt >= ROUNDS.max(self.lock.attempts) {
                return Err(too_fast());
            }
            attempt += 1;
        }
        hands.observer.step(&Step::Swap(SwapStep::Swapped))?;
        Ok(true)
    }

    /// Works off changes until few are left; false if the run shall stop.
    fn catch_up(&self, hands: &mut Hands<'_>) -> Result<bool> {
        for _ in 0..ROUNDS {
            if hands.stops() {
                return Ok(false);
            }
            let keys = hands.round()?;
            hands.observer.step(&Step::Swap(SwapStep::CaughtUp(keys)))?;
            if keys < FEW_KEYS {
                return Ok(true);
            }
        }
        Err(too_fast())
    }

    /// Refuses a copy that is not the table.
    fn compare(&self, hands: &mut Hands<'_>) -> Result<()> {
        let differing = hands.attempt(|hands| {
            hands.lane.begin()?;
            let (names, columns) = (&hands.site.names, &hands.site.columns);
            let differing =
                changes::differing(hands.lane.client(), names, columns.table(), &columns.untouched())?;
            hands.lane.rollback()?;
            Ok(differing)
        })?;
        if differing != 0 {
            return Err(Error::schema(format!(
                "{differing} rows of the copy are not those of {}: something changed them without its triggers, or changed the copy; nothing was \
                 swapped; cancel the run and start a new one",
                self.store.name
            )));
        }
        hands.observer.step(&Step::Swap(SwapStep::Compared))
    }

    /// The transaction of the swap; false if too much has changed meanwhile.
    fn try_swap(&self, hands: &mut Hands<'_>) -> Result<bool> {
        let (site, run) = (hands.site, hands.owner.run());
        let (names, table) = (&site.names, site.columns.table());
        let mut state = self.state(&mut hands.lane, run)?;
        hands.lane.begin()?;
        let client = hands.lane.client();
        let timeout = self.lock.timeout.as_millis().max(1);
        client
            .batch_execute(&format!(
                "SET LOCAL lock_timeout = {timeout}; LOCK TABLE {} IN ACCESS EXCLUSIVE MODE",
                names.live()
            ))
            .map_err(failed)?;
        if oid_of(client, &names.live())? != Some(site.old)
            || oid_of(client, &names.qualified(&names.copy()))? != Some(state.copy)
        {
            return Err(replaced(&table.told));
        }
        let noted = changes::noted(client, names, table)?;
        if noted.whole || noted.keys > FEW_KEYS {
            hands.lane.rollback()?;
            return Ok(false);
        }
        hands.last_round(noted)?;
        let script = exchange::exchange(hands.lane.client(), names, table, state.copy)?;
        state.step = Stand::Swapped;
        state.after = script.after;
        state.write(&mut hands.lane)?;
        hands.lane.commit()?;
        Ok(true)
    }

    /// Removes the copy and all that was made for it, of a run that is given up and that no process drives any more. The table stays as it is.
    ///
    /// # Errors
    /// `Misuse` if the run has swapped the table already; `Store`.
    pub fn discard(store: &PostgresStore, run: &str) -> Result<()> {
        let mut client = session(&store.url)?;
        let table = PgTable::read(&mut client, &store.name, &store.schema, &store.work)?;
        let names = names_of(&mut client, &table, run)?;
        let mut lane = PostgresLane::new(client, table, None);
        if State::read(&mut lane, run)?.is_some_and(|state| state.step == Stand::Swapped) {
            return Err(Error::misuse("this run has swapped the table already; go on with it, or go back"));
        }
        lane.begin()?;
        let sql = format!(
            "{}; DROP TABLE IF EXISTS {}",
            changes::removal(&names, &names.live()),
            names.qualified(&names.copy())
        );
        lane.client().batch_execute(&sql).map_err(failed)?;
        State::remove(&mut lane, run)?;
        lane.commit()
    }

    /// Gives a run up.
    fn cancel(&self, owner: &Owner, observer: &dyn RunObserver) -> Result<Ended> {
        Self::discard(self.store, owner.run())?;
        let (mut lane, _) = self.lane_of(&self.store.name)?;
        let report = Self::advance(&mut lane, owner, Phase::Cancelled)?;
        observer.step(&Step::Phase(Phase::Cancelled))?;
        Ok(Ended::Cancelled(Box::new(report)))
    }

    /// Brings the run into its next phase, with the report if nothing follows.
    fn advance(lane: &mut PostgresLane, owner: &Owner, next: Phase) -> Result<RunReport> {
        let now = lane.now()?;
        let mut journal = Journal::new(lane);
        let report = RunReport::of(&journal.run(owner.run())?, next).ended(now);
        let text = next.is_over().then(|| report.to_json());
        journal.advance(owner, next, text.as_deref())?;
        Ok(report)
    }

    /// Drops the table of before and the function that goes back to it, after a person has looked at the new one. What it held is gone then.
    ///
    /// # Errors
    /// `Misuse` if the run has swapped nothing or is not done; `Store`.
    pub fn drop_old(store: &PostgresStore, run: &str) -> Result<()> {
        let mut client = session(&store.url)?;
        let table = PgTable::read(&mut client, &store.name, &store.schema, &store.work)?;
        let names = names_of(&mut client, &table, run)?;
        let mut lane = PostgresLane::new(client, table, None);
        let state = State::read(&mut lane, run)?
            .filter(|state| state.step == Stand::Swapped && state.after.is_empty());
        let state = state.ok_or_else(|| Error::misuse("this run has not swapped a table, or is not done"))?;
        lane.begin()?;
        let old = names.qualified(&names.old());
        if oid_of(lane.client(), &old)? != Some(state.old)
            || oid_of(lane.client(), &names.live())? != Some(state.copy)
        {
            return Err(replaced(&store.name));
        }
        lane.client()
            .batch_execute(&format!(
                "DROP FUNCTION IF EXISTS {}(); DROP TABLE {old}",
                names.qualified(&names.back())
            ))
            .map_err(failed)?;
        State::remove(&mut lane, run)?;
        lane.commit()
    }

    /// The statement that puts the table of before back in its place. Whatever was written since the swap is not in it.
    ///
    /// # Errors
    /// `Store`.
    pub fn way_back(store: &PostgresStore, run: &str) -> Result<String> {
        let mut client = session(&store.url)?;
        let table = PgTable::read(&mut client, &store.name, &store.schema, &store.work)?;
        let names = names_of(&mut client, &table, run)?;
        Ok(format!("SELECT {}();", names.qualified(&names.back())))
    }

    /// Gives signs of life and listens to requests until the run is over.
    fn beat(
        &self,
        owner: &Owner,
        over: Receiver<()>,
        stops: &AtomicBool,
        asked: &Mutex<(Request, Option<Error>)>,
    ) {
        let pause = self.options.lease.beat().min(Duration::from_secs(1));
        let mut lane = None;
        while over.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
            if lane.is_none() {
                lane = self.lane_of(&self.store.name).ok().map(|(lane, _)| lane);
            }
            let Some(connected) = &mut lane else { continue };
            let answer = match Journal::new(connected).beat(owner, 0) {
                Ok(Request::None) => continue,
                Ok(request) => (request, None),
                // Another process has the run now.
                Err(error) if error.kind() == amanat::error::Kind::Misuse => (Request::None, Some(error)),
                // A checkpoint is being written, or the connection is gone.
                Err(_) => {
                    lane = None;
                    continue;
                }
            };
            *asked.lock().unwrap_or_else(PoisonError::into_inner) = answer;
            stops.store(true, Ordering::Relaxed);
            return;
        }
    }

    fn lanes(&self) -> usize {
        self.options.lanes.get().min(self.store.most_lanes().max(1))
    }

    /// Most rows a second of one lane.
    fn cap(&self) -> Option<f64> {
        let lanes = f64::from(u32::try_from(self.lanes()).unwrap_or(u32::MAX));
        self.options.cap.map(|cap| f64::from(cap.get()) / lanes)
    }

    fn state(&self, lane: &mut PostgresLane, run: &str) -> Result<State> {
        State::read(lane, run)?.ok_or_else(|| {
            Error::misuse("the run was not planned to copy and swap; drive it in the live mode")
        })
    }

    /// What is worked on. After the swap the table of before has another name.
    fn site(&self, run: &str) -> Result<Site> {
        let (mut lane, table) = self.lane_of(&self.store.name)?;
        let state = self.state(&mut lane, run)?;
        let expected = if state.step == Stand::Swapped { state.copy } else { state.old };
        if table.oid != expected {
            return Err(replaced(&table.told));
        }
        let names = names_of(lane.client(), &table, run)?;
        let columns = Columns::of(lane.client(), table)?;
        Ok(Site { names, old: state.old, columns })
    }

    /// A connection that reads and one that writes.
    fn connections(&self, site: &Site) -> Result<(Client, PostgresLane)> {
        let lane = PostgresLane::new(session(&self.store.url)?, site.columns.table().clone(), None);
        Ok((session(&self.store.url)?, lane))
    }

    /// A lane over the copy.
    fn reader_of_copy(&self, site: &Site) -> Result<PostgresLane> {
        self.lane_of(&site.names.qualified(&site.names.copy())).map(|(lane, _)| lane)
    }

    fn lane_of(&self, name: &str) -> Result<(PostgresLane, PgTable)> {
        let mut client = session(&self.store.url)?;
        let table = PgTable::read(&mut client, name, &self.store.schema, &self.store.work)?;
        Ok((PostgresLane::new(client, table.clone(), None), table))
    }
}

fn names_of(client: &mut Client, table: &PgTable, run: &str) -> Result<Names> {
    let row = client
        .query_one("SELECT relname::text FROM pg_class WHERE oid = $1", &[&table.oid])
        .map_err(failed)?;
    let name: String = row.try_get(0).map_err(failed)?;
    Ok(Names::new(&table.namespace, &name, run))
}

fn replaced(told: &str) -> Error {
    Error::schema(format!(
        "{told} or its copy is another table than when the run began: it was dropped or replaced; cancel the run and start a new one"
    ))
}

fn too_fast() -> Error {
    Error::misuse(
        "the application changes rows faster than they are copied again; have it write less and go on, or use the live mode",
    )
}

impl fmt::Debug for Swap<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Swap({}, {:?}, {:?})", self.table.name(), self.source, self.lock)
    }
}
