//! Compares the options of the command line with those of an unfinished upload.
//!
//! Part size, checksum and attributes are fixed when an upload starts. A command that resumes the
//! upload need not repeat them; contradicting flags would be silently ignored, so they are refused.
//! Conditions and proof requirements are exempt: they apply to the command that sets them.

use haul::journal::JournalSummary;
use haul::parts::ChecksumAlgorithm;
use haul::source::SourceRecord;

use crate::args::{ChecksumChoice, ObjectOptionArgs, TransferArgs};
use crate::failure::Usage;

/// The flags that must agree with the first run of an upload.
#[derive(Clone, Debug, Default)]
pub(super) struct PinnedFlags {
    part_size: Option<u64>,
    checksum: Option<Option<ChecksumAlgorithm>>,
    object: ObjectOptionArgs,
}

impl PinnedFlags {
    /// Collects the flags of this command line.
    pub(super) fn of(transfer: &TransferArgs, object: &ObjectOptionArgs) -> Self {
        Self {
            part_size: transfer.part_size,
            checksum: transfer.checksum.map(ChecksumChoice::algorithm),
            object: object.clone(),
        }
    }

    /// Checks that the upload can be resumed with these flags.
    ///
    /// # Errors
    /// Names the contradicting option, and how to apply it.
    pub(super) fn agrees(&self, unfinished: &JournalSummary) -> Result<(), Usage> {
        let begun = &unfinished.beginning;
        // An adopted upload was started by another tool: no option of ours could change its
        // parameters.
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
                    "leave {option} out to resume it, or restart it after haul abort {}",
                    unfinished.id
                ),
            )),
        }
    }
}
