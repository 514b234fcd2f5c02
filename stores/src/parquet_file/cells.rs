// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rows of a Parquet file in memory, and the Arrow type of each type of value.
//!
//! Owns the reading of cells. Never converts a value of one type to another.

use std::borrow::Cow;

use amanat::envelope::{Envelope, looks_like_envelope, looks_like_text_form};
use amanat::error::{Error, Result};
use amanat::schema::{Encoding, ValueType};
use amanat::surrogate::StoredSurrogate;
use amanat::value::ValueRef;
use amanat::{Date, RecordId};
use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type,
    UInt32Type,
};
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, FixedSizeBinaryArray, PrimitiveArray, StringArray,
};
use arrow_schema::DataType;

use super::input::Batch;
use super::layout::Layout;
use crate::cell::Stored;
use crate::columns::Role;
use crate::engine::Rows;
use crate::scan::{ScanRows, no_such_field};
use crate::text_value;

/// Days from 0001-01-01 to 1970-01-01.
const DAYS_BEFORE_1970: i64 = 719_162;
/// Days of 400 years, after which the calendar repeats itself.
const DAYS_OF_400_YEARS: i64 = 146_097;

/// A batch whose columns are looked at.
pub(super) struct ParquetRows<'a> {
    layout: &'a Layout,
    count: usize,
    first_row: u64,
    columns: Vec<Cells<'a>>,
}

/// A column of a batch.
enum Cells<'a> {
    Booleans(&'a BooleanArray),
    Bytes(&'a BinaryArray),
    Days(&'a PrimitiveArray<Date32Type>),
    Fixed(&'a FixedSizeBinaryArray),
    Integers(Vec<Option<i64>>),
    /// Integers of the record id, as text.
    Keys(Vec<Option<String>>),
    /// It is not looked at, or has no value of ours.
    Other(&'a ArrayRef),
    Text(&'a StringArray),
}

/// A cell of a column.
enum Found<'a> {
    Null,
    Boolean(bool),
    Bytes(&'a [u8]),
    Days(i32),
    Integer(i64),
    Other,
    Text(&'a str),
}

impl<'a> ParquetRows<'a> {
    /// The columns that protecting and revealing look at.
    pub(super) fn worked(layout: &'a Layout, batch: &'a Batch) -> Self {
        Self::new(layout, batch, |role| matches!(role, Role::Clear))
    }

    /// All columns.
    pub(super) fn all(layout: &'a Layout, batch: &'a Batch) -> Self {
        Self::new(layout, batch, |_| false)
    }

    fn new(layout: &'a Layout, batch: &'a Batch, passed: impl Fn(&Role) -> bool) -> Self {
        let arrays = batch.rows.as_ref().map_or(&[][..], |rows| rows.columns());
        let roles = layout.columns.roles.iter().enumerate();
        let column = |((place, role), array): ((usize, &Role), &'a ArrayRef)| match layout
            .columns
            .record
            .contains(&place)
        {
            true => Cells::of_key(array),
            false if passed(role) => Cells::Other(array),
            false => Cells::of(array),
        };
        let columns = roles.zip(arrays).map(column).collect();
        let count = batch.rows.as_ref().map_or(0, |rows| rows.num_rows());
        Self { layout, count, first_row: batch.first_row, columns }
    }

    fn found(&self, row: usize, place: usize) -> Result<Found<'_>> {
        let column = self.columns.get(place).filter(|_| row < self.count);
        column.map(|column| column.found(row)).ok_or_else(no_such_field)
    }

    fn key_text(&self, row: usize, place: usize) -> Result<&str> {
        match (self.found(row, place)?, self.columns.get(place)) {
            (Found::Text(text), _) => Ok(text),
            (_, Some(Cells::Keys(keys))) => keys.get(row).and_then(Option::as_deref).ok_or_else(null_key),
            _ => Err(null_key()),
        }
    }

    fn key_texts(&self, row: usize) -> Result<Vec<&str>> {
        self.layout.columns.record.iter().map(|place| self.key_text(row, *place)).collect()
    }
}

fn null_key() -> Error {
    Error::schema("a column of the record id is NULL; every row needs one, and it must never change")
}

impl<'a> Cells<'a> {
    fn of(array: &'a ArrayRef) -> Self {
        match array.data_type() {
            DataType::Utf8 => Self::Text(array.as_string()),
            DataType::Binary => Self::Bytes(array.as_binary()),
            DataType::FixedSizeBinary(_) => Self::Fixed(array.as_fixed_size_binary()),
            DataType::Boolean => Self::Booleans(array.as_boolean()),
            DataType::Date32 => Self::Days(array.as_primitive()),
            DataType::Int8 => integers::<Int8Type>(array),
            DataType::Int16 => integers::<Int16Type>(array),
            DataType::Int32 => integers::<Int32Type>(array),
            DataType::Int64 => integers::<Int64Type>(array),
            DataType::UInt8 => integers::<UInt8Type>(array),
            DataType::UInt16 => integers::<UInt16Type>(array),
            DataType::UInt32 => integers::<UInt32Type>(array),
            _ => Self::Other(array),
        }
    }

    fn of_key(array: &'a ArrayRef) -> Self {
        match Self::of(array) {
            Self::Integers(numbers) => Self::Keys(
                numbers.into_iter().map(|number| number.map(|number| number.to_string())).collect(),
            ),
            other => other,
        }
    }

    /// The cell of a row, which the column must have.
    fn found(&self, row: usize) -> Found<'_> {
        match self {
            Self::Text(column) if column.is_valid(row) => Found::Text(column.value(row)),
            Self::Bytes(column) if column.is_valid(row) => Found::Bytes(column.value(row)),
            Self::Fixed(column) if column.is_valid(row) => Found::Bytes(column.value(row)),
            Self::Booleans(column) if column.is_valid(row) => Found::Boolean(column.value(row)),
            Self::Days(column) if column.is_valid(row) => Found::Days(column.value(row)),
            Self::Integers(numbers) => {
                numbers.get(row).copied().flatten().map_or(Found::Null, Found::Integer)
            }
            Self::Keys(texts) => texts.get(row).and_then(Option::as_deref).map_or(Found::Null, Found::Text),
            // A column of the type Null has no bits that say so.
            Self::Other(column) if !column.is_null(row) && *column.data_type() != DataType::Null => {
                Found::Other
            }
            _ => Found::Null,
        }
    }
}

fn integers<'a, T>(array: &'a ArrayRef) -> Cells<'a>
where
    T: ArrowPrimitiveType,
    T::Native: Into<i64>,
{
    let array: &'a PrimitiveArray<T> = array.as_primitive();
    Cells::Integers(array.iter().map(|number| number.map(Into::into)).collect())
}

impl Rows for ParquetRows<'_> {
    fn count(&self) -> usize {
        self.count
    }

    fn number(&self, row: usize) -> u64 {
        self.first_row + u64::try_from(row).unwrap_or_default()
    }

    fn record(&self, row: usize) -> Result<RecordId<'_>> {
        match self.layout.columns.record.as_slice() {
            [place] => RecordId::text(self.key_text(row, *place)?),
            _ => RecordId::composite(&self.key_texts(row)?),
        }
    }

    fn cell(&self, row: usize, position: usize) -> Result<Stored<'_>> {
        let (place, value_type) = *self.layout.columns.sealed.get(position).ok_or_else(no_such_field)?;
        let binary = self.layout.encoding == Encoding::Binary;
        match (self.found(row, place)?, value_type) {
            (Found::Null, _) => Ok(Stored::Absent),
            (Found::Text(text), _) => text_cell(text, value_type, binary),
            (Found::Bytes(bytes), _) => bytes_cell(bytes, value_type, binary),
            (Found::Boolean(truth), ValueType::Boolean) => Ok(Stored::Plain(ValueRef::Boolean(truth))),
            (Found::Days(days), ValueType::Date) => {
                date_of(days).map(|date| Stored::Plain(ValueRef::Date(date)))
            }
            (Found::Integer(number), ValueType::Integer) => Ok(Stored::Plain(ValueRef::Integer(number))),
            // The columns' types were checked.
            _ => Err(no_such_field()),
        }
    }

    fn surrogate(&self, row: usize, position: usize) -> Result<StoredSurrogate<'_>> {
        let Some(place) = self.layout.columns.surrogates.get(position).copied().flatten() else {
            return Ok(StoredSurrogate::Absent);
        };
        match self.found(row, place)? {
            Found::Null => Ok(StoredSurrogate::Absent),
            Found::Text(text) => Ok(StoredSurrogate::Text(text)),
            Found::Bytes(bytes) => Ok(StoredSurrogate::Bytes(bytes)),
            _ => Err(no_such_field()),
        }
    }
}

impl ScanRows for ParquetRows<'_> {
    fn record_columns(&self, row: usize) -> Result<Vec<Cow<'_, str>>> {
        Ok(self.key_texts(row)?.into_iter().map(Cow::Borrowed).collect())
    }

    fn unsealed(&self, row: usize, field: usize) -> Result<Option<Cow<'_, str>>> {
        let place = *self.layout.columns.fields.get(field).ok_or_else(no_such_field)?;
        Ok(Some(match self.found(row, place)? {
            Found::Null => return Ok(None),
            Found::Text(text) => Cow::Borrowed(text),
            Found::Integer(number) => Cow::Owned(number.to_string()),
            Found::Boolean(truth) => Cow::Owned(truth.to_string()),
            Found::Days(days) => Cow::Owned(date_of(days)?.to_string()),
            Found::Bytes(_) | Found::Other => {
                return Err(Error::schema("the cell is no string, integer, boolean or date and has no text"));
            }
        }))
    }
}

fn text_cell(text: &str, value_type: ValueType, binary: bool) -> Result<Stored<'_>> {
    match value_type {
        _ if looks_like_text_form(text.as_bytes()) && binary => other_form("text", "binary"),
        _ if looks_like_text_form(text.as_bytes()) => Ok(Stored::EnvelopeText(text)),
        ValueType::Text => Ok(Stored::Plain(ValueRef::Text(text))),
        ValueType::Date => text_value::date(text).map(|date| Stored::Plain(ValueRef::Date(date))),
        _ => Err(Error::schema(format!("the cell is a string, and the schema says {value_type}"))),
    }
}

fn bytes_cell(bytes: &[u8], value_type: ValueType, binary: bool) -> Result<Stored<'_>> {
    if looks_like_text_form(bytes) {
        return other_form("text", "binary");
    }
    match (Envelope::parse(bytes), value_type) {
        (Ok(_), _) if !binary => other_form("binary", "text"),
        (Ok(_), _) => Ok(Stored::EnvelopeBytes(bytes)),
        // Damaged: to seal it as plain would make an authentic value of the damage. Its own error tells what is wrong with it.
        (Err(_), _) if looks_like_envelope(bytes) => Ok(Stored::EnvelopeBytes(bytes)),
        (Err(_), ValueType::Bytes) => Ok(Stored::Plain(ValueRef::Bytes(bytes))),
        (Err(_), ValueType::Cbor) => Ok(Stored::Plain(ValueRef::Cbor(bytes))),
        (Err(_), _) => Ok(Stored::EnvelopeBytes(bytes)),
    }
}

fn other_form<T>(found: &str, wanted: &str) -> Result<T> {
    Err(Error::malformed(format!(
        "an envelope in {found} form stands where the schema says `encoding = \"{wanted}\"`"
    )))
}

/// The date so many days after 1970-01-01.
pub(super) fn date_of(days: i32) -> Result<Date> {
    let outside = || Error::schema("the date is before the year 1 or after 9999");
    let days = i64::from(days) + DAYS_BEFORE_1970;
    let (cycles, mut rest) = (days.div_euclid(DAYS_OF_400_YEARS), days.rem_euclid(DAYS_OF_400_YEARS));
    // The last day of 100 and of 4 years would begin a fifth part.
    let centuries = (rest / 36_524).min(3);
    rest -= centuries * 36_524;
    let fours = rest / 1_461;
    rest -= fours * 1_461;
    let years = (rest / 365).min(3);
    rest -= years * 365;
    let year = cycles * 400 + centuries * 100 + fours * 4 + years + 1;
    let year = u16::try_from(year).ok().filter(|year| (1..=9999).contains(year)).ok_or_else(outside)?;
    for month in 1..=12 {
        let length = days_of_month(year, month);
        if rest < length {
            return Date::new(year, month, u8::try_from(rest + 1).map_err(|_| outside())?);
        }
        rest -= length;
    }
    Err(outside())
}

/// Days from 1970-01-01 to a date; `None` if its day or month is unknown.
pub(super) fn days_of(date: Date) -> Option<i32> {
    if date.month() == 0 || date.day() == 0 {
        return None;
    }
    let past = i64::from(date.year()) - 1;
    let years = past * 365 + past / 4 - past / 100 + past / 400;
    let months: i64 = (1..date.month()).map(|month| days_of_month(date.year(), month)).sum();
    i32::try_from(years + months + i64::from(date.day()) - 1 - DAYS_BEFORE_1970).ok()
}

fn days_of_month(year: u16, month: u8) -> i64 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_the_calendar_has_one_date() {
        let (first, last) =
            (days_of(Date::new(1, 1, 1).expect("a date")), days_of(Date::new(9999, 12, 31).expect("a date")));
        let (first, last) = (first.expect("whole"), last.expect("whole"));
        assert_eq!((first, last), (-719_162, 2_932_896));
        let mut before = None;
        for day in first..=last {
            let date = date_of(day).expect("a date");
            assert!(Some(date) > before && days_of(date) == Some(day));
            before = Some(date);
        }
        assert!(date_of(first - 1).is_err() && date_of(last + 1).is_err());
        assert!(date_of(i32::MIN).is_err() && date_of(i32::MAX).is_err());
        assert_eq!(date_of(0).expect("a date"), Date::new(1970, 1, 1).expect("a date"));
        assert_eq!(days_of(Date::new(1957, 3, 0).expect("a date")), None);
    }
}
