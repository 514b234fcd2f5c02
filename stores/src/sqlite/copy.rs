// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reveals a table into a copy of its file.
//!
//! Owns the copy until it is whole. Never writes to the source.

use std::path::Path;

use amanat::error::{Error, Result};
use rusqlite::config::DbConfig;
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags};

use super::rows::{self, SqlRow, SqlRows};
use super::table::SqlTable;
use super::{Change, SqliteReport, failed, open, read_batch, write};
use crate::columns::Role;
use crate::durable::{Access, PartFile};
use crate::engine::Rows;
use crate::reveal::{Revealer, Shown};
use crate::stream::{Observer, Plan, Task};
use crate::tally::Tally;

/// Reveals a table into a copy of the whole file that only its owner may read, and that appears whole or not at all. Cells of indexes and
/// kept tokens are empty in the copy.
///
/// # Errors
/// As [`protect`](super::protect); `Store` if the copy cannot be written.
pub fn reveal(
    plan: Plan<'_>,
    file: &Path,
    sql_table: &str,
    target: &Path,
    observer: &mut dyn Observer,
) -> Result<SqliteReport> {
    let Task::Reveal(fields, form) = plan.task else {
        return Err(Error::misuse("a plan to protect was given where one to reveal belongs"));
    };
    let mut revealer = Revealer::new(plan.session, plan.table, fields, form)?;
    let part = PartFile::create(target, Access::Owner)?;
    let source = open(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    SqlTable::read(&source, sql_table, plan.table)?;
    let path = part.path().to_str().ok_or_else(|| Error::misuse("the path of the copy is not UTF-8"))?;
    source.execute("VACUUM INTO ?1", [path]).map_err(failed)?;
    let mut copy = open(part.path(), OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // A trigger of the source could change what is shown while it is written.
    copy.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false).map_err(failed)?;
    // The copy is thrown away if anything fails, so its journal needs no file.
    copy.pragma_update(None, "journal_mode", "MEMORY").map_err(failed)?;
    let table = SqlTable::read(&copy, sql_table, plan.table)?;
    let mut total = Tally::default();
    let (mut after, mut next) = (None, 1);
    loop {
        let batch = read_batch(&copy, &table, after.as_deref(), next)?;
        let Some(last) = batch.last() else { break };
        (after, next) = (Some(last.key.clone()), last.number + 1);
        reveal_batch(&mut copy, &table, &mut revealer, &batch, &mut total, observer)?;
        observer.progress(total.rows, 0);
    }
    // What was overwritten takes no room any more.
    copy.execute_batch("VACUUM").map_err(failed)?;
    copy.close().map_err(|(_, error)| failed(error))?;
    part.commit()?;
    Ok(SqliteReport { tally: total, warnings: Vec::new() })
}

fn reveal_batch(
    copy: &mut Connection,
    table: &SqlTable,
    revealer: &mut Revealer,
    batch: &[SqlRow],
    total: &mut Tally,
    observer: &mut dyn Observer,
) -> Result<()> {
    let rows = SqlRows { table, rows: batch };
    let mut changes = Vec::with_capacity(batch.len());
    for (position, row) in batch.iter().enumerate() {
        total.rows += 1;
        let mut faults = Vec::new();
        let change = reveal_row(&rows, position, row, revealer, total, &mut faults);
        total.refused_rows += u64::from(!faults.is_empty());
        for fault in faults {
            observer.refused(&fault.at_row(row.number))?;
        }
        changes.extend(change.filter(|change| !change.places.is_empty()));
    }
    if write(copy, table, &changes)?.is_empty() {
        return Ok(());
    }
    Err(Error::misuse("a row of the copy is not what was read from it"))
}

/// What a row shows; `None` if a cell of it cannot be shown.
fn reveal_row<'a>(
    rows: &SqlRows<'_>,
    position: usize,
    row: &'a SqlRow,
    revealer: &mut Revealer,
    tally: &mut Tally,
    faults: &mut Vec<Error>,
) -> Option<Change<'a>> {
    let record = rows.record(position).map_err(|error| faults.push(error)).ok()?;
    let mut change = Change::new(row);
    for (place, role) in rows.table.roles.iter().enumerate() {
        if matches!(role, Role::Surrogate(_)) && row.cells.get(place) != Some(&Value::Null) {
            // Terms and tokens beside values would tell whoever sees both the values of other rows and files.
            change.places.push(place);
            change.values.push(Value::Null);
        }
        let Role::Sealed(field, _) = role else { continue };
        let stored = rows.cell(position, *field);
        let shown = stored.and_then(|stored| match revealer.show(*field, &record, stored, tally)? {
            Shown::AsStored => Ok(None),
            Shown::Absent => Ok(Some(Value::Null)),
            Shown::Mask(mask) => Ok(Some(Value::Text(mask.as_str().to_owned()))),
            Shown::Value(value) => rows::plain(value).map(Some),
        });
        match shown {
            Ok(new) => {
                change.places.extend(new.is_some().then_some(place));
                change.values.extend(new);
            }
            Err(error) => faults.push(error),
        }
    }
    faults.is_empty().then_some(change)
}
