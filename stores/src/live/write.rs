// SPDX-License-Identifier: MIT OR Apache-2.0
//! One write of one row: columns to set, and what the row must still hold for it.
//!
//! Owns the condition: a row that somebody else has changed since it was read is never overwritten. Never runs a statement.

use std::fmt;

use amanat::error::{Error, Result};
use amanat::schema::TableSchema;

use super::row::{columns, not_read};
use super::{StoredRow, StoredValue};

/// What to write to a row. Give names and values to any driver, or take a statement that SQLite and PostgreSQL understand alike.
#[derive(Clone, PartialEq, Eq)]
pub struct RowWrite {
    set: Vec<(String, StoredValue)>,
    condition: Vec<(String, StoredValue)>,
}

impl RowWrite {
    pub(super) const fn insert(set: Vec<(String, StoredValue)>) -> Self {
        Self { set, condition: Vec::new() }
    }

    /// Sets columns on the condition that every column of the table is as it was read; the record id comes first.
    pub(super) fn change(
        row: &StoredRow,
        table: &TableSchema,
        set: Vec<(String, StoredValue)>,
    ) -> Result<Self> {
        let ids = table.record_id().iter().map(String::as_str);
        let others = columns(table).filter(|column| !table.record_id().iter().any(|id| id == column));
        let cell = |column: &str| {
            let cell = row.cell(column).ok_or_else(|| not_read(column))?;
            Ok((column.to_owned(), cell.clone()))
        };
        Ok(Self { set, condition: ids.chain(others).map(cell).collect::<Result<_>>()? })
    }

    /// Adds what another schema of the same table makes of the same row: columns that this write sets stay as this write has them.
    pub(super) fn and(mut self, other: Self) -> Self {
        for (column, value) in other.set {
            if !self.set.iter().any(|(own, _)| *own == column) {
                self.set.push((column, value));
            }
        }
        for (column, value) in other.condition {
            if !self.condition.iter().any(|(own, _)| *own == column) {
                self.condition.push((column, value));
            }
        }
        self
    }

    /// Columns to set, and their new values. Empty if nothing has changed.
    #[must_use]
    pub fn set(&self) -> &[(String, StoredValue)] {
        &self.set
    }

    /// Columns, and what they must still hold, byte by byte and NULL included; the record id first. Empty for a row that is inserted.
    #[must_use]
    pub fn condition(&self) -> &[(String, StoredValue)] {
        &self.condition
    }

    /// `INSERT INTO …` with `$1`, `$2`, … for [`values`](Self::values). `table` stands in it as it is given: quote it if it needs that.
    #[must_use]
    pub fn insert_sql(&self, table: &str) -> String {
        let mut place = 0;
        let columns: Vec<String> = self.set.iter().map(|(column, _)| quote(column)).collect();
        let values: Vec<String> = self.set.iter().map(|(_, value)| parameter(value, &mut place)).collect();
        format!("INSERT INTO {table} ({}) VALUES ({})", columns.join(", "), values.join(", "))
    }

    /// `UPDATE … SET … WHERE …`, which changes one row, or none if the row is no longer what was read.
    ///
    /// # Errors
    /// `Misuse` if nothing is to be set, or the row is a new one.
    pub fn update_sql(&self, table: &str) -> Result<String> {
        if self.set.is_empty() || self.condition.is_empty() {
            return Err(Error::misuse("nothing of a stored row is to be changed; see RowWrite::set"));
        }
        let mut place = 0;
        let set: Vec<String> = self
            .set
            .iter()
            .map(|(column, value)| format!("{} = {}", quote(column), parameter(value, &mut place)))
            .collect();
        Ok(format!("UPDATE {table} SET {}{}", set.join(", "), self.sql_condition(&mut place)))
    }

    /// `DELETE FROM … WHERE …`, which deletes one row, or none if the row is no longer what was read. For a write that sets nothing.
    ///
    /// # Errors
    /// `Misuse` if something is to be set, or the row is a new one.
    pub fn delete_sql(&self, table: &str) -> Result<String> {
        if !self.set.is_empty() || self.condition.is_empty() {
            return Err(Error::misuse("a row is deleted by what LiveTable::delete gives"));
        }
        Ok(format!("DELETE FROM {table}{}", self.sql_condition(&mut 0)))
    }

    /// The parameters of the statements, from `$1`; never a null, which stands in the statement itself.
    pub fn values(&self) -> impl Iterator<Item = &StoredValue> {
        let all = self.set.iter().chain(&self.condition).map(|(_, value)| value);
        all.filter(|value| **value != StoredValue::Null)
    }

    fn sql_condition(&self, place: &mut usize) -> String {
        let is = |(column, value): &(String, StoredValue)| match value {
            StoredValue::Null => format!("{} IS NULL", quote(column)),
            value => format!("{} = {}", quote(column), parameter(value, place)),
        };
        let parts: Vec<String> = self.condition.iter().map(is).collect();
        format!(" WHERE {}", parts.join(" AND "))
    }
}

impl fmt::Debug for RowWrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RowWrite({} columns)", self.set.len())
    }
}

fn parameter(value: &StoredValue, place: &mut usize) -> String {
    if *value == StoredValue::Null {
        return "NULL".to_owned();
    }
    *place += 1;
    format!("${place}")
}

fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
