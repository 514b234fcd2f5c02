// SPDX-License-Identifier: MIT OR Apache-2.0
//! Values of Tink's AEAD with AES-GCM keys.
//!
//! Owns the choice of a keyset's key by the prefix of a value. Never tries a key. Source: Tink's wire format; the protocol buffers of its
//! keys.

use core::fmt;

use amanat::error::{Error, Result};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::aead::Aead;
use crate::limits::bounded;
use crate::reader::Reader;
use crate::text::{Associated, Encoding, SecretText, base64, key_json};
use crate::{Opener, Origin};

/// Opens values that a Tink keyset sealed.
pub struct Tink {
    /// Keys whose values begin with their prefix; none where the keyset has it disabled or destroyed.
    prefixed: Vec<([u8; PREFIX_BYTES], Option<Aead>)>,
    /// The one key whose values begin with the nonce.
    raw: Option<Aead>,
    associated: Associated,
    encoding: Encoding,
}

impl Tink {
    /// Reads a keyset in the clear, as JSON. The members `associated_data` and `encoding` may be added to it.
    ///
    /// # Errors
    /// `Malformed` if it is no such keyset; `Unsupported` if it is encrypted, has a key of a type that is not opened here, which is named, or
    /// several keys without a prefix: no value tells which of them sealed it. `Limit` if it has more than [`MAX_TINK_KEYS`] keys.
    pub fn from_key_file(key_file: &[u8]) -> Result<Self> {
        let file: Keyset = key_json(key_file, "the key file of Tink")?;
        if file.encrypted_keyset.is_some() {
            return Err(Error::unsupported(
                "the keyset of Tink is encrypted; convert it to one in the clear with `tinkey convert-keyset`",
            ));
        }
        if file.key.is_empty() {
            return Err(Error::malformed("the keyset of Tink has no key"));
        }
        if file.key.len() > MAX_TINK_KEYS {
            return Err(Error::limit(format!("a keyset of more than {MAX_TINK_KEYS} keys")));
        }
        let associated = Associated::parse(file.associated_data.as_deref())?;
        let encoding = file.encoding.unwrap_or(Encoding::Binary);
        let mut tink = Self { prefixed: Vec::new(), raw: None, associated, encoding };
        file.key.into_iter().try_for_each(|entry| tink.add(&entry))?;
        Ok(tink)
    }

    fn add(&mut self, entry: &Entry) -> Result<()> {
        let version = match entry.output_prefix_type {
            Prefix::Crunchy => Some(0),
            Prefix::Raw => None,
            Prefix::Tink => Some(1),
            Prefix::Legacy => {
                return Err(Error::unsupported(format!(
                    "Tink key {} has the prefix LEGACY; TINK, CRUNCHY and RAW are opened",
                    entry.key_id
                )));
            }
        };
        let key = match entry.status {
            Status::Destroyed | Status::Disabled => None,
            Status::Enabled => Some(key(entry)?),
        };
        match (version, key) {
            (Some(version), key) => self.add_prefixed(version, entry.key_id, key),
            (None, Some(key)) => self.add_raw(key),
            (None, None) => Ok(()),
        }
    }

    fn add_prefixed(&mut self, version: u8, id: u32, key: Option<Aead>) -> Result<()> {
        let [a, b, c, d] = id.to_be_bytes();
        let prefix = [version, a, b, c, d];
        if self.prefixed.iter().any(|(other, _)| *other == prefix) {
            return Err(Error::malformed(format!("the keyset of Tink has two keys of id {id}")));
        }
        self.prefixed.push((prefix, key));
        Ok(())
    }

    fn add_raw(&mut self, key: Aead) -> Result<()> {
        match self.raw.replace(key) {
            None => Ok(()),
            Some(_) => Err(Error::unsupported(
                "the keyset of Tink has several enabled keys without a prefix (RAW); no value tells which sealed it: leave one",
            )),
        }
    }

    /// The key and what it sealed. A value of the RAW key begins like one of a prefixed key once in 2^40 values.
    fn select<'a>(&self, sealed: &'a [u8]) -> Result<(&Aead, &'a [u8])> {
        let mut reader = Reader::new(sealed);
        let prefix @ [version, ..] = reader.array::<PREFIX_BYTES>()?;
        let found = self.prefixed.iter().find(|(other, _)| other == prefix);
        match (found, &self.raw) {
            (Some((_, Some(key))), _) => Ok((key, reader.rest())),
            (Some((_, None)), _) => Err(absent(prefix, "is disabled or destroyed in the keyset: enable it")),
            (None, Some(raw)) => Ok((raw, sealed)),
            (None, None) if [0, 1].contains(version) => Err(absent(prefix, "is not in the keyset")),
            (None, None) => Err(Error::malformed(
                "not a value of Tink: no prefix, and the keyset has no key without one (RAW)",
            )),
        }
    }
}

fn absent(prefix: &[u8; PREFIX_BYTES], why: &str) -> Error {
    let [_, id @ ..] = *prefix;
    Error::no_such_key(format!("the value names Tink key {}, which {why}", u32::from_be_bytes(id)))
}

/// The key of an entry: protocol buffer AesGcmKey, with field 1 the version (0) and field 3 the key.
fn key(entry: &Entry) -> Result<Aead> {
    let id = entry.key_id;
    if entry.key_data.type_url != AES_GCM {
        let name = type_name(&entry.key_data.type_url);
        return Err(Error::unsupported(format!("Tink key {id} is of type {name}; {AES_GCM} is opened")));
    }
    let wrong = || Error::malformed(format!("Tink key {id} is not base64 of an AesGcmKey of 16 or 32 bytes"));
    let message = Zeroizing::new(base64(entry.key_data.value.expose().as_bytes()).map_err(|_| wrong())?);
    let mut reader = Reader::new(&message);
    let mut key = None;
    while !reader.is_empty() {
        match reader.byte()? {
            VERSION_FIELD => match reader.byte()? {
                0 => {}
                _ => return Err(Error::unsupported(format!("Tink key {id} is of a later version than 0"))),
            },
            KEY_FIELD if key.is_none() => {
                let length = usize::from(reader.byte()?);
                key = Some(Aead::aes_gcm(reader.take(length).map_err(|_| wrong())?).ok_or_else(wrong)?);
            }
            _ => return Err(wrong()),
        }
    }
    key.ok_or_else(wrong)
}

/// The type URL if it looks like one; a text that stands in its place by mistake is not repeated.
fn type_name(url: &str) -> &str {
    let name = url.strip_prefix("type.googleapis.com/google.crypto.tink.").unwrap_or_default();
    let is_name = (1..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if is_name { url } else { "that is unknown" }
}

impl Opener for Tink {
    fn name(&self) -> &str {
        "tink"
    }

    fn open(&self, stored: &[u8], origin: &Origin<'_>) -> Result<Zeroizing<Vec<u8>>> {
        // prefix, 5 or 0 bytes | nonce, 12 bytes | ciphertext | tag, 16 bytes
        let sealed = self.encoding.decode(bounded(stored)?)?;
        let (key, sealed) = self.select(&sealed)?;
        key.open(sealed, &self.associated.of(origin)?)
    }
}

impl fmt::Debug for Tink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.prefixed.len() + usize::from(self.raw.is_some());
        f.debug_struct("Tink").field("keys", &keys).field("encoding", &self.encoding).finish_non_exhaustive()
    }
}

// Members of a keyset that this reader does not know are passed over, as Tink passes them over.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Keyset {
    #[serde(default)]
    key: Vec<Entry>,
    encrypted_keyset: Option<serde::de::IgnoredAny>,
    #[serde(rename = "associated_data")]
    associated_data: Option<String>,
    encoding: Option<Encoding>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    key_data: KeyData,
    status: Status,
    key_id: u32,
    output_prefix_type: Prefix,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct KeyData {
    type_url: String,
    #[serde(default = "no_value")]
    value: SecretText,
}

/// JSON of protocol buffers leaves out what is empty.
fn no_value() -> SecretText {
    SecretText::from(String::new())
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Status {
    Destroyed,
    Disabled,
    Enabled,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Prefix {
    Crunchy,
    Legacy,
    Raw,
    Tink,
}

/// Most keys of a keyset.
pub const MAX_TINK_KEYS: usize = 1_024;

const AES_GCM: &str = "type.googleapis.com/google.crypto.tink.AesGcmKey";
const KEY_FIELD: u8 = 0x1a;
const PREFIX_BYTES: usize = 5;
const VERSION_FIELD: u8 = 0x08;
