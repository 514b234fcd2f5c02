// SPDX-License-Identifier: MIT OR Apache-2.0
//! Blind indexes: find a row by a value without telling the store the value.
//!
//! Owns SPEC chapter 9. Never takes a value that is not in normal form, never works without a key.

pub mod plan;
mod term;

pub use term::{IndexBits, IndexTerm, MAX_INDEX_BITS, MIN_INDEX_BITS};

use core::fmt;

use zeroize::Zeroizing;

use crate::crypto::prf::HmacKey;
use crate::crypto::{kdf, random};
use crate::error::{Error, Result};
use crate::ident::{KeyId, Name};
use crate::keys::{Index, KeyInfo, Keyset};
use crate::normal::{MAX_NORMAL_BYTES, Normal, NormalForm};
use crate::wire::append_pae;

/// Most fields of one index.
pub const MAX_INDEX_FIELDS: usize = 8;

/// A field of an index, and the normal form in which the index sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexedField {
    /// Name of the field.
    pub field: Name,
    /// The form that values are brought into, in rows and in queries.
    pub form: NormalForm,
}

/// What an index is of, and how long its terms are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexSpec {
    name: Name,
    fields: Vec<IndexedField>,
    bits: IndexBits,
}

impl IndexSpec {
    /// Checks and keeps the definition of an index. Name, fields and forms are inputs of its key; the length is not: a term can be
    /// shortened where it lies.
    ///
    /// # Errors
    /// `Schema` if there is no field or a field stands twice; `Limit` if there are more than [`MAX_INDEX_FIELDS`].
    pub fn new(name: Name, fields: Vec<IndexedField>, bits: IndexBits) -> Result<Self> {
        check_fields(&fields).map_err(|error| error.at_field(&name))?;
        Ok(Self { name, fields, bits })
    }

    /// Name of the index.
    #[must_use]
    pub const fn name(&self) -> &Name {
        &self.name
    }

    /// The fields in order.
    #[must_use]
    pub fn fields(&self) -> &[IndexedField] {
        &self.fields
    }

    /// Length of the terms.
    #[must_use]
    pub const fn bits(&self) -> IndexBits {
        self.bits
    }
}

/// One blind index of a table: makes the terms that are stored, and those to search for.
///
/// Protects the value from whoever lacks the index key. Leaks equality: rows with equal values have equal terms, and a term says which
/// generation of the key made it. Shorter terms make unequal values share a term too; [`plan`] says what that buys.
pub struct BlindIndex {
    spec: IndexSpec,
    primary: KeyId,
    /// The primary first, then every other key that opens, the newest first.
    keys: Vec<(u8, HmacKey)>,
    message: Zeroizing<Vec<u8>>,
}

impl BlindIndex {
    /// Derives the keys of an index, one for each generation that opens. `break_glass` names keys whose state forbids it and that shall be
    /// searched by nevertheless, so that rows are found until they are rotated away from a compromised key.
    ///
    /// # Errors
    /// None today; the type leaves room for a key that cannot be derived.
    pub fn new(
        keys: &Keyset<'_, Index>,
        table: &Name,
        spec: &IndexSpec,
        break_glass: &[KeyId],
    ) -> Result<Self> {
        let primary = keys.primary();
        // KDF(secret, PAE("amanat/v1/index", registry, table, index, field 1, form 1, …), 32)
        let forms: Vec<_> = spec.fields.iter().map(|field| field.form.identity()).collect();
        let mut parts = vec![kdf::INDEX, keys.registry().as_bytes(), table.as_bytes(), spec.name.as_bytes()];
        for (field, form) in spec.fields.iter().zip(&forms) {
            parts.extend([field.field.as_bytes(), form.as_bytes()]);
        }
        let mut found: Vec<(u8, HmacKey)> = Vec::new();
        for key in keys.keys() {
            let KeyInfo { id, state, .. } = &key.info;
            let usable = state.opens() || (state.opens_by_name() && break_glass.contains(id));
            let Some(secret) = key.secret.as_ref().filter(|_| usable) else { continue };
            let derived = kdf::derive::<32>(secret, &parts);
            found.push((id.tag(), HmacKey::new(derived.expose())));
        }
        // Room for the longest message: growing would leave a copy behind.
        let room = 4 + spec.fields.len() * (4 + MAX_NORMAL_BYTES);
        found.reverse();
        found.sort_by_key(|(tag, _)| *tag != primary.tag());
        Ok(Self {
            spec: spec.clone(),
            primary,
            keys: found,
            message: Zeroizing::new(Vec::with_capacity(room)),
        })
    }

    /// What the index is of.
    #[must_use]
    pub const fn spec(&self) -> &IndexSpec {
        &self.spec
    }

    /// Id of the key that makes the terms that are stored.
    #[must_use]
    pub const fn primary(&self) -> KeyId {
        self.primary
    }

    /// Tags of the keys that are searched by, the primary's first: a term with another tag is not found.
    pub fn tags(&self) -> impl ExactSizeIterator<Item = u8> {
        self.keys.iter().map(|(tag, _)| *tag)
    }

    /// The term to store for a row: `values` are those of the index's fields, in order, in normal form.
    ///
    /// # Errors
    /// `Misuse` for another number of values or another normal form than the index has.
    pub fn term(&mut self, values: &[&Normal]) -> Result<IndexTerm> {
        self.write_message(values)?;
        let (tag, key) = self.keys.first().ok_or_else(no_key)?;
        Ok(IndexTerm::cut(*tag, &key.sign(&self.message), self.spec.bits))
    }

    /// The terms to search for, one for each generation of the key that rows may still be under, the primary's first.
    ///
    /// Rows that are found are candidates: open the field and compare.
    ///
    /// # Errors
    /// As [`term`](Self::term).
    pub fn query(&mut self, values: &[&Normal]) -> Result<Vec<IndexTerm>> {
        self.write_message(values)?;
        Ok(self
            .keys
            .iter()
            .map(|(tag, key)| IndexTerm::cut(*tag, &key.sign(&self.message), self.spec.bits))
            .collect())
    }

    /// A term for a row whose value is absent, where absence is hidden: random, so that such rows are not seen to be alike.
    ///
    /// # Errors
    /// `Entropy`.
    pub fn absent_term(&self) -> Result<IndexTerm> {
        let (tag, _) = self.keys.first().ok_or_else(no_key)?;
        Ok(IndexTerm::cut(*tag, &random::bytes::<32>()?, self.spec.bits))
    }

    /// Whether a stored term is of the primary key and of this length: what rotation decides by.
    #[must_use]
    pub fn is_current(&self, term: &IndexTerm) -> bool {
        term.tag() == self.primary.tag() && term.has_bits(self.spec.bits)
    }

    fn write_message(&mut self, values: &[&Normal]) -> Result<()> {
        let fits = |(value, field): (&&Normal, &IndexedField)| *value.form() == field.form;
        if values.len() != self.spec.fields.len() || !values.iter().zip(&self.spec.fields).all(fits) {
            return Err(Error::misuse(
                "the values are not those of the index's fields in their normal forms",
            ));
        }
        values.iter().try_for_each(|value| value.check_ready())?;
        self.message.clear();
        append_pae(values.iter().map(|value| value.as_bytes()), &mut self.message);
        Ok(())
    }
}

impl fmt::Debug for BlindIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "BlindIndex({}, {} bits, key {})",
            self.spec.name,
            self.spec.bits.get(),
            self.primary.short()
        )
    }
}

fn check_fields(fields: &[IndexedField]) -> Result<()> {
    if fields.len() > MAX_INDEX_FIELDS {
        return Err(Error::limit("an index has 1 to 8 fields"));
    }
    if fields.is_empty() {
        return Err(Error::schema("an index has 1 to 8 fields"));
    }
    let repeated = |(place, field): (usize, &IndexedField)| {
        fields.iter().take(place).any(|other| other.field == field.field)
    };
    if fields.iter().enumerate().any(repeated) {
        return Err(Error::schema("a field stands twice in an index"));
    }
    Ok(())
}

fn no_key() -> Error {
    Error::misuse("the index has no key")
}
