// SPDX-License-Identifier: MIT OR Apache-2.0
//! One table under two schemas: while a column is added or renamed and two versions of an application run.
//!
//! Owns that a write reaches the columns of both. Never reads by both: each version of the application reads by its own schema.

use std::fmt;

use amanat::Record;
use amanat::error::{Error, Result};
use amanat::schema::TableSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::row::columns;
use super::{LiveTable, RowWrite, StoredRow};

/// A table whose rows are written for the schema that the application reads by, `R`, and for another one, `O`, that it is coming to or coming from.
///
/// Rows are read, found and opened with [`read`](Self::read); columns of the other schema are written along with every change, and never read.
pub struct DualTable<'w, R, O> {
    read: LiveTable<'w, R>,
    other: LiveTable<'w, O>,
}

impl<'w, R, O> DualTable<'w, R, O>
where
    R: Record,
    R::Sealed: Serialize + DeserializeOwned,
    O: Record,
    O::Sealed: Serialize + DeserializeOwned,
{
    /// Joins the two.
    ///
    /// # Errors
    /// `Schema` if they are not two schemas of one table: of another name, encoding or record id, or with a column that means something else in each.
    pub fn new(read: LiveTable<'w, R>, other: LiveTable<'w, O>) -> Result<Self> {
        check(read.schema(), other.schema())?;
        Ok(Self { read, other })
    }

    /// The table as this version of the application reads it.
    pub const fn read(&mut self) -> &mut LiveTable<'w, R> {
        &mut self.read
    }

    /// What to insert for a new record.
    ///
    /// # Errors
    /// As [`LiveTable::insert`]; `Misuse` if the two are not one record.
    pub fn insert(&mut self, record: &R, other: &O) -> Result<RowWrite> {
        same_record(record, other)?;
        Ok(self.read.insert(record)?.and(self.other.insert(other)?))
    }

    /// What to write so that a row that was read becomes `changed`, and `other` in the columns of the other schema. Those are all written, whatever
    /// stands there: a version of the application that does not know them may have written the row before.
    ///
    /// # Errors
    /// As [`LiveTable::change`]; `Misuse` if the two are not one record, or the row was read without the columns of the other schema.
    pub fn change(&mut self, row: &StoredRow, changed: &R, other: &O) -> Result<RowWrite> {
        same_record(changed, other)?;
        let own = self.read.change(row, changed)?;
        let mut set = self.other.insert(other)?.set().to_vec();
        // The record id is among the columns that this version reads by.
        set.retain(|(column, _)| !columns(self.read.schema()).any(|own| own == column));
        Ok(own.and(RowWrite::change(row, self.other.schema(), set)?))
    }

    /// What to delete a row by.
    ///
    /// # Errors
    /// As [`LiveTable::delete`].
    pub fn delete(&self, row: &StoredRow) -> Result<RowWrite> {
        self.read.delete(row)
    }
}

impl<R, O> fmt::Debug for DualTable<'_, R, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DualTable({:?}, {:?})", self.read, self.other)
    }
}

fn same_record<R: Record, O: Record>(record: &R, other: &O) -> Result<()> {
    if record.record_id()? == other.record_id()? {
        return Ok(());
    }
    Err(Error::misuse("the two records of a double write have different record ids"))
}

fn check(own: &TableSchema, other: &TableSchema) -> Result<()> {
    let fault = |what: &str| Err(Error::schema(format!("two schemas of table `{}`: {what}", own.name())));
    if own.name() != other.name()
        || own.encoding() != other.encoding()
        || own.record_id() != other.record_id()
    {
        return fault(
            "name, encoding and record id must be the same in both; copy rows to a new table instead",
        );
    }
    for column in columns(own) {
        if columns(other).any(|name| name == column) && !same_column(own, other, column) {
            return fault(&format!(
                "column `{column}` means something else in each; give the new field, index or token a column of its own"
            ));
        }
    }
    Ok(())
}

/// Whether what one schema writes to a column can be read by the other.
fn same_column(own: &TableSchema, other: &TableSchema, column: &str) -> bool {
    let field = |table: &TableSchema| {
        let field = table.by_column(column)?;
        Some((field.name().clone(), field.mode(), field.value_type(), field.absence(), field.mask()))
    };
    let index = |table: &TableSchema| {
        let index = table.indexes().iter().find(|index| index.column() == column)?;
        Some((index.spec().clone(), index.invalid()))
    };
    let token = |table: &TableSchema| {
        let token = table.tokens().iter().find(|token| token.column() == Some(column))?;
        Some((token.kind(), token.of().clone(), token.audience().clone(), token.epoch()))
    };
    field(own) == field(other) && index(own) == index(other) && token(own) == token(other)
}
