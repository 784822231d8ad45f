//! Implements the paged listings of a bucket: objects and unfinished uploads.

use haul_parts::{Bucket, Key};

use super::world::{Object, OpenUpload, World};
use crate::remote::{
    Listing, ListingEntry, Operation, StoreError, UploadMarker, UploadSummary, UploadsPage,
};

impl World {
    pub(super) fn list_objects(
        &mut self,
        bucket: &Bucket,
        prefix: &str,
        delimiter: Option<&str>,
        continuation: Option<&str>,
    ) -> Result<Listing, StoreError> {
        let operation = Operation::ListObjectsV2;
        let page_max = self.quirks.page_max;
        let behind = continuation.map(Token::read).transpose()?;
        let bucket = self.bucket(operation, bucket)?;
        let mut entries: Vec<ListingEntry> = vec![];
        for (key, object) in &bucket.objects {
            let name = key.as_str();
            if !name.starts_with(prefix) || behind.as_ref().is_some_and(|token| token.covers(name))
            {
                continue;
            }
            let entry = match common_prefix(name, prefix, delimiter) {
                Some(common)
                    if entries.last() == Some(&ListingEntry::CommonPrefix(common.into())) =>
                {
                    continue;
                }
                Some(common) => ListingEntry::CommonPrefix(common.into()),
                None => listed(key, object),
            };
            if entries.len() == page_max {
                let next = entries.last().map(Token::behind);
                return Ok(Listing { entries, next });
            }
            entries.push(entry);
        }
        Ok(Listing { entries, next: None })
    }

    pub(super) fn list_uploads(
        &mut self,
        bucket: &Bucket,
        prefix: &str,
        after: Option<&UploadMarker>,
    ) -> Result<UploadsPage, StoreError> {
        let operation = Operation::ListMultipartUploads;
        let page_max = self.quirks.page_max;
        let bucket = self.bucket(operation, bucket)?;
        // The position of the marker's upload, which may have ended meanwhile.
        let marked = after.and_then(|marker| {
            let place = bucket.uploads.iter().find(|((key, _), upload)| {
                key.as_str() == marker.key && marker.upload_id.as_ref() == Some(&upload.upload_id)
            });
            place.map(|((_, sequence), _)| *sequence)
        });
        let behind = |key: &Key, sequence: u64| {
            after.is_none_or(|marker| match key.as_str().cmp(&marker.key) {
                std::cmp::Ordering::Less => false,
                std::cmp::Ordering::Equal => marked.is_some_and(|marked| sequence > marked),
                std::cmp::Ordering::Greater => true,
            })
        };
        let mut rest = bucket
            .uploads
            .iter()
            .filter(|((key, sequence), _)| {
                key.as_str().starts_with(prefix) && behind(key, *sequence)
            })
            .map(|((key, _), upload)| summary(key, upload));
        let uploads: Vec<_> = rest.by_ref().take(page_max).collect();
        let next = if rest.next().is_some() { uploads.last().map(marker) } else { None };
        Ok(UploadsPage { uploads, next, exact_key_only: false })
    }
}

/// Returns the part of a name up to the first delimiter after the prefix.
fn common_prefix<'a>(name: &'a str, prefix: &str, delimiter: Option<&str>) -> Option<&'a str> {
    let delimiter = delimiter.filter(|delimiter| !delimiter.is_empty())?;
    let at = name[prefix.len()..].find(delimiter)?;
    Some(&name[..prefix.len() + at + delimiter.len()])
}

fn listed(key: &Key, object: &Object) -> ListingEntry {
    ListingEntry::Object {
        key: key.as_str().to_owned(),
        size_bytes: object.bytes.len() as u64,
        last_modified: Some(object.last_modified),
        etag: Some(object.etag.clone()),
        storage_class: object.attributes.storage_class.clone(),
    }
}

fn summary(key: &Key, upload: &OpenUpload) -> UploadSummary {
    UploadSummary {
        key: key.as_str().to_owned(),
        upload_id: upload.upload_id.clone(),
        initiated: Some(upload.initiated),
        storage_class: upload.attributes.storage_class.clone(),
        initiator: None,
    }
}

fn marker(summary: &UploadSummary) -> UploadMarker {
    UploadMarker { key: summary.key.clone(), upload_id: Some(summary.upload_id.clone()) }
}

/// The position at which a listing of objects continues: after a key, or after everything below a
/// common prefix.
enum Token {
    Key(String),
    CommonPrefix(String),
}

impl Token {
    fn behind(entry: &ListingEntry) -> String {
        match entry {
            ListingEntry::Object { key, .. } => format!("key {key}"),
            ListingEntry::CommonPrefix(prefix) => format!("prefix {prefix}"),
        }
    }

    fn read(text: &str) -> Result<Self, StoreError> {
        match text.split_once(' ') {
            Some(("key", key)) => Ok(Self::Key(key.into())),
            Some(("prefix", prefix)) => Ok(Self::CommonPrefix(prefix.into())),
            _ => Err(StoreError::answered(
                Operation::ListObjectsV2,
                400,
                Some("InvalidArgument"),
                "The continuation token provided is incorrect",
            )),
        }
    }

    fn covers(&self, name: &str) -> bool {
        match self {
            Self::Key(key) => name <= key.as_str(),
            Self::CommonPrefix(prefix) => {
                name < prefix.as_str() || name.starts_with(prefix.as_str())
            }
        }
    }
}
