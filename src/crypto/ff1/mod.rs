// SPDX-License-Identifier: MIT OR Apache-2.0
//! FF1 (SP 800-38G, section 5.1, algorithms 7 and 8): encryption that keeps the format.
//!
//! Owns the Feistel rounds. Never a cipher: the blocks are those of the `aes` crate. SPEC 10.6.
//!
//! Two forms give the same numerals: [`Ff1`] takes any radix and length, [`Ff1Small`] takes formats whose values fit `u64` as integers.
//! The second draft of SP 800-38G Revision 1 asks for at least a million values in a format; smaller ones are refused here.
//!
//! Time depends on radix, length, tweak length and count of values, which are public, and on whether the input is within its format.
//! On numerals, integers and key there is no branch, no table index and no division: quotients come from multiplication by a
//! reciprocal of a public divisor ([`Divisor`]). The processor must multiply in constant time, and AES is as the `aes` crate has it.

mod divisor;
mod numerals;
mod small;

use aes::Aes256Enc;
use aes::cipher::consts::U16;
use aes::cipher::{BlockCipherEncrypt, KeyInit};

pub use small::Ff1Small;

use crate::error::{Error, Result};
use crate::secret::Secret;
use divisor::Divisor;

/// Feistel rounds; even, so that both halves end where they began.
const ROUNDS: u8 = 10;
/// Values that a format must have (SP 800-38G Revision 1, second draft, section 5.1).
const MIN_VALUES: u64 = 1_000_000;
/// Longest text: the longest that the foreign vectors have.
const MAX_NUMERALS: usize = 260;
/// Longest tweak: names of a registry, a recipient and a purpose, or a hash.
const MAX_TWEAK_BYTES: usize = 256;

/// FF1 over numerals of any radix, with a key made ready. AES-256 in the product, AES-128 and AES-192 for foreign vectors.
pub struct Ff1<C = Aes256Enc> {
    cipher: C,
}

impl Ff1 {
    /// Makes an AES-256 key ready.
    #[must_use]
    pub fn new(key: &Secret<32>) -> Self {
        Self { cipher: Aes256Enc::new(key.expose().into()) }
    }
}

impl<C: BlockCipherEncrypt<BlockSize = U16>> Ff1<C> {
    /// Takes a block cipher whose key is ready.
    #[cfg(test)]
    pub(crate) const fn with_cipher(cipher: C) -> Self {
        Self { cipher }
    }

    /// `CIPH_K(state xor block)`, one step of PRF (algorithm 6), over big-endian integers.
    fn absorb(&self, state: u128, block: u128) -> u128 {
        let mut block = (state ^ block).to_be_bytes().into();
        self.cipher.encrypt_block(&mut block);
        u128::from_be_bytes(block.into())
    }

    /// PRF over P and the whole blocks of the tweak, which no round changes; with it the rest of the tweak.
    fn absorb_constants<'t>(&self, format: &Format, tweak: &'t [u8]) -> (u128, &'t [u8]) {
        // 5. P = [1]1 ‖ [2]1 ‖ [1]1 ‖ [radix]3 ‖ [10]1 ‖ [u mod 256]1 ‖ [n]4 ‖ [t]4
        let [u, n, t] = [format.left(), format.length, tweak.len()].map(|number| number as u128);
        let p = 0x01_0201 << 104 | u128::from(format.radix) << 80 | 10 << 72 | (u % 256) << 64 | n << 32 | t;
        let (whole, rest) = tweak.as_chunks();
        let blocks = whole.iter().map(|block| u128::from_be_bytes(*block));
        (blocks.fold(self.absorb(0, p), |state, block| self.absorb(state, block)), rest)
    }
}

/// A radix and a length within the limits.
struct Format {
    radix: u64,
    length: usize,
    /// `radix ^ length`, or the greatest `u64` if it does not fit.
    values: u64,
    /// b of step 3.
    number_bytes: usize,
}

impl Format {
    fn new(radix: u32, length: usize, tweak: &[u8]) -> Result<Self> {
        if !(2..=65536).contains(&radix) {
            return Err(Error::misuse("the radix of a format is from 2 to 65536"));
        }
        if length > MAX_NUMERALS || tweak.len() > MAX_TWEAK_BYTES {
            return Err(Error::limit("a format has at most 260 numerals, its tweak at most 256 bytes"));
        }
        let exponent = u32::try_from(length).unwrap_or(u32::MAX);
        let values = u64::from(radix).saturating_pow(exponent);
        if values < MIN_VALUES {
            return Err(Error::limit(
                "the format has fewer than 1000000 values, too few to hide one; encrypt more characters together",
            ));
        }
        let radix = u64::from(radix);
        let number_bytes = numerals::number_bytes(length.div_ceil(2), radix);
        Ok(Self { radix, length, values, number_bytes })
    }

    /// u of step 1: numerals of the first half, ⌊n / 2⌋.
    const fn left(&self) -> usize {
        self.length / 2
    }

    /// v of step 1: numerals of the second half, n - u.
    const fn right(&self) -> usize {
        self.length - self.left()
    }
}
