//! Decides whether a failed file shows that a store cannot be reached: then every further file
//! would fail too, each after all of its attempts.
//!
//! The error of one file does not show that, because a store can fail for one object only. So the
//! bucket is asked once more, with a listing of the object's key: it needs no object, and any
//! answer but a failure of the store counts.

use std::sync::Arc;

use haul_parts::ObjectRef;

use super::file::{Shared, To, Work};
use crate::error::Error;
use crate::pace::RetryPolicy;
use crate::remote::{Store, StoreErrorKind};

/// The attempts to reach the store; the file has made all of its own before.
const ATTEMPTS_MAX: u32 = 3;

/// Returns whether a store of this file cannot be reached after the file has failed with `error`.
/// A stop of the tree ends the question.
pub(super) async fn is_away(shared: &Shared, work: &Work, error: &Error) -> bool {
    if !is_of_the_way(error) {
        return false;
    }
    let target = match &work.to {
        To::Object(object) => Some(object.clone()),
        To::File(_) => None,
    };
    let sides =
        [(shared.source_store(), work.source_object(shared)), (&shared.resources.store, target)];
    let mut stop = shared.stop.clone();
    let asking = async {
        for (store, object) in sides {
            if let Some(object) = object
                && !answers(shared, store, &object).await
            {
                return true;
            }
        }
        false
    };
    tokio::select! {
        away = asking => away,
        _ = stop.stronger() => false,
    }
}

/// Returns whether the error is one of the connection, or of a store that fails as a whole.
pub(super) fn is_of_the_way(error: &Error) -> bool {
    match error {
        Error::Paused { source: Some(cause), .. }
        | Error::DownloadPaused { source: Some(cause), .. } => is_of_the_way(cause),
        Error::Store { source, .. }
        | Error::InDoubt { source, .. }
        | Error::PutInDoubt { source, .. } => kind_is_of_the_way(source.kind),
        _ => false,
    }
}

fn kind_is_of_the_way(kind: StoreErrorKind) -> bool {
    use StoreErrorKind as K;
    matches!(
        kind,
        K::Connection
            | K::Timeout
            | K::BadCertificate
            | K::WrongScheme
            | K::ProxyRefused
            | K::Server
            | K::Throttled
    )
}

async fn answers(shared: &Shared, store: &Arc<dyn Store>, object: &ObjectRef) -> bool {
    let policy = &shared.resources.retry;
    let attempts_max = policy.attempts_max.min(ATTEMPTS_MAX);
    let policy = RetryPolicy { attempts_max, ..policy.clone() };
    let listing = || store.list_objects(&object.bucket, object.key.as_str(), None, None);
    !policy.run(listing).await.is_err_and(|error| kind_is_of_the_way(error.kind))
}
