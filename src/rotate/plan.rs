// SPDX-License-Identifier: MIT OR Apache-2.0
//! The plan of a run, as it is stored beside the table.
//!
//! Owns SPEC 11.3. Never holds a value, a record id or a secret.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::crypto::random;
use crate::error::{Error, Result};
use crate::ident::{KeyId, Name, Timestamp, decode_hex};

/// Largest plan in bytes: two schemas and some names.
pub const MAX_RUN_PLAN_BYTES: usize = 4 << 20;
const FORMAT: &str = "amanat-run/1";
const RUN_ID_BYTES: usize = 16;

/// Id of a run: 16 random bytes, as 32 hex digits. It says nothing of what the run is.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RunId([u8; RUN_ID_BYTES]);

/// What a run was started with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Verb {
    /// Seals what is plain.
    Protect,
    /// Seals anew what is sealed otherwise than now asked for.
    Rotate,
    /// Brings rows from one schema to another.
    Migrate,
}

/// What a run takes values from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum RunSource {
    /// Plaintext and envelopes.
    Any,
    /// Envelopes only: a row with plaintext in a sealed column is refused.
    Sealed,
}

/// What a run shall do. Whoever resumes it does the same, or is told why not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunPlan {
    /// The run.
    pub id: RunId,
    /// What it was started with.
    pub verb: Verb,
    /// The registry whose keys it uses.
    pub registry: Name,
    /// The table in the schema.
    pub table: Name,
    /// The table in the database.
    pub store_table: String,
    /// Text of the schema file.
    pub schema: String,
    /// Text of the schema file that rows come from, if it is another.
    pub former_schema: Option<String>,
    /// What values are taken from.
    pub source: RunSource,
    /// Fields, indexes and kept tokens that are made anew in every row, whatever their header says.
    pub remade: Vec<Name>,
    /// Sealed fields whose plain cells another tool sealed: whoever resumes the run must name their openers again.
    pub foreign: Vec<Name>,
    /// The key that sealed when the run was planned.
    pub primary: KeyId,
    /// When it was planned.
    pub planned: Timestamp,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    format: String,
    id: String,
    verb: Verb,
    registry: String,
    table: String,
    store_table: String,
    schema: String,
    former_schema: Option<String>,
    source: RunSource,
    remade: Vec<String>,
    foreign: Vec<String>,
    primary: String,
    planned: String,
}

#[derive(Deserialize)]
struct Head {
    format: String,
}

impl RunId {
    /// A new id.
    ///
    /// # Errors
    /// `Entropy` if the operating system gives no random bytes.
    pub fn random() -> Result<Self> {
        random::bytes().map(Self)
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RunId({self})")
    }
}

impl FromStr for RunId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut id = [0; RUN_ID_BYTES];
        decode_hex(text, &mut id)
            .ok_or_else(|| Error::malformed("the id of a run is 32 lower-case hex digits"))?;
        Ok(Self(id))
    }
}

impl RunPlan {
    /// The plan as it is stored: JSON of one form.
    #[must_use]
    pub fn to_json(&self) -> String {
        let texts = |names: &[Name]| names.iter().map(|name| name.as_str().to_owned()).collect();
        let form = Form {
            format: FORMAT.to_owned(),
            id: self.id.to_string(),
            verb: self.verb,
            registry: self.registry.as_str().to_owned(),
            table: self.table.as_str().to_owned(),
            store_table: self.store_table.clone(),
            schema: self.schema.clone(),
            former_schema: self.former_schema.clone(),
            source: self.source,
            remade: texts(&self.remade),
            foreign: texts(&self.foreign),
            primary: self.primary.to_string(),
            planned: self.planned.to_string(),
        };
        // Strings and lists of strings always have a JSON form.
        serde_json::to_string(&form).unwrap_or_default()
    }

    /// Reads a stored plan.
    ///
    /// # Errors
    /// `Limit` if it is longer than [`MAX_RUN_PLAN_BYTES`]; `Unsupported` for another format; `Malformed` otherwise, and for every
    /// text that [`to_json`](Self::to_json) would not give.
    pub fn from_json(text: &str) -> Result<Self> {
        if text.len() > MAX_RUN_PLAN_BYTES {
            return Err(Error::limit(format!("the plan of a run is longer than {MAX_RUN_PLAN_BYTES} bytes")));
        }
        let malformed = |_| Error::malformed("the plan of the run cannot be read; was the journal edited?");
        let head: Head = serde_json::from_str(text).map_err(malformed)?;
        if head.format != FORMAT {
            return Err(Error::unsupported(
                "the run was planned by another version of amanat; finish or cancel it with that version",
            ));
        }
        let form: Form = serde_json::from_str(text).map_err(malformed)?;
        let name = |text: &str| Name::new(text).map_err(|error| Error::malformed(error.message().to_owned()));
        let names = |texts: &[String]| texts.iter().map(|text| name(text)).collect::<Result<Vec<_>>>();
        let plan = Self {
            id: form.id.parse()?,
            verb: form.verb,
            registry: name(&form.registry)?,
            table: name(&form.table)?,
            store_table: form.store_table,
            schema: form.schema,
            former_schema: form.former_schema,
            source: form.source,
            remade: names(&form.remade)?,
            foreign: names(&form.foreign)?,
            primary: form.primary.parse()?,
            planned: form.planned.parse()?,
        };
        if plan.to_json() != text {
            return Err(Error::malformed(
                "the plan of the run is not in its one form; was the journal edited?",
            ));
        }
        Ok(plan)
    }
}
