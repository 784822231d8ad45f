//! Faults between a client and the store: by script ("the third UploadPart"), or by probability
//! from a seed.
//!
//! A seeded decision depends only on the seed, the operation, the part and the number of earlier
//! requests for it: the order in which parallel parts arrive does not matter, so a seed causes the
//! same faults in every run.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use haul_parts::PartNumber;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::remote::{Operation, StoreError};

/// A single fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The store answers with an error and does nothing.
    Answer(Refusal),
    /// The connection breaks before the store has the request; the client has sent the body and
    /// cannot know.
    LoseRequest,
    /// The request is carried out; the connection breaks before the answer.
    LoseAnswer,
    /// The connection breaks at once, but the request is still carried out after this time.
    LandLate(Duration),
    /// The connection breaks in the middle of the body (for GetObject: of the answer's body).
    CutBody,
    /// The request is carried out after a delay.
    Delay(Duration),
    /// The store has the whole request, and carries it out after a delay, whether or not the client
    /// waits.
    LandSlowly(Duration),
    /// The request is carried out at once; the answer is delayed.
    DelayAnswer(Duration),
    /// No progress for this time, then the client times out; never carried out.
    TimeOut(Duration),
    /// No progress until the client gives up by itself.
    Stall,
    /// The body of UploadPart or GetObject moves at this rate, in bytes per second.
    Slow(u64),
    /// A bit of the body changes in transit, before the store checks anything.
    FlipInTransit,
    /// A bit of a part changes after the store checked it: the store keeps, lists and echoes the
    /// damaged part.
    FlipAtRest,
    /// The request arrives twice, as if a proxy repeats it; the client gets the second answer.
    Twice,
    /// The part of this request is missing from this number of listings.
    LagListing(u32),
    /// The part of this request arrives only after the first abort of its upload, and survives it.
    LandAfterAbort,
    /// A lifecycle rule removes the upload just before the request.
    ExpireUpload,
}

/// An error answer of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// S3's error code; `None`: an answer without a document, as proxies send them.
    pub code: Option<&'static str>,
    /// The `Retry-After` header of the response.
    pub retry_after: Option<Duration>,
}

impl Refusal {
    /// The store asks for fewer requests.
    pub const SLOW_DOWN: Refusal = Refusal::new(503, Some("SlowDown"));
    /// The store failed internally.
    pub const INTERNAL_ERROR: Refusal = Refusal::new(500, Some("InternalError"));
    /// A gateway lost the store behind it.
    pub const BAD_GATEWAY: Refusal = Refusal::new(502, None);
    /// The request is not allowed.
    pub const ACCESS_DENIED: Refusal = Refusal::new(403, Some("AccessDenied"));
    /// The session has expired.
    pub const EXPIRED_TOKEN: Refusal = Refusal::new(400, Some("ExpiredToken"));

    /// Creates an answer with this status and code.
    pub const fn new(status: u16, code: Option<&'static str>) -> Self {
        Self { status, code, retry_after: None }
    }

    pub(super) fn into_error(self, operation: Operation) -> StoreError {
        let message = "as the script of faults wants it";
        StoreError {
            retry_after: self.retry_after,
            ..StoreError::answered(operation, self.status, self.code, message)
        }
    }
}

/// The probability of each kind of fault, from 0 to 1; other requests succeed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Weather {
    /// The rate of 503 SlowDown.
    pub slow_down: f64,
    /// The rate of 500, 502 and RequestTimeout.
    pub server_error: f64,
    /// The rate of [`Fault::LoseRequest`].
    pub lost_request: f64,
    /// The rate of [`Fault::LoseAnswer`].
    pub lost_answer: f64,
    /// The rate of [`Fault::CutBody`].
    pub cut_body: f64,
    /// The rate of [`Fault::Delay`], up to two seconds.
    pub delay: f64,
    /// The rate of [`Fault::DelayAnswer`], up to two seconds.
    pub delayed_answer: f64,
    /// The rate of [`Fault::TimeOut`], after twenty seconds.
    pub time_out: f64,
    /// The rate of [`Fault::FlipInTransit`], for UploadPart and PutObject.
    pub flip_in_transit: f64,
    /// The rate of [`Fault::FlipAtRest`], for UploadPart.
    pub flip_at_rest: f64,
    /// The rate of [`Fault::Twice`].
    pub twice: f64,
    /// The rate of [`Fault::LagListing`], for UploadPart.
    pub lagging_listing: f64,
    /// The rate of [`Fault::ExpireUpload`], for UploadPart and CompleteMultipartUpload.
    pub expiry: f64,
    /// The rate of 403 AccessDenied.
    pub denied: f64,
}

/// The faults of a store; they are evaluated once per request.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    script: Vec<FaultRule>,
    weather: Option<(u64, Weather)>,
    calls: HashMap<(Operation, Option<PartNumber>), u64>,
}

#[derive(Clone, Debug)]
struct FaultRule {
    operation: Operation,
    part: Option<PartNumber>,
    calls: RangeInclusive<u64>,
    fault: Fault,
}

impl Faults {
    /// Creates a link without faults.
    pub fn none() -> Self {
        Self::default()
    }

    /// Creates faults by probability. Scripted ones added later take precedence.
    pub fn seeded(seed: u64, weather: Weather) -> Self {
        Self { weather: Some((seed, weather)), ..Self::default() }
    }

    /// Adds a fault for the `call`-th request of an operation, counted from 1.
    #[must_use]
    pub fn on(self, operation: Operation, call: u64, fault: Fault) -> Self {
        self.on_calls(operation, call..=call, fault)
    }

    /// Adds a fault for a range of requests of an operation, counted from 1.
    #[must_use]
    pub fn on_calls(
        mut self,
        operation: Operation,
        calls: RangeInclusive<u64>,
        fault: Fault,
    ) -> Self {
        self.script.push(FaultRule { operation, part: None, calls, fault });
        self
    }

    /// Adds a fault for every request of an operation.
    #[must_use]
    pub fn on_every(self, operation: Operation, fault: Fault) -> Self {
        self.on_calls(operation, 1..=u64::MAX, fault)
    }

    /// Adds a fault for a range of the requests that send one part, counted from 1.
    #[must_use]
    pub fn on_part(mut self, part: PartNumber, calls: RangeInclusive<u64>, fault: Fault) -> Self {
        self.script.push(FaultRule {
            operation: Operation::UploadPart,
            part: Some(part),
            calls,
            fault,
        });
        self
    }

    /// Returns the fault of the next request.
    pub(super) fn strike(
        &mut self,
        operation: Operation,
        part: Option<PartNumber>,
    ) -> Option<Fault> {
        let call = self.count(operation, None);
        let call_of_part = if part.is_some() { self.count(operation, part) } else { call };
        let scripted = self.script.iter().find(|rule| {
            let counted = if rule.part.is_some() { call_of_part } else { call };
            rule.operation == operation
                && (rule.part.is_none() || rule.part == part)
                && rule.calls.contains(&counted)
        });
        match (scripted, &self.weather) {
            (Some(rule), _) => Some(rule.fault.clone()),
            (None, Some((seed, weather))) => {
                let mut random = StdRng::seed_from_u64(mix(*seed, operation, part, call_of_part));
                weather.strike(operation, &mut random)
            }
            (None, None) => None,
        }
    }

    fn count(&mut self, operation: Operation, part: Option<PartNumber>) -> u64 {
        let calls = self.calls.entry((operation, part)).or_default();
        *calls += 1;
        *calls
    }
}

impl Weather {
    fn strike(&self, operation: Operation, random: &mut StdRng) -> Option<Fault> {
        use Operation as O;
        let has_body = matches!(operation, O::UploadPart | O::PutObject);
        let is_part = operation == O::UploadPart;
        let kinds = [
            (self.slow_down, true),
            (self.server_error, true),
            (self.lost_request, true),
            (self.lost_answer, true),
            (self.cut_body, has_body || operation == O::GetObject),
            (self.delay, true),
            (self.time_out, true),
            (self.flip_in_transit, has_body),
            (self.flip_at_rest, is_part || operation == O::UploadPartCopy),
            (self.twice, true),
            (self.lagging_listing, is_part),
            (
                self.expiry,
                is_part || matches!(operation, O::UploadPartCopy | O::CompleteMultipartUpload),
            ),
            (self.denied, true),
            (self.delayed_answer, true),
        ];
        let mut drawn = random.random::<f64>();
        let kind = kinds.iter().position(|(probability, _)| {
            drawn -= probability;
            drawn < 0.0
        })?;
        if !kinds[kind].1 {
            return None;
        }
        Some(match kind {
            0 => Fault::Answer(Refusal::SLOW_DOWN),
            1 => Fault::Answer(server_error(random)),
            2 => Fault::LoseRequest,
            3 => Fault::LoseAnswer,
            4 => Fault::CutBody,
            5 => Fault::Delay(Duration::from_millis(random.random_range(1..2000))),
            6 => Fault::TimeOut(Duration::from_secs(20)),
            7 => Fault::FlipInTransit,
            8 => Fault::FlipAtRest,
            9 => Fault::Twice,
            10 => Fault::LagListing(random.random_range(1..4)),
            11 => Fault::ExpireUpload,
            12 => Fault::Answer(Refusal::ACCESS_DENIED),
            _ => Fault::DelayAnswer(Duration::from_millis(random.random_range(1..2000))),
        })
    }
}

fn server_error(random: &mut StdRng) -> Refusal {
    match random.random_range(0..3) {
        0 => Refusal::INTERNAL_ERROR,
        1 => Refusal::BAD_GATEWAY,
        _ => Refusal::new(400, Some("RequestTimeout")),
    }
}

/// Hashes all values that a decision depends on (the finaliser of splitmix64 after each).
fn mix(seed: u64, operation: Operation, part: Option<PartNumber>, call: u64) -> u64 {
    let part = part.map_or(0, |part| u64::from(part.get()));
    [operation as u64, part, call].into_iter().fold(seed, |state, value| {
        let mut mixed = state.wrapping_add(0x9E37_79B9_7F4A_7C15).wrapping_add(value);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_decides_by_part_and_not_by_the_order_of_arrival() {
        let weather = Weather { slow_down: 0.3, lost_answer: 0.3, ..Weather::default() };
        let parts: Vec<_> = (1..50).map(|number| PartNumber::new(number).unwrap()).collect();
        let strikes = |order: &[PartNumber]| {
            let mut faults = Faults::seeded(7, weather);
            let mut struck: Vec<_> = order
                .iter()
                .map(|&part| (part, faults.strike(Operation::UploadPart, Some(part))))
                .collect();
            struck.sort_by_key(|(part, _)| *part);
            struck
        };
        let backwards: Vec<_> = parts.iter().copied().rev().collect();
        assert_eq!(strikes(&parts), strikes(&backwards));
        let well = strikes(&parts).iter().filter(|(_, fault)| fault.is_none()).count();
        assert!((5..40).contains(&well), "{well} of 49 went well at 40 %");
    }

    #[test]
    fn a_script_counts_calls_of_the_operation_or_of_the_part() {
        let two = PartNumber::new(2).unwrap();
        let mut faults = Faults::none().on(Operation::UploadPart, 1, Fault::LoseRequest).on_part(
            two,
            2..=2,
            Fault::LoseAnswer,
        );
        let mut strike = |part| faults.strike(Operation::UploadPart, Some(part));
        assert_eq!(strike(PartNumber::MIN), Some(Fault::LoseRequest));
        assert_eq!(strike(two), None);
        assert_eq!(strike(PartNumber::MIN), None);
        assert_eq!(strike(two), Some(Fault::LoseAnswer));
    }
}
