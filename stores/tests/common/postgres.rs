// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs over tables of a real PostgreSQL server.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, dead_code, unreachable_pub)]

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, OnceLock};

use ::postgres::Client;
use amanat::error::{Error, Result};
use amanat::ident::Name;
use amanat::rotate::{RunId, RunPlan, RunSource, Verb};
use amanat::schema::TableSchema;
use amanat::value::ValueRef;
use amanat_stores::postgres::{self, PostgresStore, PostgresUrl};
use amanat_stores::run::{Ended, RunObserver, RunOptions, RunReport, Runner, Step, Store as _};
use amanat_stores::{KeyringSession, ScanPlan, ScanSource, ScannedRow, Source, Visitor};
use amanat_testkit::postgres::Server;

use crate::common::{Registry, now};

/// One server for all tests of a binary.
pub fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(Server::start)
}

pub fn address(url: &str) -> PostgresUrl {
    PostgresUrl::parse_with(url, |_| None).unwrap()
}

/// A database of its own and a connection to it.
pub struct Database {
    pub url: PostgresUrl,
    pub name: String,
    pub client: Client,
}

impl Database {
    pub fn new() -> Self {
        Self::on(server())
    }

    pub fn on(server: &Server) -> Self {
        let name = server.create_database();
        Self { url: address(&server.socket_url(&name)), client: server.client(&name), name }
    }

    pub fn sql(&mut self, sql: &str) {
        self.client.batch_execute(sql).unwrap_or_else(|error| panic!("{error:?}\nin: {sql}"));
    }

    /// One number.
    pub fn number(&mut self, sql: &str) -> i64 {
        self.client.query_one(sql, &[]).unwrap_or_else(|error| panic!("{error:?}\nin: {sql}")).get(0)
    }

    /// All rows of a query as text.
    pub fn rows(&mut self, sql: &str) -> Vec<Vec<Option<String>>> {
        let found = self.client.simple_query(sql).unwrap_or_else(|error| panic!("{error:?}\nin: {sql}"));
        let cells = |row: ::postgres::SimpleQueryRow| {
            (0..row.len()).map(|place| row.get(place).map(str::to_owned)).collect()
        };
        found
            .into_iter()
            .filter_map(|message| match message {
                ::postgres::SimpleQueryMessage::Row(row) => Some(cells(row)),
                _ => None,
            })
            .collect()
    }
}

/// What a run is made of.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    pub registry: &'a Registry,
    pub url: &'a PostgresUrl,
    pub table: &'a TableSchema,
    pub sql_table: Option<&'a str>,
    pub lanes: usize,
    pub batch_rows: (usize, usize),
    pub take_over: bool,
}

/// Values of fields as text, by the text of the record id.
pub type Opened = BTreeMap<Vec<String>, Vec<Option<String>>>;

type React<'a> = dyn FnMut(&Step<'_>) -> Result<()> + Send + 'a;

/// Passes steps on to a closure and keeps the faults.
pub struct Watcher<'a> {
    react: Mutex<Box<React<'a>>>,
    pub faults: Mutex<Vec<String>>,
}

impl<'a> Watcher<'a> {
    pub fn new(react: impl FnMut(&Step<'_>) -> Result<()> + Send + 'a) -> Self {
        Self { react: Mutex::new(Box::new(react)), faults: Mutex::default() }
    }
}

impl RunObserver for Watcher<'_> {
    fn step(&self, step: &Step<'_>) -> Result<()> {
        if let Step::Refused(fault) = step {
            self.faults.lock().unwrap().push(fault.to_string());
        }
        (self.react.lock().unwrap())(step)
    }
}

impl<'a> Job<'a> {
    pub fn new(registry: &'a Registry, url: &'a PostgresUrl, table: &'a TableSchema) -> Self {
        Self { registry, url, table, sql_table: None, lanes: 1, batch_rows: (50, 200), take_over: false }
    }

    pub fn store(&self) -> Result<PostgresStore> {
        PostgresStore::open(self.url.clone(), self.table.clone(), self.sql_table)
    }

    /// Plans and drives a run to its end.
    pub fn run(&self) -> Result<RunReport> {
        self.run_with(&Watcher::new(|_| Ok(())))
    }

    pub fn run_with(&self, watcher: &Watcher<'_>) -> Result<RunReport> {
        let store = self.store()?;
        let run = self.plan(&store)?;
        self.go(&store, &run, watcher)
    }

    /// Plans a run; gives its id.
    pub fn plan(&self, store: &PostgresStore) -> Result<String> {
        self.with_runner(store, |runner, session| {
            let plan = RunPlan {
                id: RunId::random()?,
                verb: Verb::Protect,
                registry: Name::new("testland")?,
                table: self.table.name().clone(),
                store_table: store.table_name().to_owned(),
                schema: String::new(),
                former_schema: None,
                source: RunSource::Any,
                remade: Vec::new(),
                foreign: Vec::new(),
                primary: session.primary(),
                planned: now()?,
            };
            runner.plan(&plan, &Watcher::new(|_| Ok(())))?;
            Ok(plan.id.to_string())
        })
    }

    /// Drives a run to its end.
    pub fn go(&self, store: &PostgresStore, run: &str, watcher: &Watcher<'_>) -> Result<RunReport> {
        match self.with_runner(store, |runner, _| runner.go(run, watcher))? {
            Ended::Done(report) => Ok(*report),
            other => panic!("the run was not done: {other:?}"),
        }
    }

    fn with_runner<T>(
        &self,
        store: &PostgresStore,
        work: impl FnOnce(&Runner<'_, PostgresStore>, &KeyringSession<'_>) -> Result<T>,
    ) -> Result<T> {
        let session = KeyringSession::unlock(&self.registry.path, &self.registry.kek, &now)?;
        let stop = AtomicBool::new(false);
        let mut options = RunOptions::new(&stop);
        options.lanes = NonZeroUsize::new(self.lanes).unwrap();
        options.threads = NonZeroUsize::new(2).unwrap();
        (options.batch_rows, options.take_over) = (self.batch_rows, self.take_over);
        let runner = Runner::new(store, &session, self.table, Source::Any, options);
        let done = work(&runner, &session);
        session.give_back()?;
        done
    }

    /// Opens fields of all rows, by the text of the record id.
    pub fn values(&self, fields: &[&str]) -> Opened {
        let session = KeyringSession::unlock(&self.registry.path, &self.registry.kek, &now).unwrap();
        let fields: Vec<Name> = fields.iter().map(|name| Name::new(name).unwrap()).collect();
        let plan = ScanPlan { table: self.table, fields: &fields, source: ScanSource::Protected(&session) };
        let mut rows = Collected::default();
        postgres::scan(plan, self.url, self.sql_table, &mut rows).unwrap();
        rows.0
    }
}

#[derive(Default)]
struct Collected(Opened);

impl Visitor for Collected {
    fn row(&mut self, row: &ScannedRow<'_>) -> Result<()> {
        let record = row.record_columns()?.into_iter().map(|part| part.into_owned()).collect();
        let values = row.values().iter().map(|value| text(*value)).collect();
        assert!(self.0.insert(record, values).is_none(), "a record id came twice");
        Ok(())
    }

    fn refused(&mut self, fault: &Error) -> Result<()> {
        panic!("a row cannot be read: {fault}")
    }
}

fn text(value: ValueRef<'_>) -> Option<String> {
    match value {
        ValueRef::Null => None,
        ValueRef::Text(text) => Some(text.to_owned()),
        ValueRef::Integer(number) => Some(number.to_string()),
        ValueRef::Date(date) => Some(date.to_string()),
        ValueRef::Boolean(truth) => Some(truth.to_string()),
        ValueRef::Bytes(bytes) | ValueRef::Cbor(bytes) => Some(format!("{bytes:02x?}")),
        _ => panic!("a type of value that tests do not know"),
    }
}
