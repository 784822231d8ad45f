//! Sub-resources: parameters of the query that make another operation of a request (`?acl`,
//! `?tagging`, …).
//!
//! `s3s` looks for those that it expects with a method and passes over all others: what is left is
//! then the plain operation, and `DELETE /bucket/key?acl` would remove the object. So a change has
//! to name one that fits, or none.

use http::Method;
use s3s::S3ErrorCode;

use crate::answer::refusal::Refusal;
use crate::request::query::Query;
use crate::request::target::Names;

/// Query parameters that are an operation of their own (of ours, or refused by name in the
/// operations), whatever their value.
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

/// What a bucket is configured with, by PUT; DELETE takes it away again.
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

/// What every bucket has: PUT changes it, and there is no DELETE.
const STATES_OF_BUCKET: [&str; 7] =
    ["accelerate", "acl", "logging", "notification", "object-lock", "requestPayment", "versioning"];

/// Whether a parameter of this name is an operation.
pub(crate) fn is_one(name: &str) -> bool {
    SUB_RESOURCES.contains(&name)
}

/// Refuses a change whose sub-resource `s3s` would pass over, and with it do another one. An empty
/// `uploadId` is none: it names an upload that is not there.
pub(crate) fn check(method: &Method, names: Names, query: &Query) -> Result<(), Refusal> {
    // Those that a change may be about: `s3s` takes any other for none at all.
    let fitting: [&[&str]; 2] = match (method, names) {
        (&Method::PUT, Names::Bucket) => [&SETTINGS_OF_BUCKET, &STATES_OF_BUCKET],
        (&Method::PUT, Names::Object) => [&["acl", "legal-hold", "retention", "tagging"], &[]],
        (&Method::POST, Names::Bucket) => [&["delete", "metadataTable"], &[]],
        (&Method::POST, Names::Object) => [&["restore", "select", "uploads"], &[]],
        (&Method::DELETE, Names::Bucket) => [&SETTINGS_OF_BUCKET, &["metadataTable"]],
        (&Method::DELETE, Names::Object) => [&["tagging"], &[]],
        // On reads an empty parameter is mostly an option left empty: `?prefix=&delimiter=`.
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
