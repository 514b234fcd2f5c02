// SPDX-License-Identifier: MIT OR Apache-2.0
//! Copy and swap: a new table is filled beside the old one and takes its place in one short lock (SPEC 11.9).
//!
//! Owns the order of steps. For maintenance windows: it is faster than the live mode and needs room for a second table. Never changes the old
//! table before the swap commits, and never drops it unasked: until then one statement goes back.

mod aftermath;
mod begin;
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
mod steps;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use amanat::error::{Error, Result};
use amanat::rotate::{Phase, Request, Stage};
use amanat::schema::TableSchema;
use postgres::Client;

use self::copy::Columns;
use self::hands::Hands;
use self::names::Names;
pub(in crate::postgres) use self::raw::RawRows;
use self::state::{State, Step as Stand};
use super::error::failed;
use super::lane::PostgresLane;
use super::table::PgTable;
use super::{PostgresStore, session};
use crate::engine::Source;
use crate::run::journal::{Journal, Owner};
use crate::run::{Ended, RunObserver, RunOptions, RunReport, Sql as _, Step, Store as _, SwapStep};
use crate::session::KeyringSession;

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

    /// Brings the run into its next phase, with the report if nothing follows.
    fn advance(lane: &mut PostgresLane, owner: &Owner, next: Phase) -> Result<RunReport> {
        let now = lane.now()?;
        let mut journal = Journal::new(lane);
        let report = RunReport::of(&journal.run(owner.run())?, next).ended(now);
        let text = next.is_over().then(|| report.to_json());
        journal.advance(owner, next, text.as_deref())?;
        Ok(report)
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

impl fmt::Debug for Swap<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Swap({}, {:?}, {:?})", self.table.name(), self.source, self.lock)
    }
}
