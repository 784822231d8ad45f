//! Resumes without a journal: finds an unfinished upload of the key at the store whose parts have
//! the source's content.
//!
//! The upload may belong to another machine or another tool, or may be our own after the journal
//! was lost; either way each part has to be proven. The sizes of the parts suggest a plan, and the
//! source is read and compared with the checksum or the MD5 that ListParts gives for each part. An
//! upload with more differing than proven bytes is never touched, nor is an upload that another
//! process of this machine works on. If another journal records the adopted upload, that journal is
//! given up. An adopted upload keeps what its Create fixed: plan, checksum, attributes.

use std::collections::BTreeSet;
use std::time::Duration;

use haul_parts::layout::plans_of_layout;
use haul_parts::{ChecksumAlgorithm, ChecksumType, PartPlan, UploadId};

use super::abort::abort_until_gone;
use super::complete::own_type;
use super::context::Context;
use super::journal_handle::JournalHandle;
use super::layout::PartsLayout;
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

/// Maximum number of uploads of one key that are examined: if there are more, they are abandoned
/// rather than active.
const CANDIDATES_MAX: usize = 100;

/// Number of parts that are compared before all parts of an upload are: enough to detect another
/// file at low cost.
const SAMPLES: usize = 3;

/// Time-out of requests that only serve a report; they must not delay the upload.
const TELL_PATIENCE: Duration = Duration::from_secs(5);

/// An upload with parts, and the plan that it may follow.
struct Candidate {
    upload: UploadRef,
    plan: PartPlan,
    parts: Vec<StoredPart>,
    /// The checksum that was declared at Create; `None` if the store lists none.
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

/// Continues the upload at the store that has most of the source, if it has more than `ours`, which
/// is then removed.
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
        // Our own upload continues instead: the others had less of the source, or other content.
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
    // From here on the upload is treated as our own; the only difference is that the token by which
    // we recognise the object may be missing.
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

/// Reports unfinished uploads of the key. Errors here do not affect the upload.
pub(super) async fn report_unfinished(context: &Context) {
    let once = RetryPolicy { attempts_max: 1, ..context.resources.retry.clone() };
    let uploads = uploads_of_key(context.store().as_ref(), &context.object, &once);
    let Ok(Ok(mut uploads)) = tokio::time::timeout(TELL_PATIENCE, uploads).await else { return };
    // Uploads recorded by other journals are reported separately.
    let remembered =
        remembered_here(context.options.journal.as_ref().map(|journal| &journal.folder));
    uploads.retain(|upload| !remembered.contains(&upload.upload_id));
    if !uploads.is_empty() {
        let initiated = uploads.iter().filter_map(|upload| upload.initiated).max();
        context.events.send(Event::UnfinishedFound { count: uploads.len(), initiated });
    }
}

/// Lists the unfinished uploads of the key. The store also lists longer keys that begin with it;
/// these are skipped.
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
        // Ceph RGW 16.2 lists `a-b` before `a`, so a greater key does not end the list.
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

/// Filters out the uploads that another process of this machine works on, and `ours`, against which
/// the rest is compared. Also returns how many belong to other processes.
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

/// Locks the journal that records an upload, if there is one. `None`: another process holds it.
fn take_over(context: &Context, upload: &UploadRef) -> Option<Option<(Journal, Remembered)>> {
    let folder = context.options.journal.as_ref().map(|journal| &journal.folder);
    let journals = folder.and_then(|folder| folder.list().ok()).unwrap_or_default();
    let journal =
        journals.into_iter().find(|journal| journal.upload_id.as_ref() == Some(&upload.upload_id));
    let (Some(folder), Some(journal)) = (folder, journal) else { return Some(None) };
    let opened = folder.open_existing(&journal.id).ok()??;
    Some(Some((opened.journal, Remembered::fold(opened.records)?)))
}

/// Returns the uploads that journals of this machine record.
pub(super) fn remembered_here(folder: Option<&JournalFolder>) -> BTreeSet<UploadId> {
    let journals = folder.and_then(|folder| folder.list().ok());
    journals.into_iter().flatten().filter_map(|journal| journal.upload_id).collect()
}

/// Returns the uploads whose parts fit a plan for the source; the upload with most bytes is first.
async fn candidates(
    context: &Context,
    uploads: Vec<UploadSummary>,
) -> Result<Vec<Candidate>, StoreError> {
    let mut candidates = vec![];
    for summary in uploads {
        let upload = UploadRef { object: context.object.clone(), upload_id: summary.upload_id };
        let listed = match list_all(context, &upload).await {
            Ok(listed) => listed,
            // Its owner has completed or aborted it meanwhile.
            Err(error) if error.kind == StoreErrorKind::NoSuchUpload => continue,
            Err(error) => return Err(error),
        };
        let layout: Vec<_> =
            listed.parts.iter().map(|part| (part.number, part.size_bytes)).collect();
        let size_bytes = context.source.size_bytes();
        for plan in plans_of_layout(size_bytes, &context.options.limits(), &layout) {
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

/// Returns the checksum that was declared at Create. It is derived from the checksums of the parts,
/// because only few stores name it in ListParts.
fn declared(listed: &PartsPage) -> Option<(ChecksumAlgorithm, ChecksumType)> {
    let algorithm = listed.parts.iter().find_map(|part| part.checksum)?.algorithm();
    let of_old = match algorithm {
        // Composite was the only type before there were types, and is still the default without an
        // explicit type (S3 API, CreateMultipartUpload).
        ChecksumAlgorithm::Crc32 | ChecksumAlgorithm::Crc32c => ChecksumType::Composite,
        other => own_type(other),
    };
    Some((algorithm, listed.checksum_type.unwrap_or(of_old)))
}

/// Returns the candidate with the most proven bytes, if it has more than `least_bytes`.
async fn best(
    context: &Context,
    candidates: Vec<Candidate>,
    least_bytes: u64,
) -> Result<Option<Compared>, Error> {
    let mut best: Option<Compared> = None;
    for candidate in candidates {
        let beaten = best.as_ref().map_or(least_bytes, |best| best.proven_bytes);
        // Candidates are sorted in descending order of the bytes that can be proven at most.
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

/// Returns whether at least one of a few sampled parts has the source's content.
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

/// Reads and compares the content of all parts; `None` if more bytes differ than are proven.
async fn compare_all(context: &Context, candidate: Candidate) -> Result<Option<Compared>, Error> {
    let Candidate { upload, plan, parts, declared, listed_bytes } = candidate;
    // An upload without a declared algorithm may refuse every checksum except Content-MD5.
    let checksum = declared.map_or(Some(ChecksumAlgorithm::Md5), |(algorithm, _)| Some(algorithm));
    let mut resumed = ResumedState {
        layout: PartsLayout::Planned(plan),
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
