// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reveals a table into a copy of its file.
//!
//! Owns the copy until it is whole. Never writes to the source.

use std::path::Path;
use std::sync::Arc;

use amanat::error::{Error, Result};
use rusqlite::config::DbConfig;
use rusqlite::types::ValueRef as SqlRef;
use rusqlite::{Connection, OpenFlags};

use super::fault::failed;
use super::rows::{self, SqliteBatch};
use super::table::SqlTable;
use super::write::{Change, Compare, New, Writer};
use super::{SqliteReport, batches, open};
use crate::columns::Role;
use crate::durable::{Access, PartFile};
use crate::engine::Rows;
use crate::reveal::{Revealer, Shown};
use crate::run::journal::JOURNAL_TABLES;
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
    let copy = open(part.path(), OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // A trigger of the source could change what is shown while it is written.
    copy.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false).map_err(failed)?;
    // The copy is thrown away if anything fails, so its journal needs no file.
    copy.pragma_update(None, "journal_mode", "MEMORY").map_err(failed)?;
    forget_runs(&copy)?;
    let table = Arc::new(SqlTable::read(&copy, sql_table, plan.table)?);
    let mut total = Tally::default();
    batches(&copy, &table, |batch| {
        reveal_batch(&copy, &mut revealer, batch, &mut total, observer)?;
        observer.progress(total.rows, 0);
        Ok(())
    })?;
    // What was overwritten takes no room any more.
    copy.execute_batch("VACUUM").map_err(failed)?;
    copy.close().map_err(|(_, error)| failed(error))?;
    part.commit()?;
    Ok(SqliteReport { tally: total, warnings: Vec::new() })
}

/// The journal of runs is of the source, not of the copy.
fn forget_runs(copy: &Connection) -> Result<()> {
    let drop = |table: &&str| format!("DROP TABLE IF EXISTS {table};");
    copy.execute_batch(&JOURNAL_TABLES.iter().map(drop).collect::<String>()).map_err(failed)
}

fn reveal_batch(
    copy: &Connection,
    revealer: &mut Revealer,
    batch: &SqliteBatch,
    total: &mut Tally,
    observer: &mut dyn Observer,
) -> Result<()> {
    let transaction = copy.unchecked_transaction().map_err(failed)?;
    let (mut writer, mut change) = (Writer::new(copy, batch, Compare::Cells), Change::default());
    for row in 0..batch.count() {
        total.rows += 1;
        let mut faults = Vec::new();
        reveal_row(batch, row, &mut change, revealer, total, &mut faults);
        total.refused_rows += u64::from(!faults.is_empty());
        let refused = !faults.is_empty();
        for fault in faults {
            observer.refused(&fault.at_row(batch.number(row)))?;
        }
        if !refused && !change.places.is_empty() && !writer.write(row, &change)? {
            return Err(Error::misuse("a row of the copy is not what was read from it"));
        }
    }
    drop(writer);
    transaction.commit().map_err(failed)
}

/// What a row shows; faults are why cells of it cannot be shown.
fn reveal_row(
    batch: &SqliteBatch,
    row: usize,
    change: &mut Change<'_>,
    revealer: &mut Revealer,
    tally: &mut Tally,
    faults: &mut Vec<Error>,
) {
    change.clear();
    let record = match batch.record(row) {
        Ok(record) => record,
        Err(error) => return faults.push(error),
    };
    for (place, role) in batch.table.roles.iter().enumerate() {
        if matches!(role, Role::Surrogate(_)) && batch.value(row, place).ok() != Some(SqlRef::Null) {
            // Terms and tokens beside values would tell whoever sees both the values of other rows and files.
            change.push(place, New::Null);
        }
        let Role::Sealed(field, _) = role else { continue };
        let stored = batch.cell(row, *field);
        let shown = stored.and_then(|stored| match revealer.show(*field, &record, stored, tally)? {
            Shown::AsStored => Ok(None),
            Shown::Absent => Ok(Some(New::Null)),
            Shown::Mask(mask) => Ok(Some(New::Text(mask.as_str().to_owned().into()))),
            Shown::Value(value) => rows::plain(value).map(New::Value).map(Some),
        });
        match shown {
            Ok(new) => new.into_iter().for_each(|new| change.push(place, new)),
            Err(error) => faults.push(error),
        }
    }
}
