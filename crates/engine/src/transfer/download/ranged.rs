//! Fetches all pieces of a download, as many in parallel as the gate allows.

use std::collections::HashMap;
use std::sync::Arc;

use haul_parts::{PartNumber, PartPlan, PlannedPart};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::fetch::{FetchFailure, Fetched, Fetcher};
use crate::error::Error;
use crate::event::{Event, EventSender};
use crate::pace::{FailedAttempt, Pass, Refusal, Resources, Retries, Success, Turn};
use crate::transfer::pieces::Pieces;

/// The reason why not all pieces were fetched.
pub(super) enum Unfetched {
    /// A permanent error.
    Failed(Error),
    /// The store ignores ranges and sends the whole object.
    NoRanges,
}

/// Fetches the pieces of `plan` that are not among `fetched`. Calls `arrived` for each piece that
/// is in the file; `frontier` is the number of bytes before the first gap.
pub(super) async fn fetch_all(
    resources: &Resources,
    fetcher: &Arc<Fetcher>,
    plan: PartPlan,
    fetched: HashMap<PartNumber, Fetched>,
    events: &EventSender,
    frontier: &watch::Sender<u64>,
    mut arrived: impl FnMut(&Fetched),
) -> Result<Vec<Fetched>, Unfetched> {
    let mut run = Run::new(resources, fetcher, plan, fetched, events);
    run.advance(frontier);
    while !run.pieces.all_moved() {
        run.fetcher.progress.set_in_flight(run.pieces.in_flight());
        run.fetcher.hedging.set_most(run.pieces.hedges_max());
        run.ask_for_pass();
        tokio::select! {
            pass = run.turn.pass() => run.begin(pass),
            Some(ended) = run.running.join_next() => {
                let (number, attempt, ended) =
                    ended.map_err(|error| Unfetched::Failed(Error::Internal(error.to_string())))?;
                if let Some(fetched) = run.ended(number, attempt, ended)? {
                    arrived(&fetched);
                    run.fetched.insert(number, fetched);
                    run.advance(frontier);
                }
            }
            Some(woken) = run.waits.join_next() => {
                let number = woken
                    .map_err(|error| Unfetched::Failed(Error::Internal(error.to_string())))?;
                run.passes.remove(&number);
                run.pieces.woke(number);
            }
        }
    }
    run.fetcher.progress.set_in_flight(0);
    let mut fetched: Vec<_> = run.fetched.into_values().collect();
    fetched.sort_by_key(|piece| piece.number);
    Ok(fetched)
}

struct Run<'a> {
    resources: &'a Resources,
    fetcher: &'a Arc<Fetcher>,
    plan: PartPlan,
    events: &'a EventSender,
    pieces: Pieces,
    retries: Retries,
    fetched: HashMap<PartNumber, Fetched>,
    /// The number of pieces before the first gap, and the number of their bytes.
    whole: (u32, u64),
    turn: Turn,
    /// The passes of pieces in flight, and of pieces that wait for their next attempt.
    passes: HashMap<PartNumber, Pass>,
    running: JoinSet<(PartNumber, u32, Result<Fetched, FetchFailure>)>,
    waits: JoinSet<PartNumber>,
}

impl<'a> Run<'a> {
    fn new(
        resources: &'a Resources,
        fetcher: &'a Arc<Fetcher>,
        plan: PartPlan,
        fetched: HashMap<PartNumber, Fetched>,
        events: &'a EventSender,
    ) -> Self {
        let mut pieces = Pieces::new(plan.part_count().into(), u32::MAX);
        pieces.leave_out(|number| fetched.contains_key(&number));
        let retries =
            Retries::new(resources.retry.clone(), resources.budget.clone(), rand::random());
        Self {
            resources,
            fetcher,
            plan,
            events,
            pieces,
            retries,
            fetched,
            whole: (0, 0),
            turn: Turn::default(),
            passes: HashMap::new(),
            running: JoinSet::new(),
            waits: JoinSet::new(),
        }
    }

    fn ask_for_pass(&mut self) {
        if !self.pieces.has_next() {
            self.turn.leave();
            return;
        }
        let gate = self.resources.gate.clone();
        self.turn.join(|| async move { gate.enter().await });
    }

    fn piece(&self, number: PartNumber) -> PlannedPart {
        self.plan.part(number).expect("there are as many pieces as the plan has parts")
    }

    fn begin(&mut self, pass: Pass) {
        let Some((number, attempt)) = self.pieces.start_next() else { return };
        let piece = self.piece(number);
        self.passes.insert(number, pass);
        let fetcher = Arc::clone(self.fetcher);
        self.running.spawn(async move { (number, attempt, fetcher.fetch(piece).await) });
    }

    /// Handles the end of an attempt: returns the piece if it arrived, schedules a retry, or
    /// returns the error.
    fn ended(
        &mut self,
        number: PartNumber,
        attempt: u32,
        ended: Result<Fetched, FetchFailure>,
    ) -> Result<Option<Fetched>, Unfetched> {
        let (error, moved) = match ended {
            Ok(fetched) => {
                self.pieces.moved();
                self.retries.earn();
                if let Some(pass) = self.passes.remove(&number) {
                    pass.succeeded(Success::Part { attempt });
                }
                return Ok(Some(fetched));
            }
            Err(FetchFailure::Store { error, moved }) => (error, moved),
            Err(FetchFailure::Final(error)) => return Err(Unfetched::Failed(error)),
            Err(FetchFailure::NoRanges) => return Err(Unfetched::NoRanges),
        };
        let failure = FailedAttempt::from(&error);
        if failure.throttled {
            self.throttled(number);
        }
        let again = if moved {
            self.pieces.interrupted(number, &failure, &mut self.retries)
        } else {
            self.pieces.failed(number, &failure, &mut self.retries)
        };
        let Some((attempt_failed, wait)) = again else {
            let piece = self.piece(number);
            return Err(Unfetched::Failed(self.fetcher.failed(piece, attempt, error)));
        };
        let reason = error.to_string();
        self.events.send(Event::Retrying {
            part_number: Some(number),
            attempt: attempt_failed,
            wait,
            reason,
        });
        self.waits.spawn(async move {
            tokio::time::sleep(wait).await;
            number
        });
        Ok(None)
    }

    /// Reports a throttled range to the gate; after an isolated refusal, others fetch meanwhile.
    fn throttled(&mut self, number: PartNumber) {
        let Some(pass) = self.passes.get(&number) else { return };
        if pass.throttled() == Refusal::Isolated {
            self.passes.remove(&number);
        }
        self.fetcher.hedging.throttled();
    }

    /// Advances the frontier over the pieces that have arrived.
    fn advance(&mut self, frontier: &watch::Sender<u64>) {
        let before = self.whole;
        while let Ok(number) = PartNumber::new(self.whole.0 + 1)
            && let Some(piece) = self.fetched.get(&number)
        {
            self.whole = (self.whole.0 + 1, self.whole.1 + piece.size_bytes);
        }
        if self.whole != before {
            frontier.send_replace(self.whole.1);
        }
    }
}
