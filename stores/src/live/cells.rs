// SPDX-License-Identifier: MIT OR Apache-2.0
//! The cells that a sealed record is stored as, and which of them need not be written.
//!
//! Owns the comparison with what stands there. Never keeps a cell whose value has changed, nor one that a run would have to seal again.

use amanat::Record;
use amanat::envelope::{Envelope, append_from_text};
use amanat::error::{Error, Result};
use amanat::index::IndexTerm;
use amanat::schema::{Encoding, Mode, TableSchema};
use serde::Serialize;
use serde_json::Value as Json;

use super::StoredValue;

/// The columns of a sealed record, in the schema's encoding.
pub(super) fn of<S: Serialize>(sealed: &S, table: &TableSchema) -> Result<Vec<(String, StoredValue)>> {
    let wrong = || Error::misuse("the sealed type of a record is not a struct of columns; derive it");
    let Ok(Json::Object(columns)) = serde_json::to_value(sealed) else { return Err(wrong()) };
    let cell = |(column, value): (String, Json)| {
        let is_sealed = table.by_column(&column).is_some_and(|field| field.mode() == Mode::Sealed);
        let is_term = table.indexes().iter().any(|index| index.column() == column);
        let value = match (value, table.encoding()) {
            (Json::Null, _) => StoredValue::Null,
            (Json::Bool(truth), _) => StoredValue::Boolean(truth),
            (Json::Number(number), _) => StoredValue::Integer(number.as_i64().ok_or_else(wrong)?),
            (Json::String(text), Encoding::Binary) if is_sealed => {
                let mut bytes = Vec::with_capacity(text.len());
                append_from_text(&text, &mut bytes)?;
                StoredValue::Bytes(bytes)
            }
            (Json::String(text), Encoding::Binary) if is_term => {
                StoredValue::Bytes(IndexTerm::from_text(&text)?.as_bytes().to_vec())
            }
            (Json::String(text), _) => StoredValue::Text(text),
            (Json::Array(_) | Json::Object(_), _) => return Err(wrong()),
        };
        Ok((column, value))
    };
    columns.into_iter().map(cell).collect()
}

/// For each sealed field, whether two records have the same value.
pub(super) fn unchanged<R: Record>(former: &R, changed: &R) -> Vec<bool> {
    former.sealed_values().iter().zip(changed.sealed_values()).map(|(former, new)| *former == new).collect()
}

/// Whether a cell may stay although sealing has given another one: its value has not changed, and it is sealed as today's policy says.
pub(super) fn may_stay(
    table: &TableSchema,
    column: &str,
    (stored, new): (&StoredValue, &StoredValue),
    unchanged: &[bool],
) -> bool {
    let same =
        |field| table.sealed_position(field).and_then(|place| unchanged.get(place)).is_some_and(|same| *same);
    if let Some(field) = table.by_column(column).filter(|field| field.mode() == Mode::Sealed) {
        return same(field.name()) && is_sealed_like(stored, new);
    }
    // The term of a hidden absence is another each time it is made: changing it beside a cell that stays would tell that it is one.
    if let Some(index) = table.indexes().iter().find(|index| index.column() == column) {
        let unchanged = index.spec().fields().iter().all(|part| same(&part.field));
        let is_current = |stored: IndexTerm, new: IndexTerm| {
            stored.tag() == new.tag() && stored.has_bits(index.spec().bits())
        };
        return unchanged && term(stored).zip(term(new)).is_some_and(|(stored, new)| is_current(stored, new));
    }
    false
}

/// Whether a cell is sealed as another one of the same value is: under the same key, in the same suite, padded alike.
fn is_sealed_like(stored: &StoredValue, new: &StoredValue) -> bool {
    let head = |cell: &StoredValue| {
        let mut bytes = Vec::new();
        let bytes = match cell {
            StoredValue::Bytes(stored) => stored.as_slice(),
            StoredValue::Text(text) => append_from_text(text, &mut bytes).ok().map(|()| bytes.as_slice())?,
            _ => return None,
        };
        let envelope = Envelope::parse(bytes).ok()?;
        Some((envelope.suite(), envelope.key(), bytes.len()))
    };
    head(stored).is_some_and(|stored| Some(stored) == head(new))
}

fn term(cell: &StoredValue) -> Option<IndexTerm> {
    match cell {
        StoredValue::Bytes(bytes) => IndexTerm::from_bytes(bytes).ok(),
        StoredValue::Text(text) => IndexTerm::from_text(text).ok(),
        _ => None,
    }
}
