//! The floor of an endpoint that receives uploads: receives each object or part into whole pages,
//! hashes it while it is hot (CRC64NVME), writes it past the page cache, and syncs it before the
//! response. The protocol around it is that of the null endpoint.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, bail};
use haul_parts::Hasher;
use rustix::fs::OFlags;

use super::{ALGORITHM, SLICE_BYTES};
use crate::authority::server_config;
use crate::null_endpoint::NullEndpoint;
use crate::null_endpoint::body::Sink;
use crate::null_endpoint::reader::Reader;
use crate::null_endpoint::wire::Wire;

/// The size of a write, as of `haul serve`.
const BLOCK_BYTES: usize = 1 << 20;
const PAGE_BYTES: usize = 4096;

/// Receives uploads into a folder, until the process ends; prints the address first.
#[allow(clippy::print_stdout, reason = "the benchmark reads the address")]
pub(super) fn run(words: &[String]) -> Result<()> {
    let [folder, pem @ ..] = words else { bail!("floor receive FOLDER [CERTIFICATE KEY]") };
    let config = match pem {
        [certificate, key] => Some(server_config(Path::new(certificate), Path::new(key))?),
        _ => None,
    };
    let endpoint = NullEndpoint::storing(PathBuf::from(folder), config)?;
    println!("{}", endpoint.url());
    loop {
        std::thread::park();
    }
}

/// The buffer of one connection, of whole pages.
pub(crate) struct Block {
    memory: Vec<u8>,
    begin: usize,
}

impl Block {
    pub(crate) fn new() -> Self {
        let memory = vec![0; BLOCK_BYTES + PAGE_BYTES];
        let begin = memory.as_ptr().align_offset(PAGE_BYTES);
        Self { memory, begin }
    }

    fn bytes(&mut self) -> &mut [u8] {
        &mut self.memory[self.begin..self.begin + BLOCK_BYTES]
    }
}

/// An object or part being stored.
pub(crate) struct Stored<'a> {
    file: File,
    block: &'a mut Block,
    filled: usize,
    hasher: Hasher,
}

impl<'a> Stored<'a> {
    pub(crate) fn create(folder: &Path, block: &'a mut Block) -> Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = NEXT.fetch_add(1, Ordering::Relaxed).to_string();
        let file = File::create_new(folder.join(name)).context("make a file")?;
        rustix::fs::fcntl_setfl(&file, OFlags::DIRECT)?;
        Ok(Self { file, block, filled: 0, hasher: Hasher::new(ALGORITHM) })
    }

    /// Writes the rest, and syncs.
    pub(crate) fn finish(mut self) -> Result<()> {
        std::hint::black_box(self.hasher.finish());
        if self.filled > 0 {
            rustix::fs::fcntl_setfl(&self.file, OFlags::empty())?;
            self.file.write_all(&self.block.bytes()[..self.filled])?;
        }
        self.file.sync_data().context("sync")
    }
}

impl Sink for Stored<'_> {
    fn take(&mut self, reader: &mut Reader<impl Wire>, mut bytes: u64) -> io::Result<()> {
        while bytes > 0 {
            let most = usize::try_from(bytes).unwrap_or(usize::MAX).min(SLICE_BYTES);
            let end = BLOCK_BYTES.min(self.filled + most);
            let into = &mut self.block.bytes()[self.filled..end];
            let count = match reader.read_some(into)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => count,
            };
            self.hasher.update(&into[..count]);
            self.filled += count;
            bytes -= count as u64;
            if self.filled == BLOCK_BYTES {
                self.file.write_all(self.block.bytes())?;
                self.filled = 0;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn received_bodies_are_stored_whole() {
        let folder = tempfile::tempdir().unwrap();
        let endpoint = NullEndpoint::storing(folder.path().to_owned(), None).unwrap();
        let body: Vec<u8> = (0..=250).cycle().take(BLOCK_BYTES + 5000).collect();
        for (number, length) in [5000, BLOCK_BYTES, BLOCK_BYTES + 5000].into_iter().enumerate() {
            let mut socket = TcpStream::connect(endpoint.address()).unwrap();
            let head = format!("PUT /b/k HTTP/1.1\r\nContent-Length: {length}\r\n\r\n");
            socket.write_all(head.as_bytes()).unwrap();
            socket.write_all(&body[..length]).unwrap();
            socket.shutdown(std::net::Shutdown::Write).unwrap();
            let mut response = String::new();
            socket.read_to_string(&mut response).unwrap();
            assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
            let stored = std::fs::read(folder.path().join(number.to_string())).unwrap();
            assert!(stored == body[..length], "{length}");
        }
    }
}
