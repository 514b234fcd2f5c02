// SPDX-License-Identifier: MIT OR Apache-2.0
//! Arguments that name a keyring and what unlocks it.
//!
//! Owns the asking for passphrases. Never takes a secret from an argument.

use std::path::PathBuf;

use amanat::error::Kind;
use amanat::keys::{Kek, Passphrase};
use amanat::secret::SecretBytes;
use amanat::{Error, Keyring};
use amanat_stores::{KeyringPath, secret_file};

pub(crate) use amanat_stores::clock::now;

use crate::fault::{Fault, Result};

/// A keyring and what unlocks it.
#[derive(clap::Args)]
pub(crate) struct UnlockArgs {
    /// The keyring file.
    #[arg(long, value_name = "FILE", env = "AMANAT_KEYRING", hide_env_values = true)]
    pub(crate) keyring: PathBuf,
    #[command(flatten)]
    pub(crate) kek: KekArgs,
}

impl UnlockArgs {
    /// What unlocks the keyring; asks on the terminal if no argument names it.
    pub(crate) fn kek(&self) -> Result<Box<dyn Kek + Sync>> {
        // A keyring that is not there or not whole is told before anybody types a passphrase.
        self.path().read().map_err(|error| keyring_fault(error, &self.path()))?;
        self.kek.existing()
    }

    /// Where the keyring, its lock and its pin lie.
    pub(crate) fn path(&self) -> KeyringPath {
        KeyringPath::open(&self.keyring)
    }

    /// The files that a run with this keyring reads, which nothing may be written over.
    pub(crate) fn sources(&self) -> Vec<(&'static str, PathBuf)> {
        let path = self.path();
        let mut sources =
            vec![("keyring", path.path().to_path_buf()), ("the keyring's pin", path.pin_path())];
        sources.extend(
            self.kek.key_file.clone().or_else(key_file_of_environment).map(|file| ("key file", file)),
        );
        sources.extend(self.kek.passphrase_file.clone().map(|file| ("passphrase file", file)));
        sources
    }

    /// The unlocked keyring.
    pub(crate) fn unlock(&self) -> Result<Keyring> {
        let kek = self.kek()?;
        self.path().unlock(&*kek).map_err(|error| keyring_fault(error, &self.path()))
    }

    /// Changes the keyring on disk; nothing is written if `change` fails.
    pub(crate) fn update<T>(&self, change: impl FnOnce(&mut Keyring) -> amanat::Result<T>) -> Result<T> {
        let kek = self.kek()?;
        self.path().update(&*kek, now()?, change).map_err(|error| keyring_fault(error, &self.path()))
    }
}

/// A keyring, if there is one, and what unlocks it.
#[derive(clap::Args)]
pub(crate) struct MaybeUnlockArgs {
    /// The keyring file; without it, no key is used.
    #[arg(long, value_name = "FILE")]
    pub(crate) keyring: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) kek: KekArgs,
}

impl MaybeUnlockArgs {
    /// Where the keyring lies and what unlocks it, if one is named.
    pub(crate) fn open(&self) -> Result<Option<(KeyringPath, Box<dyn Kek + Sync>)>> {
        let Some(file) = &self.keyring else {
            if self.kek.is_given() {
                return Err(Fault::new("a key was named, and no keyring that it unlocks")
                    .help("name it: --keyring FILE"));
            }
            return Ok(None);
        };
        let path = KeyringPath::open(file);
        path.read().map_err(|error| keyring_fault(error, &path))?;
        Ok(Some((path, self.kek.existing()?)))
    }
}

/// What unlocks a keyring. Without either, the key file that AMANAT_KEY_FILE names does; without that, the passphrase is asked for on
/// the terminal.
#[derive(clap::Args)]
#[group(multiple = false)]
pub(crate) struct KekArgs {
    /// File with the passphrase in one line; nobody but its owner may be able to read it.
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Key file; nobody but its owner may be able to read it. To unlock, AMANAT_KEY_FILE names one too.
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
}

impl KekArgs {
    /// Whether an argument names what unlocks the keyring.
    pub(crate) const fn is_given(&self) -> bool {
        self.passphrase_file.is_some() || self.key_file.is_some()
    }

    /// The key-encrypting key of a slot that exists.
    pub(crate) fn existing(&self) -> Result<Box<dyn Kek + Sync>> {
        match self.in_file()? {
            Some(kek) => Ok(kek),
            None => match key_file_of_environment() {
                Some(path) => Ok(Box::new(secret_file::read_key_file(&path)?)),
                None => Ok(Box::new(Passphrase::new(ask("passphrase: ")?)?)),
            },
        }
    }

    /// The key-encrypting key of a slot to be made: a passphrase that is typed is typed twice.
    pub(crate) fn for_new_slot(&self) -> Result<Box<dyn Kek + Sync>> {
        if let Some(kek) = self.in_file()? {
            return Ok(kek);
        }
        let first = ask("new passphrase: ")?;
        if ask("the same again: ")?.expose() != first.expose() {
            return Err(Fault::new("the two passphrases differ; nothing was changed"));
        }
        Ok(Box::new(Passphrase::new(first)?))
    }

    fn in_file(&self) -> Result<Option<Box<dyn Kek + Sync>>> {
        if let Some(path) = &self.key_file {
            return Ok(Some(Box::new(secret_file::read_key_file(path)?)));
        }
        if let Some(path) = &self.passphrase_file {
            return Ok(Some(Box::new(secret_file::read_passphrase(path)?)));
        }
        Ok(None)
    }
}

/// An error of a keyring: which file, and the remedy where the message has none.
pub(crate) fn keyring_fault(error: Error, keyring: &KeyringPath) -> Fault {
    let (kind, path) = (error.kind(), keyring.path().display());
    let refused = error.message().starts_with("no slot") || error.message().starts_with("wrong");
    let wrong_kek = kind == Kind::Unsupported || refused;
    let fault = Fault::from(error);
    match kind {
        // These name their file themselves.
        Kind::Store | Kind::Misuse => fault,
        Kind::Rollback => fault.about(&path).help(format!(
            "put the newest copy back; only if it is lost for good, remove {} and lose every key made since",
            keyring.pin_path().display()
        )),
        _ if wrong_kek => {
            fault.about(&path).help(format!("see what unlocks it: amanat keys slots --keyring {path}"))
        }
        Kind::Malformed | Kind::Limit => {
            fault.about(&path).help(format!("see what is wrong: amanat inspect {path}"))
        }
        _ => fault.about(path),
    }
}

/// The key file of slots that exist. Not an argument's default: an argument that names a passphrase file stands above it, and a new slot
/// is never made from it unseen.
fn key_file_of_environment() -> Option<PathBuf> {
    std::env::var_os("AMANAT_KEY_FILE").filter(|path| !path.is_empty()).map(PathBuf::from)
}

fn ask(prompt: &str) -> Result<SecretBytes> {
    let typed = rpassword::prompt_password(prompt).map_err(|_| {
        Fault::new("no file with a passphrase or key was named, and there is no terminal to ask on")
            .help("name one: --passphrase-file FILE or --key-file FILE")
    })?;
    Ok(SecretBytes::new(typed.into_bytes()))
}
