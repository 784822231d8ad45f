//! Logs the requests and answers of both planes at `TRACE` under the target `haul::wire`: request
//! lines, headers and statuses.
//!
//! Bodies are never logged, nor are secrets: values of headers and parameters that sign, unlock or
//! identify are hidden by name.

use http::{HeaderMap, Method, StatusCode, Uri};

/// Parts of the names of headers and parameters whose values stay hidden.
const SECRET: [&str; 8] = [
    "authorization",
    "token",
    "signature",
    "credential",
    "secret",
    "cookie",
    "customer-key",
    "password",
];

/// Logs a request that is about to be sent.
pub(super) fn request(method: &Method, uri: &Uri, headers: &HeaderMap) {
    if tracing::enabled!(target: "haul::wire", tracing::Level::TRACE) {
        tracing::trace!(target: "haul::wire", "> {method} {}{}", shown_uri(uri), shown(headers));
    }
}

/// Logs the head of an answer.
pub(super) fn answer(status: StatusCode, headers: &HeaderMap) {
    if tracing::enabled!(target: "haul::wire", tracing::Level::TRACE) {
        tracing::trace!(target: "haul::wire", "< {status}{}", shown(headers));
    }
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET.iter().any(|part| name.contains(part))
}

fn shown(headers: &HeaderMap) -> String {
    let line = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        let value = if is_secret(name.as_str()) {
            "(hidden)".into()
        } else {
            String::from_utf8_lossy(value.as_bytes())
        };
        format!("  {name}: {value}")
    };
    headers.iter().map(line).collect()
}

fn shown_uri(uri: &Uri) -> String {
    let Some(query) = uri.query() else { return uri.to_string() };
    let parameter = |pair: &str| match pair.split_once('=') {
        Some((name, _)) if is_secret(name) => format!("{name}=(hidden)"),
        _ => pair.to_owned(),
    };
    let query: Vec<_> = query.split('&').map(parameter).collect();
    let whole = uri.to_string();
    let before = whole.split_once('?').map_or(whole.as_str(), |(before, _)| before);
    format!("{before}?{}", query.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_signs_or_opens_is_hidden() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("host", "example.org"),
            ("authorization", "AWS4-HMAC-SHA256 Credential=AK/x, Signature=beef"),
            ("x-amz-security-token", "opensesame"),
            ("x-amz-server-side-encryption-customer-key", "a2V5"),
            ("x-aws-ec2-metadata-token", "opensesame"),
            ("x-amz-sso_bearer_token", "opensesame"),
            ("proxy-authorization", "Basic dXNlcjpwYXNz"),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        let text = shown(&headers);
        assert!(
            text.contains("host: example.org") && text.contains("authorization: (hidden)"),
            "{text}"
        );
        for secret in ["beef", "opensesame", "a2V5", "dXNlcjpwYXNz"] {
            assert!(!text.contains(secret), "{text}");
        }
        let uri: Uri =
            "http://h/b/k?partNumber=1&X-Amz-Signature=beef&X-Amz-Security-Token=t&uploadId=u"
                .parse()
                .unwrap();
        assert_eq!(
            shown_uri(&uri),
            "http://h/b/k?partNumber=1&X-Amz-Signature=(hidden)&X-Amz-Security-Token=(hidden)\
             &uploadId=u"
        );
    }
}
