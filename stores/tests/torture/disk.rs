// SPDX-License-Identifier: MIT OR Apache-2.0
//! A small disk that can be filled and made read-only.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file system in memory, in a folder of its own.
pub(crate) struct Disk {
    folder: tempfile::TempDir,
}

impl Disk {
    /// Mounts one; it belongs to the owner of a file.
    pub(crate) fn mount(owner: &Path) -> Self {
        let folder = tempfile::Builder::new().prefix("amanat-disk-").tempdir_in("/tmp").unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let disk = Self { folder };
        fs::create_dir(disk.path()).unwrap();
        disk.run("mount", &["-t", "tmpfs", "-o", "size=16m", "tmpfs"]);
        let owner = fs::metadata(owner).unwrap();
        chown(disk.path(), Some(owner.uid()), Some(owner.gid())).unwrap();
        disk
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("disk")
    }

    /// Takes the last free byte.
    pub(crate) fn fill(&self) {
        let mut filler = fs::File::create(self.filler()).unwrap();
        let full = std::io::copy(&mut std::io::repeat(0), &mut filler).unwrap_err();
        assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    }

    pub(crate) fn make_room(&self) {
        fs::remove_file(self.filler()).unwrap();
    }

    /// `ro` or `rw`.
    pub(crate) fn remount(&self, mode: &str) {
        self.run("mount", &["-o", &format!("remount,{mode}")]);
    }

    fn filler(&self) -> PathBuf {
        self.path().join("filler")
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let done = Command::new(program).args(arguments).arg(self.path()).output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{program} fails, which needs root: {said}");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a server may still hold its files.
        drop(Command::new("umount").arg("-l").arg(self.path()).status());
    }
}
