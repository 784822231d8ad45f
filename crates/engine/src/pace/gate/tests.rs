//! Tests the gate's queue and its limit.

use std::task::{Context, Poll, Waker};

use super::*;
use crate::body::Bandwidth;

async fn open(max: u32) -> Gate {
    let gate = Gate::new(max);
    while gate.allowed() < max {
        gate.enter().await.succeeded(Success::Short);
    }
    gate
}

fn limited(bandwidth: &Bandwidth) -> Gate {
    let meter = Meter::limited(bandwidth.clone());
    Gate::limited(16.into(), meter, BufferPool::new(u64::MAX))
}

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test]
async fn those_who_wait_are_served_in_order() {
    let gate = open(1).await;
    let first = gate.enter().await;
    let mut second = Box::pin(gate.enter());
    let mut third = Box::pin(gate.enter());
    assert!(poll(second.as_mut()).is_pending() && poll(third.as_mut()).is_pending());
    drop(first);
    // A late caller does not overtake waiting ones.
    let mut late = Box::pin(gate.enter());
    assert!(poll(late.as_mut()).is_pending() && poll(third.as_mut()).is_pending());
    let Poll::Ready(second) = poll(second.as_mut()) else {
        panic!("the first in the queue was passed over")
    };
    drop(second);
    assert!(poll(third.as_mut()).is_ready());
}

#[tokio::test]
async fn a_place_in_the_queue_that_is_given_up_is_not_lost() {
    let gate = open(1).await;
    let first = gate.enter().await;
    let mut given_up = Box::pin(gate.enter());
    let mut granted = Box::pin(gate.enter());
    assert!(poll(given_up.as_mut()).is_pending() && poll(granted.as_mut()).is_pending());
    drop(given_up);
    drop(first);
    // Granted and never used.
    drop(granted);
    gate.enter().await;
}

#[tokio::test]
async fn a_throttled_pass_closes_half_of_the_gate() {
    let gate = open(16).await;
    let passes = futures_util::future::join_all((0..16).map(|_| gate.enter())).await;
    passes.iter().for_each(|pass| {
        pass.throttled();
    });
    assert_eq!(gate.allowed(), 8, "once for all that were under way together");
    drop(passes);
    gate.enter().await.throttled();
    assert_eq!(gate.allowed(), 4);
}

/// A repeated PutObject kept the number of its first attempt, so that the store was halved for it
/// only once, however often it refused.
#[tokio::test]
async fn each_attempt_of_a_pass_is_news() {
    let gate = open(16).await;
    let mut pass = gate.enter().await;
    let mut seen = Vec::new();
    for _ in 0..6 {
        seen.push(pass.throttled());
        pass.restart();
    }
    let (isolated, news) = seen.split_at(3);
    assert!(isolated.iter().all(|refusal| *refusal == Refusal::Isolated), "{seen:?}");
    assert!(news.iter().all(|refusal| *refusal == Refusal::Overload), "{seen:?}");
    assert!(gate.allowed() < 8, "{} in flight", gate.allowed());
}

/// A limit on the bandwidth held four of sixteen slots open. A refusal halved the sixteen, and
/// the store got as many requests as before.
#[tokio::test]
async fn throttling_halves_what_a_bandwidth_lets_through() {
    let bandwidth = Bandwidth::default();
    let gate = limited(&bandwidth);
    while gate.allowed() < 16 {
        gate.enter().await.succeeded(Success::Short);
    }
    bandwidth.set(Some(1 << 20));
    let passes = futures_util::future::join_all((0..4).map(|_| gate.enter())).await;
    passes.iter().for_each(|pass| {
        pass.throttled();
    });
    assert_eq!(gate.allowed(), 2);
}

#[tokio::test]
async fn a_bandwidth_limits_the_requests_in_flight() {
    let bandwidth = Bandwidth::default();
    bandwidth.set(Some(1 << 20));
    let gate = limited(&bandwidth);
    let mut passes = Vec::new();
    for _ in 0..4 {
        let pass = gate.enter().await;
        pass.succeeded(Success::Short);
        passes.push(pass);
    }
    let mut fifth = Box::pin(gate.enter());
    assert!(poll(fifth.as_mut()).is_pending());
    bandwidth.set(None);
    passes.pop();
    assert!(poll(fifth.as_mut()).is_ready() && poll(Box::pin(gate.enter()).as_mut()).is_ready());
}

/// Returns the limit after five seconds of growing goodput with every slot taken, or as soon as it
/// has changed. `successes` come before.
async fn ramped_up(concurrency: Concurrency, successes: &[Success]) -> (u32, u32) {
    let meter = Meter::default();
    let gate = Gate::limited(concurrency, meter.clone(), BufferPool::new(u64::MAX));
    for success in successes {
        gate.enter().await.succeeded(*success);
    }
    let before = gate.allowed();
    let _passes = futures_util::future::join_all((0..before).map(|_| gate.enter())).await;
    let mut waiting = Box::pin(gate.enter());
    for quarter in 0..20 {
        meter.add(1_000_000 * quarter);
        let _ = timeout(MEASURES_EVERY, &mut waiting).await;
        if gate.allowed() != before {
            break;
        }
    }
    (before, gate.allowed())
}

const PART: Success = Success::Part { attempt: 1 };

/// Parts that take 20 seconds raised the limit by two each, and nothing else did: sixteen were in
/// flight after half a minute.
#[tokio::test(start_paused = true)]
async fn the_limit_is_doubled_between_slow_parts() {
    assert_eq!(ramped_up(64.into(), &[]).await, (2, 4));
    assert_eq!(ramped_up(64.into(), &[Success::Short]).await, (4, 8));
    assert_eq!(ramped_up(64.into(), &[PART]).await, (4, 8));
}

/// What the link is worth is measured as soon as parts arrive.
#[tokio::test(start_paused = true)]
async fn the_first_part_that_arrives_leaves_an_adaptive_limit_to_its_measurements() {
    let adaptive = Concurrency::default();
    assert_eq!(ramped_up(adaptive, &[Success::Short; 31]).await, (16, 32));
    assert_eq!(ramped_up(adaptive, &[PART; 31]).await, (16, 16));
}
