//! Finds the reason of a HeadObject that was refused with 400.
//!
//! The answer to HEAD has no body, so a session that has ended, a missing key of the customer and a
//! request that is wrong for good all look the same. A GetObject of one byte gets the same refusal
//! with a document, whose code decides the kind.

use std::future::Future;

use super::S3Store;
use crate::remote::{GetRequest, ObjectRef, Operation, Store, StoreError, StoreErrorKind};

impl S3Store {
    /// Returns the answer to `head`. After a bare 400, GetObject is asked for the code; if it
    /// succeeds, with credentials that were renewed meanwhile, `head` is sent again.
    pub(super) async fn with_reason<T, Answer>(
        &self,
        object: &ObjectRef,
        head: impl Fn() -> Answer,
    ) -> Result<T, StoreError>
    where
        Answer: Future<Output = Result<T, StoreError>>,
    {
        let refused = match head().await {
            Err(error) if is_bare(&error) => error,
            answer => return answer,
        };
        let one_byte = GetRequest { size_bytes: Some(1), ..GetRequest::default() };
        match self.get_object(object, &one_byte).await {
            Ok(_) => head().await,
            Err(told) if told.status == refused.status && told.code.is_some() => {
                Err(StoreError { operation: Operation::HeadObject, ..told })
            }
            Err(_) => Err(refused),
        }
    }
}

fn is_bare(error: &StoreError) -> bool {
    error.status == Some(400) && error.code.is_none() && error.kind == StoreErrorKind::Rejected
}
