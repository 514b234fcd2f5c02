// SPDX-License-Identifier: MIT OR Apache-2.0
//! The concurrency proof: four writers and four readers use a table through the library while one run rotates its field key and its index key.
//!
//! Every row has one writer, which knows what it wrote last. Two writers and two readers keep a keyring that is older than the change of the
//! primary until every row was worked on: what they write are stragglers. 20,000 rows in debug builds, 200,000 in optimised ones or with
//! `AMANAT_LONG=1`. All people are invented.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod common;
#[allow(dead_code, reason = "what the service says is tested with its process")]
#[path = "../examples/registry_backend/database.rs"]
mod database;
#[allow(dead_code, reason = "what the service says is tested with its process")]
#[path = "../examples/registry_backend/service.rs"]
mod service;

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{OnceLock, RwLock};
use std::thread::{self, Scope};
use std::time::{Duration, Instant};

use amanat::error::Result;
use amanat::keys::Purpose;
use amanat::rotate::{Phase, RunId, RunPlan, RunSource, Verb};
use amanat::schema::Schema;
use amanat::{Envelope, Finder, KeyId, Record, SealedField, ValueRef};
use amanat_stores::run::{Ended, RunObserver, RunOptions, RunReport, Runner, Step, Store};
use amanat_stores::sqlite::SqliteStore;
use amanat_stores::{KeyringPath, KeyringSession, KeyringWatch, Source, StoredRow, StoredValue};
use common::{Registry, now};
use database::Database;
use service::{Citizen, Service};

const WRITERS: usize = 4;
/// Sealed fields, and indexes, of a row.
const COLUMNS: u64 = 2;

/// What is known of the rows from outside of the table.
struct Ledger {
    /// Version that the row's writer began to write last.
    begun: Vec<AtomicU64>,
    /// Version that the row's writer knows to be written.
    written: Vec<AtomicU64>,
}

/// What the threads share.
struct Town<'a> {
    target: &'a str,
    ledger: Ledger,
    over: AtomicBool,
    /// Whether stragglers still write; a writer holds it while it writes.
    straggling: RwLock<bool>,
    /// Operations that were done.
    writes: AtomicU64,
    straggled: AtomicU64,
    refused: AtomicU64,
    reads: AtomicU64,
    finds: AtomicU64,
}

/// Numbers of a fixed course, another one for each thread.
struct Course(u64);

impl Course {
    fn below(&mut self, limit: usize) -> usize {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) >> 16).unwrap() % limit
    }
}

fn rows() -> usize {
    let long = std::env::var("AMANAT_LONG").is_ok_and(|long| long == "1");
    if long || !cfg!(debug_assertions) { 200_000 } else { 20_000 }
}

fn id(row: usize) -> String {
    format!("r-{row}")
}

fn cnic(row: usize) -> String {
    format!("99901-{row:07}-1")
}

/// A number in letters that no normal form confuses.
fn letters(mut number: u64) -> String {
    const LETTERS: [char; 10] = ['ب', 'ت', 'ج', 'د', 'ر', 'س', 'ش', 'ف', 'ل', 'م'];
    let mut text = String::new();
    loop {
        text.push(LETTERS[usize::try_from(number % 10).unwrap()]);
        number /= 10;
        if number == 0 {
            return text;
        }
    }
}

/// The name of a row at a version: no other row and version has it.
fn name(row: usize, version: u64) -> String {
    format!("علی {} {}", letters(u64::try_from(row).unwrap()), letters(version))
}

fn version(row: usize, of: &str) -> u64 {
    let last = of.rsplit(' ').next().unwrap();
    let version = (0..).find(|version| letters(*version) == last).unwrap();
    assert_eq!(of, name(row, version), "a row has the value of another");
    version
}

impl<'a> Town<'a> {
    fn new(target: &'a str, rows: usize) -> Self {
        let zeros = || (0..rows).map(|_| AtomicU64::new(0)).collect();
        let zero = || AtomicU64::new(0);
        let ledger = Ledger { begun: zeros(), written: zeros() };
        let (over, straggling) = (AtomicBool::new(false), RwLock::new(true));
        let (writes, straggled, refused, reads, finds) = (zero(), zero(), zero(), zero(), zero());
        Self { target, ledger, over, straggling, writes, straggled, refused, reads, finds }
    }

    /// Lets a thread work. One that fails ends all, or the run would go on for nothing.
    fn guard<'s>(&'s self, scope: &'s Scope<'s, '_>, work: impl FnOnce() -> Result<()> + Send + 's) {
        scope.spawn(move || {
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            if !matches!(done, Ok(Ok(()))) {
                self.over.store(true, Ordering::SeqCst);
            }
            done.unwrap_or_else(|panic| std::panic::resume_unwind(panic)).unwrap();
        });
    }

    /// Waits until some more operations of a kind were done.
    fn wait_for(&self, operations: &AtomicU64) {
        let enough = operations.load(Ordering::SeqCst) + 50;
        while operations.load(Ordering::SeqCst) < enough && !self.over.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Changes random rows of its own, each of which must be as it left it.
    fn write(&self, writer: usize, own: &KeyringWatch<'_>, newest: &KeyringWatch<'_>) -> Result<()> {
        let mut straggles = !std::ptr::eq(own, newest);
        let mut service = Service::new(own, Database::open(self.target)?)?;
        let mut course = Course(u64::try_from(writer).unwrap());
        let rows = self.ledger.begun.len();
        while !self.over.load(Ordering::SeqCst) {
            let row = course.below(rows / WRITERS) * WRITERS + writer;
            // Held until the write is made: whoever ends the straggling knows that no such write comes later.
            let straggling = self.straggling.read().unwrap();
            if straggles && !*straggling {
                straggles = false;
                service = Service::new(newest, Database::open(self.target)?)?;
            }
            self.change(&mut service, row)?;
            self.writes.fetch_add(1, Ordering::SeqCst);
            self.straggled.fetch_add(u64::from(straggles), Ordering::SeqCst);
        }
        Ok(())
    }

    fn change(&self, service: &mut Service<'_>, row: usize) -> Result<()> {
        let (begun, written) = (&self.ledger.begun[row], &self.ledger.written[row]);
        let last = written.load(Ordering::SeqCst);
        begun.store(last + 1, Ordering::SeqCst);
        loop {
            let stored = service.row(&id(row))?.expect("no row is deleted");
            let mut citizen = service.citizens.open(&stored)?;
            assert_eq!(citizen.name, name(row, last), "lost update: not what its only writer wrote");
            assert_eq!(citizen.cnic, cnic(row));
            citizen.name = name(row, last + 1);
            citizen.district = i64::try_from(last + 1).unwrap();
            let write = service.citizens.change(&stored, &citizen)?;
            if service.database.update(&write)? {
                written.store(last + 1, Ordering::SeqCst);
                return Ok(());
            }
            self.refused.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Reads random rows, and finds them by both indexes. The first reader never opens a row but by finding it, so that nothing but its
    /// searches could tell it of a new key.
    fn read(&self, reader: usize, watch: &KeyringWatch<'_>) -> Result<()> {
        let mut service = Service::new(watch, Database::open(self.target)?)?;
        let mut course = Course(u64::try_from(WRITERS + reader).unwrap());
        while !self.over.load(Ordering::SeqCst) {
            let row = course.below(self.ledger.begun.len());
            let (begun, written) = (&self.ledger.begun[row], &self.ledger.written[row]);
            if reader > 0 {
                let before = written.load(Ordering::SeqCst);
                let stored = service.row(&id(row))?.expect("no row is deleted");
                let seen = version(row, &service.citizens.open(&stored)?.name);
                let begun = begun.load(Ordering::SeqCst);
                assert!((before..=begun).contains(&seen), "a value that was not there then");
                self.reads.fetch_add(1, Ordering::SeqCst);
            }

            let found = service.found("by-cnic", &cnic(row))?;
            let found: Vec<&str> = found.iter().map(|citizen| citizen.id.as_str()).collect();
            assert_eq!(found, [id(row)], "a find by a value that never changes");

            let before = written.load(Ordering::SeqCst);
            let found = service.found("by-name", &name(row, before))?;
            let changed = begun.load(Ordering::SeqCst) != before;
            match found.as_slice() {
                [] => assert!(changed, "a find missed a row that was there all the time"),
                [citizen] => assert!(citizen.id == id(row) && citizen.name == name(row, before)),
                _ => panic!("a find gave a row twice, or a wrong one"),
            }
            self.finds.fetch_add(2, Ordering::SeqCst);
        }
        Ok(())
    }
}

/// Ends the straggling once every row was worked on and some were written under the old keys afterwards.
struct Stragglers<'a>(&'a Town<'a>);

impl RunObserver for Stragglers<'_> {
    fn step(&self, step: &Step<'_>) -> Result<()> {
        if let Step::Phase(Phase::Verifying) = step {
            self.0.wait_for(&self.0.straggled);
            *self.0.straggling.write().unwrap() = false;
        }
        Nobody.step(step)
    }
}

/// Is told of nothing but refused rows, of which there are none.
struct Nobody;

impl RunObserver for Nobody {
    fn step(&self, step: &Step<'_>) -> Result<()> {
        if let Step::Refused(error) = step { panic!("{error}") } else { Ok(()) }
    }
}

/// Drives a run to its end.
fn run(
    registry: &Registry,
    store: &impl Store,
    verb: Verb,
    lanes: usize,
    stop: &AtomicBool,
    observer: &dyn RunObserver,
) -> RunReport {
    let table = Citizen::schema().unwrap();
    let session = KeyringSession::unlock(&registry.path, &registry.kek, &now).unwrap();
    let mut options = RunOptions::new(stop);
    options.lanes = NonZeroUsize::new(lanes).unwrap();
    options.batch_time = Duration::from_millis(100);
    let plan = RunPlan {
        id: RunId::random().unwrap(),
        verb,
        registry: session.with_keys(|keys| Ok(keys.registry().clone())).unwrap(),
        table: table.name().clone(),
        store_table: store.table_name().to_owned(),
        schema: Schema::new(vec![table.clone()]).unwrap().to_toml().unwrap(),
        former_schema: None,
        source: if verb == Verb::Protect { RunSource::Any } else { RunSource::Sealed },
        remade: Vec::new(),
        foreign: Vec::new(),
        primary: session.primary(),
        planned: now().unwrap(),
    };
    let source = if verb == Verb::Protect { Source::Any } else { Source::SealedOnly };
    let runner = Runner::new(store, &session, &table, source, options);
    runner.plan(&plan, observer).unwrap();
    let ended = runner.go(&plan.id.to_string(), observer).unwrap();
    session.give_back().unwrap();
    match ended {
        Ended::Done(report) => *report,
        other => panic!("{other:?}"),
    }
}

/// New keys that open and are searched by, and do not seal yet.
fn introduce_keys(registry: &Registry) -> [KeyId; 2] {
    registry.change(|keyring| {
        let mut ids = [keyring.field_keys()?.primary(); 2];
        for (id, purpose) in ids.iter_mut().zip([Purpose::Field, Purpose::Index]) {
            *id = keyring.add_key(purpose, 365, now()?)?;
            keyring.introduce(*id, now()?)?;
        }
        Ok(ids)
    })
}

/// The whole proof over a table of plain rows.
fn prove(registry: &Registry, store: &impl Store, target: &str, rows: usize, lanes: usize) {
    let count = u64::try_from(rows).unwrap();
    let town = Town::new(target, rows);
    let started = Instant::now();
    let protected = run(registry, store, Verb::Protect, lanes, &town.over, &Nobody);
    assert_eq!((protected.worked.sealed, protected.worked.terms_made), (COLUMNS * count, COLUMNS * count));
    let (old, protecting, started) = (protected.primary, started.elapsed(), Instant::now());

    // The applications of this machine have loaded their keyring before there is a new key.
    let open = || KeyringWatch::open(&registry.path, &registry.kek, &now).unwrap();
    let (watch, lazy) = (open(), [(); 2].map(|()| open().with_period(Duration::from_secs(3_600))));
    let copy = KeyringPath::open(registry.folder.path().join("copy.json"));
    let elsewhere = OnceLock::new();
    let (new, report) = thread::scope(|scope| {
        let (town, watch) = (&town, &watch);
        for (place, lazy) in lazy.iter().enumerate() {
            town.guard(scope, move || town.write(place, watch, watch));
            town.guard(scope, move || town.read(place, lazy));
        }
        town.wait_for(&town.writes);
        town.wait_for(&town.finds);
        let [field, index] = introduce_keys(registry);
        // The applications of another machine are given the keyring as it is now, and no later one.
        std::fs::copy(registry.path.path(), copy.path()).unwrap();
        let elsewhere = elsewhere.get_or_init(|| KeyringWatch::open(&copy, &registry.kek, &now).unwrap());
        for place in [2, 3] {
            town.guard(scope, move || town.write(place, elsewhere, watch));
            town.guard(scope, move || town.read(place, elsewhere));
        }
        registry.change(|keyring| [field, index].iter().try_for_each(|id| keyring.activate(*id, now()?)));
        let observer = Stragglers(town);
        let run = || run(registry, store, Verb::Rotate, lanes, &town.over, &observer);
        let report = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
        town.over.store(true, Ordering::SeqCst);
        (field, report.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    let of = |count: &AtomicU64| count.load(Ordering::SeqCst);
    println!(
        "{rows} rows: protected in {protecting:?}; rotated in {:?} beside {} writes ({} under the old key, {} refused and made again), \
         {} reads, {} finds; read again {}, late {}",
        started.elapsed(),
        of(&town.writes),
        of(&town.straggled),
        of(&town.refused),
        of(&town.reads),
        of(&town.finds),
        report.worked.read_again,
        report.worked.late
    );
    check_report(&report, count, old, new);
    check_rows(registry, target, &town.ledger, new);
}

fn check_report(report: &RunReport, rows: u64, old: KeyId, new: KeyId) {
    let (worked, checked) = (&report.worked, &report.checked);
    assert_eq!((worked.rows, worked.refused_rows, worked.gone, worked.sealed), (rows, 0, 0, 0));
    assert_eq!((checked.rows, checked.refused_rows, checked.unauthentic), (rows, 0, 0));
    assert!(worked.read_again <= rows);
    // Stragglers write after every row was worked on, so there are late rows; the library seals a row whole, so both of its cells are late.
    assert!(worked.late > 0);
    assert_eq!(checked.resealed, COLUMNS * worked.late);
    assert_eq!(checked.kept + checked.resealed, COLUMNS * rows);
    // A row that the check found late may have been changed under the new keys before it was locked.
    for (made, kept) in [(worked.resealed, worked.kept), (worked.terms_made, worked.terms_kept)] {
        assert!(
            (COLUMNS * rows..=COLUMNS * (rows + worked.late)).contains(&(made + kept)),
            "{made} + {kept}"
        );
    }
    let keys = report.keys();
    assert_eq!(keys.iter().map(|(_, change)| change.before).sum::<u64>(), worked.resealed + worked.kept);
    assert_eq!(keys.iter().find(|(id, _)| *id == old).unwrap().1.after, 0);
    assert_eq!(keys.iter().find(|(id, _)| *id == new).unwrap().1.after, COLUMNS * rows);
}

/// Every row has the value that its writer wrote last, under the new keys, and its index terms are those of that value.
fn check_rows(registry: &Registry, target: &str, ledger: &Ledger, new: KeyId) {
    let watch = KeyringWatch::open(&registry.path, &registry.kek, &now).unwrap();
    let mut service = Service::new(&watch, Database::open(target).unwrap()).unwrap();
    let keyring = watch.current().unwrap();
    let mut finders = ["by-cnic", "by-name"].map(|index| Citizen::finder(&keyring, index).unwrap());
    let rows: Vec<usize> = (0..ledger.written.len()).collect();
    for part in rows.chunks(200) {
        let ids: Vec<StoredValue> = part.iter().map(|row| StoredValue::Text(id(*row))).collect();
        let stored = service.database.rows("id", &ids).unwrap();
        assert_eq!(stored.len(), part.len());
        for stored in stored {
            let citizen = service.citizens.open(&stored).unwrap();
            let row: usize = citizen.id.strip_prefix("r-").unwrap().parse().unwrap();
            let last = ledger.written[row].load(Ordering::SeqCst);
            assert_eq!(last, ledger.begun[row].load(Ordering::SeqCst));
            assert_eq!((&citizen.cnic, &citizen.name), (&cnic(row), &name(row, last)), "lost update");
            assert_eq!(citizen.district, i64::try_from(last).unwrap());
            for column in ["cnic", "name"] {
                let sealed = SealedField::from_text(text(&stored, column)).unwrap();
                assert_eq!(Envelope::parse(sealed.as_bytes()).unwrap().key(), new);
            }
            let values = [("cnic_index", &citizen.cnic), ("name_index", &citizen.name)];
            for (finder, (column, value)) in finders.iter_mut().zip(values) {
                assert_eq!(text(&stored, column), term(finder, value), "a stale index");
            }
        }
    }
}

fn text<'r>(row: &'r StoredRow, column: &str) -> &'r str {
    let Some(StoredValue::Text(text)) = row.cell(column) else { panic!("{column} is no text") };
    text
}

/// The term under the primary.
fn term(finder: &mut Finder, value: &str) -> String {
    finder.search(&[ValueRef::Text(value)]).unwrap().terms()[0].to_text()
}

/// The rows as text, for loading.
fn plain(row: usize) -> [String; 3] {
    [id(row), cnic(row), name(row, 0)]
}

#[test]
fn nothing_is_lost_missed_or_misread_while_sqlite_is_rotated() {
    let registry = Registry::new();
    let file = registry.folder.path().join("citizens.db");
    let target = file.to_str().unwrap();
    Database::open(target).unwrap().create().unwrap();
    let mut connection = rusqlite::Connection::open(&file).unwrap();
    let load = connection.transaction().unwrap();
    for row in 0..rows() {
        let insert = "INSERT INTO citizens (id, cnic, name, district) VALUES (?, ?, ?, 0)";
        load.prepare_cached(insert).unwrap().execute(plain(row)).unwrap();
    }
    load.commit().unwrap();
    drop(connection);
    let store = SqliteStore::new(&file, "citizens", &Citizen::schema().unwrap());
    prove(&registry, &store, target, rows(), 1);
}

#[cfg(feature = "postgres")]
#[test]
fn nothing_is_lost_missed_or_misread_while_postgresql_is_rotated() {
    use std::io::Write;

    use amanat_stores::postgres::{PostgresStore, PostgresUrl};

    let (registry, server) = (Registry::new(), amanat_testkit::postgres::Server::start());
    let database = server.create_database();
    let target = server.url(&database);
    Database::open(&target).unwrap().create().unwrap();
    let mut client = server.client(&database);
    let mut load = client.copy_in("COPY citizens (id, cnic, name, district) FROM STDIN").unwrap();
    for row in 0..rows() {
        let [id, cnic, name] = plain(row);
        writeln!(load, "{id}\t{cnic}\t{name}\t0").unwrap();
    }
    load.finish().unwrap();
    let schema = Citizen::schema().unwrap();
    let store = PostgresStore::open(PostgresUrl::parse(&target).unwrap(), schema, Some("citizens")).unwrap();
    prove(&registry, &store, &target, rows(), 2);
}
