//! Verifies signature version 2 in presigned URLs of objects, which boto3 still creates by default
//! in the older regions.
//!
//! `s3s` does not verify them, because it compares these signatures in non-constant time,
//! ignores repeated parameters, and does not support `x-amz-` parameters that clients put into the
//! query instead of the headers. The string to sign follows the S3 Developer Guide, "Signing and
//! authenticating REST requests".

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use http::request::Parts;
use s3s::S3ErrorCode;
use sha1::Sha1;

use crate::answer::refusal::Refusal;
use crate::auth::access::KeyRing;
use crate::auth::caller::Caller;
use crate::auth::mismatch;
use crate::request::query::Query;
use crate::request::sub_resource;

/// The parameters that the signature covers, in the order of the string to sign.
const COVERED: [&str; 35] = [
    "accelerate",
    "acl",
    "analytics",
    "cors",
    "defaultObjectAcl",
    "delete",
    "inventory",
    "lifecycle",
    "location",
    "logging",
    "metrics",
    "notification",
    "object-lock",
    "partNumber",
    "policy",
    "replication",
    "requestPayment",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "restore",
    "select",
    "select-type",
    "storageClass",
    "tagging",
    "torrent",
    "uploadId",
    "uploads",
    "versionId",
    "versioning",
    "versions",
    "website",
];

/// Verifies a request whose query contains `Signature`, `Expires` and `AWSAccessKeyId` once each.
///
/// # Errors
/// `AccessDenied` for an expired URL and for a sub-resource that the signature cannot cover,
/// `InvalidAccessKeyId`, `SignatureDoesNotMatch` with the string that should have been signed,
/// `NotImplemented` for signed chunks.
pub(crate) fn verify(
    request: &Parts,
    bucket_in_host: Option<&str>,
    keys: &KeyRing,
) -> Result<Caller, Refusal> {
    let query = Query::parse(request.uri.query().unwrap_or(""));
    check_sub_resources(&query)?;
    check_framing(&request.headers)?;
    let expires = query.get("Expires").unwrap_or_default();
    check_not_expired(expires)?;
    let access_key_id = query.get("AWSAccessKeyId").unwrap_or_default();
    let Some(grant) = keys.grant(access_key_id) else {
        return Err(
            Refusal::new(S3ErrorCode::InvalidAccessKeyId).field("AWSAccessKeyId", access_key_id)
        );
    };
    let to_sign = string_to_sign(request, &query, bucket_in_host);
    // A plus sign that the client did not escape was decoded as a blank.
    let provided = query.get("Signature").unwrap_or_default().replace(' ', "+");
    let secret = grant.credentials.secret_access_key.expose().as_bytes();
    let mut mac = Hmac::<Sha1>::new_from_slice(secret).expect("HMAC takes keys of any length");
    mac.update(&to_sign);
    let matches = STANDARD.decode(&provided).is_ok_and(|bytes| mac.verify_slice(&bytes).is_ok());
    if matches {
        return Ok(Caller(access_key_id.to_owned()));
    }
    Err(mismatch::refusal(&mismatch::Computed {
        access_key_id,
        string_to_sign: &to_sign,
        provided: &provided,
        canonical_request: None,
    }))
}

/// Rejects parameters that select another operation but are not covered by the signature: an
/// attacker could append them.
fn check_sub_resources(query: &Query) -> Result<(), Refusal> {
    let open = query.pairs().iter().map(|(name, _)| name.as_str());
    match open.into_iter().find(|name| sub_resource::is_one(name) && !COVERED.contains(name)) {
        Some(name) => Err(Refusal::with(
            S3ErrorCode::AccessDenied,
            format!(
                "Signature version 2 does not cover the parameter {name}. Please use \
                 AWS4-HMAC-SHA256."
            ),
        )),
        None => Ok(()),
    }
}

/// Rejects signed chunks, which exist only in version 4.
fn check_framing(headers: &HeaderMap) -> Result<(), Refusal> {
    let payload = headers.get("x-amz-content-sha256").map(http::HeaderValue::as_bytes);
    if payload.is_some_and(|payload| payload.starts_with(b"STREAMING-")) {
        return Err(Refusal::with(
            S3ErrorCode::NotImplemented,
            "aws-chunked bodies of presigned URLs are not implemented.",
        ));
    }
    Ok(())
}

fn check_not_expired(expires: &str) -> Result<(), Refusal> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    match expires.parse::<u64>() {
        Ok(until) if now <= until => Ok(()),
        _ => Err(Refusal::with(S3ErrorCode::AccessDenied, "Request has expired")
            .field("Expires", expires)),
    }
}

/// Builds the string to sign: the method, two content headers, `Expires`, the `x-amz-` headers, and
/// the resource.
fn string_to_sign(request: &Parts, query: &Query, bucket_in_host: Option<&str>) -> Vec<u8> {
    let mut text = Vec::with_capacity(256);
    text.extend_from_slice(request.method.as_str().as_bytes());
    for name in ["content-md5", "content-type"] {
        text.push(b'\n');
        let header = request.headers.get(name).map(http::HeaderValue::as_bytes);
        text.extend_from_slice(header.or(parameter(query, name)).unwrap_or_default());
    }
    text.push(b'\n');
    text.extend_from_slice(query.get("Expires").unwrap_or_default().as_bytes());
    text.push(b'\n');
    for (name, value) in amz_headers(&request.headers, query) {
        text.extend_from_slice(name.as_bytes());
        text.push(b':');
        text.extend_from_slice(&value);
        text.push(b'\n');
    }
    if let Some(bucket) = bucket_in_host {
        text.push(b'/');
        text.extend_from_slice(bucket.as_bytes());
    }
    text.extend_from_slice(request.uri.path().as_bytes());
    let mut separator = b'?';
    for name in COVERED {
        let Some(value) = query.get(name) else { continue };
        text.push(separator);
        separator = b'&';
        text.extend_from_slice(name.as_bytes());
        if !value.is_empty() {
            text.push(b'=');
            text.extend_from_slice(value.as_bytes());
        }
    }
    text
}

/// Returns the value of a parameter that replaces a header, ignoring case.
fn parameter<'a>(query: &'a Query, name: &str) -> Option<&'a [u8]> {
    let mut pairs = query.pairs().iter();
    pairs.find(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_bytes())
}

/// Returns the `x-amz-` values by name: headers, and query parameters where there is no such
/// header.
fn amz_headers(headers: &HeaderMap, query: &Query) -> BTreeMap<String, Vec<u8>> {
    let mut family = BTreeMap::new();
    for name in headers.keys().filter(|name| name.as_str().starts_with("x-amz-")) {
        let values: Vec<&[u8]> =
            headers.get_all(name).iter().map(|value| value.as_bytes().trim_ascii()).collect();
        family.insert(name.as_str().to_owned(), values.join(&b','));
    }
    for (name, value) in query.pairs() {
        let name = name.to_ascii_lowercase();
        if name.starts_with("x-amz-") {
            family.entry(name).or_insert_with(|| value.trim().as_bytes().to_vec());
        }
    }
    family
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed_text(
        method: &str,
        uri: &str,
        headers: &[(&str, &str)],
        bucket: Option<&str>,
    ) -> String {
        let mut request = http::Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let query = Query::parse(parts.uri.query().unwrap_or(""));
        String::from_utf8(string_to_sign(&parts, &query, bucket)).unwrap()
    }

    /// Tests the examples of the guide, as presigned URLs.
    #[test]
    fn the_signed_text_is_that_of_the_guide() {
        assert_eq!(
            signed_text(
                "GET",
                "/photos/puppy.jpg?AWSAccessKeyId=AKIAIOSFODNN7EXAMPLE&Signature=x&\
                    Expires=1141889120",
                &[],
                Some("awsexamplebucket1"),
            ),
            "GET\n\n\n1141889120\n/awsexamplebucket1/photos/puppy.jpg"
        );
        assert_eq!(
            signed_text(
                "PUT",
                "/bkt/k%20?uploadId=U&partNumber=2&Expires=1&x-amz-meta-b=2+&X-Amz-Meta-A=1&\
                    content-type=a%2Fb",
                &[("x-amz-meta-b", " three"), ("x-amz-meta-b", "four "), ("content-md5", "m")],
                None,
            ),
            "PUT\nm\na/b\n1\nx-amz-meta-a:1\nx-amz-meta-b:three,four\n/bkt/k%20?partNumber=2&\
                uploadId=U"
        );
        assert!(COVERED.is_sorted());
    }
}
