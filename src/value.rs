// SPDX-License-Identifier: MIT OR Apache-2.0
//! Typed values and their padding: what is inside a seal.
//!
//! Owns SPEC 5.1 and 5.2. Never prints a value. Reading is variable-time in the value's type, length and UTF-8 form.

use core::fmt;

use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::suite::{BLOCK_BYTES, MAX_BUCKET_BYTES};
use crate::time::Date;
use crate::wire::Reader;

/// Deepest nesting of a CBOR value.
pub const MAX_CBOR_DEPTH: usize = 32;

const NULL: u8 = 0x00;
const TEXT: u8 = 0x01;
pub(crate) const BYTES: u8 = 0x02;
const INTEGER: u8 = 0x03;
const DATE: u8 = 0x04;
const BOOLEAN: u8 = 0x05;
const CBOR: u8 = 0x06;
/// First byte of the padding.
const MARK: u8 = 0x80;
/// The padding of narrow buckets, ready to copy.
const PADDING: [u8; 64] = {
    let mut padding = [0; 64];
    padding[0] = MARK;
    padding
};

/// A plain value, owned and wiped when dropped. `Debug` prints the type only.
#[derive(PartialEq, Eq)]
#[non_exhaustive]
pub enum Value {
    /// Absent.
    Null,
    /// UTF-8 text.
    Text(Zeroizing<String>),
    /// Any bytes.
    Bytes(Zeroizing<Vec<u8>>),
    /// A 64-bit integer.
    Integer(i64),
    /// A calendar date, whose day and month may be unknown.
    Date(Date),
    /// True or false.
    Boolean(bool),
    /// One CBOR item: anything else.
    Cbor(Zeroizing<Vec<u8>>),
}

/// A plain value, borrowed: what is sealed, and what an opener lends until its next use.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ValueRef<'a> {
    /// Absent.
    Null,
    /// UTF-8 text.
    Text(&'a str),
    /// Any bytes.
    Bytes(&'a [u8]),
    /// A 64-bit integer.
    Integer(i64),
    /// A calendar date, whose day and month may be unknown.
    Date(Date),
    /// True or false.
    Boolean(bool),
    /// One CBOR item: anything else. Checked when sealed and when opened.
    Cbor(&'a [u8]),
}

impl Value {
    /// Borrows the value.
    #[must_use]
    pub fn as_ref(&self) -> ValueRef<'_> {
        match self {
            Self::Null => ValueRef::Null,
            Self::Text(text) => ValueRef::Text(text),
            Self::Bytes(bytes) => ValueRef::Bytes(bytes),
            Self::Integer(number) => ValueRef::Integer(*number),
            Self::Date(date) => ValueRef::Date(*date),
            Self::Boolean(truth) => ValueRef::Boolean(*truth),
            Self::Cbor(item) => ValueRef::Cbor(item),
        }
    }
}

impl<'a> ValueRef<'a> {
    /// Copies the value.
    #[must_use]
    pub fn to_value(self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Text(text) => Value::Text(Zeroizing::new(text.into())),
            Self::Bytes(bytes) => Value::Bytes(Zeroizing::new(bytes.into())),
            Self::Integer(number) => Value::Integer(number),
            Self::Date(date) => Value::Date(date),
            Self::Boolean(truth) => Value::Boolean(truth),
            Self::Cbor(item) => Value::Cbor(Zeroizing::new(item.into())),
        }
    }

    /// Name of the type, for messages.
    #[must_use]
    pub const fn type_name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Text(_) => "text",
            Self::Bytes(_) => "bytes",
            Self::Integer(_) => "integer",
            Self::Date(_) => "date",
            Self::Boolean(_) => "boolean",
            Self::Cbor(_) => "CBOR",
        }
    }

    /// Gives the type byte and the value's bytes.
    #[inline]
    pub(crate) fn with_parts<T>(self, take: impl FnOnce(u8, &[u8]) -> T) -> T {
        match self {
            Self::Null => take(NULL, &[]),
            Self::Text(text) => take(TEXT, text.as_bytes()),
            Self::Bytes(bytes) => take(BYTES, bytes),
            Self::Integer(number) => take(INTEGER, &*Zeroizing::new(number.to_be_bytes())),
            Self::Date(date) => take(DATE, &*Zeroizing::new(date.to_bytes())),
            Self::Boolean(truth) => take(BOOLEAN, &[u8::from(truth)]),
            Self::Cbor(item) => take(CBOR, item),
        }
    }

    /// Length of the value's bytes, without type and padding.
    #[inline]
    pub(crate) const fn content_bytes(self) -> usize {
        match self {
            Self::Null => 0,
            Self::Text(text) => text.len(),
            Self::Bytes(bytes) | Self::Cbor(bytes) => bytes.len(),
            Self::Integer(_) => 8,
            Self::Date(_) => 4,
            Self::Boolean(_) => 1,
        }
    }

    /// Appends `type ‖ value ‖ 0x80 ‖ zeros` up to a multiple of the bucket.
    #[inline]
    pub(crate) fn append_padded(self, bucket: Bucket, out: &mut Vec<u8>) {
        self.with_parts(|kind, content| {
            let padding = bucket.round_up(content.len() + 2) - content.len() - 1;
            out.push(kind);
            out.extend_from_slice(content);
            if let Some(padding) = PADDING.get(..padding) {
                out.extend_from_slice(padding);
            } else {
                out.push(MARK);
                out.resize(out.len() + padding - 1, 0);
            }
        });
    }

    /// Reads an authentic padded value.
    #[inline]
    pub(crate) fn from_padded(padded: &'a [u8]) -> Result<Self> {
        let wrong = || Error::malformed("padding");
        if !padded.len().is_multiple_of(BLOCK_BYTES) {
            return Err(wrong());
        }
        let end = last_nonzero(padded).ok_or_else(wrong)?;
        let (content, mark) = padded.split_at_checked(end).ok_or_else(wrong)?;
        let (Some(&MARK), Some((kind, content))) = (mark.first(), content.split_first()) else {
            return Err(wrong());
        };
        Self::read(*kind, content)
    }

    /// Reads a value of a type byte.
    #[inline]
    pub(crate) fn read(kind: u8, content: &'a [u8]) -> Result<Self> {
        let exact =
            |n: usize| if content.len() == n { Ok(()) } else { Err(Error::malformed("length of a value")) };
        let mut reader = Reader::new(content);
        match kind {
            NULL => exact(0).map(|()| Self::Null),
            TEXT => core::str::from_utf8(content)
                .map(Self::Text)
                .map_err(|_| Error::malformed("text is not UTF-8")),
            BYTES => Ok(Self::Bytes(content)),
            INTEGER => exact(8).and_then(|()| Ok(Self::Integer(i64::from_be_bytes(*reader.take_array()?)))),
            DATE => {
                exact(4)?;
                let year = u16::from_be_bytes(*reader.take_array()?);
                Ok(Self::Date(Date::new(year, reader.take_byte()?, reader.take_byte()?)?))
            }
            BOOLEAN => match content {
                [0] => Ok(Self::Boolean(false)),
                [1] => Ok(Self::Boolean(true)),
                _ => Err(Error::malformed("a boolean is 0x00 or 0x01")),
            },
            CBOR => check_cbor(content).map(|()| Self::Cbor(content)),
            _ => Err(Error::malformed("no such type of value")),
        }
    }

    /// Refuses what would not be read back, as sealing does: CBOR that is not one well-formed item.
    ///
    /// # Errors
    /// `Malformed` for such CBOR.
    pub fn check(self) -> Result<()> {
        if let Self::Cbor(item) = self { check_cbor(item) } else { Ok(()) }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Value({})", self.as_ref().type_name())
    }
}

impl fmt::Debug for ValueRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ValueRef({})", self.type_name())
    }
}

/// Position of the last byte that is not zero, in blocks of 16: the time tells the length of the padding, which the caller uses at once
/// to cut the value out, and nothing about the bytes.
#[inline]
fn last_nonzero(padded: &[u8]) -> Option<usize> {
    let (blocks, rest) = padded.as_chunks::<BLOCK_BYTES>();
    if !rest.is_empty() {
        return None;
    }
    let (position, block) = blocks.iter().enumerate().rev().find_map(|(position, block)| {
        let block = u128::from_be_bytes(*block);
        (block != 0).then_some((position, block))
    })?;
    // Zeros after the last byte that is not zero, in whole bytes.
    let zeros = usize::try_from(block.trailing_zeros() / 8).ok()?;
    Some(position * BLOCK_BYTES + BLOCK_BYTES - 1 - zeros)
}

/// Checks for one well-formed CBOR item of definite lengths (RFC 8949 section 3) in at most [`MAX_CBOR_DEPTH`] levels.
fn check_cbor(bytes: &[u8]) -> Result<()> {
    let mut reader = Reader::new(bytes);
    match cbor_item(&mut reader, 0) {
        Some(()) if reader.take_rest().is_empty() => Ok(()),
        _ => Err(Error::malformed("not one CBOR item of definite lengths, nested at most 32 levels")),
    }
}

/// Steps over one item that `level` arrays, maps and tags enclose.
fn cbor_item(reader: &mut Reader<'_>, level: usize) -> Option<()> {
    let first = reader.take_byte().ok()?;
    let (major, info) = (first >> 5, first & 0x1f);
    let argument = match info {
        0..=23 => u64::from(info),
        24 => u64::from(reader.take_byte().ok()?),
        25 => u64::from(u16::from_be_bytes(*reader.take_array().ok()?)),
        26 => u64::from(u32::from_be_bytes(*reader.take_array().ok()?)),
        27 => u64::from_be_bytes(*reader.take_array().ok()?),
        // Reserved, or of indefinite length.
        _ => return None,
    };
    let inside = match major {
        2 | 3 => return reader.take(usize::try_from(argument).ok()?).ok().map(|_| ()),
        4 => argument,
        5 => argument.checked_mul(2)?,
        6 => 1,
        // A simple value in two bytes that fits in one.
        7 if info == 24 && argument < 32 => return None,
        _ => return Some(()),
    };
    if level >= MAX_CBOR_DEPTH {
        return None;
    }
    // A count is not trusted: the walk ends where the bytes end.
    (0..inside).try_for_each(|_| cbor_item(reader, level + 1))
}

/// The unit that padded lengths of a field are rounded up to.
///
/// Shape: a multiple of 16 from 16 to [`MAX_BUCKET_BYTES`]. Protects the exact length of a value; leaks the bucket it falls into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket(usize);

impl Bucket {
    /// Checks and keeps a bucket.
    ///
    /// # Errors
    /// `Schema` if `bytes` is no multiple of 16 from 16 to [`MAX_BUCKET_BYTES`].
    pub fn new(bytes: usize) -> Result<Self> {
        if (BLOCK_BYTES..=MAX_BUCKET_BYTES).contains(&bytes) && bytes.is_multiple_of(BLOCK_BYTES) {
            return Ok(Self(bytes));
        }
        Err(Error::schema("a padding bucket is a multiple of 16 from 16 to 65536 bytes"))
    }

    /// Bytes of the bucket.
    #[must_use]
    pub const fn bytes(self) -> usize {
        self.0
    }

    /// The least multiple of the bucket that holds `length`.
    pub(crate) const fn round_up(self, length: usize) -> usize {
        if self.0 == BLOCK_BYTES {
            length.next_multiple_of(BLOCK_BYTES)
        } else {
            length.next_multiple_of(self.0)
        }
    }
}

impl Default for Bucket {
    /// 16 bytes: hides the exact length, and is the ciphers' own unit.
    fn default() -> Self {
        Self(BLOCK_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_comes_back_for_every_length_and_bucket() {
        for bucket in [16, 32, 48, 4096] {
            let bucket = Bucket::new(bucket).expect("a multiple of 16");
            for length in 0..200 {
                let bytes = vec![0x80; length];
                let mut padded = Vec::new();
                ValueRef::Bytes(&bytes).append_padded(bucket, &mut padded);
                assert!(padded.len() % bucket.bytes() == 0 && padded.len() - length < bucket.bytes() + 2);
                assert!(ValueRef::from_padded(&padded).expect("own padding") == ValueRef::Bytes(&bytes));
            }
        }
    }

    #[test]
    fn cbor_is_checked_for_form_depth_and_end() {
        let deep = |levels: usize, inside: &[u8]| [&vec![0x81; levels][..], inside].concat();
        let tags = |levels: usize| [&vec![0xc1; levels][..], &[0]].concat();
        for good in [
            &[0xf6][..],
            &[0x82, 1, 2],
            &[0xa1, 0x61, b'a', 0xfb, 0, 0, 0, 0, 0, 0, 0, 0],
            &[0xf8, 32],
            &[0x61, 0xff],
            &deep(32, &[0x01]),
            &deep(31, &[0x80]),
            &tags(32),
        ] {
            assert!(check_cbor(good).is_ok(), "{good:x?}");
        }
        for bad in [
            &[][..],
            &[0xf6, 0],
            &[0x9f, 0xff],
            &[0x82, 1],
            &[0x5f, 0xff],
            &[0xff],
            &[0x1c],
            &[0xf8, 31],
            &[0x62, b'a'],
            &[0xbb, 255, 255, 255, 255, 255, 255, 255, 255],
            &deep(33, &[0x01]),
            &deep(32, &[0x80]),
            &tags(33),
            &deep(100_000, &[0x01]),
        ] {
            assert!(check_cbor(bad).is_err());
        }
    }
}
