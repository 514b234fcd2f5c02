// SPDX-License-Identifier: MIT OR Apache-2.0
//! The ciphers with a tag that several formats use.
//!
//! Owns the opening of one sealed text. Never seals, never says why it failed.

use core::fmt;

use aes_gcm::aead::{AeadInOut, Key, KeyInit, Nonce, Tag};
use aes_gcm::{Aes128Gcm, Aes256Gcm};
use amanat::error::Result;
use chacha20poly1305::{ChaCha20Poly1305, XChaCha20Poly1305};
use zeroize::Zeroizing;

use crate::limits::unauthentic;
use crate::reader::Reader;

/// A key made ready for one cipher.
pub(crate) enum Aead {
    Aes128Gcm(Box<Aes128Gcm>),
    Aes256Gcm(Box<Aes256Gcm>),
    ChaCha20Poly1305(Box<ChaCha20Poly1305>),
    XChaCha20Poly1305(Box<XChaCha20Poly1305>),
}

impl Aead {
    /// AES-GCM (SP 800-38D) with a key of 16 or 32 bytes.
    pub(crate) fn aes_gcm(key: &[u8]) -> Option<Self> {
        ready(key).map(Self::Aes128Gcm).or_else(|| ready(key).map(Self::Aes256Gcm))
    }

    pub(crate) fn aes_128_gcm(key: &[u8]) -> Option<Self> {
        ready(key).map(Self::Aes128Gcm)
    }

    pub(crate) fn aes_256_gcm(key: &[u8]) -> Option<Self> {
        ready(key).map(Self::Aes256Gcm)
    }

    /// RFC 8439.
    pub(crate) fn chacha20_poly1305(key: &[u8]) -> Option<Self> {
        ready(key).map(Self::ChaCha20Poly1305)
    }

    /// draft-irtf-cfrg-xchacha-03.
    pub(crate) fn xchacha20_poly1305(key: &[u8]) -> Option<Self> {
        ready(key).map(Self::XChaCha20Poly1305)
    }

    /// Opens `nonce || ciphertext || tag`.
    ///
    /// # Errors
    /// `Malformed` if it is shorter than nonce and tag, `Unauthentic` if it does not open.
    pub(crate) fn open(&self, sealed: &[u8], associated: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let mut reader = Reader::new(sealed);
        let nonce = reader.take(self.nonce_bytes())?;
        let tag = reader.last::<TAG_BYTES>()?;
        self.open_parts(nonce, reader.rest(), tag, associated)
    }

    /// Opens what a format stores in parts. A nonce of another length does not open.
    pub(crate) fn open_parts(
        &self,
        nonce: &[u8],
        ciphertext: &[u8],
        tag: &[u8; TAG_BYTES],
        associated: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>> {
        let mut text = Zeroizing::new(ciphertext.to_vec());
        let opened = match self {
            Self::Aes128Gcm(key) => open_in_place(&**key, nonce, associated, &mut text, tag),
            Self::Aes256Gcm(key) => open_in_place(&**key, nonce, associated, &mut text, tag),
            Self::ChaCha20Poly1305(key) => open_in_place(&**key, nonce, associated, &mut text, tag),
            Self::XChaCha20Poly1305(key) => open_in_place(&**key, nonce, associated, &mut text, tag),
        };
        opened.map(|()| text).ok_or_else(unauthentic)
    }

    const fn nonce_bytes(&self) -> usize {
        match self {
            Self::XChaCha20Poly1305(_) => 24,
            _ => 12,
        }
    }
}

fn ready<C: KeyInit>(key: &[u8]) -> Option<Box<C>> {
    <&Key<C>>::try_from(key).ok().map(|key| Box::new(C::new(key)))
}

fn open_in_place<C: AeadInOut>(
    key: &C,
    nonce: &[u8],
    associated: &[u8],
    text: &mut [u8],
    tag: &[u8; TAG_BYTES],
) -> Option<()> {
    let nonce = <&Nonce<C>>::try_from(nonce).ok()?;
    let tag = <&Tag<C>>::try_from(tag.as_slice()).ok()?;
    key.decrypt_inout_detached(nonce, associated, text.into(), tag).ok()
}

impl fmt::Debug for Aead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Aead")
    }
}

pub(crate) const TAG_BYTES: usize = 16;
