//! Decides which piece of a transfer runs next. This is a state machine without I/O, clock or
//! tasks.
//!
//! Guarantees: at most `concurrency` pieces are in flight or wait for their next attempt, and a
//! piece that has been moved never runs again. This file deliberately does not know what a piece
//! is, nor the limits of other transfers, which the gate enforces.

use std::collections::VecDeque;
use std::time::Duration;

use haul_parts::PartNumber;

use crate::pace::{FailedAttempt, Retries};

/// The pieces of one transfer.
#[derive(Debug)]
pub struct Pieces {
    /// Untried pieces, and pieces whose wait is over.
    ready: VecDeque<PartNumber>,
    /// Attempts so far, by index.
    attempts: Vec<u32>,
    /// Pieces that have not been moved.
    left: usize,
    /// Whether there may be more pieces than are known.
    open: bool,
    in_flight: u32,
    /// Pieces that wait for their next attempt. They keep their slots: otherwise, if the store is
    /// unavailable, the untried pieces behind them would fail one after the other within moments,
    /// and use up the budget.
    waiting: u32,
    concurrency: u32,
}

impl Pieces {
    /// Creates `count` pieces, at most `concurrency` of them in flight, at least one.
    ///
    /// If there are more pieces than part numbers.
    pub fn new(count: u32, concurrency: u32) -> Self {
        let numbers = (1..=count).map(|number| {
            PartNumber::new(number).expect("a plan has no more parts than there are part numbers")
        });
        Self {
            ready: numbers.collect(),
            attempts: vec![0; count as usize],
            left: count as usize,
            open: false,
            in_flight: 0,
            waiting: 0,
            concurrency: concurrency.max(1),
        }
    }

    /// Creates an empty list for a stream: pieces are added as they are read, until the list is
    /// closed.
    pub fn growing(concurrency: u32) -> Self {
        Self { open: true, ..Self::new(0, concurrency) }
    }

    /// Adds a piece after the last one; does nothing once the list is closed.
    ///
    /// If there are more pieces than part numbers.
    pub fn add(&mut self) {
        if self.open {
            let index =
                u32::try_from(self.attempts.len()).expect("there are at most 10,000 pieces");
            let number =
                PartNumber::new(index + 1).expect("a stream has no more parts than part numbers");
            self.ready.push_back(number);
            self.attempts.push(0);
            self.left += 1;
        }
    }

    /// Closes the list of pieces.
    pub fn close(&mut self) {
        self.open = false;
    }

    /// Returns whether an added piece would run at once; if not, no piece should be read ahead.
    pub fn wants_more(&self) -> bool {
        self.open && self.ready.is_empty() && self.in_flight + self.waiting < self.concurrency
    }

    /// Returns whether a known piece waits for its turn.
    pub fn any_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Skips the pieces that an earlier run has moved.
    pub fn leave_out(&mut self, is_moved: impl Fn(PartNumber) -> bool) {
        self.ready.retain(|number| !is_moved(*number));
        self.left = self.ready.len();
    }

    /// Returns whether [`Pieces::start_next`] would return a piece.
    pub fn has_next(&self) -> bool {
        self.in_flight + self.waiting < self.concurrency && !self.ready.is_empty()
    }

    /// Returns how many pieces may be requested twice at once: none while pieces wait for their
    /// turn or for their next attempt.
    pub fn hedges_max(&self) -> u32 {
        let any_waits = !self.ready.is_empty() || self.waiting > 0 || self.open;
        if any_waits || self.in_flight == 0 { 0 } else { self.concurrency - self.in_flight }
    }

    /// Returns the next piece to run, and its attempt, counted from 1.
    pub fn start_next(&mut self) -> Option<(PartNumber, u32)> {
        if !self.has_next() {
            return None;
        }
        let number = self.ready.pop_front()?;
        self.in_flight += 1;
        let attempts = &mut self.attempts[number.index()];
        *attempts += 1;
        Some((number, *attempts))
    }

    /// Records that a piece in flight has been moved.
    pub fn moved(&mut self) {
        self.in_flight -= 1;
        self.left -= 1;
    }

    /// Records a failed attempt. Returns the number of attempts of that piece so far, and the wait
    /// before the next one; `None` if no further attempt is allowed.
    pub fn failed(
        &mut self,
        number: PartNumber,
        failure: &FailedAttempt,
        retries: &mut Retries,
    ) -> Option<(u32, Duration)> {
        self.in_flight -= 1;
        let attempt = self.attempts[number.index()];
        let wait = retries.pay_for_wait(attempt, failure)?;
        self.waiting += 1;
        Some((attempt, wait))
    }

    /// Records an attempt that moved some bytes before it failed. The attempts of the piece are
    /// counted from one again, and the retry budget is not charged.
    pub fn interrupted(
        &mut self,
        number: PartNumber,
        failure: &FailedAttempt,
        retries: &mut Retries,
    ) -> Option<(u32, Duration)> {
        self.in_flight -= 1;
        self.attempts[number.index()] = 1;
        let wait = retries.wait(1, failure)?;
        self.waiting += 1;
        Some((1, wait))
    }

    /// Ends a wait. The piece runs before untried ones: its neighbours are done, so it completes a
    /// contiguous range earlier.
    pub fn woke(&mut self, number: PartNumber) {
        self.waiting -= 1;
        self.ready.push_front(number);
    }

    /// Records that an attempt ended without success while the transfer was stopping: this run does
    /// not retry the piece.
    pub fn gave_up(&mut self, number: PartNumber) {
        self.ready.push_front(number);
        self.in_flight -= 1;
    }

    /// Records that all pieces in flight were stopped.
    pub fn stopped(&mut self) {
        self.in_flight = 0;
    }

    /// Returns the number of pieces in flight.
    pub fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// Returns true if every piece has been moved and no piece can be added.
    pub fn all_moved(&self) -> bool {
        self.left == 0 && !self.open
    }

    /// Returns true if at least one piece has been moved, by this run or an earlier one.
    pub fn some_moved(&self) -> bool {
        self.left < self.attempts.len()
    }
}
