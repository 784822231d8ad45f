//! The parts of the pool: the waiting bytes of each, and the choice of the parts to advance
//! together.

use std::collections::{BTreeMap, VecDeque};

use bytes::{Buf, Bytes};
use haul_parts::lanes::Md5Stream;

use super::threads::Threads;

/// A part with this many waiting bytes may join a group.
pub(super) const COMPANY_WAITING_BYTES: usize = 256 << 10;
/// The maximum bytes that wait in all parts together.
pub(super) const POOL_WAITING_MAX_BYTES: usize = 24 << 20;

#[derive(Debug, Default)]
pub(super) struct Parts {
    pub(super) next: u64,
    pub(super) waiting_bytes: usize,
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
    pub(super) blocks: VecDeque<Bytes>,
    pub(super) size_bytes: usize,
}

/// A part that is taken out of the pool while a thread advances it.
pub(super) struct Member {
    pub(super) number: u64,
    pub(super) md5: Md5Stream,
    pub(super) waiting: Waiting,
}

impl Waiting {
    pub(super) fn push(&mut self, block: Bytes) {
        if !block.is_empty() {
            self.size_bytes += block.len();
            self.blocks.push_back(block);
        }
    }

    pub(super) fn front(&self) -> &[u8] {
        self.blocks.front().map_or(&[], |block| block)
    }

    pub(super) fn advance(&mut self, count: usize) {
        self.size_bytes -= count;
        if let Some(block) = self.blocks.front_mut() {
            block.advance(count);
            if block.is_empty() {
                self.blocks.pop_front();
            }
        }
    }
}

impl Parts {
    /// Takes the parts to advance now, if that is worthwhile: urgent ones first, then those with
    /// the most waiting bytes.
    pub(super) fn take_group(&mut self, lanes: usize) -> Option<Vec<Member>> {
        let full = self.waiting_bytes > POOL_WAITING_MAX_BYTES;
        let mut ready: Vec<(Urgency, usize, u64)> = self
            .by_number
            .iter()
            .filter(|(_, part)| part.md5.is_some() && part.waiting.size_bytes > 0)
            .map(|(number, part)| (part.urgency, part.waiting.size_bytes, *number))
            .collect();
        ready.sort_unstable_by(|a, b| b.cmp(a));
        let company = ready.iter().filter(|(_, bytes, _)| *bytes >= COMPANY_WAITING_BYTES).count();
        let urgent = ready.first().is_some_and(|(urgency, ..)| *urgency != Urgency::None);
        if !(urgent || full || company >= lanes) {
            return None;
        }
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

    pub(super) fn give_back(&mut self, group: Vec<Member>, hashed_bytes: usize) {
        self.waiting_bytes -= hashed_bytes;
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
                // The part was dropped in between; its remaining bytes were counted until now.
                None => self.waiting_bytes -= member.waiting.size_bytes,
            }
        }
    }
}
