// SPDX-License-Identifier: MIT OR Apache-2.0
//! Random bytes of the operating system, and their expansion over one batch.
//!
//! Nothing drawn here outlives the call that drew it, so a forked process or a cloned machine repeats nothing (SPEC 12).

use aes::Aes256Enc;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::secret::Secret;

/// Blocks encrypted together.
const WIDTH: usize = 64;

/// Random bytes of the operating system.
pub(crate) fn bytes<const N: usize>() -> Result<[u8; N]> {
    let mut out = [0; N];
    getrandom::fill(&mut out).map_err(|_| Error::entropy())?;
    Ok(out)
}

/// A random secret of the operating system.
pub(crate) fn secret<const N: usize>() -> Result<Secret<N>> {
    Secret::fill(|out| getrandom::fill(out)).map_err(|_| Error::entropy())
}

/// Where the nonces of one call come from.
pub(crate) enum Nonces {
    /// One value: straight from the operating system.
    Single,
    /// Many values: AES-256 in counter mode under a key drawn for this call.
    Batch(Box<Expander>),
    /// Known answers in this crate's own tests.
    #[cfg(test)]
    Fixed([u8; 24]),
}

/// AES-256-CTR under a one-call key: 16 bytes to each taker.
pub(crate) struct Expander {
    cipher: Aes256Enc,
    blocks: [aes::Block; WIDTH],
    next: usize,
    counter: u128,
}

impl Nonces {
    /// Nonces for `count` values of one call.
    pub(crate) fn for_values(count: usize) -> Result<Self> {
        if count < 4 {
            // Up to three draws cost less than a draw and a key schedule.
            return Ok(Self::Single);
        }
        let seed = Zeroizing::new(bytes::<32>()?);
        let cipher = Aes256Enc::new((&*seed).into());
        Ok(Self::Batch(Box::new(Expander {
            cipher,
            blocks: [aes::Block::default(); WIDTH],
            next: WIDTH,
            counter: 0,
        })))
    }

    /// The next `N` random bytes; `N` is at most 32.
    pub(crate) fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut out = [0; N];
        match self {
            Self::Single => return bytes(),
            Self::Batch(expander) => {
                out.chunks_mut(16)
                    .for_each(|part| part.iter_mut().zip(expander.block()).for_each(|(o, b)| *o = *b));
            }
            #[cfg(test)]
            Self::Fixed(nonce) => out.iter_mut().rev().zip(nonce.iter().rev()).for_each(|(o, b)| *o = *b),
        }
        Ok(out)
    }
}

impl Expander {
    fn block(&mut self) -> &[u8] {
        if self.next >= WIDTH {
            for block in &mut self.blocks {
                *block = self.counter.to_be_bytes().into();
                self.counter += 1;
            }
            self.cipher.encrypt_blocks(&mut self.blocks);
            self.next = 0;
        }
        let block = self.blocks.get(self.next).map_or(&[][..], |block| &block[..]);
        self.next += 1;
        block
    }
}
