// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a run has come to, in numbers that add up.
//!
//! Owns the sums and the one form of the report. Never holds a value, a record id or a key of the table.

use amanat::KeyId;
use amanat::Timestamp;
use amanat::rotate::{Phase, RunId, Stage, Verb};
use serde::{Deserialize, Serialize};

use super::journal::Run;
use crate::tally::Tally;

/// The report of a run, also of one that still goes on.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RunReport {
    /// The run.
    pub run: RunId,
    /// What it was started with.
    pub verb: Verb,
    /// The table in the schema.
    pub table: String,
    /// The table in the database.
    pub store_table: String,
    /// The state that the report is of.
    pub phase: Phase,
    /// The key that sealed when the run was planned.
    pub primary: KeyId,
    /// When it was planned.
    pub planned: Timestamp,
    /// When it came to its end, by the clock of the database.
    pub ended: Option<Timestamp>,
    /// Ranges by stage: rows, check, done.
    pub ranges: [u64; 3],
    /// Counts of the rows that were worked on.
    pub worked: Tally,
    /// Counts of the rows that were checked.
    pub checked: Tally,
}

/// Cells of one key before and after a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct KeyChange {
    /// Cells that named the key when they were read.
    pub before: u64,
    /// Cells that named it when the run had checked them, and worked again on those that it found undone.
    pub after: u64,
}

#[derive(Serialize)]
struct Form<'a> {
    format: &'static str,
    run: String,
    verb: Verb,
    table: &'a str,
    store_table: &'a str,
    phase: &'static str,
    primary: String,
    planned: String,
    ended: Option<String>,
    ranges: Ranges,
    plain_before: u64,
    keys: std::collections::BTreeMap<String, KeyChange>,
    worked: Box<serde_json::value::RawValue>,
    checked: Box<serde_json::value::RawValue>,
}

/// What is read of a stored report: the rest stands in the ranges.
#[derive(Deserialize)]
struct Stored {
    ended: Option<String>,
}

#[derive(Serialize)]
struct Ranges {
    rows: u64,
    check: u64,
    done: u64,
}

impl Run {
    /// When it came to its end, if it has: its stored report says so.
    #[must_use]
    pub fn ended(&self) -> Option<Timestamp> {
        let stored: Stored = serde_json::from_str(self.report.as_deref()?).ok()?;
        stored.ended?.parse().ok()
    }
}

impl RunReport {
    /// The report of a run as the journal holds it; `phase` is the one that it is in or just comes to.
    #[must_use]
    pub fn of(run: &Run, phase: Phase) -> Self {
        let (mut worked, mut checked) = (Tally::default(), Tally::default());
        for range in &run.ranges {
            worked.add(&range.tally);
            checked.add(&range.checked);
        }
        let count = |stage| {
            let ranges = run.ranges.iter().filter(|range| range.stage == stage).count();
            u64::try_from(ranges).unwrap_or(u64::MAX)
        };
        Self {
            run: run.plan.id,
            verb: run.plan.verb,
            table: run.plan.table.as_str().to_owned(),
            store_table: run.plan.store_table.clone(),
            phase,
            primary: run.plan.primary,
            planned: run.plan.planned,
            ended: run.ended(),
            ranges: [count(Stage::Rows), count(Stage::Check), count(Stage::Done)],
            worked,
            checked,
        }
    }

    /// Notes when the run came to its end, in milliseconds since 1970.
    #[must_use]
    pub fn ended(mut self, now: i64) -> Self {
        let seconds = u64::try_from(now / 1_000).unwrap_or_default();
        self.ended = Timestamp::from_unix_seconds(seconds).ok();
        self
    }

    /// Cells by key before and after, the keys in the order of their ids.
    #[must_use]
    pub fn keys(&self) -> Vec<(KeyId, KeyChange)> {
        let mut ids: Vec<KeyId> =
            self.worked.keys.iter().chain(&self.checked.keys).map(|key| key.key).collect();
        ids.sort_unstable_by_key(KeyId::to_string);
        ids.dedup();
        let of = |tally: &Tally, id| tally.keys.iter().find(|key| key.key == id).copied();
        let change = |id| {
            let before = of(&self.worked, id).map_or(0, |key| key.kept + key.resealed);
            (id, KeyChange { before, after: of(&self.checked, id).map_or(0, |key| key.kept + key.sealed) })
        };
        ids.into_iter().map(change).collect()
    }

    /// The report as JSON, in one line.
    #[must_use]
    pub fn to_json(&self) -> String {
        let [rows, check, done] = self.ranges;
        let raw = |tally: &Tally| serde_json::value::RawValue::from_string(tally.to_json());
        let form = (|| {
            Ok::<_, serde_json::Error>(Form {
                format: "amanat-run-report/1",
                run: self.run.to_string(),
                verb: self.verb,
                table: &self.table,
                store_table: &self.store_table,
                phase: self.phase.as_str(),
                primary: self.primary.to_string(),
                planned: self.planned.to_string(),
                ended: self.ended.map(|ended| ended.to_string()),
                ranges: Ranges { rows, check, done },
                plain_before: self.worked.sealed,
                keys: self.keys().into_iter().map(|(id, change)| (id.to_string(), change)).collect(),
                worked: raw(&self.worked)?,
                checked: raw(&self.checked)?,
            })
        })();
        // Counts are written as JSON by this crate, and the rest are strings: nothing here can fail.
        form.and_then(|form| serde_json::to_string(&form)).unwrap_or_default()
    }
}
