//! An S3 endpoint that stores nothing: it responds to the requests of an upload and discards the
//! bodies.
//!
//! A client that uploads to it is measured alone: no disk, no hashing and, over plain HTTP, no copy
//! at the other end (`recv` with `MSG_TRUNC` discards in the kernel). Over TLS it must decrypt.
//! Checksums are echoed as sent, in a header or in the trailer, so that clients count their parts
//! as verified; signatures are ignored. One thread per connection, in the process of the benchmark.
//! GETs of [`generated`] objects are answered with bytes, whole or in ranges. [`Conditions`] make
//! the endpoint as slow and as busy as a store far away. With a folder it is the floor of an
//! endpoint: it hashes and stores the bodies of objects and parts ([`crate::floor`]).

mod answers;
pub(crate) mod body;
mod conditions;
mod counted;
pub(crate) mod generated;
pub(crate) mod head;
pub(crate) mod reader;
#[cfg(test)]
mod tests;
pub(crate) mod wire;

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result};
use rustls::ServerConfig;

use self::answers::{Answer, Objects};
use self::body::Discard;
pub(crate) use self::conditions::Conditions;
use self::conditions::Traffic;
use self::counted::Counted;
use self::head::Head;
use self::reader::Reader;
use self::wire::{Plain, Tls, Wire};
use crate::authority::Authority;
use crate::floor::{Block, Stored};

/// A running endpoint; it responds until the process ends.
pub(crate) struct NullEndpoint {
    address: SocketAddr,
    tls: bool,
}

impl NullEndpoint {
    /// Starts plain HTTP on a free loopback port.
    pub(crate) fn plain(conditions: Conditions) -> Result<Self> {
        Self::start(loopback(), None, State::under(conditions))
    }

    /// Starts TLS at this address, and adds to `moved` the bytes of all connections, in both
    /// directions, as they arrive and leave.
    pub(crate) fn counted(
        at: SocketAddr,
        tls: Arc<ServerConfig>,
        conditions: Conditions,
        moved: &Arc<AtomicU64>,
    ) -> Result<Self> {
        let counter = Some(Arc::clone(moved));
        Self::start(at, Some(tls), State { counter, ..State::under(conditions) })
    }

    /// Starts TLS, with the server certificate of this authority.
    pub(crate) fn tls(authority: &Authority, conditions: Conditions) -> Result<Self> {
        Self::start(loopback(), Some(authority.server_config()?), State::under(conditions))
    }

    /// Starts an endpoint that stores the bytes of objects and parts in a folder.
    pub(crate) fn storing(folder: PathBuf, tls: Option<Arc<ServerConfig>>) -> Result<Self> {
        let state = State { folder: Some(folder), ..State::under(Conditions::default()) };
        Self::start(loopback(), tls, state)
    }

    fn start(at: SocketAddr, tls: Option<Arc<ServerConfig>>, state: State) -> Result<Self> {
        let listener = TcpListener::bind(at).context("listen")?;
        let address = listener.local_addr().context("listen")?;
        let (state, is_tls) = (Arc::new(state), tls.is_some());
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

fn loopback() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

/// What the connections share.
struct State {
    objects: Objects,
    traffic: Traffic,
    counter: Option<Arc<AtomicU64>>,
    /// Where the bytes of objects and parts are stored, instead of being discarded.
    folder: Option<PathBuf>,
}

impl State {
    fn under(conditions: Conditions) -> Self {
        let traffic = Traffic::under(conditions);
        Self { objects: Objects::default(), traffic, counter: None, folder: None }
    }
}

fn serve(socket: TcpStream, tls: Option<Arc<ServerConfig>>, state: &State) -> Result<()> {
    socket.set_nodelay(true)?;
    match (tls, &state.counter) {
        (None, _) => converse(Plain::new(socket), state),
        (Some(config), Some(counter)) => {
            converse(Counted::new(Tls::accept(socket, config)?, Arc::clone(counter)), state)
        }
        (Some(config), None) => converse(Tls::accept(socket, config)?, state),
    }
}

/// Serves requests until the client closes the connection.
fn converse(wire: impl Wire, state: &State) -> Result<()> {
    let mut reader = Reader::new(wire);
    let mut block = state.folder.as_ref().map(|_| Block::new());
    while let Some(head) = Head::read(&mut reader)? {
        if state.traffic.is_too_fast(Instant::now()) {
            // Stores refuse by the head. The body, if it is on its way, moves nothing.
            reader.wire().send(&answers::slow_down(&head))?;
            if !head.expects_continue() {
                reader.wire().set_counts(false);
                body::receive(&mut reader, &head, &mut Discard)?;
                reader.wire().set_counts(true);
            }
            continue;
        }
        if head.expects_continue() {
            reader.wire().send(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let body = match (&state.folder, &mut block) {
            (Some(folder), Some(block)) if head.method == "PUT" => {
                let mut stored = Stored::create(folder, block)?;
                let body = body::receive(&mut reader, &head, &mut stored)?;
                stored.finish()?;
                body
            }
            _ => body::receive(&mut reader, &head, &mut Discard)?,
        };
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
