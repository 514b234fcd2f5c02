// SPDX-License-Identifier: MIT OR Apache-2.0
//! Vectors of keyring files and pins: parsing, unlocking, and every secret inside.

use crate::error::Result;
use crate::ident::Name;
use crate::keys::{Kek, Key, KeyFile, KeyringFile, Passphrase, Pin, key_id};
use crate::secret::{Secret, SecretBytes};
use crate::tests::vector::Vector;
use crate::tests::{hex, unhex};

/// The passphrase or key file of a keyring vector.
pub(in crate::tests) fn kek(v: &Vector) -> Result<Box<dyn Kek>> {
    Ok(match v.get("key-file") {
        Some(text) => Box::new(KeyFile::parse(&SecretBytes::new(format!("{text}\n").into_bytes()))?),
        None => Box::new(Passphrase::new(SecretBytes::new(v.one("passphrase").into()))?),
    })
}

pub(super) fn keyring(v: &Vector) -> Result<()> {
    let pin = v.get("pin").map(|text| Pin::parse(format!("{text}\n").as_bytes())).transpose()?;
    assert_eq!(pin.is_some(), v.one("kind") == "keyring-pin", "{}", v.name);
    let ring = KeyringFile::parse(&v.file)?.unlock(&*kek(v)?, pin.as_ref())?;
    let lines: Vec<Vec<&str>> = v.all("key").into_iter().map(|line| line.split(' ').collect()).collect();
    assert_eq!(ring.keys().count(), lines.len(), "{}", v.name);
    for (info, line) in ring.keys().zip(&lines) {
        let state = [info.purpose.as_str().to_owned(), info.id.to_string(), info.state.to_string()];
        assert_eq!(state[..], line[..3], "{}", v.name);
        // The id commits to secret and purpose, so the secret in the file is that of the line.
        if let Some(secret) = Secret::copy_from(&secret_of(line[3])) {
            assert_eq!(key_id(&secret, info.purpose), info.id, "{}", v.name);
        }
    }
    compare_secrets(v, ring.registry(), ring.field_keys()?.keys(), "field", &lines);
    if let Ok(keys) = ring.token_keys() {
        compare_secrets(v, ring.registry(), keys.keys(), "token", &lines);
    }
    Ok(())
}

fn secret_of(text: &str) -> Vec<u8> {
    if text == "-" { Vec::new() } else { unhex(text) }
}

fn compare_secrets<'a>(
    v: &Vector,
    registry: &Name,
    keys: impl Iterator<Item = &'a Key>,
    purpose: &str,
    lines: &[Vec<&str>],
) {
    assert_eq!(registry.as_str(), "demo-registry", "{}", v.name);
    let listed = lines.iter().filter(|line| line[0] == purpose).map(|line| line[3].to_owned());
    let held = keys.map(|key| key.secret.as_ref().map_or("-".to_owned(), |secret| hex(secret.expose())));
    assert!(held.eq(listed), "{}: secrets of purpose {purpose}", v.name);
}
