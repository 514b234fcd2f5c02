// SPDX-License-Identifier: MIT OR Apache-2.0
//! Schema files.

use amanat::schema::Schema;

/// Any text: an accepted schema is written, and read again, as an equal one.
pub fn schema(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(schema) = Schema::from_toml(text) else { return };
    let written = schema.to_toml().expect("an accepted schema can be written");
    let again = Schema::from_toml(&written).expect("a written schema can be read");
    assert!(again == schema, "written and read again, the schema is another:\n{written}");
    assert_eq!(again.to_toml().expect("written before"), written, "one schema has one canonical text");
    for table in schema.tables() {
        assert!(!table.record_id().is_empty());
        assert!(schema.table(table.name().as_str()).is_ok_and(|found| found == table));
        for field in table.fields() {
            assert!(table.by_column(field.column()).is_some_and(|found| found == field));
        }
    }
}
