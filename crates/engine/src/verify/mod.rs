//! Compares local bytes with an object without downloading it.
//!
//! A store keeps a checksum of the object, or an ETag that is a hash of it. The same value is
//! computed from the local bytes in one pass ([`digest`]), over the right parts if the value
//! depends on parts ([`layout`]). A match proves that the bytes are equal. A mismatch proves that
//! they differ only if it is known what the store computed: if the layout was guessed, or if
//! encryption makes the ETag another value, a mismatch proves nothing ([`Verdict::Unproven`]).
//!
//! [`receipt`] records what an upload proved, so that the comparison is possible without the store.

mod compare;
mod digest;
mod layout;
pub mod receipt;
mod striped;
mod verdict;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub use self::compare::{Verification, Verifier};
pub use self::digest::digest;
pub use self::verdict::{Difference, Evidence, LayoutSource, Unproven, Verdict};

/// The maximum number of threads that hash one source; fewer if the machine has fewer cores.
const THREADS_MAX: usize = 8;

/// Options for hashing local bytes. Construct with `..Default::default()`.
#[derive(Clone, Debug)]
pub struct HashOptions {
    /// The maximum number of threads that read and hash one source.
    pub threads: usize,
    /// Counts the bytes that were read.
    pub progress: HashedBytes,
}

impl Default for HashOptions {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self { threads: cores.min(THREADS_MAX), progress: HashedBytes::default() }
    }
}

/// A counter of bytes that were read and hashed; clones share it.
#[derive(Clone, Debug, Default)]
pub struct HashedBytes(Arc<AtomicU64>);

impl HashedBytes {
    /// Returns the number of bytes so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}
