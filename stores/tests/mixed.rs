// SPDX-License-Identifier: MIT OR Apache-2.0
//! An application at work while keys and schema of its table change: plain and sealed rows, old and new keys, two versions of the application.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod common;

use std::time::Duration;

use amanat::error::{Kind, Result};
use amanat::keys::Purpose;
use amanat::schema::TableSchema;
use amanat::{KeyId, Record, ValueRef};
use amanat_stores::{DualTable, KeyringPath, KeyringWatch, LiveTable, RowWrite, StoredRow, StoredValue};
use common::{Registry, now};
use rusqlite::types::{ToSqlOutput, ValueRef as SqlRef};
use rusqlite::{Connection, params_from_iter};

/// Longer than any test: only what must be looked at is looked at.
const NEVER: Duration = Duration::from_secs(3_600);

#[derive(Record, Clone, PartialEq)]
#[amanat(table = "people", encoding = "binary")]
struct Person {
    #[amanat(record_id)]
    id: i64,
    #[amanat(sealed, migration = "mixed", identifier = "cnic", index(bits = 40, column = "cnic_index"))]
    cnic: Option<String>,
    #[amanat(sealed, migration = "mixed", index(form = "urdu-name/v1", bits = 32, column = "name_index"))]
    name: String,
    #[amanat(sealed, migration = "mixed")]
    married: bool,
    #[amanat(sealed, migration = "mixed")]
    photo: Vec<u8>,
    #[amanat(clear)]
    district: i64,
    #[amanat(clear)]
    alive: bool,
}

const PEOPLE: &str = "CREATE TABLE people (id INTEGER PRIMARY KEY, cnic, name, married, photo, district INTEGER, alive, cnic_index, name_index)";

fn person(id: i64) -> Person {
    Person {
        id,
        cnic: Some(format!("99901-{id:07}-1")),
        name: "علی رضا".into(),
        married: true,
        photo: vec![0xff, 0x00, 0x01],
        district: 7,
        alive: true,
    }
}

struct Table(Connection);

impl Table {
    fn new() -> Self {
        let table = Connection::open_in_memory().unwrap();
        table.execute_batch(PEOPLE).unwrap();
        Self(table)
    }

    fn rows(&self, condition: &str, values: &[StoredValue]) -> Result<Vec<StoredRow>> {
        let mut statement = self.0.prepare(&format!("SELECT * FROM people WHERE {condition}")).unwrap();
        let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let mut found = statement.query(params_from_iter(values.iter().map(parameter))).unwrap();
        let mut rows = Vec::new();
        while let Some(row) = found.next().unwrap() {
            let cell = |place| match row.get_ref(place).unwrap() {
                SqlRef::Null | SqlRef::Real(_) => StoredValue::Null,
                SqlRef::Integer(number) => StoredValue::Integer(number),
                SqlRef::Text(text) => StoredValue::Text(str::from_utf8(text).unwrap().to_owned()),
                SqlRef::Blob(bytes) => StoredValue::Bytes(bytes.to_vec()),
            };
            rows.push(StoredRow::new(
                names.iter().cloned().enumerate().map(|(place, name)| (name, cell(place))),
            ));
        }
        Ok(rows)
    }

    fn row(&self, id: i64) -> StoredRow {
        self.rows(&format!("id = {id}"), &[]).unwrap().pop().unwrap()
    }

    fn of_terms(&self, column: &str, terms: &[StoredValue]) -> Result<Vec<StoredRow>> {
        let places: Vec<String> = (1..=terms.len()).map(|place| format!("${place}")).collect();
        self.rows(&format!("{column} IN ({})", places.join(", ")), terms)
    }

    fn write(&self, sql: &str, write: &RowWrite) -> usize {
        self.0.execute(sql, params_from_iter(write.values().map(parameter))).unwrap()
    }

    fn insert(&self, write: &RowWrite) {
        assert_eq!(self.write(&write.insert_sql("people"), write), 1);
    }

    fn update(&self, write: &RowWrite) -> usize {
        self.write(&write.update_sql("people").unwrap(), write)
    }
}

fn parameter(value: &StoredValue) -> ToSqlOutput<'_> {
    ToSqlOutput::Borrowed(match value {
        StoredValue::Text(text) => SqlRef::Text(text.as_bytes()),
        StoredValue::Bytes(bytes) => SqlRef::Blob(bytes),
        StoredValue::Integer(number) => SqlRef::Integer(*number),
        StoredValue::Boolean(truth) => SqlRef::Integer(i64::from(*truth)),
        _ => SqlRef::Null,
    })
}

fn watch(registry: &Registry) -> KeyringWatch<'_> {
    KeyringWatch::open(&registry.path, &registry.kek, &now).unwrap().with_period(NEVER)
}

/// A new key of both purposes, which seals at once.
fn new_keys(registry: &Registry) -> [KeyId; 2] {
    registry.change(|keyring| {
        let mut ids = Vec::new();
        for purpose in [Purpose::Field, Purpose::Index] {
            let id = keyring.add_key(purpose, 365, now()?)?;
            keyring.activate(id, now()?)?;
            ids.push(id);
        }
        Ok([ids[0], ids[1]])
    })
}

fn ids(live: &mut LiveTable<'_, Person>, table: &Table, index: &str, value: &str) -> Vec<i64> {
    let column = live.schema().index(index).unwrap().column().to_owned();
    let found = live.find(index, &[ValueRef::Text(value)], |terms| table.of_terms(&column, terms)).unwrap();
    found.iter().map(|(_, person)| person.id).collect()
}

fn columns(write: &RowWrite) -> Vec<&str> {
    let mut columns: Vec<&str> = write.set().iter().map(|(column, _)| column.as_str()).collect();
    columns.sort_unstable();
    columns
}

#[test]
fn a_key_that_was_added_after_the_keyring_was_loaded_fails_no_read_and_no_find() {
    let (registry, table) = (Registry::new(), Table::new());
    let (old, new) = (watch(&registry), watch(&registry));
    let mut reader = LiveTable::<Person>::new(&old).unwrap();
    let mut writer = LiveTable::<Person>::new(&new).unwrap();
    table.insert(&writer.insert(&person(1)).unwrap());
    assert!(reader.open(&table.row(1)).unwrap() == person(1));
    let [field, _] = new_keys(&registry);
    new.newest().unwrap();
    table.insert(&writer.insert(&person(2)).unwrap());
    let generation = reader.generation();
    assert!(reader.open(&table.row(1)).unwrap() == person(1));
    assert_eq!(reader.generation(), generation, "nothing was looked at that needed no looking");
    // Nothing fails where a term is missing: only the file tells that there is one more.
    assert_eq!(ids(&mut reader, &table, "by-cnic", "9990100000021"), [2]);
    assert_eq!(ids(&mut reader, &table, "by-name", "علي رضا"), [1, 2]);
    let again = watch(&registry);
    assert_eq!(again.current().unwrap().field_keys().unwrap().primary(), field);
    let mut late = LiveTable::<Person>::new(&old).unwrap();
    new_keys(&registry);
    new.newest().unwrap();
    table.insert(&writer.insert(&person(3)).unwrap());
    assert!(late.open(&table.row(3)).unwrap() == person(3));
}

#[test]
fn a_key_that_comes_into_use_while_a_search_goes_on_makes_it_ask_again() {
    let (registry, table) = (Registry::new(), Table::new());
    let (old, new) = (watch(&registry), watch(&registry));
    let mut reader = LiveTable::<Person>::new(&old).unwrap();
    let mut writer = LiveTable::<Person>::new(&new).unwrap();
    table.insert(&writer.insert(&person(1)).unwrap());
    let mut asked = Vec::new();
    let found = reader.find("by-cnic", &[ValueRef::Text("9990100000011")], |terms| {
        if asked.is_empty() {
            new_keys(&registry);
            new.newest().unwrap();
            let row = table.row(1);
            let moved = writer.open(&row).unwrap();
            let write = writer.change(&row, &moved).unwrap();
            assert_eq!(columns(&write), ["cnic", "cnic_index", "married", "name", "name_index", "photo"]);
            assert_eq!(table.update(&write), 1);
        }
        asked.push(terms.len());
        table.of_terms("cnic_index", terms)
    });
    assert_eq!(found.unwrap().len(), 1);
    assert_eq!(asked, [1, 2]);
}

#[test]
fn a_key_is_introduced_to_every_copy_of_the_keyring_before_it_seals() {
    for introduced in [true, false] {
        let (registry, table) = (Registry::new(), Table::new());
        let ids_of = |keyring: &amanat::Keyring, purpose| {
            keyring.keys().filter(|key| key.purpose == purpose).last().map(|key| key.id).unwrap()
        };
        registry.change(|keyring| {
            for purpose in [Purpose::Field, Purpose::Index] {
                let id = keyring.add_key(purpose, 365, now()?)?;
                if introduced {
                    keyring.introduce(id, now()?)?;
                    assert_eq!(keyring.introduce(id, now()?).unwrap_err().kind(), Kind::KeyUnusable);
                }
            }
            Ok(())
        });
        // Another machine has a copy of the file as it is now.
        let other = KeyringPath::open(registry.folder.path().join("copy.json"));
        std::fs::copy(registry.path.path(), other.path()).unwrap();
        let there = KeyringWatch::open(&other, &registry.kek, &now).unwrap();
        let mut reader = LiveTable::<Person>::new(&there).unwrap();
        registry.change(|keyring| {
            for purpose in [Purpose::Field, Purpose::Index] {
                keyring.activate(ids_of(keyring, purpose), now()?)?;
            }
            Ok(())
        });
        let here = watch(&registry);
        let mut writer = LiveTable::<Person>::new(&here).unwrap();
        table.insert(&writer.insert(&person(1)).unwrap());
        let found = ids(&mut reader, &table, "by-cnic", "9990100000011");
        let opened = reader.open(&table.row(1)).map_err(|error| error.kind());
        if introduced {
            assert_eq!(found, [1]);
            assert!(opened.unwrap() == person(1));
        } else {
            assert!(found.is_empty(), "why a key is introduced first");
            assert_eq!(opened.err(), Some(Kind::KeyUnusable));
        }
    }
}

#[test]
fn an_older_keyring_is_never_gone_back_to_and_messages_are_counted_before_they_are_sealed() {
    let (registry, table) = (Registry::new(), Table::new());
    let older = std::fs::read(registry.path.path()).unwrap();
    let watch = watch(&registry).with_period(Duration::ZERO).with_records_at_once(3);
    let mut live = LiveTable::<Person>::new(&watch).unwrap();
    for id in 1..=5 {
        table.insert(&live.insert(&person(id)).unwrap());
        assert!(registry.messages() >= 4 * u64::try_from(id).unwrap(), "four sealed fields each");
    }
    watch.give_back().unwrap();
    assert_eq!(registry.messages(), 20);
    assert!(live.open(&table.row(5)).is_ok());
    table.insert(&live.insert(&person(6)).unwrap());
    std::fs::write(registry.path.path(), older).unwrap();
    std::fs::remove_file(registry.path.pin_path()).unwrap();
    assert_eq!(live.open(&table.row(5)).err().map(|error| error.kind()), Some(Kind::Rollback));
}

#[test]
fn a_watch_follows_a_keyring_whose_secret_was_renewed() {
    let registry = Registry::new();
    let watch = watch(&registry);
    let slot = amanat::keys::NewSlot { label: "again", kek: &registry.kek };
    registry.change(|keyring| keyring.renew_secret(&slot, now()?));
    assert_eq!(watch.newest().unwrap().generation(), 2);
}

#[test]
fn plain_and_sealed_rows_are_read_alike_and_the_first_change_seals_a_plain_one() {
    let (registry, table) = (Registry::new(), Table::new());
    let watch = watch(&registry);
    let mut live = LiveTable::<Person>::new(&watch).unwrap();
    table
        .0
        .execute_batch(
            "INSERT INTO people VALUES (1, '99901-0000001-1', 'علی رضا', 1, x'ff0001', 7, 1, NULL, NULL)",
        )
        .unwrap();
    let plain = table.row(1);
    assert!(live.open(&plain).unwrap() == person(1));
    let mut moved = person(1);
    moved.district = 8;
    let write = live.change(&plain, &moved).unwrap();
    assert_eq!(columns(&write), ["cnic", "cnic_index", "district", "married", "name", "name_index", "photo"]);
    // The row is changed by somebody else meanwhile: also what is still plain is compared.
    table.0.execute("UPDATE people SET name = 'زید'", []).unwrap();
    assert_eq!(table.update(&write), 0);
    table.0.execute("UPDATE people SET name = 'علی رضا'", []).unwrap();
    assert_eq!(table.update(&write), 1);
    assert!(live.open(&table.row(1)).unwrap() == moved);
    assert_eq!(ids(&mut live, &table, "by-cnic", "۹۹۹۰۱۰۰۰۰۰۰۱۱"), [1]);
    let sealed = table.row(1);
    assert!(matches!(sealed.cell("name"), Some(StoredValue::Bytes(bytes)) if bytes[0] == 1));
    assert_eq!(
        format!("{sealed:?} {:?} {write:?}", sealed.cell("name")),
        "StoredRow Some(StoredValue) RowWrite(7 columns)"
    );
}

#[test]
fn a_change_writes_what_differs_and_nothing_else() {
    let (registry, table) = (Registry::new(), Table::new());
    let watch = watch(&registry);
    let mut live = LiveTable::<Person>::new(&watch).unwrap();
    let mut one = person(1);
    one.cnic = None;
    table.insert(&live.insert(&one).unwrap());
    let row = table.row(1);
    assert_eq!(columns(&live.change(&row, &one).unwrap()), Vec::<&str>::new());
    assert!(live.change(&row, &one).unwrap().update_sql("people").is_err());
    one.alive = false;
    // The term that hides an absent number is random, and stays as it is: else the change would tell.
    assert_eq!(columns(&live.change(&row, &one).unwrap()), ["alive"]);
    one.name = "زید".into();
    assert_eq!(columns(&live.change(&row, &one).unwrap()), ["alive", "name", "name_index"]);
    one.cnic.clone_from(&person(1).cnic);
    let write = live.change(&row, &one).unwrap();
    assert_eq!(columns(&write), ["alive", "cnic", "cnic_index", "name", "name_index"]);
    assert_eq!(write.condition()[0].0, "id");
    assert_eq!(write.condition().len(), 9);
    let error = live.change(&row, &person(2)).map(drop).unwrap_err();
    assert_eq!(error.kind(), Kind::Misuse);
    let partial = StoredRow::new([("id".to_owned(), StoredValue::Integer(1))]);
    assert!(live.open(&partial).map(drop).unwrap_err().message().contains("`cnic` was not read"));
    assert!(live.delete(&partial).is_err());
    let delete = live.delete(&row).unwrap();
    assert_eq!(table.write(&delete.delete_sql("people").unwrap(), &delete), 1);
    assert_eq!(table.update(&write), 0);
}

#[test]
fn a_cell_that_is_no_value_of_its_column_is_refused_without_being_shown() {
    let (registry, table) = (Registry::new(), Table::new());
    let watch = watch(&registry);
    let mut live = LiveTable::<Person>::new(&watch).unwrap();
    table.insert(&live.insert(&person(1)).unwrap());
    for (column, cell) in
        [("district", "'secret-cell'"), ("cnic_index", "'secret-cell'"), ("alive", "'secret-cell'")]
    {
        table.0.execute(&format!("UPDATE people SET {column} = {cell}"), []).unwrap();
        let error = live.open(&table.row(1)).map(drop).unwrap_err();
        assert_eq!(error.kind(), Kind::Malformed);
        assert!(!error.to_string().contains("secret"), "{error}");
        table.0.execute("DELETE FROM people", []).unwrap();
        table.insert(&live.insert(&person(1)).unwrap());
    }
}

#[derive(Record, Clone, PartialEq)]
#[amanat(table = "people", encoding = "binary")]
struct Short {
    #[amanat(record_id)]
    id: i64,
    #[amanat(sealed, index(form = "urdu-name/v1", bits = 20, name = "by-name", column = "name_index"))]
    name: String,
}

#[derive(Record, Clone, PartialEq)]
#[amanat(table = "people", encoding = "binary")]
struct Long {
    #[amanat(record_id)]
    id: i64,
    #[amanat(sealed, index(form = "urdu-name/v1", bits = 32, name = "by-name", column = "name_index"))]
    name: String,
}

#[test]
fn rows_are_found_by_the_former_length_of_an_index_too() {
    let (registry, table) = (Registry::new(), Table::new());
    let watch = watch(&registry);
    let mut short = LiveTable::<Short>::new(&watch).unwrap();
    table.insert(&short.insert(&Short { id: 1, name: "علی رضا".into() }).unwrap());
    let mut long = LiveTable::<Long>::new(&watch).unwrap();
    table.insert(&long.insert(&Long { id: 2, name: "علی رضا".into() }).unwrap());
    let find = |live: &mut LiveTable<'_, Long>| {
        let name = [ValueRef::Text("علی رضا")];
        let found = live.find("by-name", &name, |terms| table.of_terms("name_index", terms)).unwrap();
        found.iter().map(|(_, person)| person.id).collect::<Vec<_>>()
    };
    assert_eq!(find(&mut long), [2]);
    let mut both = LiveTable::<Long>::new(&watch).unwrap().with_former(Short::schema().unwrap());
    assert_eq!(find(&mut both), [1, 2]);
    // A change brings the row to the length of today.
    let row = table.row(1);
    let write = both.change(&row, &Long { id: 1, name: "علی رضا".into() }).unwrap();
    assert_eq!(columns(&write), ["name_index"]);
    assert_eq!(table.update(&write), 1);
    assert_eq!(find(&mut long), [1, 2]);
}

#[test]
fn rows_of_a_compromised_key_are_opened_and_found_by_its_name() {
    let (registry, table) = (Registry::new(), Table::new());
    let watch = watch(&registry);
    let mut live = LiveTable::<Person>::new(&watch).unwrap();
    table.insert(&live.insert(&person(1)).unwrap());
    let keys: Vec<KeyId> = {
        let keyring = watch.current().unwrap();
        vec![keyring.field_keys().unwrap().primary(), keyring.index_keys().unwrap().primary()]
    };
    new_keys(&registry);
    registry.change(|keyring| keys.iter().try_for_each(|id| keyring.compromise(*id, now()?)));
    watch.newest().unwrap();
    assert_eq!(live.open(&table.row(1)).map(drop).unwrap_err().kind(), Kind::KeyUnusable);
    let mut live = live.with_break_glass(keys).unwrap();
    assert!(live.open(&table.row(1)).unwrap() == person(1));
    assert_eq!(ids(&mut live, &table, "by-cnic", "9990100000011"), [1]);
}

#[derive(Record)]
#[amanat(table = "people", encoding = "binary")]
struct Listed {
    #[amanat(record_id)]
    id: i64,
    #[amanat(
        sealed,
        identifier = "cnic",
        token(
            kind = "reversible",
            recipient = "tax-board",
            purpose = "tax-roll",
            epoch = 1,
            column = "name"
        ),
        token(kind = "pairwise", recipient = "bank", purpose = "loans", epoch = 1, column = "photo")
    )]
    cnic: String,
    #[amanat(clear)]
    district: i64,
}

#[test]
fn kept_tokens_are_counted_too_and_stay_while_their_value_does() {
    let (registry, table) = (Registry::new(), Table::new());
    let watch = watch(&registry).with_records_at_once(1);
    let mut live = LiveTable::<Listed>::new(&watch).unwrap();
    for id in 1..=5 {
        table.insert(&live.insert(&Listed { id, cnic: format!("99901-{id:07}-1"), district: 7 }).unwrap());
    }
    let row = table.row(1);
    let mut listed = live.open(&row).unwrap();
    listed.district = 8;
    assert_eq!(columns(&live.change(&row, &listed).unwrap()), ["district"]);
    listed.cnic = "99901-7654321-1".into();
    assert_eq!(columns(&live.change(&row, &listed).unwrap()), ["cnic", "district", "name", "photo"]);
}

#[derive(Record, Clone, PartialEq)]
#[amanat(table = "people", encoding = "binary")]
struct Before {
    #[amanat(record_id)]
    id: i64,
    #[amanat(sealed)]
    name: String,
    #[amanat(clear)]
    district: i64,
}

/// The name has another name, column and an index; a field is new.
#[derive(Record, Clone, PartialEq)]
#[amanat(table = "people", encoding = "binary")]
struct After {
    #[amanat(record_id)]
    id: i64,
    #[amanat(sealed, index(form = "urdu-name/v1", bits = 32, name = "by-name", column = "full_name_index"))]
    full_name: String,
    #[amanat(sealed)]
    faith: Option<String>,
    #[amanat(clear)]
    district: i64,
}

#[derive(Record)]
#[amanat(table = "people", encoding = "binary")]
struct Clash {
    #[amanat(record_id)]
    id: i64,
    #[amanat(sealed, column = "name")]
    full_name: String,
}

fn after(before: &Before) -> After {
    After { id: before.id, full_name: before.name.clone(), faith: None, district: before.district }
}

fn before(after: &After) -> Before {
    Before { id: after.id, name: after.full_name.clone(), district: after.district }
}

#[test]
fn two_versions_of_an_application_keep_old_and_new_columns_up_to_date() {
    let (registry, table) = (Registry::new(), Table::new());
    table
        .0
        .execute_batch(
            "ALTER TABLE people ADD COLUMN full_name BLOB; ALTER TABLE people ADD COLUMN full_name_index BLOB; \
             ALTER TABLE people ADD COLUMN faith BLOB",
        )
        .unwrap();
    let watch = watch(&registry);
    let live = || LiveTable::<Before>::new(&watch).unwrap();
    let live_new = || LiveTable::<After>::new(&watch).unwrap();
    let mut first = live();
    let mut second = DualTable::new(live(), live_new()).unwrap();
    let mut third = DualTable::new(live_new(), live()).unwrap();
    let mut fourth = live_new();
    // A row of the version that knows the old column alone, then of the second, which writes both.
    let mut person = Before { id: 1, name: "علی".into(), district: 1 };
    table.insert(&first.insert(&person).unwrap());
    person.name = "زید".into();
    let write = second.change(&table.row(1), &person, &after(&person)).unwrap();
    assert_eq!(columns(&write), ["faith", "full_name", "full_name_index", "name"]);
    assert_eq!(table.update(&write), 1);
    assert!(
        first.open(&table.row(1)).unwrap() == person && fourth.open(&table.row(1)).unwrap() == after(&person)
    );
    // A change that reaches no sealed field of the old schema still writes all of the new one: the first version may have written in between.
    person.district = 2;
    table.update(&first.change(&table.row(1), &person).unwrap());
    let write = second.change(&table.row(1), &person, &after(&person)).unwrap();
    assert_eq!(columns(&write), ["faith", "full_name", "full_name_index"]);
    // The third version reads the new column and keeps the old one.
    let mut renamed = third.read().open(&table.row(1)).unwrap();
    renamed.full_name = "عائشہ".into();
    renamed.faith = Some("invented".into());
    let write = third.change(&table.row(1), &renamed, &before(&renamed)).unwrap();
    assert_eq!(columns(&write), ["faith", "full_name", "full_name_index", "name"]);
    assert_eq!(table.update(&write), 1);
    assert!(second.read().open(&table.row(1)).unwrap() == before(&renamed));
    let name = [ValueRef::Text("عائشہ")];
    let found =
        third.read().find("by-name", &name, |terms| table.of_terms("full_name_index", terms)).unwrap();
    assert_eq!(found.len(), 1);
    // A write by what was read before is not made.
    let stale = second.change(&table.row(1), &person, &after(&person)).unwrap();
    table.0.execute("UPDATE people SET faith = x'00'", []).unwrap();
    assert_eq!(table.update(&stale), 0);
    let mut other = renamed.clone();
    other.id = 2;
    table.insert(&third.insert(&other, &before(&other)).unwrap());
    assert!(first.open(&table.row(2)).unwrap().name == "عائشہ");
    assert!(third.insert(&renamed, &before(&other)).is_err());
    let delete = third.delete(&table.row(2)).unwrap();
    assert_eq!(table.write(&delete.delete_sql("people").unwrap(), &delete), 1);
    let clash = DualTable::new(live(), LiveTable::<Clash>::new(&watch).unwrap()).unwrap_err();
    assert!(clash.kind() == Kind::Schema && clash.message().contains("`name`"), "{clash}");
}

#[test]
fn the_schema_of_a_live_table_is_that_of_its_record() {
    let registry = Registry::new();
    let watch = watch(&registry);
    let schema: &TableSchema = &Person::schema().unwrap();
    let live = LiveTable::<Person>::new(&watch).unwrap();
    assert_eq!(live.schema().name(), schema.name());
    assert_eq!(format!("{live:?} {watch:?}"), "LiveTable(people, generation 1) KeyringWatch(generation 1)");
}
