// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rows of a SQLite table in memory, and the storage class of each type of value.
//!
//! Owns the reading of cells. Never converts one storage class to another.

use std::borrow::Cow;
use std::fmt;
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use amanat::RecordId;
use amanat::envelope::{Envelope, looks_like_envelope, looks_like_text_form};
use amanat::error::{Error, Result};
use amanat::index::IndexTerm;
use amanat::schema::{Encoding, ValueType};
use amanat::surrogate::StoredSurrogate;
use amanat::value::ValueRef;
use rusqlite::types::{Value, ValueRef as SqlRef};

use super::fault::failed;
use super::position::{KeyPart, to_position};
use super::table::SqlTable;
use crate::cell::Stored;
use crate::columns::Role;
use crate::engine::Rows;
use crate::run::{Batch, Position};
use crate::scan::{ScanRows, no_such_field};
use crate::text_value;

/// Memory of batches that are done, for those that come: to ask the system for it anew each time shows in the profile.
pub(super) type Pool = Arc<Mutex<Vec<Memory>>>;

/// Batches of a run that are alive at the same time: one is read, one sealed, one written.
const POOLED: usize = 3;

/// Rows as they were read; owns them. All their bytes stand in one piece of memory.
pub struct SqliteBatch {
    pub(super) table: Arc<SqlTable>,
    /// What the rows are as of; `None` if nothing tells whether they still are.
    pub(super) seen: Option<Seen>,
    memory: Memory,
    pool: Pool,
}

/// A state of a file, as one connection sees it: the same only as long as no other connection has committed anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// Number of the connection among those of this process.
    pub(super) connection: u64,
    pub(super) version: i64,
}

/// The memory of a batch.
#[derive(Default)]
pub(super) struct Memory {
    rows: Vec<SqlRow>,
    /// Values of all rows, one row after the other: its key, its record id, its cells.
    values: Vec<Held>,
    /// Columns of the record id as text, one row after the other.
    record_texts: Vec<Option<Span>>,
    bytes: Vec<u8>,
}

struct SqlRow {
    number: u64,
    /// A cell or a part of the record id is a TEXT that is not UTF-8. It is never written back: the row is refused.
    not_utf8: bool,
}

/// A value, or where its bytes are.
#[derive(Clone, Copy)]
enum Held {
    Blob(Span),
    Integer(i64),
    Null,
    Real(f64),
    Text(Span),
}

#[derive(Clone, Copy)]
struct Span {
    start: usize,
    length: usize,
}

impl SqliteBatch {
    /// An empty batch in memory of the pool.
    pub(super) fn new(table: &Arc<SqlTable>, pool: &Pool) -> Self {
        let memory = pool.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        Self { table: Arc::clone(table), seen: None, memory, pool: Arc::clone(pool) }
    }

    /// Reads a further row.
    pub(super) fn push(&mut self, row: &rusqlite::Row<'_>, number: u64) -> Result<()> {
        let (keys, records) = (self.table.key.len(), self.table.record.len());
        let mut not_utf8 = false;
        for place in 0..keys + records + self.table.cells.len() {
            let value = row.get_ref(place).map_err(failed)?;
            // A key goes back into queries byte by byte, whatever it is.
            not_utf8 |=
                place >= keys && matches!(value, SqlRef::Text(text) if core::str::from_utf8(text).is_err());
            let held = match value {
                SqlRef::Null => Held::Null,
                SqlRef::Integer(number) => Held::Integer(number),
                SqlRef::Real(number) => Held::Real(number),
                SqlRef::Text(text) => Held::Text(self.hold(text)),
                SqlRef::Blob(bytes) => Held::Blob(self.hold(bytes)),
            };
            if (keys..keys + records).contains(&place) {
                let text = match held {
                    Held::Text(span) => Some(span),
                    Held::Integer(number) => Some(self.hold_text(number)),
                    _ => None,
                };
                self.memory.record_texts.push(text);
            }
            self.memory.values.push(held);
        }
        self.memory.rows.push(SqlRow { number, not_utf8 });
        Ok(())
    }

    /// Gives the row that was read last another number.
    pub(super) fn number_last(&mut self, number: u64) {
        self.memory.rows.last_mut().into_iter().for_each(|row| row.number = number);
    }

    /// About how much memory the bytes of its rows take.
    pub(super) fn held_bytes(&self) -> usize {
        self.memory.bytes.len() + size_of_val(self.memory.values.as_slice())
    }

    /// The key of a row.
    pub(super) fn key(&self, row: usize) -> impl Iterator<Item = SqlRef<'_>> {
        self.part(row, 0, self.table.key.len())
    }

    /// The columns of the record id of a row.
    pub(super) fn record_values(&self, row: usize) -> impl Iterator<Item = SqlRef<'_>> {
        self.part(row, self.table.key.len(), self.table.record.len())
    }

    /// A cell of a row, by its place among the table's cells.
    pub(super) fn value(&self, row: usize, place: usize) -> Result<SqlRef<'_>> {
        let place = self.table.key.len() + self.table.record.len() + place;
        self.part(row, place, 1).next().ok_or_else(no_such_field)
    }

    fn part(&self, row: usize, first: usize, count: usize) -> impl Iterator<Item = SqlRef<'_>> {
        let width = self.table.key.len() + self.table.record.len() + self.table.cells.len();
        let start = row * width + first;
        let held = self.memory.values.get(start..start + count).unwrap_or_default();
        held.iter().map(|held| match held {
            Held::Null => SqlRef::Null,
            Held::Integer(number) => SqlRef::Integer(*number),
            Held::Real(number) => SqlRef::Real(*number),
            Held::Text(span) => SqlRef::Text(self.held(*span)),
            Held::Blob(span) => SqlRef::Blob(self.held(*span)),
        })
    }

    fn hold(&mut self, bytes: &[u8]) -> Span {
        let start = self.memory.bytes.len();
        self.memory.bytes.extend_from_slice(bytes);
        Span { start, length: bytes.len() }
    }

    fn hold_text(&mut self, number: i64) -> Span {
        let start = self.memory.bytes.len();
        // Memory takes whatever is written to it.
        drop(write!(self.memory.bytes, "{number}"));
        Span { start, length: self.memory.bytes.len() - start }
    }

    fn held(&self, span: Span) -> &[u8] {
        self.memory.bytes.get(span.start..span.start + span.length).unwrap_or_default()
    }

    fn row(&self, row: usize) -> Result<&SqlRow> {
        self.memory.rows.get(row).ok_or_else(|| Error::misuse("the batch has fewer rows"))
    }

    fn record_texts(&self, row: usize) -> impl Iterator<Item = Result<&str>> {
        let records = self.table.record.len();
        let spans = self.memory.record_texts.get(row * records..(row + 1) * records).unwrap_or_default();
        spans.iter().map(|span| {
            let text = span.and_then(|span| core::str::from_utf8(self.held(span)).ok());
            text.ok_or_else(|| Error::schema("a column of the record id is neither INTEGER nor TEXT"))
        })
    }
}

impl Drop for SqliteBatch {
    fn drop(&mut self) {
        let mut memory = std::mem::take(&mut self.memory);
        memory.rows.clear();
        memory.values.clear();
        memory.record_texts.clear();
        memory.bytes.clear();
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        if pool.len() < POOLED {
            pool.push(memory);
        }
    }
}

impl Rows for SqliteBatch {
    fn count(&self) -> usize {
        self.memory.rows.len()
    }

    fn number(&self, row: usize) -> u64 {
        self.memory.rows.get(row).map_or(0, |row| row.number)
    }

    fn record(&self, row: usize) -> Result<RecordId<'_>> {
        if self.row(row)?.not_utf8 {
            return Err(Error::schema("a TEXT of the row is not UTF-8"));
        }
        for place in &self.table.masked {
            if !matches!(self.value(row, *place)?, SqlRef::Text(_) | SqlRef::Null) {
                return Err(Error::schema("a cell to be masked is neither TEXT nor NULL"));
            }
        }
        let mut texts = self.record_texts(row);
        match (texts.next(), self.table.record.len()) {
            (Some(text), 1) => RecordId::text(text?),
            (first, _) => RecordId::composite(&first.into_iter().chain(texts).collect::<Result<Vec<_>>>()?),
        }
    }

    fn cell(&self, row: usize, position: usize) -> Result<Stored<'_>> {
        let place = self.table.sealed.get(position).copied().flatten().ok_or_else(no_such_field)?;
        match (self.value(row, place)?, self.table.roles.get(place)) {
            (cell, Some(Role::Sealed(_, value_type))) => self.read_cell(cell, position, *value_type),
            _ => Err(no_such_field()),
        }
    }

    fn former(&self, row: usize, position: usize) -> Result<Stored<'_>> {
        let Some(place) = self.table.former.get(position).copied().flatten() else {
            return Ok(Stored::Absent);
        };
        match (self.value(row, place)?, self.table.roles.get(place)) {
            (cell, Some(Role::Former(_, value_type))) => self.read_cell(cell, position, *value_type),
            _ => Err(no_such_field()),
        }
    }

    fn left_over(&self, row: usize) -> u64 {
        let filled = |place: &&usize| self.value(row, **place).is_ok_and(|cell| cell != SqlRef::Null);
        u64::try_from(self.table.left_over.iter().filter(filled).count()).unwrap_or(u64::MAX)
    }

    fn record_texts(&self, row: usize) -> Result<Vec<Cow<'_, str>>> {
        self.record_columns(row)
    }

    fn surrogate(&self, row: usize, position: usize) -> Result<StoredSurrogate<'_>> {
        let Some(place) = self.table.surrogates.get(position).copied().flatten() else {
            return Ok(StoredSurrogate::Absent);
        };
        match self.value(row, place)? {
            SqlRef::Null => Ok(StoredSurrogate::Absent),
            SqlRef::Blob(bytes) => Ok(StoredSurrogate::Bytes(bytes)),
            SqlRef::Text(_) if self.table.encoding == Encoding::Binary && position < self.table.indexes => {
                Err(Error::malformed(
                    "an index term in text form stands where the schema says `encoding = \"binary\"`",
                ))
            }
            SqlRef::Text(text) => utf8(text).map(StoredSurrogate::Text),
            SqlRef::Integer(_) | SqlRef::Real(_) => {
                Err(Error::malformed("a number stands where an index term or token belongs"))
            }
        }
    }
}

impl SqliteBatch {
    /// Reads a cell of a field at a position.
    fn read_cell<'a>(&self, cell: SqlRef<'a>, position: usize, value_type: ValueType) -> Result<Stored<'a>> {
        match cell {
            SqlRef::Text(bytes) | SqlRef::Blob(bytes)
                if self.table.foreign.get(position) == Some(&true) && !looks_like_text_form(bytes) =>
            {
                Ok(Stored::Foreign(Cow::Borrowed(bytes)))
            }
            cell => read_cell(cell, value_type, self.table.encoding),
        }
    }
}

impl Batch for SqliteBatch {
    fn position(&self, row: usize) -> Option<Position> {
        let key: Vec<KeyPart> = self.key(row).map(KeyPart::of).collect();
        if key.is_empty() { None } else { Some(to_position(&key)) }
    }
}

impl ScanRows for SqliteBatch {
    fn key(&self, row: usize) -> Option<Vec<String>> {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let text = |value| match value {
            SqlRef::Null => String::new(),
            SqlRef::Integer(number) => number.to_string(),
            SqlRef::Real(number) => number.to_string(),
            SqlRef::Text(text) => core::str::from_utf8(text).map_or_else(|_| hex(text), ToOwned::to_owned),
            SqlRef::Blob(bytes) => hex(bytes),
        };
        self.memory.rows.get(row).map(|_| Self::key(self, row).map(text).collect())
    }

    fn record_columns(&self, row: usize) -> Result<Vec<Cow<'_, str>>> {
        self.record_texts(row).map(|text| text.map(Cow::Borrowed)).collect()
    }

    fn unsealed(&self, row: usize, field: usize) -> Result<Option<Cow<'_, str>>> {
        let place = self.table.fields.get(field).copied().flatten().ok_or_else(no_such_field)?;
        Ok(Some(match self.value(row, place)? {
            SqlRef::Null => return Ok(None),
            SqlRef::Text(text) => Cow::Borrowed(utf8(text)?),
            SqlRef::Integer(number) => Cow::Owned(number.to_string()),
            SqlRef::Real(number) => Cow::Owned(number.to_string()),
            SqlRef::Blob(_) => return Err(Error::schema("the cell is a BLOB and has no text")),
        }))
    }
}

impl fmt::Debug for SqliteBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SqliteBatch({} rows)", self.memory.rows.len())
    }
}

fn utf8(text: &[u8]) -> Result<&str> {
    core::str::from_utf8(text).map_err(|_| Error::schema("a TEXT of the row is not UTF-8"))
}

fn read_cell(cell: SqlRef<'_>, value_type: ValueType, encoding: Encoding) -> Result<Stored<'_>> {
    let binary = encoding == Encoding::Binary;
    let wrong =
        |found: &str| Err(Error::schema(format!("the cell is {found}, and the schema says {value_type}")));
    let other_form = |found, wanted| {
        Err(Error::malformed(format!(
            "an envelope in {found} form stands where the schema says `encoding = \"{wanted}\"`"
        )))
    };
    match cell {
        SqlRef::Null => Ok(Stored::Absent),
        SqlRef::Text(text) if looks_like_text_form(text) => {
            if binary {
                other_form("text", "binary")
            } else {
                utf8(text).map(Stored::EnvelopeText)
            }
        }
        SqlRef::Text(text) => match value_type {
            ValueType::Text => Ok(Stored::Plain(ValueRef::Text(utf8(text)?))),
            ValueType::Date => text_value::date(utf8(text)?).map(|date| Stored::Plain(ValueRef::Date(date))),
            _ => wrong("TEXT"),
        },
        SqlRef::Blob(bytes) if looks_like_text_form(bytes) => other_form("text", "binary"),
        SqlRef::Blob(bytes) => match (Envelope::parse(bytes), value_type) {
            (Ok(_), _) if !binary => other_form("binary", "text"),
            (Ok(_), _) => Ok(Stored::EnvelopeBytes(bytes)),
            // Damaged: to seal it as plain would make an authentic value of the damage. Its own error tells what is wrong with it.
            (Err(_), _) if looks_like_envelope(bytes) => Ok(Stored::EnvelopeBytes(bytes)),
            (Err(_), ValueType::Bytes) => Ok(Stored::Plain(ValueRef::Bytes(bytes))),
            (Err(_), ValueType::Cbor) => Ok(Stored::Plain(ValueRef::Cbor(bytes))),
            (Err(_), _) if binary => Ok(Stored::EnvelopeBytes(bytes)),
            (Err(_), _) => wrong("a BLOB"),
        },
        SqlRef::Integer(number) => match (value_type, number) {
            (ValueType::Integer, _) => Ok(Stored::Plain(ValueRef::Integer(number))),
            (ValueType::Boolean, 0 | 1) => Ok(Stored::Plain(ValueRef::Boolean(number == 1))),
            _ => wrong("an INTEGER"),
        },
        SqlRef::Real(_) => wrong("a REAL"),
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
