//! Simulates the window of one TCP connection with Reno's congestion control (RFC 5681), a round
//! trip at a time.

use rand::Rng;
use rand::rngs::StdRng;

const PACKET_BYTES: f64 = 1448.0;
/// The initial window (RFC 6928), and the one after a connection was idle.
const INITIAL_PACKETS: f64 = 10.0;

#[derive(Clone, Copy, Debug)]
pub(super) struct Reno {
    window_packets: f64,
    /// Below it, the window is doubled each round trip (`ssthresh`).
    threshold_packets: f64,
}

impl Reno {
    pub(super) fn new() -> Self {
        Self { window_packets: INITIAL_PACKETS, threshold_packets: f64::INFINITY }
    }

    /// Returns the connection after it was idle for a while.
    pub(super) fn after_idle(self) -> Self {
        let threshold_packets = self.threshold_packets.max(0.75 * self.window_packets);
        Self { window_packets: INITIAL_PACKETS, threshold_packets }
    }

    /// Returns the bytes that the connection sends within the next round trip.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of bytes")]
    pub(super) fn window_bytes(self) -> u64 {
        (self.window_packets * PACKET_BYTES) as u64
    }

    /// Sends bytes for one round trip; `loses`: the queue of the link is full. Several losses of
    /// one round count as one.
    pub(super) fn round(&mut self, bytes: u64, loss: f64, loses: bool, random: &mut StdRng) {
        let packets = (bytes as f64 / PACKET_BYTES).ceil();
        if loses || random.random_bool(1.0 - (1.0 - loss).powf(packets)) {
            self.threshold_packets = (self.window_packets / 2.0).max(2.0);
            self.window_packets = self.threshold_packets;
        } else if self.window_packets < self.threshold_packets {
            self.window_packets = (2.0 * self.window_packets).min(self.threshold_packets);
        } else {
            self.window_packets += 1.0;
        }
    }
}
