//! A source below the threshold: one PutObject, which is whole or nothing by itself.

use std::sync::Arc;

use haul_parts::ChecksumAlgorithm;
use tokio::sync::watch;

use super::complete::TOKEN_METADATA;
use super::part::{PartFailure, ReadBytes, blame, prove, read};
use super::{Job, UploadReport, Wish, driver};
use crate::buffer::BufferPool;
use crate::error::Error;
use crate::events::Event;
use crate::payload::Range;
use crate::proof::{Proof, ProofCount, WholeProof};
use crate::retry::Failure;
use crate::store::{Operation, PutRequest, StoreError, UploadedPart};

pub(super) async fn put(job: &Job, mut wishes: watch::Receiver<Wish>) -> Result<UploadReport, Error> {
    let size_bytes = job.source.size_bytes();
    job.events.send(Event::Started {
        source: job.source.name(),
        target: job.object.to_string(),
        size_bytes,
        part_size_bytes: size_bytes,
        part_count: 1,
        multipart: false,
    });
    tokio::select! {
        report = attempts(job, size_bytes) => report,
        // PutObject is atomic: a request that is dropped halfway leaves nothing at the store.
        _ = driver::until_stronger(&mut wishes, Wish::GoOn) => {
            Err(Error::Cancelled { object: job.object.to_string() })
        }
    }
}

async fn attempts(job: &Job, size_bytes: u64) -> Result<UploadReport, Error> {
    let pool = BufferPool::new(job.options.memory_budget_bytes);
    let range = Range { source: Arc::clone(&job.source), offset_bytes: 0, size_bytes };
    // A put object is visible before its answer can be judged: the store must refuse wrong bytes itself.
    let bytes = read(range, &pool, job.options.checksum, true).await?;
    // A condition that our own lost attempt has made untrue is met again by the next one: 412 on our own object.
    let conditional = job.options.if_none_match || job.options.if_match.is_some();
    let token = conditional.then(|| format!("{:032x}", rand::random::<u128>()));
    for attempt in 1.. {
        let result = attempt_once(job, &bytes, token.as_deref(), attempt).await;
        let error = match result.map_err(|failure| blame(job.source.as_ref(), failure)) {
            Ok((answer, proof)) => return Ok(report(job, &bytes, answer, proof)),
            Err(PartFailure::Source(error)) => return Err(error),
            Err(PartFailure::Store(error)) => error,
        };
        let failure = Failure::from(&error);
        let Some(wait) = job.options.retry.wait(attempt, &failure, &mut rand::rng()) else {
            return match find_ours(job, &bytes, token.as_deref()).await {
                Some((answer, proof)) => Ok(report(job, &bytes, answer, proof)),
                None => Err(failed(job, attempt, error)),
            };
        };
        job.events.send(Event::Retrying { part_number: None, attempt, wait, reason: error.to_string() });
        tokio::time::sleep(wait).await;
    }
    unreachable!("the loop ends only by returning")
}

async fn attempt_once(
    job: &Job,
    bytes: &ReadBytes,
    token: Option<&str>,
    attempt: u32,
) -> Result<(UploadedPart, Proof), PartFailure> {
    let mut attributes = job.options.attributes.clone();
    attributes.metadata.extend(token.map(|token| (TOKEN_METADATA.to_owned(), token.to_owned())));
    let request = PutRequest {
        payload: bytes.payload.clone(),
        attributes,
        checksum: bytes.checksum,
        md5: bytes.md5.filter(|_| job.options.checksum != Some(ChecksumAlgorithm::Md5)),
        if_none_match: job.options.if_none_match,
        if_match: job.options.if_match.clone(),
        fresh_connection: attempt > 1,
        wire: job.progress.wire.clone(),
    };
    let answer = job.store.put_object(&job.object, request).await.map_err(PartFailure::Store)?;
    let proof = prove(&answer, bytes, Operation::PutObject).await?;
    if proof == Proof::Unproven && job.options.require_proof {
        return Err(PartFailure::Source(Error::Unproven {
            object: job.object.clone(),
            part: haul_parts::PartNumber::MIN,
        }));
    }
    Ok((answer, proof))
}

/// The object at the key, if it is the one that this upload put: an attempt was carried out, and its answer
/// lost (P6).
async fn find_ours(job: &Job, bytes: &ReadBytes, token: Option<&str>) -> Option<(UploadedPart, Proof)> {
    let token = token?;
    let head = job.options.retry.run(|| job.store.head_object(&job.object)).await.ok()?;
    if head.attributes.metadata.get(TOKEN_METADATA)? != token {
        return None;
    }
    let answer = UploadedPart {
        // HEAD does not say whether the ETag is an MD5.
        etag_is_opaque: head.etag.as_md5() != bytes.md5.and_then(|md5| md5.as_md5()),
        etag: head.etag,
        checksum: head.checksum.map(|(checksum, _)| checksum),
    };
    let proof = prove(&answer, bytes, Operation::HeadObject).await.ok()?;
    Some((answer, proof))
}

fn report(job: &Job, bytes: &ReadBytes, answer: UploadedPart, proof: Proof) -> UploadReport {
    let size_bytes = bytes.payload.size_bytes();
    let mut proofs = ProofCount::default();
    proofs.add(proof);
    job.progress.arrived(size_bytes);
    job.events.send(Event::Completed { etag: answer.etag.unquoted().to_owned(), size_bytes, proof: proofs });
    UploadReport {
        object: job.object.clone(),
        size_bytes,
        etag: answer.etag,
        part_count: 1,
        upload_id: None,
        proof: proofs,
        whole: WholeProof::NotShown,
        resumed_bytes: 0,
        checksum: bytes.checksum,
    }
}

fn failed(job: &Job, attempts: u32, error: StoreError) -> Error {
    Error::Store { object: job.object.to_string(), part: None, attempts, source: Box::new(error) }
}
