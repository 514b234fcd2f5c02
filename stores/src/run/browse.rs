// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a journal tells to whoever asks, without a key: its runs, and what they refused.
//!
//! Owns the reading of a journal as a whole. Never changes it.

use amanat::error::{Error, Result};
use amanat::rotate::RunId;

use super::Position;
use super::journal::{Journal, edited};
use super::sql::{Parameter, Sql, SqlCell};

/// Rows that a run refused for the same reason.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refused {
    /// Field, index or token, if the fault lies in one.
    pub field: Option<String>,
    /// Kind of error.
    pub kind: String,
    /// How many rows.
    pub rows: u64,
}

impl<S: Sql + ?Sized> Journal<'_, S> {
    /// Ids of the runs of all tables, in the order in which the database holds them: mostly that of their planning.
    ///
    /// # Errors
    /// `Store`; `Malformed` if the journal was edited.
    pub fn all(&mut self) -> Result<Vec<RunId>> {
        // With the ids alone, the index of the ids would be read, and its order says nothing.
        let sql = format!("SELECT id, phase FROM {}amanat_run", self.sql.prefix());
        let found = self.sql.query(&sql, &[])?;
        let ids = found.into_iter().filter_map(|row| row.into_iter().next()?.into_text());
        ids.map(|id| id.parse()).collect()
    }

    /// Number of rows on the list of exceptions of a run.
    ///
    /// # Errors
    /// `Store`.
    pub fn refused_rows(&mut self, id: &str) -> Result<u64> {
        let sql = format!(
            "SELECT count(DISTINCT position) FROM {}amanat_run_exception WHERE run = $1",
            self.sql.prefix()
        );
        let found = self.sql.query(&sql, &[Parameter::Text(id)])?;
        found.into_iter().flatten().next().map_or_else(|| Err(edited()), |cell| number(&cell))
    }

    /// What the list of exceptions of a run comes to, by field and kind. A row with several faults is counted with each.
    ///
    /// # Errors
    /// `Store`.
    pub fn refused(&mut self, id: &str) -> Result<Vec<Refused>> {
        let sql = format!(
            "SELECT field, kind, count(DISTINCT position) FROM {}amanat_run_exception WHERE run = $1 \
             GROUP BY field, kind ORDER BY field, kind",
            self.sql.prefix()
        );
        let found = self.sql.query(&sql, &[Parameter::Text(id)])?;
        let refused = |row: Vec<SqlCell>| {
            let [field, kind, rows] = <[SqlCell; 3]>::try_from(row).map_err(|_| edited())?;
            let kind = kind.into_text().ok_or_else(edited)?;
            Ok(Refused { field: field.into_text(), kind, rows: number(&rows)? })
        };
        found.into_iter().map(refused).collect()
    }
}

impl Position {
    /// The key values of a row, as JSON: **personal data in most tables**. For a person who has to find the row and mend it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

fn number(cell: &SqlCell) -> Result<u64> {
    let number = cell.as_integer().and_then(|number| u64::try_from(number).ok());
    number.ok_or_else(|| Error::malformed("the journal of runs gives a count that is none"))
}
