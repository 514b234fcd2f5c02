// SPDX-License-Identifier: MIT OR Apache-2.0
//! What failed, where, and what to do about it.
//!
//! Owns the one error type. Never carries a value, record id, token or any byte of the input.
//! Once a key was used on data there is one answer, `Unauthentic` (SPEC 5.5).

use core::fmt;
use std::borrow::Cow;

use crate::ident::{KeyId, Name};

/// What the library's functions return.
pub type Result<T, E = Error> = core::result::Result<T, E>;

/// Kinds of failure. Callers branch on these, never on messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// The operating system gave no random bytes.
    Entropy,
    /// A token whose time is over; told only once it was found authentic.
    Expired,
    /// The key's state forbids what was asked.
    KeyUnusable,
    /// A size or count is over its limit.
    Limit,
    /// Bytes or text break the grammar.
    Malformed,
    /// The calling code must be changed; never caused by data.
    Misuse,
    /// A stored generation is older than one already seen, or a fork of it.
    Rollback,
    /// A record or schema does not fit its policy.
    Schema,
    /// A store or key service of the caller failed; the source says how.
    Store,
    /// Wrong key, wrong context or altered bytes: one answer, never split.
    Unauthentic,
    /// The key id is in no keyset at hand.
    UnknownKey,
    /// Known grammar, unknown version, suite or provider.
    Unsupported,
}

impl Kind {
    /// The word for people and programs: `unknown-key`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Entropy => "entropy",
            Self::Expired => "expired",
            Self::KeyUnusable => "key-unusable",
            Self::Limit => "limit",
            Self::Malformed => "malformed",
            Self::Misuse => "misuse",
            Self::Rollback => "rollback",
            Self::Schema => "schema",
            Self::Store => "store",
            Self::Unauthentic => "unauthentic",
            Self::UnknownKey => "unknown-key",
            Self::Unsupported => "unsupported",
        }
    }
}

/// Where it failed: public facts only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    row: Option<u64>,
    field: Option<Name>,
    key: Option<KeyId>,
    offset: Option<usize>,
}

/// An error of the library: a [`Kind`], a [`Place`] and a message that names the remedy.
pub struct Error(Box<Inner>);

struct Inner {
    kind: Kind,
    place: Place,
    message: Cow<'static, str>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    fn new(kind: Kind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner { kind, place: Place::default(), message: message.into(), source: None }))
    }

    /// What kind of failure this is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// Row number in the input, from 1, if one is known.
    #[must_use]
    pub fn row(&self) -> Option<u64> {
        self.0.place.row
    }

    /// Name of the field, if one is known.
    #[must_use]
    pub fn field(&self) -> Option<&Name> {
        self.0.place.field.as_ref()
    }

    /// Id of the key, if one is known.
    #[must_use]
    pub fn key(&self) -> Option<KeyId> {
        self.0.place.key
    }

    /// Byte offset in the input, if one is known.
    #[must_use]
    pub fn offset(&self) -> Option<usize> {
        self.0.place.offset
    }

    /// The message without the place.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Adds the row number, from 1.
    #[must_use]
    pub fn at_row(mut self, row: u64) -> Self {
        self.0.place.row = Some(row);
        self
    }

    /// Adds the field's name.
    #[must_use]
    pub fn at_field(mut self, field: &Name) -> Self {
        self.0.place.field = Some(field.clone());
        self
    }

    /// Adds the key's id.
    #[must_use]
    pub fn at_key(mut self, key: KeyId) -> Self {
        self.0.place.key = Some(key);
        self
    }

    /// Adds the byte offset.
    #[must_use]
    pub fn at_offset(mut self, offset: usize) -> Self {
        self.0.place.offset = Some(offset);
        self
    }

    /// An error of the caller's store, key service or file, with its source kept. `message` must hold no personal data.
    #[must_use]
    pub fn store(
        message: impl Into<Cow<'static, str>>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        let mut error = Self::new(Kind::Store, message);
        error.0.source = Some(source.into());
        error
    }

    /// An error of a record or schema that does not fit its policy. `message` must hold no personal data.
    #[must_use]
    pub fn schema(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Schema, message)
    }

    /// An error of bytes that break a grammar. `message` must hold no personal data.
    #[must_use]
    pub fn malformed(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Malformed, message)
    }

    /// An error of a version, suite or provider that is not known here.
    #[must_use]
    pub fn unsupported(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Unsupported, message)
    }

    /// An error of a size or count over its limit.
    #[must_use]
    pub fn limit(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Limit, message)
    }

    /// An error that only a change of the calling code cures.
    #[must_use]
    pub fn misuse(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Misuse, message)
    }

    pub(crate) fn unauthentic() -> Self {
        Self::new(
            Kind::Unauthentic,
            "does not open: the value was altered, or moved from another row, field, table or registry",
        )
    }

    /// An error of data that does not open once a key was used: one answer for wrong key, wrong place and altered bytes. `message` must hold no
    /// personal data.
    #[must_use]
    pub fn altered(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Unauthentic, message)
    }

    /// An error of data that names a key which is not at hand. `message` must hold no personal data.
    #[must_use]
    pub fn no_such_key(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::UnknownKey, message)
    }

    pub(crate) fn rollback(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Rollback, message)
    }

    pub(crate) fn unknown_key(id: KeyId) -> Self {
        Self::new(
            Kind::UnknownKey,
            format!(
                "key {} is not in this keyring; it belongs to another registry or a newer keyring",
                id.short()
            ),
        )
        .at_key(id)
    }

    pub(crate) fn no_such_epoch(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::UnknownKey, message)
    }

    pub(crate) fn expired(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Expired, message)
    }

    pub(crate) fn key_unusable(id: KeyId, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::KeyUnusable, message).at_key(id)
    }

    pub(crate) fn entropy() -> Self {
        Self::new(Kind::Entropy, "the operating system gave no random bytes; nothing was sealed")
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = &self.0.place;
        if let Some(row) = place.row {
            write!(f, "row {row}: ")?;
        }
        if let Some(field) = &place.field {
            write!(f, "field {field}: ")?;
        }
        if let Some(offset) = place.offset {
            write!(f, "byte {offset}: ")?;
        }
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.0.kind)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|source| &**source as &(dyn std::error::Error + 'static))
    }
}
