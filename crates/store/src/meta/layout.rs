//! The layout of an object: its parts in order, and the extents of each part, which are runs of
//! bytes in data files.
//!
//! Usually a part is one extent, a whole file. A part copied from a range of another object shares
//! that object's files and may be several extents that begin and end anywhere.

use haul_parts::{Checksum, ChecksumAlgorithm};

use super::record::{Cursor, algorithm_code, algorithm_of, damaged, put_number};
use crate::Result;
use crate::disk::FileId;

const VERSION: u8 = 1;
const NO_ALGORITHM: u8 = 0;

/// A run of bytes in a data file; never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) file: FileId,
    pub(crate) offset: u64,
    pub(crate) size_bytes: u64,
}

/// One part of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LayoutPart {
    /// The part number from the upload.
    pub(crate) number: u16,
    pub(crate) size_bytes: u64,
    pub(crate) md5: [u8; 16],
    pub(crate) checksum: Option<Checksum>,
    pub(crate) extents: Vec<Extent>,
}

/// All parts of an object. An object that was written by PutObject has one part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) parts: Vec<LayoutPart>,
}

impl Layout {
    pub(crate) fn extents(&self) -> impl Iterator<Item = &Extent> {
        self.parts.iter().flat_map(|part| &part.extents)
    }

    /// Encodes version, number of parts, checksum algorithm; then per part: number, size, MD5,
    /// checksum, number of extents; per extent file, offset, size.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let algorithm = self.algorithm();
        let mut bytes = Vec::with_capacity(8 + self.parts.len() * 48);
        bytes.push(VERSION);
        put_number(&mut bytes, self.parts.len() as u64);
        bytes.push(algorithm.map_or(NO_ALGORITHM, algorithm_code));
        for part in &self.parts {
            put_number(&mut bytes, u64::from(part.number));
            put_number(&mut bytes, part.size_bytes);
            bytes.extend_from_slice(&part.md5);
            if algorithm.is_some() {
                let checksum = part
                    .checksum
                    .as_ref()
                    .expect("the algorithm is set only when all parts have it");
                bytes.extend_from_slice(checksum.bytes());
            }
            encode_extents(&mut bytes, &part.extents);
        }
        bytes
    }

    pub(crate) fn decode(record: &[u8]) -> Result<Self> {
        let mut cursor = Cursor::new("layout", record);
        cursor.version(VERSION)?;
        let count = cursor.length()?;
        let algorithm = match cursor.byte()? {
            NO_ALGORITHM => None,
            code => Some(algorithm_of(code).ok_or_else(|| damaged("layout"))?),
        };
        // Do not trust the count: a damaged record must not reserve more memory than its bytes can
        // fill.
        let mut parts = Vec::with_capacity(count.min(record.len()));
        for _ in 0..count {
            parts.push(decode_part(&mut cursor, algorithm)?);
        }
        Ok(Self { parts })
    }

    /// Returns the algorithm for which every part has a checksum.
    fn algorithm(&self) -> Option<ChecksumAlgorithm> {
        let first = self.parts.first()?.checksum?.algorithm();
        let same =
            |part: &LayoutPart| part.checksum.is_some_and(|checksum| checksum.algorithm() == first);
        self.parts.iter().all(same).then_some(first)
    }
}

fn decode_part(
    cursor: &mut Cursor<'_>,
    algorithm: Option<ChecksumAlgorithm>,
) -> Result<LayoutPart> {
    let number = u16::try_from(cursor.number()?).map_err(|_| damaged("layout"))?;
    let size_bytes = cursor.number()?;
    let md5 = cursor.array()?;
    let checksum = match algorithm {
        Some(algorithm) => {
            let bytes = cursor.take(algorithm.digest_len())?;
            Some(Checksum::from_bytes(algorithm, bytes).map_err(|_| damaged("layout"))?)
        }
        None => None,
    };
    Ok(LayoutPart { number, size_bytes, md5, checksum, extents: decode_extents(cursor)? })
}

/// Encodes the number of extents, then file, offset and size of each.
pub(crate) fn encode_extents(bytes: &mut Vec<u8>, extents: &[Extent]) {
    put_number(bytes, extents.len() as u64);
    for extent in extents {
        for number in [extent.file.0, extent.offset, extent.size_bytes] {
            put_number(bytes, number);
        }
    }
}

pub(crate) fn decode_extents(cursor: &mut Cursor<'_>) -> Result<Vec<Extent>> {
    let count = cursor.length()?;
    let mut extents = Vec::with_capacity(count.min(cursor.rest().len()));
    for _ in 0..count {
        extents.push(Extent {
            file: FileId(cursor.number()?),
            offset: cursor.number()?,
            size_bytes: cursor.number()?,
        });
    }
    Ok(extents)
}

#[cfg(test)]
mod tests {
    use haul_parts::Hasher;
    use proptest::prelude::*;

    use super::*;

    fn extent() -> impl Strategy<Value = Extent> {
        (any::<u64>(), any::<u64>(), any::<u64>()).prop_map(|(file, offset, size_bytes)| Extent {
            file: FileId(file),
            offset,
            size_bytes,
        })
    }

    fn part(algorithm: Option<ChecksumAlgorithm>) -> impl Strategy<Value = LayoutPart> {
        (1..=10_000_u16, any::<u64>(), any::<[u8; 16]>(), proptest::collection::vec(extent(), 0..4))
            .prop_map(move |(number, size_bytes, md5, extents)| LayoutPart {
                number,
                size_bytes,
                md5,
                checksum: algorithm.map(|algorithm| Hasher::checksum(algorithm, &md5)),
                extents,
            })
    }

    fn layout() -> impl Strategy<Value = Layout> {
        proptest::option::of(proptest::sample::select(&ChecksumAlgorithm::ALL[..]))
            .prop_flat_map(|algorithm| proptest::collection::vec(part(algorithm), 0..20))
            .prop_map(|parts| Layout { parts })
    }

    proptest! {
        #[test]
        fn a_layout_comes_back(layout in layout()) {
            prop_assert_eq!(Layout::decode(&layout.encode()).unwrap(), layout);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = Layout::decode(&bytes);
        }
    }
}
