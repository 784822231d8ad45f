//! The bytes of an object as they arrive: taken as a stream, or read into the reader's buffer.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use futures_core::Stream;
use tokio::io::ReadBuf;

use super::StoreError;

/// The bytes of an answer to GetObject: a [`Stream`] that can also be [read](Self::read) into a
/// buffer. A store of your own makes it from any stream with `from` or [`ObjectBytes::new`].
pub struct ObjectBytes {
    body: Box<dyn ReadBody>,
}

/// A body that is read into a buffer, or taken in pieces of its own.
pub(crate) trait ReadBody: Send {
    /// Reads into `buffer`; nothing read: the body has ended.
    fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<(), StoreError>>;

    /// Takes the next bytes; `None`: the body has ended.
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, StoreError>>>;
}

impl ObjectBytes {
    /// Creates the bytes from a stream.
    pub fn new(stream: impl Stream<Item = Result<Bytes, StoreError>> + Send + 'static) -> Self {
        Self::read_from(Streamed { stream: Some(Box::pin(stream)), rest: Bytes::new() })
    }

    pub(crate) fn read_from(body: impl ReadBody + 'static) -> Self {
        Self { body: Box::new(body) }
    }

    /// Reads at most `buffer.len()` bytes and returns their number; 0: the body has ended, or the
    /// buffer has no room. Dropping the future loses nothing.
    ///
    /// # Errors
    /// Like those of the stream: the connection failed, or was silent for too long.
    pub async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, StoreError> {
        let mut buffer = ReadBuf::new(buffer);
        poll_fn(|context| self.body.poll_read(context, &mut buffer)).await?;
        Ok(buffer.filled().len())
    }
}

impl<S: Stream<Item = Result<Bytes, StoreError>> + Send + 'static> From<Pin<Box<S>>>
    for ObjectBytes
{
    fn from(stream: Pin<Box<S>>) -> Self {
        Self::new(stream)
    }
}

impl Stream for ObjectBytes {
    type Item = Result<Bytes, StoreError>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, StoreError>>> {
        self.body.poll_next(context)
    }
}

impl fmt::Debug for ObjectBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectBytes").finish_non_exhaustive()
    }
}

type BoxedStream = Pin<Box<dyn Stream<Item = Result<Bytes, StoreError>> + Send>>;

/// The bytes of a stream.
struct Streamed {
    /// `None` after the end.
    stream: Option<BoxedStream>,
    /// Bytes of the stream that did not fit into the last buffer.
    rest: Bytes,
}

impl ReadBody for Streamed {
    fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<(), StoreError>> {
        while self.rest.is_empty() && buffer.remaining() > 0 {
            match ready!(self.poll_next(context)) {
                Some(bytes) => self.rest = bytes?,
                None => return Poll::Ready(Ok(())),
            }
        }
        let count = self.rest.len().min(buffer.remaining());
        buffer.put_slice(&self.rest[..count]);
        self.rest.advance(count);
        Poll::Ready(Ok(()))
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, StoreError>>> {
        if !self.rest.is_empty() {
            return Poll::Ready(Some(Ok(std::mem::take(&mut self.rest))));
        }
        let Some(stream) = &mut self.stream else { return Poll::Ready(None) };
        let next = ready!(stream.as_mut().poll_next(context));
        if next.is_none() {
            self.stream = None;
        }
        Poll::Ready(next)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{StreamExt, stream};

    use super::*;
    use crate::remote::{Operation, StoreErrorKind};

    fn sample() -> ObjectBytes {
        let broken = StoreError::local(Operation::GetObject, StoreErrorKind::Connection, "cut");
        ObjectBytes::new(stream::iter([
            Ok(Bytes::from_static(b"abc")),
            Ok(Bytes::new()),
            Ok(Bytes::from_static(b"de")),
            Err(broken),
        ]))
    }

    #[tokio::test]
    async fn a_stream_is_read_into_buffers_of_any_size() {
        for size in 1..8 {
            let (mut bytes, mut found) = (sample(), vec![]);
            let error = loop {
                let mut buffer = vec![0; size];
                match bytes.read(&mut buffer).await {
                    Ok(count) => found.extend_from_slice(&buffer[..count]),
                    Err(error) => break error,
                }
            };
            assert_eq!((&found[..], error.message.as_str()), (&b"abcde"[..], "cut"), "{size}");
            assert_eq!(bytes.read(&mut [0; 4]).await.unwrap(), 0);
            assert!(bytes.next().await.is_none());
        }
    }

    #[tokio::test]
    async fn reading_and_taking_continue_each_other() {
        let mut bytes = sample();
        assert_eq!(bytes.read(&mut [0]).await.unwrap(), 1);
        assert_eq!(&bytes.next().await.unwrap().unwrap()[..], b"bc");
        assert_eq!(bytes.read(&mut []).await.unwrap(), 0);
        assert_eq!(bytes.read(&mut [0]).await.unwrap(), 1);
        assert_eq!(&bytes.next().await.unwrap().unwrap()[..], b"e");
    }
}
