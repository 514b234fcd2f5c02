// SPDX-License-Identifier: MIT OR Apache-2.0
//! SQLite tables through protect and reveal. All records are made up.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod common;

use std::path::{Path, PathBuf};

use amanat::error::{Error, Kind, Result};
use amanat::schema::TableSchema;
use amanat_stores::sqlite::{self, Cleaning, SqliteReport};
use amanat_stores::{Effort, Observer, RevealForm, Task};
use common::{Registry, Seen, table};
use rusqlite::Connection;
use rusqlite::types::Value;

const SECRET: &str = "عائشہ Synthetic";

fn people(encoding: &str) -> TableSchema {
    table(&format!(
        r#"
[[table]]
name = "people"
record_id = ["id"]
encoding = "{encoding}"
field = [
  {{ name = "name", mode = "sealed" }},
  {{ name = "note", column = "the \"note\"", mode = "sealed", absence = "visible" }},
  {{ name = "born", mode = "sealed", type = "date" }},
  {{ name = "children", mode = "sealed", type = "integer" }},
  {{ name = "alive", mode = "sealed", type = "boolean" }},
  {{ name = "photo", mode = "sealed", type = "bytes" }},
  {{ name = "more", mode = "sealed", type = "cbor" }},
  {{ name = "phone", mode = "masked", mask = "last-4" }},
  {{ name = "district", mode = "clear" }},
]
"#
    ))
}

/// A table of nothing but names.
fn names() -> TableSchema {
    table(
        "[[table]]\nname = \"people\"\nrecord_id = [\"id\"]\nfield = [{ name = \"name\", mode = \"sealed\" }]\n",
    )
}

/// Makes a file of people; every seventh is mostly NULL.
fn fill(file: &Path, options: &str, rows: i64) {
    let connection = Connection::open(file).unwrap();
    connection.execute_batch(&format!(
        "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT COLLATE NOCASE, \"the \"\"note\"\"\" TEXT, born TEXT, children INT, alive INT, photo BLOB, more BLOB, phone TEXT, district TEXT){options};"
    )).unwrap();
    let mut insert = connection.prepare("INSERT INTO people VALUES (?,?,?,?,?,?,?,?,?,?)").unwrap();
    connection.execute_batch("BEGIN").unwrap();
    for id in 0..rows {
        let row: [Value; 10] = if id % 7 == 6 {
            let empty = Value::Null;
            [
                id.into(),
                empty.clone(),
                empty.clone(),
                empty.clone(),
                empty.clone(),
                empty.clone(),
                empty.clone(),
                empty.clone(),
                empty.clone(),
                empty,
            ]
        } else {
            [
                (id * 3 - 5).into(),
                format!("{SECRET} {id}").into(),
                String::new().into(),
                "1990-01-31".to_owned().into(),
                id.into(),
                (id % 2).into(),
                vec![7_u8, 1, 0, 255].into(),
                vec![0x82_u8, 1, 2].into(),
                format!("0300{id:07}").into(),
                "Lahore".to_owned().into(),
            ]
        };
        insert.execute(rusqlite::params_from_iter(row)).ok();
    }
    drop(insert);
    connection.execute_batch("COMMIT").unwrap();
}

fn dump(file: &Path) -> Vec<Vec<Value>> {
    let connection = Connection::open(file).unwrap();
    let mut rows = connection.prepare("SELECT * FROM people ORDER BY id").unwrap();
    let rows = rows.query_map([], |row| (0..10).map(|place| row.get(place)).collect()).unwrap();
    rows.collect::<rusqlite::Result<_>>().unwrap()
}

fn protect(registry: &Registry, file: &Path, schema: &TableSchema) -> (Result<SqliteReport>, Seen) {
    let mut seen = Seen::default();
    let report = registry.with_plan(schema, Task::Protect(Effort::SealAndVerify), 2, |plan| {
        sqlite::protect(plan, file, "people", Cleaning::Vacuum, &mut seen)
    });
    (report, seen)
}

fn reveal(
    registry: &Registry,
    file: &Path,
    schema: &TableSchema,
    target: &Path,
) -> (Result<SqliteReport>, Seen) {
    let mut seen = Seen::default();
    let report = registry.with_plan(schema, Task::Reveal(&[], RevealForm::Values), 2, |plan| {
        sqlite::reveal(plan, file, "people", target, &mut seen)
    });
    (report, seen)
}

fn masked(mut rows: Vec<Vec<Value>>) -> Vec<Vec<Value>> {
    for row in &mut rows {
        if let Value::Text(phone) = &row[8] {
            row[8] = Value::Text(format!("*******{}", &phone[7..]));
        }
    }
    rows
}

fn holds(file: &Path, needle: &str) -> bool {
    let bytes = std::fs::read(file).unwrap_or_default();
    bytes.windows(needle.len()).any(|window| window == needle.as_bytes())
}

#[test]
fn a_table_is_protected_in_place_and_revealed_into_a_copy() {
    for (encoding, options, wal) in
        [("text", "", false), ("binary", " WITHOUT ROWID", false), ("binary", "", true)]
    {
        let registry = Registry::new();
        let (file, copy) = (registry.folder.path().join("people.db"), registry.folder.path().join("copy.db"));
        fill(&file, options, 1_500);
        if wal {
            Connection::open(&file).unwrap().pragma_update(None, "journal_mode", "wal").unwrap();
        }
        let before = dump(&file);
        let schema = people(encoding);
        let (report, seen) = protect(&registry, &file, &schema);
        let report = report.unwrap();
        assert!(seen.faults.is_empty() && report.warnings.is_empty(), "{seen:?} {:?}", report.warnings);
        assert_eq!(report.tally.rows, before.len() as u64);
        for row in dump(&file) {
            for (place, cell) in row.iter().enumerate() {
                let null_note = place == 2 && *cell == Value::Null;
                match cell {
                    Value::Text(text) if encoding == "text" && (1..8).contains(&place) => {
                        assert!(text.starts_with("amn1."));
                    }
                    Value::Blob(bytes) => {
                        assert!((1..8).contains(&place) && bytes[0] == 1 && bytes.len() > 70)
                    }
                    _ => assert!(null_note || !(1..8).contains(&place)),
                }
            }
        }
        assert!(!holds(&file, SECRET) && !holds(&registry.folder.path().join("people.db-wal"), SECRET));
        let sealed = dump(&file);
        let (again, _) = protect(&registry, &file, &schema);
        let again = again.unwrap();
        assert_eq!((again.tally.sealed, again.tally.resealed, again.tally.masked), (0, 0, 0));
        assert_eq!(again.tally.kept, report.tally.sealed);
        assert!(dump(&file) == sealed);
        let (report, seen) = reveal(&registry, &file, &schema, &copy);
        report.unwrap();
        assert!(seen.faults.is_empty(), "{seen:?}");
        assert!(dump(&copy) == masked(before));
        assert!(dump(&file) == sealed, "the source stays as it was");
        let bytes = |file: &Path| std::fs::metadata(file).unwrap().len();
        assert!(bytes(&copy) < bytes(&file) / 3, "the envelopes take no room in the copy");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
}

#[test]
fn bad_rows_stay_as_they_were() {
    let registry = Registry::new();
    let file = registry.folder.path().join("people.db");
    fill(&file, "", 12);
    let connection = Connection::open(&file).unwrap();
    let changes = [
        "UPDATE people SET born = '31 Jan' WHERE id = -5",
        "UPDATE people SET children = 1.5 WHERE id = -2",
        "UPDATE people SET name = 'amn1.AQE' WHERE id = 1",
        "UPDATE people SET alive = 2 WHERE id = 4",
        "UPDATE people SET more = x'82' WHERE id = 7",
        "UPDATE people SET phone = 5.5 WHERE id = 10",
        "UPDATE people SET name = CAST(x'ff' AS TEXT) WHERE id = 16",
        "UPDATE people SET photo = 'text' WHERE id = 19",
    ];
    changes.iter().for_each(|sql| assert_eq!(connection.execute(sql, []).unwrap(), 1, "{sql}"));
    drop(connection);
    let (report, seen) = protect(&registry, &file, &people("text"));
    let report = report.unwrap();
    assert_eq!((report.tally.refused_rows, seen.faults.len()), (7, 7), "{seen:#?}");
    let connection = Connection::open(&file).unwrap();
    let plain: i64 = connection
        .query_row(
            "SELECT count(*) FROM people WHERE district = 'Lahore' AND name NOT LIKE 'amn1.%'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(plain, 6, "refused rows are unchanged, one of them names no envelope");
}

#[test]
fn what_claims_to_be_an_envelope_and_is_none_is_never_sealed() {
    for (encoding, damaged) in [("text", false), ("binary", false), ("binary", true)] {
        let registry = Registry::new();
        let file = registry.folder.path().join("people.db");
        let schema = people(encoding);
        fill(&file, "", 6);
        if damaged {
            protect(&registry, &file, &schema).0.unwrap();
        }
        let connection = Connection::open(&file).unwrap();
        let damage = if damaged {
            "UPDATE people SET photo = substr(photo, 1, 20) WHERE id = -5"
        } else {
            "UPDATE people SET photo = x'0101ff' WHERE id = -5"
        };
        let changes = [damage, "UPDATE people SET name = 'amn2.AAAA' WHERE id = -2"];
        changes.iter().for_each(|sql| assert_eq!(connection.execute(sql, []).unwrap(), 1, "{sql}"));
        let before = dump(&file);
        let (report, seen) = protect(&registry, &file, &schema);
        assert_eq!(report.unwrap().tally.refused_rows, 2, "{seen:?}");
        assert!(seen.faults.iter().all(|fault| fault.3.contains("envelope")), "{seen:?}");
        assert!(dump(&file)[..2] == before[..2]);
    }
}

#[test]
fn a_key_that_is_not_utf8_at_the_end_of_a_batch_hides_no_rows() {
    let registry = Registry::new();
    let file = registry.folder.path().join("people.db");
    Connection::open(&file)
        .unwrap()
        .execute_batch(
            "CREATE TABLE people (id TEXT PRIMARY KEY, name TEXT) WITHOUT ROWID;
             WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 9999)
             INSERT INTO people SELECT printf('a%05d', n), 'synthetic' FROM n;
             INSERT INTO people VALUES (CAST(x'62ff' AS TEXT), 'bad key'), ('c', 'later');",
        )
        .unwrap();
    let (report, seen) = protect(&registry, &file, &names());
    let tally = report.unwrap().tally;
    assert_eq!((tally.rows, tally.refused_rows, tally.sealed), (10_001, 1, 10_000));
    assert_eq!((seen.faults.len(), seen.faults[0].0), (1, 10_000));
}

#[test]
fn what_an_older_key_sealed_is_sealed_anew_and_an_altered_cell_is_told() {
    let registry = Registry::new();
    let file = registry.folder.path().join("people.db");
    fill(&file, "", 50);
    let before = dump(&file);
    let schema = people("binary");
    protect(&registry, &file, &schema).0.unwrap();
    registry.rotate();
    let swap = "UPDATE people SET name = (SELECT name FROM people WHERE id = -2) WHERE id = -5";
    assert_eq!(Connection::open(&file).unwrap().execute(swap, []).unwrap(), 1);
    let (report, seen) = protect(&registry, &file, &schema);
    let report = report.unwrap();
    assert_eq!((seen.faults.len(), report.tally.unauthentic, report.tally.refused_rows), (1, 1, 1));
    assert_eq!((seen.faults[0].1.as_str(), seen.faults[0].2), ("name", Kind::Unauthentic));
    assert_eq!(report.tally.sealed, 0);
    let copy = registry.folder.path().join("copy.db");
    let (report, seen) = reveal(&registry, &file, &schema, &copy);
    assert_eq!((report.unwrap().tally.refused_rows, seen.faults.len()), (1, 1));
    let (revealed, expected) = (dump(&copy), masked(before));
    assert!(revealed[1..] == expected[1..] && revealed[0] != expected[0]);
}

#[test]
fn a_concurrent_write_is_never_lost() {
    let registry = Registry::new();
    let file: PathBuf = registry.folder.path().join("people.db");
    fill(&file, "", 1_000);
    Connection::open(&file).unwrap().pragma_update(None, "journal_mode", "wal").unwrap();
    let schema = people("text");
    let (sender, receiver) = std::sync::mpsc::channel::<()>();
    let other = {
        let file = file.clone();
        std::thread::spawn(move || {
            let connection = Connection::open(&file).unwrap();
            connection.busy_timeout(std::time::Duration::from_secs(30)).unwrap();
            connection.pragma_update(None, "synchronous", "off").unwrap();
            let mut count = 0_i64;
            while receiver.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
                for id in (0..995).step_by(13).map(|id| id * 3 - 5) {
                    // Only the case changes: a comparison by the column's collation would not see it.
                    let name = if count % 2 == 0 { "SYNTHETIC" } else { "synthetic" };
                    connection
                        .execute("UPDATE people SET name = ?1 WHERE id = ?2", rusqlite::params![name, id])
                        .unwrap();
                }
                count += 1;
            }
            count
        })
    };
    let mut read_again = 0;
    for _ in 0..3 {
        let (report, _) = protect(&registry, &file, &schema);
        read_again += report.unwrap().tally.read_again;
    }
    sender.send(()).unwrap();
    let count = other.join().unwrap();
    let (report, seen) = protect(&registry, &file, &schema);
    assert!(seen.faults.is_empty(), "{seen:?}");
    let report = report.unwrap();
    assert_eq!(report.tally.rows, dump(&file).len() as u64);
    let copy = registry.folder.path().join("copy.db");
    reveal(&registry, &file, &schema, &copy).0.unwrap();
    let last = if count % 2 == 1 { "SYNTHETIC" } else { "synthetic" };
    let connection = Connection::open(&copy).unwrap();
    let names: i64 = connection
        .query_row("SELECT count(*) FROM people WHERE name = ?1 COLLATE BINARY", [last], |row| row.get(0))
        .unwrap();
    assert!(names > 50, "{names} rows hold the last write; {read_again} were read again, {count} rounds");
    let other: i64 = connection
        .query_row("SELECT count(*) FROM people WHERE name = ?1 COLLATE NOCASE", [last], |row| row.get(0))
        .unwrap();
    assert_eq!(names, other, "no older write came back");
}

#[test]
fn a_constraint_stops_the_run_and_triggers_are_mentioned() {
    let registry = Registry::new();
    let file = registry.folder.path().join("people.db");
    fill(&file, "", 5);
    let connection = Connection::open(&file).unwrap();
    connection.execute_batch("CREATE TABLE seen (x); CREATE TRIGGER t AFTER UPDATE ON people BEGIN INSERT INTO seen VALUES (1); END").unwrap();
    let report = protect(&registry, &file, &people("text")).0.unwrap();
    assert!(report.warnings[0].contains("1 triggers"), "{:?}", report.warnings);
    connection
        .execute_batch(
            "DROP TRIGGER t; CREATE TRIGGER t BEFORE UPDATE ON people BEGIN SELECT raise(ABORT, 'no'); END",
        )
        .unwrap();
    registry.rotate();
    let before = dump(&file);
    let error = protect(&registry, &file, &people("text")).0.unwrap_err();
    assert!(error.to_string().contains("cannot be written"), "{error}");
    assert!(dump(&file) == before);
}

#[test]
fn a_trigger_that_undoes_what_is_written_stops_the_run() {
    let triggers = [
        "AFTER UPDATE OF name ON PEOPLE BEGIN UPDATE people SET name = OLD.name WHERE id = OLD.id; END",
        "AFTER UPDATE OF name ON people WHEN OLD.id = 13 BEGIN UPDATE people SET name = 'x' WHERE id = -5; END",
    ];
    for trigger in triggers {
        let registry = Registry::new();
        let file = registry.folder.path().join("people.db");
        fill(&file, "", 20);
        Connection::open(&file).unwrap().execute_batch(&format!("CREATE TRIGGER t {trigger}")).unwrap();
        let before = dump(&file);
        let error = protect(&registry, &file, &people("text")).0.unwrap_err();
        assert_eq!((error.kind(), error.row()), (Kind::Store, Some(1)), "{error}");
        assert_eq!(error.field().map(ToString::to_string).as_deref(), Some("name"));
        assert!(error.to_string().contains("a trigger of the database"), "{error}");
        assert!(dump(&file) == before, "the batch is rolled back");
    }
}

#[test]
fn a_trigger_of_the_source_does_not_change_what_is_revealed() {
    let registry = Registry::new();
    let (file, copy) = (registry.folder.path().join("people.db"), registry.folder.path().join("copy.db"));
    fill(&file, "", 20);
    let before = dump(&file);
    protect(&registry, &file, &people("text")).0.unwrap();
    Connection::open(&file)
        .unwrap()
        .execute_batch(
            "CREATE TRIGGER t AFTER UPDATE OF name ON people BEGIN UPDATE people SET name = 'forged' WHERE id = OLD.id; END",
        )
        .unwrap();
    reveal(&registry, &file, &people("text"), &copy).0.unwrap();
    assert!(dump(&copy) == masked(before));
}

#[test]
fn a_log_that_another_connection_keeps_is_told_and_emptied_by_the_next_run() {
    let registry = Registry::new();
    let file = registry.folder.path().join("people.db");
    fill(&file, "", 20);
    let reader = Connection::open(&file).unwrap();
    reader.pragma_update(None, "journal_mode", "wal").unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM people").unwrap();
    let told = protect(&registry, &file, &people("text")).0.unwrap().warnings;
    assert!(told.iter().any(|told| told.contains("keeps the write-ahead log")), "{told:?}");
    reader.execute_batch("COMMIT").unwrap();
    let log = || std::fs::metadata(registry.folder.path().join("people.db-wal")).unwrap().len();
    assert!(log() > 0);
    let again = protect(&registry, &file, &people("text")).0.unwrap();
    assert!((again.tally.sealed, log()) == (0, 0) && again.warnings.is_empty(), "{:?}", again.warnings);
}

#[test]
fn free_pages_of_a_run_that_was_stopped_are_removed_by_the_next() {
    let registry = Registry::new();
    let file = registry.folder.path().join("people.db");
    fill(&file, "", 20);
    protect(&registry, &file, &people("text")).0.unwrap();
    let free = |connection: &Connection| -> i64 {
        connection.pragma_query_value(None, "freelist_count", |row| row.get(0)).unwrap()
    };
    let connection = Connection::open(&file).unwrap();
    connection.execute_batch("CREATE TABLE big (id INTEGER PRIMARY KEY, x); INSERT INTO big (x) VALUES (zeroblob(99999)); DELETE FROM big").unwrap();
    assert!(free(&connection) > 0);
    assert_eq!(protect(&registry, &file, &people("text")).0.unwrap().tally.sealed, 0);
    assert_eq!(free(&connection), 0);
}

#[test]
fn a_file_whose_rowids_might_change_is_not_rebuilt() {
    let tables = [
        ("other (x)", true),
        ("other (x INT PRIMARY KEY)", true),
        ("other (x INTEGER PRIMARY KEY DESC)", true),
        ("other (x, y, PRIMARY KEY (x, y))", true),
        ("other (x TEXT PRIMARY KEY) WITHOUT ROWID", false),
        ("other (x INTEGER, PRIMARY KEY (x)); CREATE VIEW v AS SELECT 1", false),
        ("other (x INTEGER PRIMARY KEY AUTOINCREMENT)", false),
    ];
    for (other, skipped) in tables {
        let registry = Registry::new();
        let file = registry.folder.path().join("people.db");
        fill(&file, "", 20);
        let connection = Connection::open(&file).unwrap();
        connection.execute_batch(&format!("CREATE TABLE {other}")).unwrap();
        connection.execute("INSERT INTO other (x) VALUES (1), (2), (3)", []).ok();
        connection.execute("DELETE FROM other WHERE x = 1", []).unwrap();
        let rowids = || -> Option<String> {
            connection.query_row("SELECT group_concat(rowid || x) FROM other", [], |row| row.get(0)).unwrap()
        };
        let before = skipped.then(rowids);
        let told = protect(&registry, &file, &people("text")).0.unwrap().warnings;
        assert_eq!(told.iter().any(|told| told.contains("INTEGER PRIMARY KEY")), skipped, "{other} {told:?}");
        assert_eq!(told.len(), usize::from(skipped), "{told:?}");
        assert_eq!(skipped.then(rowids), before);
        assert!(!holds(&file, SECRET), "{other}");
    }
}

/// Adds a row behind the run.
struct Adds<'a>(&'a Path);

impl Observer for Adds<'_> {
    fn refused(&mut self, _: &Error) -> Result<()> {
        Ok(())
    }

    fn progress(&mut self, _rows: u64, _input_bytes: u64) {
        let connection = Connection::open(self.0).unwrap();
        connection.execute("INSERT OR IGNORE INTO people (id, name) VALUES (-99, 'late')", []).unwrap();
    }
}

#[test]
fn rows_that_are_added_behind_the_run_are_sealed_when_it_checks_and_later_ones_are_told() {
    let registry = Registry::new();
    let file = registry.folder.path().join("people.db");
    fill(&file, "", 20);
    let run = || {
        let task = Task::Protect(Effort::SealAndVerify);
        registry.with_plan(&people("text"), task, 1, |plan| {
            sqlite::protect(plan, &file, "people", Cleaning::Vacuum, &mut Adds(&file)).unwrap()
        })
    };
    let first = run();
    assert!(first.warnings.is_empty() && first.tally.late == 1, "{first:?}");
    let connection = Connection::open(&file).unwrap();
    let late = |id: i64| -> String {
        connection.query_row("SELECT name FROM people WHERE id = ?1", [id], |row| row.get(0)).unwrap()
    };
    assert!(late(-99).starts_with("amn1."));
    // The last moment of a run at which a row can be added.
    connection
        .execute_batch(
            "CREATE TRIGGER t AFTER UPDATE OF stage ON amanat_run_range WHEN NEW.stage = 'done'
             BEGIN INSERT OR IGNORE INTO people (id, name) VALUES (-100, 'later'); END",
        )
        .unwrap();
    let second = run();
    assert_eq!(second.warnings, ["rows were added while the run went on; run again"]);
    assert_eq!(late(-100), "later");
    let third = run();
    assert!(third.warnings.is_empty() && third.tally.sealed == 6, "{third:?}");
}

/// Stops a run after so many refused rows.
struct Stops(u32);

impl Observer for Stops {
    fn refused(&mut self, _: &Error) -> Result<()> {
        self.0 = self.0.checked_sub(1).ok_or_else(|| Error::misuse("stopped by the test"))?;
        Ok(())
    }

    fn progress(&mut self, _rows: u64, _input_bytes: u64) {}
}

#[test]
fn a_run_that_was_stopped_is_gone_on_with_and_one_for_another_key_is_given_up() {
    let registry = Registry::new();
    let file = registry.folder.path().join("people.db");
    fill(&file, "", 2_500);
    let schema = people("text");
    let connection = Connection::open(&file).unwrap();
    // The first batch has 1,000 rows; the row that is refused is in the second.
    connection.execute("UPDATE people SET born = 'never' WHERE id = 4501", []).unwrap();
    let stopped = || {
        let task = Task::Protect(Effort::SealAndVerify);
        registry.with_plan(&schema, task, 1, |plan| {
            sqlite::protect(plan, &file, "people", Cleaning::Keep, &mut Stops(0)).unwrap_err()
        })
    };
    let runs = || -> Vec<String> {
        let mut runs = connection.prepare("SELECT phase FROM amanat_run ORDER BY rowid").unwrap();
        runs.query_map([], |row| row.get(0)).unwrap().collect::<rusqlite::Result<_>>().unwrap()
    };
    assert!(stopped().to_string().contains("stopped by the test"));
    assert_eq!(runs(), ["running"]);
    let (report, seen) = protect(&registry, &file, &schema);
    let report = report.unwrap();
    assert_eq!((report.tally.rows, report.tally.refused_rows), (dump(&file).len() as u64, 1), "{seen:?}");
    assert_eq!(runs(), ["done"]);
    connection.execute("UPDATE people SET born = NULL WHERE id = 4501", []).unwrap();
    connection.execute("UPDATE people SET children = 'many' WHERE id = 4504", []).unwrap();
    stopped();
    registry.rotate();
    let (report, _) = protect(&registry, &file, &schema);
    assert_eq!(report.unwrap().tally.refused_rows, 1);
    assert_eq!(runs(), ["done", "cancelled", "done"]);
    let copy = registry.folder.path().join("copy.db");
    reveal(&registry, &file, &schema, &copy).0.unwrap();
    let ours = "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'amanat%'";
    let count = |file: &Path| -> i64 {
        Connection::open(file).unwrap().query_row(ours, [], |row| row.get(0)).unwrap()
    };
    assert!(count(&file) > 3 && count(&copy) == 0, "the journal is not of the copy");
}

#[test]
fn plaintext_among_sealed_values_is_refused_when_only_these_are_sealed_anew() {
    let registry = Registry::new();
    let file = registry.folder.path().join("people.db");
    fill(&file, "", 20);
    let schema = people("text");
    protect(&registry, &file, &schema).0.unwrap();
    registry.rotate();
    let connection = Connection::open(&file).unwrap();
    let changes = [
        "UPDATE people SET name = 'inserted' WHERE id = -5",
        "UPDATE people SET born = NULL WHERE id = -2",
        "UPDATE people SET \"the \"\"note\"\"\" = NULL WHERE id = 1",
    ];
    changes.iter().for_each(|sql| assert_eq!(connection.execute(sql, []).unwrap(), 1, "{sql}"));
    let before = dump(&file);
    for effort in [Effort::DryRun, Effort::SealAndVerify] {
        let mut seen = Seen::default();
        let report = registry.with_plan(&schema, Task::Reseal(effort), 2, |plan| {
            sqlite::protect(plan, &file, "people", Cleaning::Vacuum, &mut seen)
        });
        let tally = report.unwrap().tally;
        assert_eq!((tally.refused_rows, tally.sealed, tally.rows), (2, 0, 20), "{seen:?}");
        assert!(tally.resealed > 100, "{tally:?}");
        assert!(seen.faults.iter().all(|fault| fault.2 == Kind::Schema), "{seen:?}");
        assert_eq!((seen.faults[0].0, seen.faults[0].1.as_str()), (1, "name"));
        assert!(seen.faults[0].3.starts_with("plaintext stands in a sealed column"), "{seen:?}");
        assert!(seen.faults[1].3.starts_with("nothing stands where"), "{seen:?}");
        assert!(dump(&file)[..2] == before[..2]);
    }
    assert!(dump(&file)[3] != before[3]);
}

#[test]
fn a_constraint_that_replaces_deletes_no_row() {
    let registry = Registry::new();
    let file = registry.folder.path().join("people.db");
    let connection = Connection::open(&file).unwrap();
    connection
        .execute_batch(
            "CREATE TABLE people (id INTEGER PRIMARY KEY, card TEXT UNIQUE ON CONFLICT REPLACE);
             INSERT INTO people VALUES (1, '11111234'), (2, '22221234'), (3, '33331234')",
        )
        .unwrap();
    let schema = table(
        "[[table]]\nname = \"people\"\nrecord_id = [\"id\"]\nfield = [{ name = \"card\", mode = \"masked\", mask = \"last-4\" }]\n",
    );
    // The three masks are alike: the constraint would keep the last row alone.
    assert!(protect(&registry, &file, &schema).0.is_err());
    let rows: i64 = connection.query_row("SELECT count(*) FROM people", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 3);
}

#[test]
fn a_sealed_column_of_the_key_is_refused() {
    let registry = Registry::new();
    let file = registry.folder.path().join("people.db");
    let connection = Connection::open(&file).unwrap();
    connection
        .execute_batch("CREATE TABLE people (id INTEGER, name TEXT PRIMARY KEY) WITHOUT ROWID")
        .unwrap();
    let error = protect(&registry, &file, &names()).0.unwrap_err();
    assert!(error.kind() == Kind::Schema && error.message().contains("primary key"), "{error}");
}

#[test]
fn tables_and_columns_that_do_not_fit_are_refused() {
    let registry = Registry::new();
    let file = registry.folder.path().join("people.db");
    fill(&file, "", 1);
    let error = registry.with_plan(&people("text"), Task::Protect(Effort::Seal), 1, |plan| {
        sqlite::protect(plan, &file, "nobody", Cleaning::Keep, &mut Seen::default())
    });
    assert!(error.unwrap_err().to_string().contains("no table of this name"));
    Connection::open(&file)
        .unwrap()
        .execute_batch(
            "ALTER TABLE people ADD COLUMN email; ALTER TABLE people ADD COLUMN low AS (lower(name))",
        )
        .unwrap();
    let error = protect(&registry, &file, &people("text")).0.unwrap_err().to_string();
    assert!(error.contains("`email`, `low`"), "generated columns would show the value: {error}");
    let missing = registry.folder.path().join("missing.db");
    assert!(protect(&registry, &missing, &people("text")).0.is_err());
    assert!(!missing.exists());
}

#[test]
fn a_dry_run_writes_nothing() {
    let registry = Registry::new();
    let file = registry.folder.path().join("people.db");
    fill(&file, "", 20);
    let before = std::fs::read(&file).unwrap();
    let report = registry.with_plan(&people("text"), Task::Protect(Effort::DryRun), 2, |plan| {
        sqlite::protect(plan, &file, "people", Cleaning::Vacuum, &mut Seen::default())
    });
    assert_eq!(report.unwrap().tally.sealed, 20 * 7 - 20 + 18);
    assert!(std::fs::read(&file).unwrap() == before);
}
