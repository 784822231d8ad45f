//! Reads bytes again, compares the checksums of their spans, and hashes them.

use haul_parts::{Checksum, ChecksumAlgorithm, MultiHasher};

use super::progress::CheckProgress;
use crate::Error;
use crate::disk::FileId;
use crate::meta::Extent;
use crate::spans::VerifiedFile;
use crate::store::Inner;

/// The number of bytes per read.
const READ_BYTES: usize = 256 << 10;

/// The hashes of some bytes, or the reason why they could not be read.
pub(super) type HashResult = Result<Hashes, Unreadable>;

/// A data file that cannot be read, or whose bytes are not those written.
#[derive(Debug, thiserror::Error)]
#[error("{}: {what}", file.path().display())]
pub(super) struct Unreadable {
    file: FileId,
    pub(super) what: String,
}

/// The MD5 of some bytes and one more checksum.
pub(super) struct Hashes {
    pub(super) md5: [u8; 16],
    pub(super) checksum: Option<Checksum>,
}

/// Hashes the bytes of the extents. An unreadable file is a finding, not an error.
pub(super) fn hash_extents(
    inner: &Inner,
    extents: &[Extent],
    algorithm: Option<ChecksumAlgorithm>,
    progress: &CheckProgress,
) -> HashResult {
    let mut hasher =
        MultiHasher::new([Some(ChecksumAlgorithm::Md5), algorithm].into_iter().flatten());
    let mut buffer = vec![0; READ_BYTES];
    for extent in extents {
        hash_extent(inner, extent, &mut hasher, &mut buffer, progress)?;
    }
    let checksums = hasher.finish();
    let md5 = checksums[0].as_md5().expect("MD5 is the first algorithm of this hasher");
    let checksum = algorithm
        .and_then(|wanted| checksums.into_iter().find(|found| found.algorithm() == wanted));
    Ok(Hashes { md5, checksum })
}

fn hash_extent(
    inner: &Inner,
    extent: &Extent,
    hasher: &mut MultiHasher,
    buffer: &mut [u8],
    progress: &CheckProgress,
) -> Result<(), Unreadable> {
    let unreadable = |error: Error| Unreadable { file: extent.file, what: in_words(&error) };
    let mut file = VerifiedFile::open(&inner.core, extent.file).map_err(unreadable)?;
    let end = extent.offset.saturating_add(extent.size_bytes);
    let mut offset = extent.offset;
    while offset < end {
        let left =
            usize::try_from(end - offset).map_or(buffer.len(), |left| left.min(buffer.len()));
        let count = file.read_at(&mut buffer[..left], offset, end).map_err(unreadable)?;
        hasher.update(&buffer[..count]);
        offset += count as u64;
        progress.read(count as u64);
    }
    Ok(())
}

/// Returns the number of bytes in a data file.
pub(super) fn file_size(inner: &Inner, file: FileId) -> Result<u64, String> {
    VerifiedFile::open(&inner.core, file)
        .map(|file| file.size_bytes())
        .map_err(|error| in_words(&error))
}

fn in_words(error: &Error) -> String {
    match error {
        Error::DamagedFile { what, .. } => what.clone(),
        Error::Io { source, .. } => format!("cannot be read: {source}"),
        other => other.to_string(),
    }
}
