//! The disk interface on the operating system: one folder with the lock, the database, the data
//! files and a staging folder.
//!
//! ```text
//! DIR/lock            held by a file lock; contains the process id of the holder
//! DIR/meta.redb       the metadata; meta.redb.new while it is created
//! DIR/staging/        data files being written, where they need a name
//! DIR/data/store-id   the id of the store, which is in the metadata too
//! DIR/data/last-commit   the mark of the newest commit
//! DIR/data/000/004/0000000000001000     data file 0x1000, in folder 0x004 of group 0x000
//! ```
//!
//! DIR may be a symbolic link, but no path below it may: see [`plain`].

use std::collections::HashSet;
use std::fs::{self, File, FileType, Metadata, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::direct::Appender;
use super::os_file::OsFile;
use super::unnamed::{self, Unnamed};
use super::{
    COMMIT_MARK, DATA, DataFile, DatabaseFile, Disk, DiskLock, FileId, FolderId, FoundMark,
    LockError, MarkPlace, STORE_ID, Space, StagedFile, plain, private,
};

const DATABASE: &str = "meta.redb";
const DATABASE_PROVISIONAL: &str = "meta.redb.new";
const STAGING: &str = "staging";
/// An upper limit for the line that names the store, and for the mark of the newest commit.
const SMALL_FILE_MAX_BYTES: u64 = 256;

/// A store folder on a file system.
#[derive(Debug)]
pub struct OsDisk {
    root: PathBuf,
    /// Folders known to exist, so that each is created and synced once.
    made: Mutex<HashSet<FolderId>>,
    /// Folders known not to be links, so that each is examined once.
    real: Mutex<HashSet<FolderId>>,
    /// The file of the mark of the newest commit, once one was written.
    commit_mark: OnceLock<File>,
}

impl OsDisk {
    /// Creates the disk for this folder, without accessing the folder.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            made: Mutex::default(),
            real: Mutex::default(),
            commit_mark: OnceLock::new(),
        }
    }

    /// Returns whether the folder has metadata of a store, even as a dangling link. Changes
    /// nothing.
    pub(crate) fn has_store(&self) -> io::Result<bool> {
        match fs::symlink_metadata(self.root.join(DATABASE)) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn data(&self) -> PathBuf {
        self.root.join(DATA)
    }

    fn staging(&self) -> PathBuf {
        self.root.join(STAGING)
    }

    fn group_path(&self, folder: FolderId) -> PathBuf {
        self.root.join(folder.group_path())
    }

    fn folder_path(&self, folder: FolderId) -> PathBuf {
        self.root.join(folder.path())
    }

    /// Returns the path of a data file, after checking that its folder is no link.
    fn file_path(&self, file: FileId) -> io::Result<PathBuf> {
        Ok(self.real_folder(file.folder())?.join(file.to_string()))
    }

    /// Returns the path of a folder of data files, after checking that neither it nor its parent is
    /// a link.
    fn real_folder(&self, folder: FolderId) -> io::Result<PathBuf> {
        let path = self.folder_path(folder);
        let mut real = self.real.lock().unwrap_or_else(PoisonError::into_inner);
        if !real.contains(&folder) {
            plain::expect_folder(&self.group_path(folder))?;
            plain::expect_folder(&path)?;
            real.insert(folder);
        }
        Ok(path)
    }

    fn make_root(&self) -> io::Result<()> {
        // The path to the folder must be durable too: sync every new level in its parent. Always
        // sync the folder itself, because the process that created it may have been killed before
        // the sync.
        let new: Vec<&Path> = self.root.ancestors().take_while(|dir| !dir.exists()).collect();
        private::make_dirs(&self.root)?;
        for dir in new {
            sync_parent(dir)?;
        }
        match sync_parent(&self.root) {
            // The folder exists and can be traversed but not opened, so it is old enough to be
            // durable.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
            result => result,
        }
    }

    /// Reads a small file beside the data files, and its attributes.
    fn read_beside_data(&self, name: &str) -> io::Result<Option<(Vec<u8>, Metadata)>> {
        let path = self.data().join(name);
        let file =
            match plain::expect_folder(&self.data()).and_then(|()| plain::open_to_read(&path)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                file => file?,
            };
        let (mut bytes, metadata) = (Vec::new(), file.metadata()?);
        file.take(SMALL_FILE_MAX_BYTES).read_to_end(&mut bytes)?;
        Ok(Some((bytes, metadata)))
    }

    /// Returns the file of the mark of the newest commit, which is emptied when it is first opened.
    fn commit_mark(&self) -> io::Result<&File> {
        if let Some(file) = self.commit_mark.get() {
            return Ok(file);
        }
        let mut options = private::file_options();
        options.write(true).create(true).truncate(false);
        let file = plain::open(&self.data().join(COMMIT_MARK), &mut options)?;
        file.set_len(0)?;
        Ok(self.commit_mark.get_or_init(|| file))
    }

    fn make_layout(&self) -> io::Result<()> {
        for dir in [self.data(), self.staging()] {
            make_dir(&dir)?;
        }
        sync_dir(&self.root)
    }
}

impl Disk for OsDisk {
    fn location(&self) -> PathBuf {
        self.root.clone()
    }

    fn lock(&self) -> Result<DiskLock, LockError> {
        self.make_root().map_err(LockError::Io)?;
        let mut options = private::file_options();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = plain::open(&self.root.join("lock"), &mut options).map_err(LockError::Io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                let _ = file.take(20).read_to_string(&mut pid);
                return Err(LockError::Held(pid.trim().parse().ok()));
            }
            Err(TryLockError::Error(error)) => return Err(LockError::Io(error)),
        }
        let write_pid = |file: &mut File| {
            file.set_len(0)?;
            file.seek(SeekFrom::Start(0))?;
            writeln!(file, "{}", std::process::id())
        };
        write_pid(&mut file).and_then(|()| self.make_layout()).map_err(LockError::Io)?;
        Ok(Box::new(file))
    }

    fn open_database(&self) -> io::Result<Option<Box<dyn DatabaseFile>>> {
        match plain::open(&self.root.join(DATABASE), File::options().read(true).write(true)) {
            Ok(file) => Ok(Some(Box::new(OsFile(file)))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn create_database(&self) -> io::Result<Box<dyn DatabaseFile>> {
        let path = self.root.join(DATABASE_PROVISIONAL);
        let mut options = private::file_options();
        options.read(true).write(true).create(true).truncate(true);
        Ok(Box::new(OsFile(plain::open(&path, &mut options)?)))
    }

    fn name_database(&self) -> io::Result<()> {
        let provisional = self.root.join(DATABASE_PROVISIONAL);
        plain::open(&provisional, File::options().write(true))?.sync_all()?;
        fs::rename(provisional, self.root.join(DATABASE))?;
        sync_dir(&self.root)
    }

    fn read_store_id(&self) -> io::Result<Option<Vec<u8>>> {
        Ok(self.read_beside_data(STORE_ID)?.map(|(line, _)| line))
    }

    fn write_store_id(&self, line: &[u8]) -> io::Result<()> {
        let (path, new) = (self.data().join(STORE_ID), self.data().join(format!("{STORE_ID}.new")));
        absent_is_fine(fs::remove_file(&new))?;
        let mut file = plain::open(&new, private::file_options().write(true).create_new(true))?;
        file.write_all(line)?;
        file.sync_all()?;
        fs::rename(new, path)?;
        sync_dir(&self.data())
    }

    fn read_commit_mark(&self) -> io::Result<Option<FoundMark>> {
        let Some((bytes, metadata)) = self.read_beside_data(COMMIT_MARK)? else { return Ok(None) };
        let (changed, place) = (changed(&metadata), place(&metadata)?);
        Ok(Some(FoundMark { bytes, changed, place }))
    }

    fn commit_mark_place(&self) -> io::Result<MarkPlace> {
        place(&self.commit_mark()?.metadata()?)
    }

    fn write_commit_mark(&self, mark: &[u8]) -> io::Result<()> {
        // One write replaces the whole mark: a kill cannot tear it.
        self.commit_mark()?.write_all_at(mark, 0)
    }

    fn remove_commit_mark(&self) -> io::Result<()> {
        absent_is_fine(fs::remove_file(self.data().join(COMMIT_MARK)))
    }

    fn create(&self, expected_bytes: u64) -> io::Result<Box<dyn StagedFile>> {
        let staging = self.staging();
        // Use a random name instead of a counter, which could collide with a file that a crash
        // left.
        let fallback = || staging.join(format!("{:016x}", rand::random::<u64>()));
        let file = Unnamed::create(&staging, fallback)?;
        let appender = Appender::new(&file.file, expected_bytes);
        Ok(Box::new(OsStagedFile { file, appender, root: OsDisk::new(&self.root) }))
    }

    fn open(&self, file: FileId) -> io::Result<Box<dyn DataFile>> {
        Ok(Box::new(OsFile(plain::open_to_read(&self.file_path(file)?)?)))
    }

    fn remove(&self, file: FileId) -> io::Result<()> {
        absent_is_fine(self.file_path(file).and_then(fs::remove_file))
    }

    fn make_folder(&self, folder: FolderId) -> io::Result<()> {
        // Hold the lock while creating: another caller must not link before the folder is durable.
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if made.contains(&folder) {
            return Ok(());
        }
        // Sync even an existing folder: an earlier attempt may have failed between the two steps.
        make_dir(&self.group_path(folder))?;
        sync_dir(&self.data())?;
        make_dir(&self.folder_path(folder))?;
        sync_dir(&self.group_path(folder))?;
        made.insert(folder);
        Ok(())
    }

    fn sync_folder(&self, folder: FolderId) -> io::Result<()> {
        sync_dir(&self.real_folder(folder)?)
    }

    fn remove_empty_folder(&self, folder: FolderId) -> io::Result<bool> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        match fs::remove_dir(self.folder_path(folder)) {
            Ok(()) => {
                made.remove(&folder);
                self.real.lock().unwrap_or_else(PoisonError::into_inner).remove(&folder);
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn folders(&self) -> io::Result<Vec<FolderId>> {
        let mut folders = Vec::new();
        match plain::expect_folder(&self.data()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(folders),
            result => result?,
        }
        for group in numbered(&self.data(), 3, FileType::is_dir)? {
            let dir = self.data().join(format!("{group:03x}"));
            // Accept the folder only in its expected place; elsewhere it is a stranger.
            let here =
                numbered(&dir, 3, FileType::is_dir)?.into_iter().filter(|number| *number < 1024);
            folders.extend(here.map(|number| FolderId((group << 10) | number)));
        }
        folders.sort_unstable();
        Ok(folders)
    }

    fn files(&self, folder: FolderId) -> io::Result<Vec<FileId>> {
        let mut files: Vec<FileId> = numbered(&self.real_folder(folder)?, 16, FileType::is_file)?
            .into_iter()
            .map(FileId)
            .collect();
        files.retain(|file| file.folder() == folder);
        files.sort_unstable();
        Ok(files)
    }

    fn strangers(&self, named_max: usize) -> io::Result<(Vec<PathBuf>, u64)> {
        super::strangers::find(&self.root, named_max)
    }

    fn leftovers(&self) -> io::Result<Vec<PathBuf>> {
        plain::expect_folder(&self.staging())?;
        let names = numbered(&self.staging(), 16, FileType::is_file)?.into_iter();
        let mut leftovers: Vec<PathBuf> =
            names.map(|number| Path::new(STAGING).join(format!("{number:016x}"))).collect();
        leftovers.sort_unstable();
        Ok(leftovers)
    }

    fn remove_leftover(&self, leftover: &Path) -> io::Result<()> {
        plain::expect_folder(&self.staging())?;
        absent_is_fine(fs::remove_file(self.root.join(leftover)))
    }

    fn space(&self) -> io::Result<Space> {
        unnamed::space(&self.root)
    }
}

/// Identifies a file, and the boot of the system.
fn place(metadata: &Metadata) -> io::Result<MarkPlace> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id")?.replace('-', "");
    let mut place = [0; 32];
    hex::decode_to_slice(boot.trim_end(), &mut place[..16]).map_err(io::Error::other)?;
    place[16..24].copy_from_slice(&metadata.dev().to_le_bytes());
    place[24..].copy_from_slice(&metadata.ino().to_le_bytes());
    Ok(MarkPlace(place))
}

/// Returns the time of the last change of a file or its attributes (`ctime`).
fn changed(metadata: &Metadata) -> SystemTime {
    let (seconds, nanoseconds) = (metadata.ctime(), metadata.ctime_nsec());
    let since = Duration::new(
        u64::try_from(seconds).unwrap_or_default(),
        u32::try_from(nanoseconds).unwrap_or_default(),
    );
    UNIX_EPOCH.checked_add(since).unwrap_or(UNIX_EPOCH)
}

/// A data file being written.
#[derive(Debug)]
struct OsStagedFile {
    file: Unnamed,
    appender: Appender,
    root: OsDisk,
}

impl StagedFile for OsStagedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.appender.append(&mut self.file.file, bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.file.sync_data()
    }

    fn link(self: Box<Self>, file: FileId) -> io::Result<()> {
        self.file.link(&self.root.file_path(file)?)
    }
}

/// Creates a folder and returns whether it is new. An existing entry must be a folder.
fn make_dir(dir: &Path) -> io::Result<bool> {
    let is_new = private::make_dir(dir)?;
    if !is_new {
        plain::expect_folder(dir)?;
    }
    Ok(is_new)
}

/// Makes the entry of a folder in its parent durable.
fn sync_parent(dir: &Path) -> io::Result<()> {
    match dir.parent() {
        Some(parent) if parent.as_os_str().is_empty() => sync_dir(Path::new(".")),
        Some(parent) => sync_dir(parent),
        None => Ok(()),
    }
}

/// Makes the names in a folder durable.
fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Lists the entries of a folder that have this type (never links) and whose names are hex numbers
/// in our spelling, with at least `digits` digits. Returns no entries if `dir` is not a folder.
fn numbered(dir: &Path, digits: usize, is: impl Fn(&FileType) -> bool) -> io::Result<Vec<u64>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            return Ok(Vec::new());
        }
        Err(error) => return Err(error),
    };
    let mut numbers = Vec::new();
    for entry in entries {
        let entry = entry?;
        if !is(&entry.file_type()?) {
            continue;
        }
        let name = entry.file_name();
        let hex = name
            .to_str()
            .filter(|name| name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')))
            .filter(|name| name.len() == digits || name.len() > digits && !name.starts_with('0'));
        numbers.extend(hex.and_then(|hex| u64::from_str_radix(hex, 16).ok()));
    }
    Ok(numbers)
}

fn absent_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
