// SPDX-License-Identifier: MIT OR Apache-2.0
//! Re-encrypting a PostgreSQL table by copy and swap, beside bare work on the same columns and bytes: a binary COPY out of the table and into a
//! new one over two connections, its primary key and its index, and the exchange of names.
//!
//! `cargo bench -p amanat-stores --bench swap` copies 200,000 rows; `AMANAT_BENCH_ROWS=1000000` sets another number. The server syncs its log as
//! in production. Wall time, bound and subject in turn, median of the ratios; the check of every row and the comparison of both tables, which the
//! bound does not have, are told apart. All records are invented.

#![allow(
    missing_docs,
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss
)]

use std::io::{BufRead as _, Write as _};
use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

use amanat::error::Result;
use amanat::keys::{KeyFile, Keyring, NewSlot, Purpose};
use amanat::rotate::{Phase, RunId, RunPlan, RunSource, Verb};
use amanat::schema::{Schema, TableSchema};
use amanat::{Name, Timestamp};
use amanat_stores::postgres::swap::Swap;
use amanat_stores::postgres::{PostgresStore, PostgresUrl};
use amanat_stores::run::{Ended, RunObserver, RunOptions, Step, Store as _, SwapStep};
use amanat_stores::{KeyringPath, KeyringSession, Source};
use amanat_testkit::postgres::{Durability, Server};
use postgres::Client;

const RUNS: usize = 5;
const COLUMNS: &str = "id, cnic, name, address, phone, district, cnic_bi";
const SCHEMA: &str = r#"
format = "amanat-schema"
version = 1
[[table]]
name = "citizens"
record_id = ["id"]
field = [
  { name = "cnic", mode = "sealed" }, { name = "name", mode = "sealed" }, { name = "address", mode = "sealed" },
  { name = "phone", mode = "sealed" }, { name = "district", mode = "clear" },
]
index = [{ name = "by-cnic", column = "cnic_bi", fields = ["cnic"], forms = ["exact/v1"], bits = 64 }]
"#;

fn now() -> Result<Timestamp> {
    Timestamp::from_unix_seconds(1_800_000_000)
}

struct Registry {
    path: KeyringPath,
    kek: KeyFile,
}

/// Notes when the copy was ready to be checked, when it was compared, and when it was swapped.
#[derive(Default)]
struct Watch(Mutex<Vec<Instant>>);

impl RunObserver for Watch {
    fn step(&self, step: &Step<'_>) -> Result<()> {
        match step {
            Step::Phase(Phase::Verifying) | Step::Swap(SwapStep::Compared | SwapStep::Swapped) => {
                self.0.lock().unwrap().push(Instant::now());
            }
            Step::Refused(fault) => panic!("{fault}"),
            _ => {}
        }
        Ok(())
    }
}

impl Registry {
    /// Copies and swaps; gives the time of the work that the bound has too, and of all of it.
    fn run(
        &self,
        url: &PostgresUrl,
        table: &TableSchema,
        lanes: usize,
        threads: usize,
    ) -> (Duration, Duration) {
        let session = KeyringSession::unlock(&self.path, &self.kek, &now).unwrap();
        let store = PostgresStore::open(url.clone(), table.clone(), None).unwrap();
        let stop = AtomicBool::new(false);
        let mut options = RunOptions::new(&stop);
        options.lanes = NonZeroUsize::new(lanes).unwrap();
        options.threads = NonZeroUsize::new(threads).unwrap();
        let plan = RunPlan {
            id: RunId::random().unwrap(),
            verb: Verb::Rotate,
            registry: Name::new("testland").unwrap(),
            table: table.name().clone(),
            store_table: store.table_name().to_owned(),
            schema: String::new(),
            former_schema: None,
            source: RunSource::Any,
            remade: Vec::new(),
            foreign: Vec::new(),
            primary: session.primary(),
            planned: now().unwrap(),
        };
        let swap = Swap::new(&store, &session, table, Source::Any, options);
        let watch = Watch::default();
        swap.plan(&plan, &watch).unwrap();
        let (run, started) = (plan.id.to_string(), Instant::now());
        let ended = swap.go(&run, &watch).unwrap();
        let whole = started.elapsed();
        assert!(matches!(ended, Ended::Done(report) if report.worked.refused_rows == 0));
        session.give_back().unwrap();
        let times = watch.0.lock().unwrap();
        let [ready, compared, swapped] = times.as_slice() else { panic!("steps are missing") };
        (ready.duration_since(started) + swapped.duration_since(*compared), whole)
    }

    fn rotate(&self) {
        let change = |keyring: &mut Keyring| {
            for purpose in [Purpose::Field, Purpose::Index] {
                let id = keyring.add_key(purpose, 365, now()?)?;
                keyring.activate(id, now()?)?;
            }
            Ok(())
        };
        self.path.update(&self.kek, now().unwrap(), change).unwrap();
    }
}

fn fill(client: &mut Client, from: &str) {
    let made = format!(
        "DROP TABLE IF EXISTS citizens, citizens_amanat_old; \
         CREATE TABLE citizens (id bigint PRIMARY KEY, cnic text, name text, address text, phone text, district text, cnic_bi text); \
         INSERT INTO citizens {from}; CREATE INDEX by_cnic ON citizens (cnic_bi)"
    );
    for sql in [made.as_str(), "VACUUM ANALYZE citizens", "CHECKPOINT"] {
        client.batch_execute(sql).unwrap();
    }
}

/// Copies a table as it is, over two connections and two threads.
fn bare(out: &mut Client, into: &mut Client) -> Duration {
    let started = Instant::now();
    into.batch_execute("CREATE TABLE bare (LIKE citizens INCLUDING ALL EXCLUDING INDEXES)").unwrap();
    let mut writer = into.copy_in(&format!("COPY bare ({COLUMNS}) FROM STDIN (FORMAT binary)")).unwrap();
    let (sender, receiver) = std::sync::mpsc::sync_channel::<Vec<u8>>(2);
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut reader =
                out.copy_out(&format!("COPY citizens ({COLUMNS}) TO STDOUT (FORMAT binary)")).unwrap();
            let mut batch = Vec::new();
            loop {
                let found = reader.fill_buf().unwrap();
                let length = found.len();
                batch.extend_from_slice(found);
                reader.consume(length);
                if length == 0 || batch.len() > 1 << 20 {
                    sender.send(std::mem::take(&mut batch)).unwrap();
                }
                if length == 0 {
                    return;
                }
            }
        });
        for batch in receiver {
            writer.write_all(&batch).unwrap();
            writer.flush().unwrap();
        }
    });
    writer.finish().unwrap();
    into.batch_execute(
        "ALTER TABLE bare ADD CONSTRAINT bare_pkey PRIMARY KEY (id); CREATE INDEX bare_cnic ON bare (cnic_bi); ANALYZE bare; \
         BEGIN; LOCK TABLE citizens IN ACCESS EXCLUSIVE MODE; ALTER TABLE citizens RENAME TO citizens_amanat_old; ALTER TABLE bare RENAME TO citizens; \
         ALTER INDEX citizens_pkey RENAME TO citizens_old_pkey; ALTER INDEX bare_pkey RENAME TO citizens_pkey; COMMIT",
    )
    .unwrap();
    started.elapsed()
}

fn main() {
    let rows: i64 = std::env::var("AMANAT_BENCH_ROWS").map_or(200_000, |text| text.parse().unwrap());
    let server = Server::start_with(Durability::Full, &["shared_buffers = 512MB", "max_wal_size = 8GB"]);
    let database = server.create_database();
    let url = PostgresUrl::parse_with(&server.socket_url(&database), |_| None).unwrap();
    let (mut client, mut other) = (server.client(&database), server.client(&database));
    let folder = tempfile::tempdir().unwrap();
    let kek = KeyFile::generate().unwrap();
    let slot = NewSlot { label: "bench", kek: &kek };
    let mut keyring = Keyring::create(Name::new("testland").unwrap(), &slot, now().unwrap()).unwrap();
    let path = KeyringPath::open(folder.path().join("keyring.json"));
    path.create(&mut keyring, now().unwrap()).unwrap();
    let registry = Registry { path, kek };
    let schema = Schema::from_toml(SCHEMA).unwrap();
    let table = &schema.tables()[0];
    fill(
        &mut client,
        &format!(
            "SELECT n, lpad((n * 7919 % 10000000000000)::text, 13, '0'), 'Synthetic Name ' || n, 'House ' || n || ', Street ' || n % 90 || ', Invented Town', \
             '0300' || lpad(n::text, 9, '0'), 'district ' || n % 100, NULL FROM generate_series(1, {rows}::bigint) n"
        ),
    );
    registry.run(&url, table, 1, 2);
    client.batch_execute("CREATE TABLE sealed AS SELECT * FROM citizens").unwrap();
    let shapes = [(1, 1), (1, 2), (2, 1)];
    let mut ratios = vec![Vec::new(); shapes.len()];
    for _ in 0..RUNS {
        for (shape, (lanes, threads)) in shapes.iter().enumerate() {
            fill(&mut client, "SELECT * FROM sealed");
            let bound = bare(&mut other, &mut client);
            registry.rotate();
            fill(&mut client, "SELECT * FROM sealed");
            let (written, whole) = registry.run(&url, table, *lanes, *threads);
            let rate = |time: Duration| rows as f64 / time.as_secs_f64();
            ratios[shape].push(bound.as_secs_f64() / written.as_secs_f64());
            println!(
                "{lanes} lanes of {threads} threads: {:>8.0} rows/s copied and swapped, {:>8.0} rows/s with check and comparison; bare copy {:>8.0} rows/s",
                rate(written),
                rate(whole),
                rate(bound)
            );
        }
    }
    for ((lanes, threads), mut ratios) in shapes.into_iter().zip(ratios) {
        ratios.sort_unstable_by(f64::total_cmp);
        println!("{lanes} lanes of {threads} threads: {:.2} of the bare copy", ratios[RUNS / 2]);
    }
}
