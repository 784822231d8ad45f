//! The headers that belong to an object: read from a write, kept by the store, given back on GET and HEAD.
//!
//! Values are kept as they were sent, not parsed and printed again. Read from the headers themselves and not from
//! `s3s`'s inputs, since three operations have the same headers under three types.

use std::collections::BTreeMap;

use haul_store::ObjectAttributes;
use http::{HeaderMap, HeaderName, HeaderValue};
use s3s::S3ErrorCode;

use crate::answer::refusal::Refusal;
use crate::front::query::Query;
use crate::ops::acl;

/// Bytes of user metadata, names and values together, by AWS's rule.
const USER_METADATA_BYTES: usize = 2048;
/// Tags of one object, bytes of a tag's name and value.
const TAGS: usize = 10;
const TAG_KEY_CHARS: usize = 128;
const TAG_VALUE_CHARS: usize = 256;

/// The classes of general purpose buckets. They are kept and shown; where the bytes lie is the same for all.
const STORAGE_CLASSES: [&str; 8] = [
    "STANDARD",
    "REDUCED_REDUNDANCY",
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "GLACIER",
    "GLACIER_IR",
    "DEEP_ARCHIVE",
];

const META_PREFIX: &str = "x-amz-meta-";
/// What an object is when nobody says.
const DEFAULT_CONTENT_TYPE: &str = "binary/octet-stream";

/// Reads what a write says about its object.
///
/// # Errors
/// `MetadataTooLarge`, `InvalidTag`, `InvalidStorageClass`, or an error for what this server cannot promise (encryption, locks, ACLs).
pub(crate) fn read(headers: &HeaderMap) -> Result<ObjectAttributes, Refusal> {
    refuse_promises(headers)?;
    Ok(ObjectAttributes {
        content_type: text(headers, "content-type"),
        cache_control: text(headers, "cache-control"),
        content_disposition: text(headers, "content-disposition"),
        content_encoding: text(headers, "content-encoding").and_then(|value| without_aws_chunked(&value)),
        content_language: text(headers, "content-language"),
        expires: text(headers, "expires"),
        website_redirect_location: text(headers, "x-amz-website-redirect-location"),
        storage_class: storage_class(headers)?,
        user_metadata: user_metadata(headers)?,
        tags: match headers.get("x-amz-tagging") {
            Some(value) => tags(value)?,
            None => BTreeMap::new(),
        },
    })
}

/// The headers of an object in an answer. `query` may replace some of them (`response-content-type`, …).
pub(crate) fn write(attributes: &ObjectAttributes, query: &Query, headers: &mut HeaderMap) {
    let content_type = attributes.content_type.as_deref().unwrap_or(DEFAULT_CONTENT_TYPE);
    let replaceable = [
        ("content-type", Some(content_type), "response-content-type"),
        ("cache-control", attributes.cache_control.as_deref(), "response-cache-control"),
        ("content-disposition", attributes.content_disposition.as_deref(), "response-content-disposition"),
        ("content-encoding", attributes.content_encoding.as_deref(), "response-content-encoding"),
        ("content-language", attributes.content_language.as_deref(), "response-content-language"),
        ("expires", attributes.expires.as_deref(), "response-expires"),
    ];
    for (name, kept, parameter) in replaceable {
        insert(headers, HeaderName::from_static(name), query.get(parameter).or(kept));
    }
    let redirect = attributes.website_redirect_location.as_deref();
    insert(headers, HeaderName::from_static("x-amz-website-redirect-location"), redirect);
    // AWS leaves the header out for the standard class.
    let class = attributes.storage_class.as_deref().filter(|class| *class != "STANDARD");
    insert(headers, HeaderName::from_static("x-amz-storage-class"), class);
    for (name, value) in &attributes.user_metadata {
        if let Ok(name) = HeaderName::try_from(format!("{META_PREFIX}{name}")) {
            insert(headers, name, Some(value));
        }
    }
    if !attributes.tags.is_empty() {
        headers.insert("x-amz-tagging-count", attributes.tags.len().into());
    }
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: Option<&str>) {
    // A replacement from the query may hold a line break; such a value is left out.
    if let Some(value) = value.and_then(|value| HeaderValue::from_bytes(value.as_bytes()).ok()) {
        headers.insert(name, value);
    }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = headers.get(name)?;
    (!value.is_empty()).then(|| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

fn storage_class(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let Some(class) = text(headers, "x-amz-storage-class") else { return Ok(None) };
    if STORAGE_CLASSES.contains(&class.as_str()) {
        return Ok(Some(class));
    }
    let message = "The storage class you specified is not valid";
    Err(Refusal::with(S3ErrorCode::InvalidStorageClass, message).field("StorageClassRequested", class))
}

/// `aws-chunked` is the framing of the request and not of the object.
fn without_aws_chunked(value: &str) -> Option<String> {
    let rest: Vec<&str> = value
        .split(',')
        .map(str::trim)
        .filter(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case("aws-chunked"))
        .collect();
    (!rest.is_empty()).then(|| rest.join(", "))
}

fn user_metadata(headers: &HeaderMap) -> Result<BTreeMap<String, String>, Refusal> {
    let mut metadata: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in headers {
        let Some(name) = name.as_str().strip_prefix(META_PREFIX) else { continue };
        let value = String::from_utf8_lossy(value.as_bytes());
        metadata
            .entry(name.to_owned())
            .and_modify(|kept| {
                kept.push(',');
                kept.push_str(&value);
            })
            .or_insert_with(|| value.into_owned());
    }
    let size: usize = metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
    if size > USER_METADATA_BYTES {
        return Err(Refusal::new(S3ErrorCode::MetadataTooLarge)
            .field("Size", size.to_string())
            .field("MaxSizeAllowed", USER_METADATA_BYTES.to_string()));
    }
    Ok(metadata)
}

fn tags(value: &HeaderValue) -> Result<BTreeMap<String, String>, Refusal> {
    let text = value.to_str().map_err(|_| bad_tag("The header 'x-amz-tagging' is not ASCII."))?;
    check_tags(Query::parse(text).into_pairs())
}

/// Takes tags as AWS does: each name once, none too long, at most ten.
pub(crate) fn check_tags(
    pairs: impl IntoIterator<Item = (String, String)>,
) -> Result<BTreeMap<String, String>, Refusal> {
    let mut tags = BTreeMap::new();
    for (key, value) in pairs {
        if key.is_empty() || key.chars().count() > TAG_KEY_CHARS {
            return Err(bad_tag("The TagKey you have provided is invalid"));
        }
        if value.chars().count() > TAG_VALUE_CHARS {
            return Err(bad_tag("The TagValue you have provided is invalid"));
        }
        if tags.insert(key, value).is_some() {
            return Err(bad_tag("Cannot provide multiple Tags with the same key"));
        }
    }
    if tags.len() > TAGS {
        return Err(Refusal::custom(
            "BadRequest",
            http::StatusCode::BAD_REQUEST,
            "Object tags cannot be greater than 10",
        ));
    }
    Ok(tags)
}

fn bad_tag(message: &str) -> Refusal {
    Refusal::custom("InvalidTag", http::StatusCode::BAD_REQUEST, message)
}

/// Refuses what would be a promise that is not kept: better an error than an object believed to be encrypted.
fn refuse_promises(headers: &HeaderMap) -> Result<(), Refusal> {
    let not_implemented = headers.keys().map(HeaderName::as_str).find(|name| {
        name.starts_with("x-amz-server-side-encryption")
            || name.starts_with("x-amz-copy-source-server-side-encryption")
            || *name == "x-amz-write-offset-bytes"
    });
    if let Some(name) = not_implemented {
        return Err(Refusal::new(S3ErrorCode::NotImplemented).field("Header", name));
    }
    if headers.keys().any(|name| name.as_str().starts_with("x-amz-object-lock-")) {
        return Err(Refusal::invalid_request("Bucket is missing Object Lock Configuration"));
    }
    acl::check_object(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_comes_back() {
        let mut sent = HeaderMap::new();
        let pairs = [
            ("content-type", "text/plain; charset=utf-8"),
            ("content-encoding", "aws-chunked,gzip"),
            ("expires", "whenever"),
            ("x-amz-meta-a", "1"),
            ("x-amz-meta-a", "2"),
            ("x-amz-tagging", "k=v+w&empty="),
        ];
        for (name, value) in pairs {
            sent.append(name, value.parse().unwrap());
        }
        let attributes = read(&sent).unwrap();
        assert_eq!(attributes.tags.get("k").map(String::as_str), Some("v w"));
        let mut back = HeaderMap::new();
        write(&attributes, &Query::parse("response-content-type=a%2Fb&response-expires=x%0Ay"), &mut back);
        let get = |name: &str| back.get(name).map(|value| value.to_str().unwrap());
        assert_eq!(get("content-type"), Some("a/b"));
        assert_eq!(get("content-encoding"), Some("gzip"));
        assert_eq!(get("expires"), None);
        assert_eq!(get("x-amz-meta-a"), Some("1,2"));
        assert_eq!(get("x-amz-tagging-count"), Some("2"));
    }
}
