//! Lists parts, uploads and buckets for the control plane, one page at a time.

use aws_sdk_s3::Client;
use aws_sdk_s3::types::EncodingType;
use haul_parts::{Bucket, ETag, PartNumber, UploadId};

use super::convert::{self, checksum_of};
use super::encoding::Encoding;
use super::sdk_error::convert as failed;
use crate::remote::{
    ListedBucket, Operation, PageGuard, PartsPage, StoreError, StoreErrorKind, StoredPart,
    UploadMarker, UploadRef, UploadSummary, UploadsPage,
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
        let next = marker.or_else(|| parts.last().map(|part| part.number));
        // Part numbers only increase, so it is enough to compare the marker with the previous one.
        Some(advancing(Operation::ListParts, next, |next| after.is_none_or(|after| after < *next))?)
    } else {
        None
    };
    let checksum_type = answer.checksum_type().and_then(convert::declared_type);
    let newest = answer
        .parts()
        .iter()
        .filter_map(|part| part.last_modified().and_then(convert::timestamp))
        .max();
    Ok(PartsPage { parts, next, checksum_type, newest })
}

pub(super) async fn list_multipart_uploads(
    client: &Client,
    bucket: &Bucket,
    prefix: &str,
    after: Option<&UploadMarker>,
) -> Result<UploadsPage, StoreError> {
    let ask = async |encoding_type: Option<EncodingType>| {
        client
            .list_multipart_uploads()
            .bucket(bucket.as_str())
            .set_encoding_type(encoding_type)
            .set_prefix((!prefix.is_empty()).then(|| prefix.to_owned()))
            .set_key_marker(after.map(|marker| marker.key.clone()))
            .set_upload_id_marker(
                after.and_then(|marker| marker.upload_id.clone()).map(String::from),
            )
            .send()
            .await
            .map_err(|error| failed(Operation::ListMultipartUploads, error))
    };
    // The first attempt is without `encoding-type`: with it, Ceph RGW 16.2 encodes keys without
    // declaring that, and LocalStack declares the encoding without applying it. But a key with
    // U+FFFE or a control character makes a document that no parser reads, so such a page can be
    // read only with encoded keys.
    let answer = match ask(None).await {
        Err(error) if error.kind == StoreErrorKind::Malformed => {
            ask(Some(EncodingType::Url)).await.map_err(|_| error)?
        }
        answer => answer?,
    };
    let encoding = Encoding::of(answer.encoding_type());
    let mut uploads: Vec<_> = answer
        .uploads()
        .iter()
        .filter_map(|upload| {
            Some(UploadSummary {
                key: encoding.decode(upload.key()?),
                upload_id: UploadId::new(upload.upload_id()?).ok()?,
                initiated: upload.initiated().and_then(convert::timestamp),
                storage_class: upload.storage_class().map(|class| class.as_str().to_owned()),
                initiator: upload
                    .initiator()
                    .and_then(|who| who.display_name().or(who.id()))
                    .map(str::to_owned),
            })
        })
        .collect();
    let next = if answer.is_truncated().unwrap_or_default() {
        let marker =
            answer.next_key_marker().filter(|key| !key.is_empty()).map(|key| UploadMarker {
                key: encoding.decode(key),
                upload_id: answer.next_upload_id_marker().and_then(|id| UploadId::new(id).ok()),
            });
        let last = || {
            let last = uploads.last()?;
            Some(UploadMarker { key: last.key.clone(), upload_id: Some(last.upload_id.clone()) })
        };
        let next = marker.or_else(last);
        Some(advancing(Operation::ListMultipartUploads, next, |next| after != Some(next))?)
    } else {
        None
    };
    // Garage 2.5 sorts the uploads of a page by their ids, although its pages are in key order.
    uploads.sort_by(|one: &UploadSummary, other| {
        (&one.key, one.initiated).cmp(&(&other.key, other.initiated))
    });
    Ok(UploadsPage { uploads, next, exact_key_only: false })
}

/// Checks that a truncated list has a continuation, and that the continuation advances.
fn advancing<T>(
    operation: Operation,
    next: Option<T>,
    advances: impl FnOnce(&T) -> bool,
) -> Result<T, StoreError> {
    let malformed = |message| Err(StoreError::local(operation, StoreErrorKind::Malformed, message));
    match next {
        Some(next) if advances(&next) => Ok(next),
        Some(_) => malformed("the list does not advance: the page ends where it was to begin"),
        None => {
            malformed("the list is cut off (IsTruncated) and does not say where it is continued")
        }
    }
}

pub(super) async fn list_buckets(client: &Client) -> Result<Vec<ListedBucket>, StoreError> {
    let mut buckets = vec![];
    let mut continuation = None;
    let mut guard = PageGuard::new(Operation::ListBuckets);
    loop {
        let answer = client
            .list_buckets()
            .set_continuation_token(continuation)
            .send()
            .await
            .map_err(|error| failed(Operation::ListBuckets, error))?;
        buckets.extend(answer.buckets().iter().filter_map(|bucket| {
            Some(ListedBucket {
                name: bucket.name()?.to_owned(),
                created: bucket.creation_date().and_then(convert::timestamp),
            })
        }));
        let Some(next) = answer.continuation_token().filter(|token| !token.is_empty()) else {
            return Ok(buckets);
        };
        guard.advance(answer.buckets().first().and_then(|bucket| bucket.name()), next)?;
        continuation = Some(next.to_owned());
    }
}
