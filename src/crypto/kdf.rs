// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every derived key and its label, on one screen (SPEC 4.2).

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Sha256, Sha512};

use crate::secret::Secret;
use crate::wire::pae;

pub(crate) const KEY_ID: &[u8] = b"amanat/v1/key-id";
pub(crate) const FIELD: &[u8] = b"amanat/v1/field";
pub(crate) const INDEX: &[u8] = b"amanat/v1/index";
pub(crate) const TOKEN: &[u8] = b"amanat/v1/token";
/// Of the tweak of FF1, from a token key.
pub(crate) const FF1_TWEAK: &[u8] = b"amanat/v1/ff1-tweak";
pub(crate) const RECEIPT: &[u8] = b"amanat/v1/receipt";
pub(crate) const WRAP: &[u8] = b"amanat/v1/wrap";
pub(crate) const KEYRING_MAC: &[u8] = b"amanat/v1/keyring-mac";
pub(crate) const SLOT: &[u8] = b"amanat/v1/slot";
pub(crate) const KEK_ID: &[u8] = b"amanat/v1/kek-id";
/// Label of what HPKE binds, not of a key.
pub(crate) const TRANSLATION: &[u8] = b"amanat/v1/translation";
/// Label of associated data, not of a key.
pub(crate) const WRAPPED_KEY: &[u8] = b"amanat/v1/wrapped-key";
/// Label of C2SP chunked encryption with AES-256-GCM, its closing zero included.
pub(crate) const CHUNKED_LABEL: &[u8] = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0";

/// `KDF(secret, PAE(parts), N)`: HKDF-SHA-256 (RFC 5869) with an empty salt.
pub(crate) fn derive<const N: usize>(secret: &Secret<32>, parts: &[&[u8]]) -> Secret<N> {
    const { assert!(N > 0 && N <= 255 * 32, "HKDF-SHA-256 gives at most 8160 bytes") };
    let filled = Secret::fill(|out| hkdf_sha256(secret.expose(), None, &pae(parts), out));
    // HKDF refuses only lengths that the assertion above excludes.
    filled.expect("a length within HKDF's limit")
}

/// HKDF-SHA-256, extract and expand.
pub(crate) fn hkdf_sha256(
    ikm: &[u8],
    salt: Option<&[u8]>,
    info: &[u8],
    out: &mut [u8],
) -> Result<(), hkdf::InvalidLength> {
    Hkdf::<Sha256>::new(salt, ikm).expand(info, out)
}

/// HKDF-Expand with SHA-512 (RFC 5869 section 2.3) of a uniform key; `out` must be at most 16,320 bytes.
pub(crate) fn expand_sha512(key: &[u8], info: &[&[u8]], out: &mut [u8]) {
    // T(i) = HMAC(key, T(i-1) ‖ info ‖ i). The crate refuses a key shorter than its hash, which C2SP's 32-byte input keys are.
    let mut previous: zeroize::Zeroizing<Vec<u8>> = zeroize::Zeroizing::new(Vec::with_capacity(64));
    for (block, counter) in out.chunks_mut(64).zip(1..=255_u8) {
        let mut mac = keyed::<Hmac<Sha512>>(key);
        mac.update(&previous);
        info.iter().for_each(|part| mac.update(part));
        mac.update(&[counter]);
        previous.clear();
        previous.extend_from_slice(&mac.finalize().into_bytes());
        block.iter_mut().zip(previous.iter()).for_each(|(out, byte)| *out = *byte);
    }
}

/// HMAC-SHA-256 (FIPS 198-1) over the concatenation of `parts`.
pub(crate) fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = keyed::<Hmac<Sha256>>(key);
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

/// HMAC takes keys of any length.
fn keyed<M: Mac + KeyInit>(key: &[u8]) -> M {
    <M as KeyInit>::new_from_slice(key).expect("HMAC takes a key of any length")
}
