// SPDX-License-Identifier: MIT OR Apache-2.0
//! One lane of a run: reads, seals and writes the rows of a range, batch by batch (SPEC 11.5).
//!
//! Owns the transaction of a batch. Threads seal one batch while the connection writes the one before it and reads the one after it. Never commits
//! rows without their checkpoint, nor a checkpoint without its rows.

use std::io;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use amanat::error::{Error, Result};
use amanat::rotate::{Pace, Request, Stage};

use super::attempts::Attempts;
use super::batch::SealedBatch;
use super::driver::{Queue, RunObserver, Runner, Step};
use super::journal::{Journal, Owner, RangeState};
use super::{Batch, Lane, Position, Sql, Store};
use crate::engine::{Effort, Protector, Rows};
use crate::tally::Tally;

/// How often a lane that waits looks whether it shall stop.
const GLANCE: Duration = Duration::from_millis(100);

/// What a store's lanes read.
type BatchOf<S> = <<S as Store>::Lane as Lane>::Batch;

/// A lane at work.
pub(super) struct LaneRun<'a, S: Store> {
    runner: &'a Runner<'a, S>,
    owner: &'a Owner,
    observer: &'a dyn RunObserver,
    lane: S::Lane,
    pace: Pace,
    /// Seal on threads of their own.
    sealers: Vec<Protector<'a>>,
    /// Check on threads of their own.
    checkers: Vec<Protector<'a>>,
    /// Seals what is read again while a transaction is open.
    mender: Vec<Protector<'a>>,
}

/// A batch that was sealed or checked and waits to be written.
struct Ready<B> {
    batch: B,
    sealed: SealedBatch,
}

impl<'a, S: Store> LaneRun<'a, S> {
    pub(super) fn new(
        runner: &'a Runner<'a, S>,
        owner: &'a Owner,
        pace: Pace,
        observer: &'a dyn RunObserver,
    ) -> Result<Self> {
        let protectors = |count: usize, effort| -> Result<Vec<Protector<'a>>> {
            let protector = || Protector::new(runner.session, runner.table, effort, runner.source);
            (0..count).map(|_| protector()).collect()
        };
        let threads = runner.options.threads.get();
        Ok(Self {
            runner,
            owner,
            observer,
            lane: Attempts::default().connect(runner.store, observer)?,
            pace,
            sealers: protectors(threads, Effort::SealAndVerify)?,
            checkers: protectors(threads, Effort::Check)?,
            mender: protectors(1, Effort::SealAndVerify)?,
        })
    }

    /// Works on a range until its stage is done or the run shall stop.
    pub(super) fn work(&mut self, mut state: RangeState, queue: &Queue) -> Result<()> {
        let stage = state.stage;
        let mut protectors =
            std::mem::take(if stage == Stage::Check { &mut self.checkers } else { &mut self.sealers });
        let worked = self.batches(&mut state, queue, &mut protectors);
        *(if stage == Stage::Check { &mut self.checkers } else { &mut self.sealers }) = protectors;
        if !worked? {
            return Ok(());
        }
        let mut next = state.clone();
        next.position = None;
        next.stage = if stage == Stage::Rows { Stage::Check } else { Stage::Done };
        self.attempts(&mut state, Some(&next), |this, state| {
            let checkpoint = |journal: &mut Journal<'_, S::Lane>| journal.checkpoint(this.owner, &next);
            Journal::new(&mut this.lane).transaction(checkpoint)?;
            *state = next.clone();
            Ok(())
        })?;
        self.observer.step(&Step::Range(&state))
    }

    /// Works on batches; false if the run shall stop before the range is done.
    fn batches(
        &mut self,
        state: &mut RangeState,
        queue: &Queue,
        protectors: &mut [Protector<'a>],
    ) -> Result<bool> {
        let seen = if state.stage == Stage::Check { state.checked.rows } else { state.tally.rows };
        let mut number = seen + 1;
        let mut read = self.read(state, state.position.clone(), &mut number)?;
        let mut ready: Option<Ready<BatchOf<S>>> = None;
        let mut spare = SealedBatch::default();
        loop {
            let started = Instant::now();
            let (batch, mut sealed) = (read.take(), std::mem::take(&mut spare));
            let written = ready.as_ref().map_or(0, |ready| ready.batch.count());
            let stops = queue.stops() || self.runner.options.stop.load(Ordering::Relaxed);
            let (sealing, next) = thread::scope(|scope| {
                let batch = batch.as_ref().filter(|_| !stops);
                let sealing = batch.map(|batch| scope.spawn(|| sealed.protect(batch, protectors)));
                let mut on_this_thread = || {
                    // What waits to be written when the run shall stop is thrown away: it is sealed anew when the run goes on.
                    if let Some(ready) = ready.take().filter(|_| !stops) {
                        spare = self.write(state, queue, ready)?;
                    }
                    let last = batch.and_then(|batch| batch.position(batch.count().saturating_sub(1)));
                    if last.is_some() { self.read(state, last, &mut number) } else { Ok(None) }
                };
                let next = on_this_thread();
                let sealing = sealing.map(|thread| {
                    thread.join().unwrap_or_else(|_| Err(Error::misuse("a thread that seals has panicked")))
                });
                (sealing, next)
            });
            read = next?;
            sealing.transpose()?;
            if stops {
                return Ok(false);
            }
            // After the last batch of a range too: the next range may begin at once, and short ranges would never wait.
            if written > 0 {
                let wait = self.pace.done(written, started.elapsed());
                self.wait(state, wait, queue)?;
            }
            let Some(batch) = batch else { return Ok(true) };
            ready = Some(Ready { batch, sealed });
        }
    }

    /// Reads the rows after a position; `None` at the end of the range.
    fn read(
        &mut self,
        state: &RangeState,
        after: Option<Position>,
        number: &mut u64,
    ) -> Result<Option<BatchOf<S>>> {
        let rows = self.pace.rows();
        let mut unchanged = state.clone();
        let batch = self.attempts(&mut unchanged, None, |this, state| {
            this.lane.read(&state.range, after.as_ref(), rows, *number).map(Some)
        })?;
        let Some(batch) = batch.filter(|batch| batch.count() > 0) else { return Ok(None) };
        *number += u64::try_from(batch.count()).unwrap_or_default();
        Ok(Some(batch))
    }

    /// Writes a batch and its checkpoint in one transaction; gives back the room of what was sealed.
    fn write(
        &mut self,
        state: &mut RangeState,
        queue: &Queue,
        ready: Ready<BatchOf<S>>,
    ) -> Result<SealedBatch> {
        let Ready { batch, sealed } = ready;
        let before = state.clone();
        let goal = RangeState { position: batch.position(batch.count().saturating_sub(1)), ..before.clone() };
        let mut refused = Vec::new();
        let request = self.attempts(state, Some(&goal), |this, next| {
            let (state, faults, request) = this.transaction(next, &batch, &sealed)?;
            *next = state;
            refused = faults;
            Ok(request)
        })?;
        for fault in sealed.faults().chain(&refused) {
            self.observer.step(&Step::Refused(fault))?;
        }
        let mut counts =
            if state.stage == Stage::Check { state.checked.clone() } else { state.tally.clone() };
        counts.subtract(if state.stage == Stage::Check { &before.checked } else { &before.tally });
        self.observer.step(&Step::Batch(&counts, state))?;
        queue.ask(request);
        Ok(sealed)
    }

    /// The transaction of a batch: its rows, its exceptions, its checkpoint. Gives where the range stands then, the faults of rows that
    /// were read again, and what a person asks of the run.
    fn transaction(
        &mut self,
        state: &RangeState,
        batch: &BatchOf<S>,
        sealed: &SealedBatch,
    ) -> Result<(RangeState, Vec<Error>, Request)> {
        self.lane.begin()?;
        let mut next = state.clone();
        next.position = batch.position(batch.count().saturating_sub(1));
        self.refuse(batch, sealed)?;
        let mut counts = sealed.tally();
        let faults;
        if state.stage == Stage::Check {
            let undone: Vec<usize> = (0..batch.count())
                .filter(|row| !sealed.is_refused(*row) && sealed.needs_work(*row))
                .collect();
            next.checked.add(&counts);
            faults = self.mend(batch, &undone, &mut next.tally, Mending::Late)?;
        } else {
            let written = self.lane.write(batch, sealed)?;
            counts.masked += written.masked;
            let primary = self.runner.session.primary();
            written.lost.iter().for_each(|row| sealed.uncount(*row, primary, &mut counts));
            faults = self.mend(batch, &written.lost, &mut counts, Mending::Lost)?;
            next.tally.add(&counts);
        }
        let mut journal = Journal::new(&mut self.lane);
        journal.checkpoint(self.owner, &next)?;
        let request = journal.request(self.owner)?;
        self.lane.commit()?;
        Ok((next, faults, request))
    }

    /// Reads rows again that others have changed, keeps others from changing them, and works on them.
    fn mend(
        &mut self,
        batch: &BatchOf<S>,
        rows: &[usize],
        counts: &mut Tally,
        mending: Mending,
    ) -> Result<Vec<Error>> {
        let positions: Vec<Position> = rows.iter().filter_map(|row| batch.position(*row)).collect();
        if positions.is_empty() {
            return Ok(Vec::new());
        }
        let again = self.lane.read_locked(&positions, 1)?;
        let mut sealed = SealedBatch::default();
        sealed.protect(&again, &mut self.mender)?;
        let written = self.lane.write(&again, &sealed)?;
        if !written.lost.is_empty() {
            return Err(Error::misuse("rows that were locked have changed; nothing of this batch was kept"));
        }
        let mut made = sealed.tally();
        made.masked += written.masked;
        let gone = positions.len().saturating_sub(again.count());
        match mending {
            Mending::Lost => {
                made.read_again = made.rows;
                made.gone = u64::try_from(gone).unwrap_or_default();
            }
            Mending::Late => made.keep_changes(),
        }
        counts.add(&made);
        self.refuse(&again, &sealed)?;
        // What was read again is numbered anew: a fault is told at the row that it was in the batch.
        let first = again.number(0);
        let numbers: Vec<Option<u64>> = (0..again.count())
            .map(|row| {
                let place = again.position(row);
                let found = rows.iter().find(|row| batch.position(**row) == place);
                found.map(|row| batch.number(*row))
            })
            .collect();
        let told = |fault: Error| {
            let place = fault.row().and_then(|row| usize::try_from(row.checked_sub(first)?).ok());
            match place.and_then(|place| numbers.get(place).copied().flatten()) {
                Some(number) => fault.at_row(number),
                None => fault,
            }
        };
        Ok(sealed.into_faults().into_iter().map(told).collect())
    }

    /// Notes the refused rows of a batch in the journal.
    fn refuse(&mut self, batch: &BatchOf<S>, sealed: &SealedBatch) -> Result<()> {
        let first = batch.number(0);
        let mut journal = Journal::new(&mut self.lane);
        for row in (0..batch.count()).filter(|row| sealed.is_refused(*row)) {
            let number = first + u64::try_from(row).unwrap_or_default();
            let faults: Vec<&Error> = sealed.faults().filter(|fault| fault.row() == Some(number)).collect();
            if let Some(position) = batch.position(row) {
                journal.refuse(self.owner.run(), &position, &faults)?;
            }
        }
        Ok(())
    }

    /// Does something that may be tried again: after a rollback, or over a new connection. `goal` is where the range stands if what was tried
    /// was committed although its connection broke.
    fn attempts<T: Default>(
        &mut self,
        state: &mut RangeState,
        goal: Option<&RangeState>,
        mut work: impl FnMut(&mut Self, &mut RangeState) -> Result<T>,
    ) -> Result<T> {
        let mut attempts = Attempts::default();
        loop {
            let is_there = if attempts.reconnected { self.was_committed(state, goal) } else { Ok(false) };
            let done = match is_there {
                Ok(true) => return Ok(T::default()),
                Ok(false) => work(self, state),
                Err(error) => Err(error),
            };
            let Err(error) = done else { return done };
            self.pace.failed();
            attempts.after(error, self.runner.store, &mut self.lane, self.observer)?;
        }
    }

    /// Whether the range stands where the last transaction would have brought it; then that is where it stands. A server that came back
    /// may also have forgotten what it had committed: one that lost its log, or a standby that took over.
    fn was_committed(&mut self, state: &mut RangeState, goal: Option<&RangeState>) -> Result<bool> {
        let stored = Journal::new(&mut self.lane).range(self.owner, state.number)?;
        let stands_at =
            |other: &RangeState| (stored.stage, &stored.position) == (other.stage, &other.position);
        if goal.is_some_and(stands_at) {
            *state = stored;
            return Ok(true);
        }
        if stands_at(state) {
            return Ok(false);
        }
        Err(Error::store(
            "the database has forgotten a batch that it had committed; resume the run: it goes on where the database stands",
            io::Error::other("the checkpoint of the range is an older one"),
        ))
    }

    /// Waits so that the rate stays under its cap, and gives signs of life meanwhile.
    fn wait(&mut self, state: &RangeState, wait: Duration, queue: &Queue) -> Result<()> {
        let end = Instant::now() + wait;
        let mut beat = Instant::now() + self.runner.options.lease.beat();
        while let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            if queue.stops() || self.runner.options.stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            thread::sleep(left.min(GLANCE));
            if Instant::now() >= beat {
                beat = Instant::now() + self.runner.options.lease.beat();
                let (owner, mut unchanged) = (self.owner, state.clone());
                let beat = |this: &mut Self, state: &mut RangeState| {
                    Journal::new(&mut this.lane).beat(owner, state.number)
                };
                queue.ask(self.attempts(&mut unchanged, None, beat)?);
            }
        }
        Ok(())
    }
}

/// Why rows are read again.
#[derive(Clone, Copy)]
enum Mending {
    /// They changed between reading and writing.
    Lost,
    /// The check found them undone.
    Late,
}
