//! Signs presigned URLs: the signature is in the query, and another program sends the request.
//!
//! The URL is signed here and not by the SDK, which may put its checksum of an empty body into the
//! URL of a PutObject (trap 18). Only the host is signed, so the sender may choose all other
//! headers.

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use aws_smithy_async::time::TimeSource;
use jiff::Timestamp;

use super::data::address::Address;
use crate::remote::{Operation, PresignRequest, PresignedUrl, StoreError, StoreErrorKind};

/// Signs a URL for `address`.
pub(super) fn presign(
    address: &Address,
    request: &PresignRequest,
    credentials: &Credentials,
    clock: &dyn TimeSource,
) -> Result<PresignedUrl, StoreError> {
    let operation = request.method.operation();
    let rejected =
        |message: String| StoreError::local(operation, StoreErrorKind::Rejected, message);
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(Duration::from_secs(request.expires_in.as_secs()));
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    let identity = credentials.clone().into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(&address.region)
        .name(&address.service)
        .time(clock.now())
        .settings(settings)
        .build()
        .map_err(|error| rejected(error.to_string()))?
        .into();
    let url = format!("{}{}", address.origin(), address.path);
    let method = request.method.as_str();
    let signable =
        SignableRequest::new(method, &url, std::iter::empty(), SignableBody::UnsignedPayload)
            .map_err(|error| rejected(error.to_string()))?;
    let (instructions, _) =
        sign(signable, &parameters).map_err(|error| rejected(error.to_string()))?.into_parts();
    let mut signed = http::Request::builder()
        .method(method)
        .uri(url)
        .body(())
        .map_err(|error| rejected(error.to_string()))?;
    instructions.apply_to_request_http1x(&mut signed);
    let session_ends = credentials.expiry().and_then(|end| Timestamp::try_from(end).ok());
    Ok(PresignedUrl {
        url: signed.uri().to_string(),
        of_session: credentials.session_token().is_some(),
        session_ends,
    })
}

impl crate::remote::PresignMethod {
    fn operation(self) -> Operation {
        match self {
            Self::Get => Operation::GetObject,
            Self::Put => Operation::PutObject,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Put => "PUT",
        }
    }
}
