// SPDX-License-Identifier: MIT OR Apache-2.0
//! Protecting and rotating a SQLite table with six sealed fields, each beside a bare program: select pages of 10,000 rows and write the same bytes
//! to the same columns by rowid, in transactions of 10,000 rows, with the same PRAGMAs. The bare program compares nothing and checks nothing.
//!
//! `cargo bench -p amanat-stores --bench sqlite` runs 200,000 rows; `AMANAT_BENCH_ROWS=1000000` sets another number, `AMANAT_BENCH_ENCODING=text` the
//! text form, `AMANAT_BENCH_JOURNAL=delete` a rollback journal in place of a write-ahead log. Bound and subject in turn, median of the ratios, by two
//! clocks: CPU time of the thread that has the connection, which is the limit where a second core seals; and wall time. All records are invented.

#![allow(
    missing_docs,
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss
)]

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use amanat::error::Result;
use amanat::keys::{KeyFile, Keyring, NewSlot, Purpose};
use amanat::rotate::{Phase, RunId, RunPlan, RunSource, Verb};
use amanat::schema::Schema;
use amanat::{Name, Timestamp};
use amanat_stores::run::{Ended, RunObserver, RunOptions, Runner, Step};
use amanat_stores::sqlite::SqliteStore;
use amanat_stores::{KeyringPath, KeyringSession, Source};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, params};
use rustix::time::{ClockId, clock_gettime};

const RUNS: usize = 7;
const BATCH: usize = 10_000;
const COLUMNS: [&str; 6] = ["cnic", "given_name", "family_name", "birth_date", "address", "phone"];

fn now() -> Result<Timestamp> {
    Timestamp::from_unix_seconds(1_800_000_000)
}

fn setting(name: &str, otherwise: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| otherwise.to_owned())
}

/// CPU time of this thread, CPU time of the process, wall time, in seconds.
#[derive(Clone, Copy)]
struct Clocks([f64; 3]);

impl Clocks {
    fn now(since: Instant) -> Self {
        let cpu = |id| {
            let time = clock_gettime(id);
            time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
        };
        Self([cpu(ClockId::ThreadCPUTime), cpu(ClockId::ProcessCPUTime), since.elapsed().as_secs_f64()])
    }

    fn since(self, start: Self) -> Self {
        Self(std::array::from_fn(|place| self.0[place] - start.0[place]))
    }
}

/// Notes when the rows were done and the check begins. A run of one lane tells its steps on the thread of its caller.
struct Watch(Instant, Mutex<Option<Clocks>>);

impl RunObserver for Watch {
    fn step(&self, step: &Step<'_>) -> Result<()> {
        match step {
            Step::Phase(Phase::Verifying) => *self.1.lock().unwrap() = Some(Clocks::now(self.0)),
            Step::Refused(fault) => panic!("{fault}"),
            _ => {}
        }
        Ok(())
    }
}

struct Registry {
    path: KeyringPath,
    kek: KeyFile,
    schema: Schema,
}

impl Registry {
    fn new(folder: &Path, encoding: &str) -> Self {
        let kek = KeyFile::generate().unwrap();
        let slot = NewSlot { label: "bench", kek: &kek };
        let mut keyring = Keyring::create(Name::new("bench").unwrap(), &slot, now().unwrap()).unwrap();
        let path = KeyringPath::open(folder.join("bench.keyring"));
        path.create(&mut keyring, now().unwrap()).unwrap();
        let fields = COLUMNS.map(|column| format!("{{ name = \"{column}\", mode = \"sealed\" }}")).join(", ");
        let schema = format!(
            "format = \"amanat-schema\"\nversion = 1\n[[table]]\nname = \"citizens\"\nrecord_id = [\"id\"]\n\
             encoding = \"{encoding}\"\nfield = [{fields}, {{ name = \"district\", mode = \"clear\" }}]\n"
        );
        Self { path, kek, schema: Schema::from_toml(&schema).unwrap() }
    }

    fn rotate(&self) {
        let change = |keyring: &mut Keyring| {
            let id = keyring.add_key(Purpose::Field, 365, now()?)?;
            keyring.activate(id, now()?)
        };
        self.path.update(&self.kek, now().unwrap(), change).unwrap();
    }

    /// Runs over the table; gives what the rows took, and what the check after them took.
    fn run(&self, file: &Path, verb: Verb) -> (Clocks, Clocks) {
        let table = &self.schema.tables()[0];
        let session = KeyringSession::unlock(&self.path, &self.kek, &now).unwrap();
        let store = SqliteStore::new(file, "citizens", table);
        let stop = AtomicBool::new(false);
        let mut options = RunOptions::new(&stop);
        options.threads = NonZeroUsize::new(setting("AMANAT_BENCH_THREADS", "1").parse().unwrap()).unwrap();
        options.batch_rows = (BATCH, BATCH);
        let source = if verb == Verb::Rotate { Source::SealedOnly } else { Source::Any };
        let runner = Runner::new(&store, &session, table, source, options);
        let plan = RunPlan {
            id: RunId::random().unwrap(),
            verb,
            registry: Name::new("bench").unwrap(),
            table: table.name().clone(),
            store_table: "citizens".to_owned(),
            schema: String::new(),
            former_schema: None,
            source: RunSource::Any,
            remade: Vec::new(),
            foreign: Vec::new(),
            primary: session.primary(),
            planned: now().unwrap(),
        };
        let begun = Instant::now();
        let watch = Watch(begun, Mutex::new(None));
        runner.plan(&plan, &watch).unwrap();
        let start = Clocks::now(begun);
        let ended = runner.go(&plan.id.to_string(), &watch).unwrap();
        let end = Clocks::now(begun);
        assert!(matches!(ended, Ended::Done(report) if report.worked.refused_rows == 0));
        session.give_back().unwrap();
        let written = watch.1.lock().unwrap().unwrap();
        (written.since(start), end.since(written))
    }
}

/// Rows of 13+20+20+10+60+13 bytes in six columns.
fn fill(file: &Path, rows: i64, kind: &str) {
    let connection = Connection::open(file).unwrap();
    connection.pragma_update(None, "journal_mode", setting("AMANAT_BENCH_JOURNAL", "wal")).unwrap();
    let columns = COLUMNS.map(|column| format!("{column} {kind}")).join(", ");
    let table = format!("CREATE TABLE citizens (id INTEGER PRIMARY KEY, {columns}, district TEXT); BEGIN");
    connection.execute_batch(&table).unwrap();
    let mut insert = connection
        .prepare(
            "INSERT INTO citizens VALUES (?1, printf('%013d', ?1 * 7919), printf('given %014d', ?1), printf('family %013d', ?1),
             printf('19%02d-%02d-%02d', ?1 % 100, ?1 % 12 + 1, ?1 % 28 + 1),
             printf('house %08d street %08d sector %08d district %010d', ?1, ?1 % 977, ?1 % 83, ?1 % 131), printf('+92300%07d', ?1 % 10000000), 'Lahore')",
        )
        .unwrap();
    (1..=rows).for_each(|id| assert_eq!(insert.execute(params![id]).unwrap(), 1));
    drop(insert);
    connection.execute_batch("COMMIT").unwrap();
    settle(connection);
}

/// Brings everything into the file itself, so that it can be copied.
fn settle(connection: Connection) {
    let row = |_: &rusqlite::Row<'_>| Ok(());
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], row).unwrap();
    connection.close().unwrap();
}

/// Bytes of rows, one after the other: id, cells.
#[derive(Default)]
struct Held {
    ids: Vec<i64>,
    /// Whether a cell is text, and where its bytes end.
    ends: Vec<(bool, usize)>,
    bytes: Vec<u8>,
}

impl Held {
    fn push(&mut self, row: &rusqlite::Row<'_>) {
        self.ids.push(row.get_ref(0).unwrap().as_i64().unwrap());
        for place in 1..=COLUMNS.len() {
            let value = row.get_ref(place).unwrap();
            self.bytes.extend_from_slice(value.as_bytes().unwrap());
            self.ends.push((matches!(value, ValueRef::Text(_)), self.bytes.len()));
        }
    }

    fn cell(&self, row: usize, column: usize) -> ValueRef<'_> {
        let place = row * COLUMNS.len() + column;
        let start = place.checked_sub(1).map_or(0, |before| self.ends[before].1);
        let (text, end) = self.ends[place];
        let bytes = &self.bytes[start..end];
        if text { ValueRef::Text(bytes) } else { ValueRef::Blob(bytes) }
    }

    fn page(&mut self, connection: &Connection, after: i64) {
        self.ids.clear();
        self.ends.clear();
        self.bytes.clear();
        let columns = COLUMNS.join(", ");
        let select = format!("SELECT id, {columns} FROM citizens WHERE id > ?1 ORDER BY id LIMIT {BATCH}");
        let mut select = connection.prepare_cached(&select).unwrap();
        let mut found = select.query([after]).unwrap();
        while let Some(row) = found.next().unwrap() {
            self.push(row);
        }
    }
}

/// Selects and writes every row of `file`, with the cells of the same rows of `new`, which are read outside of the measured time.
fn bare(file: &Path, new: &Path, secure_delete: bool) -> Clocks {
    let begun = Instant::now();
    let (connection, new) = (Connection::open(file).unwrap(), Connection::open(new).unwrap());
    connection.pragma_update(None, "secure_delete", secure_delete).unwrap();
    let set: Vec<String> =
        COLUMNS.iter().zip(2..).map(|(column, hole)| format!("{column} = ?{hole}")).collect();
    let update = format!("UPDATE citizens SET {} WHERE id = ?1", set.join(", "));
    let (mut old, mut cells, mut total, mut after) = (Held::default(), Held::default(), [0.0; 3], 0);
    loop {
        cells.page(&new, after);
        let start = Clocks::now(begun);
        old.page(&connection, after);
        let Some(last) = old.ids.last() else { break };
        after = *last;
        assert_eq!(old.ids, cells.ids);
        connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        let mut update = connection.prepare_cached(&update).unwrap();
        for (row, id) in old.ids.iter().enumerate() {
            update.raw_bind_parameter(1, id).unwrap();
            for column in 0..COLUMNS.len() {
                let cell = ToSqlOutput::Borrowed(cells.cell(row, column));
                update.raw_bind_parameter(column + 2, cell).unwrap();
            }
            assert_eq!(update.raw_execute().unwrap(), 1);
        }
        drop(update);
        connection.execute_batch("COMMIT").unwrap();
        let took = Clocks::now(begun).since(start);
        total.iter_mut().zip(took.0).for_each(|(sum, more)| *sum += more);
    }
    Clocks(total)
}

/// What a round gave: the run's rows, its check, the bare program, the bare program without `secure_delete`.
type Round = [Clocks; 4];

fn round(registry: &Registry, base: &Path, folder: &Path, verb: Verb) -> Round {
    let [file, copy] = ["run.db", "bare.db"].map(|name| folder.join(name));
    let fresh = |path: &PathBuf| {
        for suffix in ["-wal", "-shm"] {
            drop(fs::remove_file(format!("{}{suffix}", path.display())));
        }
        fs::copy(base, path).unwrap();
        fs::File::open(path).unwrap().sync_all().unwrap();
    };
    fresh(&file);
    let (written, checked) = registry.run(&file, verb);
    fresh(&copy);
    let bound = bare(&copy, &file, true);
    fresh(&copy);
    let loose = bare(&copy, &file, false);
    [written, checked, bound, loose]
}

fn print(name: &str, rows: i64, rounds: &[Round]) {
    let spread = |of: &dyn Fn(&Round) -> f64| {
        let mut all: Vec<f64> = rounds.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        (all[all.len() / 2], all[0], all[all.len() - 1])
    };
    println!("{name}");
    for (clock, of) in ["CPU of the connection's thread", "wall time"].into_iter().zip([0, 2]) {
        let rate = |place: usize| rows as f64 / spread(&|round| round[place].0[of]).0;
        println!("  by {clock}:");
        println!(
            "    bare select + update               {:>9.0} rows/s ({:.0} without secure_delete)",
            rate(2),
            rate(3)
        );
        println!(
            "    amanat, rows                       {:>9.0} rows/s; its check {:.0} rows/s",
            rate(0),
            rate(1)
        );
        let (median, least, most) = spread(&|round| round[2].0[of] / round[0].0[of]);
        let met = if median >= 0.8 { "met" } else { "MISSED" };
        println!(
            "    rows against bare                  {:>9.0} % ({:.0}-{:.0})  goal 80 % {met}",
            median * 100.0,
            least * 100.0,
            most * 100.0
        );
        let (whole, least, most) = spread(&|round| round[2].0[of] / (round[0].0[of] + round[1].0[of]));
        println!(
            "    rows and check against bare        {:>9.0} % ({:.0}-{:.0})",
            whole * 100.0,
            least * 100.0,
            most * 100.0
        );
    }
    let (cpu, ..) = spread(&|round| round[0].0[1] / round[0].0[0]);
    println!("  CPU of all threads, rows: {cpu:.2} times that of the connection's thread");
}

fn main() {
    let rows: i64 = setting("AMANAT_BENCH_ROWS", "200000").parse().unwrap();
    let encoding = setting("AMANAT_BENCH_ENCODING", "binary");
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::new(folder.path(), &encoding);
    let [plain, sealed] = ["plain.db", "sealed.db"].map(|name| folder.path().join(name));
    fill(&plain, rows, if encoding == "text" { "TEXT" } else { "BLOB" });
    fs::copy(&plain, &sealed).unwrap();
    registry.run(&sealed, Verb::Protect);
    settle(Connection::open(&sealed).unwrap());
    registry.rotate();
    println!(
        "SQLite table of {rows} rows, six sealed fields in {encoding} form, transactions of {BATCH}, median of {RUNS} runs in turn"
    );
    let (mut protect, mut rotate) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        protect.push(round(&registry, &plain, folder.path(), Verb::Protect));
        rotate.push(round(&registry, &sealed, folder.path(), Verb::Rotate));
    }
    print("protect: plain columns are sealed", rows, &protect);
    print("rotate: sealed columns get a new key", rows, &rotate);
}
