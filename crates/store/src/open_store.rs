//! The state that all operations of an open store share: the disk, the database, whether writes are
//! allowed, and the file numbers.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use redb::{Database, ReadableDatabase};

use crate::commit_mark::CommitMarks;
use crate::database::reserve_bytes;
use crate::disk::{Disk, DiskLock, FileId};
use crate::md5_pool::Md5Pool;
use crate::meta::Snapshot;
use crate::reaper::Reaper;
use crate::store_id::StoreId;
use crate::{Error, Result, StoreOptions};

/// The shared state of an open store. Fields are dropped in order, and the lock must be dropped
/// last, so the database is declared before it.
#[derive(Debug)]
pub(crate) struct OpenStore {
    pub(crate) database: Database,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) options: StoreOptions,
    pub(crate) reaper: Arc<Reaper>,
    pub(crate) md5s: Md5Pool,
    commit_marks: Mutex<CommitMarks>,
    /// The reason why the store accepts no more writes; unset while it does.
    stopped: OnceLock<String>,
    /// Files that are linked (or about to be) but not yet in the metadata; a sweep must not remove
    /// them.
    staged: Mutex<HashSet<FileId>>,
    /// The number of reads that found damaged bytes.
    damage_found: AtomicU64,
    /// The bytes of the disk to keep free.
    reserve_bytes: u64,
    pub(crate) store_id: StoreId,
    _lock: DiskLock,
}

impl OpenStore {
    pub(crate) fn new(
        (database, store_id): (Database, StoreId),
        disk: Arc<dyn Disk>,
        options: StoreOptions,
        lock: DiskLock,
    ) -> Result<Self> {
        let newest = Snapshot::new(database.begin_read()?).newest_commit()?;
        let commit_marks = CommitMarks::open(Arc::clone(&disk), newest)?;
        Ok(Self {
            database,
            store_id,
            reserve_bytes: reserve_bytes(&*disk, &options)?,
            disk,
            options,
            reaper: Arc::default(),
            md5s: Md5Pool::default(),
            commit_marks: Mutex::new(commit_marks),
            stopped: OnceLock::new(),
            staged: Mutex::default(),
            damage_found: AtomicU64::new(0),
            _lock: lock,
        })
    }

    /// Returns the current metadata.
    pub(crate) fn snapshot(&self) -> Result<Snapshot> {
        Ok(Snapshot::new(self.database.begin_read()?))
    }

    pub(crate) fn check_writable(&self) -> Result<()> {
        match self.stopped.get() {
            None => Ok(()),
            Some(reason) => Err(Error::ReadOnlyAfterSyncFailure { reason: reason.clone() }),
        }
    }

    /// Stops all further writes. Only the first reason is kept.
    pub(crate) fn stop_writes(&self, error: &Error) -> String {
        let reason = std::error::Error::source(error)
            .map_or_else(|| error.to_string(), |source| format!("{error}: {source}"));
        self.stopped
            .get_or_init(|| {
                tracing::error!(reason, "the store takes no more writes until it is opened again");
                reason
            })
            .clone()
    }

    /// Handles a failed sync. A full disk may fail at sync instead of at write; only these bytes
    /// are lost then. After any other failure the page cache can no longer be trusted.
    pub(crate) fn sync_failed(&self, operation: &'static str, error: std::io::Error) -> Error {
        let error = Error::io(operation)(error);
        // Without a free file descriptor the folder could not be opened, so there was no sync.
        if matches!(error, Error::StorageFull | Error::TooManyOpenFiles) {
            return error;
        }
        Error::ReadOnlyAfterSyncFailure { reason: self.stop_writes(&error) }
    }

    /// Fails unless `bytes` of an object fit and leave the reserve free.
    pub(crate) fn check_space(&self, bytes: u64) -> Result<()> {
        self.check_available(bytes.saturating_add(self.reserve_bytes))
    }

    /// Fails unless metadata can grow: into the reserve, of which half is kept for deletes.
    pub(crate) fn check_metadata_space(&self) -> Result<()> {
        self.check_available(self.reserve_bytes / 2)
    }

    fn check_available(&self, wanted: u64) -> Result<()> {
        let space = self.disk.space().map_err(Error::io("asking how full the disk is"))?;
        if space.available_bytes < wanted { Err(Error::StorageFull) } else { Ok(()) }
    }

    /// Logs and counts damage to a data file, and returns the error to the reader.
    pub(crate) fn damage_found(&self, error: Error) -> Error {
        self.damage_found.fetch_add(1, Ordering::Relaxed);
        tracing::error!(%error, "a data file is damaged: its bytes are not returned");
        error
    }

    /// Returns the number of reads that found damage.
    pub(crate) fn damage_count(&self) -> u64 {
        self.damage_found.load(Ordering::Relaxed)
    }

    pub(crate) fn commit_marks(&self) -> MutexGuard<'_, CommitMarks> {
        self.commit_marks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn staged(&self) -> MutexGuard<'_, HashSet<FileId>> {
        self.staged.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
