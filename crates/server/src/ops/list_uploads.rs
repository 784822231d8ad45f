//! Implements ListParts and ListMultipartUploads.

use haul_parts::{PartNumber, UploadId};
use haul_store::{ChecksumOrigin, ListUploads, PartInfo, UploadChecksum, UploadInfo, UploadPage};
use s3s::dto::*;
use s3s::{S3Request, S3Response};

use super::list::{Encoding, given};
use crate::answer::refusal::Refusal;
use crate::ops::endpoint::{Answered, Endpoint};
use crate::ops::names;
use crate::ops::wire::{self, ChecksumFields};

impl Endpoint {
    pub(crate) async fn list_parts(
        &self,
        req: S3Request<ListPartsInput>,
    ) -> Answered<ListPartsOutput> {
        let input = req.input;
        let upload = names::upload(&input.bucket, &input.key, &input.upload_id)?;
        let max_parts = names::page_size("max-parts", input.max_parts)?;
        let marker = input.part_number_marker.unwrap_or(0);
        let after = part_marker(marker)?;
        let page =
            self.on_store(move |store| store.list_parts(&upload, after, Some(max_parts))).await?;

        let last = page.parts.last().map_or(0, |part| part.part_number.get());
        let class =
            page.upload.attributes.storage_class.clone().unwrap_or_else(|| "STANDARD".to_owned());
        let abort = self.abort_rule(&page.upload).await;
        let chosen = chosen(&page.upload);
        Ok(S3Response::new(ListPartsOutput {
            abort_date: abort.as_ref().map(|abort| abort.date.into()),
            abort_rule_id: abort.map(|abort| abort.rule_id),
            bucket: Some(input.bucket),
            checksum_algorithm: chosen.map(|chosen| wire::checksum_algorithm(chosen.algorithm)),
            checksum_type: chosen.map(|chosen| wire::checksum_type(chosen.checksum_type)),
            initiator: Some(wire::initiator()),
            is_truncated: Some(page.next.is_some()),
            key: Some(input.key),
            max_parts: Some(max_parts.into()),
            next_part_number_marker: Some(page.next.map_or(last, PartNumber::get).into()),
            owner: Some(wire::owner()),
            part_number_marker: Some(marker),
            parts: Some(page.parts.iter().map(|info| part(info, chosen)).collect()),
            request_charged: None,
            storage_class: Some(class.into()),
            upload_id: Some(input.upload_id),
        }))
    }

    pub(crate) async fn list_multipart_uploads(
        &self,
        req: S3Request<ListMultipartUploadsInput>,
    ) -> Answered<ListMultipartUploadsOutput> {
        let ListMultipartUploadsInput {
            bucket,
            delimiter,
            encoding_type,
            key_marker,
            max_uploads,
            prefix,
            upload_id_marker,
            ..
        } = req.input;
        let encoding = Encoding::read(encoding_type.as_ref())?;
        let delimiter = given(delimiter);
        let max_uploads = names::page_size("max-uploads", max_uploads)?;
        let what = ListUploads {
            prefix: prefix.clone().unwrap_or_default(),
            delimiter: delimiter.clone(),
            key_marker: key_marker.clone().filter(|marker| !marker.is_empty()),
            upload_id_marker: read_upload_marker(
                upload_id_marker.as_deref(),
                key_marker.as_deref(),
            )?,
            max_uploads: Some(max_uploads),
        };
        let name = names::bucket(&bucket)?;
        let page = self
            .on_store(move |store| {
                if max_uploads == 0 {
                    return store.head_bucket(&name).map(|_| UploadPage::default());
                }
                store.list_multipart_uploads(&name, what)
            })
            .await?;
        let (next_key, next_upload) = match page.next.clone() {
            Some(next) => (next.key, next.upload_id.map(String::from).unwrap_or_default()),
            // AWS names the last entry even if there is no next page.
            None => page.uploads.last().map_or_else(Default::default, |last| {
                (last.upload.object.key.to_string(), last.upload.upload_id.to_string())
            }),
        };
        Ok(S3Response::new(ListMultipartUploadsOutput {
            bucket: Some(bucket),
            common_prefixes: encoding.prefixes(page.common_prefixes),
            delimiter: encoding.apply_opt(delimiter),
            encoding_type,
            is_truncated: Some(page.next.is_some()),
            key_marker: Some(encoding.apply(key_marker.unwrap_or_default())),
            max_uploads: Some(max_uploads.into()),
            next_key_marker: Some(encoding.apply(next_key)),
            next_upload_id_marker: Some(next_upload),
            prefix: Some(encoding.apply(prefix.unwrap_or_default())),
            request_charged: None,
            // The upload-id marker is ignored without a key marker, so it may be any text.
            upload_id_marker: Some(encoding.apply(upload_id_marker.unwrap_or_default())),
            uploads: Some(page.uploads.into_iter().map(|info| upload(info, encoding)).collect()),
        }))
    }
}

/// Parses the part-number marker. Zero or less means the start; a marker beyond the last number
/// leaves no parts.
pub(super) fn part_marker(marker: i32) -> Result<Option<PartNumber>, Refusal> {
    match marker {
        ..=0 => Ok(None),
        _ => names::part_number(marker.min(haul_parts::limits::PART_COUNT_MAX.into())).map(Some),
    }
}

/// Parses the markers; an upload-id marker without a key marker is ignored.
fn read_upload_marker(
    upload_id: Option<&str>,
    key: Option<&str>,
) -> Result<Option<UploadId>, Refusal> {
    match (upload_id, key) {
        (Some(id), Some(key)) if !id.is_empty() && !key.is_empty() => {
            UploadId::new(id).map(Some).map_err(|_| {
                Refusal::invalid_argument("upload-id-marker", id, "Invalid uploadId marker")
            })
        }
        _ => Ok(None),
    }
}

/// Returns the checksum that Create requested. As on AWS, lists contain no other: neither the
/// default one nor those of single parts.
/// nor those of single parts.
fn chosen(info: &UploadInfo) -> Option<UploadChecksum> {
    Some(info.checksum).filter(|checksum| checksum.origin == ChecksumOrigin::Requested)
}

fn part(part: &PartInfo, chosen: Option<UploadChecksum>) -> Part {
    let fields = ChecksumFields::of(chosen.map(|_| &part.checksum));
    Part {
        checksum_crc32: fields.crc32,
        checksum_crc32c: fields.crc32c,
        checksum_crc64nvme: fields.crc64nvme,
        checksum_sha1: fields.sha1,
        checksum_sha256: fields.sha256,
        e_tag: Some(wire::etag(&part.etag)),
        last_modified: Some(wire::document_time(part.last_modified)),
        part_number: Some(part.part_number.get().into()),
        size: Some(wire::length(part.size_bytes)),
    }
}

fn upload(info: UploadInfo, encoding: Encoding) -> MultipartUpload {
    let chosen = chosen(&info);
    let class = info.attributes.storage_class.unwrap_or_else(|| "STANDARD".to_owned());
    MultipartUpload {
        checksum_algorithm: chosen.map(|chosen| wire::checksum_algorithm(chosen.algorithm)),
        checksum_type: chosen.map(|chosen| wire::checksum_type(chosen.checksum_type)),
        initiated: Some(wire::document_time(info.initiated)),
        initiator: Some(wire::initiator()),
        key: Some(encoding.apply(String::from(info.upload.object.key))),
        owner: Some(wire::owner()),
        storage_class: Some(class.into()),
        upload_id: Some(info.upload.upload_id.into()),
    }
}
