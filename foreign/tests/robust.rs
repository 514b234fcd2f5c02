// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whatever bytes stand in a column or a key file: an answer, never a panic.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod common;

use std::rc::Rc;

use amanat_foreign::{
    Format, MAX_KEY_FILE_BYTES, MAX_PASSPHRASE_BYTES, MAX_STORED_BYTES, Opener, Origin, open,
};
use common::{Openers, Value, committed};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

const ORIGIN: Origin<'static> = Origin::new("people", "name", &["7"]);

fn small(format: Format) -> Vec<Value> {
    let mut values = committed(format);
    // Each key of Rails costs 65,536 rounds, and the largest count of pgcrypto 65 MB of hashing.
    values.retain(|value| value.stored.len() <= 400 && !value.name.contains("65011712"));
    values.truncate(24);
    values
}

fn openers(format: Format) -> Vec<(Value, Rc<dyn Opener>)> {
    let mut openers = Openers::default();
    let values = small(format).into_iter().filter(|value| value.expect.is_none());
    values.map(|value| (openers.of(&value).unwrap(), value)).map(|(opener, value)| (value, opener)).collect()
}

/// A few changes: bytes set, cut out, put in.
fn altered(bytes: &[u8], changes: &[(Index, u8, u8)]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for (place, what, byte) in changes {
        if bytes.is_empty() {
            break;
        }
        let place = place.index(bytes.len());
        match what % 4 {
            0 => bytes[place] = *byte,
            1 => drop(bytes.remove(place)),
            2 => bytes.insert(place, *byte),
            _ => bytes.truncate(place),
        }
    }
    bytes
}

fn changes() -> impl Strategy<Value = Vec<(Index, u8, u8)>> {
    vec((any::<Index>(), any::<u8>(), any::<u8>()), 1..6)
}

#[test]
fn random_values_have_an_answer_and_do_not_open() {
    for format in Format::ALL {
        let openers = openers(*format);
        proptest!(ProptestConfig::with_cases(512), |(stored in vec(any::<u8>(), 0..300), at in any::<Index>())| {
            let (value, opener) = &openers[at.index(openers.len())];
            prop_assert!(value.open_instead(&**opener, &stored).is_err());
        });
    }
}

#[test]
fn random_values_with_the_head_of_true_ones_have_an_answer() {
    for format in Format::ALL {
        let openers = openers(*format);
        let (_, opener) = &openers[0];
        proptest!(ProptestConfig::with_cases(512), |(head in select(HEADS), rest in vec(any::<u8>(), 0..200))| {
            prop_assert!(opener.open(&[head, &rest].concat(), &ORIGIN).is_err());
        });
    }
}

#[test]
fn altered_values_have_an_answer() {
    for format in Format::ALL {
        let openers = openers(*format);
        proptest!(ProptestConfig::with_cases(512), |(at in any::<Index>(), changes in changes())| {
            let (value, opener) = &openers[at.index(openers.len())];
            let stored = altered(&value.stored, &changes);
            // Bytes set to what they were, and what has no meaning in an armor or in JSON, change nothing.
            if let Ok(plain) = value.open_instead(&**opener, &stored) {
                prop_assert_eq!(&*plain, &value.plain);
            }
        });
    }
}

#[test]
fn altered_key_files_have_an_answer() {
    for format in Format::ALL {
        let keys: Vec<_> = small(*format).into_iter().map(|value| value.key.into_bytes()).collect();
        let cases = if *format == Format::Rails { 24 } else { 1_024 };
        proptest!(ProptestConfig::with_cases(cases), |(at in any::<Index>(), changes in changes())| {
            let key = altered(&keys[at.index(keys.len())], &changes);
            if let Err(error) = open(format.as_str(), &key) {
                prop_assert!(!error.message().is_empty());
            }
        });
    }
}

#[test]
fn random_key_files_have_an_answer() {
    for format in Format::ALL {
        proptest!(ProptestConfig::with_cases(512), |(key in vec(any::<u8>(), 0..200))| {
            let opens = open(format.as_str(), &key).is_ok();
            // Any bytes are a passphrase.
            prop_assert!(!opens || *format == Format::Pgcrypto);
        });
    }
}

#[test]
fn lengths_over_the_limits_are_refused_before_anything_is_read() {
    use amanat::error::Kind;
    for format in Format::ALL {
        let (value, opener) = openers(*format).swap_remove(0);
        let long = vec![b'{'; MAX_STORED_BYTES + 1];
        assert_eq!(value.open_instead(&*opener, &long).unwrap_err().kind(), Kind::Limit, "{format}");
        let long = vec![b'{'; MAX_KEY_FILE_BYTES + 1];
        assert_eq!(open(format.as_str(), &long).unwrap_err().kind(), Kind::Limit, "{format}");
    }
    let long = vec![b'p'; MAX_PASSPHRASE_BYTES + 1];
    assert_eq!(open("pgcrypto", &long).unwrap_err().kind(), Kind::Limit);
}

/// How values of the formats begin.
const HEADS: &[&[u8]] = &[
    b"gAAAAA",
    b"vault:v1:",
    b"{\"p\":\"",
    b"-----BEGIN PGP MESSAGE-----\n\n",
    b"\xc3\x0d\x04\x07\x03\x02",
    b"\xc3\x04\x04\x07\x00\x02\xd2",
    b"\xc3\x04\x04\x07\x00\x02\xd2\xe0",
    b"\\xc3",
];
