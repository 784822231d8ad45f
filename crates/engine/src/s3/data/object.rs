//! Parses the answer to GetObject: its properties as from HeadObject, and its bytes as they arrive.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use haul_parts::{Checksum, ChecksumAlgorithm, ChecksumType, ETag};
use http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH,
    CONTENT_RANGE, CONTENT_TYPE, ETAG, EXPIRES, HeaderName, LAST_MODIFIED,
};
use http::{HeaderMap, HeaderValue};

use super::pool::ConnectionPool;
use super::receive::{GetConnection, ReceivedBody, ReceivedHead};
use crate::remote::{
    GetRequest, ObjectAttributes, ObjectBody, ObjectBytes, ObjectHead, ObjectLock, Operation,
    StoreError, StoreErrorKind,
};
use crate::s3::clock;
use crate::s3::convert::{self, ChecksumValues, first_checksum, first_composite};
use crate::s3::extent::Extent;
use crate::s3::genuine::{self, Signs};

const OPERATION: Operation = Operation::GetObject;

/// Headers that only S3 sends. Each of them shows that an answer is not a web page.
const AMAZON_HEADERS: [&str; 5] = [
    "x-amz-request-id",
    "x-amzn-requestid",
    "x-amz-id-2",
    "x-amz-version-id",
    "x-amz-storage-class",
];

/// Parses the head of a successful answer, and returns its unread body.
pub(super) fn object_body(
    answer: ReceivedHead,
    request: &GetRequest,
    (connection, pool): (GetConnection, Arc<ConnectionPool<GetConnection>>),
    idle_timeout: Duration,
) -> Result<ObjectBody, StoreError> {
    let headers = &answer.parts.headers;
    genuine::check(OPERATION, &signs(headers))?;
    let content_range = text(headers, &CONTENT_RANGE);
    let length = text(headers, &CONTENT_LENGTH).and_then(|length| length.parse().ok());
    let to_the_end = request.size_bytes.is_none();
    let extent = Extent::of(request.offset_bytes, to_the_end, content_range.as_deref(), length)
        .map_err(|message| StoreError::local(OPERATION, StoreErrorKind::Malformed, message))?;
    let mut head = object_head(headers);
    head.size_bytes = extent.object_bytes.unwrap_or_default();
    let body =
        ReceivedBody::new(answer.framing, connection, pool, extent.skipped_bytes, idle_timeout);
    Ok(ObjectBody {
        head,
        announced_bytes: extent.object_bytes,
        ignores_range: request.range().is_some() && content_range.is_none(),
        bytes: ObjectBytes::read_from(body),
    })
}

fn signs(headers: &HeaderMap) -> Signs<'_> {
    let visible = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    Signs {
        amazon_header: AMAZON_HEADERS.iter().any(|name| headers.contains_key(*name))
            || headers.keys().any(|name| name.as_str().starts_with(METADATA_PREFIX)),
        etag: visible(&ETAG),
        has_last_modified: headers.contains_key(LAST_MODIFIED),
        content_type: visible(&CONTENT_TYPE),
    }
}

const METADATA_PREFIX: &str = "x-amz-meta-";

/// Parses all headers except the size.
fn object_head(headers: &HeaderMap) -> ObjectHead {
    let given = |name: &HeaderName| text(headers, name);
    let named = |name: &'static str| text(headers, &HeaderName::from_static(name));
    ObjectHead {
        size_bytes: 0,
        etag: ETag::new(given(&ETAG).unwrap_or_default()),
        checksum: checksum(headers),
        composite: first_composite(checksum_values(headers)),
        last_modified: given(&LAST_MODIFIED).and_then(|date| clock::date(&date)),
        attributes: ObjectAttributes {
            content_type: given(&CONTENT_TYPE),
            cache_control: given(&CACHE_CONTROL),
            content_disposition: given(&CONTENT_DISPOSITION),
            content_encoding: given(&CONTENT_ENCODING),
            content_language: given(&CONTENT_LANGUAGE),
            expires: given(&EXPIRES),
            website_redirect_location: named("x-amz-website-redirect-location"),
            storage_class: named("x-amz-storage-class"),
            metadata: metadata(headers),
            // The answer contains only the number of tags.
            ..ObjectAttributes::default()
        },
        etag_is_opaque: convert::is_opaque_by(headers),
        tag_count: named("x-amz-tagging-count").and_then(|count| count.parse().ok()),
        lock: ObjectLock {
            mode: named("x-amz-object-lock-mode"),
            retain_until: named("x-amz-object-lock-retain-until-date")
                .and_then(|until| until.parse().ok()),
            legal_hold: named("x-amz-object-lock-legal-hold"),
        },
    }
}

fn checksum(headers: &HeaderMap) -> Option<(Checksum, ChecksumType)> {
    let checksum = first_checksum(checksum_values(headers))?;
    let kind = headers.get("x-amz-checksum-type").map(HeaderValue::as_bytes);
    let composite = ChecksumType::Composite.s3_name().as_bytes();
    let kind =
        if kind == Some(composite) { ChecksumType::Composite } else { ChecksumType::FullObject };
    Some((checksum, kind))
}

fn checksum_values(headers: &HeaderMap) -> ChecksumValues<'_> {
    ChecksumAlgorithm::ALL.map(|algorithm| {
        let value = headers.get(algorithm.kept_header_name()).and_then(|value| value.to_str().ok());
        (algorithm, value)
    })
}

fn metadata(headers: &HeaderMap) -> BTreeMap<String, String> {
    headers
        .iter()
        .filter_map(|(name, value)| {
            let name = name.as_str().strip_prefix(METADATA_PREFIX)?;
            Some((name.to_owned(), decoded(value)))
        })
        .collect()
}

fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers.get(name).map(decoded)
}

/// Decodes a metadata value. Stores return metadata as they received it: nearly always UTF-8,
/// otherwise bytes of Latin-1, the encoding that RFC 9110 (5.5) names as the historical one.
fn decoded(value: &HeaderValue) -> String {
    let bytes = value.as_bytes();
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().copied().map(char::from).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &[u8])]) -> HeaderMap {
        let header = |(name, value): &(&'static str, &[u8])| {
            (HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap())
        };
        lines.iter().map(header).collect()
    }

    #[test]
    fn the_head_of_an_object_is_read_from_headers() {
        let head = object_head(&headers(&[
            ("etag", b"W/\"0123-7\""),
            ("last-modified", b"Mon, 23 Nov 2026 04:30:14 GMT"),
            ("content-type", b"video/mp4"),
            ("expires", b"0"),
            ("x-amz-storage-class", b"STANDARD_IA"),
            ("x-amz-meta-mtime", b"7.5"),
            ("x-amz-meta-name", "Größe".as_bytes()),
            ("x-amz-meta-old", b"Gr\xf6\xdfe"),
            ("x-amz-checksum-crc32c", b"AAAAAA=="),
            ("x-amz-checksum-type", b"FULL_OBJECT"),
        ]));
        assert_eq!(head.etag.as_given(), "W/\"0123-7\"");
        assert_eq!(head.last_modified, "2026-11-23T04:30:14Z".parse().ok());
        assert_eq!(head.attributes.content_type.as_deref(), Some("video/mp4"));
        assert_eq!(head.attributes.expires.as_deref(), Some("0"));
        assert_eq!(head.attributes.storage_class.as_deref(), Some("STANDARD_IA"));
        let metadata: Vec<_> = head.attributes.metadata.values().map(String::as_str).collect();
        assert_eq!(metadata, ["7.5", "Größe", "Größe"]);
        let (checksum, kind) = head.checksum.unwrap();
        assert_eq!(checksum.algorithm(), ChecksumAlgorithm::Crc32c);
        assert_eq!(kind, ChecksumType::FullObject);
    }

    #[test]
    fn one_header_of_amazon_shows_a_store() {
        for name in AMAZON_HEADERS.into_iter().chain(["x-amz-meta-name"]) {
            assert!(signs(&headers(&[(name, b"1")])).amazon_header, "{name}");
        }
        assert!(!signs(&headers(&[("x-powered-by", b"PHP")])).amazon_header);
    }
}
