// SPDX-License-Identifier: MIT OR Apache-2.0
//! JSON Lines files: one object a line, read and written as streams.
//!
//! Owns the JSON form of each type of value. Never changes the text of a member that is not sealed, nor the order of members.

use std::borrow::Cow;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};

use amanat::RecordId;
use amanat::envelope::{self, looks_like_text_form};
use amanat::error::{Error, Result};
use amanat::schema::{Mode, TableSchema, ValueType};
use amanat::surrogate::StoredSurrogate;
use amanat::value::{Value, ValueRef};
use base64_turbo::URL_SAFE_NO_PAD;
use serde_json::value::RawValue;

use crate::cell::Stored;
use crate::columns::{self, Role};
use crate::engine::Rows;
use crate::json::{self, JsonStr, Members, append_json};
use crate::scan::{ScanRows, no_such_field};
use crate::stream::{
    self, BATCH_BYTES, BATCH_ROWS, Cells, End, Format, InputPlace, MAX_ROW_BYTES, NewContent,
    NewSurrogateContent, Observer, PlainSink, Plan, RowNumbers, Sink,
};
use crate::tally::Tally;
use crate::text_value;

const READ_BUFFER_BYTES: usize = 1 << 17;

/// Protects or reveals a JSON Lines file. Without an output nothing is written (dry run). Empty lines are passed over.
/// Protecting adds the members of indexes and kept tokens that a line lacks; revealing leaves those members out.
///
/// # Errors
/// `Schema` if the members of the first line and the schema do not fit, before anything is written; `Store` if input or output
/// fail; what the observer fails with; as [`Protector::protect`](crate::Protector::protect).
pub fn run(
    plan: Plan<'_>,
    input: impl Read + Send,
    output: Option<&mut dyn Write>,
    observer: &mut dyn Observer,
) -> Result<Tally> {
    run_as(plan, None, input, PlainSink::new(output, observer))
}

/// As [`run`], for these rows.
pub(crate) fn run_as(
    plan: Plan<'_>,
    only: Option<&RowNumbers>,
    input: impl Read + Send,
    mut sink: PlainSink<'_>,
) -> Result<Tally> {
    let (lines, format) = Lines::open_as(plan.table, only, input)?;
    let tally = lines.pass(plan, &format, Tally::default(), &mut sink)?.whole()?;
    sink.flush().map(|()| tally)
}

/// A member that the schema names.
pub(crate) struct Column<'a> {
    name: &'a str,
    role: Role,
}

impl<'a> Column<'a> {
    fn all(table: &'a TableSchema) -> Vec<Self> {
        let position =
            |column: &str| table.sealed().position(|policy| policy.column() == column).unwrap_or(usize::MAX);
        let role = |name: &'a str| match table.by_column(name) {
            Some(policy) if policy.mode() == Mode::Sealed => {
                Role::Sealed(position(name), policy.value_type())
            }
            Some(policy) if policy.mode() == Mode::Masked => Role::Masked(policy.mask()),
            _ => Role::Clear,
        };
        let wanted = columns::wanted(table).into_iter().map(|name| Column { name, role: role(name) });
        let surrogates = table.surrogate_columns().enumerate();
        wanted.chain(surrogates.map(|(place, name)| Column { name, role: Role::Surrogate(place) })).collect()
    }
}

pub(crate) struct JsonLines<'t> {
    /// Those of the fields, in order, further ones of the record id, those of indexes and tokens.
    columns: Vec<Column<'t>>,
    /// Place in `columns` of each column of the record id.
    record: Vec<usize>,
    /// Place in `columns` of each sealed field.
    sealed: Vec<usize>,
}

impl<'t> JsonLines<'t> {
    fn new(table: &'t TableSchema) -> Self {
        let columns = Column::all(table);
        let place = |name: &str| columns.iter().position(|column| column.name == name).unwrap_or(usize::MAX);
        let record = table.record_id().iter().map(|name| place(name)).collect();
        let sealed = table.sealed().map(|policy| place(policy.column())).collect();
        Self { columns, record, sealed }
    }
}

pub(crate) struct Lines<R> {
    input: BufReader<R>,
    at: InputPlace,
    /// The rows that are read; all if there is none.
    only: Option<RowNumbers>,
    /// Lines that were read to look at the first.
    first: Option<JsonBatch>,
}

impl<R: Read> Lines<R> {
    /// Opens a file of which every line is read.
    pub(crate) fn open(table: &TableSchema, input: R) -> Result<(Self, JsonLines<'_>)> {
        Self::open_as(table, None, input)
    }

    /// Reads the first lines and matches the members of the first to the schema.
    pub(crate) fn open_as<'t>(
        table: &'t TableSchema,
        only: Option<&RowNumbers>,
        input: R,
    ) -> Result<(Self, JsonLines<'t>)> {
        let input = BufReader::with_capacity(READ_BUFFER_BYTES, input);
        let mut lines = Self { input, at: InputPlace::default(), only: only.cloned(), first: None };
        let mut first = JsonBatch::default();
        lines.read(&mut first)?;
        check_first(table, &first)?;
        lines.first = Some(first);
        Ok((lines, JsonLines::new(table)))
    }

    /// Passes every line through a plan into a sink; `earlier` counts what was passed before.
    pub(crate) fn pass(
        mut self,
        plan: Plan<'_>,
        format: &JsonLines<'_>,
        earlier: Tally,
        sink: &mut dyn Sink,
    ) -> Result<End>
    where
        R: Send,
    {
        stream::run(plan, format, |batch| self.fill(batch), earlier, sink)
    }

    /// Fills a batch with whole lines; false at the end.
    pub(crate) fn fill(&mut self, batch: &mut JsonBatch) -> Result<bool> {
        if let Some(first) = self.first.take() {
            *batch = first;
            return Ok(!batch.ends.is_empty());
        }
        self.read(batch)
    }

    fn read(&mut self, batch: &mut JsonBatch) -> Result<bool> {
        batch.bytes.clear();
        batch.ends.clear();
        batch.numbers.clear();
        while batch.ends.len() < BATCH_ROWS && batch.bytes.len() < BATCH_BYTES {
            let start = batch.bytes.len();
            let mut line = self.input.by_ref().take(MAX_ROW_BYTES + 1);
            let read = line.read_until(b'\n', &mut batch.bytes).map_err(stream::cannot_read)?;
            let read = u64::try_from(read).unwrap_or(u64::MAX);
            if read == 0 {
                break;
            }
            if read > MAX_ROW_BYTES {
                return Err(Error::limit("a line is longer than 64 MiB").at_row(self.at.rows + 1));
            }
            if self.at.bytes == 0 && batch.bytes.starts_with(b"\xef\xbb\xbf") {
                batch.bytes.drain(..3);
            }
            self.at.bytes += read;
            let blank = batch.bytes.get(start..).is_some_and(|line| line.iter().all(u8::is_ascii_whitespace));
            self.at.rows += u64::from(!blank);
            if blank || self.only.as_ref().is_some_and(|only| !only.contains(self.at.rows)) {
                batch.bytes.truncate(start);
                continue;
            }
            batch.numbers.push(self.at.rows);
            batch.ends.push(batch.bytes.len());
        }
        batch.end = self.at;
        Ok(!batch.ends.is_empty())
    }
}

impl<R: Read + Seek> Lines<R> {
    /// Goes on behind the lines that an earlier part of a run has read.
    pub(crate) fn go_on(mut self, at: InputPlace) -> Result<Self> {
        self.input.seek(SeekFrom::Start(at.bytes)).map_err(stream::cannot_read)?;
        Ok(Self { at, first: None, ..self })
    }
}

/// Lines in one buffer that is used again.
#[derive(Default)]
pub(crate) struct JsonBatch {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    /// Number of each line.
    numbers: Vec<u64>,
    end: InputPlace,
}

/// A line that fits the schema.
struct JsonRow<'a> {
    members: Vec<(Cow<'a, str>, &'a RawValue, Role)>,
    record: Vec<Cow<'a, str>>,
    /// Place among the members of each column that the schema names.
    places: Vec<Option<usize>>,
}

impl<'a> JsonRow<'a> {
    fn member(&self, column: usize) -> Option<&'a RawValue> {
        let place = self.places.get(column).copied().flatten()?;
        self.members.get(place).map(|(_, value, _)| *value)
    }
}

/// A batch whose lines were read.
pub(crate) struct JsonRows<'a> {
    rows: Vec<core::result::Result<JsonRow<'a>, &'static str>>,
    numbers: &'a [u64],
    format: &'a JsonLines<'a>,
}

/// Refuses a file whose first line does not fit the schema, before anything is written.
fn check_first(table: &TableSchema, batch: &JsonBatch) -> Result<()> {
    let Some(line) = batch.ends.first().and_then(|end| batch.bytes.get(..*end)) else { return Ok(()) };
    let Ok(Members(members)) = serde_json::from_slice(line) else {
        return Err(Error::malformed(
            "the first line is not a JSON object; JSON Lines has one object a line",
        ));
    };
    let names: Vec<&str> = members.iter().map(|(name, _)| &**name).collect();
    columns::Columns::new(table, &names).map(drop)
}

impl JsonLines<'_> {
    fn read<'a>(&self, line: &'a [u8]) -> core::result::Result<JsonRow<'a>, &'static str> {
        let text = core::str::from_utf8(line).map_err(|_| "the line is not UTF-8")?;
        let Members(found) = serde_json::from_str(text).map_err(|_| "the line is not one JSON object")?;
        let mut row = JsonRow {
            members: Vec::with_capacity(found.len()),
            record: Vec::new(),
            places: vec![None; self.columns.len()],
        };
        for (place, (name, value)) in found.into_iter().enumerate() {
            let known = self.columns.iter().zip(&mut row.places).find(|(column, _)| column.name == name);
            let (column, seen) = known.ok_or("the line has a member that the schema does not name")?;
            if seen.replace(place).is_some() {
                return Err("the line has the same member twice");
            }
            if matches!(column.role, Role::Masked(_)) && !matches!(kind(value), b'"' | b'n') {
                return Err("a member to be masked is neither a string nor null");
            }
            row.members.push((name, value, column.role.clone()));
        }
        let surrogate = |column: &Column<'_>| matches!(column.role, Role::Surrogate(_));
        if self.columns.iter().zip(&row.places).any(|(column, place)| place.is_none() && !surrogate(column)) {
            return Err("the line has fewer members than the schema names; write null for what is absent");
        }
        for column in &self.record {
            row.record.push(record_text(row.member(*column))?);
        }
        Ok(row)
    }
}

/// First character of a JSON value: what it is.
fn kind(value: &RawValue) -> u8 {
    value.get().bytes().next().unwrap_or(b'n')
}

fn record_text(value: Option<&RawValue>) -> core::result::Result<Cow<'_, str>, &'static str> {
    let text = value.map_or("null", RawValue::get);
    if text.starts_with('"') {
        return string(text).map_err(|_| "the record id is not a string");
    }
    text_value::integer(text)
        .map(|_| Cow::Borrowed(text))
        .map_err(|_| "the record id is neither a string nor an integer")
}

/// The content of a JSON string.
fn string(text: &str) -> Result<Cow<'_, str>> {
    let read = serde_json::from_str(text).map(|JsonStr(content)| content);
    read.map_err(|_| Error::schema("not a JSON string"))
}

impl Rows for JsonRows<'_> {
    fn count(&self) -> usize {
        self.rows.len()
    }

    fn number(&self, row: usize) -> u64 {
        self.numbers.get(row).copied().unwrap_or_default()
    }

    fn record(&self, row: usize) -> Result<RecordId<'_>> {
        let row = self.row(row)?;
        if let [text] = row.record.as_slice() {
            return RecordId::text(text);
        }
        let texts: Vec<&str> = row.record.iter().map(|text| &**text).collect();
        RecordId::composite(&texts)
    }

    fn cell(&self, row: usize, position: usize) -> Result<Stored<'_>> {
        let column = *self.format.sealed.get(position).ok_or_else(no_such_field)?;
        match (self.row(row)?.member(column), self.format.columns.get(column)) {
            (Some(value), Some(Column { role: Role::Sealed(_, value_type), .. })) => {
                read_member(value.get(), *value_type)
            }
            _ => Err(no_such_field()),
        }
    }

    fn surrogate(&self, row: usize, position: usize) -> Result<StoredSurrogate<'_>> {
        let columns = &self.format.columns;
        let column = columns.iter().position(|column| column.role == Role::Surrogate(position));
        match self.row(row)?.member(column.ok_or_else(no_such_field)?).map(RawValue::get) {
            None | Some("null") => Ok(StoredSurrogate::Absent),
            Some(text) => match string(text) {
                Ok(Cow::Borrowed(text)) => Ok(StoredSurrogate::Text(text)),
                _ => Err(Error::malformed(
                    "the member of an index or token is neither a string without escapes nor null",
                )),
            },
        }
    }
}

impl<'a> JsonRows<'a> {
    fn row(&self, row: usize) -> Result<&JsonRow<'a>> {
        let row = self.rows.get(row).ok_or_else(|| Error::misuse("the batch has fewer rows"))?;
        row.as_ref().map_err(|why| Error::malformed(*why))
    }
}

impl ScanRows for JsonRows<'_> {
    fn record_columns(&self, row: usize) -> Result<Vec<Cow<'_, str>>> {
        Ok(self.row(row)?.record.iter().map(|text| Cow::Borrowed(&**text)).collect())
    }

    fn unsealed(&self, row: usize, field: usize) -> Result<Option<Cow<'_, str>>> {
        match self.row(row)?.member(field).ok_or_else(no_such_field)?.get() {
            "null" => Ok(None),
            text if text.starts_with('"') => string(text).map(Some),
            text => Ok(Some(Cow::Borrowed(text))),
        }
    }
}

/// Reads a member as a value of the field's type.
fn read_member(text: &str, value_type: ValueType) -> Result<Stored<'_>> {
    let wrong = |wanted: &str| Error::schema(format!("the member is not {wanted}, as the schema says"));
    if text == "null" {
        return Ok(Stored::Absent);
    }
    let content = if text.starts_with('"') { Some(string(text)?) } else { None };
    if let Some(content) = content.as_ref().filter(|content| looks_like_text_form(content.as_bytes())) {
        return match content {
            Cow::Borrowed(content) => Ok(Stored::EnvelopeText(content)),
            Cow::Owned(_) => Err(Error::malformed("looks like an envelope, but: it is written with escapes")),
        };
    }
    match (value_type, content) {
        (ValueType::Text, Some(Cow::Borrowed(content))) => Ok(Stored::Plain(ValueRef::Text(content))),
        (ValueType::Text, Some(Cow::Owned(content))) => Ok(Stored::PlainOwned(Value::Text(content.into()))),
        (ValueType::Text, None) => Err(wrong("a string")),
        (ValueType::Bytes, Some(content)) => {
            text_value::base64url(&content).map(|bytes| Stored::PlainOwned(Value::Bytes(bytes)))
        }
        (ValueType::Bytes, None) => Err(wrong("a string of base64url")),
        (ValueType::Date, Some(content)) => {
            text_value::date(&content).map(|date| Stored::Plain(ValueRef::Date(date)))
        }
        (ValueType::Date, None) => Err(wrong("a string YYYY-MM-DD")),
        (ValueType::Integer, None) => {
            text_value::integer(text).map(|number| Stored::Plain(ValueRef::Integer(number)))
        }
        (ValueType::Integer, Some(_)) => Err(wrong("a number")),
        (ValueType::Boolean, _) => match text {
            "true" => Ok(Stored::Plain(ValueRef::Boolean(true))),
            "false" => Ok(Stored::Plain(ValueRef::Boolean(false))),
            _ => Err(wrong("true or false")),
        },
        (ValueType::Cbor, _) => json::to_cbor(text).map(|item| match item {
            Some(item) => Stored::PlainOwned(Value::Cbor(item)),
            None => Stored::Absent,
        }),
        _ => Err(Error::unsupported("JSON Lines does not know this type of value")),
    }
}

impl Format for JsonLines<'_> {
    type Batch = JsonBatch;
    type Rows<'a>
        = JsonRows<'a>
    where
        Self: 'a;

    fn rows<'a>(&'a self, batch: &'a JsonBatch) -> JsonRows<'a> {
        let mut start = 0;
        let line = |end: &usize| {
            let line = batch.bytes.get(start..*end).unwrap_or_default();
            start = *end;
            self.read(line)
        };
        JsonRows { rows: batch.ends.iter().map(line).collect(), numbers: &batch.numbers, format: self }
    }

    fn end(batch: &JsonBatch) -> InputPlace {
        batch.end
    }

    fn write_row(
        &self,
        rows: &JsonRows<'_>,
        row: usize,
        mask: bool,
        cells: &mut dyn Cells,
        out: &mut Vec<u8>,
    ) -> Result<u64> {
        let Some(Ok(row)) = rows.rows.get(row) else {
            return Err(Error::misuse("a row that was refused is not written"));
        };
        let mut masked = 0;
        let cannot = || Error::schema("a member cannot be written as JSON");
        out.push(b'{');
        let mut first = true;
        let mut begin = |name: &str, out: &mut Vec<u8>| {
            if !std::mem::take(&mut first) {
                out.push(b',');
            }
            append_json(name, out).ok_or_else(cannot)?;
            out.push(b':');
            Ok(())
        };
        for (name, value, role) in &row.members {
            if let Role::Surrogate(position) = role {
                let new = cells.surrogate(*position);
                if !matches!(new, NewSurrogateContent::LeftOut) {
                    begin(name, out)?;
                    append_surrogate(&new, value.get(), out).ok_or_else(cannot)?;
                }
                continue;
            }
            begin(name, out)?;
            match role {
                Role::Masked(how) if mask && kind(value) == b'"' => {
                    let plain = string(value.get())?;
                    let shown = how.apply(ValueRef::Text(&plain));
                    append_json(shown.as_str(), out).ok_or_else(cannot)?;
                    masked += u64::from(shown.as_str() != plain);
                }
                Role::Clear | Role::Former(..) | Role::LeftOver | Role::Masked(_) | Role::Surrogate(_) => {
                    out.extend_from_slice(value.get().as_bytes())
                }
                Role::Sealed(position, _) => match cells.cell(*position) {
                    NewContent::Absent => out.extend_from_slice(b"null"),
                    NewContent::AsStored => out.extend_from_slice(value.get().as_bytes()),
                    NewContent::Envelope(bytes) => {
                        out.push(b'"');
                        envelope::append_text(bytes, out);
                        out.push(b'"');
                    }
                    NewContent::Mask(mask) => append_json(mask.as_str(), out).ok_or_else(cannot)?,
                    NewContent::Value(value) => append_value(value, out)?,
                },
            }
        }
        for (column, _) in self.columns.iter().zip(&row.places).filter(|(_, place)| place.is_none()) {
            let Role::Surrogate(position) = column.role else { continue };
            let new = cells.surrogate(position);
            if !matches!(new, NewSurrogateContent::LeftOut) {
                begin(column.name, out)?;
                append_surrogate(&new, "null", out).ok_or_else(cannot)?;
            }
        }
        out.extend_from_slice(b"}\n");
        Ok(masked)
    }
}

fn append_surrogate(new: &NewSurrogateContent<'_>, stored: &str, out: &mut Vec<u8>) -> Option<()> {
    match new {
        NewSurrogateContent::Absent | NewSurrogateContent::LeftOut => append_json(&(), out),
        NewSurrogateContent::AsStored => {
            out.extend_from_slice(stored.as_bytes());
            Some(())
        }
        NewSurrogateContent::Term(term) => append_json(&term.to_text(), out),
        NewSurrogateContent::Token(text) => append_json(*text, out),
    }
}

/// Appends a value in the JSON form of its type.
pub(crate) fn append_value(value: ValueRef<'_>, out: &mut Vec<u8>) -> Result<()> {
    let written = match value {
        ValueRef::Null => append_json(&(), out),
        ValueRef::Text(text) => append_json(text, out),
        ValueRef::Bytes(bytes) => append_json(&URL_SAFE_NO_PAD.encode(bytes), out),
        ValueRef::Integer(number) => append_json(&number, out),
        ValueRef::Date(date) => append_json(&date.to_string(), out),
        ValueRef::Boolean(truth) => append_json(&truth, out),
        ValueRef::Cbor(item) => return json::append_from_cbor(item, out),
        _ => None,
    };
    written.ok_or_else(|| Error::unsupported("JSON Lines does not know this type of value"))
}
