// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reads a whole table and says what stands there, or what a run would do.
//!
//! Owns the pass that writes nothing and leaves no journal. Never changes a row; a trial of writing is always taken back.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use amanat::error::{Error, Result};
use amanat::schema::TableSchema;

use super::batch::SealedBatch;
use super::{Batch, KeyRange, Lane, Recovery, Sql, Store};
use crate::engine::{Effort, Protector, Rows, Source};
use crate::session::KeyringSession;
use crate::tally::Tally;

/// Rows of a batch.
const BATCH_ROWS: usize = 5_000;
/// How often a batch is read.
const ATTEMPTS: u32 = 5;
/// How long is waited before a batch is read again.
const WAIT: Duration = Duration::from_millis(200);

/// A look at a table.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Survey<'a> {
    /// The unlocked keyring.
    pub session: &'a KeyringSession<'a>,
    /// The table's policy.
    pub table: &'a TableSchema,
    /// What values are taken from.
    pub source: Source,
    /// Threads that open.
    pub threads: NonZeroUsize,
    /// Ends the look after the batch at hand.
    pub stop: &'a AtomicBool,
}

/// What a look at a table gave.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Surveyed {
    /// Counts: of what stands there, or of what would be done.
    pub tally: Tally,
    /// Rows that a run would work on.
    pub undone: u64,
    /// Whether the look was ended early.
    pub stopped: bool,
}

/// What a sample of rows took.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Sample {
    /// Rows of the sample.
    pub rows: u64,
    /// Reading and opening; with [`Trial::RollBack`] also sealing, and opening again.
    pub sealing: Duration,
    /// Writing without the commit, if it was tried.
    pub writing: Option<Duration>,
    /// Reading and opening once more: the check of a run.
    pub checking: Duration,
}

impl<'a> Survey<'a> {
    /// A look at a table with an unlocked keyring.
    pub const fn new(
        session: &'a KeyringSession<'a>,
        table: &'a TableSchema,
        source: Source,
        threads: NonZeroUsize,
        stop: &'a AtomicBool,
    ) -> Self {
        Self { session, table, source, threads, stop }
    }

    /// Reads every row once. [`Effort::DryRun`] counts what a run would do; [`Effort::Check`] opens every cell, and makes every index and
    /// pairwise token again to compare it. `seen` is told of every batch: its faults and the rows so far.
    ///
    /// # Errors
    /// `Misuse` for an effort that seals; what the store, the keyring or `seen` fails with. Rows that cannot be read are no error.
    pub fn look<S: Store>(
        &self,
        store: &S,
        effort: Effort,
        seen: &mut dyn FnMut(&[&Error], u64) -> Result<()>,
    ) -> Result<Surveyed> {
        if !effort.is_dry() {
            return Err(Error::misuse("a look at a table was to seal"));
        }
        let (mut protectors, mut lane) = (self.protectors(effort)?, store.connect()?);
        let (mut found, mut sealed) = (Surveyed::default(), SealedBatch::default());
        let mut after = None;
        loop {
            let number = found.tally.rows + 1;
            let batch = read(store, &mut lane, after.as_ref(), number)?;
            let Some(last) = batch.count().checked_sub(1) else { return Ok(found) };
            sealed.protect(&batch, &mut protectors)?;
            found.tally.add(&sealed.tally());
            let undone = |row: &usize| !sealed.is_refused(*row) && sealed.needs_work(*row);
            found.undone += u64::try_from((0..batch.count()).filter(undone).count()).unwrap_or_default();
            seen(&sealed.faults().collect::<Vec<_>>(), found.tally.rows)?;
            if self.stop.load(Ordering::Relaxed) {
                return Ok(Surveyed { stopped: true, ..found });
            }
            after = batch.position(last);
        }
    }

    /// Works on the first rows of the table and takes the time. With [`Trial::RollBack`] as a run would: they are sealed, which costs messages of
    /// the key, and written in a transaction that is rolled back. Without, they are opened alone, and nothing changes anywhere.
    ///
    /// # Errors
    /// What the store or the keyring fails with.
    pub fn sample<S: Store>(&self, store: &S, write: Trial) -> Result<Sample> {
        let mut lane = store.connect()?;
        let effort = if write == Trial::RollBack { Effort::SealAndVerify } else { Effort::DryRun };
        let mut sealers = self.protectors(effort)?;
        let started = Instant::now();
        let batch = read(store, &mut lane, None, 1)?;
        let mut sealed = SealedBatch::default();
        sealed.protect(&batch, &mut sealers)?;
        let sealing = started.elapsed();
        let writing = match write {
            Trial::RollBack => Some(try_write(&mut lane, &batch, &sealed)?),
            Trial::None => None,
        };
        let mut checkers = self.protectors(Effort::Check)?;
        let started = Instant::now();
        let again = read(store, &mut lane, None, 1)?;
        sealed.protect(&again, &mut checkers)?;
        let rows = u64::try_from(batch.count()).unwrap_or_default();
        Ok(Sample { rows, sealing, writing, checking: started.elapsed() })
    }

    fn protectors(&self, effort: Effort) -> Result<Vec<Protector<'a>>> {
        let protector = || Protector::new(self.session, self.table, effort, self.source);
        (0..self.threads.get()).map(|_| protector()).collect()
    }
}

/// Whether a sample is also written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trial {
    /// Nothing is sealed or written.
    None,
    /// Sealed, written, and taken back.
    RollBack,
}

/// Writes in a transaction that is taken back.
fn try_write<L: Lane>(lane: &mut L, batch: &L::Batch, sealed: &SealedBatch) -> Result<Duration> {
    let started = Instant::now();
    lane.begin()?;
    let written = lane.write(batch, sealed);
    let took = started.elapsed();
    lane.rollback()?;
    written.map(|_| took)
}

/// Reads a batch; a fault that passes is waited for.
fn read<S: Store>(
    store: &S,
    lane: &mut S::Lane,
    after: Option<&super::Position>,
    number: u64,
) -> Result<<S::Lane as Lane>::Batch> {
    let mut attempt = 1;
    loop {
        let error = match lane.read(&KeyRange::default(), after, BATCH_ROWS, number) {
            Ok(batch) => return Ok(batch),
            Err(error) => error,
        };
        match store.recovery(&error) {
            Recovery::Stop => return Err(error),
            _ if attempt == ATTEMPTS => return Err(error),
            Recovery::Retry => drop(lane.rollback()),
            Recovery::Reconnect => {
                if let Ok(new) = store.connect() {
                    *lane = new;
                }
            }
        }
        attempt += 1;
        std::thread::sleep(WAIT);
    }
}
