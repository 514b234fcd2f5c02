// SPDX-License-Identifier: MIT OR Apache-2.0
//! Scans a table of a PostgreSQL database in constant memory, as the other scans do.
//!
//! Owns the walk over the table. Never writes, and reads only the columns that are asked for.

use amanat::error::Result;

use super::lane::PostgresLane;
use super::table::{self, PgTable};
use super::{PostgresUrl, session};
use crate::engine::Rows as _;
use crate::run::{Batch as _, KeyRange, Lane as _};
use crate::scan::{ScanPlan, Scanner, Visitor};
use crate::tally::Tally;

/// Rows of one read.
const BATCH_ROWS: usize = 10_000;

/// Scans a table of a PostgreSQL database; of the schema's name unless another is given, as SQL writes it. Only the columns of the wanted fields
/// are read. Rows that change meanwhile are met as they are when they are read.
///
/// # Errors
/// As [`scan_csv`](crate::scan::scan_csv); `Store` if there is no connection.
pub fn scan(
    plan: ScanPlan<'_>,
    url: &PostgresUrl,
    sql_table: Option<&str>,
    visitor: &mut dyn Visitor,
) -> Result<Tally> {
    let mut scanner = Scanner::new(plan)?;
    let name = sql_table.map_or_else(|| table::quote(plan.table.name().as_str()), str::to_owned);
    let mut client = session(url)?;
    let fields = scanner.fields();
    let table = PgTable::with_cells(&mut client, &name, plan.table, |columns| {
        let mut places: Vec<usize> =
            fields.iter().filter_map(|field| columns.fields.get(*field).copied()).collect();
        places.sort_unstable();
        places.dedup();
        places
    })?;
    let mut lane = PostgresLane::new(client, table, None);
    let (range, mut after, mut number) = (KeyRange::default(), None, 1);
    loop {
        let batch = lane.read(&range, after.as_ref(), BATCH_ROWS, number)?;
        let Some(last) = batch.count().checked_sub(1) else { return Ok(scanner.tally) };
        scanner.scan(&batch, visitor)?;
        number += u64::try_from(batch.count()).unwrap_or_default();
        after = batch.position(last);
    }
}
