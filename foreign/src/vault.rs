// SPDX-License-Identifier: MIT OR Apache-2.0
//! Values of the Transit engine of Vault and OpenBao: `vault:v1:…`, with keys exported from it.
//!
//! Owns the opening of a value by the version that it names. Never asks a server. Source: the documentation of the Transit engine.

use std::collections::BTreeMap;

use amanat::error::{Error, Result};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::aead::Aead;
use crate::limits::bounded;
use crate::text::{Associated, SecretText, base64, key_json};
use crate::{Opener, Origin};

/// Opens values of one Transit key, in all its versions.
#[derive(Debug)]
pub struct Vault {
    versions: BTreeMap<u32, Aead>,
    associated: Associated,
}

impl Vault {
    /// Reads what `vault read -format=json transit/export/encryption-key/NAME` gives, or its member `data` alone. A member
    /// `associated_data` may be added to the outermost object.
    ///
    /// # Errors
    /// `Malformed` if it is not such an export, `Unsupported` if the key is of a type that is not opened here, which is named.
    pub fn from_key_file(key_file: &[u8]) -> Result<Self> {
        let file: File = key_json(key_file, WHAT)?;
        let (Some(kind), Some(keys)) = (
            file.data.as_ref().map_or(file.kind.as_ref(), |data| data.kind.as_ref()),
            file.data.as_ref().map_or(file.keys.as_ref(), |data| data.keys.as_ref()),
        ) else {
            return Err(Error::malformed(
                "the key file of Vault has not the members keys and type of an export",
            ));
        };
        if keys.is_empty() {
            return Err(Error::malformed("the key file of Vault has no key"));
        }
        let ready = constructor(kind)?;
        let mut versions = BTreeMap::new();
        for (version, key) in keys {
            let wrong = || Error::malformed(format!("a key of the export is not base64 of a key of {kind}"));
            let number = version_number(version).ok_or_else(|| {
                Error::malformed("a version in the key file of Vault is not a number from 1")
            })?;
            let key = Zeroizing::new(base64(key.expose().as_bytes()).map_err(|_| wrong())?);
            versions.insert(number, ready(&key).ok_or_else(wrong)?);
        }
        Ok(Self { versions, associated: Associated::parse(file.associated_data.as_deref())? })
    }
}

type Constructor = fn(&[u8]) -> Option<Aead>;

/// How a key of the type is made ready. Only the names of types that Vault has are repeated.
fn constructor(kind: &str) -> Result<Constructor> {
    match kind {
        "aes128-gcm96" => Ok(Aead::aes_128_gcm),
        "aes256-gcm96" => Ok(Aead::aes_256_gcm),
        "chacha20-poly1305" => Ok(Aead::chacha20_poly1305),
        "xchacha20-poly1305" => Ok(Aead::xchacha20_poly1305),
        _ => {
            let name = OTHER_TYPES.iter().find(|name| **name == kind).unwrap_or(&"unknown");
            Err(Error::unsupported(format!(
                "a Vault key of type {name}; aes128-gcm96, aes256-gcm96, chacha20-poly1305 and xchacha20-poly1305 are opened"
            )))
        }
    }
}

impl Opener for Vault {
    fn name(&self) -> &str {
        "vault"
    }

    fn open(&self, stored: &[u8], origin: &Origin<'_>) -> Result<Zeroizing<Vec<u8>>> {
        // vault:v | version, decimal | : | base64 of nonce, ciphertext and tag
        let malformed =
            || Error::malformed("not a value of Vault's Transit engine: vault:v, a version, a colon, base64");
        let text = core::str::from_utf8(bounded(stored)?).map_err(|_| malformed())?;
        let (version, sealed) =
            text.strip_prefix("vault:v").and_then(|text| text.split_once(':')).ok_or_else(malformed)?;
        let version = version_number(version).ok_or_else(malformed)?;
        let sealed = base64(sealed.as_bytes())?;
        let key = self.versions.get(&version).ok_or_else(|| {
            Error::no_such_key(format!(
                "version {version} of the Transit key is not in the export; lower min_decryption_version and export again"
            ))
        })?;
        key.open(&sealed, &self.associated.of(origin)?)
    }
}

/// A version in its one form: digits, no zero before them.
fn version_number(text: &str) -> Option<u32> {
    let canonical = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    if canonical { text.parse().ok() } else { None }
}

// Unknown members are passed over: the answer of a server has several that say nothing of the key.
#[derive(Deserialize)]
struct File {
    data: Option<Export>,
    keys: Option<BTreeMap<String, SecretText>>,
    #[serde(rename = "type")]
    kind: Option<String>,
    associated_data: Option<String>,
}

#[derive(Deserialize)]
struct Export {
    keys: Option<BTreeMap<String, SecretText>>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

const WHAT: &str = "the key file of Vault";
const OTHER_TYPES: &[&str] = &[
    "aes128-cmac",
    "aes192-cmac",
    "aes256-cmac",
    "ecdsa-p256",
    "ecdsa-p384",
    "ecdsa-p521",
    "ed25519",
    "hmac",
    "hybrid",
    "managed_key",
    "ml-dsa",
    "rsa-2048",
    "rsa-3072",
    "rsa-4096",
    "slh-dsa",
];
