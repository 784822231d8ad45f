//! The control plane's lists, one page at a time.

use aws_sdk_s3::Client;
use haul_parts::{Bucket, ETag, PartNumber, UploadId};

use super::convert::{self, checksum_of};
use super::sdk_error::convert as failed;
use crate::store::{
    BucketInfo, Listing, ListingEntry, Operation, PartsPage, StoreError, StoredPart, UploadMarker, UploadRef,
    UploadSummary, UploadsPage,
};

pub(super) async fn list_parts(
    client: &Client,
    upload: &UploadRef,
    after: Option<PartNumber>,
) -> Result<PartsPage, StoreError> {
    let answer = client
        .list_parts()
        .bucket(upload.object.bucket.as_str())
        .key(upload.object.key.as_str())
        .upload_id(upload.upload_id.as_str())
        .set_part_number_marker(after.map(|number| number.to_string()))
        .send()
        .await
        .map_err(|error| failed(Operation::ListParts, error))?;
    let parts: Vec<_> = answer
        .parts()
        .iter()
        .filter_map(|part| {
            Some(StoredPart {
                number: PartNumber::try_from(part.part_number()?).ok()?,
                size_bytes: convert::size_bytes(part.size()),
                etag: ETag::new(part.e_tag().unwrap_or_default()),
                checksum: checksum_of!(part),
                part_count: None,
            })
        })
        .collect();
    let next = if answer.is_truncated().unwrap_or_default() {
        let marker = answer.next_part_number_marker().and_then(|marker| marker.parse().ok());
        marker.or_else(|| parts.last().map(|part| part.number))
    } else {
        None
    };
    let checksum_type = answer.checksum_type().and_then(convert::declared_type);
    Ok(PartsPage { parts, next, checksum_type })
}

pub(super) async fn list_multipart_uploads(
    client: &Client,
    bucket: &Bucket,
    prefix: &str,
    after: Option<&UploadMarker>,
) -> Result<UploadsPage, StoreError> {
    let answer = client
        .list_multipart_uploads()
        .bucket(bucket.as_str())
        .set_prefix((!prefix.is_empty()).then(|| prefix.to_owned()))
        .set_key_marker(after.map(|marker| marker.key.clone()))
        .set_upload_id_marker(after.map(|marker| marker.upload_id.clone()))
        .send()
        .await
        .map_err(|error| failed(Operation::ListMultipartUploads, error))?;
    let mut uploads: Vec<_> = answer
        .uploads()
        .iter()
        .filter_map(|upload| {
            Some(UploadSummary {
                key: upload.key()?.to_owned(),
                upload_id: UploadId::new(upload.upload_id()?).ok()?,
                initiated: upload.initiated().and_then(convert::timestamp),
                storage_class: upload.storage_class().map(|class| class.as_str().to_owned()),
            })
        })
        .collect();
    // Garage 2.5 sorts the uploads of a page by their ids; its pages follow each other by key.
    uploads
        .sort_by(|one: &UploadSummary, other| (&one.key, one.initiated).cmp(&(&other.key, other.initiated)));
    let next = match (answer.is_truncated(), answer.next_key_marker()) {
        (Some(true), Some(key)) => Some(UploadMarker {
            key: key.to_owned(),
            upload_id: answer.next_upload_id_marker().unwrap_or_default().to_owned(),
        }),
        _ => None,
    };
    Ok(UploadsPage { uploads, next })
}

pub(super) async fn list_objects(
    client: &Client,
    bucket: &Bucket,
    prefix: &str,
    delimiter: Option<&str>,
    continuation: Option<&str>,
) -> Result<Listing, StoreError> {
    let answer = client
        .list_objects_v2()
        .bucket(bucket.as_str())
        .set_prefix((!prefix.is_empty()).then(|| prefix.to_owned()))
        .set_delimiter(delimiter.map(str::to_owned))
        .set_continuation_token(continuation.map(str::to_owned))
        .send()
        .await
        .map_err(|error| failed(Operation::ListObjectsV2, error))?;
    let prefixes = answer.common_prefixes().iter().filter_map(|prefix| prefix.prefix());
    let prefixes = prefixes.map(|prefix| ListingEntry::CommonPrefix(prefix.to_owned()));
    let objects = answer.contents().iter().filter_map(|object| {
        Some(ListingEntry::Object {
            key: object.key()?.to_owned(),
            size_bytes: convert::size_bytes(object.size()),
            last_modified: object.last_modified().and_then(convert::timestamp),
            etag: convert::etag(object.e_tag()),
        })
    });
    let mut entries: Vec<_> = prefixes.chain(objects).collect();
    entries.sort_by(|one, other| name(one).cmp(name(other)));
    let next = answer.next_continuation_token().map(str::to_owned);
    Ok(Listing { entries, next: next.filter(|_| answer.is_truncated().unwrap_or_default()) })
}

fn name(entry: &ListingEntry) -> &str {
    match entry {
        ListingEntry::Object { key, .. } => key,
        ListingEntry::CommonPrefix(prefix) => prefix,
    }
}

pub(super) async fn list_buckets(client: &Client) -> Result<Vec<BucketInfo>, StoreError> {
    let mut buckets = vec![];
    let mut continuation = None;
    loop {
        let answer = client
            .list_buckets()
            .set_continuation_token(continuation)
            .send()
            .await
            .map_err(|error| failed(Operation::ListBuckets, error))?;
        buckets.extend(answer.buckets().iter().filter_map(|bucket| {
            Some(BucketInfo {
                name: bucket.name()?.to_owned(),
                created: bucket.creation_date().and_then(convert::timestamp),
            })
        }));
        continuation = answer.continuation_token().map(str::to_owned);
        if continuation.is_none() {
            return Ok(buckets);
        }
    }
}
