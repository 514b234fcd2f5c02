// SPDX-License-Identifier: MIT OR Apache-2.0
//! A connection that takes plain statements: all that the journal needs of a database.
//!
//! Owns nothing but the shape. Never carries a value of the table: only runs, ranges, counts and positions pass here.

use amanat::error::Result;

/// What is bound in a statement; the first is `$1`.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum Parameter<'a> {
    /// A BIGINT.
    Integer(i64),
    /// NULL of a TEXT column.
    Null,
    /// A TEXT.
    Text(&'a str),
}

/// A cell of an answer.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SqlCell {
    /// A BIGINT.
    Integer(i64),
    /// NULL.
    Null,
    /// A TEXT.
    Text(String),
}

/// A connection to a database. Statements use `$1`, `$2`, … in the order of their first use, TEXT and BIGINT alone.
pub trait Sql {
    /// Runs a statement; gives the number of rows that it changed.
    ///
    /// # Errors
    /// `Store`.
    fn execute(&mut self, sql: &str, parameters: &[Parameter<'_>]) -> Result<u64>;

    /// Runs a query; gives its rows.
    ///
    /// # Errors
    /// `Store`.
    fn query(&mut self, sql: &str, parameters: &[Parameter<'_>]) -> Result<Vec<Vec<SqlCell>>>;

    /// Begins a transaction that will write.
    ///
    /// # Errors
    /// `Store`.
    fn begin(&mut self) -> Result<()>;

    /// Commits it.
    ///
    /// # Errors
    /// `Store`; whether it was committed is then unknown.
    fn commit(&mut self) -> Result<()>;

    /// Takes it back; does nothing if none is open.
    ///
    /// # Errors
    /// `Store`.
    fn rollback(&mut self) -> Result<()>;

    /// Milliseconds since 1970 by the clock of the database, which all processes share.
    ///
    /// # Errors
    /// `Store`.
    fn now(&mut self) -> Result<i64>;

    /// What stands before the name of a table of the journal: the quoted schema of the protected table and a point, or nothing.
    fn prefix(&self) -> &str;
}

impl SqlCell {
    /// The text, if it is one.
    #[must_use]
    pub fn into_text(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text),
            Self::Integer(_) | Self::Null => None,
        }
    }

    /// The number, if it is one.
    #[must_use]
    pub const fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            Self::Null | Self::Text(_) => None,
        }
    }
}
