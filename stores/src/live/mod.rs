// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an application does with a table while a run works on it: seals, opens, finds and changes rows, and never fails for the run's sake.
//!
//! Owns when keys are read again, and when a search is made again (SPEC 11.6). Never talks to a database: it gives names and values, and takes
//! rows as they were read.

mod cells;
mod dual;
mod row;
mod write;

pub use dual::DualTable;
pub use row::{StoredRow, StoredValue};
pub use write::RowWrite;

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use amanat::error::{Error, Kind, Result};
use amanat::ident::{KeyId, Name};
use amanat::index::IndexTerm;
use amanat::keys::{Keyring, Purpose};
use amanat::schema::{Encoding, TableSchema};
use amanat::value::ValueRef;
use amanat::{Allowance, Engine, Finder, OpenOptions, Record, RecordOpener, RecordSealer, SealedRecord};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::keyring_watch::{KeyringWatch, messages_of_record};

/// How often sealing is tried: other threads draw on the same messages.
const ATTEMPTS: u32 = 4;

/// A table as one thread of an application uses it, under whatever keys the keyring has by then.
///
/// | call | what makes it right at every moment of a run |
/// |---|---|
/// | [`open`](Self::open) | a key that is not known is looked for in the file, then the value is opened again |
/// | [`find`](Self::find) | asks for terms of every key that rows may be under, in one query; asks again if the file had a further one by then |
/// | [`insert`](Self::insert), [`change`](Self::change), [`delete`](Self::delete) | values and indexes are written together, on the condition that the row is as it was read |
///
/// One for each thread. `R` is a [`Record`] whose sealed type has serde's traits, which the derive macro gives it.
pub struct LiveTable<'w, R> {
    watch: &'w KeyringWatch<'w>,
    schema: TableSchema,
    former: Vec<TableSchema>,
    break_glass: Vec<KeyId>,
    keys: Loaded,
    record: PhantomData<fn() -> R>,
}

/// What was made from one state of the keyring.
struct Loaded {
    keyring: Arc<Keyring>,
    opener: RecordOpener,
    sealer: Option<(RecordSealer, Vec<Allowance>)>,
    finders: Vec<(Name, Vec<Finder>)>,
}

impl<'w, R> LiveTable<'w, R>
where
    R: Record,
    R::Sealed: Serialize + DeserializeOwned,
{
    /// Prepares work with the table of a record type.
    ///
    /// # Errors
    /// As [`KeyringWatch::current`], [`Record::schema`] and [`RecordOpener::new`].
    pub fn new(watch: &'w KeyringWatch<'w>) -> Result<Self> {
        let (schema, keyring) = (R::schema()?, watch.current()?);
        let keys = Loaded::new(keyring, &schema, &[])?;
        let (former, break_glass) = (Vec::new(), Vec::new());
        Ok(Self { watch, schema, former, break_glass, keys, record: PhantomData })
    }

    /// Names keys that are suspended or compromised and by which rows are opened and found nevertheless, until a run has taken them away from
    /// those keys. Log every use: this is breaking the glass.
    ///
    /// # Errors
    /// As [`RecordOpener::new`].
    pub fn with_break_glass(mut self, keys: Vec<KeyId>) -> Result<Self> {
        self.break_glass = keys;
        self.load(Arc::clone(&self.keys.keyring))?;
        Ok(self)
    }

    /// Finds by the terms of a former schema too: while a run changes the length or the normal form of an index that keeps its name and column.
    #[must_use]
    pub fn with_former(mut self, schema: TableSchema) -> Self {
        self.former.push(schema);
        self.keys.finders.clear();
        self
    }

    /// The schema.
    #[must_use]
    pub const fn schema(&self) -> &TableSchema {
        &self.schema
    }

    /// Generation of the keyring that is used now.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.keys.keyring.generation()
    }

    /// Opens a row.
    ///
    /// # Errors
    /// `Malformed` or `Schema` if the row is not one of this table; as [`SealedRecord::open`]; `UnknownKey` only if the file does not have the
    /// key either.
    pub fn open(&mut self, row: &StoredRow) -> Result<R> {
        self.refresh()?;
        let sealed: R::Sealed = row.read(&self.schema)?;
        self.open_sealed(&sealed)
    }

    /// Finds the rows of a value, typed as people type it. `query` is given the terms to ask for, as they stand in the column of the index, and
    /// gives the rows `WHERE column IN (terms)`: all terms in **one** statement, because a run moves rows from one term to the other between
    /// two. It may be called again. Gives the rows whose opened values are those that were searched for.
    ///
    /// # Errors
    /// As [`Finder::search`], `query` and [`open`](Self::open).
    pub fn find(
        &mut self,
        index: &str,
        values: &[ValueRef<'_>],
        mut query: impl FnMut(&[StoredValue]) -> Result<Vec<StoredRow>>,
    ) -> Result<Vec<(StoredRow, R)>> {
        self.refresh()?;
        let mut terms = self.terms(index, values)?;
        let rows = loop {
            let rows = query(&terms)?;
            // Whoever wrote under a key that this search did not know has read a newer file before, and the file still has it now.
            if !self.renew()? {
                break rows;
            }
            let newer = self.terms(index, values)?;
            let asked_all = newer.iter().all(|term| terms.contains(term));
            terms = newer;
            if asked_all {
                break rows;
            }
        };
        let mut found = Vec::new();
        for row in rows {
            let sealed: R::Sealed = row.read(&self.schema)?;
            let record = self.open_sealed(&sealed)?;
            if self.is_found(index, values, &record)? {
                found.push((row, record));
            }
        }
        Ok(found)
    }

    /// What to insert for a new record.
    ///
    /// # Errors
    /// As [`Record::seal`] and [`KeyringWatch::messages`].
    pub fn insert(&mut self, record: &R) -> Result<RowWrite> {
        self.refresh()?;
        let sealed = self.seal(record)?;
        Ok(RowWrite::insert(cells::of(&sealed, &self.schema)?))
    }

    /// What to write so that a row that was read becomes `changed`: the columns that differ, sealed and indexed by today's policy, on the
    /// condition that every column of the table is as it was read. If no row is changed by it, somebody else was faster: read the row again
    /// and change that.
    ///
    /// # Errors
    /// `Misuse` if `changed` has another record id, or the row was read without one of the table's columns; as [`open`](Self::open) and
    /// [`insert`](Self::insert).
    pub fn change(&mut self, row: &StoredRow, changed: &R) -> Result<RowWrite> {
        self.refresh()?;
        let former: R::Sealed = row.read(&self.schema)?;
        if former.record_id()? != changed.record_id()? {
            return Err(Error::misuse(
                "a record id cannot be changed, what is sealed is bound to it; insert a new row and delete this one",
            ));
        }
        let former = self.open_sealed(&former)?;
        let sealed = self.seal(changed)?;
        let unchanged = cells::unchanged(&former, changed);
        let new = cells::of(&sealed, &self.schema)?;
        let differs = |(column, value): &(String, StoredValue)| {
            let stored = row.cell(column);
            !stored.is_some_and(|stored| {
                stored.is_same(value) || cells::may_stay(&self.schema, column, (stored, value), &unchanged)
            })
        };
        let set = new.into_iter().filter(differs).collect();
        RowWrite::change(row, &self.schema, set)
    }

    /// What to delete a row by, on the condition that it is as it was read.
    ///
    /// # Errors
    /// `Misuse` if the row was read without one of the table's columns.
    pub fn delete(&self, row: &StoredRow) -> Result<RowWrite> {
        RowWrite::change(row, &self.schema, Vec::new())
    }

    fn open_sealed(&mut self, sealed: &R::Sealed) -> Result<R> {
        match sealed.open(&mut self.keys.opener) {
            // A key that this keyring does not have, or has as one that is not used yet.
            Err(error) if matches!(error.kind(), Kind::UnknownKey | Kind::KeyUnusable) && self.renew()? => {
                sealed.open(&mut self.keys.opener)
            }
            done => done,
        }
    }

    fn seal(&mut self, record: &R) -> Result<R::Sealed> {
        for _ in 1..ATTEMPTS {
            self.prepare()?;
            match self.keys.seal(record) {
                Err(error) if error.kind() == Kind::Limit && self.is_used_up() => {
                    self.keys.sealer = None;
                }
                done => return done,
            }
        }
        self.prepare()?;
        self.keys.seal(record)
    }

    /// Makes the sealer if there is none, or one that could seal nothing.
    fn prepare(&mut self) -> Result<()> {
        if self.keys.sealer.is_some() && !self.is_used_up() {
            return Ok(());
        }
        let (keyring, messages) = self.watch.messages(&self.schema, 1)?;
        if !Arc::ptr_eq(&keyring, &self.keys.keyring) {
            self.load(keyring)?;
        }
        let keyring = &self.keys.keyring;
        let sealer = RecordSealer::for_keyring(keyring, &self.schema, Engine::default(), &messages)?;
        self.keys.sealer = Some((sealer, messages));
        Ok(())
    }

    /// Whether of some key fewer messages are left than a record may take.
    fn is_used_up(&self) -> bool {
        let need = messages_of_record(&self.schema);
        let mut messages = self.keys.sealer.iter().flat_map(|(_, messages)| messages);
        messages.any(|allowance| allowance.left() < need)
    }

    /// Goes over to the keyring of the watch, which is at most one period old.
    fn refresh(&mut self) -> Result<()> {
        let keyring = self.watch.current()?;
        if !Arc::ptr_eq(&keyring, &self.keys.keyring) {
            self.load(keyring)?;
        }
        Ok(())
    }

    /// Goes over to the keyring that the file has now; false if it is the one that is used already.
    fn renew(&mut self) -> Result<bool> {
        let keyring = self.watch.newest()?;
        let is_new = !Arc::ptr_eq(&keyring, &self.keys.keyring);
        if is_new {
            self.load(keyring)?;
        }
        Ok(is_new)
    }

    fn load(&mut self, keyring: Arc<Keyring>) -> Result<()> {
        self.keys = Loaded::new(keyring, &self.schema, &self.break_glass)?;
        Ok(())
    }

    fn finders(&mut self, index: &str) -> Result<&mut Vec<Finder>> {
        let known = self.keys.finders.iter().position(|(name, _)| name.as_str() == index);
        let place = match known {
            Some(place) => place,
            None => {
                let break_glass = of_purpose(&self.keys.keyring, &self.break_glass, Purpose::Index);
                let with_index = self.former.iter().filter(|schema| schema.index(index).is_ok());
                let schemas = std::iter::once(&self.schema).chain(with_index);
                let finder = |schema| Finder::new(&self.keys.keyring, schema, index, &break_glass);
                let finders = schemas.map(finder).collect::<Result<_>>()?;
                self.keys.finders.push((Name::new(index)?, finders));
                self.keys.finders.len() - 1
            }
        };
        let found = self.keys.finders.get_mut(place).map(|(_, finders)| finders);
        found.ok_or_else(|| Error::misuse("the index has no finder"))
    }

    fn terms(&mut self, index: &str, values: &[ValueRef<'_>]) -> Result<Vec<StoredValue>> {
        let encoding = self.schema.encoding();
        let stored = |term: &IndexTerm| match encoding {
            Encoding::Binary => StoredValue::Bytes(term.as_bytes().to_vec()),
            _ => StoredValue::Text(term.to_text()),
        };
        let mut terms = Vec::new();
        for (place, finder) in self.finders(index)?.iter_mut().enumerate() {
            match finder.search(values) {
                Ok(search) => terms.extend(search.terms().iter().map(stored)),
                Err(error) if place == 0 => return Err(error),
                // What a former normal form does not know is in no row under it.
                Err(_) => {}
            }
        }
        terms.dedup();
        Ok(terms)
    }

    fn is_found(&mut self, index: &str, values: &[ValueRef<'_>], record: &R) -> Result<bool> {
        let places: Vec<usize> = {
            let fields = self.schema.index(index)?.spec().fields();
            fields.iter().filter_map(|part| self.schema.sealed_position(&part.field)).collect()
        };
        let of_record = record.sealed_values();
        let opened: Vec<ValueRef<'_>> =
            places.iter().filter_map(|place| of_record.get(*place).copied()).collect();
        let mut finders = self.finders(index)?.iter_mut();
        Ok(finders.any(|finder| finder.search(values).is_ok_and(|search| search.matches(&opened))))
    }
}

impl<R> fmt::Debug for LiveTable<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LiveTable({}, generation {})", self.schema.name(), self.keys.keyring.generation())
    }
}

impl Loaded {
    fn new(keyring: Arc<Keyring>, schema: &TableSchema, break_glass: &[KeyId]) -> Result<Self> {
        let break_glass = of_purpose(&keyring, break_glass, Purpose::Field);
        let options = OpenOptions { break_glass, ..OpenOptions::default() };
        let opener = RecordOpener::new(&keyring.field_keys()?, schema, &options)?;
        Ok(Self { keyring, opener, sealer: None, finders: Vec::new() })
    }

    fn seal<R: Record>(&mut self, record: &R) -> Result<R::Sealed> {
        let sealer = self.sealer.as_mut().ok_or_else(|| Error::misuse("nothing was reserved"))?;
        record.seal(&mut sealer.0)
    }
}

/// Those of the keys that have this purpose: an opener refuses a key that is none of its own.
fn of_purpose(keyring: &Keyring, ids: &[KeyId], purpose: Purpose) -> Vec<KeyId> {
    let of =
        |key: &&amanat::keys::KeyInfo| key.purpose == purpose && ids.contains(&key.id) && !key.state.opens();
    keyring.keys().filter(of).map(|key| key.id).collect()
}
