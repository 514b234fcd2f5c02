// SPDX-License-Identifier: MIT OR Apache-2.0
//! One stored cell: what it is, and what is to be done with it.
//!
//! Owns the decision from the header alone. Never seals what looks like an envelope, never tries a key to learn what a cell is.

use std::borrow::Cow;
use std::ops::Range;

use amanat::envelope::{Envelope, append_from_text};
use amanat::error::{Error, Kind, Result};
use amanat::ident::KeyId;
use amanat::schema::{Absence, FieldPolicy, Migration, ValueType};
use amanat::suite::Suite;
use amanat::value::{Value, ValueRef};
use amanat::{FieldOpener, RecordId};

use crate::texts::Texts;

/// A cell as a store holds it.
#[derive(Debug)]
#[non_exhaustive]
pub enum Stored<'a> {
    /// Nothing: NULL, or an empty cell of a text file.
    Absent,
    /// What claims to be an envelope in its binary form.
    EnvelopeBytes(&'a [u8]),
    /// What claims to be an envelope in its text form.
    EnvelopeText(&'a str),
    /// What another tool sealed, or an envelope in its binary form: the bytes of a binary column, or the UTF-8 of a text column that is
    /// no text form of an envelope. Only from columns whose field has an opener.
    Foreign(Cow<'a, [u8]>),
    /// A plain value of the field's type.
    Plain(ValueRef<'a>),
    /// A plain value of the field's type that had to be decoded.
    PlainOwned(Value),
}

/// What protecting does with a cell.
#[derive(Debug)]
pub(crate) enum Decision<'a> {
    /// It is absent and may show it.
    Absent,
    /// It is sealed as the policy says, under the primary.
    Keep,
    /// It is plain and gets sealed.
    Seal(Plain<'a>),
    /// It is sealed otherwise, under this key, and gets sealed anew.
    Reseal(KeyId, Plain<'a>),
}

/// A plain value.
#[derive(Debug)]
pub(crate) enum Plain<'a> {
    /// Borrowed from the store.
    Borrowed(ValueRef<'a>),
    /// A text that was opened, at this place of the reader's texts.
    Kept(Range<usize>),
    /// Decoded or opened. Apart, so that what is handed on for every cell is small.
    Owned(Box<Value>),
}

impl Plain<'_> {
    /// The value; `texts` are those of the reader that decided about its cell.
    pub(crate) fn as_ref<'v>(&'v self, texts: &'v Texts) -> ValueRef<'v> {
        match self {
            Self::Borrowed(value) => *value,
            Self::Kept(place) => ValueRef::Text(texts.at(place)),
            Self::Owned(value) => Value::as_ref(value),
        }
    }
}

/// Reads cells of one field.
pub(crate) struct CellReader {
    pub(crate) policy: FieldPolicy,
    pub(crate) opener: FieldOpener,
    primary: KeyId,
    /// Whether it is sealed anew although its header asks for nothing.
    remade: bool,
    /// Whether what stays as it is is opened too.
    checks: bool,
    /// Bytes of the envelope whose text form was read last.
    scratch: Vec<u8>,
    /// Texts that are sealed anew.
    pub(crate) texts: Texts,
}

impl CellReader {
    pub(crate) fn new(policy: FieldPolicy, opener: FieldOpener, primary: KeyId) -> Self {
        Self {
            policy,
            opener,
            primary,
            remade: false,
            checks: false,
            scratch: Vec::new(),
            texts: Texts::default(),
        }
    }

    /// Whether every cell is sealed anew: its padding got smaller, which no length shows, or it is bound to another name.
    pub(crate) const fn remaking(mut self, remade: bool) -> Self {
        self.remade = remade;
        self
    }

    /// Whether what stays as it is is opened too, to see that it opens.
    pub(crate) const fn checking(mut self, checks: bool) -> Self {
        self.checks = checks;
        self
    }

    /// Decides what protecting does with a cell: from the header, and only then by opening what must be sealed anew.
    // Inlined, as all that decides: what it gives would else be copied from function to function for every cell.
    #[inline]
    pub(crate) fn decide<'a>(&mut self, record: &RecordId<'_>, stored: Stored<'a>) -> Result<Decision<'a>> {
        match stored {
            Stored::Absent => Ok(self.seal(Plain::Borrowed(ValueRef::Null))),
            Stored::Plain(value) => {
                value.check()?;
                Ok(self.seal(Plain::Borrowed(value)))
            }
            Stored::PlainOwned(value) => {
                value.as_ref().check()?;
                Ok(self.seal(Plain::Owned(Box::new(value))))
            }
            Stored::EnvelopeBytes(bytes) => {
                self.decide_envelope(record, Envelope::parse(bytes).map_err(looks_like)?)
            }
            Stored::EnvelopeText(text) => {
                let mut scratch = std::mem::take(&mut self.scratch);
                let envelope = from_text(text, &mut scratch).map_err(looks_like);
                let decided = envelope.and_then(|envelope| self.decide_envelope(record, envelope));
                self.scratch = scratch;
                decided
            }
            Stored::Foreign(_) => Err(of_another_tool()),
        }
    }

    /// Decides about an envelope; opens it unless it stays and nobody checks.
    #[inline]
    fn decide_envelope(
        &mut self,
        record: &RecordId<'_>,
        envelope: Envelope<'_>,
    ) -> Result<Decision<'static>> {
        let stays = !self.remade && is_current(&self.policy, self.primary, &envelope);
        if stays && !self.checks {
            return Ok(Decision::Keep);
        }
        let value = self.opener.open_parsed(record, &envelope)?;
        check_type(value, self.policy.value_type())?;
        if stays {
            return Ok(Decision::Keep);
        }
        // Nearly every value is a text: memory of its own for each costs time that one buffer for all does not.
        let plain = match value {
            ValueRef::Text(text) => Plain::Kept(self.texts.keep(text)),
            ValueRef::Null => Plain::Borrowed(ValueRef::Null),
            ValueRef::Integer(number) => Plain::Borrowed(ValueRef::Integer(number)),
            ValueRef::Date(date) => Plain::Borrowed(ValueRef::Date(date)),
            ValueRef::Boolean(truth) => Plain::Borrowed(ValueRef::Boolean(truth)),
            value => Plain::Owned(Box::new(value.to_value())),
        };
        Ok(Decision::Reseal(envelope.key(), plain))
    }

    fn seal<'a>(&self, plain: Plain<'a>) -> Decision<'a> {
        if self.policy.absence() == Absence::Visible && matches!(plain.as_ref(&self.texts), ValueRef::Null) {
            return Decision::Absent;
        }
        Decision::Seal(plain)
    }

    /// Opens a cell; `None` for a plain one, which passes only where the schema says that the column is mixed.
    pub(crate) fn open(&mut self, record: &RecordId<'_>, stored: &Stored<'_>) -> Result<Opened<'_>> {
        let envelope = match stored {
            Stored::Absent if self.policy.absence() == Absence::Visible => return Ok(Opened::Absent),
            Stored::Absent | Stored::Plain(_) | Stored::PlainOwned(_) => {
                return if self.policy.migration() == Migration::Mixed {
                    Ok(Opened::Plain)
                } else {
                    Err(Error::schema(
                        "plaintext stands in a sealed column; protect it first, or set `migration = \"mixed\"` while that goes on",
                    ))
                };
            }
            Stored::Foreign(_) => return Err(of_another_tool()),
            Stored::EnvelopeBytes(bytes) => Envelope::parse(bytes).map_err(looks_like)?,
            Stored::EnvelopeText(text) => from_text(text, &mut self.scratch).map_err(looks_like)?,
        };
        let value = self.opener.open_parsed(record, &envelope)?;
        check_type(value, self.policy.value_type())?;
        Ok(Opened::Value(envelope.key(), value))
    }
}

/// An opened cell.
pub(crate) enum Opened<'a> {
    /// Nothing, visibly.
    Absent,
    /// A plain cell of a mixed column.
    Plain,
    /// The value and the key that had sealed it.
    Value(KeyId, ValueRef<'a>),
}

/// Whether an envelope is as the policy would have it made today: key, suite, and a length that the field's bucket gives. A value that was
/// padded to a smaller bucket may have such a length by chance, and one that was padded to twice the bucket always has.
fn is_current(policy: &FieldPolicy, primary: KeyId, envelope: &Envelope<'_>) -> bool {
    let suite = envelope.suite();
    let as_policy = suite == policy.family().suite() || suite == Suite::Cobblestone256;
    let padded = envelope.padded_bytes().is_multiple_of(policy.bucket().bytes());
    envelope.key() == primary && as_policy && padded
}

fn of_another_tool() -> Error {
    Error::misuse("a value of another tool was not opened")
}

#[inline]
fn from_text<'s>(text: &str, scratch: &'s mut Vec<u8>) -> Result<Envelope<'s>> {
    scratch.clear();
    if !text.starts_with("amn") {
        return Err(Error::malformed("white space or quotes stand before it"));
    }
    append_from_text(text, scratch)?;
    Envelope::parse(scratch)
}

/// An error of something that claims to be an envelope and is none.
fn looks_like(error: Error) -> Error {
    let message = format!("looks like an envelope, but: {}", error.message());
    match error.kind() {
        Kind::Limit => Error::limit(message),
        Kind::Unsupported => Error::unsupported(message),
        _ => Error::malformed(message),
    }
}

/// Refuses an authentic value of another type than the schema says.
#[inline]
fn check_type(value: ValueRef<'_>, wanted: ValueType) -> Result<()> {
    let fits = match value {
        ValueRef::Null => true,
        ValueRef::Text(_) => wanted == ValueType::Text,
        ValueRef::Bytes(_) => wanted == ValueType::Bytes,
        ValueRef::Integer(_) => wanted == ValueType::Integer,
        ValueRef::Date(_) => wanted == ValueType::Date,
        ValueRef::Boolean(_) => wanted == ValueType::Boolean,
        ValueRef::Cbor(_) => wanted == ValueType::Cbor,
        _ => false,
    };
    if fits {
        return Ok(());
    }
    Err(Error::schema(format!("the sealed value is {}, and the schema says {wanted}", value.type_name())))
}
