//! Advice: what a caller can do after an error.

use std::time::Duration;

/// What to do after an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// The same request may succeed, but not before `after` if the store asked for that.
    Retry {
        /// The minimum wait, from the `Retry-After` header.
        after: Option<Duration>,
    },
    /// Refresh credentials, clock or region, then repeat the request.
    Refresh,
    /// The progress is kept: resume once the cause is removed.
    Resume,
    /// A repetition cannot succeed.
    GiveUp,
}
