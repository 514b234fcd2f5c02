// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why a verb could not run, what to do about it, and how a verb that ran has ended.
//!
//! Owns the exit codes. Never carries a value, record id or any byte of the input.

use std::borrow::Cow;
use std::fmt::{self, Display};
use std::io;
use std::path::Path;

/// What a verb's functions return.
pub(crate) type Result<T, E = Fault> = std::result::Result<T, E>;

/// Exit code of a verb that could not run.
pub(crate) const COULD_NOT_RUN: u8 = 2;

/// How a verb that ran has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All rows done: exit code 0.
    Done,
    /// Some rows refused: exit code 1.
    SomeRefused,
    /// Unauthentic rows seen: exit code 3.
    Unauthentic,
}

impl Outcome {
    /// The exit code.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::SomeRefused => 1,
            Self::Unauthentic => 3,
        }
    }
}

/// Why a verb could not run.
#[derive(Debug)]
pub(crate) struct Fault {
    message: String,
    help: Option<Cow<'static, str>>,
    closed_pipe: bool,
    code: u8,
}

impl Fault {
    /// A fault with this message: lower case, no full stop, no byte of the input.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None, closed_pipe: false, code: COULD_NOT_RUN }
    }

    /// A file that cannot be read, written or made.
    pub(crate) fn file(doing: &str, path: &Path, error: &io::Error) -> Self {
        Self::new(format!("cannot {doing} {}: {}", path.display(), io_reason(error)))
    }

    /// Standard output that cannot be written. A closed pipe is success: whoever reads has seen enough.
    pub(crate) fn stdout(error: &io::Error) -> Self {
        let closed_pipe = error.kind() == io::ErrorKind::BrokenPipe;
        Self { closed_pipe, ..Self::new(format!("cannot write to standard output: {}", io_reason(error))) }
    }

    /// Adds the remedy, unless there is one.
    #[must_use]
    pub(crate) fn help(mut self, help: impl Into<Cow<'static, str>>) -> Self {
        self.help.get_or_insert(help.into());
        self
    }

    /// Puts the file or part that the fault is about before the message.
    #[must_use]
    pub(crate) fn about(mut self, what: impl Display) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }

    /// Gives the program another exit code than that of a verb that could not run: 128 and the number of the signal that ended it.
    #[must_use]
    pub(crate) const fn ends_with(mut self, code: u8) -> Self {
        self.code = code;
        self
    }

    /// The exit code.
    pub(crate) const fn code(&self) -> u8 {
        self.code
    }

    /// What happened and where.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// What to do about it.
    pub(crate) fn remedy(&self) -> Option<&str> {
        self.help.as_deref()
    }

    /// Whether the reader of standard output went away.
    pub(crate) const fn is_closed_pipe(&self) -> bool {
        self.closed_pipe
    }
}

impl From<amanat::Error> for Fault {
    /// The message, and below it what a key service or the system says. A refusal of our own has said it all.
    fn from(error: amanat::Error) -> Self {
        let source = std::error::Error::source(&error);
        let below = source.and_then(|source| match source.downcast_ref::<io::Error>() {
            Some(io) if io.raw_os_error().is_none() => None,
            Some(io) if io.kind() == io::ErrorKind::NotFound && error.message().contains("no such") => None,
            Some(io) => Some(io_reason(io)),
            None => match source.downcast_ref::<rusqlite::Error>() {
                Some(sqlite) => sqlite_reason(sqlite),
                None => Some(source.to_string()),
            },
        });
        Self::new(below.map_or_else(|| error.to_string(), |below| format!("{error}: {below}")))
    }
}

impl Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}

/// The operating system's reason, without its number.
fn io_reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::AlreadyExists => "it exists already".to_owned(),
        io::ErrorKind::IsADirectory => "it is a folder".to_owned(),
        _ => {
            let text = error.to_string();
            let plain = text.split(" (os error").next().unwrap_or_default();
            plain.to_lowercase()
        }
    }
}

/// SQLite's own text of a result code. Its message is left out: a trigger can put a row's content there.
fn sqlite_reason(error: &rusqlite::Error) -> Option<String> {
    let code = error.sqlite_error()?.extended_code;
    Some(rusqlite::ffi::code_to_str(code).to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_trigger_of_a_database_says_is_not_repeated() {
        let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CONSTRAINT_TRIGGER);
        let raised = rusqlite::Error::SqliteFailure(code, Some("an invented name".to_owned()));
        let fault = Fault::from(amanat::Error::store("no", raised));
        assert!(fault.message().starts_with("no: ") && !fault.message().contains("invented"), "{fault}");
        let other = rusqlite::Error::InvalidColumnName("an invented name".to_owned());
        assert_eq!(Fault::from(amanat::Error::store("no", other)).message(), "no");
    }

    #[test]
    fn a_closed_pipe_is_told_from_a_full_disk() {
        assert!(Fault::stdout(&io::ErrorKind::BrokenPipe.into()).is_closed_pipe());
        assert!(!Fault::stdout(&io::ErrorKind::StorageFull.into()).is_closed_pipe());
    }

    #[test]
    fn the_first_remedy_stands() {
        let fault = Fault::new("no").help("first").help("second").about("here");
        assert_eq!((fault.message(), fault.remedy()), ("here: no", Some("first")));
    }
}
