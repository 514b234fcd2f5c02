// SPDX-License-Identifier: MIT OR Apache-2.0
//! How values that are not sealed stand in serde's formats: clear columns, and plain ones of a migration.
//!
//! Owns one form for each type of value. Never lets a format's own message through: it may show the input.

use core::fmt;

use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use super::{FieldValue, Record};
use crate::mask::{Mask, Masked};
use crate::schema::ValueType;
use crate::value::{Value, ValueRef};
use crate::wire;

/// A value as a format gives it.
pub(super) enum Raw {
    Null,
    Text(Zeroizing<String>),
    Integer(i64),
    Boolean(bool),
}

/// What is asked of a format.
#[derive(Clone, Copy)]
pub(super) struct Form {
    pub(super) value_type: ValueType,
    pub(super) optional: bool,
    /// Whether text may stand where another type is expected: an envelope.
    pub(super) mixed: bool,
}

impl Form {
    pub(super) fn read<'de, D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        if self.optional { deserializer.deserialize_option(self) } else { self.read_present(deserializer) }
    }

    fn read_present<'de, D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        match self.value_type {
            ValueType::Integer | ValueType::Boolean if self.mixed => deserializer.deserialize_any(self),
            ValueType::Integer => deserializer.deserialize_i64(self),
            ValueType::Boolean => deserializer.deserialize_bool(self),
            _ => deserializer.deserialize_str(self),
        }
    }
}

impl<'de> Visitor<'de> for Form {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a value of type {}", self.value_type)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        self.read_present(deserializer)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Raw, E> {
        Ok(Raw::Boolean(truth))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Raw, E> {
        Ok(Raw::Integer(number))
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Raw, E> {
        i64::try_from(number).map(Raw::Integer).map_err(|_| E::custom("an integer has 64 bits"))
    }

    fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Text(Zeroizing::new(text.to_owned())))
    }

    fn visit_string<E>(self, text: String) -> Result<Raw, E> {
        Ok(Raw::Text(Zeroizing::new(text)))
    }
}

impl Raw {
    /// The value of that type, if it is one.
    pub(super) fn to_value(&self, value_type: ValueType) -> Option<Value> {
        match (self, value_type) {
            (Self::Null, _) => Some(Value::Null),
            (Self::Text(text), ValueType::Text) => Some(Value::Text(text.clone())),
            (Self::Text(text), ValueType::Date) => text.parse().ok().map(Value::Date),
            (Self::Text(text), ValueType::Bytes) => bytes(text).map(Value::Bytes),
            (Self::Text(text), ValueType::Cbor) => bytes(text).map(Value::Cbor),
            (Self::Integer(number), ValueType::Integer) => Some(Value::Integer(*number)),
            (Self::Boolean(truth), ValueType::Boolean) => Some(Value::Boolean(*truth)),
            _ => None,
        }
    }
}

fn bytes(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    wire::decode_base64(text, &mut bytes).ok().map(|()| bytes)
}

/// A value that is shown as it is.
struct Shown<'a>(ValueRef<'a>);

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            ValueRef::Null => serializer.serialize_none(),
            ValueRef::Text(text) => serializer.serialize_str(text),
            ValueRef::Bytes(bytes) | ValueRef::Cbor(bytes) => serializer.serialize_str(&wire::base64(bytes)),
            ValueRef::Integer(number) => serializer.serialize_i64(number),
            ValueRef::Date(date) => serializer.collect_str(&date),
            ValueRef::Boolean(truth) => serializer.serialize_bool(truth),
        }
    }
}

/// Writes a clear column: text, number, boolean; a date as `1957-03-28`; bytes and CBOR as base64url.
///
/// # Errors
/// Those of the format.
pub fn serialize<T: FieldValue, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    match value.as_value() {
        ValueRef::Null => serializer.serialize_none(),
        value if T::OPTIONAL => serializer.serialize_some(&Shown(value)),
        value => Shown(value).serialize(serializer),
    }
}

/// Reads a clear column.
///
/// # Errors
/// Those of the format, without the input.
pub fn deserialize<'de, T: FieldValue, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    let wrong = || D::Error::custom(format!("a clear field is not of type {}", T::TYPE));
    let form = Form { value_type: T::TYPE, optional: T::OPTIONAL, mixed: false };
    let raw = form.read(deserializer).map_err(|_| wrong())?;
    let value = raw.to_value(T::TYPE).ok_or_else(wrong)?;
    T::from_value(value).map_err(|_| wrong())
}

/// How a record holds the mask of a field of text: as [`Masked`], or as `Option<Masked>`, whose `None` is an absent value.
pub trait MaskedForm: Sized {
    /// Masks a value.
    fn mask(mask: Mask, value: ValueRef<'_>) -> Self;

    /// The mask as a value of the field: all that is left of it.
    fn to_value(&self) -> Value;

    /// Reads a stored mask, and refuses what is none.
    ///
    /// # Errors
    /// Those of the format, without the input.
    fn read<'de, D: Deserializer<'de>>(mask: Mask, deserializer: D) -> Result<Self, D::Error>;
}

impl MaskedForm for Masked {
    fn mask(mask: Mask, value: ValueRef<'_>) -> Self {
        mask.apply(value)
    }

    fn to_value(&self) -> Value {
        ValueRef::Text(self.as_str()).to_value()
    }

    fn read<'de, D: Deserializer<'de>>(mask: Mask, deserializer: D) -> Result<Self, D::Error> {
        read_mask(mask, false, deserializer)?.ok_or_else(not_masked)
    }
}

impl MaskedForm for Option<Masked> {
    fn mask(mask: Mask, value: ValueRef<'_>) -> Self {
        (!matches!(value, ValueRef::Null)).then(|| mask.apply(value))
    }

    fn to_value(&self) -> Value {
        self.as_ref().map_or(Value::Null, Masked::to_value)
    }

    fn read<'de, D: Deserializer<'de>>(mask: Mask, deserializer: D) -> Result<Self, D::Error> {
        read_mask(mask, true, deserializer)
    }
}

fn not_masked<E: serde::de::Error>() -> E {
    E::custom("a masked field is not a mask of its kind; protect the table")
}

fn read_mask<'de, D: Deserializer<'de>>(
    mask: Mask,
    optional: bool,
    deserializer: D,
) -> Result<Option<Masked>, D::Error> {
    let form = Form { value_type: ValueType::Text, optional, mixed: false };
    match form.read(deserializer).map_err(|_| not_masked::<D::Error>())? {
        Raw::Null => Ok(None),
        Raw::Text(text) => mask.read(&text).map(Some).map_err(|_| not_masked()),
        Raw::Integer(_) | Raw::Boolean(_) => Err(not_masked()),
    }
}

/// Reads a stored mask: that of the field at a place of a record's layout.
///
/// # Errors
/// As [`MaskedForm::read`].
pub fn mask<'de, R: Record, const FIELD: usize, M: MaskedForm, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<M, D::Error> {
    M::read(R::LAYOUT.mask(FIELD), deserializer)
}

/// Reads a sealed field. A function of its own because serde takes a missing column for an absent value where it reads the type itself.
///
/// # Errors
/// Those of the form.
pub fn sealed<'de, F: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<F, D::Error> {
    F::deserialize(deserializer)
}
