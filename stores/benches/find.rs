// SPDX-License-Identifier: MIT OR Apache-2.0
//! Finding citizens in a protected SQLite table: by CNIC and by an Urdu name typed on an Arabic keyboard.
//!
//! `cargo bench -p amanat-stores --bench find` protects 100,000 rows first; `AMANAT_BENCH_ROWS=1000000` sets another number. Wall-clock
//! time of each lookup, opened and compared, in random order. All records are invented.

#![allow(
    missing_docs,
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation
)]

use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Instant;

use amanat::error::{Error, Result};
use amanat::keys::{KeyFile, Keyring, NewSlot};
use amanat::schema::Schema;
use amanat::{Name, Timestamp};
use amanat_stores::find::SqliteFinder;
use amanat_stores::sqlite::{self, Cleaning};
use amanat_stores::stream::{Observer, Plan, Task};
use amanat_stores::{Effort, FindPlan, KeyringPath, KeyringSession};
use rusqlite::{Connection, params};

const LOOKUPS: u64 = 2_000;
const SCHEMA: &str = r#"
format = "amanat-schema"
version = 1
[[table]]
name = "citizens"
record_id = ["id"]
encoding = "binary"
field = [
  { name = "cnic", mode = "sealed", identifier = "cnic" }, { name = "name", mode = "sealed" }, { name = "father", mode = "sealed" },
  { name = "born", mode = "sealed", type = "date" }, { name = "address", mode = "sealed" }, { name = "phone", mode = "sealed" },
]
index = [
  { name = "cnic-index", column = "cnic_index", fields = ["cnic"], bits = 48 },
  { name = "name-index", column = "name_index", fields = ["name"], forms = ["urdu-name/v1"], bits = 48 },
]
"#;
/// Letters that the two keyboards type differently stand in many of them.
const WORDS: [&str; 32] = [
    "علی",
    "رضا",
    "زینب",
    "کریم",
    "یوسف",
    "کلثوم",
    "ہاشم",
    "یاسمین",
    "فیصل",
    "نبیل",
    "ماہین",
    "عائشہ",
    "کاشف",
    "کامران",
    "شکیل",
    "ہارون",
    "سلیم",
    "یعقوب",
    "مریم",
    "کنول",
    "سمیرا",
    "شاہد",
    "طاہر",
    "ظہیر",
    "نوید",
    "بشریٰ",
    "وحید",
    "صدیق",
    "اکرم",
    "مہک",
    "رابعہ",
    "ہما",
];

struct Silent;

impl Observer for Silent {
    fn refused(&mut self, fault: &Error) -> Result<()> {
        panic!("{fault}");
    }

    fn progress(&mut self, _: u64, _: u64) {}
}

const fn mixed(number: u64) -> u64 {
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29).wrapping_mul(0xbf58_476d_1ce4_e5b9)
}

fn cnic(number: u64) -> String {
    format!("{:05}-{:07}-{}", 10_000 + number % 50_000, number, 1 + number % 9)
}

/// Four words: some names are borne by several.
fn name(number: u64) -> String {
    let mixed = mixed(number / 2);
    let word = |place: u64| WORDS[(mixed >> (place * 5)) as usize % WORDS.len()];
    format!("{} {} {} {}", word(0), word(3), word(6), word(9))
}

fn arabic_keyboard(name: &str) -> String {
    name.chars()
        .map(|c| match c {
            'ی' => 'ي',
            'ک' => 'ك',
            'ہ' => 'ه',
            c => c,
        })
        .collect()
}

fn fill(file: &Path, rows: u64) {
    let mut connection = Connection::open(file).unwrap();
    connection
        .execute_batch(
            "CREATE TABLE citizens (id INTEGER PRIMARY KEY, cnic, name, father, born, address, phone, cnic_index BLOB, name_index BLOB);
             CREATE INDEX by_cnic ON citizens (cnic_index); CREATE INDEX by_name ON citizens (name_index);",
        )
        .unwrap();
    let transaction = connection.transaction().unwrap();
    {
        let mut insert = transaction
            .prepare("INSERT INTO citizens (id, cnic, name, father, born, address, phone) VALUES (?, ?, ?, ?, ?, ?, ?)")
            .unwrap();
        for n in 0..rows {
            let born = format!("19{:02}-{:02}-{:02}", n % 100, n % 12 + 1, n % 28 + 1);
            let (address, phone) =
                (format!("house {n:08} street {:08}", n % 977), format!("+92300{:07}", n % 10_000_000));
            let id = i64::try_from(n).unwrap();
            insert.execute(params![id, cnic(n), name(n), name(n ^ 1), born, address, phone]).unwrap();
        }
    }
    transaction.commit().unwrap();
}

fn main() {
    let rows: u64 =
        std::env::var("AMANAT_BENCH_ROWS").ok().and_then(|rows| rows.parse().ok()).unwrap_or(100_000);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("citizens.sqlite");
    let now = || Timestamp::from_unix_seconds(1_800_000_000);
    let kek = KeyFile::generate().unwrap();
    let path = KeyringPath::open(folder.path().join("bench.keyring"));
    let slot = NewSlot { label: "bench", kek: &kek };
    let mut keyring = Keyring::create(Name::new("bench").unwrap(), &slot, now().unwrap()).unwrap();
    path.create(&mut keyring, now().unwrap()).unwrap();
    let schema = Schema::from_toml(SCHEMA).unwrap();
    let table = schema.table("citizens").unwrap();
    let session = KeyringSession::unlock(&path, &kek, &now).unwrap();

    fill(&file, rows);
    let task = Task::Protect(Effort::SealAndVerify);
    let plan = Plan { session: &session, table, task, jobs: NonZeroUsize::new(2).unwrap() };
    let started = Instant::now();
    let report = sqlite::protect(plan, &file, "citizens", Cleaning::Keep, &mut Silent).unwrap();
    session.give_back().unwrap();
    assert_eq!((report.tally.sealed, report.tally.terms_made), (rows * 6, rows * 2));
    assert!(report.warnings.is_empty(), "{:?}", report.warnings);
    println!(
        "{rows} rows of six sealed fields and two indexes, protected in {:.1} s",
        started.elapsed().as_secs_f64()
    );

    let lookups = |index: &str, typed: &dyn Fn(u64) -> String| {
        let plan = FindPlan { session: &session, table, index: table.index(index).unwrap(), show: &[] };
        let started = Instant::now();
        let mut finder = SqliteFinder::open(plan, &file, None).unwrap();
        let opened = started.elapsed();
        assert!(finder.warnings().is_empty(), "the query plan and the terms: {:?}", finder.warnings());
        let mut times = Vec::new();
        let (mut found, mut false_candidates) = (0, 0);
        for lookup in 0..LOOKUPS {
            let wanted = mixed(lookup) % rows;
            let typed = typed(wanted);
            let started = Instant::now();
            let report = finder.find(&[&typed]).unwrap();
            times.push(started.elapsed());
            assert!(report.faults.is_empty() && report.rows.iter().any(|row| row.number == wanted));
            found += report.rows.len();
            false_candidates += report.false_candidates;
        }
        times.sort_unstable();
        let at = |percent: usize| times[times.len() * percent / 100].as_secs_f64() * 1e6;
        println!(
            "  {index}: median {:.0} µs, p99 {:.0} µs; {found} rows and {false_candidates} false candidates of {LOOKUPS} lookups; made ready in {:.0} ms",
            at(50),
            at(99),
            opened.as_secs_f64() * 1e3
        );
        at(50)
    };
    let median = lookups("cnic-index", &|number| cnic(number).replace('-', ""));
    lookups("name-index", &|number| arabic_keyboard(&name(number)));
    println!("  by CNIC within 1 ms: {}", if median < 1_000.0 { "met" } else { "MISSED" });
}
