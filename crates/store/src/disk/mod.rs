//! The disk interface of the store: all disk access goes through it.
//!
//! The trait exists for the power-cut tests: a simulated disk holds data files, directory entries
//! and the database file, and loses everything that was not synced. Files are named by [`FileId`]s
//! that the store numbers itself; no name ever comes from a client, so no key can be a path.
//!
//! A disk promises: bytes are durable after `sync`; a name is durable after [`Disk::sync_folder`]
//! of its folder. Before that, a name may be present or absent, and bytes may be present in part.
mod direct;
mod os;
mod os_file;
pub(crate) mod plain;
pub(crate) mod private;
mod strangers;
mod unnamed;

use std::any::Any;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

pub use os::OsDisk;
pub(crate) use plain::NotPlain;

/// The folder of all data files.
const DATA: &str = "data";
/// The file beside the data files that names their store.
const STORE_ID: &str = "store-id";
/// The file beside the data files that names the newest commit.
const COMMIT_MARK: &str = "last-commit";

/// The number of a data file, never reused by a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub u64);

/// Prints the name on disk: 16 hex digits.
impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A folder of 1,024 consecutive data files. Files that are written together are in the same
/// folder, so that one sync makes many names durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FolderId(pub u64);

impl FileId {
    /// Returns the path relative to the folder of a store: `data/000/004/0000000000001000`.
    pub fn path(self) -> PathBuf {
        self.folder().path().join(self.to_string())
    }

    /// Returns the folder of the file.
    pub const fn folder(self) -> FolderId {
        FolderId(self.0 >> 10)
    }
}

impl FolderId {
    /// Returns the path relative to the folder of a store: `data/000/004`.
    pub fn path(self) -> PathBuf {
        self.group_path().join(format!("{:03x}", self.0 & 0x3ff))
    }

    /// Returns the parent folder, which holds up to 1,024 folders.
    fn group_path(self) -> PathBuf {
        PathBuf::from(DATA).join(format!("{:03x}", self.0 >> 10))
    }
}

/// The exclusive lock on a disk; dropping it releases the lock.
pub type DiskLock = Box<dyn Any + Send + Sync>;

/// The reason why the lock was not granted.
#[derive(Debug)]
pub enum LockError {
    /// Another process holds the lock; contains its process id from the lock file.
    Held(Option<u32>),
    /// The lock file could not be opened.
    Io(io::Error),
}

/// The free and total space of a disk.
#[derive(Clone, Copy, Debug)]
pub struct Space {
    /// The bytes that can still be written.
    pub available_bytes: u64,
    /// The size of the disk in bytes.
    pub total_bytes: u64,
}

/// The mark of the newest commit, as it is found when the store is opened.
#[derive(Clone, Debug)]
pub struct FoundMark {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The time when its file was last changed, as only the system sets it (`ctime`).
    pub changed: SystemTime,
    /// Where its file is now.
    pub place: MarkPlace,
}

/// Identifies the file of the mark and the boot of the system. A copy of the file has another
/// place, and so has the file itself after a power failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarkPlace(pub [u8; 32]);

/// The disk of one store.
pub trait Disk: fmt::Debug + Send + Sync + 'static {
    /// Returns the location of the disk, for messages.
    fn location(&self) -> PathBuf;

    /// Creates missing folders and takes the exclusive lock. Call it before all other methods.
    ///
    /// # Errors
    /// [`LockError::Held`], or the disk's error.
    fn lock(&self) -> Result<DiskLock, LockError>;

    /// Opens the file of the metadata database; `None` if there is none yet.
    ///
    /// # Errors
    /// The disk's error.
    fn open_database(&self) -> io::Result<Option<Box<dyn DatabaseFile>>>;

    /// Creates an empty database file under a provisional name, replacing an earlier one. A
    /// database whose creation is interrupted cannot be opened, so it gets its final name only when
    /// it is complete.
    ///
    /// # Errors
    /// The disk's error.
    fn create_database(&self) -> io::Result<Box<dyn DatabaseFile>>;

    /// Gives the provisional database file its final name. Bytes and name are durable on return.
    ///
    /// # Errors
    /// The disk's error.
    fn name_database(&self) -> io::Result<()>;

    /// Reads the line beside the data files that names their store; `None` if there is none.
    ///
    /// # Errors
    /// The disk's error.
    fn read_store_id(&self) -> io::Result<Option<Vec<u8>>>;

    /// Writes the line that names the store. The line is present as a whole or not at all, and
    /// durable on return.
    ///
    /// # Errors
    /// The disk's error.
    fn write_store_id(&self, line: &[u8]) -> io::Result<()>;

    /// Reads the mark of the newest commit; `None` if there is none.
    ///
    /// # Errors
    /// The disk's error.
    fn read_commit_mark(&self) -> io::Result<Option<FoundMark>>;

    /// Returns the place of the mark of the newest commit. Creates an empty file if there is none.
    ///
    /// # Errors
    /// The disk's error.
    fn commit_mark_place(&self) -> io::Result<MarkPlace>;

    /// Replaces the mark of the newest commit. It outlives the process, but is not durable.
    ///
    /// # Errors
    /// The disk's error.
    fn write_commit_mark(&self, mark: &[u8]) -> io::Result<()>;

    /// Removes the mark of the newest commit.
    ///
    /// # Errors
    /// The disk's error.
    fn remove_commit_mark(&self) -> io::Result<()>;

    /// Creates a data file without a name, of about `expected_bytes`; it vanishes unless it is
    /// linked.
    ///
    /// # Errors
    /// The disk's error.
    fn create(&self, expected_bytes: u64) -> io::Result<Box<dyn StagedFile>>;

    /// Opens a linked file.
    ///
    /// # Errors
    /// `NotFound`, or the disk's error.
    fn open(&self, file: FileId) -> io::Result<Box<dyn DataFile>>;

    /// Removes a linked file; succeeds if it does not exist. Durable only after a sync of the
    /// folder.
    ///
    /// # Errors
    /// The disk's error.
    fn remove(&self, file: FileId) -> io::Result<()>;

    /// Creates the folder so that files can be linked into it; durable on return.
    ///
    /// # Errors
    /// The disk's error, including a failed sync.
    fn make_folder(&self, folder: FolderId) -> io::Result<()>;

    /// Makes the names in the folder durable.
    ///
    /// # Errors
    /// The disk's error.
    fn sync_folder(&self, folder: FolderId) -> io::Result<()>;

    /// Removes a folder if it is empty, and returns whether it was. Safe only while no file is
    /// linked into the folder.
    ///
    /// # Errors
    /// The disk's error.
    fn remove_empty_folder(&self, folder: FolderId) -> io::Result<bool>;

    /// Lists the folders, in order.
    ///
    /// # Errors
    /// The disk's error.
    fn folders(&self) -> io::Result<Vec<FolderId>>;

    /// Lists the files in a folder, in order. Ignores names that the store does not use.
    ///
    /// # Errors
    /// The disk's error.
    fn files(&self, folder: FolderId) -> io::Result<Vec<FileId>>;

    /// Lists entries among the data files whose name or place is not that of a data file: at most
    /// `named_max`, in order, and the total.
    ///
    /// # Errors
    /// The disk's error.
    fn strangers(&self, named_max: usize) -> io::Result<(Vec<PathBuf>, u64)>;

    /// Lists the files that a crash left in the staging folder, relative to the folder of the
    /// store, in order.
    ///
    /// # Errors
    /// The disk's error.
    fn leftovers(&self) -> io::Result<Vec<PathBuf>>;

    /// Removes one of the files that [`Disk::leftovers`] lists.
    ///
    /// # Errors
    /// The disk's error.
    fn remove_leftover(&self, leftover: &Path) -> io::Result<()>;

    /// Returns the free and total space.
    ///
    /// # Errors
    /// The disk's error.
    fn space(&self) -> io::Result<Space>;
}

/// A data file being written.
pub trait StagedFile: fmt::Debug + Send {
    /// Appends bytes; fastest from whole [`Block`](crate::Block)s.
    ///
    /// # Errors
    /// The disk's error.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Makes the bytes durable.
    ///
    /// # Errors
    /// The disk's error.
    fn sync(&mut self) -> io::Result<()>;

    /// Links the file under its name in an existing folder. The name is durable only after a sync
    /// of the folder.
    ///
    /// # Errors
    /// The disk's error; the file is then gone.
    fn link(self: Box<Self>, file: FileId) -> io::Result<()>;
}

/// A data file being read. It can be read to its end even if it is removed in between.
pub trait DataFile: fmt::Debug + Send + Sync {
    /// Reads at an offset; returns fewer bytes than requested only at the end.
    ///
    /// # Errors
    /// The disk's error.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Fills the buffer from an offset if all of these bytes are in memory, and returns whether it
    /// did. Does not wait for the disk. The content of the buffer is undefined after `false`.
    ///
    /// # Errors
    /// The disk's error.
    fn read_cached_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<bool>;

    /// Returns the length in bytes.
    ///
    /// # Errors
    /// The disk's error.
    fn size_bytes(&self) -> io::Result<u64>;
}

/// The file of the metadata database.
pub trait DatabaseFile: fmt::Debug + Send + Sync {
    /// Returns the length in bytes.
    ///
    /// # Errors
    /// The disk's error.
    fn size_bytes(&self) -> io::Result<u64>;

    /// Sets the length in bytes; new bytes are zero.
    ///
    /// # Errors
    /// The disk's error.
    fn set_size(&self, size_bytes: u64) -> io::Result<()>;

    /// Fills the buffer from an offset.
    ///
    /// # Errors
    /// `UnexpectedEof`, or the disk's error.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    /// Writes all bytes at an offset.
    ///
    /// # Errors
    /// The disk's error.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Makes the written bytes durable.
    ///
    /// # Errors
    /// The disk's error.
    fn sync(&self) -> io::Result<()>;
}
