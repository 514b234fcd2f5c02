// SPDX-License-Identifier: MIT OR Apache-2.0
//! CSV files (RFC 4180), read and written as streams.
//!
//! Owns the header, line ends and quotes. Never changes a cell that is not sealed: spaces, byte order mark and line ends stay as they
//! are; quotes are written only where they are needed.

use std::borrow::Cow;
use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use amanat::RecordId;
use amanat::envelope;
use amanat::error::{Error, Result};
use amanat::schema::TableSchema;
use amanat::surrogate::StoredSurrogate;
use amanat::value::ValueRef;
use csv::{ByteRecord, ReaderBuilder};

use crate::cell::Stored;
use crate::columns::{Columns, Role};
use crate::engine::Rows;
use crate::scan::{ScanRows, no_such_field};
use crate::stream::{
    self, BATCH_BYTES, BATCH_ROWS, Cells, Delimiter, End, Format, InputPlace, MAX_ROW_BYTES, NewContent,
    NewSurrogateContent, Observer, PlainSink, Plan, RowNumbers, Sink,
};
use crate::tally::Tally;
use crate::text_value;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// How much of a file is looked at to learn its line end.
const HEAD_BYTES: usize = 1 << 16;
const READ_BUFFER_BYTES: usize = 1 << 17;
/// Read after the end of every file. The reader gives it back as a row of its own, unless a quote is still open, which then swallows
/// it: so the reader's own grammar says whether the last row is whole.
const END_MARK: &[u8] = b"\n\0end";

/// Protects or reveals a CSV file with a header. Without an output nothing is written (dry run). Protecting appends the columns of indexes
/// and kept tokens that the header lacks; revealing leaves those columns out.
///
/// # Errors
/// `Schema` if header and schema do not fit, before anything is written; `Store` if input or output fail; what the observer fails
/// with; as [`Protector::protect`](crate::Protector::protect).
pub fn run(
    plan: Plan<'_>,
    input: impl Read + Send,
    output: Option<&mut dyn Write>,
    observer: &mut dyn Observer,
) -> Result<Tally> {
    run_as(plan, &CsvForm::default(), input, PlainSink::new(output, observer))
}

/// As [`run`], for a file of this form.
pub(crate) fn run_as(
    plan: Plan<'_>,
    form: &CsvForm,
    input: impl Read + Send,
    mut sink: PlainSink<'_>,
) -> Result<Tally> {
    let ended = AtomicBool::new(true);
    let (file, csv) = CsvFile::open_as(plan.table, form, input, &ended)?;
    let tally = file.pass(plan, &csv, None, &mut sink)?.whole()?;
    sink.flush().map(|()| tally)
}

/// How a CSV file is read and written, beside what its table says.
#[derive(Clone, Debug, Default)]
pub(crate) struct CsvForm {
    pub(crate) delimiter: Delimiter,
    /// The rows that are read; all if there is none.
    pub(crate) only: Option<RowNumbers>,
}

/// A CSV file whose first line was read.
pub(crate) struct CsvFile<'a, R> {
    reader: csv::Reader<Bounded<'a, Whole<R>>>,
    header: ByteRecord,
    byte_order_mark: bool,
    form: CsvForm,
    /// Where the reader began.
    base: u64,
    rows: u64,
}

impl<'a, R: Read> CsvFile<'a, R> {
    /// Opens a file with commas, of which every row is read.
    pub(crate) fn open(table: &TableSchema, input: R, ended: &'a AtomicBool) -> Result<(Self, Csv)> {
        Self::open_as(table, &CsvForm::default(), input, ended)
    }

    /// Reads the first line and matches it to the schema. `ended` will say whether a line end stood after the last row.
    pub(crate) fn open_as(
        table: &TableSchema,
        form: &CsvForm,
        input: R,
        ended: &'a AtomicBool,
    ) -> Result<(Self, Csv)> {
        let (head, input) = Head::read(input).map_err(stream::cannot_read)?;
        let bounded = Bounded { input, left: 2 * MAX_ROW_BYTES, given: 0, mark: None, last: None, ended };
        let mut reader = reader(form.delimiter, bounded);
        let mut header = ByteRecord::new();
        match read_row(&mut reader, &mut header)? {
            Row::Whole => {}
            Row::None => {
                return Err(Error::schema("the file is empty: its first line must name the columns"));
            }
            Row::Open => return Err(open_quote("in the first line")),
        }
        let columns = match_header(table, &header)?;
        let places = columns.surrogates.iter().enumerate();
        let added = places.filter(|(_, column)| column.is_none()).map(|(position, _)| position).collect();
        let csv = Csv { columns, added, line_end: head.line_end, delimiter: form.delimiter.byte() };
        let mark = if head.byte_order_mark { BYTE_ORDER_MARK.len() } else { 0 };
        let base = u64::try_from(mark).unwrap_or_default();
        let form = form.clone();
        Ok((Self { reader, header, byte_order_mark: head.byte_order_mark, form, base, rows: 0 }, csv))
    }

    /// Passes every row through a plan into a sink; with `earlier` counts, the first rows were passed before and the head is written.
    pub(crate) fn pass(
        mut self,
        plan: Plan<'_>,
        csv: &Csv,
        earlier: Option<Tally>,
        sink: &mut dyn Sink,
    ) -> Result<End>
    where
        R: Send,
    {
        if earlier.is_none() {
            let mut line = if self.byte_order_mark { BYTE_ORDER_MARK.to_vec() } else { Vec::new() };
            csv.append_header(plan, &self.header, &mut line);
            sink.write(&line)?;
        }
        let ended = self.reader.get_ref().ended;
        let end = stream::run(plan, csv, |batch| self.fill(batch), earlier.unwrap_or_default(), sink)?;
        if matches!(end, End::Whole(_)) && ended.load(Ordering::Relaxed) {
            sink.write(csv.line_end)?;
        }
        Ok(end)
    }

    /// Reads the next rows; false at the end.
    pub(crate) fn fill(&mut self, batch: &mut CsvBatch) -> Result<bool> {
        batch.count = 0;
        batch.numbers.clear();
        let start = self.reader.position().byte();
        let mut here = start;
        // A batch of no rows would be the end: where rows are passed over, their bytes fill none.
        while batch.count < BATCH_ROWS && (batch.count == 0 || here - start < BATCH_BYTES as u64) {
            self.reader.get_mut().left = MAX_ROW_BYTES;
            if batch.count == batch.records.len() {
                batch.records.push(ByteRecord::new());
            }
            let Some(record) = batch.records.get_mut(batch.count) else { break };
            match read_row(&mut self.reader, record)? {
                Row::Whole => self.rows += 1,
                Row::None => break,
                Row::Open => return Err(open_quote("in this row").at_row(self.rows + 1)),
            }
            here = self.reader.position().byte();
            if self.form.only.as_ref().is_none_or(|only| only.contains(self.rows)) {
                batch.numbers.push(self.rows);
                batch.count += 1;
            }
        }
        batch.end = InputPlace { bytes: self.base + here, rows: self.rows };
        Ok(batch.count > 0)
    }
}

impl<R: Read + Seek> CsvFile<'_, R> {
    /// Goes on behind the rows that an earlier part of a run has read.
    pub(crate) fn go_on(self, at: InputPlace) -> Result<Self> {
        let Self { reader: old, header, byte_order_mark, form, .. } = self;
        let Bounded { input, ended, .. } = old.into_inner();
        let (_, mut input) = input.into_inner();
        // The last row of a file without a line end was ended by the mark, whose first byte then counts too.
        let length = input.seek(SeekFrom::End(0)).map_err(stream::cannot_read)?;
        let at = InputPlace { bytes: at.bytes.min(length), ..at };
        let before = at.bytes.saturating_sub(1);
        let mut last = [0];
        let read = input.seek(SeekFrom::Start(before)).and_then(|_| input.read_exact(&mut last));
        read.map_err(stream::cannot_read)?;
        // What stands before a row is a line end, which is read again and passed over: a reader takes a byte order mark away where
        // it begins, and here it is part of a cell. Only the last row of a file may have none behind it.
        let is_end = matches!(last, [b'\r' | b'\n']);
        let base = if is_end { before } else { at.bytes };
        input.seek(SeekFrom::Start(base)).map_err(stream::cannot_read)?;
        let input = Cursor::new(Vec::new()).chain(input);
        let last = last.first().copied();
        let bounded = Bounded { input, left: 2 * MAX_ROW_BYTES, given: 0, mark: None, last, ended };
        let reader = reader(form.delimiter, bounded);
        Ok(Self { reader, header, byte_order_mark, form, base, rows: at.rows })
    }
}

fn reader<R: Read>(delimiter: Delimiter, input: R) -> csv::Reader<R> {
    let mut form = ReaderBuilder::new();
    form.has_headers(false).flexible(true).delimiter(delimiter.byte());
    form.buffer_capacity(READ_BUFFER_BYTES).from_reader(input)
}

fn match_header(table: &TableSchema, header: &ByteRecord) -> Result<Columns> {
    let names: Option<Vec<&str>> = header.iter().map(|name| core::str::from_utf8(name).ok()).collect();
    let names =
        names.ok_or_else(|| Error::schema("the first line is not UTF-8; convert the file to UTF-8 first"))?;
    Columns::new(table, &names)
}

/// A file with its head, which was read to learn the line end.
type Whole<R> = io::Chain<Cursor<Vec<u8>>, R>;

/// What the first bytes of a file tell.
struct Head {
    byte_order_mark: bool,
    line_end: &'static [u8],
}

impl Head {
    /// Looks at the head of a file, and gives the file back without its byte order mark.
    fn read<R: Read>(mut input: R) -> io::Result<(Self, Whole<R>)> {
        let mut head = Vec::with_capacity(HEAD_BYTES);
        let most = u64::try_from(HEAD_BYTES).unwrap_or(u64::MAX);
        input.by_ref().take(most).read_to_end(&mut head)?;
        let byte_order_mark = head.starts_with(BYTE_ORDER_MARK);
        let mut quoted = false;
        let end = head.iter().position(|byte| {
            quoted ^= *byte == b'"';
            !quoted && matches!(byte, b'\r' | b'\n')
        });
        let line_end: &[u8] = match end.and_then(|end| head.get(end..)) {
            Some([b'\r', b'\n', ..]) => b"\r\n",
            Some([b'\r', ..]) => b"\r",
            _ => b"\n",
        };
        let mut head = Cursor::new(head);
        if byte_order_mark {
            head.set_position(u64::try_from(BYTE_ORDER_MARK.len()).unwrap_or_default());
        }
        Ok((Self { byte_order_mark, line_end }, head.chain(input)))
    }
}

/// A reader that stops at a row that is too long, that notices how the file ends, and that puts [`END_MARK`] there.
struct Bounded<'a, R> {
    input: R,
    left: u64,
    given: u64,
    /// What is left of the mark, once the input has ended.
    mark: Option<&'static [u8]>,
    last: Option<u8>,
    ended: &'a AtomicBool,
}

impl<R: Read> Read for Bounded<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Err(io::Error::other("a row is longer than 64 MiB; is a quote never closed?"));
        }
        let mut read = 0;
        if self.mark.is_none() {
            read = self.input.read(buffer)?;
            match buffer.get(..read).and_then(<[u8]>::last) {
                Some(last) => self.last = Some(*last),
                None => {
                    self.ended.store(matches!(self.last, Some(b'\r' | b'\n')), Ordering::Relaxed);
                    self.mark = Some(END_MARK);
                }
            }
        }
        if let Some(mark) = &mut self.mark {
            read = mark.read(buffer)?;
        }
        let bytes = u64::try_from(read).unwrap_or(u64::MAX);
        (self.given, self.left) = (self.given.saturating_add(bytes), self.left.saturating_sub(bytes));
        Ok(read)
    }
}

/// What the reader found.
enum Row {
    /// A row.
    Whole,
    /// A row that ends with the file, inside a quote.
    Open,
    /// The end of the file.
    None,
}

fn read_row<R: Read>(reader: &mut csv::Reader<Bounded<'_, R>>, record: &mut ByteRecord) -> Result<Row> {
    if !reader.read_byte_record(record).map_err(read_fault)? {
        return Ok(Row::None);
    }
    let input = reader.get_ref();
    if input.mark.is_none_or(|mark| !mark.is_empty()) || reader.position().byte() < input.given {
        return Ok(Row::Whole);
    }
    // The mark was read: alone, or at the end of a cell that was never closed.
    let alone = record.len() == 1 && record.get(0) == END_MARK.get(1..);
    record.clear();
    Ok(if alone { Row::None } else { Row::Open })
}

fn open_quote(place: &str) -> Error {
    Error::malformed(format!(
        "a quote is never closed {place}; close it: the rest of the file is read as one cell"
    ))
}

fn read_fault(error: csv::Error) -> Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => stream::cannot_read(error),
        _ => stream::cannot_read(io::Error::other("the CSV reader stopped")),
    }
}

/// Rows of a CSV file in buffers that are used again.
#[derive(Default)]
pub(crate) struct CsvBatch {
    records: Vec<ByteRecord>,
    count: usize,
    /// Number of each row.
    numbers: Vec<u64>,
    end: InputPlace,
}

pub(crate) struct Csv {
    columns: Columns,
    /// Indexes and kept tokens whose columns the file does not have yet.
    added: Vec<usize>,
    line_end: &'static [u8],
    delimiter: u8,
}

impl Csv {
    /// Writes the first line: as it is, with what indexes and tokens add, or without them in what is revealed.
    fn append_header(&self, plan: Plan<'_>, header: &ByteRecord, out: &mut Vec<u8>) {
        let protects = plan.task.protecting().is_some();
        let kept = |role: &Role| protects || !matches!(role, Role::Surrogate(_));
        let names = header.iter().zip(&self.columns.roles).filter(|(_, role)| kept(role));
        let new = plan.table.surrogate_columns().enumerate();
        let new = new.filter(|(position, _)| protects && self.added.contains(position));
        let names = names.map(|(name, _)| name).chain(new.map(|(_, name)| name.as_bytes()));
        for (place, name) in names.enumerate() {
            if place > 0 {
                out.push(self.delimiter);
            }
            self.append_cell(name, out);
        }
    }

    /// Appends a cell, in quotes if a reader would otherwise see something else.
    fn append_cell(&self, bytes: &[u8], out: &mut Vec<u8>) {
        append_quoted(bytes, self.delimiter, out);
    }

    fn append_surrogate(&self, new: &NewSurrogateContent<'_>, stored: &[u8], out: &mut Vec<u8>) {
        match new {
            NewSurrogateContent::Absent | NewSurrogateContent::LeftOut => {}
            NewSurrogateContent::AsStored => self.append_cell(stored, out),
            NewSurrogateContent::Term(term) => stream::append_term(term, out),
            NewSurrogateContent::Token(text) => self.append_cell(text.as_bytes(), out),
        }
    }

    fn append_value(&self, value: ValueRef<'_>, out: &mut Vec<u8>) -> Result<()> {
        append_value(value, self.delimiter, out)
    }
}

pub(crate) struct CsvRows<'a> {
    columns: &'a Columns,
    batch: &'a CsvBatch,
}

impl CsvRows<'_> {
    fn record_texts(&self, row: usize) -> Result<Vec<&str>> {
        self.columns.record.iter().map(|column| self.text(row, *column)).collect()
    }

    fn bytes(&self, row: usize, column: usize) -> &[u8] {
        self.batch.records.get(row).and_then(|record| record.get(column)).unwrap_or_default()
    }

    fn text(&self, row: usize, column: usize) -> Result<&str> {
        core::str::from_utf8(self.bytes(row, column)).map_err(|_| Error::schema("the record id is not UTF-8"))
    }
}

impl Rows for CsvRows<'_> {
    fn count(&self) -> usize {
        self.batch.count
    }

    fn number(&self, row: usize) -> u64 {
        self.batch.numbers.get(row).copied().unwrap_or_default()
    }

    fn record(&self, row: usize) -> Result<RecordId<'_>> {
        let fields = self.batch.records.get(row).map_or(0, ByteRecord::len);
        let wanted = self.columns.roles.len();
        if fields != wanted {
            return Err(Error::malformed(format!(
                "the row has {fields} cells, and the first line names {wanted} columns"
            )));
        }
        for (place, role) in self.columns.roles.iter().enumerate() {
            if matches!(role, Role::Masked(_)) && core::str::from_utf8(self.bytes(row, place)).is_err() {
                return Err(Error::schema("a cell to be masked is not UTF-8"));
            }
        }
        if let [column] = self.columns.record.as_slice() {
            return RecordId::text(self.text(row, *column)?);
        }
        RecordId::composite(&self.record_texts(row)?)
    }

    fn cell(&self, row: usize, position: usize) -> Result<Stored<'_>> {
        let field = self.columns.sealed.get(position);
        let (column, value_type) =
            *field.ok_or_else(|| Error::misuse("the table has fewer sealed fields"))?;
        text_value::read(self.bytes(row, column), value_type)
    }

    fn surrogate(&self, row: usize, position: usize) -> Result<StoredSurrogate<'_>> {
        let Some(column) = self.columns.surrogates.get(position).copied().flatten() else {
            return Ok(StoredSurrogate::Absent);
        };
        match core::str::from_utf8(self.bytes(row, column)) {
            Ok("") => Ok(StoredSurrogate::Absent),
            Ok(text) => Ok(StoredSurrogate::Text(text)),
            Err(_) => Err(Error::malformed("the cell of an index or token is not UTF-8")),
        }
    }
}

impl ScanRows for CsvRows<'_> {
    fn record_columns(&self, row: usize) -> Result<Vec<Cow<'_, str>>> {
        Ok(self.record_texts(row)?.into_iter().map(Cow::Borrowed).collect())
    }

    fn unsealed(&self, row: usize, field: usize) -> Result<Option<Cow<'_, str>>> {
        let column = self.columns.fields.get(field).ok_or_else(no_such_field)?;
        match core::str::from_utf8(self.bytes(row, *column)) {
            Ok("") => Ok(None),
            Ok(text) => Ok(Some(Cow::Borrowed(text))),
            Err(_) => Err(Error::schema("not UTF-8; convert the file to UTF-8 first")),
        }
    }
}

impl Format for Csv {
    type Batch = CsvBatch;
    type Rows<'a> = CsvRows<'a>;

    fn rows<'a>(&'a self, batch: &'a CsvBatch) -> CsvRows<'a> {
        CsvRows { columns: &self.columns, batch }
    }

    fn end(batch: &CsvBatch) -> InputPlace {
        batch.end
    }

    /// Writes the line end before the row, so that a file without one after its last row stays without it.
    fn write_row(
        &self,
        rows: &CsvRows<'_>,
        row: usize,
        mask: bool,
        cells: &mut dyn Cells,
        out: &mut Vec<u8>,
    ) -> Result<u64> {
        let mut masked = 0;
        out.extend_from_slice(self.line_end);
        let start = out.len();
        let mut first = true;
        for (place, role) in self.columns.roles.iter().enumerate() {
            let surrogate = match role {
                Role::Surrogate(position) => cells.surrogate(*position),
                _ => NewSurrogateContent::AsStored,
            };
            if matches!(surrogate, NewSurrogateContent::LeftOut) {
                continue;
            }
            if !std::mem::take(&mut first) {
                out.push(self.delimiter);
            }
            let stored = rows.bytes(row, place);
            match role {
                Role::Masked(how) if mask && !stored.is_empty() => {
                    // Its text was checked with the record id.
                    let text = core::str::from_utf8(stored).unwrap_or_default();
                    let shown = how.apply(ValueRef::Text(text));
                    self.append_cell(shown.as_str().as_bytes(), out);
                    masked += u64::from(shown.as_str() != text);
                }
                Role::Clear | Role::Former(..) | Role::LeftOver | Role::Masked(_) => {
                    self.append_cell(stored, out);
                }
                Role::Surrogate(_) => self.append_surrogate(&surrogate, stored, out),
                Role::Sealed(position, _) => match cells.cell(*position) {
                    NewContent::Absent => {}
                    NewContent::AsStored => self.append_cell(stored, out),
                    NewContent::Envelope(bytes) => envelope::append_text(bytes, out),
                    NewContent::Mask(mask) => self.append_cell(mask.as_str().as_bytes(), out),
                    NewContent::Value(value) => self.append_value(value, out)?,
                },
            }
        }
        for position in &self.added {
            let surrogate = cells.surrogate(*position);
            if !matches!(surrogate, NewSurrogateContent::LeftOut) {
                out.push(self.delimiter);
                self.append_surrogate(&surrogate, b"", out);
            }
        }
        if out.len() == start {
            // A row of one empty cell would be read as no row at all.
            out.extend_from_slice(b"\"\"");
        }
        Ok(masked)
    }
}

/// Appends a cell to a row with commas, in quotes if a reader would otherwise see something else.
pub(crate) fn append_field(bytes: &[u8], out: &mut Vec<u8>) {
    append_quoted(bytes, b',', out);
}

/// Appends the text of a value, in quotes if it needs them; nothing for a null.
pub(crate) fn append_value(value: ValueRef<'_>, delimiter: u8, out: &mut Vec<u8>) -> Result<()> {
    if let ValueRef::Text(text) = value {
        append_quoted(text.as_bytes(), delimiter, out);
        return Ok(());
    }
    let mut text = zeroize::Zeroizing::new(Vec::new());
    text_value::append(value, &mut text)?;
    append_quoted(&text, delimiter, out);
    Ok(())
}

fn append_quoted(bytes: &[u8], delimiter: u8, out: &mut Vec<u8>) {
    if !bytes.iter().any(|byte| *byte == delimiter || matches!(byte, b'"' | b'\r' | b'\n')) {
        out.extend_from_slice(bytes);
        return;
    }
    out.push(b'"');
    for part in bytes.split_inclusive(|byte| *byte == b'"') {
        out.extend_from_slice(part);
        if part.ends_with(b"\"") {
            out.push(b'"');
        }
    }
    out.push(b'"');
}
