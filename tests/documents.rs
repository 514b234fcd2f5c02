// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the documents say of files and bytes is so.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::fs;
use std::path::Path;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_worked_example_is_the_vector_it_names() {
    let spec = fs::read_to_string(root().join("SPEC.md")).unwrap();
    let (_, example) = spec.split_once("## 12. Worked example").unwrap();
    let vector = fs::read_to_string(root().join("tests/vectors/open_suite_1_cnic.txt")).unwrap();
    let value = |name: &str| vector.lines().find_map(|line| line.strip_prefix(&format!("{name}: "))).unwrap();
    let names = [
        "secret",
        "registry",
        "table",
        "field",
        "key-id",
        "field-key",
        "padded",
        "ad",
        "xaes-l",
        "xaes-k1",
        "xaes-kx",
        "xaes-nx",
        "text",
    ];
    for name in names {
        assert!(example.contains(&format!("`{}`", value(name))), "{name}");
    }
    let envelope = value("envelope");
    for part in [&envelope[36..84], &envelope[84..116], &envelope[116..148]] {
        assert!(example.contains(&format!("`{part}`")), "{part}");
    }
    assert_eq!((envelope.len() / 2, value("text").len()), (74, 104));
}

#[test]
fn every_file_that_a_document_names_exists() {
    for document in ["README.md", "SECURITY.md", "SPEC.md", "CONTRIBUTING.md", "docs/migration.md"] {
        let text = fs::read_to_string(root().join(document)).unwrap();
        let named = text.split(['`', '(', ')', ' ', '\n']).filter(|word| {
            let folders =
                ["src/", "tests/", "cli/", "stores/", "python/", "fuzz/", "examples/", "derive/", "spec/"];
            folders.iter().any(|folder| word.starts_with(folder)) && !word.contains(['*', '…'])
        });
        let mut count = 0;
        for path in named {
            count += 1;
            assert!(root().join(path.trim_end_matches([',', ';', ':'])).exists(), "{document} names {path}");
        }
        assert!(count > 0, "{document} names no file: has the way of writing them changed?");
    }
}
