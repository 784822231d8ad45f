//! The laws of S3 multipart as values and pure functions.
//!
//! Everything here can be decided from its arguments alone: no files, no network, no clock, no
//! async. What S3 allows is in [`limits`], how an object is cut into parts in [`PartPlan`], what
//! proves a part in [`checksum`] and [`ETag`], and the identifiers are newtypes that cannot hold
//! nonsense.
//!
//! Each constructor has its own small error type instead of one enum for the crate: a caller that
//! parses a part number should not have to handle the errors of a bucket name. All of them say
//! which limit was broken and by what.

mod access_point;
mod attributes;
mod bucket;
pub mod checksum;
mod etag;
mod glob;
mod grouped;
mod key;
pub mod lanes;
pub mod layout;
pub mod limits;
mod multipart;
mod object_ref;
mod part_number;
mod plan;
mod text;
mod upload_id;

pub use access_point::AccessPoint;
pub use attributes::ObjectAttributes;
pub use bucket::{Bucket, BucketError};
pub use checksum::{
    Checksum, ChecksumAlgorithm, ChecksumError, ChecksumType, CompositeChecksum, Hasher,
    MultiHasher, combine_full_object,
};
pub use etag::ETag;
pub use glob::{FilterRule, Glob, NameFilter};
pub use key::{Key, KeyError};
pub use limits::Limits;
pub use multipart::{CompletedPart, UploadMarker};
pub use object_ref::{ObjectRef, ObjectRefError, UploadRef};
pub use part_number::{PartNumber, PartNumberError};
pub use plan::{GrowingPlan, PartPlan, PlanError, PlannedPart};
pub use upload_id::{UploadId, UploadIdError};
