// SPDX-License-Identifier: MIT OR Apache-2.0
//! Drives a run from its plan to its end, on one thread for each lane.
//!
//! Owns the phases of a run and the sharing of its ranges among lanes. Never touches a row itself: a [`LaneRun`] does.

use std::fmt;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use amanat::error::{Error, Result};
use amanat::rotate::{Lease, Pace, Phase, Request, RunPlan, Stage};
use amanat::schema::TableSchema;

use super::attempts::Attempts;
use super::journal::{Journal, Owner, RangeState, Run};
use super::lane::LaneRun;
use super::report::RunReport;
use super::{Lane, Sql, Store};
use crate::engine::Source;
use crate::session::KeyringSession;
use crate::tally::Tally;

/// Ranges for each lane: one that is done early takes a further one.
const RANGES_PER_LANE: usize = 4;

/// How a run is driven. A resumed run may be driven otherwise than before.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct RunOptions<'a> {
    /// Connections that work at the same time; a store may allow fewer.
    pub lanes: NonZeroUsize,
    /// Threads that seal, for each lane.
    pub threads: NonZeroUsize,
    /// Fewest and most rows of a batch.
    pub batch_rows: (usize, usize),
    /// How long a batch should take: for so long the application may wait for a row of it.
    pub batch_time: Duration,
    /// Most rows a second, of all lanes together.
    pub cap: Option<NonZeroU32>,
    /// For how long an owner without a sign of life is taken to be alive.
    pub lease: Lease,
    /// Whether the run is taken from an owner that is known to be dead, however young its last sign of life.
    pub take_over: bool,
    /// Set by a signal handler: the run stops after the batch at hand.
    pub stop: &'a AtomicBool,
}

impl<'a> RunOptions<'a> {
    /// One lane, one thread, batches of 100 to 10,000 rows that take half a second, no cap.
    #[must_use]
    pub fn new(stop: &'a AtomicBool) -> Self {
        Self {
            lanes: NonZeroUsize::MIN,
            threads: NonZeroUsize::MIN,
            batch_rows: (100, 10_000),
            batch_time: Duration::from_millis(500),
            cap: None,
            lease: Lease::default(),
            take_over: false,
            stop,
        }
    }
}

/// Is told what happens in a run, by several threads.
pub trait RunObserver: Sync {
    /// A step was taken; what it tells is durable.
    ///
    /// # Errors
    /// Why the run shall stop.
    fn step(&self, step: &Step<'_>) -> Result<()>;
}

/// A step of a run.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Step<'a> {
    /// The run is in the journal.
    Planned,
    /// This process owns it.
    Claimed(&'a Run),
    /// A row was refused, in a batch that is committed.
    Refused(&'a Error),
    /// A batch is committed: counts of it, and what its range has come to.
    Batch(&'a Tally, &'a RangeState),
    /// A batch failed and is tried again.
    Again(&'a Error),
    /// A range has come to its next stage.
    Range(&'a RangeState),
    /// The run has come to its next phase.
    Phase(Phase),
    /// A run that copies the table has come to its next step.
    Swap(SwapStep),
}

/// A step of a run that copies a table and puts the copy in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SwapStep {
    /// The copy is there, empty, and what the application changes is noted.
    Prepared,
    /// The copy has its key.
    Keyed,
    /// So many keys that the application had changed were worked off.
    CaughtUp(u64),
    /// The copy has all indexes.
    Indexed,
    /// Table and copy were compared, and hold the same rows.
    Compared,
    /// The copy has the table's name; the table of before is kept.
    Swapped,
}

/// How driving a run ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Ended {
    /// It is done.
    Done(Box<RunReport>),
    /// A person paused it; or the stop flag was set. It can be resumed.
    Paused,
    /// A person cancelled it.
    Cancelled(Box<RunReport>),
}

/// Drives the runs of one table.
pub struct Runner<'a, S> {
    pub(super) store: &'a S,
    pub(super) session: &'a KeyringSession<'a>,
    pub(super) table: &'a TableSchema,
    pub(super) source: Source,
    pub(super) options: RunOptions<'a>,
}

/// Ranges that wait for a lane, and whether all shall stop.
pub(super) struct Queue {
    ranges: Mutex<Vec<RangeState>>,
    stop: AtomicBool,
    /// The strongest request that a lane has read.
    request: Mutex<Request>,
}

impl Queue {
    fn new(mut ranges: Vec<RangeState>) -> Self {
        ranges.reverse();
        Self { ranges: Mutex::new(ranges), stop: AtomicBool::new(false), request: Mutex::new(Request::None) }
    }

    fn next(&self) -> Option<RangeState> {
        if self.stops() { None } else { self.ranges.lock().unwrap_or_else(PoisonError::into_inner).pop() }
    }

    pub(super) fn stops(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Takes note of what a person asks for.
    pub(super) fn ask(&self, request: Request) {
        if request != Request::None {
            *self.request.lock().unwrap_or_else(PoisonError::into_inner) = request;
            self.stop();
        }
    }

    fn request(&self) -> Request {
        *self.request.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'a, S: Store> Runner<'a, S> {
    /// Drives runs of a table of a store with an unlocked keyring.
    pub const fn new(
        store: &'a S,
        session: &'a KeyringSession<'a>,
        table: &'a TableSchema,
        source: Source,
        options: RunOptions<'a>,
    ) -> Self {
        Self { store, session, table, source, options }
    }

    /// Puts a run into the journal. No row is touched.
    ///
    /// # Errors
    /// `Misuse` if the table has a run that is not over; as [`Store::connect`], [`Lane::split`].
    pub fn plan(&self, plan: &RunPlan, observer: &dyn RunObserver) -> Result<()> {
        let mut lane = self.store.connect()?;
        let ranges = lane.split(self.lanes() * if self.lanes() > 1 { RANGES_PER_LANE } else { 1 })?;
        let mut journal = Journal::new(&mut lane);
        journal.create()?;
        journal.plan(plan, &ranges)?;
        observer.step(&Step::Planned)
    }

    /// Drives a run to its end, or until it is paused. Whatever stops it, calling this again goes on where the last committed batch ended.
    ///
    /// # Errors
    /// What the store, the keyring or the observer fails with; `Misuse` if another process owns the run. Rows that cannot be worked on
    /// are no error: they are in the journal's list of exceptions.
    pub fn go(&self, run: &str, observer: &dyn RunObserver) -> Result<Ended> {
        let mut control = self.store.connect()?;
        let claimed = Journal::new(&mut control).claim(run, self.options.lease, self.options.take_over);
        let (owner, state) = claimed?;
        let fits = self.session.work().fits(&state.plan);
        let ended = fits
            .and_then(|()| observer.step(&Step::Claimed(&state)))
            .and_then(|()| self.phases(&mut control, &owner, state.phase, observer));
        // A run whose owner has gone is free at once; if this fails, its lease runs out.
        let released = self.attempts(&mut control, observer, |control| Journal::new(control).release(&owner));
        ended.and_then(|ended| released.map(|()| ended))
    }

    fn phases(
        &self,
        control: &mut S::Lane,
        owner: &Owner,
        mut phase: Phase,
        observer: &dyn RunObserver,
    ) -> Result<Ended> {
        loop {
            let stage = match phase {
                Phase::Planned => Some(None),
                Phase::Running => Some(Some(Stage::Rows)),
                Phase::Verifying => Some(Some(Stage::Check)),
                _ => None,
            };
            let Some(stage) = stage else { break };
            if let Some(stage) = stage {
                let run =
                    self.attempts(control, observer, |control| Journal::new(control).run(owner.run()))?;
                let ranges = run.ranges.into_iter().filter(|range| range.stage == stage).collect();
                let queue = Queue::new(ranges);
                self.lanes_of(owner, &queue, observer)?;
                match queue.request() {
                    Request::Cancel => return self.cancel(control, owner, observer),
                    _ if queue.stops() || self.options.stop.load(Ordering::Relaxed) => {
                        return Ok(Ended::Paused);
                    }
                    _ => {}
                }
            }
            phase = match phase {
                Phase::Planned => Phase::Running,
                Phase::Running => Phase::Verifying,
                _ => Phase::Done,
            };
            let report = self.attempts(control, observer, |control| advance(control, owner, phase))?;
            observer.step(&Step::Phase(phase))?;
            if phase == Phase::Done {
                return Ok(Ended::Done(Box::new(report)));
            }
        }
        Err(Error::misuse("a run that is over was driven on"))
    }

    fn cancel(&self, control: &mut S::Lane, owner: &Owner, observer: &dyn RunObserver) -> Result<Ended> {
        let report = self.attempts(control, observer, |control| advance(control, owner, Phase::Cancelled))?;
        observer.step(&Step::Phase(Phase::Cancelled))?;
        Ok(Ended::Cancelled(Box::new(report)))
    }

    /// Does something with the journal over the connection that steers the run, which may have been idle for hours.
    fn attempts<T>(
        &self,
        control: &mut S::Lane,
        observer: &dyn RunObserver,
        mut work: impl FnMut(&mut S::Lane) -> Result<T>,
    ) -> Result<T> {
        let mut attempts = Attempts::default();
        loop {
            match work(control) {
                Ok(done) => return Ok(done),
                Err(error) => attempts.after(error, self.store, control, observer)?,
            }
        }
    }

    /// Lets every lane take ranges until none is left; the first error stops all.
    fn lanes_of(&self, owner: &Owner, queue: &Queue, observer: &dyn RunObserver) -> Result<()> {
        let lanes = self.lanes();
        let work = || -> Result<()> {
            let Some(mut range) = queue.next() else { return Ok(()) };
            let mut lane = LaneRun::new(self, owner, self.pace(lanes), observer)?;
            loop {
                lane.work(range, queue)?;
                match queue.next() {
                    Some(next) => range = next,
                    None => return Ok(()),
                }
            }
        };
        let guarded = || work().inspect_err(|_| queue.stop());
        if lanes == 1 {
            return guarded();
        }
        thread::scope(|scope| {
            let running: Vec<_> = (0..lanes).map(|_| scope.spawn(guarded)).collect();
            let ended = running.into_iter().map(|lane| {
                lane.join().unwrap_or_else(|_| Err(Error::misuse("a lane of the run has panicked")))
            });
            let ended: Vec<Result<()>> = ended.collect();
            ended.into_iter().collect()
        })
    }

    fn lanes(&self) -> usize {
        self.options.lanes.get().min(self.store.most_lanes().max(1))
    }

    fn pace(&self, lanes: usize) -> Pace {
        let (least, most) = self.options.batch_rows;
        let lanes = u32::try_from(lanes).unwrap_or(u32::MAX);
        let cap = self.options.cap.map(|cap| NonZeroU32::new(cap.get() / lanes).unwrap_or(NonZeroU32::MIN));
        Pace::new(least, most, self.options.batch_time).with_cap(cap)
    }
}

/// Brings a run into its next state, in which it may be already: a commit whose answer was lost is one all the same. Gives its report.
fn advance(control: &mut impl Sql, owner: &Owner, next: Phase) -> Result<RunReport> {
    let now = control.now()?;
    let mut journal = Journal::new(control);
    let run = journal.run(owner.run())?;
    let report = RunReport::of(&run, next);
    if run.phase == next {
        return Ok(report);
    }
    let report = if next.is_over() { report.ended(now) } else { report };
    let text = next.is_over().then(|| report.to_json());
    journal.advance(owner, next, text.as_deref())?;
    Ok(report)
}

impl<S> fmt::Debug for Runner<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Runner({}, {:?})", self.table.name(), self.source)
    }
}
