// SPDX-License-Identifier: MIT OR Apache-2.0
//! XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03) on either engine.

use chacha20::R20;
use chacha20poly1305::XChaCha20Poly1305;
use chacha20poly1305::aead::{AeadInOut, KeyInit};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroizing;

use super::{Engine, Unauthentic};
use crate::secret::Secret;
use crate::suite::{NONCE_BYTES, TAG_BYTES};

/// A key of XChaCha20-Poly1305.
pub(crate) struct XChaCha {
    key: Secret<32>,
    engine: Engine,
}

impl XChaCha {
    pub(crate) const fn new(engine: Engine, key: Secret<32>) -> Self {
        Self { key, engine }
    }

    /// Seals `text` in place and writes the tag.
    pub(crate) fn seal(
        &self,
        nonce: &[u8; NONCE_BYTES],
        aad: &[u8],
        text: &mut [u8],
        tag: &mut [u8; TAG_BYTES],
    ) -> Result<(), Unauthentic> {
        match self.engine {
            Engine::Ring => {
                let (key, nonce) = self.subkey(nonce);
                let sealed =
                    key.seal_in_place_separate_tag(nonce, Aad::from(aad), text).map_err(|_| Unauthentic)?;
                tag.copy_from_slice(sealed.as_ref());
                Ok(())
            }
            Engine::RustCrypto => {
                let sealed = self
                    .cipher()
                    .encrypt_inout_detached(nonce.into(), aad, text.into())
                    .map_err(|_| Unauthentic)?;
                tag.copy_from_slice(&sealed);
                Ok(())
            }
        }
    }

    /// Opens `text` in place. On failure the content of `text` is not plaintext and must be wiped.
    pub(crate) fn open(
        &self,
        nonce: &[u8; NONCE_BYTES],
        aad: &[u8],
        text: &mut [u8],
        tag: &[u8; TAG_BYTES],
    ) -> Result<(), Unauthentic> {
        match self.engine {
            Engine::Ring => {
                let (key, nonce) = self.subkey(nonce);
                let opened = key.open_in_place_separate_tag(nonce, Aad::from(aad), (*tag).into(), text, 0..);
                opened.map(|_| ()).map_err(|_| Unauthentic)
            }
            Engine::RustCrypto => self
                .cipher()
                .decrypt_inout_detached(nonce.into(), aad, text.into(), tag.into())
                .map_err(|_| Unauthentic),
        }
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(self.key.expose().into())
    }

    /// HChaCha20 of the first 16 nonce bytes gives the key; four zeros and the last 8 bytes the nonce.
    fn subkey(&self, nonce: &[u8; NONCE_BYTES]) -> (LessSafeKey, Nonce) {
        let (first, last) = nonce.split_at(16);
        let (mut input, mut rest) = ([0; 16], [0; 12]);
        input.copy_from_slice(first);
        rest.iter_mut().skip(4).zip(last).for_each(|(out, byte)| *out = *byte);
        let subkey: [u8; 32] = chacha20::hchacha::<R20>(self.key.expose().into(), &input.into()).into();
        let subkey = Zeroizing::new(subkey);
        // ring refuses only a key of another length, and the type fixes it.
        let key = UnboundKey::new(&CHACHA20_POLY1305, &*subkey).expect("a key of 32 bytes is a ChaCha20 key");
        (LessSafeKey::new(key), Nonce::assume_unique_for_key(rest))
    }
}
