//! Selects the journal of a copy from store to store, and resumes a copy for `haul resume`.

use haul::journal::JournalSummary;
use haul::source::{ObjectRecord, ObjectVersion, SourceRecord};
use haul::{
    CopyOptions, EngineOptions, JournalChoice, JournalOptions, ObjectAttributes, ObjectRef,
    OnChange, SourceStore,
};

use super::copy::{Copying, copy};
use super::pinned_flags::PinnedFlags;
use crate::args::StoreArgs;
use crate::connection::Connection;
use crate::exit::Exit;
use crate::interrupt::Interrupts;
use crate::output::Mode;
use crate::state_dir::journal_folder;
use crate::store::OpenedStore;

/// The journal that a copy uses.
pub(super) enum RememberedCopy {
    /// No journal.
    No,
    /// The journal for this source and target, whose options must agree with the given flags.
    ByPlace(Box<PinnedFlags>),
    /// The journal with this id, at the stores that it records.
    Given { id: String, target: Box<Connection>, source: Option<Box<Connection>> },
}

/// The journal and its stores, as passed to the engine.
pub(super) struct CopyJournal {
    pub(super) journal: JournalOptions,
    pub(super) source_store: SourceStore,
}

impl RememberedCopy {
    /// Returns the recorded store of the target.
    pub(super) fn target(&self) -> Option<&Connection> {
        match self {
            Self::Given { target, .. } => Some(target),
            Self::No | Self::ByPlace(_) => None,
        }
    }

    /// Returns the recorded store of the source, if it differs from the target's.
    pub(super) fn source(&self) -> Option<&Connection> {
        match self {
            Self::Given { source, .. } => source.as_deref(),
            Self::No | Self::ByPlace(_) => None,
        }
    }

    /// Finds the journal for a copy of `source` to `target` between the given stores, and its id.
    pub(super) fn of_copy(
        &self,
        (source, source_store): (&ObjectRef, Option<&OpenedStore>),
        (target, store): (&ObjectRef, &OpenedStore),
    ) -> anyhow::Result<Option<(String, CopyJournal)>> {
        let folder = journal_folder()?;
        let store_name = store.connection.store_name();
        let of_source = store_of_source(source_store)?;
        let (id, choice) = match self {
            Self::No => return Ok(None),
            Self::Given { id, .. } => (id.clone(), JournalChoice::Given(id.clone())),
            Self::ByPlace(pinned) => {
                let place = SourceRecord::Object(ObjectRecord {
                    object: source.clone(),
                    store: of_source.name.clone().unwrap_or_else(|| store_name.clone()),
                    version: ObjectVersion { etag: "".into(), size_bytes: 0, modified_at: None },
                    connection: serde_json::Value::Null,
                    streamed: false,
                });
                let found = folder.find(&place, &store_name, target).map_err(haul::Error::from)?;
                if let Some(unfinished) = &found.summary {
                    pinned.agrees(unfinished)?;
                }
                (found.id, JournalChoice::OfSource)
            }
        };
        let connection = serde_json::to_value(&store.connection)?;
        let journal = JournalOptions { folder, store_name: Some(store_name), connection, choice };
        Ok(Some((id, CopyJournal { journal, source_store: of_source })))
    }
}

/// Returns the record by which a later run finds the source's store, if it differs from the
/// target's.
pub(in crate::commands) fn store_of_source(
    opened: Option<&OpenedStore>,
) -> anyhow::Result<SourceStore> {
    Ok(match opened {
        Some(opened) => SourceStore {
            name: Some(opened.connection.store_name()),
            connection: serde_json::to_value(&opened.connection)?,
        },
        None => SourceStore::default(),
    })
}

/// The settings of the run that resumes.
pub(super) struct Run {
    pub(super) limits: EngineOptions,
    pub(super) on_change: OnChange,
}

/// Returns attributes of nothing but the customer's key.
fn key_of(args: &StoreArgs) -> ObjectAttributes {
    let mut attributes = ObjectAttributes::default();
    attributes.protection.customer_key_md5 = args.requests.customer_key_md5();
    attributes
}

/// Continues a copy at the stores that its journal records.
pub(super) async fn resume(
    args: &StoreArgs,
    summary: JournalSummary,
    source: ObjectRecord,
    run: Run,
    mode: Mode,
    interrupts: &mut Option<Interrupts>,
) -> anyhow::Result<Exit> {
    let JournalSummary { id, beginning, .. } = summary;
    let target = Connection::recorded(&id, &beginning)?;
    target.refuse_another(&id, args)?;
    let of_source = match source.connection.is_null() {
        true => None,
        false => Some(Box::new(Connection::read(&id, &source.connection)?)),
    };
    let copying = Copying {
        from: of_source.as_deref().unwrap_or(&target).address_of(&source.object),
        to: target.address(&beginning),
        limits: run.limits,
        source_store: None,
        // The options in the journal apply; these only name the flag in the error if a condition
        // fails.
        options: CopyOptions {
            if_none_match: beginning.if_none_match,
            if_match: beginning.if_match.clone(),
            on_change: run.on_change,
            // The engine compares the key with that of the journal, which has everything else.
            attributes: key_of(args),
            ..CopyOptions::default()
        },
        journal: RememberedCopy::Given { id, target: Box::new(target), source: of_source },
        abort_on_interrupt: false,
    };
    Box::pin(copy(args, copying, mode, interrupts)).await
}
