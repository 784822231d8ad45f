//! Reads a stream, part after part, on blocking threads.
//!
//! A part is read under a memory permit and hashed in the same pass. Bytes that exceed the part's
//! share of the memory are written to a spool file, and hashed when they are read back. A read that
//! never returns keeps its thread, its reader and its memory; a stopped upload does not wait for
//! it.

use std::io::{self, Read};
use std::sync::Arc;

use bytes::Bytes;
use haul_parts::{Checksum, ChecksumAlgorithm, GrowingPlan, MultiHasher, PlannedPart};

use super::StreamOptions;
use super::spool::{Spool, SpoolFile};
use super::window::{Kept, Window};
use crate::body::{BufferPool, HELD_PARTS_MIN, Payload, Permit, SLICE_BYTES};
use crate::error::Error;
use crate::transfer::upload::context::Context;
use crate::transfer::upload::part::ReadBytes;

/// A stream that is being read.
pub(super) struct Feed {
    /// `None` while a blocking thread uses it, and after a failure.
    reader: Option<Box<dyn Read + Send>>,
    name: String,
    plan: GrowingPlan,
    pool: BufferPool,
    spool: Spool,
    window: Arc<Window>,
    /// The exact length of the stream, if it was given.
    promised_bytes: Option<u64>,
    parts: u16,
    offset_bytes: u64,
    ended: bool,
}

/// The result of one pass over the stream.
struct Filled {
    slices: Vec<Bytes>,
    size_bytes: u64,
    digests: Vec<Checksum>,
    ended: bool,
}

/// Whether reading the stream or writing the spool failed.
enum Trouble {
    Reading(io::Error),
    Spooling(io::Error),
}

impl Feed {
    pub(super) fn new(
        context: &Context,
        reader: Box<dyn Read + Send>,
        plan: GrowingPlan,
        options: &StreamOptions,
        window: Arc<Window>,
    ) -> Self {
        Self {
            reader: Some(reader),
            name: options.name.clone(),
            plan,
            pool: context.resources.pool.clone(),
            spool: Spool::new(options.spool_dir.clone(), context.events.clone()),
            window,
            promised_bytes: options.size_bytes,
            parts: 0,
            offset_bytes: 0,
            ended: false,
        }
    }

    /// Returns the number of bytes read.
    pub(super) fn offset_bytes(&self) -> u64 {
        self.offset_bytes
    }

    /// Returns true once the end of the stream has been read.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Returns the part to read next; `None` if there can be no further part.
    pub(super) fn next_part(&self) -> Option<PlannedPart> {
        self.plan.part(self.parts, self.offset_bytes)
    }

    pub(super) fn plan(&self) -> GrowingPlan {
        self.plan
    }

    pub(super) fn first_part_size_bytes(&self) -> u64 {
        self.plan.first_part_size_bytes()
    }

    pub(super) fn window(&self) -> &Arc<Window> {
        &self.window
    }

    /// Fails if parts of a stream of this length fit neither the memory nor the spool.
    pub(super) fn check_spool(&self, length_bytes: u64) -> Result<(), Error> {
        let size_bytes = self.plan.first_part_size_bytes().min(length_bytes);
        if size_bytes > self.held_max_bytes() { self.spool.check(size_bytes) } else { Ok(()) }
    }

    fn held_max_bytes(&self) -> u64 {
        self.pool.budget_bytes() / HELD_PARTS_MIN
    }

    /// Reads the next part into the window; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<PlannedPart>, Error> {
        if self.ended {
            return Ok(None);
        }
        let Some(mut part) = self.next_part() else { return self.must_have_ended().await };
        let held_bytes = part.size_bytes.min(self.held_max_bytes());
        let permit = self.pool.permit(held_bytes).await;
        let (pool, algorithms) = (self.pool.clone(), self.window.algorithms());
        let filled =
            self.blocking(move |reader| fill(reader, &pool, held_bytes, &algorithms)).await?;
        let kept = if filled.ended || held_bytes == part.size_bytes {
            (part.size_bytes, self.ended) = (filled.size_bytes, filled.ended);
            Kept::Held(self.held(filled, permit))
        } else {
            let (file, size_bytes, ended) = self.spill(part, filled, permit).await?;
            (part.size_bytes, self.ended) = (size_bytes, ended);
            Kept::Spooled(Arc::new(file))
        };
        self.offset_bytes += part.size_bytes;
        if self.ended {
            self.check_length()?;
        }
        if part.size_bytes == 0 {
            return Ok(None);
        }
        self.parts += 1;
        self.window.keep(part, kept);
        Ok(Some(part))
    }

    fn held(&self, filled: Filled, permit: Permit) -> ReadBytes {
        let digest = |wanted: Option<ChecksumAlgorithm>| {
            filled.digests.iter().find(|digest| Some(digest.algorithm()) == wanted).copied()
        };
        let (checksum, md5) =
            (digest(self.window.checksum()), digest(Some(ChecksumAlgorithm::Md5)));
        ReadBytes { payload: Payload::held(filled.slices, permit), checksum, md5 }
    }

    /// Writes the bytes that were read of a part into the spool, followed by the rest of the part.
    async fn spill(
        &mut self,
        part: PlannedPart,
        filled: Filled,
        permit: Permit,
    ) -> Result<(SpoolFile, u64, bool), Error> {
        let mut file = self.spool.file(part.size_bytes).await?;
        let pool = self.pool.clone();
        self.blocking(move |reader| {
            let mut size_bytes = 0;
            for slice in filled.slices {
                file.write_all(&slice).map_err(Trouble::Spooling)?;
                size_bytes += slice.len() as u64;
            }
            let mut ended = false;
            let mut buffer = pool.buffer();
            while size_bytes < part.size_bytes && !ended {
                let wanted = slice_of(part.size_bytes - size_bytes);
                let space = &mut buffer.space()[..wanted];
                let read_bytes = read_full(reader, space).map_err(Trouble::Reading)?;
                file.write_all(&space[..read_bytes]).map_err(Trouble::Spooling)?;
                size_bytes += read_bytes as u64;
                ended = read_bytes < wanted;
            }
            drop(permit);
            Ok((file, size_bytes, ended))
        })
        .await
    }

    /// Fails unless the stream ends here: either its length was given, or the store accepts no more
    /// parts.
    async fn must_have_ended(&mut self) -> Result<Option<PlannedPart>, Error> {
        let more =
            self.blocking(|reader| read_full(reader, &mut [0]).map_err(Trouble::Reading)).await?;
        if more == 0 {
            self.ended = true;
            return self.check_length().map(|()| None);
        }
        Err(match self.promised_bytes {
            Some(promised_bytes) => Error::StreamLength {
                source_name: self.name.clone(),
                promised_bytes,
                read_bytes: None,
            },
            None => Error::StreamTooLong {
                source_name: self.name.clone(),
                capacity_bytes: self.offset_bytes,
            },
        })
    }

    fn check_length(&self) -> Result<(), Error> {
        match self.promised_bytes {
            Some(promised_bytes) if promised_bytes != self.offset_bytes => {
                Err(Error::StreamLength {
                    source_name: self.name.clone(),
                    promised_bytes,
                    read_bytes: Some(self.offset_bytes),
                })
            }
            _ => Ok(()),
        }
    }

    /// Runs `work` with the reader on a blocking thread.
    async fn blocking<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut dyn Read) -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T, Error> {
        let Some(mut reader) = self.reader.take() else {
            return Err(Error::Internal("a stream is read that has failed".to_owned()));
        };
        let lent = tokio::task::spawn_blocking(move || {
            let result = work(reader.as_mut());
            (reader, result)
        });
        let (reader, result) = lent.await.map_err(|error| Error::Internal(error.to_string()))?;
        self.reader = Some(reader);
        result.map_err(|trouble| match trouble {
            Trouble::Reading(source) => {
                Error::SourceUnreadable { source_name: self.name.clone(), source }
            }
            Trouble::Spooling(source) => self.spool.failed(source),
        })
    }
}

/// Reads at most `limit_bytes` into slices.
fn fill(
    reader: &mut dyn Read,
    pool: &BufferPool,
    limit_bytes: u64,
    algorithms: &[ChecksumAlgorithm],
) -> Result<Filled, Trouble> {
    let mut hasher = MultiHasher::new(algorithms.iter().copied());
    let (mut slices, mut size_bytes, mut ended) = (vec![], 0, false);
    while size_bytes < limit_bytes && !ended {
        let wanted = slice_of(limit_bytes - size_bytes);
        let mut buffer = pool.buffer();
        let read_bytes =
            read_full(reader, &mut buffer.space()[..wanted]).map_err(Trouble::Reading)?;
        ended = read_bytes < wanted;
        if read_bytes > 0 {
            let slice = buffer.freeze(read_bytes);
            hasher.update(&slice);
            slices.push(slice);
            size_bytes += read_bytes as u64;
        }
    }
    Ok(Filled { slices, size_bytes, digests: hasher.finish(), ended })
}

fn slice_of(left_bytes: u64) -> usize {
    usize::try_from(left_bytes).unwrap_or(usize::MAX).min(SLICE_BYTES)
}

/// Fills the space; returns fewer bytes only at the end of the stream. Nothing is read after the
/// end, because a terminal would continue.
fn read_full(reader: &mut dyn Read, space: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < space.len() {
        match reader.read(&mut space[filled..]) {
            Ok(0) => break,
            Ok(read_bytes) => filled = (filled + read_bytes).min(space.len()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
