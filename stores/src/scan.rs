// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reads a store row by row and hands the values of some fields to a visitor: for planning, exports and the tracing of leaks.
//!
//! Owns which cells are opened: those that were asked for. Never writes, and never takes plaintext for a sealed value unless told so.

use std::borrow::Cow;
use std::fmt;
use std::io::Read;
#[cfg(feature = "sqlite")]
use std::path::Path;
use std::sync::atomic::AtomicBool;

use amanat::error::{Error, Result};
use amanat::schema::{Mode, TableSchema};
use amanat::value::ValueRef;
use amanat::{Name, RecordId};

use crate::cell::{CellReader, Opened, Stored};
use crate::csv_file::{CsvBatch, CsvFile};
use crate::engine::{self, Rows};
use crate::json_lines::{JsonBatch, Lines};
use crate::session::KeyringSession;
use crate::stream::Format;
use crate::tally::Tally;

/// What is read.
#[derive(Clone, Copy, Debug)]
pub struct ScanPlan<'a> {
    /// The table's policy.
    pub table: &'a TableSchema,
    /// The fields wanted, in the order in which rows give them. Sealed ones are opened; masked and clear ones are given as text.
    pub fields: &'a [Name],
    /// What sealed cells are taken from.
    pub source: ScanSource<'a>,
}

/// What the values of sealed fields are taken from.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum ScanSource<'a> {
    /// Plaintext alone, without a key: data that is not protected yet. A row with an envelope in a wanted field is refused.
    Plain,
    /// Envelopes, and plaintext where the schema says `migration = "mixed"`.
    Protected(&'a KeyringSession<'a>),
}

/// Is given the rows.
pub trait Visitor {
    /// A row whose wanted values could all be read.
    ///
    /// # Errors
    /// Why the scan shall stop.
    fn row(&mut self, row: &ScannedRow<'_>) -> Result<()>;

    /// A row that could not be read, with its number and the field.
    ///
    /// # Errors
    /// Why the scan shall stop.
    fn refused(&mut self, fault: &Error) -> Result<()>;
}

/// A row with the values that were wanted, lent until the visitor returns.
pub struct ScannedRow<'a> {
    number: u64,
    record: &'a RecordId<'a>,
    values: &'a [ValueRef<'a>],
    rows: &'a dyn ScanRows,
    row: usize,
}

impl ScannedRow<'_> {
    /// Number of the row in the input, from 1.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// Record id of the row.
    #[must_use]
    pub const fn record(&self) -> &RecordId<'_> {
        self.record
    }

    /// The columns of the record id as text, in the schema's order. Personal data.
    ///
    /// # Errors
    /// None in practice: the record id was made of them.
    pub fn record_columns(&self) -> Result<Vec<Cow<'_, str>>> {
        self.rows.record_columns(self.row)
    }

    /// The columns by which the store tells its rows apart, as text: the rowid or primary key of a table, the row number of a file.
    #[must_use]
    pub fn key(&self) -> Vec<String> {
        self.rows.key(self.row).unwrap_or_else(|| vec![self.number.to_string()])
    }

    /// The value of the wanted field at a position, from 0; null if it is absent.
    #[must_use]
    pub fn value(&self, position: usize) -> ValueRef<'_> {
        self.values.get(position).copied().unwrap_or(ValueRef::Null)
    }

    /// The values of the wanted fields in order.
    #[must_use]
    pub const fn values(&self) -> &[ValueRef<'_>] {
        self.values
    }
}

impl fmt::Debug for ScannedRow<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ScannedRow({} values)", self.values.len())
    }
}

/// Rows that also give what is not sealed.
pub(crate) trait ScanRows {
    /// The store's own key of a row, if it is not its number.
    fn key(&self, _row: usize) -> Option<Vec<String>> {
        None
    }

    fn record_columns(&self, row: usize) -> Result<Vec<Cow<'_, str>>>;

    /// Text of the cell of a masked or clear field; `field` counts all fields in schema order.
    fn unsealed(&self, row: usize, field: usize) -> Result<Option<Cow<'_, str>>>;
}

/// Scans a CSV file in constant memory. Gives the counts of what was read: rows, refused rows, cells opened, plain, absent.
///
/// # Errors
/// `Schema` if a wanted field or the header does not fit the schema; `Store` if the input fails; what the visitor fails with.
pub fn scan_csv(plan: ScanPlan<'_>, input: impl Read, visitor: &mut dyn Visitor) -> Result<Tally> {
    let mut scanner = Scanner::new(plan)?;
    let ended = AtomicBool::new(true);
    let (mut file, csv) = CsvFile::open(plan.table, input, &ended)?;
    let mut batch = CsvBatch::default();
    while file.fill(&mut batch)? {
        scanner.scan(&csv.rows(&batch), visitor)?;
    }
    Ok(scanner.tally)
}

/// Scans a JSON Lines file in constant memory, as [`scan_csv`]. A member of a clear field that is not a string is given as its JSON text.
///
/// # Errors
/// As [`scan_csv`].
pub fn scan_json_lines(plan: ScanPlan<'_>, input: impl Read, visitor: &mut dyn Visitor) -> Result<Tally> {
    let mut scanner = Scanner::new(plan)?;
    let (mut lines, format) = Lines::open(plan.table, input)?;
    let mut batch = JsonBatch::default();
    while lines.fill(&mut batch)? {
        scanner.scan(&format.rows(&batch), visitor)?;
    }
    Ok(scanner.tally)
}

/// Scans a table of a SQLite file in constant memory, as [`scan_csv`]; of the schema's name unless another is given. Only the columns of
/// the wanted fields are read.
///
/// # Errors
/// As [`scan_csv`].
#[cfg(feature = "sqlite")]
pub fn scan_sqlite(
    plan: ScanPlan<'_>,
    file: &Path,
    sql_table: Option<&str>,
    visitor: &mut dyn Visitor,
) -> Result<Tally> {
    let mut scanner = Scanner::new(plan)?;
    let name = sql_table.unwrap_or_else(|| plan.table.name().as_str());
    let fields = scanner.fields();
    crate::sqlite::scan(plan.table, file, name, &fields, |rows| scanner.scan(rows, visitor))?;
    Ok(scanner.tally)
}

/// Opens the wanted cells of rows.
pub(crate) struct Scanner {
    wanted: Vec<Wanted>,
    pub(crate) tally: Tally,
}

/// A field that is read.
struct Wanted {
    name: Name,
    /// Place among all fields.
    field: usize,
    from: From,
}

enum From {
    /// A masked or clear column.
    Unsealed,
    /// The plaintext of the sealed field at this position.
    Plain(usize),
    /// The envelopes of the sealed field at this position.
    Sealed(usize, Box<CellReader>),
}

/// A cell that was fetched, before it is opened.
enum Fetched<'a> {
    Text(Option<Cow<'a, str>>),
    Stored(Stored<'a>),
}

impl Scanner {
    pub(crate) fn new(plan: ScanPlan<'_>) -> Result<Self> {
        let wanted = plan.fields.iter().map(|name| Wanted::new(plan, name)).collect::<Result<_>>()?;
        Ok(Self { wanted, tally: Tally::default() })
    }

    pub(crate) fn scan<R: Rows + ScanRows>(&mut self, rows: &R, visitor: &mut dyn Visitor) -> Result<()> {
        for row in 0..rows.count() {
            if let Some(fault) = self.take_row(rows, row, |row| visitor.row(row))? {
                visitor.refused(&fault)?;
            }
        }
        Ok(())
    }

    /// Places of the wanted fields among all fields.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(crate) fn fields(&self) -> Vec<usize> {
        self.wanted.iter().map(|wanted| wanted.field).collect()
    }

    /// Hands a row over, or gives why it is refused.
    pub(crate) fn take_row<R: Rows + ScanRows>(
        &mut self,
        rows: &R,
        row: usize,
        take: impl FnOnce(&ScannedRow<'_>) -> Result<()>,
    ) -> Result<Option<Error>> {
        self.tally.rows += 1;
        let tally = &mut self.tally;
        let opened = rows.record(row).and_then(|record| {
            let fetch =
                |wanted: &Wanted| wanted.fetch(rows, row).map_err(|error| error.at_field(&wanted.name));
            let fetched = self.wanted.iter().map(fetch).collect::<Result<Vec<_>>>()?;
            let value = |(wanted, fetched): (_, _)| Wanted::value(wanted, &record, fetched, tally);
            let values = self.wanted.iter_mut().zip(&fetched).map(value).collect::<Result<Vec<_>>>()?;
            let number = rows.number(row);
            Ok(take(&ScannedRow { number, record: &record, values: &values, rows, row }))
        });
        match opened {
            Ok(taken) => taken.map(|()| None),
            Err(error) => {
                self.tally.refused_rows += 1;
                self.tally.fault(&error);
                Ok(Some(error.at_row(rows.number(row))))
            }
        }
    }
}

impl Wanted {
    fn new(plan: ScanPlan<'_>, name: &Name) -> Result<Self> {
        let table = plan.table;
        let found = table.fields().iter().enumerate().find(|(_, policy)| policy.name() == name);
        let (field, policy) = found.ok_or_else(|| {
            let names: Vec<&str> = table.fields().iter().map(|policy| policy.name().as_str()).collect();
            Error::schema(format!(
                "`{name}` is no field of table `{}`; it has: {}",
                table.name(),
                names.join(", ")
            ))
        })?;
        let position = table.sealed_position(name).filter(|_| policy.mode() == Mode::Sealed);
        let from = match (position, plan.source) {
            (None, _) => From::Unsealed,
            (Some(position), ScanSource::Plain) => From::Plain(position),
            (Some(position), ScanSource::Protected(session)) => {
                let reader = session.with_keys(|keys| engine::reader(session, keys, table, policy))?;
                From::Sealed(position, Box::new(reader))
            }
        };
        Ok(Self { name: name.clone(), field, from })
    }

    fn fetch<'r, R: Rows + ScanRows>(&self, rows: &'r R, row: usize) -> Result<Fetched<'r>> {
        match self.from {
            From::Unsealed => rows.unsealed(row, self.field).map(Fetched::Text),
            From::Plain(position) | From::Sealed(position, _) => {
                rows.cell(row, position).map(Fetched::Stored)
            }
        }
    }

    fn value<'v>(
        &'v mut self,
        record: &RecordId<'_>,
        fetched: &'v Fetched<'_>,
        tally: &mut Tally,
    ) -> Result<ValueRef<'v>> {
        let opened = match (&mut self.from, fetched) {
            (_, Fetched::Text(text)) => {
                return Ok(text.as_ref().map_or(ValueRef::Null, |text| ValueRef::Text(text)));
            }
            (From::Sealed(_, reader), Fetched::Stored(stored)) => reader.open(record, stored),
            (_, Fetched::Stored(Stored::EnvelopeBytes(_) | Stored::EnvelopeText(_))) => Err(Error::schema(
                "an envelope stands where plaintext was expected; scan it with its keyring",
            )),
            (_, Fetched::Stored(_)) => Ok(Opened::Plain),
        };
        match (opened.map_err(|error| error.at_field(&self.name))?, fetched) {
            (Opened::Value(key, value), _) => {
                tally.opened += 1;
                tally.key(key).opened += 1;
                Ok(value)
            }
            (Opened::Plain, Fetched::Stored(Stored::Plain(value))) => {
                tally.plain += 1;
                Ok(*value)
            }
            (Opened::Plain, Fetched::Stored(Stored::PlainOwned(value))) => {
                tally.plain += 1;
                Ok(value.as_ref())
            }
            (Opened::Plain | Opened::Absent, _) => {
                tally.absent += 1;
                Ok(ValueRef::Null)
            }
        }
    }
}

impl fmt::Debug for Scanner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scanner({} fields)", self.wanted.len())
    }
}

pub(crate) fn no_such_field() -> Error {
    Error::misuse("the batch has fewer rows or fields")
}
