// SPDX-License-Identifier: MIT OR Apache-2.0
//! XAES-256-GCM (C2SP): a 192-bit nonce, of which the first half makes the key of AES-256-GCM.
//!
//! The derivation is kept apart from the sealing, so that one salt and its ready key serve many envelopes (SPEC 5.5).

use aes::Aes256Enc;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use zeroize::Zeroizing;

use super::aes_gcm::Aes256Gcm;
use super::{Engine, Unauthentic};
use crate::suite::{NONCE_BYTES, TAG_BYTES};

/// Bytes of the nonce that make the key.
pub(crate) const SALT_BYTES: usize = 12;

/// The first half of a nonce.
pub(crate) type Salt = [u8; SALT_BYTES];

/// A key of XAES-256-GCM with its CMAC subkey ready.
pub(crate) struct Xaes {
    block: Aes256Enc,
    k1: [u8; 16],
    engine: Engine,
}

impl Xaes {
    pub(crate) fn new(engine: Engine, key: &[u8; 32]) -> Self {
        // L = AES-256(K, 0^128); K1 = L << 1, xor 0x87 in the last byte if the first bit of L was 1
        let block = Aes256Enc::new(key.into());
        let mut l = [0; 16].into();
        block.encrypt_block(&mut l);
        let l = u128::from_be_bytes(l.into());
        let k1 = (l << 1) ^ ((l >> 127) * 0x87);
        Self { block, k1: k1.to_be_bytes(), engine }
    }

    /// The AES-256-GCM key of a salt.
    pub(crate) fn derive(&self, salt: &Salt) -> Aes256Gcm {
        // Kx = AES(K, (00 01 58 00 ‖ N[0..12]) xor K1) ‖ AES(K, (00 02 58 00 ‖ N[0..12]) xor K1)
        let mut kx = Zeroizing::new([0; 32]);
        for (half, counter) in kx.chunks_exact_mut(16).zip([1, 2]) {
            let prefix = [0, counter, b'X', 0];
            let message = prefix.iter().chain(salt);
            half.iter_mut().zip(message.zip(&self.k1)).for_each(|(out, (m, k))| *out = m ^ k);
            if let Ok(half) = half.try_into() {
                self.block.encrypt_block(half);
            }
        }
        Aes256Gcm::new(self.engine, &kx)
    }

    /// Seals one message with a key of its own.
    pub(crate) fn seal(
        &self,
        nonce: &[u8; NONCE_BYTES],
        aad: &[u8],
        text: &mut [u8],
        tag: &mut [u8; TAG_BYTES],
    ) -> Result<(), Unauthentic> {
        let (salt, rest) = split(nonce);
        self.derive(&salt).seal(rest, aad, text, tag)
    }

    /// Opens one message with a key of its own.
    pub(crate) fn open(
        &self,
        nonce: &[u8; NONCE_BYTES],
        aad: &[u8],
        text: &mut [u8],
        tag: &[u8; TAG_BYTES],
    ) -> Result<(), Unauthentic> {
        let (salt, rest) = split(nonce);
        self.derive(&salt).open(rest, aad, text, tag)
    }
}

impl Drop for Xaes {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.k1);
    }
}

/// The salt and the nonce of AES-256-GCM.
pub(crate) fn split(nonce: &[u8; NONCE_BYTES]) -> (Salt, [u8; 12]) {
    let (mut salt, mut rest) = ([0; SALT_BYTES], [0; 12]);
    let (first, second) = nonce.split_at(SALT_BYTES);
    salt.copy_from_slice(first);
    rest.copy_from_slice(second);
    (salt, rest)
}
