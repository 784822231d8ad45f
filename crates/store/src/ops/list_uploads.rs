//! Lists open uploads: by key, then by the order of their Create.

use std::ops::Bound;

use haul_parts::{Bucket, Key, UploadId};

use super::page_size;
use super::rollup::{Begin, Rollup, past_prefix};
use crate::meta::{Snapshot, UploadRecord, damaged, upload_id_bytes, upload_id_text};
use crate::{
    DiskStore, Error, ListUploads, Result, UploadInfo, UploadMarker, UploadPage, UploadRef,
};

impl DiskStore {
    /// Returns a page of the open uploads of a bucket.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`], [`Error::InvalidUploadIdMarker`].
    pub fn list_multipart_uploads(&self, bucket: &Bucket, what: ListUploads) -> Result<UploadPage> {
        let ListUploads { prefix, delimiter, key_marker, upload_id_marker, max_uploads } = what;
        let marker = (key_marker.as_deref(), upload_id_marker.as_ref());
        let snapshot = self.inner.core.snapshot()?;
        snapshot.bucket(bucket)?;
        let uploads = snapshot.uploads()?;
        let rollup = Rollup::new(&prefix, delimiter.as_deref());
        let size = page_size(max_uploads);
        let mut page = UploadPage::default();
        let mut last = None;
        let mut begin = begin(&snapshot, bucket, marker, &rollup)?.filter(|_| size > 0);
        'seek: while let Some(from) = begin.take() {
            let name = bucket.as_str();
            let bound = match &from {
                From::Key(Begin::At(key)) => Bound::Included((name, key.as_str(), 0)),
                From::Key(Begin::After(key)) => Bound::Excluded((name, key.as_str(), u64::MAX)),
                From::Upload(key, sequence) => Bound::Excluded((name, key.as_str(), *sequence)),
            };
            for row in uploads.range((bound, Bound::Unbounded))? {
                let (at, record) = row?;
                let (of, key, _) = at.value();
                if of != name || !rollup.covers(key) {
                    break 'seek;
                }
                if page.uploads.len() + page.common_prefixes.len() == size {
                    page.next = last;
                    break 'seek;
                }
                if let Some(common) = rollup.common_prefix(key) {
                    page.common_prefixes.push(common.to_owned());
                    last = Some(UploadMarker { key: common.to_owned(), upload_id: None });
                    begin = past_prefix(common).map(|key| From::Key(Begin::At(key)));
                    continue 'seek;
                }
                let upload = info(bucket, key, record.value())?;
                let upload_id = Some(upload.upload.upload_id.clone());
                last = Some(UploadMarker { key: key.to_owned(), upload_id });
                page.uploads.push(upload);
            }
        }
        Ok(page)
    }
}

/// The position to seek to.
enum From {
    Key(Begin),
    /// After the upload of this key with this sequence.
    Upload(String, u64),
}

fn begin(
    snapshot: &Snapshot,
    bucket: &Bucket,
    (key_marker, upload_id_marker): (Option<&str>, Option<&UploadId>),
    rollup: &Rollup<'_>,
) -> Result<Option<From>> {
    let begin = rollup.begin(key_marker);
    // The upload-id marker has no meaning without a key marker, before the prefix, or inside a
    // common prefix.
    let (Some(key), Some(upload_id), Some(Begin::After(_))) =
        (key_marker, upload_id_marker, &begin)
    else {
        return Ok(begin.map(From::Key));
    };
    let id = upload_id_bytes(upload_id).ok_or(Error::InvalidUploadIdMarker)?;
    let Some(sequence) = snapshot.upload_ids()?.get(u128::from_be_bytes(id))? else {
        // The upload ended after the previous page, so its sequence is unknown. Listing its key
        // again from the start may repeat uploads but misses none.
        return Ok(Some(From::Upload(key.to_owned(), 0)));
    };
    let sequence = sequence.value();
    if snapshot.uploads()?.get((bucket.as_str(), key, sequence))?.is_none() {
        return Err(Error::InvalidUploadIdMarker);
    }
    Ok(Some(From::Upload(key.to_owned(), sequence)))
}

fn info(bucket: &Bucket, key: &str, record: &[u8]) -> Result<UploadInfo> {
    let record = UploadRecord::decode(record)?;
    let key = Key::new(key).map_err(|_| damaged("upload"))?;
    let upload_id = upload_id_text(record.upload_id);
    Ok(record.info(UploadRef::new(bucket.clone(), key, upload_id)))
}
