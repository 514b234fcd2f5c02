// SPDX-License-Identifier: MIT OR Apache-2.0
//! The examples of the documentation run: one from nothing to stored records, one as a service while its keys are rotated.

#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

#[allow(dead_code)]
#[path = "../examples/registry_backend/database.rs"]
mod database;
#[expect(dead_code, reason = "its entry point reads the command line")]
#[path = "../examples/registry.rs"]
mod registry;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use amanat::envelope::text_key_prefix;
use amanat::error::Result;
use amanat::keys::{KeyFile, Keyring, NewSlot, Purpose};
use amanat::rotate::{RunId, RunPlan, RunSource, Verb};
use amanat::schema::{Schema, TableSchema};
use amanat::{KeyId, Name, Suite};
use amanat_stores::run::{Ended, RunObserver, RunOptions, RunReport, Runner, Step, Store};
use amanat_stores::sqlite::SqliteStore;
use amanat_stores::{KeyringPath, KeyringSession, Source, StoredValue, clock, secret_file};
use database::Database;

const CLIENTS: usize = 3;
const SCHEMA: &str = r#"
format = "amanat-schema"
version = 1
[[table]]
name = "citizens"
record_id = ["id"]
encoding = "text"
field = [
  { name = "cnic", mode = "sealed", identifier = "cnic" },
  { name = "name", mode = "sealed", pad = 64 },
  { name = "district", mode = "clear", type = "integer" },
]
index = [
  { name = "by-cnic", column = "cnic_index", fields = ["cnic"], bits = 40 },
  { name = "by-name", column = "name_index", fields = ["name"], forms = ["urdu-name/v1"], bits = 32 },
]
"#;

#[test]
fn the_example_goes_from_nothing_to_stored_records() {
    let folder = tempfile::tempdir().unwrap();
    registry::run(folder.path()).unwrap();
    assert!(folder.path().join("registry.keyring.pin").exists());
}

/// A keyring and its key file.
struct Keys {
    path: KeyringPath,
    key: PathBuf,
    kek: KeyFile,
}

impl Keys {
    fn new(folder: &Path) -> Self {
        let (path, key) = (KeyringPath::open(folder.join("r.keyring")), folder.join("r.key"));
        secret_file::create_key_file(&key, &KeyFile::generate().unwrap()).unwrap();
        let kek = secret_file::read_key_file(&key).unwrap();
        let (slot, now) = (NewSlot { label: "service", kek: &kek }, clock::now().unwrap());
        let mut keyring = Keyring::create(Name::new("demo-registry").unwrap(), &slot, now).unwrap();
        path.create(&mut keyring, now).unwrap();
        Self { path, key, kek }
    }

    /// Adds a key of each purpose and makes it the one that seals; gives the generation of the file then.
    fn renew(&self) -> ([KeyId; 2], u64) {
        let add = |keyring: &mut Keyring, purpose| {
            let id = keyring.add_key(purpose, 365, clock::now()?)?;
            keyring.activate(id, clock::now()?)?;
            Ok(id)
        };
        let change =
            |keyring: &mut Keyring| Ok([add(keyring, Purpose::Field)?, add(keyring, Purpose::Index)?]);
        let ids = self.path.update(&self.kek, clock::now().unwrap(), change).unwrap();
        (ids, self.path.read().unwrap().generation())
    }
}

/// The real process; killed if the test fails before it has ended.
struct Process {
    child: Child,
    port: u16,
}

impl Process {
    fn start(keys: &Keys, target: &str) -> Self {
        let program = std::env::current_exe().unwrap();
        let program = program.parent().unwrap().with_file_name("examples").join("registry_backend");
        let mut command = Command::new(&program);
        command.args([keys.path.path(), &keys.key]).arg(target).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| {
            panic!("{error}: build it first: cargo build -p amanat-stores --example registry_backend")
        });
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        Self { child, port: line.trim().parse().unwrap() }
    }

    fn client(&self) -> Client {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        Client { answers: BufReader::new(stream.try_clone().unwrap()), stream }
    }

    fn end(mut self) {
        drop(self.child.stdin.take());
        assert!(self.child.wait().unwrap().success());
        let mut rest = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

struct Client {
    stream: TcpStream,
    answers: BufReader<TcpStream>,
}

impl Client {
    fn ask(&mut self, request: &[&str]) -> String {
        self.stream.write_all(format!("{}\n", request.join("\t")).as_bytes()).unwrap();
        self.line()
    }

    /// The rows that are found, without the word.
    fn find(&mut self, by: &str, value: &str) -> Vec<String> {
        let (mut line, mut rows) = (self.ask(&["find", by, value]), Vec::new());
        while line != "end" {
            rows.push(line.strip_prefix("row\t").unwrap_or_else(|| panic!("{line}")).to_owned());
            line = self.line();
        }
        rows
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        line.trim_end_matches('\n').to_owned()
    }
}

/// Names of Urdu letters, each another one.
fn name(number: u64) -> String {
    const LETTERS: [char; 10] = ['ب', 'ت', 'ج', 'د', 'ر', 'س', 'ش', 'ف', 'ل', 'م'];
    number.to_string().bytes().map(|digit| LETTERS[usize::from(digit - b'0')]).collect()
}

/// One client's work: what it asks is answered right at every moment. Gives the names of its citizens as they are in the end.
fn work(
    client: &mut Client,
    place: usize,
    pause: &RwLock<()>,
    over: &AtomicBool,
    done: &AtomicU64,
) -> BTreeMap<String, String> {
    let mut citizens: BTreeMap<String, String> = BTreeMap::new();
    let cnic = |number: u64| format!("9990{place}-{number:07}-1");
    let mut number = 0;
    while !over.load(Ordering::SeqCst) {
        let _busy = pause.read().unwrap();
        number += 1;
        let (id, district) = (format!("r-{place}-{number}"), number % 36);
        let first = name(2 * number * 10 + u64::try_from(place).unwrap());
        let second = name((2 * number + 1) * 10 + u64::try_from(place).unwrap());
        let shown = format!("{id}\t*****-***{:04}-*\t********\t{district}", number % 10_000);
        assert_eq!(client.ask(&["register", &id, &cnic(number), &first, &district.to_string()]), "ok");
        assert_eq!(client.ask(&["register", &id, &cnic(number), &first, "1"]), "taken");
        assert_eq!(client.find("cnic", &cnic(number)), [shown.as_str()]);
        assert_eq!(client.find("name", &first), [shown.as_str()]);
        assert_eq!(client.ask(&["rename", &id, &second]), "ok");
        assert_eq!(client.find("name", &first), [""; 0]);
        assert_eq!(client.ask(&["show", &id]), format!("row\t{shown}"));
        // An older row, which the run has or has not come to.
        let old = number.div_ceil(2);
        if let Some(is) = citizens.get_mut(&format!("r-{place}-{old}")) {
            let id = format!("r-{place}-{old}");
            assert_eq!(client.find("name", is).len(), 1);
            *is = format!("{is} {}", name(number));
            assert_eq!(client.ask(&["rename", &id, is]), "ok");
            assert!(client.find("cnic", &cnic(old))[0].starts_with(&format!("{id}\t")));
        }
        citizens.insert(id.clone(), second);
        if number % 5 == 0 {
            assert_eq!(client.ask(&["delete", &id]), "ok");
            assert_eq!(client.ask(&["show", &id]), "absent");
            citizens.remove(&id);
        }
        done.fetch_add(1, Ordering::SeqCst);
    }
    citizens
}

struct Quiet;

impl RunObserver for Quiet {
    fn step(&self, step: &Step<'_>) -> Result<()> {
        if let Step::Refused(error) = step { panic!("{error}") } else { Ok(()) }
    }
}

fn table() -> TableSchema {
    Schema::from_toml(SCHEMA).unwrap().table("citizens").unwrap().clone()
}

fn rotate(keys: &Keys, store: &impl Store) -> RunReport {
    let (table, stop) = (table(), AtomicBool::new(false));
    let session = KeyringSession::unlock(&keys.path, &keys.kek, &clock::now).unwrap();
    let mut options = RunOptions::new(&stop);
    options.batch_rows = (10, 50);
    let plan = RunPlan {
        id: RunId::random().unwrap(),
        verb: Verb::Rotate,
        registry: Name::new("demo-registry").unwrap(),
        table: table.name().clone(),
        store_table: store.table_name().to_owned(),
        schema: SCHEMA.to_owned(),
        former_schema: None,
        source: RunSource::Sealed,
        remade: Vec::new(),
        foreign: Vec::new(),
        primary: session.primary(),
        planned: clock::now().unwrap(),
    };
    let runner = Runner::new(store, &session, &table, Source::SealedOnly, options);
    runner.plan(&plan, &Quiet).unwrap();
    let Ended::Done(report) = runner.go(&plan.id.to_string(), &Quiet).unwrap() else { panic!("not done") };
    session.give_back().unwrap();
    *report
}

/// The service process over a database, with clients, while its keys are changed and its table is rotated beside it.
fn serve(target: &str, rotate: impl FnOnce(&Keys) -> RunReport) {
    let folder = tempfile::tempdir().unwrap();
    let keys = Keys::new(folder.path());
    let process = Process::start(&keys, target);
    let (pause, over, done) = (RwLock::new(()), AtomicBool::new(false), AtomicU64::new(0));
    let wait_for = |operations: u64| {
        let enough = done.load(Ordering::SeqCst) + operations;
        while done.load(Ordering::SeqCst) < enough && !over.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(1));
        }
    };
    let (ids, report, citizens) = thread::scope(|scope| {
        let (pause, over, done, process) = (&pause, &over, &done, &process);
        let clients: Vec<_> = (0..CLIENTS)
            .map(|place| {
                scope.spawn(move || {
                    let mut client = process.client();
                    let work = std::panic::AssertUnwindSafe(|| work(&mut client, place, pause, over, done));
                    std::panic::catch_unwind(work).inspect_err(|_| over.store(true, Ordering::SeqCst))
                })
            })
            .collect();
        wait_for(100);
        let (ids, generation) = keys.renew();
        // Whoever seals must have read the keyring again before the run, or the run leaves rows that were written behind it.
        let mut asker = process.client();
        while asker.ask(&["generation"]).parse::<u64>().unwrap() < generation {
            thread::sleep(Duration::from_millis(10));
        }
        drop(asker);
        drop(pause.write().unwrap());
        let report = rotate(&keys);
        wait_for(20);
        over.store(true, Ordering::SeqCst);
        let clients = clients.into_iter().map(|client| client.join().unwrap().unwrap());
        (ids, report, clients.flatten().collect::<BTreeMap<_, _>>())
    });
    let mut client = process.client();
    for (id, name) in &citizens {
        assert!(client.find("name", name)[0].starts_with(&format!("{id}\t")));
    }
    drop(client);
    process.end();
    // Of the 100 citizens that were there before the new key, each client had deleted at most every fifth and one more.
    assert!(report.worked.resealed >= 70 && report.worked.refused_rows == 0, "{report:?}");
    let mut database = Database::open(target).unwrap();
    for id in citizens.keys() {
        let row = database.rows("id", &[StoredValue::Text(id.clone())]).unwrap().pop().unwrap();
        let begins = |column: &str, with: &str| matches!(row.cell(column), Some(StoredValue::Text(text)) if text.starts_with(with));
        let sealed = text_key_prefix(Suite::Xaes256Gcm, ids[0]);
        assert!(["cnic", "name"].iter().all(|column| begins(column, &sealed)));
        assert!(["cnic_index", "name_index"].iter().all(|column| begins(column, &ids[1].to_string()[..2])));
    }
}

#[test]
fn the_service_stays_right_while_sqlite_is_rotated() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("citizens.db");
    serve(file.to_str().unwrap(), |keys| rotate(keys, &SqliteStore::new(&file, "citizens", &table())));
}

#[cfg(feature = "postgres")]
#[test]
fn the_service_stays_right_while_postgresql_is_rotated() {
    use amanat_stores::postgres::{PostgresStore, PostgresUrl};

    let server = amanat_testkit::postgres::Server::start();
    let target = server.url(&server.create_database());
    serve(&target, |keys| {
        let url = PostgresUrl::parse(&target).unwrap();
        rotate(keys, &PostgresStore::open(url, table(), Some("citizens")).unwrap())
    });
}
