// SPDX-License-Identifier: MIT OR Apache-2.0
//! HMAC-SHA-256 (FIPS 198-1) with its key kept ready, and one AES-256 block as a short proof.
//!
//! Owns the composition of FIPS 198-1 over the hash crate's compression function. Never truncates: what a caller stores of an output is the caller's format. SPEC 9.2, 10.3.

use core::fmt;

use aes::Aes256Enc;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use sha2::Sha256;
use sha2::block_api::compress256;
use sha2::digest::Digest;
use zeroize::Zeroizing;

/// Room that a message needs behind it, so that it is not moved and leaves no copy.
pub(crate) const PADDED_BYTES: usize = 2 * BLOCK;
/// Bytes of a block of SHA-256.
const BLOCK: usize = 64;
/// Padding (FIPS 180-4, 5.1.1): a mark, zeros, and the length in bits.
const MARK: u8 = 0x80;
const LENGTH: usize = 8;
const PADDING: usize = 1 + LENGTH;
/// What SHA-256 begins with (FIPS 180-4, 5.3.3).
const INITIAL: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// A key of HMAC-SHA-256 whose two key blocks were compressed once, which halves the cost of a short message. Wiped when dropped.
pub(crate) struct HmacKey {
    inner: Zeroizing<[u32; 8]>,
    outer: Zeroizing<[u32; 8]>,
}

impl HmacKey {
    pub(crate) fn new(key: &[u8]) -> Self {
        // FIPS 198-1: K0 = key, or its hash if it is longer than a block, then zeros; H((K0 xor opad) ‖ H((K0 xor ipad) ‖ message))
        let mut block = Zeroizing::new([0; BLOCK]);
        if key.len() <= BLOCK {
            block.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
        } else {
            block.iter_mut().zip(Sha256::digest(key)).for_each(|(to, from)| *to = from);
        }
        let begun = |pad: u8| {
            let mut state = Zeroizing::new(INITIAL);
            let mut padded = Zeroizing::new([[0; BLOCK]]);
            padded.iter_mut().flatten().zip(block.iter()).for_each(|(to, from)| *to = from ^ pad);
            compress256(&mut state, &*padded);
            state
        };
        Self { inner: begun(0x36), outer: begun(0x5c) }
    }

    /// Authenticates a message. It is padded where it lies, so that no copy of it is left behind, and is unchanged in the end; give it room
    /// for [`PADDED_BYTES`] more.
    pub(crate) fn sign(&self, message: &mut Vec<u8>) -> [u8; 32] {
        let length = message.len();
        let padded = (length + PADDING).next_multiple_of(BLOCK);
        message.push(MARK);
        message.resize(padded - LENGTH, 0);
        message.extend_from_slice(&bits_after_a_block(length));
        let mut inner = *self.inner;
        compress256(&mut inner, message.as_chunks().0);
        message.truncate(length);

        let mut block = [0; BLOCK];
        let parts = to_bytes(&inner).into_iter().chain([MARK]);
        block.iter_mut().zip(parts).for_each(|(to, from)| *to = from);
        if let Some(end) = block.last_chunk_mut() {
            *end = bits_after_a_block(32);
        }
        let mut outer = *self.outer;
        compress256(&mut outer, &[block]);
        to_bytes(&outer)
    }
}

/// Length in bits of a message that follows one block.
fn bits_after_a_block(bytes: usize) -> [u8; LENGTH] {
    u64::try_from(BLOCK + bytes).unwrap_or(u64::MAX).wrapping_mul(8).to_be_bytes()
}

fn to_bytes(state: &[u32; 8]) -> [u8; 32] {
    let mut out = [0; 32];
    let words = out.chunks_exact_mut(4).zip(state);
    words.for_each(|(to, word)| to.copy_from_slice(&word.to_be_bytes()));
    out
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

    /// The first `N` bytes of AES-256(key, block); at most 16.
    pub(crate) fn prove<const N: usize>(&self, block: &[u8; 16]) -> [u8; N] {
        const { assert!(N <= 16, "AES has blocks of 16 bytes") };
        let mut out = (*block).into();
        self.0.encrypt_block(&mut out);
        let mut proof = [0; N];
        proof.iter_mut().zip(out).for_each(|(to, from)| *to = from);
        proof
    }
}

impl fmt::Debug for ProofKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProofKey")
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests {
    use super::*;
    use crate::crypto::kdf::hmac_sha256;

    #[test]
    fn every_length_gives_what_the_hmac_crate_gives() {
        let message: Vec<u8> = (0..=255).cycle().take(400).collect();
        for key in
            [&message[..0], &message[..1], &message[3..35], &message[..64], &message[..65], &message[..200]]
        {
            let ready = HmacKey::new(key);
            for length in 0..message.len() {
                let message = &message[..length];
                let mut buffer = message.to_vec();
                assert_eq!(ready.sign(&mut buffer), hmac_sha256(key, &[message]), "{} {length}", key.len());
                assert_eq!(buffer, message);
            }
        }
    }
}
