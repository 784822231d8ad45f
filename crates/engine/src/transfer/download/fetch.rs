//! One attempt at one piece of a download: a ranged GetObject, written to its place in the file and
//! hashed on the way.
//!
//! An attempt that breaks off leaves what it has written; the next one continues there. Nothing
//! else of a piece is kept between attempts than where it stands and its unfinished hashes.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::StreamExt;
use haul_parts::{Checksum, ChecksumAlgorithm, MultiHasher, PartNumber, PlannedPart};

use super::Context;
use super::plan::Proof;
use super::version::Version;
use crate::body::BufferPool;
use crate::error::Error;
use crate::remote::{
    GetRequest, ObjectBody, ObjectRef, Operation, Store, StoreError, StoreErrorKind,
};
use crate::transfer::Progress;

/// Bytes that are gathered before a blocking thread writes and hashes them.
const BLOCK_BYTES: u64 = 1 << 20;

/// What all pieces of one download share.
pub(super) struct Fetcher {
    store: Arc<dyn Store>,
    pub(super) object: ObjectRef,
    version: Version,
    /// The version's ETag is named in `If-Match`.
    names_etag: AtomicBool,
    file: Arc<File>,
    path: PathBuf,
    pool: BufferPool,
    pub(super) progress: Progress,
    /// Computed of every piece.
    algorithms: Vec<ChecksumAlgorithm>,
    /// Of pieces that were begun.
    begun: Mutex<HashMap<PartNumber, Begun>>,
}

/// How far a piece is.
struct Begun {
    done_bytes: u64,
    hasher: MultiHasher,
}

/// A piece that is in the file.
#[derive(Clone, Debug)]
pub(super) struct Fetched {
    pub(super) number: PartNumber,
    pub(super) size_bytes: u64,
    /// In the order of [`Fetcher::algorithms`].
    pub(super) checksums: Vec<Checksum>,
}

/// Why a piece was not fetched.
pub(super) enum FetchFailure {
    /// The store or the way to it; `moved`: some bytes arrived before.
    Store { error: StoreError, moved: bool },
    /// Nothing can help.
    Final(Error),
    /// The store sends the whole object whatever is asked for.
    NoRanges,
}

impl From<Error> for FetchFailure {
    fn from(error: Error) -> Self {
        Self::Final(error)
    }
}

impl Fetcher {
    pub(super) fn new(context: &Context, version: Version, file: &Arc<File>, proof: Proof) -> Self {
        Self {
            store: Arc::clone(&context.resources.store),
            object: context.object.clone(),
            algorithms: proof.algorithms(version.head()),
            version,
            names_etag: AtomicBool::new(true),
            file: Arc::clone(file),
            path: context.path.clone(),
            pool: context.resources.pool.clone(),
            progress: context.progress.clone(),
            begun: Mutex::default(),
        }
    }

    /// Makes one attempt.
    pub(super) async fn fetch(&self, piece: PlannedPart) -> Result<Fetched, FetchFailure> {
        // What is gathered, and what is written meanwhile.
        let _permit = self.pool.permit(2 * BLOCK_BYTES).await;
        let begun = self.begun().remove(&piece.number);
        let mut begun = begun.unwrap_or_else(|| Begun {
            done_bytes: 0,
            hasher: MultiHasher::new(self.algorithms.iter().copied()),
        });
        let before = begun.done_bytes;
        let ended = self.stream(piece, &mut begun).await;
        let moved = begun.done_bytes > before;
        match ended {
            Ok(()) => Ok(Fetched {
                number: piece.number,
                size_bytes: piece.size_bytes,
                checksums: begun.hasher.finish(),
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

    async fn stream(&self, piece: PlannedPart, begun: &mut Begun) -> Result<(), FetchFailure> {
        let failed = |error| FetchFailure::Store { error, moved: false };
        let named = self.names_etag.load(Ordering::Relaxed);
        let request = GetRequest {
            offset_bytes: piece.offset_bytes + begun.done_bytes,
            size_bytes: Some(piece.size_bytes - begun.done_bytes),
            if_match: self.version.if_match().filter(|_| named),
        };
        let mut body = match self.store.get_object(&self.object, &request).await {
            Ok(body) => body,
            Err(error)
                if error.kind == StoreErrorKind::PreconditionFailed
                    && request.if_match.is_some() =>
            {
                return Err(self.refused_if_match(error).await);
            }
            // There are no bytes there: perhaps the object is a shorter one now.
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
        self.take(piece, begun, &mut body).await
    }

    /// Writes a body to its place until the piece is whole.
    async fn take(
        &self,
        piece: PlannedPart,
        begun: &mut Begun,
        body: &mut ObjectBody,
    ) -> Result<(), FetchFailure> {
        let (mut gathered, mut gathered_bytes) = (vec![], 0);
        let failure = loop {
            let left_bytes = piece.size_bytes - begun.done_bytes - gathered_bytes;
            if left_bytes == 0 {
                break None;
            }
            match body.bytes.next().await {
                Some(Ok(bytes)) if bytes.len() as u64 > left_bytes => {
                    break Some(FetchFailure::Final(self.too_long(piece)));
                }
                Some(Ok(bytes)) => {
                    self.progress.meter().add(bytes.len() as u64);
                    gathered_bytes += bytes.len() as u64;
                    gathered.push(bytes);
                    if gathered_bytes >= BLOCK_BYTES {
                        self.write(piece, begun, std::mem::take(&mut gathered)).await?;
                        gathered_bytes = 0;
                    }
                }
                Some(Err(error)) => break Some(FetchFailure::Store { error, moved: false }),
                None => {
                    let arrived_bytes = begun.done_bytes + gathered_bytes;
                    break Some(FetchFailure::Store {
                        error: ended_early(arrived_bytes, piece),
                        moved: false,
                    });
                }
            }
        };
        self.write(piece, begun, gathered).await?;
        match failure {
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }

    async fn write(
        &self,
        piece: PlannedPart,
        begun: &mut Begun,
        blocks: Vec<Bytes>,
    ) -> Result<(), FetchFailure> {
        let file = Arc::clone(&self.file);
        let mut hasher = std::mem::replace(&mut begun.hasher, MultiHasher::new([]));
        let offset_bytes = piece.offset_bytes + begun.done_bytes;
        let written = tokio::task::spawn_blocking(move || {
            let mut at = offset_bytes;
            for block in &blocks {
                write_all_at(&file, block, at)?;
                hasher.update(block);
                at += block.len() as u64;
            }
            Ok::<_, io::Error>((hasher, at - offset_bytes))
        });
        let written = written.await.map_err(|error| Error::Internal(error.to_string()))?;
        let (hasher, bytes) = written
            .map_err(|source| Error::TargetUnwritable { path: self.path.clone(), source })?;
        begun.hasher = hasher;
        begun.done_bytes += bytes;
        self.progress.arrived(bytes);
        Ok(())
    }

    /// The store refused `If-Match`: either the object is another version, or ETags do not survive
    /// the way to it.
    async fn refused_if_match(&self, error: StoreError) -> FetchFailure {
        if let Err(failure) = self.agrees().await {
            return failure;
        }
        self.names_etag.store(false, Ordering::Relaxed);
        // The same again, without it.
        let error = StoreError { kind: StoreErrorKind::Connection, ..error };
        FetchFailure::Store { error, moved: true }
    }

    /// The object is still the version that the download began with.
    async fn agrees(&self) -> Result<(), FetchFailure> {
        let now = self.store.head_object(&self.object).await;
        let now = now.map_err(|error| FetchFailure::Store { error, moved: false })?;
        Ok(self.version.agrees(&now).map_err(|detail| self.changed(detail))?)
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

/// A body that ends properly, but before the piece does.
fn ended_early(arrived_bytes: u64, piece: PlannedPart) -> StoreError {
    let message = format!(
        "the body ended after {arrived_bytes} of {} bytes from {} on",
        piece.size_bytes, piece.offset_bytes
    );
    StoreError::local(Operation::GetObject, StoreErrorKind::Connection, message)
}

fn write_all_at(file: &File, bytes: &[u8], offset_bytes: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, offset_bytes)
}
