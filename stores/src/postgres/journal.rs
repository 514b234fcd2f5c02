// SPDX-License-Identifier: MIT OR Apache-2.0
//! Plain statements over a PostgreSQL database: all that the journal of runs needs.
//!
//! Owns the connection that knows no table, for whoever asks what a run is at. Never reads a row of a protected table.

use std::fmt;

use amanat::error::{Error, Result};
use postgres::types::{ToSql, Type};
use postgres::{Client, Row};

use super::error::failed;
use super::{PostgresUrl, session};
use crate::run::{Parameter, Sql, SqlCell};

/// Most journals of a database that are told by name.
const MOST_TOLD: usize = 10;

/// A connection to the journal of runs in a PostgreSQL database, without a table and its schema.
pub struct PostgresJournal {
    client: Client,
    prefix: String,
    is_open: bool,
}

/// Opens a connection to the journal beside a table, named as SQL writes it; without a table, to the only journal of the database. Where there
/// is none, the connection is to where the `search_path` would have it.
///
/// # Errors
/// `Store` if there is no connection; `Schema` if the database has no such table, or several journals and no table was named.
pub fn journal(url: &PostgresUrl, sql_table: Option<&str>) -> Result<PostgresJournal> {
    let mut client = session(url)?;
    let sql = match sql_table {
        Some(_) => {
            "SELECT quote_ident(n.nspname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass($1)"
        }
        None => {
            "SELECT quote_ident(n.nspname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
                 WHERE c.relname = $1 AND c.relkind = 'r' ORDER BY 1"
        }
    };
    let named = sql_table.unwrap_or("amanat_run");
    let rows = client.query_typed(sql, &[(&named, Type::TEXT)]).map_err(failed)?;
    let found = rows.iter().map(|row| row.try_get(0).map_err(failed)).collect::<Result<Vec<String>>>()?;
    let prefix = match (found.as_slice(), sql_table) {
        ([schema], _) => format!("{schema}."),
        ([], None) => String::new(),
        ([], Some(_)) => {
            return Err(Error::schema(
                "the database has no table of this name; name it with its schema: registry.citizens",
            ));
        }
        (several, _) => {
            let told: Vec<&str> = several.iter().take(MOST_TOLD).map(String::as_str).collect();
            let told = told.join(", ");
            return Err(Error::schema(format!(
                "several schemas of the database have a journal of runs: {told}; name the table with its schema"
            )));
        }
    };
    Ok(PostgresJournal { client, prefix, is_open: false })
}

/// Opens a connection to each journal of the database, whatever schema it stands in.
///
/// # Errors
/// `Store` if there is no connection.
pub fn journals(url: &PostgresUrl) -> Result<Vec<PostgresJournal>> {
    let sql = "SELECT quote_ident(n.nspname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
               WHERE c.relname = 'amanat_run' AND c.relkind = 'r' ORDER BY 1";
    let rows = session(url)?.query_typed(sql, &[]).map_err(failed)?;
    let open = |row: &Row| {
        let schema: String = row.try_get(0).map_err(failed)?;
        Ok(PostgresJournal { client: session(url)?, prefix: format!("{schema}."), is_open: false })
    };
    rows.iter().map(open).collect()
}

impl Sql for PostgresJournal {
    fn execute(&mut self, sql: &str, parameters: &[Parameter<'_>]) -> Result<u64> {
        execute(&mut self.client, sql, parameters)
    }

    fn query(&mut self, sql: &str, parameters: &[Parameter<'_>]) -> Result<Vec<Vec<SqlCell>>> {
        query(&mut self.client, sql, parameters)
    }

    fn begin(&mut self) -> Result<()> {
        begin(&mut self.client, &mut self.is_open)
    }

    fn commit(&mut self) -> Result<()> {
        commit(&mut self.client, &mut self.is_open)
    }

    fn rollback(&mut self) -> Result<()> {
        rollback(&mut self.client, &mut self.is_open)
    }

    fn now(&mut self) -> Result<i64> {
        now(&mut self.client)
    }

    fn prefix(&self) -> &str {
        &self.prefix
    }
}

impl fmt::Debug for PostgresJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PostgresJournal")
    }
}

pub(super) fn execute(client: &mut Client, sql: &str, parameters: &[Parameter<'_>]) -> Result<u64> {
    let values = values(parameters);
    let typed: Vec<_> = values.iter().map(Value::typed).collect();
    client.execute_typed(sql, &typed).map_err(failed)
}

pub(super) fn query(
    client: &mut Client,
    sql: &str,
    parameters: &[Parameter<'_>],
) -> Result<Vec<Vec<SqlCell>>> {
    let values = values(parameters);
    let typed: Vec<_> = values.iter().map(Value::typed).collect();
    let rows = client.query_typed(sql, &typed).map_err(failed)?;
    rows.iter().map(|row| (0..row.len()).map(|place| cell(row, place)).collect()).collect()
}

pub(super) fn begin(client: &mut Client, is_open: &mut bool) -> Result<()> {
    *is_open = true;
    client.batch_execute("BEGIN ISOLATION LEVEL READ COMMITTED").map_err(failed)
}

pub(super) fn commit(client: &mut Client, is_open: &mut bool) -> Result<()> {
    // The COMMIT of a transaction that has failed takes it back and is no error; the SELECT is one, and nothing after it is run.
    client.batch_execute("SELECT 1; COMMIT").map_err(failed)?;
    *is_open = false;
    Ok(())
}

pub(super) fn rollback(client: &mut Client, is_open: &mut bool) -> Result<()> {
    if !std::mem::take(is_open) {
        return Ok(());
    }
    client.batch_execute("ROLLBACK").map_err(failed)
}

pub(super) fn now(client: &mut Client) -> Result<i64> {
    let sql = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint";
    client.query_typed_one(sql, &[]).map_err(failed)?.try_get(0).map_err(failed)
}

/// A parameter as the client takes it.
enum Value<'a> {
    Integer(i64),
    Text(Option<&'a str>),
}

impl Value<'_> {
    fn typed(&self) -> (&(dyn ToSql + Sync), Type) {
        match self {
            Self::Integer(number) => (number, Type::INT8),
            Self::Text(text) => (text, Type::TEXT),
        }
    }
}

fn values<'a>(parameters: &[Parameter<'a>]) -> Vec<Value<'a>> {
    let value = |parameter: &Parameter<'a>| match parameter {
        Parameter::Integer(number) => Value::Integer(*number),
        Parameter::Null => Value::Text(None),
        Parameter::Text(text) => Value::Text(Some(text)),
    };
    parameters.iter().map(value).collect()
}

fn cell(row: &Row, place: usize) -> Result<SqlCell> {
    let is_number = row.columns().get(place).is_some_and(|column| *column.type_() == Type::INT8);
    Ok(if is_number {
        row.try_get::<_, Option<i64>>(place).map_err(failed)?.map_or(SqlCell::Null, SqlCell::Integer)
    } else {
        row.try_get::<_, Option<String>>(place).map_err(failed)?.map_or(SqlCell::Null, SqlCell::Text)
    })
}
