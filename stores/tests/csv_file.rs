// SPDX-License-Identifier: MIT OR Apache-2.0
//! CSV files through protect and reveal. All records are made up.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod common;

use amanat::error::Kind;
use amanat::schema::TableSchema;
use amanat_stores::{Effort, RevealForm, Task, csv_file};
use common::{Done, Registry, Run, table};

const CSV: Run = |plan, input, output, observer| csv_file::run(plan, input, output, observer);

fn people() -> TableSchema {
    table(
        r#"
[[table]]
name = "people"
record_id = ["id"]
field = [
  { name = "id", mode = "clear" },
  { name = "name", mode = "sealed", mask = "last-4" },
  { name = "note", mode = "sealed", absence = "visible" },
  { name = "born", mode = "sealed", type = "date" },
  { name = "district", mode = "clear" },
]
"#,
    )
}

fn lines(done: &Done) -> Vec<String> {
    String::from_utf8(done.bytes.clone()).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn what_is_revealed_is_what_was_protected_byte_for_byte() {
    let registry = Registry::new();
    let rows = "1,عائشہ صدیقہ,,1990-01-31,Lahore\n2,\"a \"\"b\"\", c\",\"two\nlines\",,\"x,y\"\n3,,  spaces  ,1957-00-00,\n";
    for (head, end) in [("", "\n"), ("\u{feff}", "\n"), ("", "")] {
        let text = format!("{head}id, name ,note,born,district\n{rows}");
        let text = if end.is_empty() { text.trim_end_matches('\n').to_owned() } else { text };
        let sealed = registry.protect(CSV, &people(), text.as_bytes());
        assert!(sealed.faults.is_empty(), "{:?}", sealed.faults);
        assert_eq!((sealed.tally.rows, sealed.tally.sealed, sealed.tally.absent), (3, 8, 1));
        assert!(!String::from_utf8_lossy(&sealed.bytes).contains("صدیقہ"));
        let revealed = registry.reveal(CSV, &people(), &sealed.bytes);
        assert_eq!(String::from_utf8(revealed.bytes).unwrap(), text);
    }
    let windows = format!("id, name ,note,born,district\n{}", rows.replace("\"two\nlines\"", "one line"))
        .replace('\n', "\r\n");
    let sealed = registry.protect(CSV, &people(), windows.as_bytes());
    assert_eq!(registry.reveal(CSV, &people(), &sealed.bytes).bytes, windows.as_bytes());
}

#[test]
fn every_cell_of_a_sealed_column_is_an_envelope_unless_absence_is_visible() {
    let registry = Registry::new();
    let sealed = registry.protect(CSV, &people(), b"id,name,note,born,district\n1,,,,\n");
    let rows = lines(&sealed);
    let cells: Vec<&str> = rows[1].split(',').collect();
    assert!(cells[1].starts_with("amn1.") && cells[3].starts_with("amn1."));
    assert_eq!((cells[0], cells[2], cells[4]), ("1", "", ""));
}

#[test]
fn protecting_twice_changes_nothing_and_leaves_the_keyring_alone() {
    let registry = Registry::new();
    let once = registry.protect(CSV, &people(), b"id,name,note,born,district\n1,a,b,1990-01-01,\n");
    assert_eq!(registry.messages(), 3, "what was reserved and not used came back");
    let generation = registry.path.unlock(&registry.kek).unwrap().generation();
    let twice = registry.protect(CSV, &people(), &once.bytes);
    assert_eq!(twice.bytes, once.bytes);
    assert_eq!((twice.tally.sealed, twice.tally.kept, twice.tally.resealed), (0, 3, 0));
    assert_eq!(registry.path.unlock(&registry.kek).unwrap().generation(), generation);
}

#[test]
fn what_an_older_key_sealed_is_sealed_anew() {
    let registry = Registry::new();
    let text = b"id,name,note,born,district\n1,a,b,1990-01-01,\n2,c,,,\n";
    let old = registry.protect(CSV, &people(), text);
    let new_key = registry.rotate();
    let mixed = [&old.bytes[..], b"3,plain,,1991-01-01,\n"].concat();
    let new = registry.protect(CSV, &people(), &mixed);
    assert_eq!((new.tally.resealed, new.tally.sealed, new.tally.kept, new.tally.absent), (5, 2, 0, 2));
    let tally = new.tally.keys.iter().find(|tally| tally.key == new_key).unwrap();
    assert_eq!(tally.sealed, 7);
    let revealed = registry.reveal(CSV, &people(), &new.bytes);
    assert_eq!(revealed.bytes, [&text[..], b"3,plain,,1991-01-01,\n"].concat());
}

#[test]
fn bad_rows_are_told_and_left_out_and_the_others_go_on() {
    let registry = Registry::new();
    let good = registry.protect(CSV, &people(), b"id,name,note,born,district\n9,x,,1990-01-01,\n");
    let envelope = lines(&good)[1].split(',').nth(1).unwrap().to_owned();
    let text = format!(
        "id,name,note,born,district\n1,a,b,31.01.1990,\n2,a,b\n3,amn1.AAAA,b,,\n4,amn1.,b,xx,\n,a,b,,\n6, {envelope},b,,\n7,a,b,,\n8,{envelope},b,,\n"
    );
    let done = registry.protect(CSV, &people(), text.as_bytes());
    let told: Vec<(u64, &str, Kind)> =
        done.faults.iter().map(|(row, field, kind, _)| (*row, field.as_str(), *kind)).collect();
    let expected = [
        (1, "born", Kind::Schema),
        (2, "", Kind::Malformed),
        (3, "name", Kind::Malformed),
        (4, "name", Kind::Malformed),
        (4, "born", Kind::Schema),
        (5, "", Kind::Limit),
        (6, "name", Kind::Malformed),
    ];
    assert_eq!(told, expected);
    assert_eq!((done.tally.rows, done.tally.refused_rows), (8, 6));
    let kept: Vec<String> = lines(&done)[1..].iter().map(|line| line.chars().take(2).collect()).collect();
    assert_eq!(kept, ["7,", "8,"], "row 8 names the primary key: the header decides");
    for (_, _, _, message) in &done.faults {
        assert!(!message.contains(&envelope) && !message.contains("31.01.1990"), "{message}");
    }
    let revealed = registry.reveal(CSV, &people(), &done.bytes);
    assert_eq!(revealed.faults.len(), 1);
    assert_eq!(
        (revealed.faults[0].0, revealed.faults[0].2, revealed.tally.unauthentic),
        (2, Kind::Unauthentic, 1)
    );
    assert_eq!(lines(&revealed)[1..], ["7,a,b,,"]);
}

#[test]
fn a_key_of_another_registry_is_unknown_and_nothing_is_sealed_over_it() {
    let (registry, other) = (Registry::new(), Registry::new());
    let sealed = other.protect(CSV, &people(), b"id,name,note,born,district\n1,a,b,,\n");
    for done in
        [registry.protect(CSV, &people(), &sealed.bytes), registry.reveal(CSV, &people(), &sealed.bytes)]
    {
        assert_eq!(done.tally.refused_rows, 1);
        assert!(done.faults.iter().all(|fault| fault.2 == Kind::UnknownKey), "{:?}", done.faults);
    }
}

#[test]
fn columns_and_schema_must_name_the_same() {
    let registry = Registry::new();
    let refusal = |text: &str| {
        let mut seen = Vec::new();
        let mut output = common::Seen::default();
        let plan_task = Task::Protect(Effort::Seal);
        let error = registry.with_plan(&people(), plan_task, 1, |plan| {
            csv_file::run(plan, text.as_bytes(), Some(&mut seen), &mut output)
        });
        assert!(seen.is_empty(), "nothing is written");
        error.unwrap_err().to_string()
    };
    let both = refusal("id,name,born,district,email\n1,a,,,x@y\n");
    assert!(both.contains("does not name `email`") && both.contains("`note` not found"), "{both}");
    assert!(refusal("id,name,note,born,district,id\n").contains("`id` stands there twice"));
    let headless = refusal("1,Synthetic Person,,1990-01-01,x\n");
    assert!(headless.contains("first line must name them") && !headless.contains("Synthetic"), "{headless}");
    assert!(refusal("").contains("empty"));
}

#[test]
fn plaintext_in_a_sealed_column_is_revealed_only_while_the_schema_says_mixed() {
    let registry = Registry::new();
    let schema = "[[table]]\nname = \"t\"\nrecord_id = [\"id\"]\nfield = [{ name = \"a\", mode = \"sealed\" MIXED }]\n";
    let done = registry.reveal(CSV, &table(&schema.replace("MIXED", "")), b"id,a\n1,x\n");
    assert_eq!((done.tally.refused_rows, done.faults[0].2), (1, Kind::Schema));
    let mixed = table(&schema.replace("MIXED", ", migration = \"mixed\""));
    let done = registry.reveal(CSV, &mixed, b"id,a\n1,x\n");
    assert_eq!((done.tally.plain, done.bytes.as_slice()), (1, &b"id,a\n1,x\n"[..]));
}

#[test]
fn masks_and_chosen_fields_are_revealed() {
    let registry = Registry::new();
    let sealed =
        registry.protect(CSV, &people(), b"id,name,note,born,district\n1,35202-1234567-1,b,1990-01-01,\n");
    let masks = registry.run(CSV, &people(), Task::Reveal(&[], RevealForm::Masks), 1, &sealed.bytes).unwrap();
    assert_eq!(lines(&masks)[1], "1,*****-****567-1,********,********,");
    let names = ["born".to_owned()];
    let some =
        registry.run(CSV, &people(), Task::Reveal(&names, RevealForm::Values), 1, &sealed.bytes).unwrap();
    assert!(lines(&some)[1].starts_with("1,amn1.") && lines(&some)[1].ends_with(",1990-01-01,"));
    let unknown = ["district".to_owned()];
    assert!(
        registry.run(CSV, &people(), Task::Reveal(&unknown, RevealForm::Values), 1, &sealed.bytes).is_err()
    );
}

#[test]
fn typed_cells_have_one_spelling() {
    let registry = Registry::new();
    let typed = table(
        r#"
[[table]]
name = "t"
record_id = ["a", "b"]
field = [
  { name = "n", mode = "sealed", type = "integer" },
  { name = "y", mode = "sealed", type = "boolean" },
  { name = "z", mode = "sealed", type = "bytes" },
  { name = "j", mode = "sealed", type = "cbor" },
  { name = "m", mode = "masked", mask = "last-4" },
]
"#,
    );
    let text = "a,b,n,y,z,j,m\n1,2,-9223372036854775808,true,_-8,\"{\"\"k\"\":[1,2.5,null]}\",\n1,3,0,false,AA,\"\"\"s\"\"\",12345678\n";
    let sealed = registry.protect(CSV, &typed, text.as_bytes());
    assert_eq!((&sealed.faults[..], sealed.tally.masked), (&[][..], 1));
    let revealed = registry.reveal(CSV, &typed, &sealed.bytes);
    assert_eq!(String::from_utf8(revealed.bytes).unwrap(), text.replace("12345678", "****5678"));
    for row in
        ["1,2,007,,,,", "1,2,+7,,,,", "1,2,-0,,,,", "1,2,1.0,,,,", "1,2,,TRUE,,,", "1,2,,,AB,,", "1,2,,,,{,"]
    {
        let done = registry.protect(CSV, &typed, format!("a,b,n,y,z,j,m\n{row}\n").as_bytes());
        assert_eq!(done.tally.refused_rows, 1, "{row}");
    }
}

#[test]
fn one_worker_and_four_reveal_the_same_rows_in_the_same_order() {
    let registry = Registry::new();
    let mut text = String::from("id,name,note,born,district\n");
    (0..5_000).for_each(|i| text.push_str(&format!("{i},name {i},,1990-01-01,{}\n", i % 7)));
    for jobs in [1, 4] {
        let sealed =
            registry.run(CSV, &people(), Task::Protect(Effort::Seal), jobs, text.as_bytes()).unwrap();
        let revealed =
            registry.run(CSV, &people(), Task::Reveal(&[], RevealForm::Values), jobs, &sealed.bytes).unwrap();
        assert!(revealed.bytes == text.as_bytes());
    }
    assert_eq!(registry.messages(), 20_000);
}

#[test]
fn a_dry_run_counts_and_touches_nothing() {
    let registry = Registry::new();
    let generation = registry.path.unlock(&registry.kek).unwrap().generation();
    let done = registry
        .run(CSV, &people(), Task::Protect(Effort::DryRun), 2, b"id,name,note,born,district\n1,a,,,\n")
        .unwrap();
    assert_eq!((done.tally.sealed, done.tally.absent), (2, 1));
    assert_eq!(registry.path.unlock(&registry.kek).unwrap().generation(), generation);
}

#[test]
fn a_quote_that_is_never_closed_does_not_take_all_memory() {
    struct Endless(bool);
    impl std::io::Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let head: &[u8] = b"id,name,note,born,district\n1,\"";
            if std::mem::replace(&mut self.0, true) {
                buffer.fill(b'x');
                return Ok(buffer.len());
            }
            buffer[..head.len()].copy_from_slice(head);
            Ok(head.len())
        }
    }
    let registry = Registry::new();
    let error = registry.with_plan(&people(), Task::Protect(Effort::Seal), 1, |plan| {
        csv_file::run(plan, Endless(false), Some(&mut std::io::sink()), &mut common::Seen::default())
    });
    let error = error.unwrap_err();
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("never closed"));
}

#[test]
fn a_quote_that_is_never_closed_stops_the_run() {
    let registry = Registry::new();
    let run = |text: &str| {
        let text = format!("id,name,note,born,district\n{text}");
        registry.run(CSV, &people(), Task::Protect(Effort::Seal), 2, text.as_bytes())
    };
    for (text, row) in [
        ("1,,,,x\n2,,,,\"y\n3,,,,z\n4,,,,w", 2),
        ("1,,,,x\n2,,,,\"y\n3,,,,z\n4,,,,w\n", 2),
        ("1,\"a,,,\n2,,,,\n", 1),
        ("1,,,,x\n2,,,,\"", 2),
        ("1,,,,x\n2,,,,\"a\"\"\r\n", 2),
        ("1,,,,x\n2,,,,\"a\"\"\"\"", 2),
    ] {
        let error = run(text).err().unwrap();
        assert_eq!((error.kind(), error.row()), (Kind::Malformed, Some(row)), "{text}: {error}");
        assert!(error.to_string().contains("a quote is never closed"), "{error}");
    }
    let error = registry.run(
        CSV,
        &people(),
        Task::Protect(Effort::Seal),
        2,
        b"id,name,note,born,\"district\n1,a,b,,\n",
    );
    let error = error.err().unwrap();
    assert!(error.kind() == Kind::Malformed && error.to_string().contains("in the first line"), "{error}");
}

#[test]
fn quotes_that_open_nothing_are_ordinary_characters() {
    let registry = Registry::new();
    for (rows, count) in [
        ("1,,,,five \" wide\n2,,,,a\"", 2),
        ("1,,,,\"a\" b \"c\n2,,,,x\n", 2),
        ("1,,,,\"a\"\"\"", 1),
        ("1,,,,\"a\"\r\n", 1),
        ("1,,,,\"\n\0end\"\n", 1),
        ("1,,,,\n\n", 1),
        ("1,,,,\r", 1),
        ("", 0),
    ] {
        let text = format!("id,name,note,born,district\n{rows}");
        let sealed = registry.protect(CSV, &people(), text.as_bytes());
        assert_eq!((sealed.tally.rows, sealed.faults.len()), (count, 0), "{rows}");
    }
    let text = "id,name,note,born,district\n\0end\n1,,,,\n";
    let sealed = registry.protect(CSV, &people(), text.as_bytes());
    assert_eq!(
        (sealed.tally.rows, sealed.faults.len()),
        (2, 1),
        "the mark in the middle is a row like another"
    );
}
