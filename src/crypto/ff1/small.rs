// SPDX-License-Identifier: MIT OR Apache-2.0
//! FF1 over values that fit `u64`: up to 19 decimal digits or 12 letters and digits, many values side by side.
//!
//! Owns the rounds in machine integers. Never allocates; the halves are wiped.

use aes::Aes256Enc;
use aes::cipher::consts::U16;
use aes::cipher::{
    BlockCipherEncBackend, BlockCipherEncClosure, BlockCipherEncrypt, BlockSizeUser, InOutBuf,
};
use zeroize::Zeroize;

use super::{Divisor, Ff1, Format, ROUNDS};
use crate::error::{Error, Result};

/// Values worked on together: their blocks fill the widest AES instructions.
const WIDE: usize = 64;
/// Values worked on together where those would be mostly empty.
const NARROW: usize = 8;
/// Up to this many values, narrow groups take less time than a wide one.
const FEW: usize = 24;

/// FF1 of one format and tweak. A value is the integer that its numerals write, most significant first.
///
/// Costs ten blocks of AES a value: whatever no round changes was encrypted once, the tweak included.
pub struct Ff1Small<C = Aes256Enc> {
    cipher: C,
    plan: Plan,
}

impl<C: BlockCipherEncrypt<BlockSize = U16> + Clone> Ff1Small<C> {
    /// Prepares a format of `length` numerals and its tweak.
    ///
    /// # Errors
    /// As [`Ff1::encrypt`]; `Limit` also if `radix ^ length` is 2^64 or more.
    pub fn new(key: &Ff1<C>, radix: u32, length: usize, tweak: &[u8]) -> Result<Self> {
        let format = Format::new(radix, length, tweak)?;
        Ok(Self { cipher: key.cipher.clone(), plan: Plan::new(key, &format, tweak)? })
    }

    /// Encrypts one value.
    ///
    /// # Errors
    /// `Malformed` if `value` is not below `radix ^ length`.
    pub fn encrypt(&self, mut value: u64) -> Result<u64> {
        self.encrypt_batch(core::slice::from_mut(&mut value))?;
        Ok(value)
    }

    /// Decrypts one value. FF1 authenticates nothing: another key or tweak gives another value.
    ///
    /// # Errors
    /// `Malformed` if `value` is not below `radix ^ length`.
    pub fn decrypt(&self, mut value: u64) -> Result<u64> {
        self.decrypt_batch(core::slice::from_mut(&mut value))?;
        Ok(value)
    }

    /// Encrypts each value where it stands; fastest for 64 and more.
    ///
    /// # Errors
    /// `Malformed` if one is not below `radix ^ length`; then none is changed.
    pub fn encrypt_batch(&self, values: &mut [u64]) -> Result<()> {
        self.run::<false>(values)
    }

    /// Decrypts each value where it stands.
    ///
    /// # Errors
    /// `Malformed` if one is not below `radix ^ length`; then none is changed.
    pub fn decrypt_batch(&self, values: &mut [u64]) -> Result<()> {
        self.run::<true>(values)
    }

    fn run<const DECRYPT: bool>(&self, values: &mut [u64]) -> Result<()> {
        if !values.iter().fold(true, |all, value| all & (*value < self.plan.values)) {
            return Err(Error::malformed("a value has more numerals than its format; nothing was changed"));
        }
        let plan = &self.plan;
        match plan.has_long_output() {
            false => self.cipher.encrypt_with_backend(Run::<DECRYPT, false> { plan, values }),
            true => self.cipher.encrypt_with_backend(Run::<DECRYPT, true> { plan, values }),
        }
        Ok(())
    }
}

/// What is known before the first value.
struct Plan {
    /// `radix ^ length`.
    values: u64,
    /// `radix ^ u`, the modulus of even rounds.
    left: Divisor,
    /// `radix ^ v`, the modulus of odd rounds.
    right: Divisor,
    /// The last block of PRF in round 0 for number 0, before its encryption.
    block: u128,
    /// Bits of the number at the end of that block; the round stands before it.
    number_bits: usize,
}

impl Plan {
    /// `radix ^ v` is below 2^39, so b is at most 5 and d at most 12. For `radix ^ n < 2^64` leaves a half of 2^32 at most if n is even,
    /// of 2^(32 + 32 / n) at most if n is odd and 5 or more, and n = 3 has 65536^2 at most.
    fn new<C: BlockCipherEncrypt<BlockSize = U16>>(
        key: &Ff1<C>,
        format: &Format,
        tweak: &[u8],
    ) -> Result<Self> {
        if format.values == u64::MAX {
            return Err(Error::limit("the format has 2^64 values or more; use numerals"));
        }
        let power = |numerals| Divisor::new((0..numerals).fold(1, |power, _| power * format.radix));
        // Q ends in T ‖ [0]^((-t-b-1) mod 16) ‖ [i]1 ‖ [NUM(B)]b: the rest of T has a block of its own if it leaves i and B no room.
        let (state, rest) = key.absorb_constants(format, tweak);
        let mut last = [0; 16];
        last.iter_mut().zip(rest).for_each(|(out, byte)| *out = *byte);
        let last = u128::from_be_bytes(last);
        let fits = rest.len() + 1 + format.number_bytes <= 16;
        Ok(Self {
            values: format.values,
            left: power(format.left()),
            right: power(format.right()),
            block: if fits { state ^ last } else { key.absorb(state, last) },
            number_bits: 8 * format.number_bytes,
        })
    }

    /// Whether d is 12 and not 8.
    const fn has_long_output(&self) -> bool {
        self.number_bits > 32
    }
}

/// All values of one call, run inside the cipher's backend: it is chosen once, its round keys stay in registers.
///
/// What the compiler knows as constants leaves no branch in the rounds and nothing of a long output in a short one.
struct Run<'a, const DECRYPT: bool, const LONG: bool> {
    plan: &'a Plan,
    values: &'a mut [u64],
}

impl<const DECRYPT: bool, const LONG: bool> BlockSizeUser for Run<'_, DECRYPT, LONG> {
    type BlockSize = U16;
}

impl<const DECRYPT: bool, const LONG: bool> BlockCipherEncClosure for Run<'_, DECRYPT, LONG> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(self, backend: &B) {
        let rounds = Rounds::<'_, B, DECRYPT, LONG> { plan: self.plan, backend };
        let last = self.values.len() % WIDE;
        let few = if last <= FEW { last } else { 0 };
        let (many, few) = self.values.split_at_mut(self.values.len() - few);
        many.chunks_mut(WIDE).for_each(|values| rounds.run::<WIDE>(values));
        match few {
            [_] => rounds.run::<1>(few),
            _ => few.chunks_mut(NARROW).for_each(|values| rounds.run::<NARROW>(values)),
        }
    }
}

struct Rounds<'a, B, const DECRYPT: bool, const LONG: bool> {
    plan: &'a Plan,
    backend: &'a B,
}

impl<B: BlockCipherEncBackend<BlockSize = U16>, const DECRYPT: bool, const LONG: bool>
    Rounds<'_, B, DECRYPT, LONG>
{
    /// Algorithm 7, or algorithm 8 if `DECRYPT`, of up to `COUNT` values; zeros stand in for those that are missing.
    #[inline(always)]
    fn run<const COUNT: usize>(&self, values: &mut [u64]) {
        let Plan { left: even, right: odd, .. } = *self.plan;
        // 2. A = X[1..u], B = X[u+1..n]
        let (mut left, mut right) = ([0; COUNT], [0; COUNT]);
        for ((value, left), right) in values.iter().zip(&mut left).zip(&mut right) {
            (*left, *right) = odd.divide(*value);
        }
        // 6. Even rounds change the first half and odd ones the second, so that nothing is swapped.
        for pair in 0..ROUNDS / 2 {
            if DECRYPT {
                let round = ROUNDS - 1 - 2 * pair;
                self.round(round, &left, &mut right, odd);
                self.round(round - 1, &right, &mut left, even);
            } else {
                let round = 2 * pair;
                self.round(round, &right, &mut left, even);
                self.round(round + 1, &left, &mut right, odd);
            }
        }
        // 7. A ‖ B
        for ((value, left), right) in values.iter_mut().zip(&left).zip(&right) {
            *value = left * odd.value() + right;
        }
        left.as_mut_slice().zeroize();
        right.as_mut_slice().zeroize();
    }

    #[inline(always)]
    fn round<const COUNT: usize>(
        &self,
        round: u8,
        from: &[u64; COUNT],
        into: &mut [u64; COUNT],
        modulus: Divisor,
    ) {
        // i.   Q = T ‖ [0]^((-t-b-1) mod 16) ‖ [i]1 ‖ [NUM(B)]b
        let start = self.plan.block ^ u128::from(u64::from(round) << self.plan.number_bits);
        let mut blocks = from.map(|number| (start ^ u128::from(number)).to_be_bytes().into());
        // ii.  R = PRF(P ‖ Q)
        let (chunks, tail) = InOutBuf::from(blocks.as_mut_slice()).into_chunks();
        chunks.into_iter().for_each(|chunk| self.backend.encrypt_par_blocks(chunk));
        self.backend.encrypt_tail_blocks(tail);
        // iii, iv. y = NUM(first d bytes of R)      vi. c = (NUM(A) ± y) mod radix^m
        for (number, block) in into.iter_mut().zip(blocks) {
            let y = remainder::<LONG>(u128::from_be_bytes(block.into()), modulus);
            *number = modulus.combine::<DECRYPT>(*number, y);
        }
    }
}

/// y mod the modulus, or that plus the modulus. y is the first 12 bytes of a block if `LONG`, else the first 8.
#[inline(always)]
fn remainder<const LONG: bool>(block: u128, modulus: Divisor) -> u64 {
    let first = modulus.estimate((block >> 64) as u64);
    if !LONG {
        return first;
    }
    // An estimate is below 2^40: 24 more bits fit beside it.
    let second = modulus.estimate(first << 24 | ((block >> 40) & 0xff_ffff) as u64);
    modulus.estimate(second << 8 | ((block >> 32) & 0xff) as u64)
}
