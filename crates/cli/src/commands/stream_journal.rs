//! Selects the journal of a resumable stream, and names the command to run again.
//!
//! Only the producer can repeat the bytes of a stream, so `haul resume` cannot. The journal
//! contains the producer's name, but not its arguments, because they may contain a password.

use haul::journal::JournalSummary;
use haul::source::{SourceRecord, StreamRecord};
use haul::{JournalChoice, JournalOptions, ObjectRef, StreamOptions};

use super::pinned_flags::PinnedFlags;
use crate::connection::Connection;
use crate::exit::Exit;
use crate::failure::{Ended, Usage};
use crate::output::visible;
use crate::state_dir::journal_folder;
use crate::store::OpenedStore;
use crate::upload_locator::quoted;

/// The options for keeping a stream that stops early.
pub(super) struct StreamMemory {
    /// `--resume`: the stream has a journal, and resumes an earlier run.
    pub(super) resume: bool,
    /// The flags that must agree with the journal.
    pub(super) pinned: PinnedFlags,
    /// If true, an interrupt aborts the upload instead of pausing it.
    pub(super) abort_on_interrupt: bool,
}

impl StreamMemory {
    /// Returns the journal for a stream to `object`, and its id.
    pub(super) fn journal(
        &self,
        options: &StreamOptions,
        object: &ObjectRef,
        store: &OpenedStore,
    ) -> anyhow::Result<Option<(String, JournalOptions)>> {
        if !self.resume {
            return Ok(None);
        }
        let folder = journal_folder()?;
        let store_name = store.connection.store_name();
        let promised_bytes = options.size_bytes;
        let record = SourceRecord::Stream(StreamRecord {
            stream: options.name.clone(),
            program: options.program.clone(),
            promised_bytes,
        });
        let found = folder.find(&record, &store_name, object).map_err(haul::Error::from)?;
        if let Some(unfinished) = &found.summary {
            self.pinned.agrees(unfinished)?;
            let begun = match &unfinished.beginning.source {
                SourceRecord::Stream(begun) => begun.promised_bytes,
                SourceRecord::File(_) | SourceRecord::Object(_) => None,
            };
            if begun != promised_bytes {
                return Err(Usage::new(
                    "the unfinished upload of this stream was begun with another --size",
                    format!("give the same --size, or haul abort {} to restart", found.id),
                )
                .into());
            }
        }
        let connection = serde_json::to_value(&store.connection)?;
        let choice = JournalChoice::OfSource;
        let journal = JournalOptions { folder, store_name: Some(store_name), connection, choice };
        Ok(Some((found.id, journal)))
    }
}

/// Returns why `haul resume` cannot continue the upload of a stream, and the command that can.
pub(super) fn needs_its_producer(summary: &JournalSummary, stream: &StreamRecord) -> Ended {
    Ended {
        exit: Exit::Usage,
        code: "StreamNeedsProducer",
        message: format!(
            "{} is the upload of a stream ({}): only its producer can give the bytes again",
            summary.id,
            visible(&stream.stream)
        ),
        hint: Some(format!("run {}", command(summary, stream))),
    }
}

/// Formats a command such as `tar ... | haul cp - s3://bucket/key --resume`.
fn command(summary: &JournalSummary, stream: &StreamRecord) -> String {
    let connection = Connection::recorded(&summary.id, &summary.beginning).ok();
    let address = connection.as_ref().map_or_else(
        || summary.beginning.object.to_string(),
        |connection| connection.address(&summary.beginning).to_string(),
    );
    let mut words = format!("{} --resume", quoted(&address));
    for (flag, value) in connection.iter().flat_map(Connection::flags) {
        words += &format!(" {flag} {}", quoted(&value));
    }
    if let Some(promised_bytes) = stream.promised_bytes {
        words += &format!(" --size {promised_bytes}");
    }
    match &stream.program {
        Some(program) => format!("haul cp --from-command {words} -- {} ...", quoted(program)),
        None => format!("PRODUCER | haul cp - {words}"),
    }
}
