// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a store holds of a blind index.
//!
//! Owns SPEC 9.3: one byte of key tag, then the bits. Never tells which value a term is of.

use core::fmt;

use crate::error::{Error, Result};
use crate::ident::decode_hex;

/// Fewest bits of an index.
pub const MIN_INDEX_BITS: u16 = 4;
/// Most bits of an index.
pub const MAX_INDEX_BITS: u16 = 128;

const MAX_TERM_BYTES: usize = 1 + MAX_INDEX_BITS as usize / 8;

/// Length of an index's terms in bits: [`MIN_INDEX_BITS`] to [`MAX_INDEX_BITS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IndexBits(u8);

impl IndexBits {
    /// Checks a number of bits.
    ///
    /// # Errors
    /// `Limit` outside them.
    pub fn new(bits: u16) -> Result<Self> {
        let fits = (MIN_INDEX_BITS..=MAX_INDEX_BITS).contains(&bits);
        let bits = u8::try_from(bits).ok().filter(|_| fits);
        bits.map(Self).ok_or_else(|| Error::limit("an index has 4 to 128 bits; `amanat plan` says how many"))
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0 as u16
    }

    /// Bytes of a term without its tag.
    const fn bytes(self) -> usize {
        (self.0 as usize).div_ceil(8)
    }

    /// The bits of the last byte that belong to the term.
    const fn last_mask(self) -> u8 {
        match self.0 % 8 {
            0 => 0xff,
            used => 0xff << (8 - used),
        }
    }
}

/// A term of a blind index: `key tag ‖ bits`, unused low bits zero.
///
/// Shape: 2 to 17 bytes; as text, lower-case hex. Leaks equality and the generation of the key. Not `Debug` in full: it stands for a value.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IndexTerm {
    bytes: [u8; MAX_TERM_BYTES],
    length: u8,
}

impl IndexTerm {
    /// The first bits of a keyed hash, under the tag of its key.
    pub(super) fn cut(tag: u8, hash: &[u8; 32], bits: IndexBits) -> Self {
        let mut bytes = [0; MAX_TERM_BYTES];
        let mut rest = bytes.iter_mut();
        rest.by_ref().take(1).for_each(|first| *first = tag);
        let mut last = None;
        for (to, from) in rest.zip(hash).take(bits.bytes()) {
            *to = *from;
            last = Some(to);
        }
        if let Some(last) = last {
            *last &= bits.last_mask();
        }
        // At most 17.
        Self { bytes, length: u8::try_from(1 + bits.bytes()).unwrap_or_default() }
    }

    /// Reads the stored bytes.
    ///
    /// # Errors
    /// `Malformed` if they are not 2 to 17.
    pub fn from_bytes(stored: &[u8]) -> Result<Self> {
        let length = u8::try_from(stored.len()).ok().filter(|_| (2..=MAX_TERM_BYTES).contains(&stored.len()));
        let length = length.ok_or_else(|| Error::malformed("an index term has 2 to 17 bytes"))?;
        let mut bytes = [0; MAX_TERM_BYTES];
        bytes.iter_mut().zip(stored).for_each(|(to, from)| *to = *from);
        Ok(Self { bytes, length })
    }

    /// Reads the text form.
    ///
    /// # Errors
    /// `Malformed` if it is not lower-case hex of 2 to 17 bytes.
    pub fn from_text(text: &str) -> Result<Self> {
        let mut bytes = vec![0; text.len() / 2];
        decode_hex(text, &mut bytes)
            .ok_or_else(|| Error::malformed("an index term is written in lower-case hex"))?;
        Self::from_bytes(&bytes)
    }

    /// The stored bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }

    /// The text form.
    #[must_use]
    pub fn to_text(&self) -> String {
        self.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// First byte of the id of the key that made it.
    #[must_use]
    pub const fn tag(&self) -> u8 {
        self.bytes[0]
    }

    /// Whether it could have this many bits.
    #[must_use]
    pub fn has_bits(&self, bits: IndexBits) -> bool {
        let last = self.as_bytes().last().copied().unwrap_or_default();
        usize::from(self.length) == 1 + bits.bytes() && last & !bits.last_mask() == 0
    }
}

impl fmt::Debug for IndexTerm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IndexTerm({} bytes, key tag {:02x})", self.length, self.tag())
    }
}
