// SPDX-License-Identifier: MIT OR Apache-2.0
//! One file of `tests/vectors/`, read as its README says.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::{hex, unhex};
use crate::error::Kind;
use crate::ident::Name;
use crate::secret::Secret;

/// The lines of one scenario, and what follows its line `file:`.
pub(super) struct Vector {
    pub(super) name: String,
    pub(super) file: Vec<u8>,
    lines: Vec<(String, String)>,
    used: RefCell<BTreeSet<String>>,
}

impl Vector {
    /// Every vector, in order of their names.
    pub(super) fn read_all() -> Vec<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
        let entries = fs::read_dir(folder).expect("the folder of vectors");
        let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
        paths.sort();
        let read = |path: &std::path::PathBuf| {
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            Self::parse(name, &fs::read(path).expect("a vector"))
        };
        paths.iter().map(read).collect()
    }

    /// The vectors of a kind that expect success.
    pub(super) fn successes(kind: &str) -> Vec<Self> {
        let mut all = Self::read_all();
        all.retain(|vector| vector.one("kind") == kind && vector.one("expect") == "success");
        all
    }

    fn parse(name: String, bytes: &[u8]) -> Self {
        const MARK: &[u8] = b"\nfile:\n";
        let at = bytes.windows(MARK.len()).position(|window| window == MARK);
        let (head, file) = at.map_or((bytes, &[][..]), |at| (&bytes[..=at], &bytes[at + MARK.len()..]));
        let mut lines = std::str::from_utf8(head).expect("UTF-8").lines();
        assert_eq!(lines.next(), Some("amanat vector v1"), "{name}");
        let line = |line: &str| {
            let (key, value) = line.split_once(':').unwrap_or_else(|| panic!("{name}: {line}"));
            (key.to_owned(), value.strip_prefix(' ').unwrap_or(value).to_owned())
        };
        let lines = lines.filter(|line| !line.starts_with('#')).map(line).collect();
        Self { name, file: file.to_vec(), lines, used: RefCell::default() }
    }

    pub(super) fn all(&self, key: &str) -> Vec<&str> {
        self.used.borrow_mut().insert(key.to_owned());
        self.lines.iter().filter(|(name, _)| name == key).map(|(_, value)| value.as_str()).collect()
    }

    pub(super) fn get(&self, key: &str) -> Option<&str> {
        let found = self.all(key);
        assert!(found.len() < 2, "{}: `{key}` stands more than once", self.name);
        found.first().copied()
    }

    pub(super) fn one(&self, key: &str) -> &str {
        self.get(key).unwrap_or_else(|| panic!("{}: `{key}` is missing", self.name))
    }

    pub(super) fn bytes(&self, key: &str) -> Vec<u8> {
        unhex(self.one(key))
    }

    pub(super) fn text_name(&self, key: &str) -> Name {
        Name::new(self.one(key)).expect("a name")
    }

    pub(super) fn secret(&self) -> Secret<32> {
        Secret::copy_from(&self.bytes("secret")).expect("32 bytes")
    }

    /// The value's type and bytes: `value`, or `value-repeat: LENGTH PATTERN`.
    pub(super) fn value(&self) -> (u8, Vec<u8>) {
        let kind = self.bytes("type")[0];
        let Some(repeat) = self.get("value-repeat") else {
            return (kind, self.bytes("value"));
        };
        let (length, pattern) = repeat.split_once(' ').expect("a length and a pattern");
        (kind, unhex(pattern).into_iter().cycle().take(length.parse().expect("a length")).collect())
    }

    /// `TYPE HEX` of a line.
    pub(super) fn typed(line: &str) -> (u8, Vec<u8>) {
        let (kind, bytes) = line.split_once(' ').unwrap_or((line, ""));
        (unhex(kind)[0], unhex(bytes))
    }

    /// Compares what was computed with a text in the file.
    pub(super) fn same_text(&self, key: &str, got: impl std::fmt::Display) {
        assert_eq!(self.one(key), got.to_string(), "{}: `{key}`", self.name);
    }

    /// Compares what was computed with every line of a key.
    pub(super) fn same_all(&self, key: &str, got: &[Vec<u8>]) {
        let got: Vec<String> = got.iter().map(|bytes| hex(bytes)).collect();
        assert_eq!(self.all(key), got, "{}: `{key}`", self.name);
    }

    /// Compares what was computed with what stands in the file.
    pub(super) fn same(&self, key: &str, got: &[u8]) {
        assert_eq!(self.one(key), hex(got), "{}: `{key}`", self.name);
    }

    /// Refuses lines that nobody looked at.
    pub(super) fn finish(&self) {
        let used = self.used.borrow();
        let left: Vec<&str> =
            self.lines.iter().map(|(key, _)| key.as_str()).filter(|key| !used.contains(*key)).collect();
        assert!(left.is_empty(), "{}: nobody compared {left:?}", self.name);
    }
}

/// The word that vectors use for a kind of failure.
pub(super) fn class(kind: Kind) -> &'static str {
    match kind {
        Kind::Malformed => "malformed",
        Kind::Unsupported => "unsupported",
        Kind::UnknownKey => "unknown-key",
        Kind::KeyUnusable => "key-unusable",
        Kind::Unauthentic => "unauthentic",
        Kind::Limit => "limit",
        Kind::Rollback => "rollback",
        Kind::Expired => "expired",
        Kind::Schema => "schema",
        other => panic!("{other:?} is no class of the vectors"),
    }
}
