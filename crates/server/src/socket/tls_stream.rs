//! A TLS connection with reads and writes of a good size.
//!
//! rustls reads its socket 4 KiB at a time, a system call each, so the socket is read into a larger
//! buffer first. The buffer is taken from a pool when bytes arrive, and returned as soon as rustls
//! has taken them: an idle connection has none.
//!
//! tokio-rustls encrypts new bytes while earlier ones still wait for the socket: as many as its
//! buffer of 64 KiB has left, in records of any length down to one byte. Here it encrypts only when
//! all earlier bytes are sent, so that every record but the last of a block is full.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::server::TlsStream;

/// The number of bytes in one read of the socket: several records.
const READ_BYTES: usize = 64 * 1024;
/// The number of unused buffers to keep; no more are in use at a time than threads read.
const KEPT_BUFFERS_MAX: usize = 16;

/// Unused read buffers, shared by all connections.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReadBuffers {
    unused: Arc<Mutex<Vec<Box<[u8]>>>>,
}

impl ReadBuffers {
    fn take(&self) -> Box<[u8]> {
        let unused = self.unused.lock().unwrap_or_else(PoisonError::into_inner).pop();
        unused.unwrap_or_else(|| vec![0; READ_BYTES].into())
    }

    fn give_back(&self, buffer: Box<[u8]>) {
        let mut unused = self.unused.lock().unwrap_or_else(PoisonError::into_inner);
        if unused.len() < KEPT_BUFFERS_MAX {
            unused.push(buffer);
        }
    }
}

/// A socket that is read in large pieces.
pub(crate) struct LargeReads<T> {
    socket: T,
    buffers: ReadBuffers,
    /// Bytes that were read and not yet taken, with their place in the buffer.
    held: Option<(Box<[u8]>, std::ops::Range<usize>)>,
}

impl<T> LargeReads<T> {
    pub(crate) fn new(socket: T, buffers: ReadBuffers) -> Self {
        Self { socket, buffers, held: None }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for LargeReads<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let (buffer, mut held) = match this.held.take() {
            Some(held) => held,
            None => {
                let mut buffer = this.buffers.take();
                let mut into = ReadBuf::new(&mut buffer);
                let polled = Pin::new(&mut this.socket).poll_read(cx, &mut into);
                let count = into.filled().len();
                if count == 0 {
                    this.buffers.give_back(buffer);
                    return polled;
                }
                (buffer, 0..count)
            }
        };
        let count = held.len().min(buf.remaining());
        buf.put_slice(&buffer[held.start..held.start + count]);
        held.start += count;
        if held.is_empty() {
            this.buffers.give_back(buffer);
        } else {
            this.held = Some((buffer, held));
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for LargeReads<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

/// A TLS connection that encrypts only what can be sent.
pub(crate) struct FullRecords<T>(pub(crate) TlsStream<T>);

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncRead for FullRecords<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for FullRecords<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(Pin::new(&mut self.0).poll_flush(cx))?;
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(Pin::new(&mut self.0).poll_flush(cx))?;
        Pin::new(&mut self.0).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
