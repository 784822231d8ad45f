//! An S3 endpoint that stores nothing: it responds to the requests of an upload and discards the
//! bodies.
//!
//! A client that uploads to it is measured alone: no disk, no hashing and, over plain HTTP, no copy
//! at the other end (`recv` with `MSG_TRUNC` discards in the kernel). Over TLS it must decrypt.
//! Checksums are echoed as sent, in a header or in the trailer, so that clients count their parts
//! as verified; signatures are ignored. One thread per connection, in the process of the benchmark.

mod answers;
mod body;
pub(crate) mod generated;
mod head;
mod reader;
mod wire;

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use anyhow::{Context, Result};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use self::answers::{Answer, Objects};
use self::head::Head;
use self::reader::Reader;
use self::wire::{Plain, Tls, Wire};
use crate::authority::Authority;

/// A running endpoint; it responds until the process ends.
pub(crate) struct NullEndpoint {
    address: SocketAddr,
    tls: bool,
}

impl NullEndpoint {
    /// Starts plain HTTP on a free loopback port.
    pub(crate) fn plain() -> Result<Self> {
        Self::start(None)
    }

    /// Starts TLS, with the server certificate of this authority.
    pub(crate) fn tls(authority: &Authority) -> Result<Self> {
        let certificates = CertificateDer::pem_file_iter(&authority.server_certificate)
            .and_then(Iterator::collect)
            .context("read the certificate")?;
        let key = PrivateKeyDer::from_pem_file(&authority.server_key).context("read the key")?;
        let config = ServerConfig::builder_with_provider(Arc::new(
            rustls::crypto::aws_lc_rs::default_provider(),
        ))
        .with_safe_default_protocol_versions()
        .context("choose versions of TLS")?
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .context("use the certificate")?;
        Self::start(Some(Arc::new(config)))
    }

    fn start(tls: Option<Arc<ServerConfig>>) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("listen")?;
        let address = listener.local_addr().context("listen")?;
        let (objects, is_tls) = (Arc::new(Objects::default()), tls.is_some());
        thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let (objects, tls) = (Arc::clone(&objects), tls.clone());
                // A client that closes the connection ends its thread; any error shows in the
                // client's exit code.
                thread::spawn(move || serve(socket, tls, &objects).unwrap_or_default());
            }
        });
        Ok(Self { address, tls: is_tls })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self) -> String {
        format!("{}://{}", if self.tls { "https" } else { "http" }, self.address)
    }
}

fn serve(socket: TcpStream, tls: Option<Arc<ServerConfig>>, objects: &Objects) -> Result<()> {
    socket.set_nodelay(true)?;
    match tls {
        None => converse(Plain::new(socket), objects),
        Some(config) => converse(Tls::new(socket, config)?, objects),
    }
}

/// Serves requests until the client closes the connection.
fn converse(wire: impl Wire, objects: &Objects) -> Result<()> {
    let mut reader = Reader::new(wire);
    while let Some(head) = Head::read(&mut reader)? {
        if head.expects_continue() {
            reader.wire().send(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let body = body::discard(&mut reader, &head)?;
        match objects.answer(&head, &body) {
            Answer::Whole(answer) => reader.wire().send(&answer)?,
            Answer::Generated { head, range } => {
                reader.wire().send(&head)?;
                generated::send(reader.wire(), range)?;
            }
        }
    }
    Ok(())
}
