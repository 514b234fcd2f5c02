// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reversible tokens: the one place where equal values give equal envelopes.
//!
//! Owns SPEC 5.6. Never reachable with a key made for fields.

use core::fmt;

use crate::context::AssociatedData;
use crate::crypto::{kdf, siv};
use crate::envelope::{Envelope, header};
use crate::error::{Error, Result};
use crate::ident::{KeyId, Name};
use crate::keys::{Allowance, Keyset, Token};
use crate::secret::{Secret, SecretBytes};
use crate::suite::{HEADER_BYTES, MAX_FIELD_BYTES, Suite, TAG_BYTES};
use crate::value::{Bucket, Value, ValueRef};
use crate::wire::Reader;

/// Kind of token key that suite 0x03 uses, as it enters derivation.
const KIND: &[u8] = b"reversible";

/// Makes and opens the reversible tokens of one recipient and purpose.
///
/// Protects the value. Leaks equality: equal values have equal tokens, for this recipient and purpose only.
pub struct ReversibleTokens {
    primary: KeyId,
    keys: Vec<(KeyId, Secret<64>)>,
    known: Vec<KeyId>,
    allowance: Allowance,
    ad: AssociatedData,
}

impl ReversibleTokens {
    /// Derives the token keys of a recipient and purpose.
    ///
    /// # Errors
    /// `Misuse` if the allowance is of another key than the keyset's primary.
    pub fn new(
        keys: &Keyset<'_, Token>,
        recipient: &Name,
        purpose: &Name,
        allowance: &Allowance,
    ) -> Result<Self> {
        if allowance.key() != keys.primary() {
            return Err(Error::misuse("the allowance was reserved for another key than the primary"));
        }
        let registry = keys.registry().as_bytes();
        let derive = |secret| {
            kdf::derive(secret, &[kdf::TOKEN, registry, KIND, recipient.as_bytes(), purpose.as_bytes()])
        };
        let usable = keys.keys().filter(|key| key.info.state.opens());
        Ok(Self {
            primary: keys.primary(),
            keys: usable.filter_map(|key| Some((key.info.id, derive(key.secret.as_ref()?)))).collect(),
            known: keys.keys().map(|key| key.info.id).collect(),
            allowance: allowance.clone(),
            ad: AssociatedData::default(),
        })
    }

    /// Makes the token of a value: a suite 0x03 envelope.
    ///
    /// # Errors
    /// `Limit` if the value is longer than [`MAX_FIELD_BYTES`] or the allowance is used up; `Malformed` for CBOR that is not one item.
    pub fn seal(&mut self, value: ValueRef<'_>) -> Result<Vec<u8>> {
        value.check()?;
        if value.content_bytes() > MAX_FIELD_BYTES {
            return Err(Error::limit("a token's value has at most 65536 bytes"));
        }
        self.allowance.take(1)?;
        let header = header(Suite::Aes256Siv, self.primary);
        let mut padded = SecretBytes::default();
        padded.make_room(Bucket::default().round_up(value.content_bytes() + 2));
        let text = padded.fill_with(|out| value.append_padded(Bucket::default(), out));
        let key = self.key(self.primary)?;
        let mut ad = AssociatedData::default();
        let iv = siv::seal(key, &[ad.set(&header, &[])], text);
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
        let key = self.key(token.key())?;
        let mut reader = Reader::new(token.body());
        let iv = reader.take_array()?;
        let text = reader.take_rest();
        let mut plain = SecretBytes::default();
        plain.make_room(text.len());
        siv::open(key, &[ad], plain.append(text), iv).map_err(|_| Error::unauthentic())?;
        let value = ValueRef::from_padded(plain.expose()).map_err(|_| Error::unauthentic())?;
        let fits = value.content_bytes() <= Suite::Aes256Siv.max_value_bytes();
        if fits { Ok(value.to_value()) } else { Err(Error::unauthentic()) }
    }

    fn key(&self, id: KeyId) -> Result<&Secret<64>> {
        let found = self.keys.iter().find(|(key, _)| *key == id).map(|(_, secret)| secret);
        found.ok_or_else(|| match self.known.contains(&id) {
            true => {
                Error::key_unusable(id, format!("key {} is not in a state that opens tokens", id.short()))
            }
            false => Error::unknown_key(id),
        })
    }
}

impl fmt::Debug for ReversibleTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReversibleTokens(key {})", self.primary.short())
    }
}
