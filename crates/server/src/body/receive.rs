//! Streams a body from the socket to the store, without ever holding it as a whole.
//!
//! Pieces are gathered into blocks as they arrive ([`gather`](super::gather)), and a blocking
//! thread writes and hashes each large block while the next one is gathered: a request holds at
//! most two blocks, with room for each. A thread is busy only while there is something to write, so
//! slow senders cannot occupy all threads.
//!
//! Gathering copies the bytes, which costs a tenth of what it saves: whole blocks are written to
//! disk without another copy, bypassing the page cache.

use bytes::Bytes;
use haul_parts::{Checksum, ChecksumAlgorithm};
use haul_store::{DiskStore, PartWriter, SMALL_BLOCK_BYTES, StagedPart, WriteOptions};
use http::HeaderMap;
use s3s::dto::StreamingBlob;
use s3s::{S3ErrorCode, TrailingHeaders};
use tokio::task::JoinHandle;

use crate::answer::refusal::Refusal;
use crate::answer::store_refusals::bad_digest;
use crate::auth::requester::Requester;
use crate::body::gather::{BlockRoom, Gathered, Gathering, Source};
use crate::body::integrity::Integrity;
use crate::body::payload_hash;
use crate::store_call::store_call;

/// The maximum bytes of one request: a part or an object of one PutObject.
const BODY_MAX_BYTES: u64 = haul_parts::limits::PART_SIZE_MAX_BYTES;

/// An incoming body with the values that its request declared.
pub(crate) struct Arriving<'a> {
    pub(crate) body: Option<StreamingBlob>,
    /// The requester that is charged for the memory.
    pub(crate) requester: Option<&'a Requester>,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) integrity: &'a Integrity,
    pub(crate) trailers: Option<&'a TrailingHeaders>,
    /// The checksums to compute, including the claimed one.
    pub(crate) checksums: Vec<ChecksumAlgorithm>,
}

/// Bytes on disk that match all values that the request declared.
pub(crate) struct Received {
    pub(crate) staged: StagedPart,
    pub(crate) checksum: Option<Checksum>,
}

/// Streams a body into the store and checks it against all declared values.
///
/// # Errors
/// Fails if a declared value does not match; no bytes of the body are kept then.
pub(crate) async fn receive(
    store: &DiskStore,
    blocks: &BlockRoom,
    arriving: Arriving<'_>,
) -> Result<Received, Refusal> {
    let declared = declared_length(arriving.headers)?;
    let options = WriteOptions { size_hint_bytes: Some(declared), checksums: arriving.checksums };
    let source = Source {
        body: arriving.body,
        length_bytes: declared,
        claimed_sha256: payload_hash::claimed(arriving.headers),
    };
    let access_key_id = arriving.requester.map(Requester::access_key_id).unwrap_or_default();
    let mut gathering = Gathering::new(source, blocks.clone(), access_key_id);
    let begun = store.clone();
    // A body that does not fill a small block arrives as one block. Handing work to a thread costs
    // as much as writing such a body, so that is done once.
    let (checksum, staged) = if declared < SMALL_BLOCK_BYTES as u64 {
        let mut bytes = Bytes::new();
        while let Some(block) = gathering.next().await? {
            bytes = block.bytes;
        }
        let checksum = arriving.integrity.checksum(arriving.trailers)?;
        (checksum, store_call(move || write_short(&begun, options, &bytes)).await?)
    } else {
        let writer = store_call(move || begun.begin_part(options)).await?;
        let writer = write_all(gathering, writer).await?;
        let checksum = arriving.integrity.checksum(arriving.trailers)?;
        (checksum, store_call(move || writer.finish()).await?)
    };
    for claimed in [arriving.integrity.content_md5, checksum].into_iter().flatten() {
        match staged.checksum(claimed.algorithm()) {
            Some(computed) if computed == claimed => {}
            Some(computed) => return Err(bad_digest(&claimed, &computed)),
            None => return Err(Refusal::new(S3ErrorCode::InternalError)),
        }
    }
    Ok(Received { staged, checksum })
}

fn write_short(
    store: &DiskStore,
    options: WriteOptions,
    bytes: &[u8],
) -> haul_store::Result<StagedPart> {
    let mut writer = store.begin_part(options)?;
    writer.write(bytes)?;
    writer.finish()
}

async fn write_all(mut blocks: Gathering, writer: PartWriter) -> Result<PartWriter, Refusal> {
    let mut writing = Writing::Idle(writer);
    while let Some(block) = blocks.next().await? {
        let is_small = block.room.is_none();
        writing = Writing::start(writing.finish().await?, block);
        if is_small {
            // Write one block at a time, which is all that the request may hold.
            writing = Writing::Idle(writing.finish().await?);
        }
    }
    writing.finish().await
}

/// The writer of one body: idle, or in use on a blocking thread.
#[allow(clippy::large_enum_variant, reason = "one per body, and it moves by block")]
enum Writing {
    Idle(PartWriter),
    Busy(JoinHandle<haul_store::Result<PartWriter>>),
}

impl Writing {
    fn start(mut writer: PartWriter, block: Gathered) -> Self {
        Self::Busy(tokio::task::spawn_blocking(move || {
            let Gathered { bytes, room } = block;
            match room {
                // The store may keep the block for a while (within its own limit), to hash it
                // together with those of other parts.
                Some(_room) => writer.write_block(bytes)?,
                None => writer.write(&bytes)?,
            }
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

pub(super) fn wrong_length() -> Refusal {
    Refusal::new(S3ErrorCode::IncompleteBody)
}

/// Returns the length of the object or part, from the headers.
fn declared_length(headers: &HeaderMap) -> Result<u64, Refusal> {
    let value = headers
        .get("x-amz-decoded-content-length")
        .or_else(|| headers.get(http::header::CONTENT_LENGTH))
        .ok_or_else(|| Refusal::new(S3ErrorCode::MissingContentLength))?;
    let length = value.to_str().ok().and_then(|text| text.parse::<u64>().ok());
    let length =
        length.ok_or_else(|| Refusal::invalid_request("The Content-Length is not a number."))?;
    if length > BODY_MAX_BYTES {
        return Err(Refusal::new(S3ErrorCode::EntityTooLarge)
            .field("ProposedSize", length.to_string())
            .field("MaxSizeAllowed", BODY_MAX_BYTES.to_string()));
    }
    Ok(length)
}

/// Returns why a body broke off, as far as `s3s` reports it: its stream errors have no public
/// types, only names in their text. (The front responds to bodies that
/// [`RequestBody`](crate::body::request_body::RequestBody) broke off itself.)
pub(super) fn broken(
    error: &(dyn std::error::Error + 'static),
    claimed_sha256: Option<Checksum>,
) -> Refusal {
    let text = error.to_string();
    tracing::debug!(%text, "the body broke off");
    if text.contains("Sha256Mismatch") {
        return payload_hash::mismatch_of(claimed_sha256);
    }
    if text.contains("SignatureMismatch") {
        return Refusal::new(S3ErrorCode::SignatureDoesNotMatch);
    }
    if text.contains("FormatError") || text.contains("TooLarge") || text.contains("TooMany") {
        return Refusal::invalid_request(
            "The body of your request is not well-formed aws-chunked data.",
        );
    }
    wrong_length()
}
