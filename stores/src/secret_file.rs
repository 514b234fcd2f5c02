// SPDX-License-Identifier: MIT OR Apache-2.0
//! Secrets that lie in files: key files and passphrase files.
//!
//! Owns the check that nobody but the owner reads them (SPEC 6.3). Never takes a secret from an argument or the environment.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use amanat::error::{Error, Result};
use amanat::keys::{KeyFile, MAX_PASSPHRASE_BYTES, Passphrase};
use amanat::secret::SecretBytes;

use crate::durable::{Access, PartFile, failed, refused};

/// Largest key file or passphrase file: a passphrase and a line end of two bytes, and one byte more to see that it is too long.
const MAX_BYTES: usize = MAX_PASSPHRASE_BYTES + 3;

/// Reads a key file. A path such as `/dev/fd/3` reads an open descriptor.
///
/// # Errors
/// `Store` if it cannot be read, or if others than its owner may read it; `Malformed` if it is no key file.
pub fn read_key_file(path: &Path) -> Result<KeyFile> {
    KeyFile::parse(&read_secret(path)?)
        .map_err(|error| Error::malformed(format!("{}: {}", path.display(), error.message())))
}

/// Reads a passphrase: the file without one line end after it. A path such as `/dev/fd/3` reads an open descriptor.
///
/// # Errors
/// `Store` if it cannot be read, or if others than its owner may read it; as [`Passphrase::new`].
pub fn read_passphrase(path: &Path) -> Result<Passphrase> {
    Passphrase::new(read_line(path)?)
}

/// Reads a secret of another kind, as the password of a database: the file without one line end after it.
///
/// # Errors
/// `Store` if it cannot be read, or if others than its owner may read it.
pub fn read_line(path: &Path) -> Result<SecretBytes> {
    let text = read_secret(path)?;
    let bytes = text.expose();
    let line = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let mut passphrase = Vec::with_capacity(MAX_BYTES);
    passphrase.extend_from_slice(line);
    Ok(SecretBytes::new(passphrase))
}

/// Writes a new key file that only its owner may read.
///
/// # Errors
/// `Store` if the file exists or cannot be written.
pub fn create_key_file(path: &Path, key: &KeyFile) -> Result<()> {
    if std::fs::symlink_metadata(path).is_ok() {
        return Err(refused(
            path,
            "a key file is never overwritten; choose another path",
            io::ErrorKind::AlreadyExists,
        ));
    }
    let mut part = PartFile::create(path, Access::Owner)?;
    part.write_all(key.to_text().expose()).map_err(|error| failed(path, "cannot be written", error))?;
    part.commit()
}

/// Reads a secret of another kind, such as the key of a recipient of tokens; at most as long as a passphrase.
///
/// # Errors
/// `Store` if it cannot be read, or if others than its owner may read it.
pub fn read_secret(path: &Path) -> Result<SecretBytes> {
    read_at_most(path, MAX_BYTES)
}

/// Reads the key file of another tool, whose kind of file may be longer; never more than `most` bytes, which is not an error here.
///
/// # Errors
/// `Store` if it cannot be read, or if others than its owner may read it.
pub fn read_at_most(path: &Path, most: usize) -> Result<SecretBytes> {
    let file = File::open(path).map_err(|error| failed(path, "cannot be read", error))?;
    check_owner_only(path, &file)?;
    // Room for more than is read, so that no copy is left behind by growing.
    let mut bytes = Vec::with_capacity(most.saturating_mul(2));
    let most = u64::try_from(most).unwrap_or(u64::MAX);
    let read = file.take(most).read_to_end(&mut bytes);
    let secret = SecretBytes::new(bytes);
    read.map(|_| secret).map_err(|error| failed(path, "cannot be read", error))
}

/// Refuses a file that others than its owner may read. Pipes and terminals belong to this process anyway.
fn check_owner_only(path: &Path, file: &File) -> Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let metadata = file.metadata().map_err(|error| failed(path, "cannot be looked at", error))?;
        if metadata.is_file() && metadata.permissions().mode() & 0o077 != 0 {
            return Err(refused(
                path,
                "others than its owner may read or write it; run `chmod 600` on it",
                io::ErrorKind::PermissionDenied,
            ));
        }
    }
    #[cfg(not(unix))]
    let _ = (path, file);
    Ok(())
}
