// SPDX-License-Identifier: MIT OR Apache-2.0
//! An envelope that a program owns.
//!
//! Owns the serde form of a sealed value: its text form. Never a key, never plaintext.

use core::fmt;

use crate::envelope::{self, Envelope};
use crate::error::Result;

/// An envelope that a program owns: the sealed form of a field of a record. Serialises as its text form.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedField(Vec<u8>);

impl SealedField {
    /// Checks the grammar and keeps the bytes.
    ///
    /// # Errors
    /// Those of [`Envelope::parse`].
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self> {
        Envelope::parse(&bytes)?;
        Ok(Self(bytes))
    }

    /// Checks the grammar of a text form and keeps its bytes.
    ///
    /// # Errors
    /// Those of [`envelope::append_from_text`] and [`Envelope::parse`].
    pub fn from_text(text: &str) -> Result<Self> {
        let mut bytes = Vec::new();
        envelope::append_from_text(text, &mut bytes)?;
        Self::from_bytes(bytes)
    }

    /// The envelope's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The text form.
    #[must_use]
    pub fn to_text(&self) -> String {
        envelope::to_text(&self.0)
    }
}

impl fmt::Debug for SealedField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Envelope::parse(&self.0) {
            Ok(envelope) => envelope.fmt(f),
            Err(_) => f.write_str("SealedField"),
        }
    }
}

impl serde::Serialize for SealedField {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_text())
    }
}

impl<'de> serde::Deserialize<'de> for SealedField {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::from_text(&text).map_err(serde::de::Error::custom)
    }
}
