//! What one upload writes into its journal, and when. Without a journal every method does nothing.
//!
//! Synced: the beginning, before Create is sent; the UploadId, before the first part is; the
//! announcement of Complete. Parts are only appended: a part whose record a power cut takes is
//! found again by ListParts.

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
    /// A part could not be recorded; said once.
    append_failed: bool,
}

impl JournalHandle {
    /// Opens the journal that was asked for, or the one that belongs to this source and target, and
    /// gives what it remembers. Others that concern the upload are reported.
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
            // At once: whoever is refused from here on is told the right process.
            journal.said(context, &Record::Opened { pid: std::process::id() });
        }
        Ok((journal, opened.records))
    }

    /// The journal's id, if there is a journal.
    pub(super) fn id(&self) -> Option<&str> {
        self.0.as_ref().map(|open| open.id.as_str())
    }

    /// Forgets what was, remembers how it begins.
    pub(super) fn begin(&mut self, beginning: Beginning) -> Result<(), Error> {
        match &mut self.0 {
            Some(open) => Ok(open.journal.restart(beginning)?),
            None => Ok(()),
        }
    }

    /// What this run asks for and the beginning did not say.
    pub(super) fn conditions(&mut self, options: &UploadOptions) -> Result<(), Error> {
        self.synced(&Record::Conditions {
            if_none_match: options.if_none_match,
            if_match: options.if_match.clone(),
            require_proof: options.require_proof,
        })
    }

    /// The source is another version now, cut into parts by this plan.
    pub(super) fn source_changed(
        &mut self,
        source: SourceRecord,
        plan: PartPlan,
    ) -> Result<(), Error> {
        self.synced(&Record::SourceChanged { source, plan: plan.into() })
    }

    /// The same version of the source has another name now.
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

    /// A part that cannot be recorded (a full disk) is no reason to stop: ListParts knows it too.
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

    /// From here on the object may be there.
    pub(super) fn completing(&mut self) -> Result<(), Error> {
        self.synced(&Record::Completing)
    }

    /// It stops in good order, and why.
    pub(super) fn paused(&mut self, context: &Context, why: &dyn std::error::Error) {
        self.said(context, &Record::Paused { reason: in_one_line(why) });
    }

    /// The caller wanted it to stop.
    pub(super) fn interrupted(&mut self, context: &Context) {
        self.said(context, &Record::Paused { reason: "interrupted".into() });
    }

    /// What only people read is no reason to stop when it cannot be written.
    fn said(&mut self, context: &Context, record: &Record) {
        if let Err(Error::Journal(error)) = self.synced(record) {
            context.events.send(Event::Warning { message: in_one_line(&error) });
        }
    }

    /// Nothing is left to remember.
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

/// Whether there is a journal of this source and target.
pub(super) fn remembers(context: &Context) -> bool {
    let (Some(options), Some(source)) = (&context.options.journal, context.source.identity())
    else {
        return false;
    };
    match &options.choice {
        JournalChoice::Given(id) | JournalChoice::Named(id) => options.folder.has(id),
        JournalChoice::OfSource => {
            let found = options.folder.find(&source, &store_name(context), &context.object);
            // What cannot be listed, or read, is reported where it is opened.
            found.map_or(true, |found| options.folder.has(&found.id))
        }
    }
}

/// Which store, the same from run to run.
pub(super) fn store_name(context: &Context) -> String {
    let name = context.options.journal.as_ref().and_then(|journal| journal.store_name.clone());
    name.unwrap_or_else(|| context.store().endpoint())
}
