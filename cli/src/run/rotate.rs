// SPDX-License-Identifier: MIT OR Apache-2.0
//! `amanat rotate` and `amanat resume`: brings the rows of a live table under the keys that seal now.

use std::path::{Path, PathBuf};

use amanat::keys::Purpose;
use amanat::rotate::{RunSource, Verb};
use amanat::{Name, Schema};
use amanat_stores::run::journal::Run;
use amanat_stores::{KeyringSession, Work};

use super::drive::DriveArgs;
use super::dry;
use super::find::{RunArgs, Which};
use super::place::PlaceArgs;
use super::start::{Start, read_schema, resume as go_on, retry, start};
use crate::fault::{Fault, Outcome, Result};
use crate::foreign::{self, ForeignField, SHAPE};
use crate::keys::break_glass;
use crate::ui::Ui;
use crate::unlock::{UnlockArgs, keyring_fault, now};

/// Bring the rows of a live table under the keys that seal now, while applications go on reading and writing it.
///
/// Every value is opened, sealed anew, opened again and compared before it replaces the old one, and only if the row still is as it was read.
/// Then all rows are read again and checked. A run can be stopped at any moment, and resumed: `amanat resume`. Rows with plaintext in a sealed
/// column are refused. Rows that are refused stay as they are: `amanat exceptions` lists them, and `--retry` works on them after repair.
/// Applications must know a new key before the run begins: give them the keyring first.
#[derive(clap::Args)]
pub(crate) struct RotateArgs {
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
    /// Make a new key first, and let it seal. It is durable in the keyring before it seals.
    #[arg(long, conflicts_with_all = ["dry_run", "retry"])]
    new_key: bool,
    /// What the new key is for; may be repeated.
    #[arg(long, value_name = "PURPOSE", requires = "new_key", value_parser = ["field", "index", "token"])]
    purpose: Vec<String>,
    /// Count what stands in the table and what would be done, estimate the time, and write nothing.
    #[arg(long, conflicts_with = "retry")]
    dry_run: bool,
    /// For the estimate, also seal a sample of rows and write it in a transaction that is taken back. The sealed values are counted among the
    /// messages of the key.
    #[arg(long, requires = "dry_run")]
    try_write: bool,
    /// Make this sealed field, index or kept token anew in every row, named as in the schema; may be repeated. Needed when `pad` gets smaller,
    /// after a change that a stored term does not show.
    #[arg(long, value_name = "NAME")]
    remake: Vec<Name>,
    /// Work on exactly the rows that the last run of the table refused, after they were mended.
    #[arg(long)]
    retry: bool,
    /// The run whose rows are meant, if it is not the last: its id or at least 4 of the id's first digits.
    #[arg(long, value_name = "ID", requires = "retry")]
    run: Option<String>,
    #[command(flatten)]
    drive: DriveArgs,
}

pub(crate) fn rotate(args: &RotateArgs, ui: &Ui) -> Result<Outcome> {
    let place = args.place.place(ui)?;
    let mut new_keys =
        args.purpose.iter().map(|purpose| purpose.parse()).collect::<amanat::Result<Vec<Purpose>>>()?;
    new_keys.dedup();
    if args.new_key && new_keys.is_empty() {
        new_keys.push(Purpose::Field);
    }
    let what = Start {
        verb: Verb::Rotate,
        source: RunSource::Sealed,
        place: &place,
        sql_table: args.place.sql_table.as_deref(),
        unlock: &args.unlock,
        schema: &args.schema,
        former: None,
        table: args.table.as_deref(),
        new_keys: &new_keys,
        remake: &args.remake,
        drive: &args.drive,
    };
    if args.dry_run {
        return dry::run(ui, &what, args.try_write);
    }
    if args.retry {
        return retry(ui, &what, args.run.as_deref());
    }
    start(ui, &what)
}

/// Go on with a run that was paused, stopped or killed, where its last batch ended.
///
/// The schema, the table and what is made anew are those that the run was planned with.
#[derive(clap::Args)]
pub(crate) struct ResumeArgs {
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    unlock: UnlockArgs,
    /// Make sure that the run works by this schema file.
    #[arg(long, value_name = "FILE")]
    schema: Option<PathBuf>,
    /// Take the run from an owner whose process is known to be dead, although it gave a sign of life. If it lives nevertheless, it stops
    /// without harm.
    #[arg(long)]
    take_over: bool,
    /// The openers of `protect --from` again, for a run that was planned with them: a plan holds no keys.
    #[arg(long, value_name = SHAPE)]
    from: Vec<ForeignField>,
    #[command(flatten)]
    drive: DriveArgs,
}

pub(crate) fn resume(args: &ResumeArgs, ui: &Ui) -> Result<Outcome> {
    let (place, mut sql) = args.run.open(ui)?;
    let run = args.run.find(&place, &mut *sql, Which::Live)?;
    drop(sql);
    let plan = &run.plan;
    if let Some(file) = &args.schema {
        same_schema(file, &plan.schema, place.name())?;
    }
    foreign::same(&plan.foreign, &args.from)?;
    let (keyring, kek) = (args.unlock.path(), args.unlock.kek()?);
    let session = KeyringSession::unlock(&keyring, &*kek, &now);
    let session = session.map_err(|error| keyring_fault(error, &keyring))?;
    let session = break_glass(ui, session, &args.drive.break_glass)?.with_remade(plan.remade.clone());
    // A run that brings rows from an older schema takes values from its columns.
    let schema = Schema::from_toml(&plan.schema)?;
    let table = schema.table(plan.table.as_str())?;
    let work = foreign::openers(Work::of_plan(plan)?, &args.from, table, Some(&plan.store_table))?;
    let session = session.with_work(work);
    fits(ui, &run, &session)?;
    let what = Start {
        verb: plan.verb,
        source: plan.source,
        place: &place,
        sql_table: Some(&plan.store_table),
        unlock: &args.unlock,
        schema: Path::new(""),
        former: None,
        table: None,
        new_keys: &[],
        remake: &[],
        drive: &args.drive,
    };
    go_on(ui, &what, &session, &run, args.take_over)
}

/// Whether keyring and plan belong together.
fn fits(ui: &Ui, run: &Run, session: &KeyringSession<'_>) -> Result<()> {
    let plan = &run.plan;
    let registry = session.with_keyring(|keyring| Ok(keyring.registry().clone()))?;
    if registry != plan.registry {
        return Err(Fault::new(format!(
            "the run is of registry `{}`, and the keyring of `{registry}`",
            plan.registry
        ))
        .help("name the keyring that the run was planned with: --keyring FILE"));
    }
    let knows = session.field_keys().iter().any(|key| key.id == plan.primary);
    if !knows {
        return Err(Fault::new(format!(
            "the keyring does not have key {}, under which the run has sealed rows",
            plan.primary.short()
        ))
        .help("this is an older copy; name the keyring that the run was planned with: --keyring FILE"));
    }
    if session.primary() != plan.primary {
        ui.warn(format!(
            "key {} seals now, and key {} did when the run was planned: rows that are done already are done once more by the check",
            session.primary().short(),
            plan.primary.short()
        ));
    }
    Ok(())
}

/// Refuses a schema file that is not what a run was planned with.
fn same_schema(file: &Path, planned: &str, store: &str) -> Result<()> {
    let (text, _) = read_schema(file)?;
    if text == planned {
        return Ok(());
    }
    let (mut new, mut old) = (text.lines(), planned.lines());
    let mut number = 0;
    let (new, old) = loop {
        number += 1;
        match (new.next(), old.next()) {
            (None, None) => break ("", ""),
            (new, old) if new == old => {}
            (new, old) => break (new.unwrap_or("nothing").trim(), old.unwrap_or("nothing").trim()),
        }
    };
    let what = if new == old {
        "white space or the ends of lines differ".to_owned()
    } else {
        format!("the first difference is in line {number}: the run has `{old}`, the file has `{new}`")
    };
    Err(Fault::new(format!("{}: the run was planned with another schema; {what}", file.display())).help(format!(
        "leave out --schema to end the run as it was planned, and start another with the new schema then; or give this one up: amanat cancel {store}"
    )))
}
