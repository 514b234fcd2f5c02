// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which columns a Parquet file has, and which the output will have.
//!
//! Owns the types of columns: what may stand where, and what becomes of it. Never guesses at a type that holds no value of its field.

use std::sync::Arc;

use amanat::error::{Error, Result};
use amanat::schema::{Encoding, TableSchema, ValueType};
use arrow_schema::{DataType, Field, FieldRef, Schema, SchemaRef};

use super::input::names;
use crate::columns::{Columns, Role};
use crate::reveal::RevealForm;
use crate::stream::{Plan, Task};

/// Key of the metadata of a sealed column's field whose value is the Arrow type that the column had.
const TYPE_KEY: &str = "amanat:type";
/// Longest name of such a type: a longer one is none of ours, and could nest types deeper than the reader of names goes.
const MAX_TYPE_BYTES: usize = 64;
/// Beginning of the keys that give a column's type a meaning, which an envelope has not.
const EXTENSION_KEYS: &str = "ARROW:extension:";

/// The columns of a file, matched to a table.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) columns: Columns,
    pub(super) encoding: Encoding,
    /// Columns of the file, with the types that they have there.
    schema: SchemaRef,
}

/// The columns of the output.
#[derive(Debug)]
pub(super) struct OutputLayout {
    pub(super) input: Layout,
    /// Columns with the types that they are declared with.
    pub(super) declared: SchemaRef,
    /// The same with the types of the arrays that are written: the writer takes strings of one type for those of another.
    pub(super) written: SchemaRef,
    /// What each column is made of.
    pub(super) from: Vec<From>,
}

/// What a column of the output is made of.
#[derive(Clone, Debug)]
pub(super) enum From {
    /// The column of the input at this place, as it is.
    Column(usize),
    /// The masks of that column.
    Masks(usize, amanat::mask::Mask),
    /// The envelopes of the sealed field at this position.
    Envelopes(usize),
    /// What is revealed of the sealed field at this position; whether it may be NULL.
    Revealed(usize, Kind, bool),
    /// The index or kept token at this position; whether it is binary.
    Surrogate(usize, bool),
}

/// What arrays are made of values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Boolean,
    Bytes,
    Days,
    Fixed(i32),
    Integers(DataType),
    Text,
}

impl Kind {
    /// The kind of a column of this type.
    fn of(data_type: &DataType) -> Option<Self> {
        Some(match read_as(data_type) {
            DataType::Utf8 => Self::Text,
            DataType::Binary => Self::Bytes,
            DataType::FixedSizeBinary(length) if length > 0 => Self::Fixed(length),
            DataType::Boolean => Self::Boolean,
            DataType::Date32 => Self::Days,
            integer if is_integer(&integer) => Self::Integers(integer),
            _ => return None,
        })
    }

    /// Whether values of a type may stand in it.
    fn holds(&self, value_type: ValueType) -> bool {
        match self {
            Self::Text => matches!(value_type, ValueType::Text | ValueType::Date),
            Self::Bytes => matches!(value_type, ValueType::Bytes | ValueType::Cbor),
            Self::Fixed(_) => value_type == ValueType::Bytes,
            Self::Boolean => value_type == ValueType::Boolean,
            Self::Days => value_type == ValueType::Date,
            Self::Integers(_) => value_type == ValueType::Integer,
        }
    }

    fn data_type(&self) -> DataType {
        match self {
            Self::Boolean => DataType::Boolean,
            Self::Bytes => DataType::Binary,
            Self::Days => DataType::Date32,
            Self::Fixed(length) => DataType::FixedSizeBinary(*length),
            Self::Integers(data_type) => data_type.clone(),
            Self::Text => DataType::Utf8,
        }
    }
}

impl Layout {
    /// Matches columns by name, and checks the types of those that are worked on.
    pub(super) fn new(table: &TableSchema, schema: &SchemaRef) -> Result<Self> {
        let columns = Columns::new(table, &names(schema))?;
        let encoding = table.encoding();
        for (place, (field, role)) in schema.fields().iter().zip(&columns.roles).enumerate() {
            let wanted = match role {
                Role::Sealed(_, value_type) if !may_hold(field.data_type(), *value_type, encoding) => {
                    wanted(*value_type, encoding)
                }
                Role::Masked(_) if !is_text(field.data_type()) => "a column to be masked is Utf8".to_owned(),
                Role::Surrogate(position) => {
                    let wanted = surrogate_type(table, *position);
                    match read_as(field.data_type()) {
                        DataType::Null => continue,
                        found if found == wanted => continue,
                        _ => format!("the schema makes it {wanted}"),
                    }
                }
                _ if columns.record.contains(&place) && !is_key(field.data_type()) => {
                    "a column of the record id is Utf8 or an integer".to_owned()
                }
                _ => continue,
            };
            return Err(Error::schema(format!(
                "column `{}` of the Parquet file is {}; {wanted}",
                field.name(),
                field.data_type()
            )));
        }
        Ok(Self { columns, encoding, schema: Arc::clone(schema) })
    }

    /// The columns of the output.
    pub(super) fn for_task(self, plan: Plan<'_>) -> Result<OutputLayout> {
        let mut made: Vec<(Field, DataType, From)> = Vec::new();
        for (place, (field, role)) in self.schema.fields().iter().zip(&self.columns.roles).enumerate() {
            let as_it_is = || (field.as_ref().clone(), read_as(field.data_type()), From::Column(place));
            made.push(match (role, &plan.task) {
                (Role::Surrogate(_), Task::Reveal(..)) => continue,
                (Role::Surrogate(position), _) => {
                    let data_type = surrogate_type(plan.table, *position);
                    let declared = match field.data_type() {
                        DataType::Null => data_type.clone(),
                        declared => declared.clone(),
                    };
                    let is_binary = data_type == DataType::Binary;
                    let field = field.as_ref().clone().with_data_type(declared).with_nullable(true);
                    (field, data_type, From::Surrogate(*position, is_binary))
                }
                (Role::Sealed(position, value_type), Task::Reveal(fields, form)) => {
                    let name = plan.table.sealed().nth(*position).map_or("", |policy| policy.name().as_str());
                    if fields.is_empty() || fields.iter().any(|field| field == name) {
                        revealed(field, *position, *value_type, *form)
                    } else {
                        as_it_is()
                    }
                }
                (Role::Sealed(position, _), _) => {
                    let sealed = sealed(field, self.encoding);
                    let data_type = sealed.data_type().clone();
                    (sealed, data_type, From::Envelopes(*position))
                }
                (Role::Masked(mask), Task::Protect(_) | Task::Reseal(_))
                    if *field.data_type() != DataType::Null =>
                {
                    (field.as_ref().clone(), DataType::Utf8, From::Masks(place, mask.clone()))
                }
                _ => as_it_is(),
            });
        }
        if plan.task.protecting().is_some() {
            for (position, name) in plan.table.surrogate_columns().enumerate() {
                if self.columns.surrogates.get(position).is_none_or(Option::is_none) {
                    let data_type = surrogate_type(plan.table, position);
                    let from = From::Surrogate(position, data_type == DataType::Binary);
                    made.push((Field::new(name, data_type.clone(), true), data_type, from));
                }
            }
        }
        let field =
            |(field, data_type, _): &(Field, DataType, From)| field.clone().with_data_type(data_type.clone());
        let written = Arc::new(Schema::new(made.iter().map(field).collect::<Vec<_>>()));
        let (declared, from): (Vec<_>, Vec<_>) =
            made.into_iter().map(|(field, _, from)| (field, from)).unzip();
        let declared = Arc::new(Schema::new_with_metadata(declared, self.schema.metadata().clone()));
        Ok(OutputLayout { input: self, declared, written, from })
    }
}

/// The schema to read a file with: strings of every kind as Utf8, byte arrays as Binary.
pub(super) fn readable(schema: &SchemaRef) -> SchemaRef {
    let field = |field: &FieldRef| match read_as(field.data_type()) {
        same if same == *field.data_type() => Arc::clone(field),
        other => Arc::new(field.as_ref().clone().with_data_type(other)),
    };
    let fields: Vec<FieldRef> = schema.fields().iter().map(field).collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

/// The type that a column of this type is read as.
fn read_as(data_type: &DataType) -> DataType {
    match data_type {
        DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::LargeBinary | DataType::BinaryView => DataType::Binary,
        DataType::Dictionary(_, values) => match read_as(values) {
            values @ (DataType::Utf8 | DataType::Binary) => values,
            _ => data_type.clone(),
        },
        other => other.clone(),
    }
}

/// Whether values of a type may stand in a column, plain or sealed.
fn may_hold(data_type: &DataType, value_type: ValueType, encoding: Encoding) -> bool {
    let envelopes = if encoding == Encoding::Binary { DataType::Binary } else { DataType::Utf8 };
    let read = read_as(data_type);
    read == DataType::Null || read == envelopes || Kind::of(&read).is_some_and(|kind| kind.holds(value_type))
}

/// What a column of a sealed field may be.
fn wanted(value_type: ValueType, encoding: Encoding) -> String {
    let plain = match value_type {
        ValueType::Text => "Utf8",
        ValueType::Date => "Date32 or Utf8",
        ValueType::Integer => "Int8 to Int64 or UInt8 to UInt32",
        ValueType::Boolean => "Boolean",
        ValueType::Bytes => "Binary or FixedSizeBinary",
        _ => "Binary",
    };
    let sealed = if encoding == Encoding::Binary { "Binary" } else { "Utf8" };
    format!("the schema says {value_type}, which is {plain} while it is plain and {sealed} when it is sealed")
}

fn is_text(data_type: &DataType) -> bool {
    matches!(read_as(data_type), DataType::Utf8 | DataType::Null)
}

fn is_key(data_type: &DataType) -> bool {
    *data_type != DataType::Null && is_text(data_type) || is_integer(data_type)
}

/// Whether every value is an integer of 64 bits with a sign.
fn is_integer(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::UInt8
            | DataType::UInt16
            | DataType::UInt32
    )
}

/// The type of an index or kept token: tokens are always text.
fn surrogate_type(table: &TableSchema, position: usize) -> DataType {
    let is_index = position < table.indexes().len();
    if is_index && table.encoding() == Encoding::Binary { DataType::Binary } else { DataType::Utf8 }
}

/// The field of a sealed column. It remembers the type that it had.
fn sealed(field: &Field, encoding: Encoding) -> Field {
    let envelopes = if encoding == Encoding::Binary { DataType::Binary } else { DataType::Utf8 };
    let mut metadata = field.metadata().clone();
    metadata.retain(|key, _| !key.starts_with(EXTENSION_KEYS));
    if metadata.get(TYPE_KEY).is_none() {
        metadata.insert(TYPE_KEY.to_owned(), field.data_type().to_string());
    }
    Field::new(field.name(), envelopes, field.is_nullable()).with_metadata(metadata)
}

/// The field of a revealed column: of the type that it had if that is known and fits, else of the type that the schema says.
fn revealed(
    field: &Field,
    position: usize,
    value_type: ValueType,
    form: RevealForm,
) -> (Field, DataType, From) {
    let known = field.metadata().get(TYPE_KEY).filter(|text| text.len() <= MAX_TYPE_BYTES);
    let known = known.and_then(|text| text.parse::<DataType>().ok());
    let known = known.and_then(|known| Kind::of(&known).map(|kind| (known, kind)));
    let known = known.filter(|(_, kind)| kind.holds(value_type) && form == RevealForm::Values);
    let may_be_null = known.is_none() || field.is_nullable();
    let kind = match (form, value_type) {
        (RevealForm::Masks, _) | (_, ValueType::Text) => Kind::Text,
        (_, ValueType::Integer) => Kind::Integers(DataType::Int64),
        (_, ValueType::Date) => Kind::Days,
        (_, ValueType::Boolean) => Kind::Boolean,
        _ => Kind::Bytes,
    };
    let (data_type, kind) = known.unwrap_or_else(|| (kind.data_type(), kind));
    let mut metadata = field.metadata().clone();
    metadata.remove(TYPE_KEY);
    let field = Field::new(field.name(), data_type, may_be_null).with_metadata(metadata);
    (field, kind.data_type(), From::Revealed(position, kind, may_be_null))
}
