// SPDX-License-Identifier: MIT OR Apache-2.0
//! Columns of a PostgreSQL table that a change of its schema needs or leaves behind.
//!
//! Owns the adding of columns. Never drops one.

use amanat::error::Result;
use amanat::schema::TableSchema;
use postgres::Client;

use super::catalog::{self, Relation};
use super::error::failed;
use super::table::quote;
use super::{PostgresUrl, session};
use crate::migration::Work;
use crate::new_columns::{ColumnStatements, Dialect, FoundColumn};

const FOUND: &str = "SELECT a.attname::text, a.attnotnull FROM pg_attribute a WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped \
                     ORDER BY a.attnum";

/// The statements that add the columns which the schema has and the table lacks, and those that drop what the work leaves empty. `sql_table` is
/// as in [`PostgresStore::open`](super::PostgresStore::open).
///
/// # Errors
/// `Store` if there is no connection; `Schema` if there is no such table, or if a column that is to be emptied must hold something.
pub fn column_statements(
    url: &PostgresUrl,
    schema: &TableSchema,
    sql_table: Option<&str>,
    work: &Work,
) -> Result<ColumnStatements> {
    statements(&mut session(url)?, schema, sql_table, work)
}

/// Adds the columns that the table lacks, all or none. Gives the statements that did it.
///
/// # Errors
/// As [`column_statements`]; `Store` if the user may not change the table, or if others keep it locked.
pub fn add_columns(
    url: &PostgresUrl,
    schema: &TableSchema,
    sql_table: Option<&str>,
    work: &Work,
) -> Result<Vec<String>> {
    let mut client = session(url)?;
    let ColumnStatements { add, .. } = statements(&mut client, schema, sql_table, work)?;
    if !add.is_empty() {
        // Statements of one message are one transaction.
        client.batch_execute(&add.join(" ")).map_err(failed)?;
    }
    Ok(add)
}

fn statements(
    client: &mut Client,
    schema: &TableSchema,
    sql_table: Option<&str>,
    work: &Work,
) -> Result<ColumnStatements> {
    let name = sql_table.map_or_else(|| quote(schema.name().as_str()), str::to_owned);
    let Relation { oid, name, .. } = catalog::relation(client, &name)?;
    let rows = client.query(FOUND, &[&oid]).map_err(failed)?;
    let found = rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
    let found: Vec<FoundColumn> =
        found.collect::<std::result::Result<_, postgres::Error>>().map_err(failed)?;
    let dialect = Dialect { table: &name, quote, bytes: "bytea", integer: "bigint", boolean: "boolean" };
    ColumnStatements::new(schema, work, &found, &dialect)
}
