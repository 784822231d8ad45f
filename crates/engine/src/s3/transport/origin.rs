//! The origin of a connection: scheme, host and port.

use http::Uri;

/// The peer of a connection, as the URL names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::s3) struct Origin {
    pub(in crate::s3) tls: bool,
    /// A host name, or an address without brackets.
    pub(in crate::s3) host: String,
    pub(in crate::s3) port: u16,
    /// The text for the `Host` header and the signature.
    pub(in crate::s3) authority: String,
}

impl Origin {
    /// Returns the origin of an absolute URI; `None` if it has no scheme or host, or an invalid
    /// port.
    pub(in crate::s3) fn of(uri: &Uri) -> Option<Self> {
        let tls = match uri.scheme_str()? {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let authority = uri.authority()?.as_str();
        let host = uri.host().filter(|host| !host.is_empty())?;
        if uri.port_u16().is_none() && authority != host {
            return None;
        }
        let default_port = if tls { 443 } else { 80 };
        Some(Self {
            tls,
            host: host.trim_matches(['[', ']']).to_owned(),
            port: uri.port_u16().unwrap_or(default_port),
            authority: authority.to_owned(),
        })
    }

    /// Returns `https://host[:port]`.
    pub(in crate::s3) fn url(&self) -> String {
        url(self.tls, &self.authority)
    }

    /// Returns the same host and port with the other scheme.
    pub(super) fn other_scheme_url(&self) -> String {
        url(!self.tls, &self.authority)
    }

    /// Returns `host:port`, always with the port: the form that CONNECT needs.
    pub(super) fn host_and_port(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

fn url(tls: bool, authority: &str) -> String {
    let scheme = if tls { "https" } else { "http" };
    format!("{scheme}://{authority}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(uri: &str) -> Option<Origin> {
        Origin::of(&uri.parse().unwrap())
    }

    #[test]
    fn an_origin_has_the_default_port_of_its_scheme() {
        let http = origin("http://store.test/bucket").unwrap();
        assert_eq!((http.port, http.url().as_str()), (80, "http://store.test"));
        let https = origin("https://store.test/").unwrap();
        assert_eq!((https.port, https.host_and_port().as_str()), (443, "store.test:443"));
        let six = origin("https://[::1]:9000/").unwrap();
        assert_eq!((six.host.as_str(), six.host_and_port().as_str()), ("::1", "[::1]:9000"));
        assert_eq!(six.other_scheme_url(), "http://[::1]:9000");
        for bad in
            ["/path/only", "ftp://store.test/", "http://store.test:port/", "http://u:p@store.test/"]
        {
            assert_eq!(origin(bad), None, "{bad}");
        }
    }
}
