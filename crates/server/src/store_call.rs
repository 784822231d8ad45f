//! Calls the store on a blocking thread, because the store blocks.

use crate::answer::refusal::Refusal;

/// Runs `work` on a blocking thread. Converts errors of the store to refusals inside the request's
/// span, so that the log entry of a failure has the request id.
pub(crate) async fn store_call<T: Send + 'static>(
    work: impl FnOnce() -> haul_store::Result<T> + Send + 'static,
) -> Result<T, Refusal> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(|error| Refusal::from_store(&error)),
        Err(error) => Err(Refusal::internal("a store operation did not finish", &error)),
    }
}
