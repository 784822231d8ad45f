//! The difference between the store's clock and this machine's, by the `Date` of an answer.

use jiff::fmt::rfc2822::DateTimeParser;
use jiff::{SignedDuration, Timestamp};

use super::request::of_bucket;
use super::{Doctor, Group, Measured, Remedy, Verdict};
use crate::remote::StoreKind;

/// The difference above which a store of S3 refuses signatures (`RequestTimeTooSkewed`).
const REFUSED_ABOVE: SignedDuration = SignedDuration::from_secs(900);

/// The difference that deserves a warning: the clock drifts, and the limit is near.
const WARNED_ABOVE: SignedDuration = SignedDuration::from_secs(300);

const TOO_SKEWED: &str = "RequestTimeTooSkewed";

impl Doctor<'_> {
    /// Compares the clocks, and learns the kind of the store from the headers of the answer. Sent
    /// before any other request, so that the signature has the time of this machine.
    pub(super) async fn check_clock(&mut self) {
        let group = Group::Connection;
        let key = self.scratch.key("marker");
        let sent = Timestamp::now();
        let answered = self.send_to(&key, &of_bucket("location")).await;
        let received = Timestamp::now();
        let answer = match answered {
            Ok(answer) => answer,
            Err(no_answer) => {
                return self.note(group, "clock", Verdict::NotTested, no_answer.reason());
            }
        };
        self.findings.kind =
            StoreKind::of_answer(|name| answer.header(name)).unwrap_or(StoreKind::Generic);
        let date =
            answer.header("date").and_then(|date| DateTimeParser::new().parse_zoned(date).ok());
        let Some(date) = date else {
            return self.note(group, "clock", Verdict::NotTested, "the answer has no Date");
        };
        let ahead = difference(date.timestamp(), sent, received);
        self.store_ahead = ahead;
        let is_refused = answer.code().as_deref() == Some(TOO_SKEWED);
        let (verdict, detail) = judge(ahead, is_refused);
        #[allow(clippy::cast_precision_loss, reason = "seconds of a skew are few")]
        let value = ahead.as_secs() as f64;
        self.measured(group, "clock", Measured { value, unit: "s" }, detail);
        if let Some(check) = self.report.checks.last_mut() {
            check.verdict = verdict;
            check.remedy = (verdict != Verdict::Ok).then_some(Remedy::SetClock);
        }
    }

    /// Returns the time for judging the age of another run's scratch: the earlier of both clocks.
    pub(super) fn cautious_now(&self) -> Timestamp {
        Timestamp::now().min(self.store_now())
    }
}

/// Returns how far the store's clock is ahead. A `Date` has whole seconds, and was written between
/// the two moments.
fn difference(date: Timestamp, sent: Timestamp, received: Timestamp) -> SignedDuration {
    if date.as_second() > received.as_second() {
        date.duration_since(received)
    } else if date.as_second() < sent.as_second() {
        date.duration_since(sent)
    } else {
        SignedDuration::ZERO
    }
}

fn judge(ahead: SignedDuration, is_refused: bool) -> (Verdict, String) {
    let by = match ahead.as_secs() {
        0 => "equal to this machine's".to_owned(),
        ahead if ahead > 0 => format!("the store is {ahead} s ahead of this machine"),
        behind => format!("the store is {} s behind this machine", -behind),
    };
    if is_refused {
        let detail = format!(
            "{by}: it refuses signatures with this machine's time ({TOO_SKEWED}), so haul signs \
             with the store's"
        );
        return (Verdict::No, detail);
    }
    if ahead.abs() > REFUSED_ABOVE {
        // The Date may come from a server in front of the store.
        let detail = format!("{by}: S3 refuses signatures above 900 s, this store took one");
        return (Verdict::Warning, detail);
    }
    if ahead.abs() > WARNED_ABOVE {
        return (Verdict::Warning, format!("{by}: S3 refuses signatures above 900 s"));
    }
    (Verdict::Ok, by)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_difference_counts_from_the_nearer_moment() {
        let at = |second| Timestamp::from_second(second).unwrap();
        assert_eq!(difference(at(105), at(100), at(103)).as_secs(), 2);
        assert_eq!(difference(at(98), at(100), at(103)).as_secs(), -2);
        assert_eq!(difference(at(101), at(100), at(103)), SignedDuration::ZERO);
    }

    #[test]
    fn a_skew_has_a_direction_and_a_verdict() {
        let judged = |seconds, refused| judge(SignedDuration::from_secs(seconds), refused);
        assert_eq!(judged(0, false), (Verdict::Ok, "equal to this machine's".to_owned()));
        assert_eq!(judged(299, false).0, Verdict::Ok);
        let (verdict, detail) = judged(-301, false);
        assert_eq!(verdict, Verdict::Warning);
        assert!(detail.starts_with("the store is 301 s behind this machine"), "{detail}");
        assert_eq!(judged(1200, false).0, Verdict::Warning, "the store took the signature");
        assert_eq!(judged(1200, true).0, Verdict::No);
    }
}
