// SPDX-License-Identifier: MIT OR Apache-2.0
//! Counts how often the values of a column occur, in bounded memory.
//!
//! Owns sampling. Never keeps a value: it counts fingerprints under a key that is drawn for the run and lost with it. SPEC 9.5.

use core::cmp::Reverse;
use core::fmt;
use std::collections::{BinaryHeap, HashMap};

use zeroize::Zeroizing;

use super::Column;
use super::figures::real;
use crate::crypto::prf::HmacKey;
use crate::crypto::random;
use crate::error::Result;
use crate::normal::Normal;
use crate::wire::append_pae;

/// Different values below which a census is exact. It takes at most about 215 MB, and a report on it 300 MB more. From there on, counts
/// are estimated from a sample of at least half as many values.
///
/// A little less than a hash table of 2^23 places holds, so that half as many surely fit in one of 2^22.
pub const MAX_EXACT_VALUES: usize = 7_000_000;

/// Frequent values that are followed beside the sample.
const FREQUENT_VALUES: usize = 4096;
/// Rows that a value needs since sampling began to count as one of them: fewer are in the sample's figures already.
const FREQUENT_ROWS: u64 = 1024;

/// A count of the values of one column, or of several that an index joins.
///
/// Every value is counted as a keyed fingerprint of 64 bits. When there are too many, half of all fingerprints are dropped, chosen by
/// their last bits, and so on: what is left is a uniform sample of the values with exact counts. The values that were the most
/// frequent before the first halving keep their exact counts; one that becomes frequent later is noticed once it stands in more than
/// one of 2,048 of the rows that follow.
pub struct Census {
    key: HmacKey,
    /// Sampled values.
    counts: HashMap<u64, u64>,
    /// The most frequent values before the first halving.
    pinned: HashMap<u64, u64>,
    late: LateValues,
    /// One of 2^halvings values is counted.
    halvings: u32,
    rows: u64,
    absent: u64,
    max_values: usize,
    message: Zeroizing<Vec<u8>>,
}

impl Census {
    /// An empty census under a new random key.
    ///
    /// # Errors
    /// `Entropy`.
    pub fn new() -> Result<Self> {
        Ok(Self::with_key(&random::secret::<32>()?.expose()[..], MAX_EXACT_VALUES))
    }

    /// An empty census that samples from `max_values` different values on instead of [`MAX_EXACT_VALUES`]; never below 8,192.
    ///
    /// # Errors
    /// `Entropy`.
    pub fn with_max_values(max_values: usize) -> Result<Self> {
        Ok(Self::with_key(&random::secret::<32>()?.expose()[..], max_values.max(2 * FREQUENT_VALUES)))
    }

    pub(crate) fn with_key(key: &[u8], max_values: usize) -> Self {
        Self {
            key: HmacKey::new(key),
            counts: HashMap::new(),
            pinned: HashMap::new(),
            late: LateValues::default(),
            halvings: 0,
            rows: 0,
            absent: 0,
            max_values,
            message: Zeroizing::default(),
        }
    }

    /// Counts a row by the values of the index's fields, in order, in normal form.
    pub fn add(&mut self, values: &[&Normal]) {
        self.add_bytes(values.iter().map(|value| value.as_bytes()));
    }

    /// As [`add`](Self::add), of bytes in normal form.
    pub(crate) fn add_bytes<'a>(&mut self, parts: impl ExactSizeIterator<Item = &'a [u8]>) {
        self.message.clear();
        append_pae(parts, &mut self.message);
        let hash = self.key.sign(&self.message);
        let fingerprint = hash.first_chunk().map_or(0, |first| u64::from_be_bytes(*first));
        self.rows += 1;
        if let Some(count) = self.pinned.get_mut(&fingerprint) {
            *count += 1;
        } else if fingerprint.trailing_zeros() >= self.halvings {
            *self.counts.entry(fingerprint).or_default() += 1;
            while self.counts.len() >= self.max_values {
                self.halve();
            }
        } else {
            self.late.add(fingerprint);
        }
    }

    /// Counts a row that has no value.
    pub fn add_absent(&mut self) {
        self.absent += 1;
    }

    /// Rows that have a value.
    #[must_use]
    pub const fn rows(&self) -> u64 {
        self.rows
    }

    /// Rows that have none.
    #[must_use]
    pub const fn absent(&self) -> u64 {
        self.absent
    }

    /// One of how many values was counted: 1 if the census is exact, and its counts are estimates otherwise.
    #[must_use]
    pub const fn sampled_one_in(&self) -> u64 {
        1 << self.halvings
    }

    /// The column in counts.
    #[must_use]
    pub fn column(&self) -> Column {
        let sample = self.sample();
        // Estimates need not fit each other; a column's counts do. The count of the most frequent value is the better one.
        let largest = sample.largest.min(self.rows);
        let distinct = sample.distinct().min((self.rows - largest).saturating_add(largest.min(1)));
        let largest = largest.max(self.rows.div_ceil(distinct.max(1)));
        let column = Column::counted(self.rows, distinct, largest);
        column.with_likely_values(sample.likely_values())
    }

    fn halve(&mut self) {
        if self.halvings == 0 {
            self.pinned = most_frequent(&self.counts);
            self.counts.retain(|fingerprint, _| !self.pinned.contains_key(fingerprint));
        }
        self.halvings += 1;
        let halvings = self.halvings;
        self.counts.retain(|fingerprint, _| fingerprint.trailing_zeros() >= halvings);
        // What was removed takes room until the table is made anew, and a table without room doubles.
        self.counts.shrink_to_fit();
    }

    /// What was counted, frequent values apart from the sample of all others.
    pub(super) fn sample(&self) -> Sample {
        let values: Vec<(u64, u64)> =
            self.counts.iter().map(|(fingerprint, count)| (*fingerprint, *count)).collect();
        let frequent: Vec<u64> = self.pinned.values().copied().chain(self.late.frequent()).collect();
        let largest = values.iter().map(|(_, count)| *count).chain(frequent.iter().copied()).max();
        Sample { values, frequent, halvings: self.halvings, largest: largest.unwrap_or_default() }
    }
}

/// The values with the highest counts.
fn most_frequent(counts: &HashMap<u64, u64>) -> HashMap<u64, u64> {
    let mut lowest_first = BinaryHeap::with_capacity(FREQUENT_VALUES + 1);
    for (fingerprint, count) in counts {
        lowest_first.push(Reverse((*count, *fingerprint)));
        if lowest_first.len() > FREQUENT_VALUES {
            lowest_first.pop();
        }
    }
    lowest_first.into_iter().map(|Reverse((count, fingerprint))| (fingerprint, count)).collect()
}

impl fmt::Debug for Census {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Census({} rows, {} absent)", self.rows, self.absent)
    }
}

/// The counts of a census: fingerprints of a uniform sample of the values, and the frequent values that stand outside of it.
pub(super) struct Sample {
    /// Fingerprint and rows of each sampled value.
    pub(super) values: Vec<(u64, u64)>,
    /// Rows of each frequent value, at most.
    pub(super) frequent: Vec<u64>,
    /// One of 2^halvings values is in `values`.
    pub(super) halvings: u32,
    /// Rows of the most frequent value, at most.
    pub(super) largest: u64,
}

impl Sample {
    /// Different values.
    pub(super) fn distinct(&self) -> u64 {
        let sampled = u64::try_from(self.values.len()).unwrap_or(u64::MAX);
        let frequent = u64::try_from(self.frequent.len()).unwrap_or(u64::MAX);
        (sampled << self.halvings).saturating_add(frequent)
    }

    /// Values that could occur, at least: those that do, and those unseen as far as values seen once and twice tell of them.
    ///
    /// Source: A. Chao, Nonparametric estimation of the number of classes in a population, Scand. J. Statist. 11 (1984).
    fn likely_values(&self) -> Option<f64> {
        let seen = |times| self.values.iter().filter(|(_, count)| *count == times).count();
        let (once, twice) = (u64::try_from(seen(1)).ok()?, u64::try_from(seen(2)).ok()?);
        // Fewer say nothing.
        if twice < 10 {
            return None;
        }
        let unseen = real(once) * real(once) / (2.0 * real(twice));
        Some(real(self.distinct()) + unseen * real(1 << self.halvings))
    }
}

/// Frequent values of the rows since sampling began, by the counters of J. Misra and D. Gries, Finding repeated elements (1982): a
/// value's count is at most `missed` too low, and `missed` is at most the rows divided by the counters.
#[derive(Default)]
struct LateValues {
    counts: HashMap<u64, u64>,
    missed: u64,
}

impl LateValues {
    fn add(&mut self, fingerprint: u64) {
        if let Some(count) = self.counts.get_mut(&fingerprint) {
            *count += 1;
        } else if self.counts.len() < FREQUENT_VALUES {
            self.counts.insert(fingerprint, 1);
        } else {
            // One row of each of the values and this one cancel out. Every row is cancelled once, so that this is rare.
            self.missed += 1;
            self.counts.retain(|_, count| {
                *count -= 1;
                *count > 0
            });
        }
    }

    /// Rows, at most, of each value that is frequent beyond the error.
    fn frequent(&self) -> impl Iterator<Item = u64> {
        let sure = self.counts.values().filter(|count| **count > self.missed.max(FREQUENT_ROWS));
        sure.map(|count| count + self.missed)
    }
}
