// SPDX-License-Identifier: MIT OR Apache-2.0
//! Protects a table in one go: a run that is planned, driven to its end and told.
//!
//! Owns what becomes of a run that was stopped before. Never writes anything in a dry run.

use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, PoisonError};

use amanat::Name;
use amanat::error::{Error, Result};
use amanat::rotate::{Lease, Phase, RunId, RunPlan, RunSource, Stage, Verb};
use amanat::schema::{FieldPolicy, Schema};

use super::write::Change;
use super::{BATCH_ROWS, Cleaning, SqliteReport, SqliteStore};
use crate::columns::surrogate_names;
use crate::engine::{Effort, Protector, Rows, Source};
use crate::run::journal::Journal;
use crate::run::{
    Batch, Ended, KeyRange, Lane, RunObserver, RunOptions, RunReport, Runner, SealedBatch, Step, Store,
};
use crate::stream::{Observer, Plan};
use crate::tally::Tally;

/// Protects a table in place: plans a run, drives it to its end, and checks every row. A run that is stopped leaves whole batches done, and its
/// journal beside the table; the next call goes on with it.
///
/// Warnings tell of blind indexes whose column has no index of SQLite, of triggers, and of what could not be cleaned.
///
/// # Errors
/// `Store` if the file cannot be read or written; `Schema` if table and schema do not fit, or if a column of an index or kept token is
/// missing: the message has the statement that adds it; `Misuse` if another process works on the table, or if a run of another kind was
/// begun and not ended; what the observer fails with; as [`Protector::protect`].
pub fn protect(
    plan: Plan<'_>,
    file: &Path,
    sql_table: &str,
    cleaning: Cleaning,
    observer: &mut (dyn Observer + Send),
) -> Result<SqliteReport> {
    let Some((effort, source)) = plan.task.protecting() else {
        return Err(Error::misuse("a plan to reveal was given where one to protect belongs"));
    };
    let store = SqliteStore::new(file, sql_table, plan.table).with_work(plan.session.work());
    if effort == Effort::DryRun {
        return rehearse(plan, &store, source, observer);
    }
    if plan.session.work().change().is_some() {
        return Err(Error::misuse(
            "a change of schema is a run of its own, with a plan that holds both schemas",
        ));
    }
    let stop = AtomicBool::new(false);
    let options = RunOptions { threads: plan.jobs, batch_rows: (100, BATCH_ROWS), ..RunOptions::new(&stop) };
    let runner = Runner::new(&store, plan.session, plan.table, source, options);
    let told = Told { state: Mutex::new(State { observer, stage: Stage::Rows, refused: HashSet::new() }) };
    let wanted = run_plan(plan, sql_table, source)?;
    let run = match unfinished(&store, &wanted)? {
        Some(run) => run,
        None => {
            runner.plan(&wanted, &told)?;
            wanted.id
        }
    };
    let report = match runner.go(&run.to_string(), &told)? {
        Ended::Done(report) => report,
        Ended::Paused => {
            return Err(Error::misuse("the run was paused by another process; resume it to go on"));
        }
        Ended::Cancelled(_) => return Err(Error::misuse("the run was cancelled by another process")),
    };
    let changed = report.worked.changes();
    let mut lane = store.connect_read_only()?;
    let mut warnings = lane.hints(changed)?;
    if lane.count()? > report.checked.rows {
        warnings.push("rows were added while the run went on; run again".to_owned());
    }
    drop(lane);
    warnings.extend(store.clean(cleaning, changed)?);
    Ok(SqliteReport { tally: report.worked, warnings })
}

/// What the run shall do.
fn run_plan(plan: Plan<'_>, sql_table: &str, source: Source) -> Result<RunPlan> {
    let remade = |name: &&Name| plan.session.remakes(name);
    Ok(RunPlan {
        id: RunId::random()?,
        verb: Verb::Protect,
        registry: plan.session.with_keys(|keys| Ok(keys.registry().clone()))?,
        table: plan.table.name().clone(),
        store_table: sql_table.to_owned(),
        schema: Schema::new(vec![plan.table.clone()])?.to_toml()?,
        former_schema: None,
        source: match source {
            Source::Any => RunSource::Any,
            Source::SealedOnly => RunSource::Sealed,
        },
        remade: plan
            .table
            .sealed()
            .map(FieldPolicy::name)
            .chain(surrogate_names(plan.table))
            .filter(remade)
            .cloned()
            .collect(),
        foreign: plan.session.work().foreign(),
        primary: plan.session.primary(),
        planned: plan.session.now()?,
    })
}

/// The run that an earlier call began and did not end. One that was to do something else is given up: what it has done is told by headers, so
/// nothing of it is lost.
fn unfinished(store: &SqliteStore, wanted: &RunPlan) -> Result<Option<RunId>> {
    let mut lane = store.connect()?;
    let mut journal = Journal::new(&mut lane);
    if !journal.exists() {
        return Ok(None);
    }
    let Some(live) = journal.live(&wanted.store_table)? else { return Ok(None) };
    let found = live.plan;
    if found == (RunPlan { id: found.id, planned: found.planned, ..wanted.clone() }) {
        return Ok(Some(found.id));
    }
    if found.foreign != wanted.foreign {
        let names: Vec<&str> = found.foreign.iter().map(Name::as_str).collect();
        return Err(Error::misuse(if names.is_empty() {
            "a run was begun without values of other tools; resume or cancel it first".to_owned()
        } else {
            format!(
                "a run was begun that takes values which another tool sealed in {}; name their openers again, or cancel it first",
                names.join(", ")
            )
        }));
    }
    if found.verb == Verb::Protect {
        let (owner, run) = journal.claim(&found.id.to_string(), Lease::default(), false)?;
        let report = RunReport::of(&run, Phase::Cancelled).to_json();
        journal.advance(&owner, Phase::Cancelled, Some(&report))?;
    }
    Ok(None)
}

/// Counts what protecting would do.
fn rehearse(
    plan: Plan<'_>,
    store: &SqliteStore,
    source: Source,
    observer: &mut dyn Observer,
) -> Result<SqliteReport> {
    let mut lane = store.connect_read_only()?;
    let protector = || Protector::new(plan.session, plan.table, Effort::DryRun, source);
    let mut protectors = (0..plan.jobs.get()).map(|_| protector()).collect::<Result<Vec<_>>>()?;
    let (mut total, mut after) = (Tally::default(), None);
    loop {
        let batch = lane.read(&KeyRange::default(), after.as_ref(), BATCH_ROWS, total.rows + 1)?;
        let Some(last) = batch.count().checked_sub(1) else { break };
        let (mut sealed, mut change) = (SealedBatch::default(), Change::default());
        sealed.protect(&batch, &mut protectors)?;
        total.add(&sealed.tally());
        for row in 0..batch.count() {
            change.fill(&batch, &sealed, row)?;
            total.masked += change.masked;
        }
        sealed.faults().try_for_each(|fault| observer.refused(fault))?;
        observer.progress(total.rows, 0);
        after = batch.position(last);
    }
    let warnings = lane.hints(false)?;
    Ok(SqliteReport { tally: total, warnings })
}

/// Passes on what a run tells.
struct Told<'o> {
    state: Mutex<State<'o>>,
}

struct State<'o> {
    observer: &'o mut (dyn Observer + Send),
    stage: Stage,
    /// Rows that were told as refused: the check meets them again.
    refused: HashSet<u64>,
}

impl RunObserver for Told<'_> {
    fn step(&self, step: &Step<'_>) -> Result<()> {
        let State { observer, stage, refused } =
            &mut *self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match step {
            Step::Refused(fault) if *stage == Stage::Rows => {
                refused.extend(fault.row());
                observer.refused(fault)?;
            }
            Step::Refused(fault) if fault.row().is_none_or(|row| !refused.contains(&row)) => {
                observer.refused(fault)?;
            }
            Step::Batch(_, range) if *stage == Stage::Rows => observer.progress(range.tally.rows, 0),
            Step::Claimed(run) => *stage = run.ranges.first().map_or(*stage, |range| range.stage),
            Step::Range(range) => *stage = range.stage,
            _ => {}
        }
        Ok(())
    }
}
