// SPDX-License-Identifier: MIT OR Apache-2.0
//! Connections to PostgreSQL, and what is told when something fails. All records are made up.
#![cfg(feature = "postgres")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod common;
#[path = "common/postgres.rs"]
mod pg;

use std::error::Error as _;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt as _;

use amanat::error::{Error, Kind, Result};
use amanat::schema::TableSchema;
use amanat_stores::postgres::{PostgresStore, PostgresUrl};
use amanat_stores::run::{Lane as _, Recovery, Sql as _, Step, Store as _};
use amanat_testkit::postgres::{PASSWORD, PASSWORD_ROLE, TLS_ROLE};
use common::{Registry, table};
use pg::{Database, Job, Watcher, address, server};

const SECRET: &str = "Synthetic Geheim";

fn names() -> TableSchema {
    table(
        "[[table]]\nname = \"people\"\nrecord_id = [\"id\"]\nfield = [{ name = \"name\", mode = \"sealed\" }]\n",
    )
}

fn people() -> Database {
    let mut database = Database::new();
    database.sql(&format!(
        "CREATE TABLE people (id bigint PRIMARY KEY, name text); INSERT INTO people SELECT n, '{SECRET}' FROM generate_series(1, 300) n; \
         GRANT ALL ON people TO public; GRANT ALL ON SCHEMA public TO public"
    ));
    database
}

fn open(url: &PostgresUrl) -> Result<PostgresStore> {
    PostgresStore::open(url.clone(), names(), None)
}

/// Everything that an error tells: itself and its sources.
fn told(error: &Error) -> String {
    let mut text = format!("{error} {error:?}");
    let mut source = error.source();
    while let Some(inner) = source {
        text.push_str(&format!(" {inner} {inner:?}"));
        source = inner.source();
    }
    text
}

#[test]
fn tls_is_demanded_and_verified_as_the_address_says() {
    let database = people();
    let (right, other) =
        (server().ca_file().display().to_string(), server().other_ca_file().display().to_string());
    let url = |host: &str, parameters: &str| {
        let text = server().url_as(TLS_ROLE, &database.name, parameters).replace("localhost", host);
        PostgresUrl::parse_with(&text, |_| None)
    };
    let error = |host: &str, parameters: &str| told(&open(&url(host, parameters).unwrap()).unwrap_err());
    for (host, parameters) in [
        ("localhost", String::new()),
        ("localhost", "sslmode=prefer".to_owned()),
        ("localhost", "sslmode=require".to_owned()),
        ("localhost", format!("sslmode=require&sslrootcert={right}")),
        ("127.0.0.1", format!("sslmode=verify-ca&sslrootcert={right}")),
        ("localhost", format!("sslmode=verify-full&sslrootcert={right}")),
    ] {
        open(&url(host, &parameters).unwrap())
            .unwrap_or_else(|error| panic!("{host} {parameters}: {}", told(&error)));
    }
    assert!(error("localhost", "sslmode=disable").contains("the server refuses the role"));
    for mode in ["require", "verify-ca", "verify-full"] {
        let error = error("localhost", &format!("sslmode={mode}&sslrootcert={other}"));
        assert!(error.contains("signed by an authority that sslrootcert does not name"), "{mode}: {error}");
    }
    let of_name = error("127.0.0.1", &format!("sslmode=verify-full&sslrootcert={right}"));
    assert!(of_name.contains("certificate is for another host"), "{of_name}");
    for (parameters, why) in [
        ("sslmode=verify-full", "no certificate to verify"),
        ("sslmode=verify-ca&sslrootcert=/nowhere.pem", "cannot be read from /nowhere.pem"),
        ("sslmode=require&sslrootcert=system", "demands sslmode=verify-full"),
    ] {
        let error = url("localhost", parameters).unwrap_err();
        assert!(error.message().contains(why), "{error}");
    }
    // The certificates that the machine trusts are those of other authorities.
    match url("localhost", "sslrootcert=system") {
        Ok(url) => assert!(told(&open(&url).unwrap_err()).contains("signed by an authority")),
        Err(error) => assert!(error.message().contains("has no certificates of authorities"), "{error}"),
    }
}

#[test]
fn a_server_without_tls_is_not_talked_to_in_clear_where_tls_is_demanded() {
    let server = amanat_testkit::postgres::Server::start_with(Default::default(), &["ssl = off"]);
    let database = server.create_database();
    let require = address(&server.url_as("amanat", &database, "sslmode=require"));
    let error = told(&open(&require).unwrap_err());
    assert!(error.contains("does not offer TLS"), "{error}");
    let error = open(&address(&server.url_as("amanat", &database, ""))).unwrap_err();
    assert_eq!(error.kind(), Kind::Schema, "connected, and found no table: {error}");
}

#[test]
fn the_password_comes_from_address_variable_or_file_and_is_never_shown() {
    let database = people();
    let base = server().url_as(PASSWORD_ROLE, &database.name, "sslmode=require");
    let encoded: String = PASSWORD.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("passwords");
    let line = PASSWORD.replace('\\', "\\\\").replace(':', "\\:");
    let write = |mode: u32, line: &str| {
        std::fs::write(
            &file,
            format!("# comment\nother:*:*:*:wrong\nlocalhost:*:{}:{PASSWORD_ROLE}:{line}\n", database.name),
        )
        .unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    write(0o600, &line);
    let with = |text: &str, name: &'static str, value: &str| {
        let value = OsString::from(value);
        PostgresUrl::parse_with(text, move |asked| (asked == name).then(|| value.clone()))
    };
    let in_address = base.replace('@', &format!(":{encoded}@"));
    let path = file.display().to_string();
    let home = folder.path().join("home");
    std::fs::create_dir(&home).unwrap();
    std::fs::copy(&file, home.join(".pgpass")).unwrap();
    for url in [
        with(&in_address, "", ""),
        with(&base, "PGPASSWORD", PASSWORD),
        with(&base, "PGPASSFILE", &path),
        with(&base, "HOME", &home.display().to_string()),
        with(&format!("{base}&passfile={path}"), "PGPASSFILE", "/nowhere"),
        with(&in_address, "PGPASSWORD", "wrong"),
    ] {
        let url = url.unwrap();
        open(&url).unwrap_or_else(|error| panic!("{}", told(&error)));
        assert!(!format!("{url:?} {url}").contains(PASSWORD));
    }
    let none = told(&open(&with(&base, "", "").unwrap()).unwrap_err());
    assert!(none.contains("it asks for a password; set PGPASSWORD"), "{none}");
    let wrong = told(&open(&with(&base, "PGPASSWORD", "geheim").unwrap()).unwrap_err());
    assert!(wrong.contains("wrong password") && !wrong.contains("geheim"), "{wrong}");
    write(0o644, &line);
    let error = with(&base, "PGPASSFILE", &path).unwrap_err();
    assert!(error.message().contains("chmod 600"), "{error}");
}

#[test]
fn a_server_that_is_not_there_and_a_database_that_does_not_exist_are_told() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = told(&open(&address(&format!("postgres://amanat@127.0.0.1:{free}/x"))).unwrap_err());
    assert!(error.contains("cannot connect to 127.0.0.1") && error.contains("is it running"), "{error}");
    let error = told(&open(&address(&server().url("nowhere"))).unwrap_err());
    assert!(error.contains("no database of this name"), "{error}");
    let error = told(&open(&address("postgres://amanat@%2Fnowhere/x")).unwrap_err());
    assert!(error.contains("is it running"), "{error}");
}

/// Protects the people of a database after something was done to it; gives the error.
fn failing(database: &mut Database, sql: &str) -> (Error, String) {
    database.sql(sql);
    let registry = Registry::new();
    let (url, schema) = (database.url.clone(), names());
    let job = Job::new(&registry, &url, &schema);
    let error = job.run().expect_err(sql);
    let text = told(&error);
    assert!(!text.contains(SECRET) && !text.contains("amn1"), "a value is shown: {text}");
    (error, text)
}

#[test]
fn what_the_server_refuses_is_told_with_a_remedy_and_without_a_value() {
    let raise = |state: &str| {
        format!(
            "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no: %', OLD.name USING ERRCODE = '{state}', \
             DETAIL = OLD.name, HINT = OLD.name; END $$; CREATE TRIGGER t BEFORE UPDATE ON people FOR EACH ROW EXECUTE FUNCTION fail()"
        )
    };
    let unique = "CREATE FUNCTION same() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO seen VALUES (OLD.name); RETURN NEW; END $$; \
                  CREATE TABLE seen (name text CONSTRAINT only_once UNIQUE); CREATE TRIGGER t BEFORE UPDATE ON people FOR EACH ROW EXECUTE FUNCTION same()";
    for (sql, kind, expected) in [
        (
            "ALTER TABLE people ADD CONSTRAINT letters CHECK (name !~ '[0-9]')",
            Kind::Store,
            "the constraint `letters` of table `people` forbids",
        ),
        (unique, Kind::Store, "the constraint `only_once` of table `seen` forbids"),
        (
            "CREATE DOMAIN short AS text CONSTRAINT brief CHECK (length(VALUE) < 50); ALTER TABLE people ALTER name TYPE short",
            Kind::Store,
            "the constraint `brief`",
        ),
        ("ALTER TABLE people ALTER name TYPE varchar(104)", Kind::Store, "too short"),
        (&raise("P0001"), Kind::Store, "a trigger or function of the database refuses"),
        (&raise("53100"), Kind::Store, "the server's disk is full; make room"),
        (&raise("XX000"), Kind::Store, "PostgreSQL refuses a statement"),
    ] {
        let mut database = people();
        if sql.contains("varchar") {
            database.sql("UPDATE people SET name = repeat('x', 40)");
        }
        let (error, text) = failing(&mut database, sql);
        assert_eq!(error.kind(), kind, "{text}");
        assert!(text.contains(expected), "{sql}: {text}");
        let touched = database.number("SELECT count(*) FROM people WHERE name LIKE 'amn1.%'");
        assert_eq!(touched, 0, "nothing is kept of a batch that failed");
    }
    let mut database = people();
    database.sql(&format!("ALTER DATABASE {} SET default_transaction_read_only = on", database.name));
    let (_, text) = failing(&mut database, "SELECT 1");
    assert!(text.contains("the database is read-only"), "{text}");
}

#[test]
fn rows_that_the_server_would_hide_are_an_error_and_not_passed_over() {
    let mut database = people();
    database
        .sql("ALTER TABLE people ENABLE ROW LEVEL SECURITY; CREATE POLICY half ON people USING (id % 2 = 0)");
    let url = address(&server().url_as(TLS_ROLE, &database.name, "sslmode=require"));
    let registry = Registry::new();
    let schema = names();
    let error = Job::new(&registry, &url, &schema).run().unwrap_err();
    assert!(told(&error).contains("let row-level security not hide rows"), "{}", told(&error));
    database.sql("ALTER TABLE people DISABLE ROW LEVEL SECURITY; REVOKE ALL ON people FROM public; DROP TABLE amanat_run, amanat_run_range");
    let error = Job::new(&registry, &url, &schema).run().unwrap_err();
    assert!(told(&error).contains("grant it SELECT and UPDATE"), "{}", told(&error));
}

#[test]
fn a_table_that_changes_its_columns_during_the_run_stops_it_and_it_can_go_on() {
    for (drift, back) in [
        ("ALTER TABLE people RENAME name TO nom", "ALTER TABLE people RENAME nom TO name"),
        ("ALTER TABLE people RENAME TO persons", "ALTER TABLE persons RENAME TO people"),
        (
            "ALTER TABLE people ALTER name TYPE bytea USING convert_to(name, 'UTF8')",
            "ALTER TABLE people ALTER name TYPE text USING convert_from(name, 'UTF8')",
        ),
    ] {
        let (registry, mut database) = (Registry::new(), people());
        let (url, schema) = (database.url.clone(), names());
        let job = Job { batch_rows: (50, 50), ..Job::new(&registry, &url, &schema) };
        let store = job.store().unwrap();
        let run = job.plan(&store).unwrap();
        let mut other = server().client(&database.name);
        let mut batches = 0;
        let watcher = Watcher::new(|step| {
            batches += u32::from(matches!(step, Step::Batch(..)));
            if matches!(step, Step::Batch(..)) && batches == 2 {
                other.batch_execute(drift).unwrap();
            }
            Ok(())
        });
        let error = job.go(&store, &run, &watcher).unwrap_err();
        assert_eq!(
            (error.kind(), store.recovery(&error)),
            (Kind::Schema, Recovery::Stop),
            "{drift}: {error}"
        );
        database.sql(back);
        let report = job.go(&store, &run, &Watcher::new(|_| Ok(()))).unwrap();
        assert_eq!((report.worked.rows, report.worked.sealed, report.checked.rows), (300, 300, 300));
    }
    // Another table of the same name is not gone on with.
    let (registry, mut database) = (Registry::new(), people());
    let (url, schema) = (database.url.clone(), names());
    let store = Job::new(&registry, &url, &schema).store().unwrap();
    database.sql("ALTER TABLE people RENAME TO gone; CREATE TABLE people (LIKE gone INCLUDING ALL)");
    let error = store.connect().unwrap_err();
    assert!(error.message().contains("another table than it was at the start"), "{error}");
}

#[test]
fn a_statement_that_takes_too_long_is_tried_again_and_then_told() {
    let (registry, mut database) = (Registry::new(), people());
    database.sql(
        "CREATE SEQUENCE tries; CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         IF OLD.id = 60 AND nextval('tries') < 3 THEN PERFORM pg_sleep(20); END IF; RETURN NEW; END $$; \
         CREATE TRIGGER t BEFORE UPDATE ON people FOR EACH ROW EXECUTE FUNCTION slow()",
    );
    database.sql(&format!("ALTER DATABASE {} SET statement_timeout = '2s'", database.name));
    let (url, schema) = (database.url.clone(), names());
    let mut again = Vec::new();
    let watcher = Watcher::new(|step| {
        if let Step::Again(error) = step {
            again.push(error.message().to_owned());
        }
        Ok(())
    });
    let job = Job { batch_rows: (50, 50), ..Job::new(&registry, &url, &schema) };
    let report = job.run_with(&watcher).unwrap();
    drop(watcher);
    assert_eq!((report.worked.rows, report.worked.sealed), (300, 300));
    assert_eq!(again.len(), 2, "a sequence is not rolled back");
    assert!(again.iter().all(|message| message.contains("statement_timeout")), "{again:?}");
}

#[test]
fn a_transaction_that_has_failed_is_not_committed_in_silence() {
    let (registry, database) = (Registry::new(), people());
    let (url, schema) = (database.url.clone(), names());
    let mut lane = Job::new(&registry, &url, &schema).store().unwrap().connect().unwrap();
    lane.begin().unwrap();
    lane.execute("DELETE FROM people", &[]).unwrap();
    lane.execute("SELECT 1 / 0", &[]).unwrap_err();
    lane.commit().unwrap_err();
    lane.rollback().unwrap();
    assert_eq!(lane.count().unwrap(), 300);
    lane.begin().unwrap();
    lane.commit().unwrap();
}

#[test]
fn a_journal_whose_positions_were_edited_is_refused() {
    for (position, kind) in
        [("[\"1\",\"2\"]", Kind::Malformed), ("1", Kind::Malformed), ("[\"geheim\"]", Kind::Store)]
    {
        let (registry, mut database) = (Registry::new(), people());
        let (url, schema) = (database.url.clone(), names());
        let job = Job::new(&registry, &url, &schema);
        let store = job.store().unwrap();
        let run = job.plan(&store).unwrap();
        database.sql(&format!("UPDATE amanat_run_range SET position = '{position}'"));
        let error = job.go(&store, &run, &Watcher::new(|_| Ok(()))).unwrap_err();
        assert_eq!(error.kind(), kind, "{}", told(&error));
        assert!(!told(&error).contains("geheim"), "{}", told(&error));
    }
}
