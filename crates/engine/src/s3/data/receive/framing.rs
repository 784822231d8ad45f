//! Reads a body up to its end, as the head of the answer defines it (RFC 9112, 6.3).

use std::io;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::ReadBuf;

use super::buffered::BufferedIo;
use super::chunked::Chunked;

/// The part of a body that is still to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::s3::data) enum Framing {
    /// This number of bytes.
    Length(u64),
    /// Chunks, up to an empty one.
    Chunked(Chunked),
    /// All bytes until the peer closes the connection.
    UntilClose,
}

impl Framing {
    /// Returns the framing of a body in chunks, at its beginning.
    pub(super) fn chunked() -> Self {
        Self::Chunked(Chunked::Size)
    }

    /// Returns whether the whole body has been read.
    pub(in crate::s3::data) fn is_ended(&self) -> bool {
        matches!(self, Self::Length(0) | Self::Chunked(Chunked::End))
    }

    /// Reads bytes of the body into `buffer`; none: the body has ended.
    ///
    /// # Errors
    /// `UnexpectedEof` if the connection was closed before the end; `InvalidData` for bad framing.
    pub(super) fn poll_read(
        &mut self,
        io: &mut BufferedIo,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let most = ready!(self.poll_available(io, context))?;
        if most == 0 || buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let count = ready!(io.poll_into(context, buffer, most))? as u64;
        self.took(count)?;
        if let Self::Chunked(chunked) = self {
            // The end of the body is often here already; otherwise the next read looks for it.
            chunked.parse(&mut io.ahead).map_err(invalid)?;
        }
        Poll::Ready(Ok(()))
    }

    /// Returns the bytes of the body that were read ahead, without a copy.
    pub(super) fn take_ahead(&mut self, io: &mut BufferedIo) -> io::Result<Option<Bytes>> {
        if let Self::Chunked(chunked) = self {
            chunked.parse(&mut io.ahead).map_err(invalid)?;
        }
        let most = match self {
            Self::Length(left) | Self::Chunked(Chunked::Bytes(left)) => *left,
            Self::UntilClose => u64::MAX,
            Self::Chunked(_) => 0,
        };
        let count = usize::try_from(most).unwrap_or(usize::MAX).min(io.ahead.len());
        if count == 0 {
            return Ok(None);
        }
        let bytes = io.ahead.split_to(count).freeze();
        self.took(count as u64)?;
        Ok(Some(bytes))
    }

    /// Returns the maximum number of bytes of the body that may be read now; 0: it has ended.
    fn poll_available(
        &mut self,
        io: &mut BufferedIo,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<u64>> {
        match self {
            Self::Length(left) => Poll::Ready(Ok(*left)),
            Self::UntilClose => Poll::Ready(Ok(u64::MAX)),
            Self::Chunked(chunked) => {
                while chunked.parse(&mut io.ahead).map_err(invalid)? {
                    if ready!(io.poll_ahead(context))? == 0 {
                        return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
                    }
                }
                let Chunked::Bytes(left) = chunked else { return Poll::Ready(Ok(0)) };
                Poll::Ready(Ok(*left))
            }
        }
    }

    fn took(&mut self, count: u64) -> io::Result<()> {
        match self {
            Self::Length(_) | Self::Chunked(_) if count == 0 => {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            Self::Length(left) => *left -= count.min(*left),
            Self::Chunked(chunked) => chunked.took(count),
            Self::UntilClose if count == 0 => *self = Self::Length(0),
            Self::UntilClose => {}
        }
        Ok(())
    }
}

fn invalid(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
