//! Lists the objects below a prefix as a stream in key order, page by page; the next page is
//! requested while the current one is used.

use std::sync::Arc;

use futures_util::StreamExt;
use haul_parts::{Bucket, Glob, Key};
use tokio::sync::mpsc;

use super::entry::{Entry, Found, Place};
use crate::error::Error;
use crate::listing::{self, ListingQuery};
use crate::pace::RetryPolicy;
use crate::remote::{ListingEntry, Store};
use crate::subject::Subject;
use crate::transfer::mtime;

/// The scope of a listing.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    pub(super) bucket: Bucket,
    /// The prefix of the keys.
    pub(super) prefix: String,
    /// Number of bytes removed from the beginning of a key to get its name.
    pub(super) cut_bytes: usize,
    /// Text that is put in front of every name.
    pub(super) before: String,
    /// The pattern that keys match.
    pub(super) pattern: Option<Glob>,
}

/// Lists the objects; ends early when the receiver is dropped.
pub(super) async fn list(
    store: Arc<dyn Store>,
    retry: RetryPolicy,
    listed: Listed,
    found: mpsc::Sender<Vec<Found>>,
) {
    let query = ListingQuery { bucket: &listed.bucket, prefix: &listed.prefix, delimiter: None };
    let mut pages = std::pin::pin!(listing::pages(store.as_ref(), query, &retry));
    while let Some(page) = pages.next().await {
        let entries = match page {
            Ok(entries) => entries.into_iter().filter_map(|entry| listed.entry(entry)).collect(),
            Err(error) => {
                let (bucket, prefix) = (listed.bucket.clone(), listed.prefix.clone());
                vec![Found::Broken(Error::of_store(Subject::Bucket { bucket, prefix }, error))]
            }
        };
        if !entries.is_empty() && found.send(entries).await.is_err() {
            return;
        }
    }
}

impl Listed {
    fn entry(&self, entry: ListingEntry) -> Option<Found> {
        let ListingEntry::Object { key, size_bytes, last_modified, etag, .. } = entry else {
            return None;
        };
        if self.pattern.as_ref().is_some_and(|pattern| !pattern.matches(&key)) {
            return None;
        }
        // A store may answer with keys that do not begin with the requested prefix.
        let below = key.get(self.cut_bytes..).filter(|_| key.starts_with(&self.prefix))?;
        let name = format!("{}{below}", self.before);
        // A folder marker, as consoles create them.
        if (below.is_empty() || below.ends_with('/')) && size_bytes == 0 {
            return None;
        }
        let modified = last_modified.map(std::time::SystemTime::from);
        match Key::new(key.clone()) {
            Ok(key) => Some(Found::Entry(Entry {
                name,
                size_bytes,
                modified_ns: modified.and_then(mtime::nanoseconds),
                changed_ns: None,
                is_behind_link: false,
                place: Place::Object { key, etag },
            })),
            Err(error) => Some(Found::Refused {
                name,
                error: Error::UnusableName { name: key, reason: error.to_string() },
            }),
        }
    }
}
