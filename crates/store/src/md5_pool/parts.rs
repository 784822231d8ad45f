//! The parts of the pool: the waiting bytes of each, and the choice of the parts to advance
//! together.

use std::collections::{BTreeMap, VecDeque};

use bytes::{Buf, Bytes};
use haul_parts::lanes::Md5Stream;

use super::threads::Threads;

/// A part with this many waiting bytes may join a group.
pub(super) const COMPANY_WAITING_BYTES: usize = 256 << 10;
/// The maximum memory of the blocks that wait in all parts together.
pub(super) const POOL_HELD_MAX_BYTES: usize = 24 << 20;

#[derive(Debug, Default)]
pub(super) struct Parts {
    pub(super) next: u64,
    /// The memory of all blocks. A block keeps all of it until its last byte is hashed: of two
    /// hundred parts, each may have one of which little is left.
    pub(super) held_bytes: usize,
    pub(super) by_number: BTreeMap<u64, Part>,
    pub(super) threads: Threads,
}

#[derive(Debug, Default)]
pub(super) struct Part {
    /// The hash state; `None` while a thread advances it.
    pub(super) md5: Option<Md5Stream>,
    pub(super) waiting: Waiting,
    pub(super) urgency: Urgency,
}

/// The reason to hash a part even alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Urgency {
    #[default]
    None,
    /// Too many bytes of the part are waiting.
    Full,
    /// A caller waits for the end of the part.
    Ending,
}

/// Bytes still to be hashed, in order.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    pub(super) blocks: VecDeque<Held>,
    pub(super) size_bytes: usize,
    /// The memory of the blocks.
    pub(super) held_bytes: usize,
}

/// A block, or the rest of it, and the memory that it keeps.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) bytes: Bytes,
    pub(super) memory_bytes: usize,
}

/// A part that is taken out of the pool while a thread advances it.
pub(super) struct Member {
    pub(super) number: u64,
    pub(super) md5: Md5Stream,
    pub(super) waiting: Waiting,
}

impl Waiting {
    pub(super) fn push(&mut self, block: Held) {
        if !block.bytes.is_empty() {
            self.size_bytes += block.bytes.len();
            self.held_bytes += block.memory_bytes;
            self.blocks.push_back(block);
        }
    }

    pub(super) fn front(&self) -> &[u8] {
        self.blocks.front().map_or(&[], |block| &block.bytes)
    }

    /// Takes away hashed bytes of the first block; returns the memory that this frees.
    pub(super) fn advance(&mut self, count: usize) -> usize {
        self.size_bytes -= count;
        let Some(block) = self.blocks.front_mut() else { return 0 };
        block.bytes.advance(count);
        if !block.bytes.is_empty() {
            return 0;
        }
        let freed_bytes = self.blocks.pop_front().map_or(0, |block| block.memory_bytes);
        self.held_bytes -= freed_bytes;
        freed_bytes
    }
}

impl Parts {
    /// Iterates over the parts that can be advanced now: not those in the hands of a thread, nor
    /// those without waiting bytes.
    fn ready(&self) -> impl Iterator<Item = (u64, &Part)> {
        let ready = |part: &Part| part.md5.is_some() && part.waiting.size_bytes > 0;
        self.by_number.iter().filter(move |(_, part)| ready(part)).map(|(number, it)| (*number, it))
    }

    /// Returns whether there is a group that is worth advancing now.
    pub(super) fn is_group_due(&self, lanes: usize) -> bool {
        let is_full = self.held_bytes > POOL_HELD_MAX_BYTES;
        let (mut any, mut urgent, mut company) = (false, false, 0);
        for (_, part) in self.ready() {
            any = true;
            urgent |= part.urgency != Urgency::None;
            company += usize::from(part.waiting.size_bytes >= COMPANY_WAITING_BYTES);
        }
        any && (urgent || is_full || company >= lanes)
    }

    /// Takes the parts to advance now, if that is worthwhile: urgent ones first, then those with
    /// the most waiting bytes.
    pub(super) fn take_group(&mut self, lanes: usize) -> Option<Vec<Member>> {
        if !self.is_group_due(lanes) {
            return None;
        }
        let ready = self.ready();
        let mut ready: Vec<(Urgency, usize, u64)> =
            ready.map(|(number, it)| (it.urgency, it.waiting.size_bytes, number)).collect();
        ready.sort_unstable_by(|a, b| b.cmp(a));
        ready.truncate(lanes);
        let group: Vec<Member> = ready
            .into_iter()
            .filter_map(|(_, _, number)| {
                let part = self.by_number.get_mut(&number)?;
                let md5 = part.md5.take()?;
                Some(Member { number, md5, waiting: std::mem::take(&mut part.waiting) })
            })
            .collect();
        (!group.is_empty()).then_some(group)
    }

    /// Marks a part as one with too many waiting bytes, so that it is hashed even alone.
    pub(super) fn make_full(&mut self, number: u64) {
        if let Some(part) = self.by_number.get_mut(&number) {
            part.urgency = part.urgency.max(Urgency::Full);
        }
    }

    pub(super) fn waiting_of(&self, number: u64) -> usize {
        self.by_number.get(&number).map_or(0, |part| part.waiting.size_bytes)
    }

    /// Takes parts back that were advanced, which has freed this memory.
    pub(super) fn give_back(&mut self, group: Vec<Member>, freed_bytes: usize) {
        self.held_bytes -= freed_bytes;
        for mut member in group {
            match self.by_number.get_mut(&member.number) {
                Some(part) => {
                    // Append the bytes that arrived in between after the rest.
                    let came = std::mem::take(&mut part.waiting);
                    came.blocks.into_iter().for_each(|block| member.waiting.push(block));
                    if part.urgency == Urgency::Full
                        && member.waiting.size_bytes < COMPANY_WAITING_BYTES
                    {
                        part.urgency = Urgency::None;
                    }
                    part.md5 = Some(member.md5);
                    part.waiting = member.waiting;
                }
                // The part was dropped in between; its remaining blocks were counted until now.
                None => self.held_bytes -= member.waiting.held_bytes,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LANES: usize = 3;

    fn parts(waiting: &[(usize, Urgency)]) -> Parts {
        let mut parts = Parts::default();
        for (number, (bytes, urgency)) in (0..).zip(waiting) {
            let mut part = Part { md5: Some(Md5Stream::new()), ..Part::default() };
            part.waiting.push(Held { bytes: vec![0; *bytes].into(), memory_bytes: *bytes });
            part.urgency = *urgency;
            parts.held_bytes += bytes;
            parts.by_number.insert(number, part);
        }
        parts
    }

    #[test]
    fn a_group_is_due_if_urgent_full_or_large_enough() {
        let some = (COMPANY_WAITING_BYTES, Urgency::None);
        let few = (COMPANY_WAITING_BYTES - 1, Urgency::None);
        for (waiting, expected) in [
            (vec![], false),
            (vec![some, some, few], false),
            (vec![some, some, some], true),
            (vec![few, (1, Urgency::Ending)], true),
            (vec![few, (0, Urgency::Ending)], false),
            (vec![(POOL_HELD_MAX_BYTES, Urgency::None)], false),
            (vec![(POOL_HELD_MAX_BYTES, Urgency::None), (1, Urgency::None)], true),
        ] {
            let mut parts = parts(&waiting);
            assert_eq!(parts.is_group_due(LANES), expected, "{waiting:?}");
            assert_eq!(parts.take_group(LANES).is_some(), expected, "{waiting:?}");
            assert!(!parts.is_group_due(LANES), "a thread has them: {waiting:?}");
        }
    }
}
