// SPDX-License-Identifier: MIT OR Apache-2.0
//! The bounded reader of foreign bytes.
//!
//! Owns every way in which stored bytes are taken apart. Never indexes, never allocates.

use amanat::error::{Error, Result};

/// Takes bytes from the front of a slice; every taking may fail, none may panic.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn left(&self) -> usize {
        self.rest.len()
    }

    /// Takes `count` bytes.
    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or_else(cut_off)?;
        self.rest = rest;
        Ok(taken)
    }

    /// Takes `N` bytes as an array.
    pub(crate) fn array<const N: usize>(&mut self) -> Result<&'a [u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or_else(cut_off)?;
        self.rest = rest;
        Ok(taken)
    }

    /// Takes one byte.
    pub(crate) fn byte(&mut self) -> Result<u8> {
        self.array::<1>().map(|[byte]| *byte)
    }

    /// Takes the last `N` bytes.
    pub(crate) fn last<const N: usize>(&mut self) -> Result<&'a [u8; N]> {
        let (rest, taken) = self.rest.split_last_chunk::<N>().ok_or_else(cut_off)?;
        self.rest = rest;
        Ok(taken)
    }

    /// Takes all that is left.
    pub(crate) fn rest(&mut self) -> &'a [u8] {
        core::mem::take(&mut self.rest)
    }
}

fn cut_off() -> Error {
    Error::malformed("the value is cut off, or of another format")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_read_past_either_end() {
        let mut reader = Reader::new(b"abcde");
        assert!(reader.take(6).is_err() && reader.take(usize::MAX).is_err() && reader.last::<6>().is_err());
        assert_eq!(reader.array::<2>().ok(), Some(b"ab"));
        assert_eq!(reader.last::<2>().ok(), Some(b"de"));
        assert!(reader.array::<2>().is_err());
        assert_eq!((reader.byte().ok(), reader.is_empty(), reader.rest()), (Some(b'c'), true, &b""[..]));
    }
}
