// SPDX-License-Identifier: MIT OR Apache-2.0
//! The index terms and kept tokens of rows that are protected.
//!
//! Owns the decision which of them are made anew, and the messages that reversible tokens need. Never opens a value that no surrogate needs,
//! but for a few to compare with what is kept: a header does not tell an index that was defined otherwise.

use amanat::error::{Error, Kind, Result};
use amanat::index::IndexTerm;
use amanat::schema::{Encoding, TableSchema, TokenPolicy};
use amanat::surrogate::{StoredSurrogate, Surrogate, Surrogates, TokenText};
use amanat::token::TokenKind;
use amanat::value::ValueRef;
use amanat::{Allowance, Name};

use crate::columns::surrogate_names;
use crate::engine::Effort;
use crate::session::KeyringSession;
use crate::tally::Tally;

/// How often messages are reserved for one token: other threads draw on them too, but never on so many.
const ATTEMPTS: u32 = 3;
/// So many of what is kept in a column are compared with their values.
const COMPARED_FIRST: u32 = 16;
/// Afterwards those of each so many rows are.
const COMPARED_EACH: u32 = 1 << 10;

/// What is to be stored for an index or token.
#[derive(Debug, Default)]
pub(crate) enum NewSurrogate {
    /// Nothing, as before.
    #[default]
    Empty,
    /// What stands there already.
    Kept,
    /// This; `Absent` takes away what stands there.
    New(Surrogate),
}

impl NewSurrogate {
    /// The count that it belongs to.
    pub(crate) fn count<'t>(&self, is_index: bool, tally: &'t mut Tally) -> &'t mut u64 {
        match (self, is_index) {
            (Self::Empty, _) => &mut tally.surrogates_absent,
            (Self::Kept, true) => &mut tally.terms_kept,
            (Self::Kept, false) => &mut tally.tokens_kept,
            (Self::New(Surrogate::Absent), _) => &mut tally.surrogates_removed,
            (Self::New(_), true) => &mut tally.terms_made,
            (Self::New(_), false) => &mut tally.tokens_made,
        }
    }
}

/// Makes the surrogates of rows. One for each thread.
pub(crate) struct SurrogateMaker<'s> {
    session: &'s KeyringSession<'s>,
    table: &'s TableSchema,
    surrogates: Surrogates,
    /// Messages of reversible tokens, one for each epoch.
    allowances: Vec<Allowance>,
    columns: Vec<Column>,
    /// How many of the columns are indexes: they come first.
    indexes: usize,
    encoding: Encoding,
    effort: Effort,
}

struct Column {
    name: Name,
    /// Places of the sealed fields that it is made from.
    parts: Vec<usize>,
    /// What is to be done in the row at hand.
    plan: Plan,
    /// Whether what is kept is compared now and then; making it must cost no message.
    compares: bool,
    compared: u32,
    met: u32,
    /// What stands in the row at hand, if it is compared.
    stored: Option<Surrogate>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Plan {
    /// Nothing: it is absent or current.
    Keep,
    /// It is made anew.
    Make,
    /// It is current although one of its fields is visibly absent: it is taken away, unless it hides another that is absent.
    Check,
    /// Nothing, but what stands there is compared with the values.
    Compare,
}

impl Column {
    /// Whether what stands in the row at hand is compared if it is kept.
    const fn is_due(&mut self) -> bool {
        self.met = self.met.wrapping_add(1);
        self.compares && (self.compared < COMPARED_FIRST || self.met.is_multiple_of(COMPARED_EACH))
    }
}

/// A stored surrogate that is of the form of its column.
fn read(stored: StoredSurrogate<'_>, is_index: bool) -> Result<Surrogate> {
    Ok(match stored {
        StoredSurrogate::Bytes(bytes) => Surrogate::Term(IndexTerm::from_bytes(bytes)?),
        StoredSurrogate::Text(text) if is_index => Surrogate::Term(IndexTerm::from_text(text)?),
        StoredSurrogate::Text(text) => Surrogate::Token(TokenText::parse(text)?),
        _ => Surrogate::Absent,
    })
}

/// Why a surrogate was not made.
pub(crate) enum Fault {
    /// A value of the row has no normal form.
    Row(Error),
    /// No further row would fare better.
    Run(Error),
}

/// What is done with a sealed field of the row at hand.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Its value comes from its former column: an index of its name of today has other terms.
    Moved,
    /// It stays sealed as it is, or is sealed anew with the same value.
    Same,
    /// It is sealed for the first time.
    Fresh,
    /// It is absent and shows it.
    Absent,
}

impl<'s> SurrogateMaker<'s> {
    /// `None` for a table without surrogates.
    pub(crate) fn new(
        session: &'s KeyringSession<'s>,
        table: &'s TableSchema,
        effort: Effort,
    ) -> Result<Option<Self>> {
        if table.surrogate_columns().next().is_none() {
            return Ok(None);
        }
        // No messages yet: a table whose tokens are all made needs none, and an epoch that makes none any more may stay.
        let (surrogates, allowances) = session.surrogates(table, 0, false)?;
        let kept = table.tokens().iter().filter(|policy| policy.column().is_some());
        let indexes = table.indexes().iter().map(|_| TokenKind::Pairwise);
        let kinds: Vec<TokenKind> = indexes.chain(kept.map(TokenPolicy::kind)).collect();
        let column = |(column, name): (usize, &Name)| Column {
            name: name.clone(),
            parts: surrogates.parts(column).collect(),
            plan: Plan::Keep,
            compares: column < table.indexes().len() || kinds.get(column) == Some(&TokenKind::Pairwise),
            compared: 0,
            met: 0,
            stored: None,
        };
        let columns = surrogate_names(table).enumerate().map(column).collect();
        let (indexes, encoding) = (table.indexes().len(), table.encoding());
        Ok(Some(Self { session, table, surrogates, allowances, columns, indexes, encoding, effort }))
    }

    pub(crate) fn len(&self) -> usize {
        self.columns.len()
    }

    /// Decides what is made anew in a row, from its stored surrogates and from what is done with its sealed fields; gives the sealed fields
    /// whose values are needed for it.
    pub(crate) fn decide<'r>(
        &mut self,
        stored: impl Fn(usize) -> Result<StoredSurrogate<'r>>,
        part: impl Fn(usize) -> Part,
        out: &mut [NewSurrogate],
        needed: &mut [bool],
    ) -> Result<()> {
        for ((place, column), out) in self.columns.iter_mut().enumerate().zip(out) {
            let is_due = column.is_due() || (column.compares && self.effort == Effort::Check);
            let at = |error: Error| error.at_field(&column.name);
            let stored = stored(place).map_err(at)?;
            let is = |wanted| column.parts.iter().any(|position| part(*position) == wanted);
            let current = match (stored, self.encoding) {
                // A text file holds terms as text, whatever the tables of the schema do.
                (StoredSurrogate::Text(text), Encoding::Binary) if place < self.indexes => {
                    let term = IndexTerm::from_text(text).map_err(at)?;
                    self.surrogates.is_current(place, StoredSurrogate::Bytes(term.as_bytes()))?
                }
                _ => self.surrogates.is_current(place, stored)?,
            };
            // A check compares what is remade, or it would find every row undone.
            let current = current && (self.effort == Effort::Check || !self.session.remakes(&column.name));
            *out = match stored {
                StoredSurrogate::Absent => NewSurrogate::Empty,
                _ => NewSurrogate::Kept,
            };
            column.plan = match current {
                false => Plan::Make,
                true if is(Part::Fresh) => Plan::Make,
                // The name of a field enters the key of an index, and that of no token.
                true if place < self.indexes && is(Part::Moved) => Plan::Make,
                true if is(Part::Absent) => Plan::Check,
                true if is_due => Plan::Compare,
                true => Plan::Keep,
            };
            column.stored = None;
            if column.plan == Plan::Compare {
                column.stored = Some(read(stored, place < self.indexes).map_err(at)?);
            }
            if column.plan != Plan::Keep {
                for position in &column.parts {
                    needed.get_mut(*position).into_iter().for_each(|needed| *needed = true);
                }
            }
        }
        Ok(())
    }

    /// Makes what was decided on; `values` are those of the sealed fields, of which the ones that are not needed may be null.
    pub(crate) fn make(&mut self, values: &[ValueRef<'_>], out: &mut [NewSurrogate]) -> Result<(), Fault> {
        for (place, out) in out.iter_mut().enumerate() {
            let plan = self.columns.get(place).map_or(Plan::Keep, |column| column.plan);
            if plan == Plan::Keep {
                continue;
            }
            if plan == Plan::Compare {
                if let Some(made) = self.compare(place, values)? {
                    *out = NewSurrogate::New(made);
                }
                continue;
            }
            match (self.make_one(place, values)?, &*out) {
                (Surrogate::Absent, NewSurrogate::Empty) => {}
                // A term that hides absence is random: another one would say nothing new.
                (Surrogate::Term(_) | Surrogate::Token(_), _) if plan == Plan::Check => {}
                (made, _) => *out = NewSurrogate::New(made),
            }
        }
        Ok(())
    }

    /// Compares what is kept with what its values make. Index or token may have been defined otherwise when it was made, and then the whole
    /// column is: rows are not found, and nothing else would tell. Gives what should stand there if it is to be made anew anyway.
    fn compare(&mut self, place: usize, values: &[ValueRef<'_>]) -> Result<Option<Surrogate>, Fault> {
        let made = match self.make_one(place, values) {
            // What the epoch has made may stay when it makes no more.
            Err(Fault::Run(error)) if error.kind() == Kind::KeyUnusable => return Ok(None),
            made => made?,
        };
        // What hides an absence is random, and differs from itself.
        if self.make_one(place, values)? != made {
            return Ok(None);
        }
        let Some(column) = self.columns.get_mut(place) else { return Ok(None) };
        if column.stored.take().is_some_and(|stored| stored != made) {
            if self.effort == Effort::Check && self.session.remakes(&column.name) {
                return Ok(Some(made));
            }
            let why = "what is stored is not made from its value: the index or token was defined otherwise when it was made (field, form or length), \
                       or the cell was altered; make all of it anew with `protect --remake`";
            let error = Error::schema(why).at_field(&column.name);
            return Err(if self.effort == Effort::Check { Fault::Row(error) } else { Fault::Run(error) });
        }
        column.compared += 1;
        Ok(None)
    }

    fn make_one(&mut self, place: usize, values: &[ValueRef<'_>]) -> Result<Surrogate, Fault> {
        let mut attempt = 1;
        loop {
            let error = match self.surrogates.make(place, values) {
                Ok(made) => return Ok(made),
                Err(error) => error,
            };
            let used_up = attempt < ATTEMPTS && self.allowances.iter().any(|allowance| allowance.left() == 0);
            match error.kind() {
                Kind::Limit if used_up => {}
                Kind::Limit | Kind::Malformed | Kind::Schema => return Err(Fault::Row(error)),
                _ => return Err(Fault::Run(error)),
            }
            // What a dry run makes is thrown away, so it counts no messages.
            let rehearsal = self.effort.is_dry();
            let made = self.session.surrogates(self.table, 1, rehearsal).map_err(Fault::Run)?;
            (self.surrogates, self.allowances) = made;
            attempt += 1;
        }
    }
}
