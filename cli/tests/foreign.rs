// SPDX-License-Identifier: MIT OR Apache-2.0
//! Values that other tools sealed come under amanat: `protect --from`, `amanat formats`. Every value and key is invented; those of `foreign/tests/vectors`
//! were made by the real tools.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::Connection;
use serde_json::Value;
use support::Folder;

const SCHEMA: &str = r#"
format = "amanat-schema"
version = 1

[[table]]
name = "citizens"
record_id = ["id"]
field = [
  { name = "name", mode = "sealed" },
  { name = "remarks", mode = "sealed" },
]
index = [{ name = "by-name", fields = ["name"], forms = ["exact/v1"], bits = 24 }]
"#;
const KEYS: &str = "--keyring registry.keyring --key-file k.key --schema schema.toml";
const UNLOCK: &str = "--keyring registry.keyring --key-file k.key";
const FROM: &str = "--from name=fernet:fernet.key --from remarks=pgcrypto:pgcrypto.key";

/// Values of a vector file under its first key, each with what it holds.
fn vectors(name: &str) -> (String, Vec<(Vec<u8>, String)>) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../foreign/tests/vectors").join(name);
    let vectors: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let values = vectors["values"].as_array().unwrap();
    let key = values[0]["key"].as_str().unwrap();
    let of_key = values.iter().filter(|value| value["key"] == key);
    let opened = of_key.filter_map(|value| {
        let bytes = |member: &str| base64(value[member].as_str().unwrap());
        let plain = String::from_utf8(bytes("plain")).ok().filter(|plain| !plain.is_empty())?;
        Some((bytes("stored"), plain))
    });
    (key.to_owned(), opened.take(4).collect())
}

/// Base64 (RFC 4648, section 4).
fn base64(text: &str) -> Vec<u8> {
    let digit = |byte: u8| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let (mut out, mut bits, mut held) = (Vec::new(), 0, 0_u32);
    for byte in text.bytes().filter(|byte| *byte != b'=') {
        (held, bits) = (held << 6 | u32::from(digit(byte)), bits + 6);
        if bits >= 8 {
            bits -= 8;
            out.push((held >> bits & 0xff).try_into().unwrap());
        }
    }
    out
}

/// A table with names of Fernet and remarks of pgcrypto, and what they hold by id.
fn sealed_elsewhere() -> (Folder, BTreeMap<i64, (String, String)>) {
    let folder = Folder::with_keyring();
    folder.write("schema.toml", SCHEMA);
    let ((fernet, names), (pgcrypto, remarks)) = (vectors("fernet.json"), vectors("pgcrypto.json"));
    folder.write_secret("fernet.key", &fernet);
    folder.write_secret("pgcrypto.key", &pgcrypto);
    assert!(names.len() >= 3 && remarks.len() >= 3);
    let db = Connection::open(folder.path("r.db")).unwrap();
    db.execute_batch("CREATE TABLE citizens (id INTEGER PRIMARY KEY, name, remarks, \"by-name\");").unwrap();
    let mut held = BTreeMap::new();
    for (id, ((name, plain_name), (remark, plain_remark))) in (1..).zip(names.into_iter().zip(remarks)) {
        let name = String::from_utf8(name).unwrap();
        db.execute("INSERT INTO citizens VALUES (?1, ?2, ?3, NULL)", (id, name, remark)).unwrap();
        held.insert(id, (plain_name, plain_remark));
    }
    (folder, held)
}

fn revealed(folder: &Folder) -> BTreeMap<i64, (String, String)> {
    folder.run(&format!("reveal r.db {KEYS} -q -o back.db --force")).code(0);
    let db = Connection::open(folder.path("back.db")).unwrap();
    let mut rows = db.prepare("SELECT id, name, remarks FROM citizens").unwrap();
    let rows = rows.query_map([], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?)))).unwrap();
    rows.map(Result::unwrap).collect()
}

#[test]
fn values_of_fernet_and_pgcrypto_are_opened_and_sealed() {
    let (folder, held) = sealed_elsewhere();
    let dry = folder.run(&format!("protect r.db {KEYS} {FROM} --dry-run --json -q")).code(0);
    let dry: Value = serde_json::from_str(&dry.out).unwrap();
    assert_eq!(dry["cells"]["sealed"].as_u64(), Some(2 * u64::try_from(held.len()).unwrap()), "{dry:#}");
    folder.run(&format!("protect r.db {KEYS} {FROM} -q")).code(0);
    assert_eq!(revealed(&folder), held);
    folder.run(&format!("verify r.db {KEYS} -q")).code(0);
    // What is done is known by its form, with the argument and without.
    for again in [FROM, ""] {
        let again = folder.run(&format!("protect r.db {KEYS} {again} --json -q")).code(0);
        let again: Value = serde_json::from_str(&again.out).unwrap();
        assert_eq!(again["cells"]["sealed"].as_u64(), Some(0), "{again:#}");
    }
    let find = folder.run_with(
        &format!("find r.db {KEYS} --index by-name --show name").split_whitespace().collect::<Vec<_>>(),
        &held[&1].0,
    );
    assert_eq!(find.code(0).out.lines().count(), 2);
}

#[test]
fn a_value_under_another_key_is_refused_and_stays() {
    let (folder, held) = sealed_elsewhere();
    folder.write_secret("pgcrypto.key", "another invented passphrase");
    let ran = folder.run(&format!("protect r.db {KEYS} {FROM} -q"));
    assert!(matches!(ran.code, Some(1 | 3)), "{ran:#?}");
    let db = Connection::open(folder.path("r.db")).unwrap();
    let count = "SELECT count(*) FROM citizens WHERE name NOT LIKE 'amn1.%' AND typeof(remarks) = 'blob'";
    let left: i64 = db.query_row(count, [], |row| row.get(0)).unwrap();
    assert_eq!(usize::try_from(left).unwrap(), held.len());
}

#[test]
fn a_stopped_run_wants_its_openers_again() {
    let (folder, held) = sealed_elsewhere();
    let sql = |sql: &str| Connection::open(folder.path("r.db")).unwrap().execute_batch(sql).unwrap();
    sql("CREATE TRIGGER full BEFORE UPDATE ON citizens BEGIN SELECT RAISE(ABORT, 'no more'); END;");
    assert_eq!(folder.run(&format!("protect r.db {KEYS} {FROM} -q")).code, Some(2));
    sql("DROP TRIGGER full;");
    let db = Connection::open(folder.path("r.db")).unwrap();
    let plan: String = db.query_row("SELECT plan FROM amanat_run", [], |row| row.get(0)).unwrap();
    assert!(plan.contains(r#""foreign":["name","remarks"]"#) && !plan.contains("fernet.key"), "{plan}");
    drop(db);
    let resume = |rest: &str| folder.run(&format!("resume r.db {UNLOCK} -q {rest}"));
    for too_few in ["", "--from name=fernet:fernet.key"] {
        let refused = resume(too_few).refused("another tool sealed in name, remarks");
        let help = "--from name=FORMAT:KEYFILE --from remarks=FORMAT:KEYFILE";
        assert!(refused.err.contains(help), "{}", refused.err);
    }
    folder.run(&format!("protect r.db {KEYS} -q")).refused("another tool sealed in name, remarks");
    resume(FROM).code(0);
    assert_eq!(revealed(&folder), held);
}

#[test]
fn a_run_is_taken_from_a_process_that_is_dead() {
    let (folder, held) = sealed_elsewhere();
    let sql = |sql: &str| Connection::open(folder.path("r.db")).unwrap().execute_batch(sql).unwrap();
    sql("CREATE TRIGGER full BEFORE UPDATE ON citizens BEGIN SELECT RAISE(ABORT, 'no more'); END;");
    let protect = |rest: &str| folder.run(&format!("protect r.db {KEYS} {FROM} -q {rest}"));
    protect("").code(2);
    // As a process leaves it that was killed a moment ago.
    sql("DROP TRIGGER full; UPDATE amanat_run_range SET owner = '00112233445566778899aabbccddeeff', \
         beat = CAST(strftime('%s', 'now') AS INTEGER) * 1000;");
    protect("").refused("sign of life");
    protect("--take-over").code(0);
    assert_eq!(revealed(&folder), held);
}

#[test]
fn arguments_that_cannot_be_meant_are_refused() {
    let (folder, _) = sealed_elsewhere();
    let protect = |rest: &str| folder.run(&format!("protect r.db {KEYS} {rest}"));
    protect("--from salary=fernet:fernet.key").refused("no sealed field `salary`");
    protect("--from name=fernet:fernet.key --from name=fernet:fernet.key").refused("named twice");
    let unknown = protect("--from name=rot13:fernet.key").code(2);
    assert!(unknown.err.contains("fernet, lockbox, pgcrypto, rails, tink, vault"), "{}", unknown.err);
    let wrong = protect("--from name=vault:fernet.key").code(2);
    assert!(wrong.err.contains("amanat formats vault"), "{}", wrong.err);
    folder.mode("fernet.key", 0o644);
    protect("--from name=fernet:fernet.key").refused("fernet.key");
    folder.mode("fernet.key", 0o600);
    assert_eq!(protect("--from name=fernet:fernet.key --reseal-only").code, Some(2));
    folder.write("r.csv", "id,name,remarks\n1,a,b\n");
    for (input, output) in [("r.csv", "out.csv"), ("r.jsonl", "out.jsonl"), ("r.parquet", "out.parquet")] {
        let ran = folder.run(&format!("protect {input} {KEYS} --from name=fernet:fernet.key -o {output}"));
        ran.refused("--from is for tables of SQLite and PostgreSQL");
    }
    let rotate = folder.run(&format!("rotate r.db {KEYS} --from name=fernet:fernet.key")).code(2);
    assert!(rotate.err.contains("--from"), "{}", rotate.err);
    assert_eq!(folder.run(&format!("resume r.db {UNLOCK} --from name=fernet:fernet.key")).code, Some(2));
}

#[test]
fn formats_are_told_with_what_their_key_files_hold() {
    let folder = Folder::new();
    let all = folder.run("formats").code(0).out;
    for name in ["fernet\n", "lockbox\n", "pgcrypto\n", "rails\n", "tink\n", "vault\n"] {
        assert!(all.contains(name), "{all}");
    }
    let one = folder.run("formats pgcrypto").code(0).out;
    assert!(one.contains("passphrase") && !one.contains("Vault"), "{one}");
    folder.run("formats rot13").refused("no format of this name");
}
