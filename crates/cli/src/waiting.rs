//! Prints a message at intervals while a command waits for a store that does not answer.
//!
//! Transfers show their progress; `ls`, `rm`, `abort` and the like do not, and retries at an
//! unavailable store take up to a minute. Silence for that long looks like a hang.

use std::future::Future;
use std::time::Duration;

use serde::Serialize;

use crate::output::Mode;

/// The time before the first message.
const FIRST: Duration = Duration::from_secs(3);
/// The time between two messages.
const EVERY: Duration = Duration::from_secs(10);

/// The message, for programs.
#[derive(Serialize)]
#[serde(tag = "event", rename = "waiting")]
struct Waiting {
    /// The time since the command started.
    waited_ms: u64,
}

/// Waits for `work`, and reports on stderr (or as an event) that it still runs.
pub(crate) async fn noted<T>(mode: Mode, work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    let started = tokio::time::Instant::now();
    let mut next = FIRST;
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            () = tokio::time::sleep_until(started + next) => {
                mode.remark(&format!("still waiting for the store after {} s", next.as_secs()));
                let waited_ms = u64::try_from(next.as_millis()).unwrap_or(u64::MAX);
                mode.event(&Waiting { waited_ms });
                next += EVERY;
            }
        }
    }
}
