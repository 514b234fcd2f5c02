// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tables in SQLite files: protected in place, revealed into a copy.
//!
//! Owns transactions, and the compare-and-swap that loses no concurrent write. Never changes the settings of the user's file, never
//! overwrites a value before its envelope was opened again and found equal.

mod clean;
mod copy;
mod lookup;
mod rows;
mod table;

pub use copy::reveal;
pub(crate) use lookup::Lookup;

use std::path::Path;
use std::thread;
use std::time::Duration;

use amanat::error::{Error, Result};
use amanat::schema::TableSchema;
use amanat::value::ValueRef;
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, ToSql, TransactionBehavior, params_from_iter};

pub(crate) use self::rows::SqlRows;
use self::rows::{KeyPart, SqlRow};
use self::table::SqlTable;
use crate::columns::Role;
use crate::engine::{Effort, NewCell, Protector, SealedRows};
use crate::stream::{Observer, Plan};
use crate::surrogates::NewSurrogate;
use crate::tally::Tally;

/// Rows of one transaction.
const BATCH_ROWS: usize = 10_000;
/// A batch is full when it holds this many bytes, however few rows these are.
const BATCH_BYTES: usize = 1 << 22;
/// A worker gets at least this many rows of a batch.
const WORKER_ROWS: usize = 256;
/// How often a row that others keep changing is tried.
const ATTEMPTS: u32 = 5;
/// How long another process's transaction is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// What remains of plaintext in the file after its cells were overwritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cleaning {
    /// Old pages stay as they are; `PRAGMA secure_delete` has zeroed what was freed.
    Keep,
    /// The file is rebuilt and its write-ahead log emptied, also after a run that had nothing to change, if free pages or a log are there:
    /// an earlier run may have been stopped. A file with a table that has neither an INTEGER PRIMARY KEY nor WITHOUT ROWID is not
    /// rebuilt, because rows of such a table may get other rowids, and whatever stores those would point at other rows; the user is told.
    Vacuum,
}

/// What a run over a table has done.
#[derive(Debug)]
#[non_exhaustive]
pub struct SqliteReport {
    /// Counts.
    pub tally: Tally,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// Number of rows of a table.
///
/// # Errors
/// `Store` if the file cannot be read; `Schema` if table and schema do not fit.
pub fn count(plan: Plan<'_>, file: &Path, sql_table: &str) -> Result<u64> {
    let connection = open(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let table = SqlTable::read(&connection, sql_table, plan.table)?;
    table::number(&connection, &table.count(), &[])
}

/// Protects a table in place, in transactions of up to 10,000 rows. A run that is stopped leaves whole batches done; the next one goes on.
/// A warning tells of blind indexes whose column has no index of SQLite.
///
/// # Errors
/// `Store` if the file cannot be read or written; `Schema` if table and schema do not fit, or if a column of an index or kept token is
/// missing: the message has the statement that adds it; what the observer fails with; as
/// [`Protector::protect`].
pub fn protect(
    plan: Plan<'_>,
    file: &Path,
    sql_table: &str,
    cleaning: Cleaning,
    observer: &mut dyn Observer,
) -> Result<SqliteReport> {
    let Some((effort, source)) = plan.task.protecting() else {
        return Err(Error::misuse("a plan to reveal was given where one to protect belongs"));
    };
    let dry = effort == Effort::DryRun;
    let flags = if dry { OpenFlags::SQLITE_OPEN_READ_ONLY } else { OpenFlags::SQLITE_OPEN_READ_WRITE };
    let effort = if dry { Effort::DryRun } else { Effort::SealAndVerify };
    let mut connection = open(file, flags)?;
    let table = SqlTable::read(&connection, sql_table, plan.table)?;
    table::check_surrogates(&connection, sql_table, plan.table, &table)?;
    if !dry {
        connection.pragma_update(None, "secure_delete", true).map_err(failed)?;
    }
    let worker = || Ok((Protector::new(plan.session, plan.table, effort, source)?, SealedRows::default()));
    let mut workers = (0..plan.jobs.get()).map(|_| worker()).collect::<Result<Vec<_>>>()?;
    let mut total = Tally::default();
    let (mut after, mut next) = (None, 1);
    loop {
        let batch = read_batch(&connection, &table, after.as_deref(), next)?;
        let Some(last) = batch.last() else { break };
        (after, next) = (Some(last.key.clone()), last.number + 1);
        protect_batch(plan, &mut connection, &table, &mut workers, batch, &mut total, observer)?;
        observer.progress(total.rows, 0);
    }
    let changed = !dry && total.changes();
    let mut warnings = table::missing_indexes(&connection, &table, plan.table)?;
    if changed && table.triggers > 0 {
        warnings.push(format!(
            "{} triggers of the table saw the old values; look for copies they made",
            table.triggers
        ));
    }
    if table::number(&connection, &table.count(), &[])? >= next {
        warnings.push("rows were added while the run went on; run again".to_owned());
    }
    if !dry && cleaning == Cleaning::Vacuum {
        clean::clean(&connection, changed, &mut warnings);
    }
    Ok(SqliteReport { tally: total, warnings })
}

/// Reads some fields of a table, by their places in the schema, and hands over the batches.
pub(crate) fn scan(
    schema: &TableSchema,
    file: &Path,
    sql_table: &str,
    fields: &[usize],
    mut take: impl FnMut(&SqlRows<'_>) -> Result<()>,
) -> Result<()> {
    let connection = open(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let table = SqlTable::with_cells(&connection, sql_table, schema, |columns| {
        fields.iter().filter_map(|field| columns.fields.get(*field).copied()).collect()
    })?;
    let (mut after, mut next) = (None, 1);
    loop {
        let rows = read_batch(&connection, &table, after.as_deref(), next)?;
        let Some(last) = rows.last() else { return Ok(()) };
        (after, next) = (Some(last.key.clone()), last.number + 1);
        take(&SqlRows { table: &table, rows: &rows })?;
    }
}

fn open(file: &Path, flags: OpenFlags) -> Result<Connection> {
    let connection =
        Connection::open_with_flags(file, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX).map_err(|error| {
            Error::store(format!("{}: cannot be opened as a SQLite file", file.display()), error)
        })?;
    connection.busy_timeout(PATIENCE).map_err(failed)?;
    Ok(connection)
}

/// Reads rows after a key: up to a batch's rows or bytes.
fn read_batch(
    connection: &Connection,
    table: &SqlTable,
    after: Option<&[KeyPart]>,
    first: u64,
) -> Result<Vec<SqlRow>> {
    let mut statement = connection.prepare_cached(&table.select(after.is_some())).map_err(failed)?;
    let mut found = statement.query(params_from_iter(after.into_iter().flatten())).map_err(failed)?;
    let (mut batch, mut bytes, mut number) = (Vec::new(), 0, first);
    while batch.len() < BATCH_ROWS && bytes < BATCH_BYTES {
        let Some(row) = found.next().map_err(failed)? else { break };
        let row = SqlRow::read(row, table, number)?;
        bytes += row.bytes();
        number += 1;
        batch.push(row);
    }
    Ok(batch)
}

/// Protects a batch, and again those of its rows that others changed meanwhile.
fn protect_batch(
    plan: Plan<'_>,
    connection: &mut Connection,
    table: &SqlTable,
    workers: &mut [(Protector<'_>, SealedRows)],
    mut batch: Vec<SqlRow>,
    total: &mut Tally,
    observer: &mut dyn Observer,
) -> Result<()> {
    for attempt in 1..=ATTEMPTS {
        let part_rows = batch.len().div_ceil(workers.len()).max(WORKER_ROWS);
        seal(table, workers, batch.chunks(part_rows))?;
        let parts = || workers.iter().zip(batch.chunks(part_rows));
        let changes =
            parts().flat_map(|((_, sealed), rows)| changes(table, sealed, rows)).collect::<Vec<_>>();
        let lost = if matches!(plan.task.protecting(), Some((Effort::DryRun, _))) {
            Vec::new()
        } else {
            write(connection, table, &changes)?
        };
        total.masked += changes.iter().map(|change| change.masked).sum::<u64>();
        drop(changes);
        let mut again = Vec::new();
        let primary = plan.session.primary();
        for ((_, sealed), rows) in workers.iter_mut().zip(batch.chunks(part_rows)) {
            for (position, row) in rows.iter().enumerate().filter(|(_, row)| lost.contains(&row.number)) {
                let mut tally = std::mem::take(&mut sealed.tally);
                sealed.uncount(position, primary, &mut tally);
                sealed.tally = tally;
                again.push((row.key.clone(), row.number));
            }
            sealed.faults.iter().try_for_each(|fault| observer.refused(fault))?;
            total.add(&sealed.tally);
        }
        if again.is_empty() {
            return Ok(());
        }
        total.read_again += u64::try_from(again.len()).unwrap_or_default();
        if attempt == ATTEMPTS {
            return refuse_changing(again.iter().map(|(_, number)| *number), total, observer);
        }
        batch = read_again(connection, table, &again)?;
    }
    Ok(())
}

/// Seals the parts of a batch, each on a thread of its own.
fn seal<'r>(
    table: &SqlTable,
    workers: &mut [(Protector<'_>, SealedRows)],
    parts: impl Iterator<Item = &'r [SqlRow]>,
) -> Result<()> {
    thread::scope(|scope| {
        let work = |((protector, sealed), rows): (&'_ mut (Protector<'_>, SealedRows), _)| {
            protector.protect(&SqlRows { table, rows }, sealed)
        };
        let running: Vec<_> =
            workers.iter_mut().zip(parts).map(|part| scope.spawn(move || work(part))).collect();
        running.into_iter().try_for_each(|thread| {
            thread.join().unwrap_or_else(|_| Err(Error::misuse("a thread that seals has panicked")))
        })
    })
}

/// What is to be written to a row.
struct Change<'a> {
    row: &'a SqlRow,
    places: Vec<usize>,
    values: Vec<Value>,
    /// Cells that stay and that a new term or token was made from: they must still be what they were.
    unchanged: Vec<usize>,
    masked: u64,
}

impl<'a> Change<'a> {
    const fn new(row: &'a SqlRow) -> Self {
        Self { row, places: Vec::new(), values: Vec::new(), unchanged: Vec::new(), masked: 0 }
    }
}

/// The rows of a part that change.
fn changes<'a>(table: &SqlTable, sealed: &SealedRows, rows: &'a [SqlRow]) -> Vec<Change<'a>> {
    let mut changes = Vec::new();
    for (position, row) in rows.iter().enumerate().filter(|(position, _)| !sealed.is_refused(*position)) {
        let mut change = Change::new(row);
        for (place, (role, old)) in table.roles.iter().zip(&row.cells).enumerate() {
            let new = match (role, old) {
                (Role::Sealed(field, _), old) => match sealed.cell(position, *field) {
                    NewCell::Envelope(bytes) => Some(rows::sealed(bytes, table.encoding)),
                    NewCell::Absent => (*old != Value::Null).then_some(Value::Null),
                    NewCell::Unchanged => None,
                },
                (Role::Masked(how), Value::Text(text)) => {
                    let shown = how.apply(ValueRef::Text(text));
                    let differs = shown.as_str() != text;
                    change.masked += u64::from(differs);
                    differs.then(|| Value::Text(shown.as_str().to_owned()))
                }
                (Role::Surrogate(column), _) => match sealed.surrogate(position, *column) {
                    NewSurrogate::New(new) => Some(rows::surrogate(new, table.encoding)),
                    NewSurrogate::Empty | NewSurrogate::Kept => None,
                },
                _ => None,
            };
            if let (Role::Surrogate(column), Some(_)) = (role, &new) {
                change.unchanged.extend(table.parts.get(*column).into_iter().flatten());
            }
            change.places.extend(new.is_some().then_some(place));
            change.values.extend(new);
        }
        change.unchanged.retain(|place| !change.places.contains(place));
        if !change.places.is_empty() {
            changes.push(change);
        }
    }
    changes
}

/// Writes a batch in one transaction; gives the numbers of rows that were no longer what had been read.
fn write(connection: &mut Connection, table: &SqlTable, changes: &[Change<'_>]) -> Result<Vec<u64>> {
    if changes.is_empty() {
        return Ok(Vec::new());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    let mut lost = Vec::new();
    let mut kept = Vec::with_capacity(changes.len());
    for change @ Change { row, places, values, unchanged, .. } in changes {
        let mut statement = transaction.prepare_cached(&table.update(places, unchanged)).map_err(failed)?;
        let old = places.iter().chain(unchanged).filter_map(|place| row.cells.get(*place));
        let key = row.key.iter().map(|part| part as &dyn ToSql);
        let rest = row.record.iter().chain(old).map(|value| value as &dyn ToSql);
        let parameters = values.iter().map(|value| value as &dyn ToSql).chain(key).chain(rest);
        let written = statement.execute(params_from_iter(parameters)).map_err(|error| {
            let why =
                "the row cannot be written; does a constraint of a column forbid what is to stand there?";
            Error::store(why, error).at_row(row.number)
        })?;
        if written == 0 {
            lost.push(row.number);
        } else {
            kept.push(change);
        }
    }
    // Only now: a trigger may change rows that were written before its own.
    kept.iter().try_for_each(|change| check_written(&transaction, table, change))?;
    transaction.commit().map_err(failed)?;
    Ok(lost)
}

/// Refuses to go on if a row does not hold what was written to it. The transaction that is dropped then takes the batch back.
fn check_written(connection: &Connection, table: &SqlTable, change: &Change<'_>) -> Result<()> {
    let Change { row, places, values, .. } = change;
    let holds = |places: &[usize], values: &[Value]| -> Result<bool> {
        let mut statement = connection.prepare_cached(&table.holds(places)).map_err(failed)?;
        let key = row.key.iter().map(|part| part as &dyn ToSql);
        let parameters = key.chain(values.iter().map(|value| value as &dyn ToSql));
        statement.query_row(params_from_iter(parameters), |row| row.get(0)).map_err(failed)
    };
    if holds(places, values)? {
        return Ok(());
    }
    let mut fields = Vec::new();
    for (place, value) in places.iter().zip(values) {
        if !holds(&[*place], core::slice::from_ref(value))? {
            fields.extend(table.names.get(*place));
        }
    }
    let reason = std::io::Error::other("the row does not hold what was written to it");
    let what = "a trigger of the database changes what is written; nothing of this batch was kept; change or drop the trigger and run again";
    let error = Error::store(what, reason).at_row(row.number);
    Err(match fields.first() {
        Some(field) => error.at_field(field),
        None => error,
    })
}

fn read_again(
    connection: &Connection,
    table: &SqlTable,
    keys: &[(Vec<KeyPart>, u64)],
) -> Result<Vec<SqlRow>> {
    let mut statement = connection.prepare_cached(&table.select_one()).map_err(failed)?;
    let mut batch = Vec::new();
    for (key, number) in keys {
        let mut found = statement.query(params_from_iter(key)).map_err(failed)?;
        // A row that was deleted meanwhile needs nothing.
        if let Some(row) = found.next().map_err(failed)? {
            batch.push(SqlRow::read(row, table, *number)?);
        }
    }
    Ok(batch)
}

fn refuse_changing(
    numbers: impl Iterator<Item = u64>,
    total: &mut Tally,
    observer: &mut dyn Observer,
) -> Result<()> {
    for number in numbers {
        (total.rows, total.refused_rows) = (total.rows + 1, total.refused_rows + 1);
        let reason = std::io::Error::other("each attempt met a newer value");
        let fault = Error::store("others keep changing the row; run again when they have ended", reason);
        observer.refused(&fault.at_row(number))?;
    }
    Ok(())
}

/// An error of SQLite. Its texts name columns and constraints, never values.
fn failed(error: rusqlite::Error) -> Error {
    Error::store("the SQLite file cannot be read or written", error)
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::unwrap_used)]
mod tests {
    use amanat::Schema;

    use super::*;

    #[test]
    fn a_row_that_another_changed_meanwhile_is_not_overwritten() {
        let schema = "format = \"amanat-schema\"\nversion = 1\n[[table]]\nname = \"t\"\nrecord_id = [\"id\"]\nfield = [{ name = \"a\", mode = \"sealed\" }]\n";
        let schema = Schema::from_toml(schema).unwrap();
        let changed_by_another = [
            "UPDATE t SET a = 'B' WHERE id = 2",
            "UPDATE t SET a = NULL WHERE id = 2",
            "UPDATE t SET a = CAST('b' AS BLOB) WHERE id = 2",
            "UPDATE t SET id = 9 WHERE id = 2",
            "DELETE FROM t WHERE id = 2",
        ];
        for sql in changed_by_another {
            let mut connection = Connection::open_in_memory().unwrap();
            connection.execute_batch("CREATE TABLE t (id TEXT, a TEXT COLLATE NOCASE); INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, NULL)").unwrap();
            let table = SqlTable::read(&connection, "t", &schema.tables()[0]).unwrap();
            let batch = read_batch(&connection, &table, None, 1).unwrap();
            connection.execute_batch(sql).unwrap();
            let change = |row| Change {
                places: vec![0],
                values: vec![Value::Text("new".to_owned())],
                ..Change::new(row)
            };
            let changes: Vec<_> = batch.iter().map(change).collect();
            assert_eq!(write(&mut connection, &table, &changes).unwrap(), [2], "{sql}");
            let count = "SELECT count(*) FROM t WHERE a = 'new'";
            assert_eq!(table::number(&connection, count, &[]).unwrap(), 2, "{sql}");
        }
    }
}
