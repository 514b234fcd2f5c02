// SPDX-License-Identifier: MIT OR Apache-2.0
//! Re-encrypting a Parquet file of records with six sealed fields, beside a bound program: Parquet to Arrow, text to bytes, open and seal with
//! raw ring, bytes to text, Arrow to Parquet.
//!
//! `cargo bench -p amanat-stores --bench parquet` takes 200,000 records; `AMANAT_BENCH_ROWS=1000000` sets another number. CPU time of the
//! process, bound and subject in turn, median of the ratios. All records are invented.

#![allow(
    missing_docs,
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss
)]

use std::fs::File;
use std::io::{Write, sink};
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use amanat::error::{Error, Result};
use amanat::keys::{KeyFile, Keyring, NewSlot, Purpose};
use amanat::schema::Schema;
use amanat::{Name, Timestamp};
use amanat_stores::stream::{Observer, Plan, Task};
use amanat_stores::{Effort, KeyringPath, KeyringSession, parquet_file};
use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use rustix::time::{ClockId, clock_gettime};

const RUNS: usize = 5;
const BATCH_ROWS: u64 = 1_000;
const NAMES: [&str; 7] = ["id", "cnic", "given_name", "family_name", "birth_date", "address", "phone"];
const SCHEMA: &str = r#"
format = "amanat-schema"
version = 1
[[table]]
name = "citizens"
record_id = ["id"]
field = [
  { name = "cnic", mode = "sealed" }, { name = "given_name", mode = "sealed" }, { name = "family_name", mode = "sealed" },
  { name = "birth_date", mode = "sealed" }, { name = "address", mode = "sealed" }, { name = "phone", mode = "sealed" },
]
"#;

struct Silent;

impl Observer for Silent {
    fn refused(&mut self, fault: &Error) -> Result<()> {
        panic!("{fault}");
    }

    fn progress(&mut self, _: u64, _: u64) {}
}

fn process_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Records of 13+20+20+10+60+13 bytes.
fn batch(first: u64, rows: u64) -> RecordBatch {
    let column = |text: &dyn Fn(u64) -> String| {
        Arc::new((first..first + rows).map(|n| Some(text(n))).collect::<StringArray>()) as ArrayRef
    };
    let mixed = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 10_000_000_000_000;
    let columns = [
        column(&|n| n.to_string()),
        column(&|n| format!("{:013}", mixed(n))),
        column(&|n| format!("given {:014}", mixed(n))),
        column(&|n| format!("family {:013}", mixed(n))),
        column(&|n| format!("19{:02}-{:02}-{:02}", n % 100, n % 12 + 1, n % 28 + 1)),
        column(&|n| {
            format!("house {n:08} street {:08} sector {:08} district {:010}", n % 977, n % 83, n % 131)
        }),
        column(&|n| format!("+92300{:07}", n % 10_000_000)),
    ];
    RecordBatch::try_from_iter(NAMES.into_iter().zip(columns)).unwrap()
}

fn write_records(path: &Path, rows: u64) {
    let compression = WriterProperties::builder().set_compression(Compression::ZSTD(Default::default()));
    let properties = compression.set_max_row_group_row_count(Some(100_000)).build();
    let schema = batch(0, 1).schema();
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), schema, Some(properties)).unwrap();
    for first in (0..rows).step_by(usize::try_from(BATCH_ROWS).unwrap()) {
        writer.write(&batch(first, BATCH_ROWS.min(rows - first))).unwrap();
    }
    writer.close().unwrap();
}

/// What no program that does the same can be faster than by much: nothing but the library calls in a row. Its input is sealed with its own key.
struct Bound {
    key: LessSafeKey,
    counter: u64,
}

impl Bound {
    fn seal(&mut self, value: &[u8], out: &mut StringBuilder, sealed: &mut Vec<u8>, text: &mut Vec<u8>) {
        self.counter += 1;
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&self.counter.to_be_bytes());
        sealed.clear();
        sealed.extend_from_slice(&[1; 30]);
        sealed.extend_from_slice(&nonce);
        // Type, value and padding, as an envelope has them.
        let start = sealed.len();
        sealed.extend_from_slice(value);
        sealed.resize(start + (value.len() + 2).next_multiple_of(16), 0);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag =
            self.key.seal_in_place_separate_tag(nonce, Aad::from(&[5; 32]), &mut sealed[start..]).unwrap();
        sealed.extend_from_slice(tag.as_ref());
        text.clear();
        amanat::envelope::append_text(sealed, text);
        out.append_value(core::str::from_utf8(text).unwrap());
    }

    fn open<'a>(&self, text: &str, bytes: &'a mut Vec<u8>) -> &'a [u8] {
        bytes.clear();
        amanat::envelope::append_from_text(text, bytes).unwrap();
        let mut nonce = [0; 12];
        nonce.copy_from_slice(&bytes[30..42]);
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.key.open_in_place(nonce, Aad::from(&[5; 32]), &mut bytes[42..]).unwrap()
    }

    /// Seals every value, or opens it first and seals it anew.
    fn run(&mut self, input: &Path, output: impl Write + Send, opens: bool) {
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(input).unwrap()).unwrap();
        let reader = reader.with_batch_size(1_024).build().unwrap();
        let mut properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(Default::default()))
            .set_max_row_group_row_count(Some(100_000));
        for name in &NAMES[1..] {
            properties = properties
                .set_column_dictionary_enabled((*name).into(), false)
                .set_column_statistics_enabled((*name).into(), EnabledStatistics::None);
        }
        let mut writer =
            ArrowWriter::try_new(output, batch(0, 1).schema(), Some(properties.build())).unwrap();
        let (mut opened, mut sealed, mut text) = (Vec::new(), Vec::new(), Vec::new());
        for rows in reader {
            let rows = rows.unwrap();
            let mut columns = vec![Arc::clone(rows.column(0))];
            for column in &rows.columns()[1..] {
                let cells = column.as_string::<i32>();
                let mut out = StringBuilder::with_capacity(cells.len(), cells.len() * 128);
                for cell in cells.iter().flatten() {
                    let value = if opens { self.open(cell, &mut opened) } else { cell.as_bytes() };
                    self.seal(value, &mut out, &mut sealed, &mut text);
                }
                columns.push(Arc::new(out.finish()));
            }
            writer.write(&RecordBatch::try_new(rows.schema(), columns).unwrap()).unwrap();
        }
        writer.close().unwrap();
    }
}

fn main() {
    let rows: u64 =
        std::env::var("AMANAT_BENCH_ROWS").ok().and_then(|rows| rows.parse().ok()).unwrap_or(200_000);
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    write_records(&at("plain.parquet"), rows);
    let now = || Timestamp::from_unix_seconds(1_800_000_000);
    let kek = KeyFile::generate().unwrap();
    let path = KeyringPath::open(at("bench.keyring"));
    let slot = NewSlot { label: "bench", kek: &kek };
    let mut keyring = Keyring::create(Name::new("bench").unwrap(), &slot, now().unwrap()).unwrap();
    path.create(&mut keyring, now().unwrap()).unwrap();
    let schema = Schema::from_toml(SCHEMA).unwrap();
    let subject = |input: &Path, output: &mut (dyn Write + Send)| {
        let session = KeyringSession::unlock(&path, &kek, &now).unwrap();
        let plan = Plan {
            session: &session,
            table: schema.table("citizens").unwrap(),
            task: Task::Protect(Effort::Seal),
            jobs: NonZeroUsize::MIN,
        };
        let tally = parquet_file::run(plan, File::open(input).unwrap(), Some(output), &mut Silent).unwrap();
        session.give_back().unwrap();
        tally
    };
    let mut bound =
        Bound { key: LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32]).unwrap()), counter: 0 };
    bound.run(&at("plain.parquet"), File::create(at("bound.parquet")).unwrap(), false);
    let tally = subject(&at("plain.parquet"), &mut File::create(at("sealed.parquet")).unwrap());
    assert_eq!((tally.rows, tally.sealed), (rows, rows * 6));
    // From now on everything is sealed under an older key.
    path.update(&kek, now().unwrap(), |keyring| {
        let id = keyring.add_key(Purpose::Field, 365, now()?)?;
        keyring.activate(id, now()?)
    })
    .unwrap();
    println!(
        "re-encrypt a Parquet file of {rows} records with six sealed fields, CPU time of the process, median of {RUNS} runs in turn"
    );
    let (mut bounds, mut ratios) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let start = process_seconds();
        bound.run(&at("bound.parquet"), sink(), true);
        let middle = process_seconds();
        let tally = subject(&at("sealed.parquet"), &mut sink());
        assert_eq!((tally.rows, tally.resealed), (rows, rows * 6));
        bounds.push(middle - start);
        ratios.push((middle - start) / (process_seconds() - middle));
    }
    bounds.sort_by(f64::total_cmp);
    ratios.sort_by(f64::total_cmp);
    println!(
        "  bound: Parquet in + raw ring open and seal + text + Parquet out   {:>9.0} records/s of one core",
        rows as f64 / bounds[RUNS / 2]
    );
    let met = if ratios[RUNS / 2] >= 0.8 { "met" } else { "MISSED" };
    println!(
        "  amanat protect, one worker                                        {:>8.0} % of the bound ({:.0}-{:.0})  goal 80 % {met}",
        ratios[RUNS / 2] * 100.0,
        ratios[0] * 100.0,
        ratios[RUNS - 1] * 100.0
    );
}
