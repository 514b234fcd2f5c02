// SPDX-License-Identifier: MIT OR Apache-2.0
//! Public names: what may stand in a message, a log or a file name.
//!
//! Owns key ids, names of registries, tables and fields, and points in time. Never holds personal data.
//! SPEC chapters 2 and 3.1.

use core::fmt;
use core::str::FromStr;

use crate::error::{Error, Result};
use crate::time::Date;

/// Longest name of a registry, table, field, recipient or purpose, in bytes.
pub const MAX_NAME_BYTES: usize = 128;

/// Name of a registry, table, field, recipient or purpose.
///
/// Shape: 1 to [`MAX_NAME_BYTES`] bytes from `A-Z a-z 0-9 _ - .`. Names are inputs of key derivation, so renaming
/// a field is a re-encryption. The column that holds the field may be called anything.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<str>);

impl Name {
    /// Checks and keeps a name.
    ///
    /// # Errors
    /// `Schema` if `text` is empty, too long, or has another character.
    pub fn new(text: &str) -> Result<Self> {
        let fits = (1..=MAX_NAME_BYTES).contains(&text.len());
        if fits && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.')) {
            return Ok(Self(text.into()));
        }
        Err(Error::schema(
            "a name must be 1 to 128 of the characters A-Z a-z 0-9 _ - . (a column may be called otherwise: set `column`)",
        ))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The bytes that enter key derivation.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Name {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::new(text)
    }
}

/// Length of a key id in bytes.
pub const KEY_ID_BYTES: usize = 16;

/// Id of a key: a commitment to its secret and purpose (SPEC 4.1). Public.
///
/// Aligned so that it is copied and compared in one register: it is read from every envelope.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(align(16))]
pub struct KeyId([u8; KEY_ID_BYTES]);

impl KeyId {
    /// Takes the 16 bytes of an id.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; KEY_ID_BYTES]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; KEY_ID_BYTES] {
        &self.0
    }

    /// First byte: how an index term names its key.
    #[must_use]
    pub(crate) const fn tag(&self) -> u8 {
        self.0[0]
    }

    /// First eight hex digits, for messages.
    #[must_use]
    pub fn short(&self) -> String {
        let mut text = self.to_string();
        text.truncate(8);
        text
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

impl FromStr for KeyId {
    type Err = Error;

    /// Reads 32 lower-case hex digits.
    fn from_str(text: &str) -> Result<Self> {
        let mut bytes = [0; KEY_ID_BYTES];
        decode_hex(text, &mut bytes)
            .ok_or_else(|| Error::malformed("a key id is 32 lower-case hex digits"))?;
        Ok(Self(bytes))
    }
}

/// Reads exactly `out.len()` bytes of lower-case hex; `None` on any other text.
pub(crate) fn decode_hex(text: &str, out: &mut [u8]) -> Option<()> {
    let digit = |b: u8| match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        _ => None,
    };
    if text.len() != out.len().checked_mul(2)? {
        return None;
    }
    for (byte, pair) in out.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = (digit(*high)? << 4) | digit(*low)?;
    }
    Some(())
}

/// A point in time: whole seconds in UTC, years 1970 to 9999.
///
/// The library reads no clock; callers pass the time in. Shape as text: `2026-11-23T18:30:00Z` (RFC 3339).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

/// Seconds since 1970 at the end of the year 9999.
const MAX_SECONDS: u64 = 253_402_300_799;

impl Timestamp {
    /// From seconds since 1970-01-01T00:00:00Z.
    ///
    /// # Errors
    /// `Limit` after the year 9999.
    pub fn from_unix_seconds(seconds: u64) -> Result<Self> {
        if seconds > MAX_SECONDS {
            return Err(Error::limit("a time must lie before the year 10000"));
        }
        Ok(Self(seconds))
    }

    /// Seconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn unix_seconds(self) -> u64 {
        self.0
    }

    /// Whole days from `self` to `later`; 0 if `later` is not later.
    #[must_use]
    pub const fn days_until(self, later: Self) -> u64 {
        later.0.saturating_sub(self.0) / 86_400
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, second) = (self.0 / 86_400, self.0 % 86_400);
        let date = Date::from_days_since_epoch(days);
        write!(f, "{date}T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
    }
}

impl FromStr for Timestamp {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || Error::malformed("a time is written like 2026-11-23T18:30:00Z");
        let (date, clock) = text.split_once('T').ok_or_else(wrong)?;
        let date: Date = date.parse().map_err(|_| wrong())?;
        let days = date.days_since_epoch().ok_or_else(wrong)?;
        let mut parts = clock.strip_suffix('Z').ok_or_else(wrong)?.split(':');
        let mut next = |limit: u64| {
            let part = parts.next().filter(|p| p.len() == 2 && p.bytes().all(|b| b.is_ascii_digit()));
            part.and_then(|p| p.parse::<u64>().ok()).filter(|n| *n < limit).ok_or_else(wrong)
        };
        let seconds = days * 86_400 + next(24)? * 3600 + next(60)? * 60 + next(60)?;
        if parts.next().is_some() {
            return Err(wrong());
        }
        Self::from_unix_seconds(seconds)
    }
}
