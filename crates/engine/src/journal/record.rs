//! What a journal remembers, in the order in which it happens.

use haul_parts::{Checksum, ChecksumAlgorithm, ChecksumType, ETag, PartNumber, PartPlan, UploadId};
use serde::{Deserialize, Serialize};

use super::download::{DownloadBeginning, RangeRecord};
use crate::proof::Proof;
use crate::remote::{ObjectAttributes, ObjectRef};
use crate::source::SourceRecord;

/// One entry of a journal. Fields may be added with a default; a reader skips kinds that it does
/// not know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Record {
    /// Of a download, always the first: synced before its first byte is written.
    Downloading(Box<DownloadBeginning>),
    /// Of a download: a range is in the temporary file.
    Range(RangeRecord),
    /// Of an upload, always the first: synced before Create is sent.
    Begun(Box<Beginning>),
    /// A process took the upload up. The last one names who holds the lock.
    Opened {
        /// Of the process.
        pid: u32,
    },
    /// Create was answered: synced before the first part is sent.
    Created {
        /// The store's name for the upload.
        upload_id: UploadId,
        /// The store knows our checksum algorithm: it echoed it at Create, or lists it.
        declared: bool,
        /// How the object's checksum is made of those of the parts, where that is not Haul's own
        /// choice: of an upload that somebody else began.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        checksum_type: Option<ChecksumType>,
    },
    /// A part is at the store, and how that is known.
    Part(PartRecord),
    /// The source is another version now; parts recorded before are compared anew.
    SourceChanged {
        /// As it is now.
        source: SourceRecord,
        /// For its length.
        plan: PartPlan,
    },
    /// The same version of the source has another name now: parts recorded before still count.
    SourceMoved {
        /// As it is called now.
        source: SourceRecord,
    },
    /// A later run asks for other conditions, or for proof: these hold from here on.
    Conditions {
        /// `If-None-Match: *`.
        if_none_match: bool,
        /// The condition of `If-Match`.
        if_match: Option<ETag>,
        /// What cannot be proven is an error.
        require_proof: bool,
    },
    /// Complete is about to be sent: from here on the object may be there.
    Completing,
    /// A process let go of the upload in good order.
    Paused {
        /// For a person.
        reason: String,
    },
    /// Written by a newer Haul.
    #[serde(other)]
    Unknown,
}

/// Everything that must be the same when an upload goes on. Never credentials.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beginning {
    /// Where from.
    pub source: SourceRecord,
    /// Where to.
    pub object: ObjectRef,
    /// Which store: its endpoint, or a name that stays the same where that does not.
    pub store: String,
    /// Which bytes are which part.
    pub plan: PartPlan,
    /// The part size that was asked for, if one was.
    #[serde(default)]
    pub part_size_bytes: Option<u64>,
    /// What proves each part.
    pub checksum: Option<ChecksumAlgorithm>,
    /// What the object carries.
    pub attributes: ObjectAttributes,
    /// `If-None-Match: *`.
    #[serde(default)]
    pub if_none_match: bool,
    /// The condition of `If-Match`.
    #[serde(default)]
    pub if_match: Option<ETag>,
    /// What cannot be proven is an error.
    #[serde(default)]
    pub require_proof: bool,
    /// Own token in the object's metadata: recognises a Complete whose answer was lost. Empty for
    /// an upload that was adopted: whoever began it knew nothing of tokens, or the token is lost.
    pub token: String,
    /// How the caller connects, for `haul resume`; opaque to the engine, without secrets.
    #[serde(default)]
    pub connection: serde_json::Value,
    /// Seconds since 1970, by this machine's clock.
    pub begun_at: i64,
    /// The same of earlier tries to begin it whose Create got no answer: each may have left an
    /// upload without parts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unanswered: Vec<i64>,
}

/// A part that the store acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartRecord {
    /// The part number, 1..=10,000.
    pub number: PartNumber,
    /// Its length.
    pub size_bytes: u64,
    /// As the store gave it.
    pub etag: ETag,
    /// Of the bytes that were read.
    pub checksum: Option<Checksum>,
    /// How it is known to be right.
    pub proof: Proof,
}
