//! Checks sub-resources: query parameters that select another operation (`?acl`, `?tagging`, …).
//!
//! `s3s` looks for those that it expects with a method and ignores all others: the request would
//! become the plain operation, and `DELETE /bucket/key?acl` would remove the object. So a request
//! that changes something must name a sub-resource that matches its method, or none.

use http::Method;
use s3s::S3ErrorCode;

use crate::answer::refusal::Refusal;
use crate::request::query::Query;
use crate::request::target::Names;

/// Query parameters that select an operation regardless of their value. The operations are
/// supported, or refused by name.
const SUB_RESOURCES: [&str; 33] = [
    "accelerate",
    "acl",
    "analytics",
    "attributes",
    "cors",
    "delete",
    "encryption",
    "intelligent-tiering",
    "inventory",
    "legal-hold",
    "lifecycle",
    "location",
    "logging",
    "metadataTable",
    "metrics",
    "notification",
    "object-lock",
    "ownershipControls",
    "policy",
    "policyStatus",
    "publicAccessBlock",
    "replication",
    "requestPayment",
    "restore",
    "retention",
    "select",
    "session",
    "tagging",
    "torrent",
    "uploads",
    "versioning",
    "versions",
    "website",
];

/// The settings of a bucket that PUT creates and DELETE removes.
const SETTINGS_OF_BUCKET: [&str; 13] = [
    "analytics",
    "cors",
    "encryption",
    "intelligent-tiering",
    "inventory",
    "lifecycle",
    "metrics",
    "ownershipControls",
    "policy",
    "publicAccessBlock",
    "replication",
    "tagging",
    "website",
];

/// The settings that every bucket has: PUT changes them, and there is no DELETE.
const STATES_OF_BUCKET: [&str; 7] =
    ["accelerate", "acl", "logging", "notification", "object-lock", "requestPayment", "versioning"];

/// Returns whether a parameter of this name selects an operation.
pub(crate) fn is_one(name: &str) -> bool {
    SUB_RESOURCES.contains(&name)
}

/// Refuses a change with a sub-resource that `s3s` would ignore, because another operation would
/// run. An empty `uploadId` is not one: it names a missing upload.
pub(crate) fn check(method: &Method, names: Names, query: &Query) -> Result<(), Refusal> {
    // The sub-resources that `s3s` evaluates for changes; it ignores any other.
    let fitting: [&[&str]; 2] = match (method, names) {
        (&Method::PUT, Names::Bucket) => [&SETTINGS_OF_BUCKET, &STATES_OF_BUCKET],
        (&Method::PUT, Names::Object) => [&["acl", "legal-hold", "retention", "tagging"], &[]],
        (&Method::POST, Names::Bucket) => [&["delete", "metadataTable"], &[]],
        (&Method::POST, Names::Object) => [&["restore", "select", "uploads"], &[]],
        (&Method::DELETE, Names::Bucket) => [&SETTINGS_OF_BUCKET, &["metadataTable"]],
        (&Method::DELETE, Names::Object) => [&["tagging"], &[]],
        // On reads, an empty parameter is usually an option without a value: `?prefix=&delimiter=`.
        _ => return Ok(()),
    };
    for (name, value) in query.pairs() {
        let known = is_one(name);
        let of_upload = ["uploadId", "partNumber"].contains(&name.as_str());
        if fitting.iter().any(|some| some.contains(&name.as_str()))
            || !known && (!value.is_empty() || of_upload)
        {
            continue;
        }
        if known {
            return Err(Refusal::new(S3ErrorCode::MethodNotAllowed)
                .field("Method", method.as_str())
                .field("ResourceType", name.to_uppercase()));
        }
        return Err(Refusal::with(
            S3ErrorCode::NotImplemented,
            "A parameter you provided implies functionality that is not implemented.",
        )
        .field("Parameter", name.as_str()));
    }
    Ok(())
}
