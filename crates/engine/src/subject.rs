//! Names the subject of a failed request. Errors contain it as a value, so that a program can
//! compare it and the user reads an address.

use std::fmt;

use haul_parts::{Bucket, ObjectRef};

/// The subject of a request to a store.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Subject {
    /// A single object.
    Object(ObjectRef),
    /// A bucket, or its keys with a prefix.
    Bucket {
        /// The bucket of the request.
        bucket: Bucket,
        /// The prefix; empty for the bucket as a whole.
        prefix: String,
    },
    /// The store as a whole, by its endpoint.
    Endpoint(String),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object(object) => object.fmt(f),
            Self::Bucket { bucket, prefix } if prefix.is_empty() => write!(f, "s3://{bucket}"),
            Self::Bucket { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
            Self::Endpoint(endpoint) => f.write_str(endpoint),
        }
    }
}

impl From<ObjectRef> for Subject {
    fn from(object: ObjectRef) -> Self {
        Self::Object(object)
    }
}

impl From<&ObjectRef> for Subject {
    fn from(object: &ObjectRef) -> Self {
        Self::Object(object.clone())
    }
}

impl From<Bucket> for Subject {
    fn from(bucket: Bucket) -> Self {
        Self::Bucket { bucket, prefix: String::new() }
    }
}
