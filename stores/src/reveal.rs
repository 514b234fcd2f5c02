// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reveals cells, whatever store they come from.
//!
//! Owns the choice of fields and of their form. Never shows a field that was not asked for.

use std::fmt;

use amanat::RecordId;
use amanat::error::{Error, Result};
use amanat::mask::Masked;
use amanat::schema::{Mode, TableSchema};
use amanat::value::ValueRef;

use crate::cell::{CellReader, Opened, Stored};
use crate::engine::readers;
use crate::session::KeyringSession;
use crate::tally::Tally;

/// Opens cells. One for each thread.
pub struct Revealer {
    readers: Vec<(CellReader, bool)>,
    form: RevealForm,
}

/// In what form values are revealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RevealForm {
    /// Their masks.
    Masks,
    /// Themselves.
    Values,
}

/// What is shown of a cell.
#[derive(Debug)]
#[non_exhaustive]
pub enum Shown<'a> {
    /// Nothing.
    Absent,
    /// What stands there: a field that was not asked for, or a plain cell of a mixed column.
    AsStored,
    /// The mask.
    Mask(Masked),
    /// The value, lent until the next call.
    Value(ValueRef<'a>),
}

impl Revealer {
    /// Makes a revealer of a table; `fields` names what is opened, empty for all sealed fields.
    ///
    /// # Errors
    /// `Schema` if a name is not that of a sealed field; as [`FieldOpener::new`](amanat::FieldOpener::new).
    pub fn new(
        session: &KeyringSession<'_>,
        table: &TableSchema,
        fields: &[String],
        form: RevealForm,
    ) -> Result<Self> {
        for name in fields {
            let known = table.fields().iter().find(|policy| policy.name().as_str() == name);
            if known.is_none_or(|policy| policy.mode() != Mode::Sealed) {
                let names: Vec<&str> = table.sealed().map(|policy| policy.name().as_str()).collect();
                return Err(Error::schema(format!(
                    "`{name}` is no sealed field of table `{}`; it has: {}",
                    table.name(),
                    names.join(", ")
                )));
            }
        }
        let asked = |reader: CellReader| {
            let name = reader.policy.name().as_str();
            let asked = fields.is_empty() || fields.iter().any(|field| field == name);
            (reader, asked)
        };
        Ok(Self { readers: readers(session, table)?.into_iter().map(asked).collect(), form })
    }

    /// Opens the cell of a sealed field and counts it.
    ///
    /// # Errors
    /// Why the cell cannot be shown, with the field's name; it is counted too.
    pub fn show<'r>(
        &'r mut self,
        position: usize,
        record: &RecordId<'_>,
        stored: Stored<'r>,
        tally: &mut Tally,
    ) -> Result<Shown<'r>> {
        let (form, entry) = (self.form, self.readers.get_mut(position));
        let (reader, asked) = entry.ok_or_else(|| Error::misuse("the table has fewer sealed fields"))?;
        if !*asked {
            return Ok(Shown::AsStored);
        }
        let (mask, name) = (reader.policy.mask(), reader.policy.name().clone());
        let opened = reader.open(record, &stored).map_err(|error| error.at_field(&name));
        let opened = opened.inspect_err(|error| tally.fault(error))?;
        let value = match opened {
            Opened::Absent => {
                tally.absent += 1;
                return Ok(Shown::Absent);
            }
            Opened::Plain if form == RevealForm::Values => {
                tally.plain += 1;
                return Ok(Shown::AsStored);
            }
            Opened::Plain => {
                tally.plain += 1;
                match &stored {
                    Stored::Plain(value) => *value,
                    Stored::PlainOwned(value) => return Ok(Shown::Mask(mask.apply(value.as_ref()))),
                    _ => return Ok(Shown::AsStored),
                }
            }
            Opened::Value(key, value) => {
                tally.opened += 1;
                tally.key(key).opened += 1;
                value
            }
        };
        match (form, value) {
            (_, ValueRef::Null) => Ok(Shown::Absent),
            (RevealForm::Masks, value) => {
                tally.masked += 1;
                Ok(Shown::Mask(mask.apply(value)))
            }
            (RevealForm::Values, value) => Ok(Shown::Value(value)),
        }
    }
}

impl fmt::Debug for Revealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Revealer({} fields, {:?})", self.readers.len(), self.form)
    }
}
