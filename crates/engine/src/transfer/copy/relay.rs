//! Copies an object through this machine: reads the source as an upload reads a file, and sends it.
//!
//! This is for copies between two stores, and for stores that cannot copy. All guarantees of
//! uploads apply. If the parts of the source are equal in size, the copy has the same parts, so
//! that the ETags agree.

use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use haul_parts::ChecksumType;
use tokio::runtime::Handle;

use super::in_parts::{Copied, upload_of};
use super::layout::SourceLayout;
use super::origin::SourceObject;
use super::{Context, CopyMethod, CopyProof, CopyReport};
use crate::error::Error;
use crate::pace::FailedAttempt;
use crate::remote::{GetRequest, ObjectBytes, Operation, StoreError, StoreErrorKind as Kind};
use crate::source::{Change, Source, SourceRecord};
use crate::transfer::StopSignal;
use crate::transfer::upload;

/// The maximum number of bodies kept open because the next read may continue in one of them.
const BODIES_MAX: usize = 32;

/// Streams the source to the target.
pub(super) async fn copy(
    context: &Context,
    origin: Arc<SourceObject>,
    layout: Option<SourceLayout>,
    stop: StopSignal,
) -> Result<CopyReport, Error> {
    let copied = Arc::new(Copied::new(context, &origin, None));
    let mut made = upload_of(context, &origin, &copied).await;
    // A single request does not need a checksum that can be combined from parts.
    if let (None, Some((checksum, ChecksumType::FullObject))) = (&layout, origin.head().checksum)
        && origin.head().size_bytes < made.options.multipart_threshold_bytes
    {
        made.options.checksum = Some(checksum.algorithm());
    }
    let report = match layout {
        Some(layout) if layout.is_equal() => {
            Box::pin(upload::make(made, layout.parts(), stop)).await?
        }
        _ => Box::pin(upload::run(made, stop)).await?,
    };
    let report = copied.report(report, CopyMethod::Streamed)?;
    if report.proof == CopyProof::Unproven {
        origin.check_unchanged().await?;
    }
    Ok(report)
}

/// A body that has been read up to a position of the object.
struct OpenBody {
    position_bytes: u64,
    body: ObjectBytes,
}

/// One version of an object as a source that is read like a file.
pub(super) struct ObjectSource {
    origin: Arc<SourceObject>,
    runtime: Handle,
    open: Mutex<Vec<OpenBody>>,
    /// The difference, set as soon as another version is detected.
    changed: OnceLock<String>,
    /// Whether the bytes pass through this machine.
    streamed: bool,
}

impl ObjectSource {
    /// Creates the source. Must be called inside a tokio runtime.
    pub(super) fn new(origin: Arc<SourceObject>, streamed: bool) -> Self {
        Self {
            streamed,
            origin,
            runtime: Handle::current(),
            open: Mutex::default(),
            changed: OnceLock::new(),
        }
    }

    async fn fill(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<()> {
        let mut done = 0;
        let mut tries = 0;
        while done < buffer.len() {
            let position_bytes = offset_bytes + done as u64;
            match self.read_some(position_bytes, &mut buffer[done..]).await {
                Ok(read) => (done, tries) = (done + read, 0),
                Err(error) => {
                    tries += 1;
                    let wait = self.origin.retry.wait(
                        tries,
                        &FailedAttempt::from(&error),
                        &mut rand::rng(),
                    );
                    let Some(wait) = wait else { return Err(self.failed(error).await) };
                    tokio::time::sleep(wait).await;
                }
            }
        }
        Ok(())
    }

    /// Reads at least one byte.
    async fn read_some(&self, position_bytes: u64, buffer: &mut [u8]) -> Result<usize, StoreError> {
        let mut open = match self.take(position_bytes) {
            Some(open) => open,
            None => self.open(position_bytes).await?,
        };
        let read = open.body.read(buffer).await?;
        if read == 0 {
            let message = format!("the body ended at byte {}", open.position_bytes);
            return Err(StoreError::local(Operation::GetObject, Kind::Connection, message));
        }
        // Not reading on makes the store wait: the socket's buffer fills.
        self.origin.bandwidth.take(read as u64).await;
        open.position_bytes += read as u64;
        let mut kept = self.bodies();
        if open.position_bytes < self.size_bytes() {
            if kept.len() == BODIES_MAX {
                kept.remove(0);
            }
            kept.push(open);
        }
        Ok(read)
    }

    fn take(&self, position_bytes: u64) -> Option<OpenBody> {
        let mut kept = self.bodies();
        let index = kept.iter().position(|open| open.position_bytes == position_bytes)?;
        Some(kept.remove(index))
    }

    async fn open(&self, position_bytes: u64) -> Result<OpenBody, StoreError> {
        let if_match = self.origin.if_match();
        let request = GetRequest { offset_bytes: position_bytes, size_bytes: None, if_match };
        let body = self.origin.store.get_object(&self.origin.object, &request).await?;
        if let Err(detail) = self.origin.is_of(&body) {
            self.changed.get_or_init(|| detail.clone());
            return Err(StoreError::local(Operation::GetObject, Kind::PreconditionFailed, detail));
        }
        Ok(OpenBody { position_bytes, body: body.bytes })
    }

    /// Returns the reason why the source cannot be read: a changed version is not a network error.
    async fn failed(&self, error: StoreError) -> io::Error {
        if let Err(Error::ObjectChanged { detail, .. }) = self.origin.check_unchanged().await {
            self.changed.get_or_init(|| detail);
        }
        io::Error::other(error)
    }

    fn bodies(&self) -> std::sync::MutexGuard<'_, Vec<OpenBody>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source for ObjectSource {
    fn size_bytes(&self) -> u64 {
        self.origin.head().size_bytes
    }

    fn read_exact_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.runtime.block_on(self.fill(offset_bytes, buffer))
    }

    fn check_unchanged(&self) -> Result<(), Change> {
        match self.changed.get() {
            Some(detail) => Err(Change::Version(detail.clone())),
            None => Ok(()),
        }
    }

    fn name(&self) -> String {
        self.origin.name()
    }

    fn identity(&self) -> Option<SourceRecord> {
        self.origin.record(self.streamed).map(SourceRecord::Object)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use haul_parts::{Bucket, Key, ObjectRef};
    use tokio::time::Instant;

    use super::*;
    use crate::body::{Bandwidth, Payload};
    use crate::event::EventSender;
    use crate::pace::{EngineOptions, Resources};
    use crate::remote::{Meter, ObjectAttributes, PutRequest, Store};
    use crate::testing::memory::{MemoryStore, Quirks};
    use crate::transfer::copy::CopyOptions;
    use crate::transfer::progress::Progress;

    /// `haul cp` between two stores read its source as fast as the link allowed, whatever
    /// `--bandwidth` was: only the bytes that it sent were limited.
    #[tokio::test(start_paused = true)]
    async fn a_streamed_source_is_read_within_the_bandwidth() {
        const SIZE: usize = 4 << 20;
        let bucket = Bucket::new("bucket").unwrap();
        let store = MemoryStore::new(Quirks::AWS).with_bucket(&bucket);
        let object = ObjectRef { bucket, key: Key::new("source").unwrap() };
        let request = PutRequest {
            payload: Payload::from_bytes(vec![7; SIZE].into()),
            attributes: ObjectAttributes::default(),
            checksum: None,
            md5: None,
            if_none_match: false,
            if_match: None,
            fresh_connection: false,
            wire: Meter::default(),
        };
        store.put_object(&object, request).await.unwrap();
        let bandwidth = Bandwidth::default();
        bandwidth.set(Some(1 << 20));
        let options = EngineOptions { bandwidth, ..EngineOptions::default() };
        let resources = Resources::new(Arc::new(store), options);
        let context = Context {
            progress: Progress::new(resources.meter.of_transfer()),
            resources,
            source_store: None,
            source: object.clone(),
            target: object,
            options: CopyOptions::default(),
            events: EventSender::new().0,
        };
        let origin = Arc::new(SourceObject::find(&context).await.unwrap());
        let source = ObjectSource::new(origin, true);
        let began = Instant::now();
        let mut buffer = vec![0; SIZE];
        source.fill(0, &mut buffer).await.unwrap();
        // Bytes that arrive together are taken together, and the wait comes before the next ones.
        let least = Duration::from_millis(3700);
        assert!(began.elapsed() >= least, "4 MiB at 1 MiB/s took {:?}", began.elapsed());
    }
}
