// SPDX-License-Identifier: MIT OR Apache-2.0
//! The program's manners: recorded cases, exit codes, pipes, pages.
//!
//! `AMANAT_RECORD=1 cargo test -p amanat-cli --test cli` writes the recorded cases anew.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use support::{Folder, Ran};

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cmd")
}

/// Ids, times and the program's version differ from run to run.
fn steady(text: &str) -> String {
    let text = text.replace(env!("CARGO_PKG_VERSION"), "[VERSION]");
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some(c) = rest.chars().next() {
        let digits = rest.bytes().take_while(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(b)).count();
        let time = rest.get(..20).is_some_and(|time| time.parse::<amanat::Timestamp>().is_ok());
        let (shown, length) = match digits {
            _ if time => ("[TIME]", 20),
            32 => ("[KEY]", 32),
            16 => ("[SLOT]", 16),
            8 => ("[KEY8]", 8),
            _ => (&rest[..c.len_utf8()], c.len_utf8()),
        };
        out.push_str(shown);
        rest = &rest[length..];
    }
    out
}

fn recorded(line: &str, ran: &Ran) -> String {
    let mut text = format!("$ {line}\n{}", steady(&ran.out));
    if !ran.err.is_empty() {
        let err = steady(&ran.err);
        err.lines().for_each(|line| writeln!(text, "2> {line}").unwrap());
    }
    writeln!(text, "? {}\n", ran.code.unwrap()).unwrap();
    text
}

/// Runs every line that starts with `$ ` in one folder, and compares the whole.
fn replay(file: &Path) -> Result<(), String> {
    let wanted = fs::read_to_string(file).unwrap();
    let folder = Folder::new();
    let lines = wanted.lines().filter_map(|line| line.strip_prefix("$ "));
    let given: String = lines.map(|line| recorded(line, &folder.shell(line))).collect();
    if given == wanted {
        return Ok(());
    }
    if std::env::var_os("AMANAT_RECORD").is_some() {
        fs::write(file, given).unwrap();
        return Ok(());
    }
    Err(format!("{} is recorded otherwise; it now gives:\n{given}", file.display()))
}

#[test]
fn recorded_cases_still_give_what_was_recorded() {
    let mut files: Vec<PathBuf> = fs::read_dir(cases()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() > 4, "{files:?}");
    let wrong: Vec<String> = files.iter().filter_map(|file| replay(file).err()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_help_of_every_verb_is_recorded() {
    let folder = Folder::new();
    folder.run("man pages").code(0);
    let pages = fs::read_dir(folder.path("pages")).unwrap();
    let pages: BTreeSet<String> =
        pages.map(|page| page.unwrap().file_name().into_string().unwrap()).collect();
    assert!(pages.len() > 20, "{pages:?}");
    let recorded: String = fs::read_dir(cases())
        .unwrap()
        .map(|file| fs::read_to_string(file.unwrap().path()).unwrap())
        .collect();
    let mut missing = Vec::new();
    for page in &pages {
        let name = page.strip_suffix(".1").unwrap();
        // `amanat-keys-add-slot` is `amanat keys add-slot`.
        let verb = name.replacen('-', " ", 1);
        let verb = ["keys", "migrate", "schema", "token", "token receipt", "token vault"]
            .iter()
            .fold(verb, |verb, group| verb.replacen(&format!(" {group}-"), &format!(" {group} "), 1));
        if !recorded.contains(&format!("$ {verb} --help\n")) {
            missing.push(verb);
        }
    }
    assert!(missing.is_empty(), "add to tests/cmd/help.txt: {missing:?}");
}

#[test]
fn manual_pages_name_their_verb_and_its_options() {
    let folder = Folder::new();
    folder.run("man a/folder/of/pages").code(0);
    let page = folder.read("a/folder/of/pages/amanat-keys-add-slot.1");
    assert!(page.contains("amanat\\-keys\\-add\\-slot") && page.contains("slot\\-key\\-file"), "{page}");
    folder.write("file", "");
    folder.run("man file").refused("file");
}

#[test]
fn completions_are_written_for_every_shell() {
    let folder = Folder::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = folder.run(&format!("completions {shell}")).code(0).out;
        assert!(script.contains("add-slot") && script.contains("keyring"), "{shell}");
    }
    folder.run("completions tcsh").code(2);
}

#[test]
fn a_closed_pipe_is_success() {
    let folder = Folder::with_keyring();
    let line = |verb: &str| format!("{{ amanat {verb}; echo code $? >&2; }} 2>err | true; cat err >&2");
    for verb in ["completions bash", "keys states", "keys list --keyring registry.keyring --json", "--help"] {
        // The reader is gone before the program writes.
        let ran = folder.shell(&line(verb).replace("{ amanat", "{ sleep 0.2; amanat"));
        assert!(ran.err.ends_with("code 0\n") && !ran.err.contains("panic"), "{verb}: {}", ran.err);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error() {
    let folder = Folder::new();
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut child =
        folder.command(&["completions", "bash"]).stdout(full).stderr(Stdio::piped()).spawn().unwrap();
    let mut err = String::new();
    std::io::Read::read_to_string(child.stderr.as_mut().unwrap(), &mut err).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(2));
    assert!(err.starts_with("error: cannot write to standard output"), "{err}");
}

#[test]
fn no_colour_and_no_control_character_goes_into_a_pipe() {
    let folder = Folder::with_keyring();
    for verb in
        ["keys states", "keys list --keyring registry.keyring", "inspect registry.keyring", "inspect 35202"]
    {
        let ran = folder.run(verb);
        let text = format!("{}{}", ran.out, ran.err);
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
    }
}

#[test]
fn what_a_schema_does_is_said_in_plain_words() {
    let folder = Folder::new();
    folder.write("people.csv", "id, name,home address,home  address,\u{67e}\u{62a}\u{6c1}\n1,a,b,c,d\n");
    let schema = folder.run("schema new people.csv").code(0).out;
    for part in [
        "name = \"people\"",
        "record_id = [\"id\"]",
        "column = \" name\"",
        "\"home_address\"",
        "name = \"field\"",
    ] {
        assert!(schema.contains(part), "{part}: {schema}");
    }
    folder.write("people.toml", &schema);
    let said = folder.run("schema check people.toml").code(0);
    assert!(said.out.contains("home_address") && said.out.contains("sealed"), "{}", said.out);
    assert!(said.err.contains("field home_address sounds like free text"), "{}", said.err);
    folder.write("people.toml", schema.replacen("mode = \"sealed\"", "mode = \"seald\"", 1));
    folder.run("schema check people.toml").refused("`mode` must be one of: sealed, masked, clear");
    folder.run("schema check people.csv").refused("people.csv: line 1");

    folder.write("bad.csv", b"id,\xff\n");
    folder.run("schema new bad.csv").refused("UTF-8");
    folder.write("empty.csv", "");
    folder.run("schema new empty.csv").refused("no header");
    let two = folder
        .run_with(&["schema", "new", "people.csv", "--record-id", "id", "--record-id", " name"], "")
        .code(0);
    assert!(two.out.contains("record_id = [\"id\", \" name\"]"), "{}", two.out);
    folder.run("schema new people.csv --record-id name").refused("not in the header");
}

#[test]
fn a_new_schema_knows_identifiers_that_every_row_of_the_sample_has() {
    let folder = Folder::new();
    let mut csv = String::from("id,cnic no,mobile,serial,mixed\n");
    for row in 0..50 {
        let mixed = if row == 49 { "unknown".to_owned() } else { format!("01234-{row:07}-1") };
        writeln!(csv, "{row},01234-{row:07}-1,+92399{row:07},{row},{mixed}").unwrap();
    }
    folder.write("people.csv", &csv);
    let ran = folder.run("schema new people.csv").code(0);
    assert_eq!(ran.out.matches("\nidentifier = ").count(), 2, "{}", ran.out);
    assert_eq!(ran.out.matches("\npad = 32\n").count(), 2, "{}", ran.out);
    for part in
        ["identifier = \"cnic\"", "identifier = \"phone\"", "# [[table.index]]\n# name = \"by-cnic_no\""]
    {
        assert!(ran.out.contains(part), "{part}: {}", ran.out);
    }
    assert!(!ran.out.contains("01234") && !ran.err.contains("01234") && ran.err.contains("field cnic_no"));
    folder.write("people.toml", &ran.out);
    folder.run("schema check people.toml").code(0);
    // With the index taken in, it is a schema still.
    let taken = ran.out.split("# [[table.index]]").next().unwrap().to_owned()
        + &ran
            .out
            .split("# [[table.index]]")
            .skip(1)
            .map(|part| format!("[[table.index]]{}", part.replace("\n# ", "\n")))
            .collect::<String>()
            .replace("To find", "# To find");
    folder.write("taken.toml", taken);
    let ran = folder.run("plan --schema taken.toml people.csv");
    assert!(ran.code == Some(0) && ran.out.contains("by-cnic_no"), "{ran:?}");
}
