// SPDX-License-Identifier: MIT OR Apache-2.0
//! The states of a run, of its ranges and of its lock.
//!
//! Owns which state may follow which (SPEC 11.2). Never decides that a row is done.

use core::fmt;
use core::str::FromStr;
use core::time::Duration;

use crate::error::{Error, Result};

/// The state of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Its ranges are known; no row was touched.
    Planned,
    /// Rows are worked on.
    Running,
    /// Every row was worked on once, and all are read again and checked.
    Verifying,
    /// Every row was checked.
    Done,
    /// A person gave it up. What it has done stays done, and every row is readable.
    Cancelled,
}

/// The state of one range of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// Rows are worked on.
    Rows,
    /// Every row was worked on; all are read again and checked.
    Check,
    /// Every row was checked.
    Done,
}

/// What a person asks of a run that goes on in another process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Request {
    /// To go on.
    #[default]
    None,
    /// To stop after the batch at hand, to be resumed later.
    Pause,
    /// To stop after the batch at hand, for ever.
    Cancel,
}

impl Phase {
    /// Whether nothing follows.
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Cancelled)
    }

    /// The next state, if it may follow.
    ///
    /// # Errors
    /// `Misuse` if it may not: a run that is over stays so, and no state is passed over.
    pub fn to(self, next: Self) -> Result<Self> {
        let follows = match (self, next) {
            (from, Self::Cancelled) => !from.is_over(),
            (Self::Planned, Self::Running)
            | (Self::Running, Self::Verifying)
            | (Self::Verifying, Self::Done) => true,
            _ => false,
        };
        if follows {
            Ok(next)
        } else {
            Err(Error::misuse(format!("a run that is {self} cannot become {next}")))
        }
    }

    /// The word that is stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Running => "running",
            Self::Verifying => "verifying",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
        }
    }
}

impl Stage {
    /// The word that is stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rows => "rows",
            Self::Check => "check",
            Self::Done => "done",
        }
    }
}

impl Request {
    /// The word that is stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Pause => "pause",
            Self::Cancel => "cancel",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Phase {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let all = [Self::Planned, Self::Running, Self::Verifying, Self::Done, Self::Cancelled];
        find(&all, text, Self::as_str)
    }
}

impl FromStr for Stage {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        find(&[Self::Rows, Self::Check, Self::Done], text, Self::as_str)
    }
}

impl FromStr for Request {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        find(&[Self::None, Self::Pause, Self::Cancel], text, Self::as_str)
    }
}

/// The one of them with this word.
fn find<T: Copy>(all: &[T], text: &str, word: impl Fn(T) -> &'static str) -> Result<T> {
    let found = all.iter().copied().find(|one| word(*one) == text);
    found.ok_or_else(|| Error::unsupported("the journal holds a state that this version does not know"))
}

/// For how long the owner of a run is taken to be alive after its last sign of life.
///
/// An owner that was taken for dead and is not can do no harm: every transaction of a run checks that its owner still is the owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease(Duration);

impl Lease {
    /// A lease.
    ///
    /// # Errors
    /// `Limit` if it is shorter than a second or longer than a day.
    pub fn new(duration: Duration) -> Result<Self> {
        if (Duration::from_secs(1)..=Duration::from_secs(86_400)).contains(&duration) {
            return Ok(Self(duration));
        }
        Err(Error::limit("a lease lasts from one second to one day"))
    }

    /// Whether an owner whose last sign of life was at `beat` is taken to be alive at `now`; both in milliseconds of one clock. A sign
    /// from the future counts: the clock was set back.
    #[must_use]
    pub fn holds(self, beat: i64, now: i64) -> bool {
        u128::try_from(now.saturating_sub(beat)).unwrap_or(0) < self.0.as_millis()
    }

    /// How often a sign of life is due.
    #[must_use]
    pub fn beat(self) -> Duration {
        self.0 / 4
    }
}

/// 60 seconds: longer than a batch takes, shorter than a person waits.
impl Default for Lease {
    fn default() -> Self {
        Self(Duration::from_mins(1))
    }
}
