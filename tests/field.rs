// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sealed fields through the public interface: sizes, contexts, engines, batches, nonces and record ids.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use std::collections::{BTreeSet, HashSet};

use amanat::envelope::{TEXT_KEY_PREFIX_CHARS, text_key_prefix, to_text};
use amanat::field::Family;
use amanat::keys::Purpose;
use amanat::token::{Audience, ReversibleTokens};
use amanat::{
    Date, Engine, Envelope, EnvelopeBatch, FieldContext, FieldOpener, FieldSealer, KeyId, Kind, OpenOptions,
    RecordId, SealOptions, Suite, Value, ValueRef,
};

mod common;
use common::*;

const NUMBER: ValueRef<'static> = ValueRef::Text("0000012345678");

#[test]
fn a_13_digit_number_takes_74_bytes_or_104_characters() {
    let mut ring = ring();
    for family in FAMILIES {
        let mut sealer = sealer(&mut ring, &context(), options(Engine::Ring, family, 16));
        let envelope = sealer.seal(&record("1"), NUMBER).expect("sealed");
        let parsed = Envelope::parse(&envelope).expect("an envelope");
        assert_eq!((envelope.len(), to_text(&envelope).len(), parsed.padded_bytes()), (74, 104, 16));
        assert_eq!((parsed.suite(), parsed.key()), (family.suite(), sealer.key()));
    }
}

#[test]
fn every_envelope_of_one_key_starts_with_the_same_29_characters() {
    let mut ring = ring();
    let mut seal = |field: &str| {
        let context = FieldContext::new(name("demo-registry"), name("citizens"), name(field));
        let mut sealer = sealer(&mut ring, &context, SealOptions::default());
        let mut batch = EnvelopeBatch::new();
        let rows: Vec<String> = (0..200).map(|row| row.to_string()).collect();
        let ids: Vec<RecordId<'_>> = rows.iter().map(|row| record(row)).collect();
        sealer.seal_batch(ids.iter().map(|id| (id, NUMBER)), &mut batch).expect("sealed");
        let texts: Vec<String> = batch.iter().map(to_text).collect();
        (sealer.key(), texts)
    };
    let ((key, first), (_, second)) = (seal("cnic"), seal("phone"));
    let prefix = text_key_prefix(Suite::Xaes256Gcm, key);
    assert_eq!(prefix.len(), TEXT_KEY_PREFIX_CHARS);
    assert!(first.iter().chain(&second).all(|text| text.starts_with(&prefix)));
    let next: BTreeSet<&str> = first.iter().chain(&second).map(|text| &text[29..31]).collect();
    assert!(next.len() > 1, "what follows the prefix belongs to the envelope");
}

#[test]
fn an_envelope_opens_only_where_it_was_sealed() {
    let mut ring = ring();
    let place = |table: &str, field: &str| FieldContext::new(name("demo-registry"), name(table), name(field));
    for family in FAMILIES {
        for value in [NUMBER, ValueRef::Bytes(&[5; 70_000])] {
            let options = options(Engine::Ring, family, 16);
            let envelope = sealer(&mut ring, &context(), options).seal(&record("1"), value).expect("sealed");
            for engine in ENGINES {
                let open = |context: &FieldContext, id: &str| {
                    opener(&ring, context, engine).open_value(&record(id), &envelope)
                };
                assert!(open(&context(), "1").expect("opens").as_ref() == value);
                let moved = "moved from another row, field, table or registry";
                refused(open(&context(), "2"), Kind::Unauthentic, moved);
                refused(open(&context(), "1\0"), Kind::Unauthentic, moved);
                refused(open(&place("citizens", "phone"), "1"), Kind::Unauthentic, moved);
                refused(open(&place("officers", "cnic"), "1"), Kind::Unauthentic, moved);
                // The same letters, cut elsewhere.
                refused(open(&place("citizensc", "nic"), "1"), Kind::Unauthentic, moved);
            }
        }
    }
}

#[test]
fn registry_key_and_state_have_their_own_errors() {
    let mut ring = ring();
    let envelope = sealer(&mut ring, &context(), SealOptions::default()).seal(&record("1"), NUMBER).unwrap();
    let other = new_ring("other-registry");
    let elsewhere = FieldContext::new(name("other-registry"), name("citizens"), name("cnic"));
    let keys = ring.field_keys().expect("field keys");
    let made = FieldOpener::new(&keys, &elsewhere, &OpenOptions::default());
    refused(made, Kind::Misuse, "another registry than the keyring");
    let opened = opener(&other, &elsewhere, Engine::Ring).open_value(&record("1"), &envelope);
    refused(opened, Kind::UnknownKey, &format!("key {} is not in this keyring", primary(&ring).short()));
    let same_name = new_ring("demo-registry");
    let opened = opener(&same_name, &context(), Engine::Ring).open_value(&record("1"), &envelope);
    refused(opened, Kind::UnknownKey, "is not in this keyring");
    let unknown = OpenOptions { break_glass: vec![KeyId::from_bytes([1; 16])], ..OpenOptions::default() };
    refused(FieldOpener::new(&keys, &context(), &unknown), Kind::UnknownKey, "is not in this keyring");

    let old = primary(&ring);
    let new = ring.add_key(Purpose::Field, 730, time(1)).expect("a key");
    ring.activate(new, time(1)).expect("active");
    ring.suspend(old, time(1)).expect("suspended");
    let opened = opener(&ring, &context(), Engine::Ring).open_value(&record("1"), &envelope);
    refused(opened, Kind::KeyUnusable, "is suspended; it opens only for a caller who names it");
    let by_name = OpenOptions { break_glass: vec![old], ..OpenOptions::default() };
    let mut opener = FieldOpener::new(&ring.field_keys().unwrap(), &context(), &by_name).expect("an opener");
    assert!(opener.open(&record("1"), &envelope).is_ok());
}

#[test]
fn what_is_no_envelope_of_a_field_is_refused_before_a_key_is_used() {
    let mut ring = ring();
    let envelope = sealer(&mut ring, &context(), SealOptions::default()).seal(&record("1"), NUMBER).unwrap();
    let mut opener = opener(&ring, &context(), Engine::Ring);
    let mut open = |bytes: &[u8]| opener.open_value(&record("1"), bytes);
    for length in 0..74 {
        refused(open(&envelope[..length]), Kind::Malformed, "truncated by at least");
    }
    refused(open(&[&envelope[..], &[0]].concat()), Kind::Malformed, "bytes were added");
    refused(open(&[&[2], &envelope[1..]].concat()), Kind::Unsupported, "version 0x02");
    refused(open(&[&[1, 9], &envelope[2..]].concat()), Kind::Unsupported, "suite 0x09");
    let long = [&envelope[..18], &vec![0; 40 + 131_072 + 16]].concat();
    refused(open(&long), Kind::Malformed, "longer than a sealed value of this suite can be");
    assert!(open(&long[..long.len() - 16]).is_err_and(|error| error.kind() == Kind::Unauthentic));
    // A token's key is of another purpose, and its suite is refused before that.
    let allowance = ring.reserve(Purpose::Token, 10).expect("an allowance");
    let keys = ring.token_keys().expect("token keys");
    let mut tokens = ReversibleTokens::new(
        &keys,
        &Audience::new("tax-office", "matching").expect("names"),
        keys.primary_epoch().expect("an epoch"),
        &allowance,
    )
    .expect("tokens");
    let token = tokens.seal(NUMBER).expect("a token");
    refused(open(&token), Kind::Unsupported, "a token of suite 0x03 stands where a sealed field belongs");
    refused(
        tokens.open(&envelope),
        Kind::Unsupported,
        "a sealed field stands where a reversible token belongs",
    );
    assert_eq!((token.len(), tokens.seal(NUMBER).expect("a token") == token), (50, true));
    assert!(tokens.open(&token).expect("opens").as_ref() == NUMBER);
    let mut other = ReversibleTokens::new(
        &keys,
        &Audience::new("tax-office", "audit").expect("names"),
        keys.primary_epoch().expect("an epoch"),
        &allowance,
    )
    .expect("tokens");
    refused(other.open(&token), Kind::Unauthentic, "does not open");
    assert!(other.seal(NUMBER).expect("a token") != token);
}

fn of_every_type() -> Vec<Value> {
    let text = "گلبدن تجربہ";
    let date = |y, m, d| ValueRef::Date(Date::new(y, m, d).expect("a date"));
    [
        ValueRef::Null,
        ValueRef::Text(""),
        ValueRef::Text(text),
        ValueRef::Text("\0"),
        ValueRef::Bytes(&[]),
        ValueRef::Bytes(&[0x80]),
        ValueRef::Bytes(&[0x80, 0, 0]),
        ValueRef::Bytes(&[0; 33]),
        ValueRef::Integer(0),
        ValueRef::Integer(i64::MIN),
        ValueRef::Integer(i64::MAX),
        date(2000, 2, 29),
        date(1957, 3, 0),
        date(1957, 0, 0),
        ValueRef::Boolean(false),
        ValueRef::Boolean(true),
        ValueRef::Cbor(&[0xa1, 0x61, b'a', 0x82, 0xf5, 0xf6]),
    ]
    .map(ValueRef::to_value)
    .into()
}

/// Seals with one engine and opens with the other, both ways; gives the envelope's length.
fn cross(ring: &mut amanat::Keyring, family: Family, bucket: usize, values: &[Value]) -> Vec<usize> {
    let mut lengths = Vec::new();
    for (from, to) in [(Engine::Ring, Engine::RustCrypto), (Engine::RustCrypto, Engine::Ring)] {
        let mut sealer = sealer(ring, &context(), options(from, family, bucket));
        let mut opener = opener(ring, &context(), to);
        for value in values {
            let envelope = sealer.seal(&record("1"), value.as_ref()).expect("sealed");
            let opened = opener.open(&record("1"), &envelope).expect("the other engine opens");
            assert!(opened == value.as_ref(), "{value:?}, {family:?}, bucket {bucket}");
            lengths.push(envelope.len());
        }
    }
    let (left, right) = lengths.split_at(values.len());
    assert_eq!(left, right, "both engines give envelopes of the same length");
    left.to_vec()
}

#[test]
fn both_engines_open_each_other_for_every_type_bucket_and_size() {
    let mut ring = ring();
    let sizes: Vec<Value> = (0..=200).map(|size| ValueRef::Bytes(&vec![0xa5; size]).to_value()).collect();
    for family in FAMILIES {
        for bucket in [16, 48, 64, 256, 4_096, 65_536] {
            cross(&mut ring, family, bucket, &of_every_type());
            for (size, length) in cross(&mut ring, family, bucket, &sizes).into_iter().enumerate() {
                assert_eq!(length, 18 + 24 + (size + 2).next_multiple_of(bucket) + 16);
            }
        }
    }
}

#[test]
fn a_value_over_65536_bytes_becomes_a_blob_on_both_engines() {
    let mut ring = ring();
    let sizes = [65_535, 65_536, 65_537, 2 * 16_384 - 2, 2 * 16_384, 3 * 32_768];
    let values = sizes.map(|size| ValueRef::Bytes(&vec![7; size]).to_value());
    for family in FAMILIES {
        for bucket in [16, 65_536] {
            for (size, length) in sizes.into_iter().zip(cross(&mut ring, family, bucket, &values)) {
                let padded = (size + 2_usize).next_multiple_of(bucket);
                let blob = 18 + 24 + 32 + padded + (padded / 16_384 + 1) * 16;
                let field = 18 + 24 + padded + 16;
                assert_eq!(length, if size > 65_536 { blob } else { field }, "{size}");
            }
        }
    }
    let mut sealer = sealer(&mut ring, &context(), SealOptions::default());
    let large = sealer.seal(&record("1"), ValueRef::Text(&"x".repeat(65_537))).expect("sealed");
    assert_eq!(Envelope::parse(&large).expect("an envelope").suite(), Suite::Cobblestone256);
    let over = vec![0; (1 << 30) + 1];
    refused(sealer.seal(&record("1"), ValueRef::Bytes(&over)), Kind::Limit, "longer than 1 GiB");
}

#[test]
fn a_batch_gives_what_single_calls_give() {
    let mut ring = ring();
    for family in FAMILIES {
        let options = options(Engine::Ring, family, 16);
        let values = of_every_type();
        let ids: Vec<String> = (0..values.len()).map(|row| format!("row {row}")).collect();
        let ids: Vec<RecordId<'_>> = ids.iter().map(|id| record(id)).collect();
        let mut batch = EnvelopeBatch::new();
        let mut sealer = sealer(&mut ring, &context(), options);
        for _ in 0..2 {
            batch.clear();
            let pairs = ids.iter().zip(&values).map(|(id, value)| (id, value.as_ref()));
            sealer.seal_batch(pairs, &mut batch).expect("sealed");
        }
        assert_eq!((batch.len(), batch.is_empty(), batch.get(values.len())), (values.len(), false, None));
        let mut opener = opener(&ring, &context(), Engine::RustCrypto);
        for (envelope, (id, value)) in batch.iter().zip(ids.iter().zip(&values)) {
            assert!(opener.open(id, envelope).expect("opens") == value.as_ref());
            let single = sealer.seal(id, value.as_ref()).expect("sealed");
            assert_eq!((single.len(), &single[..18]), (envelope.len(), &envelope[..18]));
        }
    }
}

#[test]
fn a_batch_that_fails_keeps_the_envelopes_before_the_failure() {
    let mut ring = ring();
    let mut sealer = sealer(&mut ring, &context(), SealOptions::default());
    let (row, mut batch) = (record("1"), EnvelopeBatch::new());
    let values = [NUMBER, NUMBER, ValueRef::Cbor(&[0x9f, 0xff]), NUMBER, NUMBER];
    let sealed = sealer.seal_batch(values.iter().map(|value| (&row, *value)), &mut batch);
    refused(sealed, Kind::Malformed, "CBOR");
    assert_eq!(batch.len(), 2);
    let mut opener = opener(&ring, &context(), Engine::Ring);
    assert!(batch.iter().all(|envelope| opener.open(&row, envelope).is_ok()));
    let mut out = b"kept".to_vec();
    refused(sealer.seal_into(&row, ValueRef::Cbor(&[]), &mut out), Kind::Malformed, "CBOR");
    assert_eq!(out, b"kept");
}

/// A salt serves 2^16 envelopes; the other half of the nonce, and with XChaCha20 all of it, is new every time.
#[test]
fn the_nonces_of_100000_envelopes_all_differ_and_a_salt_serves_65536() {
    let mut ring = ring();
    for family in FAMILIES {
        let mut sealer = sealer(&mut ring, &context(), options(Engine::Ring, family, 16));
        let (mut nonces, mut salts) = (HashSet::new(), Vec::new());
        let (row, mut batch) = (record("1"), EnvelopeBatch::new());
        let mut last = Vec::new();
        for _ in 0..100 {
            batch.clear();
            sealer.seal_batch(std::iter::repeat_n((&row, NUMBER), 1_000), &mut batch).expect("sealed");
            for envelope in batch.iter() {
                assert!(
                    nonces.insert(<[u8; 24]>::try_from(&envelope[18..42]).unwrap()),
                    "a nonce came twice"
                );
                salts.push(<[u8; 12]>::try_from(&envelope[18..30]).unwrap());
            }
            last = batch.get(999).expect("the last one").to_vec();
        }
        salts.dedup();
        let expected = if family == Family::Aes { 2 } else { 100_000 };
        assert_eq!((nonces.len(), salts.len()), (100_000, expected));
        assert!(opener(&ring, &context(), Engine::RustCrypto).open(&row, &last).is_ok());
    }
}

#[test]
fn a_salt_is_changed_after_exactly_65536_envelopes() {
    let mut ring = ring();
    let mut sealer = sealer(&mut ring, &context(), SealOptions::default());
    let (row, mut batch) = (record("1"), EnvelopeBatch::new());
    sealer.seal_batch(std::iter::repeat_n((&row, ValueRef::Null), 65_537), &mut batch).expect("sealed");
    let salt = |position| &batch.get(position).expect("an envelope")[18..30];
    assert_eq!(salt(0), salt(65_535));
    assert_ne!(salt(0), salt(65_536));
}

/// A forked process or a cloned machine goes on with the same key and the same salt. A fork cannot be made in safe Rust; what it would
/// share is the state of a sealer between two calls, and no random byte lives there: each call draws its own (`crypto::random`).
/// Here two sealers made of one file stand for the two processes.
#[test]
fn two_sealers_of_one_keyring_share_no_nonce() {
    let mut first = ring();
    let file = write(&mut first);
    let mut seen = HashSet::new();
    for _ in 0..2 {
        let mut ring = unlock(&file).expect("unlocked");
        let mut sealer = sealer(&mut ring, &context(), SealOptions::default());
        for _ in 0..500 {
            let envelope = sealer.seal(&record("1"), ValueRef::Null).expect("sealed");
            assert!(seen.insert(envelope[30..42].to_vec()));
        }
    }
}

#[test]
fn record_ids_have_1_to_1024_bytes_and_one_meaning() {
    refused(RecordId::text(""), Kind::Limit, "the record id is empty");
    refused(RecordId::text(&"r".repeat(1_025)), Kind::Limit, "longer than 1024 bytes");
    refused(RecordId::composite(&["one"]), Kind::Schema, "at least two columns");
    refused(RecordId::composite(&["a", &"b".repeat(1_020)]), Kind::Limit, "longer than 1024 bytes");
    assert!(RecordId::integer(-5) == record("-5") && RecordId::integer(0) == record("0"));
    assert!(RecordId::composite(&["ab", "c"]).unwrap() != RecordId::composite(&["a", "bc"]).unwrap());
    let mut ring = ring();
    let longest = "r".repeat(1_024);
    let ids = [record("r"), record(&longest), RecordId::composite(&["", ""]).expect("an id")];
    // Around the length at which associated data no longer fits a short buffer.
    let texts: Vec<String> = (1..100).map(|length| "q".repeat(length)).collect();
    let ids: Vec<RecordId<'_>> = ids.into_iter().chain(texts.iter().map(|text| record(text))).collect();
    let mut sealer = sealer(&mut ring, &context(), SealOptions::default());
    let mut opener = opener(&ring, &context(), Engine::RustCrypto);
    let envelopes: Vec<Vec<u8>> = ids.iter().map(|id| sealer.seal(id, NUMBER).expect("sealed")).collect();
    for (at, envelope) in envelopes.iter().enumerate() {
        for (other, id) in ids.iter().enumerate() {
            assert_eq!(opener.open(id, envelope).is_ok(), at == other, "{at}, {other}");
        }
    }
}

#[test]
fn printing_shows_no_value_and_no_record_id() {
    let mut ring = ring();
    let mut sealer = sealer(&mut ring, &context(), SealOptions::default());
    let envelope = sealer.seal(&record("row-4711"), NUMBER).expect("sealed");
    let mut opener = opener(&ring, &context(), Engine::Ring);
    let value = opener.open_value(&record("row-4711"), &envelope).expect("opens");
    let moved = opener.open_value(&record("row-4712"), &envelope).expect_err("another row");
    let error = moved.at_row(3).at_field(context().field());
    assert!(error.to_string().starts_with("row 3: field cnic: does not open"));
    let printed = format!(
        "{value:?} {NUMBER:?} {:?} {sealer:?} {opener:?} {:?} {error:?} {error}",
        record("row-4711"),
        Envelope::parse(&envelope)
    );
    assert!(
        !printed.contains("4711") && !printed.contains("4712") && !printed.contains("12345678"),
        "{printed}"
    );
}

#[test]
fn a_sealer_of_another_registry_is_a_mistake_of_the_caller() {
    let mut ring = ring();
    let allowance = reserve(&mut ring, 1);
    let elsewhere = FieldContext::new(name("other-registry"), name("citizens"), name("cnic"));
    let keys = ring.field_keys().expect("field keys");
    let made = FieldSealer::new(&keys, &elsewhere, SealOptions::default(), &allowance);
    refused(made, Kind::Misuse, "another registry");
}
