// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs every command of README.md and of the pages in `docs/` that stands in a block marked `sh`, in a new folder, with the program just
//! built.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::path::Path;
use std::process::Command;

const README: &str = include_str!("../../README.md");
const MIGRATION: &str = include_str!("../../docs/migration.md");

/// Runs the blocks of a page in a folder.
fn run(page: &str, blocks: usize, folder: &Path) {
    let found: Vec<&str> =
        page.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert_eq!(found.len(), blocks, "a block was added or lost: run it here too");
    let program = Path::new(env!("CARGO_BIN_EXE_amanat")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let script = format!("set -eu\n{}", found.concat());
    let output =
        Command::new("sh").arg("-c").arg(script).current_dir(folder).env("PATH", path).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
}

#[test]
fn every_command_of_the_readme_runs() {
    let folder = tempfile::tempdir().unwrap();
    run(README, 3, folder.path());
    let resealed = std::fs::read_to_string(folder.path().join("resealed.csv")).unwrap();
    assert_eq!(resealed.matches("amn1.").count(), 8, "two rows of four sealed cells");
}

#[test]
fn every_command_of_the_page_on_live_tables_runs() {
    let folder = tempfile::tempdir().unwrap();
    run(MIGRATION, 5, folder.path());
}

#[test]
fn the_readme_stays_short() {
    assert!(README.lines().count() <= 150);
}
