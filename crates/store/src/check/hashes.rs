//! Reading bytes again and hashing them.

use haul_parts::{Checksum, ChecksumAlgorithm, MultiHasher};

use super::progress::CheckProgress;
use crate::disk::FileId;
use crate::meta::Extent;
use crate::store::Inner;

/// How much is read at a time.
const READ_BYTES: usize = 256 << 10;

/// What some bytes hash to, or why they could not be read.
pub(super) type Hashed = Result<Hashes, String>;

/// The MD5 of some bytes, and one more checksum.
pub(super) struct Hashes {
    pub(super) md5: [u8; 16],
    pub(super) checksum: Option<Checksum>,
}

/// Hashes what the extents hold. A file that cannot be read is a finding, not an error.
pub(super) fn hash_extents(
    inner: &Inner,
    extents: &[Extent],
    algorithm: Option<ChecksumAlgorithm>,
    progress: &CheckProgress,
) -> Hashed {
    let mut hasher = MultiHasher::new([Some(ChecksumAlgorithm::Md5), algorithm].into_iter().flatten());
    let mut buffer = vec![0; READ_BYTES];
    for extent in extents {
        hash_extent(inner, extent, &mut hasher, &mut buffer, progress)?;
    }
    let checksums = hasher.finish();
    let md5 = checksums[0].as_md5().ok_or("MD5 was not computed")?;
    let checksum =
        algorithm.and_then(|wanted| checksums.into_iter().find(|found| found.algorithm() == wanted));
    Ok(Hashes { md5, checksum })
}

fn hash_extent(
    inner: &Inner,
    extent: &Extent,
    hasher: &mut MultiHasher,
    buffer: &mut [u8],
    progress: &CheckProgress,
) -> Result<(), String> {
    let failed = |error| format!("{} cannot be read: {error}", extent.file.path().display());
    let file = inner.core.disk.open(extent.file).map_err(failed)?;
    let mut done = 0;
    while done < extent.size_bytes {
        let left =
            usize::try_from(extent.size_bytes - done).map_or(buffer.len(), |left| left.min(buffer.len()));
        let count = file.read_at(&mut buffer[..left], extent.offset + done).map_err(failed)?;
        if count < left {
            let end = extent.offset + done + count as u64;
            return Err(format!("{} ends at byte {end}", extent.file.path().display()));
        }
        hasher.update(&buffer[..count]);
        done += count as u64;
        progress.read(count as u64);
    }
    Ok(())
}

/// How long a data file really is.
pub(super) fn file_size(inner: &Inner, file: FileId) -> Result<u64, String> {
    let size = inner.core.disk.open(file).and_then(|file| file.size_bytes());
    size.map_err(|error| format!("cannot be opened: {error}"))
}
