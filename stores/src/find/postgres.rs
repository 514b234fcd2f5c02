// SPDX-License-Identifier: MIT OR Apache-2.0
//! Finds rows in tables of PostgreSQL databases.
//!
//! Owns the finder that is kept ready. Never gives a row whose values were not opened and compared.

use std::fmt;

use amanat::error::Result;

use super::{FindPlan, FindReport, Finder};
use crate::engine::Rows as _;
use crate::postgres::{Lookup, PostgresUrl};

/// Finds rows in a PostgreSQL table, many times: connection, statement and keys are kept ready.
pub struct PostgresFinder {
    finder: Finder,
    lookup: Lookup,
    not_searchable: u64,
    warnings: Vec<String>,
}

impl PostgresFinder {
    /// Connects; the table has the schema's name unless another is given, as SQL writes it. Counts the rows that are not searchable, for which
    /// the table is read once.
    ///
    /// # Errors
    /// `Store` if there is no connection; `Schema` if table and schema do not fit or the index has no column yet.
    pub fn open(plan: FindPlan<'_>, url: &PostgresUrl, sql_table: Option<&str>) -> Result<Self> {
        let finder = Finder::new(plan)?;
        let mut lookup = Lookup::open((plan.table, plan.index), url, sql_table, &finder.scanner.fields())?;
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

    /// What the user should know: that PostgreSQL reads every row, with the statement that ends it, and that rows are not searchable.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Finds the rows of one value for each field of the index, in the index's order, as people type them.
    ///
    /// # Errors
    /// `Schema`, `Malformed` or `Limit` with the field's name if a value has no normal form; `Misuse` for another number of values;
    /// `Store` if the connection is gone: open another finder.
    pub fn find(&mut self, values: &[&str]) -> Result<FindReport> {
        let terms = self.finder.terms(values)?;
        let rows = self.lookup.rows(&terms)?;
        let Finder { scanner, matcher, .. } = &mut self.finder;
        (0..rows.count()).try_for_each(|row| matcher.check(scanner, &rows, row))?;
        let mut report = matcher.take_report();
        report.not_searchable = self.not_searchable;
        Ok(report)
    }
}

impl fmt::Debug for PostgresFinder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresFinder({:?})", self.finder.index)
    }
}
