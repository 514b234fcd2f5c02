// SPDX-License-Identifier: MIT OR Apache-2.0
//! Types that the fields of a record may have.
//!
//! Owns the way from a Rust type to a value and back, and its wiping. Never prints a value.

use core::{fmt, mem};
use std::borrow::Cow;

use zeroize::{Zeroize, Zeroizing};

use crate::context::RecordId;
use crate::error::{Error, Result};
use crate::schema::ValueType;
use crate::time::Date;
use crate::value::{Value, ValueRef};

/// A type that a field of a record may have.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a field of a record",
    label = "not a type of a field",
    note = "a field is a `String`, `Vec<u8>`, `i64`, `bool`, `Date` or `Cbor`, or an `Option` of one of them"
)]
pub trait FieldValue: Sized {
    /// The schema's type of it.
    const TYPE: ValueType;
    /// Whether it may be absent.
    const OPTIONAL: bool = false;

    /// Borrows it as a value.
    fn as_value(&self) -> ValueRef<'_>;

    /// Makes it from a value. Text and bytes are moved, not copied.
    ///
    /// # Errors
    /// `Schema` if the value is of another type.
    fn from_value(value: Value) -> Result<Self>;

    /// Overwrites it where it lies.
    fn wipe(&mut self);
}

/// A type that a column of the record id may have.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot identify a record",
    label = "not a type of a record id",
    note = "a column of the record id is a `String` or an `i64`"
)]
pub trait RecordIdColumn: FieldValue {
    /// The record id that this column alone makes.
    ///
    /// # Errors
    /// As [`RecordId::text`].
    fn to_record_id(&self) -> Result<RecordId<'_>>;

    /// The column's part of a composite record id.
    fn to_text(&self) -> Cow<'_, str>;
}

impl RecordIdColumn for String {
    fn to_record_id(&self) -> Result<RecordId<'_>> {
        RecordId::text(self)
    }

    fn to_text(&self) -> Cow<'_, str> {
        Cow::Borrowed(self)
    }
}

impl RecordIdColumn for i64 {
    fn to_record_id(&self) -> Result<RecordId<'_>> {
        Ok(RecordId::integer(*self))
    }

    fn to_text(&self) -> Cow<'_, str> {
        Cow::Owned(self.to_string())
    }
}

impl FieldValue for String {
    const TYPE: ValueType = ValueType::Text;

    fn as_value(&self) -> ValueRef<'_> {
        ValueRef::Text(self)
    }

    fn from_value(value: Value) -> Result<Self> {
        match value {
            Value::Text(mut text) => Ok(mem::take(&mut *text)),
            other => Err(other_type(&other, Self::TYPE)),
        }
    }

    fn wipe(&mut self) {
        self.zeroize();
    }
}

impl FieldValue for Vec<u8> {
    const TYPE: ValueType = ValueType::Bytes;

    fn as_value(&self) -> ValueRef<'_> {
        ValueRef::Bytes(self)
    }

    fn from_value(value: Value) -> Result<Self> {
        match value {
            Value::Bytes(mut bytes) => Ok(mem::take(&mut *bytes)),
            other => Err(other_type(&other, Self::TYPE)),
        }
    }

    fn wipe(&mut self) {
        self.zeroize();
    }
}

impl FieldValue for i64 {
    const TYPE: ValueType = ValueType::Integer;

    fn as_value(&self) -> ValueRef<'_> {
        ValueRef::Integer(*self)
    }

    fn from_value(value: Value) -> Result<Self> {
        if let Value::Integer(number) = value { Ok(number) } else { Err(other_type(&value, Self::TYPE)) }
    }

    fn wipe(&mut self) {
        self.zeroize();
    }
}

impl FieldValue for bool {
    const TYPE: ValueType = ValueType::Boolean;

    fn as_value(&self) -> ValueRef<'_> {
        ValueRef::Boolean(*self)
    }

    fn from_value(value: Value) -> Result<Self> {
        if let Value::Boolean(truth) = value { Ok(truth) } else { Err(other_type(&value, Self::TYPE)) }
    }

    fn wipe(&mut self) {
        self.zeroize();
    }
}

impl FieldValue for Date {
    const TYPE: ValueType = ValueType::Date;

    fn as_value(&self) -> ValueRef<'_> {
        ValueRef::Date(*self)
    }

    fn from_value(value: Value) -> Result<Self> {
        if let Value::Date(date) = value { Ok(date) } else { Err(other_type(&value, Self::TYPE)) }
    }

    fn wipe(&mut self) {
        self.wipe_in_place();
    }
}

impl<T: FieldValue> FieldValue for Option<T> {
    const TYPE: ValueType = T::TYPE;
    const OPTIONAL: bool = true;

    fn as_value(&self) -> ValueRef<'_> {
        self.as_ref().map_or(ValueRef::Null, T::as_value)
    }

    fn from_value(value: Value) -> Result<Self> {
        if matches!(value, Value::Null) { Ok(None) } else { T::from_value(value).map(Some) }
    }

    fn wipe(&mut self) {
        if let Some(value) = self {
            value.wipe();
        }
    }
}

/// One CBOR item (RFC 8949): a field of any other shape. Wiped when dropped; sealing checks its form.
#[derive(Clone, PartialEq, Eq)]
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

    fn from_value(value: Value) -> Result<Self> {
        match value {
            Value::Cbor(item) => Ok(Self(item)),
            other => Err(other_type(&other, Self::TYPE)),
        }
    }

    fn wipe(&mut self) {
        self.0.zeroize();
    }
}

fn other_type(value: &Value, wanted: ValueType) -> Error {
    let given = value.as_ref().type_name();
    Error::schema(format!("the sealed value is {given}, and the record's field is {wanted}"))
}
