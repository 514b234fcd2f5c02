// SPDX-License-Identifier: MIT OR Apache-2.0
//! `amanat migrate schema` as a user runs it. Every record is invented.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use rusqlite::Connection;
use support::{Folder, Ran};

const OLD: &str = r#"
format = "amanat-schema"
version = 1

[[table]]
name = "citizens"
record_id = ["id"]
field = [
  { name = "name", mode = "sealed" },
  { name = "cnic", mode = "sealed", identifier = "cnic" },
  { name = "remarks", mode = "sealed" },
]
index = [{ name = "by-cnic", fields = ["cnic"], bits = 40 }]
"#;
const NEW: &str = r#"
format = "amanat-schema"
version = 1

[[table]]
name = "citizens"
record_id = ["id"]
field = [
  { name = "name", mode = "sealed" },
  { name = "national-id", column = "national_id", mode = "sealed", identifier = "cnic", formerly = "cnic" },
  { name = "email", mode = "sealed", absence = "visible" },
]
index = [{ name = "by-cnic", fields = ["national-id"], bits = 40 }]
"#;
const UNLOCK: &str = "--keyring registry.keyring --key-file k.key";

/// A folder with a table of twenty people that is protected under the old schema.
fn protected() -> Folder {
    let folder = Folder::with_keyring();
    folder.write("old.toml", OLD);
    folder.write("new.toml", NEW);
    let db = Connection::open(folder.path("r.db")).unwrap();
    db.execute_batch(
        "CREATE TABLE citizens (id INTEGER PRIMARY KEY, name, cnic, remarks, \"by-cnic\");
         WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 20)
         INSERT INTO citizens SELECT n, 'name ' || n, printf('00000-%07d-1', n), 'r', NULL FROM n;",
    )
    .unwrap();
    drop(db);
    folder.run(&format!("protect r.db {UNLOCK} --schema old.toml -q")).code(0);
    folder
}

fn migrate(folder: &Folder, rest: &str) -> Ran {
    folder.run(&format!("migrate schema r.db {UNLOCK} --from old.toml --schema new.toml {rest}"))
}

fn number(folder: &Folder, sql: &str) -> i64 {
    Connection::open(folder.path("r.db")).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
}

#[test]
fn values_are_lost_and_columns_added_only_when_a_person_says_so() {
    let folder = protected();
    let unnamed = migrate(&folder, "").code(2);
    assert!(unnamed.err.contains("--drop remarks"), "{}", unnamed.err);
    let other = migrate(&folder, "--drop name").code(2);
    assert!(other.err.contains("--drop name"), "{}", other.err);
    let missing = migrate(&folder, "--drop remarks").code(2);
    assert!(
        missing.err.contains("ALTER TABLE \"citizens\" ADD COLUMN \"national_id\" text;"),
        "{}",
        missing.err
    );
    assert_eq!(number(&folder, "SELECT count(remarks) + count(cnic) FROM citizens"), 40);
    let done = migrate(&folder, "--drop remarks --add-columns").code(0);
    assert!(done.err.contains("`national-id` takes over the values of `cnic`"), "{}", done.err);
    assert!(done.err.contains("ALTER TABLE \"citizens\" DROP COLUMN \"cnic\";"), "{}", done.err);
    assert_eq!(number(&folder, "SELECT count(remarks) + count(cnic) FROM citizens"), 0);
    assert_eq!(number(&folder, "SELECT count(*) FROM citizens WHERE national_id LIKE 'amn1.%'"), 20);
    // A second time there is nothing to do; the dry run says so too.
    let dry = migrate(&folder, "--drop remarks --dry-run").code(0);
    assert!(dry.out.contains("nothing to do"), "{}", dry.out);
    let db = Connection::open(folder.path("r.db")).unwrap();
    db.execute_batch("ALTER TABLE citizens DROP COLUMN cnic; ALTER TABLE citizens DROP COLUMN remarks;")
        .unwrap();
    drop(db);
    folder.run(&format!("verify r.db {UNLOCK} --schema new.toml")).code(0);
}

#[test]
fn a_change_that_no_header_shows_is_refused_with_every_reason() {
    let folder = protected();
    let new = NEW
        .replace("{ name = \"name\", mode = \"sealed\" }", "{ name = \"name\", mode = \"clear\" }")
        .replace("bits = 40", "bits = 48");
    folder.write("new.toml", &new);
    let refused = migrate(&folder, "--drop remarks --add-columns").code(2);
    assert!(
        refused.err.contains("would stay readable") && refused.err.contains("--remake"),
        "{}",
        refused.err
    );
    assert_eq!(number(&folder, "SELECT count(*) FROM pragma_table_info('citizens')"), 5);
}

#[test]
fn a_smaller_bucket_is_applied_to_a_field_by_name() {
    let folder = protected();
    folder.write(
        "wide.toml",
        OLD.replace(
            "{ name = \"name\", mode = \"sealed\" }",
            "{ name = \"name\", mode = \"sealed\", pad = 64 }",
        ),
    );
    let length = "SELECT max(length(name)) FROM citizens";
    let narrow = number(&folder, length);
    folder.run(&format!("rotate r.db {UNLOCK} --schema wide.toml -q")).code(0);
    assert!(number(&folder, length) > narrow);
    folder.run(&format!("rotate r.db {UNLOCK} --schema old.toml -q")).code(0);
    assert!(number(&folder, length) > narrow, "the length does not tell");
    folder.run(&format!("rotate r.db {UNLOCK} --schema old.toml --remake name -q")).code(0);
    assert_eq!(number(&folder, length), narrow);
}
