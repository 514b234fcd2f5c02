// SPDX-License-Identifier: MIT OR Apache-2.0
//! Protecting a file so that a crash loses a second of work and no row.
//!
//! Owns the order of steps: output, list of refused rows, journal; then names. Never replaces a file before its replacement is whole
//! and durable, and never goes on with a run over another input. SPEC chapter 12.

mod checkpoint;
pub mod journal;
mod place;

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use amanat::error::{Error, Kind, Result};
use amanat::ident::{KeyId, Name};

use crate::csv_file::{self, CsvFile, CsvForm};
use crate::durable::{PartFile, Syncer, beside, failed, refused};
use crate::json_lines::{self, Lines};
use crate::stream::{Delimiter, End, Observer, PlainSink, Plan, RowNumbers, Sink, Task};
use crate::tally::Tally;

use checkpoint::CheckedSink;
use journal::{About, FileIdentity, Journal, Phase, Point};

/// Ending of the name of a journal.
const JOURNAL_SUFFIX: &str = ".amanat-run";
/// Bytes of output after which a checkpoint is due, unless a second has passed before.
pub const CHECKPOINT_BYTES: u64 = 1 << 28;

/// How a file that is a stream of rows is read and written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileForm {
    /// CSV with a header.
    Csv(Delimiter),
    /// JSON Lines.
    JsonLines,
}

/// Where the output goes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Placing {
    /// To a file of its own.
    Output(PathBuf),
    /// In the place of the input, which is kept under another name if there is one.
    InPlace(Option<PathBuf>),
}

/// What is to be done with files.
#[derive(Clone, Debug)]
pub struct FileOrder {
    /// The input: an ordinary file.
    pub input: PathBuf,
    /// Where the output goes.
    pub placing: Placing,
    /// Form of input and output.
    pub form: FileForm,
    /// The rows to be read and the file that lists them; all rows if there is none.
    pub only: Option<(RowNumbers, PathBuf)>,
    /// Text of the schema.
    pub schema: String,
    /// Indexes and kept tokens that are made anew.
    pub remade: Vec<Name>,
    /// Bytes of output after which a checkpoint is due; [`CHECKPOINT_BYTES`] if nothing else is wanted.
    pub checkpoint_bytes: u64,
}

/// What to do about an earlier run that was not finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Start {
    /// Ask.
    Ask,
    /// Go on with it.
    Resume,
    /// Throw it away.
    Restart,
}

/// What came of beginning a run.
#[derive(Debug)]
#[non_exhaustive]
pub enum Begun {
    /// It can go on.
    Run(Box<FileRun>),
    /// There is an earlier run that was stopped after so many rows, if its journal can be read.
    Unfinished(Option<u64>),
}

/// An observer whose list of refused rows is part of the checkpoints.
pub trait Keeper: Observer {
    /// Hands everything listed so far to the system; gives the length of the list in bytes, 0 if nothing is listed.
    ///
    /// # Errors
    /// `Store` if the system fails.
    fn listed(&mut self) -> Result<u64>;

    /// What makes the list durable, if there is one.
    ///
    /// # Errors
    /// `Store` if the system fails.
    fn syncer(&mut self) -> Result<Option<Syncer>>;
}

/// A run over a file.
#[derive(Debug)]
pub struct FileRun {
    order: FileOrder,
    target: PathBuf,
    input: File,
    /// The output; `None` when it is in place already.
    part: Option<PartFile>,
    journal: Journal,
    journal_path: PathBuf,
    is_journaled: bool,
    is_resumed: bool,
}

/// The journal of a run that writes this file and was not finished, if there is one. Whoever writes the file otherwise would take away
/// what that run has done.
///
/// # Errors
/// `Store` if the path names no file.
pub fn unfinished(target: &Path) -> Result<Option<PathBuf>> {
    let journal = beside(target, JOURNAL_SUFFIX)?;
    Ok(Some(journal).filter(|journal| journal.exists()))
}

/// Passes a stream that cannot be gone on with: protects it, or reveals it, as [`csv_file::run`] and [`json_lines::run`] do.
///
/// # Errors
/// As these.
pub fn pass(
    plan: Plan<'_>,
    (form, only): (&FileForm, Option<&RowNumbers>),
    input: impl Read + Send,
    output: Option<&mut dyn Write>,
    observer: &mut dyn Observer,
) -> Result<Tally> {
    let sink = PlainSink::new(output, observer);
    match form {
        FileForm::Csv(delimiter) => {
            let form = CsvForm { delimiter: *delimiter, only: only.cloned() };
            csv_file::run_as(plan, &form, input, sink)
        }
        FileForm::JsonLines => json_lines::run_as(plan, only, input, sink),
    }
}

impl FileRun {
    /// Begins a run, or goes on with an earlier one.
    ///
    /// # Errors
    /// `Store` if another process is writing the same output, if the earlier run was another or over an input that was changed
    /// since, or if a file cannot be read or written; `Malformed`, `Unsupported` if the journal is broken or from another version.
    pub fn begin(order: FileOrder, plan: Plan<'_>, start: Start) -> Result<Begun> {
        let target = place::target(&order)?;
        let input =
            File::open(&order.input).map_err(|error| failed(&order.input, "cannot be read", error))?;
        let journal_path = beside(&target, JOURNAL_SUFFIX)?;
        // Locks it: from here on no other process writes the output or its journal.
        let left = PartFile::resume(&target)?;
        let known = Journal::read(&journal_path);
        match (start, known) {
            (Start::Ask, Ok(Some(known))) => return Ok(Begun::Unfinished(Some(known.point.tally.rows))),
            (Start::Ask, Err(_)) => return Ok(Begun::Unfinished(None)),
            (Start::Resume, Err(error)) => return Err(error),
            (Start::Resume, Ok(Some(known))) => {
                let journal = Journal::new(&order, plan, &input)?;
                let run = Self {
                    order,
                    target,
                    input,
                    part: left,
                    journal,
                    journal_path,
                    is_journaled: true,
                    is_resumed: true,
                };
                return run.go_on(known).map(|run| Begun::Run(Box::new(run)));
            }
            (Start::Restart, Ok(None)) | (_, Ok(None)) => {}
            (Start::Restart, _) => place::remove(&journal_path)?,
        }
        drop(left);
        let journal = Journal::new(&order, plan, &input)?;
        let part = place::new_part(&order, &target, &input)?;
        let part = Some(part);
        let run = Self {
            order,
            target,
            input,
            part,
            journal,
            journal_path,
            is_journaled: false,
            is_resumed: false,
        };
        Ok(Begun::Run(Box::new(run)))
    }

    /// Takes up what an earlier run has left.
    fn go_on(mut self, known: Journal) -> Result<Self> {
        if let Some(difference) = known.about.difference(&self.journal.about) {
            return Err(other_run(&self.target, difference));
        }
        match (&mut self.part, known.phase) {
            (None, Phase::Rows) => {
                return Err(refused(
                    &self.target,
                    "what the earlier run wrote is gone",
                    std::io::ErrorKind::NotFound,
                ));
            }
            (None, Phase::Placing) => place::is_placed(&self.target, known.point.output_bytes)?,
            (Some(_), _) if known.input != self.journal.input => {
                return Err(other_run(&self.order.input, "the input was changed since"));
            }
            (Some(_), _) if known.only != self.journal.only => {
                return Err(other_run(&self.order.input, "the list of --only is another"));
            }
            (Some(part), _) => part.cut(known.point.output_bytes)?,
        }
        self.journal = known;
        Ok(self)
    }

    /// Where the output will be.
    #[must_use]
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Rows that an earlier run has done; `None` if there was none.
    #[must_use]
    pub fn resumed_after(&self) -> Option<u64> {
        self.is_resumed.then_some(self.journal.point.tally.rows)
    }

    /// Length of the list of refused rows that goes with the rows that are done; 0 if none was refused.
    #[must_use]
    pub const fn exceptions_bytes(&self) -> u64 {
        self.journal.point.exceptions_bytes
    }

    /// Whether all rows are done, and only names are to be given.
    #[must_use]
    pub fn is_placing(&self) -> bool {
        self.journal.phase == Phase::Placing
    }

    /// Whether the output has its name already: an earlier run was killed behind that step.
    #[must_use]
    pub const fn is_placed(&self) -> bool {
        self.part.is_none()
    }

    /// Whether somebody can go on with this run when it ends here.
    #[must_use]
    pub const fn is_kept(&self) -> bool {
        self.is_journaled
    }

    /// How long the rows took so far, with those of earlier runs.
    #[must_use]
    pub const fn elapsed(&self) -> Duration {
        Duration::from_millis(self.journal.point.milliseconds)
    }

    /// Counts of the rows that are done.
    #[must_use]
    pub const fn tally(&self) -> &Tally {
        &self.journal.point.tally
    }

    /// The key that sealed when the run began.
    #[must_use]
    pub const fn primary(&self) -> KeyId {
        self.journal.about.primary
    }

    /// Passes the rows that are left. False if the observer stopped it: then a checkpoint was made.
    ///
    /// # Errors
    /// As [`csv_file::run`]. If the cause is not the data, the run can be gone on with; see [`is_kept`](Self::is_kept).
    pub fn rows(&mut self, plan: Plan<'_>, keeper: &mut dyn Keeper) -> Result<bool> {
        let Some(part) = self.part.as_mut().filter(|_| self.journal.phase == Phase::Rows) else {
            return Ok(true);
        };
        let earlier = if self.is_resumed { Some(self.journal.point.clone()) } else { None };
        let input = self.input.try_clone().map_err(crate::stream::cannot_read)?;
        let every = self.order.checkpoint_bytes;
        let mut sink = CheckedSink::new(part, &mut self.journal, self.journal_path.clone(), keeper, every);
        let passed = drive(&self.order, plan, input, earlier, &mut sink);
        let ended = match &passed {
            Ok(End::Whole(_)) => sink.end(false),
            Err(error) if is_of_data(error) => sink.end(false),
            Ok(End::Stopped) | Err(_) => sink.end(true),
        };
        self.is_journaled |= self.journal_path.exists();
        if self.is_journaled {
            self.stay();
        }
        match passed {
            Err(error) if is_of_data(&error) => self.discard().and(Err(error)),
            // A checkpoint that fails now fails for the same reason.
            Err(error) => Err(error),
            Ok(end) => ended.map(|()| matches!(end, End::Whole(_))),
        }
    }

    /// All rows are done: makes the output durable, and the journal say so. The list of refused rows may be put in place now.
    ///
    /// # Errors
    /// `Store` if the input was changed meanwhile, if it has fewer rows than those that were asked for, or if the system fails.
    pub fn ready(&mut self, keeper: &mut dyn Keeper) -> Result<()> {
        let Some(part) = self.part.as_ref().filter(|_| self.journal.phase == Phase::Rows) else {
            return Ok(());
        };
        if let Err(error) = self.objection() {
            self.discard()?;
            return Err(error);
        }
        part.syncer()?.sync()?;
        if let Some(list) = keeper.syncer()? {
            list.sync()?;
        }
        self.journal.phase = Phase::Placing;
        // One step needs no journal. Two do: whoever keeps the input must not be asked whether its second name is another's file.
        if self.is_journaled || matches!(self.order.placing, Placing::InPlace(Some(_))) {
            self.stay();
            self.is_journaled = true;
            self.journal.write(&self.journal_path)?;
        }
        Ok(())
    }

    /// Gives the output its name and forgets the journal.
    ///
    /// # Errors
    /// `Store` if the system fails.
    pub fn place(mut self) -> Result<()> {
        if let Some(part) = self.part.take() {
            if let Placing::InPlace(Some(keep)) = &self.order.placing {
                place::keep(&self.target, keep)?;
            }
            part.commit()?;
        }
        if self.is_journaled { place::remove(&self.journal_path) } else { Ok(()) }
    }

    /// Throws away what was written and its journal.
    ///
    /// # Errors
    /// `Store` if the system does not remove them.
    pub fn discard(&mut self) -> Result<()> {
        // The journal first: what it speaks of must be there.
        place::remove(&self.journal_path)?;
        self.is_journaled = false;
        self.part.take().map_or(Ok(()), PartFile::discard)
    }

    fn stay(&self) {
        if let Some(part) = &self.part {
            part.stay();
        }
    }

    /// Why a run whose rows are all done must not be put in place.
    fn objection(&self) -> Result<()> {
        let now = File::open(&self.order.input).and_then(|file| FileIdentity::of(&file));
        if now.map_err(|error| failed(&self.order.input, "cannot be read", error))? != self.journal.input {
            return Err(changed(&self.order.input, "the input was changed while it was read; run again"));
        }
        let rows = self.journal.point.tally.rows;
        match &self.order.only {
            Some((only, list)) if only.count() != rows => Err(changed(
                list,
                &format!("lists {} rows, and the input has only {rows} of them", only.count()),
            )),
            _ => Ok(()),
        }
    }
}

impl Journal {
    fn new(order: &FileOrder, plan: Plan<'_>, input: &File) -> Result<Self> {
        let form = match order.form {
            FileForm::Csv(Delimiter::Comma) => "csv comma",
            FileForm::Csv(Delimiter::Pipe) => "csv pipe",
            FileForm::Csv(Delimiter::Semicolon) => "csv semicolon",
            FileForm::Csv(Delimiter::Tab) => "csv tab",
            FileForm::JsonLines => "json-lines",
        };
        let about = About {
            verb: if matches!(plan.task, Task::Reseal(_)) { "reseal" } else { "protect" }.to_owned(),
            registry: plan.session.with_keyring(|keyring| Ok(keyring.registry().to_string()))?,
            table: plan.table.name().to_string(),
            form: form.to_owned(),
            in_place: matches!(order.placing, Placing::InPlace(_)),
            remade: order.remade.iter().map(ToString::to_string).collect(),
            schema: order.schema.clone(),
            primary: plan.session.primary(),
        };
        let of = |path: &Path, file: &File| {
            FileIdentity::of(file).map_err(|error| failed(path, "cannot be looked at", error))
        };
        let only = match &order.only {
            None => None,
            Some((_, list)) => {
                let file = File::open(list).map_err(|error| failed(list, "cannot be read", error))?;
                Some(of(list, &file)?)
            }
        };
        let input = of(&order.input, input)?;
        Ok(Self { about, input, only, phase: Phase::Rows, point: Point::default() })
    }
}

fn drive(
    order: &FileOrder,
    plan: Plan<'_>,
    input: File,
    earlier: Option<Point>,
    sink: &mut dyn Sink,
) -> Result<End> {
    let only = order.only.as_ref().map(|(rows, _)| rows);
    // Nothing was read before the first batch: then the head is written anew.
    let at = earlier.as_ref().map(|point| point.input);
    match &order.form {
        FileForm::Csv(delimiter) => {
            let (form, ended) =
                (CsvForm { delimiter: *delimiter, only: only.cloned() }, AtomicBool::new(true));
            let (file, csv) = CsvFile::open_as(plan.table, &form, input, &ended)?;
            let file = if let Some(at) = at { file.go_on(at)? } else { file };
            file.pass(plan, &csv, earlier.map(|point| point.tally), sink)
        }
        FileForm::JsonLines => {
            let (lines, format) = Lines::open_as(plan.table, only, input)?;
            let lines = if let Some(at) = at { lines.go_on(at)? } else { lines };
            lines.pass(plan, &format, earlier.map(|point| point.tally).unwrap_or_default(), sink)
        }
    }
}

/// Whether a run fails again and again until somebody changes the input.
fn is_of_data(error: &Error) -> bool {
    matches!(error.kind(), Kind::Malformed | Kind::Schema | Kind::Misuse) || error.row().is_some()
}

fn other_run(path: &Path, difference: &str) -> Error {
    changed(path, &format!("the earlier run cannot be gone on with: {difference}"))
}

fn changed(path: &Path, what: &str) -> Error {
    refused(path, what, std::io::ErrorKind::InvalidData)
}
