//! What a downloaded object can be compared with: the full-object checksum, or the ETag where it is
//! an MD5 or a hash of the MD5s of its parts.

use std::fmt;

use haul_parts::{Checksum, ChecksumAlgorithm, ChecksumType, ETag, Hasher, Limits, PartPlan};

use crate::remote::ObjectHead;

/// How a download was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verified {
    /// The full-object checksum agrees.
    Checksum(ChecksumAlgorithm),
    /// The ETag is the MD5 of what arrived.
    Md5,
    /// The ETag is the hash of the MD5s of this many parts.
    PartMd5s(u16),
    /// The store gave nothing that can be compared; only the length agrees.
    OnlySize(&'static str),
}

impl fmt::Display for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Checksum(algorithm) => write!(f, "verified by {}", algorithm.s3_name()),
            Self::Md5 => f.write_str("verified by MD5"),
            Self::PartMd5s(count) => write!(f, "verified by the MD5s of its {count} parts"),
            Self::OnlySize(reason) => write!(f, "only its size was verified: {reason}"),
        }
    }
}

/// Hashes what arrives in the way that the comparison needs.
pub(in crate::transfer) enum Verifier {
    Whole { hasher: Hasher, expected: Checksum },
    Parts { md5: PartMd5s, expected: ETag, layout: Layout },
    Nothing(&'static str),
}

/// Where the part size comes from: a difference proves damage only if the store said it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::transfer) enum Layout {
    Told,
    Guessed,
}

pub(in crate::transfer) struct PartMd5s {
    part_size_bytes: u64,
    left_bytes: u64,
    hasher: Hasher,
    done: Vec<[u8; 16]>,
}

impl Verifier {
    /// The strongest comparison that the store's answers allow.
    pub(in crate::transfer) fn new(head: &ObjectHead, part_size_bytes: Option<u64>) -> Self {
        if let Some((expected, ChecksumType::FullObject)) = head.checksum {
            return Self::Whole { hasher: Hasher::new(expected.algorithm()), expected };
        }
        if let Some(expected) = head.etag.as_md5() {
            let algorithm = ChecksumAlgorithm::Md5;
            return match Checksum::from_bytes(algorithm, &expected) {
                Ok(expected) => Self::Whole { hasher: Hasher::new(algorithm), expected },
                Err(_) => Self::Nothing("the ETag is not an MD5"),
            };
        }
        let Some(count) = head.etag.part_count() else {
            return Self::Nothing("the store gave no checksum, and the ETag is not an MD5");
        };
        let (size, layout) = match part_size_bytes {
            Some(told) => (told, Layout::Told),
            None => match guess(head.size_bytes, count) {
                Some(guessed) => (guessed, Layout::Guessed),
                None => {
                    return Self::Nothing(
                        "the store gave no checksum and does not tell the part size",
                    );
                }
            },
        };
        if size == 0 || head.size_bytes.div_ceil(size) != u64::from(count) {
            return Self::Nothing("the store gave no checksum, and the parts are not equal");
        }
        Self::Parts { md5: PartMd5s::new(size), expected: head.etag.clone(), layout }
    }

    pub(in crate::transfer) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Whole { hasher, .. } => hasher.update(bytes),
            Self::Parts { md5, .. } => md5.update(bytes),
            Self::Nothing(_) => {}
        }
    }

    /// `Err` says what differs.
    pub(in crate::transfer) fn finish(self) -> Result<Verified, String> {
        match self {
            Self::Whole { hasher, expected } => {
                let found = hasher.finish();
                if found != expected {
                    return Err(format!("its checksum is {found}, the store says {expected}"));
                }
                Ok(match expected.algorithm() {
                    ChecksumAlgorithm::Md5 => Verified::Md5,
                    algorithm => Verified::Checksum(algorithm),
                })
            }
            Self::Parts { md5, expected, layout } => {
                let found = ETag::composite(md5.finish());
                match (found == expected, layout) {
                    (true, _) => Ok(Verified::PartMd5s(expected.part_count().unwrap_or_default())),
                    // An ETag with `-N` need not be made of MD5s (KMS), and the layout was only
                    // guessed.
                    (false, Layout::Guessed) => Ok(Verified::OnlySize(
                        "the store gave no checksum and does not tell the part size",
                    )),
                    (false, Layout::Told) => Ok(Verified::OnlySize(
                        "the store gave no checksum, and the ETag is not made of MD5s",
                    )),
                }
            }
            Self::Nothing(reason) => Ok(Verified::OnlySize(reason)),
        }
    }
}

/// The part size that Haul itself would have chosen, if it makes that many parts.
fn guess(size_bytes: u64, count: u16) -> Option<u64> {
    let plan = PartPlan::new(size_bytes, &Limits::AWS, None).ok()?;
    (plan.part_count() == count).then_some(plan.part_size_bytes())
}

impl PartMd5s {
    fn new(part_size_bytes: u64) -> Self {
        Self {
            part_size_bytes,
            left_bytes: part_size_bytes,
            hasher: Hasher::new(ChecksumAlgorithm::Md5),
            done: vec![],
        }
    }

    fn update(&mut self, mut bytes: &[u8]) {
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
        let hasher = std::mem::replace(&mut self.hasher, Hasher::new(ChecksumAlgorithm::Md5));
        self.done.extend(hasher.finish().as_md5());
        self.left_bytes = self.part_size_bytes;
    }

    fn finish(mut self) -> Vec<[u8; 16]> {
        self.end_part();
        self.done
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::ObjectAttributes;

    fn head(size_bytes: u64, etag: &str) -> ObjectHead {
        ObjectHead {
            size_bytes,
            etag: ETag::new(etag),
            checksum: None,
            last_modified: None,
            attributes: ObjectAttributes::default(),
        }
    }

    fn run(mut verifier: Verifier, bytes: &[u8]) -> Result<Verified, String> {
        bytes.chunks(3).for_each(|chunk| verifier.update(chunk));
        verifier.finish()
    }

    #[test]
    fn an_md5_etag_proves_and_disproves() {
        let head = head(3, "\"900150983cd24fb0d6963f7d28e17f72\"");
        assert_eq!(run(Verifier::new(&head, None), b"abc"), Ok(Verified::Md5));
        assert!(run(Verifier::new(&head, None), b"abd").is_err());
    }

    #[test]
    fn an_etag_of_parts_is_verified_when_the_part_size_is_known() {
        let md5 = |bytes: &[u8]| Hasher::checksum(ChecksumAlgorithm::Md5, bytes).as_md5().unwrap();
        let etag = ETag::composite([md5(b"01234"), md5(b"56789"), md5(b"ab")]);
        let head = head(12, etag.as_given());
        assert_eq!(run(Verifier::new(&head, Some(5)), b"0123456789ab"), Ok(Verified::PartMd5s(3)));
        assert!(matches!(
            run(Verifier::new(&head, Some(5)), b"0123456789aX"),
            Ok(Verified::OnlySize(_))
        ));
        assert!(matches!(
            run(Verifier::new(&head, None), b"0123456789ab"),
            Ok(Verified::OnlySize(_))
        ));
    }

    #[test]
    fn the_full_object_checksum_is_preferred() {
        let mut head = head(3, "\"900150983cd24fb0d6963f7d28e17f72\"");
        let expected = Hasher::checksum(ChecksumAlgorithm::Crc32c, b"abc");
        head.checksum = Some((expected, ChecksumType::FullObject));
        assert_eq!(
            run(Verifier::new(&head, None), b"abc"),
            Ok(Verified::Checksum(ChecksumAlgorithm::Crc32c))
        );
        assert!(run(Verifier::new(&head, None), b"abd").is_err());
    }
}
