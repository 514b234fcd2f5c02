// SPDX-License-Identifier: MIT OR Apache-2.0
//! Authentic messages of suite 0x04 that hold no value: a stream refuses what whole opening refuses.

use super::ENGINES;
use crate::blob::{self, BlobKey, StreamOpener};
use crate::crypto::chunked::Chunked;
use crate::error::{Kind, Result};
use crate::secret::{Secret, SecretBytes};
use crate::suite::CHUNK_BYTES;
use crate::value::ValueRef;

/// The body of a message that is sealed as it is, well padded or not.
fn seal(keys: BlobKey<'_>, message: &[u8]) -> Vec<u8> {
    let salt = [4; 24];
    let mut chunks = Chunked::new(keys.engine, keys.key.expose(), &salt, keys.ad);
    let mut body = [&salt[..], chunks.commitment()].concat();
    let (full, last) = message.split_at(message.len() / CHUNK_BYTES * CHUNK_BYTES);
    for chunk in full.chunks(CHUNK_BYTES).chain([last]) {
        let mut text = chunk.to_vec();
        let tag = chunks.seal(&mut text).expect("sealed");
        body.extend_from_slice(&text);
        body.extend_from_slice(&tag);
    }
    body
}

fn open_stream(keys: BlobKey<'_>, body: &[u8]) -> Result<Vec<u8>> {
    let (salt, commitment) = (body[..24].try_into().expect("24"), body[24..56].try_into().expect("32"));
    let mut stream = StreamOpener::start(keys, salt, commitment)?;
    let mut out = Vec::new();
    body[56..].chunks(1_000).try_for_each(|piece| stream.update(piece, &mut out))?;
    stream.finish(&mut out)?;
    Ok(out)
}

/// The bytes of a whole message, if it is padded well and of type bytes.
fn open_whole(keys: BlobKey<'_>, body: &[u8]) -> Option<Vec<u8>> {
    let mut padded = SecretBytes::default();
    blob::open_padded(keys, body, &mut padded)?;
    match ValueRef::from_padded(padded.expose()) {
        Ok(ValueRef::Bytes(bytes)) => Some(bytes.to_vec()),
        _ => None,
    }
}

#[test]
fn a_stream_and_a_whole_agree_on_every_padding() {
    let key = Secret::copy_from(&[6; 32]).expect("32 bytes");
    let message = |start: &[u8], length: usize, end: &[u8]| {
        let mut message = start.to_vec();
        message.resize(length - end.len(), 0);
        [&message[..], end].concat()
    };
    let mut good = 0;
    for engine in ENGINES {
        let keys = BlobKey { engine, key: &key, ad: b"ad" };
        for length in [16, 32, 16_368, 16_384, 16_400, 32_768, 49_168] {
            for (start, end) in [
                // Bad: no byte, no marker, the marker first, another type, an unknown type.
                (&[][..], &[][..]),
                (&[2], &[]),
                (&[0x80], &[]),
                (&[2, 1, 1], &[]),
                (&[2], &[1]),
                (&[2, 0x80, 7], &[]),
                (&[1, b'a', 0x80], &[]),
                (&[0, 0x80], &[]),
                (&[9, 0x80], &[]),
                // Good: empty, at the end, long padding, markers inside.
                (&[2, 0x80], &[]),
                (&[2], &[0x80]),
                (&[2, 7, 0x80], &[]),
                (&[2, 0x80], &[0x80]),
                (&[2, 0x80, 0, 0x80], &[0x80, 0, 0]),
            ] {
                let body = seal(keys, &message(start, length, end));
                let (stream, whole) = (open_stream(keys, &body), open_whole(keys, &body));
                good += usize::from(whole.is_some());
                match (stream, whole) {
                    (Ok(left), Some(right)) => assert!(left == right, "{length} {start:x?} {end:x?}"),
                    (Err(error), None) => assert_eq!(error.kind(), Kind::Unauthentic),
                    (stream, _) => panic!("{length} {start:x?} {end:x?}: {:?}", stream.map(|out| out.len())),
                }
            }
        }
    }
    assert_eq!(good, 2 * 7 * 5);
}
