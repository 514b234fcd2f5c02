// SPDX-License-Identifier: MIT OR Apache-2.0
//! Format-preserving tokens: FF1 over all identifiers of one kind.
//!
//! Owns SPEC 10.6. Never authenticates anything: any identifier of the kind opens to some other. Variable-time in the identifier and in
//! how often FF1 is applied.

use core::fmt;

use zeroize::Zeroizing;

use super::epoch_keys::{EpochKey, check_makes};
use super::text::{Audience, Epoch, Token, TokenHeader, TokenKind};
use crate::crypto::ff1::{Ff1, Ff1Small};
use crate::crypto::kdf;
use crate::error::{Error, Result};
use crate::ident::KeyId;
use crate::identifier::Identifier;
use crate::keys::{self, Keyset, State};
use crate::normal::{Normal, NormalForm};
use crate::value::{Value, ValueRef};

/// Fewest identifiers of a kind (SP 800-38G Revision 1, second draft).
const MIN_DOMAIN: u64 = 1_000_000;
/// Most identifiers of a kind: 19 digits.
const MAX_DOMAIN: u64 = 10_000_000_000_000_000_000;
/// How often FF1 is applied at most, until its result is an identifier.
const MAX_STEPS: u32 = 65_536;

/// Makes and opens the format-preserving tokens of one identifier, recipient, purpose and epoch.
///
/// Shape: an identifier in normal form, its check digit right. Protects the value from everybody but the registry. Leaks equality to its
/// recipient. Has no integrity: a mistyped or invented token opens to the identifier of somebody else, and a token cannot be told from a
/// real identifier. Use another kind wherever the receiving system takes one.
pub struct PreservingTokens {
    header: TokenHeader,
    key: KeyId,
    state: State,
    identifier: Identifier,
    form: NormalForm,
    ff1: Ff1Small,
}

impl PreservingTokens {
    /// Derives the key of an audience and epoch. `break_glass` names keys that are suspended or compromised and shall open nevertheless; no
    /// such key makes a token.
    ///
    /// # Errors
    /// `UnknownKey` if the keyring has no such epoch; `KeyUnusable` if its state forbids opening; `Limit` if there are fewer than 10^6 or
    /// more than 10^19 such identifiers, or if they differ in length.
    pub fn new(
        keys: &Keyset<'_, keys::Token>,
        identifier: &Identifier,
        audience: &Audience,
        epoch: Epoch,
        break_glass: &[KeyId],
    ) -> Result<Self> {
        let digits = digits(identifier)?;
        let key = EpochKey::<32>::derive(keys, TokenKind::Preserving, audience, epoch, break_glass)?;
        let form = NormalForm::Identifier(identifier.clone());
        // tweak = KDF(token key, PAE("amanat/v1/ff1-tweak", recipient, purpose, form), 8)
        let (recipient, purpose, name) = (audience.recipient(), audience.purpose(), form.identity());
        let parts = [kdf::FF1_TWEAK, recipient.as_bytes(), purpose.as_bytes(), name.as_bytes()];
        let tweak = kdf::derive::<8>(&key.secret, &parts);
        let ff1 = Ff1Small::new(&Ff1::new(&key.secret), 10, digits, tweak.expose())?;
        let header = TokenHeader::new(TokenKind::Preserving, epoch, audience.clone());
        Ok(Self { header, key: key.id, state: key.state(), identifier: identifier.clone(), form, ff1 })
    }

    /// What a token of this maker says of itself where it is [labelled](Self::labelled).
    #[must_use]
    pub const fn header(&self) -> &TokenHeader {
        &self.header
    }

    /// Makes the token of a value.
    ///
    /// # Errors
    /// `KeyUnusable` if the epoch's key is not active; `Misuse` if the value is not in the identifier's normal form.
    pub fn make(&self, value: &Normal) -> Result<Zeroizing<String>> {
        let mut out = Zeroizing::new(Vec::with_capacity(value.as_bytes().len()));
        self.append(value, &mut out)?;
        // A normal form of an identifier is ASCII.
        let text = String::from_utf8(core::mem::take(&mut *out));
        text.map(Zeroizing::new).map_err(|_| not_a_value())
    }

    /// Appends the token of a value; allocates only if `out` is too small. `out` is unchanged on failure.
    ///
    /// # Errors
    /// As [`make`](Self::make).
    pub fn append(&self, value: &Normal, out: &mut Vec<u8>) -> Result<()> {
        check_makes(self.key, self.header.epoch(), self.state)?;
        self.append_old(value, out)
    }

    /// Makes many tokens, several at once, and appends them one after the other: each has the length of its value, and all of an
    /// identifier have one length. `out` is unchanged on failure.
    ///
    /// # Errors
    /// As [`make`](Self::make).
    pub fn append_batch<'v>(
        &self,
        values: impl IntoIterator<Item = &'v Normal>,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        check_makes(self.key, self.header.epoch(), self.state)?;
        let mut width = 0;
        let ranks = values.into_iter().map(|value| {
            width = value.as_bytes().len();
            self.rank(value)
        });
        let mut ranks = Zeroizing::new(ranks.collect::<Result<Vec<u64>>>()?);
        let start = out.len();
        out.resize(start + ranks.len() * width, 0);
        let mut places: Vec<usize> = (0..ranks.len()).map(|place| start + place * width).collect();
        let mut one = Zeroizing::new(Vec::with_capacity(width));
        for _ in 0..MAX_STEPS {
            self.ff1.encrypt_batch(&mut ranks)?;
            let mut is_outside = |rank: u64, place: usize| {
                one.clear();
                let room = out.get_mut(place..place + width).unwrap_or_default();
                let found = self.identifier.unrank(rank, &mut one);
                room.iter_mut().zip(one.iter()).for_each(|(to, from)| *to = *from);
                !found
            };
            let outside = places.iter().zip(ranks.iter()).map(|(place, rank)| (*place, *rank));
            let outside: (Vec<_>, Vec<_>) = outside.filter(|(place, rank)| is_outside(*rank, *place)).unzip();
            (places, ranks) = (outside.0, Zeroizing::new(outside.1));
            if places.is_empty() {
                return Ok(());
            }
        }
        out.truncate(start);
        Err(self.too_many_steps())
    }

    /// Makes the token of a value in the text of SPEC 10.2, for a recipient that takes it: it says what it is.
    ///
    /// # Errors
    /// As [`make`](Self::make).
    pub fn labelled(&self, value: &Normal) -> Result<Token> {
        let mut data = Vec::with_capacity(value.as_bytes().len());
        self.append(value, &mut data)?;
        Ok(Token::new(self.header.clone(), data))
    }

    /// Opens a token: gives the identifier in normal form that it was made of, if it is a token of this very maker. Nothing tells if it is not.
    ///
    /// # Errors
    /// `Malformed` if the text is no such identifier.
    pub fn open(&self, text: &str) -> Result<Value> {
        let token = self.form.normalise(ValueRef::Text(text))?;
        let mut out = Zeroizing::new(Vec::with_capacity(token.as_bytes().len()));
        self.walk(self.rank(&token)?, |rank| self.ff1.decrypt(rank), &mut out)?;
        let text = core::str::from_utf8(&out).map_err(|_| not_a_value())?;
        Ok(ValueRef::Text(text).to_value())
    }

    /// Opens a token that was read from the text of SPEC 10.2, as [`open`](Self::open).
    ///
    /// # Errors
    /// `Misuse` for a token of another kind, audience or epoch; `Malformed` if what it holds is no identifier in normal form.
    pub fn open_token(&self, token: &Token) -> Result<Value> {
        if *token.header() != self.header {
            return Err(Error::misuse(
                "the token is of another kind, recipient, purpose or epoch than its opener",
            ));
        }
        if self.identifier.rank(token.data()).is_none() {
            let name = self.identifier.name();
            return Err(Error::malformed(format!("the token does not hold a `{name}` in normal form")));
        }
        self.open(core::str::from_utf8(token.data()).map_err(|_| not_a_value())?)
    }

    /// Appends the token that a value had, for a crosswalk from an epoch whose key makes no tokens any more. Of a key that is compromised it
    /// belongs to nobody but the recipient, who has it already. `out` is unchanged on failure.
    ///
    /// # Errors
    /// `Misuse` if the value is not in the identifier's normal form.
    pub fn append_old(&self, value: &Normal, out: &mut Vec<u8>) -> Result<()> {
        self.walk(self.rank(value)?, |rank| self.ff1.encrypt(rank), out)
    }

    /// Applies FF1 until its result is the place of an identifier. What begins at such a place comes to one: at last to itself.
    fn walk(&self, mut rank: u64, step: impl Fn(u64) -> Result<u64>, out: &mut Vec<u8>) -> Result<()> {
        for _ in 0..MAX_STEPS {
            rank = step(rank)?;
            if self.identifier.unrank(rank, out) {
                return Ok(());
            }
        }
        Err(self.too_many_steps())
    }

    fn rank(&self, value: &Normal) -> Result<u64> {
        let rank = Some(value).filter(|value| *value.form() == self.form);
        rank.and_then(|value| self.identifier.rank(value.as_bytes())).ok_or_else(not_a_value)
    }

    #[cold]
    fn too_many_steps(&self) -> Error {
        let name = self.identifier.name();
        Error::limit(format!("a token of `{name}` was not found: its pattern leaves too few values"))
    }
}

impl fmt::Debug for PreservingTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PreservingTokens({}, key {})", self.header.audience().recipient(), self.key.short())
    }
}

/// Decimal digits of FF1's format: those of the last place in the identifier's domain.
fn digits(identifier: &Identifier) -> Result<usize> {
    let name = identifier.name();
    let why = match identifier.domain().map(|domain| domain.size) {
        Some(size @ MIN_DOMAIN..=MAX_DOMAIN) => {
            return usize::try_from((size - 1).ilog10() + 1).map_err(|_| Error::limit("no such format"));
        }
        Some(..MIN_DOMAIN) => "there are fewer than 1000000 of it, too few to hide one",
        Some(_) => "there are more than 10^19 of it",
        None => "its values differ in length, hold names, or are too many",
    };
    Err(Error::limit(format!(
        "`{name}` has no format-preserving tokens: {why}; choose another kind of token"
    )))
}

#[cold]
fn not_a_value() -> Error {
    Error::misuse("the value is not of the tokens' identifier in its normal form")
}
