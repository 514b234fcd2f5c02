// SPDX-License-Identifier: MIT OR Apache-2.0
//! Parquet files as a user works with them: protect, verify, find, reveal. Every record is invented.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::fs::File;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;
use support::Folder;

const SCHEMA: &str = r#"
format = "amanat-schema"
version = 1

[[table]]
name = "citizens"
record_id = ["id"]
field = [
  { name = "name", mode = "sealed" },
  { name = "cnic", mode = "sealed", identifier = "cnic" },
  { name = "district", mode = "clear" },
]
index = [{ name = "by-cnic", fields = ["cnic"], bits = 24 }]
"#;
const KEYS: &str = "--keyring registry.keyring --key-file k.key --schema schema.toml";
const ROWS: i64 = 300;

/// A folder with a Parquet file of people, and these.
fn people() -> (Folder, RecordBatch) {
    let folder = Folder::with_keyring();
    folder.write("schema.toml", SCHEMA);
    let texts = |text: &dyn Fn(i64) -> Option<String>| -> ArrayRef {
        Arc::new((0..ROWS).map(text).collect::<StringArray>())
    };
    let district: ArrayRef = Arc::new((0..ROWS).map(|row| row % 36).collect::<Int64Array>());
    let id: ArrayRef = Arc::new((0..ROWS).collect::<Int64Array>());
    let people = RecordBatch::try_from_iter_with_nullable([
        ("id", id, false),
        ("name", texts(&|row| (row % 9 > 0).then(|| format!("name {row}"))), true),
        ("cnic", texts(&|row| Some(format!("00000-{row:07}-1"))), true),
        ("district", district, true),
    ])
    .unwrap();
    let file = File::create(folder.path("r.parquet")).unwrap();
    let mut writer = ArrowWriter::try_new(file, people.schema(), None).unwrap();
    writer.write(&people).unwrap();
    writer.close().unwrap();
    (folder, people)
}

#[test]
fn a_file_is_protected_verified_searched_and_revealed() {
    let (folder, people) = people();
    folder.run(&format!("protect r.parquet {KEYS} -o p.parquet -q")).code(0);
    let verify = |file: &str| folder.run(&format!("verify {file} {KEYS} --json -q"));
    let fine: Value = serde_json::from_str(&verify("p.parquet").code(0).out).unwrap();
    let rows = u64::try_from(ROWS).unwrap();
    assert_eq!((fine["rows"].as_u64(), fine["rows_fine"].as_u64()), (Some(rows), Some(rows)), "{fine:#}");
    assert_eq!(fine["terms_compared"].as_u64(), Some(rows), "{fine:#}");
    let plain: Value = serde_json::from_str(&verify("r.parquet").code(1).out).unwrap();
    assert!(plain["cells_plain"].as_u64() > Some(rows), "{plain:#}");

    let line = format!("find p.parquet {KEYS} --field cnic --show district --json");
    let found = folder.run_with(&line.split_whitespace().collect::<Vec<_>>(), "0000000000421").code(0);
    assert!(found.out.contains(r#""id":"42""#), "{}", found.out);

    folder.run(&format!("reveal p.parquet {KEYS} -o back.parquet -q")).code(0);
    let back = File::open(folder.path("back.parquet")).unwrap();
    let mut back =
        ParquetRecordBatchReaderBuilder::try_new(back).unwrap().with_batch_size(1_000).build().unwrap();
    let back = back.next().unwrap().unwrap();
    assert_eq!(back.num_rows(), people.num_rows());
    for (name, column) in people.schema().fields().iter().map(|field| field.name()).zip(people.columns()) {
        assert!(back.column_by_name(name) == Some(column), "{name} differs");
    }
}
