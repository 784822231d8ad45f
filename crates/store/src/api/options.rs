//! How to open a store.

use haul_parts::Limits;

use crate::Clock;

/// How to open a store. The defaults are those of `haul serve`.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// Sizes and counts that uploads must keep to; those of AWS.
    pub limits: Limits,
    /// How much memory the metadata database may use for its cache; 64 MiB.
    pub cache_bytes: usize,
    /// How much of the disk stays free for metadata: bytes of objects are refused before the disk
    /// is fuller than this. 16 MiB, and never more than 1/16 of the disk.
    pub reserve_bytes: u64,
    /// What time it is.
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
