//! Matches the files of a folder with the keys of a listing in one pass over both.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::pin::Pin;

use futures_util::{Stream, StreamExt as _};
use haul::StoreError;
use haul::remote::ListingEntry;
use tokio::sync::mpsc::Receiver;

use super::walk::{Found, LocalFile, WalkError};

/// A key that exists on one side or on both.
#[derive(Debug)]
pub(super) enum Pair {
    Both(LocalFile, RemoteKey),
    LocalOnly(LocalFile),
    RemoteOnly(RemoteKey),
    /// An entry of the folder that cannot be compared.
    Unusable(WalkError),
}

/// An object of the listing, by its key below the prefix.
#[derive(Clone, Debug)]
pub(super) struct RemoteKey {
    pub(super) key: String,
    pub(super) size_bytes: u64,
}

/// The reason why the two sides cannot be matched.
#[derive(Debug, thiserror::Error)]
pub(super) enum MergeError {
    #[error(transparent)]
    Listing(#[from] StoreError),
    #[error("the listing is not in the order of its keys: {later:?} follows {earlier:?}")]
    Unordered { earlier: String, later: String },
}

type Pages<'a> = Pin<Box<dyn Stream<Item = Result<Vec<ListingEntry>, StoreError>> + Send + 'a>>;

/// Both sides, each sorted by key.
pub(super) struct Merge<'a> {
    local: Receiver<Found>,
    local_next: Option<LocalFile>,
    pages: Pages<'a>,
    prefix_bytes: usize,
    page: VecDeque<RemoteKey>,
    remote_next: Option<RemoteKey>,
    last: Option<String>,
    local_ended: bool,
    remote_ended: bool,
}

impl<'a> Merge<'a> {
    pub(super) fn new(local: Receiver<Found>, pages: Pages<'a>, prefix_bytes: usize) -> Self {
        Self {
            local,
            local_next: None,
            pages,
            prefix_bytes,
            page: VecDeque::new(),
            remote_next: None,
            last: None,
            local_ended: false,
            remote_ended: false,
        }
    }

    /// Returns the next key of either side.
    pub(super) async fn next(&mut self) -> Result<Option<Pair>, MergeError> {
        if self.local_next.is_none() && !self.local_ended {
            match self.local.recv().await {
                None => self.local_ended = true,
                Some(Err(error)) => return Ok(Some(Pair::Unusable(error))),
                Some(Ok(file)) => self.local_next = Some(file),
            }
        }
        if self.remote_next.is_none() && !self.remote_ended {
            self.remote_next = self.remote().await?;
            self.remote_ended = self.remote_next.is_none();
        }
        let order = match (&self.local_next, &self.remote_next) {
            (None, None) => return Ok(None),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(local), Some(remote)) => local.key.as_bytes().cmp(remote.key.as_bytes()),
        };
        let local = if order.is_le() { self.local_next.take() } else { None };
        let remote = if order.is_ge() { self.remote_next.take() } else { None };
        Ok(match (local, remote) {
            (Some(local), Some(remote)) => Some(Pair::Both(local, remote)),
            (Some(local), None) => Some(Pair::LocalOnly(local)),
            (None, remote) => remote.map(Pair::RemoteOnly),
        })
    }

    async fn remote(&mut self) -> Result<Option<RemoteKey>, MergeError> {
        loop {
            if let Some(next) = self.page.pop_front() {
                if let Some(earlier) = &self.last
                    && earlier.as_bytes() >= next.key.as_bytes()
                {
                    let (earlier, later) = (earlier.clone(), next.key);
                    return Err(MergeError::Unordered { earlier, later });
                }
                self.last = Some(next.key.clone());
                return Ok(Some(next));
            }
            let Some(page) = self.pages.next().await else { return Ok(None) };
            let keys = page?.into_iter().filter_map(|entry| match entry {
                // A folder marker, as created by web consoles.
                ListingEntry::Object { key, size_bytes: 0, .. } if key.ends_with('/') => None,
                ListingEntry::Object { key, size_bytes, .. } => {
                    let key = key.get(self.prefix_bytes..)?.to_owned();
                    Some(RemoteKey { key, size_bytes })
                }
                ListingEntry::CommonPrefix(_) => None,
            });
            self.page = keys.collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use futures_util::stream;

    use super::*;

    fn entry(key: &str) -> ListingEntry {
        ListingEntry::Object {
            key: format!("p/{key}"),
            size_bytes: 1,
            last_modified: None,
            etag: None,
            storage_class: None,
        }
    }

    async fn merged(local: &[&str], pages: &[&[&str]]) -> Result<Vec<String>, MergeError> {
        let (sender, receiver) = tokio::sync::mpsc::channel(100);
        for key in local {
            let file = LocalFile { key: (*key).to_owned(), path: PathBuf::from(key) };
            sender.send(Ok(file)).await.unwrap();
        }
        drop(sender);
        let pages: Vec<Result<Vec<ListingEntry>, StoreError>> =
            pages.iter().map(|page| Ok(page.iter().map(|key| entry(key)).collect())).collect();
        let mut merge = Merge::new(receiver, Box::pin(stream::iter(pages)), 2);
        let mut found = Vec::new();
        while let Some(pair) = merge.next().await? {
            found.push(match pair {
                Pair::Both(local, _) => format!("={}", local.key),
                Pair::LocalOnly(local) => format!("<{}", local.key),
                Pair::RemoteOnly(remote) => format!(">{}", remote.key),
                Pair::Unusable(error) => error.to_string(),
            });
        }
        Ok(found)
    }

    #[tokio::test]
    async fn keys_of_both_sides_are_matched() {
        let found = merged(&["a", "b", "d", "e"], &[&["a"], &[], &["c", "d"], &["f"]]).await;
        assert_eq!(found.unwrap(), ["=a", "<b", ">c", "=d", "<e", ">f"]);
        assert_eq!(merged(&[], &[&["a", "b"]]).await.unwrap(), [">a", ">b"]);
        assert_eq!(merged(&["a"], &[]).await.unwrap(), ["<a"]);
    }

    /// Directory buckets list in no order: matching in one pass would report every key as missing.
    #[tokio::test]
    async fn a_listing_without_order_is_refused() {
        let found = merged(&["a"], &[&["b", "a"]]).await;
        assert!(matches!(found, Err(MergeError::Unordered { .. })), "{found:?}");
    }
}
