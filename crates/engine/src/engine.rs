//! The engine: a store, and the state that all transfers to and from it share.

use std::io::Read;
use std::sync::Arc;

use haul_parts::ObjectRef;

use crate::pace::{EngineOptions, Resources};
use crate::remote::Store;
use crate::source::Source;
use crate::transfer::Transfer;
use crate::transfer::copy::{self, CopyOptions, CopyReport};
use crate::transfer::download::{self, DownloadOptions, DownloadReport, DownloadTarget};
use crate::transfer::tree::{self, TreeOptions, TreeReport, TreeSource, TreeTarget};
use crate::transfer::upload::stream::{self, StreamOptions};
use crate::transfer::upload::{self, UploadOptions, UploadReport};

/// A store with the shared state of its transfers: one memory budget, one gate of requests in
/// flight, one retry budget, one meter of bytes, and the connections of the store. Cheap to clone;
/// clones are the same engine.
#[derive(Clone, Debug)]
pub struct Engine {
    resources: Resources,
}

impl Engine {
    /// Creates an engine for `store`.
    pub fn new(store: Arc<dyn Store>, options: EngineOptions) -> Self {
        Self { resources: Resources::new(store, options) }
    }

    /// Uploads `source` as `object`. Must be called inside a tokio runtime.
    ///
    /// Sends nothing if the source cannot be divided into parts.
    pub fn upload(
        &self,
        source: impl Source,
        object: ObjectRef,
        options: UploadOptions,
    ) -> Transfer<UploadReport> {
        upload::start(&self.resources, Arc::new(source), object, options)
    }

    /// Uploads the bytes of `reader`, to its end, as `object`. Must be called inside a tokio
    /// runtime.
    ///
    /// Reads on blocking threads, one part at a time, each under a pass of the gate: a producer
    /// that pauses takes one slot of [`EngineOptions::concurrency`] meanwhile. An error of the
    /// reader creates no object; a reader that knows only at its end whether its bytes are complete
    /// returns its error there, in place of `Ok(0)`. A stopped or dropped transfer removes the sent
    /// parts and does not wait for a read in progress. Streams cannot be resumed.
    pub fn upload_stream(
        &self,
        reader: impl Read + Send + 'static,
        object: ObjectRef,
        options: StreamOptions,
    ) -> Transfer<UploadReport> {
        stream::start(&self.resources, Box::new(reader), object, options)
    }

    /// Downloads `object` into the file `target`. Must be called inside a tokio runtime.
    pub fn download(
        &self,
        object: ObjectRef,
        target: impl Into<DownloadTarget>,
        options: DownloadOptions,
    ) -> Transfer<DownloadReport> {
        download::start(&self.resources, object, target.into(), options)
    }

    /// Copies `source` to `target`, both in this store, which moves the bytes itself if it can.
    /// Must be called inside a tokio runtime.
    pub fn copy(
        &self,
        source: ObjectRef,
        target: ObjectRef,
        options: CopyOptions,
    ) -> Transfer<CopyReport> {
        copy::start(&self.resources, None, source, target, options)
    }

    /// Copies `source`, which is in another store, to `target`, streaming the bytes through the
    /// memory budget. Must be called inside a tokio runtime.
    pub fn copy_from(
        &self,
        source_store: Arc<dyn Store>,
        source: ObjectRef,
        target: ObjectRef,
        options: CopyOptions,
    ) -> Transfer<CopyReport> {
        copy::start(&self.resources, Some(source_store), source, target, options)
    }

    /// Copies many files: folders, prefixes, lists of names. Must be called inside a tokio runtime.
    ///
    /// The engine's store is the target's; for a download, the source's. Failures of single files
    /// are part of the report. After a pause, a later run of the same tree resumes it, if the tree
    /// has a journal.
    pub fn tree(
        &self,
        sources: Vec<TreeSource>,
        target: TreeTarget,
        options: TreeOptions,
    ) -> Transfer<TreeReport> {
        tree::start(&self.resources, sources, target, options)
    }

    /// Returns the store, for requests that are not transfers.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.resources.store
    }

    /// Returns the bytes that crossed the network so far, of all transfers together.
    pub fn moved_bytes(&self) -> u64 {
        self.resources.meter.all_bytes()
    }

    /// Returns the number of requests that may be in flight now: few at the start and after the
    /// store throttles, otherwise as many as [`EngineOptions::concurrency`] allows or the link is
    /// worth.
    pub fn requests_allowed(&self) -> u32 {
        self.resources.gate.allowed()
    }

    /// Waits until every transfer has ended, including dropped ones that still have parts to
    /// remove, because a drop cannot wait. A transfer that is not stopped runs to its own end
    /// first.
    pub async fn close(self) {
        self.resources.idle().await;
    }
}

/// Uploads `source` as `object` with an engine of its own and its default limits. Must be called
/// inside a tokio runtime.
pub fn upload(
    store: Arc<dyn Store>,
    source: impl Source,
    object: ObjectRef,
    options: UploadOptions,
) -> Transfer<UploadReport> {
    Engine::new(store, EngineOptions::default()).upload(source, object, options)
}

/// Downloads `object` into the file `target` with an engine of its own and its default limits. Must
/// be called inside a tokio runtime.
pub fn download(
    store: Arc<dyn Store>,
    object: ObjectRef,
    target: impl Into<DownloadTarget>,
    options: DownloadOptions,
) -> Transfer<DownloadReport> {
    Engine::new(store, EngineOptions::default()).download(object, target, options)
}
