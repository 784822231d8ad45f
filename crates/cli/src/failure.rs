//! How a failure is told: `error: what failed`, then why, cause by cause, then `hint: what to do about it`.
//!
//! Commands return `anyhow::Error`; what it means is found by looking for the types that know: the engine's
//! error, the endpoint's, and [`Usage`]. The same facts go to people on stderr and, with `--json`, to programs on
//! stdout. Nothing here matches on texts.

use std::fmt;

use haul::{Advice, Error as EngineError, StoreError, StoreErrorKind};
use serde::Serialize;

use crate::exit::Exit;
use crate::size::human_size;
use crate::target::{Address, Scheme, TargetError};

/// What was being done, and with which address: the first line of an error.
#[derive(Debug)]
pub(crate) struct Doing {
    action: String,
    address: Option<Address>,
    endpoint: Option<String>,
    hint: Option<String>,
}

impl Doing {
    /// Something about an object or a bucket.
    pub(crate) fn at(action: impl Into<String>, address: &Address) -> Self {
        Self { address: Some(address.clone()), ..Self::of(action) }
    }

    /// Something about no address in particular.
    pub(crate) fn of(action: impl Into<String>) -> Self {
        Self { action: action.into(), address: None, endpoint: None, hint: None }
    }

    /// With the store that was asked.
    pub(crate) fn through(self, endpoint: impl Into<String>) -> Self {
        Self { endpoint: Some(endpoint.into()), ..self }
    }

    /// With a better hint than the engine, which knows less, can give.
    pub(crate) fn hinting(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

impl fmt::Display for Doing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.action)
    }
}

/// The command line asks for what cannot be done; nothing was sent.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Usage {
    message: String,
    hint: Option<String>,
}

impl Usage {
    /// With what to do instead.
    pub(crate) fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: Some(hint.into()) }
    }
}

impl From<TargetError> for Usage {
    fn from(error: TargetError) -> Self {
        Self { message: error.to_string(), hint: None }
    }
}

/// A failure that knows its exit code and hint by itself: what happens outside the engine.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Ended {
    pub(crate) exit: Exit,
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

/// A failure, ready to be told.
#[derive(Debug, Serialize)]
pub(crate) struct Failure {
    /// Always `failed`.
    event: &'static str,
    /// S3's error code if the store gave one, else our own word in the same spelling.
    code: String,
    /// What a program should do: `retry`, `refresh`, `resume`, `give-up`.
    advice: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    exit_code: u8,
    message: String,
    causes: Vec<String>,
    hint: Option<String>,
    #[serde(skip)]
    pub(crate) exit: Exit,
    /// The word before the first line.
    #[serde(skip)]
    label: &'static str,
}

impl Failure {
    /// Finds out what an error means.
    pub(crate) fn of(error: &anyhow::Error) -> Self {
        let doing = error.downcast_ref::<Doing>();
        let mut failure = Self {
            event: "failed",
            code: "Failed".to_owned(),
            advice: "give-up",
            retry_after_ms: None,
            exit_code: 0,
            message: error.to_string(),
            causes: causes(error, doing.and_then(|doing| doing.address.as_ref())),
            hint: None,
            exit: Exit::Failed,
            label: "error",
        };
        if let Some(usage) = error.downcast_ref::<Usage>() {
            failure.code = "Usage".to_owned();
            failure.exit = Exit::Usage;
            failure.hint.clone_from(&usage.hint);
        } else if let Some(ended) = error.downcast_ref::<Ended>() {
            failure.code = ended.code.to_owned();
            failure.exit = ended.exit;
            failure.hint.clone_from(&ended.hint);
            if ended.exit == Exit::Interrupted {
                failure.call_it("interrupted", ended.message.clone());
            }
        } else if let Some(engine) = error.downcast_ref::<EngineError>() {
            failure.code = code(engine);
            failure.exit = exit(engine);
            (failure.advice, failure.retry_after_ms) = advice(engine.advice());
            failure.hint = hint(engine, doing);
            let address = doing.and_then(|doing| doing.address.as_ref());
            failure.call_an_interruption_by_its_name(engine, address);
        } else if let Some(server) = error.downcast_ref::<haul_server::Error>() {
            failure.code = server_code(server).to_owned();
            failure.hint = server.hint().map(str::to_owned);
        } else if let Some(store) = error.downcast_ref::<haul_store::Error>() {
            let (code, exit) = of_store(store);
            failure.code = code.to_owned();
            failure.exit = exit;
            let better = doing.and_then(|doing| doing.hint.clone());
            failure.hint = better.or_else(|| store.hint().map(str::to_owned));
        }
        failure.hint = failure.hint.or_else(|| doing?.hint.clone());
        failure.exit_code = failure.exit.code();
        failure
    }

    /// What a person asked for is no error: it is said in one line, without the chain.
    fn call_it(&mut self, label: &'static str, message: String) {
        self.label = label;
        self.message = message;
        self.causes.clear();
    }

    fn call_an_interruption_by_its_name(&mut self, error: &EngineError, address: Option<&Address>) {
        match error {
            EngineError::Paused { object, arrived_bytes, size_bytes, source: None, .. } => {
                let (arrived, size) = (human_size(*arrived_bytes), human_size(*size_bytes));
                self.call_it("paused", as_written(&format!("{object} at {arrived} of {size}"), address));
            }
            EngineError::Cancelled { object } => {
                self.call_it("interrupted", as_written(&format!("{object}: nothing is left of it"), address));
            }
            _ => {}
        }
    }

    /// The lines for a person; `paint` colours the first word and `hint`.
    pub(crate) fn lines(&self, paint: impl Fn(&str) -> String) -> String {
        let mut text = format!("{}: {}", paint(self.label), self.message);
        for cause in &self.causes {
            // What others wrote may have several lines: they stay below their first one.
            text += "\n  caused by: ";
            text += &cause.replace('\n', "\n             ");
        }
        if let Some(hint) = &self.hint {
            text += &format!("\n{}: {hint}", paint("hint"));
        }
        text
    }
}

/// The chain below the first line, without what only repeats a line above it.
///
/// Below the store's error come the layers of the SDK, each saying that the next one failed; only the last one, where
/// it began, is worth a line (of credentials the last two: what could not be done, and why).
fn causes(error: &anyhow::Error, address: Option<&Address>) -> Vec<String> {
    let chain: Vec<_> = error.chain().collect();
    let store = chain.iter().position(|cause| cause.is::<StoreError>() || cause.is::<Box<StoreError>>());
    let told = store.map_or(chain.len(), |store| store + 1);
    let root = chain.len() - if lost_credentials(error) { 2 } else { 1 };
    let mut said: Vec<String> = Vec::new();
    for (place, cause) in chain.iter().enumerate() {
        let text = as_written(&cause.to_string(), address);
        if (place < told || place >= root) && !said.iter().any(|before| before.contains(&text)) {
            said.push(text);
        }
    }
    said.split_off(1)
}

/// The engine knows only S3; the person may have written `local://`.
fn as_written(text: &str, address: Option<&Address>) -> String {
    match address {
        Some(Address { scheme: Scheme::Local, bucket, .. }) => {
            text.replace(&format!("{}{bucket}", Scheme::S3), &format!("{}{bucket}", Scheme::Local))
        }
        _ => text.to_owned(),
    }
}

fn lost_credentials(error: &anyhow::Error) -> bool {
    let engine = error.downcast_ref::<EngineError>();
    matches!(engine, Some(EngineError::Store { source, .. }) if source.kind == StoreErrorKind::NoCredentials)
}

fn advice(advice: Advice) -> (&'static str, Option<u64>) {
    match advice {
        Advice::Retry { after } => {
            ("retry", after.map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX)))
        }
        Advice::Refresh => ("refresh", None),
        Advice::Resume => ("resume", None),
        Advice::GiveUp => ("give-up", None),
    }
}

fn exit(error: &EngineError) -> Exit {
    match error {
        EngineError::Plan { .. } | EngineError::NotAFile { .. } | EngineError::Configuration(_) => {
            Exit::Usage
        }
        EngineError::Cancelled { .. } | EngineError::Paused { .. } => Exit::Interrupted,
        EngineError::InDoubt { .. } => Exit::InDoubt,
        EngineError::LeftBehind { .. } => Exit::LeftBehind,
        EngineError::SourceChanged { .. } | EngineError::SourceChangedSince { .. } => Exit::SourceChanged,
        EngineError::Unproven { .. } | EngineError::Corrupt { .. } => Exit::NotProven,
        EngineError::Store { source, .. }
            if matches!(
                source.kind,
                StoreErrorKind::PreconditionFailed | StoreErrorKind::ConditionalConflict
            ) =>
        {
            Exit::Precondition
        }
        _ => Exit::Failed,
    }
}

fn code(error: &EngineError) -> String {
    let name = match error {
        EngineError::Store { source, .. } => {
            return source.code.clone().unwrap_or_else(|| format!("{:?}", source.kind));
        }
        EngineError::SourceUnreadable { .. } => "SourceUnreadable",
        EngineError::NotAFile { .. } => "NotAFile",
        EngineError::SourceChanged { .. } | EngineError::SourceChangedSince { .. } => "SourceChanged",
        EngineError::Plan { .. } => "Plan",
        EngineError::InDoubt { .. } => "InDoubt",
        EngineError::UploadGone { .. } => "UploadGone",
        EngineError::Restarted { .. } => "Restarted",
        EngineError::Paused { .. } => "Paused",
        EngineError::Journal(_) => "Journal",
        EngineError::Unproven { .. } => "Unproven",
        EngineError::Cancelled { .. } => "Cancelled",
        EngineError::LeftBehind { .. } => "LeftBehind",
        EngineError::Corrupt { .. } => "Corrupt",
        EngineError::TargetUnwritable { .. } => "TargetUnwritable",
        EngineError::Configuration(_) => "Configuration",
        _ => "Internal",
    };
    name.to_owned()
}

fn server_code(error: &haul_server::Error) -> &'static str {
    match error {
        haul_server::Error::Store(_) if error.is_locked() => "Locked",
        haul_server::Error::Store(_) => "StoreUnusable",
        haul_server::Error::Listen { .. } => "ListenFailed",
        haul_server::Error::Keys { .. } => "KeysUnreadable",
        haul_server::Error::Grants(_) => "KeysRefused",
        _ => "Internal",
    }
}

/// Of a folder that is looked at without a server.
fn of_store(error: &haul_store::Error) -> (&'static str, Exit) {
    use haul_store::Error;
    match error {
        Error::Locked { .. } => ("Locked", Exit::Failed),
        Error::NotAStore { .. } => ("NotAStore", Exit::Usage),
        // The metadata cannot even be opened.
        Error::Damaged { .. } | Error::MetadataDamaged { .. } | Error::Database { .. } => {
            ("Damaged", Exit::NotProven)
        }
        _ => ("StoreUnusable", Exit::Failed),
    }
}

/// What to do about it: from whoever knows most.
fn hint(error: &EngineError, doing: Option<&Doing>) -> Option<String> {
    if let Some(better) = doing.and_then(|doing| doing.hint.clone()) {
        return Some(better);
    }
    if exit(error) == Exit::Precondition {
        let hint =
            "the object stays as it was: it exists (--if-none-match) or is another version (--if-match)";
        return Some(hint.to_owned());
    }
    let hint = match error {
        EngineError::Store { source, .. } if source.code.as_deref() == Some("BucketNotEmpty") => {
            Some("remove its objects first; haul ls -r s3://BUCKET shows them".to_owned())
        }
        _ => error.hint(),
    };
    hint.map(|hint| doing.map_or(hint.clone(), |doing| concrete(&hint, doing)))
}

/// The engine hints at `s3://BUCKET/PREFIX` and at "the endpoint"; here it is known what the person wrote.
fn concrete(hint: &str, doing: &Doing) -> String {
    let mut hint = hint.to_owned();
    if let Some(endpoint) = &doing.endpoint {
        hint = hint.replace("is the endpoint right", &format!("is {endpoint} right"));
    }
    if let Some(address) = &doing.address {
        let bucket = format!("{}{}", address.scheme, address.bucket);
        let folder = address.key.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
        hint = hint.replace("s3://BUCKET/PREFIX", &format!("{bucket}/{folder}"));
        hint = hint.replace("s3://BUCKET", &bucket);
    }
    hint
}

#[cfg(test)]
mod tests {
    use anyhow::Context;
    use haul::parts::UploadId;
    use haul::store::Operation;

    use super::*;

    fn told(error: EngineError, address: &str) -> String {
        let address = Address::parse(address).unwrap();
        let doing = Doing::at(format!("cannot upload video.mov to {address}"), &address);
        let failed = Err::<(), _>(error).context(doing).unwrap_err();
        let failure = Failure::of(&failed);
        format!("{}\nexit {}, {}", failure.lines(str::to_owned), failure.exit_code, failure.code)
    }

    fn refused(status: u16, code: &str, message: &str) -> EngineError {
        EngineError::Store {
            object: "s3://bucket/video.mov".into(),
            part: Some("7".parse().unwrap()),
            attempts: 3,
            source: Box::new(StoreError::answered(Operation::UploadPart, status, Some(code), message)),
        }
    }

    #[test]
    fn a_refusal_says_what_where_why_and_what_next() {
        insta::assert_snapshot!(
            told(refused(403, "AccessDenied", "no"), "s3://bucket/video.mov"),
            @r"
        error: cannot upload video.mov to s3://bucket/video.mov
          caused by: s3://bucket/video.mov, part 7, after 3 attempts
          caused by: UploadPart: the store answered 403 AccessDenied: no
        hint: the keys in use may not do this here; check the bucket policy, or choose others with --profile
        exit 1, AccessDenied
        "
        );
    }

    #[test]
    fn of_the_layers_below_the_store_only_the_root_is_told() {
        let root = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        let layers = anyhow::Error::from(root).context("io error").context("dispatch failure");
        let error =
            StoreError::local(Operation::UploadPart, StoreErrorKind::Connection, "the connection broke")
                .with_source(layers);
        insta::assert_snapshot!(
            told(EngineError::of_store("s3://bucket/a", error), "s3://bucket/a"),
            @r"
        error: cannot upload video.mov to s3://bucket/a
          caused by: UploadPart: the connection broke
          caused by: connection reset
        hint: is the endpoint right and reachable? see --endpoint and AWS_ENDPOINT_URL
        exit 1, Connection
        "
        );
    }

    #[test]
    fn what_a_person_asked_for_is_no_error() {
        let paused = EngineError::Paused {
            object: "s3://demo/a".parse().unwrap(),
            id: "0e50c57f2f7a".into(),
            arrived_bytes: 293_601_280,
            size_bytes: 3 << 30,
            source: None,
        };
        insta::assert_snapshot!(told(paused, "local://demo/a"), @r"
        paused: local://demo/a at 280.0 MiB of 3.0 GiB
        hint: run the same command again, or haul resume 0e50c57f2f7a; haul abort 0e50c57f2f7a removes what is there
        exit 3, Paused
        ");
        let cancelled = EngineError::Cancelled { object: "s3://demo/a".into() };
        insta::assert_snapshot!(told(cancelled, "s3://demo/a"), @r"
        interrupted: s3://demo/a: nothing is left of it
        exit 3, Cancelled
        ");
    }

    #[test]
    fn hints_name_the_persons_own_bucket() {
        insta::assert_snapshot!(
            told(EngineError::of_store("s3://demo/a", StoreError::answered(Operation::PutObject, 404, Some("NoSuchBucket"), "")), "local://demo/a"),
            @r"
        error: cannot upload video.mov to local://demo/a
          caused by: PutObject: the store answered 404 NoSuchBucket
        hint: create it first: haul mb local://demo; or check its name and --endpoint
        exit 1, NoSuchBucket
        "
        );
    }

    #[test]
    fn every_ending_that_a_script_must_tell_apart_has_its_code() {
        let object: haul::ObjectRef = "s3://bucket/key".parse().unwrap();
        let upload_id = UploadId::new("u").unwrap();
        let gone = || Box::new(StoreError::local(Operation::HeadObject, StoreErrorKind::Connection, "gone"));
        let check = |error: EngineError, expect: Exit| {
            let error = anyhow::Error::from(error).context(Doing::of("failed"));
            assert_eq!(Failure::of(&error).exit, expect, "{error:?}");
        };
        let cancelled = || EngineError::Cancelled { object: object.to_string() };
        check(cancelled(), Exit::Interrupted);
        check(
            EngineError::InDoubt { object: object.clone(), upload_id: upload_id.clone(), source: gone() },
            Exit::InDoubt,
        );
        check(
            EngineError::LeftBehind {
                object: object.clone(),
                upload_id,
                cleanup: gone(),
                source: Box::new(cancelled()),
            },
            Exit::LeftBehind,
        );
        check(EngineError::Corrupt { object, detail: "CRC".into() }, Exit::NotProven);
        check(refused(412, "PreconditionFailed", ""), Exit::Precondition);
        check(refused(409, "ConditionalRequestConflict", ""), Exit::Precondition);
        check(refused(500, "InternalError", ""), Exit::Failed);
        check(EngineError::Configuration("no region".into()), Exit::Usage);
        assert_eq!(Failure::of(&Usage::new("no", "yes").into()).exit, Exit::Usage);
    }

    #[test]
    fn programs_get_the_same_facts() {
        let error =
            anyhow::Error::from(refused(503, "SlowDown", "later")).context(Doing::of("cannot upload"));
        insta::assert_snapshot!(
            serde_json::to_string(&Failure::of(&error)).unwrap(),
            @r#"{"event":"failed","code":"SlowDown","advice":"retry","exit_code":1,"message":"cannot upload","causes":["s3://bucket/video.mov, part 7, after 3 attempts","UploadPart: the store answered 503 SlowDown: later"],"hint":"the store asks for less; lower --concurrency"}"#
        );
    }
}
