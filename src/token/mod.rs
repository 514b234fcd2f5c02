// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tokens: what a recipient holds instead of an identifier.
//!
//! Owns SPEC chapter 10. Never makes a token that two recipients could compare.

mod bech32m;
mod epoch_keys;
mod expiring;
mod pairwise;
mod preserving;
mod receipt;
mod reversible;
mod sealed;
mod text;
mod trace;
mod translate;
mod vault;
mod vaulted;

pub use expiring::ExpiringTokens;
pub use pairwise::PairwiseTokens;
pub use preserving::PreservingTokens;
pub use receipt::{MAX_RECEIPT_BYTES, Receipt, ReceiptFacts, ReceiptToken};
pub use reversible::{MAX_TOKEN_VALUE_BYTES, ReversibleTokens};
pub use sealed::{RecipientPublicKey, RecipientSecretKey, SealedToken};
pub use text::{Audience, Epoch, MAX_TOKEN_CHARACTERS, MAX_TOKEN_NAME_BYTES, Token, TokenHeader, TokenKind};
pub use trace::{Suspect, TraceGroup, Tracer};
pub use translate::{TokenMaker, TokenOpener, TokenPlan, Translator};
pub use vault::{Vault, VaultEntry};
pub(crate) use vaulted::TABLE as VAULT_TABLE;
pub use vaulted::{Renewal, VaultedTokens};
