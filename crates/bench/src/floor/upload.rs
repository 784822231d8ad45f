//! The floor of an upload: reads the file in slices, hashes each while it is hot (CRC64NVME),
//! writes it to the socket, and does nothing else. A client that also plans, retries, journals and
//! reports is compared with it.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;

use anyhow::{Context, Result, bail};
use haul_parts::Hasher;

use super::{ALGORITHM, Connection, SLICE_BYTES, on_connections, read_head};

pub(super) fn run(words: &[String]) -> Result<()> {
    let [address, connections, part_bytes, file, authority @ ..] = words else {
        bail!("floor upload ADDRESS CONNECTIONS PART-BYTES FILE [CA]");
    };
    let (every, part_bytes): (u64, u64) = (connections.parse()?, part_bytes.parse()?);
    let file = File::open(file).context("open the file")?;
    on_connections(address, every, authority, move |first, stream| {
        send(&Share { file: &file, first, every, part_bytes }, stream)
    })
}

/// The parts that one connection sends.
struct Share<'a> {
    file: &'a File,
    first: u64,
    every: u64,
    part_bytes: u64,
}

fn send(share: &Share<'_>, stream: &mut Connection<'_>) -> Result<()> {
    let length = share.file.metadata()?.len();
    let mut slice = vec![0; SLICE_BYTES];
    let mut part = share.first;
    while part * share.part_bytes < length {
        let begin = part * share.part_bytes;
        let end = length.min(begin + share.part_bytes);
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
            share.file.read_exact_at(&mut slice[..now], at)?;
            hasher.update(&slice[..now]);
            stream.get_mut().write_all(&slice[..now])?;
            at += now as u64;
        }
        stream.get_mut().flush()?;
        std::hint::black_box(hasher.finish());
        read_head(stream, 200)?;
        part += share.every;
    }
    Ok(())
}
