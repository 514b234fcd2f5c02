// SPDX-License-Identifier: MIT OR Apache-2.0
//! The program over a real PostgreSQL server: a table is protected, rotated twice, verified, revealed and compared. Every record is invented.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use amanat_testkit::postgres::Server;
use serde_json::Value;
use support::Folder;

const ROWS: usize = 5_000;
const SCHEMA: &str = r#"
format = "amanat-schema"
version = 1

[[table]]
name = "persons"
record_id = ["rec_id"]
field = [
  { name = "given-name", column = "given_name", mode = "sealed" },
  { name = "surname", mode = "sealed", pad = 16 },
  { name = "street-number", column = "street_number", mode = "sealed" },
  { name = "address", column = "address_1", mode = "sealed" },
  { name = "suburb", mode = "sealed" },
  { name = "postcode", mode = "clear" },
  { name = "state", mode = "clear" },
  { name = "date-of-birth", column = "date_of_birth", mode = "sealed" },
  { name = "soc-sec-id", column = "soc_sec_id", mode = "sealed", mask = "last-4" },
]
index = [
  { name = "by-soc-sec-id", column = "soc_sec_id_bi", fields = ["soc-sec-id"], forms = ["exact/v1"], bits = 32 },
  { name = "by-surname", column = "surname_bi", fields = ["surname"], forms = ["exact/v1"], bits = 16, invalid = "skip" },
]

[[table.token]]
name = "health-number"
column = "health_number"
kind = "pairwise"
field = "soc-sec-id"
form = "exact/v1"
recipient = "health"
epoch = 1
reveal = ["state"]
"#;
const UNLOCK: &str = "--keyring registry.keyring --key-file k.key";
const KEYS: &str = "--keyring registry.keyring --key-file k.key --schema schema.toml";
const COLUMNS: &str =
    "rec_id,given_name,surname,street_number,address_1,suburb,postcode,state,date_of_birth,soc_sec_id";

/// Numbers that look like chance and are the same in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % most
    }

    fn word(&mut self, words: &[&str]) -> String {
        words[self.below(words.len())].to_owned()
    }
}

/// People in the columns of the FEBRL data sets, with their gaps; originals and their misspelt duplicates.
fn people() -> String {
    let mut chance = Chance(7);
    let given = ["joshua", "aisha", "noé", "زینب", "mia, jr", "li\"am", "ella  rose", "o'neil"];
    let family = ["clarke", "matthews", "bishop-reid", "خان", "von \"der\" heide", "nguyen", "white"];
    let streets = ["rivett circuit", "goodwin street", "flat 3, mary place", "carabeen place"];
    let mut csv = format!("{COLUMNS}\n");
    for row in 0..ROWS {
        let record = format!("rec-{}-{}", row / 2, if row % 2 == 0 { "org" } else { "dup-0" });
        let day = format!("19{:02}{:02}{:02}", chance.below(100), 1 + chance.below(12), 1 + chance.below(28));
        let mut cells = vec![
            record,
            chance.word(&given),
            chance.word(&family),
            format!("{}", 1 + chance.below(300)),
            chance.word(&streets),
            format!("suburb {}", chance.below(90)),
            format!("{:04}", 800 + chance.below(6_000)),
            chance.word(&["nsw", "vic", "qld", "wa"]),
            day,
            format!("{:07}", 1_000_000 + row),
        ];
        // Record id and number are always there; of the others some are not.
        for cell in &mut cells[1..9] {
            if chance.below(12) == 0 {
                cell.clear();
            }
        }
        let quoted = cells.iter().map(|cell| match cell.contains([',', '"', '\n']) {
            true => format!("\"{}\"", cell.replace('"', "\"\"")),
            false => cell.clone(),
        });
        writeln!(csv, "{}", quoted.collect::<Vec<_>>().join(",")).unwrap();
    }
    csv
}

/// Cells by record id.
fn records(csv: &str) -> BTreeMap<String, Vec<String>> {
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    assert_eq!(reader.headers().unwrap().iter().collect::<Vec<_>>().join(","), COLUMNS);
    let cells = |record: csv::StringRecord| record.iter().map(str::to_owned).collect::<Vec<_>>();
    reader.records().map(|record| cells(record.unwrap())).map(|cells| (cells[0].clone(), cells)).collect()
}

/// A server with the people in a table, and the keys to protect it.
struct Registry {
    folder: Folder,
    server: Server,
    database: String,
    url: String,
    people: String,
}

impl Registry {
    fn new() -> Self {
        let (folder, server) = (Folder::with_keyring(), Server::start());
        folder.write("schema.toml", SCHEMA);
        let database = server.create_database();
        let url = server.url(&database);
        let registry = Self { people: people(), folder, server, database, url };
        let mut client = registry.server.client(&registry.database);
        let create = "CREATE TABLE persons (rec_id text PRIMARY KEY, given_name text, surname text, street_number text, address_1 text, \
                      suburb text, postcode text, state text, date_of_birth text, soc_sec_id text, \
                      soc_sec_id_bi text, surname_bi text, health_number text); \
                      CREATE INDEX ON persons (soc_sec_id_bi); CREATE INDEX ON persons (surname_bi);";
        client.batch_execute(create).unwrap();
        let copy = format!("COPY persons ({COLUMNS}) FROM STDIN (FORMAT csv, HEADER)");
        let mut writer = client.copy_in(copy.as_str()).unwrap();
        std::io::Write::write_all(&mut writer, registry.people.as_bytes()).unwrap();
        assert_eq!(usize::try_from(writer.finish().unwrap()).unwrap(), ROWS);
        registry
    }

    fn run(&self, verb: &str, rest: &str) -> support::Ran {
        self.folder.run(&format!("{verb} {} {rest}", self.url))
    }

    /// Begins a run, and ends its process by SIGTERM once a batch is committed.
    fn interrupted(&self, verb: &str, rest: &str) {
        let line = format!("{verb} {} {rest} --rate 2000 --batch-rows 200 -q", self.url);
        let child = self.folder.command(&line.split_whitespace().collect::<Vec<_>>()).spawn().unwrap();
        until("the run begins", || {
            let ran = self.run("status", "--json");
            let state = serde_json::from_str::<Value>(&ran.out).unwrap_or_default();
            state[0]["rows_worked"].as_u64() > Some(0) && state[0]["owner"]["alive"] == true
        });
        assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
        let stopped = child.wait_with_output().unwrap();
        assert_eq!(stopped.status.code(), Some(143), "{stopped:?}");
    }

    fn number(&self, sql: &str) -> i64 {
        self.server.client(&self.database).query_one(sql, &[]).unwrap().get(0)
    }

    /// Everything opens, every index and token is that of its value.
    fn all_fine(&self) {
        let told = json(&self.run("verify", &format!("{KEYS} --json -q")).code(0).out);
        assert_eq!(told["rows_fine"].as_u64(), Some(ROWS as u64), "{told:#}");
        assert!(told["terms_compared"].as_u64() > Some(ROWS as u64), "{told:#}");
        assert_eq!(told["tokens_compared"].as_u64(), Some(ROWS as u64), "{told:#}");
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| panic!("{text}"))
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(120);
    while !holds() {
        assert!(Instant::now() < end, "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_table_that_is_protected_rotated_twice_and_revealed_has_the_same_records() {
    let registry = Registry::new();
    registry.run("protect", &format!("{KEYS} -q")).code(0);
    let plain =
        "SELECT count(*) FROM persons WHERE soc_sec_id NOT LIKE 'amn1.%' OR surname NOT LIKE 'amn1.%'";
    assert_eq!(registry.number(plain), 0);
    registry.all_fine();
    let token = "SELECT health_number FROM persons WHERE rec_id = 'rec-0-org'";
    let token = |registry: &Registry| -> String {
        registry.server.client(&registry.database).query_one(token, &[]).unwrap().get(0)
    };
    let before = token(&registry);

    registry.run("rotate", &format!("{KEYS} --new-key --purpose field --purpose index -q")).code(0);
    registry.all_fine();

    // The second rotation is stopped on its way.
    registry.interrupted("rotate", &format!("{KEYS} --new-key"));
    registry.run("resume", &format!("{UNLOCK} -q")).code(0);
    registry.all_fine();
    let report = json(&registry.run("report", "--json").code(0).out);
    assert_eq!(
        (report["adds_up"].as_bool(), report["rows_refused"].as_u64()),
        (Some(true), Some(0)),
        "{report:#}"
    );
    assert_eq!(report["rows_worked"].as_u64(), Some(ROWS as u64), "{report:#}");
    assert_eq!(token(&registry), before, "tokens of one epoch stay");

    let told = registry.run("reveal", &format!("{KEYS} -o back.csv --json -q")).code(0);
    assert_eq!(json(&told.out)["rows"].as_u64(), Some(ROWS as u64));
    assert!(records(&registry.folder.read("back.csv")) == records(&registry.people), "records differ");
    let mode = std::fs::metadata(registry.folder.path("back.csv")).unwrap();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode.permissions()) & 0o777, 0o600);
}

#[test]
fn a_table_is_revealed_in_several_forms_and_never_over_another_file() {
    let registry = Registry::new();
    registry.run("protect", &format!("{KEYS} -q")).code(0);
    registry.run("reveal", &format!("{KEYS} -o back.jsonl -q")).code(0);
    let first = records(&registry.people)["rec-0-org"].clone();
    let lines = registry.folder.read("back.jsonl");
    let found = lines.lines().map(json).find(|line| line["rec_id"] == "rec-0-org").unwrap();
    assert_eq!(found["soc_sec_id"], first[9].as_str());
    assert_eq!(found.as_object().unwrap().len(), 10, "{found}");
    assert!(lines.lines().map(json).any(|line| line["given_name"].is_null()));

    let masked = registry.run("reveal", &format!("{KEYS} --masked --format csv -q")).code(0).out;
    assert_eq!(masked.lines().count(), ROWS + 1);
    assert!(!masked.contains(&first[9]), "a number is shown in spite of its mask");
    let some = registry.run("reveal", &format!("{KEYS} --fields surname --format csv -q")).code(0).out;
    let row = some.lines().find(|line| line.starts_with("rec-0-org,")).unwrap();
    assert!(
        row.contains(&first[2]) && row.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-')
    );
    assert!(row.rsplit(',').next().unwrap().starts_with("amn1."), "{row}");

    registry.folder.write("there.csv", "");
    registry.run("reveal", &format!("{KEYS} -o there.csv")).refused("there already");
    registry.run("reveal", &format!("{KEYS} -o back.db")).refused("CSV or JSON Lines");
    let mut client = registry.server.client(&registry.database);
    client.execute("UPDATE persons SET surname = (SELECT surname FROM persons WHERE rec_id = 'rec-1-org') WHERE rec_id = 'rec-0-org'", &[]).unwrap();
    let moved = registry.run("reveal", &format!("{KEYS} -o rest.csv -q")).code(3);
    assert_eq!(records(&registry.folder.read("rest.csv")).len(), ROWS - 1, "{moved:#?}");
}

#[test]
fn find_export_and_plan_read_a_table_of_a_server() {
    let registry = Registry::new();
    registry.run("protect", &format!("{KEYS} -q")).code(0);
    let first = records(&registry.people)["rec-7-dup-0"].clone();
    let url = registry.url.as_str();
    let line = format!("find {url} {KEYS} --index by-soc-sec-id --show soc-sec-id,state --json");
    let args: Vec<&str> = line.split_whitespace().collect();
    let found = registry.folder.run_with(&args, &first[9]).code(0);
    let found = json(found.out.trim());
    assert_eq!(found["record"]["rec_id"], "rec-7-dup-0");
    assert!(!found.to_string().contains(&first[9]), "{found}");
    assert_eq!(registry.folder.run_with(&args, "0000000").code, Some(1));

    let export = format!("export {url} {KEYS} --recipient health -o health.csv --json -q");
    let told = json(&registry.folder.run(&export).code(0).out);
    assert_eq!(told["rows"].as_u64(), Some(ROWS as u64), "{told:#}");
    let exported = registry.folder.read("health.csv");
    assert_eq!(exported.lines().count(), ROWS + 1);
    assert!(exported.lines().next().unwrap().contains("state") && !exported.contains("rec-0-org"));

    let plan = registry.folder.run(&format!("plan {url} {KEYS} --json -q"));
    assert!(matches!(plan.code, Some(0 | 1)), "{plan:#?}");
    let plan = json(&plan.out);
    assert_eq!(plan["rows"].as_u64(), Some(ROWS as u64), "{plan:#}");
    assert_eq!(plan["indexes"].as_array().unwrap().len(), 2, "{plan:#}");
    registry.folder.run(&format!("plan {url} {KEYS} --format csv")).refused("--format is for files");

    let nowhere =
        format!("find postgres://someone:secret@localhost:1/none?sslmode=disable {KEYS} --index by-surname");
    let nowhere = registry.folder.run_with(&nowhere.split_whitespace().collect::<Vec<_>>(), "x").code(2);
    assert!(!nowhere.err.contains("secret"), "{}", nowhere.err);
}

#[test]
fn a_schema_is_changed_over_a_table_of_a_server_although_the_run_is_interrupted() {
    let registry = Registry::new();
    registry.run("protect", &format!("{KEYS} -q")).code(0);
    let address = r#"{ name = "address", column = "address_1", mode = "sealed" }"#;
    let renamed = r#"{ name = "home", column = "home", mode = "sealed", formerly = "address" }"#;
    let suburb = r#"{ name = "suburb", mode = "sealed" }"#;
    let email = r#"{ name = "email", mode = "sealed", absence = "visible" }"#;
    assert!(SCHEMA.contains(address) && SCHEMA.contains(suburb));
    registry.folder.write("new.toml", SCHEMA.replace(address, renamed).replace(suburb, email));
    let rest = format!("{UNLOCK} --from schema.toml --schema new.toml --drop suburb --add-columns");
    registry.interrupted("migrate schema", &rest);
    let moved = "SELECT count(*) FROM persons WHERE home LIKE 'amn1.%'";
    let before = registry.number(moved);
    assert!(0 < before && before < i64::try_from(ROWS).unwrap(), "{before}");
    registry.run("resume", &format!("{UNLOCK} -q")).code(0);
    assert_eq!(registry.number("SELECT count(address_1) + count(suburb) + count(email) FROM persons"), 0);
    let report = json(&registry.run("report", "--json").code(0).out);
    assert_eq!(
        (report["adds_up"].as_bool(), report["rows_refused"].as_u64()),
        (Some(true), Some(0)),
        "{report:#}"
    );
    let mut client = registry.server.client(&registry.database);
    client.batch_execute("ALTER TABLE persons DROP COLUMN address_1, DROP COLUMN suburb").unwrap();
    let keys = format!("{UNLOCK} --schema new.toml");
    registry.run("verify", &format!("{keys} -q")).code(0);

    registry.run("reveal", &format!("{keys} -o back.csv -q")).code(0);
    let mut reader = csv::Reader::from_path(registry.folder.path("back.csv")).unwrap();
    let place = reader.headers().unwrap().iter().position(|name| name == "home").unwrap();
    let homes: BTreeMap<String, String> = reader
        .records()
        .map(|record| record.map(|record| (record[0].to_owned(), record[place].to_owned())).unwrap())
        .collect();
    let wanted = records(&registry.people).into_iter().map(|(record, cells)| (record, cells[4].clone()));
    assert!(homes == wanted.collect(), "addresses differ");
}
