//! The floor programs: the least that a transfer with proof costs. Each is a process of its own,
//! measured like every client, with one thread per connection; over TLS if a CA is given.
//!
//! ```text
//! haul-bench floor upload ADDRESS CONNECTIONS PART-BYTES FILE [CA]
//! haul-bench floor files ADDRESS CONNECTIONS FOLDER [CA]
//! haul-bench floor download ADDRESS CONNECTIONS PART-BYTES PATH BYTES FILE [CA]
//! haul-bench floor serve FILE [CERTIFICATE KEY]
//! haul-bench floor receive FOLDER [CERTIFICATE KEY]
//! ```

mod download;
mod files;
mod receive;
mod serve;
mod upload;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::thread;

use anyhow::{Context, Result, anyhow, bail, ensure};
use haul_parts::ChecksumAlgorithm;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

pub(crate) use receive::{Block, Stored};

const SLICE_BYTES: usize = 256 * 1024;
const ALGORITHM: ChecksumAlgorithm = ChecksumAlgorithm::Crc64Nvme;

pub(crate) fn run(words: &[String]) -> Result<()> {
    match words.split_first() {
        Some((what, rest)) if what == "upload" => upload::run(rest),
        Some((what, rest)) if what == "files" => files::run(rest),
        Some((what, rest)) if what == "download" => download::run(rest),
        Some((what, rest)) if what == "serve" => serve::run(rest),
        Some((what, rest)) if what == "receive" => receive::run(rest),
        _ => bail!("floor upload|files|download|serve|receive …"),
    }
}

/// A connection, plain or encrypted. Only the bytes that arrive with the head of a response are
/// copied out of the buffer.
type Connection<'a> = BufReader<&'a mut dyn Stream>;

trait Stream: Read + Write {}

impl<T: Read + Write> Stream for T {}

/// Runs `work` on this many connections at a time; it receives the number of its connection.
fn on_connections<W>(address: &str, connections: u64, authority: &[String], work: W) -> Result<()>
where
    W: Fn(u64, &mut Connection<'_>) -> Result<()> + Send + Sync + 'static,
{
    let address: SocketAddr = address.parse().context("the address")?;
    let config =
        authority.first().map(|authority| client_config(Path::new(authority))).transpose()?;
    let work = Arc::new(work);
    let threads: Vec<_> = (0..connections)
        .map(|number| {
            let (config, work) = (config.clone(), Arc::clone(&work));
            thread::spawn(move || -> Result<()> {
                let mut socket = TcpStream::connect(address).context("connect")?;
                socket.set_nodelay(true)?;
                let mut tls;
                let stream: &mut dyn Stream = match config {
                    None => &mut socket,
                    Some(config) => {
                        let name = ServerName::from(address.ip());
                        let mut client = ClientConnection::new(config, name)?;
                        client.set_buffer_limit(Some(SLICE_BYTES));
                        tls = StreamOwned::new(client, socket);
                        &mut tls
                    }
                };
                work(number, &mut BufReader::with_capacity(1024, stream))
            })
        })
        .collect();
    threads
        .into_iter()
        .try_for_each(|thread| thread.join().map_err(|_| anyhow!("a thread panicked"))?)
}

/// Returns the TLS configuration of a client that trusts this CA.
pub(crate) fn client_config(authority: &Path) -> Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority).context("read the CA")?)?;
    let config = ClientConfig::builder_with_provider(Arc::new(
        rustls::crypto::aws_lc_rs::default_provider(),
    ))
    .with_safe_default_protocol_versions()?
    .with_root_certificates(roots)
    .with_no_client_auth();
    Ok(Arc::new(config))
}

/// Reads the head of a response of this status.
fn read_head(stream: &mut impl BufRead, status: u16) -> Result<()> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    ensure!(line.starts_with(&format!("HTTP/1.1 {status} ")), "the response is {line:?}");
    while line != "\r\n" {
        line.clear();
        ensure!(stream.read_line(&mut line)? > 0, "the response ends in its head");
    }
    Ok(())
}
