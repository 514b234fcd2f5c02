// SPDX-License-Identifier: MIT OR Apache-2.0
//! Replays every committed input of the fuzz targets.

use std::fs;
use std::path::{Path, PathBuf};

mod fuzz_bodies;

/// The targets that `xtask/tests/corpus.rs` replays.
const ELSEWHERE: &[&str] = &["csv_row", "file_journal", "foreign", "json_row"];

type Body = fn(&[u8]);

/// The targets that are made of the library alone.
const TARGETS: &[(&str, Body)] = &[
    ("envelope_bytes", fuzz_bodies::envelope_bytes),
    ("envelope_text", |data| fuzz_bodies::envelope_text(data, fuzz_bodies::plain_base64)),
    ("ff1", fuzz_bodies::ff1),
    ("identifier", fuzz_bodies::identifier),
    ("inspection", fuzz_bodies::inspection),
    ("keyring", fuzz_bodies::keyring),
    ("keyring_pin", fuzz_bodies::keyring_pin),
    ("normal_form", fuzz_bodies::normal_form),
    ("open_right_key", fuzz_bodies::open_right_key),
    ("open_wrong_key", fuzz_bodies::open_wrong_key),
    ("run_plan", fuzz_bodies::run_plan),
    ("schema", fuzz_bodies::schema),
    ("stream", fuzz_bodies::stream),
    ("surrogates", fuzz_bodies::surrogates),
    ("token_text", fuzz_bodies::token_text),
];

fn names(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder of fuzz/");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
}

#[test]
fn every_input_of_the_corpus_still_passes() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    for (target, body) in TARGETS {
        let files = names(&corpus.join(target));
        assert!(!files.is_empty(), "no input for {target}");
        for file in files {
            // Seen only if the body panics.
            println!("{}", file.display());
            body(&fs::read(&file).expect("an input"));
        }
    }
}

#[test]
fn every_fuzz_target_is_replayed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/fuzz_targets");
    for file in names(&folder) {
        let name = file.file_stem().unwrap_or_default().to_string_lossy();
        let elsewhere = ELSEWHERE.contains(&&*name);
        assert!(elsewhere || TARGETS.iter().any(|(target, _)| *target == name), "{name} is not replayed");
    }
}

#[test]
fn the_empty_input_and_single_bytes_pass() {
    for (_, body) in TARGETS {
        body(&[]);
        (0..=255).for_each(|byte| body(&[byte]));
    }
}
