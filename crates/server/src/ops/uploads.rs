//! Implements CreateMultipartUpload, UploadPart, CompleteMultipartUpload and AbortMultipartUpload.

use haul_parts::{ChecksumAlgorithm, ETag as PartETag};
use haul_store::{
    ChecksumOrigin, CompleteOptions, CompletedPart as ListedPart, UploadOptions, UploadRef,
};
use http::header::HOST;
use s3s::dto::*;
use s3s::{S3ErrorCode, S3Request, S3Response};

use super::conditions::write_condition;
use crate::answer::refusal::Refusal;
use crate::body::integrity::{self, Integrity};
use crate::body::receive::{Arriving, receive};
use crate::ops::endpoint::{Answered, Endpoint};
use crate::ops::wire::{self, ChecksumFields};
use crate::ops::{encryption, names};
use crate::request::extensions::NoPartList;

impl Endpoint {
    pub(crate) async fn create_multipart_upload(
        &self,
        req: S3Request<CreateMultipartUploadInput>,
    ) -> Answered<CreateMultipartUploadOutput> {
        let attributes = self.attributes_of(&req)?;
        let input = req.input;
        let checksum_algorithm = upload_algorithm(input.checksum_algorithm.as_ref())?;
        let checksum_type = read_type(input.checksum_type.as_ref())?;
        if checksum_type.is_some() && checksum_algorithm.is_none() {
            return Err(Refusal::invalid_request(
                "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm \
                 header.",
            ));
        }
        let key = names::key(&input.key)?;
        let bucket = self.bucket_for_writing(&input.bucket).await?;
        let options = UploadOptions { attributes, checksum_algorithm, checksum_type };
        let upload = self
            .on_store(move |store| store.create_multipart_upload(&bucket, &key, options))
            .await?;
        let abort = self.abort_rule(&upload).await;
        let requested = upload.checksum.origin == ChecksumOrigin::Requested;
        let mut response = S3Response::new(CreateMultipartUploadOutput {
            abort_date: abort.as_ref().map(|abort| abort.date.into()),
            abort_rule_id: abort.map(|abort| abort.rule_id),
            bucket: Some(input.bucket),
            checksum_algorithm: requested
                .then(|| wire::checksum_algorithm(upload.checksum.algorithm)),
            checksum_type: requested.then(|| wire::checksum_type(upload.checksum.checksum_type)),
            key: Some(input.key),
            upload_id: Some(upload.upload.upload_id.into()),
            ..Default::default()
        });
        self.volume.announce(&mut response.headers);
        Ok(response)
    }

    pub(crate) async fn upload_part(
        &self,
        req: S3Request<UploadPartInput>,
    ) -> Answered<UploadPartOutput> {
        encryption::check_customer_keys(&req.headers)?;
        let UploadPartInput { bucket, key, body, part_number, upload_id, .. } = req.input;
        let upload = names::upload(&bucket, &key, &upload_id)?;
        let part_number = names::part_number(part_number)?;
        let integrity = Integrity::from_headers(&req.headers)?;
        let asked = upload.clone();
        let given = integrity.algorithm();
        let checksums = self
            .on_store(move |store| store.head_multipart_upload(&asked)?.part_checksums(given))
            .await?;

        let arriving = Arriving {
            body,
            requester: req.extensions.get(),
            headers: &req.headers,
            integrity: &integrity,
            trailers: req.extensions.get(),
            checksums,
        };
        let received = receive(&self.store, &self.blocks, arriving).await?;
        let given = received.checksum;
        let part = self
            .on_store(move |store| store.put_part(&upload, part_number, received.staged, given))
            .await?;

        let mut response = S3Response::new(UploadPartOutput {
            e_tag: Some(wire::etag(&part.etag)),
            ..Default::default()
        });
        wire::set_checksum(&mut response.headers, &given.unwrap_or(part.checksum));
        self.volume.announce(&mut response.headers);
        Ok(response)
    }

    pub(crate) async fn complete_multipart_upload(
        &self,
        req: S3Request<CompleteMultipartUploadInput>,
    ) -> Answered<CompleteMultipartUploadOutput> {
        encryption::check_customer_keys(&req.headers)?;
        let checksum = integrity::object_checksum(&req.headers)?;
        let host = req
            .headers
            .get(HOST)
            .and_then(|host| host.to_str().ok())
            .unwrap_or("localhost")
            .to_owned();
        let input = req.input;
        let upload = names::upload(&input.bucket, &input.key, &input.upload_id)?;
        if req.extensions.get::<NoPartList>().is_some() {
            // A missing upload is reported before a missing list.
            self.on_store(move |store| store.head_multipart_upload(&upload)).await?;
            return Err(Refusal::invalid_request("You must specify at least one part"));
        }
        let parts = listed_parts(input.multipart_upload, &upload)?;
        let options = CompleteOptions {
            mpu_object_size_bytes: input.mpu_object_size.map(object_size).transpose()?,
            condition: write_condition(input.if_match, input.if_none_match)?,
            checksum: checksum.map(|claim| claim.checksum),
            checksum_part_count: checksum.and_then(|claim| claim.part_count),
            checksum_type: read_type(input.checksum_type.as_ref())?,
        };
        let object = self
            .on_store(move |store| store.complete_multipart_upload(&upload, parts, options))
            .await?;

        let fields = ChecksumFields::of_object(object.checksum.as_ref());
        let location =
            format!("{}://{host}/{}/{}", self.scheme, input.bucket, wire::url_encoded(&input.key));
        let mut response = S3Response::new(CompleteMultipartUploadOutput {
            bucket: Some(input.bucket),
            checksum_crc32: fields.crc32,
            checksum_crc32c: fields.crc32c,
            checksum_crc64nvme: fields.crc64nvme,
            checksum_sha1: fields.sha1,
            checksum_sha256: fields.sha256,
            checksum_type: object
                .checksum
                .as_ref()
                .map(|checksum| wire::checksum_type(checksum.checksum_type())),
            e_tag: Some(wire::etag(&object.etag)),
            key: Some(input.key),
            location: Some(location),
            ..Default::default()
        });
        self.volume.announce(&mut response.headers);
        Ok(response)
    }

    pub(crate) async fn abort_multipart_upload(
        &self,
        req: S3Request<AbortMultipartUploadInput>,
    ) -> Answered<AbortMultipartUploadOutput> {
        let input = req.input;
        if input.if_match_initiated_time.is_some() {
            // AWS supports this on directory buckets only.
            return Err(Refusal::new(S3ErrorCode::NotImplemented)
                .field("Header", "x-amz-if-match-initiated-time"));
        }
        let upload = names::upload(&input.bucket, &input.key, &input.upload_id)?;
        self.on_store(move |store| store.abort_multipart_upload(&upload)).await?;
        Ok(S3Response::new(AbortMultipartUploadOutput::default()))
    }
}

fn upload_algorithm(
    named: Option<&s3s::dto::ChecksumAlgorithm>,
) -> Result<Option<ChecksumAlgorithm>, Refusal> {
    let Some(named) = named else { return Ok(None) };
    match named.as_str().parse::<ChecksumAlgorithm>() {
        Ok(algorithm) => Ok(Some(algorithm)),
        Err(_) => Err(Refusal::invalid_request(
            "Checksum algorithm provided is unsupported. Please try again with any of the valid \
             types: [CRC32, CRC32C, CRC64NVME, MD5, SHA1, SHA256, SHA512, XXHASH128, XXHASH3, \
             XXHASH64]",
        )),
    }
}

fn read_type(named: Option<&ChecksumType>) -> Result<Option<haul_parts::ChecksumType>, Refusal> {
    let Some(named) = named else { return Ok(None) };
    let parsed = named.as_str().parse::<haul_parts::ChecksumType>();
    parsed
        .map(Some)
        .map_err(|_| Refusal::invalid_request("Value for x-amz-checksum-type header is invalid."))
}

fn object_size(given: i64) -> Result<u64, Refusal> {
    u64::try_from(given)
        .map_err(|_| Refusal::invalid_request("Value for x-amz-mp-object-size header is invalid"))
}

/// Returns the list of a Complete: each part with number and ETag, and at most one checksum.
pub(crate) fn listed_parts(
    list: Option<CompletedMultipartUpload>,
    upload: &UploadRef,
) -> Result<Vec<ListedPart>, Refusal> {
    let parts = list.and_then(|list| list.parts).unwrap_or_default();
    if parts.is_empty() {
        return Err(Refusal::new(S3ErrorCode::MalformedXML));
    }
    parts
        .into_iter()
        .map(|part| {
            let number = part.part_number.ok_or_else(|| Refusal::new(S3ErrorCode::MalformedXML))?;
            let number = names::part_number(number)?;
            let etag = part.e_tag.ok_or_else(|| Refusal::new(S3ErrorCode::MalformedXML))?;
            let fields = ChecksumFields {
                crc32: part.checksum_crc32,
                crc32c: part.checksum_crc32c,
                crc64nvme: part.checksum_crc64nvme,
                sha1: part.checksum_sha1,
                sha256: part.checksum_sha256,
            };
            // An invalid value cannot be the checksum of this part.
            let checksum = fields.read().map_err(|_| {
                Refusal::new(S3ErrorCode::InvalidPart)
                    .field("ETag", etag.value())
                    .field("PartNumber", number.to_string())
                    .field("UploadId", upload.upload_id.as_str())
            })?;
            Ok(ListedPart { number, etag: PartETag::new(etag.value()), checksum })
        })
        .collect()
}
