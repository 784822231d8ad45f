//! A copy by UploadPartCopy: an upload whose parts the store makes itself.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use haul_parts::{PartNumber, PlannedPart};

use super::layout::Layout;
use super::origin::Origin;
use super::{Context, CopyMethod, CopyProof, CopyReport, compare, relay};
use crate::error::Error;
use crate::event::Event;
use crate::proof::Proof;
use crate::remote::{ObjectRef, PartCopyRequest, Store, StoreErrorKind as Kind, UploadRef};
use crate::transfer::StopSignal;
use crate::transfer::mover::{Mover, PartFailure, SentPart};
use crate::transfer::upload::{self, PartMaker, UploadContext, UploadReport};

/// Copies the source part by part.
pub(super) async fn copy(
    context: &Context,
    origin: &Arc<Origin>,
    layout: Layout,
    stop: StopSignal,
) -> Result<CopyReport, Error> {
    let plan = layout.plan();
    let copied = Arc::new(Copied::new(context, origin, Some(layout)));
    let report = upload::make(upload_of(context, origin, &copied).await, plan, stop).await?;
    Ok(copied.report(report, CopyMethod::UploadPartCopy))
}

/// The upload that makes the copy.
pub(super) async fn upload_of(
    context: &Context,
    origin: &Arc<Origin>,
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
        source: Arc::new(relay::ObjectSource::new(Arc::clone(origin))),
        object: context.target.clone(),
        options: context.upload_options(origin, attributes),
        maker: Some(Arc::clone(copied) as Arc<dyn PartMaker>),
        events: context.events.clone(),
        progress: context.progress.clone(),
    }
}

/// The parts of one copy, until it is complete.
pub(super) struct Copied {
    store: Arc<dyn Store>,
    origin: Arc<Origin>,
    target: ObjectRef,
    /// `None`: the parts are streamed.
    layout: Option<Layout>,
    require_proof: bool,
    proof: OnceLock<CopyProof>,
}

impl Copied {
    pub(super) fn new(context: &Context, origin: &Arc<Origin>, layout: Option<Layout>) -> Self {
        Self {
            store: Arc::clone(&context.resources.store),
            origin: Arc::clone(origin),
            target: context.target.clone(),
            layout,
            require_proof: context.options.require_proof,
            proof: OnceLock::new(),
        }
    }

    /// Of what was proven before Complete; of a copy in one piece, by what is known of it now.
    pub(super) fn report(&self, report: UploadReport, method: CopyMethod) -> CopyReport {
        let now = || {
            let whole = compare::whole(self.origin.head(), Some(&report.etag), report.checksum);
            whole.unwrap_or(CopyProof::Unproven)
        };
        let proof = self.proof.get().copied().unwrap_or_else(now);
        CopyReport {
            source: self.origin.object.clone(),
            object: report.object,
            size_bytes: report.size_bytes,
            etag: report.etag,
            method,
            part_count: report.part_count,
            upload_id: report.upload_id,
            proof,
            checksum: report.checksum,
        }
    }
}

#[async_trait]
impl PartMaker for Copied {
    fn mover(&self, upload: &UploadRef) -> Option<Arc<dyn Mover>> {
        let layout = self.layout.clone()?;
        let (store, origin, upload) =
            (Arc::clone(&self.store), Arc::clone(&self.origin), upload.clone());
        Some(Arc::new(PartCopier { store, origin, upload, layout }))
    }

    async fn check(&self, parts: &[SentPart]) -> Result<(), Error> {
        self.origin.check_unchanged().await?;
        let proof = compare::parts(self.origin.head(), parts);
        let proof = proof
            .map_err(|detail| Error::Corrupt { object: self.origin.object.clone(), detail })?;
        if proof == CopyProof::Unproven && self.require_proof {
            return Err(Error::Unproven { object: self.target.clone(), part: PartNumber::MIN });
        }
        self.proof.get_or_init(|| proof);
        Ok(())
    }

    fn proof(&self) -> Option<Proof> {
        self.layout.as_ref()?;
        Some(self.proof.get()?.of_parts())
    }
}

impl CopyProof {
    /// What it says of every part.
    pub(super) fn of_parts(self) -> Proof {
        match self {
            Self::Checksum => Proof::Checksum,
            Self::ETag => Proof::Md5,
            Self::Unproven => Proof::Unproven,
        }
    }
}

/// Has the store make parts of the source.
struct PartCopier {
    store: Arc<dyn Store>,
    origin: Arc<Origin>,
    upload: UploadRef,
    layout: Layout,
}

#[async_trait]
impl Mover for PartCopier {
    async fn attempt(&self, planned: PlannedPart, attempt: u32) -> Result<SentPart, PartFailure> {
        let part = self.layout.part(planned);
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
                        // A part alone proves nothing: the whole is compared before Complete.
                        proof: Proof::Unproven,
                    });
                }
                Err(error) => error,
            };
            // A store that ignores the condition finds the range outside of a shorter version.
            let concerns_the_source =
                matches!(error.kind, Kind::PreconditionFailed | Kind::NoSuchKey | Kind::Rejected);
            // Where the source cannot be looked at either, the refusal says more.
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
