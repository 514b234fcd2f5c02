// SPDX-License-Identifier: MIT OR Apache-2.0
//! FF1 over numerals: any radix from 2 to 65536, up to 260 numerals.
//!
//! Owns numbers of many words. Never allocates; every buffer is wiped.

use aes::cipher::BlockCipherEncrypt;
use aes::cipher::consts::U16;
use zeroize::Zeroizing;

use super::{Divisor, Ff1, Format, MAX_NUMERALS, ROUNDS};
use crate::error::{Error, Result};

const BLOCK: usize = 16;
/// The longer half has 130 numerals of at most 16 bits.
const MAX_NUMBER_BYTES: usize = MAX_NUMERALS.div_ceil(2) * 2;
const MAX_NUMBER_WORDS: usize = MAX_NUMBER_BYTES.div_ceil(8);
/// Of Q, what follows the whole blocks of the tweak: up to 15 bytes of it, zeros, the round, the number.
const MAX_REST_BYTES: usize = (BLOCK + MAX_NUMBER_BYTES).next_multiple_of(BLOCK);
/// S in words of 32 bits.
const MAX_OUTPUT_WORDS: usize = MAX_NUMBER_BYTES.div_ceil(4) + 1;

impl<C: BlockCipherEncrypt<BlockSize = U16>> Ff1<C> {
    /// Encrypts numerals where they stand, most significant first, each below `radix`.
    ///
    /// # Errors
    /// `Misuse` for a radix outside 2 to 65536. `Limit` for more than 260 numerals, a tweak of more than 256 bytes, or a format of fewer
    /// than a million values. `Malformed` for a numeral that is not below `radix`. The numerals are then unchanged.
    pub fn encrypt(&self, radix: u32, tweak: &[u8], numerals: &mut [u16]) -> Result<()> {
        self.run::<false>(radix, tweak, numerals)
    }

    /// Decrypts numerals where they stand. FF1 authenticates nothing: another key or tweak gives other numerals.
    ///
    /// # Errors
    /// As [`encrypt`](Self::encrypt).
    pub fn decrypt(&self, radix: u32, tweak: &[u8], numerals: &mut [u16]) -> Result<()> {
        self.run::<true>(radix, tweak, numerals)
    }

    fn run<const DECRYPT: bool>(&self, radix: u32, tweak: &[u8], numerals: &mut [u16]) -> Result<()> {
        let format = Format::new(radix, numerals.len(), tweak)?;
        if !numerals.iter().fold(true, |all, numeral| all & (u32::from(*numeral) < radix)) {
            return Err(Error::malformed("a numeral is not below the radix of its format"));
        }
        // 1. u = ⌊n/2⌋, v = n - u                      3. b = ⌈⌈v·LOG(radix)⌉/8⌉
        // 2. A = X[1..u], B = X[u+1..n]                4. d = 4·⌈b/4⌉ + 4
        // 6. for i from 0 to 9 (algorithm 8: from 9 to 0, A and B exchanged, minus in vi):
        //    i.   Q = T ‖ [0]^((-t-b-1) mod 16) ‖ [i]1 ‖ [NUM(B)]b
        //    ii, iii. S as in `write_output`           iv.  y = NUM(S)
        //    v.   m = u if i is even, else v           vi.  c = (NUM(A) + y) mod radix^m
        //    vii. C = STR(c)                           viii, ix. A = B, B = C
        // 7. A ‖ B
        // Instead of viii and ix, even rounds change the first half where it stands and odd ones the second.
        let (state, rest) = self.absorb_constants(&format, tweak);
        let Format { number_bytes: b, radix, .. } = format;
        let mut q = Zeroizing::new([0; MAX_REST_BYTES]);
        let (q, _) = q.split_at_mut((rest.len() + 1 + b).next_multiple_of(BLOCK));
        q.iter_mut().zip(rest).for_each(|(out, byte)| *out = *byte);
        let mut number = Zeroizing::new([0; MAX_NUMBER_WORDS]);
        let (number, _) = number.split_at_mut(b.div_ceil(8));
        let mut output = Zeroizing::new([0; MAX_OUTPUT_WORDS]);
        let (output, _) = output.split_at_mut(b.div_ceil(4) + 1);
        let (left, right) = numerals.split_at_mut(format.left());
        for step in 0..ROUNDS {
            let round = if DECRYPT { ROUNDS - 1 - step } else { step };
            let (from, into) =
                if round.is_multiple_of(2) { (&*right, &mut *left) } else { (&*left, &mut *right) };
            write_number(from.iter().copied().map(u64::from), radix, number);
            let bytes = number.iter().flat_map(|word| word.to_le_bytes()).take(b);
            q.iter_mut().rev().zip(bytes.chain([round])).for_each(|(out, byte)| *out = byte);
            self.write_output(state, q, output);
            add::<DECRYPT>(into, output, Divisor::new(radix));
        }
        Ok(())
    }

    /// S of one round, as words of 32 bits; `state` is what PRF made of everything before `q`.
    fn write_output(&self, state: u128, q: &[u8], output: &mut [u64]) {
        // ii.  R = PRF(P ‖ Q)
        let blocks = q.as_chunks().0.iter().map(|block| u128::from_be_bytes(*block));
        let r = blocks.fold(state, |state, block| self.absorb(state, block));
        // iii. S = first d bytes of R ‖ CIPH(R xor [1]16) ‖ CIPH(R xor [2]16) ‖ …
        for (part, counter) in output.chunks_mut(BLOCK / 4).zip(0..) {
            let block = if counter == 0 { r } else { self.absorb(r, counter) }.to_be_bytes();
            let words = block.as_chunks().0.iter().map(|word| u64::from(u32::from_be_bytes(*word)));
            part.iter_mut().zip(words).for_each(|(out, word)| *out = word);
        }
    }
}

/// NUM: the number that numerals write, most significant first, into words that hold it, least significant first.
fn write_number(numerals: impl Iterator<Item = u64>, radix: u64, words: &mut [u64]) {
    words.fill(0);
    for numeral in numerals {
        let mut carry = numeral;
        for word in &mut *words {
            (*word, carry) = word.carrying_mul(radix, carry);
        }
    }
}

/// b of step 3, ⌈⌈v · LOG(radix)⌉ / 8⌉: the length of the greatest number of `v` numerals, which is radix^v - 1.
pub(super) fn number_bytes(v: usize, radix: u64) -> usize {
    let mut words = [0; MAX_NUMBER_WORDS];
    // Four numerals of at most 16 bits fill a word.
    let (words, _) = words.split_at_mut(v.div_ceil(4));
    write_number((0..v).map(|_| radix - 1), radix, words);
    let greatest = words.iter().zip(0..).filter(|(word, _)| **word != 0).last();
    greatest.map_or(0, |(word, below)| 8 * (below + 1) - word.leading_zeros() as usize / 8)
}

/// Steps iv to vii: adds `output` to the numerals, or subtracts it, modulo radix^m. What is left in `output` has no use.
fn add<const SUBTRACT: bool>(numerals: &mut [u16], output: &mut [u64], radix: Divisor) {
    // Minus y is every numeral of y taken from the greatest one, plus one.
    let mut carry = u64::from(SUBTRACT);
    for numeral in numerals.iter_mut().rev() {
        let mut added = 0;
        for word in &mut *output {
            (*word, added) = radix.divide(added << 32 | *word);
        }
        if SUBTRACT {
            added = radix.value() - 1 - added;
        }
        let sum;
        (carry, sum) = radix.divide(u64::from(*numeral) + added + carry);
        let [.., high, low] = sum.to_be_bytes();
        *numeral = u16::from_be_bytes([high, low]);
    }
}
