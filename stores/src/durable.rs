// SPDX-License-Identifier: MIT OR Apache-2.0
//! Files that appear whole or not at all.
//!
//! Owns the part file beside its target, its lock, and the rename. Never touches the target before the new content is on disk.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use amanat::error::{Error, Result};

/// Ending of the name of a file that is still being written.
const PART_SUFFIX: &str = ".amanat-part";

/// Who may read a new file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Access {
    /// Whoever the process's umask lets read.
    Default,
    /// Its owner only (0600 on Unix): secrets and revealed plaintext.
    Owner,
}

/// A file that is being written beside its target: `.<name>.amanat-part`, locked while its writer lives.
///
/// Dropped without [`commit`](Self::commit), it is removed and the target stays as it was. What a killed process left is
/// removed by the next writer of the same target.
#[derive(Debug)]
pub struct PartFile {
    file: File,
    part: PathBuf,
    target: PathBuf,
    done: bool,
}

impl PartFile {
    /// Starts writing a target.
    ///
    /// # Errors
    /// `Store` if another process is writing the same target, or if the folder cannot be written.
    pub fn create(target: &Path, access: Access) -> Result<Self> {
        let part = part_path(target)?;
        remove_leftover(&part)?;
        let file = create_new(&part, access).map_err(|error| failed(target, "cannot be written", error))?;
        let this = Self { file, part, target: target.to_path_buf(), done: false };
        // A file system without locks loses only the check against two writers.
        if let Err(TryLockError::WouldBlock) = this.file.try_lock() {
            return Err(busy(target));
        }
        Ok(this)
    }

    /// Where the part file is, for a writer that opens it by name.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.part
    }

    /// Makes the content durable where it is.
    ///
    /// # Errors
    /// What the system fails with.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    /// Makes the content durable and gives it the target's name.
    ///
    /// # Errors
    /// `Store` if a step fails; the target is then as it was, unless only the last step, syncing the folder, failed.
    pub fn commit(mut self) -> Result<()> {
        let sync = self.file.sync_all();
        sync.map_err(|error| failed(&self.target, "cannot be made durable", error))?;
        let rename = fs::rename(&self.part, &self.target);
        rename.map_err(|error| failed(&self.target, "cannot be put in place", error))?;
        self.done = true;
        sync_folder(&self.target)
    }
}

impl Write for PartFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for PartFile {
    fn drop(&mut self) {
        if !self.done {
            // Nothing better can be done with a failure here; the next writer removes it.
            let _ = fs::remove_file(&self.part);
        }
    }
}

fn part_path(target: &Path) -> Result<PathBuf> {
    let name = target
        .file_name()
        .ok_or_else(|| refused(target, "the path names no file", io::ErrorKind::InvalidInput))?;
    let mut part = std::ffi::OsString::from(".");
    part.push(name);
    part.push(PART_SUFFIX);
    Ok(target.with_file_name(part))
}

/// Removes what a killed writer left; refuses while the writer lives.
fn remove_leftover(part: &Path) -> Result<()> {
    let is_file = match fs::symlink_metadata(part) {
        Ok(metadata) => metadata.is_file(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(part, "cannot be looked at", error)),
    };
    if is_file {
        let leftover = File::open(part).map_err(|error| failed(part, "cannot be opened", error))?;
        if let Err(TryLockError::WouldBlock) = leftover.try_lock() {
            return Err(busy(part));
        }
    }
    fs::remove_file(part)
        .map_err(|error| failed(part, "is left from an earlier run and cannot be removed", error))
}

/// Creates a file that must not exist yet; a link at its place is not followed.
fn create_new(path: &Path, access: Access) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if access == Access::Owner {
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    #[cfg(not(unix))]
    let _ = access;
    options.open(path)
}

/// Makes a rename in the folder of `path` durable.
fn sync_folder(path: &Path) -> Result<()> {
    #[cfg(unix)]
    {
        let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        let sync = File::open(folder).and_then(|folder| folder.sync_all());
        sync.map_err(|error| failed(path, "is in place, but its folder cannot be made durable", error))?;
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

fn busy(path: &Path) -> Error {
    refused(path, "is being written by another process; wait for it to end", io::ErrorKind::WouldBlock)
}

/// An error of the file system: path and what failed; the system's reason is its source.
pub(crate) fn failed(path: &Path, what: &str, error: io::Error) -> Error {
    Error::store(format!("{}: {what}", path.display()), error)
}

/// A refusal of our own, as an error of the file system.
pub(crate) fn refused(path: &Path, what: &str, kind: io::ErrorKind) -> Error {
    let reason = match kind {
        io::ErrorKind::AlreadyExists => "the file exists",
        io::ErrorKind::PermissionDenied => "its mode is too open",
        io::ErrorKind::WouldBlock => "its lock is held",
        _ => "no file can have this path",
    };
    failed(path, what, io::Error::new(kind, reason))
}
