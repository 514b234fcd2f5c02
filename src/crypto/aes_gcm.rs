// SPDX-License-Identifier: MIT OR Apache-2.0
//! AES-256-GCM (SP 800-38D) with 96-bit nonces, on either engine.

use aes_gcm::aead::{AeadInOut, KeyInit};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use super::{Engine, Unauthentic};
use crate::suite::TAG_BYTES;

/// A ready key.
pub(crate) enum Aes256Gcm {
    Ring(Box<LessSafeKey>),
    RustCrypto(Box<aes_gcm::Aes256Gcm>),
}

impl Aes256Gcm {
    pub(crate) fn new(engine: Engine, key: &[u8; 32]) -> Self {
        match engine {
            Engine::Ring => {
                // ring refuses only a key of another length, and the type fixes it.
                let key = UnboundKey::new(&AES_256_GCM, key).expect("a key of 32 bytes is an AES-256 key");
                Self::Ring(Box::new(LessSafeKey::new(key)))
            }
            Engine::RustCrypto => Self::RustCrypto(Box::new(aes_gcm::Aes256Gcm::new(key.into()))),
        }
    }

    /// Seals `text` in place and writes the tag. Fails only for lengths far above this crate's limits.
    #[inline]
    pub(crate) fn seal(
        &self,
        nonce: [u8; 12],
        aad: &[u8],
        text: &mut [u8],
        tag: &mut [u8; TAG_BYTES],
    ) -> Result<(), Unauthentic> {
        match self {
            Self::Ring(key) => {
                let nonce = Nonce::assume_unique_for_key(nonce);
                let sealed =
                    key.seal_in_place_separate_tag(nonce, Aad::from(aad), text).map_err(|_| Unauthentic)?;
                tag.copy_from_slice(sealed.as_ref());
                Ok(())
            }
            Self::RustCrypto(key) => {
                let sealed =
                    key.encrypt_inout_detached(&nonce.into(), aad, text.into()).map_err(|_| Unauthentic)?;
                tag.copy_from_slice(&sealed);
                Ok(())
            }
        }
    }

    /// Opens `text` in place. On failure the content of `text` is not plaintext and must be wiped.
    #[inline]
    pub(crate) fn open(
        &self,
        nonce: [u8; 12],
        aad: &[u8],
        text: &mut [u8],
        tag: &[u8; TAG_BYTES],
    ) -> Result<(), Unauthentic> {
        match self {
            Self::Ring(key) => {
                let nonce = Nonce::assume_unique_for_key(nonce);
                let tag = (*tag).into();
                let opened = key.open_in_place_separate_tag(nonce, Aad::from(aad), tag, text, 0..);
                opened.map(|_| ()).map_err(|_| Unauthentic)
            }
            Self::RustCrypto(key) => key
                .decrypt_inout_detached(&nonce.into(), aad, text.into(), tag.into())
                .map_err(|_| Unauthentic),
        }
    }
}
