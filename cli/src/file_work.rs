// SPDX-License-Identifier: MIT OR Apache-2.0
//! `protect` over files of rows: runs that go on after a crash, and files that are replaced.
//!
//! Owns the words about runs that were not finished. Never replaces a file from which a row was refused.

use std::io;
use std::path::Path;

use amanat::Name;
use amanat::error::Error;
use amanat_stores::durable::Syncer;
use amanat_stores::{
    Begun, Delimiter, FileForm, FileOrder, FileRun, Keeper, PartFile, Placing, Plan, Start, Tally,
};

use crate::exceptions;
use crate::fault::{Fault, Result};
use crate::store::{Format, is_dash};
use crate::text::count;
use crate::work::{Watcher, may_write};

/// What `protect` can be asked for about files of rows.
#[derive(Clone, Copy)]
pub(crate) struct FileWish<'a> {
    pub(crate) start: Start,
    pub(crate) in_place: bool,
    /// The name under which the file that is replaced is kept.
    pub(crate) keep: Option<&'a Path>,
    /// The exceptions file whose rows are the only ones.
    pub(crate) only: Option<&'a Path>,
    pub(crate) checkpoint_bytes: u64,
}

impl FileWish<'_> {
    /// A run over the whole of a file into another.
    pub(crate) const PLAIN: Self = Self {
        start: Start::Ask,
        in_place: false,
        keep: None,
        only: None,
        checkpoint_bytes: amanat_stores::file_run::CHECKPOINT_BYTES,
    };

    /// Refuses what makes no sense for a format or for standard input and output.
    pub(crate) fn check(&self, format: Format, input: &Path, has_output: bool) -> Result<()> {
        let asked = [
            (self.start == Start::Resume, "--resume"),
            (self.start == Start::Restart, "--restart"),
            (self.in_place, "--in-place"),
            (self.only.is_some(), "--only"),
        ];
        let Some((_, option)) = asked.into_iter().find(|(asked, _)| *asked) else { return Ok(()) };
        if !matches!(format, Format::Csv | Format::Jsonl) {
            let help = match format {
                Format::Parquet => "a Parquet file is written anew as a whole: run the same again",
                _ => {
                    "a table is protected in place, in transactions: run the same again, and what is done stays as it is"
                }
            };
            return Err(Fault::new(format!("{option} is for CSV and JSON Lines")).help(help));
        }
        if self.start != Start::Ask && (is_dash(input) || !(has_output || self.in_place)) {
            return Err(Fault::new(format!("{option}: standard input and output cannot be gone on with"))
                .help("read from a file and write to one: INPUT --output FILE"));
        }
        if self.in_place && is_dash(input) {
            return Err(Fault::new("--in-place: standard input is no file that could be replaced"));
        }
        Ok(())
    }
}

/// What a file run is made of, beside the plan.
pub(crate) struct FileJob<'a> {
    pub(crate) wish: FileWish<'a>,
    pub(crate) input: &'a Path,
    /// `None` in place.
    pub(crate) output: Option<&'a Path>,
    pub(crate) form: FileForm,
    pub(crate) schema: &'a str,
    pub(crate) remade: &'a [Name],
    pub(crate) force: bool,
}

/// What a file run gives.
pub(crate) struct FileDone {
    pub(crate) tally: Tally,
    pub(crate) warnings: Vec<String>,
    /// The run, whose output has no name yet; `None` if it is thrown away.
    pub(crate) run: Option<Box<FileRun>>,
}

impl FileJob<'_> {
    /// Passes all rows. The output is whole then, and not yet in place.
    pub(crate) fn run(&self, plan: Plan<'_>, watcher: &mut Watcher<'_>) -> Result<FileDone> {
        let mut run = self.begin(plan)?;
        self.take_up(&run, watcher)?;
        let mut warnings = Vec::new();
        if run.primary() != plan.session.primary() {
            warnings.push(format!(
                "the key that seals changed since this run began: rows before are under key {}; protect the output again to have all under one",
                run.primary().short()
            ));
        }
        let passed = run.rows(plan, watcher);
        if !matches!(passed, Ok(true)) && run.is_kept() {
            watcher.exceptions.keep();
        }
        match passed {
            Ok(true) => {}
            Ok(false) => return Err(self.stopped(&run, watcher)),
            Err(error) => return Err(self.fault(error, &run)),
        }
        let refused = run.tally().refused_rows;
        if self.wish.in_place && refused > 0 {
            warnings.push(format!(
                "{} is as it was, because rows were refused: repair them and run again, or write the others with --output FILE",
                self.input.display()
            ));
            run.discard()?;
            return Ok(FileDone { tally: run.tally().clone(), warnings, run: None });
        }
        run.ready(watcher)?;
        Ok(FileDone { tally: run.tally().clone(), warnings, run: Some(run) })
    }

    fn begin(&self, plan: Plan<'_>) -> Result<Box<FileRun>> {
        let placing = match self.output {
            Some(path) => Placing::Output(path.to_path_buf()),
            None => Placing::InPlace(self.wish.keep.map(Path::to_path_buf)),
        };
        let only = match self.wish.only {
            Some(list) => Some((exceptions::rows(list)?, list.to_path_buf())),
            None => None,
        };
        let order = FileOrder {
            input: self.input.to_path_buf(),
            placing,
            form: self.form.clone(),
            only,
            schema: self.schema.to_owned(),
            remade: self.remade.to_vec(),
            checkpoint_bytes: self.wish.checkpoint_bytes,
        };
        let target = self.output.unwrap_or(self.input).display();
        match FileRun::begin(order, plan, self.wish.start) {
            Ok(Begun::Run(run)) => Ok(run),
            Ok(Begun::Unfinished(rows)) => {
                let after = rows.map(|rows| format!(" after {}", count(rows, "row"))).unwrap_or_default();
                Err(Fault::new(format!("{target}: an earlier run was stopped{after}"))
                    .help("go on with it: --resume; or throw away what it has done: --restart"))
            }
            Ok(_) => Err(Fault::new("this kind of beginning is unknown")),
            Err(error) if self.wish.start == Start::Resume && !is_busy(&error) => {
                Err(Fault::from(error).help("to throw away what the earlier run has done: --restart"))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Goes on with the list of refused rows, and checks what is about to be written over.
    fn take_up(&self, run: &FileRun, watcher: &mut Watcher<'_>) -> Result<()> {
        if !run.is_placed() {
            self.output.map_or(Ok(()), |path| may_write(path, "output", self.force))?;
            if let Some(keep) = self.wish.keep.filter(|_| !run.is_placing()) {
                may_write(keep, "name to keep the input under", self.force)?;
            }
        }
        watcher.exceptions.resume(run.exceptions_bytes(), run.is_placing())?;
        if let Some(rows) = run.resumed_after() {
            watcher.say(format!("going on after {}", count(rows, "row")));
            watcher.progress.began_earlier(run.elapsed());
        }
        Ok(())
    }

    fn stopped(&self, run: &FileRun, watcher: &Watcher<'_>) -> Fault {
        let rows = count(run.tally().rows, "row");
        let message = format!("{rows} of {} are done and kept", self.input.display());
        watcher.stopped(&message).help("go on with the same command and --resume")
    }

    fn fault(&self, error: Error, run: &FileRun) -> Fault {
        let fault = Fault::from(error).about(self.input.display());
        if !run.is_kept() {
            return fault;
        }
        let rows = count(run.tally().rows, "row");
        fault.help(format!(
            "{rows} are done and kept; remove the cause, then go on with the same command and --resume"
        ))
    }
}

impl Keeper for Watcher<'_> {
    fn listed(&mut self) -> amanat::Result<u64> {
        self.exceptions.listed()
    }

    fn syncer(&mut self) -> amanat::Result<Option<Syncer>> {
        self.exceptions.syncer()
    }
}

fn is_busy(error: &Error) -> bool {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<io::Error>());
    source.is_some_and(|source| source.kind() == io::ErrorKind::WouldBlock)
}

/// An output that is whole and has no name yet.
pub(crate) enum Unplaced {
    /// There is none.
    Nothing,
    Part(PartFile),
    Run(Box<FileRun>),
}

impl Unplaced {
    /// Gives it its name.
    pub(crate) fn place(self) -> Result<()> {
        match self {
            Self::Nothing => Ok(()),
            Self::Part(part) => Ok(part.commit()?),
            Self::Run(run) => Ok(run.place()?),
        }
    }
}

/// What separates the cells of a CSV file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum DelimiterArg {
    /// `,`
    Comma,
    /// `|`
    Pipe,
    /// `;`
    Semicolon,
    /// The tab character.
    Tab,
}

impl DelimiterArg {
    /// The form of files of a format.
    pub(crate) fn form(this: Option<Self>, format: Format) -> Result<FileForm> {
        let delimiter = match this {
            None | Some(Self::Comma) => Delimiter::Comma,
            Some(Self::Pipe) => Delimiter::Pipe,
            Some(Self::Semicolon) => Delimiter::Semicolon,
            Some(Self::Tab) => Delimiter::Tab,
        };
        match format {
            Format::Csv => Ok(FileForm::Csv(delimiter)),
            _ if this.is_some() => Err(Fault::new("--delimiter is for CSV")),
            _ => Ok(FileForm::JsonLines),
        }
    }
}
