//! Parses and formats byte counts.
//!
//! Parsing is exact: `8MiB`, `64M` and `67108864` are powers of two or plain bytes, `8MB` is
//! decimal. A letter alone is binary, as in rclone and dd: a decimal part size of `5M` would be a
//! quarter of a megabyte below the smallest part that S3 accepts.

use std::time::Duration;

use bytesize::ByteSize;

/// Parses a byte count: plain bytes, or a number with K, M, G, T (binary), KiB, MiB, … or KB, MB, …
/// (decimal).
pub(crate) fn parse_size(text: &str) -> Result<u64, String> {
    let binary = match text.as_bytes() {
        [.., digit, letter] if digit.is_ascii_digit() && b"kKmMgGtT".contains(letter) => {
            format!("{text}iB")
        }
        _ => text.to_owned(),
    };
    match binary.parse::<ByteSize>() {
        // The parser saturates: a number that does not fit becomes `u64::MAX`.
        Ok(ByteSize(u64::MAX)) => Err(format!("{text} is more bytes than can be counted")),
        Ok(ByteSize(bytes)) => Ok(bytes),
        Err(_) => Err("write a number of bytes, such as 8MiB, 64M or 67108864".to_owned()),
    }
}

/// Parses like [`parse_size`], but refuses zero.
pub(crate) fn parse_size_above_zero(text: &str) -> Result<u64, String> {
    match parse_size(text)? {
        0 => Err("must be more than zero".to_owned()),
        bytes => Ok(bytes),
    }
}

/// Formats a size such as `1.4 GiB` or `512 B`.
pub(crate) fn human_size(bytes: u64) -> String {
    ByteSize(bytes).display().iec().to_string()
}

/// Formats a rate such as `118 MiB/s`.
pub(crate) fn human_rate(bytes: u64, elapsed: Duration) -> String {
    // The rate is for people, so precision does not matter.
    #[allow(clippy::cast_precision_loss)]
    let rate = bytes as f64 / elapsed.as_secs_f64().max(0.001);
    format!("{}/s", rounded(rate))
}

/// Formats a short size for a progress bar, such as `128 MiB` or `1.9 GiB`.
pub(crate) fn short_size(bytes: u64) -> String {
    #[allow(clippy::cast_precision_loss)]
    rounded(bytes as f64)
}

/// Rounds to one decimal; to none from 10 on, where it would only flicker.
fn rounded(mut bytes: f64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut unit = 0;
    while bytes >= 1024.0 && unit + 1 < UNITS.len() {
        bytes /= 1024.0;
        unit += 1;
    }
    if bytes < 10.0 && unit > 0 {
        format!("{bytes:.1} {}", UNITS[unit])
    } else {
        format!("{bytes:.0} {}", UNITS[unit])
    }
}

/// Formats a remaining time such as `0:07`, `1:50` or `12:03:00`.
pub(crate) fn human_clock(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds / 3600 {
        0 => format!("{}:{:02}", seconds / 60, seconds % 60),
        hours => format!("{hours}:{:02}:{:02}", seconds / 60 % 60, seconds % 60),
    }
}

/// Formats an age: `just now`, `45 s ago`, `3 min ago`, `2 h ago`, `5 days ago`.
pub(crate) fn human_age(age: Duration) -> String {
    let seconds = age.as_secs();
    match seconds {
        0..5 => "just now".to_owned(),
        5..60 => format!("{seconds} s ago"),
        60..3600 => format!("{} min ago", seconds / 60),
        3600..172_800 => format!("{} h ago", seconds / 3600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

/// Formats a duration such as `340 ms`, `12.1 s`, `3 min 20 s` or `2 h 03 min`.
pub(crate) fn human_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => format!("{} ms", duration.as_millis()),
        1..60 => format!("{:.1} s", duration.as_secs_f64()),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, bytes: u64) {
        assert_eq!(parse_size(text).unwrap(), bytes, "{text}");
    }

    #[test]
    fn sizes_are_read_as_people_write_them() {
        check("0", 0);
        check("67108864", 64 << 20);
        check("64M", 64 << 20);
        check("64m", 64 << 20);
        check("8MiB", 8 << 20);
        check("8 MiB", 8 << 20);
        check("8MB", 8_000_000);
        check("5G", 5 << 30);
        check("1.5GiB", 3 << 29);
        check("48T", 48 << 40);
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in ["", "M", "-1", "8 parts", "8MiBs", "1e9x", "∞"] {
            let error = parse_size(text).unwrap_err();
            assert!(error.contains("8MiB"), "{text}: {error}");
        }
        assert!(parse_size("99999999999T").unwrap_err().contains("more bytes"));
        assert!(parse_size_above_zero("0").is_err());
    }

    #[test]
    fn sizes_rates_and_times_are_short() {
        insta::assert_snapshot!(human_size(0), @"0 B");
        insta::assert_snapshot!(human_size(1_503_238_553), @"1.4 GiB");
        insta::assert_snapshot!(human_rate(1_503_238_553, Duration::from_millis(12_100)), @"118 \
            MiB/s");
        insta::assert_snapshot!(human_rate(10_000, Duration::from_secs(1)), @"9.8 KiB/s");
        insta::assert_snapshot!(human_rate(5, Duration::ZERO), @"4.9 KiB/s");
        assert_eq!(
            [128 << 20, 2_040_109_466, 512].map(short_size),
            ["128 MiB", "1.9 GiB", "512 B"]
        );
        let clock = |seconds| human_clock(Duration::from_secs(seconds));
        assert_eq!([7, 110, 43_380].map(clock), ["0:07", "1:50", "12:03:00"]);
        let age = |seconds| human_age(Duration::from_secs(seconds));
        assert_eq!([0, 45, 200, 7400].map(age), ["just now", "45 s ago", "3 min ago", "2 h ago"]);
        assert_eq!(age(5 * 86_400), "5 days ago");
        insta::assert_snapshot!(human_duration(Duration::from_millis(340)), @"340 ms");
        insta::assert_snapshot!(human_duration(Duration::from_millis(12_130)), @"12.1 s");
        insta::assert_snapshot!(human_duration(Duration::from_secs(200)), @"3 min 20 s");
        insta::assert_snapshot!(human_duration(Duration::from_secs(7400)), @"2 h 03 min");
    }
}
