// SPDX-License-Identifier: MIT OR Apache-2.0
//! JSON Lines files through protect and reveal. All records are made up.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod common;

use amanat::error::Kind;
use amanat::schema::TableSchema;
use amanat_stores::json_lines;
use common::{Registry, Run, table};

const JSON: Run = |plan, input, output, observer| json_lines::run(plan, input, output, observer);

fn people() -> TableSchema {
    table(
        r#"
[[table]]
name = "people"
record_id = ["id"]
field = [
  { name = "id", mode = "clear" },
  { name = "name", mode = "sealed" },
  { name = "note", mode = "sealed", absence = "visible" },
  { name = "born", mode = "sealed", type = "date" },
  { name = "children", mode = "sealed", type = "integer" },
  { name = "alive", mode = "sealed", type = "boolean" },
  { name = "print", mode = "sealed", type = "bytes" },
  { name = "more", mode = "sealed", type = "cbor" },
  { name = "score", mode = "clear" },
]
"#,
    )
}

const ROW: &str = "{\"score\":1.50,\"id\":7,\"name\":\"عائشہ \\\"x\\\"\\n\",\"note\":null,\"born\":\"1990-01-31\",\"children\":-3,\"alive\":true,\"print\":\"_-8\",\"more\":{\"a\":[1,2.5,null,\"amn\"]}}\n";
const NULLS: &str = "{\"id\":\"seven\",\"name\":null,\"note\":\"\",\"born\":null,\"children\":null,\"alive\":null,\"print\":null,\"more\":null,\"score\":{\"x\": [ 1e5 ]}}\n";

#[test]
fn what_is_revealed_is_what_was_protected() {
    let registry = Registry::new();
    let text = format!("{ROW}{NULLS}");
    let sealed = registry.protect(JSON, &people(), text.as_bytes());
    assert!(sealed.faults.is_empty(), "{:?}", sealed.faults);
    assert_eq!((sealed.tally.sealed, sealed.tally.absent), (13, 1));
    let shown = String::from_utf8(sealed.bytes.clone()).unwrap();
    assert_eq!(shown.matches("\"amn1.").count(), 13);
    assert!(shown.contains("\"score\":1.50,\"id\":7") && shown.contains("{\"x\": [ 1e5 ]}"));
    let again = registry.protect(JSON, &people(), &sealed.bytes);
    assert_eq!((again.tally.kept, again.tally.sealed), (13, 0));
    assert!(again.bytes == sealed.bytes);
    let revealed = registry.reveal(JSON, &people(), &sealed.bytes);
    assert_eq!(String::from_utf8(revealed.bytes).unwrap(), text);
}

#[test]
fn a_mark_blank_lines_and_a_missing_last_line_end_are_taken() {
    let registry = Registry::new();
    let text = format!("\u{feff}{ROW}\n  \r\n{}", NULLS.trim_end());
    let sealed = registry.protect(JSON, &people(), text.as_bytes());
    assert_eq!((sealed.tally.rows, sealed.tally.refused_rows), (2, 0));
}

#[test]
fn bad_lines_are_told_and_left_out() {
    let registry = Registry::new();
    let change = |from: &str, to: &str| ROW.replace(from, to);
    let bad = [
        "not json\n".to_owned(),
        "[1]\n".to_owned(),
        change("\"id\":7", "\"id\":7.5"),
        change("\"id\":7", "\"id\":null"),
        change("\"children\":-3", "\"children\":3.0"),
        change("\"children\":-3", "\"children\":\"3\""),
        change("1990-01-31", "31 Jan"),
        change("\"alive\":true", "\"alive\":1"),
        change("\"_-8\"", "\"_-9\""),
        change("\"note\":null", "\"note\":5"),
        change("\"note\":null,", ""),
        change("\"note\":null", "\"note\":null,\"note\":null"),
        change("\"note\"", "\"email\""),
        change("\"note\":null", "\"note\":\"amn1.x\""),
        change("\"note\":null", "\"note\":\"\\u0061mn1.AQE\""),
        change("2.5", "18446744073709551616"),
        change("[1,2.5,null,\"amn\"]", "1,\"a\":2"),
    ];
    let text = format!("{ROW}{}", bad.concat());
    let done = registry.protect(JSON, &people(), text.as_bytes());
    let rows: Vec<u64> = done.faults.iter().map(|fault| fault.0).collect();
    assert_eq!(rows, (2..=18).collect::<Vec<u64>>(), "{:#?}", done.faults);
    assert_eq!((done.tally.rows, done.tally.refused_rows), (18, 17));
    assert_eq!(done.bytes.iter().filter(|byte| **byte == b'\n').count(), 1);
    assert!(done.faults.iter().all(|fault| matches!(fault.2, Kind::Malformed | Kind::Schema)));
}

#[test]
fn a_first_line_that_does_not_fit_stops_the_run() {
    let registry = Registry::new();
    for text in [ROW.replace("\"note\"", "\"email\""), "1,2,3\n".to_owned()] {
        let task = amanat_stores::Task::Protect(amanat_stores::Effort::Seal);
        assert!(registry.run(JSON, &people(), task, 1, text.as_bytes()).is_err());
    }
    assert_eq!(registry.protect(JSON, &people(), b"").tally.rows, 0);
}
