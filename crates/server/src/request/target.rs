//! Determines the bucket and key of a request: from the path, or from the host name and the path.
//!
//! Path style (`/bucket/key`) always works. In virtual-host style the bucket precedes one of the
//! server's own domains (`bucket.localhost`); any other host name is ignored.

use std::sync::Arc;

use http::header::HOST;
use http::request::Parts;
use s3s::S3Result;
use s3s::host::{S3Host, VirtualHost};

/// The domains whose subdomains are buckets.
#[derive(Clone, Debug)]
pub(crate) struct Domains(Arc<[String]>);

/// The bucket of a request and the scope of its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RequestTarget {
    /// The name of the bucket, unchecked.
    pub(crate) bucket: Option<String>,
    pub(crate) names: Names,
}

/// Whether a request names the service, a bucket or a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Names {
    Service,
    Bucket,
    Object,
}

impl Domains {
    pub(crate) fn new(domains: &[String]) -> Self {
        Self(domains.iter().map(|domain| domain.to_ascii_lowercase()).collect())
    }

    /// Returns the bucket in a host name such as `bucket.localhost:8014`.
    fn bucket_of<'a>(&self, host: &'a str) -> Option<&'a str> {
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => name,
            _ => host,
        };
        let under = |domain: &String| name.strip_suffix(domain.as_str())?.strip_suffix('.');
        self.0.iter().find_map(under).filter(|bucket| !bucket.is_empty())
    }

    /// Returns the bucket in the host name of a request.
    pub(crate) fn bucket_in_host<'a>(&self, request: &'a Parts) -> Option<&'a str> {
        self.bucket_of(request.headers.get(HOST)?.to_str().ok()?)
    }

    /// Returns the target of a request.
    pub(crate) fn target(&self, request: &Parts) -> RequestTarget {
        let path = request.uri.path().strip_prefix('/').unwrap_or("");
        let host = request.headers.get(HOST).and_then(|host| host.to_str().ok());
        if let Some(bucket) = host.and_then(|host| self.bucket_of(host)) {
            let names = if path.is_empty() { Names::Bucket } else { Names::Object };
            return RequestTarget { bucket: Some(bucket.to_owned()), names };
        }
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        let names = match (bucket, key) {
            ("", "") => Names::Service,
            (_, "") => Names::Bucket,
            _ => Names::Object,
        };
        RequestTarget { bucket: (!bucket.is_empty()).then(|| bucket.to_owned()), names }
    }
}

impl S3Host for Domains {
    fn parse_host_header<'a>(&'a self, host: &'a str) -> S3Result<VirtualHost<'a>> {
        let virtual_host = VirtualHost::new(host);
        Ok(match self.bucket_of(host) {
            Some(bucket) => virtual_host.with_bucket(bucket),
            None => virtual_host,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_stands_in_the_path_or_before_a_domain_of_ours() {
        let domains = Domains::new(&["localhost".to_owned(), "s3.example".to_owned()]);
        let cases = [
            ("127.0.0.1:8014", "/", None, Names::Service),
            ("127.0.0.1:8014", "/bkt", Some("bkt"), Names::Bucket),
            ("127.0.0.1:8014", "/bkt/", Some("bkt"), Names::Bucket),
            ("localhost:8014", "/bkt/k", Some("bkt"), Names::Object),
            ("bkt.localhost:8014", "/", Some("bkt"), Names::Bucket),
            ("bkt.localhost", "/k", Some("bkt"), Names::Object),
            ("a.b.s3.example", "/k/l", Some("a.b"), Names::Object),
            ("bkt.other", "/x/k", Some("x"), Names::Object),
            ("notlocalhost", "/x", Some("x"), Names::Bucket),
        ];
        for (host, path, bucket, names) in cases {
            let request = http::Request::builder().uri(path).header("host", host).body(()).unwrap();
            let target = domains.target(&request.into_parts().0);
            assert_eq!((target.bucket.as_deref(), target.names), (bucket, names), "{host} {path}");
        }
    }
}
