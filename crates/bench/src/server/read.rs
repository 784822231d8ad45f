//! GET, verified as it is read, beside a floor program that reads, hashes and sends: a client in
//! this process fetches ranges of 8 MiB over eight connections and discards them.

use std::sync::Arc;
use std::thread;

use anyhow::{Context, Result, anyhow, ensure};
use haul_testkit::process::run;

use super::floor::Floor;
use super::load::{Client, Load};
use super::report::Line;
use super::subject::{FLOOR, HAUL, Subject};
use super::{BUCKET, IN_FLIGHT, LIMIT, Place, make_bucket, measure_server, write_what_is_left};
use crate::floor::client_config;
use crate::null_endpoint::reader::Reader;
use crate::null_endpoint::wire::{Plain, Tls, Wire};

/// The names of the two cases in the table.
pub(super) const GET: &str = "get";
pub(super) const GET_TLS: &str = "get, TLS";
const RANGE_BYTES: u64 = 8 << 20;

pub(super) fn measure(place: &Place<'_>) -> Result<Vec<Line>> {
    let data = place.folder.join("read");
    let subject = Subject::haul(place.options, &data, None)?;
    make_bucket(place, &subject)?;
    let mut upload = Load::of(Client::Haul).command(place, &subject.store)?;
    run(&mut upload, LIMIT)?.success()?;
    drop(subject);
    write_what_is_left()?;
    let mut lines = vec![];
    for tls in [false, true] {
        let authority = tls.then_some(&place.authority);
        let case = if tls { GET_TLS } else { GET };
        let fetch = |endpoint: &str| fetch(place, endpoint, tls);
        let subject = Subject::haul(place.options, &data, authority)?;
        let floor = Floor::start("serve", &place.file, authority)?;
        for (server, id, endpoint) in [
            (FLOOR, floor.id(), floor.endpoint()),
            (HAUL, subject.id, subject.store.endpoint.as_str()),
        ] {
            // The first pass reads from the disk into the page cache.
            fetch(endpoint)?;
            for _ in 0..place.options.rounds {
                let (wall, usage) = measure_server(id, || fetch(endpoint))?;
                let (client, bytes) = ("8 connections", place.file_bytes);
                let line = Line { case, client, server, tls, bytes, files: None, wall, usage };
                eprintln!("{}", line.text());
                lines.push(line);
            }
        }
    }
    Ok(lines)
}

/// Fetches the object in ranges over all connections, and discards it.
fn fetch(place: &Place<'_>, endpoint: &str, tls: bool) -> Result<()> {
    let address = endpoint.split_once("://").context("an endpoint has a scheme")?.1.to_owned();
    let authority = place.authority.certificate.as_path();
    let config = tls.then(|| client_config(authority)).transpose()?;
    let bytes = place.file_bytes;
    let threads: Vec<_> = (0..u64::from(IN_FLIGHT))
        .map(|first| {
            let (address, config) = (address.clone(), config.clone());
            thread::spawn(move || -> Result<()> {
                let socket = std::net::TcpStream::connect(&address).context("connect")?;
                socket.set_nodelay(true)?;
                match config {
                    None => fetch_share(Plain::new(socket), first, bytes),
                    Some(config) => {
                        fetch_share(Tls::connect(socket, Arc::clone(&config))?, first, bytes)
                    }
                }
            })
        })
        .collect();
    threads
        .into_iter()
        .try_for_each(|thread| thread.join().map_err(|_| anyhow!("a thread panicked"))?)
}

fn fetch_share(wire: impl Wire, first: u64, bytes: u64) -> Result<()> {
    let mut reader = Reader::new(wire);
    let ranges =
        (first * RANGE_BYTES..bytes).step_by(usize::try_from(RANGE_BYTES * u64::from(IN_FLIGHT))?);
    for begin in ranges {
        let length = RANGE_BYTES.min(bytes - begin);
        let last = begin + length - 1;
        let request = format!(
            "GET /{BUCKET}/file HTTP/1.1\r\nHost: bench\r\nRange: bytes={begin}-{last}\r\n\r\n"
        );
        reader.wire().send(request.as_bytes())?;
        let status = reader.needed_line()?;
        ensure!(status.starts_with("HTTP/1.1 206 "), "the response is {status:?}");
        while !reader.needed_line()?.is_empty() {}
        reader.discard(length)?;
    }
    Ok(())
}
