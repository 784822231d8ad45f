//! Objects and uploads by name.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Bucket, BucketError, Key, KeyError, UploadId};

/// An object, identified by bucket and key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ObjectRef {
    /// The bucket of the object.
    pub bucket: Bucket,
    /// The key of the object.
    pub key: Key,
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.key)
    }
}

/// A multipart upload, identified by bucket, key and id. A store needs all three: an upload id
/// under another key does not exist.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct UploadRef {
    /// The object that Complete will create.
    pub object: ObjectRef,
    /// The id that the store gave to the upload.
    pub upload_id: UploadId,
}

impl UploadRef {
    /// Creates the reference from bucket, key and upload id.
    pub fn new(bucket: Bucket, key: Key, upload_id: UploadId) -> Self {
        Self { object: ObjectRef { bucket, key }, upload_id }
    }
}

/// The reason why a text is neither `s3://bucket/key` nor `s3://ARN/key` with the ARN of an access
/// point.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ObjectRefError {
    /// The text has another scheme, or none.
    #[error("{0} does not begin with s3://")]
    Scheme(String),
    /// The text names only a bucket, or a prefix that ends in a slash.
    #[error("{0} names no object: a key is missing behind the bucket")]
    NoKey(String),
    /// The bucket name is invalid.
    #[error(transparent)]
    Bucket(#[from] BucketError),
    /// The key is invalid.
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl FromStr for ObjectRef {
    type Err = ObjectRefError;

    fn from_str(text: &str) -> Result<Self, ObjectRefError> {
        let rest = text.strip_prefix("s3://").ok_or_else(|| ObjectRefError::Scheme(text.into()))?;
        match Bucket::split_key(rest) {
            (_, "") => Err(ObjectRefError::NoKey(text.into())),
            (bucket, key) => Ok(Self { bucket: Bucket::name_or_arn(bucket)?, key: Key::new(key)? }),
        }
    }
}
