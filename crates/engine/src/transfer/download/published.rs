//! Finishes a download that was killed after its file had got the target's name and before its
//! journal was removed: nothing is fetched again.

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use haul_parts::{Checksum, PartNumber, PartPlan};
use tokio::sync::watch;

use super::frontier::verify_in_order;
use super::plan::Proof;
use super::ranged::Unfetched;
use super::remembering::compare;
use super::temporary::{Temporary, sync_folder_of};
use super::verify::BodyVerifier;
use super::version::Version;
use super::{Context, DownloadReport, blocking, modified};

impl Context {
    /// Verifies the target as the file of the run whose journal this is, and removes the journal.
    /// `None`: the target is another file, and the object is to be fetched.
    pub(super) async fn published_before(
        &self,
        path: &Path,
        (version, part_size_bytes): (&Version, Option<u64>),
        (plan, proof): (PartPlan, Proof),
        recorded: &HashMap<PartNumber, Checksum>,
    ) -> Result<Option<DownloadReport>, Unfetched> {
        let head = version.head();
        let Some(file) = self.candidate(path, head.size_bytes, plan, recorded) else {
            return Ok(None);
        };
        let matching = compare(&file, plan, recorded.clone(), &proof.algorithms(head)).await;
        if matching.len() < recorded.len() {
            return Ok(None);
        }
        let verified = if proof == Proof::InOrder {
            let verifier = BodyVerifier::new(head, part_size_bytes);
            let (_frontier, reached) = watch::channel(head.size_bytes);
            match verify_in_order(Arc::clone(&file), head.size_bytes, verifier, reached).await {
                Ok(verifier) => verifier.finish(),
                Err(_) => return Ok(None),
            }
        } else {
            let mut pieces: Vec<_> = matching.into_values().collect();
            pieces.sort_by_key(|piece| piece.number);
            proof.of(&pieces, head)
        };
        let Ok(verified) = self.settled(verified, head).await else { return Ok(None) };
        self.progress.set_arrived(head.size_bytes);
        let (modified, target) = (modified::of(head), path.to_owned());
        let synced = blocking(move || {
            modified::set(&file, modified);
            file.sync_all()?;
            sync_folder_of(&target)
        });
        synced.await?.map_err(|source| Unfetched::Failed(self.unwritable(source)))?;
        if let Some(journal) = self.journal().take() {
            journal.done();
        }
        Ok(Some(self.report(head.size_bytes, verified)))
    }

    /// Opens the target if every range is recorded, the temporary file has another name by now, and
    /// the target has the size of the object.
    fn candidate(
        &self,
        path: &Path,
        size_bytes: u64,
        plan: PartPlan,
        recorded: &HashMap<PartNumber, Checksum>,
    ) -> Option<Arc<File>> {
        let id = self.journal().as_ref()?.id().to_owned();
        let is_whole = recorded.len() == usize::from(plan.part_count());
        if !is_whole || fs::symlink_metadata(Temporary::path_of(path, &id)).is_ok() {
            return None;
        }
        // This is checked before opening: opening a pipe would block.
        let found = fs::symlink_metadata(path).ok()?;
        if !found.is_file() || found.len() != size_bytes {
            return None;
        }
        File::open(path).ok().map(Arc::new)
    }
}
