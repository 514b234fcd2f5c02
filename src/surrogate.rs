// SPDX-License-Identifier: MIT OR Apache-2.0
//! What stands beside the sealed fields of a row: index terms and kept tokens, made from the plain values.
//!
//! Owns the making of a row's surrogates and the decision, from the header alone, whether a stored one is current. Never keeps a value.

use core::fmt;

use crate::error::{Error, Kind, Result};
use crate::ident::{KeyId, Name};
use crate::index::{BlindIndex, IndexTerm};
use crate::keys::{Allowance, Keyring};
use crate::normal::Normal;
use crate::schema::{Absence, Encoding, IndexPolicy, Invalid, TableSchema, TokenPolicy};
use crate::token::{PairwiseTokens, ReversibleTokens, Token, TokenHeader, TokenKind};
use crate::value::ValueRef;

/// Makes the index terms and kept tokens of a table's rows. One for each thread.
pub struct Surrogates {
    columns: Vec<Column>,
    encoding: Encoding,
}

struct Column {
    name: Name,
    /// The sealed fields that it is made from: place among the table's sealed fields, and normal form.
    parts: Vec<Part>,
    invalid: Invalid,
    maker: Maker,
}

struct Part {
    position: usize,
    absence: Absence,
    value: Normal,
}

enum Maker {
    Index(Box<BlindIndex>),
    Pairwise(Box<PairwiseTokens>),
    Reversible(Box<ReversibleTokens>),
}

/// What is stored in a surrogate's column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Surrogate {
    /// Nothing.
    Absent,
    /// The term of an index.
    Term(IndexTerm),
    /// The text of a token.
    Token(TokenText),
}

/// The text of a token. `Debug` does not print it.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenText(String);

impl TokenText {
    /// Checks and keeps the text of a token.
    ///
    /// # Errors
    /// As [`Token::parse`].
    pub fn parse(text: &str) -> Result<Self> {
        Token::parse(text).map(|_| Self(text.to_owned()))
    }

    fn from_ascii(text: Vec<u8>) -> Result<Self> {
        String::from_utf8(text).map(Self).map_err(|_| Error::misuse("a token is not ASCII"))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for TokenText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenText")
    }
}

/// A surrogate as a store holds it.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum StoredSurrogate<'a> {
    /// Nothing.
    Absent,
    /// Bytes of a term.
    Bytes(&'a [u8]),
    /// Text of a term or token.
    Text(&'a str),
}

impl Surrogates {
    /// Derives the keys of a table's indexes and kept tokens. `messages` are those of reversible tokens, one allowance for each epoch that
    /// the table has them at; none are needed for tables without such tokens.
    ///
    /// # Errors
    /// As [`BlindIndex::new`], [`PairwiseTokens::new`], [`ReversibleTokens::new`]; `Misuse` if an epoch has no allowance.
    pub fn new(keyring: &Keyring, table: &TableSchema, messages: &[Allowance]) -> Result<Self> {
        let mut columns = Vec::new();
        for policy in table.indexes() {
            columns.push(Column::of_index(keyring, table, policy)?);
        }
        for policy in table.tokens().iter().filter(|policy| policy.column().is_some()) {
            columns.push(Column::of_tokens(keyring, table, policy, messages)?);
        }
        Ok(Self { columns, encoding: table.encoding() })
    }

    /// Number of columns: those of [`TableSchema::surrogate_columns`], in that order.
    #[must_use]
    pub fn len(&self) -> usize {
        self.columns.len()
    }

    /// Whether the table has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    /// Places of the sealed fields that a column is made from.
    pub fn parts(&self, column: usize) -> impl Iterator<Item = usize> {
        self.columns.get(column).into_iter().flat_map(|column| column.parts.iter().map(|part| part.position))
    }

    /// Makes the surrogate of a column. `values` are those of the table's sealed fields, in order; those that the column is not made from are
    /// not looked at.
    ///
    /// # Errors
    /// All but `Misuse` with the policy's name: those of [`NormalForm::normalise`](crate::normal::NormalForm::normalise), unless the policy says
    /// to skip such values; `Limit` for a value too long for a reversible token, or if its messages are used up; `KeyUnusable` for an epoch
    /// that makes no tokens; `Entropy`; `Misuse` for a column that does not exist or fewer values than the table has sealed fields.
    pub fn make(&mut self, column: usize, values: &[ValueRef<'_>]) -> Result<Surrogate> {
        let column = self.columns.get_mut(column).ok_or_else(no_such_column)?;
        column.make(values)
    }

    /// Whether a stored surrogate is of the key, length and epoch that would be used today: from its header alone, without a value.
    ///
    /// # Errors
    /// `Malformed` for what is neither a surrogate nor empty; `Misuse` for a column that does not exist.
    pub fn is_current(&self, column: usize, stored: StoredSurrogate<'_>) -> Result<bool> {
        let place = self.columns.get(column).ok_or_else(no_such_column)?;
        let at = |error: Error| error.at_field(&place.name);
        match (&place.maker, stored) {
            // What is absent may be absent on purpose; only the values tell.
            (_, StoredSurrogate::Absent) => Ok(false),
            (Maker::Index(index), StoredSurrogate::Bytes(bytes)) if self.encoding == Encoding::Binary => {
                IndexTerm::from_bytes(bytes).map(|term| index.is_current(&term)).map_err(at)
            }
            (Maker::Index(index), StoredSurrogate::Text(text)) if self.encoding == Encoding::Text => {
                IndexTerm::from_text(text).map(|term| index.is_current(&term)).map_err(at)
            }
            (Maker::Index(_), _) => Err(at(Error::malformed(
                "an index term is stored as bytes in a table of binary encoding, and as text in one of text encoding",
            ))),
            (_, StoredSurrogate::Text(text)) => {
                Token::parse(text).map(|token| Some(token.header()) == place.maker.header()).map_err(at)
            }
            (_, StoredSurrogate::Bytes(_)) => Err(at(Error::malformed("a token is stored as text"))),
        }
    }
}

impl fmt::Debug for Surrogates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Surrogates({} columns)", self.columns.len())
    }
}

fn no_such_column() -> Error {
    Error::misuse("the table has fewer columns of indexes and tokens")
}

impl Maker {
    const fn header(&self) -> Option<&TokenHeader> {
        match self {
            Self::Index(_) => None,
            Self::Pairwise(tokens) => Some(tokens.header()),
            Self::Reversible(tokens) => Some(tokens.header()),
        }
    }

    fn make(&mut self, parts: &[Part]) -> Result<Surrogate> {
        let first = || parts.first().map(|part| &part.value).ok_or_else(no_such_column);
        match self {
            Self::Index(index) => match parts {
                [part] => index.term(&[&part.value]),
                parts => index.term(&parts.iter().map(|part| &part.value).collect::<Vec<_>>()),
            }
            .map(Surrogate::Term),
            Self::Pairwise(tokens) => {
                let mut text = Vec::new();
                tokens.append(first()?, &mut text)?;
                TokenText::from_ascii(text).map(Surrogate::Token)
            }
            Self::Reversible(tokens) => Ok(Surrogate::Token(TokenText(tokens.make(first()?)?.to_text()))),
        }
    }
}

impl Column {
    fn of_index(keyring: &Keyring, table: &TableSchema, policy: &IndexPolicy) -> Result<Self> {
        let index = BlindIndex::new(&keyring.index_keys()?, table.name(), policy.spec(), &[])?;
        let parts = policy.spec().fields().iter().map(|part| Part::new(table, &part.field, &part.form));
        Ok(Self {
            name: policy.spec().name().clone(),
            parts: parts.collect::<Result<_>>()?,
            invalid: policy.invalid(),
            maker: Maker::Index(Box::new(index)),
        })
    }

    fn of_tokens(
        keyring: &Keyring,
        table: &TableSchema,
        policy: &TokenPolicy,
        messages: &[Allowance],
    ) -> Result<Self> {
        let (keys, audience, epoch) = (keyring.token_keys()?, policy.audience(), policy.epoch());
        let maker = match policy.kind() {
            TokenKind::Pairwise => {
                Maker::Pairwise(Box::new(PairwiseTokens::new(&keys, audience, epoch, &[])?))
            }
            TokenKind::Reversible => {
                let key = keys.key_of_epoch(epoch)?;
                let allowance = messages.iter().find(|allowance| allowance.key() == key);
                let allowance =
                    allowance.ok_or_else(|| Error::misuse("no messages were reserved for an epoch"))?;
                Maker::Reversible(Box::new(ReversibleTokens::new(&keys, audience, epoch, allowance)?))
            }
            _ => return Err(Error::misuse("tokens of this kind are not kept in a table")),
        };
        let part = Part::new(table, &policy.of().field, &policy.of().form)?;
        Ok(Self { name: policy.name().clone(), parts: vec![part], invalid: policy.invalid(), maker })
    }

    fn make(&mut self, values: &[ValueRef<'_>]) -> Result<Surrogate> {
        let (mut absent, mut hidden) = (false, false);
        for part in &mut self.parts {
            let value = values.get(part.position).copied();
            let value =
                value.ok_or_else(|| Error::misuse("the values are fewer than the table's sealed fields"))?;
            match part.read(value) {
                Ok(true) => {}
                Ok(false) => (absent, hidden) = (true, hidden || part.absence == Absence::Hidden),
                // An unusable value must not be told from an absent one, whatever the policy of absence.
                Err(error) if cannot_be_read(&error) && self.invalid == Invalid::Skip => {
                    (absent, hidden) = (true, true);
                }
                Err(error) => return Err(error.at_field(&self.name)),
            }
        }
        match &mut self.maker {
            Maker::Index(index) if absent && hidden => index.absent_term().map(Surrogate::Term),
            _ if absent => Ok(Surrogate::Absent),
            maker => maker.make(&self.parts).map_err(|error| error.at_field(&self.name)),
        }
    }
}

/// Whether a value has no normal form, as opposed to a mistake of the caller.
fn cannot_be_read(error: &Error) -> bool {
    matches!(error.kind(), Kind::Schema | Kind::Malformed | Kind::Limit)
}

impl Part {
    fn new(table: &TableSchema, field: &Name, form: &crate::normal::NormalForm) -> Result<Self> {
        let found = table.sealed().enumerate().find(|(_, policy)| policy.name() == field);
        let (position, policy) =
            found.ok_or_else(|| Error::misuse("the field is not a sealed field of the table"))?;
        Ok(Self { position, absence: policy.absence(), value: Normal::empty(form.clone()) })
    }

    /// Takes a value; false if it is absent.
    fn read(&mut self, value: ValueRef<'_>) -> Result<bool> {
        if matches!(value, ValueRef::Null) {
            return Ok(false);
        }
        let form = self.value.form().clone();
        form.normalise_into(value, &mut self.value).map(|()| true)
    }
}

impl Surrogates {
    /// Keys of the epochs at which the table keeps reversible tokens: each needs an allowance.
    ///
    /// # Errors
    /// `UnknownKey` if the keyring has no such epoch.
    pub fn token_keys(keyring: &Keyring, table: &TableSchema) -> Result<Vec<KeyId>> {
        let of_table =
            |policy: &&TokenPolicy| policy.column().is_some() && policy.kind() == TokenKind::Reversible;
        let mut ids = Vec::new();
        for policy in table.tokens().iter().filter(of_table) {
            let id = keyring.token_keys()?.key_of_epoch(policy.epoch())?;
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        Ok(ids)
    }
}
