// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tools that the steps need: found, or installed below the target folder, or the step fails.

use std::path::PathBuf;

use crate::command::{Failure, Place};

/// Versions that are installed where none is found; raised by hand.
const CARGO_DENY: &str = "cargo-deny@0.20.2";
const CARGO_FUZZ: &str = "cargo-fuzz@0.13.2";

/// Makes sure that a component of the toolchain is there.
pub(crate) fn component(place: &Place, component: &str, subcommand: &str) -> Result<(), Failure> {
    if place.cargo([subcommand, "--version"]).output().is_some() {
        return Ok(());
    }
    println!("installing the toolchain component {component}");
    place.program("rustup").args(["component", "add", component]).run()
}

/// The server programs of PostgreSQL, with pgcrypto, where the tests look for them: on PATH, or where Debian puts the versions.
pub(crate) fn postgres(place: &Place) -> Result<(), Failure> {
    if !has_postgres() {
        debian_packages(place, &["postgresql", "postgresql-contrib"], "a PostgreSQL server")?;
    }
    match has_postgres() {
        true => Ok(()),
        false => Err(Failure::new(
            "no PostgreSQL server programs (initdb, postgres) on PATH or below /usr/lib/postgresql; install them there",
        )),
    }
}

fn has_postgres() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let debian = debian.map(|version| version.path().join("bin"));
    let has_all = |folder: PathBuf| ["initdb", "postgres"].iter().all(|name| folder.join(name).is_file());
    std::env::split_paths(&path).chain(debian).any(has_all)
}

/// cargo-deny, from PATH or installed.
pub(crate) fn cargo_deny(place: &Place) -> Result<PathBuf, Failure> {
    // A debug build: it takes half the time to install, and its speed does not matter here.
    cargo_tool(place, "cargo-deny", CARGO_DENY, &["--debug"])
}

/// cargo-fuzz, from PATH or installed.
pub(crate) fn cargo_fuzz(place: &Place) -> Result<PathBuf, Failure> {
    cargo_tool(place, "cargo-fuzz", CARGO_FUZZ, &["--debug"])
}

fn cargo_tool(place: &Place, name: &str, version: &str, options: &[&str]) -> Result<PathBuf, Failure> {
    let root = place.folder("tools")?;
    let installed = root.join("bin").join(name);
    for candidate in [PathBuf::from(name), installed.clone()] {
        if place.program(&candidate).args(["--version"]).output().is_some() {
            return Ok(candidate);
        }
    }
    println!("installing {version} in {}", root.display());
    let build = place.folder("tools/build")?;
    place
        .cargo(["install", "--locked", version])
        .args(options)
        .args(["--root".as_ref(), root.as_os_str(), "--target-dir".as_ref(), build.as_os_str()])
        .run()?;
    std::fs::remove_dir_all(&build)
        .map_err(|e| Failure::new(format!("cannot remove {}: {e}", build.display())))?;
    Ok(installed)
}

/// Installs Debian packages as root; says what to install otherwise.
pub(crate) fn debian_packages(place: &Place, packages: &[&str], what_for: &str) -> Result<(), Failure> {
    let user = place.program("id").args(["-u"]).output().unwrap_or_default();
    let names = packages.join(" ");
    if user.trim() != "0" || place.program("apt-get").args(["--version"]).output().is_none() {
        return Err(Failure::new(format!(
            "{what_for} is missing; install it (Debian: apt-get install {names}) and run again"
        )));
    }
    println!("installing the Debian packages {names}: {what_for} is missing");
    let quiet = |args: &[&str]| {
        place.program("apt-get").env("DEBIAN_FRONTEND", "noninteractive").args(["-q", "-y"]).args(args).run()
    };
    quiet(&["update"])?;
    quiet(&[&["install", "--no-install-recommends"], packages].concat())
}
