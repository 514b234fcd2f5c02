// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the catalogs of the database say of a table (PostgreSQL 17 documentation, chapter 53).
//!
//! Owns the queries of the catalogs, and the refusal of what is no plain table. Never reads a row of the table.

use amanat::error::{Error, Result};
use postgres::Client;

use super::error::failed;
use super::table::{Form, quote};

/// A table.
#[derive(Debug)]
pub(super) struct Relation {
    pub(super) oid: u32,
    /// Quoted schema.
    pub(super) namespace: String,
    /// Quoted name with its schema.
    pub(super) name: String,
    /// The same, quoted where it must be.
    pub(super) told: String,
}

/// A column as the catalogs have it.
#[derive(Debug)]
pub(super) struct CatalogColumn {
    pub(super) number: i16,
    pub(super) name: String,
    /// As SQL writes the type.
    pub(super) type_name: String,
    /// The type of the server's own that it is, or that its domain is made of; empty for others.
    base: String,
    /// Most characters of a `varchar` or `char`.
    pub(super) length: Option<i32>,
    /// Computed by the server from other columns.
    pub(super) is_generated: bool,
}

/// Triggers that the user has put on a table and that see updates.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Triggers {
    pub(super) count: i64,
    /// Some run after the row was written, so that what the statement returns is not the last word.
    pub(super) run_after: bool,
}

impl CatalogColumn {
    pub(super) fn form(&self) -> Form {
        match self.base.as_str() {
            "bytea" => Form::Bytes,
            "text" | "varchar" => Form::Text,
            "int2" | "int4" | "int8" | "uuid" => Form::Canonical,
            _ => Form::Other,
        }
    }

    /// Padded with spaces to its length.
    pub(super) fn is_padded(&self) -> bool {
        self.base == "bpchar"
    }

    /// Whether its text is the same whatever the settings of the session, and whoever reads it: `char` is read with its padding and without.
    pub(super) fn has_one_text(&self) -> bool {
        matches!(self.form(), Form::Canonical | Form::Text)
    }

    pub(super) fn is_date(&self) -> bool {
        self.base == "date"
    }
}

/// Finds a table by its name as SQL writes it.
pub(super) fn relation(client: &mut Client, name: &str) -> Result<Relation> {
    let sql = "SELECT c.oid, n.nspname::text, c.relname::text, c.relkind::text, \
               quote_ident(n.nspname) || '.' || quote_ident(c.relname), \
               c.relhassubclass AND c.relkind = 'r' AND EXISTS (SELECT FROM pg_inherits WHERE inhparent = c.oid), \
               EXISTS (SELECT FROM pg_rewrite WHERE ev_class = c.oid AND ev_type IN ('1', '2')), \
               current_setting('server_encoding') \
               FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass($1)";
    let found = client.query_opt(sql, &[&name]).map_err(failed)?;
    let row = found.ok_or_else(|| {
        Error::schema(
            "the database has no table of this name; name it with its schema as SQL writes it, in double quotes if it has capital letters: \
             registry.\"Citizens\"",
        )
    })?;
    let (namespace, table): (String, String) = (row.get(1), row.get(2));
    let (kind, told): (String, String) = (row.get(3), row.get(4));
    let (has_children, has_rules, encoding): (bool, bool, String) = (row.get(5), row.get(6), row.get(7));
    let refused = match kind.as_str() {
        "r" | "p" if has_children => Some(
            "has child tables by inheritance, whose keys may be the same; work on each of them without the others",
        ),
        "r" | "p" if has_rules => Some("has rules that turn its updates into something else; drop them"),
        "r" | "p" if encoding == "SQL_ASCII" => Some(
            "stands in a database of encoding SQL_ASCII, where text has no certain meaning; move it to one of UTF8",
        ),
        "r" | "p" => None,
        "v" | "m" => Some("is a view; name the table that it shows"),
        "f" => Some("is a foreign table; work on it where it is stored"),
        _ => Some("is no table"),
    };
    if let Some(why) = refused {
        return Err(Error::schema(format!("{told} {why}")));
    }
    let namespace = quote(&namespace);
    Ok(Relation { oid: row.get(0), name: format!("{namespace}.{}", quote(&table)), namespace, told })
}

/// The columns of a table in their order.
pub(super) fn columns(client: &mut Client, oid: u32) -> Result<Vec<CatalogColumn>> {
    let sql = "SELECT a.attnum, a.attname::text, format_type(a.atttypid, a.atttypmod), base.name, base.modifier, a.attgenerated <> '' \
               FROM pg_attribute a, LATERAL ( \
                 WITH RECURSIVE made(type, modifier) AS ( \
                   SELECT a.atttypid, a.atttypmod \
                   UNION ALL SELECT t.typbasetype, t.typtypmod FROM made JOIN pg_type t ON t.oid = made.type AND t.typtype = 'd' \
                 ) SELECT CASE WHEN t.typnamespace = 'pg_catalog'::regnamespace THEN t.typname::text ELSE '' END AS name, made.modifier \
                 FROM made JOIN pg_type t ON t.oid = made.type AND t.typtype <> 'd' \
               ) base WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum";
    let rows = client.query(sql, &[&oid]).map_err(failed)?;
    let column = |row: &postgres::Row| {
        let (base, modifier): (String, i32) = (row.get(3), row.get(4));
        let has_length = matches!(base.as_str(), "varchar" | "bpchar") && modifier >= 4;
        CatalogColumn {
            number: row.get(0),
            name: row.get(1),
            type_name: row.get(2),
            base,
            // The modifier counts a header of four bytes.
            length: has_length.then_some(modifier - 4),
            is_generated: row.get(5),
        }
    };
    Ok(rows.iter().map(column).collect())
}

/// Numbers of the columns of the primary key, or of the shortest unique index that holds every row.
pub(super) fn key(client: &mut Client, oid: u32) -> Result<Option<Vec<i16>>> {
    let sql = "SELECT ARRAY(SELECT k.number FROM unnest(i.indkey::int2[]) WITH ORDINALITY k(number, place) \
                             WHERE k.place <= i.indnkeyatts ORDER BY k.place) \
               FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am m ON m.oid = c.relam \
               WHERE i.indrelid = $1 AND m.amname = 'btree' AND i.indisunique AND i.indisvalid AND i.indislive \
               AND (i.indisprimary OR i.indimmediate) AND i.indpred IS NULL AND i.indexprs IS NULL \
               AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey) \
                               AND NOT a.attnotnull) \
               ORDER BY i.indisprimary DESC, i.indnkeyatts, i.indexrelid LIMIT 1";
    Ok(client.query_opt(sql, &[&oid]).map_err(failed)?.map(|row| row.get(0)))
}

/// Triggers of the user's that see updates; those of foreign keys are the server's own.
pub(super) fn triggers(client: &mut Client, oid: u32) -> Result<Triggers> {
    // Bit 1 of tgtype: before; bit 4: update; bit 6: instead of.
    let sql = "SELECT count(*), coalesce(bool_or(tgtype & 66 = 0), false) FROM pg_trigger \
               WHERE tgrelid = $1 AND NOT tgisinternal AND tgenabled <> 'D' AND tgtype & 16 <> 0";
    let row = client.query_one(sql, &[&oid]).map_err(failed)?;
    Ok(Triggers { count: row.get(0), run_after: row.get(1) })
}
