// SPDX-License-Identifier: MIT OR Apache-2.0
//! How many cells name which key, from their beginnings alone.
//!
//! Owns one pass over the table for all columns. Never brings a value out of the database.

use amanat::KeyId;
use amanat::envelope::append_from_text;
use amanat::error::Result;
use postgres::Client;

use super::error::failed;
use super::table::{Form, PgColumn, PgTable};
use crate::columns::Role;
use crate::run::{KeyCount, Named};

/// Columns of one pass: the server takes up to 31 in GROUPING.
const MOST_COLUMNS: usize = 30;

/// What the cells of a column name.
#[derive(Clone, Copy)]
enum Names {
    Epochs,
    Keys,
    Tags,
}

/// Counts the cells of each sealed, indexed or tokenised column by what they name.
pub(super) fn key_counts(client: &mut Client, table: &PgTable) -> Result<Vec<KeyCount>> {
    let wanted = table.roles.iter().enumerate().filter_map(|(place, role)| match role {
        Role::Former(..) | Role::LeftOver | Role::Sealed(..) => Some((place, Names::Keys)),
        Role::Surrogate(column) if *column < table.indexes => Some((place, Names::Tags)),
        Role::Surrogate(_) => Some((place, Names::Epochs)),
        Role::Clear | Role::Masked(_) => None,
    });
    let wanted: Vec<(usize, Names)> = wanted.collect();
    let mut counts: Vec<KeyCount> = Vec::new();
    for columns in wanted.chunks(MOST_COLUMNS) {
        for count in pass(client, table, columns)? {
            let same = counts.iter_mut().find(|had| had.column == count.column && had.named == count.named);
            match same {
                // Two suites of one key.
                Some(had) => had.cells += count.cells,
                None => counts.push(count),
            }
        }
    }
    Ok(counts)
}

fn pass(client: &mut Client, table: &PgTable, columns: &[(usize, Names)]) -> Result<Vec<KeyCount>> {
    let cells: Vec<(&PgColumn, Names)> =
        columns.iter().filter_map(|(place, names)| Some((table.cells.get(*place)?, *names))).collect();
    let list = |each: &dyn Fn(usize) -> String| (0..cells.len()).map(each).collect::<Vec<_>>().join(", ");
    let beginnings: Vec<String> = cells
        .iter()
        .enumerate()
        .map(|(number, (column, names))| format!("{} AS b{number}", beginning(column, *names)))
        .collect();
    let sql = format!(
        "SELECT {}, count(*), {} FROM (SELECT {} FROM {} AS t) AS beginnings GROUP BY GROUPING SETS ({})",
        list(&|number| format!("b{number}")),
        list(&|number| format!("GROUPING(b{number})")),
        beginnings.join(", "),
        table.name,
        list(&|number| format!("(b{number})")),
    );
    let rows = client.query_typed(&sql, &[]).map_err(failed)?;
    let mut counts = Vec::new();
    for row in &rows {
        let cells_of_row: i64 = row.try_get(cells.len()).map_err(failed)?;
        for (number, (place, names)) in columns.iter().enumerate() {
            let is_grouped: i32 = row.try_get(cells.len() + 1 + number).map_err(failed)?;
            let beginning: Option<String> = row.try_get(number).map_err(failed)?;
            let name = table.names.get(*place).cloned().flatten();
            // Zero says that this is the column of the group; NULL then stands for absent cells.
            let (0, Some(beginning), Some(column)) = (is_grouped, beginning, name) else { continue };
            let named = named(&beginning, *names);
            counts.push(KeyCount { column, named, cells: u64::try_from(cells_of_row).unwrap_or_default() });
        }
    }
    Ok(counts)
}

/// The beginning of a cell if it is of the form that is looked for, else empty text; NULL for NULL.
fn beginning(column: &PgColumn, names: Names) -> String {
    let is_bytes = column.form == Form::Bytes;
    // Patterns are not for every collation.
    let cell = if is_bytes {
        format!("t.{}", column.name)
    } else {
        format!("(t.{}::text COLLATE \"C\")", column.name)
    };
    let (is_so, taken) = match (names, is_bytes) {
        (Names::Keys, false) => (format!("{cell} LIKE 'amn1.%'"), format!("left({cell}, 29)")),
        (Names::Keys, true) => (
            format!("length({cell}) > 18 AND substring({cell} FROM 1 FOR 2) BETWEEN '\\x0101' AND '\\x0104'"),
            format!("encode(substring({cell} FROM 1 FOR 18), 'hex')"),
        ),
        (Names::Tags, false) => (format!("{cell} ~ '^[0-9a-f]{{4}}'"), format!("left({cell}, 2)")),
        (Names::Tags, true) => {
            (format!("length({cell}) > 1"), format!("encode(substring({cell} FROM 1 FOR 1), 'hex')"))
        }
        (Names::Epochs, _) => {
            (format!("{cell} ~ '^amt1:[a-z]:[0-9]{{1,9}}:'"), format!("split_part({cell}, ':', 3)"))
        }
    };
    format!("CASE WHEN {cell} IS NULL THEN NULL WHEN {is_so} THEN {taken} ELSE '' END")
}

fn named(beginning: &str, names: Names) -> Option<Named> {
    match names {
        Names::Epochs => beginning.parse().ok().map(Named::Epoch),
        Names::Tags => u8::from_str_radix(beginning, 16).ok().map(Named::Tag),
        Names::Keys => {
            let mut bytes = Vec::new();
            if beginning.starts_with("amn1.") {
                append_from_text(beginning, &mut bytes).ok()?;
            } else {
                let digits = beginning.as_bytes().chunks_exact(2).map(core::str::from_utf8);
                let byte = |digits: core::result::Result<&str, _>| u8::from_str_radix(digits.ok()?, 16).ok();
                bytes = digits.map(byte).collect::<Option<_>>()?;
            }
            // Version and suite stand before it.
            let id: [u8; 16] = bytes.get(2..18)?.try_into().ok()?;
            Some(Named::Key(KeyId::from_bytes(id)))
        }
    }
}
