// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reveals a table of a PostgreSQL database into a file of rows.
//!
//! Owns which columns are written and in what order. Never writes to the database, and never shows a field that was not asked for.

use std::io::Write;

use amanat::error::{Error, Result};
use amanat::schema::{FieldPolicy, Mode, TableSchema};
use amanat::value::ValueRef;

use super::error::failed;
use super::lane::PostgresLane;
use super::rows::PgBatch;
use super::table::{self, PgTable};
use super::{PostgresUrl, session};
use crate::cell::Stored;
use crate::columns::Columns;
use crate::csv_file;
use crate::engine::Rows as _;
use crate::file_run::FileForm;
use crate::json::append_json;
use crate::json_lines;
use crate::reveal::{Revealer, Shown};
use crate::run::{Batch as _, KeyRange, Lane as _};
use crate::scan::ScanRows as _;
use crate::stream::{Observer, Plan, Task};
use crate::tally::Tally;

/// Rows of one read.
const BATCH_ROWS: usize = 10_000;

/// Writes the columns of the record id and of the schema's fields, in the order of the table, as CSV or JSON Lines; indexes and
/// kept tokens are left out. NULL is an empty cell or `null`; what is not sealed is written as the text that the
/// server gives. All rows are as they stood at one moment. Ends early if the observer says so.
///
/// # Errors
/// `Misuse` if the plan is not one to reveal; `Store` if there is no connection or the output fails; `Schema` if table and schema do not
/// fit; what the observer fails with.
pub fn reveal(
    plan: Plan<'_>,
    (url, sql_table): (&PostgresUrl, Option<&str>),
    (form, output): (FileForm, &mut dyn Write),
    observer: &mut dyn Observer,
) -> Result<Tally> {
    let Task::Reveal(fields, shape) = plan.task else {
        return Err(Error::misuse("a plan to protect was given where one to reveal belongs"));
    };
    let mut revealer = Revealer::new(plan.session, plan.table, fields, shape)?;
    let name = sql_table.map_or_else(|| table::quote(plan.table.name().as_str()), str::to_owned);
    let mut client = session(url)?;
    client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").map_err(failed)?;
    let mut order = Vec::new();
    let table = PgTable::with_cells(&mut client, &name, plan.table, |columns| {
        order = ordered(columns, plan.table);
        let mut places = columns.fields.clone();
        places.sort_unstable();
        places.dedup();
        places
    })?;
    let writer = RowWriter { form, columns: order };
    let (mut tally, mut bytes) = (Tally::default(), Vec::new());
    writer.header(&mut bytes)?;
    let mut lane = PostgresLane::new(client, table, None);
    let (range, mut after, mut number) = (KeyRange::default(), None, 1);
    while !observer.stops() {
        let batch = lane.read(&range, after.as_ref(), BATCH_ROWS, number)?;
        let Some(last) = batch.count().checked_sub(1) else { break };
        for row in 0..batch.count() {
            let start = bytes.len();
            tally.rows += 1;
            if let Err(error) = writer.row((&batch, row), &mut revealer, &mut tally, &mut bytes) {
                bytes.truncate(start);
                tally.refused_rows += 1;
                observer.refused(&error.at_row(batch.number(row)))?;
            }
        }
        number += u64::try_from(batch.count()).unwrap_or_default();
        after = batch.position(last);
        written(output, &mut bytes)?;
        observer.progress(tally.rows, 0);
    }
    written(output, &mut bytes)?;
    Ok(tally)
}

fn written(output: &mut dyn Write, bytes: &mut Vec<u8>) -> Result<()> {
    let done = output.write_all(bytes);
    // Values stood there.
    zeroize::Zeroize::zeroize(bytes);
    done.map_err(|error| Error::store("the output cannot be written", error))
}

/// A column of the output.
struct Column {
    name: String,
    from: From,
}

/// Where a column's cells come from.
enum From {
    /// A column of the record id that is no field.
    Record(usize),
    /// A masked or clear field, by its place among all.
    Unsealed(usize),
    /// A sealed field, by its position.
    Sealed(usize),
}

/// The columns of the record id and of the fields, in the order of the table.
fn ordered(columns: &Columns, table: &TableSchema) -> Vec<Column> {
    let field = |(index, policy): (usize, &FieldPolicy)| {
        let sealed = table.sealed_position(policy.name()).filter(|_| policy.mode() == Mode::Sealed);
        let from = sealed.map_or(From::Unsealed(index), From::Sealed);
        Some((*columns.fields.get(index)?, Column { name: policy.column().to_owned(), from }))
    };
    let mut found: Vec<(usize, Column)> = table.fields().iter().enumerate().filter_map(field).collect();
    for (part, (name, place)) in table.record_id().iter().zip(&columns.record).enumerate() {
        if found.iter().all(|(known, _)| known != place) {
            found.push((*place, Column { name: name.clone(), from: From::Record(part) }));
        }
    }
    found.sort_by_key(|(place, _)| *place);
    found.into_iter().map(|(_, column)| column).collect()
}

/// Writes rows in the form of a file.
struct RowWriter {
    form: FileForm,
    columns: Vec<Column>,
}

impl RowWriter {
    fn header(&self, out: &mut Vec<u8>) -> Result<()> {
        if !matches!(self.form, FileForm::Csv(_)) {
            return Ok(());
        }
        for (place, column) in self.columns.iter().enumerate() {
            self.begin(place, out)?;
            self.value(ValueRef::Text(&column.name), out)?;
        }
        out.push(b'\n');
        Ok(())
    }

    fn row(
        &self,
        (batch, row): (&PgBatch, usize),
        revealer: &mut Revealer,
        tally: &mut Tally,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let record = batch.record(row).inspect_err(|error| tally.fault(error))?;
        let texts = batch.record_columns(row)?;
        for (place, column) in self.columns.iter().enumerate() {
            self.begin(place, out)?;
            match column.from {
                From::Record(part) => {
                    self.value(texts.get(part).map_or(ValueRef::Null, |text| ValueRef::Text(text)), out)?;
                }
                From::Unsealed(field) => {
                    let text = batch.unsealed(row, field).inspect_err(|error| tally.fault(error))?;
                    self.value(text.as_ref().map_or(ValueRef::Null, |text| ValueRef::Text(text)), out)?;
                }
                From::Sealed(position) => {
                    let stored = batch.cell(row, position).inspect_err(|error| tally.fault(error))?;
                    match revealer.show(position, &record, stored, tally)? {
                        Shown::Absent => self.value(ValueRef::Null, out)?,
                        Shown::Mask(mask) => self.value(ValueRef::Text(mask.as_str()), out)?,
                        Shown::Value(value) => self.value(value, out)?,
                        Shown::AsStored => self.stored(&batch.cell(row, position)?, out)?,
                    }
                }
            }
        }
        out.extend_from_slice(if matches!(self.form, FileForm::Csv(_)) { b"\n" } else { b"}\n" });
        Ok(())
    }

    /// What stands before a cell: a delimiter, or the name of the member.
    fn begin(&self, place: usize, out: &mut Vec<u8>) -> Result<()> {
        if let FileForm::Csv(delimiter) = self.form {
            if place > 0 {
                out.push(delimiter.byte());
            }
            return Ok(());
        }
        out.push(if place == 0 { b'{' } else { b',' });
        let name = self.columns.get(place).map_or("", |column| column.name.as_str());
        append_json(name, out).ok_or_else(|| Error::unsupported("the name of a column has no JSON form"))?;
        out.push(b':');
        Ok(())
    }

    fn value(&self, value: ValueRef<'_>, out: &mut Vec<u8>) -> Result<()> {
        match self.form {
            FileForm::Csv(delimiter) => csv_file::append_value(value, delimiter.byte(), out),
            FileForm::JsonLines => json_lines::append_value(value, out),
        }
    }

    /// A sealed cell that was not asked for, or a plain one.
    fn stored(&self, stored: &Stored<'_>, out: &mut Vec<u8>) -> Result<()> {
        match stored {
            Stored::Absent => self.value(ValueRef::Null, out),
            Stored::Plain(value) => self.value(*value, out),
            Stored::PlainOwned(value) => self.value(value.as_ref(), out),
            Stored::EnvelopeText(text) => self.value(ValueRef::Text(text), out),
            _ => Err(Error::unsupported(
                "a sealed cell in binary form has no place in a file of text; leave out --fields to open it",
            )),
        }
    }
}
