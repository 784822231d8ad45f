//! Limits the parts of a stream that are held in memory: those being read, in flight, and repeated.
//!
//! A part of a stream cannot be read again, so it is held from its first byte until the store has
//! acknowledged it. On a fast link a few parts are enough, because the next one is read while they
//! are sent; as many parts as requests at the gate would only take memory, 128 MiB by default. On a
//! long link, more parts in flight move more bytes and are worth their memory. So the limit starts
//! low and climbs by goodput, like the gate's ([`adaptive`](crate::pace::adaptive)); it never
//! exceeds the gate's limit nor the memory budget, which hold besides.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use haul_parts::{PartNumber, limits::MIB};

use crate::body::{BufferPool, Meter};
use crate::pace::Gate;
use crate::pace::adaptive::{Controller, Reading, Sample};

/// The bytes held at the start, in whole parts.
const AT_START_BYTES: u64 = 24 * MIB;

/// The parts held at the start, at least: one being read and two in flight.
const AT_START_MIN: u64 = 3;

/// The time of a part below which it says nothing: three parts that take less than this each move
/// 500 MB/s, and whatever is faster depends on this machine and not on a link.
const FAST: Duration = Duration::from_millis(50);

/// The limit on the parts of one stream in memory.
pub(super) struct HeldLimit {
    /// `None`: the number of requests is fixed, and so is the memory that they need.
    controller: Option<Controller>,
    meter: Meter,
    began: Instant,
    /// The start of each part in flight, and the number of parts that were held then.
    started: HashMap<PartNumber, (Reading, u32)>,
}

impl HeldLimit {
    /// Creates the limit of a stream whose first parts have `part_size_bytes`; `meter` counts its
    /// bytes.
    pub(super) fn new(part_size_bytes: u64, gate: &Gate, pool: &BufferPool, meter: Meter) -> Self {
        let part_size_bytes = part_size_bytes.max(1);
        let count = |parts: u64| u32::try_from(parts).unwrap_or(u32::MAX);
        let start = count((AT_START_BYTES / part_size_bytes).max(AT_START_MIN));
        let max = count(pool.budget_bytes() / part_size_bytes).min(gate.most()).max(start);
        let controller = gate.is_adaptive().then(|| Controller::new(start, max));
        Self { controller, meter, began: Instant::now(), started: HashMap::new() }
    }

    /// Returns the number of parts that may be held now, including the one being read.
    pub(super) fn parts(&self) -> usize {
        self.controller.as_ref().map_or(usize::MAX, |controller| controller.limit() as usize)
    }

    /// Records that a part is sent while `held` parts are in memory.
    pub(super) fn started(&mut self, number: PartNumber, held: usize) {
        let reading = self.reading();
        self.started.insert(number, (reading, u32::try_from(held).unwrap_or(u32::MAX)));
    }

    /// Records that the store has acknowledged a part, at its attempt number `attempt`.
    pub(super) fn arrived(&mut self, number: PartNumber, attempt: u32) {
        let (ended, started) = (self.reading(), self.started.remove(&number));
        if let (Some((started, in_flight)), Some(controller), 1) =
            (started, &mut self.controller, attempt)
            && ended.at.saturating_sub(started.at) >= FAST
        {
            controller.succeeded(Sample { started, ended, in_flight });
        }
    }

    fn reading(&self) -> Reading {
        Reading { at: self.began.elapsed(), moved_bytes: self.meter.sent_bytes() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::DEFAULT_BUDGET_BYTES;
    use crate::pace::Concurrency;

    const PART_BYTES: u64 = 8 * MIB;

    fn limit(part_size_bytes: u64, concurrency: Concurrency, meter: &Meter) -> HeldLimit {
        let pool = BufferPool::new(DEFAULT_BUDGET_BYTES);
        let gate = Gate::limited(concurrency, meter.clone(), pool.clone());
        HeldLimit::new(part_size_bytes, &gate, &pool, meter.clone())
    }

    /// Sends 200 rounds of as many parts as may be held, each of which takes `latency`; returns the
    /// limits.
    async fn limits_of(latency: impl Fn(u32) -> Duration) -> Vec<usize> {
        let meter = Meter::default();
        let mut limit = limit(PART_BYTES, Concurrency::default(), &meter);
        let mut limits = vec![];
        for _ in 0..200 {
            let held = limit.parts();
            limits.push(held);
            let count = u32::try_from(held).unwrap();
            let numbers = || (1..=count).map(|number| PartNumber::new(number).unwrap());
            numbers().for_each(|number| limit.started(number, held));
            tokio::time::advance(latency(count)).await;
            meter.add(held as u64 * PART_BYTES);
            numbers().for_each(|number| limit.arrived(number, 1));
        }
        limits
    }

    /// 16 parts of 8 MiB were held, so that a stream into a fast store took 88 MiB.
    #[tokio::test(start_paused = true)]
    async fn a_fast_link_is_served_from_three_parts() {
        let limits = limits_of(|held| Duration::from_millis(10) * held).await;
        assert!(limits.iter().all(|limit| *limit == 3), "{limits:?}");
    }

    /// Three parts fill this link of 80 MB/s: a fourth one is tried now and then.
    #[tokio::test(start_paused = true)]
    async fn a_full_link_is_served_from_three_parts() {
        let limits = limits_of(|held| Duration::from_millis(100) * held).await;
        assert!(limits.iter().all(|limit| *limit <= 4), "{limits:?}");
        assert!(limits.iter().filter(|limit| **limit == 3).count() > 150, "{limits:?}");
    }

    /// Each part takes a second, however many are in flight: more of them move more.
    #[tokio::test(start_paused = true)]
    async fn a_long_link_is_worth_the_memory() {
        let limits = limits_of(|_| Duration::from_secs(1)).await;
        assert_eq!(limits[0], 3);
        assert_eq!(limits.iter().max(), Some(&16), "the memory budget ends it: {limits:?}");
        assert!(limits[40..].iter().all(|limit| *limit >= 12), "{limits:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn short_parts_start_with_the_same_memory() {
        let meter = Meter::default();
        assert_eq!(limit(MIB, Concurrency::default(), &meter).parts(), 24);
        assert_eq!(limit(32 * MIB, Concurrency::default(), &meter).parts(), 3);
        assert_eq!(limit(PART_BYTES, 4.into(), &meter).parts(), usize::MAX, "a number is a number");
    }
}
