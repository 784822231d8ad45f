//! Checksums as S3 defines them: algorithms, values, hashing, combining.
//!
//! A checksum of this module proves a part. The whole object is proven by the *full-object* value
//! (CRCs only: combined from the values of the parts without reading the bytes again) or by the
//! *composite* value (the hash of the concatenated digests of the parts).

mod algorithm;
mod combine;
mod composite;
mod hasher;
mod of_object;
mod value;

pub use algorithm::{ChecksumAlgorithm, ChecksumType};
pub use combine::combine_full_object;
pub use composite::CompositeChecksum;
pub use hasher::{Hasher, MULTI_HASHER_BLOCK_BYTES, MultiHasher};
pub use of_object::ObjectChecksum;
pub use value::{Checksum, ChecksumError};
