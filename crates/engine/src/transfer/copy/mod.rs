//! Copies objects from store to store.
//!
//! The store moves the bytes if it can: with CopyObject for an object of at most 5 GiB that was put
//! in one request, and with UploadPartCopy for every other object, with the same parts as the
//! source, because CopyObject would change the ETag of an object that consists of parts. If the
//! store cannot copy, or if source and target are in two stores, the bytes are streamed through the
//! memory budget ([`relay`]). Each method is bound to one version of the source ([`origin`]), and
//! the copy is compared with the store's properties of that version ([`compare`]). A copy in parts
//! has a journal and is resumed like an upload ([`earlier`]).

mod compare;
mod earlier;
mod in_parts;
mod layout;
mod one_request;
mod options;
mod origin;
mod relay;

use std::sync::Arc;

use haul_parts::{Checksum, ChecksumAlgorithm, ChecksumType, ETag, UploadId};
use serde::Serialize;

use self::earlier::Earlier;
use self::layout::SourceLayout;
use self::origin::SourceObject;
use super::upload::{TOKEN_METADATA, UploadOptions};
use super::{Line, Progress, StopSignal, Transfer};
use crate::error::Error;
use crate::event::{Event, EventSender};
use crate::pace::Resources;
use crate::remote::{ObjectAttributes, ObjectRef, Operation, Store, StoreErrorKind};
use crate::source::{ObjectRecord, ObjectVersion};

pub use options::{CopyOptions, SourceStore};

/// The result of a finished copy.
#[derive(Clone, Debug)]
pub struct CopyReport {
    /// The source object.
    pub source: ObjectRef,
    /// The target object.
    pub object: ObjectRef,
    /// The length of the object in bytes.
    pub size_bytes: u64,
    /// The ETag that the store returned.
    pub etag: ETag,
    /// The method that moved the bytes.
    pub method: CopyMethod,
    /// Number of parts; 1 for a single request.
    pub part_count: u32,
    /// The id of the multipart upload; `None` for a single request.
    pub upload_id: Option<UploadId>,
    /// The evidence that the copy equals its source.
    pub proof: CopyProof,
    /// The checksum of the copy, if the store or the parts give one.
    pub checksum: Option<Checksum>,
}

/// The method that moves the bytes of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CopyMethod {
    /// The store copied the object in one CopyObject.
    CopyObject,
    /// The store copied the object in parts, with UploadPartCopy.
    UploadPartCopy,
    /// Haul read the object from one store and sent it to the other.
    Streamed,
}

/// The evidence that a copy equals its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CopyProof {
    /// Both have the same checksum of the full object.
    Checksum,
    /// Both have the same ETag.
    ETag,
    /// The store returned no value that could be compared.
    Unproven,
}

/// One copy: its source, its target, and the resources that it shares with other transfers.
struct Context {
    resources: Resources,
    /// The connection for reading the source; `None`: the target's.
    source_store: Option<Arc<dyn Store>>,
    source: ObjectRef,
    target: ObjectRef,
    options: CopyOptions,
    events: EventSender,
    progress: Progress,
}

/// Starts a copy of `source` to `target` with the shared resources of an engine. The source is in
/// `source_store`, or in the target's store if that is `None`.
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
    let profile = context.resources.store.profile();
    context.options.limits.get_or_insert(profile.limits);
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
    // A copy that an earlier run began in parts is resumed in parts.
    let in_one_request =
        layout.is_none() && size_bytes <= profile.copy_object_max_bytes && earlier.is_none();
    let store_copies = in_one_request || !profile.upload_part_copy.is_missing();
    if context.is_elsewhere() || !store_copies || earlier.as_ref().is_some_and(Earlier::is_streamed)
    {
        return Box::pin(relay::copy(&context, origin, layout, stop)).await;
    }
    let copied = match &layout {
        None if in_one_request => one_request::copy(&context, &origin, stop.clone()).await,
        Some(layout) => {
            Box::pin(in_parts::copy(&context, &origin, layout.clone(), stop.clone())).await
        }
        None => {
            let layout = SourceLayout::chosen(&context.source, size_bytes, &context.options)?;
            Box::pin(in_parts::copy(&context, &origin, layout, stop.clone())).await
        }
    };
    match copied {
        Err(error) if is_unsupported(&error) || is_refused_encrypted(&error, &origin) => {
            let reason =
                "the store does not copy by itself: the bytes are streamed through this machine";
            context.events.send(Event::Restarting { reason: reason.into() });
            Box::pin(relay::copy(&context, origin, layout, stop)).await
        }
        copied => copied,
    }
}

/// Queries the source: its version, and its parts.
async fn prepare(context: &Context) -> Result<(Arc<SourceObject>, Option<SourceLayout>), Error> {
    let origin = SourceObject::find(context).await?;
    let layout = match context.options.part_size_bytes {
        Some(part) if part >= origin.head().size_bytes => None,
        Some(_) => {
            Some(SourceLayout::chosen(&context.source, origin.head().size_bytes, &context.options)?)
        }
        None => SourceLayout::of_source(&origin, &context.options.limits.unwrap_or_default()).await,
    };
    Ok((Arc::new(origin), layout))
}

impl Context {
    /// Returns the source as the command names it, without a version.
    fn place(&self) -> ObjectRecord {
        let SourceStore { name, connection } = &self.options.source_store;
        let store = match &self.source_store {
            Some(store) if self.is_elsewhere() => name.clone().unwrap_or_else(|| store.endpoint()),
            _ => self.store_name(),
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

    /// Returns the name of the target's store, which is the same from run to run.
    fn store_name(&self) -> String {
        let name = self.options.journal.as_ref().and_then(|journal| journal.store_name.clone());
        name.unwrap_or_else(|| self.resources.store.endpoint())
    }

    /// Returns whether the source is in another store than the target, so that the bytes pass
    /// through this machine.
    fn is_elsewhere(&self) -> bool {
        self.source_store.is_some() && !self.options.source_is_at_target
    }

    /// Returns true if an object would be copied onto itself without any change, which S3 refuses.
    fn is_without_change(&self) -> bool {
        !self.is_elsewhere()
            && self.source == self.target
            && self.options.attributes == ObjectAttributes::default()
    }

    /// Returns whether the copy has other attributes than its source.
    fn replaces_attributes(&self) -> bool {
        let wanted = &self.options.attributes;
        // Requests have these beside the attributes of the source.
        let beside = ObjectAttributes {
            storage_class: wanted.storage_class.clone(),
            protection: wanted.protection.clone(),
            ..ObjectAttributes::default()
        };
        *wanted != beside
    }

    /// Returns the attributes of the copy for requests that must state every field.
    fn carried(
        &self,
        origin: &SourceObject,
        tags: &std::collections::BTreeMap<String, String>,
    ) -> ObjectAttributes {
        let (wanted, kept) = (&self.options.attributes, &origin.head().attributes);
        let either = |wanted: &Option<String>, kept: &Option<String>| {
            wanted.clone().or_else(|| kept.clone())
        };
        let mut metadata =
            if wanted.metadata.is_empty() { &kept.metadata } else { &wanted.metadata }.clone();
        // The token identifies the upload of the source.
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
            protection: wanted.protection.clone(),
        }
    }

    /// Returns the checksum of a copy in parts: one that can be compared with the source's, unless
    /// the store refuses it.
    fn checksum(&self, origin: &SourceObject) -> Option<ChecksumAlgorithm> {
        self.resources.store.profile().default_checksum(comparable_algorithm(origin))
    }

    /// Returns the options of the upload that makes a copy in parts.
    fn upload_options(&self, origin: &SourceObject, attributes: ObjectAttributes) -> UploadOptions {
        UploadOptions {
            part_size_bytes: self.options.part_size_bytes,
            checksum: self.checksum(origin),
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

/// Returns the checksum algorithm by which a copy in parts can be compared with its source.
fn comparable_algorithm(origin: &SourceObject) -> ChecksumAlgorithm {
    match origin.head().checksum {
        Some((checksum, ChecksumType::FullObject)) if checksum.algorithm().combines() => {
            checksum.algorithm()
        }
        _ => ChecksumAlgorithm::Crc64Nvme,
    }
}

/// Returns whether the store does not support the request: 501, or 405 from proxies and older
/// stores.
fn is_unsupported(error: &Error) -> bool {
    let Error::Store { source, .. } = error else { return false };
    matches!(source.operation, Operation::CopyObject | Operation::UploadPartCopy)
        && (source.kind == StoreErrorKind::NotImplemented || source.status == Some(405))
}

/// Returns whether the store refused to copy an object because it is encrypted: Ceph RGW 16.2
/// compares the source's key of the customer with the MD5 of the copy's, and answers 400
/// `InvalidArgument`. If a key is wrong indeed, reading the source fails too.
fn is_refused_encrypted(error: &Error, origin: &SourceObject) -> bool {
    let Error::Store { source, .. } = error else { return false };
    matches!(source.operation, Operation::CopyObject | Operation::UploadPartCopy)
        && source.code.as_deref() == Some("InvalidArgument")
        && origin.head().etag_is_opaque
}

fn cancelled(context: &Context) -> Error {
    Error::Cancelled { object: context.target.clone() }
}
