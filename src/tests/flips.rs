// SPDX-License-Identifier: MIT OR Apache-2.0
//! One changed bit anywhere in a good vector is refused, and nothing panics.

use super::ENGINES;
use super::vector::Vector;
use super::vectors::{Case, Opening, Translated, kek, reversible_tokens};
use crate::error::{Kind, Result};
use crate::keys::KeyringFile;
use crate::suite::SEALED_CHUNK_BYTES;
use crate::token::{Token, TokenKind};

/// Envelopes up to this length are tried with every bit of every byte.
const SMALL: usize = 3_000;

/// Bits to change: all of a small envelope; of a large one those of its first 200 bytes, its last 100, and 20 on each side of each chunk border.
fn bits(length: usize) -> Vec<usize> {
    let borders = || (74..length).step_by(SEALED_CHUNK_BYTES);
    let near = |at: usize| borders().any(|border| at.abs_diff(border) <= 20);
    let chosen = |at: &usize| length <= SMALL || *at < 200 || *at + 100 >= length || near(*at);
    (0..length).filter(chosen).flat_map(|at| (0..8).map(move |bit| at * 8 + bit)).collect()
}

/// What a changed byte at a place may be called.
fn expected(at: usize) -> &'static [Kind] {
    match at {
        0 => &[Kind::Unsupported],
        1 => &[Kind::Unsupported, Kind::Malformed, Kind::Unauthentic],
        2..=17 => &[Kind::UnknownKey],
        _ => &[Kind::Unauthentic],
    }
}

/// Tries every chosen bit, and gives how many there were.
fn flip_all(name: &str, good: &[u8], mut open: impl FnMut(&[u8]) -> Result<()>) -> usize {
    let mut bytes = good.to_vec();
    assert!(open(&bytes).is_ok(), "{name}");
    let bits = bits(good.len());
    for bit in &bits {
        let (at, mask) = (bit / 8, 1 << (bit % 8));
        bytes[at] ^= mask;
        let kind = open(&bytes).expect_err(name).kind();
        assert!(expected(at).contains(&kind), "{name}: byte {at}, mask {mask}: {kind:?}");
        bytes[at] ^= mask;
    }
    assert!(open(&bytes).is_ok(), "{name}");
    bits.len()
}

#[test]
fn every_changed_bit_of_a_sealed_field_is_refused() {
    let (mut vectors, mut bits) = (0, 0);
    for v in Vector::successes("open") {
        for engine in ENGINES {
            let mut opening = Opening::of(&v, engine).expect("a good vector");
            let good = opening.envelope.clone();
            bits += flip_all(&v.name, &good, |bytes| opening.try_open(bytes));
        }
        vectors += 1;
    }
    assert_eq!(vectors, 27);
    assert!(bits > 2 * 27 * 74 * 8, "{bits}");
}

#[test]
fn every_changed_bit_of_a_token_is_refused() {
    let vectors = Vector::successes("open-token");
    assert_eq!(vectors.len(), 3);
    for v in vectors {
        let mut tokens = reversible_tokens(&v).expect("a good vector");
        let bits = flip_all(&v.name, &v.bytes("envelope"), |bytes| tokens.open(bytes).map(|_| ()));
        assert!(bits >= 50 * 8);
    }
}

/// Every bit of what a token's text carries: the header is that of the opener, the check symbols are made anew.
#[test]
fn every_changed_bit_of_a_tokens_data_is_refused() {
    let (mut tokens, mut bits) = (0, 0);
    for v in Vector::successes("token") {
        let case = Case::of(&v).expect("a good vector");
        if case.token.header().kind() == TokenKind::Preserving {
            continue;
        }
        assert!(case.resolve(&case.token).is_ok(), "{}", v.name);
        for bit in 0..case.token.data().len() * 8 {
            let kind = case.resolve(&case.token.with_bit_changed(bit)).expect_err(&v.name).kind();
            let expected = match case.token.header().kind() {
                TokenKind::Reversible => expected(bit / 8),
                _ => &[Kind::Unauthentic],
            };
            assert!(expected.contains(&kind), "{}: bit {bit}: {kind:?}", v.name);
            bits += 1;
        }
        tokens += 1;
    }
    assert_eq!(tokens, 28);
    assert!(bits > 28 * 20 * 8, "{bits}");
}

/// A preserving token has no proof: another number opens to another one, and never to the value.
#[test]
fn every_changed_digit_of_a_preserving_token_opens_to_another_value_or_is_refused() {
    let mut tokens = 0;
    for v in Vector::successes("token") {
        let case = Case::of(&v).expect("a good vector");
        if case.token.header().kind() != TokenKind::Preserving {
            continue;
        }
        let good = case.resolve(&case.token).expect("a value");
        for bit in 0..case.token.data().len() * 8 {
            match case.resolve(&case.token.with_bit_changed(bit)) {
                Ok(other) => assert_ne!(other, good, "{}: bit {bit}", v.name),
                Err(error) => assert_eq!(error.kind(), Kind::Malformed, "{}: bit {bit}", v.name),
            }
        }
        tokens += 1;
    }
    assert_eq!(tokens, 11);
}

#[test]
fn every_changed_bit_of_a_translated_token_is_refused() {
    let vectors = Vector::successes("translation");
    assert_eq!(vectors.len(), 1);
    for v in vectors {
        let translated = Translated::of(&v).expect("a good vector");
        let mut bytes = translated.sealed.as_bytes().to_vec();
        assert!(translated.open(&bytes).is_ok());
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            let expected = if bit < 8 { Kind::Unsupported } else { Kind::Unauthentic };
            assert_eq!(translated.open(&bytes).expect_err("refused").kind(), expected, "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

/// One changed character of a token's text is refused before any key is asked.
#[test]
fn every_changed_character_of_a_tokens_text_is_refused() {
    let vectors = Vector::successes("token-text");
    assert_eq!(vectors.len(), 7);
    for v in vectors {
        let text = v.one("text").as_bytes();
        for at in 0..text.len() {
            for byte in 0..128 {
                let mut changed = text.to_vec();
                changed[at] = byte;
                let parsed = Token::parse(std::str::from_utf8(&changed).expect("ASCII"));
                assert_eq!(parsed.is_ok(), byte == text[at], "{}: byte {at} is {byte}", v.name);
            }
        }
    }
}

/// All bytes of all keyrings. A byte of a name or a digit gives another well-formed file, so that the class depends on the place;
/// the classes that must not appear are those that would mean that a changed file was believed.
#[test]
fn every_changed_bit_of_a_keyring_is_refused() {
    let (mut files, mut bits) = (0, 0);
    for v in Vector::successes("keyring") {
        let kek = kek(&v).expect("a good vector");
        let open = |bytes: &[u8]| KeyringFile::parse(bytes)?.unlock(&*kek, None).map(|_| ());
        assert!(open(&v.file).is_ok(), "{}", v.name);
        let mut bytes = v.file.clone();
        for at in 0..bytes.len() {
            for bit in 0..8 {
                bytes[at] ^= 1 << bit;
                let kind = open(&bytes).expect_err(&v.name).kind();
                let refused = [Kind::Malformed, Kind::Unsupported, Kind::Unauthentic, Kind::Limit];
                assert!(refused.contains(&kind), "{}: byte {at}, bit {bit}: {kind:?}", v.name);
                bytes[at] ^= 1 << bit;
                bits += 1;
            }
        }
        files += 1;
    }
    assert_eq!(files, 8);
    assert!(bits > 8 * 8 * 1_500, "{bits}");
}
