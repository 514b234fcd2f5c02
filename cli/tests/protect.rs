// SPDX-License-Identifier: MIT OR Apache-2.0
//! `protect` and `reveal` as a user runs them. Every record is invented.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use support::{Folder, Ran};

const SCHEMA: &str = r#"
format = "amanat-schema"
version = 1

[[table]]
name = "citizens"
record_id = ["id"]
field = [
  { name = "name", mode = "sealed" },
  { name = "cnic", mode = "sealed", mask = "last-4" },
  { name = "note", mode = "sealed", absence = "visible", pad = 64 },
  { name = "born", mode = "sealed", type = "date" },
  { name = "district", mode = "clear" },
]
"#;
const CSV: &str = "id, name,cnic,note,born,district\n1,عائشہ,3520212345671,\"says \"\"so\"\", often\",1990-01-31,Lahore\n2,,,\"two\nlines\",,\n3,  Bilal  ,3520212345672,,1957-00-00,\"a,b\"\n";
const JSON: &str = "{\"district\":1.50,\"id\":7,\"name\":\"عائشہ \\\"x\\\"\",\"cnic\":null,\"note\":null,\"born\":\"1990-01-31\"}\n{\"id\":\"b\",\"name\":\"\",\"cnic\":\"3520212345671\",\"note\":\"n\",\"born\":null,\"district\":null}\n";
const KEYS: &str = "--keyring registry.keyring --key-file k.key --schema schema.toml";

fn folder() -> Folder {
    let folder = Folder::with_keyring();
    folder.write("schema.toml", SCHEMA);
    folder.write("in.csv", CSV);
    folder
}

fn protect(folder: &Folder, rest: &str) -> Ran {
    folder.run(&format!("protect {KEYS} {rest}"))
}

fn reveal(folder: &Folder, rest: &str) -> Ran {
    folder.run(&format!("reveal {KEYS} {rest}"))
}

fn generation(folder: &Folder) -> u64 {
    let keyring: serde_json::Value = serde_json::from_str(&folder.read("registry.keyring")).unwrap();
    keyring["generation"].as_u64().unwrap()
}

/// A larger file, so that runs have several batches.
fn many(rows: u32) -> String {
    let mut text = String::from("id,name,cnic,note,born,district\n");
    (0..rows)
        .for_each(|row| text.push_str(&format!("{row},name {row},35202{row:08},,1990-01-01,{}\n", row % 36)));
    text
}

#[test]
fn a_file_comes_back_byte_for_byte_and_a_second_run_has_nothing_to_do() {
    let folder = folder();
    let ran = protect(&folder, "in.csv -o sealed.csv").code(0);
    assert!(
        ran.err.contains("protected 3 rows: 11 cells sealed") && ran.err.contains("1 cell visibly absent"),
        "{}",
        ran.err
    );
    assert_eq!(ran.out, "");
    let sealed = folder.read("sealed.csv");
    assert_eq!(sealed.matches("amn1.").count(), 11);
    assert!(!sealed.contains("3520212345671") && !sealed.contains("عائشہ") && sealed.contains(",Lahore\n"));
    let before = generation(&folder);
    let again = protect(&folder, "sealed.csv -o again.csv").code(0);
    assert!(again.err.contains("nothing to do: all 11 cells are sealed under key "), "{}", again.err);
    assert_eq!(generation(&folder), before, "the keyring is left alone");
    assert_eq!(folder.read("again.csv"), sealed);
    let ran = reveal(&folder, "sealed.csv -o plain.csv").code(0);
    assert!(ran.err.contains("revealed 3 rows: 11 cells opened"), "{}", ran.err);
    assert_eq!(folder.read("plain.csv"), CSV);
    let mode = |name| fs::metadata(folder.path(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("plain.csv"), 0o600, "revealed plaintext is for its owner");
    assert!(!folder.names().iter().any(|name| name.contains("exceptions") || name.contains("part")));
}

#[test]
fn streams_go_through_standard_input_and_output() {
    let folder = folder();
    let keys: Vec<&str> = KEYS.split(' ').collect();
    let run = |verb: &str, more: &[&str], input: &str| {
        folder.run_with(&[&[verb][..], &keys[..], more].concat(), input).code(0)
    };
    let sealed = run("protect", &["-", "--format", "jsonl", "--json"], JSON);
    assert_eq!(sealed.out.matches("\"amn1.").count(), 7, "{}", sealed.out);
    let report: serde_json::Value = serde_json::from_str(&sealed.err).unwrap();
    assert_eq!((report["rows"].as_u64(), report["cells"]["sealed"].as_u64()), (Some(2), Some(7)));
    assert_eq!(run("reveal", &["-", "--format", "jsonl", "-o", "-"], &sealed.out).out, JSON);
    let quiet = run("protect", &["-", "--format", "csv", "-q"], CSV);
    assert_eq!(quiet.err, "");
    assert_eq!(run("reveal", &["-", "--format", "csv"], &quiet.out).out, CSV);
}

#[test]
fn masks_and_single_fields_can_be_revealed() {
    let folder = folder();
    protect(&folder, "in.csv -o sealed.csv").code(0);
    reveal(&folder, "sealed.csv -o masks.csv --masked").code(0);
    let masks = folder.read("masks.csv");
    assert!(masks.contains("1,********,*********5671,********,********,Lahore\n"), "{masks}");
    reveal(&folder, "sealed.csv -o some.csv --fields cnic,born").code(0);
    let some = folder.read("some.csv");
    assert!(some.contains(",3520212345671,amn1.") && some.contains(",1990-01-31,Lahore"));
    reveal(&folder, "sealed.csv -o other.csv --fields district").refused("no sealed field");
}

#[test]
fn rows_that_cannot_be_protected_are_listed_without_their_values() {
    let folder = folder();
    folder.write("in.csv", format!("{CSV}4,a,b,c,31.01.1990,x\n5,a\n6,amn1.zzz,b,,,\n"));
    let ran = protect(&folder, "in.csv -o sealed.csv").code(1);
    assert!(
        ran.err.contains("3 rows refused and not in sealed.csv; see sealed.csv.exceptions.csv"),
        "{}",
        ran.err
    );
    let exceptions = folder.read("sealed.csv.exceptions.csv");
    let lines: Vec<&str> = exceptions.lines().collect();
    assert_eq!(lines.len(), 4);
    assert_eq!(lines[0], "row,field,kind,reason");
    assert!(lines[1].starts_with("4,born,schema,"), "{}", lines[1]);
    assert!(lines[2].starts_with("5,,malformed,"), "{}", lines[2]);
    assert!(
        lines[3].starts_with("6,name,malformed,") && lines[3].contains("looks like an envelope"),
        "{}",
        lines[3]
    );
    assert!(!exceptions.contains("31.01.1990") && !exceptions.contains("zzz") && !ran.err.contains("31.01"));
    reveal(&folder, "sealed.csv -o plain.csv").code(0);
    assert_eq!(folder.read("plain.csv"), CSV);
    protect(&folder, "in.csv -o other.csv --exceptions why.csv").code(1);
    assert_eq!(folder.read("why.csv"), exceptions);
}

#[test]
fn an_altered_or_moved_cell_ends_with_3() {
    let folder = folder();
    protect(&folder, "in.csv -o sealed.csv").code(0);
    let sealed = folder.read("sealed.csv");
    let cells: Vec<&str> = sealed.lines().nth(1).unwrap().split(',').collect();
    let moved = sealed.replacen(cells[1], cells[2], 1);
    let mut altered = sealed.clone();
    let place = sealed.find("amn1.").unwrap() + 60;
    let other = if sealed.as_bytes()[place] == b'A' { "B" } else { "A" };
    altered.replace_range(place..=place, other);
    for text in [moved, altered] {
        folder.write("bad.csv", text);
        let ran = reveal(&folder, "bad.csv -o plain.csv --force").code(3);
        assert!(ran.err.contains("row 1: field name: does not open"), "{}", ran.err);
        let exceptions = folder.read("plain.csv.exceptions.csv");
        assert!(exceptions.contains("\n1,name,unauthentic,"), "{exceptions}");
        let plain = folder.read("plain.csv");
        assert!(
            !plain.contains("3520212345671") && plain.contains("3520212345672"),
            "the other rows are there"
        );
    }
}

#[test]
fn another_registrys_keyring_knows_none_of_the_keys() {
    let (folder, other) = (folder(), folder());
    protect(&folder, "in.csv -o sealed.csv").code(0);
    other.write("sealed.csv", folder.read("sealed.csv"));
    let ran = reveal(&other, "sealed.csv -o plain.csv").code(1);
    assert!(ran.err.contains("is not in this keyring"), "{}", ran.err);
    assert!(other.read("plain.csv.exceptions.csv").contains(",unknown-key,"));
    protect(&other, "sealed.csv -o twice.csv").code(1);
    assert_eq!(other.read("twice.csv").lines().count(), 1, "nothing is sealed over what is sealed");
    fs::copy(other.path("k.key"), folder.path("wrong.key")).unwrap();
    let keys = KEYS.replace("k.key", "wrong.key");
    folder.run(&format!("reveal {keys} sealed.csv -o plain.csv")).refused("no slot of this keyring");
    assert!(!folder.path("plain.csv").exists());
}

#[test]
fn an_output_is_never_overwritten_unasked_nor_the_input_at_all() {
    let folder = folder();
    folder.write("out.csv", "precious");
    protect(&folder, "in.csv -o out.csv").refused("out.csv is there already");
    assert_eq!(folder.read("out.csv"), "precious");
    protect(&folder, "in.csv -o out.csv --force").code(0);
    assert!(folder.read("out.csv").contains("amn1."));
    protect(&folder, "in.csv -o ./in.csv --force").refused("input and output at once");
    std::os::unix::fs::symlink(folder.path("in.csv"), folder.path("link.csv")).unwrap();
    protect(&folder, "in.csv -o link.csv --force").refused("input and output at once");
    assert_eq!(folder.read("in.csv"), CSV);
}

#[test]
fn columns_that_do_not_fit_are_refused_before_anything_is_written() {
    let folder = folder();
    folder.write("in.csv", "id,name,cnic,note,born,email\n1,a,b,c,,x\n");
    let before = generation(&folder);
    let ran = protect(&folder, "in.csv -o out.csv").refused("does not name `email`");
    assert!(ran.err.contains("`district` not found"), "{}", ran.err);
    assert!(!folder.names().iter().any(|name| name.contains("out.csv")), "{:?}", folder.names());
    assert_eq!(generation(&folder), before);
    protect(&folder, "missing.csv -o out.csv").refused("there is no such file");
    protect(&folder, "in.txt -o out").refused("do not say their format");
    protect(&folder, "in.csv -o out.csv --table nobody").refused("no such table");
}

#[test]
fn a_dry_run_counts_and_leaves_everything_alone() {
    let folder = folder();
    let before = (folder.names(), folder.read("registry.keyring"));
    let ran = protect(&folder, "in.csv --dry-run --json").code(0);
    let report: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((report["dry_run"].as_bool(), report["cells"]["sealed"].as_u64()), (Some(true), Some(11)));
    folder.write("bad.csv", "id,name,cnic,note,born,district\n1,,,,never,\n");
    let ran = protect(&folder, "bad.csv --dry-run").code(1);
    assert!(
        ran.err.contains("dry run, nothing written") && ran.err.contains("1 row would be refused"),
        "{}",
        ran.err
    );
    fs::remove_file(folder.path("bad.csv")).unwrap();
    assert_eq!((folder.names(), folder.read("registry.keyring")), before);
}

#[test]
fn an_older_keys_cells_are_sealed_anew() {
    let folder = folder();
    protect(&folder, "in.csv -o old.csv").code(0);
    folder.run("keys add --keyring registry.keyring --key-file k.key --purpose field --activate").code(0);
    let keyring: serde_json::Value = serde_json::from_str(&folder.read("registry.keyring")).unwrap();
    let id = keyring["keysets"][0]["keys"][1]["id"].as_str().unwrap();
    let ran = protect(&folder, "old.csv -o new.csv").code(0);
    let line = format!("protected 3 rows: 0 cells sealed, 11 re-sealed, 0 kept, under key {}", &id[..8]);
    assert!(ran.err.contains(&line) && ran.err.contains("11 cells of key "), "{}", ran.err);
    reveal(&folder, "new.csv -o plain.csv").code(0);
    assert_eq!(folder.read("plain.csv"), CSV);
}

#[test]
fn one_job_and_four_give_the_same_rows_in_the_same_order() {
    let folder = folder();
    let text = many(3_000);
    folder.write("in.csv", &text);
    for jobs in [1, 4] {
        protect(&folder, &format!("in.csv -o sealed{jobs}.csv --jobs {jobs}")).code(0);
        reveal(&folder, &format!("sealed{jobs}.csv -o plain{jobs}.csv --jobs {}", 5 - jobs)).code(0);
        assert!(folder.read(&format!("plain{jobs}.csv")) == text);
    }
}

#[test]
fn a_keys_descriptor_works_as_a_path() {
    let folder = folder();
    let line = "amanat protect --keyring registry.keyring --key-file /dev/fd/3 --schema schema.toml in.csv -o out.csv 3< k.key";
    folder.shell(line).code(0);
    folder.mode("k.key", 0o644);
    folder.shell(&line.replace("out.csv", "other.csv")).refused("chmod 600");
    let piped = line.replace("3< k.key", "3<<EOF\n$(cat k.key)\nEOF\n").replace("out.csv", "other.csv");
    folder.shell(&piped).code(0);
}

/// A run that reads standard input, is given some rows, and waits for more.
fn waiting_run(folder: &Folder, output: &str) -> Child {
    let line = format!("protect {KEYS} - --format csv -o {output} --jobs 1");
    let mut child =
        folder.command(&line.split(' ').collect::<Vec<_>>()).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.as_mut().unwrap().write_all(many(40_000).as_bytes()).unwrap();
    child
}

fn wait_for(what: impl Fn() -> bool) {
    let started = Instant::now();
    while !what() {
        assert!(started.elapsed() < Duration::from_secs(30), "waited too long");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_killed_run_leaves_no_output_and_the_next_one_clears_up() {
    let folder = folder();
    let part = folder.path(".out.csv.amanat-part");
    let mut child = waiting_run(&folder, "out.csv");
    wait_for(|| fs::metadata(&part).is_ok_and(|part| part.len() > 100_000));
    protect(&folder, "in.csv -o out.csv").refused("being written by another process");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!folder.path("out.csv").exists() && part.exists());
    assert!(!folder.read(".out.csv.amanat-part").contains("name 1,"), "not even the part holds plaintext");
    protect(&folder, "in.csv -o out.csv").code(0);
    assert!(!part.exists());
    reveal(&folder, "out.csv -o plain.csv").code(0);
    assert_eq!(folder.read("plain.csv"), CSV);
}

#[test]
fn a_failing_input_leaves_no_output() {
    let folder = folder();
    fs::create_dir(folder.path("dir.csv")).unwrap();
    protect(&folder, "dir.csv -o out.csv").refused("dir.csv");
    assert!(!folder.names().iter().any(|name| name.contains("out.csv")), "{:?}", folder.names());
}

#[test]
fn runs_at_the_same_time_share_one_keyring() {
    let folder = folder();
    folder.write("in.csv", many(2_000));
    let outcomes: Vec<Ran> = thread::scope(|scope| {
        let run = |n: u32| {
            let folder = &folder;
            scope.spawn(move || protect(folder, &format!("in.csv -o out{n}.csv")))
        };
        let running: Vec<_> = (0..4).map(run).collect();
        running.into_iter().map(|run| run.join().unwrap()).collect()
    });
    for (n, ran) in outcomes.into_iter().enumerate() {
        ran.code(0);
        assert_eq!(folder.read(&format!("out{n}.csv")).lines().count(), 2_001);
    }
    let keyring: serde_json::Value = serde_json::from_str(&folder.read("registry.keyring")).unwrap();
    let messages = keyring["keysets"][0]["keys"][0]["messages"].as_u64();
    assert_eq!(messages, Some(4 * 2_000 * 3), "each message is counted once, what was not used came back");
}

#[test]
fn a_closed_pipe_is_success() {
    let folder = folder();
    folder.write("in.csv", many(20_000));
    let line = format!("protect {KEYS} in.csv");
    let mut child = folder.command(&line.split(' ').collect::<Vec<_>>()).spawn().unwrap();
    let mut first = [0; 100];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(0), "{}", String::from_utf8_lossy(&ended.stderr));
    assert!(String::from_utf8_lossy(&ended.stderr).is_empty());
}

#[test]
fn a_sqlite_table_is_protected_in_place_and_revealed_into_a_copy() {
    let folder = folder();
    let file = folder.path("people.db");
    let database = rusqlite::Connection::open(&file).unwrap();
    database.execute_batch("CREATE TABLE citizens (id INTEGER PRIMARY KEY, name TEXT, cnic TEXT, note TEXT, born TEXT, district TEXT)").unwrap();
    let insert =
        "INSERT INTO citizens VALUES (?1, 'synthetic ' || ?1, '3520212345671', NULL, '1990-01-31', 'Lahore')";
    (1..=300).for_each(|id| assert_eq!(database.execute(insert, [id]).unwrap(), 1));
    let dump = |name: &str| {
        let database = rusqlite::Connection::open(folder.path(name)).unwrap();
        let sql = "SELECT group_concat(id || '|' || name || '|' || cnic || '|' || ifnull(note, '-') || '|' || born || district, x'0a') FROM citizens";
        database.query_row(sql, [], |row| row.get::<_, String>(0)).unwrap()
    };
    drop(database);
    let before = dump("people.db");
    protect(&folder, "people.db -o copy.db").refused("protected in place");
    reveal(&folder, "people.db").refused("revealed into a copy");
    let ran = protect(&folder, "people.db").code(0);
    assert!(ran.err.contains("protected 300 rows: 900 cells sealed"), "{}", ran.err);
    assert!(!fs::read(&file).unwrap().windows(10).any(|bytes| bytes == b"synthetic "));
    assert!(protect(&folder, "people.db").code(0).err.contains("nothing to do: all 900 cells"));
    rusqlite::Connection::open(&file)
        .unwrap()
        .execute("UPDATE citizens SET born = 'never' WHERE id = 7", [])
        .unwrap();
    let ran = protect(&folder, "people.db").code(1);
    assert!(ran.err.contains("1 row refused; is as before; see people.db.exceptions.csv"), "{}", ran.err);
    rusqlite::Connection::open(&file)
        .unwrap()
        .execute("UPDATE citizens SET born = '1990-01-31' WHERE id = 7", [])
        .unwrap();
    protect(&folder, "people.db").code(0);
    reveal(&folder, "people.db -o copy.db").code(0);
    assert_eq!(dump("copy.db"), before);
    assert!(dump("people.db") != before);
}

#[test]
fn the_list_of_refused_rows_is_never_written_over_a_file_of_the_run() {
    let folder = folder();
    folder.write("in.csv", format!("{CSV}5,a\n"));
    let files = ["in.csv", "registry.keyring", "registry.keyring.pin", "schema.toml", "k.key"];
    let before = files.map(|name| folder.read(name));
    for name in files {
        let ran = protect(&folder, &format!("in.csv -o out.csv --exceptions ./{name} --force"));
        ran.refused("and exceptions file at once");
        if name != "in.csv" {
            protect(&folder, &format!("in.csv -o {name} --force")).refused("and output at once");
        }
    }
    protect(&folder, "in.csv -o out.csv --exceptions ./out.csv")
        .refused("output and exceptions file at once");
    assert_eq!(files.map(|name| folder.read(name)), before);
    folder.write("why.csv", "precious");
    protect(&folder, "in.csv -o out.csv --exceptions why.csv").refused("why.csv is there already");
    assert_eq!((folder.read("why.csv").as_str(), folder.path("out.csv").exists()), ("precious", false));
    protect(&folder, "in.csv -o out.csv --exceptions why.csv --force").code(1);
    assert!(folder.read("why.csv").contains("\n4,,malformed,"));
}

#[test]
fn an_output_without_the_list_of_its_refused_rows_is_not_put_in_place() {
    let folder = folder();
    folder.write("in.csv", format!("{CSV}5,a\n"));
    fs::create_dir(folder.path("out.csv.exceptions.csv")).unwrap();
    let ran = protect(&folder, "in.csv -o out.csv").code(2);
    assert!(ran.err.contains("out.csv.exceptions.csv: cannot be put in place"), "{}", ran.err);
    assert!(!folder.path("out.csv").exists(), "{:?}", folder.names());
}

#[test]
fn a_suspended_key_opens_only_if_it_is_named_and_that_is_said() {
    let folder = folder();
    protect(&folder, "in.csv -o old.csv").code(0);
    let keyring: serde_json::Value = serde_json::from_str(&folder.read("registry.keyring")).unwrap();
    let id = keyring["keysets"][0]["keys"][0]["id"].as_str().unwrap();
    let keys = "--keyring registry.keyring --key-file k.key";
    folder.run(&format!("keys add {keys} --purpose field --activate")).code(0);
    folder.run(&format!("keys suspend {keys} {id}")).code(0);
    reveal(&folder, "old.csv -o plain.csv").code(1);
    assert_eq!(folder.read("plain.csv").lines().count(), 1);
    for name in [id, &id[..6]] {
        let ran = reveal(&folder, &format!("old.csv -o plain.csv --force -q --break-glass {name}")).code(0);
        let warning = format!("warning: breaking the glass: key {} is suspended and opens", &id[..8]);
        assert!(ran.err.contains(&warning), "{}", ran.err);
        assert_eq!(folder.read("plain.csv"), CSV);
    }
    let ran = protect(&folder, &format!("old.csv -o new.csv --break-glass {id}")).code(0);
    assert!(ran.err.contains("11 re-sealed") && ran.err.contains("breaking the glass"), "{}", ran.err);
    reveal(&folder, "new.csv -o plain.csv --force").code(0);
    reveal(&folder, "new.csv -o no.csv --break-glass 0000aaaa").refused("no key of this keyring begins");
    reveal(&folder, "new.csv -o no.csv --break-glass nothex").code(2);
}

#[test]
fn plaintext_among_sealed_values_is_refused_with_reseal_only() {
    let folder = folder();
    protect(&folder, "in.csv -o sealed.csv").code(0);
    let sealed = folder.read("sealed.csv");
    folder.write("mixed.csv", format!("{sealed}9,inserted,3520212345671,,1990-01-31,Lahore\n"));
    let ran = protect(&folder, "mixed.csv --reseal-only --dry-run").code(1);
    assert!(ran.err.contains("plaintext stands in a sealed column"), "{}", ran.err);
    protect(&folder, "mixed.csv --reseal-only -o resealed.csv").code(1);
    assert_eq!(folder.read("resealed.csv"), sealed);
}
