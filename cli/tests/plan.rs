// SPDX-License-Identifier: MIT OR Apache-2.0
//! `plan` as a user runs it. Every record is invented.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::fmt::Write as _;

use support::Folder;

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
  { name = "sex", mode = "sealed" },
]

[[table.index]]
name = "by-cnic"
fields = ["cnic"]
bits = 40
"#;
const KEYS: &str = "--keyring registry.keyring --key-file k.key";

fn people(rows: u32) -> String {
    let mut text = String::from("id,cnic,name,born,sex\n");
    for row in 0..rows {
        let (day, name) = (1 + row % 28, row % (rows / 3));
        let sex = if row % 2 == 0 { "F" } else { "M" };
        writeln!(text, "{row},01234{:08},Invented {name},1990-01-{day:02},{sex}", row * 7 + 1).unwrap();
    }
    text
}

fn folder(rows: u32) -> Folder {
    let folder = Folder::with_keyring();
    folder.write("schema.toml", SCHEMA);
    folder.write("people.csv", people(rows));
    folder
}

#[test]
fn an_index_of_numbers_is_sound_and_nothing_of_the_data_is_printed() {
    let folder = folder(6_000);
    let ran = folder.run("plan --schema schema.toml people.csv").code(0);
    for part in [
        "table citizens: 6,000 rows",
        "index by-cnic: cnic as cnic/v1, 40 bits",
        "6,000 rows have a value",
        "Conclusion: 40 bits are sound; advised are",
        "Trying all 50,000,000,000 plausible values",
        "an estimate from what is published of `cnic`; its form alone allows 10^13",
        // Dates have a form, so they are looked at, and advised against.
        "candidate: born as date/v1",
        "Conclusion: make no index of it.",
    ] {
        assert!(ran.out.contains(part), "{part}: {}", ran.out);
    }
    assert!(!ran.out.contains("Invented") && !ran.out.contains("1990") && !ran.out.contains("01234"));
    assert_eq!(ran.err, "");
}

#[test]
fn an_index_that_the_planner_refuses_and_one_that_is_too_long_end_with_1() {
    let folder = folder(6_000);
    let index = |field: &str, form: &str, bits: u16| {
        format!(
            "{SCHEMA}\n[[table.index]]\nname = \"other\"\nfields = [\"{field}\"]\nforms = [\"{form}\"]\nbits = {bits}\n"
        )
    };
    folder.write("sex.toml", index("sex", "exact/v1", 8));
    let ran = folder.run("plan --schema sex.toml people.csv").code(1);
    assert!(ran.out.contains("Conclusion: take this index out of the schema"), "{}", ran.out);
    folder.write("long.toml", index("name", "latin-name/v1", 64));
    let ran = folder.run("plan --schema long.toml people.csv").code(1);
    assert!(ran.out.contains("Conclusion: 64 bits are too many: take"), "{}", ran.out);

    let json = folder.run("plan --schema long.toml people.csv --json").code(1).out;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["rows"], &json["indexes"][0]["sound"]), (&6_000.into(), &true.into()));
    assert_eq!((&json["indexes"][1]["sound"], &json["indexes"][1]["bits"]), (&false.into(), &64.into()));
    assert!(json["together"]["spent_bits"].as_f64().unwrap() > 0.0);
}

#[test]
fn a_field_without_an_index_is_planned_by_its_form_and_for_a_table_that_grows() {
    let folder = folder(6_000);
    let name = "plan --schema schema.toml --field name --form latin-name/v1 people.csv";
    let ran = folder.run(name).code(0);
    assert!(ran.out.contains("candidate: name as latin-name/v1") && ran.out.contains("an index is sound"));
    assert!(!ran.out.contains("by-cnic"), "{}", ran.out);
    let ran = folder.run(&format!("{name} --rows 60000000")).code(0);
    assert!(ran.out.contains("Grown to 60,000,000 rows"), "{}", ran.out);
    let of_cnic = |rows: u32| {
        let json = folder
            .run(&format!("plan --schema schema.toml --field cnic people.csv --json --rows {rows}"))
            .code(0)
            .out;
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        json["indexes"][0]["advised"]["recommended"].as_u64().unwrap()
    };
    assert!(of_cnic(250_000_000) > of_cnic(6_000) + 10);
    folder.run(&format!("{name} --rows 5")).refused("--rows is fewer");
    folder.run("plan --schema schema.toml --field name people.csv").refused("no identifier");
    folder
        .run("plan --schema schema.toml --field nobody --form exact/v1 people.csv")
        .refused("no sealed field");
    folder
        .run("plan --schema schema.toml --field name --form name/v9 people.csv")
        .refused("no such normal form");
}

#[test]
fn a_protected_store_is_counted_with_its_keyring_as_the_plain_one() {
    let folder = folder(600);
    folder.run(&format!("protect --schema schema.toml {KEYS} people.csv -o sealed.csv")).code(0);
    let plain = folder.run("plan --schema schema.toml people.csv").code(0);
    let sealed = folder.run(&format!("plan --schema schema.toml {KEYS} sealed.csv")).code(0);
    assert_eq!(plain.out, sealed.out);
    let ran = folder.run("plan --schema schema.toml sealed.csv").refused("no row could be read");
    assert!(ran.err.contains("--keyring FILE"), "{}", ran.err);
    folder.run("plan --schema schema.toml --key-file k.key sealed.csv").refused("no keyring");

    let swapped = folder.read("sealed.csv").replacen("\n0,", "\n600,", 1);
    folder.write("swapped.csv", swapped);
    let ran = folder.run(&format!("plan --schema schema.toml {KEYS} swapped.csv")).code(3);
    assert!(ran.out.contains("1 row refused and not counted"), "{}", ran.out);
}

#[test]
fn values_without_a_normal_form_are_counted_and_told() {
    let folder = folder(600);
    folder.write("people.csv", format!("{}9999,12345,Nobody,1990-01-01,F\n", people(600)));
    let ran = folder.run("plan --schema schema.toml people.csv").code(0);
    assert!(ran.out.contains("without a normal form for their value: 1 row;"), "{}", ran.out);
}
