// SPDX-License-Identifier: MIT OR Apache-2.0
//! `amanat plan`: what the indexes of a table would tell a thief, and how long they should be, counted over real data.
//!
//! Never prints or keeps a value: it counts keyed fingerprints.

use std::fmt::Write as _;
use std::num::NonZeroU64;

use amanat::error::Error;
use amanat::index::plan::{
    Census, Column, IndexBudget, LeakageReport, Lengths, MAX_EXACT_VALUES, Plan, Planner, Verdict,
};
use amanat::index::{IndexBits, IndexedField};
use amanat::normal::{Normal, NormalForm};
use amanat::schema::{FieldPolicy, Invalid, TableSchema};
use amanat::{Name, Schema};
use amanat_stores::{KeyringSession, ScanPlan, ScanSource, ScannedRow, Visitor};
use serde::Serialize;

use crate::fault::{Fault, Outcome, Result};
use crate::progress::Progress;
use crate::store::StoreArgs;
use crate::text::count;
use crate::ui::{Style, Ui};
use crate::unlock::{self, MaybeUnlockArgs, keyring_fault};

/// Size of the domain of birth dates in bits: the 36,525 days of a century.
const DATE_BITS: f64 = 15.156_6;
/// Refused rows that are told.
const TOLD: u64 = 3;

/// Count a table, and say how long its blind indexes should be and what they tell a thief.
///
/// Every index of the schema is counted over the data, and every sealed identifier or date that has none, as a candidate. Plain data needs no key, a
/// protected store its keyring. The report holds counts only, never a value; it is still worth keeping to those who answer for the table.
///
/// Exit code 0: every index of the schema is sound; 1: the planner refuses one, or one is longer than is sound; 2: could not run;
/// 3: unauthentic rows seen.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    unlock: MaybeUnlockArgs,
    /// Plan for a table of so many rows, of which these are a sample.
    #[arg(long, value_name = "N")]
    rows: Option<NonZeroU64>,
    /// Plan an index of this sealed field alone; repeat it, with its forms, for an index of several.
    #[arg(long, value_name = "FIELD")]
    field: Vec<Name>,
    /// Normal form of --field, such as `cnic/v1`, `urdu-name/v1` or `date/v1`; that of the field's identifier if not given.
    #[arg(long, value_name = "FORM", requires = "field")]
    form: Vec<String>,
    /// False rows that a query may bring on average.
    #[arg(long, value_name = "N", default_value_t = amanat::index::plan::MAX_FALSE_ROWS)]
    max_false_rows: u64,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// No progress.
    #[arg(short, long)]
    quiet: bool,
}

/// An index that is counted.
struct Counted {
    name: String,
    of: Vec<IndexedField>,
    /// That of the schema; `None` for a candidate.
    bits: Option<IndexBits>,
    invalid: Invalid,
    /// Places of its fields among those that are read.
    places: Vec<usize>,
    normals: Vec<Normal>,
    census: Census,
    /// Rows with a value that has no normal form.
    invalid_rows: u64,
}

/// What the planner says of an index, for programs.
#[derive(Serialize)]
struct Advice {
    index: Option<String>,
    fields: Vec<String>,
    forms: Vec<String>,
    bits: Option<u16>,
    advised: Option<Lengths>,
    sound: bool,
    rows_without_normal_form: u64,
    report: LeakageReport,
    #[serde(skip_serializing_if = "Option::is_none")]
    grown: Option<Grown>,
    /// How the plausible values of an identifier were counted.
    #[serde(skip)]
    estimate: Option<String>,
}

/// The plan for a table that has grown.
#[derive(Serialize)]
struct Grown {
    rows: u64,
    plan: Plan,
}

#[derive(Serialize)]
struct Report<'a> {
    table: &'a str,
    rows: u64,
    rows_refused: u64,
    /// Whether all indexes of a row together still leave two rows alike.
    together: Option<IndexBudget>,
    indexes: Vec<Advice>,
}

pub(crate) fn run(args: &Args, ui: &Ui) -> Result<Outcome> {
    let schema = args.store.table.read()?;
    let table = args.store.table.table(&schema)?;
    let store = args.store.open(ui)?;
    let mut counter = Counter::new(args, table, &schema, ui)?;
    let opened = args.unlock.open()?;
    let session = opened.as_ref().map(|(path, kek)| {
        KeyringSession::unlock(path, &**kek, &unlock::now).map_err(|error| keyring_fault(error, path))
    });
    let session = session.transpose()?;
    let source = session.as_ref().map_or(ScanSource::Plain, ScanSource::Protected);
    let fields = counter.fields.clone();
    let tally = store.scan(ScanPlan { table, fields: &fields, source }, &mut counter)?;
    counter.progress.finish();
    if tally.rows > 0 && tally.refused_rows == tally.rows {
        let fault = Fault::new("no row could be read");
        return Err(match (&counter.first_refusal, &session) {
            (Some(why), None) => {
                fault.about(why).help("a protected store is counted with its keyring: --keyring FILE")
            }
            _ => fault,
        });
    }
    let (advice, together) = advise(args, counter.indexes)?;
    let sound = advice.iter().all(|advice| advice.sound || advice.bits.is_none());
    let outcome = match (tally.unauthentic, sound) {
        (1.., _) => Outcome::Unauthentic,
        (_, false) => Outcome::SomeRefused,
        _ => Outcome::Done,
    };
    let report = Report {
        table: table.name().as_str(),
        rows: tally.rows,
        rows_refused: tally.refused_rows,
        together,
        indexes: advice,
    };
    if args.json {
        ui.json(&report)?
    } else {
        report.print(ui)?
    }
    Ok(outcome)
}

/// Counts the rows.
struct Counter<'a> {
    indexes: Vec<Counted>,
    fields: Vec<Name>,
    progress: Progress<'a>,
    ui: &'a Ui,
    rows: u64,
    refused: u64,
    first_refusal: Option<String>,
}

impl<'a> Counter<'a> {
    fn new(args: &Args, table: &TableSchema, schema: &Schema, ui: &'a Ui) -> Result<Self> {
        let mut wanted = wanted(args, table, schema)?;
        if wanted.is_empty() {
            return Err(Fault::new(format!(
                "table {}: the schema has no index, and no sealed field with an identifier or date",
                table.name()
            ))
            .help("name a field and its normal form: --field name --form urdu-name/v1"));
        }
        let mut fields: Vec<Name> = Vec::new();
        // All together take no more memory than one alone.
        let most = MAX_EXACT_VALUES / wanted.len();
        let mut indexes = Vec::new();
        for (name, of, bits, invalid) in wanted.drain(..) {
            let mut place = |part: &IndexedField| {
                let known = fields.iter().position(|field| *field == part.field);
                known.unwrap_or_else(|| {
                    fields.push(part.field.clone());
                    fields.len() - 1
                })
            };
            let places = of.iter().map(&mut place).collect();
            let normals = of.iter().map(|part| Normal::empty(part.form.clone())).collect();
            let census = Census::with_max_values(most)?;
            indexes.push(Counted { name, of, bits, invalid, places, normals, census, invalid_rows: 0 });
        }
        let progress = Progress::new(ui, "plan", args.quiet, None);
        Ok(Self { indexes, fields, progress, ui, rows: 0, refused: 0, first_refusal: None })
    }
}

type Wanted = (String, Vec<IndexedField>, Option<IndexBits>, Invalid);

/// What is counted: what the arguments name, or the schema's indexes and the candidates.
fn wanted(args: &Args, table: &TableSchema, schema: &Schema) -> Result<Vec<Wanted>> {
    if !args.field.is_empty() {
        return Ok(vec![named(args, table, schema)?]);
    }
    let of_schema = table.indexes().iter().map(|policy| {
        let spec = policy.spec();
        (spec.name().to_string(), spec.fields().to_vec(), Some(spec.bits()), policy.invalid())
    });
    let mut wanted: Vec<Wanted> = of_schema.collect();
    for policy in table.sealed() {
        let alone = |(_, of, ..): &Wanted| matches!(&of[..], [part] if part.field == *policy.name());
        let Some(form) = policy.normal_form().filter(|_| !wanted.iter().any(alone)) else { continue };
        let of = vec![IndexedField { field: policy.name().clone(), form }];
        wanted.push((String::new(), of, None, Invalid::Skip));
    }
    Ok(wanted)
}

/// The index that the arguments name.
fn named(args: &Args, table: &TableSchema, schema: &Schema) -> Result<Wanted> {
    if !args.form.is_empty() && args.form.len() != args.field.len() {
        return Err(Fault::new(format!(
            "{} and {} were named; each field has its form",
            count(args.field.len().try_into().unwrap_or(u64::MAX), "field"),
            count(args.form.len().try_into().unwrap_or(u64::MAX), "form")
        )));
    }
    let mut of = Vec::new();
    for (place, field) in args.field.iter().enumerate() {
        let policy = table.sealed().find(|policy| policy.name() == field);
        let policy = policy.ok_or_else(|| {
            let names: Vec<&str> = table.sealed().map(|policy| policy.name().as_str()).collect();
            Fault::new(format!("table {} has no sealed field of this name", table.name()))
                .help(format!("its sealed fields: {}", names.join(", ")))
        })?;
        of.push(IndexedField { field: field.clone(), form: form(args.form.get(place), policy, schema)? });
    }
    Ok((String::new(), of, None, Invalid::Skip))
}

/// The normal form of that name; those of the schema's own identifiers are found by the fields that have them.
fn form(name: Option<&String>, policy: &FieldPolicy, schema: &Schema) -> Result<NormalForm> {
    let Some(name) = name else {
        return policy.normal_form().ok_or_else(|| {
            Fault::new(format!("field {} has no identifier to take the normal form from", policy.name()))
                .help("name it: --form urdu-name/v1")
        });
    };
    let fields = schema.tables().iter().flat_map(TableSchema::sealed);
    let own = fields.filter_map(FieldPolicy::normal_form).find(|form| form.name() == name.as_str());
    own.map_or_else(|| Ok(NormalForm::from_name(name)?), Ok)
}

impl Visitor for Counter<'_> {
    fn row(&mut self, row: &ScannedRow<'_>) -> amanat::Result<()> {
        self.rows += 1;
        for index in &mut self.indexes {
            index.count(row);
        }
        if self.rows.is_multiple_of(1 << 12) {
            self.progress.tell(self.rows, 0);
        }
        Ok(())
    }

    fn refused(&mut self, fault: &Error) -> amanat::Result<()> {
        self.refused += 1;
        self.first_refusal.get_or_insert_with(|| fault.to_string());
        if self.refused <= TOLD && self.rows > 0 {
            self.progress.finish();
            self.ui.warn(format!("{fault}; the row is not counted"));
        }
        Ok(())
    }
}

impl Counted {
    /// Counts a row. What the index would skip counts as absent, and so does what would refuse its row.
    fn count(&mut self, row: &ScannedRow<'_>) {
        let mut absent = false;
        for (normal, place) in self.normals.iter_mut().zip(&self.places) {
            let value = row.value(*place);
            if matches!(value, amanat::ValueRef::Null) {
                absent = true;
                continue;
            }
            let form = normal.form().clone();
            if form.normalise_into(value, normal).is_err() {
                self.invalid_rows += 1;
                absent = true;
                break;
            }
        }
        if absent {
            self.census.add_absent();
            return;
        }
        let values: Vec<&Normal> = self.normals.iter().collect();
        self.census.add(&values);
    }

    /// The column in counts, with what is known of its domain.
    fn column(&self) -> Result<Column> {
        let bits = |part: &IndexedField| match &part.form {
            NormalForm::Date => Some(DATE_BITS),
            NormalForm::Identifier(identifier) => Some(identifier.plausible_bits()),
            _ => None,
        };
        let column = self.census.column();
        let domain: Option<f64> = self.of.iter().map(bits).sum();
        Ok(match domain {
            Some(bits) if bits <= 512.0 => column.with_domain_bits(bits)?,
            _ => column,
        })
    }
}

/// Plans every index, in the schema's order: each has what those before it left of the rows' coincidences.
fn advise(args: &Args, indexes: Vec<Counted>) -> Result<(Vec<Advice>, Option<IndexBudget>)> {
    let rows = indexes.iter().map(|index| index.census.rows() + index.census.absent()).max();
    let mut budget = IndexBudget::new(args.rows.map_or(rows.unwrap_or_default(), NonZeroU64::get));
    let mut advice = Vec::new();
    for index in indexes {
        let column = index.column()?;
        let grown = args.rows.map(|rows| grown(&column, rows.get())).transpose()?;
        let planner = Planner {
            max_false_rows: args.max_false_rows,
            spent_bits: if index.bits.is_some() { budget.spent_bits() } else { 0.0 },
            ..Planner::default()
        };
        let measured = planner.plan(&column);
        let grown = grown.map(|column| Grown { rows: column.rows(), plan: planner.plan(&column) });
        let plan = grown.as_ref().map_or(&measured, |grown| &grown.plan);
        let lengths = plan.lengths();
        let bits = index.bits.or(lengths.map(|lengths| lengths.recommended));
        // Of a refused candidate the report still says why, at the shortest length that there is.
        let bits = bits.map_or_else(|| IndexBits::new(amanat::index::MIN_INDEX_BITS), Ok)?;
        if let Some(bits) = index.bits {
            budget.spend(bits, plan.column());
        }
        advice.push(Advice {
            index: index.bits.map(|_| index.name),
            fields: index.of.iter().map(|part| part.field.to_string()).collect(),
            forms: index.of.iter().map(|part| part.form.name().into_owned()).collect(),
            bits: index.bits.map(IndexBits::get),
            advised: lengths,
            sound: plan.verdict() != Verdict::Refused
                && lengths.is_some_and(|lengths| bits <= lengths.largest),
            rows_without_normal_form: if index.invalid == Invalid::Refuse || index.bits.is_none() {
                index.invalid_rows
            } else {
                0
            },
            report: LeakageReport::new(&index.census, &measured, bits),
            grown,
            estimate: estimate(&index.of),
        });
    }
    let several = advice.iter().filter(|advice| advice.bits.is_some()).count() > 1;
    Ok((advice, several.then_some(budget)))
}

/// Where the number of plausible values is from, for an index of one identifier of which more than the digits is known.
fn estimate(of: &[IndexedField]) -> Option<String> {
    let [IndexedField { form: NormalForm::Identifier(identifier), .. }] = of else { return None };
    let (plausible, all) = (identifier.plausible_bits(), identifier.domain_bits());
    (plausible < all).then(|| {
        format!(
            "The number of plausible values is an estimate from what is published of `{}`; its form alone allows 10^{:.0}.",
            identifier.name(),
            all * std::f64::consts::LOG10_2
        )
    })
}

/// A column after growth: unique values grow with the rows, repeated ones are taken as measured, and the most frequent keeps its share.
fn grown(column: &Column, rows: u64) -> Result<Column> {
    if rows < column.rows() {
        return Err(Fault::new(format!(
            "--rows is fewer than the {} of the data",
            count(column.rows(), "row")
        ))
        .help("leave it out to plan for the table as it is"));
    }
    let scaled = |part: u64| {
        let scaled = u128::from(part) * u128::from(rows) / u128::from(column.rows().max(1));
        u64::try_from(scaled).unwrap_or(u64::MAX)
    };
    let nearly_unique = column.rows() - column.distinct() <= column.rows() / 20;
    let (distinct, largest) = if nearly_unique {
        let distinct = scaled(column.distinct()).max(1).min(rows);
        (distinct, column.largest().max(rows.div_ceil(distinct)).min(rows - distinct + 1))
    } else {
        let largest = scaled(column.largest()).max(rows.div_ceil(column.distinct().max(1)));
        (column.distinct(), largest.min(rows.saturating_sub(column.distinct()).saturating_add(1)))
    };
    let grown = Column::new(rows, distinct, largest)?;
    Ok(match column.domain_values() {
        Some(values) => grown.with_domain_bits(values.log2())?,
        None => grown,
    })
}

impl Report<'_> {
    fn print(&self, ui: &Ui) -> Result<()> {
        let refused = if self.rows_refused > 0 {
            format!(", {} refused and not counted", count(self.rows_refused, "row"))
        } else {
            String::new()
        };
        ui.line(format!("table {}: {}{refused}", self.table, count(self.rows, "row")))?;
        for advice in &self.indexes {
            ui.line("")?;
            ui.line(ui.paint(Style::Bold, &advice.title()))?;
            if advice.bits.is_none() && advice.advised.is_none() {
                // What an index would tell that is not made is of no use to anybody.
                let refused = advice.report.reasons.iter().map(|reason| format!("- {reason}"));
                for line in refused {
                    ui.line(line)?;
                }
            } else {
                ui.line(advice.report.to_string().trim_end())?;
                advice.estimate.iter().try_for_each(|estimate| ui.line(estimate))?;
            }
            if let Some(grown) = &advice.grown {
                ui.line(format!("\nGrown to {}", count(grown.rows, "row")))?;
                ui.line(grown.plan.to_string().trim_end())?;
            }
            ui.line(format!("\n{}", advice.conclusion()))?;
        }
        let Some(budget) = self.together.filter(|budget| !budget.is_kept()) else { return Ok(()) };
        ui.line("")?;
        ui.line(format!(
            "Together the indexes of a row leave {:.1} rows alike on average; shorten those of repeated values by {:.0} bits in all.",
            budget.coincidences(),
            (budget.spent_bits() - budget.allowed_bits()).ceil()
        ))
    }
}

impl Advice {
    fn title(&self) -> String {
        let parts = self.fields.iter().zip(&self.forms);
        let parts: Vec<String> = parts.map(|(field, form)| format!("{field} as {form}")).collect();
        match (&self.index, self.bits) {
            (Some(index), Some(bits)) => format!("index {index}: {}, {bits} bits", parts.join(", ")),
            _ => format!("candidate: {}", parts.join(", ")),
        }
    }

    /// What is to be done.
    fn conclusion(&self) -> String {
        let mut text = match (self.bits, self.advised) {
            (Some(_), None) => {
                "Conclusion: take this index out of the schema, and look for a value that singles out more."
                    .to_owned()
            }
            (None, None) => "Conclusion: make no index of it.".to_owned(),
            (Some(bits), Some(lengths)) if bits > lengths.largest.get() => format!(
                "Conclusion: {bits} bits are too many: take {}, at most {}.",
                lengths.recommended.get(),
                lengths.largest.get()
            ),
            (Some(bits), Some(lengths)) if bits < lengths.smallest.get() => format!(
                "Conclusion: sound, but {bits} bits bring more false rows than they need; {} would do.",
                lengths.recommended.get()
            ),
            (Some(bits), Some(lengths)) => {
                format!("Conclusion: {bits} bits are sound; advised are {}.", lengths.recommended.get())
            }
            (None, Some(lengths)) => {
                format!("Conclusion: an index is sound: `bits = {}`.", lengths.recommended.get())
            }
        };
        if self.rows_without_normal_form > 0 {
            let rows = count(self.rows_without_normal_form, "row");
            let _ = write!(
                text,
                "\nwithout a normal form for their value: {rows}; `protect` refuses them unless the index says `invalid = \"skip\"`."
            );
        }
        text
    }
}
