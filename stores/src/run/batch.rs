// SPDX-License-Identifier: MIT OR Apache-2.0
//! A batch that was sealed in parts, each on a thread of its own.
//!
//! Owns the numbering of rows over the parts. Never decides what becomes of a row.

use std::borrow::Cow;
use std::thread;

use amanat::RecordId;
use amanat::error::{Error, Result};
use amanat::ident::KeyId;
use amanat::surrogate::{StoredSurrogate, Surrogate};

use crate::cell::Stored;
use crate::engine::{NewCell, Protector, Rows, SealedRows};
use crate::surrogates::NewSurrogate;
use crate::tally::Tally;

/// A part gets at least this many rows.
const PART_ROWS: usize = 256;

/// What became of a batch.
#[derive(Debug, Default)]
pub struct SealedBatch {
    parts: Vec<SealedRows>,
    part_rows: usize,
}

/// What is to be stored for an index or kept token.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum NewTerm<'a> {
    /// What stands there already, or nothing as before.
    Unchanged,
    /// This; `Absent` takes away what stands there.
    New(&'a Surrogate),
}

impl SealedBatch {
    /// Protects a batch on one thread for each protector.
    pub(crate) fn protect<R: Rows + Sync>(
        &mut self,
        rows: &R,
        protectors: &mut [Protector<'_>],
    ) -> Result<()> {
        let count = rows.count();
        self.part_rows = count.div_ceil(protectors.len().max(1)).max(PART_ROWS);
        self.parts.resize_with(count.div_ceil(self.part_rows), SealedRows::default);
        let part_rows = self.part_rows;
        let work = |(place, (protector, sealed)): (usize, (&mut Protector<'_>, &mut SealedRows))| {
            let first = place * part_rows;
            protector.protect(&Part { rows, first, count: part_rows.min(count - first) }, sealed)
        };
        let mut parts = protectors.iter_mut().zip(&mut self.parts).enumerate();
        if count <= part_rows {
            return parts.try_for_each(work);
        }
        thread::scope(|scope| {
            let running: Vec<_> = parts.map(|part| scope.spawn(move || work(part))).collect();
            running.into_iter().try_for_each(|thread| {
                thread.join().unwrap_or_else(|_| Err(Error::misuse("a thread that seals has panicked")))
            })
        })
    }

    /// Whether a row was refused.
    #[must_use]
    pub fn is_refused(&self, row: usize) -> bool {
        self.part(row).is_none_or(|(part, row)| part.is_refused(row))
    }

    /// What is to be stored in the cell of a sealed field; `position` counts them in schema order.
    #[must_use]
    pub fn cell(&self, row: usize, position: usize) -> NewCell<'_> {
        self.part(row).map_or(NewCell::Unchanged, |(part, row)| part.cell(row, position))
    }

    /// Whether the former column of a sealed field is to be emptied: in the same write as the field's own column, and on the condition that
    /// both columns still are what was read.
    #[must_use]
    pub fn empties_former(&self, row: usize, position: usize) -> bool {
        self.part(row).is_some_and(|(part, row)| part.empties_former(row, position))
    }

    /// What is to be stored for an index or kept token; the position is that of [`TableSchema::surrogate_columns`](amanat::TableSchema::surrogate_columns).
    #[must_use]
    pub fn surrogate(&self, row: usize, position: usize) -> NewTerm<'_> {
        match self.part(row).map(|(part, row)| part.surrogate(row, position)) {
            Some(NewSurrogate::New(new)) => NewTerm::New(new),
            _ => NewTerm::Unchanged,
        }
    }

    /// Takes a row out of counts that it is in: it was not written.
    pub(crate) fn uncount(&self, row: usize, primary: KeyId, tally: &mut Tally) {
        if let Some((part, row)) = self.part(row) {
            part.uncount(row, primary, tally);
        }
    }

    /// Whether anything of a row is to be stored that does not stand there.
    pub(crate) fn needs_work(&self, row: usize) -> bool {
        self.part(row).is_some_and(|(part, row)| part.needs_work(row))
    }

    /// Counts of the batch.
    pub(crate) fn tally(&self) -> Tally {
        let mut total = Tally::default();
        self.parts.iter().for_each(|part| total.add(&part.tally));
        total
    }

    /// Why rows were refused, without the rest.
    pub(crate) fn into_faults(self) -> Vec<Error> {
        self.parts.into_iter().flat_map(|part| part.faults).collect()
    }

    /// Why rows were refused.
    pub(crate) fn faults(&self) -> impl Iterator<Item = &Error> {
        self.parts.iter().flat_map(|part| &part.faults)
    }

    fn place(&self, row: usize) -> (usize, usize) {
        let part_rows = self.part_rows.max(1);
        (row / part_rows, row % part_rows)
    }

    fn part(&self, row: usize) -> Option<(&SealedRows, usize)> {
        let (place, row) = self.place(row);
        self.parts.get(place).map(|part| (part, row))
    }
}

/// Some consecutive rows of a batch.
struct Part<'a, R> {
    rows: &'a R,
    first: usize,
    count: usize,
}

impl<R: Rows> Rows for Part<'_, R> {
    fn count(&self) -> usize {
        self.count
    }

    fn number(&self, row: usize) -> u64 {
        self.rows.number(self.first + row)
    }

    fn record(&self, row: usize) -> Result<RecordId<'_>> {
        self.rows.record(self.first + row)
    }

    fn cell(&self, row: usize, position: usize) -> Result<Stored<'_>> {
        self.rows.cell(self.first + row, position)
    }

    fn former(&self, row: usize, position: usize) -> Result<Stored<'_>> {
        self.rows.former(self.first + row, position)
    }

    fn left_over(&self, row: usize) -> u64 {
        self.rows.left_over(self.first + row)
    }

    fn record_texts(&self, row: usize) -> Result<Vec<Cow<'_, str>>> {
        self.rows.record_texts(self.first + row)
    }

    fn surrogate(&self, row: usize, position: usize) -> Result<StoredSurrogate<'_>> {
        self.rows.surrogate(self.first + row, position)
    }
}
