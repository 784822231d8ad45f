//! The hashes of one part that are made in company: MD5 always, SHA-256 where somebody wants to know it.

use haul_parts::lanes::{Job, Lanes, Md5Stream, Sha256Stream, SideBySide};

/// How much of each stream goes through one hash before the other gets the same bytes: eight of them fit a usual L2 cache.
const SLICE_BYTES: usize = 64 << 10;

/// Which hashes of a part are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    Md5,
    Md5AndSha256,
}

#[derive(Debug)]
pub(super) struct Hashes {
    md5: Md5Stream,
    sha256: Option<Sha256Stream>,
}

/// What the hashes of a part came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Digests {
    pub(crate) md5: [u8; 16],
    /// When it was asked for.
    pub(crate) sha256: Option<[u8; 32]>,
}

impl Hashes {
    pub(super) fn new(wanted: Wanted) -> Self {
        let sha256 = (wanted == Wanted::Md5AndSha256).then(Sha256Stream::new);
        Self { md5: Md5Stream::new(), sha256 }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        for slice in bytes.chunks(SLICE_BYTES) {
            self.md5.update(slice);
            if let Some(sha256) = &mut self.sha256 {
                sha256.update(slice);
            }
        }
    }

    pub(super) fn finish(self) -> Digests {
        Digests { md5: self.md5.finish(), sha256: self.sha256.map(Sha256Stream::finish) }
    }
}

/// Advances each by its bytes, of which all have equally many.
pub(super) fn advance(lanes: SideBySide, group: &mut [(&mut Hashes, &[u8])]) {
    let step = group.first().map_or(0, |(_, bytes)| bytes.len());
    for start in (0..step).step_by(SLICE_BYTES) {
        let slice = start..step.min(start + SLICE_BYTES);
        let mut md5s = Vec::with_capacity(group.len());
        let mut sha256s = Vec::with_capacity(group.len());
        for (hashes, bytes) in &mut *group {
            let bytes = &bytes[slice.clone()];
            md5s.push(Job { stream: &mut hashes.md5, bytes });
            sha256s.extend(hashes.sha256.as_mut().map(|stream| Job { stream, bytes }));
        }
        lanes.update(&mut md5s);
        lanes.update(&mut sha256s);
    }
}
