//! The journal of a download, and the list of unfinished downloads.
//!
//! The bytes are in a temporary file beside the target; the journal lists the ranges that have
//! arrived with their checksums. A range counts only if it is read again and its checksum matches:
//! after a power cut the file may have less than the journal lists.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use haul_parts::{Checksum, ChecksumAlgorithm, Hasher, ObjectRef, PartNumber, PartPlan};
use serde::{Deserialize, Serialize};

use super::file::{Journal, JournalError};
use super::folder::JournalFolder;
use super::format;
use super::lock::is_locked;
use super::private;
use super::record::Record;
use crate::source::{ObjectVersion, path_text};

/// The parameters that must stay the same when a download is resumed. Never credentials.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DownloadBeginning {
    /// The object to download.
    pub object: ObjectRef,
    /// The version of the object.
    pub version: ObjectVersion,
    /// The store: its endpoint, or a name that stays the same if the endpoint does not.
    pub store: String,
    /// The absolute path of the target file.
    #[serde(with = "path_text")]
    pub target: PathBuf,
    /// The absolute path of the temporary file.
    #[serde(with = "path_text")]
    pub temporary: PathBuf,
    /// The division of the object into ranges.
    pub plan: PartPlan,
    /// The MD5 of the customer's key (SSE-C) that the store needs for the object, in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_key_md5: Option<String>,
    /// The caller's connection settings, for `haul resume`; opaque to the engine, without secrets.
    #[serde(default)]
    pub connection: serde_json::Value,
    /// The start in seconds since 1970, by this machine's clock.
    pub begun_at: i64,
}

/// A range that is in the temporary file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RangeRecord {
    /// The number of the range in the plan, from 1.
    pub number: PartNumber,
    /// The checksum of its bytes as they arrived.
    pub checksum: Checksum,
}

/// An unfinished download of this machine.
#[derive(Clone, Debug)]
pub struct DownloadSummary {
    /// The id of its journal, for `haul resume` and `haul abort`.
    pub id: String,
    /// The parameters of the download.
    pub beginning: DownloadBeginning,
    /// The ranges that were recorded.
    pub ranges: BTreeMap<PartNumber, Checksum>,
    /// Whether a process holds it now.
    pub running: bool,
    /// The id of that process.
    pub running_pid: Option<u32>,
    /// The reason why it stopped, if it stopped regularly.
    pub paused: Option<String>,
}

impl DownloadSummary {
    /// Returns the bytes of the recorded ranges.
    pub fn arrived_bytes(&self) -> u64 {
        arrived_bytes(&self.beginning.plan, &self.ranges)
    }
}

fn arrived_bytes(plan: &PartPlan, ranges: &BTreeMap<PartNumber, Checksum>) -> u64 {
    ranges.keys().filter_map(|number| plan.part(*number)).map(|range| range.size_bytes).sum()
}

/// The state of a download restored from its journal.
#[derive(Clone, Debug)]
pub(crate) struct RememberedDownload {
    pub(crate) beginning: DownloadBeginning,
    pub(crate) ranges: BTreeMap<PartNumber, Checksum>,
    last_pid: Option<u32>,
    paused: Option<String>,
}

impl RememberedDownload {
    /// Folds the records; `None` if they are not those of a download.
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
    /// Lists every unfinished download of this machine, oldest first. Skips unreadable files:
    /// [`JournalFolder::unreadable`] has them.
    ///
    /// # Errors
    /// The folder cannot be listed, or belongs to another user; a missing folder is empty.
    pub fn list_downloads(&self) -> Result<Vec<DownloadSummary>, JournalError> {
        let files = self.files()?.into_iter();
        let mut found: Vec<_> = files.filter_map(|(id, path)| summary(id, &path)).collect();
        // Several can begin in one second; their order must not depend on the file system.
        found.sort_by(|one, other| {
            (one.beginning.begun_at, &one.id).cmp(&(other.beginning.begun_at, &other.id))
        });
        Ok(found)
    }

    /// Returns the unfinished download with this journal.
    pub(crate) fn find_download(&self, id: &str) -> Option<DownloadSummary> {
        summary(id.to_owned(), &self.file_of(id))
    }

    /// Returns the name of a download's journal: the same for the same command, so that two
    /// processes meet at one file.
    pub fn download_id(target: &Path, store: &str, object: &ObjectRef) -> String {
        let mut hasher = Hasher::new(ChecksumAlgorithm::Sha256);
        hasher.update(b"download\0");
        hasher.update(target.as_os_str().as_encoded_bytes());
        hasher.update(format!("\0{store}\0{}\0{}", object.bucket, object.key).as_bytes());
        hasher.finish().bytes().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
    }

    /// Abandons a download: removes the arrived bytes and its journal. `false`: there is no such
    /// download.
    ///
    /// # Errors
    /// [`JournalError::Locked`] while another process holds it; a file cannot be removed.
    pub fn abandon_download(&self, id: &str) -> Result<bool, JournalError> {
        let Some(opened) = self.open_existing(id)? else { return Ok(false) };
        let Some(remembered) = RememberedDownload::fold(opened.records) else { return Ok(false) };
        opened.journal.remove_download(&remembered.beginning.temporary)?;
        Ok(true)
    }
}

impl Journal {
    /// Removes the journal and its temporary file.
    pub(crate) fn remove_download(self, temporary: &Path) -> Result<(), JournalError> {
        // A link or special file of that name is not ours.
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
