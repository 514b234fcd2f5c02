// SPDX-License-Identifier: MIT OR Apache-2.0
//! The keyring file on disk: read, written and locked as SPEC 6.4 and 6.5 say.
//!
//! Owns the lock and the pin beside the file. Never writes a keyring that was not read back and found genuine.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use amanat::error::{Error, Kind, Result};
use amanat::ident::Timestamp;
use amanat::keys::{Kek, Keyring, KeyringFile, MAX_KEYRING_BYTES, Pin};

use crate::durable::{Access, PartFile, failed, refused};

/// Largest pin in bytes.
const MAX_PIN_BYTES: usize = 4_096;
/// How long a change waits for the lock: longer than a write takes, Argon2id included, and shorter than a person waits.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often the lock is tried meanwhile.
const RETRY: Duration = Duration::from_millis(20);

/// Where a keyring lies, with its lock (`<keyring>.lock`) and its pin (`<keyring>.pin`) beside it.
#[derive(Clone, Debug)]
pub struct KeyringPath {
    path: PathBuf,
    patience: Duration,
}

/// The exclusive lock of the one writer; freed when dropped, and by the system when its process dies.
#[derive(Debug)]
struct Lock {
    _file: File,
}

impl KeyringPath {
    /// Names a keyring; nothing is read yet. A symbolic link is followed now: lock and pin lie beside what it leads to.
    #[must_use]
    pub fn open(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        // A rename would replace a link, and leave two keyrings that each count messages of the same keys.
        let link = fs::symlink_metadata(&path).is_ok_and(|found| found.is_symlink());
        let target = if link { fs::canonicalize(&path).ok() } else { None };
        Self { path: target.unwrap_or(path), patience: PATIENCE }
    }

    /// Sets how long a change waits for another process that is changing the keyring; five seconds by default.
    #[must_use]
    pub const fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The keyring file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file that holds the pin.
    #[must_use]
    pub fn pin_path(&self) -> PathBuf {
        self.beside(".pin")
    }

    /// Reads the keyring without unlocking it.
    ///
    /// # Errors
    /// `Store` if the file cannot be read; otherwise as [`KeyringFile::parse`].
    pub fn read(&self) -> Result<KeyringFile> {
        KeyringFile::parse(&self.read_bytes()?)
    }

    /// The pin, if this machine has one.
    ///
    /// # Errors
    /// `Store` if it cannot be read; otherwise as [`Pin::parse`].
    pub fn pin(&self) -> Result<Option<Pin>> {
        match read_bounded(&self.pin_path(), MAX_PIN_BYTES) {
            Ok((bytes, _)) => Pin::parse(&bytes).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(&self.pin_path(), "cannot be read", error)),
        }
    }

    /// Reads and unlocks the keyring, checks it against the pin, and moves the pin on if the keyring is newer.
    ///
    /// # Errors
    /// As [`read`](Self::read) and [`KeyringFile::unlock`]. A pin that cannot be written because the folder is read-only is no error.
    pub fn unlock(&self, kek: &dyn Kek) -> Result<Keyring> {
        self.unlock_as(|file, pin| file.unlock(kek, pin)).map(|(keyring, _)| keyring)
    }

    /// As [`unlock`](Self::unlock), and gives the file that was read, still open: another that takes its place is another file.
    pub(crate) fn unlock_as(
        &self,
        unlock: impl FnOnce(&KeyringFile, Option<&Pin>) -> Result<Keyring>,
    ) -> Result<(Keyring, File)> {
        // The pin first: a writer that comes in between then makes the keyring newer than the pin, never older.
        let pin = self.pin()?;
        let (bytes, file) =
            read_bounded(&self.path, MAX_KEYRING_BYTES).map_err(|error| self.unread(error))?;
        let keyring = unlock(&KeyringFile::parse(&bytes)?, pin.as_ref())?;
        let known = pin.map(|pin| pin.generation());
        if known.is_none_or(|known| known < keyring.generation()) {
            self.remember_as_reader(&keyring)?;
        }
        Ok((keyring, file))
    }

    /// Writes the first generation of a new keyring.
    ///
    /// # Errors
    /// `Store` if the file or its pin exists already, is being written, or cannot be written.
    pub fn create(&self, keyring: &mut Keyring, now: Timestamp) -> Result<()> {
        let lock = self.lock()?;
        for path in [self.path.clone(), self.pin_path()] {
            if fs::symlink_metadata(&path).is_ok() {
                return Err(refused(
                    &path,
                    "a keyring is never overwritten; choose another path",
                    io::ErrorKind::AlreadyExists,
                ));
            }
        }
        self.write(keyring, now, &lock)
    }

    /// Changes the keyring: lock, read, unlock, change, write, pin. Only when this returns may a new key or allowance be used.
    ///
    /// # Errors
    /// `Store` if another process is changing the keyring or a file cannot be written, the keyring then being as it was;
    /// as [`unlock`](Self::unlock); what `change` fails with, nothing being written.
    pub fn update<T>(
        &self,
        kek: &dyn Kek,
        now: Timestamp,
        change: impl FnOnce(&mut Keyring) -> Result<T>,
    ) -> Result<T> {
        let lock = self.lock()?;
        let mut keyring = self.read()?.unlock(kek, self.pin()?.as_ref())?;
        let changed = change(&mut keyring)?;
        self.write(&mut keyring, now, &lock)?;
        Ok(changed)
    }

    /// As [`update`](Self::update) with a keyring that is unlocked already: the KEK is used only if the file has changed since.
    ///
    /// # Errors
    /// As [`update`](Self::update). After a failure `keyring` may be ahead of the file; the next call reads the file again.
    pub fn update_unlocked<T>(
        &self,
        keyring: &mut Keyring,
        kek: &dyn Kek,
        now: Timestamp,
        change: impl FnOnce(&mut Keyring) -> Result<T>,
    ) -> Result<T> {
        let lock = self.lock()?;
        let bytes = self.read_bytes()?;
        if keyring.verify(&bytes).is_err() {
            *keyring = KeyringFile::parse(&bytes)?.unlock(kek, self.pin()?.as_ref())?;
        }
        let changed = change(keyring)?;
        self.write(keyring, now, &lock)?;
        Ok(changed)
    }

    fn read_bytes(&self) -> Result<Vec<u8>> {
        read_bounded(&self.path, MAX_KEYRING_BYTES)
            .map(|(bytes, _)| bytes)
            .map_err(|error| self.unread(error))
    }

    /// Why the keyring could not be read.
    pub(crate) fn unread(&self, error: io::Error) -> Error {
        match error.kind() {
            io::ErrorKind::NotFound => {
                failed(&self.path, "there is no such keyring; make one with `amanat init`", error)
            }
            _ => failed(&self.path, "cannot be read", error),
        }
    }

    /// New file in the same folder, fsync, read back and unlock, rename, fsync of the folder; then the pin (SPEC 6.5).
    fn write(&self, keyring: &mut Keyring, now: Timestamp, lock: &Lock) -> Result<()> {
        let bytes = keyring.to_bytes(now)?;
        let mut part = part_of(&self.path)?;
        let written = part.write_all(&bytes).and_then(|()| part.sync());
        written.map_err(|error| failed(&self.path, "cannot be written; it is as it was", error))?;
        let read_back = read_bounded(part.path(), MAX_KEYRING_BYTES);
        let (read_back, _) =
            read_back.map_err(|error| failed(&self.path, "cannot be read back; it is as it was", error))?;
        keyring.verify(&read_back)?;
        part.commit()?;
        self.remember(keyring, lock)
    }

    fn remember(&self, keyring: &Keyring, _lock: &Lock) -> Result<()> {
        let Some(pin) = keyring.pin() else { return Ok(()) };
        let path = self.pin_path();
        let mut part = part_of(&path)?;
        part.write_all(&pin.to_bytes()).map_err(|error| failed(&path, "cannot be written", error))?;
        part.commit()
    }

    /// Moves the pin on after reading. A writer at work does it itself; a read-only folder keeps the pin it has.
    fn remember_as_reader(&self, keyring: &Keyring) -> Result<()> {
        let lock = match self.lock_within(Duration::ZERO) {
            Ok(lock) => lock,
            Err(error) if is_busy_or_read_only(&error) => return Ok(()),
            Err(error) => return Err(error),
        };
        // Under the lock nobody else moves the pin; another may have done so before.
        if self.pin()?.is_some_and(|pin| pin.generation() >= keyring.generation()) {
            return Ok(());
        }
        match self.remember(keyring, &lock) {
            Err(error) if is_busy_or_read_only(&error) => Ok(()),
            done => done,
        }
    }

    fn lock(&self) -> Result<Lock> {
        self.lock_within(self.patience)
    }

    fn lock_within(&self, patience: Duration) -> Result<Lock> {
        let path = self.beside(".lock");
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true);
        // Whoever may not change the keyring may not hold up its writers either.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file =
            options.open(&path).map_err(|error| failed(&path, "cannot be opened for locking", error))?;
        let started = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Lock { _file: file }),
                Err(TryLockError::WouldBlock) if started.elapsed() < patience => thread::sleep(RETRY),
                Err(TryLockError::WouldBlock) => {
                    return Err(refused(
                        &self.path,
                        "another process is changing the keyring; run again when it has ended",
                        io::ErrorKind::WouldBlock,
                    ));
                }
                Err(TryLockError::Error(error)) => return Err(failed(&path, "cannot be locked", error)),
            }
        }
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(suffix);
        name.into()
    }
}

/// Starts writing a file anew: for its owner only, or, if it is there, with the mode that its owner gave it.
fn part_of(path: &Path) -> Result<PartFile> {
    let part = PartFile::create(path, Access::Owner)?;
    #[cfg(unix)]
    if let Ok(found) = fs::metadata(path) {
        let kept = fs::set_permissions(part.path(), found.permissions());
        kept.map_err(|error| failed(path, "its mode cannot be kept", error))?;
    }
    Ok(part)
}

/// Reads a file of at most `limit` bytes; a longer one gives one byte more, which its parser refuses as too long. Gives the open file too.
fn read_bounded(path: &Path, limit: usize) -> io::Result<(Vec<u8>, File)> {
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    let file = File::open(path)?;
    (&file).take(most).read_to_end(&mut bytes)?;
    Ok((bytes, file))
}

fn is_busy_or_read_only(error: &Error) -> bool {
    use io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem, WouldBlock};
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<io::Error>());
    error.kind() == Kind::Store
        && source.is_some_and(|io| matches!(io.kind(), PermissionDenied | ReadOnlyFilesystem | WouldBlock))
}
