//! Uploads whose CreateMultipartUpload was carried out although its answer was lost (trap 25): empty, of our key, and of
//! an id that nobody was told.
//!
//! Nothing in a listing says whose an upload is, so only what can hardly be anybody else's is removed: of this key,
//! without parts, in no journal of this machine, initiated between our first lost try and the one that was answered
//! (by the store's own clock, which dates our upload in the same list), and no more of them than answers were lost.
//! By the time of the look all our parts have arrived: an upload that somebody is sending has parts by then, too.

use std::time::Duration;

use tokio::time::Instant;

use super::Job;
use super::abort::abort_until_gone;
use super::adoption::{remembered_here, uploads_of_key};
use crate::events::Event;
use crate::store::{StoreError, UploadRef};

/// Listings date uploads in whole seconds.
const PRECISION: Duration = Duration::from_secs(1);

/// The tries to create one upload.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LostCreates {
    began: Option<Instant>,
    lost: usize,
    /// From the first try to the answer of the last.
    took: Duration,
}

impl LostCreates {
    pub(super) fn trying(&mut self) {
        self.began.get_or_insert_with(Instant::now);
    }

    pub(super) fn lost(&mut self) {
        self.lost += 1;
    }

    pub(super) fn answered(&mut self) {
        self.took = self.began.map(|began| began.elapsed()).unwrap_or_default();
    }

    /// Whether there may be anything to remove.
    pub(super) fn any(&self) -> bool {
        self.lost > 0
    }
}

/// Removes what the lost tries left. What cannot be removed, or told from what is somebody else's, is said.
pub(super) async fn sweep(job: &Job, ours: &UploadRef, creates: LostCreates) {
    let doubtful = match find(job, ours, creates).await {
        Ok(found) if found.len() <= creates.lost => {
            let mut left = false;
            for upload in found {
                let patience = job.options.abort_patience;
                left |= abort_until_gone(job.store.as_ref(), &upload, patience).await.is_err();
            }
            left
        }
        _ => true,
    };
    if doubtful {
        say(job);
    }
}

/// Nobody can tell: the answer was lost, and there is nothing to compare with.
pub(super) fn say(job: &Job) {
    let message =
        "an answer to CreateMultipartUpload was lost: the store may keep an empty upload of this key";
    job.events.send(Event::Warning { message: message.into() });
}

async fn find(job: &Job, ours: &UploadRef, creates: LostCreates) -> Result<Vec<UploadRef>, StoreError> {
    let uploads = uploads_of_key(job, &job.options.retry).await?;
    let own = uploads.iter().find(|upload| upload.upload_id == ours.upload_id);
    let Some(dated) = own.and_then(|own| own.initiated) else { return Ok(vec![]) };
    let remembered = remembered_here(job);
    let mut found = vec![];
    for upload in uploads {
        let Some(initiated) = upload.initiated else { continue };
        let before = dated.duration_since(initiated);
        let in_time = before <= (creates.took + PRECISION).try_into().unwrap_or_default()
            && -before <= PRECISION.try_into().unwrap_or_default();
        if !in_time || upload.upload_id == ours.upload_id || remembered.contains(&upload.upload_id) {
            continue;
        }
        let upload = UploadRef { object: job.object.clone(), upload_id: upload.upload_id };
        let listed = job.options.retry.run(|| job.store.list_parts(&upload, None)).await;
        if listed.is_ok_and(|listed| listed.parts.is_empty()) {
            found.push(upload);
        }
    }
    Ok(found)
}
