// SPDX-License-Identifier: MIT OR Apache-2.0
//! The keyless look: what is told apart, and that nothing of the input is repeated.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use std::fs;

use amanat::envelope::{TEXT_PREFIX, VERSION, to_text};
use amanat::inspect::{What, inspect};
use amanat::{Envelope, Suite};

fn envelope() -> Vec<u8> {
    let body = (0..56).map(|n| 0xfb ^ (n * 4));
    [VERSION, Suite::Xaes256Gcm.byte()].into_iter().chain([0x4f; 16]).chain(body).collect()
}

fn wrong(input: impl AsRef<[u8]>) -> String {
    let report = inspect(input.as_ref());
    assert!(matches!(report.what, What::Envelope(_)), "{report:?}");
    report.fault.map(|fault| fault.message().to_owned()).unwrap_or_default()
}

#[test]
fn each_way_to_spoil_an_envelope_is_told_apart() {
    let (bytes, text) = (envelope(), to_text(&envelope()));
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    for whole in [text.clone(), hex.clone(), format!("\\x{hex}"), format!(" {text}\n")] {
        assert_eq!(wrong(whole), "");
    }
    assert_eq!(wrong(&bytes), "");
    let cut = |end: usize| wrong(&bytes[..end]);
    assert!(
        cut(67).contains("truncated by at least 7 bytes")
            && cut(11).contains("truncated by at least 7 bytes")
    );
    assert!(wrong(&text[..text.len() - 9]).contains("truncated by at least 7 bytes"));
    assert!(wrong(text.replace('-', "+")).contains("another variant"));
    assert!(wrong(format!("{text}=")).contains("no padding"));
    assert!(wrong(&text[TEXT_PREFIX.len()..]).contains("without `amn1.`"));
    assert!(wrong(format!("\"{text}\"")).contains("quotes"));
    assert!(wrong(text.to_uppercase()).contains("case"));
    assert!(wrong(text.replace("amn1.", "amn2.")).contains("version"));
    assert!(wrong(format!("{hex}0")).contains("odd"));
}

#[test]
fn what_amanat_did_not_make_is_named_and_never_whole() {
    for (input, what) in [
        (&b"3520212345671"[..], "text"),
        (b"-----BEGIN CERTIFICATE-----", "PEM"),
        (b"{\"cnic\": 1}", "JSON"),
        (b"eyJhbGciOiJIUzI1NiJ9.e30.c2ln", "JSON web token"),
        (b"vault:v1:AAAA", "transit ciphertext"),
        (b"age-encryption.org/v1\n", "age file"),
        (b"\xff\xfea\0b\0", "UTF-16 text"),
        (b"a\0b\0c\0", "UTF-16 text"),
        (b"SQLite format 3\0", "SQLite database"),
        (b"PAR1\x15\x04", "Parquet file"),
        (b"\x1f\x8b\x08", "compressed file"),
        (b"\xee\xee", "unknown bytes"),
    ] {
        let report = inspect(input);
        assert_eq!((report.what.to_string().as_str(), report.fault.is_some()), (what, true));
    }
    assert!(matches!(inspect(b"*****-****567-1").what, What::Mask));
    assert!(matches!(inspect(b"").what, What::Empty));
}

#[test]
fn the_envelopes_of_a_table_are_counted_by_suite_and_key() {
    let (text, cut) = (to_text(&envelope()), to_text(&envelope()[..40]));
    let table = format!("id,name,city\n1,{text},x\n2,\"{text}\",y\n3,{cut},z\n4,{cut},z\n");
    let report = inspect(table.as_bytes());
    let What::Envelopes(census) = &report.what else { panic!("{report:?}") };
    let counts: Vec<_> = census.keys.iter().map(|((suite, _), number)| (*suite, *number)).collect();
    assert_eq!((counts, census.spoiled), (vec![(Suite::Xaes256Gcm, 2)], 2));
    let fault = report.fault.unwrap().message().to_owned();
    assert!(fault.starts_with("line 4: ") && fault.ends_with("and 1 more"), "{fault}");
    assert!(matches!(inspect(format!("{text}\n{text}\n").as_bytes()).what, What::Envelopes(_)));
    assert!(inspect(format!("[\"{text}\", \"{text}\"]").as_bytes()).fault.is_none());
}

#[test]
fn any_bytes_are_looked_at_without_panic_and_are_not_repeated() {
    let text = to_text(&envelope());
    let key_file = format!("amanat-key-file-v1:{}\n", "Q".repeat(43));
    for input in [
        text.as_bytes(),
        key_file.as_bytes(),
        b"{\"format\": \"amanat-keyring\"",
        b"[[table]]\nname = 7",
        b"0x\\x'",
    ] {
        for end in 0..=input.len() {
            for byte in [0, b'"', 0x80, 0xff] {
                let spoiled = [&input[..end], &[byte]].concat();
                let _ = (inspect(&spoiled), inspect(&input[..end]), inspect(&input[end..]));
            }
        }
    }
    let report = format!("{:?}", inspect(key_file.as_bytes()));
    assert!(report.contains("KeyFile") && !report.contains("QQ"), "{report}");
}

/// The files of our own vectors; those of others stand in a folder of their own.
fn vectors() -> impl Iterator<Item = String> {
    let paths = fs::read_dir("tests/vectors").unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.is_file()).map(|path| fs::read_to_string(path).unwrap())
}

#[test]
fn the_look_agrees_with_the_parser_on_every_vector() {
    let (mut whole, mut spoiled) = (0, 0);
    for text in vectors() {
        let Some(hex) = text.lines().find_map(|line| line.strip_prefix("envelope: ")) else { continue };
        let bytes: Vec<u8> =
            (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
        let parsed = Envelope::parse(&bytes);
        let report = inspect(&bytes);
        let seen = matches!(report.what, What::Envelope(_)) && report.fault.is_none();
        assert_eq!(seen, parsed.is_ok(), "{report:?}");
        if let (What::Envelope(facts), Ok(envelope)) = (&report.what, &parsed) {
            assert_eq!((facts.suite, facts.key), (Some(envelope.suite()), Some(envelope.key())));
            assert_eq!(facts.padded_bytes, Some(envelope.padded_bytes()));
            whole += 1;
        } else {
            spoiled += 1;
        }
    }
    assert!(whole > 20 && spoiled > 10, "{whole} {spoiled}");
}

#[test]
fn keyrings_of_the_vectors_are_read_or_said_to_be_wrong() {
    let mut seen = [0, 0];
    for text in vectors() {
        let Some((head, file)) = text.split_once("\nfile:\n") else { continue };
        if !head.contains("kind: keyring\n") || !file.starts_with("{\n  \"format\": \"amanat-keyring\"") {
            continue;
        }
        let What::Keyring(read) = inspect(file.as_bytes()).what else { panic!("no keyring: {head}") };
        seen[usize::from(read.is_some())] += 1;
    }
    assert!(seen[0] > 5 && seen[1] > 5, "{seen:?}");
}
