//! Which bytes of an object are fetched in which piece, and how the whole is verified.
//!
//! A full-object CRC is combined from those of the pieces, whatever they are. An ETag made of the
//! MD5s of parts wants pieces that are the parts. Everything else is hashed in order, behind the
//! pieces that have arrived.

use haul_parts::limits::MIB;
use haul_parts::{ChecksumAlgorithm, ChecksumType, ETag, Limits, PartPlan, combine_full_object};

use super::fetch::Fetched;
use super::verify::{Verified, Verifier};
use crate::remote::ObjectHead;

/// Pieces unless the object's parts decide otherwise.
const PIECE_BYTES: u64 = 8 * MIB;
/// Parts of the object above this are fetched in several pieces.
const PART_MAX_BYTES: u64 = 64 * MIB;
/// Objects below this are fetched in one piece: a second connection would take longer to open than
/// they take.
const SMALLEST_BYTES: u64 = 2 * PIECE_BYTES;

/// How the whole is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// The pieces' CRCs are combined.
    Combined,
    /// Each piece is a part: its MD5 is one of those that the ETag is made of.
    PartMd5s,
    /// In order, by a [`Verifier`].
    InOrder,
}

impl Proof {
    /// What is computed of every piece while it arrives.
    pub(super) fn algorithms(self, head: &ObjectHead) -> Vec<ChecksumAlgorithm> {
        match (self, head.checksum) {
            (Self::Combined, Some((checksum, _))) => vec![checksum.algorithm()],
            (Self::PartMd5s, _) => vec![ChecksumAlgorithm::Crc64Nvme, ChecksumAlgorithm::Md5],
            _ => vec![ChecksumAlgorithm::Crc64Nvme],
        }
    }

    /// Compares all pieces, in order, with what the store said. `Err` says what differs.
    pub(super) fn of(self, pieces: &[Fetched], head: &ObjectHead) -> Result<Verified, String> {
        match (self, head.checksum) {
            (Self::Combined, Some((expected, _))) => {
                let whole = pieces
                    .iter()
                    .filter_map(|piece| Some((*piece.checksums.first()?, piece.size_bytes)));
                let found = combine_full_object(whole).map_err(|error| error.to_string())?;
                if found != expected {
                    return Err(format!("its checksum is {found}, the store says {expected}"));
                }
                Ok(Verified::Checksum(expected.algorithm()))
            }
            (Self::PartMd5s, _) => {
                let md5s = pieces.iter().filter_map(|piece| piece.checksums.last()?.as_md5());
                if ETag::composite(md5s) == head.etag {
                    return Ok(Verified::PartMd5s(head.etag.part_count().unwrap_or_default()));
                }
                Ok(Verified::OnlySize(
                    "the store gave no checksum, and the ETag is not made of MD5s",
                ))
            }
            _ => Err("it was to be verified in order".into()),
        }
    }
}

/// The pieces of `head`'s object, or `None`: it is fetched in one stream. `part_size_bytes`: of its
/// parts, if the store says so; `wanted`: of a piece, if the caller does.
pub(super) fn plan(
    head: &ObjectHead,
    part_size_bytes: Option<u64>,
    wanted: Option<u64>,
) -> Option<(PartPlan, Proof)> {
    let size_bytes = head.size_bytes;
    if size_bytes < wanted.map_or(SMALLEST_BYTES, |wanted| wanted.saturating_add(1)) {
        return None;
    }
    let limits = Limits { part_size_min_bytes: 1, ..Limits::AWS };
    let plan = |piece: Option<u64>| PartPlan::new(size_bytes, &limits, piece).ok();
    let own = plan(Some(wanted.unwrap_or(PIECE_BYTES))).or_else(|| plan(None))?;
    if let Some((checksum, ChecksumType::FullObject)) = head.checksum
        && checksum.algorithm().combines()
    {
        return Some((own, Proof::Combined));
    }
    let parts = part_size_bytes.filter(|size| *size <= PART_MAX_BYTES && head.checksum.is_none());
    match Verifier::new(head, part_size_bytes) {
        Verifier::Parts { .. } if parts.is_some() => {
            let plan = plan(parts)?;
            Some((plan, Proof::PartMd5s))
        }
        Verifier::Nothing(_) | Verifier::Whole { .. } | Verifier::Parts { .. } => {
            Some((own, Proof::InOrder))
        }
    }
}
