// SPDX-License-Identifier: MIT OR Apache-2.0
//! Format-preserving encryption of 13-digit numbers with AES-256, beside the crate `fpe`.
//!
//! `cargo bench -p amanat --bench tokens`. A ratio of 0.1 is ten times the yardstick's rate.

#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod common;

use std::hint::black_box;

use amanat::__bench::{Ff1, Ff1Small};
use amanat::Secret;
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
