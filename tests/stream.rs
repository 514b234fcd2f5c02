// SPDX-License-Identifier: MIT OR Apache-2.0
//! Large values in pieces: a stream seals and opens what whole calls do, and says how an envelope was cut.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use amanat::blob::STREAM_PREFIX_BYTES;
use amanat::field::Family;
use amanat::{Engine, FieldOpener, FieldSealer, Kind, SealOptions, ValueRef};

mod common;
use common::*;

const CHUNK: usize = 16_384 + 16;

fn seal(sealer: &mut FieldSealer, value: &[u8], piece: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut stream = sealer.seal_stream(&record("1"), &mut out).expect("started");
    value.chunks(piece).for_each(|bytes| stream.update(bytes, &mut out).expect("sealed"));
    stream.finish(&mut out).expect("finished");
    out
}

fn open(opener: &mut FieldOpener, envelope: &[u8], piece: usize) -> amanat::Result<Vec<u8>> {
    let mut out = Vec::new();
    let (prefix, rest) = envelope.split_first_chunk::<STREAM_PREFIX_BYTES>().expect("a prefix");
    let mut stream = opener.open_stream(&record("1"), prefix)?;
    for bytes in rest.chunks(piece) {
        stream.update(bytes, &mut out)?;
    }
    stream.finish(&mut out)?;
    Ok(out)
}

/// Values that end at every distance from a chunk's border, and values that look like padding across one.
fn values() -> Vec<Vec<u8>> {
    let sizes =
        [0, 1, 13, 14, 15, 16_380, 16_381, 16_382, 16_383, 16_384, 32_765, 32_766, 32_767, 50_000, 65_537];
    let plain = sizes.map(|size| (0..size).map(|at| u8::try_from(at % 251).unwrap()).collect::<Vec<u8>>());
    let marked = |before: usize, zeros: usize, after: &[u8]| {
        [&vec![1; before][..], &[0x80], &vec![0; zeros], after].concat()
    };
    let tricky = [
        vec![0; 20_000],
        marked(0, 0, b""),
        marked(0, 40_000, b""),
        marked(16_000, 40_000, b"x"),
        marked(16_382, 16_384, b"\x80"),
        marked(100, 16_384, &[0x80, 0, 0x80, 0, 0]),
    ];
    plain.into_iter().chain(tricky).collect()
}

#[test]
fn a_stream_gives_and_takes_what_whole_calls_do() {
    let mut ring = ring();
    for (value, bucket) in values().iter().zip([16, 64, 4_096, 65_536].iter().cycle()) {
        for (from, to) in [(Engine::Ring, Engine::RustCrypto), (Engine::RustCrypto, Engine::Ring)] {
            let mut sealer = sealer(&mut ring, &context(), options(from, Family::Aes, *bucket));
            let mut opener = opener(&ring, &context(), to);
            for piece in [1_000, CHUNK, usize::MAX] {
                let envelope = seal(&mut sealer, value, piece);
                let whole = opener.open(&record("1"), &envelope).expect("opens");
                assert!(whole == ValueRef::Bytes(value), "{} bytes, pieces of {piece}", value.len());
                assert!(open(&mut opener, &envelope, piece).expect("opens") == *value);
            }
            if value.len() > 65_536 {
                let envelope = sealer.seal(&record("1"), ValueRef::Bytes(value)).expect("sealed");
                assert_eq!(envelope.len(), seal(&mut sealer, value, 999).len());
                assert!(open(&mut opener, &envelope, 4_099).expect("opens") == *value);
            }
        }
    }
}

#[test]
fn pieces_of_one_byte_are_pieces() {
    let mut ring = ring();
    let mut sealer = sealer(&mut ring, &context(), SealOptions::default());
    let value = vec![9; 17_000];
    let envelope = seal(&mut sealer, &value, 1);
    assert!(open(&mut opener(&ring, &context(), Engine::Ring), &envelope, 1).expect("opens") == value);
}

/// An impossible length is malformed, whole or streamed; a possible one of a cut envelope is unauthentic.
#[test]
fn a_cut_envelope_is_refused_at_every_length() {
    let mut ring = ring();
    let mut sealer = sealer(&mut ring, &context(), SealOptions::default());
    let envelope = seal(&mut sealer, &vec![3; 33_000], usize::MAX);
    let mut opener = opener(&ring, &context(), Engine::Ring);
    let near_border = |length: usize| (length - STREAM_PREFIX_BYTES) % CHUNK;
    let lengths = (STREAM_PREFIX_BYTES..envelope.len())
        .filter(|length| near_border(*length) < 70 || near_border(*length) > CHUNK - 70 || length % 977 == 0);
    let (mut malformed, mut unauthentic) = (0, 0);
    for length in lengths {
        let cut = &envelope[..length];
        let kind = open(&mut opener, cut, 5_000).expect_err("cut").kind();
        let whole = opener.open_value(&record("1"), cut).expect_err("cut").kind();
        assert_eq!(kind, whole, "{length}");
        let last = near_border(length);
        let possible = last >= 16 && (last - 16) % 16 == 0 && length > STREAM_PREFIX_BYTES + 16;
        assert_eq!(kind, if possible { Kind::Unauthentic } else { Kind::Malformed }, "{length}");
        if possible { unauthentic += 1 } else { malformed += 1 }
    }
    assert!(malformed > 300 && unauthentic > 15, "{malformed} {unauthentic}");
    let longer = |extra: usize| [&envelope[..], &vec![0; extra]].concat();
    assert_eq!(open(&mut opener, &longer(1), 5_000).expect_err("longer").kind(), Kind::Malformed);
    assert_eq!(open(&mut opener, &longer(16), 5_000).expect_err("longer").kind(), Kind::Unauthentic);
}

#[test]
fn nothing_of_an_altered_chunk_is_released() {
    let mut ring = ring();
    let mut sealer = sealer(&mut ring, &context(), SealOptions::default());
    let value = vec![3; 40_000];
    let envelope = seal(&mut sealer, &value, usize::MAX);
    let mut opener = opener(&ring, &context(), Engine::Ring);
    let (prefix, rest) = envelope.split_first_chunk::<STREAM_PREFIX_BYTES>().expect("a prefix");
    for chunk in 0..3 {
        let mut altered = rest.to_vec();
        altered[chunk * CHUNK + 5] ^= 1;
        let (mut out, mut stream) = (Vec::new(), opener.open_stream(&record("1"), prefix).expect("started"));
        let result = stream.update(&altered, &mut out).and_then(|()| stream.finish(&mut out));
        refused(result, Kind::Unauthentic, "does not open");
        // One byte of the first chunk is the type.
        assert_eq!(out.len(), (chunk * 16_384).saturating_sub(1));
        assert!(out == value[..out.len()]);
    }
}

#[test]
fn a_stream_is_bound_to_its_row_and_to_the_type_bytes() {
    let mut ring = ring();
    let mut sealer = sealer(&mut ring, &context(), SealOptions::default());
    let envelope = seal(&mut sealer, b"x", 1);
    let mut opener = opener(&ring, &context(), Engine::Ring);
    let prefix = envelope.first_chunk().expect("a prefix");
    refused(opener.open_stream(&record("2"), prefix), Kind::Unauthentic, "does not open");
    let text = sealer.seal(&record("1"), ValueRef::Text(&"x".repeat(70_000))).expect("sealed");
    refused(open(&mut opener, &text, 5_000), Kind::Unauthentic, "does not open");
    let field = sealer.seal(&record("1"), ValueRef::Bytes(&[0; 64])).expect("sealed");
    refused(
        opener.open_stream(&record("1"), field.first_chunk().expect("a prefix")),
        Kind::Unsupported,
        "open this one whole",
    );
    let mut stranger = envelope.clone();
    stranger[5] ^= 1;
    refused(
        opener.open_stream(&record("1"), stranger.first_chunk().unwrap()),
        Kind::UnknownKey,
        "not in this keyring",
    );
}

/// The longest value goes through in pieces of 1 MiB; one byte more is refused on the way.
#[test]
fn a_stream_takes_1_gib_and_no_byte_more() {
    let mut ring = ring();
    let mut sealer = sealer(&mut ring, &context(), SealOptions::default());
    let mut opener = opener(&ring, &context(), Engine::Ring);
    let (piece, mut sealed, mut opened, mut length) = (vec![0xee; 1 << 20], Vec::new(), Vec::new(), 0);
    let mut writer = sealer.seal_stream(&record("1"), &mut sealed).expect("started");
    let mut reader =
        opener.open_stream(&record("1"), sealed.first_chunk().expect("a prefix")).expect("started");
    sealed.clear();
    for _ in 0..1 << 10 {
        writer.update(&piece, &mut sealed).expect("sealed");
        reader.update(&sealed, &mut opened).expect("opens");
        length += opened.len();
        sealed.clear();
        opened.clear();
    }
    assert!(sealed.capacity() < 4 << 20 && opened.capacity() < 4 << 20, "in constant memory");
    refused(writer.update(&[0], &mut sealed), Kind::Limit, "longer than 1 GiB");
    writer.finish(&mut sealed).expect("finished");
    reader.update(&sealed, &mut opened).expect("opens");
    reader.finish(&mut opened).expect("whole");
    assert_eq!(length + opened.len(), 1 << 30);
}
