// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which run of a database is meant.
//!
//! Owns the search in the journal. Never guesses between two.

use amanat::rotate::Lease;
use amanat_stores::run::Sql;
use amanat_stores::run::journal::{Journal, Run};

use super::place::{Place, PlaceArgs};
use crate::fault::{Fault, Result};
use crate::ui::Ui;

/// Fewest digits of an id that name a run.
const MIN_DIGITS: usize = 4;

/// A database and a run of it.
#[derive(clap::Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    /// The run: its id or at least 4 of the id's first digits. Without it, the run that is not over.
    #[arg(long, value_name = "ID")]
    pub(crate) run: Option<String>,
}

/// Which run is meant if none is named.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    /// The one that is not over.
    Live,
    /// The one that is not over, or else the last.
    Last,
}

impl RunArgs {
    /// The database with a connection to its journal.
    pub(crate) fn open(&self, ui: &Ui) -> Result<(Place, Box<dyn Sql>)> {
        let place = self.place.place(ui)?;
        let sql = place.journal(self.place.sql_table.as_deref())?;
        Ok((place, sql))
    }

    /// The run that is meant.
    pub(crate) fn find(&self, place: &Place, sql: &mut dyn Sql, which: Which) -> Result<Run> {
        find(place, sql, self.place.sql_table.as_deref(), self.run.as_deref(), which)
    }
}

/// The run that is meant by an id or its beginning, or by a table.
pub(crate) fn find(
    place: &Place,
    sql: &mut dyn Sql,
    sql_table: Option<&str>,
    named: Option<&str>,
    which: Which,
) -> Result<Run> {
    if let Some(digits) = named
        && (digits.len() < MIN_DIGITS
            || !digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')))
    {
        return Err(Fault::new(
            "a run is named by its id, 32 lower-case hex digits, or at least 4 of the first",
        ));
    }
    let mut runs = all(place, sql)?;
    runs.retain(|run| {
        named.is_none_or(|digits| run.plan.id.to_string().starts_with(digits))
            && sql_table.is_none_or(|table| is_of(run, table))
    });
    let live = |run: &&Run| !run.phase.is_over();
    let found: Vec<&Run> = match named {
        Some(_) => runs.iter().collect(),
        None => runs.iter().filter(live).collect(),
    };
    match (found.as_slice(), which) {
        ([run], _) => Ok((*run).clone()),
        ([], Which::Last) if named.is_none() && !runs.is_empty() => {
            // Of two that were planned in the same second, the later one in the journal.
            let last = runs.into_iter().max_by_key(|run| run.plan.planned.unix_seconds());
            last.ok_or_else(|| Fault::new("the journal has no run"))
        }
        ([], _) if named.is_some() => Err(Fault::new(format!("{} has no run of this id", place.name()))
            .help(format!("see its runs: amanat status {}", place.name()))),
        ([], _) => Err(Fault::new(format!("no run of {} is under way", place.name()))
            .help(format!("see the last one: amanat report {}", place.name()))),
        (several, _) => {
            let named = |run: &&Run| format!("{} of {} ({})", run.plan.id, run.plan.store_table, run.phase);
            let named: Vec<String> = several.iter().map(named).collect();
            Err(Fault::new(format!("several runs are meant: {}", named.join(", ")))
                .help("name one: --run ID, or its table: --sql-table NAME"))
        }
    }
}

/// Whether a run is of a table, named with or without its schema.
pub(crate) fn is_of(run: &Run, sql_table: &str) -> bool {
    let stored = run.plan.store_table.as_str();
    stored == sql_table || stored.strip_suffix(sql_table).is_some_and(|schema| schema.ends_with('.'))
}

/// Every run of the journal.
pub(crate) fn all(place: &Place, sql: &mut dyn Sql) -> Result<Vec<Run>> {
    let mut journal = Journal::new(sql);
    if !journal.exists() {
        return Err(Fault::new(format!("{} has no journal: no run was ever planned there", place.name()))
            .help("the journal lies beside the table; is it in another schema of the database? name the table: --sql-table SCHEMA.NAME"));
    }
    let ids = journal.all().map_err(|error| place.fault(error))?;
    ids.iter().map(|id| journal.run(&id.to_string()).map_err(|error| place.fault(error))).collect()
}

/// Last sign of life of the owner, in milliseconds since 1970; `None` if nobody owns the run.
pub(crate) fn beat(run: &Run) -> Option<i64> {
    run.ranges.iter().map(|range| range.beat).max().filter(|beat| *beat != 0)
}

/// Whether somebody works on a run.
pub(crate) fn is_alive(run: &Run, now: i64) -> bool {
    beat(run).is_some_and(|beat| Lease::default().holds(beat, now))
}
