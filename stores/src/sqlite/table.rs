// SPDX-License-Identifier: MIT OR Apache-2.0
//! A table of a SQLite file: its columns, its key, and the statements that read and write it.
//!
//! Owns every piece of SQL that names something of the user's; each name is quoted.

use std::fmt::Write as _;

use amanat::error::{Error, Result};
use amanat::ident::Name;
use amanat::schema::{Encoding, TableSchema};
use rusqlite::{Connection, ToSql};

use super::failed;
use crate::columns::{Columns, Role};

/// How SQLite lets the rowid be called, unless a column has the name.
const ROWID_NAMES: [&str; 3] = ["rowid", "_rowid_", "oid"];

/// A table and the columns of it that matter.
#[derive(Debug)]
pub(super) struct SqlTable {
    /// Quoted name.
    name: String,
    /// Quoted columns in whose order rows are read: the rowid, or the primary key of a table without one.
    pub(super) key: Vec<String>,
    /// Quoted columns of the record id.
    pub(super) record: Vec<String>,
    /// Quoted columns that are read and written.
    pub(super) cells: Vec<String>,
    /// What each of `cells` is for.
    pub(super) roles: Vec<Role>,
    pub(super) encoding: Encoding,
    /// Name of the field, index or token of each of `cells`.
    pub(super) names: Vec<Name>,
    /// Place among `cells` of each field of the schema.
    pub(super) fields: Vec<Option<usize>>,
    /// Place among `cells` of each sealed field.
    pub(super) sealed: Vec<Option<usize>>,
    /// Place among `cells` of each index or kept token.
    pub(super) surrogates: Vec<Option<usize>>,
    /// Triggers that see the rows as they are written.
    pub(super) triggers: u64,
}

impl SqlTable {
    /// Looks at a table and matches its columns to the schema: what is sealed, masked, indexed or tokenised is read and written.
    pub(super) fn read(connection: &Connection, name: &str, schema: &TableSchema) -> Result<Self> {
        Self::with_cells(connection, name, schema, |columns| {
            let sealed = columns.sealed.iter().map(|(place, _)| *place);
            let masked = columns.roles.iter().enumerate().filter(|(_, role)| matches!(role, Role::Masked(_)));
            let kept = sealed.chain(masked.map(|(place, _)| place));
            kept.chain(columns.surrogates.iter().copied().flatten()).collect()
        })
    }

    /// As [`read`](Self::read), for a reader of some columns alone.
    pub(super) fn with_cells(
        connection: &Connection,
        name: &str,
        schema: &TableSchema,
        choose: impl FnOnce(&Columns) -> Vec<usize>,
    ) -> Result<Self> {
        let is_table = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?1";
        if number(connection, is_table, &[&name])? == 0 {
            return Err(Error::schema("the SQLite file has no table of this name; name it with --sql-table"));
        }
        let found =
            list(connection, "SELECT name FROM pragma_table_xinfo(?1) WHERE hidden <> 1 ORDER BY cid", name)?;
        let borrowed: Vec<&str> = found.iter().map(String::as_str).collect();
        let columns = Columns::new(schema, &borrowed)?;
        let column = |place: &usize| found.get(*place).map(|name| quote(name)).unwrap_or_default();
        let places = choose(&columns);
        let cell = |place: usize| places.iter().position(|chosen| *chosen == place);
        let triggers =
            "SELECT count(*) FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ?1 COLLATE NOCASE";
        let key = key(connection, name, &borrowed)?;
        let cells: Vec<String> = places.iter().map(column).collect();
        let roles: Vec<Role> = places.iter().filter_map(|place| columns.roles.get(*place).cloned()).collect();
        if cells.iter().zip(&roles).any(|(cell, role)| *role != Role::Clear && key.contains(cell)) {
            // Rows are met in the order of their key: one that changes on the way would be missed or met twice.
            return Err(Error::schema(
                "a column of the table's primary key cannot be sealed, masked, indexed or tokenised; leave it clear",
            ));
        }
        let names = columns.names(schema);
        Ok(Self {
            name: quote(name),
            key,
            record: columns.record.iter().map(column).collect(),
            names: places.iter().filter_map(|place| names.get(*place).cloned().flatten()).collect(),
            fields: columns.fields.iter().map(|place| cell(*place)).collect(),
            sealed: columns.sealed.iter().map(|(place, _)| cell(*place)).collect(),
            surrogates: columns.surrogates.iter().map(|place| place.and_then(cell)).collect(),
            cells,
            roles,
            encoding: schema.encoding(),
            triggers: number(connection, triggers, &[&name])?,
        })
    }

    /// Reads rows in the order of their key, those after a key if one is bound.
    pub(super) fn select(&self, after: bool) -> String {
        let mut sql = self.select_from();
        let key = self.key.join(", ");
        if after {
            let holes = vec!["?"; self.key.len()].join(", ");
            let _ = write!(sql, " WHERE ({key}) > ({holes})");
        }
        let _ = write!(sql, " ORDER BY {key}");
        sql
    }

    /// Reads the row of a key.
    pub(super) fn select_one(&self) -> String {
        format!("{} WHERE {}", self.select_from(), same(self.key.iter()))
    }

    fn select_from(&self) -> String {
        let columns: Vec<&str> =
            self.key.iter().chain(&self.record).chain(&self.cells).map(String::as_str).collect();
        format!("SELECT {} FROM {}", columns.join(", "), self.name)
    }

    /// Writes some of the cells of a row, if key, record id and the old cells are still what they were.
    ///
    /// `OR ABORT` overrides a constraint that would have another row deleted or this one passed over.
    pub(super) fn update(&self, places: &[usize]) -> String {
        let cells: Vec<&String> = places.iter().filter_map(|place| self.cells.get(*place)).collect();
        let set: Vec<String> = cells.iter().map(|cell| format!("{cell} = ?")).collect();
        let old = self.key.iter().chain(&self.record).chain(cells);
        format!("UPDATE OR ABORT {} SET {} WHERE {}", self.name, set.join(", "), same(old))
    }

    /// Counts the row of a key if some of its cells are what was written, as the columns' affinities store it.
    pub(super) fn holds(&self, places: &[usize]) -> String {
        let cells = places.iter().filter_map(|place| self.cells.get(*place));
        format!("SELECT count(*) FROM {} WHERE {}", self.name, same(self.key.iter().chain(cells)))
    }

    pub(super) fn count(&self) -> String {
        format!("SELECT count(*) FROM {}", self.name)
    }
}

/// `a IS ? AND b IS ?`, byte by byte whatever the columns' collations, NULL included.
fn same<'a>(columns: impl Iterator<Item = &'a String>) -> String {
    let parts: Vec<String> = columns.map(|column| format!("{column} IS ? COLLATE BINARY")).collect();
    parts.join(" AND ")
}

fn key(connection: &Connection, table: &str, columns: &[&str]) -> Result<Vec<String>> {
    let without_rowid = "SELECT wr FROM pragma_table_list(?1) WHERE schema = 'main'";
    let without_rowid: bool =
        connection.query_row(without_rowid, [table], |row| row.get(0)).map_err(failed)?;
    if without_rowid {
        let primary =
            list(connection, "SELECT name FROM pragma_table_info(?1) WHERE pk > 0 ORDER BY pk", table)?;
        return Ok(primary.iter().map(|name| quote(name)).collect());
    }
    let free =
        ROWID_NAMES.into_iter().find(|name| !columns.iter().any(|column| column.eq_ignore_ascii_case(name)));
    let rowid =
        free.ok_or_else(|| Error::schema("the table has columns named rowid, _rowid_ and oid; rename one"))?;
    Ok(vec![rowid.to_owned()])
}

/// A count.
pub(super) fn number(connection: &Connection, sql: &str, parameters: &[&dyn ToSql]) -> Result<u64> {
    let count: i64 = connection.query_row(sql, parameters, |row| row.get(0)).map_err(failed)?;
    Ok(u64::try_from(count).unwrap_or_default())
}

fn list(connection: &Connection, sql: &str, table: &str) -> Result<Vec<String>> {
    let mut statement = connection.prepare(sql).map_err(failed)?;
    let names = statement.query_map([table], |row| row.get(0)).map_err(failed)?;
    names.collect::<rusqlite::Result<_>>().map_err(failed)
}

fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
