//! Permissions of journals: 0600 in a folder of 0700, and files of other users are never used.
//!
//! A journal decides which file is read and where it is sent. With a journal of another user,
//! root's `resume --all` would send root's files to a store of that user's choice. A folder that is
//! a link is accepted if link and target belong to this user (a state folder moved to another
//! disk); a journal that is a link never is.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::path::Path;

use super::file::{JournalError, io_error};

/// Creates the folder, or checks an existing one.
pub(crate) fn make_folder(folder: &Path) -> Result<(), JournalError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(io_error("created", folder))?;
    check_folder(folder).map(drop)
}

/// Refuses a folder of another user, and removes other users' permissions from a folder of this
/// user. Returns false if there is no folder.
pub(crate) fn check_folder(folder: &Path) -> Result<bool, JournalError> {
    let link = match fs::symlink_metadata(folder) {
        Ok(link) => link,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(io_error("examined", folder)(error)),
    };
    refuse_strangers(folder, &link)?;
    let metadata = fs::metadata(folder).map_err(io_error("examined", folder))?;
    refuse_strangers(folder, &metadata)?;
    tighten(folder, &metadata, 0o700);
    Ok(true)
}

/// Opens a journal (with `create`, creates a missing one) if it is a regular file of this user.
pub(super) fn open(path: &Path, create: bool) -> Result<File, JournalError> {
    if let Ok(there) = fs::symlink_metadata(path) {
        check_file(path, &there)?;
    }
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(create);
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path).map_err(io_error("opened", path))?;
    let metadata = file.metadata().map_err(io_error("examined", path))?;
    check_file(path, &metadata)?;
    tighten(path, &metadata, 0o600);
    Ok(file)
}

/// Reads an existing journal under the same conditions.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, JournalError> {
    let there = fs::symlink_metadata(path).map_err(io_error("read", path))?;
    check_file(path, &there)?;
    tighten(path, &there, 0o600);
    fs::read(path).map_err(io_error("read", path))
}

fn check_file(path: &Path, metadata: &fs::Metadata) -> Result<(), JournalError> {
    if !metadata.is_file() {
        let what =
            if metadata.is_symlink() { "it is a symbolic link" } else { "it is no regular file" };
        return Err(JournalError::NotPrivate { path: path.to_owned(), reason: what.to_owned() });
    }
    refuse_strangers(path, metadata)
}

fn refuse_strangers(path: &Path, metadata: &fs::Metadata) -> Result<(), JournalError> {
    use std::os::unix::fs::MetadataExt;
    let (owner, own) = (metadata.uid(), rustix::process::geteuid().as_raw());
    if owner == own {
        return Ok(());
    }
    let reason = format!("it belongs to user {owner}, and this process runs as user {own}");
    Err(JournalError::NotPrivate { path: path.to_owned(), reason })
}

/// Restricts the mode: earlier versions left folders and journals readable for everyone. Fails
/// silently on a file system without permissions.
fn tighten(path: &Path, metadata: &fs::Metadata, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    if metadata.permissions().mode() & 0o077 != 0 {
        let _ = fs::set_permissions(path, fs::Permissions::from_mode(mode));
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::super::JournalFolder;
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("it is there").mode() & 0o777
    }

    /// Regression: journals were 0644 in folders of 0755, so every user of the machine could read
    /// which file is sent where.
    #[test]
    fn journals_and_their_folders_are_their_users_alone() {
        let root = tempfile::tempdir().unwrap();
        let folder = JournalFolder::new(root.path().join("state/haul/uploads"));
        let journal = folder.open("id").unwrap().journal;
        let file = folder.path().join("id.journal");
        assert_eq!((mode(&file), mode(folder.path())), (0o600, 0o700));
        assert_eq!(mode(&root.path().join("state/haul")), 0o700);
        drop(journal);

        // An earlier version left these modes; the first access restricts them.
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        folder.list().unwrap();
        assert_eq!((mode(&file), mode(folder.path())), (0o600, 0o700));
    }

    /// Regression: root's `haul resume --all` used a journal that another user had put there.
    #[test]
    fn what_is_not_the_users_own_is_refused_and_named() {
        let root = tempfile::tempdir().unwrap();
        let folder = JournalFolder::new(root.path().join("uploads"));
        drop(folder.open("own").unwrap());
        symlink(folder.path().join("own.journal"), folder.path().join("link.journal")).unwrap();
        let pipe = folder.path().join("pipe.journal");
        rustix::fs::mknodat(rustix::fs::CWD, pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0)
            .unwrap();
        for (id, reason) in [("link", "a symbolic link"), ("pipe", "no regular file")] {
            for refused in [folder.open(id).map(drop), folder.open_existing(id).map(drop)] {
                assert!(refused.unwrap_err().to_string().contains(reason), "{id}");
            }
        }
        let named: Vec<_> =
            folder.unreadable().unwrap().into_iter().map(|journal| journal.id).collect();
        assert_eq!(named, ["link", "pipe"]);

        // Only root can give a file away; the tests of the command cover that when they run as
        // root.
        if rustix::process::geteuid().is_root() {
            rustix::fs::chown(
                folder.path().join("own.journal"),
                Some(rustix::fs::Uid::from_raw(4242)),
                None,
            )
            .unwrap();
            let refused = folder.open_existing("own").unwrap_err().to_string();
            assert!(refused.contains("belongs to user 4242"), "{refused}");
            rustix::fs::chown(folder.path(), Some(rustix::fs::Uid::from_raw(4242)), None).unwrap();
            assert!(folder.list().unwrap_err().to_string().contains("belongs to user 4242"));
            assert!(folder.open("new").is_err());
        }
    }

    #[test]
    fn a_folder_that_its_user_linked_elsewhere_is_taken() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("other-disk")).unwrap();
        symlink("other-disk", root.path().join("uploads")).unwrap();
        let folder = JournalFolder::new(root.path().join("uploads"));
        folder.open("id").unwrap();
        assert!(root.path().join("other-disk/id.journal").is_file());
    }
}
