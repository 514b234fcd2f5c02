// SPDX-License-Identifier: MIT OR Apache-2.0
//! `amanat verify`: reads a whole table and opens every cell; writes nothing.
//!
//! Owns the verdict. Never repairs: a run does.

use std::fs::File;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::thread;

use amanat_stores::run::{KeyCount, Lane as _, Store, Survey, Surveyed};
use amanat_stores::{
    Effort, KeyringSession, Observer, Plan, Source, Task, csv_file, json_lines, parquet_file,
};
use serde::Serialize;

use super::named::{self, Cells};
use super::place::{Mode, OverStore, Place, PlaceArgs};
use super::start::read_schema;
use crate::exceptions::Exceptions;
use crate::fault::{Fault, Outcome, Result};
use crate::keys::{KeyPrefix, break_glass};
use crate::progress::Progress;
use crate::stop::Stop;
use crate::store::Format;
use crate::text::{count, grouped};
use crate::ui::Ui;
use crate::unlock::{UnlockArgs, keyring_fault, now};
use crate::{store, work};

/// Refused rows that are told; the exceptions file has all of them.
const TOLD: u64 = 5;

/// Read a whole table, open every cell, make every index and pairwise token again and compare. Writes nothing.
///
/// Takes a database, or a CSV, JSON Lines or Parquet file by the ending of its name.
///
/// Exit code 0: every row is as the schema and the keyring say; 1: some rows cannot be opened or are not done; 3: some are not authentic.
#[derive(clap::Args)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    unlock: UnlockArgs,
    /// The schema file.
    #[arg(long, value_name = "FILE")]
    schema: PathBuf,
    /// Table of the schema; may be left out if it has only one.
    #[arg(long, value_name = "NAME")]
    table: Option<String>,
    /// Threads that open; as many as there are processors if not given.
    #[arg(long, value_name = "N")]
    jobs: Option<NonZeroUsize>,
    /// Open with this suspended or compromised key too, named by its id or at least 4 of the id's first digits; may be repeated.
    #[arg(long, value_name = "KEYID")]
    break_glass: Vec<KeyPrefix>,
    /// File for rows that are found wrong: row number, field and reason, never a value. Made only if there are some.
    #[arg(long, value_name = "FILE")]
    exceptions: Option<PathBuf>,
    /// Overwrite an exceptions file that exists.
    #[arg(long)]
    force: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// No progress and no summary; errors only.
    #[arg(short, long)]
    quiet: bool,
}

/// The verdict.
#[derive(Serialize)]
struct Told {
    table: String,
    rows: u64,
    /// `None` for a file with cells that are not done: they are counted, and not their rows.
    rows_fine: Option<u64>,
    rows_not_done: Option<u64>,
    rows_refused: u64,
    unauthentic: u64,
    cells_opened: u64,
    cells_plain: u64,
    cells_under_other_keys: u64,
    terms_to_make: u64,
    terms_compared: u64,
    tokens_to_make: u64,
    tokens_compared: u64,
    primary_key: String,
    cells: Vec<Cells>,
    /// Rows that the database counted when the pass began.
    rows_counted: u64,
    exceptions: Option<String>,
}

struct Pass<'a> {
    args: &'a VerifyArgs,
    survey: Survey<'a>,
    place: &'a Place,
    ui: &'a Ui,
    stop: &'a Stop,
    exceptions: &'a mut Exceptions,
}

struct Passed {
    counted: u64,
    counts: Vec<KeyCount>,
    found: Surveyed,
}

pub(crate) fn verify(args: &VerifyArgs, ui: &Ui) -> Result<Outcome> {
    let file = args.place.file();
    let place = if file.is_none() { Some(args.place.place(ui)?) } else { None };
    if let Some(path) = &args.exceptions {
        work::may_write(path, "exceptions file", args.force)?;
        let mut sources = vec![("schema", args.schema.as_path()), ("store", Path::new(args.place.name()))];
        let keyring = args.unlock.sources();
        sources.extend(keyring.iter().map(|(role, path)| (*role, path.as_path())));
        work::is_no_source(path, "exceptions file", &sources)?;
    }
    let (_, schema) = read_schema(&args.schema)?;
    let table = store::table(&schema, args.table.as_deref(), &args.schema)?;
    let (keyring, kek) = (args.unlock.path(), args.unlock.kek()?);
    let session = KeyringSession::unlock(&keyring, &*kek, &now);
    let session = session.map_err(|error| keyring_fault(error, &keyring))?;
    let session = break_glass(ui, session, &args.break_glass)?;
    let stop = Stop::listen()?;
    let jobs = args.jobs.unwrap_or_else(|| thread::available_parallelism().unwrap_or(NonZeroUsize::MIN));
    let mut exceptions = Exceptions::new(args.exceptions.clone());
    let passed = match (&file, &place) {
        (Some((path, format)), _) => {
            let plan = Plan { session: &session, table, task: Task::Protect(Effort::Check), jobs };
            file_pass(args, ui, &stop, plan, (path, *format), &mut exceptions)
        }
        (None, Some(place)) => {
            let survey = Survey::new(&session, table, Source::Any, jobs, stop.flag());
            let pass = Pass { args, survey, place, ui, stop: &stop, exceptions: &mut exceptions };
            place.over(args.place.sql_table.as_deref(), table, Mode::Read, pass)
        }
        (None, None) => Err(Fault::new("nothing was named to be verified")),
    };
    let listed = exceptions.finish();
    let Passed { counted, counts, found } = passed?;
    let tally = &found.tally;
    // A file is read in one stream, which counts cells and not rows that are not done.
    let undone = if file.is_none() || !tally.changes() { Some(found.undone) } else { None };
    let told = Told {
        table: table.name().to_string(),
        rows: tally.rows,
        rows_fine: undone.map(|undone| tally.rows - tally.refused_rows - undone),
        rows_not_done: undone,
        rows_refused: tally.refused_rows,
        unauthentic: tally.unauthentic,
        cells_opened: tally.opened + tally.resealed,
        cells_plain: tally.sealed,
        cells_under_other_keys: tally.resealed,
        terms_to_make: tally.terms_made + tally.surrogates_removed,
        terms_compared: tally.terms_kept,
        tokens_to_make: tally.tokens_made,
        tokens_compared: tally.tokens_kept,
        primary_key: session.primary().to_string(),
        cells: named::cells(&counts, &session)?,
        rows_counted: counted,
        exceptions: listed?.map(|path| path.display().to_string()),
    };
    if args.json {
        ui.json(&told)?;
    } else if !args.quiet {
        lines(&told).into_iter().try_for_each(|line| ui.line(ui.foreign(&line)))?;
    }
    let is_done = told.rows_refused == 0 && told.rows_not_done == Some(0);
    Ok(match (told.unauthentic, is_done) {
        (0, true) => Outcome::Done,
        (0, _) => Outcome::SomeRefused,
        _ => Outcome::Unauthentic,
    })
}

impl OverStore for Pass<'_> {
    type Output = Passed;

    fn over<S: Store>(self, store: &S) -> Result<Passed> {
        let fault = |error| self.place.fault(error);
        let mut lane = store.connect().map_err(fault)?;
        let counted = lane.count().map_err(fault)?;
        let counts = lane.key_counts().map_err(fault)?;
        drop(lane);
        let quiet = self.args.quiet;
        let mut progress = Progress::new(self.ui, "verify", quiet, Some(counted));
        let mut told = 0;
        let mut seen = |faults: &[&amanat::Error], rows| {
            for fault in faults {
                told += 1;
                if !quiet && told <= TOLD {
                    progress.finish();
                    self.ui.warn(fault.to_string());
                }
                self.exceptions.add(fault)?;
            }
            progress.tell(rows, rows);
            Ok(())
        };
        let found = self.survey.look(store, Effort::Check, &mut seen).map_err(fault)?;
        progress.finish();
        if found.stopped {
            return Err(self
                .stop
                .fault("a part of the table says nothing of the whole; nothing was written"));
        }
        Ok(Passed { counted, counts, found })
    }
}

/// Reads a file of rows.
fn file_pass(
    args: &VerifyArgs,
    ui: &Ui,
    stop: &Stop,
    plan: Plan<'_>,
    (path, format): (&Path, Format),
    exceptions: &mut Exceptions,
) -> Result<Passed> {
    let file = File::open(path).map_err(|error| Fault::file("read", path, &error))?;
    let bytes = file.metadata().ok().map(|file| file.len());
    let progress = Progress::new(ui, "verify", args.quiet, bytes);
    let mut reader = Reader { ui, stop, progress, exceptions, quiet: args.quiet, told: 0 };
    let tally = match format {
        Format::Jsonl => json_lines::run(plan, file, None, &mut reader),
        Format::Parquet => parquet_file::run(plan, file, None, &mut reader),
        _ => csv_file::run(plan, file, None, &mut reader),
    };
    reader.progress.finish();
    let mut found = Surveyed::default();
    found.tally = tally.map_err(|error| Fault::from(error).about(path.display()))?;
    if stop.is_asked() {
        return Err(stop.fault("a part of the file says nothing of the whole; nothing was written"));
    }
    Ok(Passed { counted: found.tally.rows, counts: Vec::new(), found })
}

/// Tells what is found in a file.
struct Reader<'a> {
    ui: &'a Ui,
    stop: &'a Stop,
    progress: Progress<'a>,
    exceptions: &'a mut Exceptions,
    quiet: bool,
    told: u64,
}

impl Observer for Reader<'_> {
    fn refused(&mut self, fault: &amanat::Error) -> amanat::Result<()> {
        self.told += 1;
        if !self.quiet && self.told <= TOLD {
            self.progress.finish();
            self.ui.warn(fault.to_string());
        }
        self.exceptions.add(fault)
    }

    fn progress(&mut self, rows: u64, input_bytes: u64) {
        self.progress.tell(rows, input_bytes);
    }

    fn stops(&self) -> bool {
        self.stop.is_asked()
    }
}

fn lines(told: &Told) -> Vec<String> {
    let mut lines = if told.cells.is_empty() { Vec::new() } else { named::lines(&told.cells) };
    let how = match (told.rows_fine, told.rows_not_done) {
        (Some(fine), Some(undone)) => format!("{} fine, {} not done", grouped(fine), grouped(undone)),
        _ => "not all of them done".to_owned(),
    };
    lines.push(format!("{} read: {how}, {} refused", count(told.rows, "row"), grouped(told.rows_refused)));
    lines.push(format!(
        "{} opened; {} and {} made again and compared",
        count(told.cells_opened, "cell"),
        count(told.terms_compared, "index term"),
        count(told.tokens_compared, "kept token")
    ));
    if told.rows_not_done != Some(0) {
        lines.push(format!(
            "not done: {} that are plain, {} under another key or suite than now seals, {} to make anew; `amanat rotate` or `protect` does it",
            count(told.cells_plain, "cell"),
            grouped(told.cells_under_other_keys),
            count(told.terms_to_make + told.tokens_to_make, "term or token")
        ));
    }
    if told.unauthentic > 0 {
        lines.push(format!(
            "{} not authentic: altered, or moved from elsewhere",
            count(told.unauthentic, "cell")
        ));
    }
    if told.rows_counted != told.rows {
        lines.push(format!(
            "the table had {} when the pass began, and {} were read: applications added or deleted rows meanwhile",
            count(told.rows_counted, "row"),
            grouped(told.rows)
        ));
    }
    if let Some(path) = &told.exceptions {
        lines.push(format!("see {path}"));
    }
    lines
}
