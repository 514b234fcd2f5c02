// SPDX-License-Identifier: MIT OR Apache-2.0
//! The crash proof: a process that rotates the field key and the index key of a table is killed with SIGKILL, at random moments and after every
//! step of its journal; and the PostgreSQL server under it is killed too.
//!
//! After each kill every row opens under the keyring as its file then is; after the last resume nothing is lost, unreadable or counted twice.
//! `AMANAT_TORTURE_KILLS` says how many kills, 100 unless told. All people are invented.
#![cfg(all(feature = "sqlite", feature = "postgres"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod common;
#[allow(dead_code, reason = "what the service says is tested with its process")]
#[path = "../examples/registry_backend/database.rs"]
mod database;
#[path = "torture/harness.rs"]
mod harness;
#[allow(dead_code, reason = "what the service says is tested with its process")]
#[path = "../examples/registry_backend/service.rs"]
mod service;
#[path = "torture/town.rs"]
mod town;
#[path = "torture/worker.rs"]
mod worker;
#[path = "torture/writer.rs"]
mod writer;

use amanat_testkit::postgres::Server;
use common::Registry;
use harness::Proof;
use town::{Town, postgres_database, sqlite_file};

/// Rows of a table that is killed at random moments, and of one that is killed after each step.
const ROWS: (usize, usize) = (2_000, 120);
/// Rows with a damaged cell.
const BROKEN: usize = 2;

#[test]
#[ignore = "the process that the other tests start and kill"]
fn worker() {
    worker::work();
}

#[test]
fn nothing_is_lost_when_the_process_is_killed_over_sqlite_with_a_log() {
    let mut proof = Proof::new("SQLite, WAL");
    over_sqlite(&mut proof, "wal");
    proof.end();
}

#[test]
fn nothing_is_lost_when_the_process_is_killed_over_sqlite_without_a_log() {
    let mut proof = Proof::new("SQLite, rollback journal");
    over_sqlite(&mut proof, "delete");
    proof.end();
}

fn over_sqlite(proof: &mut Proof, mode: &str) {
    let town = |rows| {
        let registry = Registry::new();
        let file = sqlite_file(&registry, mode);
        Town::protected(registry, &file, rows, BROKEN)
    };
    proof.after_every_step(&town(ROWS.1));
    let mut town = town(ROWS.0);
    while !proof.is_enough() {
        // The application of the example would turn the log on.
        proof.at_random_moments(&mut town, 1, mode == "wal");
    }
}

#[test]
fn nothing_is_lost_when_the_process_is_killed_over_postgresql() {
    let (server, mut proof) = (Server::start(), Proof::new("PostgreSQL"));
    let town = |rows| Town::protected(Registry::new(), &postgres_database(&server), rows, BROKEN);
    proof.after_every_step(&town(ROWS.1));
    let mut town = town(ROWS.0);
    while !proof.is_enough() {
        proof.at_random_moments(&mut town, 2, true);
    }
    proof.end();
}

#[test]
fn nothing_is_lost_when_the_postgresql_server_is_killed() {
    let (mut server, mut proof) = (Server::start(), Proof::new("PostgreSQL, server killed"));
    let town = Town::protected(Registry::new(), &postgres_database(&server), ROWS.0, BROKEN);
    while !proof.is_enough() {
        proof.with_the_server(&town, 2, || {
            server.crash();
            server.restart();
        });
    }
    proof.end();
}
