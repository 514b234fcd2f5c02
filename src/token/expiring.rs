// SPDX-License-Identifier: MIT OR Apache-2.0
//! Expiring tokens: the registry opens them until a time that is authenticated inside; two of one value are not alike.
//!
//! Owns SPEC 10.5. Never opens a token after its time, never reads a clock: the time is passed in.

use core::fmt;

use super::epoch_keys::EpochKey;
use super::reversible::check_value;
use super::text::{Audience, Epoch, Token, TokenHeader, TokenKind};
use crate::crypto::{random, siv};
use crate::error::{Error, Result};
use crate::ident::{KeyId, Timestamp};
use crate::keys::{self, Allowance, Keyset};
use crate::normal::Normal;
use crate::secret::SecretBytes;
use crate::suite::TAG_BYTES;
use crate::value::{Bucket, Value, ValueRef};
use crate::wire::Reader;

/// Bytes of the expiry: whole seconds since 1970, big-endian.
const EXPIRY_BYTES: usize = 5;
const NONCE_BYTES: usize = 11;

/// Makes and opens the expiring tokens of one recipient, purpose and epoch.
///
/// Shape: expiry, 11 random bytes and AES-256-SIV (RFC 5297) of the value, in the text of SPEC 10.2. Protects the value, and that two tokens
/// are of one person, from everybody but the registry. Leaks when the token expires.
pub struct ExpiringTokens {
    header: TokenHeader,
    key: EpochKey<64>,
    allowance: Allowance,
}

impl ExpiringTokens {
    /// Derives the key of an audience and epoch.
    ///
    /// # Errors
    /// `UnknownKey` if the keyring has no such epoch; `KeyUnusable` if its state forbids opening; `Misuse` if the allowance is of another key.
    pub fn new(
        keys: &Keyset<'_, keys::Token>,
        audience: &Audience,
        epoch: Epoch,
        allowance: &Allowance,
    ) -> Result<Self> {
        let key = EpochKey::derive(keys, TokenKind::Expiring, audience, epoch, &[])?;
        if allowance.key() != key.id {
            return Err(Error::misuse("the allowance was reserved for another key than the epoch's"));
        }
        Ok(Self::of_key(key, audience, allowance.clone()))
    }

    /// As [`new`](Self::new), for opening alone. `break_glass` names keys that are suspended or compromised and shall open nevertheless.
    ///
    /// # Errors
    /// `UnknownKey` if the keyring has no such epoch; `KeyUnusable` if its state forbids opening.
    pub fn opener(
        keys: &Keyset<'_, keys::Token>,
        audience: &Audience,
        epoch: Epoch,
        break_glass: &[KeyId],
    ) -> Result<Self> {
        let key = EpochKey::derive(keys, TokenKind::Expiring, audience, epoch, break_glass)?;
        let nothing = Allowance::new(key.id, 0);
        Ok(Self::of_key(key, audience, nothing))
    }

    fn of_key(key: EpochKey<64>, audience: &Audience, allowance: Allowance) -> Self {
        let header = TokenHeader::new(TokenKind::Expiring, key.epoch, audience.clone());
        Self { header, key, allowance }
    }

    /// Makes a token of a value that opens until `expires`, that second excluded.
    ///
    /// # Errors
    /// `KeyUnusable` if the epoch's key is not active; `Limit` if the value is too long for a token or the allowance is used up; `Entropy`.
    pub fn make(&mut self, value: &Normal, expires: Timestamp) -> Result<Token> {
        self.key.check_makes()?;
        let value = check_value(value)?;
        self.allowance.take(1)?;
        let nonce = random::bytes::<NONCE_BYTES>()?;
        let seconds = expires.unix_seconds().to_be_bytes();
        let mut data: Vec<u8> = seconds.into_iter().skip(seconds.len() - EXPIRY_BYTES).chain(nonce).collect();
        let mut padded = SecretBytes::default();
        padded.make_room(Bucket::default().round_up(value.content_bytes() + 2));
        let text = padded.fill_with(|out| value.append_padded(Bucket::default(), out));
        let iv = siv::seal(&self.key.secret, &[self.header.as_bytes(), &data], text);
        let iv = iv.map_err(|_| Error::limit("the cipher refused the value's length"))?;
        data.extend_from_slice(&iv);
        data.extend_from_slice(text);
        Ok(Token::new(self.header.clone(), data))
    }

    /// Opens a token, as of a time.
    ///
    /// # Errors
    /// `Expired` from its expiry on, told only of an authentic token; `Unauthentic`; `Misuse` for a token of another kind, audience or epoch.
    pub fn open(&self, token: &Token, now: Timestamp) -> Result<Value> {
        if *token.header() != self.header {
            return Err(Error::misuse(
                "the token is of another kind, recipient, purpose or epoch than its opener",
            ));
        }
        let mut reader = Reader::new(token.data());
        let head: &[u8; EXPIRY_BYTES + NONCE_BYTES] = reader.take_array()?;
        let iv: &[u8; TAG_BYTES] = reader.take_array()?;
        let text = reader.take_rest();
        let mut plain = SecretBytes::default();
        plain.make_room(text.len());
        let opened = siv::open(&self.key.secret, &[self.header.as_bytes(), head], plain.append(text), iv);
        opened.map_err(|_| Error::unauthentic())?;
        let value = ValueRef::from_padded(plain.expose()).map_err(|_| Error::unauthentic())?;
        let expires =
            head.iter().take(EXPIRY_BYTES).fold(0, |seconds, byte| (seconds << 8) | u64::from(*byte));
        if now.unix_seconds() >= expires {
            return Err(Error::expired("the token has expired; its holder needs a new one"));
        }
        Ok(value.to_value())
    }

    /// When a token says that it expires: not to be believed before it was opened.
    ///
    /// # Errors
    /// `Malformed` for another kind of token or a time after the year 9999.
    pub fn claimed_expiry(token: &Token) -> Result<Timestamp> {
        if token.header().kind() != TokenKind::Expiring {
            return Err(Error::malformed("a token of this kind does not expire"));
        }
        let head: &[u8; EXPIRY_BYTES] = Reader::new(token.data()).take_array()?;
        let seconds = head.iter().fold(0, |seconds, byte| (seconds << 8) | u64::from(*byte));
        Timestamp::from_unix_seconds(seconds)
    }
}

impl fmt::Debug for ExpiringTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ExpiringTokens({}, key {})", self.header.audience().recipient(), self.key.id.short())
    }
}

impl ExpiringTokens {
    /// Id of the key whose allowance the tokens are counted in.
    #[must_use]
    pub const fn key(&self) -> KeyId {
        self.key.id
    }
}
