// SPDX-License-Identifier: MIT OR Apache-2.0
//! Protecting and re-encrypting a CSV file of records with six sealed fields, each beside a bound program of plain calls: parse, raw ring,
//! text form, write. Re-encryption goes from file to file with checkpoints. Its bound parses, opens, seals, writes and makes durable once; the
//! text form (base64url both ways) is not in it, and amanat has to carry it. A second bound with the text form is printed beside.
//!
//! `cargo bench -p amanat-stores --bench protect` runs 200,000 records; `AMANAT_BENCH_ROWS=1000000` sets another number. CPU time of the
//! process, bounds and subject in turn, median of the ratios. All records are invented.

#![allow(
    missing_docs,
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss
)]

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufWriter, Write, sink};
use std::num::NonZeroUsize;
use std::path::Path;

use amanat::error::{Error, Result};
use amanat::keys::{KeyFile, Keyring, NewSlot, Purpose};
use amanat::schema::Schema;
use amanat::{Name, Timestamp};
use amanat_stores::durable::Syncer;
use amanat_stores::file_run::CHECKPOINT_BYTES;
use amanat_stores::stream::{Observer, Plan, Task};
use amanat_stores::{
    Begun, Delimiter, Effort, FileForm, FileOrder, FileRun, Keeper, KeyringPath, KeyringSession, Placing,
    Start, csv_file,
};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use rustix::time::{ClockId, clock_gettime};

const RUNS: usize = 7;
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

impl Keeper for Silent {
    fn listed(&mut self) -> Result<u64> {
        Ok(0)
    }

    fn syncer(&mut self) -> Result<Option<Syncer>> {
        Ok(None)
    }
}

fn process_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Records of 13+20+20+10+60+13 bytes.
fn records(count: u64) -> Vec<u8> {
    let mut text = String::from("id,cnic,given_name,family_name,birth_date,address,phone\n");
    for n in 0..count {
        let mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 10_000_000_000_000;
        writeln!(
            text,
            "{n},{mixed:013},given {mixed:014},family {mixed:013},19{:02}-{:02}-{:02},house {n:08} street {:08} sector {:08} district {:010},+92300{:07}",
            n % 100, n % 12 + 1, n % 28 + 1, n % 977, n % 83, n % 131, n % 10_000_000
        )
        .unwrap();
    }
    text.into_bytes()
}

/// What no program that does the same can be faster than by much: nothing but the library calls in a row.
fn bound(input: &[u8]) {
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32]).unwrap());
    let mut reader = csv::ReaderBuilder::new().buffer_capacity(1 << 17).from_reader(input);
    let mut output = csv::WriterBuilder::new().buffer_capacity(1 << 16).from_writer(sink());
    output.write_byte_record(reader.byte_headers().unwrap()).unwrap();
    let (mut row, mut sealed, mut text) = (csv::ByteRecord::new(), Vec::new(), Vec::new());
    let mut counter = 0_u64;
    while reader.read_byte_record(&mut row).unwrap() {
        output.write_field(&row[0]).unwrap();
        for cell in row.iter().skip(1) {
            counter += 1;
            let mut nonce = [0; 12];
            nonce[4..].copy_from_slice(&counter.to_be_bytes());
            sealed.clear();
            sealed.extend_from_slice(&[1; 42]);
            sealed.extend_from_slice(cell);
            let tag = key
                .seal_in_place_separate_tag(
                    Nonce::assume_unique_for_key(nonce),
                    Aad::from(&[5; 32]),
                    &mut sealed[42..],
                )
                .unwrap();
            sealed.extend_from_slice(tag.as_ref());
            text.clear();
            amanat::envelope::append_text(&sealed, &mut text);
            output.write_field(&text).unwrap();
        }
        output.write_record(None::<&[u8]>).unwrap();
    }
    output.flush().unwrap();
}

/// What a bound does with the text form of a cell.
#[derive(Clone, Copy)]
enum Text {
    /// Decodes and encodes it.
    Coded,
    /// Writes it as it was read: opened and sealed are bytes of the same length.
    Copied,
}

/// Re-encrypts without checkpoints and with one key schedule: every cell is opened and sealed by raw ring.
fn bound_reseal(input: &Path, output: &Path, form: Text) {
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32]).unwrap());
    let mut reader =
        csv::ReaderBuilder::new().buffer_capacity(1 << 17).from_reader(File::open(input).unwrap());
    let file = File::create(output).unwrap();
    let mut output = csv::WriterBuilder::new().buffer_capacity(1 << 16).from_writer(&file);
    output.write_byte_record(reader.byte_headers().unwrap()).unwrap();
    let (mut row, mut sealed, mut text) = (csv::ByteRecord::new(), Vec::new(), Vec::new());
    let mut counter = 0_u64;
    let mut kept: Vec<Vec<u8>> = Vec::new();
    while reader.read_byte_record(&mut row).unwrap() {
        output.write_field(&row[0]).unwrap();
        for (column, cell) in row.iter().skip(1).enumerate() {
            counter += 1;
            sealed.clear();
            match (form, kept.get(column)) {
                (Text::Copied, Some(bytes)) => sealed.extend_from_slice(bytes),
                _ => base64_turbo::URL_SAFE_NO_PAD.decode_vec(&cell[5..], &mut sealed).unwrap(),
            }
            if kept.len() == column {
                kept.push(sealed.clone());
            }
            let nonce = |sealed: &[u8]| Nonce::try_assume_unique_for_key(&sealed[30..42]).unwrap();
            let old = nonce(&sealed);
            key.open_in_place(old, Aad::from(&[5; 32]), &mut sealed[42..]).unwrap();
            let end = sealed.len() - 16;
            sealed[34..42].copy_from_slice(&counter.to_be_bytes());
            let new = nonce(&sealed);
            let tag = key.seal_in_place_separate_tag(new, Aad::from(&[5; 32]), &mut sealed[42..end]).unwrap();
            sealed[end..].copy_from_slice(tag.as_ref());
            if let Text::Copied = form {
                assert_eq!(cell.len(), (sealed.len() * 8).div_ceil(6) + 5);
                output.write_field(cell).unwrap();
                continue;
            }
            text.clear();
            amanat::envelope::append_text(&sealed, &mut text);
            output.write_field(&text).unwrap();
        }
        output.write_record(None::<&[u8]>).unwrap();
    }
    output.flush().unwrap();
    file.sync_all().unwrap();
}

/// A file whose cells `bound_reseal` opens: envelopes of the same lengths as those of amanat, under its own key.
fn bound_input(sealed: &Path, output: &Path) {
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32]).unwrap());
    let mut reader = csv::Reader::from_path(sealed).unwrap();
    let mut writer = csv::Writer::from_path(output).unwrap();
    writer.write_byte_record(reader.byte_headers().unwrap()).unwrap();
    let mut counter = 0_u64;
    for row in reader.byte_records() {
        let row = row.unwrap();
        writer.write_field(&row[0]).unwrap();
        for cell in row.iter().skip(1) {
            counter += 1;
            let mut bytes = base64_turbo::URL_SAFE_NO_PAD.decode(&cell[5..]).unwrap();
            let end = bytes.len() - 16;
            bytes[30..34].fill(1);
            bytes[34..42].copy_from_slice(&counter.to_be_bytes());
            let nonce = Nonce::try_assume_unique_for_key(&bytes[30..42]).unwrap();
            let tag =
                key.seal_in_place_separate_tag(nonce, Aad::from(&[5; 32]), &mut bytes[42..end]).unwrap();
            bytes[end..].copy_from_slice(tag.as_ref());
            let mut text = Vec::new();
            amanat::envelope::append_text(&bytes, &mut text);
            writer.write_field(&text).unwrap();
        }
        writer.write_record(None::<&[u8]>).unwrap();
    }
    writer.flush().unwrap();
}

/// A file run with checkpoints; gives how many cells were sealed anew.
fn reseal(session: &KeyringSession<'_>, schema: &Schema, input: &Path, output: &Path) -> u64 {
    let plan = Plan {
        session,
        table: schema.table("citizens").unwrap(),
        task: Task::Reseal(Effort::Seal),
        jobs: NonZeroUsize::MIN,
    };
    let order = FileOrder {
        input: input.to_path_buf(),
        placing: Placing::Output(output.to_path_buf()),
        form: FileForm::Csv(Delimiter::Comma),
        only: None,
        schema: SCHEMA.to_owned(),
        remade: Vec::new(),
        checkpoint_bytes: CHECKPOINT_BYTES,
    };
    let Ok(Begun::Run(mut run)) = FileRun::begin(order, plan, Start::Ask) else { panic!("it begins") };
    assert!(run.rows(plan, &mut Silent).unwrap());
    run.ready(&mut Silent).unwrap();
    let resealed = run.tally().resealed;
    run.place().unwrap();
    resealed
}

fn main() {
    let rows: u64 =
        std::env::var("AMANAT_BENCH_ROWS").ok().and_then(|rows| rows.parse().ok()).unwrap_or(200_000);
    let input = records(rows);
    let folder = tempfile::tempdir().unwrap();
    let now = || Timestamp::from_unix_seconds(1_800_000_000);
    let kek = KeyFile::generate().unwrap();
    let path = KeyringPath::open(folder.path().join("bench.keyring"));
    let slot = NewSlot { label: "bench", kek: &kek };
    let mut keyring = Keyring::create(Name::new("bench").unwrap(), &slot, now().unwrap()).unwrap();
    path.create(&mut keyring, now().unwrap()).unwrap();
    let schema = Schema::from_toml(SCHEMA).unwrap();
    let subject = |jobs: usize| {
        let session = KeyringSession::unlock(&path, &kek, &now).unwrap();
        let plan = Plan {
            session: &session,
            table: schema.table("citizens").unwrap(),
            task: Task::Protect(Effort::Seal),
            jobs: NonZeroUsize::new(jobs).unwrap(),
        };
        let mut output = BufWriter::with_capacity(1 << 16, sink());
        let tally =
            csv_file::run(plan, &input[..], Some(&mut output as &mut dyn Write), &mut Silent).unwrap();
        session.give_back().unwrap();
        assert_eq!((tally.rows, tally.sealed), (rows, rows * 6));
    };
    let timed = |run: &dyn Fn()| {
        let start = process_seconds();
        run();
        process_seconds() - start
    };
    println!(
        "protect a CSV of {rows} records with six sealed fields, CPU time of the process, median of {RUNS} runs in turn"
    );
    let (mut bounds, mut ratios) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let raw = timed(&|| bound(&input));
        bounds.push(raw);
        ratios.push(raw / timed(&|| subject(1)));
    }
    bounds.sort_by(f64::total_cmp);
    ratios.sort_by(f64::total_cmp);
    println!(
        "  bound: parse + raw ring + text + write   {:>9.0} records/s of one core",
        rows as f64 / bounds[RUNS / 2]
    );
    let met = if ratios[RUNS / 2] >= 0.8 { "met" } else { "MISSED" };
    println!(
        "  amanat protect, one worker               {:>8.0} % of the bound ({:.0}-{:.0})  goal 80 % {met}",
        ratios[RUNS / 2] * 100.0,
        ratios[0] * 100.0,
        ratios[RUNS - 1] * 100.0
    );

    let file = |name: &str| folder.path().join(name);
    fs::write(file("plain.csv"), &input).unwrap();
    let protected = {
        let session = KeyringSession::unlock(&path, &kek, &now).unwrap();
        let table = schema.table("citizens").unwrap();
        let plan =
            Plan { session: &session, table, task: Task::Protect(Effort::Seal), jobs: NonZeroUsize::MIN };
        let mut output = Vec::new();
        csv_file::run(plan, &input[..], Some(&mut output), &mut Silent).unwrap();
        session.give_back().unwrap();
        output
    };
    fs::write(file("sealed.csv"), protected).unwrap();
    bound_input(&file("sealed.csv"), &file("bound.csv"));
    let add = |keyring: &mut Keyring| {
        keyring.add_key(Purpose::Field, 365, now()?).and_then(|id| keyring.activate(id, now()?))
    };
    path.update(&kek, now().unwrap(), add).unwrap();
    let mut rounds = Vec::new();
    for _ in 0..RUNS {
        let bound = |form| timed(&|| bound_reseal(&file("bound.csv"), &file("bound.out.csv"), form));
        let subject = timed(&|| {
            let session = KeyringSession::unlock(&path, &kek, &now).unwrap();
            assert_eq!(reseal(&session, &schema, &file("sealed.csv"), &file("resealed.csv")), rows * 6);
            session.give_back().unwrap();
        });
        rounds.push([bound(Text::Copied), bound(Text::Coded), subject]);
    }
    let middle = |of: &dyn Fn(&[f64; 3]) -> f64| {
        let mut all: Vec<f64> = rounds.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        (all[RUNS / 2], all[0], all[RUNS - 1])
    };
    println!(
        "re-encrypt the same from file to file under a new key, with checkpoints; CPU time of the process"
    );
    for (place, name) in [(0, "parse + open + seal + write"), (1, "the same + base64url both ways")] {
        let rate = rows as f64 / middle(&|round| round[place]).0;
        let (ratio, least, most) = middle(&|round| round[place] / round[2]);
        let met = if ratio >= 0.8 { "met" } else { "MISSED" };
        let goal = if place == 0 { format!("  goal 80 % {met}") } else { String::new() };
        println!("  bound: {name:<31} {rate:>9.0} records/s of one core");
        println!(
            "  amanat rotate, one worker {:>21.0} % of it ({:.0}-{:.0}){goal}",
            ratio * 100.0,
            least * 100.0,
            most * 100.0
        );
    }
}
