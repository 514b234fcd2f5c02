// SPDX-License-Identifier: MIT OR Apache-2.0
//! The exceptions file: which rows were refused, and why.
//!
//! Owns its CSV form: row, field, kind, reason. Never holds a value or a record id.

use std::path::{Path, PathBuf};

use amanat::error::{Error, Kind, Result};
use amanat_stores::{Access, PartFile};

/// An exceptions file that is made when the first row is refused.
pub(crate) struct Exceptions {
    path: Option<PathBuf>,
    writer: Option<csv::Writer<PartFile>>,
}

impl Exceptions {
    /// A file at this path; without one nothing is written.
    pub(crate) const fn new(path: Option<PathBuf>) -> Self {
        Self { path, writer: None }
    }

    /// Adds why a row was refused.
    pub(crate) fn add(&mut self, fault: &Error) -> Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        let mut writer = match self.writer.take() {
            Some(writer) => writer,
            None => {
                let mut writer = csv::Writer::from_writer(PartFile::create(path, Access::Owner)?);
                write(&mut writer, ["row", "field", "kind", "reason"])?;
                writer
            }
        };
        let row = fault.row().map(|row| row.to_string()).unwrap_or_default();
        let field = fault.field().map_or("", |field| field.as_str());
        write(&mut writer, [&row, field, kind_name(fault.kind()), fault.message()])?;
        self.writer = Some(writer);
        Ok(())
    }

    /// Puts the file in place; gives its path if there is one.
    pub(crate) fn finish(self) -> Result<Option<PathBuf>> {
        let Some(writer) = self.writer else { return Ok(None) };
        let part = writer.into_inner().map_err(|error| cannot_write(error.into_error()))?;
        part.commit()?;
        Ok(self.path)
    }
}

/// Where the exceptions of a run go if nothing else is said: beside what is written, or else beside what is read.
pub(crate) fn default_path(beside: Option<&Path>) -> PathBuf {
    let mut name = beside.map_or_else(|| "amanat".into(), |path| path.as_os_str().to_owned());
    name.push(".exceptions.csv");
    name.into()
}

/// A kind of failure as people and programs read it.
pub(crate) const fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Entropy => "entropy",
        Kind::KeyUnusable => "key-unusable",
        Kind::Limit => "limit",
        Kind::Malformed => "malformed",
        Kind::Misuse => "misuse",
        Kind::Rollback => "rollback",
        Kind::Schema => "schema",
        Kind::Store => "store",
        Kind::Unauthentic => "unauthentic",
        Kind::UnknownKey => "unknown-key",
        Kind::Unsupported => "unsupported",
        _ => "other",
    }
}

fn write(writer: &mut csv::Writer<PartFile>, cells: [&str; 4]) -> Result<()> {
    writer.write_record(cells).map_err(|error| match error.into_kind() {
        csv::ErrorKind::Io(error) => cannot_write(error),
        _ => cannot_write(std::io::Error::other("the CSV writer stopped")),
    })
}

fn cannot_write(error: std::io::Error) -> Error {
    Error::store("the exceptions file cannot be written", error)
}
