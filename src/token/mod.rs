// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tokens: what a recipient holds instead of an identifier.
//!
//! Owns SPEC chapter 10. Never makes a token that two recipients could compare.

mod reversible;

pub use reversible::ReversibleTokens;
