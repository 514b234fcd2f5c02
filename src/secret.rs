// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bytes that must not be seen: wiped when dropped, never printed, compared in constant time.
//!
//! Owns the one door, `expose`; searching for it finds every reader. Never `Clone`, never `Serialize`. SPEC chapter 4.

use core::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// A secret of `N` bytes on the heap, so that moving it copies a pointer and leaves no bytes behind.
pub struct Secret<const N: usize>(Box<[u8; N]>);

impl<const N: usize> Secret<N> {
    /// Makes a secret by filling zeros in place.
    ///
    /// # Errors
    /// What `fill` fails with.
    pub fn fill<E>(fill: impl FnOnce(&mut [u8; N]) -> Result<(), E>) -> Result<Self, E> {
        let mut secret = Self(Box::new([0; N]));
        fill(&mut secret.0)?;
        Ok(secret)
    }

    /// Copies a secret out of `bytes`; `None` if the length is another. The caller wipes `bytes`.
    #[must_use]
    pub fn copy_from(bytes: &[u8]) -> Option<Self> {
        let mut secret = Self(Box::new([0; N]));
        if bytes.len() != N {
            return None;
        }
        secret.0.copy_from_slice(bytes);
        Some(secret)
    }

    /// The bytes. Every call is a place to review.
    #[must_use]
    pub fn expose(&self) -> &[u8; N] {
        &self.0
    }

    /// Decrypts a ciphertext where it lies.
    pub(crate) fn open_in_place<T>(&mut self, open: impl FnOnce(&mut [u8]) -> T) -> T {
        open(&mut self.0[..])
    }

    /// Compares in constant time.
    #[must_use]
    pub fn ct_eq(&self, other: &Self) -> bool {
        ct_eq(&*self.0, &*other.0)
    }
}

impl<const N: usize> Drop for Secret<N> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<const N: usize> fmt::Debug for Secret<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret<{N}>")
    }
}

/// A secret of any length: passphrases and plaintext.
#[derive(Default)]
pub struct SecretBytes(Vec<u8>);

impl SecretBytes {
    /// Takes the bytes over; no copy is made.
    #[must_use]
    pub const fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes. Every call is a place to review.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Empties the buffer and makes room for `length` bytes; a buffer that is too small is wiped before it is freed.
    pub(crate) fn make_room(&mut self, length: usize) {
        if self.0.capacity() < length {
            self.0.zeroize();
            self.0.reserve_exact(length);
        }
        self.0.clear();
    }

    /// Appends bytes within the room made before, and gives them for work in place.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> &mut [u8] {
        let start = self.0.len();
        self.0.extend_from_slice(bytes);
        self.0.get_mut(start..).unwrap_or_default()
    }

    /// The buffer itself, for a writer that stays within the room made before.
    pub(crate) fn fill_with(&mut self, fill: impl FnOnce(&mut Vec<u8>)) -> &mut [u8] {
        fill(&mut self.0);
        &mut self.0
    }

    /// Wipes the content and keeps the room.
    pub(crate) fn wipe(&mut self) {
        self.0.zeroize();
    }
}

impl Drop for SecretBytes {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretBytes")
    }
}

/// Compares two byte strings in time that depends on their lengths only.
#[must_use]
pub(crate) fn ct_eq(left: &[u8], right: &[u8]) -> bool {
    left.ct_eq(right).into()
}
