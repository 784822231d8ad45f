//! Writes the records of one upload into its journal at the right moments. Without a journal every
//! method does nothing.
//!
//! Three records are synced to disk: the beginning, before Create is sent; the UploadId, before the
//! first part is sent; and the announcement of Complete. Records of parts are only appended: if a
//! power failure loses one, ListParts still finds the part.

use haul_parts::{ChecksumType, PartPlan};

use super::context::Context;
use super::{JournalChoice, UploadOptions, related};
use crate::error::Error;
use crate::error_text::in_one_line;
use crate::event::Event;
use crate::journal::{Beginning, Journal, JournalError, MovedAside, PartRecord, Record};
use crate::remote::UploadRef;
use crate::source::SourceRecord;
use crate::transfer::mover::SentPart;

/// The journal of one upload, if it has one.
#[derive(Debug, Default)]
pub(super) struct JournalHandle(Option<Open>);

#[derive(Debug)]
struct Open {
    id: String,
    journal: Journal,
    /// Whether recording a part has failed; this is reported once.
    append_failed: bool,
}

impl JournalHandle {
    /// Opens the journal that the options name, or the journal of this source and target, and
    /// returns the state it records. Reports other journals that concern the upload.
    pub(super) fn open(
        context: &Context,
        source: &SourceRecord,
    ) -> Result<(Self, Vec<Record>), Error> {
        let Some(options) = &context.options.journal else { return Ok((Self(None), vec![])) };
        let (id, opened) = match &options.choice {
            JournalChoice::OfSource => {
                let found = options.folder.find(source, &store_name(context), &context.object)?;
                related::report(context, &found.others);
                let opened = options.folder.open(&found.id)?;
                (found.id, opened)
            }
            JournalChoice::Given(id) => {
                let opened = options.folder.open_existing(id)?;
                related::report_beside(context, source, id);
                (id.clone(), opened.ok_or_else(|| JournalError::Missing { id: id.clone() })?)
            }
            JournalChoice::Named(id) => (id.clone(), options.folder.open(id)?),
        };
        if let Some(MovedAside { path, reason }) = opened.moved_aside {
            let message = format!(
                "what was remembered cannot be read ({reason}) and is kept as {}",
                path.display()
            );
            context.events.send(Event::Warning { message });
        }
        let mut journal = Self(Some(Open { id, journal: opened.journal, append_failed: false }));
        if !opened.records.is_empty() {
            // Written at once, so that another process that is refused can name the current holder.
            journal.said(context, &Record::Opened { pid: std::process::id() });
        }
        Ok((journal, opened.records))
    }

    /// Returns the journal's id, if there is a journal.
    pub(super) fn id(&self) -> Option<&str> {
        self.0.as_ref().map(|open| open.id.as_str())
    }

    /// Discards earlier records and writes the beginning.
    pub(super) fn begin(&mut self, beginning: Beginning) -> Result<(), Error> {
        match &mut self.0 {
            Some(open) => Ok(open.journal.restart(beginning)?),
            None => Ok(()),
        }
    }

    /// Records those options of this run that differ from the beginning.
    pub(super) fn conditions(&mut self, options: &UploadOptions) -> Result<(), Error> {
        self.synced(&Record::Conditions {
            if_none_match: options.if_none_match,
            if_match: options.if_match.clone(),
            require_proof: options.require_proof,
        })
    }

    /// Records that the source has changed to another version, and the plan for its parts.
    pub(super) fn source_changed(
        &mut self,
        source: SourceRecord,
        plan: PartPlan,
    ) -> Result<(), Error> {
        self.synced(&Record::SourceChanged { source, plan: plan.into() })
    }

    /// Records that the same version of the source has another name now.
    pub(super) fn source_moved(&mut self, source: SourceRecord) -> Result<(), Error> {
        self.synced(&Record::SourceMoved { source })
    }

    pub(super) fn created(
        &mut self,
        upload: &UploadRef,
        declared: Option<ChecksumType>,
    ) -> Result<(), Error> {
        self.synced(&Record::Created {
            upload_id: upload.upload_id.clone(),
            declared: declared.is_some(),
            checksum_type: declared,
        })
    }

    /// Records a part. A failure (a full disk) does not stop the upload, because ListParts knows
    /// the part too.
    pub(super) fn part(&mut self, context: &Context, part: &SentPart) {
        let Some(open) = &mut self.0 else { return };
        let record = Record::Part(PartRecord {
            number: part.number,
            size_bytes: part.size_bytes,
            etag: part.etag.clone(),
            checksum: part.checksum,
            proof: part.proof,
        });
        if let Err(error) = open.journal.append(&record)
            && !std::mem::replace(&mut open.append_failed, true)
        {
            let message = format!(
                "{}; a resume will have to compare parts with the source",
                in_one_line(&error)
            );
            context.events.send(Event::Warning { message });
        }
    }

    /// Records that the object may exist from here on.
    pub(super) fn completing(&mut self) -> Result<(), Error> {
        self.synced(&Record::Completing)
    }

    /// Records that the run stopped in an orderly way, and why.
    pub(super) fn paused(&mut self, context: &Context, why: &dyn std::error::Error) {
        self.said(context, &Record::Paused { reason: in_one_line(why) });
    }

    /// Records that the caller requested a stop.
    pub(super) fn interrupted(&mut self, context: &Context) {
        self.said(context, &Record::Paused { reason: "interrupted".into() });
    }

    /// Writes a record that is only informative; a failure does not stop the upload.
    fn said(&mut self, context: &Context, record: &Record) {
        if let Err(Error::Journal(error)) = self.synced(record) {
            context.events.send(Event::Warning { message: in_one_line(&error) });
        }
    }

    /// Removes the journal.
    pub(super) fn forget(self, context: &Context) {
        if let Some(open) = self.0
            && let Err(error) = open.journal.remove()
        {
            context.events.send(Event::Warning { message: in_one_line(&error) });
        }
    }

    fn synced(&mut self, record: &Record) -> Result<(), Error> {
        match &mut self.0 {
            Some(open) => Ok(open.journal.append_synced(record)?),
            None => Ok(()),
        }
    }
}

/// Returns whether there is a journal of this source and target.
pub(super) fn remembers(context: &Context) -> bool {
    let (Some(options), Some(source)) = (&context.options.journal, context.source.identity())
    else {
        return false;
    };
    match &options.choice {
        JournalChoice::Given(id) | JournalChoice::Named(id) => options.folder.has(id),
        JournalChoice::OfSource => {
            let found = options.folder.find(&source, &store_name(context), &context.object);
            // A journal that cannot be listed or read is reported when it is opened.
            found.map_or(true, |found| options.folder.has(&found.id))
        }
    }
}

/// Returns the name of the store, which is the same from run to run.
pub(super) fn store_name(context: &Context) -> String {
    let name = context.options.journal.as_ref().and_then(|journal| journal.store_name.clone());
    name.unwrap_or_else(|| context.store().endpoint())
}
