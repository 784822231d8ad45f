//! The bytes of one request, sent in one of three ways.
//!
//! *Held*: a checksum in a signed *header* must be known before the first byte leaves, so a part
//! that fits the memory budget is read once, hashed, held and sent. *Twice*: a part that does not
//! fit (5 GiB parts of a 48.8 TiB object) is read once to hash and a second time to send, in
//! bounded memory; the store checks the bytes of the second reading against the checksum of the
//! first, so it detects a change in between. *Streamed*: if the store verifies a checksum in the
//! trailer, each slice is hashed while it is hot and sent at once ([`super::stream`]).

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use haul_parts::{Checksum, ChecksumAlgorithm, MultiHasher};
use http_body::{Body, Frame, SizeHint};

use super::buffer::PooledSlice;
use super::meter::Meter;
use super::own_time::{OwnTime, WaitClock};
use super::pool::{BufferPool, Permit};
use super::range::{Range, SliceReader};
use super::stream::{Streamed, Streaming};

/// Bytes to send, cheap to clone, sendable any number of times.
#[derive(Clone)]
pub struct Payload {
    size_bytes: u64,
    origin: PayloadOrigin,
}

#[derive(Clone)]
enum PayloadOrigin {
    Held(Arc<Held>),
    Reread(Arc<Reread>),
    Streamed(Arc<Streamed>),
}

struct Held {
    slices: Vec<Bytes>,
    /// Released when the last request with these slices has ended.
    _permit: Option<Permit>,
}

struct Reread {
    range: Range,
    pool: BufferPool,
    _permit: Permit,
}

impl Payload {
    /// Creates a payload from bytes in memory, outside of any budget.
    pub fn from_bytes(bytes: Bytes) -> Self {
        let size_bytes = bytes.len() as u64;
        let slices = if bytes.is_empty() { vec![] } else { vec![bytes] };
        Self { size_bytes, origin: PayloadOrigin::Held(Arc::new(Held { slices, _permit: None })) }
    }

    /// Creates a payload from filled slices of the pool. The permit is released with the last
    /// request that sends them.
    pub(crate) fn held(slices: Vec<Bytes>, permit: Permit) -> Self {
        let size_bytes = slices.iter().map(|slice| slice.len() as u64).sum();
        Self {
            size_bytes,
            origin: PayloadOrigin::Held(Arc::new(Held { slices, _permit: Some(permit) })),
        }
    }

    /// Copies bytes that are held in memory, from `offset_bytes` on.
    ///
    /// # Errors
    /// `UnexpectedEof` if there are fewer bytes, or they are not held.
    pub(crate) fn copy_held(&self, mut offset_bytes: u64, mut space: &mut [u8]) -> io::Result<()> {
        let PayloadOrigin::Held(held) = &self.origin else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        for slice in &held.slices {
            let skipped = usize::try_from(offset_bytes).unwrap_or(usize::MAX).min(slice.len());
            offset_bytes -= skipped as u64;
            let count = (slice.len() - skipped).min(space.len());
            let (now, rest) = space.split_at_mut(count);
            now.copy_from_slice(&slice[skipped..skipped + count]);
            space = rest;
        }
        if space.is_empty() { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    /// Reads a range under a permit of the pool and hashes it in the same pass, on blocking
    /// threads. The digests have the order of `algorithms`.
    ///
    /// # Errors
    /// As [`Source::read_exact_at`](crate::source::Source::read_exact_at).
    pub async fn read(
        range: Range,
        pool: &BufferPool,
        algorithms: &[ChecksumAlgorithm],
    ) -> io::Result<(Self, Vec<Checksum>)> {
        if range.size_bytes <= pool.budget_bytes() / HELD_PARTS_MIN {
            let permit = pool.permit(range.size_bytes).await;
            if range.size_bytes <= AT_ONCE_BYTES_MAX && range.source.is_in_memory() {
                return hold(&range, pool, algorithms, permit);
            }
            let (pool, algorithms) = (pool.clone(), algorithms.to_vec());
            return blocking(move || hold(&range, &pool, &algorithms, permit)).await;
        }
        let permit = pool.reader_permit().await;
        let (pool, algorithms) = (pool.clone(), algorithms.to_vec());
        blocking(move || {
            let digests = hash(&range, &pool, &algorithms)?;
            let size_bytes = range.size_bytes;
            let origin = PayloadOrigin::Reread(Arc::new(Reread { range, pool, _permit: permit }));
            Ok((Self { size_bytes, origin }, digests))
        })
        .await
    }

    /// Creates a payload that is read and hashed while it is sent, with the checksum in a trailer.
    /// It needs a few slices of the pool, whatever its size. Its body fails if the range cannot be
    /// read or the source changed meanwhile.
    pub async fn streamed(range: Range, pool: &BufferPool, algorithm: ChecksumAlgorithm) -> Self {
        let permit = pool.reader_permit().await;
        let (size_bytes, pool, sent) = (range.size_bytes, pool.clone(), Mutex::default());
        let streamed = Streamed { range, pool, algorithm, sent, _permit: permit };
        Self { size_bytes, origin: PayloadOrigin::Streamed(Arc::new(streamed)) }
    }

    /// Returns the algorithm of the checksum in the trailer, if there is one.
    pub fn trailer(&self) -> Option<ChecksumAlgorithm> {
        match &self.origin {
            PayloadOrigin::Streamed(streamed) => Some(streamed.algorithm),
            _ => None,
        }
    }

    /// Returns the checksum that the last body sent in its trailer; `None` before that.
    pub fn sent_checksum(&self) -> Option<Checksum> {
        match &self.origin {
            PayloadOrigin::Streamed(streamed) => streamed.sent_checksum(),
            _ => None,
        }
    }

    /// Hashes the bytes, from memory or by reading them again.
    ///
    /// # Errors
    /// As [`Source::read_exact_at`](crate::source::Source::read_exact_at).
    pub async fn digest(&self, algorithm: ChecksumAlgorithm) -> io::Result<Checksum> {
        let this = self.clone();
        blocking(move || {
            let mut digests = match &this.origin {
                PayloadOrigin::Held(held) => {
                    let mut hasher = MultiHasher::new([algorithm]);
                    held.slices.iter().for_each(|slice| hasher.update(slice));
                    hasher.finish()
                }
                PayloadOrigin::Reread(reread) => hash(&reread.range, &reread.pool, &[algorithm])?,
                PayloadOrigin::Streamed(streamed) => {
                    hash(&streamed.range, &streamed.pool, &[algorithm])?
                }
            };
            Ok(digests.remove(0))
        })
        .await
    }

    /// Returns the number of bytes.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Returns the number of bytes in their body: more than [`Payload::size_bytes`] with a trailer.
    pub fn wire_bytes(&self) -> u64 {
        match &self.origin {
            PayloadOrigin::Streamed(streamed) => streamed.wire_bytes(),
            _ => self.size_bytes,
        }
    }

    /// Returns the bytes from the beginning as an HTTP body.
    pub fn body(&self) -> PayloadBody {
        self.counted_body(Meter::default())
    }

    /// Returns [`Payload::body`] with every byte of the payload counted in `wire` as it leaves.
    pub fn counted_body(&self, wire: Meter) -> PayloadBody {
        let sending = match &self.origin {
            PayloadOrigin::Held(held) => Sending::Held { held: Arc::clone(held), next_slice: 0 },
            PayloadOrigin::Reread(reread) => Sending::Reread {
                reader: SliceReader::new(reread.range.clone(), reread.pool.clone()),
                _reread: Arc::clone(reread),
            },
            PayloadOrigin::Streamed(streamed) => Sending::Streamed {
                streaming: Streaming::new(streamed),
                streamed: Arc::clone(streamed),
            },
        };
        PayloadBody { left_bytes: self.wire_bytes(), sending, wire, slowed: None, clock: None }
    }
}

/// Bytes in memory of at most this length are hashed inside the task: a thread that is woken for
/// them costs more.
const AT_ONCE_BYTES_MAX: u64 = 64 * 1024;

/// A part is held in memory if at least this many of its size fit the budget: fewer in flight would
/// starve the connections.
pub(crate) const HELD_PARTS_MIN: u64 = 4;

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(io::Error::other(error)),
    }
}

/// Hashes a range of a source without holding it.
///
/// # Errors
/// As [`Source::read_exact_at`](crate::source::Source::read_exact_at).
pub async fn digest(
    range: Range,
    pool: &BufferPool,
    algorithms: &[ChecksumAlgorithm],
) -> io::Result<Vec<Checksum>> {
    let permit = pool.reader_permit().await;
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
    Ok((
        Payload { size_bytes: range.size_bytes, origin: PayloadOrigin::Held(Arc::new(held)) },
        hasher.finish(),
    ))
}

fn hash(
    range: &Range,
    pool: &BufferPool,
    algorithms: &[ChecksumAlgorithm],
) -> io::Result<Vec<Checksum>> {
    let mut hasher = MultiHasher::new(algorithms.iter().copied());
    each_slice(range, pool, |slice| hasher.update(&slice))?;
    Ok(hasher.finish())
}

fn each_slice(range: &Range, pool: &BufferPool, mut take: impl FnMut(Bytes)) -> io::Result<()> {
    let mut done_bytes = 0;
    while done_bytes < range.size_bytes {
        let slice = range.read_slice(pool, done_bytes)?;
        done_bytes += slice.len() as u64;
        take(slice.freeze());
    }
    Ok(())
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Payload").field("size_bytes", &self.size_bytes).finish_non_exhaustive()
    }
}

/// A [`Payload`] being sent; an [`http_body::Body`] of exactly [`Payload::wire_bytes`].
pub struct PayloadBody {
    left_bytes: u64,
    sending: Sending,
    wire: Meter,
    slowed: Option<Slowed>,
    /// Measures the waits of this body, if its connection wants to know them.
    clock: Option<WaitClock>,
}

type Wait = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The state of a body that leaves piece by piece, because the bandwidth is limited.
struct Slowed {
    bytes: Bytes,
    /// Whether the bytes belong to the payload; false for framing.
    of_payload: bool,
    /// The wait for the next piece, and its size.
    waiting: Option<(Wait, usize)>,
}

enum Sending {
    Held { held: Arc<Held>, next_slice: usize },
    Reread { reader: SliceReader, _reread: Arc<Reread> },
    Streamed { streaming: Streaming, streamed: Arc<Streamed> },
}

/// Some bytes of a body.
#[derive(Debug)]
pub enum Piece {
    /// Shared bytes, or framing.
    Bytes(Bytes),
    /// A slice that only this body holds.
    Slice(PooledSlice),
}

/// The reason why a body ended early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// The source cannot be read, or has changed.
    #[error("the bytes to send cannot be read")]
    Source(#[source] io::Error),
    /// The request was stopped.
    #[error("the request was stopped")]
    Stopped,
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.remaining(),
            Self::Slice(slice) => slice.remaining(),
        }
    }

    fn chunk(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes.chunk(),
            Self::Slice(slice) => slice.chunk(),
        }
    }

    fn advance(&mut self, count: usize) {
        match self {
            Self::Bytes(bytes) => bytes.advance(count),
            Self::Slice(slice) => slice.advance(count),
        }
    }
}

impl Sending {
    /// Returns the next piece, and how many of its bytes belong to the payload.
    fn poll_piece(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<(Piece, u64)>, BodyError>> {
        let piece = match self {
            Self::Held { held, next_slice } => {
                let slice = held.slices.get(*next_slice).cloned();
                *next_slice += 1;
                return Poll::Ready(Ok(slice.map(|slice| {
                    let size_bytes = slice.len() as u64;
                    (Piece::Bytes(slice), size_bytes)
                })));
            }
            Self::Reread { reader, .. } => {
                ready!(reader.poll_next(context)).map_err(BodyError::Source)?.map(Piece::Slice)
            }
            Self::Streamed { streaming, streamed } => {
                ready!(streaming.poll_piece(streamed, context))?
            }
        };
        Poll::Ready(Ok(piece.map(|piece| match piece {
            Piece::Bytes(framing) => (Piece::Bytes(framing), 0),
            Piece::Slice(slice) => {
                let size_bytes = slice.len() as u64;
                (Piece::Slice(slice), size_bytes)
            }
        })))
    }
}

impl PayloadBody {
    /// Starts to measure the time for which this body keeps its connection waiting.
    pub(crate) fn timed(&mut self) -> OwnTime {
        let time = OwnTime::default();
        self.clock = Some(WaitClock::new(time.clone()));
        time
    }

    /// Returns the next piece, and how many of its bytes belong to the payload, no earlier than the
    /// bandwidth allows.
    fn poll_paced(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<(Piece, u64)>, BodyError>> {
        if self.slowed.is_none() {
            let next = ready!(self.sending.poll_piece(context))?;
            let Some((piece, payload_bytes)) = next else { return Poll::Ready(Ok(None)) };
            if self.wire.bandwidth().bytes_per_s().is_none() {
                return Poll::Ready(Ok(Some((piece, payload_bytes))));
            }
            let bytes = match piece {
                Piece::Bytes(bytes) => bytes,
                Piece::Slice(slice) => slice.freeze(),
            };
            self.slowed = Some(Slowed { bytes, of_payload: payload_bytes > 0, waiting: None });
        }
        let Some(slowed) = &mut self.slowed else { return Poll::Ready(Ok(None)) };
        let bandwidth = self.wire.bandwidth();
        let (waiting, size) = slowed.waiting.get_or_insert_with(|| {
            let most = bandwidth.piece_max_bytes().and_then(|most| usize::try_from(most).ok());
            let size = slowed.bytes.len().min(most.unwrap_or(usize::MAX));
            let bandwidth = bandwidth.clone();
            let wait: Wait = Box::pin(async move { bandwidth.take(size as u64).await });
            (wait, size)
        });
        ready!(waiting.as_mut().poll(context));
        let size = *size;
        slowed.waiting = None;
        let now = slowed.bytes.split_to(size);
        let payload_bytes = if slowed.of_payload { now.len() as u64 } else { 0 };
        if slowed.bytes.is_empty() {
            self.slowed = None;
        }
        Poll::Ready(Ok(Some((Piece::Bytes(now), payload_bytes))))
    }
}

impl Body for PayloadBody {
    type Data = Piece;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, BodyError>>> {
        let this = &mut *self;
        let Poll::Ready(paced) = this.poll_paced(context) else {
            this.clock.iter_mut().for_each(WaitClock::waits);
            return Poll::Pending;
        };
        this.clock.iter_mut().for_each(WaitClock::is_ready);
        let (piece, payload_bytes) = match paced {
            Ok(Some(piece)) => piece,
            Ok(None) => return Poll::Ready(None),
            Err(error) => return Poll::Ready(Some(Err(error))),
        };
        if !this.wire.add(payload_bytes) {
            return Poll::Ready(Some(Err(BodyError::Stopped)));
        }
        this.left_bytes = this.left_bytes.saturating_sub(piece.remaining() as u64);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left_bytes == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left_bytes)
    }
}

#[cfg(test)]
mod tests;
