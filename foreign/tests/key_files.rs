// SPDX-License-Identifier: MIT OR Apache-2.0
//! Key files as people write them: what the help shows is taken, what is wrong is named, nothing secret is repeated.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod common;

use amanat::error::{Error, Kind};
use amanat_foreign::{Format, open};
use common::{Openers, committed};

fn fault(format: &str, key_file: &str) -> Error {
    open(format, key_file.as_bytes()).expect_err("a wrong key file")
}

#[test]
fn formats_are_named_and_explained() {
    for format in Format::ALL {
        assert_eq!(format.as_str().parse::<Format>().unwrap(), *format);
        let help = format.key_file();
        assert!(help.contains("\nKey file: ") && help.ends_with('\n'), "{format}");
        assert!(help.lines().all(|line| line.chars().count() <= 100), "{format}");
    }
    let unknown = fault("rot13", "key");
    assert_eq!(unknown.kind(), Kind::Unsupported);
    assert!(unknown.message().ends_with("fernet, lockbox, pgcrypto, rails, tink, vault"), "{unknown}");
}

#[test]
fn key_files_that_the_help_shows_are_taken() {
    let digits = "0123456789abcdef".repeat(4);
    let shown = |format: Format, member: &str| {
        let line =
            format.key_file().lines().find(|line| line.contains(member) && line.contains('{')).unwrap();
        line.trim().replace("64 hexadecimal digits", &digits).replace('…', "made up")
    };
    open("lockbox", shown(Format::Lockbox, "master_key").as_bytes()).unwrap();
    open("lockbox", shown(Format::Lockbox, "\"key\"").as_bytes()).unwrap();
    open("rails", shown(Format::Rails, "primary_key").as_bytes()).unwrap();
    // Each further member of Lockbox, as shown, in one file.
    let members = Format::Lockbox.key_file().lines().filter(|line| line.starts_with("  \""));
    let members: Vec<_> =
        members.map(|line| line.split("  ").nth(1).unwrap().split("   ").next().unwrap()).collect();
    assert_eq!(members.len(), 5);
    open("lockbox", format!("{{\"master_key\": \"{digits}\", {}}}", members.join(", ")).as_bytes()).unwrap();
}

#[test]
fn what_is_wrong_with_a_key_file_is_named() {
    let cases = [
        ("fernet", "", Kind::Malformed, "has no key"),
        ("fernet", "# only a remark\n", Kind::Malformed, "has no key"),
        ("fernet", "c2hvcnQ=", Kind::Malformed, "not base64url of 32 bytes"),
        ("pgcrypto", "\r\n", Kind::Malformed, "no passphrase"),
        ("lockbox", "{}", Kind::Malformed, "needs master_key or key"),
        ("lockbox", "{\"master_key\": \"00\"}", Kind::Malformed, "64 hexadecimal digits"),
        ("lockbox", "{\"key\": \"00\", \"colour\": 1}", Kind::Malformed, "one too many"),
        ("lockbox", "{\"key\": \"00\", \"algorithm\": \"hybrid\"}", Kind::Unsupported, "algorithm hybrid"),
        (
            "rails",
            "{\"key_derivation_salt\": \"s\", \"digest\": \"SHA1\"}",
            Kind::Malformed,
            "needs primary_key",
        ),
        (
            "rails",
            "{\"primary_key\": \"p\", \"key_derivation_salt\": \"s\"}",
            Kind::Malformed,
            "lacks a member",
        ),
        (
            "rails",
            "{\"primary_key\": [\"p\", \"p\"], \"key_derivation_salt\": \"s\", \"digest\": \"SHA1\"}",
            Kind::Unsupported,
            "the same id",
        ),
        ("tink", "not json", Kind::Malformed, "is no JSON"),
        ("tink", "{\"encryptedKeyset\": \"AA==\"}", Kind::Unsupported, "tinkey convert-keyset"),
        ("tink", "{\"key\": []}", Kind::Malformed, "has no key"),
        ("vault", "{\"data\": {}}", Kind::Malformed, "keys and type"),
        (
            "vault",
            "{\"keys\": {\"01\": \"AA==\"}, \"type\": \"aes256-gcm96\"}",
            Kind::Malformed,
            "a number from 1",
        ),
        (
            "vault",
            "{\"keys\": {\"1\": \"AA==\"}, \"type\": \"aes256-gcm96\"}",
            Kind::Malformed,
            "a key of aes256-gcm96",
        ),
        (
            "vault",
            "{\"keys\": {\"1\": \"AA==\"}, \"type\": \"rsa-2048\"}",
            Kind::Unsupported,
            "type rsa-2048",
        ),
    ];
    for (format, key_file, kind, words) in cases {
        let fault = fault(format, key_file);
        assert_eq!(fault.kind(), kind, "{format}: {fault}");
        assert!(fault.message().contains(words), "{format}: {fault}");
    }
    // The type of a Tink key is named in full.
    let siv = committed(Format::Tink).into_iter().find(|value| value.name == "AES256_GCM_SIV").unwrap();
    let fault = fault("tink", &siv.key);
    assert!(fault.message().contains("type.googleapis.com/google.crypto.tink.AesGcmSivKey"), "{fault}");
}

#[test]
fn values_of_ciphers_that_are_not_opened_are_named() {
    let message =
        committed(Format::Pgcrypto).into_iter().find(|value| value.name.starts_with("bytes-0")).unwrap();
    let opener = open("pgcrypto", message.key.as_bytes()).unwrap();
    // The third byte of a key packet's body is after version and cipher.
    for (byte, id, words) in [
        (3, 2, "cipher 3DES"),
        (3, 4, "cipher Blowfish"),
        (3, 10, "cipher Twofish"),
        (4, 4, "s2k-mode"),
        (5, 1, "s2k-digest-algo MD5"),
        (2, 5, "another version than 4"),
    ] {
        let mut stored = message.stored.clone();
        stored[byte] = id;
        let fault = message.open_instead(&*opener, &stored).unwrap_err();
        assert_eq!(fault.kind(), Kind::Unsupported, "{fault}");
        assert!(fault.message().contains(words), "{fault}");
    }
    let bare = committed(Format::Pgcrypto).into_iter().find(|value| value.name == "disable-mdc=1").unwrap();
    let fault = bare.open_instead(&*opener, &bare.stored).unwrap_err();
    assert!(fault.message().contains("disable-mdc=1"), "{fault}");
}

#[test]
fn no_key_is_printed() {
    let mut openers = Openers::default();
    for format in Format::ALL {
        for value in committed(*format).into_iter().filter(|value| value.expect.is_none()) {
            let shown = format!("{:?}", openers.of(&value).unwrap());
            // Words of the key file that are long enough to be a secret.
            let secrets =
                value.key.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| word.len() >= 12);
            for secret in secrets.filter(|word| !word.contains("associated") && !word.contains("googleapis"))
            {
                assert!(!shown.contains(secret), "{value:?}: {shown}");
            }
            assert!(shown.len() < 200 && !shown.contains("passphrase"), "{value:?}: {shown}");
        }
    }
}
