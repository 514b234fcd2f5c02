// SPDX-License-Identifier: MIT OR Apache-2.0
//! Seals values of every kind for another implementation to open.
//!
//! With `AMANAT_CROSSCHECK_OUT=FOLDER` set, FOLDER gets `sealed.jsonl` and its keyrings, for
//! `python3 -m amanat_reference check-batch FOLDER/sealed.jsonl`; without it a temporary folder is used and removed.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use amanat::keys::{NewSlot, Passphrase, Purpose};
use amanat::{Date, Engine, FieldContext, Keyring, KeyringFile, RecordId, SecretBytes, ValueRef};

mod common;
#[path = "crosscheck/surrogates.rs"]
mod surrogates;
use common::*;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex")).collect()
}

/// Type byte, stored bytes, value.
fn values() -> Vec<(u8, Vec<u8>, ValueRef<'static>)> {
    let text = |text: &'static str| (1, text.as_bytes().to_vec(), ValueRef::Text(text));
    let bytes = |bytes: &'static [u8]| (2, bytes.to_vec(), ValueRef::Bytes(bytes));
    let integer = |n: i64| (3, n.to_be_bytes().to_vec(), ValueRef::Integer(n));
    let date = |y, m, d| {
        let date = Date::new(y, m, d).expect("a date");
        (4, date.to_bytes().to_vec(), ValueRef::Date(date))
    };
    let cbor = |item: &'static [u8]| (6, item.to_vec(), ValueRef::Cbor(item));
    vec![
        (0, vec![], ValueRef::Null),
        text(""),
        text("0000012345678"),
        text("گلبدن تجربہ"),
        bytes(&[]),
        bytes(&[1, 0x80, 0, 0]),
        bytes(&[0x5a; 1_000]),
        bytes(&[0x5a; 65_536]),
        bytes(&[0x5a; 65_537]),
        bytes(&[0; 2 * 65_536 - 2]),
        integer(0),
        integer(i64::MIN),
        integer(-1),
        date(2000, 2, 29),
        date(1957, 0, 0),
        (5, vec![0], ValueRef::Boolean(false)),
        (5, vec![1], ValueRef::Boolean(true)),
        cbor(&[0xf6]),
        cbor(&[0xa1, 0x61, b'a', 0x82, 0xf5, 0xf6]),
    ]
}

struct Out {
    folder: PathBuf,
    lines: String,
}

impl Out {
    #[expect(clippy::too_many_arguments, reason = "the members of one line")]
    fn line(
        &mut self,
        keyring: &str,
        phrase: &str,
        field: &str,
        id: &[u8],
        envelope: &[u8],
        kind: u8,
        value: &[u8],
    ) {
        let line = serde_json::json!({
            "keyring": keyring, "passphrase": phrase, "table": "citizens", "field": field,
            "record_id_hex": hex(id), "envelope_hex": hex(envelope), "type": format!("{kind:02x}"), "value_hex": hex(value),
        });
        self.lines.push_str(&line.to_string());
        self.lines.push('\n');
    }

    /// Every value with every engine, family and bucket, under the primary key.
    fn seal_all(&mut self, ring: &mut Keyring, file: &str, phrase: &str) {
        let composite = RecordId::composite(&["ab", "c"]).expect("an id");
        let composite_bytes = b"\0\0\0\x02\0\0\0\x02ab\0\0\0\x01c";
        for (number, field) in ["cnic", "longest-name.".repeat(9).as_str()].into_iter().enumerate() {
            let context = FieldContext::new(name("demo-registry"), name("citizens"), name(field));
            for engine in ENGINES {
                for family in FAMILIES {
                    for bucket in [16, 64, 4_096] {
                        let mut sealer = sealer(ring, &context, options(engine, family, bucket));
                        for (kind, stored, value) in values() {
                            if value.type_name() == "bytes"
                                && stored.len() > 10_000
                                && (bucket == 64 || number == 1)
                            {
                                continue;
                            }
                            let envelope = sealer.seal(&record("1001"), value).expect("sealed");
                            self.line(file, phrase, field, b"1001", &envelope, kind, &stored);
                        }
                        let envelope = sealer.seal(&composite, ValueRef::Null).expect("sealed");
                        self.line(file, phrase, field, composite_bytes, &envelope, 0, &[]);
                        let mut streamed = Vec::new();
                        let mut stream = sealer.seal_stream(&record("1001"), &mut streamed).expect("started");
                        stream.update(&[8; 20_000], &mut streamed).expect("sealed");
                        stream.finish(&mut streamed).expect("finished");
                        self.line(file, phrase, field, b"1001", &streamed, 2, &[8; 20_000]);
                    }
                }
            }
        }
    }

    fn keyring(&self, ring: &mut Keyring, file: &str) {
        fs::write(self.folder.join(file), write(ring)).expect("a keyring file");
    }
}

/// Two keyrings: one just made, one with a history.
fn produce(out: &mut Out) {
    let mut first = ring();
    out.seal_all(&mut first, "new.json", PASSPHRASE);
    out.keyring(&mut first, "new.json");

    // The default cost of Argon2id, a passphrase and a label in Urdu.
    let phrase = "یہ ایک فرضی جملہ";
    let kek = Passphrase::new(SecretBytes::new(phrase.into())).expect("a passphrase");
    let slot = NewSlot { label: "دفتر \"1\" \\", kek: &kek };
    let mut ring = Keyring::create(name("demo-registry"), &slot, time(0)).expect("a keyring");
    for _ in 0..2 {
        let old = primary(&ring);
        out.seal_all(&mut ring, "rotated.json", phrase);
        let new = ring.add_key(Purpose::Field, 365, time(1)).expect("a key");
        ring.activate(new, time(1)).expect("active");
        ring.deactivate(old, time(2)).expect("deactivated");
    }
    // One key of each other state beside them.
    let mut add = || ring.add_key(Purpose::Token, 30, time(3)).expect("a key");
    let (suspended, compromised, destroyed, _waiting) = (add(), add(), add(), add());
    let keep = ring.token_keys().expect("token keys").primary();
    ring.activate(suspended, time(4)).expect("active");
    ring.activate(keep, time(4)).expect("active");
    ring.suspend(suspended, time(5)).expect("suspended");
    ring.compromise(compromised, time(5)).expect("compromised");
    ring.destroy(destroyed, time(5)).expect("destroyed");
    out.keyring(&mut ring, "rotated.json");
}

/// Opens every line again from the files alone.
fn check(folder: &Path, engine: Engine) -> usize {
    let text = fs::read_to_string(folder.join("sealed.jsonl")).expect("the lines");
    let mut rings: std::collections::HashMap<String, Keyring> = std::collections::HashMap::new();
    for line in text.lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let get = |name: &str| line[name].as_str().expect("a text");
        let ring = rings.entry(get("keyring").to_owned()).or_insert_with(|| {
            let bytes = fs::read(folder.join(get("keyring"))).expect("a keyring file");
            KeyringFile::parse(&bytes)
                .expect("parsed")
                .unlock(&passphrase(get("passphrase")), None)
                .expect("unlocked")
        });
        let context = FieldContext::new(ring.registry().clone(), name(get("table")), name(get("field")));
        let id = unhex(get("record_id_hex"));
        let composite = RecordId::composite(&["ab", "c"]).expect("an id");
        let text_id = std::str::from_utf8(&id).expect("a text");
        let id = if id.len() > 4 { composite } else { record(text_id) };
        let value =
            opener(ring, &context, engine).open_value(&id, &unhex(get("envelope_hex"))).expect("opens");
        let (kind, stored) = (get("type").to_owned(), unhex(get("value_hex")));
        let known =
            values().into_iter().find(|(k, bytes, _)| (format!("{k:02x}"), bytes) == (kind.clone(), &stored));
        match known {
            Some((_, _, expected)) => assert!(value.as_ref() == expected),
            None => assert!(value.as_ref() == ValueRef::Bytes(&stored)),
        }
    }
    text.lines().count()
}

#[test]
fn what_is_sealed_here_is_written_for_another_implementation_to_open() {
    let kept = std::env::var_os("AMANAT_CROSSCHECK_OUT").map(PathBuf::from);
    let temporary = std::env::temp_dir().join(format!("amanat-crosscheck-{}", std::process::id()));
    let mut out = Out { folder: kept.clone().unwrap_or(temporary), lines: String::new() };
    fs::create_dir_all(&out.folder).expect("a folder");
    produce(&mut out);
    fs::write(out.folder.join("sealed.jsonl"), &out.lines).expect("the lines");
    let lines = [Engine::Ring, Engine::RustCrypto].map(|engine| check(&out.folder, engine));
    if kept.is_none() {
        fs::remove_dir_all(&out.folder).expect("removed");
    }
    // Three keys, 24 ways to seal, 21 values, of which the three longest are sealed in 8 ways only.
    assert_eq!(lines, [3 * (24 * 21 - 16 * 3); 2]);
}
