// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs over PostgreSQL tables that applications go on using. All records are made up.
#![cfg(feature = "postgres")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod common;
#[path = "common/postgres.rs"]
mod pg;

use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use amanat::error::{Error, Result};
use amanat::schema::TableSchema;
use amanat_stores::run::{RunReport, Step};
use amanat_testkit::postgres::Server;
use common::{Registry, table};
use pg::{Database, Job, Watcher};

fn names() -> TableSchema {
    table(
        "[[table]]\nname = \"people\"\nrecord_id = [\"id\"]\nfield = [{ name = \"name\", mode = \"sealed\" }]\n\
         index = [{ name = \"by-name\", column = \"name_bi\", fields = [\"name\"], forms = [\"exact/v1\"], bits = 32 }]\n",
    )
}

/// People 1 to 300, whose names nobody orders by letters alone.
fn people(database: &mut Database) {
    database.sql(
        "CREATE COLLATION lax (provider = icu, locale = 'und-u-ks-level2', deterministic = false); \
         CREATE TABLE people (id bigint PRIMARY KEY, name text COLLATE lax, name_bi text); \
         INSERT INTO people SELECT n, 'synthetic ' || n FROM generate_series(1, 300) n",
    );
}

/// Protects people in batches of 50; does something once, when the first batch is committed and the second was read.
fn protect(
    registry: &Registry,
    database: &Database,
    mut once: impl FnMut(&Step<'_>) -> Result<()> + Send,
) -> Result<RunReport> {
    let (url, schema) = (database.url.clone(), names());
    let job = Job { batch_rows: (50, 50), ..Job::new(registry, &url, &schema) };
    let watcher = Watcher::new(|step| once(step));
    let report = job.run_with(&watcher);
    assert_eq!(watcher.faults.lock().unwrap().as_slice(), [""; 0]);
    report
}

/// What the names open to, by number.
fn opened(registry: &Registry, database: &Database) -> Vec<(i64, Option<String>)> {
    let (url, schema) = (database.url.clone(), names());
    let opened = Job::new(registry, &url, &schema).values(&["name"]);
    let mut opened: Vec<_> =
        opened.into_iter().map(|(record, values)| (record[0].parse().unwrap(), values[0].clone())).collect();
    opened.sort_unstable();
    opened
}

fn synthetic(ids: impl Iterator<Item = i64>) -> Vec<(i64, Option<String>)> {
    ids.map(|id| (id, Some(format!("synthetic {id}")))).collect()
}

/// Whether the connection was cut; the server may have had time to say so.
fn is_cut(error: &Error) -> bool {
    ["the server ended the connection", "the connection to PostgreSQL is gone"]
        .iter()
        .any(|what| error.message().contains(what))
}

/// Runs something at the first batch.
fn at_first_batch(step: &Step<'_>, done: &mut bool, work: impl FnOnce()) {
    if matches!(step, Step::Batch(..)) && !std::mem::replace(done, true) {
        work();
    }
}

#[test]
fn what_others_write_between_reading_and_writing_is_read_again_and_never_overwritten() {
    let (registry, mut database) = (Registry::new(), Database::new());
    people(&mut database);
    let mut other = pg::server().client(&database.name);
    let mut done = false;
    let report = protect(&registry, &database, |step| {
        at_first_batch(step, &mut done, || {
            other
                .batch_execute(
                    "UPDATE people SET name = 'SYNTHETIC 60' WHERE id = 60; UPDATE people SET name = NULL WHERE id = 61; \
                     DELETE FROM people WHERE id = 62; UPDATE people SET id = 1000 WHERE id = 63; \
                     UPDATE people SET name_bi = '0011223344' WHERE id = 64; UPDATE people SET name = 'behind' WHERE id = 3; \
                     INSERT INTO people VALUES (0, 'behind'), (2000, 'ahead')",
                )
                .unwrap();
        });
        Ok(())
    })
    .unwrap();
    assert!(done);
    // The two that were changed and the one with another term; the one that is gone and the one that is another now.
    assert_eq!((report.worked.read_again, report.worked.gone), (3, 2), "{report:?}");
    assert_eq!(report.worked.late, 2, "rows behind the checkpoint are found by the check");
    let mut wanted = synthetic((1..=300).filter(|id| ![62, 63].contains(id)));
    for (id, name) in [(60, Some("SYNTHETIC 60")), (61, None), (3, Some("behind"))] {
        wanted.iter_mut().find(|row| row.0 == id).unwrap().1 = name.map(str::to_owned);
    }
    wanted.extend([
        (0, Some("behind".to_owned())),
        (1000, Some("synthetic 63".to_owned())),
        (2000, Some("ahead".to_owned())),
    ]);
    wanted.sort_unstable();
    assert!(opened(&registry, &database) == wanted);
    assert_eq!(
        database.number(
            "SELECT count(*) FROM people WHERE name COLLATE \"C\" NOT LIKE 'amn1.%' OR name_bi = '0011223344'"
        ),
        0
    );
    // An absent value has a term too: its absence does not show.
    assert_eq!(database.number("SELECT count(*) FROM people WHERE name_bi IS NOT NULL"), 301);
}

#[test]
fn a_row_that_another_holds_is_waited_for_and_its_new_value_kept() {
    let (registry, mut database) = (Registry::new(), Database::new());
    people(&mut database);
    let mut other = pg::server().client(&database.name);
    let (mut done, mut again) = (false, 0);
    let report = protect(&registry, &database, |step| {
        at_first_batch(step, &mut done, || {
            other.batch_execute("BEGIN; UPDATE people SET name = 'held' WHERE id = 70").unwrap();
        });
        if let Step::Again(error) = step {
            again += 1;
            assert!(error.message().contains("another transaction holds rows"), "{error}");
            other.batch_execute("COMMIT").unwrap();
        }
        Ok(())
    })
    .unwrap();
    assert!(again > 0, "the lock was waited for without end");
    assert_eq!((report.worked.rows, report.worked.read_again), (300, 1), "nothing is counted twice");
    assert_eq!(opened(&registry, &database)[69], (70, Some("held".to_owned())));
}

#[test]
fn of_two_that_wait_for_each_other_the_run_gives_way() {
    let (registry, mut database) = (Registry::new(), Database::new());
    people(&mut database);
    let mut application = pg::server().client(&database.name);
    let mut watch = pg::server().client(&database.name);
    let (mut done, mut again) = (false, 0);
    thread::scope(|scope| {
        let mut clients = Some((&mut application, &mut watch));
        let mut thread = None;
        let report = protect(&registry, &database, |step| {
            at_first_batch(step, &mut done, || {
                let (application, watch) = clients.take().unwrap();
                application.batch_execute("BEGIN; UPDATE people SET name = 'b' WHERE id = 99").unwrap();
                thread = Some(scope.spawn(move || {
                    let waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
                    while watch.query_one(waits, &[]).unwrap().get::<_, i64>(0) == 0 {
                        thread::sleep(Duration::from_millis(1));
                    }
                    // The run holds this row and waits for the other.
                    application.batch_execute("UPDATE people SET name = 'a' WHERE id = 60; COMMIT")
                }));
            });
            again += u32::from(matches!(step, Step::Again(_)));
            Ok(())
        })
        .unwrap();
        thread.unwrap().join().unwrap().unwrap();
        assert!(again > 0 && report.worked.rows == 300, "{again} {report:?}");
        assert_eq!(report.worked.read_again, 2);
    });
    let opened = opened(&registry, &database);
    assert_eq!((opened[59].1.as_deref(), opened[98].1.as_deref()), (Some("a"), Some("b")));
}

#[test]
fn a_lane_whose_connection_is_cut_in_a_batch_goes_on_over_a_new_one() {
    let (registry, mut database) = (Registry::new(), Database::new());
    people(&mut database);
    let mut other = pg::server().client(&database.name);
    let mut watch = pg::server().client(&database.name);
    let (mut done, mut again) = (false, 0);
    thread::scope(|scope| {
        let mut clients = Some((&mut other, &mut watch));
        let report = protect(&registry, &database, |step| {
            at_first_batch(step, &mut done, || {
                let (other, watch) = clients.take().unwrap();
                other.batch_execute("BEGIN; UPDATE people SET name = 'held' WHERE id = 70").unwrap();
                scope.spawn(move || {
                    let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                               WHERE datname = current_database() AND wait_event_type = 'Lock'";
                    while watch.query_one(cut, &[]).unwrap().get::<_, i64>(0) == 0 {
                        thread::sleep(Duration::from_millis(1));
                    }
                    other.batch_execute("ROLLBACK").unwrap();
                });
            });
            if let Step::Again(error) = step {
                again += 1;
                assert!(is_cut(error), "{error}");
            }
            Ok(())
        })
        .unwrap();
        assert_eq!(
            (again, report.worked.rows, report.worked.sealed, report.checked.rows),
            (1, 300, 300, 300)
        );
    });
    assert!(opened(&registry, &database) == synthetic(1..=300));
}

#[test]
fn a_server_that_is_killed_and_started_again_loses_nothing() {
    let registry = Registry::new();
    let server = Mutex::new(Server::start());
    let mut database = Database::on(&server.lock().unwrap());
    people(&mut database);
    let (url, schema) = (database.url.clone(), names());
    // Its owner is known to be dead.
    let job = Job { batch_rows: (50, 50), take_over: true, ..Job::new(&registry, &url, &schema) };
    let store = job.store().unwrap();
    let run = job.plan(&store).unwrap();
    let (mut batches, mut crashes) = (0, 0);
    let report = loop {
        let watcher = Watcher::new(|step| {
            batches += u32::from(matches!(step, Step::Batch(..)));
            if matches!(step, Step::Batch(..)) && [2, 5, 9].contains(&batches) {
                crashes += 1;
                let mut server = server.lock().unwrap();
                server.crash();
                server.restart();
            }
            Ok(())
        });
        match job.go(&store, &run, &watcher) {
            Ok(report) => break report,
            // The connection that keeps the run was idle when it was cut.
            Err(error) => assert!(is_cut(&error), "{error}"),
        }
    };
    assert!(crashes == 3);
    assert_eq!((report.worked.rows, report.worked.sealed, report.checked.rows), (300, 300, 300));
    let mut database = Database { client: server.lock().unwrap().client(&database.name), ..database };
    assert_eq!(database.number("SELECT count(*) FROM people WHERE name COLLATE \"C\" LIKE 'amn1.%'"), 300);
    assert!(opened(&registry, &database) == synthetic(1..=300));
}
