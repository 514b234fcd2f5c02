// SPDX-License-Identifier: MIT OR Apache-2.0
//! Wycheproof's vectors through this crate's own code; how many ran, and how many cannot, is part of each test.
//!
//! ChaCha20-Poly1305 with a nonce of 96 bits is no suite and has no door here: the crates run it below XChaCha20-Poly1305, whose
//! vectors reach the same code with the same edge cases of Poly1305.

use wycheproof::{TestResult, aead, chunked_encryption, hkdf, mac};

use super::{ENGINES, gcm_seal, xchacha_seal};
use crate::blob::{self, BlobKey};
use crate::crypto::Engine;
use crate::crypto::aes_gcm::Aes256Gcm;
use crate::crypto::chunked::Chunked;
use crate::crypto::xchacha::XChaCha;
use crate::crypto::{kdf, siv};
use crate::secret::{Secret, SecretBytes};
use crate::suite::CHUNK_BYTES;

/// Vectors that must succeed, that must be refused, and that ask for parameters which no code here takes.
#[derive(Debug, Default, PartialEq)]
struct Counts {
    valid: usize,
    invalid: usize,
    skipped: usize,
}

impl Counts {
    fn count(&mut self, valid: bool) {
        if valid { self.valid += 1 } else { self.invalid += 1 }
    }
}

fn is_valid(result: TestResult) -> bool {
    assert_ne!(result, TestResult::Acceptable, "every vector used here has one right answer");
    result == TestResult::Valid
}

/// Runs the vectors of an algorithm whose keys, nonces and tags have one length each.
fn run_aead(
    name: aead::TestName,
    key_bits: usize,
    nonce_bits: usize,
    check: impl Fn(&aead::Test, bool),
) -> Counts {
    let set = aead::TestSet::load(name).expect("a set of vectors");
    let mut counts = Counts::default();
    for group in &set.test_groups {
        if (group.key_size, group.tag_size) != (key_bits, 128) || group.nonce_size != nonce_bits {
            counts.skipped += group.tests.len();
            continue;
        }
        for test in &group.tests {
            let valid = is_valid(test.result);
            check(test, valid);
            counts.count(valid);
        }
    }
    assert_eq!(counts.valid + counts.invalid + counts.skipped, set.number_of_tests);
    counts
}

#[test]
fn aes_256_gcm_agrees_on_both_engines() {
    for engine in ENGINES {
        let counts = run_aead(aead::TestName::AesGcm, 256, 96, |test, valid| {
            let key = Aes256Gcm::new(engine, test.key[..].try_into().expect("32 bytes"));
            let nonce = test.nonce[..].try_into().expect("12 bytes");
            let tag = test.tag[..].try_into().expect("16 bytes");
            let mut text = test.ct.to_vec();
            let opened = key.open(nonce, &test.aad, &mut text, tag);
            assert_eq!(opened.is_ok(), valid, "{}: {}", test.tc_id, test.comment);
            if valid {
                assert_eq!(text, test.pt[..]);
                assert_eq!(gcm_seal(&key, nonce, &test.aad, &mut text), *tag);
                assert_eq!(text, test.ct[..]);
            }
        });
        assert_eq!(counts, Counts { valid: 39, invalid: 27, skipped: 250 });
    }
}

#[test]
fn xchacha20_poly1305_agrees_on_both_engines() {
    for engine in ENGINES {
        let counts = run_aead(aead::TestName::XChaCha20Poly1305, 256, 192, |test, valid| {
            let key = XChaCha::new(engine, Secret::copy_from(&test.key).expect("32 bytes"));
            let nonce = test.nonce[..].try_into().expect("24 bytes");
            let tag = test.tag[..].try_into().expect("16 bytes");
            let mut text = test.ct.to_vec();
            let opened = key.open(nonce, &test.aad, &mut text, tag);
            assert_eq!(opened.is_ok(), valid, "{}: {}", test.tc_id, test.comment);
            if valid {
                assert_eq!(text, test.pt[..]);
                assert_eq!(xchacha_seal(&key, nonce, &test.aad, &mut text), *tag);
                assert_eq!(text, test.ct[..]);
            }
        });
        assert_eq!(counts, Counts { valid: 246, invalid: 60, skipped: 9 });
    }
}

/// These vectors have a nonce as a second component of associated data; a token has associated data alone.
#[test]
fn aes_256_siv_agrees() {
    let set = aead::TestSet::load(aead::TestName::AesSivCmac).expect("a set of vectors");
    let mut counts = Counts::default();
    for group in &set.test_groups {
        if group.key_size != 512 {
            counts.skipped += group.tests.len();
            continue;
        }
        for test in &group.tests {
            let valid = is_valid(test.result);
            let key = Secret::copy_from(&test.key).expect("64 bytes");
            let iv = test.tag[..].try_into().expect("16 bytes");
            let components = [&test.aad[..], &test.nonce[..]];
            let mut text = test.ct.to_vec();
            let opened = siv::open(&key, &components, &mut text, iv);
            assert_eq!(opened.is_ok(), valid, "{}: {}", test.tc_id, test.comment);
            if valid {
                assert_eq!(text, test.pt[..]);
                assert_eq!(siv::seal(&key, &components, &mut text).expect("sealed"), *iv);
                assert_eq!(text, test.ct[..]);
            }
            counts.count(valid);
        }
    }
    assert_eq!(counts, Counts { valid: 84, invalid: 216, skipped: 600 });
}

#[test]
fn hkdf_sha_256_agrees() {
    let set = hkdf::TestSet::load(hkdf::TestName::HkdfSha256).expect("a set of vectors");
    let mut counts = Counts::default();
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let valid = is_valid(test.result);
        let mut okm = vec![0; test.size];
        let derived = kdf::hkdf_sha256(&test.ikm, Some(&test.salt), &test.info, &mut okm);
        assert_eq!(derived.is_ok(), valid, "{}: {}", test.tc_id, test.comment);
        assert!(!valid || okm == test.okm[..], "{}: {}", test.tc_id, test.comment);
        counts.count(valid);
    }
    assert_eq!(counts, Counts { valid: 83, invalid: 3, skipped: 0 });
}

/// The product expands and does not extract: the vectors' pseudorandom key is extracted here.
#[test]
fn hkdf_sha_512_expansion_agrees() {
    use ::hkdf::hmac::{Hmac, KeyInit, Mac};
    let set = hkdf::TestSet::load(hkdf::TestName::HkdfSha512).expect("a set of vectors");
    let mut counts = Counts::default();
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        if !is_valid(test.result) {
            // More than 255 blocks: the product's one caller asks for two.
            counts.skipped += 1;
            continue;
        }
        let mut extract = Hmac::<sha2::Sha512>::new_from_slice(&test.salt).expect("a key of any length");
        extract.update(&test.ikm);
        let prk = extract.finalize().into_bytes();
        let mut okm = vec![0; test.size];
        kdf::expand_sha512(&prk, &[&test.info], &mut okm);
        assert_eq!(okm, test.okm[..], "{}: {}", test.tc_id, test.comment);
        counts.count(true);
    }
    assert_eq!(counts, Counts { valid: 80, invalid: 0, skipped: 3 });
}

#[test]
fn hmac_sha_256_agrees() {
    let set = mac::TestSet::load(mac::TestName::HmacSha256).expect("a set of vectors");
    let mut counts = Counts::default();
    for group in &set.test_groups {
        for test in &group.tests {
            let valid = is_valid(test.result);
            let tag = kdf::hmac_sha256(&test.key, &[&test.msg]);
            let same = tag[..group.tag_size / 8] == test.tag[..];
            assert_eq!(same, valid, "{}: {}", test.tc_id, test.comment);
            counts.count(valid);
        }
    }
    assert_eq!(counts, Counts { valid: 66, invalid: 108, skipped: 0 });
}

/// Opens a message as a blob's body is opened: `None` for any failure.
fn open_chunks(engine: Engine, key: &[u8; 32], context: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let key = Secret::copy_from(key)?;
    let mut message = SecretBytes::default();
    blob::open_padded(BlobKey { engine, key: &key, ad: context }, sealed, &mut message)?;
    Some(message.expose().to_vec())
}

/// Seals a message with the salt of `sealed`.
fn seal_chunks(engine: Engine, key: &[u8; 32], context: &[u8], sealed: &[u8], message: &[u8]) -> Vec<u8> {
    let salt = sealed.first_chunk().expect("a salt");
    let mut chunks = Chunked::new(engine, key, salt, context);
    let mut out = [&salt[..], chunks.commitment()].concat();
    let full = message.len() / CHUNK_BYTES * CHUNK_BYTES;
    for chunk in message[..full].chunks(CHUNK_BYTES).chain([&message[full..]]) {
        let mut text = chunk.to_vec();
        let tag = chunks.seal(&mut text).expect("sealed");
        out.extend_from_slice(&text);
        out.extend_from_slice(&tag);
    }
    out
}

#[test]
fn cobblestone_256_agrees_on_both_engines() {
    use chunked_encryption::{TestName, TestSet};
    let set = TestSet::load(TestName::Cobblestone256).expect("a set of vectors");
    for engine in ENGINES {
        let mut counts = Counts::default();
        for test in set.test_groups.iter().flat_map(|group| &group.tests) {
            let valid = is_valid(test.result);
            let sealed = miniz_oxide::inflate::decompress_to_vec_zlib(&test.ct).expect("zlib");
            let Ok(key) = test.key[..].try_into() else {
                assert!(!valid, "{}: a key of another length is no input key", test.tc_id);
                counts.skipped += 1;
                continue;
            };
            let opened = open_chunks(engine, key, &test.ctx, &sealed);
            assert_eq!(opened.is_some(), valid, "{}: {}", test.tc_id, test.comment);
            if let Some(message) = opened {
                assert_eq!(Some(message.len()), test.msg_length);
                let hash: [u8; 64] = <sha2::Sha512 as sha2::Digest>::digest(&message).into();
                assert_eq!(Some(&hash[..]), test.msg_sha512.as_deref().map(|hash| &hash[..]));
                assert!(seal_chunks(engine, key, &test.ctx, &sealed, &message) == sealed, "{}", test.tc_id);
            }
            counts.count(valid);
        }
        assert_eq!(counts, Counts { valid: 10, invalid: 23, skipped: 2 });
    }
}
