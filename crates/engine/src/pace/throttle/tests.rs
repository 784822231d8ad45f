//! Tests the limit, refusal by refusal.

use super::*;

/// Returns a limit that has left its start.
fn open(max: u32) -> Throttle {
    let mut throttle = Throttle::new(max);
    while throttle.allowed() < max || throttle.begun < 2 * WINDOW_MIN {
        throttle.enter().unwrap();
        throttle.succeeded();
        throttle.leave();
    }
    throttle
}

fn enter_all(throttle: &mut Throttle) -> Vec<Slot> {
    std::iter::from_fn(|| throttle.enter()).collect()
}

/// S3 refuses a few requests of a thousand with `SlowDown` while it has room for all others.
/// Each of them halved the requests in flight.
#[test]
fn one_refusal_of_a_hundred_leaves_the_limit() {
    let mut throttle = open(64);
    for _ in 0..1000 {
        for index in 0..100 {
            let slot = throttle.enter().unwrap();
            match index {
                50 => assert_eq!(throttle.throttled(slot), Refusal::Isolated),
                _ => throttle.succeeded(),
            }
            throttle.leave();
        }
        assert_eq!(throttle.allowed(), 64);
    }
}

#[test]
fn a_store_that_accepts_three_quarters_gets_three_quarters() {
    let mut throttle = open(64);
    let slots = enter_all(&mut throttle);
    let mut refusals = slots[..16].iter().map(|slot| throttle.throttled(*slot));
    assert!((0..3).all(|_| refusals.next() == Some(Refusal::Isolated)));
    assert_eq!(refusals.next(), Some(Refusal::Overload));
    assert!(refusals.all(|refusal| refusal == Refusal::SameOverload));
    assert_eq!(throttle.allowed(), 48);
}

#[test]
fn a_store_that_refuses_everything_gets_half_of_each_round() {
    let mut throttle = open(64);
    for half in [32, 16, 8, 4, 2, 1, 1] {
        for slot in enter_all(&mut throttle) {
            throttle.throttled(slot);
        }
        assert_eq!(throttle.allowed(), half);
        while throttle.taken() > 0 {
            throttle.leave();
        }
    }
}

/// A store refuses whatever is above its limit, again and again: the limit stays close below it,
/// and ever fewer requests are refused.
#[test]
fn a_limit_of_the_store_is_tested_less_and_less() {
    let mut throttle = open(64);
    let (mut refused, mut rounds) = (vec![], 0);
    while rounds < 2000 {
        rounds += 1;
        let slots = enter_all(&mut throttle);
        for (index, slot) in slots.iter().enumerate() {
            if index < 20 {
                throttle.succeeded();
            } else {
                throttle.throttled(*slot);
                refused.push(rounds);
            }
            throttle.leave();
        }
        assert!(rounds < 20 || throttle.allowed() >= 16, "{} in flight", throttle.allowed());
    }
    let later = refused.iter().filter(|round| **round > 100).count();
    // Of 38,000 requests.
    assert!(later < 1000, "{later} were refused");
}

/// With `auto`, the ceiling of 16 is reached long before the maximum of 64. The start counted as
/// unfinished then, and each success after a cut added a slot.
#[test]
fn a_cut_at_the_ceiling_ends_the_start() {
    let mut throttle = Throttle::new(64);
    throttle.set_ceiling(16);
    for _ in 0..20 {
        throttle.enter().unwrap();
        throttle.succeeded();
        throttle.leave();
    }
    let slots = enter_all(&mut throttle);
    slots.iter().take(8).for_each(|slot| {
        throttle.throttled(*slot);
    });
    assert_eq!(throttle.allowed(), 8);
    (0..7).for_each(|_| throttle.succeeded());
    assert_eq!(throttle.allowed(), 8, "seven successes earn nothing");
}

/// An idle store with room is used again within a few hundred requests.
#[test]
fn successes_earn_the_limit_back() {
    let mut throttle = open(64);
    for _ in 0..4 {
        for slot in enter_all(&mut throttle) {
            throttle.throttled(slot);
            throttle.leave();
        }
    }
    let mut successes = 0;
    while throttle.allowed() < 64 {
        throttle.enter().unwrap();
        throttle.succeeded();
        throttle.leave();
        successes += 1;
    }
    assert!((400..1200).contains(&successes), "after {successes} successes");
}
