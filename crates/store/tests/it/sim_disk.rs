//! A simulated disk in memory that can lose power. Bytes and names that were not synced at that
//! moment may be present, missing, or present in part.
//!
//! Every write, sync, link, removal and change of size is one *step*. The power can be cut at any
//! step: that step and all later ones fail, and [`SimDisk::power_on`] returns the disk as it is
//! found afterwards. A seed decides for every pending write whether all, some or none of its
//! 512-byte sectors reached the disk, and for every pending change of a name whether it reached the
//! disk. Synced changes are always present.

mod content;
mod handles;

use haul_testkit::random::Random;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use haul_store::disk::{
    DataFile, DatabaseFile, Disk, DiskLock, FileId, FolderId, FoundMark, LockError, MarkPlace,
    Space, StagedFile,
};

use content::{Folder, Inode, Name, PAGE_BYTES, Shared, pages};
use handles::{SimDatabase, SimFile, SimStaged};

/// A simulated disk; all clones are the same disk.
#[derive(Clone, Debug)]
pub(crate) struct SimDisk {
    state: Arc<Mutex<State>>,
    locked: Arc<AtomicBool>,
}

#[derive(Debug)]
struct State {
    steps: u64,
    fault: Fault,
    database: Option<Shared>,
    /// The new database file, until `name_database` gives it its final name.
    provisional: Option<Shared>,
    database_name: DatabaseName,
    /// The line that identifies the store, as it was written last.
    store_id: Option<Vec<u8>>,
    /// The line that identifies the store, as it was synced last.
    safe_store_id: Option<Vec<u8>>,
    /// The mark of the newest commit, and every earlier one, oldest first. None is ever synced.
    commit_marks: Vec<FoundMark>,
    /// Identifies the file of the mark and the boot.
    place: MarkPlace,
    /// The kinds of steps that the disk refuses.
    refused: Refused,
    folders: BTreeMap<FolderId, Folder>,
    capacity_bytes: Option<u64>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            steps: 0,
            fault: Fault::None,
            database: None,
            provisional: None,
            database_name: DatabaseName::default(),
            store_id: None,
            safe_store_id: None,
            commit_marks: Vec::new(),
            place: new_place(),
            refused: Refused::default(),
            folders: BTreeMap::new(),
            capacity_bytes: None,
        }
    }
}

/// Returns a place that no other disk and no other boot has.
fn new_place() -> MarkPlace {
    static PLACES: AtomicU64 = AtomicU64::new(0);
    let mut place = [0; 32];
    place[..8].copy_from_slice(&PLACES.fetch_add(1, Ordering::Relaxed).to_le_bytes());
    MarkPlace(place)
}

/// What the disk refuses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Refused {
    #[default]
    Nothing,
    /// To read the mark of the newest commit.
    ReadingMarks,
    /// To mark a commit as done: every second mark.
    EverySecondMark,
    /// To remove data files.
    Removals,
}

/// Whether the name of the database is durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum DatabaseName {
    #[default]
    Pending,
    Safe,
}

/// The fault to inject, and its step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fault {
    #[default]
    None,
    /// The power fails at this step.
    CutAt(u64),
    /// The power is off.
    Off,
    /// The first sync from this step on fails; the power stays on.
    SyncFailsFrom(u64),
}

fn power_is_off() -> io::Error {
    io::Error::other("the power is off")
}

impl State {
    /// Counts a step; fails if the power is off or fails now.
    fn step(&mut self) -> io::Result<()> {
        let step = self.steps;
        self.steps += 1;
        match self.fault {
            Fault::Off => Err(power_is_off()),
            Fault::CutAt(cut) if step >= cut => {
                self.fault = Fault::Off;
                Err(power_is_off())
            }
            _ => Ok(()),
        }
    }

    /// Counts a step that makes something durable.
    fn sync_step(&mut self) -> io::Result<()> {
        self.step()?;
        match self.fault {
            Fault::SyncFailsFrom(from) if self.steps > from => {
                self.fault = Fault::None;
                Err(io::Error::other("the disk reports a write error"))
            }
            _ => Ok(()),
        }
    }

    fn used_bytes(&self) -> u64 {
        let files: usize = self
            .folders
            .values()
            .flat_map(|folder| folder.now.values())
            .map(|inode| lock(inode).now.len())
            .sum();
        let databases = [&self.database, &self.provisional].into_iter().flatten();
        let pages: usize = databases.map(|inode| lock(inode).pages.len()).sum();
        (files + pages * PAGE_BYTES) as u64
    }

    fn check_capacity(&self, more: usize) -> io::Result<()> {
        match self.capacity_bytes {
            Some(capacity) if self.used_bytes() + more as u64 > capacity => {
                Err(io::ErrorKind::StorageFull.into())
            }
            _ => Ok(()),
        }
    }
}

impl SimDisk {
    pub(crate) fn new() -> Self {
        Self::holding(State::default())
    }

    fn holding(state: State) -> Self {
        Self { state: Arc::new(Mutex::new(state)), locked: Arc::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Returns the number of steps so far.
    pub(crate) fn steps(&self) -> u64 {
        self.state().steps
    }

    pub(crate) fn set_fault(&self, fault: Fault) {
        self.state().fault = fault;
    }

    pub(crate) fn is_off(&self) -> bool {
        self.state().fault == Fault::Off
    }

    pub(crate) fn set_capacity(&self, capacity_bytes: Option<u64>) {
        self.state().capacity_bytes = capacity_bytes;
    }

    pub(crate) fn used_bytes(&self) -> u64 {
        self.state().used_bytes()
    }

    /// Returns the data files.
    pub(crate) fn data_files(&self) -> BTreeSet<FileId> {
        self.state().folders.values().flat_map(|folder| folder.now.keys().copied()).collect()
    }

    /// Exchanges the bytes of two data files, as restoring a backup may do.
    pub(crate) fn swap(&self, one: FileId, other: FileId) {
        let state = self.state();
        let inode = |file: FileId| lock(&state.folders[&file.folder()].now[&file]).now.clone();
        let (first, second) = (inode(one), inode(other));
        lock(&state.folders[&one.folder()].now[&one]).now = second;
        lock(&state.folders[&other.folder()].now[&other]).now = first;
    }

    /// Deletes the database, as an operator may do by mistake.
    pub(crate) fn lose_database(&self) {
        self.state().database = None;
    }

    /// Deletes the mark of the newest commit.
    pub(crate) fn lose_commit_mark(&self) {
        self.state().commit_marks.clear();
    }

    /// Changes one byte of a data file, as bit rot does.
    pub(crate) fn rot(&self, file: FileId, offset: usize) {
        let state = self.state();
        let inode = &state.folders[&file.folder()].now[&file];
        lock(inode).now[offset] ^= 1;
    }

    /// Deletes a data file, as an operator may do by mistake.
    pub(crate) fn lose(&self, file: FileId) {
        let mut state = self.state();
        state.folders.get_mut(&file.folder()).unwrap().now.remove(&file);
    }

    /// Adds a data file that nothing refers to (an orphan).
    pub(crate) fn litter(&self, file: FileId) {
        let mut state = self.state();
        state.folders.entry(file.folder()).or_default().now.insert(file, Shared::default());
    }

    /// Returns the disk as it is found after the power cut; `seed` decides which unsynced changes
    /// reached it.
    pub(crate) fn power_on(&self, seed: u64) -> Self {
        let mut dice = Random::new(seed);
        let state = self.state();
        let settled = |bytes: Vec<u8>| {
            let pages = pages(0, bytes.len()).collect();
            Inode { now: bytes.clone(), safe: bytes, pending: Vec::new(), pages }
        };
        let mut folders = BTreeMap::new();
        for (id, folder) in &state.folders {
            let mut names = folder.safe.clone();
            for change in &folder.pending {
                if dice.below(2) == 0 {
                    Folder::apply(&mut names, change);
                }
            }
            let names: BTreeMap<FileId, Shared> = names
                .into_iter()
                .map(|(file, inode)| {
                    (file, Arc::new(Mutex::new(settled(lock(&inode).found(&mut dice)))))
                })
                .collect();
            folders.insert(*id, Folder { now: names.clone(), safe: names, pending: Vec::new() });
        }
        let mut keep = |inode: &Shared| Arc::new(Mutex::new(settled(lock(inode).found(&mut dice))));
        let mut database = state.database.as_ref().map(&mut keep);
        let mut provisional = state.provisional.as_ref().map(&mut keep);
        if state.database_name == DatabaseName::Pending && dice.below(2) == 0 {
            provisional = provisional.or(database.take());
        }
        let database_name = DatabaseName::Safe;
        let store_id =
            if dice.below(2) == 0 { state.store_id.clone() } else { state.safe_store_id.clone() };
        let safe_store_id = store_id.clone();
        // Any of the marks, or none, may have reached the disk.
        let marks = state.commit_marks.len() as u64;
        let kept = usize::try_from(dice.below(marks + 1)).unwrap();
        let commit_marks = state.commit_marks[..kept].to_vec();
        let found = State {
            database,
            provisional,
            database_name,
            store_id,
            safe_store_id,
            commit_marks,
            folders,
            ..State::default()
        };
        Self::holding(found)
    }

    /// Returns the disk as it is found after a kill of the process at the step of the cut: every
    /// step before it is there, and what was not synced may still be lost by a power cut.
    pub(crate) fn process_killed(&self) -> Self {
        let state = self.state();
        let mut copies: HashMap<*const Mutex<Inode>, Shared> = HashMap::new();
        let mut copy = |inode: &Shared| {
            let copied = || Arc::new(Mutex::new(lock(inode).clone()));
            Arc::clone(copies.entry(Arc::as_ptr(inode)).or_insert_with(copied))
        };
        let mut folders = BTreeMap::new();
        for (id, folder) in &state.folders {
            let mut names = |names: &BTreeMap<FileId, Shared>| {
                names.iter().map(|(file, inode)| (*file, copy(inode))).collect()
            };
            let (now, safe) = (names(&folder.now), names(&folder.safe));
            let pending = folder.pending.iter().map(|change| match change {
                Name::Add(file, inode) => Name::Add(*file, copy(inode)),
                Name::Remove(file) => Name::Remove(*file),
            });
            let pending = pending.collect();
            folders.insert(*id, Folder { now, safe, pending });
        }
        Self::holding(State {
            database: state.database.as_ref().map(&mut copy),
            provisional: state.provisional.as_ref().map(&mut copy),
            database_name: state.database_name,
            store_id: state.store_id.clone(),
            safe_store_id: state.safe_store_id.clone(),
            commit_marks: state.commit_marks.clone(),
            place: state.place,
            folders,
            ..State::default()
        })
    }

    /// Returns a copy of the disk, made at once and while nothing was written.
    pub(crate) fn copied(&self) -> Self {
        let copy = self.process_killed();
        copy.state().place = new_place();
        copy
    }

    pub(crate) fn refuse(&self, refused: Refused) {
        self.state().refused = refused;
    }

    /// Undoes all marks of the newest commit that the other disk, of an earlier time, does not
    /// have.
    pub(crate) fn undo_marks(&self, earlier: &Self) {
        let kept = earlier.state().commit_marks.len();
        self.state().commit_marks.truncate(kept);
    }

    /// Replaces the database by that of another disk, as restoring a backup does.
    pub(crate) fn restore_database(&self, backup: &Self) {
        self.state().database = backup.state().database.clone();
    }

    /// Replaces the mark of the newest commit by that of another disk, as restoring a backup does:
    /// its file changes an hour after it was written.
    pub(crate) fn restore_commit_mark(&self, backup: &Self) {
        let mut mark = backup.state().commit_marks.last().unwrap().clone();
        mark.changed += Duration::from_hours(1);
        self.state().commit_marks.push(mark);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}

/// Releases the lock on drop.
struct Lock(Arc<AtomicBool>);

impl Drop for Lock {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

impl Disk for SimDisk {
    fn location(&self) -> PathBuf {
        PathBuf::from("simulated")
    }

    fn lock(&self) -> Result<DiskLock, LockError> {
        if self.locked.swap(true, Ordering::SeqCst) {
            return Err(LockError::Held(None));
        }
        Ok(Box::new(Lock(Arc::clone(&self.locked))))
    }

    fn open_database(&self) -> io::Result<Option<Box<dyn DatabaseFile>>> {
        let inode = self.state().database.clone();
        Ok(inode.map(|inode| {
            Box::new(SimDatabase { disk: self.clone(), inode }) as Box<dyn DatabaseFile>
        }))
    }

    fn create_database(&self) -> io::Result<Box<dyn DatabaseFile>> {
        let mut state = self.state();
        state.step()?;
        let inode = Shared::default();
        state.provisional = Some(Arc::clone(&inode));
        Ok(Box::new(SimDatabase { disk: self.clone(), inode }))
    }

    fn name_database(&self) -> io::Result<()> {
        let mut state = self.state();
        state.sync_step()?;
        let inode = state.provisional.take().ok_or(io::ErrorKind::NotFound)?;
        lock(&inode).sync();
        state.database = Some(inode);
        state.database_name = DatabaseName::Pending;
        state.sync_step()?;
        state.database_name = DatabaseName::Safe;
        Ok(())
    }

    fn read_store_id(&self) -> io::Result<Option<Vec<u8>>> {
        Ok(self.state().store_id.clone())
    }

    fn write_store_id(&self, line: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        state.sync_step()?;
        state.store_id = Some(line.to_vec());
        state.sync_step()?;
        state.safe_store_id = state.store_id.clone();
        Ok(())
    }

    fn read_commit_mark(&self) -> io::Result<Option<FoundMark>> {
        let state = self.state();
        if state.refused == Refused::ReadingMarks {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        Ok(state.commit_marks.last().map(|mark| FoundMark { place: state.place, ..mark.clone() }))
    }

    fn commit_mark_place(&self) -> io::Result<MarkPlace> {
        Ok(self.state().place)
    }

    fn write_commit_mark(&self, mark: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        state.step()?;
        if state.refused == Refused::EverySecondMark && !state.commit_marks.len().is_multiple_of(2)
        {
            return Err(io::Error::other("the disk reports a write error"));
        }
        let (changed, place) = (SystemTime::now(), state.place);
        state.commit_marks.push(FoundMark { bytes: mark.to_vec(), changed, place });
        Ok(())
    }

    fn remove_commit_mark(&self) -> io::Result<()> {
        let mut state = self.state();
        state.step()?;
        state.commit_marks.clear();
        Ok(())
    }

    fn create(&self, _expected_bytes: u64) -> io::Result<Box<dyn StagedFile>> {
        self.state().step()?;
        Ok(Box::new(SimStaged { disk: self.clone(), inode: Shared::default() }))
    }

    fn open(&self, file: FileId) -> io::Result<Box<dyn DataFile>> {
        let state = self.state();
        let inode = state.folders.get(&file.folder()).and_then(|folder| folder.now.get(&file));
        let inode = inode.ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(SimFile(Arc::clone(inode))))
    }

    fn remove(&self, file: FileId) -> io::Result<()> {
        let mut state = self.state();
        state.step()?;
        if state.refused == Refused::Removals {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        if let Some(folder) = state.folders.get_mut(&file.folder())
            && folder.now.contains_key(&file)
        {
            folder.change(Name::Remove(file));
        }
        Ok(())
    }

    fn make_folder(&self, folder: FolderId) -> io::Result<()> {
        let mut state = self.state();
        if !state.folders.contains_key(&folder) {
            state.sync_step()?;
            state.folders.insert(folder, Folder::default());
        }
        Ok(())
    }

    fn sync_folder(&self, folder: FolderId) -> io::Result<()> {
        let mut state = self.state();
        state.sync_step()?;
        let folder = state.folders.get_mut(&folder).ok_or(io::ErrorKind::NotFound)?;
        folder.safe = folder.now.clone();
        folder.pending.clear();
        Ok(())
    }

    fn remove_empty_folder(&self, folder: FolderId) -> io::Result<bool> {
        let mut state = self.state();
        state.step()?;
        let empty = state.folders.get(&folder).is_some_and(|folder| folder.now.is_empty());
        if empty {
            state.folders.remove(&folder);
        }
        Ok(empty)
    }

    fn folders(&self) -> io::Result<Vec<FolderId>> {
        Ok(self.state().folders.keys().copied().collect())
    }

    fn files(&self, folder: FolderId) -> io::Result<Vec<FileId>> {
        let state = self.state();
        Ok(state
            .folders
            .get(&folder)
            .map(|folder| folder.now.keys().copied().collect())
            .unwrap_or_default())
    }

    fn strangers(&self, _named_max: usize) -> io::Result<(Vec<PathBuf>, u64)> {
        Ok((Vec::new(), 0))
    }

    fn leftovers(&self) -> io::Result<Vec<PathBuf>> {
        Ok(Vec::new())
    }

    fn remove_leftover(&self, _leftover: &Path) -> io::Result<()> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn space(&self) -> io::Result<Space> {
        let state = self.state();
        let total_bytes = state.capacity_bytes.unwrap_or(u64::MAX);
        Ok(Space { available_bytes: total_bytes.saturating_sub(state.used_bytes()), total_bytes })
    }
}
