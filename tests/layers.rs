// SPDX-License-Identifier: MIT OR Apache-2.0
//! The shape of the source: reading order, cipher crates in one place, licence lines.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Imports against the reading order, each with its reason.
const EXCEPTIONS: &[(&str, &str, &str)] = &[("error", "ident", "an error's place is made of public names")];

/// Crates that compute with keys or make randomness.
const CIPHER_CRATES: &[&str] = &[
    "aead",
    "aes",
    "aes_gcm",
    "aes_siv",
    "argon2",
    "chacha20",
    "chacha20poly1305",
    "getrandom",
    "hkdf",
    "hmac",
    "hpke",
    "ring",
    "sha2",
];

/// Other crates that the library uses. A new dependency is put here or above.
const OTHER_CRATES: &[&str] =
    &["amanat_derive", "base64_turbo", "serde", "serde_json", "subtle", "toml", "zeroize"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below a folder, without what is built.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of the repository") {
        let path = entry.expect("an entry of a folder").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let built = name == "target" || name.starts_with('.') || path.join("CACHEDIR.TAG").exists();
        if path.is_dir() && !built {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// The code of a file: without comments and without its test module.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("a source file");
    let text = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    let without_comment = |line: &str| {
        let comment = line.trim_start().starts_with("//");
        if comment { String::new() } else { line.split(" // ").next().unwrap_or_default().to_owned() }
    };
    text.lines().map(without_comment).collect::<Vec<_>>().join("\n")
}

/// What stands after each occurrence of `path::` that is not the end of a longer path or name.
fn after<'a>(code: &'a str, path: &str) -> Vec<&'a str> {
    let pattern = format!("{path}::");
    let starts_path = |at: usize| {
        let before = code[..at].chars().next_back().unwrap_or(' ');
        !(before.is_alphanumeric() || before == '_' || before == ':')
    };
    let hits = code.match_indices(&pattern).filter(|(at, _)| starts_path(*at));
    hits.map(|(at, _)| &code[at + pattern.len()..]).collect()
}

/// The first names of a path or of a group of paths: `a::b` gives a; `{a, b::{c, d}}` gives a and b.
fn first_names(path: &str) -> Vec<String> {
    let word = |text: &str| -> String {
        text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    };
    let Some(group) = path.strip_prefix('{') else {
        return vec![word(path)];
    };
    let (mut depth, mut names, mut start) = (0, Vec::new(), 0);
    for (at, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            ',' | '}' if depth == 0 => {
                names.push(word(&group[start..at]));
                start = at + 1;
                if letter == '}' {
                    break;
                }
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

/// The floors of `src/lib.rs`: blocks of `mod` lines, with a blank line between.
fn floors() -> Vec<Vec<String>> {
    let lib = code(&root().join("src/lib.rs"));
    let mut floors = vec![Vec::new()];
    for line in lib.lines().map(str::trim) {
        let name = line.strip_prefix("pub ").unwrap_or(line).strip_prefix("mod ");
        match (name.and_then(|name| name.strip_suffix(';')), floors.last_mut()) {
            (Some(name), Some(floor)) => floor.push(name.to_owned()),
            (None, Some(floor)) if line.is_empty() && !floor.is_empty() => floors.push(Vec::new()),
            _ => {}
        }
    }
    floors.retain(|floor| !floor.is_empty());
    floors
}

/// The module of the crate's root that a file of `src/` belongs to, and how deep in its folder the file stands.
fn module_of(file: &Path) -> (String, usize) {
    let inside = file.strip_prefix(root().join("src")).expect("a file of src");
    let parts: Vec<String> =
        inside.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
    let first = parts.first().expect("a file name");
    let in_module_file = parts.last().is_some_and(|name| name == "mod.rs");
    (first.trim_end_matches(".rs").to_owned(), parts.len() - usize::from(in_module_file))
}

/// Which modules each module uses.
fn imports() -> BTreeMap<String, BTreeSet<String>> {
    let mut imports: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in rust_files(&root().join("src")) {
        let (module, depth) = module_of(&file);
        if module == "lib" || module == "tests" {
            continue;
        }
        let code = code(&file);
        let to_root = vec!["super"; depth].join("::");
        let used = imports.entry(module.clone()).or_default();
        for path in after(&code, "crate").into_iter().chain(after(&code, &to_root)) {
            used.extend(first_names(path).into_iter().filter(|name| *name != module));
        }
    }
    imports
}

#[test]
fn these_checks_see_every_way_to_name_a_module() {
    let code = "use crate::{a, b::{c, d}, e::F};\nuse crate::g;\n crate::h::i(keyring::x, crate::ring::y)";
    let names: Vec<String> = after(code, "crate").into_iter().flat_map(first_names).collect();
    assert_eq!(names, ["a", "b", "e", "g", "h", "ring"]);
    assert!(after(code, "ring").is_empty() && after("ring::aead", "ring") == ["aead"]);
}

#[test]
fn a_module_uses_only_its_own_floor_and_those_before_it() {
    let floors = floors();
    let floor_of = |name: &str| floors.iter().position(|floor| floor.iter().any(|module| module == name));
    assert!(floors.len() > 4, "src/lib.rs was not understood: {floors:?}");
    for (module, used) in imports() {
        let own = floor_of(&module);
        assert!(own.is_some(), "{module} is not declared in src/lib.rs");
        for name in used {
            let re_exported = name.starts_with(char::is_uppercase);
            assert!(!re_exported, "{module} uses crate::{name}: name the module, re-exports are for users");
            // What is no module of the root was named by `super` in a module inside the file.
            let later = floor_of(&name) > own;
            assert!(!later, "{module} uses {name}, which comes later in src/lib.rs");
        }
    }
}

#[test]
fn no_two_modules_use_each_other() {
    let mut graph = imports();
    for (module, used, reason) in EXCEPTIONS {
        let removed = graph.get_mut(*module).is_some_and(|set| set.remove(*used));
        assert!(removed, "{module} does not use {used} any more ({reason}): remove the exception");
    }
    // Taking away modules that use nothing that is left must take away all.
    while !graph.is_empty() {
        let names: BTreeSet<String> = graph.keys().cloned().collect();
        let before = graph.len();
        graph.retain(|_, used| used.iter().any(|name| names.contains(name)));
        assert!(graph.len() < before, "these modules use each other in a circle: {names:?}");
    }
}

#[test]
fn only_the_crypto_module_names_cipher_crates() {
    let allowed = |file: &Path, name: &str| {
        let inside = file.strip_prefix(root()).expect("a file of the repository");
        // The crate's own tests compare with what the crates compute.
        let tests = inside.starts_with("src/tests");
        // Receipts name whole files by their hash. The library has no such function: it could be handed an identifier.
        let files =
            ["cli/src/export.rs", "cli/src/token/receipt.rs"].iter().any(|file| inside == Path::new(file));
        // TLS to PostgreSQL takes its ciphers from ring, by rustls's own door. `foreign/` opens what other tools sealed, and is not looked at.
        let tls = inside == Path::new("stores/src/postgres/tls.rs") && name == "ring";
        tests
            || tls
            || (files && name == "sha2")
            || inside.starts_with("src/crypto")
            || (inside == Path::new("src/keys/kek.rs") && name == "argon2")
    };
    for folder in ["src", "derive/src", "stores/src", "cli/src"] {
        for file in rust_files(&root().join(folder)) {
            let code = code(&file);
            for name in CIPHER_CRATES.iter().filter(|name| !allowed(&file, name)) {
                let named = !after(&code, name).is_empty() || code.contains(&format!("use {name};"));
                assert!(!named, "{} names the crate {name}", file.display());
            }
        }
    }
}

#[test]
fn every_dependency_is_known_to_these_checks() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("Cargo.toml");
    let section = manifest.split("\n[dependencies]\n").nth(1).expect("dependencies");
    let section = section.split("\n[").next().unwrap_or_default();
    let lines = section.lines().filter(|line| !line.starts_with('#'));
    let names: Vec<String> =
        lines.filter_map(|line| Some(line.split_once(" = ")?.0.replace('-', "_"))).collect();
    assert!(names.len() > 10, "Cargo.toml was not understood: {names:?}");
    for name in names {
        let known = [CIPHER_CRATES, OTHER_CRATES].concat().contains(&name.as_str());
        assert!(known, "{name} is new: put it in a list of tests/layers.rs");
    }
}

#[test]
fn every_source_file_begins_with_its_licence() {
    let files = rust_files(root());
    assert!(files.len() > 30);
    for file in files {
        let text = fs::read_to_string(&file).expect("a source file");
        let first = text.lines().next().unwrap_or_default();
        assert_eq!(first, "// SPDX-License-Identifier: MIT OR Apache-2.0", "{}", file.display());
    }
}
