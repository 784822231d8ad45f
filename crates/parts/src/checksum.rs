//! Checksums as S3 knows them: algorithms, values, hashing, combining.
//!
//! A part is proven by one of these, and the whole object either by the *full-object* value (CRCs
//! only: the values of the parts are combined without reading again) or by the *composite* one (the
//! hash of the concatenated digests of the parts).

mod algorithm;
mod combine;
mod composite;
mod hasher;
mod value;

pub use algorithm::{ChecksumAlgorithm, ChecksumType};
pub use combine::combine_full_object;
pub use composite::CompositeChecksum;
pub use hasher::{Hasher, MULTI_HASHER_BLOCK_BYTES, MultiHasher};
pub use value::{Checksum, ChecksumError};
