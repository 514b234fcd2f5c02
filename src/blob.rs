// SPDX-License-Identifier: MIT OR Apache-2.0
//! Large values: sealed and opened in chunks of 16 KiB, whole or as a stream.
//!
//! Owns SPEC 5.7. Never releases a byte of a chunk that was not verified.

use core::fmt;

use crate::crypto::chunked::Chunked;
use crate::crypto::{Engine, Unauthentic, random};
use crate::error::{Error, Result};
use crate::secret::{Secret, SecretBytes};
use crate::suite::{
    BLOB_SALT_BYTES, BLOCK_BYTES, CHUNK_BYTES, COMMITMENT_BYTES, HEADER_BYTES, MAX_BLOB_BYTES,
    MAX_PADDED_BLOB_BYTES, SEALED_CHUNK_BYTES, Suite, TAG_BYTES,
};
use crate::value::{Bucket, ValueRef};
use crate::wire::Reader;

/// Bytes at the start of a suite 0x04 envelope that [`FieldOpener::open_stream`](crate::field::FieldOpener::open_stream) needs.
pub const STREAM_PREFIX_BYTES: usize = HEADER_BYTES + BLOB_SALT_BYTES + COMMITMENT_BYTES;

/// Seals a value of type bytes piece by piece, in constant memory.
///
/// Shape: [`update`](Self::update) any number of times, then [`finish`](Self::finish); what they append, in order, is one
/// suite 0x04 envelope. Limits: [`MAX_BLOB_BYTES`].
pub struct StreamSealer {
    chunks: Chunked,
    /// Plaintext of the chunk that is not yet full.
    pending: SecretBytes,
    bucket: Bucket,
    /// Bytes of type and value taken so far.
    taken: usize,
}

impl StreamSealer {
    /// Starts an envelope: appends header, salt and commitment.
    pub(crate) fn start(
        keys: BlobKey<'_>,
        header: &[u8; HEADER_BYTES],
        salt: &[u8; BLOB_SALT_BYTES],
        bucket: Bucket,
        out: &mut Vec<u8>,
    ) -> Self {
        let chunks = Chunked::new(keys.engine, keys.key.expose(), salt, keys.ad);
        out.extend_from_slice(header);
        out.extend_from_slice(salt);
        out.extend_from_slice(chunks.commitment());
        let mut pending = SecretBytes::default();
        pending.make_room(CHUNK_BYTES);
        Self { chunks, pending, bucket, taken: 0 }
    }

    /// Seals the next bytes of the value; appends every chunk that became full.
    ///
    /// # Errors
    /// `Limit` if the value grows beyond [`MAX_BLOB_BYTES`].
    pub fn update(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let taken = self.taken.checked_add(bytes.len()).filter(|taken| *taken <= MAX_BLOB_BYTES + 1);
        self.taken = taken.ok_or_else(|| Error::limit("the value is longer than 1 GiB"))?;
        self.push(bytes, out)
    }

    /// Seals padding and the last chunk.
    ///
    /// # Errors
    /// None in practice; the type leaves room for a cipher that refuses.
    pub fn finish(mut self, out: &mut Vec<u8>) -> Result<()> {
        let zeros = self.bucket.round_up(self.taken + 1) - self.taken - 1;
        self.push(&[0x80], out)?;
        let block = [0; 256];
        let mut left = zeros;
        while left > 0 {
            let part = block.get(..left.min(block.len())).unwrap_or_default();
            self.push(part, out)?;
            left -= part.len();
        }
        self.flush(out)
    }

    fn push(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) -> Result<()> {
        while !bytes.is_empty() {
            let room = CHUNK_BYTES - self.pending.expose().len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.pending.append(now);
            bytes = later;
            if self.pending.expose().len() == CHUNK_BYTES {
                self.flush(out)?;
            }
        }
        Ok(())
    }

    /// Seals what is pending as one chunk.
    fn flush(&mut self, out: &mut Vec<u8>) -> Result<()> {
        let start = out.len();
        out.extend_from_slice(self.pending.expose());
        self.pending.make_room(CHUNK_BYTES);
        let chunk = out.get_mut(start..).unwrap_or_default();
        let tag =
            self.chunks.seal(chunk).map_err(|Unauthentic| Error::limit("the cipher refused the chunk"))?;
        out.extend_from_slice(&tag);
        Ok(())
    }
}

impl fmt::Debug for StreamSealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StreamSealer")
    }
}

/// The key of a blob and what it is bound to.
#[derive(Clone, Copy)]
pub(crate) struct BlobKey<'a> {
    pub(crate) engine: Engine,
    pub(crate) key: &'a Secret<32>,
    pub(crate) ad: &'a [u8],
}

/// Seals a value that lies in memory and appends its envelope. `out` is unchanged on failure.
pub(crate) fn seal_value(
    keys: BlobKey<'_>,
    header: &[u8; HEADER_BYTES],
    value: ValueRef<'_>,
    bucket: Bucket,
    out: &mut Vec<u8>,
) -> Result<()> {
    seal_salted(keys, header, &random::bytes()?, value, bucket, out)
}

/// [`seal_value`] with a given salt: the seam for known answers.
pub(crate) fn seal_salted(
    keys: BlobKey<'_>,
    header: &[u8; HEADER_BYTES],
    salt: &[u8; BLOB_SALT_BYTES],
    value: ValueRef<'_>,
    bucket: Bucket,
    out: &mut Vec<u8>,
) -> Result<()> {
    let start = out.len();
    let padded = bucket.round_up(value.content_bytes() + 2);
    out.reserve(STREAM_PREFIX_BYTES + padded + (padded / CHUNK_BYTES + 1) * TAG_BYTES);
    let mut stream = StreamSealer::start(keys, header, salt, bucket, out);
    let sealed = value.with_parts(|kind, content| {
        stream.update(&[kind], out)?;
        stream.update(content, out)
    });
    sealed.and_then(|()| stream.finish(out)).inspect_err(|_| out.truncate(start))
}

/// Opens the body of a suite 0x04 envelope into `padded`; `None` for any failure.
pub(crate) fn open_padded(keys: BlobKey<'_>, body: &[u8], padded: &mut SecretBytes) -> Option<()> {
    let mut reader = Reader::new(body);
    let (salt, commitment) = (reader.take_array().ok()?, reader.take_array().ok()?);
    let mut chunks = Chunked::new(keys.engine, keys.key.expose(), salt, keys.ad);
    chunks.check(commitment).ok()?;
    padded.make_room(Suite::Cobblestone256.padded_bytes(body.len()));
    let sealed = reader.take_rest();
    let full = sealed.len() / SEALED_CHUNK_BYTES * SEALED_CHUNK_BYTES;
    let (whole, last) = sealed.split_at_checked(full)?;
    for chunk in whole.chunks_exact(SEALED_CHUNK_BYTES).chain([last]) {
        let (text, tag) = chunk.split_last_chunk::<TAG_BYTES>()?;
        chunks.open(padded.append(text), tag).ok()?;
    }
    Some(())
}

/// Opens a suite 0x04 envelope of type bytes piece by piece, in constant memory.
///
/// Shape: the envelope's bytes after the first [`STREAM_PREFIX_BYTES`] go to [`update`](Self::update) in any pieces; it appends what was
/// verified. Until [`finish`](Self::finish) has returned `Ok`, what came out is a prefix of the value: a cut at a chunk is seen only there.
pub struct StreamOpener {
    chunks: Chunked,
    /// Sealed bytes of the chunk that is not yet full.
    sealed: Vec<u8>,
    plain: SecretBytes,
    /// Whether the type byte was read.
    typed: bool,
    /// A 0x80 and so many zeros that are padding if nothing else follows.
    held: Option<usize>,
    /// Length of type, value and padding so far.
    padded: usize,
}

impl StreamOpener {
    /// Checks the commitment.
    pub(crate) fn start(
        keys: BlobKey<'_>,
        salt: &[u8; BLOB_SALT_BYTES],
        commitment: &[u8; COMMITMENT_BYTES],
    ) -> Result<Self> {
        let chunks = Chunked::new(keys.engine, keys.key.expose(), salt, keys.ad);
        chunks.check(commitment).map_err(|Unauthentic| Error::unauthentic())?;
        let plain = SecretBytes::default();
        Ok(Self {
            chunks,
            sealed: Vec::with_capacity(SEALED_CHUNK_BYTES),
            plain,
            typed: false,
            held: None,
            padded: 0,
        })
    }

    /// Takes the next bytes of the envelope; appends the value's bytes of every chunk that became full and was verified.
    ///
    /// # Errors
    /// `Unauthentic` if a chunk is altered or of another place; `Malformed` beyond the longest envelope. Nothing of the failed chunk
    /// was appended. The opener must then be dropped.
    pub fn update(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) -> Result<()> {
        while !bytes.is_empty() {
            let room = SEALED_CHUNK_BYTES - self.sealed.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.sealed.extend_from_slice(now);
            bytes = later;
            if self.sealed.len() == SEALED_CHUNK_BYTES {
                self.open_chunk(out)?;
            }
        }
        Ok(())
    }

    /// Opens the last chunk and checks that it is one, and the padding.
    ///
    /// # Errors
    /// `Malformed` if no envelope has this length, `Unauthentic` if the last chunk is altered, missing, or no last chunk;
    /// discard all that came out.
    pub fn finish(mut self, out: &mut Vec<u8>) -> Result<()> {
        let last = self.sealed.len().checked_sub(TAG_BYTES);
        if !last.is_some_and(|last| self.padded + last > 0 && last.is_multiple_of(BLOCK_BYTES)) {
            return Err(Error::malformed(
                "an impossible length: the envelope was truncated, or bytes were added",
            ));
        }
        self.open_chunk(out)?;
        let value = self.held.and_then(|zeros| self.padded.checked_sub(zeros + 2));
        let fits = value.is_some_and(|length| length <= MAX_BLOB_BYTES);
        if fits { Ok(()) } else { Err(Error::unauthentic()) }
    }

    fn open_chunk(&mut self, out: &mut Vec<u8>) -> Result<()> {
        let (text, tag) = self.sealed.split_last_chunk::<TAG_BYTES>().ok_or_else(Error::unauthentic)?;
        if self.padded + text.len() > MAX_PADDED_BLOB_BYTES {
            return Err(Error::malformed("longer than a sealed value of this suite can be"));
        }
        self.plain.make_room(CHUNK_BYTES);
        if self.chunks.open(self.plain.append(text), tag).is_err() {
            self.plain.wipe();
            return Err(Error::unauthentic());
        }
        self.padded += text.len();
        self.sealed.clear();
        let mut plain = self.plain.expose();
        // The first byte of the first chunk is the type; the first chunk is empty only in an envelope of an impossible length.
        if let (false, Some((kind, rest))) = (self.typed, plain.split_first()) {
            ValueRef::read(*kind, &[])
                .ok()
                .filter(|v| matches!(v, ValueRef::Bytes(_)))
                .ok_or_else(Error::unauthentic)?;
            (self.typed, plain) = (true, rest);
        }
        release(plain, &mut self.held, out);
        Ok(())
    }
}

/// Appends verified bytes, and holds back a 0x80 with the zeros after it: at the end of the value they are padding.
fn release(plain: &[u8], held: &mut Option<usize>, out: &mut Vec<u8>) {
    let Some(last) = plain.iter().rposition(|byte| *byte != 0) else {
        match held {
            Some(count) => *count += plain.len(),
            None => out.extend_from_slice(plain),
        }
        return;
    };
    if let Some(count) = held.take() {
        out.push(0x80);
        out.resize(out.len() + count, 0);
    }
    let (content, tail) = plain.split_at(last);
    out.extend_from_slice(content);
    match tail.split_first() {
        Some((0x80, zeros)) => *held = Some(zeros.len()),
        _ => out.extend_from_slice(tail),
    }
}

impl fmt::Debug for StreamOpener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StreamOpener")
    }
}
