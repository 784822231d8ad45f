//! Writes the journal of a download, and restores the ranges of an earlier run from it.
//!
//! The beginning is synced to disk before the first byte is written. Records of ranges are only
//! appended: each recorded range is read again and compared before it counts.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::{StreamExt, stream};
use haul_parts::{Checksum, ChecksumAlgorithm, MultiHasher, PartNumber, PartPlan, PlannedPart};

use super::Context;
use super::fetch::Fetched;
use super::temporary::Temporary;
use crate::error::Error;
use crate::error_text::in_one_line;
use crate::event::{Event, EventSender};
use crate::journal::{
    DownloadBeginning, Journal, JournalError, JournalFolder, ObjectVersion, RangeRecord, Record,
    RememberedDownload,
};
use crate::remote::ObjectHead;
use crate::source::read_exact_at;
use crate::transfer::upload::{JournalChoice, JournalOptions};

/// Number of ranges compared at once: a comparison reads and hashes.
const COMPARED_AT_ONCE: usize = 4;
/// Bytes of one read.
const READ_BYTES: usize = 1 << 20;

/// The journal of one download.
pub(super) struct DownloadJournal {
    journal: Journal,
    id: String,
    temporary: PathBuf,
    events: EventSender,
    /// Whether recording a range has failed; this is reported once.
    append_failed: bool,
}

impl DownloadJournal {
    /// Opens the journal of this download, and returns the ranges of this version that an earlier
    /// run has fetched. If there are any, the plan of the earlier run applies. If the version or
    /// the target differs, the download is restarted.
    pub(super) fn open(
        context: &Context,
        options: &JournalOptions,
        target: &Path,
        head: &ObjectHead,
        plan: PartPlan,
    ) -> Result<(Self, PartPlan, HashMap<PartNumber, Checksum>), Error> {
        let Named { store, target, id } = Named::of(context, options, target);
        let opened = match &options.choice {
            JournalChoice::OfSource | JournalChoice::Named(_) => options.folder.open(&id)?,
            JournalChoice::Given(_) => options
                .folder
                .open_existing(&id)?
                .ok_or_else(|| JournalError::Missing { id: id.clone() })?,
        };
        let version = version_of(head);
        let earlier = RememberedDownload::fold(opened.records);
        let temporary = Temporary::path_of(&target, &id);
        let mut this = Self {
            journal: opened.journal,
            id,
            temporary,
            events: context.events.clone(),
            append_failed: false,
        };
        if let Some(earlier) = earlier {
            if earlier.beginning.version == version && earlier.beginning.target == target {
                this.journal.append_synced(&Record::Opened { pid: std::process::id() })?;
                let ranges = earlier.ranges.into_iter().collect();
                return Ok((this, earlier.beginning.plan, ranges));
            }
            let reason =
                "the object is another version now: what had arrived of the old one is not used"
                    .into();
            context.events.send(Event::Restarting { reason });
        }
        let beginning = DownloadBeginning {
            object: context.object.clone(),
            version,
            store,
            target,
            temporary: this.temporary.clone(),
            plan,
            customer_key_md5: context.options.customer_key_md5.clone(),
            connection: options.connection.clone(),
            begun_at: jiff::Timestamp::now().as_second(),
        };
        this.journal.restart_with(&Record::Downloading(Box::new(beginning)))?;
        Ok((this, plan, HashMap::new()))
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Records a range. A failure (a full disk) does not stop the download: the only consequence is
    /// that the range is fetched again after a kill.
    pub(super) fn range(&mut self, fetched: &Fetched) {
        let Some(checksum) = fetched.checksums.first() else { return };
        let record = Record::Range(RangeRecord { number: fetched.number, checksum: *checksum });
        if let Err(error) = self.journal.append(&record)
            && !std::mem::replace(&mut self.append_failed, true)
        {
            let message =
                format!("{}; a resume will fetch those ranges again", in_one_line(&error));
            self.events.send(Event::Warning { message });
        }
    }

    /// Records that the run stopped in an orderly way, and why.
    pub(super) fn paused(mut self, reason: String) {
        if let Err(error) = self.journal.append_synced(&Record::Paused { reason }) {
            self.events.send(Event::Warning { message: in_one_line(&error) });
        }
    }

    /// Removes the journal of a finished download.
    pub(super) fn done(self) {
        let removed = self.journal.remove();
        if let Err(error) = removed {
            self.events.send(Event::Warning { message: in_one_line(&error) });
        }
    }

    /// Discards the downloaded bytes and the journal.
    pub(super) fn give_up(self) {
        let removed = self.journal.remove_download(&self.temporary);
        if let Err(error) = removed {
            self.events.send(Event::Warning { message: in_one_line(&error) });
        }
    }
}

/// The names by which a download is recorded.
struct Named {
    store: String,
    target: PathBuf,
    id: String,
}

impl Named {
    fn of(context: &Context, options: &JournalOptions, target: &Path) -> Self {
        let store =
            options.store_name.clone().unwrap_or_else(|| context.resources.store.endpoint());
        let target = std::path::absolute(target).unwrap_or_else(|_| target.to_owned());
        let id = match &options.choice {
            JournalChoice::OfSource => JournalFolder::download_id(&target, &store, &context.object),
            JournalChoice::Given(id) | JournalChoice::Named(id) => id.clone(),
        };
        Self { store, target, id }
    }
}

/// Checks before any request that this run has the customer's key of the unfinished download. With
/// another one the store refuses every range, and its answer to HeadObject has no reason.
pub(super) fn check_key(context: &Context, target: &Path) -> Result<(), Error> {
    let Some(options) = &context.options.journal else { return Ok(()) };
    let Named { id, .. } = Named::of(context, options, target);
    let begun = options.folder.find_download(&id).and_then(|it| it.beginning.customer_key_md5);
    if begun.is_none() || begun == context.options.customer_key_md5 {
        return Ok(());
    }
    let (source_name, attribute) = (context.object.to_string(), "sse-c-key-file");
    Err(Error::OtherAttribute { source_name, attribute, id })
}

fn version_of(head: &ObjectHead) -> ObjectVersion {
    ObjectVersion {
        etag: head.etag.clone(),
        size_bytes: head.size_bytes,
        modified_at: head.last_modified.map(|time| time.as_second()),
    }
}

/// Reads the ranges that an earlier run has recorded and returns those that still match.
pub(super) async fn compare(
    file: &Arc<File>,
    plan: PartPlan,
    recorded: HashMap<PartNumber, Checksum>,
    algorithms: &[ChecksumAlgorithm],
) -> HashMap<PartNumber, Fetched> {
    stream::iter(recorded)
        .filter_map(|(number, checksum)| async move { Some((plan.part(number)?, checksum)) })
        .map(|(range, checksum)| {
            let (file, algorithms) = (Arc::clone(file), algorithms.to_vec());
            async move {
                let read =
                    tokio::task::spawn_blocking(move || digest(&file, range, &algorithms)).await;
                let checksums = read.ok()?.ok()?;
                let agrees = checksums.first() == Some(&checksum);
                let fetched = Fetched {
                    number: range.number,
                    size_bytes: range.size_bytes,
                    checksums,
                    kept: vec![],
                };
                agrees.then_some((range.number, fetched))
            }
        })
        .buffer_unordered(COMPARED_AT_ONCE)
        .filter_map(|agreed| async move { agreed })
        .collect()
        .await
}

fn digest(
    file: &File,
    range: PlannedPart,
    algorithms: &[ChecksumAlgorithm],
) -> std::io::Result<Vec<Checksum>> {
    let mut hasher = MultiHasher::new(algorithms.iter().copied());
    let mut buffer = vec![0; READ_BYTES];
    let mut done_bytes = 0;
    while done_bytes < range.size_bytes {
        let left_bytes = usize::try_from(range.size_bytes - done_bytes).unwrap_or(READ_BYTES);
        let buffer = &mut buffer[..left_bytes.min(READ_BYTES)];
        read_exact_at(file, range.offset_bytes + done_bytes, buffer)?;
        hasher.update(buffer);
        done_bytes += buffer.len() as u64;
    }
    Ok(hasher.finish())
}
