// SPDX-License-Identifier: MIT OR Apache-2.0
//! Changes of a schema over a SQLite table that applications go on using: interrupted, overtaken, resumed. All records are made up.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod common;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use amanat::error::{Error, Kind, Result};
use amanat::ident::Name;
use amanat::index::BlindIndex;
use amanat::rotate::{RunId, RunPlan, RunSource, Verb};
use amanat::schema::{SchemaChange, TableSchema};
use amanat::value::ValueRef;
use amanat::{FieldContext, FieldOpener, FieldSealer, OpenOptions, RecordId, SealOptions};
use amanat_foreign::{Opener, Origin};
use amanat_stores::run::journal::Journal;
use amanat_stores::run::{Ended, Named, RunObserver, RunOptions, RunReport, Runner, Step, Store};
use amanat_stores::sqlite::{self, Cleaning, SqliteStore};
use amanat_stores::{Effort, KeyringSession, Source, Task, Work};
use common::{Registry, Seen, now, table};
use rusqlite::Connection;
use rusqlite::types::Value;
use zeroize::Zeroizing;

const OLD: &str = r#"
[[table]]
name = "people"
record_id = ["id"]
encoding = "binary"
field = [
  { name = "cnic", mode = "sealed", identifier = "cnic" },
  { name = "name", mode = "sealed" },
  { name = "notes", mode = "sealed" },
]
index = [
  { name = "by-cnic", column = "cnic_index", fields = ["cnic"], bits = 64 },
  { name = "by-name", column = "name_index", fields = ["name"], forms = ["exact/v1"], bits = 64 },
]
token = [{ name = "roll", kind = "pairwise", field = "cnic", recipient = "election-commission", epoch = 1, column = "roll" }]
"#;
/// `cnic` is renamed and its index goes with it; `name` gets a longer index beside its own; `notes` is dropped, `email` added.
const NEW: &str = r#"
[[table]]
name = "people"
record_id = ["id"]
encoding = "binary"
field = [
  { name = "national-id", column = "national_id", mode = "sealed", identifier = "cnic", formerly = "cnic" },
  { name = "name", mode = "sealed" },
  { name = "email", mode = "sealed" },
]
index = [
  { name = "by-cnic", column = "cnic_index", fields = ["national-id"], bits = 64 },
  { name = "by-name", column = "name_index", fields = ["name"], forms = ["exact/v1"], bits = 64 },
  { name = "by-name-2", column = "name_index_2", fields = ["name"], forms = ["exact/v1"], bits = 96 },
]
token = [{ name = "roll", kind = "pairwise", field = "national-id", recipient = "election-commission", epoch = 1, column = "roll" }]
"#;
const PEOPLE: i32 = 60;

struct Town {
    registry: Registry,
    file: PathBuf,
    old: TableSchema,
    new: TableSchema,
}

fn cnic(id: i32) -> String {
    format!("35202{id:07}1")
}

impl Town {
    /// People who were protected under the old schema.
    fn new() -> Self {
        let registry = Registry::new();
        let file = registry.folder.path().join("people.db");
        let town = Self { registry, file, old: table(OLD), new: table(NEW) };
        town.execute(
            "CREATE TABLE people (id INTEGER PRIMARY KEY, cnic BLOB, name BLOB, notes BLOB, cnic_index BLOB, name_index BLOB, roll TEXT)",
        );
        for id in 1..=PEOPLE {
            let row = (id, cnic(id), format!("synthetic {id}"));
            town.open()
                .execute("INSERT INTO people (id, cnic, name, notes) VALUES (?1, ?2, ?3, 'n')", row)
                .unwrap();
        }
        // The plain texts stand in columns of BLOB affinity, which keep them as they are.
        let task = Task::Protect(Effort::SealAndVerify);
        let report = town.registry.with_plan(&town.old, task, 1, |plan| {
            sqlite::protect(plan, &town.file, "people", Cleaning::Keep, &mut Seen::default())
        });
        assert_eq!(report.unwrap().tally.refused_rows, 0);
        town
    }

    fn open(&self) -> Connection {
        Connection::open(&self.file).unwrap()
    }

    fn execute(&self, sql: &str) {
        self.open().execute_batch(sql).unwrap();
    }

    fn work(&self) -> Work {
        Work::default().with_change(SchemaChange::between(&self.old, &self.new, &[])).unwrap()
    }

    fn store(&self, work: &Arc<Work>) -> SqliteStore {
        SqliteStore::new(&self.file, "people", &self.new).with_work(work)
    }

    /// Adds the columns that are missing.
    fn add_columns(&self) {
        self.store(&Arc::new(self.work())).add_columns().unwrap();
    }

    fn session(&self, work: Work) -> KeyringSession<'_> {
        KeyringSession::unlock(&self.registry.path, &self.registry.kek, &now).unwrap().with_work(work)
    }

    fn plan(&self) -> RunPlan {
        let head = "format = \"amanat-schema\"\nversion = 1\n";
        RunPlan {
            id: RunId::random().unwrap(),
            verb: Verb::Migrate,
            registry: Name::new("testland").unwrap(),
            table: self.new.name().clone(),
            store_table: "people".to_owned(),
            schema: format!("{head}{NEW}"),
            former_schema: Some(format!("{head}{OLD}")),
            source: RunSource::Sealed,
            remade: Vec::new(),
            foreign: Vec::new(),
            primary: self.session(Work::default()).primary(),
            planned: now().unwrap(),
        }
    }

    /// Plans the change and begins it.
    fn begin(&self, observer: &dyn RunObserver) -> (String, Result<Ended>) {
        let plan = self.plan();
        let session = self.session(Work::of_plan(&plan).unwrap());
        let (store, stop) = (self.store(session.work()), AtomicBool::new(false));
        Runner::new(&store, &session, &self.new, Source::SealedOnly, options(&stop))
            .plan(&plan, &Watch::new(|_| Ok(())))
            .unwrap();
        let id = plan.id.to_string();
        let ended = self.go(&id, observer);
        (id, ended)
    }

    /// Goes on with a run, as whoever has nothing but the database and the keyring.
    fn go(&self, id: &str, observer: &dyn RunObserver) -> Result<Ended> {
        let mut lane = self.store(&Arc::new(self.work())).connect().unwrap();
        let plan = Journal::new(&mut lane).run(id).unwrap().plan;
        drop(lane);
        let session = self.session(Work::of_plan(&plan).unwrap());
        let (store, stop) = (self.store(session.work()), AtomicBool::new(false));
        let runner = Runner::new(&store, &session, &self.new, Source::SealedOnly, options(&stop));
        let ended = runner.go(id, observer);
        session.give_back().unwrap();
        ended
    }

    fn migrated(&self, id: &str) -> RunReport {
        match self.go(id, &Watch::new(|_| Ok(()))).unwrap() {
            Ended::Done(report) => *report,
            other => panic!("{other:?}"),
        }
    }

    /// What a column's cells open to under a field's name, by person; `None` for NULL.
    fn values(&self, field: &str, column: &str) -> Vec<Option<String>> {
        let keyring = self.registry.path.unlock(&self.registry.kek).unwrap();
        let keys = keyring.field_keys().unwrap();
        let name = |text| Name::new(text).unwrap();
        let context = FieldContext::new(keys.registry().clone(), name("people"), name(field));
        let mut opener = FieldOpener::new(&keys, &context, &OpenOptions::default()).unwrap();
        let connection = self.open();
        let mut rows = connection.prepare(&format!("SELECT id, {column} FROM people ORDER BY id")).unwrap();
        let rows = rows.query_map([], |row| Ok((row.get::<_, i32>(0)?, row.get::<_, Option<Vec<u8>>>(1)?)));
        let mut value = |(id, cell): (i32, Option<Vec<u8>>)| {
            let id = id.to_string();
            let record = RecordId::text(&id).unwrap();
            Some(match opener.open(&record, &cell?).unwrap() {
                ValueRef::Text(text) => text.to_owned(),
                ValueRef::Null => "null".to_owned(),
                _ => panic!("another type"),
            })
        };
        rows.unwrap().map(|row| value(row.unwrap())).collect()
    }

    /// An envelope of a value, as an application seals it.
    fn sealed(&self, field: &str, id: i32, value: &str) -> Vec<u8> {
        let session = self.session(Work::default());
        let allowance = session.allowance(1).unwrap();
        let sealed = session.with_keys(|keys| {
            let context = FieldContext::new(keys.registry().clone(), Name::new("people")?, Name::new(field)?);
            let mut sealer = FieldSealer::new(keys, &context, SealOptions::default(), &allowance)?;
            sealer.seal(&RecordId::text(&id.to_string())?, ValueRef::Text(value))
        });
        session.give_back().unwrap();
        sealed.unwrap()
    }

    /// How many rows hold a term of an index of a schema for a value.
    fn terms(&self, schema: &TableSchema, index: &str, value: &str) -> i64 {
        let policy = schema.index(index).unwrap();
        let (spec, session) = (policy.spec(), self.session(Work::default()));
        let normal = spec.fields()[0].form.normalise(ValueRef::Text(value)).unwrap();
        let terms = session.with_keyring(|keyring| {
            BlindIndex::new(&keyring.index_keys()?, schema.name(), spec, &[])?.query(&[&normal])
        });
        let term = terms.unwrap()[0].as_bytes().to_vec();
        let sql = format!("SELECT count(*) FROM people WHERE {} = ?1", policy.column());
        self.open().query_row(&sql, [term], |row| row.get(0)).unwrap()
    }

    fn assert_migrated(&self, names: impl Fn(i32) -> String) {
        assert_eq!(self.values("cnic", "cnic"), vec![None; people(cnic).len()]);
        assert_eq!(self.values("national-id", "national_id"), people(cnic));
        assert_eq!(self.values("name", "name"), people(names));
        assert_eq!(self.values("email", "email"), people(|_| "null".to_owned()));
        let full: i64 = self.number("SELECT count(*) FROM people WHERE notes IS NOT NULL");
        assert_eq!(full, 0);
    }

    fn number(&self, sql: &str) -> i64 {
        self.open().query_row(sql, [], |row| row.get(0)).unwrap()
    }
}

fn people(value: impl Fn(i32) -> String) -> Vec<Option<String>> {
    (1..=PEOPLE).map(|id| Some(value(id))).collect()
}

fn synthetic(id: i32) -> String {
    format!("synthetic {id}")
}

fn options(stop: &AtomicBool) -> RunOptions<'_> {
    let mut options = RunOptions::new(stop);
    (options.batch_rows, options.take_over) = ((10, 10), true);
    options
}

struct Watch<F>(Mutex<F>);

impl<F: FnMut(&Step<'_>) -> Result<()> + Send> Watch<F> {
    fn new(work: F) -> Self {
        Self(Mutex::new(work))
    }
}

impl<F: FnMut(&Step<'_>) -> Result<()> + Send> RunObserver for Watch<F> {
    fn step(&self, step: &Step<'_>) -> Result<()> {
        (self.0.lock().unwrap())(step)
    }
}

#[test]
fn missing_columns_are_told_and_added_and_what_is_left_is_told() {
    let town = Town::new();
    let store = town.store(&Arc::new(town.work()));
    let told = store.connect().unwrap_err();
    assert!(told.kind() == Kind::Schema && told.message().contains("`national_id`"), "{told}");
    let statements = store.column_statements().unwrap();
    assert_eq!(
        statements.add,
        [
            "ALTER TABLE \"people\" ADD COLUMN \"national_id\" BLOB;",
            "ALTER TABLE \"people\" ADD COLUMN \"email\" BLOB;",
            "ALTER TABLE \"people\" ADD COLUMN \"name_index_2\" BLOB;",
        ]
    );
    assert_eq!(
        statements.drop,
        ["ALTER TABLE \"people\" DROP COLUMN \"cnic\";", "ALTER TABLE \"people\" DROP COLUMN \"notes\";"]
    );
    assert_eq!(store.add_columns().unwrap(), statements.add);
    assert!(store.add_columns().unwrap().is_empty());
    store.connect().unwrap();
    // Whoever is not told of the change refuses the columns of the old schema.
    let told = SqliteStore::new(&town.file, "people", &town.new).connect().unwrap_err();
    assert!(told.message().contains("does not name `cnic`, `notes`"), "{told}");
    let (_, ended) = town.begin(&Watch::new(|_| Ok(())));
    assert!(matches!(ended, Ok(Ended::Done(_))), "{ended:?}");
    town.execute(&statements.drop.join(" "));
    let plain = SqliteStore::new(&town.file, "people", &town.new);
    assert!(plain.connect().is_ok() && plain.column_statements().unwrap().drop.is_empty());
}

#[test]
fn a_column_that_must_not_be_null_is_refused_before_anything_is_done() {
    let town = Town::new();
    town.execute("DROP TABLE people; CREATE TABLE people (id INTEGER PRIMARY KEY, cnic BLOB NOT NULL, name BLOB, notes BLOB)");
    let told = town.store(&Arc::new(town.work())).column_statements().unwrap_err();
    assert!(told.message().contains("`cnic` must not be NULL"), "{told}");
}

#[test]
fn a_rename_that_stops_after_any_batch_leaves_every_row_readable_and_is_gone_on_with() {
    for stop_after in 1..=6 {
        let town = Town::new();
        town.add_columns();
        let mut batches = 0;
        let (id, ended) = town.begin(&Watch::new(|step: &Step<'_>| {
            batches += usize::from(matches!(step, Step::Batch(..)));
            if batches < stop_after { Ok(()) } else { Err(Error::misuse("the process ends here")) }
        }));
        assert!(ended.is_err());
        let done = 10 * stop_after;
        let (before, after) = (town.values("cnic", "cnic"), town.values("national-id", "national_id"));
        for (row, value) in people(cnic).into_iter().enumerate() {
            let wanted = if row < done { (&None, &value) } else { (&value, &None) };
            assert_eq!((&before[row], &after[row]), wanted, "row {row} after {stop_after} batches");
        }
        // A row is found by the index of the schema that reads it.
        let (first, last) = (cnic(1), cnic(PEOPLE));
        assert_eq!(town.terms(&town.new, "by-cnic", &first), 1);
        let by_old = |value: &str| town.terms(&town.old, "by-cnic", value);
        assert_eq!((by_old(&first), by_old(&last)), (0, i64::from(done < before.len())));
        let report = town.migrated(&id);
        assert_eq!((report.worked.rows, report.worked.moved, report.worked.emptied), (60, 60, 60));
        assert_eq!((report.worked.resealed, report.worked.sealed, report.worked.kept), (60, 60, 60));
        // The index of the renamed field and the longer one are made, the token and the other index stay.
        let made = (report.worked.terms_made, report.worked.terms_kept, report.worked.tokens_kept);
        assert_eq!(made, (120, 60, 60));
        assert_eq!((report.checked.rows, report.checked.refused_rows, report.worked.late), (60, 0, 0));
        town.assert_migrated(synthetic);
        assert_eq!(town.terms(&town.new, "by-cnic", &last), 1);
        assert_eq!(town.terms(&town.new, "by-name-2", &synthetic(7)), 1);
    }
}

#[test]
fn what_applications_write_while_the_run_goes_on_is_neither_lost_nor_overwritten() {
    let town = Town::new();
    town.add_columns();
    // Sealed under the old schema, as an application of the old version writes it.
    let fresh = |id: i32| town.sealed("cnic", id, &cnic(id + 1_000));
    let mut batches = 0;
    let (_, ended) = town.begin(&Watch::new(|step: &Step<'_>| {
        if matches!(step, Step::Batch(..)) {
            batches += 1;
        }
        // Batch 2 was read and is not yet written; row 3 was written; row 30 is not yet read.
        if batches == 1 && matches!(step, Step::Batch(..)) {
            for id in [15, 30] {
                town.open().execute("UPDATE people SET cnic = ?1 WHERE id = ?2", (fresh(id), id)).unwrap();
            }
            town.execute("UPDATE people SET cnic_index = NULL, roll = NULL WHERE id = 15 OR id = 30; DELETE FROM people WHERE id = 16");
            // An application of the old version does not know the new column: its write empties nothing there.
            let sql = "UPDATE people SET cnic = ?1, national_id = NULL, cnic_index = NULL, roll = NULL WHERE id = 3";
            town.open().execute(sql, [fresh(3)]).unwrap();
        }
        Ok(())
    }));
    let Ended::Done(report) = ended.unwrap() else { panic!("it is done") };
    assert_eq!((report.worked.read_again, report.worked.gone, report.worked.late), (1, 1, 1));
    assert_eq!(report.worked.refused_rows, 0);
    let values = town.values("national-id", "national_id");
    for (place, id) in (1..=PEOPLE).filter(|id| *id != 16).enumerate() {
        let wanted = if [3, 15, 30].contains(&id) { cnic(id + 1_000) } else { cnic(id) };
        assert_eq!(values[place].as_deref(), Some(wanted.as_str()), "row {id}");
        assert_eq!(town.terms(&town.new, "by-cnic", &wanted), 1, "row {id}");
    }
    assert_eq!(town.number("SELECT count(*) FROM people WHERE cnic IS NOT NULL"), 0);
}

#[test]
fn a_row_whose_columns_contradict_each_other_is_an_exception_and_stays_as_it_is() {
    let town = Town::new();
    town.add_columns();
    let both = |id: i32, value: &str| {
        let sql = "UPDATE people SET national_id = ?1 WHERE id = ?2";
        town.open().execute(sql, (town.sealed("national-id", id, value), id)).unwrap();
    };
    both(7, &cnic(7));
    both(8, &cnic(9));
    let row = |id: i32| -> Vec<Value> {
        let connection = town.open();
        connection
            .query_row("SELECT * FROM people WHERE id = ?1", [id], |row| {
                (0..10).map(|place| row.get(place)).collect()
            })
            .unwrap()
    };
    let before = row(8);
    let (id, ended) = town.begin(&Watch::new(|_| Ok(())));
    let Ended::Done(report) = ended.unwrap() else { panic!("it is done") };
    assert_eq!((report.worked.refused_rows, report.worked.moved, report.worked.kept), (1, 59, 60));
    assert_eq!(row(8), before);
    let mut lane = town.store(&Arc::new(town.work())).connect().unwrap();
    let exceptions = Journal::new(&mut lane).exceptions(&id, 10).unwrap();
    assert_eq!(exceptions.len(), 1);
    let told = format!("{exceptions:?}");
    assert!(told.contains("national-id") && told.contains("different values"), "{told}");
    assert_eq!(town.values("national-id", "national_id")[6], Some(cnic(7)));
}

#[test]
fn keys_that_only_a_former_or_dropped_column_names_are_counted() {
    let town = Town::new();
    town.add_columns();
    let old = town.session(Work::default()).primary();
    town.registry.rotate();
    let mut lane = town.store(&Arc::new(town.work())).connect().unwrap();
    let counts = amanat_stores::run::Lane::key_counts(&mut lane).unwrap();
    for column in ["cnic", "name", "notes"] {
        let count = counts.iter().find(|count| count.column.as_str() == column).unwrap();
        assert_eq!((count.named, count.cells), (Some(Named::Key(old)), 60), "{column}");
    }
}

#[test]
fn a_change_of_schema_is_refused_where_a_table_is_only_protected() {
    let town = Town::new();
    town.add_columns();
    let session = town.session(town.work());
    let plan = |task| amanat_stores::Plan {
        session: &session,
        table: &town.new,
        task,
        jobs: std::num::NonZeroUsize::MIN,
    };
    let mut seen = Seen::default();
    let mut run = |task| sqlite::protect(plan(task), &town.file, "people", Cleaning::Keep, &mut seen);
    assert_eq!(run(Task::Reseal(Effort::SealAndVerify)).unwrap_err().kind(), Kind::Misuse);
    // Its counts may be asked for.
    let dry = run(Task::Reseal(Effort::DryRun)).unwrap().tally;
    assert_eq!((dry.moved, dry.emptied, dry.resealed, dry.sealed, dry.refused_rows), (60, 60, 60, 60, 0));
    assert_eq!(town.values("cnic", "cnic"), people(cnic));
}

/// A format that turns the letters of a text around, for one table and column.
#[derive(Debug)]
struct Reversed;

impl Opener for Reversed {
    fn name(&self) -> &str {
        "reversed"
    }

    fn open(&self, stored: &[u8], origin: &Origin<'_>) -> Result<Zeroizing<Vec<u8>>> {
        let mark = format!("{}.{}.{}:", origin.table, origin.column, origin.record.join("+"));
        let body = stored.strip_prefix(mark.as_bytes()).ok_or_else(|| Error::altered("not of this place"))?;
        Ok(Zeroizing::new(body.iter().rev().copied().collect()))
    }
}

#[test]
fn values_of_another_tool_in_text_and_blob_columns_become_sealed_ones() {
    for (encoding, type_name) in [("binary", "BLOB"), ("text", "TEXT")] {
        let registry = Registry::new();
        let file = registry.folder.path().join("people.db");
        let schema = table(&format!(
            "[[table]]\nname = \"people\"\nrecord_id = [\"id\"]\nencoding = \"{encoding}\"\n\
             field = [{{ name = \"name\", mode = \"sealed\" }}, {{ name = \"age\", mode = \"sealed\", type = \"integer\", absence = \"visible\" }}]\n\
             index = [{{ name = \"by-name\", fields = [\"name\"], forms = [\"exact/v1\"], bits = 64 }}]"
        ));
        let connection = Connection::open(&file).unwrap();
        connection
            .execute_batch(&format!(
                "CREATE TABLE people (id INTEGER PRIMARY KEY, name {type_name}, age {type_name}, \"by-name\" {type_name});
                 INSERT INTO people (id, name, age) VALUES (1, CAST('people.name.1:anmA' AS {type_name}), CAST('people.age.1:24' AS {type_name})),
                 (2, CAST('people.name.2:lalib' AS {type_name}), NULL), (3, CAST('people.name.2:lalib' AS {type_name}), NULL)"
            ))
            .unwrap();
        let work = || {
            ["name", "age"].iter().fold(Work::default(), |work, field| {
                work.with_opener("people", Name::new(field).unwrap(), Arc::new(Reversed))
            })
        };
        let session = KeyringSession::unlock(&registry.path, &registry.kek, &now).unwrap().with_work(work());
        let task = Task::Protect(Effort::SealAndVerify);
        let plan = amanat_stores::Plan {
            session: &session,
            table: &schema,
            task,
            jobs: std::num::NonZeroUsize::MIN,
        };
        let mut seen = Seen::default();
        let report = sqlite::protect(plan, &file, "people", Cleaning::Keep, &mut seen).unwrap();
        let tally = &report.tally;
        assert_eq!(
            (tally.foreign, tally.sealed, tally.absent, tally.refused_rows),
            (3, 3, 1, 1),
            "{encoding}"
        );
        assert_eq!((tally.terms_made, tally.unauthentic), (2, 1));
        assert_eq!(
            seen.faults.iter().map(|fault| (fault.0, fault.1.as_str())).collect::<Vec<_>>(),
            [(3, "name")]
        );
        let again =
            sqlite::protect(plan, &file, "people", Cleaning::Keep, &mut Seen::default()).unwrap().tally;
        assert_eq!((again.foreign, again.kept, again.changes()), (0, 3, false));
        // Without the opener what the other tool sealed would be plaintext: the row that was refused is.
        let third: String = connection
            .query_row("SELECT CAST(name AS TEXT) FROM people WHERE id = 3", [], |row| row.get(0))
            .unwrap();
        assert_eq!(third, "people.name.2:lalib");
        connection.execute_batch("DELETE FROM people WHERE id = 3").unwrap();
        session.give_back().unwrap();
        let copy = registry.folder.path().join("copy.db");
        let task = Task::Reveal(&[], amanat_stores::RevealForm::Values);
        registry
            .with_plan(&schema, task, 1, |plan| {
                sqlite::reveal(plan, &file, "people", &copy, &mut Seen::default())
            })
            .unwrap();
        let connection = Connection::open(&copy).unwrap();
        let names: Vec<String> = connection
            .prepare("SELECT CAST(name AS TEXT) FROM people ORDER BY id")
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .map(|name| name.unwrap())
            .collect();
        assert_eq!(names, ["Amna", "bilal"]);
        let age: i64 = connection
            .query_row("SELECT CAST(age AS INTEGER) FROM people WHERE id = 1", [], |row| row.get(0))
            .unwrap();
        assert_eq!(age, 42);
    }
}
