// SPDX-License-Identifier: MIT OR Apache-2.0
//! Works once more on exactly the rows that a run refused, after they were mended.
//!
//! Owns the taking off of the list of exceptions, in the transaction that writes the row. Never touches another row; doing it twice changes
//! nothing, so it may be stopped at any moment.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use amanat::error::{Error, Result};

use super::batch::SealedBatch;
use super::driver::{RunObserver, Runner, Step};
use super::journal::Journal;
use super::{Batch, Lane, Position, Recovery, Sql, Store};
use crate::engine::{Effort, Protector, Rows};
use crate::tally::Tally;

/// Rows of one transaction.
const BATCH_ROWS: usize = 500;
/// How often a transaction is tried.
const ATTEMPTS: u32 = 8;
/// How long is waited before a transaction is tried again.
const WAIT: Duration = Duration::from_millis(200);

/// What a retry came to.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Retried {
    /// Counts of the rows that were worked on again; `gone` are those that were deleted since.
    pub tally: Tally,
    /// Whether it was stopped before the end of the list.
    pub stopped: bool,
}

impl<S: Store> Runner<'_, S> {
    /// Works on the rows on a run's list of exceptions. What is done, and what is gone, is taken off the list; what is refused again stays on
    /// it with its new reason. The run itself, which is over, is not changed.
    ///
    /// # Errors
    /// `Misuse` if there is no such run, or if it is not over: its own check meets the rows again; what the store or the keyring fails with.
    pub fn retry(&self, run: &str, observer: &dyn RunObserver) -> Result<Retried> {
        let mut lane = self.store.connect()?;
        let mut journal = Journal::new(&mut lane);
        let phase = journal.run(run)?.phase;
        if !phase.is_over() {
            return Err(Error::misuse(format!(
                "run {run} is {phase}, and works on its exceptions again by itself; resume it, or cancel it first"
            )));
        }
        let listed: BTreeSet<String> =
            journal.exceptions(run, u32::MAX)?.into_iter().map(|exception| exception.position.0).collect();
        let listed: Vec<Position> = listed.into_iter().map(Position).collect();
        let protector = || Protector::new(self.session, self.table, Effort::SealAndVerify, self.source);
        let mut sealers = (0..self.options.threads.get()).map(|_| protector()).collect::<Result<Vec<_>>>()?;
        let mut done = Retried::default();
        for rows in listed.chunks(BATCH_ROWS) {
            if self.options.stop.load(Ordering::Relaxed) {
                done.stopped = true;
                break;
            }
            let (tally, faults) = self.retry_batch(&mut lane, run, rows, &mut sealers, observer)?;
            done.tally.add(&tally);
            faults.iter().try_for_each(|fault| observer.step(&Step::Refused(fault)))?;
        }
        Ok(done)
    }

    /// One transaction, tried again after faults that pass: whatever was committed is then found done.
    fn retry_batch(
        &self,
        lane: &mut S::Lane,
        run: &str,
        rows: &[Position],
        sealers: &mut [Protector<'_>],
        observer: &dyn RunObserver,
    ) -> Result<(Tally, Vec<Error>)> {
        for attempt in 1.. {
            let error = match retry_once(lane, run, rows, sealers) {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            // The connection may be gone with its transaction.
            drop(lane.rollback());
            let recovery = self.store.recovery(&error);
            if recovery == Recovery::Stop || attempt == ATTEMPTS {
                return Err(error);
            }
            observer.step(&Step::Again(&error))?;
            thread::sleep(WAIT);
            if recovery == Recovery::Reconnect
                && let Ok(new) = self.store.connect()
            {
                *lane = new;
            }
        }
        Err(Error::misuse("no attempt was made"))
    }
}

fn retry_once<L: Lane>(
    lane: &mut L,
    run: &str,
    rows: &[Position],
    sealers: &mut [Protector<'_>],
) -> Result<(Tally, Vec<Error>)> {
    lane.begin()?;
    let batch = lane.read_locked(rows, 1)?;
    let mut sealed = SealedBatch::default();
    sealed.protect(&batch, sealers)?;
    let written = lane.write(&batch, &sealed)?;
    if !written.lost.is_empty() {
        return Err(Error::misuse("rows that were locked have changed; nothing of this batch was kept"));
    }
    let mut tally = sealed.tally();
    tally.masked += written.masked;
    tally.gone = u64::try_from(rows.len().saturating_sub(batch.count())).unwrap_or_default();
    let mut journal = Journal::new(lane);
    for row in rows {
        journal.refuse(run, row, &[])?;
    }
    for row in (0..batch.count()).filter(|row| sealed.is_refused(*row)) {
        let number = batch.number(row);
        let faults: Vec<&Error> = sealed.faults().filter(|fault| fault.row() == Some(number)).collect();
        if let Some(position) = batch.position(row) {
            journal.refuse(run, &position, &faults)?;
        }
    }
    lane.commit()?;
    Ok((tally, sealed.into_faults()))
}
