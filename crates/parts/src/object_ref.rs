//! Objects and uploads by name.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Bucket, BucketError, Key, KeyError, UploadId};

/// An object by name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ObjectRef {
    /// The bucket.
    pub bucket: Bucket,
    /// The key.
    pub key: Key,
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.key)
    }
}

/// A multipart upload by name. A store finds it by all three: an upload id under another key does
/// not exist.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct UploadRef {
    /// The object that Complete will make.
    pub object: ObjectRef,
    /// The store's name for the upload.
    pub upload_id: UploadId,
}

impl UploadRef {
    /// The upload of this id for `bucket` and `key`.
    pub fn new(bucket: Bucket, key: Key, upload_id: UploadId) -> Self {
        Self { object: ObjectRef { bucket, key }, upload_id }
    }
}

/// Why a text is not `s3://bucket/key`, nor `s3://ARN/key` with the ARN of an access point.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ObjectRefError {
    /// Another scheme, or none.
    #[error("{0} does not begin with s3://")]
    Scheme(String),
    /// Only a bucket, or a prefix that ends in a slash.
    #[error("{0} names no object: a key is missing behind the bucket")]
    NoKey(String),
    /// S3 does not take that bucket name.
    #[error(transparent)]
    Bucket(#[from] BucketError),
    /// S3 does not take that key.
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
