// SPDX-License-Identifier: MIT OR Apache-2.0
//! The exceptions file: which rows were refused, and why.
//!
//! Owns its CSV form: row, field, kind, reason. Never holds a value or a record id.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use amanat::error::{Error, Kind, Result};
use amanat_stores::durable::Syncer;
use amanat_stores::{Access, PartFile, RowNumbers};

use crate::fault::{self, Fault};

/// The first line, which says what the others mean: any change of it is a new format.
const HEAD: [&str; 4] = ["row", "field", "kind", "reason"];
/// Most rows that one run takes from such a file: 128 MiB of numbers.
const MAX_ROWS: usize = 1 << 24;

/// An exceptions file that is made when the first row is refused.
pub(crate) struct Exceptions {
    path: Option<PathBuf>,
    writer: Option<csv::Writer<Counted>>,
    /// The file has its name already: an earlier run was killed behind that step.
    is_placed: bool,
}

/// A part file whose length is known.
struct Counted {
    part: PartFile,
    bytes: u64,
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.part.write(bytes)?;
        self.bytes += u64::try_from(written).unwrap_or_default();
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.part.flush()
    }
}

impl Exceptions {
    /// A file at this path; without one nothing is written.
    pub(crate) const fn new(path: Option<PathBuf>) -> Self {
        Self { path, writer: None, is_placed: false }
    }

    /// Goes on with the list of an earlier run, which had this length; `is_placing` says that the list may have its name by now.
    pub(crate) fn resume(&mut self, bytes: u64, is_placing: bool) -> fault::Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        match (PartFile::resume(path)?, bytes) {
            (None, 0) => {}
            // Made after the checkpoint: the rows are read again.
            (Some(left), 0) => left.discard()?,
            (Some(mut part), _) => {
                part.cut(bytes)?;
                self.writer = Some(csv::Writer::from_writer(Counted { part, bytes }));
            }
            (None, _) if is_placing && path.is_file() => self.is_placed = true,
            (None, _) => {
                let message =
                    format!("{}: the list of refused rows of the earlier run is gone", path.display());
                return Err(
                    Fault::new(message).help("name the same --exceptions as then, or start over: --restart")
                );
            }
        }
        Ok(())
    }

    /// Adds why a row was refused.
    pub(crate) fn add(&mut self, fault: &Error) -> Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        let mut writer = match self.writer.take() {
            Some(writer) => writer,
            None => {
                let part = PartFile::create(path, Access::Owner)?;
                let mut writer = csv::Writer::from_writer(Counted { part, bytes: 0 });
                write(&mut writer, HEAD)?;
                writer
            }
        };
        let row = fault.row().map(|row| row.to_string()).unwrap_or_default();
        let field = fault.field().map_or("", |field| field.as_str());
        write(&mut writer, [&row, field, kind_name(fault.kind()), fault.message()])?;
        self.writer = Some(writer);
        Ok(())
    }

    /// Hands every line to the system; gives the length of the list.
    pub(crate) fn listed(&mut self) -> Result<u64> {
        let Some(writer) = &mut self.writer else { return Ok(0) };
        writer.flush().map_err(cannot_write)?;
        Ok(writer.get_ref().bytes)
    }

    /// What makes the list durable, if there is one.
    pub(crate) fn syncer(&self) -> Result<Option<Syncer>> {
        self.writer.as_ref().map(|writer| writer.get_ref().part.syncer()).transpose()
    }

    /// Leaves the list where it is, for the run that goes on with it.
    pub(crate) fn keep(&mut self) {
        if let Some(writer) = self.writer.take() {
            writer.get_ref().part.stay();
        }
    }

    /// Puts the file in place; gives its path if there is one.
    pub(crate) fn finish(self) -> Result<Option<PathBuf>> {
        if self.is_placed {
            return Ok(self.path);
        }
        let Some(writer) = self.writer else { return Ok(None) };
        let counted = writer.into_inner().map_err(|error| cannot_write(error.into_error()))?;
        counted.part.commit()?;
        Ok(self.path)
    }
}

/// The rows that an exceptions file lists.
pub(crate) fn rows(path: &Path) -> fault::Result<RowNumbers> {
    let broken = |what: &str| {
        Fault::new(format!("{}: {what}", path.display()))
            .help("name the exceptions file of the run whose refused rows were repaired, as it was written")
    };
    let mut reader = csv::ReaderBuilder::new();
    let reader = reader.has_headers(false).from_path(path);
    let reader = reader.map_err(|error| match error.into_kind() {
        csv::ErrorKind::Io(error) => Fault::file("read", path, &error),
        _ => broken("is no exceptions file"),
    })?;
    let mut rows = Vec::new();
    for (place, line) in reader.into_records().enumerate() {
        let line = line.map_err(|_| broken("is no exceptions file"))?;
        if place == 0 {
            if line.iter().ne(HEAD) {
                return Err(broken("is no exceptions file: its first line is another"));
            }
            continue;
        }
        let row = line.get(0).and_then(|row| row.parse().ok()).filter(|row| *row > 0);
        rows.push(row.ok_or_else(|| broken(&format!("line {} names no row", place + 1)))?);
        if rows.len() > MAX_ROWS {
            return Err(broken(
                "lists more than 16,777,216 rows; repair the cause and protect the whole file again",
            ));
        }
    }
    if rows.is_empty() {
        return Err(broken("lists no rows"));
    }
    Ok(RowNumbers::new(rows))
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

fn write(writer: &mut csv::Writer<Counted>, cells: [&str; 4]) -> Result<()> {
    writer.write_record(cells).map_err(|error| match error.into_kind() {
        csv::ErrorKind::Io(error) => cannot_write(error),
        _ => cannot_write(io::Error::other("the CSV writer stopped")),
    })
}

fn cannot_write(error: io::Error) -> Error {
    Error::store("the exceptions file cannot be written", error)
}
