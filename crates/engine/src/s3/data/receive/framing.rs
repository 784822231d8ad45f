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

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncWriteExt, DuplexStream, duplex};

    use super::*;
    use crate::s3::transport::Io;

    impl Io for DuplexStream {
        fn is_forwarded(&self) -> bool {
            false
        }
    }

    /// Returns a connection whose peer has sent `wire` and closed it.
    async fn received(wire: &str) -> BufferedIo {
        let (mut peer, io) = duplex(1024);
        peer.write_all(wire.as_bytes()).await.unwrap();
        BufferedIo::new(Box::new(io))
    }

    /// Reads a body in pieces of `room` bytes; returns it, and the error before its end.
    async fn read(
        io: &mut BufferedIo,
        framing: &mut Framing,
        room: usize,
    ) -> (String, Option<io::ErrorKind>) {
        let mut body = vec![];
        loop {
            let mut bytes = vec![0; room];
            let mut buffer = ReadBuf::new(&mut bytes);
            let read = poll_fn(|context| framing.poll_read(io, context, &mut buffer)).await;
            body.extend_from_slice(buffer.filled());
            let error = read.err().map(|error| error.kind());
            if error.is_some() || buffer.filled().is_empty() {
                return (String::from_utf8(body).unwrap(), error);
            }
        }
    }

    #[tokio::test]
    async fn a_body_ends_where_its_framing_says() {
        let cut = Some(io::ErrorKind::UnexpectedEof);
        let wrong = Some(io::ErrorKind::InvalidData);
        let chunked =
            "4\r\nWiki\r\n5;x\r\npedia\r\n0\r\nx-amz-checksum-crc32: AAAAAA==\r\n\r\nnext";
        for (framing, wire, body, error, rest) in [
            (Framing::Length(7), "content and more", "content", None, " and more"),
            (Framing::Length(0), "more", "", None, "more"),
            (Framing::Length(9), "content", "content", cut, ""),
            (Framing::chunked(), chunked, "Wikipedia", None, "next"),
            (Framing::chunked(), &chunked[..8], "Wiki", cut, ""),
            (Framing::chunked(), &chunked[..17], "Wikiped", cut, ""),
            (Framing::chunked(), "4\r\nWikipedia\r\n", "Wiki", wrong, "pedia\r\n"),
            (Framing::UntilClose, "all of it", "all of it", None, ""),
        ] {
            for room in [1, 3, 64] {
                let (mut io, mut framing) = (received(wire).await, framing.clone());
                let found = read(&mut io, &mut framing, room).await;
                assert_eq!(found, (body.to_owned(), error), "{wire:?}, {room} at once");
                assert_eq!(framing.is_ended(), error.is_none(), "{wire:?}");
                if error.is_none() {
                    let mut behind = read(&mut io, &mut Framing::UntilClose, 64).await.0;
                    behind.truncate(rest.len());
                    assert_eq!(behind, rest, "{wire:?}, {room} at once");
                }
            }
        }
    }

    #[tokio::test]
    async fn bytes_read_with_the_head_are_taken_without_those_behind_the_body() {
        let mut io = received("contentnext").await;
        assert_eq!(poll_fn(|context| io.poll_ahead(context)).await.unwrap(), 11);
        let mut framing = Framing::Length(7);
        assert_eq!(framing.take_ahead(&mut io).unwrap().unwrap(), "content");
        assert!(framing.is_ended() && framing.take_ahead(&mut io).unwrap().is_none());
        assert!(!io.is_silent(), "the peer has sent more than it was asked for");
    }
}
