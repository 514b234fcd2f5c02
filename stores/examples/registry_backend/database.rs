// SPDX-License-Identifier: MIT OR Apache-2.0
//! The service's own statements, over SQLite or PostgreSQL: names and values go in, rows come out.

use std::time::Duration;

use amanat::error::{Error, Result};
use amanat_stores::{RowWrite, StoredRow, StoredValue};
use rusqlite::Connection;

const TABLE: &str = "CREATE TABLE IF NOT EXISTS citizens
        (id TEXT PRIMARY KEY, cnic TEXT, name TEXT, district BIGINT, cnic_index TEXT, name_index TEXT);
    CREATE INDEX IF NOT EXISTS citizens_by_cnic ON citizens (cnic_index);
    CREATE INDEX IF NOT EXISTS citizens_by_name ON citizens (name_index);";
const COLUMNS: [&str; 6] = ["id", "cnic", "name", "district", "cnic_index", "name_index"];
/// A run holds the file of SQLite for as long as a batch takes.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) enum Database {
    Sqlite(Box<Connection>),
    #[cfg(feature = "postgres")]
    Postgres(Box<postgres::Client>),
}

impl Database {
    pub(crate) fn open(target: &str) -> Result<Self> {
        if target.starts_with("postgres://") || target.starts_with("postgresql://") {
            return Self::open_postgres(target);
        }
        let connection = Connection::open(target).map_err(refused)?;
        connection.busy_timeout(PATIENCE).map_err(refused)?;
        // Readers then never wait for a writer.
        connection.pragma_update(None, "journal_mode", "wal").map_err(refused)?;
        connection.pragma_update(None, "synchronous", "normal").map_err(refused)?;
        Ok(Self::Sqlite(Box::new(connection)))
    }

    #[cfg(feature = "postgres")]
    fn open_postgres(target: &str) -> Result<Self> {
        // The server is on this machine in the example; elsewhere this needs TLS.
        postgres::Client::connect(target, postgres::NoTls)
            .map(|client| Self::Postgres(Box::new(client)))
            .map_err(refused)
    }

    #[cfg(not(feature = "postgres"))]
    fn open_postgres(_: &str) -> Result<Self> {
        Err(Error::unsupported("built without PostgreSQL; build with the feature `postgres`"))
    }

    pub(crate) fn create(&mut self) -> Result<()> {
        match self {
            Self::Sqlite(connection) => connection.execute_batch(TABLE).map_err(refused),
            #[cfg(feature = "postgres")]
            Self::Postgres(client) => client.batch_execute(TABLE).map_err(refused),
        }
    }

    /// Rows whose column holds one of the values: one statement, so that all of it is seen at one moment.
    pub(crate) fn rows(&mut self, column: &str, values: &[StoredValue]) -> Result<Vec<StoredRow>> {
        let places: Vec<String> = (1..=values.len()).map(|place| format!("${place}")).collect();
        let sql =
            format!("SELECT {} FROM citizens WHERE {column} IN ({})", COLUMNS.join(", "), places.join(", "));
        match self {
            Self::Sqlite(connection) => sqlite::rows(connection, &sql, values),
            #[cfg(feature = "postgres")]
            Self::Postgres(client) => server::rows(client, &sql, values),
        }
    }

    /// False if the record id is taken.
    pub(crate) fn insert(&mut self, write: &RowWrite) -> Result<bool> {
        let sql = format!("{} ON CONFLICT (id) DO NOTHING", write.insert_sql("citizens"));
        self.write(&sql, write)
    }

    /// False if the row is not as it was read any more.
    pub(crate) fn update(&mut self, write: &RowWrite) -> Result<bool> {
        self.write(&write.update_sql("citizens")?, write)
    }

    pub(crate) fn delete(&mut self, write: &RowWrite) -> Result<bool> {
        self.write(&write.delete_sql("citizens")?, write)
    }

    fn write(&mut self, sql: &str, write: &RowWrite) -> Result<bool> {
        let changed = match self {
            Self::Sqlite(connection) => sqlite::write(connection, sql, write)?,
            #[cfg(feature = "postgres")]
            Self::Postgres(client) => server::write(client, sql, write)?,
        };
        Ok(changed == 1)
    }
}

mod sqlite {
    use amanat::error::Result;
    use amanat_stores::{RowWrite, StoredRow, StoredValue};
    use rusqlite::types::{ToSqlOutput, ValueRef};
    use rusqlite::{Connection, params_from_iter};

    use super::{COLUMNS, refused};

    pub(super) fn rows(connection: &Connection, sql: &str, values: &[StoredValue]) -> Result<Vec<StoredRow>> {
        let mut statement = connection.prepare_cached(sql).map_err(refused)?;
        let mut found = statement.query(params_from_iter(values.iter().map(parameter))).map_err(refused)?;
        let mut rows = Vec::new();
        while let Some(row) = found.next().map_err(refused)? {
            let mut cells = Vec::new();
            for column in COLUMNS {
                let cell = match row.get_ref(column).map_err(refused)? {
                    ValueRef::Null => StoredValue::Null,
                    ValueRef::Integer(number) => StoredValue::Integer(number),
                    ValueRef::Text(text) => StoredValue::Text(String::from_utf8_lossy(text).into_owned()),
                    ValueRef::Real(_) => StoredValue::Null,
                    ValueRef::Blob(bytes) => StoredValue::Bytes(bytes.to_vec()),
                };
                cells.push((column.to_owned(), cell));
            }
            rows.push(StoredRow::new(cells));
        }
        Ok(rows)
    }

    pub(super) fn write(connection: &Connection, sql: &str, write: &RowWrite) -> Result<usize> {
        let mut statement = connection.prepare_cached(sql).map_err(refused)?;
        statement.execute(params_from_iter(write.values().map(parameter))).map_err(refused)
    }

    fn parameter(value: &StoredValue) -> ToSqlOutput<'_> {
        ToSqlOutput::Borrowed(match value {
            StoredValue::Text(text) => ValueRef::Text(text.as_bytes()),
            StoredValue::Bytes(bytes) => ValueRef::Blob(bytes),
            StoredValue::Integer(number) => ValueRef::Integer(*number),
            StoredValue::Boolean(truth) => ValueRef::Integer(i64::from(*truth)),
            _ => ValueRef::Null,
        })
    }
}

#[cfg(feature = "postgres")]
mod server {
    use amanat::error::Result;
    use amanat_stores::{RowWrite, StoredRow, StoredValue};
    use postgres::Client;
    use postgres::types::ToSql;

    use super::{COLUMNS, refused};

    pub(super) fn rows(client: &mut Client, sql: &str, values: &[StoredValue]) -> Result<Vec<StoredRow>> {
        let parameters: Vec<&(dyn ToSql + Sync)> = values.iter().filter_map(parameter).collect();
        let mut rows = Vec::new();
        for row in client.query(sql, &parameters).map_err(refused)? {
            let mut cells = Vec::new();
            for column in COLUMNS {
                let cell = if column == "district" {
                    row.try_get::<_, Option<i64>>(column).map_err(refused)?.map(StoredValue::Integer)
                } else {
                    row.try_get::<_, Option<String>>(column).map_err(refused)?.map(StoredValue::Text)
                };
                cells.push((column.to_owned(), cell.unwrap_or(StoredValue::Null)));
            }
            rows.push(StoredRow::new(cells));
        }
        Ok(rows)
    }

    pub(super) fn write(client: &mut Client, sql: &str, write: &RowWrite) -> Result<usize> {
        let parameters: Vec<&(dyn ToSql + Sync)> = write.values().filter_map(parameter).collect();
        let changed = client.execute(sql, &parameters).map_err(refused)?;
        Ok(usize::try_from(changed).unwrap_or(usize::MAX))
    }

    fn parameter(value: &StoredValue) -> Option<&(dyn ToSql + Sync)> {
        match value {
            StoredValue::Text(text) => Some(text),
            StoredValue::Bytes(bytes) => Some(bytes),
            StoredValue::Integer(number) => Some(number),
            StoredValue::Boolean(truth) => Some(truth),
            _ => None,
        }
    }
}

fn refused(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::store("the database refused", error)
}
