// SPDX-License-Identifier: MIT OR Apache-2.0
//! The server's programs and the user that runs them.
//!
//! Owns the search. Never installs anything: a test that finds nothing says what to install.

use std::cmp::Reverse;
use std::fs;
use std::path::{Path, PathBuf};

/// Where Debian puts the versions, none of which is on PATH.
const VERSIONS: &str = "/usr/lib/postgresql";
const NEEDED: [&str; 3] = ["initdb", "pg_dump", "postgres"];

/// The folder that the programs are in.
pub(super) fn folder() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).collect::<Vec<_>>();
    let has_all = |folder: &PathBuf| NEEDED.iter().all(|program| folder.join(program).is_file());
    on_path.into_iter().chain(versions()).find(has_all).unwrap_or_else(|| {
        panic!(
            "no PostgreSQL server programs (initdb, pg_dump, postgres) on PATH or below {VERSIONS}; \
             install them (Debian: apt-get install postgresql postgresql-contrib)"
        )
    })
}

/// Installed versions, the newest first.
fn versions() -> Vec<PathBuf> {
    let entries = fs::read_dir(VERSIONS).into_iter().flatten().flatten();
    let mut found: Vec<(u32, PathBuf)> = entries
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    found.sort_unstable_by_key(|(version, _)| Reverse(*version));
    found.into_iter().map(|(_, folder)| folder).collect()
}

/// User and group ids that the server runs as.
#[derive(Clone, Copy, Debug)]
pub(super) struct Account {
    pub(super) user: u32,
    pub(super) group: u32,
}

/// The account to change to: the server refuses to run as root. None for anybody else.
pub(super) fn account() -> Option<Account> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let accounts = fs::read_to_string(Path::new("/etc/passwd")).unwrap_or_default();
    let found =
        ["postgres", "nobody"].iter().find_map(|name| accounts.lines().find_map(|line| named(line, name)));
    Some(found.unwrap_or_else(|| {
        panic!("PostgreSQL refuses to run as root and there is no user `postgres` or `nobody`; run the tests as another user")
    }))
}

fn named(line: &str, name: &str) -> Option<Account> {
    let mut parts = line.split(':');
    (parts.next()? == name).then_some(())?;
    let (user, group) = (parts.nth(1)?, parts.next()?);
    Some(Account { user: user.parse().ok()?, group: group.parse().ok()? })
}
