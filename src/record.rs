// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whole rows: every sealed field in one call, and the types that `#[derive(Record)]` builds on.
//!
//! Owns the order of a record's fields. Never holds plaintext in a type that serialises.

use core::fmt;

use zeroize::Zeroizing;

use crate::context::{FieldContext, RecordId};
use crate::crypto::Engine;
use crate::crypto::random::Nonces;
use crate::envelope::{self, Envelope};
use crate::error::{Error, Result};
use crate::field::{EnvelopeBatch, FieldOpener, FieldSealer, OpenOptions, SealOptions};
use crate::ident::{KeyId, Name};
use crate::keys::{Allowance, Field, Keyset};
use crate::schema::{Absence, FieldPolicy, Migration, TableSchema, ValueType};
use crate::time::Date;
use crate::value::ValueRef;

/// Seals the sealed fields of a table's rows.
pub struct RecordSealer {
    fields: Vec<(FieldSealer, Name, Absence)>,
    key: KeyId,
}

impl RecordSealer {
    /// Makes a sealer of every sealed field of a table, in schema order.
    ///
    /// # Errors
    /// As [`FieldSealer::new`].
    pub fn new(
        keys: &Keyset<'_, Field>,
        table: &TableSchema,
        engine: Engine,
        allowance: &Allowance,
    ) -> Result<Self> {
        let make = |field: &FieldPolicy| {
            let context = context(keys, table, field);
            let options = SealOptions { engine, family: field.family(), bucket: field.bucket() };
            let sealer = FieldSealer::new(keys, &context, options, allowance)?;
            Ok((sealer, field.name().clone(), field.absence()))
        };
        Ok(Self { fields: table.sealed().map(make).collect::<Result<_>>()?, key: keys.primary() })
    }

    /// Id of the key that seals.
    #[must_use]
    pub const fn key(&self) -> KeyId {
        self.key
    }

    /// Seals one record: `values` are those of the sealed fields in schema order. Appends one envelope for each, an empty one for a
    /// null whose absence is visible. The operating system is asked for random bytes once.
    ///
    /// # Errors
    /// `Misuse` for another number of values; otherwise as [`FieldSealer::seal`], with the field's name.
    pub fn seal(
        &mut self,
        record: &RecordId<'_>,
        values: &[ValueRef<'_>],
        out: &mut EnvelopeBatch,
    ) -> Result<()> {
        self.seal_batch([(record, values)].into_iter(), out)
    }

    /// Seals many records with one drawing of random bytes, as [`seal`](Self::seal).
    ///
    /// # Errors
    /// As [`seal`](Self::seal), with the record's position from 1 as row; the batch then holds what came before the field that failed.
    pub fn seal_batch<'a>(
        &mut self,
        records: impl ExactSizeIterator<Item = (&'a RecordId<'a>, &'a [ValueRef<'a>])>,
        out: &mut EnvelopeBatch,
    ) -> Result<()> {
        let count = records.len().saturating_mul(self.fields.len());
        let mut nonces = Nonces::for_values(count)?;
        if let Some((sealer, ..)) = self.fields.first() {
            sealer.take_allowance(u64::try_from(count).unwrap_or(u64::MAX))?;
        }
        for ((record, values), row) in records.zip(1..) {
            if values.len() != self.fields.len() {
                return Err(Error::misuse("the number of values is not that of the table's sealed fields")
                    .at_row(row));
            }
            for ((sealer, name, absence), value) in self.fields.iter_mut().zip(values) {
                let absent = *absence == Absence::Visible && matches!(value, ValueRef::Null);
                if !absent {
                    let sealed = sealer.seal_with(&mut nonces, record, *value, &mut out.bytes);
                    sealed.map_err(|error| error.at_field(name).at_row(row))?;
                }
                out.ends.push(out.bytes.len());
            }
        }
        Ok(())
    }
}

impl fmt::Debug for RecordSealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecordSealer({} fields, key {})", self.fields.len(), self.key.short())
    }
}

/// Opens the sealed fields of a table's rows.
pub struct RecordOpener {
    fields: Vec<(FieldOpener, Name, Absence)>,
}

impl RecordOpener {
    /// Makes an opener of every sealed field of a table, in schema order.
    ///
    /// # Errors
    /// As [`FieldOpener::new`].
    pub fn new(keys: &Keyset<'_, Field>, table: &TableSchema, options: &OpenOptions) -> Result<Self> {
        let make = |field: &FieldPolicy| {
            let opener = FieldOpener::new(keys, &context(keys, table, field), options)?;
            Ok((opener, field.name().clone(), field.absence()))
        };
        Ok(Self { fields: table.sealed().map(make).collect::<Result<_>>()? })
    }

    /// Opens the field at a position among the sealed fields, from 0. Empty bytes are a null whose absence is visible.
    ///
    /// # Errors
    /// As [`FieldOpener::open`], with the field's name; `Misuse` for a position that does not exist.
    pub fn open(&mut self, position: usize, record: &RecordId<'_>, envelope: &[u8]) -> Result<ValueRef<'_>> {
        let field = self.fields.get_mut(position);
        let (opener, name, absence) =
            field.ok_or_else(|| Error::misuse("the table has fewer sealed fields"))?;
        if envelope.is_empty() && *absence == Absence::Visible {
            return Ok(ValueRef::Null);
        }
        opener.open(record, envelope).map_err(|error| error.at_field(name))
    }
}

impl fmt::Debug for RecordOpener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecordOpener({} fields)", self.fields.len())
    }
}

fn context(keys: &Keyset<'_, Field>, table: &TableSchema, field: &FieldPolicy) -> FieldContext {
    FieldContext::new(keys.registry().clone(), table.name().clone(), field.name().clone())
}

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
    /// Reads the binary content of a sealed column. What looks like an envelope must be one; plaintext passes only where the schema
    /// says `migration = "mixed"`.
    ///
    /// # Errors
    /// Those of [`Envelope::parse`], with the field's name and the remedy.
    pub fn read(field: &FieldPolicy, stored: &'a [u8]) -> Result<Self> {
        if stored.is_empty() && field.absence() == Absence::Visible {
            return Ok(Self::Absent);
        }
        match Envelope::parse(stored) {
            Ok(envelope) => Ok(Self::Sealed(envelope)),
            Err(_) if field.migration() == Migration::Mixed => Ok(Self::Plain(PlainBytes(stored))),
            Err(error) => Err(error.at_field(field.name())),
        }
    }
}

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
