// SPDX-License-Identifier: MIT OR Apache-2.0
//! `amanat schema`: says in plain words what a schema does, and writes one to start from.
//!
//! Reads of a table its header and first rows. Never prints a value.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use amanat::identifier::Identifier;
use amanat::index::plan::CLOSED_LIST_BITS;
use amanat::normal::NormalForm;
use amanat::schema::{Absence, Encoding, FieldPolicy, Invalid, MAX_SCHEMA_BYTES, Migration, Mode, ValueType};
use amanat::{Bucket, Name, Schema, TableSchema};
use clap::Subcommand;

use crate::fault::{Fault, Outcome, Result};
use crate::sample::Sample;
use crate::text::Table;
use crate::ui::Ui;

/// Words in the names of fields that hold free text, whose length says more than that of a number.
const FREE_TEXT: [&str; 5] = ["address", "comment", "description", "note", "remark"];
/// Words in the names of columns that single out a person.
const PERSONAL: [&str; 11] =
    ["address", "birth", "cnic", "dob", "email", "father", "mother", "name", "passport", "phone", "photo"];
/// What `schema new` writes above a schema.
const HEADING: &str = "\
# Every column but the record id is sealed as text. Change what should be otherwise, then: amanat schema check FILE
#   mode       sealed (an envelope), masked (only the mask is kept), clear (as it is)
#   type       text, bytes, integer, date, boolean, cbor
#   pad        multiple of 16: lengths are rounded up to it
#   absence    hidden (an empty cell is sealed too), visible (it stays empty)
#   mask       all, last-4, identifier
#   identifier what the text is, such as cnic or phone: decides its normal form and its mask
#   migration  done, mixed (plain and sealed values side by side, for the time of a migration)

";

/// Check a schema file, or write one to start from.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Check a schema file and say in plain words what is sealed, masked and clear.
    Check(CheckArgs),
    /// Print a schema that seals every column of a CSV file but the record id. Looks at the first rows for national identifiers; prints no
    /// value.
    New(NewArgs),
}

#[derive(clap::Args)]
struct CheckArgs {
    /// The schema file (TOML).
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

#[derive(clap::Args)]
struct NewArgs {
    /// The CSV file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Name of the table; by default the file's name without its ending. It is an input of every key.
    #[arg(long, value_name = "NAME")]
    table: Option<Name>,
    /// Column that identifies a row and never changes; repeat it for several. By default the first column.
    #[arg(long, value_name = "COLUMN")]
    record_id: Vec<String>,
}

pub(crate) fn run(args: &Args, ui: &Ui) -> Result<Outcome> {
    match &args.verb {
        Verb::Check(args) => check(args, ui),
        Verb::New(args) => new(args, ui),
    }
}

/// Reads a schema file.
pub(crate) fn read(file: &Path) -> Result<Schema> {
    parse(file, read_bytes(file)?)
}

/// The bytes of a schema file.
pub(crate) fn read_bytes(file: &Path) -> Result<Vec<u8>> {
    let failed = |error| Fault::file("read", file, &error);
    let limit = u64::try_from(MAX_SCHEMA_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    File::open(file).and_then(|opened| opened.take(limit).read_to_end(&mut bytes)).map_err(failed)?;
    Ok(bytes)
}

/// The schema in a file's bytes.
pub(crate) fn parse(file: &Path, bytes: Vec<u8>) -> Result<Schema> {
    let text = String::from_utf8(bytes)
        .map_err(|_| Fault::new(format!("{}: a schema file is text in UTF-8", file.display())))?;
    Schema::from_toml(&text).map_err(|error| Fault::from(error).about(file.display()))
}

fn check(args: &CheckArgs, ui: &Ui) -> Result<Outcome> {
    let schema = read(&args.file)?;
    if schema.tables().is_empty() {
        ui.warn("the schema has no table");
    }
    schema.tables().iter().try_for_each(|table| describe(table, ui))?;
    Ok(Outcome::Done)
}

/// Prints a table in plain words, and warns of what is easily overlooked.
pub(crate) fn describe(table: &TableSchema, ui: &Ui) -> Result<()> {
    let quoted = |columns: &[String]| columns.iter().map(|c| format!("`{c}`")).collect::<Vec<_>>().join(", ");
    let stored = if table.encoding() == Encoding::Binary { "bytes" } else { "text" };
    let ids = quoted(table.record_id());
    ui.line(ui.foreign(&format!(
        "table {}: a row is identified by {ids}; envelopes are stored as {stored}",
        table.name()
    )))?;
    let mut lines = Table::new(&["  FIELD", "COLUMN", "STORED", "DETAILS"]);
    for field in table.fields() {
        let column = ui.foreign(field.column()).into_owned();
        lines.row(vec![format!("  {}", field.name()), column, field.mode().to_string(), details(field)]);
    }
    lines.lines().iter().try_for_each(|line| ui.line(line))?;
    describe_surrogates(table, ui)?;
    warnings(table).iter().for_each(|warning| ui.warn(warning));
    Ok(())
}

/// Prints the indexes and tokens of a table.
fn describe_surrogates(table: &TableSchema, ui: &Ui) -> Result<()> {
    let mut lines = Table::new(&["  INDEX", "COLUMN", "OF", "DETAILS"]);
    for index in table.indexes() {
        let spec = index.spec();
        let of = spec.fields().iter().map(|part| format!("{} as {}", part.field, part.form.name()));
        lines.row(vec![
            format!("  {}", spec.name()),
            ui.foreign(index.column()).into_owned(),
            of.collect::<Vec<_>>().join(" + "),
            format!("{} bits{}", spec.bits().get(), unreadable(index.invalid())),
        ]);
    }
    if !table.indexes().is_empty() {
        lines.lines().iter().try_for_each(|line| ui.line(line))?;
    }
    let mut lines = Table::new(&["  TOKEN", "COLUMN", "OF", "DETAILS"]);
    for token in table.tokens() {
        let (of, audience) = (token.of(), token.audience());
        let names = |what: &str, names: &[Name]| match names {
            [] => String::new(),
            names => {
                let names: Vec<&str> = names.iter().map(Name::as_str).collect();
                format!("; {what} {}", names.join(", "))
            }
        };
        lines.row(vec![
            format!("  {}", token.name()),
            token.column().map_or_else(|| "(exported)".to_owned(), |column| ui.foreign(column).into_owned()),
            format!("{} as {}", of.field, of.form.name()),
            format!(
                "{} for {}, purpose {}, epoch {}{}{}{}",
                token.kind(),
                audience.recipient(),
                audience.purpose(),
                token.epoch(),
                names("with", token.reveal()),
                names("masked", token.mask()),
                unreadable(token.invalid())
            ),
        ]);
    }
    if table.tokens().is_empty() {
        return Ok(());
    }
    lines.lines().iter().try_for_each(|line| ui.line(line))
}

/// What becomes of a row whose value has no normal form, if it is not refused.
const fn unreadable(invalid: Invalid) -> &'static str {
    match invalid {
        Invalid::Skip => "; a value without normal form counts as absent",
        _ => "",
    }
}

fn details(field: &FieldPolicy) -> String {
    let kind = field.value_type();
    match field.mode() {
        Mode::Sealed => {
            let absence =
                if field.absence() == Absence::Hidden { "absence hidden" } else { "absence visible" };
            let mixed = if field.migration() == Migration::Mixed { ", may still be plain" } else { "" };
            let suite = field.family().suite();
            let identifier = field.identifier().map_or_else(String::new, |of| format!(", a `{}`", of.name()));
            let bytes = field.bucket().bytes();
            format!("{kind}{identifier}, padded to {bytes} bytes, {absence}, suite {suite}{mixed}")
        }
        Mode::Masked => "only the mask is kept".to_owned(),
        _ => format!("{kind}, stored as it is"),
    }
}

fn warnings(table: &TableSchema) -> Vec<String> {
    let named =
        |name: &str, words: &[&str]| words.iter().any(|word| name.to_ascii_lowercase().contains(word));
    let mut warnings = Vec::new();
    if table.sealed().next().is_none() {
        warnings.push(format!("table {}: no field is sealed", table.name()));
    }
    for column in table.record_id().iter().filter(|column| named(column, &PERSONAL)) {
        warnings.push(format!(
            "record id `{}` is stored as it is, and its name sounds personal; a number that means nothing is better",
            crate::ui::escape(column)
        ));
    }
    for field in table.fields() {
        let (name, mode) = (field.name(), field.mode());
        if mode == Mode::Clear
            && named(name.as_str(), &PERSONAL)
            && !table.record_id().iter().any(|c| c == field.column())
        {
            warnings.push(format!("field {name} is clear, and its name sounds personal"));
        }
        let text = mode == Mode::Sealed && field.value_type() == ValueType::Text;
        if text && field.bucket() == Bucket::default() && named(name.as_str(), &FREE_TEXT) {
            warnings.push(format!(
                "field {name} sounds like free text: its length shows in steps of 16 bytes; `pad = 64` shows less"
            ));
        }
        let pad = field.identifier().map_or(0, hiding_pad);
        if text && field.absence() == Absence::Hidden && pad > field.bucket().bytes() {
            warnings.push(format!(
                "field {name} is absent where its envelope is short: a whole `{}` is padded to more; `pad = {pad}` hides which rows have none",
                field.identifier().map_or("", Identifier::name)
            ));
        }
        if field.migration() == Migration::Mixed {
            warnings.push(format!(
                "field {name} still takes plaintext; set `migration = \"done\"` when all is protected"
            ));
        }
    }
    warnings.extend(table.indexes().iter().filter_map(|index| {
        let [part] = index.spec().fields() else { return None };
        let is_list = match &part.form {
            NormalForm::Date => true,
            NormalForm::Identifier(identifier) => identifier.plausible_bits() < CLOSED_LIST_BITS,
            _ => false,
        };
        is_list.then(|| {
            format!(
                "index {}: `{}` alone has so few values that anyone can list them, and `amanat plan` refuses it at every length; index it together with another field",
                index.spec().name(),
                part.form.name()
            )
        })
    }));
    warnings
}

/// The padding at which a whole identifier, as it is displayed, is as long as an absent one.
fn hiding_pad(identifier: &Identifier) -> usize {
    // A type and a mark for the end of the value are padded with it.
    (identifier.longest_display() + 2).next_multiple_of(Bucket::default().bytes())
}

fn new(args: &NewArgs, ui: &Ui) -> Result<Outcome> {
    let columns = header(&args.file)?;
    let about = |error: amanat::Error| Fault::from(error).about(args.file.display());
    let record_id = match (args.record_id.as_slice(), columns.first()) {
        ([], Some(first)) => vec![first.clone()],
        (given, _) => given.to_vec(),
    };
    if !record_id.iter().all(|column| columns.contains(column)) {
        return Err(Fault::new(format!(
            "{}: a column of --record-id is not in the header",
            args.file.display()
        ))
        .help("write it exactly as the header does, with its spaces"));
    }
    let table = match &args.table {
        Some(name) => name.clone(),
        None => {
            Name::new(&plain(&args.file.file_stem().unwrap_or_default().to_string_lossy())).map_err(about)?
        }
    };
    let mut taken = BTreeSet::new();
    let (mut fields, mut indexes) = (Vec::new(), String::new());
    let sample = Sample::read(&args.file, columns.len());
    for (place, column) in columns.iter().enumerate().filter(|(_, column)| !record_id.contains(column)) {
        let name = free_name(&plain(column), &mut taken);
        let field = FieldPolicy::new(Name::new(&name).map_err(about)?, Mode::Sealed);
        let mut field = field.with_column(column).map_err(about)?;
        if let Some(identifier) = sample.identifier(place) {
            field = field.with_identifier(identifier.clone());
            field = field.with_bucket(Bucket::new(hiding_pad(identifier)).map_err(about)?);
            indexes.extend(sample.index(&name, identifier));
            ui.note(format!("field {name}: the first rows hold `{}` and nothing else", identifier.name()));
        }
        fields.push(field);
    }
    let table = TableSchema::new(table, record_id, Encoding::Text, fields).map_err(about)?;
    let toml = Schema::new(vec![table]).and_then(|schema| schema.to_toml()).map_err(about)?;
    ui.bytes(format!("{HEADING}{toml}{indexes}").as_bytes())?;
    ui.note("next: save it, change what should not be sealed, then: amanat schema check FILE");
    Ok(Outcome::Done)
}

/// The columns of a CSV file.
fn header(file: &Path) -> Result<Vec<String>> {
    let opened = File::open(file).map_err(|error| Fault::file("read", file, &error))?;
    // A header is far shorter; what is longer is no CSV.
    let mut reader = csv::Reader::from_reader(opened.take(1 << 20));
    let header = reader
        .headers()
        .map_err(|_| Fault::new(format!("{}: its first line is no CSV header in UTF-8", file.display())))?;
    let columns: Vec<String> = header.iter().map(str::to_owned).collect();
    if columns.is_empty() {
        return Err(Fault::new(format!("{}: it has no header", file.display())));
    }
    Ok(columns)
}

/// A column's name as a field's name: other characters become `_`.
fn plain(column: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    let name: String = column.trim().chars().map(|c| if fits(c) { c } else { '_' }).take(100).collect();
    let name = name.trim_matches('_');
    if name.is_empty() { "field".to_owned() } else { name.to_owned() }
}

/// A name that no other field has.
fn free_name(name: &str, taken: &mut BTreeSet<String>) -> String {
    let numbered = (2..).map(|number| format!("{name}-{number}"));
    let free = std::iter::once(name.to_owned()).chain(numbered).find(|name| !taken.contains(name));
    let free = free.unwrap_or_else(|| name.to_owned());
    taken.insert(free.clone());
    free
}
