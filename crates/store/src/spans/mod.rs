//! Computes the checksums inside a data file: one for each *span* of 64 KiB, stored after the
//! bytes.
//!
//! The checksums are computed in the pass that writes the bytes and verified whenever bytes are
//! read, so the store never returns bytes that differ from those written. A checksum also covers
//! the position of its span (store, file, span), so a data file or a span in the wrong place fails
//! like a flipped bit. Reading a range needs only the checksums of its own spans, whatever the size
//! of the file.
//!
//! The algorithm is CRC32C, because it is the fastest checksum available and four bytes suffice for
//! one span. A span has 64 KiB, because 4 KiB make whole reads more expensive and 1 MiB makes small
//! ranges take four times as long (measured: `docs/speed.md`).

mod verified;

use haul_parts::{ChecksumAlgorithm, Hasher};

pub(crate) use verified::VerifiedFile;

use crate::disk::FileId;
use crate::store_id::StoreId;

/// The size of a span in bytes; the last span of a file may be shorter.
pub(crate) const SPAN_BYTES: u64 = 64 << 10;
/// The size of a checksum in bytes.
const SUM_BYTES: u64 = 4;

/// A checksum as stored, big-endian.
type Sum = [u8; 4];

/// Returns the length of a data file that holds `size_bytes`.
pub(crate) const fn file_bytes(size_bytes: u64) -> u64 {
    size_bytes + size_bytes.div_ceil(SPAN_BYTES) * SUM_BYTES
}

/// Returns the number of bytes that a data file of this length holds; `None` for an impossible
/// length.
pub(crate) fn held_bytes(file_bytes: u64) -> Option<u64> {
    let spans = file_bytes.div_ceil(SPAN_BYTES + SUM_BYTES);
    let held = file_bytes.checked_sub(spans * SUM_BYTES)?;
    (self::file_bytes(held) == file_bytes).then_some(held)
}

/// The input of the checksums that does not come from the bytes: the identity of the file.
#[derive(Clone, Copy, Debug)]
struct FileAddress {
    store: StoreId,
    file: FileId,
}

impl FileAddress {
    /// Starts the checksum of a span with its position.
    fn begin(self, span: u64) -> Hasher {
        let mut hasher = Hasher::new(ChecksumAlgorithm::Crc32c);
        let mut place = [0; 32];
        place[..16].copy_from_slice(&self.store.bytes());
        place[16..24].copy_from_slice(&self.file.0.to_le_bytes());
        place[24..].copy_from_slice(&span.to_le_bytes());
        hasher.update(&place);
        hasher
    }

    fn sum(self, span: u64, bytes: &[u8]) -> Sum {
        let mut hasher = self.begin(span);
        hasher.update(bytes);
        finish(hasher)
    }
}

fn finish(hasher: Hasher) -> Sum {
    hasher.finish().bytes().try_into().expect("a CRC32C has four bytes")
}

/// Computes the checksums of a file while its bytes are written.
#[derive(Debug)]
pub(crate) struct SpanSums {
    address: FileAddress,
    /// The hasher of the current span.
    hasher: Hasher,
    begun_bytes: u64,
    /// The checksums of whole spans.
    sums: Vec<Sum>,
}

impl SpanSums {
    /// Creates the checksums of a new file.
    pub(crate) fn new(store: StoreId, file: FileId) -> Self {
        let address = FileAddress { store, file };
        Self { address, hasher: address.begin(0), begun_bytes: 0, sums: Vec::new() }
    }

    /// Adds the next bytes.
    pub(crate) fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = usize::try_from(SPAN_BYTES - self.begun_bytes).expect("a span fits memory");
            let (now, rest) = bytes.split_at(bytes.len().min(room));
            self.hasher.update(now);
            self.begun_bytes += now.len() as u64;
            if self.begun_bytes == SPAN_BYTES {
                self.end_span();
            }
            bytes = rest;
        }
    }

    /// Returns all checksums, in the form in which they follow the bytes.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        if self.begun_bytes > 0 {
            self.end_span();
        }
        self.sums.concat()
    }

    fn end_span(&mut self) {
        let next = self.address.begin(self.sums.len() as u64 + 1);
        self.sums.push(finish(std::mem::replace(&mut self.hasher, next)));
        self.begun_bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_of_a_file_says_how_many_bytes_it_holds() {
        let sizes = (0..5 * SPAN_BYTES).step_by(4093).chain((0..4).flat_map(|spans| {
            [0, 1, 2, 3, 4, 5].map(|more| spans * SPAN_BYTES + more).into_iter()
        }));
        for size_bytes in sizes.chain([5 << 30, (5 << 30) - 1]) {
            assert_eq!(held_bytes(file_bytes(size_bytes)), Some(size_bytes), "{size_bytes}");
        }
        // Lengths with a checksum but no byte of its span.
        for length in [1, 4, SPAN_BYTES + 4 + 1, SPAN_BYTES + 8] {
            assert_eq!(held_bytes(length), None, "{length}");
        }
    }

    #[test]
    fn checksums_do_not_depend_on_how_the_bytes_came() {
        let bytes: Vec<u8> =
            (0..3 * SPAN_BYTES + 77).map(|at| (at * 7 % 251).to_le_bytes()[0]).collect();
        let sums = |piece: usize| {
            let mut sums = SpanSums::new(StoreId::new([3; 16]), FileId(9));
            bytes.chunks(piece).for_each(|piece| sums.update(piece));
            sums.finish()
        };
        let whole = sums(bytes.len());
        assert_eq!(whole.len() as u64, file_bytes(bytes.len() as u64) - bytes.len() as u64);
        for piece in [1000, 65_536, 65_537, 131_072] {
            assert_eq!(sums(piece), whole, "{piece}");
        }
    }

    /// Without the position in the checksum, two swapped data files would both verify.
    #[test]
    fn the_same_bytes_have_another_checksum_in_another_place() {
        let sums = |store: u8, file: u64| {
            let mut sums = SpanSums::new(StoreId::new([store; 16]), FileId(file));
            sums.update(&vec![0; 2 * usize::try_from(SPAN_BYTES).unwrap()]);
            sums.finish()
        };
        let here = sums(1, 1);
        assert_ne!(here[..4], here[4..], "another span");
        assert_ne!(here[..4], sums(1, 2)[..4], "another file");
        assert_ne!(here[..4], sums(2, 1)[..4], "another store");
    }

    /// The format is on users' disks, so it must not change by accident. The value comes from an
    /// independent implementation.
    #[test]
    fn the_checksum_of_a_span_is_the_documented_one() {
        let mut sums = SpanSums::new(StoreId::new(*b"0123456789abcdef"), FileId(0x1002));
        sums.update(b"hello");
        let mut covered = b"0123456789abcdef".to_vec();
        covered.extend([0x02, 0x10, 0, 0, 0, 0, 0, 0]);
        covered.extend([0; 8]);
        covered.extend(b"hello");
        assert_eq!(sums.finish(), crc32c_bit_by_bit(&covered).to_be_bytes());
    }

    fn crc32c_bit_by_bit(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0_u32, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
                if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 }
            })
        })
    }
}
