// SPDX-License-Identifier: MIT OR Apache-2.0
//! Kills workers, and looks after each kill and each resume whether anything was lost.

use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use amanat::rotate::{Phase, RunId};
use amanat::{Envelope, Finder, KeyId, Record as _, SealedField, ValueRef};
use amanat_stores::run::RunReport;

use super::town::{Keys, Town, cnic, id, name};
use super::worker::Worker;
use super::writer::Writer;
use crate::service::Citizen;

/// Sealed fields, and indexes, of a row.
const COLUMNS: u64 = 2;
/// Tests that share the kills.
const TESTS: u32 = 4;

/// What a test has done and found.
#[derive(Default)]
pub(crate) struct Proof {
    name: &'static str,
    wanted: u32,
    kills: u32,
    runs: u32,
    resumes: u32,
    rows: u64,
    writes: u64,
    lost: u64,
    unreadable: u64,
    miscounted: u64,
    /// Milliseconds within which a worker is killed.
    within: u64,
}

impl Proof {
    pub(crate) fn new(name: &'static str) -> Self {
        let kills = std::env::var("AMANAT_TORTURE_KILLS").map_or(100, |kills| kills.parse::<u32>().unwrap());
        Self { name, wanted: kills.div_ceil(TESTS), within: 1_000, ..Self::default() }
    }

    pub(crate) const fn is_enough(&self) -> bool {
        self.kills >= self.wanted
    }

    /// Runs that are killed after their first step, after their second, and so on until one gets through.
    pub(crate) fn after_every_step(&mut self, town: &Town) {
        for step in 1.. {
            let (keys, run) = self.begin(town);
            let mut worker = Worker::start(town, run, 1, Some(step));
            let gets_through = worker.gets_through();
            if !gets_through {
                self.killed(town, &town.names);
                self.resumes += 1;
                let mut worker = Worker::start(town, run, 1, None);
                assert!(worker.gets_through(), "{}", worker.errors());
            }
            self.settle(town, keys, run, None);
            if gets_through {
                assert!(step > 10, "a run has more steps than that");
                return;
            }
        }
    }

    /// A run that is killed at random moments, beside an application that writes or alone.
    pub(crate) fn at_random_moments(&mut self, town: &mut Town, lanes: usize, writes: bool) {
        let writer = Writer::new(town);
        let writes = writes && self.runs.is_multiple_of(2);
        thread::scope(|scope| {
            let writing = writes.then(|| scope.spawn(|| writer.work(town)));
            let over = Over(&writer);
            let (keys, run) = self.begin(town);
            loop {
                let mut worker = Worker::start(town, run, lanes, None);
                thread::sleep(Duration::from_millis(random_below(self.within)));
                if self.is_enough() || !worker.kill() {
                    assert!(worker.gets_through(), "{}", worker.errors());
                    break;
                }
                self.killed(town, &writer.names.lock().unwrap());
                self.resumes += 1;
            }
            drop(over);
            writing.into_iter().for_each(|writing| writing.join().unwrap().unwrap());
            self.settle(town, keys, run, Some(&writer));
        });
        town.names = writer.names.into_inner().unwrap();
    }

    /// A run whose server is killed and started again, sometimes with the worker; else the worker has to go on by itself.
    pub(crate) fn with_the_server(&mut self, town: &Town, lanes: usize, mut crash: impl FnMut()) {
        let (keys, run) = self.begin(town);
        let mut worker = Worker::start(town, run, lanes, None);
        loop {
            thread::sleep(Duration::from_millis(random_below(self.within)));
            if self.is_enough() || worker.has_ended() {
                if worker.gets_on() {
                    break;
                }
                self.resumes += 1;
                worker = Worker::start(town, run, lanes, None);
                continue;
            }
            let power_cut = self.kills.is_multiple_of(2) && worker.kill();
            crash();
            self.killed(town, &town.names);
            if power_cut {
                self.resumes += 1;
                worker = Worker::start(town, run, lanes, None);
            }
        }
        self.settle(town, keys, run, None);
    }

    /// Prints what was done, and fails if anything was found.
    pub(crate) fn end(self) {
        let Self { name, kills, runs, resumes, rows, writes, lost, unreadable, miscounted, .. } = self;
        let line = format!(
            "{name:<26}{kills:>7}{runs:>7}{resumes:>9}{rows:>11}{writes:>8}{lost:>6}{unreadable:>12}{miscounted:>15}\n"
        );
        print!("torture: {line}");
        if let Some(file) = std::env::var_os("AMANAT_TORTURE_SUMMARY") {
            let mut file = std::fs::File::options().append(true).create(true).open(file).unwrap();
            file.write_all(line.as_bytes()).unwrap();
        }
        assert_eq!((lost, unreadable, miscounted), (0, 0, 0), "lost, unreadable, counted wrongly");
    }

    fn begin(&mut self, town: &Town) -> (Keys, RunId) {
        self.runs += 1;
        (town.rotate(), RunId::random().unwrap())
    }

    /// Opens every row after a kill.
    fn killed(&mut self, town: &Town, names: &[u64]) {
        self.kills += 1;
        self.read(town, names);
    }

    /// Every row is there with its value and opens, but those that were damaged.
    fn read(&mut self, town: &Town, names: &[u64]) {
        let seen = town.read().unwrap();
        self.rows += u64::try_from(names.len()).unwrap();
        self.unreadable += u64::try_from(seen.refused.len().abs_diff(town.broken.len())).unwrap();
        for (row, version) in names.iter().enumerate().filter(|(row, _)| !town.broken.contains(row)) {
            let values = seen.values.get(&id(row));
            if values.is_none_or(|[number, text]| *number != cnic(row) || *text != name(row, *version)) {
                eprintln!("{}: row {row} is not what it was", self.name);
                self.lost += 1;
            }
        }
        self.lost += u64::try_from((seen.values.len() + seen.refused.len()).abs_diff(names.len())).unwrap();
    }

    /// Looks at a table whose run is done, and at what the journal says of it.
    fn settle(&mut self, town: &Town, keys: Keys, run: RunId, writer: Option<&Writer>) {
        let names = writer.map_or_else(|| town.names.clone(), |writer| writer.names.lock().unwrap().clone());
        let writes = writer.map_or(0, |writer| writer.writes.load(Ordering::SeqCst));
        self.writes += writes;
        self.read(town, &names);
        let truth = Truth::of(town, keys, &names);
        self.unreadable += truth.stale;
        let (run, exceptions) = town.place.run(run);
        let report = RunReport::of(&run, Phase::Done);
        let is_again =
            |place: usize| exceptions[..place].iter().any(|row| row.position == exceptions[place].position);
        let listed_once = (0..exceptions.len()).all(|place| !is_again(place));
        let faults = [
            ("it is done", run.phase == Phase::Done && run.report == Some(report.to_json())),
            ("exceptions", listed_once && exceptions.len() == town.broken.len()),
            ("rows", truth.adds_up(&report)),
            (
                "cells",
                if writes == 0 { truth.is_exactly(&report, keys) } else { truth.is_within(&report, keys) },
            ),
        ];
        for (what, _) in faults.iter().filter(|(_, holds)| !holds) {
            eprintln!("{}: {what}: {report:?}", self.name);
            self.miscounted += 1;
        }
    }
}

/// Ends the application, also when the test fails.
struct Over<'a>(&'a Writer);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::SeqCst);
    }
}

/// What a table holds after a run.
struct Truth {
    rows: u64,
    broken: u64,
    /// Cells that are not under the new keys.
    stale: u64,
}

impl Truth {
    fn of(town: &Town, keys: Keys, names: &[u64]) -> Self {
        let (cells, keyring) = (town.cells(), town.registry.path.unlock(&town.registry.kek).unwrap());
        let primary = keyring.index_keys().unwrap().primary();
        assert_eq!((keyring.field_keys().unwrap().primary(), primary), (keys.field, keys.index));
        let [mut by_cnic, mut by_name] =
            ["by-cnic", "by-name"].map(|index| Citizen::finder(&keyring, index).unwrap());
        let mut stale = 0;
        for (row, version) in names.iter().enumerate().filter(|(row, _)| !town.broken.contains(row)) {
            let Some([number, text, number_index, text_index]) = cells.get(&id(row)) else { continue };
            let right = [
                key(number) == Some(keys.field),
                key(text) == Some(keys.field),
                *number_index == Some(term(&mut by_cnic, &cnic(row))),
                *text_index == Some(term(&mut by_name, &name(row, *version))),
            ];
            stale += u64::try_from(right.iter().filter(|right| !**right).count()).unwrap();
        }
        let count = |number: usize| u64::try_from(number).unwrap();
        Self { rows: count(cells.len()), broken: count(town.broken.len()), stale }
    }

    /// Every row was worked on once and checked once.
    fn adds_up(&self, report: &RunReport) -> bool {
        let (worked, checked) = (&report.worked, &report.checked);
        (worked.rows, worked.refused_rows, worked.gone) == (self.rows, self.broken, 0)
            && (checked.rows, checked.refused_rows, checked.gone) == (self.rows, self.broken, 0)
            && report.ranges.iter().sum::<u64>() == report.ranges[2]
    }

    fn cells(&self) -> u64 {
        COLUMNS * (self.rows - self.broken)
    }

    /// Where nobody else wrote, every count is known.
    fn is_exactly(&self, report: &RunReport, keys: Keys) -> bool {
        let (worked, checked, cells) = (&report.worked, &report.checked, self.cells());
        let sealed =
            |key: KeyId| worked.keys.iter().find(|count| count.key == key).map_or(0, |count| count.sealed);
        let changes = report.keys();
        let change =
            |key| changes.iter().find(|(id, _)| *id == key).map(|(_, change)| (change.before, change.after));
        let others: Vec<_> =
            changes.iter().filter(|(id, _)| *id != keys.field).map(|(_, change)| change).collect();
        (worked.resealed, worked.kept, worked.sealed, worked.late, worked.read_again) == (cells, 0, 0, 0, 0)
            && (worked.terms_made, worked.terms_kept) == (cells, 0)
            && (checked.kept, checked.resealed, checked.terms_kept, checked.terms_made)
                == (cells, 0, cells, 0)
            && sealed(keys.field) == cells
            && change(keys.field) == Some((0, cells))
            && others.iter().map(|change| change.before).sum::<u64>() == cells
            && others.iter().all(|change| change.after == 0)
    }

    /// Where an application wrote, a row may have come to the new keys by itself, or again to the old ones.
    fn is_within(&self, report: &RunReport, keys: Keys) -> bool {
        let (worked, checked, cells) = (&report.worked, &report.checked, self.cells());
        let changes = report.keys();
        let within = |count: u64| (cells..=cells + COLUMNS * worked.late).contains(&count);
        within(worked.resealed + worked.kept)
            && within(worked.terms_made + worked.terms_kept)
            && checked.kept + checked.resealed == cells
            && checked.terms_kept + checked.terms_made == cells
            && changes.iter().map(|(_, change)| change.before).sum::<u64>() == worked.resealed + worked.kept
            && changes.iter().map(|(_, change)| change.after).sum::<u64>() == cells
            && changes.iter().all(|(id, change)| *id == keys.field || change.after == 0)
    }
}

/// The key that a cell names.
fn key(cell: &Option<String>) -> Option<KeyId> {
    let sealed = SealedField::from_text(cell.as_deref()?).ok()?;
    Envelope::parse(sealed.as_bytes()).ok().map(|envelope| envelope.key())
}

/// The term under the primary.
fn term(finder: &mut Finder, value: &str) -> String {
    finder.search(&[ValueRef::Text(value)]).unwrap().terms()[0].to_text()
}

/// A number in an order that no two runs of the tests share.
pub(crate) fn random_below(limit: u64) -> u64 {
    static STATE: AtomicU64 = AtomicU64::new(0);
    if STATE.load(Ordering::SeqCst) == 0 {
        let seed = RunId::random().unwrap().to_string();
        STATE.store(u64::from_str_radix(&seed[..15], 16).unwrap() | 1, Ordering::SeqCst);
    }
    // SplitMix64.
    let state = STATE.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::SeqCst);
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((mixed ^ (mixed >> 31)) >> 16) % limit
}
