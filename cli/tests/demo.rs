// SPDX-License-Identifier: MIT OR Apache-2.0
//! The demonstration: it runs through, what it prints can be repeated, and it touches no folder but its own.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::fs;

use support::Folder;

/// The commands that were printed, each on one line again.
fn commands(out: &str) -> Vec<String> {
    let joined = out.replace(" \\\n    ", " ");
    joined.lines().filter_map(|line| line.strip_prefix("  $ ")).map(str::to_owned).collect()
}

#[test]
fn the_demonstration_shows_the_main_job_and_its_commands_can_be_repeated() {
    let folder = Folder::new();
    let out = folder.run("demo --rows 120").code(0).out;
    for part in [
        "120 synthetic citizens",
        "protected 120 rows: 840 cells sealed",
        "does not open: the value was altered, or moved from another row",
        "840 re-sealed",
        "is deactivated",
        "nothing to do: all 840 cells",
        "exported 1 row of citizens to revenue-board for tax-roll",
        "proved: this registry made it under this key",
        "104 characters sealed",
    ] {
        assert!(out.contains(part), "{part}:\n{out}");
    }
    assert!(!out.contains('\u{1b}'));
    assert_eq!(out.matches("\n    7,*****-***").count(), 1, "found by number: {out}");
    let by_name =
        out.split("field name_urdu").nth(1).unwrap().lines().take(5).any(|line| line.contains("    7,"));
    assert!(by_name, "found by name: {out}");
    let tokens: Vec<&str> = out.lines().filter(|line| line.starts_with("    amt1:p:1:")).collect();
    assert_eq!(tokens.len(), 2);
    let searches: Vec<&str> =
        out.split("wc -l\n").skip(1).map(|rest| rest.lines().next().unwrap().trim()).collect();
    assert_eq!(searches, ["1", "0"], "the number is in the plain file and gone from the sealed one");

    let commands = commands(&out);
    assert!(commands.len() > 18, "{commands:#?}");
    let mut repeated = 0;
    for command in &commands {
        let once =
            ["init", "add", "activate", "retire"].iter().any(|verb| command.contains(&format!(" {verb} ")));
        if command.starts_with("amanat ") && !once {
            let ran = folder.shell(&format!("cd amanat-demo && {command}"));
            assert_eq!(ran.code, Some(0), "{command}: {ran:?}");
            repeated += 1;
        }
    }
    assert!(repeated >= 5, "{repeated} of {commands:#?}");
    let sealed = fs::read(folder.path("amanat-demo/registry.db")).unwrap();
    for plain in [&b"JFIF"[..], b"+92399", "زبیدہ".as_bytes()] {
        assert!(!sealed.windows(plain.len()).any(|window| window == plain));
    }
}

#[test]
fn only_the_folder_of_a_former_demonstration_is_replaced() {
    let folder = Folder::new();
    fs::create_dir(folder.path("amanat-demo")).unwrap();
    folder.write("amanat-demo/registry.db", "mine");
    folder.run("demo --rows 100").refused("amanat-demo is there already");
    folder.run("demo --rows 100 --force").refused("amanat-demo is there already");
    assert_eq!(folder.read("amanat-demo/registry.db"), "mine");

    folder.run("demo --rows 100 --folder other").code(0);
    folder.write("other/notes.txt", "mine");
    let ran = folder.run("demo --rows 100 --folder other").refused("other is there already");
    assert!(ran.err.contains("--force"), "{}", ran.err);
    folder.run("demo --rows 100 --folder other --force").code(0);
    assert_eq!(folder.read("other/notes.txt"), "mine");
    folder.write("file", "");
    folder.run("demo --rows 100 --folder file --force").refused("file is there already");
    assert_eq!(folder.run("demo --rows 5").code, Some(2));
}
