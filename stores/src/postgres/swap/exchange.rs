// SPDX-License-Identifier: MIT OR Apache-2.0
//! The transaction in which the copy takes the table's place, and its rehearsal with an empty copy before anything is copied.
//!
//! Owns the proof that nothing is lost with the exchange: both tables are portrayed, and one difference takes all of it back. Never commits.

use amanat::error::{Error, Result};
use postgres::Client;

use super::build::{self, Built, oid_of, quiet};
use super::changes;
use super::names::Names;
use super::portrait::{Portrait, cannot};
use super::script::Script;
use crate::postgres::error::{failed, recovery};
use crate::postgres::table::PgTable;
use crate::run::Recovery;

/// Makes the copy and the trigger, in the transaction that is open; gives the copy's id.
pub(super) fn prepare(client: &mut Client, names: &Names, table: &PgTable) -> Result<u32> {
    // Whoever writes has ended when the lock is there, and whoever comes later is noted.
    client
        .batch_execute(&format!("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE", names.live()))
        .map_err(failed)?;
    let copy = build::create(client, names, table.oid)?;
    changes::install(client, names, table)?;
    Ok(copy)
}

/// Puts the copy in the place of the table, in the transaction that is open and holds the lock.
pub(super) fn exchange(client: &mut Client, names: &Names, table: &PgTable, copy: u32) -> Result<Script> {
    quiet(client)?;
    let before = Portrait::of(client, table.oid)?;
    before.check(&table.told)?;
    let script = Script::write(client, names, table.oid, copy)?;
    run(client, table, &[changes::removal(names, &names.live())])?;
    run(client, table, &script.forth)?;
    Portrait::of(client, copy)?.check_same(&before, &table.told)?;
    run(
        client,
        table,
        &[
            script.function(names),
            format!("REVOKE ALL ON FUNCTION {}() FROM PUBLIC", names.qualified(&names.back())),
        ],
    )?;
    Ok(script)
}

/// Does all of it with an empty copy, there and back, in the transaction that is open, which the caller takes back: what the server or the
/// portraits do not allow is found before a row is copied.
pub(super) fn rehearse(client: &mut Client, names: &Names, table: &PgTable) -> Result<()> {
    client.batch_execute(&format!("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", names.live())).map_err(failed)?;
    if oid_of(client, &names.qualified(&names.old()))?.is_some() {
        return Err(cannot(
            &table.told,
            &format!(
                "{} is there already; if it is of an earlier swap that you trust, drop it first",
                names.qualified(&names.old())
            ),
        ));
    }
    quiet(client)?;
    let before = Portrait::of(client, table.oid)?;
    before.check(&table.told)?;
    client.batch_execute("SET LOCAL search_path TO DEFAULT").map_err(failed)?;
    let key = key_index(client, table)?;
    let made = prepare(client, names, table)
        .and_then(|copy| {
            build::indexes(client, names, table.oid, &key, Built::Key)?;
            build::indexes(client, names, table.oid, &key, Built::Others)?;
            Ok(copy)
        })
        .map_err(|error| told(error, table));
    exchange(client, names, table, made?)?;
    run(client, table, &[format!("SELECT {}()", names.qualified(&names.back()))])?;
    Portrait::of(client, table.oid)?.check_same(&before, &table.told)
}

/// Name of the index in whose order rows are read.
pub(super) fn key_index(client: &mut Client, table: &PgTable) -> Result<String> {
    let sql = "SELECT c.relname::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am m ON m.oid = c.relam \
               WHERE i.indrelid = $1 AND m.amname = 'btree' AND i.indisunique AND i.indisvalid AND i.indislive \
               AND (i.indisprimary OR i.indimmediate) AND i.indpred IS NULL AND i.indexprs IS NULL \
               AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey) AND NOT a.attnotnull) \
               ORDER BY i.indisprimary DESC, i.indnkeyatts, i.indexrelid LIMIT 1";
    let row = client.query_opt(sql, &[&table.oid]).map_err(failed)?;
    row.ok_or_else(|| Error::schema("the table has lost its key; cancel the run and start a new one"))?
        .try_get(0)
        .map_err(failed)
}

fn run(client: &mut Client, table: &PgTable, statements: &[String]) -> Result<()> {
    statements
        .iter()
        .try_for_each(|statement| client.batch_execute(statement).map_err(|error| told(failed(error), table)))
}

/// What the server does not allow is a reason to take the live mode; what may pass is not.
fn told(error: Error, table: &PgTable) -> Error {
    if recovery(&error) != Recovery::Stop {
        return error;
    }
    let source = std::error::Error::source(&error).map(|source| format!(" ({source})")).unwrap_or_default();
    cannot(&table.told, &format!("{}{source}", error.message()))
}
