//! Finds the unfinished uploads of a store that belong to a journal of this machine.

use std::collections::HashMap;

use haul::journal::JournalSummary;
use haul::remote::UploadRef;
use haul::source::FileRecord;
use jiff::{SignedDuration, Timestamp};

use crate::state_dir::journal_folder;

/// The maximum assumed difference between a store's clock and ours.
const CLOCKS_DIFFER_BY: SignedDuration = SignedDuration::from_mins(16);

/// The journals of this machine.
pub(super) struct Owned {
    by_upload: HashMap<String, JournalSummary>,
    /// Journals of uploads whose Create has no recorded answer, so that the upload id is unknown.
    unnamed: Vec<JournalSummary>,
}

impl Owned {
    /// Reads the journals.
    pub(super) fn read() -> anyhow::Result<Self> {
        let mut owned = Self { by_upload: HashMap::new(), unnamed: Vec::new() };
        for summary in journal_folder()?.list().map_err(haul::Error::from)? {
            match &summary.upload_id {
                Some(id) => drop(owned.by_upload.insert(id.as_str().to_owned(), summary)),
                None => owned.unnamed.push(summary),
            }
        }
        Ok(owned)
    }

    /// Returns the journal that owns the upload, or one without a recorded upload id that may own
    /// it.
    pub(super) fn of(
        &self,
        upload: &UploadRef,
        initiated: Option<Timestamp>,
    ) -> Option<&JournalSummary> {
        let named = self.by_upload.get(upload.upload_id.as_str());
        named.filter(|summary| summary.beginning.object == upload.object).or_else(|| {
            self.unnamed.iter().find(|summary| {
                let begun =
                    Timestamp::from_second(summary.beginning.begun_at).unwrap_or(Timestamp::MIN);
                let earliest = begun.checked_sub(CLOCKS_DIFFER_BY).unwrap_or(Timestamp::MIN);
                summary.beginning.object == upload.object
                    && initiated.is_none_or(|initiated| initiated >= earliest)
            })
        })
    }
}

/// Returns whether a journal can never be resumed: its source file is gone, and no process works on
/// it.
pub(super) fn is_abandoned(summary: &JournalSummary) -> bool {
    let gone = |file: &FileRecord| matches!(file.path.try_exists(), Ok(false));
    summary.running_pid.is_none() && summary.beginning.source.file().is_some_and(gone)
}
