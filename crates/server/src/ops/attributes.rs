//! The headers that belong to an object: read from a write, kept by the store, returned on GET and
//! HEAD.
//!
//! Values are stored as sent, not parsed and formatted again. They are read from the headers and
//! not from `s3s`'s inputs, because three operations have the same headers under three types.

use std::collections::BTreeMap;

use haul_store::ObjectAttributes;
use http::{HeaderMap, HeaderName, HeaderValue};
use s3s::dto::{Timestamp, TimestampFormat};
use s3s::{S3ErrorCode, S3Request};

use crate::answer::refusal::Refusal;
use crate::ops::endpoint::Endpoint;
use crate::ops::{acl, tags, user_metadata};
use crate::request::extensions::ObjectHeaders;
use crate::request::query::Query;

/// The storage classes of general purpose buckets. They are stored and returned, but do not affect
/// where the bytes are.
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

/// The text headers that are stored unchanged.
const KEPT: [&str; 7] = [
    "content-type",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "expires",
    "x-amz-website-redirect-location",
];
/// The content type of an object whose request names none.
const DEFAULT_CONTENT_TYPE: &str = "binary/octet-stream";

impl Endpoint {
    /// Returns the attributes of an object from its write.
    ///
    /// # Errors
    /// As [`read`], and for an encryption that the object would not get.
    pub(super) fn attributes_of<T>(
        &self,
        request: &S3Request<T>,
    ) -> Result<ObjectAttributes, Refusal> {
        self.volume.check_write(&request.headers)?;
        match request.extensions.get::<ObjectHeaders>() {
            None => read(&request.headers),
            Some(ObjectHeaders(of_object)) => {
                let mut headers = request.headers.clone();
                headers.extend(of_object.clone());
                read(&headers)
            }
        }
    }
}

/// Reads the attributes of an object from the headers of its write.
///
/// # Errors
/// `MetadataTooLarge`, `InvalidTag`, `InvalidStorageClass`, `InvalidRedirectLocation`, or an error
/// for a feature that this server does not support (locks, ACLs).
pub(crate) fn read(headers: &HeaderMap) -> Result<ObjectAttributes, Refusal> {
    refuse_promises(headers)?;
    Ok(ObjectAttributes {
        content_type: text(headers, "content-type"),
        cache_control: text(headers, "cache-control"),
        content_disposition: text(headers, "content-disposition"),
        content_encoding: text(headers, "content-encoding")
            .and_then(|value| without_aws_chunked(&value)),
        content_language: text(headers, "content-language"),
        expires: text(headers, "expires"),
        website_redirect_location: redirect_location(headers)?,
        storage_class: storage_class(headers)?,
        metadata: user_metadata::read(headers)?,
        tags: match headers.get("x-amz-tagging") {
            Some(value) => tags::from_header(value)?,
            None => BTreeMap::new(),
        },
        ..ObjectAttributes::default()
    })
}

/// Writes the headers of an object into a response. `query` may replace some of them
/// (`response-content-type`, …).
pub(crate) fn write(attributes: &ObjectAttributes, query: &Query, headers: &mut HeaderMap) {
    let content_type = attributes.content_type.as_deref().unwrap_or(DEFAULT_CONTENT_TYPE);
    let replaceable = [
        ("content-type", Some(content_type), "response-content-type"),
        ("cache-control", attributes.cache_control.as_deref(), "response-cache-control"),
        (
            "content-disposition",
            attributes.content_disposition.as_deref(),
            "response-content-disposition",
        ),
        ("content-encoding", attributes.content_encoding.as_deref(), "response-content-encoding"),
        ("content-language", attributes.content_language.as_deref(), "response-content-language"),
        ("expires", attributes.expires.as_deref(), "response-expires"),
    ];
    for (name, kept, parameter) in replaceable {
        insert(headers, HeaderName::from_static(name), query.get(parameter).or(kept));
    }
    let redirect = attributes.website_redirect_location.as_deref();
    insert(headers, HeaderName::from_static("x-amz-website-redirect-location"), redirect);
    // AWS omits the header for the standard class.
    let class = attributes.storage_class.as_deref().filter(|class| *class != "STANDARD");
    insert(headers, HeaderName::from_static("x-amz-storage-class"), class);
    user_metadata::write(&attributes.metadata, headers);
    if !attributes.tags.is_empty() {
        headers.insert("x-amz-tagging-count", attributes.tags.len().into());
    }
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: Option<&str>) {
    // A replacement from the query may contain a line break; such a value is omitted.
    if let Some(value) = value.and_then(|value| HeaderValue::from_bytes(value.as_bytes()).ok()) {
        headers.insert(name, value);
    }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = headers.get(name)?;
    (!value.is_empty()).then(|| decoded(value))
}

/// Decodes a value. Non-UTF-8 bytes are read as ISO 8859-1, the original encoding of HTTP headers.
pub(super) fn decoded(value: &HeaderValue) -> String {
    let bytes = value.as_bytes();
    std::str::from_utf8(bytes)
        .map_or_else(|_| bytes.iter().copied().map(char::from).collect(), str::to_owned)
}

/// Returns whether a header describes the object, as opposed to the request.
pub(crate) fn is_of_object(name: &HeaderName) -> bool {
    KEPT.contains(&name.as_str()) || name.as_str().starts_with(user_metadata::PREFIX)
}

/// Returns whether `s3s` rejects one of the headers of an object: it requires ASCII, unique names,
/// a date in `Expires`, and well-formed RFC 2047 in user metadata. AWS accepts all values.
pub(crate) fn are_unreadable(headers: &HeaderMap) -> bool {
    headers.keys().filter(|name| is_of_object(name)).any(|name| {
        let twice = headers.get_all(name).iter().nth(1).is_some();
        let Some(Ok(value)) = headers.get(name).map(HeaderValue::to_str) else { return true };
        let odd = match name.as_str() {
            "expires" => {
                !value.is_empty() && Timestamp::parse(TimestampFormat::HttpDate, value).is_err()
            }
            _ => name.as_str().starts_with(user_metadata::PREFIX) && value.contains("=?"),
        };
        twice || odd
    })
}

fn redirect_location(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let Some(location) = text(headers, "x-amz-website-redirect-location") else { return Ok(None) };
    if ["/", "http://", "https://"].iter().any(|start| location.starts_with(start)) {
        return Ok(Some(location));
    }
    Err(Refusal::custom(
        "InvalidRedirectLocation",
        http::StatusCode::BAD_REQUEST,
        "The website redirect location must have a prefix of 'http://' or 'https://' or '/'.",
    ))
}

fn storage_class(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let Some(class) = text(headers, "x-amz-storage-class") else { return Ok(None) };
    if STORAGE_CLASSES.contains(&class.as_str()) {
        return Ok(Some(class));
    }
    let message = "The storage class you specified is not valid";
    Err(Refusal::with(S3ErrorCode::InvalidStorageClass, message)
        .field("StorageClassRequested", class))
}

/// Removes `aws-chunked`, which is the framing of the request and not of the object.
fn without_aws_chunked(value: &str) -> Option<String> {
    let rest: Vec<&str> = value
        .split(',')
        .map(str::trim)
        .filter(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case("aws-chunked"))
        .collect();
    (!rest.is_empty()).then(|| rest.join(", "))
}

/// Refuses headers for features that this server does not have. [`encryption`](super::encryption)
/// checks encryption, because it depends on the operator's volume.
fn refuse_promises(headers: &HeaderMap) -> Result<(), Refusal> {
    const APPEND: &str = "x-amz-write-offset-bytes";
    if headers.contains_key(APPEND) {
        return Err(Refusal::new(S3ErrorCode::NotImplemented).field("Header", APPEND));
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
        write(
            &attributes,
            &Query::parse("response-content-type=a%2Fb&response-expires=x%0Ay"),
            &mut back,
        );
        let get = |name: &str| back.get(name).map(|value| value.to_str().unwrap());
        assert_eq!(get("content-type"), Some("a/b"));
        assert_eq!(get("content-encoding"), Some("gzip"));
        assert_eq!(get("expires"), None);
        assert_eq!(get("x-amz-meta-a"), Some("1,2"));
        assert_eq!(get("x-amz-tagging-count"), Some("2"));
    }
}
