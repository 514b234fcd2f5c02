// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs every file of `tests/vectors/`: its class, every value it lists, and sealing again with its nonce.

use std::collections::BTreeMap;

use super::ENGINES;
use super::vector::{Vector, class};
use crate::context::FieldContext;
use crate::crypto::{Engine, kdf};
use crate::envelope::{Envelope, append_from_text, to_text};
use crate::error::Result;
use crate::field::field_key;
use crate::ident::Timestamp;
use crate::keys::{Key, KeyInfo, Purpose, State, key_id};
use crate::secret::Secret;
use crate::suite::Suite;
use crate::value::{Bucket, ValueRef};
use crate::wire::pae;

mod exchange;
mod forms;
mod indexes;
mod keyrings;
mod opening;
mod runs;
mod tokens;

pub(super) use exchange::Translated;
pub(super) use keyrings::kek;
pub(super) use opening::{Opening, tokens as reversible_tokens};
pub(super) use tokens::Case;

const KINDS: [(&str, usize); 20] = [
    ("derived-key", 14),
    ("envelope-parse", 22),
    ("envelope-text", 13),
    ("ff1", 11),
    ("identifier", 87),
    ("index-term", 15),
    ("key-id", 3),
    ("keyring", 82),
    ("keyring-pin", 8),
    ("mask", 20),
    ("normal", 96),
    ("open", 70),
    ("open-token", 12),
    ("pae", 5),
    ("receipt", 19),
    ("run-plan", 21),
    ("token", 94),
    ("token-text", 45),
    ("translation", 18),
    ("value", 40),
];
const CLASSES: [(&str, usize); 10] = [
    ("expired", 2),
    ("key-unusable", 25),
    ("limit", 33),
    ("malformed", 220),
    ("rollback", 3),
    ("schema", 25),
    ("success", 268),
    ("unauthentic", 86),
    ("unknown-key", 8),
    ("unsupported", 25),
];

#[test]
fn every_vector_gives_its_class_and_every_value_it_lists() {
    let (mut kinds, mut classes, mut wrong) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
    for vector in Vector::read_all() {
        for engine in ENGINES {
            let got = match run(&vector, engine) {
                Ok(()) => "success",
                Err(error) => class(error.kind()),
            };
            if got != vector.one("expect") {
                wrong.push(format!("{} with {engine:?}: {got}", vector.name));
            }
        }
        assert!(!vector.one("about").is_empty());
        if vector.one("expect") == "success" && wrong.is_empty() {
            vector.finish();
        }
        *kinds.entry(vector.one("kind").to_owned()).or_insert(0_usize) += 1;
        *classes.entry(vector.one("expect").to_owned()).or_insert(0_usize) += 1;
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let expected = |counts: &[(&str, usize)]| counts.iter().map(|(k, n)| ((*k).to_owned(), *n)).collect();
    let expected: [BTreeMap<String, usize>; 2] = [expected(&KINDS), expected(&CLASSES)];
    assert_eq!([kinds, classes], expected);
}

fn run(v: &Vector, engine: Engine) -> Result<()> {
    match v.one("kind") {
        "pae" => {
            let parts: Vec<Vec<u8>> = v.all("part").into_iter().map(super::unhex).collect();
            v.same("pae", &pae(&parts.iter().map(Vec::as_slice).collect::<Vec<_>>()));
            Ok(())
        }
        "key-id" => {
            v.same("key-id", key_id(&v.secret(), v.one("purpose").parse()?).as_bytes());
            Ok(())
        }
        "derived-key" => {
            derived_key(v);
            Ok(())
        }
        "value" => value(v),
        "envelope-parse" => envelope_parse(v),
        "envelope-text" => envelope_text(v),
        "open" => Opening::of(v, engine)?.open(v),
        "open-token" => opening::open_token(v, engine),
        "keyring" | "keyring-pin" => keyrings::keyring(v),
        "normal" => forms::normal(v),
        "identifier" => forms::identifier(v),
        "mask" => forms::mask(v),
        "index-term" => indexes::term(v),
        "token" => tokens::token(v),
        "token-text" => tokens::text(v),
        "ff1" => exchange::ff1(v),
        "translation" => exchange::translation(v),
        "receipt" => exchange::receipt(v),
        "run-plan" => runs::plan(v),
        other => panic!("{}: kind {other}", v.name),
    }
}

/// The parts of the info, and the key that the product derives from them.
fn derived_key(v: &Vector) {
    let label = v.one("label").as_bytes();
    let names = |keys: &[&str]| -> Vec<Vec<u8>> { keys.iter().map(|key| v.one(key).into()).collect() };
    let mut parts = vec![label.to_vec()];
    match label {
        b"amanat/v1/field" => {
            assert_eq!(v.one("purpose"), "field");
            parts.push(v.bytes("suite"));
            parts.extend(names(&["registry", "table", "field"]));
            let suite = Suite::from_byte(v.bytes("suite")[0]).expect("a suite");
            v.same("key", field_key(&v.secret(), suite, &context(v)).expose());
        }
        b"amanat/v1/token" => {
            assert_eq!(v.one("purpose"), "token");
            parts.extend(names(&["registry", "kind-of-token", "recipient", "token-purpose"]));
        }
        b"amanat/v1/index" => {
            assert_eq!(v.one("purpose"), "index");
            parts.extend(names(&["registry", "table", "index"]));
            for (field, form) in forms::columns(v).expect("columns") {
                parts.extend([field.as_bytes().to_vec(), form.identity().as_bytes().to_vec()]);
            }
        }
        b"amanat/v1/kek-id" => {}
        _ => parts.extend(names(&["registry"])),
    }
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    v.same("info", &pae(&parts));
    let secret = v.secret();
    let key = match v.bytes("key").len() {
        16 => kdf::derive::<16>(&secret, &parts).expose().to_vec(),
        32 => kdf::derive::<32>(&secret, &parts).expose().to_vec(),
        64 => kdf::derive::<64>(&secret, &parts).expose().to_vec(),
        other => panic!("{}: a key of {other} bytes", v.name),
    };
    v.same("key", &key);
}

fn value(v: &Vector) -> Result<()> {
    let padded = v.bytes("padded");
    let opened = ValueRef::from_padded(&padded)?;
    let (kind, content) = v.value();
    opened.with_parts(|got, bytes| assert_eq!((got, bytes), (kind, &content[..]), "{}", v.name));
    v.same("padded", &pad(v, opened));
    Ok(())
}

fn envelope_parse(v: &Vector) -> Result<()> {
    let bytes = v.bytes("envelope");
    let envelope = Envelope::parse(&bytes)?;
    v.same("suite", &[envelope.suite().byte()]);
    v.same("key-id", envelope.key().as_bytes());
    assert_eq!(v.one("padded-length"), envelope.padded_bytes().to_string());
    v.same("envelope", &[&envelope.header()[..], envelope.body()].concat());
    Ok(())
}

fn envelope_text(v: &Vector) -> Result<()> {
    let mut bytes = Vec::new();
    append_from_text(v.one("text"), &mut bytes)?;
    Envelope::parse(&bytes)?;
    v.same("envelope", &bytes);
    assert_eq!(v.one("text"), to_text(&bytes));
    Ok(())
}

fn bucket(v: &Vector) -> Bucket {
    Bucket::new(v.one("bucket").parse().expect("a number")).expect("a bucket")
}

fn pad(v: &Vector, value: ValueRef<'_>) -> Vec<u8> {
    let mut padded = Vec::new();
    value.append_padded(bucket(v), &mut padded);
    padded
}

fn context(v: &Vector) -> FieldContext {
    FieldContext::new(v.text_name("registry"), v.text_name("table"), v.text_name("field"))
}

/// A key as a keyring holds it.
fn key(secret: Secret<32>, purpose: Purpose, state: State, primary: bool) -> Key {
    let info = KeyInfo {
        id: key_id(&secret, purpose),
        purpose,
        state,
        primary,
        created: Timestamp::from_unix_seconds(0).expect("a time"),
        activated: None,
        suspended: None,
        deactivated: None,
        compromised: None,
        destroyed: None,
        cryptoperiod_days: 730,
        messages: 0,
    };
    Key { info, secret: Some(secret).filter(|_| state != State::Destroyed) }
}

/// The keyset of a vector: its key, and a primary beside it where the vector's key cannot be one.
pub(super) fn keys(v: &Vector, purpose: Purpose) -> Vec<Key> {
    let state = v.get("state").map_or(Ok(State::Active), str::parse).expect("a state");
    keyset(purpose, [(state, v.secret())])
}

/// Keys in order; the last active one is primary, and where none is, one more.
fn keyset(purpose: Purpose, keys: impl IntoIterator<Item = (State, Secret<32>)>) -> Vec<Key> {
    let mut keys: Vec<Key> =
        keys.into_iter().map(|(state, secret)| key(secret, purpose, state, false)).collect();
    match keys.iter_mut().rfind(|key| key.info.state == State::Active) {
        Some(primary) => primary.info.primary = true,
        None => {
            let other = Secret::copy_from(&[7; 32]).expect("32 bytes");
            keys.push(key(other, purpose, State::Active, true));
        }
    }
    keys
}

/// Lines `key`: state and secret, in the order of the keyring.
fn listed_keys(v: &Vector, purpose: Purpose) -> Vec<Key> {
    let read = |line: &str| {
        let (state, secret) = line.split_once(' ').expect("a state and a secret");
        let secret = Secret::copy_from(&super::unhex(secret)).expect("32 bytes");
        (state.parse().expect("a state"), secret)
    };
    keyset(purpose, v.all("key").into_iter().map(read))
}
