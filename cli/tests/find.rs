// SPDX-License-Identifier: MIT OR Apache-2.0
//! `find` as a user runs it. Every record is invented.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::fmt::Write as _;

use rusqlite::Connection;
use support::{Folder, Ran};

const SCHEMA: &str = r#"
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

[[table.index]]
name = "by-cnic"
column = "cnic_index"
fields = ["cnic"]
bits = 40

[[table.index]]
name = "by-person"
column = "person_index"
fields = ["name", "born"]
forms = ["urdu-name/v1", "date/v1"]
bits = 32
"#;
const KEYS: &str = "--keyring registry.keyring --key-file k.key --schema schema.toml";
const ROWS: u32 = 300;

fn number(row: u32) -> String {
    format!("01234{row:07}{}", row % 2 + 1)
}

fn people() -> Vec<[String; 5]> {
    let person = |row: u32| {
        let name = if row == 7 { "علی رضا".to_owned() } else { format!("Invented {row}") };
        [row.to_string(), number(row), name, format!("1990-01-{:02}", 1 + row % 28), "Lahore".to_owned()]
    };
    (0..ROWS).map(person).collect()
}

/// A protected CSV file and a protected database of the same people.
fn folder() -> Folder {
    let folder = Folder::with_keyring();
    folder.write("schema.toml", SCHEMA);
    let mut csv = String::from("id,cnic,name,born,district\n");
    people().iter().for_each(|person| writeln!(csv, "{}", person.join(",")).unwrap());
    folder.write("people.csv", csv);
    folder.run(&format!("protect {KEYS} people.csv -o sealed.csv")).code(0);
    let database = Connection::open(folder.path("registry.db")).unwrap();
    database
        .execute_batch(
            "CREATE TABLE citizens (id INTEGER PRIMARY KEY, cnic TEXT, name TEXT, born TEXT, district TEXT,
             cnic_index TEXT, person_index TEXT);
             CREATE INDEX by_cnic ON citizens (cnic_index);",
        )
        .unwrap();
    for person in people() {
        let insert = "INSERT INTO citizens (id, cnic, name, born, district) VALUES (?, ?, ?, ?, ?)";
        database.execute(insert, person).unwrap();
    }
    drop(database);
    folder.run(&format!("protect {KEYS} registry.db")).code(0);
    folder
}

fn find(folder: &Folder, rest: &str, input: &str) -> Ran {
    folder.run_with(&format!("find {KEYS} {rest}").split(' ').collect::<Vec<_>>(), input)
}

#[test]
fn a_citizen_is_found_by_number_and_nothing_but_masks_is_printed() {
    let folder = folder();
    for store in ["registry.db", "sealed.csv"] {
        for typed in [number(42), "01234-0000042-1".to_owned(), "۰۱۲۳۴۰۰۰۰۰۴۲۱".to_owned()] {
            let ran = find(&folder, &format!("--field cnic {store}"), &format!("{typed}\n")).code(0);
            let lines: Vec<&str> = ran.out.lines().collect();
            assert_eq!(lines[0], "id,cnic,name,born,district", "{}", ran.out);
            assert_eq!(lines[1], "42,*****-***0042-*,********,********,Lahore");
            assert_eq!((lines.len(), ran.err.as_str()), (2, ""), "{store}");
        }
    }
}

#[test]
fn the_value_is_never_repeated_and_an_argument_is_warned_of() {
    let folder = folder();
    let ran = find(&folder, &format!("--field cnic {} registry.db", number(42)), "").code(0);
    assert!(ran.err.contains("warning: the value is in the list of processes"), "{}", ran.err);
    assert!(!ran.out.contains(&number(42)) && !ran.err.contains(&number(42)));
    for typed in [number(9_999_999), "01234-4".to_owned(), "\u{1b}[2J 0123".to_owned()] {
        for json in ["", " --json"] {
            let ran = find(&folder, &format!("--field cnic{json} registry.db"), &format!("{typed}\n"));
            assert!(ran.code != Some(0) && ran.out.is_empty(), "{ran:?}");
            assert!(!ran.err.contains("01234") && !ran.err.contains('\u{1b}'), "{}", ran.err);
        }
    }
}

#[test]
fn a_name_is_found_as_another_keyboard_types_it_with_the_date_of_birth() {
    let folder = folder();
    // Arabic yeh instead of Urdu's.
    let typed = "علي رضا\n1990-01-08\n";
    for fields in ["--field name --field born", "--index by-person"] {
        for store in ["registry.db", "sealed.csv"] {
            let ran = find(&folder, &format!("{fields} --json {store}"), typed).code(0);
            let row: serde_json::Value = serde_json::from_str(ran.out.trim()).unwrap();
            assert_eq!(row["record"]["id"], "7");
            assert_eq!(
                (&row["fields"]["name"], &row["fields"]["district"]),
                (&"********".into(), &"Lahore".into())
            );
        }
    }
    let swapped = find(&folder, "--field born --field name registry.db", "1990-01-08\nعلي رضا\n").code(0);
    assert!(swapped.out.contains("\n7,"), "the order is that of the arguments: {}", swapped.out);
    let shown = find(&folder, "--index by-person --show district registry.db", typed).code(0);
    assert_eq!(shown.out, "id,district\n7,Lahore\n");
    let shown = find(&folder, "--index by-person --show id,district registry.db", typed).code(0);
    assert_eq!(shown.out, "id,district\n7,Lahore\n", "the record id stands there anyway");
}

#[test]
fn nothing_found_ends_with_1_and_what_cannot_be_searched_with_2() {
    let folder = folder();
    let ran = find(&folder, "--field cnic registry.db", &format!("{}\n", number(9_999_999))).code(1);
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("", "nothing found\n"));
    find(&folder, "--field cnic registry.db", "12345\n").refused("cnic");
    find(&folder, "--field cnic registry.db", "").refused("no line for cnic");
    find(&folder, "--field name registry.db", "x\n").refused("no index of exactly name");
    find(&folder, "--field name registry.db", "x\n").refused("by-person (name + born)");
    find(&folder, "--index by-name registry.db", "x\n").refused("no such index");
    find(&folder, "--index by-person one registry.db", "").code(2);
    assert_eq!(find(&folder, "registry.db", "x\n").code, Some(2));
    let ran = find(&folder, "--field cnic - --format csv", "x\n").refused("standard input");
    assert!(ran.err.contains("name the file"), "{}", ran.err);
}

#[test]
fn a_missing_sql_index_is_told_with_its_statement() {
    let folder = folder();
    let ran = find(&folder, "--index by-person registry.db", "Invented 3\n1990-01-04\n").code(0);
    assert!(ran.err.contains("CREATE INDEX") && ran.err.contains("person_index"), "{}", ran.err);
    let ran = find(&folder, "--field cnic registry.db", &format!("{}\n", number(3))).code(0);
    assert!(!ran.err.contains("CREATE INDEX"), "{}", ran.err);
}

#[test]
fn a_row_that_was_moved_is_met_as_unauthentic() {
    let folder = folder();
    let database = Connection::open(folder.path("registry.db")).unwrap();
    database
        .execute("UPDATE citizens SET (cnic, cnic_index) = (SELECT cnic, cnic_index FROM citizens WHERE id = 42) WHERE id = 43", ())
        .unwrap();
    drop(database);
    let ran = find(&folder, "--field cnic registry.db", &format!("{}\n", number(42))).code(3);
    assert!(ran.out.contains("\n42,") && !ran.out.contains("\n43,"), "{}", ran.out);
    assert!(ran.err.contains("does not open"), "{}", ran.err);
}

#[test]
fn rows_of_a_compromised_index_key_are_found_only_by_name() {
    let folder = folder();
    let keys = "--keyring registry.keyring --key-file k.key";
    let listed = folder.run(&format!("keys list {keys}")).code(0).out;
    let old = listed.lines().find(|line| line.contains(" index ")).unwrap()[..8].to_owned();
    folder.run(&format!("keys add --purpose index --activate {keys}")).code(0);
    folder.run(&format!("keys compromise {old} --yes {keys}")).code(0);
    let typed = format!("{}\n", number(42));
    let ran = find(&folder, "--field cnic registry.db", &typed).code(1);
    assert!(ran.err.contains("protect"), "{}", ran.err);
    let ran = find(&folder, &format!("--field cnic --break-glass {old} registry.db"), &typed).code(0);
    assert!(ran.err.contains("breaking the glass") && ran.out.contains("\n42,"), "{ran:?}");
}

#[test]
fn schema_check_tells_indexes_and_tokens_in_plain_words() {
    let folder = Folder::new();
    let token = "[[table.token]]\nname = \"tax\"\nkind = \"pairwise\"\nfield = \"cnic\"\nrecipient = \"revenue-board\"\nepoch = 1\nreveal = [\"district\"]\ninvalid = \"skip\"\n";
    folder.write("schema.toml", format!("{SCHEMA}\n{token}"));
    let said = folder.run("schema check schema.toml").code(0).out;
    for part in [
        "text, a `cnic`, padded",
        "by-person  person_index  name as urdu-name/v1 + born as date/v1  32 bits",
        "tax    (exported)  cnic as cnic/v1  pairwise for revenue-board, purpose tax, epoch 1; with district",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn schema_check_warns_of_a_length_that_tells_an_absence_and_of_an_index_that_is_always_refused() {
    let folder = Folder::new();
    let check = |schema: String| {
        folder.write("schema.toml", schema);
        folder.run("schema check schema.toml").code(0).err
    };
    let said = check(SCHEMA.to_owned());
    assert!(said.contains("field cnic is absent where its envelope is short") && said.contains("`pad = 32`"));
    assert_eq!(said.lines().count(), 1, "{said}");
    for remedy in ["pad = 32", "absence = \"visible\""] {
        let field = format!("identifier = \"cnic\", {remedy}");
        assert_eq!(check(SCHEMA.replace("identifier = \"cnic\"", &field)), "");
    }
    let alone = SCHEMA.replace("fields = [\"name\", \"born\"]", "fields = [\"born\"]");
    let said = check(alone.replace("forms = [\"urdu-name/v1\", \"date/v1\"]\n", ""));
    assert!(said.contains("index by-person: `date/v1` alone has so few values"), "{said}");
    let own = "version = 1\n\n[[identifier]]\nname = \"staff\"\npattern = \"[0-9]{5}\"\n";
    let own = SCHEMA.replace("version = 1\n", own).replace("identifier = \"cnic\"", "identifier = \"staff\"");
    assert!(check(own.clone()).contains("index by-cnic: `custom/v1:staff` alone has so few values"));
    assert_eq!(check(own.replace("{5}", "{7}")), "");
}

#[test]
fn a_changed_normal_form_is_made_anew_by_name() {
    let folder = folder();
    folder.write(
        "schema.toml",
        SCHEMA.replace("fields = [\"cnic\"]", "fields = [\"cnic\"]\nforms = [\"digits/v1\"]"),
    );
    // No stored term shows of which form it is: nothing is found, until some terms are compared with their values.
    find(&folder, "--field cnic sealed.csv", &number(7)).code(1);
    for store in ["sealed.csv -o again.csv", "registry.db"] {
        let idle = folder.run(&format!("protect {KEYS} {store}")).refused("was defined otherwise");
        assert!(idle.err.contains("--remake"), "{}", idle.err);
    }
    let wrong = folder.run(&format!("protect {KEYS} --remake by-number sealed.csv -o wrong.csv"));
    let wrong = wrong.refused("no sealed field, index or kept token `by-number`");
    assert!(wrong.err.contains("by-cnic, by-person"), "{}", wrong.err);
    folder.run(&format!("protect {KEYS} --remake by-cnic sealed.csv -o remade.csv")).code(0);
    find(&folder, "--field cnic remade.csv", &number(7)).code(0);
    folder.run(&format!("protect {KEYS} --remake by-cnic registry.db")).code(0);
    find(&folder, "--field cnic registry.db", &number(7)).code(0);
}
