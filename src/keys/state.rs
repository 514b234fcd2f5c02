// SPDX-License-Identifier: MIT OR Apache-2.0
//! Purposes, and the states of SP 800-57 Part 1 Revision 5 section 7 with what each allows (SPEC 4.3).

use core::fmt;
use core::str::FromStr;

use crate::error::{Error, Result};

/// What a key is for. A key never changes its purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Purpose {
    /// Seals fields.
    Field,
    /// Makes blind indexes. Reserved.
    Index,
    /// Makes tokens.
    Token,
    /// Seals whole records. Reserved.
    Record,
    /// Opens what enrolment centres seal. Reserved.
    Intake,
    /// Signs logs and manifests. Reserved.
    Audit,
}

impl Purpose {
    /// Every purpose, in the order in which keysets stand in a keyring.
    pub const ALL: [Self; 6] =
        [Self::Field, Self::Index, Self::Token, Self::Record, Self::Intake, Self::Audit];

    /// The stored name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Field => "field",
            Self::Index => "index",
            Self::Token => "token",
            Self::Record => "record",
            Self::Intake => "intake",
            Self::Audit => "audit",
        }
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Purpose {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|purpose| purpose.as_str() == text);
        found.ok_or_else(|| {
            Error::malformed("a key's purpose is field, index, token, record, intake or audit")
        })
    }
}

/// State of a key. Order is that of SP 800-57.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum State {
    /// Made, never used.
    PreActivation,
    /// In use; the primary one of them seals.
    Active,
    /// Stopped for the time being, for inquiry.
    Suspended,
    /// Opens what it sealed, seals no more.
    Deactivated,
    /// Known or feared to be in other hands.
    Compromised,
    /// Gone; only its id and dates remain.
    Destroyed,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 6] = [
        Self::PreActivation,
        Self::Active,
        Self::Suspended,
        Self::Deactivated,
        Self::Compromised,
        Self::Destroyed,
    ];

    /// The stored name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PreActivation => "pre-activation",
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Deactivated => "deactivated",
            Self::Compromised => "compromised",
            Self::Destroyed => "destroyed",
        }
    }

    /// Whether a key in this state opens values.
    #[must_use]
    pub const fn opens(self) -> bool {
        matches!(self, Self::Active | Self::Deactivated)
    }

    /// Whether a key in this state opens values for a caller who names the key (break-glass).
    #[must_use]
    pub const fn opens_by_name(self) -> bool {
        matches!(self, Self::Active | Self::Deactivated | Self::Suspended | Self::Compromised)
    }

    /// Whether a key that is not primary may go from this state to `next`.
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        matches!(
            (self, next),
            (Self::PreActivation | Self::Suspended, Self::Active)
                | (Self::Active, Self::Suspended)
                | (Self::Active | Self::Suspended, Self::Deactivated)
                | (
                    Self::PreActivation | Self::Active | Self::Suspended | Self::Deactivated,
                    Self::Compromised
                )
                | (Self::PreActivation | Self::Deactivated | Self::Compromised, Self::Destroyed)
        )
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for State {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|state| state.as_str() == text);
        found.ok_or_else(|| Error::malformed("no such key state; the states are those of NIST SP 800-57"))
    }
}
