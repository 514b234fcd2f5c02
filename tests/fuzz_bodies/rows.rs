// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rows of CSV and JSON Lines files through protect and reveal.
//!
//! Used by the crates that may depend on `amanat-stores`: `fuzz/` and the tests of `xtask/`.

use std::io::{Read, Write};
use std::num::NonZeroUsize;
use std::sync::LazyLock;

use amanat::keys::{KeyFile, Keyring, NewSlot};
use amanat::mask::Mask;
use amanat::schema::{Schema, TableSchema};
use amanat::{Error, Name, Result, Timestamp, ValueRef};
use amanat_stores::{
    Effort, KeyringPath, KeyringSession, Observer, Plan, RevealForm, Tally, Task, csv_file, json_lines,
};

const CSV_HEADER: &str = "id,name,born,photo,count,alive,extra,note,district\n";

/// Any bytes as a whole file, and as the rows after a header.
pub fn csv_row(data: &[u8]) {
    for input in [data.to_vec(), [CSV_HEADER.as_bytes(), data].concat()] {
        if let Some((refused, shown)) = round_trip(|p, i, o, w| csv_file::run(p, i, o, w), &input) {
            compare_csv(&input, &refused, &shown);
        }
    }
}

/// Any bytes as JSON Lines.
pub fn json_row(data: &[u8]) {
    round_trip(|p, i, o, w| json_lines::run(p, i, o, w), data);
}

/// The journal of a run over a file: what is accepted is written again as it was.
pub fn file_journal(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(journal) = amanat_stores::file_run::journal::Journal::parse(text) {
        assert_eq!(journal.to_json(), text, "a journal has one form");
    }
    if let Ok(tally) = Tally::from_json(text) {
        assert_eq!(Tally::from_json(&tally.to_json()).expect("counts come back"), tally);
    }
}

/// Protects, protects again, reveals, and does all of it once more with what was revealed.
/// Gives the refused rows and what was revealed; nothing if the file as a whole is refused.
fn round_trip(run: Run, input: &[u8]) -> Option<(Vec<u64>, Vec<u8>)> {
    let protect = |input: &[u8]| Done::of(run, input, Task::Protect(Effort::SealAndVerify));
    let reveal = |input: &[u8]| Done::of(run, input, Task::Reveal(&[], RevealForm::Values));
    let sealed = protect(input).ok()?;
    assert_eq!(Done::of(run, input, Task::Protect(Effort::DryRun)).ok()?.refused, sealed.refused);
    let again = protect(&sealed.bytes).expect("what protect wrote");
    assert!(again.bytes == sealed.bytes && again.refused.is_empty(), "protected twice, it changes");
    let shown = reveal(&sealed.bytes).expect("what protect wrote");
    assert_eq!((&shown.refused, shown.tally.rows), (&Vec::new(), again.tally.rows));
    let second = protect(&shown.bytes).expect("what reveal wrote");
    assert!(second.refused.is_empty(), "what reveal wrote is refused");
    let second = reveal(&second.bytes).expect("what protect wrote");
    assert!(second.bytes == shown.bytes, "revealed a second time, it is another file");
    Some((sealed.refused, shown.bytes))
}

/// Every cell of every row that was not refused is the same as before, but that masked ones are masked.
fn compare_csv(before: &[u8], refused: &[u64], after: &[u8]) {
    let read = |bytes: &[u8]| -> Vec<csv::ByteRecord> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(bytes);
        reader.byte_records().map(|record| record.expect("read before")).collect()
    };
    let (before, after) = (read(before), read(after));
    let header = before.first().expect("a header").clone();
    let kept = (0..).zip(before).filter(|(row, _)| !refused.contains(row)).map(|(_, record)| record);
    let kept: Vec<csv::ByteRecord> = kept.collect();
    assert_eq!(kept.len(), after.len());
    assert_eq!(Some(&header), after.first());
    for (old, new) in kept.iter().zip(&after).skip(1) {
        assert_eq!(old.len(), new.len());
        for ((old, new), name) in old.iter().zip(new).zip(&header) {
            let text = std::str::from_utf8(old).unwrap_or_default();
            let expected = match name.trim_ascii() {
                b"note" if !old.is_empty() => {
                    Mask::LastFour.apply(ValueRef::Text(text)).to_string().into_bytes()
                }
                _ => old.to_vec(),
            };
            assert!(new == expected, "a cell came back as another");
        }
    }
}

type Run = fn(Plan<'_>, &mut (dyn Read + Send), Option<&mut dyn Write>, &mut dyn Observer) -> Result<Tally>;

/// What a run wrote, and which rows it refused.
struct Done {
    bytes: Vec<u8>,
    refused: Vec<u64>,
    tally: Tally,
}

impl Done {
    fn of(run: Run, mut input: &[u8], task: Task<'_>) -> Result<Self> {
        let plan = Plan { session: &SESSION, table: &TABLE, task, jobs: NonZeroUsize::MIN };
        let (mut bytes, mut refused) = (Vec::new(), Refused(Vec::new()));
        let dry = matches!(task, Task::Protect(Effort::DryRun));
        let output: Option<&mut dyn Write> = if dry { None } else { Some(&mut bytes) };
        let tally = run(plan, &mut input, output, &mut refused)?;
        refused.0.sort_unstable();
        refused.0.dedup();
        Ok(Self { bytes, refused: refused.0, tally })
    }
}

struct Refused(Vec<u64>);

impl Observer for Refused {
    fn refused(&mut self, fault: &Error) -> Result<()> {
        self.0.push(fault.row().expect("a fault of a row says which"));
        Ok(())
    }

    fn progress(&mut self, _: u64, _: u64) {}
}

/// A table with every type of value and every mode.
static TABLE: LazyLock<TableSchema> = LazyLock::new(|| {
    let text = r#"
format = "amanat-schema"
version = 1
[[table]]
name = "citizens"
record_id = ["id"]
field = [
  { name = "id", mode = "clear" },
  { name = "name", mode = "sealed" },
  { name = "born", mode = "sealed", type = "date", family = "chacha" },
  { name = "photo", mode = "sealed", type = "bytes", pad = 64 },
  { name = "count", mode = "sealed", type = "integer", absence = "visible" },
  { name = "alive", mode = "sealed", type = "boolean" },
  { name = "extra", mode = "sealed", type = "cbor" },
  { name = "note", mode = "masked", mask = "last-4" },
  { name = "district", mode = "clear" },
]
"#;
    Schema::from_toml(text).expect("a schema").tables().first().expect("a table").clone()
});

/// A keyring in the system's folder for temporary files, of which one small file stays behind.
static SESSION: LazyLock<KeyringSession<'static>> = LazyLock::new(|| {
    let folder = std::env::temp_dir().join(format!("amanat-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder for temporary files");
    let path: &KeyringPath = Box::leak(Box::new(KeyringPath::open(folder.join("keyring.json"))));
    let kek: &KeyFile = Box::leak(Box::new(KeyFile::generate().expect("random bytes")));
    let slot = NewSlot { label: "fuzz", kek };
    let name = Name::new("demo-registry").expect("a name");
    let mut keyring = Keyring::create(name, &slot, now().expect("a time")).expect("a keyring");
    path.create(&mut keyring, now().expect("a time")).expect("a keyring file");
    KeyringSession::unlock(path, kek, &now).expect("the keyring just made")
});

fn now() -> Result<Timestamp> {
    Timestamp::from_unix_seconds(1_800_000_000)
}
