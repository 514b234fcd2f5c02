// SPDX-License-Identifier: MIT OR Apache-2.0
//! `token translate`, `receive` and `new-recipient-key` as their users run them. Every record is invented.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;

use support::{Folder, Ran};

const KEYS: &str = "--keyring registry.keyring --key-file k.key --schema schema.toml";

/// A registry with three recipients, and the bank's tokens of ten invented people.
fn folder() -> (Folder, Vec<String>) {
    let folder = Folder::with_keyring();
    let mut schema = String::from(
        "format = \"amanat-schema\"\nversion = 1\n[[table]]\nname = \"citizens\"\nrecord_id = [\"id\"]\nfield = [{ name = \"cnic\", mode = \"sealed\", identifier = \"cnic\" }, { name = \"name\", mode = \"sealed\" }]\n",
    );
    for (name, kind, recipient, field) in [
        ("loan", "reversible", "bank", "cnic"),
        ("voter", "pairwise", "election-commission", "cnic"),
        ("visit", "expiring", "clinic", "cnic"),
        ("letter", "pairwise", "post", "name"),
    ] {
        let form = if field == "name" { "form = \"latin-name/v1\"\n" } else { "" };
        writeln!(schema, "[[table.token]]\nname = \"{name}\"\nkind = \"{kind}\"\nfield = \"{field}\"\nrecipient = \"{recipient}\"\nepoch = 1\n{form}").unwrap();
    }
    folder.write("schema.toml", schema);
    let mut csv = String::from("id,cnic,name\n");
    (0..10).for_each(|row| writeln!(csv, "{row},01234{row:07}1,Invented {row}").unwrap());
    folder.write("people.csv", csv);
    folder.run(&format!("protect {KEYS} people.csv -o sealed.csv")).code(0);
    let loans = export(&folder, "bank");
    (folder, loans)
}

fn export(folder: &Folder, recipient: &str) -> Vec<String> {
    folder.run(&format!("export {KEYS} sealed.csv --recipient {recipient} -o {recipient}.csv")).code(0);
    folder.read(&format!("{recipient}.csv")).lines().skip(1).map(str::to_owned).collect()
}

fn with_input(folder: &Folder, args: &str, input: &str) -> Ran {
    folder.run_with(&args.split(' ').collect::<Vec<_>>(), input)
}

#[test]
fn tokens_of_one_recipient_become_those_of_another_which_alone_reads_them() {
    let (folder, loans) = folder();
    let made = folder.run("token new-recipient-key --secret-key commission.secret").code(0);
    let mode = std::fs::metadata(folder.path("commission.secret")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    folder.write("commission.public", &made.out);
    folder.run("token new-recipient-key --secret-key commission.secret").refused("never overwritten");

    let translate = format!("token translate --to voter --recipient-key commission.public {KEYS}");
    let sealed = with_input(&folder, &translate, &loans.join("\n")).code(0).out;
    assert_eq!(sealed.lines().count(), 10);
    assert!(sealed.lines().all(|line| line.starts_with("amx1.")) && !sealed.contains("amt1"));
    let receive = |secret: &str, rest: &str| {
        format!(
            "token receive --secret-key {secret} --registry pk-test --recipient election-commission --purpose {rest}"
        )
    };
    let received = with_input(&folder, &receive("commission.secret", "voter"), &sealed).code(0).out;
    let mut received: Vec<&str> = received.lines().collect();
    received.sort_unstable();
    assert_eq!(received, export(&folder, "election-commission"), "the same tokens as the registry exports");

    folder.run("token new-recipient-key --secret-key other.secret").code(0);
    for args in [receive("other.secret", "voter"), receive("commission.secret", "tax")] {
        let ran = with_input(&folder, &args, &sealed).code(3);
        assert_eq!(ran.out, "\n".repeat(10));
        assert!(ran.err.contains("line 1") && ran.err.contains("5 more lines"), "{}", ran.err);
    }
    folder.mode("commission.secret", 0o644);
    with_input(&folder, &receive("commission.secret", "voter"), &sealed).refused("chmod 600");
}

#[test]
fn what_cannot_be_translated_leaves_an_empty_line() {
    let (folder, loans) = folder();
    let public = folder.run("token new-recipient-key --secret-key r.secret").code(0).out;
    let public = public.trim();
    let translate = |to: &str| format!("token translate --to {to} --recipient-key {public} {KEYS}");
    let voters = export(&folder, "election-commission");
    let input = format!("{}\nnonsense\n{}\n{}\n", loans[0], voters[0], loans[1]);
    let ran = with_input(&folder, &translate("visit --valid-for 1h"), &input).code(1);
    let lines: Vec<&str> = ran.out.lines().collect();
    assert!(lines[0].starts_with("amx1.") && lines[1].is_empty() && lines[2].is_empty(), "{}", ran.out);
    assert!(lines[3].starts_with("amx1.") && lines.len() == 4);
    assert!(ran.err.contains("line 3: ") && ran.err.contains("irreversible"), "{}", ran.err);

    let ran = with_input(&folder, &translate("letter"), &loans[0]).code(1);
    assert!(ran.err.contains("stand for the same field"), "{}", ran.err);
    let ran = with_input(&folder, &translate("visit"), &loans[0]).refused("expire");
    assert!(ran.err.contains("--valid-for"), "{}", ran.err);
    with_input(&folder, &translate("nothing"), &loans[0]).refused("no token of this name");
    let wrong = format!("token translate --to voter --recipient-key amk1.AAAA {KEYS}");
    with_input(&folder, &wrong, &loans[0]).refused("public key");

    // Another registry's tokens are not ours.
    let other = self::folder();
    let ran = with_input(&folder, &translate("voter"), &other.1[0]).code(3);
    assert_eq!(ran.out, "\n");
    assert!(ran.err.contains("another registry made it"), "{}", ran.err);
}

#[test]
fn a_recipient_keeps_empty_lines_and_is_told_what_does_not_open() {
    let (folder, loans) = folder();
    let public = folder.run("token new-recipient-key --secret-key r.secret").code(0).out;
    let translate = format!("token translate --to voter --recipient-key {} {KEYS}", public.trim());
    let sealed =
        with_input(&folder, &translate, &format!("{}\nnonsense\n{}\n", loans[0], loans[1])).code(1).out;
    let receive =
        "token receive --secret-key r.secret --registry pk-test --recipient election-commission --purpose";
    let ran = with_input(&folder, &format!("{receive} voter"), &sealed).code(0);
    let lines: Vec<&str> = ran.out.lines().collect();
    assert!(lines.len() == 3 && lines[1].is_empty() && lines[2].starts_with("amt1:p:1:"), "{}", ran.out);
    assert!(ran.err.contains("1 empty line") && !ran.err.contains("line 2"), "{}", ran.err);

    let ran = with_input(&folder, &format!("{receive} tax"), &sealed).code(3);
    let why = "another recipient's key, or of another registry, recipient or purpose";
    assert!(ran.err.contains(why) && !ran.err.contains("row"), "{}", ran.err);
    let ran = with_input(&folder, &format!("{receive} voter"), &loans[0]).code(1);
    assert!(ran.err.contains("must begin with `amx1.`"), "{}", ran.err);
}

#[test]
fn a_vaulted_token_of_another_form_costs_its_line_alone_and_no_messages() {
    let (folder, loans) = folder();
    let schema = folder.read("schema.toml");
    let relief = "[[table.token]]\nname = \"relief\"\nkind = \"vaulted\"\nfield = \"cnic\"\nrecipient = \"relief-fund\"\nepoch = 1\n";
    folder.write("schema.toml", format!("{schema}{relief}"));
    let args = format!("export {KEYS} sealed.csv --recipient relief-fund -o relief.csv --vault vault.db");
    folder.run(&args).code(0);
    let relief_of: Vec<String> = folder.read("relief.csv").lines().skip(1).map(str::to_owned).collect();
    // The same tokens, and another form since.
    let other = format!("{schema}{relief}form = \"digits/v1\"\n")
        .replace(
            "name = \"voter\"\nkind = \"pairwise\"",
            "name = \"voter\"\nform = \"digits/v1\"\nkind = \"reversible\"",
        )
        .replace("name = \"loan\"", "name = \"loan\"\nform = \"digits/v1\"");
    folder.write("schema.toml", other);
    let public = folder.run("token new-recipient-key --secret-key r.secret").code(0).out;
    let translate = format!("token translate --to voter --recipient-key {} {KEYS}", public.trim());
    let used = || -> Vec<String> {
        let list = folder.run("keys list --keyring registry.keyring --json").code(0).out;
        list.lines().filter(|line| line.contains("\"messages\"")).map(str::to_owned).collect()
    };
    let before = used();
    let input = format!("{}\n{}\n{}\n", loans[0], relief_of[0], loans[1]);
    let ran = with_input(&folder, &format!("{translate} --vault vault.db"), &input).code(1);
    let lines: Vec<&str> = ran.out.lines().collect();
    assert!(lines.len() == 3 && lines[1].is_empty() && lines[2].starts_with("amx1."), "{}", ran.out);
    assert!(ran.err.contains("line 2") && ran.err.contains("another form"), "{}", ran.err);
    let after = used();
    assert_ne!(before, after);

    // Runs that end in an error use up what they made, and nothing that they reserved.
    folder
        .run_with(&format!("{translate} --vault none/vault.db").split(' ').collect::<Vec<_>>(), &input)
        .code(2);
    assert_eq!(used(), after);
    let visit = translate.replace("--to voter", "--to visit");
    with_input(&folder, &visit, &loans[0]).refused("expire");
    assert_eq!(used(), after);
}
