//! Prepares the start of a run: with a new upload, or with the upload that an earlier run left.

use haul_parts::{ChecksumAlgorithm, ChecksumType, ETag, PlannedPart};
use rand::Rng;

use super::UploadOptions;
use super::at_store::warn_of_condition;
use super::complete::{TOKEN_METADATA, own_type};
use super::context::Context;
use super::journal_handle::{JournalHandle, store_name};
use super::layout::PartsLayout;
use super::lost_create::LostCreates;
use super::resume::ResumedState;
use super::stream::{EarlierStream, ReadAhead};
use crate::error::Error;
use crate::event::Event;
use crate::journal::{Beginning, RecordedPlan};
use crate::remote::{
    CreateRequest, ObjectRef, Operation, Store, StoreError, StoreErrorKind, UploadRef,
};
use crate::transfer::mover::SentPart;
use crate::transfer::pieces::Pieces;

/// The maximum number of unanswered attempts that a journal records: the most recent ones.
const UNANSWERED_MAX: usize = 8;

/// The initial state of the driver.
pub(super) struct Start {
    pub(super) layout: PartsLayout,
    pub(super) token: String,
    pub(super) earlier: Option<KnownUpload>,
    /// The stream of an upload whose parts are read while others are sent.
    pub(super) stream: Option<ReadAhead>,
    /// Attempts to create the upload that may have left uploads at the store.
    pub(super) creates: LostCreates,
}

/// The upload that an earlier run left.
pub(super) struct KnownUpload {
    pub(super) upload: UploadRef,
    pub(super) declared: Option<ChecksumType>,
    pub(super) sent: Vec<Option<SentPart>>,
    pub(super) completion_possible: bool,
}

impl Start {
    pub(super) fn fresh(layout: PartsLayout, creates: LostCreates) -> Self {
        Self { layout, token: new_token(), earlier: None, stream: None, creates }
    }

    /// Starts with a stream of which these parts have been read.
    pub(super) fn of_stream(
        stream: ReadAhead,
        parts: Vec<PlannedPart>,
        earlier: Option<EarlierStream>,
        creates: LostCreates,
    ) -> Self {
        let sent = vec![None; parts.len()];
        let (token, earlier) = match earlier {
            Some(EarlierStream { token, upload, declared }) => {
                let completion_possible = false;
                (token, Some(KnownUpload { upload, declared, sent, completion_possible }))
            }
            None => (new_token(), None),
        };
        Self { layout: PartsLayout::Read(parts), token, earlier, stream: Some(stream), creates }
    }

    pub(super) fn resumed(resumed: ResumedState, creates: LostCreates) -> Self {
        let ResumedState { layout, upload, declared, token, sent, completion_possible } = resumed;
        let earlier = Some(KnownUpload { upload, declared, sent, completion_possible });
        Self { layout, token, earlier, stream: None, creates }
    }

    /// Returns the event that reports the start.
    pub(super) fn event(&self, context: &Context) -> Event {
        let (source, target) = (context.source.name(), context.object.to_string());
        match &self.layout {
            PartsLayout::Read(_) => Event::StreamStarted {
                source,
                target,
                size_bytes: context.progress.size_bytes(),
                part_size_bytes: self.stream.as_ref().map_or(0, ReadAhead::first_part_size_bytes),
            },
            layout => Event::Started {
                source,
                target,
                size_bytes: layout.size_bytes(),
                part_size_bytes: layout.first_part_size_bytes(),
                part_count: layout.part_count(),
                multipart: true,
            },
        }
    }

    /// Returns all parts of a file or, for a stream, those that have been read.
    pub(super) fn pieces(&self, concurrency: u32) -> Pieces {
        let count = self.layout.part_count();
        let Some(stream) = &self.stream else { return Pieces::new(count, concurrency) };
        let mut pieces = Pieces::growing(concurrency);
        (0..count).for_each(|_| pieces.add());
        if stream.has_ended() {
            pieces.close();
        }
        pieces
    }

    /// Writes the journal's first record, unless an earlier upload is continued.
    pub(super) fn remember(
        &self,
        context: &Context,
        journal: &mut JournalHandle,
    ) -> Result<(), Error> {
        if self.earlier.is_some() {
            return Ok(());
        }
        let plan = match &self.stream {
            Some(stream) => stream.plan().map(RecordedPlan::Growing),
            None => self.layout.record(),
        };
        write_beginning(context, journal, plan, &self.token, self.creates.earlier())
    }
}

fn new_token() -> String {
    format!("{:032x}", rand::rng().random::<u128>())
}

/// Writes the journal's first record, if there is a journal.
pub(super) fn write_beginning(
    context: &Context,
    journal: &mut JournalHandle,
    plan: Option<RecordedPlan>,
    token: &str,
    unanswered: &[i64],
) -> Result<(), Error> {
    let (Some(source), Some(plan)) = (context.source.identity(), plan) else {
        return Ok(());
    };
    let connection = context.options.journal.as_ref().map(|journal| journal.connection.clone());
    journal.begin(Beginning {
        source,
        object: context.object.clone(),
        store: store_name(context),
        plan,
        part_size_bytes: context.options.part_size_bytes,
        checksum: context.options.checksum,
        attributes: context.options.attributes.clone(),
        if_none_match: context.options.if_none_match,
        if_match: context.options.if_match.clone(),
        require_proof: context.options.require_proof,
        token: token.to_owned(),
        connection: connection.unwrap_or_default(),
        begun_at: jiff::Timestamp::now().as_second(),
        unanswered: unanswered[unanswered.len().saturating_sub(UNANSWERED_MAX)..].to_vec(),
    })
}

/// Checks the condition early: if it does not hold now, it is unlikely to hold at the end, and the
/// failure is better reported before terabytes are sent. Only the check at Complete is binding, so
/// other errors of this request are ignored. Warns if the store does not hold the condition.
pub(super) async fn check_condition(context: &Context) -> Result<(), Error> {
    let profile = context.store().profile();
    let support = context.options.condition_on_complete(&profile);
    warn_of_condition(support, &profile, &context.events);
    check_condition_now(context).await
}

/// Checks the condition without a warning: before the write, at a store that does not hold it.
pub(super) async fn check_condition_now(context: &Context) -> Result<(), Error> {
    let UploadOptions { if_none_match, if_match, .. } = &context.options;
    let condition = (*if_none_match, if_match.as_ref());
    check_condition_of(context.store().as_ref(), &context.object, condition).await
}

/// Checks the condition of a write of `object`: `If-None-Match: *`, and the version of `If-Match`.
pub(crate) async fn check_condition_of(
    store: &dyn Store,
    object: &ObjectRef,
    (if_none_match, if_match): (bool, Option<&ETag>),
) -> Result<(), Error> {
    if !if_none_match && if_match.is_none() {
        return Ok(());
    }
    let message = match (store.head_object(object).await, if_match) {
        (Ok(_), None) => "the object exists",
        (Ok(head), Some(wanted)) if head.etag != *wanted => "the object is another version",
        (Err(error), Some(_)) if error.kind == StoreErrorKind::NoSuchKey => {
            "the object does not exist"
        }
        _ => return Ok(()),
    };
    let error =
        StoreError::local(Operation::HeadObject, StoreErrorKind::PreconditionFailed, message);
    Err(Error::of_store(object, error))
}

/// Builds CreateMultipartUpload, with our token in the object's metadata.
pub(super) fn create_request(context: &Context, token: &str) -> CreateRequest {
    let options = &context.options;
    let mut attributes = options.attributes.clone();
    attributes.metadata.insert(TOKEN_METADATA.into(), token.to_owned());
    // Content-MD5 is not declared, because it applies to single requests and not to the object.
    let declarable = options.checksum.filter(|algorithm| *algorithm != ChecksumAlgorithm::Md5);
    let checksum = declarable.map(|algorithm| (algorithm, own_type(algorithm)));
    CreateRequest { attributes, checksum }
}
