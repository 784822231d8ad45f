//! Lists objects page by page, in bounded memory, seeking past the keys that a common prefix
//! replaces.

use std::ops::Bound;

use haul_parts::{Bucket, Key};

use super::page_size;
use super::rollup::{Begin, Rollup, past_prefix};
use crate::meta::{ObjectRecord, damaged};
use crate::{DiskStore, ListObjects, ObjectPage, ObjectSummary, Result};

impl DiskStore {
    /// Returns a page of objects.
    ///
    /// # Errors
    /// [`NoSuchBucket`](crate::Error::NoSuchBucket).
    pub fn list_objects(&self, bucket: &Bucket, what: ListObjects) -> Result<ObjectPage> {
        let ListObjects { prefix, delimiter, start_after, max_keys } = what;
        let snapshot = self.inner.core.snapshot()?;
        snapshot.bucket(bucket)?;
        let objects = snapshot.objects()?;
        let rollup = Rollup::new(&prefix, delimiter.as_deref());
        let size = page_size(max_keys);
        let mut page = ObjectPage::default();
        let mut last: Option<String> = None;
        let mut begin = rollup.begin(start_after.as_deref()).filter(|_| size > 0);
        // Each round walks over plain keys up to the next common prefix, then seeks past all keys
        // that the prefix replaces.
        'seek: while let Some(from) = begin.take() {
            let name = bucket.as_str();
            let bound = match &from {
                Begin::At(key) => Bound::Included((name, key.as_str())),
                Begin::After(key) => Bound::Excluded((name, key.as_str())),
            };
            for row in objects.range((bound, Bound::Unbounded))? {
                let (at, record) = row?;
                let (of, key) = at.value();
                if of != name || !rollup.covers(key) {
                    break 'seek;
                }
                if page.objects.len() + page.common_prefixes.len() == size {
                    page.next = last;
                    break 'seek;
                }
                if let Some(common) = rollup.common_prefix(key) {
                    page.common_prefixes.push(common.to_owned());
                    last = Some(common.to_owned());
                    begin = past_prefix(common).map(Begin::At);
                    continue 'seek;
                }
                page.objects.push(summary(key, record.value())?);
                last = Some(key.to_owned());
            }
        }
        Ok(page)
    }
}

fn summary(key: &str, record: &[u8]) -> Result<ObjectSummary> {
    let record = ObjectRecord::decode(record)?;
    let info = record.info();
    Ok(ObjectSummary {
        key: Key::new(key).map_err(|_| damaged("object"))?,
        version: info.version,
        size_bytes: info.size_bytes,
        etag: info.etag,
        last_modified: info.last_modified,
        checksum: info.checksum.map(|checksum| (checksum.algorithm(), checksum.checksum_type())),
        storage_class: info.attributes.storage_class,
    })
}
