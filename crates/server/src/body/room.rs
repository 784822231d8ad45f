//! Manages memory (room) for the bytes of requests, shared fairly among key pairs.
//!
//! Room is taken for bytes that have arrived, never for announced ones: a waiting sender holds none
//! beyond [`ALLOWANCE_BYTES`]. A key pair may hold up to [`SHARE`] times the free room (the dynamic
//! threshold of Choudhury and Hahne, IEEE/ACM Transactions on Networking, 1998): a single one gets
//! three quarters, two get three sevenths each, and some room is always left for the next one.
//!
//! Does not know about bodies. [`holding`](super::holding) decides which holders are displaced for
//! a waiting request.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::auth::requester::AccessKeyId;

/// The bytes that every request may hold without room: enough that most documents and slow senders
/// never wait.
pub(crate) const ALLOWANCE_BYTES: usize = 32 << 10;
/// The multiple of the free room that one key pair may hold.
const SHARE: usize = 3;

/// A shared amount of room; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Room {
    state: Arc<Mutex<RoomState>>,
}

#[derive(Debug)]
struct RoomState {
    free_bytes: usize,
    held_bytes: HashMap<AccessKeyId, usize>,
    queue: VecDeque<Asking>,
    next_number: u64,
}

/// A request that waits for room.
#[derive(Debug)]
struct Asking {
    number: u64,
    want: Want,
    granted: bool,
    waker: Waker,
}

#[derive(Clone, Debug)]
struct Want {
    access_key_id: AccessKeyId,
    bytes: usize,
    /// The bytes that the request already holds.
    own_bytes: usize,
    /// The bytes that the request may need in total; the request with the smallest total comes
    /// first.
    announced_bytes: usize,
}

impl Room {
    /// Creates room for `bytes`.
    pub(crate) fn new(bytes: usize) -> Self {
        let state = RoomState {
            free_bytes: bytes,
            held_bytes: HashMap::new(),
            queue: VecDeque::new(),
            next_number: 0,
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Takes room if enough is free and no request waits for it.
    pub(crate) fn try_take(&self, access_key_id: &AccessKeyId, bytes: usize) -> Option<Taken> {
        let want = Want {
            access_key_id: Arc::clone(access_key_id),
            bytes,
            own_bytes: 0,
            announced_bytes: bytes,
        };
        let mut state = self.state();
        (state.queue.is_empty() && state.grant(&want)).then(|| Taken { room: self.clone(), want })
    }

    /// Waits for room, in the order of arrival among those whose share allows it.
    pub(crate) fn take(&self, access_key_id: &AccessKeyId, bytes: usize) -> Take {
        self.take_more(access_key_id, 0, bytes, bytes)
    }

    /// Waits for room for a request that already holds `own_bytes` and may need `announced_bytes`:
    /// requests that announced less come first. The only request of its key pair may hold all room.
    pub(crate) fn take_more(
        &self,
        access_key_id: &AccessKeyId,
        own_bytes: usize,
        bytes: usize,
        announced_bytes: usize,
    ) -> Take {
        let want =
            Want { access_key_id: Arc::clone(access_key_id), bytes, own_bytes, announced_bytes };
        Take { room: self.clone(), want, number: None }
    }

    /// Returns whether a request waits for room.
    pub(crate) fn is_waited_for(&self) -> bool {
        self.state().queue.iter().any(|asking| !asking.granted)
    }

    fn state(&self) -> MutexGuard<'_, RoomState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RoomState {
    /// Takes the wanted room if it is available.
    fn grant(&mut self, want: &Want) -> bool {
        let held = self.held_bytes.get(&want.access_key_id).copied().unwrap_or(0);
        let Some(left) = self.free_bytes.checked_sub(want.bytes) else { return false };
        let is_only_one = held == want.own_bytes;
        if !is_only_one && held + want.bytes > left.saturating_mul(SHARE) {
            return false;
        }
        self.free_bytes = left;
        self.held_bytes.insert(Arc::clone(&want.access_key_id), held + want.bytes);
        true
    }

    fn give_back(&mut self, access_key_id: &AccessKeyId, bytes: usize) {
        self.free_bytes += bytes;
        if let Some(held) = self.held_bytes.get_mut(access_key_id) {
            *held -= bytes;
            if *held == 0 {
                self.held_bytes.remove(access_key_id);
            }
        }
        let mut queue = std::mem::take(&mut self.queue);
        for asking in queue.iter_mut().filter(|asking| !asking.granted) {
            // A request whose key pair has used up its share does not block others.
            if self.grant(&asking.want) {
                asking.granted = true;
                asking.waker.wake_by_ref();
            }
        }
        self.queue = queue;
    }
}

/// The future of [`Room::take`].
#[derive(Debug)]
pub(crate) struct Take {
    room: Room,
    want: Want,
    /// The request's number in the queue.
    number: Option<u64>,
}

impl Future for Take {
    type Output = Taken;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Taken> {
        let this = &mut *self;
        let mut state = this.room.state();
        let granted = match this.number {
            None => !state.is_behind_others(&this.want) && state.grant(&this.want),
            Some(number) => state.leave_if_granted(number, cx.waker()),
        };
        if granted {
            this.number = None;
            drop(state);
            return Poll::Ready(Taken { room: this.room.clone(), want: this.want.clone() });
        }
        if this.number.is_none() {
            let number = state.next_number;
            state.next_number += 1;
            let waker = cx.waker().clone();
            state.join(Asking { number, want: this.want.clone(), granted: false, waker });
            this.number = Some(number);
        }
        Poll::Pending
    }
}

impl RoomState {
    /// Returns whether a waiting request comes before this one.
    fn is_behind_others(&self, want: &Want) -> bool {
        let before = |asking: &Asking| {
            !asking.granted && asking.want.announced_bytes <= want.announced_bytes
        };
        self.queue.iter().any(before)
    }

    fn join(&mut self, asking: Asking) {
        let is_after = |other: &Asking| other.want.announced_bytes > asking.want.announced_bytes;
        let at = self.queue.iter().position(is_after).unwrap_or(self.queue.len());
        self.queue.insert(at, asking);
    }

    fn leave_if_granted(&mut self, number: u64, waker: &Waker) -> bool {
        let Some(at) = self.queue.iter().position(|asking| asking.number == number) else {
            return false;
        };
        let asking = &mut self.queue[at];
        if !asking.granted {
            asking.waker.clone_from(waker);
            return false;
        }
        self.queue.remove(at);
        true
    }
}

impl Drop for Take {
    fn drop(&mut self) {
        let Some(number) = self.number else { return };
        let mut state = self.room.state();
        let Some(at) = state.queue.iter().position(|asking| asking.number == number) else {
            return;
        };
        if state.queue.remove(at).is_some_and(|asking| asking.granted) {
            state.give_back(&self.want.access_key_id, self.want.bytes);
        }
    }
}

/// Room held by a request, released on drop.
#[derive(Debug)]
pub(crate) struct Taken {
    room: Room,
    want: Want,
}

impl Taken {
    /// Returns the number of bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.want.bytes
    }

    /// Adds room that the same request took later.
    pub(crate) fn absorb(&mut self, mut more: Self) {
        self.want.bytes += std::mem::take(&mut more.want.bytes);
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if self.want.bytes > 0 {
            self.room.state().give_back(&self.want.access_key_id, self.want.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn held(room: &Room, access_key_id: &AccessKeyId, bytes: usize) -> Vec<Taken> {
        std::iter::from_fn(|| room.try_take(access_key_id, bytes)).collect()
    }

    #[test]
    fn one_key_pair_leaves_room_for_the_next() {
        let room = Room::new(84);
        let (one, two, three) = ("one".into(), "two".into(), "three".into());
        let first = held(&room, &one, 1);
        assert_eq!(first.len(), 63, "three quarters");
        let second = held(&room, &two, 1);
        assert_eq!(second.len(), 15, "three quarters of what was left");
        assert_eq!(held(&room, &three, 1).len(), 4);
        drop(first);
        assert_eq!(held(&room, &three, 1).len(), 51, "three quarters of 69, rounded down");
        drop(second);
    }

    #[test]
    fn the_only_request_of_its_key_pair_may_hold_all() {
        let room = Room::new(10);
        let access_key_id = AccessKeyId::default();
        let mut taken = room.try_take(&access_key_id, 9).unwrap();
        assert!(room.try_take(&access_key_id, 1).is_none(), "another request of it");
        taken.absorb(room.take_more(&access_key_id, 9, 1, 10).now_or_never().unwrap());
        assert_eq!(taken.bytes(), 10);
        assert!(
            room.take_more(&access_key_id, 10, 1, 11).now_or_never().is_none(),
            "more than there is"
        );
        drop(taken);
        assert!(room.try_take(&access_key_id, 10).is_some());
    }

    #[test]
    fn who_announced_less_goes_first() {
        let room = Room::new(10);
        let access_key_id = AccessKeyId::default();
        let some = room.try_take(&access_key_id, 2).unwrap();
        let _other = room.try_take(&"other".into(), 8).unwrap();
        let mut large = room.take_more(&access_key_id, 0, 2, 6);
        let mut small = room.take_more(&access_key_id, 0, 2, 3);
        assert!((&mut large).now_or_never().is_none());
        assert!((&mut small).now_or_never().is_none());
        drop(some);
        let taken = (&mut small).now_or_never();
        assert!(taken.is_some() && (&mut large).now_or_never().is_none());
        drop(taken);
        assert!((&mut large).now_or_never().is_some());
    }

    #[test]
    fn room_is_given_in_order_but_for_those_who_hold_their_share() {
        let room = Room::new(8);
        let (one, two) = ("one".into(), "two".into());
        let mut first = held(&room, &one, 2);
        assert_eq!(first.len(), 3);
        let (mut again, mut other) = (room.take(&one, 2), room.take(&two, 2));
        assert!((&mut again).now_or_never().is_none());
        // Another request is waiting, so it waits too, although there is room.
        assert!((&mut other).now_or_never().is_none());
        first.pop();
        assert!((&mut again).now_or_never().is_some(), "it was first");
        assert!((&mut other).now_or_never().is_some());
        drop((first, again, other));
        // Room is not lost if a future is dropped while it waits or after it was granted.
        let all: Vec<Taken> = held(&room, &one, 2);
        let mut given_up = room.take(&two, 8);
        assert!((&mut given_up).now_or_never().is_none());
        drop(all);
        drop(given_up);
        assert!(room.try_take(&two, 8).is_some());
    }
}
