//! Copies an object with CopyObject, which is atomic by itself.
//!
//! CopyObject cannot be undone. If the answer to a request is lost or not awaited, the request may
//! have replaced the target or may still replace it, so the target is queried (P6). A copy that
//! replaces metadata carries our token, which identifies it; any other copy counts as ours if it
//! equals the source and was written after our request. If the query does not settle the outcome,
//! the error reports that the outcome is in doubt.

use std::time::Duration;

use jiff::Timestamp;

use super::compare::Trust;
use super::{
    Context, CopyMethod, CopyProof, CopyReport, SourceObject, TOKEN_METADATA, cancelled, compare,
};
use crate::error::Error;
use crate::event::Event;
use crate::pace::{FailedAttempt, Pass, Success};
use crate::proof::ProofCount;
use crate::remote::{
    CopyRequest, ObjectHead, Operation, StoreError, StoreErrorKind as Kind, Support, UploadedPart,
};
use crate::transfer::upload::{check_condition_of, warn_of_condition};
use crate::transfer::{StopRequest, StopSignal};

/// Copies the source in one request.
pub(super) async fn copy(
    context: &Context,
    origin: &SourceObject,
    mut stop: StopSignal,
) -> Result<CopyReport, Error> {
    let condition = check_condition(context).await?;
    let size_bytes = origin.head().size_bytes;
    context.events.send(Event::Started {
        source: origin.name(),
        target: context.target.to_string(),
        size_bytes,
        part_size_bytes: size_bytes,
        part_count: 1,
        multipart: false,
    });
    let pass = tokio::select! {
        pass = context.resources.gate.enter() => pass,
        _ = stop.stronger() => return Err(cancelled(context)),
    };
    let token = context.replaces_attributes().then(|| format!("{:032x}", rand::random::<u128>()));
    let began = context.resources.store.now();
    let outcome = Outcome::Known;
    Copying { context, origin, pass, condition, token, began, outcome }.run(&mut stop).await
}

/// Checks the condition of the copy if the store does not hold it; returns the store's support.
async fn check_condition(context: &Context) -> Result<Support, Error> {
    let Context { options, resources, target, events, .. } = context;
    let profile = resources.store.profile();
    let support = profile.on_put.of(options.if_none_match, options.if_match.is_some());
    if support.is_missing() {
        warn_of_condition(support, &profile, events);
        let condition = (options.if_none_match, options.if_match.as_ref());
        check_condition_of(resources.store.as_ref(), target, condition).await?;
    }
    Ok(support)
}

/// The combined outcome of the attempts so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    /// No attempt was carried out.
    Known,
    /// The store has finished every attempt; the target shows the result.
    Visible,
    /// At least one attempt has no answer: it may still be carried out at any time.
    Open,
}

/// The state of the target.
enum Landed {
    Ours(Box<ObjectHead>),
    /// The copy was not carried out and cannot be any more: its condition does not hold.
    Never,
    /// The copy has not been carried out so far, or the store did not answer the query.
    Unsettled(Box<StoreError>),
}

struct Copying<'a> {
    context: &'a Context,
    origin: &'a SourceObject,
    pass: Pass,
    /// The store's support for the condition on the target.
    condition: Support,
    /// The token in the copy's metadata; `None`: the copy keeps the metadata of the source.
    token: Option<String>,
    began: Timestamp,
    outcome: Outcome,
}

impl Copying<'_> {
    /// Repeats the request until an attempt succeeds or no further one is allowed.
    async fn run(mut self, stop: &mut StopSignal) -> Result<CopyReport, Error> {
        let store = &self.context.resources.store;
        for attempt in 1.. {
            let request = self.request();
            let mut copying = store.copy_object(&self.context.target, &request);
            let (answer, stopped) = tokio::select! {
                answer = &mut copying => (Some(answer), false),
                request = stop.stronger() => (self.last_answer(copying, request, stop).await, true),
            };
            let error = match answer {
                Some(Ok(copied)) => {
                    self.pass.succeeded(Success::Stream);
                    self.context.resources.budget.earn();
                    return self.copied(copied).await;
                }
                Some(Err(error)) => error,
                None => {
                    self.outcome = Outcome::Open;
                    return self.settle(cancelled(self.context)).await;
                }
            };
            self.outcome = self.outcome.max(outcome_of(&error));
            if stopped {
                return self.settle(cancelled(self.context)).await;
            }
            if matches!(error.kind, Kind::PreconditionFailed | Kind::NoSuchKey)
                && let Err(changed) = self.origin.check_unchanged().await
            {
                return self.settle(changed).await;
            }
            if error.kind == Kind::PreconditionFailed
                && !self.is_conditional()
                && self.origin.stop_naming_the_etag()
            {
                continue;
            }
            // Query the target before another 5 GiB are copied.
            if error.outcome_unknown
                && let Landed::Ours(head) = self.look().await
            {
                return self.found(*head);
            }
            let failure = FailedAttempt::from(&error);
            if failure.throttled {
                self.pass.throttled();
            }
            let resources = &self.context.resources;
            let wait = resources.retry.wait(attempt, &failure, &mut rand::rng());
            let Some(wait) = wait.filter(|_| resources.budget.pay()) else {
                return self.settle(self.failed(attempt, error)).await;
            };
            let reason = error.to_string();
            self.context.events.send(Event::Retrying { part_number: None, attempt, wait, reason });
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                _ = stop.stronger() => return self.settle(cancelled(self.context)).await,
            }
            self.pass.restart();
        }
        unreachable!("the loop ends only by returning")
    }

    /// Returns whether the request has a condition on the target too.
    fn is_conditional(&self) -> bool {
        self.context.options.if_none_match || self.context.options.if_match.is_some()
    }

    fn request(&self) -> CopyRequest {
        let Context { options, .. } = self.context;
        let attributes = self.token.as_ref().map(|token| {
            // CopyObject keeps the tags unless the request sets others.
            let mut attributes = self.context.carried(self.origin, &options.attributes.tags);
            attributes.metadata.insert(TOKEN_METADATA.to_owned(), token.clone());
            attributes
        });
        let sends_condition = self.condition != Support::No;
        CopyRequest {
            source: self.origin.object.clone(),
            source_if_match: self.origin.if_match(),
            attributes,
            storage_class: options.attributes.storage_class.clone(),
            protection: options.attributes.protection.clone(),
            if_none_match: options.if_none_match && sends_condition,
            if_match: options.if_match.clone().filter(|_| sends_condition),
        }
    }

    /// Waits for the answer to a request in flight, for as long as a pause would wait. Closing the
    /// connection does not stop the request.
    async fn last_answer(
        &self,
        copying: impl Future<Output = Result<UploadedPart, StoreError>>,
        request: StopRequest,
        stop: &mut StopSignal,
    ) -> Option<Result<UploadedPart, StoreError>> {
        let now = request == StopRequest::PauseNow;
        let grace = if now { Duration::ZERO } else { self.context.options.pause_grace };
        tokio::select! {
            biased;
            answer = copying => Some(answer),
            () = tokio::time::sleep(grace) => None,
            _ = stop.stronger() => None,
        }
    }

    /// Determines the outcome after the last request. `end` is the result if no attempt was carried
    /// out.
    async fn settle(&self, end: Error) -> Result<CopyReport, Error> {
        if self.outcome == Outcome::Known {
            return Err(end);
        }
        if self.outcome == Outcome::Open {
            let reason = match &end {
                // The text of this error would claim that nothing was left at the store.
                Error::Cancelled { .. } => "the request was stopped on its way".to_owned(),
                other => other.to_string(),
            };
            self.context.events.send(Event::InDoubt { reason });
        }
        match self.look().await {
            Landed::Ours(head) => self.found(*head),
            Landed::Unsettled(source) if self.outcome == Outcome::Open => {
                Err(Error::PutInDoubt { object: self.context.target.clone(), source })
            }
            Landed::Never | Landed::Unsettled(_) => Err(end),
        }
    }

    async fn look(&self) -> Landed {
        let Context { options, resources, target, .. } = self.context;
        let unsettled = |message: &str| {
            let kind = Kind::NoSuchKey;
            Landed::Unsettled(Box::new(StoreError::local(Operation::HeadObject, kind, message)))
        };
        match resources.retry.run(|| resources.store.head_object(target)).await {
            Ok(head) if self.is_ours(&head) => Landed::Ours(Box::new(head)),
            Ok(head)
                if !self.condition.is_missing()
                    && (options.if_none_match
                        || options
                            .if_match
                            .as_ref()
                            .is_some_and(|wanted| *wanted != head.etag)) =>
            {
                Landed::Never
            }
            Ok(_) => unsettled("another object is there, and the copy may still replace it"),
            Err(error)
                if error.kind == Kind::NoSuchKey
                    && options.if_match.is_some()
                    && !self.condition.is_missing() =>
            {
                Landed::Never
            }
            Err(error) if error.kind == Kind::NoSuchKey => {
                unsettled("the object is not there, and the copy may still become it")
            }
            Err(error) => Landed::Unsettled(Box::new(error)),
        }
    }

    fn is_ours(&self, head: &ObjectHead) -> bool {
        if let (Some(token), Some(found)) =
            (&self.token, head.attributes.metadata.get(TOKEN_METADATA))
        {
            return token == found;
        }
        let source = self.origin.head();
        let checksum = head.checksum.map(|(checksum, _)| checksum);
        let same = self.compare(Some(&head.etag), checksum);
        // `Last-Modified` is precise to whole seconds only.
        let since =
            head.last_modified.is_some_and(|time| time.as_second() >= self.began.as_second());
        since
            && head.size_bytes == source.size_bytes
            && matches!(same, Ok(CopyProof::ETag | CopyProof::Checksum))
    }

    /// Handles the answer. If the answer does not prove the copy, the copy itself is checked, which
    /// also detects a source that was overwritten meanwhile at a store that ignores the condition.
    async fn copied(&self, copied: UploadedPart) -> Result<CopyReport, Error> {
        let mut found = (copied.etag, copied.checksum);
        let mut proof = self.compare(Some(&found.0), found.1);
        if proof == Ok(CopyProof::Unproven)
            && let Ok(head) = self.context.resources.store.head_object(&self.context.target).await
            && head.etag == found.0
        {
            found.1 = head.checksum.map(|(checksum, _)| checksum).or(found.1);
            proof = self.compare(Some(&found.0), found.1);
        }
        if !matches!(proof, Ok(CopyProof::ETag | CopyProof::Checksum)) {
            self.origin.check_unchanged().await?;
        }
        self.end(proof, found.0, found.1)
    }

    /// Handles a copy whose answer was lost and which was found at the target.
    fn found(&self, head: ObjectHead) -> Result<CopyReport, Error> {
        let checksum = head.checksum.map(|(checksum, _)| checksum);
        self.end(self.compare(Some(&head.etag), checksum), head.etag, checksum)
    }

    fn compare(
        &self,
        etag: Option<&haul_parts::ETag>,
        checksum: Option<haul_parts::Checksum>,
    ) -> Result<CopyProof, String> {
        let trust = Trust::of(self.origin, self.context.resources.store.as_ref());
        compare::whole(&trust, self.origin.head(), etag, checksum)
    }

    fn end(
        &self,
        proof: Result<CopyProof, String>,
        etag: haul_parts::ETag,
        checksum: Option<haul_parts::Checksum>,
    ) -> Result<CopyReport, Error> {
        let Context { source, target, options, events, progress, .. } = self.context;
        let proof =
            proof.map_err(|detail| Error::CorruptObject { object: target.clone(), detail })?;
        if proof == CopyProof::Unproven && options.require_proof {
            return Err(Error::Unproven {
                object: target.clone(),
                part: haul_parts::PartNumber::MIN,
            });
        }
        let size_bytes = self.origin.head().size_bytes;
        progress.arrived(size_bytes);
        let mut count = ProofCount::default();
        count.add(proof.of_parts());
        events.send(Event::Completed {
            etag: etag.unquoted().to_owned(),
            size_bytes,
            proof: count,
        });
        Ok(CopyReport {
            source: source.clone(),
            object: target.clone(),
            size_bytes,
            etag,
            method: CopyMethod::CopyObject,
            part_count: 1,
            upload_id: None,
            proof,
            checksum,
        })
    }

    fn failed(&self, attempts: u32, error: StoreError) -> Error {
        let subject = (&self.context.target).into();
        Error::Store { subject, part: None, attempts, source: Box::new(error) }
    }
}

fn outcome_of(error: &StoreError) -> Outcome {
    match error.kind {
        _ if error.outcome_unknown => Outcome::Open,
        // A gateway sends this answer when it has lost its connection to the store.
        Kind::Server if error.code.is_none() => Outcome::Open,
        // Our own attempt with the lost answer may make the condition false for the next attempt.
        Kind::Server | Kind::Malformed | Kind::PreconditionFailed | Kind::ConditionalConflict => {
            Outcome::Visible
        }
        _ => Outcome::Known,
    }
}
