//! Divides an object into pieces, and chooses how the whole object is verified.
//!
//! A full-object CRC can be combined from the CRCs of any pieces. An ETag made of the MD5s of parts
//! needs pieces that equal the parts. For every other value the file is hashed in order, up to the
//! first gap.

use haul_parts::limits::MIB;
use haul_parts::{ChecksumAlgorithm, ChecksumType, Limits, PartPlan, combine_full_object};

use super::fetch::Fetched;
use super::part_hashes::MadeOfParts;
use super::verify::{BodyVerifier, LayoutSource, Mismatch, Verified, compare_whole};
use crate::remote::ObjectHead;

/// The default size of a piece.
const PIECE_BYTES: u64 = 8 * MIB;
/// Parts of the object above this size are fetched in several pieces.
const PART_MAX_BYTES: u64 = 64 * MIB;
/// Objects below this size are fetched in one piece: opening a second connection would take longer
/// than the transfer.
const SMALLEST_BYTES: u64 = 2 * PIECE_BYTES;

/// How the whole object is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// The CRCs of the pieces are combined.
    Combined,
    /// Each piece is a part: its hash is one of the hashes that the ETag or the checksum is made
    /// of.
    Parts,
    /// The file is hashed in order by a [`BodyVerifier`].
    InOrder,
}

impl Proof {
    /// Returns the algorithms to compute for every piece while it arrives. The journal records the
    /// first one, and the verification needs the last one.
    pub(super) fn algorithms(self, head: &ObjectHead) -> Vec<ChecksumAlgorithm> {
        match (self, head.checksum, MadeOfParts::of(head)) {
            (Self::Combined, Some((checksum, _)), _) => vec![checksum.algorithm()],
            (Self::Parts, _, Some(expected)) => {
                let mut algorithms = vec![ChecksumAlgorithm::Crc64Nvme, expected.algorithm()];
                algorithms.dedup();
                algorithms
            }
            _ => vec![ChecksumAlgorithm::Crc64Nvme],
        }
    }

    /// Compares all pieces, in order, with the store's values.
    pub(super) fn of(self, pieces: &[Fetched], head: &ObjectHead) -> Result<Verified, Mismatch> {
        match (self, head.checksum, MadeOfParts::of(head)) {
            (Self::Combined, Some((expected, _)), _) => {
                let whole = pieces
                    .iter()
                    .filter_map(|piece| Some((*piece.checksums.first()?, piece.size_bytes)));
                let found = combine_full_object(whole).map_err(|error| Mismatch {
                    detail: error.to_string(),
                    if_parts_are_equal: false,
                })?;
                compare_whole(found, expected)
            }
            (Self::Parts, _, Some(expected)) => {
                let hashes = pieces.iter().filter_map(|piece| piece.checksums.last().copied());
                expected.compare(hashes.collect(), LayoutSource::Told)
            }
            _ => Ok(Verified::OnlySize("it was to be verified in order")),
        }
    }
}

/// The limits of the size of pieces.
#[derive(Clone, Copy, Debug)]
pub(super) struct PieceSize {
    /// The size that the caller requested.
    pub(super) wanted: Option<u64>,
    /// The maximum size for which there is room where a piece is kept.
    pub(super) max_bytes: u64,
}

/// Returns the pieces of the object, or `None` if it is to be fetched in one stream.
/// `part_size_bytes` is the size of the object's parts, if the store returns it.
pub(super) fn plan(
    head: &ObjectHead,
    part_size_bytes: Option<u64>,
    size: PieceSize,
) -> Option<(PartPlan, Proof)> {
    let PieceSize { wanted, max_bytes } = size;
    let size_bytes = head.size_bytes;
    if size_bytes < wanted.map_or(SMALLEST_BYTES, |wanted| wanted.saturating_add(1)) {
        return None;
    }
    let limits = Limits { part_size_min_bytes: 1, ..Limits::AWS };
    let plan = |piece: Option<u64>| PartPlan::new(size_bytes, &limits, piece).ok();
    let own = plan(Some(wanted.unwrap_or(PIECE_BYTES).min(max_bytes))).or_else(|| plan(None));
    let own = own.filter(|own| own.part_size_bytes() <= max_bytes);
    if let Some((checksum, ChecksumType::FullObject)) = head.checksum
        && checksum.algorithm().combines()
    {
        return Some((own?, Proof::Combined));
    }
    let parts = part_size_bytes.filter(|size| *size <= PART_MAX_BYTES.min(max_bytes));
    match BodyVerifier::new(head, part_size_bytes) {
        BodyVerifier::Parts { .. } if parts.is_some() => Some((plan(parts)?, Proof::Parts)),
        BodyVerifier::Nothing(_) | BodyVerifier::Whole { .. } | BodyVerifier::Parts { .. } => {
            Some((own?, Proof::InOrder))
        }
    }
}
