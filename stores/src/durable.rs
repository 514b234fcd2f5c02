// SPDX-License-Identifier: MIT OR Apache-2.0
//! Files that appear whole or not at all.
//!
//! Owns the part file beside its target, its lock, and the rename. Never touches the target before the new content is on disk.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use amanat::error::{Error, Result};

/// Ending of the name of a file that is still being written.
const PART_SUFFIX: &str = ".amanat-part";
/// How often a part file is made anew because another starter removed it; whoever loses so often has a busy rival.
const TRIES: u32 = 100;

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
/// removed by the next writer of the same target, or [gone on with](Self::resume).
#[derive(Debug)]
pub struct PartFile {
    file: File,
    part: PathBuf,
    target: PathBuf,
    /// Whether it is left where it is.
    stays: AtomicBool,
}

impl PartFile {
    /// Starts writing a target.
    ///
    /// # Errors
    /// `Store` if another process is writing the same target, or if the folder cannot be written.
    pub fn create(target: &Path, access: Access) -> Result<Self> {
        let part = part_path(target)?;
        for _ in 0..TRIES {
            remove_leftover(&part)?;
            let file = match create_new(&part, access) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                made => made.map_err(|error| failed(target, "cannot be written", error))?,
            };
            // A file system without locks loses only the check against two writers.
            if let Err(TryLockError::WouldBlock) = file.try_lock() {
                return Err(busy(target));
            }
            // Before it was locked, another starter may have taken it for a leftover and put its own there.
            if is_at(&file, &part) {
                return Ok(Self { file, part, target: target.to_path_buf(), stays: AtomicBool::new(false) });
            }
        }
        Err(busy(target))
    }

    /// Goes on with what an earlier writer left, at its end; `None` if nothing is left. It stays where it is even when dropped.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn resume(target: &Path) -> Result<Option<Self>> {
        let part = part_path(target)?;
        for _ in 0..TRIES {
            match fs::symlink_metadata(&part) {
                Ok(metadata) if !metadata.is_file() => return Ok(None),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(failed(&part, "cannot be looked at", error)),
            }
            let mut file = match OpenOptions::new().write(true).open(&part) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                opened => opened.map_err(|error| failed(&part, "cannot be opened", error))?,
            };
            if let Err(TryLockError::WouldBlock) = file.try_lock() {
                return Err(busy(target));
            }
            if is_at(&file, &part) {
                file.seek(SeekFrom::End(0)).map_err(|error| failed(&part, "cannot be written", error))?;
                return Ok(Some(Self {
                    file,
                    part,
                    target: target.to_path_buf(),
                    stays: AtomicBool::new(true),
                }));
            }
        }
        Err(busy(target))
    }

    /// Leaves the content where it is when this is dropped, for somebody who goes on with it.
    pub fn stay(&self) {
        self.stays.store(true, Ordering::Relaxed);
    }

    /// Keeps this many bytes and writes on behind them.
    ///
    /// # Errors
    /// `Store` if there are fewer, or if the system fails.
    pub fn cut(&mut self, bytes: u64) -> Result<()> {
        let failed = |error| failed(&self.part, "cannot be written", error);
        if self.file.metadata().map_err(failed)?.len() < bytes {
            return Err(refused(
                &self.part,
                "is shorter than when the run stopped",
                io::ErrorKind::UnexpectedEof,
            ));
        }
        self.file.set_len(bytes).map_err(failed)?;
        self.file.seek(SeekFrom::Start(bytes)).map(drop).map_err(failed)
    }

    /// Removes the content now.
    ///
    /// # Errors
    /// `Store` if the system does not remove it.
    pub fn discard(self) -> Result<()> {
        self.stay();
        fs::remove_file(&self.part).map_err(|error| failed(&self.part, "cannot be removed", error))
    }

    /// Gives the file the owner and the permissions of another.
    pub(crate) fn imitate(&self, like: &fs::Metadata) -> Result<()> {
        #[cfg(unix)]
        {
            use std::os::unix::fs::{MetadataExt, fchown};
            let own =
                self.file.metadata().map_err(|error| failed(&self.part, "cannot be looked at", error))?;
            let [user, group] = [(own.uid(), like.uid()), (own.gid(), like.gid())]
                .map(|(own, like)| Some(like).filter(|like| *like != own));
            if user.is_some() || group.is_some() {
                fchown(&self.file, user, group).map_err(|error| {
                    failed(&self.target, "its owner cannot be given to a new file", error)
                })?;
            }
        }
        let set = self.file.set_permissions(like.permissions());
        set.map_err(|error| failed(&self.target, "its permissions cannot be given to a new file", error))
    }

    /// What makes the content durable from another thread.
    ///
    /// # Errors
    /// `Store` if the system has no further descriptor.
    pub fn syncer(&self) -> Result<Syncer> {
        let file = self.file.try_clone().map_err(|error| failed(&self.part, "cannot be opened", error))?;
        Ok(Syncer { file, part: self.part.clone() })
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
    pub fn commit(self) -> Result<()> {
        let sync = self.file.sync_all();
        sync.map_err(|error| failed(&self.target, "cannot be made durable", error))?;
        let rename = fs::rename(&self.part, &self.target);
        rename.map_err(|error| failed(&self.target, "cannot be put in place", error))?;
        self.stay();
        sync_folder(&self.target)
    }
}

/// Makes durable what was written to a [`PartFile`] and not yet put in place.
#[derive(Debug)]
pub struct Syncer {
    file: File,
    part: PathBuf,
}

impl Syncer {
    /// Makes everything durable that was written so far, and that the file is there.
    pub(crate) fn sync(&self) -> Result<()> {
        self.file.sync_data().map_err(|error| failed(&self.part, "cannot be made durable", error))?;
        sync_folder(&self.part)
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
        if !*self.stays.get_mut() {
            // Nothing better can be done with a failure here; the next writer removes it.
            let _ = fs::remove_file(&self.part);
        }
    }
}

fn part_path(target: &Path) -> Result<PathBuf> {
    beside(target, PART_SUFFIX)
}

/// The hidden file of a target with this ending.
pub(crate) fn beside(target: &Path, suffix: &str) -> Result<PathBuf> {
    let name = target
        .file_name()
        .ok_or_else(|| refused(target, "the path names no file", io::ErrorKind::InvalidInput))?;
    let mut part = std::ffi::OsString::from(".");
    part.push(name);
    part.push(suffix);
    Ok(target.with_file_name(part))
}

/// Removes what a killed writer left; refuses while the writer lives.
fn remove_leftover(part: &Path) -> Result<()> {
    let is_file = match fs::symlink_metadata(part) {
        Ok(metadata) => metadata.is_file(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(part, "cannot be looked at", error)),
    };
    // Locked until it is removed, so that no two starters remove one after the other, and the second the first one's new file.
    let mut leftover = None;
    if is_file {
        let file = match File::open(part) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            opened => opened.map_err(|error| failed(part, "cannot be opened", error))?,
        };
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            return Err(busy(part));
        }
        if !is_at(&file, part) {
            return Ok(());
        }
        leftover = Some(file);
    }
    let removed = match fs::remove_file(part) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    };
    drop(leftover);
    removed.map_err(|error| failed(part, "is left from an earlier run and cannot be removed", error))
}

/// Whether a path still names this open file.
#[cfg(unix)]
pub(crate) fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let same =
        |here: fs::Metadata, there: fs::Metadata| (here.dev(), here.ino()) == (there.dev(), there.ino());
    file.metadata().ok().zip(fs::symlink_metadata(path).ok()).is_some_and(|(here, there)| same(here, there))
}

/// Where files have no number, an open one cannot be removed either.
#[cfg(not(unix))]
pub(crate) const fn is_at(_: &File, _: &Path) -> bool {
    true
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
pub(crate) fn sync_folder(path: &Path) -> Result<()> {
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
        io::ErrorKind::InvalidData => "nothing was changed",
        io::ErrorKind::NotFound => "there is no part file",
        io::ErrorKind::PermissionDenied => "its mode is too open",
        io::ErrorKind::UnexpectedEof => "bytes are missing",
        io::ErrorKind::WouldBlock => "its lock is held",
        _ => "no file can have this path",
    };
    failed(path, what, io::Error::new(kind, reason))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn of_starters_at_the_same_time_none_loses_its_file_to_another() {
        let folder = tempfile::tempdir().expect("a folder");
        let target = folder.path().join("target");
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..500 {
                        let Ok(part) = PartFile::create(&target, Access::Owner) else { continue };
                        std::thread::yield_now();
                        assert!(
                            is_at(&part.file, part.path()),
                            "the file that is written is the one at the path"
                        );
                    }
                });
            }
        });
    }
}
