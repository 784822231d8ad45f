//! The source of a copy: the version that is copied, and the check that the object is still that
//! version.
//!
//! Every request names a strong ETag (`x-amz-copy-source-if-match`). Some stores ignore the
//! condition (Ceph RGW 16.2), and a weak or missing ETag cannot be named. So the source is queried
//! once more before the copy appears or, after CopyObject, if the copy does not prove itself.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use haul_parts::ETag;

use super::Context;
use crate::body::Bandwidth;
use crate::error::Error;
use crate::pace::RetryPolicy;
use crate::remote::{ObjectBody, ObjectHead, ObjectRef, Store, StoreError, StoreErrorKind};
use crate::source::{ObjectRecord, ObjectVersion};
use crate::transfer::download::version::Version;

pub(super) struct SourceObject {
    pub(super) store: Arc<dyn Store>,
    pub(super) object: ObjectRef,
    pub(super) retry: RetryPolicy,
    /// The limit on the bytes that are read of it.
    pub(super) bandwidth: Bandwidth,
    version: Version,
    /// Whether requests name the ETag; false after the store refused `If-Match` for an unchanged
    /// object.
    names_etag: AtomicBool,
    /// Whether the source is in another store than the copy.
    is_elsewhere: bool,
    /// The record by which a later run finds this version again.
    record: ObjectRecord,
}

impl SourceObject {
    /// Returns the current version of the source.
    pub(super) async fn find(context: &Context) -> Result<Self, Error> {
        let store = context.source_store.as_ref().unwrap_or(&context.resources.store);
        let retry = context.resources.retry.clone();
        let head = retry.run(|| store.head_object(&context.source)).await;
        let version = Version::of(head.map_err(|error| Error::of_store(&context.source, error))?);
        let version_of_journal = version_of(version.head());
        let record = ObjectRecord { version: version_of_journal, ..context.place() };
        Ok(Self {
            record,
            store: Arc::clone(store),
            object: context.source.clone(),
            retry,
            bandwidth: context.resources.meter.bandwidth().clone(),
            names_etag: AtomicBool::new(version.if_match().is_some()),
            version,
            is_elsewhere: context.is_elsewhere(),
        })
    }

    pub(super) fn head(&self) -> &ObjectHead {
        self.version.head()
    }

    /// Returns the record for a journal; `None` if the store gives nothing to distinguish versions
    /// by.
    pub(super) fn record(&self, streamed: bool) -> Option<ObjectRecord> {
        let version = &self.record.version;
        let telling = !version.etag.is_empty() || version.modified_at.is_some();
        telling.then(|| ObjectRecord { streamed, ..self.record.clone() })
    }

    /// Returns the name of the source for messages.
    pub(super) fn name(&self) -> String {
        if self.is_elsewhere {
            format!("{} at {}", self.object, self.store.endpoint())
        } else {
            self.object.to_string()
        }
    }

    /// Returns the value of `If-Match`, if one can be sent.
    pub(super) fn if_match(&self) -> Option<ETag> {
        self.version.if_match().filter(|_| self.names_etag.load(Ordering::Relaxed))
    }

    /// Stops sending the condition, because a proxy that weakens ETags makes every condition fail.
    /// Returns true on the first call, if a condition was sent before.
    pub(super) fn stop_naming_the_etag(&self) -> bool {
        self.names_etag.swap(false, Ordering::Relaxed)
    }

    /// Verifies that the source is still this version.
    ///
    /// # Errors
    /// [`Error::ObjectChanged`], which names both versions; [`Error::Store`] if the store does not
    /// answer.
    pub(super) async fn check_unchanged(&self) -> Result<(), Error> {
        let changed = |detail| Error::ObjectChanged { object: self.object.clone(), detail };
        match self.retry.run(|| self.store.head_object(&self.object)).await {
            Ok(head) => self.version.agrees(&head).map_err(changed),
            Err(error) if error.kind == StoreErrorKind::NoSuchKey => {
                Err(changed(format!("it was removed; its ETag was {}", self.head().etag)))
            }
            Err(error) => Err(Error::of_store(&self.object, error)),
        }
    }

    /// Checks that the answer to a GetObject is of this version. `Err` contains the difference.
    pub(super) fn is_of(&self, body: &ObjectBody) -> Result<(), String> {
        self.version.is_of(body)
    }

    /// Returns the tags of the source; none at a store without tags.
    ///
    /// # Errors
    /// The error of the request.
    pub(super) async fn tags(&self) -> Result<BTreeMap<String, String>, StoreError> {
        match self.retry.run(|| self.store.get_object_tagging(&self.object)).await {
            Err(error) if is_without_tags(&error) => Ok(BTreeMap::new()),
            answer => answer,
        }
    }
}

fn version_of(head: &ObjectHead) -> ObjectVersion {
    ObjectVersion {
        etag: head.etag.clone(),
        size_bytes: head.size_bytes,
        modified_at: head.last_modified.map(jiff::Timestamp::as_second),
    }
}

fn is_without_tags(error: &StoreError) -> bool {
    error.kind == StoreErrorKind::NotImplemented
        || matches!(error.status, Some(400 | 405))
        || error.code.as_deref() == Some("NoSuchTagSet")
}
