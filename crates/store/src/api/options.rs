//! Options for opening a store.

use haul_parts::Limits;

use crate::Clock;

/// Options for opening a store. The defaults are those of `haul serve`.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// The limits for sizes and counts of uploads; by default those of AWS.
    pub limits: Limits,
    /// The cache of the metadata database, in bytes; by default 64 MiB.
    pub cache_bytes: usize,
    /// The bytes of the disk to keep free for metadata: object bytes are refused before the free
    /// space falls below this. By default 16 MiB, and never more than 1/16 of the disk.
    pub reserve_bytes: u64,
    /// The source of the current time.
    pub clock: Clock,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            limits: Limits::AWS,
            cache_bytes: 64 << 20,
            reserve_bytes: 16 << 20,
            clock: Clock::default(),
        }
    }
}
