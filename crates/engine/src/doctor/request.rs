//! Sends the requests of probes and words their answers.

use std::time::Duration;

use bytes::Bytes;
use haul_parts::{Key, UploadId};
use http::Method;
use tokio::time::Instant;

use super::bucket_versions::version_of;
use super::{Doctor, Group, Verdict};
use crate::remote::{ObjectRef, Operation, StoreError, StoreErrorKind, UploadRef};
use crate::s3::{ProbeAnswer, ProbeBody, ProbeRequest, ProbeTarget};

/// Attempts of a request that gets no answer, or is asked to come later.
const ATTEMPTS: u32 = 3;

/// The reason why a probe has no answer.
#[derive(Debug)]
pub(super) enum NoAnswer {
    /// The run was stopped or takes too long.
    Stopped(&'static str),
    /// The request failed without an answer.
    Failed(StoreError),
}

impl NoAnswer {
    pub(super) fn reason(&self) -> String {
        match self {
            Self::Stopped(why) => (*why).to_owned(),
            Self::Failed(error) => error.message.clone(),
        }
    }
}

pub(super) type Answered = Result<ProbeAnswer, NoAnswer>;

/// A request to an object of the scratch, or to the bucket.
pub(super) fn request(method: Method, query: &str) -> ProbeRequest {
    ProbeRequest {
        method,
        target: ProbeTarget::Object,
        query: query.to_owned(),
        headers: vec![],
        body: Bytes::new(),
        signing: ProbeBody::Signed,
    }
}

pub(super) fn of_bucket(query: &str) -> ProbeRequest {
    ProbeRequest { target: ProbeTarget::Bucket, ..request(Method::GET, query) }
}

pub(super) fn put(query: &str, body: &Bytes) -> ProbeRequest {
    ProbeRequest { body: body.clone(), signing: ProbeBody::Unsigned, ..request(Method::PUT, query) }
}

impl ProbeRequest {
    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

impl Doctor<'_> {
    /// Sends a request about an object of the scratch. A request without an answer is repeated.
    pub(super) async fn send(&mut self, name: &str, request: ProbeRequest) -> Answered {
        let key = self.scratch.key(name);
        let answer = self.send_to(&key, &request).await?;
        let creates = request.target == ProbeTarget::Object
            && (request.method == Method::PUT || request.method == Method::DELETE)
            && !request.query.contains('=');
        if creates && answer.is_success() {
            self.created.push((key, version_of(&answer)));
        }
        Ok(answer)
    }

    /// Sends a request about any key below the scratch of a run.
    pub(super) async fn send_to(&self, key: &str, request: &ProbeRequest) -> Answered {
        let object = self.object(key)?;
        for attempt in 1.. {
            if self.stop.is_stopped() {
                return Err(NoAnswer::Stopped("the run was stopped"));
            }
            if Instant::now() > self.ends {
                return Err(NoAnswer::Stopped("the run took too long"));
            }
            let sent = self.store.probe(&object, request).await;
            let again = match &sent {
                Ok(answer) => [429, 503].contains(&answer.status),
                Err(error) => {
                    matches!(error.kind, StoreErrorKind::Connection | StoreErrorKind::Timeout)
                }
            };
            if !again || attempt >= ATTEMPTS {
                return sent.map_err(NoAnswer::Failed);
            }
            tokio::time::sleep(Duration::from_millis(200 << attempt)).await;
        }
        Err(NoAnswer::Stopped("the run was stopped"))
    }

    pub(super) fn object(&self, key: &str) -> Result<ObjectRef, NoAnswer> {
        let key = Key::new(key).map_err(|error| {
            let kind = StoreErrorKind::Rejected;
            NoAnswer::Failed(StoreError::local(Operation::PutObject, kind, error.to_string()))
        })?;
        Ok(ObjectRef { bucket: self.bucket.clone(), key })
    }

    /// Creates an upload of an object of the scratch.
    pub(super) async fn create(
        &mut self,
        name: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Result<UploadRef, ProbeAnswer>, NoAnswer> {
        let mut create = request(Method::POST, "uploads");
        for (header, value) in headers {
            create = create.with(header, *value);
        }
        let answer = self.send(name, create).await?;
        let id = super::versions::text_of(&answer.body, "UploadId");
        let id = id.and_then(|id| UploadId::new(id).ok()).filter(|_| answer.is_success());
        let Some(upload_id) = id else { return Ok(Err(answer)) };
        let key = self.scratch.key(name);
        self.uploads.push((key.clone(), upload_id.clone()));
        Ok(Ok(UploadRef { object: self.object(&key)?, upload_id }))
    }

    /// Records the result of an operation as a permission.
    pub(super) fn permission(&mut self, name: &str, answered: &Answered) -> Verdict {
        let (verdict, detail) = permission_of(answered);
        self.note(Group::Permissions, name, verdict, detail);
        verdict
    }
}

/// Returns the query of a request about an upload.
pub(super) fn of_upload(upload: &UploadRef, part: Option<u16>) -> String {
    let id = percent_encoding::utf8_percent_encode(
        upload.upload_id.as_str(),
        percent_encoding::NON_ALPHANUMERIC,
    );
    match part {
        Some(number) => format!("partNumber={number}&uploadId={id}"),
        None => format!("uploadId={id}"),
    }
}

fn permission_of(answered: &Answered) -> (Verdict, String) {
    let answer = match answered {
        Ok(answer) if answer.is_success() => return (Verdict::Ok, "allowed".to_owned()),
        Ok(answer) => answer,
        Err(no_answer) => return (Verdict::NotTested, no_answer.reason()),
    };
    let code = answer.code();
    let code = code.as_deref().unwrap_or_default();
    match (answer.status, code) {
        // Nothing is configured, but the request was allowed.
        (404, code) if code.starts_with("NoSuch") && code != "NoSuchBucket" => {
            (Verdict::Ok, format!("allowed ({code})"))
        }
        (404, "ObjectLockConfigurationNotFoundError") => {
            (Verdict::Ok, "allowed (none is set)".to_owned())
        }
        (401 | 403, _) => (Verdict::No, format!("denied ({})", shown(answer))),
        _ if has_failed(answer) => (Verdict::NotTested, format!("unknown ({})", shown(answer))),
        (501 | 405, _) => (Verdict::No, format!("not implemented ({})", shown(answer))),
        _ => (Verdict::No, format!("refused ({})", shown(answer))),
    }
}

/// Returns whether the store failed, or asks to come later: that says nothing about what it
/// supports or permits.
pub(super) fn has_failed(answer: &ProbeAnswer) -> bool {
    matches!(answer.status, 408 | 429 | 500.. if answer.status != 501)
}

/// Formats an answer without success: `400 BadDigest`.
pub(super) fn shown(answer: &ProbeAnswer) -> String {
    match answer.code() {
        Some(code) => format!("{} {code}", answer.status),
        None => answer.status.to_string(),
    }
}
