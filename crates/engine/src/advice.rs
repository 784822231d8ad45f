//! What a caller can do after an error.

use std::time::Duration;

/// What to do after an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// The same again may succeed, not before `after` if the store asked for that.
    Retry {
        /// `Retry-After`.
        after: Option<Duration>,
    },
    /// Refresh credentials, clock or region, then the same again.
    Refresh,
    /// What is done is kept: continue when the cause is removed.
    Resume,
    /// The same again cannot succeed.
    GiveUp,
}
