//! Objects that exist without being stored: `generated-LENGTH` is one repeated block.
//!
//! The block stays in the CPU cache of the endpoint, so that downloads measure the client; its
//! checksum is correct, so that the client can verify it.

use std::io;
use std::ops::Range;
use std::sync::OnceLock;

use haul_parts::{ChecksumAlgorithm, Hasher, combine_full_object};

use super::wire::Wire;

/// Fits the second-level cache, beside what the kernel does with it.
const BLOCK_BYTES: usize = 512 * 1024;

/// The name of the key of a generated object.
pub(crate) fn key(bytes: u64) -> String {
    format!("generated-{bytes}")
}

/// Returns the length of a generated object, by its path.
pub(super) fn length(path: &str) -> Option<u64> {
    path.rsplit_once("/generated-")?.1.parse().ok()
}

/// Returns the CRC64NVME of a generated object, in base64.
pub(super) fn checksum(length: u64) -> String {
    static OF_BLOCK: OnceLock<haul_parts::Checksum> = OnceLock::new();
    let hash = |bytes: &[u8]| Hasher::checksum(ChecksumAlgorithm::Crc64Nvme, bytes);
    let whole = *OF_BLOCK.get_or_init(|| hash(block()));
    let block_bytes = BLOCK_BYTES as u64;
    let rest = usize::try_from(length % block_bytes).unwrap_or(0);
    let blocks = (0..length / block_bytes).map(|_| (whole, block_bytes));
    let pieces = blocks.chain([(hash(&block()[..rest]), rest as u64)]);
    combine_full_object(pieces).map_or_else(|_| String::new(), haul_parts::Checksum::to_base64)
}

/// Returns the bytes that a `Range` header names.
pub(crate) fn range(header: &str, length: u64) -> Option<Range<u64>> {
    let (first, last) = header.strip_prefix("bytes=")?.split_once('-')?;
    let first = first.parse().ok()?;
    let end = if last.is_empty() { length } else { last.parse::<u64>().ok()? + 1 };
    (first < length).then(|| first..end.min(length))
}

/// Sends these bytes of a generated object.
pub(super) fn send(wire: &mut impl Wire, range: Range<u64>) -> io::Result<()> {
    let mut at = range.start;
    while at < range.end {
        let begin = usize::try_from(at % BLOCK_BYTES as u64).unwrap_or(0);
        let left = usize::try_from(range.end - at).unwrap_or(usize::MAX);
        let slice = &block()[begin..BLOCK_BYTES.min(begin.saturating_add(left))];
        wire.send(slice)?;
        at += slice.len() as u64;
    }
    Ok(())
}

/// Bytes without a short period.
fn block() -> &'static [u8] {
    static BLOCK: OnceLock<Vec<u8>> = OnceLock::new();
    BLOCK.get_or_init(|| {
        let mut state = 0x2545_F491_4F6C_DD1D_u64;
        let next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        };
        std::iter::repeat_with(next).take(BLOCK_BYTES).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_the_bytes() {
        let length = BLOCK_BYTES as u64 * 2 + 7;
        let bytes: Vec<u8> = block().iter().copied().cycle().take(BLOCK_BYTES * 2 + 7).collect();
        let expected = Hasher::checksum(ChecksumAlgorithm::Crc64Nvme, &bytes).to_base64();
        assert_eq!(checksum(length), expected);
        assert_eq!(range("bytes=7-9", length), Some(7..10));
        assert_eq!(range("bytes=7-", length), Some(7..length));
        assert_eq!(range("bytes=9999999999-", length), None);
    }
}
