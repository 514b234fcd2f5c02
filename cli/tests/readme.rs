// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs every command of README.md that stands in a block marked `sh`, in a new folder, with the program just built.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::path::Path;
use std::process::Command;

const README: &str = include_str!("../../README.md");

#[test]
fn every_command_of_the_readme_runs() {
    let blocks: Vec<&str> =
        README.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert_eq!(blocks.len(), 3, "a block was added or lost: run it here too");
    let folder = tempfile::tempdir().unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_amanat")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let script = format!("set -eu\n{}", blocks.concat());
    let output = Command::new("sh")
        .arg("-c")
        .arg(script)
        .current_dir(folder.path())
        .env("PATH", path)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let resealed = std::fs::read_to_string(folder.path().join("resealed.csv")).unwrap();
    assert_eq!(resealed.matches("amn1.").count(), 8, "two rows of four sealed cells");
}

#[test]
fn the_readme_stays_short() {
    assert!(README.lines().count() <= 150);
}
