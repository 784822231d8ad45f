//! Compares a copy with its source (P1), by the values that the store returns for both.

use haul_parts::{Checksum, ChecksumType, ETag};

use super::CopyProof;
use super::origin::SourceObject;
use crate::remote::{ObjectHead, Store, StoreProfile};
use crate::transfer::mover::SentPart;
use crate::transfer::upload::full_object;

/// The profiles of the two stores of a copy. A checksum that either of them accepts unverified
/// proves nothing, neither equality nor a difference.
pub(super) struct Trust {
    source: StoreProfile,
    target: StoreProfile,
}

impl Trust {
    /// Takes the profiles as they are known now: an answer may have refined them.
    pub(super) fn of(origin: &SourceObject, target: &dyn Store) -> Self {
        Self { source: origin.store.profile(), target: target.profile() }
    }

    pub(super) fn covers(&self, checksum: &Checksum) -> bool {
        let algorithm = checksum.algorithm();
        self.source.trusts(algorithm) && self.target.trusts(algorithm)
    }
}

/// Compares the store's properties of the source with those of the copy: the ETag, and the checksum
/// of the full object. Only a checksum can prove a difference: the ETags of equal bytes differ if
/// one object is encrypted or is divided into other parts.
///
/// # Errors
/// Returns a description of the difference.
pub(super) fn whole(
    trust: &Trust,
    source: &ObjectHead,
    etag: Option<&ETag>,
    checksum: Option<Checksum>,
) -> Result<CopyProof, String> {
    if let (Some((expected, ChecksumType::FullObject)), Some(found)) = (source.checksum, checksum)
        && expected.algorithm() == found.algorithm()
        && trust.covers(&expected)
    {
        return if expected == found {
            Ok(CopyProof::Checksum)
        } else {
            Err(format!("the checksum of the copy is {found}, that of the source {expected}"))
        };
    }
    let same_etag = etag.is_some_and(|etag| etag.is_strong() && *etag == source.etag);
    Ok(if same_etag { CopyProof::ETag } else { CopyProof::Unproven })
}

/// Compares a copy whose upload is not complete yet: its ETag is the hash of its parts' MD5s, and
/// its checksum is combined from the checksums of its parts.
///
/// # Errors
/// Returns a description of the difference.
pub(super) fn parts(
    trust: &Trust,
    source: &ObjectHead,
    parts: &[SentPart],
) -> Result<CopyProof, String> {
    let md5s: Option<Vec<_>> = parts.iter().map(|part| part.etag.as_md5()).collect();
    whole(trust, source, md5s.map(ETag::composite).as_ref(), full_object(parts))
}

#[cfg(test)]
mod tests {
    use haul_parts::{ChecksumAlgorithm, Hasher};

    use super::*;
    use crate::remote::{ObjectAttributes, StoreFindings, Support};

    fn whole(
        source: &ObjectHead,
        etag: Option<&ETag>,
        checksum: Option<Checksum>,
    ) -> Result<CopyProof, String> {
        let profile = StoreProfile::default();
        super::whole(&Trust { source: profile, target: profile }, source, etag, checksum)
    }

    /// A store that takes wrong checksums returned one for its copy, and the copy counted as
    /// proven.
    #[test]
    fn checksums_that_a_store_only_accepts_prove_nothing() {
        let source = head("\"a\"", Some(b"abc"));
        let checksums = [(ChecksumAlgorithm::Crc32c, Support::Ignored)].into();
        let found = StoreFindings { checksums, ..StoreFindings::default() };
        let (verifies, accepts) =
            (StoreProfile::default(), StoreProfile::default().refined_by(&found));
        let of = |body: &[u8]| Some(Hasher::checksum(ChecksumAlgorithm::Crc32c, body));
        for (of_source, of_target) in [(accepts, verifies), (verifies, accepts), (accepts, accepts)]
        {
            let trust = Trust { source: of_source, target: of_target };
            let compared =
                |etag: &str, body| super::whole(&trust, &source, Some(&etag.into()), of(body));
            assert_eq!(compared("\"b\"", b"abc"), Ok(CopyProof::Unproven));
            assert_eq!(compared("\"b\"", b"abd"), Ok(CopyProof::Unproven), "no difference either");
            assert_eq!(compared("\"a\"", b"abc"), Ok(CopyProof::ETag));
        }
    }

    fn head(etag: &str, body: Option<&[u8]>) -> ObjectHead {
        let checksum = |body| Hasher::checksum(ChecksumAlgorithm::Crc32c, body);
        ObjectHead {
            etag_is_opaque: false,
            tag_count: None,
            lock: Default::default(),
            size_bytes: 3,
            etag: ETag::new(etag),
            checksum: body.map(|body| (checksum(body), ChecksumType::FullObject)),
            composite: None,
            last_modified: None,
            attributes: ObjectAttributes::default(),
        }
    }

    #[test]
    fn a_checksum_decides_before_an_etag() {
        let source = head("\"a\"", Some(b"abc"));
        let of = |body: &[u8]| Some(Hasher::checksum(ChecksumAlgorithm::Crc32c, body));
        assert_eq!(whole(&source, None, of(b"abc")), Ok(CopyProof::Checksum));
        assert!(whole(&source, Some(&"\"a\"".into()), of(b"abd")).is_err());
        let other = Some(Hasher::checksum(ChecksumAlgorithm::Crc32, b"abc"));
        assert_eq!(whole(&source, Some(&"\"a\"".into()), other), Ok(CopyProof::ETag));
    }

    #[test]
    fn etags_prove_only_if_they_are_strong_and_disprove_nothing() {
        assert_eq!(
            whole(&head("\"a\"", None), Some(&"\"b\"".into()), None),
            Ok(CopyProof::Unproven)
        );
        assert_eq!(
            whole(&head("W/\"a\"", None), Some(&"W/\"a\"".into()), None),
            Ok(CopyProof::Unproven)
        );
        assert_eq!(whole(&head("", None), Some(&"".into()), None), Ok(CopyProof::Unproven));
    }
}
