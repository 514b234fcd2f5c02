// SPDX-License-Identifier: MIT OR Apache-2.0
//! The text of a token, which says by itself what it is: kind, key epoch, recipient, purpose.
//!
//! Owns SPEC 10.2. Reading it needs no key and proves nothing but that no character was mistyped.

use core::fmt;

use super::bech32m::{self, CHECK_SYMBOLS, Check, Fault, SHORT_BYTES};
use crate::error::{Error, Result};
use crate::ident::Name;
use crate::keys::MAX_KEYS;

/// Longest name of a recipient or purpose in a token, in bytes.
pub const MAX_TOKEN_NAME_BYTES: usize = 32;
/// Longest text of a token, in characters.
pub const MAX_TOKEN_CHARACTERS: usize = 1_023;

/// What every token begins with.
const SCHEME: &str = "amt1";
/// Ends the part that is read without decoding. The colon before it belongs to that part.
const SEPARATOR: char = '1';

/// How a token is made, and what the registry can do with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum TokenKind {
    /// Reversible by the registry until it expires; two of one value are not alike.
    Expiring,
    /// Irreversible: a keyed hash.
    Pairwise,
    /// In the format of the identifier that it stands for.
    Preserving,
    /// Reversible by the registry: a deterministic envelope.
    Reversible,
    /// Random; a vault knows what it stands for.
    Vaulted,
}

impl TokenKind {
    /// Every kind.
    pub const ALL: [Self; 5] =
        [Self::Expiring, Self::Pairwise, Self::Preserving, Self::Reversible, Self::Vaulted];

    /// The name, as it stands in schemas and enters key derivation.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Expiring => "expiring",
            Self::Pairwise => "pairwise",
            Self::Preserving => "preserving",
            Self::Reversible => "reversible",
            Self::Vaulted => "vaulted",
        }
    }

    /// The letter in a token's text.
    const fn letter(self) -> &'static str {
        match self {
            Self::Expiring => "x",
            Self::Pairwise => "p",
            Self::Preserving => "f",
            Self::Reversible => "r",
            Self::Vaulted => "v",
        }
    }
}

impl fmt::Display for TokenKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which key of purpose token made a token: its place in the keyring, from 1. Keys are never removed, so an epoch keeps its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(u16);

impl Epoch {
    /// Checks a number.
    ///
    /// # Errors
    /// `Limit` if it is not 1 to 1024.
    pub fn new(number: u64) -> Result<Self> {
        let fits = usize::try_from(number).is_ok_and(|number| (1..=MAX_KEYS).contains(&number));
        let number = u16::try_from(number).ok().filter(|_| fits);
        number.map(Self).ok_or_else(|| Error::limit("a token's epoch is 1 to 1024"))
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// For whom and what a token is: both are inputs of its key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Audience {
    recipient: Name,
    purpose: Name,
}

impl Audience {
    /// Names a recipient and a purpose.
    ///
    /// # Errors
    /// `Schema` if a name has more than [`MAX_TOKEN_NAME_BYTES`] or an upper-case letter: both stand in every token.
    pub fn new(recipient: &str, purpose: &str) -> Result<Self> {
        Ok(Self { recipient: token_name(recipient)?, purpose: token_name(purpose)? })
    }

    /// The recipient.
    #[must_use]
    pub const fn recipient(&self) -> &Name {
        &self.recipient
    }

    /// The purpose.
    #[must_use]
    pub const fn purpose(&self) -> &Name {
        &self.purpose
    }
}

fn token_name(text: &str) -> Result<Name> {
    let name = Name::new(text)?;
    if text.len() > MAX_TOKEN_NAME_BYTES || text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(Error::schema(
            "a recipient or purpose has at most 32 of the characters a-z 0-9 _ - . because it stands in every token",
        ));
    }
    Ok(name)
}

/// What the readable part of a token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenHeader {
    kind: TokenKind,
    epoch: Epoch,
    audience: Audience,
    /// The header and the separator.
    text: String,
    check: Check,
    check_short: Check,
}

impl TokenHeader {
    pub(super) fn new(kind: TokenKind, epoch: Epoch, audience: Audience) -> Self {
        let (recipient, purpose) = (&audience.recipient, &audience.purpose);
        let mut text = format!("{SCHEME}:{}:{epoch}:{recipient}:{purpose}:", kind.letter());
        let check = Check::of_prefix(&text);
        text.push(SEPARATOR);
        Self { kind, epoch, audience, text, check, check_short: check.before_short() }
    }

    /// The kind.
    #[must_use]
    pub const fn kind(&self) -> TokenKind {
        self.kind
    }

    /// The epoch.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Recipient and purpose.
    #[must_use]
    pub const fn audience(&self) -> &Audience {
        &self.audience
    }

    /// The bytes that authenticated tokens bind.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.as_str().as_bytes()
    }

    fn as_str(&self) -> &str {
        self.text.strip_suffix(SEPARATOR).unwrap_or_default()
    }

    /// Appends the text of a token with this header; allocates only if `out` is too small.
    pub(super) fn append(&self, data: &[u8], out: &mut Vec<u8>) {
        out.reserve(self.text.len() + data.len().div_ceil(5) * 8 + CHECK_SYMBOLS);
        out.extend_from_slice(self.text.as_bytes());
        match data.try_into() {
            Ok(short) => bech32m::append_short(self.check_short, short, out),
            Err(_) => bech32m::append(self.check, data, out),
        }
    }

    /// Reads the part before the separator.
    fn parse(text: &str) -> Result<Self> {
        let mut parts = text.split(':');
        let mut next = || parts.next().unwrap_or_default();
        let (_scheme, letter) = (next(), next());
        let kind = TokenKind::ALL.into_iter().find(|kind| kind.letter() == letter);
        let kind = kind.ok_or_else(|| Error::unsupported("a token of a kind that is not known here"))?;
        let epoch = next();
        let number = epoch.parse().map_err(|_| Error::malformed("the token's epoch is not a number"))?;
        let number = Epoch::new(number).map_err(|error| Error::malformed(error.message().to_owned()))?;
        let audience =
            Audience::new(next(), next()).map_err(|error| Error::malformed(error.message().to_owned()))?;
        let header = Self::new(kind, number, audience);
        // Whatever else could be read, a leading zero or more parts, is not what would have been written.
        if header.as_str() == text {
            Ok(header)
        } else {
            Err(Error::malformed("the token's first part is not canonical"))
        }
    }
}

/// Refuses what is no token of this version.
fn check_version(prefix: &str) -> Result<()> {
    match prefix.split(':').next() {
        Some(SCHEME) => Ok(()),
        Some(other) if other.starts_with("amt") => {
            Err(Error::unsupported("a token of another version; a newer amanat may know it"))
        }
        _ => Err(Error::malformed("not a token: it must begin with `amt1:`")),
    }
}

/// A token that was read: its header, and what only a key can tell about. `Debug` prints the header.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    header: TokenHeader,
    data: Vec<u8>,
}

impl Token {
    /// Reads the text of a token. Only the one text that amanat writes is taken: lower case, no spaces.
    ///
    /// # Errors
    /// `Malformed` for what is not a token or has a mistyped character, `Unsupported` for another version or kind, `Limit` if it is longer
    /// than [`MAX_TOKEN_CHARACTERS`].
    pub fn parse(text: &str) -> Result<Self> {
        if text.len() > MAX_TOKEN_CHARACTERS {
            return Err(Error::limit("a token has at most 1023 characters"));
        }
        let (prefix, rest) = text
            .rsplit_once(':')
            .ok_or_else(|| Error::malformed("not a token: it must begin with `amt1:`"))?;
        let prefix = text.get(..=prefix.len()).unwrap_or_default();
        check_version(prefix)?;
        let start = prefix.len() + 1;
        let body = rest.strip_prefix(SEPARATOR);
        let body = body.ok_or_else(|| Error::malformed("the token lacks the 1 after its last colon"))?;
        let mut data = Vec::new();
        // Before the header: a mistyped letter of it shall not pass for another kind or version of token.
        bech32m::decode(Check::of_prefix(prefix), body, &mut data).map_err(|fault| match fault {
            Fault::Character(place) => {
                Error::malformed("a character that tokens do not have").at_offset(start + place)
            }
            Fault::Check => {
                Error::malformed("the check symbols do not fit: a character is mistyped or missing")
            }
            Fault::Padding => Error::malformed("the token ends in stray bits"),
            Fault::Short => Error::malformed("the token is truncated"),
        })?;
        let token = Self { header: TokenHeader::parse(prefix)?, data };
        token.check_length()?;
        Ok(token)
    }

    pub(super) const fn new(header: TokenHeader, data: Vec<u8>) -> Self {
        Self { header, data }
    }

    /// What it says of itself.
    #[must_use]
    pub const fn header(&self) -> &TokenHeader {
        &self.header
    }

    /// The text.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut out = Vec::new();
        self.header.append(&self.data, &mut out);
        out.iter().map(|byte| char::from(*byte)).collect()
    }

    /// A token whose data differ in one bit, with check symbols that fit.
    #[cfg(test)]
    pub(crate) fn with_bit_changed(&self, bit: usize) -> Self {
        let mut data = self.data.clone();
        data.iter_mut().skip(bit / 8).take(1).for_each(|byte| *byte ^= 1 << (bit % 8));
        Self { header: self.header.clone(), data }
    }

    pub(crate) fn data(&self) -> &[u8] {
        &self.data
    }

    fn check_length(&self) -> Result<()> {
        let fits = match self.header.kind {
            TokenKind::Pairwise | TokenKind::Vaulted => self.data.len() == SHORT_BYTES,
            TokenKind::Expiring | TokenKind::Preserving | TokenKind::Reversible => !self.data.is_empty(),
        };
        if fits { Ok(()) } else { Err(Error::malformed("the token has another length than its kind")) }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({})", self.header.as_str())
    }
}
