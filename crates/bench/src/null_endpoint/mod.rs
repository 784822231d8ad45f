//! An S3 endpoint that stores nothing: it responds to the requests of an upload and discards the
//! bodies.
//!
//! A client that uploads to it is measured alone: no disk, no hashing and, over plain HTTP, no copy
//! at the other end (`recv` with `MSG_TRUNC` discards in the kernel). Over TLS it must decrypt.
//! Checksums are echoed as sent, in a header or in the trailer, so that clients count their parts
//! as verified; signatures are ignored. One thread per connection, in the process of the benchmark.
//! GETs of [`generated`] objects are answered with bytes, whole or in ranges. [`Conditions`] make
//! the endpoint as slow and as busy as a store far away.

mod answers;
mod body;
mod conditions;
pub(crate) mod generated;
pub(crate) mod head;
pub(crate) mod reader;
#[cfg(test)]
mod tests;
pub(crate) mod wire;

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use anyhow::{Context, Result};
use rustls::ServerConfig;

use self::answers::{Answer, Objects};
pub(crate) use self::conditions::Conditions;
use self::conditions::Traffic;
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
    pub(crate) fn plain(conditions: Conditions) -> Result<Self> {
        Self::start(None, conditions)
    }

    /// Starts TLS, with the server certificate of this authority.
    pub(crate) fn tls(authority: &Authority, conditions: Conditions) -> Result<Self> {
        Self::start(Some(authority.server_config()?), conditions)
    }

    fn start(tls: Option<Arc<ServerConfig>>, conditions: Conditions) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("listen")?;
        let address = listener.local_addr().context("listen")?;
        let (state, is_tls) = (Arc::new(State::under(conditions)), tls.is_some());
        thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let (state, tls) = (Arc::clone(&state), tls.clone());
                // A client that closes the connection ends its thread; any error shows in the
                // client's exit code.
                thread::spawn(move || serve(socket, tls, &state).unwrap_or_default());
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

/// What the connections share.
struct State {
    objects: Objects,
    traffic: Traffic,
}

impl State {
    fn under(conditions: Conditions) -> Self {
        Self { objects: Objects::default(), traffic: Traffic::under(conditions) }
    }
}

fn serve(socket: TcpStream, tls: Option<Arc<ServerConfig>>, state: &State) -> Result<()> {
    socket.set_nodelay(true)?;
    match tls {
        None => converse(Plain::new(socket), state),
        Some(config) => converse(Tls::accept(socket, config)?, state),
    }
}

/// Serves requests until the client closes the connection.
fn converse(wire: impl Wire, state: &State) -> Result<()> {
    let mut reader = Reader::new(wire);
    while let Some(head) = Head::read(&mut reader)? {
        if head.expects_continue() {
            reader.wire().send(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let body = body::discard(&mut reader, &head)?;
        if state.traffic.delay_and_refuse() {
            reader.wire().send(&answers::slow_down(&head))?;
            continue;
        }
        match state.objects.answer(&head, &body) {
            Answer::Whole(answer) => reader.wire().send(&answer)?,
            Answer::Generated { head, range } => {
                reader.wire().send(&head)?;
                generated::send(reader.wire(), range)?;
            }
        }
    }
    Ok(())
}
