// SPDX-License-Identifier: MIT OR Apache-2.0
//! The grammar of one stored value, read without any key.
//!
//! Owns the layout of SPEC 5.3 and the text form of 5.8. Never holds a key or a cipher.

use core::fmt;

use crate::error::{Error, Result};
use crate::ident::KeyId;
use crate::suite::{HEADER_BYTES, Suite};
use crate::wire::{Reader, append_base64, decode_base64};

/// The version byte of every envelope.
pub const VERSION: u8 = 0x01;
/// What the text form starts with.
pub const TEXT_PREFIX: &str = "amn1.";
/// Characters at the start of the text form that are the same in all envelopes of one suite and key.
pub const TEXT_KEY_PREFIX_CHARS: usize = 29;

/// A parsed envelope: proof that its bytes follow the grammar, not that they are authentic.
///
/// Protects nothing by itself. Anyone sees version, suite, key id, and the length rounded up to the padding bucket.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Envelope<'a> {
    bytes: &'a [u8],
    header: &'a [u8; HEADER_BYTES],
    suite: Suite,
    key: KeyId,
    body: &'a [u8],
}

impl<'a> Envelope<'a> {
    /// Reads the binary form. No key is touched.
    ///
    /// # Errors
    /// `Unsupported` for another version or suite; `Malformed` for a length that no envelope has.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        let (suite, key, header) = parse_header(bytes)?;
        let body = bytes.get(HEADER_BYTES..).unwrap_or_default();
        suite.check_body(body.len())?;
        Ok(Self { bytes, header, suite, key, body })
    }

    /// The bytes as they were given.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Version, suite and key id: associated data of the seal.
    #[must_use]
    pub const fn header(&self) -> &'a [u8; HEADER_BYTES] {
        self.header
    }

    /// The algorithm.
    #[must_use]
    pub const fn suite(&self) -> Suite {
        self.suite
    }

    /// The key that sealed it.
    #[must_use]
    pub const fn key(&self) -> KeyId {
        self.key
    }

    /// What follows the header.
    pub(crate) const fn body(&self) -> &'a [u8] {
        self.body
    }

    /// Length of type, value and padding together: an upper bound of the value's length.
    #[must_use]
    pub const fn padded_bytes(&self) -> usize {
        self.suite.padded_bytes(self.body.len())
    }
}

impl fmt::Debug for Envelope<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Envelope({}, key {}, {} bytes)", self.suite, self.key.short(), self.bytes.len())
    }
}

/// Reads suite and key id of an envelope that may go on.
#[inline]
pub(crate) fn parse_header(bytes: &[u8]) -> Result<(Suite, KeyId, &[u8; HEADER_BYTES])> {
    let header = Reader::new(bytes).take_array::<HEADER_BYTES>()?;
    let [version, suite, key @ ..] = *header;
    if version != VERSION {
        return Err(Error::unsupported(format!(
            "envelope version 0x{version:02x} is not known here; a newer amanat may know it, or this is no envelope"
        )));
    }
    Ok((Suite::from_byte(suite)?, KeyId::from_bytes(key), header))
}

/// The header of an envelope of this suite and key.
pub(crate) fn header(suite: Suite, key: KeyId) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    let [version, suite_byte, id @ ..] = &mut header;
    (*version, *suite_byte, *id) = (VERSION, suite.byte(), *key.as_bytes());
    header
}

/// Appends the text form, `amn1.` and base64url, as ASCII. Allocates only if `out` is too small.
pub fn append_text(envelope: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(TEXT_PREFIX.as_bytes());
    append_base64(envelope, out);
}

/// The text form as a new string.
#[must_use]
pub fn to_text(envelope: &[u8]) -> String {
    let mut text = String::from(TEXT_PREFIX);
    text.push_str(&crate::wire::base64(envelope));
    text
}

/// Appends the bytes of a text form. `out` is unchanged on failure. The bytes are not parsed.
///
/// # Errors
/// `Malformed` if the prefix is missing or the rest is not canonical base64url; `Unsupported` for another version of the text form.
pub fn append_from_text(text: &str, out: &mut Vec<u8>) -> Result<()> {
    let Some(encoded) = text.strip_prefix(TEXT_PREFIX) else {
        return Err(match version_digits(text) {
            Some(_) => Error::unsupported("this version of the text form is not known here"),
            None => Error::malformed("does not start with `amn1.`: not an envelope; plaintext?"),
        });
    };
    decode_base64(encoded, out).map_err(|error| {
        let offset = error.offset().unwrap_or_default() + TEXT_PREFIX.len();
        error.at_offset(offset)
    })
}

/// Whether stored bytes claim to be an envelope, in either form: they begin with the version and a suite, or as a text form does. What
/// claims this and does not parse is damaged; sealing it as if it were plain would make an authentic value of the damage.
#[must_use]
pub fn looks_like_envelope(stored: &[u8]) -> bool {
    let binary = matches!(stored, [VERSION, suite, ..] if Suite::from_byte(*suite).is_ok());
    binary || looks_like_text_form(stored)
}

/// Whether a text claims to be the text form of an envelope of any version, white space and quotes around it included. The rest of it
/// need not be UTF-8.
#[must_use]
pub fn looks_like_text_form(stored: &[u8]) -> bool {
    // Nearly every text begins with a letter or digit: what it is then shows in its first bytes, and the rest need not be read.
    if stored.first().is_some_and(|first| first.is_ascii_alphanumeric()) {
        let Some(version) = stored.strip_prefix(b"amn") else { return false };
        let digits = version.iter().take(4).take_while(|byte| byte.is_ascii_digit()).count();
        return (1..4).contains(&digits) && version.get(digits) == Some(&b'.');
    }
    let text = stored.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    let text = text.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '\''));
    version_digits(text).is_some()
}

/// What stands between `amn` and the point of a text form, if these are one to three digits (SPEC 5.8).
fn version_digits(text: &str) -> Option<&str> {
    let (version, _) = text.strip_prefix("amn")?.split_once('.')?;
    Some(version)
        .filter(|version| (1..4).contains(&version.len()) && version.bytes().all(|b| b.is_ascii_digit()))
}

/// The first [`TEXT_KEY_PREFIX_CHARS`] characters of every text form of this suite and key, for a prefix query.
#[must_use]
pub fn text_key_prefix(suite: Suite, key: KeyId) -> String {
    to_text(&header(suite, key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_behind_a_space_is_told_in_the_same_way() {
        let texts = [
            "", "a", "amn", "amn.", "amn1", "amn1.", "amn1.AQ", "amn12.", "amn123.x", "amn1234.", "amn1x.",
            "amnx.1", "Amn1.", "1amn1.", "amn1é.",
        ];
        for text in texts {
            let behind = format!(" {text}");
            assert_eq!(
                looks_like_text_form(text.as_bytes()),
                looks_like_text_form(behind.as_bytes()),
                "{text}"
            );
        }
        assert!(looks_like_text_form(b"amn1.\xff") && !looks_like_text_form(b"amn\xff1."));
    }
}
