//! Brings a body from the socket to the store, without ever holding it.
//!
//! Pieces are gathered into blocks as they come, and each block is written and hashed on a blocking thread while the next
//! is gathered: two blocks per request are the most that is held, and a permit is taken for each. A thread is busy only
//! while there is something to write, so slow senders cannot use them up. What stands in front holds a signed chunk whole
//! besides, and there has to be room for one before the first byte is asked for.
//!
//! Gathering copies. It costs a tenth of what it saves: the disk takes whole blocks as they are, past the page cache.

use bytes::Bytes;
use futures_util::StreamExt;
use haul_parts::{Checksum, ChecksumAlgorithm};
use haul_store::{BlockPool, PartWriter, StagedPart, WriteOptions};
use http::HeaderMap;
use s3s::dto::StreamingBlob;
use s3s::{S3ErrorCode, TrailingHeaders};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinHandle;

use crate::answer::refusal::Refusal;
use crate::answer::store_refusals::bad_digest;
use crate::body::aws_chunked::Chunks;
use crate::body::integrity::Integrity;
use crate::body::payload_hash;
use crate::endpoint::{Endpoint, blocking};

/// The most that one request may bring: a part or an object of one PutObject.
const BODY_MAX_BYTES: u64 = haul_parts::limits::PART_SIZE_MAX_BYTES;

/// A body and what was said about it.
pub(crate) struct Arriving<'a> {
    pub(crate) body: Option<StreamingBlob>,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) integrity: &'a Integrity,
    pub(crate) trailers: Option<&'a TrailingHeaders>,
    /// What to compute, the claimed algorithm among it.
    pub(crate) checksums: Vec<ChecksumAlgorithm>,
}

/// Bytes on disk that are what their sender said.
pub(crate) struct Received {
    pub(crate) staged: StagedPart,
    pub(crate) checksum: Option<Checksum>,
}

impl Endpoint {
    /// Takes a body and proves it.
    ///
    /// # Errors
    /// Everything that can be wrong with a body; nothing of it is left then.
    pub(crate) async fn receive(&self, arriving: Arriving<'_>) -> Result<Received, Refusal> {
        let declared = declared_length(arriving.headers)?;
        let options = WriteOptions { size_hint_bytes: Some(declared), checksums: arriving.checksums };
        let writer = self.on_store(move |store| store.begin_part(options)).await?;
        // Before any block, and until the end: see `Room`.
        let _room = match Chunks::of(arriving.headers, self.signed_chunk_bytes) {
            Some(Chunks::Signed { limit_bytes }) => Some(self.chunk_room.clone().take(limit_bytes).await),
            _ => None,
        };
        let blocks = Blocks {
            body: arriving.body,
            piece: Bytes::new(),
            left: declared,
            claimed_sha256: payload_hash::claimed(arriving.headers),
            pool: self.pool.clone(),
        };
        let writer = self.write_all(blocks, writer).await?;
        let checksum = arriving.integrity.checksum(arriving.trailers)?;
        let staged = blocking(move || writer.finish()).await?;
        for claimed in [arriving.integrity.content_md5, checksum].into_iter().flatten() {
            match staged.checksum(claimed.algorithm()) {
                Some(computed) if computed == claimed => {}
                Some(computed) => return Err(bad_digest(&claimed, &computed)),
                None => return Err(Refusal::new(S3ErrorCode::InternalError)),
            }
        }
        Ok(Received { staged, checksum })
    }

    async fn write_all(&self, mut blocks: Blocks, writer: PartWriter) -> Result<PartWriter, Refusal> {
        let mut writing = Writing::Idle(writer);
        while blocks.has_more() {
            let permit = std::sync::Arc::clone(&self.blocks)
                .acquire_owned()
                .await
                .expect("the semaphore is never closed");
            let Some(block) = blocks.next().await? else { break };
            writing = Writing::start(writing.finish().await?, block, permit);
        }
        blocks.expect_end()?;
        writing.finish().await
    }
}

/// The writer, here or away on a blocking thread.
enum Writing {
    Idle(PartWriter),
    Busy(JoinHandle<haul_store::Result<PartWriter>>),
}

impl Writing {
    fn start(mut writer: PartWriter, block: Bytes, permit: OwnedSemaphorePermit) -> Self {
        Self::Busy(tokio::task::spawn_blocking(move || {
            // The store holds it a while (within a limit of its own) to hash it with those of other parts.
            writer.write_block(block)?;
            drop(permit);
            Ok(writer)
        }))
    }

    async fn finish(self) -> Result<PartWriter, Refusal> {
        match self {
            Self::Idle(writer) => Ok(writer),
            Self::Busy(handle) => match handle.await {
                Ok(written) => written.map_err(|error| Refusal::from_store(&error)),
                Err(error) => Err(Refusal::internal("writing a block did not finish", &error)),
            },
        }
    }
}

/// Gathers pieces into blocks and counts them against the declared length.
struct Blocks {
    body: Option<StreamingBlob>,
    /// What did not fit into the last block.
    piece: Bytes,
    left: u64,
    /// What the client says the bytes come to; `s3s` compares it.
    claimed_sha256: Option<Checksum>,
    pool: BlockPool,
}

impl Blocks {
    fn has_more(&self) -> bool {
        self.body.is_some() || !self.piece.is_empty()
    }

    /// The next block; none at the end.
    async fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        let mut block = self.pool.take();
        block.fill(&mut self.piece);
        while !block.is_full() {
            let Some(body) = self.body.as_mut() else { break };
            match body.next().await {
                Some(Ok(piece)) => {
                    self.left = self.left.checked_sub(piece.len() as u64).ok_or_else(wrong_length)?;
                    self.piece = piece;
                    block.fill(&mut self.piece);
                }
                Some(Err(error)) => return Err(broken(&*error, self.claimed_sha256)),
                // Read to the very end even when all bytes are here: signatures and trailers come last.
                None => self.body = None,
            }
        }
        Ok((!block.is_empty()).then(|| block.freeze()))
    }

    fn expect_end(&self) -> Result<(), Refusal> {
        if self.left == 0 { Ok(()) } else { Err(wrong_length()) }
    }
}

fn wrong_length() -> Refusal {
    Refusal::new(S3ErrorCode::IncompleteBody)
}

/// How many bytes the object or part will have, by its headers.
fn declared_length(headers: &HeaderMap) -> Result<u64, Refusal> {
    let value = headers
        .get("x-amz-decoded-content-length")
        .or_else(|| headers.get(http::header::CONTENT_LENGTH))
        .ok_or_else(|| Refusal::new(S3ErrorCode::MissingContentLength))?;
    let length = value.to_str().ok().and_then(|text| text.parse::<u64>().ok());
    let length = length.ok_or_else(|| Refusal::invalid_request("The Content-Length is not a number."))?;
    if length > BODY_MAX_BYTES {
        return Err(Refusal::new(S3ErrorCode::EntityTooLarge)
            .field("ProposedSize", length.to_string())
            .field("MaxSizeAllowed", BODY_MAX_BYTES.to_string()));
    }
    Ok(length)
}

/// What broke off a body, as far as `s3s` says: its stream errors have no public types, only names in their text.
/// (What [`RequestBody`](crate::body::request_body::RequestBody) broke off itself is answered by the front.)
fn broken(error: &(dyn std::error::Error + 'static), claimed_sha256: Option<Checksum>) -> Refusal {
    let text = error.to_string();
    tracing::debug!(%text, "the body broke off");
    if text.contains("Sha256Mismatch") {
        return payload_hash::mismatch_of(claimed_sha256);
    }
    if text.contains("SignatureMismatch") {
        return Refusal::new(S3ErrorCode::SignatureDoesNotMatch);
    }
    if text.contains("FormatError") || text.contains("TooLarge") || text.contains("TooMany") {
        return Refusal::invalid_request("The body of your request is not well-formed aws-chunked data.");
    }
    wrong_length()
}
