//! The floor of a download: the least cost of proof and a synced file. Receives each range into
//! whole pages, hashes them while they are hot (CRC64NVME), writes them past the page cache, and
//! syncs the file.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use haul_parts::Hasher;

use super::{ALGORITHM, Connection, SLICE_BYTES, on_connections, read_head};

const BLOCK_BYTES: usize = 4 * SLICE_BYTES;
const PAGE_BYTES: usize = 4096;

pub(super) fn run(words: &[String]) -> Result<()> {
    let [address, connections, part_bytes, path, bytes, target, authority @ ..] = words else {
        bail!("floor download ADDRESS CONNECTIONS PART-BYTES PATH BYTES FILE [CA]");
    };
    let (every, part_bytes): (u64, u64) = (connections.parse()?, part_bytes.parse()?);
    let (bytes, path): (u64, String) = (bytes.parse()?, path.clone());
    let direct = i32::try_from(rustix::fs::OFlags::DIRECT.bits())?;
    let file = File::options().write(true).create_new(true).custom_flags(direct).open(target)?;
    rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, bytes)?;
    let file = Arc::new(file);
    let written = Arc::clone(&file);
    on_connections(address, every, authority, move |first, stream| {
        let share = Share { file: &written, path: &path, bytes, first, every, part_bytes };
        fetch(&share, stream)
    })?;
    file.sync_all().context("sync the file")
}

/// The ranges that one connection fetches.
struct Share<'a> {
    file: &'a File,
    path: &'a str,
    bytes: u64,
    first: u64,
    every: u64,
    part_bytes: u64,
}

fn fetch(share: &Share<'_>, stream: &mut Connection<'_>) -> Result<()> {
    let mut memory = vec![0; BLOCK_BYTES + PAGE_BYTES];
    let begin = memory.as_ptr().align_offset(PAGE_BYTES);
    let block = &mut memory[begin..begin + BLOCK_BYTES];
    let mut part = share.first;
    while part * share.part_bytes < share.bytes {
        let first = part * share.part_bytes;
        let end = share.bytes.min(first + share.part_bytes);
        let (path, last) = (share.path, end - 1);
        write!(
            stream.get_mut(),
            "GET {path} HTTP/1.1\r\nHost: floor\r\nRange: bytes={first}-{last}\r\n\r\n"
        )?;
        stream.get_mut().flush()?;
        read_head(stream, 206)?;
        let (mut at, mut hasher) = (first, Hasher::new(ALGORITHM));
        while at < end {
            let now = usize::try_from(end - at).unwrap_or(BLOCK_BYTES).min(BLOCK_BYTES);
            for slice in block[..now].chunks_mut(SLICE_BYTES) {
                stream.read_exact(slice)?;
                hasher.update(slice);
            }
            share.file.write_all_at(&block[..now], at)?;
            at += now as u64;
        }
        std::hint::black_box(hasher.finish());
        part += share.every;
    }
    Ok(())
}
