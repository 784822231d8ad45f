//! Writes ranges into the temporary file, bypassing the page cache where possible.
//!
//! A download is synced before it is reported, so the page cache saves nothing: copying into it,
//! and writing back from it, costs more than all other work on the bytes (decision 0014). Only
//! writes of whole memory pages to whole pages of the file bypass the cache; other writes, and file
//! systems without direct I/O, use it.

use std::fs::File;
use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::destination::same_file;
use super::in_place::InPlace;
use crate::body::SLICE_ALIGNMENT;

pub(super) struct TargetFile {
    file: Arc<File>,
    /// The same file, opened for direct I/O.
    direct: Option<File>,
    /// Whether the file system has refused direct I/O, although it opened the file for it.
    refused: AtomicBool,
    /// Serialises writers that use the page cache: concurrent ones would spin in the kernel.
    turn: Mutex<()>,
    in_place: InPlace,
}

impl TargetFile {
    /// Creates a file that is written through the page cache, because its data is read back at
    /// once.
    pub(super) fn cached(file: &Arc<File>) -> Self {
        Self {
            file: Arc::clone(file),
            direct: None,
            refused: AtomicBool::new(false),
            turn: Mutex::default(),
            in_place: InPlace::new(false),
        }
    }

    /// Creates a file that bypasses the page cache as far as possible.
    pub(super) fn past_the_cache(file: &Arc<File>, path: &Path) -> Self {
        Self { direct: open_direct(file, path).ok(), ..Self::cached(file) }
    }

    /// Lets worker threads of the runtime write to the file, if it bypasses the page cache: one
    /// that writes to the cache may have to wait until much else is written.
    pub(super) fn written_in_place(self) -> Self {
        if self.direct.is_some() { Self { in_place: InPlace::new(true), ..self } } else { self }
    }

    /// Writes bytes to their offset on this thread, a worker of the runtime; `None` if a blocking
    /// thread has to.
    pub(super) fn write_here(&self, slices: &[Bytes], offset_bytes: u64) -> Option<io::Result<()>> {
        let is_direct = offset_bytes.is_multiple_of(SLICE_ALIGNMENT as u64)
            && slices.iter().all(is_aligned)
            && !self.refused.load(Ordering::Relaxed);
        (is_direct && self.in_place.is_worth_it()).then(|| self.write(slices, offset_bytes))
    }

    /// Writes bytes to their offset. Blocks.
    pub(super) fn write(&self, slices: &[Bytes], offset_bytes: u64) -> io::Result<()> {
        let bytes = slices.iter().map(|slice| slice.len() as u64).sum();
        self.in_place.measured(bytes, || self.write_measured(slices, offset_bytes))
    }

    fn write_measured(&self, slices: &[Bytes], offset_bytes: u64) -> io::Result<()> {
        let mut at = offset_bytes;
        let mut slices = slices;
        if let Some(direct) = &self.direct
            && !self.refused.load(Ordering::Relaxed)
            && at.is_multiple_of(SLICE_ALIGNMENT as u64)
        {
            let aligned = slices.iter().take_while(|slice| is_aligned(slice)).count();
            let (whole, rest) = slices.split_at(aligned);
            match write_whole(direct, whole, at) {
                Ok(()) => {
                    at += whole.iter().map(|slice| slice.len() as u64).sum::<u64>();
                    slices = rest;
                }
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                    self.refused.store(true, Ordering::Relaxed);
                }
                Err(error) => return Err(error),
            }
        }
        if slices.is_empty() {
            return Ok(());
        }
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        write_whole(&self.file, slices, at)
    }
}

#[cfg(target_os = "linux")]
fn open_direct(file: &File, path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;

    let flags = rustix::fs::OFlags::DIRECT | rustix::fs::OFlags::NOFOLLOW;
    let flags = i32::try_from(flags.bits()).map_err(io::Error::other)?;
    let direct = File::options().write(true).custom_flags(flags).open(path)?;
    // The path may belong to another file by now.
    if same_file(&direct.metadata()?, &file.metadata()?) {
        Ok(direct)
    } else {
        Err(io::ErrorKind::NotFound.into())
    }
}

#[cfg(not(target_os = "linux"))]
fn open_direct(_: &File, _: &Path) -> io::Result<File> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Returns whether the address and the length of a slice are multiples of the page size.
fn is_aligned(slice: &Bytes) -> bool {
    slice.len().is_multiple_of(SLICE_ALIGNMENT) && slice.as_ptr().align_offset(SLICE_ALIGNMENT) == 0
}

fn write_whole(file: &File, slices: &[Bytes], mut at: u64) -> io::Result<()> {
    let mut parts: Vec<_> = slices.iter().map(|slice| IoSlice::new(slice)).collect();
    let mut parts = parts.as_mut_slice();
    while !parts.is_empty() {
        match rustix::io::pwritev(file, parts, at) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                at += written as u64;
                IoSlice::advance_slices(&mut parts, written);
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::body::{BufferPool, SLICE_BYTES};
    use crate::transfer::download::kept::Kept;

    fn slices(bytes: &[u8], offset_bytes: u64) -> Vec<Bytes> {
        let mut kept = Kept::at(offset_bytes);
        kept.push(bytes, &BufferPool::new(8 * SLICE_BYTES as u64));
        kept.finish()
    }

    #[test]
    fn bytes_from_any_offset_get_to_their_place() {
        let folder = tempfile::tempdir().unwrap();
        let bytes: Vec<u8> = (0..=250).cycle().take(3 * SLICE_BYTES).collect();
        // The cases write from a page boundary, from between two, and after a part that is not a
        // whole number of pages.
        for (name, cuts) in
            [("whole", vec![SLICE_BYTES]), ("odd", vec![1, 4097, SLICE_BYTES, SLICE_BYTES + 8192])]
        {
            let path = folder.path().join(name);
            let file = Arc::new(File::create_new(&path).unwrap());
            let target = TargetFile::past_the_cache(&file, &path);
            let mut at = 0;
            for cut in cuts.into_iter().chain([bytes.len()]) {
                target.write(&slices(&bytes[at..cut], at as u64), at as u64).unwrap();
                at = cut;
            }
            assert!(fs::read(&path).unwrap() == bytes, "{name}");
        }
    }

    #[test]
    fn whole_pages_are_written_in_place_once_the_disk_is_known_to_be_fast() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let file = Arc::new(File::create_new(&path).unwrap());
        let target = TargetFile::past_the_cache(&file, &path).written_in_place();
        let block = slices(&[7; SLICE_BYTES], 0);
        assert!(target.write_here(&block, 0).is_none(), "nothing is known of the disk");
        (0..4).for_each(|_| target.write(&block, 0).unwrap());
        // The disk of the test may be slow, and its file system without direct I/O.
        let is_fast = target.in_place.is_worth_it();
        assert_eq!(target.write_here(&block, SLICE_BYTES as u64).is_some(), is_fast);
        assert!(target.write_here(&block, 1).is_none(), "not a whole page of the file");
        assert!(target.write_here(&slices(b"odd", 0), 0).is_none(), "not a whole page of memory");
        assert!(TargetFile::cached(&file).write_here(&block, 0).is_none());
        let expected = [7; 2 * SLICE_BYTES];
        assert!(fs::read(&path).unwrap() == expected[..if is_fast { 2 } else { 1 } * SLICE_BYTES]);
    }

    #[test]
    fn another_file_of_the_name_is_not_written_to() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let ours = Arc::new(File::create_new(&path).unwrap());
        fs::remove_file(&path).unwrap();
        fs::write(&path, "theirs").unwrap();
        let target = TargetFile::past_the_cache(&ours, &path);
        target.write(&slices(&[7; SLICE_BYTES], 0), 0).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"theirs");
        assert_eq!(ours.metadata().unwrap().len(), SLICE_BYTES as u64);
    }
}
