//! The reasons why a request got no answer, and the time-outs of an exchange.

use std::error::Error;
use std::time::Duration;

use tokio::time::Instant;

use super::{Timeouts, broken};
use crate::body::BodyError;
use crate::error_text::in_one_line;
use crate::remote::{Operation, StoreError, StoreErrorKind};
use crate::s3::transport::{ConnectError, SocketActivity, find};

/// The maximum length of an answer that is read as a whole: a few headers, or an error document.
pub(super) const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// The reason why a request got no answer.
pub(super) enum ExchangeFailure {
    /// The connection failed. `unanswered`: before the first byte of the answer.
    Connection {
        error: Box<dyn Error + Send + Sync>,
        unanswered: bool,
    },
    AnswerTooLong,
    Stalled(Duration),
}

impl From<hyper::Error> for ExchangeFailure {
    fn from(error: hyper::Error) -> Self {
        let unanswered = error.is_canceled() || error.is_incomplete_message() || error.is_closed();
        Self::Connection { error: error.into(), unanswered }
    }
}

impl ExchangeFailure {
    pub(super) fn into_store_error(self, operation: Operation, reused: bool) -> StoreError {
        let error = match self {
            Self::Connection { error, unanswered } => {
                if let Some(cause) = find::<ConnectError>(&*error) {
                    return cause.to_store_error(operation);
                }
                if matches!(find::<BodyError>(&*error), Some(BodyError::Source(_))) {
                    let message = "the part cannot be read while it is sent";
                    return StoreError::local(operation, StoreErrorKind::Source, message)
                        .with_source(error);
                }
                let mut failed = broken(operation, in_one_line(&*error));
                // An idle connection got no answer because the peer had closed it.
                failed.reused_connection = reused && unanswered;
                failed.with_source(error)
            }
            Self::AnswerTooLong => {
                let message = format!("an answer of more than {ANSWER_BYTES_MAX} bytes");
                StoreError::local(operation, StoreErrorKind::Malformed, message)
            }
            Self::Stalled(time) => StoreError::local(
                operation,
                StoreErrorKind::Timeout,
                format!("no byte moved for {} seconds", time.as_secs()),
            ),
        };
        StoreError { outcome_unknown: true, ..error }
    }
}

/// Ends an exchange that makes no progress. When the last byte has been handed over, the kernel's
/// buffers still have to be transferred, so the answer has its own time-out.
pub(super) async fn watch<T>(
    progress: SocketActivity,
    timeouts: Timeouts,
    exchange: impl Future<Output = Result<T, ExchangeFailure>>,
) -> Result<T, ExchangeFailure> {
    let patience = timeouts.idle.max(timeouts.answer);
    tokio::pin!(exchange);
    loop {
        let deadline = progress.last() + patience;
        tokio::select! {
            done = &mut exchange => return done,
            () = tokio::time::sleep_until(deadline) => {
                if progress.last() + patience <= Instant::now() {
                    return Err(ExchangeFailure::Stalled(patience));
                }
            }
        }
    }
}
