//! Refuses requests that `s3s` 0.14.1 would wrongly accept, before `s3s` sees them.
//!
//! - Requests with more than one signature, and with `x-amz-*` headers that the signature does not
//!   cover: with one of them (`x-amz-copy-source`) the holder of a presigned PUT could turn it into
//!   another operation. AWS refuses them, `s3s` does not check.
//! - Repeated parameters: the code that verifies and the code that decides might read different
//!   ones.
//! - Signature version 2 in headers, and presigned URLs valid for more than seven days. See
//!   [`signature`](crate::request::signature).
//! - Browser form uploads, which `s3s` buffers in memory before it authenticates the sender.
//! - Sub-resources that this server does not support, or not with this method:
//!   `PUT /bucket?something` would otherwise create a bucket, and `DELETE /bucket/key?acl` would
//!   remove an object. The same applies to a PUT with only one of the parameters of UploadPart.
//!
//! Reads only headers, query and time; decides nothing about permissions.

use http::header::{CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use http::request::Parts;
use http::{Method, StatusCode};
use s3s::S3ErrorCode;

use crate::answer::refusal::Refusal;
use crate::body::integrity::Integrity;
use crate::body::payload_hash;
use crate::body::request_body::{Document, DocumentClaims};
use crate::ops::names::part_number_text;
use crate::options::Limits;
use crate::request::query::Query;
use crate::request::signature::Signature;
use crate::request::sub_resource;
use crate::request::target::{Names, RequestTarget};

/// Refuses requests that must not reach `s3s`.
pub(crate) fn check(
    request: &Parts,
    target: &RequestTarget,
    limits: &Limits,
) -> Result<(), Refusal> {
    check_size(request, limits.header_bytes)?;
    check_method(request)?;
    let query = Query::parse(request.uri.query().unwrap_or(""));
    query.check_repeats()?;
    Signature::of(request, &query)?.check(request, target, &query)?;
    sub_resource::check(&request.method, target.names, &query)?;
    check_part(request, target.names, &query)?;
    check_document_size(request, target, &query, limits.xml_bytes)
}

/// Returns the document in the body of a request (of bucket settings, DeleteObjects or Complete),
/// with its declared hashes.
pub(crate) fn document(
    request: &Parts,
    target: &RequestTarget,
) -> Result<Option<Document>, Refusal> {
    let query = Query::parse(request.uri.query().unwrap_or(""));
    if !is_document(request, target, &query) {
        return Ok(None);
    }
    // A bucket policy is the only document of S3 that is JSON.
    let is_xml = !query.has("policy");
    Ok(Some(Document { is_xml, claims: document_claims(request, &query)? }))
}

fn document_claims(request: &Parts, query: &Query) -> Result<DocumentClaims, Refusal> {
    let payload_sha256 = payload_hash::claimed(&request.headers);
    // The checksum in the headers of a Complete is that of the object, not of the document.
    if query.has("uploadId") {
        return Ok(DocumentClaims { payload_sha256, checksums: Vec::new() });
    }
    let integrity = Integrity::from_headers(&request.headers)?;
    let checksums =
        [integrity.content_md5, integrity.checksum(None)?].into_iter().flatten().collect();
    Ok(DocumentClaims { payload_sha256, checksums })
}

/// Returns whether the body is a document that `s3s` reads as a whole, not the bytes of an object
/// or part.
fn is_document(request: &Parts, target: &RequestTarget, query: &Query) -> bool {
    let of_bucket = target.names != Names::Object;
    let sub_resource = |(name, _): &(String, String)| sub_resource::is_one(name);
    match request.method {
        Method::POST => !query.has("uploads"),
        Method::PUT => of_bucket || query.pairs().iter().any(sub_resource),
        _ => false,
    }
}

/// Checks the size: `s3s` answers a document that is too large, or has no length, with an internal
/// error.
fn check_document_size(
    request: &Parts,
    target: &RequestTarget,
    query: &Query,
    limit: usize,
) -> Result<(), Refusal> {
    if !is_document(request, target, query) {
        return Ok(());
    }
    if request.headers.contains_key(TRANSFER_ENCODING) {
        return Err(Refusal::new(S3ErrorCode::MissingContentLength));
    }
    if content_length(request).is_some_and(|length| length > limit) {
        return Err(Refusal::new(S3ErrorCode::MaxMessageLengthExceeded)
            .field("MaxMessageLengthBytes", limit.to_string()));
    }
    Ok(())
}

fn content_length(request: &Parts) -> Option<usize> {
    request.headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn check_size(request: &Parts, limit: usize) -> Result<(), Refusal> {
    let line = request.uri.path_and_query().map_or(0, |p| p.as_str().len());
    let headers: usize =
        request.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if line + headers > limit {
        return Err(Refusal::custom(
            "RequestHeaderSectionTooLarge",
            StatusCode::BAD_REQUEST,
            "Your request header section exceeds the maximum allowed request header section size.",
        )
        .field("MaxSizeAllowed", limit.to_string()));
    }
    Ok(())
}

fn check_method(request: &Parts) -> Result<(), Refusal> {
    let known =
        [Method::GET, Method::HEAD, Method::PUT, Method::POST, Method::DELETE, Method::OPTIONS];
    if !known.contains(&request.method) {
        return Err(
            Refusal::new(S3ErrorCode::MethodNotAllowed).field("Method", request.method.as_str())
        );
    }
    let form = request.headers.get(CONTENT_TYPE).is_some_and(|value| {
        value
            .as_bytes()
            .get(..19)
            .is_some_and(|start| start.eq_ignore_ascii_case(b"multipart/form-data"))
    });
    if request.method == Method::POST && form {
        return Err(Refusal::with(
            S3ErrorCode::NotImplemented,
            "Uploads by HTML form are not implemented.",
        ));
    }
    Ok(())
}

/// Checks part number and upload id. `s3s` accepts every number that Rust parses, and has no S3
/// errors for the others. With only one of the two parameters, it would store a part as a whole
/// object.
fn check_part(request: &Parts, names: Names, query: &Query) -> Result<(), Refusal> {
    if names == Names::Object
        && let Some(number) = query.get("partNumber")
    {
        part_number_text(number)?;
    }
    let range = request.headers.get("x-amz-copy-source-range");
    if let Some(range) = range.filter(|range| range.as_bytes().contains(&b'+')) {
        return Err(Refusal::invalid_argument(
            "x-amz-copy-source-range",
            String::from_utf8_lossy(range.as_bytes()),
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first \
             and last are the zero-based offsets of the first and last bytes to copy",
        ));
    }
    let method = &request.method;
    let writes_object = *method == Method::PUT && names == Names::Object;
    let (given, missing) = match (query.has("uploadId"), query.has("partNumber")) {
        (true, false) => ("uploadId", "partNumber"),
        (false, true) => ("partNumber", "uploadId"),
        _ => return Ok(()),
    };
    if !writes_object {
        return Ok(());
    }
    let value = query.get(given).unwrap_or_default();
    Err(Refusal::invalid_argument(
        given,
        value,
        format!("This operation needs {missing} beside {given}"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(method: &str, uri: &str, headers: &[(&str, &str)]) -> Option<String> {
        let mut builder = http::Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        let (parts, ()) = builder.body(()).unwrap().into_parts();
        let target = crate::request::target::Domains::new(&[]).target(&parts);
        check(&parts, &target, &Limits { header_bytes: 4096, ..Limits::default() })
            .err()
            .map(|refusal| refusal.code().to_owned())
    }

    const AUTH: &str = "AWS4-HMAC-SHA256 Credential=a/b/c/s3/aws4_request, \
        SignedHeaders=host;x-amz-date, Signature=0";
    /// An invented header that covers all headers.
    const COVERING: &str = "AWS4-HMAC-SHA256 Credential=a/b/c/s3/aws4_request, \
        SignedHeaders=host;x-amz-copy-source, Signature=0";
    const PRESIGNED: &str = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a&X-Amz-Date=d&\
        X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=0";

    #[test]
    fn what_s3s_would_let_pass_is_refused() {
        type Case<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], Option<&'a str>);
        let presigned = format!("/b/k?{PRESIGNED}");
        let cases: [Case<'_>; 39] = [
            ("GET", "/b/k", &[("authorization", AUTH), ("host", "h"), ("x-amz-date", "d")], None),
            ("GET", "/b?prefix=&delimiter=", &[], None),
            (
                "PUT",
                "/b/k",
                &[("authorization", AUTH), ("host", "h"), ("x-amz-copy-source", "b/k")],
                Some("AccessDenied"),
            ),
            ("PUT", &presigned, &[("x-amz-copy-source", "x")], Some("AccessDenied")),
            ("PUT", &presigned, &[("host", "h")], None),
            (
                "PUT",
                &presigned,
                &[("host", "h"), ("x-amz-copy-source", "x"), ("authorization", COVERING)],
                Some("InvalidArgument"),
            ),
            ("PUT", &presigned, &[("authorization", "")], Some("InvalidArgument")),
            ("PUT", &format!("{presigned}&AWSAccessKeyId=x"), &[], Some("InvalidArgument")),
            ("PUT", &format!("{presigned}&Signature=x"), &[], Some("InvalidArgument")),
            ("PUT", &format!("{presigned}&X-Amz-Signature=0"), &[], Some("InvalidArgument")),
            (
                "PUT",
                &format!("{presigned}&X-Amz-SignedHeaders=host%3Bx-amz-copy-source"),
                &[("x-amz-copy-source", "x")],
                Some("InvalidArgument"),
            ),
            ("PUT", &format!("{presigned}&%58-Amz-Signature=0"), &[], Some("InvalidArgument")),
            (
                "PUT",
                "/b/k?X-Amz-Algorithm=AWS4-HMAC-SHA256",
                &[],
                Some("AuthorizationQueryParametersError"),
            ),
            (
                "PUT",
                "/b/k",
                &[("authorization", AUTH), ("authorization", AUTH)],
                Some("InvalidArgument"),
            ),
            ("PUT", "/b/k?Signature=x", &[("authorization", AUTH)], Some("InvalidArgument")),
            (
                "GET",
                "/b/k?AWSAccessKeyId=x&Signature=y&Signature=z&Expires=1",
                &[],
                Some("InvalidArgument"),
            ),
            (
                "PUT",
                "/b/k",
                &[("authorization", "AWS4-HMAC-SHA256 x")],
                Some("AuthorizationHeaderMalformed"),
            ),
            (
                "PUT",
                &presigned.replace("=host", "=host%3BX-Amz-Copy-Source"),
                &[("x-amz-copy-source", "x")],
                Some("AccessDenied"),
            ),
            ("GET", "/b/k?X-Amz-Expires=604801", &[], Some("AuthorizationQueryParametersError")),
            ("GET", "/b/k?X-Amz-Expires=604800", &[], None),
            ("GET", "/b/k?X-Amz-Expires=soon", &[], Some("AuthorizationQueryParametersError")),
            ("GET", "/b/k?AWSAccessKeyId=x&Signature=y", &[], Some("AccessDenied")),
            ("GET", "/b/k?AWSAccessKeyId=x&Signature=y&Expires=1", &[], None),
            (
                "GET",
                "/b/k?AWSAccessKeyId=x&Signature=y&Expires=99999999999",
                &[],
                Some("AccessDenied"),
            ),
            ("GET", "/b?AWSAccessKeyId=x&Signature=y&Expires=1", &[], Some("InvalidRequest")),
            ("GET", "/b/k", &[("authorization", "AWS x:y")], Some("InvalidRequest")),
            (
                "GET",
                "/b/k",
                &[("authorization", "AWS4-ECDSA-P256-SHA256 x")],
                Some("InvalidRequest"),
            ),
            (
                "POST",
                "/b",
                &[("content-type", "Multipart/Form-Data; boundary=x")],
                Some("NotImplemented"),
            ),
            ("DELETE", "/b/k?renameObject", &[], Some("NotImplemented")),
            ("PATCH", "/b/k", &[], Some("MethodNotAllowed")),
            ("DELETE", "/b/k?tagging", &[], None),
            ("DELETE", "/b/k?acl", &[], Some("MethodNotAllowed")),
            ("DELETE", "/b/k?acl=1", &[], Some("MethodNotAllowed")),
            ("DELETE", "/b?versions", &[], Some("MethodNotAllowed")),
            ("PUT", "/b/k?uploads", &[], Some("MethodNotAllowed")),
            ("PUT", "/b?location", &[], Some("MethodNotAllowed")),
            ("PUT", "/b/k?uploadId=u", &[], Some("InvalidArgument")),
            ("PUT", "/b/k?partNumber=1", &[], Some("InvalidArgument")),
            ("DELETE", "/b/k?x-id=DeleteObject&versionId=null", &[], None),
        ];
        for (method, uri, headers, expected) in cases {
            assert_eq!(
                refused(method, uri, headers).as_deref(),
                expected,
                "{method} {uri} {headers:?}"
            );
        }
        let long = "x".repeat(5000);
        assert_eq!(
            refused("GET", "/b", &[("x-long", &long)]).as_deref(),
            Some("RequestHeaderSectionTooLarge")
        );
    }
}
