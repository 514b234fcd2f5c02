// SPDX-License-Identifier: MIT OR Apache-2.0
//! A field whose column is being migrated: plain and sealed values side by side.
//!
//! Owns the typed form of [`Cell`](super::Cell). Never serialises or prints what is not sealed.

use core::fmt;

use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::form::{Form, Raw};
use super::{FieldValue, SealedField};
use crate::envelope::looks_like_text_form;

/// What a sealed record holds of a field with `migration = "mixed"`. A field without it is a [`SealedField`], which has no place for
/// plaintext.
///
/// Reading a row through serde accepts all three; writing one serialises what is sealed and refuses the rest: seal the record first.
#[derive(Clone)]
#[non_exhaustive]
pub enum Mixed<T: FieldValue> {
    /// A value of the field's type that has not been sealed yet.
    Plain(Plain<T>),
    /// An envelope.
    Sealed(SealedField),
    /// A text that is neither: it begins like an envelope and is none, or is no value of the field's type. It does not open.
    Unknown(Plain<String>),
}

/// A plain value: wiped when dropped, not printed, not serialised.
#[derive(Clone)]
pub struct Plain<T: FieldValue>(T);

impl<T: FieldValue> Plain<T> {
    /// Takes a value over.
    #[must_use]
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value. Every call is a place to review.
    #[must_use]
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: FieldValue> Drop for Plain<T> {
    fn drop(&mut self) {
        self.0.wipe();
    }
}

impl<T: FieldValue> fmt::Debug for Plain<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Plain")
    }
}

impl<T: FieldValue> fmt::Debug for Mixed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(_) => f.write_str("Plain"),
            Self::Sealed(sealed) => sealed.fmt(f),
            Self::Unknown(_) => f.write_str("Unknown"),
        }
    }
}

impl<T: FieldValue> Serialize for Mixed<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Sealed(sealed) => sealed.serialize(serializer),
            Self::Plain(_) | Self::Unknown(_) => {
                Err(S::Error::custom("a field is not sealed yet; seal the record before it is written"))
            }
        }
    }
}

impl<'de, T: FieldValue> Deserialize<'de> for Mixed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let form = Form { value_type: T::TYPE, optional: T::OPTIONAL, mixed: true };
        let wrong = || D::Error::custom(format!("neither an envelope nor a plain {}", T::TYPE));
        // The format's own message may show the input.
        let raw = form.read(deserializer).map_err(|_| wrong())?;
        if let Raw::Text(text) = &raw {
            if let Ok(sealed) = SealedField::from_text(text) {
                return Ok(Self::Sealed(sealed));
            }
            let value = raw.to_value(T::TYPE).and_then(|value| T::from_value(value).ok());
            return Ok(match value.filter(|_| !looks_like_text_form(text.as_bytes())) {
                Some(value) => Self::Plain(Plain::new(value)),
                None => Self::Unknown(Plain::new(text.to_string())),
            });
        }
        let value = raw.to_value(T::TYPE).and_then(|value| T::from_value(value).ok());
        value.map(|value| Self::Plain(Plain::new(value))).ok_or_else(wrong)
    }
}
