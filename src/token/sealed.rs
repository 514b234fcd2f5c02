// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tokens sealed to their recipient's public key: whoever carries them learns nothing.
//!
//! Owns SPEC 10.8. Never says who sealed: anybody with the public key can.

use core::fmt;
use core::str::FromStr;

use super::text::{Audience, MAX_TOKEN_CHARACTERS, Token};
use crate::crypto::hpke::{KEY_BYTES, open as open_hpke, public_of, seal as seal_hpke};
use crate::crypto::{kdf, random};
use crate::error::{Error, Result};
use crate::ident::Name;
use crate::secret::{Secret, SecretBytes};
use crate::suite::TAG_BYTES;
use crate::wire::{Reader, append_base64, base64, decode_base64, pae};

/// The version byte of a sealed token.
const VERSION: u8 = 0x01;
const SEALED_PREFIX: &str = "amx1.";
const PUBLIC_PREFIX: &str = "amk1.";
const SECRET_PREFIX: &str = "amanat-recipient-key-v1:";
/// Version, encapsulated key and tag.
const OVERHEAD: usize = 1 + KEY_BYTES + TAG_BYTES;

/// A recipient's public key (X25519), to which tokens are sealed.
///
/// Shape: 32 bytes; as text `amk1.` and 43 characters of base64url. The registry must get it from the recipient on a way that nobody else
/// can write to: a key of somebody else opens what is sealed to it.
#[derive(Clone, PartialEq, Eq)]
pub struct RecipientPublicKey([u8; KEY_BYTES]);

impl fmt::Display for RecipientPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PUBLIC_PREFIX}{}", base64(&self.0))
    }
}

impl fmt::Debug for RecipientPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecipientPublicKey({self})")
    }
}

impl FromStr for RecipientPublicKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || Error::malformed("not a recipient's public key: expected `amk1.` and 43 characters");
        let mut bytes = Vec::new();
        decode_base64(text.strip_prefix(PUBLIC_PREFIX).ok_or_else(wrong)?, &mut bytes)?;
        bytes.try_into().map(Self).map_err(|_| wrong())
    }
}

/// A recipient's secret key. Wiped when dropped.
#[derive(Debug)]
pub struct RecipientSecretKey(Secret<KEY_BYTES>);

impl RecipientSecretKey {
    /// Makes a new one.
    ///
    /// # Errors
    /// `Entropy`.
    pub fn generate() -> Result<Self> {
        random::secret().map(Self)
    }

    /// The public key to give to registries.
    #[must_use]
    pub fn public(&self) -> RecipientPublicKey {
        RecipientPublicKey(public_of(&self.0))
    }

    /// Reads the text of a key's file. The caller checks that nobody but its owner may read it.
    ///
    /// # Errors
    /// `Malformed` if it is not one line of `amanat-recipient-key-v1:` and 43 characters.
    pub fn parse(text: &SecretBytes) -> Result<Self> {
        let wrong = || {
            Error::malformed(
                "not a recipient's key file: expected one line, `amanat-recipient-key-v1:` and 43 characters",
            )
        };
        let text = core::str::from_utf8(text.expose()).map_err(|_| wrong())?;
        let line = text.strip_suffix('\n').and_then(|line| line.strip_prefix(SECRET_PREFIX));
        let encoded = line.filter(|encoded| encoded.len() == 43).ok_or_else(wrong)?;
        let mut bytes = Vec::with_capacity(64);
        let decoded = decode_base64(encoded, &mut bytes);
        let bytes = SecretBytes::new(bytes);
        decoded.map_err(|_| wrong())?;
        Secret::copy_from(bytes.expose()).map(Self).ok_or_else(wrong)
    }

    /// The text to write to a file that only its owner may read.
    #[must_use]
    pub fn to_text(&self) -> SecretBytes {
        let mut text = Vec::with_capacity(96);
        text.extend_from_slice(SECRET_PREFIX.as_bytes());
        append_base64(self.0.expose(), &mut text);
        text.push(b'\n');
        SecretBytes::new(text)
    }
}

/// A token that only its recipient can read.
///
/// Shape: `0x01`, encapsulated key of 32 bytes, ciphertext; as text `amx1.` and base64url. Protects the token from whoever carries it. Leaks
/// its length. Two of one token are not alike. It proves nothing about who sealed it.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedToken(Vec<u8>);

impl SealedToken {
    /// Seals a token to the key of the recipient that it names.
    ///
    /// # Errors
    /// `Malformed` for a public key that protects nothing; `Entropy`.
    pub fn seal(token: &Token, to: &RecipientPublicKey, registry: &Name) -> Result<Self> {
        let text = SecretBytes::new(token.to_text().into_bytes());
        let info = info(registry, token.header().audience());
        let (encapsulated, text) = seal_hpke(&to.0, &info, &[], text.expose())?;
        let mut bytes = Vec::with_capacity(1 + encapsulated.len() + text.len());
        bytes.push(VERSION);
        bytes.extend_from_slice(&encapsulated);
        bytes.extend_from_slice(&text);
        Ok(Self(bytes))
    }

    /// Opens the token, as the recipient and for the purpose that it was translated to.
    ///
    /// # Errors
    /// `Unauthentic` for another key, registry or audience and for altered bytes.
    pub fn open(&self, secret: &RecipientSecretKey, registry: &Name, audience: &Audience) -> Result<Token> {
        let mut reader = Reader::new(&self.0);
        reader.take_byte()?;
        let encapsulated = reader.take_array()?;
        let text = open_hpke(&secret.0, encapsulated, &info(registry, audience), &[], reader.take_rest());
        let text = text.map_err(|_| does_not_open())?;
        let text = core::str::from_utf8(text.expose()).map_err(|_| does_not_open())?;
        let token = Token::parse(text).map_err(|_| does_not_open())?;
        if token.header().audience() == audience { Ok(token) } else { Err(does_not_open()) }
    }

    /// Reads the bytes. Nothing is opened.
    ///
    /// # Errors
    /// `Unsupported` for another version; `Malformed` if it is too short, `Limit` if it is too long for a token.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        match bytes.first() {
            Some(&VERSION) => {}
            Some(_) => return Err(Error::unsupported("a sealed token of another version")),
            None => return Err(Error::malformed("a sealed token is not empty")),
        }
        if bytes.len() > OVERHEAD + MAX_TOKEN_CHARACTERS {
            return Err(Error::limit("a sealed token holds at most 1023 characters"));
        }
        if bytes.len() <= OVERHEAD {
            return Err(Error::malformed("the sealed token is truncated"));
        }
        Ok(Self(bytes.to_vec()))
    }

    /// Reads the text.
    ///
    /// # Errors
    /// As [`from_bytes`](Self::from_bytes); `Malformed` if it does not begin with `amx1.` or is not base64url.
    pub fn parse(text: &str) -> Result<Self> {
        let encoded = text.strip_prefix(SEALED_PREFIX).ok_or_else(|| match text.starts_with("amx") {
            true => Error::unsupported("a sealed token of another version"),
            false => Error::malformed("not a sealed token: it must begin with `amx1.`"),
        })?;
        if encoded.len() > 2 * (OVERHEAD + MAX_TOKEN_CHARACTERS) {
            return Err(Error::limit("a sealed token holds at most 1023 characters"));
        }
        let mut bytes = Vec::new();
        decode_base64(encoded, &mut bytes).map_err(|error| {
            let offset = error.offset().unwrap_or_default() + SEALED_PREFIX.len();
            error.at_offset(offset)
        })?;
        Self::from_bytes(&bytes)
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The text.
    #[must_use]
    pub fn to_text(&self) -> String {
        format!("{SEALED_PREFIX}{}", base64(&self.0))
    }
}

impl fmt::Debug for SealedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedToken({} bytes)", self.0.len())
    }
}

#[cold]
fn does_not_open() -> Error {
    Error::altered(
        "does not open: it was altered, or is for another recipient's key, or of another registry, recipient or purpose",
    )
}

/// `PAE("amanat/v1/translation", registry, recipient, purpose)`.
fn info(registry: &Name, audience: &Audience) -> Vec<u8> {
    let (recipient, purpose) = (audience.recipient().as_bytes(), audience.purpose().as_bytes());
    pae(&[kdf::TRANSLATION, registry.as_bytes(), recipient, purpose])
}
