//! The record of the requests that passed through the proxy.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::{Fault, Kind, Rule};

/// One recorded request.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The S3 operation.
    pub kind: Kind,
    /// The HTTP method.
    pub method: String,
    /// Path and query as sent.
    pub target: String,
    /// The `partNumber` of the query.
    pub part_number: Option<u32>,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The number of its connection, from 0.
    pub connection: u64,
    /// The time when the head of the request had been read.
    pub at: Instant,
    /// How long the connection had been idle; `None` for the first request of a connection.
    pub idle: Option<Duration>,
    /// The number of requests of this kind in flight at that time, including this one.
    pub in_flight: usize,
    /// Whether the request is in flight.
    pub under_way: bool,
    /// The bytes of the request's body that the proxy has read.
    pub body_bytes: u64,
    /// The status of the response that reached the client.
    pub status: Option<u16>,
    /// The fault that was injected.
    pub fault: Option<Fault>,
}

impl Seen {
    /// Returns the value of a header; the name is in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(present, _)| present == name).map(|(_, value)| value.as_str())
    }

    /// Returns `body_bytes` without the framing of `aws-chunked`, if the whole body arrived.
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
        // Ignore poisoning: the state is consistent between any two statements here, so a panic
        // elsewhere does not corrupt it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, rule: Rule) {
        self.state().rules.push(rule);
    }

    /// Records a new request and selects its fault: the first rule that applies.
    pub(super) fn admit(&self, mut request: Seen) -> (usize, Option<Fault>) {
        let mut state = self.state();
        let beside = |other: &&Seen| other.under_way && other.kind == request.kind;
        request.in_flight = 1 + state.seen.iter().filter(beside).count();
        let released = state.released;
        let mut rules = state.rules.iter_mut().filter(|rule| !(released && rule.holds()));
        request.fault = rules.find_map(|rule| rule.strike(&request));
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

    /// Marks an exchange as ended, whatever the outcome.
    pub(super) fn over(&self, index: usize) {
        self.state().seen[index].under_way = false;
        self.changed.notify_all();
    }

    /// Releases all held and later requests.
    pub(super) fn release(&self) {
        self.state().released = true;
        self.let_go.notify_waiters();
    }

    /// Returns once [`Record::release`] was called.
    pub(super) async fn released(&self) {
        loop {
            let notified = self.let_go.notified();
            tokio::pin!(notified);
            // Listen first: otherwise a release between the check and the wait would be missed.
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

    /// Waits until `enough` returns true; false after `limit`.
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
