// SPDX-License-Identifier: MIT OR Apache-2.0
//! OpenPGP messages under a passphrase, as PostgreSQL's pgcrypto writes them (`pgp_sym_encrypt`).
//!
//! Owns the opening of a message: key packet, data packet, integrity code, contents. Never opens a message without an integrity code, never
//! looks at its contents before the code was checked. Source: RFC 4880.

mod armor;
mod packet;
mod s2k;

use core::fmt;

use aes::{Aes128, Aes192, Aes256};
use amanat::error::{Error, Result};
use cfb_mode::cipher::{BlockCipherEncrypt, BlockSizeUser, KeyInit, KeyIvInit, consts::U16};
use sha1::{Digest, Sha1};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use self::packet::{Indeterminate, Packet, Tag};
use self::s2k::S2k;
use crate::limits::{Compression, bounded, inflate, unauthentic};
use crate::reader::Reader;
use crate::text::bounded_key_file;
use crate::{Opener, Origin};

/// Opens messages of pgcrypto.
pub struct Pgcrypto {
    passphrase: Zeroizing<Vec<u8>>,
}

impl Pgcrypto {
    /// Reads a passphrase of at most [`MAX_PASSPHRASE_BYTES`]; one line end after it is not part of it.
    ///
    /// # Errors
    /// `Malformed` if it is empty, `Limit` if it is too long.
    pub fn from_key_file(key_file: &[u8]) -> Result<Self> {
        let text = bounded_key_file(key_file)?;
        let text = text.strip_suffix(b"\n").map_or(text, |text| text.strip_suffix(b"\r").unwrap_or(text));
        if text.is_empty() {
            return Err(Error::malformed("the key file of pgcrypto has no passphrase"));
        }
        if text.len() > MAX_PASSPHRASE_BYTES {
            return Err(Error::limit(format!("a passphrase of more than {MAX_PASSPHRASE_BYTES} bytes")));
        }
        Ok(Self { passphrase: Zeroizing::new(text.to_vec()) })
    }
}

impl Opener for Pgcrypto {
    fn name(&self) -> &str {
        "pgcrypto"
    }

    fn open(&self, stored: &[u8], _: &Origin<'_>) -> Result<Zeroizing<Vec<u8>>> {
        let bytes = armor::to_bytes(bounded(stored)?)?;
        let mut reader = Reader::new(&bytes);
        let key = KeyPacket::parse(&next(&mut reader)?)?;
        let data = data_packet(&next(&mut reader)?)?.to_vec();
        if !reader.is_empty() {
            return Err(Error::malformed("bytes after the end of an OpenPGP message"));
        }
        let contents = decrypt(&key, Zeroizing::new(data), &self.passphrase)?;
        literal(&contents)
    }
}

/// The next packet that is no marker.
fn next<'a>(reader: &mut Reader<'a>) -> Result<Packet<'a>> {
    loop {
        let packet = Packet::next(reader, Indeterminate::Refused)?;
        if packet.tag != Tag::Marker {
            return Ok(packet);
        }
    }
}

/// Symmetric-key encrypted session key (RFC 4880, 5.3).
struct KeyPacket {
    s2k: S2k,
    cipher: Cipher,
    /// The session's cipher and key, sealed; without it the session's are those of this packet.
    session: Option<Zeroizing<Vec<u8>>>,
}

impl KeyPacket {
    fn parse(packet: &Packet<'_>) -> Result<Self> {
        match packet.tag {
            Tag::SymmetricKey => {}
            Tag::PublicKey => {
                return Err(Error::unsupported(
                    "an OpenPGP message to a public key; those under a passphrase are opened",
                ));
            }
            _ => return Err(Error::malformed("an OpenPGP message that does not begin with a key packet")),
        }
        let mut reader = Reader::new(&packet.body);
        if reader.byte()? != KEY_VERSION {
            return Err(Error::unsupported("an OpenPGP key packet of another version than 4"));
        }
        let cipher = Cipher::from_id(reader.byte()?)?;
        let s2k = S2k::parse(&mut reader)?;
        let session = match reader.rest() {
            [] => None,
            sealed if [17, 25, 33].contains(&sealed.len()) => Some(Zeroizing::new(sealed.to_vec())),
            _ => return Err(Error::malformed("an OpenPGP session key of a length that no AES key has")),
        };
        Ok(Self { s2k, cipher, session })
    }

    /// The cipher and key of the data.
    fn session(&self, passphrase: &[u8]) -> Result<(Cipher, Zeroizing<Vec<u8>>)> {
        let mut key = Zeroizing::new(vec![0; self.cipher.key_bytes()]);
        self.s2k.derive(passphrase, &mut key);
        let Some(session) = &self.session else {
            return Ok((self.cipher, key));
        };
        let mut session = session.clone();
        self.cipher.decrypt(&key, &mut session)?;
        let (id, key) = session.split_first().ok_or_else(unauthentic)?;
        let cipher = Cipher::from_id(*id).map_err(|_| unauthentic())?;
        if key.len() != cipher.key_bytes() {
            return Err(unauthentic());
        }
        Ok((cipher, Zeroizing::new(key.to_vec())))
    }
}

/// What a data packet seals (RFC 4880, 5.13).
fn data_packet<'a>(packet: &'a Packet<'_>) -> Result<&'a [u8]> {
    match packet.tag {
        Tag::IntegrityProtected => {}
        Tag::Encrypted => {
            return Err(Error::unsupported(
                "an OpenPGP message without integrity code (disable-mdc=1); nothing would show that it was altered: \
                 seal it again in the database without that option",
            ));
        }
        Tag::SymmetricKey | Tag::PublicKey => {
            return Err(Error::unsupported(
                "an OpenPGP message with several keys; those with one passphrase are opened",
            ));
        }
        _ => return Err(Error::malformed("an OpenPGP message without a data packet after the key packet")),
    }
    match packet.body.split_first() {
        Some((&DATA_VERSION, sealed)) if sealed.len() >= PREFIX_BYTES + CODE_PACKET_BYTES => Ok(sealed),
        Some((&DATA_VERSION, _)) | None => Err(Error::malformed("an OpenPGP data packet that is cut off")),
        Some(_) => Err(Error::unsupported("an OpenPGP data packet of another version than 1")),
    }
}

/// Decrypts and checks the integrity code; gives the packets between prefix and code.
fn decrypt(key: &KeyPacket, mut data: Zeroizing<Vec<u8>>, passphrase: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    // prefix, 18 bytes | packets | 0xd3 0x14 | SHA-1 of all before it. The prefix's repeated bytes are not compared: an early answer from
    // them is an oracle, and the code covers them.
    let (cipher, key) = key.session(passphrase)?;
    cipher.decrypt(&key, &mut data)?;
    let (before, code) = data.split_last_chunk::<CODE_BYTES>().ok_or_else(unauthentic)?;
    let computed: [u8; CODE_BYTES] = Sha1::digest(before).into();
    let (contents, head) = before.split_last_chunk::<2>().ok_or_else(unauthentic)?;
    if !bool::from(computed.ct_eq(code) & head.ct_eq(&CODE_HEAD)) {
        return Err(unauthentic());
    }
    contents.get(PREFIX_BYTES..).map(|packets| Zeroizing::new(packets.to_vec())).ok_or_else(unauthentic)
}

/// The bytes of the one literal packet, inflated if need be. Contents are authentic: what is not of pgcrypto may be told.
fn literal(contents: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    let packet = only_packet(contents)?;
    let inflated = match (packet.tag, packet.body.split_first()) {
        (Tag::Compressed, Some((algorithm, stream))) => match algorithm {
            0 => Zeroizing::new(stream.to_vec()),
            1 => inflate(stream, Compression::Deflate)?,
            2 => inflate(stream, Compression::Zlib)?,
            3 => {
                return Err(Error::unsupported(
                    "an OpenPGP message compressed with bzip2; zip and zlib are opened",
                ));
            }
            _ => return Err(not_literal()),
        },
        _ => return literal_body(&packet),
    };
    literal_body(&only_packet(&inflated)?)
}

fn only_packet(bytes: &[u8]) -> Result<Packet<'_>> {
    let mut reader = Reader::new(bytes);
    let packet = Packet::next(&mut reader, Indeterminate::Allowed).map_err(|_| not_literal())?;
    if reader.is_empty() { Ok(packet) } else { Err(not_literal()) }
}

/// RFC 4880, 5.9: type, name, date, bytes.
fn literal_body(packet: &Packet<'_>) -> Result<Zeroizing<Vec<u8>>> {
    if packet.tag != Tag::Literal {
        return Err(not_literal());
    }
    let mut reader = Reader::new(&packet.body);
    let mut skip_head = || {
        reader.byte()?;
        let name = reader.byte()?;
        reader.take(usize::from(name))?;
        reader.take(DATE_BYTES)
    };
    skip_head().map_err(|_| not_literal())?;
    Ok(Zeroizing::new(reader.rest().to_vec()))
}

fn not_literal() -> Error {
    Error::unsupported(
        "an OpenPGP message that is authentic and holds other than one literal, as pgcrypto writes it",
    )
}

#[derive(Clone, Copy)]
enum Cipher {
    Aes128,
    Aes192,
    Aes256,
}

impl Cipher {
    /// RFC 4880, 9.2.
    fn from_id(id: u8) -> Result<Self> {
        let name = match id {
            7 => return Ok(Self::Aes128),
            8 => return Ok(Self::Aes192),
            9 => return Ok(Self::Aes256),
            1 => "IDEA",
            2 => "3DES",
            3 => "CAST5",
            4 => "Blowfish",
            10 => "Twofish",
            11..=13 => "Camellia",
            _ => return Err(Error::unsupported("an OpenPGP message with an unknown cipher; AES is opened")),
        };
        Err(Error::unsupported(format!(
            "an OpenPGP message with the cipher {name}; AES is opened: seal it again in the database with cipher-algo=aes256"
        )))
    }

    const fn key_bytes(self) -> usize {
        match self {
            Self::Aes128 => 16,
            Self::Aes192 => 24,
            Self::Aes256 => 32,
        }
    }

    /// CFB with an initial block of zeros: the messages begin with random bytes instead.
    fn decrypt(self, key: &[u8], data: &mut [u8]) -> Result<()> {
        match self {
            Self::Aes128 => cfb::<Aes128>(key, data),
            Self::Aes192 => cfb::<Aes192>(key, data),
            Self::Aes256 => cfb::<Aes256>(key, data),
        }
    }
}

fn cfb<C>(key: &[u8], data: &mut [u8]) -> Result<()>
where
    C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16> + KeyInit,
{
    let decryptor = cfb_mode::Decryptor::<C>::new_from_slices(key, &[0; 16]).map_err(|_| unauthentic())?;
    decryptor.decrypt(data);
    Ok(())
}

impl fmt::Debug for Pgcrypto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pgcrypto")
    }
}

/// Longest passphrase.
pub const MAX_PASSPHRASE_BYTES: usize = 1_024;

const CODE_BYTES: usize = 20;
const CODE_HEAD: [u8; 2] = [0xd3, 0x14];
const CODE_PACKET_BYTES: usize = CODE_HEAD.len() + CODE_BYTES;
const DATA_VERSION: u8 = 1;
const DATE_BYTES: usize = 4;
const KEY_VERSION: u8 = 4;
const PREFIX_BYTES: usize = 18;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use amanat::error::Kind;

    use super::*;

    /// Key packet: version 4, AES-128, s2k mode 0, SHA-1.
    const KEY: &[u8] = b"\xc3\x04\x04\x07\x00\x02";

    fn kind(parts: &[&[u8]]) -> Kind {
        let opener = Pgcrypto::from_key_file(b"a passphrase").unwrap();
        opener.open(&parts.concat(), &Origin::new("t", "c", &[])).unwrap_err().kind()
    }

    #[test]
    fn data_packets_too_short_for_a_code_are_told_from_those_that_do_not_open() {
        for bytes in 0..PREFIX_BYTES + CODE_PACKET_BYTES {
            let length = u8::try_from(bytes + 1).unwrap();
            assert_eq!(kind(&[KEY, &[0xd2, length, 1], &vec![7; bytes]]), Kind::Malformed, "{bytes}");
        }
        assert_eq!(kind(&[KEY, &[0xd2, 41, 1], &[7; 40]]), Kind::Unauthentic);
        assert_eq!(kind(&[KEY, &[0xd2, 41, 2], &[7; 40]]), Kind::Unsupported);
    }

    #[test]
    fn messages_of_other_shapes_are_refused_before_a_key_is_made() {
        let data = &[&[0xd2, 41, 1][..], &[7; 40]].concat();
        assert_eq!(kind(&[]), Kind::Malformed);
        assert_eq!(kind(&[data]), Kind::Malformed);
        assert_eq!(kind(&[KEY]), Kind::Malformed);
        assert_eq!(kind(&[KEY, KEY, data]), Kind::Unsupported);
        assert_eq!(kind(&[b"\xc1\x01\x03", data]), Kind::Unsupported);
        assert_eq!(kind(&[KEY, data, data]), Kind::Malformed);
        assert_eq!(kind(&[b"\xc3\x05\x04\x07\x00\x02\x09", data]), Kind::Malformed);
        assert_eq!(kind(&[b"\x8f\x04\x07\x00\x02", data]), Kind::Unsupported);
        // A marker may come before.
        assert_eq!(kind(&[b"\xca\x03PGP", KEY, data]), Kind::Unauthentic);
    }

    #[test]
    fn authentic_contents_of_other_tools_are_named() {
        let of = |contents: &[u8]| literal(contents).map(|text| text.to_vec()).map_err(|e| e.kind());
        assert_eq!(of(b"\xcb\x08b\x00\x00\x00\x00\x00hi"), Ok(b"hi".to_vec()));
        assert_eq!(of(b"\xcb\x09b\x01n\x00\x00\x00\x00hi"), Ok(b"hi".to_vec()));
        assert_eq!(of(b"\xa3\x00\xcb\x08b\x00\x00\x00\x00\x00hi"), Ok(b"hi".to_vec()));
        for other in [
            &b""[..],
            b"\xcb\x05b\x00\x00\x00\x00",
            b"\xcb\x06b\xff\x00\x00\x00\x00",
            b"\xc8\x00",
            b"\xc8\x01\x03",
            b"\xc8\x01\x09",
            b"\xc4\x00",
            b"\xcb\x06b\x00\x00\x00\x00\x00\xcb\x06b\x00\x00\x00\x00\x00",
            b"\xc8\x03\x00\xc8\x00",
        ] {
            assert_eq!(of(other), Err(Kind::Unsupported), "{other:02x?}");
        }
    }
}
