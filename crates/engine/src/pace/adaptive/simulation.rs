//! Simulates transfers over links in virtual time, with a fixed limit or with the controller.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::{Controller, Reading, Sample};
use crate::pace::DEFAULT_CONCURRENCY;
use crate::pace::RetryPolicy;
use crate::pace::throttle::{Refusal, Slot, Throttle};

/// A link to a store, and the limits of the store. Rates in bytes per second.
#[derive(Clone, Debug)]
pub(super) struct Link {
    pub(super) rate: f64,
    pub(super) round_trip_s: f64,
    /// The bytes that one connection may have unacknowledged.
    pub(super) window_bytes: f64,
    /// The rate of a connection to each address of the store; they take turns.
    pub(super) address_rates: Vec<f64>,
    /// The time from the last byte to the answer, give or take 30 %.
    pub(super) store_s: f64,
    /// The requests per second that the store accepts.
    pub(super) requests_per_s: f64,
    pub(super) part_bytes: f64,
}

/// The limit on requests in flight.
pub(super) enum Limit {
    Fixed(u32),
    Adaptive { max: u32 },
}

/// The result of a run.
pub(super) struct Run {
    /// Bytes per second within the measured time.
    pub(super) goodput: f64,
    /// The mean limit within the measured time.
    pub(super) limit: f64,
    /// The means of each [`POINT_S`].
    pub(super) points: Vec<Point>,
}

/// The means of half a second.
#[derive(Clone, Copy, Default)]
pub(super) struct Point {
    /// The end of that time.
    pub(super) at_s: f64,
    /// Bytes per second.
    pub(super) goodput: f64,
    pub(super) limit: f64,
}

/// The time of a [`Point`].
const POINT_S: f64 = 0.5;

struct Request {
    slot: Slot,
    attempt: u32,
    started: Reading,
    in_flight: u32,
    stage: Stage,
    address_rate: f64,
}

#[derive(Clone, Copy)]
enum Stage {
    /// On its way to the store until this time.
    Opening(f64),
    /// Bytes to send.
    Sending(f64),
    /// Waits until this time for the answer.
    Answering(f64),
    /// Refused; keeps its slot until this time.
    Backoff(f64),
}

/// Sends parts without end until `until_s`, and measures from `from_s`.
pub(super) fn run(link: &Link, limit: &Limit, seed: u64, from_s: f64, until_s: f64) -> Run {
    let (mut random, policy) = (StdRng::seed_from_u64(seed), RetryPolicy::default());
    let (max, mut controller) = match limit {
        Limit::Fixed(max) => (*max, None),
        Limit::Adaptive { max } => (*max, Some(Controller::new(DEFAULT_CONCURRENCY, *max))),
    };
    let mut throttle = Throttle::new(max);
    let mut requests: Vec<Request> = vec![];
    let (mut now, mut begun, mut sent_bytes, mut limit_s) = (0.0_f64, 0_usize, 0.0, 0.0);
    let (mut moved, mut points, mut point) = (0.0, vec![], Point::default());
    let mut next_point_s = POINT_S;
    // The store refuses by a bucket of a tenth of a second.
    let bucket_max = (link.requests_per_s / 10.0).max(1.0);
    let mut bucket = bucket_max;
    while now < until_s {
        if let Some(controller) = &controller {
            throttle.set_ceiling(controller.limit());
        }
        while let Some(slot) = throttle.enter() {
            let opening = Stage::Opening(now + link.round_trip_s);
            let address_rate = link.address_rates[begun % link.address_rates.len()];
            let in_flight = throttle.taken();
            requests.push(Request {
                slot,
                attempt: 1,
                started: reading(now, moved),
                in_flight,
                stage: opening,
                address_rate,
            });
            begun += 1;
        }
        let rates = shares(link, &requests);
        let next_s = |(request, rate): (&Request, &f64)| match request.stage {
            Stage::Opening(at) | Stage::Answering(at) | Stage::Backoff(at) => at - now,
            Stage::Sending(left) => left / rate,
        };
        let step_s =
            requests.iter().zip(&rates).map(next_s).fold(next_point_s - now, f64::min).max(0.0);
        let measured_s = (now + step_s - now.max(from_s)).clamp(0.0, step_s);
        let sending: f64 = rates.iter().sum();
        sent_bytes += sending * measured_s;
        moved += sending * step_s;
        point.goodput += sending * step_s / POINT_S;
        point.limit += f64::from(throttle.allowed()) * step_s / POINT_S;
        limit_s += f64::from(throttle.allowed()) * measured_s;
        now += step_s;
        if now == next_point_s {
            points.push(Point { at_s: now, ..std::mem::take(&mut point) });
            next_point_s += POINT_S;
        }
        bucket = (bucket + step_s * link.requests_per_s).min(bucket_max);
        let mut index = 0;
        while index < requests.len() {
            let request = &mut requests[index];
            index += 1;
            match request.stage {
                Stage::Opening(at) if at <= now && bucket >= 1.0 => {
                    bucket -= 1.0;
                    request.stage = Stage::Sending(link.part_bytes);
                }
                Stage::Opening(at) if at <= now => {
                    let wait = policy.wait_after_refusal(request.attempt, &mut random);
                    request.stage = Stage::Backoff(now + wait.as_secs_f64());
                    if throttle.throttled(request.slot) == Refusal::Overload
                        && let Some(controller) = &mut controller
                    {
                        controller.throttled(Duration::from_secs_f64(now));
                    }
                }
                Stage::Backoff(at) if at <= now => {
                    request.slot = throttle.renewed();
                    request.attempt += 1;
                    request.started = reading(now, moved);
                    request.stage = Stage::Opening(now + link.round_trip_s);
                }
                Stage::Sending(left) => {
                    let left = left - rates[index - 1] * step_s;
                    let store_s = link.store_s * random.random_range(0.7..=1.3);
                    request.stage = if left > 1e-3 {
                        Stage::Sending(left)
                    } else {
                        Stage::Answering(now + store_s)
                    };
                }
                Stage::Answering(at) if at <= now => {
                    let request = &requests[index - 1];
                    throttle.succeeded();
                    throttle.leave();
                    if let Some(controller) = &mut controller {
                        controller.succeeded(Sample {
                            started: request.started,
                            ended: reading(now, moved),
                            in_flight: request.in_flight,
                        });
                    }
                    requests[index - 1].stage = Stage::Answering(f64::NAN);
                }
                _ => {}
            }
        }
        requests.retain(|request| !matches!(request.stage, Stage::Answering(at) if at.is_nan()));
    }
    let measured_s = now - from_s;
    Run { goodput: sent_bytes / measured_s, limit: limit_s / measured_s, points }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of bytes")]
fn reading(now: f64, moved: f64) -> Reading {
    Reading { at: Duration::from_secs_f64(now), moved_bytes: moved as u64 }
}

/// Shares the link fairly among the connections that send, none above its own limit.
fn shares(link: &Link, requests: &[Request]) -> Vec<f64> {
    let mut rates = vec![0.0; requests.len()];
    let window_rate = link.window_bytes / link.round_trip_s;
    let own_rate = |index: usize| requests[index].address_rate.min(window_rate);
    let mut sending: Vec<usize> = (0..requests.len())
        .filter(|index| matches!(requests[*index].stage, Stage::Sending(_)))
        .collect();
    sending.sort_by(|one, other| own_rate(*one).total_cmp(&own_rate(*other)));
    let (mut left, count) = (link.rate, sending.len());
    for (done, index) in sending.into_iter().enumerate() {
        rates[index] = own_rate(index).min(left / (count - done) as f64);
        left -= rates[index];
    }
    rates
}
