//! What can go wrong in starting a server. What goes wrong in a request is answered to its client
//! instead.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use thiserror::Error;

/// Why a server did not start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The store cannot be opened; [`haul_store::Error::Locked`] when another process holds its
    /// folder.
    #[error("cannot open the store")]
    Store(#[from] haul_store::Error),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file of keys in the folder is not what was written there.
    #[error("{} is not readable as JSON at line {line}, column {column}", file.display())]
    Keys {
        /// Which file.
        file: PathBuf,
        /// Where in it.
        line: usize,
        /// Where in the line.
        column: usize,
    },
    /// The key pairs cannot be given.
    #[error(transparent)]
    Grants(#[from] GrantsError),
    /// The certificate or its key cannot be used.
    #[error("TLS: {what}")]
    Tls {
        /// Why not.
        what: String,
    },
    /// The system gave no random bytes for new keys.
    #[error("no random bytes for new keys: {cause}")]
    Random {
        /// What the system said.
        cause: String,
    },
}

impl Error {
    /// What a person can do about it, where that is not obvious.
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

    /// Whether another process holds the folder: then [`running_endpoint`](crate::running_endpoint)
    /// tells where it is.
    pub fn is_locked(&self) -> bool {
        matches!(self, Self::Store(haul_store::Error::Locked { .. }))
    }
}

/// Why a keys file is not one. Nothing of the file is quoted, for it holds secrets.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum GrantsError {
    /// Not TOML, or not of this shape.
    #[error("the keys file is not understood{}", line.map(|line| format!(" at line {line}")).unwrap_or_default())]
    Shape {
        /// The line, when it is known, counted from 1.
        line: Option<usize>,
    },
    /// A scope whose bucket cannot be one.
    #[error("key {access_key_id}: {scope:?} is not BUCKET or BUCKET/PREFIX")]
    Scope {
        /// Of which key.
        access_key_id: String,
        /// The scope.
        scope: String,
    },
    /// The owner's id, whose keys may everything whatever a file says.
    #[error(
        "key {access_key_id} is the owner's own: it may everything, and belongs in no keys file"
    )]
    OwnersKey {
        /// The owner's.
        access_key_id: String,
    },
    /// An empty id or secret, or an id that is there twice.
    #[error("key {access_key_id:?} is empty or given twice")]
    Key {
        /// Which key.
        access_key_id: String,
    },
}
