// SPDX-License-Identifier: MIT OR Apache-2.0
//! Keysets by purpose, their states, and the keyring that keeps them.
//!
//! Owns wrapping and every change of a key. Never reads a file or a clock, never tries a key to learn whether it fits.
//! SPEC chapters 4 and 6.

mod allowance;
mod file;
mod kek;
mod keyring;
mod state;

pub use allowance::Allowance;
pub use file::{MAX_KEYRING_BYTES, MAX_KEYS, MAX_LABEL_BYTES, MAX_SLOTS, Pin};
pub use kek::{
    Argon2Cost, Kek, KekError, KekErrorKind, KeyFile, KeyringSecret, MAX_ARGON2_MEMORY_KIB,
    MAX_ARGON2_PASSES, MAX_PASSPHRASE_BYTES, MIN_PASSPHRASE_BYTES, Passphrase, SlotContext, SlotParams,
    WrappedSecret,
};
pub use keyring::{DEFAULT_CRYPTOPERIOD_DAYS, Keyring, KeyringFile, NewSlot, SlotInfo};
pub use state::{Purpose, State};

use core::marker::PhantomData;

use crate::crypto::kdf;
use crate::error::{Error, Result};
use crate::ident::{KeyId, Name, Timestamp};
use crate::secret::Secret;

/// What is public about a key: everything but its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyInfo {
    /// Commitment to secret and purpose.
    pub id: KeyId,
    /// What the key is for.
    pub purpose: Purpose,
    /// State of SP 800-57.
    pub state: State,
    /// Whether it is the key that seals. Exactly one of a keyset is, and it is active.
    pub primary: bool,
    /// When it was made.
    pub created: Timestamp,
    /// When it first became active.
    pub activated: Option<Timestamp>,
    /// When it was suspended; empty again once it is not.
    pub suspended: Option<Timestamp>,
    /// When it was deactivated.
    pub deactivated: Option<Timestamp>,
    /// When it was reported compromised.
    pub compromised: Option<Timestamp>,
    /// When its secret was destroyed.
    pub destroyed: Option<Timestamp>,
    /// Days that it should stay in use, counted from activation.
    pub cryptoperiod_days: u32,
    /// Messages sealed or reserved under it.
    pub messages: u64,
}

impl KeyInfo {
    /// Days until the cryptoperiod ends: negative if it is over, `None` before activation.
    #[must_use]
    pub fn days_left(&self, now: Timestamp) -> Option<i64> {
        let used = self.activated?.days_until(now);
        i64::try_from(used).ok().map(|used| i64::from(self.cryptoperiod_days) - used)
    }
}

/// A key of a keyring: its public part and, unless it was destroyed, its secret.
pub(crate) struct Key {
    pub(crate) info: KeyInfo,
    pub(crate) secret: Option<Secret<32>>,
}

/// Marks what the keys of a [`Keyset`] are for. Sealed: the purposes are those of [`Purpose`].
pub trait KeysetPurpose: sealed::Sealed {
    /// The purpose as a value.
    const PURPOSE: Purpose;
}

mod sealed {
    #[expect(unnameable_types, reason = "so that nobody else can implement it")]
    pub trait Sealed {}
}

/// Keys that seal fields.
#[derive(Debug)]
pub enum Field {}
/// Keys that make blind indexes.
#[derive(Debug)]
pub enum Index {}
/// Keys that make tokens.
#[derive(Debug)]
pub enum Token {}

impl sealed::Sealed for Field {}
impl sealed::Sealed for Index {}
impl sealed::Sealed for Token {}
impl KeysetPurpose for Field {
    const PURPOSE: Purpose = Purpose::Field;
}
impl KeysetPurpose for Index {
    const PURPOSE: Purpose = Purpose::Index;
}
impl KeysetPurpose for Token {
    const PURPOSE: Purpose = Purpose::Token;
}

/// The keys of one purpose of an unlocked keyring. It always has exactly one active primary.
///
/// The purpose is part of the type, so that a key made for fields cannot make tokens.
pub struct Keyset<'a, P> {
    registry: &'a Name,
    keys: Vec<&'a Key>,
    primary: &'a Key,
    purpose: PhantomData<P>,
}

impl<'a, P: KeysetPurpose> Keyset<'a, P> {
    pub(crate) fn new(registry: &'a Name, all: &'a [Key]) -> Result<Self> {
        let keys: Vec<&Key> = all.iter().filter(|key| key.info.purpose == P::PURPOSE).collect();
        let primary = keys.iter().copied().find(|key| key.info.primary);
        let primary = primary.ok_or_else(|| {
            Error::schema(format!(
                "the keyring has no keys of purpose {0}; add one: amanat keys add --purpose {0}",
                P::PURPOSE
            ))
        })?;
        Ok(Self { registry, keys, primary, purpose: PhantomData })
    }

    /// The registry that the keys belong to.
    #[must_use]
    pub const fn registry(&self) -> &'a Name {
        self.registry
    }

    /// Id of the key that seals.
    #[must_use]
    pub const fn primary(&self) -> KeyId {
        self.primary.info.id
    }

    /// What is public about the keys, the oldest first. The place of a key in this order, from 1, is its *epoch*: keys are never removed.
    pub fn infos(&self) -> impl Iterator<Item = &'a KeyInfo> {
        self.keys.iter().map(|key| &key.info)
    }

    /// Secret of the primary key, for derivation.
    pub(crate) fn primary_secret(&self) -> Result<&'a Secret<32>> {
        let unusable = || Error::key_unusable(self.primary(), "the primary key holds no secret");
        self.primary.secret.as_ref().ok_or_else(unusable)
    }

    /// Every key with its secret, for derivation.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &'a Key> {
        self.keys.iter().copied()
    }
}

impl<P: KeysetPurpose> core::fmt::Debug for Keyset<'_, P> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Keyset({}, {} keys, primary {})", P::PURPOSE, self.keys.len(), self.primary().short())
    }
}

/// `key id = KDF(secret, PAE("amanat/v1/key-id", purpose), 16)`.
pub(crate) fn key_id(secret: &Secret<32>, purpose: Purpose) -> KeyId {
    let id: Secret<16> = kdf::derive(secret, &[kdf::KEY_ID, purpose.as_str().as_bytes()]);
    KeyId::from_bytes(*id.expose())
}
