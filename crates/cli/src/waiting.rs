//! A word now and then while a command waits for a store that does not answer.
//!
//! Transfers show their progress; `ls`, `rm`, `abort` and the like have none, and a store that is
//! down keeps them busy with retries for a minute. Silence for that long reads as a hang.

use std::future::Future;
use std::time::Duration;

use serde::Serialize;

use crate::output::Mode;

/// Before the first word.
const FIRST: Duration = Duration::from_secs(3);
/// Between two words.
const EVERY: Duration = Duration::from_secs(10);

/// For programs.
#[derive(Serialize)]
#[serde(tag = "event", rename = "waiting")]
struct Waiting {
    /// Since the command started.
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
                mode.event(&Waiting { waited_ms: u64::try_from(next.as_millis()).unwrap_or(u64::MAX) });
                next += EVERY;
            }
        }
    }
}
