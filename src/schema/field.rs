// SPDX-License-Identifier: MIT OR Apache-2.0
//! The policy of one field.
//!
//! Owns what a field's settings mean, and which of them mean nothing together. SPEC chapter 7.

use super::check_column;
use crate::error::{Error, Result};
use crate::field::Family;
use crate::ident::Name;
use crate::identifier::Identifier;
use crate::mask::Mask;
use crate::normal::NormalForm;
use crate::value::Bucket;

/// What is stored of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mode {
    /// The value as it is.
    Clear,
    /// The mask of the value only; the value itself is not kept.
    Masked,
    /// An envelope.
    Sealed,
}

/// The type of a field's value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ValueType {
    /// UTF-8 text.
    #[default]
    Text,
    /// Any bytes.
    Bytes,
    /// A 64-bit integer.
    Integer,
    /// A calendar date.
    Date,
    /// True or false.
    Boolean,
    /// One CBOR item.
    Cbor,
}

/// What an onlooker learns of a value that is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Absence {
    /// Nothing: it is sealed like any other.
    #[default]
    Hidden,
    /// That it is absent: the column stays empty.
    Visible,
}

/// Whether a sealed column may still hold plaintext.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Migration {
    /// Envelopes only; anything else is an error.
    #[default]
    Done,
    /// Plain and sealed values side by side, for the time of a migration.
    Mixed,
}

/// The policy of one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldPolicy {
    pub(super) name: Name,
    pub(super) column: String,
    pub(super) mode: Mode,
    pub(super) value_type: ValueType,
    pub(super) bucket: Bucket,
    pub(super) family: Family,
    pub(super) absence: Absence,
    pub(super) migration: Migration,
    pub(super) mask: Option<Mask>,
    pub(super) identifier: Option<Identifier>,
    pub(super) formerly: Option<Name>,
}

impl FieldPolicy {
    /// A field of this mode whose column has the same name; everything else by default.
    #[must_use]
    pub fn new(name: Name, mode: Mode) -> Self {
        Self {
            column: name.to_string(),
            name,
            mode,
            value_type: ValueType::default(),
            bucket: Bucket::default(),
            family: Family::default(),
            absence: Absence::default(),
            migration: Migration::default(),
            mask: None,
            identifier: None,
            formerly: None,
        }
    }

    /// Sets the column.
    ///
    /// # Errors
    /// `Schema` if the name is empty, too long or has control characters.
    pub fn with_column(mut self, column: &str) -> Result<Self> {
        check_column(column)?;
        column.clone_into(&mut self.column);
        Ok(self)
    }

    /// Sets the type of the value.
    #[must_use]
    pub const fn with_type(mut self, value_type: ValueType) -> Self {
        self.value_type = value_type;
        self
    }

    /// Sets the padding bucket.
    #[must_use]
    pub const fn with_bucket(mut self, bucket: Bucket) -> Self {
        self.bucket = bucket;
        self
    }

    /// Sets the cipher family of new envelopes.
    #[must_use]
    pub const fn with_family(mut self, family: Family) -> Self {
        self.family = family;
        self
    }

    /// Sets what an onlooker learns of an absent value.
    #[must_use]
    pub const fn with_absence(mut self, absence: Absence) -> Self {
        self.absence = absence;
        self
    }

    /// Sets whether the column may still hold plaintext.
    #[must_use]
    pub const fn with_migration(mut self, migration: Migration) -> Self {
        self.migration = migration;
        self
    }

    /// Sets the mask that is shown instead of the value.
    #[must_use]
    pub fn with_mask(mut self, mask: Mask) -> Self {
        self.mask = Some(mask);
        self
    }

    /// Says what the text is: decides its normal form and, unless a mask is set, its mask.
    #[must_use]
    pub fn with_identifier(mut self, identifier: Identifier) -> Self {
        self.identifier = Some(identifier);
        self
    }

    /// Names the field of an older schema whose values this field takes over, from that field's column. Its own name means that its values move
    /// from another column.
    #[must_use]
    pub fn with_formerly(mut self, name: Name) -> Self {
        self.formerly = Some(name);
        self
    }

    /// Name of the field: an input of its key.
    #[must_use]
    pub const fn name(&self) -> &Name {
        &self.name
    }

    /// Column that holds the field.
    #[must_use]
    pub fn column(&self) -> &str {
        &self.column
    }

    /// What is stored.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// Type of the value.
    #[must_use]
    pub const fn value_type(&self) -> ValueType {
        self.value_type
    }

    /// Padding bucket.
    #[must_use]
    pub const fn bucket(&self) -> Bucket {
        self.bucket
    }

    /// Cipher family of new envelopes.
    #[must_use]
    pub const fn family(&self) -> Family {
        self.family
    }

    /// What an onlooker learns of an absent value.
    #[must_use]
    pub const fn absence(&self) -> Absence {
        self.absence
    }

    /// Whether the column may still hold plaintext.
    #[must_use]
    pub const fn migration(&self) -> Migration {
        self.migration
    }

    /// The mask: by default that of the identifier, or one that hides everything.
    #[must_use]
    pub fn mask(&self) -> Mask {
        let of_identifier = || self.identifier.clone().map(Mask::Identifier);
        self.mask.clone().or_else(of_identifier).unwrap_or_default()
    }

    /// The mask that was set.
    pub(super) const fn own_mask(&self) -> Option<&Mask> {
        self.mask.as_ref()
    }

    /// What the text is, if it was said.
    #[must_use]
    pub const fn identifier(&self) -> Option<&Identifier> {
        self.identifier.as_ref()
    }

    /// The field of an older schema whose values this field takes over. Means nothing outside of a change of schema.
    #[must_use]
    pub const fn formerly(&self) -> Option<&Name> {
        self.formerly.as_ref()
    }

    /// The normal form that indexes and tokens of this field have unless they name another.
    #[must_use]
    pub fn normal_form(&self) -> Option<NormalForm> {
        match &self.identifier {
            Some(identifier) => Some(NormalForm::Identifier(identifier.clone())),
            None if self.value_type == ValueType::Date => Some(NormalForm::Date),
            None => None,
        }
    }

    /// Refuses settings that mean nothing for the mode.
    pub(super) fn check(self) -> Result<Self> {
        let fault = |why| Err(Error::schema(why).at_field(&self.name));
        let only_sealed = self.bucket != Bucket::default()
            || self.family != Family::default()
            || self.absence != Absence::default()
            || self.migration != Migration::default()
            || self.formerly.is_some();
        if self.identifier.is_some() && self.value_type != ValueType::Text {
            return fault("only text is an identifier; leave `type` out");
        }
        match self.mode {
            Mode::Sealed => Ok(self),
            _ if only_sealed => {
                fault("`pad`, `family`, `absence`, `migration` and `formerly` belong to sealed fields")
            }
            Mode::Clear if self.mask.is_some() || self.identifier.is_some() => {
                fault("a clear field has no `mask` or `identifier`; set `mode = \"masked\"` or `\"sealed\"`")
            }
            Mode::Masked if self.value_type != ValueType::Text => {
                fault("only text can be stored as its mask")
            }
            _ => Ok(self),
        }
    }
}
