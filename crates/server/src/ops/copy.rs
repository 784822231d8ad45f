//! Implements CopyObject and UploadPartCopy. No bytes are read: source and copy share their files.
//!
//! Conditions are evaluated on the store's description of the source, and exactly that version is
//! copied. If the source was replaced in between, everything is evaluated again on the new version.
//! As on AWS, the client gets one of the versions, and a failed condition only if it sent one.

use std::ops::RangeInclusive;

use haul_store::{
    CopyOptions, CopySource as Source, DiskStore, MetadataDirective as Directive, ObjectAttributes,
    ObjectInfo, PartInfo, WriteCondition,
};
use s3s::dto::{CopySource, *};
use s3s::{S3ErrorCode, S3Request, S3Response};

use super::conditions::{ReadConditions, write_condition};
use crate::answer::refusal::Refusal;
use crate::ops::endpoint::{Answered, Endpoint};
use crate::ops::wire::{self, ChecksumFields};
use crate::ops::{encryption, names};

/// The largest source of one copy, by AWS's rule.
const SOURCE_MAX_BYTES: u64 = haul_parts::limits::PART_SIZE_MAX_BYTES;
/// The maximum number of attempts if the source is replaced during the copy. A lookup and a copy
/// are some milliseconds apart, so far fewer attempts suffice even for a source that is overwritten
/// continuously.
const ATTEMPTS_MAX: usize = 200;

impl Endpoint {
    pub(crate) async fn copy_object(
        &self,
        req: S3Request<CopyObjectInput>,
    ) -> Answered<CopyObjectOutput> {
        let given = self.attributes_of(&req)?;
        let condition = write_condition(
            header_condition(&req, "if-match")?,
            header_condition(&req, "if-none-match")?,
        )?;
        for _ in 0..ATTEMPTS_MAX {
            if let Some(copy) = self.try_copy(&req.input, given.clone(), condition.clone()).await? {
                let mut response = copied(&copy);
                self.volume.announce(&mut response.headers);
                return Ok(response);
            }
        }
        Err(source_never_rests())
    }

    /// Copies the current version; `None` if it was replaced before it was copied.
    async fn try_copy(
        &self,
        input: &CopyObjectInput,
        given: ObjectAttributes,
        condition: WriteCondition,
    ) -> Result<Option<ObjectInfo>, Refusal> {
        let conditions = ReadConditions {
            if_match: input.copy_source_if_match.clone(),
            if_none_match: input.copy_source_if_none_match.clone(),
            if_modified_since: input.copy_source_if_modified_since.clone(),
            if_unmodified_since: input.copy_source_if_unmodified_since.clone(),
        };
        let (source, object) = self.copy_source(&input.copy_source, &conditions).await?;
        if object.size_bytes > SOURCE_MAX_BYTES {
            return Err(source_too_large());
        }
        let replace_metadata =
            replaces(input.metadata_directive.as_ref().map(MetadataDirective::as_str), "metadata")?;
        let replace_tags =
            replaces(input.tagging_directive.as_ref().map(TaggingDirective::as_str), "tagging")?;
        // AWS checks whether the request has attributes for the copy, not whether they differ.
        let changes = replace_metadata == Replace::Yes
            || input.server_side_encryption.is_some()
            || given.storage_class.is_some()
            || given.website_redirect_location.is_some();
        let wanted = copied_attributes(&object.attributes, given, replace_metadata, replace_tags);

        let key = names::key(&input.key)?;
        let bucket = self.bucket_for_writing(&input.bucket).await?;
        let onto_itself = source.bucket == bucket && source.key == key;
        if onto_itself && !changes && wanted.tags == object.attributes.tags {
            return Err(Refusal::invalid_request(
                "This copy request is illegal because it is trying to copy an object to itself \
                 without changing the object's metadata, storage class, website redirect location \
                 or encryption attributes.",
            ));
        }
        let options = CopyOptions { metadata: Directive::Replace(Box::new(wanted)), condition };
        self.on_store(move |store| {
            unless_replaced(store.copy_object(source, &bucket, &key, options))
        })
        .await
    }

    pub(crate) async fn upload_part_copy(
        &self,
        req: S3Request<UploadPartCopyInput>,
    ) -> Answered<UploadPartCopyOutput> {
        encryption::check_customer_keys(&req.headers)?;
        let input = req.input;
        let upload = names::upload(&input.bucket, &input.key, &input.upload_id)?;
        let part_number = names::part_number(input.part_number)?;
        let conditions = ReadConditions {
            if_match: input.copy_source_if_match,
            if_none_match: input.copy_source_if_none_match,
            if_modified_since: input.copy_source_if_modified_since,
            if_unmodified_since: input.copy_source_if_unmodified_since,
        };
        // A missing upload is reported before a missing source.
        let found = upload.clone();
        self.on_store(move |store| store.head_multipart_upload(&found)).await?;
        for _ in 0..ATTEMPTS_MAX {
            let (source, object) = self.copy_source(&input.copy_source, &conditions).await?;
            let range = input
                .copy_source_range
                .as_deref()
                .map(|text| copy_range(text, &object))
                .transpose()?;
            if range.is_none() && object.size_bytes > SOURCE_MAX_BYTES {
                return Err(source_too_large());
            }
            let upload = upload.clone();
            let copy = move |store: &DiskStore| {
                unless_replaced(store.upload_part_copy(&upload, part_number, source, range))
            };
            if let Some(part) = self.on_store(copy).await? {
                let mut response = copied_part(&part);
                self.volume.announce(&mut response.headers);
                return Ok(response);
            }
        }
        Err(source_never_rests())
    }

    /// Finds a source and evaluates the conditions on it.
    async fn copy_source(
        &self,
        source: &CopySource,
        conditions: &ReadConditions,
    ) -> Result<(Source, ObjectInfo), Refusal> {
        let CopySource::Bucket { bucket, key, version_id } = source else {
            return Err(Refusal::with(
                S3ErrorCode::NotImplemented,
                "Copy sources by ARN are not implemented.",
            ));
        };
        let (bucket, key) = names::object(bucket, key, version_id.as_deref())?;
        let (in_bucket, of_key) = (bucket.clone(), key.clone());
        let object = self.on_store(move |store| store.head_object(&in_bucket, &of_key)).await?;
        conditions.decide_copy(&object)?;
        Ok((Source { bucket, key, version: Some(object.version) }, object))
    }
}

/// Creates the response of CopyObject.
fn copied(copy: &ObjectInfo) -> S3Response<CopyObjectOutput> {
    let fields = ChecksumFields::of_object(copy.checksum.as_ref());
    let result = CopyObjectResult {
        checksum_crc32: fields.crc32,
        checksum_crc32c: fields.crc32c,
        checksum_crc64nvme: fields.crc64nvme,
        checksum_sha1: fields.sha1,
        checksum_sha256: fields.sha256,
        checksum_type: copy
            .checksum
            .as_ref()
            .map(|checksum| wire::checksum_type(checksum.checksum_type())),
        e_tag: Some(wire::etag(&copy.etag)),
        last_modified: Some(wire::document_time(copy.last_modified)),
    };
    S3Response::new(CopyObjectOutput { copy_object_result: Some(result), ..Default::default() })
}

/// Creates the response of UploadPartCopy.
fn copied_part(part: &PartInfo) -> S3Response<UploadPartCopyOutput> {
    let fields = ChecksumFields::of(Some(&part.checksum));
    let result = CopyPartResult {
        checksum_crc32: fields.crc32,
        checksum_crc32c: fields.crc32c,
        checksum_crc64nvme: fields.crc64nvme,
        checksum_sha1: fields.sha1,
        checksum_sha256: fields.sha256,
        e_tag: Some(wire::etag(&part.etag)),
        last_modified: Some(wire::document_time(part.last_modified)),
    };
    S3Response::new(UploadPartCopyOutput { copy_part_result: Some(result), ..Default::default() })
}

/// Returns `None` for a copy that must be retried because its source was replaced.
fn unless_replaced<T>(copied: haul_store::Result<T>) -> haul_store::Result<Option<T>> {
    match copied {
        Err(haul_store::Error::SourceChanged { .. }) => Ok(None),
        copied => copied.map(Some),
    }
}

fn source_never_rests() -> Refusal {
    Refusal::with(
        S3ErrorCode::SlowDown,
        "The copy source is being replaced too often to be copied.",
    )
}

/// Whether a directive replaces the attributes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Replace {
    Yes,
    No,
}

fn replaces(directive: Option<&str>, which: &'static str) -> Result<Replace, Refusal> {
    match directive {
        None | Some("COPY") => Ok(Replace::No),
        Some("REPLACE") => Ok(Replace::Yes),
        Some(other) => Err(Refusal::invalid_argument(
            "x-amz-directive",
            other,
            format!("Unknown {which} directive."),
        )),
    }
}

/// Returns a copy's attributes. A directive selects those of the source or the request, tags have
/// their own directive, and storage class and redirect always come from the request.
fn copied_attributes(
    source: &ObjectAttributes,
    given: ObjectAttributes,
    metadata: Replace,
    tagging: Replace,
) -> ObjectAttributes {
    let tags = match tagging {
        Replace::Yes => given.tags.clone(),
        Replace::No => source.tags.clone(),
    };
    let storage_class = given.storage_class.clone();
    let website_redirect_location = given.website_redirect_location.clone();
    let base = match metadata {
        Replace::Yes => given,
        Replace::No => source.clone(),
    };
    ObjectAttributes { tags, storage_class, website_redirect_location, ..base }
}

/// Returns a conditional header that `s3s` has no field for on this operation.
fn header_condition<T>(
    req: &S3Request<T>,
    name: &'static str,
) -> Result<Option<ETagCondition>, Refusal> {
    let Some(value) = req.headers.get(name) else { return Ok(None) };
    let condition = ETagCondition::parse_http_header(value.as_bytes());
    condition.map(Some).map_err(|_| {
        Refusal::invalid_argument(
            name,
            String::from_utf8_lossy(value.as_bytes()),
            "Invalid Argument",
        )
    })
}

/// Parses `bytes=first-last`; refuses the other forms of `Range`.
fn copy_range(text: &str, object: &ObjectInfo) -> Result<RangeInclusive<u64>, Refusal> {
    let bounds = text.strip_prefix("bytes=").and_then(|bounds| bounds.split_once('-'));
    let bounds = bounds
        .and_then(|(first, last)| Some((first.parse::<u64>().ok()?, last.parse::<u64>().ok()?)));
    match bounds {
        Some((first, last)) if first <= last => {
            if first >= object.size_bytes {
                return Err(Refusal::invalid_request(
                    "The specified copy range is invalid for the source object size",
                ));
            }
            Ok(first..=last)
        }
        _ => Err(Refusal::invalid_argument(
            "x-amz-copy-source-range",
            text,
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first \
             and last are the zero-based offsets of the first and last bytes to copy",
        )),
    }
}

fn source_too_large() -> Refusal {
    Refusal::invalid_request(format!(
        "The specified copy source is larger than the maximum allowable size for a copy source: \
         {SOURCE_MAX_BYTES}"
    ))
}
