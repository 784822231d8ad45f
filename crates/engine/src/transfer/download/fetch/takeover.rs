//! Hedges one range: requests the rest of it on another connection, and takes over there as soon as
//! that connection is ahead.
//!
//! Both bodies are read by the same task. The second one starts at the byte that has arrived, and
//! its bytes are discarded as long as the first one is ahead. Once it leads by [`LEAD_BYTES`], the
//! first one is dropped, which closes its connection; only then do bytes of the second one go to
//! their place. So no byte is written twice, and what is moved twice is the short distance of the
//! overtaking. The request ends where the budget does, so that no more than that can be sent twice.
//! Both requests name the same version of the object, and both answers are compared with it.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Poll;

use haul_parts::PlannedPart;

use super::{FetchFailure, Fetcher};
use crate::body::{Permit, SLICE_BYTES};
use crate::pace::FailedAttempt;
use crate::remote::{GetRequest, ObjectBody};
use crate::transfer::hedge::{Attempt, HedgePass, Reservation};

/// The lead at which the second request takes over.
const LEAD_BYTES: usize = SLICE_BYTES / 2;

/// A body that a piece is received from.
pub(super) struct Flow {
    /// Bytes of the body that were received already, and the number of those that were taken.
    front: Vec<u8>,
    taken: usize,
    pub(super) body: ObjectBody,
    /// The offset in the piece at which the body ends.
    pub(super) ends_at: u64,
    _permit: Option<Permit>,
}

impl Flow {
    /// Creates the flow of a body up to the end of the piece.
    pub(super) fn of(body: ObjectBody, piece: PlannedPart) -> Self {
        Self { front: vec![], taken: 0, body, ends_at: piece.size_bytes, _permit: None }
    }

    /// Copies bytes that were received already, and returns their number.
    pub(super) fn take_front(&mut self, room: &mut [u8]) -> usize {
        let left = &self.front[self.taken..];
        let count = left.len().min(room.len());
        room[..count].copy_from_slice(&left[..count]);
        self.taken += count;
        count
    }
}

/// What both requests know of each other.
#[derive(Debug)]
pub(super) struct Race {
    /// The offset in the piece up to which bytes have arrived in order.
    arrived_bytes: AtomicU64,
    /// Whether the second request runs.
    runs: AtomicBool,
    /// Whether the first request has failed.
    is_alone: AtomicBool,
}

impl Race {
    pub(super) fn from(arrived_bytes: u64) -> Self {
        Self {
            arrived_bytes: AtomicU64::new(arrived_bytes),
            runs: AtomicBool::new(false),
            is_alone: AtomicBool::new(false),
        }
    }

    pub(super) fn arrived(&self, bytes: u64) {
        self.arrived_bytes.store(bytes, Ordering::Relaxed);
    }

    fn arrived_bytes(&self) -> u64 {
        self.arrived_bytes.load(Ordering::Relaxed)
    }
}

type Overtaking<'a> = Pin<Box<dyn Future<Output = Option<Box<Flow>>> + Send + 'a>>;

/// The second request of a piece, before and while it runs.
pub(super) struct Rival<'a> {
    race: &'a Race,
    /// `None` once it has ended.
    overtaking: Option<Overtaking<'a>>,
}

/// The first event of two.
pub(super) enum First<T> {
    /// The step of the first request.
    Own(T),
    /// The second request has overtaken the first.
    Rival(Box<Flow>),
}

impl Rival<'_> {
    /// Returns whether the first request is still the only one that was sent.
    pub(super) fn is_unused(&self) -> bool {
        self.overtaking.is_some() && !self.race.runs.load(Ordering::Relaxed)
    }

    /// Waits for a step of the first request, unless the second one overtakes it. The step may be
    /// dropped.
    pub(super) async fn against<T>(&mut self, own: impl Future<Output = T>) -> First<T> {
        let mut own = pin!(own);
        poll_fn(|context| {
            if let Poll::Ready(done) = own.as_mut().poll(context) {
                return Poll::Ready(First::Own(done));
            }
            if let Some(overtaking) = &mut self.overtaking
                && let Poll::Ready(flow) = overtaking.as_mut().poll(context)
            {
                self.overtaking = None;
                if let Some(flow) = flow {
                    return Poll::Ready(First::Rival(flow));
                }
            }
            Poll::Pending
        })
        .await
    }

    /// Returns the second request, if it runs, when it has all bytes of the first one, which has
    /// failed.
    pub(super) async fn instead(&mut self) -> Option<Box<Flow>> {
        if !self.race.runs.load(Ordering::Relaxed) {
            return None;
        }
        self.race.is_alone.store(true, Ordering::Relaxed);
        self.overtaking.take()?.await
    }
}

impl Fetcher {
    /// Prepares the second request of a piece.
    pub(super) fn rival<'a>(
        &'a self,
        piece: PlannedPart,
        race: &'a Race,
        attempt: &'a Attempt,
    ) -> Rival<'a> {
        let began_at = race.arrived_bytes();
        let overtaking = async move {
            let progress = || {
                let arrived_bytes = race.arrived_bytes();
                (arrived_bytes - began_at, piece.size_bytes - arrived_bytes)
            };
            let (pass, budget) = attempt.due(progress, 2 * LEAD_BYTES as u64).await;
            let permit = self.pool.permit(SLICE_BYTES as u64).await;
            race.runs.store(true, Ordering::Relaxed);
            let overtaken = self.overtake(piece, race, (budget, permit), pass).await;
            race.runs.store(false, Ordering::Relaxed);
            overtaken
        };
        Rival { race, overtaking: Some(Box::pin(overtaking)) }
    }

    /// Requests the rest of a piece once more, as far as the budget goes. Returns `None` if that
    /// does not overtake the first request.
    async fn overtake(
        &self,
        piece: PlannedPart,
        race: &Race,
        (mut budget, permit): (Reservation, Permit),
        pass: HedgePass,
    ) -> Option<Box<Flow>> {
        let begins_at = race.arrived_bytes();
        let ends_at = (begins_at + budget.bytes()).min(piece.size_bytes);
        tracing::debug!(
            target: "haul::decision",
            "{}: range {} is slow: its bytes from {begins_at} on are requested once more",
            self.object, piece.number
        );
        let request = self.request(piece, begins_at, ends_at);
        let mut body = match self.store.get_object(&self.object, &request).await {
            Ok(body) => body,
            Err(error) => {
                if FailedAttempt::from(&error).throttled {
                    pass.throttled();
                }
                return None;
            }
        };
        // Another version ends the hedge; the first request has the right one, or fails itself.
        if self.version.is_of(&body).is_err() || body.ignores_range {
            return None;
        }
        let mut received = vec![0; 2 * LEAD_BYTES];
        // `received[..count]` ends at the offset `at` of the piece.
        let (mut count, mut at) = (0, begins_at);
        loop {
            let arrived_bytes = race.arrived_bytes();
            let lead = usize::try_from(at.saturating_sub(arrived_bytes)).unwrap_or(usize::MAX);
            let is_alone = race.is_alone.load(Ordering::Relaxed);
            if lead >= LEAD_BYTES
                || (lead > 0 && at == ends_at)
                || (is_alone && at >= arrived_bytes)
            {
                received.truncate(count);
                received.drain(..count - lead);
                budget.settle(arrived_bytes - begins_at);
                let _permit = Some(permit);
                return Some(Box::new(Flow { front: received, taken: 0, body, ends_at, _permit }));
            }
            if at >= ends_at {
                return None;
            }
            // Only the lead is kept.
            received.copy_within(count - lead..count, 0);
            count = lead;
            let left = usize::try_from(ends_at - at).unwrap_or(usize::MAX);
            let most = left.min(LEAD_BYTES);
            let read = body.bytes.read(&mut received[count..count + most]).await.ok()?;
            if read == 0 {
                return None;
            }
            self.progress.meter().add(read as u64);
            (count, at) = (count + read, at + read as u64);
            budget.set_moved(at - begins_at);
        }
    }

    /// Returns the request for the bytes of a piece between two offsets in it.
    pub(super) fn request(&self, piece: PlannedPart, begins_at: u64, ends_at: u64) -> GetRequest {
        let named = self.names_etag.load(Ordering::Relaxed);
        GetRequest {
            offset_bytes: piece.offset_bytes + begins_at,
            size_bytes: Some(ends_at - begins_at),
            if_match: self.version.if_match().filter(|_| named),
        }
    }
}

/// Returns the flow of the second request after the first one has failed, or the failure.
pub(super) async fn or_rival(
    rival: &mut Rival<'_>,
    failure: FetchFailure,
) -> Result<Box<Flow>, FetchFailure> {
    match failure {
        FetchFailure::Store { .. } => rival.instead().await.ok_or(failure),
        permanent => Err(permanent),
    }
}
