//! Simulates links between real gates and a store, in tokio's virtual time.
//!
//! Unlike the simulation of [`adaptive`](crate::pace::adaptive), nothing here calls the controller:
//! transfers queue at a gate and report as the engine's do. Several gates can share one link, like
//! several processes on one host.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::time::{Instant, sleep, sleep_until};

use super::reno::Reno;
use super::{Gate, Success, Turn};
use crate::body::{BufferPool, Meter};
use crate::pace::{Concurrency, RetryPolicy};

pub(super) const MIB: u64 = 1 << 20;
pub(super) const PART_BYTES: u64 = 8 * MIB;

/// A link to a store.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    pub(super) bytes_per_s: f64,
    pub(super) round_trip: Duration,
    /// The limit of one connection.
    pub(super) connection_bytes_per_s: f64,
    /// The requests per second that the store accepts.
    pub(super) requests_per_s: f64,
    /// The bytes that the socket of a connection takes before it sends them.
    pub(super) buffer_bytes: u64,
    /// The share of packets that are lost; above zero, connections keep to TCP Reno.
    pub(super) loss: f64,
}

impl Link {
    /// Returns the bytes that the link sends of one connection before those of another.
    fn chunk_bytes(&self) -> u64 {
        let is_slow = self.bytes_per_s.min(self.connection_bytes_per_s) < 1e6;
        if is_slow { MIB / 16 } else { MIB }
    }
}

/// A link that is in use. Clones are the same link.
#[derive(Clone)]
pub(super) struct Wire {
    link: Link,
    state: Arc<Mutex<WireState>>,
}

struct WireState {
    /// The time until which the link is busy with what it was given.
    busy_until: Instant,
    /// The requests that the store would accept now.
    tokens: f64,
    counted_at: Instant,
    refused: u64,
    random: StdRng,
    /// The idle connections of links with loss; the last one is used first.
    idle: Vec<Reno>,
}

impl Wire {
    pub(super) fn new(link: Link, seed: u64) -> Self {
        let now = Instant::now();
        let state = WireState {
            busy_until: now,
            tokens: 1.0,
            counted_at: now,
            refused: 0,
            random: StdRng::seed_from_u64(seed),
            idle: vec![],
        };
        Self { link, state: Arc::new(Mutex::new(state)) }
    }

    /// Returns the number of requests that the store refused.
    pub(super) fn refused(&self) -> u64 {
        self.state.lock().unwrap().refused
    }

    /// Makes one attempt at a part; returns false if the store refuses it with `SlowDown`.
    async fn attempt(&self, meter: &Meter) -> bool {
        sleep(self.link.round_trip).await;
        if !self.accepts() {
            return false;
        }
        if self.link.loss > 0.0 {
            self.send_with_loss(meter).await;
            return true;
        }
        let mut own = Instant::now();
        let chunk_bytes = self.link.chunk_bytes();
        meter.add(self.link.buffer_bytes);
        let mut buffered = self.link.buffer_bytes;
        for _ in 0..PART_BYTES / chunk_bytes {
            own += seconds(chunk_bytes as f64 / self.link.connection_bytes_per_s);
            let sent = self.reserve();
            sleep_until(sent.max(own)).await;
            // The socket takes as much as it sent, until the part ends.
            buffered += chunk_bytes;
            if buffered <= PART_BYTES {
                meter.add(chunk_bytes);
            }
        }
        let answer = self.state.lock().unwrap().random.random_range(20..=40);
        sleep(Duration::from_millis(answer)).await;
        true
    }

    /// Takes the link for a chunk; returns the time when it is sent.
    fn reserve(&self) -> Instant {
        self.state.lock().unwrap().reserve(&self.link, self.link.chunk_bytes() as f64)
    }

    /// Sends a part over a connection that loses packets.
    async fn send_with_loss(&self, meter: &Meter) {
        let mut reno = {
            let mut state = self.state.lock().unwrap();
            state.idle.pop().map_or_else(Reno::new, Reno::after_idle)
        };
        let mut left_bytes = PART_BYTES;
        while left_bytes > 0 {
            let round = {
                let state = &mut *self.state.lock().unwrap();
                let round_bytes = left_bytes.min(reno.window_bytes());
                let sent = state.reserve(&self.link, round_bytes as f64);
                // The queue of the link holds what it sends within one round trip.
                let is_full = sent - Instant::now() > self.link.round_trip;
                reno.round(round_bytes, self.link.loss, is_full, &mut state.random);
                left_bytes -= round_bytes;
                meter.add(round_bytes);
                sent + self.link.round_trip
            };
            sleep_until(round).await;
        }
        self.state.lock().unwrap().idle.push(reno);
    }

    /// Refuses by a bucket of a tenth of a second.
    fn accepts(&self) -> bool {
        let mut state = self.state.lock().unwrap();
        let now = Instant::now();
        let earned = (now - state.counted_at).as_secs_f64() * self.link.requests_per_s;
        state.counted_at = now;
        state.tokens = (state.tokens + earned).min((self.link.requests_per_s / 10.0).max(1.0));
        let accepts = state.tokens >= 1.0;
        if accepts {
            state.tokens -= 1.0;
        } else {
            state.refused += 1;
        }
        accepts
    }

    fn wait_after_refusal(&self, attempt: u32) -> Duration {
        let random = &mut self.state.lock().unwrap().random;
        RetryPolicy::default().wait_after_refusal(attempt, random)
    }
}

impl WireState {
    fn reserve(&mut self, link: &Link, bytes: f64) -> Instant {
        let begins = self.busy_until.max(Instant::now());
        self.busy_until = begins + seconds(bytes / link.bytes_per_s);
        self.busy_until
    }
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

/// The gate of an engine with the default memory.
pub(super) struct Process {
    pub(super) gate: Gate,
    meter: Meter,
}

impl Process {
    pub(super) fn new(concurrency: Concurrency) -> Self {
        let meter = Meter::default();
        let gate = Gate::limited(concurrency, meter.clone(), BufferPool::new(128 * MIB));
        Self { gate, meter }
    }

    /// Returns the number of requests that may be in flight now.
    pub(super) fn allowed(&self) -> u32 {
        self.gate.allowed()
    }
}

/// Transfers that send parts without end.
pub(super) struct Run {
    meters: Vec<Meter>,
    transfers: Vec<(Arc<Mutex<u64>>, tokio::task::JoinHandle<()>)>,
}

impl Run {
    /// Starts one transfer for each process of the list, which may name one of them twice.
    pub(super) fn start(wire: &Wire, processes: &[&Process]) -> Self {
        let transfers = processes.iter().map(|process| {
            let (parts, meter) = (Arc::default(), process.meter.clone());
            let transfer = transfer(wire.clone(), process.gate.clone(), meter, Arc::clone(&parts));
            (parts, tokio::spawn(transfer))
        });
        let meters = processes.iter().map(|process| process.meter.clone()).collect();
        Self { meters, transfers: transfers.collect() }
    }

    /// Runs for `time`; returns the bytes per second that crossed the network in it, whole parts or
    /// not. Each process must be named once.
    pub(super) async fn moved(&self, time: Duration) -> f64 {
        let moved = || -> u64 { self.meters.iter().map(Meter::all_bytes).sum() };
        let before = moved();
        sleep(time).await;
        (moved() - before) as f64 / time.as_secs_f64()
    }

    /// Runs for `time`; returns the bytes per second of each transfer in it.
    pub(super) async fn goodputs(&self, time: Duration) -> Vec<f64> {
        let counts = || -> Vec<u64> {
            self.transfers.iter().map(|(parts, _)| *parts.lock().unwrap()).collect()
        };
        let before = counts();
        sleep(time).await;
        let rate =
            |(after, before)| (after - before) as f64 * PART_BYTES as f64 / time.as_secs_f64();
        counts().into_iter().zip(before).map(rate).collect()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.transfers.iter().for_each(|(_, transfer)| transfer.abort());
    }
}

/// Sends parts without end, as the driver of an upload does: one place in the queue of the gate,
/// and a task for each part.
async fn transfer(wire: Wire, gate: Gate, meter: Meter, parts: Arc<Mutex<u64>>) {
    let mut turn = Turn::default();
    let mut running = tokio::task::JoinSet::new();
    loop {
        let gate = gate.clone();
        turn.join(|| async move { gate.enter().await });
        tokio::select! {
            Some(_) = running.join_next() => {}
            mut pass = turn.pass() => {
                let (wire, meter, parts) = (wire.clone(), meter.clone(), Arc::clone(&parts));
                running.spawn(async move {
                    let mut attempt = 1;
                    while !wire.attempt(&meter).await {
                        pass.throttled();
                        // A part that waits keeps its pass.
                        sleep(wire.wait_after_refusal(attempt)).await;
                        attempt += 1;
                        pass.restart();
                    }
                    pass.succeeded(Success::Part { attempt });
                    *parts.lock().unwrap() += 1;
                });
            }
        }
    }
}
