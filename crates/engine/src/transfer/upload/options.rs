//! The options of an upload, with defaults for most uses.

use std::time::Duration;

use haul_parts::limits::MIB;
use haul_parts::{ChecksumAlgorithm, ETag, Limits};

use crate::journal::JournalFolder;
use crate::remote::ObjectAttributes;

/// The default threshold in bytes: smaller sources are sent as one PutObject.
pub const DEFAULT_MULTIPART_THRESHOLD_BYTES: u64 = 16 * MIB;

/// Options of an upload. Construct with `..Default::default()`.
#[derive(Clone, Debug)]
pub struct UploadOptions {
    /// Size in bytes of every part but the last; `None`: chosen from the length.
    pub part_size_bytes: Option<u64>,
    /// Chooses larger parts on links with long round trips
    /// ([`Limits::for_round_trip`](haul_parts::Limits::for_round_trip)), if no size is given. The
    /// ETag of the object then depends on the link.
    pub part_size_by_round_trip: bool,
    /// Sources with fewer bytes are sent as one PutObject, unless a smaller part size is given.
    pub multipart_threshold_bytes: u64,
    /// Maximum number of parts in flight, if it is lower than the engine's
    /// [`concurrency`](crate::EngineOptions::concurrency).
    pub concurrency: Option<u32>,
    /// The checksum sent with every part and verified by the store; `None`: only the MD5 in the
    /// ETag is compared. In place of the default (CRC64NVME) another one is sent, or none, if the
    /// store's profile says that it does not verify it; another algorithm that it refuses is an
    /// error.
    pub checksum: Option<ChecksumAlgorithm>,
    /// Treat a part that cannot be proven as an error.
    pub require_proof: bool,
    /// Attributes of the object, such as its content type and metadata.
    pub attributes: ObjectAttributes,
    /// The attributes that the caller insists on: an unfinished upload that was begun with others
    /// is not resumed, but an error. Those that clients guess are not among them; `None`: every
    /// unfinished upload keeps its attributes.
    pub required: Option<ObjectAttributes>,
    /// Send `If-None-Match: *`: fail if the object exists.
    pub if_none_match: bool,
    /// Send `If-Match`: fail unless the object is still this version.
    pub if_match: Option<ETag>,
    /// Limits of the store; `None`: those of its profile.
    pub limits: Option<Limits>,
    /// How long to retry the removal of the parts of a failed upload.
    pub abort_patience: Duration,
    /// The journal, so that the upload can be resumed after a crash; `None`: no journal, and a
    /// failed upload is aborted. Only sources with an identity (files) can have a journal.
    pub journal: Option<JournalOptions>,
    /// What to do if the source has changed when a recorded upload is resumed.
    pub on_change: OnChange,
    /// What to do about unfinished uploads of the key that no journal records.
    pub unfinished: Unfinished,
    /// How long a pause waits for the parts in flight.
    pub pause_grace: Duration,
}

impl UploadOptions {
    /// Returns whether a source of this length is sent in parts.
    pub(crate) fn in_parts(&self, size_bytes: u64) -> bool {
        // An object put in one request is visible before it can be verified, so it is sent in parts
        // if proof is required.
        let in_one_piece = size_bytes == 0
            || (size_bytes < self.multipart_threshold_bytes
                && !self.require_proof
                && self.part_size_bytes.is_none_or(|part| part >= size_bytes));
        !in_one_piece
    }
}

/// The journal of an upload.
#[derive(Clone, Debug)]
pub struct JournalOptions {
    /// The folder of all journals.
    pub folder: JournalFolder,
    /// A name of the store that is the same from run to run; `None`: its endpoint. A store whose
    /// port changes needs a name.
    pub store_name: Option<String>,
    /// The caller's data for connecting again; stored in the journal, so it must not contain
    /// secrets.
    pub connection: serde_json::Value,
    /// The choice of the journal in the folder.
    pub choice: JournalChoice,
}

/// Selects the journal of an upload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum JournalChoice {
    /// The journal of its source and target, created if there is none.
    #[default]
    OfSource,
    /// The journal with this id, which must exist; it is used even if its source has another name
    /// now. The options recorded at its beginning apply.
    Given(String),
    /// The journal with this id, created if there is none; no other journal is read. This is for
    /// each of many uploads: reading all journals for every one of them would be quadratic.
    Named(String),
}

/// What to do about a source that changed between two runs (P4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnChange {
    /// Compare every part again and send those that differ.
    #[default]
    Resend,
    /// Fail with an error that names the change.
    Fail,
}

/// What to do about unfinished uploads of the same key that are at the store and in no journal:
/// those of another machine or another tool, or our own after the journal was lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unfinished {
    /// Do not look for them.
    #[default]
    Ignore,
    /// Report them ([`crate::Event::UnfinishedFound`]) and begin a new upload. This costs one
    /// request; if it fails, the upload is not affected.
    Report,
    /// Compare their parts with the source and continue the upload that has most of it, provided
    /// that more of its bytes are proven than not; the others are not touched. The attributes and
    /// the checksum of the object remain those set by the upload's Create. After a failure the
    /// parts are kept, if there is a journal.
    Adopt,
}

impl Default for UploadOptions {
    fn default() -> Self {
        Self {
            part_size_bytes: None,
            part_size_by_round_trip: false,
            multipart_threshold_bytes: DEFAULT_MULTIPART_THRESHOLD_BYTES,
            concurrency: None,
            checksum: Some(ChecksumAlgorithm::Crc64Nvme),
            require_proof: false,
            attributes: ObjectAttributes::default(),
            required: None,
            if_none_match: false,
            if_match: None,
            limits: None,
            abort_patience: Duration::from_secs(60),
            journal: None,
            on_change: OnChange::default(),
            unfinished: Unfinished::default(),
            pause_grace: Duration::from_secs(5),
        }
    }
}
