//! The hashes of the parts that arrive together, side by side.
//!
//! MD5 is the most expensive thing done to a byte here, and one stream of it cannot be made parallel; eight streams side by
//! side cost little more than one. Of SHA-256, with which clients without TLS sign their payload, two cost what one does.
//! So blocks are not hashed as they come but *wait*, up to a limit per part and one for all,
//! and threads of low priority advance those that wait, together. As long as others need the processors these threads hardly
//! run, more parts arrive meanwhile, and the company grows; when everybody waits for them, they have the processors for
//! themselves. On a machine with processors to spare they run at once.
//!
//! Clients that send their parts in bursts (sign 16 MiB, send 16 MiB) never have more than two or three on the way at a
//! time: hashed by whoever came to an end first, most parts were mostly alone.

mod hashes;
mod parts;
mod threads;

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use haul_parts::lanes::{Lanes, Md5, Sha256, Sha256Stream, SideBySide};

use self::hashes::Hashes;
pub(crate) use self::hashes::{Digests, Wanted};
use self::parts::{COMPANY_WAITING_BYTES, Member, POOL_WAITING_MAX_BYTES, Part, Parts, Urgency};
use self::threads::Threads;

/// What is left of a part at its end is hashed by whoever waits for it, up to this: cheaper than calling somebody.
const LITTLE_BYTES: usize = 256 << 10;
/// A part with so much waiting is hashed even without company, until little is left.
const PART_WAITING_ENOUGH_BYTES: usize = 12 << 20;
/// The same of the only part: nobody else will come along.
const ONLY_PART_WAITING_ENOUGH_BYTES: usize = 1 << 20;
/// How much of one part waits at most; a block more while it is being added.
const PART_WAITING_MAX_BYTES: usize = 16 << 20;

/// Who waits longer hashes: threads of low priority get next to nothing of a machine that others keep busy.
const PATIENCE: Duration = Duration::from_millis(100);

/// The parts that are being hashed, and the threads that do it. They start with the first part worth it, and end with the pool.
#[derive(Debug, Default)]
pub(crate) struct HashPool {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    lanes: SideBySide,
    parts: Mutex<Parts>,
    /// Something may be worth hashing now.
    work: Condvar,
    /// Something was hashed.
    hashed: Condvar,
}

/// One part of the pool. Dropping it forgets the part.
#[derive(Debug)]
pub(crate) struct PartHashes {
    shared: Arc<Shared>,
    number: u64,
    /// The SHA-256 when it gains nothing from company.
    own_sha256: Option<Sha256Stream>,
}

impl HashPool {
    /// A part that begins.
    pub(crate) fn part(&self, wanted: Wanted) -> PartHashes {
        let mut parts = self.shared.parts();
        let number = parts.next;
        parts.next += 1;
        // Where company gains nothing, one hash is better made by who brings the bytes, and one by the threads.
        let alone = parts.by_number.is_empty() || Lanes::<Sha256>::lanes(&self.shared.lanes) == 1;
        let own_sha256 = (alone && wanted == Wanted::Md5AndSha256).then(Sha256Stream::new);
        let hashes = Hashes::new(if own_sha256.is_some() { Wanted::Md5 } else { wanted });
        parts.by_number.insert(number, Part { hashes: Some(hashes), ..Part::default() });
        PartHashes { shared: Arc::clone(&self.shared), number, own_sha256 }
    }
}

impl Drop for HashPool {
    fn drop(&mut self) {
        self.shared.parts().threads = Threads::Ended;
        self.shared.work.notify_all();
        self.shared.hashed.notify_all();
    }
}

impl Shared {
    fn parts(&self) -> MutexGuard<'_, Parts> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many parts advance for about the price of one: MD5 gains from more than SHA-256 does.
    fn company(&self) -> usize {
        Lanes::<Md5>::lanes(&self.lanes)
    }

    /// Calls for the threads, which are started by the first call.
    fn call(self: &Arc<Self>, parts: &mut Parts) {
        if parts.threads == Threads::NotStarted {
            parts.threads = threads::start(self);
        }
        self.work.notify_one();
    }

    /// Waits until something was hashed. When the threads do not get to it, or are none, who waits hashes.
    fn wait<'p>(&'p self, mut parts: MutexGuard<'p, Parts>, since: Instant) -> MutexGuard<'p, Parts> {
        let patience = PATIENCE.saturating_sub(since.elapsed());
        if parts.threads == Threads::Running && !patience.is_zero() {
            let waited = self.hashed.wait_timeout(parts, patience);
            return waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        match parts.take_group(self.company()) {
            Some(group) => self.advance(parts, group),
            // What is waited for is away.
            None => self.hashed.wait(parts).unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// Advances a group side by side, as far as all of it goes without a change of block.
    fn advance<'p>(&'p self, parts: MutexGuard<'p, Parts>, mut group: Vec<Member>) -> MutexGuard<'p, Parts> {
        drop(parts);
        let step = group.iter().map(|member| member.waiting.front().len()).min().unwrap_or(0);
        let mut together: Vec<(&mut Hashes, &[u8])> = group
            .iter_mut()
            .map(|Member { hashes, waiting, .. }| (hashes, &waiting.front()[..step]))
            .collect();
        hashes::advance(self.lanes, &mut together);
        let hashed_bytes = step * together.len();
        group.iter_mut().for_each(|member| member.waiting.advance(step));
        let mut parts = self.parts();
        parts.give_back(group, hashed_bytes);
        self.hashed.notify_all();
        parts
    }
}

impl PartHashes {
    /// Takes the next bytes; they are hashed now or later, and held until then. Waits when too much is held.
    pub(crate) fn take(&mut self, block: Bytes) {
        if let Some(sha256) = &mut self.own_sha256 {
            sha256.update(&block);
        }
        let mut parts = self.shared.parts();
        parts.waiting_bytes += block.len();
        let enough = if parts.by_number.len() == 1 {
            ONLY_PART_WAITING_ENOUGH_BYTES
        } else {
            PART_WAITING_ENOUGH_BYTES
        };
        let Some(part) = parts.by_number.get_mut(&self.number) else { return };
        part.waiting.push(block);
        // What is away is not counted here; it comes back, and then more of it is.
        if part.waiting.size_bytes > enough && part.urgency == Urgency::None {
            part.urgency = Urgency::Full;
        }
        if part.waiting.size_bytes >= COMPANY_WAITING_BYTES || parts.waiting_bytes > POOL_WAITING_MAX_BYTES {
            self.shared.call(&mut parts);
        }
        let since = Instant::now();
        let mut limit_bytes = PART_WAITING_MAX_BYTES;
        while parts.waiting_bytes > POOL_WAITING_MAX_BYTES || parts.waiting_of(self.number) > limit_bytes {
            parts = self.shared.wait(parts, since);
            if since.elapsed() >= PATIENCE {
                // Once at it: the next block would wait as long.
                limit_bytes = COMPANY_WAITING_BYTES;
            }
        }
    }

    /// Hashes the next bytes now: for those that cannot be held.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        if let Some(sha256) = &mut self.own_sha256 {
            sha256.update(bytes);
        }
        let Some(mut hashes) = self.catch_up() else { return };
        hashes.update(bytes);
        if let Some(part) = self.shared.parts().by_number.get_mut(&self.number) {
            part.hashes = Some(hashes);
            part.urgency = Urgency::None;
        }
    }

    /// The hashes of all bytes taken.
    pub(crate) fn finish(mut self) -> Digests {
        let hashes = self.catch_up();
        let mut digests = hashes.expect("a part stays in the pool as long as its handle lives").finish();
        if let Some(own) = self.own_sha256.take() {
            digests.sha256 = Some(own.finish());
        }
        digests
    }

    /// The hashes of everything that was taken.
    fn catch_up(&self) -> Option<Hashes> {
        let since = Instant::now();
        let mut parts = self.shared.parts();
        loop {
            let part = parts.by_number.get_mut(&self.number)?;
            if let Some(mut hashes) = part.hashes.take_if(|_| part.waiting.size_bytes <= LITTLE_BYTES) {
                let little = std::mem::take(&mut part.waiting);
                parts.waiting_bytes -= little.size_bytes;
                drop(parts);
                little.blocks.iter().for_each(|block| hashes.update(block));
                return Some(hashes);
            }
            if part.urgency != Urgency::Ending {
                part.urgency = Urgency::Ending;
                self.shared.call(&mut parts);
            }
            parts = self.shared.wait(parts, since);
        }
    }
}

impl Drop for PartHashes {
    fn drop(&mut self) {
        let mut parts = self.shared.parts();
        if let Some(part) = parts.by_number.remove(&self.number) {
            parts.waiting_bytes -= part.waiting.size_bytes;
            self.shared.hashed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use haul_parts::{ChecksumAlgorithm, Hasher};
    use proptest::prelude::*;

    use super::*;

    fn wanted() -> impl Strategy<Value = Wanted> {
        prop_oneof![Just(Wanted::Md5), Just(Wanted::Md5AndSha256)]
    }

    fn digests(bytes: &[u8], wanted: Wanted) -> Digests {
        let of = |algorithm| Hasher::checksum(algorithm, bytes);
        let sha256 = || of(ChecksumAlgorithm::Sha256).bytes().try_into().unwrap();
        Digests {
            md5: of(ChecksumAlgorithm::Md5).as_md5().unwrap(),
            sha256: (wanted == Wanted::Md5AndSha256).then(sha256),
        }
    }

    /// What is done to one of several parts.
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

    /// The parts when none is away any more, not even one that was dropped meanwhile: what waits is what is counted.
    fn at_rest(pool: &HashPool) -> MutexGuard<'_, Parts> {
        let away = |parts: &mut Parts| {
            let waiting: usize = parts.by_number.values().map(|part| part.waiting.size_bytes).sum();
            parts.waiting_bytes != waiting || parts.by_number.values().any(|part| part.hashes.is_none())
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
            wanted in proptest::collection::vec(wanted(), 10),
        ) {
            let pool = HashPool::default();
            pool.shared.parts().threads = threads;
            let mut parts: Vec<(PartHashes, Vec<u8>)> = (0..10).map(|index| (pool.part(wanted[index]), Vec::new())).collect();
            for step in steps {
                match step {
                    Step::Take(index, bytes) => {
                        parts[index].1.extend_from_slice(&bytes);
                        parts[index].0.take(Bytes::from(bytes));
                    }
                    Step::Update(index, bytes) => {
                        parts[index].1.extend_from_slice(&bytes);
                        parts[index].0.update(&bytes);
                    }
                    Step::Drop(index) => parts[index] = (pool.part(wanted[index]), Vec::new()),
                }
                prop_assert!(at_rest(&pool).waiting_bytes <= POOL_WAITING_MAX_BYTES);
            }
            for ((part, bytes), wanted) in parts.into_iter().zip(wanted) {
                prop_assert_eq!(part.finish(), digests(&bytes, wanted));
            }
            prop_assert_eq!(at_rest(&pool).waiting_bytes, 0);
        }
    }

    #[test]
    fn threads_meet_and_part_without_mixing_bytes() {
        let pool = Arc::new(HashPool::default());
        let threads: Vec<_> = (0..12_u8)
            .map(|thread| {
                let pool = Arc::clone(&pool);
                std::thread::spawn(move || {
                    let wanted = if thread % 2 == 0 { Wanted::Md5AndSha256 } else { Wanted::Md5 };
                    for round in 0..6_usize {
                        let mut part = pool.part(wanted);
                        let block = Bytes::from(vec![thread; 90_001 + 1000 * round]);
                        let whole = block.repeat(20 + usize::from(thread));
                        for _ in 0..20 + thread {
                            part.take(block.clone());
                        }
                        // Some are given up.
                        if round % 3 < 2 {
                            assert_eq!(part.finish(), digests(&whole, wanted));
                        }
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let parts = at_rest(&pool);
        assert!(parts.by_number.is_empty());
        assert_eq!(parts.waiting_bytes, 0);
    }

    /// As on a machine where others leave the threads nothing.
    #[test]
    fn who_has_waited_long_enough_hashes() {
        let pool = HashPool::default();
        pool.shared.parts().threads = Threads::Running;
        let mut part = pool.part(Wanted::Md5AndSha256);
        let block = Bytes::from(vec![7; 1 << 20]);
        let blocks = 2 * (PART_WAITING_MAX_BYTES >> 20);
        for _ in 0..blocks {
            part.take(block.clone());
            assert!(pool.shared.parts().waiting_bytes <= PART_WAITING_MAX_BYTES);
        }
        assert_eq!(part.finish(), digests(&block.repeat(blocks), Wanted::Md5AndSha256));
    }

    #[test]
    fn what_waits_is_bounded_for_any_number_of_parts() {
        let pool = HashPool::default();
        let mut parts: Vec<PartHashes> = (0..200).map(|_| pool.part(Wanted::Md5)).collect();
        for round in 0..8 {
            for part in &mut parts {
                part.take(Bytes::from(vec![round; 64 << 10]));
                assert!(pool.shared.parts().waiting_bytes <= POOL_WAITING_MAX_BYTES);
            }
        }
    }
}
