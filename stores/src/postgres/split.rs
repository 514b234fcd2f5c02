// SPDX-License-Identifier: MIT OR Apache-2.0
//! Cuts a table into ranges of its key that hold about as many rows each.
//!
//! Owns the choice of their ends: real keys, of all rows or, where these are many, of a sample. Never leaves a key out: the first range has no
//! lower and the last no upper end.

use amanat::error::Result;
use postgres::Client;

use super::error::failed;
use super::table::PgTable;
use crate::run::{KeyRange, Position};

/// A table of more rows than this is sampled.
const READ_WHOLE: i64 = 200_000;
/// Rows of a sample.
const SAMPLE_ROWS: f64 = 20_000.0;

/// Ranges of about the same size; fewer than asked for if there are fewer rows.
pub(super) fn ranges(client: &mut Client, table: &PgTable, parts: usize) -> Result<Vec<KeyRange>> {
    let ends = if parts < 2 { Vec::new() } else { ends(client, table, parts)? };
    let mut ranges = Vec::with_capacity(ends.len() + 1);
    let mut after = None;
    for end in ends {
        ranges.push(KeyRange { after: after.take(), upto: Some(end.clone()) });
        after = Some(end);
    }
    ranges.push(KeyRange { after, upto: None });
    Ok(ranges)
}

fn ends(client: &mut Client, table: &PgTable, parts: usize) -> Result<Vec<Position>> {
    let rows = estimate(client, table)?;
    if rows > READ_WHOLE {
        // At most 100: the estimate is more than 200,000.
        let percent = 100.0 * SAMPLE_ROWS / f64::from(i32::try_from(rows).unwrap_or(i32::MAX));
        let sampled = cut(client, table, &format!("TABLESAMPLE SYSTEM ({percent:.6})"), parts)?;
        // Few blocks of wide rows can miss the mark.
        if sampled.len() + 1 >= parts {
            return Ok(sampled);
        }
    }
    cut(client, table, "", parts)
}

/// The keys at which parts end.
fn cut(client: &mut Client, table: &PgTable, sample: &str, parts: usize) -> Result<Vec<Position>> {
    let texts: Vec<String> = table
        .key
        .iter()
        .enumerate()
        .map(|(part, column)| format!("t.{}::text AS k{part}", column.name))
        .collect();
    let names: Vec<String> = (0..table.key.len()).map(|part| format!("k{part}")).collect();
    let key = table.key_list("t.");
    let sql = format!(
        "SELECT {names} FROM (SELECT {texts}, row_number() OVER (ORDER BY {key}) AS place, count(*) OVER () AS total FROM {table} AS t {sample}) AS \
         sampled WHERE place < total AND (place * {parts}) / total > ((place - 1) * {parts}) / total ORDER BY place",
        names = names.join(", "),
        texts = texts.join(", "),
        table = table.name,
    );
    let rows = client.query_typed(&sql, &[]).map_err(failed)?;
    let end = |row: &postgres::Row| {
        let parts = (0..row.len()).map(|part| row.try_get::<_, String>(part).map_err(failed));
        let parts = parts.collect::<Result<Vec<_>>>()?;
        Ok(Position(serde_json::to_string(&parts).unwrap_or_default()))
    };
    rows.iter().map(end).collect()
}

/// About how many rows there are: by the statistics, scaled to the size that the table has now.
fn estimate(client: &mut Client, table: &PgTable) -> Result<i64> {
    let sql = "SELECT coalesce(sum(CASE WHEN c.relpages > 0 AND c.reltuples >= 0 \
                                        THEN c.reltuples / c.relpages ELSE 100 END * (pg_relation_size(c.oid) / 8192.0)), 0)::bigint \
               FROM pg_class c WHERE c.relkind = 'r' AND (c.oid = $1 OR c.oid IN (SELECT relid FROM pg_partition_tree($1::oid::regclass)))";
    client.query_one(sql, &[&table.oid]).map_err(failed)?.try_get(0).map_err(failed)
}
