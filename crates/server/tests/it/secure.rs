//! A certificate for servers of the tests, and connections that trust it.

use std::sync::Arc;

use haul_server::{Secret, TlsPem};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub(crate) const CA: &str = include_str!("tls/ca.pem");
pub(crate) const CERTIFICATE: &str = include_str!("tls/server.pem");
pub(crate) const KEY: &str = include_str!("tls/server-test-only.key");

/// Returns the certificate of a server on 127.0.0.1.
pub(crate) fn pem() -> TlsPem {
    TlsPem { certificates: CERTIFICATE.to_owned(), private_key: Secret::new(KEY) }
}

/// Performs a handshake on a connected socket.
pub(crate) async fn connect(socket: TcpStream) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(CA.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::IpAddress(socket.peer_addr().unwrap().ip().into());
    TlsConnector::from(Arc::new(config)).connect(name, socket).await.unwrap()
}
