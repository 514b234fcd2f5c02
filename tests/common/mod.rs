// SPDX-License-Identifier: MIT OR Apache-2.0
//! What several test programs need: a registry that does not exist, cheap keyrings, and assertions on errors.

#![allow(dead_code, reason = "each test program uses its own part of it")]

use amanat::field::Family;
use amanat::keys::{Argon2Cost, NewSlot, Passphrase, Purpose};
use amanat::{
    Allowance, Bucket, Engine, Error, FieldContext, FieldOpener, FieldSealer, KeyId, Keyring, KeyringFile,
    Kind, Name, OpenOptions, RecordId, SealOptions, SecretBytes, Timestamp,
};

pub(crate) const ENGINES: [Engine; 2] = [Engine::Ring, Engine::RustCrypto];
pub(crate) const FAMILIES: [Family; 2] = [Family::Aes, Family::ChaCha];
pub(crate) const PASSPHRASE: &str = "an invented passphrase";

pub(crate) fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

pub(crate) fn time(seconds: u64) -> Timestamp {
    Timestamp::from_unix_seconds(1_795_000_000 + seconds).expect("a time")
}

/// The least work that Argon2id takes: these tests are not about guessing.
pub(crate) fn passphrase(text: &str) -> Passphrase {
    let cost = Argon2Cost { memory_kib: 8, passes: 1, lanes: 1 };
    Passphrase::new(SecretBytes::new(text.into())).expect("a passphrase").with_cost(cost)
}

pub(crate) fn new_ring(registry: &str) -> Keyring {
    let slot = NewSlot { label: "main", kek: &passphrase(PASSPHRASE) };
    Keyring::create(name(registry), &slot, time(0)).expect("a keyring")
}

pub(crate) fn ring() -> Keyring {
    new_ring("demo-registry")
}

pub(crate) fn write(ring: &mut Keyring) -> Vec<u8> {
    ring.to_bytes(time(1)).expect("a file")
}

pub(crate) fn unlock(bytes: &[u8]) -> Result<Keyring, Error> {
    KeyringFile::parse(bytes)?.unlock(&passphrase(PASSPHRASE), None)
}

/// The same keyring once more: secrets cannot be cloned, files can be read twice.
pub(crate) fn copy(ring: &mut Keyring) -> Keyring {
    unlock(&write(ring)).expect("its own file")
}

pub(crate) fn context() -> FieldContext {
    FieldContext::new(name("demo-registry"), name("citizens"), name("cnic"))
}

pub(crate) fn record(text: &str) -> RecordId<'_> {
    RecordId::text(text).expect("a record id")
}

/// The primary key of fields.
pub(crate) fn primary(ring: &Keyring) -> KeyId {
    ring.field_keys().expect("field keys").primary()
}

pub(crate) fn reserve(ring: &mut Keyring, messages: u64) -> Allowance {
    ring.reserve(Purpose::Field, messages).expect("an allowance")
}

pub(crate) fn options(engine: Engine, family: Family, bucket: usize) -> SealOptions {
    SealOptions { engine, family, bucket: Bucket::new(bucket).expect("a bucket") }
}

pub(crate) fn sealer(ring: &mut Keyring, context: &FieldContext, options: SealOptions) -> FieldSealer {
    let allowance = reserve(ring, 1 << 24);
    FieldSealer::new(&ring.field_keys().expect("field keys"), context, options, &allowance).expect("a sealer")
}

pub(crate) fn opener(ring: &Keyring, context: &FieldContext, engine: Engine) -> FieldOpener {
    let options = OpenOptions { engine, ..OpenOptions::default() };
    FieldOpener::new(&ring.field_keys().expect("field keys"), context, &options).expect("an opener")
}

/// Asserts the kind of a failure and that its message says the words.
#[track_caller]
pub(crate) fn refused<T>(result: Result<T, Error>, kind: Kind, words: &str) {
    let Err(error) = result else { panic!("not refused; expected {kind:?}: {words}") };
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(words), "`{error}` does not say `{words}`");
}
