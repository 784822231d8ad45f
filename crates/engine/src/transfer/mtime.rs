//! Stores the modification time of a file in the metadata of its object.
//!
//! The metadata entry is the one that rclone uses, so that both tools can read it:
//! `x-amz-meta-mtime`, seconds since 1970 with as many decimals as needed
//! (`swift.TimeToFloatString` in rclone's library).

use std::time::{Duration, SystemTime};

use crate::remote::ObjectHead;

/// The name of the metadata entry with the modification time.
pub const MTIME_METADATA: &str = "mtime";

/// Converts a time to nanoseconds since 1970, negative for earlier times; `None` if it is outside
/// of the years 1677 to 2262.
pub(crate) fn nanoseconds(time: SystemTime) -> Option<i64> {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_nanos()).ok(),
        Err(before) => i64::try_from(before.duration().as_nanos()).ok()?.checked_neg(),
    }
}

/// Formats a time as the value of the metadata entry.
pub fn mtime_value(time: SystemTime) -> Option<String> {
    let nanoseconds = nanoseconds(time)?;
    let (sign, whole) = (if nanoseconds < 0 { "-" } else { "" }, nanoseconds.unsigned_abs());
    let (seconds, rest) = (whole / 1_000_000_000, whole % 1_000_000_000);
    let decimals = format!("{rest:09}");
    let decimals = decimals.trim_end_matches('0');
    let point = if decimals.is_empty() { "" } else { "." };
    Some(format!("{sign}{seconds}{point}{decimals}"))
}

/// Parses the value of the metadata entry.
pub(crate) fn parse(text: &str) -> Option<SystemTime> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if seconds.is_empty() || !digits(seconds) || !digits(fraction) {
        return None;
    }
    let nanoseconds = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
    let distance = Duration::new(seconds.parse().ok()?, nanoseconds);
    match negative {
        true => SystemTime::UNIX_EPOCH.checked_sub(distance),
        false => SystemTime::UNIX_EPOCH.checked_add(distance),
    }
}

/// Returns the time in the metadata of an object.
pub(crate) fn stored(head: &ObjectHead) -> Option<SystemTime> {
    head.attributes.metadata.get(MTIME_METADATA).and_then(|text| parse(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_rclone_are_read_to_the_nanosecond() {
        let since_1970 = |text| parse(text)?.duration_since(SystemTime::UNIX_EPOCH).ok();
        assert_eq!(since_1970("1354040105.5"), Some(Duration::new(1_354_040_105, 500_000_000)));
        assert_eq!(
            since_1970("1354040105.123456789123"),
            Some(Duration::new(1_354_040_105, 123_456_789))
        );
        assert_eq!(since_1970("7"), Some(Duration::from_secs(7)));
        for wrong in ["", ".5", "1e9", "2012-11-27T18:15:05Z", "99999999999999999999"] {
            assert_eq!(parse(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn times_are_written_as_rclone_writes_them_and_read_back() {
        let at =
            |seconds, nanoseconds| SystemTime::UNIX_EPOCH + Duration::new(seconds, nanoseconds);
        for (time, text) in [
            (at(1_354_040_105, 123_456_789), "1354040105.123456789"),
            (at(1_354_040_105, 500_000_000), "1354040105.5"),
            (at(7, 0), "7"),
            (at(0, 1), "0.000000001"),
            (SystemTime::UNIX_EPOCH - Duration::from_millis(1500), "-1.5"),
        ] {
            assert_eq!(mtime_value(time).as_deref(), Some(text));
            assert_eq!(parse(text), Some(time), "{text}");
        }
    }
}
