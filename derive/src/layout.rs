// SPDX-License-Identifier: MIT OR Apache-2.0
//! The schema of a record as constants.
//!
//! Owns the words' way into `amanat::record::Layout`. Writes what was said and leaves the rest to the library's defaults.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::Type;
use syn::spanned::Spanned;

use crate::attributes::Given;
use crate::beside::{Index, Part, Token};
use crate::known::{DATE, EXACT, Known};
use crate::model::{Mode, Model, Settings};

pub(crate) fn layout(model: &Model) -> TokenStream {
    let (table, encoding) = (&model.table, format_ident!("{}", model.encoding));
    let record_id = model.fields.iter().filter(|field| matches!(field.mode, Mode::RecordId));
    let record_id = record_id.map(|field| &field.column.value);
    let fields = model.fields.iter().filter_map(|field| {
        let (name, mode, rest) = match &field.mode {
            Mode::RecordId => return None,
            Mode::Clear { name } => (name, quote! { Clear }, quote! {}),
            Mode::Masked { name, mask } => {
                (name, quote! { Masked }, mask_of(*mask, field.identifier))
            }
            Mode::Sealed { name, settings, .. } => {
                (name, quote! { Sealed }, settings_of(settings, field.identifier))
            }
        };
        let (ty, column) = (&field.ty, &field.column.value);
        let column = (column != name).then(|| quote! { .with_column(#column) });
        let identifier = field.identifier.map(identifier);
        let identifier = identifier.map(|identifier| quote! { .with_identifier(&#identifier) });
        let value_type = quote_spanned! { ty.span() => <#ty as ::amanat::record::FieldValue>::TYPE };
        Some(quote! {
            ::amanat::record::FieldLayout::new(#name, ::amanat::schema::Mode::#mode, #value_type) #column #rest #identifier
        })
    });
    let indexes = list("indexes", model.indexes.iter().map(index));
    let tokens = list("tokens", model.tokens.iter().map(token));
    quote! {{
        const FIELDS: &[::amanat::record::FieldLayout] = &[#(#fields),*];
        ::amanat::record::Layout::new(#table, &[#(#record_id),*], ::amanat::schema::Encoding::#encoding, FIELDS)
            #indexes #tokens
    }}
}

/// A call that adds what there is.
fn list(of: &str, items: impl ExactSizeIterator<Item = TokenStream>) -> Option<TokenStream> {
    let method = format_ident!("with_{of}");
    (items.len() > 0).then(|| quote! { .#method(&[#(#items),*]) })
}

fn index(index: &Index) -> TokenStream {
    let (name, bits, column) = (&index.name, index.bits, &index.cell.column.value);
    let parts = index.parts.iter().map(part);
    let column = (column != name).then(|| quote! { .with_column(#column) });
    let invalid = setting("with_invalid", quote! { ::amanat::schema::Invalid }, index.invalid);
    quote! { ::amanat::record::IndexLayout::new(#name, &[#(#parts),*], #bits) #column #invalid }
}

fn token(token: &Token) -> TokenStream {
    let words = &token.words;
    let (name, kind, of) = (&words.name, format_ident!("{}", words.kind), part(&token.part));
    let (recipient, purpose, epoch) = (&words.recipient, &words.purpose, words.epoch);
    let column = token.cell.as_ref().map(|cell| &cell.column.value);
    let column = column.map(|column| quote! { .with_column(#column) });
    let names =
        |names: &[Given<String>]| -> Vec<String> { names.iter().map(|given| given.value.clone()).collect() };
    let (reveal, mask) = (names(&words.reveal), names(&words.mask));
    let fields = (!reveal.is_empty() || !mask.is_empty())
        .then(|| quote! { .with_fields(&[#(#reveal),*], &[#(#mask),*]) });
    let invalid = setting("with_invalid", quote! { ::amanat::schema::Invalid }, words.invalid);
    quote! {
        ::amanat::record::TokenLayout::new(
            #name, ::amanat::token::TokenKind::#kind, #of, (#recipient, #purpose), #epoch
        ) #column #fields #invalid
    }
}

fn part(part: &Part) -> TokenStream {
    let (field, form) = (&part.field, part.form);
    quote! { (#field, #form) }
}

/// Refuses types that an identifier, mask or normal form does not take, where the type stands.
pub(crate) fn type_checks(model: &Model) -> TokenStream {
    let hidden = model
        .fields
        .iter()
        .filter(|field| field.identifier.is_some() || matches!(field.mode, Mode::Masked { .. }));
    let hidden = hidden
        .map(|field| check(&field.ty, &["Text"], "only text is an identifier, or is stored as its mask"));
    let parts = model.indexes.iter().flat_map(|index| &index.parts);
    let parts = parts.chain(model.tokens.iter().map(|token| &token.part));
    let parts = parts.filter_map(|part| match part.form {
        EXACT => None,
        DATE => Some(check(&part.ty, &["Text", "Date"], "date/v1 takes a date, or text")),
        form => Some(check(&part.ty, &["Text"], &format!("the normal form {form} takes text"))),
    });
    quote! { #(#hidden)* #(#parts)* }
}

fn check(ty: &Type, taken: &[&str], why: &str) -> TokenStream {
    let taken = taken.iter().map(|variant| format_ident!("{variant}"));
    quote_spanned! { ty.span() =>
        const _: () = ::core::assert!(
            ::core::matches!(
                <#ty as ::amanat::record::FieldValue>::TYPE,
                #(::amanat::schema::ValueType::#taken)|*
            ),
            #why
        );
    }
}

fn identifier(known: &Known) -> TokenStream {
    let variant = format_ident!("{}", known.variant);
    quote! { ::amanat::identifier::Identifier::#variant }
}

fn settings_of(settings: &Settings, identifier: Option<&'static Known>) -> TokenStream {
    let pad = settings.pad.map(|pad| quote! { .with_pad(#pad) });
    let family = setting("with_family", quote! { ::amanat::field::Family }, settings.family);
    let absence = setting("with_absence", quote! { ::amanat::schema::Absence }, settings.absence);
    let migration = setting("with_migration", quote! { ::amanat::schema::Migration }, settings.migration);
    let mask = mask_of(settings.mask, identifier);
    quote! { #pad #family #absence #migration #mask }
}

fn mask_of(mask: Option<&str>, of: Option<&'static Known>) -> TokenStream {
    match (mask, of.map(identifier)) {
        (Some("Identifier"), Some(identifier)) => {
            quote! { .with_mask(&::amanat::mask::Mask::Identifier(#identifier)) }
        }
        (mask, _) => setting("with_mask", quote! { &::amanat::mask::Mask }, mask),
    }
}

/// A call that sets a variant of an enum, if one is said.
fn setting(method: &str, of: TokenStream, variant: Option<&str>) -> TokenStream {
    let method = format_ident!("{method}");
    let variant = variant.map(|variant| format_ident!("{variant}"));
    variant.map_or_else(TokenStream::new, |variant| quote! { .#method(#of::#variant) })
}
