//! The records of a journal, in the order in which they are written.

use haul_parts::{Checksum, ChecksumAlgorithm, ChecksumType, ETag, PartNumber, UploadId};
use serde::{Deserialize, Serialize};

use super::download::{DownloadBeginning, RangeRecord};
use super::plan::RecordedPlan;
use crate::proof::Proof;
use crate::remote::{ObjectAttributes, ObjectRef};
use crate::source::SourceRecord;

/// One entry of a journal. Fields may be added with a default; a reader skips kinds that it does
/// not know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Record {
    /// First record of a download: synced before its first byte is written.
    Downloading(Box<DownloadBeginning>),
    /// A range of a download is in the temporary file.
    Range(RangeRecord),
    /// First record of an upload: synced before Create is sent.
    Begun(Box<Beginning>),
    /// A process opened the upload. The last such record names the holder of the lock.
    Opened {
        /// The id of the process.
        pid: u32,
    },
    /// Create was answered: synced before the first part is sent.
    Created {
        /// The id of the upload.
        upload_id: UploadId,
        /// Whether the store knows our checksum algorithm: it echoed it at Create, or lists it.
        declared: bool,
        /// The checksum type, if it is not Haul's own choice: of an upload that another tool began.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        checksum_type: Option<ChecksumType>,
    },
    /// A part has arrived, with its proof.
    Part(PartRecord),
    /// The source has a new version; parts recorded before are compared with it.
    SourceChanged {
        /// The new version of the source.
        source: SourceRecord,
        /// The plan for its length.
        plan: RecordedPlan,
    },
    /// The same version of the source has a new name; parts recorded before still count.
    SourceMoved {
        /// The source with its new name.
        source: SourceRecord,
    },
    /// A later run has other conditions, or requires proof: these apply from now on.
    Conditions {
        /// The condition `If-None-Match: *`.
        if_none_match: bool,
        /// The condition of `If-Match`.
        if_match: Option<ETag>,
        /// Whether an unproven part is an error.
        require_proof: bool,
    },
    /// Complete is about to be sent: from now on the object may exist.
    Completing,
    /// A process stopped regularly.
    Paused {
        /// The reason, for a person.
        reason: String,
    },
    /// A record of a newer Haul.
    #[serde(other)]
    Unknown,
}

/// The parameters that must stay the same when an upload is resumed. Never credentials.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beginning {
    /// The source of the upload.
    pub source: SourceRecord,
    /// The target of the upload.
    pub object: ObjectRef,
    /// The store: its endpoint, or a name that stays the same if the endpoint does not.
    pub store: String,
    /// The division of the object into parts.
    pub plan: RecordedPlan,
    /// The requested part size in bytes, if there was one.
    #[serde(default)]
    pub part_size_bytes: Option<u64>,
    /// The checksum algorithm of the parts.
    pub checksum: Option<ChecksumAlgorithm>,
    /// The attributes of the object.
    pub attributes: ObjectAttributes,
    /// The condition `If-None-Match: *`.
    #[serde(default)]
    pub if_none_match: bool,
    /// The condition of `If-Match`.
    #[serde(default)]
    pub if_match: Option<ETag>,
    /// Whether an unproven part is an error.
    #[serde(default)]
    pub require_proof: bool,
    /// A token in the object's metadata that identifies a Complete whose answer was lost. Empty for
    /// an adopted upload: its creator used no token, or the token is lost.
    pub token: String,
    /// The caller's connection settings, for `haul resume`; opaque to the engine, without secrets.
    #[serde(default)]
    pub connection: serde_json::Value,
    /// The start in seconds since 1970, by this machine's clock.
    pub begun_at: i64,
    /// The starts of earlier attempts whose Create got no answer: each may have left an upload
    /// without parts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unanswered: Vec<i64>,
}

/// A part that the store acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartRecord {
    /// The part number, 1..=10,000.
    pub number: PartNumber,
    /// The length in bytes.
    pub size_bytes: u64,
    /// The ETag as the store returned it.
    pub etag: ETag,
    /// The checksum of the bytes read.
    pub checksum: Option<Checksum>,
    /// The proof that the stored bytes are right.
    pub proof: Proof,
}
