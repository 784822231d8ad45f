//! Downloads ranges in parallel, each to its offset in a temporary file, which gets the target's
//! name at the end.

use std::collections::HashMap;
use std::fs::Permissions;
use std::path::Path;
use std::sync::Arc;

use haul_parts::{Checksum, PartNumber, PartPlan};
use tokio::sync::watch;

use super::allocate::allocate;
use super::fetch::{Fetched, Fetcher, RangeTarget};
use super::frontier::verify_in_order;
use super::plan::Proof;
use super::ranged::{Unfetched, fetch_all};
use super::remembering::{DownloadJournal, compare};
use super::target_file::TargetFile;
use super::temporary::Temporary;
use super::verify::BodyVerifier;
use super::version::Version;
use super::{AbortOnDrop, Context, DownloadReport, blocking, modified};
use crate::error::Error;
use crate::remote::ObjectHead;

impl Context {
    /// Fetches ranges in parallel, each to its offset in a temporary file.
    pub(super) async fn in_pieces(
        &self,
        (path, permissions): (&Path, Option<&Permissions>),
        version: &Version,
        part_size_bytes: Option<u64>,
        (plan, proof): (PartPlan, Proof),
    ) -> Result<DownloadReport, Unfetched> {
        let failed = |source| Unfetched::Failed(self.unwritable(source));
        let head = version.head();
        let (remembered, recorded) = self.remember(path, head, plan).map_err(Unfetched::Failed)?;
        // The ranges of an earlier run may differ from the parts that the store lists now.
        let proof =
            if remembered != plan && proof == Proof::Parts { Proof::InOrder } else { proof };
        let plan = remembered;
        let finished =
            self.published_before(path, (version, part_size_bytes), (plan, proof), &recorded);
        if let Some(report) = finished.await? {
            return Ok(report);
        }
        let id = self.journal().as_ref().map(|journal| journal.id().to_owned());
        let opened = match &id {
            Some(id) => Temporary::remembered(path, id, permissions),
            None => Temporary::create(path, permissions),
        };
        if opened.is_err()
            && recorded.is_empty()
            && let Some(journal) = self.journal().take()
        {
            // No range has arrived and none can: there is nothing to resume.
            journal.give_up();
        }
        let (temporary, file) = opened.map_err(failed)?;
        let file = Arc::new(file);
        let fetched = compare(&file, plan, recorded, &proof.algorithms(head)).await;
        self.progress.set_arrived(fetched.values().map(|range| range.size_bytes).sum());
        let to_allocate = Arc::clone(&file);
        let size_bytes = head.size_bytes;
        blocking(move || allocate(&to_allocate, size_bytes)).await?.map_err(failed)?;
        let written = match proof {
            // The file is read back for hashing, so it is written through the page cache.
            Proof::InOrder => TargetFile::cached(&file),
            Proof::Combined | Proof::Parts => {
                let target = TargetFile::past_the_cache(&file, temporary.path());
                if self.resources.writes_in_place { target.written_in_place() } else { target }
            }
        };
        let fetcher = Arc::new(Fetcher::new(
            self,
            version.clone(),
            RangeTarget::File(Arc::new(written)),
            proof,
        ));
        let (frontier, reached) = watch::channel(0);
        let verifier = BodyVerifier::new(head, part_size_bytes);
        let in_order = (proof == Proof::InOrder).then(|| {
            let verified = verify_in_order(Arc::clone(&file), size_bytes, verifier, reached);
            AbortOnDrop(tokio::spawn(verified))
        });
        let arrived = |range: &Fetched| {
            if let Some(journal) = self.journal().as_mut() {
                journal.range(range);
            }
        };
        let pieces =
            fetch_all(&self.resources, &fetcher, plan, fetched, &self.events, &frontier, arrived)
                .await?;
        let verified = match in_order {
            Some(mut in_order) => {
                let ended = (&mut in_order.0)
                    .await
                    .map_err(|error| Unfetched::Failed(Error::Internal(error.to_string())))?;
                ended.map_err(failed)?.finish()
            }
            None => proof.of(&pieces, head),
        };
        let verified = self.settled(verified, head).await.map_err(|detail| {
            Unfetched::Failed(Error::Corrupt { object: self.object.clone(), detail })
        })?;
        let modified = modified::of(head);
        let synced = blocking(move || {
            modified::set(&file, modified);
            file.sync_all()
        });
        synced.await?.map_err(failed)?;
        self.point_of_no_return();
        blocking(move || temporary.publish()).await?.map_err(failed)?;
        if let Some(journal) = self.journal().take() {
            journal.done();
        }
        Ok(self.report(size_bytes, verified))
    }

    /// Opens the journal, if one is requested, and returns the plan to use and the ranges of an
    /// earlier run.
    fn remember(
        &self,
        path: &Path,
        head: &ObjectHead,
        plan: PartPlan,
    ) -> Result<(PartPlan, HashMap<PartNumber, Checksum>), Error> {
        let Some(options) = &self.options.journal else { return Ok((plan, HashMap::new())) };
        let (journal, plan, recorded) = DownloadJournal::open(self, options, path, head, plan)?;
        *self.journal() = Some(journal);
        Ok((plan, recorded))
    }
}
