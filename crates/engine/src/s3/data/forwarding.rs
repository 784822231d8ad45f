//! Adapts requests for a forwarding proxy, which needs the whole URL, and possibly a password.

use http::header::{HeaderValue, PROXY_AUTHORIZATION};
use http::{Request, Uri};

use super::broken;
use crate::remote::{Operation, StoreError};
use crate::s3::transport::{BoxIo, Origin, Proxy, Transport};

pub(super) struct Forwarding {
    origin_url: String,
    authorization: Option<HeaderValue>,
}

impl Forwarding {
    /// `None` if the connection does not lead to such a proxy.
    pub(super) fn of(io: &BoxIo, transport: &Transport, origin: &Origin) -> Option<Self> {
        io.is_forwarded().then(|| Self {
            origin_url: origin.url(),
            authorization: transport.proxy_of(origin).and_then(Proxy::authorization).cloned(),
        })
    }

    /// Adapts a signed request. The signature covers neither the host in the request line nor this
    /// header.
    pub(super) fn address<B>(
        &self,
        operation: Operation,
        request: &mut Request<B>,
    ) -> Result<(), StoreError> {
        let url = format!("{}{}", self.origin_url, request.uri()).parse::<Uri>();
        *request.uri_mut() = url.map_err(|error| broken(operation, error.to_string()))?;
        if let Some(authorization) = &self.authorization {
            request.headers_mut().insert(PROXY_AUTHORIZATION, authorization.clone());
        }
        Ok(())
    }
}
