// SPDX-License-Identifier: MIT OR Apache-2.0
//! Writes rows on the condition that they still are what was read.
//!
//! Owns the compare-and-swap that loses no concurrent write. Never begins or ends a transaction.

use std::borrow::Cow;

use amanat::envelope;
use amanat::error::{Error, Result};
use amanat::schema::Encoding;
use amanat::surrogate::Surrogate;
use amanat::value::ValueRef;
use rusqlite::types::{ToSqlOutput, Value, ValueRef as SqlRef};
use rusqlite::{CachedStatement, Connection};

use super::fault::{failed, not_written};
use super::rows::SqliteBatch;
use super::table::SqlTable;
use crate::columns::Role;
use crate::engine::{NewCell, Rows};
use crate::run::{NewTerm, SealedBatch};

/// So many statements are kept ready: one for each set of cells that change together, of which a table in one state has few.
pub(super) const STATEMENTS: usize = 64;

/// What is to be stored in a cell.
pub(super) enum New<'a> {
    Blob(&'a [u8]),
    /// An envelope that is stored in its text form.
    Envelope(&'a [u8]),
    Null,
    Text(Cow<'a, str>),
    Value(Value),
}

impl New<'_> {
    /// As SQLite takes it; `scratch` holds what has to be made for it.
    fn bound<'b>(&'b self, scratch: &'b mut Vec<u8>) -> SqlRef<'b> {
        match self {
            Self::Blob(bytes) => SqlRef::Blob(bytes),
            Self::Envelope(bytes) => {
                scratch.clear();
                envelope::append_text(bytes, scratch);
                SqlRef::Text(scratch)
            }
            Self::Null => SqlRef::Null,
            Self::Text(text) => SqlRef::Text(text.as_bytes()),
            Self::Value(value) => value.into(),
        }
    }
}

/// What is to be written to a row; made once and filled again for each row.
#[derive(Default)]
pub(super) struct Change<'a> {
    pub(super) places: Vec<usize>,
    pub(super) values: Vec<New<'a>>,
    /// Cells that stay and that a new term or token was made from: they must still be what they were.
    unchanged: Vec<usize>,
    /// Values that are replaced by their masks.
    pub(super) masked: u64,
}

impl<'a> Change<'a> {
    pub(super) fn push(&mut self, place: usize, value: New<'a>) {
        self.places.push(place);
        self.values.push(value);
    }

    pub(super) fn clear(&mut self) {
        self.places.clear();
        self.values.clear();
        self.unchanged.clear();
        self.masked = 0;
    }

    /// Takes what is new in a row that was sealed.
    pub(super) fn fill(&mut self, batch: &SqliteBatch, sealed: &'a SealedBatch, row: usize) -> Result<()> {
        self.clear();
        if sealed.is_refused(row) {
            return Ok(());
        }
        let SqlTable { roles, encoding, parts, sealed: fields, .. } = &*batch.table;
        for (place, role) in roles.iter().enumerate() {
            let new = match role {
                Role::Sealed(field, _) => match sealed.cell(row, *field) {
                    NewCell::Envelope(bytes) if *encoding == Encoding::Binary => Some(New::Blob(bytes)),
                    NewCell::Envelope(bytes) => Some(New::Envelope(bytes)),
                    NewCell::Absent => (batch.value(row, place)? != SqlRef::Null).then_some(New::Null),
                    NewCell::Unchanged => None,
                },
                Role::Masked(how) => match batch.value(row, place)? {
                    SqlRef::Text(text) => {
                        let text = core::str::from_utf8(text).unwrap_or_default();
                        let shown = how.apply(ValueRef::Text(text));
                        let differs = shown.as_str() != text;
                        self.masked += u64::from(differs);
                        differs.then(|| New::Text(shown.as_str().to_owned().into()))
                    }
                    _ => None,
                },
                Role::Surrogate(column) => match sealed.surrogate(row, *column) {
                    NewTerm::New(new) => {
                        self.unchanged.extend(parts.get(*column).into_iter().flatten());
                        Some(surrogate(new, *encoding))
                    }
                    NewTerm::Unchanged => None,
                },
                Role::Former(field, _) => {
                    let empties = sealed.empties_former(row, *field);
                    // Two columns of one field: what is written to one was decided from both.
                    let own = fields.get(*field).copied().flatten().filter(|_| empties);
                    let writes = matches!(sealed.cell(row, *field), NewCell::Envelope(_)) && !empties;
                    self.unchanged.extend(own.or(writes.then_some(place)));
                    empties.then_some(New::Null)
                }
                Role::LeftOver => (batch.value(row, place)? != SqlRef::Null).then_some(New::Null),
                Role::Clear => None,
            };
            new.into_iter().for_each(|new| self.push(place, new));
        }
        let Self { places, unchanged, .. } = self;
        unchanged.retain(|place| !places.contains(place));
        Ok(())
    }
}

/// A term or token in the form in which the table stores it.
fn surrogate(new: &Surrogate, encoding: Encoding) -> New<'_> {
    match (new, encoding) {
        (Surrogate::Absent, _) => New::Null,
        (Surrogate::Term(term), Encoding::Binary) => New::Blob(term.as_bytes()),
        (Surrogate::Term(term), _) => New::Text(term.to_text().into()),
        (Surrogate::Token(token), _) => New::Text(token.as_str().into()),
    }
}

/// Cells that change, and cells that must not have changed.
type Pattern = (Vec<usize>, Vec<usize>);

/// What tells that a row still is what was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compare {
    /// Its record id and its old cells, in the condition of the write.
    Cells,
    /// The file: no other connection has committed anything since the rows were read, and none can before this transaction ends.
    Version,
}

/// Writes rows of one batch, with statements that are prepared once for each pattern.
pub(super) struct Writer<'c> {
    connection: &'c Connection,
    batch: &'c SqliteBatch,
    compare: Compare,
    statements: Vec<(Pattern, CachedStatement<'c>)>,
    scratch: Vec<u8>,
}

impl<'c> Writer<'c> {
    pub(super) const fn new(connection: &'c Connection, batch: &'c SqliteBatch, compare: Compare) -> Self {
        Self { connection, batch, compare, statements: Vec::new(), scratch: Vec::new() }
    }

    /// Writes a row; false if it no longer is what was read.
    pub(super) fn write(&mut self, row: usize, change: &Change<'_>) -> Result<bool> {
        let Change { places, unchanged, values, .. } = change;
        let batch = self.batch;
        let known = self.statements.iter().position(|((set, kept), _)| set == places && kept == unchanged);
        let known = if let Some(known) = known {
            known
        } else {
            let sql = batch.table.update(places, unchanged, self.compare);
            let statement = self.connection.prepare_cached(&sql).map_err(failed)?;
            if self.statements.len() == STATEMENTS {
                self.statements.clear();
            }
            self.statements.push(((places.clone(), unchanged.clone()), statement));
            self.statements.len() - 1
        };
        let statement = self.statements.get_mut(known).map(|(_, statement)| statement);
        let statement = statement.ok_or_else(|| Error::misuse("a statement that was prepared is missing"))?;
        let mut hole = 0;
        let mut bind = |value: SqlRef<'_>| {
            hole += 1;
            statement.raw_bind_parameter(hole, ToSqlOutput::Borrowed(value)).map_err(failed)
        };
        batch.key(row).try_for_each(&mut bind)?;
        if self.compare == Compare::Cells {
            batch.record_values(row).try_for_each(&mut bind)?;
            for place in places.iter().chain(unchanged) {
                bind(batch.value(row, *place)?)?;
            }
        }
        values.iter().try_for_each(|value| bind(value.bound(&mut self.scratch)))?;
        let written = statement.raw_execute();
        Ok(written.map_err(|error| not_written(error).at_row(batch.number(row)))? > 0)
    }

    /// Refuses to go on if a row does not hold what was written to it. The caller then takes the batch back.
    pub(super) fn check(&mut self, row: usize, change: &Change<'_>) -> Result<()> {
        let Change { places, values, .. } = change;
        if self.holds(row, places, values)? {
            return Ok(());
        }
        let table = &self.batch.table;
        let mut fields = Vec::new();
        for (place, value) in places.iter().zip(values) {
            if !self.holds(row, &[*place], core::slice::from_ref(value))? {
                fields.extend(table.names.get(*place));
            }
        }
        let reason = std::io::Error::other("the row does not hold what was written to it");
        let what = "a trigger of the database changes what is written; nothing of this batch was kept; change or drop the trigger and run again";
        let error = Error::store(what, reason).at_row(self.batch.number(row));
        Err(match fields.first() {
            Some(field) => error.at_field(field),
            None => error,
        })
    }

    fn holds(&mut self, row: usize, places: &[usize], values: &[New<'_>]) -> Result<bool> {
        let sql = self.batch.table.holds(places);
        let mut statement = self.connection.prepare_cached(&sql).map_err(failed)?;
        let mut hole = 0;
        let mut bind = |value: SqlRef<'_>| {
            hole += 1;
            statement.raw_bind_parameter(hole, ToSqlOutput::Borrowed(value)).map_err(failed)
        };
        self.batch.key(row).try_for_each(&mut bind)?;
        values.iter().try_for_each(|value| bind(value.bound(&mut self.scratch)))?;
        let mut found = statement.raw_query();
        let count = found.next().map_err(failed)?.map(|row| row.get::<_, i64>(0));
        Ok(count.transpose().map_err(failed)? == Some(1))
    }
}
