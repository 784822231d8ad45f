//! Computes the MD5s of parts that arrive at the same time side by side.
//!
//! MD5 is the most expensive work per byte in the store, and one stream cannot be made parallel,
//! but eight streams side by side cost little more than one. So blocks are not hashed when they
//! arrive but *wait*, up to a limit per part and one for all, and low-priority threads advance the
//! waiting parts together. While the processors are busy with other work, these threads hardly run,
//! more parts arrive, and the groups grow; when all other work waits for them, they get the
//! processors. On a machine with idle processors they run at once. Where hashing side by side is
//! not faster (see `measured`), the same threads advance one part after the other.
//!
//! Clients that send their parts in bursts (sign 16 MiB, send 16 MiB) never have more than two or
//! three in flight at a time: if each part were hashed when it ends, most parts would be hashed
//! alone.

mod measured;
mod parts;
mod threads;

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use haul_parts::lanes::{LaneInput, Md5Lanes, Md5Stream};

use self::measured::LANES;
use self::parts::{COMPANY_WAITING_BYTES, Held, Member, POOL_HELD_MAX_BYTES, Part, Parts, Urgency};
use self::threads::Threads;

/// The maximum bytes that a caller hashes itself at the end of a part, which is cheaper than waking
/// a thread.
const LITTLE_BYTES: usize = 256 << 10;
/// A part with this many waiting bytes is hashed even alone, until few are left.
const PART_WAITING_ENOUGH_BYTES: usize = 12 << 20;
/// The same limit if there is only one part, because no other will join it.
const ONLY_PART_WAITING_ENOUGH_BYTES: usize = 1 << 20;
/// The maximum bytes that wait in one part, not counting a block that is being added.
const PART_WAITING_MAX_BYTES: usize = 16 << 20;

/// The time after which a waiting caller hashes itself: on a busy machine, low-priority threads get
/// hardly any processor time.
const PATIENCE: Duration = Duration::from_millis(100);

/// The parts being hashed, and the threads that hash them. The threads start with the first part
/// that needs them, and end with the pool.
#[derive(Debug, Default)]
pub(crate) struct Md5Pool {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    parts: Mutex<Parts>,
    /// Signals that there may be a group to hash.
    work: Condvar,
    /// Signals that bytes were hashed.
    hashed: Condvar,
    /// Replaces the lanes that this machine chose.
    lanes: Option<Md5Lanes>,
}

/// The MD5 of one part in the pool. Dropping it discards the part.
#[derive(Debug)]
pub(crate) struct PartMd5 {
    shared: Arc<Shared>,
    number: u64,
}

impl Md5Pool {
    /// Adds a new part.
    pub(crate) fn part(&self) -> PartMd5 {
        let mut parts = self.shared.parts();
        let number = parts.next;
        parts.next += 1;
        parts.by_number.insert(number, Part { md5: Some(Md5Stream::new()), ..Part::default() });
        PartMd5 { shared: Arc::clone(&self.shared), number }
    }
}

impl Drop for Md5Pool {
    fn drop(&mut self) {
        self.shared.parts().threads = Threads::Ended;
        self.shared.work.notify_all();
        self.shared.hashed.notify_all();
    }
}

impl Shared {
    fn lanes(&self) -> &Md5Lanes {
        self.lanes.as_ref().unwrap_or_else(|| &LANES)
    }

    fn parts(&self) -> MutexGuard<'_, Parts> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes a thread if there is a group to hash; the first call starts the threads. A thread that
    /// is hashing looks for the next group by itself.
    fn call(self: &Arc<Self>, parts: &mut Parts) {
        if parts.threads == Threads::NotStarted {
            parts.threads = threads::start(self);
        }
        if parts.is_group_due(self.lanes().streams()) {
            self.work.notify_one();
        }
    }

    /// Waits until some bytes are hashed. If there are no threads or they are too slow, the caller
    /// hashes.
    fn wait<'p>(
        &'p self,
        mut parts: MutexGuard<'p, Parts>,
        since: Instant,
    ) -> MutexGuard<'p, Parts> {
        let patience = PATIENCE.saturating_sub(since.elapsed());
        if parts.threads == Threads::Running && !patience.is_zero() {
            let waited = self.hashed.wait_timeout(parts, patience);
            return waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        match parts.take_group(self.lanes().streams()) {
            Some(group) => self.advance(parts, group),
            // Another thread is hashing the waiting bytes.
            None => self.hashed.wait(parts).unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// Advances a group side by side, until one member has no complete MD5 block left.
    fn advance<'p>(
        &'p self,
        parts: MutexGuard<'p, Parts>,
        mut group: Vec<Member>,
    ) -> MutexGuard<'p, Parts> {
        drop(parts);
        let step = group.iter().map(|member| member.waiting.front().len()).min().unwrap_or(0);
        let mut jobs: Vec<LaneInput<'_>> = group
            .iter_mut()
            .map(|Member { md5, waiting, .. }| LaneInput {
                stream: md5,
                bytes: &waiting.front()[..step],
            })
            .collect();
        self.lanes().update(&mut jobs);
        let freed_bytes = group.iter_mut().map(|member| member.waiting.advance(step)).sum();
        let mut parts = self.parts();
        parts.give_back(group, freed_bytes);
        self.hashed.notify_all();
        parts
    }
}

impl PartMd5 {
    /// Takes the next bytes and holds them until they are hashed, now or later: in a block that
    /// keeps `memory_bytes`. Blocks while too much memory is held.
    pub(crate) fn take(&mut self, bytes: Bytes, memory_bytes: usize) {
        if bytes.is_empty() {
            return;
        }
        let mut parts = self.shared.parts();
        parts.held_bytes += memory_bytes;
        let enough = if parts.by_number.len() == 1 {
            ONLY_PART_WAITING_ENOUGH_BYTES
        } else {
            PART_WAITING_ENOUGH_BYTES
        };
        let Some(part) = parts.by_number.get_mut(&self.number) else { return };
        part.waiting.push(Held { bytes, memory_bytes });
        // Bytes that are being hashed are not counted here; those left over return and are counted
        // then.
        if part.waiting.size_bytes > enough && part.urgency == Urgency::None {
            part.urgency = Urgency::Full;
        }
        if part.waiting.size_bytes >= COMPANY_WAITING_BYTES
            || parts.held_bytes > POOL_HELD_MAX_BYTES
        {
            self.shared.call(&mut parts);
        }
        let since = Instant::now();
        let mut limit_bytes = PART_WAITING_MAX_BYTES;
        while parts.held_bytes > POOL_HELD_MAX_BYTES || parts.waiting_of(self.number) > limit_bytes
        {
            parts = self.shared.wait(parts, since);
            if since.elapsed() >= PATIENCE {
                // After one wait, wait until far fewer bytes are held: otherwise the next block
                // would wait too. The part must be urgent then: once the pool is no longer full, no
                // thread would hash it for any other reason.
                limit_bytes = COMPANY_WAITING_BYTES;
                parts.make_full(self.number);
            }
        }
    }

    /// Hashes the next bytes now, for bytes that cannot be held.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        let Some(mut md5) = self.catch_up() else { return };
        md5.update(bytes);
        if let Some(part) = self.shared.parts().by_number.get_mut(&self.number) {
            part.md5 = Some(md5);
            part.urgency = Urgency::None;
        }
    }

    /// Returns the MD5 of all bytes.
    pub(crate) fn finish(self) -> [u8; 16] {
        self.catch_up().expect("a part stays in the pool as long as its handle lives").finish()
    }

    /// Hashes the waiting bytes and returns the stream.
    fn catch_up(&self) -> Option<Md5Stream> {
        let since = Instant::now();
        let mut parts = self.shared.parts();
        loop {
            let part = parts.by_number.get_mut(&self.number)?;
            if let Some(mut md5) = part.md5.take_if(|_| part.waiting.size_bytes <= LITTLE_BYTES) {
                let little = std::mem::take(&mut part.waiting);
                parts.held_bytes -= little.held_bytes;
                drop(parts);
                little.blocks.iter().for_each(|block| md5.update(&block.bytes));
                return Some(md5);
            }
            if part.urgency != Urgency::Ending {
                part.urgency = Urgency::Ending;
                self.shared.call(&mut parts);
            }
            parts = self.shared.wait(parts, since);
        }
    }
}

impl Drop for PartMd5 {
    fn drop(&mut self) {
        let mut parts = self.shared.parts();
        if let Some(part) = parts.by_number.remove(&self.number) {
            parts.held_bytes -= part.waiting.held_bytes;
            self.shared.hashed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use haul_parts::lanes::Choice;
    use haul_parts::{ChecksumAlgorithm, Hasher};
    use proptest::prelude::*;

    use super::*;

    fn md5(bytes: &[u8]) -> [u8; 16] {
        Hasher::checksum(ChecksumAlgorithm::Md5, bytes).as_md5().unwrap()
    }

    /// A step of the random test on one of its parts.
    #[derive(Clone, Debug)]
    enum Step {
        Take(usize, Vec<u8>),
        Update(usize, Vec<u8>),
        Drop(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        let bytes = || {
            prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..300),
                (any::<u8>(), 100_000..700_000_usize).prop_map(|(byte, length)| vec![byte; length]),
            ]
        };
        prop_oneof![
            8 => (0..10_usize, bytes()).prop_map(|(part, bytes)| Step::Take(part, bytes)),
            1 => (0..10_usize, bytes()).prop_map(|(part, bytes)| Step::Update(part, bytes)),
            1 => (0..10_usize).prop_map(Step::Drop),
        ]
    }

    /// Waits until no part is being hashed, including dropped ones, and returns the parts. The
    /// memory of their blocks then equals the counted one.
    fn at_rest(pool: &Md5Pool) -> MutexGuard<'_, Parts> {
        let away = |parts: &mut Parts| {
            let held = parts.by_number.values().map(|part| part.waiting.held_bytes);
            parts.held_bytes != held.sum::<usize>()
                || parts.by_number.values().any(|part| part.md5.is_none())
        };
        let limit = Duration::from_secs(20);
        let (parts, timeout) =
            pool.shared.hashed.wait_timeout_while(pool.shared.parts(), limit, away).unwrap();
        assert!(!timeout.timed_out(), "{parts:?}");
        parts
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
        #[test]
        fn parts_hashed_in_company_are_hashed_right(
            steps in proptest::collection::vec(step(), 1..60),
            threads in prop_oneof![Just(Threads::NotStarted), Just(Threads::Refused)],
        ) {
            let pool = Md5Pool::default();
            pool.shared.parts().threads = threads;
            let parts = (0..10).map(|_| (pool.part(), Vec::new()));
            let mut parts: Vec<(PartMd5, Vec<u8>)> = parts.collect();
            for step in steps {
                match step {
                    Step::Take(index, bytes) => {
                        parts[index].1.extend_from_slice(&bytes);
                        let memory_bytes = bytes.len();
                        parts[index].0.take(Bytes::from(bytes), memory_bytes);
                    }
                    Step::Update(index, bytes) => {
                        parts[index].1.extend_from_slice(&bytes);
                        parts[index].0.update(&bytes);
                    }
                    Step::Drop(index) => parts[index] = (pool.part(), Vec::new()),
                }
                prop_assert!(at_rest(&pool).held_bytes <= POOL_HELD_MAX_BYTES);
            }
            for (part, bytes) in parts {
                prop_assert_eq!(part.finish(), md5(&bytes));
            }
            prop_assert_eq!(at_rest(&pool).held_bytes, 0);
        }
    }

    #[test]
    fn threads_meet_and_part_without_mixing_bytes() {
        let pool = Arc::new(Md5Pool::default());
        let threads: Vec<_> = (0..12_u8)
            .map(|thread| {
                let pool = Arc::clone(&pool);
                std::thread::spawn(move || {
                    for round in 0..6_usize {
                        let mut part = pool.part();
                        let block = Bytes::from(vec![thread; 90_001 + 1000 * round]);
                        let whole = block.repeat(20 + usize::from(thread));
                        for _ in 0..20 + thread {
                            part.take(block.clone(), block.len());
                        }
                        // Drop some parts without finishing them.
                        if round % 3 < 2 {
                            assert_eq!(part.finish(), md5(&whole));
                        }
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let parts = at_rest(&pool);
        assert!(parts.by_number.is_empty());
        assert_eq!(parts.held_bytes, 0);
    }

    /// Simulates a machine that leaves the threads no time.
    #[test]
    fn who_has_waited_long_enough_hashes() {
        let pool = Md5Pool::default();
        pool.shared.parts().threads = Threads::Running;
        let mut part = pool.part();
        let block = Bytes::from(vec![7; 1 << 20]);
        let blocks = 2 * (PART_WAITING_MAX_BYTES >> 20);
        for _ in 0..blocks {
            part.take(block.clone(), block.len());
            assert!(pool.shared.parts().waiting_of(part.number) <= PART_WAITING_MAX_BYTES);
        }
        assert_eq!(part.finish(), md5(&block.repeat(blocks)));
    }

    /// Regression: s5cmd sent four parts of 16 MiB to a busy machine. All four callers waited
    /// because the pool was full, hashed until it was not, and then waited for a thread to hash the
    /// rest of their own part, which no thread was due to do. The uploads hung forever.
    #[test]
    fn callers_that_waited_for_a_full_pool_do_not_hang() {
        // Side by side even where one by one is faster: a group of three is then too small.
        let lanes = Some(Md5Lanes::new(Choice::SideBySide { streams_min: 2 }));
        let pool = Md5Pool { shared: Arc::new(Shared { lanes, ..Shared::default() }) };
        pool.shared.parts().threads = Threads::Running;
        let block = Bytes::from(vec![7; 1 << 20]);
        // Together more than the pool holds, each less than makes a part urgent.
        let blocks = 1 + POOL_HELD_MAX_BYTES / (3 << 20);
        assert!(blocks << 20 < PART_WAITING_ENOUGH_BYTES);
        let mut parts = [(); 3].map(|()| pool.part());
        let (done, is_done) = std::sync::mpsc::channel();
        let hashed = block.repeat(blocks);
        std::thread::spawn(move || {
            for part in &mut parts {
                (0..blocks).for_each(|_| part.take(block.clone(), block.len()));
            }
            let _ = done.send(parts.map(PartMd5::finish));
        });
        let hashes = is_done.recv_timeout(Duration::from_secs(20)).expect("the callers hang");
        assert_eq!(hashes, [md5(&hashed); 3]);
    }

    #[test]
    fn what_waits_is_bounded_for_any_number_of_parts() {
        let pool = Md5Pool::default();
        let mut parts: Vec<PartMd5> = (0..200).map(|_| pool.part()).collect();
        for round in 0..8 {
            for part in &mut parts {
                part.take(Bytes::from(vec![round; 64 << 10]), 64 << 10);
                assert!(pool.shared.parts().held_bytes <= POOL_HELD_MAX_BYTES);
            }
        }
    }

    /// A block that counts the memory of those that exist.
    struct Counted(Vec<u8>, Arc<AtomicUsize>);

    impl AsRef<[u8]> for Counted {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }

    impl Drop for Counted {
        fn drop(&mut self) {
            self.1.fetch_sub(1 << 20, Ordering::Relaxed);
        }
    }

    /// Two hundred uploads held as many blocks of a MiB, of which little was still to be hashed:
    /// `haul serve` took 300 MiB, and more with more connections.
    #[test]
    fn the_memory_of_blocks_is_bounded_for_any_number_of_parts() {
        let lanes = Some(Md5Lanes::new(Choice::SideBySide { streams_min: 2 }));
        let pool = Md5Pool { shared: Arc::new(Shared { lanes, ..Shared::default() }) };
        let mut parts: Vec<PartMd5> = (0..100).map(|_| pool.part()).collect();
        let held = Arc::new(AtomicUsize::new(0));
        for round in 1..=5 {
            for (number, part) in parts.iter_mut().enumerate() {
                // Groups advance to the end of their shortest block. Of some, little is filled.
                let length = (1 << 20) - 4096 * (number % 50) * round;
                held.fetch_add(1 << 20, Ordering::Relaxed);
                let block = Counted(vec![7; length], Arc::clone(&held));
                part.take(Bytes::from_owner(block), 1 << 20);
                let held_bytes = held.load(Ordering::Relaxed);
                assert!(held_bytes <= POOL_HELD_MAX_BYTES, "{} MiB", held_bytes >> 20);
            }
        }
    }
}
