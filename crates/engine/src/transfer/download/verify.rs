//! Compares a downloaded object with the values that the store returns: the full-object checksum,
//! or the ETag if it is an MD5 or a hash of the MD5s of the parts.

use std::fmt;

use haul_parts::{Checksum, ChecksumAlgorithm, ChecksumType, Hasher, Limits, PartPlan};

use super::part_hashes::{MadeOfParts, PartHashes};
use crate::remote::ObjectHead;

/// The evidence by which a download was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verified {
    /// The full-object checksum matches.
    Checksum(ChecksumAlgorithm),
    /// The ETag is the MD5 of the downloaded bytes.
    Md5,
    /// The ETag is the hash of the MD5s of this many parts.
    PartMd5s(u16),
    /// The composite checksum is the hash of the checksums of this many parts.
    PartChecksums(ChecksumAlgorithm, u16),
    /// The store returned no value for a comparison; only the length matches.
    OnlySize(&'static str),
}

impl fmt::Display for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Checksum(algorithm) => write!(f, "verified by {}", algorithm.s3_name()),
            Self::Md5 => f.write_str("verified by MD5"),
            Self::PartMd5s(count) => write!(f, "verified by the MD5s of its {count} parts"),
            Self::PartChecksums(algorithm, count) => {
                write!(f, "verified by the {} of its {count} parts", algorithm.s3_name())
            }
            Self::OnlySize(reason) => write!(f, "only its size was verified: {reason}"),
        }
    }
}

/// The hasher of the downloaded bytes, as the chosen comparison requires.
pub(in crate::transfer) enum BodyVerifier {
    Whole { hasher: Hasher, expected: Checksum },
    Parts { hashes: PartHashes, expected: MadeOfParts, layout: LayoutSource },
    Nothing(&'static str),
}

/// The origin of the part size: a mismatch proves damage only if the store reported the size.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::transfer) enum LayoutSource {
    Told,
    Guessed,
}

/// A difference between the downloaded bytes and the store's values.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::transfer) struct Mismatch {
    /// The difference, for messages.
    pub(in crate::transfer) detail: String,
    /// Whether the difference proves damage only if all parts have the size of the first part.
    pub(in crate::transfer) if_parts_are_equal: bool,
}

impl BodyVerifier {
    /// Chooses the strongest comparison that the store's answers allow.
    pub(in crate::transfer) fn new(head: &ObjectHead, part_size_bytes: Option<u64>) -> Self {
        if let Some((expected, ChecksumType::FullObject)) = head.checksum {
            return Self::Whole { hasher: Hasher::new(expected.algorithm()), expected };
        }
        if head.etag_is_opaque && head.composite.is_none() {
            return Self::Nothing(
                "the store gave no checksum, and its encryption changes the ETag",
            );
        }
        if head.composite.is_none()
            && let Some(expected) = head.etag.as_md5()
        {
            let algorithm = ChecksumAlgorithm::Md5;
            return match Checksum::from_bytes(algorithm, &expected) {
                Ok(expected) => Self::Whole { hasher: Hasher::new(algorithm), expected },
                Err(_) => Self::Nothing("the ETag is not an MD5"),
            };
        }
        let Some(expected) = MadeOfParts::of(head) else {
            return Self::Nothing("the store gave no checksum, and the ETag is not an MD5");
        };
        let count = expected.part_count();
        let (size, layout) = match part_size_bytes {
            Some(told) => (told, LayoutSource::Told),
            None => match guess(head.size_bytes, count) {
                Some(guessed) => (guessed, LayoutSource::Guessed),
                None => return Self::Nothing(expected.of_unknown_parts()),
            },
        };
        if size == 0 || head.size_bytes.div_ceil(size) != u64::from(count) {
            return Self::Nothing(expected.of_unequal_parts());
        }
        let hashes = PartHashes::new(expected.algorithm(), size);
        Self::Parts { hashes, expected, layout }
    }

    pub(in crate::transfer) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Whole { hasher, .. } => hasher.update(bytes),
            Self::Parts { hashes, .. } => hashes.update(bytes),
            Self::Nothing(_) => {}
        }
    }

    pub(in crate::transfer) fn finish(self) -> Result<Verified, Mismatch> {
        match self {
            Self::Whole { hasher, expected } => compare_whole(hasher.finish(), expected),
            Self::Parts { hashes, expected, layout } => expected.compare(hashes.finish(), layout),
            Self::Nothing(reason) => Ok(Verified::OnlySize(reason)),
        }
    }
}

/// Compares the hash of the whole object.
pub(super) fn compare_whole(found: Checksum, expected: Checksum) -> Result<Verified, Mismatch> {
    if found != expected {
        let detail = format!("its checksum is {found}, the store says {expected}");
        return Err(Mismatch { detail, if_parts_are_equal: false });
    }
    Ok(match expected.algorithm() {
        ChecksumAlgorithm::Md5 => Verified::Md5,
        algorithm => Verified::Checksum(algorithm),
    })
}

/// Returns the part size that Haul itself would have chosen, if it gives that number of parts.
fn guess(size_bytes: u64, count: u16) -> Option<u64> {
    let plan = PartPlan::new(size_bytes, &Limits::AWS, None).ok()?;
    (plan.part_count() == count).then_some(plan.part_size_bytes())
}

#[cfg(test)]
mod tests {
    use haul_parts::{CompositeChecksum, ETag};

    use super::*;
    use crate::remote::ObjectAttributes;

    fn head(size_bytes: u64, etag: &str) -> ObjectHead {
        ObjectHead {
            etag_is_opaque: false,
            tag_count: None,
            lock: Default::default(),
            size_bytes,
            etag: ETag::new(etag),
            checksum: None,
            composite: None,
            last_modified: None,
            attributes: ObjectAttributes::default(),
        }
    }

    fn run(mut verifier: BodyVerifier, bytes: &[u8]) -> Result<Verified, Mismatch> {
        bytes.chunks(3).for_each(|chunk| verifier.update(chunk));
        verifier.finish()
    }

    #[test]
    fn an_md5_etag_proves_and_disproves() {
        let head = head(3, "\"900150983cd24fb0d6963f7d28e17f72\"");
        assert_eq!(run(BodyVerifier::new(&head, None), b"abc"), Ok(Verified::Md5));
        assert!(run(BodyVerifier::new(&head, None), b"abd").is_err());
    }

    /// Regression: the ETag of an object that KMS or a customer's key encrypts has the form of an
    /// MD5 and is none: the download of such an object was reported as damaged.
    #[test]
    fn an_etag_changed_by_encryption_disproves_nothing() {
        let mut head = head(3, "\"0123456789abcdef0123456789abcdef\"");
        head.etag_is_opaque = true;
        assert!(matches!(run(BodyVerifier::new(&head, None), b"abc"), Ok(Verified::OnlySize(_))));
        let expected = Hasher::checksum(ChecksumAlgorithm::Crc32c, b"abc");
        head.checksum = Some((expected, ChecksumType::FullObject));
        assert!(run(BodyVerifier::new(&head, None), b"abd").is_err(), "the checksum still does");
    }

    #[test]
    fn an_etag_of_parts_is_verified_when_the_part_size_is_known() {
        let md5 = |bytes: &[u8]| Hasher::checksum(ChecksumAlgorithm::Md5, bytes).as_md5().unwrap();
        let etag = ETag::composite([md5(b"01234"), md5(b"56789"), md5(b"ab")]);
        let head = head(12, etag.as_given());
        assert_eq!(
            run(BodyVerifier::new(&head, Some(5)), b"0123456789ab"),
            Ok(Verified::PartMd5s(3))
        );
        assert!(matches!(
            run(BodyVerifier::new(&head, Some(5)), b"0123456789aX"),
            Ok(Verified::OnlySize(_))
        ));
        assert!(matches!(
            run(BodyVerifier::new(&head, None), b"0123456789ab"),
            Ok(Verified::OnlySize(_))
        ));
    }

    #[test]
    fn the_full_object_checksum_is_preferred() {
        let mut head = head(3, "\"900150983cd24fb0d6963f7d28e17f72\"");
        let expected = Hasher::checksum(ChecksumAlgorithm::Crc32c, b"abc");
        head.checksum = Some((expected, ChecksumType::FullObject));
        assert_eq!(
            run(BodyVerifier::new(&head, None), b"abc"),
            Ok(Verified::Checksum(ChecksumAlgorithm::Crc32c))
        );
        assert!(run(BodyVerifier::new(&head, None), b"abd").is_err());
    }

    /// An ETag with `-N` may be made of something other than MD5s; a composite checksum is always
    /// the documented value.
    #[test]
    fn a_composite_checksum_disproves_what_an_etag_cannot() {
        for algorithm in ChecksumAlgorithm::ALL {
            let parts = [&b"01234"[..], b"56789", b"ab"];
            let parts = parts.map(|part| Hasher::checksum(algorithm, part));
            let mut head = head(12, "\"0123-3\"");
            head.composite = CompositeChecksum::from_parts(parts).ok();
            let told = |bytes: &[u8]| run(BodyVerifier::new(&head, Some(5)), bytes);
            assert_eq!(told(b"0123456789ab"), Ok(Verified::PartChecksums(algorithm, 3)));
            assert!(told(b"0123456789aX").unwrap_err().if_parts_are_equal);
            let untold = run(BodyVerifier::new(&head, None), b"0123456789aX");
            assert!(matches!(untold, Ok(Verified::OnlySize(_))), "{algorithm:?}");
            let other = run(BodyVerifier::new(&head, Some(4096)), b"0123456789ab");
            assert!(matches!(other, Ok(Verified::OnlySize(_))), "not that many parts");
        }
    }
}
