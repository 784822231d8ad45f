//! Every request passes here on its way in, and every answer on its way out.
//!
//! In: a request id, the gate, the guarded body. Then `s3s` authenticates and calls the operations. Out: the error
//! document completed, the request id shown, the status corrected where `s3s` cannot say it. One log line per
//! request, without query (it may hold a signature) and without headers.

mod cors;
pub(crate) mod gate;
pub(crate) mod query;
pub(crate) mod signature;
mod sub_resource;
pub(crate) mod target;

use std::any::Any;
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use futures_util::FutureExt;
use http::header::{CONNECTION, EXPECT, SERVER};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use s3s::service::S3Service;
use s3s::{Body, S3ErrorCode};
use tracing::Instrument;

use crate::Limits;
use crate::admin::metrics::Metrics;
use crate::answer::error_document::{self, Place};
use crate::answer::refusal::Refusal;
use crate::answer::xml_characters;
use crate::body::aws_chunked::Chunks;
use crate::body::request_body::{ExpectsContinue, RequestBody};
use crate::body::room::Room;
use crate::endpoint::Endpoint;
use crate::front::target::Domains;
use crate::socket::connections::{Answer, Answering};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-amz-request-id");

/// A status that an operation asks for and `s3s` has no field for; travels in the answer's extensions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StatusOverride(pub(crate) StatusCode);

/// The outermost layer.
pub(crate) struct Front {
    pub(crate) s3: S3Service,
    pub(crate) endpoint: Endpoint,
    pub(crate) domains: Domains,
    pub(crate) limits: Limits,
    /// For documents, which `s3s` reads whole.
    pub(crate) document_room: Room,
    pub(crate) metrics: Arc<Metrics>,
}

impl Answering for Front {
    fn answer(self: &Arc<Self>, request: Request<Incoming>) -> Answer {
        let front = Arc::clone(self);
        let id = format!("{:016X}", rand::random::<u64>());
        let span = tracing::info_span!("request", id = %id);
        Box::pin(async move { Ok::<_, Infallible>(front.handle(request, &id).await) }.instrument(span))
    }
}

impl Front {
    async fn handle(&self, request: Request<Incoming>, id: &str) -> Response<Body> {
        let started = Instant::now();
        let (parts, incoming) = request.into_parts();
        let method = parts.method.clone();
        let resource = parts.uri.path().to_owned();
        let place = Place { method: &method, resource: &resource, request_id: id };
        // A mistake of ours ends one request, and not the connection with whatever the client has on it.
        let answered = AssertUnwindSafe(self.answer_to(parts, incoming, &place)).catch_unwind().await;
        let response = answered.unwrap_or_else(|panic| {
            tracing::error!(%method, path = %resource, panic = message_of(&*panic), "answering panicked");
            error_document::refuse(&Refusal::new(S3ErrorCode::InternalError), &place)
        });
        let response = sign_off(response, id);
        let status = response.status().as_u16();
        self.metrics.answered(method.as_str(), status, started.elapsed());
        tracing::info!(%method, path = %resource, status, elapsed = ?started.elapsed(), "answered");
        response
    }

    /// The answer, with all but what every answer has.
    async fn answer_to(&self, mut parts: Parts, incoming: Incoming, place: &Place<'_>) -> Response<Body> {
        let target = self.domains.target(&parts);
        let cors = self.endpoint.cors_headers(&parts, &target).await;
        let mut body = self.guard_body(&parts, incoming);
        // Both end with this function: what was read of a document lives until it is answered.
        let (fate, _room) = (body.fate(), body.held());
        let checked = gate::check(&parts, &target, &self.limits)
            .and_then(|()| {
                gate::take_presigned_headers(&mut parts);
                gate::document(&parts, &target)
            })
            .and_then(|document| {
                document.map_or(Ok(()), |document| body.expect_document(document, &self.document_room))
            });
        let response = match checked {
            Ok(()) if cors::is_preflight(&parts) => match self.endpoint.preflight(&parts, &target).await {
                Ok(response) => response,
                Err(refusal) => error_document::refuse(&refusal, place),
            },
            Ok(()) => self.call_s3(parts, body).await,
            Err(refusal) => {
                drop(body);
                error_document::refuse(&refusal, place)
            }
        };
        let response = match fate.broken() {
            Some(broken) if !response.status().is_success() => {
                error_document::refuse(&broken.refusal(), place)
            }
            _ => error_document::complete(response, place).await,
        };
        let mut response = xml_characters::refer(response);
        response.headers_mut().extend(cors);
        if fate.is_left_unread() {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    fn guard_body(&self, parts: &Parts, incoming: Incoming) -> RequestBody {
        let expects_continue =
            if parts.headers.contains_key(EXPECT) { ExpectsContinue::Yes } else { ExpectsContinue::No };
        let chunks = Chunks::of(&parts.headers, self.limits.signed_chunk_bytes);
        RequestBody::new(incoming, chunks, expects_continue, &self.limits, Arc::clone(&self.metrics))
    }

    async fn call_s3(&self, parts: Parts, body: RequestBody) -> Response<Body> {
        match self.s3.call(Request::from_parts(parts, Body::http_body(body))).await {
            Ok(response) => response,
            Err(error) => {
                let error: Box<dyn std::error::Error + Send + Sync> = error.into();
                tracing::error!(%error, "no answer from s3s");
                let mut response = Response::new(Body::empty());
                *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                response
            }
        }
    }
}

/// What a panic said.
fn message_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message")
}

fn sign_off(mut response: Response<Body>, id: &str) -> Response<Body> {
    if let Some(StatusOverride(status)) = response.extensions_mut().remove() {
        *response.status_mut() = status;
    }
    let id = HeaderValue::from_str(id).expect("a request id is hexadecimal");
    response.headers_mut().insert(REQUEST_ID, id);
    response.headers_mut().insert(SERVER, HeaderValue::from_static("Haul"));
    response
}

#[cfg(test)]
mod tests;
