//! Tests the judge with samples of invented connections.

use super::*;

const MIB: u64 = 1 << 20;
const PART_BYTES: u64 = 8 * MIB;

struct Court {
    judge: Judge,
    start: Instant,
}

impl Court {
    fn new() -> Self {
        Self { judge: Judge::default(), start: Instant::now() }
    }

    fn at(&self, seconds: f64) -> Instant {
        self.start + Duration::from_secs_f64(seconds)
    }

    /// Ends a request of `bytes` at `ended_s`.
    fn ends(
        &mut self,
        (connection, address): (u64, u8),
        bytes: u64,
        (waited_s, lasted_s): (f64, f64),
        ended_s: f64,
    ) -> Verdict {
        let address = SocketAddr::from(([10, 0, 0, address], 80));
        let peer = Peer { connection, address, opened: self.start };
        let (waited, lasted) =
            (Duration::from_secs_f64(waited_s), Duration::from_secs_f64(lasted_s));
        self.judge.judge(peer, Sample { bytes, waited, lasted }, self.at(ended_s))
    }

    /// Ends a part for which the connection waited the whole time.
    fn part(&mut self, peer: (u64, u8), seconds: f64, ended_s: f64) -> Verdict {
        self.ends(peer, PART_BYTES, (seconds, seconds), ended_s)
    }
}

#[test]
fn a_connection_of_a_third_of_the_speed_is_retired() {
    let mut court = Court::new();
    for connection in 1..8 {
        assert_eq!(court.part((connection, 1), 1.0, 1.0), Verdict::Keep);
    }
    assert_eq!(court.part((8, 1), 2.9, 2.9), Verdict::Keep);
    let verdict = court.part((9, 1), 3.1, 3.1);
    let Verdict::Retire(reason) = verdict else { panic!("{verdict:?}") };
    assert!(reason.in_bytes && reason.own * 3.0 < reason.others, "{reason:?}");
}

#[test]
fn none_is_slow_if_all_are() {
    let mut court = Court::new();
    for connection in 1..8 {
        assert_eq!(court.part((connection, 1), 0.3, 0.3), Verdict::Keep);
    }
    // One after another becomes ten times slower.
    let mut retired = 0;
    for round in 1..4 {
        for connection in 1..8 {
            let verdict = court.part((connection, 1), 3.0, f64::from(round) * 3.0);
            retired += u32::from(verdict != Verdict::Keep);
        }
    }
    assert!(retired <= 2, "{retired} of seven were retired");
}

#[test]
fn a_stall_shorter_than_half_a_second_is_forgiven() {
    let mut court = Court::new();
    for connection in 1..8 {
        court.part((connection, 1), 0.01, 0.01);
    }
    assert_eq!(court.part((8, 1), 0.4, 0.4), Verdict::Keep);
}

/// The requests last ten times as long as those of the others, but the peer is not the cause.
#[test]
fn time_that_the_source_or_the_bandwidth_takes_is_not_the_peers() {
    let mut court = Court::new();
    for connection in 1..8 {
        court.part((connection, 1), 1.0, 1.0);
    }
    assert_eq!(court.ends((8, 1), PART_BYTES, (1.0, 10.0), 10.0), Verdict::Keep);
}

#[test]
fn a_slow_address_is_avoided_with_all_its_connections() {
    let mut court = Court::new();
    for connection in 2..16 {
        court.part((connection, u8::try_from(connection / 2).unwrap()), 1.0, 1.0);
    }
    assert!(matches!(court.part((20, 9), 10.0, 10.0), Verdict::Retire(_)));
    for connection in 2..16 {
        court.part((connection, u8::try_from(connection / 2).unwrap()), 1.0, 10.0);
    }
    assert!(matches!(court.part((21, 9), 10.0, 10.1), Verdict::Avoid(_)));
    // Its other connections end too, even after a fast request.
    assert!(matches!(court.part((22, 9), 1.0, 11.0), Verdict::Retire(_)));
}

#[test]
fn at_most_half_of_the_addresses_are_avoided() {
    let mut court = Court::new();
    let mut avoided = 0;
    for round in 0..40 {
        for address in 1..=4 {
            // Each address is slower than the one before by a factor of ten.
            let seconds = 0.1 * 10_f64.powi(i32::from(address));
            let peer = (round * 4 + u64::from(address), address);
            let verdict = court.part(peer, seconds, 1.0 + round as f64);
            avoided += u32::from(matches!(verdict, Verdict::Avoid(_)));
        }
    }
    assert!((1..=2).contains(&avoided), "{avoided} of four");
}

#[test]
fn the_only_address_is_never_avoided() {
    let mut court = Court::new();
    for round in 0..10 {
        for connection in 0..8 {
            let seconds = if connection == 0 { 10.0 } else { 1.0 };
            let peer = (round * 8 + connection, 1);
            let verdict = court.part(peer, seconds, 10.0 * round as f64 + seconds);
            assert!(!matches!(verdict, Verdict::Avoid(_)), "{verdict:?}");
        }
    }
}

#[test]
fn short_requests_are_compared_by_their_latency() {
    let mut court = Court::new();
    let mut retired = vec![];
    for round in 0..40 {
        for connection in 0..8 {
            let seconds = if connection == 3 { 0.2 } else { 0.02 };
            // The lengths differ by a factor of sixty.
            let bytes = 1000 + round * 1500;
            let peer = (connection, 1);
            let verdict = court.ends(peer, bytes, (seconds, seconds), 0.2 * round as f64 + seconds);
            if verdict != Verdict::Keep {
                retired.push(connection);
            }
        }
        if retired == [3] {
            return;
        }
    }
    panic!("{retired:?} were retired");
}

/// A part of 64 MiB is no measure for one of 1 MiB, in which the latency weighs more.
#[test]
fn requests_of_different_lengths_are_not_compared() {
    let mut court = Court::new();
    for connection in 1..8 {
        court.ends((connection, 1), 64 * MIB, (1.0, 1.0), 1.0);
    }
    assert_eq!(court.ends((9, 1), MIB, (0.6, 0.6), 1.0), Verdict::Keep);
}

#[test]
fn two_connections_are_too_few_to_tell() {
    let mut court = Court::new();
    court.part((1, 1), 1.0, 1.0);
    assert_eq!(court.part((2, 1), 30.0, 30.0), Verdict::Keep);
}

#[test]
fn records_are_forgotten_in_time() {
    let mut court = Court::new();
    for connection in 0..1000 {
        court.part((connection, 1), 1.0, connection as f64);
    }
    assert!(court.judge.connections.0.len() < 100, "{}", court.judge.connections.0.len());
}
