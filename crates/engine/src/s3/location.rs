//! The location of a store, as determined from the options and the configuration chain, for later
//! runs that must find the same store.

use http::Uri;

use super::{Addressing, S3Options, aws};

/// The location of an [`super::S3Store`], without credentials. Options made from it
/// ([`Location::options`]) lead to the same store, even if the environment and the profiles have
/// changed by then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The URL with its path, without a trailing slash: `https://gateway:8443/storage/v1/s3`.
    pub endpoint: String,
    /// Whether the endpoint was configured; if not, it is AWS's own and follows from the region.
    pub endpoint_given: bool,
    /// The region for signatures, unless a bucket turns out to be in another one.
    pub region: String,
    /// The bucket addressing, never [`Addressing::Auto`].
    pub addressing: Addressing,
    /// Whether AWS's own endpoint is the one for FIPS 140.
    pub fips: bool,
    /// Whether AWS's own endpoint is the one with IPv6.
    pub dual_stack: bool,
}

impl Location {
    /// Returns options that lead to this store. Profile, credentials and time-outs are those of
    /// `options`.
    #[must_use]
    pub fn options(&self, options: S3Options) -> S3Options {
        S3Options {
            endpoint_url: self.endpoint_given.then(|| self.endpoint.clone()),
            ignore_configured_endpoint: true,
            region: Some(self.region.clone()),
            addressing: self.addressing,
            fips: Some(self.fips),
            dual_stack: Some(self.dual_stack),
            ..options
        }
    }

    /// Returns a name of the store that is the same for every spelling of its address. AWS has one
    /// name for each partition, because every region of it finds a bucket.
    #[must_use]
    pub fn store_name(&self) -> String {
        let host = self.endpoint.parse::<Uri>().ok().and_then(|uri| uri.host().map(str::to_owned));
        match host.and_then(|host| aws::domain_of_s3(&host)).filter(|_| !self.endpoint_given) {
            Some(domain) => format!("https://s3.{domain}"),
            None => normalised(&self.endpoint),
        }
    }
}

/// Normalises an endpoint: host in lower case, no port that the scheme implies, no trailing slash.
/// A text that is not a URL stays unchanged.
#[must_use]
pub fn normalised(endpoint: &str) -> String {
    let trimmed = endpoint.trim_end_matches('/');
    let Ok(uri) = trimmed.parse::<Uri>() else { return trimmed.to_owned() };
    let (Some(scheme), Some(host)) = (uri.scheme_str(), uri.host()) else {
        return trimmed.to_owned();
    };
    let implied = if scheme == "https" { 443 } else { 80 };
    let port = uri
        .port_u16()
        .filter(|port| *port != implied)
        .map_or(String::new(), |port| format!(":{port}"));
    let path = uri.path().trim_end_matches('/');
    format!("{scheme}://{}{port}{path}", host.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_endpoint_has_one_name_however_it_is_written() {
        for (written, name) in [
            ("http://127.0.0.1:8014/", "http://127.0.0.1:8014"),
            ("https://Gateway:443", "https://gateway"),
            ("https://gateway/storage/v1/S3//", "https://gateway/storage/v1/S3"),
            ("http://[::1]:80/", "http://[::1]"),
            ("not a url/", "not a url"),
        ] {
            assert_eq!(normalised(written), name, "{written}");
        }
    }
}
