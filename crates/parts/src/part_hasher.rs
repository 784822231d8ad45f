//! Hashes the bytes of an object in order and part by part, for several layouts and algorithms in
//! one pass.
//!
//! The MD5s of all layouts advance side by side in the lanes, so that several layouts cost little
//! more than one. This module does no I/O: the caller reads the bytes and chooses the lanes.

use crate::lanes::{LaneInput, Md5Lanes, Md5Stream};
use crate::{
    Checksum, ChecksumAlgorithm, ChecksumError, CompositeChecksum, ETag, Hasher, PartLayout,
};

/// The maximum number of bytes that are passed to one hash before the next hash gets the same
/// bytes. So many fit into a usual L1 cache.
const RUN_BYTES: usize = 32 * 1024;

/// The checksums of every part of a layout, in one algorithm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartChecksums {
    /// The layout of the parts: their number and sizes.
    pub layout: PartLayout,
    /// The checksum of each part, in order.
    pub checksums: Vec<Checksum>,
}

impl PartChecksums {
    /// Returns the ETag that S3 gives to an object with these parts; `None` unless the algorithm is
    /// MD5.
    pub fn etag(&self) -> Option<ETag> {
        let md5s: Option<Vec<_>> = self.checksums.iter().map(Checksum::as_md5).collect();
        md5s.map(ETag::composite)
    }

    /// Returns the composite checksum of an object with these parts.
    ///
    /// # Errors
    /// There are no checksums, or they are of several algorithms.
    pub fn composite(&self) -> Result<CompositeChecksum, ChecksumError> {
        CompositeChecksum::from_parts(self.checksums.iter().copied())
    }

    /// Returns the checksum of all bytes together.
    ///
    /// # Errors
    /// There is more than one part, and the algorithm is not a CRC.
    pub fn full_object(&self) -> Result<Checksum, ChecksumError> {
        if let [only] = self.checksums[..] {
            return Ok(only);
        }
        let sizes = self.layout.parts().map(|part| part.end - part.start);
        crate::combine_full_object(self.checksums.iter().copied().zip(sizes))
    }
}

/// Running checksums of the parts of one object, for one layout or several.
#[derive(Debug)]
pub struct PartHasher {
    tracks: Vec<Track>,
    lanes: Md5Lanes,
}

#[derive(Debug)]
struct Track {
    layout: PartLayout,
    algorithm: ChecksumAlgorithm,
    state: HasherState,
    /// The number of bytes that the current part still lacks.
    left_bytes: u64,
    done: Vec<Checksum>,
}

#[derive(Debug)]
enum HasherState {
    Md5(Md5Stream),
    /// Boxed, because a `Hasher` is several times as large as an `Md5Stream`.
    Other(Box<Hasher>),
}

impl PartHasher {
    /// Creates a hasher that has read no bytes yet. It computes the checksum of every part of each
    /// layout, in the algorithm given with that layout.
    pub fn new(
        wanted: impl IntoIterator<Item = (PartLayout, ChecksumAlgorithm)>,
        lanes: Md5Lanes,
    ) -> Self {
        let tracks = wanted.into_iter().map(|(layout, algorithm)| Track {
            left_bytes: part_bytes(&layout, 0),
            done: Vec::with_capacity(usize::from(layout.part_count())),
            state: HasherState::new(algorithm),
            layout,
            algorithm,
        });
        Self { tracks: tracks.collect(), lanes }
    }

    /// Adds the next bytes. A layout ignores bytes after the end of its last part.
    pub fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let boundary = self.tracks.iter().filter(|track| !track.is_done());
            let boundary = boundary.map(|track| track.left_bytes).min().unwrap_or(u64::MAX);
            let run = usize::try_from(boundary).unwrap_or(usize::MAX).min(RUN_BYTES);
            let (now, rest) = bytes.split_at(bytes.len().min(run.max(1)));
            self.advance(now);
            bytes = rest;
        }
    }

    /// Returns the checksums of each layout, in the order of the layouts given to
    /// [`PartHasher::new`]. A part that got no bytes counts as empty.
    pub fn finish(self) -> Vec<PartChecksums> {
        let finished = self.tracks.into_iter().map(|mut track| {
            while !track.is_done() {
                track.close_part();
            }
            PartChecksums { layout: track.layout, checksums: track.done }
        });
        finished.collect()
    }

    /// Adds bytes that end no later than the current part of any layout.
    fn advance(&mut self, run: &[u8]) {
        let mut jobs = Vec::with_capacity(self.tracks.len());
        for track in self.tracks.iter_mut().filter(|track| !track.is_done()) {
            match &mut track.state {
                HasherState::Md5(stream) => jobs.push(LaneInput { stream, bytes: run }),
                HasherState::Other(hasher) => hasher.update(run),
            }
        }
        self.lanes.update(&mut jobs);
        for track in self.tracks.iter_mut().filter(|track| !track.is_done()) {
            track.left_bytes = track.left_bytes.saturating_sub(run.len() as u64);
            while track.left_bytes == 0 && !track.is_done() {
                track.close_part();
            }
        }
    }
}

impl Track {
    fn is_done(&self) -> bool {
        self.done.len() == usize::from(self.layout.part_count())
    }

    fn close_part(&mut self) {
        let state = std::mem::replace(&mut self.state, HasherState::new(self.algorithm));
        self.done.push(state.finish());
        self.left_bytes = part_bytes(&self.layout, self.done.len());
    }
}

impl HasherState {
    fn new(algorithm: ChecksumAlgorithm) -> Self {
        match algorithm {
            ChecksumAlgorithm::Md5 => Self::Md5(Md5Stream::new()),
            other => Self::Other(Box::new(Hasher::new(other))),
        }
    }

    fn finish(self) -> Checksum {
        match self {
            Self::Md5(stream) => Checksum::from_md5(stream.finish()),
            Self::Other(hasher) => hasher.finish(),
        }
    }
}

fn part_bytes(layout: &PartLayout, index: usize) -> u64 {
    layout.part(index).map_or(0, |part| part.end - part.start)
}
