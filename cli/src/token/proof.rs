// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether the registry made a token: by its proof, or by opening it and throwing away what is inside.
//!
//! Never shows a value, never tries a key other than the one of the token's epoch.

use std::collections::BTreeMap;

use amanat::error::{Error, Kind};
use amanat::keys::Purpose;
use amanat::normal::NormalForm;
use amanat::token::{
    Audience, Epoch, ExpiringTokens, PairwiseTokens, ReversibleTokens, Token, TokenKind, VaultedTokens,
};
use amanat::{Allowance, KeyId, Keyring, Timestamp};

/// Makers that are kept; a list with more audiences than that is made of invented tokens.
const MAX_MAKERS: usize = 4_096;

/// What the registry's keys say of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// It was made under this very key.
    Ours,
    /// It was made under this very key, and its time is over.
    OursExpired,
    /// It was not made under the key that it names.
    NotOurs,
    /// The keys say nothing about it, and why.
    Unknown(String),
}

impl Proof {
    /// The word in a table and in JSON.
    pub(crate) const fn as_str(&self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::OursExpired => "ours, expired",
            Self::NotOurs => "NOT ours",
            Self::Unknown(_) => "not known",
        }
    }
}

/// Proves tokens under the keys of a registry.
pub(crate) struct Prover<'a> {
    keyring: &'a Keyring,
    /// No messages: nothing is sealed here.
    none: Allowance,
    now: Timestamp,
    break_glass: &'a [KeyId],
    makers: BTreeMap<(TokenKind, Epoch, Audience), Result<Maker, String>>,
}

enum Maker {
    Expiring(Box<ExpiringTokens>),
    Pairwise(Box<PairwiseTokens>),
    Reversible(Box<ReversibleTokens>),
    Vaulted(Box<VaultedTokens>),
}

impl<'a> Prover<'a> {
    /// A prover as of a time. `break_glass` names suspended or compromised keys that shall prove nevertheless.
    ///
    /// # Errors
    /// If the keyring has no key for fields.
    pub(crate) fn new(
        keyring: &'a mut Keyring,
        now: Timestamp,
        break_glass: &'a [KeyId],
    ) -> amanat::Result<Self> {
        let none = keyring.reserve(Purpose::Field, 0)?;
        Ok(Self { keyring, none, now, break_glass, makers: BTreeMap::new() })
    }

    /// What the keys say of a token.
    pub(crate) fn prove(&mut self, token: &Token) -> Proof {
        let header = token.header();
        let place = (header.kind(), header.epoch(), header.audience().clone());
        if !self.makers.contains_key(&place) {
            let made = self.maker(token).map_err(|error| error.message().to_owned());
            if self.makers.len() >= MAX_MAKERS {
                self.makers.clear();
            }
            self.makers.insert(place.clone(), made);
        }
        let maker = match self.makers.get_mut(&place) {
            Some(Ok(maker)) => maker,
            Some(Err(why)) => return Proof::Unknown(why.clone()),
            None => return Proof::Unknown("no key for it".to_owned()),
        };
        let opened = match maker {
            Maker::Pairwise(tokens) if tokens.proves(token) => return Proof::Ours,
            Maker::Vaulted(tokens) if tokens.proves(token) => return Proof::Ours,
            Maker::Pairwise(_) | Maker::Vaulted(_) => return Proof::NotOurs,
            Maker::Reversible(tokens) => tokens.open_token(token),
            Maker::Expiring(tokens) => tokens.open(token, self.now),
        };
        match opened {
            Ok(_) => Proof::Ours,
            Err(error) if error.kind() == Kind::Expired => Proof::OursExpired,
            // An envelope that names another key, or none, is not what this registry makes.
            Err(_) => Proof::NotOurs,
        }
    }

    fn maker(&self, token: &Token) -> amanat::Result<Maker> {
        let (keys, glass) = (&self.keyring.token_keys()?, self.break_glass);
        let (audience, epoch) = (token.header().audience(), token.header().epoch());
        match token.header().kind() {
            TokenKind::Pairwise => {
                PairwiseTokens::new(keys, audience, epoch, glass).map(|made| Maker::Pairwise(Box::new(made)))
            }
            TokenKind::Reversible => ReversibleTokens::opener(keys, audience, epoch, glass)
                .map(|made| Maker::Reversible(Box::new(made))),
            TokenKind::Expiring => ExpiringTokens::opener(keys, audience, epoch, glass)
                .map(|made| Maker::Expiring(Box::new(made))),
            TokenKind::Preserving => Err(Error::unsupported(
                "a format-preserving token proves nothing: every identifier of its kind opens to another",
            )),
            TokenKind::Vaulted => {
                // The proof is the same for every form.
                let form = &NormalForm::Exact;
                let made = VaultedTokens::new(self.keyring, audience, epoch, form, &self.none, glass)?;
                Ok(Maker::Vaulted(Box::new(made)))
            }
            _ => Err(Error::unsupported("this program cannot prove tokens of this kind")),
        }
    }
}
