// SPDX-License-Identifier: MIT OR Apache-2.0
//! Plans a run over a table of a database and drives it; or resumes one.
//!
//! Owns the order: table and journal are looked at first, then new keys are made durable, then the run is planned. Never makes a key for a run
//! that cannot begin.

use std::path::Path;
use std::sync::Arc;

use amanat::keys::{DEFAULT_CRYPTOPERIOD_DAYS, Kek, Purpose};
use amanat::rotate::{Lease, RunId, RunPlan, RunSource, Verb};
use amanat::{KeyId, Name, Schema, TableSchema};
use amanat_stores::run::journal::{Journal, Run};
use amanat_stores::run::{Lane as _, RunReport, Runner, Store};
use amanat_stores::sqlite::{self, Cleaning};
use amanat_stores::{KeyringPath, KeyringSession, Source};

use super::drive::{Drive, DriveArgs, Driven, Watch};
use super::find::{Which, find};
use super::place::{Mode, OverStore, Place};
use crate::fault::{Fault, Outcome, Result};
use crate::keys::{self, break_glass};
use crate::stop::Stop;
use crate::text::count;
use crate::ui::Ui;
use crate::unlock::{UnlockArgs, keyring_fault, now};
use crate::{schema, store, work};

/// A run that is to be started.
pub(crate) struct Start<'a> {
    pub(crate) verb: Verb,
    pub(crate) source: RunSource,
    pub(crate) place: &'a Place,
    /// Name of the table in the database, if it is not that of the schema.
    pub(crate) sql_table: Option<&'a str>,
    pub(crate) unlock: &'a UnlockArgs,
    pub(crate) schema: &'a Path,
    /// Text of the schema file that rows come from, if it is another.
    pub(crate) former: Option<&'a str>,
    /// Table of the schema, if it has several.
    pub(crate) table: Option<&'a str>,
    /// Purposes of keys to be made first.
    pub(crate) new_keys: &'a [Purpose],
    /// Fields, indexes and kept tokens that are made anew in every row.
    pub(crate) remake: &'a [Name],
    pub(crate) drive: &'a DriveArgs,
}

/// Plans a run and drives it to its end.
pub(crate) fn start(ui: &Ui, start: &Start<'_>) -> Result<Outcome> {
    let (text, schema) = read_schema(start.schema)?;
    let table = store::table(&schema, start.table, start.schema)?;
    work::check_remade(table, start.remake)?;
    let place = start.place;
    place.over(start.sql_table, table, Mode::Read, Ready { place, keyring: start.unlock })?;
    let (keyring, kek) = (start.unlock.path(), start.unlock.kek()?);
    let made = make_keys(&keyring, &*kek, start.new_keys)?;
    for (purpose, id) in made.iter().filter(|_| !start.drive.quiet) {
        ui.note(format!(
            "new {purpose} key {} is in the keyring and primary; back the keyring up",
            id.short()
        ));
    }
    if let Some(generation) =
        keys::generation(start.unlock).filter(|_| !made.is_empty() && !start.drive.quiet)
    {
        ui.note(format!(
            "applications must have generation {generation} of the keyring, or a later one, to read what it seals; the order of steps where they \
             have copies of it: amanat keys introduce --help"
        ));
    }
    let session = KeyringSession::unlock(&keyring, &*kek, &now);
    let session = session.map_err(|error| keyring_fault(error, &keyring))?;
    let session = break_glass(ui, session, &start.drive.break_glass)?.with_remade(start.remake.to_vec());
    let session = session.with_work(Arc::clone(start.place.work()));
    let plan = RunPlan {
        id: RunId::random()?,
        verb: start.verb,
        registry: session.with_keyring(|keyring| Ok(keyring.registry().clone()))?,
        table: table.name().clone(),
        store_table: String::new(),
        schema: text,
        former_schema: start.former.map(str::to_owned),
        source: start.source,
        remade: start.remake.to_vec(),
        foreign: session.work().foreign(),
        primary: session.primary(),
        planned: now()?,
    };
    go(ui, start, &session, table, Task::Plan(plan))
}

/// Works once more on the rows that a run refused.
pub(crate) fn retry(ui: &Ui, start: &Start<'_>, run: Option<&str>) -> Result<Outcome> {
    let (_, schema) = read_schema(start.schema)?;
    let table = store::table(&schema, start.table, start.schema)?;
    let mut sql = start.place.journal(start.sql_table)?;
    let stored = start.sql_table.unwrap_or(table.name().as_str());
    let found = find(start.place, &mut *sql, Some(stored).filter(|_| run.is_none()), run, Which::Last)?;
    if found.plan.table != *table.name() {
        return Err(Fault::new(format!(
            "run {} is of table `{}`, and the schema's is `{}`",
            found.plan.id,
            found.plan.table,
            table.name()
        )));
    }
    drop(sql);
    if !found.plan.foreign.is_empty() {
        return Err(Fault::new(format!(
            "run {} takes values that another tool sealed, and rotation takes sealed rows alone",
            found.plan.id
        ))
        .help("protect the table again with the same --from: what is done stays as it is"));
    }
    let (keyring, kek) = (start.unlock.path(), start.unlock.kek()?);
    let session = KeyringSession::unlock(&keyring, &*kek, &now);
    let session = session.map_err(|error| keyring_fault(error, &keyring))?;
    let session = break_glass(ui, session, &start.drive.break_glass)?.with_remade(found.plan.remade.clone());
    go(ui, start, &session, table, Task::Retry(found.plan.id))
}

/// Goes on with a run.
pub(crate) fn resume(
    ui: &Ui,
    start: &Start<'_>,
    session: &KeyringSession<'_>,
    run: &Run,
    take_over: bool,
) -> Result<Outcome> {
    let schema = Schema::from_toml(&run.plan.schema)?;
    let table = schema.table(run.plan.table.as_str())?;
    go(ui, start, session, table, Task::Resume(run.plan.id, take_over))
}

/// Takes the unfinished run over a table of a SQLite file from its owner, whose process is dead, so that it is free at once.
pub(crate) fn take_over(file: &Path, sql_table: &str) -> Result<()> {
    let mut sql = sqlite::journal(file)?;
    let mut journal = Journal::new(&mut sql);
    if !journal.exists() {
        return Ok(());
    }
    let Some(live) = journal.live(sql_table)? else { return Ok(()) };
    let (owner, _) = journal.claim(&live.plan.id.to_string(), Lease::default(), true)?;
    Ok(journal.release(&owner)?)
}

/// What is done with a run.
enum Task {
    Plan(RunPlan),
    Resume(RunId, bool),
    Retry(RunId),
}

fn go(
    ui: &Ui,
    start: &Start<'_>,
    session: &KeyringSession<'_>,
    table: &TableSchema,
    task: Task,
) -> Result<Outcome> {
    let stop = Stop::listen()?;
    let verb = match start.verb {
        Verb::Protect => "protect",
        Verb::Migrate => "migrate",
        _ => "rotate",
    };
    let drive = Drive {
        ui,
        args: start.drive,
        verb,
        place: start.place,
        keyring: start.unlock.path().path().display().to_string(),
        stop: &stop,
    };
    let work = Go { start, drive: &drive, session, table, task };
    let driven = start.place.over_for(start.sql_table, table, (Mode::Write, session.work()), work);
    // Whatever came of the run, nothing seals any more.
    if let Err(error) = session.give_back() {
        ui.warn(format!("messages that were reserved and not sealed stay counted: {error}"));
    }
    let driven = driven?;
    let changed = driven.report.as_ref().is_some_and(|report| report.worked.changes());
    // A column that was emptied may have held plaintext too.
    let plain = |report: &RunReport| report.worked.sealed + report.worked.emptied > 0;
    let plain = driven.report.as_deref().is_some_and(plain);
    if changed && (start.drive.vacuum || plain) {
        let stored = start.sql_table.unwrap_or(table.name().as_str());
        let warnings = start.place.clean(stored, table, Cleaning::Vacuum)?;
        warnings.iter().for_each(|warning| ui.warn(warning));
    }
    Ok(driven.outcome)
}

/// Plans or resumes, and drives.
struct Go<'a> {
    start: &'a Start<'a>,
    drive: &'a Drive<'a>,
    session: &'a KeyringSession<'a>,
    table: &'a TableSchema,
    task: Task,
}

impl OverStore for Go<'_> {
    type Output = Driven;

    fn over<S: Store>(self, store: &S) -> Result<Driven> {
        let take_over = matches!(self.task, Task::Resume(_, true));
        let options = self.start.drive.options(self.drive.stop.flag(), take_over)?;
        let source = match self.start.source {
            RunSource::Sealed => Source::SealedOnly,
            _ => Source::Any,
        };
        let runner = Runner::new(store, self.session, self.table, source, options);
        let run = match self.task {
            Task::Resume(run, _) => run,
            Task::Retry(run) => return retried(self.drive, &runner, run),
            Task::Plan(plan) => {
                let plan = RunPlan { store_table: store.table_name().to_owned(), ..plan };
                let watch = Watch::new(self.drive.ui, self.drive.verb, true, None);
                runner.plan(&plan, &watch).map_err(|error| self.drive.place.fault(error))?;
                plan.id
            }
        };
        self.drive.go(store, &runner, run)
    }
}

fn retried<S: Store>(drive: &Drive<'_>, runner: &Runner<'_, S>, run: RunId) -> Result<Driven> {
    let watch = Watch::new(drive.ui, drive.verb, drive.args.quiet, None);
    let retried = runner.retry(&run.to_string(), &watch);
    watch.finish();
    let retried = retried.map_err(|error| drive.place.fault(error))?;
    let tally = &retried.tally;
    if drive.args.json {
        drive.ui.line(format!("{{\"run\":\"{run}\",\"retried\":{}}}", tally.to_json()))?;
    } else if !drive.args.quiet {
        let done = tally.rows - tally.refused_rows;
        drive.ui.note(format!(
            "{} of run {run} tried again: {} done, {} refused again, {} gone",
            count(tally.rows + tally.gone, "refused row"),
            done,
            tally.refused_rows,
            tally.gone
        ));
    }
    if retried.stopped {
        let fault = drive.stop.fault("the list of refused rows was not worked through");
        return Err(fault.help("what was done is off the list; the same command goes on"));
    }
    let outcome = match (tally.unauthentic, tally.refused_rows) {
        (0, 0) => Outcome::Done,
        (0, _) => Outcome::SomeRefused,
        _ => Outcome::Unauthentic,
    };
    Ok(Driven { outcome, report: None })
}

/// Sees that table and schema fit and that no run is under way, before anything is changed.
struct Ready<'a> {
    place: &'a Place,
    keyring: &'a UnlockArgs,
}

impl OverStore for Ready<'_> {
    type Output = ();

    fn over<S: Store>(self, store: &S) -> Result<()> {
        let fault = |error| self.place.fault(error);
        let mut lane = store.connect().map_err(fault)?;
        // The adapter says what does not fit; what is read here is thrown away.
        lane.key_counts().map_err(fault)?;
        let mut journal = Journal::new(&mut lane);
        if !journal.exists() {
            return Ok(());
        }
        let Some(live) = journal.live(store.table_name()).map_err(fault)? else { return Ok(()) };
        let name = self.place.name();
        Err(Fault::new(format!(
            "run {} of this table is {}; one run at a time works on a table",
            live.plan.id, live.phase
        ))
        .help(format!(
            "go on with it: amanat resume {name} --keyring {}; or give it up: amanat cancel {name}",
            self.keyring.path().path().display()
        )))
    }
}

/// Makes keys, each the primary of its purpose at once, in one change of the keyring.
fn make_keys(keyring: &KeyringPath, kek: &dyn Kek, purposes: &[Purpose]) -> Result<Vec<(Purpose, KeyId)>> {
    if purposes.is_empty() {
        return Ok(Vec::new());
    }
    let now = now()?;
    let made = keyring.update(kek, now, |keyring| {
        let make = |purpose: &Purpose| {
            let id = keyring.add_key(*purpose, DEFAULT_CRYPTOPERIOD_DAYS, now)?;
            keyring.activate(id, now).map(|()| (*purpose, id))
        };
        purposes.iter().map(make).collect()
    });
    made.map_err(|error| keyring_fault(error, keyring))
}

/// The text of a schema file and what it says.
pub(crate) fn read_schema(file: &Path) -> Result<(String, Schema)> {
    let bytes = schema::read_bytes(file)?;
    let text = String::from_utf8(bytes.clone()).unwrap_or_default();
    Ok((text, schema::parse(file, bytes)?))
}
