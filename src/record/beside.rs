// SPDX-License-Identifier: MIT OR Apache-2.0
//! Indexes and tokens of a Rust type: as constants, and as fields of its sealed type.
//!
//! Owns their serde form: the text that SPEC 9.3 and 10.2 give. Never a value.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serializer};

use crate::error::{Error, Result};
use crate::ident::Name;
use crate::index::{IndexBits, IndexSpec, IndexTerm, IndexedField};
use crate::normal::NormalForm;
use crate::schema::{IndexPolicy, Invalid, TokenPolicy};
use crate::surrogate::{Surrogate, TokenText};
use crate::token::{Audience, Epoch, TokenKind};

/// The policy of a blind index as constants.
#[derive(Clone, Copy, Debug)]
pub struct IndexLayout {
    name: &'static str,
    column: &'static str,
    parts: &'static [(&'static str, &'static str)],
    bits: u16,
    invalid: Invalid,
}

/// The policy of a field's tokens as constants.
#[derive(Clone, Copy, Debug)]
pub struct TokenLayout {
    name: &'static str,
    kind: TokenKind,
    of: (&'static str, &'static str),
    audience: (&'static str, &'static str),
    epoch: u16,
    column: Option<&'static str>,
    reveal: &'static [&'static str],
    mask: &'static [&'static str],
    invalid: Invalid,
}

impl IndexLayout {
    /// An index whose column has its name. `parts` are the names of its fields and of their normal forms.
    #[must_use]
    pub const fn new(name: &'static str, parts: &'static [(&'static str, &'static str)], bits: u16) -> Self {
        Self { name, column: name, parts, bits, invalid: Invalid::Refuse }
    }

    /// Sets the column.
    #[must_use]
    pub const fn with_column(mut self, column: &'static str) -> Self {
        self.column = column;
        self
    }

    /// Sets what becomes of a row whose value has no normal form.
    #[must_use]
    pub const fn with_invalid(mut self, invalid: Invalid) -> Self {
        self.invalid = invalid;
        self
    }

    pub(super) fn to_policy(self) -> Result<IndexPolicy> {
        let parts = self.parts.iter().copied().map(part).collect::<Result<_>>()?;
        let spec = IndexSpec::new(Name::new(self.name)?, parts, IndexBits::new(self.bits)?)?;
        Ok(IndexPolicy::new(spec).with_column(self.column)?.with_invalid(self.invalid))
    }

    /// Whether this policy and that one make the same terms.
    pub(super) fn makes_like(&self, policy: &IndexPolicy) -> bool {
        let spec = policy.spec();
        self.name == spec.name().as_str()
            && self.bits == spec.bits().get()
            && self.invalid == policy.invalid()
            && self.parts.len() == spec.fields().len()
            && self.parts.iter().zip(spec.fields()).all(|(own, part)| is_part(*own, part))
    }
}

impl TokenLayout {
    /// Tokens that are made when they are exported: `of` names the field and its normal form, `audience` the recipient and the purpose.
    #[must_use]
    pub const fn new(
        name: &'static str,
        kind: TokenKind,
        of: (&'static str, &'static str),
        audience: (&'static str, &'static str),
        epoch: u16,
    ) -> Self {
        let invalid = Invalid::Refuse;
        Self { name, kind, of, audience, epoch, column: None, reveal: &[], mask: &[], invalid }
    }

    /// Keeps the tokens in a column of the table.
    #[must_use]
    pub const fn with_column(mut self, column: &'static str) -> Self {
        self.column = Some(column);
        self
    }

    /// Names the fields that an export carries as they are, and those that it carries masked.
    #[must_use]
    pub const fn with_fields(
        mut self,
        reveal: &'static [&'static str],
        mask: &'static [&'static str],
    ) -> Self {
        self.reveal = reveal;
        self.mask = mask;
        self
    }

    /// Sets what becomes of a row whose value has no normal form.
    #[must_use]
    pub const fn with_invalid(mut self, invalid: Invalid) -> Self {
        self.invalid = invalid;
        self
    }

    pub(super) const fn is_kept(&self) -> bool {
        self.column.is_some()
    }

    pub(super) fn to_policy(self) -> Result<TokenPolicy> {
        let names = |names: &[&str]| names.iter().map(|name| Name::new(name)).collect::<Result<_>>();
        let audience = Audience::new(self.audience.0, self.audience.1)?;
        let epoch = Epoch::new(u64::from(self.epoch))?;
        let policy = TokenPolicy::new(Name::new(self.name)?, self.kind, part(self.of)?, audience, epoch)
            .with_fields(names(self.reveal)?, names(self.mask)?)
            .with_invalid(self.invalid);
        self.column.iter().try_fold(policy, |policy, column| policy.with_column(column))
    }

    /// Whether this policy and that one make the same tokens.
    pub(super) fn makes_like(&self, policy: &TokenPolicy) -> bool {
        let (recipient, purpose) = self.audience;
        self.name == policy.name().as_str()
            && self.kind == policy.kind()
            && is_part(self.of, policy.of())
            && recipient == policy.audience().recipient().as_str()
            && purpose == policy.audience().purpose().as_str()
            && self.epoch == policy.epoch().get()
            && self.invalid == policy.invalid()
    }
}

fn part((field, form): (&str, &str)) -> Result<IndexedField> {
    Ok(IndexedField { field: Name::new(field)?, form: NormalForm::from_name(form)? })
}

fn is_part((field, form): (&str, &str), part: &IndexedField) -> bool {
    field == part.field.as_str() && form == part.form.name()
}

/// A column beside those of the fields, as the sealed type holds it.
pub trait SurrogateForm: Sized {
    /// Holds what was made.
    ///
    /// # Errors
    /// `Misuse` if it is of the other kind.
    fn from_surrogate(surrogate: Surrogate) -> Result<Self>;

    /// The text that stands in the column.
    fn to_text(&self) -> Option<String>;

    /// Reads a text.
    ///
    /// # Errors
    /// `Malformed` if it is no such text.
    fn from_text(text: &str) -> Result<Self>;

    /// What the column holds of a row that has none.
    fn absent() -> Self;
}

fn other_kind() -> Error {
    Error::misuse("an index has terms and tokens have texts; make the sealer from the record's own schema")
}

impl SurrogateForm for Option<IndexTerm> {
    fn from_surrogate(surrogate: Surrogate) -> Result<Self> {
        match surrogate {
            Surrogate::Absent => Ok(None),
            Surrogate::Term(term) => Ok(Some(term)),
            Surrogate::Token(_) => Err(other_kind()),
        }
    }

    fn to_text(&self) -> Option<String> {
        self.as_ref().map(IndexTerm::to_text)
    }

    fn from_text(text: &str) -> Result<Self> {
        IndexTerm::from_text(text).map(Some)
    }

    fn absent() -> Self {
        None
    }
}

impl SurrogateForm for Option<TokenText> {
    fn from_surrogate(surrogate: Surrogate) -> Result<Self> {
        match surrogate {
            Surrogate::Absent => Ok(None),
            Surrogate::Token(token) => Ok(Some(token)),
            Surrogate::Term(_) => Err(other_kind()),
        }
    }

    fn to_text(&self) -> Option<String> {
        self.as_ref().map(|token| token.as_str().to_owned())
    }

    fn from_text(text: &str) -> Result<Self> {
        TokenText::parse(text).map(Some)
    }

    fn absent() -> Self {
        None
    }
}

/// Writes an index term as hex, a token as its text, and nothing as null.
///
/// # Errors
/// Those of the format.
pub fn serialize<F: SurrogateForm, S: Serializer>(form: &F, serializer: S) -> Result<S::Ok, S::Error> {
    match form.to_text() {
        Some(text) => serializer.serialize_some(&text),
        None => serializer.serialize_none(),
    }
}

/// Reads what [`serialize`] writes. A missing column is not an empty one.
///
/// # Errors
/// Those of the format, without the input.
pub fn deserialize<'de, F: SurrogateForm, D: Deserializer<'de>>(deserializer: D) -> Result<F, D::Error> {
    let wrong = |_| D::Error::custom("neither an index term nor a token stands here; protect the table");
    match Option::<String>::deserialize(deserializer).map_err(wrong)? {
        Some(text) => F::from_text(&text).map_err(|error| D::Error::custom(error.message())),
        None => Ok(F::absent()),
    }
}
