//! Builds CompleteMultipartUpload from the list of parts, and determines its outcome if the answer
//! is lost (P6).

use haul_parts::{Checksum, ChecksumAlgorithm, ChecksumType, ETag, combine_full_object};

use crate::pace::FailedAttempt;
use crate::proof::WholeProof;
use crate::remote::{
    CompleteRequest, CompletedPart, ObjectHead, Operation, Store, StoreError, StoreErrorKind,
    StoreProfile, UploadRef,
};
use crate::transfer::lifecycle::Finding;
use crate::transfer::mover::SentPart;
use crate::transfer::upload::UploadOptions;

/// The metadata entry that identifies the object of a lost Complete as ours:
/// `x-amz-meta-haul-upload`.
pub(crate) const TOKEN_METADATA: &str = "haul-upload";

/// Returns the checksum type that Haul declares at Create: full object, if the algorithm supports
/// it.
pub(super) fn own_type(algorithm: ChecksumAlgorithm) -> ChecksumType {
    if algorithm.combines() { ChecksumType::FullObject } else { ChecksumType::Composite }
}

/// Builds the list of parts with every value that the store can check. `declared`: our checksum
/// algorithm was declared at Create, so the store requires the checksums of the parts. Without
/// that, they are left out, because Swift refuses a list that contains any.
pub(super) fn request(
    parts: &[SentPart],
    declared: Option<ChecksumType>,
    options: &UploadOptions,
) -> CompleteRequest {
    let object_size_bytes = parts.iter().map(|part| part.size_bytes).sum();
    CompleteRequest {
        parts: parts
            .iter()
            .map(|part| CompletedPart {
                number: part.number,
                etag: part.etag.clone(),
                checksum: part.checksum.filter(|_| declared.is_some()),
            })
            .collect(),
        full_object_checksum: full_object(parts)
            .filter(|_| declared == Some(ChecksumType::FullObject)),
        object_size_bytes: Some(object_size_bytes),
        if_none_match: options.if_none_match,
        if_match: options.if_match.clone(),
    }
}

/// Combines the checksums of the parts to that of the whole object, if the algorithm supports it.
pub(crate) fn full_object(parts: &[SentPart]) -> Option<Checksum> {
    let of_parts: Option<Vec<_>> =
        parts.iter().map(|part| Some((part.checksum?, part.size_bytes))).collect();
    let of_parts = of_parts?;
    if !of_parts.first()?.0.algorithm().combines() {
        return None;
    }
    combine_full_object(of_parts).ok()
}

/// The properties that identify an object as the result of this upload.
#[derive(Clone, Debug)]
pub(super) struct Expected {
    token: String,
    size_bytes: Option<u64>,
    checksum: Option<Checksum>,
    etag: Option<ETag>,
}

impl Expected {
    /// Creates the properties from all parts, or from none if the parts are not known.
    pub(super) fn new(token: &str, parts: &[SentPart]) -> Self {
        let md5s: Option<Vec<_>> = parts.iter().map(|part| part.etag.as_md5()).collect();
        Self {
            token: token.to_owned(),
            size_bytes: (!parts.is_empty()).then(|| parts.iter().map(|part| part.size_bytes).sum()),
            checksum: full_object(parts),
            etag: md5s.filter(|md5s| !md5s.is_empty()).map(ETag::composite),
        }
    }

    /// Returns whether the object is the result of this upload. The token is proof. If the upload
    /// does not have our token (adopted uploads) or the store keeps none (no metadata), the length
    /// and a hash of all bytes decide.
    pub(super) fn is(&self, head: &ObjectHead) -> bool {
        if let Some(found) = head.attributes.metadata.get(TOKEN_METADATA)
            && !self.token.is_empty()
        {
            return *found == self.token;
        }
        self.size_bytes == Some(head.size_bytes)
            && (self.etag.as_ref() == Some(&head.etag) || self.same_checksum(head) == Some(true))
    }

    /// Compares the checksums; `None` if there is nothing to compare.
    fn same_checksum(&self, head: &ObjectHead) -> Option<bool> {
        match (self.checksum, head.checksum) {
            (Some(ours), Some((theirs, ChecksumType::FullObject)))
                if ours.algorithm() == theirs.algorithm() =>
            {
                Some(ours == theirs)
            }
            _ => None,
        }
    }

    /// Verifies after Complete that the object at the store has the content that was read. A
    /// checksum that the store takes unseen proves nothing.
    ///
    /// # Errors
    /// Returns a description of the difference.
    pub(super) fn close(
        &self,
        head: &ObjectHead,
        profile: &StoreProfile,
    ) -> Result<WholeProof, String> {
        if !self.is(head) {
            // Another client has written the key since: the object says nothing about our upload.
            return Ok(WholeProof::NotShown);
        }
        if let Some(size_bytes) = self.size_bytes
            && size_bytes != head.size_bytes
        {
            return Err(format!("it has {} bytes instead of {size_bytes}", head.size_bytes));
        }
        let is_trusted = self.checksum.is_some_and(|ours| profile.trusts(ours.algorithm()));
        match self.same_checksum(head) {
            Some(true) if is_trusted => Ok(WholeProof::Checksum),
            Some(false) => Err("its checksum is not that of its parts".into()),
            _ if self.etag.as_ref() == Some(&head.etag) => Ok(WholeProof::ETag),
            _ => Ok(WholeProof::NotShown),
        }
    }
}

/// Determines after a lost answer whether the object is ours and whether the upload is still open.
pub(super) async fn examine(
    store: &dyn Store,
    upload: &UploadRef,
    expected: &Expected,
) -> (Finding, Result<ObjectHead, StoreError>) {
    let head = store.head_object(&upload.object).await;
    // A 403 to HEAD does not mean that the object is absent (trap 27).
    let hidden = match &head {
        Ok(found) if expected.is(found) => return (Finding::Ours, head),
        Err(error) if error.kind == StoreErrorKind::AccessDenied => true,
        Err(error) if error.kind != StoreErrorKind::NoSuchKey => {
            return (Finding::Unknown(FailedAttempt::from(error)), head);
        }
        _ => false,
    };
    match store.list_parts(upload, None).await {
        Ok(_) => (Finding::UploadOpen, head),
        Err(error) if error.kind == StoreErrorKind::NoSuchUpload && !hidden => {
            look_again(store, upload, expected).await
        }
        Err(error) => (Finding::Unknown(FailedAttempt::from(&error)), head),
    }
}

/// Checks the object a second time if the upload is gone and the object was absent: Complete may
/// have been carried out between the two requests.
async fn look_again(
    store: &dyn Store,
    upload: &UploadRef,
    expected: &Expected,
) -> (Finding, Result<ObjectHead, StoreError>) {
    let head = store.head_object(&upload.object).await;
    let finding = match &head {
        Ok(found) if expected.is(found) => Finding::Ours,
        Ok(_) => Finding::UploadGone,
        Err(error) if error.kind == StoreErrorKind::NoSuchKey => Finding::NothingThere,
        Err(error) => Finding::Unknown(FailedAttempt::from(error)),
    };
    (finding, head)
}

/// Returns the error that is reported if the outcome could not be determined.
pub(super) fn unsettled(head: Result<ObjectHead, StoreError>) -> StoreError {
    head.err().unwrap_or_else(|| {
        let message =
            "the object there is not ours, and the store would not say whether the upload is open";
        StoreError::local(Operation::HeadObject, StoreErrorKind::Malformed, message)
    })
}
