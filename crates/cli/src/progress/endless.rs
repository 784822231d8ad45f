//! The line of a stream of unknown length: arrived bytes and rate. Pure.

use std::time::Duration;

use unicode_width::UnicodeWidthStr;

use super::line::cut;
use crate::size::{human_rate, short_size};

/// Formats the line in at most this many columns; omits the rate before it shortens the name.
pub(super) fn endless(
    name: &str,
    position: u64,
    lately: (u64, Duration),
    columns: usize,
) -> String {
    let short = format!("{name}  {}", short_size(position));
    let (bytes, time) = lately;
    let long = if time.is_zero() {
        short.clone()
    } else {
        format!("{short}  {}", human_rate(bytes, time))
    };
    if long.width() <= columns { long } else { cut(&short, columns) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_shows_what_has_arrived_and_how_fast() {
        let lately = (160 << 20, Duration::from_secs(8));
        let line = |columns| endless("standard input", 300 << 20, lately, columns);
        insta::assert_snapshot!(line(80), @"standard input  300 MiB  20 MiB/s");
        insta::assert_snapshot!(line(30), @"standard input  300 MiB");
        insta::assert_snapshot!(endless("-", 5, (0, Duration::ZERO), 80), @"-  5 B");
    }
}
