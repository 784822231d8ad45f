//! Compares the options of the command line with those of an unfinished upload.
//!
//! Part size, checksum and attributes are fixed when an upload starts. A command that resumes the
//! upload need not repeat them; contradicting flags would be silently ignored, so they are refused.
//! Conditions and proof requirements are exempt: they apply to the command that sets them.

use haul::ObjectAttributes;
use haul::journal::JournalSummary;
use haul::parts::ChecksumAlgorithm;
use haul::source::SourceRecord;
use haul::transfer::OWN_METADATA;

use crate::args::{ChecksumChoice, RequestArgs, TransferArgs};
use crate::failure::Usage;

/// The flags that must agree with the first run of an upload.
#[derive(Clone, Debug, Default)]
pub(super) struct PinnedFlags {
    part_size: Option<u64>,
    checksum: Option<Option<ChecksumAlgorithm>>,
    attributes: ObjectAttributes,
}

impl PinnedFlags {
    /// Collects the flags of this command line; `attributes` without those that are guessed.
    pub(super) fn of(transfer: &TransferArgs, attributes: &ObjectAttributes) -> Self {
        Self {
            part_size: transfer.part_size_bytes(),
            checksum: transfer.checksum.map(ChecksumChoice::algorithm),
            attributes: attributes.clone(),
        }
    }

    /// Collects the only flag of `haul resume` that must agree: the customer's key.
    pub(super) fn of_key(requests: &RequestArgs) -> Self {
        let mut attributes = ObjectAttributes::default();
        attributes.protection.customer_key_md5 = requests.customer_key_md5();
        Self { attributes, ..Self::default() }
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
        let contradictions = [
            (
                self.part_size.is_some_and(|asked| Some(asked) != begun.plan.part_size_bytes()),
                "part-size",
            ),
            (self.checksum.is_some_and(|asked| asked != begun.checksum), "checksum"),
        ];
        let of_transfer = contradictions.iter().find(|(contradicts, _)| *contradicts);
        let contradiction = match of_transfer {
            Some((_, name)) => Some(*name),
            None => self.attributes.contradiction(&begun.attributes, &OWN_METADATA),
        };
        let Some(name) = contradiction else { return Ok(()) };
        let what = match begun.source {
            SourceRecord::File(_) => "upload of this file",
            SourceRecord::Object(_) => "copy of this object",
            SourceRecord::Stream(_) => "stream to this key",
        };
        let id = &unfinished.id;
        if name == "sse-c-key-file" {
            return Err(other_key(&self.attributes, &begun.attributes, what, id));
        }
        Err(Usage::new(
            format!("an unfinished {what} was begun with another --{name}"),
            format!("leave --{name} out to resume it, or restart it after haul abort {id}"),
        ))
    }
}

/// Returns the error for an unfinished transfer with another customer's key, or with none.
fn other_key(asked: &ObjectAttributes, begun: &ObjectAttributes, what: &str, id: &str) -> Usage {
    let keys = (&asked.protection.customer_key_md5, &begun.protection.customer_key_md5);
    match keys {
        (None, _) => Usage::new(
            format!("an unfinished {what} was begun with a customer's key (SSE-C)"),
            format!("add --sse-c-key-file FILE to resume it, or restart it after haul abort {id}"),
        ),
        (Some(_), None) => Usage::new(
            format!("an unfinished {what} was begun without a customer's key (SSE-C)"),
            format!("leave --sse-c-key-file out to resume it, or restart it after haul abort {id}"),
        ),
        (Some(given), Some(recorded)) => Usage::new(
            format!(
                "an unfinished {what} was begun with another customer's key (its MD5 is \
                 {recorded}, that of this one {given})"
            ),
            format!("name the file of that key, or restart it after haul abort {id}"),
        ),
    }
}
