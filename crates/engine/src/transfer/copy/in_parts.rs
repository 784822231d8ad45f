//! Copies an object with UploadPartCopy: an upload whose parts the store itself makes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use haul_parts::{ChecksumType, PartNumber, PlannedPart};

use super::compare::Trust;
use super::layout::SourceLayout;
use super::origin::SourceObject;
use super::{Context, CopyMethod, CopyProof, CopyReport, compare, relay};
use crate::error::Error;
use crate::event::Event;
use crate::journal::PartRecord;
use crate::proof::Proof;
use crate::remote::{
    ObjectRef, PartCopyRequest, Store, StoreErrorKind as Kind, StoredPart, UploadRef,
};
use crate::transfer::StopSignal;
use crate::transfer::mover::{Mover, PartFailure, SentPart};
use crate::transfer::upload::{self, EarlierPart, PartMaker, UploadContext, UploadReport};

/// Copies the source part by part.
pub(super) async fn copy(
    context: &Context,
    origin: &Arc<SourceObject>,
    layout: SourceLayout,
    stop: StopSignal,
) -> Result<CopyReport, Error> {
    let parts = layout.parts();
    let copied = Arc::new(Copied::new(context, origin, Some(parts.part_count())));
    let made = upload_of(context, origin, &copied).await;
    let report = Box::pin(upload::make(made, parts, stop)).await?;
    copied.report(report, CopyMethod::UploadPartCopy)
}

/// Returns the upload that makes the copy.
pub(super) async fn upload_of(
    context: &Context,
    origin: &Arc<SourceObject>,
    copied: &Arc<Copied>,
) -> UploadContext {
    let tags = match origin.tags().await {
        Ok(tags) => tags,
        Err(error) => {
            let message =
                format!("the tags of {} cannot be read and are not copied: {error}", origin.name());
            context.events.send(Event::Warning { message });
            Default::default()
        }
    };
    let attributes = context.carried(origin, &tags);
    UploadContext {
        resources: context.resources.clone(),
        source: Arc::new(relay::ObjectSource::new(Arc::clone(origin), copied.is_streamed())),
        object: context.target.clone(),
        options: context.upload_options(origin, attributes),
        maker: Some(Arc::clone(copied) as Arc<dyn PartMaker>),
        events: context.events.clone(),
        progress: context.progress.clone(),
    }
}

/// The parts of one copy, from the start of its upload until Complete.
pub(super) struct Copied {
    store: Arc<dyn Store>,
    origin: Arc<SourceObject>,
    target: ObjectRef,
    /// The number of parts that the store makes; `None` if the parts are streamed.
    part_count: Option<u32>,
    /// Whether the parts have the same sizes as the parts of the source.
    cut_as_source: bool,
    require_proof: bool,
    /// Whether at least one part of an earlier run is used that the journal does not record.
    unrecorded: AtomicBool,
    proof: OnceLock<CopyProof>,
}

impl Copied {
    pub(super) fn new(
        context: &Context,
        origin: &Arc<SourceObject>,
        part_count: Option<u32>,
    ) -> Self {
        Self {
            store: Arc::clone(&context.resources.store),
            origin: Arc::clone(origin),
            target: context.target.clone(),
            part_count,
            cut_as_source: context.options.part_size_bytes.is_none(),
            require_proof: context.options.require_proof,
            unrecorded: AtomicBool::new(false),
            proof: OnceLock::new(),
        }
    }

    fn trust(&self) -> Trust {
        Trust::of(&self.origin, self.store.as_ref())
    }

    fn is_streamed(&self) -> bool {
        self.part_count.is_none()
    }

    /// Builds the report from the checks made before Complete. For a copy in one request, and for a
    /// copy that an earlier run completed, builds it from the object's current properties.
    pub(super) fn report(
        &self,
        report: UploadReport,
        method: CopyMethod,
    ) -> Result<CopyReport, Error> {
        let now = || {
            let (trust, head) = (self.trust(), self.origin.head());
            let whole = compare::whole(&trust, head, Some(&report.etag), report.checksum);
            whole.unwrap_or(CopyProof::Unproven)
        };
        let proof = self.proof.get().copied().unwrap_or_else(now);
        if proof == CopyProof::Unproven && self.require_proof {
            return Err(Error::Unproven { object: report.object, part: PartNumber::MIN });
        }
        Ok(CopyReport {
            source: self.origin.object.clone(),
            object: report.object,
            size_bytes: report.size_bytes,
            etag: report.etag,
            method,
            part_count: report.part_count,
            upload_id: report.upload_id,
            proof,
            checksum: report.checksum,
        })
    }

    /// Returns whether the hashes of the parts can be combined and compared with the source's.
    fn proves_itself(&self, stored: &StoredPart) -> bool {
        let head = self.origin.head();
        if let (Some((of_source, ChecksumType::FullObject)), Some(of_part)) =
            (head.checksum, stored.checksum)
            && self.trust().covers(&of_source)
        {
            return of_source.algorithm() == of_part.algorithm();
        }
        self.cut_as_source
            && head.etag.is_strong()
            && head.etag.part_count().map(u32::from) == self.part_count
            && stored.etag.as_md5().is_some()
    }
}

#[async_trait]
impl PartMaker for Copied {
    fn mover(&self, upload: &UploadRef) -> Option<Arc<dyn Mover>> {
        self.part_count?;
        let (store, origin, upload) =
            (Arc::clone(&self.store), Arc::clone(&self.origin), upload.clone());
        Some(Arc::new(PartCopier { store, origin, upload }))
    }

    /// Decides whether a part of an earlier run is used. A recorded part was copied from this
    /// version, because every request named the version. An unrecorded part (the process was killed
    /// between the answer and the record) may belong to another client, so it is used only if the
    /// comparison of the whole object would detect that.
    fn earlier(&self, stored: &StoredPart, recorded: Option<&PartRecord>) -> EarlierPart {
        if self.is_streamed() {
            return EarlierPart::Read;
        }
        match recorded {
            Some(_) => EarlierPart::Keep,
            None if self.proves_itself(stored) => {
                self.unrecorded.store(true, Ordering::Relaxed);
                EarlierPart::Keep
            }
            None => EarlierPart::Discard,
        }
    }

    async fn check(&self, parts: &[SentPart]) -> Result<(), Error> {
        self.origin.check_unchanged().await?;
        let proof = compare::parts(&self.trust(), self.origin.head(), parts);
        let proof = proof
            .map_err(|detail| Error::Corrupt { object: self.origin.object.clone(), detail })?;
        if proof == CopyProof::Unproven && self.unrecorded.load(Ordering::Relaxed) {
            let detail = "its ETag is not that of the parts, some of which an earlier run left";
            return Err(Error::Corrupt {
                object: self.origin.object.clone(),
                detail: detail.into(),
            });
        }
        if proof == CopyProof::Unproven && self.require_proof {
            return Err(Error::Unproven { object: self.target.clone(), part: PartNumber::MIN });
        }
        self.proof.get_or_init(|| proof);
        Ok(())
    }

    fn proof(&self) -> Option<Proof> {
        self.part_count?;
        Some(self.proof.get()?.of_parts())
    }
}

impl CopyProof {
    /// Returns the proof of each part.
    pub(super) fn of_parts(self) -> Proof {
        match self {
            Self::Checksum => Proof::Checksum,
            Self::ETag => Proof::Md5,
            Self::Unproven => Proof::Unproven,
        }
    }
}

/// The mover that makes the store copy parts from the source.
struct PartCopier {
    store: Arc<dyn Store>,
    origin: Arc<SourceObject>,
    upload: UploadRef,
}

#[async_trait]
impl Mover for PartCopier {
    async fn attempt(&self, part: PlannedPart, attempt: u32) -> Result<SentPart, PartFailure> {
        let is_whole = part.size_bytes == self.origin.head().size_bytes;
        let range = part.offset_bytes..part.offset_bytes + part.size_bytes;
        loop {
            let request = PartCopyRequest {
                number: part.number,
                source: self.origin.object.clone(),
                source_if_match: self.origin.if_match(),
                range: (!is_whole).then(|| range.clone()),
            };
            let error = match self.store.upload_part_copy(&self.upload, &request).await {
                Ok(copied) => {
                    return Ok(SentPart {
                        number: part.number,
                        size_bytes: part.size_bytes,
                        attempt,
                        etag: copied.etag,
                        checksum: copied.checksum,
                        // A single part proves nothing: the whole object is compared before
                        // Complete.
                        proof: Proof::Unproven,
                    });
                }
                Err(error) => error,
            };
            // A store that ignores the condition reports an invalid range if the new version is
            // shorter.
            let concerns_the_source =
                matches!(error.kind, Kind::PreconditionFailed | Kind::NoSuchKey | Kind::Rejected);
            // If the source cannot be queried either, the refusal is the better error.
            if concerns_the_source
                && let Err(changed @ Error::ObjectChanged { .. }) =
                    self.origin.check_unchanged().await
            {
                return Err(PartFailure::Source(changed));
            }
            if error.kind == Kind::PreconditionFailed && self.origin.stop_naming_the_etag() {
                continue;
            }
            return Err(PartFailure::Store(error));
        }
    }
}
