//! Writes to files past the page cache, which only Linux supports (`O_DIRECT`).
//!
//! Uploads are synced at once, so caching their writes has no benefit; copying the bytes into the
//! page cache and writing them back costs more than all other work on them except hashing. Only
//! whole pages of memory can be written directly, so the last few bytes of a file are written
//! normally. Where a file system does not support direct writes, all bytes are written normally.

use std::fs::File;
use std::io::{self, Write};

use rustix::fs::OFlags;

use crate::block::BLOCK_ALIGNMENT;

/// The minimum size for direct writes. Smaller files are likely to be read again soon, and cost
/// little.
const DIRECT_LEAST_BYTES: u64 = 1 << 20;

/// The state of appending to a file.
#[derive(Debug)]
pub(super) struct Appender {
    direct: bool,
}

impl Appender {
    /// Creates the state for an empty file of about `expected_bytes`.
    pub(super) fn new(file: &File, expected_bytes: u64) -> Self {
        let direct = expected_bytes >= DIRECT_LEAST_BYTES && set_direct(file, true).is_ok();
        Self { direct }
    }

    pub(super) fn append(&mut self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        let whole_bytes =
            if self.direct { bytes.len() / BLOCK_ALIGNMENT * BLOCK_ALIGNMENT } else { 0 };
        let (mut whole, rest) = bytes.split_at(whole_bytes);
        while self.direct && !whole.is_empty() {
            match file.write(whole) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => whole = &whole[count..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The file system rejects this size or this address: write everything normally.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                    self.go_the_usual_way(file)?;
                }
                Err(error) => return Err(error),
            }
        }
        if self.direct && !rest.is_empty() {
            self.go_the_usual_way(file)?;
        }
        file.write_all(whole)?;
        file.write_all(rest)
    }

    fn go_the_usual_way(&mut self, file: &File) -> io::Result<()> {
        self.direct = false;
        set_direct(file, false)
    }
}

fn set_direct(file: &File, direct: bool) -> io::Result<()> {
    let mut flags = rustix::fs::fcntl_getfl(file)?;
    flags.set(OFlags::DIRECT, direct);
    Ok(rustix::fs::fcntl_setfl(file, flags)?)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use bytes::Bytes;

    use super::*;
    use crate::block::{BLOCK_BYTES, BlockPool};

    /// Copies bytes into blocks of the pool, as if they came from a socket.
    fn blocks(length: usize) -> Vec<Bytes> {
        let mut bytes = Bytes::from_iter((0..length).map(|at| (at % 251).to_le_bytes()[0]));
        let pool = BlockPool::default();
        std::iter::from_fn(|| {
            let mut block = pool.take();
            block.fill(&mut bytes);
            (!block.is_empty()).then(|| block.freeze())
        })
        .collect()
    }

    /// Appends the pieces to a file; returns its content, and whether the first piece was written
    /// directly.
    fn appended(dir: &Path, pieces: &[Bytes], expected_bytes: usize) -> (Vec<u8>, bool) {
        let path = dir.join("file");
        let mut file = File::create(&path).unwrap();
        let mut appender = Appender::new(&file, expected_bytes as u64);
        let mut directly = None;
        for piece in pieces {
            appender.append(&mut file, piece).unwrap();
            directly.get_or_insert(appender.direct);
        }
        file.sync_data().unwrap();
        (std::fs::read(path).unwrap(), directly.unwrap())
    }

    #[test]
    fn every_length_arrives_whole() {
        let dir = tempfile::tempdir().unwrap();
        for length in [
            1,
            4095,
            4096,
            BLOCK_BYTES,
            BLOCK_BYTES + 1,
            3 * BLOCK_BYTES - 4096,
            2 * BLOCK_BYTES + 5000,
        ] {
            let pieces = blocks(length);
            for expected in [0, length, 2 * length, 1 << 40] {
                let (found, _) = appended(dir.path(), &pieces, expected);
                assert!(found == pieces.concat(), "{length} bytes of {expected}");
            }
        }
    }

    #[test]
    fn memory_that_is_not_aligned_goes_the_usual_way() {
        let dir = tempfile::tempdir().unwrap();
        let whole = blocks(3 * BLOCK_BYTES);
        let odd =
            [whole[0].clone(), whole[1].slice(1..), whole[2].clone(), Bytes::from_static(b"end")];
        let (found, _) = appended(dir.path(), &odd, 3 * BLOCK_BYTES);
        assert!(found == odd.concat());
    }

    /// Direct writes work on common file systems, but not in every container.
    #[test]
    fn large_files_go_directly_where_the_file_system_can() {
        let dir = tempfile::tempdir().unwrap();
        let pieces = blocks(2 * BLOCK_BYTES);
        let can = set_direct(&File::create(dir.path().join("probe")).unwrap(), true).is_ok();
        assert_eq!(appended(dir.path(), &pieces, 2 * BLOCK_BYTES).1, can);
        assert!(!appended(dir.path(), &pieces, BLOCK_BYTES - 1).1);
    }
}
