// SPDX-License-Identifier: MIT OR Apache-2.0
//! Makes the columns of the output from a batch.
//!
//! Owns the order of work in a batch and the leaving out of refused rows. Never encodes Parquet.

use std::sync::Arc;

use amanat::error::{Error, Result};
use amanat::schema::Encoding;
use amanat::surrogate::{StoredSurrogate, Surrogate};
use amanat::value::ValueRef;
use amanat::{envelope, mask::Mask};
use arrow_array::builder::{BinaryBuilder, BooleanBuilder, FixedSizeBinaryBuilder, PrimitiveBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type,
    UInt32Type,
};
use arrow_array::{
    Array, ArrayRef, BooleanArray, PrimitiveArray, RecordBatch, RecordBatchOptions, StringArray,
};
use arrow_schema::{ArrowError, DataType};
use arrow_select::filter::filter;

use super::cells::{ParquetRows, days_of};
use super::input::Batch;
use super::layout::{From, Kind, OutputLayout};
use crate::cell::Stored;
use crate::engine::{Effort, NewCell, Protector, Rows, SealedRows, Source};
use crate::pipeline;
use crate::reveal::{Revealer, Shown};
use crate::stream::{Plan, Task};
use crate::surrogates::NewSurrogate;
use crate::tally::Tally;

/// Longest array of bytes: its offsets have 32 bits.
const MAX_ARRAY_BYTES: usize = i32::MAX as usize;

/// What a worker made of a batch.
#[derive(Debug, Default)]
pub(super) struct Made {
    /// What is to be written; nothing in a dry run.
    pub(super) rows: Option<RecordBatch>,
    /// Whether a row group ends with it.
    pub(super) ends_group: bool,
    pub(super) tally: Tally,
    pub(super) faults: Vec<Error>,
    /// Bytes of the input up to the end of the batch, about.
    pub(super) input_bytes: u64,
}

impl pipeline::Made for Made {
    fn clear(&mut self) {
        self.rows = None;
        self.tally.clear();
        self.faults.clear();
    }
}

/// Works on batches. One for each thread.
pub(super) enum Worker<'a> {
    Protect(Box<Protector<'a>>, Box<SealedRows>, Effort),
    Reveal(Revealer),
}

impl<'a> Worker<'a> {
    pub(super) fn new(plan: Plan<'a>) -> Result<Self> {
        let protect = |effort, source| {
            let protector = Protector::new(plan.session, plan.table, effort, source)?;
            Ok(Self::Protect(Box::new(protector), Box::default(), effort))
        };
        match plan.task {
            Task::Protect(effort) => protect(effort, Source::Any),
            Task::Reseal(effort) => protect(effort, Source::SealedOnly),
            Task::Reveal(fields, form) => {
                Ok(Self::Reveal(Revealer::new(plan.session, plan.table, fields, form)?))
            }
        }
    }

    pub(super) fn work(&mut self, layout: &OutputLayout, batch: &Batch, made: &mut Made) -> Result<()> {
        let rows = ParquetRows::worked(&layout.input, batch);
        (made.ends_group, made.input_bytes) = (batch.ends_group, batch.input_bytes);
        let arrays = batch.rows.as_ref().map_or(&[][..], |rows| rows.columns());
        match self {
            Self::Protect(protector, sealed, effort) => {
                protector.protect(&rows, sealed)?;
                made.tally.add(&sealed.tally);
                made.faults.append(&mut sealed.faults);
                if !effort.is_dry() {
                    let kept: Vec<bool> = (0..rows.count()).map(|row| !sealed.is_refused(row)).collect();
                    made.rows = Some(protected(layout, arrays, &rows, sealed, kept, &mut made.tally)?);
                }
            }
            Self::Reveal(revealer) => made.rows = Some(revealed(layout, arrays, &rows, revealer, made)?),
        }
        Ok(())
    }
}

/// The columns of the rows that were not refused.
fn protected(
    layout: &OutputLayout,
    arrays: &[ArrayRef],
    rows: &ParquetRows<'_>,
    sealed: &SealedRows,
    kept: Vec<bool>,
    tally: &mut Tally,
) -> Result<RecordBatch> {
    let columns = layout.from.iter().map(|from| match from {
        From::Column(place) => Ok(Arc::clone(arrays.get(*place).ok_or_else(lost)?)),
        From::Masks(place, mask) => masks(arrays.get(*place).ok_or_else(lost)?, mask, &kept, tally),
        From::Envelopes(position) => envelopes(layout, rows, sealed, *position, &kept),
        From::Surrogate(position, is_binary) => surrogates(rows, sealed, (*position, *is_binary), &kept),
        From::Revealed(..) => Err(lost()),
    });
    let columns = columns.collect::<Result<Vec<_>>>()?;
    without_refused(layout, columns, kept)
}

fn masks(array: &ArrayRef, mask: &Mask, kept: &[bool], tally: &mut Tally) -> Result<ArrayRef> {
    let texts = array.as_string_opt::<i32>().ok_or_else(lost)?;
    let mut column = Bytes::of_text(texts.len());
    for (text, kept) in texts.iter().zip(kept) {
        match text.filter(|_| *kept) {
            None => column.push_null(),
            Some(text) => {
                let shown = mask.apply(ValueRef::Text(text));
                tally.masked += u64::from(shown.as_str() != text);
                column.push(shown.as_str().as_bytes())?;
            }
        }
    }
    column.finish()
}

fn envelopes(
    layout: &OutputLayout,
    rows: &ParquetRows<'_>,
    sealed: &SealedRows,
    position: usize,
    kept: &[bool],
) -> Result<ArrayRef> {
    let is_text = layout.input.encoding != Encoding::Binary;
    let mut column = if is_text { Bytes::of_text(kept.len()) } else { Bytes::of_bytes(kept.len()) };
    let mut text = Vec::new();
    for (row, kept) in kept.iter().enumerate() {
        match sealed.cell(row, position) {
            _ if !*kept => column.push_null(),
            NewCell::Absent => column.push_null(),
            NewCell::Envelope(bytes) if is_text => {
                text.clear();
                envelope::append_text(bytes, &mut text);
                column.push(&text)?;
            }
            NewCell::Envelope(bytes) => column.push(bytes)?,
            NewCell::Unchanged => match rows.cell(row, position)? {
                Stored::EnvelopeText(text) if is_text => column.push(text.as_bytes())?,
                Stored::EnvelopeBytes(bytes) if !is_text => column.push(bytes)?,
                _ => return Err(lost()),
            },
        }
    }
    column.finish()
}

fn surrogates(
    rows: &ParquetRows<'_>,
    sealed: &SealedRows,
    (position, is_binary): (usize, bool),
    kept: &[bool],
) -> Result<ArrayRef> {
    let mut column = if is_binary { Bytes::of_bytes(kept.len()) } else { Bytes::of_text(kept.len()) };
    for (row, kept) in kept.iter().enumerate() {
        match sealed.surrogate(row, position) {
            _ if !*kept => column.push_null(),
            NewSurrogate::Kept => match rows.surrogate(row, position)? {
                StoredSurrogate::Bytes(bytes) if is_binary => column.push(bytes)?,
                StoredSurrogate::Text(text) if !is_binary => column.push(text.as_bytes())?,
                _ => return Err(lost()),
            },
            NewSurrogate::New(Surrogate::Term(term)) if is_binary => column.push(term.as_bytes())?,
            NewSurrogate::New(Surrogate::Term(term)) => column.push(term.to_text().as_bytes())?,
            NewSurrogate::New(Surrogate::Token(token)) => column.push(token.as_str().as_bytes())?,
            NewSurrogate::Empty | NewSurrogate::New(Surrogate::Absent) => column.push_null(),
        }
    }
    column.finish()
}

/// The columns of the rows that could be revealed.
fn revealed(
    layout: &OutputLayout,
    arrays: &[ArrayRef],
    rows: &ParquetRows<'_>,
    revealer: &mut Revealer,
    made: &mut Made,
) -> Result<RecordBatch> {
    let mut kept = Vec::with_capacity(rows.count());
    let mut values: Vec<Option<Values>> =
        layout.from.iter().map(|from| Values::of(from, rows.count())).collect();
    for row in 0..rows.count() {
        made.tally.rows += 1;
        let known = made.faults.len();
        let at = |error: Error| error.at_row(rows.number(row));
        match rows.record(row) {
            Ok(record) => {
                for column in values.iter_mut().flatten() {
                    let stored = rows.cell(row, column.position);
                    let shown = stored
                        .and_then(|stored| revealer.show(column.position, &record, stored, &mut made.tally));
                    let pushed = match shown {
                        Ok(Shown::Value(value)) => column.push(value)?,
                        Ok(Shown::Absent) => column.push(ValueRef::Null)?,
                        Ok(Shown::Mask(mask)) => column.push(ValueRef::Text(mask.as_str()))?,
                        Ok(Shown::AsStored) => column.push_stored(rows.cell(row, column.position)?)?,
                        Err(error) => {
                            column.array.push_null();
                            Err(error)
                        }
                    };
                    made.faults.extend(pushed.map_err(at).err());
                }
            }
            Err(error) => {
                values.iter_mut().flatten().for_each(|column| column.array.push_null());
                made.faults.push(at(error));
            }
        }
        kept.push(made.faults.len() == known);
        made.tally.refused_rows += u64::from(made.faults.len() > known);
    }
    let columns = layout.from.iter().zip(values).map(|(from, values)| match (from, values) {
        (_, Some(values)) => values.array.finish(),
        (From::Column(place), None) => Ok(Arc::clone(arrays.get(*place).ok_or_else(lost)?)),
        _ => Err(lost()),
    });
    let columns = columns.collect::<Result<Vec<_>>>()?;
    without_refused(layout, columns, kept)
}

/// The rows that are kept, of columns that have all.
fn without_refused(
    layout: &OutputLayout,
    mut columns: Vec<ArrayRef>,
    kept: Vec<bool>,
) -> Result<RecordBatch> {
    let rows = kept.iter().filter(|kept| **kept).count();
    if rows < kept.len() {
        let kept = BooleanArray::from(kept);
        columns = columns.iter().map(|column| filter(column, &kept).map_err(unfit)).collect::<Result<_>>()?;
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::clone(&layout.written), columns, &options).map_err(unfit)
}

fn unfit(error: ArrowError) -> Error {
    Error::store("the columns of a batch do not fit together", error)
}

fn lost() -> Error {
    Error::misuse("a column of the output is made of none of the input")
}

/// A column that is revealed.
struct Values {
    position: usize,
    may_be_null: bool,
    array: Builder,
}

impl Values {
    fn of(from: &From, rows: usize) -> Option<Self> {
        let From::Revealed(position, kind, may_be_null) = from else { return None };
        Some(Self { position: *position, may_be_null: *may_be_null, array: Builder::new(kind, rows) })
    }

    /// Appends a value; the inner error refuses the row, in whose place NULL stands then.
    fn push(&mut self, value: ValueRef<'_>) -> Result<Result<()>> {
        if !self.may_be_null && matches!(value, ValueRef::Null) {
            self.array.push_null();
            return Ok(Err(Error::schema("the value is absent, and the column may not be NULL")));
        }
        self.array.push(value)
    }

    fn push_stored(&mut self, stored: Stored<'_>) -> Result<Result<()>> {
        match stored {
            Stored::Plain(value) => self.push(value),
            Stored::PlainOwned(value) => self.push(value.as_ref()),
            Stored::Absent => self.push(ValueRef::Null),
            Stored::EnvelopeBytes(_) | Stored::EnvelopeText(_) | Stored::Foreign(_) => Err(lost()),
        }
    }
}

/// An array in the making.
enum Builder {
    Booleans(BooleanBuilder),
    Bytes(Bytes),
    Days(PrimitiveBuilder<Date32Type>),
    Fixed(usize, FixedSizeBinaryBuilder),
    Integers(DataType, Vec<Option<i64>>),
}

impl Builder {
    fn new(kind: &Kind, rows: usize) -> Self {
        match kind {
            Kind::Boolean => Self::Booleans(BooleanBuilder::with_capacity(rows)),
            Kind::Bytes => Self::Bytes(Bytes::of_bytes(rows)),
            Kind::Days => Self::Days(PrimitiveBuilder::with_capacity(rows)),
            Kind::Fixed(length) => Self::Fixed(
                usize::try_from(*length).unwrap_or_default(),
                FixedSizeBinaryBuilder::with_capacity(rows, *length),
            ),
            Kind::Integers(data_type) => Self::Integers(data_type.clone(), Vec::with_capacity(rows)),
            Kind::Text => Self::Bytes(Bytes::of_text(rows)),
        }
    }

    fn push(&mut self, value: ValueRef<'_>) -> Result<Result<()>> {
        match (self, value) {
            (array, ValueRef::Null) => array.push_null(),
            (Self::Booleans(array), ValueRef::Boolean(truth)) => array.append_value(truth),
            (Self::Bytes(array), ValueRef::Text(text)) if array.is_text => array.push(text.as_bytes())?,
            (Self::Bytes(array), ValueRef::Date(date)) if array.is_text => {
                array.push(date.to_string().as_bytes())?;
            }
            (Self::Bytes(array), ValueRef::Bytes(bytes) | ValueRef::Cbor(bytes)) if !array.is_text => {
                array.push(bytes)?;
            }
            (Self::Fixed(length, array), ValueRef::Bytes(bytes)) if *length == bytes.len() => {
                array.append_value(bytes).map_err(unfit)?;
            }
            (Self::Days(array), ValueRef::Date(date)) => {
                let days = days_of(date);
                array.append_option(days);
                if days.is_none() {
                    return Ok(Err(Error::schema(
                        "a date whose day or month is unknown does not fit a column of type Date32",
                    )));
                }
            }
            (Self::Integers(data_type, array), ValueRef::Integer(number)) if fits(number, data_type) => {
                array.push(Some(number));
            }
            (array, _) => {
                array.push_null();
                return Ok(Err(Error::schema("the value does not fit the type that the column had")));
            }
        }
        Ok(Ok(()))
    }

    fn push_null(&mut self) {
        match self {
            Self::Booleans(array) => array.append_null(),
            Self::Bytes(array) => array.push_null(),
            Self::Days(array) => array.append_null(),
            Self::Fixed(_, array) => array.append_null(),
            Self::Integers(_, array) => array.push(None),
        }
    }

    fn finish(self) -> Result<ArrayRef> {
        Ok(match self {
            Self::Booleans(mut array) => Arc::new(array.finish()),
            Self::Bytes(array) => array.finish()?,
            Self::Days(mut array) => Arc::new(array.finish()),
            Self::Fixed(_, mut array) => Arc::new(array.finish()),
            Self::Integers(data_type, numbers) => match data_type {
                DataType::Int8 => integers::<Int8Type>(&numbers),
                DataType::Int16 => integers::<Int16Type>(&numbers),
                DataType::Int32 => integers::<Int32Type>(&numbers),
                DataType::UInt8 => integers::<UInt8Type>(&numbers),
                DataType::UInt16 => integers::<UInt16Type>(&numbers),
                DataType::UInt32 => integers::<UInt32Type>(&numbers),
                _ => integers::<Int64Type>(&numbers),
            },
        })
    }
}

/// Whether a number stands in a column of this type.
fn fits(number: i64, data_type: &DataType) -> bool {
    match data_type {
        DataType::Int8 => i8::try_from(number).is_ok(),
        DataType::Int16 => i16::try_from(number).is_ok(),
        DataType::Int32 => i32::try_from(number).is_ok(),
        DataType::UInt8 => u8::try_from(number).is_ok(),
        DataType::UInt16 => u16::try_from(number).is_ok(),
        DataType::UInt32 => u32::try_from(number).is_ok(),
        _ => true,
    }
}

fn integers<T>(numbers: &[Option<i64>]) -> ArrayRef
where
    T: ArrowPrimitiveType,
    T::Native: TryFrom<i64>,
{
    let number = |number: &Option<i64>| number.and_then(|number| T::Native::try_from(number).ok());
    Arc::new(numbers.iter().map(number).collect::<PrimitiveArray<T>>())
}

/// An array of texts or of byte strings in the making.
struct Bytes {
    array: BinaryBuilder,
    is_text: bool,
    bytes: usize,
}

impl Bytes {
    fn of_bytes(rows: usize) -> Self {
        Self { array: BinaryBuilder::with_capacity(rows, rows * 64), is_text: false, bytes: 0 }
    }

    /// Of an array whose every value is UTF-8.
    fn of_text(rows: usize) -> Self {
        Self { is_text: true, ..Self::of_bytes(rows) }
    }

    fn push(&mut self, value: &[u8]) -> Result<()> {
        // The builder panics where its offsets end.
        self.bytes = self.bytes.saturating_add(value.len());
        if self.bytes > MAX_ARRAY_BYTES {
            return Err(Error::limit("the values of a column and batch have more than 2 GiB together"));
        }
        self.array.append_value(value);
        Ok(())
    }

    fn push_null(&mut self) {
        self.array.append_null();
    }

    fn finish(mut self) -> Result<ArrayRef> {
        let array = self.array.finish();
        if self.is_text {
            return Ok(Arc::new(StringArray::try_from_binary(array).map_err(unfit)?));
        }
        Ok(Arc::new(array))
    }
}
