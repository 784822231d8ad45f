//! Options of the command line against what an unfinished upload was begun with.
//!
//! Part size, checksum and attributes are bound when an upload is begun. The command that goes on
//! with it need not repeat them; one that asks for others would not get them, and is refused: an
//! option that silently does nothing is a promise broken. Conditions and demands of proof are not
//! among them: they hold for the command that makes them.

use haul::journal::JournalSummary;
use haul::parts::ChecksumAlgorithm;
use haul::source::SourceRecord;

use crate::args::{ChecksumChoice, ObjectOptionArgs, TransferArgs};
use crate::failure::Usage;

/// The flags of the command line that an unfinished upload must have been begun with.
#[derive(Clone, Debug, Default)]
pub(super) struct PinnedFlags {
    part_size: Option<u64>,
    checksum: Option<Option<ChecksumAlgorithm>>,
    object: ObjectOptionArgs,
}

impl PinnedFlags {
    /// Of this command line.
    pub(super) fn of(transfer: &TransferArgs, object: &ObjectOptionArgs) -> Self {
        Self {
            part_size: transfer.part_size,
            checksum: transfer.checksum.map(ChecksumChoice::algorithm),
            object: object.clone(),
        }
    }

    /// Whether the upload can be gone on with as asked.
    ///
    /// # Errors
    /// Which option it was begun without, and how to get it.
    pub(super) fn agrees(&self, unfinished: &JournalSummary) -> Result<(), Usage> {
        let begun = &unfinished.beginning;
        // An adopted upload is as somebody else began it: no option was ever to change that.
        if begun.token.is_empty() {
            return Ok(());
        }
        let (asked, had) = (&self.object, &begun.attributes);
        let other = |asked: &Option<String>, had: &Option<String>| asked.is_some() && asked != had;
        let metadata = asked.metadata.iter().cloned().collect();
        let contradictions = [
            (
                self.part_size.is_some_and(|asked| Some(asked) != begun.plan.part_size_bytes()),
                "--part-size",
            ),
            (self.checksum.is_some_and(|asked| asked != begun.checksum), "--checksum"),
            (other(&asked.content_type, &had.content_type), "--content-type"),
            (other(&asked.cache_control, &had.cache_control), "--cache-control"),
            (other(&asked.content_disposition, &had.content_disposition), "--content-disposition"),
            (other(&asked.content_encoding, &had.content_encoding), "--content-encoding"),
            (other(&asked.storage_class, &had.storage_class), "--storage-class"),
            (!asked.metadata.is_empty() && had.metadata != metadata, "--metadata"),
        ];
        match contradictions.iter().find(|(contradicts, _)| *contradicts) {
            None => Ok(()),
            Some((_, option)) => Err(Usage::new(
                format!(
                    "an unfinished {} was begun with another {option}",
                    match begun.source {
                        SourceRecord::File(_) => "upload of this file",
                        SourceRecord::Object(_) => "copy of this object",
                        SourceRecord::Stream(_) => "stream to this key",
                    }
                ),
                format!(
                    "leave {option} out to go on with it, or haul abort {} and begin anew",
                    unfinished.id
                ),
            )),
        }
    }
}
