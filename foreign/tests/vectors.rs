// SPDX-License-Identifier: MIT OR Apache-2.0
//! Values that the tools themselves made open to what was put in, and nothing near them opens. All values are made up.
//!
//! The committed values are made by vectors/make.py. AMANAT_FOREIGN_VECTORS names a folder of more, made afresh.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod common;

use amanat::error::Kind;
use amanat_foreign::{Format, open};
use common::{Openers, Value, committed, fresh};

/// How many values of each format there are, so that none is lost unseen.
const COMMITTED: &[(Format, usize)] = &[
    (Format::Fernet, 12),
    (Format::Lockbox, 33),
    (Format::Pgcrypto, 60),
    (Format::Rails, 56),
    (Format::Tink, 46),
    (Format::Vault, 36),
];

fn check(openers: &mut Openers, value: &Value) {
    let opened = openers.of(value).and_then(|opener| value.open_instead(&*opener, &value.stored));
    match (opened, value.expect.as_deref()) {
        (Ok(plain), None) => assert!(*plain == value.plain, "{value:?}: opens to something else"),
        (Ok(_), Some(_)) => panic!("{value:?}: opens"),
        (Err(error), None) => panic!("{value:?}: {error}"),
        (Err(error), Some(expect)) => assert_eq!(error.kind(), common::kind(expect), "{value:?}: {error}"),
    }
}

#[test]
fn every_value_opens_or_is_refused_as_it_says() {
    let mut openers = Openers::default();
    for (format, count) in COMMITTED {
        let values = committed(*format);
        values.iter().for_each(|value| check(&mut openers, value));
        assert_eq!(values.len(), *count, "{format}");
        let fresh = fresh(*format);
        fresh.iter().for_each(|value| check(&mut openers, value));
        println!("{format}: {count} values, and {} made afresh", fresh.len());
    }
}

#[test]
fn no_bit_of_a_value_can_change() {
    for format in Format::ALL {
        let mut changed = 0;
        for value in one_of_each_shape(*format) {
            let opener = open(format.as_str(), value.key.as_bytes()).unwrap();
            for bit in 0..value.stored.len() * 8 {
                let mut stored = value.stored.clone();
                stored[bit / 8] ^= 1 << (bit % 8);
                let Err(error) = value.open_instead(&*opener, &stored) else {
                    panic!("{value:?} opens with bit {bit} changed");
                };
                let fits = may_answer(*format, &value, bit / 8);
                assert!(fits.contains(&error.kind()), "{value:?}, bit {bit}: {error:?}");
                changed += 1;
            }
        }
        assert!(changed > 1_000, "{format}: {changed}");
    }
}

#[test]
fn no_part_of_a_value_opens() {
    for format in Format::ALL {
        for value in one_of_each_shape(*format) {
            let opener = open(format.as_str(), value.key.as_bytes()).unwrap();
            for end in 0..value.stored.len() {
                let cut = value.open_instead(&*opener, &value.stored[..end]);
                // The last line end of an armor says nothing.
                let whole = value.name.starts_with("form-armor") && end + 1 == value.stored.len();
                assert_eq!(cut.is_ok(), whole, "{value:?} cut at {end}");
            }
            let longer = [&value.stored[..], b"\0"].concat();
            assert!(value.open_instead(&*opener, &longer).is_err(), "{value:?} and a byte more");
        }
    }
}

#[test]
fn no_value_opens_under_a_key_that_did_not_seal_it() {
    for format in Format::ALL {
        let opener = open(format.as_str(), other_key(*format).as_bytes()).unwrap();
        let mut unauthentic = 0;
        for value in committed(*format).into_iter().filter(|value| value.expect.is_none()) {
            let Err(error) = value.open_instead(&*opener, &value.stored) else {
                panic!("{value:?} opens under another key");
            };
            // What the value says of its key or of its form may come before the key is used.
            let fits = [Kind::Malformed, Kind::Unauthentic, Kind::UnknownKey];
            assert!(fits.contains(&error.kind()), "{value:?}: {error:?}");
            unauthentic += usize::from(error.kind() == Kind::Unauthentic);
        }
        assert!(unauthentic >= 5, "{format}: {unauthentic}");
    }
}

/// A key file that is good and sealed none of the values.
fn other_key(format: Format) -> String {
    let of = |name: &str| committed(format).into_iter().find(|value| value.name == name).unwrap().key;
    match format {
        Format::Fernet => format!("{}=", "A".repeat(43)),
        Format::Lockbox => format!(r#"{{"master_key": "{}"}}"#, "ff".repeat(32)),
        Format::Pgcrypto => "another".to_owned(),
        Format::Rails => of("other-key").replace("of tests", "of nobody"),
        Format::Tink => of("other-raw"),
        Format::Vault => of("derived"),
        _ => panic!("a key for {format}"),
    }
}

/// Short values of the format that open, one for each way of storing them.
fn one_of_each_shape(format: Format) -> Vec<Value> {
    let names: &[&str] = match format {
        Format::Fernet => &["one-0", "several-1"],
        Format::Lockbox => &["text-0", "padded-0", "binary"],
        Format::Pgcrypto => &[
            "cipher-algo=aes128,s2k-mode=0,sess-key=0",
            "cipher-algo=aes192,s2k-mode=1,sess-key=1",
            "text,compress-algo=1",
            "text,s2k-digest-algo=sha256",
            "form-armor",
            "form-hex",
        ],
        Format::Rails => {
            &["sha256-0", "sha256-deterministic-4", "sha256-several-named", "sha1-bytes", "sha1-envelope"]
        }
        Format::Tink => &["aes128-tink-0", "aes256-crunchy-0", "aes256-raw-0", "several-0", "text-base64"],
        Format::Vault => {
            &["aes128-gcm96-0", "chacha20-poly1305-0", "xchacha20-poly1305-version-2", "associated"]
        }
        _ => panic!("values of {format}"),
    };
    let mut values = committed(format);
    values.retain(|value| names.contains(&value.name.as_str()));
    assert_eq!(values.len(), names.len(), "{format}");
    values
}

/// What may be answered to a change of the byte at a place. What no key has confirmed yet may be told precisely.
fn may_answer(format: Format, value: &Value, byte: usize) -> &'static [Kind] {
    const SEALED: &[Kind] = &[Kind::Unauthentic];
    const TEXT: &[Kind] = &[Kind::Malformed, Kind::Unauthentic];
    const HEAD: &[Kind] = &[Kind::Malformed, Kind::Unauthentic, Kind::UnknownKey, Kind::Unsupported];
    match format {
        Format::Fernet if byte < 2 => HEAD,
        Format::Lockbox if value.name == "binary" => SEALED,
        Format::Fernet | Format::Lockbox => TEXT,
        Format::Tink if value.name.starts_with("text") => HEAD,
        Format::Tink if byte < 5 => HEAD,
        Format::Tink => SEALED,
        Format::Vault if byte < 10 => HEAD,
        Format::Vault => TEXT,
        Format::Pgcrypto if value.name.starts_with("form") => HEAD,
        // The key packet, and the head of the data packet.
        Format::Pgcrypto if byte < common::data_offset(&value.stored) => HEAD,
        Format::Pgcrypto => SEALED,
        _ => HEAD,
    }
}
