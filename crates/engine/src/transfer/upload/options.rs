//! What a caller may choose about an upload, with defaults that are right for most.

use std::time::Duration;

use haul_parts::limits::MIB;
use haul_parts::{ChecksumAlgorithm, ETag, Limits};

use crate::journal::JournalFolder;
use crate::remote::ObjectAttributes;

/// Sources below this go as one PutObject.
pub const DEFAULT_MULTIPART_THRESHOLD_BYTES: u64 = 16 * MIB;

/// How to upload. Construct with `..Default::default()`.
#[derive(Clone, Debug)]
pub struct UploadOptions {
    /// Bytes of every part but the last; `None`: chosen from the length.
    pub part_size_bytes: Option<u64>,
    /// Sources below this go as one PutObject, unless a part size was asked for that is smaller.
    pub multipart_threshold_bytes: u64,
    /// Most parts in flight at once, where that is to be less than the engine's
    /// [`concurrency`](crate::EngineOptions::concurrency).
    pub concurrency: Option<u32>,
    /// What is sent with every part and checked by the store; `None`: nothing, only the MD5 in the
    /// ETag is compared.
    pub checksum: Option<ChecksumAlgorithm>,
    /// What cannot be proven is an error.
    pub require_proof: bool,
    /// What the object carries beside its bytes.
    pub attributes: ObjectAttributes,
    /// `If-None-Match: *`: fail if the object exists.
    pub if_none_match: bool,
    /// `If-Match`: fail unless the object is still this version.
    pub if_match: Option<ETag>,
    /// What the store takes.
    pub limits: Limits,
    /// How long to try to remove the parts of a failed upload.
    pub abort_patience: Duration,
    /// Where to remember the upload, so that it can go on after a crash; `None`: nowhere, and
    /// whatever fails is aborted. Only sources with an identity (files) can be remembered.
    pub journal: Option<JournalOptions>,
    /// When a remembered upload goes on and the source is another version now.
    pub on_change: OnChange,
    /// What to do about unfinished uploads of the key that no journal remembers.
    pub unfinished: Unfinished,
    /// How long a pause waits for the parts in flight.
    pub pause_grace: Duration,
}

impl UploadOptions {
    /// Whether a source of this length is sent in parts.
    pub(crate) fn in_parts(&self, size_bytes: u64) -> bool {
        // What is put in one piece is visible before it can be judged: a caller who insists on
        // proof gets parts.
        let in_one_piece = size_bytes == 0
            || (size_bytes < self.multipart_threshold_bytes
                && !self.require_proof
                && self.part_size_bytes.is_none_or(|part| part >= size_bytes));
        !in_one_piece
    }
}

/// Where an upload is remembered.
#[derive(Clone, Debug)]
pub struct JournalOptions {
    /// The folder of all journals.
    pub folder: JournalFolder,
    /// A name of the store that stays the same from run to run; `None`: its endpoint. An endpoint
    /// on a port that changes needs one.
    pub store_name: Option<String>,
    /// How to connect again, in the caller's words; kept in the journal, so without secrets.
    pub connection: serde_json::Value,
    /// Which journal of the folder.
    pub choice: JournalChoice,
}

/// Which journal an upload has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum JournalChoice {
    /// The one of its source and target, made if there is none.
    #[default]
    OfSource,
    /// This one, which must exist, whatever its source is called now. What was recorded when it was
    /// begun holds.
    Given(String),
    /// This one, made if there is none; no other journal is looked at. For one of many uploads,
    /// because looking at all journals for each of them would be quadratic.
    Named(String),
}

/// What to do about a source that changed between two runs (P4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnChange {
    /// Compare every part anew and send those that differ.
    #[default]
    Resend,
    /// Fail, saying so.
    Fail,
}

/// What to do about unfinished uploads of the same key that are at the store and in no journal:
/// another machine's, another tool's, or our own after the journal was lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unfinished {
    /// Do not look for them.
    #[default]
    Ignore,
    /// Say that there are some ([`crate::Event::UnfinishedFound`]) and begin anew. Costs one
    /// request, whose failure is no failure of the upload.
    Report,
    /// Compare their parts with the source and go on with the one that has most of it, if more of
    /// its bytes are proven to be the source's than not; the others are not touched. Attributes and
    /// checksum of the object stay those with which it was begun. What fails then keeps the parts,
    /// if there is a journal.
    Adopt,
}

impl Default for UploadOptions {
    fn default() -> Self {
        Self {
            part_size_bytes: None,
            multipart_threshold_bytes: DEFAULT_MULTIPART_THRESHOLD_BYTES,
            concurrency: None,
            checksum: Some(ChecksumAlgorithm::Crc64Nvme),
            require_proof: false,
            attributes: ObjectAttributes::default(),
            if_none_match: false,
            if_match: None,
            limits: Limits::AWS,
            abort_patience: Duration::from_secs(60),
            journal: None,
            on_change: OnChange::default(),
            unfinished: Unfinished::default(),
            pause_grace: Duration::from_secs(5),
        }
    }
}
