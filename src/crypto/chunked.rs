// SPDX-License-Identifier: MIT OR Apache-2.0
//! Cobblestone-256 (C2SP chunked encryption): chunks of 16 KiB, the last one always shorter.

use zeroize::Zeroizing;

use super::aes_gcm::Aes256Gcm;
use super::{Engine, Unauthentic, kdf};
use crate::secret::ct_eq;
use crate::suite::{BLOB_SALT_BYTES, CHUNK_BYTES, COMMITMENT_BYTES, TAG_BYTES};

/// Chunks in one message (2^38 by the standard; MAX_BLOB_BYTES is reached long before).
const MAX_CHUNKS: u64 = 1 << 38;

/// The keys of one message.
pub(crate) struct Chunked {
    key: Aes256Gcm,
    base_nonce: [u8; 12],
    commitment: [u8; COMMITMENT_BYTES],
    next: u64,
}

impl Chunked {
    pub(crate) fn new(
        engine: Engine,
        input_key: &[u8; 32],
        salt: &[u8; BLOB_SALT_BYTES],
        context: &[u8],
    ) -> Self {
        // key ‖ base nonce ‖ commitment =
        //   HKDF-Expand(input key, "c2sp.org/chunked-encryption@v1+" ‖ aead ‖ 0x00 ‖ salt ‖ context)
        let mut okm = Zeroizing::new([0; 32 + 12 + COMMITMENT_BYTES]);
        kdf::expand_sha512(input_key, &[kdf::CHUNKED_LABEL, salt, context], &mut okm[..]);
        let mut key = Zeroizing::new([0; 32]);
        let (mut base_nonce, mut commitment) = ([0; 12], [0; COMMITMENT_BYTES]);
        let parts = key.iter_mut().chain(&mut base_nonce).chain(&mut commitment);
        parts.zip(okm.iter()).for_each(|(out, byte)| *out = *byte);
        Self { key: Aes256Gcm::new(engine, &key), base_nonce, commitment, next: 0 }
    }

    pub(crate) const fn commitment(&self) -> &[u8; COMMITMENT_BYTES] {
        &self.commitment
    }

    /// Compares the stored commitment in constant time.
    pub(crate) fn check(&self, commitment: &[u8; COMMITMENT_BYTES]) -> Result<(), Unauthentic> {
        if ct_eq(&self.commitment, commitment) { Ok(()) } else { Err(Unauthentic) }
    }

    /// Seals the next chunk in place.
    pub(crate) fn seal(&mut self, chunk: &mut [u8]) -> Result<[u8; TAG_BYTES], Unauthentic> {
        let nonce = self.nonce(chunk.len())?;
        let mut tag = [0; TAG_BYTES];
        self.key.seal(nonce, &[], chunk, &mut tag)?;
        Ok(tag)
    }

    /// Opens the next chunk in place. On failure the content of `chunk` must be wiped.
    pub(crate) fn open(&mut self, chunk: &mut [u8], tag: &[u8; TAG_BYTES]) -> Result<(), Unauthentic> {
        let nonce = self.nonce(chunk.len())?;
        self.key.open(nonce, &[], chunk, tag)
    }

    fn nonce(&mut self, length: usize) -> Result<[u8; 12], Unauthentic> {
        if length > CHUNK_BYTES || self.next >= MAX_CHUNKS {
            return Err(Unauthentic);
        }
        let mut nonce = self.base_nonce;
        let counter = self.next.to_be_bytes();
        nonce.iter_mut().skip(4).zip(counter).for_each(|(byte, count)| *byte ^= count);
        self.next += 1;
        Ok(nonce)
    }
}
