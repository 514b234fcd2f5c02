// SPDX-License-Identifier: MIT OR Apache-2.0
//! A column in counts, and what the indexes of one table have used up.
//!
//! Owns which counts are possible. Never sees a value. SPEC 9.5.

use serde::Serialize;

use super::figures::real;
use super::{CLOSED_LIST_BITS, CLOSED_LIST_ROWS_PER_VALUE};
use crate::error::{Error, Result};
use crate::index::IndexBits;

/// A column, or several that an index joins, in counts. A value of this type is possible: its counts fit each other.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Column {
    pub(super) rows: u64,
    pub(super) distinct: u64,
    pub(super) largest: u64,
    pub(super) domain_bits: Option<f64>,
    pub(super) likely_values: Option<f64>,
}

impl Column {
    /// A column of which `rows` rows have a value, `distinct` of them different, the most frequent one in `largest` rows.
    ///
    /// # Errors
    /// `Schema` if no column has such counts.
    pub fn new(rows: u64, distinct: u64, largest: u64) -> Result<Self> {
        // One value in `largest` rows, every other in 1 to `largest`.
        let others = distinct.saturating_sub(1);
        let least = largest.saturating_add(others);
        let most = largest.saturating_mul(distinct);
        let empty = rows == 0 && distinct == 0 && largest == 0;
        let fits = distinct > 0 && largest > 0 && (least..=most).contains(&rows);
        if !empty && !fits {
            return Err(Error::schema(
                "no column has such counts: the different values and the rows of the most frequent one must fit the rows",
            ));
        }
        Ok(Self { rows, distinct, largest, domain_bits: None, likely_values: None })
    }

    /// A column in which every value stands once: identifiers.
    #[must_use]
    pub const fn unique(rows: u64) -> Self {
        let largest = if rows == 0 { 0 } else { 1 };
        Self { rows, distinct: rows, largest, domain_bits: None, likely_values: None }
    }

    /// States how many values could occur, as a power of two: 35.7 for a CNIC, 15.2 for the birth dates of a century.
    ///
    /// Without it the cost of guessing is told for the values that do occur, and a short list is recognised only by its repetitions.
    ///
    /// # Errors
    /// `Schema` unless it is a number from 0 to 512.
    pub fn with_domain_bits(mut self, bits: f64) -> Result<Self> {
        if !(0.0..=512.0).contains(&bits) {
            return Err(Error::schema("the size of a domain is stated in bits, 0 to 512"));
        }
        self.domain_bits = Some(bits);
        Ok(self)
    }

    /// Counts that were taken from rows.
    pub(super) const fn counted(rows: u64, distinct: u64, largest: u64) -> Self {
        Self { rows, distinct, largest, domain_bits: None, likely_values: None }
    }

    /// With an estimate of the values that could occur, made from those that do.
    pub(super) const fn with_likely_values(mut self, values: Option<f64>) -> Self {
        self.likely_values = values;
        self
    }

    /// Rows that have a value.
    #[must_use]
    pub const fn rows(&self) -> u64 {
        self.rows
    }

    /// Different values.
    #[must_use]
    pub const fn distinct(&self) -> u64 {
        self.distinct
    }

    /// Rows of the most frequent value.
    #[must_use]
    pub const fn largest(&self) -> u64 {
        self.largest
    }

    /// Min-entropy, log2(rows / rows of the most frequent value): how hard the best single guess is.
    #[must_use]
    pub fn min_entropy_bits(&self) -> f64 {
        if self.rows == 0 { 0.0 } else { (real(self.rows) / real(self.largest)).log2() }
    }

    /// Values that could occur, if stated: never fewer than do occur.
    #[must_use]
    pub fn domain_values(&self) -> Option<f64> {
        self.domain_bits.map(|bits| bits.exp2().max(real(self.distinct)))
    }

    /// Values that a thief of the key has to try.
    pub(super) fn guesses(&self) -> f64 {
        self.domain_values().unwrap_or(real(self.distinct))
    }

    /// Whether at most one row of 20 repeats a value of another.
    pub(super) fn is_nearly_unique(&self) -> bool {
        self.rows - self.distinct <= self.rows / 20
    }

    /// The values of a list that anyone can write down, if the column is of one and shows it by repetition.
    pub(super) fn closed_list(&self) -> Option<f64> {
        let rows = real(self.rows);
        let is_short = |values: &f64| *values < CLOSED_LIST_BITS.exp2();
        let stated = self.domain_values().filter(is_short);
        let shown = self.distinct.saturating_mul(CLOSED_LIST_ROWS_PER_VALUE) <= self.rows;
        if shown && is_short(&real(self.distinct)) {
            return Some(stated.unwrap_or(real(self.distinct)));
        }
        let values = stated?;
        // Values drawn freely would have repeated by now (birthday bound): a small identifier, each given out once.
        let issued_once = self.is_nearly_unique() && rows * rows > 2.0 * values;
        (!issued_once).then_some(values)
    }
}

/// What the indexes of one row may tell together: the sum of min(bits, domain bits) stays at log2(rows) - 1 or below, so that at least
/// two rows on average agree in all of them. Indexes of unique columns do not count: they single out a row whatever the others do.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct IndexBudget {
    pub(super) rows: u64,
    pub(super) spent_bits: f64,
}

impl IndexBudget {
    /// The whole budget of a table.
    #[must_use]
    pub const fn new(rows: u64) -> Self {
        Self { rows, spent_bits: 0.0 }
    }

    /// Takes the bits of an index.
    pub fn spend(&mut self, bits: IndexBits, column: &Column) {
        if !column.is_nearly_unique() {
            let domain = column.domain_bits.unwrap_or(f64::INFINITY);
            self.spent_bits += f64::from(bits.get()).min(domain);
        }
    }

    /// Bits spent: what [`Planner::spent_bits`](super::Planner::spent_bits) asks for.
    #[must_use]
    pub const fn spent_bits(&self) -> f64 {
        self.spent_bits
    }

    /// Bits that may be spent.
    #[must_use]
    pub fn allowed_bits(&self) -> f64 {
        (real(self.rows.max(2)).log2() - 1.0).max(0.0)
    }

    /// Rows that agree in all indexes, on average.
    #[must_use]
    pub fn coincidences(&self) -> f64 {
        real(self.rows) / self.spent_bits.exp2()
    }

    /// Whether no more was spent than may be.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.spent_bits <= self.allowed_bits()
    }
}
