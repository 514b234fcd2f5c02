// SPDX-License-Identifier: MIT OR Apache-2.0
//! Running programs: where, with what, and how to repeat one that failed.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Why a command stopped, and what to do about it.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The repository and the folder for everything that is built.
pub(crate) struct Place {
    pub(crate) root: PathBuf,
    pub(crate) target: PathBuf,
}

impl Place {
    pub(crate) fn find() -> Result<Self, Failure> {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = manifest.parent().ok_or_else(|| Failure::new("the repository has no root folder"))?;
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
        Ok(Self { root: root.to_owned(), target: root.join(target) })
    }

    /// A command that runs in the repository's root.
    pub(crate) fn program(&self, program: impl AsRef<OsStr>) -> Run {
        Run::new(program, &self.root)
    }

    /// A command of the cargo that runs this program.
    pub(crate) fn cargo<const N: usize>(&self, args: [&str; N]) -> Run {
        self.program("cargo").args(args)
    }

    /// A folder below the target folder, made if it is missing.
    pub(crate) fn folder(&self, name: &str) -> Result<PathBuf, Failure> {
        let folder = self.target.join(name);
        std::fs::create_dir_all(&folder)
            .map_err(|e| Failure::new(format!("cannot make {}: {e}", folder.display())))?;
        Ok(folder)
    }
}

/// One program with its arguments. Prints as a line that a shell can repeat.
pub(crate) struct Run {
    command: Command,
}

impl Run {
    pub(crate) fn new(program: impl AsRef<OsStr>, folder: &Path) -> Self {
        let mut command = Command::new(program);
        command.current_dir(folder);
        Self { command }
    }

    pub(crate) fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.command.args(args);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn folder(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// Shows the command, runs it with its output on the terminal, and fails if it fails.
    pub(crate) fn run(mut self) -> Result<(), Failure> {
        println!("$ {self}");
        let status = self.command.status();
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(Failure::new(format!("{status}. Repeat it with:\n  {self}"))),
            Err(error) => Err(Failure::new(format!("cannot start: {error}. Repeat it with:\n  {self}"))),
        }
    }

    /// Runs it silently; its output if it succeeds.
    pub(crate) fn output(mut self) -> Option<String> {
        let output = self.command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(folder) = self.command.get_current_dir() {
            write!(f, "cd {} && ", quoted(folder.as_os_str()))?;
        }
        for (name, value) in self.command.get_envs() {
            let value = value.unwrap_or_default();
            write!(f, "{}={} ", name.to_string_lossy(), quoted(value))?;
        }
        write!(f, "{}", quoted(self.command.get_program()))?;
        self.command.get_args().try_for_each(|arg| write!(f, " {}", quoted(arg)))
    }
}

/// A word for a POSIX shell.
fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./=:+,@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.into_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}
