// SPDX-License-Identifier: MIT OR Apache-2.0
//! Packets of OpenPGP.
//!
//! Owns their tags and lengths, also of bodies in parts. Never reads a body. Source: RFC 4880, chapter 4.

use core::ops::Deref;

use amanat::error::{Error, Result};
use zeroize::Zeroizing;

use crate::reader::Reader;

/// One packet.
pub(super) struct Packet<'a> {
    pub(super) tag: Tag,
    pub(super) body: Body<'a>,
}

/// Kinds of packets that a message may hold.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Tag {
    Compressed,
    Encrypted,
    IntegrityProtected,
    Literal,
    Marker,
    PublicKey,
    SymmetricKey,
}

/// The body of a packet. One that came in parts is joined, and wiped: it may be plaintext.
pub(super) enum Body<'a> {
    Joined(Zeroizing<Vec<u8>>),
    Whole(&'a [u8]),
}

/// Whether a body may go on to the end of what holds it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Indeterminate {
    Allowed,
    Refused,
}

enum Length {
    Last(usize),
    Part(usize),
}

impl<'a> Packet<'a> {
    pub(super) fn next(reader: &mut Reader<'a>, indeterminate: Indeterminate) -> Result<Self> {
        let head = reader.byte()?;
        if head & 0xc0 == 0xc0 {
            let tag = Tag::from_id(head & 0x3f)?;
            return Ok(Self { tag, body: new_body(reader, tag)? });
        }
        if head & 0x80 == 0 {
            return Err(Error::malformed("not an OpenPGP message"));
        }
        let tag = Tag::from_id(head >> 2 & 0x0f)?;
        let length = match head & 3 {
            0 => usize::from(reader.byte()?),
            1 => usize::from(u16::from_be_bytes(*reader.array()?)),
            2 => four_bytes(reader)?,
            _ if indeterminate == Indeterminate::Allowed => {
                return Ok(Self { tag, body: Body::Whole(reader.rest()) });
            }
            _ => return Err(Error::unsupported("an OpenPGP packet without a length")),
        };
        Ok(Self { tag, body: Body::Whole(reader.take(length)?) })
    }
}

impl Tag {
    fn from_id(id: u8) -> Result<Self> {
        Ok(match id {
            1 => Self::PublicKey,
            3 => Self::SymmetricKey,
            8 => Self::Compressed,
            9 => Self::Encrypted,
            10 => Self::Marker,
            11 => Self::Literal,
            18 => Self::IntegrityProtected,
            _ => return Err(Error::malformed("an OpenPGP packet of a kind that no such message has")),
        })
    }

    /// RFC 4880, 4.2.2.4.
    const fn may_come_in_parts(self) -> bool {
        matches!(self, Self::Compressed | Self::Encrypted | Self::IntegrityProtected | Self::Literal)
    }
}

fn new_body<'a>(reader: &mut Reader<'a>, tag: Tag) -> Result<Body<'a>> {
    let mut length = new_length(reader)?;
    if let Length::Last(length) = length {
        return reader.take(length).map(Body::Whole);
    }
    if !tag.may_come_in_parts() {
        return Err(Error::malformed("an OpenPGP packet in parts that may not have them"));
    }
    // All that is left is room enough, so that the buffer never grows.
    let mut joined = Zeroizing::new(Vec::with_capacity(reader.left()));
    loop {
        match length {
            Length::Part(part) => joined.extend_from_slice(reader.take(part)?),
            Length::Last(last) => {
                joined.extend_from_slice(reader.take(last)?);
                return Ok(Body::Joined(joined));
            }
        }
        length = new_length(reader)?;
    }
}

/// RFC 4880, 4.2.2.
fn new_length(reader: &mut Reader<'_>) -> Result<Length> {
    Ok(match reader.byte()? {
        short @ 0..=191 => Length::Last(usize::from(short)),
        first @ 192..=223 => Length::Last(usize::from(first - 192) * 256 + usize::from(reader.byte()?) + 192),
        part @ 224..=254 => Length::Part(1 << (part & 0x1f)),
        255 => Length::Last(four_bytes(reader)?),
    })
}

fn four_bytes(reader: &mut Reader<'_>) -> Result<usize> {
    let length = u32::from_be_bytes(*reader.array()?);
    usize::try_from(length).map_err(|_| Error::limit("an OpenPGP packet longer than memory"))
}

impl Deref for Body<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Joined(bytes) => bytes,
            Self::Whole(bytes) => bytes,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn body(bytes: &[u8]) -> Option<Vec<u8>> {
        let mut reader = Reader::new(bytes);
        let packet = Packet::next(&mut reader, Indeterminate::Allowed).ok()?;
        reader.is_empty().then(|| packet.body.to_vec())
    }

    #[test]
    fn every_form_of_length_gives_the_body() {
        assert_eq!(body(b"\xcb\x02ab").unwrap(), b"ab");
        assert_eq!(body(&[&[0xcb, 192, 1][..], &[7; 193]].concat()).unwrap(), [7; 193]);
        assert_eq!(body(b"\xcb\xff\0\0\0\x02ab").unwrap(), b"ab");
        assert_eq!(body(b"\xcb\xe1ab\xe0c\x01d").unwrap(), b"abcd");
        assert_eq!(body(b"\xcb\xe1ab\x00").unwrap(), b"ab");
        assert_eq!(body(b"\xac\x02ab").unwrap(), b"ab");
        assert_eq!(body(b"\xad\0\x02ab").unwrap(), b"ab");
        assert_eq!(body(b"\xae\0\0\0\x02ab").unwrap(), b"ab");
        assert_eq!(body(b"\xafab").unwrap(), b"ab");
    }

    #[test]
    fn hostile_lengths_are_refused() {
        let bad: [&[u8]; 10] = [
            b"",
            b"\xcb",
            b"\x0b\x00",
            b"\xcb\x03ab",
            b"\xcb\xff\xff\xff\xff\xff",
            b"\xae\xff\xff\xff\xff",
            b"\xcb\xfe\0",
            b"\xcb\xe1ab",
            b"\xc3\xe1ab\0",
            b"\xff\x00",
        ];
        for bytes in bad {
            assert!(body(bytes).is_none(), "{bytes:02x?}");
        }
        assert!(Packet::next(&mut Reader::new(b"\xafab"), Indeterminate::Refused).is_err());
    }
}
