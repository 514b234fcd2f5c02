// SPDX-License-Identifier: MIT OR Apache-2.0
//! Places in the order of a table's key as text: JSON of typed values.
//!
//! Owns that form. Never changes a value on its way to text and back: were a bit of one lost, rows after it would be too.

use amanat::error::{Error, Result};
use rusqlite::ToSql;
use rusqlite::types::{ToSqlOutput, ValueRef as SqlRef};
use serde_json::Value as Json;

use crate::json::append_json;
use crate::run::Position;

/// A value of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum KeyPart {
    Blob(Vec<u8>),
    Integer(i64),
    /// Not UTF-8, yet SQLite stores it as TEXT.
    NotUtf8(Vec<u8>),
    Null,
    /// Bits of a REAL.
    Real(u64),
    Text(String),
}

impl KeyPart {
    pub(super) fn of(value: SqlRef<'_>) -> Self {
        match value {
            SqlRef::Null => Self::Null,
            SqlRef::Integer(number) => Self::Integer(number),
            SqlRef::Real(number) => Self::Real(number.to_bits()),
            SqlRef::Text(text) => match core::str::from_utf8(text) {
                Ok(text) => Self::Text(text.to_owned()),
                Err(_) => Self::NotUtf8(text.to_vec()),
            },
            SqlRef::Blob(bytes) => Self::Blob(bytes.to_vec()),
        }
    }
}

impl ToSql for KeyPart {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Blob(bytes) => SqlRef::Blob(bytes),
            Self::Integer(number) => SqlRef::Integer(*number),
            Self::NotUtf8(text) => SqlRef::Text(text),
            Self::Null => SqlRef::Null,
            Self::Real(bits) => SqlRef::Real(f64::from_bits(*bits)),
            Self::Text(text) => SqlRef::Text(text.as_bytes()),
        }))
    }
}

/// Writes a position: `[5]`, `["text",{"blob":"00ff"},{"real":"3ff0000000000000"},{"text":"62ff"},null]`.
pub(super) fn to_position(key: &[KeyPart]) -> Position {
    let mut out = Vec::new();
    for part in key {
        out.push(if out.is_empty() { b'[' } else { b',' });
        match part {
            KeyPart::Blob(bytes) => out.extend(format!("{{\"blob\":\"{}\"}}", hex(bytes)).into_bytes()),
            KeyPart::Integer(number) => out.extend(number.to_string().into_bytes()),
            KeyPart::NotUtf8(text) => out.extend(format!("{{\"text\":\"{}\"}}", hex(text)).into_bytes()),
            KeyPart::Null => out.extend(b"null"),
            KeyPart::Real(bits) => out.extend(format!("{{\"real\":\"{bits:016x}\"}}").into_bytes()),
            // A string can always be written to memory.
            KeyPart::Text(text) => drop(append_json(text, &mut out)),
        }
    }
    out.push(b']');
    Position(String::from_utf8(out).unwrap_or_default())
}

/// Reads a position of a table whose key has so many columns.
pub(super) fn from_position(position: &Position, columns: usize) -> Result<Vec<KeyPart>> {
    let read = || {
        let Ok(Json::Array(parts)) = serde_json::from_str(&position.0) else { return None };
        let key = parts.iter().map(part).collect::<Option<Vec<_>>>()?;
        // One position has one text: what was edited is told, not guessed at.
        Some(key).filter(|key| key.len() == columns && to_position(key) == *position)
    };
    let edited = "a position in the journal is not of this table's key; was the journal edited, or the table's key changed?";
    read().ok_or_else(|| Error::malformed(edited))
}

fn part(json: &Json) -> Option<KeyPart> {
    Some(match json {
        Json::Null => KeyPart::Null,
        Json::Number(number) => KeyPart::Integer(number.as_i64()?),
        Json::String(text) => KeyPart::Text(text.clone()),
        Json::Object(members) => {
            let (kind, digits) = members.iter().next()?;
            let bytes = from_hex(digits.as_str()?)?;
            match kind.as_str() {
                "blob" => KeyPart::Blob(bytes),
                "real" => KeyPart::Real(u64::from_be_bytes(bytes.try_into().ok()?)),
                "text" if core::str::from_utf8(&bytes).is_err() => KeyPart::NotUtf8(bytes),
                _ => return None,
            }
        }
        _ => return None,
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(digits: &str) -> Option<Vec<u8>> {
    let (pairs, []) = digits.as_bytes().as_chunks::<2>() else { return None };
    let pair = |pair: &[u8; 2]| u8::from_str_radix(core::str::from_utf8(pair).ok()?, 16).ok();
    pairs.iter().map(pair).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use rusqlite::Connection;

    use super::*;

    fn any_part() -> impl Strategy<Value = KeyPart> {
        prop_oneof![
            any::<i64>().prop_map(KeyPart::Integer),
            any::<String>().prop_map(KeyPart::Text),
            vec(any::<u8>(), 0..40).prop_map(KeyPart::Blob),
            vec(any::<u8>(), 1..40).prop_map(|bytes| KeyPart::of(SqlRef::Text(&bytes))),
            any::<u64>().prop_map(KeyPart::Real),
            Just(KeyPart::Null),
        ]
    }

    proptest! {
        #[test]
        fn a_key_is_read_as_it_was_written(key in vec(any_part(), 1..6)) {
            let position = to_position(&key);
            prop_assert_eq!(from_position(&position, key.len()).unwrap(), key.clone());
            prop_assert!(from_position(&position, key.len() + 1).is_err());
        }

        #[test]
        fn sqlite_gives_back_what_a_position_holds(key in vec(any_part(), 1..6)) {
            // SQLite stores no NaN: it makes NULL of it.
            prop_assume!(!key.iter().any(|part| matches!(part, KeyPart::Real(bits) if f64::from_bits(*bits).is_nan())));
            let connection = Connection::open_in_memory().unwrap();
            for part in from_position(&to_position(&key), key.len()).unwrap() {
                let back = connection.query_row("SELECT ?1", [&part], |row| Ok(KeyPart::of(row.get_ref(0)?)));
                prop_assert_eq!(back.unwrap(), part);
            }
        }

        #[test]
        fn a_text_that_is_no_position_is_refused(text in ".{0,40}") {
            if let Ok(key) = from_position(&Position(text.clone()), 1) {
                prop_assert_eq!(to_position(&key), Position(text));
            }
        }
    }

    #[test]
    fn every_kind_of_value_has_one_form() {
        let key = [
            KeyPart::Integer(-5),
            KeyPart::Text("a\"\n".to_owned()),
            KeyPart::NotUtf8(b"b\xff".to_vec()),
            KeyPart::Blob(vec![0, 255]),
            KeyPart::Real(1_f64.to_bits()),
            KeyPart::Null,
        ];
        let text = r#"[-5,"a\"\n",{"text":"62ff"},{"blob":"00ff"},{"real":"3ff0000000000000"},null]"#;
        assert_eq!(to_position(&key).0, text);
        let others = [
            "",
            "[]",
            "5",
            "[5",
            "[ 5]",
            "[5.0]",
            "[1e1]",
            "[true]",
            "[[5]]",
            "[{}]",
            "[9223372036854775808]",
            r#"[{"text":"62"}]"#,
            r#"[{"blob":"0"}]"#,
            r#"[{"blob":"0F"}]"#,
            r#"[{"blob":"+1"}]"#,
            r#"[{"real":"00"}]"#,
            r#"[{"blob":"00","text":"ff"}]"#,
            r#"["\u0061"]"#,
            "[5,5]",
            r#"[{"other":"00"}]"#,
        ];
        for other in others {
            let error = from_position(&Position(other.to_owned()), 1).unwrap_err();
            assert_eq!(error.kind(), amanat::error::Kind::Malformed, "{other}");
        }
    }
}
