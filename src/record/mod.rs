// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whole rows: every sealed field in one call, and the types that `#[derive(Record)]` builds on.
//!
//! Owns the order of a record's fields. Never holds plaintext in a type that serialises.

pub(crate) mod beside;
pub(crate) mod call;
mod cell;
mod find;
pub(crate) mod form;
mod layout;
mod mixed;
mod sealed;
pub(crate) mod typed;
mod value;

pub use beside::{IndexLayout, TokenLayout};
pub use call::{OpenCall, SealCall};
pub use cell::{Cell, PlainBytes};
pub use find::{Finder, Search};
pub use layout::{FieldLayout, Layout};
pub use mixed::{Mixed, Plain};
pub use sealed::SealedField;
pub use typed::{Record, SealedRecord};
pub use value::{Cbor, FieldValue, RecordIdColumn};

use core::fmt;

use crate::context::{FieldContext, RecordId};
use crate::crypto::Engine;
use crate::crypto::random::Nonces;
use crate::error::{Error, Result};
use crate::field::{EnvelopeBatch, FieldOpener, FieldSealer, OpenOptions, SealOptions};
use crate::ident::{KeyId, Name};
use crate::keys::{Allowance, Field, Keyring, Keyset, Purpose};
use crate::schema::{Absence, FieldPolicy, IndexPolicy, TableSchema, TokenPolicy};
use crate::surrogate::Surrogates;
use crate::token::TokenKind;
use crate::value::{Value, ValueRef};

/// Seals the sealed fields of a table's rows, and makes the index terms and tokens that stand beside them.
pub struct RecordSealer {
    table: Name,
    fields: Vec<(FieldSealer, FieldPolicy)>,
    indexes: Vec<IndexPolicy>,
    /// Those that the table keeps.
    tokens: Vec<TokenPolicy>,
    surrogates: Option<Surrogates>,
    key: KeyId,
}

impl RecordSealer {
    /// Makes a sealer of whole rows: sealed fields, indexes and tokens. `allowances` are those of [`reserve`](Self::reserve).
    ///
    /// # Errors
    /// `Misuse` if nothing was reserved under a key that is needed; otherwise as [`FieldSealer::new`] and [`Surrogates::new`].
    pub fn for_keyring(
        keyring: &Keyring,
        table: &TableSchema,
        engine: Engine,
        allowances: &[Allowance],
    ) -> Result<Self> {
        let keys = keyring.field_keys()?;
        let allowance = allowances.iter().find(|allowance| allowance.key() == keys.primary());
        let allowance = allowance.ok_or_else(|| {
            Error::misuse("no messages were reserved under the primary field key; call RecordSealer::reserve")
        })?;
        let surrogates = Some(Surrogates::new(keyring, table, allowances)?);
        Ok(Self { surrogates, ..Self::new(&keys, table, engine, allowance)? })
    }

    /// Reserves what sealing that many records of a table needs: messages of its sealed fields, and of the reversible tokens that it keeps.
    /// Write the keyring before the first record is sealed, and give back what is left.
    ///
    /// # Errors
    /// As [`Keyring::reserve`] and [`Keyring::reserve_under`]; `UnknownKey` if a token is of an epoch that the keyring does not have.
    pub fn reserve(keyring: &mut Keyring, table: &TableSchema, records: u64) -> Result<Vec<Allowance>> {
        let messages = |columns: usize| records.saturating_mul(u64::try_from(columns).unwrap_or(u64::MAX));
        let mut allowances = vec![keyring.reserve(Purpose::Field, messages(table.sealed().count()))?];
        for key in Surrogates::token_keys(keyring, table)? {
            let tokens = kept_tokens(table).filter(|token| token.kind() == TokenKind::Reversible);
            let mut count = 0;
            for token in tokens {
                count += usize::from(keyring.token_keys()?.key_of_epoch(token.epoch())? == key);
            }
            allowances.push(keyring.reserve_under(key, messages(count))?);
        }
        Ok(allowances)
    }

    /// Makes a sealer of every sealed field of a table, in schema order. It makes no index terms and no tokens: records of a type that has
    /// them need [`for_keyring`](Self::for_keyring).
    ///
    /// # Errors
    /// As [`FieldSealer::new`].
    pub fn new(
        keys: &Keyset<'_, Field>,
        table: &TableSchema,
        engine: Engine,
        allowance: &Allowance,
    ) -> Result<Self> {
        let make = |field: &FieldPolicy| {
            let context = context(keys, table, field);
            let options = SealOptions { engine, family: field.family(), bucket: field.bucket() };
            let sealer = FieldSealer::new(keys, &context, options, allowance)?;
            Ok((sealer, field.clone()))
        };
        let fields = table.sealed().map(make).collect::<Result<_>>()?;
        Ok(Self {
            table: table.name().clone(),
            fields,
            indexes: table.indexes().to_vec(),
            tokens: kept_tokens(table).cloned().collect(),
            surrogates: None,
            key: keys.primary(),
        })
    }

    /// Id of the key that seals.
    #[must_use]
    pub const fn key(&self) -> KeyId {
        self.key
    }

    /// Seals one record: `values` are those of the sealed fields in schema order. Appends one envelope for each, an empty one for a
    /// null whose absence is visible. The operating system is asked for random bytes once. Index terms and tokens of rows without a Rust
    /// type are made by [`Surrogates`].
    ///
    /// # Errors
    /// `Misuse` for another number of values; otherwise as [`FieldSealer::seal`], with the field's name.
    pub fn seal(
        &mut self,
        record: &RecordId<'_>,
        values: &[ValueRef<'_>],
        out: &mut EnvelopeBatch,
    ) -> Result<()> {
        self.seal_batch([(record, values)].into_iter(), out)
    }

    /// Seals many records with one drawing of random bytes, as [`seal`](Self::seal).
    ///
    /// # Errors
    /// As [`seal`](Self::seal), with the record's position from 1 as row; the batch then holds what came before the field that failed.
    pub fn seal_batch<'a>(
        &mut self,
        records: impl ExactSizeIterator<Item = (&'a RecordId<'a>, &'a [ValueRef<'a>])>,
        out: &mut EnvelopeBatch,
    ) -> Result<()> {
        let count = records.len();
        let mut nonces = self.begin(count)?;
        // No more than were counted, whatever the iterator gives.
        for ((record, values), row) in records.take(count).zip(1..) {
            if values.len() != self.fields.len() {
                return Err(Error::misuse("the number of values is not that of the table's sealed fields")
                    .at_row(row));
            }
            for ((sealer, policy), value) in self.fields.iter_mut().zip(values) {
                let absent = policy.absence() == Absence::Visible && matches!(value, ValueRef::Null);
                if !absent {
                    let sealed = sealer.seal_with(&mut nonces, record, *value, &mut out.bytes);
                    sealed.map_err(|error| error.at_field(policy.name()).at_row(row))?;
                }
                out.ends.push(out.bytes.len());
            }
        }
        Ok(())
    }

    /// Counts the messages of a call and draws its random bytes.
    fn begin(&self, records: usize) -> Result<Nonces> {
        let messages = records.saturating_mul(self.fields.len());
        let parts: usize = self.fields.iter().map(|(sealer, _)| sealer.nonce_parts()).sum();
        if let Some((sealer, _)) = self.fields.first() {
            sealer.take_allowance(u64::try_from(messages).unwrap_or(u64::MAX))?;
        }
        Nonces::for_parts(records.saturating_mul(parts))
    }
}

fn kept_tokens(table: &TableSchema) -> impl Iterator<Item = &TokenPolicy> {
    table.tokens().iter().filter(|token| token.column().is_some())
}

impl fmt::Debug for RecordSealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecordSealer({} fields, key {})", self.fields.len(), self.key.short())
    }
}

/// Opens the sealed fields of a table's rows.
pub struct RecordOpener {
    table: Name,
    fields: Vec<(FieldOpener, FieldPolicy)>,
}

impl RecordOpener {
    /// Makes an opener of every sealed field of a table, in schema order.
    ///
    /// # Errors
    /// As [`FieldOpener::new`].
    pub fn new(keys: &Keyset<'_, Field>, table: &TableSchema, options: &OpenOptions) -> Result<Self> {
        let make = |field: &FieldPolicy| {
            let opener = FieldOpener::new(keys, &context(keys, table, field), options)?;
            Ok((opener, field.clone()))
        };
        Ok(Self { table: table.name().clone(), fields: table.sealed().map(make).collect::<Result<_>>()? })
    }

    /// Opens the field at a position among the sealed fields, from 0. Empty bytes are a null whose absence is visible.
    ///
    /// # Errors
    /// As [`FieldOpener::open`], with the field's name; `Misuse` for a position that does not exist.
    pub fn open(&mut self, position: usize, record: &RecordId<'_>, envelope: &[u8]) -> Result<ValueRef<'_>> {
        let (opener, policy) = self.fields.get_mut(position).ok_or_else(no_such_field)?;
        if envelope.is_empty() && policy.absence() == Absence::Visible {
            return Ok(ValueRef::Null);
        }
        opener.open(record, envelope).map_err(|error| error.at_field(policy.name()))
    }

    /// Opens the field at a position among the sealed fields, from 0, and copies the value; nothing of it stays in the opener.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_value(&mut self, position: usize, record: &RecordId<'_>, envelope: &[u8]) -> Result<Value> {
        let (opener, policy) = self.fields.get_mut(position).ok_or_else(no_such_field)?;
        if envelope.is_empty() && policy.absence() == Absence::Visible {
            return Ok(Value::Null);
        }
        opener.open_value(record, envelope).map_err(|error| error.at_field(policy.name()))
    }
}

fn no_such_field() -> Error {
    Error::misuse("the table has fewer sealed fields")
}

impl fmt::Debug for RecordOpener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecordOpener({} fields)", self.fields.len())
    }
}

fn context(keys: &Keyset<'_, Field>, table: &TableSchema, field: &FieldPolicy) -> FieldContext {
    FieldContext::new(keys.registry().clone(), table.name().clone(), field.name().clone())
}
