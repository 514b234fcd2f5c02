// SPDX-License-Identifier: MIT OR Apache-2.0
//! Random bytes of the operating system, and their expansion over one batch.
//!
//! Nothing drawn here outlives the call that drew it, so a forked process or a cloned machine repeats nothing (SPEC 13).

use aes::Aes256Enc;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::secret::Secret;

/// Blocks encrypted together.
const WIDTH: usize = 64;
/// Halves of nonces that are drawn without an expander.
const FEW: usize = 16;
/// Bytes used of a block: half a nonce.
const PART: usize = 12;

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
    /// A few values: drawn together for this call.
    Few { drawn: [u8; PART * FEW], left: usize },
    /// Many values: AES-256 in counter mode under a key drawn for this call.
    Many(Box<Expander>),
    /// Known answers in this crate's own tests.
    #[cfg(test)]
    Fixed(&'static [u8]),
}

/// AES-256-CTR under a one-call key, [`WIDTH`] blocks at a time.
pub(crate) struct Expander {
    cipher: Aes256Enc,
    blocks: [aes::Block; WIDTH],
    next: usize,
    counter: u128,
}

impl Nonces {
    /// Room for `count` halves of nonces in one call.
    pub(crate) fn for_parts(count: usize) -> Result<Self> {
        if count <= 1 {
            return Ok(Self::Single);
        }
        let mut drawn = [0; PART * FEW];
        if let Some(needed) = drawn.get_mut(..count * PART) {
            // A few: the key schedule of an expander would cost more than the bytes.
            getrandom::fill(needed).map_err(|_| Error::entropy())?;
            return Ok(Self::Few { drawn, left: count });
        }
        let seed = Zeroizing::new(bytes::<32>()?);
        let cipher = Aes256Enc::new((&*seed).into());
        let blocks = [aes::Block::default(); WIDTH];
        Ok(Self::Many(Box::new(Expander { cipher, blocks, next: WIDTH, counter: 0 })))
    }

    /// Writes the next random bytes to `out`: a nonce or a half of one.
    #[inline]
    pub(crate) fn fill<const N: usize>(&mut self, out: &mut [u8; N]) -> Result<()> {
        const { assert!(N.is_multiple_of(PART), "a nonce is drawn in halves") };
        match self {
            Self::Single => getrandom::fill(out).map_err(|_| Error::entropy()),
            Self::Few { drawn, left } => {
                for part in out.as_chunks_mut::<PART>().0 {
                    let next = left.checked_sub(1).and_then(|next| drawn.as_chunks::<PART>().0.get(next));
                    match next {
                        Some(bytes) => *part = *bytes,
                        // A salt was renewed too: rare enough to ask again.
                        None => getrandom::fill(part).map_err(|_| Error::entropy())?,
                    }
                    *left = left.saturating_sub(1);
                }
                Ok(())
            }
            Self::Many(expander) => {
                // Arrays of a fixed length are copied in registers, which the reader right after need not wait for.
                for part in out.as_chunks_mut::<PART>().0 {
                    *part = *expander.block();
                }
                Ok(())
            }
            #[cfg(test)]
            Self::Fixed(bytes) => {
                let (first, rest) = bytes.split_first_chunk().ok_or_else(Error::entropy)?;
                *out = *first;
                *bytes = rest;
                Ok(())
            }
        }
    }
}

impl Expander {
    /// The first bytes of the next block of the key stream.
    #[inline]
    fn block(&mut self) -> &[u8; PART] {
        if self.next >= WIDTH {
            self.refill();
        }
        let block = self.blocks.get(self.next).and_then(|block| block.first_chunk()).unwrap_or(&[0; PART]);
        self.next += 1;
        block
    }

    #[cold]
    fn refill(&mut self) {
        for block in &mut self.blocks {
            *block = self.counter.to_be_bytes().into();
            self.counter += 1;
        }
        self.cipher.encrypt_blocks(&mut self.blocks);
        self.next = 0;
    }
}
