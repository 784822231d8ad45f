//! Removes the objects below a prefix while its listing continues.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::StreamExt as _;
use haul_parts::{Bucket, Key};

use super::remover::{Removed, Remover};
use crate::listing::{ListingQuery, pages};
use crate::remote::{ListingEntry, Operation, StoreError, StoreErrorKind};

/// Batches in flight: together with the keys in a batch, this limits the memory.
const BATCHES_AT_ONCE: usize = 4;

/// Selects the objects to remove.
#[derive(Clone, Copy)]
pub struct RemovalOptions<'a> {
    /// The bucket of the objects.
    pub bucket: &'a Bucket,
    /// The prefix of the keys.
    pub prefix: &'a str,
    /// A filter for the keys: only keys for which it returns true are removed.
    pub admits: &'a (dyn Fn(&str) -> bool + Sync),
    /// When this is set, no further request is sent; requests in flight are awaited.
    pub stop: &'a AtomicBool,
}

/// Removes the objects that `options` selects, and calls `each` with the result for every key. Uses
/// bounded memory.
///
/// # Errors
/// If the listing failed, or if the store refused a whole request. By then `each` has been called
/// for all keys sent before, except those of the refused request.
pub async fn remove_below(
    remover: &Remover,
    options: RemovalOptions<'_>,
    mut each: impl FnMut(Removed),
) -> Result<(), StoreError> {
    let failed = AtomicBool::new(false);
    let ended = || failed.load(Ordering::Relaxed) || options.stop.load(Ordering::Relaxed);
    let query = ListingQuery { bucket: options.bucket, prefix: options.prefix, delimiter: None };
    let pages = pages(remover.store().as_ref(), query, remover.retry());
    let batches = pages.take_while(|_| std::future::ready(!ended())).map(|page| {
        let page = page.map(|entries| keys(entries, options.admits));
        let failed = &failed;
        async move {
            let (keys, unusable) = page?;
            let removed = remover.remove(options.bucket, keys).await;
            // This stops further batches from starting.
            failed.fetch_or(removed.is_err(), Ordering::Relaxed);
            let mut removed = removed?;
            removed.extend(unusable);
            Ok(removed)
        }
    });
    let mut done = pin!(batches.buffer_unordered(BATCHES_AT_ONCE));
    let mut first_error = None;
    while let Some(batch) = done.next().await {
        match batch {
            Ok(removed) => removed.into_iter().for_each(&mut each),
            Err(error) => first_error = first_error.or(Some(error)),
        }
    }
    first_error.map_or(Ok(()), Err)
}

/// Splits the keys of a page into those to remove and those that cannot be part of a request.
fn keys(
    entries: Vec<ListingEntry>,
    admits: &(dyn Fn(&str) -> bool + Sync),
) -> (Vec<Key>, Vec<Removed>) {
    let (mut keys, mut unusable) = (Vec::with_capacity(entries.len()), Vec::new());
    for entry in entries {
        let ListingEntry::Object { key: text, .. } = entry else { continue };
        if !admits(&text) {
            continue;
        }
        match Key::new(text.as_str()) {
            Ok(key) => keys.push(key),
            Err(error) => {
                let kind = StoreErrorKind::Malformed;
                let error = StoreError::local(Operation::ListObjectsV2, kind, error.to_string());
                unusable.push(Removed { key: text, result: Err(error) });
            }
        }
    }
    (keys, unusable)
}
