// SPDX-License-Identifier: MIT OR Apache-2.0
//! One column of tokens of an export, and what makes them.
//!
//! Owns the messages of tokens that are counted. Never makes a new token under another key than that of its policy's epoch.

use amanat::Allowance;
use amanat::error::{Error, Kind, Result};
use amanat::ident::Timestamp;
use amanat::normal::{Normal, NormalForm};
use amanat::schema::{Invalid, TokenPolicy};
use amanat::token::{
    Epoch, ExpiringTokens, PairwiseTokens, PreservingTokens, ReversibleTokens, TokenKind, Vault,
    VaultedTokens,
};
use amanat::value::ValueRef;

use super::{ExportEffort, ExportPlan, TokenColumn};

pub(super) struct Column {
    pub(super) about: TokenColumn,
    pub(super) place: usize,
    invalid: Invalid,
    value: Normal,
    /// Whether its tokens are those that the values had: of the crosswalk's epoch.
    is_old: bool,
    maker: Maker,
}

pub(super) enum Maker {
    /// In a dry run.
    None,
    Expiring(Box<ExpiringTokens>, Allowance, Timestamp),
    Pairwise(Box<PairwiseTokens>),
    Preserving(Box<PreservingTokens>),
    Reversible(Box<ReversibleTokens>, Allowance),
    Vaulted(Box<VaultedTokens>, Allowance),
}

impl Column {
    pub(super) fn new(
        plan: &ExportPlan<'_>,
        policy: &TokenPolicy,
        epoch: Epoch,
        place: usize,
        has_vault: bool,
    ) -> Result<Self> {
        let at = |error: Error| error.at_field(policy.name());
        let key =
            plan.session.with_keyring(|keyring| keyring.token_keys()?.key_of_epoch(epoch)).map_err(at)?;
        let about = TokenColumn {
            name: policy.name().clone(),
            kind: policy.kind(),
            audience: policy.audience().clone(),
            epoch,
            key,
            field: policy.of().field.clone(),
        };
        if about.kind == TokenKind::Expiring && epoch != policy.epoch() {
            return Err(at(Error::unsupported(
                "expiring tokens have no crosswalk: their holder asks for new ones",
            )));
        }
        if about.kind == TokenKind::Vaulted && !has_vault && plan.effort == ExportEffort::Write {
            return Err(at(Error::misuse("vaulted tokens are looked up in a vault, and none was named")));
        }
        let form = &policy.of().form;
        let maker = match plan.effort {
            ExportEffort::DryRun => Maker::None,
            ExportEffort::Write => Maker::new(plan, &about, form, 0).map_err(at)?,
        };
        let (invalid, value) = (policy.invalid(), Normal::empty(form.clone()));
        Ok(Self { about, place, invalid, value, is_old: epoch != policy.epoch(), maker })
    }

    /// Takes a value; false if it is absent, or counts as absent.
    pub(super) fn read(&mut self, value: ValueRef<'_>) -> Result<bool> {
        if matches!(value, ValueRef::Null) {
            return Ok(false);
        }
        let form = self.value.form().clone();
        match form.normalise_into(value, &mut self.value) {
            Ok(()) => Ok(true),
            Err(_) if self.invalid == Invalid::Skip => Ok(false),
            Err(error) => Err(error.at_field(&self.about.name)),
        }
    }

    /// Appends the token of the value that was taken.
    pub(super) fn append(
        &mut self,
        plan: &ExportPlan<'_>,
        vault: Option<&mut dyn Vault>,
        line: &mut Vec<u8>,
    ) -> Result<()> {
        let used_up = match &self.maker {
            Maker::Expiring(_, messages, _)
            | Maker::Reversible(_, messages)
            | Maker::Vaulted(_, messages) => messages.left() == 0,
            _ => false,
        };
        if used_up {
            let form = self.value.form().clone();
            self.maker = Maker::new(plan, &self.about, &form, 1)?;
        }
        let value = &self.value;
        let token = match &mut self.maker {
            Maker::None => return Ok(()),
            Maker::Pairwise(tokens) if self.is_old => return tokens.append_old(value, line),
            Maker::Pairwise(tokens) => return tokens.append(value, line),
            Maker::Preserving(tokens) if self.is_old => return tokens.append_old(value, line),
            Maker::Preserving(tokens) => return tokens.append(value, line),
            Maker::Reversible(tokens, _) => tokens.make(value),
            Maker::Expiring(tokens, _, expires) => tokens.make(value, *expires),
            Maker::Vaulted(tokens, _) => {
                let vault = vault.ok_or_else(|| Error::misuse("vaulted tokens need a vault"))?;
                if self.is_old {
                    // A value that came later has no old token: its cell stays empty.
                    let token = tokens.token_of(vault, value)?;
                    line.extend(token.iter().flat_map(|token| token.to_text().into_bytes()));
                    return Ok(());
                }
                tokens.make(vault, value)
            }
        };
        // What is too long for a token is a fault of the row; what is used up is not, and was looked after above.
        let token = token.map_err(|error| match error.kind() {
            Kind::Limit => error.at_field(&self.about.name),
            _ => error,
        })?;
        line.extend_from_slice(token.to_text().as_bytes());
        Ok(())
    }
}

impl Maker {
    /// Derives the keys; where messages are counted, at least `need` of them are reserved.
    fn new(plan: &ExportPlan<'_>, about: &TokenColumn, form: &NormalForm, need: u64) -> Result<Self> {
        let (session, audience, epoch) = (plan.session, &about.audience, about.epoch);
        let messages = match about.kind {
            TokenKind::Expiring | TokenKind::Reversible => Some(session.token_messages(about.key, need)?),
            TokenKind::Vaulted => Some(session.allowance(need)?),
            _ => None,
        };
        let broken = session.break_glass();
        session.with_keyring(|keyring| {
            let keys = keyring.token_keys()?;
            let unknown = || Error::unsupported("tokens of this kind cannot be exported");
            Ok(match (about.kind, messages) {
                (TokenKind::Pairwise, _) => {
                    Self::Pairwise(Box::new(PairwiseTokens::new(&keys, audience, epoch, &broken)?))
                }
                (TokenKind::Reversible, Some(messages)) => {
                    let tokens = ReversibleTokens::new(&keys, audience, epoch, &messages)?;
                    Self::Reversible(Box::new(tokens), messages)
                }
                (TokenKind::Expiring, Some(messages)) => {
                    let expires = plan.expires;
                    let expires = expires.ok_or_else(|| {
                        Error::misuse("expiring tokens need to be told how long they are valid")
                    })?;
                    let tokens = ExpiringTokens::new(&keys, audience, epoch, &messages)?;
                    Self::Expiring(Box::new(tokens), messages, expires)
                }
                (TokenKind::Preserving, _) => {
                    let NormalForm::Identifier(identifier) = form else { return Err(unknown()) };
                    let tokens = PreservingTokens::new(&keys, identifier, audience, epoch, &broken)?;
                    Self::Preserving(Box::new(tokens))
                }
                (TokenKind::Vaulted, Some(messages)) => {
                    let tokens = VaultedTokens::new(keyring, audience, epoch, form, &messages, &broken)?;
                    Self::Vaulted(Box::new(tokens), messages)
                }
                _ => return Err(unknown()),
            })
        })
    }
}
