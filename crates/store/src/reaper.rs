//! Removes the files of deleted objects once no reader uses them.
//!
//! Runs on a separate thread, because removing 10,000 large files takes seconds and Delete or
//! Complete should not wait for it. A file is kept while a reader holds it, and while a reader is
//! being opened, because that reader may use an older snapshot with a deleted object. The metadata
//! lists files to remove until they are durably gone, so opening after a crash finishes the work.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use crate::disk::{Disk, FileId, FolderId};

/// The number of removals per sync. Syncing a folder costs as much as answering a client.
const SYNC_REMOVED: usize = 256;

/// The readers, and the files that wait to be removed.
#[derive(Debug, Default)]
pub(crate) struct Reaper {
    state: Mutex<ReaperState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct ReaperState {
    next_ticket: u64,
    /// Readers being opened, by their tickets.
    opening: BTreeSet<u64>,
    /// The number of readers per file.
    held: HashMap<FileId, u32>,
    /// Released files, oldest first, each with the ticket from which on no new reader can use it.
    released: VecDeque<(u64, FileId)>,
    /// Released files that readers hold.
    waiting: HashSet<FileId>,
    /// Files to remove now.
    free: Vec<FileId>,
    /// Removed files whose removal is not durable yet.
    unsynced: Vec<FileId>,
    /// Files that are durably gone, so that the metadata can delete their records.
    gone: Vec<FileId>,
    removing: Removing,
    closing: Closing,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Removing {
    #[default]
    No,
    Yes,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Closing {
    #[default]
    No,
    Yes,
}

/// A guard: files in snapshots taken after its creation are not removed while it exists.
pub(crate) struct Opening {
    reaper: Arc<Reaper>,
    ticket: u64,
}

/// A guard: its files are not removed while it exists.
pub(crate) struct Hold {
    reaper: Arc<Reaper>,
    files: Vec<FileId>,
}

impl Reaper {
    /// Starts the thread. After [`Reaper::close`], it ends once all files that can be removed are
    /// gone.
    pub(crate) fn start(self: &Arc<Self>, disk: Arc<dyn Disk>) -> std::io::Result<JoinHandle<()>> {
        let reaper = Arc::clone(self);
        std::thread::Builder::new().name("haul-reaper".to_owned()).spawn(move || reaper.run(&*disk))
    }

    pub(crate) fn close(&self) {
        self.state().closing = Closing::Yes;
        self.changed.notify_all();
    }

    /// Announces a reader. Call it before taking the snapshot that determines the files to read.
    pub(crate) fn opening(self: &Arc<Self>) -> Opening {
        let mut state = self.state();
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        state.opening.insert(ticket);
        Opening { reaper: Arc::clone(self), ticket }
    }

    /// Accepts files that nothing refers to. Call it after the change that released them is
    /// published.
    pub(crate) fn release(&self, files: impl IntoIterator<Item = FileId>) {
        let mut state = self.state();
        let ticket = state.next_ticket;
        state.released.extend(files.into_iter().map(|file| (ticket, file)));
        state.advance();
        drop(state);
        self.changed.notify_all();
    }

    /// Returns at most `count_max` files that are durably gone; each is returned once.
    pub(crate) fn take_gone(&self, count_max: usize) -> Vec<FileId> {
        let mut state = self.state();
        let count = state.gone.len().min(count_max);
        state.gone.drain(..count).collect()
    }

    /// Waits until every file that no reader holds is removed.
    pub(crate) fn settle(&self) {
        let mut state = self.state();
        while !(state.released.is_empty()
            && state.free.is_empty()
            && state.removing == Removing::No)
        {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn run(&self, disk: &dyn Disk) {
        let mut state = self.state();
        loop {
            if !state.free.is_empty() {
                let free = std::mem::take(&mut state.free);
                let mut unsynced = std::mem::take(&mut state.unsynced);
                state.removing = Removing::Yes;
                drop(state);
                unsynced.extend(free.into_iter().filter(|file| remove(disk, *file)));
                let gone = if unsynced.len() >= SYNC_REMOVED {
                    sync(disk, &mut unsynced)
                } else {
                    Vec::new()
                };
                state = self.state();
                state.unsynced = unsynced;
                state.gone.extend(gone);
                state.removing = Removing::No;
                self.changed.notify_all();
            } else if state.closing == Closing::Yes {
                return;
            } else {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, ReaperState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes a file and returns whether it is gone. The next opening retries failed removals.
fn remove(disk: &dyn Disk, file: FileId) -> bool {
    let removed = disk.remove(file);
    if let Err(error) = &removed {
        tracing::warn!(file = file.0, %error, "an unreferenced file could not be removed");
    }
    removed.is_ok()
}

/// Makes removals durable and returns the files that are durably gone. The metadata keeps the
/// others until the next opening.
fn sync(disk: &dyn Disk, unsynced: &mut Vec<FileId>) -> Vec<FileId> {
    let mut gone = std::mem::take(unsynced);
    let folders: BTreeSet<FolderId> = gone.iter().map(|file| file.folder()).collect();
    for folder in folders {
        if let Err(error) = disk.sync_folder(folder) {
            tracing::warn!(folder = folder.0, %error, "removals from a data folder could not be \
                synced");
            gone.retain(|file| file.folder() != folder);
        }
    }
    gone
}

impl ReaperState {
    /// Frees the files that no reader being opened can use.
    fn advance(&mut self) {
        let oldest = self.opening.first().copied().unwrap_or(u64::MAX);
        while let Some((_, file)) = self.released.pop_front_if(|(ticket, _)| *ticket <= oldest) {
            if self.held.contains_key(&file) {
                self.waiting.insert(file);
            } else {
                self.free.push(file);
            }
        }
    }
}

impl Opening {
    /// Holds the files that will be read.
    pub(crate) fn hold(self, files: impl IntoIterator<Item = FileId>) -> Hold {
        let files: Vec<FileId> = files.into_iter().collect();
        let mut state = self.reaper.state();
        for &file in &files {
            *state.held.entry(file).or_default() += 1;
        }
        drop(state);
        Hold { reaper: Arc::clone(&self.reaper), files }
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        let mut state = self.reaper.state();
        state.opening.remove(&self.ticket);
        state.advance();
        drop(state);
        self.reaper.changed.notify_all();
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut state = self.reaper.state();
        for file in &self.files {
            let Some(count) = state.held.get_mut(file) else { continue };
            *count -= 1;
            if *count == 0 {
                state.held.remove(file);
                if state.waiting.remove(file) {
                    state.free.push(*file);
                }
            }
        }
        drop(state);
        self.reaper.changed.notify_all();
    }
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hold").field("files", &self.files.len()).finish_non_exhaustive()
    }
}
