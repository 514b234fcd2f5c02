// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the application changes while the table is copied: a trigger notes the keys, rounds bring the copy up to date (SPEC 11.9).
//!
//! Owns the trigger and its table of keys. Never notes more of a row than its key, and never forgets a key before its row is in the copy.

use amanat::error::Result;
use postgres::Client;

use super::names::Names;
use crate::postgres::error::failed;
use crate::postgres::table::PgTable;
use crate::run::Position;

/// Makes the table of keys and the trigger. Its lock waits for everybody who is writing, so that nobody's change is passed over.
pub(super) fn install(client: &mut Client, names: &Names, table: &PgTable) -> Result<()> {
    let (changes, note) = (names.qualified(&names.changes()), names.qualified(&names.note()));
    let list = |before: &str| -> Vec<String> {
        table.key.iter().map(|column| format!("{before}{}", column.name)).collect()
    };
    let taken: Vec<String> =
        list("").iter().enumerate().map(|(part, column)| format!("{column} AS k{part}")).collect();
    let (old, new, columns) = (list("OLD.").join(", "), list("NEW.").join(", "), columns(table));
    let trigger = crate::postgres::table::quote(&names.note());
    let all = crate::postgres::table::quote(&format!("{}_all", names.note()));
    let live = names.live();
    // As the owner of the table of keys: whoever may write to the table need know nothing of it.
    let sql = format!(
        "CREATE TABLE {changes} AS SELECT {taken}, false AS whole FROM {live} WITH NO DATA; REVOKE ALL ON TABLE {changes} FROM PUBLIC; \
         CREATE FUNCTION {note}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $amanat$ BEGIN \
           IF TG_OP = 'TRUNCATE' THEN INSERT INTO {changes} (whole) VALUES (true); RETURN NULL; END IF; \
           IF TG_OP <> 'INSERT' THEN INSERT INTO {changes} ({columns}) VALUES ({old}); END IF; \
           IF TG_OP <> 'DELETE' THEN INSERT INTO {changes} ({columns}) VALUES ({new}); END IF; \
           RETURN NULL; END $amanat$; \
         REVOKE ALL ON FUNCTION {note}() FROM PUBLIC; \
         CREATE TRIGGER {trigger} AFTER INSERT OR UPDATE OR DELETE ON {live} FOR EACH ROW EXECUTE FUNCTION {note}(); \
         CREATE TRIGGER {all} AFTER TRUNCATE ON {live} FOR EACH STATEMENT EXECUTE FUNCTION {note}(); \
         ALTER TABLE {live} ENABLE ALWAYS TRIGGER {trigger}; ALTER TABLE {live} ENABLE ALWAYS TRIGGER {all}",
        taken = taken.join(", "),
    );
    client.batch_execute(&sql).map_err(failed)
}

/// The statements that take the trigger off a table.
pub(super) fn removal(names: &Names, from: &str) -> String {
    let trigger = crate::postgres::table::quote(&names.note());
    let all = crate::postgres::table::quote(&format!("{}_all", names.note()));
    format!(
        "DROP TRIGGER IF EXISTS {trigger} ON {from}; DROP TRIGGER IF EXISTS {all} ON {from}; DROP FUNCTION IF EXISTS {}(); DROP TABLE IF EXISTS {}",
        names.qualified(&names.note()),
        names.qualified(&names.changes())
    )
}

/// What was noted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Noted {
    /// How many keys.
    pub(super) keys: u64,
    /// Whether the table was emptied: then every row is copied again.
    pub(super) whole: bool,
}

/// How many keys are noted.
pub(super) fn noted(client: &mut Client, names: &Names, table: &PgTable) -> Result<Noted> {
    let sql = format!(
        "SELECT count(*), coalesce(bool_or(whole), false) FROM (SELECT DISTINCT {}, whole FROM {}) AS k",
        columns(table),
        names.qualified(&names.changes())
    );
    let row = client.query_one(&sql, &[]).map_err(failed)?;
    let keys: i64 = row.try_get(0).map_err(failed)?;
    Ok(Noted { keys: u64::try_from(keys).unwrap_or_default(), whole: row.try_get(1).map_err(failed)? })
}

/// The rows to be copied again: what stands behind the columns of a SELECT.
pub(super) fn from(names: &Names, table: &PgTable, noted: Noted) -> String {
    if noted.whole {
        return format!(" FROM {} AS t", names.live());
    }
    format!(" FROM {} AS k JOIN {} AS t ON {}", distinct(names, table), names.live(), same(table, "t"))
}

/// Takes the rows out of the copy that are copied again.
pub(super) fn clear(client: &mut Client, names: &Names, table: &PgTable, noted: Noted) -> Result<()> {
    let copy = names.qualified(&names.copy());
    let sql = if noted.whole {
        format!("DELETE FROM {copy}")
    } else {
        format!("DELETE FROM {copy} AS n USING {} AS k WHERE {}", distinct(names, table), same(table, "n"))
    };
    client.batch_execute(&sql).map_err(failed)
}

/// Forgets the keys that this transaction sees.
pub(super) fn forget(client: &mut Client, names: &Names) -> Result<()> {
    client.batch_execute(&format!("DELETE FROM {}", names.qualified(&names.changes()))).map_err(failed)
}

/// Notes keys, so that their rows are copied again.
pub(super) fn note(client: &mut Client, names: &Names, table: &PgTable, rows: &[Position]) -> Result<()> {
    let keys: Vec<Vec<String>> = rows.iter().filter_map(|row| serde_json::from_str(&row.0).ok()).collect();
    let array = |part: usize| keys.iter().map(|key| key.get(part).map(String::as_str)).collect();
    let arrays: Vec<Vec<Option<&str>>> = (0..table.key.len()).map(array).collect();
    let parameters: Vec<&(dyn postgres::types::ToSql + Sync)> =
        arrays.iter().map(|array| array as &(dyn postgres::types::ToSql + Sync)).collect();
    let (mut holes, mut values) = (Vec::new(), Vec::new());
    for (part, column) in table.key.iter().enumerate() {
        holes.push(format!("${}::text[]", part + 1));
        values.push(format!("u.k{part}::{}", column.type_name));
    }
    let sql = format!(
        "INSERT INTO {} ({columns}) SELECT {} FROM unnest({}) AS u({columns})",
        names.qualified(&names.changes()),
        values.join(", "),
        holes.join(", "),
        columns = columns(table),
    );
    client.execute(&sql, &parameters).map_err(failed).map(drop)
}

/// Counts the rows that are not the same in table and copy: missing in one of them, or other in a column that no run changes. Rows that the
/// application has changed since are left out: the rounds see to them.
pub(super) fn differing(
    client: &mut Client,
    names: &Names,
    table: &PgTable,
    columns: &[String],
) -> Result<i64> {
    let key = |alias: &str| -> Vec<String> {
        table.key.iter().map(|column| format!("{alias}.{}", column.name)).collect()
    };
    let both: Vec<String> =
        key("t").iter().zip(key("n")).map(|(old, new)| format!("{old} = {new}")).collect();
    let any: Vec<String> = (key("t").iter().zip(key("n")).enumerate())
        .map(|(part, (old, new))| format!("k.k{part} = coalesce({old}, {new})"))
        .collect();
    let first = table.key.first().map(|column| column.name.as_str()).unwrap_or_default();
    let image = |alias: &str| -> String {
        let cells: Vec<String> = columns.iter().map(|column| format!("{alias}.{column}")).collect();
        format!("ROW({})::record", cells.join(", "))
    };
    let other = if columns.is_empty() {
        "false".to_owned()
    } else {
        format!("{} OPERATOR(pg_catalog.*<>) {}", image("t"), image("n"))
    };
    let sql = format!(
        "SELECT count(*) FROM {live} AS t FULL JOIN {copy} AS n ON {both} WHERE (t.{first} IS NULL OR n.{first} IS NULL OR {other}) \
         AND NOT EXISTS (SELECT FROM {changes} AS k WHERE k.whole OR ({any}))",
        live = names.live(),
        copy = names.qualified(&names.copy()),
        changes = names.qualified(&names.changes()),
        both = both.join(" AND "),
        any = any.join(" AND "),
    );
    let whole = "SET LOCAL enable_sort = on; SET LOCAL enable_hashjoin = on; SET LOCAL enable_mergejoin = on";
    client.batch_execute(whole).map_err(failed)?;
    client.query_one(&sql, &[]).map_err(failed)?.try_get(0).map_err(failed)
}

fn columns(table: &PgTable) -> String {
    (0..table.key.len()).map(|part| format!("k{part}")).collect::<Vec<_>>().join(", ")
}

fn distinct(names: &Names, table: &PgTable) -> String {
    format!("(SELECT DISTINCT {} FROM {})", columns(table), names.qualified(&names.changes()))
}

fn same(table: &PgTable, alias: &str) -> String {
    let part = |(part, column): (usize, &crate::postgres::table::PgColumn)| {
        format!("{alias}.{} = k.k{part}", column.name)
    };
    table.key.iter().enumerate().map(part).collect::<Vec<_>>().join(" AND ")
}
