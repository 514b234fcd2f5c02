// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether any row of any table of a schema still names a key.
//!
//! Owns the proof that `keys retire` and `keys destroy` ask for. Reads the beginnings of cells alone; opens nothing.

use std::collections::BTreeMap;
use std::path::PathBuf;

use amanat::keys::KeyInfo;
use amanat::rotate::Phase;
use amanat::{Keyring, Schema, TableSchema};
use amanat_stores::run::journal::{Journal, Run};
use amanat_stores::run::{Lane as _, RunReport, Sql, Store};

use crate::fault::{Fault, Result};
use crate::run::{DoorArgs, Mode, OverStore, Place, names};
use crate::schema;
use crate::text::count;
use crate::ui::Ui;

/// Tables that are looked at before a key is given up.
#[derive(clap::Args)]
pub(crate) struct TablesArgs {
    /// The schema file: no row of any of its tables may name the key.
    #[arg(long, value_name = "FILE", requires = "store")]
    schema: Option<PathBuf>,
    /// Database of the tables: a SQLite file or the address of a PostgreSQL database; `TABLE=STORE` for one table. May be repeated until every
    /// table of the schema has one.
    #[arg(long, value_name = "STORE", requires = "schema")]
    store: Vec<String>,
    /// Name of a table in its database, if it has another than that of the schema; may be repeated.
    #[arg(long, value_name = "TABLE=NAME", requires = "store")]
    sql_table: Vec<String>,
    #[command(flatten)]
    door: DoorArgs,
}

/// A table and where it is.
struct Located<'s> {
    table: &'s TableSchema,
    place: Place,
    sql_table: Option<&'s str>,
}

impl TablesArgs {
    /// Whether there is anything to look at.
    pub(crate) const fn is_given(&self) -> bool {
        self.schema.is_some()
    }

    /// Refuses if a row of a table, or a run that is not over, names the key; tells what was looked at.
    pub(crate) fn check(&self, ui: &Ui, key: &KeyInfo, keyring: &Keyring) -> Result<()> {
        let Some(file) = &self.schema else { return Ok(()) };
        let schema = schema::read(file)?;
        let located = self.locate(ui, &schema)?;
        let (mut uses, mut looked) = (Vec::new(), Vec::new());
        for Located { table, place, sql_table } in &located {
            let (stored, found) =
                place.over(*sql_table, table, Mode::Read, Uses { key, keyring, place, table })?;
            uses.extend(found);
            looked.push((place.name(), stored));
        }
        let mut asked: Vec<String> = Vec::new();
        for Located { place, .. } in &located {
            let name = place.name();
            if asked.iter().all(|known| *known != name) {
                let tables: Vec<&str> = looked
                    .iter()
                    .filter(|(place, _)| *place == name)
                    .map(|(_, table)| table.as_str())
                    .collect();
                for mut sql in place.journals()? {
                    let runs = runs(&mut *sql, key, &tables).map_err(|error| place.fault(error))?;
                    uses.extend(runs.into_iter().map(|run| format!("{name}: {run}")));
                }
                asked.push(name.to_string());
            }
        }
        let looked = looked.iter().map(|(place, table)| format!("{table} in {place}"));
        let looked = looked.collect::<Vec<_>>().join(", ");
        if uses.is_empty() {
            ui.note(format!(
                "looked at {looked}: no row names key {}; backups, files, vaults and other tables were not looked at",
                key.id.short()
            ));
            return Ok(());
        }
        Err(Fault::new(format!("{} key {} is in use; nothing was changed: {}", key.purpose, key.id.short(), uses.join("; ")))
            .help("bring the rows under another key first: amanat rotate STORE --schema FILE; rows that it refuses: amanat exceptions STORE"))
    }

    /// Where every table of the schema is.
    fn locate<'s>(&'s self, ui: &Ui, schema: &'s Schema) -> Result<Vec<Located<'s>>> {
        let is_table = |name: &str| schema.tables().iter().any(|table| table.name().as_str() == name);
        // The address of a database may have `=` in it: what stands before one is a table, or it is part of the address.
        let pair = |text: &'s str| text.split_once('=').filter(|(table, _)| is_table(table));
        let mut renamed = Vec::new();
        for text in &self.sql_table {
            renamed.push(pair(text).ok_or_else(|| {
                Fault::new("--sql-table names no table of the schema")
                    .help("write it as TABLE=NAME, the schema's name first")
            })?);
        }
        let mut located = Vec::new();
        for table in schema.tables() {
            let name = table.name().as_str();
            let own = self.store.iter().find_map(|text| pair(text).filter(|(table, _)| *table == name));
            let any = || self.store.iter().find(|text| pair(text).is_none()).map(String::as_str);
            let store = own.map(|(_, store)| store).or_else(any).ok_or_else(|| {
                Fault::new(format!(
                    "no database is named for table `{name}` of the schema; nothing was changed"
                ))
                .help(format!("name it: --store {name}=STORE"))
            })?;
            let sql_table = renamed.iter().find(|(table, _)| *table == name).map(|(_, stored)| *stored);
            located.push(Located { table, place: self.door.place(store, ui)?, sql_table });
        }
        Ok(located)
    }
}

/// Runs of a journal that speak against giving a key up: those that are not over, whatever table they are of, and the last one of a table that
/// was not looked at, if cells named the key when it ended.
fn runs(sql: &mut dyn Sql, key: &KeyInfo, looked: &[&str]) -> amanat::Result<Vec<String>> {
    let mut journal = Journal::new(sql);
    if !journal.exists() {
        return Ok(Vec::new());
    }
    let (mut uses, mut last) = (Vec::new(), BTreeMap::new());
    for id in journal.all()? {
        let run = journal.run(&id.to_string())?;
        if !run.phase.is_over() {
            uses.push(format!(
                "run {id} of table {} is {}: its rows may name any key; resume or cancel it",
                run.plan.store_table, run.phase
            ));
        }
        let newest: &mut Run = last.entry(run.plan.store_table.clone()).or_insert_with(|| run.clone());
        if newest.plan.planned <= run.plan.planned {
            *newest = run;
        }
    }
    for (table, run) in last.iter().filter(|(table, _)| !looked.contains(&table.as_str())) {
        let report = RunReport::of(run, run.phase);
        let named = report.keys().into_iter().find(|(id, _)| *id == key.id);
        let cells = named.map_or(0, |(_, change)| match run.phase {
            Phase::Done => change.after,
            _ => change.before.max(change.after),
        });
        if cells > 0 {
            uses.push(format!(
                "table {table} was not looked at, and its last run left {} under the key; name it with --sql-table TABLE={table}",
                count(cells, "cell")
            ));
        }
    }
    Ok(uses)
}

/// What of a table names a key, in words.
struct Uses<'a> {
    key: &'a KeyInfo,
    keyring: &'a Keyring,
    place: &'a Place,
    table: &'a TableSchema,
}

impl OverStore for Uses<'_> {
    type Output = (String, Vec<String>);

    fn over<S: Store>(self, store: &S) -> Result<(String, Vec<String>)> {
        let fault = |error| self.place.fault(error);
        let mut lane = store.connect().map_err(fault)?;
        let mut uses = Vec::new();
        for cells in lane.key_counts().map_err(fault)? {
            if cells.cells > 0 && names(cells.named, self.key, self.keyring) {
                let (table, column) = (self.table.name(), &cells.column);
                let place = format!("table {table} in {}, column {column}", self.place.name());
                uses.push(format!("{place}: {}", count(cells.cells, "cell")));
            }
        }
        Ok((store.table_name().to_owned(), uses))
    }
}
