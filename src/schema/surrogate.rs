// SPDX-License-Identifier: MIT OR Apache-2.0
//! The policies of indexes and tokens: what stands beside sealed fields.
//!
//! Owns how they fit the fields of their table. SPEC chapters 7, 9 and 10.

use std::collections::BTreeMap;

use super::field::{FieldPolicy, Mode};
use super::{MAX_INDEXES, MAX_TOKENS, TableSchema, check_column, first_repeated};
use crate::error::{Error, Result};
use crate::ident::Name;
use crate::index::{IndexSpec, IndexedField};
use crate::normal::NormalForm;
use crate::token::{Audience, Epoch, TokenKind};

/// What becomes of a row with a value that has no normal form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Invalid {
    /// The row is refused.
    #[default]
    Refuse,
    /// The value counts as absent: it is not found, and has no token.
    Skip,
}

/// A blind index of a table, and the column that holds its terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexPolicy {
    spec: IndexSpec,
    column: String,
    invalid: Invalid,
}

impl IndexPolicy {
    /// An index whose column has its name.
    #[must_use]
    pub fn new(spec: IndexSpec) -> Self {
        Self { column: spec.name().to_string(), spec, invalid: Invalid::default() }
    }

    /// Sets the column.
    ///
    /// # Errors
    /// `Schema` if the name is empty, too long or has control characters.
    pub fn with_column(mut self, column: &str) -> Result<Self> {
        check_column(column)?;
        column.clone_into(&mut self.column);
        Ok(self)
    }

    /// Sets what becomes of a row whose value has no normal form.
    #[must_use]
    pub const fn with_invalid(mut self, invalid: Invalid) -> Self {
        self.invalid = invalid;
        self
    }

    /// What the index is of.
    #[must_use]
    pub const fn spec(&self) -> &IndexSpec {
        &self.spec
    }

    /// Column that holds the terms.
    #[must_use]
    pub fn column(&self) -> &str {
        &self.column
    }

    /// What becomes of a row whose value has no normal form.
    #[must_use]
    pub const fn invalid(&self) -> Invalid {
        self.invalid
    }
}

/// Refuses tokens of one audience that are opened alike and were made from different forms: a token does not say its form, and an account
/// number would open as an identity number.
pub(super) fn check_forms(tables: &[TableSchema]) -> Result<()> {
    let opens = |kind| matches!(kind, TokenKind::Expiring | TokenKind::Preserving | TokenKind::Reversible);
    let mut known: BTreeMap<(TokenKind, &Audience), &NormalForm> = BTreeMap::new();
    for (table, token) in tables.iter().flat_map(|table| table.tokens.iter().map(move |token| (table, token)))
    {
        let form = &token.of.form;
        if opens(token.kind) && *known.entry((token.kind, &token.audience)).or_insert(form) != form {
            let (kind, name) = (token.kind, &token.name);
            let why = "are of another normal form than others for this recipient and purpose, which no token shows; give them a purpose of their own";
            return Err(table.fault(&format!("token `{name}`: {kind} tokens {why}")));
        }
    }
    Ok(())
}

/// The tokens of one field for one audience.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenPolicy {
    name: Name,
    kind: TokenKind,
    of: IndexedField,
    audience: Audience,
    epoch: Epoch,
    column: Option<String>,
    reveal: Vec<Name>,
    mask: Vec<Name>,
    invalid: Invalid,
}

impl TokenPolicy {
    /// Tokens that are made when they are exported.
    #[must_use]
    pub const fn new(
        name: Name,
        kind: TokenKind,
        of: IndexedField,
        audience: Audience,
        epoch: Epoch,
    ) -> Self {
        let invalid = Invalid::Refuse;
        Self { name, kind, of, audience, epoch, column: None, reveal: Vec::new(), mask: Vec::new(), invalid }
    }

    /// Keeps the tokens in a column of the table.
    ///
    /// # Errors
    /// `Schema` if the name is empty, too long or has control characters.
    pub fn with_column(mut self, column: &str) -> Result<Self> {
        check_column(column)?;
        self.column = Some(column.to_owned());
        Ok(self)
    }

    /// Names the fields that an export carries as they are, and those that it carries masked.
    #[must_use]
    pub fn with_fields(mut self, reveal: Vec<Name>, mask: Vec<Name>) -> Self {
        (self.reveal, self.mask) = (reveal, mask);
        self
    }

    /// Sets what becomes of a row whose value has no normal form.
    #[must_use]
    pub const fn with_invalid(mut self, invalid: Invalid) -> Self {
        self.invalid = invalid;
        self
    }

    /// Name of the tokens.
    #[must_use]
    pub const fn name(&self) -> &Name {
        &self.name
    }

    /// How they are made.
    #[must_use]
    pub const fn kind(&self) -> TokenKind {
        self.kind
    }

    /// The field that they stand for, and its normal form.
    #[must_use]
    pub const fn of(&self) -> &IndexedField {
        &self.of
    }

    /// For whom and what they are.
    #[must_use]
    pub const fn audience(&self) -> &Audience {
        &self.audience
    }

    /// The epoch that the recipient is at.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Column that holds them, if the table keeps them.
    #[must_use]
    pub fn column(&self) -> Option<&str> {
        self.column.as_deref()
    }

    /// Fields that an export carries as they are.
    #[must_use]
    pub fn reveal(&self) -> &[Name] {
        &self.reveal
    }

    /// Fields that an export carries masked.
    #[must_use]
    pub fn mask(&self) -> &[Name] {
        &self.mask
    }

    /// What becomes of a row whose value has no normal form.
    #[must_use]
    pub const fn invalid(&self) -> Invalid {
        self.invalid
    }
}

impl TableSchema {
    /// Adds the indexes of the table.
    ///
    /// # Errors
    /// `Schema` if a name or column is taken, or if a field of an index is not a sealed field of the table; `Limit` for too many.
    pub fn with_indexes(mut self, indexes: Vec<IndexPolicy>) -> Result<Self> {
        if indexes.len() > MAX_INDEXES {
            return Err(self.limit("64 indexes"));
        }
        if let Some(name) = first_repeated(indexes.iter().map(|index| index.spec.name().as_str())) {
            return Err(self.fault(&format!("index `{name}` is declared twice")));
        }
        for index in &indexes {
            for part in index.spec.fields() {
                self.check_of(&format!("index `{}`", index.spec.name()), part)?;
            }
        }
        self.indexes = indexes;
        self.check_columns()
    }

    /// Adds the tokens of the table.
    ///
    /// # Errors
    /// `Schema` if a name or column is taken, if the field is not a sealed field of the table, if a kind that no table keeps has a column, or
    /// if a field to export does not exist; `Limit` for too many.
    pub fn with_tokens(mut self, tokens: Vec<TokenPolicy>) -> Result<Self> {
        if tokens.len() > MAX_TOKENS {
            return Err(self.limit("256 tokens"));
        }
        if let Some(name) = first_repeated(tokens.iter().map(|token| token.name.as_str())) {
            return Err(self.fault(&format!("token `{name}` is declared twice")));
        }
        for token in &tokens {
            let what = format!("token `{}`", token.name);
            self.check_of(&what, &token.of)?;
            if token.kind == TokenKind::Preserving && !matches!(token.of.form, NormalForm::Identifier(_)) {
                let why = format!("{what}: format-preserving tokens are of identifiers; choose another kind");
                return Err(self.fault(&why));
            }
            let kept = matches!(token.kind, TokenKind::Pairwise | TokenKind::Reversible);
            if token.column.is_some() && !kept {
                let why = format!(
                    "{what}: only pairwise and reversible tokens are kept in a table; leave `column` out"
                );
                return Err(self.fault(&why));
            }
            for name in token.reveal.iter().chain(&token.mask) {
                let field = self.fields.iter().find(|field| field.name() == name);
                if field.is_none_or(|field| field.mode() == Mode::Masked && token.reveal.contains(name)) {
                    return Err(self.fault(&format!("{what}: no field `{name}` that could be exported so")));
                }
            }
            if let Some(name) = first_repeated(token.reveal.iter().chain(&token.mask).map(Name::as_str)) {
                return Err(self.fault(&format!("{what}: field `{name}` stands twice")));
            }
        }
        self.tokens = tokens;
        self.check_columns()
    }

    /// The indexes in order.
    #[must_use]
    pub fn indexes(&self) -> &[IndexPolicy] {
        &self.indexes
    }

    /// The tokens in order.
    #[must_use]
    pub fn tokens(&self) -> &[TokenPolicy] {
        &self.tokens
    }

    /// The index of that name.
    ///
    /// # Errors
    /// `Schema` if there is none.
    pub fn index(&self, name: &str) -> Result<&IndexPolicy> {
        let found = self.indexes.iter().find(|index| index.spec.name().as_str() == name);
        found.ok_or_else(|| {
            let names: Vec<&str> = self.indexes.iter().map(|index| index.spec.name().as_str()).collect();
            self.fault(&format!("no such index; the table has: {}", names.join(", ")))
        })
    }

    /// Columns of indexes and kept tokens, in order: indexes first.
    pub fn surrogate_columns(&self) -> impl Iterator<Item = &str> {
        let indexes = self.indexes.iter().map(IndexPolicy::column);
        indexes.chain(self.tokens.iter().filter_map(TokenPolicy::column))
    }

    /// Place of a field among the sealed fields.
    #[must_use]
    pub fn sealed_position(&self, field: &Name) -> Option<usize> {
        self.sealed().position(|policy| policy.name() == field)
    }

    fn check_of(&self, what: &str, part: &IndexedField) -> Result<()> {
        if self.sealed_position(&part.field).is_some() {
            return Ok(());
        }
        Err(self.fault(&format!("{what}: `{}` is not a sealed field of the table", part.field)))
    }

    fn check_columns(self) -> Result<Self> {
        let ids = self.record_id.iter().map(String::as_str);
        let fields =
            self.fields.iter().map(FieldPolicy::column).filter(|column| !ids.clone().any(|id| id == *column));
        let all = fields.chain(ids.clone()).chain(self.surrogate_columns());
        match first_repeated(all) {
            Some(column) => Err(self.fault(&format!("column `{column}` stands twice"))),
            None => Ok(self),
        }
    }

    fn fault(&self, why: &str) -> Error {
        Error::schema(format!("table `{}`: {why}", self.name))
    }

    fn limit(&self, what: &str) -> Error {
        Error::limit(format!("table `{}` has more than {what}", self.name))
    }
}
