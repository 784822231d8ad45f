//! Makes one attempt to fetch one piece of a download: sends a ranged GetObject, writes the bytes
//! to their offset in the file, and hashes them meanwhile.
//!
//! A range at the end of a download that runs much longer than the others did is requested once
//! more on another connection ([`takeover`]).
//!
//! An interrupted attempt keeps the bytes that it has written, and the next attempt continues after
//! them. Between attempts only the position and the unfinished hashes of a piece are kept.

mod takeover;
mod write;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use haul_parts::{Checksum, ChecksumAlgorithm, MultiHasher, PartNumber, PlannedPart};

use self::takeover::{First, Flow, Race, Rival, or_rival};
use self::write::BLOCK_BYTES;
use super::Context;
use super::kept::Kept;
use super::plan::Proof;
use super::target_file::TargetFile;
use super::version::Version;
use crate::body::BufferPool;
use crate::error::Error;
use crate::remote::{ObjectBody, ObjectRef, Operation, Store, StoreError, StoreErrorKind};
use crate::transfer::Progress;
use crate::transfer::hedge::Hedging;

/// The time to wait for the end of a body whose last byte has arrived.
const END_PATIENCE: Duration = Duration::from_secs(1);

/// The state that all pieces of one download share.
pub(super) struct Fetcher {
    store: Arc<dyn Store>,
    object: ObjectRef,
    version: Version,
    /// Whether requests send the version's ETag in `If-Match`.
    names_etag: AtomicBool,
    target: RangeTarget,
    path: PathBuf,
    pool: BufferPool,
    pub(super) progress: Progress,
    pub(super) hedging: Hedging,
    /// The algorithms that are computed for every piece.
    algorithms: Vec<ChecksumAlgorithm>,
    /// Whether the hashes are cheap enough to hash bytes on arrival, while they are in the CPU
    /// cache.
    hashes_at_once: bool,
    /// The state of the pieces that have been started.
    begun: Mutex<HashMap<PartNumber, Begun>>,
}

/// The destination of the bytes of pieces.
pub(super) enum RangeTarget {
    /// Each piece is written to its offset in a file.
    File(Arc<TargetFile>),
    /// The pieces stay in buffers of the pool, for which the caller has a permit.
    Memory,
}

/// The state of a piece between two attempts.
struct Begun {
    /// Bytes written to the destination.
    done_bytes: u64,
    /// Bytes received so far, by all attempts.
    arrived_bytes: u64,
    hasher: MultiHasher,
    /// Bytes that are not written yet; all bytes, if the piece stays in memory.
    kept: Kept,
}

/// A piece that has arrived.
#[derive(Clone, Debug)]
pub(super) struct Fetched {
    pub(super) number: PartNumber,
    pub(super) size_bytes: u64,
    /// The checksums in the order of [`Fetcher::algorithms`].
    pub(super) checksums: Vec<Checksum>,
    /// The bytes of the piece, if they are kept in memory.
    pub(super) kept: Vec<Bytes>,
}

/// The reason why a piece was not fetched.
pub(super) enum FetchFailure {
    /// An error of the store or the connection. `moved`: this attempt received some bytes before.
    Store { error: StoreError, moved: bool },
    /// A permanent error.
    Final(Error),
    /// The store ignores ranges and sends the whole object.
    NoRanges,
}

impl From<Error> for FetchFailure {
    fn from(error: Error) -> Self {
        Self::Final(error)
    }
}

impl Fetcher {
    pub(super) fn new(
        context: &Context,
        version: Version,
        target: RangeTarget,
        proof: Proof,
    ) -> Self {
        let algorithms = proof.algorithms(version.head());
        Self {
            store: Arc::clone(&context.resources.store),
            object: context.object.clone(),
            hashes_at_once: matches!(target, RangeTarget::Memory)
                || algorithms.iter().all(|algorithm| algorithm.combines()),
            algorithms,
            version,
            names_etag: AtomicBool::new(true),
            target,
            path: context.path.clone(),
            pool: context.resources.pool.clone(),
            progress: context.progress.clone(),
            hedging: Hedging::new(&context.resources.gate, context.resources.meter.bandwidth()),
            begun: Mutex::default(),
        }
    }

    /// Makes one attempt.
    pub(super) async fn fetch(&self, piece: PlannedPart) -> Result<Fetched, FetchFailure> {
        let _permit = match self.target {
            // The permit covers the collected block and the block that is being written meanwhile.
            RangeTarget::File(_) => Some(self.pool.permit(2 * BLOCK_BYTES).await),
            RangeTarget::Memory => None,
        };
        let begun = self.begun().remove(&piece.number);
        let is_first = begun.is_none();
        let mut begun = begun.unwrap_or_else(|| Begun {
            done_bytes: 0,
            arrived_bytes: 0,
            hasher: MultiHasher::new(self.algorithms.iter().copied()),
            kept: Kept::default(),
        });
        let before = begun.done_bytes;
        let ended = self.stream(piece, &mut begun, is_first).await;
        let moved = begun.done_bytes > before;
        match ended {
            Ok(()) => Ok(Fetched {
                number: piece.number,
                size_bytes: piece.size_bytes,
                checksums: begun.hasher.finish(),
                kept: begun.kept.finish(),
            }),
            Err(failure) => {
                self.begun().insert(piece.number, begun);
                Err(match failure {
                    FetchFailure::Store { error, .. } => FetchFailure::Store { error, moved },
                    other => other,
                })
            }
        }
    }

    async fn stream(
        &self,
        piece: PlannedPart,
        begun: &mut Begun,
        is_first: bool,
    ) -> Result<(), FetchFailure> {
        let attempt = self.hedging.attempt(piece.size_bytes - begun.done_bytes, is_first);
        let race = Race::from(begun.done_bytes);
        let mut rival = self.rival(piece, &race, &attempt);
        let flow = match rival.against(self.open(piece, begun.done_bytes)).await {
            First::Own(Ok(flow)) => flow,
            First::Rival(flow) => *flow,
            First::Own(Err(failure)) => *or_rival(&mut rival, failure).await?,
        };
        self.take(piece, begun, flow, (&race, &mut rival)).await?;
        // Of two requests, neither tells how long a piece takes.
        if rival.is_unused() {
            attempt.finished();
        }
        Ok(())
    }

    /// Requests a piece from an offset in it on.
    async fn open(&self, piece: PlannedPart, begins_at: u64) -> Result<Flow, FetchFailure> {
        let failed = |error| FetchFailure::Store { error, moved: false };
        let request = self.request(piece, begins_at, piece.size_bytes);
        let body = match self.store.get_object(&self.object, &request).await {
            Ok(body) => body,
            Err(error)
                if error.kind == StoreErrorKind::PreconditionFailed
                    && request.if_match.is_some() =>
            {
                return Err(self.refused_if_match(error).await);
            }
            // The object has no bytes at this offset: perhaps it is a shorter version now.
            Err(error) if error.status == Some(416) => {
                self.agrees().await?;
                return Err(failed(error));
            }
            Err(error) => return Err(failed(error)),
        };
        self.version.is_of(&body).map_err(|detail| self.changed(detail))?;
        if body.ignores_range && piece.size_bytes < self.version.size_bytes() {
            return Err(FetchFailure::NoRanges);
        }
        Ok(Flow::of(body, piece))
    }

    /// Receives a body until the piece is complete.
    async fn take(
        &self,
        piece: PlannedPart,
        begun: &mut Begun,
        mut flow: Flow,
        (race, rival): (&Race, &mut Rival<'_>),
    ) -> Result<(), FetchFailure> {
        if let RangeTarget::File(_) = self.target {
            begun.kept = Kept::at(piece.offset_bytes + begun.done_bytes);
        }
        let failure = loop {
            let left_bytes = flow.ends_at - begun.arrived_bytes;
            if left_bytes == 0 && flow.ends_at < piece.size_bytes {
                // The budget of the hedge did not reach to the end of the piece.
                match self.open(piece, begun.arrived_bytes).await {
                    Ok(rest) => flow = rest,
                    Err(failure) => break Some(failure),
                }
                continue;
            }
            if left_bytes == 0 {
                break self.is_longer(&mut flow.body).await.then(|| self.too_long(piece).into());
            }
            let room = begun.kept.room(&self.pool);
            let most = usize::try_from(left_bytes).unwrap_or(usize::MAX).min(room.len());
            let room = &mut room[..most];
            let at_hand = flow.take_front(room);
            let read = match at_hand {
                0 => rival.against(flow.body.bytes.read(room)).await,
                count => First::Own(Ok(count)),
            };
            let failed = match read {
                First::Rival(ahead) => {
                    flow = *ahead;
                    continue;
                }
                First::Own(Ok(0)) => ended_early(begun.arrived_bytes, piece),
                First::Own(Err(error)) => error,
                First::Own(Ok(count)) => {
                    if self.hashes_at_once {
                        begun.hasher.update(&room[..count]);
                    }
                    begun.kept.took(count);
                    begun.arrived_bytes += count as u64;
                    race.arrived(begun.arrived_bytes);
                    // Bytes at hand were counted when they were received.
                    if at_hand == 0 {
                        self.progress.meter().add(count as u64);
                        self.progress.meter().bandwidth().take(count as u64).await;
                    }
                    let at = piece.offset_bytes + begun.arrived_bytes;
                    if at.is_multiple_of(self.block_bytes()) {
                        self.write(piece, begun).await?;
                    }
                    continue;
                }
            };
            let failure = FetchFailure::Store { error: failed, moved: false };
            match or_rival(rival, failure).await {
                Ok(ahead) => flow = *ahead,
                Err(failure) => break Some(failure),
            }
        };
        // The bytes of an interrupted attempt are kept: the next attempt continues after them.
        self.write(piece, begun).await?;
        match failure {
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }

    /// Returns whether a body has more bytes than the piece. The store may not end it at once, so
    /// the end is awaited only briefly.
    async fn is_longer(&self, body: &mut ObjectBody) -> bool {
        let mut more = [0];
        let read = tokio::time::timeout(END_PATIENCE, body.bytes.read(&mut more)).await;
        matches!(read, Ok(Ok(1..)))
    }

    /// Handles a refused `If-Match`: either the object is another version, or a proxy changes
    /// ETags.
    async fn refused_if_match(&self, error: StoreError) -> FetchFailure {
        if let Err(failure) = self.agrees().await {
            return failure;
        }
        self.names_etag.store(false, Ordering::Relaxed);
        // The object is unchanged: retry without the condition.
        let error = StoreError { kind: StoreErrorKind::Connection, ..error };
        FetchFailure::Store { error, moved: true }
    }

    /// Checks that the object is still the version that the download began with.
    async fn agrees(&self) -> Result<(), FetchFailure> {
        let now = self.store.head_object(&self.object).await;
        let now = now.map_err(|error| FetchFailure::Store { error, moved: false })?;
        Ok(self.version.agrees(&now).map_err(|detail| self.changed(detail))?)
    }

    /// Returns the error after the last attempt at a piece.
    pub(super) fn failed(&self, piece: PlannedPart, attempts: u32, error: StoreError) -> Error {
        let (subject, part) = ((&self.object).into(), Some(piece.number));
        Error::Store { subject, part, attempts, source: Box::new(error) }
    }

    fn changed(&self, detail: String) -> Error {
        Error::ObjectChanged { object: self.object.clone(), detail }
    }

    fn too_long(&self, piece: PlannedPart) -> Error {
        let detail = format!(
            "more arrives than the {} bytes from {} on that were asked for",
            piece.size_bytes, piece.offset_bytes
        );
        Error::Corrupt { object: self.object.clone(), detail }
    }

    fn begun(&self) -> std::sync::MutexGuard<'_, HashMap<PartNumber, Begun>> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the error for a body that ends without a connection error before the piece is complete.
fn ended_early(arrived_bytes: u64, piece: PlannedPart) -> StoreError {
    let message = format!(
        "the body ended after {arrived_bytes} of {} bytes from {} on",
        piece.size_bytes, piece.offset_bytes
    );
    StoreError::local(Operation::GetObject, StoreErrorKind::Connection, message)
}
