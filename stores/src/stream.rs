// SPDX-License-Identifier: MIT OR Apache-2.0
//! Protects and reveals files that are read from front to back.
//!
//! Owns what CSV and JSON Lines have in common. Never leaves out a row without telling the [`Observer`].

use std::fmt;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::Arc;

use amanat::RecordId;
use amanat::error::{Error, Result};
use amanat::index::IndexTerm;
use amanat::mask::Masked;
use amanat::schema::TableSchema;
use amanat::surrogate::Surrogate;
use amanat::value::ValueRef;

use crate::engine::{Effort, NewCell, Protector, Rows, SealedRows, Source};
use crate::pipeline::{self, Output};
use crate::reveal::{RevealForm, Revealer, Shown};
use crate::session::KeyringSession;
use crate::surrogates::NewSurrogate;
use crate::tally::Tally;

/// Rows of a batch: many share one drawing of random bytes and one hand-over between threads (a quarter of it costs 7 % more time).
pub(crate) const BATCH_ROWS: usize = 1_024;
/// A batch is full when it has this many bytes, however few rows these are.
pub(crate) const BATCH_BYTES: usize = 1 << 20;
/// Longest row of a file in bytes: a quote that is never closed ends here, not with the memory.
pub const MAX_ROW_BYTES: u64 = 1 << 26;

/// What is to be done with a file or table.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    /// The unlocked keyring.
    pub session: &'a KeyringSession<'a>,
    /// The table's policy.
    pub table: &'a TableSchema,
    /// Protect or reveal.
    pub task: Task<'a>,
    /// Threads that seal or open.
    pub jobs: NonZeroUsize,
}

/// Protect or reveal.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Task<'a> {
    /// Protect, with this effort.
    Protect(Effort),
    /// Seal anew what is sealed otherwise than now asked for, with this effort; rows with plaintext in a sealed column are refused.
    Reseal(Effort),
    /// Reveal these fields, or all if none are named, in this form.
    Reveal(&'a [String], RevealForm),
}

impl Task<'_> {
    /// Effort and source of a run that protects.
    #[must_use]
    pub const fn protecting(&self) -> Option<(Effort, Source)> {
        match self {
            Self::Protect(effort) => Some((*effort, Source::Any)),
            Self::Reseal(effort) => Some((*effort, Source::SealedOnly)),
            Self::Reveal(..) => None,
        }
    }
}

/// Is told what happens while a run goes on.
pub trait Observer {
    /// A row was refused because of this.
    ///
    /// # Errors
    /// Why the run shall stop.
    fn refused(&mut self, fault: &Error) -> Result<()>;

    /// So many rows are done, and so many bytes of the input were read for them.
    fn progress(&mut self, rows: u64, input_bytes: u64);

    /// Whether the run shall end at the next batch, because somebody stopped it. Runs over CSV and JSON Lines ask.
    fn stops(&self) -> bool {
        false
    }
}

/// What separates the cells of a CSV file. None of them stands in an envelope, index term or token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Delimiter {
    /// `,` of RFC 4180.
    #[default]
    Comma,
    /// `|`.
    Pipe,
    /// `;`, where a comma is the decimal sign.
    Semicolon,
    /// The tab character.
    Tab,
}

impl Delimiter {
    /// The byte in the file.
    #[must_use]
    pub const fn byte(self) -> u8 {
        match self {
            Self::Comma => b',',
            Self::Pipe => b'|',
            Self::Semicolon => b';',
            Self::Tab => b'\t',
        }
    }
}

/// Numbers of the rows of a file that a run is about, ascending; the first row after the header is 1.
#[derive(Clone, PartialEq, Eq)]
pub struct RowNumbers(Arc<[u64]>);

impl RowNumbers {
    /// These rows, in any order and each as often as it may be.
    #[must_use]
    pub fn new(mut rows: Vec<u64>) -> Self {
        rows.sort_unstable();
        rows.dedup();
        Self(rows.into())
    }

    /// Whether a row is one of them.
    #[must_use]
    pub fn contains(&self, row: u64) -> bool {
        self.0.binary_search(&row).is_ok()
    }

    /// How many they are.
    #[must_use]
    pub fn count(&self) -> u64 {
        u64::try_from(self.0.len()).unwrap_or(u64::MAX)
    }
}

impl fmt::Debug for RowNumbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RowNumbers({} rows)", self.count())
    }
}

/// Where a run stands in its input, between two rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct InputPlace {
    /// Bytes from the beginning.
    pub(crate) bytes: u64,
    /// Rows that were read, those that were passed over included.
    pub(crate) rows: u64,
}

/// How a run over a file has ended.
#[derive(Debug)]
pub(crate) enum End {
    /// All rows were read.
    Whole(Tally),
    /// The observer stopped it.
    Stopped,
}

impl End {
    /// The counts of a run that cannot be gone on with.
    pub(crate) fn whole(self) -> Result<Tally> {
        match self {
            Self::Whole(tally) => Ok(tally),
            Self::Stopped => {
                let reason = io::Error::new(io::ErrorKind::Interrupted, "somebody stopped it");
                Err(Error::store("the run was stopped before its end", reason))
            }
        }
    }
}

/// Takes what a run makes, in order.
pub(crate) trait Sink {
    /// Takes bytes that belong to no batch: the head and the end of a file.
    fn write(&mut self, bytes: &[u8]) -> Result<()>;

    /// Takes a batch; `total` counts it already. Says whether the run goes on.
    fn batch(&mut self, made: &Output, total: &Tally) -> Result<ControlFlow<()>>;
}

/// An output that appears nowhere before it is whole, or that cannot be gone on with.
pub(crate) struct PlainSink<'a> {
    output: Option<&'a mut dyn Write>,
    observer: &'a mut dyn Observer,
}

impl<'a> PlainSink<'a> {
    pub(crate) fn new<'o: 'a, 'b: 'a>(
        output: Option<&'o mut dyn Write>,
        observer: &'b mut dyn Observer,
    ) -> Self {
        Self { output: output.map(|output| output as &mut dyn Write), observer }
    }

    pub(crate) fn flush(&mut self) -> Result<()> {
        self.output.as_mut().map_or(Ok(()), |output| output.flush().map_err(cannot_write))
    }
}

impl Sink for PlainSink<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.output.as_mut().map_or(Ok(()), |output| output.write_all(bytes).map_err(cannot_write))
    }

    fn batch(&mut self, made: &Output, total: &Tally) -> Result<ControlFlow<()>> {
        for fault in &made.faults {
            self.observer.refused(fault)?;
        }
        self.write(&made.bytes)?;
        self.observer.progress(total.rows, made.end.bytes);
        Ok(if self.observer.stops() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }
}

/// What is to be written in the place of a sealed field.
pub(crate) enum NewContent<'a> {
    Absent,
    AsStored,
    Envelope(&'a [u8]),
    Mask(Masked),
    Value(ValueRef<'a>),
}

/// What is to be written in the place of an index or kept token.
pub(crate) enum NewSurrogateContent<'a> {
    Absent,
    AsStored,
    Term(&'a IndexTerm),
    Token(&'a str),
    /// Not even its column: what is revealed needs none, and terms beside values would tell the values of other rows.
    LeftOut,
}

/// Gives the new content of a row's sealed fields.
pub(crate) trait Cells {
    fn cell(&mut self, position: usize) -> NewContent<'_>;

    fn surrogate(&self, position: usize) -> NewSurrogateContent<'_>;
}

/// A kind of file: how its batches become rows, and how a row is written.
pub(crate) trait Format: Sync {
    type Batch: Default + Send;
    type Rows<'a>: Rows
    where
        Self: 'a;

    fn rows<'a>(&'a self, batch: &'a Self::Batch) -> Self::Rows<'a>;

    /// Where a batch ends in the input.
    fn end(batch: &Self::Batch) -> InputPlace;

    /// Appends a row; returns how many values of masked fields it replaced by their masks, which it does if `mask` is set.
    fn write_row(
        &self,
        rows: &Self::Rows<'_>,
        row: usize,
        mask: bool,
        cells: &mut dyn Cells,
        out: &mut Vec<u8>,
    ) -> Result<u64>;
}

/// Runs a plan over a file whose head was read and written. `start` counts what an earlier part of the run has done.
pub(crate) fn run<F: Format>(
    plan: Plan<'_>,
    format: &F,
    read: impl FnMut(&mut F::Batch) -> Result<bool> + Send,
    start: Tally,
    sink: &mut dyn Sink,
) -> Result<End> {
    let workers = (0..plan.jobs.get()).map(|_| Worker::new(plan)).collect::<Result<Vec<_>>>()?;
    let workers = workers
        .into_iter()
        .map(|mut worker| move |batch: &F::Batch, output: &mut Output| worker.work(format, batch, output));
    let mut total = start;
    let flow = pipeline::run(read, workers.collect(), |made| {
        total.add(&made.tally);
        sink.batch(made, &total)
    })?;
    Ok(if flow.is_break() { End::Stopped } else { End::Whole(total) })
}

/// An error of the output; its source says whether the reader went away.
pub(crate) fn cannot_write(error: io::Error) -> Error {
    Error::store("the output cannot be written", error)
}

/// An error of the input.
pub(crate) fn cannot_read(error: io::Error) -> Error {
    Error::store("the input cannot be read", error)
}

/// Appends the text form of a term.
pub(crate) fn append_term(term: &IndexTerm, out: &mut Vec<u8>) {
    out.extend_from_slice(term.to_text().as_bytes());
}

enum Worker<'a> {
    Protect(Box<Protector<'a>>, Box<SealedRows>, Effort),
    Reveal(Revealer),
}

impl<'a> Worker<'a> {
    fn new(plan: Plan<'a>) -> Result<Self> {
        Ok(match plan.task {
            Task::Protect(effort) => Self::protect(plan, effort, Source::Any)?,
            Task::Reseal(effort) => Self::protect(plan, effort, Source::SealedOnly)?,
            Task::Reveal(fields, form) => {
                Self::Reveal(Revealer::new(plan.session, plan.table, fields, form)?)
            }
        })
    }

    fn protect(plan: Plan<'a>, effort: Effort, source: Source) -> Result<Self> {
        let protector = Protector::new(plan.session, plan.table, effort, source)?;
        Ok(Self::Protect(Box::new(protector), Box::default(), effort))
    }

    fn work<F: Format>(&mut self, format: &F, batch: &F::Batch, output: &mut Output) -> Result<()> {
        let rows = format.rows(batch);
        output.end = F::end(batch);
        match self {
            Self::Protect(protector, sealed, effort) => {
                protector.protect(&rows, sealed)?;
                output.tally.add(&sealed.tally);
                output.faults.append(&mut sealed.faults);
                if !effort.is_dry() {
                    write_sealed(format, &rows, sealed, output)?;
                }
                Ok(())
            }
            Self::Reveal(revealer) => {
                (0..rows.count()).for_each(|row| reveal_row(format, &rows, row, revealer, output));
                Ok(())
            }
        }
    }
}

fn write_sealed<F: Format>(
    format: &F,
    rows: &F::Rows<'_>,
    sealed: &SealedRows,
    output: &mut Output,
) -> Result<()> {
    for row in (0..rows.count()).filter(|row| !sealed.is_refused(*row)) {
        let masked = format.write_row(rows, row, true, &mut SealedCells { sealed, row }, &mut output.bytes);
        output.tally.masked += masked.map_err(|error| error.at_row(rows.number(row)))?;
    }
    Ok(())
}

/// Writes a revealed row, or tells why it is refused.
fn reveal_row<F: Format>(
    format: &F,
    rows: &F::Rows<'_>,
    row: usize,
    revealer: &mut Revealer,
    output: &mut Output,
) {
    output.tally.rows += 1;
    let (start, known) = (output.bytes.len(), output.faults.len());
    let written = rows.record(row).and_then(|record| {
        let (tally, faults) = (&mut output.tally, &mut output.faults);
        let mut cells = ShownCells { rows, row, record, revealer, tally, faults };
        format.write_row(rows, row, false, &mut cells, &mut output.bytes)
    });
    if let Err(error) = written {
        output.faults.push(error.at_row(rows.number(row)));
    }
    if output.faults.len() > known {
        output.bytes.truncate(start);
        output.tally.refused_rows += 1;
    }
}

struct SealedCells<'a> {
    sealed: &'a SealedRows,
    row: usize,
}

impl Cells for SealedCells<'_> {
    fn cell(&mut self, position: usize) -> NewContent<'_> {
        match self.sealed.cell(self.row, position) {
            NewCell::Absent => NewContent::Absent,
            NewCell::Envelope(envelope) => NewContent::Envelope(envelope),
            NewCell::Unchanged => NewContent::AsStored,
        }
    }

    fn surrogate(&self, position: usize) -> NewSurrogateContent<'_> {
        match self.sealed.surrogate(self.row, position) {
            NewSurrogate::Kept => NewSurrogateContent::AsStored,
            NewSurrogate::New(Surrogate::Term(term)) => NewSurrogateContent::Term(term),
            NewSurrogate::New(Surrogate::Token(token)) => NewSurrogateContent::Token(token.as_str()),
            NewSurrogate::Empty | NewSurrogate::New(Surrogate::Absent) => NewSurrogateContent::Absent,
        }
    }
}

struct ShownCells<'a, R> {
    rows: &'a R,
    row: usize,
    record: RecordId<'a>,
    revealer: &'a mut Revealer,
    tally: &'a mut Tally,
    faults: &'a mut Vec<Error>,
}

impl<R: Rows> Cells for ShownCells<'_, R> {
    /// A cell that cannot be shown is noted; its row is then left out.
    fn cell(&mut self, position: usize) -> NewContent<'_> {
        let stored = self.rows.cell(self.row, position);
        let shown = stored.and_then(|stored| self.revealer.show(position, &self.record, stored, self.tally));
        match shown {
            Ok(Shown::Absent) => NewContent::Absent,
            Ok(Shown::AsStored) => NewContent::AsStored,
            Ok(Shown::Mask(mask)) => NewContent::Mask(mask),
            Ok(Shown::Value(value)) => NewContent::Value(value),
            Err(error) => {
                self.faults.push(error.at_row(self.rows.number(self.row)));
                NewContent::AsStored
            }
        }
    }

    fn surrogate(&self, _position: usize) -> NewSurrogateContent<'_> {
        NewSurrogateContent::LeftOut
    }
}
