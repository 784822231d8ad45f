//! Sets tags and lock of an object that exists: PutObjectTagging, PutObjectRetention and
//! PutObjectLegalHold.
//!
//! Their documents need a digest. The SDK sends one of its newer checksums; `Content-MD5` is the
//! one that every store accepts.

use std::collections::BTreeMap;

use aws_sdk_s3::Client;
use aws_sdk_s3::types as sdk;
use aws_smithy_types::DateTime;
use jiff::Timestamp;

use super::content_md5::replace_checksum;
use super::sdk_error::convert as failed;
use crate::remote::{ObjectRef, Operation, StoreError, StoreErrorKind};

pub(super) async fn put_tagging(
    client: &Client,
    object: &ObjectRef,
    tags: &BTreeMap<String, String>,
) -> Result<(), StoreError> {
    let operation = Operation::PutObjectTagging;
    let unusable = |error: aws_sdk_s3::error::BuildError| {
        StoreError::local(operation, StoreErrorKind::Rejected, error.to_string())
    };
    let tags: Result<Vec<_>, _> =
        tags.iter().map(|(key, value)| sdk::Tag::builder().key(key).value(value).build()).collect();
    let tags = tags.map_err(unusable)?;
    let tagging = sdk::Tagging::builder().set_tag_set(Some(tags)).build().map_err(unusable)?;
    let sent = client
        .put_object_tagging()
        .bucket(object.bucket.as_str())
        .key(object.key.as_str())
        .tagging(tagging)
        .customize()
        .mutate_request(replace_checksum)
        .send()
        .await;
    sent.map(drop).map_err(|error| failed(operation, error))
}

pub(super) async fn put_retention(
    client: &Client,
    object: &ObjectRef,
    mode: &str,
    until: Timestamp,
) -> Result<(), StoreError> {
    let retention = sdk::ObjectLockRetention::builder()
        .mode(sdk::ObjectLockRetentionMode::from(mode))
        .retain_until_date(DateTime::from_secs(until.as_second()))
        .build();
    let sent = client
        .put_object_retention()
        .bucket(object.bucket.as_str())
        .key(object.key.as_str())
        .retention(retention)
        .customize()
        .mutate_request(replace_checksum)
        .send()
        .await;
    sent.map(drop).map_err(|error| failed(Operation::PutObjectRetention, error))
}

pub(super) async fn put_legal_hold(
    client: &Client,
    object: &ObjectRef,
    status: &str,
) -> Result<(), StoreError> {
    let hold = sdk::ObjectLockLegalHold::builder()
        .status(sdk::ObjectLockLegalHoldStatus::from(status))
        .build();
    let sent = client
        .put_object_legal_hold()
        .bucket(object.bucket.as_str())
        .key(object.key.as_str())
        .legal_hold(hold)
        .customize()
        .mutate_request(replace_checksum)
        .send()
        .await;
    sent.map(drop).map_err(|error| failed(Operation::PutObjectLegalHold, error))
}
