//! Determines the signature of a request, and whether it covers everything that S3 reads from the
//! request.
//! `s3s` 0.14.1 looks for a signature in the query before it looks at the header, and silently
//! ignores the other. So only one is allowed, as on AWS: otherwise an invented, unverified
//! `Authorization` could claim to cover more than the presigned URL does. Names and lists are read
//! exactly as `s3s` reads them: case-sensitive, and a non-UTF-8 value counts as absent. This file
//! does not verify signatures.

use std::time::{SystemTime, UNIX_EPOCH};

use http::header::{AUTHORIZATION, HOST};
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use s3s::S3ErrorCode;

use crate::answer::refusal::Refusal;
use crate::request::query::Query;
use crate::request::target::{Names, RequestTarget};

/// The longest validity of a presigned URL, by AWS's rule.
const PRESIGNED_EXPIRY_MAX_SECONDS: u64 = 7 * 24 * 3600;

/// Headers of the `x-amz-` family that need not be signed: the first describes the payload and is
/// checked against it, browsers add the second.
const NEED_NO_SIGNATURE: [&str; 2] = ["x-amz-content-sha256", "x-amz-user-agent"];

/// The parameters that a presigned URL must have in version 4, and in version 2.
const OF_VERSION_4: [&str; 6] = [
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Signature",
    "X-Amz-Date",
    "X-Amz-SignedHeaders",
    "X-Amz-Expires",
];
const OF_VERSION_2: [&str; 3] = ["Signature", "Expires", "AWSAccessKeyId"];

/// The signature that `s3s` will verify.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Signature<'a> {
    /// No signature: the request is anonymous.
    None,
    /// Version 4 in `Authorization`, covering these headers.
    Header { signed_headers: &'a str },
    /// Version 4 in the query, covering these headers.
    Query { signed_headers: &'a str },
    /// Version 2 in the query. It always covers all `x-amz-` headers.
    OldQuery,
}

impl<'a> Signature<'a> {
    /// Returns whether it is a version 4 signature.
    pub(crate) fn is_version_4(&self) -> bool {
        matches!(self, Self::Header { .. } | Self::Query { .. })
    }

    /// Returns the signature of a request, which must be complete and the only one.
    pub(crate) fn of(request: &'a Parts, query: &'a Query) -> Result<Self, Refusal> {
        let in_query = query.has("X-Amz-Signature") || query.has("X-Amz-Algorithm");
        let in_old_query = query.has("Signature") || query.has("AWSAccessKeyId");
        let in_headers = request.headers.get_all(AUTHORIZATION).iter().count();
        let twice =
            |name: &&str| query.pairs().iter().filter(|(given, _)| given == name).count() > 1;
        if usize::from(in_query) + usize::from(in_old_query) + in_headers > 1
            || in_query && OF_VERSION_4.iter().any(twice)
            || in_old_query && OF_VERSION_2.iter().any(twice)
        {
            return Err(more_than_one(&request.headers));
        }
        if in_query {
            return match query.get("X-Amz-SignedHeaders") {
                Some(signed_headers) if OF_VERSION_4.iter().all(|name| query.has(name)) => {
                    Ok(Self::Query { signed_headers })
                }
                _ => Err(parameters_error(format!(
                    "Query-string authentication version 4 requires the {} parameters.",
                    OF_VERSION_4.join(", ")
                ))),
            };
        }
        if in_old_query {
            return match OF_VERSION_2.iter().all(|name| query.has(name)) {
                true => Ok(Self::OldQuery),
                false => Err(Refusal::with(
                    S3ErrorCode::AccessDenied,
                    "Query-string authentication requires the Signature, Expires and \
                     AWSAccessKeyId parameters",
                )),
            };
        }
        let Some(header) = request.headers.get(AUTHORIZATION) else { return Ok(Self::None) };
        let text = header.to_str().ok().filter(|text| text.starts_with("AWS4-HMAC-SHA256"));
        let text = text.ok_or_else(unsupported)?;
        let signed_headers = signed_headers_of(text);
        let signed_headers = signed_headers
            .ok_or_else(|| Refusal::new(S3ErrorCode::AuthorizationHeaderMalformed))?;
        Ok(Self::Header { signed_headers })
    }

    /// Refuses a signature that is valid for longer than a week, has an unsupported version, or
    /// does not cover all headers.
    pub(crate) fn check(
        &self,
        request: &Parts,
        target: &RequestTarget,
        query: &Query,
    ) -> Result<(), Refusal> {
        check_expiry(query)?;
        match self {
            Self::None => Ok(()),
            Self::Header { signed_headers } | Self::Query { signed_headers } => {
                check_covered(&request.headers, signed_headers)
            }
            Self::OldQuery => check_old_query(target, query),
        }
    }
}

/// Checks a version 2 signature, which is accepted only in presigned URLs of objects, because boto3
/// still creates them by default in the older regions. It has an absolute expiry, so the seven days
/// are counted from now.
fn check_old_query(target: &RequestTarget, query: &Query) -> Result<(), Refusal> {
    if target.names != Names::Object {
        return Err(unsupported());
    }
    let latest = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
        + PRESIGNED_EXPIRY_MAX_SECONDS;
    match query.get("Expires").and_then(|expires| expires.parse::<u64>().ok()) {
        Some(expires) if expires <= latest => Ok(()),
        Some(_) => Err(Refusal::with(
            S3ErrorCode::AccessDenied,
            "Request would be valid for more than a week",
        )),
        None => Err(Refusal::with(
            S3ErrorCode::AccessDenied,
            "Query-string authentication requires Expires",
        )),
    }
}

fn check_expiry(query: &Query) -> Result<(), Refusal> {
    let Some(text) = query.get("X-Amz-Expires") else { return Ok(()) };
    match text.parse::<i64>() {
        Err(_) => Err(parameters_error("X-Amz-Expires should be a number")),
        Ok(seconds) if seconds < 0 => Err(parameters_error("X-Amz-Expires must be non-negative")),
        Ok(seconds) if seconds.unsigned_abs() > PRESIGNED_EXPIRY_MAX_SECONDS => {
            Err(parameters_error(
                "X-Amz-Expires must be less than a week (in seconds) that is; the given \
                 X-Amz-Expires must be less than 604800 seconds",
            ))
        }
        Ok(_) => Ok(()),
    }
}

fn check_covered(headers: &HeaderMap, signed_headers: &str) -> Result<(), Refusal> {
    let missing = not_covered(headers, signed_headers);
    if missing.is_empty() {
        return Ok(());
    }
    Err(Refusal::with(
        S3ErrorCode::AccessDenied,
        "There were headers present in the request which were not signed",
    )
    .field("HeadersNotSigned", missing.join(", ")))
}

/// Returns the headers that must be signed but are not.
pub(crate) fn not_covered<'a>(headers: &'a HeaderMap, signed_headers: &str) -> Vec<&'a str> {
    let is_signed = |name: &str| {
        signed_headers.split(';').any(|signed| signed == name)
            && headers
                .get_all(name)
                .iter()
                .all(|value| std::str::from_utf8(value.as_bytes()).is_ok())
    };
    let has_to_be = |name: &&str| {
        *name == HOST.as_str() || name.starts_with("x-amz-") && !NEED_NO_SIGNATURE.contains(name)
    };
    let names = headers.keys().map(http::HeaderName::as_str);
    names.filter(has_to_be).filter(|name| !is_signed(name)).collect()
}

/// Extracts `a;b;c` from `AWS4-HMAC-SHA256 Credential=…, SignedHeaders=a;b;c, Signature=…`.
/// Searches from the end, because a credential may contain any text.
fn signed_headers_of(authorization: &str) -> Option<&str> {
    let mut from_end = authorization.rsplitn(3, ',');
    from_end.next()?.trim().strip_prefix("Signature=")?;
    let signed_headers = from_end.next()?.trim().strip_prefix("SignedHeaders=")?;
    from_end.next()?;
    Some(signed_headers)
}

fn more_than_one(headers: &HeaderMap) -> Refusal {
    let refusal = Refusal::with(
        S3ErrorCode::InvalidArgument,
        "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature \
         query string parameter or the Authorization header should be specified",
    );
    match headers.get(AUTHORIZATION) {
        Some(value) => refusal
            .field("ArgumentName", "Authorization")
            .field("ArgumentValue", String::from_utf8_lossy(value.as_bytes())),
        None => refusal,
    }
}

fn unsupported() -> Refusal {
    Refusal::invalid_request(
        "The authorization mechanism you have provided is not supported. Please use \
         AWS4-HMAC-SHA256.",
    )
}

fn parameters_error(message: impl Into<String>) -> Refusal {
    Refusal::custom("AuthorizationQueryParametersError", StatusCode::BAD_REQUEST, message)
}

#[cfg(test)]
mod tests {
    use super::signed_headers_of;

    #[test]
    fn signed_headers_are_the_part_before_the_signature() {
        for (header, expected) in [
            (
                "AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host;x-amz-date, Signature=0",
                Some("host;x-amz-date"),
            ),
            ("AWS4-HMAC-SHA256 Credential=a/b,SignedHeaders=host,Signature=0", Some("host")),
            (
                "AWS4-HMAC-SHA256 Credential=SignedHeaders=x-amz-copy-source,/b, \
                 SignedHeaders=host, Signature=0",
                Some("host"),
            ),
            ("AWS4-HMAC-SHA256 Credential=a/b, Signature=0, SignedHeaders=host", None),
            ("AWS4-HMAC-SHA256 SignedHeaders=host, Signature=0", None),
            ("AWS4-HMAC-SHA256", None),
        ] {
            assert_eq!(signed_headers_of(header), expected, "{header}");
        }
    }
}
