// SPDX-License-Identifier: MIT OR Apache-2.0
//! TLS to the server: what each `sslmode` trusts (PostgreSQL 17 documentation, 32.19).
//!
//! Owns the check of the server's certificate. Never weakens what the address asks for: a mode that cannot be kept is an error.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use amanat::error::{Error, Result};
use postgres::config::SslMode;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Whose certificates are good.
#[derive(Clone)]
pub(super) enum Trust {
    /// Any: against listeners alone.
    Anybody,
    /// These authorities', or exactly one of these certificates.
    Authorities { certificates: Arc<Vec<CertificateDer<'static>>>, host: HostCheck },
    /// There is no TLS.
    Nobody,
}

/// Whether the certificate must be the host's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HostCheck {
    AnyName,
    SameName,
}

/// What the parameters of an address mean.
pub(super) fn mode(mode: Option<&str>, root: Option<&str>, home: Option<&Path>) -> Result<(SslMode, Trust)> {
    let of_home = || home.map(|home| home.join(".postgresql/root.crt")).filter(|file| file.is_file());
    let file = root.map(PathBuf::from).or_else(of_home);
    let system = root == Some("system");
    let authorities = |host| -> Result<Trust> {
        let certificates = match &file {
            _ if system => of_system()?,
            Some(file) => of_file(file)?,
            None => {
                return Err(Error::misuse(
                    "there is no certificate to verify the server's with; write sslrootcert=FILE into the address, or sslrootcert=system for the \
                     authorities that this machine trusts",
                ));
            }
        };
        Ok(Trust::Authorities { certificates: Arc::new(certificates), host })
    };
    match mode.unwrap_or(if system { "verify-full" } else { "prefer" }) {
        "verify-full" => Ok((SslMode::Require, authorities(HostCheck::SameName)?)),
        weaker if system && weaker != "disable" => Err(Error::misuse(
            "sslrootcert=system demands sslmode=verify-full: such authorities certify anybody",
        )),
        "disable" => Ok((SslMode::Disable, Trust::Nobody)),
        "prefer" => Ok((SslMode::Prefer, Trust::Anybody)),
        // A certificate that is there is used: so does libpq.
        "require" if file.is_some() => Ok((SslMode::Require, authorities(HostCheck::AnyName)?)),
        "require" => Ok((SslMode::Require, Trust::Anybody)),
        "verify-ca" => Ok((SslMode::Require, authorities(HostCheck::AnyName)?)),
        _ => Err(Error::misuse("sslmode is not one of disable, prefer, require, verify-ca, verify-full")),
    }
}

fn of_file(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let unreadable = || format!("the certificates of sslrootcert cannot be read from {}", file.display());
    let found = CertificateDer::pem_file_iter(file).map_err(|error| Error::store(unreadable(), error))?;
    let found: Vec<_> = found.collect::<Result<_, _>>().map_err(|error| Error::store(unreadable(), error))?;
    if found.is_empty() {
        return Err(Error::misuse(format!("{} holds no certificate in PEM form", file.display())));
    }
    Ok(found)
}

fn of_system() -> Result<Vec<CertificateDer<'static>>> {
    let found = rustls_native_certs::load_native_certs();
    if !found.certs.is_empty() {
        return Ok(found.certs);
    }
    let why = "this machine has no certificates of authorities; install them (Debian: apt-get install ca-certificates) or write sslrootcert=FILE";
    Err(Error::misuse(why))
}

impl Trust {
    /// What makes TLS connections.
    pub(super) fn connector(&self) -> Result<MakeRustlsConnect> {
        let provider = Arc::new(ring::default_provider());
        let verifier = Verifier::new(self, Arc::clone(&provider));
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.map_err(|error| Error::store("TLS cannot be set up", error))?;
        let config = config.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
        Ok(MakeRustlsConnect::new(config.with_no_client_auth()))
    }
}

/// Checks certificates as one mode says. That the server holds the certificate's key is checked in all of them.
#[derive(Debug)]
struct Verifier {
    /// None if any certificate is good.
    roots: Option<(RootCertStore, Arc<Vec<CertificateDer<'static>>>, HostCheck)>,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn new(trust: &Trust, provider: Arc<CryptoProvider>) -> Self {
        let roots = match trust {
            Trust::Anybody | Trust::Nobody => None,
            Trust::Authorities { certificates, host } => {
                let mut roots = RootCertStore::empty();
                // What is no authority's may still be the server's own certificate.
                roots.add_parsable_certificates(certificates.iter().cloned());
                Some((roots, Arc::clone(certificates), *host))
            }
        };
        Self { roots, provider }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some((roots, certificates, host)) = &self.roots else {
            return Ok(ServerCertVerified::assertion());
        };
        let certificate = ParsedCertificate::try_from(end_entity)?;
        // A certificate that signed itself and was handed over as its own authority.
        if !certificates.contains(end_entity) {
            let algorithms = self.provider.signature_verification_algorithms.all;
            verify_server_cert_signed_by_trust_anchor(&certificate, roots, intermediates, now, algorithms)?;
        }
        if *host == HostCheck::SameName {
            verify_server_name(&certificate, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
