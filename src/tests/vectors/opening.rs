// SPDX-License-Identifier: MIT OR Apache-2.0
//! Vectors of sealed fields and reversible envelopes: opening, every intermediate value, sealing again.

use std::borrow::Cow;

use aes::Aes256Enc;
use aes::cipher::{BlockCipherEncrypt, KeyInit};

use super::{bucket, context, keys, pad};
use crate::blob::{self, BlobKey};
use crate::context::{AssociatedData, FieldContext, RecordId};
use crate::crypto::aes_gcm::Aes256Gcm;
use crate::crypto::chunked::Chunked;
use crate::crypto::random::Nonces;
use crate::crypto::xaes::Xaes;
use crate::crypto::xchacha::XChaCha;
use crate::crypto::{Engine, kdf, siv};
use crate::envelope::{Envelope, to_text};
use crate::error::Result;
use crate::field::{Family, FieldOpener, FieldSealer, OpenOptions, SealOptions, field_key};
use crate::keys::{Allowance, Field, Keyset, Purpose, State, Token};
use crate::secret::Secret;
use crate::suite::Suite;
use crate::tests::vector::Vector;
use crate::tests::{ENGINES, gcm_seal, unhex, xchacha_seal};
use crate::token::{Audience, Epoch, ReversibleTokens};
use crate::value::{Bucket, ValueRef};

/// What a vector of kind `open` opens with.
pub(in crate::tests) struct Opening {
    engine: Engine,
    context: FieldContext,
    record: RecordId<'static>,
    pub(in crate::tests) opener: FieldOpener,
    pub(in crate::tests) envelope: Vec<u8>,
}

impl Opening {
    pub(in crate::tests) fn of(v: &Vector, engine: Engine) -> Result<Self> {
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
    pub(in crate::tests) fn try_open(&mut self, envelope: &[u8]) -> Result<()> {
        self.opener.open(&self.record, envelope).map(|_| ())
    }

    pub(super) fn open(mut self, v: &Vector) -> Result<()> {
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
        let active = [super::key(v.secret(), Purpose::Field, State::Active, true)];
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
pub(in crate::tests) fn tokens(v: &Vector) -> Result<ReversibleTokens> {
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

pub(super) fn open_token(v: &Vector, engine: Engine) -> Result<()> {
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
        let cipher = chacha20poly1305::ChaCha20Poly1305::new_from_slice(&unhex(subkey)).expect("a key");
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
