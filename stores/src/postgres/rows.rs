// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rows of a PostgreSQL table in memory.
//!
//! Owns the reading of cells. Never takes what looks like an envelope for plaintext.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::sync::Arc;

use amanat::RecordId;
use amanat::envelope::{Envelope, looks_like_envelope, looks_like_text_form};
use amanat::error::{Error, Result};
use amanat::schema::{Encoding, ValueType};
use amanat::surrogate::StoredSurrogate;
use amanat::value::ValueRef;
use postgres::Row;
use postgres::types::{FromSql, Type};

use super::error::failed;
use super::statements::Layout;
use super::swap::RawRows;
use super::table::{Form, PgTable};
use crate::cell::Stored;
use crate::columns::Role;
use crate::engine::Rows;
use crate::run::{Batch, Position};
use crate::scan::{ScanRows, no_such_field};
use crate::text_value;

/// A table with where its parts stand in an answer.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) table: PgTable,
    pub(super) layout: Layout,
}

/// Rows that were read.
pub struct PgBatch {
    source: Arc<Source>,
    rows: Held,
    /// Number of the first.
    first: u64,
}

/// Where the rows come from.
enum Held {
    /// A query.
    Answered(Vec<Row>),
    /// A binary COPY.
    Copied(RawRows),
}

/// The bytes of a cell, of whatever type: those of `text` are its UTF-8, those of `bytea` itself.
struct Raw<'a>(&'a [u8]);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn StdError + Sync + Send>> {
        Ok(Self(raw))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

impl PgBatch {
    pub(super) fn new(source: &Arc<Source>, rows: Vec<Row>, first: u64) -> Self {
        Self { source: Arc::clone(source), rows: Held::Answered(rows), first }
    }

    /// Rows of a binary COPY, in whose columns the source's layout counts.
    pub(super) fn copied(source: &Arc<Source>, rows: RawRows, first: u64) -> Self {
        Self { source: Arc::clone(source), rows: Held::Copied(rows), first }
    }

    /// The rows as they were copied.
    pub(super) fn as_copied(&self) -> Option<&RawRows> {
        match &self.rows {
            Held::Answered(_) => None,
            Held::Copied(rows) => Some(rows),
        }
    }

    pub(super) fn table(&self) -> &PgTable {
        &self.source.table
    }

    /// About how much memory the rows take.
    pub(super) fn bytes(&self) -> usize {
        let size = |row: &Row| -> usize {
            (0..row.len()).filter_map(|place| raw(row, place).ok().flatten()).map(<[u8]>::len).sum()
        };
        match &self.rows {
            Held::Answered(rows) => rows.iter().map(size).sum(),
            Held::Copied(rows) => rows.bytes(),
        }
    }

    /// The parts of a row's key.
    pub(super) fn key_parts(&self, row: usize) -> Result<Vec<&str>> {
        let part = |place: &usize| self.text(row, *place)?.ok_or_else(no_such_field);
        self.source.layout.key.iter().map(part).collect()
    }

    /// The columns of a row's record id, NULL included.
    pub(super) fn record_parts(&self, row: usize) -> Result<Vec<Option<&str>>> {
        self.source.layout.record.iter().map(|place| self.text(row, *place)).collect()
    }

    /// Bytes of a cell: the UTF-8 of a text.
    pub(super) fn bytes_of(&self, row: usize, place: usize) -> Result<Option<&[u8]>> {
        let column = self.source.layout.cells.get(place).ok_or_else(no_such_field)?;
        self.raw(row, *column)
    }

    /// Text of a cell that is no `bytea`.
    pub(super) fn text_of(&self, row: usize, place: usize) -> Result<Option<&str>> {
        let column = self.source.layout.cells.get(place).ok_or_else(no_such_field)?;
        self.text(row, *column)
    }

    /// Reads a cell of a field at a position.
    fn read_cell(
        &self,
        (row, place): (usize, usize),
        position: usize,
        value_type: ValueType,
    ) -> Result<Stored<'_>> {
        let (table, form) = (self.table(), self.form(place));
        let Some(bytes) = self.bytes_of(row, place)? else { return Ok(Stored::Absent) };
        if table.foreign.get(position) == Some(&true) && !looks_like_text_form(bytes) {
            return Ok(Stored::Foreign(Cow::Borrowed(bytes)));
        }
        match form {
            Form::Bytes => read_bytes(bytes, value_type, table.encoding),
            _ => read_text(self.text_of(row, place)?.unwrap_or_default(), value_type, table.encoding),
        }
    }

    fn raw(&self, row: usize, place: usize) -> Result<Option<&[u8]>> {
        match &self.rows {
            Held::Answered(rows) => raw(rows.get(row).ok_or_else(no_such_field)?, place),
            Held::Copied(rows) => rows.field(row, place),
        }
    }

    fn text(&self, row: usize, place: usize) -> Result<Option<&str>> {
        let not_text = |_| Error::schema("a text of the row is not UTF-8");
        self.raw(row, place)?.map(|raw| core::str::from_utf8(raw).map_err(not_text)).transpose()
    }

    fn form(&self, place: usize) -> Form {
        self.table().cells.get(place).map_or(Form::Other, |column| column.form)
    }
}

fn raw(row: &Row, place: usize) -> Result<Option<&[u8]>> {
    Ok(row.try_get::<_, Option<Raw<'_>>>(place).map_err(failed)?.map(|raw| raw.0))
}

impl Rows for PgBatch {
    fn count(&self) -> usize {
        match &self.rows {
            Held::Answered(rows) => rows.len(),
            Held::Copied(rows) => rows.count(),
        }
    }

    fn number(&self, row: usize) -> u64 {
        self.first + u64::try_from(row).unwrap_or_default()
    }

    fn record(&self, row: usize) -> Result<RecordId<'_>> {
        let parts = self.record_parts(row)?.into_iter().collect::<Option<Vec<_>>>();
        match parts.ok_or_else(|| Error::schema("a column of the record id is NULL"))?.as_slice() {
            [text] => RecordId::text(text),
            texts => RecordId::composite(texts),
        }
    }

    fn cell(&self, row: usize, position: usize) -> Result<Stored<'_>> {
        let table = self.table();
        let place = table.sealed.get(position).copied().flatten().ok_or_else(no_such_field)?;
        let Some(Role::Sealed(_, value_type)) = table.roles.get(place) else { return Err(no_such_field()) };
        self.read_cell((row, place), position, *value_type)
    }

    fn former(&self, row: usize, position: usize) -> Result<Stored<'_>> {
        let table = self.table();
        let Some(place) = table.former.get(position).copied().flatten() else { return Ok(Stored::Absent) };
        let Some(Role::Former(_, value_type)) = table.roles.get(place) else { return Err(no_such_field()) };
        self.read_cell((row, place), position, *value_type)
    }

    fn left_over(&self, row: usize) -> u64 {
        let filled = |place: &&usize| self.bytes_of(row, **place).is_ok_and(|cell| cell.is_some());
        u64::try_from(self.table().left_over.iter().filter(filled).count()).unwrap_or(u64::MAX)
    }

    fn record_texts(&self, row: usize) -> Result<Vec<Cow<'_, str>>> {
        self.record_columns(row)
    }

    fn surrogate(&self, row: usize, position: usize) -> Result<StoredSurrogate<'_>> {
        let Some(place) = self.table().surrogates.get(position).copied().flatten() else {
            return Ok(StoredSurrogate::Absent);
        };
        Ok(match self.form(place) {
            Form::Bytes => self.bytes_of(row, place)?.map_or(StoredSurrogate::Absent, StoredSurrogate::Bytes),
            _ => self.text_of(row, place)?.map_or(StoredSurrogate::Absent, StoredSurrogate::Text),
        })
    }
}

impl Batch for PgBatch {
    fn position(&self, row: usize) -> Option<Position> {
        let parts = self.key_parts(row).ok()?;
        serde_json::to_string(&parts).ok().map(Position)
    }
}

impl ScanRows for PgBatch {
    fn key(&self, row: usize) -> Option<Vec<String>> {
        Some(self.key_parts(row).ok()?.into_iter().map(str::to_owned).collect())
    }

    fn record_columns(&self, row: usize) -> Result<Vec<Cow<'_, str>>> {
        let parts = self.record_parts(row)?.into_iter().map(|part| part.map(Cow::Borrowed));
        parts.collect::<Option<_>>().ok_or_else(|| Error::schema("a column of the record id is NULL"))
    }

    fn unsealed(&self, row: usize, field: usize) -> Result<Option<Cow<'_, str>>> {
        let place = self.table().fields.get(field).copied().flatten().ok_or_else(no_such_field)?;
        match self.form(place) {
            Form::Bytes if self.bytes_of(row, place)?.is_some() => {
                Err(Error::schema("the cell is bytea and has no text"))
            }
            _ => Ok(self.text_of(row, place)?.map(Cow::Borrowed)),
        }
    }
}

impl core::fmt::Debug for PgBatch {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "PgBatch({} rows)", self.count())
    }
}

fn read_text(text: &str, value_type: ValueType, encoding: Encoding) -> Result<Stored<'_>> {
    if encoding == Encoding::Binary && looks_like_text_form(text.as_bytes()) {
        return other_form("text", "binary");
    }
    match (text, value_type) {
        // Unlike in files, empty is not absent: NULL is.
        ("", ValueType::Text) => Ok(Stored::Plain(ValueRef::Text(text))),
        ("", _) => Err(Error::schema("the cell holds empty text; where a value is absent it must be NULL")),
        _ => text_value::read(text.as_bytes(), value_type),
    }
}

fn read_bytes(bytes: &[u8], value_type: ValueType, encoding: Encoding) -> Result<Stored<'_>> {
    if looks_like_text_form(bytes) {
        return other_form("text", "binary");
    }
    match (Envelope::parse(bytes), value_type) {
        (Ok(_), _) if encoding != Encoding::Binary => other_form("binary", "text"),
        (Ok(_), _) => Ok(Stored::EnvelopeBytes(bytes)),
        // Damaged: to seal it as plain would make an authentic value of the damage. Its own error tells what is wrong with it.
        (Err(_), _) if looks_like_envelope(bytes) => Ok(Stored::EnvelopeBytes(bytes)),
        (Err(_), ValueType::Bytes) => Ok(Stored::Plain(ValueRef::Bytes(bytes))),
        (Err(_), ValueType::Cbor) => Ok(Stored::Plain(ValueRef::Cbor(bytes))),
        (Err(_), _) => match core::str::from_utf8(bytes) {
            Ok(text) => read_text(text, value_type, encoding),
            // Neither an envelope nor the text of a value.
            Err(_) => Ok(Stored::EnvelopeBytes(bytes)),
        },
    }
}

fn other_form<T>(found: &str, wanted: &str) -> Result<T> {
    Err(Error::malformed(format!(
        "an envelope in {found} form stands where the schema says `encoding = \"{wanted}\"`"
    )))
}
