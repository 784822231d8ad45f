//! Hashes a file in order, up to the first gap, while its pieces arrive out of order.
//!
//! This is for digests that cannot be combined from pieces: a plain MD5, SHA-256, and parts that
//! are fetched in several pieces. The bytes are read back from the page cache.

use std::fs::File;
use std::io;
use std::sync::Arc;

use tokio::sync::watch;

use super::verify::BodyVerifier;
use crate::source::read_exact_at;

/// Bytes of one read.
const READ_BYTES: usize = 1 << 20;

/// Runs `verifier` over the first `size_bytes` of the file, as the frontier advances.
///
/// # Errors
/// If the file cannot be read.
pub(super) async fn verify_in_order(
    file: Arc<File>,
    size_bytes: u64,
    mut verifier: BodyVerifier,
    mut frontier: watch::Receiver<u64>,
) -> io::Result<BodyVerifier> {
    // If there is nothing to compare, the file is not read.
    let mut done_bytes = if matches!(verifier, BodyVerifier::Nothing(_)) { size_bytes } else { 0 };
    while done_bytes < size_bytes {
        let reached = frontier.wait_for(|bytes| *bytes > done_bytes).await.map(|bytes| *bytes);
        let Ok(reached) = reached else { return Err(io::ErrorKind::Interrupted.into()) };
        let file = Arc::clone(&file);
        let hashing = tokio::task::spawn_blocking(move || {
            let mut buffer = vec![0; READ_BYTES];
            while done_bytes < reached {
                let wanted =
                    usize::try_from(reached - done_bytes).unwrap_or(READ_BYTES).min(READ_BYTES);
                read_exact_at(&file, done_bytes, &mut buffer[..wanted])?;
                verifier.update(&buffer[..wanted]);
                done_bytes += wanted as u64;
            }
            Ok::<_, io::Error>((verifier, done_bytes))
        });
        (verifier, done_bytes) = hashing.await.map_err(io::Error::other)??;
    }
    Ok(verifier)
}
