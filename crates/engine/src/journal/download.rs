//! What a journal remembers of a download, and the list of those that are unfinished.
//!
//! The bytes are in a temporary file beside the target; the journal says which of its ranges have
//! arrived and what their checksums are. A range counts only if it is read again and agrees: after
//! a power cut the file may hold less than the journal knows.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use haul_parts::{Checksum, ChecksumAlgorithm, ETag, Hasher, ObjectRef, PartNumber, PartPlan};
use serde::{Deserialize, Serialize};

use super::file::{Journal, JournalError};
use super::folder::JournalFolder;
use super::format;
use super::lock::is_locked;
use super::private;
use super::record::Record;
use crate::source::path_text;

/// Everything that must be the same when a download is continued. Never credentials.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DownloadBeginning {
    /// The object.
    pub object: ObjectRef,
    /// The version of it.
    pub version: ObjectVersion,
    /// At which store: its endpoint, or a name that stays the same where that does not.
    pub store: String,
    /// The file that it becomes, absolute.
    #[serde(with = "path_text")]
    pub target: PathBuf,
    /// The file that holds what has arrived.
    #[serde(with = "path_text")]
    pub temporary: PathBuf,
    /// Which bytes are which range.
    pub plan: PartPlan,
    /// How the caller connects, for `haul resume`; opaque to the engine, without secrets.
    #[serde(default)]
    pub connection: serde_json::Value,
    /// Seconds since 1970, by this machine's clock.
    pub begun_at: i64,
}

/// What tells one version of an object from another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectVersion {
    /// As the store gave it; may be empty.
    pub etag: ETag,
    /// Bytes of the object.
    pub size_bytes: u64,
    /// `Last-Modified`, seconds since 1970.
    pub modified_at: Option<i64>,
}

/// A range that is in the temporary file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RangeRecord {
    /// Which range of the plan, from 1.
    pub number: PartNumber,
    /// Of its bytes as they arrived.
    pub checksum: Checksum,
}

/// An unfinished download of this machine.
#[derive(Clone, Debug)]
pub struct DownloadSummary {
    /// The name of its journal: what `haul resume` and `haul abort` take.
    pub id: String,
    /// How it began.
    pub beginning: DownloadBeginning,
    /// Ranges that were recorded.
    pub ranges: BTreeMap<PartNumber, Checksum>,
    /// A process works on it now.
    pub running: bool,
    /// Which, if it runs.
    pub running_pid: Option<u32>,
    /// Why it stopped, if it stopped in good order.
    pub paused: Option<String>,
}

impl DownloadSummary {
    /// Bytes of the ranges that were recorded.
    pub fn arrived_bytes(&self) -> u64 {
        arrived_bytes(&self.beginning.plan, &self.ranges)
    }
}

fn arrived_bytes(plan: &PartPlan, ranges: &BTreeMap<PartNumber, Checksum>) -> u64 {
    ranges.keys().filter_map(|number| plan.part(*number)).map(|range| range.size_bytes).sum()
}

/// What an earlier run knew of its download.
#[derive(Clone, Debug)]
pub(crate) struct RememberedDownload {
    pub(crate) beginning: DownloadBeginning,
    pub(crate) ranges: BTreeMap<PartNumber, Checksum>,
    last_pid: Option<u32>,
    paused: Option<String>,
}

impl RememberedDownload {
    /// `None`: these are not the records of a download.
    pub(crate) fn fold(records: Vec<Record>) -> Option<Self> {
        let mut records = records.into_iter();
        let Some(Record::Downloading(beginning)) = records.next() else { return None };
        let mut folded =
            Self { beginning: *beginning, ranges: BTreeMap::new(), last_pid: None, paused: None };
        for record in records {
            match record {
                Record::Range(RangeRecord { number, checksum }) => {
                    folded.ranges.insert(number, checksum);
                }
                Record::Opened { pid } => (folded.last_pid, folded.paused) = (Some(pid), None),
                Record::Paused { reason } => folded.paused = Some(reason),
                _ => {}
            }
        }
        Some(folded)
    }
}

impl JournalFolder {
    /// Every unfinished download of this machine, oldest first. Files that cannot be read are left
    /// out: [`JournalFolder::unreadable`] has them.
    ///
    /// # Errors
    /// When the folder cannot be listed, or is another user's; a missing folder is empty.
    pub fn list_downloads(&self) -> Result<Vec<DownloadSummary>, JournalError> {
        let files = self.files()?.into_iter();
        let mut found: Vec<_> = files.filter_map(|(id, path)| summary(id, &path)).collect();
        found.sort_by_key(|summary| summary.beginning.begun_at);
        Ok(found)
    }

    /// The name of the journal of a download: the same for the same command, so that two processes
    /// meet at one file.
    pub fn download_id(target: &Path, store: &str, object: &ObjectRef) -> String {
        let mut hasher = Hasher::new(ChecksumAlgorithm::Sha256);
        hasher.update(b"download\0");
        hasher.update(target.as_os_str().as_encoded_bytes());
        hasher.update(format!("\0{store}\0{}\0{}", object.bucket, object.key).as_bytes());
        hasher.finish().bytes().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
    }

    /// Gives a download up: removes what has arrived of it, and its journal. `false`: there is no
    /// such download.
    ///
    /// # Errors
    /// [`JournalError::Locked`] while another process works on it; when a file cannot be removed.
    pub fn abandon_download(&self, id: &str) -> Result<bool, JournalError> {
        let Some(opened) = self.open_existing(id)? else { return Ok(false) };
        let Some(remembered) = RememberedDownload::fold(opened.records) else { return Ok(false) };
        opened.journal.remove_download(&remembered.beginning.temporary)?;
        Ok(true)
    }
}

impl Journal {
    /// Removes the journal, and the temporary file that it speaks of.
    pub(crate) fn remove_download(self, temporary: &Path) -> Result<(), JournalError> {
        // A link or another kind of file of that name is not ours.
        if std::fs::symlink_metadata(temporary).is_ok_and(|found| found.is_file()) {
            std::fs::remove_file(temporary).map_err(super::file::io_error("removed", temporary))?;
        }
        self.remove()
    }
}

fn summary(id: String, path: &Path) -> Option<DownloadSummary> {
    let records = format::decode(&private::read(path).ok()?).ok()?.records;
    let RememberedDownload { beginning, ranges, last_pid, paused } =
        RememberedDownload::fold(records)?;
    let running = is_locked(path);
    Some(DownloadSummary {
        id,
        beginning,
        ranges,
        running,
        running_pid: last_pid.filter(|_| running),
        paused,
    })
}
