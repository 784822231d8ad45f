//! Implements GetObjectAttributes.
//!
//! AWS writes two values differently here: the ETag without quotes, and a composite checksum
//! without the `-N` after it. `s3s` cannot write an ETag without quotes, so this file writes the
//! document.

use std::io::Write;

use haul_parts::PartNumber;
use haul_store::ObjectPartPage;
use s3s::dto::*;
use s3s::xml::{SerResult, Serialize, SerializeContent, Serializer};
use s3s::{S3ErrorCode, S3Request, S3Response};

use super::list_uploads::part_marker;
use crate::answer::overrides::DocumentOverride;
use crate::answer::refusal::Refusal;
use crate::ops::endpoint::{Answered, Endpoint};
use crate::ops::wire::{self, ChecksumFields};
use crate::ops::{encryption, names};

const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";
const KNOWN: [&str; 5] = ["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"];

impl Endpoint {
    pub(crate) async fn get_object_attributes(
        &self,
        req: S3Request<GetObjectAttributesInput>,
    ) -> Answered<GetObjectAttributesOutput> {
        encryption::check_customer_keys(&req.headers)?;
        let input = req.input;
        names::unversioned(input.version_id.as_deref())?;
        let max_parts = names::page_size("max-parts", input.max_parts)?;
        let marker = input.part_number_marker.unwrap_or(0);
        let after = part_marker(marker)?;
        let asked = attributes_asked(&input.object_attributes)?;
        let (bucket, key) = (names::bucket(&input.bucket)?, names::key(&input.key)?);
        let page = self
            .on_store(move |store| store.object_parts(&bucket, &key, after, Some(max_parts)))
            .await?;

        let object = &page.object;
        let mut document = AttributesDocument::default();
        for attribute in asked {
            match attribute.as_str() {
                "ETag" => document.etag = Some(object.etag.unquoted().to_owned()),
                "Checksum" => document.checksum = object.checksum.as_ref().map(checksum_element),
                "ObjectSize" => document.object_size = Some(wire::length(object.size_bytes)),
                "StorageClass" => {
                    let class = object.attributes.storage_class.clone();
                    document.storage_class = Some(class.unwrap_or_else(|| "STANDARD".to_owned()));
                }
                _ => document.object_parts = parts_element(&page, marker, max_parts),
            }
        }
        let mut response = S3Response::new(GetObjectAttributesOutput {
            last_modified: Some(object.last_modified.into()),
            ..Default::default()
        });
        response.extensions.insert(DocumentOverride::of(&document)?);
        Ok(response)
    }
}

/// The requested attributes, in the order in which AWS writes them.
#[derive(Default)]
struct AttributesDocument {
    /// The ETag without quotes.
    etag: Option<String>,
    checksum: Option<Checksum>,
    object_parts: Option<GetObjectAttributesParts>,
    storage_class: Option<String>,
    object_size: Option<i64>,
}

impl Serialize for AttributesDocument {
    fn serialize<W: Write>(&self, s: &mut Serializer<W>) -> SerResult {
        s.content_with_ns("GetObjectAttributesResponse", NAMESPACE, self)
    }
}

impl SerializeContent for AttributesDocument {
    fn serialize_content<W: Write>(&self, s: &mut Serializer<W>) -> SerResult {
        if let Some(etag) = &self.etag {
            s.content("ETag", etag.as_str())?;
        }
        if let Some(checksum) = &self.checksum {
            s.content("Checksum", checksum)?;
        }
        if let Some(parts) = &self.object_parts {
            s.content("ObjectParts", parts)?;
        }
        if let Some(class) = &self.storage_class {
            s.content("StorageClass", class.as_str())?;
        }
        if let Some(size) = &self.object_size {
            s.content("ObjectSize", size)?;
        }
        Ok(())
    }
}

/// Parses the names in `x-amz-object-attributes`, which clients send separated by commas or in
/// several headers.
fn attributes_asked(given: &[ObjectAttributes]) -> Result<Vec<String>, Refusal> {
    let asked: Vec<String> = given
        .iter()
        .flat_map(|names| names.as_str().split(','))
        .map(|name| name.trim().to_owned())
        .collect();
    match asked.iter().find(|name| !KNOWN.contains(&name.as_str())) {
        Some(_) => {
            Err(Refusal::with(S3ErrorCode::InvalidArgument, "Invalid attribute name specified.")
                .field("ArgumentName", "x-amz-object-attributes"))
        }
        None => Ok(asked),
    }
}

fn checksum_element(checksum: &haul_store::ObjectChecksum) -> Checksum {
    let value = match checksum {
        haul_store::ObjectChecksum::FullObject(checksum) => *checksum,
        haul_store::ObjectChecksum::Composite(composite) => composite.checksum(),
    };
    let fields = ChecksumFields::of(Some(&value));
    Checksum {
        checksum_crc32: fields.crc32,
        checksum_crc32c: fields.crc32c,
        checksum_crc64nvme: fields.crc64nvme,
        checksum_sha1: fields.sha1,
        checksum_sha256: fields.sha256,
        checksum_type: Some(wire::checksum_type(checksum.checksum_type())),
    }
}

/// Creates the element with the parts, which only objects uploaded in parts have. Lists the parts
/// only if the checksum of the object is composite; otherwise AWS returns only their number.
fn parts_element(
    page: &ObjectPartPage,
    marker: i32,
    max_parts: u16,
) -> Option<GetObjectAttributesParts> {
    let total_parts_count = Some(page.object.part_count?.into());
    if !matches!(page.object.checksum, Some(haul_store::ObjectChecksum::Composite(_))) {
        return Some(GetObjectAttributesParts { total_parts_count, ..Default::default() });
    }
    let parts = page
        .parts
        .iter()
        .map(|part| {
            let fields = ChecksumFields::of(part.checksum.as_ref());
            ObjectPart {
                checksum_crc32: fields.crc32,
                checksum_crc32c: fields.crc32c,
                checksum_crc64nvme: fields.crc64nvme,
                checksum_sha1: fields.sha1,
                checksum_sha256: fields.sha256,
                part_number: Some(part.part_number.get().into()),
                size: Some(wire::length(part.size_bytes)),
            }
        })
        .collect();
    let last = page.parts.last().map_or(0, |part| part.part_number.get());
    Some(GetObjectAttributesParts {
        is_truncated: Some(page.next.is_some()),
        max_parts: Some(max_parts.into()),
        next_part_number_marker: Some(page.next.map_or(last, PartNumber::get).into()),
        part_number_marker: Some(marker),
        parts: Some(parts),
        total_parts_count,
    })
}
