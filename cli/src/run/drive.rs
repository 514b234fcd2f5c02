// SPDX-License-Identifier: MIT OR Apache-2.0
//! Drives a run to its end, and tells how far it is and how it ended.
//!
//! Owns the words on the way. Never says more of a row than its number, field and fault.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use amanat::rotate::{Lease, Phase, RunId};
use amanat_stores::run::journal::Journal;
use amanat_stores::run::{Ended, Lane as _, RunObserver, RunOptions, RunReport, Runner, Step, Store};

use super::place::Place;
use super::report;
use crate::fault::{Fault, Outcome, Result};
use crate::keys::KeyPrefix;
use crate::progress::Progress;
use crate::stop::Stop;
use crate::text::count;
use crate::ui::Ui;

/// Most threads or connections that may be asked for.
const MOST: usize = 256;
/// Fewest rows of a batch, if more are allowed.
const FEWEST_ROWS: usize = 100;
/// Refused rows that are told on the way; the journal lists all.
const TOLD: u64 = 5;

/// How a run is driven.
#[derive(clap::Args)]
pub(crate) struct DriveArgs {
    /// Most rows a second, of all connections together. A run reads every row twice: it works on it, and checks it.
    #[arg(long, value_name = "ROWS/S")]
    pub(crate) rate: Option<NonZeroU32>,
    /// Threads that seal, for each connection; as many as there are processors if not given.
    #[arg(long, value_name = "N")]
    jobs: Option<NonZeroUsize>,
    /// Connections that work at the same time; SQLite has one writer at a time and takes one.
    #[arg(long, value_name = "N", default_value_t = NonZeroUsize::MIN)]
    lanes: NonZeroUsize,
    /// Most rows of a batch, which is one transaction.
    #[arg(long, value_name = "ROWS", default_value_t = DEFAULT_ROWS)]
    batch_rows: NonZeroUsize,
    /// Milliseconds that a batch should take: for so long the application may wait for a row. Batches get larger or smaller until they do.
    #[arg(long, value_name = "MS", default_value_t = DEFAULT_TIME, value_parser = clap::value_parser!(u64).range(1..=600_000))]
    batch_time: u64,
    /// Seconds without a sign of life after which this process may be taken for dead by others.
    #[arg(long, value_name = "SECONDS", default_value_t = DEFAULT_LEASE, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    lease: u64,
    /// Open with this suspended or compromised key too, named by its id or at least 4 of the id's first digits; may be repeated.
    #[arg(long, value_name = "KEYID")]
    pub(crate) break_glass: Vec<KeyPrefix>,
    /// Rebuild a SQLite file afterwards, so that nothing of what was replaced remains in its free pages and its write-ahead log. After
    /// values were sealed for the first time it is always done.
    #[arg(long)]
    pub(crate) vacuum: bool,
    /// Print the report as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// No progress and no summary; errors only.
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

const DEFAULT_TIME: u64 = 500;
const DEFAULT_LEASE: u64 = 60;
const DEFAULT_ROWS: NonZeroUsize = match NonZeroUsize::new(10_000) {
    Some(rows) => rows,
    None => NonZeroUsize::MIN,
};

/// What surrounds a run that is driven.
pub(crate) struct Drive<'a> {
    pub(crate) ui: &'a Ui,
    pub(crate) args: &'a DriveArgs,
    pub(crate) verb: &'static str,
    pub(crate) place: &'a Place,
    /// The keyring as an argument of a further command.
    pub(crate) keyring: String,
    pub(crate) stop: &'a Stop,
}

impl DriveArgs {
    /// The defaults of every verb, with what verbs over files have too.
    pub(crate) fn plain(
        jobs: Option<NonZeroUsize>,
        break_glass: &[KeyPrefix],
        json: bool,
        quiet: bool,
    ) -> Self {
        Self {
            rate: None,
            jobs,
            lanes: NonZeroUsize::MIN,
            batch_rows: DEFAULT_ROWS,
            batch_time: DEFAULT_TIME,
            lease: DEFAULT_LEASE,
            break_glass: break_glass.to_vec(),
            vacuum: false,
            json,
            quiet,
        }
    }

    /// Threads that seal.
    pub(crate) fn threads(&self) -> Result<NonZeroUsize> {
        let threads =
            self.jobs.unwrap_or_else(|| thread::available_parallelism().unwrap_or(NonZeroUsize::MIN));
        if threads.get() > MOST || self.lanes.get() > MOST {
            return Err(Fault::new(format!("--jobs or --lanes is more than {MOST}"))
                .help("more threads than processors gain nothing"));
        }
        Ok(threads)
    }

    /// The options of the engine.
    pub(crate) fn options<'a>(&self, stop: &'a AtomicBool, take_over: bool) -> Result<RunOptions<'a>> {
        let mut options = RunOptions::new(stop);
        options.lanes = self.lanes;
        options.threads = self.threads()?;
        options.batch_rows = (FEWEST_ROWS.min(self.batch_rows.get()), self.batch_rows.get());
        options.batch_time = Duration::from_millis(self.batch_time);
        options.cap = self.rate;
        options.lease = Lease::new(Duration::from_secs(self.lease))?;
        options.take_over = take_over;
        Ok(options)
    }
}

/// How a run that was driven ended, with its report if it is over.
pub(crate) struct Driven {
    pub(crate) outcome: Outcome,
    pub(crate) report: Option<Box<RunReport>>,
}

impl Drive<'_> {
    /// Drives a run until it ends or is stopped. A run that was stopped is a fault: what follows it in a script should not.
    pub(crate) fn go<S: Store>(&self, store: &S, runner: &Runner<'_, S>, run: RunId) -> Result<Driven> {
        let fault = |error| self.place.fault(error);
        let id = run.to_string();
        // Every row is met twice.
        let rows = if self.args.quiet {
            None
        } else {
            Some(store.connect().and_then(|mut lane| lane.count()).map_err(fault)?)
        };
        let watch = Watch::new(self.ui, self.verb, self.args.quiet, rows.map(|rows| rows.saturating_mul(2)));
        let ended = runner.go(&id, &watch);
        watch.finish();
        match ended.map_err(|error| self.stopped_by(error, &id))? {
            Ended::Done(report) => {
                let mut lane = store.connect().map_err(fault)?;
                if report.worked.changes() {
                    lane.advice().map_err(fault)?.iter().for_each(|advice| self.ui.warn(advice));
                }
                let mut journal = Journal::new(&mut lane);
                let refused = journal.refused_rows(&id).map_err(fault)?;
                let run = journal.run(&id).map_err(fault)?;
                let told = report::Told::new(&run, &mut lane, refused, self.place)?;
                if self.args.json {
                    self.ui.json(&told)?;
                } else if !self.args.quiet {
                    told.lines().iter().for_each(|line| self.ui.note(line));
                }
                Ok(Driven { outcome: told.outcome(), report: Some(report) })
            }
            Ended::Cancelled(_) => {
                Err(Fault::new(format!("run {id} was cancelled; what it has done stays done"))
                    .help(format!("see what that is: amanat report {}", self.place.name())))
            }
            _ if self.stop.is_asked() => {
                let fault = self.stop.fault(&format!("run {id} is not at its end; every row is readable"));
                Err(fault.help(format!("go on: {}", self.resume())))
            }
            _ => Err(Fault::new(format!("run {id} was paused before its end; every row is readable"))
                .help(format!("go on: {}", self.resume()))),
        }
    }

    /// How the run is resumed.
    fn resume(&self) -> String {
        format!("amanat resume {} --keyring {}", self.place.name(), self.keyring)
    }

    /// An error that has stopped a run: the run waits in the journal.
    fn stopped_by(&self, error: amanat::Error, id: &str) -> Fault {
        let owned = error.message().contains("sign of life");
        let fault = self.place.fault(error);
        if owned {
            return fault.help(format!(
                "pause it: amanat pause {}; or, if its process is dead: {} --take-over",
                self.place.name(),
                self.resume()
            ));
        }
        fault.help(format!("nothing is lost; when the cause is gone, go on with run {id}: {}", self.resume()))
    }
}

/// Tells what happens in a run.
pub(crate) struct Watch<'a> {
    ui: &'a Ui,
    quiet: bool,
    seen: Mutex<Seen<'a>>,
}

struct Seen<'a> {
    progress: Progress<'a>,
    /// Rows of this process, and of the run.
    rows: u64,
    steps: u64,
    told: u64,
}

impl<'a> Watch<'a> {
    pub(crate) fn new(ui: &'a Ui, verb: &'static str, quiet: bool, total: Option<u64>) -> Self {
        let progress = Progress::new(ui, verb, quiet, total);
        Self { ui, quiet, seen: Mutex::new(Seen { progress, rows: 0, steps: 0, told: 0 }) }
    }

    pub(crate) fn finish(&self) {
        self.with(|seen| {
            seen.progress.finish();
        });
    }

    fn with(&self, work: impl FnOnce(&mut Seen<'a>)) {
        // A thread that panicked here has spoiled nothing but the drawing.
        work(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl RunObserver for Watch<'_> {
    fn step(&self, step: &Step<'_>) -> amanat::Result<()> {
        self.with(|seen| match step {
            Step::Claimed(run) => {
                let report = RunReport::of(run, run.phase);
                seen.steps = report.worked.rows + report.checked.rows;
                seen.progress.begin_at(seen.steps);
                if !self.quiet {
                    let at = if seen.steps > 0 {
                        format!(", {} worked on before", count(report.worked.rows, "row"))
                    } else {
                        String::new()
                    };
                    self.ui.note(format!("run {} of {} begins{at}", run.plan.id, run.plan.store_table));
                }
            }
            Step::Batch(counts, _) => {
                seen.rows += counts.rows;
                seen.steps += counts.rows;
                seen.progress.tell(seen.rows, seen.steps);
            }
            Step::Refused(fault) => {
                seen.told += 1;
                if !self.quiet && seen.told <= TOLD {
                    seen.progress.finish();
                    self.ui.warn(fault.to_string());
                }
            }
            Step::Again(error) => {
                seen.progress.finish();
                self.ui.warn(format!("{error}; it is tried again"));
            }
            Step::Phase(phase) if !self.quiet && matches!(phase, Phase::Verifying) => {
                seen.progress.finish();
                self.ui.note("every row was worked on; all are read again and checked");
            }
            _ => {}
        });
        Ok(())
    }
}
