// SPDX-License-Identifier: MIT OR Apache-2.0
//! A plan, and what an index of one length costs and tells.
//!
//! Owns the expected figures, computed from counts. Never measures: the leakage report does. SPEC 9.5.

use core::fmt;

use serde::Serialize;

use super::figures::{duration, number, power, real, share};
use super::{Column, Reason, Verdict, false_rows};
use crate::index::{IndexBits, MAX_INDEX_BITS, MIN_INDEX_BITS};

/// What the planner says of one column. Prints itself in plain words.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    pub(super) column: Column,
    pub(super) lengths: Option<Lengths>,
    pub(super) reasons: Vec<Reason>,
    pub(super) guess_nanoseconds: f64,
}

impl Plan {
    /// The verdict: that of the gravest reason.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.reasons.iter().map(Reason::verdict).max().unwrap_or(Verdict::Good)
    }

    /// Why the verdict is not simply good.
    #[must_use]
    pub fn reasons(&self) -> &[Reason] {
        &self.reasons
    }

    /// Lengths that the index may have; `None` if it is refused.
    #[must_use]
    pub const fn lengths(&self) -> Option<Lengths> {
        self.lengths
    }

    /// The column it is about.
    #[must_use]
    pub const fn column(&self) -> &Column {
        &self.column
    }

    /// What an index of this length would cost and tell, refused or not.
    #[must_use]
    pub fn exposure(&self, bits: IndexBits) -> Exposure {
        let column = &self.column;
        let (rows, distinct, largest) = (real(column.rows), real(column.distinct), real(column.largest));
        let buckets = power(bits.get());
        let share_of_rows = |part: f64| if column.rows == 0 { 0.0 } else { part / rows };
        // None of n values falls into a given bucket: (1 - 1/buckets)^n = e^misses(n).
        let misses = |values: f64| values * (-1.0 / buckets).ln_1p();
        let in_use = buckets * -misses(distinct).exp_m1();
        let largest_bucket_rows = largest + (rows - largest) / buckets;
        // Unless every value stands once, at least one does not.
        let once = if column.rows == column.distinct { distinct } else { distinct - 1.0 };
        Exposure {
            bits,
            false_rows: false_rows(column.rows, bits.get()),
            bucket_rows: rows / in_use.max(1.0),
            largest_bucket_rows,
            largest_bucket_share: share_of_rows(largest_bucket_rows),
            lone_rows_share: share_of_rows(once * misses(distinct - 1.0).exp()),
            values_per_bucket: distinct / buckets,
            domain_values_per_bucket: column.domain_values().map(|values| values / buckets),
            guess_values: column.guesses(),
            guess_nanoseconds: self.guess_nanoseconds,
            guess_seconds: column.guesses() * self.guess_nanoseconds / 1e9,
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Verdict: {}.", self.verdict())?;
        self.reasons.iter().try_for_each(|reason| writeln!(f, "- {reason}"))?;
        let Some(lengths) = self.lengths else { return Ok(()) };
        let (smallest, largest) = (lengths.smallest.get(), lengths.largest.get());
        writeln!(f, "Length: {} bits ({smallest} to {largest} are sound).", lengths.recommended.get())?;
        if self.column.is_nearly_unique() {
            writeln!(
                f,
                "Values are nearly all different: there is no frequency to read, and a shorter index protects little more. \
                 What it gives is doubt: several possible values share each bucket."
            )?;
        }
        write!(f, "{}", self.exposure(lengths.recommended))
    }
}

/// Lengths that a column's index may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Lengths {
    /// The shortest: shorter ones bring too many false rows.
    #[serde(serialize_with = "as_number")]
    pub smallest: IndexBits,
    /// The one to take without other knowledge.
    #[serde(serialize_with = "as_number")]
    pub recommended: IndexBits,
    /// The longest: longer ones tell more and find no better.
    #[serde(serialize_with = "as_number")]
    pub largest: IndexBits,
}

impl Lengths {
    pub(super) fn new(smallest: u16, recommended: u16, largest: u16) -> Option<Self> {
        let bits = |bits: u16| IndexBits::new(bits.clamp(MIN_INDEX_BITS, MAX_INDEX_BITS)).ok();
        Some(Self { smallest: bits(smallest)?, recommended: bits(recommended)?, largest: bits(largest)? })
    }
}

/// Writes a length as a number.
pub(super) fn as_number<S: serde::Serializer>(bits: &IndexBits, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u16(bits.get())
}

/// What an index of one length costs and tells, computed from a column's counts. Prints itself in plain words.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Exposure {
    /// Length of the index.
    #[serde(serialize_with = "as_number")]
    pub bits: IndexBits,
    /// Rows that a query brings beyond those asked for, on average.
    pub false_rows: f64,
    /// Rows of a bucket in use, on average.
    pub bucket_rows: f64,
    /// Rows of the bucket of the most frequent value: the most that a query brings, on average over keys.
    pub largest_bucket_rows: f64,
    /// Share of the rows that this bucket has.
    pub largest_bucket_share: f64,
    /// Share of the rows that are alone in their bucket, at most.
    pub lone_rows_share: f64,
    /// Values of the column that share a bucket, on average.
    pub values_per_bucket: f64,
    /// Possible values that share a bucket, on average, if the domain was stated.
    pub domain_values_per_bucket: Option<f64>,
    /// Values that a thief of the index key has to try: the domain, or the values that occur if it was not stated.
    pub guess_values: f64,
    /// Time to try one on one core.
    pub guess_nanoseconds: f64,
    /// Time to try them all on one core.
    pub guess_seconds: f64,
}

impl fmt::Display for Exposure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "A query brings {} false rows on average", number(self.false_rows))?;
        let (mean, largest) = (number(self.bucket_rows), number(self.largest_bucket_rows));
        if mean == largest {
            writeln!(f, ".")?;
        } else {
            writeln!(f, "; one for the most frequent value brings {largest} rows, true and false.")?;
        }
        write!(f, "Without the key, a copy of the table shows which rows share a bucket: {mean} on average")?;
        if mean != largest {
            write!(f, ", {largest} in the largest ({} of all)", share(self.largest_bucket_share))?;
        }
        writeln!(f, ". At most {} of the rows are alone in theirs.", share(self.lone_rows_share))?;
        self.write_guessing("With the index key, trying", f)
    }
}

impl Exposure {
    /// What a thief of table and index key does.
    pub(super) fn write_guessing(&self, trying: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (known, sharing) = match self.domain_values_per_bucket {
            Some(sharing) => ("plausible values", sharing),
            None => ("values that occur (the domain was not stated)", self.values_per_bucket),
        };
        write!(
            f,
            "{trying} all {} {known} takes {} on one core, at {} nanoseconds each; it leaves ",
            number(self.guess_values),
            duration(self.guess_seconds),
            number(self.guess_nanoseconds)
        )?;
        match sharing {
            sharing if sharing >= 1.5 => writeln!(f, "about {} values for each row.", number(sharing)),
            _ => writeln!(f, "one value for nearly every row."),
        }
    }
}
