//! Open files of the simulated disk.

use std::io;
use std::sync::Arc;

use haul_store::disk::{DataFile, DatabaseFile, FileId, StagedFile};

use super::content::{Change, Name, PAGE_BYTES, Shared, pages};
use super::{SimDisk, lock};

#[derive(Debug)]
pub(super) struct SimStaged {
    pub(super) disk: SimDisk,
    pub(super) inode: Shared,
}

impl StagedFile for SimStaged {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.disk.state();
        let step = state.step();
        let mut inode = lock(&self.inode);
        state.check_capacity(inode.now.len() + bytes.len())?;
        let offset = inode.now.len();
        // A write during the power cut may have reached the disk in part.
        inode.change(Change::Write { offset, bytes: bytes.to_vec() });
        step
    }

    fn sync(&mut self) -> io::Result<()> {
        self.disk.state().sync_step()?;
        lock(&self.inode).sync();
        Ok(())
    }

    fn link(self: Box<Self>, file: FileId) -> io::Result<()> {
        let mut state = self.disk.state();
        let step = state.step();
        let folder = state.folders.get_mut(&file.folder()).ok_or(io::ErrorKind::NotFound)?;
        assert!(!folder.now.contains_key(&file), "file {file} is linked twice");
        folder.change(Name::Add(file, Arc::clone(&self.inode)));
        step
    }
}

#[derive(Debug)]
pub(super) struct SimFile(pub(super) Shared);

impl DataFile for SimFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let inode = lock(&self.0);
        let rest = inode.now.get(usize::try_from(offset).unwrap()..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn read_cached_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<bool> {
        Ok(self.read_at(buffer, offset)? == buffer.len())
    }

    fn size_bytes(&self) -> io::Result<u64> {
        Ok(lock(&self.0).now.len() as u64)
    }
}

#[derive(Debug)]
pub(super) struct SimDatabase {
    pub(super) disk: SimDisk,
    pub(super) inode: Shared,
}

impl DatabaseFile for SimDatabase {
    fn size_bytes(&self) -> io::Result<u64> {
        Ok(lock(&self.inode).now.len() as u64)
    }

    fn set_size(&self, size_bytes: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        let step = state.step();
        let size = usize::try_from(size_bytes).unwrap();
        lock(&self.inode).change(Change::Resize(size));
        step
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let inode = lock(&self.inode);
        let start = usize::try_from(offset).unwrap();
        let bytes =
            inode.now.get(start..start + buffer.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        let step = state.step();
        let offset = usize::try_from(offset).unwrap();
        let new = pages(offset, bytes.len())
            .filter(|page| !lock(&self.inode).pages.contains(page))
            .count();
        state.check_capacity(new * PAGE_BYTES)?;
        lock(&self.inode).change(Change::Write { offset, bytes: bytes.to_vec() });
        step
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.state().sync_step()?;
        lock(&self.inode).sync();
        Ok(())
    }
}
