//! Sends one request exactly as a probe wrote it, on a connection of its own, and returns the
//! answer as it arrived. Nothing is corrected or repeated, because the answer itself is the result.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST, HeaderName, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request};

use aws_sigv4::http_request::SignableBody;

use super::address::Address;
use super::connection::SendConnection;
use super::pool::Pooled;
use super::{DataPlane, sign};
use crate::body::{Meter, Payload};
use crate::remote::{Operation, StoreError, StoreErrorKind};
use crate::s3::document::ErrorDocument;
use crate::s3::transport::USER_AGENT_NAME;

/// The resource of a probe's request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProbeTarget {
    /// The bucket.
    Bucket,
    /// The object whose address is given.
    Object,
}

/// How the body of a probe is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProbeBody {
    /// The signature covers the body.
    Signed,
    /// `UNSIGNED-PAYLOAD`.
    Unsigned,
    /// `STREAMING-UNSIGNED-PAYLOAD-TRAILER`; the body is framed already.
    Trailer,
}

/// The request of a probe.
#[derive(Clone, Debug)]
pub(crate) struct ProbeRequest {
    /// The HTTP method.
    pub(crate) method: Method,
    /// The resource.
    pub(crate) target: ProbeTarget,
    /// The query, percent-encoded, without the question mark.
    pub(crate) query: String,
    /// More headers.
    pub(crate) headers: Vec<(&'static str, String)>,
    /// The body.
    pub(crate) body: Bytes,
    /// How the body is signed.
    pub(crate) signing: ProbeBody,
}

/// The answer to a probe.
#[derive(Clone, Debug)]
pub(crate) struct ProbeAnswer {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// The body.
    pub(crate) body: Bytes,
}

impl ProbeAnswer {
    /// Returns a header, if its value is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Returns true for a status of success without an error document in the body.
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status) && self.code().is_none()
    }

    /// Returns S3's error code, if the body has one.
    pub(crate) fn code(&self) -> Option<String> {
        ErrorDocument::read(&self.body).code
    }

    /// Returns the error of an answer without success.
    pub(crate) fn error(&self, operation: Operation) -> StoreError {
        let document = ErrorDocument::read(&self.body);
        let message = document.message.as_deref().unwrap_or_default();
        StoreError::answered(operation, self.status, document.code.as_deref(), message)
    }
}

impl DataPlane {
    /// Sends the request of a probe. `bucket_path` is the path of the bucket of `address`.
    pub(in crate::s3) async fn probe(
        &self,
        address: &Address,
        bucket_path: &str,
        request: &ProbeRequest,
    ) -> Result<ProbeAnswer, StoreError> {
        let operation = if request.method == Method::PUT {
            Operation::PutObject
        } else {
            Operation::HeadObject
        };
        let refused = |error: &dyn std::fmt::Display| {
            StoreError::local(operation, StoreErrorKind::Rejected, error.to_string())
        };
        let path = match request.target {
            ProbeTarget::Object => address.path.as_str(),
            ProbeTarget::Bucket => bucket_path,
        };
        let mut http = http_request(address, path, request).map_err(|error| refused(&error))?;
        // Payer and owner of the bucket, which every request may need; keys of objects do not.
        for (name, value) in self.request_headers.of("ListObjectsV2") {
            let value = HeaderValue::from_str(&value).map_err(|error| refused(&error))?;
            http.headers_mut().insert(HeaderName::from_static(name), value);
        }
        let body = match request.signing {
            ProbeBody::Signed => SignableBody::Bytes(&request.body),
            ProbeBody::Unsigned => SignableBody::UnsignedPayload,
            ProbeBody::Trailer => SignableBody::StreamingUnsignedPayloadTrailer,
        };
        let credentials = self.credentials.get(operation).await?;
        let http = sign::signed_http(address, operation, http, body, &credentials, &self.clock)?;
        let opened =
            SendConnection::open(&self.transport, &address.origin, self.timeouts.connect).await;
        let mut connection = opened.map_err(|error| error.to_store_error(operation))?;
        let answer = connection.send(operation, http, self.timeouts).await?;
        let (head, body) = answer.into_parts();
        let answer = ProbeAnswer { status: head.status.as_u16(), headers: head.headers, body };
        self.profile.heard(|name| answer.header(name));
        Ok(answer)
    }

    /// Returns what the connections of this plane are made with.
    pub(in crate::s3) fn transport(&self) -> &crate::s3::transport::Transport {
        &self.transport
    }
}

fn http_request(
    address: &Address,
    path: &str,
    request: &ProbeRequest,
) -> Result<Request<crate::body::PayloadBody>, http::Error> {
    let mut headers = HeaderMap::new();
    headers.insert(HOST, HeaderValue::from_str(&address.origin.authority)?);
    headers.insert(USER_AGENT, HeaderValue::from_static(USER_AGENT_NAME));
    if [Method::PUT, Method::POST].contains(&request.method) {
        headers.insert(CONTENT_LENGTH, request.body.len().into());
    }
    for (name, value) in &request.headers {
        headers.insert(HeaderName::from_bytes(name.as_bytes())?, HeaderValue::from_str(value)?);
    }
    let mark = if request.query.is_empty() { "" } else { "?" };
    let payload = Payload::from_bytes(request.body.clone());
    let mut http = Request::builder()
        .method(request.method.clone())
        .uri(format!("{path}{mark}{}", request.query))
        .body(payload.counted_body(Meter::default()))?;
    *http.headers_mut() = headers;
    Ok(http)
}
