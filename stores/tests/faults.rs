// SPDX-License-Identifier: MIT OR Apache-2.0
//! The fault proof: whatever fails under a run is told as a typed error with its remedy, or as a listed exception; nothing is lost, and the run
//! goes on to its end once the cause is mended.
//!
//! Statement timeouts, locks, deadlocks and constraints of PostgreSQL are in `postgres_errors` and `postgres_live`. All people are invented.
#![cfg(all(feature = "sqlite", feature = "postgres"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod common;
#[allow(dead_code, reason = "what the service says is tested with its process")]
#[path = "../examples/registry_backend/database.rs"]
mod database;
#[path = "torture/disk.rs"]
mod disk;
#[path = "torture/proxy.rs"]
mod proxy;
#[allow(dead_code, reason = "what the service says is tested with its process")]
#[path = "../examples/registry_backend/service.rs"]
mod service;
#[allow(dead_code, reason = "some of it is for the crash proof")]
#[path = "torture/town.rs"]
mod town;

use std::sync::Mutex;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use amanat::error::{Error, Kind, Result};
use amanat::rotate::{RunId, Verb};
use amanat_stores::KeyringPath;
use amanat_stores::run::{Ended, RunObserver, RunReport, Step};
use amanat_testkit::postgres::Server;
use common::Registry;
use disk::Disk;
use proxy::{Cut, Proxy};
use town::{Drive, Keys, Place, Quiet, Town, cnic, id, name, postgres_database, sqlite_file};

const ROWS: usize = 300;
/// Sealed cells of all rows.
const CELLS: u64 = 600;

fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(Server::start)
}

/// A protected table in each store.
fn towns() -> [Town; 2] {
    [over_sqlite(), over_postgres()]
}

fn over_sqlite() -> Town {
    let registry = Registry::new();
    let file = sqlite_file(&registry, "delete");
    Town::protected(registry, &file, ROWS, 0)
}

fn over_postgres() -> Town {
    Town::protected(Registry::new(), &postgres_database(server()), ROWS, 0)
}

/// Does something after the third batch of fifty rows.
struct AtThird<F> {
    batches: AtomicU32,
    again: AtomicU32,
    work: Mutex<Option<F>>,
}

impl<F: FnOnce() + Send> AtThird<F> {
    fn new(work: F) -> Self {
        Self { batches: AtomicU32::new(0), again: AtomicU32::new(0), work: Mutex::new(Some(work)) }
    }
}

impl<F: FnOnce() + Send> RunObserver for AtThird<F> {
    fn step(&self, step: &Step<'_>) -> Result<()> {
        self.again.fetch_add(u32::from(matches!(step, Step::Again(_))), Ordering::SeqCst);
        if matches!(step, Step::Batch(..)) && self.batches.fetch_add(1, Ordering::SeqCst) == 2 {
            self.work.lock().unwrap().take().into_iter().for_each(|work| work());
        }
        Ok(())
    }
}

/// One rotation of a town.
struct Rotation<'a> {
    town: &'a Town,
    keys: Keys,
    run: RunId,
}

impl<'a> Rotation<'a> {
    fn of(town: &'a Town) -> Self {
        Self { town, keys: town.rotate(), run: RunId::random().unwrap() }
    }

    fn go(&self, place: &Place, path: &KeyringPath, observer: &dyn RunObserver) -> Result<RunReport> {
        let kek = &self.town.registry.kek;
        let (run, verb) = (self.run, Verb::Rotate);
        match (Drive { place, path, kek, run, verb, lanes: 1, batch_rows: 50 }).go(observer)? {
            Ended::Done(report) => Ok(*report),
            other => panic!("{other:?}"),
        }
    }

    fn on(&self, observer: &dyn RunObserver) -> Result<RunReport> {
        self.go(&self.town.place, &self.town.registry.path, observer)
    }

    /// The run stops at a fault that strikes after its third batch, and says this.
    fn fails(&self, strike: impl FnOnce() + Send, kind: Kind, remedy: &str) {
        told(&self.on(&AtThird::new(strike)).unwrap_err(), kind, remedy);
        self.town.all_is_there(&[]);
    }

    /// The cause is mended: the run comes to its end, and what it says is so.
    fn ends(&self, broken: &[usize]) -> RunReport {
        let report = self.on(&Quiet).unwrap();
        self.adds_up(&report, broken);
        report
    }

    fn adds_up(&self, report: &RunReport, broken: &[usize]) {
        let bad = u64::try_from(broken.len()).unwrap();
        let (worked, checked) = (&report.worked, &report.checked);
        assert_eq!((worked.rows, worked.refused_rows), (300, bad), "{report:?}");
        assert_eq!((checked.rows, checked.refused_rows, checked.kept), (300, bad, CELLS - 2 * bad));
        assert_eq!((worked.resealed + worked.kept, worked.late, worked.gone), (CELLS - 2 * bad, 0, 0));
        let after = report.keys().into_iter().find(|(id, _)| *id == self.keys.field).unwrap().1.after;
        assert_eq!(after, CELLS - 2 * bad);
        self.town.all_is_there(broken);
    }
}

impl Town {
    /// Every row opens to its value, but some.
    fn all_is_there(&self, broken: &[usize]) {
        let seen = self.read().unwrap();
        assert_eq!((seen.values.len(), seen.refused.len()), (ROWS - broken.len(), broken.len()));
        for row in (0..ROWS).filter(|row| !broken.contains(row)) {
            assert!(seen.values[&id(row)] == [cnic(row), name(row, 0)], "row {row} is not what it was");
        }
    }
}

/// A typed error that says what to do, and holds no value.
fn told(error: &Error, kind: Kind, remedy: &str) {
    let source = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    let text = format!("{error}; {source}");
    assert_eq!(error.kind(), kind, "{text}");
    assert!(text.contains(remedy), "{text}");
    assert!(
        !text.contains("99901-") && !text.contains("علی") && !text.contains("r-"),
        "a value is shown: {text}"
    );
}

/// The table is moved to a small disk.
fn on_disk_sqlite() -> (Disk, Town) {
    let mut town = over_sqlite();
    let disk = Disk::mount(town.registry.folder.path());
    let file = disk.path().join("citizens.db");
    std::fs::copy(&town.target, &file).unwrap();
    town.target = file.to_str().unwrap().to_owned();
    town.place = Place::of(&town.target);
    (disk, town)
}

#[test]
fn a_full_disk_stops_the_run_and_nothing_is_lost() {
    let (disk, town) = on_disk_sqlite();
    let rotation = Rotation::of(&town);
    rotation.fails(|| disk.fill(), Kind::Store, "make room on the disk and run again");
    disk.make_room();
    rotation.ends(&[]);

    let town = over_postgres();
    let disk = Disk::mount(&server().ca_file());
    town.sql(&format!("CREATE TABLESPACE small LOCATION '{}'", disk.path().display()));
    town.sql("ALTER TABLE citizens SET TABLESPACE small");
    let rotation = Rotation::of(&town);
    rotation.fails(|| disk.fill(), Kind::Store, "the server's disk is full; make room and run again");
    disk.make_room();
    rotation.ends(&[]);
    town.sql("ALTER TABLE citizens SET TABLESPACE pg_default");
    town.sql("DROP TABLESPACE small");
}

#[test]
fn a_database_that_becomes_read_only_stops_the_run_and_nothing_is_lost() {
    let (disk, town) = on_disk_sqlite();
    let rotation = Rotation::of(&town);
    // A disk is not made read-only under a file that is being written, so the run is stopped meanwhile.
    let enough = || Error::misuse("enough");
    assert!(rotation.on(&StopsAfter(AtThird::new(|| ()), enough)).is_err());
    disk.remount("ro");
    told(&rotation.on(&Quiet).unwrap_err(), Kind::Store, "this user must be allowed to write it");
    town.all_is_there(&[]);
    disk.remount("rw");
    rotation.ends(&[]);

    let town = over_postgres();
    let rotation = Rotation::of(&town);
    let database = town.target.rsplit('/').next().unwrap();
    let read_only = || {
        town.sql(&format!("ALTER DATABASE {database} SET default_transaction_read_only = on"));
        cut(&town);
    };
    rotation.fails(read_only, Kind::Store, "the database is read-only");
    let mut admin = server().client("postgres");
    admin.batch_execute(&format!("ALTER DATABASE {database} RESET default_transaction_read_only")).unwrap();
    rotation.ends(&[]);
}

/// Ends every other connection to the database.
fn cut(town: &Town) {
    town.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
    );
}

#[test]
fn a_connection_that_is_cut_is_replaced_and_no_batch_is_counted_twice() {
    let town = over_postgres();
    let rotation = Rotation::of(&town);
    let observer = AtThird::new(|| cut(&town));
    let report = rotation.on(&observer).unwrap();
    assert!(observer.again.load(Ordering::SeqCst) > 0);
    rotation.adds_up(&report, &[]);
}

#[test]
fn a_connection_that_is_cut_at_a_commit_is_replaced_and_the_journal_tells_whether_it_was_one() {
    for how in [Cut::Before, Cut::After] {
        let town = over_postgres();
        let rotation = Rotation::of(&town);
        let database = town.target.rsplit('/').next().unwrap();
        let proxy = Proxy::to(server().port(), how);
        let direct = server().url(database);
        let through = direct.replace(&format!(":{}/", server().port()), &format!(":{}/", proxy.port));
        assert_ne!(through, direct);
        // The commits of a plan are counted too, so it is planned beside the proxy.
        let planned = AtThird::new(|| ());
        assert!(rotation.on(&StopsAt(&planned)).is_err());
        let observer = AtThird::new(|| ());
        let report = rotation.go(&Place::of(&through), &town.registry.path, &observer).unwrap();
        assert!(proxy.has_cut() && observer.again.load(Ordering::SeqCst) > 0, "{how:?}");
        rotation.adds_up(&report, &[]);
    }
}

/// Stops a run as soon as it is planned.
struct StopsAt<'a, F>(&'a AtThird<F>);

impl<F: FnOnce() + Send> RunObserver for StopsAt<'_, F> {
    fn step(&self, step: &Step<'_>) -> Result<()> {
        if matches!(step, Step::Planned) { Err(Error::misuse("enough")) } else { self.0.step(step) }
    }
}

#[test]
fn a_server_that_forgot_a_batch_is_noticed_and_the_run_goes_on_where_it_stands() {
    let town = over_postgres();
    let rotation = Rotation::of(&town);
    let forget = || {
        town.sql("UPDATE amanat_run_range SET position = '[\"r-1\"]'");
        cut(&town);
    };
    // The tally is not taken back here, so the counts of this run say nothing.
    told(&rotation.on(&AtThird::new(forget)).unwrap_err(), Kind::Store, "resume the run");
    town.all_is_there(&[]);
    let report = rotation.on(&Quiet).unwrap();
    assert_eq!((report.checked.rows, report.checked.kept, report.worked.late), (300, CELLS, 0));
    town.all_is_there(&[]);
}

#[test]
fn damaged_rows_and_rows_under_unknown_keys_are_listed_once_and_come_after_their_repair() {
    for mut town in towns() {
        let stranger = over_sqlite();
        let before = town.cells();
        let foreign = stranger.cells().remove(&id(7)).unwrap()[1].clone().unwrap();
        town.damage(100);
        town.sql(&format!("UPDATE citizens SET name = '{foreign}' WHERE id = '{}'", id(200)));
        let rotation = Rotation::of(&town);
        let report = rotation.ends(&[100, 200]);
        assert_eq!(report.checked.unauthentic, 1);
        let (_, exceptions) = town.place.run(rotation.run);
        let mut listed: Vec<(&str, &str)> =
            exceptions.iter().map(|row| (row.kind.as_str(), row.field.as_deref().unwrap())).collect();
        listed.sort_unstable();
        assert_eq!(listed, [("unauthentic", "name"), ("unknown-key", "name")], "{exceptions:?}");
        for row in [100, 200] {
            let repaired = before[&id(row)][1].as_deref().unwrap();
            town.sql(&format!("UPDATE citizens SET name = '{repaired}' WHERE id = '{}'", id(row)));
        }
        Rotation::of(&town).ends(&[]);
    }
}

#[test]
fn a_row_that_is_damaged_between_reading_and_writing_is_told_at_its_own_number() {
    for town in towns() {
        let (rotation, refused) = (Rotation::of(&town), Mutex::new(Vec::new()));
        // After the third batch the fourth was read: rows 151 to 200, in SQLite by rowid and else in the order of their ids.
        let by_id = town.cells().into_keys().nth(170).unwrap();
        let row = if matches!(town.place, Place::Sqlite(_)) { id(170) } else { by_id };
        let damage = format!("UPDATE citizens SET name = substr(name, 1, 60) WHERE id = '{row}'");
        let third = AtThird::new(|| town.sql(&damage));
        rotation.on(&Refusals(&third, &refused)).unwrap();
        // By the stage of rows and by the check.
        assert_eq!(*refused.lock().unwrap(), [Some(171), Some(171)]);
    }
}

/// Keeps the numbers of refused rows.
struct Refusals<'a, F>(&'a AtThird<F>, &'a Mutex<Vec<Option<u64>>>);

impl<F: FnOnce() + Send> RunObserver for Refusals<'_, F> {
    fn step(&self, step: &Step<'_>) -> Result<()> {
        if let Step::Refused(fault) = step {
            self.1.lock().unwrap().push(fault.row());
        }
        self.0.step(step)
    }
}

#[test]
fn an_index_that_goes_stale_behind_the_run_is_listed_by_its_check_and_mended_by_the_next_rotation() {
    for town in towns() {
        let rotation = Rotation::of(&town);
        let stale = format!(
            "UPDATE citizens SET name_index = (SELECT name_index FROM citizens WHERE id = '{}') WHERE id = '{}'",
            id(1),
            id(0)
        );
        let report = rotation.on(&AtThird::new(|| town.sql(&stale))).unwrap();
        assert_eq!((report.checked.rows, report.checked.refused_rows, report.worked.late), (300, 1, 0));
        let (_, exceptions) = town.place.run(rotation.run);
        let [stale] = exceptions.as_slice() else { panic!("{exceptions:?}") };
        assert_eq!((stale.kind.as_str(), stale.field.as_deref()), ("schema", Some("by-name")));
        assert!(stale.message.contains("remake"), "{}", stale.message);
        town.all_is_there(&[]);
        Rotation::of(&town).ends(&[]);
    }
}

#[test]
fn a_keyring_that_lost_its_newest_keys_is_refused() {
    for town in towns() {
        let path = &town.registry.path;
        let (old, kept) = (town.registry.folder.path().join("old"), town.registry.folder.path().join("kept"));
        std::fs::copy(path.path(), &old).unwrap();
        let rotation = Rotation::of(&town);
        let enough = || Error::misuse("enough");
        assert!(rotation.on(&StopsAfter(AtThird::new(|| ()), enough)).is_err());
        std::fs::copy(path.path(), &kept).unwrap();
        std::fs::copy(&old, path.path()).unwrap();
        // This machine has pinned the newer one.
        told(&rotation.on(&Quiet).unwrap_err(), Kind::Rollback, "find the newer one");
        std::fs::copy(&kept, path.path()).unwrap();
        town.all_is_there(&[]);
        rotation.ends(&[]);
    }
}

/// Stops a run after its third batch.
struct StopsAfter<F, E>(AtThird<F>, E);

impl<F: FnOnce() + Send, E: Fn() -> Error + Sync> RunObserver for StopsAfter<F, E> {
    fn step(&self, step: &Step<'_>) -> Result<()> {
        self.0.step(step)?;
        if self.0.batches.load(Ordering::SeqCst) >= 3 { Err((self.1)()) } else { Ok(()) }
    }
}

#[test]
fn a_table_that_loses_or_renames_a_column_stops_the_run_and_nothing_is_lost() {
    for (drift, back) in [
        (
            "ALTER TABLE citizens RENAME COLUMN name_index TO term",
            "ALTER TABLE citizens RENAME COLUMN term TO name_index",
        ),
        ("ALTER TABLE citizens RENAME TO people", "ALTER TABLE people RENAME TO citizens"),
        (
            "DROP INDEX citizens_by_name; ALTER TABLE citizens DROP COLUMN name_index",
            "ALTER TABLE citizens ADD COLUMN name_index TEXT",
        ),
    ] {
        for town in towns() {
            let rotation = Rotation::of(&town);
            let error = rotation.on(&AtThird::new(|| town.sql(drift))).unwrap_err();
            assert!(error.kind() == Kind::Schema, "{drift}: {error}");
            town.sql(back);
            town.all_is_there(&[]);
            let report = rotation.on(&Quiet).unwrap();
            assert_eq!(
                (report.worked.rows, report.checked.rows, report.checked.kept),
                (300, 300, CELLS),
                "{drift}"
            );
            assert_eq!(report.checked.terms_made + report.checked.terms_kept, CELLS, "{drift}");
            town.all_is_there(&[]);
        }
    }
}
