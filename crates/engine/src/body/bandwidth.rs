//! Limits the bytes per second that all transfers of an engine send and receive together.
//!
//! A body that wants to transfer bytes reserves the next interval and waits for its beginning.
//! Reservations follow each other without gaps, so the rate holds for any number of bodies. This
//! file deliberately does not know what the bodies and their bytes are.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// The maximum delay that a body may catch up. Without it, every wake-up that comes a millisecond
/// late would lower the rate.
const CATCH_UP: Duration = Duration::from_millis(100);

/// The minimum piece that a limited body transfers at once; the piece is an eighth of a second's
/// worth.
const PIECE_MIN_BYTES: u64 = 4 << 10;
const PIECE_MAX_BYTES: u64 = 256 << 10;

/// Bytes per second that a request needs: with fewer, stores close its connection (AWS after 20 s
/// without a byte). So a limit on the bandwidth limits requests in flight too.
const REQUEST_BYTES_PER_S: u64 = 256 << 10;

/// A limit in bytes per second on all transfers of an engine. Clones share the limit, which may
/// change at any time. No limit by default.
#[derive(Clone, Debug)]
pub struct Bandwidth(Arc<Line>);

#[derive(Debug)]
struct Line {
    /// Bytes per second; `None`: no limit.
    rate: watch::Sender<Option<u64>>,
    /// The end of the last reservation.
    free_at: Mutex<Option<Instant>>,
}

impl Default for Bandwidth {
    fn default() -> Self {
        Self(Arc::new(Line { rate: watch::Sender::new(None), free_at: Mutex::default() }))
    }
}

impl Bandwidth {
    /// Sets the limit in bytes per second; `None` and 0 remove it. Waiting bodies use the new limit
    /// at once.
    pub fn set(&self, bytes_per_s: Option<u64>) {
        *self.0.free_at.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.0.rate.send_replace(bytes_per_s.filter(|rate| *rate > 0));
    }

    /// Returns the limit in bytes per second.
    pub fn bytes_per_s(&self) -> Option<u64> {
        *self.0.rate.borrow()
    }

    /// Returns the maximum number of bytes that a body should take at once; `None` without a limit.
    pub(crate) fn piece_max_bytes(&self) -> Option<u64> {
        self.bytes_per_s().map(|rate| (rate / 8).clamp(PIECE_MIN_BYTES, PIECE_MAX_BYTES))
    }

    /// Returns the maximum number of requests in flight under this limit.
    pub(crate) fn requests_max(&self) -> u32 {
        let requests = self.bytes_per_s().map(|rate| (rate / REQUEST_BYTES_PER_S).max(1));
        requests.map_or(u32::MAX, |count| u32::try_from(count).unwrap_or(u32::MAX))
    }

    /// Waits until `bytes` may be transferred.
    pub(crate) async fn take(&self, bytes: u64) {
        let mut rate = self.0.rate.subscribe();
        loop {
            let Some(bytes_per_s) = *rate.borrow_and_update() else { return };
            let begins = self.reserve(bytes, bytes_per_s);
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(begins) => return,
                // The sender lives as long as `self`, so an error is impossible.
                _ = rate.changed() => {}
            }
        }
    }

    /// Reserves the next interval and returns its beginning.
    fn reserve(&self, bytes: u64, bytes_per_s: u64) -> Instant {
        let now = Instant::now();
        let earliest = now.checked_sub(CATCH_UP).unwrap_or(now);
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(bytes_per_s.max(1));
        let takes = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        let mut free_at = self.0.free_at.lock().unwrap_or_else(PoisonError::into_inner);
        // The first bytes after an idle time have no delay to catch up.
        let begins = free_at.map_or(now, |free| if free < earliest { now } else { free });
        *free_at = begins.checked_add(takes);
        begins
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    async fn move_bytes(bandwidth: Bandwidth, total: u64) {
        let mut left = total;
        while left > 0 {
            let piece = bandwidth.piece_max_bytes().unwrap_or(total).min(left);
            bandwidth.take(piece).await;
            left -= piece;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn sixteen_bodies_together_keep_to_the_limit() {
        let bandwidth = Bandwidth::default();
        bandwidth.set(Some(20 * MIB));
        let began = Instant::now();
        let bodies = (0..16).map(|_| move_bytes(bandwidth.clone(), 40 * MIB));
        futures_util::future::join_all(bodies).await;
        let took = began.elapsed().as_secs_f64();
        assert!((31.6..32.1).contains(&took), "640 MiB at 20 MiB/s took {took} s");
    }

    /// The bodies of a tree begin and end all the time; none of them gets a free beginning.
    #[tokio::test(start_paused = true)]
    async fn two_hundred_bodies_one_after_another_keep_to_the_limit() {
        use futures_util::StreamExt as _;

        let bandwidth = Bandwidth::default();
        bandwidth.set(Some(20 * MIB));
        let began = Instant::now();
        let bodies = futures_util::stream::iter(0..200_u64)
            .map(|number| move_bytes(bandwidth.clone(), 3 * MIB + number % 7 - 3));
        bodies.buffer_unordered(16).collect::<Vec<()>>().await;
        let took = began.elapsed().as_secs_f64();
        assert!((29.5..30.5).contains(&took), "600 MiB at 20 MiB/s took {took} s");
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_wakes_late_catches_up() {
        let bandwidth = Bandwidth::default();
        bandwidth.set(Some(MIB));
        let began = Instant::now();
        for _ in 0..100 {
            bandwidth.take(MIB / 10).await;
            // As long as its own bytes take: twice the time without catching up.
            tokio::time::sleep(Duration::from_millis(90)).await;
        }
        let took = began.elapsed().as_secs_f64();
        assert!((9.5..10.5).contains(&took), "10 MiB at 1 MiB/s took {took} s");
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_limit_holds_for_bodies_that_wait() {
        let bandwidth = Bandwidth::default();
        bandwidth.set(Some(1));
        let waiting = tokio::spawn(move_bytes(bandwidth.clone(), MIB));
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert!(!waiting.is_finished(), "at one byte per second it takes twelve days");
        let changed = Instant::now();
        bandwidth.set(None);
        waiting.await.unwrap();
        assert_eq!(changed.elapsed(), Duration::ZERO);
        assert_eq!(bandwidth.bytes_per_s(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_rest_is_not_made_up_for() {
        let bandwidth = Bandwidth::default();
        bandwidth.set(Some(MIB));
        bandwidth.take(MIB).await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        let began = Instant::now();
        move_bytes(bandwidth, 10 * MIB).await;
        assert!(began.elapsed() > Duration::from_secs(9));
    }
}
