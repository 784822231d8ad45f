//! The full-object CRC from the CRCs of the parts, without reading a byte again.
//!
//! A CRC is linear: that of `a ++ b` follows from those of `a` and `b` and the length of `b`. Hashes have no such law, so
//! only [`ChecksumAlgorithm::combines`] algorithms are taken.

use crc_fast::CrcAlgorithm;

use super::{Checksum, ChecksumAlgorithm, ChecksumError};

/// The checksum of the whole from `(checksum, length in bytes)` of each piece, in order. Empty pieces change nothing.
///
/// # Errors
/// When there is no piece, the algorithms differ, or the algorithm is not a CRC.
pub fn combine_full_object(
    parts: impl IntoIterator<Item = (Checksum, u64)>,
) -> Result<Checksum, ChecksumError> {
    let mut parts = parts.into_iter();
    let (first, _) = parts.next().ok_or(ChecksumError::NoParts)?;
    let algorithm = first.algorithm();
    let crc = crc_algorithm(algorithm)?;
    let mut whole = first.crc_value();
    for (index, (part, size_bytes)) in parts.enumerate() {
        if part.algorithm() != algorithm {
            let found = part.algorithm();
            return Err(ChecksumError::MixedAlgorithms { expected: algorithm, found, part: index + 2 });
        }
        if size_bytes > 0 {
            whole = crc_fast::checksum_combine(crc, whole, part.crc_value(), size_bytes);
        }
    }
    Ok(Checksum::from_crc(algorithm, whole))
}

fn crc_algorithm(algorithm: ChecksumAlgorithm) -> Result<CrcAlgorithm, ChecksumError> {
    match algorithm {
        ChecksumAlgorithm::Crc64Nvme => Ok(CrcAlgorithm::Crc64Nvme),
        ChecksumAlgorithm::Crc32c => Ok(CrcAlgorithm::Crc32Iscsi),
        ChecksumAlgorithm::Crc32 => Ok(CrcAlgorithm::Crc32IsoHdlc),
        _ => Err(ChecksumError::NotCombinable { algorithm }),
    }
}
