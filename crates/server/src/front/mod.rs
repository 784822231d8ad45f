//! The outermost layer: every request and every response passes through it.
//!
//! A request gets an id, and passes through the gate and the guarded body. Then its signature is
//! verified and the operation called (see [`verified`]). In the response, the error document is
//! completed, the request id added, and the status corrected where `s3s` cannot express it. Each
//! request has one log line, without the query (which may contain a signature) and without headers.

mod cors;
pub(crate) mod gate;
pub(crate) mod mended;
pub(crate) mod set_aside;
pub(crate) mod verified;

use std::any::Any;
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use futures_util::FutureExt;
use http::header::{CONNECTION, RETRY_AFTER, SERVER};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use hyper::body::{Body as _, Incoming};
use s3s::service::S3Service;
use s3s::{Body, S3ErrorCode};
use tracing::Instrument;

use crate::answer::error_document::{self, RequestLabel};
use crate::answer::overrides::StatusOverride;
use crate::answer::refusal::Refusal;
use crate::answer::xml_characters;
use crate::auth::request_slots::RequestSlots;
use crate::auth::requester::Requester;
use crate::auth::{mismatch, version_2};
use crate::body::aws_chunked::Chunks;
use crate::body::holding::HeldRoom;
use crate::body::payload_hash;
use crate::body::request_body::{ExpectsContinue, RequestBody};
use crate::front::verified::{HasXml, Operations, is_mismatch};
use crate::metrics::Metrics;
use crate::ops::endpoint::Endpoint;
use crate::options::Limits;
use crate::request::query::Query;
use crate::request::signature::Signature;
use crate::request::target::Domains;
use crate::socket::connections::{Answer, Handler};
use crate::socket::interim::{self, Interim};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-amz-request-id");

/// The `Retry-After` of a request that was refused for lack of room, in seconds.
const RETRY_AFTER_SECONDS: &str = "1";

/// The outermost layer.
pub(crate) struct Front {
    /// Verifies version 4 signatures, and passes requests on to the operations.
    pub(crate) verifier: S3Service,
    pub(crate) operations: Operations,
    pub(crate) endpoint: Endpoint,
    pub(crate) domains: Domains,
    pub(crate) limits: Limits,
    pub(crate) slots: RequestSlots,
    /// The room for documents, which `s3s` reads as a whole, and for signed chunks, which it holds
    /// until their signature is checked.
    pub(crate) held_room: HeldRoom,
    pub(crate) metrics: Arc<Metrics>,
}

impl Handler for Front {
    fn answer(self: &Arc<Self>, request: Request<Incoming>) -> Answer {
        let front = Arc::clone(self);
        let id = format!("{:016X}", rand::random::<u64>());
        let span = tracing::info_span!("request", id = %id);
        Box::pin(
            async move { Ok::<_, Infallible>(front.handle(request, &id).await) }.instrument(span),
        )
    }
}

impl Front {
    async fn handle(&self, request: Request<Incoming>, id: &str) -> Response<Body> {
        let started = Instant::now();
        let (mut parts, incoming) = request.into_parts();
        // For every other body, hyper sends the interim response when the body is first read.
        if let Some(interim) = parts.extensions.remove::<Interim>()
            && incoming.is_end_stream()
            && interim::is_expected(parts.version, &parts.headers)
        {
            interim.send_continue().await;
        }
        let method = parts.method.clone();
        let resource = parts.uri.path().to_owned();
        let label = RequestLabel { method: &method, resource: &resource, request_id: id };
        // A panic must end only its request, not the connection with all other requests of the
        // client.
        let answered =
            AssertUnwindSafe(self.answer_to(parts, incoming, &label)).catch_unwind().await;
        let response = answered.unwrap_or_else(|panic| {
            tracing::error!(%method, path = %printable(&resource), panic = message_of(&*panic), "\
                answering panicked");
            error_document::refuse(&Refusal::new(S3ErrorCode::InternalError), &label)
        });
        let response = sign_off(response, id);
        let status = response.status().as_u16();
        self.metrics.answered(method.as_str(), status, started.elapsed());
        let path = printable(&resource);
        tracing::info!(%method, %path, status, elapsed = ?started.elapsed(), "answered");
        response
    }

    /// Returns the response without the headers that are common to all responses.
    async fn answer_to(
        &self,
        mut parts: Parts,
        incoming: Incoming,
        label: &RequestLabel<'_>,
    ) -> Response<Body> {
        let target = self.domains.target(&parts);
        let cors = cors::headers(&self.endpoint, &parts, &target).await;
        let requester = Requester::new(&self.slots);
        parts.extensions.insert(requester.clone());
        let mut body = self.guard_body(&parts, incoming, requester);
        // Keep both until the end of this function: the room of a document is held until the
        // response.
        let (fate, _room) = (body.fate(), body.held());
        let checked = gate::check(&parts, &target, &self.limits)
            .and_then(|()| gate::document(&parts, &target))
            .and_then(|document| {
                let Some(document) = document else { return Ok(()) };
                if document.is_xml {
                    parts.extensions.insert(HasXml);
                }
                body.expect_document(document, &self.held_room)
            });
        let response = match checked {
            Ok(()) if cors::is_preflight(&parts) => {
                match cors::preflight(&self.endpoint, &parts, &target).await {
                    Ok(response) => response,
                    Err(refusal) => error_document::refuse(&refusal, label),
                }
            }
            Ok(()) => match self.call_s3(parts, body).await {
                Ok(response) => response,
                Err(refusal) => error_document::refuse(&refusal, label),
            },
            Err(refusal) => {
                drop(body);
                error_document::refuse(&refusal, label)
            }
        };
        let response = match fate.broken() {
            Some(broken) if !response.status().is_success() => {
                error_document::refuse(&broken.refusal(), label)
            }
            _ => error_document::complete(response, label).await,
        };
        let mut response = xml_characters::refer(response);
        response.headers_mut().extend(cors);
        // Close the connection: an idle one would hold its slot while others wait for it.
        if fate.is_left_unread() || self.slots.are_all_taken() {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    fn guard_body(&self, parts: &Parts, incoming: Incoming, requester: Requester) -> RequestBody {
        let expects_continue = match interim::is_expected(parts.version, &parts.headers) {
            true => ExpectsContinue::Yes,
            false => ExpectsContinue::No,
        };
        let chunks = Chunks::of(&parts.headers, self.limits.signed_chunk_bytes);
        RequestBody::new(
            incoming,
            chunks,
            expects_continue,
            (&self.held_room, requester),
            &self.limits,
            Arc::clone(&self.metrics),
        )
    }

    /// Verifies the signature, and calls the operation.
    async fn call_s3(
        &self,
        parts: Parts,
        mut body: RequestBody,
    ) -> Result<Response<Body>, Refusal> {
        let query = Query::parse(parts.uri.query().unwrap_or(""));
        let signature = Signature::of(&parts, &query)?;
        let (is_version_4, is_version_2) =
            (signature.is_version_4(), signature == Signature::OldQuery);
        let caller = if is_version_2 {
            let bucket = self.domains.bucket_in_host(&parts);
            let caller = version_2::verify(&parts, bucket, &self.endpoint.keys)?;
            if let Some(sha256) = payload_hash::claimed(&parts.headers) {
                body.expect_payload(sha256)?;
            }
            Some(caller)
        } else {
            None
        };
        let body = Body::http_body(body);
        if !is_version_4 {
            return self.operations.answer(parts, body, caller).await;
        }
        let sent = parts.clone();
        match self.verifier.call(Request::from_parts(parts, body)).await {
            Ok(response) if is_mismatch(&response) => match mismatch::of_version_4(&sent) {
                Some(refusal) => Err(refusal),
                None => Ok(response),
            },
            Ok(response) => Ok(response),
            Err(error) => {
                let error: Box<dyn std::error::Error + Send + Sync> = error.into();
                tracing::error!(%error, "no answer from s3s");
                Err(Refusal::new(S3ErrorCode::InternalError))
            }
        }
    }
}

/// Escapes a path for the log: hyper accepts bytes above ASCII, and some of them are control
/// characters for terminals.
fn printable(path: &str) -> String {
    let escaped = path.chars().map(|c| match c {
        '"' | '\'' | '\\' => c.to_string(),
        c => c.escape_debug().to_string(),
    });
    escaped.collect()
}

/// Returns the message of a panic.
fn message_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message")
}

fn sign_off(mut response: Response<Body>, id: &str) -> Response<Body> {
    if let Some(StatusOverride(status)) = response.extensions_mut().remove() {
        *response.status_mut() = status;
    }
    if response.status() == StatusCode::SERVICE_UNAVAILABLE {
        response
            .headers_mut()
            .entry(RETRY_AFTER)
            .or_insert(HeaderValue::from_static(RETRY_AFTER_SECONDS));
    }
    let id = HeaderValue::from_str(id).expect("a request id is hexadecimal");
    response.headers_mut().insert(REQUEST_ID, id);
    response.headers_mut().insert(SERVER, HeaderValue::from_static("Haul"));
    response
}

#[cfg(test)]
mod tests;
