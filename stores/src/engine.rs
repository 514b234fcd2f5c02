// SPDX-License-Identifier: MIT OR Apache-2.0
//! Protects batches of rows, whatever store they come from.
//!
//! Owns the order of work in a batch and the refusal of whole rows. Never reads or writes a store: [`Rows`] gives it the cells.

use std::borrow::Cow;
use std::fmt;

use amanat::error::{Error, Kind, Result};
use amanat::ident::KeyId;
use amanat::keys::{Field, Keyset};
use amanat::schema::{FieldPolicy, TableSchema};
use amanat::surrogate::StoredSurrogate;
use amanat::value::ValueRef;
use amanat::{Allowance, FieldContext, FieldOpener, FieldSealer, RecordId, SealOptions};

use crate::cell::{CellReader, Decision, Plain, Stored};
use crate::decide::Decider;
use crate::sealed_rows::{Before, Slot};
pub use crate::sealed_rows::{NewCell, SealedRows};
use crate::session::KeyringSession;
use crate::surrogates::{Fault, Part, SurrogateMaker};

/// A batch of rows, as a store gives it to be worked on: the adapter that a store implements.
pub trait Rows {
    /// Number of rows.
    fn count(&self) -> usize;

    /// Number of a row in the whole input, from 1.
    fn number(&self, row: usize) -> u64;

    /// Record id of a row.
    ///
    /// # Errors
    /// Why the whole row cannot be worked on.
    fn record(&self, row: usize) -> Result<RecordId<'_>>;

    /// The cell of a sealed field of a row; `position` counts the sealed fields in schema order.
    ///
    /// # Errors
    /// Why the cell cannot be worked on.
    fn cell(&self, row: usize, position: usize) -> Result<Stored<'_>>;

    /// The cell of the column that held a sealed field under an older schema, if the run moves it from there.
    ///
    /// # Errors
    /// Why the cell cannot be worked on.
    fn former(&self, _row: usize, _position: usize) -> Result<Stored<'_>> {
        Ok(Stored::Absent)
    }

    /// How many cells of columns that the run empties still hold something.
    fn left_over(&self, _row: usize) -> u64 {
        0
    }

    /// Texts of the record id's columns, in the schema's order, for those who open the values of other tools.
    ///
    /// # Errors
    /// Why the whole row cannot be worked on.
    fn record_texts(&self, _row: usize) -> Result<Vec<Cow<'_, str>>> {
        Err(Error::misuse(
            "the store gives no texts of record ids, which opening another tool's values needs",
        ))
    }

    /// The cell of an index or kept token; `position` counts those of [`TableSchema::surrogate_columns`]. Absent if the store has no such
    /// column yet.
    ///
    /// # Errors
    /// Why the cell cannot be worked on.
    fn surrogate(&self, row: usize, position: usize) -> Result<StoredSurrogate<'_>>;
}

/// Protects batches. One for each thread.
pub struct Protector<'s> {
    session: &'s KeyringSession<'s>,
    table: &'s TableSchema,
    deciders: Vec<Decider<'s>>,
    /// Empty until the first value is sealed, and always in a dry run.
    sealers: Vec<FieldSealer>,
    surrogates: Option<SurrogateMaker<'s>>,
    allowance: Option<Allowance>,
    effort: Effort,
}

/// What a protector takes values from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// Plaintext and envelopes.
    Any,
    /// Envelopes only: a row with plaintext in a sealed column is refused. For columns that are sealed already: whoever can write to the
    /// store could else put plaintext there and have it made authentic.
    SealedOnly,
}

/// How far a protector goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Effort {
    /// Opens every sealed cell and makes every index and pairwise token again to compare them with what is stored; seals nothing.
    Check,
    /// Looks and counts; seals nothing.
    DryRun,
    /// Seals; the old values stay elsewhere.
    Seal,
    /// Seals, opens what was sealed and compares, because the old values will be overwritten.
    SealAndVerify,
}

impl Effort {
    /// Whether nothing is sealed.
    pub(crate) const fn is_dry(self) -> bool {
        matches!(self, Self::Check | Self::DryRun)
    }
}

/// A value that waits to be sealed with its column.
struct ToSeal<'a> {
    record: RecordId<'a>,
    value: Plain<'a>,
}

impl<'s> Protector<'s> {
    /// Makes a protector of a table.
    ///
    /// # Errors
    /// As [`FieldOpener::new`]; `Schema` if an opener is of no sealed field, or if values of other tools were to be taken where only
    /// envelopes are.
    pub fn new(
        session: &'s KeyringSession<'s>,
        table: &'s TableSchema,
        effort: Effort,
        source: Source,
    ) -> Result<Self> {
        session.work().check(table)?;
        if source == Source::SealedOnly && session.work().has_openers() {
            return Err(Error::schema(
                "values that another tool sealed are none of amanat: a run that takes envelopes alone cannot take them",
            ));
        }
        let known: Vec<KeyId> = session.field_keys().iter().map(|key| key.id).collect();
        let deciders = session.with_keys(|keys| {
            let decider = |policy| Decider::new(session, keys, table, policy, (effort, source), &known);
            table.sealed().map(decider).collect()
        })?;
        let (sealers, surrogates) = (Vec::new(), SurrogateMaker::new(session, table, effort)?);
        Ok(Self { session, table, deciders, sealers, surrogates, allowance: None, effort })
    }

    /// Protects a batch; `out` is emptied first. A row with a cell that cannot be protected is refused whole.
    ///
    /// # Errors
    /// What stops the run: `Limit`, `Store`, `Entropy`, never a fault of one row.
    pub fn protect(&mut self, rows: &impl Rows, out: &mut SealedRows) -> Result<()> {
        let (fields, work) = (self.deciders.len(), self.session.work());
        out.reset(rows.count(), fields);
        if let Some(change) = work.change() {
            out.moves.resize(if change.moved().is_empty() { 0 } else { rows.count() * fields }, false);
            out.left_over.extend((0..rows.count()).map(|row| rows.left_over(row)));
        }
        out.reset_surrogates(
            rows.count(),
            self.surrogates.as_ref().map_or(0, SurrogateMaker::len),
            self.table,
        );
        self.deciders.iter_mut().for_each(|decider| decider.reader.texts.clear());
        let mut columns: Vec<Vec<ToSeal<'_>>> =
            (0..fields).map(|_| Vec::with_capacity(rows.count())).collect();
        for row in 0..rows.count() {
            match rows.record(row) {
                Ok(record)
                    if self.decide(rows, row, &record, &mut columns, out)
                        && self.make_surrogates(rows, row, &record, &columns, out)? => {}
                Ok(_) => out.refuse(row, &mut columns),
                Err(error) => {
                    out.fault(error.at_row(rows.number(row)));
                    out.refuse(row, &mut columns);
                }
            }
        }
        out.count(self.session.primary());
        let new = out.tally.sealed + out.tally.resealed;
        if new == 0 || self.effort == Effort::DryRun {
            return Ok(());
        }
        // What a check finds undone is sealed in the same transaction: the keys add up when it is counted here.
        out.tally.key(self.session.primary()).sealed += new;
        if self.effort.is_dry() {
            return Ok(());
        }
        self.prepare(new)?;
        columns.iter().enumerate().try_for_each(|(position, column)| self.seal(position, column, out))
    }

    /// Decides every sealed cell of a row, and puts what is to be sealed into its column; false if a cell was refused.
    fn decide<'a>(
        &mut self,
        rows: &'a impl Rows,
        row: usize,
        record: &RecordId<'a>,
        columns: &mut [Vec<ToSeal<'a>>],
        out: &mut SealedRows,
    ) -> bool {
        let mut fits = true;
        let start = row * self.deciders.len();
        for ((position, decider), column) in self.deciders.iter_mut().enumerate().zip(columns) {
            let decided = match decider.decide(rows, (row, position), record) {
                Ok(decided) => decided,
                Err(error) => {
                    fits = false;
                    let field =
                        error.field().cloned().unwrap_or_else(|| decider.reader.policy.name().clone());
                    out.fault(error.at_field(&field).at_row(rows.number(row)));
                    continue;
                }
            };
            out.tally.opened += u64::from(decided.opened);
            let before = if decided.foreign { Before::Foreign } else { Before::Plain };
            let slot = match decided.decision {
                Decision::Absent => Slot::Absent,
                Decision::Keep => Slot::Unchanged,
                Decision::Seal(value) => {
                    column.push(ToSeal { record: record.clone(), value });
                    Slot::New(column.len() - 1, before)
                }
                Decision::Reseal(key, value) => {
                    column.push(ToSeal { record: record.clone(), value });
                    Slot::New(column.len() - 1, Before::Sealed(key))
                }
            };
            if let Some(place) = out.slots.get_mut(start + position) {
                *place = slot;
            }
            if let Some(place) = out.moves.get_mut(start + position) {
                *place = decided.moves;
            }
        }
        fits
    }

    /// Makes the surrogates of a row whose cells were decided; false if a value of it has no normal form.
    ///
    /// Of what stays sealed, only the fields are opened that a surrogate is made from. What is sealed now is compared with its value
    /// again before it is written, so a surrogate is of the value that its envelope opens to.
    fn make_surrogates(
        &mut self,
        rows: &impl Rows,
        row: usize,
        record: &RecordId<'_>,
        columns: &[Vec<ToSeal<'_>>],
        out: &mut SealedRows,
    ) -> Result<bool> {
        let Some(maker) = &mut self.surrogates else { return Ok(true) };
        let (start, first) = (row * columns.len(), row * maker.len());
        let slots = out.slots.get(start..start + columns.len()).unwrap_or_default();
        let new = out.surrogates.get_mut(first..first + maker.len()).unwrap_or_default();
        let moves = out.moves.get(start..start + columns.len()).unwrap_or_default();
        let part = |position: usize| match slots.get(position) {
            Some(Slot::Absent) => Part::Absent,
            Some(Slot::New(_, Before::Plain | Before::Foreign)) => Part::Fresh,
            _ if moves.get(position) == Some(&true) => Part::Moved,
            _ => Part::Same,
        };
        let mut needed = vec![false; columns.len()];
        let decided = maker.decide(|position| rows.surrogate(row, position), part, new, &mut needed);
        let made = decided.map_err(Fault::Row).and_then(|()| {
            if !needed.contains(&true) {
                return Ok(());
            }
            let mut values = vec![ValueRef::Null; columns.len()];
            let of_fields = values.iter_mut().zip(&mut self.deciders).zip(slots).zip(columns).enumerate();
            for (position, (((value, decider), slot), column)) in of_fields {
                *value = match slot {
                    _ if !needed.get(position).is_some_and(|needed| *needed) => continue,
                    Slot::Absent => ValueRef::Null,
                    Slot::New(place, _) => {
                        let texts = &decider.reader.texts;
                        column.get(*place).map_or(ValueRef::Null, |item| item.value.as_ref(texts))
                    }
                    Slot::Unchanged => {
                        let name = decider.reader.policy.name().clone();
                        let opened = decider.open(rows, (row, position), record);
                        opened.map_err(|error| Fault::Row(error.at_field(&name)))?
                    }
                };
            }
            maker.make(&values, new)
        });
        match made {
            Ok(()) => Ok(true),
            Err(Fault::Run(error)) => Err(error),
            Err(Fault::Row(error)) => {
                out.fault(error.at_row(rows.number(row)));
                Ok(false)
            }
        }
    }

    /// Sees that there are sealers, and messages for them.
    fn prepare(&mut self, need: u64) -> Result<()> {
        if self.allowance.as_ref().is_some_and(|allowance| allowance.left() >= need) {
            return Ok(());
        }
        let allowance = self.session.allowance(need)?;
        self.sealers = self.session.with_keys(|keys| {
            let sealer = |policy: &FieldPolicy| {
                let name = (self.table.name().clone(), policy.name().clone());
                let context = FieldContext::new(keys.registry().clone(), name.0, name.1);
                let options = SealOptions {
                    family: policy.family(),
                    bucket: policy.bucket(),
                    ..SealOptions::default()
                };
                FieldSealer::new(keys, &context, options, &allowance)
            };
            self.table.sealed().map(sealer).collect()
        })?;
        self.allowance = Some(allowance);
        Ok(())
    }

    /// Seals a column of the batch in one call, and verifies it if asked.
    fn seal(&mut self, position: usize, column: &[ToSeal<'_>], out: &mut SealedRows) -> Result<()> {
        let need = u64::try_from(column.len()).unwrap_or(u64::MAX);
        let absent = || Error::misuse("the batch has another number of sealed fields than the table");
        let batch = out.batches.get_mut(position).ok_or_else(absent)?;
        loop {
            let sealer = self.sealers.get_mut(position).ok_or_else(absent)?;
            let texts = &self.deciders.get(position).ok_or_else(absent)?.reader.texts;
            let values = column.iter().map(|item| (&item.record, item.value.as_ref(texts)));
            let Err(error) = sealer.seal_batch(values, batch) else { break };
            // Other threads draw on the same allowance: what was there a moment ago may be gone.
            let used_up = self.allowance.as_ref().is_some_and(|allowance| allowance.left() < need);
            if error.kind() != Kind::Limit || !used_up || !batch.is_empty() {
                return Err(error);
            }
            self.prepare(need)?;
        }
        if self.effort == Effort::SealAndVerify {
            let reader = &mut self.deciders.get_mut(position).ok_or_else(absent)?.reader;
            for (item, envelope) in column.iter().zip(batch.iter()) {
                if reader.opener.open(&item.record, envelope)? != item.value.as_ref(&reader.texts) {
                    return Err(Error::misuse(
                        "a value that was sealed opens to another; nothing was overwritten",
                    )
                    .at_field(reader.policy.name()));
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Protector<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Protector({} fields, {:?})", self.deciders.len(), self.effort)
    }
}

/// A reader for each sealed field of a table.
pub(crate) fn readers(session: &KeyringSession<'_>, table: &TableSchema) -> Result<Vec<CellReader>> {
    session.with_keys(|keys| table.sealed().map(|policy| reader(session, keys, table, policy)).collect())
}

/// A reader for one sealed field.
pub(crate) fn reader(
    session: &KeyringSession<'_>,
    keys: &Keyset<'_, Field>,
    table: &TableSchema,
    policy: &FieldPolicy,
) -> Result<CellReader> {
    let (registry, name) = (keys.registry().clone(), table.name().clone());
    let context = FieldContext::new(registry, name, policy.name().clone());
    let opener = FieldOpener::new(keys, &context, &session.open_options())?;
    Ok(CellReader::new(policy.clone(), opener, session.primary()))
}
