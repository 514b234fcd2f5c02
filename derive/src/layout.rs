// SPDX-License-Identifier: MIT OR Apache-2.0
//! The schema of a record as constants.
//!
//! Owns the words' way into `amanat::record::Layout`. Writes what was said and leaves the rest to the library's defaults.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;

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
                (name, quote! { Masked }, setting("with_mask", quote! { &::amanat::mask::Mask }, *mask))
            }
            Mode::Sealed { name, settings, .. } => (name, quote! { Sealed }, settings_of(settings)),
        };
        let (ty, column) = (&field.ty, &field.column.value);
        let column = (column != name).then(|| quote! { .with_column(#column) });
        let value_type = quote_spanned! { ty.span() => <#ty as ::amanat::record::FieldValue>::TYPE };
        Some(quote! {
            ::amanat::record::FieldLayout::new(#name, ::amanat::schema::Mode::#mode, #value_type) #column #rest
        })
    });
    quote! {{
        const FIELDS: &[::amanat::record::FieldLayout] = &[#(#fields),*];
        ::amanat::record::Layout::new(#table, &[#(#record_id),*], ::amanat::schema::Encoding::#encoding, FIELDS)
    }}
}

fn settings_of(settings: &Settings) -> TokenStream {
    let pad = settings.pad.map(|pad| quote! { .with_pad(#pad) });
    let family = setting("with_family", quote! { ::amanat::field::Family }, settings.family);
    let absence = setting("with_absence", quote! { ::amanat::schema::Absence }, settings.absence);
    let migration = setting("with_migration", quote! { ::amanat::schema::Migration }, settings.migration);
    let mask = setting("with_mask", quote! { &::amanat::mask::Mask }, settings.mask);
    quote! { #pad #family #absence #migration #mask }
}

/// A call that sets a variant of an enum, if one is said.
fn setting(method: &str, of: TokenStream, variant: Option<&str>) -> TokenStream {
    let method = format_ident!("{method}");
    let variant = variant.map(|variant| format_ident!("{variant}"));
    variant.map_or_else(TokenStream::new, |variant| quote! { .#method(#of::#variant) })
}
