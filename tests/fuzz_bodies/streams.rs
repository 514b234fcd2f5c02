// SPDX-License-Identifier: MIT OR Apache-2.0
//! Large values that are sealed and opened in pieces.

use amanat::blob::STREAM_PREFIX_BYTES;
use amanat::envelope::Envelope;
use amanat::{FieldSealer, RecordId, Result, Suite, ValueRef};

use super::feed::Feed;
use super::keys::{RIGHT, context};

/// In whatever pieces a value is sealed and opened, it is the same value; cut or altered it never is.
pub fn stream(data: &[u8]) {
    let mut feed = Feed::new(data);
    let (record, options) = (feed.record(), feed.options());
    let length = feed.number() + if feed.flag() { 0 } else { 15_900 };
    // Mostly zeros and 0x80, which are what padding is made of.
    let pattern = [feed.bytes(), &[0x80, 0, 0]].concat();
    let value: Vec<u8> = pattern.iter().copied().cycle().take(length).collect();

    let context = context(&RIGHT.keyring, "citizens", "cnic");
    let keyset = RIGHT.keyring.field_keys().expect("field keys");
    let mut sealer = FieldSealer::new(&keyset, &context, options, &RIGHT.field_messages).expect("a sealer");
    let mut envelope = Vec::new();
    let mut sealing = sealer.seal_stream(&record, &mut envelope).expect("a stream");
    for piece in pieces(&mut feed, &value) {
        sealing.update(piece, &mut envelope).expect("far below the limit");
    }
    sealing.finish(&mut envelope).expect("the last chunk");
    assert_eq!(Envelope::parse(&envelope).map(|envelope| envelope.suite()).ok(), Some(Suite::Cobblestone256));

    let mut opener = RIGHT.opener(feed.engine());
    let whole = opener.open(&record, &envelope).expect("what was sealed opens");
    assert!(whole == ValueRef::Bytes(&value), "opened whole, it is another value");
    let (mut out, outcome) = open(&mut feed, &record, &envelope);
    assert!(outcome.is_ok() && out == value, "opened in pieces, it is another value");

    let position = feed.number() % envelope.len();
    let cut = envelope.get(..position).expect("a position inside");
    let outcome;
    (out, outcome) = open(&mut feed, &record, cut);
    assert!(outcome.is_err(), "cut, and it opens");
    assert!(value.starts_with(&out), "what came out is no prefix of the value");
    let mut altered = envelope.clone();
    *altered.get_mut(position).expect("a position inside") ^= feed.byte().max(1);
    let outcome;
    (out, outcome) = open(&mut feed, &record, &altered);
    assert!(outcome.is_err(), "altered, and it opens");
    assert!(value.starts_with(&out), "what came out is no prefix of the value");
    let longer = [&envelope, feed.bytes(), &[0]].concat();
    assert!(open(&mut feed, &record, &longer).1.is_err(), "longer, and it opens");
}

/// Opens an envelope in pieces: what came out, and whether it was accepted.
fn open(feed: &mut Feed<'_>, record: &RecordId<'_>, envelope: &[u8]) -> (Vec<u8>, Result<()>) {
    let mut out = Vec::new();
    let Some((prefix, rest)) = envelope.split_first_chunk::<STREAM_PREFIX_BYTES>() else {
        return (out, Envelope::parse(envelope).map(|_| ()));
    };
    let mut opener = RIGHT.opener(feed.engine());
    let outcome = opener.open_stream(record, prefix).and_then(|mut opening| {
        for piece in pieces(feed, rest) {
            opening.update(piece, &mut out)?;
        }
        opening.finish(&mut out)
    });
    (out, outcome)
}

/// Cuts bytes in up to nine pieces, empty ones too.
fn pieces<'b>(feed: &mut Feed<'_>, mut bytes: &'b [u8]) -> Vec<&'b [u8]> {
    let mut pieces = Vec::new();
    for _ in 0..feed.byte() % 8 {
        let (piece, rest) = bytes.split_at(feed.number().min(bytes.len()));
        pieces.push(piece);
        bytes = rest;
    }
    pieces.push(bytes);
    pieces
}
