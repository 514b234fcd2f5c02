// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tokens of every kind through the public API: round trips, rewritten headers, epochs, and what two recipients can learn together.
//! All values are made up.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod common;

use amanat::identifier::{CheckDigit, Identifier, Pattern};
use amanat::keys::Purpose;
use amanat::normal::{Normal, NormalForm};
use amanat::token::{
    Audience, Epoch, ExpiringTokens, PairwiseTokens, PreservingTokens, ReversibleTokens, Suspect, Token,
    TokenKind, Tracer,
};
use amanat::{Keyring, Kind, Value, ValueRef};
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
