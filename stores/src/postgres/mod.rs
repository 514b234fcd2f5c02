// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tables of PostgreSQL servers: protected and rotated while applications go on using them (SPEC 11).
//!
//! Owns connections, the look at the catalogs, and the compare-and-swap that loses no concurrent write. Never locks a table, never changes a
//! column, a trigger or a setting of the database.

mod advice;
mod alter;
mod catalog;
mod counts;
mod error;
mod fit;
mod journal;
mod lane;
mod lookup;
mod passfile;
mod reveal;
mod rows;
mod scan;
mod split;
mod statements;
pub mod swap;
mod table;
mod tls;
mod url;
mod write;

pub use alter::{add_columns, column_statements};
pub use journal::{PostgresJournal, journal, journals};
pub use lane::PostgresLane;
pub(crate) use lookup::Lookup;
pub use reveal::reveal;
pub use rows::PgBatch;
pub use scan::scan;
pub use url::PostgresUrl;

use std::fmt;
use std::sync::Arc;

use amanat::error::{Error, Result};
use amanat::schema::TableSchema;
use postgres::Client;

use self::error::failed;
use self::table::PgTable;
use crate::migration::Work;
use crate::run::{Recovery, Store};

/// More lanes than this only wait for one another.
const MOST_LANES: usize = 64;

/// A table of a PostgreSQL database, protected in place.
///
/// Applications may go on reading and writing it: a batch locks its rows for as long as it is written, and no longer.
pub struct PostgresStore {
    url: PostgresUrl,
    schema: TableSchema,
    /// As it was found, with its schema.
    name: String,
    oid: u32,
    work: Arc<Work>,
}

impl PostgresStore {
    /// Connects and looks at a table. `sql_table` is its name as SQL writes it, `registry."Citizens"`; without one it is the schema's table,
    /// found by the `search_path`.
    ///
    /// # Errors
    /// `Store` if there is no connection; `Schema` if table and schema do not fit: the message has the statements that mend it.
    pub fn open(url: PostgresUrl, schema: TableSchema, sql_table: Option<&str>) -> Result<Self> {
        Self::open_for(url, schema, sql_table, &Arc::default())
    }

    /// As [`open`](Self::open), for a run that takes something from elsewhere: `work` is that of its session.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_for(
        url: PostgresUrl,
        schema: TableSchema,
        sql_table: Option<&str>,
        work: &Arc<Work>,
    ) -> Result<Self> {
        let name = sql_table.map_or_else(|| table::quote(schema.name().as_str()), str::to_owned);
        let mut client = session(&url)?;
        let table = PgTable::read(&mut client, &name, &schema, work)?;
        Ok(Self { url, schema, name: table.told, oid: table.oid, work: Arc::clone(work) })
    }
}

/// A connection that is set for work on tables.
fn session(url: &PostgresUrl) -> Result<Client> {
    let mut client = url.connect()?;
    client.batch_execute(lane::SETTINGS).map_err(failed)?;
    // A run remembers what it has committed: a crash of the server must not take that back, whatever its settings.
    let durable = "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'";
    client.batch_execute(durable).map_err(failed)?;
    Ok(client)
}

impl Store for PostgresStore {
    type Lane = PostgresLane;

    fn connect(&self) -> Result<Self::Lane> {
        let mut client = session(&self.url)?;
        let table = PgTable::read(&mut client, &self.name, &self.schema, &self.work)?;
        if table.oid != self.oid {
            return Err(Error::schema(format!(
                "{} is another table than it was at the start: it was dropped or replaced; look at what was done and run again",
                self.name
            )));
        }
        Ok(PostgresLane::new(client, table, self.url.advice()))
    }

    fn table_name(&self) -> &str {
        &self.name
    }

    fn most_lanes(&self) -> usize {
        MOST_LANES
    }

    fn recovery(&self, error: &Error) -> Recovery {
        error::recovery(error)
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresStore({} of {:?})", self.name, self.url)
    }
}
