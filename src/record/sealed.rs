// SPDX-License-Identifier: MIT OR Apache-2.0
//! An envelope that a program owns.
//!
//! Owns the serde form of a sealed value: its text form. Never a key, never plaintext.

use core::fmt;

use serde::de::{Error as _, Visitor};

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

    /// Keeps an envelope that a sealer just made.
    pub(super) const fn from_sealer(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// Checks the grammar of a text form and keeps its bytes.
    ///
    /// # Errors
    /// Those of [`envelope::append_from_text`] and [`Envelope::parse`].
    pub fn from_text(text: &str) -> Result<Self> {
        let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
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
        // The format's own message may show the input, which may be plaintext.
        let wrong = |_| D::Error::custom("no text form of an envelope stands here; plaintext?");
        let sealed = deserializer.deserialize_str(TextForm).map_err(wrong)?;
        sealed.map_err(|error| D::Error::custom(error.message()))
    }
}

/// Reads a text form; keeps the library's refusal apart from the format's.
struct TextForm;

impl Visitor<'_> for TextForm {
    type Value = Result<SealedField>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the text form of an envelope")
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(SealedField::from_text(text))
    }
}
