//! Values that a store derives from the hashes of an object's parts: an ETag made of MD5s, or a
//! composite checksum.

use haul_parts::{Checksum, ChecksumAlgorithm, CompositeChecksum, ETag, Hasher};

use super::verify::{LayoutSource, Mismatch, Verified};
use crate::remote::ObjectHead;

/// A value that the store derived from the hashes of the parts.
#[derive(Clone, Debug)]
pub(in crate::transfer) enum MadeOfParts {
    /// An ETag with `-N`. Most of them are made of MD5s; those that are not (KMS) cannot be
    /// recognised.
    ETag(ETag, u16),
    /// `x-amz-checksum-…` with `-N`.
    Checksum(CompositeChecksum),
}

impl MadeOfParts {
    /// Returns the value to compare with: the checksum if there is one, because it is better
    /// evidence than an ETag.
    pub(super) fn of(head: &ObjectHead) -> Option<Self> {
        let composite = head.composite.map(Self::Checksum);
        composite.or_else(|| Some(Self::ETag(head.etag.clone(), head.etag.part_count()?)))
    }

    /// Returns the algorithm to compute for each part.
    pub(super) fn algorithm(&self) -> ChecksumAlgorithm {
        match self {
            Self::ETag(..) => ChecksumAlgorithm::Md5,
            Self::Checksum(composite) => composite.checksum().algorithm(),
        }
    }

    pub(super) fn part_count(&self) -> u16 {
        match self {
            Self::ETag(_, count) => *count,
            Self::Checksum(composite) => composite.part_count(),
        }
    }

    /// Compares the value with the hashes of all parts, in order.
    pub(super) fn compare(
        &self,
        parts: Vec<Checksum>,
        layout: LayoutSource,
    ) -> Result<Verified, Mismatch> {
        match self {
            Self::ETag(expected, count) => {
                let md5s = parts.iter().filter_map(Checksum::as_md5);
                if ETag::composite(md5s).opaque() == expected.opaque() {
                    return Ok(Verified::PartMd5s(*count));
                }
                Ok(Verified::OnlySize(match layout {
                    LayoutSource::Guessed => self.of_unknown_parts(),
                    LayoutSource::Told => {
                        "the store gave no checksum, and the ETag is not made of MD5s"
                    }
                }))
            }
            Self::Checksum(expected) => {
                let found = CompositeChecksum::from_parts(parts).ok();
                match (found, layout) {
                    (Some(found), _) if found == *expected => {
                        Ok(Verified::PartChecksums(self.algorithm(), self.part_count()))
                    }
                    (_, LayoutSource::Guessed) => Ok(Verified::OnlySize(self.of_unknown_parts())),
                    (found, LayoutSource::Told) => {
                        let algorithm = self.algorithm().s3_name();
                        let found = found.map_or_else(String::new, |found| found.to_string());
                        let detail = format!(
                            "its composite {algorithm} is {found}, the store says {expected}"
                        );
                        Err(Mismatch { detail, if_parts_are_equal: true })
                    }
                }
            }
        }
    }

    /// Returns the reason why the comparison is impossible if the size of the parts is unknown.
    pub(super) fn of_unknown_parts(&self) -> &'static str {
        match self {
            Self::ETag(..) => "the store gave no checksum and does not tell the part size",
            Self::Checksum(_) => {
                "its checksum is of its parts, and the store does not tell their size"
            }
        }
    }

    /// Returns the reason why the comparison is impossible if the parts differ in size.
    pub(super) fn of_unequal_parts(&self) -> &'static str {
        match self {
            Self::ETag(..) => "the store gave no checksum, and the parts are not equal",
            Self::Checksum(_) => "its checksum is of its parts, and they are not equal",
        }
    }
}

/// The hasher for bytes that arrive in order, with one hash for each part.
pub(in crate::transfer) struct PartHashes {
    part_size_bytes: u64,
    left_bytes: u64,
    algorithm: ChecksumAlgorithm,
    hasher: Hasher,
    done: Vec<Checksum>,
}

impl PartHashes {
    pub(super) fn new(algorithm: ChecksumAlgorithm, part_size_bytes: u64) -> Self {
        Self {
            part_size_bytes,
            left_bytes: part_size_bytes,
            algorithm,
            hasher: Hasher::new(algorithm),
            done: vec![],
        }
    }

    pub(super) fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.left_bytes == 0 {
                self.end_part();
            }
            let taken = usize::try_from(self.left_bytes).unwrap_or(usize::MAX).min(bytes.len());
            self.hasher.update(&bytes[..taken]);
            self.left_bytes -= taken as u64;
            bytes = &bytes[taken..];
        }
    }

    fn end_part(&mut self) {
        let hasher = std::mem::replace(&mut self.hasher, Hasher::new(self.algorithm));
        self.done.push(hasher.finish());
        self.left_bytes = self.part_size_bytes;
    }

    /// Returns the hashes of all parts in order.
    pub(super) fn finish(mut self) -> Vec<Checksum> {
        self.end_part();
        self.done
    }
}
