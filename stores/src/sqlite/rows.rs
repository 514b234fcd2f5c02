// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rows of a SQLite table in memory, and the storage class of each type of value.
//!
//! Owns the reading of cells. Never converts one storage class to another.

use std::borrow::Cow;

use amanat::RecordId;
use amanat::envelope::{self, Envelope, looks_like_envelope, looks_like_text_form};
use amanat::error::{Error, Result};
use amanat::index::IndexTerm;
use amanat::schema::{Encoding, ValueType};
use amanat::surrogate::{StoredSurrogate, Surrogate};
use amanat::value::ValueRef;
use rusqlite::ToSql;
use rusqlite::types::{ToSqlOutput, Value, ValueRef as SqlRef};

use super::failed;
use super::table::SqlTable;
use crate::cell::Stored;
use crate::columns::Role;
use crate::engine::Rows;
use crate::scan::{ScanRows, no_such_field};
use crate::text_value;

/// A part of a row's key. It goes back into queries byte by byte: were a text that is not UTF-8 lost, the rows after it would be too.
#[derive(Clone, Debug)]
pub(super) enum KeyPart {
    Value(Value),
    NotUtf8(Vec<u8>),
}

impl ToSql for KeyPart {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match self {
            Self::Value(value) => value.to_sql(),
            Self::NotUtf8(text) => Ok(ToSqlOutput::Borrowed(SqlRef::Text(text))),
        }
    }
}

/// A row as it was read.
#[derive(Debug)]
pub(super) struct SqlRow {
    /// Number of the row in the run, from 1.
    pub(super) number: u64,
    pub(super) key: Vec<KeyPart>,
    pub(super) record: Vec<Value>,
    pub(super) cells: Vec<Value>,
    record_texts: Option<Vec<String>>,
    not_utf8: bool,
}

impl SqlRow {
    pub(super) fn read(row: &rusqlite::Row<'_>, table: &SqlTable, number: u64) -> Result<Self> {
        let mut not_utf8 = false;
        let mut take = |from: usize, count: usize| -> Result<Vec<Value>> {
            let value = |place| {
                let value = row.get_ref(place).map_err(failed)?;
                not_utf8 |= matches!(value, SqlRef::Text(text) if core::str::from_utf8(text).is_err());
                // A text that is not UTF-8 is never written back: its row is refused.
                Ok(Value::try_from(value).unwrap_or(Value::Null))
            };
            (from..from + count).map(value).collect()
        };
        let (keys, records) = (table.key.len(), table.record.len());
        let key_part = |place| {
            let value = row.get_ref(place).map_err(failed)?;
            Ok(match (Value::try_from(value), value) {
                (Err(_), SqlRef::Text(text)) => KeyPart::NotUtf8(text.to_vec()),
                (value, _) => KeyPart::Value(value.unwrap_or(Value::Null)),
            })
        };
        let key = (0..keys).map(key_part).collect::<Result<Vec<_>>>()?;
        let record = take(keys, records)?;
        let cells = take(keys + records, table.cells.len())?;
        let texts = record.iter().map(record_text).collect();
        Ok(Self { number, key, record, cells, record_texts: texts, not_utf8 })
    }

    /// About how much memory it takes.
    pub(super) fn bytes(&self) -> usize {
        let size = |value: &Value| match value {
            Value::Text(text) => text.len(),
            Value::Blob(bytes) => bytes.len(),
            _ => 8,
        };
        let key_size = |part: &KeyPart| match part {
            KeyPart::Value(value) => size(value),
            KeyPart::NotUtf8(text) => text.len(),
        };
        let key: usize = self.key.iter().map(key_size).sum();
        self.record.iter().chain(&self.cells).map(size).sum::<usize>() + key
    }
}

fn record_text(value: &Value) -> Option<String> {
    match value {
        Value::Integer(number) => Some(number.to_string()),
        Value::Text(text) => Some(text.clone()),
        _ => None,
    }
}

/// A part of a batch.
pub(crate) struct SqlRows<'a> {
    pub(super) table: &'a SqlTable,
    pub(super) rows: &'a [SqlRow],
}

impl Rows for SqlRows<'_> {
    fn count(&self) -> usize {
        self.rows.len()
    }

    fn number(&self, row: usize) -> u64 {
        self.rows.get(row).map_or(0, |row| row.number)
    }

    fn record(&self, row: usize) -> Result<RecordId<'_>> {
        let row = self.rows.get(row).ok_or_else(|| Error::misuse("the batch has fewer rows"))?;
        if row.not_utf8 {
            return Err(Error::schema("a TEXT of the row is not UTF-8"));
        }
        let masked =
            self.table.roles.iter().zip(&row.cells).filter(|(role, _)| matches!(role, Role::Masked(_)));
        if masked.into_iter().any(|(_, cell)| !matches!(cell, Value::Text(_) | Value::Null)) {
            return Err(Error::schema("a cell to be masked is neither TEXT nor NULL"));
        }
        let texts = row.record_texts.as_deref();
        match texts.ok_or_else(|| Error::schema("a column of the record id is neither INTEGER nor TEXT"))? {
            [text] => RecordId::text(text),
            texts => RecordId::composite(&texts.iter().map(String::as_str).collect::<Vec<_>>()),
        }
    }

    fn cell(&self, row: usize, position: usize) -> Result<Stored<'_>> {
        let place = self.table.sealed.get(position).copied().flatten().ok_or_else(no_such_field)?;
        match (self.value(row, place)?, self.table.roles.get(place)) {
            (cell, Some(Role::Sealed(_, value_type))) => read_cell(cell, *value_type, self.table.encoding),
            _ => Err(no_such_field()),
        }
    }

    fn surrogate(&self, row: usize, position: usize) -> Result<StoredSurrogate<'_>> {
        let Some(place) = self.table.surrogates.get(position).copied().flatten() else {
            return Ok(StoredSurrogate::Absent);
        };
        match self.value(row, place)? {
            Value::Null => Ok(StoredSurrogate::Absent),
            Value::Blob(bytes) => Ok(StoredSurrogate::Bytes(bytes)),
            Value::Text(_) if self.table.encoding == Encoding::Binary && position < self.table.indexes => {
                Err(Error::malformed(
                    "an index term in text form stands where the schema says `encoding = \"binary\"`",
                ))
            }
            Value::Text(text) => Ok(StoredSurrogate::Text(text)),
            Value::Integer(_) | Value::Real(_) => {
                Err(Error::malformed("a number stands where an index term or token belongs"))
            }
        }
    }
}

impl SqlRows<'_> {
    fn value(&self, row: usize, place: usize) -> Result<&Value> {
        self.rows.get(row).and_then(|row| row.cells.get(place)).ok_or_else(no_such_field)
    }
}

impl ScanRows for SqlRows<'_> {
    fn key(&self, row: usize) -> Option<Vec<String>> {
        let text = |part: &KeyPart| match part {
            KeyPart::Value(Value::Integer(number)) => number.to_string(),
            KeyPart::Value(Value::Real(number)) => number.to_string(),
            KeyPart::Value(Value::Text(text)) => text.clone(),
            KeyPart::Value(Value::Null) => String::new(),
            KeyPart::Value(Value::Blob(bytes)) | KeyPart::NotUtf8(bytes) => {
                bytes.iter().map(|byte| format!("{byte:02x}")).collect()
            }
        };
        self.rows.get(row).map(|row| row.key.iter().map(text).collect())
    }

    fn record_columns(&self, row: usize) -> Result<Vec<Cow<'_, str>>> {
        let texts = self.rows.get(row).and_then(|row| row.record_texts.as_deref());
        let texts = texts.ok_or_else(|| Error::schema("the record id is neither INTEGER nor TEXT"))?;
        Ok(texts.iter().map(|text| Cow::Borrowed(text.as_str())).collect())
    }

    fn unsealed(&self, row: usize, field: usize) -> Result<Option<Cow<'_, str>>> {
        let place = self.table.fields.get(field).copied().flatten().ok_or_else(no_such_field)?;
        Ok(Some(match self.value(row, place)? {
            Value::Null => return Ok(None),
            Value::Text(text) => Cow::Borrowed(text.as_str()),
            Value::Integer(number) => Cow::Owned(number.to_string()),
            Value::Real(number) => Cow::Owned(number.to_string()),
            Value::Blob(_) => return Err(Error::schema("the cell is a BLOB and has no text")),
        }))
    }
}

fn read_cell(cell: &Value, value_type: ValueType, encoding: Encoding) -> Result<Stored<'_>> {
    let binary = encoding == Encoding::Binary;
    let wrong =
        |found: &str| Err(Error::schema(format!("the cell is {found}, and the schema says {value_type}")));
    let other_form = |found, wanted| {
        Err(Error::malformed(format!(
            "an envelope in {found} form stands where the schema says `encoding = \"{wanted}\"`"
        )))
    };
    match cell {
        Value::Null => Ok(Stored::Absent),
        Value::Text(text) if looks_like_text_form(text.as_bytes()) => {
            if binary {
                other_form("text", "binary")
            } else {
                Ok(Stored::EnvelopeText(text))
            }
        }
        Value::Text(text) => match value_type {
            ValueType::Text => Ok(Stored::Plain(ValueRef::Text(text))),
            ValueType::Date => text_value::date(text).map(|date| Stored::Plain(ValueRef::Date(date))),
            _ => wrong("TEXT"),
        },
        Value::Blob(bytes) if looks_like_text_form(bytes) => other_form("text", "binary"),
        Value::Blob(bytes) => match (Envelope::parse(bytes), value_type) {
            (Ok(_), _) if !binary => other_form("binary", "text"),
            (Ok(_), _) => Ok(Stored::EnvelopeBytes(bytes)),
            // Damaged: to seal it as plain would make an authentic value of the damage. Its own error tells what is wrong with it.
            (Err(_), _) if looks_like_envelope(bytes) => Ok(Stored::EnvelopeBytes(bytes)),
            (Err(_), ValueType::Bytes) => Ok(Stored::Plain(ValueRef::Bytes(bytes))),
            (Err(_), ValueType::Cbor) => Ok(Stored::Plain(ValueRef::Cbor(bytes))),
            (Err(_), _) if binary => Ok(Stored::EnvelopeBytes(bytes)),
            (Err(_), _) => wrong("a BLOB"),
        },
        Value::Integer(number) => match (value_type, number) {
            (ValueType::Integer, _) => Ok(Stored::Plain(ValueRef::Integer(*number))),
            (ValueType::Boolean, 0 | 1) => Ok(Stored::Plain(ValueRef::Boolean(*number == 1))),
            _ => wrong("an INTEGER"),
        },
        Value::Real(_) => wrong("a REAL"),
    }
}

/// An envelope in the form in which the table stores it.
pub(super) fn sealed(bytes: &[u8], encoding: Encoding) -> Value {
    match encoding {
        Encoding::Binary => Value::Blob(bytes.to_vec()),
        _ => Value::Text(envelope::to_text(bytes)),
    }
}

/// A term or token in the form in which the table stores it.
pub(super) fn surrogate(new: &Surrogate, encoding: Encoding) -> Value {
    match new {
        Surrogate::Absent => Value::Null,
        Surrogate::Term(term) => self::term(term, encoding),
        Surrogate::Token(token) => Value::Text(token.as_str().to_owned()),
    }
}

/// A term in the form in which the table stores it.
pub(super) fn term(term: &IndexTerm, encoding: Encoding) -> Value {
    match encoding {
        Encoding::Binary => Value::Blob(term.as_bytes().to_vec()),
        _ => Value::Text(term.to_text()),
    }
}

/// A value in the storage class of its type.
pub(super) fn plain(value: ValueRef<'_>) -> Result<Value> {
    Ok(match value {
        ValueRef::Null => Value::Null,
        ValueRef::Text(text) => Value::Text(text.to_owned()),
        ValueRef::Bytes(bytes) | ValueRef::Cbor(bytes) => Value::Blob(bytes.to_vec()),
        ValueRef::Integer(number) => Value::Integer(number),
        ValueRef::Date(date) => Value::Text(date.to_string()),
        ValueRef::Boolean(truth) => Value::Integer(i64::from(truth)),
        _ => return Err(Error::unsupported("SQLite tables do not know this type of value")),
    })
}
