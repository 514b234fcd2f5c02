// SPDX-License-Identifier: MIT OR Apache-2.0
//! Messages that stand as text: ASCII armor, or base64 or hex as PostgreSQL's `encode` writes them.
//!
//! Owns the way from text to bytes. Never takes the armor's checksum for more than a check of copying. Source: RFC 4880, chapter 6.

use std::borrow::Cow;

use amanat::error::{Error, Result};

use crate::text::{base64, hex};

/// The bytes of a message. A message begins with a byte of 0x80 or above, text never; the first character tells the form of text.
pub(super) fn to_bytes(stored: &[u8]) -> Result<Cow<'_, [u8]>> {
    match stored {
        [0x80..=0xff, ..] => Ok(Cow::Borrowed(stored)),
        [b'-', ..] => armored(stored).map(Cow::Owned),
        [b'\\', b'x', digits @ ..] => hex(digits).map(Cow::Owned),
        // A message begins with a packet of tag 1, 3 or 10: with 8, a or c in hex, with h, j, q, w or y in base64.
        [b'8' | b'a' | b'c', ..] => hex(stored).map(Cow::Owned),
        _ => base64(&without_line_ends(stored)).map(Cow::Owned),
    }
}

fn armored(stored: &[u8]) -> Result<Vec<u8>> {
    let text = core::str::from_utf8(stored).map_err(|_| malformed())?;
    let mut lines = text.lines();
    if lines.next() != Some("-----BEGIN PGP MESSAGE-----") {
        return Err(malformed());
    }
    // Headers, up to an empty line, say nothing that is needed.
    lines.by_ref().find(|line| line.is_empty()).ok_or_else(malformed)?;
    let mut body = Vec::with_capacity(text.len());
    let checksum = loop {
        let line = lines.next().ok_or_else(malformed)?;
        match line.strip_prefix('=') {
            Some(checksum) => break base64(checksum.as_bytes())?,
            None => body.extend_from_slice(line.as_bytes()),
        }
    };
    if lines.next() != Some("-----END PGP MESSAGE-----") || lines.any(|line| !line.is_empty()) {
        return Err(malformed());
    }
    let bytes = base64(&body)?;
    if checksum != crc24(&bytes) {
        return Err(Error::malformed("the checksum of an ASCII armor does not fit: the text was altered"));
    }
    Ok(bytes)
}

fn malformed() -> Error {
    Error::malformed("not an ASCII armor of one OpenPGP message, with its checksum")
}

fn without_line_ends(text: &[u8]) -> Vec<u8> {
    text.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect()
}

/// RFC 4880, 6.1.
fn crc24(bytes: &[u8]) -> [u8; 3] {
    let step = |crc: u32, byte: &u8| {
        let crc = crc ^ u32::from(*byte) << 16;
        (0..8).fold(crc, |crc, _| if crc & 0x80_0000 == 0 { crc << 1 } else { crc << 1 ^ 0x186_4cfb })
    };
    let [_, crc @ ..] = bytes.iter().fold(0xb7_04ce, step).to_be_bytes();
    crc
}
