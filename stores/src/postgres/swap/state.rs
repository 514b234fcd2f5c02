// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where a swap stands: one row in a table beside the journal.
//!
//! Owns the table `amanat_swap`. A step and what it did are committed together. Never says what can be seen in the catalogs.

use amanat::error::{Error, Result};

use crate::run::{Parameter, Sql, SqlCell};

/// How far the copy has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    /// Rows are copied.
    Copying,
    /// The copy has its key.
    Keyed,
    /// It has all indexes.
    Indexed,
    /// It has the table's name.
    Swapped,
}

/// A swap.
#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) run: String,
    /// Id of the table of before.
    pub(super) old: u32,
    pub(super) copy: u32,
    pub(super) step: Step,
    /// Statements that remain to be run after the swap.
    pub(super) after: Vec<String>,
}

impl Step {
    const ALL: [(Self, &'static str); 4] = [
        (Self::Copying, "copying"),
        (Self::Keyed, "keyed"),
        (Self::Indexed, "indexed"),
        (Self::Swapped, "swapped"),
    ];

    fn word(self) -> &'static str {
        Self::ALL.iter().find(|(step, _)| *step == self).map_or("", |(_, word)| word)
    }
}

impl State {
    /// Makes the table if it is missing.
    pub(super) fn create(sql: &mut (impl Sql + ?Sized)) -> Result<()> {
        let table = format!(
            "CREATE TABLE IF NOT EXISTS {}amanat_swap (run TEXT PRIMARY KEY, old BIGINT NOT NULL, copy BIGINT NOT NULL, step TEXT NOT NULL, after TEXT NOT NULL)",
            sql.prefix()
        );
        sql.execute(&table, &[]).map(drop)
    }

    /// The swap of a run; none if it has made nothing yet.
    pub(super) fn read(sql: &mut (impl Sql + ?Sized), run: &str) -> Result<Option<Self>> {
        let query = format!("SELECT old, copy, step, after FROM {}amanat_swap WHERE run = $1", sql.prefix());
        let Some(row) = sql.query(&query, &[Parameter::Text(run)])?.into_iter().next() else {
            return Ok(None);
        };
        let [old, copy, step, after] = <[SqlCell; 4]>::try_from(row).map_err(|_| edited())?;
        let oid = |cell: &SqlCell| u32::try_from(cell.as_integer().ok_or_else(edited)?).map_err(|_| edited());
        let word = step.into_text().ok_or_else(edited)?;
        let step = Step::ALL.iter().find(|(_, known)| *known == word).ok_or_else(edited)?.0;
        let after = after.into_text().and_then(|text| serde_json::from_str(&text).ok()).ok_or_else(edited)?;
        Ok(Some(Self { run: run.to_owned(), old: oid(&old)?, copy: oid(&copy)?, step, after }))
    }

    /// Stores it, in the transaction that is open.
    pub(super) fn write(&self, sql: &mut (impl Sql + ?Sized)) -> Result<()> {
        let after = serde_json::to_string(&self.after).unwrap_or_default();
        let statement = format!(
            "INSERT INTO {}amanat_swap (run, old, copy, step, after) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (run) DO UPDATE SET step = excluded.step, after = excluded.after, copy = excluded.copy",
            sql.prefix()
        );
        let parameters = [
            Parameter::Text(&self.run),
            Parameter::Integer(self.old.into()),
            Parameter::Integer(self.copy.into()),
            Parameter::Text(self.step.word()),
            Parameter::Text(&after),
        ];
        sql.execute(&statement, &parameters).map(drop)
    }

    /// Forgets it.
    pub(super) fn remove(sql: &mut (impl Sql + ?Sized), run: &str) -> Result<()> {
        let statement = format!("DELETE FROM {}amanat_swap WHERE run = $1", sql.prefix());
        sql.execute(&statement, &[Parameter::Text(run)]).map(drop)
    }
}

fn edited() -> Error {
    Error::malformed("amanat_swap is not as this program writes it; was it edited?")
}
