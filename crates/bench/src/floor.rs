//! The floor: the minimum cost of proof. Reads the file in slices, hashes each while it is hot
//! (CRC64NVME), writes it to the socket, and does nothing else. A client that also plans, retries,
//! journals and reports is compared with it.
//!
//! `haul-bench floor ADDRESS CONNECTIONS PART-BYTES FILE [CA]`: with a CA over TLS. A separate
//! process, measured like every client.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::thread;

use anyhow::{Context, Result, bail, ensure};
use haul_parts::{ChecksumAlgorithm, Hasher};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

const SLICE_BYTES: usize = 256 * 1024;
const ALGORITHM: ChecksumAlgorithm = ChecksumAlgorithm::Crc64Nvme;

pub(crate) fn run(words: &[String]) -> Result<()> {
    let [address, connections, part_bytes, file, authority @ ..] = words else {
        bail!("floor ADDRESS CONNECTIONS PART-BYTES FILE [CA]");
    };
    let address: SocketAddr = address.parse().context("the address")?;
    let (connections, part_bytes): (u64, u64) = (connections.parse()?, part_bytes.parse()?);
    let file = Arc::new(File::open(file).context("open the file")?);
    let config = authority.first().map(|authority| client_config(authority)).transpose()?;
    let threads: Vec<_> = (0..connections)
        .map(|first| {
            let (file, config) = (Arc::clone(&file), config.clone());
            thread::spawn(move || -> Result<()> {
                let socket = TcpStream::connect(address).context("connect")?;
                socket.set_nodelay(true)?;
                let share = Share { file: &file, first, every: connections, part_bytes };
                match config {
                    None => share.send(socket),
                    Some(config) => {
                        let mut tls =
                            ClientConnection::new(config, ServerName::from(address.ip()))?;
                        tls.set_buffer_limit(Some(SLICE_BYTES));
                        share.send(StreamOwned::new(tls, socket))
                    }
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().map_err(|_| anyhow::anyhow!("a thread panicked"))??;
    }
    Ok(())
}

pub(crate) fn client_config(authority: &str) -> Result<Arc<ClientConfig>> {
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

/// The parts that one connection sends.
struct Share<'a> {
    file: &'a File,
    first: u64,
    every: u64,
    part_bytes: u64,
}

impl Share<'_> {
    fn send(&self, stream: impl Read + Write) -> Result<()> {
        let length = self.file.metadata()?.len();
        let mut stream = BufReader::with_capacity(1024, stream);
        let mut slice = vec![0; SLICE_BYTES];
        let mut part = self.first;
        while part * self.part_bytes < length {
            let begin = part * self.part_bytes;
            let end = length.min(begin + self.part_bytes);
            write!(
                stream.get_mut(),
                "PUT /bench/floor?partNumber={}&uploadId=floor HTTP/1.1\r\nHost: \
                 floor\r\nContent-Length: {}\r\n\r\n",
                part + 1,
                end - begin
            )?;
            let (mut at, mut hasher) = (begin, Hasher::new(ALGORITHM));
            while at < end {
                let now = usize::try_from(end - at).unwrap_or(SLICE_BYTES).min(SLICE_BYTES);
                self.file.read_exact_at(&mut slice[..now], at)?;
                hasher.update(&slice[..now]);
                stream.get_mut().write_all(&slice[..now])?;
                at += now as u64;
            }
            stream.get_mut().flush()?;
            std::hint::black_box(hasher.finish());
            self.read_answer(&mut stream)?;
            part += self.every;
        }
        Ok(())
    }

    /// Reads a response without a body.
    fn read_answer(&self, stream: &mut impl BufRead) -> Result<()> {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        ensure!(line.starts_with("HTTP/1.1 200"), "answered {line:?}");
        while line != "\r\n" {
            line.clear();
            ensure!(stream.read_line(&mut line)? > 0, "the answer ends in its head");
        }
        Ok(())
    }
}
