// SPDX-License-Identifier: MIT OR Apache-2.0
//! Values as text, for cells that have no types of their own.
//!
//! Owns one text for each value, so that what is revealed is what was protected. Never accepts a second spelling.

use std::io::Write;

use amanat::Date;
use amanat::envelope::looks_like_text_form;
use amanat::error::{Error, Result};
use amanat::schema::ValueType;
use amanat::value::{Value, ValueRef};
use base64_turbo::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use crate::cell::Stored;
use crate::json;

/// Reads a cell of a text file as a value of the field's type; an empty one is absent.
#[inline]
pub(crate) fn read(bytes: &[u8], value_type: ValueType) -> Result<Stored<'_>> {
    if bytes.is_empty() {
        return Ok(Stored::Absent);
    }
    let not_text = || Error::schema("not UTF-8; convert the file to UTF-8 first");
    let text = core::str::from_utf8(bytes).map_err(|_| not_text())?;
    if looks_like_text_form(bytes) {
        return Ok(Stored::EnvelopeText(text));
    }
    match value_type {
        ValueType::Text => Ok(Stored::Plain(ValueRef::Text(text))),
        ValueType::Integer => integer(text).map(|number| Stored::Plain(ValueRef::Integer(number))),
        ValueType::Date => date(text).map(|date| Stored::Plain(ValueRef::Date(date))),
        ValueType::Boolean => match text {
            "true" => Ok(Stored::Plain(ValueRef::Boolean(true))),
            "false" => Ok(Stored::Plain(ValueRef::Boolean(false))),
            _ => Err(Error::schema("not a boolean: write true or false")),
        },
        ValueType::Bytes => {
            let decoded = base64url(text)?;
            Ok(Stored::PlainOwned(Value::Bytes(decoded)))
        }
        ValueType::Cbor => json::to_cbor(text).map(|item| match item {
            Some(item) => Stored::PlainOwned(Value::Cbor(item)),
            None => Stored::Absent,
        }),
        _ => Err(Error::unsupported("text files do not know this type of value")),
    }
}

/// Reads what another tool's opener gave as a value of the field's type: text and bytes as they are, numbers, dates and booleans from their
/// one text, CBOR as one item.
pub(crate) fn from_plaintext(mut plain: Zeroizing<Vec<u8>>, value_type: ValueType) -> Result<Value> {
    match value_type {
        ValueType::Bytes => return Ok(Value::Bytes(plain)),
        ValueType::Cbor => return Ok(Value::Cbor(plain)),
        ValueType::Text => {
            // Not copied: the one buffer becomes the text, or is wiped.
            return match String::from_utf8(core::mem::take(&mut *plain)) {
                Ok(text) => Ok(Value::Text(Zeroizing::new(text))),
                Err(error) => {
                    drop(Zeroizing::new(error.into_bytes()));
                    Err(Error::schema("what the other tool sealed is not UTF-8, and the schema says text"))
                }
            };
        }
        _ => {}
    }
    let not_text = || Error::schema(format!("what the other tool sealed is no text of type {value_type}"));
    let text = core::str::from_utf8(&plain).map_err(|_| not_text())?;
    match (value_type, text) {
        (ValueType::Integer, text) => integer(text).map(Value::Integer),
        (ValueType::Date, text) => date(text).map(Value::Date),
        (ValueType::Boolean, "true") => Ok(Value::Boolean(true)),
        (ValueType::Boolean, "false") => Ok(Value::Boolean(false)),
        _ => Err(not_text()),
    }
}

/// Appends the text of a value; nothing for a null.
pub(crate) fn append(value: ValueRef<'_>, out: &mut Vec<u8>) -> Result<()> {
    match value {
        ValueRef::Null => Ok(()),
        ValueRef::Text(text) => {
            out.extend_from_slice(text.as_bytes());
            Ok(())
        }
        ValueRef::Integer(number) => write(out, format_args!("{number}")),
        ValueRef::Date(date) => write(out, format_args!("{date}")),
        ValueRef::Boolean(truth) => write(out, format_args!("{truth}")),
        ValueRef::Bytes(bytes) => {
            out.extend_from_slice(Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes)).as_bytes());
            Ok(())
        }
        ValueRef::Cbor(item) => json::append_from_cbor(item, out),
        _ => Err(Error::unsupported("text files do not know this type of value")),
    }
}

fn write(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) -> Result<()> {
    out.write_fmt(text).map_err(|error| Error::store("a value cannot be written", error))
}

/// Reads an integer without plus sign and leading zeros.
pub(crate) fn integer(text: &str) -> Result<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let canonical = text == "0" || (digits.starts_with(|c: char| matches!(c, '1'..='9')));
    let number = if canonical { text.parse().ok() } else { None };
    number.ok_or_else(|| {
        Error::schema(
            "not an integer of 64 bits without plus sign and leading zeros; a number that keeps them is text",
        )
    })
}

/// Reads a date.
pub(crate) fn date(text: &str) -> Result<Date> {
    if text.is_empty() {
        return Err(Error::schema("the cell holds empty text; where a date is absent it must be NULL"));
    }
    text.parse().map_err(|error: Error| Error::schema(error.message().to_owned()))
}

/// Reads base64url without padding.
pub(crate) fn base64url(text: &str) -> Result<Zeroizing<Vec<u8>>> {
    let decoded = URL_SAFE_NO_PAD.decode(text).map(Zeroizing::new);
    // One value has one text, whatever the decoder lets pass; the second text is wiped too.
    let again = |bytes: &Zeroizing<Vec<u8>>| Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes.as_slice()));
    let canonical = decoded.ok().filter(|bytes| again(bytes).as_str() == text);
    canonical
        .ok_or_else(|| Error::schema("not base64url without padding, which is how bytes stand in text files"))
}
