//! What the proxy saw.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::{Fault, Kind, Rule};

/// One request.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Which operation it is.
    pub kind: Kind,
    /// The HTTP method.
    pub method: String,
    /// Path and query as sent.
    pub target: String,
    /// The `partNumber` of the query.
    pub part_number: Option<u32>,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Which connection it came on, counted from 0.
    pub connection: u64,
    /// When its head had been read.
    pub at: Instant,
    /// How long its connection had carried nothing; none for the first request of a connection.
    pub idle: Option<Duration>,
    /// How many requests of its kind were under way then, this one included.
    pub in_flight: usize,
    /// Whether it is under way.
    pub under_way: bool,
    /// Bytes of its body that the proxy has read.
    pub body_bytes: u64,
    /// The status of the answer that reached the client.
    pub status: Option<u16>,
    /// What was made to go wrong.
    pub fault: Option<Fault>,
}

impl Seen {
    /// The value of a header; the name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(present, _)| present == name).map(|(_, value)| value.as_str())
    }

    /// As `body_bytes`; of a body that came whole, without the framing of `aws-chunked`.
    #[must_use]
    pub fn payload_bytes(&self) -> u64 {
        let decoded =
            self.header("x-amz-decoded-content-length").and_then(|length| length.parse().ok());
        self.body_bytes.min(decoded.unwrap_or(u64::MAX))
    }
}

#[derive(Debug, Default)]
struct RecordState {
    rules: Vec<Rule>,
    seen: Vec<Seen>,
    released: bool,
}

/// Rules and requests, shared by all connections of a proxy.
#[derive(Debug, Default)]
pub(super) struct Record {
    state: Mutex<RecordState>,
    changed: Condvar,
    let_go: Notify,
}

impl Record {
    fn state(&self) -> MutexGuard<'_, RecordState> {
        // The state is whole between any two statements here, so a panic elsewhere does not spoil
        // it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, rule: Rule) {
        self.state().rules.push(rule);
    }

    /// Notes a new request and decides its fate: the first rule that applies.
    pub(super) fn admit(&self, mut request: Seen) -> (usize, Option<Fault>) {
        let mut state = self.state();
        let beside = |other: &&Seen| other.under_way && other.kind == request.kind;
        request.in_flight = 1 + state.seen.iter().filter(beside).count();
        request.fault = state.rules.iter_mut().find_map(|rule| rule.strike(&request));
        let fault = request.fault.clone();
        state.seen.push(request);
        self.changed.notify_all();
        (state.seen.len() - 1, fault)
    }

    pub(super) fn count_body(&self, index: usize, bytes: u64) {
        self.state().seen[index].body_bytes += bytes;
        self.changed.notify_all();
    }

    pub(super) fn answered(&self, index: usize, status: u16) {
        self.state().seen[index].status = Some(status);
        self.changed.notify_all();
    }

    /// Its exchange has come to an end, whatever end.
    pub(super) fn over(&self, index: usize) {
        self.state().seen[index].under_way = false;
        self.changed.notify_all();
    }

    /// Lets go of what is held, now and from now on.
    pub(super) fn release(&self) {
        self.state().released = true;
        self.let_go.notify_waiters();
    }

    /// Returns once [`Record::release`] was called.
    pub(super) async fn released(&self) {
        loop {
            let notified = self.let_go.notified();
            tokio::pin!(notified);
            // Listening first: a release between the look and the wait would be missed.
            notified.as_mut().enable();
            if self.state().released {
                return;
            }
            notified.await;
        }
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.state().seen.clone()
    }

    /// Waits until `enough` says yes; false when `limit` is over.
    pub(super) fn wait_until(
        &self,
        limit: Duration,
        mut enough: impl FnMut(&[Seen]) -> bool,
    ) -> bool {
        let end = Instant::now() + limit;
        let mut state = self.state();
        while !enough(&state.seen) {
            let Some(left) = end.checked_duration_since(Instant::now()) else { return false };
            state =
                self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}
