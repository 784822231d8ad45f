//! Determines whether a PutObject without an answer has been carried out (P6).
//!
//! Unlike after Complete, there is no upload that could still be open: the object is the only
//! evidence. It is ours if it has our token or, at a store that keeps no metadata, our length and a
//! hash of our bytes. Any other object settles nothing, because the request may be carried out
//! later, unless its own condition prevents that.

use haul_parts::ChecksumType;

use super::complete::TOKEN_METADATA;
use super::context::Context;
use super::part::ReadBytes;
use crate::remote::{
    ObjectAttributes, ObjectHead, Operation, StoreError, StoreErrorKind, UploadedPart,
};

/// The state of a PutObject without an answer, derived from the object.
pub(super) enum Landed {
    /// The request was carried out; this answer is equivalent to the lost one.
    Ours(UploadedPart),
    /// The request was not carried out and cannot be any more: its condition does not hold.
    Never,
    /// The request has not been carried out so far.
    NotYet(Box<StoreError>),
    /// The store did not answer the query.
    Unknown(Box<StoreError>),
}

/// Queries the object and compares it with the bytes that were sent.
pub(super) async fn look(context: &Context, bytes: &ReadBytes, token: &str) -> Landed {
    // A condition that the store does not hold prevents nothing.
    let profile = context.store().profile();
    let is_held = !context.options.condition_on_put(&profile).is_missing();
    let if_none_match = is_held && context.options.if_none_match;
    let if_match = context.options.if_match.as_ref().filter(|_| is_held);
    match context.resources.retry.run(|| context.store().head_object(&context.object)).await {
        Ok(head) if is_ours(&head, &context.options.attributes, bytes, token) => {
            Landed::Ours(UploadedPart {
                // HEAD does not show whether the ETag is an MD5.
                etag_is_opaque: head.etag.as_md5() != bytes.md5.and_then(|md5| md5.as_md5()),
                etag: head.etag,
                checksum: head.checksum.map(|(checksum, _)| checksum),
            })
        }
        Ok(head) if if_none_match || if_match.is_some_and(|wanted| *wanted != head.etag) => {
            Landed::Never
        }
        Ok(_) => not_yet("another object is there, and what was sent may still replace it"),
        Err(error) if error.kind == StoreErrorKind::NoSuchKey && if_match.is_some() => {
            Landed::Never
        }
        Err(error) if error.kind == StoreErrorKind::NoSuchKey => {
            not_yet("the object is not there, and what was sent may still become it")
        }
        Err(error) => Landed::Unknown(Box::new(error)),
    }
}

fn not_yet(message: &str) -> Landed {
    Landed::NotYet(Box::new(StoreError::local(
        Operation::HeadObject,
        StoreErrorKind::NoSuchKey,
        message,
    )))
}

fn is_ours(head: &ObjectHead, wanted: &ObjectAttributes, bytes: &ReadBytes, token: &str) -> bool {
    let kept = &head.attributes.metadata;
    if let Some(found) = kept.get(TOKEN_METADATA) {
        return found == token;
    }
    // Another client may have put the same bytes earlier. If the attributes match too, the object
    // equals the intended object.
    let same_type =
        wanted.content_type.is_none() || wanted.content_type == head.attributes.content_type;
    head.size_bytes == bytes.payload.size_bytes()
        && same_hash(head, bytes)
        && same_type
        && (kept.is_empty()
            || wanted.metadata.iter().all(|(name, value)| kept.get(name) == Some(value)))
}

fn same_hash(head: &ObjectHead, bytes: &ReadBytes) -> bool {
    let by_checksum = match (bytes.checksum, head.checksum) {
        (Some(ours), Some((theirs, ChecksumType::FullObject))) => ours == theirs,
        _ => false,
    };
    let md5 = bytes.md5.and_then(|md5| md5.as_md5());
    by_checksum || (md5.is_some() && head.etag.as_md5() == md5)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use haul_parts::{Checksum, ChecksumAlgorithm, ETag, Hasher};

    use super::*;
    use crate::body::Payload;

    const BODY: &[u8] = b"what was sent";

    fn checksum(algorithm: ChecksumAlgorithm, bytes: &[u8]) -> Option<Checksum> {
        Some(Hasher::checksum(algorithm, bytes))
    }

    fn sent() -> ReadBytes {
        ReadBytes {
            payload: Payload::from_bytes(Bytes::from_static(BODY)),
            checksum: checksum(ChecksumAlgorithm::Crc64Nvme, BODY),
            md5: checksum(ChecksumAlgorithm::Md5, BODY),
        }
    }

    fn head(body: &[u8], metadata: &[(&str, &str)]) -> ObjectHead {
        let md5 = checksum(ChecksumAlgorithm::Md5, body).and_then(|md5| md5.as_md5()).unwrap();
        let metadata =
            metadata.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        ObjectHead {
            etag_is_opaque: false,
            tag_count: None,
            lock: Default::default(),
            size_bytes: body.len() as u64,
            etag: ETag::from_md5(md5),
            checksum: None,
            composite: None,
            last_modified: None,
            attributes: ObjectAttributes {
                metadata: metadata.collect(),
                ..ObjectAttributes::default()
            },
        }
    }

    #[test]
    fn the_token_decides_and_without_metadata_the_bytes_do() {
        let plain = ObjectAttributes::default();
        let ours = |head: &ObjectHead| is_ours(head, &plain, &sent(), "mine");
        assert!(ours(&head(BODY, &[(TOKEN_METADATA, "mine")])));
        assert!(
            !ours(&head(BODY, &[(TOKEN_METADATA, "of another run")])),
            "the same bytes, put by others"
        );
        assert!(ours(&head(BODY, &[])), "a store that keeps no metadata");
        assert!(!ours(&head(b"something else", &[])));
    }

    #[test]
    fn the_same_bytes_with_other_attributes_are_not_ours() {
        let wanted = ObjectAttributes {
            content_type: Some("text/plain".into()),
            ..ObjectAttributes::default()
        };
        assert!(!is_ours(&head(BODY, &[]), &wanted, &sent(), "mine"));
        let wanted = head(BODY, &[("owner", "me")]).attributes;
        assert!(!is_ours(&head(BODY, &[("owner", "them")]), &wanted, &sent(), "mine"));
    }
}
