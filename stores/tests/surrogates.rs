// SPDX-License-Identifier: MIT OR Apache-2.0
//! Index terms and kept tokens: made with the values, kept, made anew when keys change, whatever store they stand in.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod common;

use std::path::{Path, PathBuf};

use amanat::error::Kind;
use amanat::keys::Purpose;
use amanat::{KeyId, TableSchema};
use amanat_stores::sqlite::{Cleaning, SqliteReport};
use amanat_stores::{Effort, RevealForm, Tally, Task, csv_file, json_lines, sqlite};
use common::{Registry, Run, Seen, now, table};
use rusqlite::Connection;

const CSV: Run = |plan, input, output, observer| csv_file::run(plan, input, output, observer);
const JSON: Run = |plan, input, output, observer| json_lines::run(plan, input, output, observer);

const SCHEMA: &str = r#"
[[table]]
name = "people"
record_id = ["id"]
field = [
  { name = "cnic", mode = "sealed", identifier = "cnic" },
  { name = "name", mode = "sealed" },
  { name = "born", mode = "sealed", type = "date", absence = "visible" },
]
index = [
  { name = "by-cnic", column = "cnic_index", fields = ["cnic"], bits = 40 },
  { name = "by-name", column = "name_index", fields = ["name", "born"], forms = ["urdu-name/v1", "date/v1"], bits = 24, invalid = "skip" },
]
token = [
  { name = "roll", kind = "pairwise", field = "cnic", recipient = "election-commission", epoch = 1, column = "ec_token" },
  { name = "tax", kind = "reversible", field = "cnic", recipient = "revenue", epoch = 1, column = "tax_token" },
  { name = "made-when-exported", kind = "pairwise", field = "cnic", recipient = "bank", epoch = 1 },
]
"#;
const COLUMNS: [&str; 4] = ["cnic_index", "name_index", "ec_token", "tax_token"];
const PEOPLE: &str =
    "id,cnic,name,born\n1,35202-1234567-1,علی رضا,1957-03-28\n2,3520212345671,عائشہ,\n3,,زید,1960-01-01\n";

fn counts(tally: &Tally) -> [u64; 6] {
    let made = [tally.terms_made, tally.terms_kept, tally.tokens_made, tally.tokens_kept];
    [made[0], made[1], made[2], made[3], tally.surrogates_removed, tally.surrogates_absent]
}

fn cells(csv: &[u8]) -> Vec<Vec<String>> {
    let text = String::from_utf8(csv.to_vec()).unwrap();
    text.lines().map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

fn add_key(registry: &Registry, purpose: Purpose) -> KeyId {
    registry.change(|keyring| {
        let id = keyring.add_key(purpose, 365, now()?)?;
        keyring.activate(id, now()?)?;
        Ok(id)
    })
}

#[test]
fn a_csv_file_gets_columns_and_a_second_run_changes_nothing() {
    let (registry, table) = (Registry::new(), table(SCHEMA));
    let sealed = registry.protect(CSV, &table, PEOPLE.as_bytes());
    assert!(sealed.faults.is_empty(), "{:?}", sealed.faults);
    // The second row has no birth date, which shows, so its compound term is absent; the third hides that it has no CNIC: a random term.
    assert_eq!(counts(&sealed.tally), [5, 0, 4, 0, 0, 3]);
    let rows = cells(&sealed.bytes);
    assert_eq!(rows[0], ["id", "cnic", "name", "born", COLUMNS[0], COLUMNS[1], COLUMNS[2], COLUMNS[3]]);
    assert_eq!(rows[1][4].len(), 12, "a tag and 40 bits in hex");
    assert_eq!(rows[1][4], rows[2][4], "two ways of writing one CNIC");
    assert_ne!(rows[1][4], rows[3][4]);
    assert_eq!((rows[2][5].as_str(), rows[3][6].as_str(), rows[3][7].as_str()), ("", "", ""));
    assert_eq!((&rows[1][6], &rows[1][7]), (&rows[2][6], &rows[2][7]));
    assert!(rows[1][6].starts_with("amt1:p:1:election-commission:roll:1"));
    assert!(rows[1][7].starts_with("amt1:r:1:revenue:tax:1"));

    let again = registry.protect(CSV, &table, &sealed.bytes);
    assert_eq!(again.bytes, sealed.bytes);
    assert!(!again.tally.changes());
    assert_eq!(counts(&again.tally), [0, 5, 0, 4, 0, 3]);
    assert_eq!(registry.reveal(CSV, &table, &sealed.bytes).bytes, PEOPLE.as_bytes());
}

#[test]
fn json_lines_get_members_and_lose_them_when_revealed() {
    let (registry, table) = (Registry::new(), table(SCHEMA));
    let plain = "{\"name\":\"علی\",\"id\":1,\"born\":null,\"cnic\":\"35202-1234567-1\"}\n";
    let sealed = registry.protect(JSON, &table, plain.as_bytes());
    assert_eq!(counts(&sealed.tally), [1, 0, 2, 0, 0, 1]);
    let text = String::from_utf8(sealed.bytes.clone()).unwrap();
    let places: Vec<usize> = COLUMNS.iter().map(|name| text.find(&format!("\"{name}\":")).unwrap()).collect();
    assert!(places.is_sorted() && text.contains("\"name_index\":null") && text.ends_with("\"}\n"));
    assert_eq!(registry.protect(JSON, &table, &sealed.bytes).bytes, sealed.bytes);
    let of_a_database = common::table(&binary());
    assert_eq!(registry.protect(JSON, &of_a_database, &sealed.bytes).bytes, sealed.bytes);
    assert_eq!(registry.reveal(JSON, &table, &sealed.bytes).bytes, plain.as_bytes());
    let number = text.replace("\"name_index\":null", "\"name_index\":7");
    let done = registry.run(JSON, &table, Task::Protect(Effort::Seal), 1, number.as_bytes()).unwrap();
    assert_eq!((done.faults[0].1.as_str(), done.faults[0].2), ("by-name", Kind::Malformed));
}

#[test]
fn a_new_index_key_changes_the_index_cells_and_nothing_else() {
    let (registry, table) = (Registry::new(), table(SCHEMA));
    let old = cells(&registry.protect(CSV, &table, PEOPLE.as_bytes()).bytes);
    let protect = |input: &[Vec<String>]| {
        let lines: Vec<String> = input.iter().map(|row| row.join(",")).collect();
        registry.protect(CSV, &table, (lines.join("\n") + "\n").as_bytes())
    };
    add_key(&registry, Purpose::Index);
    let done = protect(&old);
    assert_eq!(counts(&done.tally), [5, 0, 0, 4, 0, 3]);
    assert_eq!((done.tally.sealed, done.tally.resealed), (0, 0));
    let new = cells(&done.bytes);
    for (old, new) in old.iter().zip(&new).skip(1) {
        assert_ne!(old[4], new[4]);
        assert_eq!((&old[..4], &old[6..]), (&new[..4], &new[6..]));
    }
    // A new token key moves nobody; a new field key seals anew and keeps terms and tokens.
    add_key(&registry, Purpose::Token);
    registry.rotate();
    let done = protect(&new);
    assert_eq!((counts(&done.tally), done.tally.sealed, done.tally.resealed), ([0, 5, 0, 4, 0, 3], 0, 8));
    assert_eq!(cells(&done.bytes)[1][4..], new[1][4..]);

    let moved = common::table(&SCHEMA.replacen("epoch = 1", "epoch = 2", 1));
    let run = registry.protect(CSV, &moved, &done.bytes);
    assert_eq!(counts(&run.tally), [0, 5, 2, 2, 0, 3]);
    assert!(cells(&run.bytes)[1][6].starts_with("amt1:p:2:"));
}

#[test]
fn messages_of_reversible_tokens_are_counted_and_given_back() {
    let (registry, table) = (Registry::new(), table(SCHEMA));
    let messages = || {
        let keyring = registry.path.unlock(&registry.kek).unwrap();
        keyring.keys().filter(|key| key.purpose == Purpose::Token).map(|key| key.messages).sum::<u64>()
    };
    let dry = registry.run(CSV, &table, Task::Protect(Effort::DryRun), 2, PEOPLE.as_bytes()).unwrap();
    assert_eq!((counts(&dry.tally), messages()), ([5, 0, 4, 0, 0, 3], 0));
    let sealed = registry.protect(CSV, &table, PEOPLE.as_bytes());
    assert_eq!(messages(), 2);
    registry.protect(CSV, &table, &sealed.bytes);
    assert_eq!(messages(), 2);
}

#[test]
fn an_epoch_whose_key_is_retired_keeps_its_tokens_and_makes_none() {
    let (registry, table) = (Registry::new(), table(SCHEMA));
    let sealed = registry.protect(CSV, &table, PEOPLE.as_bytes());
    let first = registry.path.unlock(&registry.kek).unwrap();
    let first = first.keys().find(|key| key.purpose == Purpose::Token).unwrap().id;
    add_key(&registry, Purpose::Token);
    registry.change(|keyring| keyring.deactivate(first, now()?));
    assert_eq!(registry.protect(CSV, &table, &sealed.bytes).bytes, sealed.bytes);
    // A recipient is moved off the retired epoch while another stays there.
    let both = SCHEMA.replacen("pairwise", "reversible", 1);
    let (before, mut moved) = (common::table(&both), both.clone());
    moved = moved.replace("recipient = \"revenue\", epoch = 1", "recipient = \"revenue\", epoch = 2");
    let other = Registry::new();
    let old = other.protect(CSV, &before, PEOPLE.as_bytes());
    let first = other.path.unlock(&other.kek).unwrap();
    let first = first.keys().find(|key| key.purpose == Purpose::Token).unwrap().id;
    add_key(&other, Purpose::Token);
    other.change(|keyring| keyring.deactivate(first, now()?));
    let run = other.protect(CSV, &common::table(&moved), &old.bytes);
    assert_eq!(counts(&run.tally), [0, 5, 2, 2, 0, 3]);

    let run = registry.run(CSV, &table, Task::Protect(Effort::Seal), 1, PEOPLE.as_bytes());
    assert_eq!(run.err().map(|error| error.kind()), Some(Kind::KeyUnusable));
}

#[test]
fn a_value_without_a_normal_form_refuses_its_row_or_is_skipped() {
    let registry = Registry::new();
    let plain = "id,cnic,name,born\n1,not a number,علی,1957-03-28\n2,35202-1234567-1,علی,1957-03-28\n";
    let done = registry.protect(CSV, &table(SCHEMA), plain.as_bytes());
    assert_eq!((done.tally.rows, done.tally.refused_rows, done.tally.sealed), (2, 1, 3));
    let (row, index, kind, message) = &done.faults[0];
    assert_eq!((*row, index.as_str(), *kind), (1, "by-cnic", Kind::Malformed));
    assert!(!message.contains("not a number"));
    assert_eq!(cells(&done.bytes).len(), 2);

    let skip = SCHEMA
        .replace("bits = 40", "bits = 40, invalid = \"skip\"")
        .replace("epoch = 1,", "epoch = 1, invalid = \"skip\",");
    let done = registry.protect(CSV, &table(&skip), plain.as_bytes());
    assert_eq!((counts(&done.tally), done.tally.refused_rows), ([4, 0, 2, 0, 0, 2], 0));
    let rows = cells(&done.bytes);
    assert_eq!((rows[1][4].len(), rows[1][6].as_str()), (12, ""), "a random term, and no token");
}

#[test]
fn a_new_value_over_a_sealed_one_gets_its_own_term() {
    let (registry, table) = (Registry::new(), table(SCHEMA));
    let old = cells(&registry.protect(CSV, &table, PEOPLE.as_bytes()).bytes);
    let mut rows = old.clone();
    rows[1][1] = "35202-7654321-1".to_owned();
    let lines: Vec<String> = rows.iter().map(|row| row.join(",")).collect();
    let done = registry.protect(CSV, &table, lines.join("\n").as_bytes());
    assert_eq!((counts(&done.tally), done.tally.sealed), ([1, 4, 2, 2, 0, 3], 1));
    let new = cells(&done.bytes);
    assert!([4, 6, 7].iter().all(|place| new[1][*place] != old[1][*place]));
    assert_eq!((&new[1][5], &new[2..]), (&old[1][5], &old[2..]));
}

#[test]
fn a_value_that_was_taken_away_takes_its_term_along() {
    let (registry, table) = (Registry::new(), table(SCHEMA));
    let mut rows = cells(&registry.protect(CSV, &table, PEOPLE.as_bytes()).bytes);
    rows[1][3].clear();
    let lines: Vec<String> = rows.iter().map(|row| row.join(",")).collect();
    let done = registry.protect(CSV, &table, lines.join("\n").as_bytes());
    assert_eq!(counts(&done.tally), [0, 4, 0, 4, 1, 3]);
    assert_eq!(cells(&done.bytes)[1][5], "");
}

fn database(registry: &Registry, columns: &str) -> PathBuf {
    let file = registry.folder.path().join("people.sqlite");
    drop(std::fs::remove_file(&file));
    let connection = Connection::open(&file).unwrap();
    connection
        .execute_batch(&format!(
            "CREATE TABLE people (id INTEGER PRIMARY KEY, cnic TEXT, name TEXT, born TEXT{columns});
             INSERT INTO people (id, cnic, name, born) VALUES
                (1, '35202-1234567-1', 'علی رضا', '1957-03-28'), (2, '3520212345671', 'عائشہ', NULL), (3, NULL, 'زید', '1960-01-01')"
        ))
        .unwrap();
    file
}

const ALL_COLUMNS: &str = ", cnic_index BLOB, name_index BLOB, ec_token TEXT, tax_token TEXT";

fn protect(
    registry: &Registry,
    table: &TableSchema,
    file: &Path,
    task: Task<'_>,
) -> amanat::Result<SqliteReport> {
    registry.with_plan(table, task, 2, |plan| {
        sqlite::protect(plan, file, "people", Cleaning::Keep, &mut Seen::default())
    })
}

const PROTECT: Task<'_> = Task::Protect(Effort::SealAndVerify);

fn binary() -> String {
    SCHEMA.replace("record_id = [\"id\"]", "record_id = [\"id\"]\nencoding = \"binary\"")
}

fn dump(file: &Path, columns: &str) -> Vec<rusqlite::types::Value> {
    let connection = Connection::open(file).unwrap();
    let mut statement = connection.prepare(&format!("SELECT {columns} FROM people ORDER BY id")).unwrap();
    let count = statement.column_count();
    let mut rows = statement.query([]).unwrap();
    let mut all = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        all.extend((0..count).map(|place| row.get::<_, rusqlite::types::Value>(place).unwrap()));
    }
    all
}

#[test]
fn a_sqlite_table_is_filled_in_place_and_a_second_run_changes_no_row() {
    for (schema, kinds) in [(binary(), "blob"), (SCHEMA.to_owned(), "text")] {
        let (registry, table) = (Registry::new(), table(&schema));
        let file = database(&registry, ALL_COLUMNS);
        let report = protect(&registry, &table, &file, PROTECT).unwrap();
        assert_eq!(counts(&report.tally), [5, 0, 4, 0, 0, 3]);
        let hints: Vec<&String> =
            report.warnings.iter().filter(|text| text.contains("CREATE INDEX")).collect();
        assert!(
            hints.len() == 2
                && hints[0].ends_with("CREATE INDEX \"cnic_index_lookup\" ON \"people\" (\"cnic_index\");")
        );
        let connection = Connection::open(&file).unwrap();
        connection
            .execute_batch("CREATE INDEX a ON people (cnic_index); CREATE INDEX b ON people (name_index, id)")
            .unwrap();
        let count = format!(
            "SELECT count(*) FROM people WHERE typeof(cnic_index) = '{kinds}' AND (ec_token IS NULL) = (id = 3) AND (name_index IS NULL) = (id = 2)"
        );
        let fitting: i64 = connection.query_row(&count, [], |row| row.get(0)).unwrap();
        assert_eq!(fitting, 3);
        let before = dump(&file, "*");
        let again = protect(&registry, &table, &file, PROTECT).unwrap();
        assert_eq!((counts(&again.tally), again.tally.changes()), ([0, 5, 0, 4, 0, 3], false));
        assert!(again.warnings.is_empty(), "{:?}", again.warnings);
        assert!(dump(&file, "*") == before);

        add_key(&registry, Purpose::Index);
        let (kept, old) = (dump(&file, "cnic, name, born, ec_token, tax_token"), dump(&file, "cnic_index"));
        let report = protect(&registry, &table, &file, Task::Reseal(Effort::SealAndVerify)).unwrap();
        assert_eq!(counts(&report.tally), [5, 0, 0, 4, 0, 3]);
        assert_eq!(dump(&file, "cnic, name, born, ec_token, tax_token"), kept);
        assert!(dump(&file, "cnic_index").iter().zip(&old).all(|(new, old)| new != old));

        let target = registry.folder.path().join("revealed.sqlite");
        registry.with_plan(&table, Task::Reveal(&[], RevealForm::Values), 1, |plan| {
            sqlite::reveal(plan, &file, "people", &target, &mut Seen::default()).unwrap()
        });
        let plain = database(&registry, ALL_COLUMNS);
        assert_eq!(dump(&target, "*"), dump(&plain, "*"), "terms and tokens are left out");
    }
}

#[test]
fn missing_and_unfit_columns_are_named_before_anything_is_written() {
    let registry = Registry::new();
    let refusal = |schema: &str, columns: &str| {
        let file = database(&registry, columns);
        let error = protect(&registry, &table(schema), &file, PROTECT).unwrap_err();
        assert_eq!(error.kind(), Kind::Schema);
        assert!(dump(&file, "cnic").contains(&rusqlite::types::Value::Text("3520212345671".into())));
        error.message().to_owned()
    };
    let missing = refusal(&binary(), ", ec_token TEXT");
    assert!(missing.contains("ALTER TABLE \"people\" ADD COLUMN \"cnic_index\" BLOB; ALTER TABLE \"people\" ADD COLUMN \"name_index\" BLOB; ALTER TABLE \"people\" ADD COLUMN \"tax_token\" TEXT;"), "{missing}");
    let unfit = refusal(SCHEMA, &ALL_COLUMNS.replace("cnic_index BLOB", "cnic_index INTEGER"));
    assert!(unfit.contains("`cnic_index` is declared INTEGER; declare it TEXT"), "{unfit}");
}

#[test]
fn what_is_no_term_in_an_index_column_refuses_its_row() {
    let (registry, table) = (Registry::new(), table(&binary()));
    let file = database(&registry, ALL_COLUMNS);
    let connection = Connection::open(&file).unwrap();
    connection.execute_batch("UPDATE people SET cnic_index = 'text' WHERE id = 1; UPDATE people SET ec_token = 'amt1:p:1:x' WHERE id = 2").unwrap();
    let report = protect(&registry, &table, &file, PROTECT).unwrap();
    assert_eq!((report.tally.refused_rows, report.tally.sealed), (2, 3));
}

#[test]
fn a_term_is_not_written_over_a_value_that_changed_meanwhile() {
    let (registry, table) = (Registry::new(), table(&binary()));
    let file = database(&registry, ALL_COLUMNS);
    protect(&registry, &table, &file, PROTECT).unwrap();
    add_key(&registry, Purpose::Index);
    // The first row's new term is written; the trigger then changes the value that the second row's term is of.
    let connection = Connection::open(&file).unwrap();
    connection
        .execute_batch("CREATE TRIGGER other AFTER UPDATE OF cnic_index ON people WHEN NEW.id = 1 BEGIN UPDATE people SET cnic = NULL WHERE id = 2; END")
        .unwrap();
    let report = protect(&registry, &table, &file, PROTECT).unwrap();
    assert_eq!(report.tally.read_again, 1);
    assert_eq!(report.tally.rows, 3);
}
