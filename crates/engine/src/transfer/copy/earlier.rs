//! What an earlier run of the same copy left, and what becomes of it.
//!
//! A copy in parts has the journal of an upload, whose source is an object. It is continued in the
//! way in which it was begun, by the store or through this machine, as long as the source is the
//! same version. A part of another version cannot be compared without fetching it, so what arrived
//! of one is removed and the copy begins again (P4).

use std::sync::Arc;

use super::{Context, Origin, cancelled};
use crate::error::Error;
use crate::event::Event;
use crate::journal::{JournalError, JournalSummary};
use crate::source::{ObjectRecord, SourceRecord};
use crate::transfer::StopRequest;
use crate::transfer::upload::{
    Abandoned, JournalChoice, JournalOptions, OnChange, abandon, unheard_warning,
};

/// An unfinished run of the same copy.
pub(super) struct Earlier(JournalSummary);

impl Earlier {
    /// The one that the journals of this machine remember. This run then keeps to what was asked
    /// for when it was begun.
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
        let (begun, options) = (&summary.beginning, &mut context.options);
        options.part_size_bytes = options.part_size_bytes.or(begun.part_size_bytes);
        if matches!(choice, JournalChoice::Given(_)) {
            // The command that began it holds, also where the copy has to begin again.
            options.attributes = begun.attributes.clone();
            options.if_none_match = begun.if_none_match;
            options.if_match.clone_from(&begun.if_match);
            options.require_proof |= begun.require_proof;
        }
        Ok(Some(Self(summary)))
    }

    /// Whether its bytes pass through this machine.
    pub(super) fn is_streamed(&self) -> bool {
        matches!(
            &self.0.beginning.source,
            SourceRecord::Object(ObjectRecord { streamed: true, .. })
        )
    }

    /// Gives up what cannot be continued: another version of the source is there now.
    ///
    /// # Errors
    /// [`Error::SourceChangedSince`] where that is wished, and what keeps it from being removed.
    pub(super) async fn still_good(
        self,
        context: &mut Context,
        origin: &Origin,
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

    /// It stops before anything was sent.
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

    /// A store would not say what it has: everything stays.
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
