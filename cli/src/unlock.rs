// SPDX-License-Identifier: MIT OR Apache-2.0
//! Arguments that name a keyring and what unlocks it.
//!
//! Owns the asking for passphrases. Never takes a secret from an argument.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use amanat::Timestamp;
use amanat::keys::{Kek, KeyFile, Passphrase};
use amanat::secret::SecretBytes;

use crate::fault::{Fault, Result};

/// Most bytes that a passphrase or key file may have; each is one short line.
const MAX_SECRET_FILE_BYTES: usize = 4_096;

/// A keyring and what unlocks it.
#[derive(clap::Args)]
pub(crate) struct UnlockArgs {
    /// The keyring file.
    #[arg(long, value_name = "FILE")]
    pub(crate) keyring: PathBuf,
    #[command(flatten)]
    pub(crate) kek: KekArgs,
}

impl UnlockArgs {
    /// What unlocks the keyring; asks on the terminal if no argument names it.
    pub(crate) fn kek(&self) -> Result<Box<dyn Kek>> {
        self.kek.existing()
    }
}

/// What unlocks a keyring. Without either, the passphrase is asked for on the terminal.
#[derive(clap::Args)]
#[group(multiple = false)]
pub(crate) struct KekArgs {
    /// File whose only line is the passphrase; nobody but its owner may be able to read it.
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Key file; nobody but its owner may be able to read it.
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
}

impl KekArgs {
    /// The key-encrypting key of a slot that exists.
    pub(crate) fn existing(&self) -> Result<Box<dyn Kek>> {
        match self.from_file()? {
            Some(kek) => Ok(kek),
            None => Ok(Box::new(Passphrase::new(ask("passphrase: ")?)?)),
        }
    }

    /// The key-encrypting key of a slot to be made: a passphrase that is typed is typed twice.
    pub(crate) fn for_new_slot(&self) -> Result<Box<dyn Kek>> {
        if let Some(kek) = self.from_file()? {
            return Ok(kek);
        }
        let first = ask("new passphrase: ")?;
        if ask("the same again: ")?.expose() != first.expose() {
            return Err(Fault::new("the two passphrases differ; nothing was changed"));
        }
        Ok(Box::new(Passphrase::new(first)?))
    }

    fn from_file(&self) -> Result<Option<Box<dyn Kek>>> {
        let about = |path: &Path| {
            let path = path.display().to_string();
            move |error: amanat::Error| Fault::from(error).about(path)
        };
        if let Some(path) = &self.key_file {
            return Ok(Some(Box::new(KeyFile::parse(&read_secret(path)?).map_err(about(path))?)));
        }
        let Some(path) = &self.passphrase_file else { return Ok(None) };
        let line = only_line(&read_secret(path)?).map_err(|fault| fault.about(path.display()))?;
        Ok(Some(Box::new(Passphrase::new(line).map_err(about(path))?)))
    }
}

/// The only line of a passphrase file, without its line end.
fn only_line(text: &SecretBytes) -> Result<SecretBytes> {
    let line = text.expose();
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.is_empty() || line.contains(&b'\n') {
        return Err(Fault::new("a passphrase file has one line, and it is not empty"));
    }
    Ok(SecretBytes::new(line.to_vec()))
}

fn ask(prompt: &str) -> Result<SecretBytes> {
    let typed = rpassword::prompt_password(prompt).map_err(|_| {
        Fault::new("nothing unlocks the keyring: no file was named, and there is no terminal to ask on")
            .help("name one: --passphrase-file FILE or --key-file FILE")
    })?;
    Ok(SecretBytes::new(typed.into_bytes()))
}

/// Reads a file that holds a secret. A regular file that others may read is refused; a pipe has no others.
pub(crate) fn read_secret(path: &Path) -> Result<SecretBytes> {
    let failed = |error| Fault::file("read", path, &error);
    let file = File::open(path).map_err(failed)?;
    check_private(path, &file)?;
    let mut bytes = Vec::with_capacity(MAX_SECRET_FILE_BYTES + 1);
    let limit = u64::try_from(MAX_SECRET_FILE_BYTES).unwrap_or(u64::MAX) + 1;
    let read = file.take(limit).read_to_end(&mut bytes);
    let bytes = SecretBytes::new(bytes);
    if read.map_err(failed)? > MAX_SECRET_FILE_BYTES {
        return Err(Fault::new(format!("{} is longer than a passphrase or key file", path.display())));
    }
    Ok(bytes)
}

#[cfg(unix)]
fn check_private(path: &Path, file: &File) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let metadata = file.metadata().map_err(|error| Fault::file("read", path, &error))?;
    let mode = metadata.permissions().mode() & 0o7777;
    if metadata.is_file() && mode & 0o077 != 0 {
        return Err(Fault::new(format!("others may read {} (mode {mode:04o})", path.display())).help(format!(
            "chmod 600 {}; if others could read it on a shared machine, make a new one and replace the slot",
            path.display()
        )));
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_private(_: &Path, _: &File) -> Result<()> {
    Ok(())
}

/// The present time.
pub(crate) fn now() -> Result<Timestamp> {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map(|past| past.as_secs());
    let seconds = seconds.map_err(|_| {
        Fault::new("the clock of this machine stands before 1970").help("set the clock, then run again")
    })?;
    Ok(Timestamp::from_unix_seconds(seconds)?)
}
