// SPDX-License-Identifier: MIT OR Apache-2.0
//! Texts of keys and values: base64, hex, JSON of a key file, associated data.
//!
//! Owns the decoding of what is written as text. Never repeats any of it in an error.

use core::fmt;
use std::borrow::Cow;

use amanat::error::{Error, Result};
use base64_turbo::{STANDARD, URL_SAFE};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::Origin;
use crate::limits::MAX_KEY_FILE_BYTES;

/// How the bytes of a value stand in their column.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Encoding {
    Base64,
    Base64url,
    Binary,
    Hex,
}

impl Encoding {
    pub(crate) fn decode(self, stored: &[u8]) -> Result<Cow<'_, [u8]>> {
        match self {
            Self::Base64 => base64(stored).map(Cow::Owned),
            Self::Base64url => base64url(stored).map(Cow::Owned),
            Self::Binary => Ok(Cow::Borrowed(stored)),
            Self::Hex => hex(stored).map(Cow::Owned),
        }
    }
}

/// Canonical base64 (RFC 4648, chapter 4) with padding.
pub(crate) fn base64(text: &[u8]) -> Result<Vec<u8>> {
    STANDARD.decode(text).map_err(|_| Error::malformed("not base64 with padding, in its one form"))
}

/// Canonical base64url (RFC 4648, chapter 5) with padding.
pub(crate) fn base64url(text: &[u8]) -> Result<Vec<u8>> {
    URL_SAFE.decode(text).map_err(|_| Error::malformed("not base64url with padding, in its one form"))
}

/// Pairs of hexadecimal digits, of one case throughout.
pub(crate) fn hex(text: &[u8]) -> Result<Vec<u8>> {
    let wrong = || Error::malformed("not pairs of hexadecimal digits of one case");
    if text.iter().any(u8::is_ascii_lowercase) && text.iter().any(u8::is_ascii_uppercase) {
        return Err(wrong());
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    // A buffer of the final length, so that none is left behind by growing: the text may be a key.
    let mut bytes = Vec::with_capacity(text.len() / 2);
    for pair in text.chunks(2) {
        let &[high, low] = pair else { return Err(wrong()) };
        bytes.push(digit(high).ok_or_else(wrong)? << 4 | digit(low).ok_or_else(wrong)?);
    }
    Ok(bytes)
}

/// A secret text of a key file.
#[derive(Deserialize)]
#[serde(from = "String")]
pub(crate) struct SecretText(Zeroizing<String>);

impl SecretText {
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for SecretText {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

/// Reads a key file of JSON. `what` names it in the error: `the key file of Tink`.
pub(crate) fn key_json<T: DeserializeOwned>(key_file: &[u8], what: &str) -> Result<T> {
    let key_file = bounded_key_file(key_file)?;
    // The parser's own message may repeat a key: only the place is told.
    serde_json::from_slice(key_file).map_err(|fault| {
        let wrong = if fault.is_data() {
            "lacks a member, or has one too many or of another type"
        } else {
            "is no JSON"
        };
        Error::malformed(format!(
            "{what} {wrong}, at line {}, column {}; `amanat help` shows what it must contain",
            fault.line(),
            fault.column()
        ))
    })
}

pub(crate) fn bounded_key_file(key_file: &[u8]) -> Result<&[u8]> {
    if key_file.len() > MAX_KEY_FILE_BYTES {
        return Err(Error::limit(format!("a key file of more than {MAX_KEY_FILE_BYTES} bytes")));
    }
    Ok(key_file)
}

/// Associated data of a cipher, with places for what names the value.
pub(crate) struct Associated(Vec<Part>);

enum Part {
    Column,
    Record,
    Table,
    Text(String),
}

impl Associated {
    /// Parses text with `{table}`, `{column}` and `{record}`; a brace of the text itself is written twice.
    pub(crate) fn parse(text: Option<&str>) -> Result<Self> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text.unwrap_or_default();
        while let Some(letter) = rest.chars().next() {
            if let Some(after) = rest.strip_prefix("{{").or_else(|| rest.strip_prefix("}}")) {
                plain.push(letter);
                rest = after;
            } else if letter == '{' {
                let (part, after) = placeholder(rest)?;
                parts.extend([Part::Text(core::mem::take(&mut plain)), part]);
                rest = after;
            } else if letter == '}' {
                return Err(wrong_placeholder());
            } else {
                plain.push(letter);
                rest = rest.get(letter.len_utf8()..).unwrap_or_default();
            }
        }
        parts.push(Part::Text(plain));
        Ok(Self(parts))
    }

    /// The associated data of a value.
    ///
    /// # Errors
    /// `Schema` if it names the record, whose id has not exactly one column.
    pub(crate) fn of(&self, origin: &Origin<'_>) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        for part in &self.0 {
            let text = match part {
                Part::Column => origin.column,
                Part::Record => record(origin)?,
                Part::Table => origin.table,
                Part::Text(text) => text,
            };
            out.extend_from_slice(text.as_bytes());
        }
        Ok(out)
    }
}

fn placeholder(text: &str) -> Result<(Part, &str)> {
    let parts = [("{column}", Part::Column), ("{record}", Part::Record), ("{table}", Part::Table)];
    let found = parts.into_iter().find_map(|(name, part)| text.strip_prefix(name).map(|rest| (part, rest)));
    found.ok_or_else(wrong_placeholder)
}

fn wrong_placeholder() -> Error {
    Error::malformed(
        "associated_data may have {table}, {column} and {record}; a brace of its own is written twice",
    )
}

fn record<'a>(origin: &Origin<'a>) -> Result<&'a str> {
    match origin.record {
        [only] => Ok(only),
        columns => Err(Error::schema(format!(
            "associated_data names {{record}}, which needs a record id of one column; this table's has {}",
            columns.len()
        ))),
    }
}

impl fmt::Debug for Associated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Associated")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use amanat::error::Kind;

    use super::*;

    #[test]
    fn associated_data_names_the_place_of_a_value() {
        let origin = Origin::new("people", "name", &["7"]);
        let of = |text| Associated::parse(text).and_then(|associated| associated.of(&origin));
        assert_eq!(of(None).unwrap(), b"");
        assert_eq!(of(Some("{table}.{column}/{record}{{}}é")).unwrap(), "people.name/7{}é".as_bytes());
        for bad in ["{", "}", "{row}", "{table", "{{}", "é}"] {
            assert_eq!(of(Some(bad)).unwrap_err().kind(), Kind::Malformed, "{bad}");
        }
        let two = Origin::new("people", "name", &["7", "8"]);
        let associated = Associated::parse(Some("{record}")).unwrap();
        assert_eq!(associated.of(&two).unwrap_err().kind(), Kind::Schema);
    }

    #[test]
    fn one_byte_string_has_one_text() {
        for bad in [&b"QQ"[..], b"QQ=", b"QR==", b"QQ==\n", b" QQ==", b"Q", b"_-8="] {
            assert!(base64(bad).is_err(), "{bad:?}");
        }
        assert_eq!(base64(b"/+8=").unwrap(), base64url(b"_-8=").unwrap());
        assert_eq!(hex(b"00ffa9").unwrap(), hex(b"00FFA9").unwrap());
        assert!(hex(b"00fFa9").is_err() && hex(b"0").is_err() && hex(b"0g").is_err() && hex(b"+1").is_err());
    }

    #[test]
    fn a_fault_of_a_key_file_does_not_show_it() {
        let fault = key_json::<Vec<u32>>(b"[1, \"top-secret\"]", "the key file").unwrap_err().to_string();
        assert!(fault.contains("line 1, column") && !fault.contains("top-secret"), "{fault}");
    }
}
