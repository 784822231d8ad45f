//! Chooses the next file. No I/O.
//!
//! Short files are taken in the order in which they were found. Long files are taken longest first,
//! a few at a time. So many short files and a few long ones are transferred together, and the end
//! of a tree does not consist of a single long file.

use std::collections::{BTreeMap, VecDeque};

/// The waiting files, and the number in flight of each kind.
#[derive(Debug)]
pub(super) struct Queue<T> {
    short: VecDeque<T>,
    /// Long files by length; files of equal length in the order in which they were found.
    long: BTreeMap<(u64, std::cmp::Reverse<u64>), T>,
    found: u64,
    limits: Limits,
    short_running: usize,
    long_running: usize,
}

/// The limits of waiting files and files in flight.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// The length from which a file counts as long.
    pub(super) long_bytes: u64,
    pub(super) short_running_max: usize,
    pub(super) long_running_max: usize,
    pub(super) waiting_max: usize,
}

/// The kind of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    Short,
    Long,
}

impl<T> Queue<T> {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            short: VecDeque::new(),
            long: BTreeMap::new(),
            found: 0,
            limits,
            short_running: 0,
            long_running: 0,
        }
    }

    /// Returns whether one more file may wait.
    pub(super) fn has_room(&self) -> bool {
        self.short.len() + self.long.len() < self.limits.waiting_max
    }

    pub(super) fn push(&mut self, file: T, size_bytes: u64) {
        self.found += 1;
        if size_bytes >= self.limits.long_bytes {
            self.long.insert((size_bytes, std::cmp::Reverse(self.found)), file);
        } else {
            self.short.push_back(file);
        }
    }

    /// Returns the next file that may be started now.
    pub(super) fn start(&mut self) -> Option<(T, Length)> {
        if self.long_running < self.limits.long_running_max
            && let Some((_, file)) = self.long.pop_last()
        {
            self.long_running += 1;
            return Some((file, Length::Long));
        }
        if self.short_running < self.limits.short_running_max
            && let Some(file) = self.short.pop_front()
        {
            self.short_running += 1;
            return Some((file, Length::Short));
        }
        None
    }

    /// Records that the transfer of a file has ended.
    pub(super) fn ended(&mut self, length: Length) {
        let running = match length {
            Length::Short => &mut self.short_running,
            Length::Long => &mut self.long_running,
        };
        *running = running.saturating_sub(1);
    }

    pub(super) fn running(&self) -> usize {
        self.short_running + self.long_running
    }

    /// Discards the waiting files.
    pub(super) fn clear(&mut self) {
        self.short.clear();
        self.long.clear();
    }

    /// Returns whether no file waits or is in flight.
    pub(super) fn is_idle(&self) -> bool {
        self.short.is_empty() && self.long.is_empty() && self.running() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_begin_first_and_the_short_in_their_order() {
        let mut queue = Queue::new(Limits {
            long_bytes: 10,
            short_running_max: 2,
            long_running_max: 1,
            waiting_max: 6,
        });
        for (name, size) in [("a", 1), ("b", 12), ("c", 2), ("d", 30), ("e", 12), ("f", 3)] {
            assert!(queue.has_room());
            queue.push(name, size);
        }
        assert!(!queue.has_room());
        let mut begun = vec![];
        while let Some((name, _)) = queue.start() {
            begun.push(name);
        }
        assert_eq!(begun, ["d", "a", "c"]);
        queue.ended(Length::Long);
        assert_eq!(queue.start(), Some(("b", Length::Long)), "the first of one length");
        queue.ended(Length::Short);
        assert_eq!(queue.start(), Some(("f", Length::Short)));
        assert!(!queue.is_idle());
        queue.ended(Length::Long);
        assert_eq!(queue.start(), Some(("e", Length::Long)));
        queue.ended(Length::Long);
        queue.ended(Length::Short);
        queue.ended(Length::Short);
        assert!(queue.is_idle());
    }
}
