// SPDX-License-Identifier: MIT OR Apache-2.0
//! AES-256-SIV (RFC 5297): deterministic, for purposes that ask for equality.

use aes_siv::KeyInit;
use aes_siv::siv::Aes256Siv;

use super::Unauthentic;
use crate::secret::Secret;
use crate::suite::TAG_BYTES;

/// Seals `text` in place and gives the synthetic IV. `components` are the strings of associated data, in order.
pub(crate) fn seal(
    key: &Secret<64>,
    components: &[&[u8]],
    text: &mut [u8],
) -> Result<[u8; TAG_BYTES], Unauthentic> {
    let mut cipher = Aes256Siv::new(key.expose().into());
    cipher.encrypt_inout_detached(components, text.into()).map(Into::into).map_err(|_| Unauthentic)
}

/// Opens `text` in place. On failure the content of `text` is not plaintext and must be wiped.
pub(crate) fn open(
    key: &Secret<64>,
    components: &[&[u8]],
    text: &mut [u8],
    iv: &[u8; TAG_BYTES],
) -> Result<(), Unauthentic> {
    let mut cipher = Aes256Siv::new(key.expose().into());
    cipher.decrypt_inout_detached(components, text.into(), iv.into()).map_err(|_| Unauthentic)
}
