//! Writes the bytes of one piece that have been collected, on this thread or on a blocking one.

use std::sync::Arc;

use haul_parts::{MultiHasher, PlannedPart};

use super::{Begun, FetchFailure, Fetcher, RangeTarget};
use crate::body::SLICE_BYTES;
use crate::error::Error;
use crate::transfer::download::kept::Kept;

/// Bytes of a range that are collected before they are written.
pub(super) const BLOCK_BYTES: u64 = 1 << 20;

/// The ranges in flight up to which whole blocks are collected. More ranges collect shorter ones,
/// so that 64 take no more memory than sixteen.
const WHOLE_BLOCKS_MAX: u64 = 16;

impl Fetcher {
    /// Returns the number of bytes that are collected now before they are written: whole slices.
    pub(super) fn block_bytes(&self) -> u64 {
        block_bytes(self.progress.in_flight())
    }

    /// Writes the collected bytes to their destination.
    pub(super) async fn write(
        &self,
        piece: PlannedPart,
        begun: &mut Begun,
    ) -> Result<(), FetchFailure> {
        let RangeTarget::File(file) = &self.target else {
            self.wrote(begun);
            return Ok(());
        };
        if begun.kept.len() == 0 {
            return Ok(());
        }
        let next = Kept::at(piece.offset_bytes + begun.arrived_bytes);
        let kept = std::mem::replace(&mut begun.kept, next).finish();
        let offset_bytes = piece.offset_bytes + begun.done_bytes;
        let unwritable = |source| {
            FetchFailure::from(Error::TargetUnwritable { path: self.path.clone(), source })
        };
        if self.hashes_at_once
            && let Some(written) = file.write_here(&kept, offset_bytes)
        {
            written.map_err(unwritable)?;
            self.wrote(begun);
            return Ok(());
        }
        let file = Arc::clone(file);
        let mut unhashed = (!self.hashes_at_once)
            .then(|| std::mem::replace(&mut begun.hasher, MultiHasher::new([])));
        let written = tokio::task::spawn_blocking(move || {
            if let Some(hasher) = &mut unhashed {
                kept.iter().for_each(|slice| hasher.update(slice));
            }
            file.write(&kept, offset_bytes).map(|()| unhashed)
        });
        let written = written.await.map_err(|error| Error::Internal(error.to_string()))?;
        if let Some(hasher) = written.map_err(unwritable)? {
            begun.hasher = hasher;
        }
        self.wrote(begun);
        Ok(())
    }

    /// Counts all bytes that have arrived as written.
    fn wrote(&self, begun: &mut Begun) {
        self.progress.arrived(begun.arrived_bytes - begun.done_bytes);
        begun.done_bytes = begun.arrived_bytes;
    }
}

fn block_bytes(ranges_in_flight: u32) -> u64 {
    let slice = SLICE_BYTES as u64;
    let share = WHOLE_BLOCKS_MAX * BLOCK_BYTES / u64::from(ranges_in_flight.max(1));
    (share / slice * slice).clamp(slice, BLOCK_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn up_to_64_ranges_hold_no_more_than_sixteen() {
        for ranges in 0..=64 {
            let bytes = block_bytes(ranges);
            assert!(bytes > 0 && bytes.is_multiple_of(SLICE_BYTES as u64), "{ranges}: {bytes}");
            assert!(bytes * u64::from(ranges) <= 16 << 20, "{ranges}: {bytes}");
        }
        assert_eq!(
            [1, 16, 17, 32, 64].map(block_bytes),
            [4, 4, 3, 2, 1].map(|slices| slices << 18)
        );
    }
}
