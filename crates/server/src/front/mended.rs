//! Rewrites a verified request into the form that the operations read.
//!
//! `s3s` reads a request literally, where AWS interprets some parts. The differences are resolved
//! here, between the signature check, which covers the original, and the operations:
//!
//! - parameters of a presigned URL that stand for headers become headers (`x-amz-…`, `If-Match`,
//!   `If-None-Match`), except checksums, which AWS ignores there: SDKs sign those of an empty body;
//! - the signature itself is removed, because it was verified;
//! - present but empty parameters (`max-parts=`) are absent;
//! - `+` is a blank, in the path and in `x-amz-copy-source`.

use http::header::{AUTHORIZATION, CONTENT_TYPE, IF_MATCH, IF_NONE_MATCH};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Uri};
use s3s::S3ErrorCode;

use crate::answer::refusal::Refusal;
use crate::request::query::Query;

/// The parameters of presigning itself, for both versions.
const OF_SIGNING: [&str; 12] = [
    "awsaccesskeyid",
    "expires",
    "signature",
    "x-amz-algorithm",
    "x-amz-content-sha256",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-expires",
    "x-amz-security-token",
    "x-amz-signature",
    "x-amz-signedheaders",
    "x-amz-user-agent",
];

/// The parameters that mean nothing when they are empty.
const EMPTY_IS_ABSENT: [&str; 12] = [
    "delimiter",
    "encoding-type",
    "fetch-owner",
    "max-buckets",
    "max-keys",
    "max-parts",
    "max-uploads",
    "part-number-marker",
    "start-after",
    "upload-id-marker",
    "version-id-marker",
    "versionId",
];

/// The location of a verified request's signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Signed {
    /// In a header, or there is none.
    NotInQuery,
    /// In the query, with version 4, which covers the whole query.
    Version4,
    /// In the query, with version 2, which covers parameters that stand for headers.
    Version2,
}

/// Rewrites a request whose signature was verified, or that has none.
///
/// # Errors
/// `InvalidArgument` for a parameter that stands for a header but is no valid header value.
pub(crate) fn mend(request: &mut Parts) -> Result<(), Refusal> {
    let text = request.uri.query().unwrap_or("").to_owned();
    let query = Query::parse(&text);
    let signed = if query.has("X-Amz-Signature") {
        Signed::Version4
    } else if query.has("Signature") {
        Signed::Version2
    } else {
        Signed::NotInQuery
    };
    request.headers.remove(AUTHORIZATION);
    for (name, value) in query.pairs() {
        if let Some(name) = header_of(signed, name)
            && !request.headers.contains_key(&name)
        {
            let bad = || {
                Refusal::invalid_argument("parameter", value, format!("Invalid value of {name}"))
            };
            let value = HeaderValue::try_from(value.as_str()).map_err(|_| bad())?;
            request.headers.insert(name, value);
        }
    }
    mend_copy_source(request);
    request.uri = mended_uri(&request.uri, &text, signed)?;
    Ok(())
}

/// Returns the header that a parameter replaces.
fn header_of(signed: Signed, parameter: &str) -> Option<HeaderName> {
    if signed == Signed::NotInQuery {
        return None;
    }
    let name = parameter.to_ascii_lowercase();
    let taken = match signed {
        Signed::Version4 if [IF_MATCH.as_str(), IF_NONE_MATCH.as_str()].contains(&&*name) => true,
        Signed::Version2 if ["content-md5", CONTENT_TYPE.as_str()].contains(&&*name) => true,
        _ => name.starts_with("x-amz-") && !OF_SIGNING.contains(&&*name) && !is_checksum(&name),
    };
    if taken { HeaderName::try_from(name).ok() } else { None }
}

/// Returns whether this is a checksum of the body; `x-amz-checksum-mode` is about the response.
fn is_checksum(name: &str) -> bool {
    name == "x-amz-sdk-checksum-algorithm"
        || name.starts_with("x-amz-checksum-") && name != "x-amz-checksum-mode"
}

/// Decodes the header, except for a version id after the key.
fn mend_copy_source(request: &mut Parts) {
    const COPY_SOURCE: &str = "x-amz-copy-source";
    let Some(value) = request.headers.get(COPY_SOURCE) else { return };
    let Some(text) = value.to_str().ok().filter(|text| text.contains('+')) else { return };
    let (path, version) =
        text.split_once('?').map_or((text, None), |(path, version)| (path, Some(version)));
    let mut mended = path.replace('+', "%20");
    if let Some(version) = version {
        mended.push('?');
        mended.push_str(version);
    }
    let mended = HeaderValue::try_from(mended).expect("a header value with a blank written out");
    request.headers.insert(COPY_SOURCE, mended);
}

fn mended_uri(uri: &Uri, query: &str, signed: Signed) -> Result<Uri, Refusal> {
    let kept: Vec<&str> = query.split('&').filter(|pair| is_kept(pair, signed)).collect();
    let left_out = !query.is_empty() && kept.len() < query.split("&").count();
    if !left_out && !uri.path().contains('+') {
        return Ok(uri.clone());
    }
    let mut text = uri.path().replace('+', "%20");
    if !kept.is_empty() {
        text.push('?');
        text.push_str(&kept.join("&"));
    }
    let mut parts = uri.clone().into_parts();
    let bad = |_| Refusal::new(S3ErrorCode::InvalidURI);
    parts.path_and_query = Some(PathAndQuery::try_from(text).map_err(bad)?);
    Uri::from_parts(parts).map_err(|_| Refusal::new(S3ErrorCode::InvalidURI))
}

/// Returns whether a parameter stays in the query. `pair` is the parameter as sent.
fn is_kept(pair: &str, signed: Signed) -> bool {
    let parsed = Query::parse(pair);
    let Some((name, value)) = parsed.pairs().first() else { return false };
    let of_signing =
        signed != Signed::NotInQuery && OF_SIGNING.contains(&&*name.to_ascii_lowercase());
    let nothing = value.is_empty() && EMPTY_IS_ABSENT.contains(&name.as_str());
    !of_signing && !nothing && header_of(signed, name).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mended(uri: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = http::Request::builder().method("PUT").uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        mend(&mut parts).unwrap();
        parts
    }

    #[test]
    fn a_signature_is_taken_off_and_its_parameters_become_headers() {
        let parts = mended(
            "/b/k?uploadId=a%2Bb&X-Amz-Signature=0&X-Amz-Meta-A=1&\
                x-amz-checksum-crc32=AAAAAA%3D%3D&x-amz-sdk-checksum-algorithm=CRC32&\
                If-None-Match=*&X-Amz-Date=d&content-type=t",
            &[],
        );
        assert_eq!(
            parts.uri,
            "/b/k?uploadId=a%2Bb&x-amz-checksum-crc32=AAAAAA%3D%3D&\
                x-amz-sdk-checksum-algorithm=CRC32&content-type=t"
        );
        let names: Vec<_> = parts.headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(names.len(), 2, "{names:?}");
        assert_eq!(parts.headers["x-amz-meta-a"], "1");
        assert_eq!(parts.headers["if-none-match"], "*");

        let parts =
            mended("/b/k?Signature=0&Expires=1&AWSAccessKeyId=i&content-type=t&If-Match=x", &[]);
        assert_eq!((parts.uri.to_string().as_str(), parts.headers.len()), ("/b/k?If-Match=x", 1));
        assert_eq!(parts.headers["content-type"], "t");

        // Without a signature in the query, no parameter becomes a header, and a header is never
        // replaced.
        let parts =
            mended("/b/k?x-amz-acl=private&If-Match=x&Expires=1", &[("authorization", "s")]);
        assert_eq!(
            (parts.uri.query(), parts.headers.len()),
            (Some("x-amz-acl=private&If-Match=x&Expires=1"), 0)
        );
        let parts = mended("/b/k?X-Amz-Signature=0&x-amz-meta-a=1", &[("x-amz-meta-a", "2")]);
        assert_eq!(
            (parts.uri.query(), &parts.headers["x-amz-meta-a"]),
            (None, &HeaderValue::from_static("2"))
        );
    }

    #[test]
    fn a_plus_is_a_blank_and_an_empty_parameter_is_absent() {
        let parts = mended(
            "/b/a+b%2Bc?max-parts=&prefix=&x=+&delimiter",
            &[("x-amz-copy-source", "b/a+b%2Bc?versionId=x+y")],
        );
        assert_eq!(parts.uri, "/b/a%20b%2Bc?prefix=&x=+");
        assert_eq!(parts.headers["x-amz-copy-source"], "b/a%20b%2Bc?versionId=x+y");
        assert_eq!(mended("/b/k", &[]).uri, "/b/k");
        assert_eq!(mended("/b/k?delimiter=", &[]).uri, "/b/k");
    }
}
