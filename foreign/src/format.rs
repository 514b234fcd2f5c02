// SPDX-License-Identifier: MIT OR Apache-2.0
//! The formats by name, and what the key file of each must contain.
//!
//! Owns the list of formats and the text that helps with them. Never guesses a format from a value.

use core::fmt;
use core::str::FromStr;

use amanat::error::{Error, Result};

use crate::Opener;
use crate::fernet::Fernet;
use crate::lockbox::Lockbox;
use crate::pgcrypto::Pgcrypto;
use crate::rails::Rails;
use crate::tink::Tink;
use crate::vault::Vault;

/// Makes the opener of a format from the bytes of a key file.
///
/// Shape: `format` is one of [`Format::ALL`] by name; what the file must contain says [`Format::key_file`].
///
/// # Errors
/// `Unsupported` if the format, or a key's algorithm, is not known; `Malformed` or `Limit` if the key file is not of the format's form. No
/// error repeats anything secret of the file.
pub fn open(format: &str, key_file: &[u8]) -> Result<Box<dyn Opener>> {
    format.parse::<Format>()?.opener(key_file)
}

/// A format of another tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// Fernet tokens of the Python package `cryptography` and others.
    Fernet,
    /// Lockbox, the Ruby library.
    Lockbox,
    /// `pgp_sym_encrypt` of PostgreSQL's pgcrypto.
    Pgcrypto,
    /// Active Record Encryption of Rails.
    Rails,
    /// AEAD of Tink with AES-GCM keys.
    Tink,
    /// Transit of Vault and OpenBao.
    Vault,
}

impl Format {
    /// All formats, in the order of their names.
    pub const ALL: &[Self] =
        &[Self::Fernet, Self::Lockbox, Self::Pgcrypto, Self::Rails, Self::Tink, Self::Vault];

    /// The name of the format.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fernet => "fernet",
            Self::Lockbox => "lockbox",
            Self::Pgcrypto => "pgcrypto",
            Self::Rails => "rails",
            Self::Tink => "tink",
            Self::Vault => "vault",
        }
    }

    /// Makes the opener from the bytes of a key file.
    ///
    /// # Errors
    /// As [`open`].
    pub fn opener(self, key_file: &[u8]) -> Result<Box<dyn Opener>> {
        Ok(match self {
            Self::Fernet => Box::new(Fernet::from_key_file(key_file)?),
            Self::Lockbox => Box::new(Lockbox::from_key_file(key_file)?),
            Self::Pgcrypto => Box::new(Pgcrypto::from_key_file(key_file)?),
            Self::Rails => Box::new(Rails::from_key_file(key_file)?),
            Self::Tink => Box::new(Tink::from_key_file(key_file)?),
            Self::Vault => Box::new(Vault::from_key_file(key_file)?),
        })
    }

    /// What is opened, and what the key file must contain: text for people, lines of at most 100 characters.
    #[must_use]
    pub const fn key_file(self) -> &'static str {
        match self {
            Self::Fernet => FERNET,
            Self::Lockbox => LOCKBOX,
            Self::Pgcrypto => PGCRYPTO,
            Self::Rails => RAILS,
            Self::Tink => TINK,
            Self::Vault => VAULT,
        }
    }
}

impl FromStr for Format {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let found = Self::ALL.iter().copied().find(|format| format.as_str() == name);
        found.ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|format| format.as_str()).collect();
            Error::unsupported(format!("no format of this name; there are {}", names.join(", ")))
        })
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

const FERNET: &str = "\
Fernet tokens, as text. Several keys are MultiFernet: the token's code (HMAC) tells which made it.
A token's time is not looked at.
Key file: one key a line, base64url of 32 bytes, as Fernet.generate_key() gives it. Lines that are
empty or begin with # are passed over.
";

const LOCKBOX: &str = "\
Values of Lockbox with AES-GCM, of string and binary attributes. Other types open to the bytes that
Lockbox made of them. Previous versions are not tried: one key file for each.
Key file: JSON.
  {\"master_key\": \"64 hexadecimal digits\"}
or, for an attribute with a key of its own,
  {\"key\": \"64 hexadecimal digits\"}
and, where the model says so,
  \"table\": \"users\"             if the model's table is not that of the store
  \"attribute\": \"email\"         if it is not the column without _ciphertext
  \"encoding\": \"binary\"         for a binary column; \"base64\" is the default
  \"padding\": 16                for padding: true, or the number given there
  \"associated_data\": \"text\"    with {table}, {column}, {record} where the value has them
";

const PGCRYPTO: &str = "\
Messages of pgp_sym_encrypt and pgp_sym_encrypt_bytea: AES, with integrity code (no disable-mdc),
s2k-digest-algo sha1 or SHA-2, compress-algo 0 to 2. As bytes, or as text: armor(…), or encode(…)
as base64 or hex. Text opens to the bytes that were given to pgcrypto; with convert-crlf the lines
end as they were stored.
Key file: the passphrase, up to 1,024 bytes. One line end after it is not part of it.
";

const RAILS: &str = "\
Active Record Encryption, JSON form, deterministic or not, also with envelope encryption and
compression. With several primary keys a value must name its own (store_key_references).
Key file: JSON.
  {\"primary_key\": \"…\", \"key_derivation_salt\": \"…\", \"digest\": \"SHA256\"}
primary_key may be a list. For a deterministic attribute write deterministic_key in its place.
digest is SHA256 where config.load_defaults is 7.1 or later, else SHA1 (hash_digest_class).
";

const TINK: &str = "\
AEAD of Tink with AES-GCM keys; output prefixes TINK, CRUNCHY, and RAW if only one key has it.
Key file: the keyset in the clear, as JSON (tinkey convert-keyset), to which may be added
  \"associated_data\": \"text\"    with {table}, {column}, {record} where the value has them
  \"encoding\": \"base64\"         or base64url or hex, for a text column; \"binary\" is the default
";

const VAULT: &str = "\
Values vault:v1:… of the Transit engine of Vault or OpenBao; keys of the types aes128-gcm96,
aes256-gcm96, chacha20-poly1305 and xchacha20-poly1305, neither derived nor convergent.
Key file: JSON, as given by
  vault read -format=json transit/export/encryption-key/NAME
to which may be added
  \"associated_data\": \"text\"    with {table}, {column}, {record}; before Transit's base64
";
