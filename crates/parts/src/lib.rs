//! The laws of S3 multipart as values and pure functions.
//!
//! Every function here depends on its arguments alone: no files, no network, no clock, no async.
//! [`limits`] has the limits of S3, [`PartPlan`] cuts an object into parts, [`checksum`] and
//! [`ETag`] prove parts, and identifiers are newtypes that cannot hold invalid values.
//!
//! Each constructor has its own small error type instead of one enum for the crate: a caller that
//! parses a part number should not have to handle the errors of a bucket name. Each error names the
//! limit and the value that breaks it.

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
mod part_hasher;
mod part_layout;
mod part_number;
mod plan;
mod protection;
mod text;
mod upload_id;

pub use access_point::AccessPoint;
pub use attributes::ObjectAttributes;
pub use bucket::{Bucket, BucketError};
pub use checksum::{
    Checksum, ChecksumAlgorithm, ChecksumError, ChecksumType, CompositeChecksum, Hasher,
    MultiHasher, ObjectChecksum, combine_full_object,
};
pub use etag::ETag;
pub use glob::{FilterRule, Glob, NameFilter};
pub use key::{Key, KeyError};
pub use limits::Limits;
pub use multipart::{CompletedPart, UploadMarker};
pub use object_ref::{ObjectRef, ObjectRefError, UploadRef};
pub use part_hasher::{PartChecksums, PartHasher};
pub use part_layout::{LAYOUTS_GUESSED_MAX, PartLayout, layouts_of_count};
pub use part_number::{PartNumber, PartNumberError};
pub use plan::{GrowingPlan, PartPlan, PlanError, PlannedPart};
pub use protection::{GrantPermission, Protection};
pub use upload_id::{UploadId, UploadIdError};
