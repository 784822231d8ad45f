//! The links of `bench links`, and how long each is measured.

use std::num::NonZeroU32;
use std::time::Duration;

use anyhow::{Result, ensure};
use haul_testkit::links::{LinkOptions, SlowAddress};

const GBIT: u64 = 1_000_000_000;

/// The direction of the transfers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Up,
    Down,
}

/// A link, and the store at its end.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) link: LinkOptions,
    pub(super) direction: Direction,
    /// The requests per second that the store accepts; `None` accepts all.
    pub(super) requests_per_second: Option<NonZeroU32>,
    /// The seconds before the measurement: `auto` converges, and fixed settings reach their number.
    pub(super) warm_up: Duration,
    pub(super) measured: Duration,
    /// The number of processes at once.
    pub(super) processes: u32,
}

/// Returns all cases, in the order of the table.
pub(super) fn all() -> Vec<Case> {
    let gigabit = Case {
        name: "gigabit",
        title: "1 Gbit/s, 20 ms",
        link: LinkOptions {
            rate_bits: Some(GBIT),
            round_trip: Duration::from_millis(20),
            ..LinkOptions::default()
        },
        direction: Direction::Up,
        requests_per_second: None,
        warm_up: Duration::from_secs(8),
        measured: Duration::from_secs(12),
        processes: 1,
    };
    let long = Case {
        name: "long",
        title: "100 Mbit/s, 150 ms",
        link: LinkOptions {
            rate_bits: Some(GBIT / 10),
            round_trip: Duration::from_millis(150),
            ..LinkOptions::default()
        },
        warm_up: Duration::from_secs(20),
        measured: Duration::from_secs(30),
        ..gigabit.clone()
    };
    let slow = LinkOptions {
        addresses: 4,
        slow: Some(SlowAddress { number: 2, rate_bits: 20_000_000 }),
        round_trip: Duration::from_millis(20),
        rate_bits: Some(GBIT / 2),
        ..LinkOptions::default()
    };
    let lossy = |name, title, loss| Case {
        name,
        title,
        link: LinkOptions { loss, ..long.link.clone() },
        warm_up: Duration::from_secs(45),
        measured: Duration::from_secs(20),
        ..long.clone()
    };
    vec![
        gigabit.clone(),
        Case {
            name: "gigabit-down",
            title: "1 Gbit/s, 20 ms, download",
            direction: Direction::Down,
            ..gigabit.clone()
        },
        long.clone(),
        lossy("long-loss", "100 Mbit/s, 150 ms, 0.1 % loss", 0.001),
        lossy("long-much-loss", "100 Mbit/s, 150 ms, 1 % loss", 0.01),
        Case {
            direction: Direction::Down,
            ..lossy("long-loss-down", "100 Mbit/s, 150 ms, 0.1 % loss, download", 0.001)
        },
        Case {
            name: "slow-address",
            title: "500 Mbit/s, 20 ms, one of four addresses has 20 Mbit/s",
            link: slow,
            warm_up: Duration::from_secs(15),
            measured: Duration::from_secs(20),
            ..gigabit.clone()
        },
        Case {
            name: "throttling",
            title: "1 Gbit/s, 20 ms, a store that accepts 8 requests per second",
            requests_per_second: NonZeroU32::new(8),
            warm_up: Duration::from_secs(10),
            measured: Duration::from_secs(20),
            ..gigabit.clone()
        },
        Case {
            name: "four",
            title: "1 Gbit/s, 20 ms, four processes at once",
            warm_up: Duration::from_secs(10),
            measured: Duration::from_secs(20),
            processes: 4,
            ..gigabit
        },
        Case {
            name: "four-long",
            title: "100 Mbit/s, 150 ms, four processes at once",
            warm_up: Duration::from_secs(30),
            measured: Duration::from_secs(30),
            processes: 4,
            ..long
        },
    ]
}

/// Returns the cases that these words name, separated by commas; all without words.
pub(super) fn select(words: Option<&str>) -> Result<Vec<Case>> {
    let mut cases = all();
    let Some(words) = words else { return Ok(cases) };
    let words: Vec<&str> = words.split(',').collect();
    for word in &words {
        let names: Vec<_> = cases.iter().map(|case| case.name).collect();
        ensure!(names.contains(word), "no link is named {word}: {}", names.join(", "));
    }
    cases.retain(|case| words.contains(&case.name));
    Ok(cases)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_selected_by_name() {
        let names = |words| {
            let cases = select(words).map_err(|error| error.to_string())?;
            Ok::<_, String>(cases.into_iter().map(|case| case.name).collect::<Vec<_>>())
        };
        assert_eq!(names(Some("four,gigabit")), Ok(vec!["gigabit", "four"]));
        assert_eq!(names(None).map(|all| all.len()), Ok(10));
        assert!(names(Some("gig")).unwrap_err().contains("no link is named gig"));
    }
}
