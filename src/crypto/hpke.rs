// SPDX-License-Identifier: MIT OR Apache-2.0
//! HPKE (RFC 9180), base mode: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM, one message for each encapsulation.
//!
//! Owns the randomness of the encapsulation. SPEC 10.8.

use core::convert::Infallible;

use hpke::aead::AesGcm256;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::rand_core::{TryCryptoRng, TryRng};
use hpke::{
    Deserializable, Kem, OpModeR, OpModeS, Serializable, single_shot_open, single_shot_seal_with_rng,
};

use super::{Unauthentic, random};
use crate::error::{Error, Result};
use crate::secret::{Secret, SecretBytes};

/// Bytes of a public key, a secret key and an encapsulated key.
pub(crate) const KEY_BYTES: usize = 32;

/// The public key of a secret one.
pub(crate) fn public_of(secret: &Secret<KEY_BYTES>) -> [u8; KEY_BYTES] {
    let secret = private_key(secret);
    <X25519HkdfSha256 as Kem>::sk_to_pk(&secret).to_bytes().into()
}

/// Seals a message; gives the encapsulated key and the ciphertext.
pub(crate) fn seal(
    public: &[u8; KEY_BYTES],
    info: &[u8],
    aad: &[u8],
    message: &[u8],
) -> Result<([u8; KEY_BYTES], Vec<u8>)> {
    seal_with(Drawn { secret: Some(random::secret()?) }, public, info, aad, message)
}

fn seal_with(
    mut drawn: Drawn,
    public: &[u8; KEY_BYTES],
    info: &[u8],
    aad: &[u8],
    message: &[u8],
) -> Result<([u8; KEY_BYTES], Vec<u8>)> {
    let weak =
        || Error::malformed("the public key is one that anybody can open for; ask its owner for another");
    let public = <X25519HkdfSha256 as Kem>::PublicKey::from_bytes(public).map_err(|_| weak())?;
    let sealed = single_shot_seal_with_rng::<AesGcm256, HkdfSha256, X25519HkdfSha256>(
        &OpModeS::Base,
        &public,
        info,
        message,
        aad,
        &mut drawn,
    );
    let (encapsulated, text) = sealed.map_err(|_| weak())?;
    Ok((encapsulated.to_bytes().into(), text))
}

/// Opens a message.
pub(crate) fn open(
    secret: &Secret<KEY_BYTES>,
    encapsulated: &[u8; KEY_BYTES],
    info: &[u8],
    aad: &[u8],
    text: &[u8],
) -> Result<SecretBytes, Unauthentic> {
    let encapsulated = <X25519HkdfSha256 as Kem>::EncappedKey::from_bytes(encapsulated);
    let encapsulated = encapsulated.map_err(|_| Unauthentic)?;
    let opened = single_shot_open::<AesGcm256, HkdfSha256, X25519HkdfSha256>(
        &OpModeR::Base,
        &private_key(secret),
        &encapsulated,
        info,
        text,
        aad,
    );
    opened.map(SecretBytes::new).map_err(|_| Unauthentic)
}

fn private_key(secret: &Secret<KEY_BYTES>) -> <X25519HkdfSha256 as Kem>::PrivateKey {
    // Every 32 bytes are an X25519 key: RFC 7748 clamps them.
    <X25519HkdfSha256 as Kem>::PrivateKey::from_bytes(secret.expose()).expect("a key of 32 bytes")
}

/// The 32 bytes of one encapsulation, drawn before it, so that a failing operating system is an error and not a panic.
struct Drawn {
    secret: Option<Secret<KEY_BYTES>>,
}

impl TryRng for Drawn {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes).map(|()| u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes).map(|()| u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        // RFC 9180 section 7.1.3 asks for Nsk bytes once. Anything else would take bytes that were not drawn.
        let secret = self.secret.take().filter(|secret| secret.expose().len() == out.len());
        let secret = secret.expect("the encapsulation of X25519 asks for 32 bytes, once");
        out.iter_mut().zip(secret.expose()).for_each(|(to, from)| *to = *from);
        Ok(())
    }
}

impl TryCryptoRng for Drawn {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ident::decode_hex;

    fn hex<const N: usize>(text: &str) -> [u8; N] {
        let mut bytes = [0; N];
        decode_hex(text, &mut bytes).expect("hex");
        bytes
    }

    const INFO: &str = "4f6465206f6e2061204772656369616e2055726e";

    /// The first encryption of the suite's base mode in the test vectors that RFC 9180 names.
    #[test]
    fn the_published_message_opens() {
        let secret =
            Secret::copy_from(&hex::<32>("497b4502664cfea5d5af0b39934dac72242a74f8480451e1aee7d6a53320333d"));
        let secret = secret.expect("32 bytes");
        let public = hex("430f4b9859665145a6b1ba274024487bd66f03a2dd577d7753c68d7d7d00c00c");
        assert_eq!(public_of(&secret), public);
        let encapsulated = hex("6c93e09869df3402d7bf231bf540fadd35cd56be14f97178f0954db94b7fc256");
        let text: [u8; 45] =
            hex("e5d84cd531cfb583096e7cfa9641bd3079cf3a91cda813c52deb5f512be9931980a41de125a925cdad859d5b7a");
        let info: [u8; 20] = hex(INFO);
        let opened = open(&secret, &encapsulated, &info, b"Count-0", &text).expect("authentic");
        assert_eq!(opened.expose(), b"Beauty is truth, truth beauty");
        assert!(open(&secret, &encapsulated, &info, b"Count-1", &text).is_err());
    }

    /// The ephemeral key of RFC 9180 A.1.1, which has the same KEM: what is drawn becomes what is sent.
    #[test]
    fn the_published_encapsulated_key_is_made() {
        let drawn = hex::<32>("7268600d403fce431561aef583ee1613527cff655c1343f29812e66706df3234");
        let drawn = Drawn { secret: Secret::copy_from(&drawn) };
        let public = hex("3948cfe0ad1ddb695d780e59077195da6c56506b027329794ab02bca80815c4d");
        let (encapsulated, _) = seal_with(drawn, &public, &[], &[], b"").expect("sealed");
        assert_eq!(encapsulated, hex("37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431"));
    }

    #[test]
    fn a_public_key_of_small_order_is_refused() {
        assert!(seal(&[0; 32], &[], &[], b"message").is_err());
    }
}
