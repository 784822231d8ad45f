//! The hosts to reach without a proxy, in the syntax of `NO_PROXY`.

use std::convert::Infallible;
use std::net::IpAddr;
use std::str::FromStr;

/// A list of hosts, separated by commas or blanks. An entry is `*`, a name (which includes its
/// subdomains, with or without a leading dot), an address, or a network such as `10.0.0.0/8`; each
/// may end in `:port`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NoProxy(Vec<Entry>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    hosts: Hosts,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Hosts {
    All,
    /// A domain name, in lower case and without the leading dot.
    Domain(String),
    Network {
        address: IpAddr,
        prefix_bits: u32,
    },
}

impl FromStr for NoProxy {
    type Err = Infallible;

    /// Never fails: an invalid entry matches no host.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        let entries = text.split([',', ' ', '\t', '\n']).filter(|entry| !entry.is_empty());
        Ok(Self(entries.map(Entry::parse).collect()))
    }
}

impl NoProxy {
    /// Returns true if this host is on the list. `host` has no brackets.
    pub(super) fn matches(&self, host: &str, port: u16) -> bool {
        self.0
            .iter()
            .any(|entry| entry.port.is_none_or(|only| only == port) && entry.hosts.contain(host))
    }
}

impl Entry {
    fn parse(text: &str) -> Self {
        if let Some(hosts) = Hosts::network(text) {
            return Self { hosts, port: None };
        }
        let split = text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
        let (host, port) = match split {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        };
        let hosts = match Hosts::network(host) {
            Some(network) => network,
            None if host == "*" => Hosts::All,
            None => Hosts::Domain(
                host.trim_start_matches(['*', '.']).trim_end_matches('.').to_ascii_lowercase(),
            ),
        };
        Self { hosts, port }
    }
}

impl Hosts {
    /// Parses a network; a single address is a network with one address.
    fn network(text: &str) -> Option<Self> {
        let (address, prefix_bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u32>().ok()?)),
            None => (text, None),
        };
        let address: IpAddr = address.trim_matches(['[', ']']).parse().ok()?;
        let widest = if address.is_ipv4() { 32 } else { 128 };
        Some(Self::Network { address, prefix_bits: prefix_bits.unwrap_or(widest).min(widest) })
    }

    fn contain(&self, host: &str) -> bool {
        match self {
            Self::All => true,
            Self::Domain(domain) if domain.is_empty() => false,
            Self::Domain(domain) => {
                let host = host.trim_end_matches('.').to_ascii_lowercase();
                let before = host.strip_suffix(domain.as_str());
                before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
            }
            Self::Network { address, prefix_bits } => match (address, host.parse()) {
                (IpAddr::V4(network), Ok(IpAddr::V4(host))) => {
                    let shift = 32 - prefix_bits;
                    u32::from(*network).checked_shr(shift) == u32::from(host).checked_shr(shift)
                }
                (IpAddr::V6(network), Ok(IpAddr::V6(host))) => {
                    let shift = 128 - prefix_bits;
                    u128::from(*network).checked_shr(shift) == u128::from(host).checked_shr(shift)
                }
                _ => false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_direct(list: &str, host: &str) -> bool {
        let Ok(list) = list.parse::<NoProxy>();
        list.matches(host, 9000)
    }

    #[test]
    fn a_domain_covers_its_subdomains_and_no_lookalikes() {
        for list in [
            "example.com",
            ".example.com",
            "*.example.com",
            "other.test, EXAMPLE.com",
            "a b example.com",
        ] {
            assert!(is_direct(list, "s3.example.com"), "{list}");
            assert!(is_direct(list, "example.com"), "{list}");
            assert!(!is_direct(list, "notexample.com"), "{list}");
        }
        assert!(is_direct("*", "anything.test"));
        assert!(!is_direct("", "anything.test"));
        assert!(!is_direct(".", "anything.test"));
    }

    #[test]
    fn addresses_and_networks_match_addresses() {
        assert!(is_direct("127.0.0.1", "127.0.0.1"));
        assert!(is_direct("localhost,10.0.0.0/8", "10.200.3.4"));
        assert!(!is_direct("10.0.0.0/8", "11.0.0.1"));
        assert!(is_direct("0.0.0.0/0", "8.8.8.8"));
        assert!(is_direct("fd00::/8", "fd12::1"));
        assert!(is_direct("::1", "::1"));
        assert!(is_direct("[::1]", "::1"));
        assert!(!is_direct("0.0.0.0/0", "::1"));
    }

    #[test]
    fn an_entry_with_a_port_is_for_that_port() {
        assert!(is_direct("store.test:9000", "store.test"));
        assert!(!is_direct("store.test:9001", "store.test"));
        assert!(is_direct("127.0.0.1:9000", "127.0.0.1"));
        assert!(!is_direct("[::1]:1", "::1"));
    }
}
