// SPDX-License-Identifier: MIT OR Apache-2.0
//! Removes what remains of plaintext in a file after its cells were overwritten.
//!
//! Owns the rebuilding of the file and its write-ahead log. Never fails a run that has protected everything: it warns.

use std::time::Duration;

use rusqlite::Connection;

use crate::run::journal::JOURNAL_TABLES;

/// How long the readers of a write-ahead log are waited for. Those that stay longer are services, and the user has to stop them.
const READER_PATIENCE: Duration = Duration::from_secs(2);
/// Ordinary tables whose rowids `VACUUM` may change: those that neither name the rowid by an INTEGER PRIMARY KEY, which is a primary key
/// without an index of its own, nor do without one. Nothing stores rowids of the journal, whose tables are bound as a JSON list.
const UNNAMED_ROWIDS: &str = "SELECT count(*) FROM pragma_table_list AS t
    WHERE t.schema = 'main' AND t.type = 'table' AND t.wr = 0 AND t.name NOT LIKE 'sqlite@_%' ESCAPE '@'
    AND t.name NOT IN (SELECT value FROM json_each(?1))
    AND (NOT EXISTS (SELECT 1 FROM pragma_table_info(t.name) WHERE pk > 0)
        OR EXISTS (SELECT 1 FROM pragma_index_list(t.name) WHERE origin = 'pk'))";

/// Rebuilds the file without what was freed, if this run changed it or there are free pages, and empties its write-ahead log.
pub(super) fn clean(connection: &Connection, changed: bool, warnings: &mut Vec<String>) {
    let rebuilt = rebuild(connection, changed, warnings);
    warnings.extend(rebuilt.err().map(|error| {
        format!(
            "the file was not rebuilt ({error}): old plaintext may remain in its free pages; run VACUUM on it"
        )
    }));
    let emptied = empty_log(connection, warnings);
    warnings.extend(emptied.err().map(|error| {
        format!(
            "the write-ahead log was not emptied ({error}): old plaintext may remain in it; run protect again"
        )
    }));
}

fn rebuild(connection: &Connection, changed: bool, warnings: &mut Vec<String>) -> rusqlite::Result<()> {
    let free: i64 = connection.pragma_query_value(None, "freelist_count", |row| row.get(0))?;
    if !changed && free == 0 {
        return Ok(());
    }
    let ours = format!("[\"{}\"]", JOURNAL_TABLES.join("\",\""));
    let unnamed: i64 = connection.query_row(UNNAMED_ROWIDS, [ours], |row| row.get(0))?;
    if unnamed == 0 {
        return connection.execute_batch("VACUUM");
    }
    warnings.push(format!(
        "the file was not rebuilt: {unnamed} of its tables have no INTEGER PRIMARY KEY, and VACUUM may change their rowids; what this run \
         replaced was zeroed (secure_delete), what was freed before may remain; if nothing stores rowids, run VACUUM on the file"
    ));
    Ok(())
}

fn empty_log(connection: &Connection, warnings: &mut Vec<String>) -> rusqlite::Result<()> {
    let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    if !mode.eq_ignore_ascii_case("wal") {
        return Ok(());
    }
    connection.busy_timeout(READER_PATIENCE)?;
    let busy: i64 = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    if busy != 0 {
        warnings
            .push("another connection keeps the write-ahead log; close it and run protect again".to_owned());
    }
    Ok(())
}
