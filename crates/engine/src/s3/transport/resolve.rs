//! From a host name to its addresses.

#[cfg(test)]
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;

/// Looks names up.
#[derive(Debug)]
pub(in crate::s3) enum Resolver {
    /// The system's: `/etc/hosts`, DNS, and what else the machine is set up to ask.
    System,
    /// A fixed table.
    #[cfg(test)]
    Fixed(HashMap<String, Vec<SocketAddr>>),
}

impl Resolver {
    /// All addresses of a name, in the system's order of preference. Never empty.
    pub(super) async fn lookup(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let found: Vec<_> = match self {
            Self::System => tokio::net::lookup_host((host, port)).await?.collect(),
            #[cfg(test)]
            Self::Fixed(table) => table.get(host).cloned().unwrap_or_default(),
        };
        if found.is_empty() { Err(io::Error::other("the name has no address")) } else { Ok(found) }
    }
}
