//! Values of a request that `s3s` has no field for. The front puts them into the request's
//! extensions, where the operations read them.

use http::HeaderMap;
use s3s::dto::Tag;

/// Headers of an object that `s3s` cannot read.
#[derive(Clone, Debug)]
pub(crate) struct ObjectHeaders(pub(crate) HeaderMap);

/// Marks a CompleteMultipartUpload without a list, which causes another error than an empty list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NoPartList;

/// The tags in the document of a CreateBucket.
#[derive(Clone, Debug)]
pub(crate) struct NewBucketTags(pub(crate) Vec<Tag>);
