//! A connection, and the bytes that were read from it beyond the head or the framing of an answer.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};

use crate::s3::transport::BoxIo;

/// Bytes of one read ahead: a head, or a few lines of framing. More of the body would be copied.
const AHEAD_BYTES: usize = 8 * 1024;

/// A connection that is read in two ways: ahead into a buffer, for what has to be parsed, and
/// directly into the reader's buffer.
pub(super) struct BufferedIo {
    io: BoxIo,
    /// The bytes that were read ahead and not taken yet.
    pub(super) ahead: BytesMut,
}

impl BufferedIo {
    pub(super) fn new(io: BoxIo) -> Self {
        Self { io, ahead: BytesMut::new() }
    }

    /// Sends bytes.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.io.write_all(bytes).await?;
        self.io.flush().await
    }

    /// Reads more bytes ahead, and returns their number; 0: the peer has closed the connection.
    pub(super) fn poll_ahead(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut bytes = [0; AHEAD_BYTES];
        let mut buffer = ReadBuf::new(&mut bytes);
        ready!(Pin::new(&mut self.io).poll_read(context, &mut buffer))?;
        self.ahead.extend_from_slice(buffer.filled());
        Poll::Ready(Ok(buffer.filled().len()))
    }

    /// Reads at most `most` bytes into `buffer`: first those that were read ahead.
    pub(super) fn poll_into(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
        most: u64,
    ) -> Poll<io::Result<usize>> {
        let room = usize::try_from(most).unwrap_or(usize::MAX).min(buffer.remaining());
        if !self.ahead.is_empty() {
            let count = room.min(self.ahead.len());
            buffer.put_slice(&self.ahead[..count]);
            self.ahead.advance(count);
            return Poll::Ready(Ok(count));
        }
        let mut part = ReadBuf::new(buffer.initialize_unfilled_to(room));
        ready!(Pin::new(&mut self.io).poll_read(context, &mut part))?;
        let count = part.filled().len();
        buffer.advance(count);
        Poll::Ready(Ok(count))
    }

    /// Returns whether the peer keeps the idle connection open, as far as this side knows: nothing
    /// may arrive before the next request.
    pub(super) fn is_silent(&mut self) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        self.ahead.is_empty() && self.poll_ahead(&mut context).is_pending()
    }
}
