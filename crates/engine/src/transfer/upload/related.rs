//! Reports other unfinished uploads of this machine that are related to the current one: uploads of
//! the same key, or of the same file under its previous name (P3). They may have parts that are
//! billed, or that need not be sent again.

use super::context::Context;
use super::journal_handle::store_name;
use crate::event::Event;
use crate::journal::{RelatedJournal, Relation};
use crate::source::SourceRecord;

pub(super) fn report(context: &Context, others: &[RelatedJournal]) {
    for RelatedJournal { summary, relation } in others {
        let begun = &summary.beginning;
        context.events.send(Event::RelatedJournal {
            id: summary.id.clone(),
            relation: *relation,
            source: begun.source.name(),
            target: begun.object.to_string(),
            store: begun.store.clone(),
            size_bytes: begun.plan.size_bytes().unwrap_or_default(),
            arrived_bytes: summary.parts.values().map(|part| part.size_bytes).sum(),
            running_pid: summary.running_pid,
        });
    }
}

/// Reports uploads related to one whose journal was given explicitly.
pub(super) fn report_beside(context: &Context, source: &SourceRecord, id: &str) {
    let Some(options) = &context.options.journal else { return };
    let Ok(found) = options.folder.find(source, &store_name(context), &context.object) else {
        return;
    };
    let likelier =
        found.summary.map(|summary| RelatedJournal { summary, relation: Relation::SameKey });
    let mut others: Vec<_> = likelier.into_iter().chain(found.others).collect();
    others.retain(|other| other.summary.id != id);
    report(context, &others);
}
