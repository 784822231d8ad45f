//! Gathers the pieces of a body into blocks, in memory that is reserved when bytes arrive.
//!
//! A sender starts with a small block, which needs no room. A sender that fills its block quickly
//! gets room for a large block, and for the next one when its first bytes arrive. A large block is
//! held for at most [`FILL_TIME`]: then its content is written, and the sender starts again with a
//! small block. So a waiting sender never holds room, and a sender that finds no room continues in
//! small blocks, which cost more per byte but delay no other sender.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use haul_parts::Checksum;
use haul_store::{BLOCK_BYTES, Block, BlockPool};
use s3s::dto::StreamingBlob;
use tokio::time::{Instant, timeout, timeout_at};

use crate::answer::refusal::Refusal;
use crate::auth::requester::AccessKeyId;
use crate::body::receive::{broken, wrong_length};
use crate::body::room::{Room, Taken};

/// The maximum time to fill a block.
const FILL_TIME: Duration = Duration::from_millis(250);
/// The maximum time that a sender with bytes waits for room before it continues in small blocks.
const ROOM_TIME: Duration = Duration::from_millis(500);

/// Memory and room for blocks, shared by all clones.
#[derive(Clone, Debug)]
pub(crate) struct BlockRoom {
    pool: BlockPool,
    room: Room,
}

impl BlockRoom {
    /// Creates room for `bytes` in large blocks.
    pub(crate) fn new(bytes: usize) -> Self {
        Self { pool: BlockPool::default(), room: Room::new(bytes) }
    }
}

/// A block of bytes to write.
pub(super) struct Gathered {
    pub(super) bytes: Bytes,
    /// The room, held as long as the bytes are; `None` for a small block.
    pub(super) room: Option<Taken>,
}

/// A body, and the values that its request declared.
pub(super) struct Source {
    pub(super) body: Option<StreamingBlob>,
    pub(super) length_bytes: u64,
    /// The client's hash of the bytes, which `s3s` compares.
    pub(super) claimed_sha256: Option<Checksum>,
}

/// A body being gathered into blocks, counted against its declared length.
pub(super) struct Gathering {
    body: Option<StreamingBlob>,
    claimed_sha256: Option<Checksum>,
    /// Bytes that are not yet in a block.
    piece: Bytes,
    left: u64,
    blocks: BlockRoom,
    access_key_id: AccessKeyId,
    /// Whether the last block was filled in time.
    is_quick: bool,
}

impl Gathering {
    pub(super) fn new(source: Source, blocks: BlockRoom, access_key_id: AccessKeyId) -> Self {
        let Source { body, length_bytes, claimed_sha256 } = source;
        Self {
            body,
            claimed_sha256,
            piece: Bytes::new(),
            left: length_bytes,
            blocks,
            access_key_id,
            is_quick: false,
        }
    }

    /// Returns the next block; `None` at the end of the body.
    pub(super) async fn next(&mut self) -> Result<Option<Gathered>, Refusal> {
        while self.fetch().await? {
            let deadline = Instant::now() + FILL_TIME;
            let filled = match self.room_if_quick().await {
                Some(room) => self.fill_large(self.blocks.pool.take(), room, deadline).await?,
                None => self.fill_small(deadline).await?,
            };
            if filled.is_some() {
                return Ok(filled);
            }
        }
        if self.left > 0 { Err(wrong_length()) } else { Ok(None) }
    }

    async fn fill_small(&mut self, deadline: Instant) -> Result<Option<Gathered>, Refusal> {
        let mut block = self.blocks.pool.take_small();
        block.fill(&mut self.piece);
        while !block.is_full() && self.fetch().await? {
            block.fill(&mut self.piece);
        }
        self.is_quick = block.is_full() && Instant::now() < deadline;
        if let Some(room) = self.room_if_quick().await {
            let mut large = self.blocks.pool.take();
            large.fill(&mut block.freeze());
            return self.fill_large(large, room, Instant::now() + FILL_TIME).await;
        }
        Ok(Some(Gathered { bytes: block.freeze(), room: None }))
    }

    /// Fills a large block; `None` if so few bytes arrived that a small block suffices.
    async fn fill_large(
        &mut self,
        mut block: Block,
        room: Taken,
        deadline: Instant,
    ) -> Result<Option<Gathered>, Refusal> {
        block.fill(&mut self.piece);
        while !block.is_full() {
            match timeout_at(deadline, self.fetch()).await {
                Ok(Ok(true)) => block.fill(&mut self.piece),
                Ok(Ok(false)) => break,
                Ok(Err(refusal)) => return Err(refusal),
                Err(_) => {
                    self.is_quick = false;
                    let (bytes, rest) = block.freeze_aligned();
                    // Copy the rest, so that the memory of the block is freed.
                    self.piece = Bytes::copy_from_slice(&rest);
                    return Ok((!bytes.is_empty()).then_some(Gathered { bytes, room: Some(room) }));
                }
            }
        }
        Ok(Some(Gathered { bytes: block.freeze(), room: Some(room) }))
    }

    async fn room_if_quick(&self) -> Option<Taken> {
        if !self.is_quick {
            return None;
        }
        timeout(ROOM_TIME, self.blocks.room.take(&self.access_key_id, BLOCK_BYTES)).await.ok()
    }

    /// Waits for bytes; returns false at the end of the body. Cancel-safe.
    async fn fetch(&mut self) -> Result<bool, Refusal> {
        while self.piece.is_empty() {
            // Read to the end even if all bytes have arrived: signatures and trailers come last.
            let Some(body) = self.body.as_mut() else { return Ok(false) };
            match body.next().await {
                Some(Ok(piece)) => {
                    self.left =
                        self.left.checked_sub(piece.len() as u64).ok_or_else(wrong_length)?;
                    self.piece = piece;
                }
                Some(Err(error)) => return Err(broken(&*error, self.claimed_sha256)),
                None => self.body = None,
            }
        }
        Ok(true)
    }
}
