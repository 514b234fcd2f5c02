// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs every file of `tests/vectors/`: its class, every value it lists, and sealing again with its nonce.

use std::borrow::Cow;
use std::collections::BTreeMap;

use aes::Aes256Enc;
use aes::cipher::{BlockCipherEncrypt, KeyInit};

use super::vector::{Vector, class};
use super::{ENGINES, gcm_seal, hex, xchacha_seal};
use crate::blob::{self, BlobKey};
use crate::context::{AssociatedData, FieldContext, RecordId};
use crate::crypto::aes_gcm::Aes256Gcm;
use crate::crypto::chunked::Chunked;
use crate::crypto::random::Nonces;
use crate::crypto::xaes::Xaes;
use crate::crypto::xchacha::XChaCha;
use crate::crypto::{Engine, kdf, siv};
use crate::envelope::{Envelope, append_from_text, to_text};
use crate::error::Result;
use crate::field::{Family, FieldOpener, FieldSealer, OpenOptions, SealOptions, field_key};
use crate::ident::{Name, Timestamp};
use crate::keys::{
    Allowance, Field, Kek, Key, KeyFile, KeyInfo, KeyringFile, Keyset, Passphrase, Pin, Purpose, State,
    Token, key_id,
};
use crate::secret::{Secret, SecretBytes};
use crate::suite::Suite;
use crate::token::{Audience, Epoch, ReversibleTokens};
use crate::value::{Bucket, ValueRef};
use crate::wire::pae;

const KINDS: [(&str, usize); 10] = [
    ("derived-key", 7),
    ("envelope-parse", 22),
    ("envelope-text", 13),
    ("key-id", 3),
    ("keyring", 80),
    ("keyring-pin", 8),
    ("open", 70),
    ("open-token", 12),
    ("pae", 5),
    ("value", 40),
];
const CLASSES: [(&str, usize); 8] = [
    ("key-unusable", 7),
    ("limit", 16),
    ("malformed", 93),
    ("rollback", 3),
    ("success", 76),
    ("unauthentic", 51),
    ("unknown-key", 2),
    ("unsupported", 12),
];

#[test]
fn every_vector_gives_its_class_and_every_value_it_lists() {
    let (mut kinds, mut classes) = (BTreeMap::new(), BTreeMap::new());
    for vector in Vector::read_all() {
        for engine in ENGINES {
            let got = match run(&vector, engine) {
                Ok(()) => "success",
                Err(error) => class(error.kind()),
            };
            assert_eq!(got, vector.one("expect"), "{} with {engine:?}", vector.name);
        }
        assert!(!vector.one("about").is_empty());
        if vector.one("expect") == "success" {
            vector.finish();
        }
        *kinds.entry(vector.one("kind").to_owned()).or_insert(0_usize) += 1;
        *classes.entry(vector.one("expect").to_owned()).or_insert(0_usize) += 1;
    }
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
        "open-token" => open_token(v, engine),
        "keyring" | "keyring-pin" => keyring(v),
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
    let primary = state == State::Active;
    let mut keys = vec![key(v.secret(), purpose, state, primary)];
    if !primary {
        keys.push(key(Secret::copy_from(&[7; 32]).expect("32 bytes"), purpose, State::Active, true));
    }
    keys
}

/// What a vector of kind `open` opens with.
pub(super) struct Opening {
    engine: Engine,
    context: FieldContext,
    record: RecordId<'static>,
    pub(super) opener: FieldOpener,
    pub(super) envelope: Vec<u8>,
}

impl Opening {
    pub(super) fn of(v: &Vector, engine: Engine) -> Result<Self> {
        let (context, keys) = (context(v), keys(v, Purpose::Field));
        let record = RecordId::checked(Cow::Owned(v.bytes("record-id")))?;
        let break_glass = match v.get("by-name") {
            Some("yes") => vec![keys[0].info.id],
            _ => Vec::new(),
        };
        let keyset = Keyset::<Field>::new(context.registry(), &keys)?;
        let opener = FieldOpener::new(&keyset, &context, &OpenOptions { engine, break_glass })?;
        Ok(Self { engine, context, record, opener, envelope: v.bytes("envelope") })
    }

    /// Opens other bytes for the same record.
    pub(super) fn try_open(&mut self, envelope: &[u8]) -> Result<()> {
        self.opener.open(&self.record, envelope).map(|_| ())
    }

    fn open(mut self, v: &Vector) -> Result<()> {
        let envelope = Envelope::parse(&self.envelope)?;
        let value = self.opener.open_value(&self.record, &self.envelope)?;
        let (kind, content) = v.value();
        assert!(value.as_ref() == ValueRef::read(kind, &content)?, "{}", v.name);
        v.same("key-id", envelope.key().as_bytes());
        let key = field_key(&v.secret(), envelope.suite(), &self.context);
        v.same("field-key", key.expose());
        let mut ad = AssociatedData::default();
        let ad = ad.set(envelope.header(), self.record.as_bytes());
        v.same("ad", ad);
        let padded = pad(v, value.as_ref());
        if v.get("padded").is_some() {
            v.same("padded", &padded);
        }
        if let Some(text) = v.get("text") {
            assert_eq!(text, to_text(&self.envelope), "{}", v.name);
        }
        self.compare_intermediates(v, &envelope, &key, ad);
        assert!(self.seal_again(v, &key, ad, value.as_ref()) == self.envelope, "{}: sealing", v.name);
        Ok(())
    }

    /// Recomputes what the cipher keeps to itself and proves the cipher equal by what it does.
    fn compare_intermediates(&self, v: &Vector, envelope: &Envelope<'_>, key: &Secret<32>, ad: &[u8]) {
        let nonce: [u8; 24] = *envelope.body().first_chunk().expect("a nonce or salt");
        match envelope.suite() {
            Suite::Xaes256Gcm => {
                let xaes = xaes_by_definition(key.expose(), &nonce);
                v.same("xaes-l", &xaes.l);
                v.same("xaes-k1", &xaes.k1);
                v.same("xaes-kx", &xaes.kx);
                v.same("xaes-nx", &nonce[12..]);
                let (mut left, mut right) = ([7; 40], [7; 40]);
                let salt = nonce[..12].try_into().expect("12 bytes");
                let derived = Xaes::new(self.engine, key.expose()).derive(&salt);
                let left_tag = gcm_seal(&derived, [9; 12], ad, &mut left);
                let direct = Aes256Gcm::new(self.engine, &xaes.kx);
                assert_eq!(gcm_seal(&direct, [9; 12], ad, &mut right), left_tag);
                assert_eq!(left, right, "{}", v.name);
            }
            Suite::XChaCha20Poly1305 => {
                let input: [u8; 16] = nonce[..16].try_into().expect("16 bytes");
                let subkey = chacha20::hchacha::<chacha20::R20>(key.expose().into(), &input.into());
                v.same("xchacha-subkey", &subkey);
            }
            Suite::Cobblestone256 => {
                let info = [kdf::CHUNKED_LABEL, &nonce, ad].concat();
                v.same("prk-info", &info);
                let mut okm = [0; 76];
                kdf::expand_sha512(key.expose(), &[&info], &mut okm);
                v.same("chunk-key", &okm[..32]);
                v.same("base-nonce", &okm[32..44]);
                v.same("commitment", &okm[44..]);
                let mut chunked = Chunked::new(self.engine, key.expose(), &nonce, ad);
                assert_eq!(chunked.commitment()[..], okm[44..], "{}", v.name);
                let direct = Aes256Gcm::new(self.engine, okm.first_chunk().expect("a key"));
                let base = okm[32..44].try_into().expect("12 bytes");
                let tag = gcm_seal(&direct, base, &[], &mut [5; 16]);
                assert_eq!(chunked.seal(&mut [5; 16]).expect("sealed"), tag, "{}", v.name);
            }
            Suite::Aes256Siv => panic!("{}: a field of suite 3", v.name),
        }
    }

    /// Seals the value with the nonce or salt of the envelope.
    fn seal_again(&self, v: &Vector, key: &Secret<32>, ad: &[u8], value: ValueRef<'_>) -> Vec<u8> {
        let nonce: [u8; 24] = *self.envelope[18..].first_chunk().expect("a nonce or salt");
        let (mut out, bucket) = (Vec::new(), bucket(v));
        let family = match self.envelope[1] {
            1 => Family::Aes,
            2 => Family::ChaCha,
            _ => {
                let keys = BlobKey { engine: self.engine, key, ad };
                let header = self.envelope.first_chunk().expect("a header");
                blob::seal_salted(keys, header, &nonce, value, bucket, &mut out).expect("sealed");
                return out;
            }
        };
        let active = [super::vectors::key(v.secret(), Purpose::Field, State::Active, true)];
        let keyset = Keyset::<Field>::new(self.context.registry(), &active).expect("a keyset");
        let options = SealOptions { engine: self.engine, family, bucket };
        let allowance = Allowance::new(active[0].info.id, 1);
        let mut sealer = FieldSealer::new(&keyset, &self.context, options, &allowance).expect("a sealer");
        let mut nonces = Nonces::Fixed(Box::leak(Box::new(nonce)));
        sealer.seal_with(&mut nonces, &self.record, value, &mut out).expect("sealed");
        out
    }
}

struct XaesByDefinition {
    l: [u8; 16],
    k1: [u8; 16],
    kx: [u8; 32],
}

/// The derivation of XAES-256-GCM as C2SP writes it, bit by bit.
fn xaes_by_definition(key: &[u8; 32], nonce: &[u8; 24]) -> XaesByDefinition {
    let cipher = Aes256Enc::new(key.into());
    let encrypt = |block: [u8; 16]| -> [u8; 16] {
        let mut block = block.into();
        cipher.encrypt_block(&mut block);
        block.into()
    };
    let l = encrypt([0; 16]);
    let mut k1 = [0; 16];
    for (at, byte) in k1.iter_mut().enumerate() {
        *byte = (l[at] << 1) | l.get(at + 1).map_or(0, |next| next >> 7);
    }
    k1[15] ^= if l[0] & 0x80 == 0 { 0 } else { 0x87 };
    let half = |counter: u8| {
        let mut block = [0; 16];
        block[..4].copy_from_slice(&[0, counter, 0x58, 0]);
        block[4..].copy_from_slice(&nonce[..12]);
        block.iter_mut().zip(k1).for_each(|(byte, mask)| *byte ^= mask);
        encrypt(block)
    };
    let kx = [half(1), half(2)].concat().try_into().expect("two halves");
    XaesByDefinition { l, k1, kx }
}

/// What a vector of kind `open-token` opens with. Tokens know no engine: AES-SIV has one.
pub(super) fn tokens(v: &Vector) -> Result<ReversibleTokens> {
    let keys = keys(v, Purpose::Token);
    let registry = v.text_name("registry");
    let keyset = Keyset::<Token>::new(&registry, &keys)?;
    let id = Envelope::parse(&v.bytes("envelope")).map_or(keyset.primary(), |envelope| envelope.key());
    let place = keyset.infos().position(|info| info.id == id);
    let epoch = place
        .map_or_else(|| keyset.primary_epoch(), |place| Epoch::new(u64::try_from(place).unwrap() + 1))?;
    let audience = Audience::new(v.one("recipient"), v.one("token-purpose"))?;
    let allowance = Allowance::new(keyset.key_of_epoch(epoch)?, 10);
    ReversibleTokens::new(&keyset, &audience, epoch, &allowance)
}

fn open_token(v: &Vector, engine: Engine) -> Result<()> {
    assert!(engine == Engine::Ring || v.get("by-name").is_none());
    let (mut tokens, bytes) = (tokens(v)?, v.bytes("envelope"));
    let value = tokens.open(&bytes)?;
    let (kind, content) = v.value();
    assert!(value.as_ref() == ValueRef::read(kind, &content)?, "{}", v.name);
    v.same("key-id", &bytes[2..18]);
    let names = [v.one("registry"), "reversible", v.one("recipient"), v.one("token-purpose")];
    let mut parts = vec![kdf::TOKEN];
    parts.extend(names.map(str::as_bytes));
    let key: Secret<64> = kdf::derive(&v.secret(), &parts);
    v.same("token-key", key.expose());
    let mut ad = AssociatedData::default();
    let ad = ad.set(bytes.first_chunk().expect("a header"), &[]);
    v.same("ad", ad);
    let mut padded = pad(v, value.as_ref());
    v.same("padded", &padded);
    let iv = siv::seal(&key, &[ad], &mut padded).expect("sealed");
    assert!([&bytes[..18], &iv, &padded].concat() == bytes, "{}: sealing", v.name);
    if bucket(v) == Bucket::default() {
        assert!(tokens.seal(value.as_ref())? == bytes, "{}: sealing", v.name);
    }
    assert_eq!(v.one("text"), to_text(&bytes));
    Ok(())
}

/// The passphrase or key file of a keyring vector.
pub(super) fn kek(v: &Vector) -> Result<Box<dyn Kek>> {
    Ok(match v.get("key-file") {
        Some(text) => Box::new(KeyFile::parse(&SecretBytes::new(format!("{text}\n").into_bytes()))?),
        None => Box::new(Passphrase::new(SecretBytes::new(v.one("passphrase").into()))?),
    })
}

fn keyring(v: &Vector) -> Result<()> {
    let pin = v.get("pin").map(|text| Pin::parse(format!("{text}\n").as_bytes())).transpose()?;
    assert_eq!(pin.is_some(), v.one("kind") == "keyring-pin", "{}", v.name);
    let ring = KeyringFile::parse(&v.file)?.unlock(&*kek(v)?, pin.as_ref())?;
    let lines: Vec<Vec<&str>> = v.all("key").into_iter().map(|line| line.split(' ').collect()).collect();
    assert_eq!(ring.keys().count(), lines.len(), "{}", v.name);
    for (info, line) in ring.keys().zip(&lines) {
        let state = [info.purpose.as_str().to_owned(), info.id.to_string(), info.state.to_string()];
        assert_eq!(state[..], line[..3], "{}", v.name);
        // The id commits to secret and purpose, so the secret in the file is that of the line.
        if let Some(secret) = Secret::copy_from(&secret_of(line[3])) {
            assert_eq!(key_id(&secret, info.purpose), info.id, "{}", v.name);
        }
    }
    compare_secrets(v, ring.registry(), ring.field_keys()?.keys(), "field", &lines);
    if let Ok(keys) = ring.token_keys() {
        compare_secrets(v, ring.registry(), keys.keys(), "token", &lines);
    }
    Ok(())
}

fn secret_of(text: &str) -> Vec<u8> {
    if text == "-" { Vec::new() } else { super::unhex(text) }
}

fn compare_secrets<'a>(
    v: &Vector,
    registry: &Name,
    keys: impl Iterator<Item = &'a Key>,
    purpose: &str,
    lines: &[Vec<&str>],
) {
    assert_eq!(registry.as_str(), "demo-registry", "{}", v.name);
    let listed = lines.iter().filter(|line| line[0] == purpose).map(|line| line[3].to_owned());
    let held = keys.map(|key| key.secret.as_ref().map_or("-".to_owned(), |secret| hex(secret.expose())));
    assert!(held.eq(listed), "{}: secrets of purpose {purpose}", v.name);
}

/// Both engines' XChaCha20-Poly1305 is ChaCha20-Poly1305 under the subkey that the vectors list.
#[test]
fn xchacha_is_chacha_under_the_subkey_of_the_vectors() {
    use chacha20poly1305::aead::AeadInOut;
    for v in Vector::successes("open") {
        let Some(subkey) = v.get("xchacha-subkey") else { continue };
        let (key, envelope) = (v.bytes("field-key"), v.bytes("envelope"));
        let nonce: [u8; 24] = *envelope[18..].first_chunk().expect("a nonce");
        let mut inner = [0; 12];
        inner[4..].copy_from_slice(&nonce[16..]);
        let mut direct = [3; 33];
        let cipher =
            chacha20poly1305::ChaCha20Poly1305::new_from_slice(&super::unhex(subkey)).expect("a key");
        let tag =
            cipher.encrypt_inout_detached(&inner.into(), b"ad", (&mut direct[..]).into()).expect("sealed");
        for engine in ENGINES {
            let mut text = [3; 33];
            let xchacha = XChaCha::new(engine, Secret::copy_from(&key).expect("32 bytes"));
            assert_eq!(xchacha_seal(&xchacha, &nonce, b"ad", &mut text)[..], tag[..]);
            assert_eq!(text, direct);
        }
    }
}
