//! Sends the SDK's requests over our connections: smithy's HTTP client, with its own pool.

use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use http::header::PROXY_AUTHORIZATION;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};

use super::answer_limit::AnswerLimit;
use super::error::{ConnectError, find};
use super::origin::Origin;
use super::{BoxIo, CONNECT_TIMEOUT, IDLE_MAX, Proxy, Transport, wrong_scheme};
use crate::s3::wire_log;

type Pool = legacy::Client<Dial, SdkBody>;

/// The connections of the control plane. Minutes pass between Create and Complete, so idle
/// connections expire as fast as those of the data plane.
pub(in crate::s3) struct ControlConnections {
    transport: Arc<Transport>,
    /// One pool for each connect time-out that an SDK client sets: the S3 client's, and that of the
    /// metadata services.
    pools: Mutex<HashMap<Duration, Pool>>,
}

impl ControlConnections {
    pub(in crate::s3) fn new(transport: Arc<Transport>) -> Self {
        Self { transport, pools: Mutex::default() }
    }

    fn pool(&self, connect_timeout: Duration) -> Pool {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        let pool = pools.entry(connect_timeout).or_insert_with(|| {
            legacy::Client::builder(TokioExecutor::new())
                .pool_idle_timeout(IDLE_MAX)
                .pool_timer(TokioTimer::new())
                .build(Dial { transport: Arc::clone(&self.transport), connect_timeout })
        });
        pool.clone()
    }
}

impl fmt::Debug for ControlConnections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ControlConnections").finish_non_exhaustive()
    }
}

impl HttpClient for ControlConnections {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Connector {
            transport: Arc::clone(&self.transport),
            pool: self.pool(settings.connect_timeout().unwrap_or(CONNECT_TIMEOUT)),
            read_timeout: settings.read_timeout(),
        })
    }
}

struct Connector {
    transport: Arc<Transport>,
    pool: Pool,
    /// The time-out from the request to the head of the answer.
    read_timeout: Option<Duration>,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector")
            .field("read_timeout", &self.read_timeout)
            .finish_non_exhaustive()
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let mut request = match request.try_into_http1x() {
            Ok(request) => request,
            Err(error) => {
                return HttpConnectorFuture::ready(Err(ConnectorError::user(error.into())));
            }
        };
        let Some(origin) = Origin::of(request.uri()) else {
            return HttpConnectorFuture::ready(Err(ConnectorError::user(
                "the URL has no host".into(),
            )));
        };
        self.authorize_at_proxy(&origin, &mut request);
        wire_log::request(request.method(), request.uri(), request.headers());
        let limit = request.extensions().get::<AnswerLimit>().copied().unwrap_or_default();
        let sent = self.pool.request(request);
        let (transport, read_timeout) = (Arc::clone(&self.transport), self.read_timeout);
        HttpConnectorFuture::new(async move {
            let answer = match read_timeout {
                Some(time) => tokio::time::timeout(time, sent)
                    .await
                    .map_err(|elapsed| ConnectorError::timeout(elapsed.into()))?,
                None => sent.await,
            };
            let answer = match answer {
                Ok(answer) => {
                    wire_log::answer(answer.status(), answer.headers());
                    judged(&origin, limit, answer).await?
                }
                Err(error)
                    if origin.tls
                        || error.is_connect()
                        || find::<ConnectError>(&error).is_some() =>
                {
                    return Err(ConnectorError::io(error.into()));
                }
                Err(error) => {
                    return Err(match transport.diagnose(&origin).await {
                        Some(cause) => ConnectorError::io(cause.into()),
                        None => ConnectorError::io(error.into()),
                    });
                }
            };
            transport.heard(&origin);
            HttpResponse::try_from(answer)
                .map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

impl Connector {
    /// Adds the proxy's authorization to a forwarded request. A tunnel sends it once, when the
    /// tunnel is opened.
    fn authorize_at_proxy(&self, origin: &Origin, request: &mut Request<SdkBody>) {
        let proxy = self.transport.proxy_of(origin).filter(|_| !origin.tls);
        if let Some(authorization) = proxy.and_then(Proxy::authorization) {
            request.headers_mut().insert(PROXY_AUTHORIZATION, authorization.clone());
        }
    }
}

/// Returns the answer with a limit on its document, or the error if the scheme is wrong.
async fn judged(
    origin: &Origin,
    limit: AnswerLimit,
    answer: Response<Incoming>,
) -> Result<Response<SdkBody>, ConnectorError> {
    let (head, body) = answer.into_parts();
    let body = Limited::new(body, limit.bytes_max);
    if !wrong_scheme::is_suspect(origin, head.status, &head.headers) {
        return Ok(Response::from_parts(head, SdkBody::from_body_1_x(body)));
    }
    let body = body.collect().await.map_err(ConnectorError::io)?.to_bytes();
    match wrong_scheme::of_answer(origin, head.status, &head.headers, &body) {
        Some(cause) => Err(ConnectorError::io(cause.into())),
        None => Ok(Response::from_parts(head, SdkBody::from(body))),
    }
}

/// Opens new connections for the pool.
#[derive(Clone)]
struct Dial {
    transport: Arc<Transport>,
    connect_timeout: Duration,
}

impl tower_service::Service<Uri> for Dial {
    type Response = TokioIo<BoxIo>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let Self { transport, connect_timeout } = self.clone();
        Box::pin(async move {
            let no_host = || ConnectError::Lookup {
                host: uri.to_string(),
                cause: std::io::Error::other("the URL has no host"),
            };
            let origin = Origin::of(&uri).ok_or_else(no_host)?;
            Ok(TokioIo::new(transport.connect(&origin, connect_timeout).await?.io))
        })
    }
}

impl Connection for BoxIo {
    /// Makes the pool write whole URLs into requests that a proxy forwards.
    fn connected(&self) -> Connected {
        Connected::new().proxy(self.as_ref().is_forwarded())
    }
}
