//! Warns if a lifecycle rule of the bucket may remove the upload before it is complete (trap 24).

use haul_parts::limits::MIB;
use jiff::{SignedDuration, Timestamp};

/// The throughput of a slow link: the warning appears if, at this rate, the upload would take
/// longer than the rule allows.
const SLOW_BYTES_PER_SECOND: u64 = 4 * MIB;

/// Returns the warning about a rule that removes the unfinished upload at `date`
/// (`x-amz-abort-date`, S3 API, CreateMultipartUpload); `None` if there is enough time.
pub(super) fn warning(date: Timestamp, size_bytes: u64) -> Option<String> {
    let seconds = size_bytes / SLOW_BYTES_PER_SECOND;
    let needed = SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
    (Timestamp::now().duration_until(date) < needed).then(|| {
        format!(
            "a lifecycle rule of the bucket removes this upload if it is not complete at {}",
            date.strftime("%Y-%m-%d %H:%M UTC")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_rule_that_may_be_quicker_is_worth_a_word() {
        let in_days = |days: i64| Timestamp::now() + SignedDuration::from_hours(24 * days);
        assert_eq!(warning(in_days(1), 100 << 30), None);
        assert_eq!(warning(in_days(7), 1000 << 30), None);
        let said = warning(in_days(7), 5000 << 30).unwrap();
        assert!(said.contains("lifecycle rule") && said.ends_with("UTC"), "{said}");
    }
}
