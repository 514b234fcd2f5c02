// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs over PostgreSQL tables of every kind of key, name and place. All records are made up.
#![cfg(feature = "postgres")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod common;
#[path = "common/postgres.rs"]
mod pg;

use amanat::schema::TableSchema;
use amanat_stores::Rows as _;
use amanat_stores::run::{KeyRange, Lane as _, Store as _};
use common::{Registry, table};
use pg::{Database, Job, Opened};

/// A table whose record id is made of columns, with one more sealed field.
fn keyed(record: &[&str], clear: &[&str]) -> TableSchema {
    let list = |names: &[&str]| names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
    let mut fields = vec!["{ name = \"name\", mode = \"sealed\" }".to_owned()];
    fields.extend(clear.iter().enumerate().map(|(number, column)| {
        format!("{{ name = \"clear-{number}\", column = {column:?}, mode = \"clear\" }}")
    }));
    table(&format!(
        "[[table]]\nname = \"people\"\nrecord_id = [{}]\nfield = [{}]\n",
        list(record),
        fields.join(", ")
    ))
}

/// Protects a table, rotates it, and compares what opens with what stood there.
fn protect_and_rotate(database: &mut Database, schema: &TableSchema, sql_table: &str, rows: u64) {
    let registry = Registry::new();
    let url = database.url.clone();
    let mut job = Job::new(&registry, &url, schema);
    (job.sql_table, job.lanes) = (Some(sql_table), 3);
    let record: Vec<String> =
        schema.record_id().iter().map(|column| format!("\"{}\"", column.replace('"', "\"\""))).collect();
    let plain = database.rows(&format!("SELECT {}, name FROM {sql_table}", record.join(", ")));
    let plain: Opened = plain
        .into_iter()
        .map(|mut row| {
            let name = row.pop().unwrap();
            (row.into_iter().map(Option::unwrap).collect(), vec![name])
        })
        .collect();
    assert_eq!(u64::try_from(plain.len()).unwrap(), rows, "every row has its record id");
    for round in 0..2 {
        if round == 1 {
            registry.rotate();
        }
        let report = job.run().unwrap();
        assert_eq!((report.worked.rows, report.checked.rows), (rows, rows), "{sql_table}: {report:?}");
        assert_eq!(
            (report.worked.sealed, report.worked.resealed),
            if round == 0 { (rows, 0) } else { (0, rows) }
        );
        assert_eq!((report.worked.refused_rows, report.checked.refused_rows), (0, 0));
        let sealed = format!("SELECT count(*) FROM {sql_table} WHERE name LIKE 'amn1.%'");
        assert_eq!(database.number(&sealed), i64::try_from(rows).unwrap());
        assert!(job.values(&["name"]) == plain, "{sql_table}: what opens is not what stood there");
    }
}

#[test]
fn tables_of_every_kind_of_key_are_protected_and_rotated() {
    let mut database = Database::new();
    database.sql("CREATE SCHEMA \"Registry \"\"Office\"\"\"; CREATE DOMAIN citizen_no AS varchar(13)");
    let uuid = "md5(n::text)::uuid";
    let text = "chr(97 + n % 26) || CASE n % 3 WHEN 0 THEN 'É' WHEN 1 THEN 'e' ELSE 'E' END || n";
    // Definition of the key, its columns, what fills them.
    let keys: [(&str, &[&str], &str); 10] = [
        ("id bigint PRIMARY KEY", &["id"], "n * 7 - 900"),
        ("id integer PRIMARY KEY", &["id"], "n"),
        ("id smallint PRIMARY KEY", &["id"], "n"),
        ("id uuid PRIMARY KEY", &["id"], uuid),
        ("id text PRIMARY KEY", &["id"], text),
        ("id text COLLATE \"en-x-icu\" PRIMARY KEY", &["id"], text),
        ("id varchar(40) NOT NULL UNIQUE", &["id"], text),
        ("id citizen_no NOT NULL, UNIQUE (id)", &["id"], "n::text"),
        ("office text, id bigint, PRIMARY KEY (office, id)", &["office", "id"], "'office ' || n % 5, n / 5"),
        (
            "\"a \"\"b\"\"\" uuid, \"Select\" integer, c text, PRIMARY KEY (c, \"Select\", \"a \"\"b\"\"\")",
            &["Select", "c", "a \"b\""],
            "md5((n % 3)::text)::uuid, n % 40, n::text",
        ),
    ];
    for (number, (definition, columns, values)) in keys.into_iter().enumerate() {
        let name = format!("\"Registry \"\"Office\"\"\".\"Citizens {number}\"");
        database.sql(&format!("CREATE TABLE {name} ({definition}, name text)"));
        database.sql(&format!(
            "INSERT INTO {name} SELECT {values}, CASE WHEN n % 9 > 0 THEN 'عائشہ Synthetic ' || n END FROM generate_series(1, 1300) n"
        ));
        protect_and_rotate(&mut database, &keyed(columns, &[]), &name, 1300);
    }
}

#[test]
fn keys_of_other_types_order_the_rows_where_the_record_id_is_another_column() {
    let mut database = Database::new();
    database.sql("CREATE TYPE office AS ENUM ('Lahore', 'Karachi', 'Quetta')");
    let keys = [
        ("timestamptz", "timestamptz '2020-01-01 00:00:00.123456+05' + n * interval '1 hour 1 microsecond'"),
        ("date", "date '1990-01-31' - n"),
        ("numeric(12, 3)", "n * 1.125"),
        ("double precision", "CASE n WHEN 1 THEN 'NaN' WHEN 2 THEN '-Infinity' ELSE ln(n) END"),
        ("bytea", "decode(md5(n::text), 'hex')"),
        ("char(12)", "n::text"),
        ("inet", "inet '10.0.0.0' + n"),
        ("interval", "n * interval '1 day 1 second'"),
        ("text[]", "ARRAY[n::text, 'a,\"b']"),
        ("boolean", ""),
        ("office", ""),
    ];
    for (type_name, value) in keys {
        database.sql(&format!(
            "DROP TABLE IF EXISTS people; CREATE TABLE people (k {type_name} PRIMARY KEY, id bigint NOT NULL, name text)"
        ));
        let (rows, source) = match type_name {
            "boolean" => (2, "VALUES (true, 1, 'A'), (false, 2, 'B')".to_owned()),
            "office" => {
                (3, "VALUES ('Quetta'::office, 1, 'A'), ('Lahore', 2, 'B'), ('Karachi', 3, NULL)".to_owned())
            }
            _ => (700, format!("SELECT {value}, n, 'Synthetic ' || n FROM generate_series(1, 700) n")),
        };
        database.sql(&format!("INSERT INTO people {source}"));
        protect_and_rotate(&mut database, &keyed(&["id"], &["k"]), "people", rows);
    }
}

#[test]
fn a_partitioned_table_is_protected_whole_and_a_partition_alone() {
    let mut database = Database::new();
    database.sql(
        "CREATE TABLE people (id bigint, name text, PRIMARY KEY (id)) PARTITION BY RANGE (id); \
         CREATE TABLE people_low PARTITION OF people FOR VALUES FROM (MINVALUE) TO (500); \
         CREATE TABLE people_high PARTITION OF people FOR VALUES FROM (500) TO (MAXVALUE); \
         INSERT INTO people SELECT n, 'Synthetic ' || n FROM generate_series(1, 1000) n",
    );
    protect_and_rotate(&mut database, &keyed(&["id"], &[]), "people_low", 499);
    assert_eq!(database.number("SELECT count(*) FROM people_high WHERE name LIKE 'amn1.%'"), 0);
    database.sql("UPDATE people SET name = 'Synthetic again'");
    protect_and_rotate(&mut database, &keyed(&["id"], &[]), "people", 1000);
}

#[test]
fn an_empty_table_and_one_of_a_single_row_are_runs_too() {
    let mut database = Database::new();
    database.sql("CREATE TABLE people (id bigint PRIMARY KEY, name text)");
    protect_and_rotate(&mut database, &keyed(&["id"], &[]), "people", 0);
    database.sql("INSERT INTO people VALUES (1, 'Synthetic')");
    protect_and_rotate(&mut database, &keyed(&["id"], &[]), "people", 1);
}

#[test]
fn ranges_hold_every_row_once_and_about_as_many_each() {
    let mut database = Database::new();
    database.sql(
        "CREATE TABLE people (a text, id bigint, name text, PRIMARY KEY (a, id)); \
         INSERT INTO people SELECT 'office ' || n % 3, n * n, 'x' FROM generate_series(1, 1000) n",
    );
    let registry = Registry::new();
    let (url, schema) = (database.url.clone(), keyed(&["a", "id"], &[]));
    let store = Job::new(&registry, &url, &schema).store().unwrap();
    let mut lane = store.connect().unwrap();
    let mut sizes = |parts: usize| -> Vec<usize> {
        let ranges = lane.split(parts).unwrap();
        assert!(ranges[0].after.is_none() && ranges.last().unwrap().upto.is_none());
        assert!(ranges.windows(2).all(|pair| pair[0].upto == pair[1].after));
        let mut size = |range: &KeyRange| {
            let (mut after, mut rows) = (None, 0);
            loop {
                let batch = lane.read(range, after.as_ref(), 50_000, 1).unwrap();
                let Some(last) = batch.count().checked_sub(1) else { return rows };
                rows += batch.count();
                after = amanat_stores::run::Batch::position(&batch, last);
            }
        };
        ranges.iter().map(&mut size).collect()
    };
    assert_eq!(sizes(1), [1000]);
    assert_eq!(sizes(4), [250; 4]);
    assert_eq!(sizes(7).iter().sum::<usize>(), 1000);
    // More than are read whole: a sample tells the ends.
    database.sql("INSERT INTO people SELECT 'office ' || n % 3, n::bigint * 2000, 'x' FROM generate_series(2001, 300000) n; ANALYZE people");
    let sampled = sizes(8);
    assert_eq!((sampled.len(), sampled.iter().sum::<usize>()), (8, 299_000));
    assert!(sampled.iter().all(|size| (10_000..100_000).contains(size)), "{sampled:?}");
}

#[test]
fn a_batch_of_large_rows_has_few_of_them() {
    let mut database = Database::new();
    database.sql(
        "CREATE TABLE people (id bigint PRIMARY KEY, name text); \
         INSERT INTO people SELECT n, repeat(md5(n::text), 10000) FROM generate_series(1, 200) n",
    );
    let registry = Registry::new();
    let (url, schema) = (database.url.clone(), keyed(&["id"], &[]));
    let store = Job::new(&registry, &url, &schema).store().unwrap();
    let mut lane = store.connect().unwrap();
    let first = lane.read(&KeyRange::default(), None, 100, 1).unwrap();
    assert_eq!(first.count(), 100, "nothing was known yet");
    let after = amanat_stores::run::Batch::position(&first, 99);
    let second = lane.read(&KeyRange::default(), after.as_ref(), 100, 101).unwrap();
    assert!((1..20).contains(&second.count()), "{} rows of 320 kB", second.count());
    assert_eq!(second.number(0), 101);
}
