// SPDX-License-Identifier: MIT OR Apache-2.0
//! `#[derive(Record)]` of amanat, documented at the trait `amanat::Record`.
//!
//! Owns the attributes of a record: reads them (`attributes`, `surrogate`, `known`), checks them (`mode`, `model`, `beside`), writes the
//! code (`types`, `layout`, `generate`).
//! Never holds a rule of sealing: what it writes calls the library.

mod attributes;
mod beside;
mod generate;
mod known;
mod layout;
mod mode;
mod model;
mod surrogate;
mod types;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Makes the sealed and the masked form of a record, and the way between them. See the trait `amanat::Record`.
#[proc_macro_derive(Record, attributes(amanat))]
pub fn derive_record(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    match model::Model::read(&input) {
        Ok(model) => generate::record(&model).into(),
        Err(error) => error.into_compile_error().into(),
    }
}
