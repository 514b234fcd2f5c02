// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs over live tables as a user drives them: rotate, dry run, pause, resume, cancel, signals, retry, reports. Every record is invented.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

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
  { name = "district", mode = "clear" },
]

[[table.index]]
name = "by-cnic"
fields = ["cnic"]
bits = 24
"#;
const UNLOCK: &str = "--keyring registry.keyring --key-file k.key";
const KEYS: &str = "--keyring registry.keyring --key-file k.key --schema schema.toml";

/// A folder with a protected table of so many rows.
fn protected(rows: u32) -> Folder {
    let folder = Folder::with_keyring();
    folder.write("schema.toml", SCHEMA);
    let mut db = Connection::open(folder.path("r.db")).unwrap();
    let create = "CREATE TABLE citizens (id INTEGER PRIMARY KEY, name, cnic, \"by-cnic\", district); \
                  CREATE INDEX cnic_index ON citizens (\"by-cnic\");";
    db.execute_batch(create).unwrap();
    let insert = db.transaction().unwrap();
    for row in 0..rows {
        let cells = (row, format!("name {row}"), format!("00000-{row:07}-1"), row % 36);
        insert.execute("INSERT INTO citizens VALUES (?1, ?2, ?3, NULL, ?4)", cells).unwrap();
    }
    insert.commit().unwrap();
    drop(db);
    folder.run(&format!("protect r.db {KEYS} -q")).code(0);
    folder
}

fn db(folder: &Folder) -> Connection {
    let db = Connection::open(folder.path("r.db")).unwrap();
    db.busy_timeout(Duration::from_secs(30)).unwrap();
    db
}

fn json(ran: &Ran) -> Value {
    serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{ran:#?}"))
}

fn primary(folder: &Folder, purpose: &str) -> String {
    let keys = json(&folder.run("keys list --keyring registry.keyring --json"));
    let keys = keys["keys"].as_array().unwrap();
    let key = keys.iter().find(|key| key["purpose"] == purpose && key["primary"] == true).unwrap();
    key["id"].as_str().unwrap().to_owned()
}

fn rotate(folder: &Folder, rest: &str) -> Ran {
    folder.run(&format!("rotate r.db {KEYS} {rest}"))
}

/// A run that is slow enough to be met.
fn slow(folder: &Folder, verb: &str) -> Child {
    let line = format!("{verb} --rate 500 -q");
    folder.command(&line.split_whitespace().collect::<Vec<_>>()).spawn().unwrap()
}

/// Waits until a condition holds; an hour would be as right as ten milliseconds.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(120);
    while !holds() {
        assert!(Instant::now() < end, "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until a run of the table has committed a batch and somebody works on it.
fn under_way(folder: &Folder) {
    until("the run begins", || {
        let ran = folder.run("status r.db --json");
        let state = serde_json::from_str::<Value>(&ran.out).unwrap_or_default();
        state[0]["rows_worked"].as_u64() > Some(0) && state[0]["owner"]["alive"] == true
    });
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status();
    assert!(sent.unwrap().success());
}

fn ended(child: Child) -> Ran {
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// Everything is under the keys that seal now, and opens.
fn all_fine(folder: &Folder, rows: u64) {
    let told = json(&folder.run(&format!("verify r.db {KEYS} --json -q")).code(0));
    assert_eq!((told["rows"].as_u64(), told["rows_fine"].as_u64()), (Some(rows), Some(rows)), "{told:#}");
    assert_eq!(told["cells_opened"].as_u64(), Some(2 * rows), "{told:#}");
    assert_eq!(told["terms_compared"].as_u64(), Some(rows), "{told:#}");
}

#[test]
fn a_table_comes_under_new_keys_and_the_report_adds_up() {
    let folder = protected(1_500);
    let (old, old_index) = (primary(&folder, "field"), primary(&folder, "index"));
    let ran = rotate(&folder, "--new-key --purpose field --purpose index --json").code(0);
    let (new, new_index) = (primary(&folder, "field"), primary(&folder, "index"));
    assert!(new != old && new_index != old_index);
    let report = json(&ran);
    assert_eq!(report["keys"][&old], serde_json::json!({"before": 3_000, "after": 0}), "{report:#}");
    assert_eq!(report["keys"][&new], serde_json::json!({"before": 0, "after": 3_000}), "{report:#}");
    assert_eq!((report["adds_up"].as_bool(), report["phase"].as_str()), (Some(true), Some("done")));
    assert_eq!((report["rows_worked"].as_u64(), report["rows_checked"].as_u64()), (Some(1_500), Some(1_500)));
    assert!(report["ended"].is_string() && report["contradictions"] == serde_json::json!([]));
    all_fine(&folder, 1_500);

    let told = folder.run("report r.db").code(0);
    assert!(told.out.contains("everything adds up") && told.out.contains(&new[..8]), "{}", told.out);
    assert_eq!(json(&folder.run("report r.db --json").code(0)), report);
    assert!(folder.run("status r.db").code(0).err.contains("no run is under way"));
    let again = json(&rotate(&folder, "--json").code(0));
    assert_eq!(again["keys"][&new], serde_json::json!({"before": 3_000, "after": 3_000}));
    assert_eq!(primary(&folder, "field"), new, "no key was made unasked");
}

#[test]
fn a_dry_run_counts_exactly_and_writes_nothing() {
    let folder = protected(600);
    let old = primary(&folder, "field");
    rotate(&folder, "--new-key --json").code(0);
    let new = primary(&folder, "field");
    let db = db(&folder);
    // A hundred rows as an application with an older keyring would leave them, and a plain one.
    folder.run(&format!("keys add {UNLOCK} --activate")).code(0);
    let third = primary(&folder, "field");
    db.execute("DELETE FROM citizens WHERE id >= 500", []).unwrap();
    let insert = "INSERT INTO citizens VALUES (900, 'plain', NULL, NULL, 1)";
    db.execute(insert, []).unwrap();
    let before: Vec<u8> = std::fs::read(folder.path("r.db")).unwrap();
    let keyring = folder.read("registry.keyring");

    let ran = rotate(&folder, "--dry-run --json").code(1);
    let told = json(&ran);
    let cells = |column: &str, key: &str| {
        let found = told["cells"].as_array().unwrap().iter().find(|cells| {
            cells["column"] == column && (cells["keys"][0] == key || (key == "plain" && cells["by"] == key))
        });
        found.map_or(0, |cells| cells["cells"].as_u64().unwrap())
    };
    assert_eq!([cells("name", &new), cells("cnic", &new), cells("name", "plain")], [500, 500, 1], "{told:#}");
    assert_eq!([cells("name", &old), cells("name", &third)], [0, 0], "{told:#}");
    assert_eq!(cells("by-cnic", &primary(&folder, "index")), 500, "{told:#}");
    assert_eq!((told["rows"].as_u64(), told["rows_to_do"].as_u64()), (Some(501), Some(500)));
    assert_eq!((told["rows_refused"].as_u64(), told["to_reseal"].as_u64()), (Some(1), Some(1_000)));
    assert!(told["estimate"]["seconds"].as_f64().unwrap() > 0.0);
    assert_eq!(std::fs::read(folder.path("r.db")).unwrap(), before);

    assert_eq!(folder.read("registry.keyring"), keyring);
    let tried = rotate(&folder, "--dry-run --try-write").code(1);
    assert!(tried.out.contains("active") && tried.out.contains("with sealing and writing"), "{}", tried.out);
    assert_eq!(cells("name", &new), 500);
    let messages = |keyring: &str| {
        folder.write("look.keyring", keyring);
        let keys = json(&folder.run("keys list --keyring look.keyring --json"));
        keys["keys"].as_array().unwrap().iter().map(|key| key["messages"].as_u64().unwrap()).sum::<u64>()
    };
    let kept = folder.read("registry.keyring");
    assert!(messages(&kept) - messages(&keyring) <= 1_002, "only the sample is counted");
}

#[test]
fn another_process_pauses_a_run_and_it_goes_on_where_it_ended() {
    let folder = protected(3_000);
    let running = slow(&folder, &format!("rotate r.db {KEYS} --new-key"));
    under_way(&folder);
    let status = folder.run("status r.db").code(0).out;
    assert!(status.contains("phase       running") && status.contains("owned by    a process;"), "{status}");
    // Only one run at a time, and only one process at a run.
    let refused = rotate(&folder, "").refused("one run at a time works on a table");
    assert!(
        refused.err.contains("amanat resume r.db") && refused.err.contains("amanat cancel r.db"),
        "{}",
        refused.err
    );
    let keys = folder.run("keys list --keyring registry.keyring").code(0).out;
    rotate(&folder, "--new-key").refused("one run at a time");
    assert_eq!(
        folder.run("keys list --keyring registry.keyring").code(0).out.lines().count(),
        keys.lines().count()
    );
    let second = folder.run(&format!("resume r.db {UNLOCK}")).refused("sign of life");
    assert!(second.err.contains("--take-over"), "{}", second.err);

    let paused = folder.run("pause r.db").code(0);
    assert!(paused.err.contains("is paused; to go on: amanat resume r.db"), "{}", paused.err);
    let ran = ended(running).refused("was paused before its end");
    assert!(ran.err.contains("amanat resume r.db --keyring registry.keyring"), "{}", ran.err);
    let at = json(&folder.run("status r.db --json").code(0));
    let worked = at[0]["rows_worked"].as_u64().unwrap();
    assert!(worked > 0 && worked < 3_000 && at[0]["owner"].is_null(), "{at:#}");
    folder.run(&format!("verify r.db {KEYS} -q")).code(1);

    folder.write("other.toml", SCHEMA.replace("bits = 24", "bits = 20"));
    let other = folder.run(&format!("resume r.db {UNLOCK} --schema other.toml")).refused("another schema");
    assert!(other.err.contains("`bits = 24`") && other.err.contains("`bits = 20`"), "{}", other.err);
    assert!(other.err.contains("leave out --schema"), "{}", other.err);
    let report = json(&folder.run(&format!("resume r.db {KEYS} --json -q")).code(0));
    assert_eq!((report["rows_worked"].as_u64(), report["adds_up"].as_bool()), (Some(3_000), Some(true)));
    all_fine(&folder, 3_000);
    folder.run(&format!("resume r.db {UNLOCK}")).refused("no run of r.db is under way");
}

#[test]
fn a_cancelled_run_stays_readable_and_the_next_one_does_the_rest() {
    let folder = protected(3_000);
    let running = slow(&folder, &format!("rotate r.db {KEYS} --new-key"));
    under_way(&folder);
    let cancelled = folder.run("cancel r.db").code(0);
    assert!(cancelled.err.contains("is cancelled"), "{}", cancelled.err);
    ended(running).refused("was cancelled");
    let report = json(&folder.run("report r.db --json").code(0));
    assert_eq!((report["phase"].as_str(), report["adds_up"].is_null()), (Some("cancelled"), true));
    let shown = folder.run(&format!("reveal r.db {KEYS} -o plain.db -q"));
    shown.code(0);
    rotate(&folder, "-q").code(0);
    all_fine(&folder, 3_000);
    // A run that nobody works on is given up at once.
    let running = slow(&folder, &format!("rotate r.db {KEYS} --new-key"));
    under_way(&folder);
    signal(&running, "KILL");
    let _ = ended(running);
    folder.run("cancel r.db --take-over").code(0);
    assert!(folder.run("report r.db").code(0).out.contains("is cancelled"));
}

#[test]
fn a_signal_ends_a_run_at_a_batch_and_a_killed_one_is_taken_over() {
    let folder = protected(3_000);
    let running = slow(&folder, &format!("rotate r.db {KEYS} --new-key"));
    under_way(&folder);
    signal(&running, "TERM");
    let ran = ended(running).code(143);
    assert!(ran.err.contains("go on: amanat resume r.db"), "{}", ran.err);
    let running = slow(&folder, &format!("resume r.db {UNLOCK}"));
    under_way(&folder);
    signal(&running, "KILL");
    assert_eq!(ended(running).code, None);
    folder.run(&format!("resume r.db {UNLOCK} -q")).refused("sign of life");
    let report = json(&folder.run(&format!("resume r.db {UNLOCK} --take-over --json -q")).code(0));
    assert_eq!((report["rows_worked"].as_u64(), report["adds_up"].as_bool()), (Some(3_000), Some(true)));
    all_fine(&folder, 3_000);
}

#[test]
fn refused_rows_are_listed_without_their_keys_and_done_after_repair() {
    let folder = protected(40);
    let db = db(&folder);
    let good: String = db.query_row("SELECT name FROM citizens WHERE id = 7", [], |row| row.get(0)).unwrap();
    db.execute("UPDATE citizens SET name = (SELECT name FROM citizens WHERE id = 8) WHERE id = 7", [])
        .unwrap();
    db.execute("UPDATE citizens SET cnic = 'plain', name = 'plain' WHERE id = 9", []).unwrap();
    let report = json(&rotate(&folder, "--new-key --json -q").code(3));
    assert_eq!(
        (report["rows_refused"].as_u64(), report["adds_up"].as_bool()),
        (Some(2), Some(true)),
        "{report:#}"
    );
    let listed = folder.run("exceptions r.db").code(1).out;
    assert_eq!(listed.lines().count(), 4, "{listed}");
    assert!(listed.starts_with("field,kind,reason\n") && listed.contains("\nname,unauthentic,"), "{listed}");
    assert!(!listed.contains('7') && !listed.contains('9'), "{listed}");
    folder.run("exceptions r.db --with-keys").code(2);
    let ran = folder.run("exceptions r.db --with-keys -o bad.csv").code(1);
    assert!(ran.err.contains("personal data") && folder.read("bad.csv").contains("row_key"));
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&folder.path("bad.csv").metadata().unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);

    db.execute("UPDATE citizens SET name = ?1 WHERE id = 7", [&good]).unwrap();
    let retried = rotate(&folder, "--retry").code(1);
    assert!(
        retried.err.contains("2 refused rows of run") && retried.err.contains("1 done, 1 refused again"),
        "{}",
        retried.err
    );
    db.execute("DELETE FROM citizens WHERE id = 9", []).unwrap();
    let retried = rotate(&folder, "--retry").code(0);
    assert!(retried.err.contains("0 done, 0 refused again, 1 gone"), "{}", retried.err);
    assert_eq!(folder.run("exceptions r.db").code(0).out, "field,kind,reason\n");
    let report = folder.run("report r.db").code(0).out;
    assert!(report.contains("2 rows refused by the check and off the list of exceptions since"), "{report}");
    all_fine(&folder, 39);
}

#[test]
fn what_is_no_table_of_a_database_is_refused_with_a_remedy() {
    let folder = protected(3);
    folder.write("rows.csv", "id,name\n");
    folder.run(&format!("rotate rows.csv {KEYS}")).refused("is no SQLite file");
    folder.run(&format!("rotate none.db {KEYS}")).refused("none.db");
    folder.run(&format!("rotate r.db {KEYS} --sql-table people")).refused("no table of this name");
    folder
        .run(&format!("rotate r.db {KEYS} --remake nothing"))
        .refused("no sealed field, index or kept token `nothing`");
    folder.run(&format!("rotate r.db {KEYS} --purpose field")).code(2);
    folder.run("status r.db --run zz").refused("named by its id");
    folder.run("report r.db --run 0000").refused("no run of this id");
    Connection::open(folder.path("empty.db")).unwrap().execute_batch("CREATE TABLE t (a)").unwrap();
    folder.run("status empty.db").refused("has no journal");
    folder.run("report r.db").code(0);
}

#[test]
fn a_table_of_a_postgresql_server_goes_the_whole_way() {
    let server = amanat_testkit::postgres::Server::start();
    let database = server.create_database();
    let url = server.url(&database);
    let mut client = server.client(&database);
    client
        .batch_execute(
            "CREATE SCHEMA registry; CREATE TABLE registry.citizens (id bigint PRIMARY KEY, name text, cnic text, \"by-cnic\" text, district text); \
             INSERT INTO registry.citizens SELECT n, 'name ' || n, '00000-' || lpad(n::text, 7, '0') || '-1', NULL, 'x' FROM generate_series(1, 3000) n;",
        )
        .unwrap();
    let folder = Folder::with_keyring();
    folder.write("schema.toml", SCHEMA);
    let table = "--sql-table registry.citizens";
    let run = |verb: &str, rest: &str| folder.run(&format!("{verb} {url} {table} {rest}"));
    let dry = json(&run("protect", &format!("{KEYS} --dry-run --json -q")).code(0));
    assert_eq!((dry["to_seal"].as_u64(), dry["rows_to_do"].as_u64()), (Some(6_000), Some(3_000)), "{dry:#}");
    run("protect", &format!("{KEYS} -q")).code(0);
    let (old, unlock) = (primary(&folder, "field"), UNLOCK);
    let running = slow(&folder, &format!("rotate {url} {table} {KEYS} --new-key"));
    until("the run begins", || {
        let ran = folder.run(&format!("status {url} --json"));
        serde_json::from_str::<Value>(&ran.out).unwrap_or_default()[0]["rows_worked"].as_u64() > Some(0)
    });
    folder.run(&format!("pause {url}")).code(0);
    ended(running).refused("was paused before its end");
    folder.run(&format!("verify {url} {table} {KEYS} -q")).code(1);
    let report = json(&folder.run(&format!("resume {url} {unlock} --lanes 2 --json -q")).code(0));
    assert_eq!(report["adds_up"].as_bool(), Some(true), "{report:#}");
    assert_eq!(report["keys"][&old], serde_json::json!({"before": 6_000, "after": 0}), "{report:#}");
    run("verify", &format!("{KEYS} -q")).code(0);
    let retire =
        format!("keys retire {old} {unlock} --schema schema.toml --sql-table citizens=registry.citizens");
    folder.run(&format!("{retire} --store {url}")).code(0);
    let with_password = url.replacen("@localhost", ":wrong@localhost", 1);
    let told = folder.run(&format!("status {with_password}")).code(0);
    assert!(
        told.err.contains("the address has a password in it") && !told.err.contains("wrong"),
        "{}",
        told.err
    );
}
