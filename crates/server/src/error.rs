//! The errors of starting a server. Errors of a request are sent to its client instead.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use thiserror::Error;

/// The reason why a server did not start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The store cannot be opened; [`haul_store::Error::Locked`] if another process holds its
    /// folder.
    #[error("cannot open the store")]
    Store(#[from] haul_store::Error),
    /// The server cannot listen on the address.
    #[error("cannot listen on {address}")]
    Listen {
        /// The requested address.
        address: SocketAddr,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
    /// A keys file in the folder is not one that the server wrote.
    #[error("{} is not readable as JSON at line {line}, column {column}", file.display())]
    Keys {
        /// The path of the file.
        file: PathBuf,
        /// The line of the error, from 1.
        line: usize,
        /// The column of the error, from 1.
        column: usize,
    },
    /// The additional key pairs are invalid.
    #[error(transparent)]
    Grants(#[from] GrantsError),
    /// The certificate or its key is unusable.
    #[error("TLS: {what}")]
    Tls {
        /// The problem, in words.
        what: String,
    },
    /// The operating system returned no random bytes for new keys.
    #[error("no random bytes for new keys: {cause}")]
    Random {
        /// The error of the operating system.
        cause: String,
    },
}

impl Error {
    /// Returns how to resolve the error, where that is not obvious.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Store(error) => error.hint(),
            Self::Listen { source, .. } if source.kind() == io::ErrorKind::AddrInUse => {
                Some("another program listens there: stop it, or choose another address")
            }
            Self::Keys { .. } => Some("restore the file, or remove it to have new keys made"),
            _ => None,
        }
    }

    /// Returns whether another process holds the folder;
    /// [`running_endpoint`](crate::running_endpoint) then returns its address.
    pub fn is_locked(&self) -> bool {
        matches!(self, Self::Store(haul_store::Error::Locked { .. }))
    }
}

/// The reason why a keys file is invalid. Never quotes the file, which contains secrets.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum GrantsError {
    /// The file is not TOML, or not of the expected shape.
    #[error(
        "the keys file is not understood{}",
        line.map(|line| format!(" at line {line}")).unwrap_or_default()
    )]
    Shape {
        /// The line, if known, counted from 1.
        line: Option<usize>,
    },
    /// A scope names an invalid bucket.
    #[error("key {access_key_id}: {scope:?} is not BUCKET or BUCKET/PREFIX")]
    Scope {
        /// The key with this scope.
        access_key_id: String,
        /// The invalid scope.
        scope: String,
    },
    /// The file names the owner's id, whose permissions no file can restrict.
    #[error(
        "key {access_key_id} is the owner's own: it may everything, and belongs in no keys file"
    )]
    OwnersKey {
        /// The owner's access key id.
        access_key_id: String,
    },
    /// An id or secret is empty, or an id occurs twice.
    #[error("key {access_key_id:?} is empty or given twice")]
    Key {
        /// The affected access key id.
        access_key_id: String,
    },
}
