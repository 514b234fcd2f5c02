// SPDX-License-Identifier: MIT OR Apache-2.0
//! The vault of vaulted tokens in a SQLite file of its own.
//!
//! Owns the file and its transactions. Never sees a value or a key, never lets two processes add entries at once. SPEC 10.7.

use std::fmt;
use std::io;
use std::path::Path;
use std::time::Duration;

use amanat::error::{Error, Result};
use amanat::index::IndexTerm;
use amanat::token::{Vault, VaultEntry};
use rusqlite::config::DbConfig;
use rusqlite::types::ToSql;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row};

use crate::durable::{Access, PartFile, failed, refused};

/// `application_id` of the file's header: "AmVt".
const APPLICATION: i32 = 0x416d_5674;
/// `user_version`: the form of the table.
const VERSION: i32 = 1;
/// How long another process's section is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often a vault that another process is making is looked for.
const TRIES: u32 = 200;
const PAUSE: Duration = Duration::from_millis(20);

const BODY_BYTES: usize = 16;

const SCHEMA: &str = "
    CREATE TABLE entry (
        body BLOB PRIMARY KEY CHECK (length(body) = 16),
        scope TEXT NOT NULL,
        term BLOB NOT NULL,
        envelope BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE UNIQUE INDEX entry_by_term ON entry (term);";

/// A vault in a file that only its owner may read.
///
/// The file tells whoever reads it how many tokens each recipient has; values are sealed and indexed under the registry's keys. What is
/// removed is overwritten with zeros in the file; copies of the file keep it.
pub struct SqliteVault {
    connection: Connection,
}

impl SqliteVault {
    /// Makes a new vault, which appears whole or not at all.
    ///
    /// # Errors
    /// `Store` if the file exists or cannot be written, or if another process is making it.
    pub fn create(path: &Path) -> Result<Self> {
        let part = PartFile::create(path, Access::Owner)?;
        // Whoever made one before held the same part file, and let it go only when the vault was in place.
        if std::fs::symlink_metadata(path).is_ok() {
            let why = "a vault is never overwritten; open it, or choose another path";
            return Err(refused(path, why, io::ErrorKind::AlreadyExists));
        }
        let connection = Connection::open(part.path()).map_err(|error| unusable(path, error))?;
        let made = connection.execute_batch(SCHEMA);
        let made = made.and_then(|()| connection.pragma_update(None, "application_id", APPLICATION));
        made.and_then(|()| connection.pragma_update(None, "user_version", VERSION))
            .map_err(|error| unusable(path, error))?;
        connection.close().map_err(|(_, error)| unusable(path, error))?;
        part.commit()?;
        Self::open(path)
    }

    /// Opens a vault.
    ///
    /// # Errors
    /// `Store` if the file is not there, cannot be used or is no vault; `Unsupported` for another version.
    pub fn open(path: &Path) -> Result<Self> {
        std::fs::metadata(path).map_err(|error| failed(path, "cannot be read", error))?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(|error| unusable(path, error))?;
        Self::prepare(&connection).map_err(|error| unusable(path, error))?;
        let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
        let application = number("application_id").map_err(|error| unusable(path, error))?;
        let version = number("user_version").map_err(|error| unusable(path, error))?;
        if application != APPLICATION {
            return Err(refused(
                path,
                "is a SQLite file, but no vault of tokens",
                io::ErrorKind::InvalidData,
            ));
        }
        if version != VERSION {
            return Err(Error::unsupported(format!(
                "{}: a vault of version {version}; a newer amanat may know it",
                path.display()
            )));
        }
        Ok(Self { connection })
    }

    /// Opens a vault, or makes it if there is none; of several processes that do this at once one makes it.
    ///
    /// # Errors
    /// As [`open`](Self::open) and [`create`](Self::create).
    pub fn open_or_create(path: &Path) -> Result<Self> {
        for _ in 0..TRIES {
            if std::fs::symlink_metadata(path).is_ok() {
                return Self::open(path);
            }
            match Self::create(path) {
                Err(error) if is_contended(&error) => std::thread::sleep(PAUSE),
                made => return made,
            }
        }
        Self::open(path)
    }

    fn prepare(connection: &Connection) -> rusqlite::Result<()> {
        connection.busy_timeout(PATIENCE)?;
        // Whoever can write the file shall not have code run here.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
        connection.pragma_update(None, "trusted_schema", false)?;
        connection.pragma_update(None, "secure_delete", true)?;
        connection.pragma_update(None, "synchronous", "FULL")
    }

    fn one(&self, sql: &str, parameters: &[&dyn ToSql]) -> Result<Option<VaultEntry>> {
        let mut statement = self.connection.prepare_cached(sql).map_err(unreadable)?;
        let found = statement.query_row(parameters, |row| Ok(entry(row))).optional().map_err(unreadable)?;
        found.transpose()
    }

    fn run(&self, sql: &str, parameters: &[&dyn ToSql]) -> Result<usize> {
        let mut statement = self.connection.prepare_cached(sql).map_err(unwritable)?;
        statement.execute(parameters).map_err(unwritable)
    }
}

impl Vault for SqliteVault {
    fn begin(&mut self) -> Result<()> {
        self.run("BEGIN IMMEDIATE", &[]).map(|_| ())
    }

    fn commit(&mut self) -> Result<()> {
        self.run("COMMIT", &[]).map(|_| ())
    }

    fn roll_back(&mut self) {
        // If it fails, the section has ended already, or ends with the connection.
        let _ = self.run("ROLLBACK", &[]);
    }

    fn by_terms(&mut self, terms: &[IndexTerm]) -> Result<Vec<VaultEntry>> {
        let sql = "SELECT body, scope, term, envelope FROM entry WHERE term = ?1";
        let found = terms.iter().map(|term| self.one(sql, &[&term.as_bytes()]));
        found.filter_map(Result::transpose).collect()
    }

    fn by_body(&mut self, body: &[u8; BODY_BYTES]) -> Result<Option<VaultEntry>> {
        self.one("SELECT body, scope, term, envelope FROM entry WHERE body = ?1", &[&body.as_slice()])
    }

    fn tags(&mut self) -> Result<Vec<u8>> {
        let sql = "SELECT substr(term, 1, 1) FROM entry WHERE term >= ?1 ORDER BY term LIMIT 1";
        let mut statement = self.connection.prepare_cached(sql).map_err(unreadable)?;
        let (mut tags, mut from) = (Vec::new(), Some(0));
        // Each query begins behind the tag before, whatever terms somebody has put into the file: the loop ends.
        while let Some(least) = from {
            let found = statement.query_row([[least].as_slice()], |row| row.get::<_, Vec<u8>>(0));
            let found = found.optional().map_err(unreadable)?;
            let Some(tag) = found.and_then(|tag| tag.first().copied()) else { break };
            tags.push(tag);
            from = tag.checked_add(1);
        }
        Ok(tags)
    }

    fn insert(&mut self, entry: &VaultEntry) -> Result<()> {
        let VaultEntry { body, scope, term, envelope, .. } = entry;
        let sql = "INSERT INTO entry (body, scope, term, envelope) VALUES (?1, ?2, ?3, ?4)";
        self.run(sql, &[&body.as_slice(), scope, &term.as_bytes(), envelope]).map(|_| ())
    }

    fn replace(&mut self, old: &VaultEntry, new: &VaultEntry) -> Result<bool> {
        let sql = "UPDATE entry SET scope = ?1, term = ?2, envelope = ?3 \
                   WHERE body = ?4 AND scope = ?5 AND term = ?6 AND envelope = ?7";
        let changed = self.run(
            sql,
            &[
                &new.scope,
                &new.term.as_bytes(),
                &new.envelope,
                &old.body.as_slice(),
                &old.scope,
                &old.term.as_bytes(),
                &old.envelope,
            ],
        )?;
        Ok(changed == 1)
    }

    fn remove(&mut self, body: &[u8; BODY_BYTES]) -> Result<bool> {
        self.run("DELETE FROM entry WHERE body = ?1", &[&body.as_slice()]).map(|removed| removed == 1)
    }

    fn page(
        &mut self,
        scope: &str,
        after: Option<&[u8; BODY_BYTES]>,
        count: usize,
    ) -> Result<Vec<VaultEntry>> {
        let sql = "SELECT body, scope, term, envelope FROM entry \
                   WHERE body > ?1 AND scope = ?2 ORDER BY body LIMIT ?3";
        let after = after.map_or(&[][..], |body| body.as_slice());
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let mut statement = self.connection.prepare_cached(sql).map_err(unreadable)?;
        let rows = statement.query_map((after, scope, count), |row| Ok(entry(row))).map_err(unreadable)?;
        rows.map(|row| row.map_err(unreadable).and_then(|entry| entry)).collect()
    }

    fn scopes(&mut self) -> Result<Vec<String>> {
        let mut statement =
            self.connection.prepare("SELECT DISTINCT scope FROM entry ORDER BY scope").map_err(unreadable)?;
        let rows = statement.query_map([], |row| row.get(0)).map_err(unreadable)?;
        rows.collect::<rusqlite::Result<_>>().map_err(unreadable)
    }
}

impl fmt::Debug for SqliteVault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SqliteVault")
    }
}

/// Reads a row of body, scope, term and envelope.
fn entry(row: &Row<'_>) -> Result<VaultEntry> {
    let body = row.get(0).map_err(unreadable)?;
    let term = row.get_ref(2).map_err(unreadable)?;
    let term = term.as_blob().map_err(|_| Error::malformed("an entry of the vault holds no index term"))?;
    let (scope, envelope) = (row.get(1).map_err(unreadable)?, row.get(3).map_err(unreadable)?);
    Ok(VaultEntry::new(body, scope, IndexTerm::from_bytes(term)?, envelope))
}

/// Whether somebody else is making the vault, or has just made it.
fn is_contended(error: &Error) -> bool {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<io::Error>());
    source.is_some_and(|source| {
        matches!(source.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::AlreadyExists)
    })
}

fn unusable(path: &Path, error: rusqlite::Error) -> Error {
    Error::store(format!("{}: cannot be used as a vault", path.display()), error)
}

fn unreadable(error: rusqlite::Error) -> Error {
    Error::store("the vault cannot be read", error)
}

fn unwritable(error: rusqlite::Error) -> Error {
    Error::store("the vault cannot be written, or another process held it for more than 30 seconds", error)
}
