//! Packets under way: each leaves when its time has come.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The most packets under way; more are dropped. A second of 1 Gbit/s has 83,000.
const PACKETS_MAX: usize = 200_000;
/// The shortest sleep: packets that are due within it leave together, in one wake-up.
const SLEEP_MIN: Duration = Duration::from_micros(200);

/// A queue between the thread that reads packets and the one that writes them.
#[derive(Debug, Default)]
pub(super) struct DelayQueue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The time, then the order of arrival.
    packets: BinaryHeap<Reverse<(Instant, u64, Vec<u8>)>>,
    pushed: u64,
    is_closed: bool,
}

impl DelayQueue {
    /// Adds a packet that leaves at `due`; returns whether there was room.
    pub(super) fn push(&self, due: Instant, packet: Vec<u8>) -> bool {
        let mut state = self.state();
        if state.packets.len() >= PACKETS_MAX {
            return false;
        }
        let number = state.pushed;
        state.pushed += 1;
        state.packets.push(Reverse((due, number, packet)));
        // Otherwise the writer sleeps until a time that it knows, or is awake.
        if state.packets.len() == 1 {
            self.changed.notify_one();
        }
        true
    }

    /// Waits for the next packets, and moves those that are due into `due`; returns whether more
    /// may come.
    pub(super) fn wait(&self, due: &mut Vec<Vec<u8>>) -> bool {
        loop {
            let mut state = self.state();
            if state.is_closed {
                return false;
            }
            let now = Instant::now();
            let Some(first) = state.packets.peek().map(|Reverse((at, ..))| *at) else {
                drop(self.changed.wait(state).unwrap_or_else(PoisonError::into_inner));
                continue;
            };
            while state.packets.peek().is_some_and(|Reverse((at, ..))| *at <= now) {
                due.extend(state.packets.pop().map(|Reverse((.., packet))| packet));
            }
            if !due.is_empty() {
                return true;
            }
            drop(state);
            thread::sleep(first.duration_since(now).max(SLEEP_MIN));
        }
    }

    /// Ends the waiting; packets that are under way are lost.
    pub(super) fn close(&self) {
        self.state().is_closed = true;
        self.changed.notify_one();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_leave_in_the_order_of_their_times() {
        let queue = DelayQueue::default();
        let now = Instant::now();
        for (name, ms) in [(1, 9), (2, 3), (3, 3), (4, 0)] {
            assert!(queue.push(now + Duration::from_millis(ms), vec![name]));
        }
        let mut all = vec![];
        while all.len() < 4 {
            assert!(queue.wait(&mut all));
        }
        assert_eq!(all.concat(), [4, 2, 3, 1]);
        assert!(now.elapsed() >= Duration::from_millis(9));
        queue.close();
        assert!(!queue.wait(&mut all));
    }
}
