// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs over files that are killed, stopped and gone on with. Every record is invented.
//!
//! `AMANAT_TORTURE_KILLS=1000 cargo test --release -p amanat-cli --test file_run` kills more often than the 20 times of every day.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::process::{Child, Command, Stdio};
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
  { name = "id", mode = "clear" },
  { name = "name", mode = "sealed" },
  { name = "cnic", mode = "sealed" },
  { name = "born", mode = "sealed", type = "date", absence = "visible" },
  { name = "district", mode = "clear" },
]
"#;
const KEYS: &str =
    "--keyring registry.keyring --key-file k.key --schema schema.toml --checkpoint-bytes 200000";
const REVEAL: &str = "reveal --keyring registry.keyring --key-file k.key --schema schema.toml";
/// Of so many rows, one cannot be protected.
const BAD: u32 = 997;

fn folder() -> Folder {
    let folder = Folder::with_keyring();
    folder.write("schema.toml", SCHEMA);
    folder
}

/// A row has quotes and line ends now and then; every row of a number that BAD divides has a birth date that is none.
fn csv(rows: u32, bad: bool) -> String {
    let mut text = String::from("id,name,cnic,born,district\r\n");
    for row in 1..=rows {
        let is_bad = bad && row % BAD == 0;
        let name = if row % 50 == 0 && !is_bad {
            format!("\"عائشہ, {row}\r\n\"\"x\"\"\"")
        } else {
            format!("name {row}")
        };
        let born = if is_bad {
            "31.01.1990"
        } else if row % 3 == 0 {
            ""
        } else {
            "1990-01-31"
        };
        write!(text, "{row},{name},35202{row:08},{born},{}\r\n", row % 36).unwrap();
    }
    text
}

fn json_lines(rows: u32, bad: bool) -> String {
    let mut text = String::new();
    for row in 1..=rows {
        let born = if bad && row % BAD == 0 { "\"31.01.1990\"" } else { "null" };
        writeln!(text, "{{\"id\":{row},\"name\":\"عائشہ {row}\",\"cnic\":\"35202{row:08}\",\"born\":{born},\"district\":1.50}}")
            .unwrap();
    }
    text
}

/// The lines that are not refused.
fn without_bad(text: &str, ending: &str) -> String {
    let is_bad = |line: &&str| line.contains("31.01.1990");
    text.split_inclusive(ending).filter(|line| !is_bad(line)).collect()
}

fn protect(folder: &Folder, rest: &str) -> Ran {
    folder.run(&format!("protect {KEYS} {rest}"))
}

fn reveal(folder: &Folder, sealed: &str) -> String {
    let ending = sealed.rsplit('.').next().unwrap();
    folder.run(&format!("{REVEAL} {sealed} -o plain.{ending} --force")).code(0);
    folder.read(&format!("plain.{ending}"))
}

/// What a report says of rows and cells; the time is left out.
fn counts(ran: &Ran) -> serde_json::Value {
    let report: serde_json::Value = serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{ran:?}"));
    ["rows", "rows_refused", "cells", "beside", "keys"].iter().map(|name| report[*name].clone()).collect()
}

/// Whether a run has left something beside its output. What a kill leaves beside the keyring, the next writer of the keyring removes.
fn is_left(folder: &Folder) -> bool {
    let is_of_run = |name: &String| name.contains("amanat-part") || name.contains("amanat-run");
    folder.names().iter().filter(|name| !name.contains("keyring")).any(is_of_run)
}

fn spawn(folder: &Folder, rest: &str) -> Child {
    let line = format!("protect {KEYS} {rest}");
    let args: Vec<&str> = line.split_whitespace().collect();
    folder.command(&args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

fn ended(child: Child) -> Ran {
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

fn kills() -> u32 {
    std::env::var("AMANAT_TORTURE_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(20)
}

/// Moments that no two runs share.
struct Moments(u64);

impl Moments {
    fn new() -> Self {
        Self(u64::from(std::process::id()) | 1)
    }

    fn below(&mut self, most: Duration) -> Duration {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        most.mul_f64((self.0 % 10_000) as f64 / 10_000.0)
    }
}

/// Starts a run, kills it after a while; says whether it ended by itself before that.
fn killed(folder: &Folder, rest: &str, after: Duration) -> bool {
    let mut child = spawn(folder, rest);
    thread::sleep(after);
    let ended = child.try_wait().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    ended.is_some()
}

/// Kills runs of one file at random moments; every time one comes to its end, its output must be that of a run that nobody disturbed.
fn torture(ending: &str, text: &str, line_end: &str, code: i32) {
    let folder = folder();
    let input = format!("in.{ending}");
    folder.write(&input, text);
    let started = Instant::now();
    let calm = protect(&folder, &format!("{input} -o calm.{ending} --json")).code(code);
    let whole = started.elapsed();
    let list = |name: &str| fs::read_to_string(folder.path(&format!("{name}.{ending}.exceptions.csv"))).ok();
    let (wanted, calm_list) = (without_bad(text, line_end), list("calm"));
    assert_eq!(calm_list.is_some(), code == 1);
    assert!(reveal(&folder, &format!("calm.{ending}")) == wanted);
    let out = format!("out.{ending}");
    let command = format!("{input} -o {out} --resume");
    let mut moments = Moments::new();
    let (mut done, mut went_on, mut ends) = (0, 0, 0);
    while done < kills() || ends == 0 {
        if done < kills() && !killed(&folder, &command, moments.below(whole / 5)) {
            done += 1;
            went_on += u32::from(folder.path(&format!(".{out}.amanat-run")).exists());
            let is_there = folder.path(&out).exists();
            assert!(!is_there || reveal(&folder, &out) == wanted, "an output that is there is whole");
            if !is_there {
                continue;
            }
        }
        // It has come to its end, was killed while names were given, or is left alone now.
        if !folder.path(&out).exists() || is_left(&folder) {
            let last = protect(&folder, &format!("{command} --json")).code(code);
            assert_eq!(counts(&last), counts(&calm));
        }
        assert!(reveal(&folder, &out) == wanted, "every row once");
        assert_eq!(list("out"), calm_list, "every refused row once");
        assert!(!is_left(&folder), "{:?}", folder.names());
        ends += 1;
        fs::remove_file(folder.path(&out)).unwrap();
        let _ = fs::remove_file(folder.path(&format!("{out}.exceptions.csv")));
    }
    assert!(went_on * 4 > done, "of {done} kills only {went_on} left a checkpoint");
}

#[test]
fn a_csv_run_that_is_killed_at_any_moment_goes_on_and_loses_nothing() {
    torture("csv", &csv(100_000, false), "\r\n", 0);
}

#[test]
fn refused_rows_are_listed_once_however_often_a_run_is_killed() {
    torture("csv", &csv(60_000, true), "\r\n", 1);
}

#[test]
fn a_json_lines_run_that_is_killed_at_any_moment_goes_on_and_loses_nothing() {
    torture("jsonl", &json_lines(60_000, true), "\n", 1);
}

#[test]
fn a_file_that_is_replaced_is_old_or_new_at_any_moment() {
    let (folder, text) = (folder(), csv(20_000, false));
    folder.write("in.csv", &text);
    let started = Instant::now();
    protect(&folder, "in.csv -o calm.csv").code(0);
    let whole = started.elapsed();
    let mut moments = Moments::new();
    let mut replaced = 0;
    let mut done = 0;
    while done < kills() || replaced == 0 {
        let left_alone = done >= kills();
        let command = "in.csv --in-place --keep old.csv --resume";
        if left_alone {
            protect(&folder, command).code(0);
        } else {
            done += u32::from(!killed(&folder, command, moments.below(whole * 6 / 5)));
        }
        if folder.read("in.csv") == text {
            assert!(!left_alone);
            continue;
        }
        assert!(reveal(&folder, "in.csv") == text);
        if is_left(&folder) {
            protect(&folder, command).code(0);
            assert!(reveal(&folder, "in.csv") == text);
        }
        assert!(!is_left(&folder), "{:?}", folder.names());
        assert!(folder.read("old.csv") == text, "kept under another name");
        fs::remove_file(folder.path("old.csv")).unwrap();
        folder.write("in.csv", &text);
        replaced += 1;
    }
}

/// A run that stops because the file system lets no file grow any more.
fn stop_half_way(folder: &Folder, rest: &str) -> Ran {
    folder.shell(&format!("trap '' XFSZ; ulimit -f 2000; amanat protect {KEYS} {rest}"))
}

#[test]
fn a_full_disk_is_an_error_after_which_the_run_goes_on() {
    let (folder, text) = (folder(), csv(20_000, true));
    folder.write("in.csv", &text);
    let ran = stop_half_way(&folder, "in.csv -o out.csv").code(2);
    assert!(ran.err.contains("error: in.csv: the output cannot be written: file too large"), "{}", ran.err);
    assert!(
        ran.err.contains("rows are done and kept; remove the cause") && ran.err.contains("--resume"),
        "{}",
        ran.err
    );
    assert!(!folder.path("out.csv").exists());
    let kept: Vec<String> = folder.names().into_iter().filter(|name| name.starts_with('.')).collect();
    assert_eq!(kept, [".out.csv.amanat-part", ".out.csv.amanat-run", ".out.csv.exceptions.csv.amanat-part"]);
    let journal = folder.read(".out.csv.amanat-run");
    assert!(
        journal.starts_with("{\"format\":\"amanat-file-run\",\"version\":1,") && !journal.contains("35202")
    );
    // A run that is neither the same nor told what to do is told what to say.
    let ran = protect(&folder, "in.csv -o out.csv").refused("out.csv: an earlier run was stopped after ");
    assert!(ran.err.contains("--resume") && ran.err.contains("--restart"), "{}", ran.err);
    folder
        .run(&format!("{REVEAL} in.csv -o out.csv"))
        .refused("an earlier run of protect into the same output");
    let ran = protect(&folder, "in.csv -o out.csv --resume").code(1);
    assert!(ran.err.contains("going on after ") && ran.err.contains("protected 20,000 rows"), "{}", ran.err);
    assert!(reveal(&folder, "out.csv") == without_bad(&text, "\r\n"));
    assert_eq!(folder.read("out.csv.exceptions.csv").lines().count(), 1 + 20_000 / BAD as usize);
    assert!(!is_left(&folder));
}

#[test]
fn only_the_same_run_over_the_same_input_is_gone_on_with() {
    let (folder, text) = (folder(), csv(20_000, true));
    folder.write("in.csv", &text);
    stop_half_way(&folder, "in.csv -o out.csv").code(2);
    let resume = |rest: &str, why: &str| {
        let ran = protect(&folder, &format!("in.csv -o out.csv --resume {rest}")).refused(why);
        assert!(ran.err.contains("--restart"), "{}", ran.err);
        assert!(folder.path(".out.csv.amanat-part").exists(), "what is done is still there");
    };
    resume("--reseal-only", "it did something else");
    resume("--delimiter tab", "the format or the delimiter was another");
    resume("--exceptions other.csv", "the list of refused rows of the earlier run is gone");
    folder.write("schema.toml", format!("{SCHEMA}# a remark\n"));
    resume("", "the schema was changed");
    folder.write("schema.toml", SCHEMA);
    let journal = folder.read(".out.csv.amanat-run");
    for (garbled, why) in [
        (journal.replace("\"version\":1", "\"version\":2"), "another version"),
        (journal[..journal.len() / 2].to_owned(), "is broken"),
        (journal.replace("\"phase\"", "\"more\":1,\"phase\""), "is broken"),
        (String::new(), "is broken"),
        (journal.replace("\"output_bytes\":", "\"output_bytes\":9"), "is shorter than when the run stopped"),
    ] {
        assert_ne!(garbled, journal);
        folder.write(".out.csv.amanat-run", garbled);
        resume("", why);
        protect(&folder, "in.csv -o out.csv").refused("an earlier run was stopped");
    }
    folder.write(".out.csv.amanat-run", &journal);
    let part = fs::read(folder.path(".out.csv.amanat-part")).unwrap();
    fs::remove_file(folder.path(".out.csv.amanat-part")).unwrap();
    let ran = protect(&folder, "in.csv -o out.csv --resume").refused("what the earlier run wrote is gone");
    assert!(ran.err.contains("--restart"));
    folder.write(".out.csv.amanat-part", part);
    folder.write("in.csv", text.replacen("name 1,", "name 2,", 1));
    resume("", "in.csv: the earlier run cannot be gone on with: the input was changed since");
    protect(&folder, "in.csv -o out.csv --restart").code(1);
    assert!(!is_left(&folder));
    assert_eq!(reveal(&folder, "out.csv").lines().nth(1), Some("1,name 2,3520200000001,1990-01-31,1"));
    // With nothing to go on with, it begins; and an output that is there is not written over.
    fs::remove_file(folder.path("out.csv")).unwrap();
    protect(&folder, "in.csv -o out.csv --resume").code(1);
    protect(&folder, "in.csv -o out.csv --resume").refused("out.csv is there already");
    folder
        .run_with(
            &[
                &["protect"][..],
                &KEYS.split(' ').collect::<Vec<_>>(),
                &["-", "--format", "csv", "-o", "x.csv", "--resume"],
            ]
            .concat(),
            "",
        )
        .refused("standard input and output cannot be gone on with");
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

/// Starts a run and sends it a signal once it has written something.
fn signalled(folder: &Folder, mut child: Child, part: &str, name: &str) -> Ran {
    let (started, length) = (Instant::now(), || fs::metadata(folder.path(part)).map_or(0, |part| part.len()));
    let before = length();
    while length() < before + 100_000 {
        assert!(started.elapsed() < Duration::from_secs(60) && child.try_wait().unwrap().is_none());
        thread::sleep(Duration::from_millis(2));
    }
    signal(&child, name);
    ended(child)
}

#[test]
fn a_signal_ends_a_run_at_a_batch_and_says_how_to_go_on() {
    let (folder, text) = (folder(), csv(100_000, false));
    folder.write("in.csv", &text);
    for (name, code) in [("-TERM", 143), ("-INT", 130)] {
        let child = spawn(&folder, "in.csv -o out.csv --resume");
        let ran = signalled(&folder, child, ".out.csv.amanat-part", name).code(code);
        assert!(
            ran.err.contains("stopped by SIG") && ran.err.contains("rows of in.csv are done and kept"),
            "{}",
            ran.err
        );
        assert!(ran.err.contains("help: go on with the same command and --resume"), "{}", ran.err);
        assert!(folder.path(".out.csv.amanat-run").exists() && !folder.path("out.csv").exists());
    }
    protect(&folder, "in.csv -o out.csv --resume").code(0);
    // Revealed plaintext is not left in a part file.
    let line = format!("{REVEAL} out.csv -o plain.csv");
    let args: Vec<&str> = line.split_whitespace().collect();
    let child = folder.command(&args).stdout(Stdio::null()).spawn().unwrap();
    let ran = signalled(&folder, child, ".plain.csv.amanat-part", "-TERM").code(143);
    assert!(ran.err.contains("what was written so far is removed"), "{}", ran.err);
    assert!(!is_left(&folder), "{:?}", folder.names());
    assert!(reveal(&folder, "out.csv") == text);
}

#[test]
fn a_file_is_replaced_with_its_permissions_and_only_if_no_row_was_refused() {
    let (folder, text) = (folder(), csv(2_000, true));
    folder.write("in.csv", &text);
    folder.mode("in.csv", 0o640);
    let ran = protect(&folder, "in.csv --in-place").code(1);
    assert!(ran.err.contains("in.csv is as it was, because rows were refused"), "{}", ran.err);
    assert!(folder.read("in.csv") == text);
    assert!(folder.path("in.csv.exceptions.csv").exists() && !is_left(&folder));
    let good = csv(2_000, false);
    folder.write("in.csv", &good);
    std::os::unix::fs::symlink("in.csv", folder.path("link.csv")).unwrap();
    let ran = protect(&folder, "link.csv --in-place --json").code(0);
    assert!(ran.out.contains("\"output\": \"link.csv\""), "{}", ran.out);
    assert!(fs::symlink_metadata(folder.path("link.csv")).unwrap().is_symlink(), "the link stays a link");
    assert!(!folder.read("in.csv").contains("name 1,"));
    assert_eq!(fs::metadata(folder.path("in.csv")).unwrap().permissions().mode() & 0o777, 0o640);
    assert!(reveal(&folder, "in.csv") == good);
    protect(&folder, "in.csv --in-place").code(0);
    assert!(reveal(&folder, "in.csv") == good);
    let names = folder.names();
    assert!(
        !names.iter().any(|name| name.contains("old") || name.contains('~') || name.contains("bak")),
        "{names:?}"
    );

    folder.write("two.csv", &good);
    fs::hard_link(folder.path("two.csv"), folder.path("second.csv")).unwrap();
    protect(&folder, "two.csv --in-place").refused("further names");
    fs::remove_file(folder.path("second.csv")).unwrap();
    folder.write("taken.csv", "");
    protect(&folder, "two.csv --in-place --keep taken.csv").refused("taken.csv is there already");
    protect(&folder, "two.csv --in-place --keep schema.toml --force").refused("schema");
    let before = fs::metadata(folder.path("two.csv")).unwrap().ino();
    protect(&folder, "two.csv --in-place --keep kept.csv").code(0);
    assert!(folder.read("kept.csv") == good);
    assert_eq!(fs::metadata(folder.path("kept.csv")).unwrap().ino(), before);
    assert!(reveal(&folder, "two.csv") == good);
    protect(&folder, "two.csv --in-place -o out.csv").code(2);
}

#[test]
fn repaired_rows_are_protected_alone_and_make_the_output_whole() {
    for (ending, text, good, line_end) in [
        ("csv", csv(5_000, true), csv(5_000, true).replace("31.01.1990", "1990-01-31"), "\r\n"),
        ("jsonl", json_lines(5_000, true), json_lines(5_000, true).replace("31.01.1990", "1990-01-31"), "\n"),
    ] {
        let folder = folder();
        folder.write(&format!("in.{ending}"), &text);
        protect(&folder, &format!("in.{ending} -o out.{ending}")).code(1);
        // Rows that are still wrong are refused again, and listed under the numbers that they have.
        let half = good.replacen("1990-01-31,25", "31.01.1990,25", 0);
        folder.write(&format!("fixed.{ending}"), half);
        let only = format!("fixed.{ending} --only out.{ending}.exceptions.csv -o more.{ending}");
        let ran = protect(&folder, &only).code(0);
        assert!(ran.err.contains("protected 5 rows"), "{}", ran.err);
        let more = reveal(&folder, &format!("more.{ending}"));
        let ids: Vec<bool> = (1..=5).map(|time| more.contains(&format!("35202{:08}", time * BAD))).collect();
        assert_eq!(ids, [true; 5]);
        // Together they are the whole file.
        let rows = |text: &str| {
            let mut rows: Vec<String> = text.split_inclusive(line_end).map(str::to_owned).collect();
            rows.sort();
            rows
        };
        let mut both = rows(&reveal(&folder, &format!("out.{ending}")));
        both.extend(rows(&more).into_iter().filter(|row| !row.starts_with("id,")));
        both.sort();
        assert!(both == rows(&good));
        // Rows that are refused again keep their numbers.
        let ran =
            protect(&folder, &format!("in.{ending} --only out.{ending}.exceptions.csv -o none.{ending}"))
                .code(1);
        assert!(ran.err.contains("5 rows refused"), "{}", ran.err);
        assert_eq!(
            folder.read(&format!("none.{ending}.exceptions.csv")),
            folder.read(&format!("out.{ending}.exceptions.csv"))
        );
        // A list of another file, and what is no list.
        folder.write("short.csv", "row,field,kind,reason\n6000,,schema,no\n");
        protect(&folder, &format!("fixed.{ending} --only short.csv -o x.{ending}"))
            .refused("lists 1 rows, and the input has only 0");
        for (list, why) in [
            ("a,b\n", "first line"),
            ("row,field,kind,reason\n", "lists no rows"),
            ("row,field,kind,reason\nx,,,\n", "line 2 names no row"),
        ] {
            folder.write("short.csv", list);
            protect(&folder, &format!("fixed.{ending} --only short.csv -o x.{ending}")).refused(why);
        }
        assert!(!is_left(&folder) && !folder.path(&format!("x.{ending}")).exists());
    }
}

#[test]
fn cells_may_be_separated_otherwise() {
    let folder = folder();
    for (name, sign) in [("tab", '\t'), ("semicolon", ';'), ("pipe", '|')] {
        let text = format!(
            "id{sign}name{sign}cnic{sign}born{sign}district\n1{sign}\"a{sign}b\"{sign}1,2{sign}{sign}x,y\n2{sign}\"c\"\"d\"{sign}{sign}1990-01-31{sign}\n"
        );
        folder.write("in.csv", &text);
        protect(&folder, &format!("in.csv -o {name}.csv --delimiter {name}")).code(0);
        folder.run(&format!("{REVEAL} {name}.csv -o {name}.plain.csv --delimiter {name}")).code(0);
        assert_eq!(folder.read(&format!("{name}.plain.csv")), text);
    }
    folder.write("in.jsonl", json_lines(1, false));
    protect(&folder, "in.jsonl -o out.jsonl --delimiter tab").refused("--delimiter is for CSV");
}

#[test]
fn the_environment_names_the_keyring_and_the_key_file_where_no_argument_does() {
    let folder = folder();
    folder.write("in.csv", csv(3, false));
    folder.write_secret("p.txt", support::PASSPHRASE);
    let run = |line: &str, key: &str| {
        let args: Vec<&str> = line.split_whitespace().collect();
        let mut command = folder.command(&args);
        command.env("AMANAT_KEYRING", "registry.keyring").env("AMANAT_KEY_FILE", key);
        ended(command.spawn().unwrap())
    };
    run("protect --schema schema.toml in.csv -o out.csv", "k.key").code(0);
    run("reveal --schema schema.toml out.csv -o plain.csv --key-file k.key", "none.key").code(0);
    assert_eq!(folder.read("plain.csv"), csv(3, false));
    run("reveal --schema schema.toml out.csv -o x.csv --passphrase-file p.txt", "k.key")
        .refused("no passphrase slot");
    run("reveal --schema schema.toml out.csv -o k.key --force", "k.key").refused("key file");
    run("keys list --keyring none.keyring", "k.key").refused("none.keyring");
}
