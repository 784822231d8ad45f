//! The floor of a download: the least cost of proof and a synced file. Receives each range into
//! whole pages, hashes them while they are hot (CRC64NVME), writes them past the page cache, and
//! syncs the file.
//!
//! `haul-bench floor-download ADDRESS CONNECTIONS PART-BYTES PATH BYTES FILE [CA]`: over TLS with
//! CA. Measured as a process, like every client.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::sync::Arc;
use std::thread;

use anyhow::{Context, Result, bail, ensure};
use haul_parts::{ChecksumAlgorithm, Hasher};
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

use crate::floor::client_config;

const SLICE_BYTES: usize = 256 * 1024;
const BLOCK_BYTES: usize = 4 * SLICE_BYTES;
const PAGE_BYTES: usize = 4096;

pub(crate) fn run(words: &[String]) -> Result<()> {
    let [address, connections, part_bytes, path, bytes, target, authority @ ..] = words else {
        bail!("floor-download ADDRESS CONNECTIONS PART-BYTES PATH BYTES FILE [CA]");
    };
    let address: SocketAddr = address.parse().context("the address")?;
    let (every, part_bytes): (u64, u64) = (connections.parse()?, part_bytes.parse()?);
    let bytes: u64 = bytes.parse()?;
    let direct = i32::try_from(rustix::fs::OFlags::DIRECT.bits())?;
    let file = File::options().write(true).create_new(true).custom_flags(direct).open(target)?;
    rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, bytes)?;
    let file = Arc::new(file);
    let config = authority.first().map(|authority| client_config(authority)).transpose()?;
    let threads: Vec<_> = (0..every)
        .map(|first| {
            let (file, config, path) = (Arc::clone(&file), config.clone(), path.clone());
            thread::spawn(move || -> Result<()> {
                let socket = TcpStream::connect(address).context("connect")?;
                let share = Share { file: &file, path, bytes, first, every, part_bytes };
                match config {
                    None => share.fetch(socket),
                    Some(config) => {
                        let tls = ClientConnection::new(config, ServerName::from(address.ip()))?;
                        share.fetch(StreamOwned::new(tls, socket))
                    }
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().map_err(|_| anyhow::anyhow!("a thread panicked"))??;
    }
    file.sync_all().context("sync the file")
}

/// The ranges that one connection fetches.
struct Share<'a> {
    file: &'a File,
    path: String,
    bytes: u64,
    first: u64,
    every: u64,
    part_bytes: u64,
}

impl Share<'_> {
    fn fetch(&self, stream: impl Read + Write) -> Result<()> {
        // Only the bytes that arrive with the head are copied out of this buffer.
        let mut stream = BufReader::with_capacity(1024, stream);
        let mut memory = vec![0; BLOCK_BYTES + PAGE_BYTES];
        let begin = memory.as_ptr().align_offset(PAGE_BYTES);
        let block = &mut memory[begin..begin + BLOCK_BYTES];
        let mut part = self.first;
        while part * self.part_bytes < self.bytes {
            let first = part * self.part_bytes;
            let end = self.bytes.min(first + self.part_bytes);
            let (path, last) = (&self.path, end - 1);
            write!(
                stream.get_mut(),
                "GET {path} HTTP/1.1\r\nHost: floor\r\nRange: bytes={first}-{last}\r\n\r\n"
            )?;
            stream.get_mut().flush()?;
            read_head(&mut stream)?;
            let (mut at, mut hasher) = (first, Hasher::new(ChecksumAlgorithm::Crc64Nvme));
            while at < end {
                let now = usize::try_from(end - at).unwrap_or(BLOCK_BYTES).min(BLOCK_BYTES);
                for slice in block[..now].chunks_mut(SLICE_BYTES) {
                    stream.read_exact(slice)?;
                    hasher.update(slice);
                }
                self.file.write_all_at(&block[..now], at)?;
                at += now as u64;
            }
            std::hint::black_box(hasher.finish());
            part += self.every;
        }
        Ok(())
    }
}

fn read_head(stream: &mut impl BufRead) -> Result<()> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    ensure!(line.starts_with("HTTP/1.1 206"), "the response is {line:?}");
    while line != "\r\n" {
        line.clear();
        ensure!(stream.read_line(&mut line)? > 0, "the response ends in its head");
    }
    Ok(())
}
