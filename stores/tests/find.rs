// SPDX-License-Identifier: MIT OR Apache-2.0
//! Finding rows by a value: the true matches and no others, whatever store, keyboard and generation of the key.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod common;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use amanat::error::Kind;
use amanat::keys::Purpose;
use amanat::{KeyId, Name, Result, TableSchema};
use amanat_stores::find::{SqliteFinder, find_csv, find_json_lines, find_sqlite, index_of};
use amanat_stores::sqlite::{self, Cleaning};
use amanat_stores::{Effort, FindPlan, FindReport, KeyringSession, Task, csv_file, json_lines};
use common::{Registry, Run, Seen, now, table};
use rusqlite::Connection;

const CSV: Run = |plan, input, output, observer| csv_file::run(plan, input, output, observer);
const JSON: Run = |plan, input, output, observer| json_lines::run(plan, input, output, observer);

const SCHEMA: &str = r#"
[[table]]
name = "people"
record_id = ["id"]
encoding = "text"
field = [
  { name = "cnic", mode = "sealed", identifier = "cnic" },
  { name = "name", mode = "sealed" },
  { name = "born", mode = "sealed", type = "date", absence = "visible" },
  { name = "district", mode = "clear" },
]
index = [
  { name = "by-cnic", column = "cnic_index", fields = ["cnic"], bits = 40 },
  { name = "by-name", column = "name_index", fields = ["name"], forms = ["urdu-name/v1"], bits = 32 },
  { name = "by-both", column = "both_index", fields = ["name", "born"], forms = ["urdu-name/v1", "date/v1"], bits = 32 },
]
"#;
const PEOPLE: &str = "id,cnic,name,born,district\n\
    a-1,35202-1234567-1,علی رضا,1957-03-28,Lahore\n\
    a-2,35202-7654321-2,علی رضا,1960-01-01,Multan\n\
    a-3,35202-1111111-1,عائشہ,,Quetta\n\
    a-4,,زید,1960-01-01,\n";

fn names(names: &[&str]) -> Vec<Name> {
    names.iter().map(|name| Name::new(name).unwrap()).collect()
}

fn with_plan<T>(
    registry: &Registry,
    table: &TableSchema,
    index: &str,
    show: &[&str],
    run: impl FnOnce(FindPlan<'_>) -> T,
) -> T {
    let session = KeyringSession::unlock(&registry.path, &registry.kek, &now).unwrap();
    let show = names(show);
    run(FindPlan { session: &session, table, index: table.index(index).unwrap(), show: &show })
}

fn records(report: &FindReport) -> Vec<String> {
    assert!(report.faults.is_empty(), "{:?}", report.faults);
    report.rows.iter().map(|row| row.record.join("/")).collect()
}

fn add_index_key(registry: &Registry) -> KeyId {
    registry.change(|keyring| {
        let id = keyring.add_key(Purpose::Index, 365, now()?)?;
        keyring.activate(id, now()?)?;
        Ok(id)
    })
}

const BINARY: &str = ", cnic_index BLOB, name_index BLOB, both_index BLOB";

fn database(registry: &Registry) -> PathBuf {
    let file = registry.folder.path().join("people.sqlite");
    let connection = Connection::open(&file).unwrap();
    let mut sql = format!(
        "CREATE TABLE people (id TEXT PRIMARY KEY, cnic TEXT, name TEXT, born TEXT, district TEXT{BINARY});"
    );
    for line in PEOPLE.lines().skip(1) {
        let cells: Vec<String> = line
            .split(',')
            .map(|cell| if cell.is_empty() { "NULL".to_owned() } else { format!("'{cell}'") })
            .collect();
        write!(sql, "INSERT INTO people VALUES ({}, NULL, NULL, NULL);", cells.join(", ")).unwrap();
    }
    connection.execute_batch(&sql).unwrap();
    file
}

fn protect(registry: &Registry, table: &TableSchema, file: &Path) {
    registry.with_plan(table, Task::Protect(Effort::SealAndVerify), 1, |plan| {
        let report = sqlite::protect(plan, file, "people", Cleaning::Keep, &mut Seen::default()).unwrap();
        assert_eq!(report.tally.refused_rows, 0);
    });
}

fn binary() -> TableSchema {
    table(&SCHEMA.replace("encoding = \"text\"", "encoding = \"binary\""))
}

#[test]
fn every_store_finds_the_same_rows() {
    let (registry, text, binary) = (Registry::new(), table(SCHEMA), binary());
    let csv = registry.protect(CSV, &text, PEOPLE.as_bytes()).bytes;
    let lines: Vec<String> = PEOPLE
        .lines()
        .skip(1)
        .map(|line| {
            let cells: Vec<String> = line
                .split(',')
                .map(|cell| if cell.is_empty() { "null".to_owned() } else { format!("\"{cell}\"") })
                .collect();
            format!(
                "{{\"id\":{},\"cnic\":{},\"name\":{},\"born\":{},\"district\":{}}}",
                cells[0], cells[1], cells[2], cells[3], cells[4]
            )
        })
        .collect();
    let json = registry.protect(JSON, &text, lines.join("\n").as_bytes()).bytes;
    let file = database(&registry);
    protect(&registry, &binary, &file);
    let expected: [(&str, &[&str], &[&str]); 9] = [
        ("by-cnic", &["3520212345671"], &["a-1"]),
        ("by-cnic", &[" ۳۵۲۰۲-۱۲۳۴۵۶۷-۱ "], &["a-1"]),
        ("by-cnic", &["35202-1234567-2"], &[]),
        ("by-name", &["علي رضا"], &["a-1", "a-2"]),
        ("by-name", &["عائشه"], &["a-3"]),
        ("by-name", &["رضا علی"], &[]),
        ("by-both", &["علي  رضا", "1960-01-01"], &["a-2"]),
        ("by-both", &["زید", "۱۹۶۰-۰۱-۰۱"], &["a-4"]),
        ("by-both", &["زید", "1961-01-01"], &[]),
    ];
    for (index, values, rows) in expected {
        let check = |report: FindReport, store: &str| {
            assert_eq!(records(&report), rows, "{index} {store}");
            assert_eq!((report.not_searchable, report.false_candidates), (0, 0), "{index} {store}");
        };
        with_plan(&registry, &text, index, &[], |plan| {
            check(find_csv(plan, values, &csv[..]).unwrap(), "CSV");
            check(find_json_lines(plan, values, &json[..]).unwrap(), "JSON Lines");
        });
        with_plan(&registry, &binary, index, &[], |plan| {
            let (report, hints) = find_sqlite(plan, values, &file, Some("people")).unwrap();
            check(report, "SQLite");
            assert!(hints.len() == 1 && hints[0].contains("CREATE INDEX"), "{hints:?}");
        });
    }
}

#[test]
fn what_is_shown_is_masked_and_the_row_is_named() {
    let (registry, text, binary) = (Registry::new(), table(SCHEMA), binary());
    let csv = registry.protect(CSV, &text, PEOPLE.as_bytes()).bytes;
    let file = database(&registry);
    protect(&registry, &binary, &file);
    let show = ["district", "cnic", "name", "born"];
    let some = |text: &str| Some(text.to_owned());
    with_plan(&registry, &text, "by-name", &show, |plan| {
        let report = find_csv(plan, &["عائشہ"], &csv[..]).unwrap();
        let row = &report.rows[0];
        assert_eq!(
            (row.number, &row.key[..], &row.record[..]),
            (3, &["3".to_owned()][..], &["a-3".to_owned()][..])
        );
        assert_eq!(row.shown, [some("Quetta"), some("*****-***1111-*"), some("********"), None]);
    });
    with_plan(&registry, &binary, "by-cnic", &show, |plan| {
        let (report, _) = find_sqlite(plan, &["3520276543212"], &file, None).unwrap();
        assert_eq!((report.rows[0].number, &report.rows[0].key[0][..]), (2, "2"));
        assert_eq!(
            report.rows[0].shown,
            [some("Multan"), some("*****-***4321-*"), some("********"), some("********")]
        );
        assert_eq!(format!("{:?}", report.rows[0]), "Found");
    });
}

#[test]
fn rows_are_found_before_during_and_after_a_change_of_the_index_key() {
    let (registry, table) = (Registry::new(), binary());
    let file = database(&registry);
    protect(&registry, &table, &file);
    let connection = Connection::open(&file).unwrap();
    connection
        .execute_batch("CREATE INDEX a ON people (cnic_index); CREATE INDEX b ON people (name_index)")
        .unwrap();
    let found = || {
        with_plan(&registry, &table, "by-name", &[], |plan| {
            let mut finder = SqliteFinder::open(plan, &file, None).unwrap();
            assert!(finder.warnings().is_empty(), "{:?}", finder.warnings());
            [records(&finder.find(&["علی رضا"]).unwrap()), records(&finder.find(&["عائشہ"]).unwrap())]
        })
    };
    let all = [vec!["a-1".to_owned(), "a-2".to_owned()], vec!["a-3".to_owned()]];
    assert_eq!(found(), all);
    let old = registry.path.unlock(&registry.kek).unwrap().index_keys().unwrap().primary();
    add_index_key(&registry);
    assert_eq!(found(), all, "a new key, and no row under it");
    // One row of two is moved: a run that was stopped.
    connection.execute_batch("CREATE TABLE kept AS SELECT * FROM people WHERE id = 'a-2'").unwrap();
    protect(&registry, &table, &file);
    assert_eq!(found(), all, "every row under the new key");
    connection
        .execute_batch("UPDATE people SET name_index = (SELECT name_index FROM kept) WHERE id = 'a-2'")
        .unwrap();
    let mut both = found();
    both[0].sort_unstable();
    assert_eq!(both, all, "rows of two generations");

    registry.change(|keyring| keyring.deactivate(old, now()?));
    assert_eq!(found()[0].len(), 2, "a key that only opens is searched by");
    registry.change(|keyring| keyring.compromise(old, now()?));
    let gone = |glass: &[KeyId]| {
        let session = KeyringSession::unlock(&registry.path, &registry.kek, &now).unwrap();
        let session = session.with_break_glass(glass.to_vec());
        let plan =
            FindPlan { session: &session, table: &table, index: table.index("by-name").unwrap(), show: &[] };
        let (report, warnings) = find_sqlite(plan, &["علی رضا"], &file, None).unwrap();
        (report.rows.len(), report.not_searchable, warnings.len())
    };
    assert_eq!(gone(&[]), (1, 1, 1), "a row under a key that opens nothing is told of");
    assert_eq!(gone(&[old]), (2, 0, 0));
}

#[test]
fn a_short_index_gives_candidates_and_only_true_matches_are_found() {
    let schema = SCHEMA.replace("bits = 32", "bits = 4");
    let (registry, table) = (Registry::new(), table(&schema));
    let mut rows = String::from("id,cnic,name,born,district\n");
    for number in 0..200 {
        writeln!(rows, "{number},,نام {number},,").unwrap();
    }
    let csv = registry.protect(CSV, &table, rows.as_bytes()).bytes;
    let report =
        with_plan(&registry, &table, "by-name", &[], |plan| find_csv(plan, &["نام ۷۷"], &csv[..]).unwrap());
    assert_eq!(records(&report), ["77"]);
    assert!((1..40).contains(&report.false_candidates), "{}", report.false_candidates);
}

#[test]
fn what_cannot_be_searched_or_opened_is_told() {
    let mixed = SCHEMA.replace(
        "{ name = \"name\", mode = \"sealed\" }",
        "{ name = \"name\", mode = \"sealed\", migration = \"mixed\" }",
    );
    let (registry, text) = (Registry::new(), table(&mixed));
    let csv = String::from_utf8(registry.protect(CSV, &text, PEOPLE.as_bytes()).bytes).unwrap();
    let with = |more: &str| {
        let half = format!("{csv}{more}");
        with_plan(&registry, &text, "by-name", &[], |plan| {
            find_csv(plan, &["علی رضا"], half.as_bytes()).unwrap()
        })
    };
    let report = with("a-9,,علی رضا,,,,,\n");
    assert_eq!((report.rows.len(), report.not_searchable), (2, 1), "a row that is still plain");
    let report = with("a-9,,علی رضا,,\n");
    assert_eq!((report.rows.len(), report.faults.len()), (2, 1), "a row with too few cells");
    assert_eq!(report.faults[0].row(), Some(5));
    let line = csv.lines().nth(1).unwrap().replacen("a-1", "a-8", 1);
    let report = with(&format!("{line}\n"));
    assert_eq!((report.rows.len(), report.faults.len()), (2, 1), "a row that was copied under another id");
    assert_eq!(report.faults[0].kind(), Kind::Unauthentic);

    let file = database(&registry);
    let table = binary();
    protect(&registry, &table, &file);
    let shorter = common::table(
        &SCHEMA.replace("encoding = \"text\"", "encoding = \"binary\"").replace("bits = 40", "bits = 24"),
    );
    with_plan(&registry, &shorter, "by-cnic", &[], |plan| {
        let (report, warnings) = find_sqlite(plan, &["3520212345671"], &file, None).unwrap();
        assert_eq!((report.rows.len(), report.not_searchable), (0, 4), "terms of another length");
        assert!(warnings[1].contains("protect the table"));
    });
    let connection = Connection::open(&file).unwrap();
    connection.execute_batch("UPDATE people SET name_index = NULL WHERE id = 'a-1'; UPDATE people SET both_index = 'text' WHERE id = 'a-2'").unwrap();
    for (index, values) in [("by-name", &["علی رضا"][..]), ("by-both", &["علی رضا", "1960-01-01"])]
    {
        let (report, _) =
            with_plan(&registry, &table, index, &[], |plan| find_sqlite(plan, values, &file, None).unwrap());
        assert_eq!(report.not_searchable, 1, "{index}: the third row is visibly absent");
    }
    connection.execute_batch("ALTER TABLE people DROP COLUMN name_index").unwrap();
    let none = with_plan(&registry, &table, "by-name", &[], |plan| {
        find_sqlite(plan, &["x"], &file, None).unwrap_err()
    });
    assert_eq!(none.kind(), Kind::Schema);
}

#[test]
fn a_search_that_makes_no_sense_says_why_and_shows_no_value() {
    let (registry, table) = (Registry::new(), table(SCHEMA));
    let csv = registry.protect(CSV, &table, PEOPLE.as_bytes()).bytes;
    let fails = |index: &str, values: &[&str]| {
        let found: Result<FindReport> =
            with_plan(&registry, &table, index, &[], |plan| find_csv(plan, values, &csv[..]));
        let error = found.unwrap_err();
        assert!(values.iter().all(|value| value.is_empty() || !error.to_string().contains(value)));
        (error.kind(), error.field().map(ToString::to_string))
    };
    assert_eq!(fails("by-cnic", &["12345"]), (Kind::Malformed, Some("cnic".into())));
    assert_eq!(fails("by-name", &[""]), (Kind::Schema, Some("name".into())));
    assert_eq!(fails("by-both", &["علی", "28-03-1957"]), (Kind::Malformed, Some("born".into())));
    assert_eq!(fails("by-both", &["علی"]).0, Kind::Misuse);

    let of =
        |fields: &[&str]| index_of(&table, &names(fields)).map(|policy| policy.spec().name().to_string());
    assert_eq!(of(&["born", "name"]).unwrap(), "by-both");
    assert_eq!(of(&["name"]).unwrap(), "by-name");
    let none = of(&["born"]).unwrap_err();
    assert_eq!(none.kind(), Kind::Schema);
    assert!(none.message().contains("by-both (name + born)"), "{}", none.message());
}

#[test]
fn an_index_that_was_defined_otherwise_is_noticed_and_made_anew_when_asked() {
    for (old, new, index) in [
        // As many bytes: the longer terms cannot be told from the shorter by themselves.
        ("bits = 40", "bits = 34", "by-cnic"),
        ("fields = [\"cnic\"]", "fields = [\"cnic\"], forms = [\"digits/v1\"]", "by-cnic"),
        ("name = \"by-cnic\"", "name = \"by-number\"", "by-number"),
    ] {
        let (registry, before, after) = (Registry::new(), table(SCHEMA), table(&SCHEMA.replace(old, new)));
        let (before, after, index) =
            if new.contains("34") { (after, before, "by-cnic") } else { (before, after, index) };
        let people: String = (0..50).map(|row| format!("p-{row},35202{row:07}1,,,\n")).collect();
        let people = format!("id,cnic,name,born,district\n{people}");
        let csv = registry.protect(CSV, &before, people.as_bytes()).bytes;
        registry.protect(CSV, &before, &csv);
        let again = registry.run(CSV, &after, Task::Protect(Effort::Seal), 1, &csv);
        let error = again.err().unwrap();
        assert_eq!((error.kind(), error.field().unwrap().as_str()), (Kind::Schema, index), "{error}");
        assert!(error.message().contains("--remake"), "{error}");

        let session = KeyringSession::unlock(&registry.path, &registry.kek, &now).unwrap();
        let session = session.with_remade(names(&[index]));
        let (mut remade, jobs) = (Vec::new(), std::num::NonZeroUsize::MIN);
        let plan =
            amanat_stores::Plan { session: &session, table: &after, task: Task::Protect(Effort::Seal), jobs };
        csv_file::run(plan, &csv[..], Some(&mut remade), &mut Seen::default()).unwrap();
        with_plan(&registry, &after, index, &[], |plan| {
            let report = find_csv(plan, &["3520200000371"], &remade[..]).unwrap();
            assert_eq!(records(&report), ["p-37"]);
        });
        registry.protect(CSV, &after, &remade);
    }
}
