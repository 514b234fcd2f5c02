// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the columns of a row may hold.
//!
//! Owns the rule that plaintext stands in a sealed column only while its schema says so. Never prints a cell.

use core::fmt;

use crate::envelope::{Envelope, looks_like_envelope};
use crate::error::Result;
use crate::schema::{Absence, FieldPolicy, Migration};

/// What a sealed column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cell<'a> {
    /// Nothing: a null whose absence is visible.
    Absent,
    /// An envelope.
    Sealed(Envelope<'a>),
    /// Plaintext, while the schema says that the column is mixed. The bytes are personal data.
    Plain(PlainBytes<'a>),
    /// What begins like an envelope and is none, while the schema says that the column is mixed. It is neither opened nor sealed.
    Unknown(PlainBytes<'a>),
}

/// Bytes of a plain cell. `Debug` does not print them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PlainBytes<'a>(&'a [u8]);

impl<'a> PlainBytes<'a> {
    /// The bytes. Every call is a place to review.
    #[must_use]
    pub const fn expose(&self) -> &'a [u8] {
        self.0
    }
}

impl fmt::Debug for PlainBytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlainBytes")
    }
}

impl<'a> Cell<'a> {
    /// Reads the binary content of a sealed column. Only while the schema says `migration = "mixed"` may it be something else than an
    /// envelope.
    ///
    /// # Errors
    /// Those of [`Envelope::parse`], with the field's name.
    pub fn read(field: &FieldPolicy, stored: &'a [u8]) -> Result<Self> {
        if stored.is_empty() && field.absence() == Absence::Visible {
            return Ok(Self::Absent);
        }
        match Envelope::parse(stored) {
            Ok(envelope) => Ok(Self::Sealed(envelope)),
            Err(error) if field.migration() != Migration::Mixed => Err(error.at_field(field.name())),
            Err(_) if looks_like_envelope(stored) => Ok(Self::Unknown(PlainBytes(stored))),
            Err(_) => Ok(Self::Plain(PlainBytes(stored))),
        }
    }
}
