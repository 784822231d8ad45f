//! Private steps of a transfer, for the program that counts their instructions (`counts`, in
//! `crates/bench/examples`).
//!
//! This is not part of the API. A step that the API offers (a plan, the lifecycle, a journal) is
//! counted through the API.

use bytes::Bytes;
use haul_parts::Checksum;

use crate::body::framing;
pub use crate::s3::PartToSign;

/// Returns the length of the body of a part with its checksum in a trailer, and everything in it
/// besides the bytes of the part: what precedes them and what follows.
pub fn framed(size_bytes: u64, checksum: &Checksum) -> (u64, Bytes, Bytes) {
    let wire_bytes = framing::wire_bytes(size_bytes, checksum.algorithm());
    (wire_bytes, framing::head(size_bytes), framing::tail(checksum))
}
