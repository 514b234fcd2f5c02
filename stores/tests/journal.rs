// SPDX-License-Identifier: MIT OR Apache-2.0
//! The journal of runs, over SQLite: who owns a run, what is committed together, what an edited journal does. All records are made up.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod common;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Barrier, Mutex};
use std::thread;
use std::time::Duration;

use amanat::error::{Error, Kind, Result};
use amanat::ident::Name;
use amanat::rotate::{Lease, Phase, Request, RunId, RunPlan, RunSource, Stage, Verb};
use amanat::schema::TableSchema;
use amanat_stores::run::journal::{Journal, Owner};
use amanat_stores::run::{Ended, KeyRange, Lane, RunObserver, RunOptions, Runner, Sql, Step, Store};
use amanat_stores::sqlite::{SqliteLane, SqliteStore};
use amanat_stores::{Effort, Source, Task};
use common::{Registry, now, table};
use rusqlite::Connection;
use rusqlite::types::Value;

/// 35 people, three of whom no run can protect; in batches of ten.
struct Town {
    registry: Registry,
    file: PathBuf,
    schema: TableSchema,
}

impl Town {
    fn new() -> Self {
        let registry = Registry::new();
        let file = registry.folder.path().join("people.db");
        Connection::open(&file)
            .unwrap()
            .execute_batch(
                "CREATE TABLE people (id TEXT PRIMARY KEY, name TEXT) WITHOUT ROWID;
                 WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 35)
                 INSERT INTO people SELECT printf('key-%03d', n), 'synthetic ' || n FROM n;
                 UPDATE people SET name = 'amn1.damaged' WHERE id IN ('key-004', 'key-015', 'key-033');",
            )
            .unwrap();
        let schema = table(
            "[[table]]\nname = \"people\"\nrecord_id = [\"id\"]\nfield = [{ name = \"name\", mode = \"sealed\" }]\n",
        );
        Self { registry, file, schema }
    }

    fn lane(&self) -> SqliteLane {
        self.store().connect().unwrap()
    }

    fn store(&self) -> SqliteStore {
        SqliteStore::new(&self.file, "people", &self.schema)
    }

    fn sql(&self) -> Connection {
        Connection::open(&self.file).unwrap()
    }

    fn plan(&self) -> RunPlan {
        RunPlan {
            id: RunId::random().unwrap(),
            verb: Verb::Protect,
            registry: Name::new("testland").unwrap(),
            table: self.schema.name().clone(),
            store_table: "people".to_owned(),
            schema: String::new(),
            former_schema: None,
            source: RunSource::Any,
            remade: Vec::new(),
            foreign: Vec::new(),
            primary: self.registry.path.unlock(&self.registry.kek).unwrap().field_keys().unwrap().primary(),
            planned: now().unwrap(),
        }
    }

    fn planned(&self) -> String {
        let plan = self.plan();
        self.add(&plan).unwrap();
        plan.id.to_string()
    }

    fn add(&self, plan: &RunPlan) -> Result<()> {
        let mut lane = self.lane();
        let ranges = lane.split(1)?;
        let mut journal = Journal::new(&mut lane);
        journal.create()?;
        journal.plan(plan, &ranges)
    }

    fn go(&self, run: &str, observer: &dyn RunObserver) -> Result<Ended> {
        let task = Task::Protect(Effort::SealAndVerify);
        self.registry.with_plan(&self.schema, task, 1, |plan| {
            let (store, stop) = (self.store(), AtomicBool::new(false));
            let mut options = RunOptions::new(&stop);
            options.batch_rows = (10, 10);
            Runner::new(&store, plan.session, plan.table, Source::Any, options).go(run, observer)
        })
    }

    fn sealed(&self) -> i64 {
        let sql = "SELECT count(*) FROM people WHERE name LIKE 'amn1.%' AND name <> 'amn1.damaged'";
        self.sql().query_row(sql, [], |row| row.get(0)).unwrap()
    }

    /// Asserts that a run is done and that its counts add up.
    fn assert_done(&self, run: &str) {
        let mut lane = self.lane();
        let mut journal = Journal::new(&mut lane);
        let done = journal.run(run).unwrap();
        let [range] = done.ranges.as_slice() else { panic!("one range") };
        assert_eq!((done.phase, range.stage, range.beat), (Phase::Done, Stage::Done, 0));
        assert_eq!((range.tally.rows, range.tally.sealed, range.tally.refused_rows), (35, 32, 3));
        assert_eq!((range.checked.rows, range.checked.kept, range.checked.refused_rows), (35, 32, 3));
        assert!(range.position.is_none() && range.range == KeyRange::default());
        assert_eq!(journal.exceptions(run, 100).unwrap().len(), 3, "no row is listed twice");
        assert!(done.report.is_some() && self.sealed() == 32);
    }
}

struct Told<F>(F);

impl<F: Fn(&Step<'_>) -> Result<()> + Sync> RunObserver for Told<F> {
    fn step(&self, step: &Step<'_>) -> Result<()> {
        (self.0)(step)
    }
}

fn quiet() -> Told<impl Fn(&Step<'_>) -> Result<()> + Sync> {
    Told(|_: &Step<'_>| Ok(()))
}

/// Does something after the batch of this number, from 1.
fn after_batch(
    batch: u32,
    work: impl Fn() -> Result<()> + Sync,
) -> Told<impl Fn(&Step<'_>) -> Result<()> + Sync> {
    let met = AtomicU32::new(0);
    Told(move |step: &Step<'_>| {
        let is_batch = matches!(step, Step::Batch(..));
        if is_batch && met.fetch_add(1, Ordering::Relaxed) + 1 == batch { work() } else { Ok(()) }
    })
}

fn misuse(result: Result<impl Sized>, told: &str) {
    let error = result.map(drop).unwrap_err();
    assert!(error.kind() == Kind::Misuse && error.to_string().contains(told), "{error}");
}

#[test]
fn one_run_of_a_table_is_planned_at_a_time() {
    let town = Town::new();
    assert!(!Journal::new(&mut town.lane()).exists());
    let run = town.planned();
    assert!(Journal::new(&mut town.lane()).exists());
    misuse(town.add(&town.plan()), &format!("run {run} of this table is planned"));
    let other = RunPlan { store_table: "other".to_owned(), ..town.plan() };
    town.add(&other).unwrap();
    // Whatever a program does, the database keeps two live runs of one table apart.
    let twice = "INSERT INTO amanat_run SELECT 'x', store_table, plan, phase, request, report FROM amanat_run WHERE store_table = 'people'";
    assert!(town.sql().execute(twice, []).unwrap_err().to_string().contains("UNIQUE"));
    town.go(&run, &quiet()).unwrap();
    town.assert_done(&run);
    misuse(town.go(&run, &quiet()), "is done; start a new one");
    let next = town.planned();
    assert_eq!(Journal::new(&mut town.lane()).runs("people").unwrap().len(), 2);
    assert_eq!(Journal::new(&mut town.lane()).live("people").unwrap().unwrap().plan.id.to_string(), next);
}

#[test]
fn an_owner_keeps_others_out_until_it_lets_go_or_is_taken_over() {
    let town = Town::new();
    let run = town.planned();
    let (mut first, mut second) = (town.lane(), town.lane());
    let claim =
        |lane: &mut SqliteLane, take_over| Journal::new(lane).claim(&run, Lease::default(), take_over);
    let (owner, state) = claim(&mut first, false).unwrap();
    assert_eq!((state.phase, state.ranges.len()), (Phase::Planned, 1));
    misuse(claim(&mut second, false), "sign of life");
    assert_eq!(Journal::new(&mut first).beat(&owner, 0).unwrap(), Request::None);
    Journal::new(&mut first).release(&owner).unwrap();
    let (next, _) = claim(&mut second, false).unwrap();
    misuse(Journal::new(&mut first).beat(&owner, 0), "taken the run over");
    let (last, _) = claim(&mut first, true).unwrap();
    let mut journal = Journal::new(&mut second);
    misuse(journal.beat(&next, 0), "taken the run over");
    misuse(journal.checkpoint(&next, &state.ranges[0]), "taken the run over");
    misuse(journal.advance(&next, Phase::Running, None), "taken the run over");
    journal.release(&next).unwrap();
    misuse(claim(&mut second, false), "sign of life");
    // A process that died gives no sign of life: when its lease has run out, the run is free.
    town.sql().execute("UPDATE amanat_run_range SET beat = beat - 61000", []).unwrap();
    claim(&mut second, false).unwrap();
    misuse(Journal::new(&mut first).beat(&last, 0), "taken the run over");
    assert!(Lease::new(Duration::ZERO).is_err());
    misuse(Journal::new(&mut first).claim("0", Lease::default(), true), "no run of this id");
}

#[test]
fn of_many_that_claim_at_once_exactly_one_gets_the_run() {
    let town = Town::new();
    for take_over in [false, true] {
        let run = town.planned();
        let (barrier, owners) = (Barrier::new(8), Mutex::new(Vec::<Owner>::new()));
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let mut lane = town.lane();
                    barrier.wait();
                    match Journal::new(&mut lane).claim(&run, Lease::default(), take_over) {
                        Ok((owner, _)) => owners.lock().unwrap().push(owner),
                        Err(error) => assert_eq!(error.kind(), Kind::Misuse, "{error}"),
                    }
                });
            }
        });
        let owners = owners.into_inner().unwrap();
        assert_eq!(owners.len(), if take_over { 8 } else { 1 });
        let mut lane = town.lane();
        let alive = owners.iter().filter(|owner| Journal::new(&mut lane).beat(owner, 0).is_ok()).count();
        assert_eq!(alive, 1, "those that were taken over own nothing");
        let (owner, run) = Journal::new(&mut lane).claim(&run, Lease::default(), true).unwrap();
        assert_eq!(run.phase, Phase::Planned);
        Journal::new(&mut lane).advance(&owner, Phase::Cancelled, None).unwrap();
    }
}

#[test]
fn what_an_owner_does_after_it_was_taken_over_is_not_kept() {
    let town = Town::new();
    let run = town.planned();
    let taken = Mutex::new(None);
    let take = after_batch(1, || {
        let mut lane = town.lane();
        let claimed = Journal::new(&mut lane).claim(&run, Lease::default(), true)?;
        *taken.lock().unwrap() = Some(claimed);
        Ok(())
    });
    misuse(town.go(&run, &take), "taken the run over");
    let (owner, state) = taken.lock().unwrap().take().unwrap();
    assert_eq!(
        town.sealed(),
        9,
        "the first batch, without the row that was refused, and nothing of the second"
    );
    assert_eq!((state.ranges[0].tally.rows, state.ranges[0].tally.sealed), (10, 9));
    let mut lane = town.lane();
    let stored = Journal::new(&mut lane).range(&owner, 0).unwrap();
    assert_eq!(stored.tally, state.ranges[0].tally);
    assert_eq!(Journal::new(&mut lane).exceptions(&run, 100).unwrap().len(), 1);
    Journal::new(&mut lane).release(&owner).unwrap();
    town.go(&run, &quiet()).unwrap();
    town.assert_done(&run);
}

#[test]
fn a_checkpoint_and_its_rows_are_kept_together_or_not_at_all() {
    let town = Town::new();
    let run = town.planned();
    let mut lane = town.lane();
    let (owner, state) = Journal::new(&mut lane).claim(&run, Lease::default(), false).unwrap();
    let mut next = state.ranges[0].clone();
    next.stage = Stage::Check;
    let work = |lane: &mut SqliteLane| -> Result<()> {
        lane.begin()?;
        lane.execute("UPDATE people SET name = 'amn1.written'", &[])?;
        Journal::new(lane).checkpoint(&owner, &next)
    };
    let stands = |lane: &mut SqliteLane| (town.sealed(), Journal::new(lane).range(&owner, 0).unwrap().stage);
    work(&mut lane).unwrap();
    lane.rollback().unwrap();
    assert_eq!(stands(&mut lane), (0, Stage::Rows));
    // The connection goes in the middle of a transaction.
    work(&mut lane).unwrap();
    drop(lane);
    let mut lane = town.lane();
    assert_eq!(stands(&mut lane), (0, Stage::Rows));
    work(&mut lane).unwrap();
    lane.commit().unwrap();
    assert_eq!(stands(&mut lane), (35, Stage::Check));
    let failed = Journal::new(&mut lane).transaction(|journal| {
        journal.checkpoint(&owner, &state.ranges[0])?;
        Err::<(), _>(Error::misuse("the process failed here"))
    });
    misuse(failed, "failed here");
    assert_eq!(stands(&mut lane), (35, Stage::Check));
}

#[test]
fn a_run_is_paused_resumed_and_cancelled_by_a_word_in_the_journal() {
    let town = Town::new();
    let ask = |run: &str, request| Journal::new(&mut town.lane()).ask(run, request);
    let run = town.planned();
    // The third batch learns of it.
    let paused = town.go(&run, &after_batch(2, || ask(&run, Request::Pause))).unwrap();
    assert!(matches!(paused, Ended::Paused), "{paused:?}");
    let state = Journal::new(&mut town.lane()).run(&run).unwrap();
    assert_eq!((state.phase, state.ranges[0].tally.rows, state.ranges[0].beat), (Phase::Running, 30, 0));
    assert!(state.ranges[0].position.is_some());
    let ended = town.go(&run, &quiet()).unwrap();
    assert!(matches!(ended, Ended::Done(_)), "claiming takes the request back: {ended:?}");
    town.assert_done(&run);
    misuse(ask(&run, Request::Pause), "is done");
    misuse(ask("0", Request::Pause), "no run of this id");

    town.registry.rotate();
    let run = town.planned();
    let ended = town.go(&run, &after_batch(1, || ask(&run, Request::Cancel))).unwrap();
    let Ended::Cancelled(report) = ended else { panic!("{ended:?}") };
    assert_eq!((report.worked.resealed, report.phase), (18, Phase::Cancelled));
    let state = Journal::new(&mut town.lane()).run(&run).unwrap();
    assert!(state.phase == Phase::Cancelled && state.report.is_some() && state.ranges[0].position.is_none());
    misuse(town.go(&run, &quiet()), "is cancelled");
    assert!(Journal::new(&mut town.lane()).live("people").unwrap().is_none());
}

#[test]
fn keys_of_rows_do_not_stay_in_the_journal_when_a_run_is_over() {
    let town = Town::new();
    let run = town.planned();
    let keys = |file: &PathBuf| {
        let bytes = std::fs::read(file).unwrap();
        // A position is JSON: no cell of the table holds a key in quotes.
        bytes.windows(6).filter(|window| *window == b"[\"key-").count()
    };
    let stopped = town.go(&run, &after_batch(1, || Err(Error::misuse("stopped by the test"))));
    misuse(stopped, "stopped by the test");
    assert_eq!(keys(&town.file), 3, "the position of the range, and that of a refused row with its index");
    town.go(&run, &quiet()).unwrap();
    assert_eq!(keys(&town.file), 6, "only refused rows are named, so that they can be repaired");
    town.assert_done(&run);
}

#[test]
fn a_journal_that_was_edited_is_refused_and_never_trusted() {
    /// Columns in which nothing else than what was written may stand.
    const STRICT: [&str; 10] =
        ["id", "plan", "phase", "request", "run", "part", "stage", "position", "tally", "checked"];
    let columns = [
        ("amanat_run", ["id", "store_table", "plan", "phase", "request", "report"].as_slice()),
        (
            "amanat_run_range",
            &[
                "run",
                "part",
                "lower_end",
                "upper_end",
                "stage",
                "position",
                "tally",
                "checked",
                "owner",
                "beat",
            ],
        ),
        ("amanat_run_exception", &["run", "position", "field", "kind", "message"]),
    ];
    let garbage = || {
        let long = Value::Text("9".repeat(400));
        let text = |text: &str| Value::Text(text.to_owned());
        [
            Value::Null,
            text(""),
            text("x"),
            text("[]"),
            text("{}"),
            text("[\"other\",1]"),
            long,
            Value::Blob(vec![0, 255]),
            Value::Real(5.5),
            Value::Integer(-1),
        ]
    };
    let town = Town::new();
    let run = town.planned();
    let stopped = town.go(&run, &after_batch(2, || Err(Error::misuse("stopped by the test"))));
    misuse(stopped, "stopped by the test");
    let sound = std::fs::read(&town.file).unwrap();
    let mut tried = 0;
    for (table, columns) in columns {
        for column in columns {
            for value in garbage() {
                std::fs::write(&town.file, &sound).unwrap();
                let edit = format!("UPDATE {table} SET {column} = ?1");
                // Some are refused by the table itself.
                if town.sql().execute(&edit, [&value]).is_err() {
                    continue;
                }
                tried += 1;
                let at = format!("{table}.{column} = {value:?}");
                let before = town.sealed();
                let gone = town.go(&run, &quiet());
                let read = Journal::new(&mut town.lane()).exceptions(&run, 10).map(drop);
                let live = Journal::new(&mut town.lane()).live("people").map(drop);
                for error in [read, live].into_iter().filter_map(Result::err) {
                    assert!(
                        matches!(
                            error.kind(),
                            Kind::Malformed | Kind::Unsupported | Kind::Limit | Kind::Misuse
                        ),
                        "{at}: {error}"
                    );
                }
                if table == "amanat_run_exception" || !STRICT.contains(column) {
                    // What a person reads is no reason to stop; a run that begins again does no row twice.
                    if let Ok(ended) = gone {
                        assert!(matches!(ended, Ended::Done(_)) && town.sealed() == 32, "{at}");
                    }
                    continue;
                }
                let error = gone.map(|ended| panic!("{at}: {ended:?}")).unwrap_err();
                let kinds = [Kind::Malformed, Kind::Unsupported, Kind::Limit, Kind::Misuse];
                assert!(kinds.contains(&error.kind()), "{at}: {error}");
                assert_eq!(town.sealed(), before, "{at}");
            }
        }
    }
    assert!(tried > 120, "{tried}");
    std::fs::write(&town.file, &sound).unwrap();
    town.go(&run, &quiet()).unwrap();
    town.assert_done(&run);
}
