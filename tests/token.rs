// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tokens of every kind through the public API: round trips, rewritten headers, epochs, and what two recipients can learn together.
//! All values are made up.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod common;

use amanat::identifier::{CheckDigit, Identifier, Pattern};
use amanat::keys::Purpose;
use amanat::normal::{Normal, NormalForm};
use amanat::token::{Audience, Epoch, PreservingTokens, Token, TokenKind};
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

/// A keyring with a token key.
fn keyring() -> Keyring {
    let mut keyring = ring();
    keyring.add_key(Purpose::Token, 365, time(0)).unwrap();
    keyring
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
    let keyring = keyring();
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
    let keyring = keyring();
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
    let keyring = keyring();
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
