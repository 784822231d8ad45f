//! Bytes on their way in: written to a file without a name, hashed in the same pass.
//!
//! Nothing is copied: a slice is hashed while it is hot in cache and given to the disk. The
//! checksums by which its spans are verified whenever they are read (see `spans`) are made in the
//! same pass and written behind the bytes. Only MD5 may come later, together with that of other
//! parts (see `md5_pool`). The file is made at the first byte, so zero bytes need none.

use std::sync::Arc;

use bytes::Bytes;
use haul_parts::{Checksum, ChecksumAlgorithm, ETag, MultiHasher};

use crate::disk::{FileId, FolderId, StagedFile};
use crate::md5_pool::PartMd5;
use crate::meta::Extent;
use crate::open_store::OpenStore;
use crate::spans::SpanSums;
use crate::store::Inner;
use crate::{Error, Result, WriteOptions};

/// How often the disk is asked whether the reserve is still free.
const SPACE_CHECK_BYTES: u64 = 8 << 20;

/// Takes the bytes of one part (or of one whole object). Dropping it leaves nothing behind.
#[derive(Debug)]
pub struct PartWriter {
    inner: Arc<Inner>,
    file: Option<Box<NewFile>>,
    md5: PartMd5,
    /// All other checksums.
    hasher: MultiHasher,
    size_bytes: u64,
    expected_bytes: u64,
    /// Up to here the disk had room when it was asked last.
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

    /// Takes the next bytes.
    ///
    /// # Errors
    /// [`StorageFull`](crate::Error::StorageFull), [`EntityTooLarge`](crate::Error::EntityTooLarge)
    /// past 5 GiB, or what the disk says. After an error only dropping makes sense.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.append(bytes)?;
        self.md5.update(bytes);
        Ok(())
    }

    /// Takes the next bytes and may hold them a while: their MD5 is made together with that of
    /// other parts, which costs a fraction. At most 16 MiB of a part, and 24 MiB of all, are held.
    /// Whole [`Block`](crate::Block)s also reach the disk the shortest way.
    ///
    /// # Errors
    /// As [`PartWriter::write`].
    pub fn write_block(&mut self, block: Bytes) -> Result<()> {
        if block.is_empty() {
            return Ok(());
        }
        self.append(&block)?;
        self.md5.take(block);
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

    /// How many bytes were taken.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Brings the bytes to the disk and gives the file its name. Blocks until the bytes are safe.
    ///
    /// # Errors
    /// [`StorageFull`](crate::Error::StorageFull), or that a sync failed.
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
        // Only now: while the disk was at work, others have taken along what of this part was still
        // to be hashed.
        let md5 = self.md5.finish();
        let file = file.map(|file| file.link(core)).transpose()?;
        Ok(StagedPart { inner: self.inner, file, checksums, md5, size_bytes: self.size_bytes })
    }
}

/// A data file on its way. It has its number from the beginning, because its checksums cover that.
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

    /// Writes the checksums behind the bytes and makes all of it safe.
    fn sync(self, core: &OpenStore) -> Result<SyncedFile> {
        let Self { number, mut file, sums } = self;
        file.write(&sums.finish()).map_err(Error::io("writing a data file"))?;
        file.sync().map_err(|error| core.sync_failed("syncing a data file", error))?;
        Ok(SyncedFile { number, file })
    }
}

/// A data file that is whole and has no name yet.
struct SyncedFile {
    number: StagedNumber,
    file: Box<dyn StagedFile>,
}

impl SyncedFile {
    /// Gives it its name. Its number stays staged, until it is settled what becomes of it.
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

/// The number of a file that is not linked yet; given up when this is dropped.
#[derive(Debug)]
struct StagedNumber {
    inner: Arc<Inner>,
    id: FileId,
    kept: bool,
}

impl StagedNumber {
    /// The number stays staged.
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

/// Bytes that are on disk and belong to nothing yet. Dropping it removes them.
#[derive(Debug)]
pub struct StagedPart {
    inner: Arc<Inner>,
    file: Option<FileId>,
    checksums: Vec<Checksum>,
    md5: [u8; 16],
    size_bytes: u64,
}

impl StagedPart {
    /// How many bytes.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Their MD5.
    pub fn md5(&self) -> [u8; 16] {
        self.md5
    }

    /// Their MD5 as an ETag.
    pub fn etag(&self) -> ETag {
        ETag::from_md5(self.md5)
    }

    /// What was asked for in [`WriteOptions::checksums`], MD5 not among it.
    pub fn checksums(&self) -> &[Checksum] {
        &self.checksums
    }

    /// The one of this algorithm, MD5 included, when it was computed.
    pub fn checksum(&self, algorithm: ChecksumAlgorithm) -> Option<Checksum> {
        if algorithm == ChecksumAlgorithm::Md5 {
            return Checksum::from_bytes(algorithm, &self.md5).ok();
        }
        self.checksums.iter().copied().find(|checksum| checksum.algorithm() == algorithm)
    }

    /// Compares with what the client says.
    pub(crate) fn check(&self, given: Option<&Checksum>) -> Result<()> {
        let Some(given) = given else { return Ok(()) };
        let algorithm = given.algorithm();
        match self.checksum(algorithm) {
            None => Err(Error::ChecksumNotComputed { algorithm }),
            Some(computed) if computed == *given => Ok(()),
            Some(computed) => Err(Error::BadDigest { claimed: *given, computed }),
        }
    }

    /// Where its name must be made safe before anything refers to it.
    pub(crate) fn folder(&self) -> Option<FolderId> {
        self.file.map(FileId::folder)
    }

    /// All its bytes.
    pub(crate) fn extents(&self) -> Vec<Extent> {
        let extent = |file| Extent { file, offset: 0, size_bytes: self.size_bytes };
        self.file.map(extent).into_iter().collect()
    }

    /// To be called with what the commit answered. What was published stays; what was refused is
    /// removed. After a failure in which nobody knows whether it was published, the file stays too:
    /// opening again decides.
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
            tracing::warn!(file = file.0, %error, "a file that was not used could not be removed");
        }
        self.inner.core.staged().remove(&file);
    }
}
