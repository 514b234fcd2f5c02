// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a run has done, in numbers.
//!
//! Owns counts by state and by key id. Never holds a value or a record id.

use amanat::error::{Error, Kind};
use amanat::ident::KeyId;

/// Counts of a run or of a batch of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tally {
    /// Rows seen.
    pub rows: u64,
    /// Rows that were refused; they are not in the output, and a table keeps them as they were.
    pub refused_rows: u64,
    /// Cells that were plain and are sealed now.
    pub sealed: u64,
    /// Cells that were sealed as the policy says and stay as they are.
    pub kept: u64,
    /// Cells that were sealed under another key or suite and are sealed under the primary now.
    pub resealed: u64,
    /// Cells whose value was opened.
    pub opened: u64,
    /// Cells that are absent and show it.
    pub absent: u64,
    /// Cells whose mask stands in place of the value.
    pub masked: u64,
    /// Plain cells of a sealed column that were passed on, because the schema says that it is mixed.
    pub plain: u64,
    /// Cells that do not open: altered, or moved from elsewhere.
    pub unauthentic: u64,
    /// Index terms that were made: for new values, or under another key or length than those that stood there.
    pub terms_made: u64,
    /// Index terms that stay as they are.
    pub terms_kept: u64,
    /// Tokens that were made and are kept in the table: for new values, or at another epoch than those that stood there.
    pub tokens_made: u64,
    /// Kept tokens that stay as they are.
    pub tokens_kept: u64,
    /// Index terms and kept tokens that were taken away, because their value is visibly absent now.
    pub surrogates_removed: u64,
    /// Cells of indexes and kept tokens that stay empty, because their value is absent or has no normal form.
    pub surrogates_absent: u64,
    /// Rows that another process changed meanwhile and that were read again.
    pub read_again: u64,
    /// Cells by the key that sealed them when they were read.
    pub keys: Vec<KeyTally>,
}

/// Cells of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyTally {
    /// The key.
    pub key: KeyId,
    /// Cells that were sealed under it and stay so.
    pub kept: u64,
    /// Cells that were sealed under it and are sealed under the primary now.
    pub resealed: u64,
    /// Cells that were sealed under it and were opened.
    pub opened: u64,
    /// Cells that are newly sealed under it, re-sealed ones included.
    pub sealed: u64,
}

impl Tally {
    /// Whether anything is to be stored that did not stand there.
    #[must_use]
    pub const fn changes(&self) -> bool {
        let surrogates = self.terms_made + self.tokens_made + self.surrogates_removed;
        self.sealed + self.resealed + self.masked + surrogates > 0
    }

    /// Counts of one key.
    pub(crate) fn key(&mut self, key: KeyId) -> &mut KeyTally {
        let known = self.keys.iter().position(|tally| tally.key == key).unwrap_or(self.keys.len());
        if known == self.keys.len() {
            self.keys.push(KeyTally { key, kept: 0, resealed: 0, opened: 0, sealed: 0 });
        }
        // The entry was pushed if it was missing.
        self.keys.get_mut(known).expect("an entry that exists")
    }

    /// Counts what went wrong with a cell.
    pub(crate) fn fault(&mut self, error: &Error) {
        self.unauthentic += u64::from(error.kind() == Kind::Unauthentic);
    }

    /// Adds the counts of a batch.
    pub fn add(&mut self, batch: &Self) {
        self.rows += batch.rows;
        self.refused_rows += batch.refused_rows;
        self.sealed += batch.sealed;
        self.kept += batch.kept;
        self.resealed += batch.resealed;
        self.opened += batch.opened;
        self.absent += batch.absent;
        self.masked += batch.masked;
        self.plain += batch.plain;
        self.unauthentic += batch.unauthentic;
        self.terms_made += batch.terms_made;
        self.terms_kept += batch.terms_kept;
        self.tokens_made += batch.tokens_made;
        self.tokens_kept += batch.tokens_kept;
        self.surrogates_removed += batch.surrogates_removed;
        self.surrogates_absent += batch.surrogates_absent;
        self.read_again += batch.read_again;
        for other in &batch.keys {
            let tally = self.key(other.key);
            tally.kept += other.kept;
            tally.resealed += other.resealed;
            tally.opened += other.opened;
            tally.sealed += other.sealed;
        }
    }

    /// Forgets everything and keeps the room.
    pub(crate) fn clear(&mut self) {
        let mut keys = std::mem::take(&mut self.keys);
        keys.clear();
        *self = Self { keys, ..Self::default() };
    }
}
