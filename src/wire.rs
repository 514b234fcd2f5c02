// SPDX-License-Identifier: MIT OR Apache-2.0
//! The bounded reader, the PAE encoding and base64url.
//!
//! Owns every way in which bytes are taken apart. Never indexes, never allocates before a length was checked. SPEC chapter 2.

use base64_turbo::URL_SAFE_NO_PAD;

use crate::error::{Error, Result};

/// Takes bytes from the front of a slice; every taking may fail, none may panic.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, offset: 0 }
    }

    /// Takes `count` bytes.
    #[inline]
    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let Some((taken, rest)) = self.rest.split_at_checked(count) else {
            return Err(self.truncated(count));
        };
        self.rest = rest;
        self.offset += count;
        Ok(taken)
    }

    #[cold]
    fn truncated(&self, wanted: usize) -> Error {
        let missing = wanted - self.rest.len();
        let s = if missing == 1 { "" } else { "s" };
        let error = Error::malformed(format!("truncated by at least {missing} byte{s}"));
        error.at_offset(self.offset + self.rest.len())
    }

    /// Takes `N` bytes as an array.
    #[inline]
    pub(crate) fn take_array<const N: usize>(&mut self) -> Result<&'a [u8; N]> {
        let offset = self.offset;
        let taken = self.take(N)?;
        taken.try_into().map_err(|_| Error::malformed("truncated").at_offset(offset))
    }

    /// Takes one byte.
    pub(crate) fn take_byte(&mut self) -> Result<u8> {
        self.take_array::<1>().map(|[byte]| *byte)
    }

    /// Takes all that is left.
    pub(crate) fn take_rest(&mut self) -> &'a [u8] {
        self.offset += self.rest.len();
        core::mem::take(&mut self.rest)
    }

    /// Splits the last `N` bytes off what is left.
    #[inline]
    pub(crate) fn take_last<const N: usize>(&mut self) -> Result<&'a [u8; N]> {
        let Some((rest, last)) = self.rest.split_last_chunk::<N>() else {
            return Err(Error::malformed("truncated").at_offset(self.offset + self.rest.len()));
        };
        self.rest = rest;
        Ok(last)
    }
}

/// `PAE(parts…)`: the count, then each part with its length, so that no two lists of parts give the same bytes.
pub(crate) fn pae(parts: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::with_capacity(4 + parts.iter().map(|part| 4 + part.len()).sum::<usize>());
    append_pae(parts.iter().copied(), &mut out);
    out
}

/// Appends `PAE(parts…)`.
pub(crate) fn append_pae<'a>(parts: impl ExactSizeIterator<Item = &'a [u8]>, out: &mut Vec<u8>) {
    append_pae_start(parts.len(), out);
    parts.for_each(|part| append_pae_part(part, out));
}

/// Appends what `PAE` of so many parts begins with.
pub(crate) fn append_pae_start(parts: usize, out: &mut Vec<u8>) {
    // Parts are names and texts of at most a few KiB; a length that does not fit would already have been refused.
    out.extend_from_slice(&u32::try_from(parts).unwrap_or(u32::MAX).to_be_bytes());
}

/// Appends one part of a `PAE`.
pub(crate) fn append_pae_part(part: &[u8], out: &mut Vec<u8>) {
    append_pae_start(part.len(), out);
    out.extend_from_slice(part);
}

/// Appends base64url without padding, as ASCII; allocates only if `out` is too small.
pub(crate) fn append_base64(bytes: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + URL_SAFE_NO_PAD.encoded_len(bytes.len()), 0);
    if let Some(room) = out.get_mut(start..) {
        // The room has exactly the length that the codec asked for, so that it cannot refuse.
        let written = URL_SAFE_NO_PAD.encode_slice(bytes, room);
        debug_assert_eq!(written.ok(), Some(room.len()));
    }
}

/// base64url without padding, as a new string.
pub(crate) fn base64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Appends the bytes of canonical base64url without padding. `out` is unchanged on failure.
pub(crate) fn decode_base64(text: &str, out: &mut Vec<u8>) -> Result<()> {
    let start = out.len();
    let decoded = URL_SAFE_NO_PAD.decode_vec(text, out);
    if decoded.is_ok() {
        return Ok(());
    }
    out.truncate(start);
    Err(base64_fault(text))
}

/// Says what is wrong with a text that is not canonical base64url.
fn base64_fault(text: &str) -> Error {
    let is_letter = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    let Some((offset, byte)) = text.bytes().enumerate().find(|(_, b)| !is_letter(*b)) else {
        let why = if text.len() % 4 == 1 {
            "base64url of an impossible length: truncated?"
        } else {
            "base64url with stray low bits"
        };
        return Error::malformed(why).at_offset(text.len());
    };
    let why = match byte {
        b'+' | b'/' => "base64 of another variant: base64url has - and _ for + and /",
        b'=' => "base64 of another variant: base64url here has no padding",
        b' ' | b'\t' | b'\r' | b'\n' => "white space inside base64url",
        _ => "a character that is not base64url",
    };
    Error::malformed(why).at_offset(offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pae_is_injective_where_concatenation_is_not() {
        assert_eq!(pae(&[b"ab", b"c"]), b"\0\0\0\x02\0\0\0\x02ab\0\0\0\x01c");
        assert_ne!(pae(&[b"ab", b"c"]), pae(&[b"a", b"bc"]));
        assert_ne!(pae(&[]), pae(&[b""]));
    }

    #[test]
    fn reader_never_reads_past_the_end() {
        let mut reader = Reader::new(b"abc");
        assert!(reader.take(4).is_err() && reader.take(usize::MAX).is_err());
        assert_eq!(reader.take_array::<2>().ok(), Some(b"ab"));
        assert_eq!((reader.take_byte().ok(), reader.take_rest()), (Some(b'c'), &b""[..]));
    }

    #[test]
    fn one_byte_string_has_one_base64_text() {
        let mut out = Vec::new();
        for bad in ["A", "AB", "AAB", "AA==", "AA ", "A+", "A/", " AA", "AA\n", "AAAAA", "é"] {
            assert!(decode_base64(bad, &mut out).is_err(), "{bad:?}");
            assert!(out.is_empty());
        }
        for good in ["", "AA", "AAA", "AAAA", "_-8"] {
            out.clear();
            decode_base64(good, &mut out).expect("canonical");
            assert_eq!(base64(&out), good);
        }
    }
}
