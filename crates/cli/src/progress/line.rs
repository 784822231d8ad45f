//! Formats the text of the progress line for a given width. Pure.
//!
//! `two.iso  6% ━╸── 128 MiB/1.9 GiB  16 MiB/s  1:50 left`. Without enough room, whole fields are
//! dropped, the least important first: the bar, the rate, the amounts, the time left. The name is
//! shortened last.

use std::time::Duration;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::size::{human_clock, human_rate, short_size};

/// The minimum columns of the bar.
const BAR_MIN: usize = 4;
const BAR_MAX: usize = 24;
/// The columns of the name while everything else fits.
const NAME_MAX: usize = 32;
/// The minimum columns of the name; a shorter one would not distinguish files.
const NAME_MIN: usize = 8;

/// The values of one line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProgressLine<'a> {
    pub(crate) name: &'a str,
    pub(crate) position: u64,
    pub(crate) size_bytes: u64,
    /// The bytes that arrived in the last seconds, and the duration of that time.
    pub(crate) lately: (u64, Duration),
    /// The estimated remaining time, if known.
    pub(crate) left: Option<Duration>,
}

impl ProgressLine<'_> {
    /// Formats the line in at most this many columns.
    pub(crate) fn fit(&self, columns: usize) -> String {
        let percent = self.percent();
        let amounts = format!("{}/{}", short_size(self.position), short_size(self.size_bytes));
        let (bytes, time) = self.lately;
        let rate = if time.is_zero() { String::new() } else { human_rate(bytes, time) };
        let left = self.left.map_or_else(String::new, |left| format!("{} left", human_clock(left)));

        let variants: [&[&str]; 4] = [&[&amounts, &rate, &left], &[&amounts, &left], &[&left], &[]];
        for (choice, fields) in variants.into_iter().enumerate() {
            let fields: Vec<&str> =
                fields.iter().copied().filter(|field| !field.is_empty()).collect();
            let behind: usize = fields.iter().map(|field| field.width() + 2).sum();
            let beside = 2 + percent.width() + behind;
            let Some(room) = columns.checked_sub(beside).filter(|room| *room >= NAME_MIN) else {
                continue;
            };
            let whole = self.name.width().min(NAME_MAX);
            // Drop fields before shortening the name, as long as there are fields.
            if room < whole && choice + 1 < variants.len() {
                continue;
            }
            let name = shortened(self.name, room.min(NAME_MAX));
            let spare = room - name.width();
            let bar = match spare.checked_sub(1) {
                Some(spare) if choice == 0 && spare >= BAR_MIN => {
                    format!(" {}", self.bar(spare.min(BAR_MAX)))
                }
                _ => String::new(),
            };
            let gap = if bar.is_empty() { "  " } else { " " };
            let behind = fields.join("  ");
            let gap = if behind.is_empty() { "" } else { gap };
            return format!("{name}  {percent}{bar}{gap}{behind}");
        }
        percent
    }

    /// Formats the percentage, rounded down, so that 100% means that everything has arrived.
    pub(crate) fn percent(&self) -> String {
        let whole = u128::from(self.size_bytes);
        let percent = (u128::from(self.position) * 100).checked_div(whole).unwrap_or(100);
        format!("{percent}%")
    }

    fn bar(&self, columns: usize) -> String {
        let whole = u128::from(self.size_bytes.max(1));
        // Count in half columns, so that small steps are visible.
        let halves = u128::from(self.position) * (columns as u128) * 2 / whole;
        let halves = usize::try_from(halves).unwrap_or(columns * 2).min(columns * 2);
        let (full, half) = (halves / 2, halves % 2);
        format!("{}{}{}", "━".repeat(full), "╸".repeat(half), "─".repeat(columns - full - half))
    }
}

/// Shortens a name to at most this many columns, keeping its beginning and end.
pub(crate) fn shortened(name: &str, columns: usize) -> String {
    if name.width() <= columns {
        return name.to_owned();
    }
    let half = columns.saturating_sub(1) / 2;
    let head = taken(name.chars(), half);
    let tail: String = taken(name.chars().rev(), half).chars().rev().collect();
    format!("{head}…{tail}")
}

/// Returns the first characters that fit.
pub(crate) fn cut(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    taken(text.chars(), columns.saturating_sub(1)) + "…"
}

fn taken(letters: impl Iterator<Item = char>, columns: usize) -> String {
    let mut used = 0;
    letters
        .take_while(|letter| {
            used += letter.width().unwrap_or(0);
            used <= columns
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn line(name: &str) -> ProgressLine<'_> {
        ProgressLine {
            name,
            position: 128 * MIB,
            size_bytes: 2_040_109_466,
            lately: (128 * MIB, Duration::from_secs(8)),
            left: Some(Duration::from_secs(110)),
        }
    }

    #[test]
    fn fields_are_dropped_whole_when_the_terminal_is_narrow() {
        let fits = |columns| line("two.iso").fit(columns);
        let bar = "━╸".to_owned() + &"─".repeat(22);
        assert_eq!(fits(120), format!("two.iso  6% {bar} 128 MiB/1.9 GiB  16 MiB/s  1:50 left"));
        assert_eq!(fits(56), "two.iso  6% ────── 128 MiB/1.9 GiB  16 MiB/s  1:50 left");
        assert_eq!(fits(52), "two.iso  6%  128 MiB/1.9 GiB  16 MiB/s  1:50 left");
        assert_eq!(fits(40), "two.iso  6%  128 MiB/1.9 GiB  1:50 left");
        assert_eq!(fits(24), "two.iso  6%  1:50 left");
        assert_eq!(fits(12), "two.iso  6%");
        assert_eq!(fits(5), "6%");
    }

    #[test]
    fn no_line_is_wider_than_it_may_be() {
        let long = "a-very-long-name-of-a-video-that-was-cut-in-parts-part-0001.mov";
        for name in ["x", "two.iso", long, "日本語のとても長いファイル名です.mov"] {
            for columns in 4..200 {
                let text = line(name).fit(columns);
                assert!(text.width() <= columns, "{columns}: {text}");
            }
        }
    }

    #[test]
    fn the_bar_fills_in_halves() {
        let bar = |position| ProgressLine { position, size_bytes: 100, ..line("x") }.bar(10);
        assert_eq!(
            [0, 5, 50, 100].map(bar),
            ["──────────", "╸─────────", "━━━━━─────", "━━━━━━━━━━"]
        );
    }

    #[test]
    fn long_names_keep_both_ends() {
        assert_eq!(shortened("video.mov", 24), "video.mov");
        assert_eq!(
            shortened("a-very-long-name-of-a-video-part-0001.mov", 24),
            "a-very-long…rt-0001.mov"
        );
    }

    #[test]
    fn an_empty_object_is_all_there() {
        assert_eq!(ProgressLine { position: 0, size_bytes: 0, ..line("x") }.percent(), "100%");
    }
}
