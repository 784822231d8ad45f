//! Builds the TLS configuration of both planes, including the trusted certificates.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use super::verify::{CertificateVerifier, NoVerification};
use crate::error::Error;

/// The certificates that are accepted from stores.
#[derive(Clone, Copy, Debug)]
pub(in crate::s3) enum Trust<'a> {
    /// Certificates of the system's CAs.
    System,
    /// Certificates of the CAs in this file, and certificates in it.
    Bundle(&'a Path),
    /// All certificates: for tests on the user's own machines.
    Anything,
}

/// Creates a configuration for TLS 1.2 and 1.3, HTTP/1.1 only.
///
/// # Errors
/// [`Error::Configuration`] if the bundle cannot be read or has no certificate.
pub(in crate::s3) fn client_config(trust: Trust<'_>) -> Result<Arc<ClientConfig>, Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let unusable = |error: &dyn std::fmt::Display| Error::Configuration(format!("TLS: {error}"));
    let verifier = verifier(trust, &provider)?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(&error))?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn verifier(
    trust: Trust<'_>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, Error> {
    let certificates = match trust {
        Trust::Anything => return Ok(Arc::new(NoVerification::new(provider))),
        Trust::System => rustls_native_certs::load_native_certs().certs,
        Trust::Bundle(path) => bundle(path)?,
    };
    let mut roots = RootCertStore::empty();
    // Skip certificates that cannot be parsed, as every client does. If none is left, the first TLS
    // connection fails; plain HTTP needs no certificate.
    let (_, _) = roots.add_parsable_certificates(certificates.iter().cloned());
    Ok(Arc::new(CertificateVerifier::new(roots, certificates, provider)))
}

fn bundle(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let unusable = |why: &dyn std::fmt::Display| {
        Error::Configuration(format!("the CA bundle {} cannot be used: {why}", path.display()))
    };
    let text = std::fs::read(path).map_err(|error| unusable(&error))?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .map_err(|_| unusable(&"it is not PEM"))?;
    if certificates.is_empty() {
        Err(unusable(&"it holds no certificate in PEM"))
    } else {
        Ok(certificates)
    }
}
