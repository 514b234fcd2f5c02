// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rows in the form of a binary COPY (PostgreSQL 17 documentation, COPY, "Binary Format").
//!
//! Owns the reading of that form, whatever the types in it. Never changes a field that it is not told to.

use std::io::BufRead;

use amanat::error::{Error, Result};

use crate::postgres::error::failed;

/// What a binary COPY begins with: the signature, no flags, no extension.
pub(super) const HEADER: [u8; 19] = *b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// What it ends with.
pub(super) const TRAILER: [u8; 2] = [0xff, 0xff];

/// Rows of a binary COPY.
#[derive(Default)]
pub(in crate::postgres) struct RawRows {
    bytes: Vec<u8>,
    /// Beginning and length of each field; a length below zero is NULL.
    spans: Vec<(usize, i32)>,
    width: usize,
}

/// Reads rows from the stream of a COPY.
pub(super) struct RowReader<R> {
    input: R,
    /// Beginning of a row that was not complete.
    rest: Vec<u8>,
    width: usize,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Header,
    Rows,
    Ended,
}

impl RawRows {
    pub(in crate::postgres) fn count(&self) -> usize {
        self.spans.len() / self.width.max(1)
    }

    pub(in crate::postgres) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Bytes of a field; none if it is NULL.
    pub(in crate::postgres) fn field(&self, row: usize, place: usize) -> Result<Option<&[u8]>> {
        Ok(self.span(row, place)?.and_then(|(start, length)| self.bytes.get(start..start + length)))
    }

    /// A field as it stands in the stream, with its length.
    pub(super) fn raw(&self, row: usize, place: usize) -> Result<&[u8]> {
        const NULL: &[u8] = &[0xff; 4];
        match self.span(row, place)? {
            Some((start, length)) => self.bytes.get(start - 4..start + length).ok_or_else(unreadable),
            None => Ok(NULL),
        }
    }

    fn span(&self, row: usize, place: usize) -> Result<Option<(usize, usize)>> {
        if place >= self.width {
            return Err(unreadable());
        }
        let (start, length) = *self.spans.get(row * self.width + place).ok_or_else(unreadable)?;
        Ok(usize::try_from(length).ok().map(|length| (start, length)))
    }
}

impl<R: BufRead> RowReader<R> {
    /// Reads rows of so many fields.
    pub(super) const fn new(input: R, width: usize) -> Self {
        Self { input, rest: Vec::new(), width, state: State::Header }
    }

    /// Up to so many rows of about so many bytes; none at the end.
    pub(super) fn next(&mut self, rows: usize, bytes: usize) -> Result<Option<RawRows>> {
        if self.state == State::Ended {
            return Ok(None);
        }
        let mut data = std::mem::take(&mut self.rest);
        let mut spans = Vec::new();
        let (mut at, mut count) = (0, 0);
        loop {
            while self.state != State::Ended && count < rows && at < bytes {
                let is_row = self.state == State::Rows;
                let Some(next) = self.take(&data, at, &mut spans)? else { break };
                at = next;
                count += usize::from(is_row && self.state == State::Rows);
            }
            if self.state == State::Ended || count >= rows || at >= bytes {
                break;
            }
            if !self.more(&mut data)? {
                return Err(unreadable());
            }
        }
        self.rest = data.split_off(at);
        if self.state == State::Ended {
            // The server says here whether it could read all.
            while self.more(&mut Vec::new())? {}
        }
        Ok((count > 0).then_some(RawRows { bytes: data, spans, width: self.width }))
    }

    fn more(&mut self, data: &mut Vec<u8>) -> Result<bool> {
        let found = self.input.fill_buf().map_err(broken)?;
        let length = found.len();
        data.extend_from_slice(found);
        self.input.consume(length);
        Ok(length > 0)
    }

    /// Takes the header, a row or the trailer; none if it is not complete.
    fn take(&mut self, data: &[u8], at: usize, spans: &mut Vec<(usize, i32)>) -> Result<Option<usize>> {
        if self.state == State::Header {
            let Some(header) = data.get(at..at + HEADER.len()) else { return Ok(None) };
            if header != HEADER {
                return Err(unreadable());
            }
            self.state = State::Rows;
            return Ok(Some(at + HEADER.len()));
        }
        let Some(count) = array(data, at).map(i16::from_be_bytes) else { return Ok(None) };
        if count == -1 {
            self.state = State::Ended;
            return Ok(Some(at + 2));
        }
        if usize::try_from(count) != Ok(self.width) {
            return Err(unreadable());
        }
        let (mut next, before) = (at + 2, spans.len());
        for _ in 0..self.width {
            let length = array(data, next).map(i32::from_be_bytes);
            let end = length.map(|length| next + 4 + usize::try_from(length).unwrap_or(0));
            let (Some(length), Some(end)) = (length, end.filter(|end| *end <= data.len())) else {
                spans.truncate(before);
                return Ok(None);
            };
            spans.push((next + 4, length));
            next = end;
        }
        Ok(Some(next))
    }
}

fn array<const N: usize>(data: &[u8], at: usize) -> Option<[u8; N]> {
    data.get(at..at + N)?.try_into().ok()
}

/// An error of a stream, which hides that of the server.
pub(super) fn broken(error: std::io::Error) -> Error {
    match error.into_inner().map(<dyn std::error::Error + Send + Sync>::downcast::<postgres::Error>) {
        Some(Ok(error)) => failed(*error),
        _ => unreadable(),
    }
}

fn unreadable() -> Error {
    Error::malformed("the server's COPY is not in the binary form of PostgreSQL; nothing of it was kept")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::unwrap_used, clippy::indexing_slicing)]
    fn rows_are_read_whole_however_the_stream_is_cut() {
        let mut stream = HEADER.to_vec();
        for number in 0..5_u8 {
            stream.extend([0, 2, 0, 0, 0, 3, b'a', b'b', number, 0xff, 0xff, 0xff, 0xff]);
        }
        stream.extend(TRAILER);
        for cut in 1..stream.len() {
            let input = std::io::BufReader::with_capacity(cut, stream.as_slice());
            let mut reader = RowReader::new(input, 2);
            let mut numbers = Vec::new();
            while let Some(rows) = reader.next(2, 1_000).unwrap() {
                assert!(rows.count() <= 2);
                for row in 0..rows.count() {
                    numbers.push(rows.field(row, 0).unwrap().unwrap().to_vec());
                    assert_eq!(rows.field(row, 1).unwrap(), None);
                    assert_eq!(rows.raw(row, 1).unwrap(), [0xff; 4]);
                    assert_eq!(rows.raw(row, 0).unwrap().len(), 7);
                }
            }
            assert_eq!(numbers, (0..5).map(|number| vec![b'a', b'b', number]).collect::<Vec<_>>());
            let mut short = RowReader::new(&stream[..cut], 2);
            assert!((0..9).any(|_| short.next(2, 1_000).is_err()), "a stream that is cut off is no end");
        }
    }
}
