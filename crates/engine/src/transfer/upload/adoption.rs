//! Resume with no journal: an unfinished upload of the key, found at the store, whose parts are the
//! source's.
//!
//! Another machine's, another tool's, or our own after the journal was lost. Which one it is
//! decides the proof and nothing else: part sizes suggest a plan, and the source is read and
//! compared with the checksum or the MD5 that ListParts gives for each part. An upload of which
//! less is proven than differs is never touched, and neither is one that another process of this
//! machine works on; one that another journal remembers gives that journal up. What is adopted
//! keeps what was bound at its Create: plan, checksum, attributes.

use std::collections::BTreeSet;
use std::time::Duration;

use haul_parts::layout::plans_of_layout;
use haul_parts::{ChecksumAlgorithm, ChecksumType, PartPlan, UploadId};

use super::abort::abort_until_gone;
use super::complete::own_type;
use super::context::Context;
use super::journal_handle::JournalHandle;
use super::layout::Layout;
use super::remembered::Remembered;
use super::resume::{self, Known, ResumedState, Resumption, announce, compare, list_all};
use super::start::write_beginning;
use crate::error::Error;
use crate::event::Event;
use crate::journal::{Journal, JournalFolder};
use crate::pace::RetryPolicy;
use crate::remote::{
    ObjectRef, Operation, PageGuard, PartsPage, Store, StoreError, StoreErrorKind, StoredPart,
    UploadMarker, UploadRef, UploadSummary,
};

/// Uploads of one key that are looked at; a key that has more is not being uploaded, it is being
/// forgotten.
const CANDIDATES_MAX: usize = 100;

/// Parts compared before the rest of an upload is: enough to tell another file, and cheap.
const SAMPLES: usize = 3;

/// A request that only serves to tell may not hold anybody up.
const TELL_PATIENCE: Duration = Duration::from_secs(5);

/// An upload with parts, and the plan it may follow.
struct Candidate {
    upload: UploadRef,
    plan: PartPlan,
    parts: Vec<StoredPart>,
    /// That was declared at its Create; none where the store lists none.
    declared: Option<(ChecksumAlgorithm, ChecksumType)>,
    listed_bytes: u64,
}

/// A candidate whose parts were compared with the source.
struct Compared {
    resumed: ResumedState,
    checksum: Option<ChecksumAlgorithm>,
    proven_bytes: u64,
    adopted_parts: u32,
    differing_parts: Vec<haul_parts::PartNumber>,
}

/// Goes on with the upload at the store that has most of the source: more than `ours`, which is
/// removed then.
pub(super) async fn adopt_best(
    context: &mut Context,
    journal: &mut JournalHandle,
    ours: Option<&ResumedState>,
) -> Result<Option<Resumption>, Error> {
    let failed = |error| Error::of_store(&context.object, error);
    let uploads =
        uploads_of_key(context.store().as_ref(), &context.object, &context.resources.retry)
            .await
            .map_err(failed)?;
    let (uploads, held) = free(context, uploads, ours);
    let seen = uploads.len();
    let candidates = candidates(context, uploads).await.map_err(failed)?;
    let ours_bytes =
        ours.map_or(0, |ours| ours.sent.iter().flatten().map(|part| part.size_bytes).sum());
    let Some(best) = best(context, candidates, ours_bytes).await? else {
        // Ours goes on instead: the others had less, or something else.
        if ours.is_some() {
            return Ok(None);
        }
        let message = match (seen, held) {
            (0, 0) => format!("{}: no unfinished upload to adopt is at the store", context.object),
            (0, _) => {
                format!(
                    "{}: another process works on the unfinished upload at the store",
                    context.object
                )
            }
            _ => format!(
                "{}: {seen} unfinished at the store, none proven to be of this source",
                context.object
            ),
        };
        context.events.send(Event::Warning { message });
        return Ok(None);
    };
    let Some(earlier) = take_over(context, &best.resumed.upload) else {
        let message =
            format!("{}: another process has just taken the unfinished upload up", context.object);
        context.events.send(Event::Warning { message });
        return Ok(None);
    };
    if let Some(ours) = ours {
        abort_until_gone(context.store().as_ref(), &ours.upload, context.options.abort_patience)
            .await
            .map_err(failed)?;
    }
    let Compared { mut resumed, checksum, adopted_parts, differing_parts, .. } = best;
    // From here on as if we had begun it ourselves; only the token that recognises the object may
    // be missing.
    context.options.checksum = checksum;
    if let Some((_, remembered)) = &earlier {
        remembered.bind(&mut context.options);
        resumed.declared = remembered.declared();
        resumed.token.clone_from(&remembered.beginning.token);
        resumed.completion_possible = remembered.completing;
    }
    write_beginning(context, journal, resumed.layout.record(), &resumed.token, &[])?;
    journal.created(&resumed.upload, resumed.declared)?;
    for part in resumed.sent.iter().flatten() {
        journal.part(context, part);
    }
    if resumed.completion_possible {
        journal.completing()?;
    }
    if let Some((journal, _)) = earlier {
        journal.remove()?;
    }
    announce(context, &resumed, adopted_parts, differing_parts);
    Ok(Some(Resumption::GoOn(Box::new(resumed))))
}

/// Says that there are unfinished uploads of the key. Whatever goes wrong here is no business of
/// the upload.
pub(super) async fn report_unfinished(context: &Context) {
    let once = RetryPolicy { attempts_max: 1, ..context.resources.retry.clone() };
    let uploads = uploads_of_key(context.store().as_ref(), &context.object, &once);
    let Ok(Ok(mut uploads)) = tokio::time::timeout(TELL_PATIENCE, uploads).await else { return };
    // Those of other journals are reported as such.
    let remembered =
        remembered_here(context.options.journal.as_ref().map(|journal| &journal.folder));
    uploads.retain(|upload| !remembered.contains(&upload.upload_id));
    if !uploads.is_empty() {
        let initiated = uploads.iter().filter_map(|upload| upload.initiated).max();
        context.events.send(Event::UnfinishedFound { count: uploads.len(), initiated });
    }
}

/// The key's unfinished uploads. Keys that only begin like it are listed too, and skipped.
pub(super) async fn uploads_of_key(
    store: &dyn Store,
    object: &ObjectRef,
    retry: &RetryPolicy,
) -> Result<Vec<UploadSummary>, StoreError> {
    let key = object.key.as_str();
    let mut found = vec![];
    let mut after: Option<UploadMarker> = None;
    let mut guard = PageGuard::new(Operation::ListMultipartUploads);
    loop {
        let list = || store.list_multipart_uploads(&object.bucket, key, after.as_ref());
        let page = retry.run(list).await?;
        let first =
            page.uploads.first().map(|upload| format!("{} {}", upload.key, upload.upload_id));
        // The pages of Ceph RGW 16.2 have `a-b` before `a`, so a greater key is no reason to stop.
        found.extend(page.uploads.into_iter().filter(|upload| upload.key == key));
        match page.next {
            Some(next) if found.len() < CANDIDATES_MAX => {
                guard.advance(first.as_deref(), &format!("{next:?}"))?;
                after = Some(next);
            }
            _ => break,
        }
    }
    found.truncate(CANDIDATES_MAX);
    Ok(found)
}

/// Without those that another process of this machine works on, and without `ours`, with which they
/// are to be compared. Gives how many other processes have, too.
fn free(
    context: &Context,
    mut uploads: Vec<UploadSummary>,
    ours: Option<&ResumedState>,
) -> (Vec<UploadSummary>, usize) {
    let journals = context.options.journal.as_ref().and_then(|journal| journal.folder.list().ok());
    let running = journals.into_iter().flatten().filter(|journal| journal.running);
    let ours = ours.map(|ours| &ours.upload.upload_id);
    let running: BTreeSet<_> =
        running.filter_map(|journal| journal.upload_id).filter(|id| Some(id) != ours).collect();
    uploads.retain(|upload| Some(&upload.upload_id) != ours);
    let all = uploads.len();
    uploads.retain(|upload| !running.contains(&upload.upload_id));
    let held = all - uploads.len();
    (uploads, held)
}

/// The journal that remembers an upload, locked, if one does. `None`: another process was quicker.
fn take_over(context: &Context, upload: &UploadRef) -> Option<Option<(Journal, Remembered)>> {
    let folder = context.options.journal.as_ref().map(|journal| &journal.folder);
    let journals = folder.and_then(|folder| folder.list().ok()).unwrap_or_default();
    let journal =
        journals.into_iter().find(|journal| journal.upload_id.as_ref() == Some(&upload.upload_id));
    let (Some(folder), Some(journal)) = (folder, journal) else { return Some(None) };
    let opened = folder.open_existing(&journal.id).ok()??;
    Some(Some((opened.journal, Remembered::fold(opened.records)?)))
}

/// The uploads that journals of this machine remember.
pub(super) fn remembered_here(folder: Option<&JournalFolder>) -> BTreeSet<UploadId> {
    let journals = folder.and_then(|folder| folder.list().ok());
    journals.into_iter().flatten().filter_map(|journal| journal.upload_id).collect()
}

/// Those whose parts fit a plan for the source, the one with most bytes first.
async fn candidates(
    context: &Context,
    uploads: Vec<UploadSummary>,
) -> Result<Vec<Candidate>, StoreError> {
    let mut candidates = vec![];
    for summary in uploads {
        let upload = UploadRef { object: context.object.clone(), upload_id: summary.upload_id };
        let listed = match list_all(context, &upload).await {
            Ok(listed) => listed,
            // Completed or aborted meanwhile, by whoever owns it.
            Err(error) if error.kind == StoreErrorKind::NoSuchUpload => continue,
            Err(error) => return Err(error),
        };
        let layout: Vec<_> =
            listed.parts.iter().map(|part| (part.number, part.size_bytes)).collect();
        let size_bytes = context.source.size_bytes();
        for plan in plans_of_layout(size_bytes, &context.options.limits, &layout) {
            candidates.push(Candidate {
                upload: upload.clone(),
                plan,
                declared: declared(&listed),
                listed_bytes: layout.iter().map(|(_, size_bytes)| size_bytes).sum(),
                parts: listed.parts.clone(),
            });
        }
    }
    candidates.sort_by_key(|candidate| std::cmp::Reverse(candidate.listed_bytes));
    Ok(candidates)
}

/// What was declared at Create: seen by the checksums of the parts, for ListParts of few stores
/// names it.
fn declared(listed: &PartsPage) -> Option<(ChecksumAlgorithm, ChecksumType)> {
    let algorithm = listed.parts.iter().find_map(|part| part.checksum)?.algorithm();
    let of_old = match algorithm {
        // Before there were types, and still where nobody asks for one (S3 API,
        // CreateMultipartUpload).
        ChecksumAlgorithm::Crc32 | ChecksumAlgorithm::Crc32c => ChecksumType::Composite,
        other => own_type(other),
    };
    Some((algorithm, listed.checksum_type.unwrap_or(of_old)))
}

/// The candidate with most proven bytes, more than `least_bytes`.
async fn best(
    context: &Context,
    candidates: Vec<Candidate>,
    least_bytes: u64,
) -> Result<Option<Compared>, Error> {
    let mut best: Option<Compared> = None;
    for candidate in candidates {
        let beaten = best.as_ref().map_or(least_bytes, |best| best.proven_bytes);
        // They come in the order of what they can have at most.
        if candidate.listed_bytes <= beaten {
            break;
        }
        if !looks_alike(context, &candidate).await? {
            continue;
        }
        let compared = compare_all(context, candidate).await?;
        best = compared.filter(|compared| compared.proven_bytes > beaten).or(best);
    }
    Ok(best)
}

/// One of a few parts is the source's.
async fn looks_alike(context: &Context, candidate: &Candidate) -> Result<bool, Error> {
    let pool = context.resources.pool.clone();
    let count = candidate.parts.len();
    let places: BTreeSet<_> =
        (0..SAMPLES).map(|sample| sample * (count - 1) / (SAMPLES - 1)).collect();
    for place in places {
        let stored = candidate.parts[place].clone();
        let Some(planned) = candidate.plan.part(stored.number) else { continue };
        if resume::compare_part(context, planned, stored, None, &pool).await?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Reads what the parts should hold. `None`: more of it differs than is proven.
async fn compare_all(context: &Context, candidate: Candidate) -> Result<Option<Compared>, Error> {
    let Candidate { upload, plan, parts, declared, listed_bytes } = candidate;
    // An upload for which no algorithm was declared may refuse every checksum but Content-MD5.
    let checksum = declared.map_or(Some(ChecksumAlgorithm::Md5), |(algorithm, _)| Some(algorithm));
    let mut resumed = ResumedState {
        layout: Layout::Planned(plan),
        upload,
        declared: declared.map(|(_, kind)| kind),
        token: String::new(),
        sent: vec![],
        completion_possible: false,
    };
    let known = Known::default();
    let (adopted_parts, differing_parts) =
        compare(context, &mut resumed, parts, &known, checksum).await?;
    let proven_bytes = resumed.sent.iter().flatten().map(|part| part.size_bytes).sum();
    let enough = proven_bytes > listed_bytes - proven_bytes;
    Ok(enough.then_some(Compared {
        resumed,
        checksum,
        proven_bytes,
        adopted_parts,
        differing_parts,
    }))
}
