// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs the real program in a folder of its own. Every name, key and passphrase is invented.
#![allow(dead_code, clippy::expect_used, clippy::missing_panics_doc, missing_docs, unreachable_pub)]

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// An invented passphrase.
pub const PASSPHRASE: &str = "an invented passphrase";

/// What a run of the program gave.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// Asserts the exit code and gives the output on.
    #[track_caller]
    pub fn code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    /// Asserts that the program could not run, said why, and wrote no data.
    #[track_caller]
    pub fn refused(self, why: &str) -> Self {
        let ran = self.code(2);
        assert!(ran.err.starts_with("error: ") && ran.err.contains(why), "wanted `{why}`:\n{}", ran.err);
        assert_eq!(ran.out, "");
        ran
    }
}

/// A folder that vanishes with the test.
pub struct Folder(tempfile::TempDir);

impl Folder {
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    /// A folder with `registry.keyring`, unlocked by `k.key`.
    pub fn with_keyring() -> Self {
        let folder = Self::new();
        let init = "init --registry pk-test --keyring registry.keyring --key-file k.key --new-key-file";
        folder.run(init).code(0);
        folder
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).expect("a text file")
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).expect("a file to write");
    }

    /// Writes a file that only its owner may read.
    pub fn write_secret(&self, name: &str, content: &str) {
        self.write(name, content);
        self.mode(name, 0o600);
    }

    pub fn mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).expect("a mode to set");
    }

    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).expect("the folder");
        let mut names: Vec<String> = entries
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    /// Runs the program with arguments that have no spaces.
    pub fn run(&self, args: &str) -> Ran {
        self.run_with(&args.split_whitespace().collect::<Vec<_>>(), "")
    }

    /// Runs the program with these arguments and this standard input.
    pub fn run_with(&self, args: &[&str], input: impl AsRef<[u8]>) -> Ran {
        let mut child = self.command(args).stdin(Stdio::piped()).spawn().expect("the program");
        let mut stdin = child.stdin.take().expect("a pipe");
        // The program may have ended without reading.
        let _ = stdin.write_all(input.as_ref());
        drop(stdin);
        ran(child.wait_with_output().expect("its output"))
    }

    /// The program with nothing of the surroundings that changes what it prints.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_amanat"));
        command.args(args).current_dir(self.0.path());
        command
            .env_remove("AMANAT_KEYRING")
            .env_remove("AMANAT_KEY_FILE")
            .env_remove("COLUMNS")
            .env_remove("NO_COLOR")
            .env("RUST_BACKTRACE", "0");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// A shell with the program on its path.
    pub fn shell(&self, line: &str) -> Ran {
        let program = PathBuf::from(env!("CARGO_BIN_EXE_amanat"));
        let mut folders = vec![program.parent().expect("a folder").to_path_buf()];
        folders.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
        let mut shell = Command::new("sh");
        shell.args(["-c", line]).current_dir(self.0.path());
        shell
            .env("PATH", std::env::join_paths(folders).expect("paths"))
            .env_remove("AMANAT_KEYRING")
            .env_remove("AMANAT_KEY_FILE")
            .env_remove("COLUMNS")
            .env("RUST_BACKTRACE", "0");
        ran(shell.stdin(Stdio::null()).output().expect("a shell"))
    }
}

fn ran(output: Output) -> Ran {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text in UTF-8");
    Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}
