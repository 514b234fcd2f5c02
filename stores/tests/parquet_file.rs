// SPDX-License-Identifier: MIT OR Apache-2.0
//! Parquet files through protect and reveal. All records are made up.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod common;

use std::fs::File;
use std::sync::Arc;

use amanat::error::{Error, Kind, Result};
use amanat::schema::TableSchema;
use amanat_stores::{
    Effort, FindPlan, RevealForm, ScanPlan, ScanSource, ScannedRow, Tally, Task, Visitor, parquet_file,
};
use arrow_array::builder::{FixedSizeBinaryBuilder, ListBuilder, StringBuilder};
use arrow_array::types::Int32Type;
use arrow_array::{
    Array, ArrayRef, BinaryArray, BinaryViewArray, BooleanArray, Date32Array, Decimal128Array,
    DictionaryArray, Float64Array, Int8Array, Int16Array, Int32Array, Int64Array, LargeBinaryArray,
    LargeStringArray, NullArray, RecordBatch, StringArray, StringViewArray, StructArray,
    TimestampMicrosecondArray, UInt8Array, UInt16Array, UInt32Array, UInt64Array,
};
use arrow_schema::{DataType, Field, Schema};
use common::{Registry, Seen, table};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use parquet::file::metadata::{KeyValue, ParquetMetaData};
use parquet::file::properties::WriterProperties;

type Fault = (u64, String, Kind, String);

struct Done {
    bytes: Vec<u8>,
    tally: Tally,
    faults: Vec<Fault>,
}

fn file(registry: &Registry, bytes: &[u8]) -> File {
    let path = registry.folder.path().join("input.parquet");
    std::fs::write(&path, bytes).unwrap();
    File::open(path).unwrap()
}

fn try_run(
    registry: &Registry,
    table: &TableSchema,
    task: Task<'_>,
    jobs: usize,
    input: &[u8],
) -> Result<Done> {
    let (mut bytes, mut seen) = (Vec::new(), Seen::default());
    let input = file(registry, input);
    let tally = registry
        .with_plan(table, task, jobs, |plan| parquet_file::run(plan, input, Some(&mut bytes), &mut seen))?;
    Ok(Done { bytes, tally, faults: seen.faults })
}

fn protect(registry: &Registry, table: &TableSchema, input: &[u8]) -> Done {
    try_run(registry, table, Task::Protect(Effort::Seal), 2, input).unwrap()
}

fn reveal(registry: &Registry, table: &TableSchema, input: &[u8]) -> Done {
    try_run(registry, table, Task::Reveal(&[], RevealForm::Values), 2, input).unwrap()
}

fn properties(compression: Compression) -> WriterProperties {
    let entry = KeyValue::new("registry".to_owned(), "synthetic".to_owned());
    WriterProperties::builder()
        .set_compression(compression)
        .set_key_value_metadata(Some(vec![entry]))
        .set_bloom_filter_enabled(true)
        .build()
}

/// A file with a row group for each batch.
fn write(batches: &[RecordBatch], compression: Compression) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer =
        ArrowWriter::try_new(&mut bytes, batches[0].schema(), Some(properties(compression))).unwrap();
    for batch in batches {
        writer.write(batch).unwrap();
        writer.flush().unwrap();
    }
    writer.close().unwrap();
    bytes
}

/// All rows as one batch for each row group, and the footer.
fn read(bytes: &[u8]) -> (Vec<RecordBatch>, ParquetMetaData) {
    let bytes = bytes::Bytes::from(bytes.to_vec());
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes.clone()).unwrap();
    let metadata = builder.metadata().as_ref().clone();
    let group = |group| {
        let builder = ParquetRecordBatchReaderBuilder::try_new(bytes.clone()).unwrap();
        let reader = builder.with_row_groups(vec![group]).with_batch_size(1 << 20).build().unwrap();
        let batches: Vec<RecordBatch> = reader.map(core::result::Result::unwrap).collect();
        assert_eq!(batches.len(), 1);
        batches.into_iter().next().unwrap()
    };
    ((0..metadata.num_row_groups()).map(group).collect(), metadata)
}

fn schema(bytes: &[u8]) -> arrow_schema::SchemaRef {
    let bytes = bytes::Bytes::from(bytes.to_vec());
    Arc::clone(ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap().schema())
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)))
        .unwrap()
}

fn texts<'a>(batch: &'a RecordBatch, name: &str) -> Vec<Option<&'a str>> {
    batch.column_by_name(name).unwrap().as_any().downcast_ref::<StringArray>().unwrap().iter().collect()
}

/// A table of persons as record linkage knows them.
fn people() -> TableSchema {
    table(
        r#"
[[table]]
name = "people"
record_id = ["rec_id"]
field = [
  { name = "given_name", mode = "sealed" },
  { name = "surname", mode = "sealed", absence = "visible" },
  { name = "soc_sec_id", mode = "sealed", type = "integer" },
  { name = "date_of_birth", mode = "sealed", type = "date" },
  { name = "alive", mode = "sealed", type = "boolean" },
  { name = "photo", mode = "sealed", type = "bytes", absence = "visible" },
  { name = "phone", mode = "masked", mask = "last-4" },
  { name = "state", mode = "clear" },
]
"#,
    )
}

const NAMES: [&str; 5] = ["mitchell", "عائشہ صدیقہ", "jaydon-quillon", "", "amélie"];

/// Rows of three row groups; one of three columns of a row is NULL now and then.
fn person_groups(rows: u32) -> Vec<RecordBatch> {
    (0..3).map(|group| person_group(group * rows, rows)).collect()
}

fn person_group(first: u32, rows: u32) -> RecordBatch {
    let numbers = || first..first + rows;
    let unless = |n: u32, of: u32| n % of != 1;
    batch(vec![
        ("rec_id", Arc::new(numbers().map(|n| Some(format!("rec-{n}-org"))).collect::<StringArray>())),
        (
            "given_name",
            Arc::new(
                numbers()
                    .map(|n| unless(n, 5).then(|| format!("{}-{n}", NAMES[n as usize % 5])))
                    .collect::<StringArray>(),
            ),
        ),
        (
            "surname",
            Arc::new(
                numbers().map(|n| unless(n, 7).then(|| format!("bishop-{n}"))).collect::<LargeStringArray>(),
            ),
        ),
        (
            "soc_sec_id",
            Arc::new(
                numbers()
                    .map(|n| unless(n, 11).then_some(1_000_000 + n.cast_signed()))
                    .collect::<Int32Array>(),
            ),
        ),
        (
            "date_of_birth",
            Arc::new(
                numbers()
                    .map(|n| unless(n, 13).then_some(n.cast_signed() * 17 - 20_000))
                    .collect::<Date32Array>(),
            ),
        ),
        ("alive", Arc::new(numbers().map(|n| unless(n, 3).then_some(n % 2 == 0)).collect::<BooleanArray>())),
        (
            "photo",
            Arc::new(
                numbers()
                    .map(|n| unless(n, 4).then(|| format!("PHOTO-{n}").into_bytes()))
                    .collect::<BinaryArray>(),
            ),
        ),
        (
            "phone",
            Arc::new(
                numbers().map(|n| unless(n, 6).then(|| format!("+9230012{n:05}"))).collect::<StringArray>(),
            ),
        ),
        (
            "state",
            Arc::new(
                numbers()
                    .map(|n| unless(n, 9).then(|| ["nsw", "vic"][n as usize % 2]))
                    .collect::<DictionaryArray<Int32Type>>(),
            ),
        ),
    ])
}

/// The groups with the column of phones as it is after it was masked.
fn masked(groups: &[RecordBatch]) -> Vec<RecordBatch> {
    let mask = |group: &RecordBatch| {
        let place = group.schema().index_of("phone").unwrap();
        let shown = |phone: Option<&str>| {
            phone.map(|phone| format!("{}{}", "*".repeat(phone.len() - 4), &phone[phone.len() - 4..]))
        };
        let phones: StringArray = texts(group, "phone").into_iter().map(shown).collect();
        let mut columns = group.columns().to_vec();
        columns[place] = Arc::new(phones);
        RecordBatch::try_new(group.schema(), columns).unwrap()
    };
    groups.iter().map(mask).collect()
}

#[test]
fn what_is_revealed_is_what_was_protected_with_its_types_and_row_groups() {
    let registry = Registry::new();
    let groups = person_groups(2_500);
    for (compression, jobs) in
        [(Compression::ZSTD(Default::default()), 1), (Compression::SNAPPY, 4), (Compression::UNCOMPRESSED, 2)]
    {
        let input = write(&groups, compression);
        let sealed = try_run(&registry, &people(), Task::Protect(Effort::Seal), jobs, &input).unwrap();
        assert_eq!((sealed.tally.rows, sealed.faults.len()), (7_500, 0));
        let (sealed_groups, metadata) = read(&sealed.bytes);
        assert_eq!(sealed_groups.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [2_500; 3]);
        for field in ["given_name", "surname", "soc_sec_id", "date_of_birth", "alive", "photo"] {
            for (sealed, plain) in sealed_groups.iter().zip(&groups) {
                let absent = plain.column_by_name(field).unwrap().null_count();
                let visible = ["surname", "photo"].contains(&field);
                let envelopes = texts(sealed, field);
                assert_eq!(
                    envelopes.iter().filter(|cell| cell.is_none()).count(),
                    if visible { absent } else { 0 }
                );
                assert!(envelopes.iter().flatten().all(|cell| cell.starts_with("amn1.")));
            }
        }
        let entries = metadata.file_metadata().key_value_metadata().unwrap();
        assert!(
            entries
                .iter()
                .any(|entry| entry.key == "registry" && entry.value.as_deref() == Some("synthetic"))
        );
        assert!(entries.iter().filter(|entry| entry.key == "ARROW:schema").count() == 1);
        let revealed =
            try_run(&registry, &people(), Task::Reveal(&[], RevealForm::Values), jobs, &sealed.bytes)
                .unwrap();
        assert_eq!((revealed.tally.rows, revealed.faults.len()), (7_500, 0));
        assert_eq!(read(&revealed.bytes).0, masked(&groups), "{compression}");
        assert_eq!(schema(&revealed.bytes).metadata().get("registry").map(String::as_str), Some("synthetic"));
        assert_eq!(schema(&revealed.bytes).metadata(), schema(&input).metadata());
    }
}

#[test]
fn protecting_twice_changes_no_byte_and_says_so() {
    let registry = Registry::new();
    let once = protect(&registry, &people(), &write(&person_groups(100), Compression::SNAPPY));
    let messages = registry.messages();
    let twice = protect(&registry, &people(), &once.bytes);
    assert_eq!((twice.tally.sealed, twice.tally.resealed, twice.tally.masked), (0, 0, 0));
    assert_eq!((twice.tally.kept, registry.messages()), (once.tally.sealed, messages));
    assert!(twice.bytes == once.bytes);
}

#[test]
fn sealed_columns_have_no_statistics_no_dictionary_and_no_trace_of_plaintext() {
    let registry = Registry::new();
    for encoding in ["text", "binary"] {
        let table = table(&format!(
            "[[table]]\nname = \"t\"\nrecord_id = [\"id\"]\nencoding = \"{encoding}\"\nfield = [{{ name = \"name\", mode = \"sealed\" }}, {{ name = \"place\", mode = \"clear\" }}]\n[[table.index]]\nname = \"by_name\"\nfields = [\"name\"]\nforms = [\"exact/v1\"]\nbits = 32\n"
        ));
        let rows = batch(vec![
            ("id", Arc::new(Int64Array::from_iter_values(0..2_000))),
            (
                "name",
                Arc::new(StringArray::from_iter_values((0..2_000).map(|n| format!("PLAINTEXT-{}", n % 3)))),
            ),
            (
                "place",
                Arc::new(StringArray::from_iter_values((0..2_000).map(|n| format!("place {}", n % 3)))),
            ),
        ]);
        // Uncompressed, so that what is there is there to be seen.
        let input = write(&[rows], Compression::UNCOMPRESSED);
        let holds = |bytes: &[u8], text: &[u8]| bytes.windows(text.len()).any(|part| part == text);
        assert!(holds(&input, b"PLAINTEXT"));
        let sealed = protect(&registry, &table, &input);
        assert!(sealed.faults.is_empty(), "{:?}", sealed.faults);
        assert!(!holds(&sealed.bytes, b"PLAINTEXT") && holds(&sealed.bytes, b"place 2"));
        let (_, metadata) = read(&sealed.bytes);
        let mut seen = 0;
        for column in metadata.row_groups().iter().flat_map(|group| group.columns()) {
            let is_secret = ["name", "by_name"].contains(&column.column_path().string().as_str());
            assert_eq!(column.statistics().is_none(), is_secret);
            assert_eq!(column.dictionary_page_offset().is_none(), is_secret);
            assert_eq!(column.column_index_offset().is_none(), is_secret);
            assert!(column.bloom_filter_offset().is_none());
            seen += usize::from(is_secret);
        }
        assert_eq!(seen, 2);
        let revealed = reveal(&registry, &table, &sealed.bytes);
        assert_eq!(read(&revealed.bytes).0, read(&input).0);
    }
}

#[test]
fn every_type_that_holds_a_value_comes_back_as_it_was() {
    let registry = Registry::new();
    let mut fixed = FixedSizeBinaryBuilder::new(16);
    fixed.append_value([7; 16]).unwrap();
    fixed.append_null();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("text", Arc::new(StringArray::from(vec![Some("a"), None]))),
        ("text", Arc::new(LargeStringArray::from(vec![Some("a"), None]))),
        ("text", Arc::new(StringViewArray::from(vec![Some("a value longer than twelve bytes"), None]))),
        ("text", Arc::new([Some("a"), None].into_iter().collect::<DictionaryArray<Int32Type>>())),
        ("bytes", Arc::new(BinaryArray::from(vec![Some(&b"a"[..]), None]))),
        ("bytes", Arc::new(LargeBinaryArray::from(vec![Some(&b"a"[..]), None]))),
        (
            "bytes",
            Arc::new(BinaryViewArray::from(vec![Some(&b"a value longer than twelve bytes"[..]), None])),
        ),
        ("bytes", Arc::new(fixed.finish())),
        ("integer", Arc::new(Int8Array::from(vec![Some(i8::MIN), None]))),
        ("integer", Arc::new(Int16Array::from(vec![Some(i16::MIN), None]))),
        ("integer", Arc::new(Int32Array::from(vec![Some(i32::MIN), None]))),
        ("integer", Arc::new(Int64Array::from(vec![Some(i64::MIN), None]))),
        ("integer", Arc::new(UInt8Array::from(vec![Some(u8::MAX), None]))),
        ("integer", Arc::new(UInt16Array::from(vec![Some(u16::MAX), None]))),
        ("integer", Arc::new(UInt32Array::from(vec![Some(u32::MAX), None]))),
        ("boolean", Arc::new(BooleanArray::from(vec![Some(true), None]))),
        ("date", Arc::new(Date32Array::from(vec![Some(-719_162), None]))),
        ("date", Arc::new(StringArray::from(vec![Some("1957-03-00"), None]))),
    ];
    for (value_type, array) in columns {
        for encoding in ["text", "binary"] {
            let table = table(&format!(
                "[[table]]\nname = \"t\"\nrecord_id = [\"id\"]\nencoding = \"{encoding}\"\nfield = [{{ name = \"v\", mode = \"sealed\", type = \"{value_type}\" }}]\n"
            ));
            let rows = batch(vec![("id", Arc::new(Int32Array::from(vec![1, 2]))), ("v", Arc::clone(&array))]);
            let sealed = protect(&registry, &table, &write(std::slice::from_ref(&rows), Compression::SNAPPY));
            assert_eq!((&sealed.faults[..], sealed.tally.sealed), (&[][..], 2), "{:?}", array.data_type());
            let stored = if encoding == "binary" { DataType::Binary } else { DataType::Utf8 };
            assert_eq!(*read(&sealed.bytes).0[0].column(1).data_type(), stored);
            let revealed = reveal(&registry, &table, &sealed.bytes);
            assert_eq!(read(&revealed.bytes).0, [rows], "{:?}", array.data_type());
        }
    }
}

#[test]
fn a_column_without_memory_of_its_type_gets_the_type_of_the_schema() {
    let registry = Registry::new();
    let sealed = protect(&registry, &people(), &write(&person_groups(20), Compression::SNAPPY));
    // Another program has written the file anew, without the metadata of its fields.
    let (groups, _) = read(&sealed.bytes);
    let bare = |group: &RecordBatch| {
        let schema = group.schema();
        let fields = schema
            .fields()
            .iter()
            .map(|field| field.as_ref().clone().with_metadata(arrow_schema::Metadata::default()));
        let schema = Schema::new(fields.collect::<Vec<_>>());
        RecordBatch::try_new(Arc::new(schema), group.columns().to_vec()).unwrap()
    };
    let bare: Vec<RecordBatch> = groups.iter().map(bare).collect();
    let revealed = reveal(&registry, &people(), &write(&bare, Compression::SNAPPY));
    let schema = read(&revealed.bytes).0[0].schema();
    let types: Vec<&DataType> =
        schema.fields().iter().skip(1).take(6).map(|field| field.data_type()).collect();
    assert_eq!(
        types,
        [
            &DataType::Utf8,
            &DataType::Utf8,
            &DataType::Int64,
            &DataType::Date32,
            &DataType::Boolean,
            &DataType::Binary
        ]
    );
    assert_eq!(texts(&read(&revealed.bytes).0[0], "given_name"), texts(&person_groups(20)[0], "given_name"));
}

fn with_clear(names: &[&str]) -> TableSchema {
    let clear: String =
        names.iter().map(|name| format!(", {{ name = \"{name}\", mode = \"clear\" }}")).collect();
    table(&format!(
        "[[table]]\nname = \"t\"\nrecord_id = [\"id\"]\nfield = [{{ name = \"secret\", mode = \"sealed\" }}{clear}]\n"
    ))
}

#[test]
fn clear_columns_of_every_type_pass_unchanged_without_the_rows_that_are_refused() {
    let registry = Registry::new();
    let mut list = ListBuilder::new(StringBuilder::new());
    for n in 0..4 {
        (0..n).for_each(|part| list.values().append_value(format!("part {part}")));
        list.append(n != 1);
    }
    let inner = Field::new("x", DataType::Float64, true);
    let parts: ArrayRef = Arc::new(Float64Array::from(vec![Some(-0.0), None, Some(f64::NAN), Some(1.5)]));
    let nested = StructArray::from(vec![(Arc::new(inner), parts)]);
    let rows = batch(vec![
        ("id", Arc::new(UInt16Array::from(vec![1, 2, 3, 4]))),
        ("list", Arc::new(list.finish())),
        ("secret", Arc::new(StringArray::from(vec!["a", "amn1.broken", "c", "d"]))),
        ("nested", Arc::new(nested)),
        (
            "money",
            Arc::new(Decimal128Array::from(vec![1, -2, 3, 4]).with_precision_and_scale(20, 2).unwrap()),
        ),
        (
            "seen",
            Arc::new(
                TimestampMicrosecondArray::from(vec![Some(1), None, Some(-3), Some(4)])
                    .with_timezone("+05:00"),
            ),
        ),
        ("big", Arc::new(UInt64Array::from(vec![u64::MAX, 0, 1, 2]))),
        ("nothing", Arc::new(NullArray::new(4))),
        ("views", Arc::new(StringViewArray::from(vec!["a value longer than twelve bytes", "b", "", "d"]))),
    ]);
    let table = with_clear(&["list", "nested", "money", "seen", "big", "nothing", "views"]);
    let input = write(&[rows.slice(0, 2), rows.slice(2, 2)], Compression::ZSTD(Default::default()));
    let sealed = protect(&registry, &table, &input);
    let told: Vec<_> =
        sealed.faults.iter().map(|(row, field, kind, _)| (*row, field.as_str(), *kind)).collect();
    assert_eq!(told, [(2, "secret", Kind::Malformed)]);
    let revealed = reveal(&registry, &table, &sealed.bytes);
    let (before, after) = (read(&input).0, read(&revealed.bytes).0);
    assert_eq!(after, [before[0].slice(0, 1), before[1].clone()]);
}

#[test]
fn refused_rows_are_told_with_their_numbers_and_left_out() {
    let registry = Registry::new();
    let group = |keys: Vec<Option<&str>>, secrets: Vec<Option<&str>>| {
        batch(vec![
            ("id", Arc::new(StringArray::from(keys))),
            ("secret", Arc::new(StringArray::from(secrets))),
        ])
    };
    let groups = [
        group(vec![Some("1"), None], vec![Some("a"), Some("b")]),
        group(vec![Some(""), Some("4")], vec![Some("c"), Some(" amn1.AAAA")]),
        group(vec![Some("5"), Some("6")], vec![None, Some("f")]),
    ];
    let sealed = protect(&registry, &with_clear(&[]), &write(&groups, Compression::SNAPPY));
    let told: Vec<_> =
        sealed.faults.iter().map(|(row, field, kind, _)| (*row, field.as_str(), *kind)).collect();
    assert_eq!(told, [(2, "", Kind::Schema), (3, "", Kind::Limit), (4, "secret", Kind::Malformed)]);
    assert_eq!((sealed.tally.rows, sealed.tally.refused_rows, sealed.tally.sealed), (6, 3, 3));
    let (groups, _) = read(&sealed.bytes);
    let keys: Vec<_> = groups.iter().flat_map(|group| texts(group, "id")).collect();
    assert_eq!(keys, [Some("1"), Some("5"), Some("6")]);
    // An envelope that was moved to another row does not open, and its row is refused.
    let moved = batch(vec![
        ("id", Arc::new(StringArray::from(vec!["1", "5"]))),
        (
            "secret",
            Arc::new(StringArray::from(vec![texts(&groups[0], "secret")[0], texts(&groups[0], "secret")[0]])),
        ),
    ]);
    let revealed = reveal(&registry, &with_clear(&[]), &write(&[moved], Compression::SNAPPY));
    assert_eq!((revealed.tally.refused_rows, revealed.tally.unauthentic), (1, 1));
    assert_eq!((revealed.faults[0].0, revealed.faults[0].2), (2, Kind::Unauthentic));
    assert_eq!(texts(&read(&revealed.bytes).0[0], "secret"), [Some("a")]);
}

#[test]
fn what_an_older_key_sealed_is_sealed_anew() {
    let registry = Registry::new();
    let groups = person_groups(300);
    let old = protect(&registry, &people(), &write(&groups, Compression::SNAPPY));
    let key = registry.rotate();
    let new = protect(&registry, &people(), &old.bytes);
    assert_eq!((new.tally.resealed, new.tally.sealed, new.tally.kept), (old.tally.sealed, 0, 0));
    let tally = new.tally.keys.iter().find(|tally| tally.key == key).unwrap();
    assert_eq!(tally.sealed, old.tally.sealed);
    assert_eq!(read(&reveal(&registry, &people(), &new.bytes).bytes).0, masked(&groups));
    let resealed = try_run(&registry, &people(), Task::Reseal(Effort::SealAndVerify), 2, &old.bytes).unwrap();
    assert_eq!((resealed.tally.resealed, resealed.faults.len()), (old.tally.sealed, 0));
    let plain = write(&groups, Compression::SNAPPY);
    let refused = try_run(&registry, &people(), Task::Reseal(Effort::Seal), 2, &plain).unwrap();
    assert_eq!(refused.tally.refused_rows, 900, "plaintext is not made authentic");
}

#[test]
fn masks_and_chosen_fields_are_revealed() {
    let registry = Registry::new();
    let sealed = protect(&registry, &people(), &write(&person_groups(10), Compression::SNAPPY));
    let masks = Task::Reveal(&[], RevealForm::Masks);
    let masks = try_run(&registry, &people(), masks, 2, &sealed.bytes).unwrap();
    let group = &read(&masks.bytes).0[0];
    assert!(texts(group, "soc_sec_id").iter().flatten().all(|shown| shown.chars().all(|c| c == '*')));
    let names = ["date_of_birth".to_owned()];
    let some = Task::Reveal(&names, RevealForm::Values);
    let some = try_run(&registry, &people(), some, 2, &sealed.bytes).unwrap();
    let (group, plain) = (&read(&some.bytes).0[0], &person_groups(10)[0]);
    assert_eq!(group.column_by_name("date_of_birth"), plain.column_by_name("date_of_birth"));
    assert!(texts(group, "given_name").iter().flatten().all(|cell| cell.starts_with("amn1.")));
    // What was revealed in part is protected again, and then whole.
    let again = protect(&registry, &people(), &some.bytes);
    assert!(again.faults.is_empty() && again.tally.kept > 0 && again.tally.sealed == 30);
    assert_eq!(read(&reveal(&registry, &people(), &again.bytes).bytes).0, masked(&person_groups(10)));
    let unknown = ["state".to_owned()];
    let unknown = Task::Reveal(&unknown, RevealForm::Values);
    assert!(try_run(&registry, &people(), unknown, 2, &sealed.bytes).is_err());
}

#[test]
fn plaintext_in_a_sealed_column_is_revealed_only_while_the_schema_says_mixed() {
    let registry = Registry::new();
    let schema = "[[table]]\nname = \"t\"\nrecord_id = [\"id\"]\nfield = [{ name = \"a\", mode = \"sealed\" MIXED }]\n";
    let rows = batch(vec![
        ("id", Arc::new(Int32Array::from(vec![1, 2]))),
        ("a", Arc::new(StringArray::from(vec![Some("x"), None]))),
    ]);
    let input = write(std::slice::from_ref(&rows), Compression::SNAPPY);
    let done = reveal(&registry, &table(&schema.replace("MIXED", "")), &input);
    assert_eq!((done.tally.refused_rows, done.faults[0].2), (2, Kind::Schema));
    let done = reveal(&registry, &table(&schema.replace("MIXED", ", migration = \"mixed\"")), &input);
    assert_eq!((done.tally.plain, read(&done.bytes).0), (2, vec![rows]));
}

#[test]
fn wrong_types_are_refused_before_anything_is_written() {
    let registry = Registry::new();
    let refusal = |column: &str, array: ArrayRef| {
        let mut rows = person_group(0, 2);
        let place = rows.schema().index_of(column).unwrap();
        let mut columns: Vec<(String, ArrayRef)> = rows
            .schema()
            .fields()
            .iter()
            .map(|f| f.name().clone())
            .zip(rows.columns().iter().cloned())
            .collect();
        columns[place].1 = array;
        rows = batch(columns.iter().map(|(name, array)| (name.as_str(), Arc::clone(array))).collect());
        let error = try_run(
            &registry,
            &people(),
            Task::Protect(Effort::Seal),
            1,
            &write(&[rows], Compression::SNAPPY),
        );
        let error = error.err().unwrap();
        assert_eq!(error.kind(), Kind::Schema);
        error.to_string()
    };
    let error = refusal("given_name", Arc::new(Float64Array::from(vec![1.0, 2.0])));
    assert!(
        error.contains("`given_name`")
            && error.contains("Float64")
            && error.contains("says text, which is Utf8"),
        "{error}"
    );
    let error = refusal("soc_sec_id", Arc::new(UInt64Array::from(vec![1, 2])));
    assert!(
        error.contains("`soc_sec_id`") && error.contains("UInt64") && error.contains("Int8 to Int64"),
        "{error}"
    );
    let error = refusal("phone", Arc::new(Int64Array::from(vec![1, 2])));
    assert!(error.contains("`phone`") && error.contains("to be masked is Utf8"), "{error}");
    let error = refusal("rec_id", Arc::new(Float64Array::from(vec![1.0, 2.0])));
    assert!(error.contains("`rec_id`") && error.contains("Float64"), "{error}");
    let error = try_run(
        &registry,
        &with_clear(&[]),
        Task::Protect(Effort::Seal),
        1,
        &write(&[person_group(0, 1)], Compression::SNAPPY),
    );
    assert!(error.err().unwrap().to_string().contains("none of its columns is there"));
}

fn with_surrogates(encoding: &str) -> TableSchema {
    table(&format!(
        "[[table]]\nname = \"t\"\nrecord_id = [\"id\"]\nencoding = \"{encoding}\"\nfield = [{{ name = \"name\", mode = \"sealed\", absence = \"visible\" }}, {{ name = \"place\", mode = \"clear\" }}]\n[[table.index]]\nname = \"by_name\"\nfields = [\"name\"]\nforms = [\"exact/v1\"]\nbits = 64\n"
    ))
}

#[derive(Default)]
struct Names(Vec<(u64, String, String)>);

impl Visitor for Names {
    fn row(&mut self, row: &ScannedRow<'_>) -> Result<()> {
        let text = |position| match row.value(position) {
            amanat::ValueRef::Text(text) => text.to_owned(),
            _ => String::new(),
        };
        self.0.push((row.number(), text(0), text(1)));
        Ok(())
    }

    fn refused(&mut self, fault: &Error) -> Result<()> {
        panic!("{fault}");
    }
}

#[test]
fn indexes_are_added_kept_and_left_out_of_what_is_revealed_and_rows_are_found_and_scanned() {
    let registry = Registry::new();
    registry.change(|keyring| {
        let id = keyring.add_key(amanat::keys::Purpose::Index, 365, common::now()?)?;
        keyring.activate(id, common::now()?)
    });
    for encoding in ["text", "binary"] {
        let table = with_surrogates(encoding);
        let rows = batch(vec![
            ("id", Arc::new(Int64Array::from(vec![1, 2, 3]))),
            ("name", Arc::new(StringArray::from(vec![Some("x"), None, Some("y")]))),
            ("place", Arc::new(StringArray::from(vec!["p", "q", "r"]))),
        ]);
        let input = write(std::slice::from_ref(&rows), Compression::ZSTD(Default::default()));
        let sealed = protect(&registry, &table, &input);
        assert_eq!((sealed.tally.terms_made, sealed.tally.surrogates_absent), (2, 1));
        let group = &read(&sealed.bytes).0[0];
        assert_eq!(group.num_columns(), 4);
        assert_eq!(group.column_by_name("by_name").unwrap().null_count(), 1);
        let again = protect(&registry, &table, &sealed.bytes);
        assert_eq!((again.tally.terms_kept, again.tally.terms_made), (2, 0));
        assert!(again.bytes == sealed.bytes);
        assert_eq!(read(&reveal(&registry, &table, &sealed.bytes).bytes).0, [rows]);
        let names = [amanat::Name::new("name").unwrap(), amanat::Name::new("place").unwrap()];
        registry.with_plan(&table, Task::Protect(Effort::DryRun), 1, |plan| {
            let index = &table.indexes()[0];
            let find = FindPlan { session: plan.session, table: &table, index, show: &names };
            let report = parquet_file::find(find, &["y"], file(&registry, &sealed.bytes)).unwrap();
            assert_eq!((report.rows.len(), report.rows[0].number, report.not_searchable), (1, 3, 0));
            let mut seen = Names::default();
            let scan =
                ScanPlan { table: &table, fields: &names, source: ScanSource::Protected(plan.session) };
            let tally = parquet_file::scan(scan, file(&registry, &sealed.bytes), &mut seen).unwrap();
            assert_eq!((tally.rows, tally.opened), (3, 2));
            assert_eq!(seen.0[2], (3, "y".to_owned(), "r".to_owned()));
        });
    }
}

#[test]
fn a_dry_run_counts_and_touches_nothing() {
    let registry = Registry::new();
    let input = write(&person_groups(10), Compression::SNAPPY);
    let done = try_run(&registry, &people(), Task::Protect(Effort::DryRun), 2, &input).unwrap();
    assert!(done.bytes.is_empty() && done.tally.rows == 30 && done.tally.sealed > 0);
    assert_eq!(registry.messages(), 0);
}

#[test]
fn a_file_without_rows_stays_one() {
    let registry = Registry::new();
    let input = write(&[person_group(0, 1).slice(0, 0)], Compression::SNAPPY);
    let sealed = protect(&registry, &people(), &input);
    assert_eq!((sealed.tally.rows, read(&sealed.bytes).0.len()), (0, 0));
    let revealed = reveal(&registry, &people(), &sealed.bytes);
    assert_eq!(schema(&revealed.bytes).fields(), schema(&input).fields());
}

#[test]
fn what_is_cut_off_or_no_parquet_file_is_malformed() {
    let registry = Registry::new();
    let input = write(&person_groups(10), Compression::SNAPPY);
    let cuts = (0..input.len()).step_by(input.len() / 40).map(|end| input[..end].to_vec());
    let others =
        [Vec::new(), b"id,name\n1,x\n".to_vec(), b"PAR1PAR1".to_vec(), b"PAR1\xff\xff\xff\xffPAR1".to_vec()];
    for bytes in cuts.chain(others) {
        let error = try_run(&registry, &people(), Task::Protect(Effort::Seal), 2, &bytes).err().unwrap();
        assert_eq!(error.kind(), Kind::Malformed, "{error}");
        assert!(error.to_string().contains("no Parquet file, or a damaged one"), "{error}");
    }
}

/// Many damaged files: each is refused, or read as another file; none makes the program panic. `AMANAT_FUZZ_FILES=100000` for more.
#[test]
fn damaged_files_are_refused_without_a_panic() {
    let registry = Registry::new();
    let files: u64 = std::env::var("AMANAT_FUZZ_FILES").ok().and_then(|n| n.parse().ok()).unwrap_or(300);
    let inputs = [
        write(&person_groups(10), Compression::SNAPPY),
        write(&person_groups(10), Compression::UNCOMPRESSED),
        protect(&registry, &people(), &write(&person_groups(10), Compression::ZSTD(Default::default())))
            .bytes,
    ];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % u64::try_from(below).unwrap()).unwrap()
    };
    let mut refused = 0;
    for round in 0..files {
        let mut bytes = inputs[random(inputs.len())].clone();
        // Half of the changes hit the footer, which is where a file says what it is.
        let footer = bytes.len() - 3_000.min(bytes.len() / 2);
        for _ in 0..=random(4) {
            let place =
                if random(2) == 0 { footer + random(bytes.len() - footer) } else { random(bytes.len()) };
            match random(3) {
                0 => bytes[place] = u8::try_from(random(256)).unwrap(),
                1 => bytes[place] ^= 1 << random(8),
                _ => bytes[place] = [0, 0x7f, 0x80, 0xff][random(4)],
            }
        }
        let task = if round % 3 == 0 {
            Task::Reveal(&[], RevealForm::Values)
        } else {
            Task::Protect(Effort::DryRun)
        };
        refused += u64::from(try_run(&registry, &people(), task, 2, &bytes).is_err());
    }
    assert!(refused > files / 10, "{refused} of {files}");
}
