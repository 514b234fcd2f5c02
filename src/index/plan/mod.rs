// SPDX-License-Identifier: MIT OR Apache-2.0
//! How long a blind index should be, whether a column should have one, and what it tells a thief.
//!
//! Owns the arithmetic and the texts of SPEC 9.5. Never keeps a value: a column is a few counts, a census counts keyed fingerprints.

mod census;
mod column;
mod exposure;
mod figures;
mod leakage;
mod verdict;

pub use census::{Census, MAX_EXACT_VALUES};
pub use column::{Column, IndexBudget};
pub use exposure::{Exposure, Lengths, Plan};
pub use leakage::{BucketFigures, LeakageReport, Multiplicity};
pub use verdict::{Reason, Verdict};

use super::{MAX_INDEX_BITS, MIN_INDEX_BITS};
use figures::{power, real};

/// Fewer possible values than 2 to this power are a list that anyone can write down: dates of a century (15.2 bits), districts,
/// post codes, given names. National identifiers have 24 bits and more.
pub const CLOSED_LIST_BITS: f64 = 20.0;
/// As many rows per value mean that the column has shown its whole list.
pub const CLOSED_LIST_ROWS_PER_VALUE: u64 = 8;
/// Least min-entropy of a column: no value may stand in more than one row of 16.
pub const DOMINANT_BITS: f64 = 4.0;
/// Min-entropy below which the most frequent value is worth a warning: one row of 1,024.
pub const FREQUENT_BITS: f64 = 10.0;
/// Rows that share a value of an otherwise unique column before it is taken for a filler.
pub const FILLER_ROWS: u64 = 16;
/// False rows of an average query of a unique column are below this.
pub const UNIQUE_FALSE_ROWS: f64 = 0.01;
/// Time of one guess by a thief of the index key, on one core, in nanoseconds.
///
/// The least time measured of HMAC-SHA-256 over 13 bytes with a ready key on a server core with SHA extensions (111 to 156 by machine).
pub const GUESS_NANOSECONDS: f64 = 111.0;
/// False rows that a query may bring on average, unless the planner is told otherwise: opening as many takes tens of microseconds.
pub const MAX_FALSE_ROWS: u64 = 100;

/// Settings of planning.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Planner {
    /// False rows that a query may bring on average.
    pub max_false_rows: u64,
    /// Time of one guess by a thief of the index key, on one core.
    pub guess_nanoseconds: f64,
    /// Bits that other indexes of the same rows have used; see [`IndexBudget`].
    pub spent_bits: f64,
}

impl Default for Planner {
    fn default() -> Self {
        Self { max_false_rows: MAX_FALSE_ROWS, guess_nanoseconds: GUESS_NANOSECONDS, spent_bits: 0.0 }
    }
}

impl Planner {
    /// Says whether a column should have an index, how long, and why. Source: SPEC 9.5.
    #[must_use]
    pub fn plan(&self, column: &Column) -> Plan {
        let mut reasons = Vec::new();
        let lengths = match Self::refusal(column) {
            Some(reason) => {
                reasons.push(reason);
                None
            }
            None if column.is_nearly_unique() => self.unique(column, &mut reasons),
            None => self.repeating(column, &mut reasons),
        };
        Plan { column: *column, lengths, reasons, guess_nanoseconds: self.guess_nanoseconds }
    }

    /// What no length would cure.
    fn refusal(column: &Column) -> Option<Reason> {
        let hides = |range: (u16, u16)| range.1 >= MIN_INDEX_BITS;
        let repeats = !column.is_nearly_unique();
        if column.rows == 0 || repeats && !coincidence_range(column.rows, None, 0.0).is_some_and(hides) {
            return Some(Reason::TooFewRows { rows: column.rows });
        }
        if let Some(values) = column.closed_list() {
            return Some(Reason::ClosedList { values });
        }
        let share = real(column.largest) / real(column.rows);
        if repeats && column.min_entropy_bits() < DOMINANT_BITS {
            return Some(Reason::DominantValue { share });
        }
        None
    }

    /// Every value stands about once: no frequency to read, so that a long index tells no more than a short one.
    fn unique(&self, column: &Column, reasons: &mut Vec<Reason>) -> Option<Lengths> {
        let enough = |bits: &u16| false_rows(column.rows, *bits) < UNIQUE_FALSE_ROWS;
        let recommended = (MIN_INDEX_BITS..=MAX_INDEX_BITS).find(enough)?;
        let smallest = coincidence_range(column.rows, column.domain_bits, 0.0).map_or(1, |range| range.0);
        if column.largest >= FILLER_ROWS {
            reasons.push(Reason::Filler { rows: column.largest });
        }
        if let Some(values) = column.domain_values().filter(|values| *values < CLOSED_LIST_BITS.exp2()) {
            reasons.push(Reason::SmallDomain { values });
        }
        Lengths::new(smallest.min(recommended), recommended, MAX_INDEX_BITS)
    }

    /// Values repeat: as short as queries allow, so that many values share a bucket.
    fn repeating(&self, column: &Column, reasons: &mut Vec<Reason>) -> Option<Lengths> {
        let range = coincidence_range(column.rows, column.domain_bits, self.spent_bits);
        let range = range.filter(|range| range.1 >= MIN_INDEX_BITS);
        let Some((smallest, largest)) = range else {
            // Without other indexes it would have been refused for its few rows.
            let budget = IndexBudget { rows: column.rows, spent_bits: self.spent_bits };
            reasons.push(Reason::OverBudget { budget });
            return None;
        };
        let smallest = smallest.max(MIN_INDEX_BITS);
        let largest =
            distinct_range(column.distinct).map_or(smallest, |range| range.1).clamp(smallest, largest);
        let fits = |bits: &u16| false_rows(column.rows, *bits) <= real(self.max_false_rows);
        let recommended = (smallest..=largest).find(fits).unwrap_or(largest);
        let rows = false_rows(column.rows, recommended);
        if rows > real(self.max_false_rows) {
            reasons.push(Reason::ManyFalseRows { rows });
        }
        if column.min_entropy_bits() < FREQUENT_BITS {
            reasons.push(Reason::FrequentValue {
                rows: column.largest,
                share: real(column.largest) / real(column.rows),
            });
        }
        if let (None, Some(values)) = (column.domain_bits, column.likely_values)
            && values < CLOSED_LIST_BITS.exp2()
        {
            reasons.push(Reason::LikelyClosedList { values });
        }
        Lengths::new(smallest, recommended, largest)
    }
}

/// Shortest and longest index by coincidences: C = rows / 2^(spent bits + min(bits, domain bits)) from about 2 to the square root of
/// the rows. `None` if no length brings C that low. The longest is rounded up, so that C there is 1 to 2.
///
/// Source: the planner of CipherSweet (paragonie/ciphersweet, `FieldIndexPlanner`), which gives 8 to 15 for 50,000 rows.
#[must_use]
pub fn coincidence_range(rows: u64, domain_bits: Option<f64>, spent_bits: f64) -> Option<(u16, u16)> {
    let domain = domain_bits.unwrap_or(f64::INFINITY);
    let coincidences = |bits: f64| real(rows) / (spent_bits + bits.min(domain)).exp2();
    let first_below = |limit: f64| (1..=256).find(|bits| coincidences(f64::from(*bits)) <= limit);
    let boundary = coincidences(f64::INFINITY).max(2.0);
    let smallest = first_below(real(rows).sqrt())?;
    let largest = first_below(boundary)?;
    // Other indexes have used up what there was: not even one bit leaves two rows together.
    let exhausted = coincidences(0.0) <= 2.0;
    (!exhausted).then_some((smallest.min(largest), largest))
}

/// Shortest and longest index by different values: square root of the values < 2^bits < half of the values.
///
/// Source: the specification of beacons of the AWS Database Encryption SDK, whose example of 100,000 values gives 9 to 15 bits by this
/// formula (its text says 16, which is above half of the values).
#[must_use]
pub fn distinct_range(distinct: u64) -> Option<(u16, u16)> {
    let lengths = || {
        (1..=63).filter(|bits| power(*bits) > real(distinct).sqrt() && power(*bits) < real(distinct) / 2.0)
    };
    Some((lengths().next()?, lengths().next_back()?))
}

/// Rows that a query brings beyond those it asks for, on average: (rows - 1) / 2^bits.
fn false_rows(rows: u64, bits: u16) -> f64 {
    real(rows.saturating_sub(1)) / power(bits)
}
