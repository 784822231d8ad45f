//! Converts the SDK's errors to ours.

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::RequestId;
use aws_smithy_http::endpoint::ResolveEndpointError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use super::clock;
use super::credentials::UnusableCredentials;
use super::document::{BUCKET_REGION, ErrorDocument, fault_of_document, redirect_remedy};
use super::transport::{ConnectError, answer_bytes_max, find};
use super::whole::CutOff;
use crate::remote::{Guidance, Operation, StoreError, StoreErrorKind};

/// Converts the error of one SDK call.
pub(super) fn convert<E>(operation: Operation, error: SdkError<E, HttpResponse>) -> StoreError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    if let Some(credentials) = find_credentials_error(&error) {
        return StoreError::local(operation, StoreErrorKind::NoCredentials, credentials)
            .with_source(error);
    }
    if let Some(cause) = find::<ConnectError>(&error) {
        return cause.to_store_error(operation).with_source(error);
    }
    // The SDK reports this as a failed connection, but nothing was sent, and a retry would fail in
    // the same way.
    if let Some(cause) = find::<ResolveEndpointError>(&error) {
        let message = format!("no address for the request: {cause}");
        return StoreError::local(operation, StoreErrorKind::Rejected, message).with_source(error);
    }
    if find::<http_body_util::LengthLimitError>(&error).is_some() {
        let message =
            format!("an answer of more than {} bytes", answer_bytes_max(&operation.to_string()));
        let failed =
            StoreError::local(operation, StoreErrorKind::Malformed, message).with_source(error);
        return StoreError { outcome_unknown: true, ..failed };
    }
    match &error {
        SdkError::ServiceError(context) => {
            let (answer, service) = (context.raw(), context.err());
            let (status, code) = (answer.status().as_u16(), service.code());
            if answer.status().is_success() && code.is_none() {
                return unreadable(operation, answer, service).with_source(error);
            }
            // HEAD answers have no body, so the SDK invents a code from the status; the status
            // itself is more precise.
            let code = code.filter(|code| *code != "NotFound" && *code != "Unknown");
            let message = service.message().unwrap_or_default();
            let mut converted = StoreError::answered(operation, status, code, message);
            converted.request_id = service.meta().request_id().map(str::to_owned);
            let guidance = guidance(answer, code);
            let wait = answer.headers().get("retry-after");
            converted.retry_after =
                wait.and_then(|wait| clock::retry_after(wait, guidance.store_time));
            converted.guided(guidance)
        }
        SdkError::TimeoutError(_) => {
            let message = "no answer in time";
            StoreError {
                outcome_unknown: true,
                ..StoreError::local(operation, StoreErrorKind::Timeout, message).with_source(error)
            }
        }
        SdkError::DispatchFailure(failure) => {
            let kind = if failure.is_timeout() {
                StoreErrorKind::Timeout
            } else {
                StoreErrorKind::Connection
            };
            let message = innermost(&error);
            // If there had been no connection at all, this would be a `ConnectError`.
            let outcome_unknown = true;
            StoreError {
                outcome_unknown,
                ..StoreError::local(operation, kind, message).with_source(error)
            }
        }
        SdkError::ResponseError(context) => {
            // This is not an answer of S3: it is a proxy's page, or the connection broke in the
            // middle.
            let status = context.raw().status().as_u16();
            let cut_off = chain(&error).any(|cause| cause.is::<CutOff>());
            let kind = match status {
                500.. => StoreErrorKind::Server,
                _ if cut_off => StoreErrorKind::Connection,
                _ => StoreErrorKind::Malformed,
            };
            let message = format!("the answer ({status}) cannot be read: {}", innermost(&error));
            StoreError {
                status: Some(status),
                outcome_unknown: true,
                ..StoreError::local(operation, kind, message).with_source(error)
            }
        }
        _ => {
            let message = innermost(&error);
            StoreError::local(operation, StoreErrorKind::Rejected, message).with_source(error)
        }
    }
}

/// Converts a successful answer with a wrong document. The request probably took effect.
fn unreadable(
    operation: Operation,
    answer: &HttpResponse,
    service: &(dyn std::error::Error + 'static),
) -> StoreError {
    let media_type = answer.headers().get("content-type");
    let wrong = fault_of_document(media_type, answer.body().bytes().unwrap_or_default());
    let message = match wrong {
        Some(wrong) => format!("the answer is not a document of S3: {wrong}"),
        None => {
            format!("the answer is not the document that belongs to it: {}", innermost(service))
        }
    };
    StoreError {
        outcome_unknown: true,
        ..StoreError::local(operation, StoreErrorKind::Malformed, message)
    }
}

fn guidance(answer: &HttpResponse, code: Option<&str>) -> Guidance {
    let header = |name: &str| answer.headers().get(name);
    let in_document = || ErrorDocument::read(answer.body().bytes()?).bucket_region();
    let bucket_region = header(BUCKET_REGION).map(str::to_owned).or_else(in_document);
    let status = answer.status().as_u16();
    Guidance {
        remedy: redirect_remedy(status, code, bucket_region.as_deref(), header("location")),
        bucket_region,
        store_time: header("date").and_then(clock::date),
    }
}

/// Returns the last cause in the chain, which is the most precise: "Connection refused (os error
/// 111)".
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    chain(error).last().map_or_else(String::new, ToString::to_string)
}

fn find_credentials_error(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    chain(error).find_map(|cause| match cause.downcast_ref::<CredentialsError>()? {
        CredentialsError::CredentialsNotLoaded(_) => Some("no credentials were found".into()),
        other if find::<UnusableCredentials>(other).is_some() => Some(innermost(other)),
        other => Some(format!("the provider of credentials failed: {}", innermost(other))),
    })
}

fn chain<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| error.source())
}
