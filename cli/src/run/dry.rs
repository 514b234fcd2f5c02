// SPDX-License-Identifier: MIT OR Apache-2.0
//! `--dry-run`: what stands in a table, what a run would do, and how long it may take.
//!
//! Owns the estimate. Never writes a row that is not taken back.

use std::time::Duration;

use amanat::rotate::RunSource;
use amanat_stores::run::{Lane as _, Sample, Store, Survey, Surveyed, Trial};
use amanat_stores::{Effort, KeyringSession, Source};
use serde::Serialize;

use super::named::{self, Cells};
use super::place::{Mode, OverStore};
use super::start::{Start, read_schema};
use crate::fault::{Outcome, Result};
use crate::keys::break_glass;
use crate::progress::{Progress, time};
use crate::stop::Stop;
use crate::text::{count, grouped};
use crate::ui::Ui;
use crate::unlock::{keyring_fault, now};
use crate::{store, work};

/// Refused rows that are told.
const TOLD: u64 = 5;

#[derive(Serialize)]
struct Told {
    dry_run: bool,
    table: String,
    rows: u64,
    rows_to_do: u64,
    rows_refused: u64,
    unauthentic: u64,
    primary_key: String,
    to_seal: u64,
    to_reseal: u64,
    /// Cells under the primary key that are sealed by another suite than the schema wants, or with other padding.
    to_reseal_under_primary: u64,
    terms_to_make: u64,
    tokens_to_make: u64,
    cells: Vec<Cells>,
    estimate: Option<Estimate>,
}

#[derive(Serialize)]
struct Estimate {
    sample_rows: u64,
    seconds: f64,
    /// Whether the time of writing is in it.
    writing: bool,
    /// Whether the cap on the rate decides.
    capped: bool,
}

/// What is looked at.
struct Look<'a> {
    start: &'a Start<'a>,
    survey: Survey<'a>,
    ui: &'a Ui,
    stop: &'a Stop,
    trial: Trial,
}

struct Looked {
    counts: Vec<amanat_stores::run::KeyCount>,
    found: Surveyed,
    sample: Sample,
}

pub(crate) fn run(ui: &Ui, start: &Start<'_>, try_write: bool) -> Result<Outcome> {
    let (_, schema) = read_schema(start.schema)?;
    let table = store::table(&schema, start.table, start.schema)?;
    work::check_remade(table, start.remake)?;
    let (keyring, kek) = (start.unlock.path(), start.unlock.kek()?);
    let session = KeyringSession::unlock(&keyring, &*kek, &now);
    let session = session.map_err(|error| keyring_fault(error, &keyring))?;
    let session = break_glass(ui, session, &start.drive.break_glass)?.with_remade(start.remake.to_vec());
    let session = session.with_work(std::sync::Arc::clone(start.place.work()));
    let stop = Stop::listen()?;
    let source = if start.source == RunSource::Sealed { Source::SealedOnly } else { Source::Any };
    let survey = Survey::new(&session, table, source, start.drive.threads()?, stop.flag());
    let (mode, trial) = if try_write { (Mode::Write, Trial::RollBack) } else { (Mode::Read, Trial::None) };
    let looked =
        start.place.over(start.sql_table, table, mode, Look { start, survey, ui, stop: &stop, trial });
    if let Err(error) = session.give_back() {
        ui.warn(format!("messages that were reserved and not sealed stay counted: {error}"));
    }
    let told = told(start, &session, table.name().as_str(), looked?)?;
    if start.drive.json {
        ui.json(&told)?;
    } else if !start.drive.quiet {
        lines(&told).into_iter().try_for_each(|line| ui.line(ui.foreign(&line)))?;
    }
    Ok(match (told.unauthentic, told.rows_refused) {
        (0, 0) => Outcome::Done,
        (0, _) => Outcome::SomeRefused,
        _ => Outcome::Unauthentic,
    })
}

impl OverStore for Look<'_> {
    type Output = Looked;

    fn over<S: Store>(self, store: &S) -> Result<Looked> {
        let fault = |error| self.start.place.fault(error);
        let mut lane = store.connect().map_err(fault)?;
        let rows = lane.count().map_err(fault)?;
        let counts = lane.key_counts().map_err(fault)?;
        drop(lane);
        let quiet = self.start.drive.quiet;
        let mut progress = Progress::new(self.ui, "dry run", quiet, Some(rows));
        let mut told = 0;
        let mut seen = |faults: &[&amanat::Error], rows| {
            for fault in faults {
                told += 1;
                if !quiet && told <= TOLD {
                    progress.finish();
                    self.ui.warn(fault.to_string());
                }
            }
            progress.tell(rows, rows);
            Ok(())
        };
        let found = self.survey.look(store, Effort::DryRun, &mut seen).map_err(fault)?;
        progress.finish();
        if found.stopped {
            return Err(self.stop.fault("the dry run is not at its end; its counts would be of a part"));
        }
        let sample = self.survey.sample(store, self.trial).map_err(fault)?;
        Ok(Looked { counts, found, sample })
    }
}

fn told(start: &Start<'_>, session: &KeyringSession<'_>, table: &str, looked: Looked) -> Result<Told> {
    let Looked { counts, found, sample } = looked;
    let tally = found.tally;
    let under_primary = tally.keys.iter().find(|key| key.key == session.primary());
    Ok(Told {
        dry_run: true,
        table: table.to_owned(),
        rows: tally.rows,
        rows_to_do: found.undone,
        rows_refused: tally.refused_rows,
        unauthentic: tally.unauthentic,
        primary_key: session.primary().to_string(),
        to_seal: tally.sealed,
        to_reseal: tally.resealed,
        to_reseal_under_primary: under_primary.map_or(0, |key| key.resealed),
        terms_to_make: tally.terms_made,
        tokens_to_make: tally.tokens_made,
        cells: named::cells(&counts, session)?,
        estimate: estimate(start, tally.rows, sample),
    })
}

/// What a sample says of the whole. The sample has the first rows of the table: if they are done already, the time is that of a run that finds
/// nothing to do there.
fn estimate(start: &Start<'_>, rows: u64, sample: Sample) -> Option<Estimate> {
    if sample.rows == 0 {
        return None;
    }
    let took = sample.sealing + sample.checking + sample.writing.unwrap_or(Duration::ZERO);
    // Counts of rows are far below 2^53.
    let number = |rows: u64| rows.to_string().parse::<f64>().unwrap_or_default();
    let share = number(rows) / number(sample.rows);
    let free = took.as_secs_f64() * share;
    let capped = start.drive.rate.map(|rate| 2.0 * number(rows) / f64::from(rate.get()));
    Some(Estimate {
        sample_rows: sample.rows,
        seconds: capped.map_or(free, |capped| capped.max(free)),
        writing: sample.writing.is_some(),
        capped: capped.is_some_and(|capped| capped >= free),
    })
}

fn lines(told: &Told) -> Vec<String> {
    let mut lines = named::lines(&told.cells);
    let to_do = if told.rows_to_do == 0 {
        "nothing to do".to_owned()
    } else {
        format!("{} to do", grouped(told.rows_to_do))
    };
    lines.push(format!("dry run, nothing written: {}, {to_do}", count(told.rows, "row")));
    let key: String = told.primary_key.chars().take(8).collect();
    lines.push(format!(
        "would seal {} and re-seal {} under key {key}, and make {} and {}",
        count(told.to_seal, "cell"),
        grouped(told.to_reseal),
        count(told.terms_to_make, "index term"),
        count(told.tokens_to_make, "kept token")
    ));
    if told.to_reseal_under_primary > 0 {
        lines.push(format!(
            "of these, {} of key {key} itself: another suite or padding than the schema wants",
            count(told.to_reseal_under_primary, "cell")
        ));
    }
    if told.rows_refused > 0 {
        lines.push(format!("{} would be refused", count(told.rows_refused, "row")));
    }
    if let Some(estimate) = &told.estimate {
        let seconds =
            Duration::try_from_secs_f64(estimate.seconds.max(0.0)).unwrap_or(Duration::MAX).as_secs();
        let what = match (estimate.capped, estimate.writing) {
            (true, _) => "decided by the cap on the rate",
            (false, true) => "with sealing and writing, without commits",
            (false, false) => {
                "reading, opening and checking alone; with --try-write also sealing and writing"
            }
        };
        let sample = count(estimate.sample_rows, "row");
        lines.push(format!("estimated time: {} ({what}; from the first {sample})", time(seconds)));
    }
    lines
}
