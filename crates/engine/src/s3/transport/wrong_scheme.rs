//! Detects a URL with the wrong scheme by the behaviour of the peer.
//!
//! The first byte of most peers shows it ([`super::socket`]). Other peers send a redirect to https,
//! an HTTP answer that reports the problem, or silently close the connection; in that case one
//! greeting in the other protocol decides.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::header::{CONTENT_TYPE, LOCATION};
use http::{HeaderMap, StatusCode, Uri};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;

use super::Transport;
use super::error::{ConnectError, Protocol, find};
use super::origin::Origin;
use super::socket::Socket;

/// The time-out for the greeting and its answer.
const GREETING_TIMEOUT: Duration = Duration::from_secs(3);

/// Answers of TLS servers to a plain request: Go (and so MinIO), nginx, Apache.
const COMPLAINTS: [&str; 3] = [
    "Client sent an HTTP request to an HTTPS server",
    "The plain HTTP request was sent to HTTPS port",
    "speaking plain HTTP to an SSL-enabled server port",
];

/// The origins that have answered: their scheme is right.
#[derive(Debug, Default)]
pub(super) struct Heard(Mutex<HashSet<Origin>>);

impl Heard {
    fn insert(&self, origin: &Origin) {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !heard.contains(origin) {
            heard.insert(origin.clone());
        }
    }

    fn contains(&self, origin: &Origin) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(origin)
    }
}

/// Returns true if an answer to a plain request may be about the scheme, so that its body should be
/// checked.
pub(in crate::s3) fn is_suspect(origin: &Origin, status: StatusCode, headers: &HeaderMap) -> bool {
    let is_xml = headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().ends_with(b"xml"));
    !origin.tls && (status.is_redirection() || (status == StatusCode::BAD_REQUEST && !is_xml))
}

/// Returns the error for an answer to a plain request, if it is about the scheme.
pub(in crate::s3) fn of_answer(
    origin: &Origin,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
) -> Option<ConnectError> {
    if !is_suspect(origin, status, headers) {
        return None;
    }
    if status.is_redirection() {
        let location: Uri = headers.get(LOCATION)?.to_str().ok()?.parse().ok()?;
        let there = Origin::of(&location).filter(|there| there.tls && there.host == origin.host)?;
        return Some(ConnectError::RedirectsToTls { from: origin.clone(), to: there });
    }
    let text = String::from_utf8_lossy(body);
    let complains = COMPLAINTS.iter().any(|complaint| text.contains(complaint));
    complains.then(|| ConnectError::Scheme { to: origin.clone(), speaks: Protocol::Tls })
}

impl Transport {
    /// Records that an origin answered, so that no failure is attributed to its scheme.
    pub(in crate::s3) fn heard(&self, origin: &Origin) {
        self.heard.insert(origin);
    }

    /// Greets the origin in the other protocol after a silently closed connection. `None` if the
    /// origin has answered before, is behind a proxy, or does not understand the other protocol
    /// either.
    pub(in crate::s3) async fn diagnose(&self, origin: &Origin) -> Option<ConnectError> {
        if self.heard.contains(origin) || self.proxies.of(origin).is_some() {
            return None;
        }
        let error =
            tokio::time::timeout(GREETING_TIMEOUT, self.greet_otherwise(origin)).await.ok()??;
        match find::<ConnectError>(&error)? {
            ConnectError::Scheme { to, speaks } => {
                Some(ConnectError::Scheme { to: to.clone(), speaks: *speaks })
            }
            _ => None,
        }
    }

    /// Greets the origin in the other protocol, and returns the error of reading the answer. The
    /// socket fails if the answer is in that protocol.
    async fn greet_otherwise(&self, origin: &Origin) -> Option<std::io::Error> {
        let (tcp, _) = self.dial(origin, GREETING_TIMEOUT).await.ok()?;
        let mut socket = Socket::new(tcp, origin, false, self.unacknowledged_max).ok()?;
        if origin.tls {
            let greeting = format!(
                "OPTIONS / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
                origin.authority
            );
            socket.write_all(greeting.as_bytes()).await.ok()?;
            socket.read_u8().await.err()
        } else {
            let name = super::server_name(origin).ok()?;
            TlsConnector::from(self.tls.clone()).connect(name, socket).await.err()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(url: &str) -> Origin {
        Origin::of(&url.parse().unwrap()).unwrap()
    }

    fn redirect(to: &str) -> Option<String> {
        let headers = HeaderMap::from_iter([(LOCATION, to.parse().unwrap())]);
        let found = of_answer(
            &origin("http://store.test:80"),
            StatusCode::MOVED_PERMANENTLY,
            &headers,
            b"",
        );
        found.map(|error| error.to_string())
    }

    #[test]
    fn a_redirect_of_the_same_host_to_https_is_about_the_scheme() {
        assert_eq!(
            redirect("https://store.test/b/k").unwrap(),
            "store.test:80 redirects to https://store.test"
        );
        for elsewhere in
            ["https://bucket.s3.eu-west-3.amazonaws.com/k", "http://store.test/b/k", "/b/k/"]
        {
            assert_eq!(redirect(elsewhere), None, "{elsewhere}");
        }
    }

    #[test]
    fn only_complaints_about_plain_http_are_recognised() {
        let answer = |url: &str, body: &[u8]| {
            of_answer(&origin(url), StatusCode::BAD_REQUEST, &HeaderMap::new(), body).is_some()
        };
        assert!(answer("http://store.test", b"Client sent an HTTP request to an HTTPS server.\n"));
        assert!(answer(
            "http://store.test",
            b"<center>The plain HTTP request was sent to HTTPS port</center>"
        ));
        assert!(!answer("http://store.test", b"<Error><Code>InvalidRequest</Code></Error>"));
        assert!(!answer(
            "https://store.test",
            b"Client sent an HTTP request to an HTTPS server.\n"
        ));
    }
}
