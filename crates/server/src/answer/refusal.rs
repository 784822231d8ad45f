//! A refusal of a request, in S3's terms.
//!
//! A [`Refusal`] is an error code, a message and the extra elements that AWS puts into some error
//! documents (`<UploadId>`, `<PartNumber>`, …). `s3s` has no place for those elements, so they
//! travel as private headers of its error value and are removed again in
//! [`error_document`](crate::answer::error_document). Causes on the server's side (a disk error) go
//! to the log with the request id: the client gets `InternalError` and the id.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode, utf8_percent_encode};
use s3s::{S3Error, S3ErrorCode};

/// The header that carries one extra element from a refusal to its error document. It never leaves
/// the process.
const FIELD: HeaderName = HeaderName::from_static("x-haul-error-field");

/// A refused request.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    code: S3ErrorCode,
    status: Option<StatusCode>,
    message: Option<String>,
    fields: Vec<(&'static str, String)>,
}

impl Refusal {
    /// Creates a refusal with the usual message of the code.
    pub(crate) fn new(code: S3ErrorCode) -> Self {
        Self { code, status: None, message: None, fields: Vec::new() }
    }

    /// Creates a refusal with its own message.
    pub(crate) fn with(code: S3ErrorCode, message: impl Into<String>) -> Self {
        Self { message: Some(message.into()), ..Self::new(code) }
    }

    /// Creates a refusal with a code that `s3s` does not know.
    pub(crate) fn custom(
        code: &'static str,
        status: StatusCode,
        message: impl Into<String>,
    ) -> Self {
        let code = S3ErrorCode::Custom(code.into());
        Self { status: Some(status), ..Self::with(code, message) }
    }

    /// Replaces the status of the code.
    pub(crate) fn with_status(mut self, status: StatusCode) -> Self {
        self.status = Some(status);
        self
    }

    /// Creates a 400 `InvalidRequest` with a message.
    pub(crate) fn invalid_request(message: impl Into<String>) -> Self {
        Self::with(S3ErrorCode::InvalidRequest, message)
    }

    /// Creates a 400 `InvalidArgument` with the argument's name and value, as AWS shows them.
    pub(crate) fn invalid_argument(
        name: &'static str,
        value: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self::with(S3ErrorCode::InvalidArgument, message)
            .field("ArgumentName", name)
            .field("ArgumentValue", value)
    }

    /// Creates a 412 with the header whose condition failed.
    pub(crate) fn precondition(condition: &'static str) -> Self {
        Self::new(S3ErrorCode::PreconditionFailed).field("Condition", condition)
    }

    /// Creates an internal error: logs its cause, and leaves it out of the response.
    pub(crate) fn internal(what: &'static str, cause: &dyn std::error::Error) -> Self {
        tracing::error!(what, cause = %chain(cause), "internal error");
        Self::new(S3ErrorCode::InternalError)
    }

    /// Adds an element to the error document.
    pub(crate) fn field(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    /// Returns the code as S3 spells it.
    pub(crate) fn code(&self) -> &str {
        self.code.as_str()
    }

    /// Returns the message, if it is not the usual one of the code.
    pub(crate) fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }

    /// Returns the status of the response.
    pub(crate) fn status(&self) -> StatusCode {
        self.status.or_else(|| self.code.status_code()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Returns the extra elements.
    pub(crate) fn fields(&self) -> &[(&'static str, String)] {
        &self.fields
    }
}

/// Formats an error with all its sources, for the log.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

impl From<Refusal> for S3Error {
    fn from(refusal: Refusal) -> Self {
        let status = refusal.status();
        let mut error = match refusal.message {
            Some(message) => S3Error::with_message(refusal.code, message),
            None => S3Error::new(refusal.code),
        };
        error.set_status_code(status);
        if !refusal.fields.is_empty() {
            let mut headers = HeaderMap::new();
            for (name, value) in refusal.fields {
                let text = format!("{name}={}", utf8_percent_encode(&value, NON_ALPHANUMERIC));
                if let Ok(value) = HeaderValue::try_from(text) {
                    headers.append(FIELD, value);
                }
            }
            error.set_headers(headers);
        }
        error
    }
}

/// Removes the extra elements from the headers of a response, in order.
pub(crate) fn take_fields(headers: &mut HeaderMap) -> Vec<(String, String)> {
    let fields = headers
        .get_all(&FIELD)
        .iter()
        .filter_map(|value| {
            let (name, value) = value.to_str().ok()?.split_once('=')?;
            Some((
                name.to_owned(),
                percent_decode(value.as_bytes()).decode_utf8_lossy().into_owned(),
            ))
        })
        .collect();
    headers.remove(&FIELD);
    fields
}
