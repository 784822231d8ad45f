//! MD5 of the parts that arrive together, in SIMD lanes.
//!
//! MD5 is the most expensive thing done to a byte here, and one stream of it cannot be made parallel; eight streams side by
//! side cost little more than one. So blocks are not hashed as they come but *wait*, up to a limit per part and one for
//! all. Who has enough waiting and company, reaches a limit, or needs its result, advances every part that has blocks
//! waiting by the same number of bytes, and goes on while enough of them take part.
//!
//! Threads run in slices of milliseconds, in which one part takes megabytes while the others stand still. With small limits
//! it was therefore mostly alone (measured: three quarters of the MD5 time went into single streams at 1 MiB, two fifths at
//! 4 MiB, a fifth at 16 MiB); hence the distance between the two limits, and the moment that a part waits for company before
//! it is hashed alone.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Buf, Bytes};
use haul_parts::md5_lanes::{Md5Job, Md5Lanes, Md5Stream, SideBySide};

/// With so much waiting a part is worth advancing, if there is company.
const PART_WAITING_ENOUGH_BYTES: usize = 1 << 20;
/// How much of one part waits at most; a block more while it is being added.
const PART_WAITING_MAX_BYTES: usize = 16 << 20;
/// How many streams side by side are company: all that are there, between these. Fewer than eight leave lanes empty, which cost the
/// same; more than eight gain little.
const COMPANY_STREAMS_LEAST: usize = 4;
const COMPANY_STREAMS_ENOUGH: usize = 8;
/// With so much waiting a part is company for others.
const COMPANY_WAITING_BYTES: usize = 256 << 10;
/// How long a part that is full and alone waits for others: about what hashing it alone takes.
const COMPANY_AWAITED: Duration = Duration::from_millis(1);
/// How much of all parts waits at most.
const POOL_WAITING_MAX_BYTES: usize = 64 << 20;

/// The parts that are being hashed.
#[derive(Debug)]
pub(crate) struct Md5Pool {
    lanes: SideBySide,
    parts: Mutex<Parts>,
    returned: Condvar,
}

#[derive(Debug, Default)]
struct Parts {
    next: u64,
    waiting_bytes: usize,
    by_number: BTreeMap<u64, Part>,
}

#[derive(Debug, Default)]
struct Part {
    /// `None` while somebody advances it.
    stream: Option<Md5Stream>,
    waiting: Waiting,
}

/// Bytes that are still to be hashed, in order.
#[derive(Debug, Default)]
struct Waiting {
    blocks: VecDeque<Bytes>,
    size_bytes: usize,
}

/// One part of the pool. Dropping it forgets the part.
#[derive(Debug)]
pub(crate) struct PartMd5 {
    pool: Arc<Md5Pool>,
    number: u64,
}

impl Waiting {
    fn push(&mut self, block: Bytes) {
        if !block.is_empty() {
            self.size_bytes += block.len();
            self.blocks.push_back(block);
        }
    }

    fn front(&self) -> &[u8] {
        self.blocks.front().map_or(&[], |block| block)
    }

    fn advance(&mut self, count: usize) {
        self.size_bytes -= count;
        if let Some(block) = self.blocks.front_mut() {
            block.advance(count);
            if block.is_empty() {
                self.blocks.pop_front();
            }
        }
    }
}

impl Md5Pool {
    pub(crate) fn new() -> Self {
        Self { lanes: SideBySide::new(), parts: Mutex::default(), returned: Condvar::new() }
    }

    pub(crate) fn part(self: &Arc<Self>) -> PartMd5 {
        let mut parts = self.parts();
        let number = parts.next;
        parts.next += 1;
        parts.by_number.insert(number, Part { stream: Some(Md5Stream::new()), waiting: Waiting::default() });
        PartMd5 { pool: Arc::clone(self), number }
    }

    fn parts(&self) -> MutexGuard<'_, Parts> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hashes what waits of a part until at most `keep_bytes` of it wait, and of other parts as much on the way.
    fn advance<'p>(
        &'p self,
        mut parts: MutexGuard<'p, Parts>,
        number: u64,
        keep_bytes: usize,
    ) -> MutexGuard<'p, Parts> {
        loop {
            let Some(part) = parts.by_number.get(&number) else { return parts };
            if part.stream.is_none() {
                // Somebody takes it along right now.
                parts = self.returned.wait(parts).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            if part.waiting.size_bytes <= keep_bytes {
                return parts;
            }
            let mut group = parts.take_group(number, self.lanes.lanes());
            let company = parts.company();
            drop(parts);
            let hashed_bytes = self.hash(&mut group, keep_bytes, company);
            parts = self.parts();
            parts.give_back(group, hashed_bytes);
            self.returned.notify_all();
        }
    }

    /// Advances a group side by side until its first part has only `keep_bytes` left, and on while there is company.
    /// Returns how much was hashed.
    fn hash(&self, group: &mut [Member], keep_bytes: usize, company: usize) -> usize {
        let mut hashed_bytes = 0;
        let streams = |group: &[Member]| group.iter().filter(|member| member.waiting.size_bytes > 0).count();
        while group[0].waiting.size_bytes > keep_bytes || streams(group) >= company {
            // As far as all of them go without a change of block: each turn uses up a block at least.
            let fronts = group.iter().map(|member| member.waiting.front().len());
            let step = fronts.filter(|&length| length > 0).min().unwrap_or(0);
            let mut jobs: Vec<Md5Job<'_>> = group
                .iter_mut()
                .filter(|member| member.waiting.size_bytes > 0)
                .map(|Member { stream, waiting, .. }| Md5Job { stream, bytes: &waiting.front()[..step] })
                .collect();
            self.lanes.update(&mut jobs);
            hashed_bytes += step * jobs.len();
            drop(jobs);
            for member in group.iter_mut().filter(|member| member.waiting.size_bytes > 0) {
                member.waiting.advance(step);
            }
        }
        hashed_bytes
    }
}

/// A part that is away from the pool while it is advanced.
struct Member {
    number: u64,
    stream: Md5Stream,
    waiting: Waiting,
}

impl Parts {
    /// How many streams are worth advancing together.
    fn company(&self) -> usize {
        self.by_number.len().clamp(COMPANY_STREAMS_LEAST, COMPANY_STREAMS_ENOUGH)
    }

    /// Whether advancing this part now would advance enough others with it.
    fn has_company(&self, number: u64) -> bool {
        let others = self.by_number.iter().filter(|(other, part)| {
            **other != number && part.stream.is_some() && part.waiting.size_bytes >= COMPANY_WAITING_BYTES
        });
        let wanted = self.company() - 1;
        others.take(wanted).count() == wanted
    }

    /// Takes a part, which must be there, and those with most waiting besides it; the part comes first.
    fn take_group(&mut self, number: u64, size: usize) -> Vec<Member> {
        let mut others: Vec<(usize, u64)> = self
            .by_number
            .iter()
            .filter(|(other, part)| **other != number && part.stream.is_some() && part.waiting.size_bytes > 0)
            .map(|(other, part)| (part.waiting.size_bytes, *other))
            .collect();
        others.sort_unstable_by(|a, b| b.cmp(a));
        std::iter::once(number)
            .chain(others.into_iter().map(|(_, other)| other))
            .take(size)
            .filter_map(|number| {
                let part = self.by_number.get_mut(&number)?;
                let stream = part.stream.take()?;
                Some(Member { number, stream, waiting: std::mem::take(&mut part.waiting) })
            })
            .collect()
    }

    fn give_back(&mut self, group: Vec<Member>, hashed_bytes: usize) {
        self.waiting_bytes -= hashed_bytes;
        for mut member in group {
            match self.by_number.get_mut(&member.number) {
                Some(part) => {
                    // What came meanwhile comes after what is left.
                    let came = std::mem::take(&mut part.waiting);
                    came.blocks.into_iter().for_each(|block| member.waiting.push(block));
                    *part = Part { stream: Some(member.stream), waiting: member.waiting };
                }
                // It was dropped meanwhile; what it had left was counted until now.
                None => self.waiting_bytes -= member.waiting.size_bytes,
            }
        }
    }
}

impl PartMd5 {
    /// Takes the next bytes; they are hashed now or later, and held until then.
    pub(crate) fn take(&self, block: Bytes) {
        let mut parts = self.pool.parts();
        parts.waiting_bytes += block.len();
        let full = parts.waiting_bytes > POOL_WAITING_MAX_BYTES;
        let Some(part) = parts.by_number.get_mut(&self.number) else { return };
        part.waiting.push(block);
        let waiting_bytes = part.waiting.size_bytes;
        if full {
            drop(self.pool.advance(parts, self.number, 0));
            return;
        }
        if waiting_bytes > PART_WAITING_MAX_BYTES
            && !parts.has_company(self.number)
            && parts.by_number.len() > 1
        {
            let waited = self.pool.returned.wait_timeout(parts, COMPANY_AWAITED);
            parts = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let enough = waiting_bytes > PART_WAITING_ENOUGH_BYTES && parts.has_company(self.number);
        if enough || waiting_bytes > PART_WAITING_MAX_BYTES {
            drop(self.pool.advance(parts, self.number, PART_WAITING_ENOUGH_BYTES));
        }
    }

    /// Hashes the next bytes now: for those that cannot be held.
    pub(crate) fn update(&self, bytes: &[u8]) {
        let parts = self.pool.parts();
        let mut parts = self.pool.advance(parts, self.number, 0);
        let Some(mut stream) = parts.by_number.get_mut(&self.number).and_then(|part| part.stream.take())
        else {
            return;
        };
        drop(parts);
        stream.update(bytes);
        if let Some(part) = self.pool.parts().by_number.get_mut(&self.number) {
            part.stream = Some(stream);
        }
        self.pool.returned.notify_all();
    }

    /// The MD5 of all bytes taken.
    pub(crate) fn finish(self) -> [u8; 16] {
        let mut parts = self.pool.advance(self.pool.parts(), self.number, 0);
        let part = parts.by_number.remove(&self.number);
        let stream = part.and_then(|part| part.stream);
        stream.expect("a part stays in the pool as long as its handle lives").finish()
    }
}

impl Drop for PartMd5 {
    fn drop(&mut self) {
        let mut parts = self.pool.parts();
        if let Some(part) = parts.by_number.remove(&self.number) {
            parts.waiting_bytes -= part.waiting.size_bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use haul_parts::{ChecksumAlgorithm, Hasher};
    use proptest::prelude::*;

    use super::*;

    fn md5(bytes: &[u8]) -> [u8; 16] {
        Hasher::checksum(ChecksumAlgorithm::Md5, bytes).as_md5().unwrap()
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

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
        #[test]
        fn parts_hashed_in_company_are_hashed_right(steps in proptest::collection::vec(step(), 1..60)) {
            let pool = Arc::new(Md5Pool::new());
            let mut parts: Vec<(PartMd5, Vec<u8>)> = (0..10).map(|_| (pool.part(), Vec::new())).collect();
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
                    Step::Drop(index) => parts[index] = (pool.part(), Vec::new()),
                }
                let waiting: usize = pool.parts().by_number.values().map(|part| part.waiting.size_bytes).sum();
                prop_assert_eq!(pool.parts().waiting_bytes, waiting);
                prop_assert!(waiting <= 10 * (PART_WAITING_MAX_BYTES + 700_000));
            }
            for (part, bytes) in parts {
                prop_assert_eq!(part.finish(), md5(&bytes));
            }
            prop_assert_eq!(pool.parts().waiting_bytes, 0);
        }
    }

    #[test]
    fn threads_meet_and_part_without_mixing_bytes() {
        let pool = Arc::new(Md5Pool::new());
        let threads: Vec<_> = (0..12_u8)
            .map(|thread| {
                let pool = Arc::clone(&pool);
                std::thread::spawn(move || {
                    for round in 0..6_usize {
                        let part = pool.part();
                        let block = Bytes::from(vec![thread; 90_001 + 1000 * round]);
                        let whole = block.repeat(20 + usize::from(thread));
                        for _ in 0..20 + thread {
                            part.take(block.clone());
                        }
                        // Some are given up.
                        if round % 3 < 2 {
                            assert_eq!(part.finish(), md5(&whole));
                        }
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let parts = pool.parts();
        assert!(parts.by_number.is_empty());
        assert_eq!(parts.waiting_bytes, 0);
    }

    #[test]
    fn what_waits_is_bounded_for_any_number_of_parts() {
        let pool = Arc::new(Md5Pool::new());
        let parts: Vec<PartMd5> = (0..200).map(|_| pool.part()).collect();
        for round in 0..8 {
            for part in &parts {
                part.take(Bytes::from(vec![round; 64 << 10]));
                assert!(pool.parts().waiting_bytes <= POOL_WAITING_MAX_BYTES);
            }
        }
    }
}
