//! Decides when a packet arrives, or that it is lost. Pure: the caller passes the time.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use super::LinkOptions;
use crate::random::Random;

/// An address of the server with a rate of its own, in each direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlowAddress {
    /// The last number of the address.
    pub number: u8,
    /// Bits per second.
    pub rate_bits: u64,
}

/// The longest wait in the queue of a slow address; packets behind it are dropped.
const SLOW_QUEUE: Duration = Duration::from_millis(100);
/// The largest number that a random word may be compared with exactly as a `f64`.
const RANDOM_BITS: u32 = 52;

/// The fate of the packets of one direction.
#[derive(Debug)]
pub(super) struct Fate {
    delay: Duration,
    /// A packet whose random number is below this one is lost.
    lost_below: u64,
    random: Random,
    slow: Option<SlowAddress>,
    /// The time when the last packet of the slow address will have left its queue.
    slow_until: Option<Instant>,
}

impl Fate {
    /// Returns the fate of one direction; `direction` makes its loss differ from the other's.
    pub(super) fn new(options: &LinkOptions, direction: u64) -> Self {
        let whole = 1_u64 << RANDOM_BITS;
        #[allow(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of 2^52, which a f64 holds exactly"
        )]
        let lost_below = (options.loss.clamp(0.0, 1.0) * whole as f64) as u64;
        Self {
            delay: options.round_trip / 2,
            lost_below,
            random: Random::new(options.seed.wrapping_mul(2).wrapping_add(direction)),
            slow: options.slow,
            slow_until: None,
        }
    }

    /// Returns when a packet that starts `now` arrives; `None` if it is lost.
    pub(super) fn arrival(&mut self, packet: &[u8], now: Instant) -> Option<Instant> {
        if self.random.next_u64() >> (64 - RANDOM_BITS) < self.lost_below {
            return None;
        }
        let Some(slow) = self.slow.filter(|slow| concerns(packet, slow.number)) else {
            return Some(now + self.delay);
        };
        let leaves = self.slow_until.map_or(now, |until| until.max(now));
        if leaves.duration_since(now) > SLOW_QUEUE {
            return None;
        }
        let nanoseconds = packet.len() as u64 * 8 * 1_000_000_000 / slow.rate_bits.max(1);
        let leaves = leaves + Duration::from_nanos(nanoseconds);
        self.slow_until = Some(leaves);
        Some(leaves + self.delay)
    }
}

/// Returns whether an IPv4 packet is from or to the server's address with this last number.
fn concerns(packet: &[u8], number: u8) -> bool {
    let address = |at: usize| Some(Ipv4Addr::from(*packet.get(at..)?.first_chunk::<4>()?));
    let is_it = |found: Ipv4Addr| {
        let [.., network, last] = found.octets();
        network == 1 && last == number
    };
    packet.first().is_some_and(|first| first >> 4 == 4)
        && [12, 16].into_iter().filter_map(address).any(is_it)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A packet of this length from the client to the server's address with this last number.
    fn packet(length: usize, number: u8) -> Vec<u8> {
        let mut packet = vec![0; length];
        packet[0] = 0x45;
        packet[12..20].copy_from_slice(&[10, 119, 0, 2, 10, 119, 1, number]);
        packet
    }

    #[test]
    fn a_packet_arrives_after_half_a_round_trip() {
        let round_trip = Duration::from_millis(150);
        let mut fate = Fate::new(&LinkOptions { round_trip, ..LinkOptions::default() }, 0);
        let now = Instant::now();
        assert_eq!(fate.arrival(&packet(1500, 1), now), Some(now + round_trip / 2));
    }

    #[test]
    fn the_loss_is_a_share_and_repeats_with_its_seed() {
        let options = LinkOptions { loss: 0.01, seed: 7, ..LinkOptions::default() };
        let now = Instant::now();
        let run = |direction| {
            let mut fate = Fate::new(&options, direction);
            let lost = |_| fate.arrival(&packet(1500, 1), now).is_none();
            (0..100_000).map(lost).collect::<Vec<bool>>()
        };
        let lost = run(0).into_iter().filter(|lost| *lost).count();
        assert!((900..1100).contains(&lost), "{lost} of 100,000");
        assert!(run(0) == run(0), "the same seed loses the same packets");
        assert!(run(0) != run(1), "the directions differ");
    }

    #[test]
    fn a_slow_address_has_a_rate_and_a_bounded_queue() {
        let slow = SlowAddress { number: 2, rate_bits: 8_000_000 };
        let mut fate = Fate::new(&LinkOptions { slow: Some(slow), ..LinkOptions::default() }, 0);
        let now = Instant::now();
        let arrivals: Vec<_> = (0..200).map(|_| fate.arrival(&packet(1000, 2), now)).collect();
        assert_eq!(arrivals[..2], [1, 2].map(|ms| Some(now + Duration::from_millis(ms))));
        let arrived = arrivals.iter().flatten().count();
        assert_eq!(arrived, 101, "a queue of 100 ms, and the packet before it");
        assert_eq!(fate.arrival(&packet(1000, 1), now), Some(now), "others are not slow");
        let later = now + Duration::from_secs(1);
        assert!(fate.arrival(&packet(1000, 2), later).is_some(), "the queue empties");
    }
}
