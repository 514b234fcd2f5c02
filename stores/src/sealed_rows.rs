// SPDX-License-Identifier: MIT OR Apache-2.0
//! What became of a batch of rows: new cells, refused rows, counts.
//!
//! Owns the counting. Never decides what becomes of a cell: the engine does.

use amanat::EnvelopeBatch;
use amanat::error::Error;
use amanat::ident::KeyId;
use amanat::schema::TableSchema;

use crate::surrogates::NewSurrogate;
use crate::tally::Tally;

/// What became of a batch.
#[derive(Debug, Default)]
pub struct SealedRows {
    refused: Vec<bool>,
    pub(crate) slots: Vec<Slot>,
    pub(crate) batches: Vec<EnvelopeBatch>,
    /// Indexes and kept tokens of each row, one after the other.
    pub(crate) surrogates: Vec<NewSurrogate>,
    /// Whether the former column of each cell is emptied. Empty if no field moves.
    pub(crate) moves: Vec<bool>,
    /// How many cells of dropped columns each row has that are emptied. Empty if no column is dropped.
    pub(crate) left_over: Vec<u64>,
    /// How many a row has, and how many of them are indexes.
    surrogate_columns: usize,
    indexes: usize,
    /// Counts of the batch.
    pub tally: Tally,
    /// Why rows were refused.
    pub faults: Vec<Error>,
}

/// What becomes of a sealed cell.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Slot {
    Unchanged,
    Absent,
    /// The envelope at this place of its column, and what it replaces.
    New(usize, Before),
}

/// What a new envelope replaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Before {
    /// What another tool had sealed.
    Foreign,
    /// Plaintext, or nothing.
    Plain,
    /// An envelope under this key.
    Sealed(KeyId),
}

/// What is to be stored in a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NewCell<'a> {
    /// What stands there already.
    Unchanged,
    /// Nothing.
    Absent,
    /// This envelope.
    Envelope(&'a [u8]),
}

impl SealedRows {
    /// Whether a row was refused.
    #[must_use]
    pub fn is_refused(&self, row: usize) -> bool {
        self.refused.get(row).copied().unwrap_or(true)
    }

    /// What is to be stored in the cell of a sealed field.
    #[must_use]
    pub fn cell(&self, row: usize, position: usize) -> NewCell<'_> {
        let slot = self.slots.get(row * self.batches.len() + position);
        match slot {
            Some(Slot::Absent) => NewCell::Absent,
            Some(Slot::New(index, _)) => self
                .batches
                .get(position)
                .and_then(|batch| batch.get(*index))
                .map_or(NewCell::Unchanged, NewCell::Envelope),
            Some(Slot::Unchanged) | None => NewCell::Unchanged,
        }
    }

    /// Whether the former column of a sealed field is to be emptied: in the same write as the field's own column, and on the condition that
    /// both columns still are what was read.
    #[must_use]
    pub fn empties_former(&self, row: usize, position: usize) -> bool {
        self.moves.get(row * self.batches.len() + position).copied().unwrap_or_default()
    }

    /// What is to be stored for an index or kept token; the position is that of [`TableSchema::surrogate_columns`].
    pub(crate) fn surrogate(&self, row: usize, position: usize) -> &NewSurrogate {
        self.surrogates.get(row * self.surrogate_columns + position).unwrap_or(&NewSurrogate::Empty)
    }

    /// Takes a row out of counts that it is in: it was not written.
    pub(crate) fn uncount(&self, row: usize, primary: KeyId, tally: &mut Tally) {
        let fields = self.batches.len();
        tally.rows -= 1;
        tally.moved -= self.moves_of(row);
        tally.emptied -= self.left_over.get(row).copied().unwrap_or_default();
        for slot in self.slots.iter().skip(row * fields).take(fields) {
            match slot {
                Slot::Absent => tally.absent -= 1,
                Slot::New(_, before) => {
                    tally.key(primary).sealed -= 1;
                    match before {
                        Before::Sealed(key) => {
                            tally.resealed -= 1;
                            tally.key(*key).resealed -= 1;
                        }
                        Before::Plain | Before::Foreign => {
                            tally.sealed -= 1;
                            tally.foreign -= u64::from(*before == Before::Foreign);
                        }
                    }
                }
                Slot::Unchanged => {
                    tally.kept -= 1;
                    tally.key(primary).kept -= 1;
                }
            }
        }
        let surrogates = self.surrogates.iter().skip(row * self.surrogate_columns);
        for (place, surrogate) in surrogates.take(self.surrogate_columns).enumerate() {
            *surrogate.count(place < self.indexes, tally) -= 1;
        }
    }

    /// Whether anything of a row is to be stored that does not stand there. Of a dry run or a check: would be.
    pub(crate) fn needs_work(&self, row: usize) -> bool {
        let fields = self.batches.len();
        let mut slots = self.slots.iter().skip(row * fields).take(fields);
        let mut surrogates =
            self.surrogates.iter().skip(row * self.surrogate_columns).take(self.surrogate_columns);
        slots.any(|slot| matches!(slot, Slot::New(..)))
            || self.moves_of(row) > 0
            || self.left_over.get(row).is_some_and(|cells| *cells > 0)
            || surrogates.any(|surrogate| matches!(surrogate, NewSurrogate::New(_)))
    }

    fn moves_of(&self, row: usize) -> u64 {
        let fields = self.batches.len();
        self.moves.iter().skip(row * fields).take(fields).map(|moves| u64::from(*moves)).sum()
    }

    pub(crate) fn reset(&mut self, rows: usize, fields: usize) {
        self.moves.clear();
        self.left_over.clear();
        self.refused.clear();
        self.refused.resize(rows, false);
        self.slots.clear();
        self.slots.resize(rows * fields, Slot::Unchanged);
        self.batches.iter_mut().for_each(EnvelopeBatch::clear);
        self.batches.resize_with(fields, EnvelopeBatch::new);
        self.tally.clear();
        self.tally.rows = u64::try_from(rows).unwrap_or(u64::MAX);
        self.faults.clear();
    }

    pub(crate) fn reset_surrogates(&mut self, rows: usize, columns: usize, table: &TableSchema) {
        (self.surrogate_columns, self.indexes) = (columns, table.indexes().len());
        self.surrogates.clear();
        self.surrogates.resize_with(rows * columns, NewSurrogate::default);
    }

    pub(crate) fn fault(&mut self, error: Error) {
        self.tally.fault(&error);
        self.faults.push(error);
    }

    /// Refuses a row, and takes back what of it was to be sealed.
    pub(crate) fn refuse<T>(&mut self, row: usize, columns: &mut [Vec<T>]) {
        self.tally.refused_rows += 1;
        if let Some(refused) = self.refused.get_mut(row) {
            *refused = true;
        }
        for (slot, column) in self.slots.iter().skip(row * columns.len()).zip(columns) {
            if let Slot::New(place, _) = slot {
                column.truncate(*place);
            }
        }
    }

    /// Counts the cells of the rows that were not refused.
    pub(crate) fn count(&mut self, primary: KeyId) {
        let fields = self.batches.len().max(1);
        for (moves, _) in self.moves.chunks(fields).zip(&self.refused).filter(|(_, refused)| !**refused) {
            self.tally.moved += moves.iter().map(|moves| u64::from(*moves)).sum::<u64>();
        }
        for (cells, _) in self.left_over.iter().zip(&self.refused).filter(|(_, refused)| !**refused) {
            self.tally.emptied += cells;
        }
        for (slots, _) in self.slots.chunks(fields).zip(&self.refused).filter(|(_, refused)| !**refused) {
            for slot in slots {
                match slot {
                    Slot::Absent => self.tally.absent += 1,
                    Slot::New(_, Before::Plain) => self.tally.sealed += 1,
                    Slot::New(_, Before::Foreign) => {
                        self.tally.sealed += 1;
                        self.tally.foreign += 1;
                    }
                    Slot::New(_, Before::Sealed(key)) => {
                        self.tally.resealed += 1;
                        self.tally.key(*key).resealed += 1;
                    }
                    Slot::Unchanged => self.tally.kept += 1,
                }
            }
        }
        let surrogates = self.surrogates.chunks(self.surrogate_columns.max(1)).zip(&self.refused);
        for (row, _) in surrogates.filter(|(_, refused)| !**refused) {
            for (place, surrogate) in row.iter().enumerate() {
                *surrogate.count(place < self.indexes, &mut self.tally) += 1;
            }
        }
        if self.tally.kept > 0 {
            self.tally.key(primary).kept = self.tally.kept;
        }
    }
}
