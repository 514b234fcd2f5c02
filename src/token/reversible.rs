// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reversible tokens: the one place where equal values give equal envelopes.
//!
//! Owns SPEC 5.6 and 10.4. Never reachable with a key made for fields.

use core::fmt;

use super::epoch_keys::EpochKey;
use super::text::{Audience, Epoch, Token, TokenHeader, TokenKind};
use crate::context::AssociatedData;
use crate::crypto::siv;
use crate::envelope::{Envelope, header};
use crate::error::{Error, Result};
use crate::ident::KeyId;
use crate::keys::{self, Allowance, Keyset};
use crate::normal::{Normal, NormalForm};
use crate::secret::SecretBytes;
use crate::suite::{HEADER_BYTES, MAX_FIELD_BYTES, Suite, TAG_BYTES};
use crate::value::{Bucket, Value, ValueRef};
use crate::wire::Reader;

/// Longest value of a token that has a text, in bytes.
pub const MAX_TOKEN_VALUE_BYTES: usize = 256;

/// Makes and opens the reversible tokens of one recipient, purpose and epoch.
///
/// Protects the value. Leaks equality: equal values have equal tokens, for this recipient and purpose only.
pub struct ReversibleTokens {
    header: TokenHeader,
    key: EpochKey<64>,
    allowance: Allowance,
    ad: AssociatedData,
}

impl ReversibleTokens {
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
        let key = EpochKey::derive(keys, TokenKind::Reversible, audience, epoch, &[])?;
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
        let key = EpochKey::derive(keys, TokenKind::Reversible, audience, epoch, break_glass)?;
        let nothing = Allowance::new(key.id, 0);
        Ok(Self::of_key(key, audience, nothing))
    }

    fn of_key(key: EpochKey<64>, audience: &Audience, allowance: Allowance) -> Self {
        let header = TokenHeader::new(TokenKind::Reversible, key.epoch, audience.clone());
        Self { header, key, allowance, ad: AssociatedData::default() }
    }

    /// What every token of this maker says of itself.
    #[must_use]
    pub const fn header(&self) -> &TokenHeader {
        &self.header
    }

    /// Makes the token of a value in normal form, so that all ways of writing it give one token.
    ///
    /// # Errors
    /// As [`seal`](Self::seal); `Limit` if the normal form is longer than [`MAX_TOKEN_VALUE_BYTES`].
    pub fn make(&mut self, value: &Normal) -> Result<Token> {
        let envelope = self.seal(check_value(value)?)?;
        Ok(Token::new(self.header.clone(), envelope))
    }

    /// Opens a token that was read from its text.
    ///
    /// # Errors
    /// `Misuse` for a token of another kind, audience or epoch; otherwise as [`open`](Self::open).
    pub fn open_token(&mut self, token: &Token) -> Result<Value> {
        if *token.header() != self.header {
            return Err(Error::misuse(
                "the token is of another kind, recipient, purpose or epoch than its opener",
            ));
        }
        self.open(token.data())
    }

    /// Makes the token of a value without its text: a suite 0x03 envelope.
    ///
    /// # Errors
    /// `KeyUnusable` if the epoch's key is not active; `Limit` if the value is longer than [`MAX_FIELD_BYTES`] or the allowance is used up; `Malformed` for CBOR that is not one item.
    pub fn seal(&mut self, value: ValueRef<'_>) -> Result<Vec<u8>> {
        value.check()?;
        if value.content_bytes() > MAX_FIELD_BYTES {
            return Err(Error::limit("a token's value has at most 65536 bytes"));
        }
        self.key.check_makes()?;
        self.allowance.take(1)?;
        let header = header(Suite::Aes256Siv, self.key.id);
        let mut padded = SecretBytes::default();
        padded.make_room(Bucket::default().round_up(value.content_bytes() + 2));
        let text = padded.fill_with(|out| value.append_padded(Bucket::default(), out));
        let mut ad = AssociatedData::default();
        let iv = siv::seal(&self.key.secret, &[ad.set(&header, &[])], text);
        let iv = iv.map_err(|_| Error::limit("the cipher refused the value's length"))?;
        let mut out = Vec::with_capacity(HEADER_BYTES + TAG_BYTES + text.len());
        [&header[..], &iv, text].iter().for_each(|part| out.extend_from_slice(part));
        Ok(out)
    }

    /// Opens a token.
    ///
    /// # Errors
    /// As [`FieldOpener::open`](crate::FieldOpener::open); `Unsupported` for a sealed field.
    pub fn open(&mut self, token: &[u8]) -> Result<Value> {
        let token = Envelope::parse(token)?;
        if token.suite() != Suite::Aes256Siv {
            return Err(Error::unsupported("a sealed field stands where a reversible token belongs")
                .at_key(token.key()));
        }
        let mut ad = core::mem::take(&mut self.ad);
        let opened = self.open_parsed(&token, ad.set(token.header(), &[]));
        self.ad = ad;
        opened
    }

    fn open_parsed(&self, token: &Envelope<'_>, ad: &[u8]) -> Result<Value> {
        if token.key() != self.key.id {
            return Err(Error::unknown_key(token.key()));
        }
        let mut reader = Reader::new(token.body());
        let iv = reader.take_array()?;
        let text = reader.take_rest();
        let mut plain = SecretBytes::default();
        plain.make_room(text.len());
        siv::open(&self.key.secret, &[ad], plain.append(text), iv).map_err(|_| Error::unauthentic())?;
        let value = ValueRef::from_padded(plain.expose()).map_err(|_| Error::unauthentic())?;
        let fits = value.content_bytes() <= Suite::Aes256Siv.max_value_bytes();
        if fits { Ok(value.to_value()) } else { Err(Error::unauthentic()) }
    }
}

/// A normal form as the value that a token holds.
pub(super) fn check_value(value: &Normal) -> Result<ValueRef<'_>> {
    value.check_ready()?;
    let bytes = value.as_bytes();
    if bytes.len() > MAX_TOKEN_VALUE_BYTES {
        return Err(Error::limit("a token's value has at most 256 bytes in its normal form"));
    }
    Ok(core::str::from_utf8(bytes).map_or(ValueRef::Bytes(bytes), ValueRef::Text))
}

/// The normal form that a token held as a value.
pub(super) fn to_normal(form: &NormalForm, value: ValueRef<'_>) -> Result<Normal> {
    // Every other form takes what it has made as it is.
    if *form != NormalForm::Exact {
        return form.normalise(value);
    }
    value.with_parts(|_, bytes| {
        let (kind, content) = bytes.split_first().ok_or_else(Error::unauthentic)?;
        form.normalise(ValueRef::read(*kind, content).map_err(|_| Error::unauthentic())?)
    })
}

impl fmt::Debug for ReversibleTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReversibleTokens({}, key {})", self.header.audience().recipient(), self.key.id.short())
    }
}
