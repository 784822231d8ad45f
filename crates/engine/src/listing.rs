//! The pages of ListObjectsV2 as one stream: each request is retried, and a listing that does not
//! advance is an error.

use futures_util::Stream;
use futures_util::stream;
use haul_parts::Bucket;

use crate::pace::RetryPolicy;
use crate::remote::{ListingEntry, Operation, PageGuard, Store, StoreError};

/// Selects the objects to list.
#[derive(Clone, Copy, Debug)]
pub struct ListingQuery<'a> {
    /// The bucket to list.
    pub bucket: &'a Bucket,
    /// The prefix of the keys.
    pub prefix: &'a str,
    /// Keys are rolled up at the first of these after the prefix.
    pub delimiter: Option<&'a str>,
}

/// Lists page by page; each item has the entries of one page, possibly none. The stream ends after
/// its first error.
pub fn pages<'a>(
    store: &'a dyn Store,
    query: ListingQuery<'a>,
    retry: &'a RetryPolicy,
) -> impl Stream<Item = Result<Vec<ListingEntry>, StoreError>> + Send + 'a {
    let walk = Walk {
        store,
        query,
        retry,
        continuation: None,
        guard: PageGuard::new(Operation::ListObjectsV2),
    };
    stream::unfold(Some(walk), |walk| async move {
        let mut walk = walk?;
        match walk.page().await {
            Ok((entries, true)) => Some((Ok(entries), Some(walk))),
            Ok((entries, false)) => Some((Ok(entries), None)),
            Err(error) => Some((Err(error), None)),
        }
    })
}

struct Walk<'a> {
    store: &'a dyn Store,
    query: ListingQuery<'a>,
    retry: &'a RetryPolicy,
    continuation: Option<String>,
    guard: PageGuard,
}

impl Walk<'_> {
    /// Returns the next page, and whether another follows.
    async fn page(&mut self) -> Result<(Vec<ListingEntry>, bool), StoreError> {
        let ListingQuery { bucket, prefix, delimiter } = self.query;
        let after = self.continuation.as_deref();
        let list = || self.store.list_objects(bucket, prefix, delimiter, after);
        let page = self.retry.run(list).await?;
        let Some(next) = page.next else { return Ok((page.entries, false)) };
        self.guard.advance(page.entries.first().map(ListingEntry::name), &next)?;
        self.continuation = Some(next);
        Ok((page.entries, true))
    }
}
