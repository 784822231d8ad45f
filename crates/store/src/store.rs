//! Opens and closes the store, and connects its operations to the disk. The operations are in
//! `ops/`, one file per kind.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use redb::Database;

use crate::commit::Committer;
use crate::database::{open_database, refuse_lost_metadata};
use crate::disk::{Disk, DiskLock, FileId, FolderId, LockError, OsDisk};
use crate::meta::Batch;
use crate::open_store::OpenStore;
use crate::store_id::StoreId;
use crate::{Error, Result, StoreOptions};

/// The number of file numbers to reserve in the metadata at a time: those of one folder.
const FILES_RESERVED: u64 = 1024;

/// A store in one folder. Cheap to clone; the last clone, reader or writer to be dropped releases
/// the folder.
#[derive(Clone, Debug)]
pub struct DiskStore {
    pub(crate) inner: Arc<Inner>,
}

/// The state that clones, readers and writers share.
#[derive(Debug)]
pub(crate) struct Inner {
    committer: Committer,
    reaper: Option<JoinHandle<()>>,
    pub(crate) core: Arc<OpenStore>,
    numbers: Mutex<FileNumbers>,
}

/// The state of the pages of the metadata database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pages {
    /// All pages are as written.
    Sound,
    /// Some pages were damaged and replaced from others where possible.
    Repaired,
}

/// File numbers that are reserved and not used yet.
#[derive(Debug, Default)]
struct FileNumbers {
    next: u64,
    end: u64,
}

impl DiskStore {
    /// Opens the store in a folder, which is created if it does not exist. Locks the folder,
    /// recovers, and removes files that were released before or left by a kill. Other files that
    /// the metadata does not list are kept, counted and logged.
    ///
    /// # Errors
    /// [`Error::Locked`] if another process (or this one) holds the folder, [`Error::MetadataLost`]
    /// and [`Error::ForeignMetadata`] if data files exist without their metadata,
    /// [`Error::NotPlain`], [`Error::FormatTooNew`], [`Error::FormatTooOld`], or the disk's error.
    pub fn open(dir: impl AsRef<Path>, options: StoreOptions) -> Result<Self> {
        Self::open_on(Arc::new(OsDisk::new(dir.as_ref())), options)
    }

    /// Opens the store on a disk, which may be a simulated one.
    ///
    /// # Errors
    /// As [`DiskStore::open`].
    pub fn open_on(disk: Arc<dyn Disk>, options: StoreOptions) -> Result<Self> {
        let store = Self::start(disk, options)?;
        store.recover_files()?;
        Ok(store)
    }

    /// Opens an existing store for inspection: creates nothing, leaves all files where they are,
    /// and returns whether the pages of the metadata are intact.
    pub(crate) fn open_for_check(dir: &Path, options: StoreOptions) -> Result<(Self, Pages)> {
        let disk = OsDisk::new(dir);
        if !disk.has_store().map_err(Error::io("looking for the store"))? {
            refuse_lost_metadata(&disk)?;
            return Err(Error::NotAStore { dir: dir.to_owned() });
        }
        let lock = lock(&disk)?;
        let (mut database, id) = open_database(&disk, &options)?;
        let pages = if database.check_integrity()? { Pages::Sound } else { Pages::Repaired };
        Ok((Self::with_database((database, id), Arc::new(disk), options, lock)?, pages))
    }

    fn start(disk: Arc<dyn Disk>, options: StoreOptions) -> Result<Self> {
        let lock = lock(&*disk)?;
        let database = open_database(&*disk, &options)?;
        Self::with_database(database, disk, options, lock)
    }

    fn with_database(
        database: (Database, StoreId),
        disk: Arc<dyn Disk>,
        options: StoreOptions,
        lock: DiskLock,
    ) -> Result<Self> {
        let core = Arc::new(OpenStore::new(database, disk, options, lock)?);
        let start = Error::io("starting a thread");
        let committer = Committer::start(Arc::clone(&core)).map_err(start)?;
        let start = Error::io("starting a thread");
        let reaper = core.reaper.start(Arc::clone(&core.disk)).map_err(start)?;
        let inner = Inner { committer, reaper: Some(reaper), core, numbers: Mutex::default() };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Returns whether the store accepts writes. After a failed sync it does not, until it is
    /// opened again; reads still work.
    pub fn is_writable(&self) -> bool {
        self.inner.core.check_writable().is_ok() && self.inner.committer.is_running()
    }

    /// Returns how often a read found bytes of data files that differ from what was written, since
    /// the store was opened.
    pub fn damage_count(&self) -> u64 {
        self.inner.core.damage_count()
    }

    /// Waits until the files of all deleted data are removed, except those that are being read.
    pub fn settle(&self) {
        self.inner.core.reaper.settle();
    }
}

fn lock(disk: &dyn Disk) -> Result<DiskLock> {
    disk.lock().map_err(|error| match error {
        LockError::Held(pid) => Error::Locked { dir: disk.location(), pid },
        LockError::Io(error) => Error::io("locking the store")(error),
    })
}

impl Inner {
    /// Changes the metadata. The change is on disk when this returns `Ok`. Refuses changes that
    /// grow the store when the disk is full.
    pub(crate) fn commit<T: Send + 'static>(
        &self,
        folder: Option<FolderId>,
        operation: impl FnOnce(&mut Batch<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.core.check_metadata_space()?;
        self.committer.commit(folder, operation)
    }

    /// Changes the metadata so that space is freed. Works on a full disk.
    pub(crate) fn commit_removal<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&mut Batch<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.committer.commit(None, operation)
    }

    /// Returns whether the store uses a file: whether it is referenced, being written, or waiting
    /// to be removed.
    pub(crate) fn is_in_use(&self, file: FileId) -> Result<bool> {
        // Check in this order, as in the sweep: a file moves from staged into the metadata.
        if self.core.staged().contains(&file) {
            return Ok(true);
        }
        let snapshot = self.core.snapshot()?;
        Ok(snapshot.files()?.get(file.0)?.is_some() || snapshot.removals()?.get(file.0)?.is_some())
    }

    /// Returns a number for a new file, which counts as staged from now on.
    pub(crate) fn next_file(&self) -> Result<FileId> {
        let mut numbers = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        if numbers.next == numbers.end {
            let first = self.commit(None, |batch| batch.reserve_files(FILES_RESERVED))?;
            *numbers = FileNumbers { next: first.0, end: first.0 + FILES_RESERVED };
        }
        let file = FileId(numbers.next);
        numbers.next += 1;
        self.core.staged().insert(file);
        Ok(file)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.core.reaper.close();
        if let Some(thread) = self.reaper.take() {
            // The thread panics only because of a bug, and the panic has been reported.
            let _ = thread.join();
        }
    }
}
