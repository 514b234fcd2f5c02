// SPDX-License-Identifier: MIT OR Apache-2.0
//! Finding rows by an index: the terms to ask a store for, and the comparison of what it gives.
//!
//! Owns the candidate check of SPEC 9.4. Never asks a store itself.

use core::fmt;

use super::Record;
use crate::error::{Error, Result};
use crate::ident::{KeyId, Name};
use crate::index::{BlindIndex, IndexTerm};
use crate::keys::Keyring;
use crate::normal::Normal;
use crate::schema::{IndexPolicy, TableSchema};
use crate::value::ValueRef;

/// Searches a table by one of its indexes. One for each thread.
///
/// Shape: [`search`](Self::search) makes the terms for the program's own query, `WHERE cnic_index IN (…)`, as bytes in a table of binary
/// encoding and as text in one of text encoding; rows that the store gives are candidates, which are opened and shown to [`Search::found`].
/// Leaks to the store which rows were searched for, and how often.
pub struct Finder {
    table: Name,
    policy: IndexPolicy,
    index: BlindIndex,
}

impl Finder {
    /// Derives the keys of an index. `break_glass` is as in [`BlindIndex::new`]: name compromised keys here until their rows are rotated
    /// away, or such rows are not found.
    ///
    /// # Errors
    /// `Schema` if the table has no index of this name, or the keyring no index keys.
    pub fn new(keyring: &Keyring, table: &TableSchema, index: &str, break_glass: &[KeyId]) -> Result<Self> {
        let policy = table.index(index)?;
        Ok(Self {
            table: table.name().clone(),
            policy: policy.clone(),
            index: BlindIndex::new(&keyring.index_keys()?, table.name(), policy.spec(), break_glass)?,
        })
    }

    /// Column that holds the terms.
    #[must_use]
    pub fn column(&self) -> &str {
        self.policy.column()
    }

    /// Prepares a search. `values` are those of the index's fields, in order, as somebody typed them.
    ///
    /// # Errors
    /// `Misuse` for another number of values; otherwise as [`NormalForm::normalise`](crate::normal::NormalForm::normalise), with the field's
    /// name: what has no normal form is in no row.
    pub fn search(&mut self, values: &[ValueRef<'_>]) -> Result<Search<'_>> {
        let parts = self.policy.spec().fields();
        if values.len() != parts.len() {
            return Err(Error::misuse("a search has one value for each field of the index"));
        }
        let wanted = parts
            .iter()
            .zip(values)
            .map(|(part, value)| part.form.normalise(*value).map_err(|error| error.at_field(&part.field)));
        let wanted = wanted.collect::<Result<Vec<_>>>()?;
        let terms = self.index.query(&wanted.iter().collect::<Vec<_>>())?;
        Ok(Search { finder: self, terms, wanted })
    }
}

impl fmt::Debug for Finder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Finder({:?})", self.index)
    }
}

/// One search: what is asked for. Holds the searched values, wiped when dropped.
pub struct Search<'a> {
    finder: &'a Finder,
    terms: Vec<IndexTerm>,
    wanted: Vec<Normal>,
}

impl Search<'_> {
    /// The terms to ask the store for: one for each generation of the index key that rows may still be under.
    #[must_use]
    pub fn terms(&self) -> &[IndexTerm] {
        &self.terms
    }

    /// Whether an opened candidate is one of the rows that were searched for.
    ///
    /// # Errors
    /// `Misuse` if the record is of another table, or of a type without this index.
    pub fn found<R: Record>(&self, record: &R) -> Result<bool> {
        let places = R::LAYOUT.places_of(&self.finder.table, &self.finder.policy).ok_or_else(other_table)?;
        let values = record.sealed_values();
        let of_index: Vec<_> = places.iter().filter_map(|place| values.get(*place).copied()).collect();
        Ok(self.matches(&of_index))
    }

    /// Whether opened values of the index's fields, in order, are those that were searched for. Compares normal forms; a value without one
    /// is not.
    #[must_use]
    pub fn matches(&self, values: &[ValueRef<'_>]) -> bool {
        let same = |(wanted, value): (&Normal, &ValueRef<'_>)| {
            wanted.form().normalise(*value).is_ok_and(|value| value.matches(wanted))
        };
        values.len() == self.wanted.len() && self.wanted.iter().zip(values).all(same)
    }
}

impl fmt::Debug for Search<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Search({:?}, {} terms)", self.finder.index, self.terms.len())
    }
}

fn other_table() -> Error {
    Error::misuse(
        "the finder is of another table or index than the record; make it from the record's own schema",
    )
}
