//! Finds an earlier run of the same copy, and decides whether this run resumes it.
//!
//! A copy in parts has the journal of an upload whose source is an object. It is resumed with the
//! method it began with (by the store, or through this machine), provided that the source is still
//! the same version. Checking a part of another version would require a download, so if the version
//! differs, the existing parts are removed and the copy is restarted (P4).

use std::sync::Arc;

use super::{Context, SourceObject, cancelled};
use crate::error::Error;
use crate::event::Event;
use crate::journal::{JournalError, JournalSummary};
use crate::source::{ObjectRecord, SourceRecord};
use crate::transfer::StopRequest;
use crate::transfer::upload::{
    Abandoned, JournalChoice, JournalOptions, OWN_METADATA, OnChange, abandon, unheard_warning,
};

/// An unfinished run of the same copy.
pub(super) struct Earlier(JournalSummary);

impl Earlier {
    /// Finds the run that the journals of this machine record, and applies its options to this run.
    pub(super) fn find(context: &mut Context) -> Result<Option<Self>, Error> {
        let Some(journal) = context.options.journal.clone() else { return Ok(None) };
        let JournalOptions { folder, choice, .. } = journal;
        let found = match &choice {
            JournalChoice::OfSource => {
                let place = SourceRecord::Object(context.place());
                folder.find(&place, &context.store_name(), &context.target)?.summary
            }
            JournalChoice::Named(id) if !folder.has(id) => None,
            JournalChoice::Named(id) => {
                folder.list()?.into_iter().find(|summary| summary.id == *id)
            }
            JournalChoice::Given(id) => {
                let found = folder.list()?.into_iter().find(|summary| summary.id == *id);
                Some(found.ok_or_else(|| JournalError::Missing { id: id.clone() })?)
            }
        };
        let Some(summary) = found else { return Ok(None) };
        let begun = &summary.beginning;
        let asked = &context.options.attributes;
        if let Some(attribute) = asked.contradiction(&begun.attributes, &OWN_METADATA) {
            let (source_name, id) = (context.source.to_string(), summary.id);
            return Err(Error::OtherAttribute { source_name, attribute, id });
        }
        let options = &mut context.options;
        options.part_size_bytes = options.part_size_bytes.or(begun.part_size_bytes);
        if matches!(choice, JournalChoice::Given(_)) {
            // The options of the first run apply even if the copy has to be restarted.
            options.attributes = begun.attributes.clone();
            options.if_none_match = begun.if_none_match;
            options.if_match.clone_from(&begun.if_match);
            options.require_proof |= begun.require_proof;
        }
        Ok(Some(Self(summary)))
    }

    /// Returns whether the bytes pass through this machine.
    pub(super) fn is_streamed(&self) -> bool {
        matches!(
            &self.0.beginning.source,
            SourceRecord::Object(ObjectRecord { streamed: true, .. })
        )
    }

    /// Discards the earlier run if it cannot be resumed because the source is another version now.
    ///
    /// # Errors
    /// [`Error::SourceChangedSince`] if the options ask for it, and errors from the removal.
    pub(super) async fn still_good(
        self,
        context: &mut Context,
        origin: &SourceObject,
    ) -> Result<Option<Self>, Error> {
        let now = origin.record(self.is_streamed()).map(SourceRecord::Object);
        let Some(now) = now else { return self.give_up(context, "it has no version now").await };
        let Some(change) = self.0.beginning.source.change_to(&now) else { return Ok(Some(self)) };
        if context.options.on_change == OnChange::Fail {
            return Err(Error::SourceChangedSince { source_name: origin.name(), change });
        }
        self.give_up(context, &change.to_string()).await
    }

    async fn give_up(self, context: &mut Context, change: &str) -> Result<Option<Self>, Error> {
        if let Some(journal) = &mut context.options.journal {
            let store = Arc::clone(&context.resources.store);
            let abandoned = abandon(store, &journal.folder, &self.0.id).await?;
            if let Abandoned::Unclear(_) = abandoned {
                context.events.send(unheard_warning());
            }
            if let JournalChoice::Given(_) = journal.choice {
                journal.choice = JournalChoice::OfSource;
            }
        }
        let reason = format!(
            "{} changed since the copy was begun: {change}",
            self.0.beginning.source.name()
        );
        context.events.send(Event::Restarting { reason });
        Ok(None)
    }

    /// Handles a stop request that arrives before this run has sent anything.
    pub(super) async fn stopped(self, context: &Context, request: StopRequest) -> Error {
        if request < StopRequest::Cancel {
            return self.paused(context, None);
        }
        let Some(journal) = &context.options.journal else { return cancelled(context) };
        match abandon(Arc::clone(&context.resources.store), &journal.folder, &self.0.id).await {
            Ok(_) => cancelled(context),
            Err(error) => error,
        }
    }

    /// Handles a store that does not list the upload: its parts and its journal stay.
    pub(super) fn failed(self, context: &Context, error: Error) -> Error {
        match error {
            error @ Error::Store { .. } => self.paused(context, Some(Box::new(error))),
            error => error,
        }
    }

    fn paused(self, context: &Context, source: Option<Box<Error>>) -> Error {
        let Self(summary) = self;
        Error::Paused {
            object: context.target.clone(),
            id: summary.id,
            arrived_bytes: summary.parts.values().map(|part| part.size_bytes).sum(),
            size_bytes: summary.beginning.plan.size_bytes().unwrap_or_default(),
            source,
        }
    }
}
