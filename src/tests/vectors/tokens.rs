// SPDX-License-Identifier: MIT OR Apache-2.0
//! Vectors of tokens of every kind, and of their text.

use super::forms::{form_of, normalise};
use super::{key, listed_keys};
use crate::context::AssociatedData;
use crate::crypto::ff1::Ff1;
use crate::crypto::{kdf, prf, siv};
use crate::error::{Error, Result};
use crate::ident::{Name, Timestamp};
use crate::index::IndexTerm;
use crate::keys::{Allowance, Key, Keyring, Keyset, Purpose, State, Token as TokenPurpose};
use crate::normal::{Normal, NormalForm};
use crate::secret::Secret;
use crate::tests::vector::Vector;
use crate::tests::{hex, unhex};
use crate::token::{
    Audience, ExpiringTokens, PairwiseTokens, PreservingTokens, ReversibleTokens, Token, TokenKind, Vault,
    VaultEntry, VaultedTokens,
};
use crate::value::{Bucket, ValueRef};
use crate::wire::pae;

/// What a vector of kind `token` resolves with.
pub(in crate::tests) struct Case {
    registry: Name,
    keys: Vec<Key>,
    form: NormalForm,
    audience: Audience,
    now: u64,
    pub(in crate::tests) token: Token,
    entry: Option<Entry>,
}

/// The vault's entry of a vaulted token, and what makes it.
struct Entry {
    keyring: Keyring,
    field: Allowance,
    stored: VaultEntry,
}

impl Case {
    pub(in crate::tests) fn of(v: &Vector) -> Result<Self> {
        let token = Token::parse(v.one("text"))?;
        let (registry, keys) = (v.text_name("registry"), listed_keys(v, Purpose::Token));
        let entry = (token.header().kind() == TokenKind::Vaulted).then(|| Entry::of(v, &registry));
        Ok(Self {
            registry,
            keys,
            form: form_of(v.one("form"))?,
            audience: Audience::new(v.one("recipient"), v.one("token-purpose"))?,
            now: v.get("now").map_or(0, |now| now.parse().expect("seconds")),
            token,
            entry,
        })
    }

    /// Resolves a token with the keys of the case: its value, or `None` where only a proof can be had.
    pub(in crate::tests) fn resolve(&self, token: &Token) -> Result<Option<Vec<u8>>> {
        let keys = Keyset::<TokenPurpose>::new(&self.registry, &self.keys)?;
        let (audience, epoch) = (&self.audience, token.header().epoch());
        let content = |value: crate::Value| Some(value.as_ref().with_parts(|_, bytes| bytes.to_vec()));
        match token.header().kind() {
            TokenKind::Pairwise => {
                let tokens = PairwiseTokens::new(&keys, audience, epoch, &[])?;
                if tokens.proves(token) { Ok(None) } else { Err(Error::unauthentic()) }
            }
            TokenKind::Reversible => {
                ReversibleTokens::opener(&keys, audience, epoch, &[])?.open_token(token).map(content)
            }
            TokenKind::Expiring => {
                let now = Timestamp::from_unix_seconds(self.now)?;
                ExpiringTokens::opener(&keys, audience, epoch, &[])?.open(token, now).map(content)
            }
            TokenKind::Preserving => {
                let NormalForm::Identifier(identifier) = &self.form else { panic!("an identifier's form") };
                PreservingTokens::new(&keys, identifier, audience, epoch, &[])?.open_token(token).map(content)
            }
            TokenKind::Vaulted => {
                let entry = self.entry.as_ref().expect("an entry");
                let mut tokens =
                    VaultedTokens::new(&entry.keyring, audience, epoch, &self.form, &entry.field, &[])?;
                tokens.open(&mut OneEntry(entry.stored.clone()), token).map(|value| value.and_then(content))
            }
        }
    }

    /// Makes the token of the value again where the library makes it without drawing bytes, or looks its value up.
    fn make_again(&self, value: &Normal) -> Result<Option<Token>> {
        let keys = Keyset::<TokenPurpose>::new(&self.registry, &self.keys)?;
        let (audience, epoch) = (&self.audience, self.token.header().epoch());
        Ok(Some(match self.token.header().kind() {
            TokenKind::Pairwise => PairwiseTokens::new(&keys, audience, epoch, &[])?.make(value)?,
            TokenKind::Reversible => {
                let allowance = Allowance::new(keys.key_of_epoch(epoch)?, 1);
                ReversibleTokens::new(&keys, audience, epoch, &allowance)?.make(value)?
            }
            TokenKind::Preserving => {
                let NormalForm::Identifier(identifier) = &self.form else { panic!("an identifier's form") };
                PreservingTokens::new(&keys, identifier, audience, epoch, &[])?.labelled(value)?
            }
            TokenKind::Vaulted => {
                let entry = self.entry.as_ref().expect("an entry");
                let mut tokens =
                    VaultedTokens::new(&entry.keyring, audience, epoch, &self.form, &entry.field, &[])?;
                tokens.make(&mut OneEntry(entry.stored.clone()), value)?
            }
            TokenKind::Expiring => return Ok(None),
        }))
    }
}

impl Entry {
    /// The keyring of a vault; a refusal has no entry, and no secrets of its own.
    fn of(v: &Vector, registry: &Name) -> Self {
        let secret = |name| {
            let bytes = v.get(name).map_or(vec![3; 32], unhex);
            Secret::copy_from(&bytes).expect("32 bytes")
        };
        let field = key(secret("field-secret"), Purpose::Field, State::Active, true);
        let id = field.info.id;
        let mut keys = vec![field, key(secret("index-secret"), Purpose::Index, State::Active, true)];
        keys.extend(listed_keys(v, Purpose::Token));
        let body = v.get("body").map_or(vec![0; 16], unhex);
        let term = v.get("vault-term").map_or(vec![0; 17], unhex);
        let stored = VaultEntry::new(
            body.try_into().expect("16 bytes"),
            v.get("scope").unwrap_or_default().to_owned(),
            IndexTerm::from_bytes(&term).expect("a term"),
            v.get("envelope").map_or(Vec::new(), unhex),
        );
        Self { keyring: Keyring::of_keys(registry.clone(), keys), field: Allowance::new(id, 0), stored }
    }
}

/// A vault of one entry that nobody changes.
struct OneEntry(VaultEntry);

impl Vault for OneEntry {
    fn begin(&mut self) -> Result<()> {
        Ok(())
    }

    fn commit(&mut self) -> Result<()> {
        Ok(())
    }

    fn roll_back(&mut self) {}

    fn by_terms(&mut self, terms: &[IndexTerm]) -> Result<Vec<VaultEntry>> {
        Ok(Some(self.0.clone()).filter(|entry| terms.contains(&entry.term)).into_iter().collect())
    }

    fn by_body(&mut self, body: &[u8; 16]) -> Result<Option<VaultEntry>> {
        Ok(Some(self.0.clone()).filter(|entry| entry.body == *body))
    }

    fn tags(&mut self) -> Result<Vec<u8>> {
        Ok(vec![self.0.term.as_bytes()[0]])
    }

    fn insert(&mut self, _: &VaultEntry) -> Result<()> {
        panic!("a value that has an entry")
    }

    fn replace(&mut self, _: &VaultEntry, _: &VaultEntry) -> Result<bool> {
        panic!("nothing is renewed")
    }

    fn remove(&mut self, _: &[u8; 16]) -> Result<bool> {
        panic!("nothing is forgotten")
    }

    fn page(&mut self, _: &str, _: Option<&[u8; 16]>, _: usize) -> Result<Vec<VaultEntry>> {
        panic!("nothing is renewed")
    }

    fn scopes(&mut self) -> Result<Vec<String>> {
        panic!("nothing is traced")
    }
}

pub(super) fn token(v: &Vector) -> Result<()> {
    let case = Case::of(v)?;
    let resolved = case.resolve(&case.token)?;
    let (kind, content) = Vector::typed(v.one("value"));
    let value = normalise(&case.form, kind, &content)?;
    v.same("normal", value.as_bytes());
    if let Some(resolved) = resolved {
        assert_eq!(resolved, value.as_bytes(), "{}", v.name);
    }
    if case.keys[usize::from(case.token.header().epoch().get()) - 1].info.state == State::Active
        && let Some(again) = case.make_again(&value)?
    {
        assert_eq!(again.to_text(), v.one("text"), "{}", v.name);
    }
    intermediates(v, &case, &value);
    Ok(())
}

/// Recomputes by the definitions of SPEC chapter 10 what a kind of token is made of.
fn intermediates(v: &Vector, case: &Case, value: &Normal) {
    let header = case.token.header();
    v.same_text("kind-of-token", header.kind());
    v.same_text("epoch", header.epoch());
    v.same("data", case.token.data());
    assert_eq!(v.one("header").as_bytes(), header.as_bytes());
    let key = &case.keys[usize::from(header.epoch().get()) - 1];
    v.same("key-id", key.info.id.as_bytes());
    let (recipient, purpose) = (case.audience.recipient().as_bytes(), case.audience.purpose().as_bytes());
    let parts = [kdf::TOKEN, case.registry.as_bytes(), header.kind().as_str().as_bytes(), recipient, purpose];
    let secret = key.secret.as_ref().expect("a secret");
    let long: Secret<64> = kdf::derive(secret, &parts);
    let short: Secret<32> = kdf::derive(secret, &parts);
    let (data, form) = (case.token.data(), case.form.identity());
    let value = value.as_bytes();
    match header.kind() {
        TokenKind::Pairwise => {
            v.same("token-key", long.expose());
            let message = pae(&[form.as_bytes(), value]);
            v.same("pae", &message);
            let (hmac, proof) = long.expose().split_at(32);
            let body: [u8; 16] = kdf::hmac_sha256(hmac, &[&message])[..16].try_into().expect("16 bytes");
            v.same("body", &body);
            v.same("proof", &prove(proof, &body));
        }
        TokenKind::Vaulted => {
            v.same("token-key", short.expose());
            v.same("body", &data[..16]);
            v.same("proof", &prove(short.expose(), data[..16].try_into().expect("16 bytes")));
            let scope = format!("{}{form}", v.one("header"));
            v.same_text("scope", &scope);
            v.same("record-id", &pae(&[scope.as_bytes(), hex(&data[..16]).as_bytes()]));
            let index = format!("{}.{}", case.audience.recipient(), header.epoch());
            let parts = [kdf::INDEX, case.registry.as_bytes(), b"amanat-vault", index.as_bytes(), purpose];
            let parts = [&parts[..], &[form.as_bytes()]].concat();
            v.same("vault-info", &pae(&parts));
            let index_secret = Secret::copy_from(&v.bytes("index-secret")).expect("32 bytes");
            let hash = kdf::hmac_sha256(kdf::derive::<32>(&index_secret, &parts).expose(), &[&pae(&[value])]);
            let tag = super::key_id(&index_secret, Purpose::Index).tag();
            v.same("vault-term", &[&[tag], &hash[..16]].concat());
        }
        TokenKind::Reversible => {
            v.same("token-key", long.expose());
            let mut ad = AssociatedData::default();
            v.same("ad", ad.set(data.first_chunk().expect("a header"), &[]));
            v.same("padded", &padded(value));
        }
        TokenKind::Expiring => {
            v.same("token-key", long.expose());
            let front = &data[..16];
            v.same_text("expiry", front[..5].iter().fold(0, |time, byte| (time << 8) | u64::from(*byte)));
            v.same("nonce", &front[5..]);
            let mut text = padded(value);
            v.same("padded", &text);
            let iv = siv::seal(&long, &[header.as_bytes(), front], &mut text).expect("sealed");
            assert!([front, &iv, &text].concat() == data, "{}: sealing", v.name);
        }
        TokenKind::Preserving => {
            v.same("token-key", short.expose());
            walk(v, case, &short, value);
        }
    }
}

fn prove(key: &[u8], body: &[u8; 16]) -> Vec<u8> {
    prf::ProofKey::new(key.try_into().expect("32 bytes")).prove(body)[..4].to_vec()
}

fn padded(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let value = std::str::from_utf8(value).map_or(ValueRef::Bytes(value), ValueRef::Text);
    value.append_padded(Bucket::default(), &mut out);
    out
}

/// Every step of the walk to a preserving token, with FF1 over numerals.
fn walk(v: &Vector, case: &Case, key: &Secret<32>, value: &[u8]) {
    let NormalForm::Identifier(identifier) = &case.form else { panic!("an identifier's form") };
    let size = identifier.domain().expect("a domain").size;
    let digits = (size - 1).to_string().len();
    v.same_text("size", size);
    v.same_text("digits", digits);
    let form = case.form.identity();
    let (recipient, purpose) = (case.audience.recipient(), case.audience.purpose());
    let parts = [kdf::FF1_TWEAK, recipient.as_bytes(), purpose.as_bytes(), form.as_bytes()];
    v.same("tweak-info", &pae(&parts));
    let tweak: Secret<8> = kdf::derive(key, &parts);
    v.same("tweak", tweak.expose());
    let ff1 = Ff1::new(key);
    let mut rank = identifier.rank(value).expect("a rank");
    v.same_text("rank", rank);
    let steps = v.all("step");
    for (number, step) in steps.iter().enumerate() {
        let text = format!("{rank:0digits$}");
        let mut numerals: Vec<u16> = text.bytes().map(|digit| u16::from(digit - b'0')).collect();
        ff1.encrypt(10, tweak.expose(), &mut numerals).expect("encrypted");
        rank = numerals.iter().fold(0, |rank, digit| rank * 10 + u64::from(*digit));
        assert_eq!(*step, rank.to_string(), "{}", v.name);
        let mut made = Vec::new();
        let valid = rank < size && identifier.unrank(rank, &mut made);
        assert_eq!(valid, number + 1 == steps.len(), "{}: step {number}", v.name);
        assert!(!valid || made == case.token.data(), "{}", v.name);
    }
}

pub(super) fn text(v: &Vector) -> Result<()> {
    let token = Token::parse(v.one("text"))?;
    let header = token.header();
    v.same_text("kind-of-token", header.kind());
    v.same_text("epoch", header.epoch());
    v.same_text("recipient", header.audience().recipient());
    v.same_text("token-purpose", header.audience().purpose());
    assert_eq!(v.one("header").as_bytes(), header.as_bytes(), "{}", v.name);
    v.same("data", token.data());
    v.same_text("text", token.to_text());
    Ok(())
}
