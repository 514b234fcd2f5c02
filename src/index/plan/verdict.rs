// SPDX-License-Identifier: MIT OR Apache-2.0
//! The planner's answer and its reasons, in plain words.
//!
//! Owns the remedies. Never refuses without saying how to do it instead. SPEC 9.5.

use core::fmt;

use serde::Serialize;

use super::IndexBudget;
use super::figures::{number, real, share};

/// The answer in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Verdict {
    /// Nothing speaks against it.
    Good,
    /// Possible; the reasons must be accepted by whoever answers for the data.
    Warn,
    /// Not this way; the reasons say how to do it instead.
    Refused,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Good => "good",
            Self::Warn => "possible, with warnings",
            Self::Refused => "refused",
        })
    }
}

/// Why the verdict is not simply good.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// Refused: the values are a list that anyone can write down, and they repeat.
    ClosedList {
        /// Values of the list.
        values: f64,
    },
    /// Refused: one value stands in more than one row of 16.
    DominantValue {
        /// Its share of the rows.
        share: f64,
    },
    /// Warning: a value of an otherwise unique column stands in many rows.
    Filler {
        /// Those rows.
        rows: u64,
    },
    /// Warning: the most frequent value stands out.
    FrequentValue {
        /// Its rows.
        rows: u64,
        /// Their share of all rows.
        share: f64,
    },
    /// Warning: repetitions suggest a short list of values, which was not stated.
    LikelyClosedList {
        /// Values that the list seems to have at least.
        values: f64,
    },
    /// Warning: within the safe lengths a query brings more false rows than wanted.
    ManyFalseRows {
        /// False rows on average.
        rows: f64,
    },
    /// Refused: the other indexes of these rows have used up the budget.
    OverBudget {
        /// What was spent and what there was.
        budget: IndexBudget,
    },
    /// Warning: an identifier with so few possible values that a thief of the key tries all at once.
    SmallDomain {
        /// The possible values.
        values: f64,
    },
    /// Refused: too few rows for any row to hide among others.
    TooFewRows {
        /// The rows.
        rows: u64,
    },
}

impl Reason {
    /// What it makes of the verdict.
    #[must_use]
    pub const fn verdict(&self) -> Verdict {
        match self {
            Self::ClosedList { .. }
            | Self::DominantValue { .. }
            | Self::OverBudget { .. }
            | Self::TooFewRows { .. } => Verdict::Refused,
            _ => Verdict::Warn,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClosedList { values } => write!(
                f,
                "The column has about {} possible values. Such a list is public, and so is how often each value occurs. Whoever copies \
                 the table sorts the index by frequency, lays it beside the public figures and reads off the values; no length of the \
                 index prevents that. Instead: make the column part of an index over several fields, such as name and birth date; or \
                 find rows by another field and filter after opening; or, if the value may be public, keep it in a clear column.",
                number(*values)
            ),
            Self::DominantValue { share: part } => write!(
                f,
                "One value stands in {} of the rows. Its index stands out at every length, so that those rows are known to have it. \
                 Instead: if it is a filler, store those rows as absent; otherwise join the column with another in one index, or find \
                 rows by another field and filter after opening.",
                share(*part)
            ),
            Self::Filler { rows } => write!(
                f,
                "Values are nearly all different, but one stands in {} rows. It may be a filler such as zeros: store those rows as \
                 absent, because its index shows which rows they are.",
                number(real(*rows))
            ),
            Self::FrequentValue { rows, share: part } => write!(
                f,
                "The most frequent value stands in {} rows ({}). Whoever knows which value that is, as anyone does of names, can tell \
                 those rows in a copy of the table. An index over this column and another, such as name and birth date, hides \
                 them.",
                number(real(*rows)),
                share(*part)
            ),
            Self::LikelyClosedList { values } => write!(
                f,
                "As far as repetitions tell, there are about {} values, seen and unseen. If they are a list that anyone can write \
                 down, such as dates or places, state the size of the domain: the answer will be a refusal.",
                number(*values)
            ),
            Self::ManyFalseRows { rows } => write!(
                f,
                "A query brings {} false rows on average, more than wanted. A longer index would tell too much of this column; \
                 an index over this column and another may be longer.",
                number(*rows)
            ),
            Self::OverBudget { budget } => write!(
                f,
                "The other indexes of these rows have {} bits of the {:.1} that {} rows can bear. With one more, hardly two rows would \
                 agree in all of them, and each row could be followed. Instead: shorten or drop another index, or join two in one.",
                number(budget.spent_bits()),
                budget.allowed_bits(),
                number(real(budget.rows))
            ),
            Self::SmallDomain { values } => write!(
                f,
                "The identifier has only {} possible values. Whoever steals the index key too reads every row at once: keep that key \
                 where queries are counted.",
                number(*values)
            ),
            Self::TooFewRows { rows } => write!(
                f,
                "{} rows are too few to hide among. Open them all and compare; or plan for the rows that are expected.",
                number(real(*rows))
            ),
        }
    }
}
