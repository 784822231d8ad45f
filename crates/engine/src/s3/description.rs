//! Sends HeadObject with every field, and GetObjectAttributes.

use aws_sdk_s3::Client;
use aws_sdk_s3::types as sdk;
use haul_parts::{ObjectChecksum, PartNumber};

use super::control;
use super::convert::{self, checksum_of, checksum_values};
use super::sdk_error::convert as failed;
use crate::remote::{
    AclGrant, Encryption, ObjectAcl, ObjectDescription, ObjectPart, ObjectPartsPage, ObjectRef,
    Operation, StoreError,
};

pub(super) async fn describe_object(
    client: &Client,
    object: &ObjectRef,
) -> Result<ObjectDescription, StoreError> {
    let answer = control::ask_for_head(client, object).await?;
    let values = checksum_values!(answer).into_iter();
    let mut checksums =
        values.filter_map(|(algorithm, value)| ObjectChecksum::parse(algorithm, value?));
    let checksum = checksums.next();
    // AWS keeps one checksum of an object; another store may return several.
    let other_checksums =
        checksums.map(|other| (other.algorithm().s3_name().to_owned(), other.value())).collect();
    let text = |value: Option<&str>| value.map(str::to_owned);
    let count = |value: Option<i32>| value.and_then(|value| u32::try_from(value).ok());
    let encryption = Encryption {
        algorithm: text(answer.server_side_encryption().map(sdk::ServerSideEncryption::as_str)),
        kms_key_id: text(answer.ssekms_key_id()),
        bucket_key: answer.bucket_key_enabled().unwrap_or(false),
        customer_algorithm: text(answer.sse_customer_algorithm()),
    };
    let lock = convert::lock(&answer);
    let described = ObjectDescription {
        checksum,
        other_checksums,
        version_id: text(answer.version_id()),
        encryption,
        lock,
        expiration: text(answer.expiration()),
        restore: text(answer.restore()),
        archive_status: text(answer.archive_status().map(sdk::ArchiveStatus::as_str)),
        replication_status: text(answer.replication_status().map(sdk::ReplicationStatus::as_str)),
        tag_count: count(answer.tag_count()),
        missing_metadata: count(answer.missing_meta()),
        head: control::head_of_answer(answer)?,
    };
    Ok(described)
}

/// Returns the access control list of an object.
pub(super) async fn get_object_acl(
    client: &Client,
    object: &ObjectRef,
) -> Result<ObjectAcl, StoreError> {
    let answer = client
        .get_object_acl()
        .bucket(object.bucket.as_str())
        .key(object.key.as_str())
        .send()
        .await
        .map_err(|error| failed(Operation::GetObjectAcl, error))?;
    let owner = answer.owner().and_then(|owner| owner.display_name().or_else(|| owner.id()));
    let owner = owner.map(str::to_owned);
    let grants = answer.grants().iter().filter_map(|grant| {
        let grantee = grant.grantee()?;
        let name = grantee.uri().or_else(|| grantee.email_address()).or_else(|| grantee.id())?;
        let permission = grant.permission()?.as_str().to_owned();
        Some(AclGrant { grantee: name.to_owned(), permission })
    });
    let grants = grants.collect();
    Ok(ObjectAcl { owner, grants })
}

/// Returns one page of the parts of an object. AWS accepts `max-parts` only up to 1,000.
pub(super) async fn get_object_attributes(
    client: &Client,
    object: &ObjectRef,
    after: Option<PartNumber>,
) -> Result<ObjectPartsPage, StoreError> {
    let answer = client
        .get_object_attributes()
        .bucket(object.bucket.as_str())
        .key(object.key.as_str())
        .object_attributes(sdk::ObjectAttributes::ObjectParts)
        .object_attributes(sdk::ObjectAttributes::ObjectSize)
        .set_part_number_marker(after.map(|number| number.get().to_string()))
        .send()
        .await
        .map_err(|error| failed(Operation::GetObjectAttributes, error))?;
    let Some(parts) = answer.object_parts() else { return Ok(ObjectPartsPage::default()) };
    let number =
        |number: i32| u32::try_from(number).ok().and_then(|number| PartNumber::new(number).ok());
    let listed: Vec<ObjectPart> = parts
        .parts()
        .iter()
        .filter_map(|part| {
            Some(ObjectPart {
                number: number(part.part_number()?)?,
                size_bytes: u64::try_from(part.size()?).ok()?,
                checksum: checksum_of!(part),
            })
        })
        .collect();
    // If a page did not advance, it would be requested endlessly.
    let last = listed.last().map(|part| part.number);
    let next = last.filter(|last| parts.is_truncated() == Some(true) && Some(*last) > after);
    Ok(ObjectPartsPage {
        part_count: parts.total_parts_count().and_then(|count| u16::try_from(count).ok()),
        parts: listed,
        next,
    })
}
