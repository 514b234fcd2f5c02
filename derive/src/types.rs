// SPDX-License-Identifier: MIT OR Apache-2.0
//! The types of a record: sealed and masked.
//!
//! Owns what serialises and what prints itself. Never a record id or a clear column in `Debug`.

use core::iter;

use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;

use crate::beside::Cell;
use crate::model::{Field, Mode, Model};

/// What is stored: serialises both ways, prints neither record id nor clear columns.
pub(crate) fn sealed_type(model: &Model, sealed: &Ident) -> TokenStream {
    let (plain, visibility) = (&model.ident, &model.visibility);
    let fields = model.fields.iter().map(|field| {
        let (ident, visibility, column) = (&field.ident, &field.visibility, &field.column.value);
        let ty = sealed_field_type(field);
        let serde = match &field.mode {
            Mode::RecordId | Mode::Clear { .. } => quote! { , with = "::amanat::__private" },
            Mode::Masked { .. } => {
                let read = format!("::amanat::__private::mask::<{plain}, {}, _, _>", field.place);
                quote! { , deserialize_with = #read }
            }
            Mode::Sealed { .. } => quote! { , deserialize_with = "::amanat::__private::sealed" },
        };
        let doc = format!("Column `{column}`: {}.", describe(&field.mode));
        quote! {
            #[doc = #doc]
            #[serde(rename = #column #serde)]
            #visibility #ident: #ty
        }
    });
    let cells = model.cells().enumerate().map(|(place, cell)| {
        let Cell { ident, visibility, column } = cell;
        let column = &column.value;
        let (of, ty) = if place < model.indexes.len() {
            ("the term of an index", quote! { ::amanat::index::IndexTerm })
        } else {
            ("a token", quote! { ::amanat::surrogate::TokenText })
        };
        let doc = format!("Column `{column}`: {of}; none for a row that was stored before the column was.");
        quote! {
            #[doc = #doc]
            #[serde(rename = #column, with = "::amanat::__private::surrogate")]
            #visibility #ident: ::core::option::Option<#ty>
        }
    });
    let fields = fields.chain(cells);
    let doc = format!("The sealed form of [`{plain}`]: what is stored. Made by `#[derive(Record)]`.");
    let debug = debug_of(model, sealed, model.cells(), shows_itself);
    quote! {
        #[doc = #doc]
        #[derive(
            ::core::clone::Clone,
            ::amanat::__private::serde::Serialize,
            ::amanat::__private::serde::Deserialize,
        )]
        #[serde(crate = "::amanat::__private::serde", deny_unknown_fields)]
        #visibility struct #sealed { #(#fields),* }
        #debug
    }
}

fn describe(mode: &Mode) -> &'static str {
    match mode {
        Mode::RecordId => "identifies the record",
        Mode::Clear { .. } => "as it is",
        Mode::Masked { .. } => "its mask",
        Mode::Sealed { settings, .. } if settings.mixed() => "sealed, or still plain",
        Mode::Sealed { .. } => "sealed",
    }
}

fn sealed_field_type(field: &Field) -> TokenStream {
    let ty = &field.ty;
    match &field.mode {
        Mode::RecordId | Mode::Clear { .. } => quote! { #ty },
        Mode::Masked { .. } => masked_field_type(field.is_option()),
        Mode::Sealed { settings, .. } => {
            let form = if settings.mixed() {
                quote_spanned! { ty.span() => ::amanat::record::Mixed<#ty> }
            } else {
                quote! { ::amanat::record::SealedField }
            };
            if settings.visible() {
                quote! { ::core::option::Option<#form> }
            } else {
                form
            }
        }
    }
}

fn masked_field_type(optional: bool) -> TokenStream {
    if optional {
        quote! { ::core::option::Option<::amanat::mask::Masked> }
    } else {
        quote! { ::amanat::mask::Masked }
    }
}

/// What may be shown: masks and clear columns; no record id.
pub(crate) fn masked_type(model: &Model, masked: &Ident) -> TokenStream {
    let (plain, visibility) = (&model.ident, &model.visibility);
    let fields = model.fields.iter().filter_map(|field| {
        let (ident, visibility, column) = (&field.ident, &field.visibility, &field.column.value);
        let (ty, serde, doc) = match &field.mode {
            Mode::RecordId => return None,
            Mode::Clear { .. } => {
                let ty = &field.ty;
                (quote! { #ty }, quote! { , serialize_with = "::amanat::__private::serialize" }, "as it is")
            }
            Mode::Masked { .. } => (masked_field_type(field.is_option()), quote! {}, "masked"),
            Mode::Sealed { settings, .. } => (masked_field_type(settings.visible()), quote! {}, "masked"),
        };
        let doc = format!("Column `{column}`, {doc}.");
        Some(quote! {
            #[doc = #doc]
            #[serde(rename = #column #serde)]
            #visibility #ident: #ty
        })
    });
    let doc = format!("What of a [`{plain}`] may be shown. Made by `#[derive(Record)]`.");
    let debug = debug_of(model, masked, iter::empty(), shows_itself);
    quote! {
        #[doc = #doc]
        #[derive(::core::clone::Clone, ::amanat::__private::serde::Serialize)]
        #[serde(crate = "::amanat::__private::serde")]
        #visibility struct #masked { #(#fields),* }
        #debug
    }
}

/// Whether what is stored or shown of a field prints nothing personal.
fn shows_itself(mode: &Mode) -> bool {
    matches!(mode, Mode::Sealed { .. } | Mode::Masked { .. })
}

/// A `Debug` of the chosen fields only.
pub(crate) fn debug_of<'a>(
    model: &'a Model,
    name: &Ident,
    cells: impl Iterator<Item = &'a Cell>,
    shown: impl Fn(&Mode) -> bool,
) -> TokenStream {
    let text = name.to_string();
    let fields = model.fields.iter().filter(|field| shown(&field.mode)).map(|field| &field.ident);
    let fields = fields.chain(cells.map(|cell| &cell.ident)).map(|ident| {
        let label = ident.unraw().to_string();
        quote! { .field(#label, &self.#ident) }
    });
    quote! {
        #[automatically_derived]
        impl ::core::fmt::Debug for #name {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.debug_struct(#text) #(#fields)* .finish_non_exhaustive()
            }
        }
    }
}
