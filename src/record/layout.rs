// SPDX-License-Identifier: MIT OR Apache-2.0
//! The schema of a Rust type, known when it is compiled.
//!
//! Owns the comparison of a type with the schema that a sealer or opener was made from. Never guesses where they differ.

use super::beside::{IndexLayout, TokenLayout};
use crate::error::{Error, Result};
use crate::field::Family;
use crate::ident::Name;
use crate::identifier::Identifier;
use crate::index::IndexedField;
use crate::mask::Mask;
use crate::schema::{
    Absence, Encoding, FieldPolicy, IndexPolicy, Migration, Mode, TableSchema, TokenPolicy, ValueType,
};
use crate::value::Bucket;

/// The policy of a table as constants: what `#[derive(Record)]` reads from the attributes.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    table: &'static str,
    record_id: &'static [&'static str],
    encoding: Encoding,
    fields: &'static [FieldLayout],
    indexes: &'static [IndexLayout],
    tokens: &'static [TokenLayout],
}

/// The policy of one field as constants.
#[derive(Clone, Copy, Debug)]
pub struct FieldLayout {
    name: &'static str,
    column: &'static str,
    mode: Mode,
    value_type: ValueType,
    pad: usize,
    family: Family,
    absence: Absence,
    migration: Migration,
    mask: Option<&'static Mask>,
    identifier: Option<&'static Identifier>,
}

impl Layout {
    /// Names a table, the columns that identify a row, and the fields in order. Nothing is checked before [`to_schema`](Self::to_schema).
    #[must_use]
    pub const fn new(
        table: &'static str,
        record_id: &'static [&'static str],
        encoding: Encoding,
        fields: &'static [FieldLayout],
    ) -> Self {
        Self { table, record_id, encoding, fields, indexes: &[], tokens: &[] }
    }

    /// Sets the blind indexes.
    #[must_use]
    pub const fn with_indexes(mut self, indexes: &'static [IndexLayout]) -> Self {
        self.indexes = indexes;
        self
    }

    /// Sets the tokens.
    #[must_use]
    pub const fn with_tokens(mut self, tokens: &'static [TokenLayout]) -> Self {
        self.tokens = tokens;
        self
    }

    /// The checked schema.
    ///
    /// # Errors
    /// As [`TableSchema::new`].
    pub fn to_schema(&self) -> Result<TableSchema> {
        let record_id = self.record_id.iter().map(|column| (*column).to_owned()).collect();
        let fields = self.fields.iter().copied().map(FieldLayout::to_policy).collect::<Result<_>>()?;
        let indexes = self.indexes.iter().copied().map(IndexLayout::to_policy).collect::<Result<_>>()?;
        let tokens = self.tokens.iter().copied().map(TokenLayout::to_policy).collect::<Result<_>>()?;
        let table = TableSchema::new(Name::new(self.table)?, record_id, self.encoding, fields)?;
        table.with_indexes(indexes)?.with_tokens(tokens)
    }

    /// The mask of the field at a place, from 0: what is shown instead of its value. One that hides everything if there is no such field.
    #[must_use]
    pub fn mask(&self, field: usize) -> Mask {
        let field = self.fields.get(field);
        let own = field.and_then(|field| field.mask).cloned();
        let of_identifier = || field?.identifier.cloned().map(Mask::Identifier);
        own.or_else(of_identifier).unwrap_or_default()
    }

    /// Refuses a sealer whose rows would have other indexes or tokens than the type says.
    pub(super) fn check_beside(&self, indexes: &[IndexPolicy], tokens: &[TokenPolicy]) -> Result<()> {
        let indexes_fit = self.indexes.len() == indexes.len()
            && self.indexes.iter().zip(indexes).all(|(own, policy)| own.makes_like(policy));
        let tokens_fit = self.kept().count() == tokens.len()
            && self.kept().zip(tokens).all(|(own, policy)| own.makes_like(policy));
        if indexes_fit && tokens_fit {
            return Ok(());
        }
        Err(Error::misuse(
            "made from a schema whose indexes or kept tokens differ from the record's; make it from the record's own schema",
        ))
    }

    /// Whether rows have columns beside those of the fields.
    pub(super) fn has_beside(&self) -> bool {
        !self.indexes.is_empty() || self.kept().next().is_some()
    }

    fn kept(&self) -> impl Iterator<Item = &TokenLayout> {
        self.tokens.iter().filter(|token| token.is_kept())
    }

    /// Places of an index's fields among the sealed fields; `None` if records of this type do not have that index.
    pub(super) fn places_of(&self, table: &Name, index: &IndexPolicy) -> Option<Vec<usize>> {
        if table.as_str() != self.table || !self.indexes.iter().any(|own| own.makes_like(index)) {
            return None;
        }
        let place = |part: &IndexedField| {
            let mut sealed = self.fields.iter().filter(|field| field.mode == Mode::Sealed);
            sealed.position(|field| field.name == part.field.as_str())
        };
        index.spec().fields().iter().map(place).collect()
    }

    /// Refuses a sealer or opener whose schema would seal or open this type's fields otherwise than the type says.
    pub(super) fn check<'a>(
        &self,
        table: &Name,
        sealed: impl ExactSizeIterator<Item = &'a FieldPolicy>,
    ) -> Result<()> {
        if table.as_str() != self.table {
            return Err(Error::misuse(format!(
                "made for table `{table}`, used for a record of table `{}`; make it from the record's own schema",
                self.table
            )));
        }
        let mut own = self.fields.iter().filter(|field| field.mode == Mode::Sealed);
        for policy in sealed {
            if !own.next().is_some_and(|field| field.seals_like(policy)) {
                return Err(other_schema().at_field(policy.name()));
            }
        }
        if own.next().is_some() { Err(other_schema()) } else { Ok(()) }
    }
}

fn other_schema() -> Error {
    Error::misuse(
        "made from a schema whose sealed fields differ from the record's; make it from the record's own schema",
    )
}

impl FieldLayout {
    /// A field whose column has the same name; everything else by default.
    #[must_use]
    pub const fn new(name: &'static str, mode: Mode, value_type: ValueType) -> Self {
        Self {
            name,
            column: name,
            mode,
            value_type,
            pad: 16,
            family: Family::Aes,
            absence: Absence::Hidden,
            migration: Migration::Done,
            mask: None,
            identifier: None,
        }
    }

    /// Sets the column.
    #[must_use]
    pub const fn with_column(mut self, column: &'static str) -> Self {
        self.column = column;
        self
    }

    /// Sets the padding bucket, in bytes.
    #[must_use]
    pub const fn with_pad(mut self, pad: usize) -> Self {
        self.pad = pad;
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
    pub const fn with_mask(mut self, mask: &'static Mask) -> Self {
        self.mask = Some(mask);
        self
    }

    /// Says what the text is.
    #[must_use]
    pub const fn with_identifier(mut self, identifier: &'static Identifier) -> Self {
        self.identifier = Some(identifier);
        self
    }

    fn to_policy(self) -> Result<FieldPolicy> {
        let mut policy = FieldPolicy::new(Name::new(self.name)?, self.mode)
            .with_column(self.column)?
            .with_type(self.value_type)
            .with_bucket(Bucket::new(self.pad)?)
            .with_family(self.family)
            .with_absence(self.absence)
            .with_migration(self.migration);
        if let Some(mask) = self.mask {
            policy = policy.with_mask(mask.clone());
        }
        if let Some(identifier) = self.identifier {
            policy = policy.with_identifier(identifier.clone());
        }
        Ok(policy)
    }

    /// Whether sealing and opening by this policy and by that one are the same.
    fn seals_like(&self, policy: &FieldPolicy) -> bool {
        self.name == policy.name().as_str()
            && self.value_type == policy.value_type()
            && self.pad == policy.bucket().bytes()
            && self.family == policy.family()
            && self.absence == policy.absence()
    }
}
