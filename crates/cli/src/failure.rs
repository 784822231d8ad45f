//! The report of a failure: `error: what failed`, then cause by cause, then `hint: what to do about
//! it`.
//!
//! Commands return `anyhow::Error`; the exit code and the hint follow from the known types in its
//! chain: the engine's error, the endpoint's, and [`Usage`]. People get the report on stderr and,
//! with `--json`, programs get the same facts on stdout. Error texts are never matched.

mod hints;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;

use haul::remote::Operation;
use haul::{Advice, Error as EngineError, StoreError, StoreErrorKind};
use serde::Serialize;

use crate::exit::Exit;
use crate::output::Shown;
use crate::size::human_size;
use crate::target::{Address, Scheme, TargetError};
use crate::upload_locator::UploadLocator;

/// The context of an error: the failed action, its address and the data for its hint. Its text is
/// the first line of the report.
#[derive(Debug)]
pub(crate) struct FailureContext {
    action: String,
    address: Option<Address>,
    endpoint: Option<String>,
    locator: Option<UploadLocator>,
    condition: Option<Condition>,
    /// The target file of a download.
    target: Option<String>,
    hint: Option<String>,
}

/// A condition from the command line on the object's current state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    /// `--if-none-match`: the key must not exist.
    Absent,
    /// `--if-match`: the key must have a certain version.
    Version,
}

impl Condition {
    /// Returns the condition of these options.
    pub(crate) fn of(options: &haul::UploadOptions) -> Option<Self> {
        match (options.if_none_match, &options.if_match) {
            (true, _) => Some(Self::Absent),
            (false, Some(_)) => Some(Self::Version),
            (false, None) => None,
        }
    }
}

impl FailureContext {
    /// Creates the context of an action on an object or a bucket.
    pub(crate) fn at(action: impl Into<String>, address: &Address) -> Self {
        Self { address: Some(address.clone()), ..Self::of(action) }
    }

    /// Creates the context of an action without an address.
    pub(crate) fn of(action: impl Into<String>) -> Self {
        Self {
            action: action.into(),
            address: None,
            endpoint: None,
            locator: None,
            condition: None,
            target: None,
            hint: None,
        }
    }

    /// Adds the store of the request.
    pub(crate) fn through(self, endpoint: impl Into<String>) -> Self {
        Self { endpoint: Some(endpoint.into()), ..self }
    }

    /// Adds the condition, if there was one.
    pub(crate) fn under(self, condition: Option<Condition>) -> Self {
        Self { condition, ..self }
    }

    /// Adds the target file.
    pub(crate) fn into_file(self, shown: impl Into<String>) -> Self {
        Self { target: Some(shown.into()), ..self }
    }

    /// Adds the locator of the upload.
    pub(crate) fn found_by(self, locator: UploadLocator) -> Self {
        Self { locator: Some(locator), ..self }
    }

    /// Replaces the engine's hint with one that uses what only the caller knows.
    pub(crate) fn hinting(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

impl fmt::Display for FailureContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.action)
    }
}

/// An impossible command line; nothing was sent.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Usage {
    message: String,
    hint: Option<String>,
}

impl Usage {
    /// Creates the error with a hint that shows a correct command line.
    pub(crate) fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: Some(hint.into()) }
    }
}

impl From<TargetError> for Usage {
    fn from(error: TargetError) -> Self {
        Self { message: error.to_string(), hint: None }
    }
}

/// A failure from outside the engine, with its own exit code and hint.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Ended {
    pub(crate) exit: Exit,
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

/// A failure, ready to be reported.
#[derive(Debug, Serialize)]
pub(crate) struct Failure {
    /// The event, always `failed`.
    event: &'static str,
    /// S3's error code if the store sent one, else our own code in the same spelling.
    code: String,
    /// The advice for programs: `retry`, `refresh`, `resume` or `give-up`.
    advice: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    exit_code: u8,
    message: String,
    causes: Vec<String>,
    hint: Option<String>,
    #[serde(skip)]
    pub(crate) exit: Exit,
    /// The label before the first line.
    #[serde(skip)]
    label: &'static str,
}

impl Failure {
    /// Creates the failure of an invalid command line.
    pub(crate) fn usage(message: String) -> Self {
        Self::of(&Usage { message, hint: None }.into())
    }

    /// Classifies an error.
    pub(crate) fn of(error: &anyhow::Error) -> Self {
        let context = error.downcast_ref::<FailureContext>();
        let mut failure = Self {
            event: "failed",
            code: "Failed".to_owned(),
            advice: "give-up",
            retry_after_ms: None,
            exit_code: 0,
            message: error.to_string(),
            causes: causes(error, context.and_then(|context| context.address.as_ref())),
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
            failure.hint = hint(engine, context);
            failure.call_an_interruption_by_its_name(engine, context);
        } else if let Some(server) = error.downcast_ref::<haul_server::Error>() {
            failure.code = server_code(server).to_owned();
            if let haul_server::Error::Store(store) = server
                && let Some(code) = refused_folder(store)
            {
                (failure.code, failure.exit) = (code.to_owned(), Exit::Usage);
            }
            failure.hint = server.hint().map(str::to_owned);
        } else if let Some(store) = error.downcast_ref::<haul_store::Error>() {
            let (code, exit) = of_store(store);
            failure.code = code.to_owned();
            failure.exit = exit;
            let better = context.and_then(|context| context.hint.clone());
            failure.hint = better.or_else(|| store.hint().map(str::to_owned));
        }
        failure.hint = failure.hint.or_else(|| context?.hint.clone());
        failure.exit_code = failure.exit.code();
        failure
    }

    /// Labels the failure as that of one line of `haul run`.
    pub(crate) fn of_line(self, number: u64) -> Self {
        Self { message: format!("line {number}: {}", self.message), ..self }
    }

    /// Formats the failure and its last cause in one line.
    pub(crate) fn words(&self) -> String {
        match self.causes.last() {
            Some(cause) => format!("{}: {cause}", self.message),
            None => self.message.clone(),
        }
    }

    /// Replaces the label of a requested stop, which is no error, and drops its causes.
    fn call_it(&mut self, label: &'static str, message: String) {
        self.label = label;
        self.message = message;
        self.causes.clear();
    }

    fn call_an_interruption_by_its_name(
        &mut self,
        error: &EngineError,
        context: Option<&FailureContext>,
    ) {
        let address = context.and_then(|context| context.address.as_ref());
        let target = context.and_then(|context| context.target.as_deref());
        match error {
            EngineError::Paused { object, arrived_bytes, size_bytes, source: None, .. }
            | EngineError::DownloadPaused {
                object, arrived_bytes, size_bytes, source: None, ..
            } => {
                let (arrived, size) = (human_size(*arrived_bytes), human_size(*size_bytes));
                self.call_it(
                    "paused",
                    as_written(&format!("{object} at {arrived} of {size}"), address),
                );
            }
            EngineError::Cancelled { object } => {
                let message = match target {
                    Some(target) => {
                        format!("{object}: the download stopped; {target} was not replaced")
                    }
                    None => {
                        format!("{object}: the upload stopped; nothing of it is left at the store")
                    }
                };
                self.call_it("interrupted", as_written(&message, address));
            }
            _ => {}
        }
    }

    /// Formats the lines for a person; `paint` colours the label and `hint`.
    pub(crate) fn lines(&self, paint: impl Fn(&str) -> String) -> Shown {
        let mut text = Shown::default().labelled(&paint(self.label), &self.message);
        for cause in &self.causes {
            // Texts from stores may have several lines: indent them below their first one.
            for (number, line) in shortened(cause).lines().enumerate() {
                let before = if number == 0 { "  caused by: " } else { "             " };
                text = text.line(&format!("{before}{line}"));
            }
        }
        match &self.hint {
            Some(hint) => text.labelled(&paint("hint"), hint),
            None => text,
        }
    }
}

/// Shortens a text, because a store may send a message of any length.
fn shortened(text: &str) -> Cow<'_, str> {
    const LONGEST_CHARS: usize = 2000;
    match text.char_indices().nth(LONGEST_CHARS) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => Cow::Borrowed(text),
    }
}

/// Returns the chain below the first line, without causes that only repeat a line above.
///
/// Below the store's error are the layers of the SDK, each reporting that the next one failed. Only
/// the root cause is worth a line; for credentials the last two are, the failed action and its
/// cause.
fn causes(error: &anyhow::Error, address: Option<&Address>) -> Vec<String> {
    let chain: Vec<_> = error.chain().collect();
    let store =
        chain.iter().position(|cause| cause.is::<StoreError>() || cause.is::<Box<StoreError>>());
    let told = store.map_or(chain.len(), |store| store + 1);
    let root = chain.len() - if lost_credentials(error) { 2 } else { 1 };
    let mut said: Vec<String> = Vec::new();
    for (place, cause) in chain.iter().enumerate() {
        let text = as_written(&cause.to_string(), address);
        // The SDK's text for an error without a name explains nothing.
        let is_empty_word = text == "other";
        if (place < told || place >= root)
            && !is_empty_word
            && !said.iter().any(|before| before.contains(&text))
        {
            said.push(text);
        }
    }
    said.split_off(1)
}

/// Replaces `s3://` with the address of the command line, which may be `local://`.
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
    matches!(engine, Some(EngineError::Store { source, .. })
        if source.kind == StoreErrorKind::NoCredentials)
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

/// Returns the exit code for an error of the engine, regardless of its context.
pub(crate) fn exit_of(error: &EngineError) -> Exit {
    exit(error)
}

fn exit(error: &EngineError) -> Exit {
    match error {
        EngineError::Plan { .. }
        | EngineError::NotAFile { .. }
        | EngineError::WrongLength { .. }
        | EngineError::MetadataName { .. }
        | EngineError::CopyOntoItself { .. }
        | EngineError::Configuration(_)
        | EngineError::OtherAttribute { .. }
        | EngineError::BadSetting { .. } => Exit::Usage,
        EngineError::Paused { source: Some(cause), .. } if exit(cause) == Exit::SourceChanged => {
            Exit::SourceChanged
        }
        EngineError::Cancelled { .. }
        | EngineError::Paused { .. }
        | EngineError::DownloadPaused { .. } => Exit::Interrupted,
        EngineError::InDoubt { .. } | EngineError::PutInDoubt { .. } => Exit::InDoubt,
        EngineError::LeftBehind { .. } => Exit::LeftBehind,
        EngineError::SourceChanged { .. }
        | EngineError::SourceChangedSince { .. }
        | EngineError::ObjectChanged { .. } => Exit::SourceChanged,
        EngineError::Unproven { .. }
        | EngineError::Corrupt { .. }
        | EngineError::CorruptObject { .. } => Exit::NotProven,
        EngineError::Store { source, .. } if is_unmet_condition(source) => Exit::Precondition,
        _ => Exit::Failed,
    }
}

fn is_unmet_condition(error: &StoreError) -> bool {
    let is_write = matches!(
        error.operation,
        Operation::PutObject | Operation::CopyObject | Operation::CompleteMultipartUpload
    );
    match error.kind {
        // A download has no flag for a condition.
        StoreErrorKind::PreconditionFailed => error.operation != Operation::GetObject,
        StoreErrorKind::ConditionalConflict => true,
        // S3 answers If-Match with NoSuchKey if the object is missing; a write has no other reason
        // for it.
        StoreErrorKind::NoSuchKey => is_write,
        _ => false,
    }
}

fn code(error: &EngineError) -> String {
    let name = match error {
        EngineError::Store { source, .. } => {
            return source.code.clone().unwrap_or_else(|| format!("{:?}", source.kind));
        }
        EngineError::SourceUnreadable { .. } => "SourceUnreadable",
        EngineError::NotAFile { .. } => "NotAFile",
        EngineError::WrongLength { .. } => "WrongLength",
        EngineError::MetadataName { .. } => "MetadataName",
        EngineError::CopyOntoItself { .. } => "CopyOntoItself",
        EngineError::SourceChanged { .. } | EngineError::SourceChangedSince { .. } => {
            "SourceChanged"
        }
        EngineError::OtherAttribute { .. } => "OtherAttribute",
        EngineError::ObjectChanged { .. } => "ObjectChanged",
        EngineError::Plan { .. } => "Plan",
        EngineError::StreamLength { .. } => "StreamLength",
        EngineError::StreamTooLong { .. } => "StreamTooLong",
        EngineError::StreamShorter { .. } => "StreamShorter",
        EngineError::Spool { .. } => "Spool",
        EngineError::InDoubt { .. } | EngineError::PutInDoubt { .. } => "InDoubt",
        EngineError::UploadGone { .. } => "UploadGone",
        EngineError::Restarted { .. } => "Restarted",
        EngineError::Paused { .. } | EngineError::DownloadPaused { .. } => "Paused",
        EngineError::Journal(_) => "Journal",
        EngineError::Unproven { .. } => "Unproven",
        EngineError::Cancelled { .. } => "Cancelled",
        EngineError::LeftBehind { .. } => "LeftBehind",
        EngineError::Corrupt { .. } | EngineError::CorruptObject { .. } => "Corrupt",
        EngineError::TargetUnwritable { .. } => "TargetUnwritable",
        EngineError::UnusableName { .. } => "UnusableName",
        EngineError::TreeRefused { .. } => "TreeRefused",
        EngineError::SourceKept { .. } => "SourceKept",
        EngineError::Configuration(_) | EngineError::BadSetting { .. } => "Configuration",
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

/// Returns the hint for a folder that is refused: the user has to correct something first.
fn refused_folder(error: &haul_store::Error) -> Option<&'static str> {
    use haul_store::Error;
    match error {
        Error::MetadataLost { .. } => Some("MetadataLost"),
        Error::ForeignMetadata { .. } => Some("ForeignMetadata"),
        Error::NotPlain { .. } => Some("NotFollowed"),
        _ => None,
    }
}

/// Returns the error code and exit code for a failed check of a folder without a server.
fn of_store(error: &haul_store::Error) -> (&'static str, Exit) {
    use haul_store::Error;
    if let Some(code) = refused_folder(error) {
        return (code, Exit::Usage);
    }
    match error {
        Error::Locked { .. } => ("Locked", Exit::Failed),
        Error::NotAStore { .. } => ("NotAStore", Exit::Usage),
        // The metadata cannot be opened.
        Error::Damaged { .. }
        | Error::DamagedFile { .. }
        | Error::MetadataDamaged { .. }
        | Error::Database { .. } => ("Damaged", Exit::NotProven),
        _ => ("StoreUnusable", Exit::Failed),
    }
}

/// Returns the most specific hint available.
fn hint(error: &EngineError, context: Option<&FailureContext>) -> Option<String> {
    if let Some(only) = own_hint(error) {
        return Some(only);
    }
    if let Some(better) = context.and_then(|context| context.hint.clone()) {
        return Some(better);
    }
    if let Some(pasted) = context.and_then(|context| context.locator.as_ref()?.hint(error)) {
        return Some(pasted);
    }
    if exit(error) == Exit::Precondition {
        let hint = match context.and_then(|context| context.condition) {
            Some(Condition::Absent) => {
                "an object with this key exists and stays as it was (--if-none-match)"
            }
            Some(Condition::Version) => {
                "the key holds another version or none, and stays as it was (--if-match)"
            }
            None => "the condition of this upload does not hold: the object stays as it was",
        };
        return Some(hint.to_owned());
    }
    if let Some(alias) = context.and_then(|context| alias_hint(error, context.address.as_ref()?)) {
        return Some(alias);
    }
    let hint = match error {
        EngineError::Store { source, .. } if source.code.as_deref() == Some("BucketNotEmpty") => {
            Some("remove its objects first; haul ls -r s3://BUCKET shows them".to_owned())
        }
        _ => hints::of(error),
    };
    hint.map(|hint| context.map_or(hint.clone(), |context| concrete(&hint, context)))
}

/// Returns the hint for an access point whose address the SDK cannot determine: its alias can be
/// used like a bucket name.
fn alias_hint(error: &EngineError, address: &Address) -> Option<String> {
    let point = address.bucket.as_access_point()?;
    let EngineError::Store { source, .. } = error else { return None };
    let is_unresolved = source.kind == StoreErrorKind::Rejected && source.status.is_none();
    is_unresolved.then(|| {
        let (account, name, region) = (point.account, point.name, point.region);
        format!(
            "write the alias as the bucket: aws s3control get-access-point --account-id {account} \
             --name {name} --region {region} --query Alias"
        )
    })
}

/// Returns a hint derived from the failure itself, such as the URL with the right scheme.
fn own_hint(error: &EngineError) -> Option<String> {
    match error {
        EngineError::BadSetting { hint, .. } => Some(hint.clone()),
        EngineError::StreamTooLong { .. } => Some(
            "run it again with --expected-size SIZE: then the parts are large enough".to_owned(),
        ),
        EngineError::StreamShorter { .. } => {
            Some("run the same command again: it sends the stream from its beginning".to_owned())
        }
        EngineError::Spool { .. } => Some(
            "name a folder on a disk with room by --spool-dir DIR, or allow more memory by \
             --memory SIZE"
                .to_owned(),
        ),
        EngineError::Store { source, .. } => source.guidance.remedy.clone(),
        _ => None,
    }
}

/// Replaces placeholders of the engine's hints, such as `s3://BUCKET/PREFIX` and "the endpoint",
/// with the user's values.
fn concrete(hint: &str, context: &FailureContext) -> String {
    let mut hint = hint.to_owned();
    if let Some(endpoint) = &context.endpoint {
        hint = hint.replace("is the endpoint right", &format!("is {endpoint} right"));
    }
    if let Some(address) = &context.address {
        let bucket = format!("{}{}", address.scheme, address.bucket);
        let folder =
            address.key.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
        hint = hint.replace("s3://BUCKET/PREFIX", &format!("{bucket}/{folder}"));
        hint = hint.replace("s3://BUCKET", &bucket);
    }
    hint
}
