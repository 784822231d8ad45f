//! Implements CORS: the response to a preflight, and the headers on every other response to a
//! script in a browser.
//!
//! `s3s` has no CORS, so this layer precedes it. The first matching rule applies. A preflight has
//! no signature and reveals nothing but the bucket's rules; the request after it is authenticated
//! like any other.

use haul_store::{CorsConfiguration, CorsRule};
use http::header::{
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, HeaderName, HeaderValue, ORIGIN,
    VARY,
};
use http::request::Parts;
use http::{HeaderMap, Method, Response, StatusCode};
use s3s::{Body, S3ErrorCode};

use crate::answer::refusal::Refusal;
use crate::ops::endpoint::Endpoint;
use crate::ops::names;
use crate::ops::wire::set;
use crate::request::target::RequestTarget;

/// The `Vary` header of a response with CORS, as AWS sends it.
const VARIES_WITH: HeaderValue = HeaderValue::from_static(
    "Origin, Access-Control-Request-Headers, Access-Control-Request-Method",
);

/// Responds to `OPTIONS`.
pub(crate) async fn preflight(
    endpoint: &Endpoint,
    request: &Parts,
    target: &RequestTarget,
) -> Result<Response<Body>, Refusal> {
    let origin = text(&request.headers, &ORIGIN).ok_or_else(|| {
        Refusal::with(
            S3ErrorCode::InvalidRequest,
            "Insufficient information. Origin request header needed.",
        )
    })?;
    let method = text(&request.headers, &ACCESS_CONTROL_REQUEST_METHOD).ok_or_else(|| {
        Refusal::with(S3ErrorCode::InvalidRequest, "Invalid Access-Control-Request-Method: null")
    })?;
    let wanted = text(&request.headers, &ACCESS_CONTROL_REQUEST_HEADERS).unwrap_or("");
    let headers: Vec<&str> =
        wanted.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();

    let cors = configuration(endpoint, target)
        .await
        .ok_or_else(|| forbidden("CORS is not enabled for this bucket."))?;
    let rule = cors.rules.iter().find(|rule| {
        allows(rule, origin, method) && headers.iter().all(|name| allows_header(rule, name))
    });
    let rule = rule.ok_or_else(|| {
        forbidden(
            "This CORS request is not allowed. This is usually because the evalution of \
            Origin, request method / Access-Control-Request-Method or \
            Access-Control-Request-Headers are not whitelisted by the resource's CORS spec.",
        )
    })?;
    let mut response = Response::new(Body::empty());
    show(rule, origin, response.headers_mut());
    if !headers.is_empty() {
        set(
            response.headers_mut(),
            "access-control-allow-headers",
            headers.join(", ").to_lowercase(),
        );
    }
    if let Some(seconds) = rule.max_age_seconds {
        set(response.headers_mut(), "access-control-max-age", seconds.to_string());
    }
    Ok(response)
}

/// Returns the headers that let a script read the response; no headers without an `Origin` or a
/// rule.
pub(crate) async fn headers(
    endpoint: &Endpoint,
    request: &Parts,
    target: &RequestTarget,
) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let Some(origin) = text(&request.headers, &ORIGIN) else { return headers };
    if let Some(cors) = configuration(endpoint, target).await
        && let Some(rule) =
            cors.rules.iter().find(|rule| allows(rule, origin, request.method.as_str()))
    {
        show(rule, origin, &mut headers);
    }
    headers
}

async fn configuration(endpoint: &Endpoint, target: &RequestTarget) -> Option<CorsConfiguration> {
    let bucket = names::bucket(target.bucket.as_deref()?).ok()?;
    endpoint.on_store(move |store| store.bucket_cors(&bucket)).await.ok()
}

/// Returns whether a request is a preflight.
pub(crate) fn is_preflight(request: &Parts) -> bool {
    request.method == Method::OPTIONS
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn forbidden(message: &str) -> Refusal {
    Refusal::custom("AccessForbidden", StatusCode::FORBIDDEN, format!("CORSResponse: {message}"))
}

fn show(rule: &CorsRule, origin: &str, headers: &mut HeaderMap) {
    // A single star allows every origin to read the response, but not with its cookies.
    let any = rule.allowed_origins.iter().any(|allowed| allowed == "*");
    if any {
        set(headers, "access-control-allow-origin", "*");
    } else {
        set(headers, "access-control-allow-origin", origin);
        set(headers, "access-control-allow-credentials", "true");
    }
    set(headers, "access-control-allow-methods", rule.allowed_methods.join(", "));
    if !rule.expose_headers.is_empty() {
        set(headers, "access-control-expose-headers", rule.expose_headers.join(", "));
    }
    headers.insert(VARY, VARIES_WITH);
}

fn allows(rule: &CorsRule, origin: &str, method: &str) -> bool {
    rule.allowed_origins.iter().any(|pattern| fits(pattern, origin))
        && rule.allowed_methods.iter().any(|m| m == method)
}

fn allows_header(rule: &CorsRule, name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    rule.allowed_headers.iter().any(|pattern| fits(&pattern.to_ascii_lowercase(), &name))
}

/// Returns whether a text matches a pattern with at most one `*`.
fn fits(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, end)) => {
            text.len() >= start.len() + end.len() && text.starts_with(start) && text.ends_with(end)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn a_star_stands_for_anything_once() {
        for (pattern, text, expected) in [
            ("*", "https://a.example", true),
            ("https://*.example", "https://a.example", true),
            ("https://*.example", "https://.example", true),
            ("https://*.example", "https://example", false),
            ("http://a*a", "http://a", false),
            ("x-amz-*", "x-amz-date", true),
            ("https://a", "https://a", true),
            ("https://a", "https://ab", false),
        ] {
            assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
        }
    }
}
