//! Removes the temporary files that killed downloads left, once in each folder that a tree writes.
//!
//! A download of one file looks for leftovers under all names that they can have. For ten thousand
//! short files, these looks would take a quarter of the CPU; reading their folder once is enough.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::transfer::download::temporary;

/// Maximum number of folders that are remembered. Further ones are read again, which costs time
/// only.
const FOLDERS_MAX: usize = 4096;

/// The folders that were already searched in this run.
#[derive(Debug, Default)]
pub(super) struct Leftovers(Mutex<HashSet<PathBuf>>);

impl Leftovers {
    /// Removes the leftovers in the folder of this file, unless this run has already done so.
    /// Blocks.
    pub(super) fn remove_beside(&self, file: &Path) {
        let Some(folder) = file.parent() else { return };
        {
            let mut searched = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if searched.contains(folder) {
                return;
            }
            if searched.len() >= FOLDERS_MAX {
                searched.clear();
            }
            searched.insert(folder.to_owned());
        }
        temporary::remove_abandoned_in(folder);
    }
}
