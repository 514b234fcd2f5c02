// SPDX-License-Identifier: MIT OR Apache-2.0
//! The words inside `#[amanat(…)]`.
//!
//! Owns their spelling and the values they take. Knows nothing of how words fit together.

use proc_macro2::Span;
use syn::meta::ParseNestedMeta;
use syn::spanned::Spanned;
use syn::{Attribute, Error, LitInt, LitStr, Result};

use crate::known::{IDENTIFIERS, Known};
use crate::surrogate::{IndexWords, TokenWords};

/// A word's value and where it stands.
#[derive(Clone)]
pub(crate) struct Given<T> {
    pub(crate) value: T,
    pub(crate) span: Span,
}

/// Words of a struct.
#[derive(Default)]
pub(crate) struct TableWords {
    pub(crate) table: Option<Given<String>>,
    /// The variant of `Encoding`.
    pub(crate) encoding: Option<Given<&'static str>>,
    pub(crate) indexes: Vec<IndexWords>,
}

/// Words of a field, as they were written.
#[derive(Default)]
pub(crate) struct FieldWords {
    pub(crate) record_id: Option<Given<()>>,
    pub(crate) sealed: Option<Given<()>>,
    /// The variant of `Mask`, if one is said.
    pub(crate) masked: Option<Given<Option<&'static str>>>,
    pub(crate) clear: Option<Given<()>>,
    pub(crate) name: Option<Given<String>>,
    pub(crate) column: Option<Given<String>>,
    pub(crate) pad: Option<Given<usize>>,
    /// The variants of `Family`, `Absence`, `Migration` and `Mask`.
    pub(crate) family: Option<Given<&'static str>>,
    pub(crate) absence: Option<Given<&'static str>>,
    pub(crate) migration: Option<Given<&'static str>>,
    pub(crate) mask: Option<Given<&'static str>>,
    pub(crate) identifier: Option<Given<&'static Known>>,
    pub(crate) indexes: Vec<IndexWords>,
    pub(crate) tokens: Vec<TokenWords>,
}

/// A setting's words and the variants that they mean.
pub(crate) type Words = &'static [(&'static str, &'static str)];

const ENCODING: Words = &[("text", "Text"), ("binary", "Binary")];
const FAMILY: Words = &[("aes", "Aes"), ("chacha", "ChaCha")];
const ABSENCE: Words = &[("hidden", "Hidden"), ("visible", "Visible")];
const MIGRATION: Words = &[("done", "Done"), ("mixed", "Mixed")];
const MASK: Words = &[("all", "All"), ("last-4", "LastFour"), ("identifier", "Identifier")];
const MAX_PAD: usize = 65_536;
const MAX_NAME_BYTES: usize = 128;
const MAX_COLUMN_BYTES: usize = 256;

impl TableWords {
    pub(crate) fn read(attributes: &[Attribute]) -> Result<Self> {
        let mut words = Self::default();
        read_each(attributes, |meta| match word(meta).as_str() {
            "table" => set(&mut words.table, meta, name),
            "encoding" => set(&mut words.encoding, meta, |meta| one_of(meta, ENCODING)),
            "index" => IndexWords::of_struct(meta).map(|index| words.indexes.push(index)),
            _ => Err(meta.error("unknown word; a struct has: table, encoding, index")),
        })?;
        Ok(words)
    }
}

impl FieldWords {
    pub(crate) fn read(attributes: &[Attribute]) -> Result<Self> {
        let mut words = Self::default();
        read_each(attributes, |meta| {
            match word(meta).as_str() {
            "record_id" => set(&mut words.record_id, meta, alone),
            "sealed" => set(&mut words.sealed, meta, alone),
            "masked" => set(&mut words.masked, meta, |meta| {
                let said = meta.input.peek(syn::Token![=]);
                said.then(|| one_of(meta, MASK)).transpose()
            }),
            "clear" => set(&mut words.clear, meta, alone),
            "name" => set(&mut words.name, meta, name),
            "column" => set(&mut words.column, meta, column),
            "pad" => set(&mut words.pad, meta, pad),
            "family" => set(&mut words.family, meta, |meta| one_of(meta, FAMILY)),
            "absence" => set(&mut words.absence, meta, |meta| one_of(meta, ABSENCE)),
            "migration" => set(&mut words.migration, meta, |meta| one_of(meta, MIGRATION)),
            "mask" => set(&mut words.mask, meta, |meta| one_of(meta, MASK)),
            "identifier" => set(&mut words.identifier, meta, identifier),
            "index" => IndexWords::of_field(meta).map(|index| words.indexes.push(index)),
            "token" => TokenWords::read(meta).map(|token| words.tokens.push(token)),
            _ => Err(meta.error(
                "unknown word; a field has: record_id, sealed, masked, clear, name, column, pad, family, absence, migration, mask, identifier, index, token",
            )),
        }
        })?;
        Ok(words)
    }
}

/// Calls `read` for every word of every `#[amanat(…)]`.
fn read_each(
    attributes: &[Attribute],
    mut read: impl FnMut(&ParseNestedMeta<'_>) -> Result<()>,
) -> Result<()> {
    let mut own = attributes.iter().filter(|attribute| attribute.path().is_ident("amanat"));
    own.try_for_each(|attribute| attribute.parse_nested_meta(|meta| read(&meta)))
}

pub(crate) fn word(meta: &ParseNestedMeta<'_>) -> String {
    meta.path.get_ident().map(ToString::to_string).unwrap_or_default()
}

/// Keeps a word's value; a word stands once.
pub(crate) fn set<T>(
    place: &mut Option<Given<T>>,
    meta: &ParseNestedMeta<'_>,
    read: impl FnOnce(&ParseNestedMeta<'_>) -> Result<T>,
) -> Result<()> {
    let value = read(meta)?;
    if place.is_some() {
        return Err(meta.error(format!("`{}` stands twice", word(meta))));
    }
    *place = Some(Given { value, span: meta.path.span() });
    Ok(())
}

/// A word without a value.
fn alone(meta: &ParseNestedMeta<'_>) -> Result<()> {
    if meta.input.peek(syn::Token![=]) || meta.input.peek(syn::token::Paren) {
        return Err(meta.error(format!("`{}` takes no value", word(meta))));
    }
    Ok(())
}

pub(crate) fn text(meta: &ParseNestedMeta<'_>) -> Result<LitStr> {
    let word = word(meta);
    let value = meta.value().map_err(|_| meta.error(format!("write {word} = \"…\"")))?;
    value.parse().map_err(|error| Error::new(error.span(), format!("write {word} = \"…\"")))
}

pub(crate) fn one_of(meta: &ParseNestedMeta<'_>, words: Words) -> Result<&'static str> {
    let said = text(meta)?;
    let found = words.iter().find(|(word, _)| *word == said.value());
    found.map(|(_, variant)| *variant).ok_or_else(|| {
        let known: Vec<String> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        Error::new(said.span(), format!("`{}` is one of: {}", word(meta), known.join(", ")))
    })
}

pub(crate) fn name(meta: &ParseNestedMeta<'_>) -> Result<String> {
    let said = text(meta)?;
    check_name(&said.value(), said.span())?;
    Ok(said.value())
}

/// The rule of SPEC 3.1.
pub(crate) fn check_name(name: &str, span: Span) -> Result<()> {
    let fits = (1..=MAX_NAME_BYTES).contains(&name.len());
    if fits && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.')) {
        return Ok(());
    }
    Err(Error::new(
        span,
        "a name is 1 to 128 of the characters A-Z a-z 0-9 _ - . (a field's column may be called otherwise: column = \"…\")",
    ))
}

pub(crate) fn column(meta: &ParseNestedMeta<'_>) -> Result<String> {
    let said = text(meta)?;
    let column = said.value();
    if (1..=MAX_COLUMN_BYTES).contains(&column.len()) && !column.chars().any(char::is_control) {
        return Ok(column);
    }
    Err(Error::new(said.span(), "a column's name has 1 to 256 bytes and no control characters"))
}

fn identifier(meta: &ParseNestedMeta<'_>) -> Result<&'static Known> {
    let said = text(meta)?;
    IDENTIFIERS.iter().find(|known| known.name == said.value()).ok_or_else(|| {
        let names: Vec<&str> = IDENTIFIERS.iter().map(|known| known.name).collect();
        let why = format!("no such identifier; there are: {}", names.join(", "));
        Error::new(said.span(), why)
    })
}

fn pad(meta: &ParseNestedMeta<'_>) -> Result<usize> {
    let how = "`pad` is a multiple of 16 from 16 to 65536, in bytes: pad = 64";
    let value = meta.value().map_err(|_| meta.error(how))?;
    let said: LitInt = value.parse().map_err(|error| Error::new(error.span(), how))?;
    let bytes = said.base10_parse().ok().filter(|bytes| (16..=MAX_PAD).contains(bytes));
    bytes.filter(|bytes| bytes % 16 == 0).ok_or_else(|| Error::new(said.span(), how))
}
