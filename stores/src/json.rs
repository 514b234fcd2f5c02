// SPDX-License-Identifier: MIT OR Apache-2.0
//! JSON values as CBOR and back.
//!
//! Owns the deterministic encoding: shortest integers, 64-bit floats, keys in the order of their encoded bytes. Never drops a member
//! and never rounds an integer.

use std::borrow::Cow;
use std::fmt;

use amanat::error::{Error, Result};
use amanat::value::MAX_CBOR_DEPTH;
use minicbor::data::Type;
use minicbor::{Decoder, Encoder};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

/// A string that borrows from the JSON it was read from, unless it has escapes.
pub(crate) struct JsonStr<'a>(pub(crate) Cow<'a, str>);

impl<'de> Deserialize<'de> for JsonStr<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = JsonStr<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(JsonStr(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(JsonStr(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Read)
    }
}

/// The members of an object in order, each with its text.
pub(crate) struct Members<'a>(pub(crate) Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((JsonStr(name), value)) = map.next_entry()? {
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Read)
    }
}

/// A JSON value whose members keep their order and their repetitions.
enum Node {
    Null,
    Boolean(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(Zeroizing<String>),
    Array(Vec<Node>),
    Object(Vec<(Zeroizing<String>, Node)>),
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Node;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON value")
            }

            fn visit_unit<E>(self) -> Result<Node, E> {
                Ok(Node::Null)
            }

            fn visit_bool<E>(self, truth: bool) -> Result<Node, E> {
                Ok(Node::Boolean(truth))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Node, E> {
                Ok(Node::Unsigned(number))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Node, E> {
                Ok(Node::Signed(number))
            }

            fn visit_f64<E>(self, number: f64) -> Result<Node, E> {
                Ok(Node::Float(number))
            }

            fn visit_str<E>(self, text: &str) -> Result<Node, E> {
                Ok(Node::Text(Zeroizing::new(text.to_owned())))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
                let mut array = Vec::new();
                while let Some(item) = items.next_element()? {
                    array.push(item);
                }
                Ok(Node::Array(array))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Node, A::Error> {
                let mut object: Vec<(Zeroizing<String>, Node)> = Vec::new();
                while let Some((JsonStr(key), value)) = members.next_entry()? {
                    object.push((Zeroizing::new(key.into_owned()), value));
                }
                Ok(Node::Object(object))
            }
        }
        deserializer.deserialize_any(Read)
    }
}

/// Encodes a JSON text as one deterministic CBOR item; `None` for `null`.
pub(crate) fn to_cbor(text: &str) -> Result<Option<Zeroizing<Vec<u8>>>> {
    let node: Node = serde_json::from_str(text).map_err(|_| not_one_value())?;
    if has_rounded_integer(text) {
        return Err(Error::schema("an integer beyond 64 bits; write it as a string"));
    }
    if matches!(node, Node::Null) {
        return Ok(None);
    }
    // No item is longer than three times its text (`1e1` is a float of 9 bytes), so this never moves and leaves an unwiped copy.
    let mut item = Zeroizing::new(Vec::with_capacity(text.len().saturating_mul(3).saturating_add(9)));
    encode(&node, 1, &mut Encoder::new(&mut *item))?;
    Ok(Some(Zeroizing::new(item.as_slice().to_vec())))
}

fn not_one_value() -> Error {
    Error::schema("not one JSON value, or one with a repeated member")
}

fn encode(node: &Node, depth: usize, out: &mut Encoder<&mut Vec<u8>>) -> Result<()> {
    let never = |_| Error::schema("a JSON value that has no CBOR form");
    if depth > MAX_CBOR_DEPTH {
        return Err(Error::limit("a JSON value nested more than 32 levels deep"));
    }
    match node {
        Node::Null => out.null().map(drop).map_err(never),
        Node::Boolean(truth) => out.bool(*truth).map(drop).map_err(never),
        Node::Unsigned(number) => out.u64(*number).map(drop).map_err(never),
        Node::Signed(number) => out.i64(*number).map(drop).map_err(never),
        Node::Float(number) => out.f64(*number).map(drop).map_err(never),
        Node::Text(text) => out.str(text).map(drop).map_err(never),
        Node::Array(items) => {
            out.array(u64::try_from(items.len()).unwrap_or(u64::MAX)).map_err(never)?;
            items.iter().try_for_each(|item| encode(item, depth + 1, out))
        }
        Node::Object(members) => {
            out.map(u64::try_from(members.len()).unwrap_or(u64::MAX)).map_err(never)?;
            // RFC 8949 section 4.2.1: by the encoded key, so a shorter one stands first.
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_by(|(left, _), (right, _)| {
                (left.len(), left.as_str()).cmp(&(right.len(), right.as_str()))
            });
            // Equal keys now stand side by side: looking for them earlier would take time squared.
            if sorted.iter().zip(sorted.iter().skip(1)).any(|((left, _), (right, _))| left == right) {
                return Err(not_one_value());
            }
            sorted.into_iter().try_for_each(|(key, value)| {
                out.str(key).map(drop).map_err(never)?;
                encode(value, depth + 1, out)
            })
        }
    }
}

/// Whether a valid JSON text has an integer that 64 bits do not hold and that reading would round.
fn has_rounded_integer(text: &str) -> bool {
    let (mut in_string, mut escaped) = (false, false);
    let tokens = text.split(|c: char| {
        let quote = c == '"' && !escaped;
        in_string ^= quote;
        escaped = in_string && c == '\\' && !escaped;
        in_string || quote || !matches!(c, '0'..='9' | '-' | '+' | '.' | 'e' | 'E')
    });
    tokens
        .filter(|token| token.len() > 18 && token.bytes().all(|b| b == b'-' || b.is_ascii_digit()))
        .any(|token| token.parse::<i64>().is_err() && token.parse::<u64>().is_err())
}

/// Appends the JSON text of a CBOR item.
pub(crate) fn append_from_cbor(item: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let start = out.len();
    let mut decoder = Decoder::new(item);
    let written = decode(&mut decoder, out);
    if written.is_some() && decoder.position() == item.len() {
        return Ok(());
    }
    out.truncate(start);
    Err(Error::schema(
        "the CBOR value has no JSON form: it holds bytes, tags, half floats, infinities or keys that are not text",
    ))
}

fn decode(decoder: &mut Decoder<'_>, out: &mut Vec<u8>) -> Option<()> {
    match decoder.datatype().ok()? {
        Type::Null => {
            decoder.null().ok()?;
            out.extend_from_slice(b"null");
        }
        Type::Bool => {
            let truth = decoder.bool().ok()?;
            out.extend_from_slice(if truth { b"true" } else { b"false" });
        }
        Type::U8 | Type::U16 | Type::U32 | Type::U64 => {
            append_json(&decoder.u64().ok()?, out)?;
        }
        Type::I8 | Type::I16 | Type::I32 | Type::I64 => {
            append_json(&decoder.i64().ok()?, out)?;
        }
        Type::F32 => append_float(f64::from(decoder.f32().ok()?), out)?,
        Type::F64 => append_float(decoder.f64().ok()?, out)?,
        Type::String => append_json(decoder.str().ok()?, out)?,
        Type::Array => {
            let count = decoder.array().ok()??;
            out.push(b'[');
            for position in 0..count {
                if position > 0 {
                    out.push(b',');
                }
                decode(decoder, out)?;
            }
            out.push(b']');
        }
        Type::Map => {
            let count = decoder.map().ok()??;
            out.push(b'{');
            for position in 0..count {
                if position > 0 {
                    out.push(b',');
                }
                append_json(decoder.str().ok()?, out)?;
                out.push(b':');
                decode(decoder, out)?;
            }
            out.push(b'}');
        }
        _ => return None,
    }
    Some(())
}

fn append_float(number: f64, out: &mut Vec<u8>) -> Option<()> {
    if number.is_finite() { append_json(&number, out) } else { None }
}

/// Appends a string or number as JSON.
pub(crate) fn append_json<T: serde::Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Option<()> {
    serde_json::to_writer(out, value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there_and_back(text: &str) -> Option<String> {
        let item = to_cbor(text).ok()??;
        let mut out = Vec::new();
        append_from_cbor(&item, &mut out).ok()?;
        String::from_utf8(out).ok()
    }

    #[test]
    fn json_goes_through_cbor_unchanged() {
        for text in [
            "{}",
            "[]",
            "\"\"",
            "0",
            "-1",
            "18446744073709551615",
            "-9223372036854775808",
            "1.5",
            "1.0",
            "1e+300",
            "[true,false,null,\"عائشہ \\\"x\\\"\"]",
            "{\"a\":1,\"b\":{\"c\":[1,2]},\"aa\":\"123456789012345678901234567890\"}",
        ] {
            assert_eq!(there_and_back(text).as_deref(), Some(text));
        }
        assert_eq!(there_and_back("{\"b\": 1, \"a\": 2}").as_deref(), Some("{\"a\":2,\"b\":1}"));
    }

    #[test]
    fn many_members_take_no_time_squared() {
        let members: Vec<String> = (0..80_000).map(|number| format!("\"{number:06}\":1e1")).collect();
        let started = std::time::Instant::now();
        assert!(to_cbor(&format!("{{{}}}", members.join(","))).is_ok());
        assert!(started.elapsed().as_secs() < 5, "{:?}", started.elapsed());
    }

    #[test]
    fn what_json_would_lose_is_refused() {
        let deep = format!("{}1{}", "[".repeat(32), "]".repeat(32));
        for text in ["", "{\"a\":1,\"a\":2}", "18446744073709551616", "[-9223372036854775809]", "1 2", &deep]
        {
            assert!(to_cbor(text).is_err(), "{text}");
        }
        assert!(to_cbor("{\"a\":{\"c\":1,\"b\":2,\"c\":3}}").is_err(), "inside and apart too");
        assert!(there_and_back(&deep[1..deep.len() - 1]).is_some());
        for item in
            [&[0x41, 0][..], &[0xc0, 0x00], &[0xf9, 0x7c, 0x00], &[0xfb, 0x7f, 0xf0, 0, 0, 0, 0, 0, 0]]
        {
            assert!(append_from_cbor(item, &mut Vec::new()).is_err());
        }
    }
}
