//! Resolves a host name to its addresses.

#[cfg(test)]
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;

/// A source of addresses for names.
#[derive(Debug)]
pub(in crate::s3) enum Resolver {
    /// The system's resolver: `/etc/hosts`, DNS, and other configured sources.
    System,
    /// A fixed table of names.
    #[cfg(test)]
    Fixed(HashMap<String, Vec<SocketAddr>>),
}

impl Resolver {
    /// Returns all addresses of a name, in the system's order of preference. Never empty.
    pub(super) async fn lookup(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let found: Vec<_> = match self {
            Self::System => tokio::net::lookup_host((host, port)).await?.collect(),
            #[cfg(test)]
            Self::Fixed(table) => table.get(host).cloned().unwrap_or_default(),
        };
        if found.is_empty() { Err(io::Error::other("the name has no address")) } else { Ok(found) }
    }
}
