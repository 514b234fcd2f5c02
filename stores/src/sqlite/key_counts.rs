// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which keys the cells of a table name.
//!
//! Owns the reading of the beginnings of cells. Never opens one, never needs a key.

use amanat::KeyId;
use amanat::envelope::{TEXT_KEY_PREFIX_CHARS, VERSION, append_from_text};
use amanat::error::Result;
use amanat::schema::TableSchema;
use amanat::suite::{HEADER_BYTES, Suite};
use amanat::token::Epoch;
use rusqlite::Connection;
use rusqlite::types::ValueRef as SqlRef;

use super::fault::failed;
use super::table::SqlTable;
use crate::columns::Role;
use crate::run::{KeyCount, Named};

/// How the text of a token begins, before the letter of its kind.
const TOKEN_PREFIX: &str = "amt1:";

/// Counts the cells of sealed fields, indexes and kept tokens by what they name: one pass over the table, in the memory of one row.
pub(super) fn key_counts(
    connection: &Connection,
    table: &SqlTable,
    schema: &TableSchema,
) -> Result<Vec<KeyCount>> {
    let mut counts: Vec<Vec<(Option<Named>, u64)>> = vec![Vec::new(); table.cells.len()];
    let indexes = schema.indexes().len();
    let sql = table.select_beginnings(HEADER_BYTES, TEXT_KEY_PREFIX_CHARS);
    let mut statement = connection.prepare(&sql).map_err(failed)?;
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next().map_err(failed)? {
        for ((place, role), counts) in table.roles.iter().enumerate().zip(&mut counts) {
            let cell = row.get_ref(place).map_err(failed)?;
            let named = match role {
                _ if cell == SqlRef::Null => continue,
                Role::Former(..) | Role::LeftOver | Role::Sealed(..) => key(cell),
                Role::Surrogate(position) if *position < indexes => tag(cell),
                // A token that keeps the format of its value does not say of which epoch it is.
                Role::Surrogate(_) => match epoch(cell) {
                    None => continue,
                    named => named,
                },
                Role::Clear | Role::Masked(_) => continue,
            };
            match counts.iter_mut().find(|(known, _)| *known == named) {
                Some((_, count)) => *count += 1,
                None => counts.push((named, 1)),
            }
        }
    }
    let of_column = table.names.iter().zip(counts).flat_map(|(column, counts)| {
        counts.into_iter().map(|(named, cells)| KeyCount { column: column.clone(), named, cells })
    });
    Ok(of_column.collect())
}

/// The key of an envelope that begins like this, in either form.
fn key(cell: SqlRef<'_>) -> Option<Named> {
    let mut decoded = Vec::with_capacity(HEADER_BYTES);
    let header = match cell {
        SqlRef::Blob(bytes) => bytes,
        SqlRef::Text(text) => {
            append_from_text(core::str::from_utf8(text).ok()?, &mut decoded).ok()?;
            &decoded
        }
        _ => return None,
    };
    let [VERSION, suite, id @ ..] = header else { return None };
    Suite::from_byte(*suite).ok()?;
    Some(Named::Key(KeyId::from_bytes(id.try_into().ok()?)))
}

/// The tag of a term, in either form.
fn tag(cell: SqlRef<'_>) -> Option<Named> {
    let tag = match cell {
        SqlRef::Blob(bytes) => *bytes.first()?,
        SqlRef::Text(text) => {
            let digits = core::str::from_utf8(text.get(..2)?).ok()?;
            let lower = digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
            u8::from_str_radix(digits, 16).ok().filter(|_| lower)?
        }
        _ => return None,
    };
    Some(Named::Tag(tag))
}

/// The epoch of a token: `amt1:p:12:`.
fn epoch(cell: SqlRef<'_>) -> Option<Named> {
    let SqlRef::Text(text) = cell else { return None };
    let mut parts = core::str::from_utf8(text).ok()?.strip_prefix(TOKEN_PREFIX)?.split(':');
    let (_kind, number, _rest) = (parts.next()?, parts.next()?, parts.next()?);
    let epoch = Epoch::new(number.parse().ok()?).ok()?;
    Some(Named::Epoch(epoch.get().into()))
}
