// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tables of a real PostgreSQL server that are copied and swapped. All records are made up.
#![cfg(feature = "postgres")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod common;
#[path = "common/postgres.rs"]
mod pg;
#[path = "common/swap.rs"]
mod swapping;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use ::postgres::Client;
use amanat::error::{Error, Kind};
use amanat::rotate::{Phase, Request};
use amanat::schema::TableSchema;
use amanat_stores::postgres::swap::{Swap, SwapLock};
use amanat_stores::run::journal::Journal;
use amanat_stores::run::{Ended, Step, Store as _, SwapStep};
use amanat_testkit::postgres::Server;
use common::{Registry, table};
use pg::{Database, Job, Watcher};
use swapping::Swapping;

fn names() -> TableSchema {
    table(
        "[[table]]\nname = \"people\"\nrecord_id = [\"id\"]\nfield = [{ name = \"name\", mode = \"sealed\" }, { name = \"town\", mode = \"clear\" }]\n\
         index = [{ name = \"by-name\", column = \"name_bi\", fields = [\"name\"], forms = [\"exact/v1\"], bits = 32 }]\n",
    )
}

fn people(database: &mut Database) {
    database.sql(
        "CREATE TABLE people (id bigint PRIMARY KEY, name text, town text, name_bi text); \
         INSERT INTO people SELECT n, 'synthetic ' || n, 'town ' || n % 9 FROM generate_series(1, 300) n",
    );
}

/// Names by number.
fn opened(registry: &Registry, database: &Database) -> BTreeMap<i64, Option<String>> {
    let (url, schema) = (database.url.clone(), names());
    let opened = Job::new(registry, &url, &schema).values(&["name"]);
    opened.into_iter().map(|(record, values)| (record[0].parse().unwrap(), values[0].clone())).collect()
}

fn synthetic(ids: impl Iterator<Item = i64>) -> BTreeMap<i64, Option<String>> {
    ids.map(|id| (id, Some(format!("synthetic {id}")))).collect()
}

#[test]
fn a_table_is_copied_protected_and_swapped_and_what_was_before_is_kept() {
    let (registry, mut database) = (Registry::new(), Database::new());
    people(&mut database);
    let (url, schema) = (database.url.clone(), names());
    for (lanes, round) in [(1, 0), (2, 1)] {
        if round == 1 {
            registry.rotate();
        }
        let before = database.rows("SELECT id, town FROM people ORDER BY id");
        let swapping = Swapping { lanes, ..Swapping::new(&registry, &url, &schema) };
        let store = swapping.store();
        let run = swapping.plan(&store).unwrap();
        assert!(Swap::is_swap(&store, &run).unwrap());
        let report = swapping.go(&store, &run, &Watcher::new(|_| Ok(()))).unwrap();
        let done = if round == 0 { report.worked.sealed } else { report.worked.resealed };
        assert_eq!((report.worked.rows, done, report.checked.rows, report.checked.late), (300, 300, 300, 0));
        assert_eq!(report.checked.keys.iter().map(|key| key.kept).sum::<u64>(), 300);
        assert_eq!(database.rows("SELECT id, town FROM people ORDER BY id"), before);
        assert!(opened(&registry, &database) == synthetic(1..=300));
        assert_eq!(
            database.number("SELECT count(*) FROM people WHERE name LIKE 'amn1.%' AND name_bi IS NOT NULL"),
            300
        );
        assert_eq!(database.number("SELECT count(*) FROM people_amanat_old"), 300);
        if round == 0 {
            // A second run would have nowhere to put the table of before.
            let error = swapping.plan(&store_again(&swapping)).unwrap_err();
            assert!(error.message().contains("people_amanat_old"), "{error}");
        }
        Swap::drop_old(&store, &run).unwrap();
        let left =
            "SELECT count(*) FROM pg_class WHERE relname LIKE 'amanat\\_c%' OR relname LIKE '%amanat\\_old%'";
        assert_eq!(database.number(left), 0);
        assert_eq!(database.number("SELECT count(*) FROM pg_proc WHERE proname LIKE 'amanat%'"), 0);
    }
}

fn store_again(swapping: &Swapping<'_>) -> amanat_stores::postgres::PostgresStore {
    swapping.store()
}

/// A table with everything that hangs on one, under names that need quoting, in a schema of its own.
const RICH: &str = r#"
CREATE SCHEMA "The Registry"; GRANT USAGE ON SCHEMA "The Registry" TO PUBLIC; CREATE TABLE "The Registry".district (id int PRIMARY KEY); INSERT INTO "The Registry".district SELECT generate_series(1, 9);
CREATE TYPE "The Registry".mood AS ENUM ('fine', 'sad'); CREATE DOMAIN "The Registry".short AS varchar(20) CHECK (VALUE <> '');
DO $$ BEGIN CREATE ROLE "Clerk ""A"""; CREATE ROLE registrar; EXCEPTION WHEN unique_violation OR duplicate_object THEN END $$;
CREATE TABLE "The Registry"."Citi""zens" (
  no bigint GENERATED ALWAYS AS IDENTITY (START 1000 INCREMENT 7), part text COLLATE "C", "Full Name" text NOT NULL, gone int, district int REFERENCES "The Registry".district ON DELETE RESTRICT,
  parent bigint, parent_part text, serial_no serial, mood "The Registry".mood DEFAULT 'fine', alias "The Registry".short, more jsonb, place point, tags int[],
  upper_part text GENERATED ALWAYS AS (upper(part)) STORED, email text, during int4range, name_bi text,
  CONSTRAINT "the key" PRIMARY KEY (no, part) INCLUDE (district), CONSTRAINT has_name CHECK (length("Full Name") > 0), UNIQUE (email) DEFERRABLE INITIALLY DEFERRED,
  FOREIGN KEY (parent, parent_part) REFERENCES "The Registry"."Citi""zens" DEFERRABLE, EXCLUDE USING gist (during WITH &&)
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.01, toast.autovacuum_enabled = off);
ALTER TABLE "The Registry"."Citi""zens" DROP COLUMN gone;
CREATE INDEX "by $1 town" ON "The Registry"."Citi""zens" USING btree (lower("Full Name"), district DESC NULLS LAST) WITH (fillfactor = 70) WHERE district > 1;
CREATE INDEX ON "The Registry"."Citi""zens" USING gin (more); CREATE UNIQUE INDEX ident ON "The Registry"."Citi""zens" (serial_no);
CREATE STATISTICS "The Registry"."st at" (dependencies) ON district, mood FROM "The Registry"."Citi""zens";
ALTER TABLE "The Registry"."Citi""zens" ALTER COLUMN email SET STATISTICS 7; ALTER TABLE "The Registry"."Citi""zens" ALTER COLUMN district SET (n_distinct = 9);
ALTER TABLE "The Registry"."Citi""zens" ALTER COLUMN more SET STORAGE EXTERNAL; ALTER TABLE "The Registry"."Citi""zens" ALTER COLUMN serial_no SET NOT NULL;
ALTER TABLE "The Registry"."Citi""zens" REPLICA IDENTITY USING INDEX ident; ALTER TABLE "The Registry"."Citi""zens" CLUSTER ON "the key";
COMMENT ON TABLE "The Registry"."Citi""zens" IS 'the people''s \ table'; COMMENT ON COLUMN "The Registry"."Citi""zens".part IS 'a part'; COMMENT ON INDEX "The Registry".ident IS 'an index';
COMMENT ON CONSTRAINT "the key" ON "The Registry"."Citi""zens" IS 'a key'; COMMENT ON CONSTRAINT has_name ON "The Registry"."Citi""zens" IS 'a check';
COMMENT ON SEQUENCE "The Registry"."Citi""zens_no_seq" IS 'numbers'; COMMENT ON STATISTICS "The Registry"."st at" IS 'statistics';
CREATE TABLE "The Registry".cards (card int PRIMARY KEY, no bigint, part text, CONSTRAINT of_citizen FOREIGN KEY (no, part) REFERENCES "The Registry"."Citi""zens" ON DELETE CASCADE);
COMMENT ON CONSTRAINT of_citizen ON "The Registry".cards IS 'a foreign key';
CREATE VIEW "The Registry".shown WITH (security_barrier = true) AS SELECT p.no, p.part, p."Full Name", c.card FROM "The Registry"."Citi""zens" p JOIN "The Registry".cards c USING (no, part);
CREATE VIEW "The Registry".over_it AS SELECT count(*) AS n FROM "The Registry".shown; GRANT SELECT ON "The Registry".shown TO registrar;
CREATE FUNCTION "The Registry".watch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.alias := 'seen'; RETURN NEW; END $$;
CREATE TRIGGER "watch it" BEFORE INSERT OR UPDATE OF "Full Name" ON "The Registry"."Citi""zens" FOR EACH ROW WHEN (NEW.district = 9) EXECUTE FUNCTION "The Registry".watch();
CREATE TRIGGER off_now BEFORE DELETE ON "The Registry"."Citi""zens" FOR EACH ROW EXECUTE FUNCTION "The Registry".watch(); ALTER TABLE "The Registry"."Citi""zens" DISABLE TRIGGER off_now;
CREATE CONSTRAINT TRIGGER late AFTER INSERT ON "The Registry"."Citi""zens" DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (false) EXECUTE FUNCTION "The Registry".watch();
COMMENT ON TRIGGER "watch it" ON "The Registry"."Citi""zens" IS 'a trigger';
ALTER TABLE "The Registry"."Citi""zens" ENABLE ROW LEVEL SECURITY; CREATE POLICY "own district" ON "The Registry"."Citi""zens" AS RESTRICTIVE FOR UPDATE TO registrar USING (district = 1) WITH CHECK (district < 3);
CREATE POLICY seen ON "The Registry"."Citi""zens" FOR SELECT USING (EXISTS (SELECT FROM "The Registry"."Citi""zens" x WHERE x.district = 1)); COMMENT ON POLICY seen ON "The Registry"."Citi""zens" IS 'a policy';
GRANT SELECT, UPDATE ON "The Registry"."Citi""zens" TO registrar WITH GRANT OPTION; GRANT SELECT (no), UPDATE (part, "Full Name") ON "The Registry"."Citi""zens" TO "Clerk ""A""";
GRANT INSERT ON "The Registry"."Citi""zens" TO PUBLIC; GRANT USAGE ON SEQUENCE "The Registry"."Citi""zens_no_seq" TO registrar; ALTER TABLE "The Registry"."Citi""zens" OWNER TO registrar;
INSERT INTO "The Registry"."Citi""zens" (part, "Full Name", district, more, place, tags, email, during)
  SELECT 'p' || n, 'Synthetic ' || n, 1 + n % 9, jsonb_build_object('n', n), point(n, 1), ARRAY[n, 2], 'e' || n, int4range(n * 2, n * 2 + 1) FROM generate_series(1, 200) n;
UPDATE "The Registry"."Citi""zens" SET parent = 1000, parent_part = 'p1' WHERE part = 'p2';
INSERT INTO "The Registry".cards SELECT row_number() OVER (), no, part FROM "The Registry"."Citi""zens";
"#;

fn rich() -> TableSchema {
    let clear = [
        "district",
        "parent",
        "parent_part",
        "serial_no",
        "mood",
        "alias",
        "more",
        "place",
        "tags",
        "upper_part",
        "email",
        "during",
    ];
    let clear: String = clear
        .iter()
        .map(|name| {
            format!("{{ name = \"{}\", column = \"{name}\", mode = \"clear\" }}, ", name.replace('_', "-"))
        })
        .collect();
    table(&format!(
        "[[table]]\nname = \"citizens\"\nrecord_id = [\"no\", \"part\"]\nfield = [{{ name = \"name\", column = \"Full Name\", mode = \"sealed\" }}, {clear}]\n\
         index = [{{ name = \"by-name\", column = \"name_bi\", fields = [\"name\"], forms = [\"exact/v1\"], bits = 32 }}]\n"
    ))
}

const RICH_NAME: &str = "\"The Registry\".\"Citi\"\"zens\"";

/// Definitions as pg_dump writes them, but for what is amanat's own.
fn dumped(database: &Database) -> String {
    let dump = pg::server().dump_schema(&database.name, &["--exclude-table=*.amanat*"]);
    let is_ours = |line: &str| line.contains("amanat") || line.starts_with("--") || line.starts_with('\\');
    let mut lines: Vec<&str> =
        dump.lines().filter(|line| !is_ours(line) && !line.trim().is_empty()).collect();
    lines.sort_unstable();
    lines.join("\n")
}

#[test]
fn everything_that_hangs_on_a_table_hangs_on_its_copy_and_one_statement_goes_back() {
    let (registry, mut database) = (Registry::new(), Database::new());
    database.sql(RICH);
    let (url, schema) = (database.url.clone(), rich());
    let swapping = Swapping { sql_table: Some(RICH_NAME), ..Swapping::new(&registry, &url, &schema) };
    let kept = format!(
        "SELECT no, part, district, parent, serial_no, mood, alias, more, place, tags, upper_part, email, during FROM {RICH_NAME} ORDER BY no"
    );
    let (before, defined) = (database.rows(&kept), dumped(&database));
    let oid = database.number(&format!("SELECT '{RICH_NAME}'::regclass::oid::bigint"));
    let store = swapping.store();
    let run = swapping.plan(&store).unwrap();
    assert_eq!(dumped(&database), defined, "the rehearsal left something");
    let report = swapping.go(&store, &run, &Watcher::new(|_| Ok(()))).unwrap();
    assert_eq!((report.worked.sealed, report.worked.refused_rows, report.checked.rows), (200, 0, 200));
    assert_ne!(database.number(&format!("SELECT '{RICH_NAME}'::regclass::oid::bigint")), oid);
    assert_eq!(database.rows(&kept), before);
    assert_eq!(
        database.number("SELECT count(*) FROM \"The Registry\".shown WHERE \"Full Name\" LIKE 'amn1.%'"),
        200
    );
    assert_eq!(database.number("SELECT n FROM \"The Registry\".over_it"), 200);
    assert_eq!(database.number("SELECT count(*) FROM pg_constraint WHERE NOT convalidated"), 0);
    // The identity goes on where it was, the triggers fire, the keys hold in both directions.
    database.sql(&format!("INSERT INTO {RICH_NAME} (part, \"Full Name\", district, during) VALUES ('x', 'amn1.', 9, '[9000,9001)')"));
    assert_eq!(
        database.number(&format!(
            "SELECT no FROM {RICH_NAME} WHERE part = 'x' AND alias = 'seen' AND serial_no = 201"
        )),
        1000 + 200 * 7
    );
    database.client.batch_execute("DELETE FROM \"The Registry\".district WHERE id = 9").unwrap_err();
    database.sql(&format!("DELETE FROM {RICH_NAME} WHERE part IN ('x', 'p7')"));
    assert_eq!(database.number("SELECT count(*) FROM \"The Registry\".cards"), 199);
    let back = Swap::way_back(&store, &run).unwrap();
    database.sql(&back);
    assert_eq!(database.number(&format!("SELECT '{RICH_NAME}'::regclass::oid::bigint")), oid);
    assert_eq!(
        database.number("SELECT count(*) FROM \"The Registry\".shown WHERE \"Full Name\" LIKE 'Synthetic%'"),
        199
    );
    let mut again = dumped(&database);
    // What was copied is still there under its first name; foreign keys came back without being validated.
    again = again.replace(" NOT VALID", "");
    let missing: Vec<&str> = defined.lines().filter(|line| !again.contains(line)).collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn after_the_swap_and_the_drop_a_dump_of_the_schema_is_what_it_was() {
    let (registry, mut database) = (Registry::new(), Database::new());
    database.sql(RICH);
    let (url, schema) = (database.url.clone(), rich());
    let swapping = Swapping { sql_table: Some(RICH_NAME), ..Swapping::new(&registry, &url, &schema) };
    let before = dumped(&database);
    let store = swapping.store();
    let run = swapping.plan(&store).unwrap();
    swapping.go(&store, &run, &Watcher::new(|_| Ok(()))).unwrap();
    Swap::drop_old(&store, &run).unwrap();
    let after = dumped(&database);
    let (before, after): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let gone: Vec<&&str> = before.iter().filter(|line| !after.contains(line)).collect();
    let come: Vec<&&str> = after.iter().filter(|line| !before.contains(line)).collect();
    assert!(gone.is_empty() && come.is_empty(), "{gone:#?}\n{come:#?}");
}

#[test]
fn nothing_that_an_application_writes_meanwhile_is_lost() {
    let (registry, mut database) = (Registry::new(), Database::new());
    people(&mut database);
    database.sql("ALTER TABLE people ADD UNIQUE (town, id); CREATE UNIQUE INDEX ON people (name)");
    let (url, schema) = (database.url.clone(), names());
    let swapping = Swapping { lanes: 2, ..Swapping::new(&registry, &url, &schema) };
    let store = swapping.store();
    let run = swapping.plan(&store).unwrap();
    let stop = AtomicBool::new(false);
    let ledger = Mutex::new(synthetic(1..=300));
    let writer = |number: i64| {
        let mut client: Client = pg::server().client(&database.name);
        let mut next = 1_000 + number * 100_000;
        while !stop.load(Ordering::Relaxed) {
            next += 1;
            let mut ledger = ledger.lock().unwrap();
            let id = *ledger.keys().nth(usize::try_from(next * 7919).unwrap() % ledger.len()).unwrap();
            match next % 5 {
                0 => {
                    client.execute("DELETE FROM people WHERE id = $1", &[&id]).unwrap();
                    ledger.remove(&id);
                }
                1 => {
                    // Takes a key and what is unique from another row.
                    let name = ledger.remove(&id).unwrap();
                    client
                        .execute("UPDATE people SET id = $2, name = $3 WHERE id = $1", &[&id, &next, &name])
                        .unwrap();
                    ledger.insert(next, name);
                }
                2 => {
                    client
                        .execute(
                            "UPDATE people SET name = $2, town = 'moved' WHERE id = $1",
                            &[&id, &format!("new {next}")],
                        )
                        .unwrap();
                    ledger.insert(id, Some(format!("new {next}")));
                }
                3 => {
                    let name = ledger.remove(&id).unwrap();
                    client.batch_execute("BEGIN").unwrap();
                    let row =
                        client.query_one("DELETE FROM people WHERE id = $1 RETURNING name", &[&id]).unwrap();
                    client
                        .execute(
                            "INSERT INTO people (id, name) VALUES ($1, $2)",
                            &[&next, &row.get::<_, Option<String>>(0)],
                        )
                        .unwrap();
                    client.batch_execute("COMMIT").unwrap();
                    // A sealed name is bound to its row: an application would seal it anew.
                    if row.get::<_, Option<String>>(0).is_some_and(|name| name.starts_with("amn1.")) {
                        client.execute("UPDATE people SET name = $2 WHERE id = $1", &[&next, &name]).unwrap();
                    }
                    ledger.insert(next, name);
                }
                _ => {
                    client
                        .execute(
                            "INSERT INTO people (id, name) VALUES ($1, $2)",
                            &[&next, &format!("new {next}")],
                        )
                        .unwrap();
                    ledger.insert(next, Some(format!("new {next}")));
                }
            }
            drop(ledger);
            thread::sleep(Duration::from_millis(1));
        }
    };
    let report = thread::scope(|scope| {
        let writers: Vec<_> = (0..2).map(|number| scope.spawn(move || writer(number))).collect();
        // Each step is taken in the midst of writing.
        let report = swapping.go(
            &store,
            &run,
            &Watcher::new(|_| {
                thread::sleep(Duration::from_millis(30));
                Ok(())
            }),
        );
        stop.store(true, Ordering::Relaxed);
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        report
    })
    .unwrap();
    assert!(report.worked.read_again > 0 && report.worked.gone > 0, "{report:?}");
    // What was written after the swap is plain; a run in place seals it.
    let job = Job::new(&registry, &url, &schema);
    job.run().unwrap();
    let (found, wanted) = (opened(&registry, &database), ledger.into_inner().unwrap());
    let differing = wanted.iter().find(|(id, name)| found.get(id) != Some(name));
    assert!(found == wanted, "{} {} {differing:?}", found.len(), wanted.len());
}

#[test]
fn a_table_that_is_emptied_meanwhile_is_copied_as_it_is_then() {
    let (registry, mut database) = (Registry::new(), Database::new());
    people(&mut database);
    let mut other = pg::server().client(&database.name);
    let (url, schema) = (database.url.clone(), names());
    let swapping = Swapping::new(&registry, &url, &schema);
    let store = swapping.store();
    let run = swapping.plan(&store).unwrap();
    let mut steps = 0;
    let report = swapping.go(&store, &run, &Watcher::new(|step| {
        if matches!(step, Step::Swap(SwapStep::Keyed | SwapStep::Compared)) {
            steps += 1;
            other.batch_execute(&format!("TRUNCATE people; INSERT INTO people SELECT n, 'synthetic ' || n FROM generate_series(1, {}) n", steps * 50)).unwrap();
        }
        Ok(())
    }));
    report.unwrap();
    assert!(opened(&registry, &database) == synthetic(1..=100));
    assert_eq!(database.number("SELECT count(*) FROM people WHERE name LIKE 'amn1.%'"), 100);
}

#[test]
fn rows_that_are_refused_are_copied_as_they_are_and_listed() {
    let (registry, mut database) = (Registry::new(), Database::new());
    people(&mut database);
    database.sql("UPDATE people SET name = 'amn1.broken' WHERE id IN (5, 250)");
    let (url, schema) = (database.url.clone(), names());
    let swapping = Swapping::new(&registry, &url, &schema);
    let store = swapping.store();
    let run = swapping.plan(&store).unwrap();
    let watcher = Watcher::new(|_| Ok(()));
    let report = swapping.go(&store, &run, &watcher).unwrap();
    assert_eq!(
        (report.worked.rows, report.worked.refused_rows, report.worked.sealed, report.checked.refused_rows),
        (300, 2, 298, 2)
    );
    assert_eq!(watcher.faults.lock().unwrap().len(), 2);
    assert_eq!(database.number("SELECT count(*) FROM people WHERE name = 'amn1.broken'"), 2);
    let store = swapping.store();
    let exceptions = Journal::new(&mut store.connect().unwrap()).exceptions(&run, 10).unwrap();
    assert_eq!(exceptions.len(), 2);
}

/// Whether the table is whole, and which it is.
fn is_whole(database: &mut Database) -> bool {
    assert_eq!(database.number("SELECT count(*) FROM people"), 300);
    let sealed = database.number("SELECT count(*) FROM people WHERE name LIKE 'amn1.%'");
    assert!(sealed == 0 || sealed == 300, "a table of both: {sealed}");
    sealed == 300
}

#[test]
fn a_run_that_stops_at_any_step_leaves_a_whole_table_and_goes_on() {
    let (registry, mut database) = (Registry::new(), Database::new());
    people(&mut database);
    let (url, schema) = (database.url.clone(), names());
    let swapping = Swapping { take_over: true, lanes: 2, ..Swapping::new(&registry, &url, &schema) };
    let store = swapping.store();
    let run = swapping.plan(&store).unwrap();
    let (mut target, mut stops) = (1, 0);
    let report = loop {
        let (mut steps, last) = (0, target);
        let watcher = Watcher::new(move |_| {
            steps += 1;
            if steps == last { Err(Error::misuse("killed")) } else { Ok(()) }
        });
        match swapping.go(&swapping.store(), &run, &watcher) {
            Ok(report) => break report,
            Err(error) => {
                assert_eq!(error.message(), "killed");
                stops += 1;
                is_whole(&mut database);
                // Every second time it comes one step further.
                target += i32::from(stops % 2 == 0);
            }
        }
    };
    assert!(stops > 8, "{stops}");
    assert!(is_whole(&mut database));
    assert_eq!((report.worked.rows, report.worked.sealed, report.checked.rows), (300, 300, 300));
    assert!(opened(&registry, &database) == synthetic(1..=300));
    assert_eq!(database.number("SELECT count(*) FROM people_amanat_old WHERE name LIKE 'synthetic%'"), 300);
}

#[test]
fn a_server_that_is_killed_at_any_step_leaves_a_whole_table() {
    let registry = Registry::new();
    let server = Mutex::new(Server::start());
    let mut database = Database::on(&server.lock().unwrap());
    people(&mut database);
    let (url, schema) = (database.url.clone(), names());
    let swapping = Swapping { take_over: true, lanes: 2, ..Swapping::new(&registry, &url, &schema) };
    let run = swapping.plan(&swapping.store()).unwrap();
    let (mut steps, mut crashes) = (0, 0);
    let report = loop {
        let store = swapping.store();
        let watcher = Watcher::new(|_| {
            steps += 1;
            if steps % 4 == 0 && crashes < 8 {
                crashes += 1;
                let mut server = server.lock().unwrap();
                server.crash();
                server.restart();
            }
            Ok(())
        });
        match swapping.go(&store, &run, &watcher) {
            Ok(report) => break report,
            Err(error) => {
                let gone = ["the server ended the connection", "the connection to PostgreSQL is gone"];
                assert!(gone.iter().any(|what| error.message().contains(what)), "{error}");
                database.client = server.lock().unwrap().client(&database.name);
                is_whole(&mut database);
            }
        }
    };
    assert_eq!(crashes, 8);
    database.client = server.lock().unwrap().client(&database.name);
    assert!(is_whole(&mut database));
    assert_eq!((report.worked.rows, report.worked.sealed, report.checked.rows), (300, 300, 300));
    assert!(opened(&registry, &database) == synthetic(1..=300));
}

#[test]
fn what_cannot_be_moved_is_refused_by_its_name_before_anything_is_copied() {
    let cases = [
        ("CREATE MATERIALIZED VIEW stored AS SELECT * FROM people", "stored"),
        ("CREATE RULE ruled AS ON INSERT TO people DO ALSO NOTIFY x", "ruled"),
        ("CREATE PUBLICATION published FOR TABLE people", "published"),
        ("CREATE FUNCTION typed(people) RETURNS int LANGUAGE sql AS 'SELECT 1'", "typed"),
        ("CREATE TABLE holds (p people)", "holds"),
        ("CREATE VIEW whole AS SELECT p FROM people p", "whole"),
        (
            "CREATE FUNCTION atomic() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM people; END",
            "atomic",
        ),
        ("CREATE TABLE parent (id bigint NOT NULL); ALTER TABLE people INHERIT parent", "parent"),
        (
            "CREATE TABLE other (id int); ALTER TABLE other ENABLE ROW LEVEL SECURITY; CREATE POLICY elsewhere ON other USING (EXISTS (SELECT FROM people))",
            "elsewhere",
        ),
        (
            "CREATE TABLE users (n bigint); CREATE SEQUENCE lent OWNED BY people.id; ALTER TABLE users ALTER COLUMN n SET DEFAULT nextval('lent')",
            "users",
        ),
        (
            "CREATE TABLE cards (p bigint) PARTITION BY RANGE (p); ALTER TABLE cards ADD CONSTRAINT of_person FOREIGN KEY (p) REFERENCES people",
            "cards",
        ),
        ("ALTER TABLE people ADD CONSTRAINT later CHECK (id > 0) NOT VALID", "later"),
    ];
    for (sql, name) in cases {
        let (registry, mut database) = (Registry::new(), Database::new());
        people(&mut database);
        database.sql(sql);
        let (url, schema) = (database.url.clone(), names());
        let swapping = Swapping::new(&registry, &url, &schema);
        let error = swapping.plan(&swapping.store()).expect_err(sql);
        assert_eq!(error.kind(), Kind::Schema, "{error}");
        let message = error.message();
        assert!(message.contains(name) && message.contains("use the live mode"), "{name}: {message}");
        assert_eq!(
            database.number("SELECT count(*) FROM pg_class WHERE relname LIKE 'amanat%'"),
            0,
            "{name}"
        );
    }
}

#[test]
fn a_table_that_others_hold_is_waited_for_briefly_and_stays_as_it_is() {
    let (registry, mut database) = (Registry::new(), Database::new());
    people(&mut database);
    let mut other = pg::server().client(&database.name);
    let (url, schema) = (database.url.clone(), names());
    let lock = SwapLock::new(Duration::from_millis(50), 3, Duration::from_millis(10));
    let swapping = Swapping { lock, ..Swapping::new(&registry, &url, &schema) };
    let store = swapping.store();
    let run = swapping.plan(&store).unwrap();
    let mut again = 0;
    let error = swapping
        .go(
            &store,
            &run,
            &Watcher::new(|step| {
                if matches!(step, Step::Swap(SwapStep::Compared)) {
                    other.batch_execute("BEGIN; SELECT count(*) FROM people").unwrap();
                }
                again += i32::from(matches!(step, Step::Again(_)));
                Ok(())
            }),
        )
        .unwrap_err();
    assert!(error.message().contains("another transaction holds"), "{error}");
    assert_eq!(again, 2);
    assert!(!is_whole(&mut database));
    other.batch_execute("COMMIT").unwrap();
    swapping.go(&store, &run, &Watcher::new(|_| Ok(()))).unwrap();
    assert!(is_whole(&mut database));
}

#[test]
fn a_run_that_is_paused_goes_on_and_one_that_is_cancelled_leaves_nothing() {
    let (registry, mut database) = (Registry::new(), Database::new());
    people(&mut database);
    let (url, schema) = (database.url.clone(), names());
    let swapping = Swapping::new(&registry, &url, &schema);
    let store = swapping.store();
    let run = swapping.plan(&store).unwrap();
    for request in [Request::Pause, Request::Cancel] {
        let mut lane = store.connect().unwrap();
        let mut asked = false;
        let watcher = Watcher::new(|step| {
            if !std::mem::replace(&mut asked, true) {
                Journal::new(&mut lane).ask(&run, request)?;
            }
            // The request is read every second.
            if !matches!(step, Step::Phase(Phase::Cancelled)) {
                thread::sleep(Duration::from_millis(1_200));
            }
            Ok(())
        });
        match (swapping.drive(&store, &run, &watcher).unwrap(), request) {
            (Ended::Paused, Request::Pause) | (Ended::Cancelled(_), Request::Cancel) => {}
            (ended, _) => panic!("{request:?}: {ended:?}"),
        }
        assert!(!is_whole(&mut database));
    }
    let left = "SELECT count(*) FROM pg_class WHERE relname LIKE 'amanat\\_c%'";
    assert_eq!(
        database.number(left)
            + database.number("SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'amanat%'"),
        0
    );
    let run = swapping.plan(&store).unwrap();
    swapping.go(&store, &run, &Watcher::new(|_| Ok(()))).unwrap();
    assert!(is_whole(&mut database));
}

#[test]
fn a_table_that_was_altered_meanwhile_is_not_swapped() {
    for (sql, why) in [
        ("ALTER TABLE people ADD COLUMN more int", "column more"),
        ("CREATE INDEX new_one ON people (town)", "does not exist"),
        (
            "SET session_replication_role = replica; ALTER TABLE people DISABLE TRIGGER ALL; UPDATE people SET town = 'hidden' WHERE id = 7",
            "1 rows of the copy",
        ),
    ] {
        let (registry, mut database) = (Registry::new(), Database::new());
        people(&mut database);
        let (url, schema) = (database.url.clone(), names());
        let swapping = Swapping::new(&registry, &url, &schema);
        let store = swapping.store();
        let run = swapping.plan(&store).unwrap();
        let mut other = pg::server().client(&database.name);
        let error = swapping
            .go(
                &store,
                &run,
                &Watcher::new(|step| {
                    if matches!(step, Step::Swap(SwapStep::Indexed)) {
                        other.batch_execute(sql).unwrap();
                    }
                    Ok(())
                }),
            )
            .expect_err(sql);
        assert!(error.message().contains(why), "{sql}: {error}");
        assert!(!is_whole(&mut database));
    }
}
