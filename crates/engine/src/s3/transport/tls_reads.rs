//! Makes reads through TLS larger.
//!
//! rustls reads its socket 4 KiB at a time, and returns one record of at most 16 KiB for each read.
//! In a download that means a system call for every page and a wake-up for every record. So the
//! socket is read into a buffer, and each read returns as many records as are available.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, BufReader, ReadBuf};
use tokio_rustls::client::TlsStream;

use super::{BoxIo, Io};

/// The number of bytes in one read of the socket: several records.
const READ_BYTES: usize = 128 * 1024;

/// The transport that TLS runs on.
pub(super) type Below = BufReader<BoxIo>;

/// Puts a read buffer in front of a connection.
pub(super) fn buffered(io: BoxIo) -> Below {
    BufReader::with_capacity(READ_BYTES, io)
}

/// A TLS connection whose reads return all available records.
pub(super) struct TlsReads(pub(super) TlsStream<Below>);

impl Io for TlsReads {
    fn is_forwarded(&self) -> bool {
        self.0.get_ref().0.get_ref().is_forwarded()
    }
}

impl AsyncRead for TlsReads {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        fill(&mut self.0, context, buffer)
    }
}

/// Reads until the buffer is full or no more bytes are available. An error after some bytes is
/// returned by the next read.
fn fill(
    io: &mut (impl AsyncRead + Unpin),
    context: &mut Context<'_>,
    buffer: &mut ReadBuf<'_>,
) -> Poll<io::Result<()>> {
    let before = buffer.filled().len();
    loop {
        let filled = buffer.filled().len();
        let polled = Pin::new(&mut *io).poll_read(context, buffer);
        let some = buffer.filled().len() > before;
        match polled {
            Poll::Ready(Ok(())) if buffer.filled().len() == filled || buffer.remaining() == 0 => {
                return Poll::Ready(Ok(()));
            }
            Poll::Ready(Ok(())) => {}
            Poll::Pending | Poll::Ready(Err(_)) if some => return Poll::Ready(Ok(())),
            other => return other,
        }
    }
}

impl AsyncWrite for TlsReads {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    /// A reader that returns its records one by one, then waits, and fails at the end.
    struct Records(Vec<&'static [u8]>, bool);

    impl AsyncRead for Records {
        fn poll_read(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            if let Some(record) = self.0.pop() {
                buffer.put_slice(record);
                return Poll::Ready(Ok(()));
            }
            if std::mem::replace(&mut self.1, true) {
                return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
            }
            context.waker().wake_by_ref();
            Poll::Pending
        }
    }

    struct Filled(Records);

    impl AsyncRead for Filled {
        fn poll_read(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            fill(&mut self.0, context, buffer)
        }
    }

    #[tokio::test]
    async fn one_read_takes_all_records_that_are_there() {
        let mut io = Filled(Records(vec![b"ef", b"cd", b"ab"], false));
        let mut buffer = [0; 16];
        assert_eq!(io.read(&mut buffer).await.unwrap(), 6);
        assert_eq!(&buffer[..6], b"abcdef");
        let error = io.read(&mut buffer).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }
}
