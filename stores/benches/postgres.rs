// SPDX-License-Identifier: MIT OR Apache-2.0
//! Re-encrypting a live PostgreSQL table with four sealed fields and an index, beside a bare batched `UPDATE … FROM unnest` that writes the same
//! columns and bytes to the same table over one connection, in transactions of 10,000 rows.
//!
//! `cargo bench -p amanat-stores --bench postgres` runs 200,000 rows; `AMANAT_BENCH_ROWS=1000000` sets another number. The server syncs its log as
//! in production. Wall time, bound and subject in turn, median of the ratios. All records are invented.

#![allow(
    missing_docs,
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss
)]

use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use amanat::error::Result;
use amanat::keys::{KeyFile, Keyring, NewSlot, Purpose};
use amanat::rotate::{Phase, RunId, RunPlan, RunSource, Verb};
use amanat::schema::{Schema, TableSchema};
use amanat::{Name, Timestamp};
use amanat_stores::postgres::{PostgresStore, PostgresUrl};
use amanat_stores::run::{Ended, RunObserver, RunOptions, Runner, Step, Store as _};
use amanat_stores::{KeyringPath, KeyringSession, Source};
use amanat_testkit::postgres::{Durability, Server};
use postgres::Client;

const RUNS: usize = 5;
const BATCH: usize = 10_000;
const COLUMNS: [&str; 5] = ["cnic", "name", "address", "phone", "cnic_bi"];
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

/// Notes when the rows were done and the check begins.
struct Watch(Mutex<Option<Instant>>);

impl RunObserver for Watch {
    fn step(&self, step: &Step<'_>) -> Result<()> {
        match step {
            Step::Phase(Phase::Verifying) => *self.0.lock().unwrap() = Some(Instant::now()),
            Step::Refused(fault) => panic!("{fault}"),
            _ => {}
        }
        Ok(())
    }
}

impl Registry {
    /// Runs over the table; gives the time until the rows were written, and until they were checked.
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
        let runner = Runner::new(&store, &session, table, Source::Any, options);
        let watch = Watch(Mutex::new(None));
        runner.plan(&plan, &watch).unwrap();
        let started = Instant::now();
        let ended = runner.go(&plan.id.to_string(), &watch).unwrap();
        let checked = started.elapsed();
        assert!(matches!(ended, Ended::Done(report) if report.worked.refused_rows == 0));
        session.give_back().unwrap();
        let written = watch.0.lock().unwrap().unwrap().duration_since(started);
        (written, checked)
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
    client
        .batch_execute(&format!(
            "DROP TABLE IF EXISTS citizens; CREATE TABLE citizens (id bigint PRIMARY KEY, cnic text, name text, address text, phone text, district text, cnic_bi text); \
             INSERT INTO citizens {from}; CREATE INDEX ON citizens (cnic_bi)"
        ))
        .unwrap();
    client.batch_execute("VACUUM ANALYZE citizens").unwrap();
    client.batch_execute("CHECKPOINT").unwrap();
}

/// Writes the rows of another table by bare updates.
fn bare(client: &mut Client, rows: &[(Vec<i64>, Vec<Vec<String>>)]) -> Duration {
    let set: Vec<String> = COLUMNS.iter().map(|column| format!("{column} = u.{column}")).collect();
    let arrays: Vec<String> = (2..7).map(|number| format!("${number}::text[]")).collect();
    let sql = format!(
        "UPDATE citizens AS t SET {} FROM unnest($1::bigint[], {}) AS u(id, {}) WHERE t.id = u.id",
        set.join(", "),
        arrays.join(", "),
        COLUMNS.join(", ")
    );
    let statement = client.prepare(&sql).unwrap();
    let started = Instant::now();
    for (ids, columns) in rows {
        let mut transaction = client.transaction().unwrap();
        let [a, b, c, d, e] = columns.as_slice() else { panic!() };
        assert_eq!(transaction.execute(&statement, &[ids, a, b, c, d, e]).unwrap(), ids.len() as u64);
        transaction.commit().unwrap();
    }
    started.elapsed()
}

fn main() {
    let rows: i64 = std::env::var("AMANAT_BENCH_ROWS").map_or(200_000, |text| text.parse().unwrap());
    let server = Server::start_with(Durability::Full, &["shared_buffers = 512MB", "max_wal_size = 4GB"]);
    let database = server.create_database();
    let url = PostgresUrl::parse_with(&server.socket_url(&database), |_| None).unwrap();
    let mut client = server.client(&database);
    client.batch_execute("SET enable_hashjoin = off; SET enable_mergejoin = off; SET plan_cache_mode = force_generic_plan; SET jit = off").unwrap();
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
            registry.rotate();
            fill(&mut client, "SELECT * FROM sealed");
            let (written, checked) = registry.run(&url, table, *lanes, *threads);
            let found = client
                .query(&format!("SELECT id, {} FROM citizens ORDER BY id", COLUMNS.join(", ")), &[])
                .unwrap();
            let batches: Vec<_> = found
                .chunks(BATCH)
                .map(|rows| {
                    let column = |place: usize| rows.iter().map(|row| row.get(place)).collect();
                    (rows.iter().map(|row| row.get(0)).collect(), (1..6).map(column).collect())
                })
                .collect();
            drop(found);
            fill(&mut client, "SELECT * FROM sealed");
            let bound = bare(&mut client, &batches);
            let rate = |time: Duration| rows as f64 / time.as_secs_f64();
            ratios[shape].push(bound.as_secs_f64() / written.as_secs_f64());
            println!(
                "{lanes} lanes of {threads} threads: {:>8.0} rows/s written, {:>8.0} rows/s with the check; bare update {:>8.0} rows/s",
                rate(written),
                rate(checked),
                rate(bound)
            );
        }
    }
    for ((lanes, threads), mut ratios) in shapes.into_iter().zip(ratios) {
        ratios.sort_unstable_by(f64::total_cmp);
        println!("{lanes} lanes of {threads} threads: {:.2} of the bare update", ratios[RUNS / 2]);
    }
}
