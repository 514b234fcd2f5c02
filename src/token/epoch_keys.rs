// SPDX-License-Identifier: MIT OR Apache-2.0
//! The key of an epoch: looked up by number, never tried.
//!
//! Owns which states make tokens and which only resolve them. SPEC 10.1.

use super::text::{Audience, Epoch, TokenKind};
use crate::crypto::kdf;
use crate::error::{Error, Result};
use crate::ident::KeyId;
use crate::keys::{Key, Keyset, State, Token};
use crate::secret::Secret;

/// A token key of one kind, audience and epoch.
pub(super) struct EpochKey<const N: usize> {
    pub(super) id: KeyId,
    pub(super) epoch: Epoch,
    state: State,
    pub(super) secret: Secret<N>,
}

impl Keyset<'_, Token> {
    /// Epoch of the primary key: the one for recipients that have none yet. A recipient that has tokens keeps its epoch until it is moved.
    ///
    /// # Errors
    /// `Limit` never in practice: a keyset has no more keys than there are epochs.
    pub fn primary_epoch(&self) -> Result<Epoch> {
        let place = self.infos().position(|info| info.primary).unwrap_or_default();
        Epoch::new(u64::try_from(place).unwrap_or(u64::MAX).saturating_add(1))
    }

    /// Id of the key of an epoch.
    ///
    /// # Errors
    /// `UnknownKey` if the keyring has fewer.
    pub fn key_of_epoch(&self, epoch: Epoch) -> Result<KeyId> {
        self.at_epoch(epoch).map(|key| key.info.id)
    }

    fn at_epoch(&self, epoch: Epoch) -> Result<&Key> {
        let found = self.keys().nth(usize::from(epoch.get()) - 1);
        found.ok_or_else(|| {
            Error::no_such_epoch(format!(
                "this keyring has no token key of epoch {epoch}: the schema or token is of another registry, or of a newer keyring; a key is added with amanat keys add --purpose token"
            ))
        })
    }
}

impl<const N: usize> EpochKey<N> {
    /// Derives the key. `break_glass` names keys that are suspended or compromised and shall resolve nevertheless.
    pub(super) fn derive(
        keys: &Keyset<'_, Token>,
        kind: TokenKind,
        audience: &Audience,
        epoch: Epoch,
        break_glass: &[KeyId],
    ) -> Result<Self> {
        let key = keys.at_epoch(epoch)?;
        let (id, state) = (key.info.id, key.info.state);
        let named = state.opens_by_name() && break_glass.contains(&id);
        let secret = key.secret.as_ref().filter(|_| state.opens() || named);
        let secret = secret.ok_or_else(|| {
            Error::key_unusable(id, format!("token key {} of epoch {epoch} is {state}", id.short()))
        })?;
        // KDF(secret, PAE("amanat/v1/token", registry, kind, recipient, purpose), N)
        let (recipient, purpose) = (audience.recipient().as_bytes(), audience.purpose().as_bytes());
        let parts = [kdf::TOKEN, keys.registry().as_bytes(), kind.as_str().as_bytes(), recipient, purpose];
        Ok(Self { id, epoch, state, secret: kdf::derive(secret, &parts) })
    }

    /// Refuses to make a token under a key that is no longer, or not yet, in use.
    pub(super) fn check_makes(&self) -> Result<()> {
        check_makes(self.id, self.epoch, self.state)
    }

    pub(super) const fn state(&self) -> State {
        self.state
    }
}

/// Tokens are made under any active key, not only the primary: a recipient stays at its epoch until it is moved on purpose.
pub(super) fn check_makes(id: KeyId, epoch: Epoch, state: State) -> Result<()> {
    if state == State::Active {
        return Ok(());
    }
    Err(Error::key_unusable(
        id,
        format!(
            "token key {} of epoch {epoch} is {state}: it resolves tokens and makes none; move the recipient to a newer epoch",
            id.short()
        ),
    ))
}
