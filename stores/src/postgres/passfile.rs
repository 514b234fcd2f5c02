// SPDX-License-Identifier: MIT OR Apache-2.0
//! The password file (PostgreSQL 17 documentation, 32.16).
//!
//! Owns the search for the line that fits. Never uses a file that others can read.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use amanat::error::{Error, Result};
use postgres::Config;
use postgres::config::Host;

/// The password of the first line that fits; none if there is no file or no such line. Of several hosts, the first counts.
pub(super) fn find(file: &Path, config: &Config) -> Result<Option<Vec<u8>>> {
    let text = match fs::read(file) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(Error::store(format!("the password file {} cannot be read", file.display()), error));
        }
    };
    check_access(file)?;
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(name)) => name.clone(),
        Some(Host::Unix(_)) => "localhost".to_owned(),
        None => config.get_hostaddrs().first().map(ToString::to_string).unwrap_or_default(),
    };
    let port = config.get_ports().first().unwrap_or(&5432).to_string();
    let user = config.get_user().unwrap_or_default();
    let database = config.get_dbname().unwrap_or(user);
    let wanted = [host.as_bytes(), port.as_bytes(), database.as_bytes(), user.as_bytes()];
    Ok(text.split(|byte| *byte == b'\n').find_map(|line| password(line, wanted)))
}

/// The password of a line `host:port:database:user:password` if it fits; `*` fits everything, a backslash takes the next byte as it is.
fn password(line: &[u8], wanted: [&[u8]; 4]) -> Option<Vec<u8>> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let mut parts = vec![Vec::new()];
    let (mut escaped, mut any) = (false, Vec::new());
    for byte in line {
        let in_password = parts.len() == 5;
        match byte {
            _ if escaped => escaped = false,
            b'\\' => {
                escaped = true;
                continue;
            }
            b':' if !in_password => {
                any.push(parts.last().is_some_and(|part| part == b"*"));
                parts.push(Vec::new());
                continue;
            }
            _ => {}
        }
        parts.last_mut()?.push(*byte);
    }
    if line.starts_with(b"#") || parts.len() != 5 {
        return None;
    }
    let fits =
        wanted.iter().zip(&parts).zip(&any).all(|((wanted, part), any)| *any || *wanted == part.as_slice());
    if fits { parts.pop() } else { None }
}

#[cfg(unix)]
fn check_access(file: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = fs::metadata(file).map(|found| found.permissions().mode());
    let mode = mode.map_err(|error| Error::store("the password file cannot be looked at", error))?;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(Error::misuse(format!(
        "the password file {0} can be read by others; run chmod 600 {0}",
        file.display()
    )))
}

#[cfg(not(unix))]
fn check_access(_file: &Path) -> Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_fits_by_all_four_parts() {
        let wanted: [&[u8]; 4] = [b"h:1", b"5432", b"d", b"u\\"];
        for (line, found) in [
            ("h\\:1:5432:d:u\\\\:a:b\\\\\r", Some("a:b\\")),
            ("*:*:*:*:x", Some("x")),
            ("*:*:other:*:x", None),
            ("#*:*:*:*:x", None),
            ("*:*:*:*", None),
            ("", None),
        ] {
            assert_eq!(password(line.as_bytes(), wanted).as_deref(), found.map(str::as_bytes), "{line}");
        }
    }
}
