// SPDX-License-Identifier: MIT OR Apache-2.0
//! Finding rows of PostgreSQL tables by blind indexes. All records are made up.
#![cfg(feature = "postgres")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod common;
#[path = "common/postgres.rs"]
mod pg;

use amanat::ident::Name;
use amanat::keys::Purpose;
use amanat::schema::TableSchema;
use amanat_stores::find::PostgresFinder;
use amanat_stores::{FindPlan, KeyringSession};
use common::{Registry, now, table};
use pg::{Database, Job};

fn people(encoding: &str) -> TableSchema {
    table(&format!(
        r#"
[[table]]
name = "people"
record_id = ["id"]
encoding = "{encoding}"
field = [
  {{ name = "name", mode = "sealed" }}, {{ name = "born", mode = "sealed", type = "date" }}, {{ name = "district", mode = "clear" }},
]
index = [
  {{ name = "by-name", column = "Name bi", fields = ["name"], forms = ["urdu-name/v1"], bits = 32 }},
  {{ name = "by-both", column = "both_bi", fields = ["name", "born"], forms = ["urdu-name/v1", "date/v1"], bits = 16 }},
]
"#
    ))
}

/// Opens a finder and does something with it.
fn with_finder<T>(
    (registry, database, schema): (&Registry, &Database, &TableSchema),
    index: &str,
    work: impl FnOnce(&mut PostgresFinder) -> T,
) -> T {
    let session = KeyringSession::unlock(&registry.path, &registry.kek, &now).unwrap();
    let show: Vec<Name> = ["district", "name"].iter().map(|name| Name::new(name).unwrap()).collect();
    let plan =
        FindPlan { session: &session, table: schema, index: schema.index(index).unwrap(), show: &show };
    work(&mut PostgresFinder::open(plan, &database.url, Some("people")).unwrap())
}

#[test]
fn rows_are_found_by_every_generation_of_the_index_key() {
    for encoding in ["text", "binary"] {
        let (registry, mut database, schema) = (Registry::new(), Database::new(), people(encoding));
        let sealed = if encoding == "text" { "text" } else { "bytea" };
        let plain = |text: &str| {
            if encoding == "text" { text.to_owned() } else { format!("convert_to({text}, 'UTF8')") }
        };
        database.sql(&format!(
            "CREATE TABLE people (id bigint PRIMARY KEY, name {sealed}, born {sealed}, district text, \"Name bi\" {sealed}, both_bi {sealed}); \
             INSERT INTO people SELECT n, {}, {}, 'district ' || n % 3 FROM generate_series(1, 1000) n",
            plain("'علی ' || n % 100"),
            plain("'19' || 50 + n % 50 || '-01-31'"),
        ));
        Job::new(&registry, &database.url, &schema).run().unwrap();
        let all = (&registry, &database, &schema);
        let hint = with_finder(all, "by-name", |finder| finder.warnings().join("\n"));
        assert!(hint.contains("CREATE INDEX CONCURRENTLY ON \"public\".\"people\" (\"Name bi\");"), "{hint}");
        database.sql("CREATE INDEX ON people (\"Name bi\"); CREATE INDEX ON people (both_bi)");
        // Half of the rows have terms of a newer key.
        registry.change(|keyring| {
            let id = keyring.add_key(Purpose::Index, 365, now()?)?;
            keyring.activate(id, now()?)
        });
        database.sql(
            "CREATE TABLE rest AS SELECT * FROM people WHERE id > 500; DELETE FROM people WHERE id > 500",
        );
        Job::new(&registry, &database.url, &schema).run().unwrap();
        database.sql("INSERT INTO people SELECT * FROM rest");
        let all = (&registry, &database, &schema);
        with_finder(all, "by-name", |finder| {
            assert_eq!(finder.warnings(), [""; 0]);
            let found = finder.find(&["علي ۷"]).unwrap();
            assert!(found.faults.is_empty() && found.not_searchable == 0);
            let mut ids: Vec<i64> = found.rows.iter().map(|row| row.record[0].parse().unwrap()).collect();
            ids.sort_unstable();
            assert_eq!(ids, (0..10).map(|n| n * 100 + 7).collect::<Vec<_>>(), "{encoding}");
            let row = found.rows.iter().find(|row| row.key == ["107"]).unwrap();
            assert_eq!(row.shown[0].as_deref(), Some("district 2"));
            assert_ne!(row.shown[1].as_deref(), Some("علی 7"), "what is sealed is shown masked");
            assert!(finder.find(&["زید"]).unwrap().rows.is_empty());
        });
        with_finder(all, "by-both", |finder| {
            assert_eq!(finder.find(&["علی 7", "1957-01-31"]).unwrap().rows.len(), 10);
            assert_eq!(finder.find(&["علی 7", "1958-01-31"]).unwrap().rows.len(), 0);
        });
        // Rows without a term, or with one of no key, are counted and not passed over in silence.
        let term = if encoding == "text" { "'0011223344'" } else { "'\\x0011223344'" };
        database.sql(&format!("UPDATE people SET \"Name bi\" = NULL WHERE id < 4; UPDATE people SET \"Name bi\" = {term} WHERE id IN (4, 5)"));
        with_finder((&registry, &database, &schema), "by-name", |finder| {
            assert!(
                finder.warnings()[0].starts_with("5 rows have a value and no term"),
                "{:?}",
                finder.warnings()
            );
            assert_eq!(finder.find(&["علی 7"]).unwrap().not_searchable, 5);
        });
    }
}
