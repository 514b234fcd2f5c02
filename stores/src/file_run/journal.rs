// SPDX-License-Identifier: MIT OR Apache-2.0
//! The journal of a run over a file: what the run is, and how far it is.
//!
//! Owns the JSON document and its strict reader. Never holds content of a file, nor a value or record id. SPEC chapter 12.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::time::UNIX_EPOCH;

use amanat::error::{Error, Result};
use amanat::ident::KeyId;

use crate::durable::{Access, PartFile, failed};
use crate::json::{JsonStr, Members, append_json};
use crate::stream::InputPlace;
use crate::tally::{Tally, key_id};

/// Largest journal: a schema of its greatest size, written as a JSON string, and the counts of many keys.
pub const MAX_JOURNAL_BYTES: usize = 1 << 23;
const FORMAT: &str = "amanat-file-run";
const VERSION: u64 = 1;

/// A journal.
///
/// Shape: `amanat-file-run`, version 1; one JSON object without spaces whose members stand in one order. Whoever can change it can
/// change the output too: it is not authenticated and holds nothing secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Journal {
    pub(crate) about: About,
    pub(crate) input: FileIdentity,
    pub(crate) only: Option<FileIdentity>,
    pub(crate) phase: Phase,
    pub(crate) point: Point,
}

/// What a run is. It is gone on with only by a run that is the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct About {
    pub(crate) verb: String,
    pub(crate) registry: String,
    pub(crate) table: String,
    pub(crate) form: String,
    pub(crate) in_place: bool,
    pub(crate) remade: Vec<String>,
    pub(crate) schema: String,
    /// The key that sealed when the run began.
    pub(crate) primary: KeyId,
}

/// By what a file is known again: its length and the time of its last change, but nothing of its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileIdentity {
    pub(crate) bytes: u64,
    /// Nanoseconds since 1970, where the system tells them.
    modified: Option<u64>,
}

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Rows are passed from the input to the output.
    Rows,
    /// All rows are done; files are given their names.
    Placing,
}

/// A checkpoint: everything up to here is durable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Point {
    pub(crate) input: InputPlace,
    pub(crate) output_bytes: u64,
    /// Length of the list of refused rows; 0 if there is none.
    pub(crate) exceptions_bytes: u64,
    /// How long the run took, those that it goes on with included.
    pub(crate) milliseconds: u64,
    pub(crate) tally: Tally,
}

impl About {
    /// What differs, in words.
    pub(crate) fn difference(&self, now: &Self) -> Option<&'static str> {
        let pairs = [
            (self.verb != now.verb, "it did something else (--reseal-only?)"),
            (self.registry != now.registry, "the keyring was that of another registry"),
            (self.table != now.table, "it was about another table"),
            (self.form != now.form, "the format or the delimiter was another"),
            (self.in_place != now.in_place, "--in-place was given to one of them only"),
            (self.remade != now.remade, "other indexes or tokens were made anew (--remake)"),
            (self.schema != now.schema, "the schema was changed"),
        ];
        pairs.into_iter().find_map(|(differs, what)| differs.then_some(what))
    }
}

impl FileIdentity {
    pub(crate) fn of(file: &File) -> std::io::Result<Self> {
        let metadata = file.metadata()?;
        let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let modified = modified.and_then(|time| u64::try_from(time.as_nanos()).ok());
        Ok(Self { bytes: metadata.len(), modified })
    }

    fn append(&self, out: &mut String) {
        let modified = self.modified.map_or("null".to_owned(), |time| time.to_string());
        out.push_str(&format!("{{\"bytes\":{},\"modified\":{modified}}}", self.bytes));
    }

    fn read(text: &str) -> Result<Self> {
        let object = Object::of(text)?;
        let modified = object.text("modified")?;
        let modified = if modified == "null" { None } else { Some(object.number("modified")?) };
        Ok(Self { bytes: object.number("bytes")?, modified })
    }
}

impl Journal {
    /// Reads a journal's text.
    ///
    /// # Errors
    /// `Malformed` if the text is not exactly what [`to_json`](Self::to_json) writes; `Unsupported` if another version wrote it; `Limit`
    /// if it is longer than [`MAX_JOURNAL_BYTES`].
    pub fn parse(text: &str) -> Result<Self> {
        if text.len() > MAX_JOURNAL_BYTES {
            return Err(Error::limit("the journal is longer than 8 MiB"));
        }
        let object = Object::of(text)?;
        if object.string("format")? != FORMAT {
            return Err(broken("it begins otherwise"));
        }
        if object.number("version")? != VERSION {
            return Err(Error::unsupported("the journal was written by another version of this program"));
        }
        let journal = Self {
            about: About::read(object.text("run")?)?,
            input: FileIdentity::read(object.text("input")?)?,
            only: match object.text("only")? {
                "null" => None,
                only => Some(FileIdentity::read(only)?),
            },
            phase: match object.string("phase")?.as_str() {
                "rows" => Phase::Rows,
                "placing" => Phase::Placing,
                _ => return Err(broken("`phase` is unknown")),
            },
            point: Point::read(object.text("at")?, object.text("counts")?)?,
        };
        // One encoding: unknown and repeated members, spaces and other forms of numbers end here.
        if journal.to_json() != text {
            return Err(broken("it is not as this program writes it"));
        }
        Ok(journal)
    }

    /// The text of the journal.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut out = format!("{{\"format\":\"{FORMAT}\",\"version\":{VERSION},\"run\":");
        self.about.append(&mut out);
        out.push_str(",\"input\":");
        self.input.append(&mut out);
        out.push_str(",\"only\":");
        match &self.only {
            Some(only) => only.append(&mut out),
            None => out.push_str("null"),
        }
        let phase = match self.phase {
            Phase::Rows => "rows",
            Phase::Placing => "placing",
        };
        let point = &self.point;
        out.push_str(&format!(
            ",\"phase\":\"{phase}\",\"at\":{{\"input_bytes\":{},\"input_rows\":{},\"output_bytes\":{},\"exceptions_bytes\":{},\"milliseconds\":{}}},\"counts\":{}}}\n",
            point.input.bytes,
            point.input.rows,
            point.output_bytes,
            point.exceptions_bytes,
            point.milliseconds,
            point.tally.to_json()
        ));
        out
    }

    /// Reads a journal from disk; `None` if there is none.
    pub(crate) fn read(path: &Path) -> Result<Option<Self>> {
        let file = match File::open(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(|error| failed(path, "cannot be read", error))?,
        };
        let (mut text, most) = (Vec::new(), u64::try_from(MAX_JOURNAL_BYTES).unwrap_or(u64::MAX));
        let read = file.take(most.saturating_add(1)).read_to_end(&mut text);
        read.map_err(|error| failed(path, "cannot be read", error))?;
        let text = String::from_utf8(text).map_err(|_| broken("it is not UTF-8"))?;
        Self::parse(&text).map(Some)
    }

    /// Replaces the journal on disk: write new, make durable, rename.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let mut part = PartFile::create(path, Access::Owner)?;
        let written = part.write_all(self.to_json().as_bytes());
        written.map_err(|error| failed(path, "cannot be written", error))?;
        part.commit()
    }
}

impl About {
    fn append(&self, out: &mut String) {
        let remade: Vec<String> = self.remade.iter().map(|name| quoted(name)).collect();
        out.push_str(&format!(
            "{{\"verb\":{},\"registry\":{},\"table\":{},\"form\":{},\"in_place\":{},\"remade\":[{}],\"schema\":{},\"primary\":\"{}\"}}",
            quoted(&self.verb),
            quoted(&self.registry),
            quoted(&self.table),
            quoted(&self.form),
            self.in_place,
            remade.join(","),
            quoted(&self.schema),
            self.primary
        ));
    }

    fn read(text: &str) -> Result<Self> {
        let object = Object::of(text)?;
        let remade = serde_json::from_str(object.text("remade")?)
            .map_err(|_| broken("`remade` is no list of texts"))?;
        let primary = key_id(&object.string("primary")?).ok_or_else(|| broken("`primary` is no key id"))?;
        Ok(Self {
            verb: object.string("verb")?,
            registry: object.string("registry")?,
            table: object.string("table")?,
            form: object.string("form")?,
            in_place: object.text("in_place")? == "true",
            remade,
            schema: object.string("schema")?,
            primary,
        })
    }
}

impl Point {
    fn read(at: &str, counts: &str) -> Result<Self> {
        let at = Object::of(at)?;
        Ok(Self {
            input: InputPlace { bytes: at.number("input_bytes")?, rows: at.number("input_rows")? },
            output_bytes: at.number("output_bytes")?,
            exceptions_bytes: at.number("exceptions_bytes")?,
            milliseconds: at.number("milliseconds")?,
            tally: Tally::from_json(counts)?,
        })
    }
}

/// An object of which members are looked up by name.
struct Object<'a>(Members<'a>);

impl<'a> Object<'a> {
    fn of(text: &'a str) -> Result<Self> {
        serde_json::from_str(text).map(Self).map_err(|_| broken("a JSON object is missing"))
    }

    fn text(&self, name: &str) -> Result<&'a str> {
        let found = self.0.0.iter().find(|(member, _)| member == name);
        found.map(|(_, value)| value.get()).ok_or_else(|| broken(&format!("`{name}` is missing")))
    }

    fn string(&self, name: &str) -> Result<String> {
        let text = serde_json::from_str(self.text(name)?).map(|JsonStr(text)| text.into_owned());
        text.map_err(|_| broken(&format!("`{name}` is no text")))
    }

    fn number(&self, name: &str) -> Result<u64> {
        serde_json::from_str(self.text(name)?).map_err(|_| broken(&format!("`{name}` is no number")))
    }
}

fn quoted(text: &str) -> String {
    let mut out = Vec::new();
    // A string cannot fail to be written to memory.
    let _ = append_json(text, &mut out);
    String::from_utf8(out).unwrap_or_default()
}

fn broken(what: &str) -> Error {
    Error::malformed(format!("the journal of the earlier run is broken: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal() -> Journal {
        Journal {
            about: About {
                verb: "protect".to_owned(),
                registry: "testland".to_owned(),
                table: "people".to_owned(),
                form: "csv comma".to_owned(),
                in_place: false,
                remade: vec!["by-name".to_owned()],
                schema: "format = \"amanat-schema\"\n# عائشہ\n".to_owned(),
                primary: KeyId::from_bytes([7; 16]),
            },
            input: FileIdentity { bytes: 1 << 40, modified: Some(1_800_000_000_123_456_789) },
            only: Some(FileIdentity { bytes: 1, modified: None }),
            phase: Phase::Rows,
            point: Point { input: InputPlace { bytes: 5, rows: 6 }, output_bytes: 7, ..Point::default() },
        }
    }

    #[test]
    fn a_journal_comes_back_and_nothing_else_is_read() {
        let text = journal().to_json();
        assert_eq!(Journal::parse(&text).expect("a journal"), journal());
        for end in 0..text.len() {
            assert!(text.get(..end).is_none_or(|part| Journal::parse(part).is_err()), "{end} bytes");
        }
        for (from, to) in [
            ("\"version\":1", "\"version\":2"),
            ("\"version\":1", "\"version\": 1"),
            ("\"version\":1", "\"version\":1,\"version\":1"),
            ("\"phase\":\"rows\"", "\"phase\":\"done\""),
            ("\"input_rows\":6", "\"input_rows\":6,\"more\":0"),
            ("\"input_rows\":6", "\"input_rows\":-6"),
            ("\"input_rows\":6", "\"input_rows\":18446744073709551616"),
            ("\"in_place\":false", "\"in_place\":0"),
            ("\"people\"", "\"peo\\u0070le\""),
            ("\"only\":{", "\"sole\":{"),
        ] {
            let changed = text.replacen(from, to, 1);
            assert!(changed != text && Journal::parse(&changed).is_err(), "{changed}");
        }
        assert!(Journal::parse(&format!("{text} ")).is_err() && Journal::parse("").is_err());
    }
}
