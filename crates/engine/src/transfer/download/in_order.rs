//! Downloads into a pipe or a device: fetches ranges in parallel and writes them in order.
//!
//! A range is requested only when there is memory for all of it, and memory is assigned in the
//! order of the ranges. So a slow reader never blocks a connection, the next range always has its
//! memory, and ranges that arrive early stay within the memory budget.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use haul_parts::{PartPlan, PlannedPart};
use tokio::sync::mpsc;

use super::fetch::{FetchFailure, Fetched, Fetcher, RangeTarget};
use super::plan::Proof;
use super::ranged::Unfetched;
use super::target::OpenTarget;
use super::verify::BodyVerifier;
use super::version::Version;
use super::{AbortOnDrop, Context, DownloadReport};
use crate::body::Permit;
use crate::error::Error;
use crate::event::{Event, EventSender};
use crate::pace::{FailedAttempt, Pass, Resources, Success};
use crate::remote::{Operation, StoreError, StoreErrorKind};
use crate::transfer::Progress;

/// Maximum number of ranges that wait for their turn, however small they are.
const WAITING_MAX: usize = 64;

/// A range that is being fetched or has been fetched, and the memory permit for its bytes.
struct Running {
    fetch: AbortOnDrop<Result<Fetched, Unfetched>>,
    permit: Permit,
}

/// The number of ranges in flight, as shown by the progress of the transfer.
struct InFlight(Arc<AtomicU32>, Progress);

impl InFlight {
    fn new(count: &Arc<AtomicU32>, progress: &Progress) -> Self {
        progress.set_in_flight(count.fetch_add(1, Ordering::Relaxed) + 1);
        Self(Arc::clone(count), progress.clone())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.1.set_in_flight(self.0.fetch_sub(1, Ordering::Relaxed) - 1);
    }
}

impl Context {
    /// Fetches ranges in parallel and writes them in order.
    async fn fetch_in_order(
        &self,
        target: &mut OpenTarget,
        version: &Version,
        (plan, proof): (PartPlan, Proof),
    ) -> Result<Vec<Fetched>, Unfetched> {
        let fetcher = Arc::new(Fetcher::new(self, version.clone(), RangeTarget::Memory, proof));
        let (started, mut due) = mpsc::channel(WAITING_MAX);
        let in_flight = Arc::default();
        let start = async {
            for range in plan.parts() {
                // Take the pass before the memory, as all code does that needs both.
                let pass = self.resources.gate.enter().await;
                let permit = self.resources.pool.permit(range.size_bytes).await;
                let (fetcher, resources) = (Arc::clone(&fetcher), self.resources.clone());
                let events = self.events.clone();
                let counted = InFlight::new(&in_flight, &self.progress);
                let fetch = async move {
                    let _counted = counted;
                    fetch(fetcher, range, pass, resources, events).await
                };
                let running = Running { fetch: AbortOnDrop(tokio::spawn(fetch)), permit };
                if started.send(running).await.is_err() {
                    break;
                }
            }
            drop(started);
            fetcher.hedging.set_most(u32::MAX);
        };
        let write = async {
            let mut ranges = vec![];
            while let Some(Running { mut fetch, permit }) = due.recv().await {
                let fetched = (&mut fetch.0).await;
                let mut fetched = fetched
                    .map_err(|error| Unfetched::Failed(Error::Internal(error.to_string())))??;
                for slice in std::mem::take(&mut fetched.kept) {
                    target.push(slice).await.map_err(Unfetched::Failed)?;
                }
                target.flush().await.map_err(Unfetched::Failed)?;
                drop(permit);
                ranges.push(fetched);
            }
            Ok(ranges)
        };
        tokio::pin!(start, write);
        tokio::select! {
            biased;
            written = &mut write => written,
            () = &mut start => write.await,
        }
    }

    /// Fetches ranges in parallel and writes them in order; holds back the last bytes until all
    /// bytes are verified.
    pub(super) async fn in_order(
        &self,
        mut target: OpenTarget,
        version: Version,
        part_size_bytes: Option<u64>,
        planned: (PartPlan, Proof),
    ) -> Result<DownloadReport, Error> {
        let (head, proof) = (version.head(), planned.1);
        if proof != Proof::InOrder {
            target.verify_by(BodyVerifier::Nothing("it is verified by its ranges"));
        }
        let fetched = self.fetch_in_order(&mut target, &version, planned).await;
        match fetched {
            Ok(ranges) => {
                // The length is compared even if nothing else can be.
                let verified = target.verify();
                let verified = match proof {
                    Proof::InOrder => verified,
                    _ => verified.and_then(|_| proof.of(&ranges, head)),
                };
                self.finish(target, verified, head).await
            }
            Err(Unfetched::Failed(error)) => Err(error),
            Err(Unfetched::NoRanges) if target.taken_bytes() > 0 => {
                let message = "it ignores Range after it has sent ranges";
                let kind = StoreErrorKind::Malformed;
                Err(self.failed(1, StoreError::local(Operation::GetObject, kind, message)))
            }
            Err(Unfetched::NoRanges) => {
                target.verify_by(BodyVerifier::new(head, part_size_bytes));
                self.progress.set_arrived(0);
                self.in_one_stream(target, version).await
            }
        }
    }
}

/// Fetches one range, with retries. The range keeps its pass between attempts, because later ranges
/// could not be written before it anyway.
async fn fetch(
    fetcher: Arc<Fetcher>,
    range: PlannedPart,
    mut pass: Pass,
    resources: Resources,
    events: EventSender,
) -> Result<Fetched, Unfetched> {
    let mut tries = 0;
    // The pass waited for the memory of the range.
    pass.restart();
    for attempt in 1.. {
        let (error, moved) = match fetcher.fetch(range).await {
            Ok(fetched) => {
                resources.budget.earn();
                pass.succeeded(Success::Part { attempt });
                return Ok(fetched);
            }
            Err(FetchFailure::Store { error, moved }) => (error, moved),
            Err(FetchFailure::Final(error)) => return Err(Unfetched::Failed(error)),
            Err(FetchFailure::NoRanges) => return Err(Unfetched::NoRanges),
        };
        let failure = FailedAttempt::from(&error);
        if failure.throttled {
            pass.throttled();
            fetcher.hedging.throttled();
        }
        // Received bytes reset the number of attempts and cost nothing of the retry budget.
        tries = if moved { 1 } else { tries + 1 };
        let wait = resources.retry.wait(tries, &failure, &mut rand::rng());
        let Some(wait) = wait.filter(|_| moved || resources.budget.pay()) else {
            return Err(Unfetched::Failed(fetcher.failed(range, tries, error)));
        };
        let (part_number, reason) = (Some(range.number), error.to_string());
        events.send(Event::Retrying { part_number, attempt: tries, wait, reason });
        tokio::time::sleep(wait).await;
        pass.restart();
    }
    unreachable!("the loop ends only by returning")
}
