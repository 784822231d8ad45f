//! `haul stat s3://bucket/key`: shows all properties of an object, without its bytes.
//!
//! Sends HeadObject, reads the tags and the access control list, and determines the parts by
//! GetObjectAttributes if the store supports it, else by HeadObject of the first part. Properties
//! that the store does not support, or the caller may not read, are omitted.

use std::collections::BTreeMap;

use anyhow::Context;
use haul::parts::PartNumber;
use haul::remote::{AclGrant, ObjectAcl, ObjectDescription};
use haul::{ObjectRef, Store};
use serde::Serialize;

use crate::args::StoreArgs;
use crate::exit::Exit;
use crate::failure::{FailureContext, Usage};
use crate::output::{Mode, visible};
use crate::size::human_size;
use crate::store;
use crate::target::Address;

/// The JSON line with all properties of an object.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename = "object")]
struct ObjectLine {
    bucket: String,
    key: String,
    size_bytes: u64,
    etag: String,
    version_id: Option<String>,
    last_modified: Option<String>,
    storage_class: Option<String>,
    content_type: Option<String>,
    cache_control: Option<String>,
    content_disposition: Option<String>,
    content_encoding: Option<String>,
    content_language: Option<String>,
    expires: Option<String>,
    website_redirect_location: Option<String>,
    metadata: BTreeMap<String, String>,
    missing_metadata: Option<u32>,
    /// The tags; `None` if the store did not return them.
    tags: Option<BTreeMap<String, String>>,
    tag_count: Option<u32>,
    /// The access control list; `None` if the store has none, or the caller may not read it.
    acl: Option<AclLine>,
    checksum: Option<ChecksumLine>,
    other_checksums: BTreeMap<String, String>,
    part_count: Option<u16>,
    /// The sizes of the parts in order, if the store lists them.
    part_sizes_bytes: Vec<u64>,
    encryption: EncryptionLine,
    lock: LockLine,
    expiration: Option<String>,
    restore: Option<String>,
    archive_status: Option<String>,
    replication_status: Option<String>,
}

#[derive(Debug, Serialize)]
struct AclLine {
    owner: Option<String>,
    grants: Vec<GrantLine>,
}

#[derive(Debug, Serialize)]
struct GrantLine {
    grantee: String,
    permission: String,
}

#[derive(Debug, Serialize)]
struct ChecksumLine {
    algorithm: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    value: String,
}

#[derive(Debug, Serialize)]
struct EncryptionLine {
    algorithm: Option<String>,
    kms_key_id: Option<String>,
    bucket_key: bool,
    customer_algorithm: Option<String>,
}

#[derive(Debug, Serialize)]
struct LockLine {
    mode: Option<String>,
    retain_until: Option<String>,
    legal_hold: Option<String>,
}

/// The results of requests other than HeadObject.
#[derive(Debug, Default)]
struct Asked {
    tags: Option<BTreeMap<String, String>>,
    acl: Option<ObjectAcl>,
    part_count: Option<u16>,
    part_sizes_bytes: Vec<u64>,
}

/// Shows the properties.
pub(crate) async fn run(args: &StoreArgs, address: &Address, mode: Mode) -> anyhow::Result<Exit> {
    let object = address.exact_object().map_err(Usage::from)?;
    let opened = store::open(address.scheme, args, mode).await?;
    let context =
        FailureContext::at(format!("cannot look at {}", visible(&address.to_string())), address)
            .through(opened.store.endpoint());
    let found = look(opened.store.as_ref(), &object).await;
    opened.close().await;
    let (description, asked) =
        found.map_err(|error| haul::Error::of_store(address.subject(), error)).context(context)?;
    let line = ObjectLine::of(&object, description, asked);
    mode.record(&line)?;
    for row in rows(address, &line) {
        mode.row(&row)?;
    }
    Ok(Exit::Done)
}

async fn look(
    store: &dyn Store,
    object: &ObjectRef,
) -> Result<(ObjectDescription, Asked), haul::StoreError> {
    let retry = super::brief_retry();
    let description = retry.run(|| store.describe_object(object)).await?;
    let tags = retry.run(|| store.get_object_tagging(object)).await.ok();
    let acl = retry.run(|| store.get_object_acl(object)).await.ok();
    let mut asked = Asked { tags, acl, ..Asked::default() };
    let mut after = None;
    while let Ok(page) = retry.run(|| store.get_object_attributes(object, after)).await {
        asked.part_count = page.part_count.or(asked.part_count);
        asked.part_sizes_bytes.extend(page.parts.iter().map(|part| part.size_bytes));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    // An object that was written in one request has no parts, whatever the store returns for part
    // 1.
    if asked.part_count.is_none() && description.head.etag.as_md5().is_none() {
        let first = retry.run(|| store.head_part(object, PartNumber::MIN)).await;
        let told = first.ok().flatten().and_then(|part| part.part_count);
        asked.part_count = told.or_else(|| description.head.etag.part_count());
    }
    Ok((description, asked))
}

impl From<ObjectAcl> for AclLine {
    fn from(acl: ObjectAcl) -> Self {
        let grants = acl.grants.into_iter();
        let grants =
            grants.map(|AclGrant { grantee, permission }| GrantLine { grantee, permission });
        Self { owner: acl.owner, grants: grants.collect() }
    }
}

impl ObjectLine {
    fn of(object: &ObjectRef, description: ObjectDescription, asked: Asked) -> Self {
        let ObjectDescription { head, encryption, lock, .. } = description;
        let attributes = head.attributes;
        Self {
            bucket: object.bucket.as_str().to_owned(),
            key: object.key.as_str().to_owned(),
            size_bytes: head.size_bytes,
            etag: head.etag.unquoted().to_owned(),
            version_id: description.version_id,
            last_modified: head.last_modified.map(|time| time.to_string()),
            storage_class: attributes.storage_class,
            content_type: attributes.content_type,
            cache_control: attributes.cache_control,
            content_disposition: attributes.content_disposition,
            content_encoding: attributes.content_encoding,
            content_language: attributes.content_language,
            expires: attributes.expires,
            website_redirect_location: attributes.website_redirect_location,
            metadata: attributes.metadata,
            missing_metadata: description.missing_metadata,
            tags: asked.tags,
            tag_count: description.tag_count,
            acl: asked.acl.map(AclLine::from),
            checksum: description.checksum.map(|checksum| ChecksumLine {
                algorithm: checksum.algorithm().s3_name(),
                kind: checksum.checksum_type().s3_name(),
                value: checksum.value(),
            }),
            other_checksums: description.other_checksums,
            part_count: asked.part_count,
            part_sizes_bytes: asked.part_sizes_bytes,
            encryption: EncryptionLine {
                algorithm: encryption.algorithm,
                kms_key_id: encryption.kms_key_id,
                bucket_key: encryption.bucket_key,
                customer_algorithm: encryption.customer_algorithm,
            },
            lock: LockLine {
                mode: lock.mode,
                retain_until: lock.retain_until.map(|time| time.to_string()),
                legal_hold: lock.legal_hold,
            },
            expiration: description.expiration,
            restore: description.restore,
            archive_status: description.archive_status,
            replication_status: description.replication_status,
        }
    }
}

/// Formats the properties for people, one per row.
fn rows(address: &Address, line: &ObjectLine) -> Vec<String> {
    let mut rows = vec![visible(&address.to_string())];
    let mut row = |name: &str, value: Option<String>| {
        rows.extend(value.map(|value| format!("  {name:<20} {}", visible(&value))));
    };
    let bytes = line.size_bytes;
    row("Size", Some(format!("{bytes} bytes ({})", human_size(bytes))));
    row("ETag", Some(line.etag.clone()).filter(|etag| !etag.is_empty()));
    row("Version", line.version_id.clone());
    row("Last modified", line.last_modified.clone());
    row("Storage class", line.storage_class.clone());
    row("Parts", parts(line));
    row(
        "Checksum",
        line.checksum.as_ref().map(|checksum| {
            format!("{} {} ({})", checksum.algorithm, checksum.value, checksum.kind)
        }),
    );
    for (name, value) in &line.other_checksums {
        row("Checksum", Some(format!("{name} {value}")));
    }
    row("Content-Type", line.content_type.clone());
    row("Content-Encoding", line.content_encoding.clone());
    row("Content-Disposition", line.content_disposition.clone());
    row("Content-Language", line.content_language.clone());
    row("Cache-Control", line.cache_control.clone());
    row("Expires", line.expires.clone());
    row("Redirect", line.website_redirect_location.clone());
    for (name, value) in &line.metadata {
        row("Metadata", Some(format!("{name}={value}")));
    }
    row("Missing metadata", line.missing_metadata.map(|count| count.to_string()));
    for (name, value) in line.tags.iter().flatten() {
        row("Tag", Some(format!("{name}={value}")));
    }
    if line.tags.is_none() {
        row("Tags", line.tag_count.map(|count| format!("{count}, which may not be read")));
    }
    row("Owner", line.acl.as_ref().and_then(|acl| acl.owner.clone()));
    for grant in line.acl.iter().flat_map(|acl| &acl.grants) {
        row("Grant", Some(format!("{} {}", grant.permission, grant.grantee)));
    }
    row("Encryption", line.encryption.algorithm.clone());
    row("KMS key", line.encryption.kms_key_id.clone());
    row("Bucket key", line.encryption.bucket_key.then(|| "yes".to_owned()));
    row("Customer key", line.encryption.customer_algorithm.clone());
    row("Lock", line.lock.mode.clone());
    row("Retained until", line.lock.retain_until.clone());
    row("Legal hold", line.lock.legal_hold.clone());
    row("Expiration", line.expiration.clone());
    row("Restore", line.restore.clone());
    row("Archive status", line.archive_status.clone());
    row("Replication", line.replication_status.clone());
    rows
}

fn parts(line: &ObjectLine) -> Option<String> {
    let count = line.part_count?;
    let (Some(first), Some(last)) = (line.part_sizes_bytes.first(), line.part_sizes_bytes.last())
    else {
        return Some(count.to_string());
    };
    let before_the_last = line.part_sizes_bytes.split_last().map_or(&[][..], |(_, before)| before);
    Some(if before_the_last.iter().all(|size| size == first) {
        format!("{count}: {first} bytes each, the last one {last}")
    } else {
        format!("{count} of several sizes")
    })
}
