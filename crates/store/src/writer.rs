//! Writes incoming bytes to a file without a name and hashes them in the same pass.
//!
//! Bytes are not copied: a slice is hashed while it is in the cache and passed to the disk. The
//! checksums of its spans, which every read verifies (see `spans`), are computed in the same pass
//! and written after the bytes. Only MD5 may be computed later, together with that of other parts
//! (see `md5_pool`). The file is created at the first byte, so an empty part has no file.

use std::sync::Arc;

use bytes::Bytes;
use haul_parts::{Checksum, ChecksumAlgorithm, ETag, MultiHasher};

use crate::block::BLOCK_BYTES;
use crate::disk::{FileId, FolderId, StagedFile};
use crate::md5_pool::PartMd5;
use crate::meta::Extent;
use crate::open_store::OpenStore;
use crate::spans::SpanSums;
use crate::store::Inner;
use crate::{Error, Result, WriteOptions};

/// The number of bytes between two checks that the reserve is still free.
const SPACE_CHECK_BYTES: u64 = 8 << 20;

/// A writer for the bytes of one part (or of one whole object). Dropping it discards the bytes.
#[derive(Debug)]
pub struct PartWriter {
    inner: Arc<Inner>,
    file: Option<Box<NewFile>>,
    md5: PartMd5,
    /// All checksums but MD5.
    hasher: MultiHasher,
    size_bytes: u64,
    expected_bytes: u64,
    /// The number of bytes for which the last check found space.
    checked_bytes: u64,
}

impl PartWriter {
    pub(crate) fn new(inner: Arc<Inner>, options: WriteOptions) -> Result<Self> {
        inner.core.check_writable()?;
        let expected = options.size_hint_bytes.unwrap_or(0);
        check_size(&inner, expected)?;
        inner.core.check_space(expected)?;
        let md5 = inner.core.md5s.part();
        let others =
            options.checksums.into_iter().filter(|algorithm| *algorithm != ChecksumAlgorithm::Md5);
        let hasher = MultiHasher::new(others);
        Ok(Self {
            inner,
            file: None,
            md5,
            hasher,
            size_bytes: 0,
            expected_bytes: expected,
            checked_bytes: SPACE_CHECK_BYTES,
        })
    }

    /// Writes the next bytes.
    ///
    /// # Errors
    /// [`StorageFull`](crate::Error::StorageFull), [`EntityTooLarge`](crate::Error::EntityTooLarge)
    /// beyond 5 GiB, or the disk's error. After an error, drop the writer.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.append(bytes)?;
        self.md5.update(bytes);
        Ok(())
    }

    /// Writes the next bytes and may hold them for a while: their MD5 is computed together with
    /// that of other parts, at a fraction of the cost. At most 16 MiB of a part, and the memory of
    /// 24 blocks of all parts, are held. Whole [`Block`](crate::Block)s also take the shortest path
    /// to the disk.
    ///
    /// # Errors
    /// As [`PartWriter::write`].
    pub fn write_block(&mut self, block: Bytes) -> Result<()> {
        if block.is_empty() {
            return Ok(());
        }
        self.append(&block)?;
        let memory_bytes = block.len().max(BLOCK_BYTES);
        self.md5.take(block, memory_bytes);
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        let size_bytes = self.size_bytes + bytes.len() as u64;
        check_size(&self.inner, size_bytes)?;
        if size_bytes >= self.checked_bytes {
            self.inner.core.check_space(bytes.len() as u64)?;
            self.checked_bytes = size_bytes + SPACE_CHECK_BYTES;
        }
        self.hasher.update(bytes);
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let file = Box::new(NewFile::create(&self.inner, self.expected_bytes)?);
                self.file.insert(file)
            }
        };
        file.sums.update(bytes);
        file.file.write(bytes).map_err(Error::io("writing a data file"))?;
        self.size_bytes = size_bytes;
        Ok(())
    }

    /// Returns the number of bytes written.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Makes the bytes durable and gives the file its name. Blocks until both are done.
    ///
    /// # Errors
    /// [`StorageFull`](crate::Error::StorageFull), or a sync failed.
    pub fn finish(self) -> Result<StagedPart> {
        let core = &self.inner.core;
        let checksums = self.hasher.finish();
        let file = match self.file {
            Some(file) => {
                core.check_writable()?;
                Some(file.sync(core)?)
            }
            None => None,
        };
        // Finish MD5 only now: while the disk was busy, the groups of other parts may have hashed
        // the waiting bytes of this one.
        let md5 = self.md5.finish();
        let file = file.map(|file| file.link(core)).transpose()?;
        Ok(StagedPart { inner: self.inner, file, checksums, md5, size_bytes: self.size_bytes })
    }
}

/// A data file being written. It has its number from the beginning, because its checksums cover the
/// number.
#[derive(Debug)]
struct NewFile {
    number: StagedNumber,
    file: Box<dyn StagedFile>,
    sums: SpanSums,
}

impl NewFile {
    fn create(inner: &Arc<Inner>, expected_bytes: u64) -> Result<Self> {
        let id = inner.next_file()?;
        let number = StagedNumber { inner: Arc::clone(inner), id, kept: false };
        let core = &inner.core;
        let file = core.disk.create(expected_bytes).map_err(Error::io("making a data file"))?;
        Ok(Self { number, file, sums: SpanSums::new(core.store_id, id) })
    }

    /// Writes the checksums behind the bytes and makes everything durable.
    fn sync(self, core: &OpenStore) -> Result<SyncedFile> {
        let Self { number, mut file, sums } = self;
        file.write(&sums.finish()).map_err(Error::io("writing a data file"))?;
        file.sync().map_err(|error| core.sync_failed("syncing a data file", error))?;
        Ok(SyncedFile { number, file })
    }
}

/// A complete data file that has no name yet.
struct SyncedFile {
    number: StagedNumber,
    file: Box<dyn StagedFile>,
}

impl SyncedFile {
    /// Gives the file its name. Its number stays staged until the outcome of the commit is known.
    fn link(self, core: &OpenStore) -> Result<FileId> {
        let id = self.number.id;
        core.disk
            .make_folder(id.folder())
            .map_err(|error| core.sync_failed("making a data folder", error))?;
        self.file.link(id).map_err(Error::io("naming a data file"))?;
        self.number.keep();
        Ok(id)
    }
}

/// The number of a file that is not linked yet; released on drop.
#[derive(Debug)]
struct StagedNumber {
    inner: Arc<Inner>,
    id: FileId,
    kept: bool,
}

impl StagedNumber {
    /// Keeps the number staged.
    fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for StagedNumber {
    fn drop(&mut self) {
        if !self.kept {
            self.inner.core.staged().remove(&self.id);
        }
    }
}

fn check_size(inner: &Inner, size_bytes: u64) -> Result<()> {
    let max_bytes = inner.core.options.limits.part_size_max_bytes;
    if size_bytes > max_bytes {
        Err(Error::EntityTooLarge { size_bytes, max_bytes })
    } else {
        Ok(())
    }
}

/// Bytes that are on disk but not yet referenced. Dropping the value removes them.
#[derive(Debug)]
pub struct StagedPart {
    inner: Arc<Inner>,
    file: Option<FileId>,
    checksums: Vec<Checksum>,
    md5: [u8; 16],
    size_bytes: u64,
}

impl StagedPart {
    /// Returns the number of bytes.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Returns the MD5 of the bytes.
    pub fn md5(&self) -> [u8; 16] {
        self.md5
    }

    /// Returns the MD5 of the bytes as an ETag.
    pub fn etag(&self) -> ETag {
        ETag::from_md5(self.md5)
    }

    /// Returns the checksums requested in [`WriteOptions::checksums`], without MD5.
    pub fn checksums(&self) -> &[Checksum] {
        &self.checksums
    }

    /// Returns the checksum of this algorithm (including MD5), if it was computed.
    pub fn checksum(&self, algorithm: ChecksumAlgorithm) -> Option<Checksum> {
        if algorithm == ChecksumAlgorithm::Md5 {
            return Checksum::from_bytes(algorithm, &self.md5).ok();
        }
        self.checksums.iter().copied().find(|checksum| checksum.algorithm() == algorithm)
    }

    /// Compares the bytes with the client's checksum.
    pub(crate) fn check(&self, given: Option<&Checksum>) -> Result<()> {
        let Some(given) = given else { return Ok(()) };
        let algorithm = given.algorithm();
        match self.checksum(algorithm) {
            None => Err(Error::ChecksumNotComputed { algorithm }),
            Some(computed) if computed == *given => Ok(()),
            Some(computed) => {
                Err(Error::BadDigest { claimed: *given, computed: Box::new(computed) })
            }
        }
    }

    /// Returns the folder to sync before any record refers to the file.
    pub(crate) fn folder(&self) -> Option<FolderId> {
        self.file.map(FileId::folder)
    }

    /// Returns the extent of all bytes.
    pub(crate) fn extents(&self) -> Vec<Extent> {
        let extent = |file| Extent { file, offset: 0, size_bytes: self.size_bytes };
        self.file.map(extent).into_iter().collect()
    }

    /// Handles the result of the commit. A published file is kept; a refused one is removed. After
    /// a failure with an unknown outcome, the file is kept too, and the next opening decides.
    pub(crate) fn settle<T>(mut self, result: Result<T>) -> Result<T> {
        let Some(file) = self.file else { return result };
        match &result {
            Ok(_) => {
                self.file = None;
                self.inner.core.staged().remove(&file);
            }
            Err(
                Error::Closed | Error::Database { .. } | Error::ReadOnlyAfterSyncFailure { .. },
            ) => {
                self.file = None;
            }
            Err(Error::StorageFull) if self.inner.core.check_writable().is_err() => {
                self.file = None;
            }
            Err(_) => {}
        }
        result
    }
}

impl Drop for StagedPart {
    fn drop(&mut self) {
        let Some(file) = self.file else { return };
        if let Err(error) = self.inner.core.disk.remove(file) {
            tracing::warn!(file = file.0, %error, "an unused file could not be removed");
        }
        self.inner.core.staged().remove(&file);
    }
}
