//! Looks at the way to a store: the connect time of each of its addresses, and its certificate.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;

use super::der::{self, CertificateFacts};
use super::error::ConnectError;
use super::{Origin, Transport, handshake_error, server_name};

/// Maximum number of addresses to try; a name has rarely more than eight.
const ADDRESSES_MAX: usize = 16;

/// An address of the endpoint, and the time to connect to it.
#[derive(Debug)]
pub(crate) struct AddressLatency {
    /// The address.
    pub(crate) address: SocketAddr,
    /// The connect time, or the reason why there is no connection.
    pub(crate) connected: io::Result<Duration>,
}

/// The facts of a TLS connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TlsFacts {
    /// `TLS 1.2` or `TLS 1.3`.
    pub(crate) version: String,
    /// The negotiated cipher suite by its IANA name: `TLS_AES_256_GCM_SHA384`.
    pub(crate) cipher: String,
    /// The facts of the server's certificate.
    pub(crate) certificate: CertificateFacts,
}

impl Transport {
    /// Connects once to each address of the endpoint, or of the proxy in front of it.
    pub(in crate::s3) async fn survey(
        &self,
        origin: &Origin,
        limit: Duration,
    ) -> Result<Vec<AddressLatency>, ConnectError> {
        let hop = self.proxies.of(origin).map_or(origin, super::Proxy::origin);
        let found = self.addresses.addresses(&hop.host, hop.port).await;
        let mut found =
            found.map_err(|cause| ConnectError::Lookup { host: hop.host.clone(), cause })?;
        found.truncate(ADDRESSES_MAX);
        found.sort();
        let mut seen = Vec::with_capacity(found.len());
        for address in found {
            let began = Instant::now();
            let connected = match timeout(limit, TcpStream::connect(address)).await {
                Ok(connected) => connected.map(|_| began.elapsed()),
                Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "no answer")),
            };
            seen.push(AddressLatency { address, connected });
        }
        Ok(seen)
    }

    /// Shakes hands with the endpoint; `None` without TLS, or if a proxy is in between.
    pub(in crate::s3) async fn tls_facts(
        &self,
        origin: &Origin,
        limit: Duration,
    ) -> Result<Option<TlsFacts>, ConnectError> {
        if !origin.tls || self.proxies.of(origin).is_some() {
            return Ok(None);
        }
        let (tcp, _) = self.dial(origin, limit).await?;
        let name = server_name(origin)?;
        let shaken =
            timeout(limit, TlsConnector::from(Arc::clone(&self.tls)).connect(name, tcp)).await;
        let stream = match shaken {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(handshake_error(error, origin)),
            Err(_) => {
                return Err(ConnectError::TimedOut { to: origin.authority.clone(), after: limit });
            }
        };
        let (_, session) = stream.get_ref();
        let certificate = session.peer_certificates().and_then(<[_]>::first);
        let certificate = certificate.map(|certificate| der::read(certificate.as_ref()));
        let version = match session.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_3) => "TLS 1.3".to_owned(),
            Some(rustls::ProtocolVersion::TLSv1_2) => "TLS 1.2".to_owned(),
            other => format!("{other:?}"),
        };
        // rustls names the suites of TLS 1.3 `TLS13_…`.
        let cipher = session.negotiated_cipher_suite().map_or_else(
            || "an unknown cipher".to_owned(),
            |suite| format!("{:?}", suite.suite()).replacen("TLS13_", "TLS_", 1),
        );
        Ok(Some(TlsFacts { version, cipher, certificate: certificate.unwrap_or_default() }))
    }
}
