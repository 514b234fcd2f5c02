// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tests that need what the library keeps to itself: raw secrets, nonces and ciphers.
//!
//! Everything else is tested through the public interface, in `tests/`.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod census;
mod ff1;
mod flips;
mod streams;
mod vector;
mod vectors;
mod wycheproof;
mod xaes;

use crate::crypto::Engine;
use crate::crypto::aes_gcm::Aes256Gcm;
use crate::crypto::xchacha::XChaCha;

const ENGINES: [Engine; 2] = [Engine::Ring, Engine::RustCrypto];

fn gcm_seal(key: &Aes256Gcm, nonce: [u8; 12], aad: &[u8], text: &mut [u8]) -> [u8; 16] {
    let mut tag = [0; 16];
    key.seal(nonce, aad, text, &mut tag).expect("sealed");
    tag
}

fn xchacha_seal(key: &XChaCha, nonce: &[u8; 24], aad: &[u8], text: &mut [u8]) -> [u8; 16] {
    let mut tag = [0; 16];
    key.seal(nonce, aad, text, &mut tag).expect("sealed");
    tag
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let mut bytes = vec![0; text.len() / 2];
    crate::ident::decode_hex(text, &mut bytes).expect("lower-case hex");
    bytes
}
