// SPDX-License-Identifier: MIT OR Apache-2.0
//! From a token of one audience to a token of another, through the registry's keys alone.
//!
//! Owns the choice of opener and maker by a token's kind. Never lets the value out. SPEC 10.8.

use super::expiring::ExpiringTokens;
use super::pairwise::PairwiseTokens;
use super::preserving::PreservingTokens;
use super::reversible::{ReversibleTokens, to_normal};
use super::text::{Audience, Epoch, Token, TokenHeader, TokenKind};
use super::vault::Vault;
use super::vaulted::VaultedTokens;
use crate::error::{Error, Kind, Result};
use crate::ident::{KeyId, Timestamp};
use crate::identifier::Identifier;
use crate::keys::{Allowance, Keyring};
use crate::normal::{Normal, NormalForm};

/// Opens the tokens of one header, whatever their kind.
#[derive(Debug)]
pub struct TokenOpener {
    form: NormalForm,
    method: Opener,
}

#[derive(Debug)]
enum Opener {
    Expiring(Box<ExpiringTokens>),
    Preserving(Box<PreservingTokens>),
    Reversible(Box<ReversibleTokens>),
    Vaulted(Box<VaultedTokens>),
}

impl TokenOpener {
    /// Derives the key of a header. `form` is the normal form that the tokens were made from; `break_glass` names keys that are suspended or
    /// compromised and shall open nevertheless.
    ///
    /// # Errors
    /// `Unsupported` for pairwise tokens, which nobody can open; `UnknownKey` or `KeyUnusable` for the epoch's key; `Misuse` for
    /// format-preserving tokens of a form that is no identifier's.
    pub fn new(
        keyring: &Keyring,
        header: &TokenHeader,
        form: &NormalForm,
        break_glass: &[KeyId],
    ) -> Result<Self> {
        let (keys, audience, epoch) = (keyring.token_keys()?, header.audience(), header.epoch());
        let method = match header.kind() {
            TokenKind::Pairwise => {
                return Err(Error::unsupported(
                    "a pairwise token is irreversible; trace it, or make the other token from the registry's row",
                ));
            }
            TokenKind::Expiring => {
                Opener::Expiring(Box::new(ExpiringTokens::opener(&keys, audience, epoch, break_glass)?))
            }
            TokenKind::Preserving => {
                let tokens = PreservingTokens::new(&keys, identifier(form)?, audience, epoch, break_glass)?;
                Opener::Preserving(Box::new(tokens))
            }
            TokenKind::Reversible => {
                Opener::Reversible(Box::new(ReversibleTokens::opener(&keys, audience, epoch, break_glass)?))
            }
            TokenKind::Vaulted => {
                let nothing = Allowance::new(keyring.field_keys()?.primary(), 0);
                let tokens = VaultedTokens::new(keyring, audience, epoch, form, &nothing, break_glass)?;
                Opener::Vaulted(Box::new(tokens))
            }
        };
        Ok(Self { form: form.clone(), method })
    }

    /// Opens a token; `None` if it is a vaulted one that was forgotten. `now` is for expiring tokens, the vault for vaulted ones.
    ///
    /// # Errors
    /// As the opener of the token's kind, but `Unauthentic` for a reversible token of another key than its epoch's, which no token of this
    /// registry is, and `Schema` for a vaulted one that was made from another form; `Misuse` for another header, or if a vault is needed
    /// and not given.
    pub fn open(
        &mut self,
        token: &Token,
        now: Timestamp,
        vault: Option<&mut dyn Vault>,
    ) -> Result<Option<Normal>> {
        let value = match &mut self.method {
            Opener::Expiring(tokens) => Some(tokens.open(token, now).map_err(not_ours)?),
            Opener::Preserving(tokens) => Some(tokens.open_token(token)?),
            Opener::Reversible(tokens) => Some(tokens.open_token(token).map_err(not_ours)?),
            Opener::Vaulted(tokens) => {
                let (vault, has_header) = (vault.ok_or_else(no_vault)?, token.header() == tokens.header());
                tokens.open(vault, token).map_err(|error| match error.kind() {
                    // The schema's form was another one when the token was made: no mistake of the calling code.
                    Kind::Misuse if has_header => Error::schema(
                        "the vault has this token with a value in another form than the schema says",
                    ),
                    _ => error,
                })?
            }
        };
        value.map(|value| to_normal(&self.form, value.as_ref())).transpose()
    }
}

/// Makes the tokens of one header, whatever their kind.
#[derive(Debug)]
pub struct TokenMaker(Maker);

#[derive(Debug)]
enum Maker {
    Expiring(Box<ExpiringTokens>, Timestamp),
    Pairwise(Box<PairwiseTokens>),
    Preserving(Box<PreservingTokens>),
    Reversible(Box<ReversibleTokens>),
    Vaulted(Box<VaultedTokens>),
}

/// What the tokens to be made are.
#[derive(Clone, Copy, Debug)]
pub struct TokenPlan<'a> {
    /// How they are made.
    pub kind: TokenKind,
    /// For whom and what.
    pub audience: &'a Audience,
    /// The epoch that the recipient is at.
    pub epoch: Epoch,
    /// The normal form of the values.
    pub form: &'a NormalForm,
    /// When expiring tokens end; not looked at for other kinds.
    pub expires: Option<Timestamp>,
}

impl TokenMaker {
    /// Derives the key of a plan. `messages` are reserved under the key that [`key_for_messages`](Self::key_for_messages) names; kinds that
    /// need none take none.
    ///
    /// # Errors
    /// As the maker of the kind; `Misuse` if messages or the expiry are missing.
    pub fn new(keyring: &Keyring, plan: &TokenPlan<'_>, messages: Option<&Allowance>) -> Result<Self> {
        let TokenPlan { audience, epoch, form, .. } = *plan;
        let keys = keyring.token_keys()?;
        let messages = || messages.ok_or_else(|| Error::misuse("tokens of this kind need reserved messages"));
        Ok(Self(match plan.kind {
            TokenKind::Expiring => {
                let expires =
                    plan.expires.ok_or_else(|| Error::misuse("the tokens need a time to expire at"))?;
                let tokens = ExpiringTokens::new(&keys, audience, epoch, messages()?)?;
                Maker::Expiring(Box::new(tokens), expires)
            }
            TokenKind::Pairwise => {
                Maker::Pairwise(Box::new(PairwiseTokens::new(&keys, audience, epoch, &[])?))
            }
            TokenKind::Preserving => {
                let tokens = PreservingTokens::new(&keys, identifier(form)?, audience, epoch, &[])?;
                Maker::Preserving(Box::new(tokens))
            }
            TokenKind::Reversible => {
                let tokens = ReversibleTokens::new(&keys, audience, epoch, messages()?)?;
                Maker::Reversible(Box::new(tokens))
            }
            TokenKind::Vaulted => {
                let tokens = VaultedTokens::new(keyring, audience, epoch, form, messages()?, &[])?;
                Maker::Vaulted(Box::new(tokens))
            }
        }))
    }

    /// The key whose messages a kind of token is counted in: the epoch's, for vaulted tokens the primary of fields; `None` for kinds that
    /// seal nothing.
    ///
    /// # Errors
    /// `UnknownKey` if the keyring has no such epoch.
    pub fn key_for_messages(keyring: &Keyring, kind: TokenKind, epoch: Epoch) -> Result<Option<KeyId>> {
        Ok(match kind {
            TokenKind::Expiring | TokenKind::Reversible => Some(keyring.token_keys()?.key_of_epoch(epoch)?),
            TokenKind::Vaulted => Some(keyring.field_keys()?.primary()),
            TokenKind::Pairwise | TokenKind::Preserving => None,
        })
    }

    /// Makes the token of a value. The vault is for vaulted tokens.
    ///
    /// # Errors
    /// As the maker of the kind; `Misuse` if a vault is needed and not given.
    pub fn make(&mut self, value: &Normal, vault: Option<&mut dyn Vault>) -> Result<Token> {
        match &mut self.0 {
            Maker::Expiring(tokens, expires) => tokens.make(value, *expires),
            Maker::Pairwise(tokens) => tokens.make(value),
            Maker::Preserving(tokens) => tokens.labelled(value),
            Maker::Reversible(tokens) => tokens.make(value),
            Maker::Vaulted(tokens) => tokens.make(vault.ok_or_else(no_vault)?, value),
        }
    }
}

/// Turns tokens of one audience into tokens of another. Needs both keys, so that only the registry can do it; what leaves should be a
/// [`SealedToken`](super::SealedToken).
#[derive(Debug)]
pub struct Translator {
    from: TokenOpener,
    to: TokenMaker,
}

impl Translator {
    /// Joins the opener of the tokens that come and the maker of those that go.
    #[must_use]
    pub const fn new(from: TokenOpener, to: TokenMaker) -> Self {
        Self { from, to }
    }

    /// Translates a token; `None` if it is a vaulted one that was forgotten.
    ///
    /// # Errors
    /// As [`TokenOpener::open`] and [`TokenMaker::make`].
    pub fn translate(
        &mut self,
        token: &Token,
        now: Timestamp,
        mut vault: Option<&mut dyn Vault>,
    ) -> Result<Option<Token>> {
        let value = match &mut vault {
            Some(vault) => self.from.open(token, now, Some(&mut **vault))?,
            None => self.from.open(token, now, None)?,
        };
        value.map(|value| self.to.make(&value, vault)).transpose()
    }
}

fn identifier(form: &NormalForm) -> Result<&Identifier> {
    match form {
        NormalForm::Identifier(identifier) => Ok(identifier),
        _ => Err(Error::misuse("format-preserving tokens are of identifiers; choose another kind of token")),
    }
}

/// What does not open under the one key that its epoch has was not made with it.
#[cold]
fn not_ours(error: Error) -> Error {
    match error.kind() {
        Kind::Unauthentic | Kind::UnknownKey => {
            Error::altered("does not open: the token was altered, or another registry made it")
        }
        _ => error,
    }
}

fn no_vault() -> Error {
    Error::misuse("vaulted tokens need their vault")
}
