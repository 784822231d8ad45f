//! Continues an earlier run: compares the journal and ListParts with the current source.
//!
//! The plan and the UploadId come from the journal; the parts come from ListParts, all pages of it.
//! A part is used if journal and list agree on number, size and ETag (and checksum, if both have
//! one) and the source is still the same version. Parts that only the list has (the process was
//! killed between answer and record), and all parts if the source shows any difference, are
//! verified: the source is read again and compared with the checksum that the journal recorded or,
//! if there is none, with the store's values. A part that does not fit the plan never reaches
//! Complete: the upload is restarted.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::{StreamExt, stream};
use haul_parts::{Checksum, ChecksumAlgorithm, ChecksumType, PartNumber, PartPlan, PlannedPart};

use super::abort::abort_until_gone;
use super::complete::{self, Expected};
use super::context::Context;
use super::journal_handle::JournalHandle;
use super::layout::PartsLayout;
use super::part::{check_unchanged, unreadable};
use super::part_maker::EarlierPart;
use super::remembered::Remembered;
use crate::body::BufferPool;
use crate::body::Range;
use crate::error::Error;
use crate::event::Event;
use crate::journal::{Beginning, PartRecord};
use crate::proof::Proof;
use crate::remote::{ObjectHead, PartsPage, StoreError, StoreErrorKind, StoredPart, UploadRef};
use crate::source::Change;
use crate::source::SourceRecord;
use crate::transfer::lifecycle::Finding;
use crate::transfer::mover::SentPart;
use crate::transfer::upload::options::OnChange;

/// Number of parts compared at once: a comparison reads and hashes.
const COMPARED_AT_ONCE: usize = 4;

/// The state of an upload that continues.
pub(super) struct ResumedState {
    pub(super) layout: PartsLayout,
    pub(super) upload: UploadRef,
    pub(super) declared: Option<ChecksumType>,
    pub(super) token: String,
    pub(super) sent: Vec<Option<SentPart>>,
    pub(super) completion_possible: bool,
}

/// The decision about a recorded upload.
pub(super) enum Resumption {
    /// Begin a new upload. The reason is shown to the user; `None` if nothing had been sent.
    Restart(Option<String>),
    /// Continue the upload.
    GoOn(Box<ResumedState>),
    /// Report success: Complete had been carried out, and only its answer was lost.
    AlreadyDone(Box<ResumedState>, Box<ObjectHead>, Expected),
}

/// Decides what to do with a recorded upload. `wanted` is the layout that this run would choose.
pub(super) async fn reconcile(
    context: &Context,
    remembered: Option<Remembered>,
    wanted: &PartsLayout,
    journal: &mut JournalHandle,
) -> Result<Resumption, Error> {
    let Some(remembered) = remembered else { return Ok(Resumption::Restart(None)) };
    let Some(created) = &remembered.created else { return Ok(Resumption::Restart(None)) };
    let declared = remembered.declared();
    let upload = UploadRef { object: context.object.clone(), upload_id: created.upload_id.clone() };
    let change = change_since(context, &remembered.beginning);
    let before = remembered.beginning.source.clone();
    report_new_name(context, &before);
    let Some(layout) = PartsLayout::recorded(&remembered.beginning.plan, wanted) else {
        return restart(context, &upload, "the source is cut into other parts now").await;
    };
    let mut resumed = ResumedState {
        layout,
        upload,
        declared,
        token: remembered.beginning.token.clone(),
        sent: vec![],
        completion_possible: remembered.completing,
    };
    let listed = match list_all(context, &resumed.upload).await {
        Ok(listed) => listed.parts,
        Err(error) if error.kind == StoreErrorKind::NoSuchUpload => {
            return gone(context, resumed, remembered, change.is_some()).await;
        }
        Err(error) => return Err(Error::of_store(&context.object, error)),
    };
    let changed = change.is_some();
    let may_differ = context.options.on_change == OnChange::Resend;
    // A new name or other permissions do not make another version; only changed content does.
    let mut harmless = None;
    if let Some(change) = change {
        let source_name = context.source.name();
        if !may_differ && !matches!(change, Change::Inode) {
            return Err(Error::SourceChangedSince { source_name, change });
        }
        if let Change::Version(detail) = &change {
            // A comparison would require a download of the whole object.
            let reason = format!("{source_name} is another version now: {detail}");
            return restart(context, &resumed.upload, &reason).await;
        }
        let message =
            format!("{source_name}: since the upload was begun, {change}; every part is compared");
        context.events.send(Event::Warning { message });
        harmless = Some(change);
        let part_size = Some(resumed.layout.first_part_size_bytes());
        match PartPlan::new(context.source.size_bytes(), &context.options.limits(), part_size) {
            Ok(plan) => resumed.layout = PartsLayout::Planned(plan),
            Err(_) => {
                return restart(context, &resumed.upload, "the source no longer fits the parts")
                    .await;
            }
        }
    }
    let foreign = listed.iter().find(|part| resumed.layout.part(part.number).is_none());
    if let Some(part) = foreign {
        // Ceph RGW 16.2 requires every uploaded part in the list of Complete, so this part cannot
        // be left out.
        let reason =
            format!("part {} is at the store and does not belong to the plan", part.number);
        return restart(context, &resumed.upload, &reason).await;
    }
    let known = Known { parts: remembered.parts, of_this_version: !changed };
    let checksum = context.options.checksum;
    let (adopted, differing) = compare(context, &mut resumed, listed, &known, checksum).await?;
    if let Some(change) = harmless
        && !may_differ
        && !differing.is_empty()
    {
        return Err(Error::SourceChangedSince { source_name: context.source.name(), change });
    }
    if let Some(source) = context.source.identity() {
        if let PartsLayout::Planned(plan) = &resumed.layout
            && changed
        {
            journal.source_changed(source, *plan)?;
        } else if !source.is_same_place(&before) {
            journal.source_moved(source)?;
        }
    }
    for part in resumed.sent.iter().flatten() {
        if changed || !known.parts.contains_key(&part.number) {
            journal.part(context, part);
        }
    }
    announce(context, &resumed, adopted, differing);
    Ok(Resumption::GoOn(Box::new(resumed)))
}

/// Reports that the journal was found by the identity of the file, not by its path.
fn report_new_name(context: &Context, before: &SourceRecord) {
    if let Some(now) = context.source.identity()
        && !now.is_same_place(before)
        && now.is_same_version(before)
    {
        let message =
            format!("{} was {} when its upload was begun", context.source.name(), before.name());
        context.events.send(Event::Warning { message });
    }
}

/// Returns what changed since the journal was begun.
fn change_since(context: &Context, beginning: &Beginning) -> Option<Change> {
    let now = context.source.identity()?;
    beginning.source.change_to(&now)
}

/// Handles an upload that the store no longer knows: either we completed it, or it is gone.
async fn gone(
    context: &Context,
    mut resumed: ResumedState,
    remembered: Remembered,
    changed: bool,
) -> Result<Resumption, Error> {
    let expected = remembered.expected();
    let (finding, head) = if remembered.completing {
        complete::examine(context.store().as_ref(), &resumed.upload, &expected).await
    } else {
        // Complete may have been sent without a record: the record is missing if the journal's disk
        // was full.
        let head = context.store().head_object(&context.object).await;
        let ours = head.as_ref().is_ok_and(|head| expected.is(head));
        (if ours { Finding::Ours } else { Finding::NothingThere }, head)
    };
    match (finding, head) {
        (Finding::Ours, _) if changed => Ok(Resumption::Restart(Some(
            "the upload had been completed, but the source has changed since".into(),
        ))),
        (Finding::Ours, Ok(head)) => {
            resumed.sent = remembered.sent().into_iter().map(Some).collect();
            Ok(Resumption::AlreadyDone(Box::new(resumed), Box::new(head), expected))
        }
        (Finding::Unknown(_), head) => Err(Error::InDoubt {
            object: context.object.clone(),
            upload_id: resumed.upload.upload_id,
            source: Box::new(complete::unsettled(head)),
        }),
        _ if !remembered.completing => {
            let reason = "the store no longer has the upload: it was aborted or expired";
            Ok(Resumption::Restart(Some(reason.into())))
        }
        (Finding::NothingThere, _) => {
            Ok(Resumption::Restart(Some("the store has neither the upload nor the object".into())))
        }
        _ => Ok(Resumption::Restart(Some(
            "the store no longer has the upload, and the object is not ours".into(),
        ))),
    }
}

/// Removes an upload that cannot be continued. The upload is ours, because the journal names it.
async fn restart(context: &Context, upload: &UploadRef, reason: &str) -> Result<Resumption, Error> {
    let aborted =
        abort_until_gone(context.store().as_ref(), upload, context.options.abort_patience).await;
    aborted.map_err(|error| Error::of_store(&context.object, error))?;
    Ok(Resumption::Restart(Some(reason.into())))
}

/// Sends ListParts for all pages.
pub(super) async fn list_all(
    context: &Context,
    upload: &UploadRef,
) -> Result<PartsPage, StoreError> {
    let mut listed = PartsPage::default();
    let mut after = None;
    loop {
        let page =
            context.resources.retry.run(|| context.store().list_parts(upload, after)).await?;
        listed.parts.extend(page.parts);
        listed.checksum_type = listed.checksum_type.or(page.checksum_type);
        match page.next {
            // A marker that does not advance would make this loop endless.
            Some(next) if after.is_none_or(|after| after < next) => after = Some(next),
            _ => return Ok(listed),
        }
    }
}

/// The parts that a journal recorded.
#[derive(Default)]
pub(super) struct Known {
    pub(super) parts: BTreeMap<PartNumber, PartRecord>,
    /// Whether the source shows no difference since then. If it does, the checksums show which of
    /// its bytes are unchanged.
    pub(super) of_this_version: bool,
}

/// Adds the usable parts to the state; returns how many were read and match, and which differ from
/// the source.
pub(super) async fn compare(
    context: &Context,
    resumed: &mut ResumedState,
    listed: Vec<StoredPart>,
    known: &Known,
    checksum: Option<ChecksumAlgorithm>,
) -> Result<(u32, Vec<PartNumber>), Error> {
    let layout = resumed.layout.clone();
    resumed.sent = vec![None; layout.part_count() as usize];
    let mut doubtful = vec![];
    for stored in listed {
        let Some(planned) = layout.part(stored.number) else { continue };
        // Proof that is required now may be available from the store's list of parts.
        let enough =
            |record: &&PartRecord| record.proof != Proof::Unproven || !context.demands_proof();
        let recorded = known.parts.get(&stored.number);
        let recorded = recorded.filter(|record| agree(record, &stored, planned));
        if let Some(maker) = &context.maker {
            let fits = stored.size_bytes == planned.size_bytes;
            match maker.earlier(&stored, recorded) {
                EarlierPart::Read => {}
                EarlierPart::Keep if fits => {
                    let number = stored.number;
                    resumed.sent[number.index()] = Some(kept(stored, recorded));
                    continue;
                }
                EarlierPart::Keep | EarlierPart::Discard => continue,
            }
        }
        let recorded = recorded.filter(enough);
        match recorded {
            Some(record) if known.of_this_version => {
                resumed.sent[stored.number.index()] = Some(SentPart::from_record(record));
            }
            _ => doubtful.push((planned, stored, recorded.cloned())),
        }
    }
    let pool = context.resources.pool.clone();
    let mut compared = stream::iter(doubtful)
        .map(|(planned, stored, recorded)| {
            let pool = pool.clone();
            async move {
                let number = planned.number;
                let part = match recorded.filter(|record| record.checksum.is_some()) {
                    Some(record) => again(context, planned, record, &pool).await,
                    None => compare_part(context, planned, stored, checksum, &pool).await,
                };
                (number, part)
            }
        })
        .buffered(COMPARED_AT_ONCE);
    let (mut adopted, mut differing) = (0, vec![]);
    while let Some((number, part)) = compared.next().await {
        match part? {
            Some(part) => {
                adopted += 1;
                resumed.sent[number.index()] = Some(part);
            }
            None => differing.push(number),
        }
    }
    Ok((adopted, differing))
}

/// Returns a part for which the check before Complete is responsible.
fn kept(stored: StoredPart, recorded: Option<&PartRecord>) -> SentPart {
    let ours = recorded.and_then(|record| record.checksum);
    SentPart {
        number: stored.number,
        size_bytes: stored.size_bytes,
        attempt: 0,
        etag: stored.etag,
        checksum: ours.or(stored.checksum),
        proof: Proof::Unproven,
    }
}

/// Returns whether journal and list describe the same part.
fn agree(record: &PartRecord, stored: &StoredPart, planned: PlannedPart) -> bool {
    let same_checksum = match (&record.checksum, &stored.checksum) {
        (Some(ours), Some(theirs)) if ours.algorithm() == theirs.algorithm() => ours == theirs,
        _ => true,
    };
    record.etag == stored.etag
        && record.size_bytes == stored.size_bytes
        && stored.size_bytes == planned.size_bytes
        && same_checksum
}

/// Reads the source's bytes of a part and compares them with the checksum that was sent for it.
/// `None`: they differ.
async fn again(
    context: &Context,
    planned: PlannedPart,
    record: PartRecord,
    pool: &BufferPool,
) -> Result<Option<SentPart>, Error> {
    let algorithms: Vec<_> = record.checksum.iter().map(Checksum::algorithm).collect();
    let digests = digests(context, planned, &algorithms, pool).await?;
    let same = record.checksum.is_some_and(|checksum| digests.contains(&checksum));
    Ok(same.then(|| SentPart::from_record(&record)))
}

/// Hashes the source's bytes of a part; fails if the source is no longer the opened version (P4).
async fn digests(
    context: &Context,
    planned: PlannedPart,
    algorithms: &[ChecksumAlgorithm],
    pool: &BufferPool,
) -> Result<Vec<Checksum>, Error> {
    let range = Range {
        source: Arc::clone(&context.source),
        offset_bytes: planned.offset_bytes,
        size_bytes: planned.size_bytes,
    };
    let digests = crate::body::digest(range, pool, algorithms).await;
    let digests = digests.map_err(|error| unreadable(context.source.as_ref(), error))?;
    check_unchanged(context.source.as_ref())?;
    Ok(digests)
}

/// Reads the source's bytes of a part and compares them with the store's values. `None`: they
/// differ, or the store has no evidence that they are equal.
pub(super) async fn compare_part(
    context: &Context,
    planned: PlannedPart,
    stored: StoredPart,
    checksum: Option<ChecksumAlgorithm>,
    pool: &BufferPool,
) -> Result<Option<SentPart>, Error> {
    if stored.size_bytes != planned.size_bytes {
        return Ok(None);
    }
    let Some((algorithm, proof)) = stored
        .checksum
        .map(|checksum| (checksum.algorithm(), Proof::Checksum))
        .or_else(|| stored.etag.as_md5().map(|_| (ChecksumAlgorithm::Md5, Proof::Md5)))
    else {
        return Ok(None);
    };
    // Our own checksum is needed too, for the list of Complete and for the object's checksum.
    let algorithms: Vec<_> = std::iter::once(algorithm).chain(checksum).collect();
    let digests = digests(context, planned, &algorithms, pool).await?;
    let find = |wanted| digests.iter().find(|digest| digest.algorithm() == wanted).copied();
    let same = match stored.checksum {
        Some(stored) => find(algorithm) == Some(stored),
        None => find(algorithm).and_then(|md5| md5.as_md5()) == stored.etag.as_md5(),
    };
    Ok(same.then(|| SentPart {
        number: planned.number,
        size_bytes: planned.size_bytes,
        attempt: 0,
        etag: stored.etag,
        checksum: checksum.and_then(find),
        proof,
    }))
}

pub(super) fn announce(
    context: &Context,
    resumed: &ResumedState,
    adopted_parts: u32,
    differing_parts: Vec<PartNumber>,
) {
    let arrived = resumed.sent.iter().flatten();
    let arrived_bytes = arrived.clone().map(|part| part.size_bytes).sum();
    let arrived_parts = u32::try_from(arrived.count()).unwrap_or(u32::MAX);
    context.progress.set_arrived(arrived_bytes);
    context.events.send(Event::Resumed {
        upload_id: resumed.upload.upload_id.clone(),
        size_bytes: resumed.layout.size_bytes(),
        arrived_bytes,
        arrived_parts,
        adopted_parts,
        differing_parts,
    });
}
