// SPDX-License-Identifier: MIT OR Apache-2.0
//! What becomes of the value of one field in one row, from whichever column it comes.
//!
//! Owns the rule that the place decides: a former column that holds something has not been moved yet. Never tries a value under several
//! field names, keys or formats.

use std::borrow::Cow;

use amanat::RecordId;
use amanat::envelope::Envelope;
use amanat::error::{Error, Result};
use amanat::ident::KeyId;
use amanat::keys::{Field, Keyset};
use amanat::schema::{FieldPolicy, Mode, TableSchema};
use amanat::value::ValueRef;
use amanat_foreign::{Opener, Origin};

use crate::cell::{CellReader, Decision, Opened, Plain, Stored};
use crate::engine::{self, Effort, Rows, Source};
use crate::session::KeyringSession;
use crate::text_value;
use crate::texts::Texts;

/// Decides about the cells of one field.
pub(crate) struct Decider<'s> {
    pub(crate) reader: CellReader,
    /// Reads the column that held the field before, under the name that it had.
    former: Option<CellReader>,
    foreign: Option<Foreign<'s>>,
    effort: Effort,
    source: Source,
    /// Whether nothing may stand in the cell although only sealed values are taken.
    expects_absence: bool,
}

/// What becomes of a value.
pub(crate) struct Decided<'a> {
    pub(crate) decision: Decision<'a>,
    /// Whether another tool had sealed it.
    pub(crate) foreign: bool,
    /// Whether it stands in its former column, which is emptied.
    pub(crate) moves: bool,
    /// Whether it was opened to check it.
    pub(crate) opened: bool,
}

/// Opens what another tool sealed.
struct Foreign<'s> {
    table: &'s str,
    opener: &'s dyn Opener,
    /// Every key of fields, whatever its state: an envelope that names one of them is no value of another tool.
    keys: Vec<KeyId>,
}

/// Which of a field's columns.
#[derive(Clone, Copy)]
enum Place {
    Former,
    Own,
}

impl<'s> Decider<'s> {
    pub(crate) fn new(
        session: &'s KeyringSession<'s>,
        keys: &Keyset<'_, Field>,
        table: &TableSchema,
        policy: &FieldPolicy,
        (effort, source): (Effort, Source),
        known: &[KeyId],
    ) -> Result<Self> {
        let (work, name) = (session.work(), policy.name());
        // A check finds undone what a run leaves undone, and a run makes all of these anew: it would find every row.
        let remade = effort != Effort::Check && session.remakes(name);
        let former = work.former(name).map(|from| {
            // What stands in the former column is sealed anew, whatever its header says: it is bound to the former name.
            let from = FieldPolicy::new(from.name().clone(), Mode::Sealed)
                .with_type(policy.value_type())
                .with_column(from.column())?;
            engine::reader(session, keys, table, &from).map(|reader| reader.remaking(true))
        });
        let foreign =
            work.opener(name).map(|(table, opener)| Foreign { table, opener, keys: known.to_vec() });
        Ok(Self {
            reader: engine::reader(session, keys, table, policy)?
                .remaking(remade)
                .checking(effort == Effort::Check),
            former: former.transpose()?,
            foreign,
            effort,
            source,
            expects_absence: work.expects_absence(name),
        })
    }

    /// Decides about the field at a position of a row.
    #[inline]
    pub(crate) fn decide<'a, R: Rows>(
        &mut self,
        rows: &'a R,
        (row, position): (usize, usize),
        record: &RecordId<'_>,
    ) -> Result<Decided<'a>> {
        if self.former.is_none() {
            return self.decide_own(rows, (row, position), record);
        }
        let (old, foreign) = self.stored(rows, (row, position), Place::Former)?;
        if matches!(old, Stored::Absent) {
            return self.decide_own(rows, (row, position), record);
        }
        let taken = self.take(record, old)?;
        if matches!(rows.cell(row, position)?, Stored::Absent) {
            return Ok(Decided { decision: taken, foreign, moves: true, opened: false });
        }
        let own = self.decide_own(rows, (row, position), record)?;
        let none = Texts::default();
        let now = match &own.decision {
            Decision::Absent => ValueRef::Null,
            Decision::Keep => self.open(rows, (row, position), record)?,
            Decision::Seal(value) | Decision::Reseal(_, value) => value.as_ref(&self.reader.texts),
        };
        let before = match &taken {
            // It is none that a reader keeps.
            Decision::Seal(value) | Decision::Reseal(_, value) => value.as_ref(&none),
            Decision::Absent | Decision::Keep => ValueRef::Null,
        };
        if before != now {
            return Err(Error::schema(
                "its column and its former column hold different values, and nothing tells which was written last; find out which application wrote them, empty the column that is out of date, and run again",
            ));
        }
        Ok(Decided { moves: true, ..own })
    }

    /// Opens the cell of a field that stays as it is.
    pub(crate) fn open<R: Rows>(
        &mut self,
        rows: &R,
        (row, position): (usize, usize),
        record: &RecordId<'_>,
    ) -> Result<ValueRef<'_>> {
        let (stored, _) = self.stored(rows, (row, position), Place::Own)?;
        match self.reader.open(record, &stored)? {
            Opened::Value(_, value) => Ok(value),
            Opened::Absent => Ok(ValueRef::Null),
            Opened::Plain => Err(Error::misuse("a cell that was found sealed is plain")),
        }
    }

    /// Decides from the field's own column.
    #[inline]
    fn decide_own<'a, R: Rows>(
        &mut self,
        rows: &'a R,
        place: (usize, usize),
        record: &RecordId<'_>,
    ) -> Result<Decided<'a>> {
        let (stored, foreign) = match self.foreign {
            None => (rows.cell(place.0, place.1)?, false),
            Some(_) => self.stored(rows, place, Place::Own)?,
        };
        let decision = self.reader.decide(record, stored)?;
        if let Decision::Seal(value) = &decision {
            self.check_source(value)?;
        }
        let opened = self.effort == Effort::Check && matches!(decision, Decision::Keep);
        Ok(Decided { decision, foreign, moves: false, opened })
    }

    /// The value of a former column, to be sealed under its name of today.
    fn take<'a>(&mut self, record: &RecordId<'_>, stored: Stored<'a>) -> Result<Decision<'a>> {
        let reader = self.former.as_mut().ok_or_else(|| Error::misuse("the field has no former column"))?;
        let decision = reader.decide(record, stored).map_err(|error| error.at_field(reader.policy.name()))?;
        match decision {
            Decision::Reseal(key, value @ Plain::Kept(_)) => {
                // The texts of a field are those of the reader of its own column.
                let value = value.as_ref(&reader.texts).to_value();
                reader.texts.clear();
                Ok(Decision::Reseal(key, Plain::Owned(Box::new(value))))
            }
            Decision::Seal(value) => self.check_source(&value).map(|()| Decision::Seal(value)),
            decision => Ok(decision),
        }
    }

    /// Refuses plaintext where only sealed values are taken.
    fn check_source(&self, value: &Plain<'_>) -> Result<()> {
        let is_absent = matches!(value.as_ref(&self.reader.texts), ValueRef::Null);
        if self.source == Source::Any || (is_absent && self.expects_absence) {
            return Ok(());
        }
        Err(Error::schema(if is_absent {
            "nothing stands where a sealed value belongs; find out who removed it, or protect without --reseal-only if it may be absent"
        } else {
            "plaintext stands in a sealed column; find out who wrote it, and protect without --reseal-only only if it is right"
        }))
    }

    /// What stands in a column; the value of another tool is opened, and told.
    fn stored<'a, R: Rows>(
        &self,
        rows: &'a R,
        (row, position): (usize, usize),
        place: Place,
    ) -> Result<(Stored<'a>, bool)> {
        let stored = match place {
            Place::Own => rows.cell(row, position)?,
            Place::Former => rows.former(row, position)?,
        };
        let (bytes, foreign) = match (stored, &self.foreign) {
            (Stored::Foreign(bytes), Some(foreign)) => (bytes, foreign),
            (Stored::Foreign(_), None) => {
                return Err(Error::misuse("a column of another tool has no opener"));
            }
            // To seal what another tool sealed as if it were plain would make an authentic value of a ciphertext.
            (Stored::Plain(_) | Stored::PlainOwned(_), Some(_)) => {
                return Err(Error::schema("it is neither bytes nor text, so no other tool has sealed it"));
            }
            (stored, _) => return Ok((stored, false)),
        };
        if Envelope::parse(&bytes).is_ok_and(|envelope| foreign.keys.contains(&envelope.key())) {
            return match bytes {
                Cow::Borrowed(bytes) => Ok((Stored::EnvelopeBytes(bytes), false)),
                Cow::Owned(_) => Err(Error::malformed("an envelope in binary form stands in a text")),
            };
        }
        let texts = rows.record_texts(row)?;
        let record: Vec<&str> = texts.iter().map(|text| &**text).collect();
        let policy = match (place, &self.former) {
            (Place::Former, Some(reader)) => &reader.policy,
            _ => &self.reader.policy,
        };
        let plain = foreign.opener.open(&bytes, &Origin::new(foreign.table, policy.column(), &record))?;
        text_value::from_plaintext(plain, policy.value_type()).map(|value| (Stored::PlainOwned(value), true))
    }
}
