//! Removes scratch: that of this run at its end, and that of earlier runs which were killed.
//!
//! Only keys below a scratch prefix are removed, in a bucket with versions each version and delete
//! marker by its VersionId.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use haul_parts::UploadMarker;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::time::Instant;

use super::bucket_versions::Versions;
use super::request::of_bucket;
use super::scratch::ScratchId;
use super::versions::versions_of;
use super::{Doctor, DoctorStop, Group, Verdict};
use crate::remote::{ListingEntry, Store, StoreErrorKind, UploadRef};

/// Maximum number of pages of a listing of scratch.
const PAGES_MAX: u32 = 100;

/// The time for removing the scratch, after the time for probing.
const CLEANUP_MAX: Duration = Duration::from_secs(120);

/// The names that every run uses: some stores list an upload only by its whole key.
const UPLOAD_NAMES: [&str; 4] = ["parts", "completed", "unequal", "throughput"];

/// The names of the other objects of a run.
const OBJECT_NAMES: [&str; 4] = ["absent", "checksum", "condition", "marker"];

/// What is below a prefix.
#[derive(Debug, Default)]
struct Found {
    /// Keys, with their version ids in a bucket with versions.
    objects: BTreeSet<(String, Option<String>)>,
    uploads: Vec<UploadRef>,
    /// Keys whose versions are not listed: they are removed one after the other.
    unlisted: BTreeSet<String>,
}

impl Doctor<'_> {
    /// Removes the scratch of runs that are over.
    pub(super) async fn remove_earlier_scratch(&mut self) {
        let found = self.found_below(&self.scratch.all()).await;
        let mut ids = BTreeMap::<ScratchId, Found>::new();
        for (key, version) in found.objects {
            if let Some(id) = self.scratch.earlier(&key) {
                ids.entry(id).or_default().objects.insert((key, version));
            }
        }
        for key in found.unlisted {
            if let Some(id) = self.scratch.earlier(&key) {
                let names = UPLOAD_NAMES.iter().chain(&OBJECT_NAMES);
                // A delete marker hides a key from the listing.
                let folder = self.scratch.folder_of(&id);
                let keys = names.map(|name| format!("{folder}{name}"));
                ids.entry(id).or_default().unlisted.extend(keys);
            }
        }
        for upload in found.uploads {
            if let Some(id) = self.scratch.earlier(upload.object.key.as_str()) {
                ids.entry(id).or_default().uploads.push(upload);
            }
        }
        if ids.is_empty() {
            return;
        }
        let now = self.cautious_now();
        let (stale, kept): (Vec<_>, Vec<_>) = ids.into_iter().partition(|(id, _)| id.is_stale(now));
        let mut problems = vec![];
        let removed = stale.len();
        for (id, mut found) in stale {
            let folder = self.scratch.folder_of(&id);
            found.uploads.extend(self.uploads_by_whole_key(&folder).await);
            problems.extend(self.remove(&found).await);
        }
        if removed > 0 {
            let verdict = if problems.is_empty() { Verdict::Ok } else { Verdict::No };
            let mut detail = format!("removed the scratch of {removed} earlier run(s)");
            if let Some(problem) = problems.first() {
                detail = format!("{detail}, but not all of it: {problem}");
            }
            self.note(Group::Cleanup, "earlier runs", verdict, detail);
        }
        if !kept.is_empty() {
            let detail = format!(
                "kept the scratch of {} run(s) that may still be running; it is removed when it is \
                 three hours old",
                kept.len()
            );
            self.note(Group::Cleanup, "running runs", Verdict::Ok, detail);
        }
    }

    /// Removes the scratch of this run. It is not subject to a stop request.
    pub(super) async fn remove_own_scratch(&mut self) {
        self.report.stopped = self.stop.is_stopped();
        self.stop = DoctorStop::default();
        self.ends = Instant::now() + CLEANUP_MAX;
        if self.created.is_empty() && self.uploads.is_empty() {
            return;
        }
        let folder = self.scratch.folder();
        let mut found = self.found_below(&folder).await;
        found.uploads.extend(self.uploads_by_whole_key(&folder).await);
        for (key, upload_id) in std::mem::take(&mut self.uploads) {
            if let Ok(object) = self.object(&key) {
                found.uploads.push(UploadRef { object, upload_id });
            }
        }
        for (key, version) in std::mem::take(&mut self.created) {
            match version {
                Some(_) => drop(found.objects.insert((key, version))),
                None if self.versions == Versions::None => {
                    found.objects.insert((key, None));
                }
                None => drop(found.unlisted.insert(key)),
            }
        }
        let mut problems = self.remove(&found).await;
        // A request that was under way at the first look has ended by now.
        let left = self.found_below(&folder).await;
        problems.extend(self.remove(&left).await);
        let verdict = if problems.is_empty() { Verdict::Ok } else { Verdict::No };
        let detail = match problems.first() {
            None => "the scratch was removed".to_owned(),
            Some(problem) => format!("the scratch was not removed: {problem}"),
        };
        self.note(Group::Cleanup, "scratch", verdict, detail);
        self.report.left_behind = problems;
    }

    async fn found_below(&self, prefix: &str) -> Found {
        let uploads = self.uploads_below(prefix).await;
        let listed = match self.versions {
            Versions::None => None,
            _ => self.versions_below(prefix).await,
        };
        if let Some(objects) = listed {
            return Found { objects, uploads, ..Found::default() };
        }
        let keys = self.objects_below(prefix).await;
        if self.versions == Versions::None {
            let objects = keys.into_iter().map(|key| (key, None)).collect();
            return Found { objects, uploads, ..Found::default() };
        }
        Found { unlisted: keys, uploads, ..Found::default() }
    }

    /// Returns `None` if the store lists no versions, or does not let us see them.
    async fn versions_below(&self, prefix: &str) -> Option<BTreeSet<(String, Option<String>)>> {
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let mut found = BTreeSet::new();
        let mut after = String::new();
        for _ in 0..PAGES_MAX {
            let query = format!("versions&prefix={}{after}", encoded(prefix));
            let key = self.scratch.key("marker");
            let answer = self.send_to(&key, &of_bucket(&query)).await.ok()?;
            let page = versions_of(&answer.body).filter(|_| answer.is_success())?;
            let ours = page.versions.into_iter().filter(|(key, _)| key.starts_with(prefix));
            found.extend(ours.map(|(key, version)| (key, Some(version))));
            match page.next {
                Some((key, version)) => {
                    after = format!(
                        "&key-marker={}&version-id-marker={}",
                        encoded(&key),
                        encoded(&version)
                    );
                }
                None => return Some(found),
            }
        }
        Some(found)
    }

    async fn objects_below(&self, prefix: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut continuation = None;
        for _ in 0..PAGES_MAX {
            let listed =
                self.store.list_objects(&self.bucket, prefix, None, continuation.as_deref()).await;
            let Ok(page) = listed else { break };
            for entry in page.entries {
                if let ListingEntry::Object { key, .. } = entry
                    && key.starts_with(prefix)
                {
                    found.insert(key);
                }
            }
            continuation = page.next;
            if continuation.is_none() {
                break;
            }
        }
        found
    }

    async fn uploads_below(&self, prefix: &str) -> Vec<UploadRef> {
        let mut found = vec![];
        let mut after: Option<UploadMarker> = None;
        for _ in 0..PAGES_MAX {
            let listed =
                self.store.list_multipart_uploads(&self.bucket, prefix, after.as_ref()).await;
            let Ok(page) = listed else { break };
            for upload in page.uploads.into_iter().filter(|it| it.key.starts_with(prefix)) {
                if let Ok(object) = self.object(&upload.key) {
                    found.push(UploadRef { object, upload_id: upload.upload_id });
                }
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        found
    }

    /// Returns the uploads of a run at a store that lists them only by whole keys (MinIO).
    async fn uploads_by_whole_key(&self, folder: &str) -> Vec<UploadRef> {
        let mut found = vec![];
        let page = self.store.list_multipart_uploads(&self.bucket, folder, None).await;
        if page.is_ok_and(|page| page.exact_key_only) {
            for name in UPLOAD_NAMES {
                found.extend(self.uploads_below(&format!("{folder}{name}")).await);
            }
        }
        found
    }

    /// Removes everything that was found; returns what could not be removed. The marker is last, so
    /// that a run which is killed here is still found by the next one.
    async fn remove(&self, found: &Found) -> Vec<String> {
        let mut problems = vec![];
        for upload in &found.uploads {
            match self.store.abort_multipart_upload(upload).await {
                Ok(()) => {}
                Err(error) if error.kind == StoreErrorKind::NoSuchUpload => {}
                Err(error) => problems.push(format!("upload of {}: {error}", upload.object.key)),
            }
        }
        let is_marker = |key: &str| key.ends_with("/marker");
        let (markers, others): (Vec<_>, Vec<_>) =
            found.objects.iter().partition(|(key, _)| is_marker(key));
        let (last, first): (Vec<_>, Vec<_>) = found.unlisted.iter().partition(|key| is_marker(key));
        for (key, version) in others {
            problems.extend(self.remove_one(key, version.as_deref()).await.err());
        }
        for key in first {
            problems.extend(self.remove_each_version(key).await.err());
        }
        for (key, version) in markers {
            problems.extend(self.remove_one(key, version.as_deref()).await.err());
        }
        for key in last {
            problems.extend(self.remove_each_version(key).await.err());
        }
        problems
    }

    async fn remove_one(&self, key: &str, version: Option<&str>) -> Result<(), String> {
        match version {
            Some(version) => self.remove_version(key, version).await,
            None => self.remove_plainly(key).await.map(drop),
        }
    }
}
