// SPDX-License-Identifier: MIT OR Apache-2.0
//! HMAC-SHA-256 (FIPS 198-1) with its key kept ready, and one AES-256 block as a short proof.
//!
//! Owns nothing but the two functions. Never truncates: what a caller stores of an output is the caller's format. SPEC 9.2, 10.3.

use core::fmt;

use aes::Aes256Enc;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// A key of HMAC-SHA-256 whose two key blocks were hashed once. Wiped when dropped.
pub(crate) struct HmacKey(Hmac<Sha256>);

impl HmacKey {
    pub(crate) fn new(key: &[u8]) -> Self {
        Self(Hmac::new_from_slice(key).expect("HMAC takes a key of any length"))
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 32] {
        let mut mac = self.0.clone();
        mac.update(message);
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for HmacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HmacKey")
    }
}

/// A key that proves who made 16 bytes: the first bytes of their AES-256 encryption, a pseudorandom function of one block.
pub(crate) struct ProofKey(Aes256Enc);

impl ProofKey {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        Self(Aes256Enc::new(key.into()))
    }

    /// The first four bytes of AES-256(key, block).
    pub(crate) fn prove(&self, block: &[u8; 16]) -> [u8; 4] {
        let mut out = (*block).into();
        self.0.encrypt_block(&mut out);
        let [a, b, c, d, ..]: [u8; 16] = out.into();
        [a, b, c, d]
    }
}

impl fmt::Debug for ProofKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProofKey")
    }
}
