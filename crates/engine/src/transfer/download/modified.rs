//! The time of the last write that a downloaded file gets: that of the file which was uploaded,
//! else the object's.

use std::fs::File;
use std::time::{Duration, SystemTime};

use crate::remote::ObjectHead;

/// Where rclone keeps it, and other tools look for it: seconds since 1970, with decimals.
const MTIME_METADATA: &str = "mtime";

/// Of `head`'s object.
pub(super) fn of(head: &ObjectHead) -> Option<SystemTime> {
    let kept = head.attributes.metadata.get(MTIME_METADATA).and_then(|text| parse(text));
    kept.or_else(|| head.last_modified.map(SystemTime::from))
}

/// Sets it. A file system that keeps no times is no reason to fail.
pub(super) fn set(file: &File, modified: Option<SystemTime>) {
    if let Some(modified) = modified {
        let _ = file.set_modified(modified);
    }
}

fn parse(text: &str) -> Option<SystemTime> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if seconds.is_empty() || !digits(seconds) || !digits(fraction) {
        return None;
    }
    let nanoseconds = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::new(seconds.parse().ok()?, nanoseconds))
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
        for wrong in ["", ".5", "-1", "1e9", "2012-11-27T18:15:05Z", "99999999999999999999"] {
            assert_eq!(since_1970(wrong), None, "{wrong:?}");
        }
    }
}
