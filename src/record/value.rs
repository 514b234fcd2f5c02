// SPDX-License-Identifier: MIT OR Apache-2.0
//! Types that fields of a record may have.
//!
//! Owns the way from a Rust type to a value and back. Never prints a value.

use core::fmt;

use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::schema::ValueType;
use crate::time::Date;
use crate::value::ValueRef;

/// A type that a sealed field of a record may have.
pub trait FieldValue: Sized {
    /// The schema's type of it.
    const TYPE: ValueType;

    /// Borrows it as a value.
    fn as_value(&self) -> ValueRef<'_>;

    /// Makes it from an opened value.
    ///
    /// # Errors
    /// `Schema` if the value is of another type.
    fn from_value(value: ValueRef<'_>) -> Result<Self>;
}

fn other_type(value: ValueRef<'_>, wanted: ValueType) -> Error {
    Error::schema(format!("the sealed value is {}, and the record's field is {wanted}", value.type_name()))
}

impl FieldValue for String {
    const TYPE: ValueType = ValueType::Text;

    fn as_value(&self) -> ValueRef<'_> {
        ValueRef::Text(self)
    }

    fn from_value(value: ValueRef<'_>) -> Result<Self> {
        if let ValueRef::Text(text) = value {
            Ok(text.to_owned())
        } else {
            Err(other_type(value, Self::TYPE))
        }
    }
}

impl FieldValue for Vec<u8> {
    const TYPE: ValueType = ValueType::Bytes;

    fn as_value(&self) -> ValueRef<'_> {
        ValueRef::Bytes(self)
    }

    fn from_value(value: ValueRef<'_>) -> Result<Self> {
        if let ValueRef::Bytes(bytes) = value {
            Ok(bytes.to_vec())
        } else {
            Err(other_type(value, Self::TYPE))
        }
    }
}

impl FieldValue for i64 {
    const TYPE: ValueType = ValueType::Integer;

    fn as_value(&self) -> ValueRef<'_> {
        ValueRef::Integer(*self)
    }

    fn from_value(value: ValueRef<'_>) -> Result<Self> {
        if let ValueRef::Integer(number) = value { Ok(number) } else { Err(other_type(value, Self::TYPE)) }
    }
}

impl FieldValue for bool {
    const TYPE: ValueType = ValueType::Boolean;

    fn as_value(&self) -> ValueRef<'_> {
        ValueRef::Boolean(*self)
    }

    fn from_value(value: ValueRef<'_>) -> Result<Self> {
        if let ValueRef::Boolean(truth) = value { Ok(truth) } else { Err(other_type(value, Self::TYPE)) }
    }
}

impl FieldValue for Date {
    const TYPE: ValueType = ValueType::Date;

    fn as_value(&self) -> ValueRef<'_> {
        ValueRef::Date(*self)
    }

    fn from_value(value: ValueRef<'_>) -> Result<Self> {
        if let ValueRef::Date(date) = value { Ok(date) } else { Err(other_type(value, Self::TYPE)) }
    }
}

impl<T: FieldValue> FieldValue for Option<T> {
    const TYPE: ValueType = T::TYPE;

    fn as_value(&self) -> ValueRef<'_> {
        self.as_ref().map_or(ValueRef::Null, T::as_value)
    }

    fn from_value(value: ValueRef<'_>) -> Result<Self> {
        if matches!(value, ValueRef::Null) { Ok(None) } else { T::from_value(value).map(Some) }
    }
}

/// One CBOR item (RFC 8949): a field of any other shape. Wiped when dropped; sealing checks its form.
#[derive(PartialEq, Eq)]
pub struct Cbor(Zeroizing<Vec<u8>>);

impl Cbor {
    /// Takes the encoded item over.
    #[must_use]
    pub const fn new(item: Zeroizing<Vec<u8>>) -> Self {
        Self(item)
    }

    /// The encoded item. Every call is a place to review.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Cbor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cbor")
    }
}

impl FieldValue for Cbor {
    const TYPE: ValueType = ValueType::Cbor;

    fn as_value(&self) -> ValueRef<'_> {
        ValueRef::Cbor(&self.0)
    }

    fn from_value(value: ValueRef<'_>) -> Result<Self> {
        match value {
            ValueRef::Cbor(item) => Ok(Self(Zeroizing::new(item.to_vec()))),
            _ => Err(other_type(value, Self::TYPE)),
        }
    }
}
