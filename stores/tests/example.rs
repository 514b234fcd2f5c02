// SPDX-License-Identifier: MIT OR Apache-2.0
//! The example of the documentation runs.

#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used)]

#[expect(dead_code, reason = "its entry point reads the command line")]
#[path = "../examples/registry.rs"]
mod registry;

#[test]
fn the_example_goes_from_nothing_to_stored_records() {
    let folder = tempfile::tempdir().unwrap();
    registry::run(folder.path()).unwrap();
    assert!(folder.path().join("registry.keyring.pin").exists());
}
