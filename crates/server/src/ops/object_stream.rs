//! Streams an object to the socket, block by block.
//!
//! A block that is in the page cache is read where it is sent, when the connection wants it: no
//! thread switch, and it is hashed, encrypted and sent while it is in the cache of one processor
//! (decision 0020). If the next block is not there, blocking threads read some blocks ahead: one
//! while the previous one is being sent, as long as there is room for both. Without room, the
//! object is sent in small blocks, one at a time, which need none.
//!
//! The first block is read before the response starts, so that damage at the start becomes an error
//! document. A later error closes the connection before the bad bytes are sent: the status has
//! already been sent, and missing bytes are the only remaining signal.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use futures_util::task::AtomicWaker;
use haul_store::ObjectReader;
use s3s::StdError;
use s3s::dto::StreamingBlob;
use s3s::stream::{ByteStream, RemainingLength};
use tokio::task::JoinHandle;

use crate::answer::refusal::Refusal;
use crate::auth::requester::AccessKeyId;
use crate::auth::requester::Requester;
use crate::body::room::{Room, Taken};

/// The size of a block: large enough that a thread switch for each is cheap, small enough to stay
/// in cache.
const BLOCK_BYTES: usize = 256 * 1024;
/// The size of a block that needs no room: the unit that the store verifies.
const SMALL_BLOCK_BYTES: usize = 64 * 1024;
/// The number of unused blocks to keep: fresh memory costs the system about as much as filling it.
const KEPT_BLOCKS_MAX: usize = 32;
/// The number of blocks that threads read after one that is not in the page cache, before the next
/// attempt without a thread.
const BLOCKS_AHEAD: u32 = 16;

/// Memory and room for blocks, shared by all clones.
#[derive(Clone, Debug)]
pub(crate) struct SendRoom {
    room: Room,
    unused: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl SendRoom {
    /// Creates room for `bytes` beside the small blocks.
    pub(crate) fn new(bytes: usize) -> Self {
        Self { room: Room::new(bytes), unused: Arc::default() }
    }

    fn memory(&self) -> Vec<u8> {
        let unused = self.unused.lock().unwrap_or_else(PoisonError::into_inner).pop();
        unused.unwrap_or_else(|| vec![0; BLOCK_BYTES])
    }
}

/// Returns the bytes of a reader as a response body.
///
/// # Errors
/// Fails if the first block cannot be read, or is damaged.
pub(crate) async fn object_stream(
    reader: ObjectReader,
    sends: &SendRoom,
    requester: Option<Requester>,
) -> Result<StreamingBlob, Refusal> {
    let mut stream = ObjectStream {
        first: None,
        state: ReadState::Done,
        left: reader.remaining_bytes(),
        ahead: 0,
        sends: sends.clone(),
        access_key_id: requester.as_ref().map(Requester::access_key_id).unwrap_or_default(),
        small: Arc::default(),
        _requester: requester,
    };
    // The small block is not in use yet, so there is one.
    if stream.left > 0
        && let Some(block) = stream.block(&reader)
    {
        let first = tokio::task::spawn_blocking(move || read(reader, block)).await;
        let first =
            first.map_err(|error| Refusal::internal("reading a block did not finish", &error))?;
        let (reader, block) = first.map_err(|error| Refusal::from_store(&error))?;
        stream.state = ReadState::Idle(Box::new(reader));
        stream.first = Some(block);
    }
    Ok(StreamingBlob::new(stream))
}

type Read = haul_store::Result<(ObjectReader, SendBlock)>;

struct ObjectStream {
    first: Option<SendBlock>,
    state: ReadState,
    left: u64,
    /// The number of blocks that threads are still to read.
    ahead: u32,
    sends: SendRoom,
    access_key_id: AccessKeyId,
    small: Arc<SmallBlock>,
    /// Keeps the slot of the request until all bytes are sent.
    _requester: Option<Requester>,
}

enum ReadState {
    /// The next block is read once the connection wants it, and a block is free.
    Idle(Box<ObjectReader>),
    Reading(JoinHandle<Read>),
    Done,
}

/// The small block of one stream.
#[derive(Debug, Default)]
struct SmallBlock {
    is_in_use: AtomicBool,
    free: AtomicWaker,
}

/// Bytes that are being sent. Their room is released once the connection has taken them.
struct SendBlock {
    memory: Vec<u8>,
    filled: usize,
    source: BlockSource,
}

enum BlockSource {
    Room(SendRoom, #[allow(dead_code, reason = "held for its drop")] Taken),
    Small(Arc<SmallBlock>),
}

impl AsRef<[u8]> for SendBlock {
    fn as_ref(&self) -> &[u8] {
        &self.memory[..self.filled]
    }
}

impl Drop for SendBlock {
    fn drop(&mut self) {
        match &self.source {
            BlockSource::Room(sends, _) => {
                let mut unused = sends.unused.lock().unwrap_or_else(PoisonError::into_inner);
                if unused.len() < KEPT_BLOCKS_MAX {
                    unused.push(std::mem::take(&mut self.memory));
                }
            }
            BlockSource::Small(small) => {
                small.is_in_use.store(false, Ordering::Release);
                small.free.wake();
            }
        }
    }
}

impl ObjectStream {
    /// Returns memory for the next block, with the length to read; `None` while the small block is
    /// being sent.
    fn block(&self, reader: &ObjectReader) -> Option<SendBlock> {
        let wanted = reader.next_read_bytes(BLOCK_BYTES);
        if let Some(taken) = self.sends.room.try_take(&self.access_key_id, wanted) {
            let source = BlockSource::Room(self.sends.clone(), taken);
            return Some(SendBlock { memory: self.sends.memory(), filled: wanted, source });
        }
        let is_free = !self.small.is_in_use.swap(true, Ordering::Acquire);
        is_free.then(|| SendBlock {
            memory: vec![0; SMALL_BLOCK_BYTES],
            filled: reader.next_read_bytes(SMALL_BLOCK_BYTES),
            source: BlockSource::Small(Arc::clone(&self.small)),
        })
    }

    /// Returns a block as the next piece of the body.
    fn send(&mut self, block: SendBlock) -> Option<Result<Bytes, StdError>> {
        self.left = self.left.saturating_sub(block.filled as u64);
        if self.left == 0 {
            self.state = ReadState::Done;
        }
        // Without bytes, hyper sees fewer of them than the Content-Length, and closes the
        // connection.
        (block.filled > 0).then(|| Ok(Bytes::from_owner(block)))
    }

    /// Lets a thread read the next block, if one is free.
    fn read_ahead(&mut self, reader: Box<ObjectReader>) {
        self.state = match self.block(&reader) {
            Some(block) => {
                ReadState::Reading(tokio::task::spawn_blocking(move || read(*reader, block)))
            }
            None => ReadState::Idle(reader),
        };
    }

    /// Reads the next block from the page cache; if it is not there, lets a thread read it.
    fn read_here(&mut self, mut reader: Box<ObjectReader>) -> Option<SendBlock> {
        let Some(mut block) = self.block(&reader) else {
            self.state = ReadState::Idle(reader);
            return None;
        };
        if self.ahead == 0 {
            let filled = block.filled;
            if reader.read_cached(&mut block.memory[..filled]) {
                self.state = ReadState::Idle(reader);
                return Some(block);
            }
            self.ahead = BLOCKS_AHEAD;
        }
        self.state = ReadState::Reading(tokio::task::spawn_blocking(move || read(*reader, block)));
        None
    }
}

/// Fills a block up to its length.
fn read(mut reader: ObjectReader, mut block: SendBlock) -> Read {
    let size = std::mem::take(&mut block.filled);
    while block.filled < size {
        let count = reader.read(&mut block.memory[block.filled..size])?;
        if count == 0 {
            break;
        }
        block.filled += count;
    }
    Ok((reader, block))
}

impl Stream for ObjectStream {
    type Item = Result<Bytes, StdError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(self.send(first));
        }
        if matches!(self.state, ReadState::Idle(_)) {
            // Register before checking, so that a block that is freed in between is not missed.
            self.small.free.register(cx.waker());
            if let ReadState::Idle(reader) = std::mem::replace(&mut self.state, ReadState::Done)
                && let Some(block) = self.read_here(reader)
            {
                return Poll::Ready(self.send(block));
            }
        }
        let read = match &mut self.state {
            ReadState::Reading(read) => ready!(Pin::new(read).poll(cx)),
            ReadState::Idle(_) => return Poll::Pending,
            ReadState::Done => return Poll::Ready(None),
        };
        self.state = ReadState::Done;
        let (reader, block) = match read {
            Ok(Ok(read)) => read,
            Ok(Err(error)) => {
                tracing::error!(%error, "an object could not be read to its end");
                return Poll::Ready(Some(Err(Box::new(error))));
            }
            Err(error) => return Poll::Ready(Some(Err(Box::new(error)))),
        };
        self.ahead = self.ahead.saturating_sub(1);
        let reader = Box::new(reader);
        if self.ahead > 0 && reader.remaining_bytes() > 0 {
            self.read_ahead(reader);
        } else {
            self.state = ReadState::Idle(reader);
        }
        Poll::Ready(self.send(block))
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
