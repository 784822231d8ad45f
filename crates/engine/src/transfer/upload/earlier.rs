//! Handles the journal of an earlier upload that is not continued.

use std::sync::Arc;

use super::abandon::{Abandoned, abandon};
use super::context::Context;
use super::journal_handle::JournalHandle;
use super::lost_create::{self, LostCreates};
use super::options::OnChange;
use super::remembered::Remembered;
use crate::error::Error;
use crate::event::Event;
use crate::source::Change;

/// Warns that a journal was requested for a source that cannot have one.
pub(super) fn warn_of_no_journal(context: &Context) {
    if context.options.journal.is_some() {
        let message = format!(
            "{} cannot be recognised by a later run: the upload has no journal, and is removed if \
             it stops",
            context.source.name()
        );
        context.events.send(Event::Warning { message });
    }
}

/// Removes the uploads that unanswered Create requests may have left, then the journal, if no new
/// upload is begun.
pub(super) async fn forget(context: &Context, journal: JournalHandle, creates: &LostCreates) {
    let (Some(options), Some(id), true) =
        (&context.options.journal, journal.id().map(str::to_owned), creates.any())
    else {
        return journal.forget(context);
    };
    // Dropping the journal releases its lock.
    drop(journal);
    let given_up = abandon(Arc::clone(context.store()), &options.folder, &id).await;
    if matches!(given_up, Err(_) | Ok(Abandoned::Unclear(_))) {
        lost_create::warn_of_leftovers(context);
    }
}

/// Gives up an earlier run in parts when the source now fits one request.
pub(super) async fn give_up(context: &Context) -> Result<(), Error> {
    let (Some(options), Some(source)) = (&context.options.journal, context.source.identity())
    else {
        return Ok(());
    };
    let (journal, records) = JournalHandle::open(context, &source)?;
    let Some(id) = journal.id().map(str::to_owned) else { return Ok(()) };
    if let Some(remembered) = Remembered::fold(records)
        && context.options.on_change == OnChange::Fail
    {
        let before_bytes = remembered.beginning.plan.size_bytes().unwrap_or_default();
        let change = Change::Size { before_bytes, now_bytes: 0 };
        return Err(Error::SourceChangedSince { source_name: context.source.name(), change });
    }
    // Dropping the journal releases its lock.
    drop(journal);
    if let Abandoned::Unclear(_) =
        abandon(Arc::clone(context.store()), &options.folder, &id).await?
    {
        lost_create::warn_of_leftovers(context);
        return Ok(());
    }
    let reason = "the source is empty now: what had arrived of it was removed".into();
    context.events.send(Event::Restarting { reason });
    Ok(())
}
