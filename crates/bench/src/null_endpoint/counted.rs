//! Counts the bytes of a connection while they cross it, in small steps: whole bodies would be
//! counted at their end.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::wire::Wire;

/// The most bytes that are counted at once.
const STEP_BYTES: usize = 64 * 1024;

pub(super) struct Counted<W> {
    wire: W,
    moved: Arc<AtomicU64>,
    counts: bool,
}

impl<W> Counted<W> {
    pub(super) fn new(wire: W, moved: Arc<AtomicU64>) -> Self {
        Self { wire, moved, counts: true }
    }

    fn count(&self, bytes: u64) -> u64 {
        if self.counts {
            self.moved.fetch_add(bytes, Ordering::Relaxed);
        }
        bytes
    }
}

impl<W: Wire> Wire for Counted<W> {
    fn fill(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.wire.fill(buffer)?;
        self.count(read as u64);
        Ok(read)
    }

    fn discard(&mut self, most: u64) -> io::Result<u64> {
        let discarded = self.wire.discard(most.min(STEP_BYTES as u64))?;
        Ok(self.count(discarded))
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        bytes.chunks(STEP_BYTES).try_for_each(|step| {
            self.wire.send(step)?;
            self.count(step.len() as u64);
            Ok(())
        })
    }

    fn set_counts(&mut self, counts: bool) {
        self.counts = counts;
    }
}
