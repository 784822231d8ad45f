//! Which piece of a transfer runs next. A state machine without I/O, clock or tasks.
//!
//! Guarantees: at most `concurrency` pieces are in flight or wait for their next attempt, and a
//! piece that has been moved never runs again. Deliberately unaware of what a piece is and of the
//! limits of other transfers: those are the gate's.

use std::collections::VecDeque;
use std::time::Duration;

use haul_parts::PartNumber;

use crate::pace::{Failure, Retries};

/// The pieces of one transfer.
#[derive(Debug)]
pub struct Pieces {
    /// Pieces never tried, and pieces whose wait is over.
    ready: VecDeque<PartNumber>,
    /// Attempts so far, by index.
    attempts: Vec<u32>,
    /// Pieces that have not been moved.
    left: usize,
    /// There may be more pieces than are known.
    open: bool,
    in_flight: u32,
    /// Pieces that wait for their next attempt. They keep their place among those in flight: at a
    /// store that is away, the untried pieces behind them would fail in no time, one after the
    /// other, and use up the budget.
    waiting: u32,
    concurrency: u32,
}

impl Pieces {
    /// `count` pieces, at most `concurrency` of them in flight, at least one.
    ///
    /// # Panics
    /// For more pieces than there are part numbers.
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

    /// No piece yet, of a stream: they are added as they are read, until the list is closed.
    pub fn growing(concurrency: u32) -> Self {
        Self { open: true, ..Self::new(0, concurrency) }
    }

    /// Adds the piece behind the last one; nothing once the list is closed.
    ///
    /// # Panics
    /// For more pieces than there are part numbers.
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

    /// No piece is added any more.
    pub fn close(&mut self) {
        self.open = false;
    }

    /// Whether a piece could be added and would run at once: more of them are not to be read ahead.
    pub fn wants_more(&self) -> bool {
        self.open && self.ready.is_empty() && self.in_flight + self.waiting < self.concurrency
    }

    /// Whether a known piece waits for its turn.
    pub fn any_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Leaves out the pieces that an earlier run has moved.
    pub fn leave_out(&mut self, is_moved: impl Fn(PartNumber) -> bool) {
        self.ready.retain(|number| !is_moved(*number));
        self.left = self.ready.len();
    }

    /// Whether [`Pieces::start_next`] would give a piece.
    pub fn has_next(&self) -> bool {
        self.in_flight + self.waiting < self.concurrency && !self.ready.is_empty()
    }

    /// The next piece to run, and which attempt of it that is, counted from 1.
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

    /// A piece in flight has been moved.
    pub fn moved(&mut self) {
        self.in_flight -= 1;
        self.left -= 1;
    }

    /// An attempt failed: how many were made of that piece, and how long it waits for the next.
    /// `None`: no more attempts.
    pub fn failed(
        &mut self,
        number: PartNumber,
        failure: &Failure,
        retries: &mut Retries,
    ) -> Option<(u32, Duration)> {
        self.in_flight -= 1;
        let attempt = self.attempts[number.index()];
        let wait = retries.pay_for_wait(attempt, failure)?;
        self.waiting += 1;
        Some((attempt, wait))
    }

    /// The same for an attempt that moved some bytes before it failed: the attempts are counted
    /// again from there, and nothing is paid.
    pub fn interrupted(
        &mut self,
        number: PartNumber,
        failure: &Failure,
        retries: &mut Retries,
    ) -> Option<(u32, Duration)> {
        self.in_flight -= 1;
        self.attempts[number.index()] = 1;
        let wait = retries.wait(1, failure)?;
        self.waiting += 1;
        Some((1, wait))
    }

    /// A wait is over. The piece runs before those never tried: its neighbours are done, and the
    /// end is nearer.
    pub fn woke(&mut self, number: PartNumber) {
        self.waiting -= 1;
        self.ready.push_front(number);
    }

    /// An attempt ended without success while the transfer stops: the piece is not tried again by
    /// this run.
    pub fn gave_up(&mut self, number: PartNumber) {
        self.ready.push_front(number);
        self.in_flight -= 1;
    }

    /// Everything in flight was stopped.
    pub fn stopped(&mut self) {
        self.in_flight = 0;
    }

    /// Pieces in flight now.
    pub fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// True when every piece has been moved, and none can be added.
    pub fn all_moved(&self) -> bool {
        self.left == 0 && !self.open
    }

    /// True if at least one piece has been moved, by this run or an earlier one.
    pub fn some_moved(&self) -> bool {
        self.left < self.attempts.len()
    }
}
