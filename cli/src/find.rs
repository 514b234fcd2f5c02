// SPDX-License-Identifier: MIT OR Apache-2.0
//! `amanat find`: the rows of a value, through a blind index.
//!
//! Never prints the value that was searched for, nor more of what was found than the schema's masks let through.

use std::io::{self, BufRead as _, IsTerminal as _, Read};

use amanat::error::{Error, Kind};
use amanat::keys::{KeyInfo, Purpose};
use amanat::schema::{IndexPolicy, TableSchema};
use amanat::{KeyId, Name, SecretBytes};
use amanat_stores::KeyringSession;
use amanat_stores::find::{FindPlan, FindReport, Found, index_of};
use serde_json::{Map, Value};

use crate::fault::{Fault, Outcome, Result};
use crate::keys::KeyPrefix;
use crate::store::{StoreArgs, is_dash};
use crate::text::{Table, count};
use crate::ui::Ui;
use crate::unlock::{self, UnlockArgs, keyring_fault};

/// Faults that are told each.
const TOLD: usize = 5;
/// Longest value that is read from standard input.
const MAX_VALUE_BYTES: u64 = 1 << 16;

/// Find rows by a value, through a blind index of the schema.
///
/// The value is asked for without showing it, or read from standard input, one line for each field of the index. Given as an argument it
/// is in the list of processes and in the shell's history, where others read it. It is typed as people type it: with dashes or without, in any of the digits and
/// keyboards that the index's normal form knows. Of the rows that are found, the record id and the fields as the schema masks them are printed.
///
/// Exit code 0: found; 1: nothing found; 2: could not run; 3: unauthentic rows met.
#[derive(clap::Args)]
#[command(allow_missing_positional = true)]
pub(crate) struct Args {
    /// Values, one for each field of the index in its order. Better left out: arguments are visible to others.
    #[arg(value_name = "VALUE")]
    values: Vec<String>,
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    unlock: UnlockArgs,
    /// Field to search by; repeat it for an index of several.
    #[arg(long, value_name = "FIELD", required_unless_present = "index")]
    field: Vec<Name>,
    /// Index to search by, named as in the schema.
    #[arg(long, value_name = "NAME", conflicts_with = "field")]
    index: Option<String>,
    /// Fields to show; all if not given.
    #[arg(long, value_name = "FIELD,...", value_delimiter = ',')]
    show: Vec<Name>,
    /// Search and open with this suspended or compromised key too, named by its id or at least 4 of the id's first digits; may be repeated.
    #[arg(long, value_name = "KEYID")]
    break_glass: Vec<KeyPrefix>,
    /// Print JSON, one object a line.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args, ui: &Ui) -> Result<Outcome> {
    let schema = args.store.table.read()?;
    let table = args.store.table.table(&schema)?;
    let index = args.index(table)?;
    let store = args.store.open(ui)?;
    let values = args.values(index, ui)?;
    let values: Vec<&str> = values.iter().map(text).collect::<Result<_>>()?;
    let (path, kek) = (args.unlock.path(), args.unlock.kek()?);
    let session = KeyringSession::unlock(&path, &*kek, &unlock::now);
    let session = session.map_err(|error| keyring_fault(error, &path))?;
    let broken = broken(&args.break_glass, &session, ui)?;
    let session = session.with_break_glass(broken);
    let show = args.show(table);
    let plan = FindPlan { session: &session, table, index, show: &show };
    let (report, warnings) = store.find(plan, &values)?;
    warnings.iter().for_each(|warning| ui.warn(warning));
    print(args, table, &show, &report, ui)?;
    tell(&report, ui);
    let unauthentic = report.faults.iter().any(|fault| fault.kind() == Kind::Unauthentic);
    Ok(match (unauthentic, report.rows.is_empty()) {
        (true, _) => Outcome::Unauthentic,
        (_, true) => Outcome::SomeRefused,
        _ => Outcome::Done,
    })
}

impl Args {
    fn index<'t>(&self, table: &'t TableSchema) -> Result<&'t IndexPolicy> {
        Ok(match &self.index {
            Some(name) => table.index(name)?,
            None => index_of(table, &self.field)?,
        })
    }

    /// The values in the order of the index's fields. Those of `--field` are given in the order of the arguments.
    fn values(&self, index: &IndexPolicy, ui: &Ui) -> Result<Vec<SecretBytes>> {
        let of_index: Vec<&Name> = index.spec().fields().iter().map(|part| &part.field).collect();
        let asked: Vec<&Name> =
            if self.field.is_empty() { of_index.clone() } else { self.field.iter().collect() };
        let given = if self.values.is_empty() {
            self.ask(&asked)?
        } else {
            ui.warn(
                "the value is in the list of processes and in the shell's history, where others read it; leave it out to be asked for it",
            );
            self.values.iter().map(|value| SecretBytes::new(value.clone().into_bytes())).collect()
        };
        if given.len() != asked.len() {
            let names: Vec<String> = asked.iter().map(ToString::to_string).collect();
            return Err(Fault::new(format!(
                "{} given, and the index is searched by {}: {}",
                count(given.len().try_into().unwrap_or(u64::MAX), "value"),
                count(asked.len().try_into().unwrap_or(u64::MAX), "field"),
                names.join(", ")
            )));
        }
        let mut given: Vec<_> = asked.into_iter().zip(given).collect();
        given.sort_by_key(|(field, _)| of_index.iter().position(|of| of == field));
        Ok(given.into_iter().map(|(_, value)| value).collect())
    }

    /// Asks on the terminal, or reads lines.
    fn ask(&self, fields: &[&Name]) -> Result<Vec<SecretBytes>> {
        if io::stdin().is_terminal() {
            let ask = |field: &&Name| {
                let typed = rpassword::prompt_password(format!("{field}: "));
                let typed = typed.map_err(|_| Fault::new("nothing could be read from the terminal"))?;
                Ok(SecretBytes::new(typed.into_bytes()))
            };
            return fields.iter().map(ask).collect();
        }
        if is_dash(&self.store.store) {
            return Err(Fault::new("store and value cannot both come from standard input")
                .help("name the file of the store"));
        }
        let mut input = io::stdin().lock();
        let mut read = |field: &&Name| {
            let mut line = Vec::new();
            let bytes = input.by_ref().take(MAX_VALUE_BYTES).read_until(b'\n', &mut line);
            if bytes.ok().is_none_or(|bytes| bytes == 0) {
                return Err(Fault::new(format!("standard input has no line for {field}"))
                    .help("give one line for each field, in the order of the arguments"));
            }
            while line.pop_if(|byte| matches!(byte, b'\n' | b'\r')).is_some() {}
            Ok(SecretBytes::new(line))
        };
        fields.iter().map(&mut read).collect()
    }

    /// What is shown. The columns of the record id stand there anyway.
    fn show(&self, table: &TableSchema) -> Vec<Name> {
        let of_record = |name: &Name| {
            let field = table.fields().iter().find(|field| field.name() == name);
            let column = field.map_or(name.as_str(), |field| field.column());
            table.record_id().iter().any(|id| id == column)
        };
        let all = || table.fields().iter().map(|field| field.name().clone()).collect();
        let mut show = if self.show.is_empty() { all() } else { self.show.clone() };
        show.retain(|name| !of_record(name));
        show
    }
}

/// The keys that were named to break the glass. Whoever reads the messages learns of each.
pub(crate) fn broken(named: &[KeyPrefix], session: &KeyringSession<'_>, ui: &Ui) -> Result<Vec<KeyId>> {
    let of_use = |key: &&KeyInfo| matches!(key.purpose, Purpose::Field | Purpose::Index | Purpose::Token);
    let keys: Vec<KeyInfo> = session.with_keyring(|keyring| Ok(keyring.keys().cloned().collect()))?;
    let mut broken = Vec::new();
    for prefix in named {
        let key = prefix.find(keys.iter().filter(of_use))?;
        ui.warn(format!(
            "breaking the glass: key {} is {} and is used in this run",
            key.id.short(),
            key.state
        ));
        broken.push(key.id);
    }
    Ok(broken)
}

fn text(value: &SecretBytes) -> Result<&str> {
    std::str::from_utf8(value.expose()).map_err(|_| Fault::new("the value is not UTF-8"))
}

fn print(args: &Args, table: &TableSchema, show: &[Name], report: &FindReport, ui: &Ui) -> Result<()> {
    if args.json {
        return report.rows.iter().try_for_each(|found| ui.line(json(table, show, found)));
    }
    if report.rows.is_empty() {
        return Ok(());
    }
    let heading: Vec<&str> =
        table.record_id().iter().map(String::as_str).chain(show.iter().map(Name::as_str)).collect();
    let cells = |found: &Found| {
        let shown = found.shown.iter().map(|shown| shown.clone().unwrap_or_default());
        found.record.iter().cloned().chain(shown).collect::<Vec<String>>()
    };
    if ui.is_shown() {
        let mut lines = Table::new(&heading);
        report.rows.iter().for_each(|found| lines.row(cells(found)));
        return lines.lines().iter().try_for_each(|line| ui.line(ui.foreign(line)));
    }
    let mut writer = csv::Writer::from_writer(Vec::new());
    let failed = |_| Fault::new("the rows cannot be written as CSV");
    writer.write_record(&heading).map_err(failed)?;
    for found in &report.rows {
        writer.write_record(cells(found)).map_err(failed)?;
    }
    let text = writer.into_inner().map_err(|_| Fault::new("the rows cannot be written as CSV"))?;
    ui.bytes(&text)
}

fn json(table: &TableSchema, show: &[Name], found: &Found) -> String {
    let texts = |names: &mut dyn Iterator<Item = &str>, cells: &[Option<String>]| {
        let cell = |(name, cell): (&str, &Option<String>)| {
            (name.to_owned(), cell.clone().map_or(Value::Null, Value::String))
        };
        Value::Object(names.zip(cells).map(cell).collect())
    };
    let record: Vec<Option<String>> = found.record.iter().cloned().map(Some).collect();
    let mut object = Map::new();
    object.insert("record".to_owned(), texts(&mut table.record_id().iter().map(String::as_str), &record));
    object.insert("fields".to_owned(), texts(&mut show.iter().map(Name::as_str), &found.shown));
    Value::Object(object).to_string()
}

/// What is worth knowing of a search, on standard error.
fn tell(report: &FindReport, ui: &Ui) {
    for fault in report.faults.iter().take(TOLD) {
        ui.warn(Error::to_string(fault));
    }
    if report.faults.len() > TOLD {
        let more = report.faults.len() - TOLD;
        ui.warn(format!(
            "{} more that may be meant cannot be read",
            count(more.try_into().unwrap_or(u64::MAX), "row")
        ));
    }
    if report.rows.is_empty() {
        ui.note("nothing found");
    }
}
