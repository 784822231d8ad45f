//! Tests when an attempt is hedged, in virtual time.

use std::sync::atomic::AtomicU64;

use super::*;

const MIB: u64 = 1 << 20;

/// Creates the hedging of a transfer that has moved sixteen pieces of 8 MiB, a second each.
async fn hedging(bandwidth: &Bandwidth) -> Hedging {
    let hedging = Hedging::new(&Gate::new(4), bandwidth);
    let attempts: Vec<_> = (0..16).map(|_| hedging.attempt(8 * MIB, true)).collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    attempts.iter().for_each(Attempt::finished);
    hedging
}

/// Returns whether an attempt that moves nothing is hedged within a minute.
async fn is_hedged(hedging: &Hedging) -> bool {
    let attempt = hedging.attempt(8 * MIB, true);
    let due = attempt.due(|| (0, 8 * MIB), 0);
    tokio::time::timeout(Duration::from_secs(60), due).await.is_ok()
}

#[tokio::test(start_paused = true)]
async fn a_stalled_piece_is_hedged_only_in_the_tail() {
    let hedging = hedging(&Bandwidth::default()).await;
    assert!(!is_hedged(&hedging).await);
    hedging.set_most(9);
    let began = Instant::now();
    assert!(is_hedged(&hedging).await);
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn the_tail_wakes_an_attempt_that_waits_for_it() {
    let hedging = hedging(&Bandwidth::default()).await;
    let later = hedging.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(5)).await;
        later.set_most(9);
    });
    assert!(is_hedged(&hedging).await);
}

#[tokio::test(start_paused = true)]
async fn a_piece_as_fast_as_the_others_is_not_hedged() {
    let hedging = hedging(&Bandwidth::default()).await;
    hedging.set_most(9);
    let attempt = hedging.attempt(8 * MIB, true);
    let began = Instant::now();
    let moved = AtomicU64::new(0);
    let progress = || {
        let bytes = u64::try_from(began.elapsed().as_millis()).unwrap() * 6 * MIB / 1000;
        moved.store(bytes.min(8 * MIB), Ordering::Relaxed);
        (bytes.min(8 * MIB), 8 * MIB)
    };
    let due = tokio::time::timeout(Duration::from_secs(3), attempt.due(progress, 0)).await;
    assert!(due.is_err());
}

#[tokio::test(start_paused = true)]
async fn nothing_is_hedged_under_a_limit_or_after_a_refusal() {
    let bandwidth = Bandwidth::default();
    let hedging = hedging(&bandwidth).await;
    hedging.set_most(9);
    bandwidth.set(Some(MIB));
    assert!(!is_hedged(&hedging).await);
    bandwidth.set(None);
    hedging.throttled();
    let began = Instant::now();
    assert!(is_hedged(&hedging).await);
    assert!(began.elapsed() >= CALM, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_hedge_waits_for_a_pass_of_the_gate() {
    let hedging = hedging(&Bandwidth::default()).await;
    hedging.set_most(9);
    let allowed = hedging.0.gate.allowed();
    let mut passes = vec![];
    for _ in 0..allowed {
        passes.push(hedging.0.gate.enter().await);
    }
    assert!(!is_hedged(&hedging).await);
    passes.clear();
    assert!(is_hedged(&hedging).await);
}

#[tokio::test(start_paused = true)]
async fn few_pieces_are_no_measure() {
    let hedging = Hedging::new(&Gate::new(4), &Bandwidth::default());
    hedging.set_most(9);
    hedging.attempt(8 * MIB, true).finished();
    assert!(!is_hedged(&hedging).await);
}

/// A caller who limits the parts in flight limits the hedges too.
#[tokio::test(start_paused = true)]
async fn a_transfer_has_no_more_hedges_than_it_may() {
    let hedging = hedging(&Bandwidth::default()).await;
    hedging.set_most(1);
    let (one, two) = (hedging.attempt(8 * MIB, true), hedging.attempt(8 * MIB, true));
    let first = one.due(|| (0, MIB), 0).await;
    let minute = Duration::from_secs(60);
    assert!(tokio::time::timeout(minute, two.due(|| (0, MIB), 0)).await.is_err());
    drop(first);
    assert!(tokio::time::timeout(minute, two.due(|| (0, MIB), 0)).await.is_ok());
}

/// A hedge that found the budget reserved was given up for good, even if the other returned it.
#[tokio::test(start_paused = true)]
async fn a_hedge_waits_for_the_budget_that_another_returns() {
    let hedging = hedging(&Bandwidth::default()).await;
    hedging.set_most(9);
    // A twentieth of 18 pieces is less than one of them, so that the whole is reserved.
    let (one, two) = (hedging.attempt(8 * MIB, true), hedging.attempt(8 * MIB, true));
    let (pass, budget) = one.due(|| (0, 8 * MIB), 7 * MIB).await;
    assert!(budget.bytes() < 8 * MIB);
    let minute = Duration::from_secs(60);
    let due = |least_bytes| two.due(|| (0, 8 * MIB), least_bytes);
    assert!(tokio::time::timeout(minute, due(MIB)).await.is_err());
    drop(pass);
    assert!(tokio::time::timeout(minute, due(MIB)).await.is_err(), "the budget is still reserved");
    let returned = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        budget.settle(5 * MIB);
    };
    let (found, ()) = tokio::join!(tokio::time::timeout(minute, due(MIB)), returned);
    assert!(found.unwrap().1.bytes() <= 3 * MIB);
}
