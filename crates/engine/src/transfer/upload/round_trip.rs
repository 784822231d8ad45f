//! Chooses the default part size of a new upload by the round trip to the store, if requested.
//!
//! The size is chosen before Create and recorded in the journal with the plan, so a resumed upload
//! keeps it, whatever link it is resumed over.

use haul_parts::ChecksumAlgorithm;

use super::context::Context;
use crate::transfer::StopSignal;

/// Which parts stay in memory until they have arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeldParts {
    /// All: a stream cannot be read again.
    Always,
    /// Those that this store takes only with a checksum in the header.
    IfNotStreamed,
}

impl Context {
    /// Adapts the limits of the options to the round trip, unless the transfer is stopped first.
    pub(super) async fn adapt_to_round_trip(&mut self, held: HeldParts, stop: &StopSignal) {
        if !self.options.part_size_by_round_trip || self.options.part_size_bytes.is_some() {
            return;
        }
        let mut stop = stop.clone();
        let round_trip = tokio::select! {
            round_trip = self.store().round_trip(&self.object) => round_trip,
            _ = stop.stronger() => return,
        };
        let Some(round_trip) = round_trip else { return };
        let holds = held == HeldParts::Always || !self.streams_parts();
        let held_bytes = holds.then(|| self.resources.pool.budget_bytes());
        self.options.limits = Some(self.options.limits().for_round_trip(round_trip, held_bytes));
    }

    /// Returns whether parts are sent while they are read, with a checksum in the trailer.
    fn streams_parts(&self) -> bool {
        let in_trailer = |algorithm| algorithm != ChecksumAlgorithm::Md5;
        self.options.checksum.is_some_and(in_trailer) && self.store().profile().trailers.is_yes()
    }
}
