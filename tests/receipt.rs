// SPDX-License-Identifier: MIT OR Apache-2.0
//! Receipts: what was given comes back, and no byte of it can be changed.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use amanat::Kind;
use amanat::keys::Purpose;
use amanat::token::{Epoch, Receipt, ReceiptFacts, ReceiptToken, TokenKind};

mod common;
use common::*;

fn facts(ring: &amanat::Keyring) -> ReceiptFacts {
    let keys = ring.token_keys().unwrap();
    let token = ReceiptToken {
        name: name("voter-roll"),
        kind: TokenKind::Expiring,
        purpose: name("roll"),
        epoch: Epoch::new(1).unwrap(),
        key: keys.primary(),
        field: name("cnic"),
        expires: Some(time(3_600)),
    };
    ReceiptFacts {
        recipient: name("election-commission"),
        table: name("citizens"),
        created: time(5),
        schema_sha256: [7; 32],
        tokens: vec![token.clone(), ReceiptToken { kind: TokenKind::Pairwise, expires: None, ..token }],
        revealed: vec![name("district")],
        masked: Vec::new(),
        rows: 1_000_000,
        refused: 3,
        file_bytes: 123_456_789,
        file_sha256: [9; 32],
    }
}

#[test]
fn a_receipt_comes_back_and_is_found_genuine() {
    let ring = ring();
    let keys = ring.token_keys().unwrap();
    let receipt = Receipt::new(&keys, facts(&ring)).unwrap();
    let read = Receipt::parse(receipt.to_json().as_bytes()).unwrap();
    assert_eq!(read, receipt);
    assert_eq!((read.facts(), read.registry().as_str()), (&facts(&ring), "demo-registry"));
    read.verify(&keys).unwrap();
}

#[test]
fn one_changed_byte_makes_it_another_registrys_or_no_receipt_at_all() {
    let ring = ring();
    let keys = ring.token_keys().unwrap();
    let text = Receipt::new(&keys, facts(&ring)).unwrap().to_json().as_bytes().to_vec();
    let (mut read, mut unread) = (0, 0);
    for place in 0..text.len() {
        for other in [text[place] ^ 1, b'0', b' '] {
            let mut changed = text.clone();
            changed[place] = other;
            if changed == text {
                continue;
            }
            match Receipt::parse(&changed) {
                Ok(receipt) => {
                    let error = receipt.verify(&keys).unwrap_err();
                    assert!(matches!(error.kind(), Kind::Unauthentic | Kind::UnknownKey), "{place}: {error}");
                    read += 1;
                }
                Err(error) => {
                    assert!(
                        matches!(error.kind(), Kind::Malformed | Kind::Unsupported | Kind::Limit),
                        "{error}"
                    );
                    unread += 1;
                }
            }
        }
    }
    assert!(read > 500 && unread > 500, "{read} {unread}");
    for length in 0..text.len() {
        assert!(Receipt::parse(&text[..length]).is_err());
    }
}

#[test]
fn only_the_registry_that_made_it_knows_it() {
    let ring = ring();
    let receipt = Receipt::new(&ring.token_keys().unwrap(), facts(&ring)).unwrap();
    let other = new_ring("demo-registry");
    assert_eq!(receipt.verify(&other.token_keys().unwrap()).unwrap_err().kind(), Kind::UnknownKey);
}

#[test]
fn a_key_makes_receipts_while_it_is_active_and_vouches_for_them_until_it_is_compromised() {
    let mut ring = ring();
    let old = ring.token_keys().unwrap().primary();
    let receipt = Receipt::new(&ring.token_keys().unwrap(), facts(&ring)).unwrap();
    let given = facts(&ring);
    let new = ring.add_key(Purpose::Token, 365, time(1)).unwrap();
    ring.activate(new, time(2)).unwrap();
    ring.deactivate(old, time(3)).unwrap();
    receipt.verify(&ring.token_keys().unwrap()).unwrap();
    let refused = Receipt::new(&ring.token_keys().unwrap(), given.clone()).unwrap_err();
    assert_eq!(refused.kind(), Kind::KeyUnusable);
    ring.compromise(old, time(4)).unwrap();
    assert_eq!(receipt.verify(&ring.token_keys().unwrap()).unwrap_err().kind(), Kind::KeyUnusable);
}

#[test]
fn what_could_not_be_read_again_is_not_written() {
    let ring = ring();
    let keys = ring.token_keys().unwrap();
    let with = |change: &dyn Fn(&mut ReceiptFacts)| {
        let mut facts = facts(&ring);
        change(&mut facts);
        Receipt::new(&keys, facts).unwrap_err().kind()
    };
    assert_eq!(with(&|facts| facts.tokens.clear()), Kind::Schema);
    assert_eq!(with(&|facts| facts.rows = 1 << 53), Kind::Limit);
    assert_eq!(with(&|facts| facts.recipient = name("Upper")), Kind::Schema);
    assert_eq!(with(&|facts| facts.tokens[0].epoch = Epoch::new(2).unwrap()), Kind::UnknownKey);
    assert_eq!(with(&|facts| facts.masked = vec![name(&"m".repeat(128)); 9_000]), Kind::Limit);
}
