// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs over SQLite tables that others use meanwhile. All records are made up.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod common;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use amanat::error::{Error, Kind, Result};
use amanat::ident::Name;
use amanat::keys::Purpose;
use amanat::rotate::{RunId, RunPlan, RunSource, Verb};
use amanat::schema::TableSchema;
use amanat_stores::run::journal::Journal;
use amanat_stores::run::{
    Batch, Ended, KeyRange, Lane, Named, Position, Recovery, RunObserver, RunOptions, RunReport, Runner, Sql,
    Step, Store,
};
use amanat_stores::sqlite::{self, Cleaning, SqliteStore};
use amanat_stores::{Effort, RevealForm, Rows, Source, Task};
use common::{Registry, Seen, now, table};
use rusqlite::Connection;
use rusqlite::types::Value;

const NAMES: &str =
    "[[table]]\nname = \"people\"\nrecord_id = [\"id\"]\nfield = [{ name = \"name\", mode = \"sealed\" }]\n";

struct Town {
    registry: Registry,
    file: PathBuf,
    schema: TableSchema,
}

impl Town {
    fn new(schema: &str, sql: &str) -> Self {
        let registry = Registry::new();
        let file = registry.folder.path().join("people.db");
        Connection::open(&file).unwrap().execute_batch(sql).unwrap();
        Self { registry, file, schema: table(schema) }
    }

    /// So many people of the table that the schema of names is of; ids count by tens.
    fn of_names(people: u32) -> Self {
        Self::new(
            NAMES,
            &format!(
                "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT COLLATE NOCASE);
                 WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {people})
                 INSERT INTO people SELECT 10 * n, 'synthetic ' || n FROM n;"
            ),
        )
    }

    fn store(&self) -> SqliteStore {
        SqliteStore::new(&self.file, "people", &self.schema)
    }

    fn open(&self) -> Connection {
        Connection::open(&self.file).unwrap()
    }

    fn execute(&self, sql: &str) {
        self.open().execute_batch(sql).unwrap();
    }

    fn names(&self, file: &Path) -> BTreeMap<i64, Value> {
        let connection = Connection::open(file).unwrap();
        let mut rows = connection.prepare("SELECT id, name FROM people").unwrap();
        rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(|row| row.unwrap()).collect()
    }

    fn revealed(&self) -> BTreeMap<i64, Value> {
        let copy = self.registry.folder.path().join("copy.db");
        std::fs::remove_file(&copy).ok();
        let task = Task::Reveal(&[], RevealForm::Values);
        let report = self.registry.with_plan(&self.schema, task, 1, |plan| {
            sqlite::reveal(plan, &self.file, "people", &copy, &mut Seen::default())
        });
        assert_eq!(report.unwrap().tally.refused_rows, 0);
        self.names(&copy)
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

    /// Plans a run, in batches of ten rows.
    fn planned(&self) -> String {
        let mut lane = self.store().connect().unwrap();
        let (plan, ranges) = (self.plan(), lane.split(1).unwrap());
        let mut journal = Journal::new(&mut lane);
        journal.create().unwrap();
        journal.plan(&plan, &ranges).unwrap();
        plan.id.to_string()
    }

    fn go(&self, run: &str, observer: &dyn RunObserver) -> Result<Ended> {
        let task = Task::Protect(Effort::SealAndVerify);
        self.registry.with_plan(&self.schema, task, 2, |plan| {
            let (store, stop) = (self.store(), AtomicBool::new(false));
            let mut options = RunOptions::new(&stop);
            (options.threads, options.batch_rows) = (plan.jobs, (10, 10));
            Runner::new(&store, plan.session, plan.table, Source::Any, options).go(run, observer)
        })
    }

    fn done(&self, run: &str, observer: &dyn RunObserver) -> RunReport {
        match self.go(run, observer).unwrap() {
            Ended::Done(report) => *report,
            other => panic!("{other:?}"),
        }
    }
}

/// Does something once, after the first batch of a run: the second was read then, and is not yet written.
struct Once<F>(Mutex<RefCell<Option<F>>>);

impl<F: FnOnce() + Send> Once<F> {
    fn new(work: F) -> Self {
        Self(Mutex::new(RefCell::new(Some(work))))
    }
}

impl<F: FnOnce() + Send> RunObserver for Once<F> {
    fn step(&self, step: &Step<'_>) -> Result<()> {
        let work = matches!(step, Step::Batch(..)).then(|| self.0.lock().unwrap().take()).flatten();
        work.into_iter().for_each(|work| work());
        Ok(())
    }
}

/// Looks on.
struct Quiet;

impl RunObserver for Quiet {
    fn step(&self, _: &Step<'_>) -> Result<()> {
        Ok(())
    }
}

#[test]
fn what_others_write_between_reading_and_writing_is_kept_and_sealed() {
    let town = Town::of_names(35);
    let run = town.planned();
    let report = town.done(
        &run,
        &Once::new(|| {
            town.execute(
                "UPDATE people SET name = 'SYNTHETIC 11' WHERE id = 110;
                 UPDATE people SET name = NULL WHERE id = 120;
                 UPDATE people SET id = 131 WHERE id = 130;
                 DELETE FROM people WHERE id IN (140, 150);
                 INSERT INTO people VALUES (15, 'behind'), (165, 'within'), (235, 'ahead'), (9000, 'at the end');
                 UPDATE people SET name = 'newer' WHERE id = 20;",
            );
        }),
    );
    let tally = &report.worked;
    assert_eq!((tally.read_again, tally.gone, tally.late), (2, 3, 4), "{tally:?}");
    assert_eq!((tally.refused_rows, report.checked.rows), (0, 37));
    let sealed = town.names(&town.file);
    assert!(sealed.values().all(|name| matches!(name, Value::Text(text) if text.starts_with("amn1."))));
    let mut expected: BTreeMap<i64, Value> =
        (1..=35).map(|n| (10 * n, Value::Text(format!("synthetic {n}")))).collect();
    let text = |text: &str| Value::Text(text.to_owned());
    for gone in [130, 140, 150] {
        expected.remove(&gone);
    }
    expected.extend([
        (110, text("SYNTHETIC 11")),
        (120, Value::Null),
        (131, text("synthetic 13")),
        (15, text("behind")),
        (165, text("within")),
        (235, text("ahead")),
        (9000, text("at the end")),
        (20, text("newer")),
    ]);
    assert_eq!(town.revealed(), expected);
}

#[test]
fn a_record_id_that_changes_meanwhile_and_a_value_of_another_kind_are_seen() {
    let town = Town::new(
        NAMES,
        "CREATE TABLE people (id TEXT, name TEXT);
         WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 35)
         INSERT INTO people SELECT n, 'synthetic ' || n FROM n;",
    );
    let run = town.planned();
    let change = "UPDATE people SET id = '99' WHERE rowid = 12; UPDATE people SET name = CAST(name AS BLOB) WHERE rowid = 13";
    let report = town.done(&run, &Once::new(|| town.execute(change)));
    assert_eq!((report.worked.read_again, report.worked.refused_rows, report.worked.sealed), (2, 1, 34));
    let copy = town.registry.folder.path().join("copy.db");
    let task = Task::Reveal(&[], RevealForm::Values);
    let revealed = town.registry.with_plan(&town.schema, task, 1, |plan| {
        sqlite::reveal(plan, &town.file, "people", &copy, &mut Seen::default())
    });
    assert_eq!(revealed.unwrap().tally.refused_rows, 1);
    let name = |file: &Path, row: i64| -> Value {
        let sql = "SELECT name FROM people WHERE rowid = ?1";
        Connection::open(file).unwrap().query_row(sql, [row], |row| row.get(0)).unwrap()
    };
    assert_eq!(name(&copy, 12), Value::Text("synthetic 12".to_owned()), "sealed for the record id of now");
    assert_eq!(name(&town.file, 13), Value::Blob(b"synthetic 13".to_vec()), "refused, not overwritten");
}

#[test]
fn a_table_that_is_changed_meanwhile_stops_the_run_and_it_goes_on_when_it_fits_again() {
    let drifts = [
        ("ALTER TABLE people ADD COLUMN email", "ALTER TABLE people DROP COLUMN email", "`email`"),
        (
            "ALTER TABLE people RENAME COLUMN name TO called",
            "ALTER TABLE people RENAME COLUMN called TO name",
            "`called`",
        ),
        (
            "ALTER TABLE people RENAME TO persons",
            "ALTER TABLE persons RENAME TO people",
            "no table of this name",
        ),
    ];
    for (drift, repair, told) in drifts {
        let town = Town::of_names(35);
        let run = town.planned();
        let error = town.go(&run, &Once::new(|| town.execute(drift))).unwrap_err();
        assert!(error.kind() == Kind::Schema && error.to_string().contains(told), "{error}");
        town.execute(repair);
        let report = town.done(&run, &Quiet);
        assert_eq!((report.worked.rows, report.worked.sealed, report.checked.kept), (35, 35, 35), "{drift}");
    }
    let town = Town::of_names(35);
    let run = town.planned();
    let report = town
        .done(&run, &Once::new(|| town.execute("CREATE TABLE other (x); CREATE INDEX i ON people (name)")));
    assert_eq!(report.worked.sealed, 35, "what does not matter stops nothing");
}

#[test]
fn a_trigger_that_is_made_meanwhile_is_seen() {
    let triggers = [
        "AFTER UPDATE OF name ON people BEGIN UPDATE people SET name = OLD.name WHERE id = OLD.id; END",
        "AFTER UPDATE OF name ON people WHEN OLD.id = 200 BEGIN UPDATE people SET name = 'x' WHERE id = 110; END",
        "AFTER INSERT ON other BEGIN UPDATE people SET name = 'x' WHERE id = 110; END;
         CREATE TRIGGER u AFTER UPDATE OF name ON people WHEN OLD.id = 120 BEGIN INSERT INTO other VALUES (1); END",
    ];
    for trigger in triggers {
        let town = Town::of_names(35);
        town.execute("CREATE TABLE other (x)");
        let run = town.planned();
        let make = format!("CREATE TRIGGER t {trigger}");
        let error = town.go(&run, &Once::new(|| town.execute(&make))).unwrap_err();
        assert_eq!((error.kind(), error.row()), (Kind::Store, Some(11)), "{error}");
        let sealed = town.names(&town.file).into_values();
        let sealed = sealed.filter(|name| matches!(name, Value::Text(text) if text.starts_with("amn1.")));
        assert_eq!(sealed.count(), 10, "the batch is taken back");
        town.execute("DROP TRIGGER t; DROP TRIGGER IF EXISTS u");
        assert_eq!(town.done(&run, &Quiet).worked.sealed, 35);
    }
}

#[test]
fn every_kind_of_key_is_met_once_in_batches_of_any_size() {
    let keys = [
        ("k INTEGER PRIMARY KEY", "", "n * 3 - 40"),
        (
            "k TEXT PRIMARY KEY COLLATE NOCASE",
            " WITHOUT ROWID",
            "printf('key %c%d', 65 + n % 26 + 32 * (n % 2), n)",
        ),
        (
            "k TEXT COLLATE NOCASE, PRIMARY KEY (k COLLATE BINARY)",
            " WITHOUT ROWID",
            "printf('%c%d', CASE n % 2 WHEN 0 THEN 97 ELSE 65 END, n / 2)",
        ),
        (
            "k TEXT, PRIMARY KEY (k COLLATE NOCASE DESC)",
            " WITHOUT ROWID",
            "printf('%c%d', 65 + n % 26 + 32 * (n % 2), n)",
        ),
        ("k BLOB PRIMARY KEY", " WITHOUT ROWID", "CAST(char(n % 7, n, 300 + n) AS BLOB)"),
        ("k REAL PRIMARY KEY", " WITHOUT ROWID", "(n - 20) / 7.0"),
        (
            "k PRIMARY KEY",
            " WITHOUT ROWID",
            "CASE n % 5 WHEN 0 THEN n WHEN 1 THEN n / 3.0 WHEN 2 THEN 't' || n WHEN 3 THEN CAST('b' || n AS BLOB) ELSE CAST(CAST('u' || n AS BLOB) || x'ff' AS TEXT) END",
        ),
        ("k TEXT, l INTEGER, PRIMARY KEY (l, k)", " WITHOUT ROWID", "'t' || (n % 3), n / 3"),
    ];
    for (key, options, value) in keys {
        let town = Town::new(
            NAMES,
            &format!(
                "CREATE TABLE people ({key}){options}; ALTER TABLE people ADD COLUMN id INTEGER; ALTER TABLE people ADD COLUMN name TEXT;
                 WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 60)
                 INSERT INTO people SELECT {value}, n, 'synthetic ' || n FROM n;"
            ),
        );
        // Columns of the key are not of the schema: name them as clear.
        let columns = if key.contains("l INTEGER") { "k,l" } else { "k" };
        let clear: String =
            columns.split(',').map(|name| format!(", {{ name = \"{name}\", mode = \"clear\" }}")).collect();
        let schema = table(&NAMES.replace(" }]", &format!(" }}{clear}]")));
        let town = Town { schema, ..town };
        let mut lane = town.store().connect().unwrap();
        let positions = |range: &KeyRange, size: usize| -> Vec<Position> {
            let mut lane = town.store().connect().unwrap();
            let (mut after, mut met) = (None, Vec::new());
            loop {
                let batch = lane.read(range, after.as_ref(), size, 1).unwrap();
                let Some(last) = batch.count().checked_sub(1) else { return met };
                met.extend((0..=last).filter_map(|row| batch.position(row)));
                after = batch.position(last);
            }
        };
        let all = positions(&KeyRange::default(), 1_000);
        let twice = all.iter().enumerate().any(|(place, met)| all[..place].contains(met));
        assert!(all.len() == 60 && !twice, "{key}");
        for size in [1, 7, 59, 60] {
            assert!(positions(&KeyRange::default(), size) == all, "{key} {size}");
        }
        let (first, second) = (Some(all[13].clone()), Some(all[41].clone()));
        let parts = [(None, first.clone()), (first, second.clone()), (second, None)];
        let parts = parts.into_iter().flat_map(|(after, upto)| positions(&KeyRange { after, upto }, 5));
        assert!(parts.collect::<Vec<_>>() == all, "{key}");
        lane.begin().unwrap();
        let backwards: Vec<Position> = all.iter().rev().cloned().collect();
        let again = lane.read_locked(&backwards, 100).unwrap();
        assert_eq!(again.count(), 60, "{key}");
        for (row, position) in backwards.iter().enumerate() {
            assert!(again.position(row).as_ref() == Some(position), "{key}");
            assert_eq!(again.number(row), 100 + row as u64);
        }
        lane.rollback().unwrap();
        let run = town.planned();
        let report = town.done(&run, &Quiet);
        assert_eq!(
            (report.worked.sealed, report.worked.read_again, report.checked.kept),
            (60, 0, 60),
            "{key}"
        );
    }
}

#[test]
fn rows_are_locked_only_inside_a_transaction_which_excludes_other_writers() {
    let town = Town::of_names(20);
    let mut lane = town.store().connect().unwrap();
    let batch = lane.read(&KeyRange::default(), None, 5, 1).unwrap();
    let positions: Vec<Position> = (0..5).filter_map(|row| batch.position(row)).collect();
    assert_eq!(lane.read_locked(&positions, 1).unwrap_err().kind(), Kind::Misuse);
    town.execute("DELETE FROM people WHERE id = 30");
    lane.begin().unwrap();
    let locked = lane.read_locked(&positions, 7).unwrap();
    assert_eq!((locked.count(), locked.number(3)), (4, 10), "a row that is gone is left out");
    let other = town.open();
    other.busy_timeout(std::time::Duration::ZERO).unwrap();
    let error = other.execute("UPDATE people SET name = 'x' WHERE id = 200", []).unwrap_err();
    assert_eq!(error.sqlite_error_code(), Some(rusqlite::ErrorCode::DatabaseBusy));
    lane.rollback().unwrap();
    lane.rollback().unwrap();
    assert_eq!(other.execute("UPDATE people SET name = 'x' WHERE id = 200", []).unwrap(), 1);
    assert_eq!(lane.count().unwrap(), 19);
}

#[test]
fn a_statement_of_the_journal_takes_and_gives_text_and_numbers_alone() {
    let town = Town::of_names(1);
    let mut lane = town.store().connect().unwrap();
    let text = |text| amanat_stores::run::Parameter::Text(text);
    let rows = lane.query("SELECT $1, $2, $1, NULL, 5", &[text("a"), text("b")]).unwrap();
    let texts: Vec<_> = rows[0].iter().cloned().map(|cell| cell.into_text()).collect();
    assert_eq!(texts, [Some("a".to_owned()), Some("b".to_owned()), Some("a".to_owned()), None, None]);
    assert_eq!(rows[0][4].as_integer(), Some(5));
    for other in ["x'00'", "1.5", "CAST(x'ff' AS TEXT)"] {
        assert_eq!(
            lane.query(&format!("SELECT {other}"), &[]).map(drop).unwrap_err().kind(),
            Kind::Malformed
        );
    }
    let (first, second) = (lane.now().unwrap(), lane.now().unwrap());
    assert!(first > 1_700_000_000_000 && second >= first && lane.prefix().is_empty());
}

#[test]
fn what_cells_name_is_counted_without_a_key() {
    let schema = |encoding: &str| {
        format!(
            r#"
[[table]]
name = "people"
record_id = ["id"]
encoding = "{encoding}"
field = [{{ name = "name", mode = "sealed" }}, {{ name = "cnic", mode = "sealed", identifier = "cnic" }}]
index = [{{ name = "by-cnic", column = "cnic_index", fields = ["cnic"], bits = 40 }}]
token = [{{ name = "tax", kind = "pairwise", field = "cnic", recipient = "revenue", epoch = 1, column = "tax_token" }}]
"#
        )
    };
    for encoding in ["text", "binary"] {
        let town = Town::new(
            &schema(encoding),
            "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT, cnic TEXT, cnic_index, tax_token TEXT);
             WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 30)
             INSERT INTO people (id, name, cnic) SELECT n, 'synthetic ' || n, printf('35202%07d1', n) FROM n;",
        );
        let add = |purpose| {
            town.registry.change(|keyring| {
                let id = keyring.add_key(purpose, 365, now()?)?;
                keyring.activate(id, now()?)?;
                Ok(id)
            })
        };
        let (index, _) = (add(Purpose::Index), add(Purpose::Token));
        let counts = || {
            let mut counts: Vec<(String, Option<Named>, u64)> = town
                .store()
                .connect_read_only()
                .unwrap()
                .key_counts()
                .unwrap()
                .into_iter()
                .map(|count| (count.column.to_string(), count.named, count.cells))
                .collect();
            counts.sort_by_key(|(column, named, _)| (column.clone(), format!("{named:?}")));
            counts
        };
        let of = |column: &str, named, cells| (column.to_owned(), named, cells);
        assert_eq!(counts(), [of("cnic", None, 30), of("name", None, 30)]);
        let run = town.planned();
        let first = town.plan().primary;
        assert_eq!(town.done(&run, &Quiet).worked.sealed, 60);
        let tag = Some(Named::Tag(index.as_bytes()[0]));
        let expected = [
            of("by-cnic", tag, 30),
            of("cnic", Some(Named::Key(first)), 30),
            of("name", Some(Named::Key(first)), 30),
            of("tax", Some(Named::Epoch(1)), 30),
        ];
        assert_eq!(counts(), expected, "{encoding}");
        let second = town.registry.rotate();
        town.execute("UPDATE people SET name = x'07' WHERE id = 1; UPDATE people SET name = NULL WHERE id = 2; UPDATE people SET name = 'plain' WHERE id = 3");
        let run = town.planned();
        let stopped = town.go(&run, &Stops);
        assert_eq!(stopped.unwrap_err().kind(), Kind::Misuse);
        let found = counts();
        let cells = |key| {
            found
                .iter()
                .filter(|(column, named, _)| column == "name" && *named == key)
                .map(|found| found.2)
                .sum::<u64>()
        };
        // Row 1 holds a BLOB that is no envelope, is refused and stays.
        assert_eq!(
            (cells(Some(Named::Key(second))), cells(Some(Named::Key(first))), cells(None)),
            (9, 20, 1)
        );
    }
}

/// Stops a run after its first batch.
struct Stops;

impl RunObserver for Stops {
    fn step(&self, step: &Step<'_>) -> Result<()> {
        if matches!(step, Step::Batch(..)) { Err(Error::misuse("stopped by the test")) } else { Ok(()) }
    }
}

#[test]
fn a_file_that_cannot_be_worked_on_is_told_with_the_remedy() {
    let town = Town::of_names(2_000);
    let run = town.planned();
    let sound = std::fs::read(&town.file).unwrap();
    let spoil = |spoil: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = sound.clone();
        spoil(&mut bytes);
        std::fs::write(&town.file, bytes).unwrap();
        let error = town.go(&run, &Quiet).unwrap_err();
        assert_eq!((error.kind(), town.store().recovery(&error)), (Kind::Store, Recovery::Stop), "{error}");
        error.to_string()
    };
    // A write version that this SQLite does not know: it reads such a file and does not write it (SQLite, "Database File Format", 1.3.3).
    let told = spoil(&|bytes| bytes[18] = 3);
    assert!(told.contains("must be allowed to write"), "{told}");
    let told = spoil(&|bytes| bytes[..16].fill(b'x'));
    assert!(told.contains("no SQLite database"), "{told}");
    let told = spoil(&|bytes| bytes[8_192..60_000].fill(0xaa));
    assert!(told.contains("integrity_check"), "{told}");
    std::fs::write(&town.file, &sound).unwrap();
    assert_eq!(town.done(&run, &Quiet).worked.sealed, 2_000, "a sound file is gone on with");
    std::fs::remove_file(&town.file).unwrap();
    assert_eq!(town.go(&run, &Quiet).unwrap_err().kind(), Kind::Store);
    assert!(!town.file.exists());
}

#[test]
fn what_a_trigger_says_is_not_passed_on() {
    let town = Town::of_names(5);
    town.execute(
        "CREATE TRIGGER t BEFORE UPDATE ON people BEGIN SELECT raise(ABORT, 'secret synthetic 1'); END",
    );
    let run = town.planned();
    let error = town.go(&run, &Quiet).unwrap_err();
    let source = std::error::Error::source(&error).unwrap();
    let told = format!("{error} {error:?} {source} {source:?}");
    assert!(told.contains("cannot be written") && !told.contains("synthetic"), "{told}");
}

#[test]
fn a_run_of_another_kind_is_not_given_up_by_protecting() {
    let town = Town::of_names(5);
    let mut lane = town.store().connect().unwrap();
    let plan = RunPlan { verb: Verb::Rotate, ..town.plan() };
    let mut journal = Journal::new(&mut lane);
    journal.create().unwrap();
    journal.plan(&plan, &[KeyRange::default()]).unwrap();
    let task = Task::Protect(Effort::SealAndVerify);
    let error = town.registry.with_plan(&town.schema, task, 1, |plan| {
        sqlite::protect(plan, &town.file, "people", Cleaning::Keep, &mut Seen::default()).unwrap_err()
    });
    assert_eq!(error.kind(), Kind::Misuse);
    assert!(error.to_string().contains(&plan.id.to_string()), "{error}");
}
