// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rust types as records: a plain type, its sealed type, and the way between them.
//!
//! Owns the traits that `#[derive(Record)]` implements. Never seals or opens with the keys of another table than the type's own.

use super::call::{OpenCall, SealCall};
use super::{Finder, Layout, RecordOpener, RecordSealer};
use crate::context::RecordId;
use crate::error::Result;
use crate::keys::Keyring;
use crate::schema::TableSchema;
use crate::value::ValueRef;

/// A plain record: personal data that is sealed before it is stored. `#[derive(Record)]` implements it.
///
/// Shape: the derive macro makes, for `struct Citizen`, a `SealedCitizen` and a `MaskedCitizen` with the same fields and visibility, and for
/// `Citizen` itself a `Debug` that prints the name only and a `Drop` that wipes every field that is not clear. `Citizen` has no `Serialize`,
/// and deriving one is refused. A type with `Drop` is not taken apart by moving fields out: borrow, clone, or `mem::take` a field.
///
/// | type | record id | sealed field | masked field | clear field | index, kept token | serde |
/// |---|---|---|---|---|---|---|
/// | `Citizen` | plain | plain | plain, or the mask once opened | as it is | none | none |
/// | `SealedCitizen` | as it is | [`SealedField`](super::SealedField); [`Mixed`](super::Mixed) with `migration = "mixed"`; `Option` with `absence = "visible"` | mask | as it is | `Option` of [`IndexTerm`](crate::index::IndexTerm), of [`TokenText`](crate::surrogate::TokenText) | both ways, by column |
/// | `MaskedCitizen` | left out | mask | mask | as it is | none | `Serialize` |
///
/// Attributes of the struct, `#[amanat(…)]`: `table = "name"`, and `encoding = "text"` (default) or `"binary"`.
/// Each field has exactly one of `record_id`, `sealed`, `masked` (or `masked = "last-4"`, `"identifier"`) and `clear`. Several `record_id`
/// fields make a composite id, in order. Any field may have `column`, and every field but those of the record id `name` (both by default
/// the Rust name). Sealed fields may have `pad = 64`, `mask`, `family`, `absence` and `migration`; sealed and masked ones of text
/// `identifier = "cnic"`: all with the words of the schema file.
///
/// What stands beside sealed fields, again in the words of the schema file (SPEC chapter 7):
///
/// | attribute | of | in `SealedCitizen` |
/// |---|---|---|
/// | `index(bits = 40)`, with `name` (default: `by-` and the field's name), `column`, `form`, `invalid` | a sealed field, once or several times | `by_cnic` for the name `by-cnic` |
/// | `index(name = "…", fields = ["…", "…"], bits = 24)`, with `forms`, `column`, `invalid` | the struct | the same |
/// | `token(kind = "pairwise", recipient = "…", purpose = "…", epoch = 1)`, with `name` (default: the purpose; without a purpose it is the purpose too), `form`, `column`, `reveal`, `mask`, `invalid` | a sealed field, once or several times | only with `column`: `voter_roll` for the name `voter-roll` |
///
/// The normal form is that of the field's `identifier`, `date/v1` for a [`Date`](crate::Date), or what `form` says; patterns of a
/// registry's own need a schema file. A sealer of such a type is made by [`RecordSealer::for_keyring`]; rows are found by
/// [`finder`](Self::finder). Term and token are `None` for what is visibly absent, and in rows that were stored before their column was.
/// Why no identifier is hashed without a key is measured by `examples/brute_force.rs`.
///
/// Limits: structs with named fields, without generic parameters.
///
#[cfg_attr(feature = "derive", doc = "```")]
#[cfg_attr(not(feature = "derive"), doc = "```ignore")]
/// use amanat::{Record, ValueRef};
///
/// #[derive(Record)]
/// #[amanat(table = "citizens")]
/// struct Citizen {
///     #[amanat(record_id)]
///     id: String,
///     #[amanat(sealed, identifier = "cnic", index(bits = 40, column = "cnic_index"))]
///     cnic: String,
///     #[amanat(sealed, pad = 64)]
///     name: String,
///     #[amanat(clear)]
///     district: i64,
/// }
///
/// # fn main() -> amanat::error::Result<()> {
/// # use amanat::keys::{KeyFile, NewSlot};
/// # use amanat::{Engine, Keyring, Name, OpenOptions, RecordOpener, RecordSealer, SealedRecord, Timestamp};
/// # let slot = NewSlot { label: "main", kek: &KeyFile::generate()? };
/// # let mut ring = Keyring::create(Name::new("demo-registry")?, &slot, Timestamp::from_unix_seconds(1_795_000_000)?)?;
/// let reserved = RecordSealer::reserve(&mut ring, &Citizen::schema()?, 1_000)?;
/// // Here the keyring is written: what was reserved is counted before it is used.
/// let mut sealer = RecordSealer::for_keyring(&ring, &Citizen::schema()?, Engine::default(), &reserved)?;
/// let mut opener = RecordOpener::new(&ring.field_keys()?, &Citizen::schema()?, &OpenOptions::default())?;
/// let citizen = Citizen { id: "r-1".into(), cnic: "99901-1234567-1".into(), name: "Invented Name".into(), district: 7 };
///
/// let sealed: SealedCitizen = citizen.seal(&mut sealer)?;
/// assert_eq!(sealed.open(&mut opener)?.name, "Invented Name");
/// assert_eq!(citizen.masked().cnic.as_str(), "*****-***4567-*");
/// assert_eq!(format!("{citizen:?}"), "Citizen { .. }");
///
/// let mut by_cnic = Citizen::finder(&ring, "by-cnic")?;
/// let search = by_cnic.search(&[ValueRef::Text("9990112345671")])?;
/// // SELECT … WHERE cnic_index IN (search.terms())
/// assert_eq!(sealed.by_cnic, search.terms().first().copied());
/// assert!(search.found(&sealed.open(&mut opener)?)?);
/// # Ok(())
/// # }
/// ```
pub trait Record: Sized {
    /// What is stored.
    type Sealed: SealedRecord<Plain = Self>;
    /// What may be shown.
    type Masked;

    /// The schema as constants.
    const LAYOUT: Layout;

    /// The id of the record.
    ///
    /// # Errors
    /// `Limit` if it is empty or too long.
    fn record_id(&self) -> Result<RecordId<'_>>;

    /// Seals the record within a call that may seal others too.
    ///
    /// # Errors
    /// As [`seal`](Self::seal).
    fn seal_within(&self, call: &mut SealCall<'_>) -> Result<Self::Sealed>;

    /// The values of the sealed fields, in order. They stay where they are.
    fn sealed_values(&self) -> Vec<ValueRef<'_>>;

    /// The record with every sealed and masked field as its mask, and without its id.
    fn masked(&self) -> Self::Masked;

    /// The schema: equal to the one that the schema file's words for the same policy give.
    ///
    /// # Errors
    /// As [`TableSchema::new`]; the derive macro finds such faults when it compiles.
    fn schema() -> Result<TableSchema> {
        Self::LAYOUT.to_schema()
    }

    /// Prepares searches by an index of the type.
    ///
    /// # Errors
    /// As [`Finder::new`].
    fn finder(keyring: &Keyring, index: &str) -> Result<Finder> {
        Finder::new(keyring, &Self::schema()?, index, &[])
    }

    /// Seals every sealed field, and makes index terms and tokens. The operating system is asked for random bytes once.
    ///
    /// # Errors
    /// `Misuse` if the sealer is of another table or policy, or makes no index terms and tokens where the type has them; as
    /// [`Surrogates::make`](crate::surrogate::Surrogates::make), with the name of the index or token, for a value that has no normal form;
    /// otherwise as [`FieldSealer::seal`](crate::field::FieldSealer::seal), with the field's name.
    fn seal(&self, sealer: &mut RecordSealer) -> Result<Self::Sealed> {
        self.seal_within(&mut sealer.call(&Self::LAYOUT, 1)?)
    }

    /// Seals many records. The operating system is asked for random bytes once. One record that fails fails the call.
    ///
    /// # Errors
    /// As [`seal`](Self::seal), with the record's position from 1 as row.
    fn seal_all(records: &[Self], sealer: &mut RecordSealer) -> Result<Vec<Self::Sealed>> {
        let mut call = sealer.call(&Self::LAYOUT, records.len())?;
        let mut sealed = Vec::with_capacity(records.len());
        for (record, row) in records.iter().zip(1..) {
            sealed.push(record.seal_within(&mut call).map_err(|error| error.at_row(row))?);
        }
        Ok(sealed)
    }
}

/// The sealed form of a [`Record`].
pub trait SealedRecord: Sized {
    /// The plain form.
    type Plain: Record<Sealed = Self>;

    /// The id of the record.
    ///
    /// # Errors
    /// `Limit` if it is empty or too long.
    fn record_id(&self) -> Result<RecordId<'_>>;

    /// Opens the record with an opener that was found to be its own.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    fn open_within(&self, call: &mut OpenCall<'_>) -> Result<Self::Plain>;

    /// Opens every sealed field. What was opened before a field that fails is wiped.
    ///
    /// # Errors
    /// `Misuse` if the opener is of another table or policy; `Schema` if a sealed value is of another type than the field, `Malformed` for
    /// [`Mixed::Unknown`](super::Mixed::Unknown); otherwise as [`FieldOpener::open`](crate::field::FieldOpener::open), with the field's name.
    fn open(&self, opener: &mut RecordOpener) -> Result<Self::Plain> {
        self.open_within(&mut opener.call(&<Self::Plain as Record>::LAYOUT)?)
    }
}

/// Keeps plain records out of serde: the derive macro implements it, and a type that is `Serialize` has it already.
pub trait PlainRecordIsNotSerialize {}

impl<T: serde::Serialize + ?Sized> PlainRecordIsNotSerialize for T {}
