// SPDX-License-Identifier: MIT OR Apache-2.0
//! The vectors of C2SP's XAES-256-GCM, the accumulated test among them, and that of the XChaCha draft.

use shake::digest::{ExtendableOutput, Update, XofReader};
use shake::{Shake128, Shake128Reader};

use super::{ENGINES, hex, unhex, xchacha_seal};
use crate::crypto::Engine;
use crate::crypto::xaes::Xaes;
use crate::crypto::xchacha::XChaCha;
use crate::secret::Secret;

/// Seals, opens again and compares; gives ciphertext and tag.
fn seal(engine: Engine, key: &[u8; 32], nonce: &[u8; 24], aad: &[u8], text: &[u8]) -> Vec<u8> {
    let xaes = Xaes::new(engine, key);
    let (mut sealed, mut tag) = (text.to_vec(), [0; 16]);
    xaes.seal(nonce, aad, &mut sealed, &mut tag).expect("sealed");
    let mut opened = sealed.clone();
    xaes.open(nonce, aad, &mut opened, &tag).expect("opened");
    assert_eq!(opened, text);
    sealed.extend_from_slice(&tag);
    sealed
}

#[test]
fn xaes_gives_the_two_answers_of_its_specification() {
    let nonce = b"ABCDEFGHIJKLMNOPQRSTUVWX";
    for engine in ENGINES {
        let first = seal(engine, &[0x01; 32], nonce, b"", b"XAES-256-GCM");
        assert_eq!(hex(&first), "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271");
        let second = seal(engine, &[0x03; 32], nonce, b"c2sp.org/XAES-256-GCM", b"XAES-256-GCM");
        assert_eq!(hex(&second), "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d");
    }
}

/// The next bytes of a stream, as many as its next byte says.
fn some(stream: &mut Shake128Reader) -> Vec<u8> {
    let mut length = [0];
    stream.read(&mut length);
    let mut bytes = vec![0; length[0].into()];
    stream.read(&mut bytes);
    bytes
}

#[test]
fn xaes_gives_the_accumulated_answer_of_ten_thousand_random_inputs() {
    for engine in ENGINES {
        let (mut source, mut sum) = (Shake128::default().finalize_xof(), Shake128::default());
        for _ in 0..10_000 {
            let (mut key, mut nonce) = ([0; 32], [0; 24]);
            source.read(&mut key);
            source.read(&mut nonce);
            let text = some(&mut source);
            let aad = some(&mut source);
            sum.update(&seal(engine, &key, &nonce, &aad, &text));
        }
        let mut answer = [0; 32];
        sum.finalize_xof().read(&mut answer);
        assert_eq!(hex(&answer), "e6b9edf2df6cec60c8cbd864e2211b597fb69a529160cd040d56c0c210081939");
    }
}

/// draft-irtf-cfrg-xchacha-03, A.3.1.
#[test]
fn xchacha_gives_the_answer_of_its_draft() {
    let text = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.";
    let aad = unhex("50515253c0c1c2c3c4c5c6c7");
    let key: Vec<u8> = (0x80..0xa0).collect();
    let nonce: [u8; 24] = std::array::from_fn(|at| 0x40 + u8::try_from(at).expect("small"));
    let sealed = concat!(
        "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa6440bf3a82f4eda7e39",
        "ae64c6708c54c216cb96b72e1213b4522f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9",
        "21f9664c97637da9768812f615c68b13b52e"
    );
    for engine in ENGINES {
        let xchacha = XChaCha::new(engine, Secret::copy_from(&key).expect("32 bytes"));
        let mut bytes = text.to_vec();
        let tag = xchacha_seal(&xchacha, &nonce, &aad, &mut bytes);
        assert_eq!((hex(&bytes), hex(&tag)), (sealed.into(), "c0875924c1c7987947deafd8780acf49".into()));
        xchacha.open(&nonce, &aad, &mut bytes, &tag).expect("opened");
        assert_eq!(bytes, text);
        bytes[0] ^= 1;
        assert!(xchacha.open(&nonce, &aad, &mut bytes, &tag).is_err());
    }
}
