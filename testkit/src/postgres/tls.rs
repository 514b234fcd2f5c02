// SPDX-License-Identifier: MIT OR Apache-2.0
//! Certificates of a test server.
//!
//! Owns an authority, the server's certificate for `localhost`, and an authority that has nothing to do with it. Never reuses a key.

use std::fs;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};

/// What the server's certificate is for.
const HOST: &str = "localhost";

/// Writes `ca.pem`, `other_ca.pem`, `server.pem` and `server.key`.
pub(super) fn write(folder: &Path) {
    let authority = authority("amanat test authority", &folder.join("ca.pem"));
    drop(self::authority("another test authority", &folder.join("other_ca.pem")));
    let key = new_key();
    let parameters = checked(CertificateParams::new(vec![HOST.to_owned()]));
    let certificate = checked(parameters.signed_by(&key, &authority));
    write_file(&folder.join("server.pem"), &certificate.pem());
    write_file(&folder.join("server.key"), &key.serialize_pem());
}

fn authority(name: &str, file: &Path) -> Issuer<'static, KeyPair> {
    let mut parameters = checked(CertificateParams::new(Vec::new()));
    parameters.distinguished_name.push(rcgen::DnType::CommonName, name);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = new_key();
    let certificate = checked(parameters.self_signed(&key));
    write_file(file, &certificate.pem());
    Issuer::new(parameters, key)
}

fn new_key() -> KeyPair {
    checked(KeyPair::generate())
}

fn checked<T>(made: Result<T, rcgen::Error>) -> T {
    made.unwrap_or_else(|error| panic!("cannot make a certificate for the test server: {error}"))
}

fn write_file(path: &Path, text: &str) {
    fs::write(path, text).unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
}
