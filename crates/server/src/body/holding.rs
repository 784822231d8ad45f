//! Manages memory (room) for requests whose bytes are held as a whole: a document until its
//! response, a signed chunk until its signature is checked.
//!
//! Such bytes cannot be written out, so a request that holds them without sending could make others
//! wait. When a request has waited for [`PATIENCE`], idle holders are displaced: first those of the
//! key pair that holds most, and of these the longest idle first. As many are displaced at once as
//! hold the bytes that all waiting requests still need: fewer would make the same requests wait
//! again, and more would refuse senders unnecessarily. A holder that sends [`BUSY_BYTES`] within
//! [`IDLE_TIME`] is never idle. If all holders wait for more room, none of them can finish: then
//! those that announced most are displaced, the earliest first, until the others have room for
//! everything they announced. A displaced holder is answered `503 SlowDown`, which every client
//! retries.
//!
//! A request that sends chunk after chunk keeps its room between them while others wait. Otherwise
//! those would take it, and the request would wait for idle holders again with each chunk.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use super::room::{ALLOWANCE_BYTES, Room, Take, Taken};
use crate::auth::requester::AccessKeyId;

/// The time that a request waits for room before holders are displaced, and between displacements.
const PATIENCE: Duration = Duration::from_millis(250);
/// The time without [`BUSY_BYTES`] sent after which a holder counts as idle.
const IDLE_TIME: Duration = Duration::from_secs(1);
/// The bytes per [`IDLE_TIME`] that keep a holder from being idle.
const BUSY_BYTES: usize = 16 << 10;

/// Room with a list of its holders, shared by all clones.
#[derive(Clone, Debug)]
pub(crate) struct HeldRoom {
    room: Room,
    room_bytes: usize,
    holders: Arc<Mutex<Holders>>,
}

#[derive(Debug, Default)]
struct Holders {
    next_number: u64,
    by_number: BTreeMap<u64, Holder>,
    /// The time of the last displacement.
    made_room: Option<Instant>,
}

#[derive(Debug)]
struct Holder {
    access_key_id: AccessKeyId,
    announced_bytes: usize,
    bytes: usize,
    /// The last time when the holder had sent [`BUSY_BYTES`].
    busy: Instant,
    sent_since: usize,
    waits_for_room: bool,
    displaced: bool,
    waker: Option<Waker>,
}

/// An error: the holder was displaced to make room for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Displaced;

impl HeldRoom {
    /// Creates room for `bytes` beside the allowance of each request.
    pub(crate) fn new(bytes: usize) -> Self {
        Self { room: Room::new(bytes), room_bytes: bytes, holders: Arc::default() }
    }

    /// Creates the initially empty holding of one request that may need `announced_bytes`.
    pub(crate) fn holding(&self, announced_bytes: usize) -> Holding {
        Holding {
            room: self.clone(),
            // A request that does not announce its size counts as one that needs all room.
            announced_bytes: announced_bytes.min(self.room_bytes),
            number: None,
            access_key_id: AccessKeyId::default(),
            allowed_bytes: 0,
            taken: None,
            used_bytes: 0,
            asking: None,
            patience: None,
        }
    }

    fn holders(&self) -> MutexGuard<'_, Holders> {
        self.holders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Holder {
    /// Returns the bytes that the holder waits for: all that are still to come, because it would
    /// otherwise wait again for each piece.
    fn wanted_bytes(&self) -> usize {
        if self.waits_for_room { self.announced_bytes.saturating_sub(self.bytes).max(1) } else { 0 }
    }

    fn is_idle(&self, now: Instant) -> bool {
        !self.waits_for_room && now.duration_since(self.busy) >= IDLE_TIME
    }
}

/// The holders of one key pair.
#[derive(Debug, Default)]
struct Pair {
    held_bytes: usize,
    /// Holders that may be displaced; the first to be displaced is last.
    may_go: Vec<Candidate>,
}

/// A holder that may be displaced. A greater one is displaced before a lesser one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Candidate {
    Idle { since: Reverse<Instant>, number: u64 },
    Waiting { announced_bytes: usize, number: Reverse<u64> },
}

impl Candidate {
    fn number(self) -> u64 {
        match self {
            Self::Idle { number, .. } | Self::Waiting { number: Reverse(number), .. } => number,
        }
    }
}

impl Holders {
    /// Displaces holders in favour of those that wait for room.
    ///
    /// Free room is not counted: its share may forbid a key pair to take it.
    fn make_room(&mut self, now: Instant) {
        if self.made_room.is_some_and(|then| now.duration_since(then) < PATIENCE) {
            // The waiting requests have not yet had time to take the freed room.
            return;
        }
        let (leaving, staying): (Vec<&Holder>, Vec<&Holder>) =
            self.by_number.values().partition(|holder| holder.displaced);
        let all_wait = staying.iter().all(|holder| holder.waits_for_room || holder.bytes == 0);
        // If all wait, holders without bytes do not block others, so they are not counted.
        let counted = staying.iter().filter(|holder| !all_wait || holder.bytes > 0);
        let wanted_bytes: usize = counted.map(|holder| holder.wanted_bytes()).sum();
        let leaving_bytes: usize = leaving.iter().map(|holder| holder.bytes).sum();
        let mut missing_bytes = wanted_bytes.saturating_sub(leaving_bytes);

        let mut pairs = self.candidates(all_wait, now);
        while missing_bytes > 0 {
            let largest = pairs.values_mut().filter(|pair| !pair.may_go.is_empty());
            let largest = largest.max_by_key(|pair| (pair.held_bytes, pair.may_go.last().copied()));
            let Some(pair) = largest else { return };
            let first = pair.may_go.pop().map(Candidate::number);
            let Some(holder) = first.and_then(|number| self.by_number.get_mut(&number)) else {
                return;
            };
            pair.held_bytes -= holder.bytes;
            missing_bytes = missing_bytes.saturating_sub(holder.bytes + holder.wanted_bytes());
            holder.displaced = true;
            self.made_room = Some(now);
            if let Some(waker) = holder.waker.take() {
                waker.wake();
            }
        }
    }

    /// Returns the holders that may be displaced, by key pair: all of them if all wait, otherwise
    /// the idle ones.
    fn candidates(&self, all_wait: bool, now: Instant) -> BTreeMap<AccessKeyId, Pair> {
        let mut pairs: BTreeMap<AccessKeyId, Pair> = BTreeMap::new();
        let holding = |(_, holder): &(&u64, &Holder)| holder.bytes > 0 && !holder.displaced;
        for (number, holder) in self.by_number.iter().filter(holding) {
            let pair = pairs.entry(Arc::clone(&holder.access_key_id)).or_default();
            pair.held_bytes += holder.bytes;
            if all_wait {
                let (announced_bytes, number) = (holder.announced_bytes, Reverse(*number));
                pair.may_go.push(Candidate::Waiting { announced_bytes, number });
            } else if holder.is_idle(now) {
                let (since, number) = (Reverse(holder.busy), *number);
                pair.may_go.push(Candidate::Idle { since, number });
            }
        }
        for pair in pairs.values_mut() {
            pair.may_go.sort_unstable();
        }
        pairs
    }
}

/// The handle of one request on the bytes that it holds.
pub(crate) struct Holding {
    room: HeldRoom,
    announced_bytes: usize,
    /// The request's number in the list of holders, once it is in the list.
    number: Option<u64>,
    access_key_id: AccessKeyId,
    allowed_bytes: usize,
    taken: Option<Taken>,
    /// The bytes of `taken` that hold something; the rest is kept for the next chunk.
    used_bytes: usize,
    asking: Option<Take>,
    patience: Option<Pin<Box<Sleep>>>,
}

impl Holding {
    /// Takes room for bytes that have arrived. Call it again with the same number of bytes until it
    /// is ready.
    pub(crate) fn poll_take(
        &mut self,
        access_key_id: &AccessKeyId,
        bytes: usize,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Displaced>> {
        if self.asking.is_none() && self.allowed_bytes + bytes <= ALLOWANCE_BYTES {
            self.allowed_bytes += bytes;
            return Poll::Ready(Ok(()));
        }
        self.access_key_id = Arc::clone(access_key_id);
        if self.poll_displaced(cx).is_ready() {
            return Poll::Ready(Err(Displaced));
        }
        let own_bytes = self.taken.as_ref().map_or(0, Taken::bytes);
        let missing_bytes = bytes.saturating_sub(own_bytes - self.used_bytes);
        if missing_bytes == 0 {
            self.used_bytes += bytes;
            self.progress(bytes);
            return Poll::Ready(Ok(()));
        }
        let asking = self.asking.get_or_insert_with(|| {
            self.room.room.take_more(access_key_id, own_bytes, missing_bytes, self.announced_bytes)
        });
        if let Poll::Ready(more) = Pin::new(asking).poll(cx) {
            self.asking = None;
            self.patience = None;
            match self.taken.as_mut() {
                Some(taken) => taken.absorb(more),
                None => self.taken = Some(more),
            }
            self.used_bytes += bytes;
            self.progress(bytes);
            return Poll::Ready(Ok(()));
        }
        self.record(|holder| holder.waits_for_room = true);
        let patience = self.patience.get_or_insert_with(|| Box::pin(tokio::time::sleep(PATIENCE)));
        while patience.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            patience.as_mut().reset(now + PATIENCE);
            self.room.holders().make_room(now);
        }
        Poll::Pending
    }

    /// Is ready once the holder is displaced, and wakes the task then.
    pub(crate) fn poll_displaced(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut displaced = false;
        self.record(|holder| {
            displaced = holder.displaced;
            holder.waker = Some(cx.waker().clone());
        });
        if displaced { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Releases all room, because the held bytes have been passed on; keeps it for the next chunk
    /// while others wait.
    pub(crate) fn release(&mut self) {
        self.allowed_bytes = 0;
        self.used_bytes = 0;
        if self.taken.is_some() && self.room.room.is_waited_for() {
            return;
        }
        self.leave();
        self.taken = None;
    }

    /// Marks that all bytes have arrived: the room stays until it is dropped, and its holder can no
    /// longer be displaced.
    pub(crate) fn finish(&mut self) -> Option<Taken> {
        self.leave();
        self.taken.take()
    }

    fn progress(&mut self, bytes: usize) {
        let held_bytes = self.taken.as_ref().map_or(0, Taken::bytes);
        let now = Instant::now();
        self.record(|holder| {
            holder.bytes = held_bytes;
            holder.waits_for_room = false;
            holder.sent_since += bytes;
            if holder.sent_since >= BUSY_BYTES {
                holder.sent_since = 0;
                holder.busy = now;
            }
        });
    }

    /// Changes the request's entry in the list.
    fn record(&mut self, change: impl FnOnce(&mut Holder)) {
        let mut holders = self.room.holders();
        let (access_key_id, announced_bytes) = (&self.access_key_id, self.announced_bytes);
        let number = *self.number.get_or_insert_with(|| {
            holders.next_number += 1;
            holders.next_number
        });
        change(holders.by_number.entry(number).or_insert_with(|| Holder {
            access_key_id: Arc::clone(access_key_id),
            announced_bytes,
            bytes: 0,
            busy: Instant::now(),
            sent_since: 0,
            waits_for_room: false,
            displaced: false,
            waker: None,
        }));
    }

    fn leave(&mut self) {
        self.asking = None;
        if let Some(number) = self.number.take() {
            self.room.holders().by_number.remove(&number);
        }
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    async fn take(
        holding: &mut Holding,
        access_key_id: &str,
        bytes: usize,
    ) -> Result<(), Displaced> {
        let access_key_id = access_key_id.into();
        poll_fn(|cx| holding.poll_take(&access_key_id, bytes, cx)).await
    }

    fn is_displaced(holding: &mut Holding) -> bool {
        holding.poll_displaced(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    /// Creates holders of `bytes` each, the earlier ones idle for longer.
    async fn holders<const N: usize>(
        room: &HeldRoom,
        access_key_id: &str,
        bytes: usize,
    ) -> [Holding; N] {
        let mut all = [(); N].map(|()| room.holding(bytes));
        for holding in &mut all {
            take(holding, access_key_id, bytes).await.unwrap();
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        all
    }

    fn displaced<const N: usize>(holders: &mut [Holding; N]) -> [bool; N] {
        holders.each_mut().map(is_displaced)
    }

    /// Polls a waiting request for some time, so that its waiting time passes.
    async fn wait_for_room(waiting: &mut Holding, bytes: usize, time: Duration) {
        let asked = tokio::time::timeout(time, take(waiting, "waiting", bytes)).await;
        assert!(asked.is_err(), "{asked:?}");
    }

    /// Regression: idle holders were displaced one by one, a quarter of a second each, so that an
    /// upload beside 80 of them took 13 s.
    #[tokio::test(start_paused = true)]
    async fn idle_holders_make_way_at_once_for_all_that_is_waited_for() {
        let room = HeldRoom::new(600_000);
        let mut idle = holders::<5>(&room, "one", 80_000).await;
        let mut waiting = room.holding(300_000);
        wait_for_room(&mut waiting, 210_000, IDLE_TIME + PATIENCE).await;
        assert_eq!(displaced(&mut idle), [true, true, true, true, false], "the longest idle first");
        // The displaced holders still exist; the next check counts their room as free.
        wait_for_room(&mut waiting, 210_000, 4 * PATIENCE).await;
        let [first, second, third, fourth, mut last] = idle;
        assert!(!is_displaced(&mut last));
        drop((first, second, third, fourth));
        assert_eq!(take(&mut waiting, "waiting", 210_000).await, Ok(()));
    }

    /// Regression: room was free, the requests waiting for it had not been polled yet, and further
    /// holders were displaced, an active upload among them.
    #[tokio::test(start_paused = true)]
    async fn room_that_came_free_is_taken_before_more_make_way() {
        let room = HeldRoom::new(600_000);
        let [first, second, third, mut fourth] = holders::<4>(&room, "one", 100_000).await;
        let mut waiting = [(); 2].map(|()| room.holding(250_000));
        let access_key_id: AccessKeyId = "waiting".into();
        let mut poll = |at: usize| {
            let asked = waiting[at].poll_take(
                &access_key_id,
                250_000,
                &mut Context::from_waker(Waker::noop()),
            );
            assert!(asked.is_pending());
        };
        poll(0);
        poll(1);
        tokio::time::advance(IDLE_TIME).await;
        fourth.progress(BUSY_BYTES);
        poll(0);
        let mut gone = [first, second, third];
        assert_eq!(displaced(&mut gone), [true; 3]);
        drop(gone);
        fourth.record(|holder| holder.busy -= IDLE_TIME);
        poll(1);
        assert!(!is_displaced(&mut fourth));
    }

    #[tokio::test(start_paused = true)]
    async fn the_key_pair_that_holds_most_makes_way_first() {
        let room = HeldRoom::new(500_000);
        let mut few = holders::<1>(&room, "few", 100_000).await;
        let mut many = holders::<3>(&room, "many", 100_000).await;
        let mut waiting = room.holding(200_000);
        wait_for_room(&mut waiting, 200_000, IDLE_TIME + PATIENCE).await;
        assert_eq!((displaced(&mut few), displaced(&mut many)), ([false], [true, true, false]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_holder_that_sends_does_not_make_way() {
        let room = HeldRoom::new(1_000_000);
        let (mut busy, mut waiting) = (room.holding(500_000), room.holding(900_000));
        take(&mut busy, "one", 500_000).await.unwrap();
        let access_key_id = "two".into();
        for _ in 0..20 {
            let asked =
                waiting.poll_take(&access_key_id, 900_000, &mut Context::from_waker(Waker::noop()));
            assert!(asked.is_pending());
            tokio::time::advance(Duration::from_millis(200)).await;
            busy.progress(BUSY_BYTES);
        }
        assert!(!is_displaced(&mut busy));
        assert!(busy.finish().is_some());
        assert_eq!(take(&mut waiting, "two", 900_000).await, Ok(()));
    }

    /// Regression: an upload released its room after each chunk, others took it, and every chunk
    /// waited for idle holders. A PUT of 2 MB beside 80 slow senders took 12.6 s.
    #[tokio::test(start_paused = true)]
    async fn room_is_kept_between_chunks_while_others_wait() {
        let room = HeldRoom::new(600_000);
        let (mut fast, mut slow) = (room.holding(200_000), room.holding(600_000));
        take(&mut fast, "one", 100_000).await.unwrap();
        fast.release();
        take(&mut slow, "one", 600_000).await.expect("room that no one waits for is released");
        slow.release();
        take(&mut fast, "one", 100_000).await.unwrap();
        wait_for_room(&mut slow, 600_000, PATIENCE).await;
        fast.release();
        wait_for_room(&mut slow, 600_000, PATIENCE).await;
        assert_eq!(take(&mut fast, "one", 60_000).await, Ok(()));
        assert_eq!(take(&mut fast, "one", 40_000).await, Ok(()), "the room of the first chunk");
        fast.release();
        // Kept room makes way like any other.
        wait_for_room(&mut slow, 600_000, IDLE_TIME + PATIENCE).await;
        assert_eq!(take(&mut fast, "one", 100_000).await, Err(Displaced));
        drop(fast);
        assert_eq!(take(&mut slow, "waiting", 600_000).await, Ok(()));
    }

    /// Two requests that each hold half of the room and want more would otherwise wait for each
    /// other forever.
    #[tokio::test(start_paused = true)]
    async fn of_waiting_holders_the_largest_is_displaced() {
        let room = HeldRoom::new(800_000);
        let (mut small, mut large) = (room.holding(500_000), room.holding(600_000));
        take(&mut large, "one", 400_000).await.unwrap();
        take(&mut small, "two", 400_000).await.unwrap();
        let ends = async {
            assert_eq!(take(&mut large, "one", 100_000).await, Err(Displaced));
            drop(large);
        };
        let (taken, ()) = tokio::join!(take(&mut small, "two", 100_000), ends);
        assert_eq!(taken, Ok(()));
    }

    /// 80 requests each hold a part of a chunk and want the rest: with one displacement fewer, the
    /// others would wait for each other again.
    #[tokio::test(start_paused = true)]
    async fn enough_waiting_holders_are_displaced_for_the_others() {
        let room = HeldRoom::new(1_000_000);
        let mut all = [(); 5].map(|()| room.holding(400_000));
        for (number, holding) in all.iter_mut().enumerate() {
            take(holding, &number.to_string(), 190_000 - number).await.unwrap();
        }
        let mut at = 0;
        let started = Instant::now();
        let mut refused = [false; 5];
        while started.elapsed() < 2 * PATIENCE {
            let access_key_id: AccessKeyId = at.to_string().into();
            let asked =
                all[at].poll_take(&access_key_id, 100_000, &mut Context::from_waker(Waker::noop()));
            refused[at] |= asked == Poll::Ready(Err(Displaced));
            at = (at + 1) % all.len();
            tokio::time::advance(Duration::from_millis(5)).await;
        }
        assert_eq!(refused, [true, true, true, false, false], "2 need 420,000, 3 hold 570,000");
    }

    #[tokio::test(start_paused = true)]
    async fn little_needs_no_room() {
        let room = HeldRoom::new(0);
        let mut holding = room.holding(0);
        for _ in 0..ALLOWANCE_BYTES / 1024 {
            take(&mut holding, "", 1024).await.unwrap();
        }
        let asked = tokio::time::timeout(Duration::from_secs(60), take(&mut holding, "", 1)).await;
        assert!(asked.is_err());
        holding.release();
        take(&mut holding, "", ALLOWANCE_BYTES).await.unwrap();
    }
}
