// SPDX-License-Identifier: MIT OR Apache-2.0
//! Counts allocations: none per value in a batch, none for a warm opener, and little for hostile input.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use allocation_counter::{AllocationInfo, measure};
use amanat::keys::NewSlot;
use amanat::{Engine, EnvelopeBatch, KeyringFile, Kind, RecordId, SecretBytes, ValueRef};

mod common;
use common::*;

/// Allocations of one call after the same call was made before.
fn warm(mut call: impl FnMut()) -> AllocationInfo {
    call();
    measure(call)
}

#[test]
fn a_batch_allocates_a_constant_number_of_times() {
    let mut ring = ring();
    for engine in ENGINES {
        for family in FAMILIES {
            let mut sealer = sealer(&mut ring, &context(), options(engine, family, 64));
            let rows: Vec<String> = (0..4_096).map(|row| format!("citizen {row}")).collect();
            let ids: Vec<RecordId<'_>> = rows.iter().map(|row| record(row)).collect();
            let mut batch = EnvelopeBatch::new();
            let counts = [64, 512, 4_096].map(|count| {
                let info = warm(|| {
                    batch.clear();
                    let values = ids[..count].iter().map(|id| (id, ValueRef::Text("0000012345678")));
                    sealer.seal_batch(values, &mut batch).expect("sealed");
                });
                assert_eq!(batch.len(), count);
                info.count_total
            });
            // One: the state that expands the call's random seed.
            assert_eq!(counts, [1; 3], "{engine:?}, {family:?}");
        }
    }
}

#[test]
fn sealing_into_a_buffer_with_room_allocates_nothing() {
    let mut ring = ring();
    for engine in ENGINES {
        for family in FAMILIES {
            let mut sealer = sealer(&mut ring, &context(), options(engine, family, 16));
            let (row, mut out) = (record("1"), Vec::with_capacity(4_096));
            for value in
                [ValueRef::Null, ValueRef::Integer(7), ValueRef::Text("گلبدن"), ValueRef::Bytes(&[1; 300])]
            {
                let info = warm(|| {
                    out.clear();
                    sealer.seal_into(&row, value, &mut out).expect("sealed");
                });
                assert_eq!(info.count_total, 0, "{engine:?}, {family:?}, {value:?}");
            }
        }
    }
}

#[test]
fn a_warm_opener_allocates_nothing() {
    let mut ring = ring();
    for engine in ENGINES {
        for family in FAMILIES {
            let mut sealer = sealer(&mut ring, &context(), options(engine, family, 64));
            let mut opener = opener(&ring, &context(), engine);
            let row = record("1");
            let envelopes: Vec<Vec<u8>> = (0..100)
                .map(|_| sealer.seal(&row, ValueRef::Text("0000012345678")).expect("sealed"))
                .collect();
            let info = warm(|| {
                for envelope in &envelopes {
                    assert!(opener.open(&row, envelope).expect("opens") == ValueRef::Text("0000012345678"));
                }
            });
            assert_eq!(info.count_total, 0, "{engine:?}, {family:?}");
        }
    }
}

#[test]
fn a_hostile_keyring_cannot_make_argon2_allocate() {
    let mut ring = ring();
    let good = String::from_utf8(write(&mut ring)).expect("UTF-8");
    let kek = passphrase(PASSPHRASE);
    for (name, most) in [
        ("memory_kib", ["1048577", "2147483648", "4294967295", "99999999999999999999"]),
        ("lanes", ["17", "4294967295", "2", "0"]),
    ] {
        for value in most {
            let least = if name == "lanes" { "1" } else { "8" };
            let hostile =
                good.replace(&format!("\"{name}\": \"{least}\""), &format!("\"{name}\": \"{value}\""));
            assert_ne!(good, hostile);
            let mut kind = None;
            let info = measure(|| {
                let file = KeyringFile::parse(hostile.as_bytes()).expect("a well-formed file");
                kind = file.unlock(&kek, None).err().map(|error| error.kind());
            });
            assert_eq!(kind, Some(Kind::Limit), "{name} {value}");
            assert!(info.bytes_max < 256 << 10, "{name} {value}: {} bytes", info.bytes_max);
        }
    }
}

#[test]
fn a_count_that_claims_more_than_there_is_allocates_nothing_for_it() {
    let mut ring = ring();
    let mut sealer = sealer(&mut ring, &context(), options(Engine::Ring, amanat::field::Family::Aes, 16));
    let row = record("1");
    // CBOR that claims 2^64-1 items, 2^63 pairs, 2^64-1 bytes.
    for first in [0x9b, 0xbb, 0x5b] {
        let item = [&[first][..], &[0xff; 8]].concat();
        let mut refused = false;
        let info = measure(|| refused = sealer.seal(&row, ValueRef::Cbor(&item)).is_err());
        assert!(refused && info.bytes_max < 4_096, "{} bytes", info.bytes_max);
    }
    // A file of 1 MiB of brackets is refused without a tower of lists.
    let deep = "[".repeat(1 << 20);
    let mut refused = false;
    let info = measure(|| refused = KeyringFile::parse(deep.as_bytes()).is_err());
    assert!(refused && info.bytes_max < 64 << 10, "{} bytes", info.bytes_max);
    // A passphrase that is too long is refused before Argon2id sees it.
    let long = SecretBytes::new(vec![b'p'; 1_025]);
    assert!(amanat::keys::Passphrase::new(long).is_err());
    let slot = NewSlot { label: "main", kek: &passphrase("eleven byte") };
    assert!(amanat::Keyring::create(name("demo-registry"), &slot, time(0)).is_err());
}
