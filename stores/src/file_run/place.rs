// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where the output of a run is written, and how it gets its name.
//!
//! Owns owner and permissions of a file that replaces another. Never leaves a name without a whole file behind it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use amanat::error::Result;

use super::{FileOrder, Placing};
use crate::durable::{Access, PartFile, failed, is_at, refused, sync_folder};

/// The file that the output becomes. In place that is where links lead to, so that the link stays.
pub(super) fn target(order: &FileOrder) -> Result<PathBuf> {
    match &order.placing {
        Placing::Output(path) => Ok(path.clone()),
        Placing::InPlace(_) => {
            let path = fs::canonicalize(&order.input);
            path.map_err(|error| failed(&order.input, "cannot be found", error))
        }
    }
}

/// Begins the output.
pub(super) fn new_part(order: &FileOrder, target: &Path, input: &File) -> Result<PartFile> {
    if order.placing.is_beside() {
        return PartFile::create(target, Access::Default);
    }
    let metadata = input.metadata().map_err(|error| failed(target, "cannot be looked at", error))?;
    #[cfg(unix)]
    if std::os::unix::fs::MetadataExt::nlink(&metadata) > 1 {
        return Err(refused(
            target,
            "has further names (hard links), under which the plaintext would stay; remove them or write to another file",
            io::ErrorKind::InvalidData,
        ));
    }
    let part = PartFile::create(target, Access::Owner)?;
    part.imitate(&metadata)?;
    Ok(part)
}

/// Gives the input a second name, or makes a copy where that cannot be.
pub(super) fn keep(input: &Path, keep: &Path) -> Result<()> {
    let source = File::open(input).map_err(|error| failed(input, "cannot be read", error))?;
    // A run that was killed behind this step did it before.
    if cfg!(unix) && is_at(&source, keep) {
        return Ok(());
    }
    if fs::hard_link(input, keep).is_ok() {
        return sync_folder(keep);
    }
    let mut source = source;
    let metadata = source.metadata().map_err(|error| failed(input, "cannot be looked at", error))?;
    let mut part = PartFile::create(keep, Access::Owner)?;
    part.imitate(&metadata)?;
    io::copy(&mut source, &mut part).map_err(|error| failed(keep, "cannot be written", error))?;
    part.commit()
}

/// Whether a run that was killed while names were given had given the output its own.
pub(super) fn is_placed(target: &Path, bytes: u64) -> Result<()> {
    let length = fs::symlink_metadata(target).map(|metadata| metadata.len());
    match length {
        Ok(length) if length == bytes => Ok(()),
        _ => Err(refused(
            target,
            "the output of the earlier run is neither here nor beside it",
            io::ErrorKind::InvalidData,
        )),
    }
}

/// Removes a file that need not be there.
pub(super) fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(failed(path, "cannot be removed", error))
        }
        _ => sync_folder(path),
    }
}

impl Placing {
    const fn is_beside(&self) -> bool {
        matches!(self, Self::Output(_))
    }
}
