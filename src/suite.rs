// SPDX-License-Identifier: MIT OR Apache-2.0
//! The closed list of algorithms, their lengths and limits.
//!
//! Owns every length of a stored envelope. Never takes an algorithm from outside the list. SPEC chapters 1 and 5.3.

use core::fmt;

use crate::error::{Error, Result};

/// Bytes of version, suite and key id.
pub const HEADER_BYTES: usize = 18;
/// Bytes of an authentication tag, and of a synthetic IV.
pub const TAG_BYTES: usize = 16;
/// Bytes of the nonce of suites 0x01 and 0x02.
pub const NONCE_BYTES: usize = 24;
/// Unit of padding, and of the length of every padded value.
pub const BLOCK_BYTES: usize = 16;
/// Longest value in suites 0x01, 0x02 and 0x03; a longer one goes to suite 0x04.
pub const MAX_FIELD_BYTES: usize = 65_536;
/// Longest value in suite 0x04.
pub const MAX_BLOB_BYTES: usize = 1 << 30;
/// Widest padding bucket.
pub const MAX_BUCKET_BYTES: usize = 65_536;
/// Messages sealed under one key secret, over all fields and suites.
///
/// One number below what each suite allows: XAES-256-GCM and XChaCha20-Poly1305 with random nonces 2^80, the advice for
/// 128-bit tags 2^48, AES-SIV 2^48, Cobblestone-256 with messages of 1 GiB 2^45 (SECURITY.md, limits per key).
pub const MAX_MESSAGES_PER_KEY: u64 = 1 << 44;
/// Envelopes sealed under one XAES salt, whose other 96 nonce bits are random: a repeat has probability below 2^-64.
pub const MAX_MESSAGES_PER_SALT: u32 = 1 << 16;

/// Longest padded value in suites 0x01, 0x02 and 0x03.
pub(crate) const MAX_PADDED_BYTES: usize = MAX_FIELD_BYTES + MAX_BUCKET_BYTES;
/// Salt of suite 0x04.
pub(crate) const BLOB_SALT_BYTES: usize = 24;
/// Commitment of suite 0x04.
pub(crate) const COMMITMENT_BYTES: usize = 32;
/// Plaintext bytes of a full chunk of suite 0x04.
pub(crate) const CHUNK_BYTES: usize = 16_384;
/// A full chunk with its tag.
pub(crate) const SEALED_CHUNK_BYTES: usize = CHUNK_BYTES + TAG_BYTES;
/// Longest padded value in suite 0x04.
pub(crate) const MAX_PADDED_BLOB_BYTES: usize = MAX_BLOB_BYTES + MAX_BUCKET_BYTES;

/// An algorithm of an envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Suite {
    /// 0x01, XAES-256-GCM (C2SP): the default.
    Xaes256Gcm,
    /// 0x02, XChaCha20-Poly1305: the second family, where AES is slow or in doubt.
    XChaCha20Poly1305,
    /// 0x03, AES-256-SIV (RFC 5297): reversible tokens only; equal values are visibly equal.
    Aes256Siv,
    /// 0x04, Cobblestone-256 (C2SP chunked encryption): values over [`MAX_FIELD_BYTES`].
    Cobblestone256,
}

impl Suite {
    /// Every suite, in the order of their bytes.
    pub const ALL: [Self; 4] =
        [Self::Xaes256Gcm, Self::XChaCha20Poly1305, Self::Aes256Siv, Self::Cobblestone256];

    /// The stored byte.
    #[must_use]
    pub const fn byte(self) -> u8 {
        match self {
            Self::Xaes256Gcm => 0x01,
            Self::XChaCha20Poly1305 => 0x02,
            Self::Aes256Siv => 0x03,
            Self::Cobblestone256 => 0x04,
        }
    }

    /// The suite of a stored byte.
    ///
    /// # Errors
    /// `Unsupported` for any other byte.
    #[inline]
    pub fn from_byte(byte: u8) -> Result<Self> {
        match byte {
            0x01 => Ok(Self::Xaes256Gcm),
            0x02 => Ok(Self::XChaCha20Poly1305),
            0x03 => Ok(Self::Aes256Siv),
            0x04 => Ok(Self::Cobblestone256),
            _ => Err(unknown(byte)),
        }
    }

    /// Longest value that this suite seals.
    pub(crate) const fn max_value_bytes(self) -> usize {
        if matches!(self, Self::Cobblestone256) { MAX_BLOB_BYTES } else { MAX_FIELD_BYTES }
    }

    /// Checks the length of an envelope's body.
    #[inline]
    pub(crate) fn check_body(self, length: usize) -> Result<()> {
        match self {
            Self::Xaes256Gcm | Self::XChaCha20Poly1305 => check_padded(length, NONCE_BYTES + TAG_BYTES),
            Self::Aes256Siv => check_padded(length, TAG_BYTES),
            Self::Cobblestone256 => check_chunks(length),
        }
    }

    /// Length of the padded value inside a body of `length` bytes that passed [`check_body`](Self::check_body).
    pub(crate) const fn padded_bytes(self, length: usize) -> usize {
        match self {
            Self::Xaes256Gcm | Self::XChaCha20Poly1305 => length.saturating_sub(NONCE_BYTES + TAG_BYTES),
            Self::Aes256Siv => length.saturating_sub(TAG_BYTES),
            Self::Cobblestone256 => {
                let chunks = length.saturating_sub(BLOB_SALT_BYTES + COMMITMENT_BYTES);
                chunks.saturating_sub((chunks / SEALED_CHUNK_BYTES + 1) * TAG_BYTES)
            }
        }
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Xaes256Gcm => "0x01 XAES-256-GCM",
            Self::XChaCha20Poly1305 => "0x02 XChaCha20-Poly1305",
            Self::Aes256Siv => "0x03 AES-256-SIV",
            Self::Cobblestone256 => "0x04 Cobblestone-256",
        })
    }
}

#[cold]
fn unknown(byte: u8) -> Error {
    Error::unsupported(format!("suite 0x{byte:02x} is not known here; a newer amanat may know it"))
}

#[inline]
fn check_padded(length: usize, overhead: usize) -> Result<()> {
    let Some(padded) = length.checked_sub(overhead).filter(|padded| *padded > 0) else {
        return Err(truncated(overhead + BLOCK_BYTES - length));
    };
    if padded > MAX_PADDED_BYTES {
        return Err(Error::malformed("longer than a sealed value of this suite can be"));
    }
    match padded % BLOCK_BYTES {
        0 => Ok(()),
        over => Err(truncated(BLOCK_BYTES - over)),
    }
}

fn check_chunks(length: usize) -> Result<()> {
    const LEAST: usize = BLOB_SALT_BYTES + COMMITMENT_BYTES + TAG_BYTES;
    let Some(chunks) = length.checked_sub(BLOB_SALT_BYTES + COMMITMENT_BYTES) else {
        return Err(truncated(LEAST - length));
    };
    if chunks > MAX_PADDED_BLOB_BYTES + (MAX_PADDED_BLOB_BYTES / CHUNK_BYTES + 1) * TAG_BYTES {
        return Err(Error::malformed("longer than a sealed value of this suite can be"));
    }
    let last = chunks % SEALED_CHUNK_BYTES;
    let padded = Suite::Cobblestone256.padded_bytes(length);
    match last.checked_sub(TAG_BYTES) {
        None => Err(truncated(TAG_BYTES - last)),
        Some(_) if padded == 0 => Err(truncated(BLOCK_BYTES)),
        Some(_) if !padded.is_multiple_of(BLOCK_BYTES) => Err(truncated(BLOCK_BYTES - padded % BLOCK_BYTES)),
        Some(_) => Ok(()),
    }
}

fn truncated(missing: usize) -> Error {
    let s = if missing == 1 { "" } else { "s" };
    Error::malformed(format!(
        "an impossible length: truncated by at least {missing} byte{s}, or bytes were added"
    ))
}
