//! Finds and removes uploads whose CreateMultipartUpload was carried out without its answer being
//! received (trap 25): the answer was lost, or the process was killed before it came. Such uploads
//! are empty, have our key, and have an id that is not recorded.
//!
//! A listing does not show who owns an upload. So an upload is removed only if it is almost
//! certainly ours: it has this key, no parts, and no journal on this machine; there are no more
//! such uploads than answers were lost; and it was initiated at the time of our requests. In a run
//! that reaches Complete, the store's own clock gives that time, because the list also contains the
//! date of our answered upload. By then all our parts have arrived, and an upload that another
//! client is sending has parts too. If there is only a journal ([`find_unheard`]), this machine's
//! clock is used with a tolerance of a minute.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::abort::abort_until_gone;
use super::adoption::{remembered_here, uploads_of_key};
use super::context::Context;
use crate::event::Event;
use crate::journal::JournalFolder;
use crate::pace::RetryPolicy;
use crate::remote::{ObjectRef, Store, StoreError, UploadRef, UploadSummary};

/// The precision of dates in listings: whole seconds.
const PRECISION_SECONDS: i64 = 1;

/// The time from a journal's first record to the last attempt of its Create: three attempts that
/// each time out.
const TRIES_SECONDS: i64 = 360;

/// The tolerated difference between the clocks of machine and store, if it cannot be measured.
const CLOCKS_SECONDS: i64 = 60;

/// The attempts to create one upload.
#[derive(Clone, Debug, Default)]
pub(super) struct LostCreates {
    began: Option<Instant>,
    /// Attempts of this run whose answer was lost.
    lost: usize,
    /// The time from the first attempt to the answer to the last.
    took: Duration,
    /// The start times of earlier runs' attempts, in seconds since 1970 by this machine's clock.
    earlier: Vec<i64>,
    /// The time that earlier attempts are compared with, in seconds since 1970 by this machine's
    /// clock: that of the answer to Create, or else of the journal's beginning.
    answered_at: i64,
}

/// Seconds by which an upload may have been initiated before ours: the maximum and the minimum.
type Window = (i64, i64);

impl LostCreates {
    /// Creates the record from earlier attempts without an answer, and the time of the answer, if
    /// there was one.
    pub(super) fn after(earlier: Vec<i64>, answered_at: i64) -> Self {
        Self { earlier, answered_at, ..Self::default() }
    }

    /// Returns the start times of earlier runs' attempts.
    pub(super) fn earlier(&self) -> &[i64] {
        &self.earlier
    }

    pub(super) fn trying(&mut self) {
        self.began.get_or_insert_with(Instant::now);
    }

    pub(super) fn lost(&mut self) {
        self.lost += 1;
    }

    pub(super) fn answered(&mut self) {
        self.took = self.began.map(|began| began.elapsed()).unwrap_or_default();
        self.answered_at = Timestamp::now().as_second();
    }

    /// Returns whether there may be anything to remove.
    pub(super) fn any(&self) -> bool {
        self.count() > 0
    }

    fn count(&self) -> usize {
        self.lost + self.earlier.len()
    }

    fn windows(&self) -> Vec<Window> {
        let own = i64::try_from(self.took.as_secs()).unwrap_or(i64::MAX).saturating_add(1);
        let earlier = self.earlier.iter().map(|began| {
            let before = self.answered_at - began;
            (before, before - TRIES_SECONDS)
        });
        (self.lost > 0).then_some((own, 0)).into_iter().chain(earlier).collect()
    }
}

/// Removes the uploads that unanswered attempts left. Reports uploads that cannot be removed, or
/// that cannot be distinguished from those of other clients.
pub(super) async fn sweep(context: &Context, ours: &UploadRef, creates: LostCreates) {
    let doubtful = match find(context, ours, &creates).await {
        Ok(found) if found.len() <= creates.count() => {
            let mut left = false;
            for upload in found {
                let upload =
                    UploadRef { object: context.object.clone(), upload_id: upload.upload_id };
                let patience = context.options.abort_patience;
                left |=
                    abort_until_gone(context.store().as_ref(), &upload, patience).await.is_err();
            }
            left
        }
        _ => true,
    };
    if doubtful {
        warn_of_leftovers(context);
    }
}

/// Warns of an upload that may be left: the answer was lost, and there is no upload of ours whose
/// date could be compared.
pub(super) fn warn_of_leftovers(context: &Context) {
    context.events.send(unheard_warning());
}

/// Returns the warning of an upload that may be left.
pub(crate) fn unheard_warning() -> Event {
    let message = "an answer to CreateMultipartUpload was lost: the store may keep an empty upload \
        of this key";
    Event::Warning { message: message.into() }
}

async fn find(
    context: &Context,
    ours: &UploadRef,
    creates: &LostCreates,
) -> Result<Vec<UploadSummary>, StoreError> {
    let store = context.store().as_ref();
    let uploads = uploads_of_key(store, &context.object, &context.resources.retry).await?;
    let own = uploads.iter().find(|upload| upload.upload_id == ours.upload_id);
    let Some(dated) = own.and_then(|own| own.initiated) else { return Ok(vec![]) };
    let windows = creates.windows();
    let in_time = |initiated: Timestamp| {
        let before = dated.as_second() - initiated.as_second();
        windows.iter().any(|(most, least)| {
            before <= most + PRECISION_SECONDS && before >= least - PRECISION_SECONDS
        })
    };
    let folder = context.options.journal.as_ref().map(|journal| &journal.folder);
    let mut uploads = uploads;
    uploads.retain(|upload| {
        upload.upload_id != ours.upload_id && upload.initiated.is_some_and(in_time)
    });
    empty_and_unremembered(store, &context.object, &context.resources.retry, folder, uploads).await
}

/// Finds empty uploads of the key that attempts at these times may have left.
pub(super) async fn find_unheard(
    store: &dyn Store,
    object: &ObjectRef,
    folder: &JournalFolder,
    began: &[i64],
) -> Result<Vec<UploadSummary>, StoreError> {
    let retry = RetryPolicy::default();
    let mut uploads = uploads_of_key(store, object, &retry).await?;
    let in_time = |initiated: Timestamp| {
        began.iter().any(|began| {
            let after = initiated.as_second() - began;
            (-CLOCKS_SECONDS..=CLOCKS_SECONDS + TRIES_SECONDS).contains(&after)
        })
    };
    uploads.retain(|upload| upload.initiated.is_some_and(in_time));
    empty_and_unremembered(store, object, &retry, Some(folder), uploads).await
}

/// Returns the uploads without parts and without a journal on this machine.
async fn empty_and_unremembered(
    store: &dyn Store,
    object: &ObjectRef,
    retry: &RetryPolicy,
    folder: Option<&JournalFolder>,
    uploads: Vec<UploadSummary>,
) -> Result<Vec<UploadSummary>, StoreError> {
    let remembered = remembered_here(folder);
    let mut found = vec![];
    for summary in uploads {
        if remembered.contains(&summary.upload_id) {
            continue;
        }
        let upload = UploadRef { object: object.clone(), upload_id: summary.upload_id.clone() };
        let listed = retry.run(|| store.list_parts(&upload, None)).await;
        if listed.is_ok_and(|listed| listed.parts.is_empty()) {
            found.push(summary);
        }
    }
    Ok(found)
}
