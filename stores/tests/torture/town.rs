// SPDX-License-Identifier: MIT OR Apache-2.0
//! A table of invented citizens in SQLite or PostgreSQL, the runs over it, and what is known of it from outside.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use amanat::Record;
use amanat::error::{Error, Result};
use amanat::keys::{KeyFile, Purpose};
use amanat::rotate::{Phase, RunId, RunPlan, RunSource, Verb};
use amanat::schema::Schema;
use amanat::{KeyId, Name, ValueRef};
use amanat_stores::postgres::{self, PostgresStore, PostgresUrl};
use amanat_stores::run::journal::{Exception, Journal, Run};
use amanat_stores::run::{Ended, RunObserver, RunOptions, RunReport, Runner, Store};
use amanat_stores::scan::scan_sqlite;
use amanat_stores::sqlite::SqliteStore;
use amanat_stores::{KeyringPath, KeyringSession, ScanPlan, ScanSource, ScannedRow, Source, Visitor};

use crate::common::{Registry, now};
use crate::database::Database;
use crate::service::Citizen;

/// Where the table is: a file of SQLite, or a database of a server.
#[derive(Clone)]
pub(crate) enum Place {
    Sqlite(String),
    Postgres(Box<PostgresUrl>),
}

impl Place {
    pub(crate) fn of(target: &str) -> Self {
        if target.starts_with("postgres://") {
            Self::Postgres(Box::new(PostgresUrl::parse_with(target, |_| None).unwrap()))
        } else {
            Self::Sqlite(target.to_owned())
        }
    }

    /// A run as the journal has it, and its exceptions.
    pub(crate) fn run(&self, run: RunId) -> (Run, Vec<Exception>) {
        fn of<S: Store>(store: &S, run: RunId) -> (Run, Vec<Exception>) {
            let mut lane = store.connect().unwrap();
            let mut journal = Journal::new(&mut lane);
            let run = run.to_string();
            (journal.run(&run).unwrap(), journal.exceptions(&run, 10_000).unwrap())
        }
        match self {
            Self::Sqlite(file) => of(&sqlite(file), run),
            Self::Postgres(url) => of(&server(url).unwrap(), run),
        }
    }
}

fn sqlite(file: &str) -> SqliteStore {
    SqliteStore::new(Path::new(file), "citizens", &Citizen::schema().unwrap())
}

fn server(url: &PostgresUrl) -> Result<PostgresStore> {
    PostgresStore::open(url.clone(), Citizen::schema()?, None)
}

/// One process's part in a run: it plans it if that was not done, and drives it on.
pub(crate) struct Drive<'a> {
    pub(crate) place: &'a Place,
    pub(crate) path: &'a KeyringPath,
    pub(crate) kek: &'a KeyFile,
    pub(crate) run: RunId,
    pub(crate) verb: Verb,
    pub(crate) lanes: usize,
    pub(crate) batch_rows: usize,
}

impl Drive<'_> {
    pub(crate) fn go(&self, observer: &dyn RunObserver) -> Result<Ended> {
        match self.place {
            Place::Sqlite(file) => self.over(&sqlite(file), observer),
            Place::Postgres(url) => self.over(&server(url)?, observer),
        }
    }

    fn over<S: Store>(&self, store: &S, observer: &dyn RunObserver) -> Result<Ended> {
        let session = KeyringSession::unlock(self.path, self.kek, &now)?;
        let (table, stop) = (Citizen::schema()?, AtomicBool::new(false));
        let mut options = RunOptions::new(&stop);
        options.lanes = NonZeroUsize::new(self.lanes).unwrap();
        options.threads = NonZeroUsize::new(2).unwrap();
        (options.batch_rows, options.take_over) = ((self.batch_rows, self.batch_rows), true);
        let is_protect = self.verb == Verb::Protect;
        let source = if is_protect { Source::Any } else { Source::SealedOnly };
        let runner = Runner::new(store, &session, &table, source, options);
        let known = {
            let mut lane = store.connect()?;
            let mut journal = Journal::new(&mut lane);
            if journal.exists() { journal.run(&self.run.to_string()).ok() } else { None }
        };
        if let Some(done) = known.as_ref().filter(|run| run.phase == Phase::Done) {
            return Ok(Ended::Done(Box::new(RunReport::of(done, Phase::Done))));
        }
        if known.is_none() {
            let plan = RunPlan {
                id: self.run,
                verb: self.verb,
                registry: session.with_keys(|keys| Ok(keys.registry().clone()))?,
                table: table.name().clone(),
                store_table: store.table_name().to_owned(),
                schema: Schema::new(vec![table.clone()])?.to_toml()?,
                former_schema: None,
                source: if is_protect { RunSource::Any } else { RunSource::Sealed },
                remade: Vec::new(),
                foreign: Vec::new(),
                primary: session.primary(),
                planned: now()?,
            };
            runner.plan(&plan, observer)?;
        }
        let ended = runner.go(&self.run.to_string(), observer)?;
        session.give_back()?;
        Ok(ended)
    }
}

/// What is known of a table from outside.
pub(crate) struct Town {
    pub(crate) registry: Registry,
    pub(crate) target: String,
    pub(crate) place: Place,
    /// Version of the name of each row.
    pub(crate) names: Vec<u64>,
    /// Rows with a cell that was damaged.
    pub(crate) broken: BTreeSet<usize>,
}

/// A field key and an index key.
#[derive(Clone, Copy)]
pub(crate) struct Keys {
    pub(crate) field: KeyId,
    pub(crate) index: KeyId,
}

impl Town {
    /// Fills and protects a table that was made at a target.
    pub(crate) fn protected(registry: Registry, target: &str, rows: usize, broken: usize) -> Self {
        let place = Place::of(target);
        let names = vec![0; rows];
        let mut town = Self { registry, target: target.to_owned(), place, names, broken: BTreeSet::new() };
        town.load();
        let (run, verb) = (RunId::random().unwrap(), Verb::Protect);
        let Town { registry: Registry { path, kek, .. }, place, .. } = &town;
        let drive = Drive { place, path, kek, run, verb, lanes: 1, batch_rows: 500 };
        assert!(matches!(drive.go(&Quiet).unwrap(), Ended::Done(_)));
        for damaged in 0..broken {
            town.damage((damaged + 1) * rows / (broken + 1));
        }
        town
    }

    fn load(&self) {
        let lines = (0..self.names.len()).map(|row| [id(row), cnic(row), name(row, 0)]);
        match &self.place {
            Place::Sqlite(file) => {
                let mut connection = rusqlite::Connection::open(file).unwrap();
                let load = connection.transaction().unwrap();
                for line in lines {
                    let insert = "INSERT INTO citizens (id, cnic, name, district) VALUES (?, ?, ?, 0)";
                    load.prepare_cached(insert).unwrap().execute(line).unwrap();
                }
                load.commit().unwrap();
            }
            Place::Postgres(_) => {
                let mut sql = String::new();
                for [id, cnic, name] in lines {
                    sql.push_str(&format!("INSERT INTO citizens VALUES ('{id}', '{cnic}', '{name}', 0);"));
                }
                self.sql(&sql);
            }
        }
    }

    /// Runs statements as the owner of the database.
    pub(crate) fn sql(&self, sql: &str) {
        match &self.place {
            Place::Sqlite(file) => {
                let connection = rusqlite::Connection::open(file).unwrap();
                connection.busy_timeout(std::time::Duration::from_secs(60)).unwrap();
                connection.execute_batch(sql).unwrap_or_else(|error| panic!("{error}: {sql}"));
            }
            Place::Postgres(_) => {
                let mut client = ::postgres::Client::connect(&self.target, ::postgres::NoTls).unwrap();
                // A server that is killed shall not forget it.
                client.batch_execute("SET synchronous_commit = on").unwrap();
                client.batch_execute(sql).unwrap_or_else(|error| panic!("{error:?}: {sql}"));
            }
        }
    }

    /// Changes one character in the middle of a sealed name.
    pub(crate) fn damage(&mut self, row: usize) {
        let stored = self.cells().remove(&id(row)).unwrap();
        let text = stored[1].as_deref().unwrap();
        let place = text.len() / 2;
        let other = if text.as_bytes()[place] == b'A' { "B" } else { "A" };
        let damaged = format!("{}{other}{}", &text[..place], &text[place + 1..]);
        self.sql(&format!("UPDATE citizens SET name = '{damaged}' WHERE id = '{}'", id(row)));
        self.broken.insert(row);
    }

    /// What is stored: identity number, name and their indexes, by record id.
    pub(crate) fn cells(&self) -> BTreeMap<String, [Option<String>; 4]> {
        const SELECT: &str = "SELECT id, cnic, name, cnic_index, name_index FROM citizens";
        match &self.place {
            Place::Sqlite(file) => {
                let connection = rusqlite::Connection::open(file).unwrap();
                let mut statement = connection.prepare(SELECT).unwrap();
                let line = |row: &rusqlite::Row<'_>| {
                    Ok((row.get(0)?, [row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?]))
                };
                statement.query_map([], line).unwrap().map(|line| line.unwrap()).collect()
            }
            Place::Postgres(_) => {
                let mut client = ::postgres::Client::connect(&self.target, ::postgres::NoTls).unwrap();
                let lines = client.query(SELECT, &[]).unwrap();
                lines
                    .iter()
                    .map(|row| (row.get(0), [row.get(1), row.get(2), row.get(3), row.get(4)]))
                    .collect()
            }
        }
    }

    /// Opens every row under the keyring as its file is now.
    pub(crate) fn read(&self) -> Result<Seen> {
        let session = KeyringSession::unlock(&self.registry.path, &self.registry.kek, &now)?;
        let (table, fields) = (Citizen::schema()?, [Name::new("cnic")?, Name::new("name")?]);
        let plan = ScanPlan { table: &table, fields: &fields, source: ScanSource::Protected(&session) };
        let mut seen = Seen::default();
        match &self.place {
            Place::Sqlite(file) => scan_sqlite(plan, Path::new(file), None, &mut seen),
            Place::Postgres(url) => postgres::scan(plan, url, None, &mut seen),
        }?;
        Ok(seen)
    }

    /// New keys that seal and make terms from now on.
    pub(crate) fn rotate(&self) -> Keys {
        self.registry.change(|keyring| {
            let mut add = |purpose| {
                let id = keyring.add_key(purpose, 365, now()?)?;
                keyring.activate(id, now()?).map(|()| id)
            };
            Ok(Keys { field: add(Purpose::Field)?, index: add(Purpose::Index)? })
        })
    }
}

/// Makes the empty table in a file; `mode` is SQLite's journal mode.
pub(crate) fn sqlite_file(registry: &Registry, mode: &str) -> String {
    let file = registry.folder.path().join("citizens.db").to_str().unwrap().to_owned();
    Database::open(&file).unwrap().create().unwrap();
    let set = rusqlite::Connection::open(&file).unwrap();
    let now: String = set.query_row(&format!("PRAGMA journal_mode = {mode}"), [], |row| row.get(0)).unwrap();
    assert_eq!(now, mode);
    file
}

/// Makes the empty table in a database of a server.
pub(crate) fn postgres_database(server: &amanat_testkit::postgres::Server) -> String {
    let target = server.socket_url(&server.create_database());
    Database::open(&target).unwrap().create().unwrap();
    target
}

/// What a scan has met.
#[derive(Default)]
pub(crate) struct Seen {
    /// Identity number and name, by record id.
    pub(crate) values: BTreeMap<String, [String; 2]>,
    pub(crate) refused: Vec<String>,
}

impl Visitor for Seen {
    fn row(&mut self, row: &ScannedRow<'_>) -> Result<()> {
        let text = |position| match row.value(position) {
            ValueRef::Text(text) => text.to_owned(),
            other => format!("{other:?}"),
        };
        let id = row.record_columns()?.concat();
        assert!(self.values.insert(id, [text(0), text(1)]).is_none(), "a row came twice");
        Ok(())
    }

    fn refused(&mut self, fault: &Error) -> Result<()> {
        self.refused.push(fault.to_string());
        Ok(())
    }
}

/// Looks on.
pub(crate) struct Quiet;

impl RunObserver for Quiet {
    fn step(&self, _: &amanat_stores::run::Step<'_>) -> Result<()> {
        Ok(())
    }
}

pub(crate) fn id(row: usize) -> String {
    format!("r-{row}")
}

pub(crate) fn cnic(row: usize) -> String {
    format!("99901-{row:07}-1")
}

/// The name of a row at a version: no other row and version has it.
pub(crate) fn name(row: usize, version: u64) -> String {
    const LETTERS: [char; 10] = ['ب', 'ت', 'ج', 'د', 'ر', 'س', 'ش', 'ف', 'ل', 'م'];
    let letters = |number: u64| -> String {
        let digit = |digit: char| LETTERS[usize::try_from(digit.to_digit(10).unwrap()).unwrap()];
        number.to_string().chars().map(digit).collect()
    };
    format!("علی {} {}", letters(u64::try_from(row).unwrap()), letters(version))
}
