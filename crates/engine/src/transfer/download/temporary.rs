//! Manages the temporary file of a download, and removes those that killed downloads left.
//!
//! The file is beside its target, so that a rename moves it there. Its name is one of a few that
//! are derived from a hash of the target's name: short enough for any file system, however long the
//! target's name is, and found again without reading the folder. The lock on the file shows that
//! its process is alive. A file that no process has locked was left by a killed download of the
//! same target, and the next download removes it.
//!
//! Only the process that holds the lock on a file may remove its name. Between creating a file and
//! locking it, another process may lock and remove it. A creator therefore checks, once it has the
//! lock, that the name still belongs to its file.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use haul_parts::{ChecksumAlgorithm, Hasher};

use super::destination::same_file;

/// The maximum number of concurrent downloads of one target.
const SLOTS: usize = 16;
/// Number of hexadecimal digits that stand for the target's name.
const HASH_DIGITS: usize = 16;

/// A locked temporary file. It is removed when dropped, unless it got its final name.
#[derive(Debug)]
pub(in crate::transfer) struct Temporary {
    path: PathBuf,
    target: PathBuf,
    /// Keeps the file locked until it has its final name or is removed.
    lock: File,
    published: bool,
    /// Whether the file is kept for a later run if it did not get its final name.
    stays: bool,
}

impl Temporary {
    /// Creates a file for `target`, and removes those that killed downloads of the same target
    /// left.
    pub(in crate::transfer) fn create(
        target: &Path,
        permissions: Option<&Permissions>,
    ) -> io::Result<(Self, File)> {
        let mut made = None;
        for path in names(target)? {
            remove_if_abandoned(&path);
            if made.is_none()
                && let Some(file) = claim(&path, permissions)?
            {
                made = Some((path, file));
            }
        }
        let (path, file) = made.ok_or_else(|| {
            io::Error::other(format!("{SLOTS} other downloads to this file are under way"))
        })?;
        let lock = file.try_clone()?;
        Ok((Self { path, target: target.to_owned(), lock, published: false, stays: false }, file))
    }

    /// Creates a file for `target` like [`Temporary::create`], in a folder that
    /// [`remove_abandoned_in`] has searched.
    pub(in crate::transfer) fn create_in_searched(
        target: &Path,
        permissions: Option<&Permissions>,
    ) -> io::Result<(Self, File)> {
        let first = names(target)?.next();
        if let Some(path) = first
            && let Some(file) = claim(&path, permissions)?
        {
            let (target, lock) = (target.to_owned(), file.try_clone()?);
            return Ok((Self { path, target, lock, published: false, stays: false }, file));
        }
        Self::create(target, permissions)
    }

    /// Opens the file of the download that the journal `id` records, with its content, or creates
    /// it. The file stays when this is dropped, because the journal leads to it.
    pub(super) fn remembered(
        target: &Path,
        id: &str,
        permissions: Option<&Permissions>,
    ) -> io::Result<(Self, File)> {
        let path = Self::path_of(target, id);
        // This is checked before opening: a link or a pipe with this name is not ours.
        let file = match fs::symlink_metadata(&path) {
            Ok(found) if found.is_file() => File::options().read(true).write(true).open(&path)?,
            Ok(_) => return Err(io::Error::other(format!("{} is in the way", path.display()))),
            Err(_) => options(permissions).open(&path)?,
        };
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => {
                return Err(io::Error::other("another download to this file is under way"));
            }
            Ok(()) | Err(TryLockError::Error(_)) => {}
        }
        if let Some(permissions) = permissions {
            let _ = file.set_permissions(permissions.clone());
        }
        let lock = file.try_clone()?;
        Ok((Self { path, target: target.to_owned(), lock, published: false, stays: true }, file))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the path of the temporary file that belongs to the journal `id`.
    pub(super) fn path_of(target: &Path, id: &str) -> PathBuf {
        folder(target).join(format!(".haul-{id}.part"))
    }

    /// Gives the file its final name durably: a rename is on disk only when its folder is synced.
    pub(super) fn publish(self) -> io::Result<()> {
        let target = self.target.clone();
        self.publish_unsynced()?;
        sync_folder_of(&target)
    }

    /// Gives the file its final name; the caller syncs the folder.
    pub(in crate::transfer) fn publish_unsynced(mut self) -> io::Result<()> {
        fs::rename(&self.path, &self.target)?;
        self.published = true;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.published && !self.stays {
            // A failure here cannot be reported; the next download of the same target removes the
            // file.
            let _ = fs::remove_file(&self.path);
        }
        let _ = self.lock.unlock();
    }
}

/// Removes every temporary file in this folder that has a name of [`names`] and that no process has
/// locked. What cannot be read or removed stays: a later run tries again.
pub(in crate::transfer) fn remove_abandoned_in(folder: &Path) {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        if is_temporary(entry.file_name().as_encoded_bytes()) {
            remove_if_abandoned(&entry.path());
        }
    }
}

/// Returns whether a file name is one that [`names`] makes for some target.
fn is_temporary(name: &[u8]) -> bool {
    let Some(rest) = name.strip_prefix(b".haul-").and_then(|rest| rest.strip_suffix(b".part"))
    else {
        return false;
    };
    let Some((hash, slot)) = rest.split_at_checked(HASH_DIGITS) else { return false };
    let slot = slot.strip_prefix(b"-").and_then(|slot| std::str::from_utf8(slot).ok());
    hash.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
        && slot.is_some_and(|slot| {
            slot.bytes().all(|digit| digit.is_ascii_digit())
                && slot.parse().is_ok_and(|slot: usize| slot < SLOTS)
        })
}

/// Returns the possible names, `.haul-0123456789abcdef-0.part` and so on.
fn names(target: &Path) -> io::Result<impl Iterator<Item = PathBuf>> {
    let name = target.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
    let hash = Hasher::checksum(ChecksumAlgorithm::Sha256, name.as_encoded_bytes());
    let hash: String =
        hash.bytes().iter().take(HASH_DIGITS / 2).map(|byte| format!("{byte:02x}")).collect();
    let folder = folder(target).to_owned();
    Ok((0..SLOTS).map(move |slot| folder.join(format!(".haul-{hash}-{slot}.part"))))
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Creates and locks a new file with this name; `None` if another process has the name.
fn claim(path: &Path, permissions: Option<&Permissions>) -> io::Result<Option<File>> {
    let file = match options(permissions).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
        Err(error) => return Err(error),
    };
    match file.try_lock() {
        // Another process is checking whether the file is abandoned, and may decide that it is.
        Err(TryLockError::WouldBlock) => return Ok(None),
        // Without locks on this file system, no other run can conclude that this file is abandoned.
        Ok(()) | Err(TryLockError::Error(_)) => {}
    }
    if !has_name(&file, path) {
        return Ok(None);
    }
    if let Some(permissions) = permissions {
        // Set explicitly, because the umask must not restrict the permissions of the replaced file.
        // Not every file system supports this.
        let _ = file.set_permissions(permissions.clone());
    }
    Ok(Some(file))
}

/// Removes a file that no process has locked. If the file cannot be removed, its name is not used.
fn remove_if_abandoned(path: &Path) {
    // This is checked before opening: a link or a pipe with this name is not ours.
    if !fs::symlink_metadata(path).is_ok_and(|found| found.is_file()) {
        return;
    }
    // NFS locks only files that are open for writing, but this file may be read-only, like the file
    // that it was meant to replace.
    let opened = File::options().read(true).write(true).open(path).or_else(|_| File::open(path));
    let Ok(file) = opened else { return };
    if file.try_lock().is_ok() && has_name(&file, path) {
        let _ = fs::remove_file(path);
    }
}

fn has_name(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(open), Ok(named)) => same_file(&open, &named),
        _ => false,
    }
}

fn options(permissions: Option<&Permissions>) -> OpenOptions {
    use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
    let mut options = File::options();
    options.read(true).write(true).create_new(true);
    // Set before the first byte: data that only its owner could read must not become readable to
    // others meanwhile.
    if let Some(permissions) = permissions {
        options.mode(permissions.mode() & 0o777);
    }
    options
}

/// Syncs the folder of a file, which makes the name of the file durable.
pub(super) fn sync_folder_of(file: &Path) -> io::Result<()> {
    let folder = folder(file);
    // A folder that is writable but not readable cannot be opened, and some file systems cannot
    // sync folders.
    let Ok(folder) = File::open(folder) else { return Ok(()) };
    match folder.sync_all() {
        Err(error)
            if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) =>
        {
            Ok(())
        }
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files_in(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// Killed downloads used to leave their temporary files for ever: each kill added one, such as
    /// `.video.mov.haul-1a2b3c4d`. A file whose process is alive must stay, whatever its age.
    #[test]
    fn what_killed_downloads_left_is_removed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("video.mov");
        let (live, _file) = Temporary::create(&target, None).unwrap();
        // The state after `kill -9`: the file, and no lock.
        let killed: Vec<_> = names(&target).unwrap().skip(1).take(3).collect();
        killed.iter().for_each(|path| fs::write(path, "half of it").unwrap());
        let (other, _other_file) =
            Temporary::create(&folder.path().join("other.mov"), None).unwrap();

        let (next, mut file) = Temporary::create(&target, None).unwrap();
        io::Write::write_all(&mut file, b"whole").unwrap();
        assert!(live.path.exists() && other.path.exists(), "live downloads keep their files");
        assert_eq!(files_in(folder.path()).len(), 3, "{:?}", files_in(folder.path()));
        next.publish().unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"whole");
        drop((live, other));
        assert_eq!(files_in(folder.path()), ["video.mov"]);
    }

    /// The search of a whole folder takes the leftovers of every target in it, and nothing that a
    /// person or a journal may still need.
    #[test]
    fn a_search_of_a_folder_removes_leftovers_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let (live, _file) = Temporary::create(&at("live.mov"), None).unwrap();
        let left = |target: &str, slot| names(&at(target)).unwrap().nth(slot).unwrap();
        fs::write(left("a", 0), "half").unwrap();
        fs::write(left("b", 15), "half").unwrap();
        let kept = [
            ".haul-0123456789abcdef-16.part",
            ".haul-0123456789abcdef-.part",
            ".haul-0123456789abcdef-+1.part",
            ".haul-0123456789ABCDEF-0.part",
            ".haul-0123456789abcdef.part",
            ".haul-upload.part",
            "haul-0123456789abcdef-0.part",
            "video.mov",
        ];
        kept.iter().for_each(|name| fs::write(at(name), "mine").unwrap());
        remove_abandoned_in(folder.path());
        assert!(live.path.exists(), "a live download keeps its file");
        assert_eq!(files_in(folder.path()).len(), kept.len() + 1);
        assert!(kept.iter().all(|name| at(name).exists()));

        let (next, _next) = Temporary::create_in_searched(&at("live.mov"), None).unwrap();
        assert_ne!(next.path, live.path);
        let (new, _new) = Temporary::create_in_searched(&at("c"), None).unwrap();
        assert_eq!(new.path, left("c", 0));
    }

    #[test]
    fn names_of_temporary_files_are_short_and_differ_by_target() {
        let of = |name: &str| names(Path::new(name)).unwrap().next().unwrap();
        let long = "x".repeat(255);
        assert!(of(&long).as_os_str().len() < 40);
        assert_ne!(of(&long), of(&"x".repeat(254)));
        assert_eq!(of("a/video.mov").parent(), Some(Path::new("a")));
    }

    #[test]
    fn more_downloads_of_one_file_than_slots_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("video.mov");
        let held: Vec<_> = (0..SLOTS).map(|_| Temporary::create(&target, None).unwrap()).collect();
        assert!(
            Temporary::create(&target, None)
                .unwrap_err()
                .to_string()
                .contains("16 other downloads")
        );
        drop(held);
        assert_eq!(files_in(folder.path()), Vec::<String>::new());
    }

    /// A link with the temporary name must not lead the download elsewhere.
    #[test]
    fn a_link_of_a_temporary_name_is_neither_followed_nor_removed() {
        let folder = tempfile::tempdir().unwrap();
        let (target, victim) = (folder.path().join("video.mov"), folder.path().join("victim"));
        fs::write(&victim, "mine").unwrap();
        let first = names(&target).unwrap().next().unwrap();
        std::os::unix::fs::symlink(&victim, &first).unwrap();
        let (made, _file) = Temporary::create(&target, None).unwrap();
        assert_ne!(made.path, first);
        drop(made);
        assert_eq!(fs::read(&victim).unwrap(), b"mine");
        assert!(first.is_symlink());
    }
}
