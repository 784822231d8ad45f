//! Hashes the parts of one layout at several places of the source in parallel.
//!
//! Each thread takes as many consecutive parts as there are lanes, and reads a slice of each part
//! in turn, so that the MD5s advance together. The memory is one slice per lane and thread.

use std::io;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use haul_parts::lanes::{LaneInput, Md5Stream};
use haul_parts::{Checksum, ChecksumAlgorithm, Hasher, PartLayout};

use super::HashOptions;
use super::digest::LANES;
use crate::source::Source;

/// Bytes that are read from one part before the next part: enough for sequential disk reads.
const SLICE_BYTES: u64 = 512 * 1024;

/// One part that is being hashed.
struct Lane {
    part: usize,
    at: u64,
    end: u64,
    md5: Option<Md5Stream>,
    others: Vec<Hasher>,
    slice: Vec<u8>,
}

/// Computes the checksums of every part, in the order of `algorithms`.
pub(super) fn striped(
    source: &dyn Source,
    layout: &PartLayout,
    algorithms: &[ChecksumAlgorithm],
    options: &HashOptions,
) -> io::Result<Vec<Vec<Checksum>>> {
    let part_count = usize::from(layout.part_count());
    let hashes_md5 = algorithms.contains(&ChecksumAlgorithm::Md5);
    let abreast = if hashes_md5 { NonZeroUsize::new(LANES.streams()) } else { None };
    let abreast = abreast.unwrap_or(NonZeroUsize::MIN).get();
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(None);
    let found: Mutex<Vec<Vec<Checksum>>> = Mutex::new(vec![vec![]; part_count]);
    let work = || {
        let mut slices: Vec<Vec<u8>> = Vec::new();
        while lock(&failed).is_none() {
            let first = next.fetch_add(abreast, Ordering::Relaxed);
            if first >= part_count {
                break;
            }
            let group = (first..part_count.min(first + abreast)).filter_map(|part| {
                let range = layout.part(part)?;
                let slice = slices.pop().unwrap_or_default();
                Some(Lane::new(part, range.start, range.end, algorithms, slice))
            });
            let mut group: Vec<Lane> = group.collect();
            if let Err(error) = hash(source, &mut group, options) {
                *lock(&failed) = Some(error);
                break;
            }
            for mut lane in group {
                slices.push(std::mem::take(&mut lane.slice));
                let part = lane.part;
                lock(&found)[part] = lane.finish(algorithms);
            }
        }
    };
    let threads = options.threads.clamp(1, part_count.div_ceil(abreast));
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(work);
        }
        work();
    });
    match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => Ok(found.into_inner().unwrap_or_else(PoisonError::into_inner)),
    }
}

/// Reads and hashes a group of parts completely.
fn hash(source: &dyn Source, group: &mut [Lane], options: &HashOptions) -> io::Result<()> {
    while group.iter().any(|lane| lane.at < lane.end) {
        for lane in group.iter_mut() {
            let now = SLICE_BYTES.min(lane.end - lane.at);
            lane.slice.resize(usize::try_from(now).expect("a slice fits the memory"), 0);
            source.read_exact_at(lane.at, &mut lane.slice)?;
            lane.at += now;
            options.progress.add(lane.slice.len());
            for hasher in &mut lane.others {
                hasher.update(&lane.slice);
            }
        }
        let jobs = group.iter_mut().filter_map(|lane| {
            let (stream, bytes) = (lane.md5.as_mut()?, &lane.slice[..]);
            (!bytes.is_empty()).then_some(LaneInput { stream, bytes })
        });
        LANES.update(&mut jobs.collect::<Vec<_>>());
    }
    Ok(())
}

impl Lane {
    fn new(
        part: usize,
        at: u64,
        end: u64,
        algorithms: &[ChecksumAlgorithm],
        slice: Vec<u8>,
    ) -> Self {
        let is_md5 = |algorithm: &ChecksumAlgorithm| *algorithm == ChecksumAlgorithm::Md5;
        let others = algorithms.iter().filter(|one| !is_md5(one)).map(|one| Hasher::new(*one));
        let md5 = algorithms.iter().any(is_md5).then(Md5Stream::new);
        Self { part, at, end, md5, others: others.collect(), slice }
    }

    fn finish(mut self, algorithms: &[ChecksumAlgorithm]) -> Vec<Checksum> {
        let mut others = self.others.drain(..).map(Hasher::finish);
        let md5 = self.md5.map(|stream| Checksum::from_md5(stream.finish()));
        let of = |algorithm: &ChecksumAlgorithm| match algorithm {
            ChecksumAlgorithm::Md5 => md5,
            _ => others.next(),
        };
        algorithms.iter().filter_map(of).collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
