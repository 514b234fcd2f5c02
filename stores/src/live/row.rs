// SPDX-License-Identifier: MIT OR Apache-2.0
//! A row as an application read it from its database, whatever driver it uses.
//!
//! Owns the way from columns to a record's sealed type. Never changes a cell: a later write is made on the condition that each is as it was.

use std::fmt;

use amanat::envelope::{looks_like_envelope, to_text};
use amanat::error::{Error, Result};
use amanat::index::IndexTerm;
use amanat::schema::{Mode, TableSchema, ValueType};
use base64_turbo::URL_SAFE_NO_PAD;
use serde::de::value::MapDeserializer;
use serde::de::{DeserializeOwned, Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;
use zeroize::Zeroize;

use crate::columns::wanted;

/// A cell as a database holds it. Wiped when dropped: while a column is mixed, it may be plaintext.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoredValue {
    /// A boolean, where the database has them.
    Boolean(bool),
    /// Bytes: BLOB, `bytea`.
    Bytes(Vec<u8>),
    /// An integer.
    Integer(i64),
    /// Nothing.
    Null,
    /// Text.
    Text(String),
}

impl StoredValue {
    /// Whether both are the same value, also where a database holds booleans as integers.
    pub(super) fn is_same(&self, new: &Self) -> bool {
        match (self, new) {
            (Self::Integer(stored), Self::Boolean(new)) => *stored == i64::from(*new),
            (stored, new) => stored == new,
        }
    }
}

impl Drop for StoredValue {
    fn drop(&mut self) {
        match self {
            Self::Bytes(bytes) => bytes.zeroize(),
            Self::Text(text) => text.zeroize(),
            Self::Boolean(_) | Self::Integer(_) | Self::Null => {}
        }
    }
}

impl fmt::Debug for StoredValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoredValue")
    }
}

/// A row as it was read: its columns by name.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct StoredRow {
    cells: Vec<(String, StoredValue)>,
}

impl StoredRow {
    /// Takes the columns of a row: all that the schema names, in any order, each as the database gave it. Others may stand among them.
    #[must_use]
    pub fn new(cells: impl IntoIterator<Item = (String, StoredValue)>) -> Self {
        Self { cells: cells.into_iter().collect() }
    }

    /// The cell of a column.
    #[must_use]
    pub fn cell(&self, column: &str) -> Option<&StoredValue> {
        self.cells.iter().find(|(name, _)| name == column).map(|(_, value)| value)
    }

    /// Reads the row as the sealed type of a record.
    ///
    /// # Errors
    /// `Misuse` if a column of the table was not read; `Malformed` if a cell is not what stands in such a column.
    pub fn read<S: DeserializeOwned>(&self, table: &TableSchema) -> Result<S> {
        let of_table = columns(table).map(|column| {
            let cell = self.cell(column).ok_or_else(|| not_read(column))?;
            Ok((column, Cell { cell, kind: Kind::of(table, column) }))
        });
        let cells: Vec<(&str, Cell<'_>)> = of_table.collect::<Result<_>>()?;
        let row = MapDeserializer::new(cells.into_iter());
        S::deserialize(row).map_err(|error: Refusal| {
            Error::malformed(format!("a row of table `{}` cannot be read: {}", table.name(), error.0))
        })
    }
}

impl fmt::Debug for StoredRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoredRow")
    }
}

/// Every column that a row of a table has: fields, record id, indexes and kept tokens.
pub(super) fn columns(table: &TableSchema) -> impl Iterator<Item = &str> {
    wanted(table).into_iter().chain(table.surrogate_columns())
}

pub(super) fn not_read(column: &str) -> Error {
    Error::misuse(format!("column `{column}` was not read; select every column that the schema names"))
}

/// What stands in a column, as far as its text form depends on it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Boolean,
    Plain,
    Sealed,
    SealedBoolean,
    Term,
}

impl Kind {
    fn of(table: &TableSchema, column: &str) -> Self {
        if table.indexes().iter().any(|index| index.column() == column) {
            return Self::Term;
        }
        let field = table.by_column(column);
        let is_boolean = field.is_some_and(|field| field.value_type() == ValueType::Boolean);
        match (field.is_some_and(|field| field.mode() == Mode::Sealed), is_boolean) {
            (true, true) => Self::SealedBoolean,
            (true, false) => Self::Sealed,
            (false, true) => Self::Boolean,
            (false, false) => Self::Plain,
        }
    }
}

/// A cell on its way into serde.
struct Cell<'a> {
    cell: &'a StoredValue,
    kind: Kind,
}

/// Why serde refused. The messages of the library's types hold no input.
#[derive(Debug)]
struct Refusal(String);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refusal {}

impl serde::de::Error for Refusal {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }

    // serde's own would show the input.
    fn invalid_type(_: serde::de::Unexpected<'_>, wanted: &dyn serde::de::Expected) -> Self {
        Self(format!("a cell is of another type than {wanted}"))
    }

    fn invalid_value(_: serde::de::Unexpected<'_>, wanted: &dyn serde::de::Expected) -> Self {
        Self(format!("a cell is not {wanted}"))
    }
}

impl<'de> IntoDeserializer<'de, Refusal> for Cell<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Cell<'de> {
    type Error = Refusal;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        let is_boolean = matches!(self.kind, Kind::Boolean | Kind::SealedBoolean);
        match self.cell {
            StoredValue::Null => visitor.visit_unit(),
            StoredValue::Boolean(truth) => visitor.visit_bool(*truth),
            // A database without booleans.
            StoredValue::Integer(number @ 0..=1) if is_boolean => visitor.visit_bool(*number == 1),
            StoredValue::Integer(number) => visitor.visit_i64(*number),
            StoredValue::Text(text) => visitor.visit_str(text),
            StoredValue::Bytes(bytes) => match self.kind {
                Kind::Sealed | Kind::SealedBoolean if looks_like_envelope(bytes) => {
                    visitor.visit_str(&to_text(bytes))
                }
                Kind::Term => match IndexTerm::from_bytes(bytes) {
                    Ok(term) => visitor.visit_str(&term.to_text()),
                    Err(error) => Err(Refusal(error.message().to_owned())),
                },
                _ => {
                    let mut text = URL_SAFE_NO_PAD.encode(bytes);
                    let read = visitor.visit_str(&text);
                    text.zeroize();
                    read
                }
            },
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        if matches!(self.cell, StoredValue::Null) { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct newtype_struct seq tuple
        tuple_struct map struct enum identifier ignored_any
    }
}
