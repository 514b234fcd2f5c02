// SPDX-License-Identifier: MIT OR Apache-2.0
//! The only module that names cipher crates: derive, seal, open, authenticate.
//!
//! Owns nonces and labels. Never decides policy, never parses stored bytes. SPEC chapters 4.2, 5.5 to 5.7.

pub(crate) mod aes_gcm;
pub(crate) mod chunked;
pub(crate) mod ff1;
pub(crate) mod hpke;
pub(crate) mod kdf;
pub(crate) mod prf;
pub(crate) mod random;
pub(crate) mod siv;
pub(crate) mod xaes;
pub(crate) mod xchacha;

/// The code that runs the ciphers. Both give the same bytes; tests open each one's envelopes with the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Engine {
    /// The `ring` crate: fastest in a generic build; its key schedules are not wiped (SECURITY.md, memory).
    #[default]
    Ring,
    /// The RustCrypto crates: portable, wiping; fast when built for the processor at hand.
    RustCrypto,
}

/// A tag did not match. Carries nothing: the caller turns it into the one answer.
#[derive(Debug)]
pub(crate) struct Unauthentic;
