//! Detects whether a file system is case-sensitive, without writing to it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Returns whether a file system is case-sensitive: checks whether the folder's name in the other
/// case leads to the same folder. A folder without letters in its path counts as case-sensitive.
pub(super) fn tells_cases_apart(folder: &Path) -> bool {
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let Some(existing) = absolute.ancestors().find_map(|path| path.canonicalize().ok()) else {
        return true;
    };
    let Ok(own) = fs::metadata(&existing) else { return true };
    for path in existing.ancestors() {
        let Ok(metadata) = fs::metadata(path) else { return true };
        if metadata.dev() != own.dev() {
            return true;
        }
        if let Some(swapped) = swapped(path) {
            let found = fs::metadata(swapped);
            return !found
                .is_ok_and(|found| (found.dev(), found.ino()) == (metadata.dev(), metadata.ino()));
        }
    }
    true
}

/// Returns the path with the case of its last component swapped; `None` if it has no letters.
fn swapped(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?.to_str()?;
    let turned: String = name
        .chars()
        .map(|letter| match letter.is_ascii_lowercase() {
            true => letter.to_ascii_uppercase(),
            false => letter.to_ascii_lowercase(),
        })
        .collect();
    (turned != name).then(|| path.with_file_name(turned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linux_file_systems_are_detected_as_case_sensitive() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("folder");
        assert!(tells_cases_apart(&folder), "it is not there yet");
        fs::create_dir(&folder).unwrap();
        fs::create_dir(root.path().join("FOLDER")).unwrap();
        assert!(tells_cases_apart(&folder));
    }
}
