// SPDX-License-Identifier: MIT OR Apache-2.0
//! The journal of runs: three small tables beside the table that is worked on (SPEC 11.4).
//!
//! Owns every statement that touches them, and the lock. A batch's rows and its checkpoint are committed together, and only by the owner of the
//! run. Never decides what is done with a row.

use amanat::error::{Error, Result};
use amanat::rotate::{Lease, Phase, Request, RunId, RunPlan, Stage};

use super::sql::{Parameter, Sql, SqlCell};
use super::{KeyRange, Position};
use crate::tally::Tally;

/// The tables of the journal.
#[cfg(feature = "sqlite")]
pub(crate) const JOURNAL_TABLES: [&str; 3] = ["amanat_run", "amanat_run_range", "amanat_run_exception"];

/// A run as the journal holds it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Run {
    /// What it shall do.
    pub plan: RunPlan,
    /// Its state.
    pub phase: Phase,
    /// What a person asks of it.
    pub request: Request,
    /// Its ranges, in key order.
    pub ranges: Vec<RangeState>,
    /// The report, when it is over.
    pub report: Option<String>,
}

/// Where a run stands in one range.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RangeState {
    /// Its number, from 0.
    pub number: i64,
    /// Its ends.
    pub range: KeyRange,
    /// Its state.
    pub stage: Stage,
    /// The last row that was worked on in this stage.
    pub position: Option<Position>,
    /// Counts of the rows that were worked on.
    pub tally: Tally,
    /// Counts of the check.
    pub checked: Tally,
    /// Last sign of life of its owner, in milliseconds since 1970; 0 if nobody owns it.
    pub beat: i64,
}

impl RangeState {
    /// Whether rows were counted and nothing says where to go on: they would be counted twice.
    const fn has_lost_its_position(&self) -> bool {
        let counted = match self.stage {
            Stage::Rows => self.tally.rows,
            Stage::Check => self.checked.rows,
            _ => 0,
        };
        self.position.is_none() && counted > 0
    }
}

/// A row that was refused.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Exception {
    /// Where it stands.
    pub position: Position,
    /// Field, index or token, if the fault lies in one.
    pub field: Option<String>,
    /// Kind of error.
    pub kind: String,
    /// What is wrong and what to do.
    pub message: String,
}

/// What proves that this process owns a run. A later owner makes it worthless.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    run: String,
    id: String,
}

impl Owner {
    /// Id of the run that is owned.
    #[must_use]
    pub fn run(&self) -> &str {
        &self.run
    }
}

/// Statements over the journal beside one table.
#[derive(Debug)]
pub struct Journal<'c, S: ?Sized> {
    pub(super) sql: &'c mut S,
}

impl<'c, S: Sql + ?Sized> Journal<'c, S> {
    /// The journal beside the table of a connection.
    pub fn new(sql: &'c mut S) -> Self {
        Self { sql }
    }

    /// Makes the tables of the journal if they are missing.
    ///
    /// # Errors
    /// `Store`: among others if the role may not create tables.
    pub fn create(&mut self) -> Result<()> {
        let prefix = self.sql.prefix().to_owned();
        let statements = [
            format!(
                "CREATE TABLE IF NOT EXISTS {prefix}amanat_run (id TEXT PRIMARY KEY, store_table TEXT NOT NULL, plan TEXT NOT NULL, \
                 phase TEXT NOT NULL, request TEXT NOT NULL, report TEXT)"
            ),
            format!(
                "CREATE UNIQUE INDEX IF NOT EXISTS amanat_run_live ON {} (store_table) \
                 WHERE phase IN ('planned', 'running', 'verifying')",
                self.index_target("amanat_run")
            ),
            format!(
                "CREATE TABLE IF NOT EXISTS {prefix}amanat_run_range (run TEXT NOT NULL, part BIGINT NOT NULL, lower_end TEXT, upper_end TEXT, \
                 stage TEXT NOT NULL, position TEXT, tally TEXT NOT NULL, checked TEXT NOT NULL, owner TEXT NOT NULL, beat BIGINT NOT NULL, \
                 PRIMARY KEY (run, part))"
            ),
            format!(
                "CREATE TABLE IF NOT EXISTS {prefix}amanat_run_exception (run TEXT NOT NULL, position TEXT NOT NULL, field TEXT, \
                 kind TEXT NOT NULL, message TEXT NOT NULL)"
            ),
            format!(
                "CREATE INDEX IF NOT EXISTS amanat_run_exception_position ON {} (run, position)",
                self.index_target("amanat_run_exception")
            ),
        ];
        statements.iter().try_for_each(|statement| self.sql.execute(statement, &[]).map(drop))
    }

    /// Plans a run: from now on no other can be planned for the table.
    ///
    /// # Errors
    /// `Misuse` if the table has a run that is not over, which the message names; `Store`.
    pub fn plan(&mut self, plan: &RunPlan, ranges: &[KeyRange]) -> Result<()> {
        let prefix = self.sql.prefix().to_owned();
        let id = plan.id.to_string();
        self.transaction(|journal| {
            if let Some(live) = journal.live(&plan.store_table)? {
                return Err(Error::misuse(format!(
                    "run {} of this table is {}; resume it or cancel it first",
                    live.plan.id, live.phase
                )));
            }
            let run = format!(
                "INSERT INTO {prefix}amanat_run (id, store_table, plan, phase, request) VALUES ($1, $2, $3, $4, $5)"
            );
            let text = plan.to_json();
            journal.sql.execute(
                &run,
                &[
                    Parameter::Text(&id),
                    Parameter::Text(&plan.store_table),
                    Parameter::Text(&text),
                    Parameter::Text(Phase::Planned.as_str()),
                    Parameter::Text(Request::None.as_str()),
                ],
            )?;
            let zero = Tally::default().to_json();
            let range = format!(
                "INSERT INTO {prefix}amanat_run_range (run, part, lower_end, upper_end, stage, tally, checked, owner, beat) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, '', 0)"
            );
            for (number, KeyRange { after, upto }) in (0..).zip(ranges) {
                let parameters = [
                    Parameter::Text(&id),
                    Parameter::Integer(number),
                    position(after.as_ref()),
                    position(upto.as_ref()),
                    Parameter::Text(Stage::Rows.as_str()),
                    Parameter::Text(&zero),
                    Parameter::Text(&zero),
                ];
                journal.sql.execute(&range, &parameters)?;
            }
            Ok(())
        })
    }

    /// The run of a table that is not over.
    ///
    /// # Errors
    /// `Store`; as [`RunPlan::from_json`].
    pub fn live(&mut self, store_table: &str) -> Result<Option<Run>> {
        let sql = format!(
            "SELECT id FROM {}amanat_run WHERE store_table = $1 AND phase IN ('planned', 'running', 'verifying')",
            self.sql.prefix()
        );
        let found = self.sql.query(&sql, &[Parameter::Text(store_table)])?;
        match found.into_iter().flatten().next().and_then(SqlCell::into_text) {
            Some(id) => self.run(&id).map(Some),
            None => Ok(None),
        }
    }

    /// Ids of all runs of a table, in no order.
    ///
    /// # Errors
    /// `Store`.
    pub fn runs(&mut self, store_table: &str) -> Result<Vec<RunId>> {
        let sql = format!("SELECT id FROM {}amanat_run WHERE store_table = $1", self.sql.prefix());
        let found = self.sql.query(&sql, &[Parameter::Text(store_table)])?;
        found.into_iter().flatten().filter_map(SqlCell::into_text).map(|id| id.parse()).collect()
    }

    /// Whether the tables of the journal are there.
    #[must_use]
    pub fn exists(&mut self) -> bool {
        let sql = format!("SELECT count(*) FROM {}amanat_run", self.sql.prefix());
        self.sql.query(&sql, &[]).is_ok()
    }

    /// A run by its id.
    ///
    /// # Errors
    /// `Misuse` if there is none; `Store`; `Malformed` or `Unsupported` if the journal was edited or is of another version.
    pub fn run(&mut self, id: &str) -> Result<Run> {
        let prefix = self.sql.prefix().to_owned();
        let sql = format!("SELECT plan, phase, request, report FROM {prefix}amanat_run WHERE id = $1");
        let found = self.sql.query(&sql, &[Parameter::Text(id)])?.into_iter().next();
        let row = found.ok_or_else(|| Error::misuse("the journal has no run of this id"))?;
        let mut texts = row.into_iter().map(SqlCell::into_text);
        let mut text = || texts.next().flatten();
        let (plan, phase, request) = (text().ok_or_else(edited)?, text().ok_or_else(edited)?, text());
        let report = text();
        let sql = format!(
            "SELECT part, lower_end, upper_end, stage, position, tally, checked, beat FROM {prefix}amanat_run_range \
             WHERE run = $1 ORDER BY part"
        );
        let ranges = self.sql.query(&sql, &[Parameter::Text(id)])?;
        let ranges = ranges.into_iter().map(range_state).collect::<Result<Vec<_>>>()?;
        // A range that is missing would be rows that are never worked on.
        if ranges.is_empty() || (0..).zip(&ranges).any(|(number, range)| range.number != number) {
            return Err(edited());
        }
        Ok(Run {
            plan: RunPlan::from_json(&plan)?,
            phase: phase.parse()?,
            request: request.ok_or_else(edited)?.parse()?,
            ranges,
            report,
        })
    }

    /// Takes a run into possession. Nothing that an earlier owner does is committed afterwards.
    ///
    /// # Errors
    /// `Misuse` if another owner is taken to be alive and `take_over` is not asked for, or if the run is over; `Store`, `Entropy`.
    pub fn claim(&mut self, id: &str, lease: Lease, take_over: bool) -> Result<(Owner, Run)> {
        let prefix = self.sql.prefix().to_owned();
        let owner = Owner { run: id.to_owned(), id: RunId::random()?.to_string() };
        self.transaction(|journal| {
            journal.lock(id)?;
            let run = journal.run(id)?;
            if run.phase.is_over() {
                return Err(Error::misuse(format!("run {id} is {}; start a new one", run.phase)));
            }
            if run.ranges.iter().any(RangeState::has_lost_its_position) {
                return Err(edited());
            }
            let now = journal.sql.now()?;
            let alive = run.ranges.iter().map(|range| range.beat).filter(|beat| lease.holds(*beat, now)).max();
            if let Some(beat) = alive.filter(|beat| *beat != 0 && !take_over) {
                let seconds = now.saturating_sub(beat) / 1_000;
                return Err(Error::misuse(format!(
                    "run {id} has an owner that gave a sign of life {seconds} seconds ago; wait, or pause it, or if its process is \
                     known to be dead, take it over"
                )));
            }
            let own = format!(
                "UPDATE {prefix}amanat_run_range SET owner = $1, beat = $2 WHERE run = $3"
            );
            journal
                .sql
                .execute(&own, &[Parameter::Text(&owner.id), Parameter::Integer(now), Parameter::Text(id)])?;
            let request = format!("UPDATE {prefix}amanat_run SET request = $1 WHERE id = $2");
            journal.sql.execute(&request, &[Parameter::Text(Request::None.as_str()), Parameter::Text(id)])?;
            Ok((owner.clone(), Run { request: Request::None, ..run }))
        })
    }

    /// Gives a sign of life for one range, and learns what a person asks of the run.
    ///
    /// # Errors
    /// `Store`; `Misuse` if another process owns the run now.
    pub fn beat(&mut self, owner: &Owner, part: i64) -> Result<Request> {
        let prefix = self.sql.prefix().to_owned();
        let now = self.sql.now()?;
        let sql = format!(
            "UPDATE {prefix}amanat_run_range SET beat = $1 WHERE run = $2 AND part = $3 AND owner = $4"
        );
        let parameters = [
            Parameter::Integer(now),
            Parameter::Text(&owner.run),
            Parameter::Integer(part),
            Parameter::Text(&owner.id),
        ];
        if self.sql.execute(&sql, &parameters)? != 1 {
            return Err(taken_over());
        }
        self.request(owner)
    }

    /// What a person asks of the run.
    ///
    /// # Errors
    /// `Store`.
    pub fn request(&mut self, owner: &Owner) -> Result<Request> {
        let sql = format!("SELECT request FROM {}amanat_run WHERE id = $1", self.sql.prefix());
        let found = self.sql.query(&sql, &[Parameter::Text(&owner.run)])?;
        let word = found.into_iter().flatten().next().and_then(SqlCell::into_text);
        word.ok_or_else(edited)?.parse()
    }

    /// Stores where a range stands, inside the transaction that wrote its rows.
    ///
    /// # Errors
    /// `Store`; `Misuse` if another process owns the run now: the transaction must be rolled back.
    pub fn checkpoint(&mut self, owner: &Owner, state: &RangeState) -> Result<()> {
        let now = self.sql.now()?;
        let sql = format!(
            "UPDATE {}amanat_run_range SET stage = $1, position = $2, tally = $3, checked = $4, beat = $5 \
             WHERE run = $6 AND part = $7 AND owner = $8",
            self.sql.prefix()
        );
        let (tally, checked) = (state.tally.to_json(), state.checked.to_json());
        let parameters = [
            Parameter::Text(state.stage.as_str()),
            position(state.position.as_ref()),
            Parameter::Text(&tally),
            Parameter::Text(&checked),
            Parameter::Integer(now),
            Parameter::Text(&owner.run),
            Parameter::Integer(state.number),
            Parameter::Text(&owner.id),
        ];
        if self.sql.execute(&sql, &parameters)? == 1 { Ok(()) } else { Err(taken_over()) }
    }

    /// Where a range stands, as it was committed.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn range(&mut self, owner: &Owner, part: i64) -> Result<RangeState> {
        let run = self.run(&owner.run)?;
        run.ranges.into_iter().find(|range| range.number == part).ok_or_else(edited)
    }

    /// Notes the faults of a refused row in place of what was noted of it before; none take it off the list.
    ///
    /// # Errors
    /// `Store`.
    pub fn refuse(&mut self, run: &str, row: &Position, faults: &[&Error]) -> Result<()> {
        let prefix = self.sql.prefix().to_owned();
        let forget = format!("DELETE FROM {prefix}amanat_run_exception WHERE run = $1 AND position = $2");
        self.sql.execute(&forget, &[Parameter::Text(run), Parameter::Text(&row.0)])?;
        let note = format!(
            "INSERT INTO {prefix}amanat_run_exception (run, position, field, kind, message) VALUES ($1, $2, $3, $4, $5)"
        );
        for fault in faults {
            let (field, kind) = (fault.field().map(|field| field.as_str()), fault.kind().as_str());
            let parameters = [
                Parameter::Text(run),
                Parameter::Text(&row.0),
                field.map_or(Parameter::Null, Parameter::Text),
                Parameter::Text(kind),
                Parameter::Text(fault.message()),
            ];
            self.sql.execute(&note, &parameters)?;
        }
        Ok(())
    }

    /// The rows that a run refused, up to so many, in no order.
    ///
    /// # Errors
    /// `Store`.
    pub fn exceptions(&mut self, id: &str, most: u32) -> Result<Vec<Exception>> {
        let sql = format!(
            "SELECT position, field, kind, message FROM {}amanat_run_exception WHERE run = $1 LIMIT {most}",
            self.sql.prefix()
        );
        let found = self.sql.query(&sql, &[Parameter::Text(id)])?;
        let exception = |row: Vec<SqlCell>| {
            let mut texts = row.into_iter().map(SqlCell::into_text);
            let mut text = || texts.next().flatten();
            let position = Position(text().ok_or_else(edited)?);
            let (field, kind, message) = (text(), text().ok_or_else(edited)?, text().ok_or_else(edited)?);
            Ok(Exception { position, field, kind, message })
        };
        found.into_iter().map(exception).collect()
    }

    /// Brings the run into its next state.
    ///
    /// # Errors
    /// `Misuse` if it may not follow, or if another process owns the run now; `Store`.
    pub fn advance(&mut self, owner: &Owner, next: Phase, report: Option<&str>) -> Result<()> {
        let prefix = self.sql.prefix().to_owned();
        self.transaction(|journal| {
            journal.lock(&owner.run)?;
            let run = journal.run(&owner.run)?;
            // A connection may have broken after the commit, and then this is the second attempt.
            if run.phase == next {
                return Ok(());
            }
            let next = run.phase.to(next)?;
            let own = format!("SELECT count(*) FROM {prefix}amanat_run_range WHERE run = $1 AND owner = $2");
            let own = journal.sql.query(&own, &[Parameter::Text(&owner.run), Parameter::Text(&owner.id)])?;
            let own = own.into_iter().flatten().next().and_then(|cell| cell.as_integer());
            if own != i64::try_from(run.ranges.len()).ok() {
                return Err(taken_over());
            }
            let set = format!("UPDATE {prefix}amanat_run SET phase = $1, report = $2 WHERE id = $3");
            let report = report.map_or(Parameter::Null, Parameter::Text);
            let parameters = [Parameter::Text(next.as_str()), report, Parameter::Text(&owner.run)];
            journal.sql.execute(&set, &parameters)?;
            if next == Phase::Verifying {
                // Every row is met again, and refused again if nobody has mended it.
                let forget = format!("DELETE FROM {prefix}amanat_run_exception WHERE run = $1");
                journal.sql.execute(&forget, &[Parameter::Text(&owner.run)])?;
            }
            if next.is_over() {
                // What is left of the table's keys in the journal goes: a person whose row is erased later shall not stay here.
                let forget = format!(
                    "UPDATE {prefix}amanat_run_range SET lower_end = NULL, upper_end = NULL, position = NULL, owner = '', beat = 0 \
                     WHERE run = $1"
                );
                journal.sql.execute(&forget, &[Parameter::Text(&owner.run)])?;
            }
            Ok(())
        })
    }

    /// Gives a run up so that anybody may resume it at once.
    ///
    /// # Errors
    /// `Store`.
    pub fn release(&mut self, owner: &Owner) -> Result<()> {
        let sql = format!(
            "UPDATE {}amanat_run_range SET owner = '', beat = 0 WHERE run = $1 AND owner = $2",
            self.sql.prefix()
        );
        self.sql.execute(&sql, &[Parameter::Text(&owner.run), Parameter::Text(&owner.id)]).map(drop)
    }

    /// Asks something of a run that another process may be working on.
    ///
    /// # Errors
    /// `Misuse` if there is no such run, or if it is over; `Store`.
    pub fn ask(&mut self, id: &str, request: Request) -> Result<()> {
        let prefix = self.sql.prefix().to_owned();
        self.transaction(|journal| {
            let run = journal.run(id)?;
            if run.phase.is_over() {
                return Err(Error::misuse(format!("run {id} is {}", run.phase)));
            }
            let sql = format!("UPDATE {prefix}amanat_run SET request = $1 WHERE id = $2");
            journal.sql.execute(&sql, &[Parameter::Text(request.as_str()), Parameter::Text(id)]).map(drop)
        })
    }

    /// Works inside a transaction that is taken back if the work fails.
    ///
    /// # Errors
    /// What the work fails with; `Store`.
    pub fn transaction<T>(&mut self, work: impl FnOnce(&mut Journal<'_, S>) -> Result<T>) -> Result<T> {
        self.sql.begin()?;
        match work(&mut Journal { sql: self.sql }).and_then(|done| self.sql.commit().map(|()| done)) {
            Ok(done) => Ok(done),
            Err(error) => {
                // The first error is the one to tell; a connection that cannot roll back has lost the transaction anyway.
                drop(self.sql.rollback());
                Err(error)
            }
        }
    }

    /// Whoever claims a run or brings it into its next state at the same time waits here.
    fn lock(&mut self, id: &str) -> Result<()> {
        let sql = format!("UPDATE {}amanat_run SET request = request WHERE id = $1", self.sql.prefix());
        self.sql.execute(&sql, &[Parameter::Text(id)]).map(drop)
    }

    /// An index takes the schema of its table.
    fn index_target(&self, table: &str) -> String {
        format!("{}{table}", self.sql.prefix())
    }
}

fn position(position: Option<&Position>) -> Parameter<'_> {
    position.map_or(Parameter::Null, |position| Parameter::Text(&position.0))
}

fn range_state(row: Vec<SqlCell>) -> Result<RangeState> {
    let [number, after, upto, stage, position, tally, checked, beat] =
        <[SqlCell; 8]>::try_from(row).map_err(|_| edited())?;
    let text = |cell: SqlCell| cell.into_text().ok_or_else(edited);
    let place = |cell: SqlCell| cell.into_text().map(Position);
    Ok(RangeState {
        number: number.as_integer().ok_or_else(edited)?,
        range: KeyRange { after: place(after), upto: place(upto) },
        stage: text(stage)?.parse()?,
        position: place(position),
        tally: Tally::from_json(&text(tally)?)?,
        checked: Tally::from_json(&text(checked)?)?,
        beat: beat.as_integer().ok_or_else(edited)?,
    })
}

pub(super) fn edited() -> Error {
    Error::malformed("the journal of runs is not as this program writes it; was it edited?")
}

fn taken_over() -> Error {
    Error::misuse("another process has taken the run over; nothing of this batch was kept")
}
