//! Everything the store asks of a disk, and nothing else touches one.
//!
//! The seam exists for the power-cut tests: a simulated disk holds data files, directory entries
//! and the database file, and forgets what was not synced. Files are named by [`FileId`]s that the
//! store numbers itself; no name ever comes from a client, so no key can be a path.
//!
//! What a disk promises: bytes written are safe after `sync`; a name is safe after
//! [`Disk::sync_folder`] of its folder; before that both may be there, or not, or (bytes) in part.
mod direct;
mod os;
pub(crate) mod plain;
pub(crate) mod private;
mod strangers;
mod unnamed;

use std::any::Any;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

pub use os::OsDisk;
pub(crate) use plain::NotPlain;

/// The folder of all data files.
const DATA: &str = "data";
/// Beside the data files: the line that names their store.
const STORE_ID: &str = "store-id";

/// The number of a data file; used once in the life of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub u64);

/// As it is named on disk: 16 hex digits.
impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A folder of 1,024 consecutive data files. Files that are written together lie together, so that
/// one sync of one folder makes many names safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FolderId(pub u64);

impl FileId {
    /// Where it lies in the folder of a store: `data/000/004/0000000000001000`.
    pub fn path(self) -> PathBuf {
        self.folder().path().join(self.to_string())
    }

    /// In which folder it lies.
    pub const fn folder(self) -> FolderId {
        FolderId(self.0 >> 10)
    }
}

impl FolderId {
    /// Where it lies in the folder of a store: `data/000/004`.
    pub fn path(self) -> PathBuf {
        self.group_path().join(format!("{:03x}", self.0 & 0x3ff))
    }

    /// The folder that it lies in, with up to 1,023 others.
    fn group_path(self) -> PathBuf {
        PathBuf::from(DATA).join(format!("{:03x}", self.0 >> 10))
    }
}

/// Proof of being the only one on a disk; given back by dropping it.
pub type DiskLock = Box<dyn Any + Send + Sync>;

/// Why the lock was not given.
#[derive(Debug)]
pub enum LockError {
    /// Somebody has it; with the process id it wrote down.
    Held(Option<u32>),
    /// The lock file could not be opened.
    Io(io::Error),
}

/// How full a disk is.
#[derive(Clone, Copy, Debug)]
pub struct Space {
    /// What can still be written.
    pub available_bytes: u64,
    /// How large the disk is.
    pub total_bytes: u64,
}

/// A disk for one store.
pub trait Disk: fmt::Debug + Send + Sync + 'static {
    /// Where it is, for messages.
    fn location(&self) -> PathBuf;

    /// Makes what has to be there, and becomes the only user. Nothing else may be called before.
    ///
    /// # Errors
    /// [`LockError::Held`], or what the disk says.
    fn lock(&self) -> Result<DiskLock, LockError>;

    /// Opens the file of the metadata database; `None` when there is none yet.
    ///
    /// # Errors
    /// What the disk says.
    fn open_database(&self) -> io::Result<Option<Box<dyn DatabaseFile>>>;

    /// Makes an empty database file under a provisional name; one left over from before goes. A
    /// database that is cut off while it is made cannot be opened, so it gets its name only when it
    /// is whole.
    ///
    /// # Errors
    /// What the disk says.
    fn create_database(&self) -> io::Result<Box<dyn DatabaseFile>>;

    /// Gives the provisional database file its name. Bytes and name are safe on return.
    ///
    /// # Errors
    /// What the disk says.
    fn name_database(&self) -> io::Result<()>;

    /// Reads the line that stands beside the data files and names their store; `None` when there is
    /// none.
    ///
    /// # Errors
    /// What the disk says.
    fn read_store_id(&self) -> io::Result<Option<Vec<u8>>>;

    /// Writes that line. It is there whole or not at all, and safe on return.
    ///
    /// # Errors
    /// What the disk says.
    fn write_store_id(&self, line: &[u8]) -> io::Result<()>;

    /// Makes a data file without a name, which will probably have so many bytes; it vanishes unless
    /// it is linked.
    ///
    /// # Errors
    /// What the disk says.
    fn create(&self, expected_bytes: u64) -> io::Result<Box<dyn StagedFile>>;

    /// Opens a linked file.
    ///
    /// # Errors
    /// `NotFound`, or what the disk says.
    fn open(&self, file: FileId) -> io::Result<Box<dyn DataFile>>;

    /// Removes a linked file; one that is not there is removed already. Safe only after the folder
    /// is synced.
    ///
    /// # Errors
    /// What the disk says.
    fn remove(&self, file: FileId) -> io::Result<()>;

    /// Makes the folder so that files can be linked into it; the folder itself is safe on return.
    ///
    /// # Errors
    /// What the disk says; a failed sync among it.
    fn make_folder(&self, folder: FolderId) -> io::Result<()>;

    /// Makes safe which names are in the folder.
    ///
    /// # Errors
    /// What the disk says.
    fn sync_folder(&self, folder: FolderId) -> io::Result<()>;

    /// Removes a folder when it is empty, says whether it was. Only for when nobody links into it.
    ///
    /// # Errors
    /// What the disk says.
    fn remove_empty_folder(&self, folder: FolderId) -> io::Result<bool>;

    /// Which folders there are, in order.
    ///
    /// # Errors
    /// What the disk says.
    fn folders(&self) -> io::Result<Vec<FolderId>>;

    /// Which files are in a folder, in order. What has no name of ours is not listed.
    ///
    /// # Errors
    /// What the disk says.
    fn files(&self, folder: FolderId) -> io::Result<Vec<FileId>>;

    /// What lies among the data files and is none by its name and place, at most so many, in order;
    /// and how many there are.
    ///
    /// # Errors
    /// What the disk says.
    fn strangers(&self, named_max: usize) -> io::Result<(Vec<PathBuf>, u64)>;

    /// Files that a crash left in the staging folder, from the folder of the store on, in order.
    ///
    /// # Errors
    /// What the disk says.
    fn leftovers(&self) -> io::Result<Vec<PathBuf>>;

    /// Removes one of them.
    ///
    /// # Errors
    /// What the disk says.
    fn remove_leftover(&self, leftover: &Path) -> io::Result<()>;

    /// How full it is.
    ///
    /// # Errors
    /// What the disk says.
    fn space(&self) -> io::Result<Space>;
}

/// A data file being written.
pub trait StagedFile: fmt::Debug + Send {
    /// Appends; quickest from whole [`Block`](crate::Block)s.
    ///
    /// # Errors
    /// What the disk says.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Makes the bytes safe.
    ///
    /// # Errors
    /// What the disk says.
    fn sync(&mut self) -> io::Result<()>;

    /// Gives it its name, in a folder that was made. The name is safe only after the folder is
    /// synced.
    ///
    /// # Errors
    /// What the disk says; the file is gone then.
    fn link(self: Box<Self>, file: FileId) -> io::Result<()>;
}

/// A data file being read. It can be read to its end even when it was removed meanwhile.
pub trait DataFile: fmt::Debug + Send + Sync {
    /// Reads at a position; fewer bytes than asked for only at the end.
    ///
    /// # Errors
    /// What the disk says.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// How long it is.
    ///
    /// # Errors
    /// What the disk says.
    fn size_bytes(&self) -> io::Result<u64>;
}

/// The file of the metadata database.
pub trait DatabaseFile: fmt::Debug + Send + Sync {
    /// How long it is.
    ///
    /// # Errors
    /// What the disk says.
    fn size_bytes(&self) -> io::Result<u64>;

    /// Makes it so long; new bytes are zero.
    ///
    /// # Errors
    /// What the disk says.
    fn set_size(&self, size_bytes: u64) -> io::Result<()>;

    /// Reads exactly so many bytes.
    ///
    /// # Errors
    /// `UnexpectedEof`, or what the disk says.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    /// Writes all bytes.
    ///
    /// # Errors
    /// What the disk says.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Makes safe what was written.
    ///
    /// # Errors
    /// What the disk says.
    fn sync(&self) -> io::Result<()>;
}
