//! CompleteMultipartUpload: the list, and what to believe when its answer is lost (P6).

use haul_parts::{Checksum, combine_full_object};

use super::part::SentPart;
use crate::retry::Failure;
use crate::store::{
    CompleteRequest, CompletedPart, ObjectHead, Operation, Store, StoreError, StoreErrorKind, UploadRef,
};
use crate::upload::UploadOptions;
use crate::upload::schedule::Finding;

/// Metadata by which a lost Complete is recognised as ours: `x-amz-meta-haul-upload`.
pub(crate) const TOKEN_METADATA: &str = "haul-upload";

/// The list and everything that lets the store check it. `declared`: the store echoed our checksum
/// algorithm at Create, so it wants the parts' values back (Swift refuses a list that has any).
pub(super) fn request(parts: &[SentPart], declared: bool, options: &UploadOptions) -> CompleteRequest {
    let object_size_bytes = parts.iter().map(|part| part.size_bytes).sum();
    CompleteRequest {
        parts: parts
            .iter()
            .map(|part| CompletedPart {
                number: part.number,
                etag: part.etag.clone(),
                checksum: part.checksum.filter(|_| declared),
            })
            .collect(),
        full_object_checksum: full_object(parts).filter(|_| declared),
        object_size_bytes: Some(object_size_bytes),
        if_none_match: options.if_none_match,
        if_match: options.if_match.clone(),
    }
}

/// The checksum of the whole object from those of its parts, where the algorithm allows that.
pub(super) fn full_object(parts: &[SentPart]) -> Option<Checksum> {
    let of_parts: Option<Vec<_>> = parts.iter().map(|part| Some((part.checksum?, part.size_bytes))).collect();
    let of_parts = of_parts?;
    if !of_parts.first()?.0.algorithm().combines() {
        return None;
    }
    combine_full_object(of_parts).ok()
}

/// After a lost answer: is the object ours, is the upload still open?
pub(super) async fn examine(
    store: &dyn Store,
    upload: &UploadRef,
    token: &str,
) -> (Finding, Result<ObjectHead, StoreError>) {
    let head = store.head_object(&upload.object).await;
    // A 403 to HEAD is not "absent" (trap 27).
    let hidden = match &head {
        Ok(found) if is_ours(found, token) => return (Finding::Ours, head),
        Err(error) if error.kind == StoreErrorKind::AccessDenied => true,
        Err(error) if error.kind != StoreErrorKind::NoSuchKey => {
            return (Finding::Unknown(Failure::from(error)), head);
        }
        _ => false,
    };
    match store.list_parts(upload, None).await {
        Ok(_) => (Finding::UploadOpen, head),
        Err(error) if error.kind == StoreErrorKind::NoSuchUpload && !hidden => {
            look_again(store, upload, token).await
        }
        Err(error) => (Finding::Unknown(Failure::from(&error)), head),
    }
}

/// The upload is gone and the object was not there before: Complete may have landed between the two looks.
async fn look_again(
    store: &dyn Store,
    upload: &UploadRef,
    token: &str,
) -> (Finding, Result<ObjectHead, StoreError>) {
    let head = store.head_object(&upload.object).await;
    let finding = match &head {
        Ok(found) if is_ours(found, token) => Finding::Ours,
        Err(error) if error.kind != StoreErrorKind::NoSuchKey => Finding::Unknown(Failure::from(error)),
        _ => Finding::UploadGone,
    };
    (finding, head)
}

fn is_ours(head: &ObjectHead, token: &str) -> bool {
    head.attributes.metadata.get(TOKEN_METADATA).is_some_and(|it| it == token)
}

/// What to tell about a doubt that could not be settled.
pub(super) fn unsettled(head: Result<ObjectHead, StoreError>) -> StoreError {
    head.err().unwrap_or_else(|| {
        let message = "the object there is not ours, and the store would not say whether the upload is open";
        StoreError::local(Operation::HeadObject, StoreErrorKind::Malformed, message)
    })
}
