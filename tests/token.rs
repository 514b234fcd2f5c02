// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tokens of every kind through the public API: round trips, rewritten headers, epochs, and what two recipients can learn together.
//! All values are made up.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]
#![allow(clippy::cast_precision_loss, reason = "counts of a million are exact in f64")]

mod common;

use std::collections::{BTreeMap, HashSet};
use std::fs;

use amanat::identifier::{CheckDigit, Identifier, Pattern};
use amanat::index::IndexTerm;
use amanat::keys::{KeyFile, Purpose};
use amanat::normal::{Normal, NormalForm};
use amanat::schema::{Encoding, TableSchema};
use amanat::token::{
    Audience, Epoch, ExpiringTokens, PairwiseTokens, PreservingTokens, RecipientPublicKey,
    RecipientSecretKey, ReversibleTokens, SealedToken, Suspect, Token, TokenKind, TokenMaker, TokenOpener,
    TokenPlan, Tracer, Translator, Vault, VaultEntry, VaultedTokens,
};
use amanat::{Error, Keyring, KeyringFile, Kind, SecretBytes, Timestamp, Value, ValueRef};
use common::{name, refused, ring, time};

fn audience() -> Audience {
    Audience::new("election-commission", "voter-roll").unwrap()
}

fn bank() -> Audience {
    Audience::new("bank", "loans").unwrap()
}

fn epoch(number: u64) -> Epoch {
    Epoch::new(number).unwrap()
}

fn normal(form: &NormalForm, text: &str) -> Normal {
    form.normalise(ValueRef::Text(text)).unwrap()
}

fn cnic_form() -> NormalForm {
    NormalForm::Identifier(Identifier::Cnic)
}

fn cnic(number: u64) -> Normal {
    normal(&cnic_form(), &format!("{number:013}"))
}

fn text(value: &Value) -> &str {
    let Value::Text(text) = value else { panic!("not text") };
    text
}

fn preserving(keyring: &Keyring, identifier: &Identifier, audience: &Audience) -> PreservingTokens {
    PreservingTokens::new(&keyring.token_keys().unwrap(), identifier, audience, epoch(1), &[]).unwrap()
}

fn pattern(text: &str, check: CheckDigit) -> Identifier {
    Pattern::new(&name("card"), text, check).unwrap().into()
}

/// Valid values of an identifier, found by putting numbers into its positions.
fn values(identifier: &Identifier, count: usize) -> Vec<Normal> {
    let form = NormalForm::Identifier(identifier.clone());
    let write = |number: u64| match identifier {
        Identifier::Cnic => format!("{number:013}"),
        Identifier::Aadhaar => format!("{:012}", 200_000_000_000 + number % 700_000_000_000),
        Identifier::PakistanPassport => format!("AB{:07}", number % 10_000_000),
        Identifier::FamilyNumber => format!("{:06}", number % 1_000_000),
        Identifier::EstoniaIsikukood => {
            format!(
                "3{:02}{:02}{:02}{:04}",
                number % 90,
                number / 7 % 12 + 1,
                number / 3 % 28 + 1,
                number % 9973
            )
        }
        Identifier::AustriaVsnr => {
            format!(
                "{:04}{:02}{:02}{:02}",
                1000 + number % 8999,
                number % 28 + 1,
                number % 12 + 1,
                number % 97
            )
        }
        _ => format!("{:07}", number % 10_000_000),
    };
    let mut found = Vec::new();
    for number in (0..).map(|step: u64| step * 7_919_333 + 17) {
        if let Ok(value) = form.normalise(ValueRef::Text(&write(number))) {
            found.push(value);
        }
        if found.len() == count {
            return found;
        }
    }
    found
}

#[test]
fn a_preserving_token_is_another_identifier_of_its_kind_and_comes_back() {
    let keyring = ring();
    let identifiers = [
        Identifier::Cnic,
        Identifier::Aadhaar,
        Identifier::PakistanPassport,
        Identifier::FamilyNumber,
        // Less than a third of the numbers that FF1 gives are identifiers.
        Identifier::EstoniaIsikukood,
        Identifier::AustriaVsnr,
        // One in ten.
        pattern("[01][0-9]{6}", CheckDigit::None),
    ];
    for identifier in identifiers {
        let tokens = preserving(&keyring, &identifier, &audience());
        let values = values(&identifier, 150);
        let mut batch = Vec::new();
        tokens.append_batch(&values, &mut batch).unwrap();
        let mut unchanged = 0;
        for (value, together) in values.iter().zip(batch.chunks(values[0].bytes().expose().len())) {
            let token = tokens.make(value).unwrap();
            assert_eq!(token.as_bytes(), together, "{identifier:?}");
            // Its own normal form, check digit included.
            assert_eq!(normal(value.form(), &token).bytes().expose(), token.as_bytes());
            unchanged += usize::from(token.as_bytes() == value.bytes().expose());
            assert_eq!(text(&tokens.open(&token).unwrap()).as_bytes(), value.bytes().expose());
            let labelled = Token::parse(&tokens.labelled(value).unwrap().to_text()).unwrap();
            assert_eq!(labelled.header().kind(), TokenKind::Preserving);
            assert_eq!(text(&tokens.open_token(&labelled).unwrap()).as_bytes(), value.bytes().expose());
        }
        assert!(unchanged <= 1, "{identifier:?}: {unchanged}");
        // Another recipient: the same value is another token, and the token opens to something else.
        let others = preserving(&keyring, &identifier, &bank());
        let differ = values.iter().filter(|value| {
            let token = tokens.make(value).unwrap();
            *others.make(value).unwrap() != *token
                && text(&others.open(&token).unwrap()).as_bytes() != value.bytes().expose()
        });
        assert!(differ.count() >= 149, "{identifier:?}");
    }
}

#[test]
fn preserving_tokens_read_any_way_of_writing_and_refuse_other_text() {
    let keyring = ring();
    let tokens = preserving(&keyring, &Identifier::Cnic, &audience());
    let token = tokens.make(&cnic(3_520_212_345_671)).unwrap();
    let written = Identifier::Cnic.display(&token).unwrap();
    assert_eq!(text(&tokens.open(&written).unwrap()), "3520212345671");
    refused(tokens.open("35202"), Kind::Malformed, "cnic");
    // Of another identifier, though it has as many digits; and an empty buffer.
    let digits = normal(&NormalForm::Digits, "3520212345671");
    refused(tokens.make(&digits), Kind::Misuse, "normal form");
    refused(tokens.make(&Normal::empty(cnic_form())), Kind::Misuse, "normal form");
    let mut out = b"before".to_vec();
    refused(tokens.append_batch([&cnic(1), &digits], &mut out), Kind::Misuse, "normal form");
    assert_eq!(out, b"before");
    tokens.append_batch([], &mut out).unwrap();
    assert_eq!(out, b"before");
}

#[test]
fn small_and_shapeless_domains_have_no_preserving_tokens() {
    let keyring = ring();
    let make = |identifier: &Identifier| {
        PreservingTokens::new(&keyring.token_keys().unwrap(), identifier, &audience(), epoch(1), &[])
    };
    refused(make(&pattern("[0-9]{5}[0-8]", CheckDigit::None)), Kind::Limit, "`card` has no");
    for (shape, smallest) in [("[0-9]{6}", "000000"), ("[0-9]{19}", "0000000000000000000")] {
        let identifier = pattern(shape, CheckDigit::None);
        let value = normal(&NormalForm::Identifier(identifier.clone()), smallest);
        let tokens = make(&identifier).unwrap();
        assert_eq!(text(&tokens.open(&tokens.make(&value).unwrap()).unwrap()), smallest);
    }
    // A check digit makes no more of them.
    refused(make(&pattern("[0-9]{5}[0-9]", CheckDigit::Luhn)), Kind::Limit, "`card` has no");
    refused(make(&pattern("[01][0-9]{19}", CheckDigit::None)), Kind::Limit, "card");
    for identifier in [Identifier::BangladeshNid, Identifier::Phone, Identifier::IcaoMrz] {
        refused(make(&identifier), Kind::Limit, identifier.name());
    }
}

fn pairwise(keyring: &Keyring, audience: &Audience, at: u64) -> PairwiseTokens {
    PairwiseTokens::new(&keyring.token_keys().unwrap(), audience, epoch(at), &[]).unwrap()
}

fn reversible(keyring: &mut Keyring, audience: &Audience, at: u64) -> ReversibleTokens {
    let key = keyring.token_keys().unwrap().key_of_epoch(epoch(at)).unwrap();
    let allowance = keyring.reserve_under(key, 1 << 20).unwrap();
    ReversibleTokens::new(&keyring.token_keys().unwrap(), audience, epoch(at), &allowance).unwrap()
}

fn expiring(keyring: &mut Keyring, audience: &Audience, at: u64) -> ExpiringTokens {
    let key = keyring.token_keys().unwrap().key_of_epoch(epoch(at)).unwrap();
    let allowance = keyring.reserve_under(key, 1 << 20).unwrap();
    ExpiringTokens::new(&keyring.token_keys().unwrap(), audience, epoch(at), &allowance).unwrap()
}

/// Adds a token key and makes it primary.
fn next_epoch(keyring: &mut Keyring) {
    let id = keyring.add_key(Purpose::Token, 365, time(0)).unwrap();
    keyring.activate(id, time(0)).unwrap();
}

/// Numbers of the leaked tokens that are of a value, with the recipient of each.
fn traced(tracer: &mut Tracer<'_>, value: &Normal) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    tracer.row(value, |leak, group| found.push((leak, group.header().audience().recipient().to_string())));
    found.sort();
    found
}

#[test]
fn a_leak_is_traced_to_its_recipients_epochs_and_rows() {
    let mut keyring = ring();
    next_epoch(&mut keyring);
    let (first, second) = (cnic(3_520_212_345_671), cnic(1));
    let passport = normal(&NormalForm::Identifier(Identifier::PakistanPassport), "AB1234567");
    let mut of_commission = pairwise(&keyring, &audience(), 1);
    let mut of_bank = pairwise(&keyring, &bank(), 2);
    let mut opened = reversible(&mut keyring, &bank(), 2);
    let mut expired = expiring(&mut keyring, &bank(), 1);
    let shaped = preserving(&keyring, &Identifier::Cnic, &bank());
    let mut tokens = vec![
        of_commission.make(&first).unwrap(),
        of_bank.make(&second).unwrap(),
        of_bank.make(&first).unwrap(),
        opened.make(&first).unwrap(),
        expired.make(&first, time(0)).unwrap(),
        expired.make(&passport, time(0)).unwrap(),
        shaped.labelled(&second).unwrap(),
    ];
    // The same once more, as lists have it; of another registry; of an epoch that is not there.
    tokens.push(tokens[2].clone());
    let mut elsewhere = common::new_ring("elsewhere");
    tokens.push(pairwise(&elsewhere, &audience(), 1).make(&first).unwrap());
    next_epoch(&mut elsewhere);
    next_epoch(&mut elsewhere);
    tokens.push(pairwise(&elsewhere, &audience(), 3).make(&first).unwrap());

    let forms = vec![(audience(), cnic_form())];
    let mut tracer = Tracer::new(keyring.token_keys().unwrap(), forms, &[]).unwrap();
    tokens.iter().for_each(|token| tracer.leak(token));
    let (commission, bank_audience, identifier) = (audience(), bank(), Identifier::Cnic);
    let suspects = [
        Suspect { audience: &commission, epoch: epoch(1), identifier: &identifier },
        Suspect { audience: &bank_audience, epoch: epoch(1), identifier: &identifier },
    ];
    let bare = shaped.make(&first).unwrap();
    assert!(tracer.leak_bare(&Identifier::Cnic.display(&bare).unwrap(), &suspects));
    assert!(!tracer.leak_bare("a name", &suspects));

    let facts: Vec<_> = tracer
        .groups()
        .iter()
        .map(|group| {
            let header = group.header();
            let recipient = header.audience().recipient().to_string();
            (header.kind(), recipient, header.epoch().get(), group.tokens(), group.proved())
        })
        .collect();
    let (commission, bank) = ("election-commission".to_owned(), "bank".to_owned());
    assert_eq!(
        facts,
        [
            (TokenKind::Pairwise, commission.clone(), 1, 2, Some(1)),
            (TokenKind::Pairwise, bank.clone(), 2, 3, Some(3)),
            (TokenKind::Reversible, bank.clone(), 2, 1, Some(1)),
            (TokenKind::Expiring, bank.clone(), 1, 2, Some(2)),
            (TokenKind::Preserving, bank.clone(), 1, 2, None),
            (TokenKind::Pairwise, commission.clone(), 3, 1, None),
            (TokenKind::Preserving, commission.clone(), 1, 1, None),
        ]
    );
    let unknown: Vec<_> = tracer.groups().iter().filter_map(|group| group.fault()).collect();
    assert!(matches!(unknown.as_slice(), [error] if error.kind() == Kind::UnknownKey));

    let of = |numbers: &[(usize, &String)]| -> Vec<(usize, String)> {
        numbers.iter().map(|(number, recipient)| (*number, (*recipient).clone())).collect()
    };
    let found = traced(&mut tracer, &first);
    assert_eq!(found, of(&[(0, &commission), (2, &bank), (3, &bank), (4, &bank), (7, &bank), (10, &bank)]));
    assert_eq!(traced(&mut tracer, &second), of(&[(1, &bank), (6, &bank)]));
    assert_eq!(traced(&mut tracer, &passport), of(&[(5, &bank)]));
    assert_eq!(traced(&mut tracer, &cnic(2)), []);
    // The same digits in a form that no token is of: what was opened is compared by its normal form alone.
    let digits = normal(&NormalForm::Digits, "3520212345671");
    assert_eq!(traced(&mut tracer, &digits), of(&[(3, &bank), (4, &bank)]));
    assert_eq!(traced(&mut tracer, &Normal::empty(cnic_form())), []);
}

#[test]
fn a_leak_of_a_compromised_epoch_is_traced_by_breaking_the_glass() {
    let mut keyring = ring();
    let value = cnic(7);
    let old = keyring.token_keys().unwrap().primary();
    let tokens = [
        pairwise(&keyring, &bank(), 1).make(&value).unwrap(),
        reversible(&mut keyring, &bank(), 1).make(&value).unwrap(),
        expiring(&mut keyring, &bank(), 1).make(&value, time(0)).unwrap(),
        preserving(&keyring, &Identifier::Cnic, &bank()).labelled(&value).unwrap(),
    ];
    next_epoch(&mut keyring);
    keyring.compromise(old, time(1)).unwrap();
    for (glass, count) in [(vec![], 0), (vec![old], 4)] {
        let mut tracer = Tracer::new(keyring.token_keys().unwrap(), Vec::new(), &glass).unwrap();
        tokens.iter().for_each(|token| tracer.leak(token));
        let unusable = tracer.groups().iter().filter_map(|group| group.fault());
        assert_eq!(unusable.filter(|error| error.kind() == Kind::KeyUnusable).count(), 4 - count);
        assert_eq!(traced(&mut tracer, &value).len(), count);
    }
}

/// A vault in memory, for one thread.
#[derive(Default)]
struct MemoryVault {
    entries: BTreeMap<[u8; 16], VaultEntry>,
    before: Option<BTreeMap<[u8; 16], VaultEntry>>,
}

impl Vault for MemoryVault {
    fn begin(&mut self) -> Result<(), Error> {
        self.before = Some(self.entries.clone());
        Ok(())
    }

    fn commit(&mut self) -> Result<(), Error> {
        self.before = None;
        Ok(())
    }

    fn roll_back(&mut self) {
        self.entries = self.before.take().unwrap_or_default();
    }

    fn by_terms(&mut self, terms: &[IndexTerm]) -> Result<Vec<VaultEntry>, Error> {
        Ok(self.entries.values().filter(|entry| terms.contains(&entry.term)).cloned().collect())
    }

    fn by_body(&mut self, body: &[u8; 16]) -> Result<Option<VaultEntry>, Error> {
        Ok(self.entries.get(body).cloned())
    }

    fn tags(&mut self) -> Result<Vec<u8>, Error> {
        let tags: HashSet<u8> = self.entries.values().map(|entry| entry.term.tag()).collect();
        Ok(tags.into_iter().collect())
    }

    fn insert(&mut self, entry: &VaultEntry) -> Result<(), Error> {
        assert!(self.before.is_some(), "only in a section");
        assert!(self.entries.insert(entry.body, entry.clone()).is_none());
        Ok(())
    }

    fn replace(&mut self, old: &VaultEntry, new: &VaultEntry) -> Result<bool, Error> {
        let found = self.entries.get_mut(&old.body).filter(|entry| *entry == old);
        Ok(found.map(|entry| *entry = new.clone()).is_some())
    }

    fn remove(&mut self, body: &[u8; 16]) -> Result<bool, Error> {
        Ok(self.entries.remove(body).is_some())
    }

    fn page(
        &mut self,
        scope: &str,
        after: Option<&[u8; 16]>,
        count: usize,
    ) -> Result<Vec<VaultEntry>, Error> {
        let later = self.entries.values().filter(|entry| after.is_none_or(|after| entry.body > *after));
        Ok(later.filter(|entry| entry.scope == scope).take(count).cloned().collect())
    }

    fn scopes(&mut self) -> Result<Vec<String>, Error> {
        let scopes: HashSet<String> = self.entries.values().map(|entry| entry.scope.clone()).collect();
        Ok(scopes.into_iter().collect())
    }
}

/// Makes a token of any kind.
fn make(
    keyring: &mut Keyring,
    kind: TokenKind,
    at: u64,
    value: &Normal,
    vault: &mut MemoryVault,
) -> Result<Token, Error> {
    let plan = TokenPlan {
        kind,
        audience: &audience(),
        epoch: epoch(at),
        form: value.form(),
        expires: Some(time(1_000)),
    };
    let key = TokenMaker::key_for_messages(keyring, kind, epoch(at))?;
    let messages = key.map(|key| keyring.reserve_under(key, 100)).transpose()?;
    TokenMaker::new(keyring, &plan, messages.as_ref())?.make(value, Some(vault))
}

/// Opens a token of any kind that can be.
fn open(keyring: &Keyring, token: &Token, vault: &mut MemoryVault) -> Result<Option<Normal>, Error> {
    TokenOpener::new(keyring, token.header(), &cnic_form(), &[])?.open(token, time(0), Some(vault))
}

const LETTERS: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";

/// The text with the check symbols that fit it (BIP 350), whatever stood there: what a forger writes.
fn with_checks(header: &str, symbols: &str) -> String {
    let value = |letter: u8| LETTERS.iter().position(|other| *other == letter).unwrap();
    let data: Vec<usize> = symbols.bytes().map(value).collect();
    let expanded = header.bytes().map(|byte| usize::from(byte >> 5)).chain([0]);
    let expanded = expanded.chain(header.bytes().map(|byte| usize::from(byte & 31)));
    let step = |state: usize, value: usize| {
        let generator = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
        let folded = (0..5).filter(|bit| state >> 25 >> bit & 1 == 1).map(|bit| generator[bit]);
        folded.fold((state & 0x01ff_ffff) << 5 ^ value, |state, term| state ^ term)
    };
    let state = expanded.chain(data).chain([0; 6]).fold(1, step) ^ 0x2bc8_30a3;
    let checks: String = (0..6).map(|place| char::from(LETTERS[state >> (25 - 5 * place) & 31])).collect();
    format!("{header}1{symbols}{checks}")
}

/// A token with another kind, epoch, recipient or purpose, its check symbols right.
fn rewritten(token: &Token, place: usize, new: &str) -> Token {
    let text = token.to_text();
    let (header, rest) = text.rsplit_once(':').unwrap();
    let mut parts: Vec<&str> = header.split(':').collect();
    parts[place] = new;
    let symbols = &rest[1..rest.len() - 6];
    assert_eq!(with_checks(&format!("{header}:"), symbols), text);
    Token::parse(&with_checks(&format!("{}:", parts.join(":")), symbols)).unwrap()
}

#[test]
fn a_token_whose_header_was_rewritten_proves_nothing_and_opens_to_nothing() {
    let mut keyring = ring();
    next_epoch(&mut keyring);
    let mut vault = MemoryVault::default();
    let value = cnic(3_520_212_345_671);
    for kind in TokenKind::ALL {
        let token = make(&mut keyring, kind, 1, &value, &mut vault).unwrap();
        for (place, new) in [(2, "2"), (3, "bank"), (4, "loans")] {
            let forged = rewritten(&token, place, new);
            match kind {
                TokenKind::Pairwise => {
                    let header = forged.header();
                    let mut tokens = pairwise(&keyring, header.audience(), header.epoch().get().into());
                    assert!(!tokens.proves(&forged) && !tokens.is_of(&forged, &value));
                }
                // Without integrity: it opens, to somebody else.
                TokenKind::Preserving => {
                    assert!(!open(&keyring, &forged, &mut vault).unwrap().unwrap().matches(&value));
                }
                _ => refused(open(&keyring, &forged, &mut vault), Kind::Unauthentic, ""),
            }
            // The maker of the true header does not take it at all.
            let mut tracer = Tracer::new(keyring.token_keys().unwrap(), Vec::new(), &[]).unwrap();
            tracer.leak(&forged);
            assert!(traced(&mut tracer, &value).is_empty());
            assert!(tracer.groups()[0].proved().unwrap_or_default() == 0);
        }
    }
    // One kind for another, where the data have the same length or any.
    let change = |token: &Token, letter: &str| rewritten(token, 1, letter);
    let made: Vec<Token> =
        TokenKind::ALL.map(|kind| make(&mut keyring, kind, 1, &value, &mut vault).unwrap()).into();
    let [x, p, _, r, v] = made.as_slice() else { panic!() };
    assert!(!pairwise(&keyring, &audience(), 1).proves(&change(v, "p")));
    refused(open(&keyring, &change(p, "v"), &mut vault), Kind::Unauthentic, "");
    refused(open(&keyring, &change(r, "x"), &mut vault), Kind::Unauthentic, "");
    assert!(open(&keyring, &change(x, "r"), &mut vault).is_err());
    refused(open(&keyring, &change(p, "f"), &mut vault), Kind::Malformed, "normal form");
    refused(open(&keyring, p, &mut vault), Kind::Unsupported, "irreversible");
}

#[test]
fn a_recipient_stays_at_its_epoch_whatever_becomes_of_other_keys() {
    let mut keyring = ring();
    let mut vault = MemoryVault::default();
    let value = cnic(42);
    let lasting = [TokenKind::Pairwise, TokenKind::Preserving, TokenKind::Reversible, TokenKind::Vaulted];
    let first = keyring.token_keys().unwrap().primary();
    let before = lasting.map(|kind| make(&mut keyring, kind, 1, &value, &mut vault).unwrap());
    let expiring = make(&mut keyring, TokenKind::Expiring, 1, &value, &mut vault).unwrap();
    assert_eq!(keyring.token_keys().unwrap().primary_epoch().unwrap(), epoch(1));

    next_epoch(&mut keyring);
    assert_eq!(keyring.token_keys().unwrap().primary_epoch().unwrap(), epoch(2));
    let still = lasting.map(|kind| make(&mut keyring, kind, 1, &value, &mut vault).unwrap());
    assert_eq!(before, still);
    let moved = lasting.map(|kind| make(&mut keyring, kind, 2, &value, &mut vault).unwrap());
    assert!(moved.iter().all(|token| !before.contains(token)));

    let resolves = |keyring: &Keyring, token: &Token, vault: &mut MemoryVault| match token.header().kind() {
        TokenKind::Pairwise => {
            let (keys, header) = (keyring.token_keys()?, token.header());
            let mut tokens = PairwiseTokens::new(&keys, header.audience(), header.epoch(), &[])?;
            Ok(tokens.proves(token) && tokens.is_of(token, &value))
        }
        _ => open(keyring, token, vault).map(|found| found.is_some_and(|found| found.matches(&value))),
    };
    let old: Vec<Token> = before.into_iter().chain([expiring]).collect();
    keyring.deactivate(first, time(1)).unwrap();
    for token in &old {
        assert!(resolves(&keyring, token, &mut vault).unwrap(), "{token:?}");
        let kind = token.header().kind();
        refused(make(&mut keyring, kind, 1, &value, &mut vault), Kind::KeyUnusable, "");
    }
    keyring.destroy(first, time(2)).unwrap();
    for token in &old {
        refused(resolves(&keyring, token, &mut vault), Kind::KeyUnusable, "destroyed");
    }
    for token in &moved {
        assert!(resolves(&keyring, token, &mut vault).unwrap());
    }
    refused(make(&mut keyring, TokenKind::Pairwise, 3, &value, &mut vault), Kind::UnknownKey, "epoch 3");
}

#[test]
fn an_expiring_token_opens_until_its_last_second() {
    let mut keyring = ring();
    let mut tokens = expiring(&mut keyring, &audience(), 1);
    let value = cnic(1);
    let token = tokens.make(&value, time(100)).unwrap();
    assert_ne!(tokens.make(&value, time(100)).unwrap(), token);
    assert_eq!(ExpiringTokens::claimed_expiry(&token).unwrap(), time(100));
    assert_eq!(text(&tokens.open(&token, time(99)).unwrap()), "0000000000001");
    refused(tokens.open(&token, time(100)), Kind::Expired, "expired");
    refused(tokens.open(&token, time(101)), Kind::Expired, "expired");
    let ends = Timestamp::from_unix_seconds(253_402_300_799).unwrap();
    let last = tokens.make(&value, ends).unwrap();
    refused(tokens.open(&last, ends), Kind::Expired, "");
    tokens.open(&last, Timestamp::from_unix_seconds(253_402_300_798).unwrap()).unwrap();
    // A later expiry written over it: not authentic, and not said to be expired either. The first symbols are of the expiry.
    let text = token.to_text();
    let (header, rest) = text.rsplit_once(':').unwrap();
    let symbols = rest[1..rest.len() - 6].to_owned();
    let forged = with_checks(&format!("{header}:"), &format!("p{}", &symbols[1..]));
    let forged = Token::parse(&forged).unwrap();
    assert!(
        ExpiringTokens::claimed_expiry(&forged).is_err()
            || ExpiringTokens::claimed_expiry(&forged).unwrap() > time(100)
    );
    for now in [time(0), ends] {
        refused(tokens.open(&forged, now), Kind::Unauthentic, "");
    }
}

#[test]
fn a_token_of_one_audience_becomes_one_of_another_for_its_recipient_alone() {
    let mut keyring = ring();
    let mut vault = MemoryVault::default();
    let value = cnic(3_520_212_345_671);
    let secret = RecipientSecretKey::generate().unwrap();
    for from in [TokenKind::Expiring, TokenKind::Preserving, TokenKind::Reversible, TokenKind::Vaulted] {
        let token = make(&mut keyring, from, 1, &value, &mut vault).unwrap();
        for kind in TokenKind::ALL {
            let key = TokenMaker::key_for_messages(&keyring, kind, epoch(1)).unwrap();
            let messages = key.map(|key| keyring.reserve_under(key, 10).unwrap());
            let form = cnic_form();
            let (audience, expires) = (&bank(), Some(time(50)));
            let plan = TokenPlan { kind, audience, epoch: epoch(1), form: &form, expires };
            let opener = TokenOpener::new(&keyring, token.header(), &form, &[]).unwrap();
            let maker = TokenMaker::new(&keyring, &plan, messages.as_ref()).unwrap();
            let mut translator = Translator::new(opener, maker);
            let made = translator.translate(&token, time(0), Some(&mut vault)).unwrap().unwrap();
            assert_eq!((made.header().kind(), made.header().audience()), (kind, &bank()));
            if kind == TokenKind::Pairwise {
                assert!(pairwise(&keyring, &bank(), 1).is_of(&made, &value));
            } else {
                assert!(open(&keyring, &made, &mut vault).unwrap().unwrap().matches(&value));
            }
            let sealed = SealedToken::seal(&made, &secret.public(), keyring.registry()).unwrap();
            assert_eq!(sealed.open(&secret, keyring.registry(), &bank()).unwrap(), made);
            if kind == TokenKind::Vaulted || from == TokenKind::Vaulted {
                let missing = translator.translate(&token, time(0), None);
                refused(missing, Kind::Misuse, "vault");
            }
        }
        if from == TokenKind::Vaulted {
            vault.entries.clear();
            assert!(open(&keyring, &token, &mut vault).unwrap().is_none());
        }
    }
}

#[test]
fn a_sealed_token_opens_for_its_key_registry_and_audience_only() {
    let keyring = ring();
    let registry = keyring.registry();
    let token = pairwise(&keyring, &bank(), 1).make(&cnic(1)).unwrap();
    let secret = RecipientSecretKey::generate().unwrap();
    let public: RecipientPublicKey = secret.public().to_string().parse().unwrap();
    assert_eq!(public, secret.public());
    let again = RecipientSecretKey::parse(&secret.to_text()).unwrap();
    let sealed = SealedToken::seal(&token, &public, registry).unwrap();
    assert_ne!(SealedToken::seal(&token, &public, registry).unwrap(), sealed);
    let read = SealedToken::parse(&sealed.to_text()).unwrap();
    assert_eq!(read.open(&again, registry, &bank()).unwrap(), token);

    let other = RecipientSecretKey::generate().unwrap();
    refused(read.open(&other, registry, &bank()), Kind::Unauthentic, "does not open");
    refused(read.open(&secret, &name("elsewhere"), &bank()), Kind::Unauthentic, "does not open");
    refused(read.open(&secret, registry, &audience()), Kind::Unauthentic, "does not open");
    let purpose = Audience::new("bank", "cards").unwrap();
    refused(read.open(&secret, registry, &purpose), Kind::Unauthentic, "does not open");
    let bytes = sealed.as_bytes();
    for place in 1..bytes.len() {
        let mut changed = bytes.to_vec();
        changed[place] ^= 1;
        let changed = SealedToken::from_bytes(&changed).unwrap();
        refused(changed.open(&secret, registry, &bank()), Kind::Unauthentic, "does not open");
    }
    for length in 1..bytes.len() {
        let cut = SealedToken::from_bytes(&bytes[..length]);
        assert_eq!(cut.is_ok(), length > 49);
        assert!(cut.is_err() || cut.unwrap().open(&secret, registry, &bank()).is_err());
    }
    refused(SealedToken::from_bytes(&[]), Kind::Malformed, "empty");
    refused(SealedToken::from_bytes(&[2; 80]), Kind::Unsupported, "version");
    refused(SealedToken::from_bytes(&[1; 1_073]), Kind::Limit, "1023");
    refused(SealedToken::parse("amx2.AQ"), Kind::Unsupported, "version");
    refused(SealedToken::parse("AQ"), Kind::Malformed, "amx1.");
    refused(SealedToken::parse("amx1.AQ="), Kind::Malformed, "");
    refused("amk1.AAAA".parse::<RecipientPublicKey>(), Kind::Malformed, "43");
    let weak: RecipientPublicKey = format!("amk1.{}", "A".repeat(43)).parse().unwrap();
    refused(SealedToken::seal(&token, &weak, registry), Kind::Malformed, "anybody");
    let cut = SecretBytes::new(secret.to_text().expose()[..66].to_vec());
    refused(RecipientSecretKey::parse(&cut), Kind::Malformed, "one line");
}

#[test]
fn a_vault_that_fails_midway_is_as_it_was() {
    let mut keyring = ring();
    let mut vault = MemoryVault::default();
    let messages = keyring.reserve(Purpose::Field, 1).unwrap();
    let mut tokens = VaultedTokens::new(&keyring, &bank(), epoch(1), &cnic_form(), &messages, &[]).unwrap();
    refused(tokens.make_batch(&mut vault, &[cnic(1), cnic(2)]), Kind::Limit, "messages");
    assert!(vault.entries.is_empty());
}

#[test]
fn no_table_of_a_schema_has_the_name_that_the_vaults_keys_are_made_from() {
    let table = |text: &str| TableSchema::new(name(text), vec!["id".to_owned()], Encoding::Text, Vec::new());
    refused(table("amanat-vault"), Kind::Schema, "vault of tokens");
    table("amanat-vaults").unwrap();
}

/// The keyring of a test vector: its keys never change, so neither does what the tests below compute.
fn fixed_keyring() -> Keyring {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/keyring_key_file.txt");
    let vector = fs::read_to_string(path).unwrap();
    let (facts, file) = vector.split_once("\nfile:\n").unwrap();
    let key_file = facts.lines().find_map(|line| line.strip_prefix("key-file: ")).unwrap();
    let kek = KeyFile::parse(&SecretBytes::new(format!("{key_file}\n").into_bytes())).unwrap();
    KeyringFile::parse(file.as_bytes()).unwrap().unlock(&kek, None).unwrap()
}

type Body = [u8; 16];

/// What of two lists, whose rows belong together, an outsider could use to tell that they do. Each test is at five standard deviations.
fn relations(left: &[Body], right: &[Body]) -> Vec<&'static str> {
    let mut found = Vec::new();
    let rows = left.len() as f64;
    let outside = |count: usize, of: f64| (count as f64 - of / 2.0).abs() > 5.0 * of.sqrt() / 2.0;
    // Half a body in common, anywhere: by chance less than once in ten million runs.
    let halves = |body: &Body| body.chunks(8).map(|half| half.to_vec()).collect::<Vec<_>>();
    let known: HashSet<Vec<u8>> = left.iter().flat_map(halves).collect();
    if right.iter().flat_map(halves).any(|half| known.contains(&half)) {
        found.push("equal halves");
    }
    // Each bit of one is that of the other in half of the rows.
    let equal_bits = |bit: usize| {
        let differs = |pair: &(&Body, &Body)| (pair.0[bit / 8] ^ pair.1[bit / 8]) >> (bit % 8) & 1 == 1;
        left.iter().zip(right).filter(differs).count()
    };
    if (0..128).any(|bit| outside(equal_bits(bit), rows)) {
        found.push("bits");
    }
    // Of disjoint pairs of rows half stand in the same order in both.
    let same_order = |(left, right): (&[Body], &[Body])| (left[0] < left[1]) == (right[0] < right[1]);
    let pairs = left.chunks_exact(2).zip(right.chunks_exact(2));
    if outside(pairs.filter(|pair| same_order(*pair)).count(), (rows / 2.0).floor()) {
        found.push("order");
    }
    // First bytes are independent: chi squared over 65,536 cells.
    let mut cells = vec![0_u32; 1 << 16];
    left.iter()
        .zip(right)
        .for_each(|(left, right)| cells[usize::from(left[0]) << 8 | usize::from(right[0])] += 1);
    let expected = rows / 65_536.0;
    let chi: f64 = cells.iter().map(|count| (f64::from(*count) - expected).powi(2) / expected).sum();
    if (chi - 65_535.0).abs() > 5.0 * (2.0 * 65_535.0_f64).sqrt() {
        found.push("first bytes");
    }
    found
}

/// The first 128 bits of the token that was appended.
fn body_of(text: &[u8]) -> Body {
    let start = text.windows(2).rposition(|pair| pair == b":1").unwrap() + 2;
    let (mut body, mut bits, mut held) = (Vec::with_capacity(20), 0, 0_usize);
    for letter in &text[start..start + 26] {
        held = held << 5 | LETTERS.iter().position(|other| other == letter).unwrap();
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            body.extend(u8::try_from(held >> bits & 0xff));
        }
    }
    body[..16].try_into().unwrap()
}

#[test]
fn what_two_recipients_hold_of_the_same_people_shares_nothing_that_can_be_tested() {
    // A million in release; fewer where nothing is optimised.
    let people = if cfg!(debug_assertions) { 50_000 } else { 1_000_000 };
    let mut keyring = fixed_keyring();
    let mut makers = [pairwise(&keyring, &audience(), 1), pairwise(&keyring, &bank(), 1)];
    let other_purpose = Audience::new("bank", "cards").unwrap();
    let mut sealed = [bank(), other_purpose].map(|audience| {
        let key = keyring.token_keys().unwrap().primary();
        let messages = keyring.reserve_under(key, people).unwrap();
        ReversibleTokens::new(&keyring.token_keys().unwrap(), &audience, epoch(1), &messages).unwrap()
    });
    let (mut value, mut out) = (Normal::empty(cnic_form()), Vec::new());
    let (mut pairwise, mut reversible) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    for person in 0..people {
        let number = format!("{:013}", 1_000_000_000_000 + person);
        cnic_form().normalise_into(ValueRef::Text(&number), &mut value).unwrap();
        for (maker, bodies) in makers.iter_mut().zip(&mut pairwise) {
            out.clear();
            maker.append(&value, &mut out).unwrap();
            bodies.push(body_of(&out));
        }
        for (maker, bodies) in sealed.iter_mut().zip(&mut reversible) {
            // The synthetic IV: what stands before it is the same public header for all.
            let envelope = maker.seal(ValueRef::Text(&number)).unwrap();
            bodies.push(envelope[18..34].try_into().unwrap());
        }
    }
    assert!(relations(&pairwise[0], &pairwise[1]).is_empty());
    assert!(relations(&reversible[0], &reversible[1]).is_empty());
    assert!(relations(&pairwise[1], &reversible[0]).is_empty());
    // The tests do find what is there: one list given twice, and once more under a mask.
    let all = ["equal halves", "bits", "order", "first bytes"];
    assert_eq!(relations(&pairwise[0], &pairwise[0]), all);
    let masked: Vec<Body> = pairwise[0].iter().map(|body| body.map(|byte| byte ^ 0x33)).collect();
    assert_eq!(relations(&pairwise[0], &masked), ["bits", "order", "first bytes"]);
}
