//! An object on its way to the socket, block by block.
//!
//! One block is read on a blocking thread while the one before it is being sent; two blocks per request are held,
//! whatever the size of the object. The first one is read before the answer begins, so that an object whose beginning is
//! damaged is refused with an error document. An error later cuts the connection before the bad bytes leave: the status is
//! long gone, and the missing bytes are the only way left to say it.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use haul_store::ObjectReader;
use s3s::StdError;
use s3s::dto::StreamingBlob;
use s3s::stream::{ByteStream, RemainingLength};
use tokio::task::JoinHandle;

use crate::answer::refusal::Refusal;

/// Bytes of a block: large enough that going to a thread for each is cheap, small enough to stay in cache.
const BLOCK_BYTES: usize = 256 * 1024;

/// The bytes of a reader as a body.
///
/// # Errors
/// That the first block cannot be read, or is damaged.
pub(crate) async fn object_stream(reader: ObjectReader) -> Result<StreamingBlob, Refusal> {
    let left = reader.remaining_bytes();
    let mut stream = ObjectStream { first: None, next: None, left };
    if left > 0 {
        let first = read_block(reader, BytesMut::new()).await;
        let first = first.map_err(|error| Refusal::internal("reading a block did not finish", &error))?;
        let (reader, buffer, block) = first.map_err(|error| Refusal::from_store(&error))?;
        if left > block.len() as u64 {
            stream.next = Some(read_block(reader, buffer));
        }
        stream.first = Some(block);
    }
    Ok(StreamingBlob::new(stream))
}

type Block = haul_store::Result<(ObjectReader, BytesMut, Bytes)>;

struct ObjectStream {
    first: Option<Bytes>,
    next: Option<JoinHandle<Block>>,
    left: u64,
}

fn read_block(mut reader: ObjectReader, mut buffer: BytesMut) -> JoinHandle<Block> {
    tokio::task::spawn_blocking(move || {
        let size = usize::try_from(reader.remaining_bytes()).unwrap_or(BLOCK_BYTES).min(BLOCK_BYTES);
        // Takes the same memory again when the block before was sent meanwhile.
        buffer.clear();
        buffer.resize(size, 0);
        let mut filled = 0;
        while filled < size {
            let read = reader.read(&mut buffer[filled..])?;
            if read == 0 {
                break;
            }
            filled += read;
        }
        let block = buffer.split_to(filled).freeze();
        Ok((reader, buffer, block))
    })
}

impl Stream for ObjectStream {
    type Item = Result<Bytes, StdError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(first) = self.first.take() {
            self.left = self.left.saturating_sub(first.len() as u64);
            return Poll::Ready(Some(Ok(first)));
        }
        let Some(next) = self.next.as_mut() else { return Poll::Ready(None) };
        let block = ready!(Pin::new(next).poll(cx));
        self.next = None;
        let (reader, buffer, block) = match block {
            Ok(Ok(block)) => block,
            Ok(Err(error)) => {
                tracing::error!(%error, "an object could not be read to its end");
                return Poll::Ready(Some(Err(Box::new(error))));
            }
            Err(error) => return Poll::Ready(Some(Err(Box::new(error)))),
        };
        self.left = self.left.saturating_sub(block.len() as u64);
        if block.is_empty() {
            // hyper sees too few bytes for the Content-Length and cuts the connection.
            return Poll::Ready(None);
        }
        if self.left > 0 {
            self.next = Some(read_block(reader, buffer));
        }
        Poll::Ready(Some(Ok(block)))
    }
}

impl ByteStream for ObjectStream {
    fn remaining_length(&self) -> RemainingLength {
        match usize::try_from(self.left) {
            Ok(left) => RemainingLength::new_exact(left),
            Err(_) => RemainingLength::unknown(),
        }
    }
}
