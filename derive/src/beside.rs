// SPDX-License-Identifier: MIT OR Apache-2.0
//! Indexes and tokens whose words were found to fit the fields.
//!
//! Owns the rules between a surrogate and the fields that it is made from; the library checks the same rules again for schema files.

use std::collections::BTreeSet;

use proc_macro2::{Ident, Span};
use syn::{Error, Result, Type, Visibility};

use crate::attributes::{Given, check_name};
use crate::known::DATE;
use crate::mode::{Mode, inner_type};
use crate::model::{Field, Model};
use crate::surrogate::{IndexWords, TokenWords};

const MAX_PARTS: usize = 8;

/// A blind index.
pub(crate) struct Index {
    pub(crate) name: String,
    pub(crate) cell: Cell,
    pub(crate) parts: Vec<Part>,
    pub(crate) bits: u16,
    /// The variant of `Invalid`.
    pub(crate) invalid: Option<&'static str>,
}

/// Tokens of a field for an audience.
pub(crate) struct Token {
    pub(crate) words: TokenWords,
    pub(crate) part: Part,
    /// None if they are made when they are exported.
    pub(crate) cell: Option<Cell>,
}

/// A column of the sealed type beside those of the fields.
#[derive(Clone)]
pub(crate) struct Cell {
    pub(crate) ident: Ident,
    pub(crate) visibility: Visibility,
    pub(crate) column: Given<String>,
}

/// A field that an index or token is made from, and its normal form.
pub(crate) struct Part {
    pub(crate) field: String,
    pub(crate) ty: Type,
    pub(crate) form: &'static str,
}

impl Part {
    fn of(field: &Field, form: Option<&Given<&'static str>>, span: Span) -> Result<Self> {
        let Mode::Sealed { name, .. } = &field.mode else {
            let why = "an index or token is of a sealed field; this one is not sealed";
            return Err(Error::new(span, why));
        };
        let own = || match field.identifier {
            Some(identifier) => Some(identifier.form),
            None if is_date(&field.ty) => Some(DATE),
            None => None,
        };
        let form = form.map(|given| given.value).or_else(own).ok_or_else(|| {
            Error::new(
                span,
                format!(
                    "field `{name}` has no normal form of its own: name one, such as form = \"urdu-name/v1\", or set its `identifier`"
                ),
            )
        })?;
        Ok(Self { field: name.clone(), ty: field.ty.clone(), form })
    }
}

impl Index {
    fn of_field(mut words: IndexWords, field: &Field) -> Result<Self> {
        let part = Part::of(field, words.form.as_ref(), words.span)?;
        let default = || Given { value: format!("by-{}", part.field), span: words.span };
        let name = words.name.take().unwrap_or_else(default);
        Self::new(name, words, vec![part], &field.visibility)
    }

    fn of_struct(mut words: IndexWords, fields: &[Field]) -> Result<Self> {
        let missing = |word: &str| {
            Error::new(
                words.span,
                format!("say `{word}`: index(name = \"…\", fields = [\"…\", \"…\"], bits = 24)"),
            )
        };
        let name = words.name.take().ok_or_else(|| missing("name"))?;
        let of = words.fields.take().ok_or_else(|| missing("fields"))?;
        if !(1..=MAX_PARTS).contains(&of.value.len()) {
            return Err(Error::new(of.span, "an index has 1 to 8 fields"));
        }
        if let Some(forms) = words.forms.as_ref().filter(|forms| forms.value.len() != of.value.len()) {
            return Err(Error::new(forms.span, "`forms` names one normal form for each of `fields`"));
        }
        let (mut parts, mut seen, mut visibility) = (Vec::new(), BTreeSet::new(), None);
        for (at, said) in of.value.iter().enumerate() {
            let found = fields.iter().find(|field| field.name() == Some(&said.value));
            let field = found.ok_or_else(|| Error::new(said.span, "the record has no field of this name"))?;
            if !seen.insert(&said.value) {
                return Err(Error::new(said.span, "a field stands twice in this index"));
            }
            let form = words.forms.as_ref().and_then(|forms| forms.value.get(at));
            let form = form.map(|form| Given { value: *form, span: said.span });
            parts.push(Part::of(field, form.as_ref(), said.span)?);
            visibility.get_or_insert(&field.visibility);
        }
        let visibility = visibility.unwrap_or(&Visibility::Inherited);
        Self::new(name, words, parts, visibility)
    }

    fn new(
        name: Given<String>,
        words: IndexWords,
        parts: Vec<Part>,
        visibility: &Visibility,
    ) -> Result<Self> {
        check_name(&name.value, name.span)?;
        let cell = Cell {
            ident: ident_of(&name.value, name.span),
            visibility: visibility.clone(),
            column: words.column.unwrap_or_else(|| name.clone()),
        };
        Ok(Self { name: name.value, cell, parts, bits: words.bits, invalid: words.invalid })
    }
}

impl Token {
    fn new(words: TokenWords, field: &Field, fields: &[Field]) -> Result<Self> {
        let part = Part::of(field, words.form.as_ref(), words.span)?;
        let mut seen = BTreeSet::new();
        let masks = words.mask.iter().map(|said| (said, false));
        for (said, revealed) in words.reveal.iter().map(|said| (said, true)).chain(masks) {
            let found = fields.iter().find(|field| field.name() == Some(&said.value));
            let field = found.ok_or_else(|| Error::new(said.span, "the record has no field of this name"))?;
            if revealed && matches!(field.mode, Mode::Masked { .. }) {
                return Err(Error::new(said.span, "only the mask of this field is kept; name it in `mask`"));
            }
            if !seen.insert(&said.value) {
                return Err(Error::new(said.span, "a field stands twice in `reveal` and `mask`"));
            }
        }
        let cell = words.column.as_ref().map(|column| Cell {
            ident: ident_of(&words.name, words.span),
            visibility: field.visibility.clone(),
            column: column.clone(),
        });
        Ok(Self { words, part, cell })
    }
}

/// What stands beside the fields of a record, in the order of the schema: that of the struct first.
pub(crate) fn read(
    of_struct: Vec<IndexWords>,
    fields: &mut [Field],
    mut refused: impl FnMut(Error),
) -> (Vec<Index>, Vec<Token>) {
    let taken: Vec<_> = fields
        .iter_mut()
        .map(|field| (std::mem::take(&mut field.indexes), std::mem::take(&mut field.tokens)))
        .collect();
    let fields = &*fields;
    let mut keep_index = Vec::new();
    let mut keep_tokens = Vec::new();
    for words in of_struct {
        Index::of_struct(words, fields).map_or_else(&mut refused, |index| keep_index.push(index));
    }
    for (field, (indexes, tokens)) in fields.iter().zip(taken) {
        for words in indexes {
            Index::of_field(words, field).map_or_else(&mut refused, |index| keep_index.push(index));
        }
        for words in tokens {
            Token::new(words, field, fields).map_or_else(&mut refused, |token| keep_tokens.push(token));
        }
    }
    (keep_index, keep_tokens)
}

/// Rules over all indexes and tokens: no name, column or field of the sealed type stands twice.
pub(crate) fn check_together(model: &Model) -> Result<()> {
    let (mut indexes, mut tokens) = (BTreeSet::new(), BTreeSet::new());
    if let Some(index) = model.indexes.iter().find(|index| !indexes.insert(&index.name)) {
        let why = format!("another index is called `{}`; say `name`", index.name);
        return Err(Error::new(index.cell.ident.span(), why));
    }
    if let Some(token) = model.tokens.iter().find(|token| !tokens.insert(&token.words.name)) {
        let why = format!("other tokens are called `{}`; say `name`", token.words.name);
        return Err(Error::new(token.words.span, why));
    }
    let mut columns: BTreeSet<&String> = model.fields.iter().map(|field| &field.column.value).collect();
    let mut idents: BTreeSet<&Ident> = model.fields.iter().map(|field| &field.ident).collect();
    for cell in model.cells() {
        if !columns.insert(&cell.column.value) {
            let why = format!("column `{}` stands twice", cell.column.value);
            return Err(Error::new(cell.column.span, why));
        }
        if !idents.insert(&cell.ident) {
            let why = format!("the sealed type has a field `{}` already; say another `name`", cell.ident);
            return Err(Error::new(cell.ident.span(), why));
        }
    }
    Ok(())
}

/// The field of the sealed type for a name: `by-cnic` gives `by_cnic`.
fn ident_of(name: &str, span: Span) -> Ident {
    let mut text = name.replace(['-', '.'], "_").to_ascii_lowercase();
    if text.starts_with(|first: char| first.is_ascii_digit()) || text == "_" {
        text.insert(0, '_');
    }
    if syn::parse_str::<Ident>(&text).is_err() {
        text.push('_');
    }
    Ident::new(&text, span)
}

/// Whether a type is written as `Date`, or as an `Option` of it.
fn is_date(ty: &Type) -> bool {
    let Type::Path(path) = inner_type(ty) else { return false };
    path.qself.is_none() && path.path.segments.last().is_some_and(|segment| segment.ident == "Date")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_gives_a_field() {
        for (name, field) in [
            ("by-cnic", "by_cnic"),
            ("By.Father", "by_father"),
            ("2nd-copy", "_2nd_copy"),
            ("type", "type_"),
            ("self", "self_"),
            ("Self", "self_"),
            ("_", "__"),
            ("-", "__"),
            ("...", "___"),
        ] {
            assert_eq!(ident_of(name, Span::call_site()), field, "{name}");
        }
    }
}
