//! The bytes of one request on their way: either held in pooled slices, or read again from the source
//! while they are sent.
//!
//! A checksum in a signed *header* must be known before the first byte leaves. A part that fits the memory
//! budget is therefore read once, hashed, held and sent. A part that does not (5 GiB parts of a 48.8 TiB
//! object) is read twice – once to hash, once to send – in bounded memory; the bytes of the second reading
//! are what the store checks against the checksum of the first, so a change in between cannot pass.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use haul_parts::{Checksum, ChecksumAlgorithm, MultiHasher};
use http_body::{Body, Frame, SizeHint};
use tokio::task::JoinHandle;

use crate::body::{BufferPool, Meter, Permit, SLICE_BYTES};
use crate::source::Source;

/// Bytes to send, cheap to clone, sendable any number of times.
#[derive(Clone)]
pub struct Payload {
    size_bytes: u64,
    origin: Origin,
}

#[derive(Clone)]
enum Origin {
    Held(Arc<Held>),
    Reread(Arc<Reread>),
}

struct Held {
    slices: Vec<Bytes>,
    /// Given back when the last request that sends these slices has ended.
    _permit: Option<Permit>,
}

struct Reread {
    source: Arc<dyn Source>,
    pool: BufferPool,
    offset_bytes: u64,
    _permit: Permit,
}

/// What is to be read: a range of a source.
#[derive(Clone)]
pub struct Range {
    /// Where from.
    pub source: Arc<dyn Source>,
    /// First byte.
    pub offset_bytes: u64,
    /// How many.
    pub size_bytes: u64,
}

impl Payload {
    /// Bytes already in memory, under no budget.
    pub fn from_bytes(bytes: Bytes) -> Self {
        let size_bytes = bytes.len() as u64;
        let slices = if bytes.is_empty() { vec![] } else { vec![bytes] };
        Self { size_bytes, origin: Origin::Held(Arc::new(Held { slices, _permit: None })) }
    }

    /// Reads a range under a permit of the pool and hashes it in the same pass. Blocking threads do the
    /// work. The digests come in the order of `algorithms`.
    ///
    /// # Errors
    /// As [`Source::read_exact_at`].
    pub async fn read(
        range: Range,
        pool: &BufferPool,
        algorithms: &[ChecksumAlgorithm],
    ) -> io::Result<(Self, Vec<Checksum>)> {
        if range.size_bytes <= pool.budget_bytes() / HELD_PARTS_MIN {
            let permit = pool.permit(range.size_bytes).await;
            let (pool, algorithms) = (pool.clone(), algorithms.to_vec());
            return blocking(move || hold(&range, &pool, &algorithms, permit)).await;
        }
        let permit = pool.permit(REREAD_SLICES * SLICE_BYTES as u64).await;
        let (pool, algorithms) = (pool.clone(), algorithms.to_vec());
        blocking(move || {
            let digests = hash(&range, &pool, &algorithms)?;
            let Range { source, offset_bytes, size_bytes } = range;
            let origin = Origin::Reread(Arc::new(Reread { source, pool, offset_bytes, _permit: permit }));
            Ok((Self { size_bytes, origin }, digests))
        })
        .await
    }

    /// Digests of the bytes, from memory or by reading them again.
    ///
    /// # Errors
    /// As [`Source::read_exact_at`].
    pub async fn digest(&self, algorithm: ChecksumAlgorithm) -> io::Result<Checksum> {
        let this = self.clone();
        blocking(move || {
            let mut digests = match &this.origin {
                Origin::Held(held) => {
                    let mut hasher = MultiHasher::new([algorithm]);
                    held.slices.iter().for_each(|slice| hasher.update(slice));
                    hasher.finish()
                }
                Origin::Reread(reread) => hash(&this.range(reread), &reread.pool, &[algorithm])?,
            };
            Ok(digests.remove(0))
        })
        .await
    }

    /// How many bytes.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// The bytes from the beginning, as an HTTP body.
    pub fn body(&self) -> PayloadBody {
        self.counted_body(Meter::default())
    }

    /// As [`Payload::body`], telling `wire` of every byte that leaves.
    pub fn counted_body(&self, wire: Meter) -> PayloadBody {
        PayloadBody { payload: self.clone(), sent_bytes: 0, next_slice: 0, reading: None, wire }
    }

    fn range(&self, reread: &Reread) -> Range {
        Range {
            source: Arc::clone(&reread.source),
            offset_bytes: reread.offset_bytes,
            size_bytes: self.size_bytes,
        }
    }
}

/// A part is held in memory if at least this many of its size fit the budget: fewer in flight would starve
/// the connections.
const HELD_PARTS_MIN: u64 = 4;

/// Slices that one part in flight needs when it is read again while it is sent.
const REREAD_SLICES: u64 = 2;

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(io::Error::other(error)),
    }
}

/// Digests of a range of a source, nothing held.
///
/// # Errors
/// As [`Source::read_exact_at`].
pub async fn digest(
    range: Range,
    pool: &BufferPool,
    algorithms: &[ChecksumAlgorithm],
) -> io::Result<Vec<Checksum>> {
    let permit = pool.permit(REREAD_SLICES * SLICE_BYTES as u64).await;
    let (pool, algorithms) = (pool.clone(), algorithms.to_vec());
    blocking(move || {
        let digests = hash(&range, &pool, &algorithms);
        drop(permit);
        digests
    })
    .await
}

fn hold(
    range: &Range,
    pool: &BufferPool,
    algorithms: &[ChecksumAlgorithm],
    permit: Permit,
) -> io::Result<(Payload, Vec<Checksum>)> {
    let mut hasher = MultiHasher::new(algorithms.iter().copied());
    let mut slices = Vec::new();
    each_slice(range, pool, |slice| {
        hasher.update(&slice);
        slices.push(slice);
    })?;
    let held = Held { slices, _permit: Some(permit) };
    Ok((Payload { size_bytes: range.size_bytes, origin: Origin::Held(Arc::new(held)) }, hasher.finish()))
}

fn hash(range: &Range, pool: &BufferPool, algorithms: &[ChecksumAlgorithm]) -> io::Result<Vec<Checksum>> {
    let mut hasher = MultiHasher::new(algorithms.iter().copied());
    each_slice(range, pool, |slice| hasher.update(&slice))?;
    Ok(hasher.finish())
}

fn each_slice(range: &Range, pool: &BufferPool, mut take: impl FnMut(Bytes)) -> io::Result<()> {
    let mut done_bytes = 0;
    while done_bytes < range.size_bytes {
        let slice = read_slice(range, pool, done_bytes)?;
        done_bytes += slice.len() as u64;
        take(slice);
    }
    Ok(())
}

fn read_slice(range: &Range, pool: &BufferPool, done_bytes: u64) -> io::Result<Bytes> {
    let left = usize::try_from(range.size_bytes - done_bytes).unwrap_or(usize::MAX).min(SLICE_BYTES);
    let mut buffer = pool.buffer();
    range.source.read_exact_at(range.offset_bytes + done_bytes, &mut buffer.space()[..left])?;
    Ok(buffer.freeze(left))
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Payload").field("size_bytes", &self.size_bytes).finish_non_exhaustive()
    }
}

/// A [`Payload`] while it is sent; an [`http_body::Body`] of exactly `size_bytes`.
pub struct PayloadBody {
    payload: Payload,
    sent_bytes: u64,
    next_slice: usize,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
    wire: Meter,
}

impl Body for PayloadBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = &mut *self;
        if this.sent_bytes >= this.payload.size_bytes {
            return Poll::Ready(None);
        }
        let slice = match &this.payload.origin {
            Origin::Held(held) => {
                let slice = held.slices[this.next_slice].clone();
                this.next_slice += 1;
                slice
            }
            Origin::Reread(reread) => {
                let reading = this.reading.get_or_insert_with(|| {
                    let (reread, range) = (Arc::clone(reread), this.payload.range(reread));
                    let done_bytes = this.sent_bytes;
                    tokio::task::spawn_blocking(move || read_slice(&range, &reread.pool, done_bytes))
                });
                let read = ready!(Pin::new(reading).poll(context));
                this.reading = None;
                read.map_err(io::Error::other)??
            }
        };
        if !this.wire.add(slice.len() as u64) {
            return Poll::Ready(Some(Err(io::Error::other("the request was stopped"))));
        }
        this.sent_bytes += slice.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(slice))))
    }

    fn is_end_stream(&self) -> bool {
        self.sent_bytes >= self.payload.size_bytes
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.payload.size_bytes - self.sent_bytes)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;
    use crate::source::BytesSource;

    fn range(size: usize) -> (Vec<u8>, Range) {
        let bytes: Vec<u8> = (0..size).map(|index| (index * 31 % 251).to_le_bytes()[0]).collect();
        let source = Arc::new(BytesSource::new(bytes.clone()));
        let from = 7.min(size);
        (
            bytes[from..].to_vec(),
            Range { source, offset_bytes: from as u64, size_bytes: (size - from) as u64 },
        )
    }

    #[tokio::test]
    async fn held_and_reread_payloads_send_the_same_bytes_with_the_same_digests() {
        let (expected, range) = range(3 * SLICE_BYTES + 4321);
        let algorithms = [ChecksumAlgorithm::Crc64Nvme, ChecksumAlgorithm::Md5];
        let large = BufferPool::new(64 * SLICE_BYTES as u64);
        let small = BufferPool::new(2 * SLICE_BYTES as u64);
        let (held, of_held) = Payload::read(range.clone(), &large, &algorithms).await.unwrap();
        let (reread, of_reread) = Payload::read(range, &small, &algorithms).await.unwrap();
        assert!(matches!(held.origin, Origin::Held(_)) && matches!(reread.origin, Origin::Reread(_)));
        assert_eq!(of_held, of_reread);
        for payload in [&held, &reread] {
            assert_eq!(payload.body().size_hint().exact(), Some(expected.len() as u64));
            // Twice: a second attempt sends from the beginning.
            for _ in 0..2 {
                assert_eq!(payload.body().collect().await.unwrap().to_bytes(), expected);
            }
            assert_eq!(payload.digest(ChecksumAlgorithm::Md5).await.unwrap(), of_held[1]);
        }
    }

    #[tokio::test]
    async fn a_truncated_source_is_an_error_and_not_a_short_body() {
        let (_, mut range) = range(1000);
        range.size_bytes += 1;
        let pool = BufferPool::new(64 * SLICE_BYTES as u64);
        let error = Payload::read(range, &pool, &[]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
