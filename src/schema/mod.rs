// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is done with each field of each table.
//!
//! Owns the rules over whole tables (SPEC chapter 7). Checked once, immutable afterwards. Never guesses about a column it does not name.

mod change;
mod field;
mod file;
mod surrogate;

pub use change::{DroppedColumn, MovedField, SchemaChange};
pub use field::{Absence, FieldPolicy, Migration, Mode, ValueType};
pub use surrogate::{IndexPolicy, Invalid, TokenPolicy};

use crate::error::{Error, Result};
use crate::ident::Name;
use crate::identifier::Identifier;
use crate::token::VAULT_TABLE;

/// Largest schema file in bytes.
pub const MAX_SCHEMA_BYTES: usize = 1 << 20;
/// Most tables in a schema, and most fields in a table.
pub const MAX_TABLES: usize = 1_024;
/// Most identifiers that a schema defines.
pub const MAX_IDENTIFIERS: usize = 256;
/// Most indexes of a table.
pub const MAX_INDEXES: usize = 64;
/// Most tokens of a table.
pub const MAX_TOKENS: usize = 256;
/// Longest column name in bytes.
pub const MAX_COLUMN_BYTES: usize = 256;

/// The tables of a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    tables: Vec<TableSchema>,
    /// Those that the schema defines itself.
    identifiers: Vec<Identifier>,
}

/// The fields of a table, in the order in which they were declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableSchema {
    name: Name,
    record_id: Vec<String>,
    encoding: Encoding,
    fields: Vec<FieldPolicy>,
    indexes: Vec<IndexPolicy>,
    tokens: Vec<TokenPolicy>,
}

/// How envelopes are stored in a table's columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Encoding {
    /// The envelope's bytes: BLOB or bytea columns.
    Binary,
    /// The text form: text columns and text files.
    #[default]
    Text,
}

impl Schema {
    /// Checks and keeps tables.
    ///
    /// # Errors
    /// `Schema` if two have the same name, or if tokens of one kind and audience are made from different forms; `Limit` for too many.
    pub fn new(tables: Vec<TableSchema>) -> Result<Self> {
        if tables.len() > MAX_TABLES {
            return Err(Error::limit("a schema has at most 1024 tables"));
        }
        if let Some(name) = first_repeated(tables.iter().map(|table| table.name.as_str())) {
            return Err(Error::schema(format!("table `{name}` is declared twice")));
        }
        surrogate::check_forms(&tables)?;
        Ok(Self { tables, identifiers: Vec::new() })
    }

    /// The tables in order.
    #[must_use]
    pub fn tables(&self) -> &[TableSchema] {
        &self.tables
    }

    /// The table of that name.
    ///
    /// # Errors
    /// `Schema` if there is none.
    pub fn table(&self, name: &str) -> Result<&TableSchema> {
        let found = self.tables.iter().find(|table| table.name.as_str() == name);
        found.ok_or_else(|| {
            let names: Vec<&str> = self.tables.iter().map(|table| table.name.as_str()).collect();
            Error::schema(format!("the schema has no such table; it has: {}", names.join(", ")))
        })
    }
}

impl TableSchema {
    /// Checks and keeps the policy of a table. `record_id` names the columns that identify a row and never change.
    ///
    /// # Errors
    /// `Schema` if a field or column is declared twice, if a field has settings that mean nothing for its mode, if nothing identifies a row,
    /// if a column of the record id is not clear, or if a field takes over the values of one that is still there or that another takes over;
    /// `Limit` for too many fields.
    pub fn new(
        name: Name,
        record_id: Vec<String>,
        encoding: Encoding,
        fields: Vec<FieldPolicy>,
    ) -> Result<Self> {
        let fault = |why: String| Err(Error::schema(format!("table `{name}`: {why}")));
        if fields.len() > MAX_TABLES {
            return Err(Error::limit("a table has at most 1024 fields"));
        }
        if name.as_str() == VAULT_TABLE {
            return fault(
                "the name belongs to the vault of tokens, whose keys are derived from it".to_owned(),
            );
        }
        if record_id.is_empty() {
            return fault("`record_id` must name the columns that identify a row".to_owned());
        }
        let fields = fields.into_iter().map(FieldPolicy::check).collect::<Result<Vec<_>>>()?;
        record_id.iter().try_for_each(|column| check_column(column))?;
        if let Some(column) = first_repeated(record_id.iter().map(String::as_str)) {
            return fault(format!("column `{column}` stands twice in `record_id`"));
        }
        if let Some(field) = first_repeated(fields.iter().map(|field| field.name.as_str())) {
            return fault(format!("field `{field}` is declared twice"));
        }
        if let Some(column) = first_repeated(fields.iter().map(|field| field.column.as_str())) {
            return fault(format!("column `{column}` belongs to two fields"));
        }
        if let Some(former) =
            first_repeated(fields.iter().filter_map(|field| field.formerly()).map(Name::as_str))
        {
            return fault(format!("two fields are `formerly = \"{former}\"`"));
        }
        let is_there = |field: &&FieldPolicy| {
            let former = field.formerly().filter(|former| *former != field.name());
            former.is_some_and(|former| fields.iter().any(|other| other.name() == former))
        };
        if let Some(field) = fields.iter().find(is_there) {
            return fault(format!(
                "field `{}` is `formerly` one that is still there; leave the word out once its values were moved",
                field.name
            ));
        }
        let stored = |field: &&FieldPolicy| field.mode != Mode::Clear && record_id.contains(&field.column);
        if let Some(field) = fields.iter().find(stored) {
            return fault(format!(
                "column `{}` identifies the row, so its field must be clear",
                field.column
            ));
        }
        Ok(Self { name, record_id, encoding, fields, indexes: Vec::new(), tokens: Vec::new() })
    }

    /// Name of the table: an input of every field key.
    #[must_use]
    pub const fn name(&self) -> &Name {
        &self.name
    }

    /// Columns that identify a row, in order.
    #[must_use]
    pub fn record_id(&self) -> &[String] {
        &self.record_id
    }

    /// How envelopes are stored.
    #[must_use]
    pub const fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// The fields in order.
    #[must_use]
    pub fn fields(&self) -> &[FieldPolicy] {
        &self.fields
    }

    /// The sealed fields in order: those that a record sealer seals.
    pub fn sealed(&self) -> impl Iterator<Item = &FieldPolicy> {
        self.fields.iter().filter(|field| field.mode == Mode::Sealed)
    }

    /// The field whose column has this name.
    #[must_use]
    pub fn by_column(&self, column: &str) -> Option<&FieldPolicy> {
        self.fields.iter().find(|field| field.column == column)
    }
}

fn check_column(column: &str) -> Result<()> {
    if (1..=MAX_COLUMN_BYTES).contains(&column.len()) && !column.chars().any(char::is_control) {
        return Ok(());
    }
    Err(Error::schema("a column's name has 1 to 256 bytes and no control characters"))
}

fn first_repeated<'a>(names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut sorted: Vec<&str> = names.collect();
    sorted.sort_unstable();
    sorted.windows(2).find(|pair| pair.first() == pair.last()).and_then(|pair| pair.first().copied())
}
