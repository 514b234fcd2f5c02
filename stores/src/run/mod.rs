// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs over live tables: plan, run, verify, done; stopped and resumed at any moment (SPEC 11).
//!
//! Owns the order of steps, and what an adapter of a database must give. Opens no file, socket or clock: a [`Store`] does. Never overwrites
//! a row that is no longer what was read, never counts a row twice.

mod attempts;
mod batch;
mod browse;
mod driver;
pub mod journal;
mod lane;
mod report;
mod retry;
mod sql;
mod survey;

pub use batch::{NewTerm, SealedBatch};
pub use browse::Refused;
pub use driver::{Ended, RunObserver, RunOptions, Runner, Step, SwapStep};
pub use report::{KeyChange, RunReport};
pub use retry::Retried;
pub use sql::{Parameter, Sql, SqlCell};
pub use survey::{Sample, Survey, Surveyed, Trial};

use amanat::error::{Error, Result};

use crate::engine::Rows;

/// A table in a database: the adapter that a database implements. Shared by the lanes of a run.
pub trait Store: Sync {
    /// A connection of its own.
    type Lane: Lane;

    /// Opens a connection and looks at the table.
    ///
    /// # Errors
    /// `Store` if there is no connection; `Schema` if table and schema do not fit, with the statement that mends it.
    fn connect(&self) -> Result<Self::Lane>;

    /// Name of the table in the database, as it is told and as the journal holds it: `citizens`, `registry.citizens`.
    fn table_name(&self) -> &str;

    /// Most lanes that make sense: 1 where one writer excludes all others.
    fn most_lanes(&self) -> usize;

    /// What may be done after an error of a lane.
    fn recovery(&self, error: &Error) -> Recovery;
}

/// What may be done after an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Recovery {
    /// Nothing: the run stops, and a person finds out why.
    Stop,
    /// The transaction is rolled back and tried again: a deadlock, a lock or statement that took too long, a busy file.
    Retry,
    /// The connection is gone: a new one, then as [`Retry`](Self::Retry). Whether the last transaction was committed, the journal tells.
    Reconnect,
}

/// A connection that reads and writes the rows of one table, and the journal beside them.
pub trait Lane: Sql + Send {
    /// Rows that were read.
    type Batch: Batch;

    /// Cuts the table into about so many ranges of its key that together hold every row, also one that is added later: the first has no
    /// lower and the last no upper end.
    ///
    /// # Errors
    /// `Store`.
    fn split(&mut self, parts: usize) -> Result<Vec<KeyRange>>;

    /// Number of rows.
    ///
    /// # Errors
    /// `Store`.
    fn count(&mut self) -> Result<u64>;

    /// Reads up to so many rows of a range, in the order of the key, those after a position if there is one; their numbers count from
    /// `number`. Gives fewer rows if they are large, and none only at the end.
    ///
    /// # Errors
    /// `Store`; never a fault of one row: that is told when the row is worked on.
    fn read(
        &mut self,
        range: &KeyRange,
        after: Option<&Position>,
        rows: usize,
        number: u64,
    ) -> Result<Self::Batch>;

    /// Reads rows by their positions and keeps others from changing them until the transaction ends. Rows that are gone are left out.
    ///
    /// # Errors
    /// `Store`.
    fn read_locked(&mut self, rows: &[Position], number: u64) -> Result<Self::Batch>;

    /// Writes what is new in the rows of a batch, inside the transaction that is open, each row on the condition that every cell that is
    /// replaced, every cell that something new was made from, and the record id still are what was read, byte by byte. Makes sure that the
    /// rows then hold what was written.
    ///
    /// # Errors
    /// `Store`; `Schema` if a trigger changes what is written. The transaction is then rolled back by the caller.
    fn write(&mut self, batch: &Self::Batch, sealed: &SealedBatch) -> Result<Written>;

    /// Reads how many rows name each key in a sealed column or index, from the beginnings of the cells alone.
    ///
    /// # Errors
    /// `Store`.
    fn key_counts(&mut self) -> Result<Vec<KeyCount>>;

    /// What a person should know after a run that wrote: triggers that saw old values, indexes that are missing. And what remains to be
    /// done where the database keeps old values (free pages, dead rows).
    ///
    /// # Errors
    /// `Store`.
    fn advice(&mut self) -> Result<Vec<String>>;
}

/// Rows that were read from a table; owns them.
pub trait Batch: Rows + Send + Sync {
    /// Where a row stands in the order of the key.
    fn position(&self, row: usize) -> Option<Position>;
}

/// A place in the order of a table's key, in a form that the adapter makes and reads: JSON. It holds key values, so it is never shown, and the
/// journal forgets it when its range is done.
#[derive(Clone, PartialEq, Eq)]
pub struct Position(pub(crate) String);

impl core::fmt::Debug for Position {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Position")
    }
}

/// Part of a table: rows after one position up to and including another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyRange {
    /// No lower end if absent.
    pub after: Option<Position>,
    /// No upper end if absent.
    pub upto: Option<Position>,
}

/// What writing a batch came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Rows of the batch that others have changed or deleted since they were read; nothing of them was written.
    pub lost: Vec<usize>,
    /// Values of clear fields that were replaced by their masks.
    pub masked: u64,
}

/// Cells that name a key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyCount {
    /// Field, index or token of the column.
    pub column: amanat::Name,
    /// What the cells begin with: a key's id for sealed fields, the tag of an index, the epoch of a token; `None` for plain cells.
    pub named: Option<Named>,
    /// How many cells.
    pub cells: u64,
}

/// What a stored cell names, read from its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Named {
    /// The key that sealed it.
    Key(amanat::KeyId),
    /// The tag of the index key that made the term.
    Tag(u8),
    /// The epoch of a token.
    Epoch(u32),
}
