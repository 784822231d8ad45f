//! `/health` and `/metrics`, on an address of their own: neither is for the clients of the endpoint.

pub(crate) mod metrics;

use std::convert::Infallible;
use std::sync::Arc;

use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use s3s::Body;

use crate::admin::metrics::Metrics;
use crate::endpoint::Endpoint;
use crate::socket::connections::{Answer, Answering};

/// The admin address.
pub(crate) struct Admin {
    pub(crate) endpoint: Endpoint,
    pub(crate) metrics: Arc<Metrics>,
}

impl Answering for Admin {
    fn answer(self: &Arc<Self>, request: Request<Incoming>) -> Answer {
        let admin = Arc::clone(self);
        Box::pin(async move { Ok::<_, Infallible>(admin.handle(&request).await) })
    }
}

impl Admin {
    async fn handle(&self, request: &Request<Incoming>) -> Response<Body> {
        if request.method() != Method::GET && request.method() != Method::HEAD {
            return text(StatusCode::METHOD_NOT_ALLOWED, "text/plain", "GET only\n".to_owned());
        }
        match request.uri().path() {
            "/health" => self.health().await,
            "/metrics" => text(StatusCode::OK, "text/plain; version=0.0.4", self.metrics.text()),
            _ => text(StatusCode::NOT_FOUND, "text/plain", "/health or /metrics\n".to_owned()),
        }
    }

    /// Healthy is: the store answers.
    async fn health(&self) -> Response<Body> {
        match self.endpoint.on_store(haul_store::Store::list_buckets).await {
            Ok(_) => text(StatusCode::OK, "application/json", "{\"status\":\"ok\"}\n".to_owned()),
            Err(_) => {
                let body = "{\"status\":\"the store does not answer\"}\n";
                text(StatusCode::SERVICE_UNAVAILABLE, "application/json", body.to_owned())
            }
        }
    }
}

fn text(status: StatusCode, content_type: &'static str, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
