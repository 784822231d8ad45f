//! TLS, if the server has a certificate: rustls with the same provider as the client side of Haul.
//!
//! Reads no files; the embedder passes their content. A handshake has the same time limit as the
//! headers of a request. Beyond this layer, connections with and without TLS have the same type.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::error::Error;
use crate::options::TlsPem;
use crate::socket::tls_stream::{FullRecords, LargeReads, ReadBuffers};

/// Turns accepted sockets into connections.
#[derive(Clone)]
pub(crate) enum Transport {
    Plain,
    Tls(TlsAcceptor, ReadBuffers),
}

impl Transport {
    /// Creates TLS 1.2 and 1.3 with this certificate, or plain connections without one.
    ///
    /// # Errors
    /// [`Error::Tls`] if the texts contain no certificate or key, or if the two do not match.
    pub(crate) fn new(pem: Option<&TlsPem>) -> Result<Self, Error> {
        let Some(pem) = pem else { return Ok(Self::Plain) };
        let bad = |what: &str| Error::Tls { what: what.to_owned() };
        let chain: Vec<CertificateDer<'static>> =
            CertificateDer::pem_slice_iter(pem.certificates.as_bytes())
                .collect::<Result<_, _>>()
                .map_err(|_| bad("the certificate is not PEM"))?;
        if chain.is_empty() {
            return Err(bad("there is no certificate in the file"));
        }
        // The parser's error may quote the key.
        let key = PrivateKeyDer::from_pem_slice(pem.private_key.expose().as_bytes())
            .map_err(|_| bad("there is no private key in the file"))?;
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(|error| bad(&error.to_string()))?;
        Ok(Self::Tls(TlsAcceptor::from(Arc::new(config)), ReadBuffers::default()))
    }

    /// Performs the handshake, if TLS is enabled.
    pub(crate) async fn connect(
        &self,
        stream: TcpStream,
        patience: Duration,
    ) -> io::Result<SocketStream> {
        match self {
            Self::Plain => Ok(SocketStream::Plain(stream)),
            Self::Tls(acceptor, buffers) => {
                let stream = LargeReads::new(stream, buffers.clone());
                match tokio::time::timeout(patience, acceptor.accept(stream)).await {
                    Ok(shaken) => {
                        shaken.map(|stream| SocketStream::Tls(Box::new(FullRecords(stream))))
                    }
                    Err(_) => Err(io::ErrorKind::TimedOut.into()),
                }
            }
        }
    }

    /// Returns the URL scheme, `http` or `https`.
    pub(crate) fn scheme(&self) -> &'static str {
        match self {
            Self::Plain => "http",
            Self::Tls(..) => "https",
        }
    }
}

/// One connection, with or without TLS.
pub(crate) enum SocketStream {
    Plain(TcpStream),
    Tls(Box<FullRecords<LargeReads<TcpStream>>>),
}

impl AsyncRead for SocketStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for SocketStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }
}
