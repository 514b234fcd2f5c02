// SPDX-License-Identifier: MIT OR Apache-2.0
//! `token trace` as a user runs it. Every record is invented.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::fmt::Write as _;

use amanat::identifier::Identifier;
use amanat::normal::NormalForm;
use amanat::token::{Audience, Epoch, PreservingTokens};
use support::{Folder, Ran};

const SCHEMA: &str = r#"
format = "amanat-schema"
version = 1

[[table]]
name = "citizens"
record_id = ["id"]
field = [
  { name = "cnic", mode = "sealed", identifier = "cnic" },
  { name = "district", mode = "clear" },
]
"#;
const KEYS: &str = "--keyring registry.keyring --key-file k.key --schema schema.toml";
const ROWS: u32 = 100;

fn folder() -> Folder {
    let folder = Folder::with_keyring();
    let mut schema = SCHEMA.to_owned();
    let recipients = [
        ("voter", "pairwise", "election-commission"),
        ("tax", "pairwise", "revenue-board"),
        ("loan", "reversible", "bank"),
        ("visit", "expiring", "clinic"),
        ("sim", "preserving", "telecom"),
        ("relief", "vaulted", "relief-fund"),
    ];
    for (name, kind, recipient) in recipients {
        writeln!(schema, "[[table.token]]\nname = \"{name}\"\nkind = \"{kind}\"\nfield = \"cnic\"\nrecipient = \"{recipient}\"\nepoch = 1")
            .unwrap();
    }
    folder.write("schema.toml", schema);
    let mut csv = String::from("id,cnic,district\n");
    (0..ROWS).for_each(|row| writeln!(csv, "row-{row},01234{row:07}{},Lahore", row % 2 + 1).unwrap());
    folder.write("people.csv", csv);
    folder.run(&format!("protect {KEYS} people.csv -o sealed.csv")).code(0);
    for (_, kind, recipient) in recipients {
        let rest = match kind {
            "expiring" => "--valid-for 72h",
            "vaulted" => "--vault vault.db",
            _ => "",
        };
        folder
            .run(&format!("export {KEYS} sealed.csv --recipient {recipient} -o {recipient}.csv {rest}"))
            .code(0);
    }
    folder
}

/// The tokens of an export.
fn tokens(folder: &Folder, recipient: &str) -> Vec<String> {
    let text = folder.read(&format!("{recipient}.csv"));
    text.lines().skip(1).map(|line| line.split(',').next().unwrap().to_owned()).collect()
}

fn trace(folder: &Folder, rest: &str) -> Ran {
    folder.run(&format!("token trace {KEYS} --tokens leak.txt sealed.csv {rest}"))
}

#[test]
fn a_leaked_list_full_of_noise_names_recipients_and_rows() {
    let folder = folder();
    let (voters, tax) = (tokens(&folder, "election-commission"), tokens(&folder, "revenue-board"));
    let (loans, visits) = (tokens(&folder, "bank"), tokens(&folder, "clinic"));
    let other = Folder::with_keyring();
    other.write("schema.toml", folder.read("schema.toml"));
    other.write("people.csv", folder.read("people.csv"));
    other.run(&format!("protect {KEYS} people.csv -o sealed.csv")).code(0);
    other.run(&format!("export {KEYS} sealed.csv --recipient bank -o bank.csv")).code(0);
    let foreign = tokens(&other, "bank");
    let mistyped = format!("{}q", &voters[2][..voters[2].len() - 1]);
    let leak = format!(
        "posted by nobody\r\n{{\"t\":\"{}\",\"u\":\"{}\"}}\n\n{};{}|x\nSee {}. And {}, or {}{}\n\u{fffd}{}\nagain {}\n",
        voters[0],
        tax[1],
        loans[2],
        visits[3].to_uppercase(),
        voters[1],
        mistyped,
        voters[4],
        voters[5],
        foreign[0],
        voters[0]
    );
    folder.write("leak.txt", [leak.as_bytes(), b"\xff\xfe 0123400000001\n"].concat());
    let ran = trace(&folder, "").code(1);
    let lines: Vec<Vec<&str>> = ran.out.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(lines[0], ["line", "kind", "recipient", "purpose", "epoch", "row", "id"]);
    assert_eq!(lines.len(), 9, "{}\n{}", ran.out, ran.err);
    let of = |recipient: &str| -> Vec<&str> {
        lines[1..].iter().filter(|line| line[2] == recipient).map(|line| line[0]).collect()
    };
    let mut found = of("election-commission");
    found.sort_unstable();
    assert_eq!(found, ["2", "5", "5", "5", "7"]);
    assert_eq!((of("revenue-board"), of("bank"), of("clinic")), (vec!["2"], vec!["4"], vec!["4"]));
    for line in &lines[1..] {
        let number: usize = line[6].strip_prefix("row-").unwrap().parse().unwrap();
        assert_eq!(line[5], (number + 1).to_string());
    }
    for part in ["9 tokens, 1 unreadable", "8 of 9 tokens are of a row, 1 of none; 100 rows compared"] {
        assert!(ran.err.contains(part), "{part}: {}", ran.err);
    }
    let group = ran.err.lines().find(|line| line.contains("election-commission")).unwrap();
    let cells: Vec<&str> = group.split_whitespace().collect();
    assert_eq!(cells, ["pairwise", "election-commission", "voter", "1", "5", "5", "1"]);
    let group = ran.err.lines().find(|line| line.contains("bank")).unwrap();
    assert!(group.split_whitespace().eq(["reversible", "bank", "loan", "1", "2", "1", "0"]), "{group}");

    let json = trace(&folder, "--json").code(1).out;
    let json: Vec<serde_json::Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(json.iter().filter(|line| line.get("match").is_some()).count(), 8);
    assert_eq!(json.last().unwrap()["total"]["not_matched"], 1);
}

#[test]
fn every_token_of_an_export_is_traced_to_the_row_that_it_was_made_of() {
    let folder = folder();
    for (recipient, rest) in [
        ("election-commission", ""),
        ("bank", ""),
        ("clinic", ""),
        ("relief-fund", "--vault vault.db"),
        ("telecom", "--preserving sim"),
    ] {
        // One row alone, so that it is known whose token it is.
        let one = folder.read("sealed.csv");
        let mut lines = one.lines();
        let (header, row) = (lines.next().unwrap(), lines.nth(41).unwrap());
        folder.write("one.csv", format!("{header}\n{row}\n"));
        let rest_of_export = match recipient {
            "clinic" => "--valid-for 1h",
            "relief-fund" => "--vault vault.db",
            _ => "",
        };
        folder
            .run(&format!(
                "export {KEYS} one.csv --recipient {recipient} -o leak.txt --force {rest_of_export}"
            ))
            .code(0);
        let ran = trace(&folder, rest).code(0);
        let lines: Vec<&str> = ran.out.lines().collect();
        assert_eq!(lines.len(), 2, "{recipient}: {}{}", ran.out, ran.err);
        assert!(lines[1].starts_with("2,") && lines[1].ends_with(",42,row-41"), "{}", lines[1]);
        assert!(lines[1].contains(recipient));
    }
    let ran = trace(&folder, "").refused("no token was found");
    assert!(ran.err.contains("--preserving"), "{}", ran.err);
}

#[test]
fn vaulted_tokens_need_their_vault_and_rows_that_do_not_open_are_told() {
    let folder = folder();
    folder.write("leak.txt", tokens(&folder, "relief-fund").join("\n"));
    let ran = trace(&folder, "").code(1);
    assert_eq!(ran.out.lines().count(), 1);
    assert!(ran.err.contains("0 of 100 tokens are of a row"), "{}", ran.err);
    // The proof needs no vault: that they are genuine is told.
    let group = ran.err.lines().find(|line| line.contains("relief-fund")).unwrap();
    assert!(
        group.split_whitespace().eq(["vaulted", "relief-fund", "relief", "1", "100", "100", "0"]),
        "{group}"
    );
    assert_eq!(trace(&folder, "--vault vault.db").code(0).out.lines().count(), 101);

    folder.write("sealed.csv", folder.read("sealed.csv").replacen("\nrow-7,", "\nrow-700,", 1));
    folder.write("leak.txt", tokens(&folder, "bank").join("\n"));
    let ran = trace(&folder, "").code(3);
    assert!(ran.err.contains("row 8") && ran.err.contains("99 of 100 tokens"), "{}", ran.err);
    trace(&folder, "--preserving voter").refused("no format-preserving token of this name");
    folder.run(&format!("token trace {KEYS} --tokens - --format csv -")).refused("both");
}

#[test]
fn the_same_number_in_another_field_is_not_taken_for_the_token_s_row() {
    let folder = Folder::with_keyring();
    let mut schema = SCHEMA
        .replace("field = [", "field = [ { name = \"father\", mode = \"sealed\", identifier = \"cnic\" },");
    for (field, kind, recipient) in
        [("cnic", "pairwise", "bank"), ("cnic", "reversible", "court"), ("father", "pairwise", "school")]
    {
        writeln!(schema, "[[table.token]]\nname = \"{recipient}\"\nkind = \"{kind}\"\nfield = \"{field}\"\nrecipient = \"{recipient}\"\nepoch = 1")
            .unwrap();
    }
    folder.write("schema.toml", schema);
    // The second is the father of the first.
    folder.write(
        "people.csv",
        "id,cnic,father,district\nchild,3520200000011,3520200000033,\nman,3520200000033,,\n",
    );
    folder.run(&format!("protect {KEYS} people.csv -o sealed.csv")).code(0);
    let mut leak = String::new();
    for recipient in ["bank", "court", "school"] {
        folder.run(&format!("export {KEYS} sealed.csv --recipient {recipient} -o {recipient}.csv")).code(0);
        leak += &tokens(&folder, recipient).join("\n");
        leak.push('\n');
    }
    folder.write("leak.txt", leak);
    let ran = trace(&folder, "").code(0);
    let mut rows: Vec<(&str, &str)> = Vec::new();
    for line in ran.out.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        rows.push((cells[2], cells[6]));
    }
    rows.sort_unstable();
    let expected =
        [("bank", "child"), ("bank", "man"), ("court", "child"), ("court", "man"), ("school", "child")];
    assert_eq!(rows, expected, "{}", ran.out);
}

#[test]
fn a_line_of_nothing_but_beginnings_is_read_in_good_time() {
    let folder = folder();
    // Eight megabytes: looked at from every beginning to its end, they would take hours.
    folder.write("leak.txt", format!("{}\n{}\n", "amt1:".repeat(1_600_000), tokens(&folder, "bank")[0]));
    let ran = trace(&folder, "").code(1);
    assert_eq!(ran.out.lines().count(), 2, "{}", ran.err);
    // Each line and reason once, however often.
    let told: Vec<&str> = ran.err.lines().filter(|line| line.contains("line 1 is unreadable")).collect();
    assert!(told.len() == 1 && told[0].contains("(1,600,000 times)"), "{}", ran.err);
}

#[test]
fn tokens_of_a_compromised_key_are_traced_by_its_name_and_told_as_not_compared_without() {
    let folder = folder();
    let leaked: Vec<String> = ["bank", "election-commission"]
        .into_iter()
        .flat_map(|of| tokens(&folder, of).split_off(90))
        .collect();
    folder.write("leak.txt", leaked.join("\n"));
    let list = folder.run("keys list --keyring registry.keyring --json").code(0).out;
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    let key = list["keys"].as_array().unwrap().iter().find(|key| key["purpose"] == "token").unwrap();
    let id = &key["id"].as_str().unwrap()[..8];
    let unlock = "--keyring registry.keyring --key-file k.key";
    folder.run(&format!("keys add --purpose token --activate {unlock}")).code(0);
    folder.run(&format!("keys compromise {id} --yes {unlock}")).code(0);

    let ran = trace(&folder, "").code(1);
    for part in ["0 of 20 tokens are of a row, 0 of none", "20 not compared: their key is compromised", id] {
        assert!(ran.err.contains(part), "{part}: {}", ran.err);
    }
    let json = trace(&folder, "--json").code(1).out;
    let total: serde_json::Value = serde_json::from_str(json.lines().last().unwrap()).unwrap();
    assert_eq!((&total["total"]["not_compared"], &total["total"]["not_matched"]), (&20.into(), &0.into()));

    let ran = trace(&folder, &format!("--break-glass {id}")).code(0);
    assert_eq!(ran.out.lines().count(), 21, "{}", ran.err);
    assert!(ran.err.contains("breaking the glass") && !ran.err.contains("not compared"), "{}", ran.err);
}

#[test]
fn what_cannot_be_read_is_told_by_its_line_and_encoded_tokens_are_read() {
    let folder = folder();
    let (loans, voters) = (tokens(&folder, "bank"), tokens(&folder, "election-commission"));
    let mistyped = format!("{}q", &voters[0][..voters[0].len() - 1]);
    let cut = &loans[0][..loans[0].len() - 9];
    let encoded = [loans[1].replace(':', "%3A"), voters[1].replace(':', "%3a")];
    folder.write(
        "leak.txt",
        format!("{mistyped}\n\n{cut} and {cut}\nGET /?t={}&u=1\n{}%3Apage:2\n", encoded[0], encoded[1]),
    );
    let ran = trace(&folder, "").code(1);
    let lines: Vec<&str> = ran.out.lines().skip(1).map(|line| line.split(',').next().unwrap()).collect();
    assert!(lines == ["4", "5"] || lines == ["5", "4"], "{ran:?}");
    for part in ["2 tokens, 3 unreadable", "line 1 is unreadable: ", "line 3 is unreadable (2 times): "] {
        assert!(ran.err.contains(part), "{part}: {}", ran.err);
    }
    assert!(!ran.err.contains("amt1"), "{}", ran.err);
    let json = trace(&folder, "--json").code(1).out;
    let json: Vec<serde_json::Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let unreadable: Vec<_> = json.iter().filter_map(|line| line.get("unreadable")).collect();
    assert_eq!(unreadable.len(), 2);
    assert_eq!((&unreadable[0]["line"], &unreadable[1]["line"]), (&1.into(), &3.into()));
    assert!(unreadable[1]["texts"] == 2 && unreadable[1]["reason"].as_str().unwrap().contains("mistyped"));

    // Nothing but such: no row is read for them.
    folder.write("leak.txt", mistyped);
    let ran = trace(&folder, "").code(1);
    assert!(ran.err.contains("line 1 is unreadable") && ran.err.contains("0 rows compared"), "{}", ran.err);
}

#[test]
fn labelled_preserving_tokens_are_compared_only_if_the_schema_has_them() {
    let folder = folder();
    let ring = {
        let key = amanat_stores::secret_file::read_key_file(&folder.path("k.key")).unwrap();
        amanat_stores::KeyringPath::open(folder.path("registry.keyring")).unlock(&key).unwrap()
    };
    let cnic = NormalForm::from_name("cnic/v1").unwrap();
    let value = cnic.normalise(amanat::ValueRef::Text("0123400000411")).unwrap();
    let labelled = |recipient: &str, purpose: &str| {
        let audience = Audience::new(recipient, purpose).unwrap();
        let (keys, epoch) = (ring.token_keys().unwrap(), Epoch::new(1).unwrap());
        let tokens = PreservingTokens::new(&keys, &Identifier::Cnic, &audience, epoch, &[]).unwrap();
        tokens.labelled(&value).unwrap().to_text()
    };
    folder.write("people.csv", "id,cnic,district\none,0123400000411,Lahore\n");
    folder.run(&format!("protect {KEYS} people.csv -o sealed.csv --force")).code(0);
    // The voter roll's audience has tokens of another kind alone.
    let texts =
        [labelled("telecom", "sim"), labelled("nobody", "sim"), labelled("election-commission", "voter")];
    folder.write("leak.txt", texts.join("\n"));
    let ran = trace(&folder, "").code(1);
    let lines: Vec<&str> = ran.out.lines().skip(1).collect();
    assert_eq!(lines, ["1,preserving,telecom,sim,1,1,one"], "{}", ran.err);
    for part in
        ["1 of 3 tokens are of a row, 0 of none", "2 not compared: the schema has no format-preserving"]
    {
        assert!(ran.err.contains(part), "{part}: {}", ran.err);
    }
}

#[test]
fn matches_that_chance_gives_are_told() {
    let folder = Folder::with_keyring();
    let schema = SCHEMA.replace("identifier = \"cnic\"", "identifier = \"card\"");
    let own = "[[identifier]]\nname = \"card\"\npattern = \"[0-9]{6}\"\n";
    let token = "[[table.token]]\nname = \"sim\"\nkind = \"preserving\"\nfield = \"cnic\"\nrecipient = \"telecom\"\nepoch = 1\n";
    folder.write("schema.toml", format!("{schema}{token}{own}"));
    let mut csv = String::from("id,cnic,district\n");
    (0..20_000).for_each(|row| writeln!(csv, "row-{row},{:06},", row * 49).unwrap());
    folder.write("people.csv", csv);
    folder.run(&format!("protect {KEYS} people.csv -o sealed.csv")).code(0);
    // Numbers that nobody made tokens of: one of fifty is one all the same.
    let numbers: Vec<String> = (0..1_000).map(|number| format!("{:06}", number * 997)).collect();
    folder.write("leak.txt", numbers.join("\n"));
    let ran = trace(&folder, "--preserving sim").code(1);
    let matches = ran.out.lines().count() - 1;
    assert!((2..60).contains(&matches), "{matches}");
    assert!(
        ran.err.contains("about 20.00 matches are expected of numbers that are no tokens"),
        "{}",
        ran.err
    );
}
