// SPDX-License-Identifier: MIT OR Apache-2.0
//! Writing a batch: which cells of which rows change, and the arrays that carry them.
//!
//! Owns the compare-and-swap. Never writes a row whose old cells are not what was read, and never believes that a row holds what was written to
//! it before the server has said so.

use std::borrow::Cow;

use amanat::envelope;
use amanat::error::{Error, Result};
use amanat::schema::Encoding;
use amanat::surrogate::Surrogate;
use amanat::value::ValueRef;
use postgres::types::ToSql;

use super::rows::PgBatch;
use super::table::{Form, PgTable};
use crate::columns::Role;
use crate::engine::{NewCell, Rows as _};
use crate::run::{NewTerm, SealedBatch};

/// What is to be written of a batch.
pub(super) struct Changes<'a> {
    /// Places among the cells of those that change in any row.
    pub(super) places: Vec<usize>,
    /// Places of those that stay and that something new was made from.
    pub(super) unchanged: Vec<usize>,
    /// Rows of the batch that change.
    pub(super) rows: Vec<usize>,
    pub(super) masked: u64,
    arrays: Vec<Array<'a>>,
}

/// A parameter: one value for each row.
enum Array<'a> {
    Bytes(Vec<Option<&'a [u8]>>),
    Text(Vec<Option<Cow<'a, str>>>),
}

/// The new content of a cell.
#[derive(Clone)]
pub(super) enum New<'a> {
    Bytes(&'a [u8]),
    Null,
    Text(Cow<'a, str>),
}

impl<'a> Changes<'a> {
    /// Finds what changes.
    pub(super) fn of(batch: &'a PgBatch, sealed: &'a SealedBatch) -> Result<Self> {
        let table = batch.table();
        let (mut rows, mut masked) = (Vec::new(), 0);
        let mut columns: Vec<Vec<Option<New<'a>>>> = vec![Vec::new(); table.cells.len()];
        let mut line = Vec::with_capacity(table.cells.len());
        for row in (0..batch.count()).filter(|row| !sealed.is_refused(*row)) {
            line.clear();
            for (place, role) in table.roles.iter().enumerate() {
                let new = new_cell(batch, sealed, row, (place, role))?;
                masked += u64::from(matches!(role, Role::Masked(_)) && new.is_some());
                line.push(new);
            }
            if line.iter().any(Option::is_some) {
                rows.push(row);
                columns.iter_mut().zip(line.drain(..)).for_each(|(column, new)| column.push(new));
            }
        }
        let changes =
            |place: &usize| columns.get(*place).is_some_and(|column| column.iter().any(Option::is_some));
        let places: Vec<usize> = (0..columns.len()).filter(changes).collect();
        let unchanged = unchanged(table, &places);
        let mut changes = Self { places, unchanged, rows, masked, arrays: Vec::new() };
        changes.fill(batch, &columns)?;
        Ok(changes)
    }

    /// The parameters of [`PgTable::update`] and [`PgTable::holds`].
    pub(super) fn parameters(&self) -> Vec<&(dyn ToSql + Sync)> {
        self.arrays.iter().map(Array::as_sql).collect()
    }

    fn fill(&mut self, batch: &'a PgBatch, columns: &[Vec<Option<New<'a>>>]) -> Result<()> {
        let table = batch.table();
        let keys = self.rows.iter().map(|row| batch.key_parts(*row)).collect::<Result<Vec<_>>>()?;
        for part in 0..table.key.len() {
            self.arrays.push(Array::Text(
                keys.iter().map(|key| key.get(part).map(|text| Cow::Borrowed(*text))).collect(),
            ));
        }
        if !table.key_holds_record() {
            let records = self.rows.iter().map(|row| batch.record_parts(*row)).collect::<Result<Vec<_>>>()?;
            for part in 0..table.record.len() {
                let text =
                    |record: &Vec<Option<&'a str>>| record.get(part).copied().flatten().map(Cow::Borrowed);
                self.arrays.push(Array::Text(records.iter().map(text).collect()));
            }
        }
        for place in self.places.clone() {
            let old = self.old(batch, place)?;
            let new = columns.get(place).map(Vec::as_slice).unwrap_or_default();
            let new = old.replaced(new);
            self.arrays.extend([old, new]);
        }
        for place in self.unchanged.clone() {
            let old = self.old(batch, place)?;
            self.arrays.push(old);
        }
        Ok(())
    }

    /// What was read from a cell of each row.
    fn old(&self, batch: &'a PgBatch, place: usize) -> Result<Array<'a>> {
        let is_bytes = batch.table().cells.get(place).is_some_and(|column| column.form == Form::Bytes);
        let rows = self.rows.iter();
        Ok(if is_bytes {
            Array::Bytes(rows.map(|row| batch.bytes_of(*row, place)).collect::<Result<_>>()?)
        } else {
            let text = |row: &usize| Ok(batch.text_of(*row, place)?.map(Cow::Borrowed));
            Array::Text(rows.map(text).collect::<Result<_>>()?)
        })
    }
}

impl<'a> Array<'a> {
    fn as_sql(&self) -> &(dyn ToSql + Sync) {
        match self {
            Self::Bytes(values) => values,
            Self::Text(values) => values,
        }
    }

    /// The same with what is new.
    fn replaced(&self, new: &[Option<New<'a>>]) -> Self {
        match self {
            Self::Bytes(old) => Self::Bytes(
                old.iter()
                    .zip(new)
                    .map(|(old, new)| match new {
                        Some(New::Bytes(bytes)) => Some(*bytes),
                        Some(New::Null | New::Text(_)) => None,
                        None => *old,
                    })
                    .collect(),
            ),
            Self::Text(old) => Self::Text(
                old.iter()
                    .zip(new)
                    .map(|(old, new)| match new {
                        Some(New::Text(text)) => Some(text.clone()),
                        Some(New::Null | New::Bytes(_)) => None,
                        None => old.clone(),
                    })
                    .collect(),
            ),
        }
    }
}

/// What is to stand in a cell; none if it stays.
pub(super) fn new_cell<'a>(
    batch: &'a PgBatch,
    sealed: &'a SealedBatch,
    row: usize,
    (place, role): (usize, &Role),
) -> Result<Option<New<'a>>> {
    let encoding = batch.table().encoding;
    Ok(match role {
        Role::Sealed(field, _) => match sealed.cell(row, *field) {
            NewCell::Envelope(bytes) if encoding == Encoding::Binary => Some(New::Bytes(bytes)),
            NewCell::Envelope(bytes) => Some(New::Text(Cow::Owned(envelope::to_text(bytes)))),
            NewCell::Absent => batch.bytes_of(row, place)?.map(|_| New::Null),
            NewCell::Unchanged => None,
        },
        Role::Masked(how) => batch.text_of(row, place)?.and_then(|text| {
            let shown = how.apply(ValueRef::Text(text));
            (shown.as_str() != text).then(|| New::Text(Cow::Owned(shown.as_str().to_owned())))
        }),
        Role::Surrogate(column) => match sealed.surrogate(row, *column) {
            NewTerm::New(Surrogate::Absent) => batch.bytes_of(row, place)?.map(|_| New::Null),
            NewTerm::New(Surrogate::Term(term)) if encoding == Encoding::Binary => {
                Some(New::Bytes(term.as_bytes()))
            }
            NewTerm::New(Surrogate::Term(term)) => Some(New::Text(Cow::Owned(term.to_text()))),
            NewTerm::New(Surrogate::Token(token)) => Some(New::Text(Cow::Borrowed(token.as_str()))),
            NewTerm::Unchanged => None,
        },
        Role::Former(field, _) => sealed.empties_former(row, *field).then_some(New::Null),
        Role::LeftOver => batch.bytes_of(row, place)?.map(|_| New::Null),
        Role::Clear => None,
    })
}

/// Cells that something new is made from and that stay.
fn unchanged(table: &PgTable, places: &[usize]) -> Vec<usize> {
    let made = places.iter().flat_map(|place| match table.roles.get(*place) {
        Some(Role::Surrogate(column)) => table.parts.get(*column).cloned().unwrap_or_default(),
        // Two columns of one field: what is written to one was decided from both.
        Some(Role::Former(field, _)) => table.sealed.get(*field).copied().flatten().into_iter().collect(),
        Some(Role::Sealed(field, _)) => table.former.get(*field).copied().flatten().into_iter().collect(),
        _ => Vec::new(),
    });
    let mut unchanged: Vec<usize> = made.filter(|place| !places.contains(place)).collect();
    unchanged.sort_unstable();
    unchanged.dedup();
    unchanged
}

/// An error of a row that does not hold what was written to it.
pub(super) fn not_held(table: &PgTable, row: u64, place: Option<usize>) -> Error {
    let error = Error::schema(
        "a trigger of the database changes what is written; nothing of this batch was kept; change or drop the trigger and run again",
    )
    .at_row(row);
    match place.and_then(|place| table.names.get(place)).and_then(Option::as_ref) {
        Some(field) => error.at_field(field),
        None => error,
    }
}
