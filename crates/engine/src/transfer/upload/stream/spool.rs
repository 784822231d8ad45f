//! Creates files for parts that do not fit the memory. They are unlinked at once, so that nothing
//! is left however the process ends, and their number is limited. A file system that is itself in
//! memory is refused, because it would use the memory that the spool is meant to save.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::Error;
use crate::event::{Event, EventSender};

/// The maximum number of parts in the spool: one that is being read, and three in flight.
pub(super) const SPOOLED_PARTS_MAX: usize = 4;

/// The spool of one stream, which creates a file for each part.
pub(super) struct Spool {
    folder: PathBuf,
    places: Arc<Semaphore>,
    events: EventSender,
    announced: bool,
}

/// The file of one part; it has no name, and disappears when it is dropped.
pub(super) struct SpoolFile {
    file: Mutex<File>,
    _place: OwnedSemaphorePermit,
}

impl Spool {
    pub(super) fn new(folder: PathBuf, events: EventSender) -> Self {
        Self {
            folder,
            places: Arc::new(Semaphore::new(SPOOLED_PARTS_MAX)),
            events,
            announced: false,
        }
    }

    /// Fails if a part of this size cannot be spooled.
    pub(super) fn check(&self, size_bytes: u64) -> Result<(), Error> {
        check_folder(&self.folder, size_bytes).map_err(|error| self.failed(error))
    }

    /// Creates a file for a part of this size; waits until the spool has a free slot.
    pub(super) async fn file(&mut self, size_bytes: u64) -> Result<SpoolFile, Error> {
        let place = Arc::clone(&self.places).acquire_owned().await;
        let place = place.map_err(|error| Error::Internal(error.to_string()))?;
        self.check(size_bytes)?;
        let file = unnamed(&self.folder).map_err(|error| self.failed(error))?;
        if !std::mem::replace(&mut self.announced, true) {
            let folder = self.folder.display().to_string();
            self.events.send(Event::Spooling { folder, part_size_bytes: size_bytes });
        }
        Ok(SpoolFile { file: Mutex::new(file), _place: place })
    }

    pub(super) fn failed(&self, source: io::Error) -> Error {
        Error::Spool { folder: self.folder.clone(), source }
    }
}

impl SpoolFile {
    pub(super) fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.get_mut().unwrap_or_else(PoisonError::into_inner).write_all(bytes)
    }

    pub(super) fn read_exact_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<()> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(offset_bytes))?;
        file.read_exact(buffer)
    }
}

/// Creates a file without a name, readable by this user only.
fn unnamed(folder: &Path) -> io::Result<File> {
    let path = folder.join(format!(".haul-spool-{:016x}", rand::random::<u64>()));
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

#[cfg(unix)]
fn check_folder(folder: &Path, size_bytes: u64) -> io::Result<()> {
    if is_in_memory(folder)? {
        return Err(io::Error::other("its file system is in memory"));
    }
    let room = rustix::fs::statvfs(folder)?;
    let free_bytes = room.f_bavail.saturating_mul(room.f_frsize);
    if free_bytes < size_bytes {
        return Err(io::Error::other(format!(
            "a part has {size_bytes} bytes, and {free_bytes} are free there"
        )));
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_folder(folder: &Path, _: u64) -> io::Result<()> {
    std::fs::metadata(folder).map(|_| ())
}

/// Returns whether the file system is in memory, by the magic numbers of `statfs(2)`.
#[cfg(target_os = "linux")]
fn is_in_memory(folder: &Path) -> io::Result<bool> {
    const TMPFS_MAGIC: rustix::fs::FsWord = 0x0102_1994;
    const RAMFS_MAGIC: rustix::fs::FsWord = 0x8584_58f6;
    let kind = rustix::fs::statfs(folder)?.f_type;
    Ok(kind == TMPFS_MAGIC || kind == RAMFS_MAGIC)
}

#[cfg(all(unix, not(target_os = "linux")))]
fn is_in_memory(_: &Path) -> io::Result<bool> {
    Ok(false)
}
