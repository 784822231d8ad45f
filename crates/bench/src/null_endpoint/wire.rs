//! The two kinds of connection: plain TCP, which discards in the kernel, and TLS, which must
//! decrypt first.

use std::io::{self, BufReader, Read, Write};
use std::mem::MaybeUninit;
use std::net::TcpStream;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection, StreamOwned};
use socket2::Socket;

/// The maximum bytes that one call discards.
const DISCARD_BYTES_MAX: usize = 1 << 20;

/// The bytes of one read of the socket beneath TLS.
const READ_BYTES: usize = 64 << 10;

/// Linux's `MSG_TRUNC`: on a TCP socket the bytes are dropped instead of copied, tcp(7).
const MSG_TRUNC: i32 = 0x20;
/// Linux's `MSG_WAITALL`: one call and one wake-up for many segments.
const MSG_WAITALL: i32 = 0x100;

/// A connection, seen from either end.
pub(crate) trait Wire {
    /// Reads some bytes; 0 at the end.
    fn fill(&mut self, buffer: &mut [u8]) -> io::Result<usize>;

    /// Discards some of the next `most` bytes, and returns how many; 0 at the end.
    fn discard(&mut self, most: u64) -> io::Result<u64>;

    /// Sends all of it.
    fn send(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Sets whether the bytes from now on count as moved, if any do.
    fn set_counts(&mut self, _counts: bool) {}
}

pub(crate) struct Plain {
    socket: Socket,
    /// Never written to, so it takes no memory.
    sink: Box<[MaybeUninit<u8>]>,
}

impl Plain {
    pub(crate) fn new(socket: TcpStream) -> Self {
        Self { socket: socket.into(), sink: Box::new_uninit_slice(DISCARD_BYTES_MAX) }
    }
}

impl Wire for Plain {
    fn fill(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.read(buffer)
    }

    fn discard(&mut self, most: u64) -> io::Result<u64> {
        let most = at_most(most);
        Ok(self.socket.recv_with_flags(&mut self.sink[..most], MSG_TRUNC | MSG_WAITALL)? as u64)
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket.write_all(bytes)
    }
}

pub(crate) struct Tls<S> {
    stream: S,
    sink: Box<[u8]>,
}

impl<S> Tls<S> {
    fn over(stream: S) -> Self {
        Self { stream, sink: vec![0; DISCARD_BYTES_MAX].into() }
    }
}

impl Tls<StreamOwned<ServerConnection, LargeReads>> {
    pub(crate) fn accept(socket: TcpStream, config: Arc<ServerConfig>) -> io::Result<Self> {
        let connection = ServerConnection::new(config).map_err(io::Error::other)?;
        Ok(Self::over(StreamOwned::new(
            connection,
            LargeReads(BufReader::with_capacity(READ_BYTES, socket)),
        )))
    }
}

/// A socket that is read in large pieces: rustls reads 4 KiB at a time.
pub(crate) struct LargeReads(BufReader<TcpStream>);

impl Read for LargeReads {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for LargeReads {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.get_mut().write(bytes)
    }

    fn write_vectored(&mut self, slices: &[io::IoSlice<'_>]) -> io::Result<usize> {
        self.0.get_mut().write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.get_mut().flush()
    }
}

impl Tls<StreamOwned<ClientConnection, TcpStream>> {
    pub(crate) fn connect(socket: TcpStream, config: Arc<ClientConfig>) -> io::Result<Self> {
        let name = ServerName::from(socket.peer_addr()?.ip());
        let connection = ClientConnection::new(config, name).map_err(io::Error::other)?;
        Ok(Self::over(StreamOwned::new(connection, socket)))
    }
}

impl<S: Read + Write> Wire for Tls<S> {
    fn fill(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer)
    }

    fn discard(&mut self, most: u64) -> io::Result<u64> {
        let most = at_most(most);
        Ok(self.stream.read(&mut self.sink[..most])? as u64)
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }
}

fn at_most(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX).min(DISCARD_BYTES_MAX)
}
