// SPDX-License-Identifier: MIT OR Apache-2.0
//! Fernet tokens, of one key or several (MultiFernet).
//!
//! Owns the opening of a token. Never enforces its timestamp: a stored value does not expire. Source: the Fernet specification of 2013,
//! version 0x80.
//!
//! A token names no key. Which of several keys made it is decided as the format has it, by the code over the whole token (HMAC-SHA-256):
//! the key that confirms the code is the key, and nothing is decrypted before.

use core::fmt;

use aes::Aes128;
use amanat::error::{Error, Result};
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt, KeyIvInit};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::limits::{bounded, unauthentic};
use crate::reader::Reader;
use crate::text::{base64url, bounded_key_file};
use crate::{Opener, Origin};

/// Opens Fernet tokens.
pub struct Fernet {
    keys: Vec<Key>,
}

struct Key {
    /// Made ready once; a clone of it takes in one token.
    code: Hmac<Sha256>,
    cipher: Zeroizing<[u8; KEY_BYTES]>,
}

impl Fernet {
    /// Reads keys, one a line, each base64url of 32 bytes. Lines that are empty or begin with `#` are passed over. At most
    /// [`MAX_FERNET_KEYS`].
    ///
    /// # Errors
    /// `Malformed` if a line is no key, a key occurs twice or there is none; `Limit` if there are too many.
    pub fn from_key_file(key_file: &[u8]) -> Result<Self> {
        let lines = bounded_key_file(key_file)?.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
        let mut texts: Vec<&[u8]> = Vec::new();
        for text in lines.filter(|line| !line.is_empty() && !line.starts_with(b"#")) {
            if texts.contains(&text) {
                return Err(Error::malformed("the key file of Fernet has a key twice"));
            }
            texts.push(text);
        }
        if texts.is_empty() {
            return Err(Error::malformed("the key file of Fernet has no key"));
        }
        if texts.len() > MAX_FERNET_KEYS {
            return Err(Error::limit(format!("a key file of more than {MAX_FERNET_KEYS} Fernet keys")));
        }
        texts.into_iter().map(Key::parse).collect::<Result<_>>().map(|keys| Self { keys })
    }
}

impl Key {
    fn parse(text: &[u8]) -> Result<Self> {
        let wrong = || Error::malformed("a line of the key file of Fernet is not base64url of 32 bytes");
        let bytes = Zeroizing::new(base64url(text).map_err(|_| wrong())?);
        let Ok([code, cipher]) = <&[[u8; KEY_BYTES]; 2]>::try_from(bytes.as_chunks().0) else {
            return Err(wrong());
        };
        if bytes.len() != 2 * KEY_BYTES {
            return Err(wrong());
        }
        let code = Hmac::new_from_slice(code).map_err(|_| wrong())?;
        Ok(Self { code, cipher: Zeroizing::new(*cipher) })
    }

    /// Compares in constant time.
    fn confirms(&self, authenticated: &[u8], code: &[u8; CODE_BYTES]) -> bool {
        self.code.clone().chain_update(authenticated).verify_slice(code).is_ok()
    }
}

impl Opener for Fernet {
    fn name(&self) -> &str {
        "fernet"
    }

    fn open(&self, stored: &[u8], _: &Origin<'_>) -> Result<Zeroizing<Vec<u8>>> {
        // version 0x80 | timestamp, 8 bytes | IV, 16 bytes | ciphertext | code, 32 bytes
        let token = base64url(bounded(stored)?)?;
        let mut reader = Reader::new(&token);
        if reader.byte()? != VERSION {
            return Err(Error::unsupported("a Fernet token of another version than 0x80"));
        }
        reader.take(TIMESTAMP_BYTES)?;
        let iv = reader.array::<BLOCK_BYTES>()?;
        let code = reader.last::<CODE_BYTES>()?;
        let ciphertext = reader.rest();
        if ciphertext.is_empty() || !ciphertext.len().is_multiple_of(BLOCK_BYTES) {
            return Err(Error::malformed("the ciphertext of a Fernet token is not whole blocks: cut off?"));
        }
        let (authenticated, _) = token.split_at(token.len() - CODE_BYTES);
        let key = self.keys.iter().find(|key| key.confirms(authenticated, code)).ok_or_else(unauthentic)?;
        let mut text = Zeroizing::new(ciphertext.to_vec());
        let decryptor = cbc::Decryptor::<Aes128>::new((&*key.cipher).into(), iv.into());
        let length = decryptor.decrypt_padded::<Pkcs7>(&mut text).map_err(|_| unauthentic())?.len();
        text.truncate(length);
        Ok(text)
    }
}

impl fmt::Debug for Fernet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fernet").field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}

/// Most keys of a key file: each costs a check of the whole token.
pub const MAX_FERNET_KEYS: usize = 64;

const BLOCK_BYTES: usize = 16;
const CODE_BYTES: usize = 32;
const KEY_BYTES: usize = 16;
const TIMESTAMP_BYTES: usize = 8;
const VERSION: u8 = 0x80;
