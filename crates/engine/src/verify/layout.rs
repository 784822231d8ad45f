//! Determines the parts of an object by requests to its store.
//!
//! HeadObject with `partNumber` returns the size of one part and the number of parts; if three
//! parts fit, it is probable that all are equal. GetObjectAttributes lists all parts; at AWS it
//! does so only if each part has its own checksum.

use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::{StreamExt, TryStreamExt, stream};
use haul_parts::{ObjectRef, PartLayout, PartNumber};

use super::verdict::LayoutSource;
use crate::error::Error;
use crate::pace::RetryPolicy;
use crate::remote::{ObjectHead, Store, StoredPart};

/// HeadObject requests in flight, if every part has to be queried.
const HEADS_AT_ONCE: usize = 16;

/// An object whose parts are queried.
#[derive(Clone, Copy)]
pub(super) struct LayoutQuery<'a> {
    pub(super) store: &'a dyn Store,
    pub(super) retry: &'a RetryPolicy,
    pub(super) object: &'a ObjectRef,
    pub(super) head: &'a ObjectHead,
    /// Whether GetObjectAttributes has failed: the store does not support it, or the key pair may
    /// not use it. A refusal may make the client fetch new credentials, so it is not repeated for
    /// every object of a folder.
    pub(super) without_attributes: &'a AtomicBool,
}

/// The parts of an object, as far as a few requests show them.
#[derive(Debug)]
pub(super) struct Told {
    /// The layout in equal parts; `None` if the parts are not equal.
    pub(super) layout: Option<PartLayout>,
    /// The number of parts.
    pub(super) part_count: u16,
    /// Whether all parts are known; false if parts between the second and the last one were not
    /// queried.
    pub(super) is_complete: bool,
}

impl LayoutQuery<'_> {
    /// Queries the first, the second and the last part; `None` if the store does not return them.
    pub(super) async fn equal_parts(&self) -> Result<Option<Told>, Error> {
        let size_bytes = self.head.size_bytes;
        let Some(first) = self.part(PartNumber::MIN).await? else { return Ok(None) };
        let Some(part_count) = first.part_count else { return Ok(None) };
        let unequal = Told { layout: None, part_count, is_complete: false };
        let layout = if part_count == 1 {
            Some(PartLayout::one_part(size_bytes))
        } else {
            PartLayout::equal(size_bytes, first.size_bytes)
        };
        let Some(layout) = layout.filter(|layout| layout.part_count() == part_count) else {
            return Ok(Some(unequal));
        };
        let asked = if part_count > 2 { vec![2, part_count] } else { vec![part_count] };
        for number in asked.into_iter().filter(|number| *number > 1) {
            let expected = layout.part(usize::from(number) - 1).map(|part| part.end - part.start);
            let Ok(number) = PartNumber::new(u32::from(number)) else { return Ok(Some(unequal)) };
            let found = self.part(number).await?;
            if found.map(|part| part.size_bytes) != expected {
                return Ok(Some(unequal));
            }
        }
        Ok(Some(Told { layout: Some(layout), part_count, is_complete: part_count <= 3 }))
    }

    /// Queries every part; `None` if the store does not return them. `part_count` is the number of
    /// parts, if it is known.
    pub(super) async fn all_parts(
        &self,
        part_count: Option<u16>,
    ) -> Result<Option<(PartLayout, LayoutSource)>, Error> {
        if let Some(layout) = self.listed().await {
            return Ok(Some((layout, LayoutSource::Attributes)));
        }
        let Some(part_count) = part_count else { return Ok(None) };
        let numbers = (1..=u32::from(part_count)).filter_map(|number| PartNumber::new(number).ok());
        let heads = stream::iter(numbers.map(|number| self.part(number)));
        let parts: Vec<Option<StoredPart>> = heads.buffered(HEADS_AT_ONCE).try_collect().await?;
        let sizes: Option<Vec<u64>> =
            parts.into_iter().map(|part| part.map(|part| part.size_bytes)).collect();
        let layout = sizes.and_then(PartLayout::of_sizes);
        Ok(layout
            .filter(|layout| layout.size_bytes() == self.head.size_bytes)
            .map(|layout| (layout, LayoutSource::PartHeads)))
    }

    /// Queries GetObjectAttributes; `None` if the store does not support it or the key pair may not
    /// use it. After a failure the other requests are used.
    async fn listed(&self) -> Option<PartLayout> {
        if self.without_attributes.load(Ordering::Relaxed) {
            return None;
        }
        let mut sizes = Vec::new();
        let mut after = None;
        loop {
            let ask = || self.store.get_object_attributes(self.object, after);
            let page = match self.retry.run(ask).await {
                Ok(page) => page,
                Err(error) => {
                    tracing::debug!(%error, "GetObjectAttributes does not tell the parts");
                    self.without_attributes.store(true, Ordering::Relaxed);
                    return None;
                }
            };
            sizes.extend(page.parts.iter().map(|part| part.size_bytes));
            if page.next.is_none() {
                break;
            }
            after = page.next;
        }
        let layout = PartLayout::of_sizes(sizes)?;
        (layout.size_bytes() == self.head.size_bytes).then_some(layout)
    }

    async fn part(&self, number: PartNumber) -> Result<Option<StoredPart>, Error> {
        let ask = || self.store.head_part(self.object, number);
        let part =
            self.retry.run(ask).await.map_err(|error| Error::of_store(self.object, error))?;
        let changed = |part: &StoredPart| {
            let (before, now) = (&self.head.etag, &part.etag);
            !before.is_empty() && !now.is_empty() && before.opaque() != now.opaque()
        };
        if let Some(part) = part.as_ref().filter(|part| changed(part)) {
            let detail = format!("its ETag is {} instead of {}", part.etag, self.head.etag);
            return Err(Error::ObjectChanged { object: self.object.clone(), detail });
        }
        Ok(part)
    }
}
