// SPDX-License-Identifier: MIT OR Apache-2.0
//! The database that an argument names.
//!
//! Owns the choice of the store: everything else works with any. Never shows a password, and takes none from an argument without a warning.

use std::ffi::OsString;
use std::io::{self, Read as _, Write};
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use amanat::TableSchema;
use amanat::error::{Error, Kind};
use amanat_stores::find::PostgresFinder;
use amanat_stores::postgres::{self, PostgresStore, PostgresUrl};
use amanat_stores::run::{Recovery, Sql, Store};
use amanat_stores::sqlite::{self, Cleaning, SqliteLane, SqliteStore};
use amanat_stores::{
    ColumnStatements, FileForm, FindPlan, FindReport, Observer, Plan, ScanPlan, Tally, Visitor, Work,
    secret_file,
};

use crate::fault::{Fault, Result};
use crate::store::Format;
use crate::ui::Ui;

/// What a SQLite file begins with.
const SQLITE_MAGIC: &[u8] = b"SQLite format 3\0";

/// A database.
#[derive(clap::Args)]
pub(crate) struct PlaceArgs {
    /// SQLite file, or address of a PostgreSQL database: `postgres://user@host/database`.
    #[arg(value_name = "STORE")]
    store: String,
    #[command(flatten)]
    door: DoorArgs,
    /// Table of the database, if it has another name than that of the schema: `citizens`, `registry.citizens`.
    #[arg(long, value_name = "NAME")]
    pub(crate) sql_table: Option<String>,
}

/// What opens a database beside its address.
#[derive(Default, clap::Args)]
pub(crate) struct DoorArgs {
    /// File with the password of the database in one line; without it, `PGPASSWORD` and `~/.pgpass` are looked at.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

/// A database that was named.
pub(crate) struct Place {
    /// As the user has written it, without a password.
    name: String,
    base: Base,
    /// What runs over it take from elsewhere.
    work: Arc<Work>,
}

enum Base {
    Postgres(Box<PostgresUrl>),
    Sqlite(PathBuf),
}

/// Whether rows are to be written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Read,
    Write,
}

/// Work over a table, whatever database it is in.
pub(crate) trait OverStore {
    type Output;

    fn over<S: Store>(self, store: &S) -> Result<Self::Output>;
}

impl PlaceArgs {
    /// What was named.
    pub(crate) fn name(&self) -> &str {
        &self.store
    }

    /// The path of a file of rows, if that is what was named by its ending.
    pub(crate) fn file(&self) -> Option<(PathBuf, Format)> {
        let path = PathBuf::from(&self.store);
        let format = Format::by_ending(&path).filter(|format| !matches!(format, Format::Sqlite))?;
        postgres_address(&self.store).is_none().then_some((path, format))
    }

    /// The database, which is there.
    pub(crate) fn place(&self, ui: &Ui) -> Result<Place> {
        self.door.place(&self.store, ui)
    }
}

impl DoorArgs {
    /// The database that a text names.
    pub(crate) fn place(&self, store: &str, ui: &Ui) -> Result<Place> {
        if let Some(address) =
            store.strip_prefix("postgres://").or_else(|| store.strip_prefix("postgresql://"))
        {
            return self.postgres(store, address, ui);
        }
        self.is_of_server(false)?;
        let file = PathBuf::from(store);
        check_sqlite(&file)?;
        Ok(Place { name: store.to_owned(), base: Base::Sqlite(file), work: Arc::default() })
    }

    /// Refuses a password for what has none.
    pub(crate) fn is_of_server(&self, is_server: bool) -> Result<()> {
        if self.password_file.is_some() && !is_server {
            return Err(Fault::new("a file has no password; leave out --password-file"));
        }
        Ok(())
    }

    fn postgres(&self, url: &str, address: &str, ui: &Ui) -> Result<Place> {
        let (name, is_shown) = without_password(address);
        if is_shown {
            ui.warn(
                "the address has a password in it: whoever can list the processes of this machine reads it; use --password-file, PGPASSWORD \
                 or ~/.pgpass",
            );
        }
        let password = self.password_file.as_deref().map(secret_file::read_line).transpose()?;
        let url = PostgresUrl::parse_with(url, |variable| match (&password, variable) {
            (Some(password), "PGPASSWORD") => Some(OsString::from_vec(password.expose().to_vec())),
            _ => std::env::var_os(variable),
        })?;
        if let Some(advice) = url.advice() {
            ui.warn(advice);
        }
        Ok(Place { name, base: Base::Postgres(Box::new(url)), work: Arc::default() })
    }
}

/// What follows the scheme of the address of a PostgreSQL database; `None` for anything else.
pub(crate) fn postgres_address(store: &str) -> Option<&str> {
    store.strip_prefix("postgres://").or_else(|| store.strip_prefix("postgresql://"))
}

/// The address of a database without a password, and whether it had one.
fn without_password(address: &str) -> (String, bool) {
    let (server, rest) = address.split_at(address.find(['/', '?']).unwrap_or(address.len()));
    let (user, host) = server.rsplit_once('@').map_or((None, server), |(user, host)| (Some(user), host));
    let (user, mut shown) = match user.and_then(|user| user.split_once(':')) {
        Some((user, _)) => (Some(user), true),
        None => (user, false),
    };
    let (path, query) = rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query)));
    let pairs = query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    let (secret, open): (Vec<&str>, Vec<&str>) = pairs.partition(|pair| pair.starts_with("password="));
    shown |= !secret.is_empty();
    let user = user.map(|user| format!("{user}@")).unwrap_or_default();
    let query = if open.is_empty() { String::new() } else { format!("?{}", open.join("&")) };
    (format!("postgres://{user}{host}{path}{query}"), shown)
}

impl Place {
    /// The database as an argument of a further command.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The same, for runs that take something from elsewhere.
    pub(crate) fn with_work(mut self, work: &Arc<Work>) -> Self {
        self.work = Arc::clone(work);
        self
    }

    /// What runs over it take from elsewhere.
    pub(crate) const fn work(&self) -> &Arc<Work> {
        &self.work
    }

    /// The statements that add the columns a table lacks, and drop those that the work leaves empty.
    pub(crate) fn column_statements(
        &self,
        sql_table: Option<&str>,
        table: &TableSchema,
    ) -> Result<ColumnStatements> {
        let statements = match &self.base {
            Base::Postgres(url) => postgres::column_statements(url, table, sql_table, &self.work),
            Base::Sqlite(file) => {
                let sql_table = sql_table.unwrap_or(table.name().as_str());
                SqliteStore::new(file, sql_table, table).with_work(&self.work).column_statements()
            }
        };
        statements.map_err(|error| self.fault(error))
    }

    /// Adds the columns that a table lacks.
    pub(crate) fn add_columns(&self, sql_table: Option<&str>, table: &TableSchema) -> Result<()> {
        let added = match &self.base {
            Base::Postgres(url) => postgres::add_columns(url, table, sql_table, &self.work),
            Base::Sqlite(file) => {
                let sql_table = sql_table.unwrap_or(table.name().as_str());
                SqliteStore::new(file, sql_table, table).with_work(&self.work).add_columns()
            }
        };
        added.map(drop).map_err(|error| self.fault(error))
    }

    /// Does some work over a table of the database.
    pub(crate) fn over<W: OverStore>(
        &self,
        sql_table: Option<&str>,
        table: &TableSchema,
        mode: Mode,
        work: W,
    ) -> Result<W::Output> {
        self.over_for(sql_table, table, (mode, &self.work), work)
    }

    /// As [`over`](Self::over), for a run that takes values from elsewhere: columns of an older schema.
    pub(crate) fn over_for<W: OverStore>(
        &self,
        sql_table: Option<&str>,
        table: &TableSchema,
        (mode, taken): (Mode, &Arc<Work>),
        work: W,
    ) -> Result<W::Output> {
        match &self.base {
            Base::Postgres(url) => {
                let store = PostgresStore::open_for(url.as_ref().clone(), table.clone(), sql_table, taken);
                work.over(&store.map_err(|error| self.fault(error))?)
            }
            Base::Sqlite(file) => {
                let sql_table = sql_table.unwrap_or(table.name().as_str());
                let store = SqliteStore::new(file, sql_table, table).with_work(taken);
                if mode == Mode::Write { work.over(&store) } else { work.over(&ReadOnly(&store)) }
            }
        }
    }

    /// The address of a database of a PostgreSQL server; files have ways of their own.
    fn server(&self) -> Result<&PostgresUrl> {
        match &self.base {
            Base::Postgres(url) => Ok(url),
            Base::Sqlite(_) => Err(Fault::new(format!("{} is no PostgreSQL database", self.name))),
        }
    }

    /// Writes the rows of a table of a PostgreSQL server to a file, opened.
    pub(crate) fn reveal(
        &self,
        plan: Plan<'_>,
        sql_table: Option<&str>,
        (form, output): (FileForm, &mut dyn Write),
        observer: &mut dyn Observer,
    ) -> Result<Tally> {
        let revealed = postgres::reveal(plan, (self.server()?, sql_table), (form, output), observer);
        revealed.map_err(|error| {
            let source =
                std::error::Error::source(&error).and_then(|source| source.downcast_ref::<io::Error>());
            match source.filter(|source| source.kind() == io::ErrorKind::BrokenPipe) {
                Some(source) => Fault::stdout(source),
                None => self.fault(error),
            }
        })
    }

    /// Reads every row of a table of a PostgreSQL server.
    pub(crate) fn scan(
        &self,
        plan: ScanPlan<'_>,
        sql_table: Option<&str>,
        visitor: &mut dyn Visitor,
    ) -> Result<Tally> {
        postgres::scan(plan, self.server()?, sql_table, visitor).map_err(|error| self.fault(error))
    }

    /// Finds rows of a table of a PostgreSQL server; with what is worth knowing of the search.
    pub(crate) fn find(
        &self,
        plan: FindPlan<'_>,
        sql_table: Option<&str>,
        values: &[&str],
    ) -> Result<(FindReport, Vec<String>)> {
        let fault = |error| self.fault(error);
        let mut finder = PostgresFinder::open(plan, self.server()?, sql_table).map_err(fault)?;
        let report = finder.find(values).map_err(fault)?;
        Ok((report, finder.warnings().to_vec()))
    }

    /// A connection that knows no table: for the journal. `sql_table` says in which schema of the database it lies.
    pub(crate) fn journal(&self, sql_table: Option<&str>) -> Result<Box<dyn Sql>> {
        match &self.base {
            Base::Postgres(url) => {
                let journal = postgres::journal(url, sql_table);
                Ok(Box::new(journal.map_err(|error| self.fault(error))?))
            }
            Base::Sqlite(file) => Ok(Box::new(sqlite::journal(file).map_err(|error| self.fault(error))?)),
        }
    }

    /// Every journal of the database, whatever schema it stands in.
    pub(crate) fn journals(&self) -> Result<Vec<Box<dyn Sql>>> {
        match &self.base {
            Base::Postgres(url) => {
                let journals = postgres::journals(url).map_err(|error| self.fault(error))?;
                Ok(journals.into_iter().map(|journal| Box::new(journal) as Box<dyn Sql>).collect())
            }
            Base::Sqlite(_) => Ok(vec![self.journal(None)?]),
        }
    }

    /// Removes what the database keeps of values that were replaced; gives what a person should know.
    pub(crate) fn clean(
        &self,
        sql_table: &str,
        table: &TableSchema,
        cleaning: Cleaning,
    ) -> Result<Vec<String>> {
        match &self.base {
            // Dead rows are for VACUUM, which the store's advice names.
            Base::Postgres(_) => Ok(Vec::new()),
            Base::Sqlite(file) => {
                let store = SqliteStore::new(file, sql_table, table);
                store.clean(cleaning, true).map_err(|error| self.fault(error))
            }
        }
    }

    /// An error of the store: one of the data names it.
    pub(crate) fn fault(&self, error: Error) -> Fault {
        let of_data = matches!(error.kind(), Kind::Schema | Kind::Malformed | Kind::Store);
        let fault = Fault::from(error);
        if of_data { fault.about(&self.name) } else { fault }
    }
}

fn check_sqlite(file: &Path) -> Result<()> {
    let failed = |error| Fault::file("read", file, &error);
    let mut start = Vec::new();
    let limit = u64::try_from(SQLITE_MAGIC.len()).unwrap_or_default();
    std::fs::File::open(file).and_then(|file| file.take(limit).read_to_end(&mut start)).map_err(failed)?;
    if start == SQLITE_MAGIC {
        return Ok(());
    }
    Err(Fault::new(format!("{} is no SQLite file", file.display()))
        .help("runs, their journal and their checks are for databases; a file of rows is protected by `amanat protect`"))
}

/// A SQLite file that is opened to be read alone.
struct ReadOnly<'a>(&'a SqliteStore);

impl Store for ReadOnly<'_> {
    type Lane = SqliteLane;

    fn connect(&self) -> amanat::Result<SqliteLane> {
        self.0.connect_read_only()
    }

    fn table_name(&self) -> &str {
        self.0.table_name()
    }

    fn most_lanes(&self) -> usize {
        self.0.most_lanes()
    }

    fn recovery(&self, error: &Error) -> Recovery {
        self.0.recovery(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_told_without_its_password() {
        let told = |address| without_password(address);
        let plain = |text: &str| (format!("postgres://{text}"), false);
        let shown = |text: &str| (format!("postgres://{text}"), true);
        assert_eq!(told("localhost/people"), plain("localhost/people"));
        assert_eq!(
            told("ali@[::1]:5433/people?sslmode=require"),
            plain("ali@[::1]:5433/people?sslmode=require")
        );
        assert_eq!(told("ali:p@ss@host/people"), shown("ali@host/people"));
        assert_eq!(told("host/p?password=x&sslmode=require"), shown("host/p?sslmode=require"));
        assert_eq!(told("ali:secret@host?user=b"), shown("ali@host?user=b"));
    }
}
