// SPDX-License-Identifier: MIT OR Apache-2.0
//! Index terms and pairwise tokens beside bare HMAC-SHA-256 with its key kept ready, and a whole row beside its raw parts.
//!
//! `cargo bench -p amanat --bench surrogates`.

#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use std::hint::black_box;

use amanat::identifier::Identifier;
use amanat::index::{BlindIndex, IndexBits, IndexSpec, IndexedField};
use amanat::keys::{KeyFile, NewSlot, Purpose};
use amanat::normal::{Normal, NormalForm};
use amanat::record::RecordSealer;
use amanat::schema::{Encoding, FieldPolicy, IndexPolicy, Mode, TableSchema, TokenPolicy};
use amanat::surrogate::Surrogates;
use amanat::token::{Audience, PairwiseTokens, TokenKind};
use amanat::{Engine, EnvelopeBatch, Keyring, Name, RecordId, Timestamp, ValueRef};
use common::{compare, entry};
use hmac::{Hmac, KeyInit, Mac};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use sha2::Sha256;

const BATCH: usize = 64;
const NUMBER: &str = "9990112345671";
const NAME: &str = "محمد علی خان";

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn part(field: &str, form: NormalForm) -> IndexedField {
    IndexedField { field: name(field), form }
}

fn spec(index: &str, bits: u16, form: NormalForm) -> IndexSpec {
    IndexSpec::new(name(index), vec![part(index, form)], IndexBits::new(bits).unwrap()).unwrap()
}

fn main() {
    println!("median of 31 interleaved rounds, thread CPU time; numbers and names are invented");
    let kek = KeyFile::generate().unwrap();
    let slot = NewSlot { label: "bench", kek: &kek };
    let now = Timestamp::from_unix_seconds(1_800_000_000).unwrap();
    let mut keyring = Keyring::create(name("bench"), &slot, now).unwrap();
    let allowance = keyring.reserve(Purpose::Field, 1 << 43).unwrap();
    let audience = Audience::new("election-commission", "voter-roll").unwrap();
    single(&keyring, &audience);
    row(&keyring, &audience, &allowance);
}

/// Bare HMACs of as many bytes as the index hashes: 21 for a number.
fn single(keyring: &Keyring, audience: &Audience) {
    let number = NormalForm::Identifier(Identifier::Cnic);
    let table = name("citizens");
    let mut index =
        BlindIndex::new(&keyring.index_keys().unwrap(), &table, &spec("cnic", 40, number.clone()), &[])
            .unwrap();
    let keys = keyring.token_keys().unwrap();
    let mut tokens = PairwiseTokens::new(&keys, audience, keys.primary_epoch().unwrap(), &[]).unwrap();
    let normal = number.normalise(ValueRef::Text(NUMBER)).unwrap();
    let (mut buffer, mut buffer_too) = (Normal::empty(number.clone()), Normal::empty(number.clone()));
    let ready = Hmac::<Sha256>::new_from_slice(&[7; 32]).unwrap();
    let ring_key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &[7; 32]);
    let mut text = Vec::new();
    let mut text_too = Vec::new();
    compare(
        "13 digits; the yardstick is the faster of two bare HMACs of 21 B",
        vec![
            entry("bare HMAC-SHA-256, hmac and sha2", 1, || {
                let mut mac = ready.clone();
                mac.update(black_box(&[5; 21]));
                black_box(mac.finalize());
            }),
            entry("bare HMAC-SHA-256, ring", 1, || {
                black_box(ring::hmac::sign(&ring_key, black_box(&[5; 21])));
            }),
            entry("index term of a normal form", 1, || {
                black_box(index.term(&[black_box(&normal)]).unwrap());
            }),
            entry("pairwise token of a normal form, with its text", 1, || {
                text.clear();
                tokens.append(black_box(&normal), &mut text).unwrap();
                black_box(text.len());
            }),
        ],
        &[f64::INFINITY, 1.3, 1.3],
    );
    let mut index_too =
        BlindIndex::new(&keyring.index_keys().unwrap(), &table, &spec("cnic", 40, number.clone()), &[])
            .unwrap();
    let mut tokens_too = PairwiseTokens::new(&keys, audience, keys.primary_epoch().unwrap(), &[]).unwrap();
    compare(
        "the same from the number as it was typed",
        vec![
            entry("bare HMAC-SHA-256, hmac and sha2", 1, || {
                let mut mac = ready.clone();
                mac.update(black_box(&[5; 21]));
                black_box(mac.finalize());
            }),
            entry("normal form and index term", 1, || {
                number.normalise_into(ValueRef::Text(black_box("99901-1234567-1")), &mut buffer).unwrap();
                black_box(index_too.term(&[&buffer]).unwrap());
            }),
            entry("normal form, pairwise token and its text", 1, || {
                number.normalise_into(ValueRef::Text(black_box("99901-1234567-1")), &mut buffer_too).unwrap();
                text_too.clear();
                tokens_too.append(&buffer_too, &mut text_too).unwrap();
                black_box(text_too.len());
            }),
        ],
        &[],
    );
}

/// Six sealed fields, an index of the number, one of the name, and one token.
fn row(keyring: &Keyring, audience: &Audience, allowance: &amanat::Allowance) {
    let values = [NUMBER, NAME, "another name of 20 b", "1990-01-02", &"7".repeat(60), "+923001234567"];
    let row: Vec<ValueRef<'_>> = values.iter().map(|value| ValueRef::Text(value)).collect();
    let fields = ["cnic", "name", "father", "birth", "address", "phone"]
        .map(|field| FieldPolicy::new(name(field), Mode::Sealed));
    let number = || NormalForm::Identifier(Identifier::Cnic);
    let epoch = keyring.token_keys().unwrap().primary_epoch().unwrap();
    let policy = TokenPolicy::new(
        name("voters"),
        TokenKind::Pairwise,
        part("cnic", number()),
        audience.clone(),
        epoch,
    );
    let indexes = vec![
        IndexPolicy::new(spec("cnic", 40, number())).with_column("cnic_index").unwrap(),
        IndexPolicy::new(spec("name", 20, NormalForm::UrduName)).with_column("name_index").unwrap(),
    ];
    let table = TableSchema::new(name("citizens"), vec!["id".into()], Encoding::Binary, fields.to_vec())
        .and_then(|table| table.with_indexes(indexes))
        .and_then(|table| table.with_tokens(vec![policy.with_column("token").unwrap()]))
        .unwrap();
    let keys = keyring.field_keys().unwrap();
    let mut sealer = RecordSealer::new(&keys, &table, Engine::default(), allowance).unwrap();
    let mut surrogates = Surrogates::new(keyring, &table, &[]).unwrap();
    let ids: Vec<String> = (0..BATCH).map(|id| id.to_string()).collect();
    let records: Vec<RecordId<'_>> = ids.iter().map(|id| RecordId::text(id).unwrap()).collect();
    let mut batch = EnvelopeBatch::new();

    let raw = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32]).unwrap());
    let mut texts: Vec<Vec<u8>> = values.iter().map(|value| vec![0; value.len()]).collect();
    let ready = Hmac::<Sha256>::new_from_slice(&[7; 32]).unwrap();
    let mut counter = 0_u64;
    compare(
        "a row: six fields sealed, two indexes (number, Urdu name), one token; batch of 64",
        vec![
            entry("six raw ring seals and three bare HMACs", 1, || {
                for text in &mut texts {
                    counter += 1;
                    let mut nonce = [0; 12];
                    nonce[4..].copy_from_slice(&counter.to_be_bytes());
                    let nonce = Nonce::assume_unique_for_key(nonce);
                    let _ = black_box(
                        raw.seal_in_place_separate_tag(nonce, Aad::from(&[5; 32]), black_box(text)).unwrap(),
                    );
                }
                for _ in 0..3 {
                    let mut mac = ready.clone();
                    mac.update(black_box(&[5; 21]));
                    black_box(mac.finalize());
                }
            }),
            entry("amanat, values as they were typed", BATCH as u64, || {
                batch.clear();
                sealer.seal_batch(records.iter().map(|id| (id, black_box(&row[..]))), &mut batch).unwrap();
                for _ in 0..BATCH {
                    for column in 0..surrogates.len() {
                        black_box(surrogates.make(column, black_box(&row)).unwrap());
                    }
                }
                black_box(batch.len());
            }),
        ],
        &[2.5],
    );
}
