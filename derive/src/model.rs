// SPDX-License-Identifier: MIT OR Apache-2.0
//! A record that passed every check.
//!
//! Owns the rules of how words fit together; the library checks the same rules again for schema files.

use std::collections::BTreeSet;
use std::mem::take;

use proc_macro2::{Ident, Span};
use syn::ext::IdentExt;
use syn::{Data, DeriveInput, Error, Field as SynField, Fields, Result, Type, Visibility};

use crate::attributes::{FieldWords, Given, TableWords, check_name};
use crate::beside::{self, Cell, Index, Token};
use crate::known::Known;
use crate::mode::is_option;
pub(crate) use crate::mode::{Mode, Settings};
use crate::surrogate::{IndexWords, TokenWords};

pub(crate) struct Model {
    pub(crate) ident: Ident,
    pub(crate) visibility: Visibility,
    pub(crate) table: String,
    /// The variant of `Encoding`.
    pub(crate) encoding: &'static str,
    pub(crate) fields: Vec<Field>,
    pub(crate) indexes: Vec<Index>,
    pub(crate) tokens: Vec<Token>,
}

pub(crate) struct Field {
    pub(crate) ident: Ident,
    pub(crate) visibility: Visibility,
    pub(crate) ty: Type,
    pub(crate) column: Given<String>,
    pub(crate) mode: Mode,
    pub(crate) identifier: Option<&'static Known>,
    /// Place among the fields that are not of the record id.
    pub(crate) place: usize,
    /// Until they are read against all fields.
    pub(crate) indexes: Vec<IndexWords>,
    pub(crate) tokens: Vec<TokenWords>,
}

impl Model {
    /// Reads the struct. All faults of its fields are said together.
    pub(crate) fn read(input: &DeriveInput) -> Result<Self> {
        let fields = named_fields(input)?;
        let words = TableWords::read(&input.attrs)?;
        let table = words.table.ok_or_else(|| {
            Error::new(
                input.ident.span(),
                "say which table holds the record: #[amanat(table = \"…\")] on the struct",
            )
        })?;
        let mut faults = Faults(None);
        let mut sealed = 0..;
        let read = |field| faults.take(Field::read(field, &mut sealed));
        let mut fields: Vec<Field> = fields.filter_map(read).collect();
        let declared = fields.iter_mut().filter(|field| !matches!(field.mode, Mode::RecordId));
        declared.zip(0..).for_each(|(field, place)| field.place = place);
        if faults.0.is_none() {
            faults.take(check_together(&input.ident, &fields));
        }
        if let Some(fault) = faults.0 {
            return Err(fault);
        }
        let (indexes, tokens) = beside::read(words.indexes, &mut fields, |error| {
            faults.take::<()>(Err(error));
        });
        let model = Self {
            ident: input.ident.clone(),
            visibility: input.vis.clone(),
            table: table.value,
            encoding: words.encoding.map_or("Text", |encoding| encoding.value),
            fields,
            indexes,
            tokens,
        };
        if faults.0.is_none() {
            faults.take(beside::check_together(&model));
        }
        faults.0.map_or(Ok(model), Err)
    }

    /// Columns beside those of the fields, in the order of `TableSchema::surrogate_columns`.
    pub(crate) fn cells(&self) -> impl Iterator<Item = &Cell> {
        let tokens = self.tokens.iter().filter_map(|token| token.cell.as_ref());
        self.indexes.iter().map(|index| &index.cell).chain(tokens)
    }
}

/// Errors that are said together.
struct Faults(Option<Error>);

impl Faults {
    fn take<T>(&mut self, result: Result<T>) -> Option<T> {
        match (result, &mut self.0) {
            (Ok(value), _) => return Some(value),
            (Err(error), Some(others)) => others.combine(error),
            (Err(error), none) => *none = Some(error),
        }
        None
    }
}

fn named_fields(input: &DeriveInput) -> Result<impl Iterator<Item = &SynField>> {
    let refused = |what: &str| {
        Error::new(
            input.ident.span(),
            format!("a record is a struct with named fields; {what} has no columns to name"),
        )
    };
    let fields = match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => fields.named.iter(),
            Fields::Unnamed(_) => return Err(refused("a tuple struct")),
            Fields::Unit => return Err(refused("a unit struct")),
        },
        Data::Enum(_) => return Err(refused("an enum")),
        Data::Union(_) => return Err(refused("a union")),
    };
    if let Some(parameter) = input.generics.params.first() {
        let why = "a record has no generic parameters: its schema is that of one table";
        return Err(Error::new_spanned(parameter, why));
    }
    Ok(fields)
}

impl Field {
    fn read(field: &SynField, sealed: &mut impl Iterator<Item = usize>) -> Result<Self> {
        // A struct with named fields names them.
        let ident = field.ident.clone().unwrap_or_else(|| Ident::new("unnamed", Span::call_site()));
        let mut words = FieldWords::read(&field.attrs)?;
        words.check_mode(&ident)?;
        let own_name = ident.unraw().to_string();
        let name = match (words.name.take(), &words.record_id) {
            (Some(name), Some(_)) => {
                return Err(Error::new(name.span, "the record id has no field name; say `column`"));
            }
            (Some(name), None) => name.value,
            (None, None) => check_name(&own_name, ident.span()).map(|()| own_name.clone())?,
            (None, Some(_)) => own_name.clone(),
        };
        let column = words.column.take().unwrap_or_else(|| Given { value: name.clone(), span: ident.span() });
        let identifier = words.identifier.as_ref().map(|given| given.value);
        let (indexes, tokens) = (take(&mut words.indexes), take(&mut words.tokens));
        let mode = words.into_mode(name, &field.ty, sealed)?;
        let (visibility, ty) = (field.vis.clone(), field.ty.clone());
        Ok(Self { ident, visibility, ty, column, mode, identifier, place: 0, indexes, tokens })
    }
}

/// Rules over all fields: something identifies the row, and no name or column stands twice.
fn check_together(ident: &Ident, fields: &[Field]) -> Result<()> {
    if !fields.iter().any(|field| matches!(field.mode, Mode::RecordId)) {
        return Err(Error::new(
            ident.span(),
            "say what identifies a record and never changes: #[amanat(record_id)] on its field, or on several",
        ));
    }
    let (mut names, mut columns) = (BTreeSet::new(), BTreeSet::new());
    for field in fields {
        if field.name().is_some_and(|name| !names.insert(name)) {
            return Err(Error::new(field.ident.span(), "another field has the same name"));
        }
        if !columns.insert(&field.column.value) {
            let why = format!("column `{}` belongs to another field already", field.column.value);
            return Err(Error::new(field.column.span, why));
        }
    }
    Ok(())
}

impl Field {
    pub(crate) fn name(&self) -> Option<&String> {
        match &self.mode {
            Mode::RecordId => None,
            Mode::Clear { name } | Mode::Masked { name, .. } | Mode::Sealed { name, .. } => Some(name),
        }
    }

    pub(crate) fn is_option(&self) -> bool {
        is_option(&self.ty)
    }
}
