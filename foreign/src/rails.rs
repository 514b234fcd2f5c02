// SPDX-License-Identifier: MIT OR Apache-2.0
//! Values of Rails' Active Record Encryption, in its JSON form.
//!
//! Owns the opening of a value, deterministic or not, directly or under a key of its own. Never tries a key. Source: the guide "Active
//! Record Encryption" of Rails 7.0 to 8.1.
//!
//! The format authenticates the payload and nothing else: whoever writes to the table can add or drop the mark that a payload is compressed.

use core::fmt;

use amanat::error::{Error, Result};
use pbkdf2::pbkdf2_hmac;
use serde::Deserialize;
use sha1::{Digest, Sha1};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::aead::{Aead, TAG_BYTES};
use crate::limits::{Compression, bounded, inflate, unauthentic};
use crate::text::{SecretText, base64, key_json};
use crate::{Opener, Origin};

/// Opens values of Active Record Encryption.
pub struct Rails {
    keys: Vec<Key>,
}

struct Key {
    /// The first four hexadecimal digits of SHA-1 of the key, which a value may name.
    id: [u8; ID_BYTES],
    cipher: Aead,
}

impl Rails {
    /// Reads a key file of JSON: `primary_key` (a text, or a list of them) or `deterministic_key` (a text), `key_derivation_salt`, and `digest`
    /// (`SHA1` or `SHA256`).
    ///
    /// # Errors
    /// `Malformed` if it is not such a file; `Unsupported` if two keys have the same id; `Limit` if there are more than [`MAX_RAILS_KEYS`].
    pub fn from_key_file(key_file: &[u8]) -> Result<Self> {
        let file: File = key_json(key_file, "the key file of Rails")?;
        let passwords = match (file.primary_key, file.deterministic_key) {
            (Some(Passwords::Several(passwords)), None) => passwords,
            (Some(Passwords::One(password)), None) | (None, Some(password)) => vec![password],
            _ => {
                return Err(Error::malformed(
                    "the key file of Rails needs primary_key, or deterministic_key for a deterministic attribute, and not both",
                ));
            }
        };
        if passwords.len() > MAX_RAILS_KEYS {
            return Err(Error::limit(format!("a key file of more than {MAX_RAILS_KEYS} primary keys")));
        }
        let mut keys: Vec<Key> = Vec::with_capacity(passwords.len());
        for password in &passwords {
            let key = Key::derive(password.expose(), file.key_derivation_salt.expose(), file.digest)?;
            if keys.iter().any(|other| other.id == key.id) {
                return Err(Error::unsupported(
                    "two primary keys of Rails have the same id; a value does not tell them apart: leave one",
                ));
            }
            keys.push(key);
        }
        if keys.is_empty() {
            return Err(Error::malformed("the key file of Rails has no primary key"));
        }
        Ok(Self { keys })
    }

    fn select(&self, id: Option<&str>) -> Result<&Key> {
        match (id, self.keys.as_slice()) {
            (None, [only]) => Ok(only),
            (None, _) => Err(Error::unsupported(
                "the value names no key and the key file has several primary keys; none is tried: leave the one that sealed the column",
            )),
            (Some(id), keys) => {
                let id = base64(id.as_bytes())?;
                let found = keys.iter().find(|key| key.id.as_slice() == id);
                found.ok_or_else(|| {
                    Error::no_such_key("the value names a primary key that is not in the key file")
                })
            }
        }
    }
}

impl Key {
    fn derive(password: &str, salt: &str, digest: Hash) -> Result<Self> {
        if password.is_empty() {
            return Err(Error::malformed("a primary key of Rails is empty"));
        }
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        match digest {
            Hash::Sha1 => {
                pbkdf2_hmac::<Sha1>(password.as_bytes(), salt.as_bytes(), ROUNDS, key.as_mut_slice())
            }
            Hash::Sha256 => {
                pbkdf2_hmac::<Sha256>(password.as_bytes(), salt.as_bytes(), ROUNDS, key.as_mut_slice())
            }
        }
        let [first, second, ..]: [u8; 20] = Sha1::digest(key.as_slice()).into();
        let digits = format!("{first:02x}{second:02x}");
        let id = digits.as_bytes().try_into().map_err(|_| unauthentic())?;
        let cipher = Aead::aes_256_gcm(key.as_slice()).ok_or_else(unauthentic)?;
        Ok(Self { id, cipher })
    }
}

impl Opener for Rails {
    fn name(&self) -> &str {
        "rails"
    }

    fn open(&self, stored: &[u8], _: &Origin<'_>) -> Result<Zeroizing<Vec<u8>>> {
        // {"p": payload, "h": {"iv": nonce, "at": tag, "c": compressed?, "e": encoding?, "i": key id?, "k": sealed key?}}, base64 inside
        let message: Message = serde_json::from_slice(bounded(stored)?).map_err(|_| not_a_message())?;
        let headers = &message.h;
        check_text_encoding(headers.e.as_deref())?;
        let payload = Sealed::decode(&message.p, &headers.iv, &headers.at)?;
        let key = self.select(headers.i.as_deref())?;
        let text = match &headers.k {
            None => payload.open(&key.cipher)?,
            Some(sealed) => {
                check_text_encoding(sealed.h.e.as_deref())?;
                let sealed = Sealed::decode(&sealed.p, &sealed.h.iv, &sealed.h.at)?;
                let own = Aead::aes_256_gcm(&sealed.open(&key.cipher)?).ok_or_else(unauthentic)?;
                payload.open(&own)?
            }
        };
        if headers.c { inflate(&text, Compression::Zlib) } else { Ok(text) }
    }
}

/// The bytes of a message, before a key is used.
struct Sealed {
    payload: Vec<u8>,
    nonce: [u8; NONCE_BYTES],
    tag: [u8; TAG_BYTES],
}

impl Sealed {
    fn decode(payload: &str, nonce: &str, tag: &str) -> Result<Self> {
        let wrong = |_| Error::malformed("a nonce or tag of Active Record Encryption is of a wrong length");
        Ok(Self {
            payload: base64(payload.as_bytes())?,
            nonce: base64(nonce.as_bytes())?.try_into().map_err(wrong)?,
            tag: base64(tag.as_bytes())?.try_into().map_err(wrong)?,
        })
    }

    fn open(&self, key: &Aead) -> Result<Zeroizing<Vec<u8>>> {
        key.open_parts(&self.nonce, &self.payload, &self.tag, b"")
    }
}

/// The plaintext is bytes, US-ASCII or UTF-8; text of other encodings would have to be converted.
fn check_text_encoding(name: Option<&str>) -> Result<()> {
    let Some(name) = name else { return Ok(()) };
    let name = base64(name.as_bytes())?;
    if [&b"ASCII-8BIT"[..], b"BINARY", b"US-ASCII", b"UTF-8"].contains(&name.as_slice()) {
        return Ok(());
    }
    Err(Error::unsupported(
        "text of Active Record Encryption in another encoding than UTF-8, US-ASCII or bytes",
    ))
}

fn not_a_message() -> Error {
    Error::malformed(
        "not a message of Active Record Encryption: JSON of p and h, with iv and at in h, and c, e, i and k at most",
    )
}

impl fmt::Debug for Rails {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rails").field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    primary_key: Option<Passwords>,
    deterministic_key: Option<SecretText>,
    key_derivation_salt: SecretText,
    digest: Hash,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Passwords {
    One(SecretText),
    Several(Vec<SecretText>),
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Hash {
    Sha1,
    Sha256,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Message {
    p: String,
    h: Headers,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Headers {
    iv: String,
    at: String,
    #[serde(default)]
    c: bool,
    e: Option<String>,
    i: Option<String>,
    k: Option<DataKey>,
}

/// A key that seals one value, itself sealed by a primary key.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DataKey {
    p: String,
    h: DataKeyHeaders,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DataKeyHeaders {
    iv: String,
    at: String,
    /// Rails notes here that the key is bytes.
    e: Option<String>,
}

/// Most primary keys of a key file: each costs 65,536 rounds when the file is read.
pub const MAX_RAILS_KEYS: usize = 64;

const ID_BYTES: usize = 4;
const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 12;
const ROUNDS: u32 = 65_536;
