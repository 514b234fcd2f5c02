// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tracing leaked tokens: whose they are, of which epoch, and of which rows.
//!
//! Owns the comparison of a leak with the registry, row by row. Never keeps a row, never compares identifiers by an unkeyed digest.
//! Memory grows with the leak alone. SPEC chapter 10.

use core::fmt;
use std::collections::HashMap;

use zeroize::Zeroizing;

use super::epoch_keys::EpochKey;
use super::expiring::ExpiringTokens;
use super::pairwise::{BODY_BYTES, DATA_BYTES, PairwiseTokens, proves};
use super::preserving::PreservingTokens;
use super::reversible::ReversibleTokens;
use super::text::{Audience, Epoch, Token, TokenHeader, TokenKind};
use super::vault::Vault;
use super::vaulted::VaultReader;
use crate::crypto::prf::{HmacKey, ProofKey};
use crate::crypto::random;
use crate::error::{Error, Result};
use crate::ident::{KeyId, Timestamp};
use crate::identifier::Identifier;
use crate::keys::{self, Keyset};
use crate::normal::{Normal, NormalForm};
use crate::value::Value;

/// Bytes of a keyed hash that opened values are compared by.
const MARK_BYTES: usize = 16;

/// What an identifier-shaped text in a leak may be a format-preserving token of.
#[derive(Clone, Copy, Debug)]
pub struct Suspect<'a> {
    /// For whom and what it may have been made.
    pub audience: &'a Audience,
    /// The epoch that it may be of.
    pub epoch: Epoch,
    /// The identifier that it may stand for.
    pub identifier: &'a Identifier,
}

/// Leaked tokens of one kind, audience and epoch.
#[derive(Debug)]
pub struct TraceGroup {
    header: TokenHeader,
    tokens: u64,
    proved: Option<u64>,
    fault: Option<Error>,
    /// The normal forms that tokens of the audience are made from; none if any may be.
    forms: Vec<NormalForm>,
}

impl TraceGroup {
    /// Kind, epoch, recipient and purpose.
    #[must_use]
    pub const fn header(&self) -> &TokenHeader {
        &self.header
    }

    /// How many there are, repeated ones included.
    #[must_use]
    pub const fn tokens(&self) -> u64 {
        self.tokens
    }

    /// How many were made under this registry's key, as their proof or their seal tells without any row; `None` for format-preserving
    /// tokens, which hold no proof, and where the [key cannot be used](Self::fault).
    #[must_use]
    pub const fn proved(&self) -> Option<u64> {
        self.proved
    }

    /// Why the tokens are not compared with rows: `UnknownKey` if the keyring has no such epoch, `KeyUnusable` if the key's state forbids it,
    /// or what [`leak_uncompared`](Tracer::leak_uncompared) was given.
    #[must_use]
    pub const fn fault(&self) -> Option<&Error> {
        self.fault.as_ref()
    }

    fn takes(&self, form: &NormalForm) -> bool {
        self.forms.is_empty() || self.forms.contains(form)
    }
}

/// Matches a leak with the rows of a registry: takes the leak first, then the rows.
///
/// Leaked tokens are numbered from 0 in the order in which they are given. Costs one HMAC or FF1 for each row and group, and one HMAC for
/// each row if there are tokens that the registry can open.
pub struct Tracer<'k> {
    keys: Keyset<'k, keys::Token>,
    break_glass: Vec<KeyId>,
    forms: Vec<(Audience, NormalForm)>,
    groups: Vec<TraceGroup>,
    methods: Vec<Method>,
    by_header: HashMap<Vec<u8>, usize>,
    leaks: usize,
    links: Vec<Link>,
    /// Opened values under a key of this run, and the first link of each.
    opened: HashMap<[u8; MARK_BYTES], usize>,
    run_key: HmacKey,
    buffer: Zeroizing<Vec<u8>>,
}

/// A leaked token in the group that it belongs to; a bare one may be in several.
struct Link {
    leak: usize,
    group: usize,
    /// Another link with the same bytes.
    next: Option<usize>,
}

/// How the tokens of a group are found.
enum Method {
    Pairwise(Box<PairwiseTokens>, HashMap<[u8; DATA_BYTES], usize>),
    /// The makers of the identifiers that rows were given in; `None` for forms that have no such tokens.
    Preserving(Vec<(NormalForm, Option<PreservingTokens>)>, HashMap<Vec<u8>, usize>),
    Reversible(Box<ReversibleTokens>),
    Expiring(Box<ExpiringTokens>),
    /// Bodies and links that wait for the vault.
    Vaulted(Box<ProofKey>, Vec<([u8; BODY_BYTES], usize)>),
    None,
}

impl<'k> Tracer<'k> {
    /// Begins a run. `forms` are the normal forms that tokens of an audience are made from, as the schema says; those of an audience that is
    /// not among them are compared with rows in any form. `break_glass` names keys that are suspended or compromised and shall resolve nevertheless.
    ///
    /// # Errors
    /// `Entropy`.
    pub fn new(
        keys: Keyset<'k, keys::Token>,
        forms: Vec<(Audience, NormalForm)>,
        break_glass: &[KeyId],
    ) -> Result<Self> {
        Ok(Self {
            keys,
            break_glass: break_glass.to_vec(),
            forms,
            groups: Vec::new(),
            methods: Vec::new(),
            by_header: HashMap::new(),
            leaks: 0,
            links: Vec::new(),
            opened: HashMap::new(),
            run_key: HmacKey::new(random::secret::<32>()?.expose()),
            buffer: Zeroizing::default(),
        })
    }

    /// Takes a leaked token.
    pub fn leak(&mut self, token: &Token) {
        let group = self.group(token.header());
        let link = self.link(group);
        let found = match self.methods.get_mut(group) {
            Some(Method::Pairwise(tokens, found)) => {
                let proved = tokens.proves(token);
                if let Ok(data) = <[u8; DATA_BYTES]>::try_from(token.data())
                    && proved
                {
                    chain(&mut self.links, found.insert(data, link), link);
                }
                proved
            }
            Some(Method::Preserving(_, found)) => {
                chain(&mut self.links, found.insert(token.data().to_vec(), link), link);
                false
            }
            Some(Method::Reversible(tokens)) => {
                let value = tokens.open_token(token).ok();
                self.keep_opened(value.as_ref(), link)
            }
            Some(Method::Expiring(tokens)) => {
                // Before every expiry: a token that has expired is traced too.
                let value = Timestamp::from_unix_seconds(0).and_then(|start| tokens.open(token, start)).ok();
                self.keep_opened(value.as_ref(), link)
            }
            Some(Method::Vaulted(key, waiting)) => {
                let body = token.data().first_chunk().filter(|_| proves(key, token.data()));
                waiting.extend(body.map(|body| (*body, link)));
                body.is_some()
            }
            Some(Method::None) | None => false,
        };
        if let Some(proved) = self.groups.get_mut(group).and_then(|group| group.proved.as_mut()) {
            *proved += u64::from(found);
        }
        self.leaks += 1;
    }

    /// Takes a leaked token that was looked up elsewhere, as a vaulted one is in its vault; `None` if nothing was found. A vaulted token's
    /// proof is checked nevertheless: it was made here even if its vault is not at hand.
    pub fn leak_opened(&mut self, token: &Token, value: Option<&Normal>) {
        let group = self.group(token.header());
        let link = self.link(group);
        if let Some(value) = value {
            let mark = mark(&self.run_key, value.as_bytes());
            chain(&mut self.links, self.opened.insert(mark, link), link);
        }
        let has_proof =
            |method: &Method| matches!(method, Method::Vaulted(key, _) if proves(key, token.data()));
        let proved = value.is_some() || self.methods.get(group).is_some_and(has_proof);
        if let Some(count) = self.groups.get_mut(group).and_then(|group| group.proved.as_mut()) {
            *count += u64::from(proved);
        }
        self.leaks += 1;
    }

    /// Takes a leaked token that shall not be compared with rows: one of an audience that nobody was ever given, say, whose comparison would
    /// cost as much as that of true ones. Its whole group is not compared.
    pub fn leak_uncompared(&mut self, token: &Token, why: Error) {
        let place = self.group(token.header());
        self.link(place);
        if let Some((group, method)) = self.groups.get_mut(place).zip(self.methods.get_mut(place)) {
            *method = Method::None;
            group.proved = None;
            group.fault.get_or_insert(why);
        }
        self.leaks += 1;
    }

    /// Takes a leaked text that says nothing of itself and may be a format-preserving token of any of the suspects. False if it is of none
    /// of their identifiers.
    pub fn leak_bare(&mut self, text: &str, suspects: &[Suspect<'_>]) -> bool {
        let mut may_be = false;
        for suspect in suspects {
            let mut normal = Zeroizing::new(Vec::with_capacity(text.len()));
            if suspect.identifier.append_normal(text, &mut normal).is_err() {
                continue;
            }
            may_be = true;
            let audience = suspect.audience.clone();
            let group = self.group(&TokenHeader::new(TokenKind::Preserving, suspect.epoch, audience));
            let link = self.link(group);
            if let Some(Method::Preserving(_, found)) = self.methods.get_mut(group) {
                chain(&mut self.links, found.insert(core::mem::take(&mut *normal), link), link);
            }
        }
        self.leaks += 1;
        may_be
    }

    /// Looks up the vaulted tokens that were taken so far; without it no row is found for them. Gives how many a vault still knows: others
    /// were forgotten, or are of another vault.
    ///
    /// # Errors
    /// `Store`; `UnknownKey` or `KeyUnusable` for the field key of an entry; `Unauthentic` if the vault was altered.
    pub fn look_up(&mut self, vault: &mut dyn Vault, fields: &Keyset<'_, keys::Field>) -> Result<u64> {
        let mut reader = VaultReader::new(fields, &self.break_glass)?;
        let mut known = 0;
        for place in 0..self.groups.len() {
            let Some(Method::Vaulted(_, waiting)) = self.methods.get_mut(place) else { continue };
            for (body, link) in core::mem::take(waiting) {
                let found = vault.by_body(&body)?.zip(self.groups.get(place));
                let value = found.map(|(entry, group)| reader.open(&group.header, &entry)).transpose()?;
                known += u64::from(self.keep_opened(value.as_ref(), link));
            }
        }
        Ok(known)
    }

    /// What the leak is, as far as the registry's keys tell without any row: one group for each kind, audience and epoch.
    #[must_use]
    pub fn groups(&self) -> &[TraceGroup] {
        &self.groups
    }

    /// Place of a header's group among them.
    #[must_use]
    pub fn group_of(&self, header: &TokenHeader) -> Option<usize> {
        self.by_header.get(header.as_bytes()).copied()
    }

    /// Compares a value of a row, and reports the number and group of every leaked token that is of it, in no order. A row that has several
    /// values with tokens is given value by value.
    pub fn row(&mut self, value: &Normal, mut report: impl FnMut(usize, &TraceGroup)) {
        if value.as_bytes().is_empty() {
            return;
        }
        for (group, method) in self.groups.iter().zip(&mut self.methods) {
            if !group.takes(value.form()) {
                continue;
            }
            let first = match method {
                // Invented tokens, which have no proof, cost the rows nothing.
                Method::Pairwise(_, found) if found.is_empty() => None,
                Method::Pairwise(tokens, found) => found.get(&tokens.data_of(value)),
                Method::Preserving(makers, found) => {
                    let maker = maker_of(makers, value.form(), &self.keys, &group.header, &self.break_glass);
                    self.buffer.clear();
                    let made = maker.map(|maker| maker.append_old(value, &mut self.buffer));
                    made.and_then(Result::ok).and_then(|()| found.get(&**self.buffer))
                }
                Method::Reversible(_) | Method::Expiring(_) | Method::Vaulted(..) | Method::None => None,
            };
            report_chain(&self.links, &self.groups, first.copied(), value.form(), &mut report);
        }
        if !self.opened.is_empty() {
            let first = self.opened.get(&mark(&self.run_key, value.as_bytes()));
            report_chain(&self.links, &self.groups, first.copied(), value.form(), &mut report);
        }
    }

    /// The group of a header, begun if it is new.
    fn group(&mut self, header: &TokenHeader) -> usize {
        if let Some(group) = self.by_header.get(header.as_bytes()) {
            return *group;
        }
        let (method, fault) = match self.method(header) {
            Ok(method) => (method, None),
            Err(error) => (Method::None, Some(error)),
        };
        let proves = fault.is_none() && header.kind() != TokenKind::Preserving;
        let forms = self.forms.iter().filter(|(audience, _)| audience == header.audience());
        let group = self.groups.len();
        self.groups.push(TraceGroup {
            header: header.clone(),
            tokens: 0,
            proved: proves.then_some(0),
            fault,
            forms: forms.map(|(_, form)| form.clone()).collect(),
        });
        self.methods.push(method);
        self.by_header.insert(header.as_bytes().to_vec(), group);
        group
    }

    fn method(&self, header: &TokenHeader) -> Result<Method> {
        let (keys, glass) = (&self.keys, &self.break_glass);
        let (audience, epoch) = (header.audience(), header.epoch());
        Ok(match header.kind() {
            TokenKind::Pairwise => {
                let tokens = PairwiseTokens::new(keys, audience, epoch, glass)?;
                Method::Pairwise(Box::new(tokens), HashMap::new())
            }
            TokenKind::Preserving => {
                // The key is derived for the first row; whether it may be is known now.
                EpochKey::<32>::derive(keys, TokenKind::Preserving, audience, epoch, glass)?;
                Method::Preserving(Vec::new(), HashMap::new())
            }
            TokenKind::Reversible => {
                Method::Reversible(Box::new(ReversibleTokens::opener(keys, audience, epoch, glass)?))
            }
            TokenKind::Expiring => {
                Method::Expiring(Box::new(ExpiringTokens::opener(keys, audience, epoch, glass)?))
            }
            TokenKind::Vaulted => {
                let key = EpochKey::<32>::derive(keys, TokenKind::Vaulted, audience, epoch, glass)?;
                Method::Vaulted(Box::new(ProofKey::new(key.secret.expose())), Vec::new())
            }
        })
    }

    /// Counts a token in its group.
    fn link(&mut self, group: usize) -> usize {
        if let Some(group) = self.groups.get_mut(group) {
            group.tokens += 1;
        }
        self.links.push(Link { leak: self.leaks, group, next: None });
        self.links.len() - 1
    }

    /// Keeps a keyed hash of an opened value; false if there is none.
    fn keep_opened(&mut self, value: Option<&Value>, link: usize) -> bool {
        let Some(value) = value else { return false };
        let mark = value.as_ref().with_parts(|_, content| mark(&self.run_key, content));
        chain(&mut self.links, self.opened.insert(mark, link), link);
        true
    }
}

/// Puts a link before the one that had its place.
fn chain(links: &mut [Link], before: Option<usize>, link: usize) {
    if let Some(link) = links.get_mut(link) {
        link.next = before;
    }
}

/// Reports the links of a chain whose tokens may have been made from this form: bytes alone can be those of another.
fn report_chain(
    links: &[Link],
    groups: &[TraceGroup],
    first: Option<usize>,
    form: &NormalForm,
    report: &mut impl FnMut(usize, &TraceGroup),
) {
    let mut next = first;
    while let Some(link) = next.and_then(|link| links.get(link)) {
        if let Some(group) = groups.get(link.group).filter(|group| group.takes(form)) {
            report(link.leak, group);
        }
        next = link.next;
    }
}

fn mark(key: &HmacKey, normal: &[u8]) -> [u8; MARK_BYTES] {
    let mut mark = [0; MARK_BYTES];
    mark.iter_mut().zip(key.sign(normal)).for_each(|(to, from)| *to = from);
    mark
}

/// The maker of an identifier's tokens, made when the first row in its form comes.
fn maker_of<'m>(
    makers: &'m mut Vec<(NormalForm, Option<PreservingTokens>)>,
    form: &NormalForm,
    keys: &Keyset<'_, keys::Token>,
    header: &TokenHeader,
    break_glass: &[KeyId],
) -> Option<&'m PreservingTokens> {
    let place = makers.iter().position(|(known, _)| known == form).unwrap_or_else(|| {
        let made = match form {
            NormalForm::Identifier(identifier) => {
                PreservingTokens::new(keys, identifier, header.audience(), header.epoch(), break_glass).ok()
            }
            _ => None,
        };
        makers.push((form.clone(), made));
        makers.len() - 1
    });
    makers.get(place).and_then(|(_, maker)| maker.as_ref())
}

impl fmt::Debug for Tracer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tracer({} tokens, {} groups)", self.leaks, self.groups.len())
    }
}
