//! Copies from store to store.
//!
//! The store moves the bytes where it can: by CopyObject an object of at most 5 GiB that was put in
//! one piece, by UploadPartCopy everything else, cut as its source is cut, because CopyObject would
//! change the ETag of an object that was made of parts. Where the store cannot, or source and
//! target are in two stores, the bytes are streamed through the memory budget ([`relay`]). Every
//! form is bound to one version of the source ([`origin`]), and the copy is held against what the
//! store says of that version ([`compare`]).

mod compare;
mod in_parts;
mod layout;
mod one_request;
mod origin;
mod relay;

use std::sync::Arc;
use std::time::Duration;

use haul_parts::limits::PUT_OBJECT_MAX_BYTES;
use haul_parts::{Checksum, ChecksumAlgorithm, ChecksumType, ETag, Limits, UploadId};
use serde::Serialize;

use self::layout::Layout;
use self::origin::Origin;
use super::upload::{TOKEN_METADATA, UploadOptions};
use super::{Line, Progress, StopSignal, Transfer};
use crate::error::Error;
use crate::event::{Event, EventSender};
use crate::pace::Resources;
use crate::remote::{ObjectAttributes, ObjectRef, Operation, Store, StoreErrorKind};

/// How to copy. Construct with `..Default::default()`.
#[derive(Clone, Debug)]
pub struct CopyOptions {
    /// What the copy carries instead of what its source carries, field by field: what is `None` or
    /// empty is kept. The storage class and the website redirect are never inherited.
    pub attributes: ObjectAttributes,
    /// Bytes of every part but the last; `None`: as the source is cut, else chosen from the length.
    pub part_size_bytes: Option<u64>,
    /// A copy that cannot be proven is an error. One made by CopyObject is at the store by then.
    pub require_proof: bool,
    /// `If-None-Match: *`: fail if the target exists.
    pub if_none_match: bool,
    /// `If-Match`: fail unless the target is still this version.
    pub if_match: Option<ETag>,
    /// What the store of the target takes.
    pub limits: Limits,
    /// How long to try to remove the parts of a failed copy.
    pub abort_patience: Duration,
    /// How long a stop waits for the answer to a CopyObject that is under way.
    pub pause_grace: Duration,
}

impl Default for CopyOptions {
    fn default() -> Self {
        let upload = UploadOptions::default();
        Self {
            attributes: ObjectAttributes::default(),
            part_size_bytes: None,
            require_proof: false,
            if_none_match: false,
            if_match: None,
            limits: upload.limits,
            abort_patience: upload.abort_patience,
            pause_grace: upload.pause_grace,
        }
    }
}

/// What a copy came to.
#[derive(Clone, Debug)]
pub struct CopyReport {
    /// What was copied.
    pub source: ObjectRef,
    /// The copy.
    pub object: ObjectRef,
    /// Its length.
    pub size_bytes: u64,
    /// As the store gave it.
    pub etag: ETag,
    /// How the bytes got there.
    pub method: CopyMethod,
    /// 1 for a single request.
    pub part_count: u32,
    /// `None` for a single request.
    pub upload_id: Option<UploadId>,
    /// How the copy is known to be what its source is.
    pub proof: CopyProof,
    /// The checksum of the copy, if the store or the parts give one.
    pub checksum: Option<Checksum>,
}

/// How the bytes of a copy got there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CopyMethod {
    /// CopyObject.
    CopyObject,
    /// UploadPartCopy.
    UploadPartCopy,
    /// Read from one store and sent to the other.
    Streamed,
}

/// How a copy is known to be what its source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CopyProof {
    /// Both have the same checksum of the full object.
    Checksum,
    /// Both have the same ETag.
    ETag,
    /// The store gave nothing that could be compared.
    Unproven,
}

/// One copy: what is copied, where to, and what it shares with other transfers.
struct Context {
    resources: Resources,
    /// The store of the source; `None`: that of the target.
    source_store: Option<Arc<dyn Store>>,
    source: ObjectRef,
    target: ObjectRef,
    options: CopyOptions,
    events: EventSender,
    progress: Progress,
}

/// Starts a copy of `source`, in `source_store` if that is another one, to `target` over what an
/// engine shares.
pub(crate) fn start(
    resources: &Resources,
    source_store: Option<Arc<dyn Store>>,
    source: ObjectRef,
    target: ObjectRef,
    options: CopyOptions,
) -> Transfer<CopyReport> {
    Transfer::start(resources, |line| {
        let Line { events, progress, stop } = line;
        let resources = resources.clone();
        run(Context { resources, source_store, source, target, options, events, progress }, stop)
    })
}

async fn run(context: Context, mut stop: StopSignal) -> Result<CopyReport, Error> {
    if let Some(name) = context.options.attributes.impossible_name() {
        return Err(Error::MetadataName { name: name.to_owned() });
    }
    if context.is_without_change() {
        return Err(Error::CopyOntoItself { object: context.target.clone() });
    }
    let prepared = tokio::select! {
        prepared = prepare(&context) => prepared,
        _ = stop.stronger() => Err(cancelled(&context)),
    };
    let (origin, layout) = prepared?;
    let size_bytes = origin.head().size_bytes;
    context.progress.set_size(size_bytes);
    let in_one_request = layout.is_none() && size_bytes <= PUT_OBJECT_MAX_BYTES;
    let copied = match (&context.source_store, &layout) {
        (Some(_), _) => return relay::copy(&context, origin, layout, stop).await,
        (None, _) if in_one_request => one_request::copy(&context, &origin, stop.clone()).await,
        (None, Some(layout)) => {
            in_parts::copy(&context, &origin, layout.clone(), stop.clone()).await
        }
        (None, None) => {
            let layout = Layout::chosen(&context.source, size_bytes, &context.options)?;
            in_parts::copy(&context, &origin, layout, stop.clone()).await
        }
    };
    match copied {
        Err(error) if is_unsupported(&error) => {
            let reason =
                "the store does not copy by itself: the bytes are streamed through this machine";
            context.events.send(Event::Restarting { reason: reason.into() });
            relay::copy(&context, origin, layout, stop).await
        }
        copied => copied,
    }
}

/// Looks at the source: which version it is, and how it is cut.
async fn prepare(context: &Context) -> Result<(Arc<Origin>, Option<Layout>), Error> {
    let origin = Origin::find(context).await?;
    let layout = match context.options.part_size_bytes {
        Some(part) if part >= origin.head().size_bytes => None,
        Some(_) => {
            Some(Layout::chosen(&context.source, origin.head().size_bytes, &context.options)?)
        }
        None => Layout::of_source(&origin, &context.options.limits).await,
    };
    Ok((Arc::new(origin), layout))
}

impl Context {
    /// S3 refuses to copy an object onto itself if nothing of it is to change.
    fn is_without_change(&self) -> bool {
        self.source_store.is_none()
            && self.source == self.target
            && self.options.attributes == ObjectAttributes::default()
    }

    /// Whether the copy is to carry anything but what its source carries.
    fn replaces_attributes(&self) -> bool {
        let wanted = &self.options.attributes;
        let kept =
            ObjectAttributes { storage_class: wanted.storage_class.clone(), ..Default::default() };
        *wanted != kept
    }

    /// What the copy carries, where every field of it has to be given.
    fn carried(
        &self,
        origin: &Origin,
        tags: &std::collections::BTreeMap<String, String>,
    ) -> ObjectAttributes {
        let (wanted, kept) = (&self.options.attributes, &origin.head().attributes);
        let either = |wanted: &Option<String>, kept: &Option<String>| {
            wanted.clone().or_else(|| kept.clone())
        };
        let mut metadata =
            if wanted.metadata.is_empty() { &kept.metadata } else { &wanted.metadata }.clone();
        // It names the upload of the source.
        metadata.remove(TOKEN_METADATA);
        ObjectAttributes {
            content_type: either(&wanted.content_type, &kept.content_type),
            cache_control: either(&wanted.cache_control, &kept.cache_control),
            content_disposition: either(&wanted.content_disposition, &kept.content_disposition),
            content_encoding: either(&wanted.content_encoding, &kept.content_encoding),
            content_language: either(&wanted.content_language, &kept.content_language),
            expires: either(&wanted.expires, &kept.expires),
            website_redirect_location: wanted.website_redirect_location.clone(),
            storage_class: wanted.storage_class.clone(),
            metadata,
            tags: if wanted.tags.is_empty() { tags.clone() } else { wanted.tags.clone() },
        }
    }

    /// The upload that makes a copy of parts.
    fn upload_options(&self, origin: &Origin, attributes: ObjectAttributes) -> UploadOptions {
        UploadOptions {
            checksum: Some(comparable_algorithm(origin)),
            attributes,
            if_none_match: self.options.if_none_match,
            if_match: self.options.if_match.clone(),
            limits: self.options.limits,
            abort_patience: self.options.abort_patience,
            pause_grace: self.options.pause_grace,
            ..UploadOptions::default()
        }
    }
}

/// The algorithm by which a copy in parts can be compared with its source.
fn comparable_algorithm(origin: &Origin) -> ChecksumAlgorithm {
    match origin.head().checksum {
        Some((checksum, ChecksumType::FullObject)) if checksum.algorithm().combines() => {
            checksum.algorithm()
        }
        _ => ChecksumAlgorithm::Crc64Nvme,
    }
}

/// True if the store does not know the request: 501, or 405 as proxies and older stores answer.
fn is_unsupported(error: &Error) -> bool {
    let Error::Store { source, .. } = error else { return false };
    matches!(source.operation, Operation::CopyObject | Operation::UploadPartCopy)
        && (source.kind == StoreErrorKind::NotImplemented || source.status == Some(405))
}

fn cancelled(context: &Context) -> Error {
    Error::Cancelled { object: context.target.clone() }
}
