// SPDX-License-Identifier: MIT OR Apache-2.0
//! Changes that a run makes beside keys: padding, the schema, values that other tools sealed. All records are made up.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod common;

use std::borrow::Cow;
use std::sync::Arc;

use amanat::RecordId;
use amanat::envelope::{Envelope, looks_like_text_form};
use amanat::error::{Error, Kind, Result};
use amanat::ident::{KeyId, Name};
use amanat::rotate::{RunId, RunPlan, RunSource, Verb};
use amanat::schema::{SchemaChange, TableSchema};
use amanat::surrogate::StoredSurrogate;
use amanat::value::ValueRef;
use amanat_foreign::{Opener, Origin};
use amanat_stores::{
    Effort, KeyringSession, NewCell, Protector, Rows, SealedRows, Source, Stored, Tally, Work,
};
use common::{Registry, now, table};
use zeroize::Zeroizing;

const OLD: &str = r#"
[[table]]
name = "people"
record_id = ["id"]
encoding = "binary"
field = [
  { name = "name", mode = "sealed" },
  { name = "phone", mode = "sealed", absence = "visible" },
  { name = "village", mode = "clear" },
]
"#;
/// `name` became `full-name`, `phone` moved, `village` gets sealed elsewhere, `email` is new.
const NEW: &str = r#"
[[table]]
name = "people"
record_id = ["id"]
encoding = "binary"
field = [
  { name = "full-name", column = "full_name", mode = "sealed", formerly = "name" },
  { name = "phone", column = "phone_2", mode = "sealed", absence = "visible", formerly = "phone" },
  { name = "village", column = "village_2", mode = "sealed", formerly = "village" },
  { name = "email", mode = "sealed" },
  { name = "note", mode = "sealed", absence = "visible" },
]
"#;
const NEW_COLUMNS: [&str; 5] = ["full_name", "phone_2", "village_2", "email", "note"];

type Cell = Option<Vec<u8>>;

/// A table in memory, with columns of bytes, and what of it a run is about.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Memory {
    columns: Vec<(&'static str, Vec<Cell>)>,
}

/// How the columns of a table are those of a run.
struct View<'a> {
    memory: &'a Memory,
    sealed: Vec<&'a str>,
    former: Vec<Option<&'a str>>,
    foreign: Vec<bool>,
    left_over: Vec<&'a str>,
    ids: Vec<String>,
}

impl Memory {
    fn new(columns: &[(&'static str, &[&str])]) -> Self {
        let cell = |text: &&str| (*text != "-").then(|| text.as_bytes().to_vec());
        let columns = columns.iter().map(|(name, cells)| (*name, cells.iter().map(cell).collect()));
        Self { columns: columns.collect() }
    }

    fn cells(&self, column: &str) -> &[Cell] {
        &self.columns.iter().find(|(name, _)| *name == column).unwrap().1
    }

    fn cell(&mut self, column: &str, row: usize) -> &mut Cell {
        &mut self.columns.iter_mut().find(|(name, _)| *name == column).unwrap().1[row]
    }

    fn add(&mut self, columns: &[&'static str]) {
        let rows = self.columns[0].1.len();
        self.columns.extend(columns.iter().map(|name| (*name, vec![None; rows])));
    }

    fn view<'a>(&'a self, schema: &'a TableSchema, work: &'a Work) -> View<'a> {
        let moved = |name: &Name| {
            let change = work.change()?;
            let moved = change.moved().iter().find(|moved| moved.field == *name)?;
            Some(moved.former.column())
        };
        let dropped = work.change().map(SchemaChange::dropped).unwrap_or_default();
        View {
            memory: self,
            sealed: schema.sealed().map(|policy| policy.column()).collect(),
            former: schema.sealed().map(|policy| moved(policy.name())).collect(),
            foreign: schema.sealed().map(|policy| work.has_opener(policy.name())).collect(),
            left_over: dropped.iter().map(|dropped| dropped.column.as_str()).collect(),
            ids: (1..=self.columns[0].1.len()).map(|id| id.to_string()).collect(),
        }
    }

    /// Writes what was made for some of the rows.
    fn write(
        &mut self,
        schema: &TableSchema,
        work: &Work,
        sealed: &SealedRows,
        rows: impl Fn(usize) -> bool,
    ) {
        let view = self.view(schema, work);
        let mut new = self.clone();
        for row in (0..view.count()).filter(|row| rows(*row) && !sealed.is_refused(*row)) {
            for (position, column) in view.sealed.iter().enumerate() {
                match sealed.cell(row, position) {
                    NewCell::Envelope(bytes) => *new.cell(column, row) = Some(bytes.to_vec()),
                    NewCell::Absent => *new.cell(column, row) = None,
                    _ => {}
                }
                if sealed.empties_former(row, position) {
                    *new.cell(view.former[position].unwrap(), row) = None;
                }
            }
            view.left_over.iter().for_each(|column| *new.cell(column, row) = None);
        }
        *self = new;
    }
}

fn stored(cell: &Cell, foreign: bool) -> Stored<'_> {
    match cell {
        None => Stored::Absent,
        Some(bytes) if foreign && !looks_like_text_form(bytes) => Stored::Foreign(Cow::Borrowed(bytes)),
        Some(bytes) if bytes.starts_with(&[1]) => Stored::EnvelopeBytes(bytes),
        Some(bytes) => Stored::Plain(ValueRef::Text(std::str::from_utf8(bytes).unwrap())),
    }
}

impl Rows for View<'_> {
    fn count(&self) -> usize {
        self.ids.len()
    }

    fn number(&self, row: usize) -> u64 {
        u64::try_from(row).unwrap() + 1
    }

    fn record(&self, row: usize) -> Result<RecordId<'_>> {
        RecordId::text(&self.ids[row])
    }

    fn cell(&self, row: usize, position: usize) -> Result<Stored<'_>> {
        Ok(stored(&self.memory.cells(self.sealed[position])[row], self.foreign[position]))
    }

    fn former(&self, row: usize, position: usize) -> Result<Stored<'_>> {
        let column = self.former[position];
        Ok(column
            .map_or(Stored::Absent, |column| stored(&self.memory.cells(column)[row], self.foreign[position])))
    }

    fn left_over(&self, row: usize) -> u64 {
        let filled = self.left_over.iter().filter(|column| self.memory.cells(column)[row].is_some());
        u64::try_from(filled.count()).unwrap()
    }

    fn record_texts(&self, row: usize) -> Result<Vec<Cow<'_, str>>> {
        Ok(vec![Cow::Borrowed(&self.ids[row])])
    }

    fn surrogate(&self, _row: usize, _position: usize) -> Result<StoredSurrogate<'_>> {
        Ok(StoredSurrogate::Absent)
    }
}

struct Ran {
    tally: Tally,
    faults: Vec<(Option<u64>, String, String)>,
    undone: Vec<bool>,
}

/// How a run is made.
#[derive(Clone, Copy)]
struct How(Effort, Source);

const PROTECT: How = How(Effort::SealAndVerify, Source::Any);
const RESEAL: How = How(Effort::SealAndVerify, Source::SealedOnly);
const CHECK: How = How(Effort::Check, Source::Any);

/// Runs over a table and writes what was made for some of its rows.
fn run(
    registry: &Registry,
    memory: &mut Memory,
    schema: &TableSchema,
    (work, remade): (Work, &[&str]),
    How(effort, source): How,
    rows: impl Fn(usize) -> bool,
) -> Result<Ran> {
    let session = KeyringSession::unlock(&registry.path, &registry.kek, &now).unwrap();
    let remade = remade.iter().map(|name| Name::new(name).unwrap()).collect();
    let session = session.with_work(work).with_remade(remade);
    let mut sealed = SealedRows::default();
    let view = memory.view(schema, session.work());
    let made = Protector::new(&session, schema, effort, source)
        .and_then(|mut protector| protector.protect(&view, &mut sealed));
    let count = view.count();
    drop(view);
    let told = |fault: &Error| {
        (fault.row(), fault.field().map(ToString::to_string).unwrap_or_default(), fault.message().to_owned())
    };
    if made.is_ok() && effort == Effort::SealAndVerify {
        memory.write(schema, session.work(), &sealed, rows);
    }
    session.give_back().unwrap();
    made?;
    let undone = (0..count).map(|row| changes(&sealed, row, schema));
    Ok(Ran {
        tally: sealed.tally.clone(),
        faults: sealed.faults.iter().map(told).collect(),
        undone: undone.collect(),
    })
}

fn changes(sealed: &SealedRows, row: usize, schema: &TableSchema) -> bool {
    (0..schema.sealed().count()).any(|position| sealed.empties_former(row, position))
}

fn all(_: usize) -> bool {
    true
}

fn nothing() -> (Work, &'static [&'static str]) {
    (Work::default(), &[])
}

fn migrating(old: &TableSchema, new: &TableSchema) -> (Work, &'static [&'static str]) {
    (Work::default().with_change(SchemaChange::between(old, new, &[])).unwrap(), &[])
}

/// Values of a column under a field's name; `-` for what is absent, `?` for what does not open, `=` before plaintext.
fn values(registry: &Registry, memory: &Memory, field: &str, column: &str) -> Vec<String> {
    let keyring = registry.path.unlock(&registry.kek).unwrap();
    let keys = keyring.field_keys().unwrap();
    let name = |text| Name::new(text).unwrap();
    let context = amanat::FieldContext::new(keys.registry().clone(), name("people"), name(field));
    let mut opener = amanat::FieldOpener::new(&keys, &context, &amanat::OpenOptions::default()).unwrap();
    let value = |(row, cell): (usize, &Cell)| match cell {
        None => "-".to_owned(),
        Some(bytes) if !bytes.starts_with(&[1]) => format!("={}", String::from_utf8_lossy(bytes)),
        Some(bytes) => match opener.open(&RecordId::text(&(row + 1).to_string()).unwrap(), bytes) {
            Ok(ValueRef::Null) => "null".to_owned(),
            Ok(ValueRef::Text(text)) => text.to_owned(),
            Ok(ValueRef::Integer(number)) => number.to_string(),
            Ok(other) => other.type_name().to_owned(),
            Err(_) => "?".to_owned(),
        },
    };
    memory.cells(column).iter().enumerate().map(value).collect()
}

fn padded(memory: &Memory, column: &str) -> Vec<usize> {
    let length = |cell: &Cell| Envelope::parse(cell.as_ref().unwrap()).unwrap().padded_bytes();
    memory.cells(column).iter().map(length).collect()
}

/// A table that was protected under the old schema.
fn protected(registry: &Registry) -> Memory {
    let mut memory = Memory::new(&[
        ("name", &["Amna", "Bilal", "-", "Dana"]),
        ("phone", &["0300", "-", "0302", "0303"]),
        ("village", &["Chak 1", "Chak 2", "Chak 3", "-"]),
    ]);
    let ran = run(registry, &mut memory, &table(OLD), nothing(), PROTECT, all).unwrap();
    assert_eq!((ran.tally.sealed, ran.tally.absent), (7, 1));
    memory
}

fn assert_migrated(registry: &Registry, memory: &Memory) {
    for old in ["name", "phone", "village"] {
        assert_eq!(memory.cells(old), vec![None; 4], "{old} is emptied");
    }
    assert_eq!(values(registry, memory, "full-name", "full_name"), ["Amna", "Bilal", "null", "Dana"]);
    assert_eq!(values(registry, memory, "phone", "phone_2"), ["0300", "-", "0302", "0303"]);
    assert_eq!(values(registry, memory, "village", "village_2"), ["Chak 1", "Chak 2", "Chak 3", "null"]);
    assert_eq!(values(registry, memory, "email", "email"), ["null"; 4]);
    assert_eq!(values(registry, memory, "note", "note"), ["-"; 4]);
}

fn padding(bucket: u32, family: &str) -> TableSchema {
    table(&format!(
        "[[table]]\nname = \"people\"\nrecord_id = [\"id\"]\nencoding = \"binary\"\nfield = [{{ name = \"name\", mode = \"sealed\", pad = {bucket}, family = \"{family}\" }}]"
    ))
}

#[test]
fn what_a_bucket_would_not_give_is_sealed_anew_and_the_rest_stays() {
    let registry = Registry::new();
    // Lengths that a bucket of 16 pads to 16, 32, 48 and 64.
    let names = ["Amna".to_owned(), "b".repeat(20), "c".repeat(40), "d".repeat(50)];
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut memory = Memory::new(&[("name", &names)]);
    run(&registry, &mut memory, &padding(16, "aes"), nothing(), PROTECT, all).unwrap();
    assert_eq!(padded(&memory, "name"), [16, 32, 48, 64]);
    let before = memory.clone();
    let ran = run(&registry, &mut memory, &padding(32, "aes"), nothing(), RESEAL, all).unwrap();
    assert_eq!((ran.tally.resealed, ran.tally.kept), (2, 2));
    assert_eq!(padded(&memory, "name"), [32, 32, 64, 64]);
    assert_eq!(memory.cells("name")[1], before.cells("name")[1]);
    assert_eq!(values(&registry, &memory, "name", "name"), names);
    // Any multiple of 48 may be what a bucket of 48 gives; nothing else is.
    let ran = run(&registry, &mut memory, &padding(48, "aes"), nothing(), RESEAL, all).unwrap();
    assert_eq!((ran.tally.resealed, padded(&memory, "name")), (4, vec![48, 48, 48, 96]));
    let again = run(&registry, &mut memory, &padding(48, "aes"), nothing(), CHECK, all).unwrap();
    assert_eq!((again.tally.resealed, again.tally.kept, again.tally.opened), (0, 4, 4));
    assert_eq!(values(&registry, &memory, "name", "name"), names);
}

#[test]
fn a_smaller_bucket_is_applied_by_name_and_a_check_finds_it_done() {
    let registry = Registry::new();
    let mut memory = Memory::new(&[("name", &["Amna", "Bilal"])]);
    run(&registry, &mut memory, &padding(64, "aes"), nothing(), PROTECT, all).unwrap();
    let small = padding(16, "aes");
    let idle = run(&registry, &mut memory, &small, nothing(), RESEAL, all).unwrap();
    assert_eq!((idle.tally.resealed, idle.tally.kept, padded(&memory, "name")), (0, 2, vec![64, 64]));
    let remade = || (Work::default(), &["name"][..]);
    let ran = run(&registry, &mut memory, &small, remade(), RESEAL, all).unwrap();
    assert_eq!((ran.tally.resealed, ran.tally.kept, padded(&memory, "name")), (2, 0, vec![16, 16]));
    assert_eq!(values(&registry, &memory, "name", "name"), ["Amna", "Bilal"]);
    let check = run(&registry, &mut memory, &small, remade(), CHECK, all).unwrap();
    assert_eq!((check.tally.resealed, check.tally.kept, check.tally.opened), (0, 2, 2));
    // What differs in another way is undone, remade or not.
    let check = run(&registry, &mut memory, &padding(16, "chacha"), remade(), CHECK, all).unwrap();
    assert_eq!(check.tally.resealed, 2);
}

#[test]
fn one_run_does_a_mix_of_everything() {
    let registry = Registry::new();
    let (old, new) = (padding(16, "aes"), padding(48, "chacha"));
    let mut memory = Memory::new(&[("name", &["Amna", "Bilal", "Chanda", "Dana"])]);
    run(&registry, &mut memory, &old, nothing(), PROTECT, |row| row == 0).unwrap();
    let first = Envelope::parse(memory.cells("name")[0].as_ref().unwrap()).unwrap().key();
    let primary = registry.rotate();
    run(&registry, &mut memory, &padding(48, "aes"), nothing(), PROTECT, |row| row == 1).unwrap();
    run(&registry, &mut memory, &padding(16, "chacha"), nothing(), PROTECT, |row| row == 2).unwrap();
    let ran = run(&registry, &mut memory, &new, nothing(), PROTECT, all).unwrap();
    assert_eq!((ran.tally.sealed, ran.tally.resealed, ran.tally.kept), (1, 3, 0));
    let of = |key: KeyId| ran.tally.keys.iter().find(|tally| tally.key == key).unwrap();
    assert_eq!((of(first).resealed, of(primary).resealed, of(primary).sealed), (1, 2, 4));
    assert_eq!(padded(&memory, "name"), [48; 4]);
    assert_eq!(values(&registry, &memory, "name", "name"), ["Amna", "Bilal", "Chanda", "Dana"]);
}

#[test]
fn fields_are_renamed_moved_sealed_and_added_in_one_run() {
    let registry = Registry::new();
    let (old, new) = (table(OLD), table(NEW));
    let mut memory = protected(&registry);
    memory.add(&NEW_COLUMNS);
    let before = memory.clone();
    let dry = run(&registry, &mut memory, &new, migrating(&old, &new), How(Effort::DryRun, Source::Any), all)
        .unwrap();
    assert_eq!(memory, before);
    let ran = run(&registry, &mut memory, &new, migrating(&old, &new), PROTECT, all).unwrap();
    assert!(ran.faults.is_empty(), "{:?}", ran.faults);
    // 4 names and 3 telephone numbers, sealed anew; 3 villages and 5 absences, sealed; 1 number and 4 notes that are visibly absent.
    assert_eq!((ran.tally.resealed, ran.tally.sealed, ran.tally.absent, ran.tally.moved), (7, 8, 5, 10));
    assert_eq!((dry.tally.resealed, dry.tally.sealed, dry.tally.moved), (7, 8, 10));
    assert_migrated(&registry, &memory);
    // The old names open nothing of it.
    assert_eq!(values(&registry, &memory, "name", "full_name"), ["?"; 4]);
    let done = memory.clone();
    let again = run(&registry, &mut memory, &new, migrating(&old, &new), PROTECT, all).unwrap();
    assert_eq!(memory, done);
    assert!(!again.tally.changes());
    let check = run(&registry, &mut memory, &new, migrating(&old, &new), CHECK, all).unwrap();
    assert!(!check.tally.changes() && check.faults.is_empty() && !check.undone.contains(&true));
}

#[test]
fn a_run_that_stops_half_way_leaves_every_row_to_one_of_the_two_schemas() {
    let registry = Registry::new();
    let (old, new) = (table(OLD), table(NEW));
    for written in 0..4 {
        let mut memory = protected(&registry);
        memory.add(&NEW_COLUMNS);
        run(&registry, &mut memory, &new, migrating(&old, &new), PROTECT, |row| row < written).unwrap();
        let (before, after) = (
            values(&registry, &memory, "name", "name"),
            values(&registry, &memory, "full-name", "full_name"),
        );
        for row in 0..4 {
            let name = ["Amna", "Bilal", "null", "Dana"][row];
            let wanted = if row < written { ("-", name) } else { (name, "-") };
            assert_eq!((before[row].as_str(), after[row].as_str()), wanted, "row {row} of {written}");
        }
        let check = run(&registry, &mut memory, &new, migrating(&old, &new), CHECK, all).unwrap();
        assert_eq!(check.undone, (0..4).map(|row| row >= written).collect::<Vec<_>>());
        // Whoever resumes has the plan alone.
        let work = Work::of_plan(&plan(&registry)).unwrap();
        run(&registry, &mut memory, &new, (work, &[]), PROTECT, all).unwrap();
        assert_migrated(&registry, &memory);
    }
}

fn plan(registry: &Registry) -> RunPlan {
    let head = "format = \"amanat-schema\"\nversion = 1\n";
    let session = KeyringSession::unlock(&registry.path, &registry.kek, &now).unwrap();
    let plan = RunPlan {
        id: RunId::random().unwrap(),
        verb: Verb::Migrate,
        registry: Name::new("testland").unwrap(),
        table: Name::new("people").unwrap(),
        store_table: "people".to_owned(),
        schema: format!("{head}{NEW}"),
        former_schema: Some(format!("{head}{OLD}")),
        source: RunSource::Any,
        remade: Vec::new(),
        foreign: Vec::new(),
        primary: session.primary(),
        planned: now().unwrap(),
    };
    RunPlan::from_json(&plan.to_json()).unwrap()
}

#[test]
fn what_an_old_application_wrote_behind_the_run_is_moved_and_a_contradiction_is_refused() {
    let registry = Registry::new();
    let (old, new) = (table(OLD), table(NEW));
    let mut memory = protected(&registry);
    memory.add(&NEW_COLUMNS);
    let first = memory.clone();
    run(&registry, &mut memory, &new, migrating(&old, &new), PROTECT, all).unwrap();
    // Row 1: an application that writes both columns wrote what stood there. Row 2: one that knows the old one alone wrote a new value.
    *memory.cell("name", 0) = first.cells("name")[0].clone();
    *memory.cell("name", 1) = Some(b"Bushra".to_vec());
    let kept = (memory.cells("full_name")[0].clone(), memory.clone());
    let ran = run(&registry, &mut memory, &new, migrating(&old, &new), PROTECT, all).unwrap();
    assert_eq!((ran.tally.moved, ran.tally.resealed, ran.tally.sealed, ran.tally.refused_rows), (1, 0, 0, 1));
    assert_eq!((&memory.cells("name")[0], &memory.cells("full_name")[0]), (&None, &kept.0));
    assert_eq!(
        (&memory.cells("name")[1], &memory.cells("full_name")[1]),
        (&kept.1.cells("name")[1], &kept.1.cells("full_name")[1])
    );
    let [(row, field, why)] = ran.faults.as_slice() else { panic!("{:?}", ran.faults) };
    assert_eq!((*row, field.as_str()), (Some(2), "full-name"));
    assert!(why.contains("different values") && why.contains("empty the column"), "{why}");
    // As the message says: the new column was out of date.
    *memory.cell("full_name", 1) = None;
    let ran = run(&registry, &mut memory, &new, migrating(&old, &new), PROTECT, all).unwrap();
    assert_eq!((ran.tally.moved, ran.tally.refused_rows), (1, 0));
    assert_eq!(values(&registry, &memory, "full-name", "full_name")[..2], ["Amna", "Bushra"]);
}

#[test]
fn where_sealed_values_alone_are_taken_a_migration_takes_no_plaintext_and_no_gap() {
    let registry = Registry::new();
    let old = table(
        &OLD.replace("{ name = \"village\", mode = \"clear\" }", "{ name = \"village\", mode = \"sealed\" }"),
    );
    let new = table(NEW);
    let mut memory = Memory::new(&[
        ("name", &["Amna", "Bilal", "-"]),
        ("phone", &["0300", "-", "0302"]),
        ("village", &["Chak 1", "-", "Chak 3"]),
    ]);
    run(&registry, &mut memory, &old, nothing(), PROTECT, all).unwrap();
    memory.add(&NEW_COLUMNS);
    let mut honest = memory.clone();
    let ran = run(&registry, &mut honest, &new, migrating(&old, &new), RESEAL, all).unwrap();
    assert!(ran.faults.is_empty(), "{:?}", ran.faults);
    // Added fields are absent, and so is a number that showed it; the rest was sealed.
    assert_eq!((ran.tally.sealed, ran.tally.resealed, ran.tally.absent), (3, 8, 4));
    *memory.cell("name", 0) = Some(b"somebody else".to_vec());
    *memory.cell("name", 1) = None;
    let ran = run(&registry, &mut memory, &new, migrating(&old, &new), RESEAL, all).unwrap();
    let told: Vec<(u64, &str, bool)> = ran
        .faults
        .iter()
        .map(|(row, field, why)| (row.unwrap(), field.as_str(), why.contains("nothing stands")))
        .collect();
    assert_eq!(told, [(1, "full-name", false), (2, "full-name", true)]);
}

#[test]
fn dropped_columns_are_emptied_and_counted() {
    let registry = Registry::new();
    let old = table(OLD);
    let new = table(
        "[[table]]\nname = \"people\"\nrecord_id = [\"id\"]\nencoding = \"binary\"\nfield = [{ name = \"name\", mode = \"sealed\" }]",
    );
    let mut memory = protected(&registry);
    let ran = run(&registry, &mut memory, &new, migrating(&old, &new), RESEAL, all).unwrap();
    assert_eq!((ran.tally.emptied, ran.tally.kept, ran.tally.changes()), (6, 4, true));
    assert_eq!(
        (memory.cells("phone"), memory.cells("village")),
        (&[None, None, None, None][..], &[None, None, None, None][..])
    );
    assert_eq!(values(&registry, &memory, "name", "name"), ["Amna", "Bilal", "null", "Dana"]);
    assert!(!run(&registry, &mut memory, &new, migrating(&old, &new), RESEAL, all).unwrap().tally.changes());
}

/// A format that turns bytes around behind a mark, and is bound to its place.
#[derive(Debug)]
struct Reversed;

impl Opener for Reversed {
    fn name(&self) -> &str {
        "reversed"
    }

    fn open(&self, stored: &[u8], origin: &Origin<'_>) -> Result<Zeroizing<Vec<u8>>> {
        let mark = format!("{}.{}.{}:", origin.table, origin.column, origin.record.join("+"));
        let body = stored.strip_prefix(b"\x01\x01rev:").ok_or_else(|| Error::malformed("not reversed"))?;
        let body = body.strip_prefix(mark.as_bytes()).ok_or_else(|| Error::altered("not of this place"))?;
        Ok(Zeroizing::new(body.iter().rev().copied().collect()))
    }
}

fn reversed(column: &str, id: u32, value: &str) -> Cell {
    let back: String = value.chars().rev().collect();
    // It begins as an envelope does: formats are told apart by the column, not by looks.
    Some([&[1_u8, 1][..], format!("rev:citizens.{column}.{id}:{back}").as_bytes()].concat())
}

fn with_reversed(fields: &[&str]) -> (Work, &'static [&'static str]) {
    let work = fields.iter().fold(Work::default(), |work, field| {
        work.with_opener("citizens", Name::new(field).unwrap(), Arc::new(Reversed))
    });
    (work, &[])
}

#[test]
fn values_of_another_tool_are_opened_typed_and_sealed_and_envelopes_among_them_stay() {
    let registry = Registry::new();
    let schema = table(
        "[[table]]\nname = \"people\"\nrecord_id = [\"id\"]\nencoding = \"binary\"\nfield = [{ name = \"name\", mode = \"sealed\" }, { name = \"children\", mode = \"sealed\", type = \"integer\" }]",
    );
    let mut memory =
        Memory::new(&[("name", &["Amna", "-", "-", "-", "-"]), ("children", &["-", "-", "-", "-", "-"])]);
    run(&registry, &mut memory, &schema, nothing(), PROTECT, |row| row == 0).unwrap();
    for row in 1..5 {
        let id = u32::try_from(row).unwrap() + 1;
        *memory.cell("name", row) = reversed("name", id, "Bilal");
        *memory.cell("children", row) = reversed("children", id, "12");
    }
    // A number that is none, and a value of another row.
    *memory.cell("children", 3) = reversed("children", 4, "twelve");
    *memory.cell("name", 4) = reversed("name", 4, "Bilal");
    let before = memory.clone();
    let ran =
        run(&registry, &mut memory, &schema, with_reversed(&["name", "children"]), PROTECT, all).unwrap();
    assert_eq!((ran.tally.foreign, ran.tally.sealed, ran.tally.kept, ran.tally.refused_rows), (4, 4, 2, 2));
    assert_eq!(ran.tally.unauthentic, 1);
    let told: Vec<(u64, &str)> =
        ran.faults.iter().map(|(row, field, _)| (row.unwrap(), field.as_str())).collect();
    assert_eq!(told, [(4, "children"), (5, "name")]);
    assert_eq!(values(&registry, &memory, "name", "name")[..3], ["Amna", "Bilal", "Bilal"]);
    assert_eq!(values(&registry, &memory, "children", "children")[..3], ["null", "12", "12"]);
    assert_eq!(memory.cells("name")[0], before.cells("name")[0]);
    assert_eq!(
        (&memory.cells("name")[3..], &memory.cells("children")[3..]),
        (&before.cells("name")[3..], &before.cells("children")[3..])
    );
    let again =
        run(&registry, &mut memory, &schema, with_reversed(&["name", "children"]), PROTECT, all).unwrap();
    assert_eq!((again.tally.foreign, again.tally.kept, again.tally.changes()), (0, 6, false));
    let check =
        run(&registry, &mut memory, &schema, with_reversed(&["name", "children"]), CHECK, all).unwrap();
    assert_eq!((check.tally.opened, check.tally.refused_rows), (6, 2));
}

#[test]
fn another_tools_values_may_come_from_a_former_column() {
    let registry = Registry::new();
    let old = table(
        "[[table]]\nname = \"people\"\nrecord_id = [\"id\"]\nencoding = \"binary\"\nfield = [{ name = \"name\", mode = \"clear\" }]",
    );
    let new = table(
        "[[table]]\nname = \"people\"\nrecord_id = [\"id\"]\nencoding = \"binary\"\nfield = [{ name = \"name\", column = \"name_2\", mode = \"sealed\", formerly = \"name\" }]",
    );
    let mut memory = Memory::new(&[("name", &["-", "-"]), ("name_2", &["-", "-"])]);
    *memory.cell("name", 0) = reversed("name", 1, "Amna");
    let work = with_reversed(&["name"]).0.with_change(SchemaChange::between(&old, &new, &[])).unwrap();
    let ran = run(&registry, &mut memory, &new, (work, &[]), PROTECT, all).unwrap();
    assert_eq!((ran.tally.foreign, ran.tally.moved, ran.tally.sealed), (1, 1, 2));
    assert_eq!(
        (values(&registry, &memory, "name", "name_2"), &memory.cells("name")[0]),
        (vec!["Amna".to_owned(), "null".to_owned()], &None)
    );
}

#[test]
fn openers_are_refused_where_they_have_no_place() {
    let registry = Registry::new();
    let schema = padding(16, "aes");
    let mut memory = Memory::new(&[("name", &["Amna"])]);
    let error = run(&registry, &mut memory, &schema, with_reversed(&["name"]), RESEAL, all).err().unwrap();
    assert!(error.kind() == Kind::Schema && error.message().contains("another tool"), "{error}");
    let error = run(&registry, &mut memory, &schema, with_reversed(&["phone"]), PROTECT, all).err().unwrap();
    assert!(error.kind() == Kind::Schema && error.message().contains("no sealed field"), "{error}");
    // An envelope of a key that the keyring lost is no value of another tool, and what the opener says of it refuses the row.
    let other = Registry::new();
    run(&other, &mut memory, &schema, nothing(), PROTECT, all).unwrap();
    let ran = run(&registry, &mut memory, &schema, with_reversed(&["name"]), PROTECT, all).unwrap();
    assert_eq!((ran.tally.refused_rows, ran.tally.foreign), (1, 0));
}
