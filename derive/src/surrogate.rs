// SPDX-License-Identifier: MIT OR Apache-2.0
//! The words inside `index(…)` and `token(…)`.
//!
//! Owns their spelling and the values they take. Knows nothing of the fields that they stand for.

use proc_macro2::Span;
use syn::meta::ParseNestedMeta;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Error, LitInt, LitStr, Result, Token};

use crate::attributes::{Given, Words, check_name, column, name, one_of, set, text, word};
use crate::known::{FORMS, IDENTIFIERS};

const INVALID: Words = &[("refuse", "Refuse"), ("skip", "Skip")];
const KIND: Words = &[
    ("pairwise", "Pairwise"),
    ("reversible", "Reversible"),
    ("expiring", "Expiring"),
    ("vaulted", "Vaulted"),
    ("preserving", "Preserving"),
];
const MAX_AUDIENCE_BYTES: usize = 32;
const BITS: &str = "`bits` is 4 to 128, as `amanat plan` advises: bits = 40";
const EPOCH: &str = "`epoch` is 1 to 1024, the recipient's place among the token keys: epoch = 1";

/// Words of an index.
pub(crate) struct IndexWords {
    pub(crate) span: Span,
    pub(crate) name: Option<Given<String>>,
    pub(crate) column: Option<Given<String>>,
    /// Of an index of one field.
    pub(crate) form: Option<Given<&'static str>>,
    /// Of an index of the struct.
    pub(crate) fields: Option<Given<Vec<Given<String>>>>,
    pub(crate) forms: Option<Given<Vec<&'static str>>>,
    pub(crate) bits: u16,
    /// The variant of `Invalid`.
    pub(crate) invalid: Option<&'static str>,
}

/// Words of a field's tokens.
pub(crate) struct TokenWords {
    pub(crate) span: Span,
    pub(crate) name: String,
    /// The variant of `TokenKind`.
    pub(crate) kind: &'static str,
    pub(crate) form: Option<Given<&'static str>>,
    pub(crate) recipient: String,
    pub(crate) purpose: String,
    pub(crate) epoch: u16,
    pub(crate) column: Option<Given<String>>,
    pub(crate) reveal: Vec<Given<String>>,
    pub(crate) mask: Vec<Given<String>>,
    /// The variant of `Invalid`.
    pub(crate) invalid: Option<&'static str>,
}

impl IndexWords {
    /// Reads an index that stands at its field.
    pub(crate) fn of_field(meta: &ParseNestedMeta<'_>) -> Result<Self> {
        Self::read(meta, false)
    }

    /// Reads an index that stands at the struct and names its fields.
    pub(crate) fn of_struct(meta: &ParseNestedMeta<'_>) -> Result<Self> {
        Self::read(meta, true)
    }

    fn read(meta: &ParseNestedMeta<'_>, of_struct: bool) -> Result<Self> {
        let (mut own_name, mut own_column, mut own_form, mut fields, mut forms) =
            (None, None, None, None, None);
        let (mut bits, mut invalid) = (None, None);
        inside(meta, "index(bits = 40)", |meta| {
            match (word(meta).as_str(), of_struct) {
            ("name", _) => set(&mut own_name, meta, name),
            ("column", _) => set(&mut own_column, meta, column),
            ("form", false) => set(&mut own_form, meta, |meta| form(&text(meta)?)),
            ("fields", true) => set(&mut fields, meta, names),
            ("forms", true) => set(&mut forms, meta, |meta| texts(meta)?.iter().map(form).collect()),
            ("bits", _) => set(&mut bits, meta, |meta| number(meta, 4..=128, BITS)),
            ("invalid", _) => set(&mut invalid, meta, |meta| one_of(meta, INVALID)),
            (_, true) => Err(meta.error(
                "unknown word; an index of the struct has: name, column, fields, forms, bits, invalid",
            )),
            (_, false) => Err(meta.error(
                "unknown word; an index of a field has: name, column, form, bits, invalid; one of several fields stands at the struct",
            )),
        }
        })?;
        let span = meta.path.span();
        let bits = bits.ok_or_else(|| Error::new(span, BITS))?.value;
        let invalid = invalid.map(|given| given.value);
        Ok(Self { span, name: own_name, column: own_column, form: own_form, fields, forms, bits, invalid })
    }
}

impl TokenWords {
    pub(crate) fn read(meta: &ParseNestedMeta<'_>) -> Result<Self> {
        let (mut own_name, mut kind, mut own_form, mut recipient, mut purpose) =
            (None, None, None, None, None);
        let (mut epoch, mut own_column, mut reveal, mut mask, mut invalid) = (None, None, None, None, None);
        let example = "token(kind = \"pairwise\", recipient = \"…\", purpose = \"…\", epoch = 1)";
        inside(meta, example, |meta| {
            match word(meta).as_str() {
            "name" => set(&mut own_name, meta, name),
            "kind" => set(&mut kind, meta, |meta| one_of(meta, KIND)),
            "form" => set(&mut own_form, meta, |meta| form(&text(meta)?)),
            "recipient" => set(&mut recipient, meta, audience),
            "purpose" => set(&mut purpose, meta, audience),
            "epoch" => set(&mut epoch, meta, |meta| number(meta, 1..=1_024, EPOCH)),
            "column" => set(&mut own_column, meta, column),
            "reveal" => set(&mut reveal, meta, names),
            "mask" => set(&mut mask, meta, names),
            "invalid" => set(&mut invalid, meta, |meta| one_of(meta, INVALID)),
            _ => Err(meta.error(
                "unknown word; a token has: name, kind, form, recipient, purpose, epoch, column, reveal, mask, invalid",
            )),
        }
        })?;
        let span = meta.path.span();
        let missing = |word: &str| Error::new(span, format!("say `{word}`: {example}"));
        let kind = kind.ok_or_else(|| missing("kind"))?.value;
        if let Some(column) = own_column.as_ref().filter(|_| !matches!(kind, "Pairwise" | "Reversible")) {
            let why = "only pairwise and reversible tokens are kept in a table; leave `column` out";
            return Err(Error::new(column.span, why));
        }
        let (name, purpose) = match (own_name, purpose) {
            (Some(name), Some(purpose)) => (name.value, purpose.value),
            (Some(name), None) => {
                check_audience(&name.value, name.span)?;
                (name.value.clone(), name.value)
            }
            (None, Some(purpose)) => (purpose.value.clone(), purpose.value),
            (None, None) => return Err(missing("purpose")),
        };
        Ok(Self {
            span,
            name,
            kind,
            form: own_form,
            recipient: recipient.ok_or_else(|| missing("recipient"))?.value,
            purpose,
            epoch: epoch.ok_or_else(|| missing("epoch"))?.value,
            column: own_column,
            reveal: reveal.map(|names| names.value).unwrap_or_default(),
            mask: mask.map(|names| names.value).unwrap_or_default(),
            invalid: invalid.map(|given| given.value),
        })
    }
}

/// Reads every word between the parentheses of a word.
fn inside(
    meta: &ParseNestedMeta<'_>,
    example: &str,
    mut read: impl FnMut(&ParseNestedMeta<'_>) -> Result<()>,
) -> Result<()> {
    let words = || -> Result<bool> {
        let content;
        syn::parenthesized!(content in meta.input.fork());
        Ok(!content.is_empty())
    };
    if !words().unwrap_or_default() {
        return Err(Error::new(meta.path.span(), format!("write {example}")));
    }
    meta.parse_nested_meta(|meta| read(&meta))
}

fn number(meta: &ParseNestedMeta<'_>, fits: core::ops::RangeInclusive<u16>, how: &str) -> Result<u16> {
    let value = meta.value().map_err(|_| meta.error(how))?;
    let said: LitInt = value.parse().map_err(|error| Error::new(error.span(), how))?;
    let number = said.base10_parse().ok().filter(|number| fits.contains(number));
    number.ok_or_else(|| Error::new(said.span(), how))
}

/// A list of texts, as in the schema file.
fn texts(meta: &ParseNestedMeta<'_>) -> Result<Vec<LitStr>> {
    let list = || -> Result<_> {
        let value = meta.value()?;
        let content;
        syn::bracketed!(content in value);
        Punctuated::<LitStr, Token![,]>::parse_terminated(&content)
    };
    let how = format!("write {} = [\"…\", \"…\"]", word(meta));
    Ok(list().map_err(|error| Error::new(error.span(), how))?.into_iter().collect())
}

fn names(meta: &ParseNestedMeta<'_>) -> Result<Vec<Given<String>>> {
    let given = |said: LitStr| Given { value: said.value(), span: said.span() };
    Ok(texts(meta)?.into_iter().map(given).collect())
}

fn form(said: &LitStr) -> Result<&'static str> {
    let mut known = FORMS.into_iter().chain(IDENTIFIERS.iter().map(|identifier| identifier.form));
    known.clone().find(|form| *form == said.value()).ok_or_else(|| {
        let first = known.next().unwrap_or_default();
        let list = known.fold(first.to_owned(), |list, form| format!("{list}, {form}"));
        Error::new(said.span(), format!("no such normal form; there are: {list}"))
    })
}

fn audience(meta: &ParseNestedMeta<'_>) -> Result<String> {
    let said = text(meta)?;
    check_audience(&said.value(), said.span())?;
    Ok(said.value())
}

/// The rule of SPEC 10.1.
fn check_audience(name: &str, span: Span) -> Result<()> {
    check_name(name, span)?;
    if name.len() <= MAX_AUDIENCE_BYTES && !name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Ok(());
    }
    Err(Error::new(
        span,
        "a recipient or purpose has at most 32 of the characters a-z 0-9 _ - . because it stands in every token",
    ))
}
