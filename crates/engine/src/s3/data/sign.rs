//! Signs a data request just before it is sent.
//!
//! The signature does not cover the body (`UNSIGNED-PAYLOAD`, which every known store accepts, over
//! plain HTTP too): the checksum of the body is in a signed header, and SHA-256 would cost more
//! than all other work together. A checksum in the trailer is not signed, so it is sent only over
//! connections that protect it from changes (`s3/profile.rs`).

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use aws_smithy_async::time::TimeSource;
use http::Request;

use super::address::Address;
use super::request::DataRequest;
use crate::body::PayloadBody;
use crate::remote::{Operation, StoreError, StoreErrorKind};

pub(super) fn signed(
    address: &Address,
    request: DataRequest,
    credentials: &Credentials,
    clock: &dyn TimeSource,
) -> Result<Request<PayloadBody>, StoreError> {
    let operation = request.operation;
    let body = if request.has_trailer() {
        SignableBody::StreamingUnsignedPayloadTrailer
    } else if !request.has_body() {
        SignableBody::Bytes(&[])
    } else {
        SignableBody::UnsignedPayload
    };
    let http = request.into_http(address).map_err(|error| unsignable(operation, &error))?;
    signed_http(address, operation, http, body, credentials, clock)
}

/// Signs a request that is complete but for its signature.
pub(super) fn signed_http(
    address: &Address,
    operation: Operation,
    mut http: Request<PayloadBody>,
    body: SignableBody<'_>,
    credentials: &Credentials,
    clock: &dyn TimeSource,
) -> Result<Request<PayloadBody>, StoreError> {
    let unsignable = |error: &dyn std::fmt::Display| unsignable(operation, error);
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    let identity = credentials.clone().into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(&address.region)
        .name(&address.service)
        .time(clock.now())
        .settings(settings)
        .build()
        .map_err(|error| unsignable(&error))?
        .into();
    let headers: Vec<_> = http
        .headers()
        .iter()
        .filter(|(name, _)| *name != http::header::CONTENT_LENGTH)
        .map(|(name, value)| Ok((name.as_str(), value.to_str()?)))
        .collect::<Result<_, http::header::ToStrError>>()
        .map_err(|error| unsignable(&error))?;
    let url = format!("{}{}", address.origin(), http.uri());
    let signable = SignableRequest::new(http.method().as_str(), url, headers.into_iter(), body)
        .map_err(|error| unsignable(&error))?;
    let (instructions, _) =
        sign(signable, &parameters).map_err(|error| unsignable(&error))?.into_parts();
    instructions.apply_to_request_http1x(&mut http);
    // The signing instructions are for an absolute URI, but the request line needs only the path.
    Ok(http)
}

fn unsignable(operation: Operation, error: &dyn std::fmt::Display) -> StoreError {
    StoreError::local(operation, StoreErrorKind::Rejected, error.to_string())
}
