// SPDX-License-Identifier: MIT OR Apache-2.0
//! One call that seals or opens records of a Rust type, and the forms in which its sealed type holds fields.
//!
//! Owns the check that a sealer or opener is the type's own. Never keeps a value that another field's failure leaves behind.

use core::fmt;

use super::beside::SurrogateForm;
use super::mixed::Mixed;
use super::{FieldValue, Layout, RecordOpener, RecordSealer, SealedField, no_such_field};
use crate::context::RecordId;
use crate::crypto::random::Nonces;
use crate::error::{Error, Result};
use crate::schema::Absence;
use crate::value::{Value, ValueRef};

/// One call that seals records of one type: its random bytes are drawn once and live no longer.
pub struct SealCall<'a> {
    sealer: &'a mut RecordSealer,
    nonces: Nonces,
}

impl RecordSealer {
    pub(super) fn call(&mut self, layout: &Layout, records: usize) -> Result<SealCall<'_>> {
        layout.check(&self.table, self.fields.iter().map(|(_, policy)| policy))?;
        layout.check_beside(&self.indexes, &self.tokens)?;
        if layout.has_beside() && self.surrogates.is_none() {
            return Err(Error::misuse(
                "this sealer makes no index terms and tokens, and the record has them; make it with RecordSealer::for_keyring",
            ));
        }
        let nonces = self.begin(records)?;
        Ok(SealCall { sealer: self, nonces })
    }
}

impl fmt::Debug for SealCall<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealCall")
    }
}

impl SealCall<'_> {
    /// Seals the value of the field at a position among the sealed fields, from 0, into the form that the sealed type holds it in.
    ///
    /// # Errors
    /// As [`Record::seal`](super::Record::seal); `Misuse` for a position that does not exist.
    pub fn seal<T: FieldValue, S: SealedForm<T>>(
        &mut self,
        position: usize,
        record: &RecordId<'_>,
        value: &T,
    ) -> Result<S> {
        let (sealer, policy) = self.sealer.fields.get_mut(position).ok_or_else(no_such_field)?;
        let value = value.as_value();
        if policy.absence() == Absence::Visible && matches!(value, ValueRef::Null) {
            return S::from_sealed(None);
        }
        let mut envelope = Vec::new();
        let sealed = sealer.seal_with(&mut self.nonces, record, value, &mut envelope);
        sealed.map_err(|error| error.at_field(policy.name()))?;
        S::from_sealed(Some(SealedField::from_sealer(envelope)))
    }
}

impl SealCall<'_> {
    /// Makes the index term or token of the column at a place among those of
    /// [`surrogate_columns`](crate::schema::TableSchema::surrogate_columns), from 0. `values` are those of the sealed fields, in order.
    ///
    /// # Errors
    /// As [`Record::seal`](super::Record::seal); `Misuse` for a place that does not exist.
    pub fn surrogate<F: SurrogateForm>(&mut self, column: usize, values: &[ValueRef<'_>]) -> Result<F> {
        let surrogates = self.sealer.surrogates.as_mut();
        let surrogates =
            surrogates.ok_or_else(|| Error::misuse("this sealer makes no index terms and tokens"))?;
        surrogates.make(column, values).and_then(F::from_surrogate)
    }
}

/// One call that opens a record of one type.
pub struct OpenCall<'a> {
    opener: &'a mut RecordOpener,
}

impl RecordOpener {
    pub(super) fn call(&mut self, layout: &Layout) -> Result<OpenCall<'_>> {
        layout.check(&self.table, self.fields.iter().map(|(_, policy)| policy))?;
        Ok(OpenCall { opener: self })
    }
}

impl fmt::Debug for OpenCall<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OpenCall")
    }
}

impl OpenCall<'_> {
    /// Opens the field at a position among the sealed fields, from 0.
    ///
    /// # Errors
    /// As [`SealedRecord::open`](super::SealedRecord::open); `Misuse` for a position that does not exist.
    pub fn open<T: FieldValue>(
        &mut self,
        position: usize,
        record: &RecordId<'_>,
        held: &impl SealedForm<T>,
    ) -> Result<Opened<T>> {
        let value = match held.stored() {
            Stored::Sealed(sealed) => self.opener.open_value(position, record, sealed.as_bytes()),
            Stored::Absent => Ok(Value::Null),
            Stored::Plain(value) => Ok(value.as_value().to_value()),
            Stored::Unknown => Err(Error::malformed(
                "neither an envelope nor a plain value of the field's type; look at it with `amanat inspect`",
            )),
        };
        value.and_then(T::from_value).map(|value| Opened(Some(value))).map_err(|error| {
            let policy = self.opener.fields.get(position).map(|(_, policy)| policy);
            policy.map_or_else(no_such_field, |policy| error.at_field(policy.name()))
        })
    }
}

/// An opened value on its way into its record: wiped if the way ends because another field does not open.
pub struct Opened<T: FieldValue>(Option<T>);

impl<T: FieldValue> Opened<T> {
    /// Guards the value of a field that needs no opening.
    ///
    /// # Errors
    /// As [`FieldValue::from_value`].
    pub fn from_value(value: Value) -> Result<Self> {
        T::from_value(value).map(|value| Self(Some(value)))
    }

    /// Hands the value over.
    ///
    /// # Errors
    /// None: it holds a value until it is handed over.
    pub fn release(mut self) -> Result<T> {
        self.0.take().ok_or_else(|| Error::misuse("an opened value was handed over twice"))
    }
}

impl<T: FieldValue> Drop for Opened<T> {
    fn drop(&mut self) {
        self.0.wipe();
    }
}

impl<T: FieldValue> fmt::Debug for Opened<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Opened")
    }
}

/// How a sealed type holds a sealed field of type `T`.
pub trait SealedForm<T: FieldValue>: Sized {
    /// Holds a new envelope, or that the value is visibly absent.
    ///
    /// # Errors
    /// `Misuse` if the form has no place for an absent value.
    fn from_sealed(sealed: Option<SealedField>) -> Result<Self>;

    /// What is held.
    fn stored(&self) -> Stored<'_, T>;
}

/// What a sealed type holds of a field. Not `Debug`: a plain value would print itself.
pub enum Stored<'a, T> {
    /// Nothing, visibly.
    Absent,
    /// A plain value.
    Plain(&'a T),
    /// An envelope.
    Sealed(&'a SealedField),
    /// Neither.
    Unknown,
}

impl<T: FieldValue> SealedForm<T> for SealedField {
    fn from_sealed(sealed: Option<SealedField>) -> Result<Self> {
        sealed.ok_or_else(|| Error::misuse("the sealed type has no place for an absent value"))
    }

    fn stored(&self) -> Stored<'_, T> {
        Stored::Sealed(self)
    }
}

impl<T: FieldValue> SealedForm<T> for Mixed<T> {
    fn from_sealed(sealed: Option<SealedField>) -> Result<Self> {
        <SealedField as SealedForm<T>>::from_sealed(sealed).map(Self::Sealed)
    }

    fn stored(&self) -> Stored<'_, T> {
        match self {
            Self::Plain(value) => Stored::Plain(value.expose()),
            Self::Sealed(sealed) => Stored::Sealed(sealed),
            Self::Unknown(_) => Stored::Unknown,
        }
    }
}

impl<T: FieldValue, S: SealedForm<T>> SealedForm<T> for Option<S> {
    fn from_sealed(sealed: Option<SealedField>) -> Result<Self> {
        sealed.map(|sealed| S::from_sealed(Some(sealed))).transpose()
    }

    fn stored(&self) -> Stored<'_, T> {
        self.as_ref().map_or(Stored::Absent, S::stored)
    }
}
