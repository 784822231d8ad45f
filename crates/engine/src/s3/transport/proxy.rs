//! Decides which requests go through a proxy, and adds the authorization that the proxy requires.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderValue, Uri};
use percent_encoding::percent_decode_str;

use super::no_proxy::NoProxy;
use super::origin::Origin;

/// An HTTP proxy: `http://[user:password@]host[:port]`. The password is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    origin: Origin,
    authorization: Option<HeaderValue>,
}

/// The proxies to use, by the scheme of the store's URL.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    /// For `http://` stores: this proxy forwards whole requests.
    pub http: Option<Proxy>,
    /// For `https://` stores: this proxy opens a tunnel (CONNECT).
    pub https: Option<Proxy>,
    /// Hosts that are reached directly.
    pub bypass: NoProxy,
}

/// The error for a text that is not a proxy. It does not repeat the text, which may contain a
/// password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// The text is not `http://HOST:PORT`.
    #[error("it is not the URL of a proxy")]
    NotAUrl,
    /// The scheme is not supported, such as `socks5://`.
    #[error("only http:// and https:// proxies are supported")]
    Scheme,
}

impl FromStr for Proxy {
    type Err = ProxyError;

    /// Parses a proxy; without a scheme it is an `http://` proxy, as in curl and the AWS CLI.
    fn from_str(text: &str) -> Result<Self, ProxyError> {
        let text = text.trim();
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        if !["http", "https"].contains(&scheme.to_ascii_lowercase().as_str()) {
            return Err(ProxyError::Scheme);
        }
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority),
        };
        let uri: Uri = format!("{scheme}://{host}/").parse().map_err(|_| ProxyError::NotAUrl)?;
        let mut origin = Origin::of(&uri).ok_or(ProxyError::NotAUrl)?;
        if uri.port().is_none() {
            // The default ports of curl.
            origin.port = if origin.tls { 443 } else { 1080 };
        }
        let authorization = user.map(basic).transpose()?;
        Ok(Self { origin, authorization })
    }
}

impl Proxy {
    pub(super) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Returns the value of `Proxy-Authorization`.
    pub(in crate::s3) fn authorization(&self) -> Option<&HeaderValue> {
        self.authorization.as_ref()
    }
}

/// Encodes `user:password` (percent-encoded) as Basic authorization (RFC 7617).
fn basic(user_info: &str) -> Result<HeaderValue, ProxyError> {
    let (user, password) = user_info.split_once(':').unwrap_or((user_info, ""));
    let decoded = |text| percent_decode_str(text).collect::<Vec<u8>>();
    let pair = [decoded(user), decoded(password)].join(&b':');
    let mut value = HeaderValue::from_str(&format!("Basic {}", BASE64_STANDARD.encode(pair)))
        .map_err(|_| ProxyError::NotAUrl)?;
    value.set_sensitive(true);
    Ok(value)
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin.url())
    }
}

impl Proxies {
    /// Returns the proxy for an origin; `None` if the origin is reached directly.
    pub(in crate::s3) fn of(&self, origin: &Origin) -> Option<&Proxy> {
        let proxy = if origin.tls { self.https.as_ref() } else { self.http.as_ref() }?;
        let direct = is_link_local(&origin.host) || self.bypass.matches(&origin.host, origin.port);
        (!direct).then_some(proxy)
    }
}

/// Returns whether the host is link-local, like cloud metadata services, which must answer for this
/// machine and not for a proxy.
fn is_link_local(host: &str) -> bool {
    match host.parse() {
        Ok(IpAddr::V4(address)) => address.is_link_local(),
        Ok(IpAddr::V6(address)) => address.segments() == [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254],
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy(text: &str) -> Proxy {
        text.parse().unwrap()
    }

    #[test]
    fn a_password_of_a_proxy_is_sent_and_never_shown() {
        let proxy = proxy("http://alice:p%40ss%3Aword@proxy.test:3128/");
        let sent = format!("Basic {}", BASE64_STANDARD.encode("alice:p@ss:word"));
        assert_eq!(proxy.authorization().unwrap(), sent.as_str());
        let proxies = Proxies { http: Some(proxy.clone()), ..Proxies::default() };
        for shown in
            [format!("{proxy}"), format!("{proxies:?}"), format!("{:?}", proxy.authorization())]
        {
            assert!(!shown.contains("p%40ss") && !shown.contains(&sent[6..]), "{shown}");
        }
        assert_eq!(proxy.to_string(), "http://proxy.test:3128");
    }

    #[test]
    fn a_proxy_needs_no_scheme() {
        assert_eq!(proxy("proxy.test:8080").to_string(), "http://proxy.test:8080");
        assert_eq!(proxy("proxy.test").origin().port, 1080);
        assert_eq!(proxy("https://proxy.test").origin().port, 443);
        assert_eq!(proxy("http://[::1]:3128").origin().host, "::1");
        assert_eq!("socks5://proxy.test:1080".parse::<Proxy>(), Err(ProxyError::Scheme));
        for bad in ["http://", "http://user:secret@", "http://a b:1", "http://x:port"] {
            assert_eq!(bad.parse::<Proxy>(), Err(ProxyError::NotAUrl), "{bad}");
        }
    }

    #[test]
    fn each_scheme_has_its_proxy_and_metadata_services_have_none() {
        let proxies = Proxies {
            http: Some(proxy("http://one.test:1")),
            https: Some(proxy("http://two.test:2")),
            bypass: "inside.test".parse().unwrap_or_default(),
        };
        let of = |url: &str| {
            proxies.of(&Origin::of(&url.parse().unwrap()).unwrap()).map(ToString::to_string)
        };
        assert_eq!(of("http://store.test").as_deref(), Some("http://one.test:1"));
        assert_eq!(of("https://store.test").as_deref(), Some("http://two.test:2"));
        for direct in ["http://inside.test", "http://169.254.169.254", "http://[fd00:ec2::254]"] {
            assert_eq!(of(direct), None, "{direct}");
        }
    }
}
