// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is done with each field of each table.
//!
//! Owns the schema file (SPEC chapter 7). Checked once, immutable afterwards. Never guesses about a column it does not name.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::field::Family;
use crate::ident::Name;
use crate::mask::Mask;
use crate::value::Bucket;

/// Largest schema file in bytes.
pub const MAX_SCHEMA_BYTES: usize = 1 << 20;
/// Most tables in a schema, and most fields in a table.
pub const MAX_TABLES: usize = 1_024;
/// Longest column name in bytes.
pub const MAX_COLUMN_BYTES: usize = 256;

const FORMAT: &str = "amanat-schema";
/// Words of a field that the next version of the schema gives a meaning.
const RESERVED: [&str; 2] = ["index", "token"];

/// The tables of a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    tables: Vec<TableSchema>,
}

/// The fields of a table, in the order in which they were declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableSchema {
    name: Name,
    record_id: Vec<String>,
    encoding: Encoding,
    fields: Vec<FieldPolicy>,
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

/// What is stored of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mode {
    /// The value as it is.
    Clear,
    /// The mask of the value only; the value itself is not kept.
    Masked,
    /// An envelope.
    Sealed,
}

/// The type of a field's value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ValueType {
    /// UTF-8 text.
    #[default]
    Text,
    /// Any bytes.
    Bytes,
    /// A 64-bit integer.
    Integer,
    /// A calendar date.
    Date,
    /// True or false.
    Boolean,
    /// One CBOR item.
    Cbor,
}

/// What an onlooker learns of a value that is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Absence {
    /// Nothing: it is sealed like any other.
    #[default]
    Hidden,
    /// That it is absent: the column stays empty.
    Visible,
}

/// Whether a sealed column may still hold plaintext.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Migration {
    /// Envelopes only; anything else is an error.
    #[default]
    Done,
    /// Plain and sealed values side by side, for the time of a migration.
    Mixed,
}

/// The policy of one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldPolicy {
    name: Name,
    column: String,
    mode: Mode,
    value_type: ValueType,
    bucket: Bucket,
    family: Family,
    absence: Absence,
    migration: Migration,
    mask: Option<Mask>,
}

impl Schema {
    /// Checks and keeps tables.
    ///
    /// # Errors
    /// `Schema` if two have the same name; `Limit` for too many.
    pub fn new(tables: Vec<TableSchema>) -> Result<Self> {
        if tables.len() > MAX_TABLES {
            return Err(Error::limit("a schema has at most 1024 tables"));
        }
        if let Some(name) = first_repeated(tables.iter().map(|table| table.name.as_str())) {
            return Err(Error::schema(format!("table `{name}` is declared twice")));
        }
        Ok(Self { tables })
    }

    /// Reads a schema file.
    ///
    /// # Errors
    /// `Schema` with the line for TOML that breaks the grammar or a policy that cannot hold; `Unsupported` for another version and
    /// for the words that are reserved; `Limit` for a file that is too large.
    pub fn from_toml(text: &str) -> Result<Self> {
        if text.len() > MAX_SCHEMA_BYTES {
            return Err(Error::limit("a schema file has at most 1 MiB"));
        }
        // Format and version first: a newer file may have members that this version does not know.
        let head: Head = toml::from_str(text).map_err(|error| toml_fault(text, &error))?;
        if head.format != FORMAT {
            return Err(Error::schema("not a schema: it must begin with `format = \"amanat-schema\"`"));
        }
        if head.version != 1 {
            return Err(Error::unsupported(
                "this version of the schema file is not known here; a newer amanat may know it",
            ));
        }
        let form: SchemaForm = toml::from_str(text).map_err(|error| toml_fault(text, &error))?;
        Self::new(form.table.into_iter().map(TableForm::read).collect::<Result<_>>()?)
    }

    /// Writes a schema file; what is default is left out.
    ///
    /// # Errors
    /// None in practice; the type leaves room for a writer that refuses.
    pub fn to_toml(&self) -> Result<String> {
        let table = self.tables.iter().map(TableForm::write).collect();
        let form = SchemaForm { format: FORMAT.to_owned(), version: 1, table };
        toml::to_string(&form).map_err(|error| Error::store("the schema cannot be written as TOML", error))
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
    /// or if a column of the record id is not clear;
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
        let stored = |field: &&FieldPolicy| field.mode != Mode::Clear && record_id.contains(&field.column);
        if let Some(field) = fields.iter().find(stored) {
            return fault(format!(
                "column `{}` identifies the row, so its field must be clear",
                field.column
            ));
        }
        Ok(Self { name, record_id, encoding, fields })
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

impl FieldPolicy {
    /// A field of this mode whose column has the same name; everything else by default.
    #[must_use]
    pub fn new(name: Name, mode: Mode) -> Self {
        Self {
            column: name.to_string(),
            name,
            mode,
            value_type: ValueType::default(),
            bucket: Bucket::default(),
            family: Family::default(),
            absence: Absence::default(),
            migration: Migration::default(),
            mask: None,
        }
    }

    /// Sets the column.
    ///
    /// # Errors
    /// `Schema` if the name is empty, too long or has control characters.
    pub fn with_column(mut self, column: &str) -> Result<Self> {
        check_column(column)?;
        column.clone_into(&mut self.column);
        Ok(self)
    }

    /// Sets the type of the value.
    #[must_use]
    pub const fn with_type(mut self, value_type: ValueType) -> Self {
        self.value_type = value_type;
        self
    }

    /// Sets the padding bucket.
    #[must_use]
    pub const fn with_bucket(mut self, bucket: Bucket) -> Self {
        self.bucket = bucket;
        self
    }

    /// Sets the cipher family of new envelopes.
    #[must_use]
    pub const fn with_family(mut self, family: Family) -> Self {
        self.family = family;
        self
    }

    /// Sets what an onlooker learns of an absent value.
    #[must_use]
    pub const fn with_absence(mut self, absence: Absence) -> Self {
        self.absence = absence;
        self
    }

    /// Sets whether the column may still hold plaintext.
    #[must_use]
    pub const fn with_migration(mut self, migration: Migration) -> Self {
        self.migration = migration;
        self
    }

    /// Sets the mask that is shown instead of the value.
    #[must_use]
    pub fn with_mask(mut self, mask: Mask) -> Self {
        self.mask = Some(mask);
        self
    }

    /// Name of the field: an input of its key.
    #[must_use]
    pub const fn name(&self) -> &Name {
        &self.name
    }

    /// Column that holds the field.
    #[must_use]
    pub fn column(&self) -> &str {
        &self.column
    }

    /// What is stored.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// Type of the value.
    #[must_use]
    pub const fn value_type(&self) -> ValueType {
        self.value_type
    }

    /// Padding bucket.
    #[must_use]
    pub const fn bucket(&self) -> Bucket {
        self.bucket
    }

    /// Cipher family of new envelopes.
    #[must_use]
    pub const fn family(&self) -> Family {
        self.family
    }

    /// What an onlooker learns of an absent value.
    #[must_use]
    pub const fn absence(&self) -> Absence {
        self.absence
    }

    /// Whether the column may still hold plaintext.
    #[must_use]
    pub const fn migration(&self) -> Migration {
        self.migration
    }

    /// The mask, by default one that hides everything.
    #[must_use]
    pub fn mask(&self) -> Mask {
        self.mask.clone().unwrap_or_default()
    }

    /// Refuses settings that mean nothing for the mode.
    fn check(self) -> Result<Self> {
        let fault = |why| Err(Error::schema(why).at_field(&self.name));
        let only_sealed = self.bucket != Bucket::default()
            || self.family != Family::default()
            || self.absence != Absence::default()
            || self.migration != Migration::default();
        match self.mode {
            Mode::Sealed => Ok(self),
            _ if only_sealed => fault("`pad`, `family`, `absence` and `migration` belong to sealed fields"),
            Mode::Clear if self.mask.is_some() => {
                fault("a clear field is not masked; set `mode = \"masked\"` or `\"sealed\"`")
            }
            Mode::Masked if self.value_type != ValueType::Text => {
                fault("only text can be stored as its mask")
            }
            _ => Ok(self),
        }
    }
}

/// What every version of the file begins with.
#[derive(Deserialize)]
struct Head {
    format: String,
    version: u64,
}

/// The file as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SchemaForm {
    format: String,
    version: u64,
    #[serde(default)]
    table: Vec<TableForm>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TableForm {
    name: String,
    record_id: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    encoding: Option<String>,
    #[serde(default)]
    field: Vec<FieldForm>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FieldForm {
    name: String,
    mode: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    column: Option<String>,
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    value_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pad: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    family: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    absence: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    migration: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mask: Option<String>,
    #[serde(default, skip_serializing)]
    index: Option<toml::Value>,
    #[serde(default, skip_serializing)]
    token: Option<toml::Value>,
}

impl TableForm {
    fn read(self) -> Result<TableSchema> {
        let in_table = |error: Error| match error.field() {
            Some(_) => error,
            None => Error::schema(format!("table `{}`: {}", self.name, error.message())),
        };
        let name = Name::new(&self.name).map_err(in_table)?;
        let encoding = word(self.encoding.as_deref(), Encoding::WORDS, "encoding").map_err(in_table)?;
        let fields = self.field.into_iter().map(FieldForm::read).collect::<Result<_>>().map_err(|error| {
            let kind_kept = error.kind() == crate::error::Kind::Unsupported;
            if kind_kept || error.field().is_some() {
                error
            } else {
                Error::schema(format!("table `{name}`: {}", error.message()))
            }
        })?;
        TableSchema::new(name, self.record_id, encoding, fields)
    }

    fn write(table: &TableSchema) -> Self {
        Self {
            name: table.name.to_string(),
            record_id: table.record_id.clone(),
            encoding: unless_default(table.encoding, Encoding::WORDS),
            field: table.fields.iter().map(FieldForm::write).collect(),
        }
    }
}

impl FieldForm {
    fn read(self) -> Result<FieldPolicy> {
        let name = Name::new(&self.name)?;
        let here = |error: Error| error.at_field(&name);
        for (reserved, given) in RESERVED.into_iter().zip([&self.index, &self.token]) {
            if given.is_some() {
                let why = format!(
                    "`{reserved}` is reserved and has no meaning in this version of amanat; remove it"
                );
                return Err(here(Error::unsupported(why)));
            }
        }
        let mode = word(Some(&self.mode), Mode::WORDS, "mode").map_err(here)?;
        let mut policy = FieldPolicy::new(name.clone(), mode)
            .with_type(word(self.value_type.as_deref(), ValueType::WORDS, "type").map_err(here)?)
            .with_family(word(self.family.as_deref(), Family::WORDS, "family").map_err(here)?)
            .with_absence(word(self.absence.as_deref(), Absence::WORDS, "absence").map_err(here)?)
            .with_migration(word(self.migration.as_deref(), Migration::WORDS, "migration").map_err(here)?);
        if let Some(column) = &self.column {
            policy = policy.with_column(column).map_err(here)?;
        }
        if let Some(pad) = self.pad {
            policy = policy.with_bucket(Bucket::new(pad).map_err(here)?);
        }
        if let Some(mask) = &self.mask {
            policy = policy.with_mask(word(Some(mask), Mask::WORDS, "mask").map_err(here)?);
        }
        Ok(policy)
    }

    fn write(policy: &FieldPolicy) -> Self {
        Self {
            name: policy.name.to_string(),
            mode: word_of(policy.mode, Mode::WORDS),
            column: (policy.column != policy.name.as_str()).then(|| policy.column.clone()),
            value_type: unless_default(policy.value_type, ValueType::WORDS),
            pad: (policy.bucket != Bucket::default()).then(|| policy.bucket.bytes()),
            family: unless_default(policy.family, Family::WORDS),
            absence: unless_default(policy.absence, Absence::WORDS),
            migration: unless_default(policy.migration, Migration::WORDS),
            mask: policy.mask.clone().map(|mask| word_of(mask, Mask::WORDS)),
            index: None,
            token: None,
        }
    }
}

/// The words of a setting and what they mean.
type Words<T> = &'static [(&'static str, T)];

impl Encoding {
    const WORDS: Words<Self> = &[("text", Self::Text), ("binary", Self::Binary)];
}

impl Mode {
    const WORDS: Words<Self> = &[("sealed", Self::Sealed), ("masked", Self::Masked), ("clear", Self::Clear)];
}

impl ValueType {
    const WORDS: Words<Self> = &[
        ("text", Self::Text),
        ("bytes", Self::Bytes),
        ("integer", Self::Integer),
        ("date", Self::Date),
        ("boolean", Self::Boolean),
        ("cbor", Self::Cbor),
    ];
}

impl Absence {
    const WORDS: Words<Self> = &[("hidden", Self::Hidden), ("visible", Self::Visible)];
}

impl Migration {
    const WORDS: Words<Self> = &[("done", Self::Done), ("mixed", Self::Mixed)];
}

impl Family {
    const WORDS: Words<Self> = &[("aes", Self::Aes), ("chacha", Self::ChaCha)];
}

impl Mask {
    const WORDS: Words<Self> = &[("all", Self::All), ("last-4", Self::LastFour)];
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&word_of(*self, Self::WORDS))
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&word_of(*self, Self::WORDS))
    }
}

/// The meaning of a setting's word, or its default.
fn word<T: Clone>(given: Option<&str>, words: Words<T>, setting: &str) -> Result<T> {
    // The first word of each list is its default; `mode` is always given.
    let found = words.iter().find(|(word, _)| given.is_none_or(|given| given == *word));
    found.map(|(_, meaning)| meaning.clone()).ok_or_else(|| {
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let reserved = given.is_some_and(|word| matches!(word, "indexed" | "tokenised"));
        if reserved && setting == "mode" {
            return Error::unsupported(
                "modes `indexed` and `tokenised` are reserved and have no meaning in this version of amanat",
            );
        }
        Error::schema(format!("`{setting}` must be one of: {}", known.join(", ")))
    })
}

fn word_of<T: PartialEq>(meaning: T, words: Words<T>) -> String {
    words.iter().find(|(_, other)| *other == meaning).map_or("?", |(word, _)| *word).to_owned()
}

fn unless_default<T: PartialEq + Default>(meaning: T, words: Words<T>) -> Option<String> {
    (meaning != T::default()).then(|| word_of(meaning, words))
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

/// Says in which line TOML breaks and what was expected there; never what stands there.
fn toml_fault(text: &str, error: &toml::de::Error) -> Error {
    let line = error
        .span()
        .and_then(|span| text.get(..span.start))
        .map_or(1, |before| before.matches('\n').count() + 1);
    let message = error.message();
    let what = match message.rsplit_once(", expected ") {
        Some((found, expected)) if found.starts_with("unknown field ") => {
            format!("unknown word, expected {expected}")
        }
        Some((found, expected))
            if found.starts_with("invalid type: ") || found.starts_with("invalid value: ") =>
        {
            format!("expected {expected}")
        }
        _ => message.to_owned(),
    };
    Error::schema(format!("line {line}: {what}"))
}
