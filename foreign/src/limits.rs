// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is too much, and the one answer after a key was used.
//!
//! Owns the limits of all formats and the bounded inflating. Never says why a value does not open. Everything here that held plaintext is
//! wiped, but for the inflater's own window of 32 KiB.

use std::io::{self, Read};

use amanat::error::{Error, Result};
use flate2::bufread::{DeflateDecoder, ZlibDecoder};
use zeroize::Zeroizing;

/// Longest stored value; plaintext that is not compressed is shorter.
pub const MAX_STORED_BYTES: usize = 1 << 21;
/// Longest plaintext that a compressed value may inflate to: a bomb is refused. 16 times the largest field of amanat.
pub const MAX_INFLATED_BYTES: usize = 1 << 20;
/// Longest key file.
pub const MAX_KEY_FILE_BYTES: usize = 1 << 20;

/// Refuses a stored value that is longer than any that can be sealed again.
pub(crate) fn bounded(stored: &[u8]) -> Result<&[u8]> {
    if stored.len() > MAX_STORED_BYTES {
        return Err(Error::limit(format!(
            "a stored value of {} bytes; at most {MAX_STORED_BYTES} are read",
            stored.len()
        )));
    }
    Ok(stored)
}

/// The answer to everything that fails once a key was used.
pub(crate) fn unauthentic() -> Error {
    Error::altered("does not open: the value was sealed with another key, belongs elsewhere or was altered")
}

/// How plaintext was made smaller.
#[derive(Clone, Copy)]
pub(crate) enum Compression {
    /// RFC 1951.
    Deflate,
    /// RFC 1950.
    Zlib,
}

/// Inflates plaintext that was found authentic. All of it must be one stream.
pub(crate) fn inflate(compressed: &[u8], compression: Compression) -> Result<Zeroizing<Vec<u8>>> {
    let mut rest = compressed;
    let plaintext = match compression {
        Compression::Deflate => read_bounded(DeflateDecoder::new(&mut rest)),
        Compression::Zlib => read_bounded(ZlibDecoder::new(&mut rest)),
    }?;
    if rest.is_empty() { Ok(plaintext) } else { Err(unauthentic()) }
}

/// Reads to the end, into a buffer that is wiped whenever it grows.
fn read_bounded(mut source: impl Read) -> Result<Zeroizing<Vec<u8>>> {
    let mut out = Zeroizing::new(Vec::new());
    let mut chunk = Zeroizing::new([0_u8; CHUNK_BYTES]);
    loop {
        let count = match source.read(chunk.as_mut_slice()) {
            Ok(0) => return Ok(out),
            Ok(count) => count,
            Err(fault) if fault.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return Err(unauthentic()),
        };
        let read = chunk.get(..count).unwrap_or_default();
        if out.len() + read.len() > MAX_INFLATED_BYTES {
            return Err(too_long());
        }
        append_wiped(&mut out, read);
    }
}

/// Appends; when the buffer must grow, the old one is wiped.
fn append_wiped(out: &mut Zeroizing<Vec<u8>>, bytes: &[u8]) {
    if out.capacity() - out.len() < bytes.len() {
        let mut larger = Zeroizing::new(Vec::with_capacity(2 * (out.len() + bytes.len())));
        larger.extend_from_slice(out);
        *out = larger;
    }
    out.extend_from_slice(bytes);
}

fn too_long() -> Error {
    Error::limit(format!("the value is authentic and inflates to more than {MAX_INFLATED_BYTES} bytes"))
}

const CHUNK_BYTES: usize = 4_096;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use std::io::Write as _;

    use amanat::error::Kind;
    use flate2::write::{DeflateEncoder, ZlibEncoder};

    use super::*;

    fn deflated(plaintext: &[u8]) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(plaintext).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn inflates_to_the_limit_and_not_a_byte_further() {
        let most = inflate(&deflated(&vec![7; MAX_INFLATED_BYTES]), Compression::Deflate).unwrap();
        assert_eq!(most.len(), MAX_INFLATED_BYTES);
        let more = inflate(&deflated(&vec![7; MAX_INFLATED_BYTES + 1]), Compression::Deflate);
        assert_eq!(more.unwrap_err().kind(), Kind::Limit);
        // A bomb: a kilobyte for each of its bytes.
        let bomb = deflated(&vec![0; 64 << 20]);
        assert!(bomb.len() < 1 << 17);
        assert_eq!(inflate(&bomb, Compression::Deflate).unwrap_err().kind(), Kind::Limit);
    }

    #[test]
    fn one_whole_stream_or_nothing() {
        let mut encoder = ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(b"two names and two names").unwrap();
        let stream = encoder.finish().unwrap();
        assert_eq!(inflate(&stream, Compression::Zlib).unwrap().as_slice(), b"two names and two names");
        for end in 0..stream.len() {
            let cut = inflate(&stream[..end], Compression::Zlib);
            assert_eq!(cut.unwrap_err().kind(), Kind::Unauthentic, "{end}");
        }
        let longer = [stream.as_slice(), b"\0"].concat();
        assert_eq!(inflate(&longer, Compression::Zlib).unwrap_err().kind(), Kind::Unauthentic);
    }

    #[test]
    fn a_value_that_is_too_long_is_not_read() {
        assert!(bounded(&vec![0; MAX_STORED_BYTES]).is_ok());
        assert_eq!(bounded(&vec![0; MAX_STORED_BYTES + 1]).unwrap_err().kind(), Kind::Limit);
    }
}
