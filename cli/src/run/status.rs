// SPDX-License-Identifier: MIT OR Apache-2.0
//! `amanat status`, `pause` and `cancel`: what a run is at, and what it is asked for. No key is needed.
//!
//! Owns the waiting for a run that was asked to stop. Never works on a row.

use std::thread;
use std::time::{Duration, Instant};

use amanat::rotate::{Lease, Phase, Request};
use amanat_stores::run::journal::{Journal, Run};
use amanat_stores::run::{RunReport, Sql};
use serde::Serialize;

use super::find::{RunArgs, Which, all, beat, is_alive, is_of};
use super::place::Place;
use crate::fault::{Fault, Outcome, Result};
use crate::progress::time;
use crate::text::{count, grouped};
use crate::ui::Ui;

/// How long a run is waited for that was asked to stop: longer than a batch takes.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it is looked at meanwhile.
const GLANCE: Duration = Duration::from_millis(100);

/// Show the runs of a database: which state they are in, how far they are, and whether somebody works on them.
///
/// Needs no key. Runs that are over are shown by `amanat report`.
#[derive(clap::Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    run: RunArgs,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Stop a run after the batch at hand, to be resumed later.
///
/// The process that works on it ends with exit code 2; every row is readable meanwhile. Needs no key.
#[derive(clap::Args)]
pub(crate) struct PauseArgs {
    #[command(flatten)]
    run: RunArgs,
}

/// Give a run up for ever. What it has done stays done, and every row is readable.
///
/// Needs no key. Another run can be planned then; it works on what is left.
#[derive(clap::Args)]
pub(crate) struct CancelArgs {
    #[command(flatten)]
    run: RunArgs,
    /// Give it up although its owner gave a sign of life: its process is known to be dead.
    #[arg(long)]
    take_over: bool,
}

/// A run that goes on, as programs read it.
#[derive(Serialize)]
struct State {
    run: String,
    verb: amanat::rotate::Verb,
    table: String,
    store_table: String,
    phase: &'static str,
    request: &'static str,
    owner: Option<Owner>,
    planned: String,
    ranges: u64,
    ranges_worked: u64,
    ranges_checked: u64,
    rows_worked: u64,
    rows_checked: u64,
    rows_per_second: u64,
    exceptions: u64,
}

#[derive(Serialize)]
struct Owner {
    alive: bool,
    seconds_since_sign_of_life: i64,
}

pub(crate) fn status(args: &StatusArgs, ui: &Ui) -> Result<Outcome> {
    let (place, mut sql) = args.run.open(ui)?;
    let runs = match &args.run.run {
        Some(_) => vec![args.run.find(&place, &mut *sql, Which::Last)?],
        None => {
            let mut runs = all(&place, &mut *sql)?;
            let table = args.run.place.sql_table.as_deref();
            runs.retain(|run| !run.phase.is_over() && table.is_none_or(|table| is_of(run, table)));
            runs
        }
    };
    let states = runs.iter().map(|run| state(&place, &mut *sql, run)).collect::<Result<Vec<_>>>()?;
    if args.json {
        ui.json(&states)?;
        return Ok(Outcome::Done);
    }
    if states.is_empty() {
        ui.note(format!("no run is under way; the last one: amanat report {}", place.name()));
    }
    for (state, run) in states.iter().zip(&runs) {
        lines(state, run).into_iter().try_for_each(|line| ui.line(ui.foreign(&line)))?;
    }
    Ok(Outcome::Done)
}

fn state(place: &Place, sql: &mut dyn Sql, run: &Run) -> Result<State> {
    let fault = |error| place.fault(error);
    let now = sql.now().map_err(fault)?;
    let report = RunReport::of(run, run.phase);
    let id = run.plan.id.to_string();
    let exceptions = Journal::new(sql).refused_rows(&id).map_err(fault)?;
    let [rows, check, done] = report.ranges;
    let planned = i64::try_from(run.plan.planned.unix_seconds()).unwrap_or_default();
    let seconds = u64::try_from(now / 1_000 - planned).unwrap_or_default().max(1);
    Ok(State {
        run: id,
        verb: run.plan.verb,
        table: report.table,
        store_table: report.store_table,
        phase: run.phase.as_str(),
        request: run.request.as_str(),
        owner: beat(run).map(|beat| Owner {
            alive: is_alive(run, now),
            seconds_since_sign_of_life: (now - beat).max(0) / 1_000,
        }),
        planned: run.plan.planned.to_string(),
        ranges: rows + check + done,
        ranges_worked: check + done,
        ranges_checked: done,
        rows_worked: report.worked.rows,
        rows_checked: report.checked.rows,
        rows_per_second: (report.worked.rows + report.checked.rows) / seconds,
        exceptions,
    })
}

fn lines(state: &State, run: &Run) -> Vec<String> {
    let owner = match &state.owner {
        None if run.phase.is_over() => "nobody: it is over".to_owned(),
        None => "nobody; it waits to be resumed".to_owned(),
        Some(owner) => {
            let ago = time(u64::try_from(owner.seconds_since_sign_of_life).unwrap_or_default());
            let alive = if owner.alive { "a process" } else { "a process that seems dead" };
            format!("{alive}; last sign of life {ago} ago")
        }
    };
    let asked = match run.request {
        Request::None => String::new(),
        request => format!(", asked to {}", request.as_str()),
    };
    vec![
        format!("run         {}", state.run),
        format!("table       {} (stored as {})", state.table, state.store_table),
        format!("phase       {}{asked}", state.phase),
        format!("owned by    {owner}"),
        format!("planned     {}", state.planned),
        format!(
            "ranges      {} of {} worked on, {} checked",
            state.ranges_worked, state.ranges, state.ranges_checked
        ),
        format!(
            "rows        {} worked on, {} checked; {} rows/s since it was planned, pauses included",
            grouped(state.rows_worked),
            grouped(state.rows_checked),
            grouped(state.rows_per_second)
        ),
        format!("exceptions  {}", count(state.exceptions, "row")),
    ]
}

pub(crate) fn pause(args: &PauseArgs, ui: &Ui) -> Result<Outcome> {
    let (place, mut sql) = args.run.open(ui)?;
    let run = args.run.find(&place, &mut *sql, Which::Live)?;
    let ended = ask(&place, &mut *sql, &run, Request::Pause)?;
    let how = format!("amanat resume {} --keyring FILE", place.name());
    match ended {
        Ended::Nobody => ui.note(format!("nobody works on run {}; to go on: {how}", run.plan.id)),
        Ended::Stopped(phase) if phase.is_over() => ui.note(format!("run {} is {phase}", run.plan.id)),
        Ended::Stopped(_) => ui.note(format!("run {} is paused; to go on: {how}", run.plan.id)),
        Ended::Pending => pending(ui, &run),
    }
    Ok(Outcome::Done)
}

pub(crate) fn cancel(args: &CancelArgs, ui: &Ui) -> Result<Outcome> {
    let (place, mut sql) = args.run.open(ui)?;
    let run = args.run.find(&place, &mut *sql, Which::Live)?;
    let id = run.plan.id.to_string();
    let mut ended =
        if args.take_over { Ended::Nobody } else { ask(&place, &mut *sql, &run, Request::Cancel)? };
    if matches!(ended, Ended::Nobody) {
        give_up(&place, &mut *sql, &id, args.take_over)?;
        ended = Ended::Stopped(Phase::Cancelled);
    }
    match ended {
        Ended::Stopped(phase) => {
            ui.note(format!(
                "run {id} is {phase}; what it has done stays done: amanat report {}",
                place.name()
            ));
        }
        _ => pending(ui, &run),
    }
    Ok(Outcome::Done)
}

fn pending(ui: &Ui, run: &Run) {
    ui.warn(format!(
        "run {} was asked, and its process has not ended yet: it does after the batch at hand; `amanat status` shows it",
        run.plan.id
    ));
}

/// How a run took what it was asked for.
enum Ended {
    /// Nobody works on it.
    Nobody,
    /// Its process has ended.
    Stopped(Phase),
    /// Its process works on.
    Pending,
}

/// Asks something of a run, and waits until its process has done so.
fn ask(place: &Place, sql: &mut dyn Sql, run: &Run, request: Request) -> Result<Ended> {
    let id = run.plan.id.to_string();
    let fault = |error| place.fault(error);
    if !is_alive(run, sql.now().map_err(fault)?) {
        return Ok(Ended::Nobody);
    }
    Journal::new(sql).ask(&id, request).map_err(fault)?;
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        thread::sleep(GLANCE);
        let now = Journal::new(sql).run(&id).map_err(fault)?;
        if now.phase.is_over() || beat(&now).is_none() {
            return Ok(Ended::Stopped(now.phase));
        }
    }
    Ok(Ended::Pending)
}

/// Ends a run that nobody works on.
fn give_up(place: &Place, sql: &mut dyn Sql, id: &str, take_over: bool) -> Result<()> {
    let mut journal = Journal::new(sql);
    let claimed = journal.claim(id, Lease::default(), take_over);
    let (owner, run) = claimed
        .map_err(|error| Fault::from(error).help(format!("amanat cancel {} --take-over", place.name())))?;
    let now = sql.now().map_err(|error| place.fault(error))?;
    let report = RunReport::of(&run, Phase::Cancelled).ended(now).to_json();
    let mut journal = Journal::new(sql);
    journal.advance(&owner, Phase::Cancelled, Some(&report)).map_err(|error| place.fault(error))
}
