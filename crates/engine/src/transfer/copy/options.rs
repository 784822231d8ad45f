//! What a caller may choose about a copy, with defaults that are right for most.

use std::time::Duration;

use haul_parts::{ETag, Limits};

use crate::remote::ObjectAttributes;
use crate::transfer::upload::{JournalOptions, OnChange, UploadOptions};

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
    /// How long a stop waits for the parts in flight, or for the answer to a CopyObject.
    pub pause_grace: Duration,
    /// Where to remember a copy that is made in parts, so that it can be resumed after a crash;
    /// `None`: nowhere, and whatever fails is aborted. A copy in one request has no journal.
    pub journal: Option<JournalOptions>,
    /// For the journal: how to find the store of a source that is not in that of the target.
    pub source_store: SourceStore,
    /// When a remembered copy is resumed and the source is another version now. No part of the
    /// earlier version is kept: with [`OnChange::Resend`] the copy begins again.
    pub on_change: OnChange,
}

/// How a later run finds the store of a source again.
#[derive(Clone, Debug, Default)]
pub struct SourceStore {
    /// A name of that store that stays the same from run to run; `None`: its endpoint.
    pub name: Option<String>,
    /// How to connect to it again, in the caller's words; kept in the journal, so without secrets.
    pub connection: serde_json::Value,
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
            journal: None,
            source_store: SourceStore::default(),
            on_change: upload.on_change,
        }
    }
}
