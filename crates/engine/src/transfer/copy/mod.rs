//! Copies from store to store.
//!
//! The store moves the bytes where it can: by CopyObject an object of at most 5 GiB that was put in
//! one piece, by UploadPartCopy everything else, cut as its source is cut, because CopyObject would
//! change the ETag of an object that was made of parts. Where the store cannot, or source and
//! target are in two stores, the bytes are streamed through the memory budget ([`relay`]). Every
//! form is bound to one version of the source ([`origin`]), and the copy is held against what the
//! store says of that version ([`compare`]). A copy in parts has a journal and is resumed like an
//! upload ([`earlier`]).

mod compare;
mod earlier;
mod in_parts;
mod layout;
mod one_request;
mod options;
mod origin;
mod relay;

use std::sync::Arc;

use haul_parts::limits::PUT_OBJECT_MAX_BYTES;
use haul_parts::{Checksum, ChecksumAlgorithm, ChecksumType, ETag, UploadId};
use serde::Serialize;

use self::earlier::Earlier;
use self::layout::Layout;
use self::origin::Origin;
use super::upload::{TOKEN_METADATA, UploadOptions};
use super::{Line, Progress, StopSignal, Transfer};
use crate::error::Error;
use crate::event::{Event, EventSender};
use crate::pace::Resources;
use crate::remote::{ObjectAttributes, ObjectRef, Operation, Store, StoreErrorKind};
use crate::source::{ObjectRecord, ObjectVersion};

pub use options::{CopyOptions, SourceStore};

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

async fn run(mut context: Context, mut stop: StopSignal) -> Result<CopyReport, Error> {
    let earlier = Earlier::find(&mut context)?;
    if let Some(name) = context.options.attributes.impossible_name() {
        return Err(Error::MetadataName { name: name.to_owned() });
    }
    if context.is_without_change() {
        return Err(Error::CopyOntoItself { object: context.target.clone() });
    }
    let prepared = tokio::select! {
        prepared = prepare(&context) => prepared,
        request = stop.stronger() => return Err(match earlier {
            Some(earlier) => earlier.stopped(&context, request).await,
            None => cancelled(&context),
        }),
    };
    let ((origin, layout), earlier) = match (prepared, earlier) {
        (Ok(prepared), None) => (prepared, None),
        (Ok(prepared), Some(earlier)) => {
            let earlier = earlier.still_good(&mut context, &prepared.0).await?;
            (prepared, earlier)
        }
        (Err(error), Some(earlier)) => return Err(earlier.failed(&context, error)),
        (Err(error), None) => return Err(error),
    };
    let size_bytes = origin.head().size_bytes;
    context.progress.set_size(size_bytes);
    if context.source_store.is_some() || earlier.as_ref().is_some_and(Earlier::is_streamed) {
        return relay::copy(&context, origin, layout, stop).await;
    }
    // What was begun in parts is continued in parts.
    let in_one_request =
        layout.is_none() && size_bytes <= PUT_OBJECT_MAX_BYTES && earlier.is_none();
    let copied = match &layout {
        None if in_one_request => one_request::copy(&context, &origin, stop.clone()).await,
        Some(layout) => in_parts::copy(&context, &origin, layout.clone(), stop.clone()).await,
        None => {
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
    /// The source as the command names it, in no version.
    fn place(&self) -> ObjectRecord {
        let SourceStore { name, connection } = &self.options.source_store;
        let store = match &self.source_store {
            Some(store) => name.clone().unwrap_or_else(|| store.endpoint()),
            None => self.store_name(),
        };
        let version = ObjectVersion { etag: ETag::new(""), size_bytes: 0, modified_at: None };
        ObjectRecord {
            object: self.source.clone(),
            store,
            version,
            connection: connection.clone(),
            streamed: false,
        }
    }

    /// The store of the target, the same from run to run.
    fn store_name(&self) -> String {
        let name = self.options.journal.as_ref().and_then(|journal| journal.store_name.clone());
        name.unwrap_or_else(|| self.resources.store.endpoint())
    }

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
            part_size_bytes: self.options.part_size_bytes,
            checksum: Some(comparable_algorithm(origin)),
            attributes,
            require_proof: self.options.require_proof,
            journal: self.options.journal.clone(),
            on_change: self.options.on_change,
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
