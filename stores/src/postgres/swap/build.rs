// SPDX-License-Identifier: MIT OR Apache-2.0
//! The copy beside the table: an empty table of the same columns, later its indexes.
//!
//! Owns how the copy is made and that nobody but the table's owner can read it before the swap. Never touches the table itself.

use amanat::error::{Error, Result};
use postgres::Client;

use super::names::Names;
use super::portrait::cannot;
use super::script::{INDEXES, STATISTICS, literal};
use crate::postgres::error::failed;
use crate::postgres::table::quote;

/// Makes the copy, empty and without indexes; gives its id.
pub(super) fn create(client: &mut Client, names: &Names, old: u32) -> Result<u32> {
    let copy = names.qualified(&names.copy());
    let sql = "SELECT CASE c.relpersistence WHEN 'u' THEN 'UNLOGGED' ELSE '' END, quote_ident(m.amname), quote_ident(pg_get_userbyid(c.relowner)), \
               array_to_string(array_cat(c.relopts, t.relopts), ', '), coalesce(' TABLESPACE ' || quote_ident(s.spcname), '') \
               FROM (SELECT x.*, ARRAY(SELECT quote_ident(split_part(o, '=', 1)) || '=' || quote_literal(substr(o, strpos(o, '=') + 1)) \
                                       FROM unnest(x.reloptions) o) AS relopts FROM pg_class x) c \
               JOIN pg_am m ON m.oid = c.relam LEFT JOIN pg_tablespace s ON s.oid = c.reltablespace \
               LEFT JOIN LATERAL (SELECT ARRAY(SELECT 'toast.' || quote_ident(split_part(o, '=', 1)) || '=' || quote_literal(substr(o, strpos(o, '=') + 1)) \
                                       FROM unnest(x.reloptions) o) AS relopts FROM pg_class x WHERE x.oid = c.reltoastrelid) t ON true WHERE c.oid = $1";
    let row = client.query_one(sql, &[&old]).map_err(failed)?;
    let text =
        |place: usize| row.try_get::<_, Option<String>>(place).map_err(failed).map(Option::unwrap_or_default);
    let options = text(3)?;
    let options = if options.is_empty() { options } else { format!(" WITH ({options})") };
    let make = format!(
        "CREATE {} TABLE {copy} (LIKE {} INCLUDING ALL EXCLUDING INDEXES EXCLUDING STATISTICS) USING {}{options}{}; ALTER TABLE {copy} OWNER TO {}",
        text(0)?,
        names.live(),
        text(1)?,
        text(4)?,
        text(2)?,
    );
    client.batch_execute(&make).map_err(failed)?;
    let oid = oid_of(client, &copy)?.ok_or_else(|| Error::misuse("the copy is not there"))?;
    // Default privileges may have opened it: it holds all that the table holds, without its policies.
    let sql = "SELECT DISTINCT CASE WHEN x.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END \
               FROM pg_class c, LATERAL aclexplode(c.relacl) x WHERE c.oid = $1 AND x.grantee <> c.relowner";
    for row in client.query(sql, &[&oid]).map_err(failed)? {
        let grantee: String = row.try_get(0).map_err(failed)?;
        client.batch_execute(&format!("REVOKE ALL ON TABLE {copy} FROM {grantee}")).map_err(failed)?;
    }
    Ok(oid)
}

/// Which indexes are built.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Built {
    /// That of the key in whose order rows are read.
    Key,
    /// All others, and the objects of extended statistics.
    Others,
}

/// Builds indexes of the copy, with the constraints that they stand for.
pub(super) fn indexes(client: &mut Client, names: &Names, old: u32, key: &str, built: Built) -> Result<()> {
    let sql = "SELECT c.relname::text, pg_get_indexdef(i.indexrelid), con.contype::text, pg_get_constraintdef(con.oid), \
               CASE WHEN con.condeferred THEN ' DEFERRABLE INITIALLY DEFERRED' WHEN con.condeferrable THEN ' DEFERRABLE' ELSE '' END, \
               coalesce((SELECT spcname::text FROM pg_tablespace WHERE oid = c.reltablespace), ''), i.indisunique, quote_ident(c.relname), i.indrelid::regclass::text \
               FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
               LEFT JOIN pg_constraint con ON con.conindid = i.indexrelid AND con.conrelid = i.indrelid AND con.contype IN ('p', 'u', 'x') \
               WHERE i.indrelid = $1";
    debug_assert!(INDEXES.ends_with("ORDER BY c.relname"), "both count the indexes in one order");
    quiet(client)?;
    let rows = client.query(&format!("{sql} ORDER BY c.relname"), &[&old]).map_err(failed)?;
    let mut made = Vec::new();
    for (number, row) in rows.iter().enumerate() {
        let text = |place: usize| {
            row.try_get::<_, Option<String>>(place).map_err(failed).map(Option::unwrap_or_default)
        };
        let (name, kind) = (text(0)?, text(2)?);
        if (name == key) != (built == Built::Key) {
            continue;
        }
        let (copy, new) = (names.qualified(&names.copy()), quote(&names.part_of_copy('i', number)));
        let is_unique: bool = row.try_get(6).map_err(failed)?;
        made.push(format!(
            "SELECT pg_catalog.set_config('default_tablespace', {}, true)",
            literal(&text(5)?)
        ));
        if kind == "x" {
            made.push(format!("ALTER TABLE {copy} ADD CONSTRAINT {new} {}", text(3)?));
            continue;
        }
        let definition = text(1)?;
        let unique = if is_unique { "UNIQUE " } else { "" };
        let head = format!("CREATE {unique}INDEX {} ON {}", text(7)?, text(8)?);
        let rest = definition.strip_prefix(&head);
        let rest = rest.ok_or_else(|| {
            cannot(&names.table, &format!("its index {name} has a definition that is not understood"))
        })?;
        made.push(format!("CREATE {unique}INDEX {new} ON {copy}{rest}"));
        let word = match kind.as_str() {
            "p" => "PRIMARY KEY",
            "u" => "UNIQUE",
            _ => continue,
        };
        made.push(format!("ALTER TABLE {copy} ADD CONSTRAINT {new} {word} USING INDEX {new}{}", text(4)?));
    }
    made.push("SELECT pg_catalog.set_config('default_tablespace', '', true)".to_owned());
    if built == Built::Others {
        statistics(client, names, old)?;
    }
    // Functions in indexes are the user's and may need the path.
    client.batch_execute("SET LOCAL search_path TO DEFAULT").map_err(failed)?;
    made.iter().try_for_each(|statement| client.batch_execute(statement).map_err(failed))
}

/// Empties the search path until the transaction ends, so that every name that the server writes has its schema.
pub(super) fn quiet(client: &mut Client) -> Result<()> {
    client.batch_execute("SET LOCAL search_path = ''").map_err(failed)
}

/// Makes the objects of extended statistics of the copy.
fn statistics(client: &mut Client, names: &Names, old: u32) -> Result<()> {
    let sql = "SELECT s.stxname::text, pg_get_statisticsobjdef(s.oid), s.stxnamespace::regnamespace || '.' || quote_ident(s.stxname), stxrelid::regclass::text, \
               coalesce(s.stxstattarget::int, -1), quote_literal(obj_description(s.oid, 'pg_statistic_ext')), quote_ident(pg_get_userbyid(s.stxowner)) \
               FROM pg_statistic_ext s JOIN pg_class c ON c.oid = s.stxrelid WHERE s.stxrelid = $1 AND s.stxnamespace = c.relnamespace ORDER BY s.stxname";
    debug_assert!(STATISTICS.ends_with("ORDER BY stxname"), "both count the objects in one order");
    for (number, row) in client.query(sql, &[&old]).map_err(failed)?.iter().enumerate() {
        let text = |place: usize| {
            row.try_get::<_, Option<String>>(place).map_err(failed).map(Option::unwrap_or_default)
        };
        let new = names.qualified(&names.part_of_copy('t', number));
        let (name, definition, qualified, table) = (text(0)?, text(1)?, text(2)?, text(3)?);
        let head = format!("CREATE STATISTICS {qualified}");
        let tail = format!(" FROM {table}");
        let body = definition.strip_prefix(&head).and_then(|rest| rest.strip_suffix(&tail));
        let body = body.ok_or_else(|| {
            cannot(&names.table, &format!("its statistics {name} have a definition that is not understood"))
        })?;
        let mut made = format!("CREATE STATISTICS {new}{body} FROM {}", names.qualified(&names.copy()));
        let target: i32 = row.try_get(4).map_err(failed)?;
        if target >= 0 {
            made.push_str(&format!("; ALTER STATISTICS {new} SET STATISTICS {target}"));
        }
        if !text(5)?.is_empty() {
            made.push_str(&format!("; COMMENT ON STATISTICS {new} IS {}", text(5)?));
        }
        made.push_str(&format!("; ALTER STATISTICS {new} OWNER TO {}", text(6)?));
        client.batch_execute(&made).map_err(failed)?;
    }
    Ok(())
}

/// The id of a table by its quoted name; none if there is none.
pub(super) fn oid_of(client: &mut Client, name: &str) -> Result<Option<u32>> {
    client.query_one("SELECT to_regclass($1)::oid", &[&name]).map_err(failed)?.try_get(0).map_err(failed)
}
