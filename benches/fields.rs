// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sealing and opening fields and records, beside raw ring AES-256-GCM with a ready key and a counter nonce.
//!
//! `cargo bench --bench fields`. Goals are those of the project's first release; FACTS of the machine stand in the output.

#![allow(
    missing_docs,
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss
)]

mod common;

use std::hint::black_box;

use amanat::keys::{KeyFile, NewSlot, Purpose};
use amanat::record::{RecordOpener, RecordSealer};
use amanat::schema::{Encoding, FieldPolicy, Mode, TableSchema};
use amanat::{
    Engine, EnvelopeBatch, FieldContext, FieldOpener, FieldSealer, Keyring, Name, OpenOptions, RecordId,
    SealOptions, Timestamp, ValueRef, envelope,
};
use common::{compare, entry};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};

const BATCH: usize = 64;

/// The yardstick: ring with a ready key, a counter nonce and 32 bytes of associated data.
struct Raw {
    key: LessSafeKey,
    counter: u64,
}

impl Raw {
    fn new() -> Self {
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32]).unwrap());
        Self { key, counter: 0 }
    }

    fn nonce(&mut self) -> Nonce {
        self.counter += 1;
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&self.counter.to_be_bytes());
        Nonce::assume_unique_for_key(nonce)
    }

    fn seal(&mut self, text: &mut [u8]) {
        let nonce = self.nonce();
        let _ = black_box(
            self.key.seal_in_place_separate_tag(nonce, Aad::from(&[5; 32]), black_box(text)).unwrap(),
        );
    }
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn keyring() -> Keyring {
    let kek = KeyFile::generate().unwrap();
    let slot = NewSlot { label: "bench", kek: &kek };
    Keyring::create(name("bench"), &slot, Timestamp::from_unix_seconds(1_800_000_000).unwrap()).unwrap()
}

fn main() {
    println!(
        "ratios to raw ring AES-256-GCM (ready key, counter nonce, 32 B of associated data), median of 31 interleaved rounds, thread CPU time"
    );
    let mut keyring = keyring();
    let allowance = keyring.reserve(Purpose::Field, 1 << 43).unwrap();
    let keys = keyring.field_keys().unwrap();
    let context = FieldContext::new(name("bench"), name("citizens"), name("cnic"));
    let ids: Vec<String> = (0..BATCH).map(|n| format!("{n:012}")).collect();
    let records: Vec<RecordId<'_>> = ids.iter().map(|id| RecordId::text(id).unwrap()).collect();
    let sealer = |engine| {
        FieldSealer::new(&keys, &context, SealOptions { engine, ..SealOptions::default() }, &allowance)
            .unwrap()
    };
    let opener = |engine| {
        FieldOpener::new(&keys, &context, &OpenOptions { engine, ..OpenOptions::default() }).unwrap()
    };

    for (length, seal_goal) in [(13, 1.10), (32, 1.25), (64, 1.30), (256, 1.30)] {
        let value = "7".repeat(length);
        let mut raw = Raw::new();
        let mut text = vec![0; length];
        let mut batch = EnvelopeBatch::new();
        let (mut ring, mut rust) = (sealer(Engine::Ring), sealer(Engine::RustCrypto));
        let seal = |sealer: &mut FieldSealer, batch: &mut EnvelopeBatch| {
            batch.clear();
            sealer
                .seal_batch(records.iter().map(|id| (id, ValueRef::Text(black_box(&value)))), batch)
                .unwrap();
            black_box(batch.len());
        };
        compare(
            &format!("seal {length} B, batch of {BATCH}: nonce, padding and envelope included"),
            vec![
                entry("raw ring", BATCH as u64, || (0..BATCH).for_each(|_| raw.seal(&mut text))),
                entry("amanat, engine ring", BATCH as u64, || seal(&mut ring, &mut batch)),
                entry("(raw ring at the padded length)", BATCH as u64, {
                    let (mut raw, mut text) = (Raw::new(), vec![0; (length + 2).next_multiple_of(16)]);
                    move || (0..BATCH).for_each(|_| raw.seal(&mut text))
                }),
                entry("amanat, engine RustCrypto", BATCH as u64, {
                    let mut batch = EnvelopeBatch::new();
                    move || seal(&mut rust, &mut batch)
                }),
            ],
            &[seal_goal],
        );

        let mut sealed = EnvelopeBatch::new();
        sealer(Engine::Ring)
            .seal_batch(records.iter().map(|id| (id, ValueRef::Text(&value))), &mut sealed)
            .unwrap();
        let raw = Raw::new();
        let mut plain = vec![3; length];
        let tag = raw
            .key
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key([9; 12]),
                Aad::from(&[5; 32]),
                &mut plain,
            )
            .unwrap();
        let stored = [&plain[..], tag.as_ref()].concat();
        let mut copy = stored.clone();
        let (mut ring, mut rust) = (opener(Engine::Ring), opener(Engine::RustCrypto));
        let open = |opener: &mut FieldOpener| {
            for (record, envelope) in records.iter().zip(sealed.iter()) {
                match opener.open(record, envelope) {
                    Ok(ValueRef::Text(text)) => _ = black_box(text),
                    other => panic!("{other:?}"),
                }
            }
        };
        compare(
            &format!("open {length} B, warm"),
            vec![
                entry("raw ring, ciphertext copied first", BATCH as u64, || {
                    for _ in 0..BATCH {
                        copy.copy_from_slice(&stored);
                        let nonce = Nonce::assume_unique_for_key([9; 12]);
                        black_box(raw.key.open_in_place(nonce, Aad::from(&[5; 32]), &mut copy).unwrap());
                    }
                }),
                entry("amanat, engine ring", BATCH as u64, || open(&mut ring)),
                entry("amanat, engine RustCrypto", BATCH as u64, || open(&mut rust)),
            ],
            &[1.25],
        );
    }

    single_value(&records[0], &mut sealer(Engine::Ring));
    text_form(&records, &mut sealer(Engine::Ring));
    records_of_six(&keys, &allowance, &records);
}

fn single_value(record: &RecordId<'_>, sealer: &mut FieldSealer) {
    for length in [13, 32, 64, 256] {
        let value = "7".repeat(length);
        let mut raw = Raw::new();
        let (system, mut text, mut out) = (SystemRandom::new(), vec![0; length], Vec::with_capacity(1024));
        compare(
            &format!("seal one value of {length} B alone"),
            vec![
                entry("raw ring + one OS random call of 12 B", 1, || {
                    let mut nonce = [0; 12];
                    system.fill(&mut nonce).unwrap();
                    let nonce = Nonce::assume_unique_for_key(nonce);
                    let _ = black_box(
                        raw.key
                            .seal_in_place_separate_tag(nonce, Aad::from(&[5; 32]), black_box(&mut text))
                            .unwrap(),
                    );
                }),
                entry("amanat, into a reused buffer", 1, || {
                    out.clear();
                    sealer.seal_into(record, ValueRef::Text(black_box(&value)), &mut out).unwrap();
                    black_box(&out);
                }),
            ],
            &[1.15],
        );
        raw.counter += 1;
    }
}

fn text_form(records: &[RecordId<'_>], sealer: &mut FieldSealer) {
    let value = "7".repeat(32);
    let mut raw = Raw::new();
    let (mut text, mut batch, mut out) = (vec![0; 32], EnvelopeBatch::new(), Vec::with_capacity(1 << 16));
    compare(
        &format!("seal 32 B in the text form, batch of {BATCH}"),
        vec![
            entry("raw ring", BATCH as u64, || (0..BATCH).for_each(|_| raw.seal(&mut text))),
            entry("amanat, text form", BATCH as u64, || {
                batch.clear();
                out.clear();
                sealer
                    .seal_batch(records.iter().map(|id| (id, ValueRef::Text(black_box(&value)))), &mut batch)
                    .unwrap();
                batch.iter().for_each(|envelope| envelope::append_text(envelope, &mut out));
                black_box(&out);
            }),
        ],
        &[1.70],
    );
}

fn records_of_six(
    keys: &amanat::keys::Keyset<'_, amanat::keys::Field>,
    allowance: &amanat::Allowance,
    records: &[RecordId<'_>],
) {
    let lengths = [13, 20, 20, 10, 60, 13];
    let fields = (1..=6).map(|n| FieldPolicy::new(name(&format!("field{n}")), Mode::Sealed)).collect();
    let table = TableSchema::new(name("citizens"), vec!["id".into()], Encoding::Binary, fields).unwrap();
    let values: Vec<String> = lengths.iter().map(|length| "7".repeat(*length)).collect();
    let row: Vec<ValueRef<'_>> = values.iter().map(|value| ValueRef::Text(value)).collect();
    let mut raw = Raw::new();
    let mut texts: Vec<Vec<u8>> = lengths.iter().map(|length| vec![0; *length]).collect();
    let mut six = |raw: &mut Raw| texts.iter_mut().for_each(|text| raw.seal(text));
    let engines = [("ring", Engine::Ring), ("RustCrypto", Engine::RustCrypto)];
    let mut sealers: Vec<_> = engines
        .iter()
        .map(|(label, engine)| (label, RecordSealer::new(keys, &table, *engine, allowance).unwrap()))
        .collect();
    let mut entries =
        vec![entry("six raw ring seals", BATCH as u64, || (0..BATCH).for_each(|_| six(&mut raw)))];
    for (label, sealer) in &mut sealers {
        let (row, mut batch) = (&row, EnvelopeBatch::new());
        entries.push(entry(
            &format!("amanat, one call for {BATCH} records, engine {label}"),
            BATCH as u64,
            move || {
                batch.clear();
                sealer.seal_batch(records.iter().map(|id| (id, black_box(&row[..]))), &mut batch).unwrap();
                black_box(batch.len());
            },
        ));
    }
    compare("seal a record of six fields (13+20+20+10+60+13 B)", entries, &[1.20]);

    let mut raw = Raw::new();
    let mut texts: Vec<Vec<u8>> = lengths.iter().map(|length| vec![0; *length]).collect();
    let system = SystemRandom::new();
    let (mut one, mut batch) =
        (RecordSealer::new(keys, &table, Engine::Ring, allowance).unwrap(), EnvelopeBatch::new());
    compare(
        "seal one record of six fields alone",
        vec![
            entry("six raw ring seals + one OS random call of 32 B", 1, || {
                let mut seed = [0; 32];
                system.fill(&mut seed).unwrap();
                black_box(seed);
                texts.iter_mut().for_each(|text| raw.seal(text));
            }),
            entry("amanat, one call", 1, || {
                batch.clear();
                one.seal(&records[0], black_box(&row), &mut batch).unwrap();
                black_box(batch.len());
            }),
        ],
        &[1.20],
    );

    let mut sealed = EnvelopeBatch::new();
    let mut sealer = RecordSealer::new(keys, &table, Engine::Ring, allowance).unwrap();
    records.iter().for_each(|record| sealer.seal(record, &row, &mut sealed).unwrap());
    let mut opener = RecordOpener::new(keys, &table, &OpenOptions::default()).unwrap();
    let raw = Raw::new();
    let stored: Vec<Vec<u8>> = lengths
        .iter()
        .map(|length| {
            let mut text = vec![3; *length];
            let tag = raw.key.seal_in_place_separate_tag(
                Nonce::assume_unique_for_key([9; 12]),
                Aad::from(&[5; 32]),
                &mut text,
            );
            text.extend_from_slice(tag.unwrap().as_ref());
            text
        })
        .collect();
    let mut copies = stored.clone();
    compare(
        "open a record of six fields",
        vec![
            entry("six raw ring opens", BATCH as u64, || {
                for _ in 0..BATCH {
                    for (copy, stored) in copies.iter_mut().zip(&stored) {
                        copy.copy_from_slice(stored);
                        let nonce = Nonce::assume_unique_for_key([9; 12]);
                        black_box(raw.key.open_in_place(nonce, Aad::from(&[5; 32]), copy).unwrap());
                    }
                }
            }),
            entry("amanat", BATCH as u64, || {
                for (position, envelope) in sealed.iter().enumerate() {
                    black_box(opener.open(position % 6, &records[position / 6], envelope).unwrap());
                }
            }),
        ],
        &[1.25],
    );
}
