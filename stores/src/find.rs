// SPDX-License-Identifier: MIT OR Apache-2.0
//! Finds rows by a value, through a blind index.
//!
//! Owns the choice of the index and the comparison of what is found: SPEC 9.4. Never gives a row whose values were not opened and compared,
//! never passes over one that cannot be found in silence.

#[cfg(feature = "postgres")]
mod postgres;

#[cfg(feature = "postgres")]
pub use postgres::PostgresFinder;

use std::fmt;
use std::io::Read;
#[cfg(feature = "sqlite")]
use std::path::Path;
use std::sync::atomic::AtomicBool;

use amanat::Name;
use amanat::error::{Error, Result};
use amanat::index::{BlindIndex, IndexTerm};
use amanat::mask::Mask;
use amanat::normal::{Normal, NormalForm};
use amanat::schema::{Encoding, IndexPolicy, Mode, TableSchema, ValueType};
use amanat::surrogate::StoredSurrogate;
use amanat::value::ValueRef;

use crate::cell::Stored;
use crate::csv_file::{CsvBatch, CsvFile};
use crate::engine::Rows;
use crate::json_lines::{JsonBatch, Lines};
use crate::scan::{ScanPlan, ScanRows, ScanSource, ScannedRow, Scanner};
use crate::session::KeyringSession;
use crate::stream::Format;
use crate::text_value;

/// What is searched by, and what is shown of the rows that are found.
#[derive(Clone, Copy, Debug)]
pub struct FindPlan<'a> {
    /// The unlocked keyring. Index keys that are suspended or compromised are searched by if it names them as break-glass keys.
    pub session: &'a KeyringSession<'a>,
    /// The table's policy.
    pub table: &'a TableSchema,
    /// The index.
    pub index: &'a IndexPolicy,
    /// Fields to show of each row: clear ones as they are, all others masked.
    pub show: &'a [Name],
}

/// The index whose fields are exactly these, in any order.
///
/// # Errors
/// `Schema` if there is none, or more than one.
pub fn index_of<'a>(table: &'a TableSchema, fields: &[Name]) -> Result<&'a IndexPolicy> {
    let of = |policy: &IndexPolicy| -> Vec<String> {
        policy.spec().fields().iter().map(|part| part.field.to_string()).collect()
    };
    let list = |policies: &[&IndexPolicy]| {
        let each =
            policies.iter().map(|policy| format!("{} ({})", policy.spec().name(), of(policy).join(" + ")));
        each.collect::<Vec<_>>().join(", ")
    };
    let sorted = |mut names: Vec<String>| {
        names.sort_unstable();
        names
    };
    let asked: Vec<String> = fields.iter().map(ToString::to_string).collect();
    let wanted = sorted(asked.clone());
    let all: Vec<&IndexPolicy> = table.indexes().iter().collect();
    let fits = |policy: &&IndexPolicy| sorted(of(policy)) == wanted;
    let fitting: Vec<&IndexPolicy> = table.indexes().iter().filter(fits).collect();
    match fitting.as_slice() {
        [policy] => Ok(policy),
        [] => Err(Error::schema(format!(
            "table `{}` has no index of exactly {}; it has: {}",
            table.name(),
            asked.join(" + "),
            if all.is_empty() { "none".to_owned() } else { list(&all) }
        ))),
        several => {
            Err(Error::schema(format!("several indexes are of these fields; name one: {}", list(several))))
        }
    }
}

/// A row that was found: its values were opened and are those that were searched for.
pub struct Found {
    /// Number of the row in a file, or SQLite's rowid.
    pub number: u64,
    /// The columns by which the store tells its rows apart, as text: the rowid or primary key of a table, the row number of a file.
    pub key: Vec<String>,
    /// The columns of the record id as text.
    pub record: Vec<String>,
    /// What is shown of the fields that were asked for, in that order; `None` for an absent value.
    pub shown: Vec<Option<String>>,
}

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Found")
    }
}

/// What a search has found.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct FindReport {
    /// The rows.
    pub rows: Vec<Found>,
    /// Rows with the same term and another value: what a short index costs.
    pub false_candidates: u64,
    /// Rows that may be meant and cannot be opened or read; why.
    pub faults: Vec<Error>,
    /// Rows with a value and without a term of this index under a key that opens: they are not found. Protect the table; it is not
    /// finished, or keys or the schema have changed since. For a prepared finder: as it was when the finder was made.
    pub not_searchable: u64,
}

/// Finds rows in a CSV file. Every line is read; only rows with the term are opened.
///
/// # Errors
/// As [`scan_csv`](crate::scan::scan_csv); `Schema`, `Malformed` or `Limit` with the field's name if a value has no normal form; `Misuse`
/// for another number of values than the index has fields.
pub fn find_csv(plan: FindPlan<'_>, values: &[&str], input: impl Read) -> Result<FindReport> {
    let mut finder = Finder::new(plan)?;
    let terms = finder.terms(values)?;
    let ended = AtomicBool::new(true);
    let (mut file, csv) = CsvFile::open(plan.table, input, &ended)?;
    let mut batch = CsvBatch::default();
    while file.fill(&mut batch)? {
        finder.sift(&csv.rows(&batch), &terms)?;
    }
    Ok(finder.matcher.take_report())
}

/// Finds rows in a JSON Lines file, as [`find_csv`].
///
/// # Errors
/// As [`find_csv`].
pub fn find_json_lines(plan: FindPlan<'_>, values: &[&str], input: impl Read) -> Result<FindReport> {
    let mut finder = Finder::new(plan)?;
    let terms = finder.terms(values)?;
    let (mut lines, format) = Lines::open(plan.table, input)?;
    let mut batch = JsonBatch::default();
    while lines.fill(&mut batch)? {
        finder.sift(&format.rows(&batch), &terms)?;
    }
    Ok(finder.matcher.take_report())
}

/// Finds rows in a SQLite table, once. For many lookups keep a [`SqliteFinder`].
///
/// # Errors
/// As [`SqliteFinder::open`] and [`SqliteFinder::find`].
#[cfg(feature = "sqlite")]
pub fn find_sqlite(
    plan: FindPlan<'_>,
    values: &[&str],
    file: &Path,
    sql_table: Option<&str>,
) -> Result<(FindReport, Vec<String>)> {
    let mut finder = SqliteFinder::open(plan, file, sql_table)?;
    let report = finder.find(values)?;
    Ok((report, finder.warnings))
}

/// Finds rows in a SQLite table, many times: connection, statement and keys are kept ready.
#[cfg(feature = "sqlite")]
pub struct SqliteFinder {
    finder: Finder,
    lookup: crate::sqlite::Lookup,
    not_searchable: u64,
    warnings: Vec<String>,
}

#[cfg(feature = "sqlite")]
impl SqliteFinder {
    /// Opens a file for reading; the table has the schema's name unless another is given. Counts the rows that are not searchable, for which
    /// the index's column is read once.
    ///
    /// # Errors
    /// `Store` if the file cannot be read; `Schema` if table and schema do not fit or the index has no column yet.
    pub fn open(plan: FindPlan<'_>, file: &Path, sql_table: Option<&str>) -> Result<Self> {
        let finder = Finder::new(plan)?;
        let name = sql_table.unwrap_or_else(|| plan.table.name().as_str());
        let fields = finder.scanner.fields();
        let lookup = crate::sqlite::Lookup::open(
            (plan.table, plan.index),
            file,
            name,
            &fields,
            finder.index.tags().count(),
        )?;
        let not_searchable = lookup.not_searchable(plan.index, finder.index.tags())?;
        let mut warnings: Vec<String> = lookup.hint()?.into_iter().collect();
        if not_searchable > 0 {
            warnings.push(format!(
                "{not_searchable} rows have a value and no term of index `{}` that can be searched by; protect the table",
                plan.index.spec().name()
            ));
        }
        Ok(Self { finder, lookup, not_searchable, warnings })
    }

    /// What the user should know: that SQLite reads every row, with the statement that ends it, and that rows are not searchable.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Finds the rows of one value for each field of the index, in the index's order, as people type them.
    ///
    /// # Errors
    /// `Schema`, `Malformed` or `Limit` with the field's name if a value has no normal form; `Misuse` for another number of values;
    /// `Store` if the file cannot be read.
    pub fn find(&mut self, values: &[&str]) -> Result<FindReport> {
        let terms = self.finder.terms(values)?;
        let (Finder { scanner, matcher, .. }, lookup) = (&mut self.finder, &self.lookup);
        let rows = lookup.rows(&terms)?;
        (0..rows.count()).try_for_each(|row| matcher.check(scanner, &rows, row))?;
        let mut report = matcher.take_report();
        report.not_searchable = self.not_searchable;
        Ok(report)
    }
}

#[cfg(feature = "sqlite")]
impl fmt::Debug for SqliteFinder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SqliteFinder({:?})", self.finder.index)
    }
}

/// Turns values into terms, and candidates into what was found.
pub(crate) struct Finder {
    index: BlindIndex,
    /// Place of the index among the table's surrogates.
    position: usize,
    encoding: Encoding,
    types: Vec<ValueType>,
    /// Places among the sealed fields of the fields of the index.
    parts: Vec<usize>,
    scanner: Scanner,
    matcher: Matcher,
}

impl Finder {
    pub(crate) fn new(plan: FindPlan<'_>) -> Result<Self> {
        let (table, spec) = (plan.table, plan.index.spec());
        let position = table.indexes().iter().position(|policy| policy == plan.index);
        let position = position.ok_or_else(|| Error::misuse("the index is not one of the table"))?;
        let index = plan.session.blind_index(table.name(), spec)?;
        let mut names: Vec<Name> = spec.fields().iter().map(|part| part.field.clone()).collect();
        let of_index = names.len();
        names.extend_from_slice(plan.show);
        let policy = |name: &Name| {
            let found = table.fields().iter().find(|policy| policy.name() == name);
            found.ok_or_else(|| Error::schema(format!("`{name}` is no field of table `{}`", table.name())))
        };
        let masks = plan.show.iter().map(|name| {
            policy(name).map(|policy| match policy.mode() {
                Mode::Sealed => Some(policy.mask()),
                _ => None,
            })
        });
        let masks = masks.collect::<Result<Vec<_>>>()?;
        let types = names.iter().take(of_index).map(|name| policy(name).map(|policy| policy.value_type()));
        let types = types.collect::<Result<Vec<_>>>()?;
        let parts = names.iter().take(of_index).filter_map(|name| table.sealed_position(name)).collect();
        let empty = || spec.fields().iter().map(|part| Normal::empty(part.form.clone())).collect::<Vec<_>>();
        let matcher = Matcher { query: empty(), candidate: empty(), masks, report: FindReport::default() };
        let source = ScanSource::Protected(plan.session);
        let scanner = Scanner::new(ScanPlan { table, fields: &names, source })?;
        Ok(Self { index, position, encoding: table.encoding(), types, parts, scanner, matcher })
    }

    /// The terms to search for, one for each generation of the key.
    pub(crate) fn terms(&mut self, values: &[&str]) -> Result<Vec<IndexTerm>> {
        if values.len() != self.types.len() {
            return Err(Error::misuse("a search takes one value for each field of the index"));
        }
        let of_fields = self.matcher.query.iter_mut().zip(self.index.spec().fields()).zip(&self.types);
        for (((normal, part), value_type), value) in of_fields.zip(values) {
            let typed = typed(value, *value_type, &part.form);
            let written = typed.and_then(|value| match value {
                Stored::Plain(value) => part.form.normalise_into(value, normal),
                Stored::PlainOwned(value) => part.form.normalise_into(value.as_ref(), normal),
                _ => Err(Error::schema("nothing to search for")),
            });
            written.map_err(|error| error.at_field(&part.field))?;
        }
        self.index.query(&self.matcher.query.iter().collect::<Vec<_>>())
    }

    /// Opens the rows of a batch that have one of the terms, and counts those that cannot be searched.
    pub(crate) fn sift<R: Rows + ScanRows>(&mut self, rows: &R, terms: &[IndexTerm]) -> Result<()> {
        for row in 0..rows.count() {
            let is_candidate = rows.record(row).and_then(|_| self.is_candidate(rows, row, terms));
            match is_candidate {
                Ok(Candidate::Yes) => self.matcher.check(&mut self.scanner, rows, row)?,
                Ok(Candidate::No) => {}
                Ok(Candidate::NotSearchable) => self.matcher.report.not_searchable += 1,
                Err(error) => self.matcher.report.faults.push(error.at_row(rows.number(row))),
            }
        }
        Ok(())
    }

    #[cfg(feature = "parquet")]
    pub(crate) fn into_report(mut self) -> FindReport {
        self.matcher.take_report()
    }

    fn is_candidate<R: Rows>(&self, rows: &R, row: usize, terms: &[IndexTerm]) -> Result<Candidate> {
        let at = |error: Error| error.at_field(self.index.spec().name());
        let term = match (rows.surrogate(row, self.position).map_err(at)?, self.encoding) {
            (StoredSurrogate::Absent, _) => {
                let absent = |part: &usize| rows.cell(row, *part).map(|cell| matches!(cell, Stored::Absent));
                let absent = self.parts.iter().map(absent).collect::<Result<Vec<_>>>()?;
                return Ok(if absent.contains(&true) { Candidate::No } else { Candidate::NotSearchable });
            }
            (StoredSurrogate::Text(text), _) => IndexTerm::from_text(text).map_err(at)?,
            (StoredSurrogate::Bytes(bytes), _) => IndexTerm::from_bytes(bytes).map_err(at)?,
            _ => return Err(at(Error::malformed("the cell is no index term in text form"))),
        };
        if terms.contains(&term) {
            return Ok(Candidate::Yes);
        }
        let like = |of: &IndexTerm| of.tag() == term.tag() && of.as_bytes().len() == term.as_bytes().len();
        Ok(if terms.iter().any(like) { Candidate::No } else { Candidate::NotSearchable })
    }
}

enum Candidate {
    Yes,
    No,
    NotSearchable,
}

/// What people type, as a value of the field. Every form but `exact/v1` reads text by itself, digits of other scripts included.
fn typed<'a>(text: &'a str, value_type: ValueType, form: &NormalForm) -> Result<Stored<'a>> {
    match (form, value_type) {
        (NormalForm::Exact, ValueType::Text) => Ok(Stored::Plain(ValueRef::Text(text))),
        (NormalForm::Exact, value_type) => text_value::read(text.as_bytes(), value_type),
        _ => Ok(Stored::Plain(ValueRef::Text(text))),
    }
}

/// Compares the values of candidates with those that are searched for.
struct Matcher {
    query: Vec<Normal>,
    candidate: Vec<Normal>,
    /// Masks of the sealed fields to show.
    masks: Vec<Option<Mask>>,
    report: FindReport,
}

impl Matcher {
    fn take_report(&mut self) -> FindReport {
        std::mem::take(&mut self.report)
    }

    /// Opens a candidate and compares it.
    fn check<R: Rows + ScanRows>(&mut self, scanner: &mut Scanner, rows: &R, row: usize) -> Result<()> {
        let fault = scanner.take_row(rows, row, |row| self.compare(row))?;
        self.report.faults.extend(fault);
        Ok(())
    }

    fn compare(&mut self, row: &ScannedRow<'_>) -> Result<()> {
        let (of_index, shown) = row.values().split_at(self.query.len().min(row.values().len()));
        let mut same = true;
        for ((query, candidate), value) in self.query.iter().zip(&mut self.candidate).zip(of_index) {
            // A value without a normal form has no term of its own; that it shares one is chance.
            let written = query.form().normalise_into(*value, candidate);
            same &= written.is_ok() && query.matches(candidate);
        }
        if !same {
            self.report.false_candidates += 1;
            return Ok(());
        }
        let show = |(value, mask): (&ValueRef<'_>, &Option<Mask>)| match (value, mask) {
            (ValueRef::Null, _) => None,
            (ValueRef::Text(text), None) => Some((*text).to_owned()),
            (value, Some(mask)) => Some(mask.apply(*value).as_str().to_owned()),
            (value, None) => Some(Mask::All.apply(*value).as_str().to_owned()),
        };
        self.report.rows.push(Found {
            number: row.number(),
            key: row.key(),
            record: row.record_columns()?.into_iter().map(std::borrow::Cow::into_owned).collect(),
            shown: shown.iter().zip(&self.masks).map(show).collect(),
        });
        Ok(())
    }
}
