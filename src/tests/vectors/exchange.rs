// SPDX-License-Identifier: MIT OR Apache-2.0
//! Vectors of translated tokens, receipts, and FF1 alone.

use aes::cipher::KeyInit;

use super::listed_keys;
use crate::crypto::aes_gcm::Aes256Gcm;
use crate::crypto::ff1::Ff1;
use crate::crypto::{Engine, kdf};
use crate::error::Result;
use crate::ident::Name;
use crate::keys::{Keyset, Purpose};
use crate::secret::SecretBytes;
use crate::tests::gcm_seal;
use crate::tests::vector::Vector;
use crate::token::{Audience, Receipt, RecipientSecretKey, SealedToken, Token};
use crate::wire::{decode_base64, pae};

pub(super) fn ff1(v: &Vector) -> Result<()> {
    let numerals = |key: &str| -> Vec<u16> {
        v.one(key).split(' ').map(|numeral| numeral.parse().expect("a numeral")).collect()
    };
    let cipher = aes::Aes256Enc::new_from_slice(&v.bytes("aes-key")).expect("a key");
    let (ff1, radix, tweak) =
        (Ff1::with_cipher(cipher), v.one("radix").parse().expect("a radix"), v.bytes("tweak"));
    let plain = numerals("plain");
    let mut run = plain.clone();
    ff1.encrypt(radix, &tweak, &mut run)?;
    assert_eq!(run, numerals("sealed"), "{}", v.name);
    ff1.decrypt(radix, &tweak, &mut run)?;
    assert_eq!(run, plain, "{}", v.name);
    Ok(())
}

pub(super) fn receipt(v: &Vector) -> Result<()> {
    let receipt = Receipt::parse(&v.file)?;
    let keys = listed_keys(v, Purpose::Token);
    let registry = Name::new("demo-registry")?;
    receipt.verify(&Keyset::new(&registry, &keys)?)?;
    v.same("key-id", receipt.key().as_bytes());
    v.same("mac-key", kdf::derive::<32>(&v.secret(), &[kdf::RECEIPT, registry.as_bytes()]).expose());
    assert_eq!(receipt.to_json().as_bytes(), v.file, "{}", v.name);
    Ok(())
}

/// What a vector of kind `translation` opens with.
pub(in crate::tests) struct Translated {
    key: RecipientSecretKey,
    registry: Name,
    audience: Audience,
    pub(in crate::tests) sealed: SealedToken,
}

impl Translated {
    pub(in crate::tests) fn of(v: &Vector) -> Result<Self> {
        let text = format!("{}\n", v.one("recipient-key"));
        Ok(Self {
            key: RecipientSecretKey::parse(&SecretBytes::new(text.into()))?,
            registry: v.text_name("registry"),
            audience: Audience::new(v.one("recipient"), v.one("token-purpose"))?,
            sealed: SealedToken::parse(v.one("text"))?,
        })
    }

    pub(in crate::tests) fn open(&self, bytes: &[u8]) -> Result<Token> {
        SealedToken::from_bytes(bytes)?.open(&self.key, &self.registry, &self.audience)
    }
}

pub(super) fn translation(v: &Vector) -> Result<()> {
    let translated = Translated::of(v)?;
    let Translated { key, sealed, .. } = &translated;
    let token = translated.open(sealed.as_bytes())?;
    v.same_text("token", token.to_text());
    v.same_text("public-text", key.public());
    v.same("public", &decoded(&key.public().to_string()["amk1.".len()..]));
    assert_eq!(sealed.to_text(), v.one("text"), "{}", v.name);
    let names = ["registry", "recipient", "token-purpose"].map(|key| v.one(key).as_bytes());
    v.same("info", &pae(&[&[kdf::TRANSLATION], &names[..]].concat()));
    // The vector's ephemeral key is the reference's: the library draws its own.
    let (secret, _) = (v.bytes("shared-secret"), v.bytes("ephemeral"));
    let (key, nonce) = key_schedule(&secret, &v.bytes("info"));
    v.same("hpke-key", &key);
    v.same("base-nonce", &nonce);
    // The rest of HPKE is AES-256-GCM with these: the shared secret of the vector is that of the library.
    let mut text = token.to_text().into_bytes();
    let gcm = Aes256Gcm::new(Engine::Ring, &key);
    let tag = gcm_seal(&gcm, nonce, &[], &mut text);
    assert_eq!([&text[..], &tag].concat(), sealed.as_bytes()[33..], "{}", v.name);
    Ok(())
}

fn decoded(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    decode_base64(text, &mut bytes).expect("base64url");
    bytes
}

/// KeySchedule of RFC 9180 section 5.1 in base mode, by its definition.
fn key_schedule(shared_secret: &[u8], info: &[u8]) -> ([u8; 32], [u8; 12]) {
    const SUITE: &[u8] = b"HPKE\x00\x20\x00\x01\x00\x02";
    let extract = |salt: &[u8], label: &[u8], material: &[u8]| {
        let salt = if salt.is_empty() { &[0; 32] } else { salt };
        kdf::hmac_sha256(salt, &[b"HPKE-v1", SUITE, label, material])
    };
    // Every output fits one block of HKDF-Expand.
    let expand = |secret: &[u8], label: &[u8], context: &[u8], length: u8| {
        kdf::hmac_sha256(secret, &[&[0, length], b"HPKE-v1", SUITE, label, context, &[1]])
    };
    let context = [&[0][..], &extract(&[], b"psk_id_hash", &[]), &extract(&[], b"info_hash", info)].concat();
    let secret = extract(shared_secret, b"secret", &[]);
    let nonce = expand(&secret, b"base_nonce", &context, 12);
    (expand(&secret, b"key", &context, 32), nonce[..12].try_into().expect("12 bytes"))
}
