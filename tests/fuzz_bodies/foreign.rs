// SPDX-License-Identifier: MIT OR Apache-2.0
//! Values and key files of other tools.
//!
//! Used by the crates that may depend on `amanat-foreign`: `fuzz/` and the tests of `xtask/`. The keys are those of its public vectors.

use std::sync::LazyLock;

use amanat_foreign::{Opener, Origin, open};

/// Name of a format, and a key file of it.
const FORMATS: [(&str, &str); 6] = [
    (
        "fernet",
        r#"JQzP8xne92vUT97lK-QGcOMg1lYpqH0ZFL5PBzcOHi8=
"#,
    ),
    ("lockbox", r#"{"master_key":"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"}"#),
    ("pgcrypto", r#"a passphrase of tests, ž"#),
    (
        "rails",
        r#"{"primary_key":"first primary key of tests","key_derivation_salt":"salt of tests","digest":"SHA1"}"#,
    ),
    (
        "tink",
        r#"{"key": [{"keyData": {"typeUrl": "type.googleapis.com/google.crypto.tink.AesGcmKey", "value": "GhC8yCiTf1uoDo4EItbcKa8C", "keyMaterialType": "SYMMETRIC"}, "status": "ENABLED", "keyId": 1987019011, "outputPrefixType": "TINK"}], "primaryKeyId": 1987019011}"#,
    ),
    (
        "vault",
        r#"{"request_id": "0362e308-2894-389d-6581-bf351a01b16a", "lease_id": "", "renewable": false, "lease_duration": 0, "data": {"keys": {"1": "TxsUumli/vJYdiaKTHqj3g==", "2": "O1COnIuj9MLF3QY95JgI8w=="}, "name": "aes128-gcm96", "type": "aes128-gcm96"}, "wrap_info": null, "warnings": null, "auth": null}"#,
    ),
];

static OPENERS: LazyLock<Vec<Box<dyn Opener>>> = LazyLock::new(|| {
    FORMATS.iter().map(|(name, key)| open(name, key.as_bytes()).expect("a key file of the vectors")).collect()
});

/// The first byte names the format and whether the rest is a value or a key file. Nothing panics, and what opens is within its limit.
pub fn foreign(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else { return };
    let which = usize::from(first & 0x7f) % FORMATS.len();
    let (Some((format, _)), Some(opener)) = (FORMATS.get(which), OPENERS.get(which)) else { return };
    if first & 0x80 == 0 {
        let origin = Origin::new("citizens", "phone", &["1001"]);
        if let Ok(plain) = opener.open(rest, &origin) {
            assert!(plain.len() <= 2 << 20, "more than any format may hold");
        }
    } else if let Ok(opener) = open(format, rest) {
        assert!(!opener.name().is_empty());
    }
}
