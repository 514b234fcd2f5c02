// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a person should know after a run: where the database still keeps old values, and what would make finding slow.
//!
//! Owns the sentences. Never changes anything.

use amanat::error::Result;
use postgres::Client;

use super::error::failed;
use super::table::PgTable;
use crate::columns::Role;

/// What to tell of a table that was written to.
pub(super) fn of_table(client: &mut Client, table: &PgTable) -> Result<Vec<String>> {
    let mut advice = vec![format!(
        "old values remain in dead rows, in the statistics of the planner, in the write-ahead log and in backups; remove what the server holds with \
         VACUUM (FULL, ANALYZE) {}; which locks the table while it lasts, and let old backups and archived log expire",
        table.name
    )];
    if table.triggers.count > 0 {
        advice.push(format!(
            "{} triggers of {} saw each row as it was written, old values included; look at what they keep",
            table.triggers.count, table.told
        ));
    }
    for (place, _) in table.roles.iter().enumerate().filter(|(_, role)| is_index(table, role)) {
        let Some((column, Some(name))) = table.cells.get(place).zip(table.names.get(place)) else { continue };
        if !has_index(client, table, &column.name)? {
            advice.push(format!("finding by index `{name}` reads every row: {}", table.create_index(column)));
        }
    }
    Ok(advice)
}

fn is_index(table: &PgTable, role: &Role) -> bool {
    matches!(role, Role::Surrogate(position) if *position < table.indexes)
}

/// Whether some index begins with a column.
pub(super) fn has_index(client: &mut Client, table: &PgTable, quoted: &str) -> Result<bool> {
    let sql = "SELECT EXISTS (SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0] \
               WHERE i.indrelid = $1 AND i.indisvalid AND i.indpred IS NULL \
               AND '\"' || replace(a.attname::text, '\"', '\"\"') || '\"' = $2)";
    client.query_one(sql, &[&table.oid, &quoted]).map_err(failed)?.try_get(0).map_err(failed)
}
