// SPDX-License-Identifier: MIT OR Apache-2.0
//! `amanat report`: what a run has come to, and whether it adds up.
//!
//! Owns the sums that must agree, and what it means if one does not. Never holds a value or a record id.

use std::collections::BTreeMap;

use amanat::rotate::Phase;
use amanat::{KeyId, Schema};
use amanat_stores::Tally;
use amanat_stores::run::journal::{Journal, Run};
use amanat_stores::run::{KeyChange, RunReport, Sql};
use serde::Serialize;

use super::find::{RunArgs, Which};
use super::place::Place;
use crate::fault::{Outcome, Result};
use crate::progress::time;
use crate::text::{Table, count, grouped};
use crate::ui::Ui;

/// Show what a run has come to: cells by key before and after, exceptions, how long it took, and whether everything adds up.
///
/// Shows the run that is under way, or else the last one. Needs no key.
#[derive(clap::Args)]
pub(crate) struct ReportArgs {
    #[command(flatten)]
    run: RunArgs,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// A report as it is told.
#[derive(Serialize)]
pub(crate) struct Told {
    run: String,
    verb: amanat::rotate::Verb,
    table: String,
    store_table: String,
    phase: &'static str,
    planned: String,
    ended: Option<String>,
    seconds: Option<u64>,
    rows_per_second: Option<u64>,
    primary_key: String,
    rows_worked: u64,
    rows_checked: u64,
    rows_gone: u64,
    rows_read_again: u64,
    rows_late: u64,
    rows_refused: u64,
    unauthentic: u64,
    plain_before: u64,
    keys: BTreeMap<String, KeyChange>,
    exceptions: Vec<JsonException>,
    adds_up: Option<bool>,
    /// Sums that do not agree: they mean that the journal was edited, or a fault of this program.
    contradictions: Vec<String>,
    /// What the numbers show beyond the plain course of a run.
    notes: Vec<String>,
    #[serde(skip)]
    primary: KeyId,
    #[serde(skip)]
    sealed: [u64; 5],
}

#[derive(Serialize)]
struct JsonException {
    field: Option<String>,
    kind: String,
    rows: u64,
}

pub(crate) fn report(args: &ReportArgs, ui: &Ui) -> Result<Outcome> {
    let (place, mut sql) = args.run.open(ui)?;
    let run = args.run.find(&place, &mut *sql, Which::Last)?;
    let id = run.plan.id.to_string();
    let refused = Journal::new(&mut *sql).refused_rows(&id).map_err(|error| place.fault(error))?;
    let told = Told::new(&run, &mut *sql, refused, &place)?;
    if args.json {
        ui.json(&told)?;
    } else {
        told.lines().iter().try_for_each(|line| ui.line(ui.foreign(line)))?;
    }
    Ok(told.outcome())
}

impl Told {
    /// The report of a run, of which so many rows are on the list of exceptions now.
    pub(crate) fn new<S: Sql + ?Sized>(run: &Run, sql: &mut S, refused: u64, place: &Place) -> Result<Self> {
        let report = RunReport::of(run, run.phase);
        let listed =
            Journal::new(sql).refused(&run.plan.id.to_string()).map_err(|error| place.fault(error))?;
        let exception = |refused: amanat_stores::run::Refused| JsonException {
            field: refused.field,
            kind: refused.kind,
            rows: refused.rows,
        };
        let seconds =
            report.ended.map(|ended| ended.unix_seconds().saturating_sub(report.planned.unix_seconds()));
        let (worked, checked) = (&report.worked, &report.checked);
        let contradictions = contradictions(&report, run, refused);
        let over = run.phase == Phase::Done;
        Ok(Self {
            run: report.run.to_string(),
            verb: report.verb,
            phase: run.phase.as_str(),
            planned: report.planned.to_string(),
            ended: report.ended.map(|ended| ended.to_string()),
            seconds,
            rows_per_second: seconds.map(|seconds| (worked.rows + checked.rows) / seconds.max(1)),
            primary_key: report.primary.to_string(),
            rows_worked: worked.rows,
            rows_checked: checked.rows,
            rows_gone: worked.gone,
            rows_read_again: worked.read_again,
            rows_late: worked.late,
            rows_refused: refused,
            unauthentic: if over { checked.unauthentic } else { worked.unauthentic },
            plain_before: worked.sealed,
            keys: report.keys().into_iter().map(|(id, change)| (id.to_string(), change)).collect(),
            exceptions: listed.into_iter().map(exception).collect(),
            adds_up: over.then_some(contradictions.is_empty()),
            contradictions,
            notes: notes(&report, refused, over),
            primary: report.primary,
            sealed: [
                worked.sealed,
                worked.resealed,
                worked.kept,
                worked.terms_made + worked.tokens_made,
                worked.terms_kept + worked.tokens_kept,
            ],
            table: report.table,
            store_table: report.store_table,
        })
    }

    /// How the run has ended, as an exit code.
    pub(crate) const fn outcome(&self) -> Outcome {
        match (self.unauthentic, self.rows_refused) {
            (_, 0) => Outcome::Done,
            (0, _) => Outcome::SomeRefused,
            _ => Outcome::Unauthentic,
        }
    }

    /// The report as people read it.
    pub(crate) fn lines(&self) -> Vec<String> {
        let [sealed, resealed, kept, made, as_before] = self.sealed;
        let mut lines = vec![format!("run {} of table {} is {}", self.run, self.store_table, self.phase)];
        let ended = match (&self.ended, self.seconds, self.rows_per_second) {
            (Some(ended), Some(seconds), Some(rate)) => {
                format!(", ended {ended}: {}, {} rows/s over both passes", time(seconds), grouped(rate))
            }
            _ => String::new(),
        };
        lines.push(format!("planned {}{ended}", self.planned));
        lines.push(format!(
            "{} worked on: {} sealed, {} re-sealed, {} kept, under key {}",
            count(self.rows_worked, "row"),
            count(sealed, "cell"),
            grouped(resealed),
            grouped(kept),
            self.primary.short()
        ));
        if made + as_before > 0 {
            lines.push(format!(
                "{} made, {} as before",
                count(made, "index term and kept token"),
                grouped(as_before)
            ));
        }
        lines.push(format!("{} checked", count(self.rows_checked, "row")));
        let mut table = Table::new(&["KEY", "CELLS BEFORE", "CELLS AFTER"]);
        if self.plain_before > 0 {
            table.row(vec!["plain".to_owned(), grouped(self.plain_before), "0".to_owned()]);
        }
        for (id, change) in &self.keys {
            let short: String = id.chars().take(8).collect();
            // What was not checked is not known.
            let after = if self.rows_checked > 0 { grouped(change.after) } else { "-".to_owned() };
            table.row(vec![short, grouped(change.before), after]);
        }
        lines.extend(table.lines());
        for exception in &self.exceptions {
            let field = exception.field.as_deref().unwrap_or("the whole row");
            lines.push(format!("refused: {} for {field}: {}", count(exception.rows, "row"), exception.kind));
        }
        lines.extend(self.notes.iter().cloned());
        match self.adds_up {
            Some(true) if self.rows_refused > 0 => {
                lines.push("counts agree".to_owned());
                lines.push(format!(
                    "not finished: {} refused, {} not authentic; their keys: amanat exceptions STORE --with-keys -o FILE",
                    count(self.rows_refused, "row"),
                    count(self.unauthentic, "cell")
                ));
            }
            Some(true) => lines.push("everything adds up".to_owned()),
            Some(false) => {
                lines.push(
                    "it does not add up; the journal was edited, or this is a fault of amanat:".to_owned(),
                );
                lines.extend(self.contradictions.iter().map(|what| format!("  {what}")));
            }
            None => {}
        }
        lines
    }
}

/// Sums that must agree whatever applications did meanwhile.
fn contradictions(report: &RunReport, run: &Run, refused: u64) -> Vec<String> {
    let (worked, checked) = (&report.worked, &report.checked);
    let mut found = Vec::new();
    let mut agree = |left: u64, right: u64, what: &str| {
        if left != right {
            found.push(format!("{what}: {} and {}", grouped(left), grouped(right)));
        }
    };
    if let Some(fields) = sealed_fields(run) {
        let cells = |tally: &Tally| tally.sealed + tally.resealed + tally.kept + tally.absent;
        let per_row = |tally: &Tally| fields * tally.rows.saturating_sub(tally.refused_rows);
        agree(
            cells(checked),
            per_row(checked),
            "cells that were checked, and cells of the rows that were checked",
        );
        // What a late row needed is counted with what was worked on, and the row itself only as late.
        if worked.late == 0 {
            agree(
                cells(worked),
                per_row(worked),
                "cells that were worked on, and cells of the rows that were worked on",
            );
        }
    }
    let newly: u64 = worked.keys.iter().map(|key| key.sealed).sum();
    agree(newly, worked.sealed + worked.resealed, "cells that were newly sealed by key, and in all");
    let moved: u64 = worked.keys.iter().map(|key| key.resealed).sum();
    agree(moved, worked.resealed, "cells that were taken from old keys, and cells that were re-sealed");
    if report.phase == Phase::Done && refused > checked.refused_rows + worked.late {
        agree(
            refused,
            checked.refused_rows,
            "rows on the list of exceptions, and rows that the check refused",
        );
    }
    found
}

/// Number of sealed fields of the table that a run works on.
fn sealed_fields(run: &Run) -> Option<u64> {
    let schema = Schema::from_toml(&run.plan.schema).ok()?;
    let table = schema.table(run.plan.table.as_str()).ok()?;
    u64::try_from(table.sealed().count()).ok()
}

/// What differences mean that a run explains.
fn notes(report: &RunReport, refused: u64, over: bool) -> Vec<String> {
    let (worked, checked) = (&report.worked, &report.checked);
    let mut notes = Vec::new();
    if worked.read_again > 0 {
        notes.push(format!(
            "{} changed by an application between reading and writing, and read again",
            count(worked.read_again, "row")
        ));
    }
    if worked.gone > 0 {
        notes.push(format!(
            "{} deleted by an application between reading and writing",
            count(worked.gone, "row")
        ));
    }
    if worked.late > 0 {
        notes.push(format!(
            "{} written by an application with an older keyring behind the run, and mended by the check",
            count(worked.late, "row")
        ));
    }
    if !over {
        return notes;
    }
    let (more, fewer) = (checked.rows.saturating_sub(worked.rows), worked.rows.saturating_sub(checked.rows));
    if more > 0 {
        notes.push(format!(
            "the check read {} more than were worked on: applications added so many more than they deleted",
            count(more, "row")
        ));
    }
    if fewer > 0 {
        notes.push(format!(
            "the check read {} fewer than were worked on: applications deleted so many more than they added",
            count(fewer, "row")
        ));
    }
    if worked.refused_rows > checked.refused_rows {
        notes.push(format!(
            "{} refused at first and mended before the check",
            count(worked.refused_rows - checked.refused_rows, "row")
        ));
    }
    if checked.refused_rows > refused {
        notes.push(format!(
            "{} refused by the check and off the list of exceptions since: done by a retry, or deleted",
            count(checked.refused_rows - refused, "row")
        ));
    }
    if refused > 0 {
        notes.push(format!(
            "{} refused; they are as before, and the cells of them are in no count by key",
            count(refused, "row")
        ));
    }
    notes
}
