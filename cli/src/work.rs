// SPDX-License-Identifier: MIT OR Apache-2.0
//! What `protect` and `reveal` have in common: their arguments, the files they work on, and the run itself.
//!
//! Owns the rules for outputs: whole or not at all, never over the input, never over another file unless told to.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use amanat::Name;
use amanat::error::{Error, Kind};
use amanat::schema::{FieldPolicy, TableSchema, TokenPolicy};
use amanat_stores::sqlite::{self, Cleaning};
use amanat_stores::{
    Access, Effort, KeyringSession, Observer, PartFile, Plan, RowNumbers, Start, Tally, Task, Work, file_run,
    parquet_file,
};

use crate::exceptions::{self, Exceptions};
use crate::fault::{Fault, Outcome, Result};
use crate::file_work::{DelimiterArg, FileDone, FileJob, FileWish, Unplaced};
use crate::foreign::{self, ForeignField};
use crate::keys::KeyPrefix;
use crate::progress::Progress;
use crate::report::Report;
use crate::run;
use crate::schema;
use crate::stop::Stop;
use crate::store::{self, Format, is_dash};
use crate::ui::Ui;
use crate::unlock::{self, UnlockArgs, keyring_fault};

/// Most threads that may be asked for.
const MAX_JOBS: usize = 256;

/// Refused rows that are told on standard error; the exceptions file has all of them.
const TOLD: u64 = 5;

/// Arguments of both verbs.
#[derive(clap::Args)]
pub(crate) struct WorkArgs {
    /// CSV, JSON Lines, Parquet or SQLite file; `-` is standard input. Or the address of a PostgreSQL database: `postgres://user@host/database`.
    #[arg(value_name = "INPUT")]
    input: PathBuf,
    #[command(flatten)]
    door: run::DoorArgs,
    /// File to write, which appears whole or not at all; `-`, or nothing, is standard output.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    unlock: UnlockArgs,
    /// The schema file.
    #[arg(long, value_name = "FILE")]
    schema: PathBuf,
    /// Table of the schema; may be left out if it has only one.
    #[arg(long, value_name = "NAME")]
    table: Option<String>,
    /// Format of input and output, if the ending of the file's name does not say it.
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<Format>,
    /// What separates the cells of a CSV file, in input and output.
    #[arg(long, value_enum, value_name = "NAME")]
    delimiter: Option<DelimiterArg>,
    /// Table of the database, if it has another name than that of the schema.
    #[arg(long, value_name = "NAME")]
    sql_table: Option<String>,
    /// Threads that seal or open; as many as there are processors if not given.
    #[arg(long, value_name = "N")]
    jobs: Option<NonZeroUsize>,
    /// File for rows that are refused: row number, field and reason, never a value. Made only if there are some.
    #[arg(long, value_name = "FILE")]
    exceptions: Option<PathBuf>,
    /// Open with this suspended or compromised key too, named by its id or at least 4 of the id's first digits; may be repeated.
    #[arg(long, value_name = "KEYID")]
    break_glass: Vec<KeyPrefix>,
    /// Overwrite an output or exceptions file that exists.
    #[arg(long)]
    force: bool,
    /// Report as JSON: on standard output, or on standard error if the rows go to standard output.
    #[arg(long)]
    json: bool,
    /// No progress and no summary; errors only.
    #[arg(short, long)]
    quiet: bool,
}

/// What a verb asks for beyond [`WorkArgs`].
#[derive(Clone, Copy)]
pub(crate) struct Wish<'a> {
    pub(crate) verb: &'static str,
    pub(crate) task: Task<'a>,
    pub(crate) cleaning: Cleaning,
    /// Indexes and tokens to make anew.
    pub(crate) remake: &'a [Name],
    /// Fields whose values another tool sealed.
    pub(crate) from: &'a [ForeignField],
    /// Take an unfinished run from a process that is dead.
    pub(crate) take_over: bool,
    pub(crate) files: FileWish<'a>,
}

/// What the arguments mean, checked.
struct Run<'a> {
    format: Format,
    plan: Plan<'a>,
    wish: Wish<'a>,
    sql_table: &'a str,
    schema: &'a str,
    target: &'a Target,
}

/// Where rows go.
enum Target {
    /// Nowhere, or into the input itself.
    None,
    /// A file in the place of the input.
    InPlace,
    Stdout,
    File(PathBuf),
}

/// What a run gives.
struct Done {
    tally: Tally,
    warnings: Vec<String>,
    /// The output, whole but not yet in place.
    output: Unplaced,
}

impl WorkArgs {
    /// Turns the arguments into a plan, runs it, and tells what was done.
    pub(crate) fn run(&self, ui: &Ui, wish: Wish<'_>) -> Result<Outcome> {
        if let Some(address) = self.input.to_str().filter(|input| run::postgres_address(input).is_some()) {
            return self.run_postgres(ui, wish, address);
        }
        let format = self.format()?;
        if !wish.from.is_empty() && format != Format::Sqlite {
            return Err(Fault::new("--from is for tables of SQLite and PostgreSQL; values of other tools are not opened in files")
                .help("load the file into a SQLite table, and protect that; or open the values with the other tool first"));
        }
        if wish.take_over && format != Format::Sqlite {
            return Err(Fault::new("--take-over is for tables of databases; leave it out"));
        }
        let target = self.target(format, wish)?;
        let exceptions_path = self.exceptions_path(&target, wish)?;
        let schema_bytes = schema::read_bytes(&self.schema)?;
        let schema = schema::parse(&self.schema, schema_bytes.clone())?;
        let schema_text = String::from_utf8_lossy(&schema_bytes);
        let table = store::table(&schema, self.table.as_deref(), &self.schema)?;
        let (keyring, kek) = (self.unlock.path(), self.unlock.kek()?);
        let session = KeyringSession::unlock(&keyring, &*kek, &unlock::now);
        let session = session.map_err(|error| keyring_fault(error, &keyring))?;
        let session = self.break_glass(ui, session)?;
        check_remade(table, wish.remake)?;
        let session = session.with_remade(wish.remake.to_vec());
        let work = foreign::openers(Work::default(), wish.from, table, self.sql_table.as_deref())?;
        let session = session.with_work(Arc::new(work));
        let jobs = self.jobs()?;
        let plan = Plan { session: &session, table, task: wish.task, jobs };
        let sql_table = self.sql_table.as_deref().unwrap_or(table.name().as_str());
        let total = if self.quiet { None } else { self.total(format, plan, sql_table)? };
        let progress = Progress::new(ui, wish.verb, self.quiet, total);
        let mut watcher = Watcher::new(ui, progress, exceptions_path, self.quiet);
        watcher.by_rows = format == Format::Sqlite;
        let run = Run { format, plan, wish, sql_table, schema: &schema_text, target: &target };
        let ran = self.execute(&run, &mut watcher);
        let elapsed = watcher.progress.finish();
        // Whatever came of the run, nothing seals any more, and what was refused is worth knowing.
        if let Err(error) = session.give_back() {
            ui.warn(format!("messages that were reserved and not sealed stay counted: {error}"));
        }
        let listed = watcher.exceptions.finish();
        let Done { tally, warnings, output } = ran?;
        let exceptions = listed?;
        let is_replaced = matches!((&target, &output), (Target::InPlace, Unplaced::Run(_)));
        // Only now: an output that lacks refused rows never stands there without their list.
        output.place()?;
        let report = Report {
            verb: wish.verb,
            table: table.name().as_str(),
            dry_run: is_dry(wish),
            primary: session.primary(),
            tally: &tally,
            elapsed,
            output: match &target {
                Target::File(path) => Some(path),
                Target::InPlace => Some(self.input.as_path()).filter(|_| is_replaced),
                Target::None | Target::Stdout => None,
            },
            in_place: format == Format::Sqlite || matches!(target, Target::InPlace),
            exceptions: exceptions.as_deref(),
            warnings: &warnings,
        };
        self.tell(ui, &report, &target)?;
        Ok(report.outcome())
    }

    fn jobs(&self) -> Result<NonZeroUsize> {
        let jobs = self.jobs.unwrap_or_else(|| thread::available_parallelism().unwrap_or(NonZeroUsize::MIN));
        if jobs.get() > MAX_JOBS {
            return Err(Fault::new(format!("--jobs is more than {MAX_JOBS}"))
                .help("more threads than processors gain nothing"));
        }
        Ok(jobs)
    }

    /// Protects a table of a PostgreSQL server: a run that can be paused and resumed. Or reveals it into a file.
    fn run_postgres(&self, ui: &Ui, wish: Wish<'_>, address: &str) -> Result<Outcome> {
        let Some((effort, source)) = wish.task.protecting() else {
            return self.reveal_postgres(ui, wish, address);
        };
        if self.output.is_some() || self.exceptions.is_some() {
            return Err(Fault::new(
                "a table of a PostgreSQL server is protected in place, and its journal lists refused rows",
            )
            .help("leave out --output and --exceptions; afterwards: amanat exceptions STORE"));
        }
        let place = self.door.place(address, ui)?;
        if wish.take_over {
            return Err(Fault::new("a run over a table of a server is taken over by whoever resumes it")
                .help(format!("amanat resume {} --keyring FILE --take-over", place.name())));
        }
        let (_, schema) = run::read_schema(&self.schema)?;
        let table = store::table(&schema, self.table.as_deref(), &self.schema)?;
        let work = foreign::openers(Work::default(), wish.from, table, self.sql_table.as_deref())?;
        let place = place.with_work(&Arc::new(work));
        let start = run::Start {
            verb: amanat::rotate::Verb::Protect,
            source: match source {
                amanat_stores::Source::SealedOnly => amanat::rotate::RunSource::Sealed,
                _ => amanat::rotate::RunSource::Any,
            },
            place: &place,
            sql_table: self.sql_table.as_deref(),
            unlock: &self.unlock,
            schema: &self.schema,
            former: None,
            table: self.table.as_deref(),
            new_keys: &[],
            remake: wish.remake,
            drive: &run::DriveArgs::plain(self.jobs, &self.break_glass, self.json, self.quiet),
        };
        if effort == Effort::DryRun { run::dry_run(ui, &start, false) } else { run::start(ui, &start) }
    }

    /// Writes the rows of a table of a PostgreSQL server to a file, opened.
    fn reveal_postgres(&self, ui: &Ui, wish: Wish<'_>, address: &str) -> Result<Outcome> {
        let place = self.door.place(address, ui)?;
        let by_output = || self.output.as_deref().and_then(Format::by_ending);
        let format = self.format.or_else(by_output).ok_or_else(|| {
            Fault::new("the name of the output does not say its format")
                .help("name it: --format csv or jsonl")
        })?;
        if !matches!(format, Format::Csv | Format::Jsonl) {
            return Err(Fault::new("a table of a PostgreSQL server is revealed into CSV or JSON Lines")
                .help("name the output so, or its format: --format csv"));
        }
        let form = DelimiterArg::form(self.delimiter, format)?;
        let target = self.target(format, wish)?;
        let exceptions_path = match (&self.exceptions, &target) {
            (None, Target::Stdout) => Some(exceptions::default_path(None)),
            _ => self.exceptions_path(&target, wish)?,
        };
        let (_, schema) = run::read_schema(&self.schema)?;
        let table = store::table(&schema, self.table.as_deref(), &self.schema)?;
        let (keyring, kek) = (self.unlock.path(), self.unlock.kek()?);
        let session = KeyringSession::unlock(&keyring, &*kek, &unlock::now);
        let session = session.map_err(|error| keyring_fault(error, &keyring))?;
        let session = self.break_glass(ui, session)?;
        let plan = Plan { session: &session, table, task: wish.task, jobs: self.jobs()? };
        let output = if let Target::File(path) = &target { Some(path) } else { None };
        let mut watcher =
            Watcher::new(ui, Progress::new(ui, wish.verb, self.quiet, None), exceptions_path, self.quiet);
        watcher.stop = Some(Stop::listen()?);
        let mut part = output.map(|path| PartFile::create(path, Access::Owner)).transpose()?;
        let mut stdout = io::stdout();
        let writer: &mut dyn Write = match part.as_mut() {
            Some(part) => part,
            None => &mut stdout,
        };
        let ran = place.reveal(plan, self.sql_table.as_deref(), (form, writer), &mut watcher);
        let elapsed = watcher.progress.finish();
        if ran.is_ok() && watcher.stops() {
            return Err(watcher.stopped("what was written so far is removed").help("run again"));
        }
        let listed = watcher.exceptions.finish();
        let (tally, exceptions) = (ran?, listed?);
        if let Some(part) = part {
            part.commit()?;
        }
        let report = Report {
            verb: wish.verb,
            table: table.name().as_str(),
            dry_run: false,
            primary: session.primary(),
            tally: &tally,
            elapsed,
            output: output.map(PathBuf::as_path),
            in_place: false,
            exceptions: exceptions.as_deref(),
            warnings: &[],
        };
        self.tell(ui, &report, &target)?;
        Ok(report.outcome())
    }

    /// Lets the keys open that were named for it. Whoever reads the messages learns of each, `--quiet` or not.
    fn break_glass<'a>(&self, ui: &Ui, session: KeyringSession<'a>) -> Result<KeyringSession<'a>> {
        let (keys, mut named) = (session.field_keys(), Vec::new());
        for prefix in &self.break_glass {
            let key = prefix.find(keys.iter())?;
            ui.warn(format!(
                "breaking the glass: key {} is {} and opens in this run",
                key.id.short(),
                key.state
            ));
            named.push(key.id);
        }
        Ok(session.with_break_glass(named))
    }

    fn execute(&self, run: &Run<'_>, watcher: &mut Watcher<'_>) -> Result<Done> {
        match run.format {
            Format::Sqlite => self.execute_sqlite(run, watcher),
            Format::Csv | Format::Jsonl => self.execute_rows(run, watcher),
            Format::Parquet => self.execute_parquet(run, watcher),
        }
    }

    fn execute_sqlite(&self, run: &Run<'_>, watcher: &mut Watcher<'_>) -> Result<Done> {
        let (plan, table) = (run.plan, run.sql_table);
        if run.wish.take_over {
            run::take_over(&self.input, table)?;
        }
        let report = match run.target {
            Target::File(copy) => sqlite::reveal(plan, &self.input, table, copy, watcher),
            _ => sqlite::protect(plan, &self.input, table, run.wish.cleaning, watcher),
        };
        let report = report.map_err(|error| self.fault(error))?;
        Ok(Done { tally: report.tally, warnings: report.warnings, output: Unplaced::Nothing })
    }

    /// Passes the rows of a file: from file to file so that a run can be gone on with, else in one go.
    fn execute_rows(&self, run: &Run<'_>, watcher: &mut Watcher<'_>) -> Result<Done> {
        let form = DelimiterArg::form(self.delimiter, run.format)?;
        let (protects, wish) = (run.wish.verb == "protect", run.wish.files);
        let output = match run.target {
            Target::File(path) => Some(path.as_path()),
            _ => None,
        };
        if output.is_some() || matches!(run.target, Target::InPlace) {
            watcher.stop = Some(Stop::listen()?);
        }
        let is_file = std::fs::metadata(&self.input).is_ok_and(|metadata| metadata.is_file());
        if protects && watcher.stop.is_some() && is_file && !is_dash(&self.input) {
            let job = FileJob {
                wish,
                input: &self.input,
                output,
                form,
                schema: run.schema,
                remade: run.wish.remake,
                force: self.force,
            };
            let FileDone { tally, warnings, run } = job.run(run.plan, watcher)?;
            return Ok(Done { tally, warnings, output: run.map_or(Unplaced::Nothing, Unplaced::Run) });
        }
        if wish.start == Start::Resume || wish.in_place {
            return Err(Fault::new(format!("{} is no ordinary file", self.input.display()))
                .help("a run over it can be neither gone on with nor put in its place"));
        }
        let access = if protects { Access::Default } else { Access::Owner };
        if let Some(journal) = output.map(file_run::unfinished).transpose()?.flatten() {
            return Err(Fault::new("an earlier run of protect into the same output was stopped").help(
                format!(
                    "finish it: protect --resume; or remove {} and with it what that run has done",
                    journal.display()
                ),
            ));
        }
        let mut part = output.map(|path| PartFile::create(path, access)).transpose()?;
        let mut stdout = io::stdout();
        let writer: Option<&mut dyn Write> = match run.target {
            Target::None | Target::InPlace => None,
            Target::Stdout => Some(&mut stdout),
            Target::File(_) => part.as_mut().map(|part| part as &mut dyn Write),
        };
        let only = wish.only.map(exceptions::rows).transpose()?;
        let passed = file_run::pass(run.plan, (&form, only.as_ref()), self.open_input()?, writer, watcher);
        let tally = passed.map_err(|error| self.stopped_or(error, watcher))?;
        self.all_found(only.as_ref(), &tally)?;
        Ok(Done { tally, warnings: Vec::new(), output: part.map_or(Unplaced::Nothing, Unplaced::Part) })
    }

    /// Writes a Parquet file anew.
    fn execute_parquet(&self, run: &Run<'_>, watcher: &mut Watcher<'_>) -> Result<Done> {
        DelimiterArg::form(self.delimiter, run.format)?;
        let input = store::open_file(&self.input)?;
        let access = if run.wish.verb == "protect" { Access::Default } else { Access::Owner };
        let mut part = match run.target {
            Target::File(path) => Some(PartFile::create(path, access)?),
            _ => None,
        };
        watcher.stop = part.as_ref().map(|_| Stop::listen()).transpose()?;
        let mut stdout = io::stdout();
        let writer: Option<&mut (dyn Write + Send)> = match run.target {
            Target::None | Target::InPlace => None,
            Target::Stdout => Some(&mut stdout),
            Target::File(_) => part.as_mut().map(|part| part as &mut (dyn Write + Send)),
        };
        let tally = parquet_file::run(run.plan, input, writer, watcher);
        let tally = tally.map_err(|error| self.stopped_or(error, watcher))?;
        Ok(Done { tally, warnings: Vec::new(), output: part.map_or(Unplaced::Nothing, Unplaced::Part) })
    }

    /// An error of a run whose output cannot be gone on with.
    fn stopped_or(&self, error: Error, watcher: &Watcher<'_>) -> Fault {
        if watcher.stops() {
            return watcher.stopped("what was written so far is removed").help("run again");
        }
        self.fault(error)
    }

    /// Every row that was asked for is in the input.
    fn all_found(&self, only: Option<&RowNumbers>, tally: &Tally) -> Result<()> {
        match only.map(RowNumbers::count).filter(|wanted| *wanted != tally.rows) {
            None => Ok(()),
            Some(wanted) => Err(Fault::new(format!(
                "{} has only {} of the {wanted} rows that --only lists",
                self.input.display(),
                tally.rows
            ))),
        }
    }

    fn open_input(&self) -> Result<Box<dyn Read + Send>> {
        if is_dash(&self.input) {
            return Ok(Box::new(io::stdin()));
        }
        let file = File::open(&self.input).map_err(|error| Fault::file("read", &self.input, &error))?;
        Ok(Box::new(file))
    }

    /// An error of a run: one of the data names the input, a closed pipe is told from a full disk.
    fn fault(&self, error: Error) -> Fault {
        let source = std::error::Error::source(&error).and_then(|source| source.downcast_ref::<io::Error>());
        if let Some(source) = source.filter(|source| source.kind() == io::ErrorKind::BrokenPipe) {
            return Fault::stdout(source);
        }
        let of_data =
            matches!(error.kind(), Kind::Schema | Kind::Malformed | Kind::Store) && !is_dash(&self.input);
        let fault = Fault::from(error);
        if of_data { fault.about(self.input.display()) } else { fault }
    }

    fn format(&self) -> Result<Format> {
        self.door.is_of_server(false)?;
        let by_output = || self.output.as_deref().and_then(Format::by_ending);
        Format::of(self.format, &self.input, by_output)
    }

    fn target(&self, format: Format, wish: Wish<'_>) -> Result<Target> {
        let output = self.output.as_deref().filter(|path| !is_dash(path));
        wish.files.check(format, &self.input, output.is_some())?;
        if is_dry(wish) {
            return Ok(Target::None);
        }
        if wish.files.in_place {
            if let Some(keep) = wish.files.keep {
                self.is_no_source(keep, "name to keep the input under", wish)?;
            }
            return Ok(Target::InPlace);
        }
        match (format, wish.verb, output) {
            (Format::Sqlite, "protect", None) if self.output.is_none() => Ok(Target::None),
            (Format::Sqlite, "protect", _) => Err(Fault::new("a SQLite file is protected in place")
                .help("leave out --output; to keep the plain file, copy it first")),
            (Format::Sqlite, _, None) => {
                Err(Fault::new("a SQLite file is revealed into a copy, never in place")
                    .help("name the copy: --output FILE"))
            }
            (_, _, Some(path)) => self.output_file(path, wish),
            (_, _, None) if io::stdout().is_terminal() => {
                Err(Fault::new("the rows would go to the terminal")
                    .help("name a file: --output FILE; or pipe them on"))
            }
            _ => Ok(Target::Stdout),
        }
    }

    fn output_file(&self, path: &Path, wish: Wish<'_>) -> Result<Target> {
        self.is_no_source(path, "output", wish)?;
        // A run that is gone on with may have put it there.
        if wish.files.start != Start::Resume {
            self.may_write(path, "output")?;
        }
        Ok(Target::File(path.to_path_buf()))
    }

    /// Where refused rows are listed. The list of an earlier run, under the name that this program gives it, is replaced.
    fn exceptions_path(&self, target: &Target, wish: Wish<'_>) -> Result<Option<PathBuf>> {
        let output = if let Target::File(path) = target { Some(path.as_path()) } else { None };
        let beside = output.or(Some(self.input.as_path()).filter(|path| !is_dash(path)));
        let path = match &self.exceptions {
            Some(path) => path.clone(),
            None if is_dry(wish) => return Ok(None),
            None => exceptions::default_path(beside),
        };
        self.is_no_source(&path, "exceptions file", wish)?;
        if output.is_some_and(|output| is_same(output, &path)) {
            return Err(at_once(&path, "output", "exceptions file"));
        }
        if wish.files.keep.is_some_and(|keep| is_same(keep, &path)) {
            return Err(at_once(&path, "name to keep the input under", "exceptions file"));
        }
        if self.exceptions.is_some() && wish.files.start != Start::Resume {
            self.may_write(&path, "exceptions file")?;
        }
        Ok(Some(path))
    }

    /// Refuses to write over a file that the run reads, whatever `--force` says.
    fn is_no_source(&self, path: &Path, role: &str, wish: Wish<'_>) -> Result<()> {
        let keyring = self.unlock.sources();
        let mut sources = vec![("input", self.input.as_path()), ("schema", self.schema.as_path())];
        sources.extend(wish.files.only.map(|list| ("list of --only", list)));
        sources.extend(keyring.iter().map(|(role, path)| (*role, path.as_path())));
        is_no_source(path, role, &sources)
    }

    fn may_write(&self, path: &Path, role: &str) -> Result<()> {
        may_write(path, role, self.force)
    }

    /// Steps of the run, for the time that is left: rows of a table, bytes of a file.
    fn total(&self, format: Format, plan: Plan<'_>, sql_table: &str) -> Result<Option<u64>> {
        if format == Format::Sqlite {
            return sqlite::count(plan, &self.input, sql_table).map(Some).map_err(|error| self.fault(error));
        }
        let file = std::fs::metadata(&self.input).ok().filter(std::fs::Metadata::is_file);
        Ok(file.filter(|_| !is_dash(&self.input)).map(|file| file.len()))
    }

    fn tell(&self, ui: &Ui, report: &Report<'_>, target: &Target) -> Result<()> {
        for warning in report.warnings {
            ui.warn(warning);
        }
        if self.json {
            let json = report.json().map_err(|_| Fault::new("the report cannot be written as JSON"))?;
            return if matches!(target, Target::Stdout) {
                ui.note(json);
                Ok(())
            } else {
                ui.line(json)
            };
        }
        if !self.quiet {
            report.lines().iter().for_each(|line| ui.note(line));
        }
        Ok(())
    }
}

/// Passes on what happens during a run.
pub(crate) struct Watcher<'a> {
    ui: &'a Ui,
    pub(crate) progress: Progress<'a>,
    pub(crate) exceptions: Exceptions,
    /// Whether a signal came, for runs that end at a batch.
    pub(crate) stop: Option<Stop>,
    by_rows: bool,
    quiet: bool,
    told: u64,
}

impl<'a> Watcher<'a> {
    /// Lists refused rows at a path, if there is one, and tells the first of them unless it shall be quiet. Counts progress in rows.
    pub(crate) fn new(ui: &'a Ui, progress: Progress<'a>, exceptions: Option<PathBuf>, quiet: bool) -> Self {
        Self {
            ui,
            progress,
            exceptions: Exceptions::new(exceptions),
            stop: None,
            by_rows: true,
            quiet,
            told: 0,
        }
    }

    /// Tells people something, unless it shall be quiet.
    pub(crate) fn say(&self, text: impl AsRef<str>) {
        if !self.quiet {
            self.ui.note(text);
        }
    }

    /// A run that a signal has ended.
    pub(crate) fn stopped(&self, message: &str) -> Fault {
        self.stop.as_ref().map_or_else(|| Fault::new(message), |stop| stop.fault(message))
    }
}

impl Observer for Watcher<'_> {
    fn refused(&mut self, fault: &Error) -> amanat::Result<()> {
        self.told += 1;
        if !self.quiet && self.told <= TOLD {
            self.progress.finish();
            self.ui.warn(fault.to_string());
        }
        self.exceptions.add(fault)
    }

    fn progress(&mut self, rows: u64, input_bytes: u64) {
        self.progress.tell(rows, if self.by_rows { rows } else { input_bytes });
    }

    fn stops(&self) -> bool {
        self.stop.as_ref().is_some_and(Stop::is_asked)
    }
}

/// Refuses to write over one of the files that a run reads.
pub(crate) fn is_no_source(path: &Path, role: &str, sources: &[(&str, &Path)]) -> Result<()> {
    let source = sources.iter().find(|(_, source)| !is_dash(source) && is_same(source, path));
    source.map_or(Ok(()), |(source, _)| Err(at_once(path, source, role)))
}

/// Refuses to write over another file unless told to.
pub(crate) fn may_write(path: &Path, role: &str, force: bool) -> Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if !found.is_file() => {
            Err(Fault::new(format!("{} is there already and is no ordinary file", path.display())))
        }
        Ok(_) if !force => Err(Fault::new(format!("{} is there already", path.display()))
            .help(format!("name another {role}, or overwrite it with --force"))),
        _ => Ok(()),
    }
}

/// Whether two paths name one file, which need not be there yet.
pub(crate) fn is_same(left: &Path, right: &Path) -> bool {
    let place = |path: &Path| {
        std::fs::canonicalize(path).ok().or_else(|| {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            let folder = std::fs::canonicalize(folder.unwrap_or(Path::new("."))).ok()?;
            Some(folder.join(path.file_name()?))
        })
    };
    left == right || place(left).zip(place(right)).is_some_and(|(left, right)| left == right)
}

pub(crate) fn at_once(path: &Path, one: &str, other: &str) -> Fault {
    Fault::new(format!("{} is {one} and {other} at once", path.display()))
        .help("write to another file, look at it, then replace the first")
}

/// Every name is that of a sealed field, index or kept token of the table.
pub(crate) fn check_remade(table: &TableSchema, names: &[Name]) -> Result<()> {
    let indexes = table.indexes().iter().map(|index| index.spec().name());
    let tokens = table.tokens().iter().filter(|token| token.column().is_some()).map(TokenPolicy::name);
    let sealed = table.sealed().map(FieldPolicy::name);
    let known: Vec<&Name> = sealed.chain(indexes).chain(tokens).collect();
    match names.iter().find(|name| !known.contains(name)) {
        None => Ok(()),
        Some(name) => {
            let known: Vec<&str> = known.iter().map(|name| name.as_str()).collect();
            let has = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            Err(Fault::new(format!(
                "table `{}` has no sealed field, index or kept token `{name}`",
                table.name()
            ))
            .help(format!("it has: {has}")))
        }
    }
}

const fn is_dry(wish: Wish<'_>) -> bool {
    matches!(wish.task.protecting(), Some((Effort::DryRun, _)))
}
