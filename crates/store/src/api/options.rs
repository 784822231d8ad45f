//! How to open a store.

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use haul_parts::Limits;

/// How to open a store. The defaults are those of `haul serve`.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// Sizes and counts that uploads must keep to; those of AWS.
    pub limits: Limits,
    /// How much memory the metadata database may use for its cache; 64 MiB.
    pub cache_bytes: usize,
    /// How much of the disk stays free for metadata: bytes of objects are refused before the disk is fuller than this.
    /// 16 MiB, and never more than 1/16 of the disk.
    pub reserve_bytes: u64,
    /// What time it is.
    pub clock: Clock,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self { limits: Limits::AWS, cache_bytes: 64 << 20, reserve_bytes: 16 << 20, clock: Clock::default() }
    }
}

/// What time it is: that of the system, or that of a test.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> SystemTime + Send + Sync>);

impl Clock {
    /// A clock that tells what `now` returns.
    pub fn new(now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The time in milliseconds since 1970; a clock before that is at zero.
    pub(crate) fn now_ms(&self) -> u64 {
        let since = (self.0)().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new(SystemTime::now)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}
