// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs that copy and swap tables of a real PostgreSQL server.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, dead_code, unreachable_pub)]

use std::num::NonZeroUsize;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use amanat::error::Result;
use amanat::ident::Name;
use amanat::rotate::{RunId, RunPlan, RunSource, Verb};
use amanat::schema::TableSchema;
use amanat_stores::postgres::swap::{Swap, SwapLock};
use amanat_stores::postgres::{PostgresStore, PostgresUrl};
use amanat_stores::run::{Ended, RunOptions, RunReport, Store as _};
use amanat_stores::{KeyringSession, Source};

use crate::common::{Registry, now};
use crate::pg::Watcher;

/// What a run is made of.
#[derive(Clone, Copy)]
pub struct Swapping<'a> {
    pub registry: &'a Registry,
    pub url: &'a PostgresUrl,
    pub table: &'a TableSchema,
    pub sql_table: Option<&'a str>,
    pub lanes: usize,
    pub take_over: bool,
    pub lock: SwapLock,
}

impl<'a> Swapping<'a> {
    pub fn new(registry: &'a Registry, url: &'a PostgresUrl, table: &'a TableSchema) -> Self {
        let lock = SwapLock::new(Duration::from_millis(500), 20, Duration::from_millis(10));
        Self { registry, url, table, sql_table: None, lanes: 1, take_over: false, lock }
    }

    pub fn store(&self) -> PostgresStore {
        PostgresStore::open(self.url.clone(), self.table.clone(), self.sql_table).unwrap()
    }

    pub fn plan(&self, store: &PostgresStore) -> Result<String> {
        self.with_swap(store, |swap, session| {
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
            swap.plan(&plan, &Watcher::new(|_| Ok(())))?;
            Ok(plan.id.to_string())
        })
    }

    /// Drives a run to its end.
    pub fn go(&self, store: &PostgresStore, run: &str, watcher: &Watcher<'_>) -> Result<RunReport> {
        match self
            .drive(store, run, watcher)
            .inspect_err(|error| eprintln!("{error:?} {:?}", std::error::Error::source(error)))?
        {
            Ended::Done(report) => Ok(*report),
            other => panic!("the run was not done: {other:?}"),
        }
    }

    pub fn drive(&self, store: &PostgresStore, run: &str, watcher: &Watcher<'_>) -> Result<Ended> {
        self.with_swap(store, |swap, _| swap.go(run, watcher))
    }

    fn with_swap<T>(
        &self,
        store: &PostgresStore,
        work: impl FnOnce(&Swap<'_>, &KeyringSession<'_>) -> Result<T>,
    ) -> Result<T> {
        let session = KeyringSession::unlock(&self.registry.path, &self.registry.kek, &now)?;
        let stop = AtomicBool::new(false);
        let mut options = RunOptions::new(&stop);
        options.lanes = NonZeroUsize::new(self.lanes).unwrap();
        options.threads = NonZeroUsize::new(2).unwrap();
        (options.batch_rows, options.take_over) = ((1, 40), self.take_over);
        let swap = Swap::new(store, &session, self.table, Source::Any, options).with_lock(self.lock);
        let done = work(&swap, &session);
        session.give_back()?;
        done
    }
}
