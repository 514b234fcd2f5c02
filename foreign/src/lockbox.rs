// SPDX-License-Identifier: MIT OR Apache-2.0
//! Values of Lockbox, the Ruby library, in its layout for AES-GCM.
//!
//! Owns the key of an attribute and the opening of a value under it. Never tries previous versions: one key file, one key. Source: the
//! documentation of Lockbox, "Key derivation" after CipherSweet.

use core::fmt;

use amanat::error::{Error, Result};
use hkdf::Hkdf;
use serde::Deserialize;
use sha2::Sha384;
use zeroize::Zeroizing;

use crate::aead::Aead;
use crate::limits::{bounded, unauthentic};
use crate::text::{Associated, Encoding, SecretText, hex, key_json};
use crate::{Opener, Origin};

/// Opens values of Lockbox.
pub struct Lockbox {
    key: Key,
    associated: Associated,
    encoding: Encoding,
    padding: Option<usize>,
}

enum Key {
    /// The key itself, as given to `has_encrypted … key:`.
    Attribute(Aead),
    /// The key from which that of an attribute is derived.
    Master { key: Zeroizing<Vec<u8>>, table: Option<String>, attribute: Option<String> },
}

impl Lockbox {
    /// Reads a key file of JSON: `master_key` or `key` (64 hexadecimal digits), and optionally `table`, `attribute`, `encoding`, `padding`
    /// (bytes of a block), `associated_data` and `algorithm`.
    ///
    /// # Errors
    /// `Malformed` if it is not such a file, `Unsupported` if the algorithm is another one than `aes-gcm`.
    pub fn from_key_file(key_file: &[u8]) -> Result<Self> {
        let file: File = key_json(key_file, "the key file of Lockbox")?;
        check_algorithm(file.algorithm.as_deref())?;
        let padding = match file.padding {
            Some(0) => return Err(Error::malformed("padding in the key file of Lockbox is from 1 byte")),
            padding => padding.map(usize::from),
        };
        let key = match (file.master_key, file.key) {
            (Some(key), None) => {
                Key::Master { key: key_bytes(&key)?, table: file.table, attribute: file.attribute }
            }
            (None, Some(key)) => Key::Attribute(Aead::aes_256_gcm(&key_bytes(&key)?).ok_or_else(wrong_key)?),
            _ => {
                return Err(Error::malformed(
                    "the key file of Lockbox needs master_key or key, and not both",
                ));
            }
        };
        let associated = Associated::parse(file.associated_data.as_deref())?;
        Ok(Self { key, associated, encoding: file.encoding.unwrap_or(Encoding::Base64), padding })
    }
}

fn check_algorithm(name: Option<&str>) -> Result<()> {
    match name {
        None | Some("aes-gcm") => Ok(()),
        Some(name) => {
            let known = ["hybrid", "xchacha20", "xsalsa20"].into_iter().find(|known| *known == name);
            let name = known.unwrap_or("that is unknown");
            Err(Error::unsupported(format!("Lockbox with the algorithm {name}; aes-gcm is opened")))
        }
    }
}

fn key_bytes(text: &SecretText) -> Result<Zeroizing<Vec<u8>>> {
    let bytes = Zeroizing::new(hex(text.expose().as_bytes()).map_err(|_| wrong_key())?);
    if bytes.len() == KEY_BYTES { Ok(bytes) } else { Err(wrong_key()) }
}

fn wrong_key() -> Error {
    Error::malformed("a key of Lockbox is 64 hexadecimal digits")
}

/// HKDF-SHA-384 of the master key; salt: the table's name; info: 32 times 0xb4, then the attribute's name.
fn derive(master: &[u8], table: &str, attribute: &str) -> Result<Aead> {
    let info = [&[0xb4; 32][..], attribute.as_bytes()].concat();
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    let expanded = Hkdf::<Sha384>::new(Some(table.as_bytes()), master).expand(&info, key.as_mut_slice());
    expanded.ok().and_then(|()| Aead::aes_256_gcm(key.as_slice())).ok_or_else(wrong_key)
}

impl Opener for Lockbox {
    fn name(&self) -> &str {
        "lockbox"
    }

    fn open(&self, stored: &[u8], origin: &Origin<'_>) -> Result<Zeroizing<Vec<u8>>> {
        // nonce, 12 bytes | ciphertext | tag, 16 bytes
        let sealed = self.encoding.decode(bounded(stored)?)?;
        let associated = self.associated.of(origin)?;
        let mut text = match &self.key {
            Key::Attribute(key) => key.open(&sealed, &associated),
            Key::Master { key, table, attribute } => {
                let table = table.as_deref().unwrap_or(origin.table);
                let attribute = attribute.as_deref().unwrap_or_else(|| attribute_of(origin.column));
                derive(key, table, attribute)?.open(&sealed, &associated)
            }
        }?;
        if let Some(block) = self.padding {
            let length = unpadded(&text, block).ok_or_else(unauthentic)?;
            text.truncate(length);
        }
        Ok(text)
    }
}

/// The attribute `email` stands in the column `email_ciphertext`.
fn attribute_of(column: &str) -> &str {
    column.strip_suffix("_ciphertext").unwrap_or(column)
}

/// Length before the padding of ISO/IEC 7816-4: 0x80, then zeros, up to a whole block. Variable in time; the text is authentic.
fn unpadded(text: &[u8], block: usize) -> Option<usize> {
    let length = text.iter().rposition(|byte| *byte != 0)?;
    let padded = text.len().is_multiple_of(block) && text.len() - length <= block;
    (padded && text.get(length) == Some(&0x80)).then_some(length)
}

impl fmt::Debug for Lockbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lockbox").field("encoding", &self.encoding).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    master_key: Option<SecretText>,
    key: Option<SecretText>,
    table: Option<String>,
    attribute: Option<String>,
    encoding: Option<Encoding>,
    padding: Option<u8>,
    associated_data: Option<String>,
    algorithm: Option<String>,
}

const KEY_BYTES: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_is_whole_and_of_one_block() {
        assert_eq!(unpadded(b"ab\x80\0", 4), Some(2));
        assert_eq!(unpadded(b"abc\x80", 4), Some(3));
        assert_eq!(unpadded(b"\x80\0\0\0", 4), Some(0));
        assert_eq!(unpadded(b"abcd\x80\0\0\0", 4), Some(4));
        for bad in [&b""[..], b"\0\0\0\0", b"abcd", b"ab\x80", b"abc\x80\0\0\0\0"] {
            assert_eq!(unpadded(bad, 4), None, "{bad:?}");
        }
    }
}
