// SPDX-License-Identifier: MIT OR Apache-2.0
//! Format-preserving encryption of 13-digit numbers with AES-256, beside the crate `fpe`.
//!
//! `cargo bench -p amanat --bench tokens`. A ratio of 0.1 is ten times the yardstick's rate.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::panic
)]

mod common;

use std::hint::black_box;

use amanat::__bench::{Ff1, Ff1Small};
use amanat::identifier::Identifier;
use amanat::keys::{KeyFile, NewSlot};
use amanat::normal::{Normal, NormalForm};
use amanat::token::{Audience, Epoch, PairwiseTokens, PreservingTokens, Tracer};
use amanat::{Keyring, Name, Secret, Timestamp, ValueRef};
use common::{compare, entry};
use fpe::ff1::{FF1, FlexibleNumeralString};

const TWEAK: &[u8] = b"8 bytes.";
const BATCH: usize = 64;

fn main() {
    println!("median of 31 interleaved rounds, thread CPU time; integers for amanat, ready numerals for fpe");
    let key = Ff1::new(&Secret::copy_from(&[7; 32]).unwrap());
    for digits in [9, 13, 16, 18, 19] {
        digits_alone_and_together(&key, digits);
    }
    let kek = KeyFile::generate().unwrap();
    let (slot, now) =
        (NewSlot { label: "bench", kek: &kek }, Timestamp::from_unix_seconds(1_800_000_000).unwrap());
    let keyring = Keyring::create(Name::new("testland").unwrap(), &slot, now).unwrap();
    tokens_in_normal_form(&keyring);
    rows_traced(&keyring);
}

fn numbers() -> Vec<Normal> {
    let form = NormalForm::Identifier(Identifier::Cnic);
    (0..BATCH).map(|n| form.normalise(ValueRef::Text(&format!("{:013}", n * 7_919))).unwrap()).collect()
}

/// Whole tokens, from the normal form of a CNIC to that of its token, against FF1 alone.
fn tokens_in_normal_form(keyring: &Keyring) {
    let yardstick = FF1::<aes::Aes256>::new(&[7; 32], 10).unwrap();
    let numerals = FlexibleNumeralString::from((0..13).map(|n| n % 10).collect::<Vec<u16>>());
    let (keys, audience) = (keyring.token_keys().unwrap(), Audience::new("bank", "loans").unwrap());
    let epoch = Epoch::new(1).unwrap();
    let tokens = PreservingTokens::new(&keys, &Identifier::Cnic, &audience, epoch, &[]).unwrap();
    let (values, mut one, mut many) = (numbers(), Vec::new(), Vec::new());
    compare(
        "format-preserving tokens of 13 digits, text to text",
        vec![
            entry("fpe, numerals alone", 1, || {
                black_box(yardstick.encrypt(TWEAK, black_box(&numerals)).unwrap());
            }),
            entry("one token at a time", 1, || {
                one.clear();
                tokens.append(black_box(&values[0]), &mut one).unwrap();
            }),
            entry("64 tokens together", BATCH as u64, || {
                many.clear();
                tokens.append_batch(black_box(&values), &mut many).unwrap();
            }),
        ],
        &[],
    );
}

/// A row compared with a leak of one group, against the making of that row's token.
fn rows_traced(keyring: &Keyring) {
    let (keys, audience) = (keyring.token_keys().unwrap(), Audience::new("bank", "loans").unwrap());
    let mut tokens = PairwiseTokens::new(&keys, &audience, Epoch::new(1).unwrap(), &[]).unwrap();
    let mut tracer = Tracer::new(keyring.token_keys().unwrap(), Vec::new(), &[]).unwrap();
    let values = numbers();
    values.iter().for_each(|value| tracer.leak(&tokens.make(value).unwrap()));
    let (form, absent) = (NormalForm::Identifier(Identifier::Cnic), "9999999999999");
    let absent = form.normalise(ValueRef::Text(absent)).unwrap();
    let mut out = Vec::new();
    compare(
        "tracing, a pairwise leak of one group",
        vec![
            entry("the token of a row", 1, || {
                out.clear();
                tokens.append(black_box(&absent), &mut out).unwrap();
            }),
            entry("a row that was not leaked", 1, || {
                tracer.row(black_box(&absent), |leak, _| panic!("{leak}"));
            }),
        ],
        &[1.3],
    );
}

fn digits_alone_and_together(key: &Ff1, digits: usize) {
    let yardstick = FF1::<aes::Aes256>::new(&[7; 32], 10).unwrap();
    let numerals = FlexibleNumeralString::from((0..digits).map(|n| n as u16 % 10).collect::<Vec<u16>>());
    let small = Ff1Small::new(key, 10, digits, TWEAK).unwrap();
    let (mut encrypted, mut decrypted) = (1, 1);
    let (mut together, mut back, mut ten) = ([1; BATCH], [1; BATCH], [1; 10]);
    let mut generic: Vec<u16> = (0..digits).map(|n| n as u16 % 10).collect();
    // At least 30 times the yardstick's rate together, 10 times alone.
    let goals = if digits == 13 { &[0.1, 0.1, 1.0 / 30.0, 1.0 / 30.0][..] } else { &[] };
    let times = compare(
        &format!("FF1 of {digits} digits, AES-256, tweak of {} B", TWEAK.len()),
        vec![
            entry("fpe", 1, || {
                black_box(yardstick.encrypt(TWEAK, black_box(&numerals)).unwrap());
            }),
            entry("encrypt, one value at a time", 1, || {
                encrypted = small.encrypt(black_box(encrypted)).unwrap()
            }),
            entry("decrypt, one value at a time", 1, || {
                decrypted = small.decrypt(black_box(decrypted)).unwrap()
            }),
            entry("encrypt, batch of 64", BATCH as u64, || {
                small.encrypt_batch(black_box(&mut together)).unwrap()
            }),
            entry("decrypt, batch of 64", BATCH as u64, || {
                small.decrypt_batch(black_box(&mut back)).unwrap()
            }),
            entry("encrypt, batch of 10", 10, || small.encrypt_batch(black_box(&mut ten)).unwrap()),
            entry("encrypt, numerals of any radix", 1, || {
                key.encrypt(10, TWEAK, black_box(&mut generic)).unwrap()
            }),
        ],
        goals,
    );
    if let [_, alone, _, together, ..] = times[..] {
        println!(
            "  encryption at {:.1} times the rate of fpe alone, {:.1} together",
            1.0 / alone,
            1.0 / together
        );
    }
}
