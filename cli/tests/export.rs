// SPDX-License-Identifier: MIT OR Apache-2.0
//! `export` and its receipts as a user runs them. Every record is invented.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use support::{Folder, Ran};

const TABLE: &str = r#"
format = "amanat-schema"
version = 1

[[table]]
name = "citizens"
record_id = ["id"]
field = [
  { name = "cnic", mode = "sealed", identifier = "cnic" },
  { name = "name", mode = "sealed" },
  { name = "born", mode = "sealed", type = "date" },
  { name = "district", mode = "clear" },
]
"#;
const KEYS: &str = "--keyring registry.keyring --key-file k.key";
const ROWS: u32 = 200;

fn token(name: &str, kind: &str, recipient: &str, rest: &str) -> String {
    format!(
        "[[table.token]]\nname = \"{name}\"\nkind = \"{kind}\"\nfield = \"cnic\"\nrecipient = \"{recipient}\"\nepoch = 1\n{rest}\n"
    )
}

fn schema() -> String {
    let reveal = "reveal = [\"district\", \"born\"]\nmask = [\"cnic\"]";
    [
        TABLE.to_owned(),
        token("voter", "pairwise", "election-commission", reveal),
        token("tax", "pairwise", "revenue-board", ""),
        token("loan", "reversible", "bank", ""),
        token("visit", "expiring", "clinic", ""),
        token("sim", "preserving", "telecom", ""),
        token("relief", "vaulted", "relief-fund", ""),
        token("audit-a", "pairwise", "auditor", ""),
        token("audit-b", "pairwise", "auditor", ""),
    ]
    .join("\n")
}

fn number(row: u32) -> String {
    format!("01234{row:07}{}", row % 2 + 1)
}

fn people(rows: u32) -> String {
    let mut csv = String::from("id,cnic,name,born,district\n");
    for row in 0..rows {
        let district = if row == 5 { "\"Invented, of two words\"" } else { "Lahore" };
        writeln!(csv, "row-{row},{},Invented {row},1990-01-{:02},{district}", number(row), 1 + row % 28)
            .unwrap();
    }
    csv
}

fn folder_of(csv: &str) -> Folder {
    let folder = Folder::with_keyring();
    folder.write("schema.toml", schema());
    folder.write("people.csv", csv);
    folder.run(&format!("protect {KEYS} --schema schema.toml people.csv -o sealed.csv")).code(0);
    folder
}

fn folder() -> Folder {
    folder_of(&people(ROWS))
}

fn export(folder: &Folder, rest: &str) -> Ran {
    folder.run(&format!("export {KEYS} --schema schema.toml sealed.csv {rest}"))
}

fn rows(text: &str) -> Vec<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
    reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect()
}

#[test]
fn a_recipient_is_given_its_tokens_and_fields_and_nothing_else() {
    let folder = folder();
    let ran = export(&folder, "--recipient election-commission -o out.csv").code(0);
    assert_eq!(ran.out, "");
    assert!(
        ran.err.contains("exported 200 rows of citizens to election-commission for voter"),
        "{}",
        ran.err
    );
    let text = folder.read("out.csv");
    let rows = rows(&text);
    assert_eq!(rows[0], ["voter", "cnic", "born", "district"]);
    assert_eq!(rows.len(), 201);
    assert!(!text.contains("row-") && !text.contains("Invented 1") && !text.contains("amn1."));
    for row in &rows[1..] {
        assert!(
            row[0].starts_with("amt1:p:1:election-commission:voter:1") && row[1].starts_with("*****-***")
        );
        assert!(row[2].starts_with("1990-01-") && (row[3] == "Lahore" || row[3] == "Invented, of two words"));
    }
    let mode = std::fs::metadata(folder.path("out.csv")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // The tokens' order; the masks show the last four of the serial number, which is the store's order.
    assert!(rows[1..].is_sorted_by(|one, other| one[0] < other[0]));
    assert!(!rows[1..].is_sorted_by(|one, other| one[1] <= other[1]));
    let again = export(&folder, "--recipient election-commission -o again.csv").code(0);
    assert_eq!((folder.read("again.csv"), again.out.as_str()), (text, ""));
}

#[test]
fn exports_of_two_recipients_have_nothing_to_join_on() {
    let folder = folder();
    for (recipient, rest) in [
        ("election-commission", ""),
        ("revenue-board", ""),
        ("bank", ""),
        ("clinic", " --valid-for 72h"),
        ("telecom", ""),
        ("relief-fund", " --vault vault.db"),
    ] {
        export(&folder, &format!("--recipient {recipient} -o {recipient}.csv{rest}")).code(0);
    }
    let tokens = |recipient: &str| -> BTreeSet<String> {
        let cells = rows(&folder.read(&format!("{recipient}.csv"))).into_iter().skip(1);
        let body = |cell: &str| cell.rsplit(":1").next().unwrap().to_owned();
        cells.map(|row| body(&row[0])).collect()
    };
    let all = ["election-commission", "revenue-board", "bank", "clinic", "telecom", "relief-fund"];
    let numbers: BTreeSet<String> = (0..ROWS).map(number).collect();
    for (place, one) in all.iter().enumerate() {
        assert_eq!(tokens(one).len(), 200, "{one}");
        assert!(tokens(one).is_disjoint(&numbers), "{one}");
        for other in &all[place + 1..] {
            assert!(tokens(one).is_disjoint(&tokens(other)), "{one} {other}");
        }
    }
    assert!(
        tokens("telecom").iter().all(|token| token.len() == 13 && token.bytes().all(|b| b.is_ascii_digit()))
    );
    // What the vault has given once it gives again.
    export(&folder, "--recipient relief-fund --vault vault.db -o again.csv").code(0);
    assert_eq!(folder.read("again.csv"), folder.read("relief-fund.csv"));
}

#[test]
fn a_receipt_says_what_was_given_and_no_byte_of_it_or_of_the_file_can_change() {
    let folder = folder();
    export(&folder, "--recipient clinic --valid-for 72h -o out.csv").code(0);
    let verify = |rest: &str| folder.run(&format!("token receipt verify out.csv.receipt.json {KEYS} {rest}"));
    let ran = verify("--file out.csv").code(0);
    for part in [
        "genuine: registry pk-test wrote it",
        "clinic",
        "expiring of `cnic` for visit, epoch 1",
        "200, 0 refused",
    ] {
        assert!(ran.out.contains(part), "{part}: {}", ran.out);
    }
    let receipt = folder.read("out.csv.receipt.json");
    let json: serde_json::Value = serde_json::from_str(&receipt).unwrap();
    assert_eq!(
        (&json["recipient"], &json["rows"], &json["tokens"][0]["kind"]),
        (&"clinic".into(), &200.into(), &"expiring".into())
    );
    assert_eq!(json["file_bytes"], folder.read("out.csv").len());
    assert!(json["tokens"][0]["expires"].as_str().unwrap() > json["created"].as_str().unwrap());

    folder.write("out.csv.receipt.json", receipt.replace("\"rows\": 200", "\"rows\": 201"));
    let ran = verify("").code(3);
    assert!(ran.err.contains("not as the registry wrote it") && ran.out.is_empty(), "{ran:?}");
    folder.write("out.csv.receipt.json", format!("{receipt}\n"));
    assert!(verify("").code(3).err.contains("was changed or is none"));
    folder.write("out.csv.receipt.json", &receipt);
    folder.write("out.csv", folder.read("out.csv").replacen("amt1", "amt2", 1));
    let ran = verify("--file out.csv").code(3);
    assert!(ran.err.contains("not the one"), "{}", ran.err);
    verify("").code(0);

    let other = Folder::with_keyring();
    other.write("r.json", &receipt);
    let ran = other.run(&format!("token receipt verify r.json {KEYS}")).code(3);
    assert!(ran.err.contains("r.json"), "{}", ran.err);
}

#[test]
fn a_recipient_moves_to_a_new_epoch_by_a_crosswalk() {
    let folder = folder();
    export(&folder, "--recipient revenue-board -o old.csv").code(0);
    folder.run(&format!("keys add --purpose token --activate {KEYS}")).code(0);
    let moved = schema()
        .replace("recipient = \"revenue-board\"\nepoch = 1", "recipient = \"revenue-board\"\nepoch = 2");
    folder.write("schema.toml", moved);
    export(&folder, "--recipient revenue-board --crosswalk-from 1 -o both.csv").code(0);
    let both = rows(&folder.read("both.csv"));
    assert_eq!(both[0], ["tax", "tax-epoch-1"]);
    assert!(both[1..].iter().all(|row| row[0].starts_with("amt1:p:2:") && row[1].starts_with("amt1:p:1:")));
    let old: BTreeSet<String> = rows(&folder.read("old.csv"))[1..].iter().map(|row| row[0].clone()).collect();
    let walked: BTreeSet<String> = both[1..].iter().map(|row| row[1].clone()).collect();
    assert_eq!(old, walked);
    let json: serde_json::Value = serde_json::from_str(&folder.read("both.csv.receipt.json")).unwrap();
    assert_eq!((&json["tokens"][0]["epoch"], &json["tokens"][1]["epoch"]), (&2.into(), &1.into()));
    // Others stay where they are.
    export(&folder, "--recipient election-commission -o others.csv").code(0);
    assert!(rows(&folder.read("others.csv"))[1][0].starts_with("amt1:p:1:"));
    for (epoch, why) in [("9", "set `epoch` in the schema first"), ("2", "set `epoch` in the schema first")] {
        export(&folder, &format!("--recipient revenue-board --crosswalk-from {epoch} -o no.csv"))
            .refused(why);
    }
    for epoch in ["0", "1025", "x"] {
        export(&folder, &format!("--recipient revenue-board --crosswalk-from {epoch} -o no.csv"))
            .refused("an epoch is 1 to 1024");
    }
}

#[test]
fn two_rows_of_one_person_rows_without_a_value_and_bad_ones_are_told() {
    let csv = format!(
        "{}twin,{},Invented,1990-01-01,Lahore\nnone,,Invented,1990-01-01,Lahore\n",
        people(20),
        number(3)
    );
    let folder = folder_of(&csv);
    let ran = export(&folder, "--recipient revenue-board -o out.csv --json").code(0);
    let json: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((&json["rows"], &json["rows_without_token"]), (&21.into(), &1.into()));
    assert_eq!((&json["rows_repeating_a_token"], &json["rows_refused"]), (&1.into(), &0.into()));
    assert!(!folder.names().contains(&"out.csv.exceptions.csv".to_owned()));

    let bad = format!("{}bad,12345,Invented,1990-01-01,Lahore\n", people(20));
    let plain = schema();
    folder.write("plain.toml", TABLE);
    folder.write("people.csv", bad);
    folder.run(&format!("protect {KEYS} --schema plain.toml people.csv -o sealed.csv --force")).code(0);
    folder.write("schema.toml", plain);
    let ran = export(&folder, "--recipient revenue-board -o bad.csv").code(1);
    assert!(ran.err.contains("1 row refused") && !ran.err.contains("12345"), "{}", ran.err);
    assert!(
        folder.read("bad.csv.exceptions.csv").contains("21,tax,"),
        "{}",
        folder.read("bad.csv.exceptions.csv")
    );

    let swapped = folder.read("sealed.csv").replacen("\nrow-0,", "\nrow-900,", 1);
    folder.write("sealed.csv", swapped);
    let ran = export(&folder, "--recipient revenue-board -o swapped.csv").code(3);
    assert!(ran.err.contains("2 rows refused"), "{}", ran.err);
}

#[test]
fn what_cannot_be_exported_is_refused_before_anything_is_written() {
    let folder = folder();
    let before = folder.names();
    export(&folder, "--recipient nobody -o out.csv").refused("no tokens for this recipient");
    export(&folder, "--recipient auditor -o out.csv").refused("several purposes");
    export(&folder, "--recipient auditor --purpose audit-c -o out.csv").refused("audit-a, audit-b");
    export(&folder, "--recipient clinic -o out.csv").refused("nothing says when");
    export(&folder, "--recipient relief-fund -o out.csv").refused("--vault FILE");
    export(&folder, "--recipient clinic --valid-for 72h --crosswalk-from 1 -o sealed.csv")
        .refused("store and output");
    export(&folder, "--recipient revenue-board -o k.key --force").refused("key file and output");
    export(&folder, "--recipient revenue-board -o -").refused("an export is a file");
    assert_eq!(export(&folder, "--recipient revenue-board").code, Some(2));
    assert_eq!(export(&folder, "--recipient clinic --valid-for 72 -o out.csv").code, Some(2));
    let dry = export(&folder, "--recipient relief-fund --dry-run").code(0);
    assert!(dry.err.contains("would export 200 rows"), "{}", dry.err);
    assert_eq!(folder.names(), before);
    export(&folder, "--recipient auditor --purpose audit-a -o out.csv").code(0);
    export(&folder, "--recipient auditor --purpose audit-a -o out.csv").refused("out.csv is there already");
    export(&folder, "--recipient auditor --purpose audit-b -o out.csv --force").code(0);
    assert!(folder.read("out.csv").starts_with("audit-b\namt1:p:1:auditor:audit-b:1"));
}

#[test]
fn a_killed_export_leaves_no_file_that_could_be_taken_for_one() {
    let folder = folder_of(&people(20_000));
    let before = folder.names();
    let args = format!("export {KEYS} --schema schema.toml sealed.csv --recipient bank -o out.csv");
    for pause in [5, 60, 200] {
        let mut child =
            folder.command(&args.split(' ').collect::<Vec<_>>()).stderr(Stdio::null()).spawn().unwrap();
        let (started, part) = (Instant::now(), folder.path(".out.csv.amanat-part"));
        while !part.exists() && started.elapsed() < Duration::from_secs(20) {
            thread::sleep(Duration::from_millis(1));
        }
        thread::sleep(Duration::from_millis(pause));
        child.kill().unwrap();
        child.wait().unwrap();
        let left: Vec<String> = folder.names().into_iter().filter(|name| !before.contains(name)).collect();
        assert!(left.iter().all(|name| name.ends_with(".amanat-part")), "{left:?}");
    }
    folder.run(&args).code(0);
    let left: Vec<String> = folder.names().into_iter().filter(|name| !before.contains(name)).collect();
    assert_eq!(left, ["out.csv", "out.csv.receipt.json"]);
    assert_eq!(rows(&folder.read("out.csv")).len(), 20_001);
}

#[test]
fn a_masked_field_is_carried_with_the_mask_that_the_table_holds() {
    let folder = Folder::with_keyring();
    let phone = "field = [\n  { name = \"phone\", mode = \"masked\", identifier = \"phone\" },";
    let policy = token("voter", "pairwise", "bank", "mask = [\"phone\", \"name\"]");
    folder.write("schema.toml", format!("{}{policy}", TABLE.replace("field = [", phone)));
    folder.write(
        "people.csv",
        "id,phone,cnic,name,born,district\n1,0300 1234567,0123400000011,Invented,,Lahore\n",
    );
    folder.run(&format!("protect {KEYS} --schema schema.toml people.csv -o sealed.csv")).code(0);
    let export = format!("export {KEYS} --schema schema.toml --recipient bank");
    folder.run(&format!("{export} sealed.csv -o out.csv")).code(0);
    let text = folder.read("out.csv");
    assert!(text.starts_with("voter,phone,name\n") && text.ends_with(",+********4567,********\n"), "{text}");
    // A number that somebody wrote into the column leaves masked.
    folder.write("altered.csv", folder.read("sealed.csv").replace("+********4567", "0300 1234567"));
    folder.run(&format!("{export} altered.csv -o masked.csv")).code(0);
    assert_eq!(folder.read("masked.csv"), text);
}

fn key_of(folder: &Folder, purpose: &str, place: usize) -> String {
    let listed = folder.run(&format!("keys list --json {KEYS}")).code(0).out;
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    let keys = listed["keys"].as_array().unwrap().iter().filter(|key| key["purpose"] == purpose);
    keys.map(|key| key["id"].as_str().unwrap().to_owned()).nth(place).unwrap()
}

fn tokens(folder: &Folder, file: &str) -> Vec<Vec<String>> {
    rows(&folder.read(file))[1..].to_vec()
}

#[test]
fn after_a_compromised_index_key_the_vault_is_renewed_and_tokens_stay() {
    let folder = folder();
    let relief = "--recipient relief-fund --vault vault.db --force -o";
    export(&folder, &format!("{relief} before.csv")).code(0);
    for purpose in ["index", "field"] {
        let old = key_of(&folder, purpose, 0);
        folder.run(&format!("keys add --purpose {purpose} --activate {KEYS}")).code(0);
        folder.run(&format!("keys compromise {old} --yes {KEYS}")).code(0);
    }
    let (index, field) = (key_of(&folder, "index", 0), key_of(&folder, "field", 0));
    // Rows and entries under the field key that was compromised open by name alone.
    let glass = format!("--break-glass {field}");
    let ran = export(&folder, &format!("{glass} {relief} no.csv")).code(2);
    assert!(ran.err.contains("amanat token vault renew"), "{}", ran.err);
    export(&folder, &format!("{glass} --break-glass {index} {relief} named.csv")).code(0);
    assert_eq!(tokens(&folder, "before.csv"), tokens(&folder, "named.csv"));
    let renew = format!("token vault renew {KEYS} --schema schema.toml --vault vault.db");
    let ran = folder.run(&renew).code(1);
    assert!(ran.err.contains("200 of them do not open"), "{}", ran.err);
    let ran = folder.run(&format!("{renew} {glass}")).code(0);
    assert!(ran.err.contains("200 tokens looked at, 200 sealed"), "{}", ran.err);
    let ran = folder.run(&renew).code(0);
    assert!(ran.err.contains("200 tokens looked at, 0 sealed"), "{}", ran.err);
    export(&folder, &format!("{glass} {relief} after.csv")).code(0);
    assert_eq!(tokens(&folder, "before.csv"), tokens(&folder, "after.csv"));
    folder.write("fewer.toml", schema().replace("\"relief-fund\"", "\"another\""));
    let ran = folder.run(&renew.replace("schema.toml", "fewer.toml")).code(1);
    assert!(ran.err.contains("not in the schema"), "{}", ran.err);
}

#[test]
fn a_crosswalk_from_a_compromised_epoch_needs_its_key_by_name() {
    let folder = folder();
    let recipients = ["revenue-board", "telecom", "relief-fund"];
    for recipient in recipients {
        export(&folder, &format!("--recipient {recipient} --vault vault.db -o {recipient}.old.csv")).code(0);
    }
    let old = key_of(&folder, "token", 0);
    folder.run(&format!("keys add --purpose token --activate {KEYS}")).code(0);
    folder.run(&format!("keys compromise {old} --yes {KEYS}")).code(0);
    folder.write("schema.toml", schema().replace("epoch = 1", "epoch = 2"));
    for recipient in recipients {
        let rest = format!("--recipient {recipient} --vault vault.db --crosswalk-from 1 -o {recipient}.csv");
        export(&folder, &rest).refused("compromised");
        let ran = export(&folder, &format!("{rest} --break-glass {old}")).code(0);
        assert!(ran.err.contains("breaking the glass"), "{}", ran.err);
        let before = tokens(&folder, &format!("{recipient}.old.csv"));
        let before: BTreeSet<&String> = before.iter().map(|row| &row[0]).collect();
        let both = tokens(&folder, &format!("{recipient}.csv"));
        assert_eq!(both.iter().map(|row| &row[1]).collect::<BTreeSet<_>>(), before, "{recipient}");
        assert!(both.iter().all(|row| !before.contains(&row[0])), "{recipient}");
    }
}
