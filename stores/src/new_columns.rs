// SPDX-License-Identifier: MIT OR Apache-2.0
//! Columns that a table lacks for a schema, and columns that it no longer needs, as the statements that add and drop them.
//!
//! Owns which columns these are and their types. Never runs a statement: adding is the store's, dropping is for a person.

use amanat::error::{Error, Result};
use amanat::schema::{Encoding, Mode, SchemaChange, TableSchema, ValueType};

use crate::migration::Work;

/// What is to be done to the columns of a table around a change of its schema.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ColumnStatements {
    /// `ALTER TABLE … ADD COLUMN …`, before the run.
    pub add: Vec<String>,
    /// `ALTER TABLE … DROP COLUMN …`, once the run is done and no application names the columns any more. Nothing here runs them.
    pub drop: Vec<String>,
}

/// A database's way of writing types and names.
pub(crate) struct Dialect<'a> {
    /// The table, quoted.
    pub(crate) table: &'a str,
    pub(crate) quote: fn(&str) -> String,
    pub(crate) bytes: &'static str,
    pub(crate) integer: &'static str,
    pub(crate) boolean: &'static str,
}

/// A column that is there: its name, and whether it must hold something.
pub(crate) type FoundColumn = (String, bool);

impl ColumnStatements {
    /// Compares the columns that a table has with those that a run needs.
    pub(crate) fn new(
        schema: &TableSchema,
        work: &Work,
        found: &[FoundColumn],
        dialect: &Dialect<'_>,
    ) -> Result<Self> {
        let is_there = |column: &str| found.iter().any(|(name, _)| name == column);
        let Dialect { table, quote, .. } = dialect;
        let former = work.change().map(SchemaChange::moved).unwrap_or_default();
        let former = former.iter().map(|moved| moved.former.column());
        let gone: Vec<&str> =
            former.chain(work.left_over().iter().map(|dropped| dropped.column.as_str())).collect();
        let gone: Vec<&str> = gone.into_iter().filter(|column| is_there(column)).collect();
        let full: Vec<String> = found
            .iter()
            .filter(|(name, not_null)| *not_null && gone.contains(&name.as_str()))
            .map(|(name, _)| format!("`{name}`"))
            .collect();
        if !full.is_empty() {
            return Err(Error::schema(format!(
                "table `{}`: {} must not be NULL and would be emptied; take the constraint off first (SQLite: make the table anew without it)",
                schema.name(),
                full.join(", ")
            )));
        }
        let add = |(column, type_name): (&str, &str)| {
            format!("ALTER TABLE {table} ADD COLUMN {} {type_name};", quote(column))
        };
        let drop = |column: &&str| format!("ALTER TABLE {table} DROP COLUMN {};", quote(column));
        let wanted = dialect.wanted(schema);
        Ok(Self {
            add: wanted.into_iter().filter(|(column, _)| !is_there(column)).map(add).collect(),
            drop: gone.iter().map(drop).collect(),
        })
    }
}

impl Dialect<'_> {
    /// Every column that a schema names but those of the record id alone, with its type.
    fn wanted<'s>(&self, schema: &'s TableSchema) -> Vec<(&'s str, &'static str)> {
        let sealed = if schema.encoding() == Encoding::Binary { self.bytes } else { "text" };
        let of_field = |value_type: ValueType, mode: Mode| match (mode, value_type) {
            (Mode::Sealed, _) => sealed,
            (_, ValueType::Integer) => self.integer,
            (_, ValueType::Boolean) => self.boolean,
            (_, ValueType::Bytes | ValueType::Cbor) => self.bytes,
            _ => "text",
        };
        let fields = schema.fields().iter();
        let fields = fields.map(|field| (field.column(), of_field(field.value_type(), field.mode())));
        let surrogates = schema.surrogate_columns().enumerate();
        let indexes = schema.indexes().len();
        let surrogates =
            surrogates.map(|(place, column)| (column, if place < indexes { sealed } else { "text" }));
        fields.chain(surrogates).collect()
    }
}
