//! The floor of a verified GET: reads the range of the file in slices, hashes each while it is hot
//! (CRC64NVME), and sends it.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use anyhow::{Context, Result, bail};
use haul_parts::Hasher;

use super::{ALGORITHM, SLICE_BYTES};
use crate::authority::server_config;
use crate::null_endpoint::generated;
use crate::null_endpoint::head::Head;
use crate::null_endpoint::reader::Reader;
use crate::null_endpoint::wire::{Plain, Tls, Wire};

/// Serves the file under every path, until the process ends; prints the address first.
#[allow(clippy::print_stdout, reason = "the benchmark reads the address")]
pub(super) fn run(words: &[String]) -> Result<()> {
    let [file, pem @ ..] = words else { bail!("floor serve FILE [CERTIFICATE KEY]") };
    let file = Arc::new(File::open(file).context("open the file")?);
    let config = match pem {
        [certificate, key] => Some(server_config(Path::new(certificate), Path::new(key))?),
        _ => None,
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("listen")?;
    let scheme = if config.is_some() { "https" } else { "http" };
    println!("{scheme}://{}", listener.local_addr()?);
    for socket in listener.incoming().flatten() {
        let (file, config) = (Arc::clone(&file), config.clone());
        thread::spawn(move || -> Result<()> {
            socket.set_nodelay(true)?;
            match config {
                None => serve(Plain::new(socket), &file),
                Some(config) => serve(Tls::accept(socket, config)?, &file),
            }
        });
    }
    Ok(())
}

fn serve(wire: impl Wire, file: &File) -> Result<()> {
    let length = file.metadata()?.len();
    let mut slice = vec![0; SLICE_BYTES];
    let mut reader = Reader::new(wire);
    while let Some(head) = Head::read(&mut reader)? {
        let range = head.header("range").and_then(|range| generated::range(range, length));
        let range = range.context("the request has no range")?;
        let count = range.end - range.start;
        let head = format!("HTTP/1.1 206 Partial Content\r\nContent-Length: {count}\r\n\r\n");
        reader.wire().send(head.as_bytes())?;
        let (mut at, mut hasher) = (range.start, Hasher::new(ALGORITHM));
        while at < range.end {
            let now = usize::try_from(range.end - at).unwrap_or(SLICE_BYTES).min(SLICE_BYTES);
            file.read_exact_at(&mut slice[..now], at)?;
            hasher.update(&slice[..now]);
            reader.wire().send(&slice[..now])?;
            at += now as u64;
        }
        std::hint::black_box(hasher.finish());
    }
    Ok(())
}
