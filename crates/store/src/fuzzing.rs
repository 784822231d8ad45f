//! Entry points for `fuzz/` and tests: parses every record of the metadata from arbitrary bytes.
//!
//! Not part of the API. The functions are here because the record types are private.

use std::fmt::Debug;

use crate::Result;
use crate::meta::{BucketRecord, FileRecord, Layout, ObjectRecord, PartRecord, UploadRecord};

/// Parses a record; the first byte selects the kind, the rest is the record. Checks that an
/// accepted record survives encoding unchanged. Returns whether it was accepted.
pub fn store_records(input: &[u8]) -> bool {
    let Some((kind, record)) = input.split_first() else { return false };
    match kind % 6 {
        0 => is_stable(record, BucketRecord::decode, BucketRecord::encode),
        1 => is_stable(record, FileRecord::decode, |record| record.encode().to_vec()),
        2 => is_stable(record, ObjectRecord::decode, ObjectRecord::encode),
        3 => is_stable(record, Layout::decode, Layout::encode),
        4 => is_stable(record, UploadRecord::decode, UploadRecord::encode),
        _ => is_stable(record, PartRecord::decode, PartRecord::encode),
    }
}

fn is_stable<T: Debug + PartialEq>(
    record: &[u8],
    decode: impl Fn(&[u8]) -> Result<T>,
    encode: impl Fn(&T) -> Vec<u8>,
) -> bool {
    let Ok(decoded) = decode(record) else { return false };
    let again = decode(&encode(&decoded)).expect("what is written here is read here");
    assert_eq!(again, decoded);
    true
}
