//! Room of requests whose bytes are held whole: a document until it is answered, a signed chunk until its signature
//! is checked.
//!
//! Such bytes cannot be written out, so one that holds them without sending could make others wait. While a request
//! waits for room, a holder that is idle makes way, of the key pair that holds most the one that has been idle the
//! longest: it is answered `503 SlowDown`, which every client tries again. A holder that sends [`BUSY_BYTES`] within [`IDLE_TIME`] is never idle. If all who hold
//! room wait for more of it, the one that announced most makes way, for otherwise none could go on.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use super::room::{ALLOWANCE_BYTES, Room, Take, Taken};
use crate::auth::requester::KeyPair;

/// How long a request waits for room before another has to make way, and then before the next one has to.
const PATIENCE: Duration = Duration::from_millis(250);
/// A holder that others wait for is idle when it has not sent [`BUSY_BYTES`] in this time.
const IDLE_TIME: Duration = Duration::from_secs(1);
/// See [`IDLE_TIME`].
const BUSY_BYTES: usize = 16 << 10;

/// Room with a list of those who hold some; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct HeldRoom {
    room: Room,
    holders: Arc<Mutex<Holders>>,
}

#[derive(Debug, Default)]
struct Holders {
    next_number: u64,
    by_number: BTreeMap<u64, Holder>,
}

#[derive(Debug)]
struct Holder {
    key_pair: KeyPair,
    announced_bytes: usize,
    bytes: usize,
    /// When it had sent [`BUSY_BYTES`] the last time.
    busy: Instant,
    sent_since: usize,
    waits_for_room: bool,
    displaced: bool,
    waker: Option<Waker>,
}

/// A holder had to make way for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Displaced;

impl HeldRoom {
    /// Room for `bytes` beside the allowance of each request.
    pub(crate) fn new(bytes: usize) -> Self {
        Self { room: Room::new(bytes), holders: Arc::default() }
    }

    /// The room of one request that may come to so many bytes, none yet.
    pub(crate) fn holding(&self, announced_bytes: usize) -> Holding {
        Holding {
            room: self.clone(),
            announced_bytes,
            number: None,
            key_pair: KeyPair::default(),
            allowed_bytes: 0,
            taken: None,
            asking: None,
            patience: None,
        }
    }

    fn holders(&self) -> MutexGuard<'_, Holders> {
        self.holders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Holders {
    /// Makes one holder give its room to those who wait.
    fn displace_one(&mut self, now: Instant) {
        let holding = || self.by_number.iter().filter(|(_, holder)| holder.bytes > 0 && !holder.displaced);
        if self.by_number.values().any(|holder| holder.displaced && holder.bytes > 0) {
            // The one before has not gone yet.
            return;
        }
        let mut held_bytes: HashMap<&KeyPair, usize> = HashMap::new();
        for (_, holder) in holding() {
            *held_bytes.entry(&holder.key_pair).or_default() += holder.bytes;
        }
        let idle = holding()
            .filter(|(_, holder)| !holder.waits_for_room && now.duration_since(holder.busy) >= IDLE_TIME)
            .max_by_key(|(_, holder)| (held_bytes[&holder.key_pair], Reverse(holder.busy)))
            .map(|(number, _)| *number);
        let all_wait = holding().all(|(_, holder)| holder.waits_for_room);
        let largest = holding()
            .max_by_key(|(_, holder)| {
                (held_bytes[&holder.key_pair], holder.announced_bytes, Reverse(holder.busy))
            })
            .map(|(number, _)| *number);
        let chosen = idle.or(largest.filter(|_| all_wait));
        let Some(holder) = chosen.and_then(|number| self.by_number.get_mut(&number)) else { return };
        holder.displaced = true;
        if let Some(waker) = holder.waker.take() {
            waker.wake();
        }
    }
}

/// What one request holds.
pub(crate) struct Holding {
    room: HeldRoom,
    announced_bytes: usize,
    /// Among the holders, once it is one.
    number: Option<u64>,
    key_pair: KeyPair,
    allowed_bytes: usize,
    taken: Option<Taken>,
    asking: Option<Take>,
    patience: Option<Pin<Box<Sleep>>>,
}

impl Holding {
    /// Takes room for bytes that have come. To be called again with the same number until it is ready.
    pub(crate) fn poll_take(
        &mut self,
        key_pair: &KeyPair,
        bytes: usize,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Displaced>> {
        if self.asking.is_none() && self.allowed_bytes + bytes <= ALLOWANCE_BYTES {
            self.allowed_bytes += bytes;
            return Poll::Ready(Ok(()));
        }
        self.key_pair = Arc::clone(key_pair);
        if self.poll_displaced(cx).is_ready() {
            return Poll::Ready(Err(Displaced));
        }
        let own_bytes = self.taken.as_ref().map_or(0, Taken::bytes);
        let asking = self.asking.get_or_insert_with(|| {
            self.room.room.take_more(key_pair, own_bytes, bytes, self.announced_bytes)
        });
        if let Poll::Ready(more) = Pin::new(asking).poll(cx) {
            self.asking = None;
            self.patience = None;
            match self.taken.as_mut() {
                Some(taken) => taken.absorb(more),
                None => self.taken = Some(more),
            }
            self.progress(bytes);
            return Poll::Ready(Ok(()));
        }
        self.record(|holder| holder.waits_for_room = true);
        let patience = self.patience.get_or_insert_with(|| Box::pin(tokio::time::sleep(PATIENCE)));
        while patience.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            patience.as_mut().reset(now + PATIENCE);
            self.room.holders().displace_one(now);
        }
        Poll::Pending
    }

    /// Ready when it has to make way; otherwise the task is woken when it has to.
    pub(crate) fn poll_displaced(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut displaced = false;
        self.record(|holder| {
            displaced = holder.displaced;
            holder.waker = Some(cx.waker().clone());
        });
        if displaced { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Gives everything back: what was held has gone on.
    pub(crate) fn release(&mut self) {
        self.allowed_bytes = 0;
        self.leave();
        self.taken = None;
    }

    /// All bytes have come: what is held stays until it is dropped, and makes way for nobody.
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

    /// Changes what the list says of this request.
    fn record(&mut self, change: impl FnOnce(&mut Holder)) {
        let mut holders = self.room.holders();
        let (key_pair, announced_bytes) = (&self.key_pair, self.announced_bytes);
        let number = *self.number.get_or_insert_with(|| {
            holders.next_number += 1;
            holders.next_number
        });
        change(holders.by_number.entry(number).or_insert_with(|| Holder {
            key_pair: Arc::clone(key_pair),
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

    async fn take(holding: &mut Holding, key_pair: &str, bytes: usize) -> Result<(), Displaced> {
        let key_pair = key_pair.into();
        poll_fn(|cx| holding.poll_take(&key_pair, bytes, cx)).await
    }

    fn is_displaced(holding: &mut Holding) -> bool {
        holding.poll_displaced(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[tokio::test(start_paused = true)]
    async fn the_holder_that_is_idle_longest_makes_way() {
        let room = HeldRoom::new(600_000);
        let [mut idle, mut later, mut waiting] = [(); 3].map(|()| room.holding(500_000));
        take(&mut idle, "one", 200_000).await.unwrap();
        tokio::time::advance(Duration::from_millis(10)).await;
        take(&mut later, "two", 200_000).await.unwrap();
        let started = Instant::now();
        let asking = take(&mut waiting, "three", 300_000);
        let go_away = async {
            poll_fn(|cx| idle.poll_displaced(cx)).await;
            drop(idle);
        };
        let (taken, ()) = tokio::join!(asking, go_away);
        assert_eq!(taken, Ok(()));
        assert!(started.elapsed() <= IDLE_TIME + PATIENCE, "{:?}", started.elapsed());
        assert!(!is_displaced(&mut later));
    }

    #[tokio::test(start_paused = true)]
    async fn a_holder_that_sends_does_not_make_way() {
        let room = HeldRoom::new(1_000_000);
        let (mut busy, mut waiting) = (room.holding(500_000), room.holding(900_000));
        take(&mut busy, "one", 500_000).await.unwrap();
        let key_pair = "two".into();
        for _ in 0..20 {
            let asked = waiting.poll_take(&key_pair, 900_000, &mut Context::from_waker(Waker::noop()));
            assert!(asked.is_pending());
            tokio::time::advance(Duration::from_millis(200)).await;
            busy.progress(BUSY_BYTES);
        }
        assert!(!is_displaced(&mut busy));
        assert!(busy.finish().is_some());
        assert_eq!(take(&mut waiting, "two", 900_000).await, Ok(()));
    }

    /// Two that hold half of the room each, and both want more, would otherwise wait for each other for ever.
    #[tokio::test(start_paused = true)]
    async fn of_holders_that_all_wait_the_largest_makes_way() {
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
