// SPDX-License-Identifier: MIT OR Apache-2.0
//! `verify` finds what is wrong in a table, and `keys retire` and `keys destroy` wait until no row names a key. Every record is invented.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use rusqlite::Connection;
use serde_json::Value;
use support::{Folder, Ran};

const SCHEMA: &str = r#"
format = "amanat-schema"
version = 1

[[table]]
name = "citizens"
record_id = ["id"]
field = [
  { name = "name", mode = "sealed" },
  { name = "cnic", mode = "sealed", identifier = "cnic" },
]

[[table.index]]
name = "by-cnic"
fields = ["cnic"]
bits = 24
"#;
const UNLOCK: &str = "--keyring registry.keyring --key-file k.key";

fn protected() -> (Folder, Connection) {
    let folder = Folder::with_keyring();
    folder.write("schema.toml", SCHEMA);
    let db = Connection::open(folder.path("r.db")).unwrap();
    db.execute_batch("CREATE TABLE citizens (id INTEGER PRIMARY KEY, name, cnic, \"by-cnic\")").unwrap();
    for row in 0..50 {
        let cells = (row, format!("name {row}"), format!("00000-{row:07}-1"));
        db.execute("INSERT INTO citizens VALUES (?1, ?2, ?3, NULL)", cells).unwrap();
    }
    folder.run(&format!("protect r.db {UNLOCK} --schema schema.toml -q")).code(0);
    (folder, db)
}

fn verify(folder: &Folder, rest: &str) -> Ran {
    folder.run(&format!("verify r.db {UNLOCK} --schema schema.toml {rest}"))
}

fn json(ran: &Ran) -> Value {
    serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{ran:#?}"))
}

fn key(folder: &Folder, purpose: &str) -> String {
    let keys = json(&folder.run("keys list --keyring registry.keyring --json"));
    let keys = keys["keys"].as_array().unwrap();
    let key = keys.iter().find(|key| key["purpose"] == purpose && key["primary"] == true).unwrap();
    key["id"].as_str().unwrap().to_owned()
}

#[test]
fn a_table_as_it_should_be_is_found_fine_and_left_alone() {
    let (folder, db) = protected();
    drop(db);
    let before = std::fs::read(folder.path("r.db")).unwrap();
    let ran = verify(&folder, "").code(0);
    assert!(ran.out.contains("50 rows read: 50 fine, 0 not done, 0 refused"), "{}", ran.out);
    assert!(ran.out.contains("100 cells opened; 50 index terms"), "{}", ran.out);
    folder.mode("r.db", 0o400);
    verify(&folder, "-q").code(0);
    assert_eq!(std::fs::read(folder.path("r.db")).unwrap(), before);
}

#[test]
fn an_altered_cell_and_a_stale_index_and_a_plain_cell_are_told_apart() {
    let (folder, db) = protected();
    db.execute(
        "UPDATE citizens SET \"by-cnic\" = (SELECT \"by-cnic\" FROM citizens WHERE id = 3) WHERE id = 4",
        [],
    )
    .unwrap();
    let stale = verify(&folder, "--json -q --exceptions bad.csv").code(1);
    let told = json(&stale);
    assert_eq!((told["rows_refused"].as_u64(), told["unauthentic"].as_u64()), (Some(1), Some(0)), "{told:#}");
    let listed = folder.read("bad.csv");
    assert!(listed.contains("5,by-cnic,schema,") && listed.lines().count() == 2, "{listed}");

    db.execute("UPDATE citizens SET name = 'plain' WHERE id = 6", []).unwrap();
    let told = json(&verify(&folder, "--json -q").code(1));
    assert_eq!(
        (told["rows_not_done"].as_u64(), told["cells_plain"].as_u64()),
        (Some(1), Some(1)),
        "{told:#}"
    );

    db.execute("UPDATE citizens SET cnic = (SELECT cnic FROM citizens WHERE id = 9) WHERE id = 8", [])
        .unwrap();
    let ran = verify(&folder, "--exceptions worse.csv").code(3);
    assert!(ran.out.contains("1 cell not authentic") && ran.out.contains("see worse.csv"), "{}", ran.out);
    assert!(folder.read("worse.csv").contains("9,cnic,unauthentic,"), "{}", folder.read("worse.csv"));
    verify(&folder, "--exceptions worse.csv").refused("is there already");
    verify(&folder, "--exceptions r.db --force").refused("store and exceptions file at once");
}

#[test]
fn a_key_is_given_up_only_when_no_row_names_it() {
    let (folder, db) = protected();
    let (old, old_index) = (key(&folder, "field"), key(&folder, "index"));
    let tables = "--schema schema.toml --store r.db";
    let keys = |verb: &str, key: &str, rest: &str| folder.run(&format!("keys {verb} {key} {UNLOCK} {rest}"));
    keys("retire", &old, tables).refused("is primary");
    folder.run(&format!("keys add {UNLOCK} --activate")).code(0);
    folder.run(&format!("keys add {UNLOCK} --activate --purpose index")).code(0);
    let used = keys("retire", &old, tables).refused("in use; nothing was changed");
    for place in ["column name: 50 cells", "column cnic: 50 cells", "table citizens in r.db", "amanat rotate"]
    {
        assert!(used.err.contains(place), "{place}: {}", used.err);
    }
    keys("retire", &old_index, tables).refused("column by-cnic: 50 cells");
    folder.run(&format!("rotate r.db {UNLOCK} --schema schema.toml -q")).code(0);
    for key in [&old, &old_index] {
        let ran = keys("retire", key, tables).code(0);
        assert!(ran.err.contains("no row names key") && ran.err.contains("is deactivated"), "{}", ran.err);
    }
    keys("destroy", &old, "--yes").refused("no table was named");
    keys("destroy", &old, tables).refused("add --yes");
    keys("destroy", &old, &format!("{tables} --unchecked --yes")).code(2);
    // One row that an old copy of the application has written.
    db.execute("UPDATE citizens SET name = ?1 WHERE id = 1", [envelope_under(&old)]).unwrap();
    keys("destroy", &old, &format!("{tables} --yes")).refused("column name: 1 cell");
    db.execute("DELETE FROM citizens WHERE id = 1", []).unwrap();
    let ran = keys("destroy", &old, &format!("{tables} --yes")).code(0);
    assert!(ran.err.contains("is destroyed") && ran.err.contains("copies of the keyring"), "{}", ran.err);
    let shown = folder.run(&format!("keys show {old} {UNLOCK}")).code(0).out;
    assert!(shown.contains("state         destroyed") && shown.contains("destroyed     2"), "{shown}");
    keys("destroy", &old_index, "--unchecked --yes").code(0);
    verify(&folder, "-q").code(0);
}

#[test]
fn a_key_is_not_given_up_because_another_table_was_looked_at() {
    let (folder, db) = protected();
    let old = key(&folder, "field");
    folder.run(&format!("keys add {UNLOCK} --activate")).code(0);
    db.execute_batch("CREATE TABLE empty (id INTEGER PRIMARY KEY, name, cnic, \"by-cnic\")").unwrap();
    let wrong = "--schema schema.toml --store r.db --sql-table citizens=empty --yes";
    let destroy = || folder.run(&format!("keys destroy {old} {UNLOCK} {wrong}"));
    destroy().refused("table citizens was not looked at, and its last run left 100 cells under the key");
    let plan = "UPDATE amanat_run SET phase = 'running', report = NULL WHERE rowid = (SELECT max(rowid) FROM amanat_run)";
    db.execute(plan, []).unwrap();
    destroy().refused("is running: its rows may name any key");
}

/// The text form of something that begins as an envelope of a key does.
fn envelope_under(key: &str) -> String {
    let id = (0..16).map(|place| u8::from_str_radix(&key[2 * place..2 * place + 2], 16).unwrap());
    let bytes: Vec<u8> = [1, 1].into_iter().chain(id).chain([7; 24 + 32]).collect();
    amanat::envelope::to_text(&bytes)
}

#[test]
fn every_table_of_the_schema_needs_a_database() {
    let (folder, _db) = protected();
    let second = format!(
        "{SCHEMA}\n[[table]]\nname = \"vans\"\nrecord_id = [\"id\"]\nfield = [{{ name = \"crew\", mode = \"sealed\" }}]\n"
    );
    folder.write("two.toml", second);
    let old = key(&folder, "field");
    folder.run(&format!("rotate r.db {UNLOCK} --schema schema.toml --new-key -q")).code(0);
    let retire = |rest: &str| folder.run(&format!("keys retire {old} {UNLOCK} --schema two.toml {rest}"));
    let ran = retire("--store citizens=r.db").refused("no database is named for table `vans`");
    assert!(ran.err.contains("--store vans=STORE"), "{}", ran.err);
    let vans = Connection::open(folder.path("v.db")).unwrap();
    vans.execute_batch("CREATE TABLE fleet (id INTEGER PRIMARY KEY, crew)").unwrap();
    let both = "--store citizens=r.db --store vans=v.db --sql-table vans=fleet";
    vans.execute("INSERT INTO fleet VALUES (1, ?1)", [envelope_under(&old)]).unwrap();
    retire(both).refused("table vans in v.db, column crew: 1 cell");
    vans.execute("DELETE FROM fleet", []).unwrap();
    retire(both).code(0);
}

#[test]
fn files_of_rows_are_verified_too() {
    let (folder, _db) = protected();
    let keys = format!("{UNLOCK} --schema schema.toml");
    folder.write("in.csv", "id,name,cnic\n1,a,00000-0000001-1\n2,b,00000-0000002-1\n");
    folder.run(&format!("protect in.csv -o s.csv -q {keys}")).code(0);
    let ran = folder.run(&format!("verify s.csv {keys}")).code(0);
    assert!(ran.out.contains("2 rows read: 2 fine, 0 not done, 0 refused"), "{}", ran.out);
    assert!(
        folder.run(&format!("verify in.csv {keys}")).code(1).out.contains("not done: 4 cells that are plain")
    );
    let text = folder.read("s.csv");
    let lines: Vec<&str> = text.lines().collect();
    folder.write(
        "moved.csv",
        format!("{}\n{}\n{}\n", lines[0], lines[1].replacen('1', "2", 1), lines[2].replacen('2', "1", 1)),
    );
    let ran = folder.run(&format!("verify moved.csv {keys} --exceptions bad.csv")).code(3);
    assert!(
        ran.out.contains("2 refused") && folder.read("bad.csv").contains("1,name,unauthentic,"),
        "{}",
        ran.out
    );
}
