//! The options of a copy, with defaults for most uses.

use std::time::Duration;

use haul_parts::{ETag, Limits};

use crate::remote::ObjectAttributes;
use crate::transfer::upload::{JournalOptions, OnChange, UploadOptions};

/// Options of a copy. Construct with `..Default::default()`.
#[derive(Clone, Debug)]
pub struct CopyOptions {
    /// Attributes that replace those of the source, field by field: `None` or empty keeps the
    /// source's value. The storage class and the website redirect are never inherited.
    pub attributes: ObjectAttributes,
    /// Size in bytes of every part but the last. `None`: the same parts as the source or, if those
    /// are unknown, a size chosen from the length.
    pub part_size_bytes: Option<u64>,
    /// Treat a copy that cannot be proven as an error. A copy made by CopyObject already exists at
    /// the store at that point.
    pub require_proof: bool,
    /// Send `If-None-Match: *`: fail if the target exists.
    pub if_none_match: bool,
    /// Send `If-Match`: fail unless the target is still this version.
    pub if_match: Option<ETag>,
    /// Limits of the target's store; `None`: those of its profile.
    pub limits: Option<Limits>,
    /// How long to retry the removal of the parts of a failed copy.
    pub abort_patience: Duration,
    /// How long a stop waits for the parts in flight, or for the answer to a CopyObject.
    pub pause_grace: Duration,
    /// The journal of a copy in parts, so that it can be resumed after a crash; `None`: no journal,
    /// and a failed copy is aborted. A copy in one request has no journal.
    pub journal: Option<JournalOptions>,
    /// The store of the source, for the journal, if it differs from the target's store.
    pub source_store: SourceStore,
    /// Whether the source's store is that of the target, connected to with other request headers
    /// (another key, another expected owner): it can copy by itself.
    pub source_is_at_target: bool,
    /// What to do if the source has changed since a recorded copy began. No part of the earlier
    /// version is kept: [`OnChange::Resend`] restarts the copy.
    pub on_change: OnChange,
}

/// The data that a later run needs to connect to the source's store again.
#[derive(Clone, Debug, Default)]
pub struct SourceStore {
    /// A name of that store that stays the same from run to run; `None`: its endpoint.
    pub name: Option<String>,
    /// The caller's data for connecting to it again; stored in the journal, so it must not contain
    /// secrets.
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
            source_is_at_target: false,
            on_change: upload.on_change,
        }
    }
}
