// SPDX-License-Identifier: MIT OR Apache-2.0
//! Replays the committed inputs of the fuzz targets that need `amanat-stores`, which the library's own tests cannot use.

use std::path::Path;

#[allow(unreachable_pub, reason = "shared by two crates: exported from one, private to the other")]
#[path = "../../tests/fuzz_bodies/rows.rs"]
mod rows;

#[allow(unreachable_pub, reason = "shared by two crates: exported from one, private to the other")]
#[path = "../../tests/fuzz_bodies/foreign.rs"]
mod foreign;

fn replay(target: &str, body: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let mut inputs = 0;
    for entry in std::fs::read_dir(&folder).expect("a folder of the corpus") {
        let path = entry.expect("an entry").path();
        // Seen only if the body panics.
        println!("{}", path.display());
        body(&std::fs::read(&path).expect("an input"));
        inputs += 1;
    }
    assert!(inputs > 0, "no input for {target}");
}

#[test]
fn every_csv_input_of_the_corpus_still_passes() {
    replay("csv_row", rows::csv_row);
}

#[test]
fn every_json_lines_input_of_the_corpus_still_passes() {
    replay("json_row", rows::json_row);
}

#[test]
fn every_value_of_another_tool_of_the_corpus_still_passes() {
    replay("foreign", foreign::foreign);
}

#[test]
fn every_journal_of_a_run_over_a_file_of_the_corpus_still_passes() {
    replay("file_journal", rows::file_journal);
}
