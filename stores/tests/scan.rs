// SPDX-License-Identifier: MIT OR Apache-2.0
//! Scanning: the wanted values of each row, whatever store they stand in; what does not open is told.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use std::path::PathBuf;

use amanat::error::{Error, Kind, Result};
use amanat::value::ValueRef;
use amanat::{Name, TableSchema};
use amanat_stores::scan::{scan_csv, scan_json_lines};
use amanat_stores::sqlite::Cleaning;
use amanat_stores::{
    Effort, KeyringSession, ScanPlan, ScanSource, ScannedRow, Tally, Task, Visitor, csv_file, json_lines,
    scan, sqlite,
};
use common::{Registry, Run, Seen, now, table};

const SCHEMA: &str = r#"
[[table]]
name = "people"
record_id = ["region", "id"]
field = [
  { name = "born", mode = "sealed", type = "date", absence = "visible" },
  { name = "name", mode = "sealed", column = "full_name" },
  { name = "district", mode = "clear" },
  { name = "phone", mode = "masked", mask = "last-4" },
]
"#;
const CSV: &str =
    "region,id,full_name,born,district,phone\nn,1,Zed Invented,1957-03-28,7,0300-1234567\nn,2,عائشہ,,8,\n";
const JSON: &str = "{\"region\":\"n\",\"id\":1,\"full_name\":\"Zed Invented\",\"born\":\"1957-03-28\",\"district\":7,\"phone\":\"0300-1234567\"}\n\
    {\"region\":\"n\",\"id\":2,\"full_name\":\"\\u0639ائشہ\",\"born\":null,\"district\":8,\"phone\":null}\n";

const CSV_FILE: Run = |plan, input, output, observer| csv_file::run(plan, input, output, observer);
const JSON_LINES: Run = |plan, input, output, observer| json_lines::run(plan, input, output, observer);

#[derive(Default)]
struct Rows {
    rows: Vec<String>,
    faults: Vec<(u64, Kind, String)>,
}

impl Visitor for Rows {
    fn row(&mut self, row: &ScannedRow<'_>) -> Result<()> {
        let mut text = format!("{} {}", row.number(), row.record_columns()?.join("/"));
        for value in row.values() {
            text.push('|');
            match value {
                ValueRef::Null => text.push('-'),
                ValueRef::Text(value) => text.push_str(value),
                ValueRef::Date(date) => text.push_str(&date.to_string()),
                _ => panic!("a type that was not asked for"),
            }
        }
        assert!(matches!(row.value(row.values().len()), ValueRef::Null));
        self.rows.push(text);
        Ok(())
    }

    fn refused(&mut self, fault: &Error) -> Result<()> {
        let field = fault.field().map(ToString::to_string).unwrap_or_default();
        self.faults.push((fault.row().unwrap(), fault.kind(), field));
        Ok(())
    }
}

fn names(names: &[&str]) -> Vec<Name> {
    names.iter().map(|name| Name::new(name).unwrap()).collect()
}

fn with_source<T>(registry: &Registry, run: impl FnOnce(ScanSource<'_>) -> T) -> T {
    let session = KeyringSession::unlock(&registry.path, &registry.kek, &now).unwrap();
    run(ScanSource::Protected(&session))
}

fn sqlite_file(registry: &Registry, table: &TableSchema, protect: bool) -> PathBuf {
    let file = registry.folder.path().join("people.sqlite");
    let connection = rusqlite::Connection::open(&file).unwrap();
    connection
        .execute_batch(
            "CREATE TABLE people (region TEXT, id INTEGER PRIMARY KEY, full_name TEXT, born TEXT, district INTEGER, phone TEXT);
             INSERT INTO people VALUES ('n', 1, 'Zed Invented', '1957-03-28', 7, '0300-1234567'), ('n', 2, 'عائشہ', NULL, 8, NULL)",
        )
        .unwrap();
    if protect {
        registry.with_plan(table, Task::Protect(Effort::SealAndVerify), 1, |plan| {
            sqlite::protect(plan, &file, "people", Cleaning::Keep, &mut Seen::default()).unwrap()
        });
    }
    file
}

#[test]
fn protected_stores_give_the_wanted_values_in_the_wanted_order() {
    let (registry, table) = (Registry::new(), table(SCHEMA));
    let fields = names(&["name", "district", "born", "phone"]);
    let file = sqlite_file(&registry, &table, true);
    let csv = registry.protect(CSV_FILE, &table, CSV.as_bytes()).bytes;
    let json = registry.protect(JSON_LINES, &table, JSON.as_bytes()).bytes;
    with_source(&registry, |source| {
        let plan = ScanPlan { table: &table, fields: &fields, source };
        let check = |scan: &dyn Fn(&mut Rows) -> Result<Tally>| {
            let mut seen = Rows::default();
            let tally = scan(&mut seen).unwrap();
            assert_eq!(seen.rows, ["1 n/1|Zed Invented|7|1957-03-28|****-***4567", "2 n/2|عائشہ|8|-|-"]);
            assert_eq!((tally.rows, tally.refused_rows, tally.opened, tally.absent), (2, 0, 3, 1));
            assert_eq!(tally.keys.iter().map(|key| key.opened).sum::<u64>(), 3);
        };
        check(&|seen| scan_csv(plan, &csv[..], seen));
        check(&|seen| scan_json_lines(plan, &json[..], seen));
        check(&|seen| scan::scan_sqlite(plan, &file, None, seen));
    });
}

#[test]
fn plaintext_is_read_where_it_was_asked_for_and_refused_elsewhere() {
    let (registry, table) = (Registry::new(), table(SCHEMA));
    let fields = names(&["born", "name"]);
    let file = sqlite_file(&registry, &table, false);
    let mut seen = Rows::default();
    let plain = ScanPlan { table: &table, fields: &fields, source: ScanSource::Plain };
    let tally = scan_csv(plain, CSV.as_bytes(), &mut seen).unwrap();
    assert_eq!((tally.rows, tally.plain, tally.absent, tally.opened), (2, 3, 1, 0));
    scan_json_lines(plain, JSON.as_bytes(), &mut seen).unwrap();
    scan::scan_sqlite(plain, &file, Some("people"), &mut seen).unwrap();
    let both = ["1 n/1|1957-03-28|Zed Invented", "2 n/2|-|عائشہ"];
    assert_eq!(seen.rows, [both, both, both].concat());

    let mut seen = Rows::default();
    let csv = registry.protect(CSV_FILE, &table, CSV.as_bytes()).bytes;
    assert_eq!(scan_csv(plain, &csv[..], &mut seen).unwrap().refused_rows, 2);
    assert_eq!(seen.faults, [(1, Kind::Schema, "born".into()), (2, Kind::Schema, "name".into())]);

    let mut seen = Rows::default();
    let tally = with_source(&registry, |source| {
        scan_csv(ScanPlan { table: &table, fields: &fields, source }, CSV.as_bytes(), &mut seen).unwrap()
    });
    assert_eq!((tally.rows, tally.refused_rows), (2, 2), "plaintext in a column that is not mixed");
    assert!(seen.rows.is_empty());
}

#[test]
fn mixed_columns_give_plain_and_sealed_values() {
    let schema = SCHEMA.replace("column = \"full_name\"", "column = \"full_name\", migration = \"mixed\"");
    let (registry, table) = (Registry::new(), table(&schema));
    let fields = names(&["name"]);
    let csv = String::from_utf8(registry.protect(CSV_FILE, &table, CSV.as_bytes()).bytes).unwrap();
    let half = format!("{}n,3,Yet Plain,,9,\n", csv);
    let mut seen = Rows::default();
    let tally = with_source(&registry, |source| {
        scan_csv(ScanPlan { table: &table, fields: &fields, source }, half.as_bytes(), &mut seen).unwrap()
    });
    assert_eq!((tally.opened, tally.plain), (2, 1));
    assert_eq!(seen.rows[2], "3 n/3|Yet Plain");
}

#[test]
fn a_moved_envelope_is_refused_and_the_scan_goes_on() {
    let (registry, table) = (Registry::new(), table(SCHEMA));
    let fields = names(&["name"]);
    let csv = String::from_utf8(registry.protect(CSV_FILE, &table, CSV.as_bytes()).bytes).unwrap();
    let moved = csv.replace("\nn,1,", "\nn,9,");
    let mut seen = Rows::default();
    let tally = with_source(&registry, |source| {
        scan_csv(ScanPlan { table: &table, fields: &fields, source }, moved.as_bytes(), &mut seen).unwrap()
    });
    assert_eq!((tally.refused_rows, tally.unauthentic, seen.rows.len()), (1, 1, 1));
    assert_eq!(seen.faults, [(1, Kind::Unauthentic, "name".into())]);
    let unknown = names(&["nobody"]);
    let plan = ScanPlan { table: &table, fields: &unknown, source: ScanSource::Plain };
    assert_eq!(scan_csv(plan, CSV.as_bytes(), &mut seen).unwrap_err().kind(), Kind::Schema);
}
