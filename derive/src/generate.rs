// SPDX-License-Identifier: MIT OR Apache-2.0
//! The code of a record: the traits between its plain, sealed and masked form.
//!
//! Owns no rule: types and calls of the library do the work, so that what is written here can be read in one sitting.

use core::iter;

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;

use crate::layout::{layout, type_checks};
use crate::model::{Field, Mode, Model};
use crate::types::{debug_of, masked_type, sealed_type};

pub(crate) fn record(model: &Model) -> TokenStream {
    let sealed = format_ident!("Sealed{}", model.ident);
    let masked = format_ident!("Masked{}", model.ident);
    let parts = [
        type_checks(model),
        sealed_type(model, &sealed),
        masked_type(model, &masked),
        plain_traits(model),
        record_trait(model, &sealed, &masked),
        sealed_record_trait(model, &sealed),
    ];
    quote! { #(#parts)* }
}

/// The plain type prints its name only, wipes what is not clear, and is not `Serialize`.
fn plain_traits(model: &Model) -> TokenStream {
    let plain = &model.ident;
    let debug = debug_of(model, plain, iter::empty(), |_| false);
    let personal = model.fields.iter().filter(|field| !matches!(field.mode, Mode::Clear { .. }));
    let wipes = personal.map(|field| {
        let ident = &field.ident;
        quote_spanned! { field.ty.span() => ::amanat::record::FieldValue::wipe(&mut self.#ident); }
    });
    quote! {
        #debug

        #[automatically_derived]
        impl ::core::ops::Drop for #plain {
            fn drop(&mut self) { #(#wipes)* }
        }

        #[automatically_derived]
        impl ::amanat::__private::PlainRecordIsNotSerialize for #plain {}
    }
}

/// The body of `record_id`.
fn record_id(model: &Model) -> TokenStream {
    let columns: Vec<&Field> =
        model.fields.iter().filter(|field| matches!(field.mode, Mode::RecordId)).collect();
    if let [field] = columns.as_slice() {
        let ident = &field.ident;
        return quote_spanned! { field.ty.span() => ::amanat::record::RecordIdColumn::to_record_id(&self.#ident) };
    }
    let texts = columns.iter().map(|field| {
        let ident = &field.ident;
        quote_spanned! { field.ty.span() => &*::amanat::record::RecordIdColumn::to_text(&self.#ident) }
    });
    quote! { ::amanat::context::RecordId::composite(&[#(#texts),*]) }
}

/// The fields of the sealed form, made from the plain one.
fn seals(model: &Model) -> impl Iterator<Item = TokenStream> {
    // Before anything is sealed: a value may have no normal form.
    let surrogates = model.cells().enumerate().map(|(column, cell)| {
        let ident = &cell.ident;
        quote! { #ident: call.surrogate(#column, &values)? }
    });
    let fields = model.fields.iter().map(|field| {
        let ident = &field.ident;
        match &field.mode {
            Mode::RecordId | Mode::Clear { .. } => {
                quote! { #ident: ::core::clone::Clone::clone(&self.#ident) }
            }
            Mode::Masked { .. } => {
                let value = masked_value(field);
                quote! { #ident: #value }
            }
            Mode::Sealed { position, .. } => {
                quote_spanned! { field.ty.span() => #ident: call.seal(#position, &record, &self.#ident)? }
            }
        }
    });
    surrogates.chain(fields)
}

/// The fields of the masked form.
fn masks(model: &Model) -> impl Iterator<Item = TokenStream> {
    model.fields.iter().filter_map(|field| {
        let ident = &field.ident;
        let value = match &field.mode {
            Mode::RecordId => return None,
            Mode::Clear { .. } => quote! { ::core::clone::Clone::clone(&self.#ident) },
            Mode::Masked { .. } | Mode::Sealed { .. } => masked_value(field),
        };
        Some(quote! { #ident: #value })
    })
}

fn record_trait(model: &Model, sealed: &Ident, masked: &Ident) -> TokenStream {
    let plain = &model.ident;
    let (layout, record_id) = (layout(model), record_id(model));
    let (seals, masks) = (seals(model), masks(model));
    let sealed_values = model.fields.iter().filter(|field| matches!(field.mode, Mode::Sealed { .. }));
    let sealed_values = sealed_values.map(|field| {
        let ident = &field.ident;
        quote_spanned! { field.ty.span() => ::amanat::record::FieldValue::as_value(&self.#ident) }
    });
    let values = model.cells().next().map(|_| {
        quote! { let values = <Self as ::amanat::record::Record>::sealed_values(self); }
    });
    quote! {
        #[automatically_derived]
        impl ::amanat::record::Record for #plain {
            type Sealed = #sealed;
            type Masked = #masked;

            const LAYOUT: ::amanat::record::Layout = #layout;

            fn record_id(&self) -> ::amanat::error::Result<::amanat::context::RecordId<'_>> {
                #record_id
            }

            fn seal_within(
                &self,
                call: &mut ::amanat::record::SealCall<'_>,
            ) -> ::amanat::error::Result<#sealed> {
                let record = <Self as ::amanat::record::Record>::record_id(self)?;
                #values
                ::core::result::Result::Ok(#sealed { #(#seals),* })
            }

            fn sealed_values(&self) -> ::std::vec::Vec<::amanat::ValueRef<'_>> {
                ::std::vec![#(#sealed_values),*]
            }

            fn masked(&self) -> #masked {
                #masked { #(#masks),* }
            }
        }
    }
}

fn masked_value(field: &Field) -> TokenStream {
    let (ident, place) = (&field.ident, field.place);
    quote! {
        ::amanat::__private::MaskedForm::mask(
            <Self as ::amanat::record::Record>::LAYOUT.mask(#place),
            ::amanat::record::FieldValue::as_value(&self.#ident),
        )
    }
}

fn sealed_record_trait(model: &Model, sealed: &Ident) -> TokenStream {
    let plain = &model.ident;
    let record_id = record_id(model);
    let guard = |field: &Field| format_ident!("opened_{}", field.ident, span = Span::mixed_site());
    let opens = model.fields.iter().filter_map(|field| {
        let (ident, ty, guard) = (&field.ident, &field.ty, guard(field));
        let opened = match &field.mode {
            Mode::RecordId | Mode::Clear { .. } => return None,
            Mode::Masked { .. } => quote! {
                ::amanat::__private::Opened::<#ty>::from_value(
                    ::amanat::__private::MaskedForm::to_value(&self.#ident)
                )?
            },
            Mode::Sealed { position, .. } => {
                quote_spanned! { ty.span() => call.open::<#ty>(#position, &record, &self.#ident)? }
            }
        };
        Some(quote! { let #guard = #opened; })
    });
    let fields = model.fields.iter().map(|field| {
        let (ident, guard) = (&field.ident, guard(field));
        match field.mode {
            Mode::RecordId | Mode::Clear { .. } => {
                quote! { #ident: ::core::clone::Clone::clone(&self.#ident) }
            }
            Mode::Masked { .. } | Mode::Sealed { .. } => quote! { #ident: #guard.release()? },
        }
    });
    quote! {
        #[automatically_derived]
        impl ::amanat::record::SealedRecord for #sealed {
            type Plain = #plain;

            fn record_id(&self) -> ::amanat::error::Result<::amanat::context::RecordId<'_>> {
                #record_id
            }

            fn open_within(
                &self,
                call: &mut ::amanat::record::OpenCall<'_>,
            ) -> ::amanat::error::Result<#plain> {
                let record = <Self as ::amanat::record::SealedRecord>::record_id(self)?;
                ::core::result::Result::Ok({
                    #(#opens)*
                    #plain { #(#fields),* }
                })
            }
        }
    }
}
