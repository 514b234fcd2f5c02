// SPDX-License-Identifier: MIT OR Apache-2.0
//! The schema file: its TOML and its words.
//!
//! Owns SPEC chapter 7's grammar. Never repeats in a message what stands in the file.

use core::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::field::{Absence, FieldPolicy, Migration, Mode, ValueType};
use super::surrogate::{IndexPolicy, Invalid, TokenPolicy};
use super::{Encoding, MAX_IDENTIFIERS, MAX_SCHEMA_BYTES, Schema, TableSchema};
use crate::error::{Error, Kind, Result};
use crate::field::Family;
use crate::ident::Name;
use crate::identifier::{CheckDigit, Identifier, Pattern};
use crate::index::{IndexBits, IndexSpec, IndexedField};
use crate::mask::Mask;
use crate::normal::NormalForm;
use crate::token::{Audience, Epoch, TokenKind};
use crate::value::Bucket;

const FORMAT: &str = "amanat-schema";
/// Words of a field whose meaning moved.
const MOVED: [&str; 2] = ["index", "token"];

impl Schema {
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
        if form.identifier.len() > MAX_IDENTIFIERS {
            return Err(Error::limit("a schema defines at most 256 identifiers"));
        }
        let own = Identifiers(form.identifier.into_iter().map(IdentifierForm::read).collect::<Result<_>>()?);
        own.check()?;
        let tables = form.table.into_iter().map(|table| table.read(&own)).collect::<Result<_>>()?;
        Ok(Self { identifiers: own.0, ..Self::new(tables)? })
    }

    /// Writes a schema file; what is default is left out.
    ///
    /// # Errors
    /// None in practice; the type leaves room for a writer that refuses.
    pub fn to_toml(&self) -> Result<String> {
        let identifier = self.identifiers.iter().filter_map(IdentifierForm::write).collect();
        let table = self.tables.iter().map(TableForm::write).collect();
        let form = SchemaForm { format: FORMAT.to_owned(), version: 1, identifier, table };
        toml::to_string(&form).map_err(|error| Error::store("the schema cannot be written as TOML", error))
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
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    identifier: Vec<IdentifierForm>,
    #[serde(default)]
    table: Vec<TableForm>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct IdentifierForm {
    name: String,
    pattern: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    check: Option<String>,
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
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    index: Vec<IndexForm>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    token: Vec<TokenForm>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct IndexForm {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    column: Option<String>,
    fields: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    forms: Option<Vec<String>>,
    bits: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    invalid: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenForm {
    name: String,
    kind: String,
    field: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    form: Option<String>,
    recipient: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    purpose: Option<String>,
    epoch: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    column: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    reveal: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    mask: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    invalid: Option<String>,
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    identifier: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    formerly: Option<String>,
    #[serde(default, skip_serializing)]
    index: Option<toml::Value>,
    #[serde(default, skip_serializing)]
    token: Option<toml::Value>,
}

/// The identifiers that a schema defines itself.
struct Identifiers(Vec<Identifier>);

impl Identifiers {
    fn check(&self) -> Result<()> {
        if let Some(name) = super::first_repeated(self.0.iter().map(Identifier::name)) {
            return Err(Error::schema(format!("identifier `{name}` is declared twice")));
        }
        Ok(())
    }

    fn find(&self, name: &str) -> Result<Identifier> {
        let own = self.0.iter().find(|identifier| identifier.name() == name);
        own.map_or_else(|| Identifier::from_name(name), |own| Ok(own.clone()))
    }

    /// A normal form by its name; those of the schema's own identifiers are `custom/v1:` and the identifier's name.
    fn form(&self, name: &str) -> Result<NormalForm> {
        match name.strip_prefix("custom/v1:") {
            Some(own) => {
                let found = self.0.iter().find(|identifier| identifier.name() == own);
                let unknown =
                    || Error::schema("no [[identifier]] of this schema has the name behind `custom/v1:`");
                found.cloned().map(NormalForm::Identifier).ok_or_else(unknown)
            }
            None => NormalForm::from_name(name),
        }
    }
}

impl IdentifierForm {
    fn read(self) -> Result<Identifier> {
        let check = word(self.check.as_deref(), CheckDigit::WORDS, "check")?;
        let name = Name::new(&self.name)?;
        let pattern = Pattern::new(&name, &self.pattern, check);
        let place = |error: Error| Error::schema(format!("identifier `{name}`: {}", error.message()));
        Ok(Identifier::Custom(Arc::new(pattern.map_err(place)?)))
    }

    fn write(identifier: &Identifier) -> Option<Self> {
        let Identifier::Custom(pattern) = identifier else { return None };
        Some(Self {
            name: pattern.name().to_string(),
            pattern: pattern.as_str().to_owned(),
            check: unless_default(pattern.check_digit(), CheckDigit::WORDS),
        })
    }
}

impl TableForm {
    fn read(self, own: &Identifiers) -> Result<TableSchema> {
        let table = self.name.clone();
        let in_table = |error: Error| {
            if error.kind() == Kind::Unsupported
                || error.field().is_some()
                || error.message().starts_with("table `")
            {
                error
            } else {
                Error::schema(format!("table `{table}`: {}", error.message()))
            }
        };
        self.read_parts(own).map_err(in_table)
    }

    fn read_parts(self, own: &Identifiers) -> Result<TableSchema> {
        let name = Name::new(&self.name)?;
        let encoding = word(self.encoding.as_deref(), Encoding::WORDS, "encoding")?;
        let fields = self.field.into_iter().map(|field| field.read(own)).collect::<Result<_>>()?;
        let table = TableSchema::new(name, self.record_id, encoding, fields)?;
        let indexes = self.index.into_iter().map(|index| index.read(&table, own)).collect::<Result<_>>()?;
        let tokens = self.token.into_iter().map(|token| token.read(&table, own)).collect::<Result<_>>()?;
        table.with_indexes(indexes)?.with_tokens(tokens)
    }

    fn write(table: &TableSchema) -> Self {
        Self {
            name: table.name.to_string(),
            record_id: table.record_id.clone(),
            encoding: unless_default(table.encoding, Encoding::WORDS),
            field: table.fields.iter().map(FieldForm::write).collect(),
            index: table.indexes.iter().map(IndexForm::write).collect(),
            token: table.tokens.iter().map(TokenForm::write).collect(),
        }
    }
}

/// The normal form of a part: the one that is named, or the field's own.
fn part(table: &TableSchema, own: &Identifiers, field: &str, form: Option<&str>) -> Result<IndexedField> {
    let field = Name::new(field)?;
    let policy = table.fields.iter().find(|policy| *policy.name() == field);
    let form = match form {
        Some(form) => Some(own.form(form)?),
        None => policy.and_then(FieldPolicy::normal_form),
    };
    let form = form.ok_or_else(|| {
        Error::schema(format!(
            "field `{field}` has no normal form of its own: name one, such as urdu-name/v1, or set the field's `identifier`"
        ))
    })?;
    Ok(IndexedField { field, form })
}

impl IndexForm {
    fn read(self, table: &TableSchema, own: &Identifiers) -> Result<IndexPolicy> {
        let place = |error: Error| Error::schema(format!("index `{}`: {}", self.name, error.message()));
        let count = self.fields.len();
        if self.forms.as_ref().is_some_and(|forms| forms.len() != count) {
            return Err(place(Error::schema("`forms` must name one normal form for each of `fields`")));
        }
        let form = |at: usize| self.forms.as_ref().and_then(|forms| forms.get(at)).map(String::as_str);
        let parts = self.fields.iter().enumerate().map(|(at, field)| part(table, own, field, form(at)));
        let parts = parts.collect::<Result<_>>().map_err(place)?;
        let bits = IndexBits::new(self.bits).map_err(place)?;
        let spec = IndexSpec::new(Name::new(&self.name)?, parts, bits).map_err(place)?;
        let invalid = word(self.invalid.as_deref(), Invalid::WORDS, "invalid").map_err(place)?;
        let policy = IndexPolicy::new(spec).with_invalid(invalid);
        self.column.iter().try_fold(policy, |policy, column| policy.with_column(column))
    }

    fn write(policy: &IndexPolicy) -> Self {
        let spec = policy.spec();
        Self {
            name: spec.name().to_string(),
            column: (policy.column() != spec.name().as_str()).then(|| policy.column().to_owned()),
            fields: spec.fields().iter().map(|part| part.field.to_string()).collect(),
            forms: Some(spec.fields().iter().map(|part| part.form.name().into_owned()).collect()),
            bits: spec.bits().get(),
            invalid: unless_default(policy.invalid(), Invalid::WORDS),
        }
    }
}

impl TokenForm {
    fn read(self, table: &TableSchema, own: &Identifiers) -> Result<TokenPolicy> {
        let place = |error: Error| Error::schema(format!("token `{}`: {}", self.name, error.message()));
        let names = |names: &[String]| names.iter().map(|name| Name::new(name)).collect::<Result<_>>();
        let kind = word(Some(&self.kind), TokenKind::WORDS, "kind").map_err(place)?;
        let of = part(table, own, &self.field, self.form.as_deref()).map_err(place)?;
        let purpose = self.purpose.as_ref().unwrap_or(&self.name);
        let audience = Audience::new(&self.recipient, purpose).map_err(place)?;
        let epoch = Epoch::new(self.epoch).map_err(place)?;
        let policy = TokenPolicy::new(Name::new(&self.name)?, kind, of, audience, epoch)
            .with_fields(names(&self.reveal)?, names(&self.mask)?)
            .with_invalid(word(self.invalid.as_deref(), Invalid::WORDS, "invalid").map_err(place)?);
        self.column.iter().try_fold(policy, |policy, column| policy.with_column(column))
    }

    fn write(policy: &TokenPolicy) -> Self {
        let (of, audience) = (policy.of(), policy.audience());
        let names = |names: &[Name]| names.iter().map(Name::to_string).collect();
        Self {
            name: policy.name().to_string(),
            kind: word_of(&policy.kind(), TokenKind::WORDS),
            field: of.field.to_string(),
            form: Some(of.form.name().into_owned()),
            recipient: audience.recipient().to_string(),
            purpose: (audience.purpose() != policy.name()).then(|| audience.purpose().to_string()),
            epoch: u64::from(policy.epoch().get()),
            column: policy.column().map(str::to_owned),
            reveal: names(policy.reveal()),
            mask: names(policy.mask()),
            invalid: unless_default(policy.invalid(), Invalid::WORDS),
        }
    }
}

impl FieldForm {
    fn read(self, own: &Identifiers) -> Result<FieldPolicy> {
        let name = Name::new(&self.name)?;
        let here = |error: Error| error.at_field(&name);
        for (moved, given) in MOVED.into_iter().zip([&self.index, &self.token]) {
            if given.is_some() {
                let why = format!("a field has no `{moved}`: write a [[table.{moved}]] that names the field");
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
        if let Some(former) = &self.formerly {
            policy = policy.with_formerly(Name::new(former).map_err(here)?);
        }
        let identifier = self.identifier.as_deref().map(|name| own.find(name)).transpose().map_err(here)?;
        if let Some(identifier) = &identifier {
            policy = policy.with_identifier(identifier.clone());
        }
        Ok(match (self.mask.as_deref(), identifier) {
            (None, _) => policy,
            (Some("identifier"), Some(identifier)) => policy.with_mask(Mask::Identifier(identifier)),
            (Some("identifier"), None) => {
                return Err(here(Error::schema("`mask = \"identifier\"` needs the field's `identifier`")));
            }
            (word_given, _) => policy.with_mask(word(word_given, Mask::WORDS, "mask").map_err(here)?),
        })
    }

    fn write(policy: &FieldPolicy) -> Self {
        let mask = policy.own_mask().map(|mask| match mask {
            Mask::Identifier(_) => "identifier".to_owned(),
            other => word_of(other, Mask::WORDS),
        });
        Self {
            name: policy.name().to_string(),
            mode: word_of(&policy.mode(), Mode::WORDS),
            column: (policy.column() != policy.name().as_str()).then(|| policy.column().to_owned()),
            value_type: unless_default(policy.value_type(), ValueType::WORDS),
            pad: (policy.bucket() != Bucket::default()).then(|| policy.bucket().bytes()),
            family: unless_default(policy.family(), Family::WORDS),
            absence: unless_default(policy.absence(), Absence::WORDS),
            migration: unless_default(policy.migration(), Migration::WORDS),
            mask,
            identifier: policy.identifier().map(|identifier| identifier.name().to_owned()),
            formerly: policy.formerly().map(Name::to_string),
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

impl Invalid {
    const WORDS: Words<Self> = &[("refuse", Self::Refuse), ("skip", Self::Skip)];
}

impl CheckDigit {
    const WORDS: Words<Self> = &[
        ("none", Self::None),
        ("verhoeff", Self::Verhoeff),
        ("luhn", Self::Luhn),
        ("icao-9303", Self::Icao9303),
    ];
}

impl TokenKind {
    const WORDS: Words<Self> = &[
        ("pairwise", Self::Pairwise),
        ("reversible", Self::Reversible),
        ("expiring", Self::Expiring),
        ("vaulted", Self::Vaulted),
        ("preserving", Self::Preserving),
    ];
}

impl Mask {
    const WORDS: Words<Self> = &[("all", Self::All), ("last-4", Self::LastFour)];
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&word_of(self, Self::WORDS))
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&word_of(self, Self::WORDS))
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
                "a field is sealed, masked or clear; an index or token is a [[table.index]] or [[table.token]] that names it",
            );
        }
        Error::schema(format!("`{setting}` must be one of: {}", known.join(", ")))
    })
}

fn word_of<T: PartialEq>(meaning: &T, words: Words<T>) -> String {
    words.iter().find(|(_, other)| other == meaning).map_or("?", |(word, _)| *word).to_owned()
}

fn unless_default<T: PartialEq + Default>(meaning: T, words: Words<T>) -> Option<String> {
    (meaning != T::default()).then(|| word_of(&meaning, words))
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
