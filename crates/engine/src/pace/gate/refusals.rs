//! Tests how short requests fare at stores that refuse some of them, in virtual time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::{Gate, Success};
use crate::pace::{FailedAttempt, RetryBudget, RetryPolicy};
use crate::remote::{Operation, StoreError};

/// The requests that a store refuses.
#[derive(Clone, Copy)]
enum Refuses {
    /// One of this many, at random.
    OneOf(u32),
    /// Those above this many per second, by a bucket of a tenth of a second.
    Above(f64),
    /// All, until this time has passed.
    Until(Duration),
}

/// A store whose answers all take the same time.
struct Store {
    refuses: Refuses,
    latency: Duration,
    began: Instant,
    state: Mutex<(StdRng, f64, Instant)>,
    asked: AtomicU64,
    refused: AtomicU64,
}

impl Store {
    fn new(refuses: Refuses, latency: Duration) -> Arc<Self> {
        let began = Instant::now();
        let state = Mutex::new((StdRng::seed_from_u64(1), 0.0, began));
        let (asked, refused) = (AtomicU64::new(0), AtomicU64::new(0));
        Arc::new(Self { refuses, latency, began, state, asked, refused })
    }

    async fn accepts(&self) -> bool {
        sleep(self.latency).await;
        self.asked.fetch_add(1, Ordering::Relaxed);
        let mut state = self.state.lock().unwrap();
        let (random, tokens, counted_at) = &mut *state;
        let accepts = match self.refuses {
            Refuses::OneOf(count) => random.random_range(0..count) != 0,
            Refuses::Until(time) => self.began.elapsed() >= time,
            Refuses::Above(per_s) => {
                let earned = counted_at.elapsed().as_secs_f64() * per_s;
                *counted_at = Instant::now();
                *tokens = (*tokens + earned).min(per_s / 10.0);
                let accepts = *tokens >= 1.0;
                *tokens -= f64::from(u8::from(accepts));
                accepts
            }
        };
        self.refused.fetch_add((!accepts).into(), Ordering::Relaxed);
        accepts
    }

    /// The share of the requests that was refused.
    fn refused_share(&self) -> f64 {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed) as f64;
        count(&self.refused) / count(&self.asked)
    }
}

/// Sends `files` short requests of one process, as a tree does; returns the time that it took.
/// Panics if one of them fails.
async fn send(store: &Arc<Store>, concurrency: u32, files: u32, seed: u64) -> Duration {
    let (gate, policy) = (Gate::new(concurrency), RetryPolicy::default());
    let budget = RetryBudget::new(&policy, concurrency);
    let began = Instant::now();
    let mut running = JoinSet::new();
    for file in 0..files {
        if running.len() >= 2 * concurrency as usize {
            running.join_next().await.unwrap().unwrap();
        }
        let (store, gate, policy) = (Arc::clone(store), gate.clone(), policy.clone());
        let (budget, mut random) = (budget.clone(), StdRng::seed_from_u64(seed + u64::from(file)));
        running.spawn(async move {
            let mut pass = gate.enter().await;
            let mut attempt = 1;
            while !store.accepts().await {
                pass.throttled();
                let error = StoreError::answered(Operation::PutObject, 503, Some("SlowDown"), "");
                let wait = policy.wait(attempt, &FailedAttempt::from(&error), &mut random);
                let wait = wait.filter(|_| budget.pay());
                sleep(wait.expect("a file has attempts left, and the budget is not used up")).await;
                pass.restart();
                attempt += 1;
            }
            budget.earn();
            pass.succeeded(Success::Short);
        });
    }
    running.join_all().await;
    began.elapsed()
}

/// 10,000 files took nine times as long at a store that refused 1 % of the requests: each refusal
/// halved the gate, and its file waited for half a second or more.
#[tokio::test(start_paused = true)]
async fn one_refusal_of_a_hundred_costs_little_time() {
    let latency = Duration::from_millis(20);
    let free = send(&Store::new(Refuses::OneOf(u32::MAX), latency), 64, 10_000, 1).await;
    let store = Store::new(Refuses::OneOf(100), latency);
    let took = send(&store, 64, 10_000, 1).await;
    assert!(store.refused_share() > 0.005);
    let ratio = took.as_secs_f64() / free.as_secs_f64();
    assert!(ratio < 1.25, "{ratio:.2} times as long: {took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_throttling_store_gets_the_short_requests_that_it_accepts() {
    for (per_s, latency_ms) in [(200, 20), (1000, 20), (200, 5), (100, 5), (500, 100)] {
        let latency = Duration::from_millis(latency_ms);
        let store = Store::new(Refuses::Above(per_s.into()), latency);
        let files = 100 * per_s;
        let took = send(&store, 64, files, 1).await.as_secs_f64();
        let share = f64::from(files) / took / f64::from(per_s);
        let refused = store.refused_share();
        println!("{per_s} per s, {latency_ms} ms: {share:.3}, {refused:.3} refused");
        assert!(share >= 0.9, "{share:.2} of what the store accepts, {refused:.3} refused");
        assert!(refused < 0.1, "{refused:.2} refused");
    }
}

#[tokio::test(start_paused = true)]
async fn four_processes_share_a_throttling_store_and_lose_no_file() {
    let store = Store::new(Refuses::Above(400.0), Duration::from_millis(50));
    let began = Instant::now();
    let took = futures_util::future::join_all(
        (0..4).map(|process| send(&store, 64, 10_000, 1 << (20 + process))),
    )
    .await;
    let share = 40_000.0 / began.elapsed().as_secs_f64() / 400.0;
    let refused = store.refused_share();
    println!("{share:.3}, {refused:.3} refused, {took:?}");
    assert!(share >= 0.9, "{share:.2} of what the store accepts; {took:?}");
    assert!(refused < 0.1, "{refused:.2} refused");
}

/// A store that refuses everything for a while gets a few requests meanwhile, and no file fails.
#[tokio::test(start_paused = true)]
async fn a_store_that_refuses_everything_for_a_while_is_outlasted() {
    let outage = Duration::from_secs(20);
    let store = Store::new(Refuses::Until(outage), Duration::from_millis(20));
    let took = send(&store, 64, 10_000, 1).await;
    let refused = store.refused.load(Ordering::Relaxed);
    assert!(refused < 100, "{refused} were refused");
    assert!(took < 3 * outage, "{took:?}");
}
