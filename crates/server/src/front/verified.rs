//! Passes a request from the signature check to the operations.
//!
//! A request that is signed with version 4 passes through `s3s` twice. The first service only
//! verifies: its only route accepts every request, after the signature check and before any
//! parsing. The second service knows the operations and sees no signature. Between the two, the
//! request is [mended](super::mended), parts that `s3s` cannot read are [set
//! aside](super::set_aside) and the document is [rewritten](crate::body::document). Requests with
//! version 2 or without a signature enter between the two. A [`Caller`] names the sender of the
//! request.

use async_trait::async_trait;
use http::request::Parts;
use http::{Extensions, HeaderMap, Method, Request, Response, StatusCode, Uri};
use http_body_util::BodyExt;
use s3s::route::S3Route;
use s3s::service::S3Service;
use s3s::{Body, S3, S3ErrorCode, S3Request, S3Response, S3Result};

use crate::answer::overrides::DocumentOverride;
use crate::answer::refusal::Refusal;
use crate::auth::caller::Caller;
use crate::auth::requester::Requester;
use crate::body::{checksum_elements, document};
use crate::front::{mended, set_aside};

/// Marks a request whose body is an XML document.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HasXml;

/// Marks the response to a request whose signature was correct.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WasVerified;

/// The operations, for requests that are verified or have no signature.
#[derive(Clone)]
pub(crate) struct Operations(pub(crate) S3Service);

/// The route behind the signature check of version 4.
pub(crate) struct BehindSignature(pub(crate) Operations);

/// An empty set of operations, for the service that only verifies: its route handles every request.
pub(crate) struct NoOperations;

impl S3 for NoOperations {}

impl Operations {
    /// Responds to a request.
    ///
    /// # Errors
    /// Refusals of the request itself; refusals by the operations are responses already.
    pub(crate) async fn answer(
        &self,
        mut parts: Parts,
        body: Body,
        caller: Option<Caller>,
    ) -> Result<Response<Body>, Refusal> {
        mended::mend(&mut parts)?;
        set_aside::headers(&mut parts);
        // Without a caller the operations refuse requests with documents, so the document is not
        // read.
        let rewrites = parts.extensions.remove::<HasXml>().is_some() && caller.is_some();
        if let (Some(caller), Some(requester)) = (&caller, parts.extensions.get::<Requester>()) {
            requester.identify(&caller.0);
        }
        let body = if rewrites { rewritten(&mut parts, body).await? } else { body };
        if let Some(caller) = caller {
            parts.extensions.insert(caller);
        }
        match self.0.call(Request::from_parts(parts, body)).await {
            Ok(mut response) => {
                if let Some(DocumentOverride(document)) = response.extensions_mut().remove() {
                    *response.body_mut() = Body::from(document);
                }
                let document = response.body().bytes();
                if let Some(restored) = document.and_then(|it| checksum_elements::restored(&it)) {
                    *response.body_mut() = Body::from(restored);
                }
                Ok(response)
            }
            Err(error) => {
                let error: Box<dyn std::error::Error + Send + Sync> = error.into();
                tracing::error!(%error, "no answer from s3s");
                Err(Refusal::new(S3ErrorCode::InternalError))
            }
        }
    }
}

/// Rewrites the document so that `s3s` reads it correctly. The gate has already limited its size.
async fn rewritten(parts: &mut Parts, body: Body) -> Result<Body, Refusal> {
    // The front knows why the body broke off, and creates the response.
    let broken = |_| Refusal::new(S3ErrorCode::IncompleteBody);
    let document = body.collect().await.map_err(broken)?.to_bytes();
    if document.is_empty() {
        return Ok(set_aside::missing_list(parts).map_or_else(Body::empty, Body::from));
    }
    Ok(Body::from(set_aside::document(parts, document::rewrite(&document)?)))
}

#[async_trait]
impl S3Route for BehindSignature {
    fn is_match(&self, _: &Method, _: &Uri, _: &HeaderMap, _: &mut Extensions) -> bool {
        true
    }

    async fn check_access(&self, _: &mut S3Request<Body>) -> S3Result<()> {
        Ok(())
    }

    async fn call(&self, request: S3Request<Body>) -> S3Result<S3Response<Body>> {
        let (mut parts, ()) = Request::new(()).into_parts();
        parts.method = request.method;
        parts.uri = request.uri;
        parts.headers = request.headers;
        parts.extensions = request.extensions;
        if let Some(trailers) = request.trailing_headers {
            parts.extensions.insert(trailers);
        }
        let caller = request.credentials.map(|proven| Caller(proven.access_key));
        let answered = self.0.answer(parts, request.input, caller).await;
        let mut response = match answered {
            Ok(response) => response,
            Err(refusal) => return Err(refusal.into()),
        };
        response.extensions_mut().insert(WasVerified);
        let (head, body) = response.into_parts();
        let mut response = S3Response::with_headers(body, head.headers);
        response.status = Some(head.status);
        response.extensions = head.extensions;
        Ok(response)
    }
}

/// Returns whether a response reports a wrong signature.
pub(crate) fn is_mismatch(response: &Response<Body>) -> bool {
    const CODE: &[u8] = b"<Code>SignatureDoesNotMatch</Code>";
    response.status() == StatusCode::FORBIDDEN
        && response.extensions().get::<WasVerified>().is_none()
        && response
            .body()
            .bytes()
            .is_some_and(|document| document.windows(CODE.len()).any(|part| part == CODE))
}
