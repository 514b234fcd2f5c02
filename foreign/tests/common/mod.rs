// SPDX-License-Identifier: MIT OR Apache-2.0
//! Values of other tools, read from the files of vectors/make.py.
#![allow(dead_code, reason = "each test uses a part")]

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::rc::Rc;

use amanat::error::{Kind, Result};
use amanat_foreign::{Format, Opener, Origin, open};
use base64_turbo::STANDARD;
use serde_json::Value as Json;
use zeroize::Zeroizing;

/// One stored value, its key file and what it opens to.
pub(crate) struct Value {
    pub(crate) format: Format,
    pub(crate) name: String,
    pub(crate) key: String,
    pub(crate) stored: Vec<u8>,
    pub(crate) plain: Vec<u8>,
    pub(crate) expect: Option<String>,
    table: String,
    column: String,
    record: Vec<String>,
}

impl Value {
    fn parse(format: Format, json: &Json) -> Self {
        let text = |name: &str| json[name].as_str().map(str::to_owned);
        let bytes = |name: &str| STANDARD.decode(text(name).unwrap()).unwrap();
        let record =
            json["record"].as_array().into_iter().flatten().map(|part| part.as_str().unwrap().to_owned());
        Self {
            format,
            name: text("name").unwrap(),
            key: text("key").unwrap(),
            stored: bytes("stored"),
            plain: bytes("plain"),
            expect: text("expect"),
            table: text("table").unwrap_or_else(|| "a table".to_owned()),
            column: text("column").unwrap_or_else(|| "a column".to_owned()),
            record: record.collect(),
        }
    }

    /// Opens bytes as if they stood in the place of this value.
    pub(crate) fn open_instead(&self, opener: &dyn Opener, stored: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let record: Vec<&str> = self.record.iter().map(String::as_str).collect();
        opener.open(stored, &Origin::new(&self.table, &self.column, &record))
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.format, self.name)
    }
}

/// Openers by key file: some keys take long to derive.
#[derive(Default)]
pub(crate) struct Openers(HashMap<(&'static str, String), Rc<dyn Opener>>);

impl Openers {
    pub(crate) fn of(&mut self, value: &Value) -> Result<Rc<dyn Opener>> {
        let key = (value.format.as_str(), value.key.clone());
        if let Some(opener) = self.0.get(&key) {
            return Ok(Rc::clone(opener));
        }
        let opener: Rc<dyn Opener> = open(value.format.as_str(), value.key.as_bytes())?.into();
        self.0.insert(key, Rc::clone(&opener));
        Ok(opener)
    }
}

/// The values of the repository.
pub(crate) fn committed(format: Format) -> Vec<Value> {
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors"), format)
}

/// The values of the folder that AMANAT_FOREIGN_VECTORS names; without it there are none.
pub(crate) fn fresh(format: Format) -> Vec<Value> {
    std::env::var_os("AMANAT_FOREIGN_VECTORS")
        .map_or_else(Vec::new, |folder| read(Path::new(&folder), format))
}

fn read(folder: &Path, format: Format) -> Vec<Value> {
    let path = folder.join(format!("{format}.json"));
    let text = std::fs::read(&path)
        .unwrap_or_else(|e| panic!("{}: {e}; make it with vectors/make.py", path.display()));
    let json: Json = serde_json::from_slice(&text).unwrap();
    let values = json["values"].as_array().unwrap();
    assert!(!values.is_empty());
    values.iter().map(|value| Value::parse(format, value)).collect()
}

/// The kind of error by its word.
pub(crate) fn kind(word: &str) -> Kind {
    match word {
        "limit" => Kind::Limit,
        "malformed" => Kind::Malformed,
        "unauthentic" => Kind::Unauthentic,
        "unknown-key" => Kind::UnknownKey,
        "unsupported" => Kind::Unsupported,
        _ => panic!("no kind {word}"),
    }
}

/// Where the sealed bytes of a short binary message of pgcrypto begin: after the key packet, and head and version of the data packet.
pub(crate) fn data_offset(message: &[u8]) -> usize {
    2 + usize::from(message[1]) + 3
}
