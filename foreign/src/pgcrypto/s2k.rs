// SPDX-License-Identifier: MIT OR Apache-2.0
//! Keys from passphrases, as OpenPGP makes them (string-to-key).
//!
//! Owns the modes 0, 1 and 3. Never hashes more than the largest count of mode 3 (65,011,712 bytes) for each part of a key. Source: RFC
//! 4880, 3.7.

use amanat::error::{Error, Result};
use sha1::{Digest, Sha1};
use sha2::{Sha224, Sha256, Sha384, Sha512};
use zeroize::{Zeroize, Zeroizing};

use crate::reader::Reader;

/// How a passphrase becomes a key.
pub(super) struct S2k {
    hash: Hash,
    salt: Option<[u8; SALT_BYTES]>,
    /// Bytes that are hashed: salt and passphrase, over and over. At least once whole.
    count: usize,
}

#[derive(Clone, Copy)]
enum Hash {
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

impl S2k {
    pub(super) fn parse(reader: &mut Reader<'_>) -> Result<Self> {
        let mode = reader.byte()?;
        if ![0, 1, 3].contains(&mode) {
            return Err(Error::unsupported("an OpenPGP message with another s2k-mode than 0, 1 or 3"));
        }
        let hash = Hash::from_id(reader.byte()?)?;
        let salt = if mode == 0 { None } else { Some(*reader.array()?) };
        let count = if mode == 3 { decoded_count(reader.byte()?) } else { 0 };
        Ok(Self { hash, salt, count })
    }

    pub(super) fn derive(&self, passphrase: &[u8], key: &mut [u8]) {
        match self.hash {
            Hash::Sha1 => self.derive_with::<Sha1>(passphrase, key),
            Hash::Sha224 => self.derive_with::<Sha224>(passphrase, key),
            Hash::Sha256 => self.derive_with::<Sha256>(passphrase, key),
            Hash::Sha384 => self.derive_with::<Sha384>(passphrase, key),
            Hash::Sha512 => self.derive_with::<Sha512>(passphrase, key),
        }
    }

    /// A part of the key for each output of the hash; part n is preceded by n zeros.
    fn derive_with<D: Digest>(&self, passphrase: &[u8], key: &mut [u8]) {
        let once = self.salt.map_or(0, |salt| salt.len()) + passphrase.len();
        // The text several times in a row, so that the hash is called seldom.
        let times = (BLOCK_BYTES / once.max(1)).max(1);
        let mut block = Zeroizing::new(Vec::with_capacity(times * once));
        for _ in 0..times {
            block.extend_from_slice(self.salt.as_ref().map_or(&[], |salt| salt));
            block.extend_from_slice(passphrase);
        }
        for (zeros, part) in key.chunks_mut(<D as Digest>::output_size()).enumerate() {
            let mut hash = D::new();
            (0..zeros).for_each(|_| hash.update([0]));
            let mut left = self.count.max(once);
            while left > 0 {
                let bytes = block.get(..left).unwrap_or(&block);
                hash.update(bytes);
                // A passphrase is never empty; were it, nothing would be left to hash.
                left = if bytes.is_empty() { 0 } else { left - bytes.len() };
            }
            let mut output = hash.finalize();
            part.iter_mut().zip(&output).for_each(|(to, from)| *to = *from);
            output.as_mut_slice().zeroize();
        }
    }
}

impl Hash {
    /// RFC 4880, 9.4.
    fn from_id(id: u8) -> Result<Self> {
        let name = match id {
            2 => return Ok(Self::Sha1),
            8 => return Ok(Self::Sha256),
            9 => return Ok(Self::Sha384),
            10 => return Ok(Self::Sha512),
            11 => return Ok(Self::Sha224),
            1 => "MD5",
            3 => "RIPEMD-160",
            _ => return Err(Error::unsupported("an OpenPGP message with an unknown s2k-digest-algo")),
        };
        Err(Error::unsupported(format!(
            "an OpenPGP message with the s2k-digest-algo {name}; SHA-1 and SHA-2 are opened: seal it again in the database"
        )))
    }
}

/// RFC 4880, 3.7.1.3: four bits of mantissa, four of exponent.
fn decoded_count(coded: u8) -> usize {
    (16 + usize::from(coded & 15)) << (usize::from(coded >> 4) + 6)
}

const BLOCK_BYTES: usize = 4_096;
const SALT_BYTES: usize = 8;
