// SPDX-License-Identifier: MIT OR Apache-2.0
//! What PostgreSQL tables are made of: types, constraints, triggers, views; what stays as it is and what is refused. All records are made up.
#![cfg(feature = "postgres")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod common;
#[path = "common/postgres.rs"]
mod pg;

use amanat::error::{Error, Kind};
use amanat::schema::TableSchema;
use amanat_stores::run::{Lane as _, Named, Store as _};
use common::{Registry, table};
use pg::{Database, Job};

/// One field of every type, with an index and tokens.
fn typed(encoding: &str) -> TableSchema {
    table(&format!(
        r#"
[[table]]
name = "people"
record_id = ["id"]
encoding = "{encoding}"
field = [
  {{ name = "name", column = "Full \"Name\"", mode = "sealed" }},
  {{ name = "note", mode = "sealed", absence = "visible" }},
  {{ name = "born", mode = "sealed", type = "date" }},
  {{ name = "children", mode = "sealed", type = "integer" }},
  {{ name = "alive", mode = "sealed", type = "boolean" }},
  {{ name = "photo", mode = "sealed", type = "bytes" }},
  {{ name = "more", mode = "sealed", type = "cbor" }},
  {{ name = "phone", mode = "masked", mask = "last-4" }},
  {{ name = "district", mode = "clear" }},
  {{ name = "shout", mode = "clear" }},
]
index = [{{ name = "by-name", column = "name_bi", fields = ["name"], forms = ["exact/v1"], bits = 32 }}]
token = [{{ name = "roll", kind = "pairwise", field = "name", form = "urdu-name/v1", recipient = "election-commission", epoch = 1, column = "Roll" }}]
"#
    ))
}

/// What the fields of each row open to, and the clear columns.
const FIELDS: [&str; 9] = ["name", "note", "born", "children", "alive", "photo", "more", "phone", "district"];

#[test]
fn values_of_every_type_are_sealed_in_text_and_bytea_and_nothing_else_is_touched() {
    for encoding in ["text", "binary"] {
        let (registry, mut database) = (Registry::new(), Database::new());
        let (sealed, index, bytes) = if encoding == "text" {
            ("text", "text", ("'BwEA_w'", "'[1,2]'"))
        } else {
            ("bytea", "bytea", ("'\\x070100ff'", "'\\x820102'"))
        };
        // A value's text in UTF-8 is what a bytea column holds of it before it is sealed.
        let text = |value: &str| {
            if encoding == "text" { value.to_owned() } else { format!("convert_to({value}, 'UTF8')") }
        };
        database.sql(&format!(
            "CREATE TABLE people (id bigint PRIMARY KEY, \"Full \"\"Name\"\"\" {sealed}, note {sealed}, born {sealed}, children {sealed}, alive {sealed}, \
             photo {sealed}, more {sealed}, phone varchar(20), district text DEFAULT 'Lahore', shout text GENERATED ALWAYS AS (upper(district)) STORED, \
             name_bi {index}, \"Roll\" text)"
        ));
        database.sql(&format!(
            "INSERT INTO people SELECT n, {}, {}, {}, {}, {}, {}, {}, '0300' || lpad(n::text, 7, '0'), 'district ' || n % 7 FROM generate_series(1, 500) n",
            text("'عائشہ Synthetic ' || n"),
            text("''"),
            text("'1990-01-31'"),
            text("(n - 250)::text"),
            text("(n % 2 = 0)::text"),
            bytes.0,
            bytes.1,
        ));
        database.sql("INSERT INTO people (id, phone) SELECT n, NULL FROM generate_series(501, 600) n");
        let untouched = "SELECT id, district, shout, xmin IS NULL FROM people ORDER BY id";
        let before = database.rows(untouched);
        let (url, schema) = (database.url.clone(), typed(encoding));
        let job = Job { lanes: 2, ..Job::new(&registry, &url, &schema) };
        for round in 0..2 {
            if round == 1 {
                registry.rotate();
            }
            let report = job.run().unwrap();
            assert_eq!(
                (report.worked.refused_rows, report.checked.refused_rows, report.checked.rows),
                (0, 0, 600)
            );
            assert_eq!(report.worked.masked, if round == 0 { 500 } else { 0 });
            assert_eq!(database.rows(untouched), before);
            let opened = job.values(&FIELDS);
            assert_eq!(opened.len(), 600);
            for (record, values) in &opened {
                let id: i64 = record[0].parse().unwrap();
                let values: Vec<Option<&str>> = values.iter().map(Option::as_deref).collect();
                let (name, children) = (format!("عائشہ Synthetic {id}"), (id - 250).to_string());
                let (alive, district) = ((id % 2 == 0).to_string(), format!("district {}", id % 7));
                let phone = format!("*******{:04}", id % 10_000);
                if id > 500 {
                    assert_eq!(values, [None, None, None, None, None, None, None, None, Some("Lahore")]);
                    continue;
                }
                let wanted = [&name, "", "1990-01-31", &children, &alive, "[07, 01, 00, ff]", "[82, 01, 02]"];
                assert_eq!(values[..7], wanted.map(Some), "{encoding}");
                assert_eq!((values[7], values[8]), (Some(phone.as_str()), Some(district.as_str())));
            }
            let visible = database.number("SELECT count(*) FROM people WHERE note IS NULL");
            let hidden = database
                .number("SELECT count(*) FROM people WHERE \"Full \"\"Name\"\"\" IS NULL OR born IS NULL");
            assert_eq!((visible, hidden), (100, 0));
            counts(&registry, &job, encoding, round);
        }
    }
}

/// The counts by key, from the cells' beginnings.
fn counts(registry: &Registry, job: &Job<'_>, encoding: &str, round: u32) {
    let primary = registry.path.unlock(&registry.kek).unwrap().field_keys().unwrap().primary();
    let counts = job.store().unwrap().connect().unwrap().key_counts().unwrap();
    let of = |column: &str| -> Vec<(Option<Named>, u64)> {
        let column = counts.iter().filter(|count| count.column.as_str() == column);
        column.map(|count| (count.named, count.cells)).collect()
    };
    assert_eq!(of("name"), [(Some(Named::Key(primary)), 600)], "{encoding} {round}");
    assert_eq!(of("note"), [(Some(Named::Key(primary)), 500)]);
    assert!(matches!(of("by-name").as_slice(), [(Some(Named::Tag(_)), 600)]), "{:?}", of("by-name"));
    assert!(matches!(of("roll").as_slice(), [(Some(Named::Epoch(1)), _)]), "{:?}", of("roll"));
    assert_eq!(counts.iter().filter(|count| count.named.is_none()).count(), 0, "{counts:?}");
}

#[test]
fn cells_that_cannot_be_what_the_schema_says_are_refused_and_stay() {
    let (registry, mut database) = (Registry::new(), Database::new());
    let schema = |encoding: &str| {
        table(&format!(
            "[[table]]\nname = \"people\"\nrecord_id = [\"id\"]\nencoding = \"{encoding}\"\nfield = [{{ name = \"born\", mode = \"sealed\", type = \"date\" }}]\n"
        ))
    };
    database.sql("CREATE TABLE people (id text PRIMARY KEY, born text)");
    database.sql("INSERT INTO people VALUES ('1', '1990-01-31'), ('2', ''), ('3', '31.1.1990'), ('4', 'amn1.AQEx'), ('5', ' amn1.AQEx'), ('', '1990-01-31')");
    let (url, schema_text) = (database.url.clone(), schema("text"));
    let report = Job::new(&registry, &url, &schema_text);
    let watcher = pg::Watcher::new(|_| Ok(()));
    let report = report.run_with(&watcher).unwrap();
    assert_eq!((report.worked.rows, report.worked.refused_rows, report.worked.sealed), (6, 5, 1));
    let faults = watcher.faults.lock().unwrap().join("\n");
    assert!(faults.contains("empty text") && faults.contains("looks like an envelope"), "{faults}");
    assert!(!faults.contains("31.1") && !faults.contains("AQEx"), "a value is shown: {faults}");
    assert_eq!(database.number("SELECT count(*) FROM people WHERE length(born) < 11"), 5);

    database.sql("DROP TABLE people; CREATE TABLE people (id text PRIMARY KEY, born bytea)");
    database.sql("INSERT INTO people VALUES ('1', '1990-01-31'), ('2', '\\x0101ff'), ('3', '\\xff00'), ('4', 'amn1.AQEx')");
    let schema_binary = schema("binary");
    let report = Job::new(&registry, &url, &schema_binary).run().unwrap();
    assert_eq!((report.worked.rows, report.worked.refused_rows, report.worked.sealed), (4, 3, 1));
}

#[test]
fn views_triggers_and_foreign_keys_survive() {
    let (registry, mut database) = (Registry::new(), Database::new());
    database.sql(
        "CREATE TABLE district (id int PRIMARY KEY); INSERT INTO district VALUES (1), (2); \
         CREATE TABLE people (id uuid PRIMARY KEY, name text NOT NULL, district int REFERENCES district ON DELETE RESTRICT, CHECK (length(name) > 0)); \
         CREATE TABLE cards (no int PRIMARY KEY, person uuid NOT NULL REFERENCES people ON DELETE CASCADE); \
         CREATE TABLE audit (person uuid, was text); \
         CREATE VIEW shown AS SELECT p.id, p.name, c.no FROM people p JOIN cards c ON c.person = p.id; \
         CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO audit VALUES (OLD.id, left(OLD.name, 4)); RETURN NEW; END $$; \
         CREATE TRIGGER noted BEFORE UPDATE ON people FOR EACH ROW EXECUTE FUNCTION note(); \
         CREATE TRIGGER noted_after AFTER UPDATE OF name ON people FOR EACH STATEMENT EXECUTE FUNCTION note(); \
         ALTER TABLE people DISABLE TRIGGER noted_after; CREATE INDEX by_name ON people (name); \
         INSERT INTO people SELECT md5(n::text)::uuid, 'Synthetic ' || n, 1 + n % 2 FROM generate_series(1, 400) n; \
         INSERT INTO cards SELECT n, md5(n::text)::uuid FROM generate_series(1, 400) n",
    );
    let defined = "SELECT pg_get_viewdef('shown'), (SELECT string_agg(pg_get_constraintdef(oid), ' ' ORDER BY oid) FROM pg_constraint \
                   WHERE conrelid IN ('people'::regclass, 'cards'::regclass)), (SELECT string_agg(pg_get_triggerdef(oid) || tgenabled::text, ' ' ORDER BY oid) \
                   FROM pg_trigger), (SELECT string_agg(pg_get_indexdef(indexrelid), ' ' ORDER BY indexrelid) FROM pg_index WHERE indrelid = 'people'::regclass)";
    let before = database.rows(defined);
    let (url, schema) = (
        database.url.clone(),
        table(
            "[[table]]\nname = \"people\"\nrecord_id = [\"id\"]\nfield = [{ name = \"name\", mode = \"sealed\" }, { name = \"district\", mode = \"clear\" }]\n",
        ),
    );
    let job = Job { lanes: 2, ..Job::new(&registry, &url, &schema) };
    assert_eq!(job.run().unwrap().checked.rows, 400);
    assert_eq!(database.rows(defined), before);
    assert_eq!(database.number("SELECT count(*) FROM shown WHERE name LIKE 'amn1.%'"), 400);
    assert_eq!(
        database.number("SELECT count(*) FROM audit WHERE was = 'Synt'"),
        400,
        "the trigger saw each row once"
    );
    database.client.batch_execute("DELETE FROM district WHERE id = 1").unwrap_err();
    database.sql("DELETE FROM people WHERE id = md5('7')::uuid");
    assert_eq!(database.number("SELECT count(*) FROM cards"), 399);
    let advice = job.store().unwrap().connect().unwrap().advice().unwrap().join("\n");
    assert!(
        advice.contains("1 triggers of public.people")
            && advice.contains("VACUUM (FULL, ANALYZE) \"public\".\"people\""),
        "{advice}"
    );
}

#[test]
fn a_trigger_that_changes_what_is_written_stops_the_run_and_nothing_is_kept() {
    let schema = table(
        "[[table]]\nname = \"people\"\nrecord_id = [\"id\"]\nfield = [{ name = \"name\", mode = \"sealed\" }, { name = \"note\", mode = \"sealed\" }]\n",
    );
    let before = "CREATE TRIGGER t BEFORE UPDATE ON people FOR EACH ROW EXECUTE FUNCTION spoil()";
    let after = "CREATE TRIGGER t AFTER UPDATE ON people FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION spoil()";
    let in_place = "NEW.note := upper(NEW.note); RETURN NEW;";
    let by_update = "UPDATE people SET note = upper(note) WHERE id = NEW.id; RETURN NULL;";
    for (trigger, body) in [(before, in_place), (after, by_update)] {
        let (registry, mut database) = (Registry::new(), Database::new());
        database.sql(&format!(
            "CREATE TABLE people (id int PRIMARY KEY, name text, note text); \
             INSERT INTO people SELECT n, 'Synthetic', 'n' FROM generate_series(1, 10) n; \
             CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$; {trigger}"
        ));
        let url = database.url.clone();
        let error = Job::new(&registry, &url, &schema).run().unwrap_err();
        assert!(error.message().contains("a trigger of the database changes what is written"), "{error}");
        assert_eq!(error.field().map(ToString::to_string).as_deref(), Some("note"), "{error}");
        assert_eq!(
            database.number("SELECT count(*) FROM people WHERE name = 'Synthetic' AND note = 'n'"),
            10
        );
    }
    // One that takes a row out of the update: the row is not lost, it is told.
    let (registry, mut database) = (Registry::new(), Database::new());
    database.sql(
        "CREATE TABLE people (id int PRIMARY KEY, name text, note text); INSERT INTO people VALUES (1, 'a', 'b'); \
         CREATE FUNCTION drop_it() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$; \
         CREATE TRIGGER t BEFORE UPDATE ON people FOR EACH ROW EXECUTE FUNCTION drop_it()",
    );
    let url = database.url.clone();
    Job::new(&registry, &url, &schema).run().unwrap_err();
    assert_eq!(database.number("SELECT count(*) FROM people WHERE name = 'a'"), 1);
}

fn refused(database: &Database, schema: &TableSchema, sql_table: &str) -> Error {
    let registry = Registry::new();
    let job = Job { sql_table: Some(sql_table), ..Job::new(&registry, &database.url, schema) };
    let error = job.store().expect_err(sql_table);
    assert_eq!(error.kind(), Kind::Schema, "{error}");
    error
}

#[test]
fn what_cannot_be_worked_on_safely_is_refused_with_its_reason() {
    let mut database = Database::new();
    database.sql(
        "CREATE TABLE people (id int PRIMARY KEY, name text); CREATE VIEW seen AS SELECT * FROM people; \
         CREATE MATERIALIZED VIEW stored AS SELECT * FROM people; CREATE SEQUENCE counter; \
         CREATE TABLE parent (id int PRIMARY KEY, name text); CREATE TABLE child () INHERITS (parent); \
         CREATE TABLE ruled (id int PRIMARY KEY, name text); CREATE RULE r AS ON UPDATE TO ruled DO INSTEAD NOTHING; \
         CREATE TABLE keyless (id int, name text); CREATE UNIQUE INDEX ON keyless (id); \
         CREATE TABLE partial (id int NOT NULL, name text); CREATE UNIQUE INDEX ON partial (id) WHERE id > 0; \
         CREATE TABLE padded (id char(5) PRIMARY KEY, name text); \
         CREATE TABLE sealed_key (id int, name text PRIMARY KEY); \
         CREATE TABLE made (id int PRIMARY KEY, name text GENERATED ALWAYS AS (id::text) STORED); \
         CREATE TABLE more (id int PRIMARY KEY, name text, also text); CREATE EXTENSION file_fdw; \
         CREATE SERVER files FOREIGN DATA WRAPPER file_fdw; CREATE FOREIGN TABLE far (id int, name text) SERVER files OPTIONS (filename '/dev/null')",
    );
    let schema = table(
        "[[table]]\nname = \"people\"\nrecord_id = [\"id\"]\nfield = [{ name = \"name\", mode = \"sealed\" }]\n",
    );
    for (name, why) in [
        ("seen", "is a view"),
        ("stored", "is a view"),
        ("counter", "is no table"),
        ("far", "is a foreign table"),
        ("parent", "child tables"),
        ("ruled", "has rules"),
        ("keyless", "neither a primary key nor a unique index"),
        ("partial", "neither a primary key nor a unique index"),
        ("padded", "more than one text"),
        ("sealed_key", "primary key cannot be sealed"),
        ("made", "DROP EXPRESSION"),
        ("more", "the schema does not name `also`"),
        ("nowhere", "no table of this name"),
        ("people.people.people.people", "PostgreSQL"),
    ] {
        let error = if name.starts_with("people.") {
            let registry = Registry::new();
            Job { sql_table: Some(name), ..Job::new(&registry, &database.url, &schema) }.store().unwrap_err()
        } else {
            refused(&database, &schema, name)
        };
        assert!(error.message().contains(why), "{name}: {error}");
    }
}

/// The statements in a message.
fn statements(error: &Error) -> String {
    let from = error.message().find("ALTER TABLE").unwrap_or_else(|| panic!("no statement: {error}"));
    let until = error.message().rfind(';').unwrap();
    error.message()[from..=until]
        .split("; column")
        .map(|part| part.split("ALTER TABLE").last().unwrap())
        .fold(String::new(), |all, part| format!("{all}ALTER TABLE{};", part.trim_end_matches(';')))
}

#[test]
fn the_statements_that_an_error_names_mend_the_table() {
    for encoding in ["text", "binary"] {
        let (registry, mut database) = (Registry::new(), Database::new());
        let url = database.url.clone();
        for (plain, value_type, shown) in [
            ("integer", "integer", "42"),
            ("date", "date", "1990-01-31"),
            ("boolean", "boolean", "true"),
            ("varchar(20)", "text", "Synthetic"),
            ("char(20)", "text", "Synthetic"),
            ("text", "text", "Synthetic"),
            ("bytea", "bytes", "[fb, ff, 00]"),
        ] {
            let value = if plain == "bytea" { "'\\xfbff00'".to_owned() } else { format!("'{shown}'") };
            database.sql(&format!(
                "SET datestyle = 'German'; DROP TABLE IF EXISTS people; CREATE TABLE people (id int PRIMARY KEY, \"The Field\" {plain}); \
                 INSERT INTO people VALUES (1, {value})"
            ));
            let schema = table(&format!(
                "[[table]]\nname = \"people\"\nrecord_id = [\"id\"]\nencoding = \"{encoding}\"\n\
                 field = [{{ name = \"f\", column = \"The Field\", mode = \"sealed\", type = \"{value_type}\" }}]\n\
                 index = [{{ name = \"by-f\", column = \"F bi\", fields = [\"f\"], forms = [\"exact/v1\"], bits = 32 }}]\n"
            ));
            let job = Job::new(&registry, &url, &schema);
            // First the type, then the missing column.
            let mut mended = 0;
            while let Err(error) = job.store() {
                database.sql(&statements(&error));
                mended += 1;
                assert!(mended < 3, "{plain}: {error}");
            }
            let fits = matches!((plain, encoding), ("text", "text") | ("bytea", "binary"));
            assert_eq!(mended, if fits { 1 } else { 2 }, "{plain} {encoding}");
            let report = job.run().unwrap();
            assert_eq!((report.worked.sealed, report.worked.refused_rows), (1, 0), "{plain} {encoding}");
            let opened = job.values(&["f"]);
            let opened = opened.values().next().unwrap()[0].clone().unwrap();
            assert_eq!(opened.trim_end(), shown, "{plain} {encoding}");
        }
    }
}
