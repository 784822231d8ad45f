//! The framing of a body with a trailing checksum: `aws-chunked` with one chunk and an unsigned
//! trailer.
//!
//! One chunk for the whole body, whatever its length: the length is known, so slices need no
//! headers of their own. AWS requires chunks of at least 8 KiB and documents no maximum; its SDK
//! for Rust sends one chunk as well.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html>

use bytes::Bytes;
use haul_parts::{Checksum, ChecksumAlgorithm};

/// Returns the line before the data.
pub(crate) fn head(size_bytes: u64) -> Bytes {
    format!("{size_bytes:x}\r\n").into()
}

/// Returns everything after the data: the end of its chunk, the last, empty chunk, and the trailer.
pub(crate) fn tail(checksum: &Checksum) -> Bytes {
    tail_of(checksum.algorithm(), &checksum.to_base64()).into()
}

/// Returns the length of the whole body on the wire: its `Content-Length`.
pub(crate) fn wire_bytes(size_bytes: u64, algorithm: ChecksumAlgorithm) -> u64 {
    let base64_len = algorithm.digest_len().div_ceil(3) * 4;
    let tail = tail_of(algorithm, &"=".repeat(base64_len));
    head(size_bytes).len() as u64 + size_bytes + tail.len() as u64
}

fn tail_of(algorithm: ChecksumAlgorithm, base64: &str) -> String {
    format!("\r\n0\r\n{}:{base64}\r\n\r\n", algorithm.header_name())
}

#[cfg(test)]
mod tests {
    use haul_parts::Hasher;

    use super::*;

    #[test]
    fn the_announced_length_is_that_of_the_framed_body() {
        for algorithm in ChecksumAlgorithm::ALL {
            for size in [1_usize, 15, 16, 4096, 70_000] {
                let data = vec![7; size];
                let checksum = Hasher::checksum(algorithm, &data);
                let framed = head(size as u64).len() + size + tail(&checksum).len();
                assert_eq!(
                    wire_bytes(size as u64, algorithm),
                    framed as u64,
                    "{algorithm:?}, {size}"
                );
            }
        }
        let checksum = Hasher::checksum(ChecksumAlgorithm::Crc32, b"hello world");
        assert_eq!(&head(11)[..], b"b\r\n");
        assert_eq!(&tail(&checksum)[..], b"\r\n0\r\nx-amz-checksum-crc32:DUoRhQ==\r\n\r\n");
    }
}
